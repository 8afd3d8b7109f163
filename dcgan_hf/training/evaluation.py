# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Measures a generator again and again while it learns."""

import time

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from ..configuration_dcgan import DCGANGeneratorConfig
from ..data.datasets import ImageDataset, choose_images, load_image_dataset
from ..data.decoding import Decoder
from ..evaluation.features import load_feature_network
from ..evaluation.images import (
    FEATURE_CACHE,
    check_before_describing,
    classes_asked_for,
    decode_images,
    features_of,
    generate_images,
)
from ..evaluation.records import Metric, measure
from ..modeling_dcgan import DCGANGenerator
from ..pipeline_dcgan import DCGANPipeline
from .arguments import DCGANTrainingArguments


# Real images to compare with: as many as papers have, so that large data sets are not described whole.
_MAX_REAL_IMAGES = 10_000
# Where they are in what is measured: with Inception's features they have other names.
_DISTANCES = {"frechet_distance": 0, "kernel_distance": 1}


class TrainingEvaluation:
    r"""
    Compares a generator's images with real ones: what scripts/evaluate.py measures, as far as it is done in seconds.

    Args:
        args ([`DCGANTrainingArguments`]):
            What to compare with, in which features, and how many images to generate: of the seeds 0, 1, ...
        image_dataset ([`ImageDataset`]):
            The data set that the generator is trained on.
        decoder ([`Decoder`]):
            Makes images as the networks see them.
        config ([`DCGANGeneratorConfig`]):
            Configuration of the generator.
        device (`torch.device`):
            Where to compute.

    Raises:
        ValueError: if there are too few images for the number of features.
    """

    def __init__(
        self,
        args: DCGANTrainingArguments,
        image_dataset: ImageDataset,
        decoder: Decoder,
        config: DCGANGeneratorConfig,
        device: torch.device,
    ):
        self.num_images = args.eval_num_images
        self.dataset_split = args.eval_split or args.dataset_split
        self.distance_index = _DISTANCES[args.metric_for_best_model]
        self.class_ids = list(range(config.num_classes)) or None
        self.seconds = 0.0
        with PartialState().local_main_process_first():  # which downloads, for all processes of a machine
            self.network = load_feature_network(args.eval_features, device)
            if self.dataset_split != args.dataset_split:
                image_dataset = load_image_dataset(
                    args.dataset_name,
                    args.dataset_config_name,
                    split=self.dataset_split,
                    cache_dir=args.cache_dir,
                    image_column=args.image_column,
                )
        images, _ = decode_images(choose_images(image_dataset, _MAX_REAL_IMAGES, seed=0), decoder)
        check_before_describing(self.network, images, self.num_images)
        self.real = features_of(self.network, images, FEATURE_CACHE, show_progress=True)
        # Takes the weights of what is measured, and can be fused.
        generator = DCGANGenerator(config).to(device, memory_format=torch.channels_last).eval()
        self.pipe = DCGANPipeline(generator=generator)
        self.pipe.set_progress_bar_config(disable=True)

    def measure(self, generator: DCGANGenerator) -> list[Metric]:
        r"""
        Measures a generator. To be called by all processes, which share the work.

        Args:
            generator ([`DCGANGenerator`]):
                The generator, which stays as it is.
        """
        started = time.perf_counter()
        self.pipe.generator.unfuse()
        self.pipe.generator.load_state_dict(generator.state_dict())
        self.pipe.generator.fuse()
        images = generate_images(self.pipe, self.num_images, class_ids=self.class_ids)
        fake = features_of(self.network, images)
        metrics: list = [None]
        if PartialState().is_main_process:
            asked_for = classes_asked_for(self.network, len(self.class_ids or []), self.num_images)
            metrics = [measure(self.network, self.real, fake, self.dataset_split, asked_for, quickly=True)]
        metrics = broadcast_object_list(metrics)[0]
        self.seconds += time.perf_counter() - started
        return metrics

    def distance_in(self, metrics: list[Metric]) -> Metric:
        """The distance that says which model is the best, of what [`~TrainingEvaluation.measure`] returns."""
        return metrics[self.distance_index]
