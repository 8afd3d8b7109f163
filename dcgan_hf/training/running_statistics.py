# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Means of the update statistics, and throughput, without a device synchronisation per step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator


class RunningStatistics:
    """Sums statistics on the device and fetches them once per interval."""

    def __init__(self) -> None:
        self._total_images = 0
        self._total_seconds = self._total_waited = 0.0
        self._restart()

    def _restart(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}  # differ if the kind of update changes
        self._num_images = 0
        self._waited = 0.0
        self._started = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the enclosed time as waiting for images."""
        started = time.perf_counter()
        yield
        self._waited += time.perf_counter() - started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Excludes the enclosed time, such as that of writing samples and checkpoints."""
        started = time.perf_counter()
        yield
        self._started += time.perf_counter() - started

    def add(self, values: dict[str, torch.Tensor], num_images: int) -> None:
        """Adds the statistics of a step, which used `num_images` images over all processes."""
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._num_images += num_images

    def reduce(self, accelerator: Accelerator, stop: bool) -> tuple[dict[str, float], bool]:
        r"""
        Ends an interval. All processes must call it.

        Args:
            accelerator (`Accelerator`):
                Connection of the processes.
            stop (`bool`):
                Whether this process was asked to stop.

        Returns:
            `tuple[dict[str, float], bool]`: means over the steps of the interval and all processes, with
            "images_per_second"; and whether any process was asked to stop.
        """
        sums = [*self._sums.values(), torch.tensor(float(stop), device=accelerator.device)]
        *means, stops = accelerator.reduce(
            torch.stack(sums), reduction="mean"
        ).tolist()  # synchronises with the device
        seconds = time.perf_counter() - self._started
        self._total_images += self._num_images
        self._total_seconds += seconds
        self._total_waited += self._waited
        values = {name: mean / self._counts[name] for name, mean in zip(self._sums, means)}
        values["images_per_second"] = self._num_images / seconds
        self._restart()
        return values, stops > 0

    @property
    def training_images_per_second(self) -> float:
        """Images per second over all intervals so far, without the time spent waiting for images."""
        return self._total_images / max(self._total_seconds - self._total_waited, 1e-9)

    @property
    def waiting_share(self) -> float:
        """Share of the time spent waiting for images."""
        return self._total_waited / max(self._total_seconds, 1e-9)
