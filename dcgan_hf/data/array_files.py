# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Images and labels in NumPy's files: `.npz`, such as those of MedMNIST and Keras, and `.npy`."""

import logging
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import datasets
import numpy as np

from ..image_processing_dcgan import array_to_image, check_type
from .file_listing import DAMAGES, MAX_FILE_BYTES
from .image_files import SPLIT_WORDS
from .preparation import open_split, prepare


logger = logging.getLogger(__name__)

# MedMNIST: train_images, val_labels; Keras: x_train, y_test. Without a split: images and labels, or np.savez's names.
_SPLIT_KEY = re.compile(r"([a-z]+)_(images?|labels?)|([xy])_([a-z]+)")
_IMAGE_KEYS = ("images", "image", "x", "data", "arr_0")
_LABEL_KEYS = ("labels", "label", "y", "targets", "arr_1")


@dataclass
class _Array:
    """Array in a file: its key, and the type and shape that its header declares."""

    key: str
    dtype: np.dtype
    shape: tuple[int, ...]


def open_arrays(path: Path, split: str, cache_dir: str | None) -> datasets.Dataset:
    r"""
    Opens the images of a split, and their labels if there is one per image.

    Nothing is unpickled, and an array is read image by image, which bounds the memory.

    Args:
        path (`Path`):
            An `.npz` file with arrays such as `train_images` and `train_labels`, or an `.npy` file of images.
        split (`str`):
            Name of the split.
        cache_dir (`str`, *optional*):
            Cache folder.

    Raises:
        ValueError: if the file is damaged or contains no images, or if the split does not exist.
    """
    pairs = _pairs(path)
    labels = {name: _read_labels(path, label, images) for name, (images, label) in pairs.items() if label is not None}
    classes = sorted({label for values in labels.values() for label in values or ()})
    ids = {label: i for i, label in enumerate(classes)}
    has_labels = bool(classes) and all(labels.get(name) for name in pairs)

    def load(name: str) -> datasets.Dataset:
        images = pairs[name][0]
        own = labels[name] if has_labels else None
        features: dict[str, Any] = {"image": datasets.Image()}
        if own is not None:
            features["label"] = datasets.ClassLabel(names=[str(label) for label in classes])
        stamp = path.stat()
        arguments = {
            "path": path.absolute(),
            "key": images.key,
            "labels": None if own is None else tuple(ids[label] for label in own),
            "stamp": (stamp.st_size, stamp.st_mtime_ns),
        }
        num_bytes = math.prod(images.shape) * images.dtype.itemsize
        return prepare(_examples, datasets.Features(features), arguments, cache_dir, num_bytes)

    return open_split({name: images.shape[0] for name, (images, _) in sorted(pairs.items())}, split, str(path), load)


def _pairs(path: Path) -> dict[str, tuple[_Array, _Array | None]]:
    """Returns the arrays of images and labels of each split."""
    arrays = _headers(path)
    images: dict[str, _Array] = {}
    labels: dict[str, _Array] = {}
    for key, array in arrays.items():
        match = _SPLIT_KEY.fullmatch(key.lower())
        word, kind = (match[1] or match[4], match[2] or match[3]) if match else ("", "")
        if word in SPLIT_WORDS:
            (images if kind[0] in "ix" else labels)[SPLIT_WORDS[word]] = array
    if not images:
        for kind, names in ((images, _IMAGE_KEYS), (labels, _LABEL_KEYS)):
            for key in [key for key in names if key in arrays][:1]:
                kind["train"] = arrays[key]
    if not images:
        shapes = ", ".join(f"{array.key} {array.shape}" for array in arrays.values()) or "none"
        raise ValueError(
            f"`dataset_name={path}`: none of its arrays is known as images. They may be called train_images (and"
            f" train_labels, val_images, test_images), x_train, images or arr_0. It has: {shapes}."
        )
    for array in images.values():
        _check_images(path, array)
    return {name: (array, labels.get(name)) for name, array in images.items()}


def _check_images(path: Path, array: _Array) -> None:
    name = f"`dataset_name={path}`: {array.key}"
    check_type(array.dtype, name)
    several = len(array.shape) == 4 or (len(array.shape) == 3 and array.shape[-1] not in (1, 3, 4))
    if not several or not math.prod(array.shape):
        raise ValueError(
            f"{name} has shape {array.shape}. Images must have shape (images, height, width), (images, height, width,"
            " channels) or (images, channels, height, width)."
        )
    num_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
    if num_bytes > MAX_FILE_BYTES:
        raise ValueError(f"{name} declares images of {num_bytes:,} bytes. At most {MAX_FILE_BYTES:,} are read.")


def _read_labels(path: Path, array: _Array, images: _Array) -> list[int | str] | None:
    """Returns one label per image, or `None` if they are not classes, such as several labels per image."""
    num_images = images.shape[0]
    if array.shape not in ((num_images,), (num_images, 1)) or array.dtype.kind not in "iuU":
        if array.shape[:1] != (num_images,):
            raise ValueError(
                f"`dataset_name={path}`: {array.key} has shape {array.shape}, but there are {num_images:,} images in"
                f" {images.key}."
            )
        logger.info(f"{path}: {array.key} of shape {array.shape} and type {array.dtype} is not one class per image.")
        return None
    num_bytes = num_images * array.dtype.itemsize
    if num_bytes > MAX_FILE_BYTES:
        raise ValueError(f"`dataset_name={path}`: {array.key} declares {num_bytes:,} bytes of labels.")
    with _open(path, array.key) as (file, _, _):
        return np.frombuffer(file.read(num_bytes), array.dtype).tolist()


def _examples(
    path: Path, key: str, labels: tuple[int, ...] | None, stamp: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    with _open(path, key) as (file, array, _):
        num_bytes = math.prod(array.shape[1:]) * array.dtype.itemsize
        for i in range(array.shape[0]):
            pixels = np.frombuffer(file.read(num_bytes), array.dtype).reshape(array.shape[1:])
            example: dict[str, Any] = {"image": array_to_image(pixels, f"{path}: {key}, image {i}")}
            yield example if labels is None else example | {"label": labels[i]}


def _headers(path: Path) -> dict[str, _Array]:
    """Returns the arrays by key. Raises a `ValueError` if one is not as long as its header declares."""
    keys = ["images"]
    if path.suffix.lower() == ".npz":
        try:
            with zipfile.ZipFile(path) as archive:
                keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        except (*DAMAGES, ValueError) as error:
            raise ValueError(f"`dataset_name={path}` is not a whole .npz file: {error}") from error
    arrays = {}
    for key in keys:
        with _open(path, key) as (_, array, data_bytes):
            # Objects would have to be unpickled, which can run code.
            declared = math.prod(array.shape) * array.dtype.itemsize
            if not array.dtype.hasobject and declared != data_bytes:
                raise ValueError(
                    f"`dataset_name={path}`: {array.key} is damaged: it declares {declared:,} bytes of shape"
                    f" {array.shape} and has {data_bytes:,}."
                )
        arrays[key] = array
    return arrays


@contextmanager
def _open(path: Path, key: str) -> Iterator[tuple[IO[bytes], _Array, int]]:
    """Opens an array: a file that stands at its data, its description, and the number of bytes that follow."""
    try:
        with ExitStack() as stack:
            if path.suffix.lower() == ".npz":
                archive = stack.enter_context(zipfile.ZipFile(path))
                size = archive.getinfo(f"{key}.npy").file_size
                file: IO[bytes] = stack.enter_context(archive.open(f"{key}.npy"))
            else:
                size = path.stat().st_size
                file = stack.enter_context(open(path, "rb"))
            array = _read_header(file, path, key)
            yield file, array, size - file.tell()
    except DAMAGES as error:
        raise ValueError(f"`dataset_name={path}`: {key} cannot be read: {error}") from error


def _read_header(file: IO[bytes], path: Path, key: str) -> _Array:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape is {shape}")
        if fortran_order and len(shape) > 1:
            raise ValueError("it is stored in Fortran order. Save it again with `np.ascontiguousarray`")
    except ValueError as error:
        raise ValueError(f"`dataset_name={path}`: {key} cannot be read: {error}") from error
    return _Array(key, dtype, shape)
