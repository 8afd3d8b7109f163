# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Hooks of MkDocs: pages made of files outside docs/, pictures of the model cards, and the reference of the commands.

Links in docs/ are those of the checkout, so that the pages can be read there, too.
"""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from repository import ROOT, repository


# Pages of the site that are files beside docs/.
PAGES = {name: name.lower() for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Links the site to the repository."""
    if repository():
        config.repo_url = repository()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and pictures that are not in docs/."""
    for name in PAGES:
        files.append(File.generated(config, PAGES[name], content=for_site((ROOT / name).read_text())))
    files.append(File.generated(config, "index.md", content=for_site((ROOT / "README.md").read_text())))
    for path in sorted((ROOT / "model_cards").rglob("*.*")):
        if path.suffix in (".png", ".gif"):
            files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def for_site(text: str) -> str:
    """Makes links of a file at the top of the checkout those of a page at the top of the site."""
    for name, page in PAGES.items():
        text = text.replace(f"]({name})", f"]({page})")
    text = re.sub(r"\[([^]]+)\]\((?:CITATION.cff|LICENSE)\)", r"`\1`", text)
    return text.replace("](docs/", "](")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Writes links to model cards as they are on the site, removes the sources of figures, and adds the commands."""
    markdown = re.sub(r"<!--= table .*? -->\n|<!--= .*? -->", "", markdown)
    if page.file.src_uri not in ("index.md", *PAGES.values()):
        markdown = re.sub(r"\]\(\.\./((?:\.\./)*)model_cards/", r"](\1model_cards/", markdown)
    return markdown.replace("<!-- commands -->", commands())


def commands() -> str:
    """Every command with its flags, from the fields that the parser reads."""
    import dcgan_hf.cli.main  # noqa: F401  # defines the commands
    from dcgan_hf.cli.command import COMMANDS, app

    sections = []
    for name, command in sorted(COMMANDS.items()):
        help_text = " ".join((app[name].help or "").split())
        sections.append(f"## dcgan {name}\n\n{help_text}\n")
        groups: dict[str, list[Any]] = {}
        for field in command.fields.values():
            groups.setdefault(field.metadata["group"], []).append(field)
        for group, fields in groups.items():
            sections.append(f"**{group}**\n\n| flag | default | description |\n| --- | --- | --- |")
            sections.append("\n".join(_row(field, command.hints[field.name]) for field in fields) + "\n")
    return "\n".join(sections)


def _row(field: Any, hint: Any) -> str:
    import dataclasses

    from dcgan_hf.flags import choices_of

    name = field.name.upper() if field.metadata["positional"] else f"--{field.name}"
    shown = "" if field.default in (None, dataclasses.MISSING) else f"`{field.default}`"
    choices = choices_of(hint)
    text = field.metadata["help"].replace("|", "\\|").replace("<", "&lt;")
    if choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    if field.metadata.get("range"):
        text += f" In {field.metadata['range']}."
    return f"| `{name}` | {shown} | {text} |"
