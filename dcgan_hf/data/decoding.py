# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Decoding of images of any kind to uint8 arrays for training, in threads."""

import io
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import datasets
import numpy as np
import PIL.Image

from ..image_processing_dcgan import (
    ResizeMode,
    array_to_image,
    convert_channels,
    fit_image,
    rows_to_array,
    turn_upright,
)
from .bad_images import ADVICE, BadImageError, image_name, reason_of
from .datasets import ImageDataset
from .file_listing import CAN_READ_HEIC, HEIC, is_heic


logger = logging.getLogger(__name__)

_DECODER = datasets.Image()
_SAMPLE_SIZE = 64  # images looked at to choose the channels


def infer_num_channels(image: PIL.Image.Image) -> int:
    """Returns 1 for images without colour (grey, black and white, 16-bit, float), else 3."""
    return 1 if image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16") else 3


def decode_image(encoded: dict[str, Any] | None) -> PIL.Image.Image:
    """Decodes `{"bytes": ..., "path": ...}`, the storage of a [`datasets.Image`] column, and turns it upright. Also
    converts `{"array": ..., "dtype": ...}`, see [`array_to_image`]."""
    encoded = encoded or {}  # a row without an image
    if "array" in encoded:
        return array_to_image(rows_to_array(encoded["array"], encoded["dtype"]))
    path, content = encoded.get("path"), encoded.get("bytes")
    if path is None and content is None:
        raise ValueError("it is empty")
    if content is None and "://" in str(path):  # on the Hub
        return _DECODER.decode_example(encoded)
    try:
        image = PIL.Image.open(str(path) if content is None else io.BytesIO(content))
    except PIL.UnidentifiedImageError as error:
        with open(str(path), "rb") if content is None else io.BytesIO(content) as file:
            if is_heic(file.read(12)) and not CAN_READ_HEIC:
                raise ValueError(HEIC) from error
        raise
    image.load()  # also closes the file
    return turn_upright(image)


def encoded_to_array(
    encoded: dict[str, Any] | None, num_channels: int, resolution: int, resize_mode: ResizeMode
) -> np.ndarray:
    """Decodes, converts and fits an image. Returns a uint8 array of shape `(num_channels, resolution, resolution)`."""
    image = fit_image(convert_channels(decode_image(encoded), num_channels), resolution, resize_mode)
    return np.asarray(image).reshape(resolution, resolution, num_channels).transpose(2, 0, 1)


class Decoder:
    r"""
    Multi-threaded image decoder (Pillow releases the GIL while decoding and resizing).

    Args:
        num_channels (`int`):
            Channels of the images: 1, 3 or 4.
        resolution (`int`):
            Width and height of the images in pixels.
        resize_mode (`str`):
            Method of making images square, see [`fit_image`].
        num_workers (`int`):
            Number of threads.
        skip_bad_images (`bool`):
            Whether to skip images that cannot be read.
    """

    def __init__(
        self, num_channels: int, resolution: int, resize_mode: ResizeMode, num_workers: int, skip_bad_images: bool
    ):
        self.num_channels = num_channels
        self.resolution = resolution
        self.to_array = partial(
            encoded_to_array, num_channels=num_channels, resolution=resolution, resize_mode=resize_mode
        )
        self.skip_bad_images = skip_bad_images
        self.bad_images: set[str] = set()
        self.num_workers = num_workers
        self.pool = ThreadPoolExecutor(num_workers, thread_name_prefix="decode")

    def submit(self, examples: list[dict[str, Any]]) -> list[Future]:
        """Starts decoding examples, one chunk per thread."""
        portion = -(-len(examples) // self.num_workers)
        return [self.pool.submit(self._decode, examples[i : i + portion]) for i in range(0, len(examples), portion)]

    def _decode(self, examples: list[dict[str, Any]]) -> list[np.ndarray | None]:
        arrays: list[np.ndarray | None] = []
        for example in examples:
            try:
                arrays.append(self.to_array(example["image"]))
            except Exception as error:  # Pillow raises many types: OSError, struct.error, DecompressionBombError, ...
                name = image_name(example["image"], example["index"])
                if not self.skip_bad_images:
                    raise BadImageError(f"Image {name} cannot be read: {reason_of(error)}. {ADVICE}") from error
                if name not in self.bad_images:
                    logger.warning(f"Skipping image {name}, which cannot be read: {reason_of(error)}")
                self.bad_images.add(name)
                arrays.append(None)
        return arrays


def choose_channels(image_dataset: ImageDataset) -> int:
    r"""
    Returns the number of channels that suits a dataset, and logs why: 3 if any of up to 64 images, spread over the
    dataset, is stored in colour, else 1. For a stream, these are the first images.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.

    Raises:
        ValueError: if the dataset contains no readable image.
    """
    dataset: Any = image_dataset.dataset
    if isinstance(dataset, datasets.IterableDataset):
        sample: Any = dataset.take(_SAMPLE_SIZE)
    else:
        last = len(dataset) - 1
        places = sorted({round(i * last / (_SAMPLE_SIZE - 1)) for i in range(_SAMPLE_SIZE)}) if last >= 0 else []
        sample = (dataset[place] for place in places)
    images = list(_readable(sample)) or list(islice(_readable(dataset), 1))
    if not images:
        raise ValueError("The dataset contains no readable image.")
    colour = [image for image in images if infer_num_channels(image) == 3]
    reason = f"{len(colour)} of {len(images)} images looked at are stored in colour"
    if colour and not any(map(_shows_colour, colour)):
        reason += ", although they show none: `--num_channels 1` would do"
    elif 0 < len(colour) < len(images):
        reason += "; grey ones are trained on as RGB"
    logger.info(f"Channels: {3 if colour else 1}, because {reason}")
    if all(map(_is_black, images)):
        logger.warning(f"All {len(images)} images looked at are black. Do 16-bit images hold bytes?")
    return 3 if colour else 1


def _readable(examples: Iterable[dict[str, Any]]) -> Iterator[PIL.Image.Image]:
    for example in examples:
        try:
            yield decode_image(example["image"])
        except Exception:  # as in Decoder, which reports it
            continue


def _shows_colour(image: PIL.Image.Image) -> bool:
    pixels = np.asarray(image.convert("RGB"))
    return bool((pixels != pixels[..., :1]).any())


def _is_black(image: PIL.Image.Image) -> bool:
    try:
        return bool(np.asarray(convert_channels(image, 1)).max() <= 1)  # bytes divided by 257
    except ValueError:  # as in Decoder, which reports it
        return False
