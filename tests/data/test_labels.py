"""Tests of several label columns at once."""

import datasets
import numpy as np
import PIL.Image
import pytest
import torch

from dcgan_hf.configuration_attributes import MAX_COMBINATIONS
from dcgan_hf.data.datasets import choose_images, find_images, rename_classes
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.labels import count_combinations
from dcgan_hf.data.loaders import DecodingLoader, ResidentLoader, Shard


COLUMNS = ["kind", "size", "smile"]
CPU = torch.device("cpu")


def labelled(number=12, **more):
    """Returns images whose first pixel is their number, with columns of three types that lack values."""
    images = [PIL.Image.fromarray(np.full((8, 8), i, np.uint8)) for i in range(number)]
    columns = {
        "image": images,
        "kind": [["dog", None, "cat", ""][i % 4] for i in range(number)],
        "size": [[10.0, 9.0, float("nan")][i % 3] for i in range(number)],
        "smile": [[1, -1, 0, None, 1][i % 5] for i in range(number)],
    } | more
    features = {
        "image": datasets.Image(),
        "kind": datasets.Value("string"),
        "size": datasets.Value("float64"),
        "smile": datasets.ClassLabel(names=["no", "yes"]),
    }
    features |= {name: datasets.ClassLabel(names=["a", "b"]) for name in more}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def expected(number):
    """Returns the labels of image `number`."""
    return [[1, -1, 0, -1][number % 4], [1, 0, -1][number % 3], [1, -1, 0, -1, 1][number % 5]]


def test_columns_of_several_types_with_missing_values():
    images = find_images(labelled(), label_column=COLUMNS, with_labels=True)
    assert images.attributes == {"kind": ["cat", "dog"], "size": ["9.0", "10.0"], "smile": ["no", "yes"]}
    assert list(images.attributes) == COLUMNS and images.class_names is None and images.has_labels
    assert images.dataset["label"][:] == [expected(i) for i in range(12)]
    assert images.dataset.column_names == ["image", "label"]


@pytest.mark.parametrize("kind", ["resident", "decoding", "stream"])
def test_labels_stay_with_their_images(kind):
    columns = COLUMNS if kind != "stream" else ["smile", "other"]
    dataset = labelled(24, other=[i % 2 for i in range(24)])
    if kind == "stream":
        dataset = dataset.to_iterable_dataset()
    images = find_images(dataset, label_column=columns, with_labels=True)
    decoder = Decoder(1, 8, "crop", 1, False)
    if kind == "resident":
        loader = ResidentLoader.decode(images, decoder, Shard(6, 0), CPU)
    else:
        loader = DecodingLoader(images, decoder, Shard(6, 0), CPU)
    batches = list(loader.batches(0))
    assert len(batches) == 4
    for batch in batches:
        numbers = batch["pixel_values"][:, 0, 0, 0].tolist()
        labels = [expected(i) if kind != "stream" else [expected(i)[2], i % 2] for i in numbers]
        assert batch["class_labels"].tolist() == labels and batch["class_labels"].dtype == torch.long


def test_an_image_column_called_label_and_label_columns_called_image():
    dataset = labelled(other=[0, 1] * 6).rename_columns({"image": "label", "smile": "image"})
    rows = list(find_images(dataset, label_column=["image", "other"], with_labels=True).dataset)
    assert [row["label"] for row in rows] == [[expected(i)[2], i % 2] for i in range(12)]
    assert set(rows[0]["image"]) == {"bytes", "path"}


def test_arrays_have_labels_too():
    dataset = labelled().remove_columns("image").add_column("image", [[[i, i], [i, i]] for i in range(12)])
    dataset = dataset.cast_column("image", datasets.Array2D((2, 2), "uint8"))
    images = find_images(dataset, "image", COLUMNS, with_labels=True)
    assert images.dataset[3]["label"] == expected(3) and images.dataset[3]["image"]["array"] == [[3, 3], [3, 3]]
    assert sum(count_combinations(images.dataset).values()) == 12
    stream = labelled(other=[0, 1] * 6).remove_columns("image").add_column("image", [[[i, i]] * 2 for i in range(12)])
    stream = stream.cast_column("image", datasets.Array2D((2, 2), "uint8")).to_iterable_dataset()
    rows = list(find_images(stream, "image", ["smile", "other"], with_labels=True).dataset)
    assert rows[3]["label"] == [-1, 1] and rows[3]["image"]["dtype"] == "uint8"


def test_a_list_of_one_column_is_the_column():
    one, other = (find_images(labelled(other=[0, 1] * 6), None, name, True) for name in ("other", ["other"]))
    assert one.class_names == other.class_names == ["a", "b"] and one.attributes is other.attributes is None
    assert one.dataset["label"][:] == other.dataset["label"][:]


@pytest.mark.parametrize(
    "columns, message",
    [
        (["kind", "kind"], r"`label_column` must not repeat a column, got \['kind', 'kind'\]"),
        ([], "`label_column` must name at least one column"),
        (["kind", "smil"], "`label_column=smil` is not a column .* kind .*smile.* Did you mean 'smile'"),
        (["kind", "image"], "`label_column=image` must contain plain values"),
        (["kind", "empty"], "`label_column=empty`: no image has a value"),
    ],
)
def test_wrong_columns(columns, message):
    with pytest.raises(ValueError, match=message):
        find_images(labelled(empty=[None] * 12), label_column=columns, with_labels=True)


def test_streams_need_class_labels_and_single_columns_need_all():
    with pytest.raises(ValueError, match="`label_column=kind` is not a `ClassLabel`.*without `streaming`"):
        find_images(labelled().to_iterable_dataset(), label_column=["smile", "kind"], with_labels=True)
    with pytest.raises(ValueError, match="`label_column=smile`: 5 of 12 images have no class"):
        find_images(labelled(), label_column=["smile"], with_labels=True)


def test_several_columns_are_not_renamed(caplog):
    images = find_images(labelled(other=[0] * 12), label_column=["kind", "other"], with_labels=True)
    assert "`other`: 1 of 2 classes have no image: b" in caplog.text
    with pytest.raises(ValueError, match="`class_names=.*a single `label_column`, got several"):
        rename_classes(images, ["a", "b"])


def test_combinations_are_counted():
    images = find_images(labelled(), label_column=COLUMNS, with_labels=True)
    counts = count_combinations(images.dataset)
    assert sum(counts.values()) == 12 and counts["1 1 1"] == 1
    assert {combination: counts[combination] for combination in counts} == {
        key: sum(" ".join(map(str, expected(i))) == key for i in range(12)) for key in counts
    }
    assert sum(count_combinations(choose_images(images, 5, seed=0).dataset).values()) == 5


def test_of_too_many_combinations_a_random_part_is_kept():
    """Half of the images share a combination, and so does about half of the part."""
    rows = [[i, 0] if i % 2 else [0, 1] for i in range(6000)]
    counts = count_combinations(datasets.Dataset.from_dict({"label": rows}))
    assert len(counts) == MAX_COMBINATIONS and counts["0 1"] / sum(counts.values()) == pytest.approx(0.5, abs=0.05)
