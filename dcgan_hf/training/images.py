# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""From an encoded image of any kind to the uint8 array that a network of given size and channels is trained on."""

from typing import Any, Literal

import numpy as np
import PIL.Image
from datasets import Image


ResizeMode = Literal["crop", "pad"]

_DECODER = Image()
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def infer_num_channels(image: PIL.Image.Image) -> int:
    """1 for images without colour (grey, black and white, 16-bit, float), else 3."""
    return 1 if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16") else 3


def convert_channels(image: PIL.Image.Image, num_channels: int) -> PIL.Image.Image:
    r"""
    Converts an image of any mode to 8-bit grey, RGB or RGBA.

    Transparent images are laid on white unless the result keeps their alpha channel. 16-bit images are
    divided by 257 and float images are taken as [0, 1], where Pillow's own conversion would clip both to white or black.

    Args:
        image (`PIL.Image.Image`):
            The image.
        num_channels (`int`):
            1 (mode "L"), 3 ("RGB") or 4 ("RGBA").

    Raises:
        ValueError: if a float image has values outside of [0, 1], or a 32-bit integer image outside of 16 bits.
    """
    if image.mode == "F":
        values = np.asarray(image)
        if not (0 <= values.min() and values.max() <= 1):
            raise ValueError(f"a float image must lie in [0, 1], got [{values.min()}, {values.max()}]")
        image = PIL.Image.fromarray((values * 255).round().astype(np.uint8))
    elif image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if not (0 <= values.min() and values.max() <= 65535):
            raise ValueError(f"an integer image must lie in [0, 65535], got [{values.min()}, {values.max()}]")
        image = PIL.Image.fromarray((values / 257).round().astype(np.uint8))
    if num_channels != 4 and image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[num_channels])


def fit_image(image: PIL.Image.Image, resolution: int, resize_mode: ResizeMode) -> PIL.Image.Image:
    r"""
    Makes an image square, `resolution` pixels wide and high, without changing its aspect ratio.

    Args:
        image (`PIL.Image.Image`):
            The image, of any size.
        resolution (`int`):
            Width and height of the result in pixels.
        resize_mode (`str`):
            `"crop"` scales the shorter side to `resolution` and cuts out the centre. `"pad"` scales down what is too
            large, never up, and centres the image on black.
    """
    if resize_mode == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if image.size == (resolution, resolution):
            return image
        box = (left, top, left + side, top + side)
        return image.resize((resolution, resolution), PIL.Image.Resampling.BICUBIC, box=box)
    scale = min(resolution / max(image.size), 1.0)
    if scale < 1:
        # At least one pixel: the short side of a very long image would vanish by rounding.
        size = [max(1, round(side * scale)) for side in image.size]
        image = image.resize(size, PIL.Image.Resampling.BICUBIC)
    left, top = (image.width - resolution) // 2, (image.height - resolution) // 2
    return image.crop((left, top, left + resolution, top + resolution))  # fills with black outside of the image


def decode_image(encoded: dict[str, Any] | None) -> PIL.Image.Image:
    """Decodes `{"bytes": ..., "path": ...}`, the storage of a [`datasets.Image`] column, and applies its rotation."""
    if encoded is None:  # a row without an image
        raise ValueError("it is empty")
    try:
        return _DECODER.decode_example(encoded)
    except PIL.UnidentifiedImageError:  # its message would show a memory address
        raise ValueError("it is not an image of a known format") from None


def encoded_to_array(
    encoded: dict[str, Any] | None, num_channels: int, resolution: int, resize_mode: ResizeMode
) -> np.ndarray:
    """Decodes, converts and fits an image. Returns a uint8 array of shape `(num_channels, resolution, resolution)`."""
    image = fit_image(convert_channels(decode_image(encoded), num_channels), resolution, resize_mode)
    return np.asarray(image).reshape(resolution, resolution, num_channels).transpose(2, 0, 1)
