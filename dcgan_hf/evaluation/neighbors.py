# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Nearest-neighbour metrics of generated images in feature space."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


_ROWS = 1000  # of the distance matrix held in memory at a time


@dataclass
class NeighborMetrics:
    """
    Nearest-neighbour metrics. The neighbourhood of an image reaches to its k-th neighbour in its own set.

    Args:
        precision (`float`):
            Share of generated images in the neighbourhood of a real one: quality.
        recall (`float`):
            Share of real images in the neighbourhood of a generated one: diversity.
        density (`float`):
            Mean number of real neighbourhoods around a generated image, divided by k. May exceed 1.
        coverage (`float`):
            Share of real images with a generated one in their neighbourhood.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbor_metrics(real_features: np.ndarray, fake_features: np.ndarray, num_neighbors: int = 5) -> NeighborMetrics:
    r"""
    Computes precision and recall (Kynkäänniemi et al., 2019, https://huggingface.co/papers/1904.06991, equations 1 and
    2), density and coverage (Naeem et al., 2020, https://huggingface.co/papers/2002.09797, equations 3 and 4).

    They depend on the numbers of images, so compare only equal numbers. For equal distributions density is 1, and
    coverage approaches `1 - 0.5^k` for large sets of equal size.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.
        num_neighbors (`int`, *optional*, defaults to 5):
            k: a neighbourhood reaches to the k-th neighbour (5 in the second paper, 3 in the first).

    Raises:
        ValueError: if a set does not have more than `num_neighbors` images.
    """
    if min(len(real_features), len(fake_features)) <= num_neighbors:
        raise ValueError(
            f"`num_neighbors={num_neighbors}` must be less than the number of images in each set, got"
            f" {len(real_features)} and {len(fake_features)}."
        )
    real_radii, fake_radii = (
        np.concatenate(
            [
                # The nearest neighbour is the image itself.
                np.partition(squares, num_neighbors, axis=1)[:, num_neighbors]
                for squares in _squared_distances(features, features)
            ]
        )
        for features in (real_features, fake_features)
    )
    num_near_real = np.zeros(len(fake_features), dtype=np.int64)
    is_recalled, is_covered = [], []
    start = 0
    for squares in _squared_distances(real_features, fake_features):
        radii = real_radii[start : start + len(squares), None]
        num_near_real += (squares < radii).sum(0)
        is_recalled.append((squares < fake_radii).any(1))
        is_covered.append((squares < radii).any(1))
        start += len(squares)
    return NeighborMetrics(
        precision=float((num_near_real > 0).mean()),
        recall=float(np.concatenate(is_recalled).mean()),
        density=float(num_near_real.mean() / num_neighbors),
        coverage=float(np.concatenate(is_covered).mean()),
    )


def nearest_neighbors(
    features: np.ndarray, candidates: np.ndarray, num_neighbors: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    r"""
    Finds the nearest neighbours of images among candidates.

    Args:
        features (`np.ndarray` of shape `(num_images, num_features)`):
            Features of the images.
        candidates (`np.ndarray` of shape `(num_candidates, num_features)`):
            Features of the candidates.
        num_neighbors (`int`, *optional*, defaults to 1):
            Number of neighbours of each image.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: indices of the candidates, nearest first, and their distances, both of shape
        `(num_images, num_neighbors)`.

    Raises:
        ValueError: if there are fewer candidates than neighbours.
    """
    if len(candidates) < num_neighbors:
        raise ValueError(f"`num_neighbors={num_neighbors}` needs at least as many candidates, got {len(candidates)}.")
    indices, distances = [], []
    for squares in _squared_distances(features, candidates):
        nearest = np.argpartition(squares, num_neighbors - 1, axis=1)[:, :num_neighbors]
        nearest_squares = np.take_along_axis(squares, nearest, axis=1)
        order = np.argsort(nearest_squares, axis=1)
        indices.append(np.take_along_axis(nearest, order, axis=1))
        distances.append(np.sqrt(np.take_along_axis(nearest_squares, order, axis=1)))
    return np.concatenate(indices), np.concatenate(distances)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Yields squared distances between the rows of `a` and `b`, some rows of `a` at a time. In double precision:
    large terms cancel for near images."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares_of_b = np.square(b).sum(1)
    for start in range(0, len(a), _ROWS):
        part = a[start : start + _ROWS]
        squares = np.square(part).sum(1)[:, None] + squares_of_b - 2 * part @ b.T
        yield squares.clip(min=0)
