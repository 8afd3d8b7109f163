"""Tests of interpretability for models that are conditioned on several attributes."""

from functools import partial

import gradio as gr
import numpy as np
import pytest
import torch

from dcgan_hf.interpretability.arguments import SearchArguments
from dcgan_hf.interpretability.attribution import METHODS, attribute
from dcgan_hf.interpretability.demo import actions
from dcgan_hf.interpretability.demo.generation import build_generation_demo
from dcgan_hf.interpretability.inversion import invert
from dcgan_hf.interpretability.latent_space import factorized_directions, principal_directions
from dcgan_hf.interpretability.page.discriminator_sections import attribution_section
from dcgan_hf.interpretability.page.generator_sections import find_directions, inversion_section
from dcgan_hf.interpretability.samples import Subject
from dcgan_hf.interpretability.units import most_effective_units, unit_activations
from dcgan_hf.interpretability.visible_changes import describe_directions

from ..pipelines.test_attributes import ATTRIBUTES, COUNTS, make_attribute_pipeline
from ..pipelines.test_pipeline_dcgan import seeds


VALUES = {"hair_color": "red", "glasses": "yes", "age": "20"}


@pytest.fixture(scope="module")
def pipe():
    return make_attribute_pipeline()


def test_a_report_shows_samples_with_attributes_of_training_images(pipe):
    subject = Subject.of(pipe, 20, seed=0)
    rows = {" ".join(map(str, row)) for row in subject.class_labels}
    assert rows <= COUNTS.keys() and len(rows) > 1
    chosen = torch.tensor([4, 0, 7])
    assert torch.equal(subject.draw(subject.latents[chosen], subject.classes_of(chosen)), subject.images[chosen])
    assert attribution_section(subject).pictures and len(find_directions(subject).names) > 1
    assert inversion_section(subject, num_images=2, num_steps=2).numbers
    assert len(describe_directions(pipe, factorized_directions(pipe.generator, 2))) == 2
    principal_directions(pipe.generator, 2, num_latents=20, class_label=[0, 1, 1])


def test_units_see_the_attributes(pipe):
    latents = torch.randn(4, 8)
    one, other = (unit_activations(pipe, latents, 1, VALUES | {"hair_color": color}) for color in ("red", "black"))
    assert not torch.allclose(one, other)
    assert len(most_effective_units(pipe, latents, 1, lambda images: images.mean((1, 2, 3)), 2, VALUES)) == 2


@pytest.mark.parametrize("method", METHODS)
def test_attribution_of_a_score_with_attributes(pipe, method):
    pixel_values = torch.rand(2, 1, 16, 16)
    labels = torch.tensor([[0, 1, -1], [2, 0, 1]])
    maps = attribute(pipe.discriminator, pixel_values, method, labels)
    single = attribute(pipe.discriminator, pixel_values[1:], method, labels[1:])
    torch.testing.assert_close(maps[1:], single, atol=1e-5, rtol=1e-4)
    other = attribute(pipe.discriminator, pixel_values, method, torch.tensor([[1, 0, 0], [0, 1, 0]]))
    assert not torch.allclose(maps, other)


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "`class_labels` must be given"),
        (torch.tensor([0, 1]), r"must have shape \(2, 3\), got \(2,\)"),
        (torch.tensor([[0, 1], [1, 0]]), r"must have shape \(2, 3\), got \(2, 2\)"),
        (torch.tensor([[0, 1, 0], [3, 0, 0]]), r"must be from -1 to 2, got \[0, 3\]"),
        (torch.tensor([[0, -2, 0], [0, 0, 0]]), r"must be from -1 to 1, got \[-2, 0\]"),
    ],
)
def test_wrong_labels_of_attributions(pipe, labels, message):
    with pytest.raises(ValueError, match=message):
        attribute(pipe.discriminator, torch.rand(2, 1, 16, 16), "occlusion", labels)


def test_inversion_keeps_the_given_values(pipe):
    (image,) = pipe(class_labels=VALUES, generator=seeds(3)).images
    search = SearchArguments(num_steps=60, num_restarts=1, num_candidates=64)
    found = invert(pipe, image, VALUES, search, generator=torch.manual_seed(0))
    drawn = pipe(latents=found.latents, class_labels=VALUES, output_type="pt").images * 2 - 1
    torch.testing.assert_close(drawn, found.pixel_values, atol=1e-4, rtol=0)
    for wrong in (None, {"glasses": "yes"}):
        with pytest.raises(ValueError, match="`class_labels` must give all of them"):
            invert(pipe, image, wrong, search)


def test_the_demo_has_a_dropdown_per_attribute(pipe):
    page = build_generation_demo(pipe, factorized_directions(pipe.generator, 2), "Faces")
    dropdowns = [block for block in page.blocks.values() if isinstance(block, gr.Dropdown)]
    for name, values in ATTRIBUTES.items():
        own = [block for block in dropdowns if block.label == name]
        assert len(own) == 5 and [value for value, _ in own[0].choices] == values and own[0].value in values
    labels = list(VALUES.values())
    images, _ = zip(*actions.sample(pipe, 2, 0, 0.0, *labels))
    expected = pipe(class_labels=VALUES, generator=seeds(0, 1)).images
    for image, same in zip(images, expected):
        assert np.array_equal(np.asarray(image)[::16, ::16], np.asarray(same))
    assert len(actions.walk(pipe, 0, 1, 2, "spherical", 0.0, *labels)[1]) == 2
    compared = partial(actions.scores_of_samples, pipe)
    told, *_ = actions.explain(pipe, compared, None, 0, "guided_backprop", *labels)
    assert told.endswith("of hair_color 'red', glasses 'yes', age '20'")
    for wrong, message in ((["red"], "Unknown glasses None"), (["red", "oui", "20"], "Unknown glasses 'oui'")):
        with pytest.raises(gr.Error) as error:
            actions.sample(pipe, 2, 0, 0.0, *wrong)
        assert error.value.message.startswith(message)
