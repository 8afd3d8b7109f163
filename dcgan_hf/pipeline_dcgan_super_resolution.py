# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Pipeline that upscales images with a DCGAN."""

# A copy of this file must also work in a model repository, beside the networks' code.
from collections.abc import Callable, Iterator
from itertools import groupby
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor
from transformers import PreTrainedModel

from .modeling_dcgan import DCGANDiscriminator
from .modeling_dcgan_super_resolution import (
    DCGANSuperResolutionGenerator,
    alpha_correction,
    array_to_pixels,
    average_over_views,
    interpolate,
    orientation_of,
    sixteen_bit_pixels,
    to_srgb,
    turn_upright,
    without_holes,
)
from .pipeline_portable import PortablePipelineMixin


# Maximum number of low-resolution pixels per forward pass, unless a single tile has more.
MAX_INPUT_PIXELS_PER_FORWARD = 2**16

Images = PIL.Image.Image | np.ndarray | torch.Tensor


class _Picture(NamedTuple):
    """
    Image of shape `(num_channels, height, width)`, as bytes or in [0, 1], and the result's Pillow mode and `info`. An
    image with alpha shows the network the colours around it where it is transparent. Its own colours, multiplied by alpha, and
    alpha itself are the channels of `weighted`.
    """

    pixels: torch.Tensor
    weighted: torch.Tensor | None
    mode: str
    info: dict[str, Any]

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    def shown(self, area: tuple[slice, slice]) -> torch.Tensor:
        """Returns an area in [0, 1]. Bytes are converted here: as a whole, the image would take four times the memory."""
        pixels = self.pixels[:, *area]
        return pixels / 255 if pixels.dtype == torch.uint8 else pixels


class _Tile(NamedTuple):
    """Tile of the picture with index `picture`: the area passed to the network, and the area kept of the result."""

    picture: int
    shown: tuple[slice, slice]
    kept: tuple[slice, slice]

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.shown
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def num_pixels(self) -> int:
        rows, columns = self.kept
        return (rows.stop - rows.start) * (columns.stop - columns.start)


class DCGANSuperResolutionPipeline(PortablePipelineMixin, DiffusionPipeline):
    r"""
    Pipeline for image super-resolution with a DCGAN.

    This model inherits from [`DiffusionPipeline`]. Check the superclass documentation for the generic methods
    implemented for all pipelines (saving, running on a particular device, etc.).

    Args:
        generator ([`DCGANSuperResolutionGenerator`]):
            Network that upscales images.
        discriminator ([`DCGANDiscriminator`], *optional*):
            Network that the generator was trained against. It is saved and loaded with the pipeline, but not used for
            upscaling.
    """

    model_cpu_offload_seq = "generator"
    _optional_components = ["discriminator"]
    network_classes = {"generator": DCGANSuperResolutionGenerator, "discriminator": DCGANDiscriminator}
    task = "image-to-image"
    tags = ["dcgan", "gan", "super-resolution"]
    card_template = "super_resolution_card.md"
    draws_from_seeds = False
    space_template = "super_resolution_space.md"
    space_tags = tags
    space_packages = ["scikit-learn"]

    def __init__(self, generator: PreTrainedModel, discriminator: PreTrainedModel | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)
        self.image_processor = VaeImageProcessor(vae_scale_factor=1)

    def check_inputs(self, tile_size: int, output_type: str) -> None:
        if not isinstance(tile_size, Integral) or tile_size < 1:
            raise ValueError(f"`tile_size` must be a positive integer, got {tile_size!r}.")
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f'`output_type` must be "pil", "np" or "pt", got {output_type!r}.')

    def prepare_images(self, image: Images | list[Images]) -> list[_Picture]:
        r"""
        Converts images of all supported types to tensors.

        Args:
            image (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or a list of them):
                See [`~DCGANSuperResolutionPipeline.__call__`].

        Raises:
            ValueError: if `image` is empty, or if an image has no pixels, more channels than the generator, or values
                out of range.
        """
        images: list[Any] = []
        for item in image if isinstance(image, (list, tuple)) else [image]:
            images += list(item) if isinstance(item, (np.ndarray, torch.Tensor)) and item.ndim == 4 else [item]
        if not images:
            raise ValueError("`image` must contain at least one image, got none.")
        return [self._to_picture(item, f"`image` number {i}") for i, item in enumerate(images)]

    def _to_picture(self, image: Images, name: str) -> _Picture:
        info: dict[str, Any] = {}
        if isinstance(image, PIL.Image.Image):
            values, mode, info = _from_pil(image)
        elif isinstance(image, (np.ndarray, torch.Tensor)):
            values, mode = _from_array(image, name)
        else:
            raise ValueError(f"{name} must be a PIL image, an array or a tensor, got {type(image).__name__}.")
        if 0 in values.shape:
            raise ValueError(f"{name} must have at least one pixel, got shape {tuple(values.shape)}.")
        in_range = values.dtype == torch.uint8 or (values.min() >= 0 and values.max() <= 1)
        if not in_range:  # also rejects NaN
            raise ValueError(f"{name} must have values in [0, 1], got [{values.min():.4g}, {values.max():.4g}].")
        num_channels = self.generator.config.num_channels
        has_alpha = len(values) in (2, 4)
        if len(values) - has_alpha > num_channels:
            raise ValueError(
                f'{name} is a colour image, but the generator upscales grey images only. Use `image.convert("L")`.'
            )
        if not has_alpha:
            return _Picture(values, None, mode, info)
        pixels, alpha = values[:-1], values[-1:]
        weighted = torch.cat([pixels * alpha, alpha])
        return _Picture(pixels if alpha.min() == 1 else without_holes(weighted), weighted, mode, info)

    @torch.no_grad()
    def __call__(
        self,
        image: Images | list[Images],
        tile_size: int = 256,
        output_type: str = "pil",
        return_dict: bool = True,
        self_ensemble: bool = False,
        callback_on_tiles_end: Callable[[int], None] | None = None,
    ) -> ImagePipelineOutput | tuple:
        r"""
        The call function to the pipeline for super-resolution.

        Args:
            image (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or a list of them):
                Images to upscale, of any size. Arrays have shape `(height, width)`, `(height, width, channels)` or,
                for several images, `(batch_size, height, width, channels)`. Tensors have the channels before height
                and width. Values are unsigned integers of 8 or 16 bits, or floats in [0, 1].

                Grey images stay grey, and 16-bit grey images keep their depth. Alpha channels are interpolated, and
                hidden colours have no influence. The EXIF orientation is applied. Only the first frame of an animation
                is upscaled, unless `image.seek` has chosen another.
            tile_size (`int`, *optional*, defaults to 256):
                Width and height, in low-resolution pixels, of the tiles that larger images are split into to bound
                memory. The network also receives the pixels around a tile that lie in its receptive field, so the
                result is the same as without tiles and has no seams.
            output_type (`str`, *optional*, defaults to `"pil"`):
                `"pil"` for a list of `PIL.Image.Image`, `"np"` for an array of shape `(batch_size, height, width,
                channels)` in [0, 1], `"pt"` for a tensor of shape `(batch_size, channels, height, width)` in [0, 1].
                For images that differ in size or channels, `"np"` and `"pt"` return a list.

                A PIL image keeps the resolution (dpi) and colour profile (ICC) of its source in `info`, if the profile
                fits: CMYK colours with a profile are converted to sRGB. PIL has no 16-bit colours and no 16-bit grey
                with alpha: both become 8 bits. Use `"np"` to keep them.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return an [`~pipelines.ImagePipelineOutput`] instead of a plain tuple.
            self_ensemble (`bool`, *optional*, defaults to `False`):
                Whether to average the results for the image flipped and turned in all 8 ways (Lim et al., 2017,
                https://huggingface.co/papers/1707.02921, sec. 3.4). It takes 8 times as long, for a slightly higher
                PSNR.
            callback_on_tiles_end (`Callable`, *optional*):
                Function called after each forward pass with the number of low-resolution pixels that it has upscaled.

        Example:

        ```py
        >>> from PIL import Image
        >>> from dcgan_hf import DCGANSuperResolutionPipeline

        >>> pipe = DCGANSuperResolutionPipeline.from_pretrained("dcgan-celeba-x4")
        >>> pipe(Image.open("photo.jpg")).images[0].save("large.png")
        ```

        Returns:
            [`~pipelines.ImagePipelineOutput`] or `tuple`: the images in `images`, or as the tuple's first element.

        Raises:
            ValueError: if an argument is out of range, or if an image cannot be upscaled.
        """
        self.check_inputs(tile_size, output_type)
        pictures = self.prepare_images(image)
        scale = self.generator.config.scale_factor
        # Results, filled tile by tile: images where the result has bytes, so that nothing is held twice.
        results: list[Any] = [
            PIL.Image.new(picture.mode.removesuffix("A"), (scale * picture.width, scale * picture.height))
            if output_type == "pil" and picture.mode[0] in "LR"
            else torch.empty(len(picture.pixels), scale * picture.height, scale * picture.width)
            for picture in pictures
        ]
        tiles = sorted(
            (
                tile
                for index, picture in enumerate(pictures)
                for tile in _tiles(index, picture, int(tile_size), self.generator.config.receptive_radius)
            ),
            key=lambda tile: tile.shape,
        )
        was_training = self.generator.training
        self.generator.eval()
        try:
            with self.progress_bar(total=len(tiles)) as progress_bar:
                for (height, width), same_shape in groupby(tiles, key=lambda tile: tile.shape):
                    for chunk in _chunks(list(same_shape), max(1, MAX_INPUT_PIXELS_PER_FORWARD // (height * width))):
                        self._enlarge(chunk, pictures, results, self_ensemble)
                        progress_bar.update(len(chunk))
                        if callback_on_tiles_end is not None:
                            callback_on_tiles_end(sum(tile.num_pixels for tile in chunk))
        finally:
            self.generator.train(was_training)
            self.maybe_free_model_hooks()

        for i, picture in enumerate(pictures):
            if picture.mode.endswith("A"):
                alpha = None if picture.weighted is None else interpolate(picture.weighted[-1:], scale).clamp(0, 1)
                if isinstance(results[i], PIL.Image.Image):
                    results[i].putalpha(255 if alpha is None else _to_image(alpha))
                else:
                    results[i] = torch.cat([results[i], torch.ones_like(results[i][:1]) if alpha is None else alpha])
        images: Any
        if output_type == "pil":
            images = [_to_pil(result, picture) for result, picture in zip(results, pictures)]
        elif output_type == "pt":
            images = [result.to(self._execution_device) for result in results]
        else:
            images = [result.permute(1, 2, 0).numpy() for result in results]
        if output_type != "pil" and len({result.shape for result in results}) == 1:
            images = torch.stack(images) if output_type == "pt" else np.stack(images)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def _enlarge(self, tiles: list[_Tile], pictures: list[_Picture], results: list[Any], self_ensemble: bool) -> None:
        """Upscales tiles of the same shape and writes them to the results."""
        config = self.generator.config
        shown = torch.stack(
            [pictures[tile.picture].shown(tile.shown).expand(config.num_channels, -1, -1) for tile in tiles]
        )
        pixel_values = self.image_processor.normalize(shown.to(self._execution_device))
        pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        pixel_values = (
            average_over_views(self.generator, pixel_values)
            if self_ensemble
            else self.generator(pixel_values).pixel_values
        )
        enlarged = pixel_values.float().mul(0.5).add(0.5).cpu()  # to [0, 1], except for overshoots
        for tile, pixels in zip(tiles, enlarged):
            result, picture = results[tile.picture], pictures[tile.picture]
            if picture.weighted is not None and (weighted := picture.weighted[:, *tile.shown])[-1].min() < 1:
                pixels = pixels + alpha_correction(picture.shown(tile.shown), weighted, config.scale_factor)
            pixels = pixels.clamp(0, 1)
            if len(picture.pixels) == 1:  # a grey image
                pixels = pixels.mean(0, keepdim=True)
            inner = [
                slice(
                    config.scale_factor * (kept.start - shown.start), config.scale_factor * (kept.stop - shown.start)
                )
                for kept, shown in zip(tile.kept, tile.shown)
            ]
            outer = [slice(config.scale_factor * kept.start, config.scale_factor * kept.stop) for kept in tile.kept]
            if isinstance(result, PIL.Image.Image):
                result.paste(_to_image(pixels[:, *inner]), (outer[1].start, outer[0].start))
            else:
                result[:, *outer] = pixels[:, *inner]


def _tiles(index: int, picture: _Picture, tile_size: int, radius: int) -> Iterator[_Tile]:
    """Yields the tiles of a picture, each with a margin of `radius` pixels, clipped at the image border."""
    height, width = picture.height, picture.width
    for top in range(0, height, tile_size):
        for left in range(0, width, tile_size):
            bottom, right = min(top + tile_size, height), min(left + tile_size, width)
            shown = (
                slice(max(top - radius, 0), min(bottom + radius, height)),
                slice(max(left - radius, 0), min(right + radius, width)),
            )
            yield _Tile(index, shown, (slice(top, bottom), slice(left, right)))


def _chunks(tiles: list[_Tile], size: int) -> Iterator[list[_Tile]]:
    for start in range(0, len(tiles), size):
        yield tiles[start : start + size]


def _from_pil(image: PIL.Image.Image) -> tuple[torch.Tensor, str, dict[str, Any]]:
    """Returns the channels, alpha last, as bytes or in [0, 1], the mode of the result (L, LA, RGB, RGBA, I;16 or F), and
    the `info` of the result. Only opaque images are bytes. They come without alpha, whatever the mode."""
    orientation = orientation_of(image)
    image = turn_upright(image)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        image = to_srgb(image)
    hidden = image.info.get("transparency")
    if image.mode == "F":
        mode, values = "F", np.array(image)[..., None]
    elif image.mode.startswith("I") and hidden is None:
        mode, values = "I;16", sixteen_bit_pixels(image)[..., None] / np.float32(65535)
    elif image.mode.startswith("I"):
        grey = sixteen_bit_pixels(image)
        mode, values = "LA", np.stack([grey / np.float32(65535), grey != hidden], axis=-1, dtype=np.float32)
    else:
        is_grey = image.mode in ("1", "L", "LA", "La")
        mode = ("L" if is_grey else "RGB") + ("A" if image.has_transparency_data else "")
        converted = image if image.mode == mode else image.convert(mode)
        is_opaque = not mode.endswith("A") or converted.getchannel("A").getextrema() == (255, 255)
        values = np.atleast_3d(np.array(converted.convert(mode.removesuffix("A")) if is_opaque else converted))
        if not is_opaque:
            values = values / np.float32(255)
    info = kept_info(image, b"RGB " if mode.startswith("R") else b"GRAY")
    if "dpi" in info and orientation in (5, 6, 7, 8):  # the image was on its side
        info["dpi"] = info["dpi"][::-1]
    return torch.from_numpy(values.transpose(2, 0, 1)), mode, info


def kept_info(image: PIL.Image.Image, color_space: bytes) -> dict[str, Any]:
    """Returns the resolution of an image, and its colour profile if it describes that colour space."""
    info: dict[str, Any] = {}
    profile = image.info.get("icc_profile") or b""
    if profile[16:20] == color_space and profile[36:40] == b"acsp":  # fields of the header
        info["icc_profile"] = profile
    dpi = image.info.get("dpi")
    if dpi is not None and all(0 < value < 2**16 for value in dpi):  # what files can hold
        info["dpi"] = tuple(float(value) for value in dpi)
    return info


def _from_array(image: np.ndarray | torch.Tensor, name: str) -> tuple[torch.Tensor, str]:
    data_format = "channels_first" if isinstance(image, torch.Tensor) else "channels_last"
    pixels = array_to_pixels(image, name, data_format, channels=(1, 2, 3, 4))
    mode = ("L", "LA", "RGB", "RGBA")[pixels.shape[-1] - 1]
    if pixels.dtype == np.uint16:
        mode = "I;16" if mode == "L" else mode
    largest = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(largest)), mode


def _to_image(pixels: torch.Tensor) -> PIL.Image.Image:
    """Converts pixels of shape `(channels, height, width)` in [0, 1] to bytes."""
    array = pixels.mul(255).round().to(torch.uint8).permute(1, 2, 0).squeeze(-1).numpy()
    return PIL.Image.fromarray(array)


def _to_pil(result: PIL.Image.Image | torch.Tensor, picture: _Picture) -> PIL.Image.Image:
    if isinstance(result, PIL.Image.Image):
        image = result
    else:
        array = result.permute(1, 2, 0).squeeze(-1).numpy()
        if picture.mode == "I;16":
            array = (array * 65535).round().astype(np.uint16)
        image = PIL.Image.fromarray(array)
    image.info.update(picture.info)
    return image


__all__ = ["DCGANSuperResolutionPipeline", "kept_info"]
