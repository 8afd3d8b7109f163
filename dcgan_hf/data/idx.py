# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Images and labels in IDX files, the format of MNIST."""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import PIL.Image

from .preparation import open_split, prepare


# `train-images-idx3-ubyte.gz`, `t10k-images.idx3-ubyte`, `emnist-letters-train-images-idx3-ubyte.gz`
_IMAGE_FILE = re.compile(r"(?:(.+)-)?([^-]+)-images[-.]idx3-ubyte(?:\.gz)?")
_TYPES = {0x08: "bytes", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
# All variants of MNIST together have less.
_MAX_BYTES = 2**31
_MAX_RATIO = 1032  # of deflate


def idx_files(folder: Path) -> list[Path]:
    """Returns the image files in IDX format of a folder, sorted."""
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in files if _IMAGE_FILE.fullmatch(path.name) and path.is_file())


def open_idx(image_files: list[Path], split: str, cache_dir: str | None) -> datasets.Dataset:
    r"""
    Opens the IDX files of a split.

    Args:
        image_files (`list[Path]`):
            The image files, see [`idx_files`]. Their labels lie beside them, in `...-labels-idx1-ubyte`.
        split (`str`):
            Name of the split. MNIST's `t10k` is `"test"`.
        cache_dir (`str`, *optional*):
            Cache folder.

    Raises:
        ValueError: if the split does not exist, or if a file is damaged, not of bytes, or of another length.
    """
    folder = str(image_files[0].parent)
    files: dict[str, Path] = {}
    # Uncompressed files first: torchvision keeps both.
    for path in sorted(image_files, key=lambda path: path.suffix == ".gz"):
        match = _IMAGE_FILE.fullmatch(path.name)
        assert match is not None
        name = match[2].replace("t10k", "test")
        if path.name.removesuffix(".gz") != files.setdefault(name, path).name.removesuffix(".gz"):
            raise ValueError(f"{folder!r} has two files for the split {name!r}: {files[name].name} and {path.name}.")
    # Only the files of the wanted splits are looked at: a damaged one of another split does not matter.
    wanted = {*files} if len(files) == 1 else {*re.findall(r"\w+", re.sub(r"\[.*?\]", "", split))}
    lengths = {name: _read_header(files[name], 3)[0] if name in wanted else 0 for name in sorted(files)}
    return open_split(lengths, split, folder, lambda name: _open_files(files[name], cache_dir))


def _open_files(image_file: Path, cache_dir: str | None) -> datasets.Dataset:
    images = _read_idx(image_file, dimensions=3)
    label_file = image_file.with_name(re.sub("-images([-.])idx3-", r"-labels\1idx1-", image_file.name))
    features = {"image": datasets.Image()}
    labels = None
    if label_file.is_file():
        labels = _read_idx(label_file, dimensions=1)
        if len(labels) != len(images):
            raise ValueError(
                f"{str(label_file)!r} has {len(labels):,} labels, but {image_file.name} has {len(images):,} images."
            )
        features["label"] = datasets.ClassLabel(names=[str(i) for i in range(int(labels.max()) + 1)])
    # The data instead of the paths: the arguments are the cache key, and the files at a path may change.
    arguments = {"images": images, "labels": labels}
    return prepare(_examples, datasets.Features(features), arguments, cache_dir)


def _examples(images: np.ndarray, labels: np.ndarray | None) -> Iterator[dict]:
    for i, image in enumerate(images):
        example = {"image": PIL.Image.fromarray(image)}
        yield example if labels is None else example | {"label": int(labels[i])}


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads a file: two zero bytes, type (8: bytes), number of dimensions, big-endian sizes, data."""
    shape = _read_header(path, dimensions)
    size = math.prod(shape)
    # Bounds before memory: a header can declare any size, and a small compressed file can hold gigabytes.
    possible = path.stat().st_size * (_MAX_RATIO if path.suffix == ".gz" else 1)
    if size > min(possible, _MAX_BYTES):
        reason = "more than the file can hold" if size > possible else f"more than {_MAX_BYTES:,} bytes"
        raise ValueError(f"{str(path)!r} declares {_times(shape)} pixels, {reason}.")
    data = _read(path, 4 + 4 * dimensions + size + 1)[4 + 4 * dimensions :]
    if len(data) != size:
        amount = f"only {len(data):,}" if len(data) < size else "more"
        raise ValueError(f"{str(path)!r} is damaged: it declares {_times(shape)} bytes of data and has {amount}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_header(path: Path, dimensions: int) -> tuple[int, ...]:
    header = _read(path, 4 + 4 * dimensions)
    if header[:2] != b"\0\0" or len(header) < 4 or header[2] not in _TYPES:
        raise ValueError(f"{str(path)!r} is not an IDX file of bytes: it begins with {header[:4]!r}.")
    if header[2] != 0x08:
        raise ValueError(f"{str(path)!r} is not an IDX file of bytes, but of numbers of type {_TYPES[header[2]]}.")
    if header[3] != dimensions:
        wanted = "(images, rows, columns)" if dimensions == 3 else "(labels)"
        raise ValueError(f"{str(path)!r} has {header[3]} dimensions instead of {dimensions} {wanted}.")
    if len(header) < 4 + 4 * dimensions:
        raise ValueError(f"{str(path)!r} is damaged: it ends after {len(header)} bytes, within its header.")
    shape = tuple(np.frombuffer(header, ">i4", offset=4).tolist())
    if min(shape) < 1:
        raise ValueError(f"{str(path)!r} declares the shape {_times(shape)}; every size must be at least 1.")
    return shape


def _read(path: Path, size: int) -> bytes:
    """Returns the first `size` bytes, decompressed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{str(path)!r} is not a whole gzip file: {error}.") from error


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
