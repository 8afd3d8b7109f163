#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Writes the figures that README and docs quote, from the JSON files that measuring commands wrote:

    python scripts/docs/figures.py          # after a new measurement
    python scripts/docs/figures.py --check  # fails if a page says something else than the files

A page names the source of a figure in a comment directly after it, and that of a table in the line above it:

    4.8 dB<!--= model_cards/fashion_mnist_x4/metrics.json psnr -->
    <!--= table ladder.json -->

A file without a folder is in `docs/figures/`. A key goes down into objects and lists, with colons ("cpu:bytes"). In a table
it names row and column ("strong:4/4"), in a list a metric by its type or a loop by its name.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml


sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.loading import loading_table  # noqa: E402
from benchmarks.sampling import sampling_table  # noqa: E402
from benchmarks.startup import startup_table  # noqa: E402
from benchmarks.super_resolution import super_resolution_table  # noqa: E402
from check_understanding import understanding_table  # noqa: E402
from ladder import ladder_table  # noqa: E402
from time_to_quality import quality_table  # noqa: E402

from dcgan_hf.benchmarks.records import markdown_table  # noqa: E402
from dcgan_hf.benchmarks.training import training_table  # noqa: E402


ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"
RECIPES = ROOT / "dcgan_hf" / "recipes"
# Tables of benchmark.json.
PARTS = {
    "loading": loading_table,
    "sampling": sampling_table,
    "startup": startup_table,
    "super_resolution": super_resolution_table,
}
# "86 to 90 %", "4.8 dB" or "2.5 times as fast", and the comment that names where the number comes from.
QUOTE = re.compile(
    r"(?P<number>-?\d[\d,]*(?:\.\d+)?)(?: to (?P<high>-?\d[\d,]*(?:\.\d+)?))?(?P<unit>[^\d<|\n]*(?:\n[^\d<|\n]*)?)"
    r"<!--= (?P<file>[\w./-]+\.json) (?P<key>[^>]+?) -->"
)
_TABLE = re.compile(r"<!--= table (?P<file>[\w./-]+)(?: (?P<key>[^>]+?))? -->\n(?:\n?\|.*\n)*")


def pages() -> list[Path]:
    """Texts that quote figures."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> Any:
    """Content of a JSON file: of the repository, or without a folder of `docs/figures/`."""
    return json.loads((ROOT / name if "/" in name else FIGURES / name).read_text())


def look_up(content: Any, key: str) -> Any:
    """Value of a key such as "rungs:strong:3" or "Set5:psnr"; the number in a cell, if it is one of a table."""
    for part in key.split(":"):
        if isinstance(content, list) and not part.isdigit():
            own = [item for item in content if part in (item.get("dataset_name"), item.get("features"))]
            if own:  # of one of several evaluations of a model
                content = own
                continue
            (content,) = (item for item in content if part in (item.get("type"), item.get("loop")))
            content = content.get("value", content)
        elif isinstance(content, dict) and "columns" in content:
            rows = {row[0].strip("*"): row for row in content["rows"]}
            content = dict(zip(content["columns"], rows[part]))
        else:
            content = content[int(part) if isinstance(content, list) else part]
    if isinstance(content, str):
        number = re.search(r"-?[\d,]*\.?\d+", content)
        if number is None:
            raise ValueError(f"{key} is not a figure: {content!r}.")
        content = float(number[0].replace(",", "")) / (100 if content.rstrip().endswith("%") else 1)
    return content


def _quoted(match: re.Match) -> str:
    value = look_up(read(match["file"]), match["key"])
    factor = 1.0
    if match["unit"].lstrip().startswith("%"):
        factor = 100
    elif match["key"].endswith("seconds") and match["unit"].strip().startswith("minute"):
        factor = 1 / 60
    elif match["key"].endswith("bytes"):
        factor = {"MB": 1e-6, "GB": 1e-9, "KB": 1e-3}[match["unit"].split()[0]]

    def write(number: float, text: str) -> str:
        return f"{number * factor:,.{len(text.partition('.')[2])}f}"

    if match["high"]:
        numbers = f"{write(min(value), match['number'])} to {write(max(value), match['high'])}"
    else:
        numbers = write(value, match["number"])
    return f"{numbers}{match['unit']}<!--= {match['file']} {match['key']} -->"


def recipes_table() -> str:
    """Recipes of the package by what they train, as their files describe them."""
    rows = []
    for path in sorted(RECIPES.glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text())
        command = "train-super-resolution" if "scale_factor" in recipe else "train"
        rows.append([f"`dcgan {command} --config {path.stem}`", recipe["description"], recipe["time"]])
    return markdown_table(["command", "images and networks", "time"], rows)


def render_table(record: Any, part: str | None) -> str:
    """Table of a measurement: its cells if they were recorded, else what the measuring script prints."""
    if part == "training" or part == "article":
        return training_table(record[part], record["matmul_flops"])
    if part in PARTS:
        return PARTS[part](record[part])
    if "distances" in record:
        return ladder_table(record)
    if "results" in record:
        return quality_table(record["results"])
    if "times_chance" in record:
        return understanding_table(record)
    table = record[part] if part else record
    return markdown_table(table["columns"], table["rows"])


def _table(match: re.Match) -> str:
    name, part = match["file"], match["key"]
    table = recipes_table() if name == "recipes" else render_table(read(name), part)
    return f"<!--= table {name}{f' {part}' if part else ''} -->\n\n{table}\n"


def with_figures(text: str) -> str:
    """Returns a page with the numbers and tables that the files have."""
    return _TABLE.sub(_table, QUOTE.sub(_quoted, text))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Writes the figures of README and docs.")
    parser.add_argument("--check", action="store_true", help="Change nothing, and fail if something would change.")
    args = parser.parse_args(argv)
    for page in pages():
        text = page.read_text()
        if with_figures(text) != text:
            if args.check:
                raise SystemExit(
                    f"{page.relative_to(ROOT)} has other figures than its files: run {Path(__file__).name}."
                )
            page.write_text(with_figures(text))
            print(f"{page.relative_to(ROOT)} was written.")


if __name__ == "__main__":
    main(sys.argv[1:])
