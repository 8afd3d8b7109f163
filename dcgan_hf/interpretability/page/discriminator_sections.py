# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sections of an explanation page on the discriminator and on training."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch

from ...modeling_dcgan import DCGANDiscriminator
from ...pictures import comparison_grid, to_pil, to_pixel_values
from ..attribution import METHODS, attribute, blurred, most_fake_boxes
from ..filters import patch_grid, top_patches, untrained
from ..history import draw_history, load_history
from ..samples import Subject
from .html import Picture, Section


_COLUMNS = 8
_NUM_PATCHED_IMAGES = 2000
_NUM_FILTERS = 6
_FAKE_SHARE = 4  # the least real region is a square, its side a quarter of the image's


def attribution_section(subject: Subject) -> Section:
    """Shows the pixels that make images look real or fake to the discriminator."""
    discriminator = subject.pipe.discriminator
    pictures, numbers = [], {}
    kinds = {"generated": (subject.images, subject.labels_of(0, _COLUMNS))}
    if subject.real_images is not None and subject.class_labels is None:
        kinds = {"real": (subject.real_images, None)} | kinds
    for kind, (images, class_labels) in kinds.items():
        pixel_values = to_pixel_values(images[:_COLUMNS])
        labels = None if class_labels is None else torch.tensor(class_labels)
        # The baseline is the blurred image: grey squares look fake themselves.
        attributions = {
            method: attribute(discriminator, pixel_values, method, labels, baseline=blurred(pixel_values))
            for method in METHODS
        }
        size = max(2, pixel_values.shape[2] // _FAKE_SHARE)
        boxes = most_fake_boxes(attributions["occlusion"], size)
        rows = {kind: to_pil(images[:_COLUMNS])}
        rows |= {method.replace("_", " "): signed_maps(values) for method, values in attributions.items()}
        rows["least real region"] = [_framed(image, box) for image, box in zip(rows[kind], boxes.tolist())]
        # All in RGB: some rows are coloured.
        pictures.append(
            Picture.of_image(
                comparison_grid({name: [image.convert("RGB") for image in row] for name, row in rows.items()}),
                f"Attribution maps of {kind} images",
                f"{kind.capitalize()} images. Red pixels raise the discriminator's score, blue pixels lower it.",
            )
        )
        logits = _logits(discriminator, images[:512], subject.labels_of(0, min(512, len(images))))
        numbers[f"mean logit of {kind} images"] = float(logits.mean())
    means = ", ".join(f"{name.removeprefix('mean logit of ')} {value:+.2f}" for name, value in numbers.items())
    return Section(
        "Guided backpropagation shows the pixels that raise the score. Integrated gradients and occlusion also show"
        f" those that lower it. A frame marks the region that looks least real. Mean score (logit): {means}.",
        pictures,
        numbers=numbers,
    )


def filters_section(subject: Subject) -> Section:
    """Shows the image patches with the highest activations of trained and random filters (figure 5 of the paper)."""
    discriminator = subject.pipe.discriminator
    images = subject.images if subject.real_images is None else subject.real_images
    pixel_values = to_pixel_values(images[:_NUM_PATCHED_IMAGES])
    random = untrained(discriminator)
    pictures, numbers = [], {}
    for layer in range(1, len(discriminator.layers)):
        for network, name in ((discriminator, "trained"), (random, "random")):
            patches = top_patches(
                network, pixel_values, layer, min(_NUM_FILTERS, discriminator.config.hidden_sizes[layer])
            )
            pictures.append(
                Picture.of_image(
                    patch_grid(patches).convert("RGB"),
                    f"Top patches of {name} filters in layer {layer + 1}, and their guided gradients",
                    f"Layer {layer + 1}, {name} filters, one per row: patches on the left, gradients on the right.",
                )
            )
            numbers[f"layer {layer + 1}, {name}: filters"] = patches.filters
    return Section(
        "Each row shows the patches on which one filter is most active, at most one per image, out of"
        f" {len(pixel_values):,} {'generated' if subject.real_images is None else 'real'} images. The guided gradients"
        " show the pattern that the filter responds to. Filters with random weights are shown for comparison, as in"
        " the DCGAN paper.",
        pictures,
        numbers=numbers,
    )


def training_section(folder: Path) -> Section:
    """Plots the training log."""
    history = load_history(folder)
    troubles = [f"{trouble.start}-{trouble.end}: {trouble.diagnosis}" for trouble in history.troubles]
    return Section(
        "Statistics from the training log. " + ("Steps with a warning are marked." if troubles else "No warnings."),
        [
            Picture.of_figure(
                draw_history(history),
                "Losses, logits and other statistics by training step",
                "Statistics by training step.",
            )
        ],
        ["warning"] if troubles else [],
        [[trouble] for trouble in troubles],
        {
            "last values": {name: float(series.values[-1]) for name, series in history.series.items()},
            "warnings": troubles,
        },
    )


def signed_maps(attributions: torch.Tensor) -> list[PIL.Image.Image]:
    r"""
    Returns attributions as images: red where positive, blue where negative, white where 0. Each image has its own
    scale.

    Args:
        attributions (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            Attributions, see [`attribute`].
    """
    sums = attributions.sum(1).cpu()
    scales = sums.abs().flatten(1).quantile(0.99, dim=1).clamp_min(1e-12)[:, None, None]
    strengths = (sums / scales).clamp(-1, 1)
    colors = torch.stack([1 - (-strengths).clamp_min(0), 1 - strengths.abs(), 1 - strengths.clamp_min(0)], dim=1)
    return to_pil((colors * 255).round().to(torch.uint8))


@torch.no_grad()
def _logits(discriminator: DCGANDiscriminator, images: torch.Tensor, class_labels: list[Any] | None) -> np.ndarray:
    was_training = discriminator.training
    discriminator.eval()
    labels = None if class_labels is None else torch.tensor(class_labels, device=discriminator.device)
    pixel_values = to_pixel_values(images).to(discriminator.device, discriminator.dtype)
    logits = discriminator(pixel_values, labels).logits
    discriminator.train(was_training)
    return logits.float().cpu().numpy()


def _framed(image: PIL.Image.Image, box: list[int]) -> PIL.Image.Image:
    framed = image.convert("RGB")
    left, top, right, bottom = box
    PIL.ImageDraw.Draw(framed).rectangle((left, top, right - 1, bottom - 1), outline=(230, 40, 40))
    return framed
