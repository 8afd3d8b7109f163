# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for generating and upscaling many images."""

from dataclasses import dataclass
from typing import Literal

from ..flags import check_values, flag


@dataclass(kw_only=True)
class GenerationArguments:
    r"""
    Arguments of [`generate`]. `dcgan generate --help` describes them.

    Raises:
        ValueError: if an argument is out of range.
    """

    output_dir: str = flag("generated", "Folder for the images.")
    num_images: int = flag(10_000, "Number of images to generate.", range="[1, inf)")
    seed: int = flag(0, "Base seed: image i uses `seed + i`.", range="[0, inf)")
    class_labels: list[str] | None = flag(
        None,
        "Classes, by name or id, used in turn (default: all classes of the model). With several attributes:"
        " `hair_color=red glasses=yes`; one named several times takes its values in turn, and those left out are drawn.",
    )
    truncation: float | None = flag(
        None, "Maximum absolute value of the latents (default: unbounded).", range="(0, inf)"
    )
    batch_size: int = flag(256, "Batch size per process.", range="[1, inf)")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(kw_only=True)
class UpscalingArguments:
    r"""
    Arguments of [`upscale`]. `dcgan upscale --help` describes them.

    Raises:
        ValueError: if an argument is out of range.
    """

    output_dir: str = flag("upscaled", "Folder for the upscaled images.")
    image_format: Literal["png", "jpeg", "webp"] = flag(
        "png", "Format of the upscaled images. Only 'png' is lossless."
    )
    tile_size: int = flag(
        256,
        "Width and height of the tiles that larger images are split into, which bounds memory use.",
        range="[1, inf)",
    )
    batch_size: int = flag(8, "Batch size per process.", range="[1, inf)")

    def __post_init__(self) -> None:
        check_values(self)
