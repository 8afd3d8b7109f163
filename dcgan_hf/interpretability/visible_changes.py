# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Descriptions of directions in latent space by the change that they make to images: "brighter at the top"."""

import re

import torch
import torch.nn.functional as F

from ..inference.generate import labels_in_turn
from ..pipeline_dcgan import DCGANPipeline
from .latent_space import Directions


# Names that tell the method and the rank, but not the effect.
_UNTOLD = re.compile(r"(factor|component) \d+")
_NUM_SAMPLES = 8
_DISTANCE = 2.0  # coordinates of latents have a standard deviation of 1
_PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the centre", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
_COLOURS = (("redder", "more cyan"), ("greener", "more purple"), ("bluer", "yellower"))
# Shares of the mean absolute change from which a change counts as one of brightness, or of colour.
_BRIGHTNESS, _COLOUR = 0.5, 0.3


@torch.no_grad()
def describe_directions(pipe: DCGANPipeline, directions: Directions) -> list[str]:
    r"""
    Describes what changes in images that move forwards along directions, on average over a few samples: what changes
    (brightness, a colour, or the shape if pixels change in both ways), where, and the share in the squared change of
    all directions together. Directions named after a label keep its name.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        directions ([`Directions`]):
            The directions.

    Returns:
        `list[str]`: a different description for each direction, such as "Direction 1: brighter at the top (31 %)" or
        "Towards glasses (8 %)".
    """
    latents = pipe.prepare_latents(_NUM_SAMPLES, torch.Generator().manual_seed(0)).cpu()
    class_labels = labels_in_turn(pipe, _NUM_SAMPLES)
    changes = []
    for name in directions.names:
        ends = directions.move(latents, name, [-_DISTANCE, _DISTANCE]).unbind(1)
        before, after = (
            pipe(latents=end, class_labels=class_labels, output_type="pt", return_dict=False)[0].float().cpu()
            for end in ends
        )
        changes.append(after - before)
    strengths = torch.stack([change.square().mean() for change in changes])
    shares = (strengths / strengths.sum().clamp_min(1e-12)).tolist()
    described = []
    for number, (name, change, share) in enumerate(zip(directions.names, changes, shares), 1):
        is_untold = _UNTOLD.fullmatch(name) is not None
        effect = f"Direction {number}: {_kind(change)} {_place(change)}" if is_untold else f"Towards {name}"
        described.append(f"{effect} ({share:.0%})".replace("%)", " %)"))
    return described


def _kind(change: torch.Tensor) -> str:
    """Names the kind of a change of images, a tensor of shape `(num_images, num_channels, height, width)`."""
    size = change.abs().mean().clamp_min(1e-12)
    by_channel = change.mean((0, 2, 3)) / size
    brightness = by_channel.mean()
    if len(by_channel) == len(_COLOURS):
        tint = by_channel - brightness
        channel = int(tint.abs().argmax())
        if tint[channel].abs() > _COLOUR:
            more, less = _COLOURS[channel]
            return more if tint[channel] > 0 else less
    if brightness.abs() > _BRIGHTNESS:
        return "brighter" if brightness > 0 else "darker"
    return "another shape"


def _place(change: torch.Tensor) -> str:
    """Names the place of a change: the third of the rows, of the columns, or both, that has most of it."""
    thirds = F.adaptive_avg_pool2d(change.abs().mean((0, 1))[None], 3)[0]
    thirds = thirds / thirds.sum().clamp_min(1e-12)
    rows, columns = thirds.sum(1), thirds.sum(0)
    row = int(rows.argmax()) if rows.max() > 0.45 else None
    column = int(columns.argmax()) if columns.max() > 0.45 else None
    if row is None and column is None:
        return "all over"
    if row == 1 and column is None:
        return "across the middle"
    return _PLACES[1 if row is None else row][1 if column is None else column]
