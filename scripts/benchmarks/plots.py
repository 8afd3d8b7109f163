# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Plots of benchmark results."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot_training(results: list[dict[str, Any]], path: Path) -> None:
    """Plots the images per second of each loop, with quartiles: one panel per resolution and batch size."""
    panels = sorted({(row["resolution"], row["batch_size"]) for row in results})
    loops = list(dict.fromkeys(row["loop"] for row in results))[::-1]
    figure = Figure(figsize=(8, 1 + len(panels) * (0.6 + 0.28 * len(loops))), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False)
    for (resolution, batch_size), axis in zip(panels, axes[:, 0]):
        rows = {
            row["loop"]: row for row in results if (row["resolution"], row["batch_size"]) == (resolution, batch_size)
        }
        medians = [rows[loop]["images_per_second"] for loop in loops]
        errors = [
            [median - rows[loop]["quartiles"][0] for loop, median in zip(loops, medians)],
            [rows[loop]["quartiles"][1] - median for loop, median in zip(loops, medians)],
        ]
        colors = ["tab:blue" if loop.startswith("ours") else "tab:gray" for loop in loops]
        bars = axis.barh(loops, medians, xerr=errors, color=colors, ecolor="black", error_kw={"linewidth": 0.8})
        axis.bar_label(bars, [f" {rows[loop]['speedup']:.2f}x" for loop in loops])
        axis.set_title(f"{resolution}x{resolution}, batches of {batch_size}")
        axis.set_xlabel("images per second")
        axis.margins(x=0.1)
    figure.savefig(path, dpi=120)
