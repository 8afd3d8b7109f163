# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Demo of a generator of images: samples, latent space, inversion and discriminator."""

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
from .page import on, page
from .uploads import picture_upload


_NUM_DIRECTIONS = 10
_MOST_DIRECTIONS = 50  # each takes some images to describe


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


def build_generation_demo(
    pipe: DCGANPipeline, directions: Directions, title: str, gpu: Callable | None = None
) -> gr.Blocks:
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
            See [`load_demo`]. Only searches use it.
    """
    pipe, size = quiet(pipe), pipe.generator.config.image_size
    introduction = f"Explore a DCGAN that generates {size}×{size} images. The same seed always gives the same image."
    with page(title, introduction) as demo:
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
    return demo


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
    on([demo.load, click], surprise, partial(sample, pipe), inputs, gallery, "sample")


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
    on([click], surprise, partial(walk, pipe), inputs, [animation, gallery], "walk")


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
    on(triggers, surprise, partial(move, pipe, directions), [name, distance, *others], gallery, "move")


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
    on([click], surprise, partial(explain, pipe, compared), inputs, [score, *images], "explain")
