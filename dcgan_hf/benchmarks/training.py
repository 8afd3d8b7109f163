# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Training benchmark. The loops take turns, each in a separate process with its own memory and settings."""

import time
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..hardware import num_usable_cores, peak_memory
from ..pictures import to_pixel_values
from ..processes import restored_globals
from .loops import Loop
from .own_process import process_context
from .records import markdown_table
from .turns import seconds_of, take_turns


class FlopCounter(TorchDispatchMode):
    """Counts FLOPs like PyTorch's `FlopCounterMode`, which does not support `torch.autograd.grad`."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def run_loop(
    connection: Connection, loop: Loop, resolution: int, batch_size: int, device: torch.device, num_channels: int
) -> None:
    """Worker process: runs an update on each request and replies with its duration."""
    if device.type == "cpu":
        torch.set_num_threads(num_usable_cores())
    before = peak_memory(device)
    started = time.perf_counter()
    with restored_globals() if loop.is_ours else nullcontext():
        sizes = {"train_batch_size": batch_size} if loop.is_ours else {}
        _, step = loop.make(resolution, num_channels, device, **sizes, **loop.options)
        images = torch.randint(0, 256, (batch_size, num_channels, resolution, resolution), dtype=torch.uint8).to(
            device
        )
        update = partial(step, images if loop.is_ours else to_pixel_values(images))
        seconds_of(update, device)
        first = time.perf_counter() - started
        with FlopCounter() as counter:
            update()
        connection.send((first, counter.flops))
        while connection.recv():
            connection.send(seconds_of(update, device))
    connection.send(peak_memory(device) - before)


def training_benchmark(
    loops: dict[str, Loop],
    resolution: int,
    batch_size: int,
    rounds: int,
    device: torch.device,
    num_channels: int = 3,
) -> list[dict[str, Any]]:
    """Times loops. The first one is the baseline."""
    context = process_context()
    connections: dict[str, Connection] = {}
    firsts: dict[str, tuple[float, int]] = {}  # seconds of the first update, FLOPs of an update
    for name, loop in loops.items():
        connections[name], theirs = context.Pipe()
        arguments = (theirs, loop, resolution, batch_size, device, num_channels)
        context.Process(target=run_loop, args=arguments, daemon=True).start()
        theirs.close()  # to notice if the process fails
        firsts[name] = _answer(name, connections[name])  # one at a time, so that they do not interfere

    def ask(name: str) -> float:
        time.sleep(0.02)  # lets the threads of the previous loop go idle
        connections[name].send(True)
        return _answer(name, connections[name])

    timings = take_turns({name: partial(ask, name) for name in connections}, rounds)
    results = []
    for name, timing in timings.items():
        connections[name].send(False)
        first, flops = firsts[name]
        results.append(
            {
                "loop": name,
                "resolution": resolution,
                "batch_size": batch_size,
                "images_per_second": batch_size / timing["seconds"],
                "quartiles": [batch_size / seconds for seconds in reversed(timing["quartiles"])],
                "flops_per_second": flops / timing["seconds"],
                "gflop_per_image": flops / batch_size / 1e9,
                "first_step_seconds": first,
                "peak_memory_bytes": _answer(name, connections[name]),
                "speedup": 1 / timing["ratio"],
            }
        )
    return results


def _answer(name: str, connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        raise ChildProcessError(
            f"The process of the loop {name!r} has ended; its error is above. If memory ran out, try a smaller batch."
        ) from None


def training_table(results: list[dict[str, Any]], peaks: dict[str, float]) -> str:
    """Returns a table of the results, with the share of the FLOP/s of matrix products."""
    rows = []
    for row in results:
        low, high = row["quartiles"]
        cells = [row["loop"], f"{row['images_per_second']:.1f} ({low:.1f}-{high:.1f})", f"{row['speedup']:.2f}"]
        if row["gflop_per_image"]:  # 0 if the loop runs in another process, where FLOPs are not counted
            share = row["flops_per_second"] / peaks[row["loop"].split()[-1]]
            cells += [f"{row['gflop_per_image']:.2f}", f"{row['flops_per_second'] / 1e9:,.0f} ({share:.0%})"]
            cells += [f"{row['first_step_seconds']:.1f} s", f"{row['peak_memory_bytes'] / 1e6:,.0f} MB"]
        else:
            cells += ["", "", f"{row['first_step_seconds']:.1f} s", ""]
        rows.append(cells)
    columns = ["loop", "images/s (quartiles)", "speed-up", "GFLOP/image", "GFLOP/s (% of matmul)"]
    return markdown_table([*columns, "first step", "memory"], rows)
