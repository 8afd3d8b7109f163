# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""File formats of upscaled images: choice, names, limits, and options to save as good an image as the source was."""

from pathlib import Path
from typing import IO, Any

import PIL.features
import PIL.Image

from ..image_processing_dcgan import convert_channels, to_srgb


# Endings of the formats that are written. The first one is given to files that have none of them.
SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "AVIF": (".avif",),
}
MAX_SIDES = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535}
_SAME = {"MPO": "JPEG"}  # photographs of phones, with further images behind the first
_QUALITY = 95
_SUM_OF_TABLE = 369  # steps of brightness in a JPEG of that quality: the smaller, the finer
_TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")


def format_of_result(image: PIL.Image.Image, image_format: str) -> str:
    r"""
    Returns Pillow's name of the format in which a result is saved: PNG if that of the source cannot be written, or
    cannot hold opacity that the source has.

    Args:
        image (`PIL.Image.Image`):
            The opened source.
        image_format (`str`):
            See [`UpscalingArguments`].
    """
    if image_format != "same":
        return image_format.upper()
    source = _SAME.get(str(image.format), str(image.format))
    can_write = source in SUFFIXES and (source != "AVIF" or PIL.features.check("avif"))
    return "PNG" if not can_write or (source == "BMP" and image.has_transparency_data) else source


def name_of_result(name: str, file_format: str, suffix: str | None) -> str:
    r"""
    Returns the name of a result's file: that of the source, with its ending unless the format needs another.

    Args:
        name (`str`):
            Name of the source.
        file_format (`str`):
            Pillow's name of the result's format.
        suffix (`str`, *optional*):
            Text to add before the ending.
    """
    path = Path(name)
    has_ending = path.suffix.lower() in PIL.Image.registered_extensions()  # not a date, as in "holiday 12.5"
    stem, ending = (path.stem, path.suffix) if has_ending else (name, "")
    endings = SUFFIXES[file_format]
    return f"{stem}{suffix or ''}{ending if ending.lower() in endings else endings[0]}"


def encoding_of(image: PIL.Image.Image, file_format: str, file: IO[bytes]) -> dict[str, Any]:
    r"""
    Returns Pillow's options for pixels: no loss if the source has none, else at least a quality of 95.

    Args:
        image (`PIL.Image.Image`):
            The opened source.
        file_format (`str`):
            Pillow's name of the result's format.
        file (`IO[bytes]`):
            File of the source.
    """
    if file_format == "JPEG":
        tables = getattr(image, "quantization", {})
        if tables and sum(tables[min(tables)]) < _SUM_OF_TABLE:
            return {"qtables": [list(table) for table in tables.values()], "subsampling": 0}
        return {"quality": _QUALITY, "subsampling": 0}
    if file_format == "WEBP":
        return {"lossless": True} if image.format == "WEBP" and _is_lossless_webp(file) else {"quality": _QUALITY}
    if file_format == "TIFF":
        compression = image.info.get("compression")
        return {"compression": compression if compression in _TIFF_COMPRESSIONS else "tiff_adobe_deflate"}
    return {"quality": _QUALITY} if file_format == "AVIF" else {}


def fit_to_format(image: PIL.Image.Image, file_format: str) -> PIL.Image.Image:
    r"""
    Converts an image to what a format holds: transparent pixels in JPEG become white, as in training, and 16 bits in
    JPEG, WebP and AVIF become 8.

    Args:
        image (`PIL.Image.Image`):
            Result of the pipeline.
        file_format (`str`):
            Pillow's name of the format.
    """
    info = image.info
    if file_format not in ("PNG", "TIFF") and image.mode.startswith("I"):
        image = convert_channels(image, 1)
    if file_format == "JPEG" and image.mode in ("LA", "RGBA"):
        image = convert_channels(image, len(image.mode) - 1)
    image.info = info
    if file_format in ("WEBP", "AVIF") and image.mode in ("L", "LA") and "icc_profile" in info:
        # These formats have no grey images, which the profile describes.
        colors = to_srgb(image.convert("L"))
        if image.mode == "LA":
            colors.putalpha(image.getchannel("A"))
        image = colors
    return image


def _is_lossless_webp(file: IO[bytes]) -> bool:
    """Returns whether the first image in a WebP file is stored without loss."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        if head[:4] in (b"VP8L", b"VP8 "):
            return head[:4] == b"VP8L"
        length = int.from_bytes(head[4:], "little")
        file.seek(16 if head[:4] == b"ANMF" else length + length % 2, 1)  # a frame holds chunks after its position
    return False
