# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Super-resolution benchmark: the pipeline, with and without tiling, against one pass of the bare network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dcgan_hf import DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator, DCGANSuperResolutionPipeline
from dcgan_hf.benchmarks.records import markdown_table

from .ways import WAY_COLUMNS, time_ways, way_cells


# A batch of low-resolution images, and a photograph.
SHAPES = ((64, 3, 16, 16), (1, 3, 360, 480))
SCALE_FACTOR = 4


def super_resolution_benchmark(
    shapes: tuple[tuple[int, ...], ...], rounds: int, device: torch.device, has_bf16: bool
) -> list[dict[str, Any]]:
    """Times ways of upscaling the same images by a factor of 4."""
    torch.manual_seed(0)
    results = []
    for dtype in [torch.float32, *([torch.bfloat16] if has_bf16 else [])]:
        generator = DCGANSuperResolutionGenerator(DCGANSuperResolutionConfig(scale_factor=SCALE_FACTOR)).eval()
        pipe = DCGANSuperResolutionPipeline(generator.to(device, dtype, memory_format=torch.channels_last))
        pipe.set_progress_bar_config(disable=True)
        for shape in shapes:
            images = torch.rand(shape)
            ways: dict[str, Callable[[], Any]] = {"network": partial(_bare, pipe.generator, images.to(device))}
            if len(images) > 1:
                ways["pipeline"] = partial(pipe, images)
            else:
                for size in (64, 128, 256, 512):
                    ways[f"pipeline, tiles of {size}"] = partial(pipe, images, tile_size=size)
            facts = {"precision": str(dtype).removeprefix("torch."), "shape": list(shape)}
            results += [facts | row for row in time_ways(ways, len(images), rounds, device)]
    return results


@torch.no_grad()
def _bare(generator: DCGANSuperResolutionGenerator, images: torch.Tensor) -> None:
    generator((2 * images - 1).contiguous(memory_format=torch.channels_last))


def super_resolution_table(results: list[dict[str, Any]]) -> str:
    """Returns a table of the results."""
    rows = []
    for row in results:
        number, _, height, width = row["shape"]
        megapixels = row["images_per_second"] * height * width * SCALE_FACTOR**2 / 1e6
        cells = [f"{row['way']}, {row['precision']}", f"{number} of {width}x{height}"]
        rows.append([*cells, *way_cells(row), f"{megapixels:.2f}"])
    return markdown_table(["method", "images", *WAY_COLUMNS, "megapixels/s"], rows)
