# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Time that upscaling takes: told before it begins, and shown in pixels, so that one huge image shows progress, too."""

import logging
import time

import PIL.Image
from tqdm.auto import tqdm

from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, num_processes
from .arguments import UpscalingArguments


logger = logging.getLogger(__name__)

_MANY_TILES = 16  # fewer take little longer than measuring


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


def tell_time(
    pipe: DCGANSuperResolutionPipeline,
    num_images: int,
    num_pixels: int,
    args: UpscalingArguments,
    unit: str = "image",
) -> None:
    r"""
    Logs about how long the network takes, measured on a tile. Does nothing if it is not long. All processes must call it:
    the first one is as slow as it will be beside the others.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        num_images (`int`):
            Number of images.
        num_pixels (`int`):
            Number of pixels given to the network.
        args ([`UpscalingArguments`]):
            Size of the tiles, and whether each is upscaled in all views.
        unit (`str`, *optional*, defaults to `"image"`):
            Word for an image.
    """
    tile_size = args.tile_size
    if num_pixels < _MANY_TILES * tile_size**2:
        return
    config = pipe.generator.config
    side = tile_size + 2 * config.receptive_radius
    tile = PIL.Image.new("L" if config.num_channels == 1 else "RGB", (side, side))
    pipe(tile, side, self_ensemble=args.self_ensemble)  # the first call takes longer
    start = time.perf_counter()
    pipe(tile, side, self_ensemble=args.self_ensemble)
    seconds = (time.perf_counter() - start) * num_pixels / tile_size**2 / num_processes()
    images = f"{num_images:,} {unit}{'s' if num_images > 1 else ''}"
    megapixels = num_pixels / 1e6
    size = f"{megapixels:,.0f}" if megapixels > 10 else f"{megapixels:.1f}"
    logger.info(f"About {in_words(seconds)} for {images}, {size} megapixels.")


def in_words(seconds: float) -> str:
    """Returns a duration, rounded."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
