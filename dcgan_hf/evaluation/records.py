# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The `Metric` record and `metrics.json`, the file of a model's measurements."""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..model_folder import METRICS_FILE, read_json, write_json


@dataclass
class Metric:
    """
    A measurement, and how it was made: an entry of the list in `metrics.json`.

    Args:
        type (`str`):
            Identifier of the metric, such as `"fid"`.
        name (`str`):
            What the card calls it.
        value (`float`):
            The result.
        num_images (`int`):
            Number of generated images.
        num_real_images (`int`):
            Number of real images that they were compared with.
        features (`str`):
            The network whose features were compared, or `"pixels"`.
        dataset_split (`str`):
            Split of the data set that the real images are of.
        spread (`float`, *optional*):
            Standard deviation over parts of the images.
        dataset_name (`str`, *optional*):
            Data set that the real images are of. By default the one that the model was trained on.
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
    """Writes `metrics.json`. Measurements with other features or another split, which are there already, stay."""
    new = {(metric.features, metric.dataset_split) for metric in metrics}
    kept = [metric for metric in read_metrics(folder) if (metric.features, metric.dataset_split) not in new]
    write_json([asdict(metric) for metric in [*kept, *metrics]], folder / METRICS_FILE)


def read_metrics(folder: Path) -> list[Metric]:
    """The measurements in the folder's `metrics.json`, if there is one."""
    return [Metric(**metric) for metric in read_json(folder / METRICS_FILE)]


def by_name(metrics: list[Metric]) -> dict[str, float]:
    """Returns measurements as logs have them: `"eval_frechet_distance"`."""
    return {f"eval_{metric.type}": metric.value for metric in metrics}
