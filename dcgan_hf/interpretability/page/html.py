# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Explanation page of a model: a self-contained HTML file, with its numbers as JSON."""

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image

from ...files import replacing, write_text
from ...model_folder import EXPLANATION_FILE, write_json
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

    text: str
    pictures: list[Picture] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass
class Page:
    r"""
    Explanation page of a model, written anew after each section, so that it is whole at any time: the self-contained
    `explanation.html`, its numbers in `explanation.json`, and its pictures in `images/`, named after their sections
    ("arithmetic-with-latents-1.png").

    Args:
        folder (`Path`):
            Output folder, created if necessary.
        model_name (`str`):
            Name of the model.
        is_quick (`bool`, *optional*, defaults to `False`):
            Whether the numbers are those of a quick look, which the page says.
    """

    folder: Path
    model_name: str
    is_quick: bool = False
    sections: dict[str, Section] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The HTML file."""
        return self.folder / "explanation.html"

    def add(self, title: str, section: Section, seconds: float, to_come: Sequence[str] = ()) -> None:
        r"""
        Adds a section and writes the page.

        Args:
            title (`str`):
                Heading of the section.
            section ([`Section`]):
                The section.
            seconds (`float`):
                Time that the computation has taken so far, for the footer.
            to_come (`Sequence[str]`, *optional*):
                Headings of the missing sections, which the page lists.
        """
        self.sections[title] = section
        name = re.sub(r"\W+", "-", title.lower()).strip("-")
        for number, picture in enumerate(section.pictures, 1):
            with replacing(self.folder / "images" / f"{name}-{number}.{picture.kind}") as path:
                path.write_bytes(picture.content)
        facts: dict[str, Any] = {"model": self.model_name}
        facts |= ({"quick": True} if self.is_quick else {}) | ({"to come": list(to_come)} if to_come else {})
        numbers = {title: section.numbers for title, section in self.sections.items()}
        write_json(_without_nan(facts | numbers), self.folder / EXPLANATION_FILE)
        content = render_template(
            "explanation.html",
            model_name=self.model_name,
            is_quick=self.is_quick,
            sections=self.sections,
            to_come=to_come,
            seconds=seconds,
            version=__version__,
        )
        write_text(content, self.path)


def _without_nan(numbers: Any) -> Any:
    """Replaces numbers that are undefined, such as a share of no images, by `None`: JSON has no NaN."""
    if isinstance(numbers, dict):
        return {name: _without_nan(value) for name, value in numbers.items()}
    if isinstance(numbers, list):
        return [_without_nan(value) for value in numbers]
    return None if isinstance(numbers, float) and not math.isfinite(numbers) else numbers


def _enlarged(width: int) -> int:
    """Returns a multiple of the width, so that all pixels stay squares of equal size."""
    return width * max(1, math.ceil(_SMALLEST_WIDTH / width)) if width < _SMALLEST_WIDTH else width
