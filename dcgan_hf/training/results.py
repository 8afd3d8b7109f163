# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""What a run was: its data, how long it took on which machine, with which versions."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from huggingface_hub import DatasetCard

from ..data.datasets import ImageDataset
from ..hardware import describe_hardware
from ..model_folder import RESULTS_FILE, write_json
from .checkpointing import TrainerState


_LIBRARIES = ("dcgan-hf", "torch", "transformers", "diffusers", "accelerate", "datasets", "huggingface_hub")


def describe_dataset(image_dataset: ImageDataset, dataset_name: str, num_images: int | None) -> dict[str, Any]:
    r"""
    Facts about a data set for the model card. Those that are not known are left out.

    Args:
        image_dataset ([`ImageDataset`]):
            The data set.
        dataset_name (`str`):
            What the user called it. Of a path only the last part is told, because it goes out to the world.
        num_images (`int`, *optional*):
            Number of images, if it is known.
    """
    info = image_dataset.dataset.info
    hub_id = image_dataset.hub_id
    facts: dict[str, Any] = {
        "name": hub_id or Path(dataset_name).name,
        "hub_id": hub_id,
        "num_images": num_images,
        "license": info.license,
        "homepage": info.homepage,
        "class_names": image_dataset.class_names,
    }
    if hub_id is not None and not info.license:
        try:
            facts["license"] = DatasetCard.load(hub_id).data.license
        except OSError:  # it has no card, or the Hub is not in reach
            pass
    return {name: value for name, value in facts.items() if value}


def write_results(
    output_dir: Path,
    accelerator: Accelerator,
    state: TrainerState,
    dataset: dict[str, Any],
    num_images_seen: int,
    statistics: dict[str, float],
    best_step: int | None = None,
) -> None:
    r"""
    Writes what the model card tells about a run to `training_results.json`.

    Args:
        output_dir (`Path`):
            Folder of the run.
        accelerator (`Accelerator`):
            Knows the machine.
        state ([`TrainerState`]):
            How far the run went.
        dataset (`dict[str, Any]`):
            See [`describe_dataset`].
        num_images_seen (`int`):
            Number of images used, each time counted.
        statistics (`dict[str, float]`):
            Means of the last interval of the log.
        best_step (`int`, *optional*):
            Step of the model that is saved, if it is not the last one.
    """
    results = {
        "steps": state.step,
        "best_step": best_step,
        "epochs": state.epoch,
        "num_images_seen": num_images_seen,
        "seconds": round(state.seconds, 1),
        "images_per_second": num_images_seen / state.seconds,
        "hardware": describe_hardware(accelerator),
        "mixed_precision": accelerator.mixed_precision,
        "dataset": dataset,
        "statistics": statistics,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    write_json(results, output_dir / RESULTS_FILE)
