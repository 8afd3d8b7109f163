# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
The `dcgan` command, also `python -m dcgan_hf`. Its modules import torch inside the functions that need it, so that
`--help` and completion appear at once.
"""

import importlib.metadata
import logging
import os
import re
import sys
from collections.abc import Sequence

from cyclopts.exceptions import CycloptsError

from ..files import full_disk_error

# Imported for the commands that they define.
from . import images, looking, measuring, sharing, training  # noqa: F401, I001
from .command import COMMANDS, Command, app, describe


# Errors caused by the user, the machine or the data: no traceback needed.
_EXPECTED = (ValueError, OSError, ImportError, FloatingPointError)


def main(argv: Sequence[str] | None = None) -> int:
    r"""
    Runs a command.

    Args:
        argv (`Sequence[str]`, *optional*):
            Arguments after `dcgan`. Defaults to those of the command line.

    Returns:
        `int`: exit status: 2 after an error and 130 after an interruption, which the last line on stderr describes.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    shows_traceback = "--debug" in words
    words = [word for word in words if word != "--debug"]
    entry = COMMANDS.get(words[0] if words else "", Command(()))
    try:
        function, bound, _ = app.parse_args(entry.words_for_parser(words), exit_on_error=False, print_error=False)
        _log_to_stderr()
        function(*bound.args, **bound.kwargs)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "Stopped.", file=sys.stderr, flush=True)
        return 130  # as shells report Ctrl-C
    except Exception as error:
        if shows_traceback:
            raise
        full = full_disk_error(error)
        if full is not None:
            message = str(full)
        elif isinstance(error, CycloptsError):
            message = describe(error, words)
        elif isinstance(error, _EXPECTED) and str(error):
            message = entry.in_words_of_flags(str(error)) + _missing_extra(error)
        else:  # from a library that was given a damaged file, or a bug
            message = f"{type(error).__name__}: {error} (`--debug` shows the traceback)"
        # Names in messages may be strangers': without control characters for the terminal.
        message = "".join(letter if letter.isprintable() else " " for letter in message)
        print("error:", *message.split(), file=sys.stderr, flush=True)
        return 2


def _missing_extra(error: Exception) -> str:
    """Returns the command that installs a missing optional package, or an empty string."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    module = error.name.split(".")[0]
    package = {"sklearn": "scikit-learn"}.get(module, module).replace("_", "-")
    for requirement in importlib.metadata.requires("dcgan-hf") or []:
        found = re.match(r"([\w.-]+).*; *extra == ['\"](\w+)", requirement)
        if found and found[1].replace("_", "-") == package:
            return f'. Install it with `pip install "dcgan-hf[{found[2]}]"`.'
    return ""


def _log_to_stderr() -> None:
    """Logs to stderr: all messages of the main process, but only warnings of other processes and of libraries."""
    is_main = int(os.environ.get("RANK", 0)) == 0
    logging.basicConfig(format="%(message)s", level=logging.INFO if is_main else logging.WARNING)
    for library in ("accelerate", "httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)
