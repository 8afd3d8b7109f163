# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Names what is wrong with a training run, from statistics that it logs anyway."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn


# Images of a micro-batch whose pairs tell how varied it is: enough, where the means of many steps are looked at.
_COMPARED_IMAGES = 32
# After which a healthy generator's images differ. (At 32x32 they do by half as much as real ones after 100.)
_UPDATES_TO_DIVERSITY = 500


@torch.no_grad()
def diversity(
    real_pixel_values: torch.Tensor, fake_pixel_values: torch.Tensor, class_labels: torch.Tensor | None = None
) -> torch.Tensor:
    r"""
    How much generated images differ from one another: the root mean square difference of their pixels, divided by that of
    real images. About 1 if they are as varied as real ones, 0 if they are all the same.

    Args:
        real_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images.
        fake_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Generated images.
        class_labels (`torch.LongTensor` of shape `(batch_size,)`, *optional*):
            Classes of both. Only images of the same class are compared then.
    """
    squared_differences = []
    for images in (real_pixel_values, fake_pixel_values):
        pixels = images[:_COMPARED_IMAGES].flatten(1).float()
        pairs = torch.cdist(pixels, pixels).square().fill_diagonal_(0)  # which rounding may not
        if class_labels is not None:
            labels = class_labels[:_COMPARED_IMAGES]
            pairs = pairs * (labels[:, None] == labels)
        squared_differences.append(pairs.sum())
    real, fake = squared_differences
    # No pair of the same class, or real images that do not differ: nothing is told.
    return torch.where(real > 0, fake / real, torch.ones_like(real)).sqrt()


def diagnose(statistics: dict[str, float], step: int, is_saturating: bool = True) -> str | None:
    r"""
    Says what is wrong with a run.

    Args:
        statistics (`dict[str, float]`):
            Means of what the update strategies return: "discriminator_loss", "generator_loss", "real_logits",
            "fake_logits", "logits_std" and "diversity".
        step (`int`):
            Number of updates so far. Untrained generators draw much the same image from all latents.
        is_saturating (`bool`, *optional*, defaults to `True`):
            Whether a discriminator's loss of 0 means that there is nothing more to learn.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if nothing is wrong.
    """
    if not {"logits_std", "diversity", "discriminator_loss"} <= statistics.keys():
        return None  # the discriminator does not take part, or the update is somebody's own
    if statistics["logits_std"] < 1e-4:
        return (
            "The discriminator is dead: it gives every image, real or generated, the same logit, so the generator cannot"
            " learn from it."
        )
    if step >= _UPDATES_TO_DIVERSITY and statistics["diversity"] < 0.25:
        return (
            "The generator has collapsed: its images differ from one another by less than a quarter of what real ones do."
            " An earlier checkpoint, a lower learning rate or a penalty (`--r1_penalty`, with a discriminator without batch"
            " normalisation) may help."
        )
    # For the paper's loss this is a certainty of 99.9 %; hinge and least squares are 0 then, too.
    if is_saturating and statistics["discriminator_loss"] < 0.002:
        return (
            "The discriminator has won: it tells real images from generated ones without doubt, so the generator hardly"
            " learns. A lower learning rate or `norm_type: spectral` for the discriminator may help."
        )
    return None


def diagnose_quality(value: float, best_value: float | None, best_step: int | None) -> str | None:
    r"""
    Says whether images have become bad that were good.

    Args:
        value (`float`):
            What was measured now, a distance from real images.
        best_value (`float`, *optional*):
            The smallest distance before.
        best_step (`int`, *optional*):
            Where that was.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if nothing is wrong.
    """
    if best_value is None or not 0 < best_value < value / 2:  # kernel distances may be negative
        return None
    return (
        f"The images are {value / best_value:.1f} times as far from real ones as those of step {best_step}. `--save_best`"
        " keeps the best model, a lower learning rate or `--lr_scheduler linear` may help."
    )


def check_finite(
    statistics: dict[str, float],
    step: int,
    networks: Iterable[nn.Module] = (),
    find_checkpoints: Callable[[], Iterable[Path]] = tuple,
) -> None:
    r"""
    Ends a run that is pointless, before it writes anything.

    Args:
        statistics (`dict[str, float]`):
            Means of what the update strategies return.
        step (`int`):
            Number of updates so far.
        networks (`Iterable[nn.Module]`, *optional*):
            Networks whose weights are looked at, too, which waits for the device.
        find_checkpoints (`Callable`, *optional*):
            Returns what the message names to go back to. Only called if there is something to say.

    Raises:
        FloatingPointError: if some value is not a finite number.
    """
    what = [name for name, value in statistics.items() if not math.isfinite(value)]
    if not what and not all(bool(values.isfinite().all()) for network in networks for values in network.parameters()):
        what = ["a weight"]
    if what:
        raise FloatingPointError(
            f"Training diverged: {' and '.join(what)} is not a finite number. Stopped at step {step} without saving."
            f" Checkpoints: {[path.name for path in find_checkpoints()]}."
        )
