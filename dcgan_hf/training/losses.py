# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""GAN losses: pure functions of the discriminator's logits, which are large for images that look real."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import relu, softplus


class GANLoss(NamedTuple):
    """
    Args:
        discriminator (`Callable`):
            The discriminator's loss, a function of its logits for real and for generated images.
        generator (`Callable`):
            The generator's loss, a function of the discriminator's logits for generated images.
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor]


def bce_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """-log D(x) - log(1 - D(G(z))) with D = sigmoid(logits) (Goodfellow et al., 2014, equation 1)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def bce_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-log D(G(z)), the non-saturating loss (Goodfellow et al., 2014, section 3)."""
    return softplus(-fake_logits).mean()


def least_squares_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """((D(x) - 1)^2 + D(G(z))^2) / 2 with D = logits (Mao et al., 2017, equation 9)."""
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """(D(G(z)) - 1)^2 / 2 (Mao et al., 2017, equation 9)."""
    return (fake_logits - 1).square().mean() / 2


def hinge_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Miyato et al., 2018, equation 16)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """-D(G(z)) (Miyato et al., 2018, equation 17)."""
    return -fake_logits.mean()


LOSSES = {
    "bce": GANLoss(bce_discriminator_loss, bce_generator_loss),
    "least_squares": GANLoss(least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": GANLoss(hinge_discriminator_loss, hinge_generator_loss),
}
