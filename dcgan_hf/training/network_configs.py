# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Network configs, built from arguments that give some of their fields as JSON."""

import dataclasses
import json
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from ..flags import did_you_mean


NETWORK_ARGUMENTS = ("generator_config", "discriminator_config")
# Fields that other arguments set.
_DECIDED_FIELDS = {
    "attributes",
    "combination_counts",
    "id2label",
    "image_size",
    "label2id",
    "num_channels",
    "num_classes",
    "resize_mode",
    "scale_factor",
}


def parse_object(name: str, value: str | dict[str, Any]) -> dict[str, Any]:
    """Returns the config fields of an argument given as JSON or as a dictionary."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}: {error}.") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}.")
    return parsed


def make_config(name: str, value: str | dict[str, Any], config_class: Any, common: dict[str, Any]) -> Any:
    r"""
    Builds the config of a network.

    Args:
        name (`str`):
            Argument with additional fields, `"generator_config"` or `"discriminator_config"`.
        value (`str` or `dict[str, Any]`):
            Value of this argument.
        config_class (`type`):
            Class of the config.
        common (`dict[str, Any]`):
            Fields that other arguments set.

    Raises:
        ValueError: if the fields do not describe a network. The message names the arguments.
    """
    fields = parse_object(name, value)
    known = {field.name for field in dataclasses.fields(config_class)}
    for unknown in fields.keys() - known:
        raise ValueError(
            f"`{name}` sets {unknown!r}, which is not a field of `{config_class.__name__}`."
            + did_you_mean(unknown, known - _DECIDED_FIELDS)
        )
    decided = fields.keys() & _DECIDED_FIELDS
    if decided:
        raise ValueError(f"`{name}` must not contain {sorted(decided)}, which other arguments set.")
    if "image_size" in common and "strides" not in fields:
        _check_resolution(common["image_size"])
    try:
        return config_class(**(common | fields))
    except (StrictDataclassError, ValueError) as error:  # the former wraps the errors of the validators
        reason = str(error.__cause__ or error)
        for field, argument in (("image_size", "resolution"), ("attributes", "label_column")):
            reason = reason.replace(f"`{field}`", f"`{argument}`")
        raise ValueError(f"`{name}={json.dumps(fields)}`: {reason}" if fields else reason) from error


def json_of(config: Any, common: dict[str, Any]) -> str:
    r"""
    Returns a config as the value of its argument: the fields that differ from those of a usual network. The inverse of
    [`make_config`].

    Args:
        config (`PreTrainedConfig`):
            The config.
        common (`dict[str, Any]`):
            Fields that other arguments set.
    """
    from transformers import PreTrainedConfig

    names = {field.name for field in dataclasses.fields(config)} - _DECIDED_FIELDS
    names -= {field.name for field in dataclasses.fields(PreTrainedConfig)}
    explicit = {} if _has_default_layers(common.get("image_size", 16)) else {"strides": config.strides}
    usual = type(config)(**common, **explicit)
    has, usually = ({name: _as_list(getattr(one, name)) for name in names} for one in (config, usual))
    fields = {name: value for name, value in has.items() if value != usually[name]}
    return json.dumps(explicit | fields, sort_keys=True)


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _has_default_layers(resolution: int) -> bool:
    return resolution % 4 == 0 and resolution >= 16


def _check_resolution(resolution: int) -> None:
    """Raises a `ValueError` for resolutions without default layers."""
    if _has_default_layers(resolution):
        return
    below, above = resolution - resolution % 4, resolution + 4 - resolution % 4
    sizes = "16" if above <= 16 else f"{below} or {above}"
    raise ValueError(
        f"`resolution={resolution}` has no default layers. Use {sizes}, or set the layers of both networks, such as"
        """ `generator_config={"strides": [3, 2]}` and `discriminator_config={"strides": [2, 3]}`."""
    )
