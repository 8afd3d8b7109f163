# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Explanation page of a model: a self-contained HTML file, with its numbers as JSON."""

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


_SMALLEST_WIDTH = 600  # of a displayed picture, in pixels; smaller ones are enlarged


@dataclass
class Picture:
    r"""
    A picture on the page.

    Args:
        content (`bytes`):
            Content of the image file.
        kind (`str`):
            `"png"` or `"gif"`.
        width (`int`):
            Displayed width in pixels, less on narrow screens.
        alt (`str`):
            Alternative text.
        caption (`str`):
            Caption.
        is_chart (`bool`):
            Whether the picture is a chart rather than images.
    """

    content: bytes
    kind: str
    width: int
    alt: str
    caption: str
    is_chart: bool

    @property
    def address(self) -> str:
        """The picture as a `data:` URL."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"

    @classmethod
    def of_image(cls, image: PIL.Image.Image, alt: str, caption: str) -> "Picture":
        """Makes a picture from an image, as a PNG."""
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        return cls(buffer.getvalue(), "png", _enlarged(image.width), alt, caption, is_chart=False)

    @classmethod
    def of_frames(cls, frames: list[PIL.Image.Image], alt: str, caption: str) -> "Picture":
        """Makes a looping GIF from frames, at 12 frames per second."""
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=1000 // 12, loop=0)
        return cls(buffer.getvalue(), "gif", min(256, _enlarged(frames[0].width)), alt, caption, is_chart=False)

    @classmethod
    def of_figure(cls, figure: "Figure", alt: str, caption: str) -> "Picture":
        """Makes a picture from a matplotlib figure."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
        return cls(buffer.getvalue(), "png", round(100 * figure.get_figwidth()), alt, caption, is_chart=True)


@dataclass
class Section:
    r"""
    Section of the page.

    Args:
        title (`str`):
            Heading.
        text (`str`):
            Method and results.
        pictures (`list[Picture]`):
            Pictures.
        columns (`list[str]`, *optional*):
            Column headers of the table.
        rows (`list[list[str]]`, *optional*):
            Rows of the table.
        numbers (`dict[str, Any]`, *optional*):
            All numbers of the section, for `explanation.json`.
    """

    title: str
    text: str
    pictures: list[Picture] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


def write_explanation(folder: Path, model_name: str, sections: list[Section], seconds: float) -> Path:
    r"""
    Writes the self-contained page `explanation.html`, its numbers to `explanation.json`, and its pictures to
    `images/`, named after their sections ("arithmetic-with-latents-1.png").

    Args:
        folder (`Path`):
            Output folder, created if necessary.
        model_name (`str`):
            Name of the model.
        sections (`list[Section]`):
            Sections of the page.
        seconds (`float`):
            Time that the computation took, for the footer.

    Returns:
        `Path`: path of the page.
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
    """Returns a multiple of the width, so that all pixels stay squares of equal size."""
    return width * max(1, math.ceil(_SMALLEST_WIDTH / width)) if width < _SMALLEST_WIDTH else width
