"""Tests that a config file says what it seems to say: words become what the flag needs, and files are bounded."""

import json

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcgan_hf.training.generation_arguments import DCGANTrainingArguments
from dcgan_hf.training.recipes import arguments_from_recipe, read_recipe


def read(folder, text):
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return vars(arguments_from_recipe(DCGANTrainingArguments, folder / "recipe.yaml"))


RIGHT = [
    ("mixed_precision: no", "no"),
    ("mixed_precision: 'no'", "no"),
    ("use_ema: no", False),
    ("use_ema: on", True),
    ("use_ema: Yes", True),
    ("use_ema: 'true'", True),
    ("learning_rate: 1e-4", 1e-4),
    ("learning_rate: 1", 1.0),
    ("learning_rate: .5", 0.5),
    ("max_train_steps: 10_000", 10_000),
    ("seed: 0123", 123),
    ("seed: '7'", 7),
    ("seed: -0", 0),
    ("seed: ~", 0),
    ("seed:", 0),
    ("dataset_name: 1:30", "1:30"),
    ("dataset_name: 2024-01-01", "2024-01-01"),
    ("dataset_name: 0123", "0123"),
    ("dataset_name: off", "off"),
    ("dataset_name: 1e5", "1e5"),
    ("dataset_name: 'null'", "null"),
    ("\ufeffseed: 3", 3),
    ("diff_augment: [color]", ["color"]),
    ("diff_augment: color", ["color"]),
    ("diff_augment: none", ["none"]),
    ("generator_config: {norm_type: none, norm_eps: 1e-4}", json.dumps({"norm_eps": 1e-4, "norm_type": "none"})),
]


@pytest.mark.parametrize("text, value", RIGHT)
def test_words_become_what_the_flag_needs(tmp_path, text, value):
    name = text.lstrip("\ufeff").split(":")[0]
    got = read(tmp_path, text)[name]
    assert got == value and type(got) is type(value)


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")
)
WRONG = [
    (LAUGHS, "aliases, such as \\*a, are not supported"),
    ("generator_config: &a {x: *a}", "aliases"),
    ("a: " + "[" * 30_000, "nested more than 16 levels"),
    ("a: " + "x" * 100_000, "has 100,003 bytes, but at most 65,536"),
    ("seed: 1\nseed: 2", "'seed' is set twice"),
    ("loss: bce\nseed: " + "9" * 5000, "line 2 has a number of 5,000 digits, but at most 300"),
    ("adam_beta1: [1, '" + "9" * 5000 + "']", "line 1 has a number of 5,000 digits"),
    ("max_train_steps: 1:30", "`max_train_steps=1:30` must be an integer"),
    ("max_train_steps: 1e3", "`max_train_steps=1e3` must be an integer"),
    ("resolution: 64.0", "`resolution=64.0` must be an integer"),
    ("resolution: {a: 1}", "`resolution={'a': 1}` must be an integer"),
    ("resolution: [64]", "must be an integer"),
    ("resolution: yes", "`resolution=yes` must be an integer"),
    ("learning_rate: .nan", "`learning_rate` must be positive, got nan"),
    ("learning_rate: .inf", "`learning_rate` must be positive, got inf"),
    ("learning_rate: fast", "`learning_rate=fast` must be a number"),
    ("use_ema: maybe", "`use_ema=maybe` must be true or false"),
    ("loss: no", "`loss=no` must be one of"),
    ("seed: !!python/object/apply:os.system [exit]", "must be an integer"),
    ("seed: 1\n---\nseed: 2", "not valid YAML"),
    ("seed: 1\0", "not valid YAML"),
    ("- seed", "must contain `argument: value` lines"),
    ("", "must contain `argument: value` lines"),
    ("~: 2", "which is not a training argument"),
]


@pytest.mark.parametrize("text, message", WRONG, ids=lambda value: value[:30].encode("unicode_escape").decode())
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(b"seed: \xff\xfe")
    with pytest.raises(ValueError, match="recipe.yaml`: it is not valid YAML"):
        read_recipe(tmp_path / "recipe.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@example(content={"class_names": [None]})
@example(content={"label_column": ["kind", 3]})
@given(content=st.dictionaries(st.sampled_from([*vars(DCGANTrainingArguments())]) | st.text(), JSON, max_size=3))
def test_any_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        arguments_from_recipe(DCGANTrainingArguments, path)
    except ValueError as error:
        assert str(error)
