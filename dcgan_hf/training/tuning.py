# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Precision and ways of the convolutions of a run: given, repeated from a checkpoint, or chosen by measuring."""

import logging
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch

from ..data.loaders import Loader, Shard
from ..hardware import has_fast_bf16, precision_of_device, precision_of_the_launcher
from ..kernels.autotune import choose_precision, choose_ways, recorded_convolutions
from ..kernels.convolutions import ConvolutionShape
from ..kernels.tiles import library
from ..processes import from_main_process, gather
from .arguments import TrainingArguments
from .checkpoint_files import read_state
from .task import RawBatch, Task


logger = logging.getLogger(__name__)


class Tuning(NamedTuple):
    """Precision of a run, and ways of its convolutions other than PyTorch's, see [`FastConvolutions`]."""

    mixed_precision: str
    convolutions: dict[str, str]


def given_precision(args: TrainingArguments, resume: Path | None) -> str | None:
    """Returns the precision that a flag, the launcher or the checkpoint gives, or `None` if it is to be chosen."""
    before = read_state(resume)["arguments"].get("mixed_precision") if resume is not None else None
    return args.mixed_precision or precision_of_the_launcher() or before


def tune(
    args: TrainingArguments,
    task: Task,
    loader: Loader,
    shard: Shard,
    device: torch.device,
    resume: Path | None = None,
) -> Tuning:
    r"""
    Chooses precision and convolutions of a run, the same in all its processes. With `autotune`, it measures on the CPU.
    A resumed run repeats the choice of the checkpoint, and with it the rounding errors.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        task ([`Task`]):
            Kind of training, which knows its images.
        loader ([`Loader`]):
            Loader of the images, whose first batch is used.
        shard ([`Shard`]):
            Part of the data that belongs to this process.
        device (`torch.device`):
            Device of this process.
        resume (`Path`, *optional*):
            Checkpoint to resume from.
    """
    before = read_state(resume)["arguments"] if resume is not None else {}
    given = given_precision(args, resume)
    if device.type != "cpu" or args.autotune == "off":
        return Tuning(given or precision_of_device(device), {})
    has_library = all(gather([library() is not None]))
    was_tuned = "convolutions" in before and before["device"] == "cpu"
    if given is not None and was_tuned and given == before["mixed_precision"]:
        ways = before["convolutions"]
        if not has_library and any(way.startswith("winograd") for way in ways.values()):
            logger.warning(
                "This machine cannot compute the convolutions like the checkpoint's, for want of a C++ compiler: the"
                " result will differ slightly from that of an uninterrupted run."
            )
        return Tuning(given, ways)
    shapes = _convolutions_of(task, next(loader.batches(0)), shard, given)
    return from_main_process(lambda: _measure(shapes, args.train_batch_size, given, has_library))


def _convolutions_of(task: Task, raw_batch: RawBatch, shard: Shard, given: str | None) -> list[ConvolutionShape]:
    """Passes a batch through both networks. Evaluation mode leaves running statistics as they are."""
    batch = task.prepare([raw_batch] * task.batches_per_update, 0, shard)[0]
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=given == "bf16")
    with torch.random.fork_rng(), recorded_convolutions() as shapes, autocast:
        generator, discriminator = (network.to("cpu").eval() for network in task.make_networks())
        generator(*batch.generator_inputs)
        discriminator(batch.pixel_values, batch.class_labels)
    return shapes


def _measure(shapes: list[ConvolutionShape], batch_size: int, given: str | None, has_library: bool) -> Tuning:
    started = time.perf_counter()
    precisions = [given] if given else ["no", "bf16"] if has_fast_bf16(torch.device("cpu")) else ["no"]
    totals, ways = choose_ways(shapes, batch_size, precisions, has_library)
    precision = choose_precision(totals)
    message = "" if given else "single precision" if precision == "no" else "bf16"
    if len(totals) > 1:
        message = f"bf16 {totals['no'] / totals['bf16']:.1f}x as fast as fp32 here: {message}"
    counts = Counter(ways[precision].get(str(shape), "pytorch") for shape in shapes)
    message += (", " if message else "") + "convolutions: " + ", ".join(f"{n} {way}" for way, n in counts.items())
    logger.info(f"Autotune ({time.perf_counter() - started:.1f} s): {message}")
    return Tuning(precision, ways[precision])
