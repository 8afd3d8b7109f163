# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Conversion of any image to the square image that a network of given size and channels takes."""

import io
import os
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from PIL import ImageCms
from transformers import BatchFeature
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import ChannelDimension, SizeDict, infer_channel_dimension_format, load_image
from transformers.processing_utils import ImagesKwargs


ResizeMode = Literal["crop", "pad"]

EXIF_ORIENTATION = 0x0112
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def check_type(dtype: Any, name: str = "") -> None:
    r"""
    Checks that numbers of a type have one meaning as pixels: bytes, 16-bit unsigned integers, or floats in [0, 1].

    Args:
        dtype (`np.dtype` or its name):
            Type of the numbers.
        name (`str`, *optional*):
            Name of the argument or column, for the error.

    Raises:
        ValueError: for bool, signed integers, wider integers, complex numbers and everything else.
    """
    dtype = np.dtype(dtype)
    if not (np.issubdtype(dtype, np.floating) or (dtype.kind == "u" and dtype.itemsize <= 2)):
        raise ValueError(
            f"{_prefix(name)}the range of {dtype} pixels is unknown. Allowed are uint8, uint16, and floats in [0, 1]."
            " Convert them first, such as 0 to 255 with `array.astype(np.uint8)`"
        )


def array_to_pixels(
    array: np.ndarray | torch.Tensor,
    name: str = "",
    data_format: str | ChannelDimension | None = None,
    channels: tuple[int, ...] = tuple(_MODES),
) -> np.ndarray:
    r"""
    Checks that an array or a tensor is an image, and moves its channels to the end. The numbers stay as they are.

    Args:
        array (`np.ndarray` or `torch.Tensor`):
            The image, of shape `(height, width)`, `(height, width, channels)` or `(channels, height, width)`.
        name (`str`, *optional*):
            Name of the argument or column, for errors.
        data_format (`str` or `ChannelDimension`, *optional*):
            `"channels_first"` or `"channels_last"`. By default, the dimension that has an allowed size holds the
            channels; if both have, the first, as in transformers.
        channels (`tuple[int, ...]`, *optional*, defaults to `(1, 3, 4)`):
            Allowed numbers of channels.

    Returns:
        `np.ndarray` of shape `(height, width, channels)`: uint8, uint16, or floats in [0, 1].

    Raises:
        ValueError: if the type, the shape or the values are not those of an image. See [`check_type`].
    """
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    check_type(array.dtype, name)
    shape = tuple(array.shape)
    if array.ndim == 1 or (array.ndim == 2 and 1 in shape and array.size > 1):
        raise ValueError(
            f"{_prefix(name)}an array of shape {shape} is one line of numbers, perhaps a flattened image. Reshape it to"
            " (height, width) or (height, width, channels)"
        )
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim != 3 or not {shape[0], shape[-1]} & {*channels}:
        raise ValueError(
            f"{_prefix(name)}an image must have shape (height, width), (height, width, channels) or (channels, height,"
            f" width), and {', '.join(map(str, channels[:-1]))} or {channels[-1]} channels, got {shape}"
        )
    elif (data_format or infer_channel_dimension_format(array, channels)) == ChannelDimension.FIRST:
        array = array.transpose(1, 2, 0)
    if array.shape[-1] not in channels:
        raise ValueError(f"{_prefix(name)}an image of shape {shape} has {array.shape[-1]} channels as {data_format}")
    if not array.size:
        raise ValueError(f"{_prefix(name)}an image must have at least one pixel, got shape {shape}")
    if array.dtype.kind == "f" and not (0 <= array.min() and array.max() <= 1):  # also NaN
        raise ValueError(f"{_prefix(name)}a float image must lie in [0, 1], got [{array.min()}, {array.max()}]")
    return array


def rows_to_array(rows: Any, dtype: str, name: str = "") -> np.ndarray:
    """Converts nested lists of numbers to an array. Raises a `ValueError` if their lengths or the numbers do not fit."""
    try:
        return np.asarray(rows, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{_prefix(name)}its rows are not an array of {dtype}: {error}") from error


def _prefix(name: str) -> str:
    return f"{name}: " if name else ""


def array_to_image(
    array: np.ndarray | torch.Tensor, name: str = "", data_format: str | ChannelDimension | None = None
) -> PIL.Image.Image:
    r"""
    Converts an array or a tensor to an image of 8 bits: bytes stay as they are, 16-bit integers are divided by 257, and
    floats in [0, 1] multiplied by 255.

    Args:
        array, name, data_format:
            See [`array_to_pixels`].

    Returns:
        `PIL.Image.Image`: in mode "L", "RGB" or "RGBA", for 1, 3 or 4 channels.

    Raises:
        ValueError: see [`array_to_pixels`].
    """
    pixels = array_to_pixels(array, name, data_format)
    if pixels.dtype.kind == "f":
        pixels = (pixels.astype(np.float64) * 255).round()
    elif pixels.dtype.itemsize == 2:
        pixels = (pixels / 257).round()
    pixels = np.ascontiguousarray(pixels, np.uint8)
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def sixteen_bit_pixels(image: PIL.Image.Image) -> np.ndarray:
    r"""
    Returns the values of a grey image in mode "I;16" or "I". The latter has 32 bits, but is how Pillow reads some 16-bit
    files, and is taken as such.

    Args:
        image (`PIL.Image.Image`):
            Grey image.

    Returns:
        `np.ndarray` of shape `(height, width)`, uint16.

    Raises:
        ValueError: if a value of a 32-bit image lies outside of [0, 65535], or none exceeds 255: bytes that somebody
            stored in 32 bits would turn black.
    """
    values = np.asarray(image)
    if values.size and not (0 <= values.min() and values.max() <= 65535):
        raise ValueError(f"an integer image must lie in [0, 65535], got [{values.min()}, {values.max()}]")
    if values.size and image.mode == "I" and 0 < values.max() <= 255:
        raise ValueError(
            f"an integer image of 32 bits has values up to {values.max()}. Are these bytes? Convert it with"
            ' `image.convert("L")` or `array.astype(np.uint8)`'
        )
    return values.astype(np.uint16)


def orientation_of(image: PIL.Image.Image) -> int:
    """Returns the orientation in a photograph's EXIF, from 1 (upright) to 8. Damaged EXIF says nothing, hence 1."""
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    except Exception:  # Pillow raises many types
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def turn_upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Turns a photograph as its EXIF says."""
    return PIL.ImageOps.exif_transpose(image) if orientation_of(image) != 1 else image


def to_srgb(image: PIL.Image.Image) -> PIL.Image.Image:
    r"""
    Converts an image from the colours of its profile to sRGB.

    Args:
        image (`PIL.Image.Image`):
            Image in mode "L", "RGB" or "CMYK" with a colour profile in `info`.

    Returns:
        `PIL.Image.Image`: in mode "RGB", with sRGB's profile. If the profile is damaged, Pillow's conversion without.
    """
    try:
        profiles = io.BytesIO(image.info["icc_profile"]), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
        assert converted is not None
    except ImageCms.PyCMSError:
        converted = image.convert("RGB")
        converted.info["icc_profile"] = None
    converted.info = image.info | {"icc_profile": converted.info["icc_profile"]}
    return converted


def convert_channels(image: PIL.Image.Image, num_channels: int) -> PIL.Image.Image:
    r"""
    Converts an image of any mode to 8-bit grey, RGB or RGBA.

    Transparent images are composited onto white unless the result has an alpha channel. 16-bit images ("I;16") are
    divided by 257 and float images ("F") are expected in [0, 1]; Pillow's conversion would clip both to black and
    white. 32-bit integer images ("I") are how Pillow reads some 16-bit files, and are taken as such.

    Args:
        image (`PIL.Image.Image`):
            Image to convert.
        num_channels (`int`):
            1 (mode "L"), 3 ("RGB") or 4 ("RGBA").

    Raises:
        ValueError: if a float image has values outside of [0, 1], or a 32-bit integer image outside of [0, 65535]. Also
            if none of the latter exceeds 255: bytes that somebody stored in 32 bits would turn black.
    """
    if image.mode == "F":
        image = array_to_image(np.asarray(image)[..., None], data_format=ChannelDimension.LAST)
    elif image.mode == "I" or image.mode.startswith("I;16"):
        values, hidden = sixteen_bit_pixels(image), image.info.get("transparency")
        image = array_to_image(values[..., None], data_format=ChannelDimension.LAST)
        if hidden is not None:
            image.putalpha(PIL.Image.fromarray(values != hidden).convert("L"))
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
    training: turns photographs upright as their EXIF says, converts any Pillow mode, 16-bit and transparent images
    included, to grey, RGB or RGBA, makes images square, and normalises pixel values to [-1, 1].

    Arrays and tensors hold uint8, uint16, or floats in [0, 1], see [`array_to_pixels`]. Other types are refused.

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
        if isinstance(image, PIL.Image.Image):
            image = turn_upright(image)
        else:
            image = array_to_image(image, data_format=input_data_format)
        image = convert_channels(image, num_channels)
        if do_resize:
            if size.height != size.width or size.height is None:
                raise ValueError(f"`size` must have the same height and width, got {dict(size)}.")
            image = fit_image(image, size.height, resize_mode)
        return np.asarray(image).reshape(image.height, image.width, num_channels).transpose(2, 0, 1)

    def _prepare_images_structure(self, images: Any, expected_ndims: int = 3) -> list[Any]:
        return list(_single_images(images))  # grey arrays may have two dimensions

    def _preprocess(self, images: list[np.ndarray], do_resize: bool, **kwargs: Any) -> BatchFeature:
        return super()._preprocess(images, do_resize=False, **kwargs)  # `process_image` has resized it

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields to save. The class is omitted, because the `auto_map` of the model's config.json contains
        it. Here, transformers' pipelines would also look for a video processor and ask the user to trust its code."""
        left_out = ("image_processor_type", "auto_map")
        return {name: value for name, value in super().to_dict().items() if name not in left_out}


def _single_images(images: Any) -> Iterator[PIL.Image.Image | np.ndarray | torch.Tensor]:
    """Yields the images of nested lists, of batches, and of paths and addresses."""
    if isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4:
        for image in images:
            yield from _single_images(image)
    elif isinstance(images, str):
        # Files keep their mode: `load_image` would clip 16 bits to 8.
        yield PIL.Image.open(images) if os.path.isfile(images) else load_image(images)
    elif isinstance(images, PIL.Image.Image | np.ndarray | torch.Tensor):
        yield images
    else:
        raise ValueError(
            f"An image must be a PIL image, an array, a tensor or a path, got {images!r:.50} of type"
            f" {type(images).__name__}."
        )


__all__ = ["DCGANImageProcessor"]
