# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Image and video files among the inputs, and the files of their results."""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from ..data.file_listing import FileListing, list_folder
from ..model_folder import UPSCALING_FILE
from .inputs import STANDARD_INPUT, check_inputs, expand
from .video_files import VIDEO_SUFFIXES


logger = logging.getLogger(__name__)


def find_images(
    inputs: Iterable[str | Path], output_dir: Path, own_files: Collection[Path]
) -> tuple[dict[Path, Path], list[str]]:
    r"""
    Finds the images in files, folders and patterns.

    Args:
        inputs (`Iterable[str | Path]`):
            Image files, folders, and patterns such as `"photos/**/*.jpg"`.
        output_dir (`Path`):
            Folder of the upscaled images.
        own_files (`Collection[Path]`):
            Results and records of earlier calls, which are not inputs.

    Returns:
        `tuple[dict[Path, Path], list[str]]`: place of each image relative to its folder, or to the fixed part of its
        pattern, and image files that are left out, with the reasons.

    Raises:
        ValueError: if an input does not exist or has no images, or if there are none but results of earlier calls.
    """
    return _find(inputs, output_dir, own_files, _images_of, "images")


def find_videos(
    inputs: Iterable[str | Path], output_dir: Path, own_files: Collection[Path]
) -> tuple[dict[Path, Path], list[str]]:
    """Finds the videos in files, folders and patterns, by their suffixes, see [`find_images`]. None is left out."""
    return _find(inputs, output_dir, own_files, _videos_of, "videos")


_Search = Callable[[Path, list[Path], Path, bool], tuple[list[Path], list[str]]]


def _find(
    inputs: Iterable[str | Path], output_dir: Path, own_files: Collection[Path], search: _Search, kind: str
) -> tuple[dict[Path, Path], list[str]]:
    inputs = list(inputs)
    check_inputs(inputs)
    if STANDARD_INPUT in inputs:
        raise ValueError(f"`inputs={STANDARD_INPUT}`: the standard input is not a file. Use `upscale_stream`.")
    places: dict[Path, Path] = {}
    unusable: list[str] = []
    results = {path.resolve() for path in own_files}
    num_skipped = 0
    for given in inputs:
        top, paths = expand(given)
        found, left_out = search(top, paths, output_dir, not Path(given).exists())
        unusable += left_out
        if not found:
            what = "folder contains" if paths == [top] else "pattern matches"
            raise ValueError(f"`inputs={given}`: the {what} no {kind}{left_out and f': {left_out[0]}' or ''}.")
        for path in found:
            if path.resolve() in results:
                num_skipped += 1
            else:
                places.setdefault(path, path.relative_to(top))
    if num_skipped:
        logger.info(f"{num_skipped:,} files in {output_dir} are results of earlier calls, and are not upscaled again.")
    if not places:
        raise ValueError(f"`inputs`: all files are results of earlier calls in `output_dir={output_dir}`.")
    return places, unusable


def _images_of(top: Path, paths: list[Path], output_dir: Path, is_pattern: bool) -> tuple[list[Path], list[str]]:
    """Returns the images among files and in folders, without those of an output folder, and others that are left out.
    Files that are named one by one count as images."""
    found, unusable = [], []
    listing = FileListing(str(top), lambda name: open(top / name, "rb"))
    for path in paths:
        if path.is_dir():
            images, left_out = _images_in(path, output_dir)
            found += images
            unusable += left_out
        elif is_pattern and not _is_output(path, top, output_dir):
            listing.add(path.relative_to(top).as_posix())
        elif not is_pattern:
            found.append(path)
    found += [top / name for name in listing.images]
    return found, unusable + _reasons(listing)


def _videos_of(top: Path, paths: list[Path], output_dir: Path, is_pattern: bool) -> tuple[list[Path], list[str]]:
    """Returns the videos as [`_images_of`] does, and nothing that is left out."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = output_dir.resolve()
            found += [
                video
                for video in sorted(path.rglob("*"))
                if _is_video(video)
                and not any(part.startswith(".") for part in video.relative_to(path).parts)
                and (inside == path.resolve() or not video.resolve().is_relative_to(inside))
            ]
        elif not is_pattern or _is_video(path) and not _is_output(path, top, output_dir):
            found.append(path)
    return found, []


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _is_output(path: Path, top: Path, output_dir: Path) -> bool:
    """Returns whether a file of a pattern lies in a folder that this command wrote, or is going to write, below the fixed
    part of the pattern: as in a folder that is searched."""
    folders = [parent for parent in path.parents if parent != top and parent.is_relative_to(top)]
    return any(parent.resolve() == output_dir.resolve() or (parent / UPSCALING_FILE).exists() for parent in folders)


def _images_in(folder: Path, output_dir: Path) -> tuple[list[Path], list[str]]:
    listing = list_folder(folder)
    for line in [*listing.describe_unusable(), *listing.describe_others()]:
        logger.info(f"{folder}: {line}")
    inside = output_dir.resolve()
    others = [folder / name for name in listing.images]
    if inside != folder.resolve():
        others = [path for path in others if not path.resolve().is_relative_to(inside)]
    return others, _reasons(listing)


def _reasons(listing: FileListing) -> list[str]:
    return [
        f"{Path(listing.source) / name} ({reason})"
        for reason, names in listing.unusable.items()
        for name in names
        if not any(part.startswith(".") for part in Path(name).parts)  # hidden on purpose
    ]


def check_results(
    results: Mapping[Path, Path], replaceable: Collection[Path], sources: Iterable[Path], overwrite: bool
) -> None:
    r"""
    Checks that results replace no source, and nothing else without being told.

    Args:
        results (`Mapping[Path, Path]`):
            Source of each result that is going to be made.
        replaceable (`Collection[Path]`):
            Results that do not exist, or that earlier calls made.
        sources (`Iterable[Path]`):
            All sources.
        overwrite (`bool`):
            Whether other files may be replaced.

    Raises:
        ValueError: if a file would be replaced.
    """
    # Also under another name: links, or upper and lower case on a disk that does not tell them apart.
    identities = {_identity(path): path for path in sources if path.exists()}
    for result, source in results.items():
        if result.exists() and _identity(result) in identities:
            raise ValueError(
                f"`output_dir={result.parent}` contains the input {identities[_identity(result)]}, which would be"
                f" overwritten by the result of {source}. Use another folder, or `suffix=_large`."
            )
        if result not in replaceable and (not overwrite or result.is_dir()):
            raise ValueError(
                f"`output_dir={result.parent}` contains {result}, which this command did not make and would overwrite."
                " Use another folder, `suffix` or `overwrite`."
            )


def _identity(path: Path) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_dev, stat.st_ino
