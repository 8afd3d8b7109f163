# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sample grids of a run, always from the same latents or low-resolution images."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor

from ..configuration_dcgan import DCGANGeneratorConfig
from ..data.seeding import seeded_generator
from ..model_folder import COMPARISON_FILE, SAMPLE_NAME
from ..pictures import comparison_grid, image_grid, save_picture, to_bytes, to_pil
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline


class SampleGrid:
    r"""
    Grid of samples from the same latents throughout training.

    Args:
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            The latents.
        config ([`DCGANGeneratorConfig`]):
            Config of the generator. With classes, each column shows one of them; with several attributes, each shows
            different values, drawn as often as they occur together.
        seed (`int`, *optional*, defaults to 0):
            Seed of these values.
    """

    def __init__(self, latents: torch.Tensor, config: DCGANGeneratorConfig, seed: int = 0):
        num_images = len(latents)
        self.latents = latents
        square = math.ceil(math.sqrt(num_images))
        columns = torch.arange(config.num_classes)
        if config.attributes is not None:
            shape = (num_images, len(config.attributes))
            numbers = torch.rand(shape, generator=seeded_generator(seed, "attributes", 0))
            drawn = config.complete_labels(torch.full(shape, -1), numbers)
            columns = torch.tensor([*dict.fromkeys(map(tuple, drawn.tolist()))][:square])
        self.columns = min(num_images, len(columns) or square)
        self.class_labels = columns[torch.arange(num_images) % len(columns)] if len(columns) else None

    def sample(self, generator: torch.nn.Module) -> torch.Tensor:
        """Returns a generator's samples: values in [0, 1], of shape `(num_images, num_channels, height, width)`."""
        pipe = DCGANPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        labels = self.class_labels
        (images,) = pipe(latents=self.latents, class_labels=labels, output_type="pt", return_dict=False)
        return images

    def draw(self, generator: torch.nn.Module) -> PIL.Image.Image:
        """Returns the grid of a generator's samples."""
        return image_grid(to_pil(to_bytes(self.sample(generator))), self.columns)


class UpscaledGrid:
    r"""
    Comparison of the same images throughout training: low-resolution, upscaled by the generator, and original.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Original images in [-1, 1].
        small_pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height / scale, width / scale)`):
            Their low-resolution versions.
        num_images (`int`):
            Maximum number of images to show.
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

    def draw(self, generator: torch.nn.Module) -> PIL.Image.Image:
        """Returns the comparison, with the images upscaled by a generator."""
        pipe = DCGANSuperResolutionPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        (images,) = pipe(self.small, return_dict=False)
        return comparison_grid(self.rows | {"DCGAN": images, "original": self.originals})


def sample_path(folder: Path, step: int) -> Path:
    """Returns the path of a step's grid."""
    return folder / f"step-{step:07d}.png"


def remove_later_samples(folder: Path, step: int) -> None:
    """Removes grids later than `step`, which are stale once a run resumes from there."""
    for path in folder.glob("step-*.png"):
        sample = re.fullmatch(SAMPLE_NAME, path.name)
        if sample and int(sample[1]) > step:
            path.unlink()


def draw_for_card(pipe: DiffusionPipeline, draw: Callable[[], PIL.Image.Image], folder: Path) -> list[Path]:
    r"""
    Saves the model card's picture of a pipeline that cannot generate samples from seeds alone.

    Args:
        pipe (`DiffusionPipeline`):
            The pipeline.
        draw (`Callable`):
            Draws the picture.
        folder (`Path`):
            Folder of the run.

    Returns:
        `list[Path]`: the path of the picture, if there is one.
    """
    if pipe.draws_from_seeds:
        return []
    path = folder / COMPARISON_FILE
    save_picture(draw(), path)
    return [path]
