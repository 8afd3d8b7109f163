# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Pipeline that samples images from a DCGAN."""

# A copy of this file must also work in a model repository, beside a modeling_dcgan.py with the networks' code and a
# copy of pipeline_portable.py.
import difflib
from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor
from transformers import PreTrainedModel

from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .pipeline_portable import PortablePipelineMixin


# A class, by id or name, or `None` to leave it out. With several attributes: values by attribute (`{"glasses": "yes"}`),
# or one for each attribute.
ClassLabel: TypeAlias = int | str | None | Mapping[str, Any] | list[Any] | tuple[Any, ...]
ClassLabels: TypeAlias = ClassLabel | torch.Tensor | np.ndarray
# Maximum number of pixels per forward pass. With the default widths, a layer's activations take about 64 MB,
# regardless of the number of images.
MAX_PIXELS_PER_FORWARD = 2**20


class DCGANPipeline(PortablePipelineMixin, DiffusionPipeline):
    r"""
    Pipeline for unconditional or class-conditional image generation with a DCGAN.

    This model inherits from [`DiffusionPipeline`]. Check the superclass documentation for the generic methods
    implemented for all pipelines (saving, running on a particular device, etc.).

    Args:
        generator ([`DCGANGenerator`]):
            Network that maps latents to images.
        discriminator ([`DCGANDiscriminator`], *optional*):
            Network that the generator was trained against. It is saved and loaded with the pipeline, but not used for
            sampling.
    """

    model_cpu_offload_seq = "generator"
    _optional_components = ["discriminator"]
    network_classes = {"generator": DCGANGenerator, "discriminator": DCGANDiscriminator}
    task = "unconditional-image-generation"
    tags = ["dcgan", "gan", "image-generation"]
    card_template = "card.md"
    draws_from_seeds = True
    space_template = "space.md"
    space_tags = [*tags, "interpretability"]
    space_packages = ["captum"]

    def __init__(self, generator: PreTrainedModel, discriminator: PreTrainedModel | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)
        self.image_processor = VaeImageProcessor(vae_scale_factor=1)

    def check_inputs(
        self,
        batch_size: int,
        class_labels: ClassLabels,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: torch.Tensor | None,
        truncation: float | None,
        output_type: str,
    ) -> None:
        if not isinstance(batch_size, Integral) or batch_size < 1:
            raise ValueError(f"`batch_size` must be a positive integer, got {batch_size!r}.")
        if isinstance(generator, list) and len(generator) != batch_size:
            raise ValueError(
                f"`generator` must be a single generator or a list of one per image, got {len(generator)} generators"
                f" for {batch_size} images."
            )
        if latents is not None:
            expected_shape = (batch_size, self.generator.config.latent_dim)
            if tuple(latents.shape) != expected_shape:
                raise ValueError(f"`latents` must have shape {expected_shape}, got {tuple(latents.shape)}.")
            if generator is not None or truncation is not None:
                raise ValueError(
                    "`latents` cannot be combined with `generator` or `truncation`, which control how latents are"
                    " drawn. Omit `latents`, or the other two."
                )
        if truncation is not None and not truncation > 0:
            raise ValueError(f"`truncation` must be positive, got {truncation!r}.")
        if output_type not in ("pil", "np", "pt", "latent"):
            raise ValueError(f'`output_type` must be "pil", "np", "pt" or "latent", got {output_type!r}.')
        config = self.generator.config
        if class_labels is not None and config.num_classes == 0:
            raise ValueError("The generator has 0 classes, so `class_labels` must not be given.")
        if latents is None or not config.num_classes or output_type == "latent":
            return
        if config.attributes is None and class_labels is None:
            raise ValueError(
                f"The generator has {config.num_classes} classes, so `class_labels` must be given with `latents`: the"
                " same latents show another image in each class."
            )
        if config.attributes is not None and _leaves_out(
            self.get_class_ids({} if class_labels is None else class_labels)
        ):
            raise ValueError(
                f"The generator has the attributes {', '.join(config.attributes)}, so `class_labels` must give all of"
                " them with `latents`: the same latents show another image with each value."
            )

    def get_class_ids(self, class_labels: ClassLabels) -> list[Any]:
        r"""
        Converts class ids or names to ids.

        Args:
            class_labels (`int`, `str`, `list[int | str]`, `dict[str, Any]`, `torch.Tensor` or `np.ndarray`):
                Classes, as ids or as names from `generator.config.id2label`. With several attributes: a dictionary of
                values by attribute (each one for all images, or a list of one per image), or, for each image, a
                dictionary or one value per attribute. A value of `None` or -1, or none at all, is left out.

        Returns:
            `list[int]`: ids in [0, `num_classes`). With several attributes `list[list[int]]`: for each image, the ids of
            the values within each attribute, -1 for those left out.

        Raises:
            ValueError: if a class, an attribute or a value does not exist.
        """
        config = self.generator.config
        class_labels = _without_tensor(class_labels)
        if config.attributes is not None:
            return self._get_value_ids(class_labels, config.attributes)
        names = [config.id2label[class_id] for class_id in range(config.num_classes)]
        labels = class_labels if isinstance(class_labels, (list, tuple)) else [class_labels]
        return [_find_id(label, names, "`class_labels` must be") for label in labels]

    def _get_value_ids(self, class_labels: Any, attributes: dict[str, list[str]]) -> list[list[int]]:
        """Returns the ids of the values of several attributes for each image."""
        if isinstance(class_labels, Mapping):
            plain = {name: _without_tensor(value) for name, value in class_labels.items()}
            lists = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in plain.items()}
            number = max(map(len, lists.values()), default=1)
            for name, values in lists.items():
                if len(values) not in (1, number):
                    raise ValueError(
                        f"`class_labels`: {name!r} must be one value or one per image, got {len(values)} for {number}"
                        " images."
                    )
            class_labels = [{name: values[i % len(values)] for name, values in lists.items()} for i in range(number)]
        rows = []
        for row in class_labels if isinstance(class_labels, (list, tuple)) else [class_labels]:
            if isinstance(row, (list, tuple)) and len(row) == len(attributes):
                row = dict(zip(attributes, row))
            if not isinstance(row, Mapping):
                raise ValueError(
                    "`class_labels` must be values by attribute, such as"
                    f" { ({name: values[0] for name, values in attributes.items()}) }, or a list of {len(attributes)} per"
                    f" image, for {', '.join(attributes)}, got {row!r}."
                )
            for name in row:
                if name not in attributes:
                    near = difflib.get_close_matches(str(name), attributes, n=1)
                    raise ValueError(
                        f"`class_labels`: {name!r} is not an attribute of the generator. Its attributes are"
                        f" {', '.join(attributes)}." + (f" Did you mean {near[0]!r}?" if near else "")
                    )
            values = [(name, row.get(name)) for name in attributes]
            rows.append(
                [
                    -1
                    if value is None or value == -1
                    else _find_id(value, attributes[name], f"`class_labels`: {name!r} must be")
                    for name, value in values
                ]
            )
        return rows

    def draw_class_ids(
        self,
        batch_size: int,
        generator: torch.Generator | list[torch.Generator] | None = None,
        class_labels: ClassLabels = None,
    ) -> list[Any]:
        r"""
        Draws the classes of images, all with the same probability. With several attributes, draws values as the
        training images have them together, see `generator.config.combination_counts`.

        Args:
            batch_size (`int`):
                Number of images.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                Random number generator, or a list with one per image.
            class_labels (*optional*):
                Values of some attributes, which are kept: the others are drawn as often as they occur with them.

        Returns:
            `list[int]`: ids in [0, `num_classes`). With several attributes `list[list[int]]`: for each image, the ids of
            the values within each attribute.
        """
        config = self.generator.config
        sources = [(batch_size, generator)] if not isinstance(generator, list) else [(1, one) for one in generator]
        if config.attributes is None:
            drawn = [
                torch.randint(
                    config.num_classes, (number,), generator=source, device=source.device if source else "cpu"
                ).cpu()
                for number, source in sources
            ]
            return torch.cat(drawn).tolist()
        numbers = [
            torch.rand(number, len(config.attributes), generator=source, device=source.device if source else "cpu")
            for number, source in sources
        ]
        given = torch.tensor(self.get_class_ids({} if class_labels is None else class_labels))
        given = given.expand(batch_size, len(config.attributes))
        return config.complete_labels(given, torch.cat([own.cpu() for own in numbers])).tolist()

    def prepare_latents(
        self,
        batch_size: int,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        truncation: float | None = None,
    ) -> torch.Tensor:
        r"""
        Draws latents, or moves the given ones to the pipeline's device.

        Args:
            batch_size (`int`):
                Number of images.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                Random number generator, or a list with one per image.
            latents (`torch.Tensor` of shape `(batch_size, latent_dim)`, *optional*):
                Latents to use unchanged.
            truncation (`float`, *optional*):
                Maximum absolute value of the latents.

        Returns:
            `torch.Tensor` of shape `(batch_size, latent_dim)`, float32.
        """
        if latents is not None:
            return latents.to(self._execution_device, torch.float32)
        shape = (batch_size, self.generator.config.latent_dim)
        device = self._execution_device
        latents = randn_tensor(shape, generator=generator, device=device, dtype=torch.float32)
        if truncation is not None:
            # Truncation trick (BigGAN, https://huggingface.co/papers/1809.11096, section 3.1). Instead of resampling,
            # map each normal variable to the truncated normal variable of the same quantile: the distribution is the
            # same, and every bound uses the same random numbers.
            # (On the CPU, because not all devices support float64.)
            tail = torch.special.ndtr(torch.tensor(-float(truncation), dtype=torch.float64))
            quantiles = tail + torch.special.ndtr(latents.cpu().double()) * (1 - 2 * tail)
            latents = torch.special.ndtri(quantiles).clamp(-truncation, truncation).float().to(device)
        return latents

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        class_labels: ClassLabels = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        truncation: float | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple:
        r"""
        The call function to the pipeline for generation.

        Args:
            batch_size (`int`, *optional*, defaults to 1):
                Number of images to generate. If it is 1, the length of `latents`, of a list of `generator`s or of a
                list of `class_labels` overrides it. Any number works, because the network runs on chunks of bounded
                size.
            class_labels (`int`, `str`, `list[int | str]`, `dict[str, Any]`, `torch.Tensor` or `np.ndarray`, *optional*):
                Classes of the images, as ids or names: one for all images, or one per image. With several attributes, a
                dictionary of them, such as `{"hair_color": "red", "glasses": ["yes", "no"]}`, or ids of shape
                `(batch_size, num_attributes)`, -1 for those left out. By default, a class-conditional generator draws
                classes and attributes that are left out, see [`~DCGANPipeline.draw_class_ids`]; with `latents` they
                are required. Not supported by other generators.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                A [torch generator](https://pytorch.org/docs/stable/generated/torch.Generator.html), or a list with one
                per image, to make generation deterministic. With a list, an image does not depend on the other images
                of the batch.
            latents (`torch.Tensor` of shape `(batch_size, latent_dim)`, *optional*):
                Pre-generated latents, used instead of samples from N(0, 1). Cannot be combined with `generator` or
                `truncation`.
            truncation (`float`, *optional*):
                Samples the latents from a normal distribution truncated to [-`truncation`, `truncation`]. Smaller
                values yield more typical, less diverse images.
            output_type (`str`, *optional*, defaults to `"pil"`):
                `"pil"` for a list of `PIL.Image.Image` (grey ones in mode "L"), `"np"` for an array of shape
                `(batch_size, height, width, num_channels)` in [0, 1], `"pt"` for a tensor of shape `(batch_size,
                num_channels, height, width)` in [0, 1], `"latent"` for the latents themselves, which can be edited
                and passed as `latents`.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return an [`~pipelines.ImagePipelineOutput`] instead of a plain tuple.

        Example:

        ```py
        >>> import torch
        >>> from dcgan_hf import DCGANPipeline

        >>> pipe = DCGANPipeline.from_pretrained("dcgan-digits")
        >>> images = pipe(batch_size=16, generator=torch.Generator().manual_seed(0)).images
        >>> images[0].save("digit.png")
        ```

        Returns:
            [`~pipelines.ImagePipelineOutput`] or `tuple`: the images in `images`, or as the tuple's first element.

        Raises:
            ValueError: if an argument is out of range, or if arguments imply different numbers of images.
        """
        class_ids = None
        if class_labels is not None and self.generator.config.num_classes:
            class_ids = self.get_class_ids(class_labels)
        if isinstance(generator, tuple):
            generator = list(generator)
        if batch_size == 1:
            for per_image in (latents, generator, class_ids):
                if isinstance(per_image, (torch.Tensor, list)):
                    batch_size = len(per_image)
                    break
        self.check_inputs(batch_size, class_labels, generator, latents, truncation, output_type)
        if class_ids is not None and len(class_ids) not in (1, batch_size):
            raise ValueError(
                f"`class_labels` must be one class or one per image, got {len(class_ids)} for {batch_size} images."
            )

        latents = self.prepare_latents(batch_size, generator, latents, truncation)
        if output_type == "latent":
            return ImagePipelineOutput(images=latents) if return_dict else (latents,)

        config, labels = self.generator.config, None
        if config.num_classes:
            if class_ids is None or (config.attributes is not None and _leaves_out(class_ids)):
                class_ids = self.draw_class_ids(batch_size, generator, class_ids)
            labels = torch.tensor(class_ids, device=latents.device).expand(batch_size, *config.label_shape)

        # Result, filled chunk by chunk, in the memory layout of image files unless tensors are requested.
        pixels = torch.empty(
            (batch_size, config.num_channels, config.image_size, config.image_size),
            dtype={"pil": torch.uint8, "np": torch.float32}.get(output_type, self.generator.dtype),
            device=latents.device if output_type == "pt" else "cpu",
            memory_format=torch.contiguous_format if output_type == "pt" else torch.channels_last,
        )
        # In training mode the images of a batch would depend on each other and sampling would change the model.
        was_training = self.generator.training
        self.generator.eval()
        chunk_size = max(1, MAX_PIXELS_PER_FORWARD // config.image_size**2)
        try:
            with self.progress_bar(total=batch_size) as progress_bar:
                for start in range(0, batch_size, chunk_size):
                    chunk = slice(start, start + chunk_size)
                    pixel_values = self.generator(
                        latents[chunk].to(self.generator.dtype), labels if labels is None else labels[chunk]
                    ).pixel_values
                    pixel_values = self.image_processor.denormalize(pixel_values)
                    if output_type == "pil":  # rounded on the device, to transfer fewer bytes
                        pixel_values = pixel_values.float().mul_(255).round_().to(torch.uint8)
                    pixels[chunk] = pixel_values
                    progress_bar.update(len(pixel_values))
        finally:
            self.generator.train(was_training)
            self.maybe_free_model_hooks()

        images: Any = pixels if output_type == "pt" else pixels.permute(0, 2, 3, 1).numpy()
        if output_type == "pil":
            images = [PIL.Image.fromarray(image.squeeze()) for image in images]  # grey: no channel axis
        return ImagePipelineOutput(images=images) if return_dict else (images,)


def _without_tensor(values: Any) -> Any:
    return values.tolist() if isinstance(values, torch.Tensor | np.ndarray) else values


def _leaves_out(class_ids: list[list[int]]) -> bool:
    """Returns whether attributes are left out for some image."""
    return any(-1 in row for row in class_ids)


def _find_id(label: Any, names: list[str], start: str) -> int:
    """Returns the id of a class or value given by name or id. Otherwise raises a `ValueError`, with this start."""
    found = names.index(label) if isinstance(label, str) and label in names else label
    if isinstance(found, Integral) and 0 <= int(found) < len(names):
        return int(found)
    near = difflib.get_close_matches(label, names, n=1) if isinstance(label, str) else []
    raise ValueError(
        f"{start} ids from 0 to {len(names) - 1} or names among {names}, got {label!r}."
        + (f" Did you mean {near[0]!r}?" if near else "")
    )


__all__ = ["DCGANPipeline"]
