# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Batches of an update, made from the loader's uint8 images and random numbers."""

from collections.abc import Callable

import torch

from ..data.loaders import Shard
from ..data.seeding import seeded_generator
from ..pictures import to_pixel_values
from .augmentation import NUM_RANDOM_NUMBERS
from .updates import Batch


# Returns that many latents, of shape `(num_images, latent_dim)`, on the generator's device.
LatentSampler = Callable[[int, torch.Generator], torch.Tensor]


def normal_latents(latent_dim: int) -> LatentSampler:
    """Returns the sampler of latents from N(0, 1), the distribution that pipelines use, too."""
    return lambda num_images, generator: torch.randn(
        num_images, latent_dim, generator=generator, device=generator.device
    )


class StepNumbers:
    r"""
    Random numbers of a step. They are drawn for the images of all processes, and each process takes its own part, so
    that a step does not depend on how its images are split into processes and micro-batches.

    Args:
        raw_batches (`list[dict[str, torch.Tensor]]`):
            Micro-batches from a loader.
        step (`int`):
            Number of the step.
        shard ([`Shard`]):
            Part of the data that belongs to this process, with the seed of the run.
    """

    def __init__(self, raw_batches: list[dict[str, torch.Tensor]], step: int, shard: Shard):
        images = raw_batches[0]["pixel_values"]
        self.device = images.device
        self.shape = (len(raw_batches), shard.num_processes, len(images))
        self.step = step
        self.shard = shard

    def generator(self, purpose: str) -> torch.Generator:
        """Returns the random generator for one purpose."""
        return seeded_generator(self.shard.seed, purpose, self.step, self.device)

    def own(self, numbers: torch.Tensor) -> torch.Tensor:
        """Returns this process' part of numbers of shape `(num_micro_batches, num_processes, batch_size, ...)`."""
        return numbers[:, self.shard.process_index]

    def uniform(self, purpose: str, *shape: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draws a tensor of shape `(num_micro_batches, batch_size, *shape)` from [0, 1)."""
        generator = generator or self.generator(purpose)
        return self.own(torch.rand(*self.shape, *shape, generator=generator, device=self.device))

    def latents(self, sample: LatentSampler) -> torch.Tensor:
        """Draws latents of shape `(num_micro_batches, batch_size, latent_dim)`."""
        number = self.shape[0] * self.shape[1] * self.shape[2]
        return self.own(sample(number, self.generator("latents")).unflatten(0, self.shape))

    def flip_half(self, raw_batches: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        """Mirrors about half of the images, chosen at random, together with their low-resolution versions."""
        flips = self.uniform("flips") < 0.5

        def flip(name: str, images: torch.Tensor, flipped: torch.Tensor) -> torch.Tensor:
            if name == "class_labels":
                return images
            return torch.where(flipped[:, None, None, None], images.flip(-1), images)

        return [
            {name: flip(name, images, flips[i]) for name, images in raw_batch.items()}
            for i, raw_batch in enumerate(raw_batches)
        ]

    def turn(self, raw_batches: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        """Turns square images by random multiples of 90 degrees, together with their low-resolution versions."""
        quarters = (4 * self.uniform("quarter turns")).long().tolist()
        return [
            {
                name: torch.stack([torch.rot90(image, number, (1, 2)) for image, number in zip(images, quarters[i])])
                for name, images in raw_batch.items()
            }
            for i, raw_batch in enumerate(raw_batches)
        ]


def to_inputs(images: torch.Tensor) -> torch.Tensor:
    """Converts uint8 images to channels-last values in [-1, 1]."""
    return to_pixel_values(images).contiguous(memory_format=torch.channels_last)


def wrong_labels(class_labels: torch.Tensor, numbers: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    r"""
    Returns a different class for each image. With several attributes, a single value is different: that of an attribute
    chosen at random among those that are known and have other values. Without one, an image keeps its label.

    Args:
        class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`):
            The images' labels, -1 for a missing value.
        numbers (`torch.Tensor` of shape `(batch_size, 1 + num_attributes)`):
            Random numbers in [0, 1): for the value, and for the choice of the attribute.
        sizes (`list[int]`):
            Number of values of each attribute.
    """
    labels = class_labels.view(len(class_labels), -1)
    num_values = torch.tensor(sizes, device=labels.device)
    chosen = numbers[:, 1:].masked_fill((labels < 0) | (num_values < 2), -1).argmax(1, keepdim=True)
    values, number = labels.gather(1, chosen), num_values[chosen]
    others = (values + 1 + (numbers[:, :1] * (number - 1)).long()) % number
    return labels.scatter(1, chosen, torch.where(values < 0, values, others)).view_as(class_labels)


def prepare_batches(
    raw_batches: list[dict[str, torch.Tensor]],
    step: int,
    shard: Shard,
    sample_latents: LatentSampler,
    random_flip: bool = False,
    augments: bool = False,
    interpolates: bool = False,
    label_sizes: list[int] | None = None,
) -> list[Batch]:
    r"""
    Normalises the images of a step, mirrors some if requested, and draws latents and random numbers.

    Args:
        raw_batches (`list[dict[str, torch.Tensor]]`):
            Micro-batches from a loader: `pixel_values` (uint8) and optionally `class_labels`.
        step (`int`):
            Number of the step.
        shard ([`Shard`]):
            Part of the data that belongs to this process, with the seed of the run.
        sample_latents (`Callable`):
            Source of latents, such as [`normal_latents`].
        random_flip (`bool`, *optional*, defaults to `False`):
            Whether to mirror half of the images, chosen at random.
        augments (`bool`, *optional*, defaults to `False`):
            Whether to draw random numbers for the augmentation of the discriminator's inputs.
        interpolates (`bool`, *optional*, defaults to `False`):
            Whether to draw random numbers for interpolations between real and generated images.
        label_sizes (`list[int]`, *optional*):
            Number of values of each attribute, to draw [`wrong_labels`].
    """
    numbers = StepNumbers(raw_batches, step, shard)
    latents = numbers.latents(sample_latents)
    if random_flip:
        raw_batches = numbers.flip_half(raw_batches)
    if augments:
        augmentation = numbers.uniform("augmentation", 2, NUM_RANDOM_NUMBERS)
    if interpolates:
        interpolation = numbers.uniform("interpolation")
    if label_sizes:
        mismatches = numbers.uniform("wrong labels", 1 + len(label_sizes))

    batches = []
    for i, raw_batch in enumerate(raw_batches):
        batch = Batch(to_inputs(raw_batch["pixel_values"]), latents[i], raw_batch.get("class_labels"))
        if augments:
            batch.augmentation = augmentation[i].transpose(0, 1)
        if interpolates:
            batch.interpolation = interpolation[i]
        if label_sizes:
            batch.wrong_labels = wrong_labels(raw_batch["class_labels"], mismatches[i], label_sizes)
        batches.append(batch)
    return batches
