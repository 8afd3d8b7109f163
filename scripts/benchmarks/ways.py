# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Ways of generating the same images: their timings in turns, and cells for a table of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dcgan_hf.benchmarks.turns import seconds_of, take_turns


def time_ways(
    ways: dict[str, Callable[[], Any]], num_images: int, rounds: int, device: torch.device
) -> list[dict[str, Any]]:
    """Times ways of generating the same images. The first one is the baseline."""
    timings = take_turns({way: partial(seconds_of, make, device) for way, make in ways.items()}, rounds)
    return [
        {"way": way} | timing | {"images_per_second": num_images / timing["seconds"]}
        for way, timing in timings.items()
    ]


WAY_COLUMNS = ["ms (quartiles)", "images/s", "time / bare network"]


def way_cells(row: dict[str, Any]) -> list[str]:
    """Returns the cells of a row for [`WAY_COLUMNS`]."""
    low, median, high = (1e3 * seconds for seconds in (row["quartiles"][0], row["seconds"], row["quartiles"][1]))
    return [f"{median:.1f} ({low:.1f}-{high:.1f})", f"{row['images_per_second']:,.1f}", f"{row['ratio']:.2f}"]
