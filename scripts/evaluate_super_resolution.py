#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Measures a model that makes images larger: how near they are to the originals, beside what interpolation makes of the
same small images.

    python scripts/evaluate_super_resolution.py dcgan-photos-x2 --dataset_name photos --dataset_split test
    python scripts/evaluate_super_resolution.py dcgan-fashion-mnist-x4 --dataset_name zalando-datasets/fashion_mnist
        --dataset_split test --resize_mode pad --features my-classifier --label_column label
    python scripts/evaluate_super_resolution.py org/dcgan-x4 --dataset_name ./pairs --image_column hr
        --low_resolution_column lr

Prints a table of PSNR and SSIM (and of the Frechet distance and how many images a classifier recognises, if asked),
and writes metrics.json and a report with a picture. How they are measured: dcgan_hf/evaluation/super_resolution.py.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState

from dcgan_hf import DCGANSuperResolutionPipeline
from dcgan_hf.data.datasets import choose_images, load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.evaluation.features import load_feature_network
from dcgan_hf.evaluation.images import FEATURE_CACHE, decode_images
from dcgan_hf.evaluation.records import write_metrics
from dcgan_hf.evaluation.upscaled_images import (
    BASELINES,
    check_pairs,
    decode_whole_images,
    interpolate,
    join_if_of_one_size,
    make_small,
    upscale,
)
from dcgan_hf.evaluation.upscaling import (
    check_before_comparing,
    compare,
    comparison_picture,
    metrics_of,
    quality_table,
    write_comparison,
)
from dcgan_hf.hardware import cores_of_a_process, keep_freed_memory
from dcgan_hf.model_folder import REPORT_FOLDER
from dcgan_hf.publishing.upload import update_card


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Measures a model that makes images larger.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a pipeline, or its repository on the Hub.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--dataset_name", required=True, help="The originals: as for scripts/train.py.")
    parser.add_argument("--dataset_config_name", help="Configuration of the data set, if it has several.")
    parser.add_argument("--dataset_split", default="test", help="Images that the model was not trained on.")
    parser.add_argument("--image_column", help="Column of the originals, if there are several of images.")
    parser.add_argument(
        "--low_resolution_column", help="Column of the small images. By default they are made of the originals."
    )
    parser.add_argument(
        "--label_column",
        help="Column of the labels, to measure how many images the classifier (`--features`) takes for what they are.",
    )
    parser.add_argument(
        "--resize_mode",
        choices=["none", "crop", "pad"],
        default="none",
        help="'none' leaves images as large as they are, but for what the scale factor does not divide; 'crop' and"
        " 'pad' make them square as in training.",
    )
    parser.add_argument("--resolution", type=int, help="Size of square images. By default the discriminator's.")
    parser.add_argument(
        "--downsampling", choices=["bicubic", "area"], default="bicubic", help="How originals are made small."
    )
    parser.add_argument(
        "--features", help="inception, efficientnet-lite0, or folder or repository of an image classifier."
    )
    parser.add_argument("--num_images", type=int, help="Images to measure, chosen at random. By default all.")
    parser.add_argument(
        "--cache_dir", type=Path, default=FEATURE_CACHE, help="Where the features of the originals are kept."
    )
    parser.add_argument(
        "--output_dir", type=Path, help="For a model of the Hub. By default its name and `-evaluation`."
    )
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    is_local = Path(args.model).is_dir()
    if is_local and args.output_dir:
        raise ValueError("`output_dir` is for models of the Hub: figures of a folder are written into it.")
    if args.num_images is not None and args.num_images < 1:
        raise ValueError(f"`num_images` must be at least 1, got {args.num_images}.")
    if args.low_resolution_column and args.resize_mode != "none":
        raise ValueError(
            f"`low_resolution_column` needs `resize_mode=none`, got `{args.resize_mode}`: pairs are not resized, so"
            " that they fit."
        )
    if args.resolution is not None and args.resize_mode == "none":
        raise ValueError(f"`resolution={args.resolution}` is for `resize_mode` `crop` or `pad`, got `none`.")
    if args.label_column and not args.features:
        raise ValueError(f"`label_column={args.label_column}` needs a classifier as `features`.")
    state = PartialState(cpu=args.use_cpu or not torch.accelerator.is_available())
    if state.device.type == "cpu":
        torch.set_num_threads(cores_of_a_process())
        keep_freed_memory()

    # ---- model and network ----
    pipe = DCGANSuperResolutionPipeline.from_pretrained(args.model, revision=args.revision).to(state.device)
    pipe.set_progress_bar_config(disable=True)
    pipe.generator.to(memory_format=torch.channels_last)
    num_channels, scale_factor = pipe.generator.config.num_channels, pipe.generator.config.scale_factor
    resolution: int = args.resolution or (0 if pipe.discriminator is None else pipe.discriminator.config.image_size)
    if args.resize_mode != "none" and (resolution < 1 or resolution % scale_factor):
        raise ValueError(
            f"`resize_mode={args.resize_mode}` needs a `resolution` (by default the discriminator's, if there is one)"
            f" that the scale factor {scale_factor} divides, got {resolution}."
        )
    network = load_feature_network(args.features, state.device) if args.features else None

    # ---- originals and small images ----
    load = partial(load_image_dataset, args.dataset_name, args.dataset_config_name, split=args.dataset_split)
    image_dataset = load(
        image_column=args.image_column, label_column=args.label_column, with_labels=args.label_column is not None
    )
    num_images = args.num_images or len(image_dataset.dataset)
    image_dataset = choose_images(image_dataset, num_images, seed=0)
    labels = None
    if network is not None and args.label_column:
        known, needed = (len(names or []) for names in (network.class_names, image_dataset.class_names))
        if known != needed:
            raise ValueError(
                f"`label_column={args.label_column}` has {needed} classes, which `features` must be a classifier of:"
                f" got {args.features}, of {known}."
            )
        labels = torch.tensor(image_dataset.dataset["label"][:])
    if args.low_resolution_column:
        small_dataset = choose_images(load(image_column=args.low_resolution_column), num_images, seed=0)
        originals = decode_whole_images(image_dataset, num_channels)
        small_images = decode_whole_images(small_dataset, num_channels)
        check_pairs(originals, small_images, scale_factor)
        real, small = join_if_of_one_size(originals), join_if_of_one_size(small_images)
        small_from = f"The small ones come with them (column `{args.low_resolution_column}`)."
    else:
        if args.resize_mode == "none":
            real = join_if_of_one_size(decode_whole_images(image_dataset, num_channels, scale_factor))
            size = f"cut at the right and at the bottom to multiples of {scale_factor} pixels"
        else:
            decoder = Decoder(num_channels, resolution, args.resize_mode, num_workers=4, skip_bad_images=False)
            real, _ = decode_images(image_dataset, decoder)
            size = f"made square ({args.resize_mode}, {resolution} pixels)"
        small = make_small(real, scale_factor, args.downsampling)
        small_from = (
            f"Each was {size}, then made {scale_factor} times smaller ({args.downsampling}) and rounded to bytes."
        )
    check_before_comparing(real, network)

    # ---- methods ----
    name = Path(args.model).absolute().name if is_local else args.model
    methods = {baseline: interpolate(small, scale_factor, resample) for baseline, resample in BASELINES.items()}
    methods[name] = upscale(pipe, small)
    rows = compare(methods, real, network, labels, args.cache_dir)
    print(quality_table(rows))

    # ---- report ----
    features = "" if network is None else network.name
    folder = Path(args.model) if is_local else args.output_dir or Path(f"{args.model.split('/')[-1]}-evaluation")
    dataset_name = image_dataset.hub_id or Path(args.dataset_name).name
    report = write_comparison(
        folder / REPORT_FOLDER,
        name,
        rows,
        comparison_picture(
            {
                "low resolution": methods["nearest"],
                "bicubic": methods["bicubic"],
                "DCGAN": methods[name],
                "original": real,
            }
        ),
        f"{dataset_name}, split `{args.dataset_split}`",
        scale_factor,
        len(real),
        small_from,
        features,
    )
    own_row = rows[len(BASELINES)]
    write_metrics(metrics_of(own_row, len(real), features, args.dataset_split, dataset_name), folder)
    if is_local:
        update_card(folder)
    print(f"Report: {report}")


if __name__ == "__main__":
    main(sys.argv[1:])
