# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Interleaved timings of calls, so that disturbances on the machine affect all calls alike."""

import statistics
from collections.abc import Callable
from typing import Any

import torch

from .. import hardware


NUM_WARM_UP = 2  # rounds that are discarded


def wait_for(device: torch.device) -> None:
    """Waits until a device has done its work."""
    if device.type != "cpu":
        torch.accelerator.synchronize()


def seconds_of(call: Callable[[], Any], device: torch.device) -> float:
    """Returns the duration of a call on a device, in seconds."""

    def call_and_wait() -> None:
        call()
        wait_for(device)

    return hardware.seconds_of(call_and_wait)


def take_turns(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, Any]]:
    """Interleaves calls that return their duration in seconds. Compares their medians with that of the first call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(NUM_WARM_UP + rounds):
        for name, call in calls.items():
            seconds[name].append(call())
    quartiles = {
        name: statistics.quantiles(values[NUM_WARM_UP:], n=4, method="inclusive") for name, values in seconds.items()
    }
    first = next(iter(quartiles.values()))[1]
    return {
        name: {"seconds": median, "quartiles": [low, high], "ratio": median / first}
        for name, (low, median, high) in quartiles.items()
    }
