# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Real images for comparison, and feature extraction in one or several processes."""

import hashlib
import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from ..configuration_attributes import labels_of
from ..data.bad_images import first_reasons
from ..data.datasets import ImageDataset
from ..data.decoding import Decoder
from ..data.loaders import ResidentLoader, Shard
from ..files import replacing
from ..hardware import CACHE_FOLDER
from ..inference.generate import classes_in_turn, divide_work, labels_of_images
from ..pipeline_dcgan import DCGANPipeline
from ..processes import gather, is_main_process, process_index, wait_for_everyone
from .features import FeatureNetwork, Features
from .measure import AskedFor, check_enough_images


logger = logging.getLogger(__name__)

# Number of images that a process works on at a time.
_DESCRIBED_AT_ONCE = 64
# Default cache folder for the features of real images.
FEATURE_CACHE = CACHE_FOLDER / "features"


def decode_images(image_dataset: ImageDataset, decoder: Decoder) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Decodes a dataset on the CPU. Returns its images, a `torch.ByteTensor` of shape `(num_images, num_channels,
    height, width)`, and its labels, if it was loaded with labels. Logs how many images were skipped."""
    shard = Shard(1, seed=0, process_index=process_index())
    decoded = ResidentLoader.decode(image_dataset, decoder, shard, torch.device("cpu"))
    if decoder.bad_images and is_main_process():
        number = len(image_dataset.dataset)
        bad = first_reasons(sorted(decoder.bad_images))
        logger.warning(f"Left out {len(decoder.bad_images):,} of {number:,} images, which cannot be read: {bad}")
    return decoded.images, decoded.labels


def check_before_describing(network: FeatureNetwork, real_images: torch.Tensor, num_images: int) -> None:
    """Raises a `ValueError` if there are too few images for the network's features. Runs it on one image only."""
    num_features = features_of(network, real_images[:1]).features.shape[1]
    check_enough_images(network, num_features, len(real_images), num_images)


def labels_asked_for(network: FeatureNetwork, pipe: DCGANPipeline, num_images: int, seed: int = 0) -> list[AskedFor]:
    r"""
    Returns the labels that generated images should have, as far as a classifier tells them.

    Args:
        network ([`FeatureNetwork`]):
            The classifier: of as many classes as the model has, or of labels such as "glasses: yes".
        pipe ([`DCGANPipeline`]):
            The model.
        num_images (`int`):
            Number of images that [`generate_images`] made.
        seed (`int`, *optional*, defaults to 0):
            Base seed of the images.
    """
    config = pipe.generator.config
    if not config.num_classes or network.label_names is None:
        return []
    labels = np.array(labels_of_images(pipe, range(num_images), seed, classes_in_turn(config)))
    if config.attributes is None:
        is_known = network.class_names is not None and len(network.class_names) == config.num_classes
        return [AskedFor("class", list(range(config.num_classes)), labels)] if is_known else []
    asked_for = []
    for (name, values), of_attribute in zip(config.attributes.items(), labels.T):
        names = labels_of({name: values}).values()
        if network.is_multi_label and set(names) <= set(network.label_names):
            asked_for.append(AskedFor(name, [network.label_names.index(label) for label in names], of_attribute))
    return asked_for


def features_of(
    network: FeatureNetwork, images: torch.Tensor, cache_dir: Path | None = None, show_progress: bool = False
) -> Features:
    r"""
    Computes the features of images. All processes share the work.

    Args:
        network ([`FeatureNetwork`]):
            The network.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            The images, the same in all processes.
        cache_dir (`Path`, *optional*):
            Cache folder for the features. They are reused for the same network and images.
        show_progress (`bool`, *optional*, defaults to `False`):
            Whether to show a progress bar.
    """
    path = None
    if cache_dir is not None:
        digest = hashlib.sha256(images.contiguous().numpy().data)
        digest.update(f"{tuple(images.shape)} {network.fingerprint}".encode())
        path = cache_dir / f"{digest.hexdigest()}.npz"
        cached = _read_features(path)
        # Another process may see a file that this one does not.
        if all(gather([cached is not None])) and cached is not None:
            return cached

    @torch.inference_mode()
    def describe(start: int, stop: int) -> Features:
        features, logits = network(images[start:stop])
        probabilities = logits.float().sigmoid() if network.is_multi_label else logits.float().softmax(1)
        return Features(features.float().cpu().numpy(), probabilities.cpu().numpy())

    parts = divide_work(describe, len(images), _DESCRIBED_AT_ONCE, f"Features ({network.name})", show_progress)
    features = Features(*(np.concatenate(values) for values in zip(*parts)))
    if path is not None and is_main_process():
        with replacing(path) as temporary:
            np.savez(temporary, **features._asdict())
    wait_for_everyone()
    return features


def _read_features(path: Path) -> Features | None:
    """Returns cached features, or `None`, with a warning for a damaged file."""
    if not path.is_file():
        return None
    try:
        with np.load(path) as file:
            return Features(file["features"], file["probabilities"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        logger.warning(f"{path} is damaged ({type(error).__name__}: {error}). The features are computed again.")
        return None
