# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Super-resolution benchmark: the pipeline, with and without tiling, against one pass of the bare network and Pillow."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import PIL.Image
import torch

from dcgan_hf import DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator, DCGANSuperResolutionPipeline
from dcgan_hf.benchmarks.records import markdown_table
from dcgan_hf.training.recipes import arguments_from_recipe
from dcgan_hf.training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments

from .ways import WAY_COLUMNS, time_ways, way_cells


# A batch of low-resolution images, and a photograph.
SHAPES = ((64, 3, 16, 16), (1, 3, 360, 480))
RECIPES = ("x2", "x4")


def networks() -> dict[str, DCGANSuperResolutionConfig]:
    """Returns the networks that are timed: the default one, and those of recipes."""
    arguments = {
        name: arguments_from_recipe(DCGANSuperResolutionTrainingArguments, name, {"output_dir": "unused"})
        for name in RECIPES
    }
    return {"default x4": DCGANSuperResolutionConfig()} | {
        f"recipe {name}": args.network_configs(num_channels=3)[0] for name, args in arguments.items()
    }


def super_resolution_benchmark(
    shapes: tuple[tuple[int, ...], ...], rounds: int, device: torch.device, has_bf16: bool
) -> list[dict[str, Any]]:
    """Times ways of upscaling the same images."""
    torch.manual_seed(0)
    results = []
    for name, config in networks().items():
        for dtype in [torch.float32, *([torch.bfloat16] if has_bf16 else [])]:
            generator = DCGANSuperResolutionGenerator(config).eval()
            pipe = DCGANSuperResolutionPipeline(generator.to(device, dtype, memory_format=torch.channels_last))
            pipe.set_progress_bar_config(disable=True)
            for shape in shapes:
                facts = {"network": name, "scale_factor": config.scale_factor, "shape": list(shape)}
                facts |= {"precision": str(dtype).removeprefix("torch.")}
                results += [facts | row for row in time_ways(_ways(pipe, shape), shape[0], rounds, device)]
    return results


def _ways(pipe: DCGANSuperResolutionPipeline, shape: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    images = torch.rand(shape)
    ways: dict[str, Callable[[], Any]] = {"network": partial(_bare, pipe.generator, images.to(pipe.device))}
    if len(images) > 1:
        return ways | {"pipeline": partial(pipe, images)}
    for size in (64, 128, 256, 512):
        ways[f"pipeline, tiles of {size}"] = partial(pipe, images, tile_size=size)
    ways["pipeline, self-ensemble"] = partial(pipe, images, self_ensemble=True)
    photo = PIL.Image.fromarray((images[0].permute(1, 2, 0) * 255).numpy().astype(np.uint8))
    scale = pipe.generator.config.scale_factor
    size_of_result = (scale * photo.width, scale * photo.height)
    ways["Pillow, bicubic"] = partial(photo.resize, size_of_result, PIL.Image.Resampling.BICUBIC)
    return ways


@torch.no_grad()
def _bare(generator: DCGANSuperResolutionGenerator, images: torch.Tensor) -> None:
    generator((2 * images - 1).contiguous(memory_format=torch.channels_last))


def super_resolution_table(results: list[dict[str, Any]]) -> str:
    """Returns a table of the results."""
    rows = []
    for row in results:
        number, _, height, width = row["shape"]
        megapixels = row["images_per_second"] * height * width * row["scale_factor"] ** 2 / 1e6
        cells = [f"{row['network']}, {row['precision']}", row["way"], f"{number} of {width}x{height}"]
        rows.append([*cells, *way_cells(row), f"{megapixels:.2f}"])
    return markdown_table(["network", "way", "images", *WAY_COLUMNS, "megapixels/s"], rows)
