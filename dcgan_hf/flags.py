# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Arguments as dataclass fields. Each field declares everything about its argument; commands turn the fields into flags.

Neither this module nor the argument modules built on it import torch, so that `--help` appears at once.
"""

import dataclasses
import difflib
import math
import os
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


# Random number generators, files and tensors do not take larger ones.
MAX_INTEGER = 2**31 - 1
_KINDS = {bool: "true or false", float: "a number", int: "an integer", str: "a string"}


def flag(
    default: Any,
    help: str,
    *,
    group: str = "Options",
    range: str | None = None,
    on_resume: Literal["fixed", "warn", "free"] = "warn",
    on_card: bool | Literal["name"] = False,
    positional: bool = False,
    part: str | None = None,
) -> Any:
    r"""
    Declares an argument.

    Args:
        default (`Any`):
            Default value. `dataclasses.MISSING` makes the argument required.
        help (`str`):
            Description in `--help`.
        group (`str`, *optional*, defaults to `"Options"`):
            Heading under which `--help` lists it.
        range (`str`, *optional*):
            Interval of allowed numbers, such as `"[1, inf)"` or `"(0, 0.5)"`.
        on_resume (`str`, *optional*, defaults to `"warn"`):
            Effect of a change when a run resumes: `"fixed"` arguments describe the contents of the checkpoint and
            cannot change, `"warn"` ones change the outcome of the run, `"free"` ones do not.
        on_card (`bool` or `"name"`, *optional*, defaults to `False`):
            Whether the recipe on a published model card shows it. By default it stays private. `"name"` shows only the
            last component of a local path.
        positional (`bool`, *optional*, defaults to `False`):
            Whether commands take it as a positional argument.
        part (`str`, *optional*):
            Part of the trainer that it configures, such as `"loss"`. It has no effect on a custom part.
    """
    metadata = {
        "help": help,
        "group": group,
        "range": range,
        "on_resume": on_resume,
        "on_card": on_card,
        "positional": positional,
        "part": part,
    }
    return field(default=default, metadata=metadata)


def names_where(arguments_class: type, **metadata: Any) -> set[str]:
    """Returns the names of the arguments declared with all of these values, such as `on_resume="free"`."""
    return {
        argument.name
        for argument in dataclasses.fields(arguments_class)
        if all(argument.metadata[key] == value for key, value in metadata.items())
    }


def check_values(args: Any) -> None:
    r"""
    Validates each argument on its own: type, choices and range. Converts paths to strings.

    Args:
        args (`dataclass`):
            Arguments declared with [`flag`].

    Raises:
        ValueError: if a value is not allowed.
    """
    hints = typing.get_type_hints(type(args))
    for argument in dataclasses.fields(args):
        name, value = argument.name, getattr(args, argument.name)
        if value is None:
            continue
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
            setattr(args, name, value)
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"`{name}` must not be empty.")
        choices = choices_of(hints[name])
        for word in value if isinstance(value, list) else [value]:
            if choices and word not in choices:
                allowed = ", ".join(map(repr, choices))
                raise ValueError(f"`{name}={word}` must be one of {allowed}.{did_you_mean(word, choices)}")
        _check_type(name, value, hints[name])
        if type(value) is int and abs(value) > MAX_INTEGER:
            raise ValueError(f"`{name}` must be at most {MAX_INTEGER}, got {value}.")
        if argument.metadata["range"] is not None:
            _check_range(name, value, argument.metadata["range"])


def check_license(name: str, license: str | None) -> None:
    """Raises a `ValueError` if a license is not an identifier, as the Hub requires: the card would show any words."""
    if license is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,99}", license):
        raise ValueError(
            f"`{name}={license}` must be an identifier, such as 'apache-2.0', 'cc-by-4.0' or 'other', without spaces."
        )


def _check_type(name: str, value: Any, hint: Any) -> None:
    kinds = alternatives_of(hint)
    items = [typing.get_args(kind)[0] for kind in kinds if typing.get_origin(kind) is list]
    if items and isinstance(value, list):
        for item in value:
            _check_type(name, item, items[0])
        return
    expected = [kind for kind in kinds if kind in _KINDS]
    takes_it = isinstance(value, dict) and any(typing.get_origin(kind) is dict for kind in kinds)
    if not expected or takes_it or type(value) in expected:
        return
    if type(value) is not int or float not in expected:
        raise ValueError(f"`{name}={value}` must be {' or '.join(_KINDS[kind] for kind in expected)}.")


def _check_range(name: str, value: float, interval: str) -> None:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    if above and below:  # NaN fails both comparisons
        return
    if math.isinf(high):
        allowed = f"at least {low:g}" if interval[0] == "[" else "positive" if low == 0 else f"above {low:g}"
        raise ValueError(f"`{name}` must be {allowed}, got {value}.")
    allowed = f"between {low:g} and {high:g}" if interval[0] == "(" and interval[-1] == ")" else f"in {interval}"
    raise ValueError(f"`{name}` must lie {allowed}, got {value}.")


def check_columns(label_columns: list[str]) -> None:
    """Raises a `ValueError` if a list of label columns is empty or names one twice."""
    if not label_columns:
        raise ValueError("`label_column` must name at least one column, got an empty list.")
    if len(set(label_columns)) != len(label_columns):
        raise ValueError(f"`label_column` must not repeat a column, got {label_columns}.")


def alternatives_of(hint: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or a tuple of the type itself. (`Literal["a"] | None` is a `typing.Union`.)"""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def choices_of(hint: Any) -> tuple[Any, ...]:
    """Returns the values of a `Literal`, also an optional one or one in a list; for other types, an empty tuple."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (list, typing.Union, types.UnionType):
        return tuple(choice for part in typing.get_args(hint) for choice in choices_of(part))
    return ()


def did_you_mean(word: Any, allowed: Iterable[Any]) -> str:
    """Returns " Did you mean ...?" with the closest allowed word, or an empty string if none is close."""
    choices = [str(choice) for choice in allowed] if str(word) else []
    # Common abbreviations: `lr` for `learning_rate`, `norm` for `norm_type`, `batch_size` for `train_batch_size`.
    near = [choice for choice in choices if word == "".join(part[:1] for part in choice.split("_"))]
    near = near or [choice for choice in choices if choice.startswith(f"{word}_")]
    near = near or [choice for choice in choices if f"_{word}" in choice]
    near = near or difflib.get_close_matches(str(word), choices, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


# ---- arguments shared by several commands ----


@dataclass(kw_only=True)
class ModelArguments:
    """Arguments that select a saved model."""

    model: str = flag(
        dataclasses.MISSING,
        "Folder or Hub repository of a saved pipeline.",
        group="Model",
        positional=True,
    )
    revision: str | None = flag(None, "Branch, tag or commit of the Hub repository.", group="Model")


@dataclass(kw_only=True)
class DeviceArguments:
    """Arguments that select the device."""

    use_cpu: bool = flag(False, "Use the CPU even if a GPU is available.", group="Machine")


@dataclass(kw_only=True)
class DatasetArguments:
    """Arguments that select an image dataset."""

    dataset_name: str = flag(
        "digits",
        "Hub repository, local folder of images or of files that `datasets` can read, .zip, .npz, .parquet, .arrow or"
        " .tar file, or a built-in dataset: 'digits' or 'photos' (both ship with scikit-learn), or 'procedural_faces'"
        " (drawn).",
        group="Common",
    )
    dataset_config_name: str | None = flag(
        None, "Configuration of the dataset, if it has several.", group="Data", on_card=True
    )
    dataset_split: str = flag("train", "Split of the dataset.", group="Data", on_card=True)
    image_column: str | None = flag(
        None, "Column that contains the images (default: the only one of type `Image`).", group="Data", on_card=True
    )
    skip_bad_images: bool = flag(
        False,
        "Skip and count images that cannot be read and, for super-resolution, that are too small or do not fit their"
        " low-resolution versions.",
        group="Data",
        on_card=True,
    )
    cache_dir: str | None = flag(
        None, "Cache folder for downloaded and prepared datasets.", group="Data", on_resume="free"
    )


@dataclass(kw_only=True)
class LabelledDatasetArguments(DatasetArguments):
    """Arguments that select a labelled image dataset. A list of a single column becomes the column."""

    label_column: str | list[str] | None = flag(
        None,
        "Column that contains the labels, or several columns: each is an attribute, which some images may lack (default:"
        " the only one of type `ClassLabel`).",
        group="Data",
        on_card=True,
    )

    def __post_init__(self) -> None:
        if isinstance(self.label_column, list):
            check_columns(self.label_column)
            self.label_column = self.label_column[0] if len(self.label_column) == 1 else self.label_column
