"""Tests of the command: help, parsing of flags, and errors."""

import dataclasses
import re
import subprocess
import sys

import PIL.Image
import pytest
import torch
import yaml

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.cli import command as commands
from dcgan_hf.cli.command import COMMANDS
from dcgan_hf.cli.main import main
from dcgan_hf.flags import ModelArguments
from dcgan_hf.training.generation_arguments import DCGANTrainingArguments
from dcgan_hf.training.recipes import arguments_from_recipe, read_recipe, recipe_names
from dcgan_hf.training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments

from ..models.test_super_resolution import make_generator
from ..train_utils import ROOT, SCRIPTS, run_command, tiny_flags


def help_of(capsys, *words):
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


def last_line(capsys, *words):
    """Returns the status and the last line on stderr."""
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err.splitlines()[-1]


def test_help_shows_each_flag_once_in_groups(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for name, command in COMMANDS.items():
        text = help_of(capsys, name)
        for field in command.fields.values():
            shown = field.name.upper() if field.metadata["positional"] else f"--{field.name}"
            assert len(re.findall(rf"^│ \*?\s*{shown}(?=\s)", text, flags=re.MULTILINE)) == 1, (name, field.name)
            assert field.metadata["help"].strip().endswith("."), (name, field.name)
    text = help_of(capsys, "train")
    titles = re.findall(r"^╭─ (\w+)", text, flags=re.MULTILINE)
    assert titles[0] == "Common" and titles[-1] == "Machine" and len(titles) == len(set(titles)) >= 9
    assert text.index("--dataset_name") < text.index("--train_batch_size") < text.index("--adam_beta1")
    assert "[default: 16]" in text and "hinge" in text
    for name in COMMANDS:
        assert name in help_of(capsys)


@pytest.mark.parametrize("start", [["-m", "dcgan_hf", "train"], [str(SCRIPTS / "train_super_resolution.py")]])
def test_help_does_not_wait_for_torch(start):
    code = """
import runpy, sys
sys.argv = [*sys.argv[1:], "--help"]
sys.orig_argv = ["python", *sys.argv]
try:
    if sys.argv[0] == "-m":
        runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=False)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
heavy = {"torch", "transformers", "diffusers", "datasets", "accelerate", "sklearn", "gradio"} & {*sys.modules}
assert not heavy, heavy
"""
    words = ["-m", "dcgan_hf", "train"] if start[0] == "-m" else start
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT)
    # When run as a module, the next word is the command.
    assert result.returncode == 0, result.stderr


def test_recipes_are_listed_with_hardware_and_time(capsys):
    run_command("recipes")
    text = capsys.readouterr().out
    for name in recipe_names():
        recipe = read_recipe(name)
        assert f"--config {name}\n" in text
        assert recipe["hardware"] in text and str(recipe["time"]) in text and recipe["description"] in text


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_arguments(name):
    is_super_resolution = "scale_factor" in read_recipe(name)
    arguments_class = DCGANSuperResolutionTrainingArguments if is_super_resolution else DCGANTrainingArguments
    change = {"num_blocks": 2} if is_super_resolution else {"norm_eps": 1e-4}
    args = arguments_from_recipe(arguments_class, name, {"seed": 7, "generator_config": change})
    recipe = read_recipe(name)
    assert args.seed == 7 and args.resolution == recipe["resolution"]
    # Overrides of networks apply field by field.
    fields = yaml.safe_load(args.generator_config)
    assert fields == recipe.get("generator_config", {}) | change


MISTAKES = [
    ("train --resolution 50", "--resolution 50 has no default layers. Use 48 or 52"),
    ("train --epochs 3", "unknown flag --epochs. Did you mean '--num_epochs'?"),
    ("train --batch-size 3", "unknown flag --batch-size. Did you mean '--train_batch_size'?"),
    ("train --lr 1", "unknown flag --lr. Did you mean '--learning_rate'?"),
    ("trian", "unknown command 'trian'. Did you mean 'train'?"),
    ("train --loss hinges", "--loss hinges: must be one of bce, .*, wasserstein. Did you mean 'hinge'?"),
    ("train --resolution abc", "--resolution abc: must be an integer."),
    ("train --max_train_steps 1.9", "--max_train_steps 1.9: must be an integer."),
    ("train --output_dir=", "--output_dir must not be empty."),
    ("generate --model m", "unknown flag --model."),
    ("train --learning_rate fast", "--learning_rate fast: must be a number."),
    ("train --resolution 0", "--resolution must be at least 1, got 0"),
    ("train --use_ema maybe", "unexpected argument 'maybe'. See `dcgan train --help`."),
    ("train --max_train_steps", "missing value for --max_train_steps. See `dcgan train --help`."),
    ("train --config stron", "--config stron is neither a file nor a recipe. Did you mean 'strong'?"),
    ("train --dataset_name ./nothing", "--dataset_name ./nothing: no such folder"),
    ("train --discriminator_config {", "--discriminator_config must be a JSON object, got '{'"),
    ("train --resume_from_checkpoint checkpoint-7", "--resume_from_checkpoint checkpoint-7 is not a checkpoint"),
    ("train --r1_penalty 1", "--r1_penalty requires a discriminator that treats images independently"),
    (
        "train --save_best",
        "--save_best, --early_stopping_patience and --eval_split have no effect without --eval_steps",
    ),
    ("train-super-resolution --resolution 15", "--resolution must be a multiple of --scale_factor 2, got 15"),
    ("generate", "missing value for MODEL. See `dcgan generate --help`."),
    ("generate org/nothing", "MODEL org/nothing: 'org/nothing' is neither a local folder nor a model on the Hub"),
    ("upscale nothing.jpg", "INPUTS nothing.jpg: no such file or folder"),
    ("evaluate org/model", "missing value for --dataset_name. See `dcgan evaluate --help`."),
    ("push nothing", "FOLDER nothing: no such folder"),
    ("export org/model", "--output_dir is required: org/model is not a local folder"),
    ("invert org/model nothing.png", "PHOTOS nothing.png: no such file"),
    ("train --num_epochs 1e3", "--num_epochs 1e3: must be an integer"),
    ("train --num_epochs ٣", "--num_epochs .*: must be an integer"),
    ("train --max_train_steps 10k", "--max_train_steps 10k: must be an integer"),
    ("train --learning_rate nan", "--learning_rate must be positive, got nan"),
    ("train --learning_rate -1", "--learning_rate must be positive, got -1.0"),
    ("train --seed 99999999999", "--seed must be at most 2147483647, got 99999999999"),
    ("train --num_epochs 9999999999", "--num_epochs must be at most 2147483647, got 9999999999"),
    ("train --eval_batch_size 100000000", "--eval_batch_size must lie in .1, 65536., got 100000000"),
    ("train --resolution 1000000000", "--resolution must be at most 4,096, got 1000000000"),
    ("train --hidden_size 100000000", "--hidden_size must be at most 8,192, got 100000000"),
    ("train --latent_dim 10000000000", "--latent_dim must be at most 2147483647, got 10000000000"),
    ("train –resolution 64", "unexpected argument '–resolution 64'. Write --resolution with two hyphens"),
    ("train —-resolution 64", "unexpected argument .*Write --resolution with two hyphens"),
    ("train --loss \x1b[2Jhinge", r"--loss ' \[2Jhinge': must be one of"),
    ("train --loss=", "--loss '': must be one of bce, .*, wasserstein.$"),
    ("train --diff_augment", "missing value for --diff_augment"),
    ("train --resolution 64 --resolution", "missing value for --resolution"),
    ("train --hub_license my\u00a0own", "--hub_license .* must be an identifier"),
    ("generate a/b/c/d", "MODEL a/b/c/d: no such folder, and no name of a repository: Repo id must be"),
    ("convert folder", "FILES folder: pass at least one checkpoint, then the folder for the pipeline"),
]


@pytest.mark.parametrize("words, message", MISTAKES)
def test_mistakes_end_in_one_line(words, message, capsys, tmp_path, monkeypatch, hub):
    monkeypatch.chdir(tmp_path)
    status, line = last_line(capsys, *words.split(" "))
    assert status == 2 and re.match(f"error: {message}", line), line
    assert not list(tmp_path.rglob("*.safetensors")) and "Traceback" not in line


@pytest.mark.parametrize(
    "words", [["generate", ""], ["push", ""], ["convert", "", "b"], ["train", "--output_dir", " "]]
)
def test_empty_words_are_named(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, line = last_line(capsys, *words)
    assert status == 2 and re.fullmatch("error: (MODEL|FOLDER|FILES|--output_dir) must not be empty.", line), line


@pytest.mark.parametrize("module, extra", [("gradio", "demo"), ("captum", "interpretability"), ("onnxscript", "onnx")])
def test_a_missing_extra_is_named(module, extra, capsys, tmp_path, monkeypatch):
    @commands.command("try", ModelArguments)
    def needs_it(given):
        """Import a module."""
        __import__(module)

    monkeypatch.setitem(sys.modules, module, None)
    try:
        status, line = last_line(capsys, "try", "model")
    finally:
        del COMMANDS["try"]
        del commands.app["try"]
    assert status == 2 and line.endswith(f'Install it with `pip install "dcgan-hf[{extra}]"`.'), line


def test_a_process_ends_with_the_error_and_debug_shows_where(tmp_path):
    command = [sys.executable, "-m", "dcgan_hf", "train", "--resolution", "50"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.startswith(
        "error: --resolution 50 has no default layers. Use 48 or 52"
    )
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    result = subprocess.run([*command, "--debug"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" in result.stderr and "make_config" in result.stderr


def test_the_last_of_a_repeated_flag_counts(tmp_path, capsys):
    """With pydantic imported, too, which the parser then uses to check values."""
    import pydantic  # noqa: F401

    assert last_line(capsys, "train", "--resolution", "64", "--resolution", "50")[1].startswith(
        "error: --resolution 50"
    )


def test_truth_values(tmp_path):
    entry = COMMANDS["train"]
    assert entry.words_for_parser(["train", "--use_ema", "False", "--seed", "1"]) == [
        *("train", "--use_ema=False", "--seed", "1")
    ]
    assert entry.words_for_parser(["--class_names", "true", "false"]) == ["--class_names", "true", "false"]
    flags = [flag for flag in tiny_flags(tmp_path, max_train_steps=1) if "use_ema" not in flag]
    run_command("train", *flags, "--use-ema", "false", "--diff_augment", "color", "cutout")
    args = yaml.safe_load((tmp_path / "training_args.json").read_text())
    assert args["use_ema"] is False and args["diff_augment"] == ["color", "cutout"] and args["random_flip"] is True


def save_models(folder):
    torch.manual_seed(0)
    config = {"image_size": 16, "hidden_size": 4}
    networks = DCGANGenerator(DCGANGeneratorConfig(**config)), DCGANDiscriminator(DCGANDiscriminatorConfig(**config))
    DCGANPipeline(*networks).save_pretrained(folder / "draws")
    from dcgan_hf import DCGANSuperResolutionPipeline

    DCGANSuperResolutionPipeline(make_generator(num_channels=3)).save_pretrained(folder / "enlarges")


def test_a_model_of_another_kind_is_named(tmp_path, capsys):
    save_models(tmp_path)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    for words, command in (
        (("generate", "enlarges"), "upscale"),
        (("upscale", "photo.png", "--model", "draws"), "generate"),
        (("evaluate", "enlarges", "--dataset_name", "photos"), "evaluate-super-resolution"),
        (("evaluate-super-resolution", "draws", "--dataset_name", "photos"), "evaluate"),
        (("explain", "enlarges"), None),
    ):
        words = [tmp_path / word if (tmp_path / word).exists() else word for word in words]
        status, line = last_line(capsys, *words)
        assert status == 2 and ("is a DCGANSuperResolutionPipeline" in line or "is a DCGANPipeline" in line)
        assert command is None or f"`dcgan {command}`" in line, line


def test_a_damaged_model_is_a_mistake_too(tmp_path, capsys):
    save_models(tmp_path)
    (tmp_path / "draws" / "generator" / "model.safetensors").write_bytes(b"damaged")
    status, line = last_line(capsys, "generate", tmp_path / "draws", "--output_dir", tmp_path / "out")
    assert status == 2 and line.startswith(f"error: The weights in {tmp_path}/draws/generator are damaged: ")
    (tmp_path / "draws" / "model_index.json").write_text("{}")
    status, line = last_line(capsys, "generate", tmp_path / "draws", "--output_dir", tmp_path / "out")
    assert status == 2 and line.startswith("error: ") and not (tmp_path / "out").exists()


def test_each_argument_is_known_in_one_place():
    """A field's metadata determines the handling on resuming and on the card."""
    for arguments_class in (DCGANTrainingArguments, DCGANSuperResolutionTrainingArguments):
        for field in dataclasses.fields(arguments_class):
            assert set(field.metadata) == {"help", "group", "range", "on_resume", "on_card", "positional", "part"}
        private = {"output_dir", "cache_dir", "hub_model_id", "resume_from_checkpoint", "report_to"}
        shown = {field.name for field in dataclasses.fields(arguments_class) if field.metadata["on_card"]}
        assert not shown & private
