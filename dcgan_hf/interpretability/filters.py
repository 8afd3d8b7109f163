# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
What the filters of a discriminator look for: the patches of images that activate them most (DCGAN paper, section 6.2 and
figure 5).
"""

import copy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import PIL.Image
import torch
from torch import nn

from ..modeling_dcgan import DCGANEncoder
from ..pipeline_dcgan import MAX_PIXELS_PER_FORWARD
from .attribution import Units, attribute, check_layer, evaluation_copy


Encoder = TypeVar("Encoder", bound=DCGANEncoder)
# Smaller patches are drawn larger, with a whole number of pixels for each.
_SMALLEST_DRAWN = 32


@dataclass
class ReceptiveField:
    r"""
    The pixels that the units of a layer see. The unit in row `y` and column `x` sees those from row `offset + y * stride` and
    column `offset + x * stride`.

    Args:
        size (`int`):
            Side of the square in pixels.
        stride (`int`):
            How far apart the squares of neighbouring units are.
        offset (`int`):
            Where the first one begins: 0, or negative, as it reaches out of the image.
    """

    size: int
    stride: int
    offset: int


@dataclass
class FilterPatches:
    r"""
    The patches that activate filters most.

    Args:
        layer (`int`):
            The convolution, from 0.
        filters (`list[int]`):
            The filters, those whose activation differs most between images first.
        image_indices (`torch.LongTensor` of shape `(num_filters, num_patches)`):
            Which images the patches are from, those with the highest activation first.
        positions (`torch.LongTensor` of shape `(num_filters, num_patches, 2)`):
            Row and column of the unit in the feature map.
        activations (`torch.Tensor` of shape `(num_filters, num_patches)`):
            Activation of the unit.
        patches (`torch.Tensor` of shape `(num_filters, num_patches, num_channels, size, size)`):
            All that the unit sees, values in [-1, 1], and 0 (as the first convolution pads) outside of the image.
        gradients (`torch.Tensor` of shape `(num_filters, num_patches, num_channels, size, size)`):
            Guided gradients of the unit's activation, and 0 outside of the image.
    """

    layer: int
    filters: list[int]
    image_indices: torch.Tensor
    positions: torch.Tensor
    activations: torch.Tensor
    patches: torch.Tensor
    gradients: torch.Tensor


def receptive_field(network: DCGANEncoder, layer: int) -> ReceptiveField:
    r"""
    What the units of a layer see, from the kernels, strides and paddings of the convolutions up to it.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        layer (`int`):
            The convolution, from 0.

    Raises:
        ValueError: if there is no such layer.
    """
    check_layer(network, layer)
    field = ReceptiveField(size=1, stride=1, offset=0)
    convolutions = [module for module in network.layers.modules() if isinstance(module, nn.Conv2d)]
    for convolution in convolutions[: layer + 1]:
        field.offset -= int(convolution.padding[0]) * field.stride
        field.size += (convolution.kernel_size[0] - 1) * field.stride
        field.stride *= convolution.stride[0]
    return field


def untrained(network: Encoder, seed: int = 0) -> Encoder:
    r"""
    A network of the same kind with random weights, whose filters the paper compares with.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network, which stays as it is.
        seed (`int`, *optional*, defaults to 0):
            Seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(network)(copy.deepcopy(network.config)).to(network.device).eval()


@torch.no_grad()
def peak_activations(
    network: DCGANEncoder, pixel_values: torch.Tensor, layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    The highest activation of each filter of a layer in each image, and where it is.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images, values in [-1, 1].
        layer (`int`):
            The convolution, from 0.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]` on the CPU: activations of shape `(num_images, num_filters)`, and row and column in the
        feature map, `torch.LongTensor` of shape `(num_images, num_filters, 2)`.

    Raises:
        ValueError: if there is no such layer.
    """
    check_layer(network, layer)
    evaluated = evaluation_copy(network)
    parts = []
    for chunk in pixel_values.split(max(1, MAX_PIXELS_PER_FORWARD // pixel_values[0, 0].numel())):
        maps = evaluated.encode(chunk.to(network.device, torch.float32))[layer]
        peaks, places = maps.flatten(2).max(2)
        parts.append((peaks.cpu(), torch.stack([places // maps.shape[3], places % maps.shape[3]], 2).cpu()))
    activations, positions = (torch.cat(results) for results in zip(*parts))
    return activations, positions


@torch.no_grad()
def top_patches(
    network: DCGANEncoder, pixel_values: torch.Tensor, layer: int, num_filters: int = 8, num_patches: int = 9
) -> FilterPatches:
    r"""
    The patches of images that activate the filters of a layer most, and what in them does (DCGAN paper, figure 5). One patch
    of each image at most, where its activation is highest, so that patches are not all of one object.

    The filters are those whose highest activation in an image has the largest variance over the images. Those that are above 0
    in fewer images than there are patches to show are left out.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images, values in [-1, 1]. Thousands of them, best on the CPU: the network sees them in chunks.
        layer (`int`):
            The convolution, from 0.
        num_filters (`int`, *optional*, defaults to 8):
            How many filters. There are fewer in the result if fewer are active.
        num_patches (`int`, *optional*, defaults to 9):
            How many patches for each.

    Returns:
        [`FilterPatches`], on the CPU.

    Raises:
        ValueError: if there is no such layer, not so many filters or images, or no active filter.
    """
    width = check_layer(network, layer)
    if not 1 <= num_filters <= width:
        raise ValueError(f"`num_filters` must be from 1 to {width}, the filters of layer {layer}, got {num_filters}.")
    if not 1 <= num_patches <= len(pixel_values):
        raise ValueError(
            f"`num_patches` must be from 1 to {len(pixel_values)}, the number of images, got {num_patches}."
        )
    peaks, places = peak_activations(network, pixel_values, layer)

    active = (peaks > 0).sum(0) >= num_patches
    if not active.any():
        raise ValueError(f"`layer={layer}` has no filter that is active in `num_patches={num_patches}` images.")
    ranked = peaks.var(0, correction=0).masked_fill(~active, -1).argsort(descending=True, stable=True)
    filters = ranked[: min(num_filters, int(active.sum()))]
    activations, image_indices = peaks[:, filters].T.topk(num_patches)
    positions = places[image_indices, filters[:, None]]

    images = pixel_values[image_indices.flatten().to(pixel_values.device)].float()
    units = Units(layer, filters.repeat_interleave(num_patches), positions.flatten(0, 1))
    gradients = attribute(network, images, "guided_backprop", units=units)
    field = receptive_field(network, layer)
    shape = (len(filters), num_patches)
    return FilterPatches(
        layer,
        filters.tolist(),
        image_indices,
        positions,
        activations,
        _cut_out(images.cpu(), units.positions, field).unflatten(0, shape),
        _cut_out(gradients.cpu(), units.positions, field).unflatten(0, shape),
    )


def patch_grid(patches: FilterPatches) -> PIL.Image.Image:
    r"""
    Draws patches, one row for each filter: on the left the patches, on the right their guided gradients. Gradients are drawn
    around grey, to one scale within a row.

    Args:
        patches ([`FilterPatches`]):
            What to draw.
    """
    largest = patches.gradients.abs().amax((1, 2, 3, 4), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    values = torch.stack([patches.patches, patches.gradients / largest], 1)  # filters, kind, patches, ...
    scale = -(-_SMALLEST_DRAWN // values.shape[-1])
    values = values.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    # A white line around each, and a wide one between patches and gradients.
    values = nn.functional.pad(values, (1, 1, 1, 1), value=1.0)
    rows = values.permute(0, 3, 4, 1, 2, 5).flatten(4)  # filters, channels, height, kind, width of all patches
    rows = nn.functional.pad(rows, (3, 3), value=1.0).flatten(3)
    array = np.asarray(((rows.permute(0, 2, 3, 1).flatten(0, 1) + 1) * 127.5).round().clamp(0, 255).byte())
    return PIL.Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def _cut_out(images: torch.Tensor, positions: torch.Tensor, field: ReceptiveField) -> torch.Tensor:
    padded = nn.functional.pad(images, (field.size,) * 4)
    starts = field.size + field.offset + positions * field.stride
    return torch.stack(
        [
            image[:, top : top + field.size, left : left + field.size]
            for image, (top, left) in zip(padded, starts.tolist())
        ]
    )
