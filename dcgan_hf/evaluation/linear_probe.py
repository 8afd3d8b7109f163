# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Linear classifiers on features that the discriminator learned without labels (Radford et al., 2016, section 5)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from tqdm.auto import tqdm

from ..modeling_dcgan import DCGANDiscriminator


_POOLED_SIZE = 4
_DESCRIBED_AT_ONCE = 500
# The SVM's C times the number of images, so that the values suit any number of images.
_STRENGTHS = (0.2, 1.0, 5.0, 25.0)
_IMAGES_TO_CHOOSE_WITH = 5_000
# Number of labels of the additional probes with few labels: the paper's.
_FEW_LABELS = 1_000
_FEW_LABELS_DRAWS = 5


@dataclass
class LinearProbe:
    """
    Result of a linear probe.

    Args:
        features (`str`):
            Name of the features.
        accuracy (`float`):
            Share of test images that the SVM classifies correctly.
        num_train_images (`int`):
            Number of labelled training images.
        num_test_images (`int`):
            Number of test images.
        num_features (`int`):
            Number of features of an image.
        strength (`float`):
            The SVM's C times the number of labelled images.
    """

    features: str
    accuracy: float
    num_train_images: int
    num_test_images: int
    num_features: int
    strength: float

    def __str__(self) -> str:
        return (
            f"Linear SVM on {self.features}: accuracy {self.accuracy:.1%} on {self.num_test_images:,} images,"
            f" {self.num_train_images:,} training labels"
        )


@torch.inference_mode()
def discriminator_features(discriminator: DCGANDiscriminator, images: torch.Tensor) -> np.ndarray:
    r"""
    Computes features of images from all layers of a discriminator, each max-pooled to 4x4 (smaller feature maps are
    not pooled).

    Args:
        discriminator ([`DCGANDiscriminator`]):
            The discriminator, in evaluation mode.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            The images.

    Returns:
        `np.ndarray` of shape `(num_images, num_features)`, float32.
    """
    parts = []
    for portion in tqdm(images.split(_DESCRIBED_AT_ONCE), desc="Features (discriminator)"):
        pixel_values = VaeImageProcessor.normalize(portion.to(discriminator.device).float() / 255)
        maps = discriminator(pixel_values, output_hidden_states=True).hidden_states
        pooled = [
            torch.nn.functional.adaptive_max_pool2d(map, min(_POOLED_SIZE, map.shape[-1])).flatten(1) for map in maps
        ]
        parts.append(torch.cat(pooled, 1).float().cpu().numpy())
    return np.concatenate(parts)


def linear_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    name: str = "",
    seed: int = 0,
) -> LinearProbe:
    r"""
    Trains a one-vs-rest linear L2-SVM on features and measures its accuracy. The regularisation is chosen on a
    held-out fifth of at most 5,000 training images. scikit-learn's solver takes about 32 bytes of memory per value:
    14 GB for 60,000 images and 7,168 features.

    Args:
        train_features (`np.ndarray` of shape `(num_train, num_features)`):
            Features of labelled images.
        train_labels (`np.ndarray` of shape `(num_train,)`):
            Their classes.
        test_features (`np.ndarray` of shape `(num_test, num_features)`):
            Features of test images.
        test_labels (`np.ndarray` of shape `(num_test,)`):
            Their classes.
        name (`str`, *optional*):
            Name of the features.
        seed (`int`, *optional*, defaults to 0):
            Seed of the held-out images, and of the order in which the SVM visits images.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if there are fewer than 10 labelled images, or only one class.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise ImportError(f"`linear_probe` needs scikit-learn: `pip install scikit-learn`. ({error})") from error
    if len(train_labels) < 10 or len(np.unique(train_labels)) < 2:
        raise ValueError(
            f"A linear probe needs at least 10 images of at least 2 classes, got {len(train_labels)} of"
            f" {len(np.unique(train_labels))}."
        )
    # Standardised, because the SVM's regularisation treats all features alike.
    mean, deviation = train_features.mean(0), train_features.std(0)
    scale = np.where(deviation > 0, deviation, 1)

    def accuracy(
        strength: float, known: np.ndarray, labels: np.ndarray, new: np.ndarray, answers: np.ndarray
    ) -> float:
        svm = LinearSVC(C=strength / len(labels), tol=1e-2, random_state=seed)
        return float(svm.fit((known - mean) / scale, labels).score((new - mean) / scale, answers))

    order = np.random.default_rng(seed).permutation(len(train_labels))[:_IMAGES_TO_CHOOSE_WITH]
    parts = np.split(order, [len(order) * 4 // 5])
    trial = [values for part in parts for values in (train_features[part], train_labels[part])]
    strength = max(_STRENGTHS, key=lambda value: accuracy(value, *trial))
    result = accuracy(strength, train_features, train_labels, test_features, test_labels)
    return LinearProbe(name, result, len(train_labels), len(test_labels), train_features.shape[1], strength)


def probe_discriminator(
    discriminator: DCGANDiscriminator,
    train_images: torch.Tensor,
    train_labels: np.ndarray,
    test_images: torch.Tensor,
    test_labels: np.ndarray,
) -> list[LinearProbe]:
    r"""
    Measures the accuracy of linear SVMs on a discriminator's features and on the raw pixels: with all labels and, if
    there are more than 1,000, with 1,000 of them (mean over 5 random subsets).

    Args:
        discriminator ([`DCGANDiscriminator`]):
            The discriminator, in evaluation mode.
        train_images (`torch.ByteTensor` of shape `(num_train, num_channels, height, width)`):
            Labelled images.
        train_labels (`np.ndarray` of shape `(num_train,)`):
            Their classes.
        test_images (`torch.ByteTensor` of shape `(num_test, num_channels, height, width)`):
            Test images.
        test_labels (`np.ndarray` of shape `(num_test,)`):
            Their classes.
    """
    probes = []
    for name in ("discriminator", "pixels"):
        train, test = (
            discriminator_features(discriminator, images)
            if name == "discriminator"
            else images.flatten(1).numpy().astype(np.float32)
            for images in (train_images, test_images)
        )
        probes.append(linear_probe(train, train_labels, test, test_labels, name))
        if len(train) > _FEW_LABELS:
            draws = []
            for seed in range(_FEW_LABELS_DRAWS):
                few = np.random.default_rng(seed).permutation(len(train))[:_FEW_LABELS]
                draws.append(linear_probe(train[few], train_labels[few], test, test_labels, name, seed))
            mean = float(np.mean([probe.accuracy for probe in draws]))
            probes.append(replace(draws[0], accuracy=mean))
    return probes
