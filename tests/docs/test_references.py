"""Links, file names, pictures, module paths and figures in the texts are right."""

import importlib
import json
import math
import re
import sys

import nbformat
import pytest
import yaml

import dcgan_hf
from dcgan_hf.training.failures import check_finite, diagnose, diagnose_quality

from ..train_utils import RECIPES, ROOT, SCRIPTS
from .pages import CARDS, DOCS, PAGES, prose_of


sys.path.insert(0, str(SCRIPTS / "docs"))
import figures  # noqa: E402
import hooks  # noqa: E402
import notebooks  # noqa: E402


NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")


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
    for target in LINK.findall(text_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor and linked.name != "commands.md":  # its headings are made when the site is built
            assert anchor in anchors_of(linked), f"{page.name}: {target}"


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


# A number with a unit of measurement. (A size that is set, such as a tile's, has none of these units.)
MEASURED = re.compile(
    r"(?<![\w.])\d[\d,.]*(?: to \d[\d,.]*)?\s?"
    r"(?:%|dB\b|ms\b|images/s|GFLOP/s|[MG]B\b|seconds?\b|minutes?\b|hours?\b|times as (?:fast|near|many|large)|times faster)"
)
# Numbers that are set: bounds of definitions, and the default of `--in_memory_gb`.
SET = ["(30 dB)", "99 %", "100 %", "1 %", "4 GB"]


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_names_its_source(page):
    """A figure in a sentence is followed by the file and key that it comes from; a table of figures follows its file."""
    text = re.sub(r"<!--= table .*? -->\n\n(?:\|.*\n)+", "", text_of(page))
    text = figures.QUOTE.sub("", re.sub(r"`[^`\n]*`", "", text))
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for value in SET:
        text = text.replace(value, "")
    found = [match[0] for match in MEASURED.finditer(text)]
    assert not found, f"{page.relative_to(ROOT)}: {found}"


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
    with pytest.raises(FloatingPointError) as diverged:
        check_finite({"discriminator_loss": math.nan}, 1000, find_checkpoints=lambda: [DOCS / "checkpoint-4000"])
    messages.append(str(diverged.value))
    quoted = re.findall(r"^> (.*)$", (DOCS / "guides" / "noise.md").read_text(), flags=re.MULTILINE)
    assert {message.replace("2.5", "N.N").replace("step 1000", "step N") for message in messages} == set(quoted)
