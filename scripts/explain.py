#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Shows what is inside a model: a page with everything (`explanation.html`, which needs no other file), its pictures (`images/`)
and numbers (`explanation.json`), a film of a walk through its latents, and `directions.safetensors`, the directions that were
found (beside a local model, with which scripts/push_to_hub.py publishes them).

    python scripts/explain.py dcgan-digits --dataset_name digits
    python scripts/explain.py org/model --dataset_name org/faces --classifier face-attributes --output_dir explanation

With a classifier (scripts/train_classifier.py) the page also tells what directions, arithmetic and units mean.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from diffusers.utils import export_to_video

from dcgan_hf import DCGANPipeline
from dcgan_hf.data.datasets import choose_images, load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.evaluation.features import ClassifierFeatures
from dcgan_hf.evaluation.images import decode_images
from dcgan_hf.hardware import cores_of_a_process, keep_freed_memory
from dcgan_hf.image_processing_dcgan import ResizeMode
from dcgan_hf.interpretability.page.discriminator_sections import (
    attribution_section,
    filters_section,
    training_section,
)
from dcgan_hf.interpretability.page.generator_sections import (
    arithmetic_section,
    directions_section,
    inversion_section,
    samples_section,
    units_section,
    walk_frames,
    walks_section,
)
from dcgan_hf.interpretability.page.html import write_explanation
from dcgan_hf.interpretability.samples import Subject
from dcgan_hf.model_folder import EXPLANATION_FOLDER


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Shows what is inside a model.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a saved pipeline, or its repository on the Hub.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--dataset_name", help="Images that it was trained with: as for scripts/train.py.")
    parser.add_argument("--dataset_config_name", help="Configuration of the data set, if it has several.")
    parser.add_argument("--dataset_split", default="train", help="Split of the data set.")
    parser.add_argument("--image_column", help="Column of the images, if there are several.")
    parser.add_argument("--max_real_images", type=int, default=10_000, help="Number of images of the data set to use.")
    parser.add_argument("--classifier", help="Classifier of such images, of classes or of several attributes.")
    parser.add_argument(
        "--labels", nargs="+", help="What the classifier knows and is explained. By default up to four."
    )
    parser.add_argument("--num_images", type=int, default=2000, help="Number of samples to look at.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the samples.")
    parser.add_argument("--output_dir", type=Path, help="By default `explanation` in the folder of the model.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    is_local = Path(args.model).is_dir()
    if not is_local and args.output_dir is None:
        raise ValueError(f"`output_dir` must be given for a model of the Hub, such as {args.model}.")
    if args.num_images < 200:
        raise ValueError(f"`num_images` must be at least 200, to find directions and units, got {args.num_images}.")
    device = torch.device("cpu")
    if not args.use_cpu and torch.accelerator.is_available():
        device = torch.accelerator.current_accelerator() or device
    if device.type == "cpu":
        torch.set_num_threads(cores_of_a_process())
        keep_freed_memory()
    started = time.perf_counter()

    pipe = DCGANPipeline.from_pretrained(args.model, revision=args.revision).to(device)
    pipe.set_progress_bar_config(disable=True)
    network = ClassifierFeatures(args.classifier, device) if args.classifier else None
    real_images = None
    if args.dataset_name:
        image_dataset = load_image_dataset(
            args.dataset_name, args.dataset_config_name, split=args.dataset_split, image_column=args.image_column
        )
        if len(image_dataset.dataset) > args.max_real_images:
            image_dataset = choose_images(image_dataset, args.max_real_images, args.seed)
        config = pipe.generator.config
        resize_mode: ResizeMode = "crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode
        decoder = Decoder(config.num_channels, config.image_size, resize_mode, num_workers=4, skip_bad_images=False)
        real_images, _ = decode_images(image_dataset, decoder)

    subject = Subject.of(pipe, args.num_images, args.seed, real_images, network, args.labels)
    section, directions = directions_section(subject)
    sections = [samples_section(subject), walks_section(subject), section]
    if subject.labels:
        sections += [arithmetic_section(subject), units_section(subject)]
    sections.append(inversion_section(subject))
    if pipe.discriminator is not None:
        sections += [attribution_section(subject), filters_section(subject)]
    if (Path(args.model) / "logs" / "metrics.jsonl").is_file():
        sections.append(training_section(Path(args.model)))

    output_dir = args.output_dir or Path(args.model) / EXPLANATION_FOLDER
    name = Path(args.model).absolute().name if is_local else args.model
    page = write_explanation(output_dir, name, sections, time.perf_counter() - started)
    directions.save_pretrained(args.model if is_local else output_dir)  # with which it is published
    export_to_video(
        [frame.convert("RGB").resize((256, 256), resample=0) for frame in walk_frames(subject, 5)],
        str(output_dir / "walk.mp4"),
        fps=12,
    )
    print(f"Page: {page}")


if __name__ == "__main__":
    main(sys.argv[1:])
