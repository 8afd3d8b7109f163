# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Speed of an update on this machine: the tutorial's loop, the strongest plain ones, and `dcgan train`, in turns."""

import logging
from typing import Any

from ..hardware import has_fast_bf16
from ..processes import connected_processes
from .arguments import BenchmarkArguments
from .loops import Loop, our_loop, strongest_plain_loop, tutorial_loop
from .records import markdown_table, measurement_facts
from .training import training_benchmark


logger = logging.getLogger(__name__)

OURS = "dcgan train, default settings"


def measure_speed(args: BenchmarkArguments, command: list[str]) -> dict[str, Any]:
    r"""
    Times an update of each loop on random images, in turns. Run nothing else on the machine meanwhile.

    Args:
        args ([`BenchmarkArguments`]):
            Size of images, networks and batches.
        command (`list[str]`):
            Words of the command, for the record.

    Returns:
        `dict[str, Any]`: facts on the machine, and a row per loop.
    """
    with connected_processes(args.use_cpu) as device:
        facts = measurement_facts(command, args.use_cpu)
        loops = _loops(args.hidden_size, has_fast_bf16(device))
        logger.info(f"Timing {len(loops)} loops, {args.rounds} updates each, after a few to warm up...")
        sizes = args.resolution, args.train_batch_size
        rows = training_benchmark(loops, *sizes, args.rounds, device, args.num_channels)
    return facts | {"num_channels": args.num_channels, "training": rows}


def _loops(hidden_size: int, has_bf16: bool) -> dict[str, Loop]:
    """Returns the loops by name. Where bf16 is emulated, nobody would choose it: an update takes minutes."""
    options: dict[str, Any] = {"hidden_size": hidden_size}
    loops = {
        "PyTorch tutorial": Loop(tutorial_loop, options),
        "strongest plain loop, fp32": Loop(strongest_plain_loop, options | {"precision": "no"}),
    }
    if has_bf16:
        loops["strongest plain loop, bf16"] = Loop(strongest_plain_loop, options | {"precision": "bf16"})
    return loops | {OURS: Loop(our_loop, options | {"recipe": None})}


def speed_report(content: dict[str, Any]) -> str:
    """Returns machine, table and conclusion of [`measure_speed`]."""
    rows = {row["loop"]: row for row in content["training"]}
    cells = []
    for name, row in rows.items():
        low, high = row["quartiles"]
        speed = f"{row['images_per_second']:,.1f} ({low:,.1f}-{high:,.1f})"
        cells.append([name, speed, f"{row['speedup']:.2f}"])
    ours = rows[OURS]
    plain = max(row["images_per_second"] for name, row in rows.items() if name.startswith("strongest plain"))
    size, batch_size = ours["resolution"], ours["batch_size"]
    colours = "RGB" if content["num_channels"] == 3 else "grey"
    return "\n".join(
        [
            f"{content['hardware']}; torch {content['torch']}",
            f"An update of both networks, {size}x{size} {colours} images in batches of {batch_size}:",
            "",
            markdown_table(["loop", "images/s (quartiles)", "speed-up"], cells),
            "",
            f"On this machine, `dcgan train` makes {ours['images_per_second']:,.0f} images/s:"
            f" {ours['speedup']:.1f} times as many as the tutorial's loop, and"
            f" {ours['images_per_second'] / plain:.2f} times as many as the best plain loop.",
        ]
    )
