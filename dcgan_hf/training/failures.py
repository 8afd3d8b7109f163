# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Diagnosis of failing training runs, from statistics that are logged anyway."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..data.bad_images import first_reasons


logger = logging.getLogger(__name__)

# Images of a micro-batch that are compared in pairs: enough, because only means over many steps are used.
_COMPARED_IMAGES = 32
# Updates after which the images of a healthy generator differ. (At 32x32, half as much as real ones after 100.)
_UPDATES_TO_DIVERSITY = 500
# Smallest diversity of a generator that has not collapsed. The warnings call it a quarter.
_LEAST_DIVERSITY = 0.25
# Largest ratio of the amplitudes of generated and real images, at any scale. Good generators have 0.9 to 1.0; after 75
# updates, digits had 0.5 and faces 0.25 at the coarsest scale.
_LARGEST_RATIO = 1.5
# Largest quotient of two such ratios if images only lack contrast. Pale faces and photographs had 1.06 to 1.09.
_LARGEST_DIFFERENCE = 1.2
# Smallest ratio of pale images. Those of untrained generators are often fainter.
_LEAST_CONTRAST = 0.15


@torch.no_grad()
def diversity(
    real_pixel_values: torch.Tensor, fake_pixel_values: torch.Tensor, class_labels: torch.Tensor | None = None
) -> torch.Tensor:
    r"""
    Returns the diversity of generated images: the root mean square difference of their pixels, divided by that of real
    images. About 1 if they are as varied as real ones, 0 if they are identical.

    Args:
        real_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images.
        fake_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Generated images.
        class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`, *optional*):
            Classes of both. If given, only images of the same class, or with the same values, are compared.
    """
    squared_differences = []
    for images in (real_pixel_values, fake_pixel_values):
        pixels = images[:_COMPARED_IMAGES].flatten(1).float()
        pairs = torch.cdist(pixels, pixels).square().fill_diagonal_(0)  # exactly 0, despite rounding
        if class_labels is not None:
            labels = class_labels[:_COMPARED_IMAGES].reshape(len(pairs), -1)
            pairs = pairs * (labels[:, None] == labels).all(2)
        squared_differences.append(pairs.sum())
    real, fake = squared_differences
    # Undefined if no pair has the same class or the real images are identical: 1 raises no warning.
    return torch.where(real > 0, fake / real, torch.ones_like(real)).sqrt()


def diagnose(statistics: dict[str, float], step: int, is_saturating: bool = True) -> str | None:
    r"""
    Diagnoses a failing run.

    Args:
        statistics (`dict[str, float]`):
            Means of the statistics of an update strategy: "discriminator_loss", "generator_loss", "real_logits",
            "fake_logits", "logits_std" and "diversity".
        step (`int`):
            Number of updates so far. Untrained generators map all latents to much the same image.
        is_saturating (`bool`, *optional*, defaults to `True`):
            Whether a discriminator loss of 0 means that nothing is left to learn.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if nothing is wrong.
    """
    if not {"logits_std", "diversity", "discriminator_loss"} <= statistics.keys():
        return None  # the discriminator is not trained yet, or the update is custom
    if statistics["logits_std"] < 1e-4:
        return (
            "The discriminator is dead: it gives every image, real or generated, the same logit, so the generator"
            " cannot learn from it. Try an earlier checkpoint or a lower learning rate."
        )
    if step >= _UPDATES_TO_DIVERSITY and statistics["diversity"] < _LEAST_DIVERSITY:
        return (
            "The generator has collapsed: its images differ from one another less than a quarter as much as real ones."
            " Try an earlier checkpoint, a lower learning rate, or a penalty (`--r1_penalty`, with a discriminator"
            " without batch normalisation)."
        )
    # For the paper's loss, this is a certainty of 99.9 %. Hinge and least squares are 0 then, too.
    if is_saturating and statistics["discriminator_loss"] < 0.002:
        return (
            "The discriminator has won: it separates real and generated images with certainty, so the generator hardly"
            " learns. Try a lower learning rate or `norm_type: spectral` for the discriminator."
        )
    return None


def diagnose_classes(
    real_pixel_values: torch.Tensor,
    real_labels: torch.Tensor,
    fake_pixel_values: torch.Tensor,
    fake_labels: torch.Tensor,
    names: dict[int, str],
    step: int,
) -> str | None:
    r"""
    Diagnoses a generator that draws single classes always alike, which hardly changes the `diversity` of all.

    Args:
        real_pixel_values (`torch.Tensor` of shape `(num_real, num_channels, height, width)`):
            Real images.
        real_labels (`torch.LongTensor` of shape `(num_real,)`):
            Their classes.
        fake_pixel_values (`torch.Tensor` of shape `(num_fake, num_channels, height, width)`):
            Generated images, in the same range.
        fake_labels (`torch.LongTensor` of shape `(num_fake,)`):
            Their classes. Those with a single image, generated or real, are not judged.
        names (`dict[int, str]`):
            Names of all classes.
        step (`int`):
            Number of updates so far.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if no class, or every class, is always alike.
    """
    if step < _UPDATES_TO_DIVERSITY:
        return None
    alike = []
    for label, name in names.items():
        real, fake = real_pixel_values[real_labels == label], fake_pixel_values[fake_labels == label]
        number = min(len(real), len(fake))
        if diversity(real[:number], fake[:number]) < _LEAST_DIVERSITY:
            alike.append(name)
    if len(alike) in (0, len(names)):
        return None
    return (
        f"The generator has collapsed in {len(alike)} of {len(names)} classes, whose images differ from one another"
        f" less than a quarter as much as real ones: {first_reasons(alike)}. Try an earlier checkpoint, fewer"
        " updates or, if the discriminator has biases, one without (`use_bias`)."
    )


@torch.no_grad()
def band_energies(pixel_values: torch.Tensor) -> torch.Tensor:
    r"""
    Returns the mean squares of a Laplacian pyramid of images (Burt and Adelson, 1983): how much they vary at each
    scale, from single pixels to an eighth of their width, and in what is left.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images in [-1, 1].

    Returns:
        `torch.Tensor` of shape `(num_bands,)`: energies from fine to coarse.
    """
    images = pixel_values.float()
    energies: list[torch.Tensor] = []
    while len(energies) < 3 and min(images.shape[2:]) >= 8:
        smaller = F.avg_pool2d(images, 2, ceil_mode=True)
        energies.append((images - F.interpolate(smaller, images.shape[2:], mode="bilinear")).square().mean())
        images = smaller
    return torch.stack([*energies, (images - images.mean(0)).square().mean()])


def diagnose_noise(
    real_pixel_values: torch.Tensor, fake_pixel_values: torch.Tensor, steps: int, advises_contrast: bool = True
) -> str | None:
    r"""
    Diagnoses a generator that has learned too little, without a feature network: natural images vary mostly at coarse
    scales, noise at fine ones. Pale images vary less at all scales alike.

    Args:
        real_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images in [-1, 1].
        fake_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Generated images in [-1, 1].
        steps (`int`):
            Number of updates of the run.
        advises_contrast (`bool`, *optional*, defaults to `True`):
            Whether to advise `--match_contrast` for pale images: `False` if it is on already, or does not support the
            generator.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if the images vary as much as real ones at every scale.
    """
    real, fake = band_energies(real_pixel_values), band_energies(fake_pixel_values.to(real_pixel_values.device))
    ratios = ((fake + 1e-6) / (real + 1e-6)).sqrt().tolist()
    if all(1 / _LARGEST_RATIO < ratio < _LARGEST_RATIO for ratio in ratios):
        return None
    advice = (
        "Good images usually take 3,000 to 20,000 updates: resume with a higher `--max_train_steps`. If there were as"
        " many, the warnings above say what went wrong."
    )
    is_pale = _LEAST_CONTRAST < min(ratios) and max(ratios) < min(1, _LARGEST_DIFFERENCE * min(ratios))
    if advises_contrast and is_pale:
        advice = (
            "If they only lack contrast, set it: `--match_contrast --resume_from_checkpoint latest`. If not, they need more"
            " updates."
        )
    return (
        f"After {steps:,} updates, the generated images are probably no good: their fine detail varies {ratios[0]:.1f}"
        f" times as much as in real ones, their coarse shapes {ratios[-1]:.1f} times. Look at the samples. {advice}"
    )


def diagnose_quality(value: float, best_value: float | None, best_step: int | None) -> str | None:
    r"""
    Diagnoses a loss of image quality.

    Args:
        value (`float`):
            Current distance from real images.
        best_value (`float`, *optional*):
            Smallest distance before.
        best_step (`int`, *optional*):
            Step of that distance.

    Returns:
        `str` or `None`: a sentence for the log, or `None` if nothing is wrong.
    """
    if best_value is None or not 0 < best_value < value / 2:  # kernel distances may be negative
        return None
    return (
        f"The images are {value / best_value:.1f} times as far from real ones as those of step {best_step}. Use"
        " `--save_best` to keep the best model; try a lower learning rate or `--lr_scheduler linear`."
    )


@contextmanager
def keeping_progress(save: Callable[[], list[Path]]) -> Iterator[None]:
    r"""
    Context manager for the loading of images, in the middle of a run: saves the run if an error ends it, and logs how to
    go on. Damaged images, lost connections and removed disks cost no update.

    Args:
        save (`Callable`):
            Saves the run, and returns its checkpoints, the newest one last.
    """
    try:
        yield
    except Exception:
        checkpoints = save()
        if checkpoints:
            logger.error(
                f"The next images cannot be loaded. The run is kept in {checkpoints[-1]}. Go on with"
                " `--resume_from_checkpoint latest` when the cause is removed."
            )
        raise


def check_finite(
    statistics: dict[str, float],
    step: int,
    networks: Iterable[nn.Module] = (),
    find_checkpoints: Callable[[], Iterable[Path]] = tuple,
) -> None:
    r"""
    Ends a diverged run, before it writes anything.

    Args:
        statistics (`dict[str, float]`):
            Means of the statistics of an update strategy.
        step (`int`):
            Number of updates so far.
        networks (`Iterable[nn.Module]`, *optional*):
            Networks whose weights are checked, too, which synchronises with the device.
        find_checkpoints (`Callable`, *optional*):
            Returns the checkpoints to resume from, for the message. Only called if the run has diverged.

    Raises:
        FloatingPointError: if a value is not finite.
    """
    what = [name for name, value in statistics.items() if not math.isfinite(value)]
    if not what and not all(bool(values.isfinite().all()) for network in networks for values in network.parameters()):
        what = ["the weights"]
    if what:
        raise FloatingPointError(
            f"Training diverged: non-finite values in {' and '.join(what)}. Stopped at step {step} without saving. Try"
            f" a lower learning rate. Checkpoints to resume from: {[path.name for path in find_checkpoints()]}."
        )
