# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Configuration of the super-resolution generator."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_portable import MAX_WEIGHTS, PortableConfig


# Strides of the upsampling layers, by scale factor.
UPSAMPLING_STEPS = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


@strict
class DCGANSuperResolutionConfig(PortableConfig):
    r"""
    Configuration of a [`DCGANSuperResolutionGenerator`]. The defaults yield a network of 762,499 parameters that
    upscales RGB images of any size by a factor of 4. Inherits from [`PreTrainedConfig`], which documents saving and
    loading.

    Args:
        scale_factor (`int`, *optional*, defaults to 4):
            Upscaling factor of width and height: 2, 3, 4 or 8.
        num_channels (`int`, *optional*, defaults to 3):
            Number of image channels: 1 (grey) or 3 (RGB).
        hidden_size (`int`, *optional*, defaults to 64):
            Number of channels of all feature maps.
        num_blocks (`int`, *optional*, defaults to 8):
            Number of residual blocks, of two convolutions each, at low resolution.
        block_type (`str`, *optional*, defaults to `"residual"`):
            `"residual"` is EDSR's block (Lim et al., 2017, https://huggingface.co/papers/1707.02921, sec. 3.1).
            `"pixel_attention"` also weights each pixel of each feature map, by a 1x1 convolution and a sigmoid (Zhao
            et al., 2020, "PAN", https://huggingface.co/papers/2010.01073, sec. 3.1).
        upsampling (`str`, *optional*, defaults to `"transposed_convolution"`):
            `"transposed_convolution"` is DCGAN's layer, with a kernel of twice the stride (three times an odd stride),
            so that every output pixel depends on equally many input pixels. `"pixel_shuffle"` is a convolution whose
            output channels are rearranged into neighbouring pixels (Shi et al., 2016,
            https://huggingface.co/papers/1609.05158). `"pixel_shuffle_direct"` rearranges the channels of a single
            convolution into the image, as in that paper: no feature map has a high resolution, so the network is faster.
        leaky_relu_slope (`float`, *optional*, defaults to 0.2):
            Slope of the leaky ReLU for negative inputs.

    Raises:
        huggingface_hub.errors.StrictDataclassError: if a field has an invalid type or value.

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
    _maxima = {"hidden_size": 8192, "num_blocks": 1024}

    scale_factor: int = 4
    num_channels: int = 3
    hidden_size: int = 64
    num_blocks: int = 8
    block_type: Literal["residual", "pixel_attention"] = "residual"
    upsampling: Literal["transposed_convolution", "pixel_shuffle", "pixel_shuffle_direct"] = "transposed_convolution"
    leaky_relu_slope: float | int = 0.2

    @property
    def upsampling_steps(self) -> list[int]:
        """Strides of the layers that upscale feature maps."""
        return [] if self.upsampling == "pixel_shuffle_direct" else UPSAMPLING_STEPS[self.scale_factor]

    @property
    def receptive_radius(self) -> int:
        """Radius of the receptive field, in low-resolution pixels."""
        # The first convolution, the blocks, and the last convolution before upsampling.
        radius, scale = 2.0 + 2 * self.num_blocks, 1
        for step in self.upsampling_steps:
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
        num_weights = 2 * (self.num_blocks + 1) * 9 * self.hidden_size**2
        if num_weights > MAX_WEIGHTS:
            raise ValueError(
                f"The network would have {num_weights:,} weights, but at most {MAX_WEIGHTS:,} are allowed. Reduce"
                f" `num_blocks={self.num_blocks}` or `hidden_size={self.hidden_size}`."
            )
        if not 0 <= self.leaky_relu_slope < math.inf:
            raise ValueError(f"`leaky_relu_slope` must be 0 or a positive number, got {self.leaky_relu_slope}.")


__all__ = ["DCGANSuperResolutionConfig"]
