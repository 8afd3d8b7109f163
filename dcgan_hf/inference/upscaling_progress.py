# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Time that upscaling takes: shortened by a faster data type, told before it begins, and shown in pixels, so that one huge
image shows progress, too.
"""

import copy
import logging

import PIL.Image
import torch
from tqdm.auto import tqdm

from ..hardware import has_fast_bf16, seconds_of
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, from_main_process, num_processes
from .arguments import UpscalingArguments
from .pipelines import quiet


logger = logging.getLogger(__name__)

_MANY_TILES = 16  # fewer take little longer than measuring
_MIN_GAIN = 1.1  # of bfloat16, whose results can differ by a level


class PixelBar:
    r"""
    Progress bar that counts the pixels given to the network. In several processes, the first one counts for all.

    Args:
        total (`int`):
            Number of pixels of all processes.
    """

    def __init__(self, total: int):
        options = bar_options() if total else {"disable": True}
        self.remaining = total
        self.bar = tqdm(total=total, unit="px", unit_scale=True, **options)

    def update(self, num_pixels: int) -> None:
        """Counts pixels of this process."""
        counted = min(num_pixels * num_processes(), self.remaining)
        self.remaining -= counted
        self.bar.update(counted)

    def close(self) -> None:
        self.bar.close()


def ready_to_enlarge(
    pipe: DCGANSuperResolutionPipeline,
    num_images: int,
    num_pixels: int,
    args: UpscalingArguments,
    unit: str = "image",
) -> DCGANSuperResolutionPipeline:
    r"""
    Prepares a pipeline for work. If it will take long, measures a tile, in bfloat16 too unless the arguments name a data
    type, and logs about how long. All processes must call it: the first one is as slow as it will be beside the others.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model, which is not changed.
        num_images (`int`):
            Number of images.
        num_pixels (`int`):
            Number of pixels given to the network.
        args ([`UpscalingArguments`]):
            Data type, size of the tiles, and whether each is upscaled in all views.
        unit (`str`, *optional*, defaults to `"image"`):
            Word for an image.

    Returns:
        [`DCGANSuperResolutionPipeline`]: the model without progress bar, in the data type to use.
    """
    chosen = _in_dtype(pipe, pipe.generator.dtype if args.dtype == "auto" else getattr(torch, args.dtype))
    if num_pixels < _MANY_TILES * args.tile_size**2:
        return chosen
    seconds = _seconds_per_tile(chosen, args)
    if args.dtype == "auto" and chosen.generator.dtype == torch.float32 and has_fast_bf16(chosen.device):
        half = _in_dtype(pipe, torch.bfloat16)
        half_seconds = _seconds_per_tile(half, args)
        if from_main_process(lambda: seconds > _MIN_GAIN * half_seconds):
            logger.info(f"bfloat16 is {seconds / half_seconds:.1f}x as fast as float32 here, and is used (`dtype`).")
            chosen, seconds = half, half_seconds
    images = f"{num_images:,} {unit}{'s' if num_images > 1 else ''}"
    megapixels = num_pixels / 1e6
    size = f"{megapixels:,.0f}" if megapixels > 10 else f"{megapixels:.1f}"
    time_needed = in_words(seconds * num_pixels / args.tile_size**2 / num_processes())
    logger.info(f"About {time_needed} for {images}, {size} megapixels.")
    return chosen


def _in_dtype(pipe: DCGANSuperResolutionPipeline, dtype: torch.dtype) -> DCGANSuperResolutionPipeline:
    """Returns a quiet pipeline whose generator has a data type: the same generator, or a copy."""
    made = quiet(pipe)
    if made.generator.dtype != dtype:
        made.register_modules(generator=copy.deepcopy(made.generator).to(dtype=dtype))
    return made


def _seconds_per_tile(pipe: DCGANSuperResolutionPipeline, args: UpscalingArguments) -> float:
    config = pipe.generator.config
    side = args.tile_size + 2 * config.receptive_radius
    tile = PIL.Image.new("L" if config.num_channels == 1 else "RGB", (side, side))
    pipe(tile, side, self_ensemble=args.self_ensemble)  # the first call takes longer
    return seconds_of(lambda: pipe(tile, side, self_ensemble=args.self_ensemble))


def in_words(seconds: float) -> str:
    """Returns a duration, rounded."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
