# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Facts that every measurement records, its JSON file, and tables in Markdown."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..files import write_text
from ..hardware import describe_hardware


def measurement_facts(command: list[str], use_cpu: bool) -> dict[str, Any]:
    """Returns the command, the hardware and the version of a measurement."""
    return {
        "command": shlex.join(command),
        "hardware": describe_hardware(Accelerator(cpu=use_cpu)),
        "torch": torch.__version__,
    }


def write_record(content: dict[str, Any], path: Path) -> None:
    """Writes the JSON file of a measurement, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(content, indent=1) + "\n", path)


def markdown_table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [columns, *rows]]
    return "\n".join([lines[0], "| --- " * len(columns) + "|", *lines[1:]])
