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
    if min(len(real_features), len(fake_features)) < 2 or real_features.shape[1:] != fake_features.shape[1:]:
        raise ValueError(
            "Two sets of at least 2 images with the same features are needed, got features of shapes"
            f" {real_features.shape} and {fake_features.shape}."
        )
    real, fake = real_features.astype(np.float64), fake_features.astype(np.float64)
    covariances = [np.atleast_2d(np.cov(features, rowvar=False)) for features in (real, fake)]
    # C1 C2 has the eigenvalues of the symmetric S C2 S with S = C1^(1/2), and its root has the roots of them.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariances[1] @ root)
    trace = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(eigenvalues.clip(min=0)).sum()
    return float(np.square(real.mean(0) - fake.mean(0)).sum() + trace)
