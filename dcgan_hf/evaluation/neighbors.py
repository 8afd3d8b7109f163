# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Measures of generated images by nearest neighbours in a space of features."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


_ROWS = 1000  # of the matrix of distances that is in memory at a time


@dataclass
class NeighborMetrics:
    """
    Shares of images that lie near to those of the other set, where near is within the distance to the k-th neighbour.

    Args:
        precision (`float`):
            Share of generated images that are near to some real one: quality.
        recall (`float`):
            Share of real images that are near to some generated one: diversity.
        density (`float`):
            Number of real images that a generated one is near to, in units of k. May exceed 1.
        coverage (`float`):
            Share of real images that have a generated one near to them.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbor_metrics(real_features: np.ndarray, fake_features: np.ndarray, num_neighbors: int = 5) -> NeighborMetrics:
    r"""
    Precision and recall (Kynkäänniemi et al., 2019, https://huggingface.co/papers/1904.06991, equations 1 and 2), density and
    coverage (Naeem et al., 2020, https://huggingface.co/papers/2002.09797, equations 3 and 4).

    They depend on the numbers of images, so compare equal numbers only. Of equal distributions density is 1, and coverage
    `1 - 0.5^k` for equal numbers of many images.

    Args:
        real_features (`np.ndarray` of shape `(num_real, num_features)`):
            Features of real images.
        fake_features (`np.ndarray` of shape `(num_fake, num_features)`):
            Features of generated images.
        num_neighbors (`int`, *optional*, defaults to 5):
            k, the neighbour whose distance says what is near (the second paper's; the first one has 3).

    Raises:
        ValueError: if a set does not have more than `num_neighbors` images.
    """
    if min(len(real_features), len(fake_features)) <= num_neighbors:
        raise ValueError(
            f"`num_neighbors={num_neighbors}` needs more images than that in each set, got {len(real_features)} and"
            f" {len(fake_features)}."
        )
    real_radii, fake_radii = (
        np.concatenate(
            [
                # The nearest one is the image itself.
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
    Finds the images of a set that are most like some images.

    Args:
        features (`np.ndarray` of shape `(num_images, num_features)`):
            Features of the images.
        candidates (`np.ndarray` of shape `(num_candidates, num_features)`):
            Features of the set.
        num_neighbors (`int`, *optional*, defaults to 1):
            How many to find of each.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: indices of the candidates, nearest first, and their distances, both of shape
        `(num_images, num_neighbors)`.

    Raises:
        ValueError: if there are fewer candidates than neighbours.
    """
    if len(candidates) < num_neighbors:
        raise ValueError(f"`num_neighbors={num_neighbors}` needs as many candidates, got {len(candidates)}.")
    indices, distances = [], []
    for squares in _squared_distances(features, candidates):
        nearest = np.argpartition(squares, num_neighbors - 1, axis=1)[:, :num_neighbors]
        nearest_squares = np.take_along_axis(squares, nearest, axis=1)
        order = np.argsort(nearest_squares, axis=1)
        indices.append(np.take_along_axis(nearest, order, axis=1))
        distances.append(np.sqrt(np.take_along_axis(nearest_squares, order, axis=1)))
    return np.concatenate(indices), np.concatenate(distances)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Of each row of `a` to each of `b`, some rows at a time. In double precision, as near images' large terms cancel."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares_of_b = np.square(b).sum(1)
    for start in range(0, len(a), _ROWS):
        part = a[start : start + _ROWS]
        squares = np.square(part).sum(1)[:, None] + squares_of_b - 2 * part @ b.T
        yield squares.clip(min=0)
