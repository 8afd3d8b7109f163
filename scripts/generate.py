#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Writes many images of a model to a folder, on any number of processes.

    python scripts/generate.py dcgan-digits --num_images 10000
    accelerate launch --multi_gpu --num_processes 2 scripts/generate.py org/dcgan-celeba --num_images 50000
    torchrun --nproc_per_node 2 scripts/generate.py dcgan-digits --num_images 10000

Image number i is that of `pipe(generator=torch.Generator().manual_seed(seed + i))`, whatever the number of processes. What
is there already is not made again, so an interrupted command can be repeated, and more images can be asked for.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image
import torch
from accelerate import PartialState
from tqdm.auto import tqdm

from dcgan_hf import DCGANPipeline
from dcgan_hf.evaluation.features import weights_fingerprint
from dcgan_hf.hardware import cores_of_a_process


def save(image: PIL.Image.Image, path: Path) -> None:
    """Writes a file that is either complete or not there."""
    part = path.with_suffix(".part")
    image.save(part, format="PNG")
    os.replace(part, path)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Writes many images of a model to a folder.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a pipeline, or its repository on the Hub.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--num_images", type=int, default=10_000)
    parser.add_argument("--output_dir", type=Path, default=Path("generated"), help="Folder for the images.")
    parser.add_argument("--seed", type=int, default=0, help="Image number i has the seed `seed + i`.")
    parser.add_argument("--batch_size", type=int, default=256, help="Images that a process makes at once.")
    parser.add_argument(
        "--class_labels",
        nargs="+",
        help="Classes, by name or id, which take turns: image number i has the i-th. By default all of the model.",
    )
    parser.add_argument("--truncation", type=float, help="Bound of the latents' absolute values.")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    for name in ("num_images", "batch_size"):
        if getattr(args, name) < 1:
            raise ValueError(f"`{name}` must be at least 1, got {getattr(args, name)}.")
    # Without a GPU, Accelerate connects the processes that torchrun starts only if told to use the CPU.
    state = PartialState(cpu=args.use_cpu or not torch.accelerator.is_available())
    if state.device.type == "cpu":
        torch.set_num_threads(cores_of_a_process())

    # ---- the model ----
    with state.local_main_process_first():  # which downloads, for all processes of a machine
        pipe = DCGANPipeline.from_pretrained(args.model, revision=args.revision, dtype=getattr(torch, args.dtype))
    fingerprint = weights_fingerprint(pipe.generator)
    pipe.to(state.device)
    pipe.set_progress_bar_config(disable=True)
    pipe.generator.to(memory_format=torch.channels_last)
    pipe.generator.fuse()
    config, classes = pipe.generator.config, None
    if args.class_labels and not config.num_classes:
        raise ValueError(f"`class_labels` are for class-conditional models, which {args.model!r} is not.")
    if config.num_classes:
        labels = args.class_labels or list(config.id2label.values())
        is_id = [label.isdecimal() and label not in config.id2label.values() for label in labels]
        classes = pipe.get_class_ids([int(label) if number else label for label, number in zip(labels, is_id)])
    pipe.check_inputs(1, classes, None, None, args.truncation, "pil")

    # ---- the folder ----
    settings = {
        "weights": fingerprint,
        "seed": args.seed,
        "class_labels": classes,
        "truncation": args.truncation,
        "dtype": args.dtype,
    }
    settings_file = args.output_dir / "generation_args.json"
    if settings_file.exists() and (there := json.loads(settings_file.read_text())) != settings:
        raise ValueError(
            f"`output_dir` {str(args.output_dir)!r} holds images made with {there}, now it is {settings}."
        )
    state.wait_for_everyone()
    if state.is_main_process:
        args.output_dir.mkdir(parents=True, exist_ok=True)
        settings_file.write_text(json.dumps(settings, indent=2) + "\n")
    state.wait_for_everyone()

    # ---- the images ----
    # Batches have the same images whatever the number of processes: products of matrices round as their size wants it.
    starts = range(0, args.num_images, args.batch_size)[state.process_index :: state.num_processes]
    progress_bar = tqdm(total=args.num_images, unit="img", disable=not state.is_main_process)
    with ThreadPoolExecutor(4) as pool:
        for start in starts:
            numbers = range(start, min(start + args.batch_size, args.num_images))
            paths = [args.output_dir / f"{number:08d}.png" for number in numbers]
            missing = [index for index, path in enumerate(paths) if not path.exists()]
            if missing:
                generators = [torch.Generator().manual_seed(args.seed + number) for number in numbers]
                labels = None if classes is None else [classes[number % len(classes)] for number in numbers]
                images = pipe(len(numbers), labels, generators, truncation=args.truncation, return_dict=False)[0]
                list(pool.map(save, [images[index] for index in missing], [paths[index] for index in missing]))
            progress_bar.update(min(len(numbers) * state.num_processes, args.num_images - progress_bar.n))
    progress_bar.close()

    # ---- what they show, as `datasets` reads it ----
    state.wait_for_everyone()
    if state.is_main_process and classes is not None:
        with (args.output_dir / "metadata.jsonl").open("w") as file:
            for number in range(args.num_images):
                label = classes[number % len(classes)]
                row = {"file_name": f"{number:08d}.png", "label": label, "class_name": config.id2label[label]}
                file.write(json.dumps(row) + "\n")
    if state.is_main_process:
        print(f"{args.num_images:,} images: {args.output_dir}")
    state.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
