#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Times training loops against each other on this machine: the PyTorch tutorial's, the strongest that is plain, and ours.

    python scripts/benchmark.py
    python scripts/benchmark.py --resolutions 32 64 128 --batch_sizes 64 128 --output_file benchmark.json
    python scripts/benchmark.py --loops one_stage "alternating batch"

Each loop has a process of its own, whose memory and settings are its own, and they take turns, one update each, so that
what else happens on the machine happens to all. Nothing else should.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.training.convolutions import FastConvolutions
from dcgan_hf.training.hardware import (
    default_mixed_precision,
    describe_hardware,
    keep_freed_memory,
    num_usable_cores,
)
from dcgan_hf.training.losses import LOSSES
from dcgan_hf.training.update_strategies import GAN, UPDATE_STRATEGIES, Batch


Step = Callable[[], Any]
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}


def plain_networks(resolution: int, device: torch.device) -> tuple[nn.Sequential, nn.Sequential]:
    """The tutorial's networks, for any power of two, with logits."""
    widths = [64 * min(2**i, 8) for i in range((resolution // 4).bit_length() - 1)]
    generator: list[nn.Module] = [nn.ConvTranspose2d(100, widths[-1], 4, 1, 0, bias=False)]
    for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], 3]):
        generator += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    discriminator: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in zip(widths, widths[1:]):
        discriminator += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
        discriminator += [nn.LeakyReLU(0.2, True)]
    discriminator += [nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0)]
    return nn.Sequential(*generator, nn.Tanh()).to(device), nn.Sequential(*discriminator).to(device)


def tutorial_loop(resolution: int, batch_size: int, device: torch.device) -> Step:
    """As the tutorial does it: three backward passes with full gradients, and five numbers read after each update."""
    generator, discriminator = plain_networks(resolution, device)
    optimizer_g = torch.optim.Adam(generator.parameters(), **ADAM)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **ADAM)
    criterion = nn.BCELoss()
    real = torch.rand(batch_size, 3, resolution, resolution, device=device) * 2 - 1

    def step() -> None:
        discriminator.zero_grad()
        label = torch.full((batch_size,), 1.0, device=device)
        output = discriminator(real).sigmoid()
        error_real = criterion(output, label)
        error_real.backward()
        output.mean().item()
        fake = generator(torch.randn(batch_size, 100, 1, 1, device=device))
        label.fill_(0.0)
        output = discriminator(fake.detach()).sigmoid()
        error_fake = criterion(output, label)
        error_fake.backward()
        output.mean().item()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake).sigmoid()
        error_generator = criterion(output, label)
        error_generator.backward()
        output.mean().item()
        optimizer_g.step()
        (error_real + error_fake).item()
        error_generator.item()

    return step


def strongest_plain_loop(resolution: int, batch_size: int, device: torch.device, precision: str) -> Step:
    """The same update with what every user of PyTorch can switch on."""
    generator, discriminator = plain_networks(resolution, device)
    # PyTorch's type stubs leave `memory_format` out.
    generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer_g = torch.optim.Adam(generator.parameters(), **ADAM, fused=True)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **ADAM, fused=True)
    real = torch.rand(batch_size, 3, resolution, resolution, device=device) * 2 - 1
    real = real.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            fake = generator(torch.randn(batch_size, 100, 1, 1, device=device))
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
        optimizer_d.zero_grad()
        LOSSES["bce"].discriminator(real_logits.float(), fake_logits.float()).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            fake_logits = discriminator(fake)
        optimizer_g.zero_grad()
        LOSSES["bce"].generator(fake_logits.float()).backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)

    return step


def our_loop(
    resolution: int, batch_size: int, device: torch.device, precision: str, update_strategy: str, norm_type: str
) -> Step:
    """What scripts/train.py does."""
    keep_freed_memory()
    accelerator = Accelerator(mixed_precision=precision, cpu=device.type == "cpu")
    networks = (
        DCGANGenerator(DCGANGeneratorConfig(image_size=resolution)),
        DCGANDiscriminator(DCGANDiscriminatorConfig(image_size=resolution, norm_type=norm_type)),
    )
    prepared = [network.to(device, memory_format=torch.channels_last).train() for network in networks]
    optimizers = [torch.optim.Adam(network.parameters(), **ADAM, fused=True) for network in prepared]
    generator, discriminator, optimizer_g, optimizer_d = accelerator.prepare(*prepared, *optimizers)
    gan = GAN(accelerator, generator, discriminator, optimizer_g, optimizer_d, LOSSES["bce"])
    real = torch.rand(batch_size, 3, resolution, resolution, device=device) * 2 - 1
    real = real.contiguous(memory_format=torch.channels_last)
    update = UPDATE_STRATEGIES[update_strategy]

    def step() -> None:
        with FastConvolutions() if device.type == "cpu" else nullcontext():
            update(gan, [Batch(real, torch.randn(batch_size, 100, device=device))])

    return step


LOOPS: dict[str, tuple[Callable[..., Step], dict[str, str]]] = {
    "tutorial fp32": (tutorial_loop, {}),
    "strongest plain fp32": (strongest_plain_loop, {"precision": "no"}),
    "strongest plain bf16": (strongest_plain_loop, {"precision": "bf16"}),
}
for _strategy, _norm_type in (
    ("alternating", "batch"),
    ("simultaneous", "batch"),
    ("alternating", "spectral"),
    ("one_stage", "spectral"),
):
    for _name, _precision in (("fp32", "no"), ("bf16", "bf16")):
        _options = {"precision": _precision, "update_strategy": _strategy, "norm_type": _norm_type}
        LOOPS[f"ours {_strategy} {_norm_type} {_name}"] = (our_loop, _options)


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


def run_loop(connection: Connection, name: str, resolution: int, batch_size: int, use_cpu: bool) -> None:
    """A process: makes an update whenever it is told to, and answers how long it took."""
    device = torch.device("cpu") if use_cpu else torch.accelerator.current_accelerator()
    if use_cpu:
        torch.set_num_threads(num_usable_cores())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    make, options = LOOPS[name]
    step = make(resolution, batch_size, device, **options)

    def timed_step() -> float:
        started = time.perf_counter()
        step()
        if not use_cpu:
            torch.accelerator.synchronize()
        return time.perf_counter() - started

    timed_step()
    first = time.perf_counter() - started
    with FlopCounter() as counter:
        step()
    connection.send((first, counter.flops))
    while connection.recv():
        connection.send(timed_step())
    if use_cpu:
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    else:
        peak = torch.accelerator.max_memory_allocated()
    connection.send(peak)


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
    return 2 * size**3 / statistics.median(seconds)


def benchmark(names: list[str], resolution: int, batch_size: int, rounds: int, use_cpu: bool) -> list[dict[str, Any]]:
    """Times loops that take turns."""
    context, loops = get_context("spawn"), {}
    for name in names:
        connection, theirs = context.Pipe()
        process = context.Process(target=run_loop, args=(theirs, name, resolution, batch_size, use_cpu))
        process.start()
        theirs.close()  # so that a process that fails is noticed
        loops[name] = (connection, process, *connection.recv())  # one at a time, or they would disturb each other
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 2):
        for name in names:
            time.sleep(0.02)  # the threads of the last one come to rest
            loops[name][0].send(True)
            seconds[name].append(loops[name][0].recv())
    results = []
    for name in names:
        connection, process, first, flops = loops[name]
        connection.send(False)
        low, median, high = statistics.quantiles(seconds[name][2:], n=4)  # two more for warm-up
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
                "speedup": statistics.median(seconds["tutorial fp32"][2:]) / median,
            }
        )
        process.join()
    return results


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Times training loops against each other.", allow_abbrev=False)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64], help="Sizes of the images: powers of 2.")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[128])
    parser.add_argument("--loops", nargs="+", default=["ours", "plain"], help="Parts of the names of loops to time.")
    parser.add_argument("--rounds", type=int, default=12, help="Number of updates that are timed, of each loop.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    parser.add_argument("--output_file", type=Path, help="JSON file for the results.")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        raise ValueError(f"`rounds` must be at least 2, got {args.rounds}.")
    if any(resolution < 16 or resolution & (resolution - 1) for resolution in args.resolutions):
        raise ValueError(f"`resolutions` must be powers of 2 and at least 16, got {args.resolutions}.")
    use_cpu = args.use_cpu or not torch.accelerator.is_available()
    if use_cpu:
        torch.set_num_threads(num_usable_cores())

    has_bf16 = default_mixed_precision(use_cpu) == "bf16"
    chosen = ["tutorial", *args.loops]
    names = [name for name in LOOPS if any(part in name for part in chosen) and (has_bf16 or "bf16" not in name)]
    peaks = {name: matmul_flops(name, use_cpu) for name in (["fp32", "bf16"] if has_bf16 else ["fp32"])}
    hardware = describe_hardware(Accelerator(cpu=use_cpu))
    print(f"{hardware}; torch {torch.__version__}")
    print("Products of matrices: " + ", ".join(f"{name} {peak / 1e9:,.0f} GFLOP/s" for name, peak in peaks.items()))
    results = []
    for resolution in args.resolutions:
        for batch_size in args.batch_sizes:
            rows = benchmark(names, resolution, batch_size, args.rounds, use_cpu)
            results += rows
            print(f"\n{resolution}x{resolution}, batches of {batch_size}\n")
            print(
                "| loop | images/s (quartiles) | speed-up | GFLOP/image | GFLOP/s (of products) | first step | memory |"
            )
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for row in rows:
                share = row["flops_per_second"] / peaks[row["loop"].split()[-1]]
                low, high = row["quartiles"]
                print(
                    f"| {row['loop']} | {row['images_per_second']:.1f} ({low:.1f}-{high:.1f}) | {row['speedup']:.2f}"
                    f" | {row['gflop_per_image']:.2f} | {row['flops_per_second'] / 1e9:,.0f} ({share:.0%})"
                    f" | {row['first_step_seconds']:.1f} s | {row['peak_memory_bytes'] / 1e6:,.0f} MB |",
                    flush=True,
                )
    if args.output_file:
        content = {"hardware": hardware, "torch": torch.__version__, "matmul_flops": peaks, "results": results}
        args.output_file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
