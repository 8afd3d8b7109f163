# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that train models."""

import logging
from dataclasses import dataclass
from typing import Any

from ..flags import DeviceArguments, flag
from ..imports import quick_imports
from ..interpretability.arguments import ClassifierArguments
from ..training.generation_arguments import DCGANTrainingArguments
from ..training.recipes import arguments_from_recipe, describe_recipes
from ..training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments
from .command import command, pick


logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _RecipeArguments:
    config: str | None = flag(
        None,
        "Recipe: a name listed by `dcgan recipes`, or a YAML file. Flags override it. (default: none, except for"
        " built-in datasets: 'digits' or 'procedural_faces' for `train`, 'photos_x2' for `train-super-resolution`, unless"
        " `--pretrained_model_name_or_path` is given).",
        group="Common",
    )


def _make_arguments(arguments_class: type, given: dict[str, Any], recipes: dict[str, str]) -> Any:
    """Makes arguments from flags. `recipes` holds the recipes of built-in datasets, by name, the default first. They
    describe new networks, so they are not used for fine-tuning."""
    recipe = given.pop("config", None)
    if recipe is None and "pretrained_model_name_or_path" not in given:
        recipe = recipes.get(given.get("dataset_name", next(iter(recipes))))
    if recipe is None:
        return arguments_class(**given)
    args: Any = arguments_from_recipe(arguments_class, recipe, given)
    logger.info(f"Recipe: {recipe}")
    return args


@command("train", _RecipeArguments, DCGANTrainingArguments)
def train(given: dict[str, Any]) -> None:
    """Train a DCGAN. Without flags, train on handwritten digits, which takes a few minutes."""
    args = _make_arguments(DCGANTrainingArguments, given, {"digits": "digits", "procedural_faces": "procedural_faces"})
    with quick_imports():
        from ..training.generation import DCGANTrainer

    DCGANTrainer(args).train()


@command("train-super-resolution", _RecipeArguments, DCGANSuperResolutionTrainingArguments)
def train_super_resolution(given: dict[str, Any]) -> None:
    """Train a DCGAN for super-resolution. Without flags, train to upscale photographs by 2, which takes a minute."""
    args = _make_arguments(DCGANSuperResolutionTrainingArguments, given, {"photos": "photos_x2"})
    with quick_imports():
        from ..training.super_resolution import DCGANSuperResolutionTrainer

    DCGANSuperResolutionTrainer(args).train()


@command("recipes")
def recipes(given: dict[str, Any]) -> None:
    """List the built-in recipes: tested training configurations, with the hardware and time they need."""
    print(describe_recipes())


@command("train-classifier", ClassifierArguments, DeviceArguments)
def train_classifier(given: dict[str, Any]) -> None:
    """Train an image classifier for `evaluate --features` and `explain --classifier`."""
    args, device_args = pick(ClassifierArguments, given), pick(DeviceArguments, given)
    with quick_imports():
        from ..interpretability.classifier import train_classifier
        from ..processes import connected_processes

    with connected_processes(device_args.use_cpu) as device:
        accuracies = train_classifier(args, device)
    print(f"Accuracy: {sum(accuracies.values()) / len(accuracies):.1%}", end=". ")
    if len(accuracies) > 1:
        print("By label:", ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in accuracies.items()), end=". ")
    print(f"Classifier: {args.output_dir}")
