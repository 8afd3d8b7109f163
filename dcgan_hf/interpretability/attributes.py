# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Labels that a classifier assigns to images: one class per image (clothes), or several attributes at once (faces with
glasses, with red hair). Both kinds share one interface.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..configuration_attributes import SEPARATOR, labels_of
from ..evaluation.features import ClassifierFeatures
from ..evaluation.images import features_of


# Group of all labels of a classifier with exclusive classes.
CLASS_GROUP = "class"


@dataclass
class Attributes:
    r"""
    Predicted labels of images. Labels of several attributes are named like "hair_color: red". The labels of one
    attribute form a group, and an image has one value per group. Exclusive classes form one group, called "class".

    Args:
        names (`list[str]`):
            Names of the labels.
        probabilities (`np.ndarray` of shape `(num_images, num_labels)`):
            Probability of each label, in [0, 1].
        is_multi_label (`bool`):
            Whether an image can have several labels. Otherwise, the labels are mutually exclusive classes.
    """

    names: list[str]
    probabilities: np.ndarray
    is_multi_label: bool

    def has(self, name: str) -> np.ndarray:
        r"""
        Returns the images that have a label: its probability exceeds 0.5 or, for exclusive classes, is the highest.

        Args:
            name (`str`):
                The label.

        Returns:
            `np.ndarray` of `bool`, of shape `(num_images,)`.

        Raises:
            ValueError: if the label is unknown.
        """
        if name not in self.names:
            raise ValueError(f"`name` must be one of {self.names}, got {name!r}.")
        index = self.names.index(name)
        return self.probabilities[:, index] > 0.5 if self.is_multi_label else self.probabilities.argmax(1) == index

    @property
    def groups(self) -> dict[str, list[str]]:
        """Groups and the names of their values. Labels without a colon have none, unless classes are exclusive."""
        if not self.is_multi_label:
            return {CLASS_GROUP: self.names}
        groups: dict[str, list[str]] = {}
        for name in self.names:
            group, separator, value = name.partition(SEPARATOR)
            if separator:
                groups.setdefault(group, []).append(value)
        return groups

    def group_of(self, name: str) -> str:
        """Returns the group of a label, or the label itself if it belongs to none."""
        return name.partition(SEPARATOR)[0] if self.is_multi_label else CLASS_GROUP

    def value(self, group: str) -> np.ndarray:
        r"""
        Returns the most probable value of a group for each image.

        Args:
            group (`str`):
                One of [`~Attributes.groups`].

        Returns:
            `np.ndarray` of `int`, of shape `(num_images,)`: indices into the group's list of values.

        Raises:
            ValueError: if the group is unknown.
        """
        return self.probabilities[:, self._columns(group)].argmax(1)

    def is_seen(self, group: str) -> np.ndarray:
        r"""
        Returns the images that have any label of a group. A bald head, for example, has no hair colour.

        Args:
            group (`str`):
                One of [`~Attributes.groups`].

        Returns:
            `np.ndarray` of `bool`, of shape `(num_images,)`.

        Raises:
            ValueError: if the group is unknown.
        """
        return np.any([self.has(self.names[column]) for column in self._columns(group)], axis=0)

    def frequencies(self) -> dict[str, float]:
        """Returns the fraction of images, in [0, 1], that have each label."""
        return {name: float(self.has(name).mean()) for name in self.names}

    def _columns(self, group: str) -> list[int]:
        if group not in self.groups:
            raise ValueError(f"`group` must be one of {list(self.groups)}, got {group!r}.")
        start = f"{group}{SEPARATOR}" if self.is_multi_label else ""
        return [i for i, name in enumerate(self.names) if name.startswith(start)]


def describe_attributes(network: ClassifierFeatures, images: torch.Tensor) -> Attributes:
    r"""
    Predicts the labels of images with a classifier.

    Args:
        network ([`ClassifierFeatures`]):
            The classifier, of exclusive classes or of several attributes ([`train_classifier`] trains both).
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Images of any size, grey or RGB.
    """
    return Attributes(network.label_names, features_of(network, images).probabilities, network.is_multi_label)


def attribute_targets(labels: torch.Tensor, class_names: dict[str, list[str]]) -> tuple[list[str], torch.Tensor]:
    r"""
    Builds the training targets of a classifier of several attributes.

    Args:
        labels (`torch.LongTensor` of shape `(num_images, num_attributes)`):
            Class of each attribute.
        class_names (`dict[str, list[str]]`):
            Names of the attributes and of their classes.

    Returns:
        `tuple` of the names of all labels ("hair_color: red") and their targets, 0 or 1: `torch.FloatTensor` of shape
        `(num_images, num_labels)`.
    """
    names = list(labels_of(class_names).values())
    one_hot = [F.one_hot(column, len(classes)) for column, classes in zip(labels.T, class_names.values())]
    return names, torch.cat(one_hot, 1).float()
