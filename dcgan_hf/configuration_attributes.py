# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Attributes of conditional networks: their values, and the distribution from which values are drawn."""

import re

import torch


MAX_ATTRIBUTES = 1_000
MAX_COMBINATIONS = 1_000
_MAX_COUNT = 2**53  # float64 holds all integers up to here
_ID = "(-1|0|[1-9][0-9]{0,5})"
_COMBINATION = re.compile(f"{_ID}( {_ID})*")
# Images whose values are drawn at once: bounds the memory, and fits in a cache.
_IMAGES_AT_ONCE = 256
# Separates attribute and value in a label: "hair_color: red".
SEPARATOR = ": "


def labels_of(attributes: dict[str, list[str]]) -> dict[int, str]:
    r"""
    Returns the label of each row of the networks' tables, such as "hair_color: red".

    Args:
        attributes (`dict[str, list[str]]`):
            Names of the attributes and of their values.
    """
    labels = [f"{name}{SEPARATOR}{value}" for name, values in attributes.items() for value in values]
    return dict(enumerate(labels))


def in_order_of(labels: dict[int, str], attributes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Returns attributes in the order of their labels. JSON files of configurations sort the names."""
    names = dict.fromkeys(labels[row].partition(SEPARATOR)[0] for row in sorted(labels))
    return {name: attributes[name] for name in names if name in attributes} | attributes


def check_attributes(attributes: dict[str, list[str]]) -> None:
    """Raises a `ValueError` unless each attribute has a clear name and different values."""
    if not 0 < len(attributes) <= MAX_ATTRIBUTES:
        raise ValueError(f"`attributes` must name from 1 to {MAX_ATTRIBUTES:,} attributes, got {len(attributes):,}.")
    for name, values in attributes.items():
        if not name.strip() or SEPARATOR in name:
            raise ValueError(f"`attributes`: a name must not be empty or contain {SEPARATOR!r}, got {name!r}.")
        if not values or len(set(values)) != len(values) or not all(value.strip() for value in values):
            raise ValueError(f"`attributes`: {name!r} must have different values that are not empty, got {values}.")


def read_combinations(counts: dict[str, int], sizes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Reads how often combinations of values occur in training data.

    Args:
        counts (`dict[str, int]`):
            Number of images by combination: the ids of the values, separated by spaces, -1 for a missing value.
        sizes (`list[int]`):
            Number of values of each attribute.

    Returns:
        `tuple` of the combinations, `torch.LongTensor` of shape `(num_combinations, num_attributes)`, and their numbers
        of images, `torch.DoubleTensor` of shape `(num_combinations,)`.

    Raises:
        ValueError: if there are too many or none, or if one is not a combination of values.
    """
    if not 0 < len(counts) <= MAX_COMBINATIONS:
        raise ValueError(
            f"`combination_counts` must have from 1 to {MAX_COMBINATIONS:,} combinations, got {len(counts):,}."
        )
    rows = []
    for combination, count in counts.items():
        # As long as the largest number of classes has digits: strings of any length are not parsed.
        is_read = len(combination) <= 8 * len(sizes) and _COMBINATION.fullmatch(combination)
        row = [int(word) for word in combination.split(" ")] if is_read else []
        if len(row) != len(sizes) or any(map(int.__ge__, row, sizes)):
            raise ValueError(
                f"`combination_counts` must be of one id per attribute, below {' '.join(map(str, sizes))} or -1, got"
                f" {combination[:100]!r}."
            )
        if not 0 < count <= _MAX_COUNT:
            raise ValueError(f"`combination_counts` must be from 1 to 2^53, got {count} for {combination!r}.")
        rows.append((row, count))
    rows.sort()  # draws do not depend on the order in a file
    combinations, numbers = zip(*rows)
    return torch.tensor(combinations), torch.tensor(numbers, dtype=torch.float64)


def complete_values(
    values: torch.Tensor, numbers: torch.Tensor, sizes: list[int], counts: dict[str, int] | None
) -> torch.Tensor:
    r"""
    Draws the values that are left out, one attribute after another: as often as the training images have them that
    agree with all values so far or, if none do, as often as all images have them.

    Args:
        values (`torch.LongTensor` of shape `(batch_size, num_attributes)`):
            Ids of values, -1 for those to draw.
        numbers (`torch.Tensor` of shape `(batch_size, num_attributes)`):
            Random numbers in [0, 1).
        sizes (`list[int]`):
            Number of values of each attribute.
        counts (`dict[str, int]`, *optional*):
            See [`read_combinations`]. By default, all values are equally frequent.

    Returns:
        `torch.LongTensor` of shape `(batch_size, num_attributes)`: ids of values, at least 0.
    """
    if len(values) > _IMAGES_AT_ONCE:
        parts = zip(values.split(_IMAGES_AT_ONCE), numbers.split(_IMAGES_AT_ONCE))
        return torch.cat([complete_values(*part, sizes, counts) for part in parts])
    numbers, values, given = numbers.double(), values.clone(), values >= 0
    uniform = (numbers * torch.tensor(sizes)).long()
    if counts is None:
        return torch.where(given, values, uniform)
    combinations, weights = read_combinations(counts, sizes)
    columns = combinations.T.contiguous()

    def agree(attribute: int) -> torch.Tensor:
        return values[:, attribute, None] == columns[attribute]

    agreeing = torch.ones(len(values), len(combinations), dtype=torch.bool)
    for attribute in range(len(sizes)):
        agreeing &= agree(attribute) | ~given[:, attribute, None]
    for attribute, column in enumerate(columns):
        of_all = (column >= 0) * weights
        frequencies = agreeing * of_all
        frequencies = torch.where(frequencies.any(1, keepdim=True), frequencies, of_all)
        bounds = frequencies.cumsum(1)
        drawn = torch.searchsorted(bounds, numbers[:, attribute, None] * bounds[:, -1:], right=True)
        # Missing in all images: all values are equally frequent.
        value = column[drawn.squeeze(1)] if of_all.any() else uniform[:, attribute]
        values[:, attribute] = torch.where(given[:, attribute], values[:, attribute], value)
        agreeing &= agree(attribute)
    return values


__all__ = [
    "MAX_ATTRIBUTES",
    "MAX_COMBINATIONS",
    "SEPARATOR",
    "check_attributes",
    "complete_values",
    "in_order_of",
    "labels_of",
    "read_combinations",
]
