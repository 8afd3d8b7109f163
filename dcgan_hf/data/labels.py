# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Labels of image datasets: the classes of a column, or several attributes from several columns."""

import logging
from collections import Counter
from functools import partial
from typing import Any

import datasets
import torch

from ..configuration_attributes import MAX_COMBINATIONS
from .bad_images import first_reasons
from .opening import AnyDataset
from .seeding import seeded_generator


logger = logging.getLogger(__name__)

# Images whose combinations of values are counted: frequencies of a larger dataset hardly differ.
_MAX_COUNTED = 100_000


def with_classes(dataset: AnyDataset, label_column: str) -> AnyDataset:
    r"""
    Returns the dataset with a column of type `ClassLabel`, in which each image has a class.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            The dataset.
        label_column (`str`):
            Its label column. Plain values become classes: the distinct ones, sorted.

    Raises:
        ValueError: if an image has no class, or if the column has an unsupported type.
    """
    if not isinstance(dataset.features[label_column], datasets.ClassLabel):
        return _as_classes(dataset, label_column)
    if isinstance(dataset, datasets.Dataset):
        labels = dataset[label_column][:]
        _check_classes(label_column, [label is not None and label >= 0 for label in labels])
        _warn_of_empty_classes(label_column, dataset.features[label_column].names, {*labels})
    return dataset


def _as_classes(dataset: AnyDataset, label_column: str) -> datasets.Dataset:
    """Converts a column to classes: its distinct values, sorted."""
    _check_plain_values(dataset, label_column)
    # `class_encode_column` would place class 10 right after 1 and copy the dataset, including its images.
    labels = _known_values(dataset, label_column)
    _check_classes(label_column, [label is not None for label in labels])
    ids = {value: i for i, value in enumerate(sorted(set(labels)))}
    return dataset.remove_columns(label_column).add_column(
        label_column,
        [ids[label] for label in labels],
        feature=datasets.ClassLabel(names=[str(value) for value in ids]),
    )


def _known_values(dataset: datasets.Dataset, label_column: str) -> list[Any]:
    """Returns the values of a column, `None` for NaN, which differs from itself, and for an empty string, too."""
    return [None if value in (None, "") or value != value else value for value in dataset[label_column][:]]


def _check_plain_values(dataset: AnyDataset, label_column: str) -> None:
    """Raises a `ValueError` unless a column that is not a `ClassLabel` can be converted to one."""
    if isinstance(dataset, datasets.IterableDataset):
        raise ValueError(
            f"`label_column={label_column}` is not a `ClassLabel`, so its classes are unknown until the whole dataset"
            " has been read. Train without `streaming`."
        )
    if not isinstance(dataset.features[label_column], datasets.Value):
        raise ValueError(f"`label_column={label_column}` must contain plain values (numbers or strings).")


def _check_classes(label_column: str, have_class: list[bool]) -> None:
    if not all(have_class):
        without = have_class.count(False)
        raise ValueError(f"`label_column={label_column}`: {without} of {len(have_class)} images have no class.")


def _warn_of_empty_classes(label_column: str, names: list[str], used: set[int]) -> None:
    """Warns of classes that other splits or gaps between the labels add: a model cannot learn them."""
    empty = [name for i, name in enumerate(names) if i not in used]
    if empty:
        logger.warning(f"`{label_column}`: {len(empty)} of {len(names)} classes have no image: {first_reasons(empty)}")


def attribute_values(
    dataset: AnyDataset, label_columns: list[str]
) -> tuple[dict[str, list[str]], list[list[int]] | None]:
    r"""
    Reads several label columns. An image may lack values: `None`, -1 of a `ClassLabel`, NaN or an empty string.

    Args:
        dataset ([`datasets.Dataset`] or [`datasets.IterableDataset`]):
            The dataset.
        label_columns (`list[str]`):
            Its label columns. Plain values become classes, as in [`with_classes`].

    Returns:
        `tuple` of the names of each column's values, and the ids of each image's values, -1 for a missing one. A stream
        has no ids before it is read: `None`.

    Raises:
        ValueError: if a column has no values or an unsupported type.
    """
    names: dict[str, list[str]] = {}
    ids: list[list[int]] = []
    for column in label_columns:
        feature = dataset.features[column]
        is_class = isinstance(feature, datasets.ClassLabel)
        if not is_class:
            _check_plain_values(dataset, column)
        if isinstance(dataset, datasets.IterableDataset):
            names[column] = feature.names
            continue
        values = _known_values(dataset, column)
        known = {value for value in values if value is not None}
        distinct = range(len(feature.names)) if is_class else sorted(known)
        names[column] = feature.names if is_class else [str(value) for value in distinct]
        id_of = {value: i for i, value in enumerate(distinct)}
        ids.append([id_of.get(value, -1) for value in values])
        if max(ids[-1], default=-1) < 0:
            raise ValueError(f"`label_column={column}`: no image has a value.")
        _warn_of_empty_classes(column, names[column], {*ids[-1]})
    return names, [list(row) for row in zip(*ids)] if ids else None


def join_columns(dataset: datasets.IterableDataset, columns: list[str], name: str) -> datasets.IterableDataset:
    """Joins columns of class ids of a stream to one of lists, -1 for a missing id."""
    features = None
    if dataset.features is not None:
        features = datasets.Features({key: value for key, value in dataset.features.items() if key not in columns})
        features[name] = datasets.List(datasets.Value("int64"))
    return dataset.map(
        partial(_join, columns=columns, name=name), batched=True, remove_columns=columns, features=features
    )


def _join(batch: dict[str, list[Any]], columns: list[str], name: str) -> dict[str, list[list[int]]]:
    rows = zip(*(batch[column] for column in columns))
    return {name: [[-1 if value is None else max(value, -1) for value in row] for row in rows]}


def count_combinations(dataset: datasets.Dataset) -> dict[str, int]:
    r"""
    Counts the combinations of values in a random part of a dataset that has at most 1,000 different ones: all, if the
    dataset has fewer. So rare combinations are as likely to be among them as among the images.

    Args:
        dataset ([`datasets.Dataset`]):
            Dataset with a column "label" of lists of ids.

    Returns:
        `dict[str, int]`: number of images by combination, for [`DCGANGeneratorConfig`].
    """
    labels = dataset.with_format(None).select_columns("label")["label"][:]
    order = torch.randperm(len(labels), generator=seeded_generator(0, "combinations", 0))
    counts: Counter[str] = Counter()
    for index in order[:_MAX_COUNTED].tolist():
        combination = " ".join(map(str, labels[index]))
        if combination not in counts and len(counts) == MAX_COMBINATIONS:
            break
        counts[combination] += 1
    return dict(sorted(counts.items()))
