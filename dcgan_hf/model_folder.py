# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Files of a model folder: names, published files, and files that become stale when the networks change."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any


CARD_FILE = "README.md"
IMAGES_FOLDER = "images"  # shown on the model card
COMPARISON_FILE = f"{IMAGES_FOLDER}/comparison.png"  # super-resolution models
GRID_FILE = f"{IMAGES_FOLDER}/grid.png"
# Files of a run: arguments, results, log, sample grids and their animation.
ARGUMENTS_FILE = "training_args.json"
RESULTS_FILE = "training_results.json"
LOG_FOLDER = "logs"
LOG_FILE = f"{LOG_FOLDER}/metrics.jsonl"
SAMPLES_FOLDER = "samples"
ANIMATION_FILE = "training.gif"
# Files derived from the networks.
METRICS_FILE = "metrics.json"
REPORT_FOLDER = "evaluation"
DIRECTIONS_FILE = "directions.safetensors"
EXPLANATION_FOLDER = "explanation"
ONNX_FOLDER = "onnx"
ONNX_FILE = f"{ONNX_FOLDER}/model.onnx"

# Files written by `PortableConfig.save_code`.
_CODE_OF_NETWORKS = ["modeling_dcgan.py", "modeling_dcgan_super_resolution.py"]
# Variants of weights whose files are published.
VARIANTS = ("fp32", "bf16", "fp16", "fp8", "int8", "ema", "non_ema")
_SHARD = f"{'[0-9]' * 5}-of-{'[0-9]' * 5}"
_WEIGHTS = [
    name
    for variant in ("", *(f".{word}" for word in VARIANTS))
    for name in (
        f"model{variant}.safetensors",
        f"model{variant}-{_SHARD}.safetensors",
        f"model.safetensors.index{variant}.json",
    )
]
# Only these files are uploaded, whatever else the folder contains.
PUBLISHED_FILES = [
    CARD_FILE,
    "config.json",
    COMPARISON_FILE,
    GRID_FILE,
    *(f"{IMAGES_FOLDER}/seed-{seed}.png" for seed in range(4)),
    METRICS_FILE,
    DIRECTIONS_FILE,
    *(f"{ONNX_FOLDER}/{name}" for name in ("model.onnx", "model.onnx.data", "export.json", "config.json")),
    "model_index.json",
    *_CODE_OF_NETWORKS,
    "pipeline_dcgan.py",
    "pipeline_dcgan_super_resolution.py",
    "pipeline_portable.py",
    ANIMATION_FILE,
    *(
        f"{network}/{name}"
        for network in ("generator", "discriminator")
        for name in ("config.json", *_WEIGHTS, *_CODE_OF_NETWORKS)
    ),
    "discriminator/preprocessor_config.json",
]


def check_no_links(folder: Path, patterns: Sequence[str] = PUBLISHED_FILES) -> None:
    r"""
    Checks that files are not read or written through symbolic links, which can lead anywhere on this machine.

    Args:
        folder (`Path`):
            The folder. It may be a link itself.
        patterns (`Sequence[str]`, *optional*, defaults to `PUBLISHED_FILES`):
            Names of the files.

    Raises:
        ValueError: if one of the files, or a folder that it lies in, is a link.
    """
    for pattern in patterns:
        parents = [folder / parent for parent in Path(pattern).parents if parent != Path(".")]
        # A glob leaves out links to nothing, unless the pattern has a wildcard.
        for path in (*parents, folder / pattern, *folder.glob(pattern)):
            if path.is_symlink():
                raise ValueError(
                    f"{path} is a symbolic link, which is neither published nor written to. Copy the file."
                )


def remove_stale_files(folder: Path) -> None:
    """Removes files derived from earlier networks: measurements, report, directions, explanation and ONNX graph."""
    for name in (METRICS_FILE, DIRECTIONS_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (REPORT_FOLDER, EXPLANATION_FOLDER, ONNX_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file, or `{}` if it does not exist. Raises a `ValueError` if it is damaged."""
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def write_json(content: Any, path: Path) -> None:
    """Writes a JSON file atomically: under a temporary name, then renamed."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    os.replace(temporary, path)
