# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Lock of an output folder: one run at a time writes there. A crash of the run releases it."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .model_folder import read_json, write_json
from .processes import from_main_process, is_main_process


_LOCK_FILE = ".lock"
_OWNER_FILE = ".running.json"  # Windows cannot read a locked file


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    r"""
    Context manager that holds an output folder, which is created if missing. Leaves no trace in it. All processes must
    call it.

    Args:
        folder (`Path`):
            The folder, called `output_dir` in errors.

    Raises:
        ValueError: in all processes, if another run holds the folder or if it cannot be written.
    """
    lock = FileLock(folder / _LOCK_FILE)
    existed = os.path.isdir(folder)  # without an error for a place that cannot be reached
    reason = from_main_process(lambda: _take(lock, folder))
    if reason is not None:
        raise ValueError(reason)
    try:
        yield
    finally:
        if is_main_process():
            # Removed while it is held: whoever opened the file before finds it locked.
            for name in (_OWNER_FILE, _LOCK_FILE):
                with suppress(OSError):
                    (folder / name).unlink()
            lock.release()
            if not existed:
                with suppress(OSError):  # not empty
                    folder.rmdir()


def _foreign_file(folder: Path) -> Path | None:
    """Returns a file of another program that has the name of one of ours, which are removed at the end."""
    lock, owner = folder / _LOCK_FILE, folder / _OWNER_FILE
    with suppress(FileNotFoundError):
        if lock.stat().st_size > 0:  # ours is empty
            return lock
    with suppress(FileNotFoundError):
        text = owner.read_text(encoding="utf-8", errors="replace")
        if not all(f'"{word}":' in text for word in ("pid", "host", "start")):
            return owner
    return None


def _take(lock: FileLock, folder: Path) -> str | None:
    """Takes a lock. Returns the reason if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = _foreign_file(folder)
        if foreign is not None:
            return (
                f"`output_dir={folder}`: {foreign} was not written by this program and would be removed. Move it, or"
                " use another folder."
            )
        lock.acquire(blocking=False)
        owner = {"pid": os.getpid(), "host": platform.node(), "start": time.strftime("%Y-%m-%d %H:%M:%S")}
        write_json(owner, folder / _OWNER_FILE)
    except Timeout:
        owner = {"pid": "?", "host": "?", "start": "?"} | read_json(folder / _OWNER_FILE)
        return (
            f"`output_dir={folder}`: another run is writing there (process {owner['pid']} on {owner['host']}, since"
            f" {owner['start']}). Wait for it, stop it, or choose another folder."
        )
    except OSError as error:
        return f"`output_dir={folder}` cannot be written: {error.strerror or error}."
    return None
