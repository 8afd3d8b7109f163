# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Times super-resolution: the pipeline, in tiles and not, against one pass of the bare network."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dcgan_hf import DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator, DCGANSuperResolutionPipeline


# A batch of small images, and a photograph.
SHAPES = ((64, 3, 16, 16), (1, 3, 360, 480))


def super_resolution_benchmark(
    shapes: tuple[tuple[int, ...], ...], rounds: int, device: torch.device, has_bf16: bool
) -> list[dict[str, Any]]:
    """Times ways to make the same images four times as wide and high, which take turns."""
    torch.manual_seed(0)
    results = []
    for dtype in [torch.float32, *([torch.bfloat16] if has_bf16 else [])]:
        generator = DCGANSuperResolutionGenerator(DCGANSuperResolutionConfig(scale_factor=4)).eval()
        pipe = DCGANSuperResolutionPipeline(generator.to(device, dtype, memory_format=torch.channels_last))
        pipe.set_progress_bar_config(disable=True)
        for shape in shapes:
            images = torch.rand(shape)
            ways: dict[str, Callable[[], Any]] = {
                "network": partial(_bare, pipe.generator, images.to(device)),
                "pipeline": partial(pipe, images),
            }
            if len(images) == 1:
                ways |= {
                    f"pipeline, tiles of {size}": partial(pipe, images, tile_size=size) for size in (64, 128, 512)
                }
                ways["pipeline, tiles of 256"] = ways.pop("pipeline")
            results += _time(ways, images, str(dtype).removeprefix("torch."), rounds)
    return results


@torch.no_grad()
def _bare(generator: DCGANSuperResolutionGenerator, images: torch.Tensor) -> None:
    generator((2 * images - 1).contiguous(memory_format=torch.channels_last))


def _time(
    ways: dict[str, Callable[[], Any]], images: torch.Tensor, precision: str, rounds: int
) -> list[dict[str, Any]]:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, enlarge in ways.items():
            started = time.perf_counter()
            enlarge()
            if images.device.type != "cpu":
                torch.accelerator.synchronize()
            seconds[way].append(time.perf_counter() - started)
    rows = []
    for way in ways:
        low, median, high = statistics.quantiles(seconds[way][1:], n=4, method="inclusive")  # one more for warm-up
        rows.append(
            {
                "way": way,
                "precision": precision,
                "shape": list(images.shape),
                "seconds": median,
                "quartiles": [low, high],
                "images_per_second": len(images) / median,
                "megapixels_per_second": 16 * images[:, 0].numel() / median / 1e6,
                "ratio": median / statistics.median(seconds["network"][1:]),
            }
        )
    return rows


def super_resolution_table(results: list[dict[str, Any]]) -> str:
    columns = ["way", "images", "ms (quartiles)", "images/s", "megapixels/s", "time, of the bare network's"]
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for row in results:
        low, high = row["quartiles"]
        number, _, height, width = row["shape"]
        lines.append(
            f"| {row['way']}, {row['precision']} | {number} of {width}x{height}"
            f" | {row['seconds'] * 1e3:.0f} ({low * 1e3:.0f}-{high * 1e3:.0f}) | {row['images_per_second']:,.1f}"
            f" | {row['megapixels_per_second']:.2f} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines)
