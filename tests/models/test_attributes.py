"""Tests of networks that are conditioned on several attributes at once."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given
from hypothesis import strategies as st

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.configuration_attributes import complete_values


# Not in alphabetical order, in which JSON files of configurations list them.
ATTRIBUTES = {"hair": ["red", "grey", "black"], "smile": ["no", "yes"], "age": ["10", "20", "30", "40"]}
NORMS = ["batch", "group", "spectral", "none"]
CONFIGS = [DCGANGeneratorConfig, DCGANDiscriminatorConfig]


def small(config_class, **arguments):
    return config_class(**({"image_size": 16, "hidden_size": 8, "num_groups": 4} | arguments))


@pytest.mark.parametrize("config_class", CONFIGS)
def test_a_config_keeps_the_order_of_its_attributes(config_class, tmp_path):
    counts = {"combination_counts": {"0 1 3": 7, "-1 0 -1": 2}} if config_class is DCGANGeneratorConfig else {}
    config = small(config_class, attributes=ATTRIBUTES, **counts)
    assert config.num_classes == 9 and config.label_sizes == [3, 2, 4] and config.label_shape == (3,)
    assert config.id2label[0] == "hair: red" and config.id2label[8] == "age: 40"
    config.save_pretrained(tmp_path)
    loaded = config_class.from_pretrained(tmp_path)
    assert list(loaded.attributes.items()) == list(ATTRIBUTES.items())
    assert loaded.to_dict() == config.to_dict()


@pytest.mark.parametrize("config_class", CONFIGS)
def test_configs_without_attributes_are_saved_as_before(config_class, tmp_path):
    small(config_class, num_classes=2).save_pretrained(tmp_path)
    assert not {"attributes", "combination_counts"} & json.loads((tmp_path / "config.json").read_text()).keys()
    loaded = config_class.from_pretrained(tmp_path)
    assert loaded.attributes is None and loaded.label_sizes == [2] and loaded.label_shape == ()
    assert small(config_class).label_sizes == []


@pytest.mark.parametrize("config_class", CONFIGS)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"attributes": {}}, "`attributes` must name from 1 to 1,000 attributes, got 0"),
        ({"attributes": {f"a{i}": ["x"] for i in range(1001)}}, "got 1,001"),
        ({"attributes": {"": ["x"]}}, "a name must not be empty or contain ': ', got ''"),
        ({"attributes": {"a: b": ["x"]}}, "got 'a: b'"),
        ({"attributes": {"a": []}}, "'a' must have different values that are not empty, got \\[\\]"),
        ({"attributes": {"a": ["x", "x"]}}, "'a' must have different values"),
        ({"attributes": {"a": [" "]}}, "'a' must have different values"),
        ({"attributes": {"a": [1]}}, "'attributes'"),
        ({"attributes": ["a"]}, "'attributes'"),
        ({"attributes": {"a": ["x", "y"]}, "num_classes": 3}, "for `num_classes=3`"),
        (
            {"attributes": {"a": ["x", "y"]}, "id2label": {0: "x", 1: "y"}},
            "`id2label` must name the 2 values of .*, like 'a: x', got {0: 'x', 1: 'y'}",
        ),
    ],
)
def test_wrong_attributes(config_class, arguments, message):
    with pytest.raises(StrictDataclassError, match=message):
        config_class(**arguments)


@pytest.mark.parametrize(
    "counts, message",
    [
        ({}, "must have from 1 to 1,000 combinations, got 0"),
        ({f"{i % 3} {i % 2} {i}": 1 for i in range(1001)}, "got 1,001"),
        ({"0 1": 1}, "one id per attribute, below 3 2 4 or -1, got '0 1'"),
        ({"0 1 4": 1}, "got '0 1 4'"),
        ({"0 1 -2": 1}, "got '0 1 -2'"),
        ({"0 1 01": 1}, "got '0 1 01'"),
        ({"0  1": 1}, "got '0  1'"),
        ({"0 1 " + "9" * 10_000: 1}, "got '0 1 9999"),
        ({"0 1 x": 1}, "got '0 1 x'"),
        ({"0 1 3": 0}, "must be from 1 to 2\\^53, got 0 for '0 1 3'"),
        ({"0 1 3": -1}, "must be from 1 to 2\\^53, got -1"),
        ({"0 1 3": 10**30}, "must be from 1 to 2\\^53, got 1000"),
        ({"0 1 3": 0.5}, "'combination_counts'"),
        ({"0 1 3": float("nan")}, "'combination_counts'"),
    ],
)
def test_wrong_combinations(counts, message):
    with pytest.raises(StrictDataclassError, match=message):
        DCGANGeneratorConfig(attributes=ATTRIBUTES, combination_counts=counts)


def test_combinations_are_those_of_attributes():
    with pytest.raises(StrictDataclassError, match="`combination_counts` requires `attributes`"):
        DCGANGeneratorConfig(num_classes=2, combination_counts={"0": 1})


LABELS = torch.tensor([[2, 1, 3], [0, -1, 0], [-1, -1, -1], [1, 0, -1]])


def test_embeddings_of_the_attributes_are_added_and_missing_ones_add_nothing():
    stem = DCGANGenerator(small(DCGANGeneratorConfig, attributes=ATTRIBUTES, norm_type="none")).stem
    inputs = []
    stem.projection.register_forward_pre_hook(lambda module, arguments: inputs.append(arguments[0]))
    latents, table = torch.randn(4, 100), stem.class_embedding.weight
    stem(latents, LABELS)
    embeddings = [table[2] + table[3 + 1] + table[5 + 3], table[0] + table[5], 0 * table[0], table[1] + table[3]]
    torch.testing.assert_close(inputs[0], torch.cat([latents, torch.stack(embeddings)], 1))


def test_projections_of_the_attributes_are_added_and_missing_ones_add_nothing():
    model = DCGANDiscriminator(small(DCGANDiscriminatorConfig, attributes=ATTRIBUTES)).eval()
    pixel_values = torch.rand(4, 3, 16, 16)
    output = model(pixel_values, LABELS)
    features, table = output.last_hidden_state.flatten(1), model.class_projection.weight
    rows = [table[2] + table[4] + table[8], table[0] + table[5], 0 * table[0], table[1] + table[3]]
    torch.testing.assert_close(output.logits, (features * (model.head.weight + torch.stack(rows))).sum(1))


@pytest.mark.parametrize("norm_type", NORMS)
def test_a_class_is_a_single_attribute(norm_type):
    """Same weights, same outputs and gradients, bit for bit."""
    labels = torch.tensor([1, 0, 2, 2, 1])
    for network_class, config_class, inputs in (
        (DCGANGenerator, DCGANGeneratorConfig, torch.randn(5, 100)),
        (DCGANDiscriminator, DCGANDiscriminatorConfig, torch.rand(5, 3, 16, 16)),
    ):
        one = network_class(small(config_class, num_classes=3, norm_type=norm_type))
        other = network_class(small(config_class, attributes={"hair": ["a", "b", "c"]}, norm_type=norm_type))
        other.load_state_dict(one.state_dict())
        outputs = []
        for network, class_labels in ((one, labels), (other, labels[:, None])):
            output = network.train()(inputs, class_labels)
            outputs.append(output.pixel_values if network_class is DCGANGenerator else output.logits)
            outputs[-1].square().sum().backward()
        assert torch.equal(*outputs)
        gradients = [[parameter.grad for parameter in network.parameters()] for network in (one, other)]
        assert all(map(torch.equal, *gradients))


def test_labels_of_the_wrong_shape():
    generator = DCGANGenerator(small(DCGANGeneratorConfig, attributes=ATTRIBUTES))
    with pytest.raises(ValueError, match=r"`class_labels` must have shape \(batch_size, 3\), got \(2,\)"):
        generator(torch.randn(2, 100), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"must have shape \(batch_size, 3\), got \(2, 2\)"):
        generator(torch.randn(2, 100), torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"must have shape \(batch_size\), got \(2, 1\)"):
        DCGANGenerator(small(DCGANGeneratorConfig, num_classes=2))(torch.randn(2, 100), torch.tensor([[0], [1]]))


@pytest.mark.parametrize("norm_type", ["batch", "spectral"])
def test_save_and_load_is_bit_exact(norm_type, tmp_path):
    arguments = {"norm_type": norm_type, "attributes": ATTRIBUTES}
    for name, model, inputs in (
        ("g", DCGANGenerator(small(DCGANGeneratorConfig, **arguments)), torch.randn(4, 100)),
        ("d", DCGANDiscriminator(small(DCGANDiscriminatorConfig, **arguments)), torch.rand(4, 3, 16, 16)),
    ):
        model.train()(inputs, LABELS)
        model.eval().save_pretrained(tmp_path / name)
        loaded = type(model).from_pretrained(tmp_path / name)
        assert torch.equal(*(network(inputs, LABELS)[-1 if name == "g" else 1] for network in (model, loaded)))


@st.composite
def _tables(draw):
    """Returns the sizes of attributes, counts of their combinations, and labels of which some are left out."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    row = st.tuples(*(st.integers(-1, size - 1) for size in sizes))
    rows = draw(st.lists(row, min_size=1, max_size=8, unique=True))
    counts = {" ".join(map(str, row)): draw(st.integers(1, 2**53)) for row in rows}
    return sizes, counts, draw(st.lists(row, min_size=1, max_size=5))


@given(table=_tables(), seed=st.integers(0, 99))
def test_drawn_labels_are_complete_and_keep_what_is_given(table, seed):
    sizes, counts, labels = table
    labels = torch.tensor(labels)
    numbers = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed))
    for known in (counts, dict(reversed(counts.items())), None):
        drawn = complete_values(labels, numbers, sizes, known)
        assert ((drawn >= 0) & (drawn < torch.tensor(sizes))).all()
        assert torch.equal(drawn[labels >= 0], labels[labels >= 0])
    # The order in a file does not matter, and an image does not depend on others.
    drawn = complete_values(labels, numbers, sizes, counts)
    assert torch.equal(drawn, complete_values(labels, numbers, sizes, dict(reversed(counts.items()))))
    assert torch.equal(drawn[-1:], complete_values(labels[-1:], numbers[-1:], sizes, counts))


def frequencies(counts, labels, number=20_000):
    """Returns how often each combination is drawn for labels of which some are left out."""
    numbers = torch.rand(number, 3, generator=torch.Generator().manual_seed(0))
    drawn = complete_values(torch.tensor([labels]).expand(number, -1), numbers, [3, 2, 4], counts)
    rows, numbers = drawn.unique(dim=0, return_counts=True)
    return {tuple(row): count / number for row, count in zip(rows.tolist(), numbers.tolist())}


COUNTS = {"0 1 3": 10, "0 0 3": 30, "1 0 0": 40, "2 1 1": 20}


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([-1, -1, -1], {(0, 1, 3): 0.1, (0, 0, 3): 0.3, (1, 0, 0): 0.4, (2, 1, 1): 0.2}),
        ([-1, 1, -1], {(0, 1, 3): 1 / 3, (2, 1, 1): 2 / 3}),
        ([-1, -1, 3], {(0, 1, 3): 0.25, (0, 0, 3): 0.75}),
        # No image has these: the rest is drawn as often as all images have it.
        ([1, 1, -1], {(1, 1, 3): 0.4, (1, 1, 0): 0.4, (1, 1, 1): 0.2}),
    ],
)
def test_left_out_values_are_drawn_as_often_as_images_have_them(labels, expected):
    found = frequencies(COUNTS, labels)
    assert found.keys() == expected.keys()
    assert all(found[row] == pytest.approx(expected[row], abs=0.015) for row in expected)


def test_missing_values_of_the_images_are_drawn_from_the_others():
    found = frequencies({"0 -1 0": 1, "0 1 -1": 1, "-1 -1 2": 1}, [-1, -1, -1])
    # Nobody misses hair 0 who has a value; smile is 1 where known; age 0 goes with hair 0, no age with smile 1.
    assert found.keys() == {(0, 1, 0), (0, 1, 2)}
    assert frequencies({"0 -1 0": 1}, [-1, -1, -1]).keys() == {(0, 0, 0), (0, 1, 0)}


def test_without_counts_all_values_are_equally_frequent():
    found = frequencies(None, [-1, 1, -1])
    assert len(found) == 12 and all(share == pytest.approx(1 / 12, abs=0.01) for share in found.values())


def test_draws_of_many_images_are_those_of_parts():
    """Rows are drawn in portions, so that memory does not grow with images times combinations."""
    numbers = torch.rand(600, 3)
    labels = torch.full((600, 3), -1)
    config = DCGANGeneratorConfig(attributes=ATTRIBUTES, combination_counts={"0 1 3": 7, "1 0 2": 2, "1 1 0": 4})
    drawn = config.complete_labels(labels, numbers)
    parts = [config.complete_labels(labels[:7], own) for own in numbers.split(7)[:-1]]
    assert torch.equal(drawn[: len(parts) * 7], torch.cat(parts)) and len(drawn) == 600
