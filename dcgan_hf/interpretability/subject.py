# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The model that a report explains: its samples, and what is known of them."""

from dataclasses import dataclass
from typing import Any

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from ..evaluation.features import ClassifierFeatures
from ..pipeline_dcgan import DCGANPipeline
from .attributes import Attributes, describe_attributes
from .latent_space import boundary_direction


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
    """

    pipe: DCGANPipeline
    latents: torch.Tensor
    class_labels: list[int] | None
    images: torch.Tensor
    real_images: torch.Tensor | None
    network: ClassifierFeatures | None
    attributes: Attributes | None

    @classmethod
    def of(
        cls,
        pipe: DCGANPipeline,
        num_images: int,
        seed: int,
        real_images: torch.Tensor | None = None,
        network: ClassifierFeatures | None = None,
    ) -> "Subject":
        """Draws samples of a model, of a class-conditional one of all classes in turn, and asks the classifier about them."""
        num_classes = pipe.generator.config.num_classes
        class_labels = [i % num_classes for i in range(num_images)] if num_classes else None
        latents = pipe.prepare_latents(num_images, torch.Generator().manual_seed(seed)).cpu()
        subject = cls(pipe, latents, class_labels, torch.empty(0), real_images, network, None)
        subject.images = subject.draw(latents)
        if network is not None:
            subject.attributes = describe_attributes(network, subject.images)
        return subject

    def labels_of(self, start: int, stop: int) -> list[int] | None:
        """Classes of some of the samples, as the pipeline takes them."""
        return None if self.class_labels is None else self.class_labels[start:stop]

    def draw(self, latents: torch.Tensor, class_labels: list[int] | None = None) -> torch.Tensor:
        """Images of latents, `torch.ByteTensor`, as a file would have them. Classes are by default those of the samples."""
        labels: Any = self.labels_of(0, len(latents)) if class_labels is None else class_labels
        (images,) = self.pipe(latents=latents, class_labels=labels, output_type="pt", return_dict=False)
        return (images.float() * 255).round().to(torch.uint8).cpu()

    def labels_to_explain(self, number: int) -> list[str]:
        """The labels that tell most about the samples: those nearest to half of them, of one group each if there are groups."""
        assert self.attributes is not None
        chosen: dict[str, str] = {}
        frequencies = self.attributes.frequencies()
        for name in sorted(frequencies, key=lambda name: abs(frequencies[name] - 0.5)):
            group = name.partition(":")[0] if self.attributes.is_multi_label else name
            if 0.02 < frequencies[name] < 0.98:
                chosen.setdefault(group, name)
        return list(chosen.values())[:number]

    def boundary(self, name: str) -> torch.Tensor:
        """The direction in latent space towards samples with a label, found with the first half of them."""
        assert self.attributes is not None
        half = len(self.latents) // 2
        return boundary_direction(self.latents[:half], torch.from_numpy(self.attributes.has(name)[:half]))

    def rank_correlation(self, direction: torch.Tensor, name: str) -> float:
        """How well a direction orders the second half of the samples by how sure the classifier is of a label (Spearman)."""
        from scipy.stats import spearmanr

        assert self.attributes is not None
        half = len(self.latents) // 2
        probabilities = self.attributes.probabilities[half:, self.attributes.names.index(name)]
        return float(spearmanr((self.latents[half:] @ direction).numpy(), probabilities).statistic)


def to_pil(images: torch.Tensor) -> list[PIL.Image.Image]:
    """Images of bytes, `torch.ByteTensor` of shape `(num_images, num_channels, height, width)`, for pictures."""
    return VaeImageProcessor.numpy_to_pil(images.permute(0, 2, 3, 1).numpy() / 255)
