"""The README's code runs, its flags, files and recipes exist."""

import dataclasses
import re

import PIL.Image
import torch
import yaml

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionPipeline,
)
from dcgan_hf.training.arguments import DCGANTrainingArguments
from dcgan_hf.training.super_resolution_arguments import SuperResolutionTrainingArguments

from .models.test_conversion import sequential_discriminator, sequential_generator, state_dict
from .train_utils import RECIPES, ROOT


README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def save_pipeline(folder, class_names=()):
    common = {"image_size": 16, "hidden_size": 4, "num_classes": len(class_names)}
    common["id2label"] = dict(enumerate(class_names))
    generator, discriminator = DCGANGeneratorConfig(**common), DCGANDiscriminatorConfig(**common)
    DCGANPipeline(DCGANGenerator(generator), DCGANDiscriminator(discriminator)).save_pretrained(folder)


def test_python_code_runs(tmp_path, monkeypatch):
    save_pipeline(tmp_path / "dcgan-digits")
    save_pipeline(tmp_path / "dcgan-digits-by-class", [str(i) for i in range(10)])
    tiny = DCGANSuperResolutionConfig(scale_factor=2, hidden_size=4, num_blocks=1)
    DCGANSuperResolutionPipeline(DCGANSuperResolutionGenerator(tiny)).save_pretrained(tmp_path / "dcgan-photos-x2")
    monkeypatch.chdir(tmp_path)
    names = {}
    assert len(blocks("python")) >= 5
    for code in blocks("python"):
        exec(
            code.replace('.to("cuda")', "").replace("50_000", "5").replace("num_train_epochs=3", "max_steps=5"), names
        )
    assert len(names["images"]) == 16 and (tmp_path / "digit.png").is_file()
    assert PIL.Image.open(tmp_path / "large.png").size == (640, 426)


def test_python_code_with_files_from_elsewhere_runs(hub, token, tmp_path, monkeypatch):
    save_pipeline(tmp_path / "dcgan-digits")
    monkeypatch.chdir(tmp_path)
    names = {"pipe": DCGANPipeline.from_pretrained(tmp_path / "dcgan-digits"), "torch": torch}
    torch.save(state_dict(sequential_generator()), "netG_epoch_24.pth")
    torch.save(state_dict(sequential_discriminator()), "netD_epoch_24.pth")
    assert len(blocks("py")) == 3
    for code in blocks("py"):
        exec(code.replace("my-name", "org"), names)
    assert "generator/model.fp16.safetensors" in hub.files("org/dcgan-digits")


def test_shell_code_names_what_exists():
    arguments = {"config"}
    for arguments_class in (DCGANTrainingArguments, SuperResolutionTrainingArguments):
        arguments |= {field.name for field in dataclasses.fields(arguments_class)}
    launchers = {"num_processes", "multi_gpu", "nproc_per_node", "cpu", "help"}
    launchers |= {"nnodes", "rdzv_backend", "rdzv_endpoint"}
    for script in (ROOT / "scripts").glob("*.py"):
        arguments |= set(re.findall(r'add_argument\(\s*"--(\w+)"', script.read_text()))
    flags = set(re.findall(r"--(\w+)", README))
    assert flags <= arguments | launchers, flags - arguments - launchers
    for path in re.findall(r"(?:scripts|model_cards|dcgan_hf)/[\w/-]+\.\w+", README):
        assert (ROOT / path).is_file(), path
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"^`?make (\w+)", README, flags=re.MULTILINE)) <= targets


def test_the_table_of_recipes():
    rows = dict(re.findall(r"^\| `(\w+)`(?: \(default\))? \| (.*) \|$", README, flags=re.MULTILINE))
    recipes = {path.stem: yaml.safe_load(path.read_text()) for path in RECIPES.glob("*.yaml")}
    assert rows.keys() == recipes.keys()
    for name, recipe in recipes.items():
        assert f"{recipe['resolution']}x{recipe['resolution']}" in rows[name]
