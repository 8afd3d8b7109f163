# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""From an encoded image of any kind to the uint8 array that a network of given channels, and size, is trained on."""

from typing import Any

import numpy as np
import PIL.Image
from datasets import Image

from ..image_processing_dcgan import ResizeMode, convert_channels, fit_image


_DECODER = Image()


def infer_num_channels(image: PIL.Image.Image) -> int:
    """1 for images without colour (grey, black and white, 16-bit, float), else 3."""
    return 1 if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16") else 3


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


def read_whole_image(encoded: dict[str, Any] | None, num_channels: int, number: int) -> np.ndarray:
    r"""
    Decodes and converts an image, which keeps its size.

    Args:
        encoded (`dict[str, Any]`, *optional*):
            See [`decode_image`].
        num_channels (`int`):
            Channels of the result.
        number (`int`):
            What the image is called if it cannot be read.

    Returns:
        `np.ndarray` of shape `(num_channels, height, width)`, uint8.

    Raises:
        ValueError: if the image cannot be read.
    """
    try:
        image = convert_channels(decode_image(encoded), num_channels)
    except Exception as error:  # Pillow raises many kinds, see Decoder
        raise ValueError(f"Image number {number} cannot be read: {str(error).rstrip('.')}.") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)
