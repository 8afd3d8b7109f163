#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times training, sampling, super-resolution, loading and start-up on this machine. Run nothing else at the same time.

    python scripts/benchmark.py
    python scripts/benchmark.py --parts training --resolutions 32 64 128 --batch_sizes 64 128 --output_dir benchmark
    python scripts/benchmark.py --parts training --loops one_stage "alternating batch"
    python scripts/benchmark.py --parts startup --before ../old-checkout
    python scripts/benchmark.py --parts article --keras_python /path/to/python  # with keras and tensorflow

Training is compared with the PyTorch tutorial's loop and the strongest plain PyTorch loop, sampling and
super-resolution with the bare network.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from benchmarks.loading import loading_benchmark, loading_table
from benchmarks.loops import ARTICLE_LOOPS, LOOPS, article_in_keras_loop
from benchmarks.plots import plot_training
from benchmarks.sampling import sampling_benchmark, sampling_table
from benchmarks.startup import startup_benchmark, startup_table
from benchmarks.super_resolution import SHAPES, super_resolution_benchmark, super_resolution_table

from dcgan_hf.benchmarks.loops import Loop
from dcgan_hf.benchmarks.records import measurement_facts, write_record
from dcgan_hf.benchmarks.training import training_benchmark, training_table
from dcgan_hf.benchmarks.turns import seconds_of
from dcgan_hf.hardware import has_fast_bf16
from dcgan_hf.processes import connected_processes


PARTS = ["training", "sampling", "loading", "super_resolution", "startup", "article"]


def matmul_flops(precision: str, device: torch.device) -> float:
    """Measures the FLOP/s of a matrix product, the reference for the machine's peak."""
    dtype, size = (torch.bfloat16 if precision == "bf16" else torch.float32), 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / min(seconds_of(lambda: matrix @ matrix, device) for _ in range(12))


def run_benchmarks(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Runs the requested benchmarks and prints their results. Returns the measurements of benchmark.json."""
    has_bf16 = has_fast_bf16(device)
    peaks = {name: matmul_flops(name, device) for name in (["fp32", "bf16"] if has_bf16 else ["fp32"])}
    print("Matrix products: " + ", ".join(f"{name} {peak / 1e9:,.0f} GFLOP/s" for name, peak in peaks.items()))
    content: dict[str, Any] = {"matmul_flops": peaks} | {part: [] for part in args.parts}

    def report(part: str, title: str, rows: list[dict[str, Any]], table: str) -> None:
        content[part] += rows
        print(f"\n{title}\n\n{table}", flush=True)

    def train(part: str, title: str, loops: dict[str, Loop], resolution: int) -> None:
        loops = {name: loop for name, loop in loops.items() if has_bf16 or "bf16" not in name}
        for batch_size in args.batch_sizes:
            rows = training_benchmark(loops, resolution, batch_size, args.rounds, device)
            full_title = f"{title}, {resolution}x{resolution}, batches of {batch_size}"
            report(part, full_title, rows, training_table(rows, peaks))

    for resolution in args.resolutions:
        size = f"{resolution}x{resolution}"
        if "training" in args.parts:
            chosen = ["tutorial", *args.loops]
            loops = {name: loop for name, loop in LOOPS.items() if any(part in name for part in chosen)}
            train("training", "Training", loops, resolution)
        if "sampling" in args.parts:
            rows = sampling_benchmark(resolution, args.sampling_batch_sizes, args.rounds, device, has_bf16)
            report("sampling", f"Sampling, {size}", rows, sampling_table(rows))
        if "loading" in args.parts:
            rows = loading_benchmark(resolution, args.stream_files, device)
            report("loading", f"Loading JPEG images of 178x218 as {size}", rows, loading_table(rows))
    if "super_resolution" in args.parts:
        rows = super_resolution_benchmark(SHAPES, args.rounds, device, has_bf16)
        report("super_resolution", "Super-resolution", rows, super_resolution_table(rows))
    if "startup" in args.parts:
        checkouts = {"now": Path(__file__).parents[1]}
        rows = startup_benchmark({"before": args.before} | checkouts if args.before else checkouts, args.rounds)
        report("startup", "Start-up", rows, startup_table(rows))
    if "article" in args.parts:
        keras = Loop(article_in_keras_loop, {"python": args.keras_python})
        loops = {"Keras, tf.function, fp32": keras} | ARTICLE_LOOPS
        train("article", "Training the article's networks", loops, resolution=36)
    return content


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Times training, sampling, super-resolution, loading and start-up.", allow_abbrev=False
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:3])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64], help="Image resolutions: powers of 2.")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[128], help="Batch sizes for training.")
    parser.add_argument("--sampling_batch_sizes", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument(
        "--stream_files", type=int, nargs="+", default=[16, 64], help="Numbers of files of the streams to read."
    )
    parser.add_argument("--loops", nargs="+", default=["ours", "plain"], help="Loops to time: parts of their names.")
    parser.add_argument("--keras_python", help="For the part `article`: Python interpreter with keras and tensorflow.")
    parser.add_argument("--before", type=Path, help="For the part `startup`: checkout of another version to compare.")
    parser.add_argument("--rounds", type=int, default=12, help="Number of timings of each loop or call.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if a GPU is available.")
    parser.add_argument("--output_dir", type=Path, help="Output folder for benchmark.json and training.png.")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        raise ValueError(f"`rounds` must be at least 2, got {args.rounds}.")
    if any(resolution < 16 or resolution & (resolution - 1) for resolution in args.resolutions):
        raise ValueError(f"`resolutions` must be powers of 2 and at least 16, got {args.resolutions}.")
    if ("article" in args.parts) != (args.keras_python is not None):
        raise ValueError("The part `article` needs `keras_python`. Without this part, omit it.")
    with connected_processes(args.use_cpu) as device:
        facts = measurement_facts(["python", "scripts/benchmark.py", *argv], args.use_cpu)
        print(f"{facts['hardware']}; torch {facts['torch']}")
        content = facts | run_benchmarks(args, device)
    if args.output_dir:
        write_record(content, args.output_dir / "benchmark.json")
        if "training" in args.parts:
            plot_training(content["training"], args.output_dir / "training.png")


if __name__ == "__main__":
    main(sys.argv[1:])
