# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that generate and upscale images."""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Literal

from ..flags import DeviceArguments, ModelArguments, flag
from ..imports import quick_imports
from ..inference.arguments import GenerationArguments, UpscalingArguments
from .command import command, pick


@dataclass(kw_only=True)
class _TypedModelArguments(ModelArguments):
    dtype: Literal["float32", "bfloat16", "float16"] = flag("float32", "Data type of the weights.", group="Machine")


@dataclass(kw_only=True)
class _EnlargingModelArguments(_TypedModelArguments):
    model: str = flag("dcgan-photos-x2", "Folder or Hub repository of a super-resolution pipeline.", group="Model")
    inputs: list[str] = flag(MISSING, "Image files, and folders of images.", group="Common", positional=True)

    def __post_init__(self) -> None:
        for path in self.inputs:
            if not Path(path).exists():
                raise ValueError(f"`inputs={path}`: no such file or folder.")


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
    """Upscale image files and folders. Repeat the command to resume after an interruption."""
    model, args = pick(_EnlargingModelArguments, given), pick(UpscalingArguments, given)
    with quick_imports():
        from ..data.bad_images import first_reasons
        from ..inference.upscale import upscale
        from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
        from ..processes import is_main_process
        from .models import loaded

    with loaded(DCGANSuperResolutionPipeline, {"model": model.model} | given, instead="generate") as pipe:
        done = upscale(pipe, model.inputs, args)
        if is_main_process():
            print(f"Images: {done.folder} ({done.num_images:,}, {done.num_made:,} of them new)", flush=True)
    if done.unreadable:
        found = done.num_images + len(done.unreadable)
        raise ValueError(f"left out {len(done.unreadable):,} of {found:,} images: {first_reasons(done.unreadable)}.")
