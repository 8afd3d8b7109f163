# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Training of a DCGAN that generates images."""

from functools import cached_property
from itertools import islice
from typing import Any

import datasets
import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor
from torch import nn

from ..data.datasets import ImageDataset, choose_images, find_images, load_from_arguments, rename_classes
from ..data.decoding import Decoder, choose_channels
from ..data.labels import count_combinations
from ..data.loaders import Loader, Shard, make_loader
from ..data.seeding import seeded_generator
from ..modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from ..pictures import to_bytes, to_pixel_values
from ..pipeline_dcgan import DCGANPipeline
from ..processes import first_on_its_machine, from_main_process
from .adaptation import check_labels
from .batches import LatentSampler, normal_latents, prepare_batches
from .contrast import match_contrast
from .evaluation import GenerationEvaluation
from .failures import diagnose_classes, diagnose_noise
from .generation_arguments import DCGANTrainingArguments, check_contrast_can_be_matched
from .networks import Networks, given_networks, make_networks
from .samples import SampleGrid
from .task import Dataset, RawBatch
from .trainer import Trainer
from .updates import GAN, UPDATE_STRATEGIES, Batch, UpdateStrategy


# Real images that samples are compared with: enough for several of each of dozens of classes, and for the contrast. The
# bands of fewer suffice, which saves memory.
_COMPARED_IMAGES, _COMPARED_IN_BANDS = 256, 64


class GenerationTask:
    r"""
    Task of training a generator of images, see [`Task`].

    Args:
        args ([`DCGANTrainingArguments`]):
            Training arguments.
        networks (`tuple[nn.Module, nn.Module]` or `DiffusionPipeline`, *optional*):
            Networks to train instead of new ones, or a parent to fine-tune.
        update (`Callable`, *optional*):
            Update strategy instead of the one named by the arguments.
        sample_latents (`Callable`, *optional*):
            Source of latents instead of N(0, 1), see [`LatentSampler`].
    """

    discriminator_start = 0

    def __init__(
        self,
        args: DCGANTrainingArguments,
        networks: Networks | None = None,
        update: UpdateStrategy | None = None,
        sample_latents: LatentSampler | None = None,
    ):
        self.args = args
        self.networks = networks
        self.update_strategy = update or UPDATE_STRATEGIES[args.update_strategy]
        self.sample_latents = sample_latents
        self.discriminator_steps = args.discriminator_steps
        self.batches_per_update = args.gradient_accumulation_steps * args.discriminator_steps
        self.optimizer = "adam"
        self.augmentations = args.augmentations_for(None)
        self.evaluation: GenerationEvaluation | None = None
        self.bad_images: set[str] = set()

    def load(
        self, shard: Shard, device: torch.device, train_dataset: Dataset | None, eval_dataset: Dataset | None
    ) -> Loader:
        args = self.args
        generator = given_networks(self.networks)[0]
        if args.match_contrast and generator is not None:
            if type(generator) is not DCGANGenerator:
                raise ValueError(
                    "`match_contrast` needs a `DCGANGenerator`, not a subclass or another class, got"
                    f" {type(generator).__name__}."
                )
            check_contrast_can_be_matched(generator.config.norm_type)
        with first_on_its_machine():  # downloads once per machine
            images = self._open(train_dataset, args.dataset_split)
            eval_images = images
            if eval_dataset is not None or args.eval_split not in (None, args.dataset_split):
                eval_images = self._open(eval_dataset, args.eval_split or args.dataset_split, with_labels=False)
        given_channels = generator.config.num_channels if isinstance(generator, DCGANGenerator) else None
        num_channels = args.num_channels or given_channels or choose_channels(images)
        if args.max_train_samples is not None:
            images = choose_images(images, args.max_train_samples, args.seed)
        # Building the configs validates the network arguments, so it precedes the costly decoding.
        self.describe_images(num_channels, images)
        if isinstance(self.networks, DCGANPipeline):
            check_labels(self.networks.generator.config, self.generator_config)
        self.eval_images = eval_images
        self.decoder = decoder = Decoder(
            self.num_channels, args.resolution, args.resize_mode, args.dataloader_num_workers, args.skip_bad_images
        )
        self.bad_images = decoder.bad_images
        if args.eval_steps is not None:
            self.evaluation = self.make_evaluation(device)
        self.image_dataset = images
        number = None if isinstance(images.dataset, datasets.IterableDataset) else len(images.dataset)
        self.augmentations = args.augmentations_for(number)
        return make_loader(images, decoder, shard, device, args.in_memory_gb)

    def _open(self, dataset: Dataset | None, split: str, with_labels: bool | None = None) -> ImageDataset:
        args = self.args
        with_labels = args.class_conditional if with_labels is None else with_labels
        columns: dict[str, Any] = {"label_column": args.label_column, "with_labels": with_labels}
        if dataset is not None:
            images = find_images(dataset, args.image_column, **columns)
        else:
            images = load_from_arguments(args, split, streaming=args.streaming, **columns)
        return rename_classes(images, args.class_names) if args.class_names and with_labels else images

    def describe_images(self, num_channels: int, images: ImageDataset | None = None) -> None:
        """Sets the properties of the images and derives the configs of the networks from them."""
        self.num_channels = num_channels
        labels: list[Any] = [None]
        if images is not None:
            # The values of a stream are unknown before it is read.
            is_stream = isinstance(images.dataset, datasets.IterableDataset)
            counts = None if images.attributes is None or is_stream else count_combinations(images.dataset)
            labels = [images.class_names, images.attributes, counts]
        self.generator_config, self.discriminator_config = self.args.network_configs(num_channels, *labels)
        self.label_shape = self.generator_config.label_shape if self.generator_config.num_classes else None
        if self.args.matching_aware and max(self.generator_config.label_sizes, default=2) < 2:
            names = ", ".join(self.generator_config.id2label.values())
            raise ValueError(f"`matching_aware=True` needs images with different labels. All of these have {names}.")

    def make_evaluation(self, device: torch.device) -> GenerationEvaluation:
        return GenerationEvaluation(
            self.args, self.eval_images, self.decoder, self.generator_config, self.sample_latents, device
        )

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        configs = self.generator_config, self.discriminator_config
        return make_networks(self.networks, configs, (DCGANGenerator, DCGANDiscriminator))

    def prepare(self, raw_batches: list[RawBatch], step: int, shard: Shard) -> list[Batch]:
        return prepare_batches(
            raw_batches,
            step,
            shard,
            self.sample_latents or normal_latents(self.generator_config.latent_dim),
            self.args.random_flip,
            augments=bool(self.augmentations),
            interpolates=self.args.gradient_penalty is not None,
            label_sizes=self.generator_config.label_sizes if self.args.matching_aware else None,
        )

    def trains_discriminator(self, step: int) -> bool:
        return True

    def update(self, gan: GAN, batches: list[Batch], step: int) -> dict[str, torch.Tensor]:
        return self.update_strategy(gan, batches)

    def progress(self, logs: dict[str, float]) -> dict[str, str]:
        names = {"loss_d": "discriminator_loss", "loss_g": "generator_loss"}
        return {short: f"{logs[name]:.3f}" for short, name in names.items() if name in logs}

    def start_samples(self, loader: Loader, shard: Shard) -> None:
        sample_latents = self.sample_latents or normal_latents(self.generator_config.latent_dim)
        latents = sample_latents(self.args.eval_batch_size, seeded_generator(shard.seed, "samples", 0))
        self.grid = SampleGrid(latents, self.generator_config, shard.seed)
        self.loader = loader
        if self.args.match_contrast:
            self._real_images = from_main_process(lambda: self._real_images)  # the same in all processes

    def finish(self, generator: Any) -> nn.Module:
        if not self.args.match_contrast:
            return generator
        sample_latents = self.sample_latents or normal_latents(self.generator_config.latent_dim)
        real = {name: values[:_COMPARED_IMAGES] for name, values in self._real_images.items()}
        latents = sample_latents(len(real["pixel_values"]), seeded_generator(self.args.seed, "contrast", 0))
        return match_contrast(generator, real["pixel_values"], latents, real.get("class_labels"))

    def draw(self, generator: nn.Module) -> PIL.Image.Image:
        return self.grid.draw(generator)

    @cached_property
    def _real_images(self) -> dict[str, torch.Tensor]:
        batches = [*islice(self.loader.batches(0), -(-_COMPARED_IMAGES // self.args.train_batch_size))]
        return {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}

    def diagnose_samples(self, generator: nn.Module, step: int) -> str | None:
        labels = self.grid.class_labels
        if labels is None or labels.ndim > 1:  # hardly any images have all attributes in common
            return None
        real, samples = self._real_images, to_bytes(self.grid.sample(generator))
        names = self.generator_config.id2label
        return diagnose_classes(real["pixel_values"], real["class_labels"], samples, labels, names, step)

    def diagnose_result(self, generator: nn.Module, statistics: dict[str, float], steps: int) -> str | None:
        real = to_pixel_values(self._real_images["pixel_values"][:_COMPARED_IN_BANDS])
        fake = VaeImageProcessor.normalize(self.grid.sample(generator))
        can_match = type(generator) is DCGANGenerator and generator.config.norm_type != "spectral"
        return diagnose_noise(real, fake, steps, advises_contrast=can_match and not self.args.match_contrast)

    def make_pipeline(self, generator: nn.Module, discriminator: nn.Module) -> DCGANPipeline:
        return DCGANPipeline(generator=generator, discriminator=discriminator)


class DCGANTrainer(Trainer):
    r"""
    Trainer of a DCGAN.

    Args:
        args ([`DCGANTrainingArguments`], *optional*):
            Training arguments.
        train_dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`], *optional*):
            Training images. By default the dataset named by the arguments.
        eval_dataset ([`datasets.Dataset`], *optional*):
            Images to compare with, if `eval_steps` is set. By default those of `eval_split`, or the training images.
        pipeline ([`DCGANPipeline`], *optional*):
            Trained model to fine-tune, as with `pretrained_model_name_or_path`. It is copied, and decides all
            arguments that describe networks and were not passed to `args`.
        networks (`tuple[nn.Module, nn.Module]`, *optional*):
            Networks to train as they are, in place: modules with the forward signatures of [`DCGANGenerator`] and
            [`DCGANDiscriminator`]. By default new ones, as described by the arguments.
        loss ([`GANLoss`] or `tuple[Callable, Callable]`, *optional*):
            Loss, as in `training/losses.py`, or the discriminator's and the generator's function of logits. By default
            the one named by the arguments.
        update (`Callable`, *optional*):
            Update strategy: a function of a [`GAN`] and a list of [`Batch`]es that updates both networks and returns
            detached statistics, as in `training/updates.py`.
        optimizers (`tuple[Optimizer, Optimizer]` or `Callable`, *optional*):
            Optimizers of generator and discriminator, or a function that makes one for a network. By default Adam.
        callbacks (`list[TrainerCallback]`, *optional*):
            Callbacks in addition to the default ones.

    Subclasses may override `sample_latents`, the source of latents. By default these come from N(0, 1).

    Example:

    ```python
    >>> from dcgan_hf import DCGANTrainer, DCGANTrainingArguments

    >>> trainer = DCGANTrainer(
    ...     DCGANTrainingArguments(dataset_name="./cats", output_dir="dcgan-cats", random_flip=True)
    ... )
    >>> trainer.train()
    >>> trainer.pipeline(batch_size=16).images
    ```
    """

    args: DCGANTrainingArguments
    arguments_class = DCGANTrainingArguments
    pipeline_class = DCGANPipeline
    # Source of latents instead of N(0, 1): a function of a number of images and a `torch.Generator`.
    sample_latents: LatentSampler | None = None

    def make_task(self, networks: Networks | None, update: UpdateStrategy | None) -> GenerationTask:
        return GenerationTask(self.args, networks, update, self.sample_latents)
