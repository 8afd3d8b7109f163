# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Layers of the DCGAN networks."""

from itertools import accumulate, pairwise

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from .configuration_dcgan import DCGANConfig, DCGANDiscriminatorConfig, DCGANGeneratorConfig


def apply_weight_norm(config: DCGANConfig, layer: nn.Module) -> nn.Module:
    return spectral_norm(layer) if config.norm_type == "spectral" else layer


def make_normalization(config: DCGANConfig, num_features: int) -> nn.Module:
    if config.norm_type == "batch":
        return nn.BatchNorm2d(num_features, eps=config.norm_eps)
    if config.norm_type == "group":
        return nn.GroupNorm(config.num_groups, num_features, eps=config.norm_eps)
    return nn.Identity()


def make_activation(config: DCGANConfig) -> nn.Module:
    return (
        nn.ReLU(inplace=True) if config.hidden_act == "relu" else nn.LeakyReLU(config.leaky_relu_slope, inplace=True)
    )


def rows_of_labels(config: DCGANConfig, class_labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Finds the rows of a table with one row for each value of each attribute. A class is a single attribute.

    Args:
        config ([`DCGANConfig`]):
            Configuration of a conditional network.
        class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`):
            Ids of values within their attributes, -1 for a missing one.

    Returns:
        `tuple` of the rows, `torch.LongTensor` of shape `(batch_size, num_attributes)`, and whether a value is missing,
        `torch.BoolTensor` of the same shape.
    """
    # Added as numbers, because a tensor would be copied to the device on each call.
    columns = class_labels.reshape(-1, len(config.label_sizes)).unbind(1)
    first_rows = accumulate(config.label_sizes[:-1], initial=0)
    rows = torch.stack([column + row for column, row in zip(columns, first_rows)], 1)
    is_missing = torch.stack([column < 0 for column in columns], 1)
    return rows.masked_fill(is_missing, 0), is_missing


class DCGANGeneratorStem(nn.Module):
    """
    Maps latents to the first feature map. The paper's transposed convolution on a 1x1 map is a linear layer.
    """

    def __init__(self, config: DCGANGeneratorConfig):
        super().__init__()
        self.config = config
        self.feature_shape = (config.hidden_sizes[0], config.feature_sizes[0], config.feature_sizes[0])
        widths = [config.latent_dim, *config.stem_hidden_sizes]
        if config.num_classes:
            self.class_embedding = nn.Embedding(config.num_classes, config.latent_dim)
            widths[0] *= 2
        self.hidden_layers = nn.ModuleList(
            apply_weight_norm(config, nn.Linear(*sizes, bias=config.use_bias)) for sizes in pairwise(widths)
        )
        projection = nn.Linear(widths[-1], torch.Size(self.feature_shape).numel(), bias=config.use_bias)
        self.projection = apply_weight_norm(config, projection)
        self.normalization = make_normalization(config, self.feature_shape[0]) if config.stem_norm else nn.Identity()
        self.hidden_activation = make_activation(config)
        self.activation = make_activation(config) if config.stem_activation else nn.Identity()

    def forward(self, latents: torch.Tensor, class_labels: torch.Tensor | None) -> torch.Tensor:
        hidden_states = latents
        if class_labels is not None:
            rows, is_missing = rows_of_labels(self.config, class_labels)
            embeddings = self.class_embedding(rows).masked_fill(is_missing[..., None], 0)
            hidden_states = torch.cat([latents, embeddings.sum(1, dtype=embeddings.dtype)], dim=1)
        for layer in self.hidden_layers:
            hidden_states = self.hidden_activation(layer(hidden_states))
        hidden_states = self.projection(hidden_states).unflatten(1, self.feature_shape)
        return self.activation(self.normalization(hidden_states))


class DCGANUpsampling(nn.Module):
    """Transposed convolution from `n` to `n * stride` pixels (Keras' "same"). Crops the end if the padding is odd."""

    def __init__(
        self, config: DCGANGeneratorConfig, in_channels: int, out_channels: int, kernel_size: int, stride: int
    ):
        super().__init__()
        padding, self.crop = divmod(kernel_size - stride, 2)
        convolution = nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size, stride, padding=padding, bias=config.use_bias
        )
        self.convolution = apply_weight_norm(config, convolution)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.convolution(hidden_states)
        # A slice would not be contiguous, which makes normalisation several times slower.
        return nn.functional.pad(hidden_states, (0, -self.crop, 0, -self.crop)) if self.crop else hidden_states


class DCGANDownsampling(nn.Module):
    """Strided convolution with `config.padding`."""

    def __init__(
        self,
        config: DCGANDiscriminatorConfig,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        size: int,
    ):
        super().__init__()
        total = kernel_size - stride
        if config.padding == "same":
            total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
        padding, self.extra = divmod(total, 2)
        convolution = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=padding, bias=config.use_bias)
        self.convolution = apply_weight_norm(config, convolution)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if self.extra:
            hidden_states = nn.functional.pad(hidden_states, (0, 1, 0, 1))
        return self.convolution(hidden_states)


@torch.no_grad()
def fuse_layer(layer: nn.Linear | nn.ConvTranspose2d, normalization: nn.Module) -> nn.Linear | nn.ConvTranspose2d:
    r"""
    Returns a single layer equivalent to a layer and its normalisation in evaluation mode, where batch normalisation is
    a scale and a shift per channel and spectral norms are constant. Group normalisation cannot be folded into a layer.

    Args:
        layer (`nn.Linear` or `nn.ConvTranspose2d`):
            A layer of the generator.
        normalization (`nn.Module`):
            Module that follows it.
    """
    weight, bias = layer.weight.float(), None if layer.bias is None else layer.bias.float()
    if isinstance(normalization, nn.BatchNorm2d):
        factor = normalization.weight.float() * (normalization.running_var.float() + normalization.eps).rsqrt()
        summand = normalization.bias.float() - normalization.running_mean.float() * factor
        if isinstance(layer, nn.Linear):  # the stem, whose outputs are ordered by channel, then by position
            positions = layer.out_features // len(factor)
            factor, summand = factor.repeat_interleave(positions), summand.repeat_interleave(positions)
            weight = weight * factor[:, None]
        else:
            weight = weight * factor[:, None, None]
        bias = summand if bias is None else bias * factor + summand
    # On the meta device, because the initial weights are discarded.
    fused: nn.Linear | nn.ConvTranspose2d
    if isinstance(layer, nn.Linear):
        fused = nn.Linear(layer.in_features, layer.out_features, device="meta")
    else:
        fused = nn.ConvTranspose2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, device="meta"
        )
    fused.weight = nn.Parameter(weight.to(layer.weight.dtype))
    fused.bias = None if bias is None else nn.Parameter(bias.to(layer.weight.dtype))
    return fused


__all__ = ["DCGANDownsampling", "DCGANGeneratorStem", "DCGANUpsampling"]
