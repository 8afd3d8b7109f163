#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Makes the films on the first page: how a model learned to draw the same images, then a walk to others and back.

    dcgan train --config procedural_faces --save_images_steps 50
    python scripts/docs/film.py dcgan-procedural-faces faces

    dcgan train --save_images_steps 20
    python scripts/docs/film.py dcgan-digits digits
"""

import argparse
import json
import sys
from pathlib import Path

import PIL.Image
import torch

from dcgan_hf import DCGANPipeline
from dcgan_hf.data.seeding import seeded_generator
from dcgan_hf.interpretability.latent_space import interpolate
from dcgan_hf.model_folder import ARGUMENTS_FILE, SAMPLES_FOLDER
from dcgan_hf.pictures import GRID_LINE, image_grid
from dcgan_hf.training.samples import SampleGrid


ROWS = 4
IMAGES = Path(__file__).parents[2] / "docs" / "images"
STEPS_OF_A_PATH = 12


def learning(run: Path) -> list[PIL.Image.Image]:
    """First rows of the sample grids, by step: ever fewer of them, since the images change ever less."""
    grids = {int(path.stem.partition("-")[2]): path for path in (run / SAMPLES_FOLDER).glob("*.png")}
    chosen = [min(grids)]
    for step in sorted(grids):
        if step >= 1.25 * chosen[-1]:
            chosen.append(step)
    frames = [PIL.Image.open(grids[step]).convert("RGB") for step in chosen]
    side = DCGANPipeline.from_pretrained(run).generator.config.image_size + GRID_LINE
    return [frame.crop((0, 0, frame.width, ROWS * side + GRID_LINE)) for frame in frames]


def walk(run: Path) -> list[PIL.Image.Image]:
    """Images on the way from the latents of the sample grids to three others, and back."""
    pipe = DCGANPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    args, config = json.loads((run / ARGUMENTS_FILE).read_text()), pipe.generator.config
    shape = (args["eval_batch_size"], config.latent_dim)
    latents = torch.randn(shape, generator=seeded_generator(args["seed"], "samples", 0))
    grid = SampleGrid(latents, config, args["seed"])
    first = latents[: grid.columns * ROWS]
    labels = None if grid.class_labels is None else grid.class_labels[: len(first)]
    stops = [first, *torch.randn(3, *first.shape, generator=torch.Generator().manual_seed(0)), first]
    frames = []
    for start, end in zip(stops, stops[1:]):
        paths = torch.stack([interpolate(a, b, num_steps=STEPS_OF_A_PATH + 1)[:-1] for a, b in zip(start, end)])
        for i in range(STEPS_OF_A_PATH):
            frames.append(
                image_grid(pipe(latents=paths[:, i], class_labels=labels).images, grid.columns).convert("RGB")
            )
    return frames


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Makes a film for the first page.")
    parser.add_argument("run", type=Path, help="Run with many sample grids.")
    parser.add_argument("name", help="Name of the film in docs/images.")
    args = parser.parse_args(argv)
    film = IMAGES / f"{args.name}.gif"
    training, walking = learning(args.run), walk(args.run)
    frames = [frame.quantize(128, dither=PIL.Image.Dither.NONE) for frame in [*training, *walking]]
    durations = [250] * (len(training) - 1) + [1200] + [90] * len(walking)
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    print(f"{film}: {len(frames)} frames, {film.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
