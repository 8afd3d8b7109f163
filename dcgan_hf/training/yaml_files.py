# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""YAML whose words become what the reader needs: `no` is a precision where one is expected, and false for a switch."""

import re
import typing
from pathlib import Path
from typing import Any

import yaml

from ..flags import alternatives_of, choices_of


MAX_BYTES = 2**16
_MAX_DEPTH = 16
_MAX_DIGITS = 300  # no float has more before its point
_NULL = ("", "~", "null", "Null", "NULL")
_TRUTH = dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)


class Plain(str):
    """Scalar without quotes, whose type is open."""


def read_yaml(path: Path) -> Any:
    r"""
    Reads a YAML file without deciding on the types of its scalars: they are `str`, or [`Plain`] without quotes.

    Args:
        path (`Path`):
            The file.

    Raises:
        ValueError: if the file is too large or too deep, not YAML, has an alias or has a key twice, or if
            a number has too many digits.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, but at most {MAX_BYTES:,} are allowed.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_events(text)
        return _content_of(yaml.compose(text, yaml.BaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not valid YAML: {error}") from error


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"aliases, such as *{event.anchor}, are not supported. Write the values out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep.")


def _content_of(node: yaml.Node | None) -> Any:
    if node is None:
        return None
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > _MAX_DIGITS and re.fullmatch(r"[-+]?[0-9_]+", node.value):
            digits, line = sum(map(str.isdigit, node.value)), node.start_mark.line + 1
            raise ValueError(f"line {line} has a number of {digits:,} digits, but at most {_MAX_DIGITS} are allowed.")
        return node.value if node.style else Plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_content_of(item) for item in node.value]
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in content:
            raise ValueError(f"{key!r} is set twice.")
        content[key] = _content_of(value_node)
    return content


def resolve(value: Any) -> Any:
    """Returns a value whose scalars have types by the rules of YAML 1.2: `1e-4` is a number, `no` and `1:30` are
    words."""
    if isinstance(value, dict):
        return {name: resolve(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner) for inner in value]
    if not isinstance(value, Plain):
        return value
    if value in _NULL:
        return None
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    number = _number(value, (int, float))
    return str(value) if number is None else number


def as_type(value: Any, hint: Any) -> Any:
    r"""
    Returns a value with the types that an argument has. A word that does not fit stays a string.

    Args:
        value (`Any`):
            Value of [`read_yaml`].
        hint (`Any`):
            Type of the argument.
    """
    kinds = alternatives_of(hint)
    if isinstance(value, dict):
        return resolve(value)
    inner = [typing.get_args(kind)[0] for kind in kinds if typing.get_origin(kind) is list]
    if isinstance(value, list):
        return [as_type(item, inner[0]) for item in value] if inner else resolve(value)
    choices = {str(choice): choice for choice in choices_of(hint)}
    if isinstance(value, Plain) and value in _NULL:
        return None
    if inner and isinstance(value, str):  # a single word, as on the command line
        return [as_type(value, inner[0])]
    if value in choices:
        return choices[value]
    if bool in kinds and isinstance(value, str):
        return _TRUTH.get(value.lower(), str(value))
    number = _number(value, kinds) if isinstance(value, str) else None
    return str(value) if number is None and isinstance(value, str) else value if number is None else number


def _number(text: str, kinds: tuple[Any, ...]) -> int | float | None:
    if int in kinds and re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)*", text):
        return int(text)
    if float in kinds and re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text):
        return float(text)
    # As YAML writes them. Ranges exclude them.
    return float(text.replace(".", "")) if float in kinds and re.fullmatch(r"[-+]?\.(inf|nan)", text.lower()) else None
