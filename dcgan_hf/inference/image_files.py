# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Image files to upscale: finding, reading and writing them."""

import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import PIL.Image

from ..data.bad_images import reason_of
from ..data.file_listing import list_folder
from ..image_processing_dcgan import convert_channels, sixteen_bit_pixels
from ..pipeline_dcgan_super_resolution import to_srgb
from .folder import save_image


logger = logging.getLogger(__name__)

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_MAX_SIDES = {".jpg": 65_500, ".webp": 16_383}  # of the formats


class UnsuitableImageError(ValueError):
    """Raised for a file that cannot be upscaled. The message names it."""


def find_images(
    inputs: Iterable[str | Path], output_dir: Path, suffix: str, own_files: Collection[Path]
) -> tuple[dict[Path, Path], list[str]]:
    r"""
    Finds the images in files and folders.

    Args:
        inputs (`Iterable[str | Path]`):
            Image files and folders.
        output_dir (`Path`):
            Folder of the upscaled images.
        suffix (`str`):
            Suffix of the upscaled images.
        own_files (`Collection[Path]`):
            Results and records of earlier calls, which are not inputs.

    Returns:
        `tuple[dict[Path, Path], list[str]]`: source of each upscaled image, and image files that are left out, with
        the reasons.

    Raises:
        ValueError: if an input does not exist or has no images, or if two of them would be written to the same file.
    """
    targets: dict[Path, Path] = {}
    unusable: list[str] = []
    results = {path.resolve() for path in own_files}
    num_skipped = 0
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise ValueError(f"`inputs={path}`: no such file or folder.")
        found, left_out = _images_in(path, output_dir) if path.is_dir() else ([path], [])
        unusable += left_out
        if not found:
            raise ValueError(f"`inputs={path}`: the folder contains no images{left_out and f': {left_out[0]}' or ''}.")
        for small in found:
            if small.resolve() in results:
                num_skipped += 1
                continue
            place = small.relative_to(path) if path.is_dir() else Path(small.name)
            large = output_dir / place.with_suffix(suffix)
            if large.absolute() == small.absolute():
                raise ValueError(f"`output_dir={output_dir}` contains the input {small}, which would be overwritten.")
            if targets.setdefault(large, small) != small:
                raise ValueError(f"`inputs`: {targets[large]} and {small} would both be written to {large}.")
    if num_skipped:
        logger.info(f"{num_skipped:,} files in {output_dir} are results of earlier calls, and are not upscaled again.")
    if not targets:
        raise ValueError(f"`inputs`: all files are results of earlier calls in `output_dir={output_dir}`.")
    return targets, unusable


def _images_in(folder: Path, output_dir: Path) -> tuple[list[Path], list[str]]:
    """Returns the images of a folder, without those of an output folder in it, and others that are left out."""
    listing = list_folder(folder)
    for line in [*listing.describe_unusable(), *listing.describe_others()]:
        logger.info(f"{folder}: {line}")
    inside = output_dir.resolve()
    others = [folder / name for name in listing.images]
    if inside != folder.resolve():
        others = [path for path in others if not path.resolve().is_relative_to(inside)]
    unusable = [
        f"{folder / name} ({reason})"
        for reason, names in listing.unusable.items()
        for name in names
        if not any(part.startswith(".") for part in Path(name).parts)  # hidden on purpose
    ]
    return others, unusable


def read_image(small: Path, large: Path, num_channels: int, scale_factor: int) -> PIL.Image.Image:
    r"""
    Reads an image to upscale. Logs what will be lost.

    Args:
        small (`Path`):
            File to read.
        large (`Path`):
            File of the upscaled image.
        num_channels (`int`):
            Number of channels of the model.
        scale_factor (`int`):
            Scale factor of the model.

    Raises:
        UnsuitableImageError: if the image cannot be read, or cannot be upscaled and saved.
    """
    try:
        with PIL.Image.open(small) as image:
            has_colors = image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")
            if image.mode == "F":
                raise ValueError(f"float pixels cannot be saved as {large.suffix}")
            if has_colors and num_channels == 1:
                raise ValueError("colour image, but the model upscales only grey images")
            side = scale_factor * max(image.size)
            if side > _MAX_SIDES.get(large.suffix, side):
                raise ValueError(f"{side} pixels are too many for {large.suffix}, use `image_format=png`")
            lost = _losses(image)
            if image.mode.startswith("I"):
                sixteen_bit_pixels(image)
            copy = image.copy()
    except Exception as error:  # whatever Pillow raises for damaged files
        raise UnsuitableImageError(f"{small} ({reason_of(error)})") from error
    for loss in lost:
        logger.warning(f"{small}: {loss}")
    return copy


def _losses(image: PIL.Image.Image) -> list[str]:
    """Returns what an opened image has and the upscaled image will not have."""
    losses = []
    num_frames = getattr(image, "n_frames", 1)  # only some formats have it
    if num_frames > 1 and image.format != "MPO":  # photographs of phones with a preview
        losses.append(f"only the first of {num_frames} frames is upscaled")
    if image.mode.startswith("I"):
        if "transparency" in image.info:
            losses.append("8 of its 16 bits are kept, because of its transparency")
    elif ";16" in str(getattr(image, "tile", "")):  # how Pillow is going to decode it
        losses.append("Pillow reads 8 of its 16 bits per channel")
    if image.mode == "CMYK":
        losses.append(f"its CMYK colours become {'sRGB' if 'icc_profile' in image.info else 'RGB without a profile'}")
    return losses


def write_image(image: PIL.Image.Image, path: Path) -> None:
    """Writes an upscaled image with its colour profile and resolution, in the format of the suffix: transparent pixels
    in JPEG on white, as in training, and 16 bits in JPEG and WebP as 8."""
    info = image.info
    if path.suffix != ".png" and image.mode.startswith("I"):
        image = convert_channels(image, 1)
    if path.suffix == ".jpg" and image.mode in ("LA", "RGBA"):
        image = convert_channels(image, len(image.mode) - 1)
    image.info = info
    if path.suffix == ".webp" and image.mode in ("L", "LA") and "icc_profile" in info:
        # WebP has no grey images, which the profile describes.
        colors = to_srgb(image.convert("L"))
        if image.mode == "LA":
            colors.putalpha(image.getchannel("A"))
        image = colors
    save_image(image, path)
