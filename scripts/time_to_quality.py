#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times training until the images are as good as those of the PyTorch tutorial's loop after some epochs, or as a target.

    python scripts/time_to_quality.py --eval_features fashion-classifier
    python scripts/time_to_quality.py --eval_features fashion-classifier --loops ours strong --seeds 0
        --dataset_name /usr/share/datasets/fashion-mnist
    python scripts/time_to_quality.py --config faces --dataset_name ./faces --num_epochs 5
        --num_channels 3 --eval_features efficientnet-lite2
    python scripts/time_to_quality.py --config scripts/speed_runs/faces.yaml --dataset_name ./faces --target 1000
        --num_channels 3 --eval_features efficientnet-lite2

A loop is a recipe, by default that of `--config`, with changes. Each loop runs in a separate process, and the loops
take turns. With `--target`, the tutorial's loop is left out, and the others train to their end, where one measurement
says whether they are as good. Run nothing else on the machine. Quality is the Fréchet distance of `--num_samples`
images to the dataset's test images, in the features of a classifier, for example one trained by `dcgan
train-classifier`. Only training is timed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from torch import nn
from torch.multiprocessing import get_context

from dcgan_hf import DCGANTrainingArguments
from dcgan_hf.benchmarks.loops import make_engine, tutorial_loop
from dcgan_hf.benchmarks.records import markdown_table, measurement_facts, write_record
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.loaders import ResidentLoader, Shard, endless_batches
from dcgan_hf.evaluation.features import load_feature_network
from dcgan_hf.evaluation.images import decode_images, features_of
from dcgan_hf.evaluation.metrics import frechet_distance
from dcgan_hf.hardware import num_usable_cores
from dcgan_hf.pictures import image_grid, to_bytes, to_pil, to_pixel_values
from dcgan_hf.processes import connected_processes, restored_globals
from dcgan_hf.training.generation import GenerationTask
from dcgan_hf.training.recipes import arguments_from_recipe


CPU = torch.device("cpu")
SPECTRAL = {"discriminator_config": {"norm_type": "spectral"}}
GROUP = {"discriminator_config": {"norm_type": "group"}}
# This package's loops: a recipe, by default that of the comparison, and the changes to it.
LOOPS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "ours": (None, {}),
    "strong": ("strong", {}),
    "celeba": ("celeba", {}),
    "ours simultaneous": (None, {"update_strategy": "simultaneous"}),
    "ours spectral": (None, SPECTRAL),
    "ours spectral one_stage": (None, SPECTRAL | {"update_strategy": "one_stage"}),
    "ours group one_stage": (None, GROUP | {"update_strategy": "one_stage"}),
}


class Training(NamedTuple):
    """A loop: the function that makes the generator to sample from, the images per update, and the update."""

    sampled_generator: Callable[[], nn.Module]
    images_per_update: int
    update: Callable[[], Any]


def train_tutorial(images: torch.Tensor, seed: int) -> Training:
    """Prepares the tutorial's loop."""
    torch.manual_seed(seed)
    generator, step = tutorial_loop(images.shape[-1], images.shape[1], CPU)
    batches = endless_batches(ResidentLoader(images, None, Shard(128, seed)))
    return Training(lambda: generator, 128, lambda: step(to_pixel_values(next(batches)[2]["pixel_values"])))


def train_ours(args: DCGANTrainingArguments, images: torch.Tensor) -> Training:
    """Prepares a trainer's loop, without logs and files."""
    engine = make_engine(args, images.shape[1])
    loader, number = ResidentLoader(images, None, engine.shard), engine.task.batches_per_update
    assert isinstance(engine.task, GenerationTask)
    engine.task.loader = loader  # of the images whose contrast may be matched
    engine.start(num_updates(args, len(images)))
    batches, steps = endless_batches(loader), count()

    def update() -> None:
        engine.update([raw_batch for _, _, raw_batch in islice(batches, number)], next(steps))

    return Training(lambda: engine.sampled_generator, engine.images_per_update, update)


def arguments_of(name: str, args: argparse.Namespace, seed: int) -> DCGANTrainingArguments:
    """Returns the training arguments of one of this package's loops. A recipe without updates gets the epochs."""
    recipe, changes = LOOPS[name]
    changes = changes | {"seed": seed, "resolution": args.resolution, "use_cpu": True}
    ours = arguments_from_recipe(DCGANTrainingArguments, recipe or args.config, changes)
    return ours if ours.max_train_steps else replace(ours, num_epochs=args.num_epochs)


def num_updates(args: DCGANTrainingArguments, num_images: int) -> int:
    """Returns the number of updates of one of this package's loops."""
    if args.max_train_steps:
        return args.max_train_steps
    assert args.num_epochs is not None
    return args.num_epochs * (num_images // args.train_batch_size) // args.discriminator_steps


def run_loop(connection: Any, args: DCGANTrainingArguments | None, images: torch.Tensor, seed: int) -> None:
    """
    Worker process: trains on the requested number of images and replies with the duration, or sends samples. Without
    arguments, the loop is the tutorial's.
    """
    torch.set_num_threads(num_usable_cores())
    is_tutorial = args is None
    with nullcontext() if is_tutorial else restored_globals():
        training = train_tutorial(images, seed) if args is None else train_ours(args, images)
        while (request := connection.recv()) is not None:
            kind, number = request
            if kind == "train":
                started = time.perf_counter()
                for _ in range(number // training.images_per_update):
                    training.update()
                connection.send(time.perf_counter() - started)
            else:
                connection.send(
                    sample(training.sampled_generator(), number, kind == "sample as in training", is_tutorial)
                )


@torch.no_grad()
def sample(generator: nn.Module, number: int, as_in_training: bool, is_tutorial: bool) -> np.ndarray:
    """Returns samples of fixed latents as in a file: uint8 of shape (number, channels, height, width)."""
    was_training = generator.training
    generator.train(as_in_training)
    images = []
    for latents in torch.randn(number, 100, generator=torch.Generator().manual_seed(0)).split(500):
        pixels = generator(latents[:, :, None, None]) if is_tutorial else generator(latents).pixel_values
        images.append(to_bytes(VaeImageProcessor.denormalize(pixels)).numpy())
    generator.train(was_training)
    return np.concatenate(images)


class Runner:
    """A loop in a separate process, given its arguments, images and seed, and the quality of its samples over time."""

    def __init__(self, name: str, distance: Callable[[np.ndarray], float], num_samples: int, *arguments: Any):
        self.name, self.distance, self.num_samples = name, distance, num_samples
        self.trained, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        context.Process(target=run_loop, args=(theirs, *arguments), daemon=True).start()
        theirs.close()  # to notice if the process fails

    def ask(self, *request: Any) -> Any:
        """Sends a request and returns the reply."""
        self.connection.send(request)
        return self.connection.recv()

    def train(self, number: int) -> None:
        """Trains on a number of images and records the distance."""
        self.seconds += self.ask("train", number)
        self.trained += number
        # The tutorial samples with batch statistics. The better of both counts.
        kinds = ["sample", "sample as in training"] if self.name == "tutorial" else ["sample"]
        distance = min(self.distance(self.ask(kind, self.num_samples)) for kind in kinds)
        self.curve.append({"images": self.trained, "seconds": self.seconds, "distance": distance})
        print(f"{self.name}: {self.curve[-1]}", flush=True)

    def finish(self, path: Path) -> None:
        """Saves a grid of samples and ends the process."""
        image_grid(to_pil(torch.from_numpy(self.ask("sample", 64))), columns=8).save(path)
        self.connection.send(None)


def compare(
    args: argparse.Namespace, images: torch.Tensor, distance: Callable[[np.ndarray], float], seed: int
) -> dict[str, Any]:
    """
    Trains the tutorial's loop for all epochs and records its distance `--measurements` times per epoch. Per turn, the
    other loops train on half as many images and record their distance twice, up to the end of their training. They
    then continue until they are as good as the tutorial's loop. With `--target`, the other loops train alone, and are
    measured at their end.
    """
    print(f"Seed {seed}")
    ours = {name: arguments_of(name, args, seed) for name in args.loops}
    images_seen = {
        name: num_updates(loop, len(images)) * loop.train_batch_size * loop.discriminator_steps
        for name, loop in ours.items()
    }
    target = args.target
    turn = len(images) // (4 * args.measurements) if target is None else max(images_seen.values())
    others = [Runner(name, distance, args.num_samples, loop, images, seed) for name, loop in ours.items()]
    runners = others

    def train(runner: Runner) -> None:
        if left := min(turn, images_seen[runner.name] - runner.trained):
            runner.train(left)

    if target is None:
        tutorial = Runner("tutorial", distance, args.num_samples, None, images, seed)
        runners = [tutorial, *others]
        for _ in range(args.measurements * args.num_epochs):
            tutorial.train(4 * turn)
            for runner in others:
                train(runner)
                train(runner)
        target = tutorial.curve[-1]["distance"]
    for runner in others:
        while runner.trained < images_seen[runner.name] and all(point["distance"] > target for point in runner.curve):
            train(runner)
    for runner in runners:
        runner.finish(args.output_dir / f"{runner.name.replace(' ', '-')}-seed-{seed}.png")
    curves = {runner.name: runner.curve for runner in runners}
    return {"seed": seed, "target": target, "curves": curves, "images_per_epoch": len(images)}


def decisive(result: dict[str, Any], name: str) -> dict[str, float]:
    """Returns the first point of a loop's curve that is as good as the target, else the last. The tutorial sets it."""
    curve = result["curves"][name]
    good = [] if name == "tutorial" else [point for point in curve if point["distance"] <= result["target"]]
    return [*good, curve[-1]][0]


def quality_table(results: list[dict[str, Any]]) -> str:
    """Returns a table of the point that decides, for each seed and loop."""
    columns, rows = ["seed", "loop", "epochs", "seconds", "distance"], []
    for result in results:
        for name in result["curves"]:
            point = decisive(result, name)
            distance = f"{point['distance']:.3g}" + (" (not reached)" if point["distance"] > result["target"] else "")
            epochs = point["images"] / result["images_per_epoch"]
            rows.append([str(result["seed"]), name, f"{epochs:.2f}", f"{point['seconds']:.0f}", distance])
            if "tutorial" in result["curves"]:
                rows[-1].append(f"{point['seconds'] / result['curves']['tutorial'][-1]['seconds']:.3f}")
    return markdown_table([*columns, "share of the tutorial's time"][: len(rows[0])], rows)


def load_images(args: argparse.Namespace, split: str) -> torch.Tensor:
    """Decodes a split with the recipe's settings."""
    decoder = Decoder(args.num_channels, args.resolution, args.resize_mode, num_workers=4, skip_bad_images=False)
    return decode_images(load_image_dataset(args.dataset_name, split=split), decoder)[0]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Times training until the images are as good as the tutorial's.", allow_abbrev=False
    )
    parser.add_argument("--config", default="fashion_mnist", help="Recipe of the loops, and of the images.")
    parser.add_argument("--dataset_name", help="Dataset with the splits train and test (default: the recipe's).")
    parser.add_argument("--eval_features", required=True, help="Feature network, as for `dcgan train`.")
    parser.add_argument("--num_channels", type=int, choices=[1, 3], default=1, help="Number of image channels.")
    parser.add_argument(
        "--loops", nargs="+", default=["ours"], choices=LOOPS, help="Loops to compare with the tutorial's."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="Seeds of the comparison.")
    parser.add_argument("--target", type=float, help="Distance to reach (default: the tutorial's after all epochs).")
    parser.add_argument("--num_epochs", type=int, default=4, help="Number of epochs of the tutorial's loop.")
    parser.add_argument(
        "--measurements", type=int, default=2, help="Number of measurements per epoch of the tutorial's loop."
    )
    parser.add_argument(
        "--num_samples", type=int, default=10_000, help="Number of samples to compare with the test images."
    )
    parser.add_argument(
        "--output_dir", type=Path, default="time-to-quality", help="Output folder for results and samples."
    )
    args = parser.parse_args(argv)
    recipe = arguments_from_recipe(DCGANTrainingArguments, args.config)
    if recipe.class_conditional:
        raise ValueError(f"`--config {args.config}` trains with classes, which the tutorial's loop does not know.")
    args.dataset_name = args.dataset_name or recipe.dataset_name
    args.resolution, args.resize_mode = recipe.resolution, recipe.resize_mode
    args.output_dir.mkdir(parents=True, exist_ok=True)

    with connected_processes(use_cpu=True):
        facts = measurement_facts(["python", "scripts/time_to_quality.py", *argv], use_cpu=True)
        print(f"{facts['hardware']}; torch {facts['torch']}", flush=True)
        network = load_feature_network(args.eval_features, CPU, "eval_features")
        real = features_of(network, load_images(args, "test")).features
        images, results = load_images(args, "train"), []

        def distance(samples: np.ndarray) -> float:
            return frechet_distance(real, features_of(network, torch.from_numpy(samples)).features)

        for seed in args.seeds:
            results.append(compare(args, images, distance, seed))
            content = {
                "features": network.name,
                "num_samples": args.num_samples,
                "results": results,
                "seconds": {name: [decisive(result, name)["seconds"] for result in results] for name in args.loops},
            }
            write_record(facts | content, args.output_dir / "results.json")
    print("\n" + quality_table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
