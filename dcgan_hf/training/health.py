# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Names what is wrong with a training run, from statistics that it logs anyway."""

import math

from torch import nn


def diagnose(statistics: dict[str, float]) -> str | None:
    r"""
    Says what is wrong with a run.

    Args:
        statistics (`dict[str, float]`):
            Means of what the update strategies return: "discriminator_loss", "generator_loss", "real_logits",
            "fake_logits" and "logits_std".

    Returns:
        `str` or `None`: a sentence for the log, or `None` if nothing is wrong.
    """
    not_finite = [name for name, value in statistics.items() if not math.isfinite(value)]
    if not_finite:
        return f"Training diverged: {' and '.join(not_finite)} is not a finite number."
    if statistics["logits_std"] < 1e-4:
        return (
            "The discriminator is dead: it gives every image, real or generated, the same logit, so the generator cannot"
            " learn from it."
        )
    # For the paper's loss this is a certainty of 99.9 %; hinge and least squares are 0 then, too.
    if statistics["discriminator_loss"] < 0.002:
        return (
            "The discriminator has won: it tells real images from generated ones without doubt, so the generator hardly"
            " learns. A lower learning rate or `norm_type: spectral` for the discriminator may help."
        )
    return None


def has_diverged(statistics: dict[str, float]) -> bool:
    """Whether going on is pointless, because some value is not a finite number."""
    return not all(math.isfinite(value) for value in statistics.values())


def weights_are_finite(*networks: nn.Module) -> bool:
    """Whether all parameters are finite numbers. Waits for the device."""
    return all(bool(parameter.isfinite().all()) for network in networks for parameter in network.parameters())
