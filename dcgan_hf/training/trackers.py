# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Logs of a run: a JSONL file that needs no service, and images for the other trackers."""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, on_main_process

from ..files import naming_a_full_disk, write_text
from ..model_folder import PROJECT


logger = logging.getLogger(__name__)


class JSONLTracker(GeneralTracker):
    r"""
    Accelerate tracker that appends one JSON object per call to a file.

    Args:
        path (`Path`):
            The file.
        resume_step (`int`):
            Last step to keep of an existing file. Entries that a killed run logged after its last checkpoint are
            dropped, because the resumed run logs them again.
    """

    name = "jsonl"
    requires_logging_directory = False

    def __init__(self, path: Path, resume_step: int):
        super().__init__()
        self.path = path
        self.resume_step = resume_step

    @property
    def tracker(self) -> Path:
        return self.path

    @on_main_process
    def start(self) -> None:
        kept = [entry for entry in read_log(self.path) if entry["step"] <= self.resume_step]
        write_text("".join(json.dumps(entry) + "\n" for entry in kept), self.path)

    @on_main_process
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Does nothing: the arguments are in `training_args.json`."""

    @on_main_process
    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        with naming_a_full_disk(self.path), self.path.open("a") as file:
            file.write(json.dumps({"step": step} | values) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Returns the entries of a JSONL log, if it exists, without those that are incomplete: the last one while it is
    being written, and any that a kill or a full disk has cut off."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if isinstance(entry, dict) and "step" in entry:
            entries.append(entry)
        elif number < len(lines):
            logger.warning(f"{path}: line {number} is damaged and is left out.")
    return entries


def start_trackers(accelerator: Accelerator, arguments: dict[str, Any]) -> None:
    """Starts the trackers of a run, with those of its arguments that trackers accept."""
    plain = {name: value for name, value in arguments.items() if isinstance(value, bool | int | float | str)}
    accelerator.init_trackers(PROJECT, plain)


def log_image(trackers: list[GeneralTracker], name: str, image: PIL.Image.Image, step: int) -> None:
    """Sends an image to the trackers that display images."""
    for tracker in trackers:
        if tracker.name == "tensorboard":
            tracker.log_images({name: np.asarray(image.convert("RGB"))[None]}, step=step, dataformats="NHWC")
        elif tracker.name == "wandb":
            tracker.log_images({name: [image]}, step=step)
        elif tracker.name == "trackio":
            import trackio

            tracker.log({name: trackio.Image(np.asarray(image.convert("RGB")))}, step=step)


def check_tracker(report_to: str) -> None:
    """Raises a `ValueError` if a tracker is not installed. (Accelerate would only warn, and log nothing.)"""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        raise ValueError(f"`report_to={report_to}` needs a package that is not installed: `pip install {report_to}`.")
