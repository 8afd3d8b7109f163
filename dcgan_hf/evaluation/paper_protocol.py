# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
PSNR and SSIM as papers on super-resolution report them: of the luminance of 8-bit images, without a border.

The luminance is that of ITU-R BT.601, between 16 and 235, not rounded, as of MATLAB's `rgb2ycbcr` for numbers and of
BasicSR. A grey image is its own luminance, between 0 and 255, as there: it has no colours to convert. Its PSNR is
`20 log10(255 / 219)` = 1.32 dB lower than that of the same pixels in RGB, so compare grey models with grey models only.
"""

import torch
import torch.nn.functional as F

from .upscaling import check_alike, decibels


# Of SSIM's Gaussian window, in pixels.
WINDOW = 11
_SIGMA = 1.5
# Distance of the windows tried in the search for a detail, in pixels.
_STEP = 8


def luminance(images: torch.Tensor) -> torch.Tensor:
    r"""
    Computes the luminance, `16 + (65.481 R + 128.553 G + 24.966 B) / 255`.

    Args:
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            RGB images, or grey ones, which are their own luminance.

    Returns:
        `torch.Tensor` of shape `(num_images, height, width)`, `torch.double`, not rounded.
    """
    pixels = images.double()
    if images.shape[1] == 1:
        return pixels[:, 0]
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.double, device=images.device)
    return 16 + torch.einsum("nchw,c->nhw", pixels, weights) / 255


def luminance_quality(real: torch.Tensor, fake: torch.Tensor, border: int) -> torch.Tensor:
    r"""
    Computes PSNR and SSIM of the luminance of each image, in double precision.

    Args:
        real (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Originals.
        fake (`torch.ByteTensor` of the same shape):
            Their upscaled low-resolution versions.
        border (`int`):
            Pixels to leave out on each side.

    Returns:
        `torch.Tensor` of shape `(num_images, 2)`: decibels, infinite for an exact copy, and SSIM.

    Raises:
        ValueError: if the images are not uint8, differ in shape, or are too small.
    """
    check_alike(real, fake)
    height, width = real.shape[2:]
    if min(height, width) < WINDOW + 2 * border:
        raise ValueError(
            f"SSIM without a border of {border} pixels needs images at least {WINDOW + 2 * border} pixels high and"
            f" wide, got {(height, width)}."
        )
    inner = [luminance(images)[:, border : height - border, border : width - border] for images in (real, fake)]
    return torch.stack([decibels(*inner), windowed_ssim(*inner)], dim=1)


def windowed_ssim(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    r"""
    Computes the structural similarity (Wang et al., 2004, "Image quality assessment", equation 13) over the windows
    that lie wholly inside the image, as the authors' `ssim.m` does.

    Args:
        real (`torch.Tensor` of shape `(num_images, height, width)`, `torch.double`):
            Luminance of the originals, at most 255.
        fake (`torch.Tensor` of the same shape):
            Luminance of the others.

    Returns:
        `torch.Tensor` of shape `(num_images,)`.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_real, mean_fake = _window_means(real), _window_means(fake)
    var_real = _window_means(real.square()) - mean_real.square()
    var_fake = _window_means(fake.square()) - mean_fake.square()
    covariance = _window_means(real * fake) - mean_real * mean_fake
    brightness = (2 * mean_real * mean_fake + c1) / (mean_real.square() + mean_fake.square() + c1)
    return (brightness * (2 * covariance + c2) / (var_real + var_fake + c2)).flatten(1).mean(1)


def _window_means(images: torch.Tensor) -> torch.Tensor:
    """Returns the weighted mean of each window. Shifted sums: a convolution in double precision takes far longer."""
    offsets = torch.arange(WINDOW, dtype=torch.double) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / _SIGMA).square())
    weights /= weights.sum()
    for dim in (1, 2):
        number = images.shape[dim] - WINDOW + 1
        means = torch.zeros_like(images.narrow(dim, 0, number))
        for i, weight in enumerate(weights.tolist()):
            means.add_(images.narrow(dim, i, number), alpha=weight)
        images = means
    return images


def place_of_detail(real: torch.Tensor, fake: torch.Tensor, side: int) -> tuple[slice, slice]:
    r"""
    Returns the rows and columns of the part of an image where another one differs most from it.

    Args:
        real (`torch.ByteTensor` of shape `(num_channels, height, width)`):
            The image.
        fake (`torch.ByteTensor` of the same shape):
            The other one.
        side (`int`):
            Maximum width and height of the part.
    """
    size = [min(side, length) for length in real.shape[1:]]
    errors = (real.float() - fake.float()).square().mean(0, keepdim=True)
    means = F.avg_pool2d(errors, size, stride=_STEP)[0]
    top, left = (_STEP * int(place) for place in divmod(int(means.argmax()), means.shape[1]))
    return slice(top, top + size[0]), slice(left, left + size[1])
