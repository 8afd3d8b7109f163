# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Small images made of large ones, as a camera, a resizing program or the web makes them: blur, scaling, noise, JPEG."""

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
    How small images come about. Each image has its own strength of blur, noise and compression, drawn evenly from none (of
    JPEG: quality 95) to what is given here (Wang et al., 2021, Real-ESRGAN, section 3, of which this is the first half).

    Args:
        scale_factor (`int`):
            How many times as wide and high the large image is.
        method (`str`, *optional*, defaults to `"bicubic"`):
            How images are made smaller: `"bicubic"` as Pillow does it, so with antialiasing, or `"area"`, the mean of
            `scale_factor * scale_factor` pixels.
        blur (`float`, *optional*, defaults to 0):
            Largest standard deviation of a Gaussian blur before that, in pixels of the large image.
        noise (`float`, *optional*, defaults to 0):
            Largest standard deviation of noise after that, of 255 steps of grey.
        jpeg_quality (`int`, *optional*):
            Lowest quality of a JPEG file that the small image then goes through, up to 95. By default it does not.
    """

    scale_factor: int
    method: Literal["bicubic", "area"] = "bicubic"
    blur: float = 0.0
    noise: float = 0.0
    jpeg_quality: int | None = None


def degrade(
    images: torch.Tensor, degradation: Degradation, strengths: torch.Tensor, noise: torch.Tensor | None = None
) -> torch.Tensor:
    r"""
    Makes large images small.

    Args:
        images (`torch.ByteTensor` of shape `(batch_size, num_channels, height, width)`):
            Large images, whose height and width are multiples of the scale factor.
        degradation ([`Degradation`]):
            How.
        strengths (`torch.Tensor` of shape `(batch_size, 3)`):
            Shares in [0, 1] of the largest blur, noise and compression for each image.
        noise (`torch.Tensor`, *optional*):
            Noise from N(0, 1) of the shape of the result. Needed if `degradation.noise` is not 0.

    Returns:
        `torch.ByteTensor` of shape `(batch_size, num_channels, height / scale_factor, width / scale_factor)`.

    Raises:
        ValueError: if height or width is no multiple of the scale factor.
    """
    scale = degradation.scale_factor
    if images.shape[2] % scale or images.shape[3] % scale:
        raise ValueError(
            f"Images to make {scale} times smaller must have a height and width that {scale} divides, got"
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
    Blurs each image with a Gaussian of its own. What lies outside of an image is taken to be like its edge.

    Args:
        pixels (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images.
        sigmas (`torch.Tensor` of shape `(batch_size,)`):
            Standard deviations in pixels. 0 changes nothing.
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
