# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Configuration of the super-resolution generator."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_portable import PortableConfig


# What each scale factor is made of: an upsampling layer each.
UPSAMPLING_STEPS = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


@strict
class DCGANSuperResolutionConfig(PortableConfig):
    r"""
    Configuration of a [`DCGANSuperResolutionGenerator`]. The defaults give a network of 762,499 parameters that makes RGB
    images of any size four times as wide and high.

    Args:
        scale_factor (`int`, *optional*, defaults to 4):
            How many times as wide and high the result is: 2, 3, 4 or 8.
        num_channels (`int`, *optional*, defaults to 3):
            Channels of the images: 1 (grey) or 3 (RGB).
        hidden_size (`int`, *optional*, defaults to 64):
            Channels of all feature maps.
        num_blocks (`int`, *optional*, defaults to 8):
            Number of residual blocks, of two convolutions each, on the small image.
        upsampling (`str`, *optional*, defaults to `"transposed_convolution"`):
            `"transposed_convolution"`, DCGAN's layer, with kernels of twice the stride, so that each pixel of the result is
            made of as many as any other; or `"pixel_shuffle"`, a convolution whose channels become neighbours (Shi et al.,
            2016, https://huggingface.co/papers/1609.05158).
        leaky_relu_slope (`float`, *optional*, defaults to 0.2):
            Slope of the activation for negative inputs.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator

    >>> config = DCGANSuperResolutionConfig(scale_factor=2, num_channels=1)
    >>> model = DCGANSuperResolutionGenerator(config)
    ```
    """

    model_type = "dcgan_super_resolution"
    _auto_classes = {"AutoConfig": "DCGANSuperResolutionConfig", "AutoModel": "DCGANSuperResolutionGenerator"}
    code_module = "modeling_dcgan_super_resolution"

    scale_factor: int = 4
    num_channels: int = 3
    hidden_size: int = 64
    num_blocks: int = 8
    upsampling: Literal["transposed_convolution", "pixel_shuffle"] = "transposed_convolution"
    leaky_relu_slope: float | int = 0.2

    @property
    def receptive_radius(self) -> int:
        """Largest distance, in pixels of the small image, at which a pixel has an influence on the result."""
        # The first convolution, those of the blocks, and the last one before upsampling.
        radius, scale = 2.0 + 2 * self.num_blocks, 1
        for step in UPSAMPLING_STEPS[self.scale_factor]:
            radius, scale = radius + 1 / scale, scale * step
        return math.ceil(radius + 1 / scale)

    def validate_architecture(self):
        if self.scale_factor not in UPSAMPLING_STEPS:
            raise ValueError(f"`scale_factor` must be one of {list(UPSAMPLING_STEPS)}, got {self.scale_factor}.")
        if self.num_channels not in (1, 3):
            raise ValueError(f"`num_channels` must be 1 (grey) or 3 (RGB), got {self.num_channels}.")
        for name in ("hidden_size", "num_blocks"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.leaky_relu_slope < math.inf:
            raise ValueError(f"`leaky_relu_slope` must be 0 or a positive number, got {self.leaky_relu_slope}.")


__all__ = ["DCGANSuperResolutionConfig"]
