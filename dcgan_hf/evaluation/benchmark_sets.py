# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Benchmark sets of super-resolution, such as Set5, in the layouts that are in circulation.

| layout | files |
| --- | --- |
| two folders | `Set5/HR/baby.png`, `Set5/LR/baby.png` |
| two folders for each scale | `Set5/x2/HR/baby.png`, `Set5/x2/LR/baby.png` |
| SelfExSR | `Set5/image_SRF_2/img_001_SRF_2_HR.png`, `Set5/image_SRF_2/img_001_SRF_2_LR.png` |
| EDSR | `Set5/HR/baby.png`, `Set5/LR_bicubic/X2/babyx2.png` |
| BasicSR | `Set5/GTmod12/baby.png`, `Set5/LRbicx2/baby.png` |
| DIV2K | `DIV2K_valid_HR/0801.png`, `DIV2K_valid_LR_bicubic/X2/0801x2.png` |
| originals alone | `Set5/baby.png` |
"""

import logging
import os
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import datasets

from ..data.bad_images import BadImageError, first_reasons
from ..data.datasets import ImageDataset
from ..data.file_listing import LISTS, FileListing, list_folder, list_zip
from ..data.image_files import places_of
from ..data.opening import BUILDERS, BUILT_IN
from ..processes import is_main_process


logger = logging.getLogger(__name__)

# Folders such as "x2", "X2", "2x" or "image_SRF_2", and "HR", "GTmod12", "LR_bicubic", "LRbicx2" or "DIV2K_valid_HR".
_SCALE_FOLDER = re.compile(r"(?:(?:image_)?SRF_|x)(\d)|(\d)x", re.IGNORECASE)
_KIND_FOLDER = re.compile(
    r"(?:(?P<set>.+)[_-])?(?:(?P<large>HR|GT(?:mod\d+)?|originals?)|LR(?:bic(?:ubic)?|[_-](?!x\d)[a-z]+)?)"
    r"(?:[_-]?x(?P<scale>\d))?",
    re.IGNORECASE,
)
# Ends of file names: "_SRF_2" or "_x2", "x2" without a separator, which may be part of a word, "_HR" or "_LR".
_END = re.compile(
    r"(?<=.)(?:[_-](?:SRF_|x)(?P<scale>\d)|x(?P<attached>\d)|[_-](?:(?P<large>HR|GT)|LR))$", re.IGNORECASE
)
# SelfExSR's results of other methods lie beside the images: "img_001_SRF_2_bicubic.png".
_RESULT = re.compile(r".+_SRF_\d_(?!(?:HR|LR)$)[^_]+", re.IGNORECASE)


@dataclass
class BenchmarkSet:
    """
    Images to measure super-resolution with.

    Args:
        name (`str`):
            Name of the set.
        split (`str`):
            Dataset split.
        originals ([`ImageDataset`]):
            The originals.
        small ([`ImageDataset`], *optional*):
            Their low-resolution versions, in the same order. By default, they are made from the originals.
    """

    name: str
    split: str
    originals: ImageDataset
    small: ImageDataset | None = None


@dataclass
class _File:
    """A file: its name in the listing, folders that are not marks, kind ("HR", "LR", "result" or ""), scale, and name
    without marks."""

    name: str
    folders: tuple[str, ...]
    kind: str
    scale: int | None
    key: str
    attached: int | None = None  # scale in the name without a separator
    with_attached: str = ""  # name without marks behind it
    is_cropped: bool = True  # not in a folder "original", beside which there may be a "GTmod12"


def find_benchmark_sets(dataset_name: str, scale_factor: int, skip_bad_images: bool = False) -> list[BenchmarkSet]:
    r"""
    Finds the sets in a folder or a zip archive. Their names are those of their folders.

    Pairs have the same file name, apart from marks such as `_HR`, `_LR`, `x2` and `_SRF_2`. Sets and low-resolution
    images of other scales are left out.

    Args:
        dataset_name (`str`):
            Folder or `.zip` file with one of the layouts above, or of several such sets.
        scale_factor (`int`):
            Scale of the model.
        skip_bad_images (`bool`, *optional*, defaults to `False`):
            Whether to leave out files without a partner.

    Returns:
        `list[BenchmarkSet]`: the sets, sorted by name; an empty list for other datasets: those of the Hub, tables,
        images with metadata, and images in folders of splits.

    Raises:
        ValueError: if all sets are of other scales, or for a `.tar` file.
        BadImageError: if a file has no partner.
    """
    path = Path(dataset_name).expanduser()
    if path.suffix.lower() == ".tar" and path.is_file():
        raise ValueError(
            f"`dataset_name={dataset_name}`: benchmark sets are read from folders and .zip files. Unpack it."
        )
    if dataset_name in BUILT_IN or not (path.is_dir() or path.suffix.lower() == ".zip" and path.is_file()):
        return []
    listing = list_folder(path) if path.is_dir() else list_zip(path)
    files = [_look_at(name, _marked_end(path)) for name in listing.images]
    if not any(file.kind or file.scale for file in files) and _is_dataset(listing):
        return []
    if is_main_process():
        for line in listing.describe_unusable():
            logger.warning(line)
    sets, others = [], []
    grouped = _by_set(files)
    names = _names_of([*grouped])
    for folders, own in grouped.items():
        found = _open_set(listing, names[folders], own, scale_factor, skip_bad_images)
        if found is None:
            scales = sorted({file.scale for file in own if file.scale is not None})
            others.append(f"{names[folders]} has scale {', '.join(map(str, scales))}")
        else:
            sets.append(found)
    if others and not sets:
        raise ValueError(
            f"`dataset_name={dataset_name}` has no images of the model's scale, {scale_factor}: {'; '.join(others)}."
        )
    if others and is_main_process():
        logger.warning(f"Left out sets without images of scale {scale_factor}: {'; '.join(others)}")
    return sorted(sets, key=lambda found: _natural(found.name))


def _natural(name: str) -> list[str | int]:
    """Returns a key that sorts "Set5" before "Set14"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _is_dataset(listing: FileListing) -> bool:
    """Returns whether a listing without marks is rather a dataset: a table, or images with metadata or splits."""
    if not listing.images:
        return True
    tables = [name for name in listing.of_kind("other files") if PurePosixPath(name).suffix.lower() in BUILDERS]
    has_splits = {split for split, _ in places_of(listing.images).values()} - {"train"}
    return bool(tables or listing.of_kind(LISTS) or has_splits)


def _marked_end(path: Path) -> tuple[str, ...]:
    """Returns the last folders of a path from the set's own on: of `benchmark/Set5/x2`, "Set5" and "x2"."""
    if path.is_file():
        return (path.stem,)
    parts = Path(os.path.abspath(path)).parts
    start = len(parts) - 1
    while start > 1 and (_SCALE_FOLDER.fullmatch(parts[start]) or _is_only_a_mark(parts[start])):
        start -= 1
    return parts[start:]


def _is_only_a_mark(folder: str) -> bool:
    match = _KIND_FOLDER.fullmatch(folder)
    return match is not None and not match["set"]


def _look_at(name: str, root: tuple[str, ...]) -> _File:
    """Reads the marks in the path of an image."""
    path = PurePosixPath(name)
    file = _File(name, (), "", None, path.stem)
    for folder in (*root, *path.parent.parts):
        if match := _SCALE_FOLDER.fullmatch(folder):
            file.scale = int(match[1] or match[2])
        elif match := _KIND_FOLDER.fullmatch(folder):
            file.folders += (match["set"],) if match["set"] else ()
            file.kind = "HR" if match["large"] else "LR"
            file.is_cropped = not (match["large"] or "").lower().startswith("original")
            file.scale = int(match["scale"]) if match["scale"] else file.scale
        else:
            file.folders += (folder,)
    if _RESULT.fullmatch(path.stem):
        return replace(file, kind="result")
    kind, scale = "", None
    while match := _END.search(file.key):
        if match["scale"]:
            scale = scale or int(match["scale"])
        elif match["attached"]:
            file.with_attached = file.with_attached or file.key
            file.attached = file.attached or int(match["attached"])
        else:
            kind = kind or ("HR" if match["large"] else "LR")
        file.key = file.key[: match.start()]
    file.with_attached = file.with_attached or file.key
    file.kind = file.kind or kind
    file.scale = file.scale or (scale if file.kind else None)
    return file


def _by_set(files: list[_File]) -> dict[tuple[str, ...], list[_File]]:
    """Groups files by their set. Folders in a set with marked files belong to it."""
    marked = {file.folders for file in files if file.kind}
    groups: dict[tuple[str, ...], list[_File]] = defaultdict(list)
    for file in files:
        parents = [file.folders[:length] for length in range(1, len(file.folders))]
        groups[next((parent for parent in parents if parent in marked), file.folders)].append(file)
    for own in groups.values():
        words = {file.with_attached for file in own if file.kind == "HR"}
        for file in own:
            if file.kind == "LR" and file.with_attached not in words:
                file.scale = file.scale or file.attached
    return groups


def _names_of(sets: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Returns the name of each set: its last folder or, if it is not the only one called so, several."""
    last = [folders[-1] for folders in sets]
    return {
        folders: folders[-1] if last.count(folders[-1]) == 1 else "/".join(folders[1:] or folders) for folders in sets
    }


def _open_set(
    listing: FileListing, name: str, files: list[_File], scale_factor: int, skip_bad_images: bool
) -> BenchmarkSet | None:
    """Returns the pairs, or the originals, of a scale; `None` if there are only other scales."""
    results = [file for file in files if file.kind == "result"]
    if results and is_main_process():
        logger.info(f"{name}: left out {len(results):,} results of other methods, such as {results[0].name}")
    is_marked = any(file.kind in ("HR", "LR") for file in files)
    large = _of_scale([file for file in files if file.kind == ("HR" if is_marked else "")], scale_factor)
    small = _of_scale([file for file in files if file.kind == "LR"], scale_factor)
    # Of originals in GTmod12 and in original, the former.
    large = [file for file in large if file.is_cropped] or large
    has_pairs = any(file.kind == "LR" for file in files)
    if has_pairs and not small or not has_pairs and not large:
        return None
    versions = _by_key(small, name)
    originals = _by_key(large, name) if has_pairs else {file.name: file for file in large}
    reasons = [
        f"{file.name} is neither an original (HR) nor a low-resolution image (LR)"
        for file in files
        if not file.kind and is_marked
    ]
    if has_pairs:
        reasons += [
            f"{file.name} has no low-resolution image of scale {scale_factor}"
            for key, file in originals.items()
            if key not in versions
        ]
        reasons += [f"{file.name} has no original" for key, file in versions.items() if key not in originals]
    keys = [key for key in originals if key in versions or not has_pairs]
    if reasons and not (skip_bad_images and keys):
        advice = " Remove them, or skip them with `--skip_bad_images`." if keys else ""
        raise BadImageError(
            f"{name}: {len(reasons):,} of {len(files):,} files have no partner: {first_reasons(reasons)}.{advice}"
        )
    if reasons and is_main_process():
        logger.warning(f"{name}: left out {len(reasons):,} files without a partner: {first_reasons(reasons)}")
    return BenchmarkSet(
        name,
        "test",
        _open_files(listing, [originals[key] for key in keys]),
        _open_files(listing, [versions[key] for key in keys]) if has_pairs else None,
    )


def _of_scale(files: list[_File], scale_factor: int) -> list[_File]:
    """Returns the files of a scale or, if there are none, those that do not name theirs."""
    return [file for file in files if file.scale == scale_factor] or [file for file in files if file.scale is None]


def _by_key(files: list[_File], name: str) -> dict[str, _File]:
    found: dict[str, _File] = {}
    for file in files:
        if file.key in found:
            raise BadImageError(
                f"{name}: {found[file.key].name} and {file.name} have the same name without marks, {file.key!r}. Pass a"
                " folder with one of them."
            )
        found[file.key] = file
    return found


def _open_files(listing: FileListing, files: list[_File]) -> ImageDataset:
    folder = Path(listing.source)
    encoded = [
        {"bytes": None, "path": str(folder / file.name)}
        if folder.is_dir()
        else {"bytes": listing.read(file.name), "path": file.name}
        for file in files
    ]
    features = datasets.Features({"image": datasets.Image(decode=False)})
    return ImageDataset(datasets.Dataset.from_dict({"image": encoded}, features=features), None)
