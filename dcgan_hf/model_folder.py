# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Names of the files in a model's folder, those that are published, and those that go stale when its networks change."""

import json
import os
import shutil
from pathlib import Path
from typing import Any


CARD_FILE = "README.md"
IMAGES_FOLDER = "images"  # what the card shows
COMPARISON_FILE = f"{IMAGES_FOLDER}/comparison.png"  # of a super-resolution model
GRID_FILE = f"{IMAGES_FOLDER}/grid.png"
# A run's: its arguments, facts about it, its log, sample grids and their animation.
ARGUMENTS_FILE = "training_args.json"
RESULTS_FILE = "training_results.json"
LOG_FOLDER = "logs"
LOG_FILE = f"{LOG_FOLDER}/metrics.jsonl"
SAMPLES_FOLDER = "samples"
ANIMATION_FILE = "training.gif"
# What is made of the networks later.
METRICS_FILE = "metrics.json"
REPORT_FOLDER = "evaluation"
DIRECTIONS_FILE = "directions.safetensors"
EXPLANATION_FOLDER = "explanation"
ONNX_FOLDER = "onnx"
ONNX_FILE = f"{ONNX_FOLDER}/model.onnx"

# Files that `PortableConfig.save_code` writes.
_CODE_OF_NETWORKS = ["modeling_dcgan.py", "modeling_dcgan_super_resolution.py"]
# The only files that ever leave the machine, whatever else lies in the folder.
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
    """Removes what was made of networks that are no longer there: measurements, directions, explanation, ONNX graph."""
    for name in (METRICS_FILE, DIRECTIONS_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (REPORT_FOLDER, EXPLANATION_FOLDER, ONNX_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file, an empty dictionary if there is none. Raises a `ValueError` if it is damaged."""
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def write_json(content: Any, path: Path) -> None:
    """Writes a JSON file that is complete at every moment: under another name, then renamed."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    os.replace(temporary, path)
