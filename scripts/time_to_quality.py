#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times how long training takes until the images are as good as those of the PyTorch tutorial's loop after some epochs.

    python scripts/time_to_quality.py --eval_features fashion-classifier
    python scripts/time_to_quality.py --eval_features fashion-classifier --loops ours strong --seeds 0
        --dataset_name /usr/share/datasets/fashion-mnist

Each loop has a process of its own, and they take turns on the machine. Nothing else should run on it. Quality is the
Frechet distance of 10,000 images to the data set's test images, in the features of a classifier such as
scripts/train_classifier.py makes. Only training is timed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from benchmarks.loops import tutorial_loop
from diffusers.image_processor import VaeImageProcessor
from torch.multiprocessing import get_context

import dcgan_hf
from dcgan_hf import DCGANDiscriminator, DCGANGenerator
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.loaders import ResidentLoader, Shard, endless_batches
from dcgan_hf.evaluation.features import FeatureNetwork, load_feature_network
from dcgan_hf.evaluation.images import features_of
from dcgan_hf.evaluation.metrics import frechet_distance
from dcgan_hf.hardware import default_mixed_precision, describe_hardware, keep_freed_memory, num_usable_cores
from dcgan_hf.pictures import image_grid
from dcgan_hf.training.arguments import DCGANTrainingArguments, parse_training_arguments
from dcgan_hf.training.batches import prepare_batches
from dcgan_hf.training.cpu_convolutions import FastConvolutions
from dcgan_hf.training.ema import GeneratorEMA
from dcgan_hf.training.setup import make_schedulers, prepare_gan
from dcgan_hf.training.update_strategies import UPDATE_STRATEGIES


CPU = torch.device("cpu")
RECIPES = Path(dcgan_hf.__file__).parent / "recipes"
# Our loops: a recipe, and what is changed in it.
LOOPS: dict[str, tuple[str, list[str]]] = {
    "ours": ("fashion_mnist.yaml", []),
    "strong": ("strong.yaml", []),
    "ours simultaneous": ("fashion_mnist.yaml", ["--update_strategy", "simultaneous"]),
    "ours spectral": ("fashion_mnist.yaml", ["--discriminator_config", '{"norm_type": "spectral"}']),
    "ours spectral one_stage": (
        "fashion_mnist.yaml",
        ["--discriminator_config", '{"norm_type": "spectral"}', "--update_strategy", "one_stage"],
    ),
    "ours group one_stage": (
        "fashion_mnist.yaml",
        ["--discriminator_config", '{"norm_type": "group"}', "--update_strategy", "one_stage"],
    ),
}


def train_tutorial(images: torch.Tensor, seed: int) -> tuple[torch.nn.Module, int, Callable[[], None]]:
    """The tutorial's loop: its generator, the size of a batch, and an update."""
    torch.manual_seed(seed)
    generator, step = tutorial_loop(images.shape[-1], images.shape[1], CPU)
    batches = endless_batches(ResidentLoader(images, None, Shard(128, seed)))

    def update() -> None:
        step(VaeImageProcessor.normalize(next(batches)[2]["pixel_values"].float() / 255))

    return generator, 128, update


def train_ours(
    name: str, images: torch.Tensor, seed: int, num_epochs: int
) -> tuple[torch.nn.Module, int, Callable[[], None]]:
    """What scripts/train.py does, without its logs: the averaged generator, the size of a batch, an update."""
    recipe, flags = LOOPS[name]
    argv = ["--config", str(RECIPES / recipe), "--seed", str(seed), "--num_epochs", str(num_epochs), *flags]
    args: DCGANTrainingArguments = parse_training_arguments(argv, default_config=RECIPES / recipe)
    keep_freed_memory()
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision=default_mixed_precision(use_cpu=True), cpu=True)
    generator_config, discriminator_config = args.network_configs(images.shape[1], None)
    generator = DCGANGenerator(generator_config).to(memory_format=torch.channels_last)
    discriminator = DCGANDiscriminator(discriminator_config).to(memory_format=torch.channels_last)
    ema = GeneratorEMA(generator, args.ema_half_life)
    gan, optimizers = prepare_gan(args, accelerator, generator, discriminator)
    loader = ResidentLoader(images, None, Shard(args.train_batch_size, seed))
    schedulers = make_schedulers(args, optimizers, num_epochs * len(loader), 0)
    batches, steps = endless_batches(loader), count()

    def update() -> None:
        step = next(steps)
        batch = prepare_batches([next(batches)[2]], args.latent_dim, seed, step)
        with FastConvolutions():
            UPDATE_STRATEGIES[args.update_strategy](gan, batch)
        ema.update(generator, args.train_batch_size, (step + 1) * args.train_batch_size)
        for scheduler in schedulers:
            scheduler.step()

    return ema.generator, args.train_batch_size, update


def run_loop(connection: Any, name: str, images: torch.Tensor, seed: int, num_epochs: int) -> None:
    """A process: trains as many images as it is told to and answers how long it took, or makes images."""
    torch.set_num_threads(num_usable_cores())
    is_tutorial = name == "tutorial"
    generator, batch_size, update = (
        train_tutorial(images, seed) if is_tutorial else train_ours(name, images, seed, num_epochs)
    )
    while (request := connection.recv()) is not None:
        kind, number = request
        if kind == "train":
            started = time.perf_counter()
            for _ in range(number // batch_size):
                update()
            connection.send(time.perf_counter() - started)
        else:
            connection.send(sample(generator.train(kind == "sample as in training"), number, is_tutorial))
            generator.train(is_tutorial)


@torch.no_grad()
def sample(generator: torch.nn.Module, number: int, is_tutorial: bool) -> np.ndarray:
    """The same latents always, and images as a file would hold them: uint8 of shape (number, channels, height, width)."""
    images = []
    for latents in torch.randn(number, 100, generator=torch.Generator().manual_seed(0)).split(500):
        pixels = generator(latents[:, :, None, None]) if is_tutorial else generator(latents).pixel_values
        images.append((VaeImageProcessor.denormalize(pixels) * 255).round().to(torch.uint8).numpy())
    return np.concatenate(images)


def load_images(args: argparse.Namespace, split: str) -> ResidentLoader:
    """A split, decoded as the recipes say."""
    dataset = load_image_dataset(args.dataset_name, split=split)
    decoder = Decoder(args.num_channels, resolution=32, resize_mode="pad", num_workers=4, skip_bad_images=False)
    return ResidentLoader.decode(dataset, decoder, Shard(1, seed=0), CPU)


def compare(
    args: argparse.Namespace, images: torch.Tensor, network: FeatureNetwork, real: np.ndarray, seed: int
) -> dict[str, Any]:
    """
    Trains the tutorial's loop for all epochs and notes its distance twice in each. The others get half as many images in
    their turns, note theirs after half of these, and go on when it is done, until they are as good or have trained as long.
    """
    context, connections = get_context("spawn"), {}
    for name in ["tutorial", *args.loops]:
        connections[name], theirs = context.Pipe()
        context.Process(target=run_loop, args=(theirs, name, images, seed, args.num_epochs), daemon=True).start()
        theirs.close()  # so that a process that fails is noticed

    def ask(name: str, *request: Any) -> Any:
        connections[name].send(request)
        return connections[name].recv()

    total, turn = args.num_epochs * len(images), len(images) // 8
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in connections}
    trained, seconds = dict.fromkeys(connections, 0), dict.fromkeys(connections, 0.0)

    def train(name: str, number: int, *kinds: str) -> None:
        seconds[name] += ask(name, "train", number)
        trained[name] += number
        samples = [torch.from_numpy(ask(name, kind, args.num_samples)) for kind in kinds]
        distances = [frechet_distance(real, features_of(network, images).features) for images in samples]
        curves[name].append({"images": trained[name], "seconds": seconds[name], "distance": min(distances)})
        print(f"seed {seed}, {name}: {curves[name][-1]}", flush=True)

    for _ in range(2 * args.num_epochs):
        # The tutorial samples with the statistics of the batch. It gets whichever is better.
        train("tutorial", 4 * turn, "sample", "sample as in training")
        for name in args.loops:
            train(name, turn, "sample")
            train(name, turn, "sample")
    target = curves["tutorial"][-1]["distance"]
    for name in args.loops:
        while trained[name] < total and min(point["distance"] for point in curves[name]) > target:
            train(name, turn, "sample")
    for name in connections:
        grid = [
            VaeImageProcessor.numpy_to_pil(image.transpose(1, 2, 0) / 255.0)[0] for image in ask(name, "sample", 64)
        ]
        image_grid(grid, columns=8).save(args.output_dir / f"{name.replace(' ', '-')}-seed-{seed}.png")
        connections[name].send(None)
    return {"seed": seed, "curves": curves}


def summarize(results: list[dict[str, Any]], loops: list[str]) -> str:
    """A row for each seed and loop: when it first was as good as the tutorial's loop at its end."""
    lines = ["| seed | loop | epochs | seconds | share of the tutorial's time | distance |", "| --- " * 6 + "|"]
    for result in results:
        end = result["curves"]["tutorial"][-1]
        for name in ["tutorial", *loops]:
            curve = result["curves"][name]
            reached = (
                [point for point in curve if point["distance"] <= end["distance"]] if name != "tutorial" else [end]
            )
            point = reached[0] if reached else curve[-1]
            epochs, share = point["images"] / result["images_per_epoch"], point["seconds"] / end["seconds"]
            cells = [result["seed"], name, f"{epochs:.2f}", f"{point['seconds']:.0f}", f"{share:.2f}"]
            cells += [f"{point['distance']:.2f}" + ("" if reached else " (not reached)")]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Times training until images are good.", allow_abbrev=False)
    parser.add_argument(
        "--dataset_name", default="zalando-datasets/fashion_mnist", help="A data set with the splits train and test."
    )
    parser.add_argument("--eval_features", required=True, help="As for scripts/train.py.")
    parser.add_argument("--num_channels", type=int, default=1, help="Channels of its images.")
    parser.add_argument("--loops", nargs="+", default=["ours"], choices=LOOPS, help="Loops besides the tutorial's.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--num_epochs", type=int, default=4, help="Epochs that the tutorial's loop trains.")
    parser.add_argument(
        "--num_samples", type=int, default=10_000, help="Images that are compared with the test images."
    )
    parser.add_argument("--output_dir", type=Path, default="time-to-quality", help="Folder for results and samples.")
    args = parser.parse_args(argv)
    torch.set_num_threads(num_usable_cores())
    args.output_dir.mkdir(parents=True, exist_ok=True)

    train, test = load_images(args, "train"), load_images(args, "test")
    print(f"{describe_hardware(Accelerator(cpu=True))}; torch {torch.__version__}", flush=True)
    network = load_feature_network(args.eval_features, CPU)
    real = features_of(network, test.images).features
    results = []
    for seed in args.seeds:
        result = compare(args, train.images, network, real, seed)
        results.append(result | {"images_per_epoch": len(train.images)})
        content = {"features": network.name, "num_samples": args.num_samples, "results": results}
        (args.output_dir / "results.json").write_text(json.dumps(content, indent=2) + "\n")
    print("\n" + summarize(results, args.loops))


if __name__ == "__main__":
    main(sys.argv[1:])
