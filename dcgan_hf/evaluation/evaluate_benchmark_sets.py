# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Evaluation of a super-resolution model as in papers: on benchmark sets, compared with bicubic interpolation."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from markupsafe import Markup
from tqdm.auto import tqdm

from ..data.datasets import choose_images, load_from_arguments, public_name
from ..data.whole_images import Requirements
from ..files import write_text
from ..inference.pipelines import quiet
from ..model_folder import PAPER_REPORT, REPORT_FOLDER, remove_report
from ..pictures import save_picture
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import bar_options, first_on_its_machine, is_main_process
from ..templates import render_template
from ..templates.escaping import escape_markdown
from .arguments import SuperResolutionEvaluationArguments
from .benchmark_sets import BenchmarkSet, find_benchmark_sets
from .paper_protocol import WINDOW, luminance_quality, place_of_detail
from .records import LUMINANCE, Metric, check_place_for_metrics, write_metrics
from .upscaled_images import (
    BASELINES,
    Images,
    by_batches,
    interpolate,
    join_if_of_one_size,
    make_small,
    needed,
    read_whole_images,
    upscale,
)
from .upscaling import PSNR_OF_A_COPY, UpscalingQuality, comparison_picture


_AT_ONCE = 16  # images in memory, which may be large
_MAX_SHOWN, _SHOWN_SIDE = 5, 160  # of a set


@dataclass
class SetQuality:
    """
    A row of the table.

    Args:
        name (`str`):
            Name of the set.
        split (`str`):
            Dataset split.
        num_images (`int`):
            Number of images.
        has_pairs (`bool`):
            Whether the low-resolution images are those of the set, or were made from the originals.
        bicubic ([`UpscalingQuality`]):
            Quality of bicubic interpolation.
        own ([`UpscalingQuality`]):
            Quality of the model.
        picture (`PIL.Image.Image`):
            Details of some images: low resolution, bicubic, model, original.
    """

    name: str
    split: str
    num_images: int
    has_pairs: bool
    bicubic: UpscalingQuality
    own: UpscalingQuality
    picture: PIL.Image.Image


@dataclass
class BenchmarkComparison:
    """
    Results on benchmark sets.

    Args:
        sets (`list[SetQuality]`):
            Results on each set.
        scale_factor (`int`):
            Scale of the model, and width of the border in pixels.
        self_ensemble (`bool`):
            Whether the model's results are means over 8 views.
    """

    sets: list[SetQuality]
    scale_factor: int
    self_ensemble: bool

    @property
    def table(self) -> str:
        """Markdown table with a row for each set."""
        model = escape_markdown(self.sets[0].own.method)
        methods = [f"{method}: {metric}" for method in ("bicubic", model) for metric in ("PSNR (dB)", "SSIM")]
        lines = [["set", "images", *methods], ["---"] * 6]
        for row in self.sets:
            values = [f"{one.psnr:.2f} | {one.ssim:.4f}" for one in (row.bicubic, row.own)]
            lines.append([escape_markdown(row.name), f"{row.num_images:,}", *values])
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    @property
    def metrics(self) -> list[Metric]:
        """The model's entries of `metrics.json`."""
        settings = f"luminance, border of {self.scale_factor} pixels"
        settings += ", self-ensemble" if self.self_ensemble else ""
        return [
            Metric(
                type,
                f"{name}, {settings}",
                getattr(row.own, type),
                row.num_images,
                row.num_images,
                f"{LUMINANCE}, self-ensemble" if self.self_ensemble else LUMINANCE,
                row.split,
                dataset_name=row.name,
                bicubic=getattr(row.bicubic, type),
            )
            for row in self.sets
            for type, name in (("psnr", "PSNR (dB)"), ("ssim", "SSIM"))
        ]


def evaluate_benchmark_sets(
    pipe: DCGANSuperResolutionPipeline, args: SuperResolutionEvaluationArguments, model_name: str = "DCGAN"
) -> BenchmarkComparison:
    r"""
    Evaluates a model as papers do, see `evaluation/paper_protocol.py`. Writes `metrics.json` and a report with pictures
    to `args.output_dir`, if set.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        args ([`SuperResolutionEvaluationArguments`]):
            The sets, see [`find_benchmark_sets`], or a dataset that counts as one.
        model_name (`str`, *optional*, defaults to `"DCGAN"`):
            Name of the model in the report.

    Returns:
        [`BenchmarkComparison`]: the table and the model's metrics.

    Raises:
        ValueError: if images and model are incompatible.
    """
    config = pipe.generator.config
    scale = config.scale_factor
    if args.output_dir is not None:
        check_place_for_metrics(Path(args.output_dir))
    min_side = -(-(WINDOW + 2 * scale) // scale) * scale
    requirements = Requirements(config.num_channels, scale, min_side, needed(min_side), takes_remainders=True)
    # All images are read before the work, which may take hours.
    sets = [_readable(found, requirements, args.skip_bad_images) for found in _open_sets(args, scale)]
    pipe.generator.to(memory_format=torch.channels_last)
    if args.self_ensemble:
        model_name += ", self-ensemble"
    enlarge = partial(upscale, quiet(pipe), self_ensemble=args.self_ensemble)
    rows = [_measure(enlarge, found, requirements, model_name) for found in sets]
    comparison = BenchmarkComparison(rows, scale, args.self_ensemble)
    if args.output_dir is not None and is_main_process():
        _write_report(Path(args.output_dir) / REPORT_FOLDER, model_name, comparison)
        write_metrics(comparison.metrics, Path(args.output_dir))
    return comparison


def _open_sets(args: SuperResolutionEvaluationArguments, scale_factor: int) -> list[BenchmarkSet]:
    sets = []
    if args.low_resolution_column is None:
        sets = find_benchmark_sets(args.dataset_name, scale_factor, args.skip_bad_images)
    if sets:
        for name, default in (("dataset_split", "test"), ("image_column", None), ("dataset_config_name", None)):
            value = getattr(args, name)
            if value != default:
                raise ValueError(
                    f"`{name}={value}`: {args.dataset_name} is a folder of benchmark sets"
                    f" ({', '.join(found.name for found in sets)}), which has no splits, columns or configurations."
                )
    else:
        with first_on_its_machine():  # for downloads
            originals = load_from_arguments(args)
            small = args.low_resolution_column and load_from_arguments(args, image_column=args.low_resolution_column)
        sets = [BenchmarkSet(public_name(originals, args.dataset_name), args.dataset_split, originals, small or None)]
    if args.num_images is not None:
        sets = [
            replace(
                found,
                originals=choose_images(found.originals, args.num_images, seed=0),
                small=found.small and choose_images(found.small, args.num_images, seed=0),
            )
            for found in sets
        ]
    return sets


def _readable(found: BenchmarkSet, requirements: Requirements, skip_bad_images: bool) -> BenchmarkSet:
    """Decodes all images of a set. Returns the set without those that are to be skipped."""
    images = read_whole_images(found.originals, found.small, requirements, skip_bad_images)
    chosen = [index for index, *_ in images]

    def select(image_dataset: Any) -> Any:
        return replace(image_dataset, dataset=image_dataset.dataset.select(chosen))

    return replace(found, originals=select(found.originals), small=found.small and select(found.small))


def _measure(
    enlarge: Callable[[Images], Images], found: BenchmarkSet, requirements: Requirements, model_name: str
) -> SetQuality:
    scale, number = requirements.scale_factor, len(found.originals.dataset)
    shown = {*np.linspace(0, number - 1, min(_MAX_SHOWN, number)).round().astype(int).tolist()}
    qualities: dict[str, list[torch.Tensor]] = defaultdict(list)
    details: dict[str, list[torch.Tensor]] = defaultdict(list)
    images = read_whole_images(found.originals, found.small, requirements, skip_bad_images=False)
    with tqdm(total=number, desc=found.name, unit="img", **bar_options()) as progress_bar:
        for batch in _batches(images):
            indices, large, given = zip(*batch)
            real = join_if_of_one_size([*large])
            small = make_small(real, scale, "bicubic") if found.small is None else join_if_of_one_size([*given])
            methods = {
                "bicubic": interpolate(small, scale, BASELINES["bicubic"]),
                model_name: enlarge(small),
            }
            for name, enlarged in methods.items():
                qualities[name] += by_batches(lambda a, b: luminance_quality(a, b, scale), real, enlarged)
            for place in [place for place, index in enumerate(indices) if index in shown]:
                pixels = {name: enlarged[place] for name, enlarged in methods.items()} | {"original": real[place]}
                pixels = {"low resolution": interpolate(small[place][None], scale, BASELINES["nearest"])[0]} | pixels
                # Where bicubic interpolation fails, whatever the model does there.
                rows, columns = place_of_detail(pixels["original"], pixels["bicubic"], _SHOWN_SIDE)
                for name, one in pixels.items():
                    details[name].append(one[:, rows, columns])
            progress_bar.update(len(batch))
    means = {
        name: torch.stack(values).clamp(max=PSNR_OF_A_COPY).mean(0).tolist() for name, values in qualities.items()
    }
    bicubic, own = (UpscalingQuality(name, *means[name]) for name in ("bicubic", model_name))
    return SetQuality(
        found.name, found.split, number, found.small is not None, bicubic, own, comparison_picture({**details})
    )


def _batches(images: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := [*islice(images, _AT_ONCE)]:
        yield batch


def _write_report(folder: Path, model_name: str, comparison: BenchmarkComparison) -> None:
    remove_report(folder, PAPER_REPORT)
    for number, row in enumerate(comparison.sets, 1):
        save_picture(row.picture, folder / f"set-{number}.png")
    page = render_template(
        PAPER_REPORT,
        model_name=model_name,
        table=Markup(comparison.table),
        sets=comparison.sets,
        scale_factor=comparison.scale_factor,
        is_grey=comparison.sets[0].picture.mode == "L",
        copy=PSNR_OF_A_COPY,
    )
    write_text(page, folder / PAPER_REPORT)
