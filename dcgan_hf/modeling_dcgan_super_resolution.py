# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Super-resolution generator: DCGAN's upsampling layers after residual blocks, added to a bicubic upsampling."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel  # noqa: F401 (diffusers looks for a component's base class in its module)
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_dcgan_super_resolution import UPSAMPLING_STEPS, DCGANSuperResolutionConfig
from .modeling_dcgan import DCGANPreTrainedModel


@dataclass
class DCGANSuperResolutionOutput(ModelOutput):
    """
    Output of a [`DCGANSuperResolutionGenerator`].

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height * scale_factor, width * scale_factor)`):
            Images, float32 values around [-1, 1], which they may leave.
    """

    pixel_values: torch.Tensor | None = None


class DCGANSuperResolutionBlock(nn.Module):
    """Residual block without normalisation (Lim et al., 2017, https://huggingface.co/papers/1707.02921, section 3.1)."""

    def __init__(self, config: DCGANSuperResolutionConfig):
        super().__init__()
        self.convolution1 = nn.Conv2d(config.hidden_size, config.hidden_size, 3, padding=1)
        self.activation = nn.LeakyReLU(config.leaky_relu_slope, inplace=True)
        self.convolution2 = nn.Conv2d(config.hidden_size, config.hidden_size, 3, padding=1)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.convolution2(self.activation(self.convolution1(hidden_states)))


class DCGANSuperResolutionUpsampling(nn.Module):
    """Makes feature maps `stride` times as wide and high, then applies the activation."""

    def __init__(self, config: DCGANSuperResolutionConfig, stride: int):
        super().__init__()
        channels = config.hidden_size
        self.layer: nn.Module
        self.shuffle: nn.Module
        if config.upsampling == "pixel_shuffle":
            self.layer = nn.Conv2d(channels, channels * stride**2, 3, padding=1)
            self.shuffle = nn.PixelShuffle(stride)
        else:
            # A kernel that the stride divides has no checkerboard (Odena et al., 2016). It is symmetric around the pixel
            # with twice the stride if that is even, with three times if it is odd.
            kernel_size = stride * (2 + stride % 2)
            padding = (kernel_size - stride) // 2
            self.layer = nn.ConvTranspose2d(channels, channels, kernel_size, stride, padding)
            self.shuffle = nn.Identity()
        self.activation = nn.LeakyReLU(config.leaky_relu_slope, inplace=True)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.activation(self.shuffle(self.layer(hidden_states)))


class DCGANSuperResolutionGenerator(DCGANPreTrainedModel):
    r"""
    Makes images larger, of any size: what a fully convolutional network adds to their bicubic upsampling. Residual blocks
    on the small image, then transposed convolutions (or pixel shuffles) up to the large one. An untrained network returns the
    bicubic upsampling.

    Args:
        config ([`DCGANSuperResolutionConfig`]):
            Description of the network.
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
            DCGANSuperResolutionUpsampling(config, stride) for stride in UPSAMPLING_STEPS[config.scale_factor]
        )
        self.image_convolution = nn.Conv2d(size, config.num_channels, 3, padding=1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            return
        size, slope = self.config.hidden_size, self.config.leaky_relu_slope
        init.zeros_(module.bias)
        if module is self.image_convolution:
            init.zeros_(module.weight)  # adds nothing to the bicubic upsampling yet
        elif any(module is block.convolution2 for block in self.blocks):
            # Blocks begin as almost the identity, so that many of them can be trained.
            init.normal_(module.weight, std=0.1 * (2 / (9 * size)) ** 0.5)
        elif isinstance(module, nn.ConvTranspose2d):
            # What is made of one pixel begins as linear interpolation, so without a checkerboard.
            mixing = nn.init.kaiming_normal_(torch.empty(size, size, device=module.weight.device), a=slope)
            kernel = _linear_kernel(module.kernel_size[0], module.stride[0])
            init.copy_(module.weight, mixing[:, :, None, None] * kernel.to(mixing.device))
        elif module.out_channels > size:
            # Before a pixel shuffle: all pixels that are made of one begin equal (Aitken et al., 2017, "ICNR").
            weight = nn.init.kaiming_normal_(torch.empty(size, size, 3, 3, device=module.weight.device), a=slope)
            init.copy_(module.weight, weight.repeat_interleave(module.out_channels // size, dim=0))
        else:
            init.kaiming_normal_(module.weight, a=slope)

    @can_return_tuple
    def forward(self, pixel_values: torch.Tensor) -> DCGANSuperResolutionOutput | tuple[torch.Tensor]:
        r"""
        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
                Small images of any size, values in [-1, 1].
            return_dict (`bool`, *optional*):
                Whether to return a [`DCGANSuperResolutionOutput`] instead of a plain tuple.

        Returns:
            [`DCGANSuperResolutionOutput`] or `tuple`: images `scale_factor` times as high and wide, around [-1, 1].

        Raises:
            ValueError: if `pixel_values` have another number of channels, or no pixels.
        """
        if pixel_values.ndim != 4 or pixel_values.shape[1] != self.config.num_channels or 0 in pixel_values.shape:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, {self.config.num_channels}, height, width), none of them 0,"
                f" got {tuple(pixel_values.shape)}."
            )
        first = self.first_convolution(pixel_values.to(self.first_convolution.weight.dtype))
        hidden_states = first
        for block in self.blocks:
            hidden_states = block(hidden_states)
        hidden_states = first + self.last_convolution(hidden_states)
        for layer in self.upsampling:
            hidden_states = layer(hidden_states)
        # In single precision, which networks of half precision only change. `antialias` makes no difference to what is
        # enlarged, but takes Pillow's cubic polynomial.
        enlarged = F.interpolate(
            pixel_values.float(), scale_factor=self.config.scale_factor, mode="bicubic", antialias=True
        )
        return DCGANSuperResolutionOutput(pixel_values=enlarged + self.image_convolution(hidden_states))


def _linear_kernel(kernel_size: int, stride: int) -> torch.Tensor:
    """Kernel of a transposed convolution that interpolates linearly between the pixels of a map."""
    positions = (torch.arange(kernel_size) - (kernel_size - 1) / 2) / stride
    weights = (1 - positions.abs()).clamp_min(0)
    return weights[:, None] * weights


__all__ = ["DCGANSuperResolutionGenerator", "DCGANSuperResolutionOutput"]
