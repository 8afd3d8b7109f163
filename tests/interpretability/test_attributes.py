from itertools import product

import numpy as np
import pytest
import torch
from transformers import ResNetConfig, ResNetForImageClassification

from dcgan_hf.evaluation.features import load_feature_network
from dcgan_hf.interpretability.attributes import Attributes, attribute_targets, describe_attributes

from ..train_utils import save_classifier


FACES = {"glasses": ["no", "yes"], "hair_color": ["black", "brown", "blond", "red"], "hat": ["no", "yes"]}
FACE_LABELS = [f"{group}: {value}" for group, values in FACES.items() for value in values]


def all_faces():
    """Returns the labels of every possible face: an index for each group."""
    return torch.tensor(list(product(*(range(len(values)) for values in FACES.values()))))


def test_targets_are_read_back():
    labels = all_faces()
    names, targets = attribute_targets(labels, FACES)
    assert names == FACE_LABELS and targets.dtype == torch.float32
    assert set(targets.unique().tolist()) == {0, 1} and (targets.sum(1) == len(FACES)).all()
    attributes = Attributes(names, targets.numpy(), is_multi_label=True)
    assert attributes.groups == FACES
    for column, (group, values) in zip(labels.T.numpy(), FACES.items()):
        assert (attributes.value(group) == column).all()
        for number, value in enumerate(values):
            assert (attributes.has(f"{group}: {value}") == (column == number)).all()
            assert attributes.frequencies()[f"{group}: {value}"] == pytest.approx(1 / len(values))


def test_an_image_can_have_none_or_several_labels_but_one_value():
    probabilities = np.zeros((3, len(FACE_LABELS)))
    probabilities[:, 2:6] = [[0.1, 0.4, 0.3, 0.2], [0.6, 0.7, 0.1, 0.1], [0.5, 0.2, 0.1, 0.51]]
    attributes = Attributes(FACE_LABELS, probabilities, is_multi_label=True)
    assert attributes.value("hair_color").tolist() == [1, 1, 3]
    assert attributes.is_seen("hair_color").tolist() == [False, True, True]
    assert attributes.has("hair_color: black").tolist() == [False, True, False]  # 0.5 does not exceed 0.5
    assert attributes.has("hair_color: brown").tolist() == [False, True, False]
    assert attributes.has("hair_color: red").tolist() == [False, False, True]


def test_groups_whose_names_begin_alike():
    names = ["hair: no", "hair: yes", "hair_color: red", "hair_color: it's: complicated", "smiling"]
    attributes = Attributes(names, np.array([[0.1, 0.9, 0.8, 0.2, 0.7]]), is_multi_label=True)
    assert attributes.groups == {"hair": ["no", "yes"], "hair_color": ["red", "it's: complicated"]}
    assert attributes.value("hair").item() == 1 and attributes.value("hair_color").item() == 0
    assert attributes.has("smiling").item()
    groups = ["hair", "hair", "hair_color", "hair_color", "smiling"]
    assert [attributes.group_of(name) for name in names] == groups


def test_exclusive_classes_answer_alike():
    rng = np.random.default_rng(0)
    names = ["shoe", "bag", "coat: long", "coat: short"]  # colons have no meaning here
    probabilities = rng.dirichlet(np.full(4, 2.0), size=50)
    attributes = Attributes(names, probabilities, is_multi_label=False)
    assert attributes.groups == {"class": names} and {attributes.group_of(name) for name in names} == {"class"}
    values = attributes.value("class")
    assert (values == probabilities.argmax(1)).all() and attributes.is_seen("class").all()
    assert (probabilities.max(1) < 0.5).any()  # uncertain images have a class, too
    assert (np.stack([attributes.has(name) for name in names], 1) == np.eye(4, dtype=bool)[values]).all()
    assert sum(attributes.frequencies().values()) == pytest.approx(1)


@pytest.mark.parametrize("is_multi_label", [False, True])
def test_wrong_names(is_multi_label):
    attributes = Attributes(["hat: no", "hat: yes"], np.eye(2), is_multi_label)
    with pytest.raises(ValueError, match=r"`name` must be one of \['hat: no', 'hat: yes'\], got 'hat'"):
        attributes.has("hat")
    group = "hat" if is_multi_label else "class"
    with pytest.raises(ValueError, match=rf"`group` must be one of \['{group}'\], got 'skin'"):
        attributes.value("skin")
    with pytest.raises(ValueError, match=rf"`group` must be one of \['{group}'\], got 'skin'"):
        attributes.is_seen("skin")


@pytest.mark.parametrize("problem_type", [None, "single_label_classification", "multi_label_classification"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_is_asked(tmp_path, problem_type, channels):
    folder = save_classifier(tmp_path / "classifier")
    groups = FACES | {"skin": ["pale", "light", "brown", "dark"]}
    names = [f"{group}: {value}" for group, values in groups.items() for value in values]  # more than ten
    config = ResNetConfig.from_pretrained(
        folder, id2label=dict(enumerate(names)), label2id={}, problem_type=problem_type
    )
    model = ResNetForImageClassification(config).eval()
    model.save_pretrained(folder)
    images = torch.randint(0, 256, (5, channels, 16, 16), dtype=torch.uint8)
    attributes = describe_attributes(load_feature_network(str(folder), torch.device("cpu")), images)
    assert attributes.names == names
    with torch.no_grad():
        logits = model(images.expand(-1, 3, -1, -1) / 127.5 - 1).logits
    if problem_type == "multi_label_classification":
        expected, frequencies = logits.sigmoid(), (logits > 0).float().mean(0)
        assert attributes.groups == groups
    else:
        expected, frequencies = logits.softmax(1), logits.argmax(1).bincount(minlength=len(names)) / 5
        assert attributes.groups == {"class": names} and {attributes.group_of(name) for name in names} == {"class"}
    np.testing.assert_allclose(attributes.probabilities, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(list(attributes.frequencies().values()), frequencies, atol=1e-6)
