# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Ways to update both networks once. All have the same signature: they take the GAN and the micro-batches of a step (more
than one accumulates gradients) and return detached statistics. Accumulated micro-batches give the update of one large
batch, except that batch normalisation sees each micro-batch alone.

The generator's gradient is always taken in two parts: from its loss to the generated pixels, through the
discriminator, and from the pixels to its weights. The first part asks autograd for the gradient of the pixels alone,
so it neither computes nor touches gradients of the discriminator's weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn

from ..configuration_dcgan import DCGANDiscriminatorConfig
from .losses import GANLoss


@dataclass
class GAN:
    """
    Two networks that are trained against each other, and what trains them.

    Args:
        accelerator (`Accelerator`):
            Has prepared the networks and optimizers.
        generator ([`DCGANGenerator`]):
            In training mode.
        discriminator ([`DCGANDiscriminator`]):
            In training mode.
        generator_optimizer (`AcceleratedOptimizer`):
            Updates the generator.
        discriminator_optimizer (`AcceleratedOptimizer`):
            Updates the discriminator.
        loss ([`GANLoss`]):
            Losses of both.
    """

    accelerator: Accelerator
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: AcceleratedOptimizer
    discriminator_optimizer: AcceleratedOptimizer
    loss: GANLoss


@dataclass
class Batch:
    """
    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images in [-1, 1].
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            Latents of the images to generate, N(0, 1).
        class_labels (`torch.LongTensor` of shape `(batch_size,)`, *optional*):
            Classes of the real images, and of those to generate.
    """

    pixel_values: torch.Tensor
    latents: torch.Tensor
    class_labels: torch.Tensor | None = None


def alternating_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    The paper's update: the discriminator on real and on generated images, then the generator through the updated
    discriminator. Both use the same generated images. (Several micro-batches are generated again for the generator, so
    that the activations of no more than one are held.)
    """
    gan.discriminator_optimizer.zero_grad()
    gan.generator_optimizer.zero_grad()
    accumulates = len(batches) > 1

    statistics = []
    for i, batch in enumerate(batches):
        with _reduce_gradients(gan, is_last=i == len(batches) - 1):
            with torch.set_grad_enabled(not accumulates):
                fake = gan.generator(batch.latents, batch.class_labels).pixel_values
            real_logits = gan.discriminator(batch.pixel_values, batch.class_labels).logits
            fake_logits = gan.discriminator(fake.detach(), batch.class_labels).logits
            discriminator_loss = gan.loss.discriminator(real_logits, fake_logits)
            gan.accelerator.backward(discriminator_loss / len(batches))
        statistics.append(_discriminator_statistics(discriminator_loss, real_logits, fake_logits))
    gan.discriminator_optimizer.step()

    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    for i, batch in enumerate(batches):
        with _reduce_gradients(gan, is_last=i == len(batches) - 1):
            if accumulates:
                fake = gan.generator(batch.latents, batch.class_labels).pixel_values
            pixels = fake.detach().requires_grad_()
            logits = [discriminator(pixels, batch.class_labels).logits]
            if gan.loss.is_relativistic:
                with torch.no_grad():
                    logits.append(discriminator(batch.pixel_values, batch.class_labels).logits)
            generator_loss = gan.loss.generator(*logits)
            (pixel_gradient,) = torch.autograd.grad(_scale(gan, generator_loss / len(batches)), pixels)
            fake.backward(pixel_gradient)
        statistics[i]["generator_loss"] = generator_loss.detach()
    gan.generator_optimizer.step()
    return _mean(statistics)


def simultaneous_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    Both updates from one forward pass: the generator learns from the discriminator before its update. Needs one
    forward pass of the discriminator less.
    """

    def backward(real_logits: torch.Tensor, fake_logits: torch.Tensor, pixels: torch.Tensor) -> _Backward:
        generator_loss = _generator_loss(gan, real_logits, fake_logits)
        scaled_loss = _scale(gan, generator_loss / len(batches))
        (pixel_gradient,) = torch.autograd.grad(scaled_loss, pixels, retain_graph=True)
        discriminator_loss = gan.loss.discriminator(real_logits, fake_logits)
        gan.accelerator.backward(discriminator_loss / len(batches), inputs=list(gan.discriminator.parameters()))
        return discriminator_loss, generator_loss, pixel_gradient

    return _update_both(gan, batches, backward)


def check_one_stage(config: DCGANDiscriminatorConfig) -> None:
    """Raises a `ValueError` for a discriminator that [`one_stage_update`] is wrong for."""
    if config.norm_type == "batch":
        raise ValueError(
            "`update_strategy=one_stage` needs a discriminator that treats each image separately, got"
            " `norm_type=batch`, which mixes those of a batch. Use `group`, `spectral` or `none`"
            """ (`--discriminator_config '{"norm_type": "spectral"}'`), or `update_strategy=simultaneous`."""
        )


# Least share of the largest gradient that goes through the discriminator for any image: see `one_stage_update`.
_SMALLEST_SHARE = 1e-6


def one_stage_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    The simultaneous update with one backward pass of the discriminator less, for discriminators that treat each image
    separately, so without batch normalisation (Shen et al., 2021, https://huggingface.co/papers/2103.00430).

    For such a one the gradients of both losses with respect to image i differ only by a factor, the ratio of the
    losses' derivatives with respect to logit i. So the generator's is that of the discriminator, which its own backward
    pass computes anyway, times this ratio. It comes from the logits. Where the discriminator is so sure of an image that
    its own gradient vanishes, the image passes with a millionth of the largest one, so that the ratio stays finite; to
    the discriminator's gradient that adds what rounding adds.
    """
    check_one_stage(gan.accelerator.unwrap_model(gan.discriminator).config)

    def backward(real_logits: torch.Tensor, fake_logits: torch.Tensor, pixels: Any) -> _Backward:
        real, fake = (logits.detach().float().requires_grad_() for logits in (real_logits, fake_logits))
        discriminator_loss, generator_loss = gan.loss.discriminator(real, fake), _generator_loss(gan, real, fake)
        real_gradient, fake_gradient = torch.autograd.grad(discriminator_loss / len(batches), (real, fake))
        (wanted_gradient,) = torch.autograd.grad(generator_loss / len(batches), fake)
        smallest = (_SMALLEST_SHARE * fake_gradient.abs().max()).clamp_min(1e-20)
        passed_gradient = torch.where(fake_gradient.abs() < smallest, smallest, fake_gradient)
        torch.autograd.backward([real_logits, fake_logits], [real_gradient, passed_gradient])
        pixel_gradient = (wanted_gradient / passed_gradient)[:, None, None, None] * pixels.grad
        return discriminator_loss, generator_loss, pixel_gradient

    return _update_both(gan, batches, backward)


UpdateStrategy = Callable[[GAN, list[Batch]], dict[str, torch.Tensor]]

UPDATE_STRATEGIES: dict[str, UpdateStrategy] = {
    "alternating": alternating_update,
    "simultaneous": simultaneous_update,
    "one_stage": one_stage_update,
}


# The losses of both networks and the gradient of the generator's with respect to the generated pixels.
_Backward = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _update_both(gan: GAN, batches: list[Batch], backward: Callable[..., _Backward]) -> dict[str, torch.Tensor]:
    """
    Updates both networks from one forward pass. `backward` takes the logits of real and of generated images and the latter's
    pixels, and adds the discriminator's gradients to its weights.
    """
    gan.discriminator_optimizer.zero_grad()
    gan.generator_optimizer.zero_grad()

    statistics = []
    for i, batch in enumerate(batches):
        with _reduce_gradients(gan, is_last=i == len(batches) - 1):
            fake = gan.generator(batch.latents, batch.class_labels).pixel_values
            pixels = fake.detach().requires_grad_()
            real_logits = gan.discriminator(batch.pixel_values, batch.class_labels).logits
            fake_logits = gan.discriminator(pixels, batch.class_labels).logits
            discriminator_loss, generator_loss, pixel_gradient = backward(real_logits, fake_logits, pixels)
            fake.backward(pixel_gradient)
        statistics.append(_discriminator_statistics(discriminator_loss, real_logits, fake_logits))
        statistics[i]["generator_loss"] = generator_loss.detach()
    gan.discriminator_optimizer.step()
    gan.generator_optimizer.step()
    return _mean(statistics)


@contextmanager
def _reduce_gradients(gan: GAN, is_last: bool) -> Iterator[None]:
    """Processes average their gradients once, in the backward passes of the last micro-batch."""
    if is_last:
        yield
    else:
        with gan.accelerator.no_sync(gan.generator), gan.accelerator.no_sync(gan.discriminator):
            yield


def _generator_loss(gan: GAN, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    return gan.loss.generator(fake_logits, *([real_logits] if gan.loss.is_relativistic else []))


def _scale(gan: GAN, loss: torch.Tensor) -> torch.Tensor:
    """What `Accelerator.backward` does to a loss for fp16."""
    return loss if gan.accelerator.scaler is None else gan.accelerator.scaler.scale(loss)


def _discriminator_statistics(
    loss: torch.Tensor, real_logits: torch.Tensor, fake_logits: torch.Tensor
) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return {
            "discriminator_loss": loss.detach(),
            "real_logits": real_logits.mean(),
            "fake_logits": fake_logits.mean(),
            "logits_std": torch.cat([real_logits, fake_logits]).std(),
        }


def _mean(statistics: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([values[name] for values in statistics]).mean() for name in statistics[0]}
