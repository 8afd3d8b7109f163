# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Upscaling of image files and folders, on one process or several."""

import json
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import PIL.Image
from tqdm.auto import tqdm

from ..files import flush, write_text
from ..model_folder import UPSCALING_FILE
from ..pictures import is_image
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, gather, is_main_process, num_processes, process_index, wait_for_everyone
from .arguments import UpscalingArguments
from .folder import claimed_folder
from .image_files import SUFFIXES, UnsuitableImageError, find_images, read_image, write_image
from .pipelines import quiet, weights_fingerprint


logger = logging.getLogger(__name__)

_RECORD = "upscaled-{}.jsonl"  # one per process: the source of each upscaled image


@dataclass
class Upscaled:
    """
    Result of [`upscale`].

    Args:
        folder (`Path`):
            Folder of the upscaled images.
        num_images (`int`):
            Number of upscaled images for the given inputs.
        num_made (`int`):
            Number of those that are new.
        unreadable (`list[str]`):
            Files that cannot be read, or neither upscaled nor saved, with the reason.
    """

    folder: Path
    num_images: int
    num_made: int
    unreadable: list[str]


def upscale(pipe: DCGANSuperResolutionPipeline, inputs: Iterable[str | Path], args: UpscalingArguments) -> Upscaled:
    r"""
    Upscales files, and all images in folders and their subfolders. An existing result is kept unless its source has
    changed, so an interrupted call can be repeated and resumes where it stopped. Unreadable files are skipped. Colour
    profile and resolution are handed on. Results of earlier calls in the same folder are not upscaled again.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        inputs (`Iterable[str | Path]`):
            Image files and folders. Files in a folder keep their relative paths.
        args ([`UpscalingArguments`]):
            Folder and format of the upscaled images, tile size and batch size.

    Returns:
        [`Upscaled`]: the folder, the number of images, and the files that were skipped.

    Raises:
        ValueError: if an input does not exist or has no images, if two of them would be written to the same file, or
            if the folder contains images made with other settings, or by somebody else.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionPipeline
    >>> from dcgan_hf.inference.arguments import UpscalingArguments
    >>> from dcgan_hf.inference.upscale import upscale

    >>> pipe = DCGANSuperResolutionPipeline.from_pretrained("dcgan-photos-x2")
    >>> upscale(pipe, ["photo.jpg", "holidays"], UpscalingArguments(output_dir="large"))
    ```
    """
    folder = Path(args.output_dir)
    made = _made_before(folder)
    own_files = [*made, folder / UPSCALING_FILE, *folder.glob(_RECORD.format("*"))]
    targets, unusable = find_images(inputs, folder, SUFFIXES[args.image_format], own_files)
    settings = {
        "weights": weights_fingerprint(pipe.generator),
        "image_format": args.image_format,
        "dtype": str(pipe.generator.dtype).removeprefix("torch."),
    }
    for large in targets:
        if large.exists() and large not in made:
            raise ValueError(
                f"`output_dir={folder}` contains {large}, which this command did not create and would overwrite."
            )
    with claimed_folder(folder, UPSCALING_FILE, settings):
        done = _upscale_missing(pipe, targets, made, args)
    return replace(done, unreadable=[*unusable, *done.unreadable])


def _upscale_missing(
    pipe: DCGANSuperResolutionPipeline, targets: dict[Path, Path], made: dict[Path, list], args: UpscalingArguments
) -> Upscaled:
    """Makes the images that are missing or whose source has changed."""
    folder = Path(args.output_dir)
    _join_records(folder, made)
    missing = [
        (small, large)
        for large, small in targets.items()
        if not (made.get(large) == _state(small) and is_image(large))
    ]
    own = missing[process_index() :: num_processes()]
    unreadable: list[str] = []
    progress_bar = tqdm(total=len(targets), initial=len(targets) - len(missing), unit="img", **bar_options())
    enlarging, config = quiet(pipe), pipe.generator.config
    record = folder / _RECORD.format(process_index())
    with ThreadPoolExecutor(4) as pool, record.open("a") as record_file:
        for start in range(0, len(own), args.batch_size):
            chunk = own[start : start + args.batch_size]
            opened = pool.map(
                partial(_read, num_channels=config.num_channels, scale_factor=config.scale_factor), chunk
            )
            read: list[tuple[PIL.Image.Image, Path]] = []
            for image, (_, large) in zip(opened, chunk):
                if isinstance(image, str):
                    logger.warning(f"Skipped: {image}")
                    unreadable.append(image)
                else:
                    read.append((image, large))
            if read:
                images = enlarging([small for small, _ in read], args.tile_size, return_dict=False)[0]
                for _, large in read:
                    if large.exists():  # damaged, or made from another source
                        large.unlink()
                        flush(large.parent)
                    record_file.write(_record_line(folder, large, _state(targets[large])))
                record_file.flush()
                flush(record)  # an image without an entry would count as somebody else's
                list(pool.map(write_image, images, [large for _, large in read]))
            progress_bar.update(min(len(chunk) * num_processes(), len(targets) - progress_bar.n))
    progress_bar.close()
    unreadable = gather(unreadable)
    number = len(unreadable)
    return Upscaled(folder, len(targets) - number, len(missing) - number, unreadable)


def _state(small: Path) -> list:
    """Returns path, modification time and size of a source, to detect changes."""
    return [str(small.absolute()), small.stat().st_mtime_ns, small.stat().st_size]


def _made_before(folder: Path) -> dict[Path, list]:
    """Returns the state of the source of each image that earlier calls made, or were about to make when they ended."""
    made = {}
    # The joined record, of the first process, holds all older entries.
    for path in sorted(folder.glob(_RECORD.format("*"))):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):  # cut off by a kill or a full disk: the image is made again
                large, state = json.loads(line)
                made[folder / large] = state
    return made


def _join_records(folder: Path, made: dict[Path, list]) -> None:
    """Merges the records of earlier calls: the newest entry of an image comes last, whichever process wrote it."""
    if is_main_process():
        joined = folder / _RECORD.format(0)
        write_text("".join(_record_line(folder, large, state) for large, state in made.items()), joined)
        for path in folder.glob(_RECORD.format("*")):
            if path != joined:
                path.unlink()
    wait_for_everyone()


def _record_line(folder: Path, large: Path, state: list) -> str:
    return json.dumps([str(large.relative_to(folder)), state]) + "\n"


def _read(pair: tuple[Path, Path], num_channels: int, scale_factor: int) -> PIL.Image.Image | str:
    """Returns a source image, or the reason why it cannot be upscaled."""
    try:
        return read_image(*pair, num_channels, scale_factor)
    except UnsuitableImageError as error:
        return str(error)
