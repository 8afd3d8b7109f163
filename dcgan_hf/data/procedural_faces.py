# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Drawn faces with known attributes: 64x64 pixels, RGB. The dataset needs no download, and claims about what a network
has learned can be checked on it.
"""

import colorsys
from collections.abc import Iterator

import datasets
import numpy as np
import PIL.Image
import PIL.ImageDraw

from .seeding import derived_seed


SIZE = 64
NUM_IMAGES = {"train": 20_000, "test": 4_000}
# Label columns and the names of their classes.
ATTRIBUTES = {
    "skin": ["pale", "light", "brown", "dark"],
    "hair_color": ["black", "brown", "blond", "red", "grey"],
    "hair_style": ["bald", "short", "long"],
    "glasses": ["no", "yes"],
    "smile": ["no", "yes"],
    "hat": ["no", "yes"],
    "background": ["blue", "green", "yellow", "violet"],
}
# Probabilities of the classes (default: equal).
_SHARES = {"hair_style": [0.2, 0.4, 0.4], "glasses": [0.6, 0.4], "hat": [0.7, 0.3]}

_SKINS = {"pale": (250, 221, 202), "light": (232, 184, 148), "brown": (176, 120, 82), "dark": (103, 67, 46)}
_HAIRS = {
    "black": (28, 24, 26),
    "brown": (96, 60, 34),
    "blond": (226, 190, 108),
    "red": (172, 68, 30),
    "grey": (168, 168, 172),
}
_BACKGROUND_HUES = {"blue": 0.58, "green": 0.36, "yellow": 0.14, "violet": 0.80}
# Supersampling factor, for smooth edges.
_SCALE = 4
# Maximum offset of a face from the centre, in pixels.
_LARGEST_SHIFT = 2
# Box that contains the glasses at any position of the face: left, top, right, bottom, in pixels.
GLASSES_BOX = (17, 24, 47, 38)


def draw_face(attributes: dict[str, str], rng: np.random.Generator) -> PIL.Image.Image:
    r"""
    Draws a face. Everything that the attributes leave open (position, proportions, shades) is random.

    Args:
        attributes (`dict[str, str]`):
            Class of each of the [`ATTRIBUTES`].
        rng (`np.random.Generator`):
            Source of randomness.

    Returns:
        `PIL.Image.Image`: 64x64 pixels, RGB.
    """
    hue = _BACKGROUND_HUES[attributes["background"]] + rng.uniform(-0.03, 0.03)
    background = colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.35, 0.6), rng.uniform(0.6, 0.9))
    image = PIL.Image.new("RGB", (SIZE * _SCALE,) * 2, tuple(round(255 * value) for value in background))
    draw = PIL.ImageDraw.Draw(image)
    x, y = 32 + rng.uniform(-1, 1) * _LARGEST_SHIFT, 34 + rng.uniform(-1, 1) * _LARGEST_SHIFT
    skin, hair = (_shade(colors[attributes[name]], rng) for colors, name in ((_SKINS, "skin"), (_HAIRS, "hair_color")))
    width, height = rng.uniform(14.5, 16.5), rng.uniform(18.5, 20.5)

    def box(left: float, top: float, right: float, bottom: float) -> list[float]:
        return [_SCALE * value for value in (x + left, y + top, x + right, y + bottom)]

    def ellipse(center_x: float, center_y: float, radius_x: float, radius_y: float, color: tuple[int, ...]) -> None:
        draw.ellipse(
            box(center_x - radius_x, center_y - radius_y, center_x + radius_x, center_y + radius_y), fill=color
        )

    # Behind the face.
    if attributes["hair_style"] == "long":
        ellipse(0, -2, width + 4.5, height + 2, hair)
        draw.rectangle(box(-width - 4.5, -2, width + 4.5, 27), fill=hair)
    elif attributes["hair_style"] == "short":
        ellipse(0, -4, width + 2, height - 0.5, hair)
    draw.rectangle(box(-6, 14, 6, 30), fill=_darker(skin, 0.88))
    shirt = tuple(rng.integers(60, 220, 3).tolist())
    draw.ellipse(box(-26, 23, 26, 50), fill=shirt)
    # The face.
    for side in (-1, 1):
        ellipse(side * width, 1, 2.6, 4, _darker(skin, 0.93))
    ellipse(0, 0, width, height, skin)
    if attributes["hair_style"] != "bald":
        draw.chord(box(-width - 0.5, -height - 0.5, width + 0.5, height * 0.45), 195, 345, fill=hair)
    for side in (-1, 1):
        ellipse(side * 6.8, -3, 3.1, 2.2, (250, 250, 250))
        ellipse(side * 6.8, -3, 1.6, 1.9, (52, 40, 34))
        draw.line(box(side * 4.2, -8, side * 9.6, -8.4), fill=_darker(skin, 0.45), width=round(1.1 * _SCALE))
    draw.line(box(0, -1.5, -1.2, 4.2), fill=_darker(skin, 0.72), width=_SCALE)
    draw.line(box(-1.2, 4.2, 1.2, 4.4), fill=_darker(skin, 0.72), width=_SCALE)
    mouth = (158, 52, 56)
    if attributes["smile"] == "yes":
        draw.chord(box(-6.5, 5, 6.5, 14.5), 10, 170, fill=mouth)
        draw.chord(box(-5.2, 6.8, 5.2, 11.6), 10, 170, fill=(250, 248, 244))
    else:
        draw.line(box(-4.5, 10.5, 4.5, 10.5), fill=mouth, width=round(1.6 * _SCALE))
    if attributes["glasses"] == "yes":
        for side in (-1, 1):
            edges = (side * 2.0, side * 12.0)
            draw.rounded_rectangle(
                box(min(edges), -7.5, max(edges), 1.5), 3 * _SCALE, outline=(20, 20, 24), width=round(1.5 * _SCALE)
            )
        draw.line(box(-2, -4, 2, -4), fill=(20, 20, 24), width=round(1.5 * _SCALE))
    if attributes["hat"] == "yes":
        color = tuple(rng.integers(20, 235, 3).tolist())
        draw.chord(box(-width - 2, -height - 8, width + 2, height * 0.35), 180, 360, fill=color)
        draw.rounded_rectangle(
            box(-width - 6, -height * 0.62, width + 6, -height * 0.62 + 3.6), 1.5 * _SCALE, fill=_darker(color, 0.7)
        )
    return image.resize((SIZE, SIZE), PIL.Image.Resampling.BOX)


def load_procedural_faces(split: str, cache_dir: str | None = None) -> datasets.Dataset:
    r"""
    Returns the faces of a split with their attributes. They are always the same.

    Args:
        split (`str`):
            `"train"` (20,000 faces) or `"test"` (4,000).
        cache_dir (`str`, *optional*):
            Cache folder of the drawn dataset.

    Raises:
        ValueError: if the split does not exist.
    """
    if split not in NUM_IMAGES:
        raise ValueError(f"'procedural_faces' has no split {split!r}, only {list(NUM_IMAGES)}.")
    labels = {name: datasets.ClassLabel(names=classes) for name, classes in ATTRIBUTES.items()}
    return datasets.Dataset.from_generator(
        drawn_faces,
        features=datasets.Features({"image": datasets.Image()} | labels),
        cache_dir=cache_dir,
        gen_kwargs={"seed": list(NUM_IMAGES).index(split), "number": NUM_IMAGES[split]},
    )


def drawn_faces(seed: int, number: int) -> Iterator[dict]:
    """Draws faces with random attributes: each is a row of the dataset."""
    for i in range(number):
        rng = np.random.default_rng(derived_seed(seed, "faces", i))
        attributes = {name: str(rng.choice(classes, p=_SHARES.get(name))) for name, classes in ATTRIBUTES.items()}
        yield {"image": draw_face(attributes, rng)} | attributes


def _shade(color: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, ...]:
    return _darker(color, rng.uniform(0.92, 1.06))


def _darker(color: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(min(255, round(factor * value)) for value in color)
