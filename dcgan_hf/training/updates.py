# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Update strategies: ways to update both networks once. All have the same signature: they take the GAN and the
micro-batches of a step (more than one accumulates gradients) and return detached statistics. Accumulated micro-batches
give the same update as one large batch, except that batch normalisation sees each micro-batch separately.

The generator's gradient is always computed in two parts: from its loss to the generated pixels, through the
discriminator, and from the pixels to its weights. The first part requests the gradient of the pixels alone from
autograd, so it neither computes nor touches gradients of the discriminator's weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn

from ..modeling_dcgan import DCGANDiscriminator
from .arguments import check_images_are_separate
from .augmentation import diff_augment
from .failures import diversity
from .losses import GANLoss, PenaltyWeights, interpolated_penalty, zero_centered_penalty


@dataclass
class GAN:
    """
    Two networks that are trained against each other, with their optimizers and losses.

    Args:
        accelerator (`Accelerator`):
            Accelerator that has prepared the networks and optimizers.
        generator ([`DCGANGenerator`]):
            Generator in training mode.
        discriminator ([`DCGANDiscriminator`]):
            Discriminator in training mode.
        generator_optimizer (`AcceleratedOptimizer`):
            Updates the generator.
        discriminator_optimizer (`AcceleratedOptimizer`):
            Updates the discriminator.
        loss ([`GANLoss`]):
            Losses of both networks.
        penalties ([`PenaltyWeights`], *optional*):
            Penalties added to the discriminator's loss. By default none.
        augmentations (`list[str]`, *optional*):
            Augmentations of all images that the discriminator sees in training, see [`diff_augment`].
        discriminator_steps (`int`, *optional*, defaults to 1):
            Number of discriminator updates per generator update.
    """

    accelerator: Accelerator
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: AcceleratedOptimizer
    discriminator_optimizer: AcceleratedOptimizer
    loss: GANLoss
    penalties: PenaltyWeights = field(default_factory=PenaltyWeights)
    augmentations: list[str] = field(default_factory=list)
    discriminator_steps: int = 1


@dataclass
class Batch:
    """
    Micro-batch of an update.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Real images in [-1, 1].
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            Latents of the images to generate, from N(0, 1).
        class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`, *optional*):
            Classes of the real images, and of those to generate.
        augmentation (`torch.Tensor` of shape `(2, batch_size, 7)`, *optional*):
            Random numbers in [0, 1) for the augmentation of real and generated images.
        interpolation (`torch.Tensor` of shape `(batch_size,)`, *optional*):
            Random numbers in [0, 1) for the penalty at interpolations between real and generated images.
        wrong_labels (`torch.LongTensor` of the shape of `class_labels`, *optional*):
            Labels that do not match the real images, for a matching-aware discriminator. Those of images without known
            labels are the same.
    """

    pixel_values: torch.Tensor
    latents: torch.Tensor
    class_labels: torch.Tensor | None = None
    augmentation: torch.Tensor | None = None
    interpolation: torch.Tensor | None = None
    wrong_labels: torch.Tensor | None = None

    @property
    def generator_inputs(self) -> tuple[torch.Tensor | None, ...]:
        """Inputs of the generator."""
        return self.latents, self.class_labels


def alternating_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    Updates the discriminator on real and generated images, then the generator through the updated discriminator, as in
    the paper. Both use the same generated images. (Several micro-batches are generated again for the generator, so
    that only one micro-batch's activations are held at a time.)

    With several discriminator updates, each has its own share of the micro-batches. The generator uses the last share.
    """
    number = len(batches) // gan.discriminator_steps
    accumulates = number > 1

    statistics = []
    for start in range(0, len(batches), number):
        gan.discriminator_optimizer.zero_grad()
        is_last_update = start + number == len(batches)
        for i, batch in enumerate(batches[start : start + number]):
            with reduce_gradients(gan, is_last=i == number - 1):
                with torch.set_grad_enabled(is_last_update and not accumulates):
                    fake = gan.generator(*batch.generator_inputs).pixel_values
                result = _discriminate_batch(gan, batch, fake.detach(), in_one_call=True)
                gan.accelerator.backward(result.loss / number, inputs=trainable_weights(gan.discriminator))
            statistics.append(discriminator_statistics(gan, batch.pixel_values, fake, result, batch.class_labels))
        gan.discriminator_optimizer.step()

    gan.generator_optimizer.zero_grad()
    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    generator_losses = []
    for i, batch in enumerate(batches[-number:]):
        with reduce_gradients(gan, is_last=i == number - 1):
            if accumulates:
                fake = gan.generator(*batch.generator_inputs).pixel_values
            pixels = fake.detach().requires_grad_()
            logits = [discriminator(_augment(gan, batch, pixels, is_real=False), batch.class_labels).logits]
            if gan.loss.is_relativistic:
                with torch.no_grad():
                    real = _augment(gan, batch, batch.pixel_values, is_real=True)
                    logits.append(discriminator(real, batch.class_labels).logits)
            generator_loss = gan.loss.generator(*logits)
            (pixel_gradient,) = torch.autograd.grad(scale_loss(gan, generator_loss / number), pixels)
            fake.backward(pixel_gradient)
        generator_losses.append(generator_loss.detach())
    gan.generator_optimizer.step()
    return mean_statistics(statistics) | {"generator_loss": torch.stack(generator_losses).mean()}


def simultaneous_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    Updates both networks from one forward pass: the generator learns from the discriminator before its update. Saves
    one forward pass of the discriminator.
    """

    def backward(result: Discrimination, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        generator_loss = adversarial_loss(gan, result.real_logits, result.fake_logits)
        scaled_loss = scale_loss(gan, generator_loss / len(batches))
        (pixel_gradient,) = torch.autograd.grad(scaled_loss, pixels, retain_graph=True)
        gan.accelerator.backward(result.loss / len(batches), inputs=trainable_weights(gan.discriminator))
        return generator_loss, pixel_gradient

    return _update_both(gan, batches, backward)


# Lower bound of an image's gradient, as a share of the largest gradient, see `one_stage_update`.
_SMALLEST_SHARE = 1e-6


def one_stage_update(gan: GAN, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """
    Updates both networks like the simultaneous update, but saves one backward pass of the discriminator. Requires a
    discriminator that treats each image separately, that is without batch normalisation (Shen et al., 2021,
    https://huggingface.co/papers/2103.00430), and no penalties.

    For such a discriminator, the gradients of both losses with respect to image i differ only by a factor: the ratio
    of the losses' derivatives with respect to logit i. So the generator's gradient is the discriminator's, which the
    backward pass computes anyway, times this ratio. The ratio follows from the logits. Where the discriminator is so
    certain of an image that its gradient vanishes, a millionth of the largest gradient is passed back instead, so that
    the ratio stays finite. The effect on the discriminator's gradient is of the size of a rounding error.
    """
    check_images_are_separate(not has_batch_norm(gan.discriminator), "`update_strategy=one_stage`")

    def backward(result: Discrimination, pixels: Any) -> tuple[torch.Tensor, torch.Tensor]:
        logits = (result.real_logits, result.fake_logits)
        real, fake = (values.detach().float().requires_grad_() for values in logits)
        discriminator_loss, generator_loss = gan.loss.discriminator(real, fake), adversarial_loss(gan, real, fake)
        real_gradient, fake_gradient = torch.autograd.grad(discriminator_loss / len(batches), (real, fake))
        (wanted_gradient,) = torch.autograd.grad(generator_loss / len(batches), fake)
        smallest = (_SMALLEST_SHARE * fake_gradient.abs().max()).clamp_min(1e-20)
        passed_gradient = torch.where(fake_gradient.abs() < smallest, smallest, fake_gradient)
        torch.autograd.backward(logits, [real_gradient, passed_gradient])
        pixel_gradient = (wanted_gradient / passed_gradient)[:, None, None, None] * pixels.grad
        return generator_loss, pixel_gradient

    return _update_both(gan, batches, backward, in_one_call=True)


def trainable_weights(network: nn.Module) -> list[nn.Parameter]:
    """Returns the weights of a network that are not frozen."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def has_batch_norm(network: nn.Module) -> bool:
    """Returns whether a network mixes the images of a batch."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


# Function of the GAN and the micro-batches of a step.
UpdateStrategy = Callable[[GAN, list[Any]], dict[str, torch.Tensor]]

UPDATE_STRATEGIES: dict[str, UpdateStrategy] = {
    "alternating": alternating_update,
    "simultaneous": simultaneous_update,
    "one_stage": one_stage_update,
}


def _update_both(
    gan: GAN,
    batches: list[Batch],
    backward: Callable[["Discrimination", torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    in_one_call: bool = False,
) -> dict[str, torch.Tensor]:
    """
    Updates both networks from one forward pass. `backward` takes the discriminator's result and the pixels of the
    generated images, accumulates the gradients of the discriminator's weights, and returns the generator's loss and
    its gradient with respect to the pixels.
    """
    gan.discriminator_optimizer.zero_grad()
    gan.generator_optimizer.zero_grad()

    statistics = []
    for i, batch in enumerate(batches):
        with reduce_gradients(gan, is_last=i == len(batches) - 1):
            fake = gan.generator(*batch.generator_inputs).pixel_values
            pixels = fake.detach().requires_grad_()
            result = _discriminate_batch(gan, batch, pixels, in_one_call)
            generator_loss, pixel_gradient = backward(result, pixels)
            fake.backward(pixel_gradient)
        statistics.append(discriminator_statistics(gan, batch.pixel_values, fake, result, batch.class_labels))
        statistics[i]["generator_loss"] = generator_loss.detach()
    gan.discriminator_optimizer.step()
    gan.generator_optimizer.step()
    return mean_statistics(statistics)


class Discrimination(NamedTuple):
    """The discriminator's loss without and with penalties, and its logits."""

    loss_without_penalties: torch.Tensor
    loss: torch.Tensor
    real_logits: torch.Tensor
    fake_logits: torch.Tensor


def discriminate(
    gan: GAN,
    real: torch.Tensor,
    fake: torch.Tensor,
    class_labels: torch.Tensor | None = None,
    interpolation: torch.Tensor | None = None,
    wrong_labels: torch.Tensor | None = None,
    in_one_call: bool = False,
) -> Discrimination:
    """
    Passes real and generated images through the discriminator, and returns its logits and loss. See [`Batch`]. With
    wrong labels, the loss is the mean of two: real images against generated ones, and against the same real images with
    wrong labels (Reed et al., 2016, https://huggingface.co/papers/1605.05396, algorithm 1). For an image that has no
    wrong label, a generated one is used in both.

    `in_one_call` does so at once, if no score depends on other images: the weights are normalised and read once instead
    of twice. It is slower if another loss of the generated images alone is differentiated, too.
    """

    def score(pixel_values: torch.Tensor) -> torch.Tensor:
        return gan.discriminator(pixel_values, class_labels).logits

    weights = gan.penalties
    if weights.r1:
        real = real.detach().requires_grad_()
    if weights.r2 and not fake.requires_grad:
        fake = fake.detach().requires_grad_()
    if in_one_call and weights == PenaltyWeights() and _scores_each_image_alone(gan):
        labels = None if class_labels is None else torch.cat([class_labels, class_labels])
        logits = gan.discriminator(torch.cat([real, fake]), labels).logits
        real_logits, fake_logits = logits[: len(real)], logits[len(real) :]
    else:
        real_logits, fake_logits = score(real), score(fake)
    loss = gan.loss.discriminator(real_logits, fake_logits)
    if wrong_labels is not None:
        assert class_labels is not None
        wrong_logits = gan.discriminator(real, wrong_labels).logits
        are_wrong = (wrong_labels != class_labels).view(len(real), -1).any(1)
        wrong_logits = torch.where(are_wrong, wrong_logits, fake_logits)
        loss = (loss + gan.loss.discriminator(real_logits, wrong_logits)) / 2
    loss_without_penalties = loss
    if weights.r1:
        loss = loss + weights.r1 * zero_centered_penalty(real_logits, real)
    if weights.r2:
        loss = loss + weights.r2 * zero_centered_penalty(fake_logits, fake)
    if weights.interpolated:
        assert interpolation is not None
        loss = loss + weights.interpolated * interpolated_penalty(score, real, fake, interpolation)
    return Discrimination(loss_without_penalties, loss, real_logits, fake_logits)


def _scores_each_image_alone(gan: GAN) -> bool:
    """
    Returns whether the discriminator's score of an image is known not to depend on other images. Layers of other
    libraries may mix them.
    """
    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    libraries = {type(layer).__module__.split(".")[0] for layer in discriminator.modules()}
    is_known = type(discriminator) is DCGANDiscriminator and libraries <= {"dcgan_hf", "torch", "transformers"}
    return is_known and not has_batch_norm(discriminator)


def _discriminate_batch(gan: GAN, batch: Batch, fake: torch.Tensor, in_one_call: bool) -> Discrimination:
    real = _augment(gan, batch, batch.pixel_values, is_real=True)
    fake = _augment(gan, batch, fake, is_real=False)
    return discriminate(gan, real, fake, batch.class_labels, batch.interpolation, batch.wrong_labels, in_one_call)


def _augment(gan: GAN, batch: Batch, pixel_values: torch.Tensor, is_real: bool) -> torch.Tensor:
    if not gan.augmentations:
        return pixel_values
    assert batch.augmentation is not None
    return diff_augment(pixel_values, batch.augmentation[0 if is_real else 1], gan.augmentations)


@contextmanager
def reduce_gradients(gan: GAN, is_last: bool) -> Iterator[None]:
    """Averages gradients over the processes once, in the backward passes of the last micro-batch."""
    if is_last:
        yield
    else:
        with gan.accelerator.no_sync(gan.generator), gan.accelerator.no_sync(gan.discriminator):
            yield


def adversarial_loss(gan: GAN, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    return gan.loss.generator(fake_logits, *([real_logits] if gan.loss.is_relativistic else []))


def scale_loss(gan: GAN, loss: torch.Tensor) -> torch.Tensor:
    """Scales a loss for fp16, as `Accelerator.backward` does."""
    return loss if gan.accelerator.scaler is None else gan.accelerator.scaler.scale(loss)


@torch.no_grad()
def discriminator_statistics(
    gan: GAN,
    real: torch.Tensor,
    fake: torch.Tensor,
    result: Discrimination,
    class_labels: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Returns the statistics of a discriminator update on these images, for the log."""
    statistics = {
        "discriminator_loss": result.loss_without_penalties.detach(),
        "real_logits": result.real_logits.mean(),
        "fake_logits": result.fake_logits.mean(),
        "logits_std": torch.cat([result.real_logits, result.fake_logits]).std(),
        "diversity": diversity(real, fake, class_labels),
    }
    if gan.penalties != PenaltyWeights():
        statistics["penalty"] = (result.loss - result.loss_without_penalties).detach()
    return statistics


def mean_statistics(statistics: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([values[name] for values in statistics]).mean() for name in statistics[0]}
