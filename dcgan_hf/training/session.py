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
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.utils import ProjectConfiguration
from transformers.utils import logging as transformers_logging

from ..folder_lock import alone_in
from ..hardware import cores_of_a_process
from ..kernels.autotune import DTYPES
from ..model_folder import LOG_FILE, LOG_FOLDER, check_place_for_run
from ..processes import restored_globals, stop_signals
from .arguments import TrainingArguments
from .checkpointing import TrainerState, check_no_run
from .trackers import JSONLTracker, check_tracker
from .tuning import given_precision


logger = logging.getLogger(__name__)


class Session:
    r"""
    Connected processes of a run and, from [`Session.start`] on, their accelerator.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        resume (`Path`, *optional*):
            Checkpoint to resume from.
    """

    accelerator: Accelerator | None = None

    def __init__(self, args: TrainingArguments, resume: Path | None):
        self._output_dir = Path(args.output_dir)
        self._use_cpu = args.use_cpu or not torch.accelerator.is_available()
        log = JSONLTracker(self._output_dir / LOG_FILE, TrainerState.read(resume).step if resume else 0)
        self.trackers = [log] + ([args.report_to] if args.report_to != "none" else [])
        # Otherwise Accelerate would not connect the processes that torchrun starts on a machine without a GPU. The
        # others wait for the process that downloads and prepares the dataset.
        self.processes = PartialState(cpu=self._use_cpu, timeout=timedelta(hours=6))
        if self.processes.num_processes != int(os.environ.get("WORLD_SIZE", 1)):
            raise ValueError(
                f"The launcher started {os.environ['WORLD_SIZE']} processes, but Accelerate connects"
                f" {self.processes.num_processes}: they would overwrite each other's results. Check the launcher's"
                " options."
            )
        precision = given_precision(args, resume)
        args.check_precision(precision)
        if self.processes.device.type == "cpu":
            if precision not in (None, *DTYPES):
                raise ValueError(
                    f"`mixed_precision={precision}` needs a GPU: on CPUs, fp16 is about 20 times slower. Use `bf16` or `no`."
                    " (It may come from `accelerate launch` or the checkpoint.)"
                )
            torch.set_num_threads(args.num_cpu_threads or cores_of_a_process())

    def start(self, mixed_precision: str) -> Accelerator:
        """Makes the accelerator of the run, once its precision is chosen."""
        self.accelerator = Accelerator(
            mixed_precision=mixed_precision,
            cpu=self._use_cpu,
            log_with=self.trackers,
            project_config=ProjectConfiguration(
                project_dir=str(self._output_dir), logging_dir=str(self._output_dir / LOG_FOLDER)
            ),
            # Each process keeps its own running statistics: a broadcast before every forward pass would overwrite
            # tensors that the backward pass of an earlier one needs. Those of the main process are saved.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        return self.accelerator

    def end(self) -> None:
        """Finishes the logs and frees the memory."""
        if self.accelerator is not None:
            for tracker in self.accelerator.trackers:
                tracker.finish()
            # A network wrapped for distributed training must not outlive the process group: the exit would crash.
            self.accelerator.free_memory()
        gc.collect()


@contextmanager
def session(args: TrainingArguments, resume: Path | None) -> Iterator[Session]:
    r"""
    Connects the processes of a run, holds its folder and sets up its logs, without changing files of an earlier run.
    Restores the global state of the process at the end.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        resume (`Path`, *optional*):
            Checkpoint to resume from.

    Yields:
        [`Session`]: the connected processes.

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
            run = Session(args, resume)
            try:
                with alone_in(output_dir):
                    check_place_for_run(output_dir)
                    if resume is None and not args.overwrite_output_dir:
                        check_no_run(output_dir)
                    yield run
            finally:
                run.end()
    finally:
        if shows_progress:
            transformers_logging.enable_progress_bar()


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
