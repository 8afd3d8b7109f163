#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Measures a model: how near its images are to real ones, how varied they are, and whether they are copies.

    python scripts/evaluate.py dcgan-digits --dataset_name digits --features efficientnet-lite0
    python scripts/evaluate.py org/dcgan-celeba --dataset_name nielsr/CelebA-faces --push_to_hub
    torchrun --nproc_per_node 2 scripts/evaluate.py dcgan-fashion-mnist --dataset_name zalando-datasets/fashion_mnist
        --dataset_split test --features my-classifier

Writes metrics.json and a report with pictures; a folder's model card tells the figures, too. FID and KID are in the features
of Inception, as papers have them (needs torch-fidelity and torchvision; its weights are downloaded once). Features of another
network give other figures, which compare models on the same data as well.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState

from dcgan_hf import DCGANPipeline
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.evaluation.features import load_feature_network
from dcgan_hf.evaluation.images import (
    FEATURE_CACHE,
    check_before_describing,
    classes_asked_for,
    decode_images,
    features_of,
    generate_images,
)
from dcgan_hf.evaluation.linear_probe import probe_discriminator
from dcgan_hf.evaluation.records import measure, write_metrics
from dcgan_hf.evaluation.report import find_memorized, write_report
from dcgan_hf.hardware import cores_of_a_process, keep_freed_memory
from dcgan_hf.image_processing_dcgan import ResizeMode
from dcgan_hf.model_folder import REPORT_FOLDER
from dcgan_hf.publishing.upload import publish_metrics, update_card


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Measures the images of a model.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a pipeline, or its repository on the Hub.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--dataset_name", required=True, help="What it was trained on: as for scripts/train.py.")
    parser.add_argument("--dataset_config_name", help="Configuration of the data set, if it has several.")
    parser.add_argument("--dataset_split", default="train", help="Images to compare with.")
    parser.add_argument("--train_split", default="train", help="Images that the model was trained on.")
    parser.add_argument("--image_column", help="Column of the images, if there are several.")
    parser.add_argument(
        "--linear_probe",
        action="store_true",
        help="Also measure how well a linear SVM tells the classes of `dataset_split` apart by the discriminator's features.",
    )
    parser.add_argument("--label_column", help="Column of the labels, if there are several.")
    parser.add_argument("--resize_mode", choices=["crop", "pad"], help="By default the discriminator's, else crop.")
    parser.add_argument(
        "--features",
        default="inception",
        help="inception, efficientnet-lite0, or folder or repository of an image classifier.",
    )
    parser.add_argument(
        "--num_images", type=int, default=10_000, help="Images to generate. Papers have 10,000 or 50,000."
    )
    parser.add_argument("--seed", type=int, default=0, help="Image number i has the seed `seed + i`.")
    parser.add_argument("--truncation", type=float, help="Bound of the latents' absolute values.")
    parser.add_argument(
        "--cache_dir", type=Path, default=FEATURE_CACHE, help="Where the features of real images are kept."
    )
    parser.add_argument(
        "--output_dir", type=Path, help="For a model of the Hub. By default its name and `-evaluation`."
    )
    parser.add_argument("--push_to_hub", action="store_true", help="Publish the figures in the model's repository.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    is_local = Path(args.model).is_dir()
    if is_local and (args.output_dir or args.push_to_hub):
        raise ValueError(
            "`output_dir` and `push_to_hub` are for models of the Hub: figures of a folder are written into it, and"
            " published with it by scripts/push_to_hub.py."
        )
    if args.num_images < 1:
        raise ValueError(f"`num_images` must be at least 1, got {args.num_images}.")
    if args.linear_probe and args.dataset_split == args.train_split:
        raise ValueError(
            f"`linear_probe` trains with the labels of `train_split={args.train_split}` and must be tested on other images:"
            " `--dataset_split test`."
        )
    state = PartialState(cpu=args.use_cpu or not torch.accelerator.is_available())
    if state.device.type == "cpu":
        torch.set_num_threads(cores_of_a_process())
        keep_freed_memory()

    # ---- model and network ----
    with state.local_main_process_first():  # which downloads, for all processes of a machine
        pipe = DCGANPipeline.from_pretrained(args.model, revision=args.revision).to(state.device)
        network = load_feature_network(args.features, state.device)
    pipe.set_progress_bar_config(disable=True)
    pipe.generator.to(memory_format=torch.channels_last)
    pipe.generator.fuse()
    config = pipe.generator.config
    if args.linear_probe and pipe.discriminator is None:
        raise ValueError(f"`linear_probe` needs a discriminator, which {args.model} does not have.")

    # ---- real images ----
    resize_mode: ResizeMode = args.resize_mode or (
        "crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode
    )
    decoder = Decoder(config.num_channels, config.image_size, resize_mode, num_workers=4, skip_bad_images=False)
    real_images, labels, datasets = {}, {}, {}
    for split in dict.fromkeys((args.dataset_split, args.train_split)):
        with state.local_main_process_first():
            datasets[split] = load_image_dataset(
                args.dataset_name,
                args.dataset_config_name,
                split=split,
                image_column=args.image_column,
                label_column=args.label_column,
                with_labels=args.linear_probe,
            )
        real_images[split], labels[split] = decode_images(datasets[split], decoder)
    check_before_describing(network, real_images[args.dataset_split], args.num_images)
    real = {
        split: features_of(network, images, args.cache_dir, show_progress=True)
        for split, images in real_images.items()
    }

    # ---- generated images ----
    class_ids = list(range(config.num_classes)) or None
    images = generate_images(pipe, args.num_images, args.seed, class_ids, args.truncation, show_progress=True)
    fake = features_of(network, images, show_progress=True)
    if not state.is_main_process:
        state.destroy_process_group()
        return

    # ---- figures ----
    asked_for = classes_asked_for(network, config.num_classes, args.num_images)
    metrics = measure(network, real[args.dataset_split], fake, args.dataset_split, asked_for)
    for metric in metrics:
        metric.dataset_name = datasets[args.dataset_split].hub_id or Path(args.dataset_name).name
        print(metric)
    memorization = find_memorized(real[args.train_split], fake)
    class_shares = []
    if network.class_names is not None:
        shares = [
            np.bincount(features.probabilities.argmax(1), minlength=len(network.class_names)) / len(features.features)
            for features in (real[args.dataset_split], fake)
        ]
        class_shares = list(zip(network.class_names, *(share.tolist() for share in shares)))
    probes = []
    if args.linear_probe:
        probes = probe_discriminator(
            pipe.discriminator,
            *(real_images[args.train_split], np.asarray(labels[args.train_split])),
            *(real_images[args.dataset_split], np.asarray(labels[args.dataset_split])),
        )
        for probe in probes:
            print(
                f"Linear SVM on {probe.features}: {probe.accuracy:.1%} of {probe.num_test_images:,} images, with"
                f" {probe.num_train_images:,} labels"
            )
    folder = Path(args.model) if is_local else args.output_dir or Path(f"{args.model.split('/')[-1]}-evaluation")
    name = Path(args.model).absolute().name if is_local else args.model
    report = write_report(
        folder / REPORT_FOLDER,
        name,
        metrics,
        images,
        real_images[args.train_split],
        memorization,
        class_shares,
        probes,
    )
    write_metrics(metrics, folder)
    if is_local:
        update_card(folder)
    if args.push_to_hub:
        print(f"Published: {publish_metrics(folder, args.model)}")
    print(f"Report: {report}")
    state.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
