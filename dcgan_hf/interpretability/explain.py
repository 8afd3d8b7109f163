# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Single-page report on a model."""

import time
from pathlib import Path

import torch
from diffusers.utils import export_to_video

from ..data.datasets import choose_images, load_from_arguments
from ..data.decoding import Decoder
from ..evaluation.features import ClassifierFeatures
from ..evaluation.images import decode_images
from ..image_processing_dcgan import ResizeMode
from ..inference.pipelines import quiet
from ..model_folder import LOG_FILE
from ..pipeline_dcgan import DCGANPipeline
from .arguments import ExplanationArguments
from .latent_space import Directions
from .page.discriminator_sections import attribution_section, filters_section, training_section
from .page.generator_sections import (
    arithmetic_section,
    directions_section,
    inversion_section,
    samples_section,
    units_section,
    walk_frames,
    walks_section,
)
from .page.html import write_explanation
from .samples import Subject


_FILM_SIZE = (256, 256)


def explain(
    pipe: DCGANPipeline, args: ExplanationArguments, model_name: str = "DCGAN", run: Path | None = None
) -> tuple[Path, Directions]:
    r"""
    Writes a self-contained report on a model (`explanation.html`), its pictures (`images/`), its numbers
    (`explanation.json`) and a video of a latent walk (`walk.mp4`) to `args.output_dir`.

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
    """
    started = time.perf_counter()
    pipe = quiet(pipe)
    network = ClassifierFeatures(args.classifier, pipe.device) if args.classifier else None
    subject = Subject.of(pipe, args.num_images, args.seed, _real_images(pipe, args), network, args.labels)
    section, directions = directions_section(subject)
    sections = [samples_section(subject), walks_section(subject), section]
    if subject.labels:
        sections += [arithmetic_section(subject), units_section(subject)]
    sections.append(inversion_section(subject))
    if pipe.discriminator is not None:
        sections += [attribution_section(subject), filters_section(subject)]
    if run is not None and (run / LOG_FILE).is_file():
        sections.append(training_section(run))

    folder = Path(args.output_dir or "explanation")
    page = write_explanation(folder, model_name, sections, time.perf_counter() - started)
    frames = [frame.convert("RGB").resize(_FILM_SIZE, resample=0) for frame in walk_frames(subject, 5)]
    export_to_video(frames, str(folder / "walk.mp4"), fps=12)
    return page, directions


def _real_images(pipe: DCGANPipeline, args: ExplanationArguments) -> torch.Tensor | None:
    if args.dataset_name is None:
        return None
    dataset = choose_images(load_from_arguments(args), args.max_real_images, args.seed)
    config = pipe.generator.config
    resize_mode: ResizeMode = "crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode
    decoder = Decoder(config.num_channels, config.image_size, resize_mode, num_workers=4, skip_bad_images=False)
    images, _ = decode_images(dataset, decoder)
    return images
