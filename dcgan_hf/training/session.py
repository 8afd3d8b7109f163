# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Environment of a run: connected processes, device and precision, stop signals, logs."""

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import InitProcessGroupKwargs, ProjectConfiguration
from transformers.utils import logging as transformers_logging

from ..folder_lock import alone_in
from ..hardware import cores_of_a_process, default_mixed_precision
from ..model_folder import LOG_FILE, LOG_FOLDER, check_place_for_run
from ..processes import restored_globals, stop_signals
from .arguments import TrainingArguments
from .checkpointing import TrainerState, check_no_run
from .trackers import JSONLTracker, check_tracker


logger = logging.getLogger(__name__)


@contextmanager
def session(args: TrainingArguments, resume: Path | None) -> Iterator[Accelerator]:
    r"""
    Connects the processes of a run, holds its folder and sets up its logs, without changing files of an earlier run.
    Restores the global state of the process at the end.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        resume (`Path`, *optional*):
            Checkpoint to resume from.

    Yields:
        `Accelerator`: connection of the processes.

    Raises:
        ValueError: if this machine does not support the arguments, or if the folder contains another run
            or one is writing there.
    """
    check_tracker(args.report_to)
    output_dir = Path(args.output_dir)
    shows_progress = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # when saving the networks
    try:
        with restored_globals():
            log = JSONLTracker(output_dir / LOG_FILE, TrainerState.read(resume).step if resume else 0)
            accelerator = _make_accelerator(args, output_dir, log)
            try:
                with alone_in(output_dir):
                    check_place_for_run(output_dir)
                    if resume is None and not args.overwrite_output_dir:
                        check_no_run(output_dir)
                    yield accelerator
            finally:
                for tracker in accelerator.trackers:
                    tracker.finish()
                # A network wrapped for distributed training must not outlive the process group: the exit would crash.
                accelerator.free_memory()
                gc.collect()
    finally:
        if shows_progress:
            transformers_logging.enable_progress_bar()


def _make_accelerator(args: TrainingArguments, output_dir: Path, log: JSONLTracker) -> Accelerator:
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision or default_mixed_precision(args.use_cpu),
        # Otherwise Accelerate would not connect the processes that torchrun starts on a machine without a GPU.
        cpu=args.use_cpu or not torch.accelerator.is_available(),
        log_with=[log] + ([args.report_to] if args.report_to != "none" else []),
        project_config=ProjectConfiguration(project_dir=str(output_dir), logging_dir=str(output_dir / LOG_FOLDER)),
        kwargs_handlers=[
            # Each process keeps its own running statistics: a broadcast before every forward pass would overwrite
            # tensors that the backward pass of an earlier one needs. Those of the main process are saved.
            DistributedDataParallelKwargs(broadcast_buffers=False),
            # The others wait for the process that downloads and prepares the dataset.
            InitProcessGroupKwargs(timeout=timedelta(hours=6)),
        ],
    )
    if accelerator.num_processes != int(os.environ.get("WORLD_SIZE", 1)):
        raise ValueError(
            f"The launcher started {os.environ['WORLD_SIZE']} processes, but Accelerate connects"
            f" {accelerator.num_processes}: they would overwrite each other's results. Check the launcher's options."
        )
    args.check_precision(accelerator.mixed_precision)
    if accelerator.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError(
            "`mixed_precision=fp16` needs a GPU: on CPUs it is about 20 times slower. Use `bf16` or `no`."
        )
    if accelerator.device.type == "cpu":
        torch.set_num_threads(args.num_cpu_threads or cores_of_a_process())
    return accelerator


class StopSignals:
    """
    Context manager that records [`stop_signals`] in `received` instead of ending the process. A second signal ends it
    at once. Works in the main thread only: signals do not stop a run in another thread.
    """

    def __init__(self) -> None:
        self.received = False
        self._previous: dict = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        signal.signal(number, self._previous[number])
