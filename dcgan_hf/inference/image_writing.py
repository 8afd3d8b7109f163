# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Writing of upscaled photographs with the metadata of their sources."""

import logging
from pathlib import Path
from typing import Any

import PIL.Image

from ..files import DiskFullError
from ..pictures import write_picture
from .image_formats import fit_to_format
from .image_reading import FileFacts
from .metadata import of_result, save_options


logger = logging.getLogger(__name__)


def ready_to_save(
    image: PIL.Image.Image, facts: FileFacts, file_format: str, name: str
) -> tuple[PIL.Image.Image, dict[str, Any]]:
    r"""
    Converts a result to what its format holds. Logs which metadata are lost.

    Args:
        image (`PIL.Image.Image`):
            The result.
        facts ([`FileFacts`]):
            What its source's file says besides pixels.
        file_format (`str`):
            Pillow's name of the result's format.
        name (`str`):
            Name of the source, for messages.

    Returns:
        `tuple[PIL.Image.Image, dict[str, Any]]`: the image, and Pillow's options to save it.
    """
    metadata, damaged = of_result(facts.metadata, image.size)
    options, lost = save_options(metadata, file_format)
    for loss in damaged + lost:
        logger.warning(f"{name}: {loss}")
    return fit_to_format(image, file_format), facts.encoding | options


def write_image(image: PIL.Image.Image, facts: FileFacts, path: Path, file_format: str, name: str) -> str | None:
    r"""
    Replaces a file with a result: completely, or not at all. Does not wait for the disk, because [`is_image`] finds what
    a power cut leaves.

    Args:
        image, facts, file_format, name:
            See [`ready_to_save`].
        path (`Path`):
            The file.

    Returns:
        `str` or `None`: why this image cannot be saved in its format, or nothing if it has been.

    Raises:
        OSError: if the file cannot be written, such as on a full disk.
    """
    try:
        ready, options = ready_to_save(image, facts, file_format, name)
        write_picture(ready, path, file_format, durable=False, **options)
    except DiskFullError:
        raise
    except Exception as error:  # Pillow raises many types for unusual metadata
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(f"{path} could not be written: {error.strerror}.") from error
        return f"{name} (it cannot be saved as {file_format}: {error})"
    return None
