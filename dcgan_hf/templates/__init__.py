# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Jinja templates of model cards, reports and pages."""

from pathlib import Path
from typing import Any

import jinja2


def read_template(name: str) -> str:
    """Returns the text of a template, such as `"card.md"`."""
    return Path(__file__).with_name(name).read_text()


def render_template(name: str, **facts: Any) -> str:
    """Renders a template. A missing fact raises an error; in HTML templates, facts are escaped."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=name.endswith(".html"), keep_trailing_newline=True
    )
    return environment.from_string(read_template(name)).render(facts)
