# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Pictures of a run: grids of samples from fixed latents, and their animation."""

import math
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from diffusers.image_processor import VaeImageProcessor

from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from .seeding import seeded_generator


MAX_GIF_FRAMES = 60
GRID_LINE = 2  # pixels between two images


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
        small = _to_pil(self.small)
        self.rows = {
            "low resolution": [image.resize(size, PIL.Image.Resampling.NEAREST) for image in small],
            "bicubic": [image.resize(size, PIL.Image.Resampling.BICUBIC) for image in small],
        }
        self.originals = _to_pil(large)

    def save(self, generator: torch.nn.Module, path: Path) -> Path:
        """Makes the images large with a generator and writes the picture to a file."""
        pipe = DCGANSuperResolutionPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        (images,) = pipe(self.small, return_dict=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        comparison_grid(self.rows | {"DCGAN": images, "original": self.originals}).save(path)
        return path


def _to_pil(images: torch.Tensor) -> list[PIL.Image.Image]:
    return VaeImageProcessor.numpy_to_pil(VaeImageProcessor.pt_to_numpy(images))


def image_grid(images: list[PIL.Image.Image], columns: int) -> PIL.Image.Image:
    """Images of equal size side by side, row by row, with thin lines between them."""
    width, height = images[0].size
    rows, step_x, step_y = math.ceil(len(images) / columns), width + GRID_LINE, height + GRID_LINE
    grid = PIL.Image.new(images[0].mode, (columns * step_x + GRID_LINE, rows * step_y + GRID_LINE), "gray")
    for i, image in enumerate(images):
        grid.paste(image, (i % columns * step_x + GRID_LINE, i // columns * step_y + GRID_LINE))
    return grid


def comparison_grid(rows: dict[str, list[PIL.Image.Image]]) -> PIL.Image.Image:
    """Images of equal size, what was done to them row by row, with the names of the rows on the left."""
    images = image_grid([image for row in rows.values() for image in row], columns=len(next(iter(rows.values()))))
    font = PIL.ImageFont.load_default(size=12)
    margin = 8 + math.ceil(max(font.getlength(name) for name in rows))
    picture = PIL.Image.new(images.mode, (margin + images.width, images.height), "white")
    picture.paste(images, (margin, 0))
    draw = PIL.ImageDraw.Draw(picture)
    for i, name in enumerate(rows):
        draw.text((4, (i + 0.5) * images.height / len(rows)), name, fill="black", font=font, anchor="lm")
    return picture


def remove_later_samples(folder: Path, step: int) -> None:
    """Removes the grids of a run that went on after `step`, from which another one now goes on."""
    for path in folder.glob("step-*.png"):
        if int(path.stem.removeprefix("step-")) > step:
            path.unlink()


def save_animation(folder: Path, path: Path) -> None:
    """Makes a GIF of a folder's PNG files in the order of their names, of at most `MAX_GIF_FRAMES` of them."""
    files = sorted(folder.glob("*.png"))
    last = len(files) - 1
    chosen = sorted({round(i * last / (MAX_GIF_FRAMES - 1)) for i in range(MAX_GIF_FRAMES)})
    frames = [PIL.Image.open(files[i]) for i in chosen]
    durations = [200] * (len(frames) - 1) + [2000]  # milliseconds; stays on the result
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
