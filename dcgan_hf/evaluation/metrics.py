# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Distances between sets of images: pure functions of their features."""

import numpy as np


def frechet_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    r"""
    Frechet distance between two normal distributions that are fitted to features (Heusel et al., 2017,
    https://huggingface.co/papers/1706.08500, equation 6): `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`. It is called FID
    when the features are Inception's. Fewer images give a larger distance, so compare equal numbers only.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.

    Returns:
        `float`: the distance, 0 for equal distributions.

    Raises:
        ValueError: if a set has fewer than 2 images, or another number of features than the other.
    """
    _check_features(real_features, fake_features)
    real, fake = real_features.astype(np.float64), fake_features.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(features, rowvar=False)) for features in (real, fake)]
    # C1 C2 has the eigenvalues of the symmetric S C2 S with S = C1^(1/2), and its root has the roots of them.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariances[1] @ root)
    trace = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(eigenvalues.clip(min=0)).sum()
    return float(np.square(real.mean(0) - fake.mean(0)).sum() + trace)


def kernel_distance(
    real_features: np.ndarray,
    fake_features: np.ndarray,
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    r"""
    Squared maximum mean discrepancy with the kernel `(x y / num_features + 1)^3`, estimated without bias on random subsets
    (Binkowski et al., 2018, https://huggingface.co/papers/1801.01401, section 4). It is called KID when the features are
    Inception's. Its expectation does not depend on the number of images.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.
        num_subsets (`int`, *optional*, defaults to 100):
            Number of pairs of subsets.
        subset_size (`int`, *optional*, defaults to 1000):
            Images in a subset, or as many as there are.
        seed (`int`, *optional*, defaults to 0):
            Seed of the subsets.

    Returns:
        `tuple[float, float]`: mean and standard deviation over the subsets. The mean of equal distributions is 0 on average,
        so it may be negative.

    Raises:
        ValueError: if a set has fewer than 2 images, or another number of features than the other.
    """
    _check_features(real_features, fake_features)
    size = min(subset_size, len(real_features), len(fake_features))
    generator, estimates = np.random.default_rng(seed), []
    for _ in range(num_subsets):
        real, fake = (
            features[generator.choice(len(features), size, replace=False)].astype(np.float64)
            for features in (real_features, fake_features)
        )
        within = 0.0
        for features in (real, fake):
            kernel = _cubic_kernel(features, features)
            within += (kernel.sum() - np.trace(kernel)) / (size * (size - 1))
        estimates.append(within - 2 * _cubic_kernel(real, fake).mean())
    return float(np.mean(estimates)), float(np.std(estimates))


def _cubic_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def inception_score(probabilities: np.ndarray, num_splits: int = 10) -> tuple[float, float]:
    r"""
    `exp(mean of KL(p(class | image) || p(class)))` (Salimans et al., 2016, https://huggingface.co/papers/1606.03498,
    section 4): large if a classifier is sure of each image and all classes occur alike. It is called so when the classifier
    is Inception. 1 at worst, the number of classes at best.

    Args:
        probabilities (`np.ndarray` of shape `(num_images, num_classes)`):
            A classifier's probabilities for generated images.
        num_splits (`int`, *optional*, defaults to 10):
            Number of equal parts, in the order given, whose scores are averaged.

    Returns:
        `tuple[float, float]`: mean and standard deviation over the parts.

    Raises:
        ValueError: if there are fewer images than parts.
    """
    if len(probabilities) < num_splits:
        raise ValueError(f"`num_splits={num_splits}` parts need as many images, got {len(probabilities)}.")
    scores = []
    for part in np.array_split(probabilities.astype(np.float64), num_splits):
        marginal = part.mean(0, keepdims=True)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=part > 0)  # 0 log 0 is 0
        scores.append(np.exp((part * np.log(ratio)).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def class_coverage(real_classes: np.ndarray, fake_classes: np.ndarray, num_classes: int) -> tuple[int, float]:
    r"""
    Whether generated images are of all classes, and as often as real ones (as Metz et al., 2017, count modes,
    https://huggingface.co/papers/1611.02163).

    Args:
        real_classes (`np.ndarray` of shape `(num_real,)`):
            Classes of real images, in [0, num_classes).
        fake_classes (`np.ndarray` of shape `(num_fake,)`):
            Classes that a classifier sees in generated images.
        num_classes (`int`):
            Number of classes.

    Returns:
        `tuple[int, float]`: how many of the classes of real images occur, and the Kullback-Leibler divergence of the
        histogram of generated images from that of real ones, in nats. It is infinite if there are images of a class that
        real ones do not have.
    """
    real, fake = (
        np.bincount(classes, minlength=num_classes) / len(classes) for classes in (real_classes, fake_classes)
    )
    occurring = fake > 0
    with np.errstate(divide="ignore"):
        divergence = (fake[occurring] * np.log(fake[occurring] / real[occurring])).sum()
    return int((occurring & (real > 0)).sum()), float(divergence)


def _check_features(real_features: np.ndarray, fake_features: np.ndarray) -> None:
    if min(len(real_features), len(fake_features)) < 2 or real_features.shape[1:] != fake_features.shape[1:]:
        raise ValueError(
            "Two sets of at least 2 images with the same features are needed, got features of shapes"
            f" {real_features.shape} and {fake_features.shape}."
        )
