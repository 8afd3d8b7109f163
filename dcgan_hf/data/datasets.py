# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loading of image datasets, and detection of their image and label columns."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import torch

from ..flags import DatasetArguments, check_columns, did_you_mean
from ..image_processing_dcgan import array_to_pixels, check_type, rows_to_array
from .labels import attribute_values, join_columns, with_classes
from .opening import AnyDataset, open_dataset
from .seeding import seeded_generator


@dataclass
class ImageDataset:
    """
    A dataset with known image and label columns.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            Columns "image" (encoded: `{"bytes": ..., "path": ...}`, or `{"array": ..., "dtype": ...}` for columns of
            numbers) and, with labels, "label": `int`, or `list[int]` with several attributes, -1 for a missing value.
        class_names (`list[str]`, *optional*):
            Names of the classes, or `None` if no labels or several attributes were requested.
        hub_id (`str`, *optional*):
            Source repository on the Hub.
        attributes (`dict[str, list[str]]`, *optional*):
            Names of several attributes and of their values.
    """

    dataset: AnyDataset
    class_names: list[str] | None
    hub_id: str | None = None
    attributes: dict[str, list[str]] | None = None

    @property
    def has_labels(self) -> bool:
        """Whether images have a "label"."""
        return self.class_names is not None or self.attributes is not None


def load_image_dataset(
    dataset_name: str = "digits",
    dataset_config_name: str | None = None,
    split: str = "train",
    cache_dir: str | None = None,
    streaming: bool = False,
    image_column: str | None = None,
    label_column: str | list[str] | None = None,
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
            - a folder of image files, see [`open_image_files`], or a `.zip` file of such a folder;
            - an `.npz` or `.npy` file of images, see [`open_arrays`];
            - another local folder that `datasets` can read (parquet, ...), or `.parquet`, `.arrow` or `.tar`
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
    dataset, hub_id = open_dataset(dataset_name, dataset_config_name, split, cache_dir, streaming)
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
    dataset: AnyDataset,
    image_column: str | None = None,
    label_column: str | list[str] | None = None,
    with_labels: bool = False,
) -> ImageDataset:
    r"""
    Finds the images and labels of a dataset.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            The dataset.
        image_column (`str`, *optional*):
            Image column: images, encoded bytes, paths, or arrays of uint8, uint16, or floats in [0, 1]. Defaults to the
            only column of type [`datasets.Image`].
        label_column (`str` or `list[str]`, *optional*):
            Label column, or several: each is an attribute, which some images may lack. Defaults to the only column of
            type [`datasets.ClassLabel`].
        with_labels (`bool`, *optional*, defaults to `False`):
            Whether to load labels. If `False`, the dataset may be unlabelled.

    Raises:
        ValueError: if a column does not exist, is ambiguous, or has an unsupported type, or if the dataset has a
            transform.
    """
    if not isinstance(dataset, datasets.Dataset | datasets.IterableDataset):
        splits = f". Pass one of its splits {list(dataset)}" if isinstance(dataset, dict) else ""
        raise ValueError(f"The dataset must be a `datasets.Dataset`, got a `{type(dataset).__name__}`{splits}.")
    if dataset.features is None:
        dataset = dataset._resolve_features()  # streamed files may reveal their columns only when read
    if isinstance(dataset, datasets.Dataset) and dataset.format["type"] == "custom":
        raise ValueError(
            "The dataset has a transform, which would receive encoded images instead of decoded ones. Apply it"
            " beforehand with `dataset.map`, or remove it with `dataset.with_format(None)`."
        )
    dataset = dataset.with_format(None)  # tensors, data frames, ... have no use here
    image_column = _find_column(dataset, "image_column", image_column, datasets.Image)
    if not with_labels:
        return ImageDataset(_encoded_images(dataset, {image_column: "image"}), None)

    chosen = label_column if isinstance(label_column, list) else [label_column]
    label_columns = [_find_column(dataset, "label_column", name, datasets.ClassLabel) for name in chosen]
    if len(label_columns) == 1:
        dataset = with_classes(dataset, label_columns[0])
        images = _encoded_images(dataset, {image_column: "image", label_columns[0]: "label"})
        return ImageDataset(images, dataset.features[label_columns[0]].names)
    check_columns(label_columns)
    attributes, ids = attribute_values(dataset, label_columns)
    if ids is not None:
        name = f"labels of {image_column}"
        dataset = dataset.select_columns(image_column).add_column(
            name, ids, feature=datasets.List(datasets.Value("int64"))
        )
        return ImageDataset(_encoded_images(dataset, {image_column: "image", name: "label"}), None, None, attributes)
    names = {column: f"label {i}" for i, column in enumerate(label_columns)}
    images = _encoded_images(dataset, {image_column: "image"} | names)
    return ImageDataset(join_columns(images, list(names.values()), "label"), None, None, attributes)


def public_name(image_dataset: ImageDataset, dataset_name: str) -> str:
    """Returns the repository of a dataset, or the last part of its path."""
    return image_dataset.hub_id or Path(dataset_name).name


def rename_classes(image_dataset: ImageDataset, class_names: list[str]) -> ImageDataset:
    """Renames the classes, in the order of their ids. Raises a `ValueError` unless each gets a different name."""
    if image_dataset.attributes is not None:
        raise ValueError(f"`class_names={class_names}` names the classes of a single `label_column`, got several.")
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


def _find_column(dataset: AnyDataset, argument: str, name: str | None, feature_type: type) -> str:
    """Returns the column called `name`, or the only one of `feature_type`."""
    columns = ", ".join(f"{column} ({type(feature).__name__})" for column, feature in dataset.features.items())
    if name is not None:
        if name not in dataset.features:
            raise ValueError(
                f"`{argument}={name}` is not a column of the dataset. Its columns: {columns}."
                + did_you_mean(name, dataset.features)
            )
        return name
    candidates = [column for column, feature in dataset.features.items() if isinstance(feature, feature_type)]
    if len(candidates) != 1:
        lacks_labels = feature_type is datasets.ClassLabel and not candidates
        raise ValueError(
            f"The dataset has {len(candidates) or 'no'} columns of type `{feature_type.__name__}`. Pass the column"
            f" as `{argument}`. Its columns: {columns}."
            + (" A folder of images has labels if it has a folder for each class." if lacks_labels else "")
        )
    return candidates[0]


def _encoded_images(dataset: AnyDataset, columns: dict[str, str]) -> AnyDataset:
    image_column = next(old for old, new in columns.items() if new == "image")
    feature = dataset.features[image_column]
    dtype = _number_type(feature)
    dataset = dataset.select_columns(list(columns))
    renamed = {old: new for old, new in columns.items() if old != new}
    if dtype is not None:
        name = f"`image_column={image_column}`"
        check_type(dtype, name)
        for row in islice(dataset, 1):
            if row[image_column] is not None:
                array_to_pixels(rows_to_array(row[image_column], dtype, name), name)
        dataset = dataset.rename_columns(renamed)
        if isinstance(dataset, datasets.IterableDataset):
            return dataset.map(partial(_with_type, dtype=dtype), batched=True)
        return dataset.with_transform(partial(_with_type, dtype=dtype))
    if not _holds_files(feature):
        raise ValueError(
            f"`image_column={image_column}` has type {feature}. Images are of type `Image`, encoded bytes, paths, or"
            " arrays of uint8, uint16, or floats in [0, 1]."
        )
    # Before renaming, which would decode and re-encode streamed images.
    return dataset.cast_column(image_column, datasets.Image(decode=False)).rename_columns(renamed)


def _with_type(batch: dict[str, list[Any]], dtype: str) -> dict[str, list[Any]]:
    """Adds the type of its numbers to each array: rows of `datasets` are lists, which have none."""
    arrays = [None if array is None else {"array": array, "dtype": dtype} for array in batch["image"]]
    return batch | {"image": arrays}


def _holds_files(feature: Any) -> bool:
    if isinstance(feature, datasets.Value):
        return feature.dtype in ("string", "large_string", "binary", "large_binary")
    return isinstance(feature, datasets.Image) or (
        isinstance(feature, dict) and {"bytes", "path"} & {*feature} != set()
    )


def _number_type(feature: Any) -> str | None:
    """Returns the type of the numbers of an array column, such as "uint8", or `None` for other columns."""
    if isinstance(feature, datasets.Array2D | datasets.Array3D | datasets.Array4D | datasets.Array5D):
        return feature.dtype
    is_list = False
    while isinstance(feature, datasets.List | datasets.LargeList | list):
        is_list, feature = True, feature[0] if isinstance(feature, list) else feature.feature
    is_number = isinstance(feature, datasets.Value) and feature.dtype.startswith(("bool", "int", "uint", "float"))
    return feature.dtype if is_list and is_number else None
