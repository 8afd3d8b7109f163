# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""How every run begins and ends."""

import gc
import logging
from pathlib import Path

from accelerate import Accelerator
from transformers.utils.logging import disable_progress_bar

from .arguments import TrainingArguments
from .checkpointing import TrainerState, find_checkpoint, list_checkpoints
from .processes import make_accelerator
from .trackers import JSONLTracker, check_tracker


logger = logging.getLogger(__name__)


def start_run(args: TrainingArguments) -> tuple[Accelerator, Path | None]:
    r"""
    Connects the processes of a run and opens its logs, or refuses to. Nothing of an earlier run is changed yet.

    Args:
        args ([`TrainingArguments`]):
            The arguments.

    Returns:
        `tuple[Accelerator, Path | None]`: what the processes are connected by, and the checkpoint to go on from.

    Raises:
        ValueError: if the arguments do not go with this machine, if a checkpoint is named that does not exist, or if the
            folder holds another run.
    """
    check_tracker(args.report_to)
    output_dir = Path(args.output_dir)
    resume = find_checkpoint(output_dir, args.resume_from_checkpoint) if args.resume_from_checkpoint else None
    if list_checkpoints(output_dir) and not args.resume_from_checkpoint and not args.overwrite_output_dir:
        raise ValueError(
            f"`output_dir={output_dir}` holds checkpoints of another run. Go on with it:"
            " `--resume_from_checkpoint latest`, delete it: `--overwrite_output_dir`, or choose another folder."
        )
    jsonl = JSONLTracker(output_dir / "logs" / "metrics.jsonl", TrainerState.read(resume).step if resume else 0)
    accelerator = make_accelerator(args, output_dir, jsonl)
    logging.basicConfig(
        format="%(asctime)s - %(levelname)s - %(message)s",
        level=logging.INFO if accelerator.is_main_process else logging.WARNING,
    )
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # names temporary folders
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # names every request to the Hub
    disable_progress_bar()  # of writing the networks
    if args.resume_from_checkpoint and resume is None:
        logger.warning(f"There is no checkpoint in {str(output_dir)!r} to resume from: training starts anew.")
    return accelerator, resume


def end_run(accelerator: Accelerator) -> None:
    """Ends a run whose networks nobody holds any more. One that is wrapped for distributed training must not outlive the
    process group: the exit would crash."""
    accelerator.free_memory()
    gc.collect()
    accelerator.end_training()
