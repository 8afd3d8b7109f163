# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Roles of single generator units, and the effect of switching them off ("forgetting to draw certain objects", Radford et
al., 2016, section 6.3.1; GAN Dissection, Bau et al., 2019, https://huggingface.co/papers/1811.10597). A unit is a
channel of one of the generator's feature maps: layer 0 is the stem's, the last one is the output layer's input.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..evaluation.features import ClassifierFeatures
from ..modeling_dcgan import DCGANGenerator
from ..pipeline_dcgan import DCGANPipeline


# Images per backward pass.
_CHUNK = 64
# Units chosen from the same gradients. One at a time takes four times as long for much the same effect (20 units of
# the stem on Fashion-MNIST: 81 % fewer sneakers instead of 83 %, 48 % fewer ankle boots instead of 42 %).
_CHOSEN_AT_ONCE = 4


@torch.no_grad()
def unit_activations(
    pipe: DCGANPipeline,
    latents: torch.Tensor,
    layer: int,
    class_labels: Any = None,
    region: tuple[int, int, int, int] | None = None,
) -> torch.Tensor:
    r"""
    Returns the mean activation of each unit over its feature map, after normalisation and activation function.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of the images.
        layer (`int`):
            Index of the feature map, from 0 (the stem's).
        class_labels (*optional*):
            Classes of the images, in the format of the pipeline. Required if the generator is class-conditional.
        region (`tuple[int, int, int, int]`, *optional*):
            Left, top, right and bottom, in image pixels, of a box to take the mean over. Each cell of the feature map
            is weighted by the fraction of it that the box covers.

    Returns:
        `torch.FloatTensor` of shape `(num_images, num_units)`, on the CPU.

    Raises:
        ValueError: if the layer does not exist, or if the box is empty or extends beyond the image.
    """
    module, _ = _feature_map(pipe.generator, layer)
    size = pipe.generator.config.image_size
    mask = torch.ones(1, 1, size, size)
    if region is not None:
        left, top, right, bottom = region
        if not (0 <= left < right <= size and 0 <= top < bottom <= size):
            raise ValueError(
                f"`region` must be (left, top, right, bottom) within an image of {size}x{size} pixels, got {region}."
            )
        mask = torch.zeros(1, 1, size, size)
        mask[..., top:bottom, left:right] = 1
    means: list[torch.Tensor] = []

    def remember(module: nn.Module, inputs: tuple, feature_map: torch.Tensor) -> None:
        height, width = feature_map.shape[-2:]
        weights = nn.functional.adaptive_avg_pool2d(mask, (height, width)).to(feature_map.device)
        means.append(((feature_map.float() * weights).sum((2, 3)) / weights.sum()).cpu())

    handle = module.register_forward_hook(remember)
    try:
        pipe(latents=latents, class_labels=class_labels, output_type="pt")
    finally:
        handle.remove()
    return torch.cat(means)


def rank_units(activations: torch.Tensor, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Ranks units by how well their activation separates images with an attribute from images without it: by the area
    under the ROC curve, which is the probability that a unit is more active on an image with it than on one without.
    This finds units that correlate with the attribute, [`most_effective_units`] those that it depends on. For small
    objects at a fixed position (glasses), use the activations there (`region`).

    Args:
        activations (`torch.Tensor` of shape `(num_images, num_units)`):
            Activations of all units, from [`unit_activations`].
        labels (`np.ndarray` of `bool`, of shape `(num_images,)`):
            Whether each image has the attribute.

    Returns:
        `tuple` of the units, best first, `torch.LongTensor` of shape `(num_units,)`, and their areas in [0, 1], in the
        same order. 0.5 is chance. Units below that are less active on images with the attribute.

    Raises:
        ValueError: if all images have the attribute, or none has.
    """
    from scipy.stats import rankdata

    _check_labels(labels, len(activations))
    ranks = rankdata(activations.float().cpu().numpy(), axis=0)  # ties get their mean rank
    num_positive = int(labels.sum())
    wins = ranks[labels].sum(0) - num_positive * (num_positive + 1) / 2
    areas = torch.from_numpy(wins / (num_positive * (len(labels) - num_positive))).float()
    areas, units = areas.sort(descending=True, stable=True)
    return units, areas


def label_log_odds(network: ClassifierFeatures, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    r"""
    Returns a differentiable function from images to a classifier's log odds of a label, for [`most_effective_units`].

    Args:
        network ([`ClassifierFeatures`]):
            The classifier, of exclusive classes or of several attributes.
        name (`str`):
            The label.

    Returns:
        `Callable`: from images in [-1, 1], `torch.Tensor` of shape `(batch_size, num_channels, height, width)`, to
        `log(p / (1 - p))` of shape `(batch_size,)`.

    Raises:
        ValueError: if the label is unknown.
    """
    if name not in network.label_names:
        raise ValueError(f"`name` must be one of {network.label_names}, got {name!r}.")
    index = network.label_names.index(name)
    others = [i for i in range(len(network.label_names)) if i != index]

    def log_odds(pixel_values: torch.Tensor) -> torch.Tensor:
        logits = network((pixel_values + 1) * 127.5)[1]
        return logits[:, index] if network.is_multi_label else logits[:, index] - logits[:, others].logsumexp(1)

    return log_odds


def most_effective_units(
    pipe: DCGANPipeline,
    latents: torch.Tensor,
    layer: int,
    score: Callable[[torch.Tensor], torch.Tensor],
    num_units: int = 20,
    class_labels: Any = None,
    candidates: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""
    Finds the units whose removal lowers a score of images most. Units are chosen greedily, by the gradient of the mean
    score with respect to a factor on each unit, with all previously chosen units switched off. (GAN Dissection,
    section 3.2, also optimises the effect of a set of units, since the best set does not consist of the best single
    units.) The units may affect other content, too: `candidates` that are active where the label is do less damage.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of images with the scored attribute, about 100 of them.
        layer (`int`):
            Index of the feature map, from 0 (the stem's).
        score (`Callable`):
            Differentiable function from images in [-1, 1], of shape `(batch_size, num_channels, height, width)`, to
            scores of shape `(batch_size,)`, such as [`label_log_odds`].
        num_units (`int`, *optional*, defaults to 20):
            Number of units.
        class_labels (*optional*):
            Classes of the images, in the format of the pipeline. Required if the generator is class-conditional.
        candidates (`torch.LongTensor` of shape `(num_candidates,)`, *optional*):
            Units to choose from, such as those that [`rank_units`] ranks first. All by default.

    Returns:
        `torch.LongTensor` of shape `(num_units,)`: the units, in the order of choice.

    Raises:
        ValueError: if the layer does not exist, or if `num_units` is out of range.
    """
    generator = pipe.generator
    module, width = _feature_map(generator, layer)
    allowed = torch.zeros(width, dtype=torch.bool)
    allowed[_check_units(range(width) if candidates is None else candidates, width, layer)] = True
    if not 1 <= num_units <= int(allowed.sum()):
        raise ValueError(
            f"`num_units` must be from 1 to {int(allowed.sum())}, the number of candidates, got {num_units}."
        )
    pipe.check_inputs(len(latents), class_labels, None, latents, None, "pt")
    inputs = pipe.prepare_latents(len(latents), latents=latents).to(generator.dtype)
    labels = None
    if class_labels is not None:
        labels = torch.tensor(pipe.get_class_ids(class_labels), device=inputs.device)
        labels = labels.expand(len(latents), *generator.config.label_shape)
    factors = torch.ones(width, device=inputs.device, dtype=inputs.dtype)
    was_training = generator.training
    generator.eval()
    chosen: list[int] = []
    try:
        while len(chosen) < num_units:
            gradient = torch.zeros(width)
            for start in range(0, len(inputs), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                switches = factors.clone().requires_grad_()
                handle = module.register_forward_hook(lambda *call: call[-1] * switches[:, None, None])  # noqa: B023
                try:
                    images = generator(inputs[chunk], None if labels is None else labels[chunk]).pixel_values
                finally:
                    handle.remove()
                # For the factors only, so that the networks accumulate no gradients.
                gradient += torch.autograd.grad(score(images).sum(), switches)[0].float().cpu()
            gradient[~allowed] = -torch.inf
            best = gradient.topk(min(_CHOSEN_AT_ONCE, num_units - len(chosen))).indices
            chosen += best.tolist()
            allowed[best] = False
            factors[best] = 0
    finally:
        generator.train(was_training)
    return torch.tensor(chosen)


@contextmanager
def switched_off(generator: DCGANGenerator, layer: int, units: Sequence[int] | torch.Tensor) -> Iterator[None]:
    r"""
    Context in which units of the generator are 0 everywhere, for every image: in the paper's words, they are dropped.
    Zero is the activation of a unit whose feature is absent. Setting units to their mean removes less and spoils more.

    Contexts of several layers can be nested. Fused generators are supported.

    Args:
        generator ([`DCGANGenerator`]):
            The generator.
        layer (`int`):
            Index of the feature map, from 0 (the stem's).
        units (`Sequence[int]` or `torch.Tensor`):
            Channels to switch off.

    Raises:
        ValueError: if the layer or a unit does not exist.

    Example:

    ```py
    >>> with switched_off(pipe.generator, 0, units):
    ...     images = pipe(latents=latents).images
    ```
    """
    module, width = _feature_map(generator, layer)
    off = torch.zeros(width, dtype=torch.bool)
    off[_check_units(units, width, layer)] = True
    handle = module.register_forward_hook(
        # Not in place: the backward pass of the activation function needs its output.
        lambda module, inputs, feature_map: feature_map.masked_fill(off[:, None, None].to(feature_map.device), 0)
    )
    try:
        yield
    finally:
        handle.remove()


@dataclass
class AblationEffect:
    r"""
    Effect of switched-off units on the labels of images.

    Args:
        before (`np.ndarray` of shape `(num_labels,)`):
            Fraction of images, in [0, 1], that have each label with all units.
        after (`np.ndarray` of shape `(num_labels,)`):
            The same without the units.
        kept (`np.ndarray` of shape `(num_labels,)`):
            Fraction of images with a label that still have it. NaN if there were none. Shows what else was lost.
    """

    before: np.ndarray
    after: np.ndarray
    kept: np.ndarray

    @property
    def relative_change(self) -> np.ndarray:
        """Relative change of each label's frequency: -1 if no image has it any more, NaN if none had it before."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.before > 0, (self.after - self.before) / self.before, np.nan)


def ablation_effect(labels_before: np.ndarray, labels_after: np.ndarray) -> AblationEffect:
    r"""
    Compares the labels of images from the same latents with and without some units.

    Inspect the images, too: a classifier was not trained on such images, and may miss faint glasses. (On drawn faces
    without the 20 units of layer 1 with the largest areas, a classifier found 95 % fewer glasses, while a template of
    glasses matched as before.)

    Args:
        labels_before (`np.ndarray` of `bool`, of shape `(num_images, num_labels)`):
            Labels of the images with all units.
        labels_after (`np.ndarray` of `bool`, of shape `(num_images, num_labels)`):
            Labels of the images generated under [`switched_off`].

    Raises:
        ValueError: if their shapes differ, or are not two-dimensional.
    """
    if labels_before.ndim != 2 or labels_before.shape != labels_after.shape:
        raise ValueError(
            "`labels_before` and `labels_after` must have the same shape (num_images, num_labels), got"
            f" {labels_before.shape} and {labels_after.shape}."
        )
    with np.errstate(invalid="ignore"):
        kept = (labels_before & labels_after).sum(0) / labels_before.sum(0)
    return AblationEffect(labels_before.mean(0), labels_after.mean(0), kept)


def remaining_difference(images_before: torch.Tensor, images_after: torch.Tensor, labels: np.ndarray) -> float:
    r"""
    Returns the fraction of the pixel difference between images with and without a label that remains when units are
    switched off. Requires no classifier, which may be wrong about unfamiliar images. The difference of the mean
    images is projected onto the difference before.

    Args:
        images_before (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images with all units.
        images_after (`torch.Tensor` of shape `(num_images, num_channels, height, width)`):
            Images of the same latents under [`switched_off`].
        labels (`np.ndarray` of `bool`, of shape `(num_images,)`):
            Whether each image had the label before.

    Returns:
        `float`: 1 if nothing was lost, 0 if the two kinds look alike on average.

    Raises:
        ValueError: if all images have the label, or none has.
    """
    _check_labels(labels, len(images_before))
    chosen = torch.from_numpy(labels)
    before, after = (
        images[chosen].float().mean(0) - images[~chosen].float().mean(0) for images in (images_before, images_after)
    )
    return float((before * after).sum() / before.square().sum())


def _feature_map(generator: DCGANGenerator, layer: int) -> tuple[nn.Module, int]:
    """Returns the module that outputs a feature map, after normalisation and activation, and its number of units."""
    widths: list[int] = list(generator.config.hidden_sizes)  # type: ignore[arg-type]  # derived by the config
    if not 0 <= layer < len(widths):
        raise ValueError(f"`layer` must be from 0 to {len(widths) - 1}, got {layer}.")
    # The stem is followed by triples of convolution, normalisation and activation function. Fusing keeps the last.
    return (generator.layers[3 * layer - 1] if layer else generator.stem), widths[layer]


def _check_units(units: Sequence[int] | torch.Tensor, width: int, layer: int) -> list[int]:
    numbers = [int(unit) for unit in units]
    wrong = [unit for unit in numbers if not 0 <= unit < width]
    if wrong:
        raise ValueError(f"Units of layer {layer} must be from 0 to {width - 1}, got {wrong}.")
    return numbers


def _check_labels(labels: np.ndarray, num_images: int) -> None:
    if labels.dtype != bool or labels.shape != (num_images,):
        raise ValueError(
            f"`labels` must be a bool array of shape ({num_images},), got {labels.dtype} of shape {labels.shape}."
        )
    if labels.all() or not labels.any():
        raise ValueError(f"`labels` must be true for some and false for others, got {labels.sum()} of {len(labels)}.")
