# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Demo of a super-resolution model: upscales a visitor's picture, beside its bicubic enlargement."""

import io
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gradio as gr
import PIL.Image
import PIL.ImageFile
import torch
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from ...configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from ...data.decoding import infer_num_channels
from ...image_processing_dcgan import turn_upright
from ...inference.pipelines import quiet
from ...modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator
from ...pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from .errors import refuse
from .page import on, page
from .uploads import in_millions, picture_upload


# Pixels of a result: 12 seconds of a CPU core for the recipe photos_x2, 40 for a network of the default configuration.
_MAX_RESULT = 8_000_000
# Seconds for which a lent GPU is asked. The bicubic enlargement and the PNG files, on a CPU, take some 5 of them.
UPSCALING_SECONDS = 30
# Half of the time that Pillow's default takes, for files that are a tenth larger.
_PNG_COMPRESSION = 3
_EXAMPLE = "Example (photograph by danielbuechele, CC BY 2.0, from scikit-learn, made smaller)"
_LINE_IN_BROWSER = "position => ({__type__: 'update', slider_position: position})"


def max_pixels(pipe: DCGANSuperResolutionPipeline) -> int:
    """Returns the number of pixels that a picture may have, rounded down to thousands."""
    return _MAX_RESULT // pipe.generator.config.scale_factor**2 // 1000 * 1000


def bicubic_pipeline(pipe: DCGANSuperResolutionPipeline) -> DCGANSuperResolutionPipeline:
    """Returns a pipeline that enlarges pictures of all kinds as `pipe` does, by interpolation only: an untrained
    generator adds nothing to it."""
    config = pipe.generator.config
    generator = DCGANSuperResolutionGenerator(
        DCGANSuperResolutionConfig(
            scale_factor=config.scale_factor, num_channels=config.num_channels, hidden_size=1, num_blocks=1
        )
    )
    return quiet(DCGANSuperResolutionPipeline(generator))


def upscale(
    pipe: DCGANSuperResolutionPipeline,
    bicubic: DCGANSuperResolutionPipeline,
    picture: PIL.ImageFile.ImageFile | None,
) -> tuple[tuple[str, str], str, str]:
    r"""
    Upscales a picture, in tiles, so that memory is bounded.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        bicubic ([`DCGANSuperResolutionPipeline`]):
            Pipeline to compare it with, see [`bicubic_pipeline`].
        picture (`PIL.ImageFile.ImageFile`, *optional*):
            An opened file. A model of grey pictures takes the brightness of a coloured one.

    Returns:
        `tuple[tuple[str, str], str, str]`: PNG files of the bicubic enlargement and the result, of the same size; sizes
        in pixels and the time needed; the file of the result again.

    Raises:
        gr.Error: if the picture is missing or cannot be upscaled.
    """
    if picture is None:
        raise refuse("Upload a picture first.")
    if picture.mode == "F":
        raise refuse("This picture has float pixels, which no PNG file can hold. Upload one of 8 or 16 bits.")
    loses_colors = infer_num_channels(picture) > pipe.generator.config.num_channels
    image: PIL.Image.Image = picture
    start = time.perf_counter()
    try:
        if loses_colors:
            image = turn_upright(picture).convert("LA" if picture.has_transparency_data else "L")
        (after,) = pipe(image, return_dict=False)[0]
    except ValueError as error:
        raise refuse(f"This picture cannot be upscaled: {error}") from error
    seconds = time.perf_counter() - start
    (before,) = bicubic(image, return_dict=False)[0]

    scale = pipe.generator.config.scale_factor
    width, height = (size // scale for size in after.size)
    told = f"From {width} x {height} to {after.width} x {after.height} pixels, in {seconds:.1f} seconds."
    if loses_colors:
        told += " The model upscales grey pictures: colours are left out."
    name = Path(os.fsdecode(picture.filename)).stem
    files = (_save(before, f"{name}-bicubic.png"), _save(after, f"{name}-x{scale}.png"))
    return files, told, files[1]


def upscale_on_accelerator(
    pipe: DCGANSuperResolutionPipeline,
    bicubic: DCGANSuperResolutionPipeline,
    picture: PIL.ImageFile.ImageFile | None,
) -> tuple[tuple[str, str], str, str]:
    """Upscales like [`upscale`] on an accelerator, if there is one, where the networks stay."""
    if torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    return upscale(pipe, bicubic, picture)


def _save(image: PIL.Image.Image, name: str) -> str:
    """Writes a PNG file for Gradio, with the colour profile and the resolution of an upscaled image."""
    file, kept = io.BytesIO(), {str(name): value for name, value in image.info.items()}
    image.save(file, format="PNG", compress_level=_PNG_COMPRESSION, **kept)
    return save_bytes_to_cache(file.getvalue(), name, get_upload_folder())


def example() -> str:
    """Writes a photograph that is small enough for all models, and returns its path."""
    from sklearn.datasets import load_sample_image

    photo = PIL.Image.fromarray(load_sample_image("china.jpg"))
    return _save(photo.reduce(2), "china.png")


def build_upscaling_demo(pipe: DCGANSuperResolutionPipeline, title: str, gpu: Callable | None = None) -> gr.Blocks:
    r"""
    Builds the demo of a super-resolution model.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        title (`str`):
            Title of the page.
        gpu (`Callable`, *optional*):
            See [`load_demo`].
    """
    pipe, bicubic = quiet(pipe), bicubic_pipeline(pipe)
    scale, limit = pipe.generator.config.scale_factor, max_pixels(pipe)
    function = partial(upscale, pipe, bicubic)
    if gpu is not None:
        function = gpu(duration=UPSCALING_SECONDS)(partial(upscale_on_accelerator, pipe, bicubic))
    width = math.isqrt(limit * 4 // 3)
    introduction = (
        f"Upscale a picture to {scale} times its width and height with a DCGAN. It may have up to"
        f" {in_millions(limit)} pixels, such as {width} x {width * 3 // 4}. Details that it lacks are invented, not"
        " recovered."
    )
    with page(title, introduction) as demo, gr.Tab("Upscale"):
        with gr.Row():
            with gr.Column(scale=1):
                picture = picture_upload(limit, "Upload a smaller one, or a part of it.")
                button = gr.Button("Upscale", variant="primary", min_width=100)
                examples = gr.Examples([example()], picture, label=_EXAMPLE)
            with gr.Column(scale=2):
                compared = gr.ImageSlider(
                    label=f"Left: bicubic enlargement. Right: DCGAN x{scale}",
                    type="filepath",
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                )
                # The line in the picture follows pointers only.
                line = gr.Slider(0, 100, 50, step=1, label="Line between left and right (%)")
                told = gr.Textbox(label="Size and time", interactive=False)
                file = gr.File(label="Result (PNG, lossless)", interactive=False)
        line.input(None, line, compared, js=_LINE_IN_BROWSER, api_visibility="private")
        chosen = examples.load_input_event
        on([button.click, picture.upload], chosen, function, [picture], [compared, told, file], "upscale")
    return demo
