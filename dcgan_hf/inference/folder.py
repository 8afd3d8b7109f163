# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Output folders of commands that can be interrupted and repeated."""

import os
from pathlib import Path
from typing import Any

import PIL.Image

from ..model_folder import read_json, write_json
from ..processes import is_main_process, wait_for_everyone


def claim_folder(folder: Path, settings_name: str, settings: dict[str, Any]) -> None:
    r"""
    Creates a folder for images, or checks that its images were made with the same settings. Must be called by all
    processes.

    Args:
        folder (`Path`):
            The folder.
        settings_name (`str`):
            File in the folder that records the settings of its images.
        settings (`dict[str, Any]`):
            Current settings.

    Raises:
        ValueError: if the images in the folder were made with other settings.
    """
    there = read_json(folder / settings_name)
    changed = [name for name, value in settings.items() if there and there.get(name) != value]
    if "weights" in changed:
        raise ValueError(
            f"`output_dir={folder}` contains images of another model. Use another folder, or delete this one."
        )
    if changed:
        before, now = ({name: values.get(name) for name in changed} for values in (there, settings))
        raise ValueError(
            f"`output_dir={folder}` contains images made with {before}, but the settings are now {now}. Use another"
            " folder, or delete this one."
        )
    wait_for_everyone()
    if is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(settings, folder / settings_name)
    wait_for_everyone()


def save_image(image: PIL.Image.Image, path: Path, image_format: str = "png") -> None:
    """Writes an image file atomically, with the colour profile and the resolution in `image.info`: it is either complete
    or missing."""
    part = path.with_suffix(".part")
    kept = {name: image.info[name] for name in ("icc_profile", "dpi") if name in image.info}
    image.save(part, format=image_format, **kept)
    os.replace(part, path)
