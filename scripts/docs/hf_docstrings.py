# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Extension of Griffe that reads docstrings in Hugging Face's format: its references become links of the site."""

import re
from typing import Any

import griffe


_REFERENCE = re.compile(r"\[`~?([\w.]+?)`\]")


class HuggingFaceDocstrings(griffe.Extension):
    """Links [`Name`] to the object of that name, if the package has one, and shows it as code otherwise."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrites all docstrings of a package."""
        objects = list(_objects(pkg))
        paths: dict[str, str] = {}
        for found in objects:
            if not found.name.startswith("_"):
                paths.setdefault(found.name, found.path)
        for found in objects:
            if found.docstring:
                text = found.docstring.value
                found.docstring.value = _REFERENCE.sub(lambda match: _link(match[1], paths), text)


def _objects(module: griffe.Object) -> Any:
    for member in module.members.values():
        if not member.is_alias:
            yield member
            yield from _objects(member)


def _link(name: str, paths: dict[str, str]) -> str:
    path = paths.get(name.rpartition(".")[2])
    return f"[`{name}`][{path}]" if path else f"`{name}`"
