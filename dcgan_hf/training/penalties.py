# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Penalties on the discriminator's gradients with respect to images, which keep it from becoming too steep."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass
class PenaltyWeights:
    """
    What is added to the discriminator's loss. With D = logits:

    Args:
        r1 (`float`, *optional*, defaults to 0):
            Weight gamma of `gamma / 2 |grad D(x)|^2` at real images (Mescheder et al., 2018,
            https://huggingface.co/papers/1801.04406, equation 9).
        r2 (`float`, *optional*, defaults to 0):
            The same at generated images (equation 10). With both and the relativistic loss it is what R3GAN has (Huang et
            al., 2025, https://huggingface.co/papers/2501.05441, equation 5).
        interpolated (`float`, *optional*, defaults to 0):
            Weight lambda of `lambda (|grad D(x)| - 1)^2` at points between real and generated images (WGAN-GP: Gulrajani
            et al., 2017, https://huggingface.co/papers/1704.00028, equation 3).
    """

    r1: float = 0.0
    r2: float = 0.0
    interpolated: float = 0.0


def squared_gradients(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    r"""
    Squared norm of the gradient of each image's logit with respect to its pixels, through which gradients can flow.

    Args:
        logits (`torch.Tensor` of shape `(batch_size,)`):
            Logits of images that the discriminator treats separately, so without batch normalisation.
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            The images, of which the logits were computed.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`.
    """
    (gradients,) = torch.autograd.grad(logits.float().sum(), pixel_values, create_graph=True)
    return gradients.float().square().sum((1, 2, 3))


def zero_centered_penalty(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    """R1 at real images, R2 at generated ones, with gamma = 1. For the arguments see [`squared_gradients`]."""
    return squared_gradients(logits, pixel_values).mean() / 2


def interpolated_penalty(
    score: Callable[[torch.Tensor], torch.Tensor],
    real_pixel_values: torch.Tensor,
    fake_pixel_values: torch.Tensor,
    shares: torch.Tensor,
) -> torch.Tensor:
    r"""
    The penalty of WGAN-GP with lambda = 1.

    Args:
        score (`Callable`):
            The discriminator: a function of images that returns their logits.
        real_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images.
        fake_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Generated images.
        shares (`torch.Tensor` of shape `(batch_size,)`):
            Where between the two, in [0, 1]: 0 is the real image.
    """
    pixel_values = torch.lerp(real_pixel_values, fake_pixel_values, shares[:, None, None, None])
    pixel_values = pixel_values.detach().requires_grad_()
    # The root has no gradient at 0, where dead networks are.
    norms = (squared_gradients(score(pixel_values), pixel_values) + 1e-12).sqrt()
    return (norms - 1).square().mean()
