# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Contrast of generated images. A batch-normalised discriminator without biases cannot see it: its scores do not change if
all images of a batch are multiplied by a positive number. Training does not fix this number, so it drifts, and can be
set afterwards.
"""

import torch

from ..modeling_dcgan import DCGANGenerator
from ..pictures import to_pixel_values
from .networks import copy_generator


# Range of the factor. A generator of the recipe `faces` needed 2.7 after 37,500 updates.
_LARGEST_FACTOR = 8.0
# Halvings of this range, on a logarithmic scale: more than enough for 8-bit images.
_HALVINGS = 16
# Images that are generated at once, to spare memory.
_IMAGES_AT_ONCE = 64


@torch.no_grad()
def match_contrast(
    generator: DCGANGenerator,
    images: torch.Tensor,
    latents: torch.Tensor,
    class_labels: torch.Tensor | None = None,
) -> DCGANGenerator:
    r"""
    Returns a copy of a generator whose images have the contrast of real ones: the same root mean square of pixels in
    [-1, 1], which is measured from mid-grey. The last layer's weights are multiplied by one factor, so the copy is
    saved and loaded like any generator. The factor is limited to between 1/8 and 8: a generator outside this range has
    learned too little.

    Args:
        generator ([`DCGANGenerator`]):
            The generator, without spectral normalisation, which would undo the factor.
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Real images, hundreds of them.
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of the images to compare with.
        class_labels (`torch.LongTensor` of shape `(num_images,)` or `(num_images, num_attributes)`, *optional*):
            Their labels, those of the real images.
    """
    matched = copy_generator(generator)
    outputs: list[torch.Tensor] = []  # before tanh
    hook = matched.layers[-1].register_forward_hook(lambda layer, inputs, output: outputs.append(output))
    for start in range(0, len(latents), _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        labels = None if class_labels is None else class_labels[part].to(matched.device)
        matched(latents[part].to(matched.device), labels)
    hook.remove()
    before_tanh = torch.cat(outputs).float()
    wanted = to_pixel_values(images).square().mean().item()
    low, high = 1 / _LARGEST_FACTOR, _LARGEST_FACTOR
    for _ in range(_HALVINGS):
        factor = (low * high) ** 0.5
        is_too_low = (factor * before_tanh).tanh().square().mean().item() < wanted
        low, high = (factor, high) if is_too_low else (low, factor)
    for weight in matched.layers[-1].parameters():
        weight.mul_(factor)
    return matched
