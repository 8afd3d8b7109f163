#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Checks a model of the drawn faces that was trained on all their attributes:

    dcgan train-classifier --dataset_name procedural_faces --test_split test --num_epochs 2 \
        --label_column skin hair_color hair_style glasses smile hat background --output_dir faces-classifier
    python scripts/benchmarks/attributes.py dcgan-procedural-faces-by-attribute faces-classifier

For each attribute, the share of images whose value is that asked for, according to the classifier, beside the same share
of real test images. The hair colour of bald heads is left out: they show none. And, within single combinations of values,
the diversity of generated faces as a share of that of faces drawn with this combination: the mean distance between two
of them in the features of the classifier. Near 0, the generator has one face per combination.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from dcgan_hf import DCGANPipeline
from dcgan_hf.benchmarks.records import markdown_table, measurement_facts, write_record
from dcgan_hf.configuration_attributes import labels_of
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.procedural_faces import ATTRIBUTES, draw_face
from dcgan_hf.evaluation.features import ClassifierFeatures
from dcgan_hf.evaluation.images import decode_images, features_of
from dcgan_hf.inference.generate import generate_images, labels_of_images
from dcgan_hf.interpretability.attributes import describe_attributes


def shares(network: ClassifierFeatures, images: torch.Tensor, labels: np.ndarray) -> dict[str, float]:
    """Returns the share of images with the value of their label, by attribute."""
    predicted = describe_attributes(network, images)
    is_bald = labels[:, [*ATTRIBUTES].index("hair_style")] == ATTRIBUTES["hair_style"].index("bald")
    return {
        name: float((predicted.value(name) == values)[~is_bald if name == "hair_color" else ...].mean())
        for name, values in zip(ATTRIBUTES, labels.T)
    }


def mean_distance(network: ClassifierFeatures, images: torch.Tensor) -> float:
    """Returns the mean distance between the features of two images."""
    return float(torch.pdist(torch.from_numpy(features_of(network, images).features)).mean())


def relative_diversity(network: ClassifierFeatures, pipe: DCGANPipeline, row: np.ndarray, number: int) -> float:
    """Returns the diversity of generated faces with the same attributes, as a share of that of drawn faces."""
    attributes = {name: values[value] for (name, values), value in zip(ATTRIBUTES.items(), row)}
    rng = np.random.default_rng(0)
    drawn = np.stack([np.asarray(draw_face(attributes, rng)) for _ in range(number)])
    generated = generate_images(pipe, number, class_ids=pipe.get_class_ids(attributes))
    return mean_distance(network, generated) / mean_distance(network, torch.from_numpy(drawn).permute(0, 3, 1, 2))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Checks the attributes of generated faces.")
    parser.add_argument("model", help="Folder of a model of the drawn faces with all attributes.")
    parser.add_argument("classifier", help="Folder of a classifier of these attributes.")
    parser.add_argument("--num_images", type=int, default=4_000, help="Number of generated images.")
    parser.add_argument("--num_combinations", type=int, default=20, help="Number of combinations to look at.")
    parser.add_argument("--images_per_combination", type=int, default=64, help="Number of images of each one.")
    parser.add_argument("--output_dir", type=Path, default="attributes", help="Folder for `results.json`.")
    args = parser.parse_args(argv)

    facts = measurement_facts(["python", "scripts/benchmarks/attributes.py", *argv], use_cpu=True)
    network = ClassifierFeatures(args.classifier, torch.device("cpu"), "classifier")
    pipe = DCGANPipeline.from_pretrained(args.model)
    needed = [*labels_of(ATTRIBUTES).values()]
    if [*pipe.generator.config.id2label.values()] != needed or not {*needed} <= {*network.label_names}:
        raise ValueError(
            f"`model` and `classifier` must know all attributes of the drawn faces, in this order: {', '.join(ATTRIBUTES)}."
        )
    args.output_dir.mkdir(parents=True, exist_ok=True)
    asked_for = np.array(labels_of_images(pipe, range(args.num_images), 0, None))
    generated = shares(network, generate_images(pipe, args.num_images), asked_for)
    test = load_image_dataset("procedural_faces", split="test", label_column=[*ATTRIBUTES], with_labels=True)
    images, labels = decode_images(test, Decoder(3, 64, "crop", num_workers=4, skip_bad_images=False))
    assert labels is not None
    real = shares(network, images, labels.numpy())
    rows = [[name, f"{generated[name]:.1%}", f"{real[name]:.1%}"] for name in ATTRIBUTES]
    print(markdown_table(["attribute", "generated: as asked for", "real: as labelled"], rows))

    diversities = [
        relative_diversity(network, pipe, row, args.images_per_combination)
        for row in asked_for[: args.num_combinations]
    ]
    print(
        f"Diversity within a combination: {np.mean(diversities):.2f} of the drawn faces', at least {min(diversities):.2f}"
    )
    content = {"generated": generated, "real": real, "diversity": diversities}
    write_record(facts | content, args.output_dir / "results.json")


if __name__ == "__main__":
    main(sys.argv[1:])
