# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Originals, their low-resolution versions, and upscaling by interpolation or a model. Images may have any size."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import PIL.Image
import torch

from ..data.bad_images import BadImageError
from ..data.datasets import ImageDataset
from ..data.degradation import Degradation, degrade
from ..data.whole_images import Requirements, read_pair, usable_images
from ..pictures import to_bytes, to_pil
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline


# `torch.ByteTensor` of shape `(num_images, num_channels, height, width)`, or, for different sizes, a list of tensors
# of shape `(num_channels, height, width)`.
Images = torch.Tensor | list[torch.Tensor]

# Interpolation with Pillow, which needs no training.
BASELINES = {
    "nearest": PIL.Image.Resampling.NEAREST,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "lanczos": PIL.Image.Resampling.LANCZOS,
}
# Torchmetrics mirrors 5 pixels at each border for SSIM, for its window of 11.
MIN_SIDE = 6
# Maximum number of values in a batch of the first set of images.
_VALUES_AT_ONCE = 2**18


def decode_whole_images(
    image_dataset: ImageDataset,
    small_dataset: ImageDataset | None,
    num_channels: int,
    scale_factor: int,
    skip_bad_images: bool = False,
) -> tuple[list[torch.Tensor], list[torch.Tensor] | None, list[int]]:
    r"""
    Decodes images at their original sizes. Without low-resolution versions, they are cropped at the right and bottom to
    multiples of the scale factor. Must be called by all processes.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        small_dataset ([`ImageDataset`], *optional*):
            Low-resolution versions of the images, in the same order.
        num_channels (`int`):
            Number of image channels.
        scale_factor (`int`):
            Ratio of the width and height of an image to those of its low-resolution version.
        skip_bad_images (`bool`, *optional*, defaults to `False`):
            Whether to skip images and pairs that cannot be read, are too small for SSIM or do not fit.

    Returns:
        `tuple[list[torch.Tensor], list[torch.Tensor] | None, list[int]]`: `torch.ByteTensor`s of shape `(num_channels,
        height, width)`, the low-resolution versions, and the indices of the images.

    Raises:
        BadImageError: if there are such images, and they are not to be skipped, or if no other image is left.
    """
    step = 1 if small_dataset else scale_factor
    min_side = -(-MIN_SIDE // step) * step
    requirements = Requirements(num_channels, scale_factor, min_side, needed(min_side))
    indices, large, small = [], [], []
    for index, pixels, small_pixels in read_whole_images(image_dataset, small_dataset, requirements, skip_bad_images):
        indices.append(index)
        large.append(pixels)
        if small_pixels is not None:
            small.append(small_pixels)
    return large, small if small_dataset else None, indices


def needed(min_side: int) -> str:
    """Returns the purpose of [`Requirements`] for images to measure."""
    return f"to measure: at least {min_side} are needed"


def read_whole_images(
    image_dataset: ImageDataset, small_dataset: ImageDataset | None, requirements: Requirements, skip_bad_images: bool
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor | None]]:
    r"""
    Reads images at their original sizes, one after the other, after a look at the sizes of all. Each is cropped at the
    right and bottom to the size of its low-resolution version times the scale factor or, without one, to multiples of
    the scale factor. Must be called by all processes.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        small_dataset ([`ImageDataset`], *optional*):
            Low-resolution versions of the images, in the same order.
        requirements ([`Requirements`]):
            What images and pairs must fulfil.
        skip_bad_images (`bool`):
            Whether to skip those that do not.

    Yields:
        `tuple[int, torch.Tensor, torch.Tensor | None]`: index of an image, and `torch.ByteTensor`s of shape
        `(num_channels, height, width)`: the image and its low-resolution version.

    Raises:
        BadImageError: if there are such images, and they are not to be skipped, or if no other image is left.
    """
    scale = requirements.scale_factor
    indices, _ = usable_images(image_dataset, small_dataset, requirements, skip_bad_images)
    num_read = 0
    for index in indices:
        pair = read_pair(image_dataset, small_dataset, index, requirements, skip_bad_images)
        if pair is None:
            continue
        num_read += 1
        pixels, small = pair
        height, width = (
            (size - size % scale for size in pixels.shape[1:])
            if small is None
            else (scale * size for size in small.shape[1:])
        )
        cropped = torch.from_numpy(pixels[:, :height, :width].copy())
        yield index, cropped, None if small is None else torch.from_numpy(small.copy())
    if not num_read:
        raise BadImageError(f"None of the {len(indices)} images can be read.")


def join_if_of_one_size(images: list[torch.Tensor]) -> Images:
    """Stacks images into one tensor, unless they have different sizes."""
    return torch.stack(images) if len({image.shape for image in images}) == 1 else images


def make_small(real: Images, scale_factor: int, method: Literal["bicubic", "area"]) -> Images:
    """Downscales images without further degradation (see [`Degradation`]), rounded to uint8."""
    degradation = Degradation(scale_factor, method)
    return by_batches(lambda images: degrade(images, degradation, torch.zeros(len(images), 3)), real)


def interpolate(small: Images, scale_factor: int, resample: PIL.Image.Resampling) -> Images:
    """Upscales images with Pillow."""

    def enlarge(images: torch.Tensor) -> torch.Tensor:
        size = (scale_factor * images.shape[3], scale_factor * images.shape[2])
        arrays = [np.array(image.resize(size, resample)) for image in to_pil(images)]
        return torch.from_numpy(np.stack(arrays)).reshape(len(images), *size[::-1], -1).permute(0, 3, 1, 2)

    return by_batches(enlarge, small)


def upscale(pipe: DCGANSuperResolutionPipeline, small: Images, self_ensemble: bool = False) -> Images:
    """Upscales images with a model, rounded to uint8 as in a file."""

    def enlarge(images: torch.Tensor) -> torch.Tensor:
        (enlarged,) = pipe(images, output_type="pt", return_dict=False, self_ensemble=self_ensemble)
        return to_bytes(enlarged)

    return by_batches(enlarge, small)


def by_batches(function: Callable[..., torch.Tensor], *sets: Images) -> Images:
    """Applies a function to batches of each set of images. Images of different sizes are passed one by one and
    returned as a list."""
    if isinstance(sets[0], list):
        return [function(*(image[None] for image in images))[0] for images in zip(*sets, strict=True)]
    number = max(1, _VALUES_AT_ONCE // sets[0][0].numel())
    return torch.cat(
        [
            function(*batches)
            for batches in zip(*(torch.as_tensor(images).split(number) for images in sets), strict=True)
        ]
    )
