"""Tests that the README's code runs, and that the commands, flags, files and recipes in all texts exist."""

import re
import shlex

import PIL.Image
import torch
import yaml

# Defines the commands.
import dcgan_hf.cli.main  # noqa: F401
from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionPipeline,
    DCGANSuperResolutionTrainingArguments,
    DCGANTrainingArguments,
)
from dcgan_hf.cli.command import COMMANDS, app
from dcgan_hf.training.recipes import arguments_from_recipe, recipe_names

from .models.test_conversion import sequential_discriminator, sequential_generator, state_dict
from .train_utils import RECIPES, ROOT, save_classifier


README = (ROOT / "README.md").read_text()
# Texts for users and contributors.
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "BENCHMARKS.md")),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "dcgan_hf" / "templates").glob("*.*"),
    *(ROOT / "model_cards").rglob("*.md"),
]
# Commands that the scripts for launchers run.
LAUNCHED = {"train.py": "train", "train_super_resolution.py": "train-super-resolution"}
TRAININGS = {
    "train": (DCGANTrainingArguments, "digits"),
    "train-super-resolution": (DCGANSuperResolutionTrainingArguments, "photos_x2"),
}


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def save_pipeline(folder, class_names=()):
    common = {"image_size": 16, "hidden_size": 4, "num_classes": len(class_names)}
    common["id2label"] = dict(enumerate(class_names))
    generator, discriminator = DCGANGeneratorConfig(**common), DCGANDiscriminatorConfig(**common)
    DCGANPipeline(DCGANGenerator(generator), DCGANDiscriminator(discriminator)).save_pretrained(folder)


def save_pictures(folder, number):
    folder.mkdir()
    for i in range(number):
        PIL.Image.effect_noise((20, 16), 50 + i).convert("RGB").save(folder / f"{i}.png")


# Replacements that make the code small enough for a test, and that replace downloads.
REPLACEMENTS = {
    '.to("cuda")': "",
    "50_000": "5",
    "num_train_epochs=3": "max_steps=5",
    "max_train_steps=10_000": "max_train_steps=2, hidden_size=4, train_batch_size=4, eval_num_images=40, use_cpu=True",
    "eval_steps=1000": "eval_steps=1",
    '"efficientnet-lite0"': '"a-classifier"',
    "my-name": "org",
}


def test_python_code_runs(hub, token, tmp_path, monkeypatch):
    save_pipeline(tmp_path / "dcgan-digits")
    save_pipeline(tmp_path / "dcgan-digits-by-class", [str(i) for i in range(10)])
    tiny = DCGANSuperResolutionConfig(scale_factor=2, hidden_size=4, num_blocks=1)
    DCGANSuperResolutionPipeline(DCGANSuperResolutionGenerator(tiny)).save_pretrained(tmp_path / "dcgan-photos-x2")
    save_classifier(tmp_path / "a-classifier")
    save_pictures(tmp_path / "cats", 40)
    save_pictures(tmp_path / "holidays", 2)
    PIL.Image.new("RGB", (10, 6)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names = {}
    used = set()
    assert len(blocks("python")) >= 11
    for code in blocks("python"):
        for long, short in REPLACEMENTS.items():
            used |= {long} if long in code else set()
            code = code.replace(long, short)
        exec(code, names)
    assert used == REPLACEMENTS.keys()
    assert len(names["images"]) == 16 and (tmp_path / "digit.png").is_file()
    assert PIL.Image.open(tmp_path / "large.png").size == (640, 426)
    assert PIL.Image.open(tmp_path / "large" / "photo.png").size == (20, 12)
    assert PIL.Image.open(tmp_path / "large" / "1.png").size == (40, 32)


def test_training_from_python(hub, token, tmp_path, monkeypatch):
    (code,) = (code for code in blocks("python") if "DCGANTrainer(" in code)
    for long, short in REPLACEMENTS.items():
        code = code.replace(long, short)
    save_classifier(tmp_path / "a-classifier")
    save_pictures(tmp_path / "cats", 40)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code.replace("< 20", "< 0"), names)  # never low enough to stop
    trainer = names["trainer"]
    assert trainer.state.step == trainer.state.max_steps == 2
    assert "Frechet distance" in (tmp_path / "dcgan-cats" / "README.md").read_text()
    assert {"README.md", "metrics.json", "generator/model.safetensors"} <= set(hub.files("org/dcgan-cats"))
    images = [
        pipe(generator=torch.Generator().manual_seed(0), output_type="pt").images
        for pipe in (trainer.pipeline, DCGANPipeline.from_pretrained(tmp_path / "elsewhere"))
    ]
    torch.testing.assert_close(*images)

    # It resumes, and stops when the distance is low enough.
    before_training, _ = code.replace("max_train_steps=2", "max_train_steps=9").split("trainer.train()")
    exec(before_training.replace("< 20", "< 1e9"), names)
    assert names["trainer"].train(resume_from_checkpoint=True).step == 3


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


def fields_of_commands():
    return {name for command in COMMANDS.values() for name in command.fields}


def test_shell_code_names_what_exists():
    launchers = {"num_processes", "multi_gpu", "nproc_per_node", "cpu", "help"}
    launchers |= {"nnodes", "rdzv_backend", "rdzv_endpoint"}
    arguments = fields_of_commands() | launchers
    for script in (ROOT / "scripts").glob("*.py"):
        arguments |= set(re.findall(r'add_argument\(\s*"--(\w+)"', script.read_text()))
    flags = set(re.findall(r"--(\w+)", README.replace("--install-completion", "")))
    assert flags <= arguments, flags - arguments
    for path in re.findall(r"(?:scripts|model_cards|dcgan_hf|docs)/[\w/-]+\.\w+", README):
        assert (ROOT / path).is_file(), path
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", README)) | {"train"} <= targets
    assert set(re.findall(r"^make (\w+)", "\n".join(blocks("bash")), flags=re.MULTILINE)) <= targets


def shell_commands(text):
    """Returns the commands in a text's shell code, however they are started: name and arguments."""
    for code in blocks("bash", text):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for i, word in enumerate(words):
                if word == "dcgan" and i == 0 or word == "dcgan_hf" and words[i - 1] == "-m":
                    yield words[i + 1], words[i + 2 :]
                elif word.removeprefix("scripts/") in LAUNCHED:
                    yield LAUNCHED[word.removeprefix("scripts/")], words[i + 1 :]


def test_shell_code_is_what_the_commands_take():
    """Every flag exists, has an allowed value, and can be combined with the others."""
    seen = set()
    for path in TEXTS:
        for name, words in shell_commands(path.read_text()):
            seen.add(name)
            words = COMMANDS[name].join_truth_values([name, *words])
            _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
            if name in TRAININGS:
                arguments_class, recipe = TRAININGS[name]
                given = bound.kwargs
                recipe = given.pop("config", None if "dataset_name" in given else recipe)
                arguments_from_recipe(arguments_class, recipe, given) if recipe else arguments_class(**given)
    assert seen >= COMMANDS.keys() - {"recipes", "invert"}, COMMANDS.keys() - seen


def test_commands_in_texts_exist():
    seen = set()
    for path in TEXTS:
        text = path.read_text()
        code = [
            *blocks(r"(?:\w*)", text),
            *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)),
        ]
        named = re.findall(r"(?:^|[\s(;&|])(?:dcgan|-m dcgan_hf) ([a-z][\w-]*)", "\n".join(code), flags=re.MULTILINE)
        assert set(named) <= COMMANDS.keys(), (path, set(named) - COMMANDS.keys())
        seen |= set(named)
        for script in re.findall(r"scripts/[\w/]+\.\w+", text):
            assert (ROOT / script).is_file(), (path, script)
        for recipe in re.findall(r"--config (\w+)(?![\w./])", text):
            assert recipe in recipe_names(), (path, recipe)
    assert seen == COMMANDS.keys()


def test_the_table_of_recipes():
    rows = dict(re.findall(r"^\| `(\w+)`(?: \(default\))? \| (.*) \|$", README, flags=re.MULTILINE))
    recipes = {path.stem: yaml.safe_load(path.read_text()) for path in RECIPES.glob("*.yaml")}
    assert rows.keys() == recipes.keys()
    for name, recipe in recipes.items():
        assert f"{recipe['resolution']}x{recipe['resolution']}" in rows[name]
