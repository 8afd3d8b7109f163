# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for generating and upscaling many images."""

import re
from dataclasses import dataclass
from typing import Literal

from ..flags import check_values, flag


MAX_OUTSCALE = 16  # beyond, hardly a pixel of the result would come from the photograph


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

    output_dir: str = flag("upscaled", "Folder for the upscaled images, which keep their names.", group="Common")
    suffix: str | None = flag(
        None,
        "Text added to the names: '_x2' makes photo_x2.jpg of photo.jpg. With it, results can lie beside their sources.",
    )
    overwrite: bool = flag(False, "Replace files that this command did not make, but never a source.")
    video: bool = flag(
        False,
        "The inputs are videos: upscale them frame by frame, and keep their sound. Results are H.264, whose width and"
        " height are even: odd ones are reduced by a pixel.",
        group="Common",
    )
    outscale: float | None = flag(
        None,
        "Factor of the size, such as 1.5 (default: the model's). The model is applied as often as needed, and its result"
        " reduced to the exact size. If the result is no larger than the source, the model is not applied.",
        group="Common",
        range=f"(0, {MAX_OUTSCALE}]",
    )
    width: int | None = flag(None, "Width in pixels, instead of a factor.", group="Common", range="[1, inf)")
    height: int | None = flag(None, "Height in pixels, instead of a factor.", group="Common", range="[1, inf)")
    image_format: Literal["same", "png", "jpeg", "webp", "tiff"] = flag(
        "same",
        "Format of the upscaled images. 'same' is that of each source, or PNG if it cannot be written. JPEG and WebP have"
        " a quality of 95.",
    )
    tile_size: int = flag(
        256,
        "Width and height of the tiles that larger images are split into, which bounds memory use.",
        range="[1, inf)",
    )
    batch_size: int = flag(8, "Batch size per process.", range="[1, inf)")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = flag(
        "auto",
        "Data type of the weights. 'auto' is that of the model or, before long work, bfloat16 if it is measured to be"
        " faster here.",
        group="Machine",
    )
    self_ensemble: bool = flag(
        False, "Average the results for each image flipped and turned in all 8 ways, in 8 times the time."
    )

    def __post_init__(self) -> None:
        check_values(self)
        given = [name for name in ("outscale", "width", "height") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"`{given[0]}` and `{given[1]}` exclude each other: both set the size.")
        if self.video and self.image_format != "same":
            raise ValueError(
                f"`image_format={self.image_format}` has no effect with `video`, whose results are H.264."
            )
        if self.suffix is not None and not re.fullmatch(r"[\w.@+-]+", self.suffix):
            raise ValueError(f"`suffix={self.suffix}` must consist of letters, digits and . _ @ + -.")
