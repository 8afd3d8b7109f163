# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Comparison of generated and real images by their features."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .features import FeatureNetwork, Features
from .metrics import class_coverage, frechet_distance, inception_score, kernel_distance
from .neighbors import neighbor_metrics
from .records import Metric


# Minimum for FID in papers (Heusel et al., 2017: "at least 10,000").
FID_IMAGES = 10_000


class AskedFor(NamedTuple):
    """
    Labels that generated images should have.

    Args:
        name (`str`):
            Name of the attribute, or "class".
        columns (`list[int]`):
            Label ids of its values in the feature network.
        labels (`np.ndarray` of shape `(num_images,)`):
            Index of each image's value.
    """

    name: str
    columns: list[int]
    labels: np.ndarray


def check_enough_images(network: FeatureNetwork, num_features: int, num_real: int, num_fake: int) -> None:
    """Raises a `ValueError` if there are too few images for the covariance of the features."""
    if min(num_real, num_fake) <= num_features:
        raise ValueError(
            f"{num_fake:,} generated and {num_real:,} real images are too few for the {num_features:,} features of"
            f" {network.name!r}: their covariance needs at least {num_features + 1:,} of each. Published values use"
            " 10,000 or more."
        )


def measure(
    network: FeatureNetwork,
    real: Features,
    fake: Features,
    dataset_split: str,
    asked_for: Sequence[AskedFor] = (),
    quickly: bool = False,
) -> list[Metric]:
    r"""
    Compares generated with real images by all metrics that the network supports.

    The Fréchet distance is called FID only for Inception features and at least 10,000 images. The kernel distance is
    called KID, and the classifier score Inception score, only for Inception features.

    Args:
        network ([`FeatureNetwork`]):
            Network of the features.
        real ([`Features`]):
            Features of real images.
        fake ([`Features`]):
            Features of generated images.
        dataset_split (`str`):
            Dataset split of the real images.
        asked_for (`Sequence[AskedFor]`, *optional*):
            Labels requested from a class-conditional generator.
        quickly (`bool`, *optional*, defaults to `False`):
            Whether to skip the nearest-neighbour metrics and the classifier score, and to estimate the kernel distance
            on a tenth of the subsets.

    Raises:
        ValueError: if there are too few images for the number of features.
    """
    num_real, num_features = real.features.shape
    num_fake = len(fake.features)
    check_enough_images(network, num_features, num_real, num_fake)
    is_inception = network.name == "inception"
    metrics: list[Metric] = []

    def add(type: str, name: str, value: float, spread: float | None = None) -> None:
        metrics.append(Metric(type, name, value, num_fake, num_real, network.name, dataset_split, spread))

    distance = frechet_distance(real.features, fake.features)
    if is_inception and num_fake >= FID_IMAGES:
        add("fid", "FID", distance)
    else:
        add("frechet_distance", "Frechet distance", distance)
    kernel = kernel_distance(real.features, fake.features, num_subsets=10 if quickly else 100)
    add("kid" if is_inception else "kernel_distance", "KID" if is_inception else "Kernel distance", *kernel)
    if not quickly:
        # These depend on the numbers of images, so random subsets of equal size are used.
        number = min(num_real, num_fake)
        chosen = np.random.default_rng(0).permutation(num_real)[:number]
        for name, value in vars(neighbor_metrics(real.features[chosen], fake.features[:number])).items():
            add(name, name.capitalize(), value)
        if not network.is_multi_label:  # the score needs probabilities that sum to 1
            score = inception_score(fake.probabilities)
            add(
                *("inception_score", "Inception score") if is_inception else ("classifier_score", "Classifier score"),
                *score,
            )
    if network.class_names is not None:
        real_classes, fake_classes = real.probabilities.argmax(1), fake.probabilities.argmax(1)
        modes, divergence = class_coverage(real_classes, fake_classes, len(network.class_names))
        add("modes", f"Classes that occur, of {len(np.unique(real_classes))}", modes)
        # Infinite, which JSON cannot represent, if a generated class has no real images.
        if np.isfinite(divergence):
            add("class_kl", "Divergence of the class histogram (nats)", divergence)
    for name, columns, labels in asked_for:
        accuracy = float((fake.probabilities[:, columns].argmax(1) == labels).mean())
        add(f"{name}_accuracy", f"Images with the {name} asked for", accuracy)
    return metrics
