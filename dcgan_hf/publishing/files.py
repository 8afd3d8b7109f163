# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""What lies in the folder of a model: which of it is published, and what goes when its networks change."""

import shutil
from pathlib import Path

from ..evaluation.results import METRICS_FILE, REPORT_FOLDER
from ..export import ONNX_FOLDER
from ..interpretability.latent_space import DIRECTIONS_FILE
from ..interpretability.report import EXPLANATION_FOLDER


# Files that `PortableConfig.save_code` writes.
_CODE_OF_NETWORKS = ["modeling_dcgan.py", "modeling_dcgan_super_resolution.py"]
# What leaves the machine: nothing else does, whatever lies in the folder.
PUBLISHED_FILES = [
    "README.md",
    "config.json",
    "images/comparison.png",
    "images/grid.png",
    "images/seed-[0-9].png",
    METRICS_FILE,
    DIRECTIONS_FILE,
    *(f"{ONNX_FOLDER}/{name}" for name in ("model.onnx", "model.onnx.data", "export.json", "config.json")),
    "model_index.json",
    *_CODE_OF_NETWORKS,
    "pipeline_dcgan.py",
    "pipeline_dcgan_super_resolution.py",
    "pipeline_portable.py",
    "training.gif",
    *(
        f"{network}/{name}"
        for network in ("generator", "discriminator")
        for name in ("config.json", "model.*safetensors*", "model-*-of-*.safetensors", *_CODE_OF_NETWORKS)
    ),
    "discriminator/preprocessor_config.json",
]


def remove_outdated_files(folder: Path) -> None:
    """Removes what was made of networks that are no longer there: measurements, directions, explanation, the ONNX graph."""
    for name in (METRICS_FILE, DIRECTIONS_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (REPORT_FOLDER, EXPLANATION_FOLDER, ONNX_FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
