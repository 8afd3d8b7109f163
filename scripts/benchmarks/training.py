# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times training loops. Each has a process of its own, whose memory and settings are its own, and they take turns, one
update each, so that what else happens on the machine happens to all.
"""

import resource
import statistics
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dcgan_hf.hardware import num_usable_cores

from .loops import Loop


class FlopCounter(TorchDispatchMode):
    """Counts operations as PyTorch's `FlopCounterMode` does, which does not work with `torch.autograd.grad`."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def run_loop(connection: Connection, loop: Loop, resolution: int, batch_size: int, use_cpu: bool) -> None:
    """A process: makes an update whenever it is told to, and answers how long it took."""
    device = torch.device("cpu") if use_cpu else torch.accelerator.current_accelerator()
    if use_cpu:
        torch.set_num_threads(num_usable_cores())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    make, options = loop
    _, step = make(resolution, 3, device, **options)
    real = torch.rand(batch_size, 3, resolution, resolution, device=device) * 2 - 1

    def timed_step() -> float:
        started = time.perf_counter()
        step(real)
        if not use_cpu:
            torch.accelerator.synchronize()
        return time.perf_counter() - started

    timed_step()
    first = time.perf_counter() - started
    with FlopCounter() as counter:
        step(real)
    connection.send((first, counter.flops))
    while connection.recv():
        connection.send(timed_step())
    if use_cpu:
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    else:
        peak = torch.accelerator.max_memory_allocated()
    connection.send(peak)


def training_benchmark(
    loops: dict[str, Loop], resolution: int, batch_size: int, rounds: int, use_cpu: bool
) -> list[dict[str, Any]]:
    """Times loops that take turns. The first one is what the others are compared with."""
    context, running = get_context("spawn"), {}
    for name, loop in loops.items():
        connection, theirs = context.Pipe()
        process = context.Process(target=run_loop, args=(theirs, loop, resolution, batch_size, use_cpu))
        process.start()
        theirs.close()  # so that a process that fails is noticed
        running[name] = (connection, process, *connection.recv())  # one at a time, or they would disturb each other
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds + 2):
        for name in loops:
            time.sleep(0.02)  # the threads of the last one come to rest
            running[name][0].send(True)
            seconds[name].append(running[name][0].recv())
    first_loop, results = next(iter(loops)), []
    for name in loops:
        connection, process, first, flops = running[name]
        connection.send(False)
        low, median, high = statistics.quantiles(seconds[name][2:], n=4, method="inclusive")  # two more for warm-up
        results.append(
            {
                "loop": name,
                "resolution": resolution,
                "batch_size": batch_size,
                "images_per_second": batch_size / median,
                "quartiles": [batch_size / high, batch_size / low],
                "flops_per_second": flops / median,
                "gflop_per_image": flops / batch_size / 1e9,
                "first_step_seconds": first,
                "peak_memory_bytes": connection.recv(),
                "speedup": statistics.median(seconds[first_loop][2:]) / median,
            }
        )
        process.join()
    return results


def training_table(results: list[dict[str, Any]], peaks: dict[str, float]) -> str:
    lines = ["| loop | images/s (quartiles) | speed-up | GFLOP/image | GFLOP/s (of products) | first step | memory |"]
    lines.append("| --- " * 7 + "|")
    for row in results:
        low, high = row["quartiles"]
        cells = [row["loop"], f"{row['images_per_second']:.1f} ({low:.1f}-{high:.1f})", f"{row['speedup']:.2f}"]
        if row["gflop_per_image"]:  # else it runs elsewhere, where nobody counts
            share = row["flops_per_second"] / peaks[row["loop"].split()[-1]]
            cells += [f"{row['gflop_per_image']:.2f}", f"{row['flops_per_second'] / 1e9:,.0f} ({share:.0%})"]
            cells += [f"{row['first_step_seconds']:.1f} s", f"{row['peak_memory_bytes'] / 1e6:,.0f} MB"]
        else:
            cells += ["", "", f"{row['first_step_seconds']:.1f} s", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
