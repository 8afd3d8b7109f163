# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Start-up benchmark: imports, and the way to the first image, each in a fresh process. Compares several checkouts in turns.

The processor's seconds are counted, not the clock's. They still grow when something else runs: the minimum counts.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.benchmarks.records import markdown_table


# Arguments of Python. {model} is the folder of a saved pipeline, {images} a new folder.
WAYS = {
    "`import torch`": ["-c", "import torch"],
    "`from diffusers import DiffusionPipeline`": ["-c", "from diffusers import DiffusionPipeline"],
    "`import dcgan_hf`": ["-c", "import dcgan_hf"],
    "first image in Python": [
        "-c",
        "from dcgan_hf import DCGANPipeline; DCGANPipeline.from_pretrained(r'{model}')().images[0]",
    ],
    "first image of `dcgan generate`": [
        *("-m", "dcgan_hf", "generate", "{model}", "--num_images", "1", "--output_dir", "{images}", "--use_cpu"),
    ],
    "`dcgan --help`": ["-m", "dcgan_hf", "--help"],
    "`dcgan train --help`": ["-m", "dcgan_hf", "train", "--help"],
}


def processor_seconds(command: list[str], checkout: Path) -> float:
    """Seconds that a command kept processors busy, with the package of a checkout. Raises an error if it fails."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, env=environment, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def startup_benchmark(checkouts: dict[str, Path], rounds: int) -> list[dict[str, Any]]:
    """Times each way of starting in each checkout, by name. In every round, ways and checkouts take turns."""
    seconds: dict[tuple[str, str], list[float]] = {(way, name): [] for way in WAYS for name in checkouts}
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model"
        networks = DCGANGenerator(DCGANGeneratorConfig()), DCGANDiscriminator(DCGANDiscriminatorConfig())
        DCGANPipeline(*networks).save_pretrained(model)
        for i in range(rounds):
            for (way, name), measured in seconds.items():
                images = Path(temporary) / f"images-{name}-{i}"
                arguments = [word.format(model=model, images=images) for word in WAYS[way]]
                measured.append(processor_seconds([sys.executable, *arguments], checkouts[name].absolute()))
    return [{"way": way, "checkout": name, "seconds": found} for (way, name), found in seconds.items()]


def startup_table(rows: list[dict[str, Any]]) -> str:
    """Table of the results: the minimum, and the median in parentheses, a column for each checkout."""
    names = list(dict.fromkeys(row["checkout"] for row in rows))
    cells: dict[str, list[str]] = {}
    for row in rows:
        found = row["seconds"]
        cells.setdefault(row["way"], []).append(f"{min(found):.1f} ({statistics.median(found):.1f})")
    columns = ["in a fresh process", *(f"{name}, processor seconds (median)" for name in names)]
    return markdown_table(columns, ([way, *figures] for way, figures in cells.items()))
