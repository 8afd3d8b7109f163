# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Images at their original size, alone or paired with low-resolution versions: a look at their sizes, and reading."""

import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from tqdm.auto import tqdm

from ..image_processing_dcgan import EXIF_ORIENTATION, convert_channels
from ..processes import bar_options, from_main_process, is_main_process
from .bad_images import ADVICE, BadImageError, first_reasons, image_name, reason_of
from .datasets import ImageDataset
from .decoding import decode_image


logger = logging.getLogger(__name__)

_LOOKED_AT_ONCE = 32  # may be whole photographs in memory
_NUM_THREADS = 8  # to wait for files

Size = tuple[int, int]


@dataclass
class Requirements:
    """
    Requirements on whole images and pairs.

    Args:
        num_channels (`int`):
            Channels to convert images to.
        scale_factor (`int`):
            Ratio of the width and height of an image to those of its low-resolution version.
        min_side (`int`, *optional*, defaults to 1):
            Minimum width and height of an image, in pixels.
        purpose (`str`, *optional*, defaults to `""`):
            End of the sentence "too small ...", for messages.
        takes_remainders (`bool`, *optional*, defaults to `False`):
            Whether an image may be larger than its low-resolution version says, by less than the scale factor: programs
            that downscale leave out the last pixels.
    """

    num_channels: int
    scale_factor: int
    min_side: int = 1
    purpose: str = ""
    takes_remainders: bool = False

    def reason_against(
        self, size: Size, small_size: Size | None = None, *, small_path: str | None = None
    ) -> str | None:
        """Returns why an image of this width and height, or this pair, cannot be used, or `None` if it can."""
        width, height = size
        most = self.scale_factor - 1 if self.takes_remainders else 0
        if small_size is not None and not all(
            0 <= side - self.scale_factor * small_side <= most for side, small_side in zip(size, small_size)
        ):
            version = f"its low-resolution version{f' ({small_path})' if small_path else ''}"
            return (
                f"is {width}x{height} pixels and {version} {small_size[0]}x{small_size[1]}. It must"
                f" be {self.scale_factor} times as wide and high"
                + (f", or at most {most} pixel{'s' * (most > 1)} larger" if most else "")
            )
        if min(size) < self.min_side:
            return f"is {width}x{height} pixels, too small {self.purpose}"
        return None


def stored_size(encoded: dict[str, Any] | None) -> Size:
    r"""
    Returns the width and height of an image, upright, as a rule from the first bytes of its file.

    Args:
        encoded (`dict[str, Any]`, *optional*):
            See [`decode_image`].

    Raises:
        Exception: if the image cannot be opened, see [`decode_image`]. Damage behind the first bytes is not noticed.
    """
    stored = encoded or {}
    content, path = stored.get("bytes"), stored.get("path") or ""
    if content is None and not os.path.isfile(path):  # numbers, an address, or nothing
        return decode_image(encoded).size
    try:
        with PIL.Image.open(path if content is None else io.BytesIO(content)) as image:
            # Not `image.getexif`, which decodes a PNG. Pillow has swapped the sides of a TIFF already.
            orientation = PIL.Image.Image.getexif(image).get(EXIF_ORIENTATION, 1)
            is_on_its_side = orientation in (5, 6, 7, 8) and image.format != "TIFF"
            return image.size[::-1] if is_on_its_side else image.size
    except Exception:  # Pillow raises many types; decoding gives the reason in our words
        return decode_image(encoded).size


def usable_images(
    images: ImageDataset, small_images: ImageDataset | None, requirements: Requirements, skip_bad_images: bool
) -> tuple[list[int], list[str]]:
    r"""
    Looks at the sizes of all images, as a rule without decoding them. Must be called by all processes.

    Args:
        images ([`ImageDataset`]):
            The images.
        small_images ([`ImageDataset`], *optional*):
            Their low-resolution versions, in the same order.
        requirements ([`Requirements`]):
            What images and pairs must fulfil.
        skip_bad_images (`bool`):
            Whether to leave out those that do not.

    Returns:
        `tuple[list[int], list[str]]`: indices of the images that fulfil them, and names of those left out, with the
        reasons.

    Raises:
        BadImageError: if an image does not fulfil them and is not to be skipped, or if none does.
    """
    reasons: list[str | None] = from_main_process(lambda: _reasons(images, small_images, requirements))
    bad = [reason for reason in reasons if reason is not None]
    good = [index for index, reason in enumerate(reasons) if reason is None]
    told = f"{len(bad):,} of {len(reasons):,} {'images' if small_images is None else 'pairs'}"
    if bad and not (skip_bad_images and good):
        advice = "Remove or replace them, or skip them with `--skip_bad_images`." if good else ""
        raise BadImageError(f"{told} cannot be used: {first_reasons(bad)}. {advice}".rstrip())
    if bad and is_main_process():
        logger.warning(f"Left out {told}, which cannot be used: {first_reasons(bad)}")
    return good, bad


def _reasons(images: ImageDataset, small_images: ImageDataset | None, requirements: Requirements) -> list[str | None]:
    columns = [found.dataset for found in (images, small_images) if found is not None]

    def look(pair: tuple[int, tuple[dict[str, Any] | None, ...]]) -> str | None:
        number, encoded = pair
        name = image_name(encoded[0], number)
        sizes: list[Size] = []
        for one in encoded:
            try:
                sizes.append(stored_size(one))
            except Exception as error:  # as in read_whole_image
                return f"{name}{_of_version(one, number) if sizes else ''} cannot be read: {reason_of(error)}"
        reason = requirements.reason_against(*sizes, small_path=_path_of(encoded[-1]))
        return reason and f"{name} {reason}"

    found: list[str | None] = []
    with ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="size") as pool:
        with tqdm(total=len(columns[0]), desc="Looking at sizes", unit="img", **bar_options()) as progress_bar:
            for start in range(0, len(columns[0]), _LOOKED_AT_ONCE):
                rows = list(zip(*(column[start : start + _LOOKED_AT_ONCE]["image"] for column in columns)))
                found += pool.map(look, enumerate(rows, start))
                progress_bar.update(len(rows))
    return found


def _path_of(encoded: dict[str, Any] | None) -> str | None:
    return (encoded or {}).get("path")


def _of_version(encoded: dict[str, Any] | None, number: int) -> str:
    return f": its low-resolution version {image_name(encoded, number)}"


def read_whole_image(encoded: dict[str, Any] | None, num_channels: int, name: str) -> np.ndarray:
    r"""
    Decodes and converts an image at its original size.

    Args:
        encoded (`dict[str, Any]`, *optional*):
            See [`decode_image`].
        num_channels (`int`):
            Channels of the result.
        name (`str`):
            Name of the image, see [`image_name`].

    Returns:
        `np.ndarray` of shape `(num_channels, height, width)`, uint8.

    Raises:
        BadImageError: if the image cannot be read.
    """
    try:
        image = convert_channels(decode_image(encoded), num_channels)
    except Exception as error:  # Pillow raises many types, see Decoder
        raise BadImageError(f"Image {name} cannot be read: {reason_of(error)}.") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def read_pair(
    images: ImageDataset,
    small_images: ImageDataset | None,
    index: int,
    requirements: Requirements,
    skip_bad_images: bool,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    r"""
    Reads an image and, of a paired dataset, its low-resolution version. Finds what [`usable_images`] cannot see in the
    first bytes of a file.

    Args:
        images ([`ImageDataset`]):
            The images.
        small_images ([`ImageDataset`], *optional*):
            Their low-resolution versions, in the same order.
        index (`int`):
            Index of the image.
        requirements ([`Requirements`]):
            What the image must fulfil.
        skip_bad_images (`bool`):
            Whether to log an image that cannot be used, and to return `None`.

    Returns:
        `tuple[np.ndarray, np.ndarray | None]` or `None`: see [`read_whole_image`].

    Raises:
        BadImageError: if an image cannot be read or does not fulfil the requirements, and is not to be skipped.
    """
    try:
        return _read_pair(images, small_images, index, requirements)
    except BadImageError as error:
        if not skip_bad_images:
            raise BadImageError(f"{error} {ADVICE}") from error
        logger.warning(f"Skipped: {error}")
        return None


def _read_pair(
    images: ImageDataset, small_images: ImageDataset | None, index: int, requirements: Requirements
) -> tuple[np.ndarray, np.ndarray | None]:
    encoded = images.dataset[index]["image"]
    name = image_name(encoded, index)
    large, small = read_whole_image(encoded, requirements.num_channels, name), None
    if small_images is not None:
        encoded = small_images.dataset[index]["image"]
        small = read_whole_image(encoded, requirements.num_channels, f"{name}{_of_version(encoded, index)}")
    reason = requirements.reason_against(
        *((found.shape[2], found.shape[1]) for found in (large, small) if found is not None),
        small_path=_path_of(encoded),
    )
    if reason is not None:
        raise BadImageError(f"Image {name} {reason}.")
    return large, small
