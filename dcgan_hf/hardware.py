# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""CPU cores, bf16 support, malloc settings, and the name of the machine."""

import ctypes
import functools
import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from huggingface_hub.constants import HF_HOME


# Results worth keeping on this machine.
CACHE_FOLDER = Path(HF_HOME) / "dcgan_hf"


def precision_of_the_launcher() -> str | None:
    """
    Returns the precision that was chosen with `accelerate launch` or its configuration, or `None`. They also report
    "no" if none was chosen. (To turn mixed precision off, pass `--mixed_precision no`.)
    """
    chosen = os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    return None if chosen == "no" else chosen


def precision_of_device(device: torch.device) -> str:
    """Returns `"bf16"` for GPUs with native support, some of CUDA and ROCm, and `"no"` for all other devices."""
    return "bf16" if device.type == "cuda" and has_fast_bf16(device) else "no"


# Below this speed of matrix products, relative to single precision, bf16 is emulated.
_SLOW_BF16 = 0.5


def has_fast_bf16(device: torch.device) -> bool:
    """Returns whether a GPU computes in bf16 natively or, as measured, a CPU at least half as fast as in fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and relative_speed_of_bf16() > _SLOW_BF16


def seconds_of(call: Callable[[], Any]) -> float:
    """Returns the duration of a call on the CPU, in seconds."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@functools.cache
def relative_speed_of_bf16() -> float:
    """Returns the speed of matrix products in bf16 on this CPU, relative to those in single precision."""
    matrices = [torch.ones(512, 512, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    single, half = (min(seconds_of(partial(torch.mm, matrix, matrix)) for _ in range(4)) for matrix in matrices)
    return single / half


def peak_memory(device: torch.device) -> int:
    """Returns the largest memory in bytes that this process has held on the device. On Windows, 0 for the CPU."""
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()  # with what it keeps for later: no peak is counted
    if device.type != "cpu":
        return torch.accelerator.max_memory_allocated()
    if os.name == "nt":
        return 0
    import resource  # missing on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def num_usable_cores() -> int:
    """Returns the number of CPU cores available to this process."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def cores_of_a_process() -> int:
    """Returns the number of CPU cores for each process that a launcher started on this machine."""
    return max(1, num_usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


@contextmanager
def kept_memory() -> Iterator[None]:
    """
    Makes the process reuse the memory of freed tensors. By default glibc returns the memory of large tensors to the
    system, which hands it out again page by page, filled with zeros. (On 2 CPU cores, with 64x64 images and batches of
    128, a step caused 79,000 page faults in single precision and took 7 % longer; with bf16, 26,000 and 2 %.)
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)  # no separate mapping for a large tensor
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)  # return nothing to the system
    try:
        yield
    finally:  # glibc's defaults
        libc.mallopt(_M_MMAP_MAX, 65536)
        libc.mallopt(_M_TRIM_THRESHOLD, 128 * 1024)
        libc.malloc_trim(0)


@functools.cache
def _cpu_facts() -> dict[str, str]:
    """Returns what Linux knows about the first CPU. Empty on other systems."""
    if sys.platform != "linux":
        return {}
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def machine_name() -> str:
    """Returns a name that differs between kinds of CPUs, also if their makers call them the same."""
    facts = _cpu_facts()
    x86, arm = ("cpu family", "model", "flags"), ("CPU implementer", "CPU variant", "CPU part", "Features")
    kind = [platform.machine(), platform.processor(), *(facts.get(name, "") for name in (*x86, *arm))]
    name = facts.get("model name", platform.processor() or platform.machine())
    words = "-".join("".join(c if c.isalnum() else " " for c in name).split())
    return f"{words}-{hashlib.sha256(' '.join(kind).encode()).hexdigest()[:8]}"


def describe_hardware(accelerator: Accelerator) -> str:
    """Returns the number of processes and the device of each: "2 processes, each on a GPU (NVIDIA H100)"."""
    if accelerator.device.type == "cuda":
        device = f"a GPU ({torch.cuda.get_device_name(accelerator.device)})"
    elif accelerator.device.type == "cpu":
        name = _cpu_facts().get("model name", platform.processor())
        threads = torch.get_num_threads()
        device = f"{threads} CPU thread{'s' * (threads > 1)}" + (f" ({name})" if name else "")
    else:
        device = f"a device of type {accelerator.device.type!r}"
    processes = accelerator.num_processes
    return f"1 process on {device}" if processes == 1 else f"{processes} processes, each on {device}"
