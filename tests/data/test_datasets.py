# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
import gzip
import io
import tarfile
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDataset, Value
from datasets.arrow_writer import ArrowWriter

from dcgan_hf.data.datasets import ImageDataset, load_image_dataset
from dcgan_hf.data.decoding import decode_image


CLASS_FEATURES = Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def grey(value: int) -> PIL.Image.Image:
    return PIL.Image.new("L", (4, 3), value)


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    grey(value).save(buffer, "PNG")
    return buffer.getvalue()


def values(image_dataset: ImageDataset) -> list[int]:
    """Returns the grey values of the images."""
    return [int(np.asarray(decode_image(row["image"]))[0, 0]) for row in image_dataset.dataset]


def labels(image_dataset: ImageDataset) -> list[int]:
    return [row["label"] for row in image_dataset.dataset]


def animals() -> Dataset:
    """Returns images with grey values 10, 20, 30, 40. The first two are cats."""
    columns = {"image": [grey(10), grey(20), grey(30), grey(40)], "label": [0, 0, 1, 1]}
    return Dataset.from_dict(columns, features=CLASS_FEATURES)


def labelled_with(feature, label_values: list, name: str = "kind") -> Dataset:
    columns = {"image": [grey(i) for i in range(len(label_values))], name: label_values}
    return Dataset.from_dict(columns, features=Features({"image": Image(), name: feature}))


@pytest.fixture
def image_folder(tmp_path):
    for class_name, first in (("cat", 10), ("dog", 30)):
        (tmp_path / "photos" / class_name).mkdir(parents=True)
        for value in (first, first + 10):
            grey(value).save(tmp_path / "photos" / class_name / f"{value}.png")
    return str(tmp_path / "photos")


@pytest.fixture
def parquet_file(tmp_path):
    animals().to_parquet(tmp_path / "animals.parquet")
    return str(tmp_path / "animals.parquet")


@pytest.fixture
def tar_file(tmp_path):
    with tarfile.open(tmp_path / "animals.tar", "w") as tar:
        for i in range(4):
            for suffix, data in (("png", png(10 * i + 10)), ("cls", str(i // 2).encode())):
                member = tarfile.TarInfo(f"{i:04d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return str(tmp_path / "animals.tar")


def idx(array: np.ndarray) -> bytes:
    return (
        b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.astype(np.uint8).tobytes()
    )


def write_idx(folder, split: str, greys: list[int], classes: list[int] | None, compress: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    images = np.stack([np.full((5, 6), value) for value in greys])
    images[:, -1, -1] = 255
    files = {f"{split}-images-idx3-ubyte": images}
    if classes is not None:
        files[f"{split}-labels-idx1-ubyte"] = np.array(classes)
    for name, array in files.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))


def check_animals(image_dataset: ImageDataset, streaming: bool, class_names: list[str] | None) -> None:
    assert isinstance(image_dataset.dataset, IterableDataset if streaming else Dataset)
    assert image_dataset.class_names == class_names
    assert sorted(values(image_dataset)) == [10, 20, 30, 40]
    if class_names is None:
        assert {key for row in image_dataset.dataset for key in row} == {"image"}
    else:
        pairs = sorted(zip(values(image_dataset), labels(image_dataset)))
        assert pairs == [(10, 0), (20, 0), (30, 1), (40, 1)]


@pytest.mark.parametrize("streaming", [False, True])
def test_digits(streaming):
    image_dataset = load_image_dataset("digits", with_labels=True, streaming=streaming)
    assert isinstance(image_dataset.dataset, IterableDataset if streaming else Dataset)
    rows = list(image_dataset.dataset)
    assert len(rows) == 1797
    assert sorted({row["label"] for row in rows}) == list(range(10))
    assert image_dataset.class_names == [str(i) for i in range(10)]
    first = np.asarray(decode_image(rows[0]["image"]))
    assert first.shape == (8, 8) and first.dtype == np.uint8
    assert (first[0, :6] == np.array([0, 0, 80, 207, 143, 16])).all()  # scikit-learn's 0, 0, 5, 13, 9, 1 of 16


def test_digits_are_the_default_and_need_no_labels():
    image_dataset = load_image_dataset()
    assert image_dataset.class_names is None
    assert image_dataset.dataset.column_names == ["image"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("kind", ["image_folder", "parquet_file"])
def test_folder_and_file(request, kind, with_labels, streaming):
    path = request.getfixturevalue(kind)
    image_dataset = load_image_dataset(path, with_labels=with_labels, streaming=streaming)
    check_animals(image_dataset, streaming, ["cat", "dog"] if with_labels else None)


def test_images_are_not_decoded(image_folder, parquet_file):
    for path in (image_folder, parquet_file):
        image_dataset = load_image_dataset(path)
        assert image_dataset.dataset.features["image"].decode is False
        assert set(image_dataset.dataset[0]["image"]) == {"bytes", "path"}


@pytest.mark.parametrize("streaming", [False, True])
def test_image_folder_without_classes(tmp_path, streaming):
    (tmp_path / "flat").mkdir()
    for value in (10, 20, 30, 40):
        grey(value).save(tmp_path / "flat" / f"{value}.png")
    check_animals(load_image_dataset(str(tmp_path / "flat"), streaming=streaming), streaming, None)
    with pytest.raises(ValueError, match="no columns of type `ClassLabel`.*`label_column`.*image"):
        load_image_dataset(str(tmp_path / "flat"), streaming=streaming, with_labels=True)


@pytest.mark.parametrize("streaming", [False, True])
def test_image_folder_with_splits(tmp_path, streaming):
    for split, value in (("train", 10), ("test", 20)):
        (tmp_path / "data" / split).mkdir(parents=True)
        grey(value).save(tmp_path / "data" / split / "a.png")
    assert values(load_image_dataset(str(tmp_path / "data"), split="test", streaming=streaming)) == [20]
    assert values(load_image_dataset(str(tmp_path / "data"), streaming=streaming)) == [10]
    with pytest.raises(ValueError, match="valid.*train.*test|valid.*test.*train"):
        load_image_dataset(str(tmp_path / "data"), split="valid", streaming=streaming)


def test_folder_called_like_a_builder(tmp_path, monkeypatch):
    (tmp_path / "imagefolder").mkdir()
    grey(10).save(tmp_path / "imagefolder" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert values(load_image_dataset("imagefolder")) == [10]


def test_folder_in_the_home_directory(image_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    check_animals(load_image_dataset("~/photos"), False, None)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("writer", ["save_to_disk", "ArrowWriter"])
def test_arrow_file(tmp_path, writer, streaming):
    if writer == "save_to_disk":  # stream format
        animals().save_to_disk(tmp_path / "saved")
        path = str(tmp_path / "saved" / "*.arrow")
    else:
        path = str(tmp_path / "animals.arrow")
        with ArrowWriter(path=path, features=CLASS_FEATURES) as arrow_writer:
            for row in animals().cast_column("image", Image(decode=False)):
                arrow_writer.write(row)
            arrow_writer.finalize()
    image_dataset = load_image_dataset(path, with_labels=True, streaming=streaming)
    check_animals(image_dataset, streaming, ["cat", "dog"])


@pytest.mark.parametrize("streaming", [False, True])
def test_webdataset(tar_file, streaming):
    check_animals(load_image_dataset(tar_file, streaming=streaming), streaming, None)


def test_webdataset_with_labels(tar_file):
    check_animals(load_image_dataset(tar_file, label_column="cls", with_labels=True), False, ["0", "1"])


@pytest.mark.parametrize("streaming", [False, True])
def test_wildcards(tmp_path, streaming):
    (tmp_path / "sub" / "sub").mkdir(parents=True)
    for path, row in (("a", 0), ("b", 1), ("sub/c", 2), ("sub/sub/d", 3)):
        animals().select([row]).to_parquet(tmp_path / f"{path}.parquet")
    (tmp_path / "notes.txt").write_text("not an image")
    assert values(load_image_dataset(str(tmp_path / "*.parquet"), streaming=streaming)) == [10, 20]
    all_files = load_image_dataset(str(tmp_path / "**" / "*.parquet"), streaming=streaming)
    assert sorted(values(all_files)) == [10, 20, 30, 40]
    (tmp_path / "top").mkdir()
    animals().select([0]).to_parquet(tmp_path / "top" / "a.parquet")
    only_top = load_image_dataset(str(tmp_path / "top" / "**" / "*.parquet"), streaming=streaming)
    assert values(only_top) == [10]


def test_split_of_files(parquet_file):
    assert len(load_image_dataset(parquet_file, split="train[:3]").dataset) == 3
    with pytest.raises(ValueError, match='Unknown split "test"'):
        load_image_dataset(parquet_file, split="test")


def test_split_of_a_saved_dataset(tmp_path):
    animals().save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match="has no splits, so `dataset_split=test` cannot be used"):
        load_image_dataset(str(tmp_path / "saved"), split="test")


def test_no_configurations(parquet_file, tmp_path):
    animals().save_to_disk(tmp_path / "saved")
    (tmp_path / "train-images-idx3-ubyte").touch()
    for name in ("digits", parquet_file, str(tmp_path / "saved"), str(tmp_path)):
        with pytest.raises(ValueError, match="`dataset_config_name=x`: .* has no configurations"):
            load_image_dataset(name, "x")


@pytest.mark.parametrize("streaming", [False, True])
def test_saved_dataset(tmp_path, streaming):
    animals().save_to_disk(tmp_path / "saved")
    image_dataset = load_image_dataset(str(tmp_path / "saved"), with_labels=True, streaming=streaming)
    check_animals(image_dataset, streaming, ["cat", "dog"])


def test_files_of_other_programs_are_no_saved_dataset(image_folder):
    """An app wrote its state beside the photographs, and a text about them has a word of dataset cards."""
    (Path(image_folder) / "state.json").write_text("{}")
    (Path(image_folder) / "README.md").write_text("---\nconfigs: nothing\n---\n")
    check_animals(load_image_dataset(image_folder, with_labels=True), False, ["cat", "dog"])


@pytest.mark.parametrize("name", ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"])
@pytest.mark.parametrize("portion", [0, 0.5])
def test_a_damaged_saved_dataset_is_named(tmp_path, name, portion):
    animals().save_to_disk(tmp_path / "saved")
    content = (tmp_path / "saved" / name).read_bytes()
    (tmp_path / "saved" / name).write_bytes(content[: int(portion * len(content))])
    with pytest.raises(ValueError, match="^`dataset_name=.*saved`, a saved dataset, is damaged: "):
        load_image_dataset(str(tmp_path / "saved"))


@pytest.mark.parametrize("streaming", [False, True])
def test_saved_dataset_dict(tmp_path, streaming):
    DatasetDict(train=animals(), test=animals().select([2])).save_to_disk(tmp_path / "saved")
    name = str(tmp_path / "saved")
    check_animals(load_image_dataset(name, with_labels=True, streaming=streaming), streaming, ["cat", "dog"])
    assert values(load_image_dataset(name, split="test", streaming=streaming)) == [30]
    with pytest.raises(ValueError, match=r"saved' has no split 'valid', only \['train', 'test'\]"):
        load_image_dataset(name, split="valid", streaming=streaming)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
def test_idx_files(tmp_path, compress, streaming):
    write_idx(tmp_path / "mnist", "train", [10, 20, 30], [2, 0, 1], compress)
    write_idx(tmp_path / "mnist", "t10k", [40, 50], [1, 0], compress)
    name = str(tmp_path / "mnist")
    train = load_image_dataset(name, with_labels=True, streaming=streaming)
    assert isinstance(train.dataset, IterableDataset if streaming else Dataset)
    assert values(train) == [10, 20, 30] and labels(train) == [2, 0, 1]
    assert train.class_names == ["0", "1", "2"]
    test = load_image_dataset(name, split="test", with_labels=True, streaming=streaming)
    assert values(test) == [40, 50] and labels(test) == [1, 0]
    image = decode_image(next(iter(train.dataset))["image"])
    assert image.size == (6, 5) and image.getpixel((5, 4)) == 255


def test_images_beside_idx_files_are_left_out_aloud(tmp_path, caplog):
    caplog.set_level("INFO")
    write_idx(tmp_path, "train", [10, 40], None)
    grey(7).save(tmp_path / "a.png")
    assert values(load_image_dataset(str(tmp_path))) == [10, 40]
    assert f"{tmp_path}: 2 images of IDX files are used" in caplog.text
    assert "images beside IDX files: 1 (a.png)" in caplog.text


def test_idx_files_without_labels(tmp_path):
    write_idx(tmp_path / "mnist", "train", [10, 20], None)
    assert values(load_image_dataset(str(tmp_path / "mnist"))) == [10, 20]
    with pytest.raises(ValueError, match="no columns of type `ClassLabel`"):
        load_image_dataset(str(tmp_path / "mnist"), with_labels=True)


def test_other_idx_files_at_the_same_path_are_read(tmp_path, monkeypatch):
    for folder, value in (("a", 10), ("b", 20)):
        (tmp_path / folder).mkdir()
        write_idx(tmp_path / folder / "mnist", "train", [value], [0])
        monkeypatch.chdir(tmp_path / folder)
        assert values(load_image_dataset("mnist")) == [value]
    write_idx(tmp_path / "b" / "mnist", "train", [30, 40], [0, 1])
    assert values(load_image_dataset("mnist")) == [30, 40]


def test_idx_files_are_prepared_once(tmp_path):
    write_idx(tmp_path / "mnist", "train", [10, 20], [0, 1])
    first, second = (load_image_dataset(str(tmp_path / "mnist"), cache_dir=str(tmp_path / "own")) for _ in range(2))
    assert first.dataset.cache_files == second.dataset.cache_files
    assert first.dataset.cache_files[0]["filename"].startswith(str(tmp_path / "own"))


def test_idx_split_does_not_exist(tmp_path):
    write_idx(tmp_path / "mnist", "train", [10], [0])
    write_idx(tmp_path / "mnist", "t10k", [10], [0])
    with pytest.raises(ValueError, match=r"mnist' has no split 'valid', only \['test', 'train'\]"):
        load_image_dataset(str(tmp_path / "mnist"), split="valid")


@pytest.mark.parametrize("content", [b"hello world", b"", idx(np.zeros((2, 3, 3)))[:2] + b"\x0d\x03" + bytes(30)])
def test_not_idx(tmp_path, content):
    write_idx(tmp_path / "mnist", "train", [10], None)
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="train-images-idx3-ubyte' is not an IDX file of bytes"):
        load_image_dataset(str(tmp_path / "mnist"))


def test_labels_are_not_idx(tmp_path):
    write_idx(tmp_path / "mnist", "train", [10], [0])
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(b"hello world")
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte' is not an IDX file of bytes"):
        load_image_dataset(str(tmp_path / "mnist"))


def test_string_labels(tmp_path):
    labelled_with(Value("string"), ["dog", "cat", "emu", "dog"]).save_to_disk(tmp_path / "saved")
    image_dataset = load_image_dataset(str(tmp_path / "saved"), label_column="kind", with_labels=True)
    assert image_dataset.class_names == ["cat", "dog", "emu"]
    assert labels(image_dataset) == [1, 0, 2, 1]
    assert values(image_dataset) == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", ["int64", "uint8"])
def test_integer_labels_keep_their_order(tmp_path, dtype):
    """Class 10 comes after 9, not after 1 as in alphabetical order."""
    labelled_with(Value(dtype), [11, *range(11)]).to_parquet(tmp_path / "data.parquet")
    image_dataset = load_image_dataset(str(tmp_path / "data.parquet"), label_column="kind", with_labels=True)
    assert image_dataset.class_names == [str(i) for i in range(12)]
    assert labels(image_dataset) == [11, *range(11)]


def test_integer_labels_with_gaps(tmp_path):
    labelled_with(Value("int32"), [500, -1, 20, 500]).to_parquet(tmp_path / "data.parquet")
    image_dataset = load_image_dataset(str(tmp_path / "data.parquet"), label_column="kind", with_labels=True)
    assert image_dataset.class_names == ["-1", "20", "500"]
    assert labels(image_dataset) == [2, 0, 1, 2]


def test_other_label_column_than_the_class_label(tmp_path):
    dataset = animals().add_column("label_2", ["x", "y", "x", "y"])
    dataset.to_parquet(tmp_path / "data.parquet")
    name = str(tmp_path / "data.parquet")
    assert load_image_dataset(name, with_labels=True).class_names == ["cat", "dog"]
    image_dataset = load_image_dataset(name, label_column="label_2", with_labels=True)
    assert image_dataset.class_names == ["x", "y"] and labels(image_dataset) == [0, 1, 0, 1]
    assert image_dataset.dataset.column_names == ["image", "label"]


@pytest.mark.parametrize("streaming", [False, True])
def test_label_column_is_ignored_without_labels(parquet_file, streaming):
    image_dataset = load_image_dataset(parquet_file, label_column="unknown", streaming=streaming)
    check_animals(image_dataset, streaming, None)


@pytest.mark.parametrize("streaming", [False, True])
def test_image_column_is_named_among_two(tmp_path, streaming):
    features = Features({"photo": Image(), "mask": Image()})
    pairs = Dataset.from_dict({"photo": [grey(1), grey(2)], "mask": [grey(3), grey(4)]}, features=features)
    pairs.to_parquet(tmp_path / "pairs.parquet")
    name = str(tmp_path / "pairs.parquet")
    assert values(load_image_dataset(name, image_column="photo", streaming=streaming)) == [1, 2]
    assert values(load_image_dataset(name, image_column="mask", streaming=streaming)) == [3, 4]
    with pytest.raises(ValueError, match=r"has 2 columns of type `Image`.*`image_column`.*photo \(Image\), mask"):
        load_image_dataset(name, streaming=streaming)


def test_columns_with_swapped_names(tmp_path):
    features = Features({"image": ClassLabel(names=["cat", "dog"]), "label": Image()})
    columns = {"image": [0, 0, 1, 1], "label": [grey(value) for value in (10, 20, 30, 40)]}
    Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "swapped.parquet")
    check_animals(load_image_dataset(str(tmp_path / "swapped.parquet"), with_labels=True), False, ["cat", "dog"])


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("column", ["image", "photo"])
def test_stored_bytes_are_passed_on(tmp_path, column, streaming):
    """Images are not decoded and re-encoded, so that a corrupt image does not stop the stream."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(buffer, "JPEG")
    stored = [buffer.getvalue(), b"not an image"]
    encoded = Dataset.from_dict({column: [{"bytes": data, "path": None} for data in stored]})
    encoded.cast_column(column, Image()).to_parquet(tmp_path / "data.parquet")
    image_dataset = load_image_dataset(str(tmp_path / "data.parquet"), streaming=streaming)
    assert [row["image"]["bytes"] for row in image_dataset.dataset] == stored


@pytest.mark.parametrize("streaming", [False, True])
def test_image_column_of_paths(image_folder, tmp_path, streaming):
    paths = [f"{image_folder}/cat/10.png", f"{image_folder}/dog/40.png"]
    Dataset.from_dict({"file": paths}).to_parquet(tmp_path / "paths.parquet")
    image_dataset = load_image_dataset(str(tmp_path / "paths.parquet"), image_column="file", streaming=streaming)
    assert values(image_dataset) == [10, 40]


@pytest.mark.parametrize("streaming", [False, True])
def test_no_image_column(tmp_path, streaming):
    Dataset.from_dict({"text": ["a", "b"]}).to_parquet(tmp_path / "texts.parquet")
    with pytest.raises(ValueError, match=r"has no columns of type `Image`.*`image_column`.*text \(Value\)"):
        load_image_dataset(str(tmp_path / "texts.parquet"), streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("argument", ["image_column", "label_column"])
def test_unknown_column(parquet_file, argument, streaming):
    message = rf"`{argument}=photo` is not a column.*image \(Image\), label \(ClassLabel\)"
    with pytest.raises(ValueError, match=message):
        load_image_dataset(parquet_file, with_labels=True, streaming=streaming, **{argument: "photo"})


def test_streaming_needs_class_labels(tar_file):
    with pytest.raises(ValueError, match="`label_column=cls` is not a `ClassLabel`.*without `streaming`"):
        load_image_dataset(tar_file, label_column="cls", with_labels=True, streaming=True)


@pytest.mark.parametrize(
    "feature, values",
    [(Value("string"), ["a", None]), (Value("string"), ["a", ""]), (Value("float32"), [1.0, float("nan")])],
)
def test_labels_with_gaps_are_refused(tmp_path, feature, values):
    labelled_with(feature, values).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(ValueError, match="`label_column=kind`: 1 of 2 images have no class"):
        load_image_dataset(str(tmp_path / "data.parquet"), label_column="kind", with_labels=True)


def folders_of_splits(folder):
    for name in ("train/a/0.png", "train/b/0.png", "test/c/0.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(png(0))
    return folder


def idx_from_two(folder):
    write_idx(folder, "train", [10, 40], [1, 2])
    return folder


def labels_from_two(folder):
    np.savez(
        folder / "set.npz",
        x_train=np.zeros((2, 8, 8), np.uint8),
        y_train=[0, 1],
        x_test=np.zeros((1, 8, 8), np.uint8),
        y_test=[3],
    )
    return folder / "set.npz"


@pytest.mark.parametrize("make, empty", [(folders_of_splits, "c"), (idx_from_two, "0"), (labels_from_two, "3")])
def test_classes_without_an_image_are_named(tmp_path, caplog, make, empty):
    path = make(tmp_path)
    assert empty in load_image_dataset(str(path), with_labels=True).class_names
    assert f"classes have no image: {empty}\n" in caplog.text


def test_label_column_of_images(parquet_file):
    with pytest.raises(ValueError, match="`label_column=image` must contain plain values"):
        load_image_dataset(parquet_file, label_column="image", with_labels=True)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["missing.parquet", "*.parquet", "missing.arrow", "sub/*.tar"])
def test_no_such_file(tmp_path, name, streaming):
    with pytest.raises(ValueError, match=r"`dataset_name=.*(parquet|arrow|tar)`: no such file"):
        load_image_dataset(str(tmp_path / name), streaming=streaming)


@pytest.mark.parametrize("name", ["./missing", "../missing", "/missing/data", "~/missing-data", "a/b/c"])
def test_no_such_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="`dataset_name=.*: no such folder"):
        load_image_dataset(name)
