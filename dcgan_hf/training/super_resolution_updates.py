# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Update strategies of a super-resolution generator: with a pixel loss alone, or with a discriminator, too. Both take the
GAN, the micro-batches of a step (more than one accumulates gradients) and the loss weights, and return detached
statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from ..data.degradation import Degradation, degrade
from ..data.loaders import Shard
from .batches import StepNumbers, to_inputs
from .updates import (
    GAN,
    adversarial_loss,
    discriminate,
    discriminator_statistics,
    mean_statistics,
    reduce_gradients,
    scale_loss,
    trainable_weights,
)


@dataclass
class SuperResolutionBatch:
    """
    Micro-batch of an update.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Original images in [-1, 1].
        small_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height / scale, width / scale)`):
            Their low-resolution versions.
        interpolation (`torch.Tensor` of shape `(batch_size,)`):
            Random numbers in [0, 1) for the penalty at interpolations between real and generated images.
    """

    pixel_values: torch.Tensor
    small_pixel_values: torch.Tensor
    interpolation: torch.Tensor
    class_labels: ClassVar[None] = None

    @property
    def generator_inputs(self) -> tuple[torch.Tensor, ...]:
        """Inputs of the generator."""
        return (self.small_pixel_values,)


def charbonnier_loss(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Returns the mean of `sqrt(x^2 + 0.002^2)` of the differences of pixels in [-1, 1]: the absolute difference, smooth
    around 0 (Lai et al., 2017, https://huggingface.co/papers/1704.03915, section 3.2, with 0.001 for [0, 1])."""
    return ((fake - real).square() + 0.002**2).sqrt().mean()


# By name in `--pixel_loss`.
PIXEL_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": F.l1_loss,
    "charbonnier": charbonnier_loss,
    "l2": F.mse_loss,
}


@dataclass
class SuperResolutionWeights:
    """
    Weights of the generator's losses.

    Args:
        pixel (`float`):
            Loss of the pixels.
        adversarial (`float`):
            Loss of [`GANLoss`].
        feature_matching (`float`):
            Mean absolute difference of the discriminator's feature maps, averaged over its layers (Wang et al., 2018,
            https://huggingface.co/papers/1711.11585, equation 4).
        perceptual (`float`):
            Mean absolute difference of another network's features.
        perceptual_features (`Callable`, *optional*):
            That network: a function of images in [-1, 1].
        pixel_loss (`str`, *optional*, defaults to `"l1"`):
            Loss of the pixels, a key of [`PIXEL_LOSSES`].
    """

    pixel: float
    adversarial: float
    feature_matching: float
    perceptual: float = 0.0
    perceptual_features: Callable[[torch.Tensor], torch.Tensor] | None = None
    pixel_loss: str = "l1"


def prepare_super_resolution_batches(
    raw_batches: list[dict[str, torch.Tensor]],
    step: int,
    shard: Shard,
    degradation: Degradation,
    random_flip: bool = False,
    random_rotation: bool = False,
) -> list[SuperResolutionBatch]:
    r"""
    Makes the low-resolution images of a step, unless the dataset contains pairs, and normalises all images.

    Args:
        raw_batches (`list[dict[str, torch.Tensor]]`):
            Micro-batches from a loader: `pixel_values` (uint8) and optionally `small_pixel_values`.
        step (`int`):
            Number of the step.
        shard ([`Shard`]):
            Part of the data that belongs to this process, with the seed of the run.
        degradation ([`Degradation`]):
            Method of making the low-resolution images.
        random_flip (`bool`, *optional*, defaults to `False`):
            Whether to mirror half of the images, chosen at random.
        random_rotation (`bool`, *optional*, defaults to `False`):
            Whether to turn the images by random multiples of 90 degrees.
    """
    numbers = StepNumbers(raw_batches, step, shard)
    generator = numbers.generator("degradation")
    strengths = numbers.uniform("degradation", 3, generator=generator)
    interpolation = numbers.uniform("interpolation")
    if random_flip:
        raw_batches = numbers.flip_half(raw_batches)
    if random_rotation:
        raw_batches = numbers.turn(raw_batches)

    batches = []
    for i, raw_batch in enumerate(raw_batches):
        images = raw_batch["pixel_values"]
        small_images = raw_batch.get("small_pixel_values")
        if small_images is None:
            noise = None
            if degradation.noise:
                batch_size, num_channels, *size = images.shape
                small_size = [side // degradation.scale_factor for side in size]
                # Drawn for all processes. Each takes its own part.
                shape = (shard.num_processes, batch_size, num_channels, *small_size)
                noise = torch.randn(shape, generator=generator, device=images.device)[shard.process_index]
            small_images = degrade(images, degradation, strengths[i], noise)
        batches.append(
            SuperResolutionBatch(to_inputs(images), to_inputs(small_images), interpolation=interpolation[i])
        )
    return batches


def pixel_update(
    gan: GAN, batches: list[SuperResolutionBatch], weights: SuperResolutionWeights
) -> dict[str, torch.Tensor]:
    """Updates the generator alone, from its pixel loss (and its perceptual loss)."""
    gan.generator_optimizer.zero_grad()
    statistics = []
    for i, batch in enumerate(batches):
        with reduce_gradients(gan, is_last=i == len(batches) - 1):
            fake = gan.generator(*batch.generator_inputs).pixel_values
            loss, parts = _reconstruction_loss(batch, fake, weights)
            gan.accelerator.backward(loss / len(batches))
        statistics.append(parts)
    gan.generator_optimizer.step()
    return mean_statistics(statistics)


def adversarial_update(
    gan: GAN, batches: list[SuperResolutionBatch], weights: SuperResolutionWeights
) -> dict[str, torch.Tensor]:
    """
    Updates the discriminator, then the generator through it, from all losses. (Several micro-batches are upscaled
    again for the generator, so that only one micro-batch's activations are held at a time.)
    """
    accumulates = len(batches) > 1
    gan.discriminator_optimizer.zero_grad()
    statistics = []
    for i, batch in enumerate(batches):
        with reduce_gradients(gan, is_last=i == len(batches) - 1):
            with torch.set_grad_enabled(not accumulates):
                fake = gan.generator(*batch.generator_inputs).pixel_values
            result = discriminate(
                gan, batch.pixel_values, fake.detach(), interpolation=batch.interpolation, in_one_call=True
            )
            gan.accelerator.backward(result.loss / len(batches), inputs=trainable_weights(gan.discriminator))
        statistics.append(discriminator_statistics(gan, batch.pixel_values, fake, result))
    gan.discriminator_optimizer.step()

    gan.generator_optimizer.zero_grad()
    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    for i, batch in enumerate(batches):
        with reduce_gradients(gan, is_last=i == len(batches) - 1):
            if accumulates:
                fake = gan.generator(*batch.generator_inputs).pixel_values
            pixels = fake.detach().requires_grad_()
            loss, parts = _reconstruction_loss(batch, pixels, weights)
            judged = discriminator(pixels, output_hidden_states=True)
            with torch.no_grad():
                real = discriminator(batch.pixel_values, output_hidden_states=True)
            generator_loss = adversarial_loss(gan, real.logits, judged.logits)
            matching = torch.stack([F.l1_loss(*maps) for maps in zip(judged.hidden_states, real.hidden_states)]).mean()
            loss = loss + weights.adversarial * generator_loss + weights.feature_matching * matching
            (pixel_gradient,) = torch.autograd.grad(scale_loss(gan, loss / len(batches)), pixels)
            fake.backward(pixel_gradient)
        parts |= {"generator_loss": generator_loss.detach(), "feature_matching_loss": matching.detach()}
        statistics[i] |= parts
    gan.generator_optimizer.step()
    return mean_statistics(statistics)


def _reconstruction_loss(
    batch: SuperResolutionBatch, fake: torch.Tensor, weights: SuperResolutionWeights
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Computes the loss of generated images with respect to the real ones, and its statistics for the log."""
    real = batch.pixel_values
    pixel_loss = PIXEL_LOSSES[weights.pixel_loss](fake, real)
    loss = weights.pixel * pixel_loss
    with torch.no_grad():
        bicubic = F.interpolate(batch.small_pixel_values, real.shape[2:], mode="bicubic", antialias=True)
        statistics = {
            "pixel_loss": pixel_loss.detach(),
            "psnr": _psnr(real, fake),
            "bicubic_psnr": _psnr(real, bicubic),
        }
    if weights.perceptual_features is not None:
        with torch.no_grad():
            expected = weights.perceptual_features(real)
        perceptual_loss = F.l1_loss(weights.perceptual_features(fake), expected)
        loss = loss + weights.perceptual * perceptual_loss
        statistics["perceptual_loss"] = perceptual_loss.detach()
    return loss, statistics


def _psnr(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Returns the mean peak signal-to-noise ratio in dB of images in [-1, 1], at most 100."""
    errors = (fake.clamp(-1, 1) - real).square().flatten(1).mean(1) / 2**2
    return -10 * torch.log10(errors.clamp_min(1e-10)).mean()
