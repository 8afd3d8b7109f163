# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Extension of Griffe that reads docstrings in Hugging Face's format: their references become links of the site."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe


REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
_LINK = re.compile(r"\[`~?([\w.]+?)`\]")
# "name ([`Type`], *optional*, defaults to 1):", and "Returns: `type`: description".
_RETURNED = re.compile(r"(Returns:\n +)([^\n:]+): ")
_ARGUMENT = re.compile(r"^( +[\w, ]+) \((.*)\):$", flags=re.MULTILINE)


class HuggingFaceDocstrings(griffe.Extension):
    """Links [`Name`] to the class or function of that name, if the reference shows it, and makes it code otherwise."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrites the docstrings of a package."""
        pages = "\n".join(path.read_text() for path in REFERENCE.glob("*.md"))
        shown = set(re.findall(r"^::: ([\w.]+)", pages, flags=re.MULTILINE))
        objects = list(_objects(pkg))
        paths = {
            found.name: found.path
            for found in objects
            if (found.is_class or found.is_function)
            and not found.name.startswith("_")
            and (
                found.path in shown
                or found.parent is not None
                and found.parent.is_module
                and found.parent.path in shown
            )
        }

        def link(match: re.Match) -> str:
            name = match[1].rpartition(".")[2]
            return f"[`{name}`][{paths[name]}]" if name in paths else f"`{match[1]}`"

        for found in objects:
            if found.docstring:
                text = _ARGUMENT.sub(lambda match: f"{match[1]} ({_plain(match[2])}):", found.docstring.value)
                text = _RETURNED.sub(lambda match: f"{match[1]}{_plain(match[2])}: ", text)
                found.docstring.value = _LINK.sub(link, text)


def _plain(description: str) -> str:
    """Type of an argument without its markup, since the site shows it as code. A colon would end it."""
    return re.sub(r"[`*]|\[(?=`)|(?<=`)\]|~", "", description).replace(": ", "=")


def _objects(module: griffe.Object | griffe.Alias) -> Iterator[griffe.Object | griffe.Alias]:
    yield module
    for member in module.members.values():
        if not member.is_alias:
            yield from _objects(member)
