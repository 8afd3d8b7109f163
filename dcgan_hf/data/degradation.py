# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Synthetic low-resolution images with the artefacts of cameras and the web: blur, noise, JPEG compression."""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F


@dataclass
class Degradation:
    """
    Settings of the degradation from high to low resolution. Each image has its own strengths of blur, noise and
    compression, sampled uniformly between none (JPEG: quality 95) and the limits given here. This is the first half of
    the degradation in Real-ESRGAN (Wang et al., 2021, section 3).

    Args:
        scale_factor (`int`):
            Ratio of the width and height of a high-resolution image to those of the low-resolution image.
        method (`str`, *optional*, defaults to `"bicubic"`):
            Downscaling method: `"bicubic"` with antialiasing, like Pillow, or `"area"`, the mean of
            `scale_factor * scale_factor` pixels.
        blur (`float`, *optional*, defaults to 0):
            Maximum standard deviation of the Gaussian blur before downscaling, in high-resolution pixels.
        noise (`float`, *optional*, defaults to 0):
            Maximum standard deviation of the noise after downscaling, for pixel values in [0, 255].
        jpeg_quality (`int`, *optional*):
            Minimum quality of the final JPEG compression, up to 95. By default images are not compressed.
    """

    scale_factor: int
    method: Literal["bicubic", "area"] = "bicubic"
    blur: float = 0.0
    noise: float = 0.0
    jpeg_quality: int | None = None

    @property
    def is_random(self) -> bool:
        """True if images get random strengths of an artefact."""
        return bool(self.blur or self.noise or self.jpeg_quality is not None)


def degrade(
    images: torch.Tensor, degradation: Degradation, strengths: torch.Tensor, noise: torch.Tensor | None = None
) -> torch.Tensor:
    r"""
    Downscales and degrades images.

    Args:
        images (`torch.ByteTensor` of shape `(batch_size, num_channels, height, width)`):
            High-resolution images. Their height and width must be multiples of the scale factor.
        degradation ([`Degradation`]):
            Settings of the degradation.
        strengths (`torch.Tensor` of shape `(batch_size, 3)`):
            Blur, noise and compression of each image, as fractions in [0, 1] of their limits.
        noise (`torch.Tensor`, *optional*):
            Noise from N(0, 1), in the shape of the result. Required if `degradation.noise` is not 0.

    Returns:
        `torch.ByteTensor` of shape `(batch_size, num_channels, height / scale_factor, width / scale_factor)`.

    Raises:
        ValueError: if height or width is not a multiple of the scale factor.
    """
    scale = degradation.scale_factor
    if images.shape[2] % scale or images.shape[3] % scale:
        raise ValueError(
            f"Images to downscale by {scale} must have a height and width divisible by {scale}, got"
            f" {tuple(images.shape[2:])}."
        )
    pixels = images.float()
    if degradation.blur:
        pixels = gaussian_blur(pixels, degradation.blur * strengths[:, 0])
    if degradation.method == "area":
        pixels = F.avg_pool2d(pixels, scale)
    else:
        size = [images.shape[2] // scale, images.shape[3] // scale]
        pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True)
    if degradation.noise:
        assert noise is not None
        pixels = pixels + degradation.noise * strengths[:, 1, None, None, None] * noise
    small = pixels.clamp(0, 255).round().to(torch.uint8)
    if degradation.jpeg_quality is not None:
        qualities = 95 - strengths[:, 2] * (95 - degradation.jpeg_quality)
        compressed = [_through_jpeg(image, round(quality)) for image, quality in zip(small.cpu(), qualities.tolist())]
        small = torch.stack(compressed).to(images.device)
    return small


def gaussian_blur(pixels: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    r"""
    Blurs each image with a separate Gaussian. Images are padded by replicating their edges.

    Args:
        pixels (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images.
        sigmas (`torch.Tensor` of shape `(batch_size,)`):
            Standard deviations in pixels. 0 leaves an image unchanged.
    """
    batch_size, num_channels, height, width = pixels.shape
    radius = max(1, int(np.ceil(3 * float(sigmas.max()))))
    positions = torch.arange(-radius, radius + 1, device=pixels.device)
    kernels = torch.exp(-0.5 * (positions / sigmas.clamp_min(1e-3)[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(num_channels, dim=0)[:, None, :, None]
    maps = F.pad(pixels.reshape(1, -1, height, width), [radius] * 4, mode="replicate")
    for kernel in (kernels, kernels.transpose(2, 3)):
        maps = F.conv2d(maps, kernel, groups=batch_size * num_channels)
    return maps.reshape(pixels.shape)


def _through_jpeg(image: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    PIL.Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy()).save(file, "JPEG", quality=quality)
    decoded = np.atleast_3d(np.array(PIL.Image.open(file)))
    return torch.from_numpy(decoded).permute(2, 0, 1)
