"""What the code in the docs finds in its folder: the output of a command, or images."""

import shlex
import shutil

import numpy as np
import PIL.Image
import pytest

from dcgan_hf import DCGANPipeline
from dcgan_hf.data import procedural_faces

from ..train_utils import run_command


_TRAINING = ["--hidden_size=4", "--train_batch_size=8", "--use_cpu", "--mixed_precision=no", "--max_train_steps=3"]
# Flags that make a command small.
SMALL = {
    "train": [*_TRAINING, "--eval_num_images=40", "--use_ema=false"],
    "train-super-resolution": [*_TRAINING, """--generator_config={"num_blocks": 1}""", "--warmup_steps=0"],
    "train-classifier": ["--num_epochs=1", "--use_cpu"],
    "generate": ["--num_images=5", "--use_cpu"],
    "upscale": ["--use_cpu"],
    "explain": ["--num_images=40", "--use_cpu"],
    "push": [],
    "export": [],
}


def run_small(line):
    """Runs a command at a small size: "dcgan train --seed 1"."""
    _, name, *words = shlex.split(line, comments=True)
    run_command(name, *words, *SMALL[name])


def save_images(folder, number=24):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(number):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i}.jpg")


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """Folders in which commands ran, by command: each runs once."""
    return {}


@pytest.fixture
def few_faces(monkeypatch):
    monkeypatch.setitem(procedural_faces.NUM_IMAGES, "train", 200)
    monkeypatch.setitem(procedural_faces.NUM_IMAGES, "test", 40)


@pytest.fixture
def folder_for(hub, token, outputs, tmp_path_factory, tmp_path, monkeypatch, few_faces):
    """
    A function that goes to an empty folder and puts there what a block of code says that it needs. A model of "my-name" is on
    the Hub.
    """

    def output_of(line):
        if line not in outputs:
            outputs[line] = tmp_path_factory.mktemp("output")
            monkeypatch.chdir(outputs[line])
            run_small(line)
        return outputs[line]

    def prepare(block):
        for line in block.commands_before:
            shutil.copytree(output_of(line), tmp_path, dirs_exist_ok=True)
        if '("my-name/dcgan-digits"' in block.code:
            DCGANPipeline.from_pretrained(output_of("dcgan train") / "dcgan-digits").push_to_hub("org/dcgan-digits")
        for name in block.folders_of_images:
            save_images(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return prepare
