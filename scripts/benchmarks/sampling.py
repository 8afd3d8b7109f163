# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sampling benchmark: the bare network against the pipeline, as loaded and optimised for speed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.benchmarks.records import markdown_table

from .ways import WAY_COLUMNS, time_ways, way_cells


def sampling_benchmark(
    resolution: int, batch_sizes: list[int], rounds: int, device: torch.device, has_bf16: bool
) -> list[dict[str, Any]]:
    """Times ways of generating images."""
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
        rows = time_ways(ways, batch_size, rounds, device)
        results += [{"resolution": resolution, "batch_size": batch_size} | row for row in rows]
    return results


def sampling_table(results: list[dict[str, Any]]) -> str:
    """Returns a table of the results."""
    rows = [[row["way"], str(row["batch_size"]), *way_cells(row)] for row in results]
    return markdown_table(["method", "batch", *WAY_COLUMNS], rows)
