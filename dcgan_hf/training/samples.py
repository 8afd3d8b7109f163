# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sample grids of a run, always from the same latents or small images."""

import math
from pathlib import Path

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from ..data.seeding import seeded_generator
from ..pictures import comparison_grid, image_grid, to_bytes, to_pil
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline


class SampleGrid:
    r"""
    Draws the same latents again and again while a generator learns.

    Args:
        num_images (`int`):
            Number of images in the grid.
        seed (`int`):
            Seed of the latents.
        latent_dim (`int`):
            Number of latent variables.
        num_classes (`int`):
            Number of classes, 0 if the generator is unconditional. A grid then has one class per column.
    """

    def __init__(self, num_images: int, seed: int, latent_dim: int, num_classes: int):
        self.latents = torch.randn(num_images, latent_dim, generator=seeded_generator(seed, "samples", 0))
        self.columns = min(num_images, num_classes or math.ceil(math.sqrt(num_images)))
        self.class_labels = torch.arange(num_images) % num_classes if num_classes else None

    def save(self, generator: torch.nn.Module, folder: Path, step: int) -> Path:
        """Samples from a generator and writes the grid to `step-<step>.png`."""
        pipe = DCGANPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        (images,) = pipe(latents=self.latents, class_labels=self.class_labels, return_dict=False)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"step-{step:07d}.png"
        image_grid(images, self.columns).save(path)
        return path


class UpscaledGrid:
    r"""
    Makes the same small images large again and again while a generator learns, and shows them beside what they are to become.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Large images in [-1, 1].
        small_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height / scale, width / scale)`):
            The same, small.
        num_images (`int`):
            How many of them to show, at most.
    """

    def __init__(self, pixel_values: torch.Tensor, small_pixel_values: torch.Tensor, num_images: int):
        large, self.small = (
            VaeImageProcessor.denormalize(images[:num_images]).cpu() for images in (pixel_values, small_pixel_values)
        )
        size = (large.shape[3], large.shape[2])
        small = to_pil(to_bytes(self.small))
        self.rows = {
            "low resolution": [image.resize(size, PIL.Image.Resampling.NEAREST) for image in small],
            "bicubic": [image.resize(size, PIL.Image.Resampling.BICUBIC) for image in small],
        }
        self.originals = to_pil(to_bytes(large))

    def save(self, generator: torch.nn.Module, path: Path) -> Path:
        """Makes the images large with a generator and writes the picture to a file."""
        pipe = DCGANSuperResolutionPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        (images,) = pipe(self.small, return_dict=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        comparison_grid(self.rows | {"DCGAN": images, "original": self.originals}).save(path)
        return path


def remove_later_samples(folder: Path, step: int) -> None:
    """Removes the grids of a run that went on after `step`, from which another one now goes on."""
    for path in folder.glob("step-*.png"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink()
