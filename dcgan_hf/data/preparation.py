# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Choice of a split, and preparation of generated examples as a dataset on the disk."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetGenerationError


logger = logging.getLogger(__name__)


def open_split(
    lengths: dict[str, int], split: str, source: str, load: Callable[[str], datasets.Dataset]
) -> datasets.Dataset:
    r"""
    Opens a split. If there is only one, it serves as `"train"`, too.

    Args:
        lengths (`dict[str, int]`):
            Number of images of each split.
        split (`str`):
            Name of the split, also with a slice or a sum as in `datasets`: `"train[:100]"`, `"train+test"`.
        source (`str`):
            Name of the dataset, for the error.
        load (`Callable[[str], datasets.Dataset]`):
            Opens a split by its name.

    Raises:
        ValueError: if the split does not exist.
    """
    own_names = {name: name for name in lengths}
    if len(lengths) == 1 and "train" not in lengths and split.split("[")[0] == "train":
        (only,) = lengths
        logger.info(f"{source} has only the split {only!r}, which is used as 'train'.")
        lengths, own_names = {"train": lengths[only]}, {"train": only}
    try:
        parts = datasets.ReadInstruction.from_spec(split).to_absolute(lengths)
    except ValueError as error:
        if str(error).startswith("Unknown split"):
            raise ValueError(f"{source!r} has no split {split!r}, only {list(lengths)}.") from error
        raise ValueError(f"`dataset_split={split}`: {error}") from error
    chosen = []
    for part in parts:
        whole = load(own_names[part.splitname])
        is_whole = (part.from_, part.to) == (0, lengths[part.splitname])
        chosen.append(whole if is_whole else whole.select(range(part.from_, part.to)))
    return chosen[0] if len(chosen) == 1 else datasets.concatenate_datasets(chosen)


def prepare(
    generate: Callable[..., Iterator[dict[str, Any]]],
    features: datasets.Features,
    arguments: dict[str, Any],
    cache_dir: str | None,
    num_bytes: int = 0,
) -> datasets.Dataset:
    r"""
    Writes examples to the cache of `datasets`, once for the same arguments, and opens them there.

    Args:
        generate (`Callable[..., Iterator[dict[str, Any]]]`):
            Yields the examples.
        features (`datasets.Features`):
            Their columns.
        arguments (`dict[str, Any]`):
            Arguments of `generate`. They are the key of the cache, and must change when the examples do. No lists:
            `datasets` would pass parts of them.
        cache_dir (`str`, *optional*):
            The cache folder.
        num_bytes (`int`, *optional*, defaults to 0):
            Bytes that the source declares. A small archive can declare more than any disk holds.

    Raises:
        ValueError: if an example cannot be read, or if the disk has not enough space.
    """
    folder = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if num_bytes > free:
        raise ValueError(
            f"The images take {num_bytes:,} bytes, but {free:,} are free in the cache folder {str(folder)!r}. Choose"
            " another one with `cache_dir`."
        )
    try:
        return datasets.Dataset.from_generator(generate, features=features, cache_dir=cache_dir, gen_kwargs=arguments)
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError):
            raise ValueError(str(error.__cause__)) from error
        raise
