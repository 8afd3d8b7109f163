# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
EXIF of an upscaled photograph, changed in place. Decoding and encoding it again would move the notes of camera makers,
which hold absolute positions, and lose what Pillow does not know.
"""

import struct
from collections.abc import Iterator


PREFIX = b"Exif\0\0"  # in JPEG files
_SHORT, _LONG = 3, 4
_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202


def describe_upright(exif: bytes, size: tuple[int, int]) -> bytes:
    r"""
    Returns the EXIF of a photograph that has been turned upright and resized: with its orientation and size, without
    the thumbnail, and otherwise the same bytes.

    Args:
        exif (`bytes`):
            EXIF in TIFF's structure, which begins with `II` or `MM`.
        size (`tuple[int, int]`):
            Width and height of the result.

    Raises:
        ValueError: if the structure is damaged.
    """
    orders = {b"II": "<", b"MM": ">"}
    if exif[:2] not in orders:
        raise ValueError("EXIF begins with II or MM")
    order, data = orders[exif[:2]], bytearray(exif)
    try:
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        for place, tag, value in [*_entries(data, order, first)]:
            if tag == _ORIENTATION:
                struct.pack_into(f"{order}HHIHH", data, place, tag, _SHORT, 1, 1, 0)
            elif tag in (*_WIDTHS, *_HEIGHTS):
                struct.pack_into(f"{order}HHII", data, place, tag, _LONG, 1, size[tag in _HEIGHTS])
            elif tag == _EXIF_IFD:
                for inner, name, _ in [*_entries(data, order, value)]:
                    if name in (*_WIDTHS, *_HEIGHTS):
                        struct.pack_into(f"{order}HHII", data, inner, name, _LONG, 1, size[name in _HEIGHTS])
        _drop_thumbnail(data, order, first)
    except struct.error as error:
        raise ValueError(f"EXIF is damaged: {error}") from error
    return bytes(data)


def _entries(data: bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """Yields place, tag and value, or the value's place, of each entry of a directory."""
    (number,) = struct.unpack_from(f"{order}H", data, start)
    for place in range(start + 2, start + 2 + 12 * number, 12):
        tag, kind, _ = struct.unpack_from(f"{order}HHI", data, place)
        (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", data, place + 8)
        yield place, tag, value


def _drop_thumbnail(data: bytearray, order: str, first: int) -> None:
    """Removes the link to the second directory, which describes the thumbnail, and overwrites the latter with zeros."""
    (number,) = struct.unpack_from(f"{order}H", data, first)
    link = first + 2 + 12 * number
    if link + 4 > len(data):  # cut off after the entries, as some programs do
        return
    (second,) = struct.unpack_from(f"{order}I", data, link)
    struct.pack_into(f"{order}I", data, link, 0)
    if second:
        found = {tag: value for _, tag, value in _entries(data, order, second)}
        start, length = found.get(_THUMBNAIL_START, 0), found.get(_THUMBNAIL_LENGTH, 0)
        if start + length <= len(data):
            data[start : start + length] = bytes(length)
