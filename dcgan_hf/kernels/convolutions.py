# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Convolutions for training on CPUs. [`FastConvolutions`] computes each convolution in the way that `autotune.py` found to be
the fastest, with the same result up to rounding (figures: docs/explanation/benchmarks/convolutions.md):

- `pytorch`: PyTorch's own kernels.
- `winograd_3`, `winograd_5`: fewer multiplications, see `winograd.py`.
- `pixel_shuffle`: a transposed convolution to the few channels of an image as an ordinary convolution whose output is
  rearranged (Shi et al., 2016, https://huggingface.co/papers/1609.05158). It outputs the image in the generator, and
  propagates gradients to the pixels in the discriminator.
- `gradient_product`, `product`: the gradient of the weights as one matrix product, or the convolution, too. In bf16 only:
  PyTorch's kernel sums up this gradient in fp32, which exceeds a core's cache if the weights are large.

All feature maps and their gradients stay channels-last, also next to linear layers and grey images, where PyTorch would
choose another layout: functions of two tensors with different layouts are about 15 times slower.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_weight
from torch.overrides import TorchFunctionMode

from .winograd import convolution, is_needed, transposed_convolution, usable_points, weight_tiles


_FEW_CHANNELS = 4
# Arguments after the padding: dilation and groups; output padding, groups and dilation.
_USUAL_OPTIONS = {torch.conv2d: [(1, 1), 1], torch.conv_transpose2d: [(0, 0), 1, (1, 1)]}


class ConvolutionShape(NamedTuple):
    """Facts on which the fastest way to compute a convolution depends, apart from batch size, precision and machine."""

    is_transposed: bool
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    size: tuple[int, int]

    def __str__(self) -> str:
        kernel, stride, padding, size = ("x".join(map(str, values)) for values in self[3:])
        kind = "transposed convolution" if self.is_transposed else "convolution"
        channels = f"{self.in_channels} to {self.out_channels} channels"
        return f"{kind}, {channels}, kernel {kernel}, stride {stride}, padding {padding}, {size} pixels"

    @classmethod
    def of_call(cls, func: Any, args: tuple) -> "ConvolutionShape | None":
        """Returns the shape of a call by a convolutional layer, or `None` for unusual options and other functions."""
        if func not in _USUAL_OPTIONS or list(args[5:]) != _USUAL_OPTIONS[func]:
            return None
        if not all(isinstance(option, tuple) for option in args[3:5]):
            return None
        (maps, weight), is_transposed = args[:2], func is torch.conv_transpose2d
        inputs, outputs = weight.shape[:2] if is_transposed else weight.shape[1::-1]
        return cls(is_transposed, inputs, outputs, tuple(weight.shape[2:]), args[3], args[4], tuple(maps.shape[2:]))

    def ways(self, dtype: torch.dtype) -> list[str]:
        """Returns the ways to compute this convolution on this machine with products in a precision."""
        ways = ["pytorch"]
        is_divisible = (
            self.kernel_size[0] % self.stride[0] == 0 and len({*self.kernel_size}) == len({*self.stride}) == 1
        )
        if (self.out_channels if self.is_transposed else self.in_channels) <= _FEW_CHANNELS:
            return [*ways, *(["pixel_shuffle"] if is_divisible else [])]
        if self.padding[0] == self.padding[1] < self.kernel_size[0]:
            ways += [f"winograd_{points}" for points in usable_points(self.kernel_size, self.stride, dtype)]
        return [*ways, "gradient_product", "product"] if dtype == torch.bfloat16 else ways


class FastConvolutions(TorchFunctionMode):
    r"""
    Context in which networks with `torch.channels_last` weights are faster on the CPU. Autocast and gradients of
    gradients work as usual.

    Args:
        ways (`Mapping[str, str]`, *optional*):
            Way to compute each convolution, by the string of its [`ConvolutionShape`]: the result of
            [`choose_ways`]. All others are left to PyTorch.
        weights_are_constant (`bool`, *optional*, defaults to `False`):
            Whether no weight changes within the context. Then Winograd's algorithm evaluates each only once.

    Example:

    ```python
    >>> with FastConvolutions(ways):
    ...     statistics = update(gan, batches)
    ```
    """

    def __init__(self, ways: Mapping[str, str] | None = None, weights_are_constant: bool = False):
        super().__init__()
        self.ways = {} if ways is None else ways
        # PyTorch does not tell if a weight has changed: a fused optimizer leaves its version as it is. The weights are
        # kept, too, lest another tensor get their id.
        self._tiles: dict[tuple, tuple[torch.Tensor, torch.Tensor]] | None = {} if weights_are_constant else None

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        # `is_needed` has no answer while a compiler traces the operation, and the gradients would be wrong. The
        # transformations of `torch.func` want rules that our operations do not have.
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return func(*args, **(kwargs or {}))
        # Checkpoints of activations compute an operation again outside of this context, and must find the same tensors.
        if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
            return func(*args, **(kwargs or {}))
        if func is torch.Tensor.flatten and args[0].ndim == 4 and args[0].device.type == "cpu":
            return _Flatten.apply(args[0]).flatten(*args[1:], **(kwargs or {}))
        if func is torch.Tensor.unflatten and args[0].device.type == "cpu":
            unflattened = func(*args, **(kwargs or {}))
            return unflattened.contiguous(memory_format=torch.channels_last) if unflattened.ndim == 4 else unflattened
        shape = ConvolutionShape.of_call(func, args)
        way = "pytorch" if shape is None else self.ways.get(str(shape), "pytorch")
        if shape is None or way == "pytorch" or args[0].device.type != "cpu":
            return func(*args, **(kwargs or {}))
        maps, weight, bias, stride, padding = args[:5]
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype
        if way not in shape.ways(dtype) or (dtype != torch.float64 and torch.float64 in (maps.dtype, weight.dtype)):
            return func(*args, **(kwargs or {}))
        if way.startswith("winograd"):
            return self._winograd(shape, int(way[-1]), maps.to(dtype), weight, bias)
        # Views, because `is_needed` does not work for parameters and other leaves of the graph.
        tensors = (values if values is None else values.to(dtype).view_as(values) for values in (maps, weight, bias))
        return (_TransposedConvolution if shape.is_transposed else _Convolution).apply(*tensors, way, stride, padding)

    def _winograd(
        self, shape: ConvolutionShape, points: int, maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        (stride, _), (padding, _) = shape.stride, shape.padding
        taps, key = shape.kernel_size[0] // stride, (id(weight), points, maps.dtype)
        if self._tiles is None:
            tiles = weight_tiles(weight, points, stride, maps.dtype)
        else:
            if key not in self._tiles:
                self._tiles[key] = weight_tiles(weight, points, stride, maps.dtype), weight
            tiles = self._tiles[key][0]
        if shape.is_transposed:
            size = _smallest_size(maps, weight, shape.stride, shape.padding)
            return transposed_convolution(maps, tiles, bias, taps, stride, padding, size)
        return convolution(maps, tiles, bias, taps, stride, padding)


class _Flatten(torch.autograd.Function):
    """Identity with a channels-last gradient."""

    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor) -> torch.Tensor:
        # Where flattening is a view, an in-place activation must not find one of this output.
        return maps.clone() if maps.is_contiguous() else maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0].contiguous(memory_format=torch.channels_last)


# A convolution maps large feature maps to small ones, a transposed convolution small to large. Each is the other's
# gradient. Their weights have the same gradient, of shape (small channels, large channels, kernel size, kernel size).


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, large: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, way: str, *geometry: Any
    ) -> torch.Tensor:
        ctx.save_for_backward(large, weight)
        ctx.way, ctx.geometry = way, geometry
        return _to_small(large, weight, bias, way, *geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (large, weight) = gradients, ctx.saved_tensors
        return (
            _to_large(gradient, weight, None, large.shape[2:], *ctx.geometry) if is_needed(ctx, 0) else None,
            _weight_gradient(large, gradient, weight.shape, ctx.way, *ctx.geometry) if is_needed(ctx, 1) else None,
            gradient.sum((0, 2, 3)) if is_needed(ctx, 2) else None,
            None,
            None,
            None,
        )


class _TransposedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, small: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, way: str, *geometry: Any
    ) -> torch.Tensor:
        ctx.save_for_backward(small, weight)
        ctx.way, ctx.geometry = way, geometry
        return _to_large(small, weight, bias, _smallest_size(small, weight, *geometry), *geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (small, weight) = gradients, ctx.saved_tensors
        return (
            _to_small(gradient, weight, None, ctx.way, *ctx.geometry) if is_needed(ctx, 0) else None,
            _weight_gradient(gradient, small, weight.shape, ctx.way, *ctx.geometry) if is_needed(ctx, 1) else None,
            gradient.sum((0, 2, 3)) if is_needed(ctx, 2) else None,
            None,
            None,
            None,
        )


def _to_small(
    large: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    way: str,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """Computes the convolution. The output is made channels-last, as the layout of grey images is ambiguous."""
    if way == "product":
        patches = _patches(large, weight.shape, stride, padding).flatten(3)
        small = F.linear(patches, weight.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)
        return small.clone()  # a view would not allow in-place activations
    return F.conv2d(large, weight, bias, stride, padding).contiguous(memory_format=torch.channels_last)


def _to_large(
    small: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    size: torch.Size,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """
    Computes the transposed convolution. Pixel `stride * i + phase` of the uncropped result sums over the kernel
    positions `stride * tap + phase`, so each phase is a convolution with every stride-th position, in reverse order.
    """
    step, taps = stride[0], weight.shape[2] // stride[0]
    uncropped = (small.shape[2] + taps - 1) * step
    is_square = small.shape[2] == small.shape[3] and size[0] == size[1] == uncropped - 2 * padding[0]
    if weight.shape[1] > _FEW_CHANNELS or weight.shape[2] % step or not is_square:
        smallest = _smallest_size(small, weight, stride, padding)
        more = tuple(wanted - got for wanted, got in zip(size, smallest))
        return F.conv_transpose2d(small, weight, bias, stride, padding, more)
    phases = weight.unflatten(3, (taps, step)).unflatten(2, (taps, step)).flip(2, 4)
    phases = phases.permute(1, 3, 5, 0, 2, 4).flatten(0, 2).contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.repeat_interleave(step * step)
    large = F.pixel_shuffle(F.conv2d(small, phases, bias, padding=taps - 1), step)
    crop = slice(padding[0], uncropped - padding[0])
    return large[:, :, crop, crop].clone(memory_format=torch.channels_last)


def _smallest_size(
    small: torch.Tensor, weight: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> torch.Size:
    """Returns the smallest input size of a convolution to `small`. Up to `stride - 1` more pixels do not change it."""
    return torch.Size(
        (pixels - 1) * step - 2 * margin + kernel
        for pixels, kernel, step, margin in zip(small.shape[2:], weight.shape[2:], stride, padding)
    )


def _weight_gradient(
    large: torch.Tensor,
    small: torch.Tensor,
    shape: torch.Size,
    way: str,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    if way not in ("gradient_product", "product"):
        return conv2d_weight(large, shape, small, stride, padding)
    patches = _patches(large, shape, stride, padding)
    gradient = small.permute(0, 2, 3, 1).flatten(0, 2).T @ patches.flatten(0, 2).flatten(1)
    return gradient.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)


def _patches(
    large: torch.Tensor, shape: torch.Size, stride: tuple[int, int], padding: tuple[int, int]
) -> torch.Tensor:
    """
    Returns the kernel's input at each position, a view of shape
    (batch, height, width, kernel size, kernel size, channels).
    """
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    return padded.unfold(1, shape[2], stride[0]).unfold(2, shape[3], stride[1]).permute(0, 1, 2, 4, 5, 3)
