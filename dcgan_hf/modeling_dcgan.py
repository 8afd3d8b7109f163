# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""DCGAN generator and discriminator (Radford et al., 2016, https://huggingface.co/papers/1511.06434)."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_dcgan import DCGANConfig, DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .modeling_dcgan_base import DCGANPreTrainedModel
from .modeling_dcgan_layers import (
    DCGANDownsampling,
    DCGANGeneratorStem,
    DCGANUpsampling,
    apply_weight_norm,
    fuse_layer,
    make_activation,
    make_normalization,
    rows_of_labels,
)


@dataclass
class DCGANGeneratorOutput(ModelOutput):
    """
    Output of a [`DCGANGenerator`].

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, image_size, image_size)`):
            Generated images, values in [-1, 1].
    """

    pixel_values: torch.Tensor | None = None


@dataclass
class DCGANDiscriminatorOutput(ModelOutput):
    """
    Output of a [`DCGANDiscriminator`].

    Args:
        last_hidden_state (`torch.Tensor` of shape `(batch_size, hidden_sizes[-1], height, width)`):
            Feature map of the last convolution.
        logits (`torch.Tensor` of shape `(batch_size,)` or, if patchwise, `(batch_size, height, width)`, *optional*):
            Score of each image, or of each patch: the higher, the more real. `logits.sigmoid()` is the probability of
            being real. `None` if the discriminator is class-conditional and no `class_labels` were passed.
        pooler_output (`torch.Tensor` of shape `(batch_size, hidden_sizes[-1])`):
            Spatial mean of the last feature map.
        hidden_states (`tuple[torch.Tensor]`, *optional*, returned when `output_hidden_states=True`):
            Feature maps of all convolutions, after normalisation and activation function.
    """

    last_hidden_state: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    pooler_output: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


def _check_class_labels(config: DCGANConfig, class_labels: torch.Tensor | None) -> None:
    if (class_labels is None) != (config.num_classes == 0):
        raise ValueError(
            f"This network has `num_classes={config.num_classes}`, so `class_labels`"
            f" {'must be given' if class_labels is None else 'must not be given'}."
        )
    if class_labels is not None and tuple(class_labels.shape[1:]) != config.label_shape:
        shape = ", ".join(map(str, ("batch_size", *config.label_shape)))
        raise ValueError(f"`class_labels` must have shape ({shape}), got {tuple(class_labels.shape)}.")


class DCGANGenerator(DCGANPreTrainedModel):
    r"""
    Generator of a DCGAN: a linear stem, then transposed convolutions up to the image. Inherits from
    [`PreTrainedModel`], which documents loading, saving and moving to a device.

    Args:
        config ([`DCGANGeneratorConfig`]):
            Configuration of the network. To load weights, use [`~DCGANGenerator.from_pretrained`].

    Example:

    ```python
    >>> import torch
    >>> from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig

    >>> model = DCGANGenerator(DCGANGeneratorConfig())
    >>> model(torch.randn(2, 100)).pixel_values.shape
    torch.Size([2, 3, 64, 64])
    ```
    """

    config: DCGANGeneratorConfig
    config_class = DCGANGeneratorConfig
    main_input_name = "latents"

    def __init__(self, config: DCGANGeneratorConfig):
        super().__init__(config)
        self.stem = DCGANGeneratorStem(config)
        layers: list[nn.Module] = []
        channels = [*config.hidden_sizes, config.num_channels]
        for i, (kernel_size, stride) in enumerate(zip(config.kernel_sizes, config.strides)):
            layers.append(DCGANUpsampling(config, channels[i], channels[i + 1], kernel_size, stride))
            if i < len(config.strides) - 1:
                layers += [make_normalization(config, channels[i + 1]), make_activation(config)]
        self.layers = nn.ModuleList(layers)
        self._unfused_layers: dict[str, nn.Module] = {}
        self.post_init()

    def fuse(self) -> None:
        r"""
        Folds batch normalisation into the preceding layers and spectral normalisation into the weights. Sampling gets
        faster and the images are the same, except for rounding. A fused generator can neither be trained nor saved.
        [`~DCGANGenerator.unfuse`] undoes it.

        Raises:
            ValueError: if the generator is in training mode, where batch normalisation depends on the batch.
        """
        if self.training:
            raise ValueError("A generator in training mode cannot be fused. Call `eval()` first.")
        if self._unfused_layers:
            return
        pairs = {f"stem.hidden_layers.{i}": "" for i in range(len(self.stem.hidden_layers))}
        pairs["stem.projection"] = "stem.normalization"
        for i in range(0, len(self.layers), 3):
            pairs[f"layers.{i}.convolution"] = f"layers.{i + 1}" if i + 1 < len(self.layers) else ""
        for layer_name, normalization_name in pairs.items():
            layer = self._unfused_layers[layer_name] = self.get_submodule(layer_name)
            normalization = self.get_submodule(normalization_name) if normalization_name else nn.Identity()
            self.set_submodule(layer_name, fuse_layer(layer, normalization))
            if isinstance(normalization, nn.BatchNorm2d):
                self._unfused_layers[normalization_name] = normalization
                self.set_submodule(normalization_name, nn.Identity())

    def unfuse(self) -> None:
        """Undoes [`~DCGANGenerator.fuse`]: restores the original layers, on the generator's current device."""
        device = self.device
        for name, layer in self._unfused_layers.items():
            self.set_submodule(name, layer.to(device))
        self._unfused_layers = {}

    @contextmanager
    def fused(self) -> Iterator[None]:
        """Context manager that fuses the generator in evaluation mode, and restores its previous state on exit."""
        was_training, was_fused = self.training, bool(self._unfused_layers)
        self.eval()
        self.fuse()
        try:
            yield
        finally:
            if not was_fused:
                self.unfuse()
            self.train(was_training)

    def train(self, mode: bool = True) -> "DCGANGenerator":
        """Sets training or evaluation mode, see [`~torch.nn.Module.train`]. A fused generator cannot be trained."""
        if mode and self._unfused_layers:
            raise ValueError("A fused generator cannot be trained. Call `unfuse()` first.")
        return super().train(mode)

    @functools.wraps(PreTrainedModel.save_pretrained)  # diffusers inspects the argument names
    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        if self._unfused_layers:
            raise ValueError("A fused generator cannot be saved. Call `unfuse()` first.")
        super().save_pretrained(*args, **kwargs)

    @can_return_tuple
    def forward(
        self, latents: torch.Tensor, class_labels: torch.Tensor | None = None
    ) -> DCGANGeneratorOutput | tuple[torch.Tensor]:
        r"""
        Generates images.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
                Latent variables, sampled from N(0, 1) in training.
            class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`, *optional*):
                Class ids in [0, `num_classes`) or, with several attributes, ids of values within each attribute; -1
                for a missing one, which adds nothing. Required if the network is class-conditional, not
                supported otherwise.
            return_dict (`bool`, *optional*):
                Whether to return a [`DCGANGeneratorOutput`] instead of a plain tuple.

        Returns:
            [`DCGANGeneratorOutput`] or `tuple`: images of shape `(batch_size, num_channels, image_size, image_size)`
            in [-1, 1].

        Raises:
            ValueError: if `latents` have the wrong shape, or if `class_labels` are missing or passed to an
                unconditional network.
        """
        _check_class_labels(self.config, class_labels)
        if latents.ndim != 2 or latents.shape[1] != self.config.latent_dim:
            raise ValueError(
                f"`latents` must have shape (batch_size, {self.config.latent_dim}), got {tuple(latents.shape)}."
            )
        hidden_states = self.stem(latents, class_labels)
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return DCGANGeneratorOutput(pixel_values=hidden_states.tanh())


class DCGANEncoder(DCGANPreTrainedModel):
    """Strided convolutions that the discriminator and the classifier share."""

    config: DCGANDiscriminatorConfig
    config_class = DCGANDiscriminatorConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def __init__(self, config: DCGANDiscriminatorConfig):
        super().__init__(config)
        channels = [config.num_channels, *config.hidden_sizes]
        input_sizes = [config.image_size, *config.feature_sizes]
        self.layers = nn.ModuleList()
        for i, (kernel_size, stride) in enumerate(zip(config.kernel_sizes, config.strides)):
            convolution = DCGANDownsampling(config, channels[i], channels[i + 1], kernel_size, stride, input_sizes[i])
            # The paper does not normalise the layer next to the image (section 3).
            normalization = make_normalization(config, channels[i + 1]) if i else nn.Identity()
            self.layers.append(nn.Sequential(convolution, normalization, make_activation(config)))
        self.num_features = channels[-1] * input_sizes[-1] ** 2

    def encode(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        r"""
        Returns the feature maps of all convolutions, after normalisation and activation function.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, image_size, image_size)`):
                Images, values in [-1, 1]. Any height and width if the network is patchwise.

        Raises:
            ValueError: if the shape of `pixel_values` does not match the configuration.
        """
        expected_shape = (self.config.num_channels, self.config.image_size, self.config.image_size)
        if self.config.patchwise:
            if pixel_values.ndim != 4 or pixel_values.shape[1] != self.config.num_channels:
                raise ValueError(
                    f"`pixel_values` must have shape (batch_size, {self.config.num_channels}, height, width), got"
                    f" {tuple(pixel_values.shape)}."
                )
        elif tuple(pixel_values.shape[1:]) != expected_shape:
            raise ValueError(
                f"`pixel_values` must have shape (batch_size, {', '.join(map(str, expected_shape))}), got"
                f" {tuple(pixel_values.shape)}."
            )
        hidden_states = [pixel_values]
        for layer in self.layers:
            hidden_states.append(layer(hidden_states[-1]))
        return tuple(hidden_states[1:])


class DCGANDiscriminator(DCGANEncoder):
    r"""
    Discriminator of a DCGAN: strided convolutions down to a small feature map, which a linear layer scores. (The
    paper's last convolution covers the whole map, so it is a linear layer.) A class-conditional discriminator adds the
    inner product of the feature map and a label embedding to the score (projection discriminator, Miyato & Koyama,
    2018, https://huggingface.co/papers/1802.05637), one for each attribute if there are several. A patchwise
    discriminator has a convolutional head. Inherits from [`PreTrainedModel`], which documents loading, saving and moving
    to a device.

    Args:
        config ([`DCGANDiscriminatorConfig`]):
            Configuration of the network. To load weights, use [`~DCGANDiscriminator.from_pretrained`].

    Example:

    ```python
    >>> import torch
    >>> from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig

    >>> model = DCGANDiscriminator(DCGANDiscriminatorConfig())
    >>> model(torch.zeros(2, 3, 64, 64)).logits.shape
    torch.Size([2])
    ```
    """

    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]
    _own_head = r"^(head|class_projection)\."

    def __init__(self, config: DCGANDiscriminatorConfig):
        super().__init__(config)
        head: nn.Module = nn.Linear(self.num_features, 1, bias=config.use_bias)
        if config.patchwise:
            head = nn.Conv2d(config.hidden_sizes[-1], 1, 3, padding=1, bias=config.use_bias)
        self.head = apply_weight_norm(config, head)
        if config.num_classes:
            # Embeddings in a bias-free linear layer, so that they are initialised and normalised like the head.
            self.class_projection = apply_weight_norm(
                config, nn.Linear(self.num_features, config.num_classes, bias=False)
            )
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        class_labels: torch.Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> DCGANDiscriminatorOutput | tuple:
        r"""
        Scores images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, image_size, image_size)`):
                Images, values in [-1, 1]. Any height and width if the network is patchwise.
            class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`, *optional*):
                Class ids in [0, `num_classes`) or, with several attributes, ids of values within each attribute; -1
                for a missing one, which adds nothing. Required for the `logits` of a class-conditional network.
            output_hidden_states (`bool`, *optional*, defaults to `False`):
                Whether to return the feature maps of all convolutions.
            return_dict (`bool`, *optional*):
                Whether to return a [`DCGANDiscriminatorOutput`] instead of a plain tuple.

        Returns:
            [`DCGANDiscriminatorOutput`] or `tuple`: the last feature map, the logits (not probabilities) of shape
            `(batch_size,)` or, if patchwise, `(batch_size, height, width)`, the spatial mean of the last feature map,
            and all feature maps if requested.

        Raises:
            ValueError: if the shape of `pixel_values` does not match the configuration, or if `class_labels` are
                passed to an unconditional network.
        """
        if class_labels is not None:
            _check_class_labels(self.config, class_labels)
        hidden_states = self.encode(pixel_values)
        features = hidden_states[-1] if self.config.patchwise else hidden_states[-1].flatten(1)
        logits = None
        if class_labels is not None or not self.config.num_classes:
            logits = self.head(features).squeeze(1)
        if class_labels is not None:
            rows, is_missing = rows_of_labels(self.config, class_labels)
            products = self.class_projection(features).gather(1, rows).masked_fill(is_missing, 0)
            logits = logits + products.sum(1, dtype=products.dtype)
        return DCGANDiscriminatorOutput(
            last_hidden_state=hidden_states[-1],
            logits=logits,
            pooler_output=hidden_states[-1].mean((2, 3)),
            hidden_states=hidden_states if output_hidden_states else None,
        )


__all__ = [
    "DCGANDiscriminator",
    "DCGANDiscriminatorOutput",
    "DCGANEncoder",
    "DCGANGenerator",
    "DCGANGeneratorOutput",
]
