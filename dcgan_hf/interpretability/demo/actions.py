# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Actions of the buttons of a generator's demo. The functions take and return values of Gradio components. On invalid
input they raise a `gr.Error`, which the page shows.
"""

import io
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Literal, TypeAlias

import numpy as np
import PIL.Image
import torch
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from ...pipeline_dcgan import DCGANPipeline
from ..attribution import Method, attribute
from ..inversion import SearchArguments, follow_inversion, prepare_images
from ..latent_space import Directions, interpolate
from .errors import refuse


# Approximate width of displayed images, in pixels.
_SHOWN_SIZE = 256
_MILLISECONDS_PER_FRAME = 80
# PSNR in dB at which a search stops: the remaining difference is invisible.
_GOOD_PSNR = 40.0
# Seconds after which a search stops, so that other visitors have their turn.
SEARCH_SECONDS = 30
_STEPS_BETWEEN_RESULTS = 20
MAX_SEED = 2**31 - 1
_NUM_COMPARED = 256  # generated images whose scores a score is compared with


def enlarge(image: PIL.Image.Image) -> PIL.Image.Image:
    """Enlarges an image to a width of about 256 pixels by repeating its pixels."""
    factor = max(1, _SHOWN_SIZE // image.width)
    return image.resize((image.width * factor, image.height * factor), PIL.Image.Resampling.NEAREST)


def new_seeds(number: int) -> int | list[int]:
    """Returns random seeds, or a single one if `number` is 1."""
    seeds = [secrets.randbelow(MAX_SEED + 1) for _ in range(number)]
    return seeds if number > 1 else seeds[0]


# A class, or values of all attributes, as pipelines take them. Not a list, so that results can be cached.
Labels: TypeAlias = int | tuple[tuple[int, ...]] | None


def _labels_of(pipe: DCGANPipeline, class_name: str | None, further: tuple[str, ...]) -> Labels:
    """Returns the labels for the values of dropdowns: the class, or the first attribute and the further ones."""
    config = pipe.generator.config
    attributes = config.attributes or {"class": [*config.id2label.values()]}
    if not config.num_classes:
        return None
    ids, given = [], (class_name, *further)[: len(attributes)]
    for (attribute_name, names), name in itertools.zip_longest(attributes.items(), given):
        if name is None or name not in names:
            raise refuse(f"Unknown {attribute_name} {name!r}. Choose one of: {', '.join(names)}.")
        ids.append(names.index(name))
    return pipe.get_class_ids(class_name)[0] if config.attributes is None else (tuple(ids),)


def _label_tensor(pipe: DCGANPipeline, labels: Labels, pixel_values: torch.Tensor) -> torch.Tensor | None:
    if labels is None:
        return None
    ids = torch.tensor(pipe.get_class_ids(labels), device=pixel_values.device)
    return ids.expand(len(pixel_values), *pipe.generator.config.label_shape)


def _draw_latents(
    pipe: DCGANPipeline, seed: int | None, truncation: float, num_images: int = 1
) -> tuple[torch.Tensor, list[str]]:
    """Returns the latents of consecutive seeds, and captions for their images."""
    # Calls by the API may hold anything.
    if not (isinstance(seed, int) and 0 <= seed < 2**62):
        raise refuse("Enter a seed: a whole number, such as 0.")
    if not (isinstance(truncation, int | float) and truncation >= 0):
        raise refuse("Truncation must be 0 (none) or positive.")
    seeds = range(seed, seed + num_images)
    generators = [torch.Generator().manual_seed(number) for number in seeds]
    latents = pipe.prepare_latents(num_images, generators, truncation=truncation or None)
    return latents, [f"seed {number}" for number in seeds]


def _draw_images(pipe: DCGANPipeline, latents: torch.Tensor, labels: Labels) -> list[PIL.Image.Image]:
    return [enlarge(image) for image in pipe(latents=latents, class_labels=labels, return_dict=False)[0]]


def sample(
    pipe: DCGANPipeline,
    num_images: int,
    seed: int | None,
    truncation: float,
    class_name: str | None = None,
    *further: str,
) -> list[tuple[PIL.Image.Image, str]]:
    r"""
    Generates images from consecutive seeds.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        num_images (`int`):
            Number of images.
        seed (`int`, *optional*):
            Seed of the first image. The seed of each following image is larger by 1.
        truncation (`float`):
            Bound on the absolute values of the latents; 0 disables truncation.
        class_name, further (`str`, *optional*):
            Class of the images, or values of all attributes in their order, if the model has classes or attributes.

    Returns:
        `list[tuple[PIL.Image.Image, str]]`: the enlarged images, with captions.

    Raises:
        gr.Error: if the seed is missing or the class unknown.
    """
    labels = _labels_of(pipe, class_name, further)
    latents, captions = _draw_latents(pipe, seed, truncation, num_images)
    return list(zip(_draw_images(pipe, latents, labels), captions))


def walk(
    pipe: DCGANPipeline,
    start_seed: int | None,
    end_seed: int | None,
    num_frames: int,
    method: Literal["spherical", "linear"],
    truncation: float,
    class_name: str | None = None,
    *further: str,
) -> tuple[str, list[PIL.Image.Image]]:
    r"""
    Interpolates in latent space between the images of two seeds.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        start_seed (`int`, *optional*):
            Seed of the first image.
        end_seed (`int`, *optional*):
            Seed of the last image.
        num_frames (`int`):
            Number of images, including the first and last one.
        method (`str`):
            See [`interpolate`].
        truncation (`float`):
            Bound on the absolute values of both latents; 0 disables truncation.
        class_name, further (`str`, *optional*):
            Class of the images, or values of all attributes in their order, if the model has classes or attributes.

    Returns:
        `tuple[str, list[PIL.Image.Image]]`: path of a GIF that plays the images forwards and backwards in a loop, and
        the images.

    Raises:
        gr.Error: if a seed is missing or the class unknown.
    """
    labels = _labels_of(pipe, class_name, further)
    (start,), (end,) = (_draw_latents(pipe, seed, truncation)[0] for seed in (start_seed, end_seed))
    images = _draw_images(pipe, interpolate(start, end, num_frames, method), labels)
    there_and_back = [*images, *images[-2:0:-1]]
    file = io.BytesIO()
    images[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=there_and_back[1:],
        duration=_MILLISECONDS_PER_FRAME,
        loop=0,
    )
    return save_bytes_to_cache(file.getvalue(), "walk.gif", get_upload_folder()), images


def move(
    pipe: DCGANPipeline,
    directions: Directions,
    name: str,
    distance: float,
    num_images: int,
    seed: int | None,
    truncation: float,
    class_name: str | None = None,
    *further: str,
) -> list[tuple[PIL.Image.Image, str]]:
    r"""
    Moves samples along a direction in latent space.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        directions ([`Directions`]):
            Available directions.
        name (`str`):
            Name of the direction.
        distance (`float`):
            Distance to move, negative for the opposite direction.
        num_images, seed, truncation, class_name, further:
            See [`sample`].

    Returns:
        `list[tuple[PIL.Image.Image, str]]`: the enlarged images, with captions.

    Raises:
        gr.Error: if the seed is missing or the class unknown.
    """
    labels = _labels_of(pipe, class_name, further)
    latents, captions = _draw_latents(pipe, seed, truncation, num_images)
    moved = directions.move(latents, name, [distance])[:, 0]
    return list(zip(_draw_images(pipe, moved, labels), captions))


def _prepare_picture(pipe: DCGANPipeline, picture: PIL.Image.Image) -> torch.Tensor:
    try:
        return prepare_images(pipe, picture)
    except (OSError, ValueError) as error:  # a truncated file or invalid pixel values
        raise refuse(f"This picture cannot be used: {error}.") from error


def _to_image(pipe: DCGANPipeline, pixel_values: torch.Tensor) -> PIL.Image.Image:
    return enlarge(pipe.image_processor.postprocess(pixel_values, output_type="pil")[0])


def find(
    pipe: DCGANPipeline,
    picture: PIL.Image.Image | None,
    num_steps: int,
    class_name: str | None = None,
    *further: str,
) -> Iterator[tuple[PIL.Image.Image, PIL.Image.Image, str]]:
    r"""
    Searches for the generated image that is closest to a picture, for at most `SEARCH_SECONDS`. Closing the iterator
    stops the search.

    Args:
        pipe ([`DCGANPipeline`]):
            The model. Its networks are in use until the search ends.
        picture (`PIL.Image.Image`, *optional*):
            Picture of any size.
        num_steps (`int`):
            Maximum number of search steps, see [`SearchArguments`].
        class_name, further (`str`, *optional*):
            Class of the picture, or values of all attributes in their order, if the model has classes or attributes.

    Yields:
        `tuple[PIL.Image.Image, PIL.Image.Image, str]`: the picture as the networks see it, the closest image so far,
        and the PSNR between them.

    Raises:
        gr.Error: if the picture is missing or cannot be used, or if the class is unknown.
    """
    if picture is None:
        raise refuse("Upload a picture first.")
    labels, given = _labels_of(pipe, class_name, further), _to_image(pipe, _prepare_picture(pipe, picture))
    start = torch.Generator().manual_seed(0)  # identical results for all visitors
    search = SearchArguments(num_steps=num_steps, target_psnr=_GOOD_PSNR)
    stops_at = time.monotonic() + SEARCH_SECONDS
    with closing(follow_inversion(pipe, picture, labels, search, start, _STEPS_BETWEEN_RESULTS)) as results:
        for found in results:
            nearness = f"{found.psnr.item():.1f} dB (30 dB corresponds to an error of 3 % of the value range)"
            is_late = time.monotonic() > stops_at
            nearness += f". Stopped after {SEARCH_SECONDS} seconds." if is_late else ""
            yield given, _to_image(pipe, found.pixel_values), nearness
            if is_late:
                return


def search_on_accelerator(
    pipe: DCGANPipeline,
    picture: PIL.Image.Image | None,
    num_steps: int,
    class_name: str | None = None,
    *further: str,
) -> Iterator[tuple[PIL.Image.Image, PIL.Image.Image, str]]:
    """Searches like [`find`] on an accelerator, if there is one, where the networks stay."""
    if torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    yield from find(pipe, picture, num_steps, class_name, *further)


@torch.no_grad()
def scores_of_samples(pipe: DCGANPipeline, labels: Labels) -> torch.Tensor:
    """Returns the discriminator's scores of 256 images that a model generates, with these labels."""
    start = torch.Generator().manual_seed(0)
    images = pipe(_NUM_COMPARED, class_labels=labels, generator=start, output_type="pt", return_dict=False)[0]
    return _scores(pipe, pipe.image_processor.normalize(images), labels)


def _scores(pipe: DCGANPipeline, pixel_values: torch.Tensor, labels: Labels) -> torch.Tensor:
    with torch.no_grad():
        logits = pipe.discriminator(pixel_values, _label_tensor(pipe, labels, pixel_values)).logits
    return logits.float().flatten(1).mean(1).cpu() if logits.ndim > 1 else logits.float().cpu()  # mean over patches


def explain(
    pipe: DCGANPipeline,
    compared: Callable[[Labels], torch.Tensor],
    picture: PIL.Image.Image | None,
    seed: int | None,
    method: Method,
    class_name: str | None = None,
    *further: str,
) -> tuple[str, PIL.Image.Image, PIL.Image.Image]:
    r"""
    Explains the discriminator's score of an image by attributing it to pixels. What a score means depends on the loss
    of the training: it is a logarithm of odds for some losses and a distance for others. So it is told beside those of
    the model's own images, and not as a probability.

    Args:
        pipe ([`DCGANPipeline`]):
            The model, which must have a discriminator.
        compared (`Callable`):
            Function that returns the scores of samples of a class or with values of attributes, see [`scores_of_samples`].
        picture (`PIL.Image.Image`, *optional*):
            Picture to judge. Defaults to the image generated from `seed`.
        seed (`int`, *optional*):
            Seed of the image, if there is no picture.
        method (`str`):
            See [`attribute`].
        class_name, further (`str`, *optional*):
            Class of the picture, or values of all attributes in their order, if the model has classes or attributes.

    Returns:
        `tuple[str, PIL.Image.Image, PIL.Image.Image]`: the score; the picture as the discriminator sees it; the same
        picture with pixels that raise the score in orange and pixels that lower it in blue.

    Raises:
        gr.Error: if picture and seed are both missing, if the picture cannot be used, or if the class is unknown.
    """
    labels = _labels_of(pipe, class_name, further)
    if picture is None:
        latents, _ = _draw_latents(pipe, seed, truncation=0)
        (images,) = pipe(latents=latents, class_labels=labels, output_type="pt", return_dict=False)
        pixel_values = pipe.image_processor.normalize(images)
    else:
        pixel_values = _prepare_picture(pipe, picture)
    (score,) = _scores(pipe, pixel_values, labels).tolist()
    lower = (compared(labels) < score).float().mean().item()
    told = f"{score:+.2f}, higher than the scores of {lower:.0%} of {_NUM_COMPARED} images that this model generates"
    attributions = attribute(pipe.discriminator, pixel_values, method, _label_tensor(pipe, labels, pixel_values))
    attributes = pipe.generator.config.attributes or {"class": []}
    kinds = ", ".join(f"{name} {value!r}" for name, value in zip(attributes, (class_name, *further)))
    return (
        told if class_name is None else f"{told} of {kinds}",
        _to_image(pipe, pixel_values),
        enlarge(_color(pixel_values[0], attributions[0])),
    )


def _color(pixel_values: torch.Tensor, attributions: torch.Tensor) -> PIL.Image.Image:
    """Overlays attributions on a pale grey image: positive ones in orange, negative ones in blue."""
    strengths = attributions.sum(0).float().cpu().numpy()
    strengths /= max(np.abs(strengths).max(), np.finfo(np.float32).tiny)
    grey = 0.4 + 0.5 * (pixel_values.float().mean(0).cpu().numpy() + 1) / 2
    colors = np.where(strengths[..., None] > 0, (0.9, 0.35, 0.0), (0.0, 0.3, 0.9))
    opacity = np.abs(strengths)[..., None]
    return PIL.Image.fromarray((((1 - opacity) * grey[..., None] + opacity * colors) * 255).round().astype(np.uint8))
