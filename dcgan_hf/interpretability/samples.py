# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Subject of a report: a model, its samples and their labels."""

from dataclasses import dataclass
from typing import Any

import torch

from ..evaluation.features import ClassifierFeatures
from ..flags import did_you_mean
from ..inference.generate import labels_in_turn
from ..pictures import to_bytes
from ..pipeline_dcgan import DCGANPipeline
from .attributes import Attributes, describe_attributes
from .latent_space import boundary_direction


_MOST_LABELS = 4
_RAREST = 0.02  # minimum fraction of samples with a label, and without it, for the label to be explained


@dataclass
class Subject:
    r"""
    Model with its samples and their labels.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of its samples.
        class_labels (`list[int]`, `list[list[int]]` or `None`):
            Classes of the samples, or values of all attributes, if the model is class-conditional.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Its samples.
        real_images (`torch.ByteTensor` of shape `(num_real_images, num_channels, height, width)` or `None`):
            Training images, if available.
        network ([`ClassifierFeatures`] or `None`):
            Classifier of such images, if available.
        attributes ([`Attributes`] or `None`):
            Labels that the classifier predicts for the samples.
        labels (`list[str]`):
            Labels to explain.
    """

    pipe: DCGANPipeline
    latents: torch.Tensor
    class_labels: list[Any] | None
    images: torch.Tensor
    real_images: torch.Tensor | None
    network: ClassifierFeatures | None
    attributes: Attributes | None
    labels: list[str]

    @classmethod
    def of(
        cls,
        pipe: DCGANPipeline,
        num_images: int,
        seed: int,
        real_images: torch.Tensor | None = None,
        network: ClassifierFeatures | None = None,
        labels: list[str] | None = None,
    ) -> "Subject":
        r"""
        Generates samples, of the classes of a class-conditional model in turn, or with values of its attributes as
        often as in the training images, and predicts their labels.

        Args:
            pipe ([`DCGANPipeline`]):
                The model.
            num_images (`int`):
                Number of samples.
            seed (`int`):
                Seed of their latents.
            real_images (`torch.ByteTensor`, *optional*):
                Training images.
            network ([`ClassifierFeatures`], *optional*):
                Classifier of such images.
            labels (`list[str]`, *optional*):
                Labels of the classifier to explain. Defaults to up to four labels, one per attribute, whose
                frequencies are closest to one half, and to none for class-conditional models: their latents may not
                determine the label.

        Raises:
            ValueError: if one of `labels` is unknown, if there is no classifier, or if fewer than 2 samples have a
                label or fewer than 2 do not.
        """
        known = [] if network is None else network.label_names
        for name in labels or []:
            if name not in known:
                near = did_you_mean(name, known)
                raise ValueError(
                    f"`labels={name}` is not a label of the classifier.{near} Labels: {', '.join(known)}."
                )
        class_labels = labels_in_turn(pipe, num_images)
        latents = pipe.prepare_latents(num_images, torch.Generator().manual_seed(seed)).cpu()
        subject = cls(pipe, latents, class_labels, torch.empty(0), real_images, network, None, [])
        subject.images = subject.draw(latents)
        if network is not None:
            subject.attributes = describe_attributes(network, subject.images)
        if subject.attributes is not None:
            subject.labels = labels or ([] if class_labels else _most_even(subject.attributes))
            for name in subject.labels:
                number = int(subject.attributes.has(name).sum())
                if not 2 <= number <= num_images - 2:
                    raise ValueError(
                        f"`labels` must apply to some samples only, got {name!r}, which {number} of {num_images} have."
                    )
        return subject

    def labels_of(self, start: int, stop: int) -> list[Any] | None:
        """Returns the classes of a range of samples, in the format of the pipeline."""
        return None if self.class_labels is None else self.class_labels[start:stop]

    def classes_of(self, indices: torch.Tensor) -> list[Any] | None:
        """Returns the classes of chosen samples, in the format of the pipeline."""
        return None if self.class_labels is None else [self.class_labels[i] for i in indices.tolist()]

    def draw(self, latents: torch.Tensor, class_labels: list[Any] | None = None) -> torch.Tensor:
        """Generates images from latents, as a `torch.ByteTensor`. Classes default to those of the samples."""
        labels: Any = self.labels_of(0, len(latents)) if class_labels is None else class_labels
        (images,) = self.pipe(latents=latents, class_labels=labels, output_type="pt", return_dict=False)
        return to_bytes(images)

    def boundary(self, name: str) -> torch.Tensor:
        """Returns the latent direction towards samples with a label, fitted to the first half of the samples."""
        assert self.attributes is not None
        half = len(self.latents) // 2
        return boundary_direction(self.latents[:half], torch.from_numpy(self.attributes.has(name)[:half]))

    def rank_correlation(self, direction: torch.Tensor, name: str) -> float:
        """Spearman correlation of position along a direction with label probability (second half of the samples)."""
        from scipy.stats import spearmanr

        assert self.attributes is not None
        half = len(self.latents) // 2
        probabilities = self.attributes.probabilities[half:, self.attributes.names.index(name)]
        return float(spearmanr((self.latents[half:] @ direction).numpy(), probabilities).statistic)


def _most_even(attributes: Attributes) -> list[str]:
    chosen: dict[str, str] = {}
    frequencies = attributes.frequencies()
    for name in sorted(frequencies, key=lambda name: abs(frequencies[name] - 0.5)):
        if _RAREST < frequencies[name] < 1 - _RAREST:
            chosen.setdefault(attributes.group_of(name) if attributes.is_multi_label else name, name)
    return list(chosen.values())[:_MOST_LABELS]
