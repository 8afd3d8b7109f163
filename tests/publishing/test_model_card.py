"""Tests that the model card is true, its code runs, and unknown facts are omitted."""

import json
import os
import re
import subprocess
import sys

import PIL.Image
import pytest
import torch
import yaml
from huggingface_hub import DatasetCard, ModelCard, model_info

from dcgan_hf import DCGANPipeline, DCGANTrainingArguments
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.publishing.card import render_model_card
from dcgan_hf.publishing.upload import publish_pipeline
from dcgan_hf.training.recipes import arguments_from_recipe

from ..pipelines.test_attributes import make_attribute_pipeline
from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..train_utils import ROOT, SCRIPTS, train_here


METRIC = {
    "type": "fid",
    "name": "FID",
    "value": 12.345,
    "num_images": 10000,
    "num_real_images": 5000,
    "features": "InceptionV3",
    "dataset_split": "test",
}


@pytest.fixture
def run(hub, token, tmp_path):
    """A published and evaluated run."""
    options = {
        "lr_scheduler": "linear",
        "diff_augment": "color",
        "hub_model_id": "org/digits",
        "hub_license": "cc0-1.0",
    }
    train_here(tmp_path / "run", max_train_steps=4, push_to_hub=True, **options)
    (tmp_path / "run" / "metrics.json").write_text(json.dumps([METRIC]))
    return tmp_path / "run"


def card_of(folder, **facts):
    return render_model_card(DCGANPipeline.from_pretrained(folder), folder, "org/digits", **facts)


def code_of(card):
    return re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)


def assert_without_gaps(card):
    for word in ("More Information Needed", "None", "null", "{{", "}}", "{%", "TODO", "Undefined", " ()", "[]"):
        assert word not in card.split("```python")[0] + card.split("## Networks")[1], word
    assert "\n\n\n" not in card


def test_the_metadata_is_valid_and_complete(hub, run):
    card = card_of(run, base_model="org/parent")
    card.validate()  # with the rules of the Hub
    data = yaml.safe_load(str(card).split("---")[1])
    assert data["library_name"] == "dcgan-hf" and data["pipeline_tag"] == "unconditional-image-generation"
    assert data["license"] == "cc0-1.0" and data["base_model"] == "org/parent" and data["metrics"] == ["fid"]
    assert {"dcgan", "gan"} <= set(data["tags"])
    assert data["widget"][1] == {"text": "seed 1", "output": {"url": "images/seed-1.png"}}
    (result,) = ModelCard(str(card)).data.eval_results
    assert (result.task_type, result.metric_type, result.metric_value) == (
        "unconditional-image-generation",
        "fid",
        12.345,
    )
    assert (result.dataset_name, result.dataset_split) == ("digits", "test")
    assert result.metric_args == {"num_images": 10000, "num_real_images": 5000, "features": "InceptionV3"}
    publish_pipeline(DCGANPipeline.from_pretrained(run), run, "org/digits")
    assert model_info("org/digits").card_data.eval_results[0].metric_value == 12.345
    assert "metrics.json" in hub.files("org/digits")


def test_the_facts_are_those_of_the_run(run):
    card = str(card_of(run))
    assert_without_gaps(card)
    pipe = DCGANPipeline.from_pretrained(run)
    for network in (pipe.generator, pipe.discriminator):
        size = (run / network.config.model_type.removeprefix("dcgan_") / "model.safetensors").stat().st_size
        assert f"| {network.num_parameters():,} | `model.safetensors` ({size / 1e6:.3f} MB) |" in card
    assert "split `train`, 1,797 images, license: cc-by-4.0 ([home page](https://archive.ics.uci.edu/" in card
    assert "4 updates, 256 images seen" in card
    assert f"torch {torch.__version__}" in card and "1 process on 1 CPU thread" in card
    assert "| FID | 12.35 | 10,000 | 5,000 of digits, split `test` | InceptionV3 |" in card
    assert "cc0-1.0" in card.split("## License")[1]
    assert str(run.parent) not in card


def test_a_data_set_of_the_hub_is_linked_with_its_license(hub, token, tmp_path):
    load_image_dataset("digits").dataset.select(range(128)).push_to_hub("org/data")
    DatasetCard("---\nlicense: cc0-1.0\n---\n# Data\n").push_to_hub("org/data")
    run = tmp_path / "run"
    train_here(run, dataset_name="org/data", max_train_steps=2, push_to_hub=True, hub_model_id="org/digits")
    card = hub.files("org/digits")["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["datasets"] == ["org/data"]
    assert "[org/data](https://huggingface.co/datasets/org/data), split `train`, 128 images, license: cc0-1.0." in card


def test_the_settings_on_the_card_are_a_recipe(run, tmp_path):
    card = str(card_of(run))
    (tmp_path / "recipe.yaml").write_text(re.search(r"```yaml\n(.*?)```", card, flags=re.DOTALL)[1])
    told = vars(arguments_from_recipe(DCGANTrainingArguments, tmp_path / "recipe.yaml"))
    used = json.loads((run / "training_args.json").read_text())
    elsewhere = {"output_dir", "use_cpu", "num_cpu_threads", "autotune"}
    logs = {name for name in used if name.startswith(("hub_", "push_")) or name.endswith(("_steps", "_batch_size"))}
    assert {"learning_rate", "loss", "seed"} <= told.keys() - elsewhere - logs
    for name in told.keys() - elsewhere - logs - {"num_epochs", "checkpoints_total_limit"}:
        assert told[name] == used[name], name


def test_what_is_not_known_is_left_out(tmp_path):
    make_pipeline(with_discriminator=False).save_pretrained(tmp_path)
    card = str(card_of(tmp_path))
    assert_without_gaps(card)
    for heading in ("## Training", "## Evaluation", "## License", "Gallery", "images/grid.png", "discriminator alone"):
        assert heading not in card
    assert "extractor" not in card and "training.gif" not in card
    data = yaml.safe_load(card.split("---")[1])
    assert data.keys() == {"library_name", "pipeline_tag", "tags"}


def test_examples_are_what_the_card_says(hub, token, tmp_path):
    pipe = make_pipeline(num_classes=3)
    pipe.push_to_hub("org/dcgan")
    card = hub.files("org/dcgan")["README.md"].decode()
    assert_without_gaps(card)
    assert "of 3 classes (cat, dog, fish)" in card and "seed 1, class dog" in card
    (image,) = pipe(class_labels="dog", generator=torch.Generator().manual_seed(1), return_dict=False)[0]
    (tmp_path / "1.png").write_bytes(hub.files("org/dcgan")["images/seed-1.png"])
    assert PIL.Image.open(tmp_path / "1.png").tobytes() == image.tobytes()


@pytest.mark.parametrize("kind, number", [("unconditional", 16), ("classes", 3), ("attributes", 16)])
def test_the_code_runs(hub, token, kind, number, tmp_path, monkeypatch):
    """Runs the code with dcgan_hf here, and without it in a separate process."""
    pipe = make_pipeline(num_classes=3 if kind == "classes" else 0)
    if kind == "attributes":
        pipe = make_attribute_pipeline(num_channels=3)
    pipe.push_to_hub("org/dcgan")
    blocks = code_of(hub.files("org/dcgan")["README.md"].decode())
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks:
        exec(code, names)
    assert len(names["images"]) == number
    assert names["pixel_values"].shape == (4, 3, 16, 16) and names["features"].shape == (1, 16)
    assert (tmp_path / "image.png").is_file()
    without = [code for code in blocks if "from dcgan_hf" not in code]
    assert len(without) == 3
    if kind == "classes":  # differs from attributes in a literal
        return
    code = "import sys; sys.modules['dcgan_hf'] = None\n" + "\n".join(without)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=dict(os.environ))


CARDS = sorted((ROOT / "model_cards").glob("*/README.md"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_card_of_a_recipe_is_rendered_from_its_facts(path):
    sys.path.insert(0, str(SCRIPTS / "docs"))
    import cards

    assert path.read_text() == cards.render(path.parent.name), "run scripts/docs/cards.py"


def test_the_cards_of_the_recipes(hub, token):
    assert {"digits", "fashion_mnist"} <= {path.parent.name for path in CARDS}
    for path in CARDS:
        card = ModelCard.load(path)
        card.validate()
        assert_without_gaps(str(card))
        for name in re.findall(r"\]\((?!https:)(.+?)\)|url: (.+)", str(card)):
            assert (path.parent / "".join(name)).is_file(), name


@pytest.mark.parametrize(
    "name, text, reason",
    [
        ("training_args.json", "[1]", "must hold a JSON object, but holds a list"),
        ("training_args.json", "", "is not JSON: .* Restore or delete it"),
        ("training_results.json", "3", "must hold a JSON object, but holds a int"),
        ("training_results.json", '{"steps": 3}', "is incomplete: its `num_images_seen` is None"),
        ("training_results.json", '{"steps": "3"}', "is incomplete: its `steps` is '3'"),
        ("metrics.json", "METRIC", "names no dataset"),
    ],
)
def test_files_of_another_shape_are_named(name, text, reason, tmp_path):
    pipe = make_pipeline()
    (tmp_path / name).write_text(text.replace("METRIC", json.dumps([METRIC])))
    with pytest.raises(ValueError, match=f"{name} {reason}"):
        render_model_card(pipe, tmp_path, "org/x")
