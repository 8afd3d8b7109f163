# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Pixel attributions of a discriminator or classifier: the contribution of each pixel to a score of its image. The
networks stay unchanged: all computations use float32 copies in evaluation mode.
"""

import copy
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from ..modeling_dcgan import DCGANEncoder
from ..modeling_dcgan_classification import DCGANForImageClassification
from ..pipeline_dcgan import MAX_PIXELS_PER_FORWARD


Method = Literal["guided_backprop", "integrated_gradients", "occlusion"]
METHODS: tuple[Method, ...] = ("guided_backprop", "integrated_gradients", "occlusion")
# Points between baseline and image at which gradients are computed.
_INTEGRATION_STEPS = 64
# Side of the occluding square as a fraction of the image's side. Neighbouring squares are half a side apart.
_OCCLUDED_SHARE = 1 / 8


@dataclass
class Units:
    r"""
    One unit of a feature map per image, for [`attribute`] to explain instead of a logit.

    Args:
        layer (`int`):
            Index of the convolution, from 0 (the one that sees the image). The unit's activation is taken after
            normalisation and activation function.
        filters (`torch.LongTensor` of shape `(batch_size,)`):
            Channel of each unit.
        positions (`torch.LongTensor` of shape `(batch_size, 2)`):
            Row and column of each unit in the feature map.
    """

    layer: int
    filters: torch.Tensor
    positions: torch.Tensor


class _Score(nn.Module):
    """Score to explain, one per image. A module, as captum requires."""

    def __init__(self, network: DCGANEncoder, layer: int):
        super().__init__()
        self.network = network
        self.layer = layer

    def forward(
        self,
        pixel_values: torch.Tensor,
        class_labels: torch.Tensor | None,
        filters: torch.Tensor | None,
        positions: torch.Tensor | None,
    ) -> torch.Tensor:
        if filters is not None and positions is not None:
            maps = self.network.encode(pixel_values)[self.layer]
            return maps[torch.arange(len(maps), device=maps.device), filters, positions[:, 0], positions[:, 1]]
        if isinstance(self.network, DCGANForImageClassification) and class_labels is not None:
            return self.network(pixel_values).logits.gather(1, class_labels[:, None]).squeeze(1)
        logits = self.network(pixel_values, class_labels).logits
        return logits.flatten(1).mean(1) if self.network.config.patchwise else logits


class _GuidedLeakyReLU(nn.ReLU):
    """Leaky ReLU with the gradient of a ReLU. Captum removes its negative gradients, as it does for any `nn.ReLU`."""

    def __init__(self, negative_slope: float):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        positive = input.relu()
        return positive + (nn.functional.leaky_relu(input, self.negative_slope) - positive).detach()


@torch.inference_mode(False)  # even if the caller is in inference mode
@torch.enable_grad()
def attribute(
    network: DCGANEncoder,
    pixel_values: torch.Tensor,
    method: Method,
    class_labels: torch.Tensor | None = None,
    units: Units | None = None,
    baseline: float | torch.Tensor = 0.0,
) -> torch.Tensor:
    r"""
    Returns the contribution of each pixel to a score of its image: positive where the pixel raises the score, negative
    where it lowers it. The score is

    - for a discriminator, its logit: how real the image looks (the mean logit of all patches if it is patchwise);
    - for a classifier, the logit of `class_labels`;
    - for either, the activation of `units`, if given.

    Args:
        network ([`DCGANDiscriminator`] or [`DCGANForImageClassification`]):
            The network.
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images, values in [-1, 1]. Any number of them: they are processed in chunks.
        method (`str`):
            - `"guided_backprop"` (Springenberg et al., 2015, https://huggingface.co/papers/1412.6806, section 3.4;
              DCGAN paper, section 6.2): the gradient without paths through units that are negative or lower the score.
              Sharp, but shows only what raises the score. Leaky ReLUs keep their values but pass gradients like ReLUs.
            - `"integrated_gradients"` (Sundararajan et al., 2017, https://huggingface.co/papers/1703.01365,
              section 3): the mean gradient between baseline and image, times their difference. The attributions add up
              to the difference of their scores, up to an error of a few hundredths (64 integration points).
            - `"occlusion"` (Zeiler & Fergus, 2014, https://huggingface.co/papers/1311.2901, section 4.2): the drop in
              score when the baseline replaces a square around the pixel, whose side is an eighth of the image's.
        class_labels (`torch.LongTensor` of shape `(batch_size,)` or `(batch_size, num_attributes)`, *optional*):
            Class of each image, or its values of several attributes, -1 for a missing one. Required by classifiers and
            class-conditional discriminators, unless `units` is given.
        units ([`Units`], *optional*):
            Units to explain instead of a logit.
        baseline (`float` or `torch.Tensor` that broadcasts to `pixel_values`, *optional*, defaults to 0.0):
            Image without content that integrated gradients and occlusion compare with. 0 is mid-grey. Use -1 (black)
            for objects on a black background, and [`blurred`] images to find fake-looking regions, as a grey square
            looks fake itself.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_channels, height, width)`, float32, on the network's device.

    Raises:
        ValueError: if the method or unit does not exist, or if `class_labels` are missing or unexpected.
    """
    from captum.attr import GuidedBackprop, IntegratedGradients, Occlusion

    if method not in METHODS:
        raise ValueError(f"`method` must be one of {list(METHODS)}, got {method!r}.")
    _check_target(network, pixel_values, class_labels, units)
    score = _Score(evaluation_copy(network), 0 if units is None else units.layer)
    if method == "guided_backprop":
        for name, module in list(score.named_modules()):
            if isinstance(module, nn.LeakyReLU):
                score.set_submodule(name, _GuidedLeakyReLU(module.negative_slope))
    device = network.device
    pixel_values = pixel_values.detach().to(device, torch.float32)
    baselines = torch.as_tensor(baseline, device=device, dtype=torch.float32).expand_as(pixel_values)
    targets = [class_labels, *((None, None) if units is None else (units.filters, units.positions))]
    targets = [None if target is None else target.to(device).clone() for target in targets]
    side = max(1, round(_OCCLUDED_SHARE * min(pixel_values.shape[2:])))
    chunk_size = max(1, MAX_PIXELS_PER_FORWARD // pixel_values[0, 0].numel())
    results = []
    for start in range(0, len(pixel_values), chunk_size):
        chunk = slice(start, start + chunk_size)
        inputs, references = pixel_values[chunk].clone(), baselines[chunk]
        arguments = tuple(None if target is None else target[chunk] for target in targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum warns that it sets hooks, as expected
            if method == "guided_backprop":
                result = GuidedBackprop(score).attribute(inputs, additional_forward_args=arguments)
            elif method == "integrated_gradients":
                result = IntegratedGradients(score).attribute(
                    inputs,
                    references,
                    additional_forward_args=arguments,
                    n_steps=_INTEGRATION_STEPS,
                    internal_batch_size=chunk_size,
                )
            else:
                with torch.no_grad():
                    result = Occlusion(score).attribute(
                        inputs,
                        (inputs.shape[1], side, side),
                        strides=(inputs.shape[1], max(1, side // 2), max(1, side // 2)),
                        baselines=references,
                        additional_forward_args=arguments,
                        perturbations_per_eval=max(1, chunk_size // len(inputs)),
                    )
        results.append(result.detach().float())
    return torch.cat(results)


def blurred(pixel_values: torch.Tensor) -> torch.Tensor:
    r"""
    Blurs images, for a baseline without details (Fong & Vedaldi, 2017, https://huggingface.co/papers/1704.03296,
    section 4.1). The standard deviation of the Gaussian is a tenth of the shorter side. Border pixels are replicated.

    Args:
        pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Images, values in [-1, 1].
    """
    deviation = min(pixel_values.shape[2:]) / 10
    radius = round(3 * deviation)
    places = torch.arange(-radius, radius + 1, device=pixel_values.device, dtype=torch.float32)
    kernel = (-(places**2) / (2 * deviation**2)).exp()
    kernel /= kernel.sum()
    planes = nn.functional.pad(pixel_values.float(), (radius,) * 4, mode="replicate").flatten(0, 1).unsqueeze(1)
    smooth = nn.functional.conv2d(nn.functional.conv2d(planes, kernel[None, None, None]), kernel[None, None, :, None])
    return smooth.view_as(pixel_values)


def region_share(attributions: torch.Tensor, box: tuple[int, int, int, int]) -> torch.Tensor:
    r"""
    Returns the fraction of the absolute attribution that lies in a region. Chance is its fraction of the pixels.

    Args:
        attributions (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Attributions from [`attribute`].
        box (`tuple[int, int, int, int]`):
            Left, top, right and bottom in pixels, the last two exclusive.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`: fractions in [0, 1]. 0 for an image whose attributions are all 0.

    Raises:
        ValueError: if the box is empty or extends beyond the image.
    """
    left, top, right, bottom = box
    height, width = attributions.shape[2:]
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(
            f"`box` must be (left, top, right, bottom) within an image of {width}x{height} pixels, got {box}."
        )
    sizes = attributions.abs().sum(1)
    inside = sizes[:, top:bottom, left:right].sum((1, 2))
    return inside / sizes.sum((1, 2)).clamp_min(torch.finfo(sizes.dtype).tiny)


def most_fake_boxes(attributions: torch.Tensor, size: int) -> torch.Tensor:
    r"""
    Finds the most fake-looking square of each image: the one whose pixels, in total, lower the logit most.

    Args:
        attributions (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Attributions from [`attribute`] for a discriminator, by a method with negative values (`"occlusion"` or
            `"integrated_gradients"`). Avoid a grey baseline, which looks fake itself: use [`blurred`] images, or -1
            for objects on a black background. Neither is better for all artefacts.
        size (`int`):
            Side of the square in pixels.

    Returns:
        `torch.LongTensor` of shape `(batch_size, 4)`: left, top, right and bottom in pixels, the last two exclusive.

    Raises:
        ValueError: if the square is larger than the image.
    """
    height, width = attributions.shape[2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(f"`size` must be from 1 to {min(height, width)}, the image's shorter side, got {size}.")
    sums = nn.functional.avg_pool2d(attributions.sum(1, keepdim=True), size, stride=1)
    lowest = sums.flatten(1).argmin(1)
    top, left = lowest // sums.shape[3], lowest % sums.shape[3]
    return torch.stack([left, top, left + size, top + size], 1)


def evaluation_copy(network: DCGANEncoder) -> DCGANEncoder:
    """Returns a frozen float32 copy in evaluation mode, so that the network itself stays unchanged."""
    return copy.deepcopy(network).eval().float().requires_grad_(False)


def check_layer(network: DCGANEncoder, layer: int) -> int:
    """Returns the number of filters of a layer. Raises a `ValueError` if the network has no such convolution."""
    widths: list[int] = list(network.config.hidden_sizes)  # type: ignore[arg-type]  # derived by the config
    if not 0 <= layer < len(widths):
        raise ValueError(f"`layer` must be from 0 to {len(widths) - 1}, got {layer}.")
    return widths[layer]


def _check_target(
    network: DCGANEncoder, pixel_values: torch.Tensor, class_labels: torch.Tensor | None, units: Units | None
) -> None:
    if units is not None:
        num_filters = check_layer(network, units.layer)
        if class_labels is not None:
            raise ValueError("`class_labels` cannot be combined with `units`. Pass only one of them.")
        if units.filters.min() < 0 or units.filters.max() >= num_filters:
            raise ValueError(
                f"`units.filters` must be from 0 to {num_filters - 1} for layer {units.layer}, got"
                f" {units.filters.tolist()}."
            )
        if len(units.filters) != len(pixel_values) or len(units.positions) != len(pixel_values):
            raise ValueError(
                f"`units` must contain one unit for each of the {len(pixel_values)} images, got"
                f" {len(units.filters)} filters and {len(units.positions)} positions."
            )
        size = network.config.feature_sizes[units.layer]
        if units.positions.min() < 0 or units.positions.max() >= size:
            raise ValueError(
                f"`units.positions` must be rows and columns from 0 to {size - 1} for layer {units.layer}, got"
                f" {units.positions.tolist()}."
            )
        return
    is_classifier = isinstance(network, DCGANForImageClassification)
    sizes = [network.config.num_labels] if is_classifier else network.config.label_sizes
    if (class_labels is None) != (not sizes):
        raise ValueError(
            f"The network has {sum(sizes)} classes, so `class_labels`"
            f" {'must be given' if class_labels is None else 'must not be given'}."
        )
    if class_labels is not None and len(class_labels) != len(pixel_values):
        raise ValueError(
            f"`class_labels` must contain one class per image ({len(pixel_values)}), got {len(class_labels)}."
        )
    shape = () if is_classifier else network.config.label_shape
    if class_labels is not None and tuple(class_labels.shape[1:]) != shape:
        expected = (len(pixel_values), *shape)
        raise ValueError(f"`class_labels` must have shape {expected}, got {tuple(class_labels.shape)}.")
    smallest = -1 if shape else 0  # an image may lack an attribute
    for column, size in zip([] if class_labels is None else class_labels.reshape(-1, len(sizes)).T.tolist(), sizes):
        if not all(smallest <= label < size for label in column):
            raise ValueError(f"`class_labels` must be from {smallest} to {size - 1}, got {column}.")
