#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Selects portraits by the colour of their hair, to go on from a model of all of them with few of one kind:

    python scripts/benchmarks/hair_color.py 345 red-hair --dataset_name ./faces

Hair is what most of the upper middle of a portrait shows. Writes the training images with the largest share of pixels
of that hue to a folder. Needs no labels, and errs where the background has the colour.
"""

import argparse
import sys
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from dcgan_hf.data.datasets import load_image_dataset


def share_of_hue(image: Image.Image, hue: float) -> float:
    """Returns the share of the pixels in the upper middle that are colourful and at most 25° from a hue (degrees)."""
    width, height = image.size
    region = image.convert("RGB").crop((width // 4, 0, 3 * width // 4, height // 3)).convert("HSV")
    hues, saturation, value = np.moveaxis(np.asarray(region, dtype=float) / 255, -1, 0)
    distance = np.abs((hues * 360 - hue + 180) % 360 - 180)
    return float(((distance < 25) & (saturation > 0.25) & (value > 0.4)).mean())


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Selects portraits by the colour of their hair.")
    parser.add_argument("hue", type=float, help="Hue in degrees: red is 0, green 120, blue 240.")
    parser.add_argument("output_dir", type=Path, help="Folder for the images.")
    parser.add_argument("--dataset_name", default="huggan/anime-faces", help="Dataset of portraits.")
    parser.add_argument("--number", type=int, default=200, help="Number of images.")
    args = parser.parse_args(argv)

    dataset = load_image_dataset(args.dataset_name, split="train").dataset.cast_column("image", datasets.Image())
    shares = [share_of_hue(row["image"], args.hue) for row in dataset]
    args.output_dir.mkdir(parents=True)
    for index in np.argsort(shares, kind="stable")[::-1][: args.number]:
        dataset[int(index)]["image"].convert("RGB").save(args.output_dir / f"{index:05}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
