# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Check of the GPUs, for the first person who has one: trains in each precision, eager and compiled, compares with the
CPU, resumes, and trains on all GPUs. Whatever fails becomes a row of the report, and the check goes on.
"""

import logging
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..hardware import has_fast_bf16
from ..processes import connected_processes
from ..version import __version__
from .arguments import BenchmarkArguments
from .claims import judge_claims
from .own_process import Failure, in_own_process
from .precisions import (
    EXECUTIONS,
    NUM_BATCHES,
    NUM_COMPARED,
    PRECISIONS,
    draw_images,
    largest_difference,
    train,
)
from .records import markdown_table, measurement_facts
from .whole_runs import compare_resumed, train_on_processes


logger = logging.getLogger(__name__)


def check_gpus(args: BenchmarkArguments, command: list[str]) -> dict[str, Any]:
    r"""
    Checks the GPUs or, with `use_cpu`, the part that a CPU can run.

    Args:
        args ([`BenchmarkArguments`]):
            Sizes, and number of updates of each training.
        command (`list[str]`):
            Words of the command, for the record.

    Returns:
        `dict[str, Any]`: facts on the machine, the trainings, the resumed run, the runs on several GPUs, and claims of
        the documentation with verdicts.

    Raises:
        ValueError: if PyTorch finds no GPU and `use_cpu` is not set.
    """
    if not args.use_cpu and not torch.accelerator.is_available():
        raise ValueError(
            f"`gpu_check` needs a GPU, but PyTorch {torch.__version__} finds none. Install the GPU's driver and a build"
            " of PyTorch for it (https://pytorch.org/get-started/locally/), or pass `use_cpu` to try the part of the"
            " check that a CPU can run."
        )
    with connected_processes(args.use_cpu) as device:
        content = measurement_facts(command, args.use_cpu)
    content |= {"dcgan_hf": __version__, "device": device.type, "gpus": describe_gpus(device)}
    content["has_native_bf16"] = has_fast_bf16(device)
    images = draw_images(NUM_BATCHES * args.train_batch_size, args.resolution)
    content["trainings"] = _compare_trainings(args, device, images, content["has_native_bf16"])
    logger.info("Resuming a run...")
    content["resuming"] = _or_failure(in_own_process, compare_resumed, args, images)
    content["processes"] = []
    number = 1 if device.type == "cpu" else torch.accelerator.device_count()
    for processes in (1, number) if number > 1 else ():
        logger.info(f"Training on {processes} GPU{'s' * (processes > 1)}...")
        content["processes"].append({"number": processes} | _or_failure(train_on_processes, args, processes))
    return content | {"claims": judge_claims(content)}


def _or_failure(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    try:
        return function(*arguments)
    except Failure as failure:
        return {"failure": str(failure)}


def _compare_trainings(
    args: BenchmarkArguments, device: torch.device, images: np.ndarray, has_bf16: bool
) -> list[dict[str, Any]]:
    """Trains in every way that the device supports. The first row is the reference: a few updates in fp32 on the CPU."""
    on_cpu = BenchmarkArguments(**vars(args) | {"use_cpu": True})
    logger.info("Training in fp32 on the CPU, for comparison...")
    reference = _or_failure(in_own_process, train, on_cpu, "fp32", None, 2 * NUM_COMPARED, images)
    rows = [{"precision": "fp32", "execution": "on the CPU"} | reference]
    precisions = {"cpu": ["fp32", "bf16"], "cuda": list(PRECISIONS)}.get(device.type, ["fp32", "bf16", "fp16"])
    executions = {"cpu": ["eager"], "cuda": list(EXECUTIONS)}.get(device.type, ["eager", "compiled"])
    for precision in precisions:
        for execution in executions:
            row: dict[str, Any] = {"precision": precision, "execution": execution}
            rows.append(row)
            if device.type == "cpu" and precision == "bf16" and not has_bf16:
                row["failure"] = "not run: this CPU has no native bf16, so an update would take minutes"
                continue
            logger.info(f"Training in {precision}, {execution}...")
            options = EXECUTIONS[execution]
            row |= _or_failure(in_own_process, train, args, precision, options, args.steps, images)
            if "failure" not in row and "failure" not in reference:
                row["difference"] = largest_difference(row["first_losses"], reference["first_losses"])
                row["agrees"] = row["difference"] <= PRECISIONS[precision].tolerance  # not if it is NaN
    return rows


def describe_gpus(device: torch.device) -> str:
    """Returns the GPUs with their memory, and the versions of driver and libraries. Empty for a CPU."""
    if device.type == "cpu":
        return ""
    if device.type != "cuda":
        return f"{torch.accelerator.device_count()} of type {device.type!r}"
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    names = [f"{card.name} ({card.total_memory / 2**30:.0f} GiB)" for card in cards]
    parts = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
    query = shutil.which("nvidia-smi")
    if query is not None:
        words = [query, "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.split()
        parts.append(f"driver {answer[0] if answer else 'unknown'}")
    library = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    return "; ".join([*parts, library, f"cuDNN {torch.backends.cudnn.version()}"])


def check_report(content: dict[str, Any]) -> str:
    """Returns the report of [`check_gpus`] in Markdown, to paste into an issue."""
    columns = ["training", "images/s", "first update", "memory", "final losses (D, G)", "difference from the CPU"]
    lines = [
        f"`{content['command']}`",
        "",
        f"{content['hardware']}; torch {content['torch']}; dcgan_hf {content['dcgan_hf']}",
        *([f"GPUs: {content['gpus']}"] if content["gpus"] else []),
        "",
        markdown_table([*columns, "finite", "weights moved"], map(_training_cells, content["trainings"])),
        "",
        f"Resumed half way: {_resuming(content['resuming'])}.",
        *(f"Processes: {row['number']}: {_processes(row)}." for row in content["processes"]),
        "",
        markdown_table(
            ["claim", "where", "verdict", "why"],
            ([claim["claim"], claim["where"], claim["verdict"], claim["why"]] for claim in content["claims"]),
        ),
    ]
    return "\n".join(lines)


def _training_cells(row: dict[str, Any]) -> list[str]:
    name = f"{row['precision']}, {row['execution']}"
    if "failure" in row:
        is_left_out = row["failure"].startswith("not run")
        return [name, row["failure"] if is_left_out else f"failed: {row['failure']}", *[""] * 6]
    compared = ""
    if "agrees" in row:
        limit = PRECISIONS[row["precision"]].tolerance
        verdict = "OK" if row["agrees"] else "differs"
        compared = f"{row['difference']:.2g}, {verdict} (at most {limit:g})"
    return [
        name,
        f"{row['images_per_second']:,.0f}",
        f"{row['first_update_seconds']:.1f} s",
        f"{row['peak_memory_bytes'] / 1e6:,.0f} MB",
        ", ".join(map(str, row["final_losses"])),
        compared,
        "yes" if row["is_finite"] else "no",
        "yes" if row["has_moved"] else "no",
    ]


def _resuming(found: dict[str, Any]) -> str:
    if "failure" in found:
        return f"failed: {found['failure']}"
    if found["resumed"] == 0:
        return "the same weights as without interruption, bit for bit"
    return (
        f"weights differ by up to {found['resumed']:.2g} from those without interruption; two runs without interruption,"
        f" by up to {found['repeated']:.2g}"
    )


def _processes(row: dict[str, Any]) -> str:
    if "failure" in row:
        return f"failed: {row['failure']}"
    equal = "equal" if row["are_equal"] else "different"
    return f"{row['images_per_second']:,.0f} images/s, {equal} weights on all"
