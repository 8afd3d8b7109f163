# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Conversion of any image to the square image that a network of given size and channels takes."""

from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from transformers import BatchFeature
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import ChannelDimension, SizeDict, infer_channel_dimension_format
from transformers.processing_utils import ImagesKwargs


ResizeMode = Literal["crop", "pad"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def convert_channels(image: PIL.Image.Image, num_channels: int) -> PIL.Image.Image:
    r"""
    Converts an image of any mode to 8-bit grey, RGB or RGBA.

    Transparent images are composited onto white unless the result has an alpha channel. 16-bit images are divided by
    257 and float images are expected in [0, 1]; Pillow's conversion would clip both to black and white.

    Args:
        image (`PIL.Image.Image`):
            Image to convert.
        num_channels (`int`):
            1 (mode "L"), 3 ("RGB") or 4 ("RGBA").

    Raises:
        ValueError: if a float image has values outside of [0, 1], or a 32-bit integer image outside of [0, 65535].
    """
    if image.mode == "F":
        values = np.asarray(image)
        if not (0 <= values.min() and values.max() <= 1):
            raise ValueError(f"a float image must lie in [0, 1], got [{values.min()}, {values.max()}]")
        image = PIL.Image.fromarray((values * 255).round().astype(np.uint8))
    elif image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if not (0 <= values.min() and values.max() <= 65535):
            raise ValueError(f"an integer image must lie in [0, 65535], got [{values.min()}, {values.max()}]")
        image = PIL.Image.fromarray((values / 257).round().astype(np.uint8))
    if num_channels != 4 and image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[num_channels])


def fit_image(image: PIL.Image.Image, resolution: int, resize_mode: ResizeMode) -> PIL.Image.Image:
    r"""
    Makes an image square, `resolution` pixels wide and high, without distorting it.

    Args:
        image (`PIL.Image.Image`):
            Image of any size.
        resolution (`int`):
            Width and height of the result, in pixels.
        resize_mode (`str`):
            `"crop"` scales the shorter side to `resolution` and crops the centre. `"pad"` downscales larger images,
            never upscales, and centres the image on black.
    """
    if resize_mode == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if image.size == (resolution, resolution):
            return image
        box = (left, top, left + side, top + side)
        return image.resize((resolution, resolution), PIL.Image.Resampling.BICUBIC, box=box)
    scale = min(resolution / max(image.size), 1.0)
    if scale < 1:
        # At least one pixel, because the short side of a very long image could be rounded to 0.
        size = [max(1, round(side * scale)) for side in image.size]
        image = image.resize(size, PIL.Image.Resampling.BICUBIC)
    left, top = (image.width - resolution) // 2, (image.height - resolution) // 2
    return image.crop((left, top, left + resolution, top + resolution))  # black outside of the image


# mypy skips transformers and therefore does not see that this is a TypedDict.
class DCGANImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """Arguments of [`DCGANImageProcessor`] in addition to those of every image processor."""

    num_channels: int
    resize_mode: str


class DCGANImageProcessor(PilBackend):
    r"""
    Image processor of [`DCGANDiscriminator`] and [`DCGANForImageClassification`]. Prepares images exactly as in
    training: converts any Pillow mode, 16-bit and transparent images included, to grey, RGB or RGBA, makes images
    square, and normalises pixel values to [-1, 1].

    Args:
        size (`dict[str, int]`, *optional*, defaults to `{"height": 64, "width": 64}`):
            Size of the (square) result, in pixels.
        num_channels (`int`, *optional*, defaults to 3):
            Number of channels of the result: 1 (grey), 3 (RGB) or 4 (RGBA).
        resize_mode (`str`, *optional*, defaults to `"crop"`):
            `"crop"` scales the shorter side and crops the centre. `"pad"` downscales larger images, never upscales,
            and centres the image on black.

    Example:

    ```python
    >>> from PIL import Image
    >>> from dcgan_hf import DCGANImageProcessor

    >>> processor = DCGANImageProcessor(size=32, num_channels=1)
    >>> processor(Image.new("RGB", (100, 50)), return_tensors="pt").pixel_values.shape
    torch.Size([1, 1, 32, 32])
    ```
    """

    valid_kwargs = DCGANImageProcessorKwargs
    size = {"height": 64, "width": 64}
    num_channels = 3
    resize_mode = "crop"
    do_resize = True
    resample = PIL.Image.Resampling.BICUBIC
    do_rescale = True
    do_normalize = True
    # [0, 1] -> [-1, 1], the range of the generator's tanh. Equivalent to diffusers' `VaeImageProcessor.normalize`,
    # which training and the pipelines use.
    image_mean = 0.5
    image_std = 0.5

    def process_image(
        self,
        image: PIL.Image.Image | np.ndarray | torch.Tensor,
        num_channels: int,
        resize_mode: ResizeMode,
        do_resize: bool,
        size: SizeDict,
        input_data_format: str | ChannelDimension | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Converts one image to a uint8 array of shape `(num_channels, height, width)`."""
        if num_channels not in _MODES:
            raise ValueError(f"`num_channels` must be one of {list(_MODES)}, got {num_channels}.")
        if resize_mode not in ("crop", "pad"):
            raise ValueError(f'`resize_mode` must be "crop" or "pad", got {resize_mode!r}.')
        if not isinstance(image, PIL.Image.Image):
            image = _array_to_image(np.asarray(image), input_data_format)
        image = convert_channels(image, num_channels)
        if do_resize:
            if size.height != size.width or size.height is None:
                raise ValueError(f"`size` must have the same height and width, got {dict(size)}.")
            image = fit_image(image, size.height, resize_mode)
        return np.asarray(image).reshape(image.height, image.width, num_channels).transpose(2, 0, 1)

    def _preprocess(self, images: list[np.ndarray], do_resize: bool, **kwargs: Any) -> BatchFeature:
        return super()._preprocess(images, do_resize=False, **kwargs)  # `process_image` has resized it

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields to save. The class is omitted, because the `auto_map` of the model's config.json contains
        it. Here, transformers' pipelines would also look for a video processor and ask the user to trust its code."""
        left_out = ("image_processor_type", "auto_map")
        return {name: value for name, value in super().to_dict().items() if name not in left_out}


def _array_to_image(array: np.ndarray, data_format: str | ChannelDimension | None) -> PIL.Image.Image:
    if array.ndim == 3:
        data_format = data_format or infer_channel_dimension_format(array, num_channels=(1, 3, 4))
        if data_format == ChannelDimension.FIRST:
            array = array.transpose(1, 2, 0)
        array = array.squeeze(-1) if array.shape[-1] == 1 else array
    if np.issubdtype(array.dtype, np.floating):
        if not (0 <= array.min() and array.max() <= 1):
            raise ValueError(f"a float image must lie in [0, 1], got [{array.min()}, {array.max()}]")
        array = (array * 255).round()
    return PIL.Image.fromarray(array.astype(np.uint8))


__all__ = ["DCGANImageProcessor"]
