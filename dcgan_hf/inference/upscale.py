# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Upscaling of image files and folders, on one process or several."""

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
from tqdm.auto import tqdm

from ..files import flush, write_text
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, gather, is_main_process, num_processes, process_index, wait_for_everyone
from .arguments import UpscalingArguments
from .folder import claimed_folder, is_made, save_image
from .pipelines import quiet, weights_fingerprint


logger = logging.getLogger(__name__)

SETTINGS_FILE = "upscaling_args.json"
_RECORD = "upscaled-{}.jsonl"  # one per process: the source of each upscaled image
_SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


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
            Files that cannot be read, with the reason.
    """

    folder: Path
    num_images: int
    num_made: int
    unreadable: list[str]


def upscale(pipe: DCGANSuperResolutionPipeline, inputs: Iterable[str | Path], args: UpscalingArguments) -> Upscaled:
    r"""
    Upscales files, and all images in folders and their subfolders. An existing result is kept unless its source has
    changed, so an interrupted call can be repeated and resumes where it stopped. Unreadable files are skipped.

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
            if the folder contains images made with other settings.

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
    targets = _find_targets(inputs, folder, _SUFFIXES[args.image_format])
    settings = {
        "weights": weights_fingerprint(pipe.generator),
        "image_format": args.image_format,
        "dtype": str(pipe.generator.dtype).removeprefix("torch."),
    }
    made = _made_before(folder)
    for large in targets:
        if large.exists() and large not in made:
            raise ValueError(
                f"`output_dir={folder}` contains {large}, which this command did not create and would overwrite."
            )
    with claimed_folder(folder, SETTINGS_FILE, settings):
        return _upscale_missing(pipe, targets, made, args)


def _upscale_missing(
    pipe: DCGANSuperResolutionPipeline, targets: dict[Path, Path], made: dict[Path, list], args: UpscalingArguments
) -> Upscaled:
    """Makes the images that are missing or whose source has changed."""
    folder = Path(args.output_dir)
    _join_records(folder, made)
    missing = [
        (small, large) for large, small in targets.items() if not (made.get(large) == _state(small) and is_made(large))
    ]
    own = missing[process_index() :: num_processes()]
    unreadable: list[str] = []
    progress_bar = tqdm(total=len(targets), initial=len(targets) - len(missing), unit="img", **bar_options())
    enlarging = quiet(pipe)
    record = folder / _RECORD.format(process_index())
    with ThreadPoolExecutor(4) as pool, record.open("a") as record_file:
        for start in range(0, len(own), args.batch_size):
            chunk = own[start : start + args.batch_size]
            opened = pool.map(partial(_read, num_channels=pipe.generator.config.num_channels), chunk)
            read: list[tuple[PIL.Image.Image, Path]] = []
            for image, large in opened:
                if isinstance(image, str):
                    logger.warning(f"Skipping a file that cannot be read: {image}")
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
                list(pool.map(_write, images, [large for _, large in read]))
            progress_bar.update(min(len(chunk) * num_processes(), len(targets) - progress_bar.n))
    progress_bar.close()
    unreadable = gather(unreadable)
    return Upscaled(folder, len(targets) - len(unreadable), len(missing) - len(unreadable), unreadable)


def _find_targets(inputs: Iterable[str | Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Returns the source of each upscaled image."""
    targets: dict[Path, Path] = {}
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise ValueError(f"`inputs={path}`: no such file or folder.")
        found = list(_images_in(path, folder)) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"`inputs={path}`: the folder contains no images.")
        for small in found:
            place = small.relative_to(path) if path.is_dir() else Path(small.name)
            large = folder / place.with_suffix(suffix)
            if large.absolute() == small.absolute():
                raise ValueError(f"`output_dir={folder}` contains the input {small}, which would be overwritten.")
            if targets.setdefault(large, small) != small:
                raise ValueError(f"`inputs`: {targets[large]} and {small} would both be written to {large}.")
    return targets


def _images_in(folder: Path, output_dir: Path) -> Iterator[Path]:
    suffixes = {suffix for suffix, format in PIL.Image.registered_extensions().items() if format in PIL.Image.OPEN}
    for path in sorted(folder.rglob("*")):
        # Results of an earlier call in the same folder are not inputs.
        is_result = output_dir.resolve() != folder.resolve() and path.resolve().is_relative_to(output_dir.resolve())
        if path.suffix.lower() in suffixes and path.is_file() and not is_result and not path.name.startswith("."):
            yield path


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


def _read(pair: tuple[Path, Path], num_channels: int) -> tuple[PIL.Image.Image | str, Path]:
    """Returns a source image, or the reason why it cannot be read, and the path of its upscaled image."""
    small, large = pair
    try:
        with PIL.Image.open(small) as image:
            has_colors = image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")
            if image.mode == "F":
                return f"{small} (float pixels cannot be saved as {large.suffix})", large
            if has_colors and num_channels == 1:
                return f"{small} (colour image, but the model upscales only grey images)", large
            return PIL.ImageOps.exif_transpose(image).copy(), large
    except Exception as error:  # whatever Pillow raises for damaged files
        return f"{small} ({error})", large


def _write(image: PIL.Image.Image, path: Path) -> None:
    if path.suffix != ".png":
        if image.mode.startswith("I"):  # 16 bits
            image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode in ("LA", "RGBA") and path.suffix == ".jpg":  # composited on white, as in training
            opaque = PIL.Image.new("RGB", image.size, "white")
            opaque.paste(image.convert("RGBA"), mask=image.getchannel("A"))
            image = opaque
    save_image(image, path)
