#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times training, sampling, super-resolution and loading on this machine. Nothing else should run on it.

    python scripts/benchmark.py
    python scripts/benchmark.py --parts training --resolutions 32 64 128 --batch_sizes 64 128 --output_dir benchmark
    python scripts/benchmark.py --parts training --loops one_stage "alternating batch"
    python scripts/benchmark.py --parts article --keras_python /path/to/python  # one with keras and tensorflow

Training is timed against the PyTorch tutorial's loop and the strongest one that is plain, sampling and super-resolution
against the bare network.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from benchmarks.loading import loading_benchmark, loading_table
from benchmarks.loops import ARTICLE_LOOPS, LOOPS, Loop, article_in_keras_loop
from benchmarks.plots import plot_training
from benchmarks.sampling import sampling_benchmark, sampling_table
from benchmarks.super_resolution import SHAPES, super_resolution_benchmark, super_resolution_table
from benchmarks.training import training_benchmark, training_table

from dcgan_hf.hardware import default_mixed_precision, describe_hardware, num_usable_cores


def matmul_flops(precision: str, use_cpu: bool) -> float:
    """FLOP/s of a product of matrices, the measure of what the machine can do."""
    device = torch.device("cpu") if use_cpu else torch.accelerator.current_accelerator()
    dtype, size = (torch.bfloat16 if precision == "bf16" else torch.float32), 2048 if use_cpu else 8192
    matrix, seconds = torch.randn(size, size, device=device, dtype=dtype), []
    for _ in range(12):
        started = time.perf_counter()
        matrix @ matrix
        if not use_cpu:
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def _possible(loops: dict[str, Loop], has_bf16: bool) -> dict[str, Loop]:
    return {name: loop for name, loop in loops.items() if has_bf16 or "bf16" not in name}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Times training, sampling and loading.", allow_abbrev=False)
    parts = ["training", "sampling", "loading", "super_resolution", "article"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts[:3])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64], help="Sizes of the images: powers of 2.")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[128], help="For training.")
    parser.add_argument("--sampling_batch_sizes", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--stream_files", type=int, nargs="+", default=[16, 64], help="Lengths of streams to read.")
    parser.add_argument("--loops", nargs="+", default=["ours", "plain"], help="Parts of the names of loops to time.")
    parser.add_argument("--keras_python", help="For the part `article`: a Python that has keras and tensorflow.")
    parser.add_argument("--rounds", type=int, default=12, help="How often each is timed.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    parser.add_argument("--output_dir", type=Path, help="Folder for the results: benchmark.json and training.png.")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        raise ValueError(f"`rounds` must be at least 2, got {args.rounds}.")
    if any(resolution < 16 or resolution & (resolution - 1) for resolution in args.resolutions):
        raise ValueError(f"`resolutions` must be powers of 2 and at least 16, got {args.resolutions}.")
    if ("article" in args.parts) != (args.keras_python is not None):
        raise ValueError("The part `article` needs `keras_python`, and no other part does.")
    use_cpu = args.use_cpu or not torch.accelerator.is_available()
    if use_cpu:
        torch.set_num_threads(num_usable_cores())

    has_bf16 = default_mixed_precision(use_cpu) == "bf16"
    peaks = {name: matmul_flops(name, use_cpu) for name in (["fp32", "bf16"] if has_bf16 else ["fp32"])}
    accelerator = Accelerator(cpu=use_cpu)
    hardware, device = describe_hardware(accelerator), accelerator.device
    print(f"{hardware}; torch {torch.__version__}")
    print("Products of matrices: " + ", ".join(f"{name} {peak / 1e9:,.0f} GFLOP/s" for name, peak in peaks.items()))
    content: dict[str, Any] = {"hardware": hardware, "torch": torch.__version__, "matmul_flops": peaks}
    content |= {part: [] for part in args.parts}
    for resolution in args.resolutions:
        if "training" in args.parts:
            chosen = ["tutorial", *args.loops]
            loops = {name: loop for name, loop in LOOPS.items() if any(part in name for part in chosen)}
            for batch_size in args.batch_sizes:
                rows = training_benchmark(_possible(loops, has_bf16), resolution, batch_size, args.rounds, use_cpu)
                content["training"] += rows
                print(
                    f"\nTraining, {resolution}x{resolution}, batches of {batch_size}\n\n{training_table(rows, peaks)}"
                )
        if "sampling" in args.parts:
            rows = sampling_benchmark(resolution, args.sampling_batch_sizes, args.rounds, device, has_bf16)
            content["sampling"] += rows
            print(f"\nSampling, {resolution}x{resolution}\n\n{sampling_table(rows)}")
        if "loading" in args.parts:
            rows = loading_benchmark(resolution, args.stream_files, device)
            content["loading"] += rows
            print(f"\nLoading JPEG images of 178x218 as {resolution}x{resolution}\n\n{loading_table(rows)}")
        sys.stdout.flush()
    if "super_resolution" in args.parts:
        content["super_resolution"] = rows = super_resolution_benchmark(SHAPES, args.rounds, device, has_bf16)
        print(f"\nSuper-resolution, four times as wide and high\n\n{super_resolution_table(rows)}", flush=True)
    if "article" in args.parts:
        loops = {"Keras, tf.function, fp32": (article_in_keras_loop, {"python": args.keras_python})}
        for batch_size in args.batch_sizes:
            rows = training_benchmark(_possible(loops | ARTICLE_LOOPS, has_bf16), 36, batch_size, args.rounds, use_cpu)
            content["article"] += rows
            print(
                f"\nTraining the article's networks, 36x36, batches of {batch_size}\n\n{training_table(rows, peaks)}"
            )
    if args.output_dir:
        args.output_dir.mkdir(parents=True, exist_ok=True)
        (args.output_dir / "benchmark.json").write_text(json.dumps(content, indent=2) + "\n")
        if "training" in args.parts:
            plot_training(content["training"], args.output_dir / "training.png")


if __name__ == "__main__":
    main(sys.argv[1:])
