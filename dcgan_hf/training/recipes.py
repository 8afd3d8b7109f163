# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Recipes: YAML files of tested training arguments, with the hardware and time they need."""

import dataclasses
import typing
from pathlib import Path
from typing import Any, TypeVar

from ..flags import did_you_mean
from .arguments import TrainingArguments
from .network_configs import NETWORK_ARGUMENTS, parse_object
from .yaml_files import as_type, read_yaml, resolve


FOLDER = Path(__file__).parents[1] / "recipes"
# Keys that describe a recipe and are not arguments.
DESCRIPTION = ("description", "hardware", "time")

Arguments = TypeVar("Arguments", bound=TrainingArguments)


def recipe_names() -> list[str]:
    """Returns the names of the built-in recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    r"""
    Reads a recipe.

    Args:
        recipe (`str` or `Path`):
            Name of a built-in recipe, such as `"strong"`, or path to a YAML file.

    Returns:
        `dict[str, Any]`: the arguments that it sets, by name, and its `description`, `hardware` and `time`.

    Raises:
        ValueError: if the recipe does not exist, or if the file is not a recipe.
    """
    return resolve(_read(recipe))


def _read(recipe: str | Path) -> dict[str, Any]:
    path = FOLDER / f"{recipe}.yaml" if str(recipe) in recipe_names() else Path(recipe)
    if not path.is_file():
        names = recipe_names()
        raise ValueError(
            f"`config={recipe}` is neither a file nor a recipe.{did_you_mean(path.stem, names)}"
            f" Recipes: {', '.join(names)}."
        )
    try:
        content = read_yaml(path)
    except ValueError as error:
        raise ValueError(f"`config={recipe}`: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"`config={recipe}` must contain `argument: value` lines, got {repr(content)[:80]}.")
    return content


def describe_recipes() -> str:
    """Returns a list of the built-in recipes, with the hardware and time they need."""
    lines = []
    for name in recipe_names():
        recipe = read_recipe(name)
        command = "train-super-resolution" if "scale_factor" in recipe else "train"
        lines.append(
            f"dcgan {command} --config {name}\n    {recipe['description']}\n    {recipe['hardware']}; {recipe['time']}"
        )
    return "\n".join(lines)


def arguments_from_recipe(
    arguments_class: type[Arguments], recipe: str | Path, changes: dict[str, Any] | None = None
) -> Arguments:
    r"""
    Builds training arguments from a recipe.

    Args:
        arguments_class (`type`):
            [`DCGANTrainingArguments`] or [`DCGANSuperResolutionTrainingArguments`].
        recipe (`str` or `Path`):
            See [`read_recipe`].
        changes (`dict[str, Any]`, *optional*):
            Arguments that override the recipe's. Network configs are overridden field by field.

    Raises:
        ValueError: if the recipe has an unknown argument, or one that is out of range.
    """
    values = {name: value for name, value in _read(recipe).items() if name not in DESCRIPTION}
    known = [argument.name for argument in dataclasses.fields(arguments_class)]
    for unknown in values.keys() - set(known):
        raise ValueError(
            f"`config={recipe}` sets {unknown!r}, which is not a training argument.{did_you_mean(unknown, known)}"
        )
    hints = typing.get_type_hints(arguments_class)
    values = {name: as_type(value, hints[name]) for name, value in values.items()}
    changes = changes or {}
    networks = {
        name: parse_object(name, values.get(name) or {}) | parse_object(name, changes.get(name, {}))
        for name in NETWORK_ARGUMENTS
    }
    given = {name: value for name, value in values.items() if value is not None}
    if changes.get("num_epochs") is not None:
        given.pop("max_train_steps", None)  # the recipe's length, which would override that of the user
    return arguments_class(**(given | changes | networks))
