# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Times sampling: the bare network against the pipeline, as it is loaded and made for speed."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline


def sampling_benchmark(
    resolution: int, batch_sizes: list[int], rounds: int, device: torch.device, has_bf16: bool
) -> list[dict[str, Any]]:
    """Times ways to make images, which take turns."""
    torch.manual_seed(0)
    pipes = {"": DCGANPipeline(DCGANGenerator(DCGANGeneratorConfig(image_size=resolution)).eval())}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        if has_bf16 or name != "bf16":
            generator = DCGANGenerator(DCGANGeneratorConfig(image_size=resolution)).eval()
            generator.to(dtype=dtype, memory_format=torch.channels_last).fuse()
            pipes[f"fused {name} "] = DCGANPipeline(generator)
    for pipe in pipes.values():
        pipe.to(device)
        pipe.set_progress_bar_config(disable=True)
    network = pipes[""].generator

    @torch.no_grad()
    def bare(batch_size: int) -> None:
        network(torch.randn(batch_size, 100, device=device))

    results = []
    for batch_size in batch_sizes:
        ways: dict[str, Callable[[], Any]] = {"network fp32": partial(bare, batch_size)}
        for name, pipe in pipes.items():
            for output_type in ("pt", "np", "pil"):
                ways[f"{name}pipeline {output_type}"] = partial(pipe, batch_size, output_type=output_type)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds + 2):
            for way, make in ways.items():
                started = time.perf_counter()
                make()
                if device.type != "cpu":
                    torch.accelerator.synchronize()
                seconds[way].append(time.perf_counter() - started)
        for way in ways:
            low, median, high = statistics.quantiles(seconds[way][2:], n=4, method="inclusive")  # two more for warm-up
            results.append(
                {
                    "way": way,
                    "resolution": resolution,
                    "batch_size": batch_size,
                    "seconds": median,
                    "quartiles": [low, high],
                    "images_per_second": batch_size / median,
                    "ratio": median / statistics.median(seconds["network fp32"][2:]),
                }
            )
    return results


def sampling_table(results: list[dict[str, Any]]) -> str:
    lines = ["| way | batch | ms (quartiles) | images/s | time, of the bare network's |", "| --- " * 5 + "|"]
    for row in results:
        low, high = row["quartiles"]
        lines.append(
            f"| {row['way']} | {row['batch_size']} | {row['seconds'] * 1e3:.1f} ({low * 1e3:.1f}-{high * 1e3:.1f})"
            f" | {row['images_per_second']:,.0f} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines)
