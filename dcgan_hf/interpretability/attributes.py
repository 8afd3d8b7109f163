# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Which image has what, as a classifier says: of one class each (clothes), or of several attributes at once (faces with glasses,
with red hair). Both kinds answer alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..evaluation.features import ClassifierFeatures
from ..evaluation.images import features_of


# Group of all classes of a classifier that knows one class per image.
CLASS_GROUP = "class"
# Between attribute and value in a label: "hair_color: red".
_SEPARATOR = ": "


@dataclass
class Attributes:
    r"""
    What is on images. Labels of several attributes are named "hair_color: red": those of one attribute are a group, of which an
    image has one value. Exclusive classes are one group, called "class".

    Args:
        names (`list[str]`):
            Names of the labels.
        probabilities (`np.ndarray` of shape `(num_images, num_labels)`):
            Probabilities in [0, 1] of each label.
        is_multi_label (`bool`):
            Whether an image can have several labels. Otherwise the labels are classes that exclude each other.
    """

    names: list[str]
    probabilities: np.ndarray
    is_multi_label: bool

    def has(self, name: str) -> np.ndarray:
        r"""
        Which images have a label: with a probability above 0.5, or, of exclusive classes, as the most probable one.

        Args:
            name (`str`):
                The label.

        Returns:
            `np.ndarray` of `bool`, of shape `(num_images,)`.

        Raises:
            ValueError: if there is no such label.
        """
        if name not in self.names:
            raise ValueError(f"`name` must be one of {self.names}, got {name!r}.")
        index = self.names.index(name)
        return self.probabilities[:, index] > 0.5 if self.is_multi_label else self.probabilities.argmax(1) == index

    @property
    def groups(self) -> dict[str, list[str]]:
        """The groups, and the names of their values. A label without a colon belongs to none, unless classes are exclusive."""
        if not self.is_multi_label:
            return {CLASS_GROUP: self.names}
        groups: dict[str, list[str]] = {}
        for name in self.names:
            group, separator, value = name.partition(_SEPARATOR)
            if separator:
                groups.setdefault(group, []).append(value)
        return groups

    def group_of(self, name: str) -> str:
        """The group of a label. One that belongs to none is one of its own."""
        return name.partition(_SEPARATOR)[0] if self.is_multi_label else CLASS_GROUP

    def value(self, group: str) -> np.ndarray:
        r"""
        The most probable value of a group.

        Args:
            group (`str`):
                One of [`~Attributes.groups`].

        Returns:
            `np.ndarray` of `int`, of shape `(num_images,)`: numbers in the group's list of values.

        Raises:
            ValueError: if there is no such group.
        """
        return self.probabilities[:, self._columns(group)].argmax(1)

    def is_seen(self, group: str) -> np.ndarray:
        r"""
        Which images show something of a group: those that have one of its labels. A bald head has no colour of hair.

        Args:
            group (`str`):
                One of [`~Attributes.groups`].

        Returns:
            `np.ndarray` of `bool`, of shape `(num_images,)`.

        Raises:
            ValueError: if there is no such group.
        """
        return np.any([self.has(self.names[column]) for column in self._columns(group)], axis=0)

    def frequencies(self) -> dict[str, float]:
        """The share of images in [0, 1] that have each label."""
        return {name: float(self.has(name).mean()) for name in self.names}

    def _columns(self, group: str) -> list[int]:
        if group not in self.groups:
            raise ValueError(f"`group` must be one of {list(self.groups)}, got {group!r}.")
        start = f"{group}{_SEPARATOR}" if self.is_multi_label else ""
        return [i for i, name in enumerate(self.names) if name.startswith(start)]


def describe_attributes(network: ClassifierFeatures, images: torch.Tensor) -> Attributes:
    r"""
    Asks a classifier what is on images.

    Args:
        network ([`ClassifierFeatures`]):
            The classifier, of exclusive classes or of several attributes ([`train_classifier`] trains both).
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            The images, grey or RGB, of any size.
    """
    return Attributes(network.label_names, features_of(network, images).probabilities, network.is_multi_label)


def attribute_targets(labels: torch.Tensor, class_names: dict[str, list[str]]) -> tuple[list[str], torch.Tensor]:
    r"""
    What a classifier of several attributes is to learn.

    Args:
        labels (`torch.LongTensor` of shape `(num_images, num_attributes)`):
            The class of each attribute.
        class_names (`dict[str, list[str]]`):
            Names of the attributes, and of their classes.

    Returns:
        `tuple` of the names of all labels ("hair_color: red") and, for each of them, the target 0 or 1: `torch.FloatTensor` of
        shape `(num_images, num_labels)`.
    """
    names = [f"{attribute}{_SEPARATOR}{name}" for attribute, classes in class_names.items() for name in classes]
    one_hot = [F.one_hot(column, len(classes)) for column, classes in zip(labels.T, class_names.values())]
    return names, torch.cat(one_hot, 1).float()
