# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Last check before an upload: only known files, none through links, none with a path of this machine."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..model_folder import PUBLISHED_FILES, check_no_links


def files_to_publish(folder: Path, patterns: Sequence[str] = PUBLISHED_FILES) -> list[str]:
    r"""
    Returns the names of the files in a folder that may be published.

    Args:
        folder (`Path`):
            The folder.
        patterns (`Sequence[str]`, *optional*, defaults to `PUBLISHED_FILES`):
            Names of the files. A star matches within a file name.

    Raises:
        ValueError: if one of the files is or lies behind a symbolic link, or contains a path of this machine.
    """
    check_no_links(folder, patterns)
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    private = _private_paths(folder)
    for path in paths:
        content = path.read_bytes()
        found = [place for place in private if any(form.search(content) for form in _forms_of(place))]
        if found:
            raise ValueError(
                f"{path} is not published: it contains the path {found[0]!r} of this machine. Remove the path, or write"
                " the file again."
            )
    return [path.relative_to(folder).as_posix() for path in paths]


def _forms_of(place: str) -> list[re.Pattern[bytes]]:
    """Returns patterns of a path as text, in JSON and in a URL, with or without more behind it."""
    forms = {place, json.dumps(place)[1:-1], quote(place)}
    return [re.compile(re.escape(form.encode()) + rb"(?![\w.-])") for form in forms]


def _private_paths(folder: Path) -> list[str]:
    places = [Path.home(), folder.absolute()]
    if sys.prefix != sys.base_prefix:  # otherwise a folder of the system, such as /usr
        places.append(Path(sys.prefix))
    return [str(place) for place in places if place != Path(place.anchor)]
