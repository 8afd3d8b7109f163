# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sizes of upscaled images: any size, made by a network with a fixed factor and Lanczos resampling."""

from collections.abc import Callable
from typing import Any, NamedTuple

import PIL.Image

from ..image_processing_dcgan import convert_channels
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline, kept_info
from .arguments import MAX_OUTSCALE, UpscalingArguments


MAX_PIXELS = 2**30  # of an image in memory, which takes 4 GB


class SizePlan(NamedTuple):
    """
    Way to the size of a result.

    Args:
        size (`tuple[int, int]`):
            Width and height of the result.
        num_passes (`int`):
            Number of times that the network enlarges the image. Without, the result is no larger than the source.
        num_pixels (`int`):
            Number of pixels that the network is given.
    """

    size: tuple[int, int]
    num_passes: int
    num_pixels: int


def plan_size(source: tuple[int, int], scale_factor: int, args: UpscalingArguments) -> SizePlan:
    r"""
    Plans the size of a result: the wanted one or, if none is, `scale_factor` times the source.

    Args:
        source (`tuple[int, int]`):
            Width and height of the source, upright.
        scale_factor (`int`):
            Scale factor of the network.
        args ([`UpscalingArguments`]):
            The wanted `outscale`, `width` or `height`. Sizes of videos are even, as H.264 needs, and odd ones are
            reduced by a pixel.

    Raises:
        ValueError: if the size is beyond `MAX_OUTSCALE` times the source, or the way there beyond `MAX_PIXELS`.
    """
    width, height = source
    if args.width is not None:
        size = args.width, max(1, round(height * args.width / width))
    elif args.height is not None:
        size = max(1, round(width * args.height / height)), args.height
    else:
        outscale = scale_factor if args.outscale is None else args.outscale
        size = max(1, round(width * outscale)), max(1, round(height * outscale))
    if args.video:  # not enlarged by a pixel, which would take one more pass
        size = max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)
    factor = min(size[0] / width, size[1] / height)
    if factor > MAX_OUTSCALE:
        raise ValueError(
            f"a result of {size[0]} x {size[1]} pixels is {factor:.3g} times as large, and at most {MAX_OUTSCALE} times"
            " is possible"
        )
    num_passes = num_pixels = 0
    while width < size[0] or height < size[1]:
        num_pixels += width * height
        width, height, num_passes = scale_factor * width, scale_factor * height, num_passes + 1
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"the network would make {width} x {height} pixels, and at most {MAX_PIXELS / 1e6:,.0f} megapixels are"
            " possible"
        )
    return SizePlan(size, num_passes, num_pixels)


def enlarge(
    pipe: DCGANSuperResolutionPipeline,
    images: list[PIL.Image.Image],
    args: UpscalingArguments,
    callback: Callable[[int], None] | None = None,
) -> list[PIL.Image.Image]:
    r"""
    Makes images of the wanted size.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        images (`list[PIL.Image.Image]`):
            Images as [`~inference.image_reading.read_image`] returns them. The list is emptied on the way, to free
            memory.
        args ([`UpscalingArguments`]):
            The wanted size, and that of the tiles.
        callback (`Callable`, *optional*):
            See [`~DCGANSuperResolutionPipeline.__call__`].
    """
    # Planned again: some files give their orientation only after the pixels.
    plans = [plan_size(image.size, pipe.generator.config.scale_factor, args) for image in images]
    current: list[PIL.Image.Image] = []
    while images:
        current.append(images.pop(0))
    for number in range(1, max(plan.num_passes for plan in plans) + 1):
        chosen = [i for i, plan in enumerate(plans) if plan.num_passes >= number]
        (made,) = pipe(
            [current[i] for i in chosen],
            args.tile_size,
            return_dict=False,
            self_ensemble=args.self_ensemble,
            callback_on_tiles_end=callback,
        )
        for i in reversed(chosen):
            current[i] = made.pop()
    return [_resize(image, plan) for image, plan in zip(current, plans)]


def _resize(image: PIL.Image.Image, plan: SizePlan) -> PIL.Image.Image:
    """Returns an image in its planned size, and with the `info` of a result of the pipeline."""
    if plan.num_passes == 0:
        if image.mode.startswith("I") and "transparency" in image.info:
            image = convert_channels(image, 4).convert("LA")
        info: dict[Any, Any] = kept_info(image, b"RGB " if image.mode.startswith("R") else b"GRAY")
    else:
        info = image.info
    if image.size != plan.size:
        image = image.resize(plan.size, PIL.Image.Resampling.LANCZOS)
    image.info = info
    return image
