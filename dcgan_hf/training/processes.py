# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Connects the processes of a run, each on its device and in its precision."""

import os
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.tracking import GeneralTracker
from accelerate.utils import InitProcessGroupKwargs, ProjectConfiguration

from ..hardware import cores_of_a_process, default_mixed_precision, keep_freed_memory
from .argument_checks import check_precision
from .arguments import TrainingArguments


def make_accelerator(args: TrainingArguments, output_dir: Path, log: GeneralTracker) -> Accelerator:
    r"""
    Makes the Accelerator of a run and settles how it uses the machine: precision, threads and memory.

    Args:
        args ([`TrainingArguments`]):
            The arguments.
        output_dir (`Path`):
            Folder of the run.
        log (`GeneralTracker`):
            What to log to, besides what the arguments say.

    Raises:
        ValueError: if the arguments do not go with the device, or if the launcher's processes cannot be connected.
    """
    keep_freed_memory()
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision or default_mixed_precision(args.use_cpu),
        # Without this, Accelerate would not connect the processes that torchrun starts on a machine without a GPU.
        cpu=args.use_cpu or not torch.accelerator.is_available(),
        log_with=[log] + ([args.report_to] if args.report_to != "none" else []),
        project_config=ProjectConfiguration(project_dir=str(output_dir), logging_dir=str(output_dir / "logs")),
        kwargs_handlers=[
            # Each process keeps its own running statistics: broadcasting them before every forward pass would change
            # what the backward pass of an earlier one needs. What is saved are those of the main process.
            DistributedDataParallelKwargs(broadcast_buffers=False),
            # The others wait for the process that downloads and prepares the data set.
            InitProcessGroupKwargs(timeout=timedelta(hours=6)),
        ],
    )
    if accelerator.num_processes != int(os.environ.get("WORLD_SIZE", 1)):
        raise ValueError(
            f"The launcher started {os.environ['WORLD_SIZE']} processes, but Accelerate connects"
            f" {accelerator.num_processes}: they would write over each other's results."
        )
    check_precision(args, accelerator.mixed_precision, accelerator.device)
    if accelerator.device.type == "cpu":
        torch.set_num_threads(args.num_cpu_threads or cores_of_a_process())
    return accelerator
