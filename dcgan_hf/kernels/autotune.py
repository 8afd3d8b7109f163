# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Choice of precision and convolutions by measuring, on CPUs. Each convolution of a network is timed in every way that
this machine can compute it, forward and backward. The times are kept, per machine, number of threads and version of
PyTorch, so that the next run chooses the same without measuring.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from ..files import replacing
from ..hardware import CACHE_FOLDER, machine_name, seconds_of
from ..processes import from_main_process, gather
from ..version import __version__
from .convolutions import ConvolutionShape, FastConvolutions
from .tiles import library


DTYPES = {"no": torch.float32, "bf16": torch.bfloat16}
# A way, or bf16, must be this much faster than PyTorch's in single precision to be preferred.
_MARGIN = 0.97
_ROUNDS = 3
# In the third round, only ways within this factor of the fastest one remain. Any first call may be a slow one.
_HOPELESS = 1.5


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[ConvolutionShape] = []

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        shape = ConvolutionShape.of_call(func, args)
        self.shapes += [] if shape is None else [shape]
        return func(*args, **(kwargs or {}))


@contextmanager
def recorded_convolutions() -> Iterator[list[ConvolutionShape]]:
    """Records the convolutions that networks compute in the context, without gradients."""
    with _Recorder() as recorder, torch.no_grad():
        yield recorder.shapes


class Timings:
    """Seconds of each way to compute convolutions on this machine, measured or, if known, read from the cache."""

    def __init__(self) -> None:
        name = f"{machine_name()}-threads{torch.get_num_threads()}-torch{torch.__version__}-{__version__}.json"
        self._path = CACHE_FOLDER / "autotune" / name
        self._seconds: dict[str, dict[str, float]] = _read(self._path)
        self.has_measured = False

    def of(
        self, shape: ConvolutionShape, batch_size: int, precision: str, ways: Sequence[str], trains: bool = True
    ) -> dict[str, float]:
        """Returns the seconds of a forward pass in each way and, if it trains, of a backward pass with both gradients."""
        key = f"{shape}, batch {batch_size}, precision {precision}" + ("" if trains else ", forward")
        known = self._seconds.get(key, {})
        if known.keys() != set(ways):
            known = self._seconds[key] = _measure(shape, batch_size, DTYPES[precision], ways, trains)
            self.has_measured = True
        return known

    def save(self) -> None:
        """Keeps the measurements, together with those that other processes have made meanwhile."""
        if self.has_measured:
            with suppress(OSError), replacing(self._path, durable=False) as temporary:
                temporary.write_text(json.dumps(_read(self._path) | self._seconds, indent=1))


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # none yet, or damaged
        return {}
    return content if isinstance(content, dict) else {}


def _measure(
    shape: ConvolutionShape, batch_size: int, dtype: torch.dtype, ways: Sequence[str], trains: bool
) -> dict[str, float]:
    def values(*size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(size).to(dtype, memory_format=torch.channels_last).requires_grad_()

    maps = values(batch_size, shape.in_channels, *shape.size, dtype=dtype)
    channels = [shape.out_channels, shape.in_channels]
    weight = values(*(channels[::-1] if shape.is_transposed else channels), *shape.kernel_size)
    convolve = F.conv_transpose2d if shape.is_transposed else F.conv2d
    fast = FastConvolutions(weights_are_constant=not trains)
    options: tuple[Any, ...] = ((0, 0), 1, (1, 1)) if shape.is_transposed else ((1, 1), 1)

    def run(way: str) -> None:
        fast.ways = {str(shape): way}
        with torch.set_grad_enabled(trains), fast if trains else nullcontext():
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                result = convolve(maps, weight, None, shape.stride, shape.padding, *options)
        if trains:
            torch.autograd.grad(result, [maps, weight], result.detach())

    seconds = {way: float("inf") for way in ways}
    # Sampling evaluates the weights once for all batches, an update each time.
    with nullcontext() if trains else fast:
        for way in ways if not trains else ways[:1]:
            run(way)  # the first call prepares PyTorch, or the weights
        for number in range(_ROUNDS):
            for way in ways:
                if number < 2 or seconds[way] <= _HOPELESS * min(seconds.values()):
                    seconds[way] = min(seconds[way], seconds_of(partial(run, way)))
    return seconds


def all_have_winograd() -> bool:
    """Returns whether every process can compute Winograd's algorithm. All must ask."""
    return all(gather([library() is not None]))


def choose_ways(
    shapes: Sequence[ConvolutionShape], batch_size: int, precisions: Sequence[str], trains: bool = True
) -> tuple[dict[str, float], dict[str, dict[str, str]]]:
    r"""
    Chooses the fastest way of each convolution, in each precision. All processes must call it: the first one measures.

    Args:
        shapes (`Sequence[ConvolutionShape]`):
            Convolutions of the networks, see [`recorded_convolutions`].
        batch_size (`int`):
            Number of images in their inputs.
        precisions (`Sequence[str]`):
            Precisions to choose from, `"no"` or `"bf16"`.
        trains (`bool`, *optional*, defaults to `True`):
            Whether gradients are computed, too.

    Returns:
        `tuple`: for each precision the seconds of all convolutions together; and the ways other than PyTorch's.
    """
    has_winograd = all_have_winograd()
    return from_main_process(lambda: _choose(shapes, batch_size, precisions, has_winograd, trains))


def _choose(
    shapes: Sequence[ConvolutionShape], batch_size: int, precisions: Sequence[str], has_winograd: bool, trains: bool
) -> tuple[dict[str, float], dict[str, dict[str, str]]]:
    timings = Timings()
    totals = dict.fromkeys(precisions, 0.0)
    chosen: dict[str, dict[str, str]] = {precision: {} for precision in precisions}
    with torch.random.fork_rng():
        # Precisions take turns, so that a busy moment of the machine slows both.
        for shape in shapes:
            for precision in precisions:
                ways = [way for way in shape.ways(DTYPES[precision]) if has_winograd or not way.startswith("winograd")]
                if len(ways) == len(precisions) == 1:
                    continue
                seconds = timings.of(shape, batch_size, precision, ways, trains)
                best = min(ways, key=lambda way: seconds[way] * (_MARGIN if way == "pytorch" else 1))
                totals[precision] += seconds[best]
                if best != "pytorch":
                    chosen[precision][str(shape)] = best
    timings.save()
    return totals, chosen


def choose_precision(totals: dict[str, float]) -> str:
    """Returns the faster precision, given the seconds in each. bf16 must be clearly faster: it rounds more."""
    return min(totals, key=lambda precision: totals[precision] * (_MARGIN if precision == "no" else 1))
