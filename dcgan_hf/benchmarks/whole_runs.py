# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Trainings with the real trainer: one that is resumed half way, and ones on several processes."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import torch
from torch import nn

from ..training.generation import DCGANTrainer
from .arguments import BenchmarkArguments
from .own_process import LIMIT_SECONDS, Failure, first_line
from .precisions import NUM_BATCHES, training_arguments


# Enough for Adam, the average of the generator and the data order to matter.
_RESUMED_STEPS = 20


def as_dataset(images: np.ndarray) -> datasets.Dataset:
    """Returns images as a dataset that a trainer takes."""
    rows = [{"image": PIL.Image.fromarray(pixels)} for pixels in images]
    return datasets.Dataset.from_list(rows, features=datasets.Features({"image": datasets.Image()}))


def compare_resumed(args: BenchmarkArguments, images: np.ndarray) -> dict[str, float]:
    r"""
    Trains twice without interruption, and once more from the first run's checkpoint half way.

    Args:
        args ([`BenchmarkArguments`]):
            Sizes, and `use_cpu`.
        images (`np.ndarray`):
            Training images, see [`draw_images`].

    Returns:
        `dict[str, float]`: largest difference of any weight of the `"repeated"` and the `"resumed"` run from the first.
    """
    steps = min(_RESUMED_STEPS, args.steps - args.steps % 2)
    dataset = as_dataset(images)
    with tempfile.TemporaryDirectory() as folder:

        def train(name: str, resume: str | None = None) -> torch.Tensor:
            options = training_arguments(
                args, output_dir=f"{folder}/{name}", max_train_steps=steps, checkpointing_steps=steps // 2
            )
            trainer = DCGANTrainer(options, train_dataset=dataset)
            trainer.train(resume)
            return torch.cat([_weights(network) for network in trainer.pipeline.components.values()])

        whole, repeated = train("whole"), train("repeated")
        resumed = train("resumed", f"{folder}/whole/checkpoint-{steps // 2}")
    return {
        "repeated": (repeated - whole).abs().max().item(),
        "resumed": (resumed - whole).abs().max().item(),
    }


def _weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([values.detach().double().flatten().cpu() for values in network.state_dict().values()])


def train_on_processes(args: BenchmarkArguments, number: int) -> dict[str, Any]:
    r"""
    Trains on several processes, which torchrun starts.

    Args:
        args ([`BenchmarkArguments`]):
            Sizes, number of steps, and `use_cpu`.
        number (`int`):
            Number of processes, one per GPU.

    Returns:
        `dict[str, Any]`: `"images_per_second"` of all together, and whether their weights `"are_equal"` at the end.

    Raises:
        Failure: if the run fails or takes longer than half an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        steps = args.steps - args.steps % 2
        options = training_arguments(args, output_dir=f"{folder}/run", max_train_steps=steps, logging_steps=steps // 2)
        plan, result = Path(folder) / "plan.json", Path(folder) / "result.json"
        plan.write_text(json.dumps(dataclasses.asdict(options)))
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={number}"]
        words = ["-m", "dcgan_hf.benchmarks.process_of_run", str(plan), str(NUM_BATCHES * number), str(result)]
        process = subprocess.Popen([*launch, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its processes
            process.communicate()
            raise Failure(f"no result after {LIMIT_SECONDS // 60} minutes") from None
        if process.returncode:
            lines = [line for line in errors.splitlines() if "Error: " in line] or errors.splitlines()[-1:]
            raise Failure(first_line(lines[0]))
        return json.loads(result.read_text())
