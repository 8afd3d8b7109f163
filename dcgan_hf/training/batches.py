# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""From the loader's uint8 images to what an update strategy takes."""

import torch
from diffusers.image_processor import VaeImageProcessor

from ..data.seeding import seeded_generator
from .augmentation import NUM_RANDOM_NUMBERS
from .update_strategies import Batch


def prepare_batches(
    raw_batches: list[dict[str, torch.Tensor]],
    latent_dim: int,
    seed: int,
    step: int,
    process_index: int = 0,
    num_processes: int = 1,
    random_flip: bool = False,
    augments: bool = False,
    interpolates: bool = False,
) -> list[Batch]:
    r"""
    Normalises and augments the images of a step and draws the latents.

    The random numbers of all processes are drawn and each takes its own, so that a step does not depend on how its
    images are divided into processes and micro-batches.

    Args:
        raw_batches (`list[dict[str, torch.Tensor]]`):
            Micro-batches from a loader: `pixel_values` (uint8) and optionally `class_labels`.
        latent_dim (`int`):
            Number of latent variables.
        seed (`int`):
            Seed of the run.
        step (`int`):
            Number of the step.
        process_index (`int`, *optional*, defaults to 0):
            Number of this process.
        num_processes (`int`, *optional*, defaults to 1):
            Number of all processes.
        random_flip (`bool`, *optional*, defaults to `False`):
            Whether to mirror half of the images, chosen at random.
        augments (`bool`, *optional*, defaults to `False`):
            Whether to draw numbers for the augmentation of what the discriminator sees.
        interpolates (`bool`, *optional*, defaults to `False`):
            Whether to draw numbers for images between real and generated ones.
    """
    batch_size, device = len(raw_batches[0]["pixel_values"]), raw_batches[0]["pixel_values"].device
    shape = (len(raw_batches), num_processes, batch_size)

    def draw(purpose: str, *more: int) -> torch.Tensor:
        return torch.rand(*shape, *more, generator=seeded_generator(seed, purpose, step, device), device=device)

    latents = torch.randn(*shape, latent_dim, generator=seeded_generator(seed, "latents", step, device), device=device)
    if random_flip:
        flips = draw("flips") < 0.5
    if augments:
        augmentation = draw("augmentation", 2, NUM_RANDOM_NUMBERS)
    if interpolates:
        interpolation = draw("interpolation")

    batches = []
    for i, raw_batch in enumerate(raw_batches):
        pixel_values = VaeImageProcessor.normalize(raw_batch["pixel_values"].float() / 255)
        if random_flip:
            flipped = flips[i, process_index, :, None, None, None]
            pixel_values = torch.where(flipped, pixel_values.flip(-1), pixel_values)
        pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        batch = Batch(pixel_values, latents[i, process_index], raw_batch.get("class_labels"))
        if augments:
            batch.augmentation = augmentation[i, process_index].transpose(0, 1)
        if interpolates:
            batch.interpolation = interpolation[i, process_index]
        batches.append(batch)
    return batches
