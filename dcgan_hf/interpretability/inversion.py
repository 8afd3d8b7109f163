# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Search for the latents of given images by gradient descent through the generator, many images at once."""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from safetensors.torch import save_file
from torch import nn

from ..files import replacing
from ..image_processing_dcgan import DCGANImageProcessor
from ..pictures import comparison_grid, save_picture
from ..pipeline_dcgan import MAX_PIXELS_PER_FORWARD, ClassLabels, DCGANPipeline
from .arguments import SearchArguments


Images = PIL.Image.Image | np.ndarray | torch.Tensor

# Pixels per backward pass. The stored activations take some 60 MB with the default widths.
_MAX_PIXELS_PER_BACKWARD = 2**18


@dataclass
class Inversion:
    r"""
    Latents found for images.

    Args:
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            The latents in float32, for `pipe(latents=...)`.
        pixel_values (`torch.Tensor` of shape `(num_images, num_channels, image_size, image_size)`):
            Images generated from the latents, values in [-1, 1].
        psnr (`torch.Tensor` of shape `(num_images,)`):
            Peak signal-to-noise ratio relative to the given images in dB: 30 dB is an error of 3 % of the range.
    """

    latents: torch.Tensor
    pixel_values: torch.Tensor
    psnr: torch.Tensor


def prepare_images(pipe: DCGANPipeline, images: Images | Sequence[Images]) -> torch.Tensor:
    r"""
    Converts images to the size, channels and value range of a model, as in its training.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        images (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or a list of them):
            Images of any size, turned upright as their EXIF says. Arrays and tensors hold uint8, uint16, or floats in
            [0, 1], as a single image or a batch.

    Returns:
        `torch.Tensor` of shape `(num_images, num_channels, image_size, image_size)`: values in [-1, 1], on the
        pipeline's device.

    Raises:
        ValueError: if there are no images, or if one has numbers of another type or out of range.
    """
    batch = [images] if isinstance(images, PIL.Image.Image) or getattr(images, "ndim", 4) < 4 else list(images)
    if not batch:
        raise ValueError("`images` must contain at least one image, got none.")
    config = pipe.generator.config
    processor = DCGANImageProcessor(
        size=config.image_size,
        num_channels=config.num_channels,
        resize_mode="crop" if pipe.discriminator is None else pipe.discriminator.config.resize_mode,
    )
    return processor(batch, return_tensors="pt").pixel_values.to(pipe._execution_device)


def invert(
    pipe: DCGANPipeline,
    images: Images | Sequence[Images],
    class_labels: ClassLabels = None,
    search: SearchArguments | None = None,
    initial_latents: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Inversion:
    r"""
    Finds latents that reproduce the given images (Zhu et al., 2016, https://huggingface.co/papers/1609.03552,
    section 3.1), by Adam with a cosine-decayed learning rate. The loss is the root mean squared error of the pixels
    plus, optionally, that of the discriminator's features.

    Several searches run per image, from the random latents whose images are nearest. The best result is kept.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        images (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or a list of them):
            Images of any size, see [`prepare_images`].
        class_labels (`int`, `str`, `list[int | str]`, `dict[str, Any]`, `torch.Tensor` or `np.ndarray`, *optional*):
            Classes of the images, or values of all attributes, in the format of the pipeline: one for all images, or
            one per image. Required if the generator is class-conditional. If the class of an image is unknown, pass the
            image once per class and keep the result with the highest `psnr`.
        search ([`SearchArguments`], *optional*):
            Number of steps, learning rate and other options of the search.
        initial_latents (`torch.Tensor` of shape `(num_images, latent_dim)`, *optional*):
            Start of the first search of each image, if better latents than random ones are available, such as the
            output of an encoder or an earlier result.
        generator (`torch.Generator`, *optional*):
            Random number generator for the random latents.

    Example:

    ```py
    >>> from PIL import Image
    >>> from dcgan_hf import DCGANPipeline
    >>> from dcgan_hf.interpretability.inversion import invert

    >>> pipe = DCGANPipeline.from_pretrained("dcgan-celeba")
    >>> found = invert(pipe, Image.open("photo.jpg"))
    >>> pipe(latents=found.latents).images[0].save("found.png")
    ```

    Returns:
        [`Inversion`]: the latents, the images generated from them, and their PSNR.

    Raises:
        ValueError: if an argument is out of range, or an image is invalid.
    """
    search = search or SearchArguments()
    with _Search.prepared(pipe, images, class_labels, search, initial_latents, generator) as prepared:
        chunks = prepared.chunks()
        with pipe.progress_bar(total=len(chunks) * search.num_steps) as progress_bar:
            found: list[torch.Tensor] = []
            for number, chunk in enumerate(chunks):
                for latents in prepared.descend(chunk):
                    found[number:] = [latents]  # the last ones stay
                    progress_bar.update()
                progress_bar.update((number + 1) * search.num_steps - progress_bar.n)
        inversion = prepared.inversion(torch.cat(found))
    pipe.maybe_free_model_hooks()
    return inversion


def follow_inversion(
    pipe: DCGANPipeline,
    image: Images,
    class_label: ClassLabels = None,
    search: SearchArguments | None = None,
    generator: torch.Generator | None = None,
    every: int = 20,
) -> Generator[Inversion, None, None]:
    r"""
    Searches like [`invert`] for one image, and yields the best result so far: at the start, after every few steps and
    at the end. Whoever iterates may stop at any time. Until then, the networks are in use: other threads need others.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        image (`PIL.Image.Image`, `np.ndarray` or `torch.Tensor`):
            The image.
        class_label (`int`, `str` or `dict[str, Any]`, *optional*):
            Its class, or its values of all attributes, if the generator is class-conditional.
        search ([`SearchArguments`], *optional*):
            Number of steps and other options.
        generator (`torch.Generator`, *optional*):
            Random number generator for the random latents.
        every (`int`, *optional*, defaults to 20):
            Number of steps between two results.

    Yields:
        [`Inversion`]: the best result so far.

    Raises:
        ValueError: if an argument is out of range, or the image is invalid.
    """
    search = search or SearchArguments()
    with _Search.prepared(pipe, image, class_label, search, None, generator) as prepared:
        step = -1
        for step, latents in enumerate(prepared.descend(slice(None))):
            if step % every == 0:
                yield prepared.inversion(latents)
        if step % every:
            yield prepared.inversion(latents)


@dataclass
class _Search:
    """A search: the images in the format of the networks, their classes, and the latents from which it starts."""

    pipe: DCGANPipeline
    pixel_values: torch.Tensor
    labels: torch.Tensor | None
    starts: torch.Tensor
    arguments: SearchArguments

    @classmethod
    @contextmanager
    def prepared(
        cls,
        pipe: DCGANPipeline,
        images: Images | Sequence[Images],
        class_labels: Any,
        search: SearchArguments,
        initial_latents: torch.Tensor | None,
        generator: torch.Generator | None,
    ) -> "Iterator[_Search]":
        """Checks the arguments of [`invert`], and yields a search whose networks are ready for it."""
        if search.feature_weight and pipe.discriminator is None:
            raise ValueError(
                f"`feature_weight` must be 0 for a pipeline without a discriminator, got {search.feature_weight}."
            )
        pixel_values = prepare_images(pipe, images)
        num_images, config = len(pixel_values), pipe.generator.config
        pipe.check_inputs(num_images, class_labels, generator, None, None, "pt")
        pipe.check_inputs(num_images, class_labels, None, torch.empty(num_images, config.latent_dim), None, "pt")
        labels = None
        if class_labels is not None:
            class_ids = pipe.get_class_ids(class_labels)
            if len(class_ids) not in (1, num_images):
                raise ValueError(
                    "`class_labels` must be a single class or one per image, got"
                    f" {len(class_ids)} for {num_images} images."
                )
            labels = torch.tensor(class_ids, device=pixel_values.device).expand(num_images, *config.label_shape)
        expected = (num_images, config.latent_dim)
        if initial_latents is not None and tuple(initial_latents.shape) != expected:
            raise ValueError(f"`initial_latents` must have shape {expected}, got {tuple(initial_latents.shape)}.")

        # In training mode, the images of a batch would affect each other. Fusing halves the time of a step on a CPU,
        # and limits the change of memory format to the fused layers.
        with pipe.generator.fused(), _in_evaluation_mode(pipe.discriminator):
            pipe.generator.to(memory_format=torch.channels_last)
            starts = _nearest_random_latents(pipe, pixel_values, labels, search, generator)
            if initial_latents is not None:
                starts[:, 0] = initial_latents.detach().to(starts)
            yield cls(pipe, pixel_values, labels, starts, search)

    def chunks(self) -> list[slice]:
        """Divides the images into chunks for [`~_Search.descend`] that fit into memory."""
        pixels = self.pipe.generator.config.image_size**2 * self.arguments.num_restarts
        chunk_size = max(1, _MAX_PIXELS_PER_BACKWARD // pixels)
        return [slice(start, start + chunk_size) for start in range(0, len(self.pixel_values), chunk_size)]

    def descend(self, chunk: slice) -> Iterator[torch.Tensor]:
        """Yields the best latents of some images so far, `(num_images, latent_dim)`, after each step."""
        labels = None if self.labels is None else self.labels[chunk]
        return _descend(self.pipe, self.pixel_values[chunk], labels, self.starts[chunk], self.arguments)

    def inversion(self, latents: torch.Tensor) -> Inversion:
        """Returns latents found for all images, with what is generated from them."""
        found = _draw(self.pipe, latents, self.labels)
        return Inversion(latents.clone(), found, _psnr((found - self.pixel_values).square().mean((1, 2, 3))))


@contextmanager
def _in_evaluation_mode(network: nn.Module | None) -> Iterator[None]:
    was_training = network is not None and network.training
    if network is not None:
        network.eval()
    try:
        yield
    finally:
        if network is not None:
            network.train(was_training)


def save_inversion(
    folder: Path, pipe: DCGANPipeline, images: Images | Sequence[Images], found: Inversion, class_ids: list[Any] | None
) -> None:
    r"""
    Writes `latents.safetensors` (`latents` in the order of the images, and `class_labels` if available) and
    `inverted.png`, which shows the given images above those found.

    Args:
        folder (`Path`):
            Output folder.
        pipe ([`DCGANPipeline`]):
            The model.
        images (`PIL.Image.Image`, `np.ndarray`, `torch.Tensor` or a list of them):
            The given images.
        found ([`Inversion`]):
            Result of [`invert`].
        class_ids (`list[int]` or `list[list[int]]`, *optional*):
            Classes of the images, or values of all attributes.
    """
    labels = {} if class_ids is None else {"class_labels": torch.tensor(class_ids)}
    with replacing(folder / "latents.safetensors") as temporary:
        save_file({"latents": found.latents.cpu()} | labels, temporary)
    rows = {"given": prepare_images(pipe, images), "found": found.pixel_values}
    to_pil = pipe.image_processor.postprocess
    pictures = {name: to_pil(pixels, output_type="pil") for name, pixels in rows.items()}
    save_picture(comparison_grid(pictures), folder / "inverted.png")


def _psnr(mean_squared_errors: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(2**2 / mean_squared_errors)  # values in [-1, 1] differ by at most 2


@torch.no_grad()
def _draw(pipe: DCGANPipeline, latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Generates the pixel values of many latents, without gradients."""
    chunk_size = max(1, MAX_PIXELS_PER_FORWARD // pipe.generator.config.image_size**2)
    chunks = [slice(start, start + chunk_size) for start in range(0, len(latents), chunk_size)]
    return torch.cat(
        [
            pipe.generator(
                latents[chunk].to(pipe.generator.dtype), None if labels is None else labels[chunk]
            ).pixel_values.float()
            for chunk in chunks
        ]
    )


def _nearest_random_latents(
    pipe: DCGANPipeline,
    pixel_values: torch.Tensor,
    labels: torch.Tensor | None,
    search: SearchArguments,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """Returns the random latents whose images are nearest to each image: `(num_images, num_restarts, latent_dim)`."""
    candidates = pipe.prepare_latents(search.num_candidates, generator)
    nearest = candidates.new_empty(len(pixel_values), search.num_restarts, candidates.shape[1])
    for label in [None] if labels is None else labels.unique(dim=0):
        of_class: Any = slice(None) if label is None else (labels == label).reshape(-1, label.numel()).all(1)
        distances = torch.cat(
            [
                torch.cdist(
                    pixel_values[of_class].flatten(1),
                    _draw(pipe, chunk, None if label is None else label.expand(len(chunk), *label.shape)).flatten(1),
                )
                for chunk in candidates.split(max(1, MAX_PIXELS_PER_FORWARD // pipe.generator.config.image_size**2))
            ],
            dim=1,
        )
        nearest[of_class] = candidates[distances.topk(search.num_restarts, largest=False).indices]
    return nearest


def _descend(
    pipe: DCGANPipeline,
    pixel_values: torch.Tensor,
    labels: torch.Tensor | None,
    starts: torch.Tensor,
    search: SearchArguments,
) -> Iterator[torch.Tensor]:
    """Descends from `starts`. Yields the best latent of each image so far, `(num_images, latent_dim)`, at each step."""
    num_images, num_restarts, _ = starts.shape
    latents = starts.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], search.learning_rate)
    best = starts[:, 0].clone()
    least_errors = torch.full((num_images,), math.inf, device=starts.device)
    features: tuple[torch.Tensor, ...] = ()
    if search.feature_weight:
        with torch.no_grad():
            features = pipe.discriminator.encode(pixel_values.to(pipe.discriminator.dtype))
    unfinished = torch.arange(num_images, device=starts.device)
    for step in range(search.num_steps):
        optimizer.param_groups[0]["lr"] = search.learning_rate * (1 + math.cos(math.pi * step / search.num_steps)) / 2
        drawn = pipe.generator(
            latents[unfinished].flatten(0, 1).to(pipe.generator.dtype),
            None if labels is None else labels[unfinished].repeat_interleave(num_restarts, dim=0),
        ).pixel_values.float()
        errors = _errors(drawn, pixel_values[unfinished])
        # The gradients of roots do not vanish with the errors. Vanishing ones would slow down Adam, as its averages
        # remember larger ones. On Fashion-MNIST, 54 % of searches reached 30 dB with roots, 31 % without.
        loss = (errors + 1e-8).sqrt().sum()
        if search.feature_weight:
            for map_of_drawn, map_of_given in zip(
                pipe.discriminator.encode(drawn.to(pipe.discriminator.dtype)), features
            ):
                distances = (_errors(map_of_drawn.float(), map_of_given[unfinished].float()) + 1e-8).sqrt()
                loss = loss + search.feature_weight / len(features) * distances.sum()
        (latents.grad,) = torch.autograd.grad(loss, latents)  # for the latents only, not for the weights

        smallest, restarts = errors.detach().min(1)
        is_better = smallest < least_errors[unfinished]
        improved = unfinished[is_better]
        least_errors[improved] = smallest[is_better]
        best[improved] = latents.detach()[improved, restarts[is_better]]
        yield best
        if search.target_psnr is not None:
            unfinished = unfinished[_psnr(least_errors[unfinished]) < search.target_psnr]
            if not len(unfinished):
                break
        optimizer.step()


def _errors(maps: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Mean squared errors of consecutive restarts of each image: `(num_images, num_restarts)`."""
    return (maps.unflatten(0, (len(given), -1)) - given[:, None]).square().mean((2, 3, 4))


__all__ = ["Inversion", "SearchArguments", "follow_inversion", "invert", "prepare_images"]
