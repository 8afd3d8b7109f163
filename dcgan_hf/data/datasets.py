# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loading of image datasets, and detection of their image and label columns."""

import glob
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import torch

from ..flags import DatasetArguments
from .procedural_faces import load_procedural_faces
from .seeding import seeded_generator


# scikit-learn's files, by split.
_PHOTOS = {"train": "flower.jpg", "test": "china.jpg"}
_BUILDERS = {".parquet": "parquet", ".arrow": "arrow", ".tar": "webdataset"}


@dataclass
class ImageDataset:
    """
    A dataset with known image and label columns.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            Columns "image" (encoded: `{"bytes": ..., "path": ...}`) and, with labels, "label" (`int`).
        class_names (`list[str]`, *optional*):
            Names of the classes, or `None` if labels were not requested.
        hub_id (`str`, *optional*):
            Source repository on the Hub.
    """

    dataset: datasets.Dataset | datasets.IterableDataset
    class_names: list[str] | None
    hub_id: str | None = None


def load_image_dataset(
    dataset_name: str = "digits",
    dataset_config_name: str | None = None,
    split: str = "train",
    cache_dir: str | None = None,
    streaming: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = False,
) -> ImageDataset:
    r"""
    Opens an image dataset.

    Args:
        dataset_name (`str`, *optional*, defaults to `"digits"`):
            One of
            - `"digits"`: scikit-learn's 1,797 handwritten digits of 8x8 pixels, which need no download;
            - `"procedural_faces"`: 24,000 drawn faces of 64x64 pixels with known attributes, see
              [`load_procedural_faces`];
            - `"photos"`: scikit-learn's two photographs of 640x427 pixels, one for training and one for testing;
            - a folder written by `Dataset.save_to_disk`;
            - a folder of IDX files in the layout of MNIST (`train-images-idx3-ubyte.gz`, ...);
            - another local folder that `datasets` can read (images, parquet, ...), or `.parquet`, `.arrow` or `.tar`
              (webdataset) files, with or without wildcards;
            - a repository on the Hub.
        dataset_config_name (`str`, *optional*):
            Name of the dataset's configuration, if it has several.
        split (`str`, *optional*, defaults to `"train"`):
            Split to use.
        cache_dir (`str`, *optional*):
            Cache folder of downloaded and prepared datasets.
        streaming (`bool`, *optional*, defaults to `False`):
            Whether to stream the dataset during training instead of downloading it first.
        image_column, label_column, with_labels (*optional*):
            See [`find_images`].

    Raises:
        ValueError: if the dataset, the split or a column does not exist, or if the choice of a column is ambiguous.
    """
    dataset, hub_id = _open(dataset_name, dataset_config_name, split, cache_dir, streaming)
    if streaming and isinstance(dataset, datasets.Dataset):
        dataset = dataset.to_iterable_dataset()
    return replace(find_images(dataset, image_column, label_column, with_labels), hub_id=hub_id)


def load_from_arguments(args: DatasetArguments, split: str | None = None, **options: Any) -> ImageDataset:
    r"""
    Opens the dataset specified by arguments.

    Args:
        args ([`DatasetArguments`]):
            Name, configuration, split, image column and cache folder.
        split (`str`, *optional*):
            Split to use. Defaults to that of the arguments.
        options (*optional*):
            Further arguments of [`load_image_dataset`]: `image_column`, `label_column`, `with_labels`, `streaming`.
    """
    return load_image_dataset(
        args.dataset_name,
        args.dataset_config_name,
        split=split or args.dataset_split,
        cache_dir=args.cache_dir,
        **({"image_column": args.image_column} | options),
    )


def find_images(
    dataset: datasets.Dataset | datasets.IterableDataset,
    image_column: str | None = None,
    label_column: str | None = None,
    with_labels: bool = False,
) -> ImageDataset:
    r"""
    Finds the images and labels of a dataset.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            The dataset.
        image_column (`str`, *optional*):
            Image column. Defaults to the only column of type [`datasets.Image`].
        label_column (`str`, *optional*):
            Label column. Defaults to the only column of type [`datasets.ClassLabel`].
        with_labels (`bool`, *optional*, defaults to `False`):
            Whether to load labels. If `False`, the dataset may be unlabelled.

    Raises:
        ValueError: if a column does not exist, is ambiguous, or has an unsupported type.
    """
    if not isinstance(dataset, datasets.Dataset | datasets.IterableDataset):
        splits = f". Pass one of its splits {list(dataset)}" if isinstance(dataset, dict) else ""
        raise ValueError(f"The dataset must be a `datasets.Dataset`, got a `{type(dataset).__name__}`{splits}.")
    if dataset.features is None:
        dataset = dataset._resolve_features()  # streamed files may reveal their columns only when read
    image_column = _find_column(dataset, "image_column", image_column, datasets.Image)
    if not with_labels:
        return ImageDataset(_encoded_images(dataset, {image_column: "image"}), None)

    label_column = _find_column(dataset, "label_column", label_column, datasets.ClassLabel)
    if not isinstance(dataset.features[label_column], datasets.ClassLabel):
        dataset = _as_classes(dataset, label_column)
    elif isinstance(dataset, datasets.Dataset):
        _check_classes(label_column, [label is not None and label >= 0 for label in dataset[label_column]])
    columns = {image_column: "image", label_column: "label"}
    return ImageDataset(_encoded_images(dataset, columns), dataset.features[label_column].names)


def _as_classes(dataset: datasets.Dataset | datasets.IterableDataset, label_column: str) -> datasets.Dataset:
    """Converts a column to classes: its distinct values, sorted."""
    if isinstance(dataset, datasets.IterableDataset):
        raise ValueError(
            f"`label_column={label_column}` is not a `ClassLabel`, so its classes are unknown until the whole dataset"
            " has been read. Train without `streaming`."
        )
    if not isinstance(dataset.features[label_column], datasets.Value):
        raise ValueError(f"`label_column={label_column}` must contain plain values (numbers or strings).")
    # `class_encode_column` would place class 10 right after 1 and copy the dataset, including its images.
    labels = dataset[label_column][:]
    _check_classes(label_column, [label is not None for label in labels])
    ids = {value: i for i, value in enumerate(sorted(set(labels)))}
    return dataset.remove_columns(label_column).add_column(
        label_column,
        [ids[label] for label in labels],
        feature=datasets.ClassLabel(names=[str(value) for value in ids]),
    )


def _check_classes(label_column: str, have_class: list[bool]) -> None:
    if not all(have_class):
        without = have_class.count(False)
        raise ValueError(f"`label_column={label_column}`: {without} of {len(have_class)} images have no class.")


def rename_classes(image_dataset: ImageDataset, class_names: list[str]) -> ImageDataset:
    """Renames the classes, in the order of their ids. Raises a `ValueError` unless each gets a different name."""
    known_names = image_dataset.class_names or []
    if len(class_names) != len(known_names) or len(set(class_names)) != len(class_names):
        raise ValueError(
            f"`class_names` must list a different name for each of the {len(known_names)} classes {known_names}, got"
            f" {class_names}."
        )
    return replace(image_dataset, class_names=class_names)


def choose_images(image_dataset: ImageDataset, number: int, seed: int) -> ImageDataset:
    """Returns a random subset of at most `number` images, in original order. Raises a `ValueError` for a stream."""
    dataset: Any = image_dataset.dataset
    if isinstance(dataset, datasets.IterableDataset):
        raise ValueError("A subset cannot be chosen from a stream of images. Use a `datasets.Dataset`.")
    if number >= len(dataset):
        return image_dataset
    generator = seeded_generator(seed, "subset", 0)
    chosen = torch.randperm(len(dataset), generator=generator)[:number].sort().values
    return replace(image_dataset, dataset=dataset.select(chosen.tolist()))


def _open(
    dataset_name: str, config_name: str | None, split: str, cache_dir: str | None, streaming: bool
) -> tuple[datasets.Dataset | datasets.IterableDataset, str | None]:
    """Opens a dataset. Also returns its repository if it comes from the Hub."""
    folder = Path(dataset_name).expanduser()
    is_saved = (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()
    idx_files = sorted(folder.glob("*-images-idx3-ubyte*"))
    is_file = folder.suffix in _BUILDERS and not folder.is_dir()
    if config_name is not None and (
        dataset_name in ("digits", "photos", "procedural_faces") or is_saved or idx_files or is_file
    ):
        raise ValueError(f"`dataset_config_name={config_name}`: {dataset_name!r} has no configurations.")
    if dataset_name == "digits":
        if split != "train":
            raise ValueError(f"'digits' has no split {split!r}, only 'train'.")
        return _load_digits(), None
    if dataset_name == "procedural_faces":
        return load_procedural_faces(split, cache_dir), None
    if dataset_name == "photos":
        if split not in _PHOTOS:
            raise ValueError(f"'photos' has no split {split!r}, only {list(_PHOTOS)}.")
        return _load_photo(split), None
    if is_saved:
        dataset = datasets.load_from_disk(str(folder))
        if isinstance(dataset, datasets.DatasetDict):
            if split not in dataset:
                raise ValueError(f"{dataset_name!r} has no split {split!r}, only {list(dataset)}.")
            dataset = dataset[split]
        elif split not in ("train", str(dataset.split)):
            raise ValueError(f"{dataset_name!r} has no splits, so `dataset_split={split}` cannot be used.")
        return dataset, None
    if idx_files:
        return _load_idx(idx_files, split, cache_dir), None
    if folder.is_dir():
        # Absolute: `datasets` mistakes a folder named "parquet" or "imagefolder" for one of its builders.
        path = str(folder.absolute())
        return datasets.load_dataset(path, config_name, split=split, cache_dir=cache_dir, streaming=streaming), None
    if is_file:
        if not glob.glob(str(folder), recursive=True):
            raise ValueError(f"`dataset_name={dataset_name}`: no such file.")
        files, builder = {"train": str(folder)}, _BUILDERS[folder.suffix]
        dataset = datasets.load_dataset(
            builder, data_files=files, split=split, cache_dir=cache_dir, streaming=streaming
        )
        return dataset, None
    if dataset_name.startswith((".", "/", "~")) or dataset_name.count("/") > 1:
        raise ValueError(f"`dataset_name={dataset_name}`: no such folder or {', '.join(_BUILDERS)} file.")
    try:
        dataset = datasets.load_dataset(
            dataset_name, config_name, split=split, cache_dir=cache_dir, streaming=streaming
        )
        return dataset, dataset_name
    except (ConnectionError, FileNotFoundError) as error:
        raise ValueError(
            f"`dataset_name={dataset_name}` is not a local folder, and the Hub reports: {error}"
        ) from error


def _load_digits() -> datasets.Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [PIL.Image.fromarray((image / 16 * 255).round().astype(np.uint8)) for image in digits.images]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[str(i) for i in range(10)])}
    )
    info = datasets.DatasetInfo(
        features=features,
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        license="cc-by-4.0",
    )
    return datasets.Dataset.from_dict({"image": images, "label": digits.target.tolist()}, info=info)


def _load_photo(split: str) -> datasets.Dataset:
    from sklearn.datasets import load_sample_image

    image = PIL.Image.fromarray(load_sample_image(_PHOTOS[split]))
    info = datasets.DatasetInfo(features=datasets.Features({"image": datasets.Image()}), license="cc-by-2.0")
    return datasets.Dataset.from_dict({"image": [image]}, info=info)


def _load_idx(image_files: list[Path], split: str, cache_dir: str | None) -> datasets.Dataset:
    # MNIST's files call the test split "t10k".
    images = {path.name.split("-")[0].replace("t10k", "test"): path for path in image_files}
    if split not in images:
        raise ValueError(f"{str(image_files[0].parent)!r} has no split {split!r}, only {sorted(images)}.")
    image_file = images[split]
    label_file = image_file.with_name(image_file.name.replace("-images-idx3-", "-labels-idx1-"))
    features = {"image": datasets.Image()}
    labels = None
    if label_file.is_file():
        labels = _read_idx(label_file)
        num_classes = int(labels.max()) + 1
        features["label"] = datasets.ClassLabel(names=[str(i) for i in range(num_classes)])
    return datasets.Dataset.from_generator(
        _idx_examples,
        features=datasets.Features(features),
        cache_dir=cache_dir,
        # The data instead of the paths: the arguments are the cache key, and the files at a path may change.
        gen_kwargs={"images": _read_idx(image_file), "labels": labels},
    )


def _idx_examples(images: np.ndarray, labels: np.ndarray | None) -> Iterator[dict]:
    for i, image in enumerate(images):
        example = {"image": PIL.Image.fromarray(image)}
        yield example if labels is None else example | {"label": int(labels[i])}


def _read_idx(path: Path) -> np.ndarray:
    """Reads the IDX format: two zero bytes, type (8: uint8), number of dimensions, big-endian sizes, data."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{str(path)!r} is not an IDX file of bytes.")
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def _find_column(
    dataset: datasets.Dataset | datasets.IterableDataset, argument: str, name: str | None, feature_type: type
) -> str:
    """Returns the column called `name`, or the only one of `feature_type`."""
    columns = ", ".join(f"{column} ({type(feature).__name__})" for column, feature in dataset.features.items())
    if name is not None:
        if name not in dataset.features:
            raise ValueError(f"`{argument}={name}` is not a column of the dataset. Its columns: {columns}.")
        return name
    candidates = [column for column, feature in dataset.features.items() if isinstance(feature, feature_type)]
    if len(candidates) != 1:
        raise ValueError(
            f"The dataset has {len(candidates) or 'no'} columns of type `{feature_type.__name__}`. Pass the column"
            f" as `{argument}`. Its columns: {columns}."
        )
    return candidates[0]


def _encoded_images(
    dataset: datasets.Dataset | datasets.IterableDataset, columns: dict[str, str]
) -> datasets.Dataset | datasets.IterableDataset:
    dataset = dataset.select_columns(list(columns))
    # Before renaming, which would decode and re-encode streamed images.
    image_column = next(old for old, new in columns.items() if new == "image")
    dataset = dataset.cast_column(image_column, datasets.Image(decode=False))
    return dataset.rename_columns({old: new for old, new in columns.items() if old != new})
