# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Durable, atomic writing: whatever interrupts the program, a file is the old or the new one, and so is a folder."""

# Part of the networks' code in model repositories, so it needs nothing but the standard library.
import errno
import math
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


try:
    import fcntl
except ImportError:  # Windows, where folders cannot be locked
    fcntl = None  # type: ignore[assignment]

_PART = ".part-"
_STAGING, _SAVED = ".saving", ".saved"
_WEIGHTS = "model*.safetensors*"  # and their index
_STALE = ".stale"  # list of files that go with the replaced ones
# Loaders read these files first. Without them, no loader takes a folder for a model.
_READ_FIRST = ("config.json", "model_index.json")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# The same in the words of libraries that do not pass on the number of the error. PyTorch's only say that writing failed.
_FULL_IN_WORDS = ("No space left on device", "StorageFull", "Disk quota exceeded", "QuotaExceeded")
_FAILED_WRITING = ("inline_container", "iostream error")
_LITTLE_SPACE = 2**20


class DiskFullError(OSError):
    """Raised when the disk is full. Files written before are unchanged."""


def flush(path: Path) -> None:
    """Waits until a file, or the list of files in a folder, is on the disk, so that it survives a power cut."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and overlay file systems cannot flush a folder.
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Waits until a folder and everything in it is on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):  # a folder after its files
        flush(path)
    flush(folder)


@contextmanager
def naming_a_full_disk(path: Path) -> Iterator[None]:
    """Raises a [`DiskFullError`] that names `path` instead of any error that a full disk has caused."""
    try:
        yield
    except Exception as error:
        full = full_disk_error(error, path)
        if full is None:
            raise
        raise full from error


def full_disk_error(error: BaseException, path: Path | None = None) -> DiskFullError | None:
    r"""
    Returns a [`DiskFullError`] for an error that a full disk or an exhausted quota has caused.

    Args:
        error (`BaseException`):
            Error of any library.
        path (`Path`, *optional*):
            File or folder that was being written, unless the error names it.

    Returns:
        [`DiskFullError`] or `None`: the error with path, free space and advice, or `None` for other errors.
    """
    if isinstance(error, DiskFullError):
        return error
    causes = [error]
    while causes[-1].__cause__ or causes[-1].__context__:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)  # type: ignore[arg-type]
    named = [cause.filename for cause in causes if isinstance(cause, OSError) and isinstance(cause.filename, str)]
    path = Path(named[0]) if named else path
    free = math.inf if path is None else _free_bytes(path)
    if not any(_is_of_full_disk(cause, free) for cause in causes):
        return None
    what = (
        "a file could not be written" if path is None else f"{path} could not be written ({free / 1e6:,.1f} MB free)"
    )
    return DiskFullError(
        f"The disk is full: {what}. Files written before are unchanged. Make room, then repeat the command."
    )


def _free_bytes(path: Path) -> int:
    """Returns the free space where a path lies or would lie: in the first folder that can be reached."""
    place = path.absolute()
    for folder in (place, *place.parents):
        with suppress(OSError):  # missing, unreadable, or a name too long for any file
            return shutil.disk_usage(folder).free
    raise AssertionError("the root can be reached")


def _is_of_full_disk(error: BaseException, free: float) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    said = _FULL_IN_WORDS + (_FAILED_WRITING if free < _LITTLE_SPACE else ())
    return any(words in str(error) for words in said)


@contextmanager
def replacing(path: Path, durable: bool = True, keeps_suffix: bool = True) -> Iterator[Path]:
    r"""
    Context manager that replaces a file with a new one, or leaves it as it is if an error or a kill comes in between.
    Creates the folder of the file if necessary.

    Args:
        path (`Path`):
            The file.
        durable (`bool`, *optional*, defaults to `True`):
            Whether to wait until the file is on the disk. Without, it may be empty after a power cut.
        keeps_suffix (`bool`, *optional*, defaults to `True`):
            Whether the temporary file has the suffix of the file. Without, a pattern such as `*.png` never finds what
            a kill has left of it.

    Yields:
        `Path`: temporary file to write, in the same folder.

    Raises:
        DiskFullError: if the disk is full.
    """
    # Short, whatever the length of the name, and different for processes and threads that write the same file.
    temporary = path.with_name(f"{_PART}{os.getpid()}-{threading.get_ident()}{path.suffix if keeps_suffix else ''}")
    try:
        with naming_a_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if durable:
                flush(temporary)
            os.replace(temporary, path)
            if durable:
                flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(text: str, path: Path) -> None:
    """Replaces a text file, see [`replacing`]."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_parts(folder: Path) -> None:
    """Removes what killed processes left of files that they were writing to a folder. Nobody else may write there."""
    for path in folder.glob(f"{_PART}*"):
        if re.fullmatch(rf"{re.escape(_PART)}\d+-\d+(\..*)?", path.name):  # not somebody's `.part-time`
            path.unlink()


@contextmanager
def replacing_files(folder: Path) -> Iterator[Path]:
    r"""
    Context manager that replaces files of a folder together: after a kill, too, all are the old ones or all the new
    ones. The next [`finish_replacing`] completes an interrupted replacement. Until then the files that loaders read
    first are missing, so that no library loads a mixture. Other files of the folder stay.

    Args:
        folder (`Path`):
            The folder, which is created if missing.

    Yields:
        `Path`: folder to write the files to. Within a replacement of a parent folder, `folder` itself.

    Raises:
        DiskFullError: if the disk is full.
    """
    if any(part.startswith(_STAGING) for part in folder.parts):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    staging = folder / f"{_STAGING}-{os.getpid()}-{threading.get_ident()}"
    try:
        with naming_a_full_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                _move_saved(folder)
                _remove_abandoned(folder)
                staging.mkdir()
                in_use = _open_locked(staging)
            try:
                yield staging
                with _locked(folder):
                    _move_saved(folder)  # of another process that was killed since
                    (staging / _STALE).write_text("\n".join(_stale_weights(staging, folder)))
                    flush_tree(staging)
                    os.replace(staging, folder / _SAVED)  # from here on the new files count
                    flush(folder)
                    _move_saved(folder)
            finally:
                if in_use is not None:
                    _unlock(in_use)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def finish_replacing(folder: Path) -> None:
    r"""
    Completes an interrupted replacement of a folder's files, see [`replacing_files`]. Waits if another process is at
    it.

    Args:
        folder (`Path`):
            The folder.

    Raises:
        ValueError: if a symbolic link leads out of the folder, or if there is a replacement to complete, but no
            permission to write.
    """
    if not _has_saved(folder):
        return
    try:
        with _locked(folder):
            _move_saved(folder)
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        raise ValueError(
            f"{folder} was being saved when that was interrupted, and this user may not complete it:"
            f" {error.strerror}. Load it once as a user who may write there, or copy the folder."
        ) from error


def _has_saved(folder: Path) -> bool:
    saved = folder / _SAVED
    return saved.is_dir() and not saved.is_symlink()


def _move_saved(folder: Path) -> None:
    """Moves the files of a replacement to their places. The folder is locked: of two processes, the slower one would
    remove files that the other has just moved."""
    if not _has_saved(folder):
        return
    saved = folder / _SAVED
    names = [path.relative_to(saved) for path in sorted(saved.rglob("*")) if path.is_file() and path.name != _STALE]
    listed = (saved / _STALE).read_text().splitlines() if (saved / _STALE).is_file() else []
    stale = [Path(name) for name in listed if Path(name).match(_WEIGHTS)]
    for name in (*names, *stale):  # the folder may be a stranger's
        if not (folder / name.parent).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{folder / name.parent} leads out of {folder}, where nothing is saved.")
    # The index of a pipeline comes after the configurations of its networks.
    first_read = sorted((name for name in names if name.name in _READ_FIRST), key=lambda name: name.name)
    others = [name for name in names if name.name not in _READ_FIRST]
    for name in (*reversed(first_read), *stale):
        (folder / name).unlink(missing_ok=True)
    _flush_folders(folder, first_read)
    for moved in (others, first_read):
        for name in moved:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(saved / name, folder / name)
        _flush_folders(folder, moved)
    shutil.rmtree(saved)


def _remove_abandoned(folder: Path) -> None:
    """Removes what killed processes have staged. Those that live hold a lock."""
    for staging in folder.glob(f"{_STAGING}*"):
        with suppress(FileNotFoundError):  # its process has just removed it
            descriptor = _open_locked(staging, waits=False)
            if descriptor is not None:
                shutil.rmtree(staging)
                _unlock(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Context manager that holds a folder against other processes and threads. A kill releases it."""
    descriptor = _open_locked(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            _unlock(descriptor)


def _open_locked(folder: Path, waits: bool = True) -> int | None:
    """Locks a folder and returns its descriptor, which is -1 where folders cannot be locked, or `None` if another
    process holds it."""
    if fcntl is None:
        return -1
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks, such as some network drives
        os.close(descriptor)
        return -1
    return descriptor


def _unlock(descriptor: int) -> None:
    """Releases a lock. Forked processes that share its descriptor do not keep it."""
    if descriptor >= 0:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _stale_weights(staging: Path, folder: Path) -> list[str]:
    """Returns the weights in a folder that new ones of the same variant replace under other names: in one file instead
    of several, or the other way round. Loaders would prefer the old file."""
    stale: list[str] = []
    for part in {path.parent.relative_to(staging) for path in staging.rglob(_WEIGHTS)}:
        new = {path.name for path in (staging / part).glob(_WEIGHTS)}
        variants = {_variant_of(name) for name in new}
        old = [path.name for path in (folder / part).glob(_WEIGHTS)]
        stale += [(part / name).as_posix() for name in old if name not in new and _variant_of(name) in variants]
    return stale


def _variant_of(name: str) -> str:
    """Returns the variant of weights or of their index: "fp16" for `model.fp16-00001-of-00002.safetensors`."""
    return re.sub(r"^model|-\d+-of-\d+|\.safetensors|\.index|\.json$|\.", "", name)


def _flush_folders(folder: Path, names: list[Path]) -> None:
    for parent in {(folder / name).parent for name in names}:
        if parent.is_dir():
            flush(parent)


__all__ = [
    "DiskFullError",
    "finish_replacing",
    "flush",
    "flush_tree",
    "full_disk_error",
    "naming_a_full_disk",
    "remove_parts",
    "replacing",
    "replacing_files",
    "write_text",
]
