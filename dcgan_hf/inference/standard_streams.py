# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Upscaling of one image from the standard input to the standard output."""

import io
import logging
from typing import IO

from ..pictures import encode_picture
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import num_processes
from .arguments import UpscalingArguments
from .image_reading import plan_image, read_image
from .image_writing import ready_to_save
from .output_size import enlarge
from .upscaling_progress import PixelBar, ready_to_enlarge


logger = logging.getLogger(__name__)

_NAME = "image on the standard input"


def upscale_stream(
    pipe: DCGANSuperResolutionPipeline, source: IO[bytes], target: IO[bytes], args: UpscalingArguments
) -> None:
    r"""
    Reads an image, upscales it and writes the result, whose format and metadata are those of the image.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        source (`IO[bytes]`):
            File to read to its end.
        target (`IO[bytes]`):
            File to write, only when the result is complete.
        args ([`UpscalingArguments`]):
            Size and format of the result, and tile size.

    Raises:
        ValueError: if the image cannot be read, upscaled or saved, or if several processes would read it.
    """
    if num_processes() > 1:
        raise ValueError(f"`inputs=-` is one image, and cannot be divided among {num_processes()} processes.")
    content = io.BytesIO(source.read())
    plan = plan_image(content, _NAME, pipe.generator.config, args)
    for loss in plan.losses:
        logger.warning(f"{_NAME}: {loss}")
    image, facts = read_image(content, _NAME, plan.file_format)
    enlarging = ready_to_enlarge(pipe, 1, plan.size.num_pixels, args)
    progress_bar = PixelBar(plan.size.num_pixels)
    images = [image]
    del image  # held by the list alone, which is emptied
    (large,) = enlarge(enlarging, images, args, progress_bar.update)
    progress_bar.close()
    large, options = ready_to_save(large, facts, plan.file_format, _NAME)
    encoded = io.BytesIO()
    encode_picture(large, encoded, plan.file_format, **options)
    target.write(encoded.getbuffer())
    target.flush()
