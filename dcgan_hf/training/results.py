# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Facts about a run for its model card: dataset, recipe, duration, hardware, versions."""

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import Accelerator
from huggingface_hub import DatasetCard

from ..configuration_attributes import labels_of
from ..data.datasets import ImageDataset
from ..flags import names_where
from ..hardware import describe_hardware
from ..model_folder import ARGUMENTS_FILE, RESULTS_FILE, read_json, read_results, write_json
from .arguments import TrainingArguments
from .checkpoint_files import read_state
from .checkpointing import TrainerState
from .generation_arguments import DCGANTrainingArguments
from .network_configs import NETWORK_ARGUMENTS
from .super_resolution_arguments import DCGANSuperResolutionTrainingArguments
from .task import Task


# Name of a parent that was never saved.
IN_MEMORY = "an in-memory pipeline"
_LIBRARIES = ("dcgan-hf", "torch", "transformers", "diffusers", "accelerate", "datasets", "huggingface_hub")


def describe_dataset(image_dataset: ImageDataset, dataset_name: str | None) -> dict[str, Any]:
    r"""
    Returns facts about a dataset for the model card. Unknown ones are omitted.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        dataset_name (`str`, *optional*):
            Its name or path, `None` for an in-memory dataset. Only the last component of a path is recorded: the value
            is published.
    """
    info = image_dataset.dataset.info
    hub_id = image_dataset.hub_id
    in_memory = isinstance(image_dataset.dataset, datasets.Dataset)
    facts: dict[str, Any] = {
        "name": hub_id or (_last_part(dataset_name) if dataset_name else info.dataset_name or "an in-memory dataset"),
        "hub_id": hub_id,
        "num_images": len(image_dataset.dataset) if in_memory else None,
        "license": info.license,
        "homepage": info.homepage,
        "class_names": image_dataset.class_names,
        "attributes": image_dataset.attributes,
    }
    if hub_id is not None and not info.license:
        try:
            facts["license"] = DatasetCard.load(hub_id).data.license
        except OSError:  # no card, or the Hub cannot be reached
            pass
    return {name: value for name, value in facts.items() if value}


def describe_parent(place: str | None) -> dict[str, str] | None:
    r"""
    Returns what the model card tells of the model that a run began with.

    Args:
        place (`str`, *optional*):
            Hub repository or absolute path of the parent, or `IN_MEMORY`. Only the last component of a path is recorded.
    """
    if place is None:
        return None
    return {"name": place, "hub_id": place} if _is_public(place) else {"name": _last_part(place)}


def _is_public(name: str) -> bool:
    """Returns whether a name is one of the Hub, or of the package, not that of a file."""
    return re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name) is not None and not Path(name).exists()


def _last_part(path: str) -> str:
    """Returns what is published of a path. The name of the home folder is often that of a person."""
    place = os.path.abspath(os.path.expanduser(path))
    name = "" if place == os.path.expanduser("~") else os.path.basename(place)
    return name or "a-local-folder"


def effective_arguments(
    args: TrainingArguments, accelerator: Accelerator, task: Task, num_steps: int
) -> dict[str, Any]:
    """Returns the arguments of a run, with those that were chosen by device and data and affect its result."""
    arguments = asdict(args)
    if args.num_epochs is None:
        arguments["max_train_steps"] = num_steps
    if "diff_augment" in arguments:
        arguments["diff_augment"] = task.augmentations or ["none"]
    return (
        arguments
        | {
            "mixed_precision": accelerator.mixed_precision,
            "device": accelerator.device.type,
            "num_cpu_threads": torch.get_num_threads(),
            "num_channels": task.num_channels,
            # A resumed run must end at the step where the learning rates reach 0.
            "lr_decay_steps": num_steps if args.lr_scheduler != "constant" else None,
        }
        | _data_of(task.image_dataset)
    )


def _data_of(image_dataset: ImageDataset) -> dict[str, Any]:
    """Returns the facts that show on resuming whether the data have changed: classes by id, and number of images."""
    dataset = image_dataset.dataset
    label = (dataset.features or {}).get("label")  # with the names of the dataset, not those that the user gives them
    classes = label.names if isinstance(label, datasets.ClassLabel) else image_dataset.class_names
    return {
        # Not a dictionary, because the order of the attributes matters, too.
        "classes": classes if image_dataset.attributes is None else [*labels_of(image_dataset.attributes).values()],
        "num_images": len(dataset) if isinstance(dataset, datasets.Dataset) else None,
    }


def kinds_on_resume(arguments_class: type, checkpoint: Path) -> tuple[set[str], set[str]]:
    r"""
    Returns the arguments that must be unchanged to resume from a checkpoint, and those that may change silently.

    Args:
        arguments_class (`type`):
            Class of the arguments.
        checkpoint (`Path`):
            The checkpoint. Earlier versions recorded no facts about the data.
    """
    fixed, free = (names_where(arguments_class, on_resume=kind) for kind in ("fixed", "free"))
    unknown = {"classes", "num_images", "convolutions"} - read_state(checkpoint)["arguments"].keys()
    return fixed | {"classes"}, free | unknown


def recipe_of(
    arguments_class: type, arguments: dict[str, Any], dataset_name: str | None, own_parts: Sequence[str] = ()
) -> dict[str, Any]:
    r"""
    Returns the publishable arguments of a run, as a recipe to reproduce it.

    Args:
        arguments_class (`type`):
            Class of the arguments.
        arguments (`dict[str, Any]`):
            Result of [`effective_arguments`].
        dataset_name (`str`, *optional*):
            Publishable name of the dataset, `None` for an in-memory dataset.
        own_parts (`Sequence[str]`, *optional*):
            Custom parts of the trainer, whose arguments had no effect.
    """
    # The number of updates overrides the number of epochs.
    left_out = {"num_epochs"} if arguments.get("max_train_steps") else set()
    for part in own_parts:
        left_out |= names_where(arguments_class, part=part)
    recipe = {} if dataset_name is None else {"dataset_name": dataset_name}
    for name, value in arguments.items():
        if name in left_out or value in (None, "{}"):
            continue
        if name in names_where(arguments_class, on_card=True):
            recipe[name] = json.loads(value) if name in NETWORK_ARGUMENTS else value
        elif name in names_where(arguments_class, on_card="name"):
            recipe[name] = value if _is_public(value) else _last_part(value)
    return recipe


def facts_of_start(
    image_dataset: ImageDataset,
    arguments_class: type,
    arguments: dict[str, Any],
    own_parts: Sequence[str],
    by_name: bool,
) -> dict[str, Any]:
    r"""
    Returns the facts for [`write_results`] that are known when a run begins.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        arguments_class (`type`):
            Class of the arguments.
        arguments (`dict[str, Any]`):
            Result of [`effective_arguments`].
        own_parts (`Sequence[str]`):
            Custom parts of the trainer.
        by_name (`bool`):
            Whether the arguments name the dataset. Otherwise it was passed in memory.
    """
    parent = arguments["pretrained_model_name_or_path"]
    own_parts = [*own_parts, *(["pipeline"] if parent == IN_MEMORY else [])]
    dataset = describe_dataset(image_dataset, arguments["dataset_name"])
    return {
        "dataset": dataset,
        "parent": describe_parent(parent),
        "own_parts": own_parts,
        "recipe": recipe_of(arguments_class, arguments, dataset["name"] if by_name else None, own_parts),
    }


def replace_recipe(folder: Path, recipe: dict[str, Any]) -> None:
    """Replaces the recipe in the results of a finished run, if there are any."""
    results = read_results(folder)
    if results:
        write_json(results | {"recipe": recipe}, folder / RESULTS_FILE)


def complete_results(folder: Path) -> None:
    """Adds the recipe to the results of a run that an earlier version wrote without it."""
    arguments, results = read_json(folder / ARGUMENTS_FILE), read_results(folder)
    if arguments and results and "recipe" not in results:
        arguments_class = (
            DCGANSuperResolutionTrainingArguments if "scale_factor" in arguments else DCGANTrainingArguments
        )
        results["recipe"] = recipe_of(arguments_class, arguments, results["dataset"]["name"])
        write_json(results, folder / RESULTS_FILE)


def write_results(
    output_dir: Path,
    accelerator: Accelerator,
    state: TrainerState,
    facts: dict[str, Any],
) -> None:
    r"""
    Writes the facts about a run for the model card to `training_results.json`.

    Args:
        output_dir (`Path`):
            Folder of the run.
        accelerator (`Accelerator`):
            Connection of the processes.
        state ([`TrainerState`]):
            Progress of the run.
        facts (`dict[str, Any]`):
            Further facts: `dataset`, `recipe`, `num_images_seen`, `statistics`, `best_step`.
    """
    results = {
        "steps": state.step,
        "epochs": state.epoch,
        "seconds": round(state.seconds, 3),
        "images_per_second": facts["num_images_seen"] / state.seconds,
        "hardware": describe_hardware(accelerator),
        "mixed_precision": accelerator.mixed_precision,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    write_json(results | facts, output_dir / RESULTS_FILE)
