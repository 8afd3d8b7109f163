"""Tests that strangers' words are shown literally: names never change the structure of cards, reports and Spaces."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from dcgan_hf.evaluation.records import Metric
from dcgan_hf.evaluation.report import Findings, Memorization, write_report
from dcgan_hf.publishing.card import GENERATED, render_model_card
from dcgan_hf.publishing.space import save_space
from dcgan_hf.publishing.upload import Publication
from dcgan_hf.templates.escaping import code_block, escape_markdown, python_literal, web_link

from ..pipelines.test_pipeline_dcgan import make_pipeline


ATTACKS = [
    "dog\n\n## Use\n\nBuy this",
    "a | b | c",
    "`code` ``more``",
    "```\n# heading\n```",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/a.png)",
    "](https://evil.example)",
    "https://evil.example www.evil.example a@evil.example <https://evil.example>",
    "\n---\nlicense: mit\n---\n",
    "<!-- Written by dcgan_hf from the files of the model. Remove this line to keep what you change. -->",
    "--> <b>",
    "{{ 7 * 7 }} {% include 'x' %}",
    '"); import os; os.system("x") #',
    "*a* _b_ __c__ ~~d~~ $e$ \\",
    "&lt;b&gt; &#35;",
    "\u202eevil\u2028# a\x85\x00\ud800",
    "a\r# b",
    "# a #",
    "x" * 5000,
]
NAMES = st.one_of(st.text(min_size=1), st.text("ab \n\r\t#|`*_[]()<>!-=+.:/&{}%$~\\'\"1", min_size=1, max_size=60))


def attacked(test):
    for attack in ATTACKS:
        test = example(attack)(test)
    return settings(max_examples=40, deadline=None)(given(NAMES)(test))


def structure_of(markdown):
    """Returns the kinds of all nodes, nested, with the targets of links, but without words."""

    def of(node):
        if node.type in ("text", "softbreak"):
            return None
        target = node.attrs.get("href", node.attrs.get("src")) if node.type != "root" else None
        inner = [shape for shape in map(of, node.children) if shape is not None]
        tag = "" if node.type == "root" else node.tag
        return node.type, tag, target, [] if node.type in ("fence", "code_inline") else inner

    return of(SyntaxTreeNode(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)))


def front_matter(card):
    """Returns the text after the metadata, and the metadata's keys."""
    _, metadata, text = card.split("---\n", 2)

    def keys(value):
        if isinstance(value, dict):
            return {key: keys(inner) for key, inner in value.items()}
        return [keys(inner) for inner in value] if isinstance(value, list) else None

    return text, keys(yaml.safe_load(metadata))


@attacked
def test_any_text_is_one_harmless_piece_of_markdown(text):
    for frame in ("x {} y", "# x {}", "| a | {} |\n| --- | --- |\n| b | {} |", "[x {} y](z)", "- **x:** {}."):
        shapes = [structure_of(frame.replace("{}", words)) for words in (escape_markdown(text), "harmless")]
        assert shapes[0] == shapes[1], escape_markdown(text)
    (paragraph,) = SyntaxTreeNode(MarkdownIt().parse(f"x{escape_markdown(text)}x")).children
    shown = "".join(node.content for node in paragraph.walk() if node.type == "text")
    expected = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    assert shown[1:-1] == (expected if len(expected) <= 200 else expected[:199] + "…")
    assert ast.literal_eval(str(python_literal(["a", text]))) == ["a", text] and "\n" not in python_literal(text)
    assert structure_of(code_block(text, "yaml") + "\n\nx") == structure_of("```yaml\na\n```\n\nx")
    assert escape_markdown(text) == escape_markdown(escape_markdown(text))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    pipe = make_pipeline(num_classes=2)
    pipe.save_pretrained(folder)
    return pipe, folder


def card_with(saved, name):
    pipe, folder = saved
    pipe.generator.config.id2label = {0: name, 1: "other"}
    facts = {"name": name, "license": name, "homepage": f"https://example.org/{name}", "num_images": 2, "hub_id": name}
    results = {
        **{"dataset": facts, "steps": 1, "num_images_seen": 1, "images_per_second": 1.0, "seconds": 1.0},
        **{"hardware": name, "mixed_precision": name, "versions": {name: name}, "own_parts": [name], "statistics": {}},
        "recipe": {"dataset_name": name},
    }
    (folder / "training_results.json").write_text(json.dumps(results))
    (folder / "training_args.json").write_text(json.dumps({"dataset_config_name": name, "dataset_split": name}))
    metric = Metric("fid", name, 1.0, 1, 1, features=name, dataset_split=name, dataset_name=name)
    (folder / "metrics.json").write_text(json.dumps([vars(metric)]))
    return str(render_model_card(pipe, folder, f"org/{name}"))


def without_targets(shape):
    """Replaces the addresses that contain the name."""
    kind, tag, target, inner = shape
    known = target is not None and not str(target).startswith(("https://huggingface.co/datasets/", "https://example"))
    return (
        kind if kind != "code_inline" else "text",
        tag,
        target if known else None,
        [without_targets(i) for i in inner],
    )


def words_of_code_removed(shape):
    kind, tag, target, inner = without_targets(shape)
    return kind, tag, target, [i for i in map(words_of_code_removed, inner) if i[0] != "text"]


@attacked
def test_no_name_changes_the_structure_of_a_card(saved, name):
    text, keys = front_matter(card_with(saved, name))
    harmless, harmless_keys = front_matter(card_with(saved, "harmless"))
    assert keys == harmless_keys
    assert words_of_code_removed(structure_of(text)) == words_of_code_removed(structure_of(harmless))
    for target in [
        node.attrs["href"] for node in SyntaxTreeNode(MarkdownIt().parse(text)).walk() if node.type == "link"
    ]:
        assert target.startswith("https://"), target
    outside_code = re.sub("^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert outside_code.count(GENERATED) == 1 and "{{" not in outside_code and "{%" not in outside_code


@attacked
def test_no_name_changes_the_structure_of_a_report(tmp_path_factory, name):
    def report(name):
        metric = Metric("fid", name, 1.0, 1, 1, features=name, dataset_split=name, dataset_name=name)
        memorization = Memorization(0.0, np.arange(1), np.zeros((1, 3), int))
        images = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
        findings = Findings([metric], memorization, [(name, 0.5, 0.5)])
        return write_report(tmp_path_factory.getbasetemp(), name, findings, images, images).read_text()

    assert words_of_code_removed(structure_of(report(name))) == words_of_code_removed(structure_of(report("harmless")))


@pytest.mark.parametrize("title", [ATTACKS[0], ATTACKS[9], f"{ATTACKS[13]} 😀"])
def test_the_title_of_a_space_is_only_a_title(saved, tmp_path, title):
    save_space(saved[0], "org/model", tmp_path / "space", title)
    tree = ast.parse((tmp_path / "space" / "app.py").read_bytes())
    call = [node.value for node in tree.body if isinstance(node, ast.Assign)][-1]
    assert call.keywords[0].value.value == title and call.args[0].value == "org/model"
    text, keys = front_matter((tmp_path / "space" / "README.md").read_text())
    assert list(keys)[0] == "title" and len(keys) == 11, keys
    harmless = Path(save_harmless(saved[0], tmp_path)).read_text()
    assert structure_of(text) == structure_of(front_matter(harmless)[0])


def save_harmless(pipe, folder):
    save_space(pipe, "org/model", folder / "harmless", "harmless")
    return folder / "harmless" / "README.md"


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "file:///etc/passwd", "/home/me", "http://", "http://[", "x"]
)
def test_only_web_pages_are_linked(address):
    assert web_link("home page", address) == ""
    assert web_link("home page", "https://a.org/b c)") == " ([home page](https://a.org/b%20c%29))"


@pytest.mark.parametrize("options", [{"license": "MIT\n# x"}, {"license": "what I like"}, {"base_model": "a/b/c"}])
def test_licenses_and_repositories_are_identifiers(options):
    with pytest.raises(ValueError, match="`(license|base_model)=?"):
        Publication(**options)
