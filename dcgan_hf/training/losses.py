# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
GAN losses, as pure functions of the discriminator's logits, which are large for images that look real; and penalties
on its gradients with respect to images, which limit its steepness.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch.nn.functional import relu, softplus


class GANLoss(NamedTuple):
    """
    Losses of both networks.

    Args:
        discriminator (`Callable`):
            The discriminator's loss, a function of its logits for real and for generated images.
        generator (`Callable`):
            The generator's loss, a function of the discriminator's logits for generated images and, if the loss is
            relativistic, of those for real images.
        is_relativistic (`bool`, *optional*, defaults to `False`):
            Whether the generator's loss depends on the logits for real images, too.
        is_saturating (`bool`, *optional*, defaults to `True`):
            Whether the discriminator's loss is 0 once it separates all images, so that nothing is left to learn.
    """

    discriminator: Callable[..., torch.Tensor]
    generator: Callable[..., torch.Tensor]
    is_relativistic: bool = False
    is_saturating: bool = True


def bce_discriminator_loss(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """
    -log D(x) - log(1 - D(G(z))) with D = sigmoid(logits) (Goodfellow et al., 2014, equation 1). With `label_smoothing`
    s, the label of real images is 1 - s instead of 1 (Salimans et al., 2016, section 3.4: one-sided).
    """
    real_loss = (1 - label_smoothing) * softplus(-real_logits) + label_smoothing * softplus(real_logits)
    return real_loss.mean() + softplus(fake_logits).mean()


def bce_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-log D(G(z)), the non-saturating loss (Goodfellow et al., 2014, section 3)."""
    return softplus(-fake_logits).mean()


def least_squares_discriminator_loss(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """
    ((D(x) - 1)^2 + D(G(z))^2) / 2 with D = logits (Mao et al., 2017, equation 9), smoothed like
    `bce_discriminator_loss`.
    """
    return ((real_logits - (1 - label_smoothing)).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """(D(G(z)) - 1)^2 / 2 (Mao et al., 2017, equation 9)."""
    return (fake_logits - 1).square().mean() / 2


def hinge_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Miyato et al., 2018, equation 16)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-D(G(z)) (Miyato et al., 2018, equation 17)."""
    return -fake_logits.mean()


def relativistic_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D(x) - D(G(z))) with D = logits, over pairs (Jolicoeur-Martineau, 2018, equation 3)."""
    return softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(fake_logits: torch.Tensor, real_logits: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D(G(z)) - D(x)) with D = logits, over pairs (Jolicoeur-Martineau, 2018, equation 4)."""
    return softplus(real_logits - fake_logits).mean()


def wasserstein_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """D(G(z)) - D(x) with D = logits (Arjovsky et al., 2017, equation 2). Requires a Lipschitz-constrained D."""
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-D(G(z)) (Arjovsky et al., 2017, equation 2)."""
    return -fake_logits.mean()


LOSSES = {
    "bce": GANLoss(bce_discriminator_loss, bce_generator_loss),
    "least_squares": GANLoss(least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": GANLoss(hinge_discriminator_loss, hinge_generator_loss),
    "relativistic": GANLoss(relativistic_discriminator_loss, relativistic_generator_loss, is_relativistic=True),
    "wasserstein": GANLoss(wasserstein_discriminator_loss, wasserstein_generator_loss, is_saturating=False),
}


def make_loss(name: str, label_smoothing: float = 0.0) -> GANLoss:
    """Returns the loss called `name`, with the label of real images lowered by `label_smoothing`."""
    loss = LOSSES[name]
    if label_smoothing:
        loss = loss._replace(discriminator=partial(loss.discriminator, label_smoothing=label_smoothing))
    return loss


# ---- penalties ----


@dataclass
class PenaltyWeights:
    """
    Weights of the penalties added to the discriminator's loss. With D = logits:

    Args:
        r1 (`float`, *optional*, defaults to 0):
            Weight gamma of `gamma / 2 |grad D(x)|^2` at real images (Mescheder et al., 2018,
            https://huggingface.co/papers/1801.04406, equation 9).
        r2 (`float`, *optional*, defaults to 0):
            The same at generated images (equation 10). Both penalties with the relativistic loss are R3GAN's objective
            (Huang et al., 2025, https://huggingface.co/papers/2501.05441, equation 5).
        interpolated (`float`, *optional*, defaults to 0):
            Weight lambda of `lambda (|grad D(x)| - 1)^2` at points between real and generated images (WGAN-GP:
            Gulrajani et al., 2017, https://huggingface.co/papers/1704.00028, equation 3).
    """

    r1: float = 0.0
    r2: float = 0.0
    interpolated: float = 0.0


def squared_gradients(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    r"""
    Differentiable squared norm of the gradient of each image's logit with respect to its pixels.

    Args:
        logits (`torch.Tensor` of shape `(batch_size,)`):
            Logits from a discriminator that treats each image separately, that is without batch normalisation.
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            The images that the logits were computed from.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`.
    """
    (gradients,) = torch.autograd.grad(logits.float().sum(), pixel_values, create_graph=True)
    return gradients.float().square().sum((1, 2, 3))


def zero_centered_penalty(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    """R1 at real images, R2 at generated ones, with gamma = 1. See [`squared_gradients`] for the arguments."""
    return squared_gradients(logits, pixel_values).mean() / 2


def interpolated_penalty(
    score: Callable[[torch.Tensor], torch.Tensor],
    real_pixel_values: torch.Tensor,
    fake_pixel_values: torch.Tensor,
    shares: torch.Tensor,
) -> torch.Tensor:
    r"""
    Penalty of WGAN-GP with lambda = 1.

    Args:
        score (`Callable`):
            The discriminator: a function of images that returns their logits.
        real_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images.
        fake_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Generated images.
        shares (`torch.Tensor` of shape `(batch_size,)`):
            Position between the two, in [0, 1]: 0 is the real image.
    """
    pixel_values = torch.lerp(real_pixel_values, fake_pixel_values, shares[:, None, None, None])
    pixel_values = pixel_values.detach().requires_grad_()
    # The square root has no gradient at 0, the value for a dead network.
    norms = (squared_gradients(score(pixel_values), pixel_values) + 1e-12).sqrt()
    return (norms - 1).square().mean()
