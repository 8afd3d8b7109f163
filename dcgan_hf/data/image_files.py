# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Datasets of image files in a folder or a zip archive: their splits, classes and metadata."""

import io
import json
import logging
import os
import posixpath
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import datasets
import pyarrow
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from .file_listing import DAMAGES, LISTS, METADATA_FILES, STYLEGAN_FILE, FileListing, first_of, open_zip
from .preparation import open_split, prepare


logger = logging.getLogger(__name__)

# The words that `datasets` knows for splits. Only top folders that are called so, in upper or lower case, are splits.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


@dataclass
class _Table:
    """Image files with the columns that describe them, those with files, and the classes of the column "label"."""

    rows: list[tuple[str, dict[str, Any]]]
    image_columns: list[str] = field(default_factory=lambda: ["image"])
    class_names: list[str] | None = None


def open_image_files(listing: FileListing, split: str, cache_dir: str | None) -> datasets.Dataset:
    r"""
    Opens the images of a split, with the column "label" if folders or a StyleGAN `dataset.json` define classes, or
    with the columns of a `metadata.csv`, `.jsonl` or `.parquet`. Logs how many files are used and left out.

    Args:
        listing ([`FileListing`]):
            The image files.
        split (`str`):
            Name of the split, also with a slice: `"train[:100]"`.
        cache_dir (`str`, *optional*):
            Cache folder for images from archives.

    Raises:
        ValueError: if there are no images, if the split does not exist, or if metadata cannot be read.
    """
    if not listing.images:
        found = "; ".join([*listing.describe_unusable(), *listing.describe_others()])
        raise ValueError(
            f"`dataset_name={listing.source}` contains no image that can be used{found and f': {found}'}."
        )
    places = places_of(listing.images)
    beside = [name for name, (word, _) in places.items() if not word]
    if beside:
        listing.leave_out("beside folders of splits", beside)
    table = _described(listing) or _labelled(listing, places)
    table.rows.sort(key=lambda row: (places[row[0]][0], row[0]))
    whole = _dataset(listing, table, cache_dir)
    rows: dict[str, range] = {}
    for name, own in groupby(places[name][0] for name, _ in table.rows):
        start = sum(map(len, rows.values()))
        rows[name] = range(start, start + len(list(own)))
    lengths = {name: len(own) for name, own in rows.items()}
    dataset = open_split(lengths, split, listing.source, lambda name: whole.select(rows[name]))
    _log(listing, split, len(dataset), len(table.rows))
    return dataset


def _log(listing: FileListing, split: str, used: int, found: int) -> None:
    unusable = listing.describe_unusable()
    left_out = sum(map(len, listing.unusable.values()))
    elsewhere = f" {found - used:,} not in the split {split!r}," if found > used else ""
    logger.info(
        f"{listing.source}: {len(listing.images) + left_out:,} image files found, {used:,} used,{elsewhere}"
        f" {left_out:,} left out"
    )
    for line in unusable:
        logger.warning(line)
    for line in [*listing.describe_others(), *listing.describe_pages()]:
        logger.info(line)


def places_of(names: list[str]) -> dict[str, tuple[str, str]]:
    r"""
    Returns the split of each file and its path within the split.

    Folders at the top called train, test or validation (or a word of `SPLIT_WORDS`) are splits, unless there is only
    one of them among other folders: then it is a class. A file outside of them belongs to `"train"`, and to no split,
    `""`, if its folder lies beside several splits. A folder that holds everything else does not count as the top.

    Args:
        names (`list[str]`):
            Names of the files, with slashes.
    """
    top = len(_common_folder(names))
    folders = {name: name[top:].split("/")[0] for name in names if "/" in name[top:]}
    splits = {folder: SPLIT_WORDS.get(folder.lower(), "") for folder in {*folders.values()}}
    if "" in splits.values() and len({*splits.values()}) <= 2:
        splits = {}
    places = {}
    for name in names:
        folder = folders.get(name, "")
        split = splits.get(folder, "train")
        places[name] = (split, name[top + len(folder) + 1 :] if folder in splits else name[top:])
    return places


def _common_folder(names: list[str]) -> str:
    """Returns the folder, with a slash, that holds all files, or their split folders."""
    folder = ""
    while True:
        tops = {name[len(folder) :].split("/", 1)[0] if "/" in name[len(folder) :] else "" for name in names}
        if len(tops) > 1 or "" in tops or {top.lower() for top in tops} & {*SPLIT_WORDS}:
            return folder
        folder += f"{tops.pop()}/"


def _labelled(listing: FileListing, places: dict[str, tuple[str, str]]) -> _Table:
    """Returns the images with the classes of a StyleGAN list, or of their folders if all lie equally deep."""
    lists = [file for file in listing.of_kind(LISTS) if posixpath.basename(file) == STYLEGAN_FILE]
    labels: dict[str, Any] | None = _stylegan_labels(listing, lists[0]) if len(lists) == 1 else None
    if labels is None:
        inside = {name: places[name][1] for name in listing.images}
        labels = {name: posixpath.basename(posixpath.dirname(within)) for name, within in inside.items()}
        depths = Counter(within.count("/") for within in inside.values())
        usual = max(depths, key=depths.__getitem__)
        elsewhere = [name for name, within in inside.items() if within.count("/") != usual]
        if elsewhere and usual:
            logger.warning(
                f"{listing.source}: its folders are not used as classes, because {len(elsewhere):,} images lie higher or"
                f" deeper than the others ({first_of(elsewhere)})"
            )
        if elsewhere or len({*labels.values()}) < 2:
            labels = {}
    classes = {label: i for i, label in enumerate(sorted({*labels.values()}))}
    if not classes:
        return _Table([(name, {"image": name}) for name in listing.images])
    rows = [(name, {"image": name, "label": classes.get(labels.get(name))}) for name in listing.images]
    return _Table(rows, class_names=[str(label) for label in classes])


def _stylegan_labels(listing: FileListing, file: str) -> dict[str, int] | None:
    """Returns the labels of StyleGAN's list, `{"labels": [["00000/img.png", 3], ...]}`, or `None` for another one."""
    try:
        pairs = json.loads(listing.read(file))["labels"]
        folder = posixpath.dirname(file)
        labels = {posixpath.join(folder, name): label for name, label in pairs or []}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning(
            f"{listing.source}: {file} is not used: it has no labels as StyleGAN writes them"
            f" ({type(error).__name__}: {error})"
        )
        return None
    if any(type(label) is not int for label in labels.values()):  # vectors, such as of a camera
        logger.info(f"{listing.source}: the labels of {file} are not whole numbers, and are not used as classes.")
        return {}
    return labels


def _described(listing: FileListing) -> _Table | None:
    """Returns the rows of all metadata files, and the images that they do not list; `None` without such files."""
    known, rows, missing = {*listing.images}, [], []
    columns: set[str] = set()
    files = sorted(file for file in listing.of_kind(LISTS) if posixpath.basename(file) in METADATA_FILES)
    if not files:
        return None
    for file in files:
        table = _read_table(listing, file)
        paths = {key: key.removesuffix("file_name").removesuffix("_") or "image" for key in table[0] if _is_path(key)}
        if not paths:
            raise ValueError(f"{file} in {listing.source} needs a column `file_name`. It has {', '.join(table[0])}.")
        columns |= {*paths.values()}
        hidden = sorted({*paths.values()} & {*table[0]})
        if hidden:
            logger.warning(
                f"{listing.source}: the column {', '.join(hidden)} of {file} is not used: the files of {', '.join(paths)}"
                " are called so."
            )
        for row in table:
            found = {}
            for key, column in paths.items():
                value = str(row.pop(key)).replace("\\", "/")
                name = posixpath.normpath(posixpath.join(posixpath.dirname(file), value))
                found[column] = name if name in known else None
                if name not in known:
                    missing.append(name)
            main = found.get("image", next(iter(found.values())))
            if main is not None:
                rows.append((main, row | found))
    distinct = {repr((name, sorted(row.items()))): (name, row) for name, row in rows}
    if len(distinct) < len(rows):
        logger.warning(f"{listing.source}: {len(rows) - len(distinct):,} rows of {files[0]} repeat others: left out")
        rows = [*distinct.values()]
    listed = {name for _, row in rows for key, name in row.items() if key in columns}
    unlisted = sorted(known - listed)
    if missing:
        logger.warning(f"{listing.source}: {len(missing):,} files of {files[0]} are missing ({first_of(missing)})")
    if unlisted and columns == {"image"}:
        logger.warning(
            f"{listing.source}: {len(unlisted):,} images are not listed in {files[0]} and are used without its columns"
            f" ({first_of(unlisted)})"
        )
        rows += [(name, {"image": name}) for name in unlisted]
    elif unlisted:
        listing.leave_out(f"not listed in {files[0]}", unlisted)
    return _Table(rows, sorted(columns))


def _is_path(key: str) -> bool:
    return key == "file_name" or key.endswith("_file_name")


def _read_table(listing: FileListing, file: str) -> list[dict[str, Any]]:
    """Returns the rows of a metadata file, at least one."""
    content = listing.read(file)
    try:
        if file.endswith(".csv"):
            # Names such as 001 are not numbers.
            options = pyarrow.csv.ConvertOptions(column_types={"file_name": pyarrow.string()})
            table = pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options)
        elif file.endswith(".jsonl"):
            block = pyarrow.json.ReadOptions(block_size=max(len(content), 1))  # a row may have any length
            table = pyarrow.json.read_json(io.BytesIO(content), read_options=block)
        else:
            table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise ValueError(f"{file} in {listing.source} cannot be read: {error}") from error
    if not len(table):
        raise ValueError(f"{file} in {listing.source} lists no images.")
    return table.to_pylist()


def _dataset(listing: FileListing, table: _Table, cache_dir: str | None) -> datasets.Dataset:
    """Returns a table as a dataset: image columns refer to the files of a folder, or hold those of an archive."""
    keys = dict.fromkeys(key for _, row in table.rows for key in row)
    columns = {key: [row.get(key) for _, row in table.rows] for key in keys}
    is_folder = os.path.isdir(listing.source)
    if is_folder:
        folder = os.path.abspath(listing.source)
        for key in table.image_columns:
            columns[key] = [None if name is None else os.path.join(folder, name) for name in columns[key]]
    try:
        dataset = datasets.Dataset.from_dict(columns)
    except (pyarrow.ArrowException, TypeError, OverflowError) as error:
        raise ValueError(
            f"The metadata in {listing.source} has values of several types in a column: {error}"
        ) from error
    for key in table.image_columns:
        dataset = dataset.cast_column(key, datasets.Image())
    if table.class_names is not None:
        dataset = dataset.cast_column("label", datasets.ClassLabel(names=table.class_names))
    if is_folder:
        return dataset
    stamp = os.stat(listing.source)
    arguments = {
        "archive": os.path.abspath(listing.source),
        "columns": columns,
        "image_columns": tuple(table.image_columns),
        "stamp": (stamp.st_size, stamp.st_mtime_ns),
    }
    with open_zip(listing.source) as archive:
        num_bytes = sum(archive.getinfo(name).file_size for name in listing.images)
    return prepare(_zip_examples, dataset.features, arguments, cache_dir, num_bytes)


def _zip_examples(
    archive: str, columns: dict[str, list[Any]], image_columns: tuple[str, ...], stamp: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    with open_zip(archive) as file:
        for values in zip(*columns.values()):
            row = dict(zip(columns, values))
            for key in image_columns:
                if row[key] is not None:
                    row[key] = {"bytes": _read_member(file, row[key]), "path": row[key]}
            yield row


def _read_member(file: zipfile.ZipFile, name: str) -> bytes:
    """Returns an image file, or nothing if it is damaged: the decoder reports it by its name."""
    try:
        return file.read(name)
    except DAMAGES as error:
        logger.warning(f"{file.filename}: {name} is damaged: {error}")
        return b""
