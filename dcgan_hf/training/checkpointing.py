# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
`checkpoint-<step>` folders with all that a run needs to go on as if it had never stopped.

A folder of that name is always complete: it is written under another name and renamed, and renamed before it is
deleted.
"""

import json
import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..model_folder import LOG_FOLDER, SAMPLES_FOLDER
from ..processes import is_main_process


logger = logging.getLogger(__name__)

_STATE_FILE = "trainer_state.json"
_TEMPORARY_PREFIX = ".tmp-"


@dataclass
class TrainerState:
    """
    Progress of a run. Callbacks find it under the names that transformers gives to it, too.

    Args:
        step (`int`, *optional*, defaults to 0):
            Number of updates made.
        epoch (`int`, *optional*, defaults to 0):
            Number of times this process used up the data set, or its part of a stream.
        batch (`int`, *optional*, defaults to 0):
            Number of batches of this epoch that it used.
        seconds (`float`, *optional*, defaults to 0):
            Time that the updates took, with all that was written meanwhile.
        best_step (`int`, *optional*):
            Step of the best model of those that were measured.
        best_value (`float`, *optional*):
            Its measurement.
        worse_measurements (`int`, *optional*, defaults to 0):
            Number of measurements since then.
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
        """Number of updates made."""
        return self.step

    @property
    def is_world_process_zero(self) -> bool:
        """True in the process that writes files and messages."""
        return is_main_process()

    @property
    def is_local_process_zero(self) -> bool:
        """True in the first process of a machine."""
        return int(os.environ.get("LOCAL_RANK", 0)) == 0

    def note_measurement(self, value: float, greater_is_better: bool = False) -> None:
        """Compares a measurement of the present model with the best one so far."""
        if self.best_value is None or (value > self.best_value if greater_is_better else value < self.best_value):
            self.best_step, self.best_value, self.worse_measurements = self.step, value, 0
        else:
            self.worse_measurements += 1

    def forget_best_unless_in(self, output_dir: Path) -> None:
        """Forgets the best model if its checkpoint is no longer there."""
        if self.best_step is not None and not checkpoint_folder(output_dir, self.best_step).is_dir():
            logger.warning(
                f"The checkpoint of the best step, {self.best_step}, is gone: the best of the next measurements is kept."
            )
            self.best_step, self.best_value, self.worse_measurements = None, None, 0

    @classmethod
    def read(cls, folder: Path) -> "TrainerState":
        """Reads the state of a checkpoint."""
        return cls(**json.loads((folder / _STATE_FILE).read_text())["state"])


def checkpoint_folder(output_dir: Path, step: int) -> Path:
    """Returns the folder of a step's checkpoint, which need not exist."""
    return output_dir / f"checkpoint-{step}"


def list_checkpoints(output_dir: Path) -> list[Path]:
    """All checkpoints of a run, oldest first."""
    folders = [path for path in output_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(folders, key=_step_of)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def find_checkpoint(output_dir: Path, resume_from_checkpoint: str) -> Path | None:
    r"""
    Finds the checkpoint to resume from.

    Args:
        output_dir (`Path`):
            Folder of the run.
        resume_from_checkpoint (`str`):
            `"latest"` for the newest checkpoint in `output_dir`, the name of one, or a path.

    Returns:
        `Path` or `None`: the checkpoint. `None` if `"latest"` finds none.

    Raises:
        ValueError: if a checkpoint that was named does not exist.
    """
    checkpoints = list_checkpoints(output_dir)
    if resume_from_checkpoint == "latest":
        return checkpoints[-1] if checkpoints else None
    for path in (Path(resume_from_checkpoint), output_dir / resume_from_checkpoint):
        if (path / _STATE_FILE).is_file():
            return path
    raise ValueError(
        f"`resume_from_checkpoint={resume_from_checkpoint}` is not a checkpoint. There are:"
        f" {[path.name for path in checkpoints]} in {str(output_dir)!r}."
    )


def save_checkpoint(
    accelerator: Accelerator,
    output_dir: Path,
    state: TrainerState,
    arguments: dict[str, Any],
    total_limit: int | None = None,
    keeps_best: bool = False,
) -> None:
    r"""
    Writes a checkpoint. To be called by all processes.

    Args:
        accelerator (`Accelerator`):
            Holds networks, optimizers and registered objects.
        output_dir (`Path`):
            Folder of the run.
        state ([`TrainerState`]):
            Where the run is.
        arguments (`dict[str, Any]`):
            How the run was started.
        total_limit (`int`, *optional*):
            Number of checkpoints to keep, the newest ones.
        keeps_best (`bool`, *optional*, defaults to `False`):
            Whether to keep that of the best model in addition.
    """
    folder = checkpoint_folder(output_dir, state.step)
    temporary = output_dir / (_TEMPORARY_PREFIX + folder.name)
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
        (temporary / _STATE_FILE).write_text(json.dumps(content, indent=2) + "\n")
        if folder.exists():  # of a run that was resumed before this step
            _delete(folder)
        os.replace(temporary, folder)
        if total_limit is not None:
            for old in list_checkpoints(output_dir)[:-total_limit]:
                if not (keeps_best and _step_of(old) == state.best_step):
                    _delete(old)
    accelerator.wait_for_everyone()


def load_checkpoint(
    accelerator: Accelerator, folder: Path, arguments: dict[str, Any], must_agree: set[str], may_change: set[str]
) -> TrainerState:
    r"""
    Loads networks, optimizers and registered objects. To be called by all processes.

    Args:
        accelerator (`Accelerator`):
            Holds networks, optimizers and registered objects.
        folder (`Path`):
            A checkpoint.
        arguments (`dict[str, Any]`):
            How the run goes on. Differences are logged: the run will not end as it would have.
        must_agree (`set[str]`):
            Arguments that describe what is loaded.
        may_change (`set[str]`):
            Arguments whose differences do not matter.

    Raises:
        ValueError: if an argument of `must_agree` differs.
    """
    content = json.loads((folder / _STATE_FILE).read_text())
    before = content["arguments"] | {"num_processes": content["num_processes"]}
    now = arguments | {"num_processes": accelerator.num_processes}
    for name in sorted(now.keys() - may_change):
        if before.get(name) == now[name]:
            continue
        if name in must_agree:
            raise ValueError(
                f"`{name}` must be what it was to resume from {folder}: {before.get(name)}, got {now[name]}."
            )
        if accelerator.is_main_process:
            logger.warning(
                f"Resuming with `{name}={now[name]}`, the checkpoint was made with {before.get(name)}: the run will"
                " not end as it would have without stopping."
            )
    accelerator.load_state(str(folder))
    state = TrainerState(**content["state"])
    if content["num_processes"] == accelerator.num_processes:
        state.epoch, state.batch = content["positions"][accelerator.process_index]
    return state


def set_aside_later_checkpoints(output_dir: Path, step: int) -> None:
    """Renames checkpoints after `step` to `abandoned-checkpoint-*`, so that a run that goes on from there is not mixed up
    with what came next before."""
    for folder in list_checkpoints(output_dir):
        if _step_of(folder) > step:
            abandoned = folder.with_name(f"abandoned-{folder.name}")
            shutil.rmtree(abandoned, ignore_errors=True)
            os.replace(folder, abandoned)
            logger.warning(f"{folder} is after the checkpoint to resume from: it is now {abandoned.name}.")


def prepare_output_dir(output_dir: Path, step: int, overwrite: bool) -> None:
    r"""
    Makes the folder of a run ready.

    Args:
        output_dir (`Path`):
            The folder, which may not exist yet.
        step (`int`):
            Step that the run goes on after.
        overwrite (`bool`):
            Whether to delete an earlier run's checkpoints, samples and logs.
    """
    if overwrite:
        for folder in (*list_checkpoints(output_dir), output_dir / SAMPLES_FOLDER, output_dir / LOG_FOLDER):
            shutil.rmtree(folder, ignore_errors=True)
    output_dir.mkdir(parents=True, exist_ok=True)
    remove_temporary_folders(output_dir)
    set_aside_later_checkpoints(output_dir, step)


def _delete(folder: Path) -> None:
    doomed = folder.with_name(f"{_TEMPORARY_PREFIX}{folder.name}-deleted")
    os.replace(folder, doomed)
    shutil.rmtree(doomed)


def remove_temporary_folders(output_dir: Path) -> None:
    """Removes what a process left behind that was killed while it wrote or deleted a checkpoint."""
    for folder in output_dir.glob(_TEMPORARY_PREFIX + "checkpoint-*"):
        shutil.rmtree(folder)
