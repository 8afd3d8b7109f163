#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Makes the film on the first page: how a model learned to draw 32 faces, then a walk from these to others and back.

    dcgan train --config procedural_faces --save_images_steps 50 --max_train_steps 1200 --output_dir beginning
    dcgan train --config procedural_faces
    python scripts/docs/film.py beginning dcgan-procedural-faces

Both runs have the same seed, and so the same latents and images: the first is there for the early frames.
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
from dcgan_hf.pictures import image_grid


COLUMNS, ROWS = 8, 4
FILM = Path(__file__).parents[2] / "docs" / "images" / "faces.gif"
STEPS_OF_A_PATH = 12


def learning(beginning: Path, run: Path) -> list[PIL.Image.Image]:
    """Upper half of the sample grids, by step: ever fewer of them, since the images change ever less."""
    grids = {int(path.stem.partition("-")[2]): path for path in (run / SAMPLES_FOLDER).glob("*.png")}
    early = {int(path.stem.partition("-")[2]): path for path in (beginning / SAMPLES_FOLDER).glob("*.png")}
    grids |= {step: path for step, path in early.items() if step < min(grids)}
    steps = sorted(grids)
    chosen = [
        step for i, step in enumerate(steps) if i == 0 or step in (50, 100, 150) or step % 200 == 0 or step > 1200
    ]
    frames = [PIL.Image.open(grids[step]).convert("RGB") for step in chosen]
    return [frame.crop((0, 0, frame.width, (frame.height - 2) * ROWS // 8 + 2)) for frame in frames]


def walk(run: Path) -> list[PIL.Image.Image]:
    """Images on the way from the latents of the sample grids to three others, and back."""
    pipe = DCGANPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    args = json.loads((run / ARGUMENTS_FILE).read_text())
    shape = (args["eval_batch_size"], pipe.generator.config.latent_dim)
    first = torch.randn(shape, generator=seeded_generator(args["seed"], "samples", 0))[: COLUMNS * ROWS]
    stops = [first, *torch.randn(3, *first.shape, generator=torch.Generator().manual_seed(0)), first]
    frames = []
    for start, end in zip(stops, stops[1:]):
        paths = torch.stack([interpolate(a, b, num_steps=STEPS_OF_A_PATH + 1)[:-1] for a, b in zip(start, end)])
        frames += [image_grid(pipe(latents=paths[:, i]).images, COLUMNS) for i in range(STEPS_OF_A_PATH)]
    return frames


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Makes the film on the first page.")
    parser.add_argument("beginning", type=Path, help="Run with many early sample grids.")
    parser.add_argument("run", type=Path, help="The whole run.")
    args = parser.parse_args(argv)
    training, walking = learning(args.beginning, args.run), walk(args.run)
    frames = [frame.quantize(128, dither=PIL.Image.Dither.NONE) for frame in [*training, *walking]]
    durations = [250] * (len(training) - 1) + [1200] + [90] * len(walking)
    frames[0].save(FILM, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    print(f"{FILM}: {len(frames)} frames, {FILM.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
