# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""GAN losses: pure functions of the discriminator's logits, which are large for images that look real."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch.nn.functional import relu, softplus


class GANLoss(NamedTuple):
    """
    Args:
        discriminator (`Callable`):
            The discriminator's loss, a function of its logits for real and for generated images.
        generator (`Callable`):
            The generator's loss, a function of the discriminator's logits for generated images and, if the loss is
            relativistic, of those for real images.
        is_relativistic (`bool`, *optional*, defaults to `False`):
            Whether the generator's loss depends on the logits for real images, too.
        is_saturating (`bool`, *optional*, defaults to `True`):
            Whether the discriminator's loss is 0 once it tells all images apart, so that there is nothing more to learn.
    """

    discriminator: Callable[..., torch.Tensor]
    generator: Callable[..., torch.Tensor]
    is_relativistic: bool = False
    is_saturating: bool = True


def bce_discriminator_loss(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """
    -log D(x) - log(1 - D(G(z))) with D = sigmoid(logits) (Goodfellow et al., 2014, equation 1). With `label_smoothing` s the
    label of real images is 1 - s instead of 1 (Salimans et al., 2016, section 3.4: one-sided).
    """
    real_loss = (1 - label_smoothing) * softplus(-real_logits) + label_smoothing * softplus(real_logits)
    return real_loss.mean() + softplus(fake_logits).mean()


def bce_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-log D(G(z)), the non-saturating loss (Goodfellow et al., 2014, section 3)."""
    return softplus(-fake_logits).mean()


def least_squares_discriminator_loss(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """((D(x) - 1)^2 + D(G(z))^2) / 2 with D = logits (Mao et al., 2017, equation 9). Smoothed as `bce_discriminator_loss`."""
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
    """-log sigmoid(D(x) - D(G(z))) with D = logits, of pairs (Jolicoeur-Martineau, 2018, equation 3)."""
    return softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(fake_logits: torch.Tensor, real_logits: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(D(G(z)) - D(x)) with D = logits, of pairs (Jolicoeur-Martineau, 2018, equation 4)."""
    return softplus(real_logits - fake_logits).mean()


def wasserstein_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """D(G(z)) - D(x) with D = logits (Arjovsky et al., 2017, equation 2). D must be bound to be smooth."""
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
# Those whose discriminator is told labels.
SMOOTHABLE_LOSSES = ("bce", "least_squares")


def make_loss(name: str, label_smoothing: float = 0.0) -> GANLoss:
    """The loss called `name`, with the label of real images lowered by `label_smoothing` if that is not 0."""
    loss = LOSSES[name]
    if label_smoothing:
        loss = loss._replace(discriminator=partial(loss.discriminator, label_smoothing=label_smoothing))
    return loss
