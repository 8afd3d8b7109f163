"""Links, file names, pictures, module paths and figures in the texts are right."""

import importlib
import json
import math
import re
import shlex
import sys

import nbformat
import pytest
import torch
import yaml

import dcgan_hf
from dcgan_hf.cli.command import COMMANDS
from dcgan_hf.training.failures import check_finite, diagnose, diagnose_noise, diagnose_quality

from ..train_utils import RECIPES, ROOT, SCRIPTS
from .pages import CARDS, DOCS, PAGES, blocks_of, prose_of
from .test_commands import CHECKS


sys.path.insert(0, str(SCRIPTS / "docs"))
import figures  # noqa: E402
import hooks  # noqa: E402
import notebooks  # noqa: E402


NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
# Inline links, also with a title or around a picture; links of other lines; and those of HTML.
LINKS = [
    re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)"),
    re.compile(r"^\[[^]]+\]:\s*(\S+)", flags=re.MULTILINE),
    re.compile(r"(?:src|href)=[\"']([^\"']+)"),
]


def text_of(page):
    if page.suffix == ".ipynb":
        cells = nbformat.read(page, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return prose_of(page)


def anchors_of(page):
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in {target for link in LINKS for target in link.findall(text_of(page))}:
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if DOCS in page.parents:
            assert {DOCS, ROOT / "model_cards"} & set(linked.parents), f"{page.name}: {target} is not on the site."
        if anchor:
            anchors = anchors_of(linked)
            if linked.name == "commands.md":  # these headings are made when the site is built
                anchors |= {f"dcgan-{name}" for name in COMMANDS}
            assert anchor in anchors, f"{page.name}: {target}"


def sources():
    """Text of everything that docs may name: code, settings, templates and recipes."""
    folders = ("dcgan_hf", "scripts", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES]
    files = [path for path in files if path.parent.name != "docs" or "scripts" in path.parts]
    return "\n".join(path.read_text() for path in [*files, *map(ROOT.joinpath, ("Makefile", "pyproject.toml"))])


SOURCES = {".py", ".yaml", ".md", ".html"}
VOCABULARY = sources()
# Names of other people's that no code of ours uses.
FOREIGN = set(
    "HF_HUB_OFFLINE HF_TOKEN THP_MEM_ALLOC_ENABLE SIGKILL EarlyStoppingCallback HfArgumentParser jupyter jupyterlab heic hasattr".split()
)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_names_in_a_text_exist(page):
    """Every word of inline code is one of the code, and every file name is written there as a whole."""
    if page.name == "coming-from.md":  # half of it is other people's code
        return
    vocabulary = set(re.findall(r"\w+", VOCABULARY)) | FOREIGN | {path.stem for path in RECIPES.glob("*.yaml")}
    for block in blocks_of(page) if page.suffix == ".md" else ():
        vocabulary |= set(re.findall(r"\w+", block.code))
    for code in re.findall(r"`([^`\n]+)`", text_of(page)):
        if code.split()[0] in ("pip", "git", "apt", "grep", "hf", "accelerate", "kill", "ls") or "://" in code:
            continue
        for name in re.findall(r"[\w-]+\.(?:jsonl?|py|yaml|html|gif|png|md|safetensors|onnx|cff|txt)\b", code):
            known = name in VOCABULARY or name in page.read_text().replace(f"`{code}`", "") or any(ROOT.rglob(name))
            assert known or re.match(r"my-|photo|netG|netD|large|step-|directions|shards", name), (
                f"{page.name}: {name}"
            )
        words = re.sub(r"[\"'][^\"']*[\"']|[\w./-]*/[\w./-]*", " ", code)
        for word in re.findall(r"\b[A-Za-z_]\w{3,}\b", words):
            if word.isupper() and "_" not in word or word.endswith("_") and not word.endswith("__"):
                continue  # a placeholder
            assert word in vocabulary, f"{page.name}: {word!r} in `{code}`"


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_text_names_exist(page):
    for code in re.findall(r"`([^`\s]+)`", text_of(page)):
        path = code.partition("::")[0].rstrip("/")
        is_ours = path.split("/")[0] in {"dcgan_hf", "scripts", "tests", "docs", "model_cards", ".ci"} and "/" in path
        if is_ours and not re.search(r"[*<{]", path):
            assert (ROOT / path).exists(), f"{page.name}: {code}"


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_a_text_names_exist(page):
    text = page.read_text()
    for name in set(re.findall(r"\bdcgan_hf(?:\.\w+)+", text)):
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            break
        for part in parts[length:]:
            assert hasattr(found, part), f"{page.name}: {name}"
            found = getattr(found, part)


def test_all_pages_are_in_the_navigation():
    named = set(re.findall(r"[\w/-]+\.(?:md|ipynb)", (ROOT / "mkdocs.yml").read_text()))
    pages = {str(path.relative_to(DOCS)) for path in [*DOCS.rglob("*.md"), *NOTEBOOKS]}
    assert named == pages | {"index.md", *hooks.PAGES.values()}


def test_figures_are_those_of_the_files():
    quoted = 0
    for page in figures.pages():
        text = page.read_text()
        assert figures.with_figures(text) == text, f"{page}: run scripts/docs/figures.py"
        quoted += text.count("<!--= ")
    assert quoted > 30


def test_every_figures_file_names_its_command():
    for path in figures.FIGURES.glob("*.json"):
        content = json.loads(path.read_text())
        entries = [content] if "command" in content else list(content.values())
        assert entries and all(re.match(r"(python scripts|dcgan) ?", entry["command"]) for entry in entries), path.name


def test_a_wrong_figure_is_noticed():
    right = "202 MB<!--= install.json cpu:bytes -->"
    assert figures.with_figures(right) == right
    for wrong in (right.replace("202", "203"), right.replace("202 MB", "202.0001 MB")):
        assert figures.with_figures(wrong) != wrong
    with pytest.raises(KeyError):
        figures.with_figures(right.replace("cpu:bytes", "cpu:kilobytes"))
    table = "<!--= table recipes -->\n\n| a |\n| --- |\n| b |\n"
    assert figures.with_figures(table) != table and "b |" not in figures.with_figures(table)
    assert figures.with_figures(figures.with_figures(table)) == figures.with_figures(table)


# Other people's addresses. One of ours would be invented, as long as pyproject.toml names no repository.
HOSTS = re.compile(
    r"https://(?:huggingface\.co/(?:papers/\d{4}\.\d{4,5}$|docs/)|(?:docs\.)?pytorch\.org/|onnxruntime\.ai|cyclopts\.readthedocs\.io"
    r"|github\.com/(?:pytorch|huggingface|zju-vipa|znxlwm|POSTECH-CVLab)/|archive\.ics\.uci\.edu/)"
)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_address_is_invented(page):
    for address in re.findall(r"https?://[^\s)\"'`>\\,;]+", text_of(page)):
        address = address.rstrip(".")
        assert HOSTS.match(address) or hooks.repository() and hooks.repository() in address, address


def test_badges_come_from_one_constant(monkeypatch):
    for path in NOTEBOOKS:
        assert ("colab" in path.read_text()) == bool(hooks.repository())
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    number = len(notebook.cells)
    monkeypatch.setattr(notebooks, "repository", lambda: "https://github.com/someone/dcgan")
    for _ in range(2):  # nothing is added twice
        notebooks.add_badge(notebook, "classes")
    assert len(notebook.cells) == number + 2
    assert "/someone/dcgan/blob/main/docs/tutorials/classes.ipynb)" in notebook.cells[0].source
    assert notebook.cells[1].source.endswith('@ git+https://github.com/someone/dcgan"')
    monkeypatch.setattr(notebooks, "repository", lambda: "")
    notebooks.add_badge(notebook, "classes")
    assert len(notebook.cells) == number


def test_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == dcgan_hf.__version__
    assert citation.get("repository-code", "") == hooks.repository()
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert f"## {dcgan_hf.__version__}" in (ROOT / "CHANGELOG.md").read_text()


# A number with a unit of measurement, a comparison, or a score. (A size that is set, such as a tile's, has none of these.)
_NUMBER = r"(?<![\w.])(?:\d[\d,.]*(?: to \d[\d,.]*)?\s?|(?:two|three|four|five|six|seven|eight|nine|ten) (?=\w{3}))"
MEASURED = re.compile(
    rf"{_NUMBER}(?:%|percent|dB|ms|s|min|h|images/s|images per second|it/s|GFLOP/s|[KMG]i?B|seconds?|minutes?|hours?"
    r"|times (?:as (?:fast|near|quick)|faster|quicker|slower|nearer|smaller)|[x×] (?:as|fast|faster|quicker))(?![\w/])"
    r"|\b(?:twice|half|a third|a quarter|a tenth) (?:as (?:fast|near)|of the (?:time|memory|distance))"
    r"|(?:[Dd]istance|FID|PSNR|SSIM|accuracy)(?: (?:of|is|falls to|reaches))? \d+\.\d+|\ba factor of \d"
)
# Numbers that are set: bounds of definitions, and the default of `--in_memory_gb`; and durations in round words.
SET = ["(30 dB)", "99 %", "100 %", "1 %", "4 GB", "five minutes", "ten minutes", "five to ten minutes", "four minutes"]


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_names_its_source(page):
    """A figure in a sentence is followed by the file and key that it comes from; a table of figures follows its file."""
    text = re.sub(r"<!--= table .*? -->\n\n(?:\|.*\n)+", "", text_of(page))
    text = figures.QUOTE.sub("", re.sub(r"`[^`\n]*`", "", text))
    assert "<!--" not in text, f"{page.relative_to(ROOT)}: a comment that names no figure"
    if page.parent.name == "benchmarks" or page.name == "README.md":
        for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
            assert len(re.findall(r"\d\.\d", table)) < 3, f"{page.relative_to(ROOT)}: a table without source"
    text = " ".join(text.split())
    for value in SET:
        text = text.replace(value, "")
    found = [match[0] for match in MEASURED.finditer(text)]
    assert not found, f"{page.relative_to(ROOT)}: {found}"


def test_commands_of_figures_are_what_the_commands_take():
    """The command in a file of figures could be run."""
    for path in figures.FIGURES.glob("*.json"):
        content = json.loads(path.read_text())
        for entry in [content] if "command" in content else content.values():
            for words in (shlex.split(line) for line in entry["command"].split(" && ")):
                CHECKS[words[0]](words[1:])


def test_the_reference_has_every_public_class_and_existing_members():
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    for name in set(dcgan_hf.__all__) - {"__version__"}:
        assert re.search(
            rf"^::: dcgan_hf\.[\w.]*\.{name}$|^::: {getattr(dcgan_hf, name).__module__}$", pages, re.MULTILINE
        ), name
    for path, members in re.findall(r"^::: ([\w.]+)\n    options: {.*?members: \[([\w, ]*)\]", pages, re.MULTILINE):
        module, _, name = path.rpartition(".")
        for member in filter(None, members.split(", ")):
            assert hasattr(getattr(importlib.import_module(module), name), member), f"{path}.{member}"


def test_blocks_are_in_known_languages():
    for page in PAGES:
        for block in blocks_of(page):
            assert block.language in {"python", "bash", ""}, block
            assert block.language or "import " not in block.code, f"{block}: Python without its name"


def test_recipes_are_described():
    table = figures.recipes_table()
    for path in RECIPES.glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        assert f"--config {path.stem}`" in table and recipe["time"] in table


def test_warnings_are_quoted_word_for_word():
    healthy = {"logits_std": 1.0, "diversity": 1.0, "discriminator_loss": 1.0}
    messages = [
        diagnose(healthy | {"logits_std": 0.0}, 1000),
        diagnose(healthy | {"diversity": 0.0}, 1000),
        diagnose(healthy | {"discriminator_loss": 0.0}, 1000),
        diagnose_quality(5.0, 2.0, 1000),
    ]
    noise = torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for fake in (noise[:1].expand_as(noise), noise / 4):
        messages.append(re.sub(r"\d\.\d", "N.N", diagnose_noise(noise, fake, 75)))
    with pytest.raises(FloatingPointError) as diverged:
        check_finite({"discriminator_loss": math.nan}, 1000, find_checkpoints=lambda: [DOCS / "checkpoint-4000"])
    messages.append(str(diverged.value))
    quoted = re.findall(r"^> (.*)$", (DOCS / "guides" / "noise.md").read_text(), flags=re.MULTILINE)
    assert {message.replace("2.5", "N.N").replace("step 1000", "step N") for message in messages} == set(quoted)
