# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Interactive Gradio demo of a model of any kind."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import torch
from diffusers import DiffusionPipeline

from ...inference.pipelines import load_any_pipeline
from ...pipeline_dcgan import DCGANPipeline
from ...pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from .generation import build_generation_demo, load_directions
from .uploads import MAX_MEGABYTES
from .upscaling import build_upscaling_demo


# Arguments of `demo.launch`. CSS: images in rows of six, so that 16 of them are seen at once on a laptop, and of four on
# phones; no label over them, and no blur when browsers enlarge them further.
LAUNCH_OPTIONS = {
    "css": """
        .pixels img { image-rendering: pixelated; }
        .pixels .grid-container { grid-template-columns: repeat(6, minmax(0, 1fr)); grid-auto-rows: auto; }
        @media (max-width: 1000px) { .pixels .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
        .pixels .caption-label { padding: 0 0.3rem; font-size: 0.7rem; }
        .pixels .image-container { padding-top: 2rem; }
    """,
    "max_file_size": MAX_MEGABYTES * 10**6,
    "run_history": False,
    "ssr_mode": False,
}


def load_demo(model: str | Path, title: str, gpu: Callable | None = None) -> gr.Blocks:
    r"""
    Loads a model, on an accelerator if available, and builds its demo.

    Args:
        model (`str` or `Path`):
            Folder of a pipeline of any kind, or its repository on the Hub.
        title (`str`):
            Title of the page.
        gpu (`Callable`, *optional*):
            Decorator factory of functions that need a GPU for a while: `spaces.GPU`, on hardware that lends GPUs. Only
            searches for a generated image and upscaling use it. The rest takes less time on a CPU than waiting.

    Returns:
        `gr.Blocks`: the demo. Start it with `demo.launch(**LAUNCH_OPTIONS)`.
    """
    pipe = load_any_pipeline(str(model))
    if gpu is None and torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    return build_demo(pipe, model, title, gpu)


def build_demo(pipe: DiffusionPipeline, model: str | Path, title: str, gpu: Callable | None = None) -> gr.Blocks:
    r"""
    Builds the demo of a loaded pipeline.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        model, title, gpu:
            See [`load_demo`].
    """
    demos: dict[type, Callable[[], gr.Blocks]] = {
        DCGANPipeline: lambda: build_generation_demo(pipe, load_directions(model, pipe), title, gpu),
        DCGANSuperResolutionPipeline: lambda: build_upscaling_demo(pipe, title, gpu),
    }
    return demos[type(pipe)]()
