# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Evaluation of a generator during training."""

import time
from typing import Protocol

import torch

from ..configuration_dcgan import DCGANGeneratorConfig
from ..data.datasets import ImageDataset, choose_images
from ..data.decoding import Decoder
from ..evaluation.features import load_feature_network
from ..evaluation.images import (
    FEATURE_CACHE,
    check_before_describing,
    decode_images,
    features_of,
    labels_asked_for,
)
from ..evaluation.measure import measure
from ..evaluation.records import Metric
from ..inference.generate import classes_in_turn, generate_images
from ..modeling_dcgan import DCGANGenerator
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..processes import first_on_its_machine, from_main_process
from .batches import LatentSampler
from .generation_arguments import DCGANTrainingArguments
from .networks import copy_generator
from .super_resolution_arguments import DCGANSuperResolutionTrainingArguments


# Maximum number of real images: as many as papers use, so that a large dataset is not processed whole.
_MAX_REAL_IMAGES = 10_000
# Positions in the list of metrics, whose names differ with Inception's features.
_DISTANCES = {"frechet_distance": 0, "kernel_distance": 1}


class Evaluation(Protocol):
    """Metrics of a generator, one of which selects the best model of a run."""

    greater_is_better: bool
    seconds: float

    def measure(self, generator: torch.nn.Module) -> list[Metric]:
        """Measures a generator without changing it. All processes must call it."""

    def score(self, metrics: list[Metric]) -> Metric:
        """Returns the metric that selects the best model."""


class GenerationEvaluation:
    r"""
    Comparison of generated images with real ones: the metrics of `dcgan evaluate` that take only seconds.

    Args:
        args ([`DCGANTrainingArguments`]):
            Features, and number of images to generate, from the seeds 0, 1, ...
        image_dataset ([`ImageDataset`]):
            Real images.
        decoder ([`Decoder`]):
            Decoder of images to the form that the networks see.
        config ([`DCGANGeneratorConfig`]):
            Config of the generators.
        sample_latents (`Callable`, *optional*):
            Source of latents instead of N(0, 1).
        device (`torch.device`):
            Device to compute on.

    Raises:
        ValueError: if there are too few images for the number of features.
    """

    greater_is_better = False

    def __init__(
        self,
        args: DCGANTrainingArguments,
        image_dataset: ImageDataset,
        decoder: Decoder,
        config: DCGANGeneratorConfig,
        sample_latents: LatentSampler | None,
        device: torch.device,
    ):
        self.sample_latents = sample_latents
        self.num_images = args.eval_num_images
        self.split = args.eval_split or args.dataset_split
        self.distance_index = _DISTANCES[args.metric_for_best_model]
        self.class_ids = classes_in_turn(config)
        self.seconds = 0.0
        with first_on_its_machine():  # downloads once per machine
            self.network = load_feature_network(args.eval_features, device, "eval_features")
        images, _ = decode_images(choose_images(image_dataset, _MAX_REAL_IMAGES, seed=0), decoder)
        check_before_describing(self.network, images, self.num_images)
        self.real = features_of(self.network, images, FEATURE_CACHE, show_progress=True)

    def _pipeline_of(self, generator: torch.nn.Module) -> DCGANPipeline:
        """Returns a pipeline with a fused copy of the generator, or with the generator itself if of another class."""
        if type(generator) is DCGANGenerator:
            generator = copy_generator(generator)
            generator.fuse()
        pipe = DCGANPipeline(generator=generator)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def measure(self, generator: torch.nn.Module) -> list[Metric]:
        started = time.perf_counter()
        pipe = self._pipeline_of(generator)
        images = generate_images(pipe, self.num_images, class_ids=self.class_ids, sample_latents=self.sample_latents)
        fake = features_of(self.network, images)
        asked_for = labels_asked_for(self.network, pipe, self.num_images)
        metrics = from_main_process(
            lambda: measure(self.network, self.real, fake, self.split, asked_for, quickly=True)
        )
        self.seconds += time.perf_counter() - started
        return metrics

    def score(self, metrics: list[Metric]) -> Metric:
        return metrics[self.distance_index]


class SuperResolutionEvaluation:
    r"""
    Comparison of upscaled images with the originals: the metrics of `dcgan evaluate-super-resolution`.

    Args:
        args ([`DCGANSuperResolutionTrainingArguments`]):
            Metric that selects the best model, and features.
        image_dataset ([`ImageDataset`]):
            Original images.
        small_dataset ([`ImageDataset`], *optional*):
            Their low-resolution versions. By default they are made from the originals.
        decoder ([`Decoder`]):
            Decoder of images that training makes square. Images that it crops at random are measured whole.
        device (`torch.device`):
            Device to compute on.

    Raises:
        ValueError: if the images cannot be compared.
    """

    def __init__(
        self,
        args: DCGANSuperResolutionTrainingArguments,
        image_dataset: ImageDataset,
        small_dataset: ImageDataset | None,
        decoder: Decoder,
        device: torch.device,
    ):
        # Needs packages that training alone does not need.
        from ..evaluation.upscaled_images import (
            Images,
            decode_whole_images,
            join_if_of_one_size,
            make_small,
        )
        from ..evaluation.upscaling import check_before_comparing

        self.metric = args.metric_for_best_model
        self.greater_is_better = self.metric != "frechet_distance"
        self.split = args.eval_split or args.dataset_split
        self.seconds = 0.0
        with first_on_its_machine():  # downloads once per machine
            self.network = (
                None
                if args.eval_features is None
                else load_feature_network(args.eval_features, device, "eval_features")
            )
        scale_factor, number = args.scale_factor, args.eval_num_images
        originals = choose_images(image_dataset, number, seed=0)
        self.real: Images
        small = None
        if args.resize_mode != "random_crop":
            self.real, _ = decode_images(originals, decoder)
        else:
            small_versions = small_dataset and choose_images(small_dataset, number, seed=0)
            whole, small, _ = decode_whole_images(
                originals, small_versions, decoder.num_channels, scale_factor, args.skip_bad_images
            )
            self.real = join_if_of_one_size(whole)
        if small is None:
            self.small = make_small(self.real, scale_factor, args.downsampling)
        else:
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
