# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Random square crops of photographs, alone or paired with crops of their low-resolution versions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from .datasets import ImageDataset
from .decoding import read_whole_image
from .loaders import Shard, in_background
from .seeding import seeded_generator


@dataclass
class Crops:
    """
    Settings of random square crops.

    Args:
        num_channels (`int`):
            Number of image channels.
        resolution (`int`):
            Width and height of a crop in pixels.
        scale_factor (`int`):
            Ratio of the width and height of an image to those of its low-resolution version.
        per_image (`int`):
            Number of crops per image and epoch.
    """

    num_channels: int
    resolution: int
    scale_factor: int
    per_image: int


class CropLoader:
    r"""
    Loader of square crops of images of any size, at new random positions in each epoch. Up to `in_memory_gb` of
    decoded images stay in memory; the others are decoded again each time.

    Args:
        image_dataset ([`ImageDataset`]):
            High-resolution images.
        small_dataset ([`ImageDataset`], *optional*):
            Their low-resolution versions, in the same order. Their crops are yielded as `small_pixel_values`.
        crops ([`Crops`]):
            Settings of the crops.
        shard ([`Shard`]):
            Part of the data that belongs to this process.
        device (`torch.device`):
            Training device.
        in_memory_gb (`float`):
            Memory for decoded images, in gigabytes.
        num_workers (`int`):
            Number of decoding threads.
    """

    def __init__(
        self,
        image_dataset: ImageDataset,
        small_dataset: ImageDataset | None,
        crops: Crops,
        shard: Shard,
        device: torch.device,
        in_memory_gb: float,
        num_workers: int,
    ):
        self.large = image_dataset.dataset
        self.small = None if small_dataset is None else small_dataset.dataset
        self.crops = crops
        self.shard = shard
        self.device = device
        self._free_bytes = in_memory_gb * 1e9
        self._kept: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        self._pool = ThreadPoolExecutor(num_workers, thread_name_prefix="crop")
        shard.batches_per_epoch(self._num_crops)

    @property
    def _num_crops(self) -> int:
        return len(self.large) * self.crops.per_image

    def __len__(self) -> int:
        """Returns the number of batches per epoch."""
        return self.shard.batches_per_epoch(self._num_crops)

    def __str__(self) -> str:
        pairs = "" if self.small is None else " pairs"
        return f"{len(self.large):,}{pairs}, {self.crops.per_image} random {self.crops.resolution}-pixel crops of each"

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yields `pixel_values` (uint8) and, for pairs, `small_pixel_values`."""
        positions = torch.rand(self._num_crops, 2, generator=seeded_generator(self.shard.seed, "crops", epoch))

        def crop(number: int) -> list[np.ndarray]:
            return self._crop(number // self.crops.per_image, *positions[number].tolist())

        batches = self.shard.batch_indices(self._num_crops, epoch, start)
        for futures in in_background(batches, lambda numbers: [self._pool.submit(crop, n) for n in numbers.tolist()]):
            crops = zip(*(future.result() for future in futures))
            tensors = [torch.from_numpy(np.stack(images)).to(self.device) for images in crops]
            yield dict(zip(("pixel_values", "small_pixel_values"), tensors))

    def _crop(self, index: int, down: float, right: float) -> list[np.ndarray]:
        large, small = self._kept.get(index) or self._decode(index)
        side, scale = self.crops.resolution, self.crops.scale_factor
        if min(large.shape[1:]) < side:
            raise ValueError(
                f"Image number {index} is {large.shape[2]}x{large.shape[1]} pixels, too small for crops of"
                f" `resolution={side}`. Use a lower `resolution` or remove the image."
            )
        if small is None:
            top, left = (int(share * (size - side + 1)) for share, size in zip((down, right), large.shape[1:]))
            return [large[:, top : top + side, left : left + side]]
        # Align the crop with the pixels of the low-resolution image.
        sizes = zip((down, right), small.shape[1:])
        top, left = (int(share * (size - side // scale + 1)) for share, size in sizes)
        return [
            large[:, scale * top : scale * top + side, scale * left : scale * left + side],
            small[:, top : top + side // scale, left : left + side // scale],
        ]

    def _decode(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        large = read_whole_image(self.large[index]["image"], self.crops.num_channels, index)
        small = None
        if self.small is not None:
            small = read_whole_image(self.small[index]["image"], self.crops.num_channels, index)
        if small is not None and large.shape[1:] != tuple(self.crops.scale_factor * size for size in small.shape[1:]):
            raise ValueError(
                f"Image number {index} is {large.shape[2]}x{large.shape[1]} pixels and its low-resolution version"
                f" {small.shape[2]}x{small.shape[1]}. It must be {self.crops.scale_factor} times as wide and high."
            )
        num_bytes = large.nbytes + (0 if small is None else small.nbytes)
        if num_bytes <= self._free_bytes and index not in self._kept:
            self._free_bytes -= num_bytes
            self._kept[index] = large, small
        return large, small
