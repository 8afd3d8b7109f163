# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Evaluation report: metrics, and pictures that show what numbers hide."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..files import write_text
from ..pictures import image_grid, save_picture, to_pil
from ..templates import render_template
from .features import Features
from .linear_probe import LinearProbe
from .neighbors import nearest_neighbors
from .records import Metric


NUM_SUSPECTS = 8
NUM_NEIGHBORS = 3
_MAX_IMAGES = 10_000  # of each set in the search for neighbours


@dataclass
class Memorization:
    """
    Near copies of training images among generated images.

    Args:
        share_of_near_copies (`float`):
            Share of generated images that are nearer to a training image than 99 % of training images are to another
            one: 0.01 for new images from the same distribution, 1 for copies only.
        suspects (`np.ndarray` of shape `(8,)`):
            Indices of the generated images nearest to a training image.
        neighbors (`np.ndarray` of shape `(8, 3)`):
            Indices of the training images nearest to each of them.
    """

    share_of_near_copies: float
    suspects: np.ndarray
    neighbors: np.ndarray


def find_memorized(train: Features, fake: Features) -> Memorization:
    r"""
    Searches generated images for copies of training images, in feature space.

    Args:
        train ([`Features`]):
            Features of the training images.
        fake ([`Features`]):
            Features of generated images.
    """
    indices, distances = nearest_neighbors(fake.features[:_MAX_IMAGES], train.features, NUM_NEIGHBORS)
    chosen = np.random.default_rng(0).permutation(len(train.features))[:_MAX_IMAGES]
    # The nearest neighbour of a training image is the image itself.
    _, usual_distances = nearest_neighbors(train.features[chosen], train.features, 2)
    near = np.quantile(usual_distances[:, 1], 0.01)
    suspects = np.argsort(distances[:, 0], kind="stable")[:NUM_SUSPECTS]
    return Memorization(float((distances[:, 0] < near).mean()), suspects, indices[suspects])


@dataclass
class Findings:
    """
    Results of an evaluation.

    Args:
        metrics (`list[Metric]`):
            The metrics.
        memorization ([`Memorization`]):
            Near copies among the generated images.
        class_shares (`list[tuple[str, float, float]]`):
            Name of each class, with its share of the real and of the generated images.
        probes (`list[LinearProbe]`, *optional*):
            Linear probes of the discriminator, if requested.
    """

    metrics: list[Metric]
    memorization: Memorization
    class_shares: list[tuple[str, float, float]]
    probes: list[LinearProbe] = field(default_factory=list)


def write_report(
    folder: Path, model_name: str, findings: Findings, images: torch.Tensor, train_images: torch.Tensor
) -> Path:
    r"""
    Writes `report.md` and its pictures: 64 samples, and the generated images most similar to training images beside
    those training images.

    Args:
        folder (`Path`):
            Output folder.
        model_name (`str`):
            Name of the model.
        findings ([`Findings`]):
            Results of the evaluation.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Generated images.
        train_images (`torch.ByteTensor` of shape `(num_train_images, num_channels, height, width)`):
            Training images.

    Returns:
        `Path`: path of the report.
    """
    save_picture(image_grid(to_pil(images[:64]), columns=8), folder / "samples.png")
    rows = [
        torch.cat([images[suspect : suspect + 1], train_images[neighbors]])
        for suspect, neighbors in zip(findings.memorization.suspects.tolist(), findings.memorization.neighbors)
    ]
    save_picture(image_grid(to_pil(torch.cat(rows)), columns=1 + NUM_NEIGHBORS), folder / "neighbors.png")
    path = folder / "report.md"
    write_text(render_template("evaluation.md", model_name=model_name, **vars(findings)), path)
    return path
