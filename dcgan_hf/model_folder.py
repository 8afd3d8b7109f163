# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Files of a model folder: names, published files, and files that become stale when the networks change."""

import json
import os
import shutil
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
# Only these files are uploaded, whatever else the folder contains.
PUBLISHED_FILES = [
    CARD_FILE,
    "config.json",
    COMPARISON_FILE,
    GRID_FILE,
    f"{IMAGES_FOLDER}/seed-[0-9].png",
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
        for name in ("config.json", "model.*safetensors*", "model-*-of-*.safetensors", *_CODE_OF_NETWORKS)
    ),
    "discriminator/preprocessor_config.json",
]


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
