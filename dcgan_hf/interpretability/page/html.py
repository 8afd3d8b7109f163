# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""A page that shows what is inside a model: one HTML file with all its pictures, and its numbers as JSON."""

import base64
import io
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image

from ...templates import render_template
from ...version import __version__


if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SMALLEST_WIDTH = 600  # of pictures on the page, in pixels: small images are shown enlarged


@dataclass
class Picture:
    r"""
    A picture on the page.

    Args:
        content (`bytes`):
            The picture's file.
        kind (`str`):
            `"png"` or `"gif"`.
        width (`int`):
            Width on the page in pixels, if there is room.
        alt (`str`):
            What it shows, for those who do not see it.
        caption (`str`):
            What it means.
        is_chart (`bool`):
            Whether it is a chart rather than images.
    """

    content: bytes
    kind: str
    width: int
    alt: str
    caption: str
    is_chart: bool

    @property
    def address(self) -> str:
        """The picture itself as a `data:` address."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"

    @classmethod
    def of_image(cls, image: PIL.Image.Image, alt: str, caption: str) -> "Picture":
        """Of an image, as it is."""
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        return cls(buffer.getvalue(), "png", _enlarged(image.width), alt, caption, is_chart=False)

    @classmethod
    def of_frames(cls, frames: list[PIL.Image.Image], alt: str, caption: str) -> "Picture":
        """Of images that follow each other, 12 a second, again and again."""
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=1000 // 12, loop=0)
        return cls(buffer.getvalue(), "gif", min(256, _enlarged(frames[0].width)), alt, caption, is_chart=False)

    @classmethod
    def of_figure(cls, figure: "Figure", alt: str, caption: str) -> "Picture":
        """Of a figure of matplotlib."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
        return cls(buffer.getvalue(), "png", round(100 * figure.get_figwidth()), alt, caption, is_chart=True)


@dataclass
class Section:
    r"""
    A part of the page.

    Args:
        title (`str`):
            Its heading.
        text (`str`):
            What was done and what it shows.
        pictures (`list[Picture]`):
            Its pictures.
        columns (`list[str]`, *optional*):
            Heads of the columns of its table.
        rows (`list[list[str]]`, *optional*):
            The table.
        numbers (`dict[str, Any]`, *optional*):
            All numbers that it shows.
    """

    title: str
    text: str
    pictures: list[Picture] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


def write_explanation(folder: Path, model_name: str, sections: list[Section], seconds: float) -> Path:
    r"""
    Writes `explanation.html`, which needs no other file, its numbers, `explanation.json`, and its pictures, `images/`, named by
    their sections ("arithmetic-with-latents-1.png").

    Args:
        folder (`Path`):
            Where to write.
        model_name (`str`):
            The model.
        sections (`list[Section]`):
            What the page has.
        seconds (`float`):
            How long that took.

    Returns:
        `Path`: the page.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for section in sections:
        name = re.sub(r"\W+", "-", section.title.lower()).strip("-")
        for number, picture in enumerate(section.pictures, 1):
            (images / f"{name}-{number}.{picture.kind}").write_bytes(picture.content)
    page = render_template(
        "explanation.html", model_name=model_name, sections=sections, seconds=seconds, version=__version__
    )
    numbers = {section.title: section.numbers for section in sections}
    (folder / "explanation.json").write_text(json.dumps({"model": model_name} | numbers, indent=2) + "\n")
    path = folder / "explanation.html"
    path.write_text(page)
    return path


def _enlarged(width: int) -> int:
    """By a whole number, so that all pixels stay squares of one size."""
    return width * max(1, math.ceil(_SMALLEST_WIDTH / width)) if width < _SMALLEST_WIDTH else width
