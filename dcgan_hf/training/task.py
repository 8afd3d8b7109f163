# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Interface of the part that differs between trainings, while engine and loop are shared."""

from typing import Any, Protocol, TypeAlias

import datasets
import PIL.Image
import torch
from diffusers import DiffusionPipeline
from torch import nn

from ..data.datasets import ImageDataset
from ..data.loaders import Loader, Shard
from .evaluation import Evaluation
from .updates import GAN


Dataset: TypeAlias = datasets.Dataset | datasets.IterableDataset
RawBatch = dict[str, torch.Tensor]


class Task(Protocol):
    """
    A kind of training: its data, networks, batches, update, sample grids and pipeline. Implementations are
    [`GenerationTask`] and [`SuperResolutionTask`].
    """

    # Number of batches from the loader per update.
    batches_per_update: int
    # Discriminator updates per generator update, and number of generator updates before the first of them.
    discriminator_steps: int
    discriminator_start: int
    # See [`GAN`].
    augmentations: list[str]
    # Optimizer of the generator, "adam" or "muon".
    optimizer: str

    # Set by `load`.
    image_dataset: ImageDataset
    num_channels: int
    # Shape of an image's `class_labels`, `None` without labels.
    label_shape: tuple[int, ...] | None
    bad_images: set[str]

    @property
    def evaluation(self) -> Evaluation | None:
        """Evaluation during training, if enabled."""

    def load(
        self, shard: Shard, device: torch.device, train_dataset: Dataset | None, eval_dataset: Dataset | None
    ) -> Loader:
        """Opens the data and returns the loader of its images. The datasets override those named by the arguments."""

    def make_evaluation(self, device: torch.device) -> Evaluation:
        """Makes the evaluation of generators. Requires `load`."""

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        """Makes the generator and the discriminator for these images."""

    def prepare(self, raw_batches: list[RawBatch], step: int, shard: Shard) -> list[Any]:
        """Makes the batches of update number `step` from the loader's."""

    def trains_discriminator(self, step: int) -> bool:
        """Returns whether update number `step` changes the discriminator."""

    def update(self, gan: GAN, batches: list[Any], step: int) -> dict[str, torch.Tensor]:
        """Updates the networks and returns detached statistics."""

    def progress(self, logs: dict[str, float]) -> dict[str, str]:
        """Selects and formats the statistics for the progress bar."""

    def start_samples(self, loader: Loader, shard: Shard) -> None:
        """Fixes the latents or images that the sample grids show."""

    def finish(self, generator: nn.Module) -> nn.Module:
        """Returns the generator to sample from, save and publish. Does not change the trained one."""

    def draw(self, generator: nn.Module) -> PIL.Image.Image:
        """Returns a sample grid."""

    def diagnose_samples(self, generator: nn.Module, step: int) -> str | None:
        """Returns a sentence on a generator whose samples show a failure that no statistic does, or `None`."""

    def diagnose_result(self, generator: nn.Module, statistics: dict[str, float], steps: int) -> str | None:
        """Returns a sentence on a trained generator whose images are probably no good, or `None`."""

    def make_pipeline(self, generator: nn.Module, discriminator: nn.Module) -> DiffusionPipeline:
        """Makes the pipeline to save."""
