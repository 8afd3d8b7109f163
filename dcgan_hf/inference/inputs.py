# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Words on the command line that stand for image files: paths, patterns that the shell did not expand, and `-`."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path


STANDARD_INPUT = "-"
_RECURSIVE = "**"


def check_inputs(inputs: Sequence[str | Path]) -> None:
    r"""
    Checks that inputs exist, before a model is loaded.

    Args:
        inputs (`Sequence[str | Path]`):
            Files, folders and patterns, or `-` alone.

    Raises:
        ValueError: if an input does not exist, if nothing matches a pattern, or if `-` is one of several.
    """
    if STANDARD_INPUT in inputs and len(inputs) > 1:
        raise ValueError(
            f"`inputs={STANDARD_INPUT}` is the standard input, which makes one image on the standard output: give no"
            f" other input. A file of that name is ./{STANDARD_INPUT}."
        )
    for given in inputs:
        if given != STANDARD_INPUT and not Path(given).exists() and next(_matches(given), None) is None:
            what = "no file matches this pattern" if glob.has_magic(str(given)) else "no such file or folder"
            raise ValueError(f"`inputs={given}`: {what}.")


def expand(given: str | Path) -> tuple[Path, list[Path]]:
    r"""
    Returns the files and folders that an input stands for, and the folder that their places are relative to. Something
    that exists is meant, whatever its name. In patterns, `**` stands for folders of any depth, and hidden files are left
    out, as in shells.

    Args:
        given (`str | Path`):
            A file, a folder or a pattern.
    """
    path = Path(given)
    if path.exists():
        return (path, [path]) if path.is_dir() else (path.parent, [path])
    fixed = next(i for i, part in enumerate(path.parts) if glob.has_magic(part))
    # Folders that `**` stands for are entered by the pattern itself.
    found = [match for match in map(Path, sorted(_matches(given))) if _RECURSIVE not in path.parts or match.is_file()]
    return Path(*path.parts[:fixed]), found


def _matches(given: str | Path) -> Iterator[str]:
    return glob.iglob(str(given), recursive=True) if glob.has_magic(str(given)) else iter(())
