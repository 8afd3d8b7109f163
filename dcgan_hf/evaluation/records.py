# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The `Metric` record and `metrics.json`, the file with a model's metrics."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..model_folder import METRICS_FILE, holds_metrics, write_json


@dataclass
class Metric:
    """
    A measured value and its settings: an entry of the list in `metrics.json`.

    Args:
        type (`str`):
            Identifier of the metric, such as `"fid"`.
        name (`str`):
            Name on the model card.
        value (`float`):
            The result.
        num_images (`int`):
            Number of generated images.
        num_real_images (`int`):
            Number of real images in the comparison.
        features (`str`):
            Network whose features were compared, or `"pixels"`.
        dataset_split (`str`):
            Dataset split of the real images.
        spread (`float`, *optional*):
            Standard deviation over parts of the images.
        dataset_name (`str`, *optional*):
            Dataset of the real images. Defaults to the training dataset.
    """

    type: str
    name: str
    value: float
    num_images: int
    num_real_images: int
    features: str
    dataset_split: str
    spread: float | None = None
    dataset_name: str | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        compared = self.features if self.features == "pixels" else f"features of {self.features}"
        return f"{self.name}: {self.value:.4g}{spread} ({self.num_images:,} images, {compared})"


def write_metrics(metrics: list[Metric], folder: Path) -> None:
    """Writes `metrics.json`. Keeps existing entries with other features or another split. See
    [`check_place_for_metrics`]."""
    check_place_for_metrics(folder)
    new = {(metric.features, metric.dataset_split) for metric in metrics}
    kept = [metric for metric in read_metrics(folder) if (metric.features, metric.dataset_split) not in new]
    write_json([asdict(metric) for metric in [*kept, *metrics]], folder / METRICS_FILE)


def read_metrics(folder: Path) -> list[Metric]:
    """Returns the entries of the folder's `metrics.json`, if it exists and is not another program's."""
    path = folder / METRICS_FILE
    return [Metric(**metric) for metric in json.loads(path.read_text())] if holds_metrics(path) else []


def check_place_for_metrics(folder: Path) -> None:
    """Raises a `ValueError` if a folder cannot be written, or if its `metrics.json` is another program's, which would
    be overwritten."""
    path = folder / METRICS_FILE
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise ValueError(f"`output_dir={folder}` cannot be written.")
    if path.exists() and not holds_metrics(path):
        raise ValueError(
            f"`output_dir={folder}`: {path} was not written by this program. Move it, or use another folder."
        )


def by_name(metrics: list[Metric]) -> dict[str, float]:
    """Returns the metrics under their names in logs, such as `"eval_frechet_distance"`."""
    return {f"eval_{metric.type}": metric.value for metric in metrics}
