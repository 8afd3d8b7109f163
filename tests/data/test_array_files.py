"""Tests of images in NumPy's files and in columns of numbers."""

import io
import zipfile

import datasets
import numpy as np
import pytest
from datasets import Array2D, Array3D, ClassLabel, Dataset, Features, Image, List, Value

from dcgan_hf.data.datasets import find_images, load_image_dataset
from dcgan_hf.data.decoding import decode_image, encoded_to_array


RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def pixels(image_dataset) -> np.ndarray:
    return np.stack([np.asarray(decode_image(row["image"])) for row in image_dataset.dataset])


@pytest.mark.parametrize("streaming", [False, True])
def test_medmnist(tmp_path, streaming):
    labels = np.array([[0], [2], [2], [0], [7], [0]])
    arrays = {"train_images": RGB, "train_labels": labels, "val_images": RGB[:2], "val_labels": labels[1:3]}
    np.savez_compressed(tmp_path / "pathmnist.npz", **arrays)
    for name in (tmp_path / "pathmnist.npz", tmp_path):
        train = load_image_dataset(str(name), with_labels=True, streaming=streaming)
        assert np.array_equal(pixels(train), RGB) and train.class_names == ["0", "2", "7"]
        assert [row["label"] for row in train.dataset] == [0, 1, 1, 0, 2, 0]
        validation = load_image_dataset(str(name), split="validation", with_labels=True, streaming=streaming)
        assert [row["label"] for row in validation.dataset] == [1, 1] and np.array_equal(pixels(validation), RGB[:2])
    with pytest.raises(ValueError, match=r"has no split 'test', only \['train', 'validation'\]"):
        load_image_dataset(str(tmp_path), split="test")


def test_names_of_arrays(tmp_path):
    np.savez(tmp_path / "mnist.npz", x_train=GREY, y_train=np.arange(6), x_test=GREY[:2], y_test=np.arange(2))
    np.savez(tmp_path / "plain.npz", GREY.astype(np.uint16) * 257, np.array(list("aabbcc")))
    np.save(tmp_path / "floats.npy", RGB.transpose(0, 3, 1, 2) / 255)
    assert np.array_equal(pixels(load_image_dataset(str(tmp_path / "mnist.npz"), split="test")), GREY[:2])
    plain = load_image_dataset(str(tmp_path / "plain.npz"), with_labels=True)
    assert np.array_equal(pixels(plain), GREY) and plain.class_names == ["a", "b", "c"]
    assert np.array_equal(pixels(load_image_dataset(str(tmp_path / "floats.npy"))), RGB)
    np.savez(
        tmp_path / "several.npz", images=GREY, labels=np.zeros((6, 14))
    )  # 14 findings per image, as in ChestMNIST
    assert len(load_image_dataset(str(tmp_path / "several.npz")).dataset) == 6


def bomb() -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**3, 10**3)}
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("images.npy", buffer.getvalue() + bytes(100))
    return archive.getvalue()


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (
            npz(images=GREY.astype(np.int64)),
            "images: the range of int64 pixels is unknown. Allowed are uint8, uint16, and",
        ),
        (npz(images=np.array([None, 1])), "images: the range of object pixels is unknown"),  # nothing is unpickled
        (npz(images=RGB * 1.0), r"images, image 0: a float image must lie in \[0, 1\]"),
        (npz(images=GREY.reshape(6, 64)), r"images has shape \(6, 64\). Images must have shape"),
        (npz(images=RGB[0]), r"images has shape \(8, 8, 3\). Images must have shape"),
        (npz(images=np.asfortranarray(GREY)), "images cannot be read: it is stored in Fortran order"),
        (npz(images=GREY, labels=np.zeros(4, int)), r"labels has shape \(4,\), but there are 6 images"),
        (npz(weights=np.zeros((2, 3))), r"none of its arrays is known as images.*weights \(2, 3\)"),
        (npz(images=GREY)[:400], "is not a whole .npz file"),
        (b"hello", "is not a whole .npz file"),
        (bomb(), r"images is damaged: it declares 1,000,000,000,000,000 bytes of shape \(1000000000, 1000, 1000\)"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, content, message):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"set.npz.*{message}"):
        load_image_dataset(str(tmp_path / "set.npz"))


def test_damaged_data_is_named(tmp_path):
    data = bytearray(npz(images=GREY))
    data[250] ^= 255
    (tmp_path / "set.npz").write_bytes(data)
    with pytest.raises(ValueError, match="set.npz.*images cannot be read: Bad CRC-32"):
        load_image_dataset(str(tmp_path / "set.npz"))
    (tmp_path / "set.npy").write_bytes(b"hello")
    with pytest.raises(ValueError, match="set.npy.*images cannot be read"):
        load_image_dataset(str(tmp_path / "set.npy"))


# ---- columns of numbers ----

COLUMNS = {
    "Array2D": (Array2D((8, 8), "uint8"), GREY, GREY),
    "Array3D": (Array3D((8, 8, 3), "uint8"), RGB, RGB),
    "channels first": (Array3D((3, 8, 8), "uint8"), RGB.transpose(0, 3, 1, 2), RGB),
    "16 bits": (Array2D((8, 8), "uint16"), GREY.astype(np.uint16) * 257, GREY),
    "floats": (Array3D((8, 8, 3), "float32"), (RGB / 255).astype(np.float32), RGB),
    "lists": (List(List(Value("uint8"))), GREY.tolist(), GREY),
    "lists of floats": (List(List(List(Value("float64")))), (RGB / 255).tolist(), RGB),
}


@pytest.mark.parametrize("feature, values, expected", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("streaming", [False, True])
def test_numbers_become_images_by_their_type(tmp_path, feature, values, expected, streaming):
    columns = {"pixels": list(values), "label": list("aabbcc")}
    table = Dataset.from_dict(columns, features=Features({"pixels": feature, "label": Value("string")}))
    table.to_parquet(tmp_path / "set.parquet")
    options = {} if streaming else {"with_labels": True, "label_column": "label"}
    name = str(tmp_path / "set.parquet")
    image_dataset = load_image_dataset(name, image_column="pixels", streaming=streaming, **options)
    for row, image in zip(image_dataset.dataset, expected, strict=True):
        array = encoded_to_array(row["image"], 1 if image.ndim == 2 else 3, 8, "crop")
        assert np.array_equal(array.transpose(1, 2, 0).squeeze(), image)
    if not streaming:
        assert [row["label"] for row in image_dataset.dataset.select([0, 5])] == [0, 2]


@pytest.mark.parametrize(
    "feature, value, message",
    [
        (
            List(List(Value("int64"))),
            GREY[0].tolist(),
            "the range of int64 pixels is unknown. Allowed are uint8, uint16",
        ),
        (Array2D((8, 8), "bool"), GREY[0] > 9, "the range of bool pixels is unknown"),
        (Array2D((8, 8), "float32"), GREY[0] * 1.0, r"a float image must lie in \[0, 1\], got"),
        (List(Value("uint8")), list(range(100)), r"shape \(100,\) is one line of numbers, perhaps a flattened image"),
        (Array2D((1, 64), "uint8"), GREY[0].reshape(1, 64), r"shape \(1, 64\) is one line of numbers"),
        (Array3D((8, 8, 2), "uint8"), RGB[0, ..., :2], r"and 1, 3 or 4 channels, got \(8, 8, 2\)"),
        (List(List(Value("uint8"))), [[1, 2], [3]], "its rows are not an array of uint8"),
        (Value("int64"), 3, r"has type Value\('int64'\). Images are of type `Image`, encoded bytes, paths, or arrays"),
        (List(Value("string")), ["a"], "Images are of type `Image`"),
    ],
)
def test_columns_that_are_no_images_are_refused(feature, value, message):
    dataset = Dataset.from_dict({"x": [value] * 2}, features=Features({"x": feature}))
    with pytest.raises(ValueError, match=f"`image_column=x`.*{message}"):
        find_images(dataset, image_column="x")


def test_a_row_without_numbers_is_a_bad_image():
    dataset = Dataset.from_dict({"x": [None, GREY[0]]}, features=Features({"x": Array2D((8, 8), "uint8")}))
    rows = list(find_images(dataset, image_column="x").dataset)
    assert rows[0]["image"] is None and decode_image(rows[1]["image"]).size == (8, 8)


@pytest.mark.parametrize("format", ["torch", "numpy", "pandas", "arrow"])
def test_the_format_of_a_dataset_does_not_matter(format):
    features = Features({"image": Image(), "x": Array2D((8, 8), "uint8"), "label": ClassLabel(names=["a", "b"])})
    columns = {"image": list(GREY), "x": list(GREY), "label": [0, 1] * 3}
    dataset = Dataset.from_dict(columns, features=features).with_format(format)
    for column in ("image", "x"):
        image_dataset = find_images(dataset, image_column=column, with_labels=True)
        assert np.array_equal(pixels(image_dataset), GREY)
        assert [row["label"] for row in image_dataset.dataset] == [0, 1] * 3
    with pytest.raises(ValueError, match="The dataset has a transform.*`dataset.map`"):
        find_images(dataset.with_transform(lambda batch: batch))
