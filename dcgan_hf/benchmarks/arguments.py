# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of `dcgan benchmark`."""

from dataclasses import dataclass
from typing import Literal

from ..flags import DeviceArguments, check_values, flag


@dataclass(kw_only=True)
class BenchmarkArguments(DeviceArguments):
    r"""
    Arguments of a benchmark of training on this machine.

    Raises:
        ValueError: if an argument is out of range or has no effect.
    """

    resolution: int = flag(
        64, "Width and height of the images in pixels, a power of 2.", group="Common", range="[16, 256]"
    )
    train_batch_size: int = flag(128, "Batch size.", group="Common", range="[2, inf)")
    num_channels: Literal[1, 3] = flag(3, "Number of image channels: 1 (grey) or 3 (RGB).", group="Common")
    hidden_size: int = flag(
        64, "Number of channels of the convolutions next to the image.", group="Common", range="[1, 1024]"
    )
    rounds: int = flag(12, "Number of timings of each loop.", group="Common", range="[2, inf)")
    output_dir: str | None = flag(
        None, "Output folder for `benchmark.json` or, with `--gpu_check`, `gpu_check.json`.", group="Common"
    )
    gpu_check: bool = flag(
        False,
        "Check the GPUs instead: train in every precision, eager and compiled, compare with the CPU, resume, and train"
        " on all of them.",
        group="Common",
    )
    steps: int = flag(200, "Number of updates of each training of the check.", group="Common", range="[8, inf)")

    def __post_init__(self) -> None:
        check_values(self)
        if self.resolution & (self.resolution - 1):
            raise ValueError(f"`resolution` must be a power of 2, got {self.resolution}.")
        if self.gpu_check and self.rounds != 12:
            raise ValueError("`rounds` has no effect with `gpu_check`, whose trainings have a number of `steps`.")
        if self.gpu_check and self.num_channels != 3:
            raise ValueError("`num_channels` has no effect with `gpu_check`, which trains on RGB images.")
        if not self.gpu_check and self.steps != 200:
            raise ValueError("`steps` has no effect without `gpu_check`. Pass `rounds`.")
