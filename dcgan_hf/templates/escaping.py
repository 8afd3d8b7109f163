# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Escaping of strangers' words (names of classes, datasets, models) in the Markdown of cards, reports and Spaces."""

import json
import re
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup


_MAX_LENGTH = 200
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;", "}": "&#125;", "@": "&#64;", "|": "&#124;"}
# Backslash, code, emphasis, links, strikethrough, formulas and headings. An underscore within a word is only a letter.
_SPECIAL = re.compile(r"[\\`*\[\]~$#]|(?<![^\W_])_|_(?![^\W_])")


def one_line(text: str) -> str:
    """Returns a text without line breaks, invisible characters and excess length."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    line = " ".join(words)
    return line if len(line) <= _MAX_LENGTH else f"{line[: _MAX_LENGTH - 1]}…"


def escape_markdown(value: Any) -> Any:
    """Returns a string as Markdown that shows it literally, on one line, also in tables, links and headings. Other
    values, and strings that are Markdown already (`Markup`), stay as they are."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = re.sub("|".join(map(re.escape, _ENTITIES)), lambda match: _ENTITIES[match[0]], one_line(value))
    # An entity keeps addresses from becoming links by themselves.
    text = re.sub(r"(?i)(https?|ftp)://", r"\1&#58;//", text)
    text = re.sub(r"(?i)\bwww\.", lambda match: match[0][:-1] + "&#46;", text)
    # The `#` of an entity is not a special character.
    return Markup(_SPECIAL.sub(lambda match: f"\\{match[0]}", text.replace("&#", "\0")).replace("\0", "&#"))


_HARMLESS_IN_CODE = re.compile(r"[\w.,:/+=<>()@-]+( [\w.,:/+=<>()@-]+)*")


def code(value: str) -> Markup:
    """Returns a string as a code span. Strings that could end it are shown as text."""
    value = one_line(value)
    return Markup(f"`{value}`") if _HARMLESS_IN_CODE.fullmatch(value) else escape_markdown(value)


def within_code(value: str) -> Markup:
    """Returns a string for the inside of a code span, or "..." if it could end it."""
    return Markup(value if _HARMLESS_IN_CODE.fullmatch(value) else "...")


def python_literal(value: Any) -> Markup:
    """Returns a string, or a list of strings, as Python source, with invisible characters escaped."""
    source = json.dumps(value, ensure_ascii=False)
    return Markup("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in source))


def code_block(value: str, language: str) -> Markup:
    """Returns a text as a code block that no line of the text can end."""
    fence = "`" * (1 + max(2, *(len(run) for run in re.findall("`+", value)), 2))
    return Markup(f"{fence}{language}\n{value}\n{fence}")


def hub_link(name: str, repo_id: str | None = None, folder: str = "") -> Markup:
    """Returns a link to a repository on the Hub, whose `repo_id` defaults to its name."""
    return Markup(f"[{escape_markdown(name)}](https://huggingface.co/{folder}{_quote(repo_id or name, safe='/')})")


def web_link(text: str, address: str) -> Markup:
    """Returns " ([text](address))" for an http address, otherwise an empty string."""
    try:
        parts = urlsplit(address.strip())
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # not an address
        is_page = False
    target = _quote(address.strip(), safe="/:?#@!$&'*+,;=%~")
    return Markup(f" ([{text}]({target}))") if is_page else Markup("")


def _quote(address: str, safe: str) -> str:
    return quote(address, safe=safe, errors="replace")
