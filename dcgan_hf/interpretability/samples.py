# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The model that a report explains: its samples, and what is known of them."""

from dataclasses import dataclass
from typing import Any

import torch

from ..evaluation.features import ClassifierFeatures
from ..pictures import to_bytes
from ..pipeline_dcgan import DCGANPipeline
from .attributes import Attributes, describe_attributes
from .latent_space import boundary_direction


_MOST_LABELS = 4
_RAREST = 0.02  # share of samples that a label must have, or not have, to be explained


@dataclass
class Subject:
    r"""
    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of its samples.
        class_labels (`list[int]` or `None`):
            Their classes, if the model is class-conditional.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Its samples.
        real_images (`torch.ByteTensor` of shape `(num_real_images, num_channels, height, width)` or `None`):
            Images that it was trained with, if there are any at hand.
        network ([`ClassifierFeatures`] or `None`):
            A classifier of such images, if there is one.
        attributes ([`Attributes`] or `None`):
            What it says of the samples.
        labels (`list[str]`):
            The labels that are explained.
    """

    pipe: DCGANPipeline
    latents: torch.Tensor
    class_labels: list[int] | None
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
        Draws samples of a model, of a class-conditional one of all classes in turn, and asks the classifier about them.

        Args:
            pipe ([`DCGANPipeline`]):
                The model.
            num_images (`int`):
                Number of samples.
            seed (`int`):
                Seed of their latents.
            real_images (`torch.ByteTensor`, *optional*):
                Images that it was trained with.
            network ([`ClassifierFeatures`], *optional*):
                A classifier of such images.
            labels (`list[str]`, *optional*):
                Labels of the classifier to explain. By default up to four that about half of the samples have, of one attribute
                each. None of class-conditional models, whose latents do not choose the class.

        Raises:
            ValueError: if all samples have one of `labels`, or none has.
        """
        num_classes = pipe.generator.config.num_classes
        class_labels = [i % num_classes for i in range(num_images)] if num_classes else None
        latents = pipe.prepare_latents(num_images, torch.Generator().manual_seed(seed)).cpu()
        subject = cls(pipe, latents, class_labels, torch.empty(0), real_images, network, None, [])
        subject.images = subject.draw(latents)
        if network is not None:
            subject.attributes = describe_attributes(network, subject.images)
        if subject.attributes is not None and not num_classes:
            subject.labels = _most_even(subject.attributes) if labels is None else labels
            for name in subject.labels:
                number = int(subject.attributes.has(name).sum())
                if not 2 <= number <= num_images - 2:
                    raise ValueError(
                        f"`labels` must be of some samples, got {name!r}, which {number} of {num_images} have."
                    )
        return subject

    def labels_of(self, start: int, stop: int) -> list[int] | None:
        """Classes of some of the samples, as the pipeline takes them."""
        return None if self.class_labels is None else self.class_labels[start:stop]

    def draw(self, latents: torch.Tensor, class_labels: list[int] | None = None) -> torch.Tensor:
        """Images of latents, `torch.ByteTensor`, as a file would have them. Classes are by default those of the samples."""
        labels: Any = self.labels_of(0, len(latents)) if class_labels is None else class_labels
        (images,) = self.pipe(latents=latents, class_labels=labels, output_type="pt", return_dict=False)
        return to_bytes(images)

    def boundary(self, name: str) -> torch.Tensor:
        """The direction in latent space towards samples with a label, found with the first half of them."""
        assert self.attributes is not None
        half = len(self.latents) // 2
        return boundary_direction(self.latents[:half], torch.from_numpy(self.attributes.has(name)[:half]))

    def rank_correlation(self, direction: torch.Tensor, name: str) -> float:
        """Rank correlation (Spearman) of the second half of the samples along a direction with the classifier's certainty."""
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
