# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Convolutions with fewer multiplications (Lavin and Gray, 2016, https://huggingface.co/papers/1509.09308, section 4).

A convolution multiplies polynomials, whose coefficients are pixels and weights. A product of polynomials follows from
its values at a few points, so `points` multiplications per dimension suffice for `points + 1 - taps` pixels of the
output, instead of `taps` for each. A convolution of stride 2 first splits its input into phases, the even and odd rows
and columns: with 4x4 weights, it then has 2 taps. 5 points give 4x4 pixels with 25 instead of 64 multiplications,
3 points give 2x2 pixels with 9 instead of 16.

The steps are linear maps between pixels and tiles, and one batch of matrix products. Their adjoints, in reverse order,
are the transposed convolution and the gradients. So autograd differentiates the steps, any number of times.
"""

import math
from typing import Any

import torch

from .tiles import Tiling, library, to_pixels, to_tiles


# Evaluating at -1 and 2 enlarges rounding errors: in bf16, 5 points would have 7 times the usual error.
_POINTS = {torch.float32: (3, 5), torch.bfloat16: (3,)}


def usable_points(kernel_size: tuple[int, int], stride: tuple[int, int], dtype: torch.dtype) -> list[int]:
    r"""
    Returns the numbers of points with which this module can compute a convolution on this machine.

    Args:
        kernel_size, stride (`tuple[int, int]`):
            Size of the weights, and stride.
        dtype (`torch.dtype`):
            Type of the matrix products.
    """
    taps, rest = divmod(kernel_size[0], stride[0])
    if (
        rest
        or taps < 2
        or len({kernel_size, stride}) > 2
        or kernel_size[0] != kernel_size[1]
        or stride[0] != stride[1]
    ):
        return []
    usable = [points for points in _POINTS.get(dtype, ()) if points + 1 - taps >= 2]
    return usable if usable and library() is not None else []


def weight_tiles(weight: torch.Tensor, points: int, stride: int, dtype: torch.dtype) -> torch.Tensor:
    """Returns the values of the weights' polynomials."""
    taps = weight.shape[2] // stride
    weight = weight if weight.dtype in _POINTS else weight.to(dtype)
    return to_tiles(weight, Tiling(points, taps, taps, stride, 0, 1, 1), dtype)


def _tilings(
    small: tuple[int, ...], tiles: torch.Tensor, taps: int, stride: int, padding: int
) -> tuple[Tiling, Tiling]:
    """Returns the tiles of the large and the small feature maps of a convolution."""
    points = math.isqrt(len(tiles))
    step = points + 1 - taps
    rows, columns = (-(-size // step) for size in small[2:])
    large = Tiling(points, points, step, stride, padding, rows, columns)
    return large, Tiling(points, step, step, 1, 0, rows, columns)


class _Products(torch.autograd.Function):
    """Products of tiles and the transposed tiles of weights. PyTorch would compute the latter's gradient transposed."""

    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(maps, weights)
        return torch.bmm(maps, weights.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (maps, weights) = gradients, ctx.saved_tensors
        return (
            torch.bmm(gradient, weights) if is_needed(ctx, 0) else None,
            torch.bmm(gradient.mT, maps) if is_needed(ctx, 1) else None,
        )


def is_needed(ctx: Any, index: int) -> bool:
    """Returns whether this backward pass needs a tensor's gradient. (`ctx.needs_input_grad`: whether any pass may.)"""
    node = ctx.next_functions[index][0] if index < len(ctx.next_functions) else None  # there may be no bias
    return node is not None and torch._C._will_engine_execute_node(node)


def convolution(
    large: torch.Tensor, tiles: torch.Tensor, bias: torch.Tensor | None, taps: int, stride: int, padding: int
) -> torch.Tensor:
    r"""
    Computes a convolution.

    Args:
        large (`torch.Tensor` of shape `(batch_size, in_channels, height, width)`):
            Input, of the type of `tiles`.
        tiles (`torch.Tensor`):
            Result of [`weight_tiles`].
        bias (`torch.Tensor` of shape `(out_channels,)`, *optional*):
            Bias.
        taps, stride, padding (`int`):
            The kernel's size is `taps * stride`.
    """
    height, width = ((size + 2 * padding - taps * stride) // stride + 1 for size in large.shape[2:])
    shape = torch.Size((len(large), tiles.shape[1], height, width))
    of_large, of_small = _tilings(shape, tiles, taps, stride, padding)
    return to_pixels(_Products.apply(to_tiles(large, of_large), tiles), of_small, shape, bias)


def transposed_convolution(
    small: torch.Tensor,
    tiles: torch.Tensor,
    bias: torch.Tensor | None,
    taps: int,
    stride: int,
    padding: int,
    size: torch.Size,
) -> torch.Tensor:
    r"""
    Computes a transposed convolution.

    Args:
        small (`torch.Tensor` of shape `(batch_size, in_channels, height, width)`):
            Input, of the type of `tiles`.
        tiles (`torch.Tensor`):
            Result of [`weight_tiles`].
        bias (`torch.Tensor` of shape `(out_channels,)`, *optional*):
            Bias.
        taps, stride, padding (`int`):
            The kernel's size is `taps * stride`.
        size (`torch.Size`):
            Height and width of the output.
    """
    of_large, of_small = _tilings(small.shape, tiles, taps, stride, padding)
    shape = torch.Size((len(small), tiles.shape[2] // stride**2, *size))
    return to_pixels(torch.bmm(to_tiles(small, of_small), tiles), of_large, shape, bias)
