# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Super-resolution generator: residual blocks and DCGAN's upsampling layers, added to bicubic upscaling."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel  # noqa: F401 (diffusers looks for a component's base class in its module)
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from .image_processing_dcgan import (  # noqa: F401 (for the pipeline's copied file)
    array_to_pixels,
    orientation_of,
    sixteen_bit_pixels,
    to_srgb,
    turn_upright,
)
from .modeling_dcgan import DCGANPreTrainedModel


@dataclass
class DCGANSuperResolutionOutput(ModelOutput):
    """
    Output of a [`DCGANSuperResolutionGenerator`].

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Upscaled images, float32, `scale_factor` times as high and wide as the input. Values can lie outside of
            [-1, 1].
    """

    pixel_values: torch.Tensor | None = None


class DCGANSuperResolutionBlock(nn.Module):
    """Residual block without normalisation, with or without attention, see [`DCGANSuperResolutionConfig`]."""

    def __init__(self, config: DCGANSuperResolutionConfig):
        super().__init__()
        self.convolution1 = nn.Conv2d(config.hidden_size, config.hidden_size, 3, padding=1)
        self.activation = nn.LeakyReLU(config.leaky_relu_slope, inplace=True)
        self.convolution2 = nn.Conv2d(config.hidden_size, config.hidden_size, 3, padding=1)
        self.attention = None
        if config.block_type == "pixel_attention":
            self.attention = nn.Conv2d(config.hidden_size, config.hidden_size, 1)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        residual = self.convolution2(self.activation(self.convolution1(hidden_states)))
        if self.attention is not None:
            residual = residual * self.attention(residual).sigmoid()
        return hidden_states + residual


class DCGANSuperResolutionUpsampling(nn.Module):
    """Upscales feature maps by a factor of `stride`, then applies the activation function."""

    def __init__(self, config: DCGANSuperResolutionConfig, stride: int):
        super().__init__()
        channels = config.hidden_size
        self.layer: nn.Module
        self.shuffle: nn.Module
        if config.upsampling == "pixel_shuffle":
            self.layer = nn.Conv2d(channels, channels * stride**2, 3, padding=1)
            self.shuffle = nn.PixelShuffle(stride)
        else:
            # A kernel size divisible by the stride avoids checkerboard artefacts (Odena et al., 2016). Twice an even
            # stride, or three times an odd one, is symmetric around the pixel.
            kernel_size = stride * (2 + stride % 2)
            padding = (kernel_size - stride) // 2
            self.layer = nn.ConvTranspose2d(channels, channels, kernel_size, stride, padding)
            self.shuffle = nn.Identity()
        self.activation = nn.LeakyReLU(config.leaky_relu_slope, inplace=True)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.activation(self.shuffle(self.layer(hidden_states)))


class DCGANSuperResolutionGenerator(DCGANPreTrainedModel):
    r"""
    Super-resolution generator for images of any size. A fully convolutional network predicts a residual that is added
    to the bicubic upscaling: residual blocks at low resolution, then transposed convolutions (or pixel shuffles) up to
    high resolution. An untrained network returns the bicubic upscaling. Inherits from [`PreTrainedModel`], which
    documents loading, saving and moving to a device.

    Args:
        config ([`DCGANSuperResolutionConfig`]):
            Configuration of the network. To load weights, use [`~DCGANSuperResolutionGenerator.from_pretrained`].

    Example:

    ```python
    >>> import torch
    >>> from dcgan_hf import DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator

    >>> model = DCGANSuperResolutionGenerator(DCGANSuperResolutionConfig(scale_factor=4))
    >>> model(torch.zeros(1, 3, 20, 30)).pixel_values.shape
    torch.Size([1, 3, 80, 120])
    ```
    """

    config: DCGANSuperResolutionConfig
    config_class = DCGANSuperResolutionConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def __init__(self, config: DCGANSuperResolutionConfig):
        super().__init__(config)
        size = config.hidden_size
        self.first_convolution = nn.Conv2d(config.num_channels, size, 3, padding=1)
        self.blocks = nn.ModuleList(DCGANSuperResolutionBlock(config) for _ in range(config.num_blocks))
        self.last_convolution = nn.Conv2d(size, size, 3, padding=1)
        self.upsampling = nn.ModuleList(
            DCGANSuperResolutionUpsampling(config, stride) for stride in config.upsampling_steps
        )
        # Left to enlarge, by rearranging channels.
        self.stride = config.scale_factor // math.prod(config.upsampling_steps)
        self.image_convolution = nn.Conv2d(size, config.num_channels * self.stride**2, 3, padding=1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            return
        size, slope = self.config.hidden_size, self.config.leaky_relu_slope
        init.zeros_(module.bias)
        if module is self.image_convolution:
            init.zeros_(module.weight)  # the initial residual is 0
        elif any(module is block.convolution2 for block in self.blocks):
            # Blocks start close to the identity, so that deep stacks can be trained.
            init.normal_(module.weight, std=0.1 * (2 / (9 * size)) ** 0.5)
        elif isinstance(module, nn.ConvTranspose2d):
            # Starts as linear interpolation, which has no checkerboard artefacts.
            mixing = nn.init.kaiming_normal_(torch.empty(size, size, device=module.weight.device), a=slope)
            kernel = _linear_kernel(module.kernel_size[0], module.stride[0])
            init.copy_(module.weight, mixing[:, :, None, None] * kernel.to(mixing.device))
        elif module.out_channels > size:
            # Before a pixel shuffle: all output pixels of an input pixel start equal (Aitken et al., 2017, "ICNR").
            weight = nn.init.kaiming_normal_(torch.empty(size, size, 3, 3, device=module.weight.device), a=slope)
            init.copy_(module.weight, weight.repeat_interleave(module.out_channels // size, dim=0))
        else:
            init.kaiming_normal_(module.weight, a=slope)

    @can_return_tuple
    def forward(self, pixel_values: torch.Tensor) -> DCGANSuperResolutionOutput | tuple[torch.Tensor]:
        r"""
        Upscales images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
                Low-resolution images of any size, values in [-1, 1].
            return_dict (`bool`, *optional*):
                Whether to return a [`DCGANSuperResolutionOutput`] instead of a plain tuple.

        Returns:
            [`DCGANSuperResolutionOutput`] or `tuple`: images `scale_factor` times as high and wide. Their values can
            lie outside of [-1, 1].

        Raises:
            ValueError: if `pixel_values` have the wrong number of channels, or no pixels.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != self.config.num_channels or 0 in pixel_values.shape:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, {self.config.num_channels}, height, width), all"
                f" non-zero, got {tuple(pixel_values.shape)}."
            )
        first = self.first_convolution(pixel_values.to(self.first_convolution.weight.dtype))
        hidden_states = first
        for block in self.blocks:
            hidden_states = block(hidden_states)
        hidden_states = first + self.last_convolution(hidden_states)
        for layer in self.upsampling:
            hidden_states = layer(hidden_states)
        # In float32, also for half-precision networks, whose output is only a residual. `antialias` has no effect on
        # upscaling, except that it selects Pillow's cubic polynomial.
        enlarged = F.interpolate(
            pixel_values.float(), scale_factor=self.config.scale_factor, mode="bicubic", antialias=True
        )
        residual = F.pixel_shuffle(self.image_convolution(hidden_states), self.stride)
        return DCGANSuperResolutionOutput(pixel_values=enlarged + residual)


def average_over_views(generator: nn.Module, pixel_values: torch.Tensor) -> torch.Tensor:
    r"""
    Upscales images flipped and turned in all 8 ways, and averages the results turned back: the geometric self-ensemble
    of Lim et al., 2017, https://huggingface.co/papers/1707.02921, sec. 3.4.

    Args:
        generator ([`DCGANSuperResolutionGenerator`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Low-resolution images, values in [-1, 1].

    Returns:
        `torch.Tensor`: float32, as `pixel_values` of a [`DCGANSuperResolutionOutput`].
    """
    results = []
    for view, flipped in ((pixel_values, False), (pixel_values.flip(3), True)):
        for turns in range(4):
            turned = torch.rot90(view, turns, (2, 3)).contiguous(memory_format=torch.channels_last)
            result = torch.rot90(generator(turned).pixel_values.float(), -turns, (2, 3))
            results.append(result.flip(3) if flipped else result)
    return torch.stack(results).mean(0)


def _linear_kernel(kernel_size: int, stride: int) -> torch.Tensor:
    """Returns the kernel of a transposed convolution that interpolates linearly between pixels."""
    positions = (torch.arange(kernel_size) - (kernel_size - 1) / 2) / stride
    weights = (1 - positions.abs()).clamp_min(0)
    return weights[:, None] * weights


def interpolate(pixels: torch.Tensor, scale: int) -> torch.Tensor:
    """Upscales an image of shape `(channels, height, width)` as the generator does, before it adds its residual."""
    return F.interpolate(pixels[None], scale_factor=scale, mode="bicubic", antialias=True)[0]


def without_holes(weighted: torch.Tensor) -> torch.Tensor:
    """Places colours on the mean colours of the visible pixels around them, as on a background. The argument holds
    colours multiplied by alpha, and alpha."""
    levels = [weighted[None]]
    while max(levels[-1].shape[2:]) > 1:
        levels.append(F.avg_pool2d(levels[-1], 2, ceil_mode=True))
    shares = levels[-1][:, -1:]
    background = levels[-1][:, :-1] / torch.where(shares > 0, shares, 1)
    for level in reversed(levels[:-1]):
        background = F.interpolate(background, level.shape[2:], mode="nearest")
        background = level[:, :-1] + (1 - level[:, -1:]) * background
    return background[0].clamp(0, 1)


def alpha_correction(pixels: torch.Tensor, weighted: torch.Tensor, scale: int) -> torch.Tensor:
    """Returns what to add to an upscaled image with alpha, so that its interpolated part counts each pixel in proportion
    to its alpha, as Pillow's `resize` does. The generator's residual stays."""
    interpolated, of_visible = interpolate(pixels, scale), interpolate(weighted, scale)
    colors, alpha = of_visible[:-1], of_visible[-1:]
    is_visible = alpha > 1e-3
    return torch.where(is_visible, (colors / torch.where(is_visible, alpha, 1)).clamp(0, 1) - interpolated, 0)


__all__ = ["DCGANSuperResolutionGenerator", "DCGANSuperResolutionOutput"]
