# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Filters of a discriminator, shown by the image patches that activate them most (DCGAN paper, section 6.2 and figure 5).
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
# Side in pixels. Smaller patches are enlarged by an integer factor.
_SMALLEST_DRAWN = 32


@dataclass
class ReceptiveField:
    r"""
    Receptive fields of a layer's units. That of the unit in row `y` and column `x` is a square whose top left pixel is
    in row `offset + y * stride` and column `offset + x * stride`.

    Args:
        size (`int`):
            Side of the square in pixels.
        stride (`int`):
            Distance in pixels between the squares of neighbouring units.
        offset (`int`):
            Start of the first square: 0, or negative if it extends beyond the image.
    """

    size: int
    stride: int
    offset: int


@dataclass
class FilterPatches:
    r"""
    Image patches that activate filters most.

    Args:
        layer (`int`):
            Index of the convolution, from 0.
        filters (`list[int]`):
            The filters, in descending order of how much their activation varies between images.
        image_indices (`torch.LongTensor` of shape `(num_filters, num_patches)`):
            Image of each patch, in descending order of activation.
        positions (`torch.LongTensor` of shape `(num_filters, num_patches, 2)`):
            Row and column of each unit in the feature map.
        activations (`torch.Tensor` of shape `(num_filters, num_patches)`):
            Activation of each unit.
        patches (`torch.Tensor` of shape `(num_filters, num_patches, num_channels, size, size)`):
            Receptive field of each unit, values in [-1, 1]. 0 outside of the image, as the first convolution pads.
        gradients (`torch.Tensor` of shape `(num_filters, num_patches, num_channels, size, size)`):
            Guided gradients of each unit's activation. 0 outside of the image.
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
    Computes the receptive field of a layer from the kernels, strides and paddings of the convolutions up to it.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        layer (`int`):
            Index of the convolution, from 0.

    Raises:
        ValueError: if the layer does not exist.
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
    Returns a network with the same config and random weights, whose filters serve as the paper's baseline.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network, which stays unchanged.
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
    Returns the highest activation of each filter of a layer in each image, and its position.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images, values in [-1, 1].
        layer (`int`):
            Index of the convolution, from 0.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]` on the CPU: activations of shape `(num_images, num_filters)`, and row and
        column in the feature map, `torch.LongTensor` of shape `(num_images, num_filters, 2)`.

    Raises:
        ValueError: if the layer does not exist.
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
    Finds the image patches that activate the filters of a layer most, with their guided gradients (DCGAN paper,
    figure 5). Each image contributes at most one patch per filter, where its activation is highest, so that patches do
    not all show the same object.

    The filters are those whose peak activation has the largest variance over the images. Filters that are above 0 in
    fewer than `num_patches` images are skipped.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images, values in [-1, 1]. Pass thousands, preferably on the CPU: they are processed in chunks.
        layer (`int`):
            Index of the convolution, from 0.
        num_filters (`int`, *optional*, defaults to 8):
            Maximum number of filters. The result has fewer if fewer are active.
        num_patches (`int`, *optional*, defaults to 9):
            Number of patches per filter.

    Returns:
        [`FilterPatches`], on the CPU.

    Raises:
        ValueError: if the layer does not exist, has too few filters or no active one, or if there are too few images.
    """
    width = check_layer(network, layer)
    if not 1 <= num_filters <= width:
        raise ValueError(f"`num_filters` must be from 1 to {width} for layer {layer}, got {num_filters}.")
    if not 1 <= num_patches <= len(pixel_values):
        raise ValueError(
            f"`num_patches` must be from 1 to {len(pixel_values)}, the number of images, got {num_patches}."
        )
    peaks, places = peak_activations(network, pixel_values, layer)

    active = (peaks > 0).sum(0) >= num_patches
    if not active.any():
        raise ValueError(
            f"`layer={layer}` has no filter that is active in `num_patches={num_patches}` images. Use fewer patches."
        )
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
    Draws one row per filter: patches on the left, their guided gradients on the right. A gradient of 0 is grey. All
    gradients of a row share one scale.

    Args:
        patches ([`FilterPatches`]):
            The patches to draw.
    """
    largest = patches.gradients.abs().amax((1, 2, 3, 4), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    values = torch.stack([patches.patches, patches.gradients / largest], 1)  # filters, kind, patches, ...
    scale = -(-_SMALLEST_DRAWN // values.shape[-1])
    values = values.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    # Thin white lines around patches, a wide one between patches and gradients.
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
