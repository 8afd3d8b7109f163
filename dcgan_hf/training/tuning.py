# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Precision and ways of the convolutions of a run: given, repeated from a checkpoint, or chosen by measuring."""

import copy
import logging
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ..data.loaders import Shard
from ..hardware import has_fast_bf16, precision_of_device, precision_of_the_launcher
from ..kernels.autotune import all_have_winograd, choose_precision, choose_ways, recorded_convolutions
from ..kernels.convolutions import ConvolutionShape
from ..processes import from_main_process
from .arguments import TrainingArguments
from .checkpoint_files import read_state
from .task import Task


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
    args: TrainingArguments, task: Task, shard: Shard, device: torch.device, resume: Path | None = None
) -> Tuning:
    r"""
    Chooses precision and convolutions of a run, the same in all its processes. With `autotune`, it measures on the CPU.
    A resumed run repeats the choice of the checkpoint, and with it the rounding errors.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        task ([`Task`]):
            Kind of training, which knows its images.
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
    was_tuned = "convolutions" in before and before["device"] == "cpu"
    if given is not None and was_tuned and given == before["mixed_precision"]:
        ways = before["convolutions"]
        if not all_have_winograd() and any(way.startswith("winograd") for way in ways.values()):
            logger.warning(
                "This machine cannot compute the convolutions like the checkpoint's, for want of a C++ compiler: the"
                " result will differ slightly from that of an uninterrupted run."
            )
        return Tuning(given, ways)
    started = time.perf_counter()
    shapes = _convolutions_of(task, args.resolution, shard, given)
    precisions = [given] if given else from_main_process(_worthwhile_precisions)
    totals, ways_in = choose_ways(shapes, args.train_batch_size, precisions)
    precision = choose_precision(totals)
    message = "" if given else "single precision, " if precision == "no" else "bf16, "
    if len(totals) > 1:
        message = f"bf16 {totals['no'] / totals['bf16']:.1f}x as fast as fp32 here: {message}"
    counts = Counter(ways_in[precision].get(str(shape), "pytorch") for shape in shapes)
    message += "convolutions: " + ", ".join(f"{n} {way}" for way, n in counts.items())
    logger.info(f"Autotune ({time.perf_counter() - started:.1f} s): {message}")
    return Tuning(precision, ways_in[precision])


def _worthwhile_precisions() -> list[str]:
    return ["no", "bf16"] if has_fast_bf16(torch.device("cpu")) else ["no"]


def _copy(network: nn.Module) -> nn.Module:
    """Copies a network. PyTorch does not copy computed tensors, which old weight normalisations have."""
    attributes = (value for module in network.modules() for value in vars(module).values())
    computed = [value for value in attributes if isinstance(value, torch.Tensor) and not value.is_leaf]
    return copy.deepcopy(network, {id(value): value.detach().clone() for value in computed})


def _convolutions_of(task: Task, resolution: int, shard: Shard, given: str | None) -> list[ConvolutionShape]:
    """
    Passes black images, because opening a stream takes long, through copies of the networks that the run trains: layers
    may initialise themselves from the first images that they see.
    """
    size = (shard.batch_size, task.num_channels, resolution, resolution)
    black = {"pixel_values": torch.zeros(size, dtype=torch.uint8)}
    if task.label_shape is not None:
        black["class_labels"] = torch.zeros(shard.batch_size, *task.label_shape, dtype=torch.long)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=given == "bf16")
    with torch.random.fork_rng(), recorded_convolutions() as shapes, autocast:
        batch = task.prepare([black] * task.batches_per_update, 0, shard)[0]
        generator, discriminator = (_copy(network).to("cpu").eval() for network in task.make_networks())
        generator(*batch.generator_inputs)
        if task.trains_discriminator(task.discriminator_start):
            discriminator(batch.pixel_values, batch.class_labels)
    return shapes
