# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Folders of images that a command fills, which it can be stopped in and repeated."""

import os
from pathlib import Path
from typing import Any

import PIL.Image

from ..model_folder import read_json, write_json
from ..processes import is_main_process, wait_for_everyone


def claim_folder(folder: Path, settings_name: str, settings: dict[str, Any]) -> None:
    r"""
    Makes a folder for images, or makes sure that those in it were made in the same way. To be called by all processes.

    Args:
        folder (`Path`):
            The folder.
        settings_name (`str`):
            File in it that tells how its images were made.
        settings (`dict[str, Any]`):
            How they are made now.

    Raises:
        ValueError: if they were made in another way.
    """
    there = read_json(folder / settings_name)
    changed = [name for name, value in settings.items() if there and there.get(name) != value]
    if "weights" in changed:
        raise ValueError(
            f"`output_dir={folder}` holds images made with another model: choose another folder, or delete it."
        )
    if changed:
        before, now = ({name: values.get(name) for name in changed} for values in (there, settings))
        raise ValueError(f"`output_dir={folder}` holds images made with {before}, now it is {now}.")
    wait_for_everyone()
    if is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(settings, folder / settings_name)
    wait_for_everyone()


def save_image(image: PIL.Image.Image, path: Path, image_format: str = "png") -> None:
    """Writes a file that is either complete or not there."""
    part = path.with_suffix(".part")
    image.save(part, format=image_format)
    os.replace(part, path)
