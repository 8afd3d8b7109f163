# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The `Metric` record and `metrics.json`, the file with a model's metrics."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..model_folder import METRICS_FILE, holds_metrics, read_results, write_json


# `features` of PSNR and SSIM that are measured as in papers, see `evaluation/paper_protocol.py`.
LUMINANCE = "luminance"


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
            Network whose features were compared, `"pixels"`, or `"luminance"`.
        dataset_split (`str`):
            Dataset split of the real images.
        spread (`float`, *optional*):
            Standard deviation over parts of the images.
        dataset_name (`str`, *optional*):
            Dataset of the real images. Defaults to the training dataset.
        bicubic (`float`, *optional*):
            The result of bicubic interpolation.
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
    bicubic: float | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        compared = self.features if self.features.startswith(("pixels", LUMINANCE)) else f"features of {self.features}"
        return f"{self.name}: {self.value:.4g}{spread} ({self.num_images:,} images, {compared})"


def write_metrics(metrics: list[Metric], folder: Path) -> None:
    """Writes `metrics.json`. Keeps existing entries with other features, of another dataset or another split. See
    [`check_place_for_metrics`]."""
    check_place_for_metrics(folder)
    training_dataset = read_results(folder).get("dataset", {}).get("name")
    merged = merge_metrics(read_metrics(folder), metrics, training_dataset)
    write_json([asdict(metric) for metric in merged], folder / METRICS_FILE)


def merge_metrics(old: list[Metric], new: list[Metric], training_dataset: str | None = None) -> list[Metric]:
    r"""
    Returns new entries, after the old ones with other features, of another dataset or another split.

    Args:
        old (`list[Metric]`):
            Existing entries.
        new (`list[Metric]`):
            New entries.
        training_dataset (`str`, *optional*):
            Dataset of entries that name none. If it is not known, they may be of any.
    """

    def is_replaced(metric: Metric) -> bool:
        for other in new:
            names = {one.dataset_name or training_dataset for one in (metric, other)}
            alike = (metric.features, metric.dataset_split) == (other.features, other.dataset_split)
            if alike and (len(names) == 1 or None in names):
                return True
        return False

    return [*(metric for metric in old if not is_replaced(metric)), *new]


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
