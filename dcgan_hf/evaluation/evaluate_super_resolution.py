# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Evaluation of a super-resolution model: similarity to the originals, compared with interpolation."""

from pathlib import Path

import torch
from markupsafe import Markup

from ..data.datasets import ImageDataset, choose_images, load_from_arguments, public_name
from ..data.decoding import Decoder
from ..image_processing_dcgan import ResizeMode
from ..inference.pipelines import quiet
from ..model_folder import REPORT_FOLDER
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import first_on_its_machine, is_main_process
from ..templates.escaping import code, escape_markdown
from .arguments import SuperResolutionEvaluationArguments
from .evaluate_benchmark_sets import BenchmarkComparison, evaluate_benchmark_sets
from .features import FeatureNetwork, load_feature_network
from .images import FEATURE_CACHE, decode_images
from .records import check_place_for_metrics, write_metrics
from .upscaled_images import (
    BASELINES,
    Images,
    decode_whole_images,
    interpolate,
    join_if_of_one_size,
    make_small,
    upscale,
)
from .upscaling import (
    Comparison,
    check_before_comparing,
    compare,
    comparison_picture,
    metrics_of,
    write_comparison,
)


def evaluate_super_resolution(
    pipe: DCGANSuperResolutionPipeline, args: SuperResolutionEvaluationArguments, model_name: str = "DCGAN"
) -> Comparison | BenchmarkComparison:
    r"""
    Evaluates a model. Writes `metrics.json` and a report with pictures to `args.output_dir`, if set. See
    `evaluation/upscaling.py` and, for `protocol="paper"`, `evaluation/paper_protocol.py` for the details of PSNR and SSIM.

    Args:
        pipe ([`DCGANSuperResolutionPipeline`]):
            The model.
        args ([`SuperResolutionEvaluationArguments`]):
            Originals, low-resolution images, features.
        model_name (`str`, *optional*, defaults to `"DCGAN"`):
            Name of the model in the report.

    Returns:
        [`Comparison`] or, for `protocol="paper"`, [`BenchmarkComparison`]: the table and the model's metrics.

    Raises:
        ValueError: if images, network and model are incompatible.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionPipeline
    >>> from dcgan_hf.evaluation.arguments import SuperResolutionEvaluationArguments
    >>> from dcgan_hf.evaluation.evaluate_super_resolution import evaluate_super_resolution

    >>> pipe = DCGANSuperResolutionPipeline.from_pretrained("dcgan-photos-x2")
    >>> evaluate_super_resolution(pipe, SuperResolutionEvaluationArguments(dataset_name="photos")).table
    ```
    """
    if args.protocol == "paper":
        return evaluate_benchmark_sets(pipe, args, model_name)
    config = pipe.generator.config
    resolution = args.resolution or (0 if pipe.discriminator is None else pipe.discriminator.config.image_size)
    if args.resize_mode != "none" and (resolution < 1 or resolution % config.scale_factor):
        raise ValueError(
            f"`resize_mode={args.resize_mode}` needs a `resolution` (default: the discriminator's, if available)"
            f" divisible by the scale factor {config.scale_factor}, got {resolution}."
        )
    if args.output_dir is not None:
        check_place_for_metrics(Path(args.output_dir))
    network = None
    with first_on_its_machine():  # for downloads
        if args.features:
            network = load_feature_network(args.features, pipe.device)
        dataset = load_from_arguments(args, label_column=args.label_column, with_labels=args.label_column is not None)
    dataset = choose_images(dataset, args.num_images or len(dataset.dataset), seed=0)
    _check_classes(args, dataset, network)
    real, small, labels, small_from = _images(args, dataset, config.num_channels, config.scale_factor, resolution)
    check_before_comparing(real, network)

    methods = {baseline: interpolate(small, config.scale_factor, resample) for baseline, resample in BASELINES.items()}
    pipe.generator.to(memory_format=torch.channels_last)
    methods[model_name] = upscale(quiet(pipe), small)
    cache = Path(args.feature_cache_dir) if args.feature_cache_dir else FEATURE_CACHE
    rows = compare(methods, real, network, labels, cache)
    own_row = rows[len(BASELINES)]

    shown = {"low resolution": "nearest", "bicubic": "bicubic", "DCGAN": model_name}
    picture = comparison_picture({title: methods[name] for title, name in shown.items()} | {"original": real})
    dataset_name = public_name(dataset, args.dataset_name)
    facts = {
        "dataset": Markup(f"{escape_markdown(dataset_name)}, split {code(args.dataset_split)}"),
        "scale_factor": config.scale_factor,
        "num_images": len(real),
        "small_images": small_from,
        "features": "" if network is None else network.name,
    }
    metrics = metrics_of(own_row, len(real), facts["features"], args.dataset_split, dataset_name)
    comparison = Comparison(rows, own_row, metrics, picture, facts)
    if args.output_dir is not None and is_main_process():
        write_comparison(Path(args.output_dir) / REPORT_FOLDER, model_name, comparison)
        write_metrics(metrics, Path(args.output_dir))
    return comparison


def _check_classes(
    args: SuperResolutionEvaluationArguments, dataset: ImageDataset, network: FeatureNetwork | None
) -> None:
    if network is None or not args.label_column:
        return
    known, needed = (len(names or []) for names in (network.class_names, dataset.class_names))
    if known != needed:
        raise ValueError(
            f"`label_column={args.label_column}` has {needed} classes. `features` must be a classifier with these"
            f" classes, got {args.features} with {known}."
        )


def _images(
    args: SuperResolutionEvaluationArguments,
    dataset: ImageDataset,
    num_channels: int,
    scale_factor: int,
    resolution: int,
) -> tuple[Images, Images, torch.Tensor | None, str]:
    """Returns originals, their low-resolution versions, their labels, and a sentence about the source of the low-resolution
    versions."""
    real: Images
    if args.resize_mode == "none":
        small_dataset = None
        if args.low_resolution_column:
            small_dataset = load_from_arguments(args, image_column=args.low_resolution_column)
            small_dataset = choose_images(small_dataset, args.num_images or len(dataset.dataset), seed=0)
        originals, small, indices = decode_whole_images(
            dataset, small_dataset, num_channels, scale_factor, args.skip_bad_images
        )
        real = join_if_of_one_size(originals)
        labels = None if dataset.class_names is None else torch.tensor(dataset.dataset["label"][:])[indices]
        if small is not None:
            column = code(args.low_resolution_column or "")
            given = Markup(f"The low-resolution images are part of the dataset (column {column}).")
            return real, join_if_of_one_size(small), labels, given
        size = f"cropped at the right and bottom to multiples of {scale_factor} pixels"
    else:
        resize_mode: ResizeMode = args.resize_mode
        decoder = Decoder(num_channels, resolution, resize_mode, num_workers=4, skip_bad_images=args.skip_bad_images)
        real, labels = decode_images(dataset, decoder)
        size = f"made square ({args.resize_mode}, {resolution} pixels)"
    told = f"Each was {size}, then downscaled by {scale_factor} ({args.downsampling}) and rounded to uint8."
    return real, make_small(real, scale_factor, args.downsampling), labels, told
