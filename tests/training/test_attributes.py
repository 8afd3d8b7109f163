"""Tests of training on several attributes at once."""

import itertools
import json
from collections import Counter

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcgan_hf import DCGANGeneratorConfig, DCGANPipeline, DCGANTrainer, DCGANTrainingArguments
from dcgan_hf.evaluation.arguments import EvaluationArguments
from dcgan_hf.inference.generate import generate_images, labels_of_images
from dcgan_hf.pictures import to_bytes
from dcgan_hf.training.batches import wrong_labels
from dcgan_hf.training.failures import diversity
from dcgan_hf.training.losses import LOSSES
from dcgan_hf.training.networks import make_networks
from dcgan_hf.training.samples import SampleGrid
from dcgan_hf.training.updates import UPDATE_STRATEGIES, Batch, discriminate

from ..pipelines.test_attributes import make_attribute_pipeline
from ..train_utils import TINY, fingerprint, read_log, run_command, save_classifier, tiny_flags
from .test_update_strategies import make_gan


COLUMNS = ["kind", "shade", "side"]


def save_images(folder, number=96, with_classes=False):
    """Saves images whose attributes show, in columns of several types. Some images lack some values."""
    rows = []
    for i in range(number):
        kind, shade, side = ["dot", "bar", None][i % 3], [10, 200][i % 2], [0, 1, -1, None][i % 4]
        pixels = np.full((16, 16), shade, np.uint8)
        pixels[4:12, 4 : 12 if kind == "dot" else 6] = 128
        rows.append({"image": PIL.Image.fromarray(pixels), "kind": kind, "shade": shade, "side": side})
    features = {
        "image": datasets.Image(),
        "kind": datasets.Value("string"),
        "shade": datasets.Value("int32"),
        "side": datasets.ClassLabel(names=["left", "right"]),
    }
    if with_classes:  # as streams need them
        for row in rows:
            row |= {
                "kind": None if row["kind"] is None else ["bar", "dot"].index(row["kind"]),
                "shade": row["shade"] // 200,
            }
        features |= {
            "kind": datasets.ClassLabel(names=["bar", "dot"]),
            "shade": datasets.ClassLabel(names=["10", "200"]),
        }
    dataset = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    dataset.save_to_disk(folder)
    return dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder / "saved", save_images(folder / "saved")


def train(output_dir, dataset_name, **changes):
    """Trains in this process, with flags."""
    arguments = {"dataset_name": dataset_name, "class_conditional": True, "train_batch_size": 16} | changes
    run_command("train", *tiny_flags(output_dir, **arguments), "--label_column", *COLUMNS)


def test_a_resumed_run_equals_one_that_never_stopped(data, tmp_path):
    flags = {"gradient_accumulation_steps": 2, "matching_aware": True}
    train(tmp_path / "whole", data[0], max_train_steps=8, **flags)
    train(tmp_path / "parts", data[0], max_train_steps=4, **flags)
    train(tmp_path / "parts", data[0], max_train_steps=8, resume_from_checkpoint="latest", **flags)
    for name in ("checkpoint-8", "generator"):
        assert fingerprint(tmp_path / "parts" / name) == fingerprint(tmp_path / "whole" / name)
    grids = [(tmp_path / run / "samples" / "step-0000008.png").read_bytes() for run in ("whole", "parts")]
    assert grids[0] == grids[1]

    config = DCGANPipeline.from_pretrained(tmp_path / "whole").generator.config
    assert config.attributes == {"kind": ["bar", "dot"], "shade": ["10", "200"], "side": ["left", "right"]}
    assert list(config.attributes) == COLUMNS and sum(config.combination_counts.values()) == 96
    assert config.combination_counts["1 0 0"] == 8 and config.combination_counts["-1 0 -1"] == 8
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "with chosen attributes (kind: bar, dot; shade: 10, 200; side: left, right)" in card
    assert 'class_labels={"kind": "bar", "shade": "10", "side": "left"}' in card
    assert json.loads((tmp_path / "whole" / "training_args.json").read_text())["label_column"] == COLUMNS

    # Classes in another order are other rows of the tables.
    COLUMNS.reverse()
    try:
        with pytest.raises(ValueError, match="`classes"):
            train(tmp_path / "parts", data[0], max_train_steps=12, resume_from_checkpoint="latest")
    finally:
        COLUMNS.reverse()


@pytest.mark.parametrize("streaming", [False, True])
def test_from_python_with_tuning_and_evaluation_and_of_a_stream(tmp_path, streaming, monkeypatch):
    monkeypatch.setattr("dcgan_hf.training.tuning.choose_ways", lambda *args: ({"no": 1.0}, {"no": {}}))
    save_images(tmp_path / "data", with_classes=True)
    arguments = TINY | {"dataset_name": str(tmp_path / "data"), "class_conditional": True, "train_batch_size": 16}
    arguments |= {"label_column": COLUMNS, "max_train_steps": 2, "streaming": streaming, "autotune": "on"}
    if not streaming:
        classifier = str(save_classifier(tmp_path / "classifier"))
        arguments |= {"eval_steps": 2, "eval_features": classifier, "eval_num_images": 20}
    trainer = DCGANTrainer(DCGANTrainingArguments(output_dir=str(tmp_path / "run"), **arguments))
    trainer.train()
    config = trainer.pipeline.generator.config
    # A stream's values are not known before it is read.
    assert (config.combination_counts is None) is streaming
    assert len(trainer.pipeline(3, class_labels={"side": "left"}).images) == 3
    assert ("eval_frechet_distance" in read_log(tmp_path / "run")[-1]) is not streaming


def test_own_latents_get_drawn_labels():
    pipe = make_attribute_pipeline()
    images = [
        generate_images(pipe, 6, seed=3, sample_latents=sample)
        for sample in (lambda number, generator: torch.randn(number, 8, generator=generator), None)
    ]
    assert torch.equal(*images)

    def uniform(number, generator):
        return torch.rand(number, 8, generator=generator)

    latents = torch.cat([uniform(1, torch.Generator().manual_seed(3 + i)) for i in range(6)])
    labels = labels_of_images(pipe, range(6), 3, None)  # those that an evaluation compares with
    (expected,) = pipe(latents=latents, class_labels=labels, output_type="pt", return_dict=False)
    assert torch.equal(generate_images(pipe, 6, seed=3, sample_latents=uniform), to_bytes(expected))


def test_wrong_arguments(data, tmp_path):
    options = {"output_dir": str(tmp_path), "class_conditional": True}
    for changes, message in (
        (
            {"label_column": COLUMNS, "class_names": ["a", "b"]},
            "`class_names` requires a single `label_column`, got 3",
        ),
        ({"label_column": ["kind", "kind"]}, r"`label_column` must not repeat a column, got \['kind', 'kind'\]"),
        ({"label_column": []}, "`label_column` must name at least one column"),
        (
            {"label_column": COLUMNS, "class_conditional": False},
            "`label_column=kind shade side` has no effect without",
        ),
        ({"label_column": 3}, "`label_column=3` must be a string"),
        ({"generator_config": {"attributes": {"a": ["x"]}}}, "must not contain \\['attributes'\\]"),
    ):
        with pytest.raises(ValueError, match=message):
            DCGANTrainingArguments(**(options | changes))
    with pytest.raises(ValueError, match="`label_column`: a name must not be empty or contain ': ', got 'hair: x'"):
        DCGANTrainingArguments(**options).network_configs(3, None, {"hair: x": ["a", "b"]})
    assert DCGANTrainingArguments(**options, label_column=["kind"]).label_column == "kind"
    with pytest.raises(ValueError, match="`label_column` must be a single column here, got kind side"):
        EvaluationArguments(dataset_name="x", label_column=["kind", "side"])


def test_given_networks_have_the_same_attributes_in_the_same_order():
    attributes = {"kind": ["a", "b"], "side": ["c", "d"]}
    configs = [
        DCGANGeneratorConfig(image_size=16, attributes=dict(items))
        for items in (attributes.items(), reversed(attributes.items()))
    ]
    classes = tuple(DCGANPipeline.network_classes.values())
    given = classes[0](configs[0]), torch.nn.Identity()
    assert make_networks(given, (configs[0], configs[0]), classes)[0] is given[0]
    with pytest.raises(ValueError, match="has `attributes={'kind': .*, but arguments and images require {'side'"):
        make_networks(given, (configs[1], configs[1]), classes)


@pytest.mark.parametrize("norm_type", ["none", "spectral"])
def test_labels_go_with_their_images_when_both_are_scored_at_once(norm_type):
    attributes = {"kind": ["a", "b", "c"], "side": ["d", "e"]}
    gan = make_gan(norm_type, attributes=attributes)
    real, fake = torch.rand(2, 6, 1, 16, 16) * 2 - 1
    labels = torch.tensor([[0, 1], [2, -1], [-1, -1], [1, 0], [0, 0], [2, 1]])
    gan.discriminator.eval()
    once = discriminate(gan, real, fake, labels, in_one_call=True)
    for found, expected in zip(once, discriminate(gan, real, fake, labels)):
        torch.testing.assert_close(found, expected)
    gan.discriminator.train()
    for strategy in UPDATE_STRATEGIES.values():
        statistics = strategy(gan, [Batch(real, torch.randn(6, gan.generator.config.latent_dim), labels)])
        assert all(value.isfinite() for value in statistics.values())


@given(
    labels=st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 3), st.integers(-1, 0)), min_size=1),
    seed=st.integers(0, 2**32),
)
def test_wrong_labels_differ_in_one_known_value(labels, seed):
    labels, sizes = torch.tensor(labels), [2, 4, 2]
    numbers = torch.rand(len(labels), 4, generator=torch.Generator().manual_seed(seed))
    wrong = wrong_labels(labels, numbers, sizes)
    differ = wrong != labels
    assert torch.equal(differ.sum(1), (labels >= 0).any(1).long())
    assert (labels[differ] >= 0).all() and (wrong < torch.tensor(sizes)).all()
    assert torch.equal(wrong < 0, labels < 0)
    classes = labels[:, 1].clamp(min=0)
    wrong = wrong_labels(classes, numbers[:, :2], [4])
    assert (wrong != classes).all() and wrong.min() >= 0 and wrong.max() < 4
    # An attribute with a single value has no wrong one, with another attribute or without.
    alone = torch.tensor([[0, -1]])
    assert torch.equal(wrong_labels(alone, numbers[:1, :3], [1, 4]), alone)
    wrong = wrong_labels(labels.clamp(min=0), numbers, [2, 4, 1])
    assert torch.equal((wrong != labels.clamp(min=0)).sum(1), torch.ones(len(labels), dtype=torch.long))
    assert (wrong[:, 2] == 0).all()


@pytest.mark.parametrize("columns", [["kind"], ["kind", "other"]])
def test_wrong_labels_need_different_ones(tmp_path, columns):
    labels = {"image": [PIL.Image.new("L", (16, 16))] * 16, "kind": ["dot"] * 16, "other": [None, 1] * 8}
    flags = {"matching_aware": True, "class_conditional": True, "label_column": columns}
    args = DCGANTrainingArguments(**TINY | flags | {"output_dir": str(tmp_path / "run")})
    with pytest.raises(ValueError, match="`matching_aware=True` needs images with different labels. All .* dot"):
        DCGANTrainer(args, datasets.Dataset.from_dict(labels)).train()
    assert not (tmp_path / "run").exists()


def test_wrong_values_are_equally_frequent():
    numbers = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    wrong = wrong_labels(torch.tensor([[1, 0]]).expand(4000, 2), numbers, [4, 2])
    counts = Counter(map(tuple, wrong.tolist()))
    assert counts.keys() == {(0, 0), (2, 0), (3, 0), (1, 1)}
    assert all(abs(counts[row] - expected) < 150 for row, expected in zip([(0, 0), (1, 1)], [667, 2000]))


@pytest.mark.parametrize("loss", ["bce", "relativistic"])
def test_the_loss_of_a_discriminator_that_is_aware_of_matching(loss):
    gan = make_gan("none", attributes={"kind": ["a", "b", "c"], "side": ["d", "e"]})
    gan.loss = LOSSES[loss]
    real, fake = torch.rand(2, 4, 1, 16, 16) * 2 - 1
    labels = torch.tensor([[0, 1], [2, -1], [1, 0], [-1, -1]])
    wrong = torch.tensor([[1, 1], [0, -1], [1, 1], [-1, -1]])
    pairs = ((real, labels), (fake, labels), (real, wrong))
    logits = [gan.discriminator(images, asked_for).logits for images, asked_for in pairs]
    logits[2] = torch.cat([logits[2][:3], logits[1][3:]])  # without labels, none is wrong
    result = discriminate(gan, real, fake, labels, wrong_labels=wrong)
    expected = (gan.loss.discriminator(*logits[:2]) + gan.loss.discriminator(logits[0], logits[2])) / 2
    torch.testing.assert_close(result.loss, expected)
    torch.testing.assert_close(result.loss_without_penalties, expected)
    if loss == "bce":  # Reed et al., 2016, algorithm 1
        probabilities = [logit.sigmoid() for logit in logits]
        reed = probabilities[0].log() + ((1 - probabilities[2]).log() + (1 - probabilities[1]).log()) / 2
        torch.testing.assert_close(result.loss, -reed.mean())


def test_diversity_compares_images_with_the_same_values():
    real, fake = torch.rand(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)
    fake[2:] = 1  # all images of a combination are the same
    labels = torch.tensor([[0, 1], [0, 1], [0, -1], [0, -1]])
    assert diversity(real, fake, labels) == 0
    assert diversity(real, fake, labels[:, :1]) > 0
    assert diversity(real, fake, labels[:, 1]) == diversity(real, fake, labels)


def test_columns_of_the_grid_show_different_values_as_the_data_have_them():
    attributes = {"kind": ["a", "b", "c"], "side": ["d", "e"]}
    counts = {"0 0": 100, "1 1": 10, "2 -1": 10}
    config = DCGANGeneratorConfig(image_size=16, latent_dim=4, attributes=attributes, combination_counts=counts)
    grids = [SampleGrid(torch.zeros(50, 4), config, seed) for seed in (0, 0, 1)]
    assert torch.equal(grids[0].class_labels, grids[1].class_labels)
    first = [tuple(row) for row in grids[0].class_labels[: grids[0].columns].tolist()]
    assert len(set(first)) == len(first) <= 8 and set(first) <= {(0, 0), (1, 1), (2, 0), (2, 1)}
    assert [tuple(row) for row in grids[0].class_labels.tolist()] == [*itertools.islice(itertools.cycle(first), 50)]
