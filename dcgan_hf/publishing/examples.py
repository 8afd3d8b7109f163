# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Example images for the model card."""

from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from ..inference.generate import classes_in_turn
from ..model_folder import GRID_FILE, IMAGES_FOLDER
from ..pictures import image_grid, save_picture


NUM_EXAMPLES = 64
NUM_SINGLE_EXAMPLES = 4


def save_examples(pipe: DiffusionPipeline, folder: Path) -> None:
    r"""
    Generates reproducible images from the seeds 0 to 63 and writes them to `images/grid.png`, the first four also to
    `images/seed-0.png`, ... A class-conditional model cycles through its classes, one per column. Several attributes
    are drawn from the seeds, too.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        folder (`Path`):
            Folder of the model.
    """
    classes = classes_in_turn(pipe.generator.config)
    (images,) = pipe(
        class_labels=classes and [classes[seed % len(classes)] for seed in range(NUM_EXAMPLES)],
        generator=[torch.Generator().manual_seed(seed) for seed in range(NUM_EXAMPLES)],
        return_dict=False,
    )
    save_picture(image_grid(images, columns=min(len(classes or range(8)), 16)), folder / GRID_FILE)
    for seed, image in enumerate(images[:NUM_SINGLE_EXAMPLES]):
        save_picture(image, folder / IMAGES_FOLDER / f"seed-{seed}.png")
