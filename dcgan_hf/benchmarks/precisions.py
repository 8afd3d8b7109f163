# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Trainings in each precision, eager and compiled, on the same images and latents as one on the CPU."""

import math
import time
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch

from ..data.procedural_faces import drawn_faces
from ..hardware import num_usable_cores, peak_memory
from ..processes import restored_globals
from ..training.batches import LatentSampler, normal_latents
from ..training.generation_arguments import DCGANTrainingArguments
from ..training.recipes import arguments_from_recipe
from .arguments import BenchmarkArguments
from .loops import make_engine
from .turns import wait_for


# First updates, whose losses are compared. After them, rounding errors grow to any size.
NUM_COMPARED = 5
NUM_BATCHES = 4
# The default, 65,536, may be too large for the first updates, which would be skipped: nothing could be compared.
_FIRST_LOSS_SCALE = 1024.0


class Precision(NamedTuple):
    """Settings of a precision, and the largest difference of its losses from the CPU's that rounding explains."""

    mixed_precision: str
    allow_tf32: bool
    tolerance: float


# On CPUs, two ways to compute in fp32 differed by up to 0.007, bf16 from fp32 by up to 0.02. The other bounds are guesses.
PRECISIONS = {
    "fp32": Precision("no", False, 0.02),
    "TF32": Precision("no", True, 0.05),
    "bf16": Precision("bf16", False, 0.1),
    "fp16": Precision("fp16", False, 0.05),
}
# How networks are executed: options of `torch.compile`, if they are compiled.
EXECUTIONS: dict[str, dict[str, Any] | None] = {
    "eager": None,
    "compiled": {},
    "CUDA graphs": {"mode": "reduce-overhead"},
}


def draw_images(number: int, resolution: int) -> np.ndarray:
    """Draws faces: uint8 of shape `(number, resolution, resolution, 3)`, always the same."""
    images: list[PIL.Image.Image] = [row["image"] for row in drawn_faces(seed=0, number=number)]
    return np.stack([np.asarray(image.resize((resolution, resolution))) for image in images])


def training_arguments(args: BenchmarkArguments, **changes: Any) -> DCGANTrainingArguments:
    """Returns the arguments of the check's trainings: the paper's values, and the default average of the generator."""
    sizes = {name: getattr(args, name) for name in ("resolution", "train_batch_size", "hidden_size", "use_cpu")}
    return arguments_from_recipe(
        DCGANTrainingArguments, "celeba", sizes | {"use_ema": True, "autotune": "off"} | changes
    )


def train(
    args: BenchmarkArguments, precision: str, compile_options: dict[str, Any] | None, steps: int, images: np.ndarray
) -> dict[str, Any]:
    r"""
    Trains in this process, whose settings it changes. The second half of the updates is timed.

    Args:
        args ([`BenchmarkArguments`]):
            Sizes, and `use_cpu`.
        precision (`str`):
            Key of `PRECISIONS`.
        compile_options (`dict[str, Any]`, *optional*):
            Options of `torch.compile`. By default the networks are not compiled.
        steps (`int`):
            Number of updates.
        images (`np.ndarray`):
            Training images, see [`draw_images`].

    Returns:
        `dict[str, Any]`: speed, memory, losses, and whether they are finite and all weights have moved.
    """
    settings = PRECISIONS[precision]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = settings.allow_tf32
    with restored_globals():
        torch.set_num_threads(num_usable_cores())
        options = training_arguments(args, mixed_precision=settings.mixed_precision)
        engine = make_engine(options, 3, _latents_of_the_cpu(options.latent_dim))
        device, scaler = engine.gan.accelerator.device, engine.gan.accelerator.scaler
        before = peak_memory(device)
        if scaler is not None:
            scaler.scale(torch.zeros((), device=device))  # makes the scale
            scaler.update(new_scale=_FIRST_LOSS_SCALE)
        networks = (engine.generator, engine.discriminator)
        parameters = [parameter for network in networks for parameter in network.parameters()]
        at_start = [parameter.detach().clone() for parameter in parameters]
        if compile_options is not None:
            for network in networks:
                network.compile(**compile_options)
        batches = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device).split(args.train_batch_size)
        engine.start(steps)
        losses: list[torch.Tensor] = []
        moments = [time.perf_counter()]
        for step in range(steps):
            statistics = engine.update([{"pixel_values": batches[step % len(batches)]}], step)
            losses.append(torch.stack([statistics["discriminator_loss"], statistics["generator_loss"]]))
            if step + 1 in (1, steps - steps // 2, steps):
                wait_for(device)
                moments.append(time.perf_counter())
        values = torch.stack(losses).tolist()
        return {
            "images_per_second": steps // 2 * args.train_batch_size / (moments[-1] - moments[-2]),
            "first_update_seconds": moments[1] - moments[0],
            "peak_memory_bytes": peak_memory(device) - (before if device.type == "cpu" else 0),
            "first_losses": values[:NUM_COMPARED],
            "final_losses": [round(loss, 4) if math.isfinite(loss) else str(loss) for loss in values[-1]],
            "is_finite": all(math.isfinite(loss) for pair in values for loss in pair),
            "has_moved": not any(torch.equal(was, now) for was, now in zip(at_start, parameters)),
        }


def _latents_of_the_cpu(latent_dim: int) -> LatentSampler:
    """Returns a sampler that draws the latents of the first updates on the CPU: a GPU would draw other numbers."""
    draws, sample_on_device = count(), normal_latents(latent_dim)

    def sample(num_images: int, generator: torch.Generator) -> torch.Tensor:
        if next(draws) >= NUM_COMPARED:
            return sample_on_device(num_images, generator)
        on_cpu = torch.Generator().manual_seed(generator.initial_seed())
        return sample_on_device(num_images, on_cpu).to(generator.device)

    return sample


def largest_difference(losses: list[list[float]], reference: list[list[float]]) -> float:
    """Returns the largest difference of two curves of losses, relative to losses above 1. NaN if a loss is NaN."""
    found, wanted = torch.tensor(losses[: len(reference)]), torch.tensor(reference)
    return ((found - wanted).abs() / wanted.abs().clamp(min=1)).max().item()
