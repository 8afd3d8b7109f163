# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Linear maps between feature maps and tiles, on CPUs. Their arithmetic, `tiles.cpp`, is compiled on first use, which
takes a second and needs a C++ compiler, and kept in the cache folder. See `winograd.py` for their purpose.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..files import replacing
from ..hardware import CACHE_FOLDER, machine_name


logger = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("tiles.cpp")
_COMPILING_SECONDS = 60  # a compiler takes one
# Additional bytes between the planes of the tiles: caches place addresses at a distance of a power of 2 together.
_GAP = 320


@dataclass(frozen=True)
class Tiling:
    r"""
    Division of feature maps into tiles, whose pixels are `phases` apart.

    Args:
        points (`int`):
            Number of points, 3 or 5: a tile has `points * points` values.
        taps (`int`):
            Width and height of a tile in pixels, from 2 to `points`.
        step (`int`):
            Distance of neighbouring tiles, in pixels of one phase.
        phases (`int`):
            Number of phases in each dimension: every `phases`-th pixel belongs to the same one.
        padding (`int`):
            Number of zeros above and to the left of the feature maps.
        rows, columns (`int`):
            Number of tiles.
    """

    points: int
    taps: int
    step: int
    phases: int
    padding: int
    rows: int
    columns: int


class _Job(ctypes.Structure):
    _fields_ = (
        [("pixels", ctypes.c_void_p), ("tiles", ctypes.c_void_p)]
        + [(name, ctypes.c_int64) for name in ("images", "height", "width", "channels", "rows", "columns")]
        + [(name, ctypes.c_int64) for name in ("points", "taps", "step", "phases", "padding", "plane")]
        + [("bias", ctypes.c_void_p), ("change", ctypes.c_void_p)]
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """Returns the compiled `tiles.cpp`, or `None` if it cannot be compiled or loaded here."""
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    content = _SOURCE.read_bytes() + f"{machine_name()} {torch.__version__} {compiler}".encode()
    path = CACHE_FOLDER / "kernels" / f"tiles-{hashlib.sha256(content).hexdigest()[:16]}.so"
    problem: Any = f"no compiler {compiler[0]!r}"
    for flags in (None, ["-march=native"], []) if shutil.which(compiler[0]) else ():
        try:
            if flags is not None:  # there is none yet, or it cannot be loaded
                _compile([*compiler, *flags], path)
            loaded = ctypes.CDLL(str(path))
            _parallel_for()
            return loaded
        except (OSError, AttributeError, subprocess.SubprocessError) as error:
            problem = getattr(error, "stderr", None) or error
    logger.info(
        f"{_SOURCE.name} cannot be compiled, so convolutions with fewer multiplications are missing: {problem}"
    )
    return None


@functools.cache
def _parallel_for() -> Any:
    """Returns PyTorch's parallel loop, a function of its stable C interface, so that its threads do the work."""
    return ctypes.CDLL(torch._C.__file__).torch_parallel_for


def _compile(compiler: list[str], path: Path) -> None:
    command = [*compiler, "-O2", "-Wno-psabi", "-shared", "-fPIC", str(_SOURCE), "-o"]
    with replacing(path) as temporary:
        subprocess.run(
            [*command, str(temporary)],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            errors="replace",
            timeout=_COMPILING_SECONDS,
        )


def _run(
    name: str, pixels: torch.Tensor, tiles: torch.Tensor, tiling: Tiling, bias: torch.Tensor | None = None
) -> None:
    images, channels, height, width = pixels.shape
    job = _Job(pixels.data_ptr(), tiles.data_ptr(), images, height, width, channels, tiling.rows, tiling.columns)
    for field in ("points", "taps", "step", "phases", "padding"):
        setattr(job, field, getattr(tiling, field))
    job.plane, job.bias = tiles.stride(0), None if bias is None else bias.data_ptr()
    types = [ctypes.c_bool(values.dtype == torch.bfloat16) for values in (pixels, tiles)]
    getattr(library(), name)(_parallel_for(), ctypes.byref(job), *types)


def _new_tiles(pixels: torch.Tensor, tiling: Tiling, dtype: torch.dtype) -> torch.Tensor:
    number = len(pixels) * tiling.rows * tiling.columns
    depth = tiling.phases**2 * pixels.shape[1]
    plane = number * depth + _GAP // dtype.itemsize
    return torch.empty(tiling.points**2 * plane, dtype=dtype).as_strided(
        (tiling.points**2, number, depth), (plane, depth, 1)
    )


class _ToTiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pixels: torch.Tensor, tiling: Tiling, dtype: torch.dtype) -> torch.Tensor:
        ctx.tiling, ctx.shape, ctx.dtype = tiling, pixels.shape, pixels.dtype
        tiles = _new_tiles(pixels, tiling, dtype)
        _run("dcgan_to_tiles", pixels.contiguous(memory_format=torch.channels_last), tiles, tiling)
        return tiles

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _ToPixels.apply(gradients[0], None, ctx.tiling, ctx.shape, ctx.dtype), None, None


class _ToPixels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tiles: torch.Tensor,
        bias: torch.Tensor | None,
        tiling: Tiling,
        shape: torch.Size,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        ctx.tiling, ctx.dtype, ctx.bias_dtype = tiling, tiles.dtype, None if bias is None else bias.dtype
        pixels = torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
        bias = None if bias is None else bias.float().contiguous()
        covered = tiling.phases * (tiling.step * (min(tiling.rows, tiling.columns) - 1) + tiling.taps) - tiling.padding
        if covered < max(shape[2:]):
            pixels.copy_(torch.zeros(()) if bias is None else bias[:, None, None])
        tiles = tiles if tiles.stride()[1:] == (tiles.shape[2], 1) else tiles.contiguous()
        _run("dcgan_to_pixels", pixels, tiles, tiling, bias)
        return pixels

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        bias_gradient = None if ctx.bias_dtype is None else gradients[0].sum((0, 2, 3), dtype=ctx.bias_dtype)
        return _ToTiles.apply(gradients[0], ctx.tiling, ctx.dtype), bias_gradient, None, None, None


def to_tiles(pixels: torch.Tensor, tiling: Tiling, dtype: torch.dtype | None = None) -> torch.Tensor:
    r"""
    Evaluates the pixels of each tile, as coefficients of a polynomial of two variables, at `points * points` points.
    (With as many taps as points: the transposed inverse.)

    Args:
        pixels (`torch.Tensor` of shape `(images, channels, height, width)`):
            Feature maps in fp32 or bf16. Faster if they are `torch.channels_last`.
        tiling ([`Tiling`]):
            The tiles.
        dtype (`torch.dtype`, *optional*):
            Type of the tiles, `torch.float32` or `torch.bfloat16`. By default that of the pixels.

    Returns:
        `torch.Tensor` of shape `(points * points, images * rows * columns, phases * phases * channels)`.
    """
    return _ToTiles.apply(pixels, tiling, dtype or pixels.dtype)


def to_pixels(
    tiles: torch.Tensor, tiling: Tiling, shape: torch.Size, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """
    Applies the adjoint of [`to_tiles`] to tiles. Returns feature maps of the given shape, channels-last. A bias of each
    channel is added before rounding: bf16 would round it away, or all pixels the same way.
    """
    return _ToPixels.apply(tiles, bias, tiling, shape, tiles.dtype)
