# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of what makes many images."""

from dataclasses import dataclass
from typing import Literal

from ..flags import check_values, flag


@dataclass(kw_only=True)
class GenerationArguments:
    r"""
    Arguments of [`generate`]. `dcgan generate --help` describes all.

    Raises:
        ValueError: if one is out of range.
    """

    output_dir: str = flag("generated", "Folder for the images.")
    num_images: int = flag(10_000, "Number of images.", range="[1, inf)")
    seed: int = flag(0, "Image number i has the seed `seed + i`.", range="[0, inf)")
    class_labels: list[str] | None = flag(
        None, "Classes, by name or id, which take turns: image number i has the i-th. By default all of the model."
    )
    truncation: float | None = flag(None, "Bound of the latents' absolute values.", range="(0, inf)")
    batch_size: int = flag(256, "Images that a process makes at once.", range="[1, inf)")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(kw_only=True)
class UpscalingArguments:
    r"""
    Arguments of [`upscale`]. `dcgan upscale --help` describes all.

    Raises:
        ValueError: if one is out of range.
    """

    output_dir: str = flag("upscaled", "Folder for the large images.")
    image_format: Literal["png", "jpeg", "webp"] = flag(
        "png", "Format of the large images. Only 'png' keeps every value."
    )
    tile_size: int = flag(
        256,
        "Width and height of the tiles that a larger image is cut into, so that memory is bounded.",
        range="[1, inf)",
    )
    batch_size: int = flag(8, "Images that a process enlarges at once.", range="[1, inf)")

    def __post_init__(self) -> None:
        check_values(self)
