# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Distances between sets of images, as pure functions of their features."""

import numpy as np


def frechet_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    r"""
    Fréchet distance between two normal distributions fitted to features (Heusel et al., 2017,
    https://huggingface.co/papers/1706.08500, equation 6): `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`. With
    Inception features it is the FID. Fewer images give a larger distance, so compare only equal numbers of images.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.

    Returns:
        `float`: the distance, 0 for equal distributions.

    Raises:
        ValueError: if a set has fewer than 2 images, or if the numbers of features differ.
    """
    _check_features(real_features, fake_features)
    real, fake = real_features.astype(np.float64), fake_features.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(features, rowvar=False)) for features in (real, fake)]
    # C1 C2 has the eigenvalues of the symmetric S C2 S with S = C1^(1/2), and its square root has their square roots.
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
    Squared maximum mean discrepancy with the kernel `(x y / num_features + 1)^3`, an unbiased estimate on random
    subsets (Binkowski et al., 2018, https://huggingface.co/papers/1801.01401, section 4). With Inception features
    it is the KID. Its expectation does not depend on the number of images.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.
        num_subsets (`int`, *optional*, defaults to 100):
            Number of pairs of subsets.
        subset_size (`int`, *optional*, defaults to 1000):
            Number of images in a subset, at most the size of the smaller set.
        seed (`int`, *optional*, defaults to 0):
            Seed of the subsets.

    Returns:
        `tuple[float, float]`: mean and standard deviation over the subsets. For equal distributions the expected mean
        is 0, so the mean may be negative.

    Raises:
        ValueError: if a set has fewer than 2 images, or if the numbers of features differ.
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
    Inception score: `exp(mean of KL(p(class | image) || p(class)))` (Salimans et al., 2016,
    https://huggingface.co/papers/1606.03498, section 4). High if the classifier is confident about each image and all
    classes occur equally often: 1 at worst, the number of classes at best. The name is reserved for Inception's
    classes.

    Args:
        probabilities (`np.ndarray` of shape `(num_images, num_classes)`):
            A classifier's probabilities for generated images.
        num_splits (`int`, *optional*, defaults to 10):
            Number of equal parts, in the given order, whose scores are averaged.

    Returns:
        `tuple[float, float]`: mean and standard deviation over the parts.

    Raises:
        ValueError: if there are fewer images than parts.
    """
    if len(probabilities) < num_splits:
        raise ValueError(f"`num_splits={num_splits}` needs at least as many images, got {len(probabilities)}.")
    scores = []
    for part in np.array_split(probabilities.astype(np.float64), num_splits):
        marginal = part.mean(0, keepdims=True)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=part > 0)  # 0 log 0 is 0
        scores.append(np.exp((part * np.log(ratio)).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def class_coverage(real_classes: np.ndarray, fake_classes: np.ndarray, num_classes: int) -> tuple[int, float]:
    r"""
    Number of classes covered by generated images (counted like the modes of Metz et al., 2017,
    https://huggingface.co/papers/1611.02163), and divergence of their class histogram from that of real images.

    Args:
        real_classes (`np.ndarray` of shape `(num_real,)`):
            Classes of real images, in [0, num_classes).
        fake_classes (`np.ndarray` of shape `(num_fake,)`):
            Classes that a classifier predicts for generated images.
        num_classes (`int`):
            Number of classes.

    Returns:
        `tuple[int, float]`: the number of classes of real images that occur among generated ones, and the
        Kullback-Leibler divergence of the histogram of generated images from that of real ones, in nats. It is
        infinite if a generated class has no real images.
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
            "Both sets must have at least 2 images and the same features, got features of shapes"
            f" {real_features.shape} and {fake_features.shape}."
        )
