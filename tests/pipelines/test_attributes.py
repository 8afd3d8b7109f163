"""Tests of sampling from generators that are conditioned on several attributes."""

import json

import numpy as np
import PIL.Image
import pytest
import torch

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
)
from dcgan_hf.inference.generate import parse_classes

from ..train_utils import run_command
from .test_pipeline_dcgan import seeds


ATTRIBUTES = {"hair_color": ["red", "grey", "black"], "glasses": ["no", "yes"], "age": ["10", "20"]}
COUNTS = {"0 1 1": 10, "0 0 1": 30, "1 0 0": 40, "2 1 1": 20}


def make_attribute_pipeline(with_discriminator=True, **arguments):
    common = {"image_size": 16, "hidden_size": 8, "num_channels": 1, "attributes": ATTRIBUTES} | arguments
    generator = DCGANGenerator(DCGANGeneratorConfig(**common, latent_dim=8, combination_counts=COUNTS))
    # Larger weights than the initial ones, so that images differ visibly.
    generator.stem.class_embedding.weight.data *= 50
    generator.layers[-1].convolution.weight.data *= 20
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**common)).eval() if with_discriminator else None
    pipe = DCGANPipeline(generator=generator.eval(), discriminator=discriminator)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def pipe():
    return make_attribute_pipeline()


def test_values_by_name_number_list_and_tensor(pipe):
    latents = torch.randn(2, 8)
    rows = [[0, 1, 1], [2, 1, 0]]
    expected = pipe.generator(latents, torch.tensor(rows)).pixel_values / 2 + 0.5
    assert not torch.allclose(expected[0], expected[1])
    for labels in (
        {"hair_color": ["red", "black"], "glasses": "yes", "age": ["20", "10"]},
        {"glasses": 1, "age": [1, 0], "hair_color": torch.tensor([0, 2])},
        [{"hair_color": "red", "glasses": "yes", "age": "20"}, {"age": 0, "glasses": 1, "hair_color": "black"}],
        rows,
        [("red", "yes", "20"), ["black", 1, np.int64(0)]],
        torch.tensor(rows),
        np.array(rows),
    ):
        assert torch.equal(pipe(latents=latents, class_labels=labels, output_type="pt").images, expected)
    one = pipe(2, class_labels={"hair_color": "red"}, generator=seeds(0, 1), output_type="pt").images
    two = pipe(class_labels={"hair_color": ["red", "red"]}, generator=seeds(0, 1), output_type="pt").images
    assert torch.equal(one, two) and len(pipe(class_labels={"age": ["10", "20", "10"]}).images) == 3


def test_left_out_values_follow_the_training_data(pipe):
    drawn = pipe.draw_class_ids(4000, torch.Generator().manual_seed(0), {"glasses": "yes"})
    assert {tuple(row) for row in drawn} == {(0, 1, 1), (2, 1, 1)}
    assert sum(row[0] == 0 for row in drawn) / 4000 == pytest.approx(1 / 3, abs=0.03)
    for left_out in ({}, {"glasses": None}, torch.full((4, 3), -1), [[None, -1, None]] * 4, None):
        row = pipe(4, class_labels=left_out, generator=torch.manual_seed(1), output_type="pt").images
        assert torch.equal(row, pipe(4, generator=torch.manual_seed(1), output_type="pt").images)


def test_with_one_generator_per_image_an_image_does_not_depend_on_its_batch(pipe):
    labels = {"hair_color": ["red", None, "grey"]}
    together = pipe(class_labels=labels, generator=seeds(5, 6, 7), output_type="pt").images
    for i, seed in enumerate((5, 6, 7)):
        own = {"hair_color": labels["hair_color"][i]}
        torch.testing.assert_close(
            pipe(class_labels=own, generator=torch.manual_seed(seed), output_type="pt").images[0], together[i]
        )
    # The drawn values can be looked at, and give the same image with the same latents.
    (source,) = seeds(6)
    latents = pipe.prepare_latents(1, source)
    drawn = pipe.draw_class_ids(1, source)
    images = pipe(latents=latents, class_labels=drawn, output_type="pt").images
    torch.testing.assert_close(images, together[1:2])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"class_labels": {"hair_colour": 1}},
            "'hair_colour' is not an attribute .*hair_color, glasses, age. Did you",
        ),
        ({"class_labels": {"glasses": "yess"}}, "'glasses' must be ids from 0 to 1 or names among .*'yess'. Did you"),
        ({"class_labels": {"glasses": 2}}, "'glasses' must be ids from 0 to 1 .* got 2"),
        ({"class_labels": {"glasses": -2}}, "'glasses' must be ids from 0 to 1 .* got -2"),
        (
            {"class_labels": {"glasses": [0, 1], "age": [0, 1, 1]}},
            "'glasses' must be one value or one per image, got 2",
        ),
        ({"class_labels": {"glasses": [0, 1]}, "batch_size": 3}, "one per image, got 2 for 3 images"),
        ({"class_labels": "red"}, "must be values by attribute, such as {'hair_color': 'red', .*, got 'red'"),
        ({"class_labels": 3}, "must be values by attribute, .* got 3"),
        ({"class_labels": [0, 1, 0]}, "or a list of 3 per image, for hair_color, glasses, age, got 0"),
        ({"class_labels": torch.tensor([[0, 1]])}, r"got \[0, 1\]"),
        ({"class_labels": {"glasses": []}}, "`batch_size` must be a positive integer, got 0"),
        (
            {"latents": torch.randn(2, 8)},
            "has the attributes hair_color, glasses, age, so `class_labels` must give all",
        ),
        ({"latents": torch.randn(2, 8), "class_labels": {"age": "10"}}, "must give all of them with `latents`"),
    ],
)
def test_wrong_values(pipe, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipe(**arguments)


def test_saved_loaded_and_from_the_hub(hub, token, pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    pipe.push_to_hub("org/faces")
    expected = pipe(6, generator=torch.manual_seed(0), output_type="pt").images
    for place in (tmp_path, "org/faces"):
        loaded = DCGANPipeline.from_pretrained(place)
        loaded.set_progress_bar_config(disable=True)
        assert list(loaded.generator.config.attributes) == list(ATTRIBUTES)
        assert torch.equal(loaded(6, generator=torch.manual_seed(0), output_type="pt").images, expected)
        labels = torch.tensor([[0, 1, -1], [-1, -1, -1]])
        logits = [p.discriminator(expected[:2], labels).logits for p in (pipe, loaded)]
        assert torch.equal(*logits)


def test_generated_files_name_their_values(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    flags = (tmp_path / "model", "--num_images", 5, "--use_cpu", "--batch_size", 2, "--output_dir")
    run_command("generate", *flags, tmp_path / "all")
    run_command("generate", *flags, tmp_path / "some", "--class_labels", "hair_color=red", "glasses=1", "hair_color=2")
    for folder, labels in (
        ("all", [{}]),
        ("some", [{"hair_color": 0, "glasses": 1}, {"hair_color": 2, "glasses": 1}]),
    ):
        rows = [json.loads(row) for row in (tmp_path / folder / "metadata.jsonl").read_text().splitlines()]
        for i, row in enumerate(rows):
            source = torch.Generator().manual_seed(i)
            (image,) = pipe(class_labels=labels[i % len(labels)], generator=source).images
            pixels = np.asarray(PIL.Image.open(tmp_path / folder / row.pop("file_name")), int)
            assert np.abs(pixels - np.asarray(image, int)).max() <= 1
            # The named values are those of the image.
            latents = pipe.prepare_latents(1, torch.Generator().manual_seed(i))
            (same,) = pipe(latents=latents, class_labels=row).images
            assert np.array_equal(same, image)
    assert [row["hair_color"] for row in rows] == ["red", "black", "red", "black", "red"]
    for words, message in (
        (["red"], "`class_labels=red` must name an attribute and its value, such as hair_color=red"),
        (["hair=red"], "'hair' is not an attribute of the generator"),
    ):
        with pytest.raises(ValueError, match=message):
            run_command("generate", *flags, tmp_path / "new", "--class_labels", *words)


def test_names_from_the_command_line_may_contain_the_separator():
    attributes = {"a": ["b=c", "1"], "a=b": ["c", "d"]}
    pipe = DCGANPipeline(DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=8, attributes=attributes)))
    for words, ids in ((["a=b=d"], [[-1, 1]]), (["a=1", "a=b=0"], [[1, 0]]), (["a=0"], [[0, -1]])):
        assert parse_classes(pipe, words) == ids
