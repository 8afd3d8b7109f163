# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Metadata of a photograph, carried over to the upscaled one: EXIF, XMP, IPTC, texts, comment."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import PIL.Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from .exif_bytes import PREFIX, describe_upright


# Tags of TIFF files that describe the photograph. The others describe how its pixels are stored, or are kept elsewhere.
_EXIF_TAG, _GPS_TAG, _IPTC_TAG, _XMP_TAG = 0x8769, 0x8825, 0x83BB, 0x02BC
_DESCRIPTIONS = {0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298}
_DESCRIPTIONS |= {*range(0x9C9B, 0x9CA0), _EXIF_TAG, _GPS_TAG}
_MAX_SEGMENT = 65_533  # of a JPEG file
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_CHUNK = b"XML:com.adobe.xmp"
# Written by ImageMagick. The orientation in it would turn the upright result again.
_RAW_PROFILES = ("Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp")


@dataclass
class Metadata:
    """
    Metadata of an image file.

    Args:
        exif (`bytes`):
            EXIF in TIFF's structure.
        xmp (`bytes`):
            XMP packet.
        iptc (`bytes`):
            Photoshop's resources of a JPEG file, which hold captions and keywords of agencies (IPTC).
        comment (`bytes`):
            Comment of a JPEG or GIF file.
        texts (`dict[str, str]`):
            Texts of a PNG file.
        colors (`list[tuple[bytes, bytes]]`):
            Chunks of a PNG file that say what its numbers mean.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    comment: bytes = b""
    texts: dict[str, str] = field(default_factory=dict)
    colors: list[tuple[bytes, bytes]] = field(default_factory=list)


def read_metadata(image: PIL.Image.Image) -> Metadata:
    """Reads the metadata of an image whose file is open and whose pixels are loaded."""
    exif, xmp, comment = (image.info.get(name) or b"" for name in ("exif", "xmp", "comment"))
    if not exif and (image.format == "TIFF" or _RAW_PROFILES[0] in image.info):
        exif = _encoded_exif(image)
    found = Metadata(
        exif=bytes(exif).removeprefix(PREFIX),
        xmp=xmp.encode() if isinstance(xmp, str) else bytes(xmp),
        comment=comment.encode() if isinstance(comment, str) else bytes(comment),
    )
    if image.format in ("JPEG", "MPO"):
        found.iptc = b"".join(data for name, data in getattr(image, "applist", []) if name == "APP13")
    elif isinstance(image, PngImageFile):
        left_out = (*_RAW_PROFILES, _XMP_CHUNK.decode())
        found.comment = b""  # one of the texts
        found.texts = {name: text for name, text in image.text.items() if name not in left_out}
        found.colors = _color_chunks(image.info)
    return found


def _encoded_exif(image: PIL.Image.Image) -> bytes:
    """Returns descriptive EXIF tags of a file that has them in another form."""
    try:
        exif = image.getexif()
        for tag in [tag for tag in exif if tag not in _DESCRIPTIONS]:
            del exif[tag]
        return exif.tobytes() if len(exif) else b""
    except Exception:  # Pillow raises many types for damaged tags
        return b"damaged"  # as `of_result` will find


def _color_chunks(info: Mapping[Any, Any]) -> list[tuple[bytes, bytes]]:
    if "icc_profile" in info:  # says it better
        return []
    chunks = []
    if "srgb" in info:
        chunks.append((b"sRGB", bytes([info["srgb"]])))
    if "gamma" in info:
        chunks.append((b"gAMA", struct.pack(">I", round(info["gamma"] * 100_000))))
    if "chromaticity" in info:
        chunks.append((b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in info["chromaticity"]))))
    return chunks


def of_result(source: Metadata, size: tuple[int, int]) -> tuple[Metadata, list[str]]:
    r"""
    Returns the metadata of a result, whose pixels are upright, and what is lost.

    Args:
        source ([`Metadata`]):
            Metadata of the source.
        size (`tuple[int, int]`):
            Width and height of the result.
    """
    width, height = (str(side).encode() for side in size)
    xmp = re.sub(rb"""(tiff:Orientation(?:=["']|>))\d""", rb"\g<1>1", source.xmp)
    xmp = re.sub(rb"""((?:tiff:ImageWidth|exif:PixelXDimension)(?:=["']|>))\d+""", rb"\g<1>" + width, xmp)
    xmp = re.sub(rb"""((?:tiff:ImageLength|exif:PixelYDimension)(?:=["']|>))\d+""", rb"\g<1>" + height, xmp)
    try:
        exif = describe_upright(source.exif, size) if source.exif else b""
    except ValueError:
        return replace(source, xmp=xmp, exif=b""), ["its EXIF is damaged and is left out"]
    return replace(source, xmp=xmp, exif=exif), []


def save_options(metadata: Metadata, file_format: str) -> tuple[dict[str, Any], list[str]]:
    r"""
    Returns Pillow's options to save metadata, and what the file format cannot hold.

    Args:
        metadata ([`Metadata`]):
            Metadata of the result.
        file_format (`str`):
            Pillow's name of the format.
    """
    options: dict[str, Any] = {}
    lost = []
    exif: Any = metadata.exif and PREFIX + metadata.exif
    xmp = metadata.xmp
    kinds = {"IPTC": metadata.iptc, "comment": metadata.comment, "texts": metadata.texts}
    if file_format == "JPEG":
        if len(exif) > _MAX_SEGMENT:
            exif = b""
            lost.append("its EXIF is too long for JPEG and is left out")
        if len(xmp) > _MAX_SEGMENT - len(_XMP_PREFIX):
            xmp = b""
            lost.append("its XMP is too long for JPEG and is left out")
        if 0 < len(metadata.iptc) <= _MAX_SEGMENT:
            options["extra"] = b"\xff\xed" + struct.pack(">H", len(metadata.iptc) + 2) + metadata.iptc
        if metadata.comment:
            options["comment"] = metadata.comment[:_MAX_SEGMENT]
        del kinds["IPTC"], kinds["comment"]
    elif file_format == "PNG":
        options["pnginfo"] = _png_chunks(metadata)
        xmp = b""
        del kinds["comment"], kinds["texts"]
    elif file_format == "TIFF":
        exif = _tiff_tags(metadata)
        if exif or xmp:
            options["compression"] = "raw"  # Pillow writes no directory of EXIF with libtiff, which compresses
        xmp = b""
    elif file_format == "BMP":
        kinds |= {"EXIF": exif, "XMP": xmp}
        exif = xmp = b""
    options |= {"exif": exif} if exif else {}
    options |= {"xmp": xmp} if xmp else {}
    missing = [name for name, value in kinds.items() if value]
    return options, lost + ([f"{file_format} does not hold its {' and '.join(missing)}"] if missing else [])


def _png_chunks(metadata: Metadata) -> PngInfo:
    chunks = PngInfo()
    for name, data in metadata.colors:
        chunks.add(name, data)
    for key, text in metadata.texts.items():
        chunks.add_text(key, text)
    if metadata.comment and "Comment" not in metadata.texts:
        chunks.add_text("Comment", metadata.comment.decode("utf-8", errors="replace"))
    if metadata.xmp:
        chunks.add(b"iTXt", _XMP_CHUNK + bytes(5) + metadata.xmp)
    return chunks


def _tiff_tags(metadata: Metadata) -> PIL.Image.Exif | None:
    exif = PIL.Image.Exif()
    if metadata.exif:
        exif.load(PREFIX + metadata.exif)
    for tag in [tag for tag in exif if tag not in _DESCRIPTIONS]:
        del exif[tag]
    if metadata.xmp:
        exif[_XMP_TAG] = metadata.xmp
    return exif if len(exif) else None
