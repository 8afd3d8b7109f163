# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Similarity of upscaled images to the originals, compared with interpolation of the same low-resolution images.

PSNR and SSIM are computed on all channels, without cropping the border, on images rounded to uint8. Those of papers,
which are higher, are in `evaluation/paper_protocol.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from markupsafe import Markup

from ..files import write_text
from ..pictures import comparison_grid, save_picture, to_pil
from ..templates import render_template
from ..templates.escaping import escape_markdown
from .features import FeatureNetwork
from .images import check_before_describing, features_of
from .metrics import frechet_distance
from .records import Metric
from .upscaled_images import MIN_SIDE, Images, by_batches


try:
    from torchmetrics.functional.image import structural_similarity_index_measure
except ImportError as error:
    raise ImportError(
        f'Evaluation of super-resolution needs torchmetrics: `pip install "dcgan-hf[evaluation]"`. ({error})'
    ) from error


# PSNR that an exact copy contributes to a mean, in dB. The true value is infinite and would hide all others.
PSNR_OF_A_COPY = 100.0
_MAX_SHOWN, _MAX_SHOWN_SIDE, _MAX_SHOWN_WIDTH = 16, 256, 2048


@dataclass
class UpscalingQuality:
    """
    A row of the table.

    Args:
        method (`str`):
            Name of the upscaling method.
        psnr (`float`, *optional*):
            Mean PSNR in dB. `None` for the originals, like the next two.
        ssim (`float`, *optional*):
            Mean SSIM.
        frechet_distance (`float`, *optional*):
            Fréchet distance to the originals, if a feature network is given.
        accuracy (`float`, *optional*):
            Share of the images that a classifier recognises, if labels are known.
    """

    method: str
    psnr: float | None = None
    ssim: float | None = None
    frechet_distance: float | None = None
    accuracy: float | None = None


# ---- metrics ----


def psnr(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    r"""
    Computes the peak signal-to-noise ratio of each image, `10 log10(255^2 / mean squared error)`, over all pixels and
    channels.

    Args:
        real (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Originals.
        fake (`torch.ByteTensor` of the same shape):
            Their upscaled low-resolution versions.

    Returns:
        `torch.Tensor` of shape `(num_images,)`: decibels, infinite for an exact copy.

    Raises:
        ValueError: if the images are not uint8, or differ in shape.
    """
    check_alike(real, fake)
    return decibels(real.double(), fake.double())


def decibels(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Returns the PSNR of each pair of a batch, for values between 0 and 255."""
    return 10 * torch.log10(255**2 / (real - fake).square().flatten(1).mean(1))


def ssim(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    r"""
    Computes the structural similarity of each image (Wang et al., 2004, "Image quality assessment", section III: a
    Gaussian window of 11 pixels with a standard deviation of 1.5, K1 = 0.01, K2 = 0.03), the mean over all pixels and
    channels. Images are mirrored at the borders.

    Args:
        real (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Originals, at least 6 pixels high and wide.
        fake (`torch.ByteTensor` of the same shape):
            Their upscaled low-resolution versions.

    Returns:
        `torch.Tensor` of shape `(num_images,)`: 1 for an exact copy, less otherwise.

    Raises:
        ValueError: if the images are not uint8, differ in shape, or are too small.
    """
    check_alike(real, fake)
    if min(real.shape[2:]) < MIN_SIDE:
        raise ValueError(f"SSIM needs images at least {MIN_SIDE} pixels high and wide, got {tuple(real.shape[2:])}.")
    # In double precision: variances are differences of large squares.
    similarity: Any = structural_similarity_index_measure(
        fake.double(), real.double(), sigma=1.5, kernel_size=11, reduction="none", data_range=255.0, k1=0.01, k2=0.03
    )
    return similarity.reshape(-1)  # a scalar for a single image


def check_alike(real: torch.Tensor, fake: torch.Tensor) -> None:
    """Raises a `ValueError` unless images are uint8 and of the same shape."""
    if real.shape != fake.shape or real.dtype != torch.uint8 or fake.dtype != torch.uint8:
        raise ValueError(
            "Images to compare must be uint8 and have the same shape (num_images, num_channels, height, width), got"
            f" {real.dtype} {tuple(real.shape)} and {fake.dtype} {tuple(fake.shape)}."
        )


def check_before_comparing(real: Images, network: FeatureNetwork | None = None) -> None:
    """Raises a `ValueError` if images are too small for SSIM, or, given a network, if their sizes differ or they are
    too few for its features."""
    smallest = min(min(image.shape[1:]) for image in real)
    if smallest < MIN_SIDE:
        raise ValueError(f"SSIM needs images at least {MIN_SIDE} pixels high and wide, got one of {smallest} pixels.")
    if network is None:
        return
    if isinstance(real, list):
        raise ValueError(
            f"Features of {network.name!r} need images of one size, got images of different sizes. Use"
            " `resize_mode=crop` or `resize_mode=pad`, or omit `features`."
        )
    check_before_describing(network, real, len(real))


def compare(
    methods: dict[str, Images],
    real: Images,
    network: FeatureNetwork | None = None,
    labels: torch.Tensor | None = None,
    cache_dir: Path | None = None,
) -> list[UpscalingQuality]:
    r"""
    Compares the images of several methods with the originals.

    Args:
        methods (`dict[str, Images]`):
            Images of each method, in the order of the originals.
        real (`Images`):
            The originals.
        network ([`FeatureNetwork`], *optional*):
            Network whose features are compared, see [`check_before_comparing`].
        labels (`torch.Tensor` of shape `(num_images,)`, *optional*):
            Classes of the originals, as class ids of the network. Requires a classifier.
        cache_dir (`Path`, *optional*):
            Cache folder for the features of the originals.

    Returns:
        `list[UpscalingQuality]`: a row for each method and, with `labels`, one for the originals.

    Raises:
        ValueError: if the images of a method differ from the originals in number or size, or cannot be compared.
    """
    check_before_comparing(real, network)
    rows = []
    for name, images in methods.items():
        ratios, similarities = (torch.stack(list(by_batches(measure, real, images))) for measure in (psnr, ssim))
        rows.append(UpscalingQuality(name, ratios.clamp(max=PSNR_OF_A_COPY).mean().item(), similarities.mean().item()))
    if network is None:
        return rows
    originals, *described = [
        features_of(network, torch.as_tensor(images), folder, show_progress=True)
        for images, folder in [(real, cache_dir), *((images, None) for images in methods.values())]
    ]
    for row, features in zip(rows, described):
        row.frechet_distance = frechet_distance(originals.features, features.features)
    if labels is not None:
        rows.append(UpscalingQuality("original"))
        for row, features in zip(rows, [*described, originals]):
            row.accuracy = float((features.probabilities.argmax(1) == labels.numpy()).mean())
    return rows


def metrics_of(
    quality: UpscalingQuality, num_images: int, features: str, dataset_split: str, dataset_name: str | None = None
) -> list[Metric]:
    r"""
    Returns a model's entries of `metrics.json`.

    Args:
        quality ([`UpscalingQuality`]):
            The model's row.
        num_images (`int`):
            Number of images.
        features (`str`):
            Name of the network whose features were compared, or `""`.
        dataset_split (`str`):
            Dataset split.
        dataset_name (`str`):
            Name of the dataset.
    """
    values = [
        ("psnr", "PSNR (dB)", quality.psnr, "pixels"),
        ("ssim", "SSIM", quality.ssim, "pixels"),
        # Not FID: the images are derived from the originals that they are compared with.
        ("frechet_distance", "Frechet distance", quality.frechet_distance, features),
        ("accuracy", "Images that a classifier takes for what they are", quality.accuracy, features),
    ]
    return [
        Metric(type, name, value, num_images, num_images, compared, dataset_split, dataset_name=dataset_name)
        for type, name, value, compared in values
        if value is not None
    ]


# ---- report ----


def comparison_picture(rows: dict[str, Images]) -> PIL.Image.Image:
    r"""
    Places the results of all methods below each other, one column per image: at most 16 evenly spaced images, of which
    large ones are cropped to the central 256 pixels.

    Args:
        rows (`dict[str, Images]`):
            Images of each method.
    """
    images = next(iter(rows.values()))
    height, width = (min(_MAX_SHOWN_SIDE, *sizes) for sizes in zip(*(image.shape[1:] for image in images)))
    number = min(_MAX_SHOWN, len(images), max(1, _MAX_SHOWN_WIDTH // width))
    chosen = np.linspace(0, len(images) - 1, number).round().astype(int).tolist()

    def cut(image: torch.Tensor) -> torch.Tensor:
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        return image[:, top : top + height, left : left + width]

    return comparison_grid({name: to_pil([cut(row[i]) for i in chosen]) for name, row in rows.items()})


def quality_table(rows: list[UpscalingQuality]) -> str:
    """Returns a Markdown table. Metrics without a value for any method are omitted."""
    formats = {
        "psnr": ("PSNR (dB)", "{:.2f}"),
        "ssim": ("SSIM", "{:.4f}"),
        "frechet_distance": ("Frechet distance", "{:.4g}"),
        "accuracy": ("recognised", "{:.1%}"),
    }
    values = {name: [getattr(row, name) for row in rows] for name in formats}
    measured = [name for name in formats if any(value is not None for value in values[name])]
    lines = [["method", *(formats[name][0] for name in measured)], ["---"] * (1 + len(measured))]
    for i, row in enumerate(rows):
        cells = [(formats[name][1], values[name][i]) for name in measured]
        lines.append(
            [escape_markdown(row.method), *("" if value is None else text.format(value) for text, value in cells)]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@dataclass
class Comparison:
    """
    Results and settings of a comparison.

    Args:
        rows (`list[UpscalingQuality]`):
            The table, including the model's row.
        own_row ([`UpscalingQuality`]):
            The model's row.
        metrics (`list[Metric]`):
            The model's metrics.
        picture (`PIL.Image.Image`):
            See [`comparison_picture`].
        facts (`dict[str, Any]`):
            Further entries of the report: `dataset`, `scale_factor`, `num_images`, `small_images` (source of the
            low-resolution images) and `features` (name of the network whose features were compared, or `""`).
    """

    rows: list[UpscalingQuality]
    own_row: UpscalingQuality
    metrics: list[Metric]
    picture: PIL.Image.Image
    facts: dict[str, Any]

    @property
    def table(self) -> str:
        """The rows, see [`quality_table`]."""
        return quality_table(self.rows)


def write_comparison(folder: Path, model_name: str, comparison: Comparison) -> Path:
    r"""
    Writes `super_resolution.md` with the table and its settings, and `comparison.png`.

    Args:
        folder (`Path`):
            Output folder.
        model_name (`str`):
            Name of the model.
        comparison ([`Comparison`]):
            Results of the comparison.

    Returns:
        `Path`: path of the report.
    """
    save_picture(comparison.picture, folder / "comparison.png")
    path = folder / "super_resolution.md"
    page = render_template(
        "super_resolution_evaluation.md",
        model_name=model_name,
        table=Markup(comparison.table),
        rows=comparison.rows,
        copy=PSNR_OF_A_COPY,
        **comparison.facts,
    )
    write_text(page, path)
    return path
