# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Interactive Gradio demo of a model."""

import copy
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from huggingface_hub.errors import EntryNotFoundError

from ...inference.pipelines import quiet
from ...model_folder import DIRECTIONS_FILE
from ...pipeline_dcgan import DCGANPipeline
from ...templates.escaping import escape_markdown
from ..attribution import METHODS
from ..latent_space import Directions, factorized_directions
from ..visible_changes import describe_directions
from .actions import (
    MAX_SEED,
    SEARCH_SECONDS,
    explain,
    find,
    move,
    new_seeds,
    sample,
    scores_of_samples,
    search_on_accelerator,
    walk,
)
from .uploads import MAX_MEGABYTES, picture_upload


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
_NUM_DIRECTIONS = 10
_MOST_DIRECTIONS = 50  # each takes some images to describe
_MAX_WAITING = 32  # calls of all visitors together; further ones are refused


def load_directions(model: str | Path, pipe: DCGANPipeline) -> Directions:
    r"""
    Loads the directions saved with a model. Falls back to those that change its first layer most.

    Args:
        model (`str` or `Path`):
            Folder of the model, or its repository on the Hub.
        pipe ([`DCGANPipeline`]):
            The model.

    Raises:
        ValueError: if the saved directions are none of this model.
    """
    latent_dim = pipe.generator.config.latent_dim
    try:
        saved = Directions.from_pretrained(model)
    except (EntryNotFoundError, FileNotFoundError):
        return factorized_directions(pipe.generator, min(_NUM_DIRECTIONS, latent_dim))
    if saved.vectors.ndim != 2 or saved.vectors.shape[1] != latent_dim or not len(saved.vectors):
        raise ValueError(
            f"`model={model}`: {DIRECTIONS_FILE} holds directions of shape {tuple(saved.vectors.shape)}, but the"
            f" latents of the model have {latent_dim} numbers. Remove the file, or write it with `dcgan explain`."
        )
    return Directions(saved.vectors[:_MOST_DIRECTIONS], saved.names[:_MOST_DIRECTIONS])


def load_demo(model: str | Path, title: str, gpu: Callable | None = None) -> gr.Blocks:
    r"""
    Loads a model, on an accelerator if available, and builds its demo.

    Args:
        model (`str` or `Path`):
            Folder of a [`DCGANPipeline`], or its repository on the Hub.
        title (`str`):
            Title of the page.
        gpu (`Callable`, *optional*):
            Decorator factory of functions that need a GPU for a while: `spaces.GPU`, on hardware that lends GPUs. Only
            searches use it. The rest takes less time on a CPU than waiting for a GPU.

    Returns:
        `gr.Blocks`: the demo. Start it with `demo.launch(**LAUNCH_OPTIONS)`.
    """
    pipe = DCGANPipeline.from_pretrained(model)
    if gpu is None and torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    return build_demo(pipe, load_directions(model, pipe), title, gpu)


def build_demo(pipe: DCGANPipeline, directions: Directions, title: str, gpu: Callable | None = None) -> gr.Blocks:
    r"""
    Builds the demo of a model. The discriminator tab is omitted if the pipeline has no discriminator.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        directions ([`Directions`]):
            Directions to offer.
        title (`str`):
            Title of the page.
        gpu (`Callable`, *optional*):
            See [`load_demo`].
    """
    # Files of visitors are deleted after a day.
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        pipe, config = quiet(pipe), pipe.generator.config
        gr.Markdown(
            f"# {escape_markdown(title)}\nExplore a DCGAN that generates {config.image_size}×{config.image_size} images. The same seed"
            " always gives the same image."
        )
        with gr.Tab("Sample"):
            _sample_tab(pipe, demo)
        with gr.Tab("Walk"):
            _walk_tab(pipe)
        with gr.Tab("Directions"):
            _directions_tab(pipe, directions, demo)
        with gr.Tab("Your picture"):
            _picture_tab(pipe, gpu)
        if pipe.discriminator is not None:
            with gr.Tab("Discriminator"):
                _discriminator_tab(pipe)
    # No call passes by the queue.
    return demo.queue(max_size=_MAX_WAITING, default_concurrency_limit=1, api_open=False)


def _on(triggers: list, surprise: Any, function: Callable, inputs: list, outputs: Any, name: str) -> None:
    """Registers a function, also to follow an event. Calls run one at a time: some change the networks temporarily."""
    one_at_a_time: Any = {"concurrency_id": "networks", "concurrency_limit": 1}
    gr.on(triggers, function, inputs, outputs, api_name=name, **one_at_a_time)
    surprise.success(function, inputs, outputs, api_visibility="private", **one_at_a_time)


def _buttons(label: str, seeds: list[gr.Number]) -> tuple[Any, Any]:
    """Adds a button for an action, and one that enters new seeds. Returns the click on the first one, and the event
    that follows the second one."""
    with gr.Row():
        button = gr.Button(label, variant="primary", min_width=100)
        surprise = gr.Button("Surprise me", min_width=100)
    entered = surprise.click(partial(new_seeds, len(seeds)), None, seeds, api_visibility="private", queue=False)
    return button.click, entered


def _seed(value: int, label: str = "Seed") -> gr.Number:
    return gr.Number(value, label=label, precision=0, minimum=0, maximum=MAX_SEED)


def _whole(minimum: int, maximum: int, value: int, label: str, step: int = 1) -> gr.Slider:
    return gr.Slider(minimum, maximum, value, step=step, label=label, precision=0)


def _truncation() -> gr.Dropdown:
    choices: list[tuple[str, float]] = [("none", 0.0), ("weak: 1.5", 1.5), ("medium: 0.8", 0.8), ("strong: 0.4", 0.4)]
    return gr.Dropdown(choices, value=0.0, label="Truncation (more typical, less varied images)")


def _classes(pipe: DCGANPipeline) -> list[gr.Dropdown]:
    """Returns a dropdown of the classes, one for each attribute, or nothing if the model has none."""
    config = pipe.generator.config
    if config.attributes is not None:
        (values,) = pipe.draw_class_ids(1, torch.Generator().manual_seed(0))  # that training images have together
        named = zip(config.attributes.items(), values)
        return [gr.Dropdown(names, value=names[value], label=name) for (name, names), value in named]
    names = list(config.id2label.values())
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
            inputs = [_whole(1, 64, 16, "Number of images"), seed := _seed(0), _truncation(), *_classes(pipe)]
            click, surprise = _buttons("Sample", [seed])
        with gr.Column(scale=2):
            gallery = _gallery("Samples")
    _on([demo.load, click], surprise, partial(sample, pipe), inputs, gallery, "sample")


def _walk_tab(pipe: DCGANPipeline) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            with gr.Row():
                ends = [_seed(0, "From seed"), _seed(1, "To seed")]
            inputs = [
                *ends,
                _whole(2, 64, 24, "Number of frames"),
                gr.Radio(["spherical", "linear"], value="spherical", label="Interpolation"),
                _truncation(),
                *_classes(pipe),
            ]
            click, surprise = _buttons("Walk", ends)
        with gr.Column(scale=2):
            animation = _image("Animation", format="gif")
            gallery = _gallery("Frames")
    _on([click], surprise, partial(walk, pipe), inputs, [animation, gallery], "walk")


def _directions_tab(pipe: DCGANPipeline, directions: Directions, demo: gr.Blocks) -> None:
    far = math.ceil(math.sqrt(pipe.generator.config.latent_dim))  # typical norm of a latent
    choices = list(zip(describe_directions(pipe, directions), directions.names))
    with gr.Row():
        with gr.Column(scale=1):
            name = gr.Dropdown(
                choices, value=directions.names[0], label="Direction (share in the change by all of them)"
            )
            distance = gr.Slider(-far, far, 0, step=far / 20, label="Distance")
            others = [_whole(1, 16, 6, "Number of images"), seed := _seed(0), _truncation(), *_classes(pipe)]
            click, surprise = _buttons("Move", [seed])
        with gr.Column(scale=2):
            gallery = _gallery("Moved samples")
    triggers = [demo.load, click, distance.release, name.input]
    _on(triggers, surprise, partial(move, pipe, directions), [name, distance, *others], gallery, "move")


def _picture_tab(pipe: DCGANPipeline, gpu: Callable | None) -> None:
    # A search holds its networks for long. With its own, it does not keep the other actions waiting.
    searching = quiet(DCGANPipeline(**copy.deepcopy(pipe.components)))
    function = partial(find, searching)
    if gpu is not None:
        function = gpu(duration=SEARCH_SECONDS + 10)(partial(search_on_accelerator, searching))
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [
                picture_upload(),
                _whole(50, 1000, 400, "Maximum number of search steps", step=50),
                *_classes(pipe),
            ]
            with gr.Row():
                button = gr.Button("Find", variant="primary", min_width=100)
                stop = gr.Button("Stop", min_width=100)
        with gr.Column(scale=2):
            with gr.Row():
                images = [_image("Model input"), _image("Closest image found")]
            nearness = gr.Textbox(label="Peak signal-to-noise ratio", interactive=False)
    search = button.click(
        function, inputs, [*images, nearness], api_name="find", concurrency_id="search", concurrency_limit=1
    )
    stop.click(None, cancels=[search])


def _discriminator_tab(pipe: DCGANPipeline) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            inputs = [
                picture_upload(),
                seed := _seed(0, "Seed, if there is no picture"),
                gr.Radio([(method.replace("_", " "), method) for method in METHODS], value=METHODS[0], label="Method"),
                *_classes(pipe),
            ]
            click, surprise = _buttons("Explain", [seed])
        with gr.Column(scale=2):
            score = gr.Textbox(label="Score of the discriminator", interactive=False)
            with gr.Row():
                images = [_image("Model input"), _image("Attribution")]
            gr.Markdown(
                "Orange pixels raise the score, blue pixels lower it. The discriminator learned to tell training images"
                " from generated ones, by a higher score. Its score is not a probability, and it does not detect"
                " generated images: those of a good generator score like real ones."
            )
    compared = cache(partial(scores_of_samples, pipe))
    _on([click], surprise, partial(explain, pipe, compared), inputs, [score, *images], "explain")
