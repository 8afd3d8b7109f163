# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Pictures of a run: grids of samples from fixed latents, and their animation."""

import math
from pathlib import Path

import PIL.Image
import torch

from ..pipeline_dcgan import DCGANPipeline
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


def image_grid(images: list[PIL.Image.Image], columns: int) -> PIL.Image.Image:
    """Images of equal size side by side, row by row, with thin lines between them."""
    width, height = images[0].size
    rows, step_x, step_y = math.ceil(len(images) / columns), width + GRID_LINE, height + GRID_LINE
    grid = PIL.Image.new(images[0].mode, (columns * step_x + GRID_LINE, rows * step_y + GRID_LINE), "gray")
    for i, image in enumerate(images):
        grid.paste(image, (i % columns * step_x + GRID_LINE, i // columns * step_y + GRID_LINE))
    return grid


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
