"""Helpers that run commands and tiny trainings, and fingerprint their results."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from dcgan_hf.cli.main import main

from .processes import run_elsewhere


ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
RECIPES = ROOT / "dcgan_hf" / "recipes"
SCRIPT = SCRIPTS / "train.py"

# Digits of 16x16 pixels, 28 batches of 64 images per epoch.
TINY = {
    "dataset_name": "digits",
    "class_conditional": False,
    "resolution": 16,
    "latent_dim": 8,
    "hidden_size": 8,
    "train_batch_size": 64,
    "learning_rate": 2e-4,
    "lr_scheduler": "constant",  # a shorter run is the beginning of a longer one
    "max_train_steps": 12,
    "checkpointing_steps": 4,
    "save_images_steps": 6,
    "logging_steps": 2,
    "eval_batch_size": 10,
    "use_ema": True,
    "random_flip": True,
    "use_cpu": True,
    "mixed_precision": "no",  # the default depends on the machine
    "autotune": "off",
    "num_cpu_threads": 1,
}


def tiny_flags(output_dir, **changes):
    arguments = TINY | {"output_dir": output_dir} | changes
    return [f"--{name}={value}" for name, value in arguments.items() if value is not None]


def run_command(name, *flags):
    """Runs a command in this process. Raises its errors."""
    assert main([name, *(str(flag) for flag in flags), "--debug"]) == 0


def run_script(name, *flags):
    """Runs a script in this process, which imports what lies beside it."""
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main([str(flag) for flag in flags])


def train_here(output_dir, **changes):
    run_command("train", *tiny_flags(output_dir, **changes))


def command(output_dir, processes=1, **changes):
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--standalone"]
    return [*launcher, str(SCRIPT), *tiny_flags(output_dir, **changes)]


def start(output_dir, processes=1, **changes):
    """Starts the script in a separate process with a separate process group."""
    return subprocess.Popen(
        command(output_dir, processes, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def train_elsewhere(output_dir, processes=1, **changes):
    """Trains in separate processes and returns their output."""
    return run_elsewhere("train", *tiny_flags(output_dir, **changes), processes=processes)


def save_classifier(folder):
    """Saves a tiny classifier for RGB images of ten classes, with random weights."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=10)
    ResNetForImageClassification(config).save_pretrained(folder)
    size = {"height": 16, "width": 16}
    ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(folder)
    return folder


def read_log(output_dir):
    return [json.loads(line) for line in (Path(output_dir) / "logs" / "metrics.jsonl").read_text().splitlines()]


def checkpoints(output_dir):
    return sorted(path.name for path in Path(output_dir).glob("checkpoint-*"))


def fingerprint(folder):
    """Returns the hash of each file with weights or optimizer states in a checkpoint or pipeline folder."""
    hashes = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix == ".safetensors":
            hashes[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name.startswith("optimizer"):
            content = torch.load(path, weights_only=True)
            hashes[path.name] = hashlib.sha256(b"".join(_all_bytes(content))).hexdigest()
    assert hashes
    return hashes


def _all_bytes(content):
    if isinstance(content, torch.Tensor):
        return [content.contiguous().numpy().tobytes()]
    if isinstance(content, dict):
        return [piece for key in sorted(content, key=str) for piece in _all_bytes(content[key])]
    if isinstance(content, list | tuple):
        return [piece for item in content for piece in _all_bytes(item)]
    return [repr(content).encode()]
