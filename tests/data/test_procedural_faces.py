import numpy as np
import pytest

from dcgan_hf.data import procedural_faces
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.procedural_faces import ATTRIBUTES, GLASSES_BOX, SIZE, draw_face


PLAIN = {name: classes[0] for name, classes in ATTRIBUTES.items()} | {"hair_style": "short"}


def draw(seed=0, **changes):
    return np.asarray(draw_face(PLAIN | changes, np.random.default_rng(seed)), int)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_shows(name):
    """Any two classes of an attribute are visibly different."""
    faces = [draw(**{name: chosen}) for chosen in ATTRIBUTES[name]]
    for i, face in enumerate(faces):
        assert face.shape == (SIZE, SIZE, 3)
        for other in faces[:i]:
            assert (np.abs(face - other).max(2) > 25).sum() >= 15


def test_glasses_are_in_their_box_and_change_nothing_else():
    left, top, right, bottom = GLASSES_BOX
    seen = np.zeros((SIZE, SIZE), bool)
    for seed in range(40):
        seen |= (draw(seed, glasses="no") != draw(seed, glasses="yes")).any(2)
    rows, columns = seen.nonzero()
    assert rows.min() >= top and rows.max() < bottom and columns.min() >= left and columns.max() < right
    assert seen[top:bottom, left:right].mean() > 0.5  # and the box is tight


def test_the_same_faces_always(monkeypatch, tmp_path):
    monkeypatch.setitem(procedural_faces.NUM_IMAGES, "train", 300)
    monkeypatch.setitem(procedural_faces.NUM_IMAGES, "test", 20)
    dataset = procedural_faces.load_procedural_faces("train", str(tmp_path / "cache"))
    first = np.asarray(dataset[0]["image"])
    assert first.shape == (64, 64, 3) and len(dataset) == 300
    # Identified by the sum of its pixels: another sum would mean another dataset for all users.
    assert int(first.sum(dtype=np.int64)) == 2_104_314
    for name, classes in ATTRIBUTES.items():
        assert dataset.features[name].names == classes and set(dataset[name]) == set(range(len(classes)))
    assert abs(np.mean(dataset["glasses"][:]) - 0.4) < 0.08
    test = procedural_faces.load_procedural_faces("test", str(tmp_path / "cache"))
    assert not np.array_equal(np.asarray(test[0]["image"]), first)

    labelled = load_image_dataset(
        "procedural_faces", cache_dir=str(tmp_path / "cache"), with_labels=True, label_column="hat"
    )
    assert labelled.class_names == ["no", "yes"] and set(labelled.dataset.column_names) == {"image", "label"}
    with pytest.raises(ValueError, match="has 7 columns of type `ClassLabel`. Pass the column as `label_column`"):
        load_image_dataset("procedural_faces", cache_dir=str(tmp_path / "cache"), with_labels=True)
    with pytest.raises(ValueError, match=r"'procedural_faces' has no split 'dev', only \['train', 'test'\]"):
        load_image_dataset("procedural_faces", split="dev")
