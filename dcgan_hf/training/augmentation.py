# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Differentiable augmentation of what the discriminator sees (DiffAugment: Zhao et al., 2020,
https://huggingface.co/papers/2006.10738): of real images, so that it cannot learn few of them by heart, and of generated ones
in the same way, so that the generator does not learn the augmentation.
"""

import torch


NUM_RANDOM_NUMBERS = 7  # an image
_SHIFT = 1 / 8  # of the image's size, at most
_HOLE = 1 / 2


def _change_color(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """Brightness by -0.5 to 0.5, saturation by a factor of 0 to 2, contrast by one of 0.5 to 1.5, in this order."""
    brightness, saturation, contrast = (numbers[:, None, None, None] for numbers in randoms[:, :3].unbind(1))
    pixel_values = pixel_values + (brightness - 0.5)
    grey = pixel_values.mean(1, keepdim=True)
    pixel_values = grey + (pixel_values - grey) * (2 * saturation)
    mean = pixel_values.mean((1, 2, 3), keepdim=True)
    return mean + (pixel_values - mean) * (contrast + 0.5)


def _translate(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """Shifts by up to an eighth of the size. What comes in from outside is 0, mid-grey."""
    for dim, numbers in ((2, randoms[:, 3]), (3, randoms[:, 4])):
        size = pixel_values.shape[dim]
        farthest = round(size * _SHIFT)
        shifts = (numbers * (2 * farthest + 1)).floor().long() - farthest
        sources = torch.arange(size, device=pixel_values.device) + shifts[:, None]
        shape = (-1, 1, size, 1) if dim == 2 else (-1, 1, 1, size)
        # Each pixel is taken once, so that the gradient does not depend on the order of sums.
        moved = pixel_values.gather(dim, (sources % size).view(shape).expand_as(pixel_values))
        pixel_values = moved * ((sources >= 0) & (sources < size)).view(shape)
    return pixel_values


def _cut_out(pixel_values: torch.Tensor, randoms: torch.Tensor) -> torch.Tensor:
    """A square of half the size, which may reach over the edge, becomes 0."""
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
            Images in [-1, 1]. Colours may leave the range.
        randoms (`torch.Tensor` of shape `(batch_size, 7)`):
            Numbers in [0, 1), which decide how.
        names (`list[str]`):
            What is done, one after the other: "color", "translation", "cutout". (The paper's own order.)
    """
    for name in names:
        pixel_values = AUGMENTATIONS[name](pixel_values, randoms)
    return pixel_values.contiguous(memory_format=torch.channels_last)
