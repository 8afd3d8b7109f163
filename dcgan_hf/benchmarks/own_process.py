# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Functions in processes of their own: what one does to its memory, settings or device does not reach another."""

import logging
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from huggingface_hub.utils import disable_progress_bars


LIMIT_SECONDS = 1800


class Failure(Exception):
    """A function that failed in its process, or did not end in time."""


def process_context() -> Any:
    """
    Returns how processes start. After a "spawn" their peak memory begins at that of this process. But a process that was
    forked cannot use a GPU if an import of its parent has looked for one.
    """
    spawns = os.name == "nt" or torch.accelerator.is_available()
    return multiprocessing.get_context("spawn" if spawns else "forkserver")


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    r"""
    Runs a function in a process of its own, whose crash does no harm.

    Args:
        function (`Callable`):
            Function of a module.
        arguments (`Any`):
            Its arguments.

    Returns:
        `Any`: its result.

    Raises:
        Failure: if it raised an error, crashed, or took longer than half an hour.
    """
    context = process_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_result, args=(theirs, function, arguments))
    process.start()
    theirs.close()  # to notice if the process ends
    try:
        if not ours.poll(LIMIT_SECONDS):
            raise Failure(f"no result after {LIMIT_SECONDS // 60} minutes")
        result = ours.recv()
    except EOFError:
        process.join()
        raise Failure(f"the process ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
    if isinstance(result, Failure):
        raise result
    return result


def _send_result(connection: Connection, function: Callable[..., Any], arguments: tuple) -> None:
    disable_progress_bars()
    logging.disable(logging.WARNING)  # on the images of runs that are too short for good ones
    try:
        connection.send(function(*arguments))
    except Exception as error:  # of any library: a check reports it and goes on
        connection.send(Failure(first_line(f"{type(error).__name__}: {error}")))


def first_line(text: str) -> str:
    """Returns the first line of an error message, short enough for a table."""
    return text.strip().splitlines()[0].replace("|", "/")[:160]
