# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Measurements of a generator while it learns."""

import time
from typing import Protocol

import torch

from ..data.datasets import ImageDataset, choose_images
from ..data.decoding import Decoder
from ..evaluation.features import load_feature_network
from ..evaluation.images import (
    FEATURE_CACHE,
    check_before_describing,
    classes_asked_for,
    decode_images,
    features_of,
)
from ..evaluation.measure import measure
from ..evaluation.records import Metric
from ..inference.generate import generate_images
from ..modeling_dcgan import DCGANGenerator
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import first_on_its_machine, from_main_process
from .batches import LatentSampler
from .generation_arguments import DCGANTrainingArguments
from .super_resolution_arguments import DCGANSuperResolutionTrainingArguments


# Real images to compare with: as many as papers have, so that large data sets are not described whole.
_MAX_REAL_IMAGES = 10_000
# Positions in the list of measurements: with Inception's features they have other names.
_DISTANCES = {"frechet_distance": 0, "kernel_distance": 1}


class Evaluation(Protocol):
    """Measurements that tell the best model of a run."""

    greater_is_better: bool
    seconds: float

    def measure(self, generator: torch.nn.Module) -> list[Metric]:
        """Measures a generator, which stays as it is. To be called by all processes."""

    def score(self, metrics: list[Metric]) -> Metric:
        """Returns the measurement that tells the best model."""


class GenerationEvaluation:
    r"""
    Comparison of a generator's images with real ones: what `dcgan evaluate` measures, as far as it is done in seconds.

    Args:
        args ([`DCGANTrainingArguments`]):
            Features, and number of images to generate: of the seeds 0, 1, ...
        image_dataset ([`ImageDataset`]):
            Real images.
        decoder ([`Decoder`]):
            Decoder that makes images as the networks see them.
        num_classes (`int`):
            Number of classes of a class-conditional generator, else 0.
        sample_latents (`Callable`, *optional*):
            Source of latents instead of N(0, 1).
        device (`torch.device`):
            Where to compute.

    Raises:
        ValueError: if there are too few images for the number of features.
    """

    greater_is_better = False

    def __init__(
        self,
        args: DCGANTrainingArguments,
        image_dataset: ImageDataset,
        decoder: Decoder,
        num_classes: int,
        sample_latents: LatentSampler | None,
        device: torch.device,
    ):
        self.sample_latents = sample_latents
        self.num_images = args.eval_num_images
        self.split = args.eval_split or args.dataset_split
        self.distance_index = _DISTANCES[args.metric_for_best_model]
        self.class_ids = list(range(num_classes)) or None
        self.seconds = 0.0
        with first_on_its_machine():  # which downloads
            self.network = load_feature_network(args.eval_features, device)
        images, _ = decode_images(choose_images(image_dataset, _MAX_REAL_IMAGES, seed=0), decoder)
        check_before_describing(self.network, images, self.num_images)
        self.real = features_of(self.network, images, FEATURE_CACHE, show_progress=True)

    def _pipeline_of(self, generator: torch.nn.Module) -> DCGANPipeline:
        """A pipeline of a fused copy of the generator, or of the generator itself if it is of another class."""
        if type(generator) is DCGANGenerator:
            copy = DCGANGenerator(generator.config).to(generator.device, memory_format=torch.channels_last).eval()
            copy.load_state_dict(generator.state_dict())
            copy.fuse()
            generator = copy
        pipe = DCGANPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def measure(self, generator: torch.nn.Module) -> list[Metric]:
        started = time.perf_counter()
        pipe = self._pipeline_of(generator)
        images = generate_images(pipe, self.num_images, class_ids=self.class_ids, sample_latents=self.sample_latents)
        fake = features_of(self.network, images)
        asked_for = classes_asked_for(self.network, len(self.class_ids or []), self.num_images)
        metrics = from_main_process(
            lambda: measure(self.network, self.real, fake, self.split, asked_for, quickly=True)
        )
        self.seconds += time.perf_counter() - started
        return metrics

    def score(self, metrics: list[Metric]) -> Metric:
        return metrics[self.distance_index]


class SuperResolutionEvaluation:
    r"""
    Comparison of images that a generator enlarged with the originals: what `dcgan evaluate-super-resolution` measures.

    Args:
        args ([`DCGANSuperResolutionTrainingArguments`]):
            Measurement that tells the best model, and features.
        image_dataset ([`ImageDataset`]):
            Originals.
        small_dataset ([`ImageDataset`], *optional*):
            Their small versions. By default they are made of them.
        decoder ([`Decoder`]):
            Decoder of images that are made square. Those that are cut at random in training are measured whole.
        device (`torch.device`):
            Where to compute.

    Raises:
        ValueError: if images cannot be compared.
    """

    def __init__(
        self,
        args: DCGANSuperResolutionTrainingArguments,
        image_dataset: ImageDataset,
        small_dataset: ImageDataset | None,
        decoder: Decoder,
        device: torch.device,
    ):
        # Needs packages that training alone does not.
        from ..evaluation.upscaled_images import (
            Images,
            check_pairs,
            decode_whole_images,
            join_if_of_one_size,
            make_small,
        )
        from ..evaluation.upscaling import check_before_comparing

        self.metric = args.metric_for_best_model
        self.greater_is_better = self.metric != "frechet_distance"
        self.split = args.eval_split or args.dataset_split
        self.seconds = 0.0
        with first_on_its_machine():  # which downloads
            self.network = None if args.eval_features is None else load_feature_network(args.eval_features, device)
        scale_factor, number = args.scale_factor, args.eval_num_images
        originals = choose_images(image_dataset, number, seed=0)
        self.real: Images
        if args.resize_mode != "random_crop":
            self.real, _ = decode_images(originals, decoder)
        else:
            whole = decode_whole_images(originals, decoder.num_channels, 1 if small_dataset else scale_factor)
            self.real = join_if_of_one_size(whole)
        if small_dataset is None:
            self.small = make_small(self.real, scale_factor, args.downsampling)
        else:
            small = decode_whole_images(choose_images(small_dataset, number, seed=0), decoder.num_channels)
            check_pairs(list(self.real), small, scale_factor)
            self.small = join_if_of_one_size(small)
        check_before_comparing(self.real, self.network)

    def measure(self, generator: torch.nn.Module) -> list[Metric]:
        from ..evaluation.upscaled_images import upscale
        from ..evaluation.upscaling import compare, metrics_of

        started = time.perf_counter()
        pipe = DCGANSuperResolutionPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        (row,) = compare({"DCGAN": upscale(pipe, self.small)}, self.real, self.network)
        features = "" if self.network is None else self.network.name
        metrics = from_main_process(lambda: metrics_of(row, len(self.real), features, self.split))
        self.seconds += time.perf_counter() - started
        return metrics

    def score(self, metrics: list[Metric]) -> Metric:
        return next(metric for metric in metrics if metric.type == self.metric)
