#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Runs the notebooks of docs/tutorials/ from a clean kernel in an empty folder, and keeps their pictures and what they print:

    python scripts/docs/notebooks.py             # all, a quarter of an hour on two CPU cores
    python scripts/docs/notebooks.py classes

If pyproject.toml names a repository, they get a Colab badge and a cell that installs the package.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from repository import repository


TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"


def add_badge(notebook: nbformat.NotebookNode, name: str) -> None:
    """Puts a Colab badge and an installation before the first cell, in place of those that were there."""
    notebook.cells = [cell for cell in notebook.cells if cell.id not in ("badge", "install")]
    if address := repository():
        colab = address.replace("https://github.com/", "https://colab.research.google.com/github/")
        link = f"{colab}/blob/main/docs/tutorials/{name}.ipynb"
        badge = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})"
        install = f'%pip install --quiet "dcgan-hf[interpretability,evaluation] @ git+{address}"'
        notebook.cells[:0] = [
            nbformat.v4.new_markdown_cell(badge, id="badge"),
            nbformat.v4.new_code_cell(install, id="install"),
        ]


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Executes all cells in a folder. Progress bars and logs are not kept."""
    cells = [cell for cell in notebook.cells if cell.id != "install"]
    executed = nbformat.from_dict(notebook | {"cells": cells})
    NotebookClient(executed, timeout=None, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = {cell.id: cell.outputs for cell in executed.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id != "install":
            cell.outputs = [output for output in outputs[cell.id] if _is_kept(output)]
            cell.execution_count = None
            cell.metadata = {}
            for output in cell.outputs:
                output.pop("execution_count", None) if output.output_type != "execute_result" else None
                if "data" in output and "image/png" in output.data:
                    output.data = {"image/png": output.data["image/png"]}


def _is_kept(output: nbformat.NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name == "stdout"
    return "image/png" in output.data or output.output_type == "execute_result"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Runs the notebooks of the tutorials.")
    parser.add_argument("names", nargs="*", help="Notebooks, without .ipynb. By default all.")
    args = parser.parse_args(argv)
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        if args.names and path.stem not in args.names:
            continue
        notebook = nbformat.read(path, as_version=4)
        add_badge(notebook, path.stem)
        with tempfile.TemporaryDirectory() as folder:
            run(notebook, Path(folder))
        nbformat.write(notebook, path)
        print(path.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
