# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that generate and upscale images."""

import sys
from dataclasses import MISSING, dataclass
from typing import Any, Literal

from ..flags import DeviceArguments, ModelArguments, flag
from ..imports import quick_imports
from ..inference.arguments import GenerationArguments, UpscalingArguments
from ..inference.inputs import STANDARD_INPUT, check_inputs
from .command import command, pick


@dataclass(kw_only=True)
class _TypedModelArguments(ModelArguments):
    dtype: Literal["float32", "bfloat16", "float16"] = flag("float32", "Data type of the weights.", group="Machine")


@dataclass(kw_only=True)
class _EnlargingModelArguments(ModelArguments):
    model: str = flag("dcgan-photos-x2", "Folder or Hub repository of a super-resolution pipeline.", group="Model")
    inputs: list[str] = flag(
        MISSING,
        "Image files, folders of images, and quoted patterns such as 'photos/**/*.jpg'. A lone - is an image on the"
        " standard input, whose result is written to the standard output. With --video, video files and folders.",
        group="Common",
        positional=True,
    )

    def __post_init__(self) -> None:
        check_inputs(self.inputs)


@command("generate", _TypedModelArguments, GenerationArguments, DeviceArguments)
def generate(given: dict[str, Any]) -> None:
    """Generate images and save them to a folder. Repeat the command to resume after an interruption."""
    args = pick(GenerationArguments, given)
    with quick_imports():
        from ..inference.generate import generate
        from ..pipeline_dcgan import DCGANPipeline
        from ..processes import is_main_process
        from .models import loaded

    with loaded(DCGANPipeline, given, instead="upscale") as pipe:
        folder = generate(pipe, args)
        if is_main_process():
            print(f"Images: {folder} ({args.num_images:,})")


@command("upscale", _EnlargingModelArguments, UpscalingArguments, DeviceArguments)
def upscale(given: dict[str, Any]) -> None:
    """Upscale photographs and videos, and keep names, formats and metadata. Repeat the command to resume after an
    interruption."""
    model, args = pick(_EnlargingModelArguments, given), pick(UpscalingArguments, given)
    is_stream, kind = model.inputs == [STANDARD_INPUT], "videos" if args.video else "images"
    if is_stream:
        _check_stream(given)
    if args.video:
        import imageio_ffmpeg  # noqa: F401  # an extra: missed before a model is loaded
    with quick_imports():
        from ..data.bad_images import first_reasons
        from ..inference.standard_streams import upscale_stream
        from ..inference.upscale import upscale
        from ..inference.video import upscale_videos
        from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
        from ..processes import is_main_process
        from .models import loaded

    # The data type is that of the work, not of the file.
    loading = {"model": model.model} | given | {"dtype": "float32"}
    with loaded(DCGANSuperResolutionPipeline, loading, instead="generate") as pipe:
        if is_stream:
            upscale_stream(pipe, sys.stdin.buffer, sys.stdout.buffer, args)
            return
        done = (upscale_videos if args.video else upscale)(pipe, model.inputs, args)
        if is_main_process():
            print(f"{kind.title()}: {done.folder} ({done.num_images:,}, {done.num_made:,} of them new)", flush=True)
    if done.unreadable:
        found = done.num_images + len(done.unreadable)
        raise ValueError(f"left out {len(done.unreadable):,} of {found:,} {kind}: {first_reasons(done.unreadable)}.")


def _check_stream(given: dict[str, Any]) -> None:
    """Raises a `ValueError` for flags that make no sense without files, and if the result would fill a terminal."""
    if given.get("video"):
        raise ValueError("`inputs=-` is an image. With `video`, name a file: its end is read before its beginning.")
    for name in ("output_dir", "suffix", "overwrite"):
        if name in given:
            raise ValueError(
                f"`{name}` has no effect with `inputs=-`, whose result is written to the standard output."
            )
    if sys.stdout.isatty():
        raise ValueError("`inputs=-`: the result would be written to the terminal. Add `> large.jpg`.")
