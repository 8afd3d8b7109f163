# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Training of a DCGAN that upscales images."""

import logging

import numpy as np
import PIL.Image
import torch
from torch import nn

from ..data.crops import CropLoader, Crops
from ..data.datasets import ImageDataset, choose_images, find_images, load_from_arguments, load_image_dataset
from ..data.decoding import Decoder, choose_channels
from ..data.degradation import Degradation
from ..data.loaders import Loader, Shard, make_loader
from ..evaluation.features import perceptual_features
from ..image_processing_dcgan import ResizeMode
from ..modeling_dcgan import DCGANDiscriminator
from ..modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import first_on_its_machine, is_main_process
from .evaluation import SuperResolutionEvaluation
from .networks import Networks, make_networks
from .samples import UpscaledGrid
from .super_resolution_arguments import DCGANSuperResolutionTrainingArguments
from .super_resolution_updates import (
    SuperResolutionBatch,
    SuperResolutionWeights,
    adversarial_update,
    pixel_update,
    prepare_super_resolution_batches,
)
from .task import Dataset, RawBatch
from .trainer import Trainer
from .updates import GAN, UpdateStrategy


logger = logging.getLogger(__name__)

_FEW_PHOTOGRAPHS = 50
# Sizes of each photograph that are kept in memory, for `--random_scale`.
_NUM_REDUCTIONS = 6
# Lower PSNR than bicubic interpolation that an adversarial loss, which adds detail, may cost.
_LARGEST_LOSS_DB = 2.0
# Images of a dataset and, if available, their low-resolution versions.
Pair = tuple[ImageDataset, ImageDataset | None]


class SuperResolutionTask:
    r"""
    Task of training a generator that upscales images, see [`Task`].

    Args:
        args ([`DCGANSuperResolutionTrainingArguments`]):
            Training arguments.
        networks (`tuple[nn.Module, nn.Module]` or `DiffusionPipeline`, *optional*):
            Networks to train instead of new ones, or a parent to fine-tune.
        update (`Callable`, *optional*):
            Update strategy instead of [`pixel_update`] and [`adversarial_update`].
    """

    label_shape: tuple[int, ...] | None = None
    discriminator_steps = 1
    augmentations: list[str] = []

    def __init__(
        self,
        args: DCGANSuperResolutionTrainingArguments,
        networks: Networks | None = None,
        update: UpdateStrategy | None = None,
    ):
        self.args = args
        self.networks = networks
        self.own_update = update
        self.optimizer: str = args.optimizer
        self.discriminator_start = args.warmup_steps
        self.batches_per_update = args.gradient_accumulation_steps
        self.degradation = Degradation(
            args.scale_factor, args.downsampling, args.max_blur, args.max_noise, args.min_jpeg_quality
        )
        self.weights = SuperResolutionWeights(
            args.pixel_loss_weight,
            args.adversarial_loss_weight,
            args.feature_matching_loss_weight,
            args.perceptual_loss_weight,
            pixel_loss=args.pixel_loss,
        )
        self.evaluation: SuperResolutionEvaluation | None = None
        self.bad_images: set[str] = set()
        self.sample_loader: Loader | None = None  # of `--sample_dataset_name`

    def load(
        self, shard: Shard, device: torch.device, train_dataset: Dataset | None, eval_dataset: Dataset | None
    ) -> Loader:
        args = self.args
        with first_on_its_machine():  # downloads once per machine
            images, small_images = self._open(train_dataset, args.dataset_split)
            measured = images, small_images
            if eval_dataset is not None or args.eval_split not in (None, args.dataset_split):
                measured = self._open(eval_dataset, args.eval_split or args.dataset_split)
            shown = args.sample_dataset_name and load_image_dataset(
                args.sample_dataset_name, split=args.sample_split, cache_dir=args.cache_dir
            )
            if args.perceptual_features is not None:
                self.weights.perceptual_features = perceptual_features(args.perceptual_features, device)
        self.describe_images(args.num_channels or choose_channels(images))
        resize_mode: ResizeMode = "pad" if args.resize_mode == "pad" else "crop"
        self.measured = measured
        self.decoder = Decoder(
            self.num_channels, args.resolution, resize_mode, args.dataloader_num_workers, args.skip_bad_images
        )
        if args.eval_steps is not None:
            self.evaluation = self.make_evaluation(device)
        if args.max_train_samples is not None:
            images = choose_images(images, args.max_train_samples, args.seed)
            small_images = small_images and choose_images(small_images, args.max_train_samples, args.seed)
        self.image_dataset = images
        loader = self._make_loader(images, small_images, shard, device)
        self.bad_images = loader.bad_images if isinstance(loader, CropLoader) else self.decoder.bad_images
        if isinstance(loader, CropLoader) and len(loader.indices) < _FEW_PHOTOGRAPHS and is_main_process():
            logger.info(
                f"{len(loader.indices)} photograph{'s' * (len(loader.indices) > 1)} can teach little. With 400 of any"
                " kind, the PSNR on Set5 rose three times as much above bicubic interpolation: `dcgan"
                " train-super-resolution --config x2_fast --dataset_name FOLDER`."
            )
        if shown:
            self.sample_loader = self._make_loader(shown, None, Shard(shard.batch_size, shard.seed), device)
        return loader

    def _make_loader(
        self, images: ImageDataset, small_images: ImageDataset | None, shard: Shard, device: torch.device
    ) -> Loader:
        args = self.args
        if args.resize_mode != "random_crop":
            return make_loader(images, self.decoder, shard, device, args.in_memory_gb)
        degradation = None if small_images is not None or self.degradation.is_random else self.degradation
        reductions = np.linspace(1, args.random_scale, _NUM_REDUCTIONS if args.random_scale < 1 else 1)
        crops = Crops(
            self.num_channels,
            args.resolution,
            args.scale_factor,
            args.crops_per_image,
            degradation,
            tuple(reductions.tolist()),
        )
        return CropLoader(
            images,
            small_images,
            crops,
            shard,
            device,
            args.in_memory_gb,
            args.dataloader_num_workers,
            args.skip_bad_images,
        )

    def _open(self, dataset: Dataset | None, split: str) -> Pair:
        columns = [self.args.image_column]
        columns += [self.args.low_resolution_column] if self.args.low_resolution_column else []
        if dataset is not None:
            found = [find_images(dataset, column) for column in columns]
        else:
            streaming = self.args.streaming
            found = [
                load_from_arguments(self.args, split, streaming=streaming, image_column=column) for column in columns
            ]
        return found[0], found[1] if len(found) > 1 else None

    def describe_images(self, num_channels: int) -> None:
        """Sets the properties of the images and derives the configs of the networks from them."""
        self.num_channels = num_channels
        self.generator_config, self.discriminator_config = self.args.network_configs(num_channels)

    def make_evaluation(self, device: torch.device) -> SuperResolutionEvaluation:
        return SuperResolutionEvaluation(self.args, *self.measured, self.decoder, device)

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        configs = self.generator_config, self.discriminator_config
        return make_networks(self.networks, configs, (DCGANSuperResolutionGenerator, DCGANDiscriminator))

    def prepare(self, raw_batches: list[RawBatch], step: int, shard: Shard) -> list[SuperResolutionBatch]:
        return prepare_super_resolution_batches(
            raw_batches, step, shard, self.degradation, self.args.random_flip, self.args.random_rotation
        )

    def trains_discriminator(self, step: int) -> bool:
        return self.args.is_adversarial and step >= self.args.warmup_steps

    def update(self, gan: GAN, batches: list[SuperResolutionBatch], step: int) -> dict[str, torch.Tensor]:
        if self.own_update is not None:
            return self.own_update(gan, batches)
        update = adversarial_update if self.trains_discriminator(step) else pixel_update
        return update(gan, batches, self.weights)

    def progress(self, logs: dict[str, float]) -> dict[str, str]:
        names = {"psnr": "psnr", "bicubic": "bicubic_psnr"}
        return {short: f"{logs[name]:.2f}" for short, name in names.items() if name in logs}

    def start_samples(self, loader: Loader, shard: Shard) -> None:
        # The first images of the first epoch.
        first = prepare_super_resolution_batches(
            [next((self.sample_loader or loader).batches(0))], 0, Shard(shard.batch_size, shard.seed), self.degradation
        )[0]
        self.grid = UpscaledGrid(first.pixel_values, first.small_pixel_values, self.args.eval_batch_size)

    def finish(self, generator: nn.Module) -> nn.Module:
        return generator

    def draw(self, generator: nn.Module) -> PIL.Image.Image:
        return self.grid.draw(generator)

    def diagnose_samples(self, generator: nn.Module, step: int) -> str | None:
        return None  # the statistics compare with the originals

    def diagnose_result(self, generator: nn.Module, statistics: dict[str, float], steps: int) -> str | None:
        difference = statistics.get("bicubic_psnr", 0) - statistics.get("psnr", 0)
        if difference < _LARGEST_LOSS_DB:
            return None
        return (
            f"The upscaled images are probably no good yet: their PSNR is {difference:.1f} dB below that of bicubic"
            f" interpolation after {steps:,} updates. Resume with a higher `--max_train_steps`."
        )

    def make_pipeline(self, generator: nn.Module, discriminator: nn.Module) -> DCGANSuperResolutionPipeline:
        return DCGANSuperResolutionPipeline(generator, discriminator if self.args.is_adversarial else None)


class DCGANSuperResolutionTrainer(Trainer):
    r"""
    Trainer of a DCGAN that upscales images.

    Args:
        args ([`DCGANSuperResolutionTrainingArguments`], *optional*):
            Training arguments.
        train_dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`], *optional*):
            Training images, or pairs. By default the dataset named by the arguments.
        eval_dataset ([`datasets.Dataset`], *optional*):
            Images to evaluate on, if `eval_steps` is set. By default those of `eval_split`, or the training images.
        pipeline ([`DCGANSuperResolutionPipeline`], *optional*):
            Trained model to fine-tune, see [`DCGANTrainer`].
        networks (`tuple[nn.Module, nn.Module]`, *optional*):
            Networks to train as they are, in place: modules with the forward signatures of
            [`DCGANSuperResolutionGenerator`] and [`DCGANDiscriminator`]. By default new ones, as described by the
            arguments.
        loss, update, optimizers, callbacks (*optional*):
            See [`DCGANTrainer`].

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionTrainer, DCGANSuperResolutionTrainingArguments

    >>> trainer = DCGANSuperResolutionTrainer(
    ...     DCGANSuperResolutionTrainingArguments(dataset_name="./photos", output_dir="dcgan-x2", scale_factor=2)
    ... )
    >>> trainer.train()
    >>> trainer.pipeline(small_image).images[0]
    ```
    """

    args: DCGANSuperResolutionTrainingArguments
    arguments_class = DCGANSuperResolutionTrainingArguments
    pipeline_class = DCGANSuperResolutionPipeline

    def make_task(self, networks: Networks | None, update: UpdateStrategy | None) -> SuperResolutionTask:
        return SuperResolutionTask(self.args, networks, update)
