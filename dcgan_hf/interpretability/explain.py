# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Single-page report on a model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from diffusers.utils import export_to_video
from tqdm.auto import tqdm

from ..data.datasets import choose_images, load_from_arguments
from ..data.decoding import Decoder
from ..evaluation.features import ClassifierFeatures
from ..evaluation.images import decode_images
from ..files import replacing
from ..image_processing_dcgan import ResizeMode
from ..inference.pipelines import quiet
from ..model_folder import LOG_FILE
from ..pipeline_dcgan import DCGANPipeline
from ..processes import bar_options
from .arguments import ExplanationArguments
from .latent_space import Directions
from .page.discriminator_sections import attribution_section, filters_section, training_section
from .page.generator_sections import (
    arithmetic_section,
    directions_section,
    find_directions,
    inversion_section,
    samples_section,
    units_section,
    walk_frames,
    walks_section,
)
from .page.html import Page, Section
from .samples import Subject


_FILM_SIZE = (256, 256)


def explain(
    pipe: DCGANPipeline, args: ExplanationArguments, model_name: str = "DCGAN", run: Path | None = None
) -> tuple[Path, Directions]:
    r"""
    Writes a self-contained report on a model (`explanation.html`), its pictures (`images/`), its numbers
    (`explanation.json`) and a video of a latent walk (`walk.mp4`) to `args.output_dir`. The report is whole after each
    section, and lists those to come.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        args ([`ExplanationArguments`]):
            Real images, classifier and number of samples.
        model_name (`str`, *optional*, defaults to `"DCGAN"`):
            Name of the model on the page.
        run (`Path`, *optional*):
            Folder of the training run, whose log is shown.

    Returns:
        `tuple[Path, Directions]`: path of the page, and the directions found in latent space.

    Raises:
        ValueError: if images, classifier and model are incompatible.
        KeyboardInterrupt: if it is interrupted. The message says which sections are on the page.
    """
    started = time.perf_counter()
    page = Page(Path(args.output_dir or "explanation"), model_name, args.quick)
    with _says_what_is_done(page), tqdm(desc="Drawing samples", unit="section", **bar_options()) as progress_bar:
        network = ClassifierFeatures(args.classifier, pipe.device, "classifier") if args.classifier else None
        images = _real_images(pipe, args)
        subject = Subject.of(quiet(pipe), args.amounts.samples, args.seed, images, network, args.labels)
        directions = find_directions(subject)
        plan = _plan(subject, directions, args, run)
        progress_bar.reset(total=len(plan))
        for number, (title, make) in enumerate(plan.items(), 1):
            progress_bar.set_description(title)
            page.add(title, make(), time.perf_counter() - started, list(plan)[number:])
            progress_bar.update()
        progress_bar.set_description("Film")
        frames = [frame.convert("RGB").resize(_FILM_SIZE, resample=0) for frame in walk_frames(subject, 5)]
        with replacing(page.folder / "walk.mp4") as path:
            export_to_video(frames, str(path), fps=12)
    return page.path, directions


def _plan(
    subject: Subject, directions: Directions, args: ExplanationArguments, run: Path | None
) -> dict[str, Callable[[], Section]]:
    """Returns the sections of the page, in order: headings, and functions that make them."""
    plan: dict[str, Callable[[], Section]] = {
        "Samples": partial(samples_section, subject),
        "Walks between samples": partial(walks_section, subject),
        "Directions in latent space": partial(directions_section, subject, directions),
    }
    amounts = args.amounts
    if subject.labels:
        plan["Arithmetic with latents"] = partial(arithmetic_section, subject)
        plan["Units of the generator"] = partial(
            units_section, subject, amounts.layers_of_units, amounts.latents_of_units
        )
    plan["Inversion"] = partial(inversion_section, subject, amounts.searched_images, amounts.search_steps)
    if subject.pipe.discriminator is not None:
        plan["What the discriminator looks at"] = partial(attribution_section, subject)
        plan["Filters of the discriminator"] = partial(filters_section, subject)
    if run is not None and (run / LOG_FILE).is_file():
        plan["Training"] = partial(training_section, run)
    return plan


@contextmanager
def _says_what_is_done(page: Page) -> Iterator[None]:
    """Adds to a `KeyboardInterrupt` which sections are on the page."""
    try:
        yield
    except KeyboardInterrupt:
        done = f"{page.path} has: {', '.join(page.sections)}" if page.sections else "Nothing is written"
        raise KeyboardInterrupt(f"Stopped. {done}.") from None


def _real_images(pipe: DCGANPipeline, args: ExplanationArguments) -> torch.Tensor | None:
    if args.dataset_name is None:
        return None
    dataset = choose_images(load_from_arguments(args), args.amounts.real_images, args.seed)
    config = pipe.generator.config
    resize_mode: ResizeMode = "crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode
    decoder = Decoder(config.num_channels, config.image_size, resize_mode, 4, args.skip_bad_images)
    images, _ = decode_images(dataset, decoder)
    return images
