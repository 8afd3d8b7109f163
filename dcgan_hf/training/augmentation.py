# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Differentiable augmentation of the discriminator's inputs (DiffAugment: Zhao et al., 2020,
https://huggingface.co/papers/2006.10738). Real images are augmented so that the discriminator cannot memorise a small
dataset, generated images so that the generator does not learn the augmentation.
"""

import torch


NUM_RANDOM_NUMBERS = 7  # per image
_SHIFT = 1 / 8  # maximum, as a share of the image size
_HOLE = 1 / 2


def _change_color(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """Shifts brightness by -0.5 to 0.5, then scales saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    brightness, saturation, contrast = (numbers[:, None, None, None] for numbers in randoms[:, :3].unbind(1))
    pixel_values = pixel_values + (brightness - 0.5)
    grey = pixel_values.mean(1, keepdim=True)
    pixel_values = grey + (pixel_values - grey) * (2 * saturation)
    mean = pixel_values.mean((1, 2, 3), keepdim=True)
    return mean + (pixel_values - mean) * (contrast + 0.5)


def _translate(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """Shifts images by up to an eighth of their size. Vacated pixels become 0, mid-grey."""
    for dim, numbers in ((2, randoms[:, 3]), (3, randoms[:, 4])):
        size = pixel_values.shape[dim]
        farthest = round(size * _SHIFT)
        shifts = (numbers * (2 * farthest + 1)).floor().long() - farthest
        sources = torch.arange(size, device=pixel_values.device) + shifts[:, None]
        shape = (-1, 1, size, 1) if dim == 2 else (-1, 1, 1, size)
        # Each pixel is gathered once, so that the gradient does not depend on the order of sums.
        moved = pixel_values.gather(dim, (sources % size).view(shape).expand_as(pixel_values))
        pixel_values = moved * ((sources >= 0) & (sources < size)).view(shape)
    return pixel_values


def _cut_out(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """Sets a square of half the image size to 0. It may extend beyond the edge."""
    inside = []
    for size, numbers in zip(pixel_values.shape[2:], randoms[:, 5:7].unbind(1)):
        length = round(size * _HOLE)
        starts = (numbers * (size + 1)).floor() - length // 2
        positions = torch.arange(size, device=pixel_values.device)
        inside.append((positions >= starts[:, None]) & (positions < starts[:, None] + length))
    return pixel_values * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


AUGMENTATIONS = {"color": _change_color, "translation": _translate, "cutout": _cut_out}


def diff_augment(pixel_values: torch.Tensor, randoms: torch.Tensor, names: list[str]) -> torch.Tensor:
    r"""
    Augments images.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images in [-1, 1]. "color" may leave this range.
        randoms (`torch.Tensor` of shape `(batch_size, 7)`):
            Random numbers in [0, 1) that determine the augmentation.
        names (`list[str]`):
            Augmentations to apply, in order. The paper's order is "color", "translation", "cutout".
    """
    for name in names:
        pixel_values = AUGMENTATIONS[name](pixel_values, randoms)
    return pixel_values.contiguous(memory_format=torch.channels_last)
