# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Image grids, labelled comparisons and animations."""

import io
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import torch
from diffusers.image_processor import VaeImageProcessor

from .files import replacing
from .model_folder import SAMPLE_NAME


MAX_GIF_FRAMES = 60
GRID_LINE = 2  # pixels between two images


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Converts values in [0, 1] to `torch.uint8` on the CPU, rounded, as in an image file."""
    return (images.float() * 255).round().to(torch.uint8).cpu()


def to_pixel_values(images: torch.Tensor) -> torch.Tensor:
    """Converts `torch.uint8` images to the input range of the networks, [-1, 1]."""
    return VaeImageProcessor.normalize(images.float() / 255)


def to_pil(images: Iterable[torch.Tensor]) -> list[PIL.Image.Image]:
    """Converts `torch.uint8` tensors of shape `(num_channels, height, width)` on the CPU to PIL images."""
    return [PIL.Image.fromarray(image.permute(1, 2, 0).squeeze(-1).contiguous().numpy()) for image in images]


def image_grid(images: list[PIL.Image.Image], columns: int) -> PIL.Image.Image:
    """Arranges images of equal size in a grid, row by row, separated by thin lines."""
    width, height = images[0].size
    rows, step_x, step_y = math.ceil(len(images) / columns), width + GRID_LINE, height + GRID_LINE
    grid = PIL.Image.new(images[0].mode, (columns * step_x + GRID_LINE, rows * step_y + GRID_LINE), "gray")
    for i, image in enumerate(images):
        grid.paste(image, (i % columns * step_x + GRID_LINE, i // columns * step_y + GRID_LINE))
    return grid


def comparison_grid(rows: dict[str, list[PIL.Image.Image]]) -> PIL.Image.Image:
    """Arranges rows of images of equal size in a grid, with the names of the rows on the left."""
    images = image_grid([image for row in rows.values() for image in row], columns=len(next(iter(rows.values()))))
    font = PIL.ImageFont.load_default(size=12)
    margin = 8 + math.ceil(max(font.getlength(name) for name in rows))
    picture = PIL.Image.new(images.mode, (margin + images.width, images.height), "white")
    picture.paste(images, (margin, 0))
    draw = PIL.ImageDraw.Draw(picture)
    for i, name in enumerate(rows):
        draw.text((4, (i + 0.5) * images.height / len(rows)), name, fill="black", font=font, anchor="lm")
    return picture


def save_picture(image: PIL.Image.Image, path: Path, durable: bool = True) -> None:
    """Replaces an image file, see [`replacing`], with the colour profile and the resolution in `image.info`. The suffix
    chooses the format."""
    write_picture(image, path, PIL.Image.registered_extensions()[path.suffix.lower()], durable=durable)


def write_picture(image: PIL.Image.Image, path: Path, file_format: str, durable: bool = True, **options: Any) -> None:
    r"""
    Replaces an image file, see [`replacing`], with the colour profile and the resolution in `image.info`.

    Args:
        image (`PIL.Image.Image`):
            The image.
        path (`Path`):
            The file.
        file_format (`str`):
            Pillow's name of the format.
        durable (`bool`, *optional*, defaults to `True`):
            See [`replacing`].
        options (*optional*):
            Further options of the format.
    """
    with replacing(path, durable, keeps_suffix=False) as temporary, _WholeFile(temporary, "w+b") as raw:
        with io.BufferedRandom(raw) as file:
            encode_picture(image, file, file_format, **options)


def encode_picture(image: PIL.Image.Image, file: IO[bytes], file_format: str, **options: Any) -> None:
    """Writes an image to an open file, see [`write_picture`]."""
    kept = {name: image.info[name] for name in ("icc_profile", "dpi") if name in image.info}
    image.save(file, format=file_format, **(kept | options))


class _WholeFile(io.FileIO):
    """File that Pillow writes through Python. Through its descriptor, Pillow would not notice that a disk has taken only
    the first half of the last bytes."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def is_image(path: Path) -> bool:
    """Returns whether an image file is there and can be opened."""
    try:
        with PIL.Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError):  # whatever Pillow raises for empty and damaged files
        return False
    return True


def save_animation(folder: Path, path: Path) -> None:
    """Writes a GIF from the sample grids of a folder, sorted by name: all, or `MAX_GIF_FRAMES` evenly spaced ones.
    Damaged files are left out. Without any grid, writes nothing."""
    files = [path for path in sorted(folder.glob("step-*.png")) if re.fullmatch(SAMPLE_NAME, path.name)]
    files = [path for path in files if is_image(path)]
    if not files:
        return
    last = len(files) - 1
    chosen = sorted({round(i * last / (MAX_GIF_FRAMES - 1)) for i in range(MAX_GIF_FRAMES)})
    frames = [PIL.Image.open(files[i]) for i in chosen]
    durations = [200] * (len(frames) - 1) + [2000]  # milliseconds; the last frame stays longer
    with replacing(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=durations, loop=0)
