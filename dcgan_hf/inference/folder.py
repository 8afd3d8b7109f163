# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Output folders of commands that can be interrupted and repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL.Image

from ..files import remove_parts
from ..folder_lock import alone_in
from ..model_folder import read_json, write_json
from ..pictures import save_picture
from ..processes import is_main_process, wait_for_everyone


@contextmanager
def claimed_folder(folder: Path, settings_name: str, settings: dict[str, Any]) -> Iterator[None]:
    r"""
    Context manager that holds a folder for images: creates it, or checks that its images were made with the same
    settings. Must be called by all processes.

    Args:
        folder (`Path`):
            The folder.
        settings_name (`str`):
            File in the folder that records the settings of its images.
        settings (`dict[str, Any]`):
            Current settings.

    Raises:
        ValueError: if the images in the folder were made with other settings, or if another command is writing there.
    """
    with alone_in(folder):
        _check_settings(folder, settings_name, read_json(folder / settings_name), settings)
        wait_for_everyone()
        if is_main_process():
            remove_parts(folder)
            write_json(settings, folder / settings_name)
        wait_for_everyone()
        yield


def save_image(image: PIL.Image.Image, path: Path) -> None:
    """Writes an image file: complete, or not at all. Does not wait for the disk, because [`is_image`] finds what a power
    cut leaves."""
    save_picture(image, path, durable=False)


def _check_settings(folder: Path, settings_name: str, there: dict[str, Any], settings: dict[str, Any]) -> None:
    changed = [name for name, value in settings.items() if there and there.get(name) != value]
    if "weights" in changed:
        raise ValueError(
            f"`output_dir={folder}` contains images of another model. Use another folder, or delete those images and"
            f" {settings_name}."
        )
    if changed:
        before, now = ({name: values.get(name) for name in changed} for values in (there, settings))
        raise ValueError(
            f"`output_dir={folder}` contains images made with {before}, but the settings are now {now}. Use another"
            f" folder, or delete those images and {settings_name}."
        )
