# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Diagnostics of both networks: gradients, logits, weights, activations. They are collected between two updates and leave
no trace in the networks: a run with diagnostics has the same weights, bit for bit, as one without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import get_total_norm
from torch.nn.utils.parametrize import is_parametrized

from .augmentation import diff_augment
from .updates import GAN, Batch


# Of the logits, in percent.
QUANTILES = (5, 25, 50, 75, 95)

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU)


@torch.no_grad()
def collect_diagnostics(gan: GAN, batch: Batch) -> dict[str, float]:
    r"""
    Collects diagnostics of both networks after an update. All processes must call it, because batch normalisation may
    span all of them.

    Args:
        gan ([`GAN`]):
            The networks, with the gradients of the update, which the update strategies leave in place.
        batch ([`Batch`]):
            Images and latents of the update. Logits and activations are those of the updated networks in training
            mode, that is with the statistics of this batch.

    Returns:
        `dict[str, float]`: values by name, of this process. `<network>` is "generator" or "discriminator", `<layer>`
        the name of a linear layer or a convolution in it, such as "layers.0.convolution":

        - `diagnostics/<network>/gradient_norm`: norm of the gradient of all weights;
        - `diagnostics/<network>/gradient_norm/<layer>`: norm of the gradient of a layer's weights;
        - `diagnostics/<network>/spectral_norm/<layer>`: largest singular value of the weight, as a matrix with one row
          per output channel, before spectral normalisation. A sharp rise accompanies collapse (Brock et al., 2019,
          https://huggingface.co/papers/1809.11096, section 4.1);
        - `diagnostics/<network>/stable_rank/<layer>`: sum of the squared singular values, divided by the largest of
          them (Sanyal et al., 2020, https://huggingface.co/papers/1906.04659, section 2);
        - `diagnostics/<network>/activation_mean/<layer>`, `activation_std/<layer>`: mean and standard deviation of the
          output of the activation function after a layer;
        - `diagnostics/<network>/dead_units/<layer>`: share of its channels that are positive nowhere in any image;
        - `diagnostics/real_logits/q05`, `q25`, `q50`, `q75`, `q95` and `diagnostics/fake_logits/...`: quantiles of the
          logits.
    """
    generator = gan.accelerator.unwrap_model(gan.generator)
    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    with _watch_activations(generator) as generator_activations:
        fake = _call_in_copy(generator, *batch.generator_inputs).pixel_values
    images = [batch.pixel_values, fake]
    if gan.augmentations:
        assert batch.augmentation is not None
        images = [diff_augment(*pair, gan.augmentations) for pair in zip(images, batch.augmentation)]
    with _watch_activations(discriminator) as discriminator_activations:
        logits = [_call_in_copy(discriminator, shown, batch.class_labels).logits for shown in images]

    values: dict[str, torch.Tensor] = {}
    for name, network, activations in (
        ("diagnostics/generator", generator, generator_activations),
        ("diagnostics/discriminator", discriminator, discriminator_activations),
    ):
        layers = {layer: module for layer, module in network.named_modules() if isinstance(module, _LAYERS)}
        values[f"{name}/gradient_norm"] = _gradient_norm(network)
        values |= {f"{name}/gradient_norm/{layer}": _gradient_norm(module) for layer, module in layers.items()}
        spectra = {layer: _spectrum(module) for layer, module in layers.items()}
        values |= {f"{name}/spectral_norm/{layer}": spectrum[0] for layer, spectrum in spectra.items()}
        values |= {f"{name}/stable_rank/{layer}": spectrum[1] for layer, spectrum in spectra.items()}
        values |= {f"{name}/{statistic}": value for statistic, value in _summarize(activations).items()}
    for name, scores in zip(("real_logits", "fake_logits"), logits):
        shares = torch.tensor(QUANTILES, device=scores.device) / 100
        for percent, value in zip(QUANTILES, scores.float().flatten().quantile(shares)):
            values[f"diagnostics/{name}/q{percent:02d}"] = value
    return dict(zip(values, torch.stack(list(values.values())).tolist()))  # synchronises with the device once


def _call_in_copy(network: nn.Module, *inputs: Any) -> Any:
    """Runs a forward pass in training mode, on copies of the network's running statistics and singular vectors."""
    return functional_call(network, {name: buffer.clone() for name, buffer in network.named_buffers()}, inputs)


@contextmanager
def _watch_activations(network: nn.Module) -> Iterator[dict[str, list[tuple[torch.Tensor, ...]]]]:
    """
    Collects the mean, the mean square and a mask of the units that are positive somewhere, for each activation
    function and forward pass. They are keyed by the preceding layer, because activation modules may be shared and work
    in place.
    """
    found: dict[str, list[tuple[torch.Tensor, ...]]] = {}
    layer_before = ""

    def note_layer(name: str) -> Any:
        def hook(*_: Any) -> None:
            nonlocal layer_before
            layer_before = name

        return hook

    def note_activation(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        units = output.float().transpose(0, 1).flatten(1)
        moments = (units.mean(), units.square().mean(), units.amax(1) > 0)
        found.setdefault(layer_before, []).append(moments)

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, _LAYERS):
            hooks.append(module.register_forward_hook(note_layer(name)))
        elif isinstance(module, _ACTIVATIONS):
            hooks.append(module.register_forward_hook(note_activation))
    try:
        yield found
    finally:
        for handle in hooks:
            handle.remove()


def _summarize(activations: dict[str, list[tuple[torch.Tensor, ...]]]) -> dict[str, torch.Tensor]:
    """Returns the statistics over all forward passes, which all had the same number of images."""
    values = {}
    for layer, passes in activations.items():
        means, mean_squares, positive = (torch.stack(moments) for moments in zip(*passes))
        mean = values[f"activation_mean/{layer}"] = means.mean()
        values[f"activation_std/{layer}"] = (mean_squares.mean() - mean.square()).clamp_min(0).sqrt()
        values[f"dead_units/{layer}"] = 1 - positive.any(0).float().mean()
    return values


def _gradient_norm(module: nn.Module) -> torch.Tensor:
    gradients = [weight.grad.float() for weight in module.parameters() if weight.grad is not None]
    return get_total_norm(gradients) if gradients else next(module.parameters()).new_zeros(())  # of frozen layers


def _spectrum(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns spectral norm and stable rank, from the Gram matrix of the rows or the columns, whichever is smaller."""
    weight = (layer.parametrizations.weight.original if is_parametrized(layer) else layer.weight).float()
    matrix = (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)
    products = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    largest = torch.linalg.eigvalsh(products)[-1]
    return largest.sqrt(), products.trace() / largest
