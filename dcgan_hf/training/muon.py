# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Muon, an optimizer for convolutions whose updates change all directions of a weight matrix equally."""

from typing import Any

import torch
from torch import nn

from .updates import trainable_weights


# Coefficients of the quintic iteration, chosen by Jordan for speed: singular values end near 1, not at 1.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NUM_ITERATIONS = 5
# Singular values of an update, in learning rates.
_STEP = 5.0
# Singular value of a weight that updates do not exceed. Without, and with steps of 10, a network of 12 blocks diverged
# after 3,000 updates.
_LARGEST = 4.0


class Muon(torch.optim.Adam):
    r"""
    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) for the hidden convolutions, and Adam for all
    other weights: biases, linear layers, and the convolutions that read the image and draw it.

    The update of a weight is its momentum with all singular values set to about `5 * lr`, as a matrix with one row for
    each output channel. Weight decay keeps the singular values of the weight itself below about 4 (Chen et al., 2025,
    https://huggingface.co/papers/2506.15054).

    Args:
        network (`nn.Module`):
            Network to train.
        lr (`float`):
            Learning rate of Adam's part.
        momentum (`float`, *optional*, defaults to 0.95):
            Momentum of the hidden convolutions.
        adam_options (*optional*):
            Further arguments of `torch.optim.Adam`.
    """

    def __init__(self, network: nn.Module, lr: float, momentum: float = 0.95, **adam_options: Any):
        weights = trainable_weights(network)
        hidden = [weight for weight in weights if weight.ndim == 4][1:-1]
        are_hidden = {id(weight) for weight in hidden}
        others = [weight for weight in weights if id(weight) not in are_hidden]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": hidden, "momentum": momentum}]
        super().__init__(groups, lr=lr, **adam_options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates all weights that have a gradient."""
        group = self.param_groups[1]
        weights = [weight for weight in group["params"] if weight.grad is not None]
        gradients = [weight.grad for weight in weights]
        by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for weight, gradient in zip(weights, gradients):
            state = self.state[weight]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(weight)
                state["step"] = torch.tensor(0.0)  # Adam expects it of all weights when it loads a state
            average = state["momentum_buffer"]
            average.lerp_(gradient, 1 - group["momentum"])
            direction = gradient.lerp(average, group["momentum"]).flatten(1)  # Nesterov's
            by_shape.setdefault(direction.shape, []).append((weight, direction))
            weight.grad = None  # Adam passes over it
        super().step()
        step = _STEP * group["lr"]
        for pairs in by_shape.values():
            updates = orthogonalize(torch.stack([direction for _, direction in pairs]))
            for (weight, _), update in zip(pairs, updates):
                weight.mul_(1 - step / _LARGEST).sub_(update.view_as(weight), alpha=step)
        for weight, gradient in zip(weights, gradients):
            weight.grad = gradient


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    r"""
    Sets the singular values of matrices to about 1, with a Newton-Schulz iteration: products of matrices alone.

    Args:
        matrices (`torch.Tensor` of shape `(num_matrices, height, width)`):
            The matrices.

    Returns:
        `torch.Tensor` of the same shape. Singular values lie between about 0.7 and 1.2, those near 0 below.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    result = matrices.mT if is_tall else matrices  # the smaller of the two products
    result = result / (result.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_NUM_ITERATIONS):
        product = result @ result.mT
        result = a * result + (b * product + c * product @ product) @ result
    return result.mT if is_tall else result


__all__ = ["Muon", "orthogonalize"]
