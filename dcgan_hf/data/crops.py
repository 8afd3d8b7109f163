# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Random square crops of photographs, alone or paired with crops of their low-resolution versions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .bad_images import BadImageError, image_name
from .datasets import ImageDataset
from .degradation import Degradation, degrade
from .loaders import Shard, in_background
from .seeding import seeded_generator
from .whole_images import Requirements, read_pair, usable_images


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
        degradation ([`Degradation`], *optional*):
            Method of making the low-resolution version of a whole image without pairs, from which the crops are taken.
            At the borders of a crop there are then no artefacts, unlike after downscaling the crop. Must not draw
            random numbers. By default the crops come without low-resolution versions.
        reductions (`tuple[float, ...]`, *optional*, defaults to `(1.0,)`):
            Factors of the width and height of an image, one of which is drawn for each crop. An image is not made
            smaller than a crop.
    """

    num_channels: int
    resolution: int
    scale_factor: int
    per_image: int
    degradation: Degradation | None = None
    reductions: tuple[float, ...] = (1.0,)


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
        skip_bad_images (`bool`, *optional*, defaults to `False`):
            Whether to skip images and pairs that are too small, do not fit, or cannot be read. Sizes are known at
            once, damage only when an image is read.

    Raises:
        BadImageError: if there are such images, and they are not to be skipped.
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
        skip_bad_images: bool = False,
    ):
        self.crops = crops
        self.shard = shard
        self.device = device
        self.skip_bad_images = skip_bad_images
        self._datasets = image_dataset, small_dataset
        self._requirements = Requirements(
            crops.num_channels, crops.scale_factor, crops.resolution, f"for crops of `resolution={crops.resolution}`"
        )
        shard.batches_per_epoch(len(image_dataset.dataset) * crops.per_image)  # fails before looking at the images
        self.indices, bad_images = usable_images(image_dataset, small_dataset, self._requirements, skip_bad_images)
        self.bad_images = set(bad_images)
        self._free_bytes = in_memory_gb * 1e9
        # By index and reduction.
        self._kept: dict[tuple[int, float], tuple[np.ndarray, np.ndarray | None]] = {}
        self._damaged: set[int] = set()
        self._pool = ThreadPoolExecutor(num_workers, thread_name_prefix="crop")
        shard.batches_per_epoch(self._num_crops)

    @property
    def _num_crops(self) -> int:
        return len(self.indices) * self.crops.per_image

    def __len__(self) -> int:
        """Returns the number of batches per epoch."""
        return self.shard.batches_per_epoch(self._num_crops)

    def __str__(self) -> str:
        pairs = "" if self._datasets[1] is None else " pairs"
        return (
            f"{len(self.indices):,}{pairs}, {self.crops.per_image} random {self.crops.resolution}-pixel crops of each"
        )

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yields `pixel_values` (uint8) and, for pairs, `small_pixel_values`."""
        positions = torch.rand(self._num_crops, 2, generator=seeded_generator(self.shard.seed, "crops", epoch))
        reductions = torch.tensor(self.crops.reductions)[
            torch.randint(
                len(self.crops.reductions),
                (self._num_crops,),
                generator=seeded_generator(self.shard.seed, "reductions", epoch),
            )
        ]

        def crop(number: int) -> list[np.ndarray]:
            place = number // self.crops.per_image
            return self._crop(place, reductions[number].item(), *positions[number].tolist())

        batches = self.shard.batch_indices(self._num_crops, epoch, start)
        for futures in in_background(batches, lambda numbers: [self._pool.submit(crop, n) for n in numbers.tolist()]):
            crops = zip(*(future.result() for future in futures))
            tensors = [torch.from_numpy(np.stack(images)).to(self.device) for images in crops]
            yield dict(zip(("pixel_values", "small_pixel_values"), tensors))

    def _crop(self, place: int, reduction: float, down: float, right: float) -> list[np.ndarray]:
        large, small = self._readable(place, reduction)
        side, scale = self.crops.resolution, self.crops.scale_factor
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

    def _readable(self, place: int, reduction: float) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the image at a place of `indices`, or the next one instead of a damaged one that is to be skipped."""
        for step in range(len(self.indices)):
            index = self.indices[(place + step) % len(self.indices)]
            images = self._kept.get((index, reduction)) or self._read(index, reduction)
            if images is not None:
                return images
        raise BadImageError(f"None of the {len(self.indices):,} images can be read.")

    def _read(self, index: int, reduction: float) -> tuple[np.ndarray, np.ndarray | None] | None:
        if index in self._damaged:
            return None
        images = read_pair(*self._datasets, index, self._requirements, self.skip_bad_images)
        if images is None:
            self._damaged.add(index)
            self.bad_images.add(image_name(self._datasets[0].dataset[index]["image"], index))
            return None
        if reduction < 1:
            images = _reduced(images[0], reduction, self.crops.resolution), None
        if self.crops.degradation is not None:
            images = images[0], _whole_small(images[0], self.crops.degradation)
        num_bytes = sum(pixels.nbytes for pixels in images if pixels is not None)
        if num_bytes <= self._free_bytes and (index, reduction) not in self._kept:
            self._free_bytes -= num_bytes
            self._kept[index, reduction] = images
        return images


def _reduced(image: np.ndarray, reduction: float, min_side: int) -> np.ndarray:
    """Returns a smaller version of an image, with at least `min_side` pixels on each side."""
    size = [max(min_side, round(reduction * side)) for side in image.shape[1:]]
    whole = torch.from_numpy(image[None].astype(np.float32))
    pixels = F.interpolate(whole, size, mode="bicubic", antialias=True)
    return pixels[0].clamp(0, 255).round().to(torch.uint8).numpy()


def _whole_small(large: np.ndarray, degradation: Degradation) -> np.ndarray:
    """Returns the low-resolution version of an image whose right and bottom are cropped to a multiple of the scale."""
    height, width = (size - size % degradation.scale_factor for size in large.shape[1:])
    whole = torch.from_numpy(np.ascontiguousarray(large[None, :, :height, :width]))
    return degrade(whole, degradation, torch.zeros(1, 3))[0].numpy()
