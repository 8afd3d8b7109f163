# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
The command `dcgan`, also `python -m dcgan_hf`. Its modules import torch in the functions that need it, as `--help` and
completion have to appear at once.
"""

import logging
import os
import sys
from collections.abc import Sequence

from cyclopts.exceptions import CycloptsError

# Imported for the commands that they define.
from . import images, looking, measuring, sharing, training  # noqa: F401, I001
from .command import COMMANDS, Command, app, describe


# Errors of a person, the machine or the data, whose message says it all.
_EXPECTED = (ValueError, OSError, ImportError, FloatingPointError)


def main(argv: Sequence[str] | None = None) -> int:
    r"""
    Runs a command.

    Args:
        argv (`Sequence[str]`, *optional*):
            Words after `dcgan`. By default those that were typed.

    Returns:
        `int`: exit status, 2 after a mistake, which the last line on stderr tells.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    shows_traceback = "--debug" in words
    words = [word for word in words if word != "--debug"]
    entry = COMMANDS.get(words[0] if words else "", Command(()))
    try:
        with_values = entry.join_truth_values(words)
        function, bound, _ = app.parse_args(with_values, exit_on_error=False, print_error=False)
        _log_to_stderr()
        function(*bound.args, **bound.kwargs)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # what reads the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if shows_traceback:
            raise
        if isinstance(error, CycloptsError):
            message = describe(error, words)
        elif isinstance(error, _EXPECTED) and str(error):
            message = entry.in_words_of_flags(str(error))
        else:  # of a library that was given a damaged file, or a fault of ours
            message = f"{type(error).__name__}: {error} (`--debug` shows where)"
        print("error:", *message.split(), file=sys.stderr, flush=True)
        return 2


def _log_to_stderr() -> None:
    """Shows what the main process has to say, and warnings only of the others and of libraries."""
    is_main = int(os.environ.get("RANK", 0)) == 0
    logging.basicConfig(format="%(message)s", level=logging.INFO if is_main else logging.WARNING)
    for library in ("accelerate", "httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)
