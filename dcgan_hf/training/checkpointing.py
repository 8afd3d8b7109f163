# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
`checkpoint-<step>` folders: everything needed to resume a run as if it had never stopped.

A folder of that name is always complete, also after a power cut: it is written under a temporary name, flushed to the
disk and then renamed. Only then are older ones renamed and deleted.
"""

import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from accelerate import Accelerator

from ..files import flush, flush_tree, naming_a_full_disk, remove_parts
from ..model_folder import LOG_FILE, SAMPLES_FOLDER, holds_model, remove_logs
from ..processes import is_main_process
from .checkpoint_files import (
    STATE_FILE,
    DamagedCheckpointError,
    is_checkpoint,
    may_be_checkpoint,
    read_state,
    safe_to_load,
    verify,
    write_state,
)
from .samples import remove_later_samples


logger = logging.getLogger(__name__)

_TEMPORARY_PREFIX = ".tmp-"
# Arguments whose change makes measurements of the best model incomparable.
_MEASURED_BY = ("metric_for_best_model", "eval_features", "eval_split", "eval_num_images", "match_contrast")


@dataclass
class TrainerState:
    """
    Progress of a run. Callbacks can also read it under the names that transformers uses.

    Args:
        step (`int`, *optional*, defaults to 0):
            Number of updates so far.
        epoch (`int`, *optional*, defaults to 0):
            Number of complete passes of this process over the dataset, or over its part of a stream.
        batch (`int`, *optional*, defaults to 0):
            Number of batches of the current epoch that this process has consumed.
        seconds (`float`, *optional*, defaults to 0):
            Duration of the training loop so far, including evaluation and saving.
        best_step (`int`, *optional*):
            Step of the best model so far.
        best_value (`float`, *optional*):
            Its metric.
        worse_measurements (`int`, *optional*, defaults to 0):
            Number of evaluations since then.
        max_steps (`int`, *optional*, defaults to 0):
            Number of updates of the whole run.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    worse_measurements: int = 0
    max_steps: int = 0

    @property
    def global_step(self) -> int:
        """Number of updates so far."""
        return self.step

    @property
    def is_world_process_zero(self) -> bool:
        """True in the process that writes files and logs."""
        return is_main_process()

    @property
    def is_local_process_zero(self) -> bool:
        """True in the first process of each machine."""
        return int(os.environ.get("LOCAL_RANK", 0)) == 0

    def note_measurement(self, value: float, greater_is_better: bool = False) -> None:
        """Records a metric of the current model: either a new best, or one more without improvement."""
        if self.best_value is None or (value > self.best_value if greater_is_better else value < self.best_value):
            self.best_step, self.best_value, self.worse_measurements = self.step, value, 0
        else:
            self.worse_measurements += 1

    def forget_best_unless_in(self, output_dir: Path) -> None:
        """Forgets the best model if its checkpoint no longer exists."""
        if self.best_step is not None and not checkpoint_folder(output_dir, self.best_step).is_dir():
            logger.warning(
                f"The checkpoint of the best model (step {self.best_step}) is missing; the search for it starts over."
            )
            self.best_step, self.best_value, self.worse_measurements = None, None, 0

    @classmethod
    def read(cls, folder: Path) -> "TrainerState":
        """Reads the state of a checkpoint. Raises a [`DamagedCheckpointError`] if it cannot be read."""
        state = read_state(folder)["state"]
        unknown = sorted(state.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise DamagedCheckpointError(f"{folder / STATE_FILE} has unknown fields: {unknown}.")
        for name, hint in get_type_hints(cls).items():
            value = state.get(name, getattr(cls, name))
            kinds = (*(get_args(hint) or (hint,)), *((int,) if hint is float else ()))
            if type(value) not in kinds or (name != "best_value" and value is not None and not value >= 0):
                raise DamagedCheckpointError(f"{folder / STATE_FILE} is damaged: its `{name}` is {value!r}.")
        return cls(**state)


def checkpoint_folder(output_dir: Path, step: int) -> Path:
    """Returns the folder of a step's checkpoint, whether or not it exists."""
    return output_dir / f"checkpoint-{step}"


def list_checkpoints(output_dir: Path) -> list[Path]:
    """Returns all checkpoints of a run, oldest first, whole or damaged. Those of other programs are left out."""
    return [folder for folder in _numbered_folders(output_dir) if is_checkpoint(folder)]


def _numbered_folders(output_dir: Path) -> list[Path]:
    folders = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted((folder for folder in folders if folder.is_dir()), key=_step_of)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def find_checkpoint(output_dir: Path, resume_from_checkpoint: str) -> Path | None:
    r"""
    Finds the checkpoint to resume from, and verifies its checksums.

    Args:
        output_dir (`Path`):
            Folder of the run.
        resume_from_checkpoint (`str`):
            `"latest"` for the newest whole checkpoint in `output_dir`, the name of one, or a path.

    Returns:
        `Path` or `None`: the checkpoint, or `None` if `"latest"` finds none, whole or damaged.

    Raises:
        ValueError: if the named checkpoint does not exist or is damaged, or if all are damaged.
    """
    if resume_from_checkpoint == "latest":
        return _newest_whole(output_dir)
    for path in (Path(resume_from_checkpoint), output_dir / resume_from_checkpoint):
        if (path / STATE_FILE).exists() or path in _numbered_folders(path.parent):
            error = _damage(path)
            if error is not None:
                whole = [folder for folder in _numbered_folders(path.parent) if _damage(folder) is None]
                advice = f"The newest whole checkpoint is {whole[-1]}." if whole else "No other checkpoint is whole."
                raise ValueError(f"`resume_from_checkpoint={resume_from_checkpoint}`: {error} {advice}") from error
            return path
    raise ValueError(
        f"`resume_from_checkpoint={resume_from_checkpoint}` is not a checkpoint. Available in {str(output_dir)!r}:"
        f" {[path.name for path in list_checkpoints(output_dir)]}."
    )


def _newest_whole(output_dir: Path) -> Path | None:
    folders = _numbered_folders(output_dir)
    for folder in reversed(folders):
        damage = _damage(folder)
        if damage is None:
            return folder
        logger.warning(f"{damage} Resuming from an earlier checkpoint.")
    if any(map(may_be_checkpoint, folders)):
        raise ValueError(
            f"`resume_from_checkpoint=latest`: no checkpoint in {str(output_dir)!r} is whole. Pass"
            " `overwrite_output_dir` to start again."
        )
    return None


def check_no_run(output_dir: Path) -> None:
    """Raises a `ValueError` if a folder holds checkpoints or the model of a run, which a new one would replace."""
    if any(map(may_be_checkpoint, _numbered_folders(output_dir))):
        held, resuming = "checkpoints", " `resume_from_checkpoint=latest` to resume it,"
    elif holds_model(output_dir):
        held, resuming = "the model", ""
    else:
        return
    raise ValueError(
        f"`output_dir={output_dir}` holds {held} of another run. Pass{resuming} `overwrite_output_dir` to"
        f" {'delete' if resuming else 'replace'} it, or another folder."
    )


def _damage(folder: Path) -> DamagedCheckpointError | None:
    try:
        verify(folder)
        TrainerState.read(folder)
    except DamagedCheckpointError as error:
        return error
    return None


def save_checkpoint(
    accelerator: Accelerator,
    output_dir: Path,
    state: TrainerState,
    arguments: dict[str, Any],
    total_limit: int | None = None,
    keeps_best: bool = False,
) -> None:
    r"""
    Writes a checkpoint. All processes must call it.

    Args:
        accelerator (`Accelerator`):
            Holds networks, optimizers and registered objects.
        output_dir (`Path`):
            Folder of the run.
        state ([`TrainerState`]):
            Progress of the run.
        arguments (`dict[str, Any]`):
            Arguments of the run.
        total_limit (`int`, *optional*):
            Number of most recent checkpoints to keep (default: all).
        keeps_best (`bool`, *optional*, defaults to `False`):
            Whether to keep the checkpoint of the best model in addition.

    Raises:
        DiskFullError: if the disk is full. Earlier checkpoints are unchanged.
    """
    folder = checkpoint_folder(output_dir, state.step)
    temporary = output_dir / (_TEMPORARY_PREFIX + folder.name)
    try:
        with naming_a_full_disk(folder):
            if accelerator.is_main_process:
                remove_temporary_folders(output_dir)
                temporary.mkdir()
            accelerator.wait_for_everyone()
            accelerator.save_state(str(temporary))
            positions = accelerator.gather(torch.tensor([[state.epoch, state.batch]], device=accelerator.device))
            if accelerator.is_main_process:
                content = {
                    "state": asdict(state),
                    "arguments": arguments,
                    "num_processes": accelerator.num_processes,
                    "positions": positions.tolist(),  # epoch and batch of each process
                }
                write_state(temporary, content)
                _publish(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # makes room
        raise
    if accelerator.is_main_process and total_limit is not None:
        for old in list_checkpoints(output_dir)[:-total_limit]:
            if not (keeps_best and _step_of(old) == state.best_step):
                _delete(old)
    accelerator.wait_for_everyone()


def _publish(temporary: Path, folder: Path) -> None:
    """Gives a checkpoint its name, once it is on the disk with the log up to its step."""
    flush_tree(temporary)
    log = folder.parent / LOG_FILE
    if log.is_file():
        flush(log)
    if folder.exists():  # left by a run that was resumed from an earlier step, or by another program
        _set_aside(folder)
    os.replace(temporary, folder)
    flush(folder.parent)


def load_checkpoint(
    accelerator: Accelerator, folder: Path, arguments: dict[str, Any], must_agree: set[str], may_change: set[str]
) -> TrainerState:
    r"""
    Loads networks, optimizers and registered objects. All processes must call it.

    Args:
        accelerator (`Accelerator`):
            Holds networks, optimizers and registered objects.
        folder (`Path`):
            Checkpoint to load.
        arguments (`dict[str, Any]`):
            Arguments of the resumed run. Changes are logged, because they change the result of the run.
        must_agree (`set[str]`):
            Arguments that the checkpoint depends on.
        may_change (`set[str]`):
            Arguments that may change without a warning.

    Raises:
        ValueError: if an argument of `must_agree` differs, or if the checkpoint is damaged or could run code.
    """
    content = read_state(folder)
    before = content["arguments"] | {"num_processes": content["num_processes"]}
    now = arguments | {"num_processes": accelerator.num_processes}
    for name in sorted(now.keys() - may_change):
        if before.get(name) == now[name]:
            continue
        if name in must_agree:
            raise ValueError(
                f"`{name}` must be unchanged to resume from {folder}: expected {before.get(name)}, got {now[name]}."
            )
        if accelerator.is_main_process:
            change = f"`{name}={now[name]}` from a checkpoint with {before.get(name)}"
            if name == "convolutions":
                change = "other ways to compute convolutions than in the checkpoint"
            logger.warning(f"Resuming with {change}: the result will differ from that of an uninterrupted run.")
    state = TrainerState.read(folder)
    if any(name in before and name in now and before[name] != now[name] for name in _MEASURED_BY):
        state.best_value = None
    with safe_to_load(folder) as checked:
        accelerator.load_state(str(checked))
    if content["num_processes"] == accelerator.num_processes:
        state.epoch, state.batch = content["positions"][accelerator.process_index]
    return state


def load_best(accelerator: Accelerator, output_dir: Path, state: TrainerState) -> int:
    """Loads the networks of the best step. Returns the step of the networks: the current one, with a warning, if the
    checkpoint of the best one is damaged. All processes must call it."""
    assert state.best_step is not None
    try:
        with safe_to_load(checkpoint_folder(output_dir, state.best_step)) as checked:
            accelerator.load_state(str(checked))
    except DamagedCheckpointError as error:
        logger.warning(f"{error} The model of step {state.step} is saved instead of the best one.")
        return state.step
    return state.best_step


def _set_aside(folder: Path) -> None:
    """Renames a checkpoint to the first free name among `abandoned-checkpoint-8`, `abandoned-checkpoint-8-2`, ..."""
    names = (f"abandoned-{folder.name}" + (f"-{number}" if number > 1 else "") for number in count(1))
    place = next(place for place in map(folder.with_name, names) if not place.exists())
    os.replace(folder, place)
    logger.warning(f"{folder} is set aside: renamed to {place.name}.")


def prepare_output_dir(output_dir: Path, step: int, overwrite: bool) -> None:
    r"""
    Prepares the folder of a run, which is held for it. Files of other programs stay.

    Args:
        output_dir (`Path`):
            The folder, which is created if missing.
        step (`int`):
            Step that the run starts from. Later samples are removed, and later checkpoints renamed, so that the
            resumed run does not mix with them.
        overwrite (`bool`):
            Whether to delete an earlier run's checkpoints, samples and logs.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    remove_temporary_folders(output_dir)
    remove_parts(output_dir)
    if overwrite:
        for folder in list_checkpoints(output_dir):
            _delete(folder)
        remove_logs(output_dir)
    remove_later_samples(output_dir / SAMPLES_FOLDER, -1 if overwrite else step)
    for folder in list_checkpoints(output_dir):
        if _step_of(folder) > step:
            _set_aside(folder)


def _delete(folder: Path) -> None:
    doomed = folder.with_name(f"{_TEMPORARY_PREFIX}{folder.name}-deleted")
    os.replace(folder, doomed)
    flush(folder.parent)
    shutil.rmtree(doomed)


def remove_temporary_folders(output_dir: Path) -> None:
    """Removes the leftovers of a process that was killed while writing or deleting a checkpoint."""
    for folder in output_dir.glob(_TEMPORARY_PREFIX + "checkpoint-*"):
        shutil.rmtree(folder)
