# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands whose flags are the fields of argument classes: help, parsing, and error messages that name the flags."""

import dataclasses
import inspect
import re
import shlex
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import App, Group, Parameter, Token
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from ..flags import choices_of, did_you_mean
from ..version import __version__


Arguments = TypeVar("Arguments")
# Headings in `--help`, the most common ones first.
_GROUPS = (
    *("Common", "Model", "Options", "Data", "Networks", "Loss", "Optimization", "Evaluation", "Logging", "Hub"),
    "Machine",
)
_KINDS: dict[Any, str] = {int: "an integer", float: "a number", bool: "true or false"}
_TRUTH = ("true", "false")
# Stands for a word that the parser would take for a flag. No other word can be so.
_LONE_HYPHEN = "\0"
# What word processors and web pages make of hyphens.
_DASHES = ("‐", "‑", "‒", "–", "—", "―", "−")


def _keep_name(name: str) -> str:
    return name


app = App(
    name="dcgan",
    help="DCGANs for the Hugging Face ecosystem: train, generate, upscale, evaluate, interpret and publish.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(name_transform=_keep_name),
    # Command names are matched exactly.
    name_transform=_keep_name,
)
app.register_install_completion_command(help="Install shell completion of commands and flags.")


@dataclass
class Command:
    """
    A command and its flags.

    Args:
        arguments_classes (`tuple[type, ...]`):
            Classes whose fields are the flags.
    """

    arguments_classes: tuple[type, ...]

    @property
    def fields(self) -> dict[str, dataclasses.Field]:
        """Fields by name. A later class overrides an earlier one."""
        return {field.name: field for cls in self.arguments_classes for field in dataclasses.fields(cls)}

    @property
    def hints(self) -> dict[str, Any]:
        """Type hints by name."""
        return {name: hint for cls in self.arguments_classes for name, hint in typing.get_type_hints(cls).items()}

    def words_for_parser(self, words: list[str]) -> list[str]:
        """Rewrites words that the parser does not accept: `--use_ema false` as `--use_ema=false`, and a lone hyphen."""
        flags = {f"--{name}" for name, hint in self.hints.items() if hint is bool}
        joined: list[str] = []
        for word in words:
            if joined and joined[-1].replace("-", "_").replace("__", "--", 1) in flags and word.lower() in _TRUTH:
                joined[-1] += f"={word}"
            else:
                joined.append(_LONE_HYPHEN if word == "-" else word)
        return joined

    def in_words_of_flags(self, message: str) -> str:
        """Rewrites the arguments in a message as flags: "`resolution=50`" becomes "--resolution 50"."""
        fields = self.fields

        def write(match: re.Match) -> str:
            name, value = match["name"], match["value"]
            if name not in fields:
                return match[0] if value is None else f"{name}={value}"
            flag = name.upper() if fields[name].metadata["positional"] else f"--{name}"
            if value in (None, "True"):
                return flag
            return f"{flag} {'false' if value == 'False' else shlex.quote(value)}"

        return re.sub(r"`(?P<name>\w+)(?:=(?P<value>[^`]*))?`", write, message)


COMMANDS: dict[str, Command] = {}


def command(name: str, *arguments_classes: type) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    r"""
    Registers a function of the given arguments as a command.

    Args:
        name (`str`):
            Name of the command.
        arguments_classes (`type`):
            Dataclasses whose fields, declared with [`flag`], become the flags.
    """
    entry = COMMANDS[name] = Command(arguments_classes)

    def decorate(function: Callable[[dict[str, Any]], None]) -> None:
        def run(*positional: Any, **given: Any) -> None:
            for name, value in given.items():
                if value == []:
                    raise ValueError(f"missing value for `{name}`.")
            given |= dict(zip(names_of_positional, positional))
            function({name: _with_hyphen(value) for name, value in given.items()})

        parameters = [_parameter(field, entry.hints[name]) for name, field in entry.fields.items()]
        parameters.sort(key=lambda parameter: parameter.kind)
        names_of_positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY]
        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__doc__ = function.__doc__
        app.command(run, name=name)

    return decorate


def _with_hyphen(value: Any) -> Any:
    return (
        [_with_hyphen(word) for word in value] if isinstance(value, list) else "-" if value == _LONE_HYPHEN else value
    )


def pick(arguments_class: type[Arguments], given: dict[str, Any]) -> Arguments:
    """Creates an argument class from those of the given arguments that belong to it."""
    names = {field.name for field in dataclasses.fields(arguments_class)}  # type: ignore[arg-type]
    for name in names & given.keys():
        if given[name] == "" or (isinstance(given[name], list) and "" in given[name]):
            raise ValueError(f"`{name}` must not be empty.")
    return arguments_class(**{name: value for name, value in given.items() if name in names})


def _parameter(field: dataclasses.Field, hint: Any) -> inspect.Parameter:
    """Returns the parameter of the parser for a field."""
    alternatives = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
    if isinstance(hint, types.UnionType):  # one or several words are a list, a dictionary is passed as JSON
        lists = [kind for kind in alternatives if typing.get_origin(kind) is list]
        typed = lists[0] if lists else str if len(alternatives) > 1 else alternatives[0]
        hint = typed | None if field.default is None else typed
    group = field.metadata["group"]
    is_missing = field.default is dataclasses.MISSING
    described = Parameter(
        help=field.metadata["help"],
        group=Group(group, sort_key=_GROUPS.index(group)),
        negative=(),
        consume_multiple=True,
        allow_repeating=True,  # the last one wins
        converter=_read_whole_number if int in (hint, *typing.get_args(hint)) else None,
        show_default=not (field.default is None or field.default is False or is_missing),
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_ONLY if field.metadata["positional"] else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if is_missing else field.default,
        annotation=Annotated[hint, described],
    )


def _read_whole_number(hint: Any, tokens: Sequence[Token]) -> int:
    """Parses an integer. The parser itself would round other numbers."""
    if re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)*", tokens[0].value) is None:
        raise CoercionError(token=tokens[0], target_type=int)
    return int(tokens[0].value)


def describe(error: CycloptsError, words: list[str]) -> str:
    """Returns an error message for a command line that cannot be parsed."""
    if isinstance(error, UnknownCommandError):
        return f"unknown command {words[0]!r}.{did_you_mean(words[0], COMMANDS)} Commands: {', '.join(COMMANDS)}."
    if isinstance(error, UnknownOptionError):
        typed = (error.token.keyword or error.token.value).split("=")[0]
        fields = COMMANDS[words[0]].fields if words[0] in COMMANDS else {}
        flags = [name for name, field in fields.items() if not field.metadata["positional"]]
        near = did_you_mean(typed.lstrip("-").replace("-", "_"), flags).replace("'", "'--", 1)
        return f"unknown flag {typed}.{near}"
    if isinstance(error, UnusedCliTokensError):
        unused = " ".join(error.unused_tokens or [])
        typed = unused.split()[0].lstrip("".join(_DASHES)) if unused.startswith(_DASHES) else ""
        advice = f" Write --{typed.lstrip('-')} with two hyphens." if typed else ""
        return f"unexpected argument {unused!r}.{advice} See `dcgan {words[0]} --help`."
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"missing value for {error.argument.name}. See `dcgan {words[0]} --help`."
    if isinstance(error, CoercionError) and error.argument is not None and error.token is not None:
        word, choices = error.token.value, [str(choice) for choice in choices_of(error.target_type)]
        allowed = (
            f"one of {', '.join(choices)}.{did_you_mean(word, choices)}" if choices else _KINDS[error.target_type]
        )
        return f"{error.argument.name} {shlex.quote(word)}: must be {allowed.removesuffix('.')}" + "." * (
            not allowed.endswith("?")
        )
    return " ".join(str(error).split())
