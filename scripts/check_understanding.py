#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Checks claims about a model of procedural faces, whose attributes are known:

    python scripts/check_understanding.py dcgan-procedural-faces --classifier face-attributes --seeds 0 1 2

For each seed of the samples it prints the success of latent arithmetic that adds glasses, the rank correlations of
directions with attributes, the share of glasses left without 20 units of the generator, and the share of images
recovered by inversion. For the discriminator it prints how much its filters for glasses attend to them.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from dcgan_hf import DCGANDiscriminator, DCGANPipeline
from dcgan_hf.benchmarks.records import markdown_table, measurement_facts, write_record
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.procedural_faces import GLASSES_BOX, SIZE
from dcgan_hf.evaluation.features import ClassifierFeatures
from dcgan_hf.evaluation.images import decode_images
from dcgan_hf.inference.pipelines import load_pipeline, quiet
from dcgan_hf.interpretability.attribution import Units, attribute, region_share
from dcgan_hf.interpretability.filters import peak_activations
from dcgan_hf.interpretability.page.generator_sections import (
    arithmetic_section,
    directions_section,
    find_directions,
    inversion_section,
    units_section,
)
from dcgan_hf.interpretability.samples import Subject
from dcgan_hf.interpretability.units import rank_units
from dcgan_hf.pictures import to_pixel_values
from dcgan_hf.processes import connected_processes


LABEL = "glasses: yes"
LABELS = [LABEL, "skin: pale", "hair_color: grey"]
NUM_FILTERS = 10
NUM_FACES = 2000


def check_generator(subject: Subject) -> dict[str, Any]:
    """Prints a generator's scores for arithmetic, directions, units and inversion, and returns them."""
    arithmetic = arithmetic_section(subject).numbers[LABEL]
    kept = ", ".join(f"{name} {share:.0%}" for name, share in arithmetic["kept"].items())
    print(f"  arithmetic: adds glasses to {arithmetic['added']:.0%} of faces without; kept: {kept}")
    directions = directions_section(subject, find_directions(subject)).numbers["rank correlations"]
    for name, of_labels in directions.items():
        best = max(of_labels, key=lambda label: abs(of_labels[label]))
        print(f"  direction {name}: closest to {best}, rank correlation {of_labels[best]:+.2f}")
    units = units_section(subject).numbers[LABEL]
    for name, numbers in units.items():
        print(
            f"  units of {name}: glasses on {numbers['before']:.1%} of samples, {numbers['after']:.1%} without 20"
            f" units ({numbers['difference left, in pixels']:.0%} of the pixel difference left),"
            f" {numbers['after switching off random units']:.1%} without 20 random units"
        )
    inversion = inversion_section(subject).numbers
    share = inversion["share of generated images recovered"]
    print(f"  inversion: {share:.0%} of 64 images recovered (30 dB)")
    return {"arithmetic": arithmetic, "directions": directions, "units": units, "recovered": share}


def check_discriminator(discriminator: DCGANDiscriminator) -> list[float]:
    """Prints, for each layer, how much the filters that best detect glasses attend to them, on real faces."""
    times_chance = []
    image_dataset = load_image_dataset("procedural_faces", split="test", label_column="glasses", with_labels=True)
    images, labels = decode_images(image_dataset, Decoder(3, SIZE, "crop", num_workers=4, skip_bad_images=False))
    assert labels is not None
    pixel_values, has_glasses = to_pixel_values(images[:NUM_FACES]), labels[:NUM_FACES] == 1
    left, top, right, bottom = GLASSES_BOX
    chance = (right - left) * (bottom - top) / SIZE**2
    with_glasses = torch.nonzero(has_glasses).flatten()[:100]
    for layer in range(len(discriminator.layers)):
        activations, positions = peak_activations(discriminator, pixel_values, layer)
        filters, areas = rank_units(activations, has_glasses.numpy())
        shares = []
        for number in filters[:NUM_FILTERS].tolist():
            units = Units(layer, torch.full((len(with_glasses),), number), positions[with_glasses, number])
            guided = attribute(discriminator, pixel_values[with_glasses], "guided_backprop", units=units)
            shares.append(region_share(guided, GLASSES_BOX).mean().item())
        times_chance.append(sum(shares) / len(shares) / chance)
        print(
            f"Layer {layer + 1}: the {len(shares)} filters that best detect glasses (AUC {areas[0]:.2f} to"
            f" {areas[:NUM_FILTERS][-1]:.2f}) attend to them {times_chance[-1]:.1f} times as much as by chance"
        )
    return times_chance


def understanding_table(record: dict[str, Any]) -> str:
    """Scores of the generator, one column per seed of the samples, as a table in Markdown."""
    seeds = record["seeds"].values()
    rows = [["**Arithmetic**: faces given glasses", *(f"{seed['arithmetic']['added']:.0%}" for seed in seeds)]]
    for name in next(iter(seeds))["arithmetic"]["kept"]:
        rows.append([f"{name} kept", *(f"{seed['arithmetic']['kept'][name]:.0%}" for seed in seeds)])
    for label in LABELS:
        best = [max(abs(of_labels[label]) for of_labels in seed["directions"].values()) for seed in seeds]
        rows.append([f"**Directions**: best rank correlation with {label}", *(f"{value:.2f}" for value in best)])
    for name in next(iter(seeds))["units"]:
        units = [seed["units"][name] for seed in seeds]
        without = [(found["after"] - found["before"]) / found["before"] for found in units]
        random = [(found["after switching off random units"] - found["before"]) / found["before"] for found in units]
        rows.append([f"**Units**: glasses without 20 of {name}, relative", *(f"{share:.0%}" for share in without)])
        rows.append(["without 20 random ones", *(f"{share:.0%}" for share in random)])
        rows.append(["of their pixels are left", *(f"{found['difference left, in pixels']:.0%}" for found in units)])
    rows.append(["**Inversion**: generated images recovered", *(f"{seed['recovered']:.0%}" for seed in seeds)])
    return markdown_table(["", *(f"seed {seed}" for seed in record["seeds"])], rows)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Checks claims about a model of procedural faces.", allow_abbrev=False
    )
    parser.add_argument("model", help="Folder of a pipeline trained on procedural_faces.")
    parser.add_argument("--classifier", required=True, help="Classifier of all attributes of the faces.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="Seeds of the samples.")
    parser.add_argument("--num_images", type=int, default=2000, help="Number of samples.")
    parser.add_argument("--output_dir", type=Path, help="Output folder for understanding.json.")
    args = parser.parse_args(argv)
    with connected_processes(use_cpu=True) as device:
        pipe = quiet(load_pipeline(DCGANPipeline, args.model))
        network = ClassifierFeatures(args.classifier, device, "classifier")
        record = measurement_facts(["python", "scripts/check_understanding.py", *argv], use_cpu=True) | {"seeds": {}}
        for seed in args.seeds:
            print(f"Seed {seed}, {args.num_images:,} samples")
            subject = Subject.of(pipe, args.num_images, seed, network=network, labels=LABELS)
            record["seeds"][str(seed)] = check_generator(subject)
        record["times_chance"] = check_discriminator(pipe.discriminator)
    if args.output_dir:
        write_record(record, args.output_dir / "understanding.json")


if __name__ == "__main__":
    main(sys.argv[1:])
