"""Tests of IDX files, the format of MNIST: everything wrong is named before memory is allocated."""

import gzip
import struct

import datasets
import numpy as np
import pytest

from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import decode_image


PIXELS = np.random.default_rng(0).integers(0, 256, (20, 12, 10), dtype=np.uint8)


def header(*shape: int, type: int = 8, dimensions: int | None = None) -> bytes:
    return bytes([0, 0, type, dimensions or len(shape)]) + struct.pack(f">{len(shape)}i", *shape)


IMAGES = header(*PIXELS.shape) + PIXELS.tobytes()
LABELS = header(20) + bytes(i % 3 for i in range(20))
IMAGE_FILE, LABEL_FILE = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(folder, files: dict[str, bytes]) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return str(folder)


@pytest.mark.parametrize(
    "files",
    [
        {"train-images.idx3-ubyte": IMAGES, "train-labels.idx1-ubyte": LABELS},
        {f"emnist-letters-{IMAGE_FILE}": IMAGES, f"emnist-letters-{LABEL_FILE}": LABELS},
        {IMAGE_FILE: IMAGES, f"{IMAGE_FILE}.gz": gzip.compress(IMAGES), LABEL_FILE: LABELS},
        {IMAGE_FILE: IMAGES, LABEL_FILE: LABELS, "t10k-images-idx3-ubyte": b"damaged, but not asked for"},
    ],
    ids=["dots", "prefix", "both", "other split"],
)
def test_names_of_files(tmp_path, files):
    image_dataset = load_image_dataset(write(tmp_path / "set", files), with_labels=True)
    assert [row["label"] for row in image_dataset.dataset] == [i % 3 for i in range(20)]
    assert np.array_equal(np.asarray(decode_image(image_dataset.dataset[7]["image"])), PIXELS[7])


def test_slice_and_only_split(tmp_path):
    folder = write(tmp_path / "set", {"t10k-images-idx3-ubyte.gz": gzip.compress(IMAGES)})
    for split, length in (("test[5:]", 15), ("train", 20), ("train[:3]", 3)):
        assert len(load_image_dataset(folder, split=split).dataset) == length


WRONG = {
    "header_cut": (IMAGES[:9], "ends after 9 bytes, within its header"),
    "compressed": (gzip.compress(IMAGES), "is not an IDX file of bytes"),
    "data_cut": (IMAGES[:-1], "declares 20x12x10 bytes of data and has only 2,399"),
    "data_more": (IMAGES + b"x", "declares 20x12x10 bytes of data and has more"),
    "huge": (header(2**31 - 1, 2**31 - 1, 2**31 - 1) + bytes(99), "more than the file can hold"),
    "negative": (header(-20, 12, 10) + bytes(2400), "every size must be at least 1"),
    "no_images": (header(0, 12, 10), "every size must be at least 1"),
    "float": (header(20, 12, 10, type=0x0D) + bytes(9600), "of bytes, but of numbers of type float32"),
    "int": (header(20, 12, 10, type=0x0C) + bytes(9600), "of bytes, but of numbers of type int32"),
    "dimensions": (header(20, 120) + bytes(2400), "2 dimensions instead of 3"),
    "no_gzip": (b"gz:" + IMAGES, "is not a whole gzip file"),
    "gzip_cut": (b"gz:" + gzip.compress(IMAGES)[:-30], "is not a whole gzip file"),
    "gzip_noise": (b"gz:" + gzip.compress(IMAGES)[:12] + b"noise" * 40, "is not a whole gzip file"),
    # 200 MB behind a small header are not decompressed; 100 MB that cannot be in a small file are not allocated.
    "bomb": (b"gz:" + gzip.compress(IMAGES) + gzip.compress(bytes(2**20)) * 200, "has more"),
    "lie": (b"gz:" + gzip.compress(header(10**6, 10, 10) + bytes(2400)), "more than the file can hold"),
}


@pytest.mark.parametrize("content, message", WRONG.values(), ids=WRONG)
def test_wrong_files_are_named(tmp_path, content, message):
    name = f"{IMAGE_FILE}.gz" if content.startswith(b"gz:") else IMAGE_FILE
    folder = write(tmp_path / "set", {name: content.removeprefix(b"gz:")})
    with pytest.raises(ValueError, match=rf"{name}'.*{message}"):
        load_image_dataset(folder)


@pytest.mark.parametrize(
    "labels, message",
    [
        (header(7) + bytes(7), r"ubyte' has 7 labels, but train-images-idx3-ubyte has 20 images"),
        (IMAGES, "has 3 dimensions instead of 1"),
        (LABELS[:-2], "has only 18"),
    ],
)
def test_wrong_labels(tmp_path, labels, message):
    folder = write(tmp_path / "set", {IMAGE_FILE: IMAGES, LABEL_FILE: labels})
    with pytest.raises(ValueError, match=f"train-labels.*{message}"):
        load_image_dataset(folder)


def test_two_files_of_a_split(tmp_path):
    folder = write(tmp_path / "set", {f"{kind}-{IMAGE_FILE}": IMAGES for kind in ("letters", "digits")})
    with pytest.raises(ValueError, match="two files for the split 'train': digits-train.* and letters-train"):
        load_image_dataset(folder)
