#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Finds the latents of photos: what a model would have to be given to draw them.

    python scripts/invert.py org/dcgan-celeba photo1.png photo2.png --output_dir inverted
    python scripts/invert.py dcgan-fashion photo.png --class_labels sandal

Writes `latents.safetensors` (`latents`, in the order of the photos, and `class_labels` if there are any) and
`inverted.png`, which shows what was given above what was found.
"""

import argparse
import sys
from pathlib import Path

import PIL.Image
import torch
from safetensors.torch import save_file

from dcgan_hf import DCGANPipeline
from dcgan_hf.interpretability.inversion import invert, prepare_images
from dcgan_hf.pictures import comparison_grid


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Finds the latents of photos.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a pipeline, or its repository on the Hub.")
    parser.add_argument("photos", nargs="+", type=Path, help="Image files, of any size.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--output_dir", type=Path, default=Path("inverted"), help="Folder for what was found.")
    parser.add_argument(
        "--class_labels", nargs="+", help="Classes, by name or id: one for all photos, or one for each."
    )
    parser.add_argument("--num_steps", type=int, default=1000, help="Steps of each search.")
    parser.add_argument(
        "--num_restarts", type=int, default=4, help="Searches for each photo, of which the best counts."
    )
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--feature_weight", type=float, default=0.0, help="Weight of the discriminator's features.")
    parser.add_argument("--target_psnr", type=float, help="A photo is done when what was found is that near, in dB.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the random starts.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    for path in args.photos:
        if not path.is_file():
            raise ValueError(f"`photos` must be image files, got {str(path)!r}.")

    # ---- the model ----
    pipe = DCGANPipeline.from_pretrained(args.model, revision=args.revision)
    if not args.use_cpu and torch.accelerator.is_available():
        pipe.to(torch.accelerator.current_accelerator())
    config, classes = pipe.generator.config, None
    if args.class_labels:
        is_id = [label.isdecimal() and label not in config.id2label.values() for label in args.class_labels]
        labels = [int(label) if number else label for label, number in zip(args.class_labels, is_id)]
        classes = pipe.get_class_ids(labels) if config.num_classes else labels
        classes = classes * len(args.photos) if len(classes) == 1 else classes

    # ---- the search ----
    photos = [PIL.Image.open(path) for path in args.photos]
    found = invert(
        pipe,
        photos,
        class_labels=classes,
        num_steps=args.num_steps,
        num_restarts=args.num_restarts,
        learning_rate=args.learning_rate,
        feature_weight=args.feature_weight,
        target_psnr=args.target_psnr,
        generator=torch.Generator().manual_seed(args.seed),
    )

    # ---- what was found ----
    args.output_dir.mkdir(parents=True, exist_ok=True)
    tensors = {"latents": found.latents.cpu()} | ({} if classes is None else {"class_labels": torch.tensor(classes)})
    save_file(tensors, args.output_dir / "latents.safetensors")
    rows = {"given": prepare_images(pipe, photos), "found": found.pixel_values}
    to_pil = pipe.image_processor.postprocess
    comparison_grid({name: to_pil(pixels, output_type="pil") for name, pixels in rows.items()}).save(
        args.output_dir / "inverted.png"
    )
    for path, psnr in zip(args.photos, found.psnr.tolist()):
        print(f"{path}: {psnr:.1f} dB")
    print(f"Latents and picture: {args.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
