# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Configurations of networks, made of arguments that give some of their fields as JSON."""

import dataclasses
import json
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from ..flags import did_you_mean


# Fields that other arguments decide.
_DECIDED_FIELDS = {"id2label", "image_size", "label2id", "num_channels", "num_classes", "resize_mode", "scale_factor"}


def parse_object(name: str, value: str | dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that an argument gives as JSON or as a dictionary."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}: {error}.") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}.")
    return parsed


def make_config(name: str, value: str | dict[str, Any], config_class: Any, common: dict[str, Any]) -> Any:
    r"""
    Makes the configuration of a network.

    Args:
        name (`str`):
            Argument with further fields, `"generator_config"` or `"discriminator_config"`.
        value (`str` or `dict[str, Any]`):
            These fields.
        config_class (`type`):
            Class of the configuration.
        common (`dict[str, Any]`):
            Fields that other arguments decide.

    Raises:
        ValueError: if the fields do not describe a network, in terms of the arguments.
    """
    fields = parse_object(name, value)
    known = {field.name for field in dataclasses.fields(config_class)}
    for unknown in fields.keys() - known:
        raise ValueError(
            f"`{name}` has {unknown!r}, which `{config_class.__name__}` does not have."
            + did_you_mean(unknown, known - _DECIDED_FIELDS)
        )
    decided = fields.keys() & _DECIDED_FIELDS
    if decided:
        raise ValueError(f"`{name}` must not have {sorted(decided)}, which other arguments decide.")
    if "image_size" in common and "strides" not in fields:
        _check_resolution(common["image_size"])
    try:
        return config_class(**(common | fields))
    except StrictDataclassError as error:  # wraps what the validators raise
        reason = str(error.__cause__ or error)
        raise ValueError(f"`{name}={json.dumps(fields)}`: {reason}" if fields else reason) from error


def _check_resolution(resolution: int) -> None:
    """Raises a `ValueError` for sizes that networks have no default layers for."""
    if resolution % 4 == 0 and resolution >= 16:
        return
    below, above = resolution - resolution % 4, resolution + 4 - resolution % 4
    sizes = "16" if above <= 16 else f"{below} or {above}"
    raise ValueError(
        f"`resolution={resolution}`: use {sizes}, or describe the layers of both networks, such as"
        """ `generator_config={"strides": [3, 2]}` and `discriminator_config={"strides": [2, 3]}`."""
    )
