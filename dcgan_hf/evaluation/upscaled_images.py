# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Originals, their low-resolution versions, and upscaling by interpolation or a model. Images may have any size."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import PIL.Image
import torch

from ..data.datasets import ImageDataset
from ..data.decoding import read_whole_image
from ..data.degradation import Degradation, degrade
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
# Maximum number of values in a batch of the first set of images.
_VALUES_AT_ONCE = 2**18


def decode_whole_images(image_dataset: ImageDataset, num_channels: int, scale_factor: int = 1) -> list[torch.Tensor]:
    r"""
    Decodes images at their original sizes, cropped at the right and bottom to multiples of the scale factor.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        num_channels (`int`):
            Number of image channels.
        scale_factor (`int`, *optional*, defaults to 1):
            Divisor of the resulting height and width.

    Returns:
        `list[torch.Tensor]`: `torch.ByteTensor`s of shape `(num_channels, height, width)`.

    Raises:
        ValueError: if an image cannot be read or is smaller than the scale factor.
    """
    images = []
    for i, example in enumerate(image_dataset.dataset):
        pixels = read_whole_image(example["image"], num_channels, i)
        height, width = (size - size % scale_factor for size in pixels.shape[1:])
        if not width or not height:
            raise ValueError(
                f"Image number {i} is {pixels.shape[2]}x{pixels.shape[1]} pixels, smaller than the scale factor"
                f" {scale_factor}."
            )
        images.append(torch.from_numpy(pixels[:, :height, :width].copy()))
    return images


def join_if_of_one_size(images: list[torch.Tensor]) -> Images:
    """Stacks images into one tensor, unless they have different sizes."""
    return torch.stack(images) if len({image.shape for image in images}) == 1 else images


def check_pairs(real: list[torch.Tensor], small: list[torch.Tensor], scale_factor: int) -> None:
    """Raises a `ValueError` if the sizes of an image and its low-resolution version do not match the scale factor."""
    for i, (large, little) in enumerate(zip(real, small, strict=True)):
        if large.shape[1:] != tuple(scale_factor * size for size in little.shape[1:]):
            raise ValueError(
                f"Image number {i} is {large.shape[2]}x{large.shape[1]} pixels and its low-resolution version"
                f" {little.shape[2]}x{little.shape[1]}. It must be {scale_factor} times as wide and high."
            )


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


def upscale(pipe: DCGANSuperResolutionPipeline, small: Images) -> Images:
    """Upscales images with a model, rounded to uint8 as in a file."""

    def enlarge(images: torch.Tensor) -> torch.Tensor:
        (enlarged,) = pipe(images, output_type="pt", return_dict=False)
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
