#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Keeps the cards of model_cards/ and the facts that they are made from:

    python scripts/docs/cards.py                           # renders all cards again, after a change of the templates
    python scripts/docs/cards.py dcgan-digits digits       # takes over a run: its facts, images and card

A card is rendered from the facts alone, as `dcgan push` does from the folder of a run. Weights are not kept.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import transformers
from diffusers import DiffusionPipeline

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionPipeline,
)
from dcgan_hf.model_folder import (
    ANIMATION_FILE,
    ARGUMENTS_FILE,
    CARD_FILE,
    IMAGES_FOLDER,
    METRICS_FILE,
    RESULTS_FILE,
    read_json,
)
from dcgan_hf.publishing.card import render_model_card


CARDS = Path(__file__).parents[2] / "model_cards"
LICENSE = "apache-2.0"  # of the repository, and so of its models
CONFIGS = ("generator/config.json", "discriminator/config.json")
FACTS = (*CONFIGS, ARGUMENTS_FILE, RESULTS_FILE, METRICS_FILE, ANIMATION_FILE)


def untrained_pipeline(folder: Path) -> DiffusionPipeline:
    """Pipeline with the networks that the configs in a folder describe."""
    generator = read_json(folder / CONFIGS[0])
    if generator["model_type"] == DCGANSuperResolutionConfig.model_type:
        config = DCGANSuperResolutionConfig.from_dict(generator)
        return DCGANSuperResolutionPipeline(DCGANSuperResolutionGenerator(config))
    config = DCGANGeneratorConfig.from_dict(generator)
    discriminator = DCGANDiscriminatorConfig.from_dict(read_json(folder / CONFIGS[1]))
    return DCGANPipeline(DCGANGenerator(config), DCGANDiscriminator(discriminator))


def render(name: str) -> str:
    """Card of a folder of model_cards/, from the facts in it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        pipe = untrained_pipeline(CARDS / name)
        pipe.save_pretrained(folder)  # the card lists the sizes of the files
        shutil.copytree(CARDS / name, folder, dirs_exist_ok=True)
        repo_id = read_json(folder / ARGUMENTS_FILE)["output_dir"]
        return str(render_model_card(pipe, folder, repo_id, LICENSE))


def take_over(run: Path, name: str) -> None:
    """Copies the facts and images of a run."""
    for fact in FACTS:
        if (run / fact).is_file():
            (CARDS / name / fact).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run / fact, CARDS / name / fact)
    (CARDS / name / IMAGES_FOLDER).mkdir(exist_ok=True)
    for path in (run / IMAGES_FOLDER).glob("*.png"):
        shutil.copy(path, CARDS / name / IMAGES_FOLDER / path.name)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Renders the cards of model_cards/ from their facts.")
    parser.add_argument("run", type=Path, nargs="?", help="Folder of a run to take over.")
    parser.add_argument("name", nargs="?", help="Folder in model_cards/ for it.")
    args = parser.parse_args(argv)
    transformers.utils.logging.disable_progress_bar()
    if args.run:
        take_over(args.run, args.name)
    for path in sorted(CARDS.glob(f"{args.name or '*'}/{RESULTS_FILE}")):
        (path.parent / CARD_FILE).write_text(render(path.parent.name))
        print(path.parent.name)


if __name__ == "__main__":
    main(sys.argv[1:])
