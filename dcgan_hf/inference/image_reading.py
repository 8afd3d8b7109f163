# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Photographs to upscale: a first look, which plans the result, and reading."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image

from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from ..data.bad_images import reason_of
from ..data.file_listing import CAN_READ_HEIC, HEIC, is_heic
from ..image_processing_dcgan import orientation_of, sixteen_bit_pixels, to_srgb, turn_upright
from .arguments import UpscalingArguments
from .image_formats import MAX_SIDES, encoding_of, format_of_result
from .metadata import Metadata, read_metadata
from .output_size import SizePlan, plan_size
from .video_files import VIDEO_SUFFIXES


_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


class UnsuitableImageError(ValueError):
    """Raised for a file that cannot be upscaled. The message names it."""


@dataclass
class Plan:
    """
    Plan of a result, made at a first look at its source.

    Args:
        file_format (`str`):
            Pillow's name of the result's format.
        size ([`SizePlan`]):
            Its size.
        source_pixels (`int`):
            Number of pixels of the source.
        losses (`list[str]`):
            What the source has and the result will not have.
    """

    file_format: str
    size: SizePlan
    source_pixels: int
    losses: list[str]


@dataclass
class FileFacts:
    """
    Facts of an image's file besides its pixels.

    Args:
        metadata ([`Metadata`]):
            EXIF, texts and the like.
        encoding (`dict[str, Any]`):
            Pillow's options for the pixels of the result.
    """

    metadata: Metadata
    encoding: dict[str, Any]


def plan_image(
    source: Path | BytesIO, name: str, config: DCGANSuperResolutionConfig, args: UpscalingArguments
) -> Plan:
    r"""
    Plans the result of an image without decoding its pixels.

    Args:
        source (`Path` or `BytesIO`):
            File.
        name (`str`):
            Name of the file in messages.
        config ([`DCGANSuperResolutionConfig`]):
            The network.
        args ([`UpscalingArguments`]):
            Format and size of the result.

    Raises:
        UnsuitableImageError: if the file is not an image, or cannot be upscaled and saved.
    """
    try:
        with PIL.Image.open(source) as image:
            file_format = format_of_result(image, args.image_format)
            has_colors = image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")
            if image.mode == "F":
                raise ValueError(f"float pixels cannot be saved as {file_format}")
            if has_colors and config.num_channels == 1:
                raise ValueError("colour image, but the model upscales only grey images")
            losses = _losses(image, file_format, args)
            # Pillow turns TIFF files by itself. In a PNG, it would decode all pixels to look for EXIF behind them.
            has_exif = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
            is_sideways = has_exif and orientation_of(image) in _SIDEWAYS
            size = plan_size(image.size[::-1] if is_sideways else image.size, config.scale_factor, args)
            side = max(size.size)
            if side > MAX_SIDES.get(file_format, side):
                raise ValueError(f"{side} pixels are too many for {file_format}, use `image_format=png`")
            return Plan(file_format, size, image.width * image.height, losses)
    except Exception as error:  # whatever Pillow raises for damaged files
        raise UnsuitableImageError(f"{name} ({_reason(error, source)})") from error


def _reason(error: Exception, source: Path | BytesIO) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):
        head = source.getvalue()[:12] if isinstance(source, BytesIO) else source.open("rb").read(12)
        if not head:
            return "it is empty"
        if is_heic(head) and not CAN_READ_HEIC:
            return HEIC
        if isinstance(source, Path) and source.suffix.lower() in VIDEO_SUFFIXES:
            return "videos need `video`"
    if isinstance(error, OSError) and error.strerror:  # without the name, which is given
        return error.strerror
    return reason_of(error)


def _losses(image: PIL.Image.Image, file_format: str, args: UpscalingArguments) -> list[str]:
    """Returns what an opened image has and the upscaled image will not have."""
    losses = []
    num_frames = getattr(image, "n_frames", 1)  # only some formats have it
    if num_frames > 1 and image.format != "MPO":  # photographs of phones with a preview
        losses.append(f"only the first of {num_frames} frames is upscaled")
    if image.mode.startswith("I"):
        if "transparency" in image.info:
            losses.append("8 of its 16 bits are kept, because of its transparency")
        elif file_format not in ("PNG", "TIFF"):
            losses.append(f"8 of its 16 bits are kept, because {file_format} holds no more")
    elif ";16" in str(getattr(image, "tile", "")):  # how Pillow is going to decode it
        losses.append("Pillow reads 8 of its 16 bits per channel")
    if image.mode == "CMYK":
        losses.append(f"its CMYK colours become {'sRGB' if 'icc_profile' in image.info else 'RGB without a profile'}")
    if args.image_format == "same" and file_format != {"MPO": "JPEG"}.get(str(image.format), image.format):
        losses.append(f"the result is a PNG, because it cannot be saved as {image.format}")
    if file_format == "JPEG" and image.has_transparency_data:
        losses.append("its transparent parts become white, because JPEG has no opacity")
    return losses


def read_image(source: Path | BytesIO, name: str, file_format: str) -> tuple[PIL.Image.Image, FileFacts]:
    r"""
    Reads an image to upscale.

    Args:
        source (`Path` or `BytesIO`):
            File.
        name (`str`):
            Name of the file in messages.
        file_format (`str`):
            Pillow's name of the result's format.

    Returns:
        `tuple[PIL.Image.Image, FileFacts]`: the image, upright and in mode L, LA, RGB, RGBA or I;16, and what else its
        file says.

    Raises:
        UnsuitableImageError: if the file cannot be read.
    """
    try:
        with PIL.Image.open(source) as image:
            image.load()
            metadata = read_metadata(image)
            with BytesIO(source.getvalue()) if isinstance(source, BytesIO) else source.open("rb") as file:
                encoding = encoding_of(image, file_format, file)
            return _plain(image), FileFacts(metadata, encoding)
    except Exception as error:  # whatever Pillow raises for damaged files
        raise UnsuitableImageError(f"{name} ({_reason(error, source)})") from error


def _plain(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an image upright and in a mode that a result can have. Its `info` holds what the pipeline needs."""
    orientation, has_alpha = orientation_of(image), image.has_transparency_data
    kept = ("dpi", "icc_profile", "transparency")
    # Without EXIF, which `turn_upright` would decode and encode again.
    info: dict[Any, Any] = {name: image.info[name] for name in kept if name in image.info}
    image.info = info
    plain = turn_upright(image)
    if "dpi" in info and orientation in _SIDEWAYS:
        info["dpi"] = info["dpi"][::-1]
    if image.mode.startswith("I"):
        plain = PIL.Image.fromarray(sixteen_bit_pixels(plain))
        plain.info = info
        return plain
    if image.mode == "CMYK" and "icc_profile" in info:
        plain = to_srgb(plain)
        info["icc_profile"] = plain.info["icc_profile"]
    mode = ("L" if image.mode in ("1", "L", "LA", "La") else "RGB") + ("A" if has_alpha else "")
    plain = plain if plain.mode == mode else plain.convert(mode)
    info.pop("transparency", None)  # now in the channels
    plain.info = info
    return plain
