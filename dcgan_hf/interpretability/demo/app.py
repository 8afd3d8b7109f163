# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Interactive Gradio demo of a model."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image
import torch
from huggingface_hub.errors import EntryNotFoundError

from ...pipeline_dcgan import DCGANPipeline
from ..attribution import METHODS
from ..latent_space import Directions, factorized_directions
from .actions import explain, find, move, refuse, sample, walk


# Arguments of `demo.launch`. CSS: four images per row on phones too, no label over them, and no blur when browsers
# enlarge them further.
LAUNCH_OPTIONS = {
    "css": """
        .pixels img { image-rendering: pixelated; }
        .pixels .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)); grid-auto-rows: auto; }
        .pixels .caption-label { padding: 0 0.3rem; font-size: 0.7rem; }
        .pixels .image-container { padding-top: 2rem; }
    """,
    "max_file_size": "10mb",
    "run_history": False,
    "ssr_mode": False,
}
_NUM_DIRECTIONS = 10
_MAX_SEED = 2**31 - 1


def load_directions(model: str | Path, pipe: DCGANPipeline) -> Directions:
    r"""
    Loads the directions saved with a model. Falls back to those that change its first layer most.

    Args:
        model (`str` or `Path`):
            Folder of the model, or its repository on the Hub.
        pipe ([`DCGANPipeline`]):
            The model.
    """
    try:
        return Directions.from_pretrained(model)
    except (EntryNotFoundError, FileNotFoundError):
        return factorized_directions(pipe.generator, min(_NUM_DIRECTIONS, pipe.generator.config.latent_dim))


def load_demo(model: str | Path, title: str) -> gr.Blocks:
    r"""
    Loads a model, on an accelerator if available, and builds its demo.

    Args:
        model (`str` or `Path`):
            Folder of a [`DCGANPipeline`], or its repository on the Hub.
        title (`str`):
            Title of the page.

    Returns:
        `gr.Blocks`: the demo. Start it with `demo.launch(**LAUNCH_OPTIONS)`.
    """
    pipe = DCGANPipeline.from_pretrained(model)
    if torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    return build_demo(pipe, load_directions(model, pipe), title)


def build_demo(pipe: DCGANPipeline, directions: Directions, title: str) -> gr.Blocks:
    r"""
    Builds the demo of a model. The discriminator tab is omitted if the pipeline has no discriminator.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        directions ([`Directions`]):
            Directions to offer.
        title (`str`):
            Title of the page.
    """
    # Files of visitors are deleted after a day.
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        config = pipe.generator.config
        gr.Markdown(
            f"# {title}\nExplore a DCGAN that generates {config.image_size}×{config.image_size} images. The same seed"
            " always gives the same image."
        )
        with gr.Tab("Sample"):
            _sample_tab(pipe, demo)
        with gr.Tab("Walk"):
            _walk_tab(pipe)
        with gr.Tab("Directions"):
            _directions_tab(pipe, directions, demo)
        with gr.Tab("Your picture"):
            _picture_tab(pipe)
        if pipe.discriminator is not None:
            with gr.Tab("Discriminator"):
                _discriminator_tab(pipe)
    return demo


def _on(triggers: list, function: Callable, inputs: list, outputs: Any, name: str) -> None:
    """Registers a function. Calls run one at a time: some functions change the networks temporarily."""
    gr.on(triggers, function, inputs, outputs, api_name=name, concurrency_id="networks", concurrency_limit=1)


def _seed(value: int, label: str = "Seed") -> gr.Number:
    return gr.Number(value, label=label, precision=0, minimum=0, maximum=_MAX_SEED)


def _truncation() -> gr.Dropdown:
    choices: list[tuple[str, float]] = [("none", 0.0), ("weak: 1.5", 1.5), ("medium: 0.8", 0.8), ("strong: 0.4", 0.4)]
    return gr.Dropdown(choices, value=0.0, label="Truncation (more typical, less varied images)")


def _classes(pipe: DCGANPipeline) -> list[gr.Dropdown]:
    """Returns a dropdown of the classes, or nothing if the model has none."""
    names = list(pipe.generator.config.id2label.values())
    return [gr.Dropdown(names, value=names[0], label="Class")] if names else []


def _gallery(label: str) -> gr.Gallery:
    return gr.Gallery(
        label=label,
        show_label=False,
        columns=4,
        height="auto",
        format="png",
        interactive=False,
        buttons=["download_all", "fullscreen"],
        elem_classes="pixels",
    )


def _image(label: str, format: str = "png") -> gr.Image:
    return gr.Image(
        label=label,
        type="filepath",
        format=format,
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_classes="pixels",
        alt_text=label,
    )


def _sample_tab(pipe: DCGANPipeline, demo: gr.Blocks) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [gr.Slider(1, 64, 16, step=1, label="Number of images"), _seed(0), _truncation(), *_classes(pipe)]
            button = gr.Button("Sample", variant="primary")
        with gr.Column(scale=2):
            gallery = _gallery("Samples")
    _on([demo.load, button.click], partial(sample, pipe), inputs, gallery, "sample")


def _walk_tab(pipe: DCGANPipeline) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [
                _seed(0, "From seed"),
                _seed(1, "To seed"),
                gr.Slider(2, 64, 24, step=1, label="Number of frames"),
                gr.Radio(["spherical", "linear"], value="spherical", label="Interpolation"),
                _truncation(),
                *_classes(pipe),
            ]
            button = gr.Button("Walk", variant="primary")
        with gr.Column(scale=2):
            animation = _image("Animation", format="gif")
            gallery = _gallery("Frames")
    _on([button.click], partial(walk, pipe), inputs, [animation, gallery], "walk")


def _directions_tab(pipe: DCGANPipeline, directions: Directions, demo: gr.Blocks) -> None:
    far = math.ceil(math.sqrt(pipe.generator.config.latent_dim))  # typical norm of a latent
    with gr.Row():
        with gr.Column(scale=1):
            name = gr.Dropdown(directions.names, value=directions.names[0], label="Direction")
            distance = gr.Slider(-far, far, 0, step=far / 20, label="Distance")
            others = [gr.Slider(1, 16, 4, step=1, label="Number of images"), _seed(0), _truncation(), *_classes(pipe)]
            button = gr.Button("Move", variant="primary")
        with gr.Column(scale=2):
            gallery = _gallery("Moved samples")
    function = partial(move, pipe, directions)
    _on([demo.load, button.click, distance.release, name.input], function, [name, distance, *others], gallery, "move")


def _picture() -> gr.Image:
    """Returns an upload component that reports unreadable files on the page. Gradio alone gives no reason."""
    component = gr.Image(label="Picture", type="pil", image_mode=None, sources=["upload", "clipboard"], height=240)
    preprocess = component.preprocess

    def open_picture(payload: Any) -> PIL.Image.Image | None:
        try:
            return preprocess(payload)
        except (OSError, PIL.Image.DecompressionBombError) as error:
            raise refuse("This file cannot be read as an image.") from error

    component.preprocess = open_picture
    return component


def _picture_tab(pipe: DCGANPipeline) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [
                _picture(),
                gr.Slider(50, 1000, 400, step=50, label="Maximum number of search steps"),
                *_classes(pipe),
            ]
            button = gr.Button("Find", variant="primary")
        with gr.Column(scale=2):
            with gr.Row():
                images = [_image("Model input"), _image("Closest image found")]
            nearness = gr.Textbox(label="Peak signal-to-noise ratio", interactive=False)
    _on([button.click], partial(find, pipe), inputs, [*images, nearness], "find")


def _discriminator_tab(pipe: DCGANPipeline) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [
                _picture(),
                _seed(0, "Seed, if there is no picture"),
                gr.Radio([(method.replace("_", " "), method) for method in METHODS], value=METHODS[0], label="Method"),
                *_classes(pipe),
            ]
            button = gr.Button("Explain", variant="primary")
        with gr.Column(scale=2):
            judgement = gr.Label(label="Prediction of the discriminator")
            with gr.Row():
                images = [_image("Model input"), _image("Attribution")]
            gr.Markdown("Orange pixels make the picture look more real, blue pixels less real.")
    _on([button.click], partial(explain, pipe), inputs, [judgement, *images], "explain")
