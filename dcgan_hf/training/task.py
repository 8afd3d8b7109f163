# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The interface of what differs between trainings, while engine and loop are the same."""

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
    A kind of training: its data, networks, batches, update, pictures and pipeline. [`GenerationTask`] and
    [`SuperResolutionTask`] are the two.
    """

    # Batches from the loader that an update takes.
    batches_per_update: int
    # Updates of the discriminator for one of the generator, and their number before the first one.
    discriminator_steps: int
    discriminator_start: int
    # See [`GAN`].
    augmentations: list[str]

    # Known after `load`.
    image_dataset: ImageDataset
    num_channels: int
    bad_images: set[str]

    @property
    def evaluation(self) -> Evaluation | None:
        """Measurement while training, if there is one."""

    def load(
        self, shard: Shard, device: torch.device, train_dataset: Dataset | None, eval_dataset: Dataset | None
    ) -> Loader:
        """Opens the data and returns the loader of its images. The data sets override those that the arguments name."""

    def make_evaluation(self, device: torch.device) -> Evaluation:
        """Makes what measures generators, after `load`."""

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        """Makes the generator and the discriminator for these images."""

    def prepare(self, raw_batches: list[RawBatch], step: int, shard: Shard) -> list[Any]:
        """Makes the batches of the update number `step` of the loader's."""

    def trains_discriminator(self, step: int) -> bool:
        """Tells if the update number `step` changes the discriminator."""

    def update(self, gan: GAN, batches: list[Any], step: int) -> dict[str, torch.Tensor]:
        """Updates the networks and returns detached statistics."""

    def progress(self, logs: dict[str, float]) -> dict[str, str]:
        """Chooses the statistics for the progress bar."""

    def start_samples(self, loader: Loader, shard: Shard) -> None:
        """Decides what the sample grids show."""

    def draw(self, generator: nn.Module) -> PIL.Image.Image:
        """Draws a sample grid."""

    def make_pipeline(self, generator: nn.Module, discriminator: nn.Module) -> DiffusionPipeline:
        """Makes the pipeline to save."""
