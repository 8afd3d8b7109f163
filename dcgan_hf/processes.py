# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Communication between the processes of a run, possibly just one, and restoration of the global state they change."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.state import AcceleratorState, GradientState
from huggingface_hub.utils import are_progress_bars_disabled

from .hardware import cores_of_a_process, kept_memory


def num_processes() -> int:
    """Returns the number of connected processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_index() -> int:
    """Returns the rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main_process() -> bool:
    """Returns whether this is the process that writes files and messages."""
    return process_index() == 0


def bar_options() -> dict[str, Any]:
    """
    Returns tqdm options that show a bar in the main process only, and not if the progress bars of huggingface_hub are
    switched off. `disable=False` would override `TQDM_DISABLE`.
    """
    return {} if is_main_process() and not are_progress_bars_disabled() else {"disable": True}


def stop_signals() -> list[int]:
    """Returns the signals that ask a program to stop: SIGINT (Ctrl-C), SIGTERM, and SIGHUP (a closed terminal, unless
    `nohup` ignores it)."""
    if os.name == "nt" or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def wait_for_everyone() -> None:
    """Waits until all processes have reached this point."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def first_on_its_machine() -> Iterator[None]:
    """Lets the first process of each machine go first, to download or prepare data once for all of them."""
    is_first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not is_first:
        wait_for_everyone()
    yield
    if is_first:
        wait_for_everyone()


def gather(items: list) -> list:
    """Returns the items of all processes, in order of rank."""
    if not dist.is_initialized():
        return items
    gathered: list[Any] = [None] * num_processes()
    dist.all_gather_object(gathered, items)
    return [item for part in gathered for item in part]


def from_main_process(compute: Callable[[], Any]) -> Any:
    """Computes a result in the main process and returns it in all processes, so that all take the same decisions."""
    result = [compute() if is_main_process() else None]
    if dist.is_initialized():
        dist.broadcast_object_list(result)
    return result[0]


@contextmanager
def restored_globals() -> Iterator[None]:
    """
    Restores the global state that a run changes: Accelerate's singletons, which allow one precision and device per
    process, random states, number of threads, malloc settings and environment. Processes started by a launcher stay
    connected.
    """
    singletons = (PartialState, AcceleratorState, GradientState)
    # Accelerate has no public way to reset its state. Its tests and transformers' `TrainingArguments` do it like this.
    states = [dict(singleton._shared_state) for singleton in singletons]
    for singleton in singletons:
        singleton._reset_state()
    environment, num_threads, was_connected = dict(os.environ), torch.get_num_threads(), dist.is_initialized()
    random_states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(), kept_memory():
        try:
            yield
        finally:
            if dist.is_initialized() and not was_connected:
                # Stays connected for later runs: a launcher's rendezvous works only once.
                Finalize(None, dist.destroy_process_group, exitpriority=1)  # `atexit` does not run in forked processes
            for singleton, state in zip(singletons, states):
                singleton._shared_state.clear()
                singleton._shared_state.update(state)
            random.setstate(random_states[0])
            np.random.set_state(random_states[1])
            torch.set_num_threads(num_threads)
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)


@contextmanager
def connected_processes(use_cpu: bool = False, num_cpu_threads: int | None = None) -> Iterator[torch.device]:
    r"""
    Connects the processes of a command, if a launcher started several, and restores the global state at the end.

    Args:
        use_cpu (`bool`, *optional*, defaults to `False`):
            Whether to use the CPU even if a GPU is available.
        num_cpu_threads (`int`, *optional*):
            Number of CPU threads per process. Defaults to the cores divided by the processes.

    Yields:
        `torch.device`: the device of this process.
    """
    with restored_globals():
        # Without a GPU, Accelerate connects the processes that torchrun starts only with `cpu=True`.
        device = PartialState(cpu=use_cpu or not torch.accelerator.is_available()).device
        if device.type == "cpu":
            torch.set_num_threads(num_cpu_threads or cores_of_a_process())
        yield device
