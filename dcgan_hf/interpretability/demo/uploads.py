# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Uploads of visitors: pictures of limited size and of common formats."""

from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image
import PIL.ImageFile
from gradio_client.utils import is_http_url_like

from .errors import refuse


MAX_MEGABYTES = 10
_MAX_PIXELS = 50_000_000  # an RGB image of this size takes 150 MB
# Other formats of Pillow are rare, and some run other programs (EPS).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_READABLE = f"Upload one of: {', '.join(_FORMATS)}."


def in_millions(number: int) -> str:
    """Returns a number with three digits at most: "0.5 million"."""
    return f"{number / 1e6:.3g} million"


def picture_upload(max_pixels: int = _MAX_PIXELS, advice: str = "") -> gr.Image:
    r"""
    Returns an upload component that bounds a picture before it decodes it, and says on the page what is wrong with
    it. The API accepts the same uploaded files only: no addresses to fetch from, and no content within the request.

    Args:
        max_pixels (`int`, *optional*, defaults to 50 million):
            Number of pixels that a picture may have.
        advice (`str`, *optional*):
            Advice for a picture that has more.
    """
    component = gr.Image(label="Picture", type="pil", image_mode=None, sources=["upload", "clipboard"], height=240)
    keep = component.async_move_resource_to_block_cache

    async def keep_file(path: str | None) -> str | None:
        if path is not None and is_http_url_like(path):
            raise refuse(f"Addresses are not fetched. {_READABLE}")
        return await keep(path)

    def open_payload(payload: Any) -> PIL.ImageFile.ImageFile | None:
        if payload is None:
            return None
        if payload.path is None or (payload.url or "").startswith("data:"):
            raise refuse(f"Pictures within a request are not read. {_READABLE}")
        return open_picture(Path(payload.path), max_pixels, advice)

    component.async_move_resource_to_block_cache = keep_file
    component.preprocess = open_payload
    return component


def open_picture(path: Path, max_pixels: int, advice: str) -> PIL.ImageFile.ImageFile:
    r"""
    Reads an image file after checking its size in bytes and, in its header, format and size in pixels.

    Args:
        path (`Path`):
            The file.
        max_pixels, advice:
            See [`picture_upload`].

    Raises:
        gr.Error: if the file is too large, or no readable image of an allowed format.
    """
    if path.stat().st_size > MAX_MEGABYTES * 10**6:
        raise refuse(f"This file is larger than {MAX_MEGABYTES} MB.")
    try:
        image = PIL.Image.open(path, formats=_FORMATS)
        if image.width * image.height > max_pixels:
            size = f"{image.width} x {image.height} pixels"
            raise refuse(f"This picture has {size}, more than {in_millions(max_pixels)}. {advice}".strip())
        image.load()
        return image
    except gr.Error:  # a ValueError, too
        raise
    except PIL.Image.DecompressionBombError as error:
        raise refuse(f"This picture has far more than {in_millions(max_pixels)} pixels. {advice}".strip()) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # of Pillow's readers, for damaged files
        raise refuse(f"This file cannot be read as an image. {_READABLE}") from error
