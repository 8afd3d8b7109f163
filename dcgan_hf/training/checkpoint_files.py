# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Files of a checkpoint: a state file with the checksums of all others, and the checks that precede loading."""

import hashlib
import json
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import load
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .ema import EMA_FILE


STATE_FILE = "trainer_state.json"
_FORMAT = 1
_CONTENT = {"state", "arguments", "num_processes", "positions"}
_CHECKS = {"format", "files", "checksum"}  # not in the checkpoints of the first version
_OF_ACCELERATE = ("random_states_*.pkl", "optimizer*.bin")
_PICKLES = ("*.pkl", "*.bin", "*.pt")
_PICKLED_EMA = "custom_checkpoint_0.pkl"  # of the first version


class DamagedCheckpointError(ValueError):
    """Raised for a checkpoint that differs from what was saved, or that this version cannot read."""


def write_state(folder: Path, content: dict[str, Any]) -> None:
    r"""
    Writes the state file of a checkpoint, after all its other files.

    Args:
        folder (`Path`):
            Folder of the checkpoint.
        content (`dict[str, Any]`):
            `state`, `arguments`, `num_processes` and `positions`.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / STATE_FILE]
    checksums = {path.relative_to(folder).as_posix(): _checksum_of(path) for path in files}
    content = json.loads(json.dumps({"format": _FORMAT} | content | {"files": checksums}))
    content["checksum"] = _own_checksum(content)
    (folder / STATE_FILE).write_text(json.dumps(content, indent=2) + "\n")


def read_state(folder: Path) -> dict[str, Any]:
    """Returns the content of a checkpoint's state file. Raises a [`DamagedCheckpointError`] that names the file."""
    path = folder / STATE_FILE
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = "is missing" if not path.exists() else f"is damaged: {error}"
        raise DamagedCheckpointError(f"{path} {reason}.") from error
    if not isinstance(content, dict) or not content.keys() >= _CONTENT:
        raise DamagedCheckpointError(f"{path} is not the state of a run.")
    if content.keys() != _CONTENT:
        if content.get("format", _FORMAT) != _FORMAT:
            raise DamagedCheckpointError(
                f"{path} has format {content['format']!r}, but this version of dcgan_hf reads format {_FORMAT}."
            )
        if content.get("checksum") != _own_checksum(content) or content.keys() != _CONTENT | _CHECKS:
            raise DamagedCheckpointError(f"{path} is damaged: it differs from what was saved.")
    wrong = _wrong_part(content)
    if wrong is not None:
        raise DamagedCheckpointError(f"{path} is not the state of a run: its `{wrong}` is {content[wrong]!r}.")
    return content


def _wrong_part(content: dict[str, Any]) -> str | None:
    """Returns the name of a part of a state file that has another form than what is saved, if there is one."""
    for name in ("state", "arguments", *({"files"} & content.keys())):
        if not isinstance(content[name], dict):
            return name
    number, positions = content["num_processes"], content["positions"]
    if type(number) is not int or number < 1:
        return "num_processes"
    if not isinstance(positions, list) or len(positions) != number:
        return "positions"
    for position in positions:
        is_pair = isinstance(position, list) and len(position) == 2
        if not is_pair or any(type(value) is not int or value < 0 for value in position):
            return "positions"
    return None


def verify(folder: Path) -> None:
    """Raises a [`DamagedCheckpointError`] that names the first file of a checkpoint that is missing or damaged."""
    content = read_state(folder)
    if "format" not in content:  # no checksums
        _check_contents(folder)
        _read_pickled_average(folder, content["arguments"])
    for name, checksum in content.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            raise DamagedCheckpointError(f"{path} is missing.")
        if _checksum_of(path) != checksum:
            raise DamagedCheckpointError(f"{path} is damaged: it differs from what was saved.")


def is_checkpoint(folder: Path) -> bool:
    """Returns whether this program wrote a checkpoint, whole or damaged, rather than another program."""
    try:
        content = json.loads((folder / STATE_FILE).read_text())
    except OSError:
        return False
    except ValueError:
        return True
    return isinstance(content, dict) and content.keys() >= _CONTENT


def may_be_checkpoint(folder: Path) -> bool:
    """Returns whether a folder holds a checkpoint of this program, perhaps one that has lost its state file. Such a
    checkpoint is not deleted, but no run starts over it without being asked."""
    return is_checkpoint(folder) or any(any(folder.glob(pattern)) for pattern in _OF_ACCELERATE)


@contextmanager
def safe_to_load(folder: Path) -> Iterator[Path]:
    r"""
    Context manager that checks a checkpoint before Accelerate loads it.

    Args:
        folder (`Path`):
            Folder of the checkpoint.

    Yields:
        `Path`: folder to load from: the checkpoint or, for one of the first version, a copy in today's form.

    Raises:
        DamagedCheckpointError: if a file is missing or damaged, or could run code when it is loaded.
    """
    verify(folder)
    _check_contents(folder)
    content = read_state(folder)
    if "format" in content:
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(_PICKLED_EMA))
        average = _read_pickled_average(folder, content["arguments"])
        if average is not None:
            save_file({name: values.contiguous() for name, values in average.items()}, copy / EMA_FILE)
        try:
            yield copy
        except Exception as error:  # whatever libraries raise for damaged files, which have no checksums
            reason = f"{type(error).__name__}: {error}".replace(str(copy), str(folder))
            raise DamagedCheckpointError(f"{folder} cannot be loaded: {reason}") from error


def _read_pickled_average(folder: Path, arguments: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """Returns the moving average in a checkpoint of the first version, unless the run had none."""
    path = folder / _PICKLED_EMA
    if not path.is_file():
        if arguments.get("use_ema") and not (folder / EMA_FILE).is_file():
            raise DamagedCheckpointError(f"{path} is missing.")
        return None
    average = load(path, map_location="cpu")
    if not isinstance(average, dict) or not all(isinstance(values, torch.Tensor) for values in average.values()):
        raise DamagedCheckpointError(f"{path} is damaged: it does not hold the weights of a network.")
    if not all(values.isfinite().all() for values in average.values()):
        raise DamagedCheckpointError(f"{path} is damaged: it holds values that are not finite.")
    return average


def _check_contents(folder: Path) -> None:
    """Raises a [`DamagedCheckpointError`] if a file cannot be read, or if a pickle holds more than tensors and plain
    values. Accelerate would load registered objects whatever they hold, and ignore unreadable random states."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise DamagedCheckpointError(f"{path} is damaged: {error}") from error
    for path in sorted(path for pattern in _PICKLES for path in folder.glob(pattern)):
        try:
            load(path, map_location="cpu")  # tensors and plain values only
        except pickle.UnpicklingError as error:
            raise DamagedCheckpointError(
                f"{path} is damaged, or holds more than tensors and plain values and could run code. It is not loaded."
            ) from error
        except Exception as error:  # whatever PyTorch raises for damaged files
            raise DamagedCheckpointError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _checksum_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_checksum(content: dict[str, Any]) -> str:
    others = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
