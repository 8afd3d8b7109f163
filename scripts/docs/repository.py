# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Address of the repository, which the owner fills in in pyproject.toml."""

import tomllib
from pathlib import Path


ROOT = Path(__file__).parents[2]


def repository() -> str:
    """Address of the repository: `Repository` in `[project.urls]`. Empty until it is known."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project.get("urls", {}).get("Repository", "")
