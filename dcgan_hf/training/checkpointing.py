# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
`checkpoint-<step>` folders: everything needed to resume a run as if it had never stopped.

A folder of that name is always complete: it is written under a temporary name and then renamed, and renamed again
before deletion.
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
        """Reads the state of a checkpoint."""
        return cls(**json.loads((folder / _STATE_FILE).read_text())["state"])


def checkpoint_folder(output_dir: Path, step: int) -> Path:
    """Returns the folder of a step's checkpoint, whether or not it exists."""
    return output_dir / f"checkpoint-{step}"


def list_checkpoints(output_dir: Path) -> list[Path]:
    """Returns all checkpoints of a run, oldest first."""
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
        `Path` or `None`: the checkpoint, or `None` if `"latest"` finds none.

    Raises:
        ValueError: if the named checkpoint does not exist.
    """
    checkpoints = list_checkpoints(output_dir)
    if resume_from_checkpoint == "latest":
        return checkpoints[-1] if checkpoints else None
    for path in (Path(resume_from_checkpoint), output_dir / resume_from_checkpoint):
        if (path / _STATE_FILE).is_file():
            return path
    raise ValueError(
        f"`resume_from_checkpoint={resume_from_checkpoint}` is not a checkpoint. Available in {str(output_dir)!r}:"
        f" {[path.name for path in checkpoints]}."
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
        if folder.exists():  # left by a run that was resumed from an earlier step
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
                f"`{name}` must be unchanged to resume from {folder}: expected {before.get(name)}, got {now[name]}."
            )
        if accelerator.is_main_process:
            logger.warning(
                f"Resuming with `{name}={now[name]}` from a checkpoint with {before.get(name)}: the result will differ"
                " from that of an uninterrupted run."
            )
    accelerator.load_state(str(folder))
    state = TrainerState(**content["state"])
    if content["num_processes"] == accelerator.num_processes:
        state.epoch, state.batch = content["positions"][accelerator.process_index]
    return state


def set_aside_later_checkpoints(output_dir: Path, step: int) -> None:
    """Renames checkpoints after `step` to `abandoned-checkpoint-*`, so that the resumed run does not mix with them."""
    for folder in list_checkpoints(output_dir):
        if _step_of(folder) > step:
            abandoned = folder.with_name(f"abandoned-{folder.name}")
            shutil.rmtree(abandoned, ignore_errors=True)
            os.replace(folder, abandoned)
            logger.warning(f"{folder} is later than the checkpoint to resume from; renamed to {abandoned.name}.")


def prepare_output_dir(output_dir: Path, step: int, overwrite: bool) -> None:
    r"""
    Prepares the folder of a run.

    Args:
        output_dir (`Path`):
            The folder, which is created if missing.
        step (`int`):
            Step that the run starts from.
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
    """Removes the leftovers of a process that was killed while writing or deleting a checkpoint."""
    for folder in output_dir.glob(_TEMPORARY_PREFIX + "checkpoint-*"):
        shutil.rmtree(folder)
