# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Arguments as dataclass fields: all that is known of one stands beside its name. Commands make their flags of them.

Nothing here, nor in the modules of arguments that build on it, imports torch: `--help` has to appear at once.
"""

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


_KINDS = {bool: "true or false", float: "a number", int: "a whole number", str: "text"}


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
            Value when it is not given. `dataclasses.MISSING` makes it required.
        help (`str`):
            Its line in `--help`.
        group (`str`, *optional*, defaults to `"Options"`):
            Heading that `--help` lists it under.
        range (`str`, *optional*):
            Interval of numbers that are allowed, such as `"[1, inf)"` or `"(0, 0.5)"`.
        on_resume (`str`, *optional*, defaults to `"warn"`):
            For a run that goes on from a checkpoint: `"fixed"` arguments describe what the checkpoint holds and cannot
            change, `"warn"` ones make it end differently, `"free"` ones do not.
        on_card (`bool` or `"name"`, *optional*, defaults to `False`):
            Whether the recipe on a published model card shows it. By default it stays private. Of a local path, `"name"`
            shows the last component only.
        positional (`bool`, *optional*, defaults to `False`):
            Whether a command takes it without its name.
        part (`str`, *optional*):
            Part of a trainer that it describes. It has no effect if the trainer is given one: `"loss"`.
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
    """Returns the names of the arguments that were declared with all of these values: `on_resume="free"`."""
    return {
        argument.name
        for argument in dataclasses.fields(arguments_class)
        if all(argument.metadata[key] == value for key, value in metadata.items())
    }


def check_values(args: Any) -> None:
    r"""
    Checks each argument alone: its type, the choices of words, the range of numbers. Paths become text.

    Args:
        args (`dataclass`):
            Arguments that were declared with [`flag`].

    Raises:
        ValueError: if one is not allowed.
    """
    hints = typing.get_type_hints(type(args))
    for argument in dataclasses.fields(args):
        name, value = argument.name, getattr(args, argument.name)
        if value is None:
            continue
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
            setattr(args, name, value)
        if value == "":
            raise ValueError(f"`{name}` must not be empty.")
        choices = choices_of(hints[name])
        for word in value if isinstance(value, list) else [value]:
            if choices and word not in choices:
                allowed = ", ".join(map(repr, choices))
                raise ValueError(f"`{name}={word}` must be one of {allowed}.{did_you_mean(word, choices)}")
        _check_type(name, value, hints[name])
        if argument.metadata["range"] is not None:
            _check_range(name, value, argument.metadata["range"])


def _check_type(name: str, value: Any, hint: Any) -> None:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    expected = [kind for kind in kinds if kind in _KINDS]
    if not expected or isinstance(value, dict) or type(value) in expected:
        return
    if type(value) is not int or float not in expected:
        raise ValueError(f"`{name}={value}` must be {' or '.join(_KINDS[kind] for kind in expected)}.")


def _check_range(name: str, value: float, interval: str) -> None:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    if above and below:  # neither is true of NaN
        return
    if math.isinf(high):
        allowed = f"at least {low:g}" if interval[0] == "[" else "positive" if low == 0 else f"above {low:g}"
        raise ValueError(f"`{name}` must be {allowed}, got {value}.")
    allowed = f"between {low:g} and {high:g}" if interval[0] == "(" and interval[-1] == ")" else f"in {interval}"
    raise ValueError(f"`{name}` must lie {allowed}, got {value}.")


def choices_of(hint: Any) -> tuple[Any, ...]:
    """Returns the values that a type allows, if it lists them: those of a `Literal`, optional or in a list or not."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (list, types.UnionType):
        return tuple(choice for part in typing.get_args(hint) for choice in choices_of(part))
    return ()


def did_you_mean(word: Any, allowed: Iterable[Any]) -> str:
    """Returns " Did you mean ...?" with the nearest of the allowed words, or nothing if none is near."""
    choices = [str(choice) for choice in allowed]
    # People shorten names: `lr` for `learning_rate`, `norm` for `norm_type`, `batch_size` for `train_batch_size`.
    near = [choice for choice in choices if word == "".join(part[:1] for part in choice.split("_"))]
    near = near or [choice for choice in choices if choice.startswith(f"{word}_")]
    near = near or [choice for choice in choices if f"_{word}" in choice]
    near = near or difflib.get_close_matches(str(word), choices, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


# ---- what several commands have ----


@dataclass(kw_only=True)
class ModelArguments:
    """A saved model."""

    model: str = flag(
        dataclasses.MISSING,
        "Folder of a saved pipeline, or its repository on the Hub.",
        group="Model",
        positional=True,
    )
    revision: str | None = flag(None, "Branch, tag or commit of the repository.", group="Model")


@dataclass(kw_only=True)
class DeviceArguments:
    """The device of a command."""

    use_cpu: bool = flag(False, "Use the CPU even if there is a GPU.", group="Machine")


@dataclass(kw_only=True)
class DatasetArguments:
    """A data set of images."""

    dataset_name: str = flag(
        "digits",
        "Repository on the Hub, a local folder or files that `datasets` can read, or one of 'digits' and 'photos', which"
        " ship with scikit-learn, and 'procedural_faces', which are drawn.",
        group="Common",
    )
    dataset_config_name: str | None = flag(None, "Configuration of the data set.", group="Data", on_card=True)
    dataset_split: str = flag("train", "Split of the data set.", group="Data", on_card=True)
    image_column: str | None = flag(
        None, "Column of the images. By default the only one of type `Image`.", group="Data", on_card=True
    )
    cache_dir: str | None = flag(None, "Folder of downloaded data sets.", group="Data", on_resume="free")


@dataclass(kw_only=True)
class LabelledDatasetArguments(DatasetArguments):
    """A data set of images with labels."""

    label_column: str | None = flag(
        None, "Column of the labels. By default the only one of type `ClassLabel`.", group="Data", on_card=True
    )
