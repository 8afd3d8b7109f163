"""Shell code and flags in the texts are what the commands take, each checked against the command on its own line."""

import argparse
import importlib.util
import re
import shlex
import tomllib

import pytest
import yaml
from accelerate.commands.launch import launch_command_parser
from torch.distributed.run import get_args_parser

# Defines the commands.
import dcgan_hf.cli.main  # noqa: F401
from dcgan_hf import DCGANSuperResolutionTrainingArguments, DCGANTrainingArguments
from dcgan_hf.cli.command import COMMANDS, app
from dcgan_hf.training.recipes import arguments_from_recipe, recipe_names

from ..train_utils import ROOT, SCRIPTS
from .pages import CARDS, PAGES, blocks_of, prose_of


TEXTS = [*PAGES, *CARDS]
# Scripts for launchers, by the command that they run.
LAUNCHED = {"scripts/train.py": "train", "scripts/train_super_resolution.py": "train-super-resolution"}
TRAININGS = {
    "train": (DCGANTrainingArguments, "digits"),
    "train-super-resolution": (DCGANSuperResolutionTrainingArguments, "photos_x2"),
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def shell_lines(page):
    """Lines of a page's shell code, joined where they go on: (place, words)."""
    for block in blocks_of(page, "bash", "sh"):
        for line in block.code.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield f"{block}: {line}", words


LINES = [line for page in TEXTS for line in shell_lines(page)]


def check_command(name, words):
    """Parses the words of a command. Of a training, also what goes together is checked."""
    assert name in COMMANDS, f"There is no command {name!r}."
    words = COMMANDS[name].words_for_parser([name, *words])
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    if name in TRAININGS:
        arguments_class, default = TRAININGS[name]
        given = bound.kwargs
        recipe = given.pop("config", None if "dataset_name" in given else default)
        arguments_from_recipe(arguments_class, recipe, given) if recipe else arguments_class(**given)


def check_dcgan(words):
    flags = {"--help", "--version", "--install-completion"}
    if words[0] in flags or words[1:] == ["--help"]:
        assert words[0] in flags | COMMANDS.keys()
    else:
        check_command(words[0], words[1:])


def check_launched(parser, words):
    """Parses the flags of a launcher and of what it launches: a script, or the package as a module."""
    args = parser.parse_args(words)
    if args.module:
        assert args.training_script == "dcgan_hf"
        check_dcgan(args.training_script_args)
    else:
        check_command(LAUNCHED[args.training_script], args.training_script_args)


def check_python(words):
    if words[:2] == ["-m", "dcgan_hf"]:
        check_dcgan(words[2:])
    elif words[0] == "-m":
        assert words[1] in ("venv", "pip"), words
    elif words[0] in LAUNCHED:
        check_command(LAUNCHED[words[0]], words[1:])
    else:
        check_script(words[0], words[1:])


class Parsed(Exception):
    """Ends a script as soon as its flags were read. Holds those that it does not know."""


def check_script(path, words):
    """Parses the flags of a measuring script. What it does not know must be a flag of `dcgan train`, if it passes those on."""
    parse = argparse.ArgumentParser.parse_known_args

    def parse_and_stop(self, *args):
        raise Parsed(parse(self, *args)[1])

    spec = importlib.util.spec_from_file_location("script_of_docs", ROOT / path)
    script = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(SCRIPTS)
        spec.loader.exec_module(script)
        monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse_and_stop)
        with pytest.raises(Parsed) as parsed:
            script.main(words)
    (rest,) = parsed.value.args
    if rest:
        assert "parse_known_args" in (ROOT / path).read_text(), f"{path} does not take {rest}."
        common = yaml.safe_load((ROOT / words[0]).read_text())["common"]
        check_command("train", [word for name, value in common.items() for word in script.to_flag(name, value)] + rest)


def check_pip(words):
    assert words[0] == "install", words
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys(), extras
    for name in (words[i + 1] for i, word in enumerate(words) if word in ("-c", "--constraint")):
        assert (ROOT / name).is_file(), name


def check_make(words):
    assert {word for word in words if "=" not in word} <= TARGETS, words


CHECKS = {
    "dcgan": check_dcgan,
    "python": check_python,
    "pip": check_pip,
    "make": check_make,
    "torchrun": lambda words: check_launched(get_args_parser(), words),
    "accelerate": lambda words: check_launched(launch_command_parser(), words[1:]),
}
# Programs of others, whose flags are not checked.
OTHERS = {"hf", "grep", "cd", "ls", "kill", "apt-get", "tensorboard", "jupyter", "export", "for", "done"}


@pytest.mark.parametrize(("place", "words"), LINES, ids=[place for place, _ in LINES])
def test_shell_line(place, words):
    while "=" in words[0]:  # variables of the environment
        words = words[1:]
    program = "python" if words[0].endswith("/python") else words[0]
    for word in (";", "&&", "|", "&"):
        words = words[: words.index(word)] if word in words else words
    if program not in OTHERS:
        CHECKS[program](words[1:])


def test_all_commands_are_shown():
    shown = {words[1] for _, words in LINES if words[0] == "dcgan" and len(words) > 1}
    assert COMMANDS.keys() <= shown | {"invert", "recipes"}, COMMANDS.keys() - shown


INLINE = re.compile(r"`([^`\n]+)`")


def commands_named(text):
    return set(re.findall(r"(?:dcgan|-m dcgan_hf|scripts/\w+\.py) ?([a-z][\w-]*)?", text)) & COMMANDS.keys()


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_inline_flags_and_commands(page):
    """A flag in a sentence is one of a command that the same page names. (Pages that name none: of a training.)"""
    text = page.read_text()
    named = commands_named(text) or set(TRAININGS)
    for path, name in LAUNCHED.items():
        named |= {name} if path in text else set()
    known = {"help", "version", "install-completion"} | {flag for name in named for flag in COMMANDS[name].fields}
    for path in re.findall(r"scripts/[\w/]+\.py", text):
        known |= set(re.findall(r"add_argument\(\s*\"--(\w+)\"", (ROOT / path).read_text()))
    for code in INLINE.findall(prose_of(page)):
        words = code.split()
        if words[0] == "dcgan" and len(words) > 1 and words[1][0].islower():
            assert words[1] in COMMANDS, code
        if words[0] in CHECKS.keys() - {"dcgan"} or words[0] in OTHERS:
            continue
        for flag in re.findall(r"(?:^|\s)--([\w-]+)", code):
            assert flag in known, f"{page.name}: --{flag} is no flag of {sorted(named)}."


def test_recipes_that_texts_name_exist():
    for page in TEXTS:
        for recipe in re.findall(r"--config (\w+)(?![\w./])", page.read_text()):
            assert recipe in recipe_names(), (page, recipe)


def test_make_targets_that_texts_name_exist():
    for page in TEXTS:
        assert set(re.findall(r"`make ([\w-]+)", page.read_text())) <= TARGETS, page
