# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Pipeline that samples images from a DCGAN."""

# A copy of this file must also work in a model repository, beside a modeling_dcgan.py with the networks' code and a
# copy of pipeline_portable.py.
from numbers import Integral
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor
from transformers import PreTrainedModel

from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .pipeline_portable import PortablePipelineMixin


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

    def __init__(self, generator: PreTrainedModel, discriminator: PreTrainedModel | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)
        self.image_processor = VaeImageProcessor(vae_scale_factor=1)

    def check_inputs(
        self,
        batch_size: int,
        class_labels: int | str | list[int | str] | torch.Tensor | np.ndarray | None,
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
        num_classes = self.generator.config.num_classes
        if class_labels is not None and num_classes == 0:
            raise ValueError("The generator has 0 classes, so `class_labels` must not be given.")
        if class_labels is None and latents is not None and num_classes and output_type != "latent":
            raise ValueError(
                f"The generator has {num_classes} classes, so `class_labels` must be given with `latents`: the same"
                " latents show another image in each class."
            )

    def get_class_ids(self, class_labels: int | str | list[int | str] | torch.Tensor | np.ndarray) -> list[int]:
        r"""
        Converts class ids or names to ids.

        Args:
            class_labels (`int`, `str`, `list[int | str]`, `torch.Tensor` or `np.ndarray`):
                Classes, as ids or as names from `generator.config.id2label`.

        Returns:
            `list[int]`: ids in [0, `num_classes`).

        Raises:
            ValueError: if a class does not exist.
        """
        config = self.generator.config
        name_to_id = {name: class_id for class_id, name in config.id2label.items()}
        if isinstance(class_labels, torch.Tensor | np.ndarray):
            class_labels = class_labels.tolist()
        ids: list[int] = []
        for label in class_labels if isinstance(class_labels, (list, tuple)) else [class_labels]:
            class_id = name_to_id.get(label) if isinstance(label, str) else label
            if not isinstance(class_id, Integral) or not 0 <= int(class_id) < config.num_classes:
                raise ValueError(
                    f"`class_labels` must be ids from 0 to {config.num_classes - 1} or names among"
                    f" {list(name_to_id)}, got {label!r}."
                )
            ids.append(int(class_id))
        return ids

    def draw_class_ids(
        self, batch_size: int, generator: torch.Generator | list[torch.Generator] | None = None
    ) -> list[int]:
        r"""
        Draws the classes of images, all with the same probability.

        Args:
            batch_size (`int`):
                Number of images.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                Random number generator, or a list with one per image.

        Returns:
            `list[int]`: ids in [0, `num_classes`).
        """
        num_classes = self.generator.config.num_classes
        sources = [(batch_size, generator)] if not isinstance(generator, list) else [(1, one) for one in generator]
        drawn = [
            torch.randint(num_classes, (number,), generator=source, device=source.device if source else "cpu").cpu()
            for number, source in sources
        ]
        return torch.cat(drawn).tolist()

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
        class_labels: int | str | list[int | str] | torch.Tensor | np.ndarray | None = None,
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
            class_labels (`int`, `str`, `list[int | str]`, `torch.Tensor` or `np.ndarray`, *optional*):
                Classes of the images, as ids or names: one for all images, or one per image. By default, a
                class-conditional generator draws them at random; with `latents` they are required. Not supported by
                other generators.
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
            drawn = class_ids or self.draw_class_ids(batch_size, generator)
            labels = torch.tensor(drawn, device=latents.device).expand(batch_size)

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


__all__ = ["DCGANPipeline"]
