"""Tests that every image of a folder or an archive is used, or left out for a reason that the log names."""

import io
import json
import logging
import os
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import datasets
import PIL.Image
import pytest
from datasets import Dataset, Features, Image
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import decode_image
from dcgan_hf.data.file_listing import CAN_READ_HEIC, list_folder
from dcgan_hf.data.image_files import open_image_files, places_of
from dcgan_hf.model_folder import GENERATION_FILE, UPSCALING_FILE


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def encoded(value=0, format="PNG", mode="L", **options) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new(mode, (4, 3), value).save(buffer, format, **options)
    return buffer.getvalue()


PNG = encoded()


def make(folder: Path, *names: str, content: bytes = PNG) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def make_zip(path: Path, contents: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return str(path)


def used(path, **options) -> list[str]:
    """Returns the names of the images of a dataset."""
    rows = load_image_dataset(str(path), **options).dataset
    return [os.path.relpath(row["image"]["path"], path) for row in rows]


def rows_of(listing, split: str) -> list[str]:
    dataset = open_image_files(listing, split, None).cast_column("image", Image(decode=False))
    return [os.path.relpath(row["image"]["path"], listing.source) for row in dataset]


LAYOUTS = {
    "words in names": ({"train": ["steam train.png", "model-train-2.png", "rose_dev_01.png", "a.png"]}, None),
    "a class called train": ({"train": ["car/a.png", "plane/a.png", "train/a.png"]}, ["car", "plane", "train"]),
    "words in folders": ({"train": ["flasks/a.png", "test tubes/a.png"]}, ["flasks", "test tubes"]),
    "validation only": ({"validation": ["validation/a.png", "validation/b.png"]}, None),
    "splits": ({"train": ["train/a.png"], "test": ["test/b.png"], "validation": ["validation/c.png"]}, None),
    "other words": ({"train": ["Training/x/a.png"], "validation": ["val/y/b.png", "DEV/x/c.png"]}, ["x", "y"]),
    "splits in a folder": ({"train": ["set/train/a.png"], "test": ["set/test/b.png"]}, None),
    "images beside a split": ({"train": ["a.png", "b.png"], "test": ["test/c.png"]}, None),
    "brackets": ({"train": ["[a]*?/[0-9].png", "b/*.png"]}, ["[a]*?", "b"]),
    "deep classes": ({"train": ["x/cat/1.png", "y/dog/1.png"]}, ["cat", "dog"]),
    "several depths": ({"train": ["a.png", "cat/1.png", "dog/1.png"]}, None),
}


@pytest.mark.parametrize("files, classes", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("streaming", [False, True])
def test_only_top_folders_are_splits(tmp_path, files, classes, streaming):
    folder = make(tmp_path / "my [set]", *sum(files.values(), []))
    for split, names in files.items():
        assert used(folder, split=split, streaming=streaming) == sorted(names)
    if len(files) == 1:
        assert used(folder) == sorted(*files.values())
    else:
        with pytest.raises(ValueError, match=rf"has no split 'other', only {sorted(files)}".replace("[", r"\[")):
            load_image_dataset(str(folder), split="other")
    if classes:
        assert load_image_dataset(str(folder), with_labels=True, streaming=streaming).class_names == classes
    else:
        with pytest.raises(ValueError, match="no columns of type `ClassLabel`"):
            load_image_dataset(str(folder), with_labels=True)


def test_what_this_program_wrote_is_no_training_image(tmp_path, caplog):
    """Neither below the training images nor among them, if they lie in the folder of the run."""
    caplog.set_level(logging.INFO)
    folder = make(tmp_path / "set", "a.png", "images/b.png", "samples/c.png", "evaluation/d.png")
    for mark in (GENERATION_FILE, UPSCALING_FILE, "explanation.json"):
        make(folder, f"of {mark}/0.png", f"of {mark}/images/0.png")
        make(folder, f"of {mark}/{mark}", content=b"{}")
    make(folder, "report/samples.png", "report/neighbors.png")
    make(folder, "report/report.md", content=b"| metric |")
    own = ["training.gif", "images/grid.png", "images/seed-0.png", "images/comparison.png", "samples/step-0000002.png"]
    own += ["evaluation/samples.png", "evaluation/neighbors.png"]
    photos = ["a.png", "evaluation/d.png", "images/b.png", "samples/c.png"]
    make(folder, *own)
    assert used(folder) == sorted(own + photos)
    assert "Not images: folders that this program wrote: 4 (of explanation.json/, " in caplog.text
    make(folder, "training_args.json", content=b"{}")
    assert used(folder) == photos
    assert "Left out: pictures of the run in this folder: 7 (evaluation/neighbors.png, " in caplog.text
    assert used(folder / f"of {GENERATION_FILE}") == ["0.png", "images/0.png"]


def test_slices_and_sums_of_splits(tmp_path):
    folder = make(tmp_path / "set", "train/a.png", "train/b.png", "test/c.png")
    assert used(folder, split="train[1:]+test") == ["train/b.png", "test/c.png"]
    assert used(folder, split="train[:50%]") == ["train/a.png"]
    with pytest.raises(ValueError, match=r"`dataset_split=train\[`: Unrecognized instruction format"):
        load_image_dataset(str(folder), split="train[")


_NAMES = st.text(st.characters(exclude_characters="/\0.", exclude_categories=["Cs"]), min_size=1, max_size=12)
_WORDS = st.sampled_from(["train", "Test", "steam train", "val-1", "[a-z]", "data*", "::", "\n", "c"])
_FOLDERS = st.lists(st.one_of(_WORDS, _NAMES), max_size=2)


@settings(max_examples=50, deadline=None)
@given(
    files=st.lists(st.tuples(_FOLDERS, _NAMES, st.sampled_from([".png", ".PNG", "", ".x", ".jpg_large"])), max_size=7)
)
def test_any_name_is_used(files):
    """Each image that was made belongs to exactly one split, or is left out beside several."""
    paths = {"/".join([*folders, name + extension]) for folders, name, extension in files}
    paths -= {path for path in paths if any(other.startswith(f"{path}/") for other in paths)}
    if not paths:
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), *paths)
        listing = list_folder(Path(folder))
        assert listing.images == sorted(paths)
        splits = {split for split, _ in places_of(listing.images).values()} - {""}
        found = [name for split in splits for name in rows_of(listing, split)]
        left_out = sum(listing.unusable.values(), [])
    assert sorted(found + left_out) == sorted(paths)
    assert not left_out or len(splits) > 1


def test_the_log_counts_what_is_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = make(tmp_path / "set", *(f"{i:02d}.png" for i in range(10)))
    make(folder, "._00.png", ".hidden/b.png", ".DS_Store", content=b"\0\5\26\7")
    make(folder, "Thumbs.db", content=b"\xd0\xcf\x11\xe0")
    make(folder, *(f"{i:02d}{extension}" for i in range(10) for extension in (".txt", ".json")), content=b"a cat")
    make(folder, "no_extension", "odd.jpg_large", content=encoded(format="JPEG"))
    make(folder, "a.avif", content=encoded(format="AVIF"))
    pages = [PIL.Image.new("L", (2, 2))] * 2
    make(folder, "pages.tif", content=encoded(format="TIFF", save_all=True, append_images=pages))
    make(folder, "b.heic", "c", content=HEIC)
    make(folder, "raw.NEF", content=encoded(format="TIFF"))  # the preview of a photograph
    make(folder, "@eaDir/00.png")
    (folder / "link.png").symlink_to("nowhere.png")
    (folder / "loop").symlink_to(folder)
    make(folder, "run/samples/1.png", "run/training_args.json")
    assert len(used(folder)) == 14 + 2 * CAN_READ_HEIC
    text = caplog.text
    assert CAN_READ_HEIC or f"{folder}: 19 image files found, 14 used, 5 left out" in text
    assert CAN_READ_HEIC or "Left out: HEIC needs `pip install pillow-heif`: 2 (b.heic, c)" in text
    for line in (
        "Left out: hidden files: 1 (._00.png)",
        "Left out: raw files of cameras: 1 (raw.NEF)",
        "Left out: broken links and devices: 1 (link.png)",
        "Not images: texts: 20 (00.json, 00.txt, 01.json, ...)",
        "Not images: other files: 1 (Thumbs.db)",
        "Not images: links to folders listed already: 1 (loop)",
        "Not images: folders of models: 1 (run/)",
        "Images of several pages, of which the first is used: 1 (pages.tif: 3)",
    ):
        assert line in text


def test_a_folder_has_no_configurations_unless_its_card_has_some(tmp_path):
    folder = make(tmp_path / "set", "steam train.png", "b.png", "README.md", content=PNG)
    (folder / "README.md").write_text("# My photographs")
    with pytest.raises(ValueError, match="`dataset_config_name=default`: .*set' has no configurations"):
        load_image_dataset(str(folder), "default")
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: one\n  data_files: b.png\n---\n")
    assert used(folder, dataset_config_name="one") == ["b.png"]


def test_images_beside_several_splits_are_left_out_aloud(tmp_path, caplog):
    folder = make(tmp_path / "set", "train/a.png", "test/b.png", "masks/c.png")
    assert used(folder) == ["train/a.png"] and used(folder, split="test") == ["test/b.png"]
    assert "Left out: beside folders of splits: 1 (masks/c.png)" in caplog.text


@pytest.mark.skipif(CAN_READ_HEIC, reason="pillow-heif is installed")
def test_a_folder_of_heic_only(tmp_path):
    folder = make(tmp_path / "phone", "a.heic", "b.HEIC", content=HEIC)
    with pytest.raises(
        ValueError, match="no image that can be used. Left out: HEIC needs `pip install pillow-heif`: 2"
    ):
        load_image_dataset(str(folder))


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif")
    folder = make(tmp_path / "phone", "a.heic", "b", content=encoded(200, "HEIF", "RGB"))
    assert [decode_image(row["image"]).size for row in load_image_dataset(str(folder)).dataset] == [(4, 3)] * 2


def test_a_folder_without_permission_is_left_out(tmp_path, monkeypatch, caplog):
    folder = make(tmp_path / "set", "a.png", "closed/b.png", "open/c.png")
    (folder / "circle").symlink_to("circle")
    scan = os.scandir

    def refusing(path):
        """Refuses as the system does: root may read every folder."""
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert used(folder) == ["a.png", "open/c.png"]
    assert "closed cannot be read, and is left out: Permission denied" in caplog.text
    with pytest.raises(ValueError, match="closed` cannot be read: Permission denied"):
        load_image_dataset(str(folder / "closed"))


def test_a_folder_called_as_idx_is_a_folder(tmp_path):
    assert used(make(tmp_path / "set", "train-images-idx3-ubyte/c.png")) == ["train-images-idx3-ubyte/c.png"]


@pytest.mark.skipif(CAN_READ_HEIC, reason="can read HEIC")
@pytest.mark.parametrize("brand", [b"heic", b"msf1"])
def test_heic_under_another_name_is_called_heic(tmp_path, brand):
    folder = make(tmp_path / "phone", "a.jpg", "b", content=HEIC.replace(b"heic", brand, 1))
    assert list_folder(folder).unusable == {"HEIC needs `pip install pillow-heif`": ["b"]}
    with pytest.raises(ValueError, match="HEIC needs `pip install pillow-heif`"):
        decode_image({"path": str(folder / "a.jpg"), "bytes": None})


@pytest.mark.parametrize("name", ["photos", "digits", "procedural_faces"])
def test_a_folder_called_as_a_built_in_dataset(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name, "a.png", "b.png")
    with pytest.raises(ValueError, match=rf"`dataset_name={name}` is a built-in dataset, but.*Write `./{name}` for"):
        load_image_dataset(name)
    assert used(f"./{name}") == ["a.png", "b.png"]
    make(tmp_path / name, "model_index.json")  # the folder of a run that was called so
    if name == "digits":
        assert len(load_image_dataset(name).dataset) == 1797


def test_files_with_usual_extensions_are_not_opened(tmp_path):
    """Files with usual extensions are not opened: by their content, these would be empty files."""
    folder = make(tmp_path / "set", *(f"{i % 10}/{i}.jpg" for i in range(300)), content=b"")
    assert len(list_folder(folder).images) == 300


# ---- metadata ----


def test_images_that_metadata_does_not_list_are_used(tmp_path, caplog):
    folder = make(tmp_path / "set", *(f"{i:03d}.png" for i in range(5)))
    (folder / "metadata.csv").write_text("file_name,kind\n001,x\n000.png,cat\n002.png,dog\n../../etc/passwd,dog\n")
    assert used(folder) == [f"{i:03d}.png" for i in range(5)]
    assert "2 files of metadata.csv are missing (../../etc/passwd, 001)" in caplog.text
    assert "3 images are not listed in metadata.csv and are used without its columns (001.png, " in caplog.text
    with pytest.raises(ValueError, match="`label_column=kind`: 3 of 5 images have no class"):
        load_image_dataset(str(folder), with_labels=True, label_column="kind")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_metadata_of_every_kind(tmp_path, kind):
    folder = make(tmp_path / "set", "train/b.png", "train/01.png", "test/c.png")
    for split, rows in (("train", {"b.png": "dog", "01.png": "cat"}), ("test", {"c.png": "cat"})):
        table = Dataset.from_dict({"file_name": list(rows), "kind": list(rows.values())})
        path = folder / split / f"metadata.{kind}"
        {"csv": table.to_csv, "jsonl": table.to_json, "parquet": table.to_parquet}[kind](path)
    image_dataset = load_image_dataset(str(folder), with_labels=True, label_column="kind")
    assert [row["label"] for row in image_dataset.dataset] == [0, 1] and image_dataset.class_names == ["cat", "dog"]
    assert used(folder, split="test") == ["test/c.png"]


@pytest.mark.parametrize("values", [("1.png", "/elsewhere.png"), (1, 2)])
def test_another_column_called_image_does_not_replace_the_file(tmp_path, caplog, values):
    folder = make(tmp_path / "set", "0.png", "1.png")
    text = "".join(f"{i}.png,{value}\n" for i, value in enumerate(values))
    (folder / "metadata.csv").write_text(f"file_name,image\n{text}")
    assert used(folder) == ["0.png", "1.png"]
    assert "the column image of metadata.csv is not used" in caplog.text


def test_a_row_counts_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = make(tmp_path / "set", "0.png", "1.png")
    (folder / "metadata.csv").write_text("file_name,text\n" + "0.png,a\n" * 5 + "1.png,b\n")
    assert used(folder) == ["0.png", "1.png"]
    assert "2 image files found, 2 used" in caplog.text
    assert "4 rows of metadata.csv repeat others" in caplog.text


def test_why_folders_are_no_classes(tmp_path, caplog):
    used(make(tmp_path / "set", "cover.png", "a/0.png", "b/0.png"))
    assert "1 images lie higher or deeper than the others (cover.png)" in caplog.text


def test_a_damaged_list_of_stylegan_is_named(tmp_path, caplog):
    folder = make(tmp_path / "set", "00000/0.png")
    make(folder, "dataset.json", content=b'{"labels": [["00000/0.p')
    used(folder)
    assert "dataset.json is not used: it has no labels as StyleGAN writes them (JSONDecodeError: " in caplog.text


def test_metadata_of_pairs(tmp_path, caplog):
    folder = make(tmp_path / "set", "large/a.png", "small/a.png", "large/b.png", "small/b.png", "c.png")
    rows = [{"large_file_name": f"large/{name}.png", "small_file_name": f"small/{name}.png"} for name in "ba"]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert used(folder, image_column="small") == ["small/a.png", "small/b.png"]
    assert used(folder, image_column="large") == ["large/a.png", "large/b.png"]
    assert "Left out: not listed in metadata.jsonl: 1 (c.png)" in caplog.text


@pytest.mark.parametrize(
    "content, message",
    [
        ("{nonsense", "metadata.jsonl in .* cannot be read"),
        ('{"text": "a"}', "needs a column `file_name`. It has text"),
    ]
    + [
        ("", "metadata.jsonl in .*"),
        ('{"file_name": "a.png", "x": 1}\n{"file_name": "b.png", "x": "y"}', "metadata.jsonl"),
    ],
)
def test_damaged_metadata(tmp_path, content, message):
    folder = make(tmp_path / "set", "a.png", "b.png")
    (folder / "metadata.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_image_dataset(str(folder))


# ---- zip ----


@pytest.mark.parametrize("streaming", [False, True])
def test_zip(tmp_path, streaming):
    contents = {f"photos/{name}": encoded(value) for name, value in (("a.png", 10), ("b", 20), ("c.PNG", 30))}
    path = make_zip(tmp_path / "photos.zip", contents | {"__MACOSX/photos/._a.png": b"\0", "photos/a.txt": b"a cat"})
    for name in (path, str(tmp_path)):  # the archive, or its folder
        rows = list(load_image_dataset(name, streaming=streaming).dataset)
        assert [row["image"] for row in rows] == [
            {"bytes": data, "path": path} for path, data in sorted(contents.items())
        ]
    assert [file.name for file in tmp_path.iterdir()] == ["photos.zip"]


def test_zip_of_stylegan(tmp_path):
    names = [f"0000{i}/img{i}.png" for i in range(4)]
    labels = {"labels": [[name, label] for name, label in zip(names, (5, 0, 5, 12))]}
    contents = {name: encoded(i) for i, name in enumerate(names)}
    path = make_zip(tmp_path / "set.zip", contents | {"dataset.json": json.dumps(labels).encode()})
    image_dataset = load_image_dataset(path, with_labels=True)
    assert image_dataset.class_names == ["0", "5", "12"]
    assert [row["label"] for row in image_dataset.dataset] == [1, 0, 1, 2]
    path = make_zip(tmp_path / "unlabelled.zip", contents | {"dataset.json": b'{"labels": null}'})
    with pytest.raises(ValueError, match="no columns of type `ClassLabel`"):  # 00000, 00001, ... are no classes
        load_image_dataset(path, with_labels=True)


def test_zip_with_splits_and_classes(tmp_path):
    contents = dict.fromkeys(("train/cat/a.png", "train/dog/b.png", "test/dog/c.png"), PNG)
    path = make_zip(tmp_path / "set.zip", contents)
    image_dataset = load_image_dataset(path, split="test", with_labels=True)
    assert [row["label"] for row in image_dataset.dataset] == [1] and image_dataset.class_names == ["cat", "dog"]


def test_zip_with_the_separators_of_windows(tmp_path):
    names = [r"train\a\0.png", r"train\b\1.png", r"test\a\2.png", r"test\b\3.png"]
    path = make_zip(tmp_path / "set.zip", {"train\\": b""} | {name: encoded(i) for i, name in enumerate(names)})
    dataset = load_image_dataset(path, split="test", with_labels=True)
    assert dataset.class_names == ["a", "b"] and dataset.dataset["label"][:] == [0, 1]
    assert [decode_image(row["image"]).getpixel((0, 0)) for row in dataset.dataset] == [2, 3]


def test_another_zip_at_the_same_path_is_read(tmp_path):
    for value in (10, 20):
        path = make_zip(tmp_path / "set.zip", {"a.png": encoded(value)})
        os.utime(path, ns=(time.time_ns(), value))
        (row,) = load_image_dataset(path).dataset
        assert row["image"]["bytes"] == encoded(value)


def test_what_a_zip_must_not_do(tmp_path, caplog):
    path = Path(make_zip(tmp_path / "set.zip", {"../out.png": PNG, "a.png": PNG, "big.png": PNG, "damaged.png": PNG}))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2", 0, data.rindex(b"big.png"))
    data[entry + 24 : entry + 28] = (2**30).to_bytes(4, "little")  # declared size
    data[data.index(b"damaged.png") + 40] ^= 255
    path.write_bytes(data)
    rows = list(load_image_dataset(str(path)).dataset)
    assert [(row["image"]["path"], len(row["image"]["bytes"])) for row in rows] == [
        ("../out.png", len(PNG)),
        ("a.png", len(PNG)),
        ("damaged.png", 0),  # the decoder reports it, or skips it
    ]
    assert "Left out: more than 536,870,912 bytes: 1 (big.png)" in caplog.text
    assert "damaged.png is damaged: Bad CRC-32" in caplog.text
    assert not (tmp_path.parent / "out.png").exists()


def test_an_archive_larger_than_the_disk(tmp_path, monkeypatch):
    """A small archive can declare terabytes."""
    path = make_zip(tmp_path / "set.zip", {f"{i}.png": PNG for i in range(3)})
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * len(PNG) - 1))
    with pytest.raises(
        ValueError, match=rf"The images take {3 * len(PNG)} bytes, but .* are free in the cache folder"
    ):
        load_image_dataset(path)


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_not_a_zip(tmp_path, content):
    path = Path(make_zip(tmp_path / "set.zip", {"a.png": PNG}))
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(ValueError, match="`dataset_name=.*set.zip` is not a whole zip archive"):
        load_image_dataset(str(path))
    with pytest.raises(ValueError, match="no such file"):
        load_image_dataset(str(tmp_path / "other.zip"))


# ---- tables ----


@pytest.mark.parametrize(
    "names, train",
    [
        (["cats.parquet", "model-train.parquet", "test tubes.parquet"], 3),
        (
            [
                "data/train-00000-of-00002.parquet",
                "data/train-00001-of-00002.parquet",
                "data/test-00000-of-00001.parquet",
            ],
            2,
        ),
        (["train/a.parquet", "test/b.parquet"], 1),
        (["val-0.parquet"], 1),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_words_in_names_of_tables(tmp_path, names, train, streaming):
    folder = make(tmp_path / "tables [1]", "preview.png")
    table = Dataset.from_dict({"image": [{"bytes": PNG, "path": None}]}, features=Features({"image": Image()}))
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        table.to_parquet(folder / name)
    assert len(list(load_image_dataset(str(folder), streaming=streaming).dataset)) == train


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.tar"])
@pytest.mark.parametrize("streaming", [False, True])
def test_damaged_tables_are_named(tmp_path, name, streaming):
    make(tmp_path, name, content=b"hello" * 200)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ValueError, match="`dataset_name=.*` cannot be read: "):
            load_image_dataset(str(path), streaming=streaming)


def test_names_in_the_log_have_no_control_characters(tmp_path, caplog):
    folder = make(tmp_path / "set", "a.png", ".b\n\x1b[31m.png")
    used(folder)
    assert "\x1b" not in caplog.text and r".b\n\x1b[31m.png" in caplog.text
