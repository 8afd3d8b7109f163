# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Jinja templates of model cards, reports and pages. Facts are escaped: HTML by Jinja, Markdown by `escaping`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from . import escaping


_FILTERS: tuple[Callable[..., Any], ...] = (
    *(escaping.code, escaping.code_block, escaping.hub_link, escaping.python_literal),
    *(escaping.web_link, escaping.within_code),
)


def _environment(name: str, undefined: type[jinja2.Undefined]) -> jinja2.Environment:
    is_html = name.endswith(".html")
    environment = jinja2.Environment(
        undefined=undefined,
        autoescape=is_html,
        finalize=None if is_html else escaping.escape_markdown,
        keep_trailing_newline=True,
    )
    for filter in _FILTERS:
        environment.filters[filter.__name__] = filter
    return environment


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def render_template(name: str, **facts: Any) -> str:
    """Renders a template. A missing fact raises an error. Facts are escaped, except for `Markup`."""
    return _environment(name, jinja2.StrictUndefined).from_string(_read(name)).render(facts)


def render_card(name: str, metadata: str, generated: str, **facts: Any) -> str:
    r"""
    Renders the card of a repository. Facts are escaped, and missing ones are left out.

    Args:
        name (`str`):
            File name of the template, such as `"card.md"`.
        metadata (`str`):
            YAML of the card's metadata.
        generated (`str`):
            Line that marks a generated card.
        facts (`Any`):
            Facts of the template.
    """
    template = _environment(name, jinja2.Undefined).from_string(_read(name))
    return template.render(facts, card_data=Markup(metadata), generated=Markup(generated)).rstrip("\n")
