# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Evaluation of a generative model: similarity to real images, diversity, and copies of training images."""

from pathlib import Path

import numpy as np
import torch

from ..data.datasets import ImageDataset, load_from_arguments, public_name
from ..data.decoding import Decoder
from ..image_processing_dcgan import ResizeMode
from ..inference.generate import IMAGES_AT_ONCE, classes_in_turn, generate_images
from ..inference.pipelines import ready_to_draw
from ..model_folder import REPORT_FOLDER
from ..pipeline_dcgan import DCGANPipeline
from ..processes import first_on_its_machine, from_main_process, is_main_process
from .arguments import EvaluationArguments
from .features import FeatureNetwork, Features, load_feature_network
from .images import FEATURE_CACHE, check_before_describing, decode_images, features_of, labels_asked_for
from .linear_probe import LinearProbe, probe_discriminator
from .measure import measure
from .records import check_place_for_metrics, write_metrics
from .report import Findings, find_memorized, write_report


def evaluate(pipe: DCGANPipeline, args: EvaluationArguments, model_name: str = "DCGAN") -> Findings:
    r"""
    Evaluates a model. Writes `metrics.json` and a report with pictures to `args.output_dir`, if set.

    FID and KID use Inception features, as in papers. Features of another network give different values, which compare
    models on the same data equally well.

    Args:
        pipe ([`DCGANPipeline`]):
            The model. It is left unchanged.
        args ([`EvaluationArguments`]):
            Real images, features, number of images.
        model_name (`str`, *optional*, defaults to `"DCGAN"`):
            Name of the model in the report.

    Returns:
        [`Findings`]: the results, in all processes.

    Raises:
        ValueError: if images, network and model are incompatible.

    Example:

    ```python
    >>> from dcgan_hf import DCGANPipeline
    >>> from dcgan_hf.evaluation.arguments import EvaluationArguments
    >>> from dcgan_hf.evaluation.evaluate import evaluate

    >>> pipe = DCGANPipeline.from_pretrained("dcgan-digits")
    >>> args = EvaluationArguments(dataset_name="digits", features="efficientnet-lite0")
    >>> for metric in evaluate(pipe, args).metrics:
    ...     print(metric)
    ```
    """
    if args.linear_probe and pipe.discriminator is None:
        raise ValueError(f"`linear_probe` needs a discriminator, which {model_name} does not have.")
    if args.output_dir is not None:
        check_place_for_metrics(Path(args.output_dir))
    with first_on_its_machine():  # for downloads
        network = load_feature_network(args.features, pipe.device)

    datasets, images, labels = {}, {}, {}
    for split in dict.fromkeys((args.dataset_split, args.train_split)):
        datasets[split], images[split], labels[split] = _real_images(pipe, args, split)
    check_before_describing(network, images[args.dataset_split], args.num_images)
    cache = Path(args.feature_cache_dir) if args.feature_cache_dir else FEATURE_CACHE
    real = {split: features_of(network, of_split, cache, show_progress=True) for split, of_split in images.items()}

    class_ids = classes_in_turn(pipe.generator.config)
    with ready_to_draw(pipe, args.num_images, IMAGES_AT_ONCE) as drawing:
        fake_images = generate_images(
            drawing, args.num_images, args.seed, class_ids, args.truncation, show_progress=True
        )
    fake = features_of(network, fake_images, show_progress=True)

    def judge() -> Findings:
        asked_for = labels_asked_for(network, pipe, args.num_images, args.seed)
        metrics = measure(network, real[args.dataset_split], fake, args.dataset_split, asked_for)
        for metric in metrics:
            metric.dataset_name = public_name(datasets[args.dataset_split], args.dataset_name)
        copies = find_memorized(real[args.train_split], fake)
        probes = _probe(pipe, args, images, labels) if args.linear_probe else []
        return Findings(metrics, copies, _class_shares(network, real[args.dataset_split], fake), probes)

    findings: Findings = from_main_process(judge)
    if args.output_dir is not None and is_main_process():
        folder = Path(args.output_dir)
        write_report(folder / REPORT_FOLDER, model_name, findings, fake_images, images[args.train_split])
        write_metrics(findings.metrics, folder)
    return findings


def _real_images(
    pipe: DCGANPipeline, args: EvaluationArguments, split: str
) -> tuple[ImageDataset, torch.Tensor, torch.Tensor | None]:
    config = pipe.generator.config
    resize_mode: ResizeMode = args.resize_mode or (
        "crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode
    )
    decoder = Decoder(
        config.num_channels, config.image_size, resize_mode, num_workers=4, skip_bad_images=args.skip_bad_images
    )
    with first_on_its_machine():
        dataset = load_from_arguments(args, split, label_column=args.label_column, with_labels=args.linear_probe)
    return dataset, *decode_images(dataset, decoder)


def _class_shares(network: FeatureNetwork, real: Features, fake: Features) -> list[tuple[str, float, float]]:
    if network.class_names is None:
        return []
    shares = [
        np.bincount(features.probabilities.argmax(1), minlength=len(network.class_names)) / len(features.features)
        for features in (real, fake)
    ]
    return list(zip(network.class_names, *(share.tolist() for share in shares)))


def _probe(
    pipe: DCGANPipeline,
    args: EvaluationArguments,
    images: dict[str, torch.Tensor],
    labels: dict[str, torch.Tensor | None],
) -> list[LinearProbe]:
    train, test = ((images[split], np.asarray(labels[split])) for split in (args.train_split, args.dataset_split))
    return probe_discriminator(pipe.discriminator, *train, *test)
