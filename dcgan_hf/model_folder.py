# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Files of a model folder: names, published files, and files that become stale when the networks change."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from .files import finish_replacing, write_text


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

# Project of a run's logs.
PROJECT = "dcgan_hf"
# Of a pipeline and of a network.
_INDICES = ("model_index.json", "config.json")

_ONNX_FILES = [f"{ONNX_FOLDER}/{name}" for name in ("model.onnx", "model.onnx.data", "export.json", "config.json")]
# Reports, words that only this program writes, and the pictures beside them.
_REPORTS = {
    "report.md": ("| metric | value | spread | generated images |", ["samples.png", "neighbors.png"]),
    "super_resolution.md": ("are the resampling filters of Pillow", ["comparison.png"]),
}
_NUMBERED_PICTURE = r"[\w-]+-\d+\.(png|gif)"  # of a section of the explanation
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
    *_ONNX_FILES,
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


def check_place_for_model(folder: Path) -> None:
    """Raises a `ValueError` if a folder holds a model or configuration of another program, which would be overwritten.
    Completes an interrupted save first."""
    finish_replacing(folder)
    index, config = (folder / name for name in _INDICES)
    is_ours = '"DCGAN' in _text_of(index) or '"model_type": "dcgan' in _text_of(config)
    for path in (index, config):
        if path.exists() and not is_ours:
            raise ValueError(
                f"`output_dir={folder}`: {path} was not written by this program and would be overwritten. Move it, or"
                " use another folder."
            )


def holds_model(folder: Path) -> bool:
    """Returns whether a folder holds a saved pipeline or network."""
    return any((folder / name).exists() for name in _INDICES)


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
    """Removes files derived from earlier networks: measurements, report, directions, explanation and ONNX graph. Files
    that this program did not write stay, and so do folders that hold such files."""
    if holds_metrics(folder / METRICS_FILE):
        (folder / METRICS_FILE).unlink()
    if _holds_directions(folder / DIRECTIONS_FILE):
        (folder / DIRECTIONS_FILE).unlink()
    report, explanation, onnx = folder / REPORT_FOLDER, folder / EXPLANATION_FOLDER, folder / ONNX_FOLDER
    for page, (words, pictures) in _REPORTS.items():
        if words in _text_of(report / page):
            _remove(report, [report / name for name in (page, *pictures)])
    if "<p>Generated by dcgan_hf " in _text_of(explanation / "explanation.html"):
        images = [path for path in (explanation / "images").glob("*") if re.fullmatch(_NUMBERED_PICTURE, path.name)]
        _remove(explanation / "images", images)
        _remove(explanation, [explanation / name for name in ("explanation.html", "explanation.json", "walk.mp4")])
    if '"model_type": "dcgan' in _text_of(onnx / "config.json"):
        _remove(onnx, [folder / name for name in _ONNX_FILES] + [onnx / name for name in _CODE_OF_NETWORKS])


def remove_logs(folder: Path) -> None:
    """Removes the logs of a run: the JSONL file and TensorBoard's. Other files stay."""
    (folder / LOG_FILE).unlink(missing_ok=True)
    board = folder / LOG_FOLDER / PROJECT
    files = [path for pattern in ("events.out.tfevents.*", "hparams.yml") for path in board.rglob(pattern)]
    for place in {path.parent for path in files} - {board}:
        _remove(place, [path for path in files if path.parent == place])
    _remove(board, [path for path in files if path.parent == board])
    _remove(folder / LOG_FOLDER, [])


def holds_metrics(path: Path) -> bool:
    """Returns whether a file is a `metrics.json` that this program wrote."""
    try:
        metrics = json.loads(_text_of(path))
    except json.JSONDecodeError:
        return False
    names = {"type", "name", "value", "num_images", "num_real_images", "features", "dataset_split"}
    return isinstance(metrics, list) and all(isinstance(metric, dict) and metric.keys() >= names for metric in metrics)


def _holds_directions(path: Path) -> bool:
    try:
        with safe_open(path, framework="numpy") as file:
            return list(file.keys()) == ["vectors"] and "names" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _remove(folder: Path, files: list[Path]) -> None:
    """Removes files, and their folder if nothing else is in it."""
    for path in files:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # missing or not empty
        folder.rmdir()


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file, or `{}` if it does not exist. Raises a `ValueError` if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{path} is not JSON: {error}") from error


def write_json(content: Any, path: Path) -> None:
    """Replaces a JSON file, see [`replacing`]."""
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", path)
