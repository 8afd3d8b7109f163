# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Configurations of the DCGAN generator and discriminator."""

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.dataclasses import strict

from .configuration_attributes import check_attributes, complete_values, in_order_of, labels_of, read_combinations
from .configuration_portable import MAX_LABELS, MAX_WEIGHTS, PortableConfig
from .image_processing_dcgan import DCGANImageProcessor


@strict
class DCGANConfig(PortableConfig):
    r"""
    Base class of [`DCGANGeneratorConfig`] and [`DCGANDiscriminatorConfig`] with the fields that both networks share.
    Instantiate one of these two. Inherits from [`PreTrainedConfig`], which documents saving and loading.

    Args:
        image_size (`int`, *optional*, defaults to 64):
            Height and width of the (square) images, in pixels.
        num_channels (`int`, *optional*, defaults to 3):
            Number of image channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        hidden_size (`int`, *optional*, defaults to 64):
            Number of channels next to the image (`ngf`/`ndf` in the PyTorch tutorial). The width doubles with each
            layer further from the image, up to `8 * hidden_size`.
        hidden_sizes (`list[int]`, *optional*):
            Explicit layer widths, in the order of the forward pass. Overrides `hidden_size`.
        strides (`list[int]`, *optional*):
            Stride of each convolution, in the order of the forward pass. By default, the resolution is halved as
            long as at least 4 pixels remain, as in the paper (64 = 4 * 2 * 2 * 2 * 2, 28 = 7 * 2 * 2).
        kernel_size (`int` or `list[int]`, *optional*, defaults to 4):
            Kernel size of all convolutions, or a list with one value per convolution.
        padding (`str`, *optional*, defaults to `"same"`):
            `"same"` pads as Keras and TensorFlow do: a feature map of `n` pixels becomes `ceil(n / stride)` in the
            discriminator and `n * stride` in the generator. The larger half of an odd amount of padding goes to the
            bottom and right. `"symmetric"` is PyTorch's `padding=(kernel_size - stride) / 2`, which must be an
            integer. It drops the last row and column of a feature map whose size is not divisible by the stride.
            Both are equivalent for the paper's 4x4 kernels of stride 2 on even feature maps.
        use_bias (`bool`, *optional*, defaults to `False`):
            Whether convolutions and linear layers have a bias. In training, a batch-normalised discriminator without biases
            cannot see the contrast of images.
        norm_type (`str`, *optional*, defaults to `"batch"`):
            `"batch"` or `"group"` normalise the output of each convolution except the one next to the image (paper,
            section 3). `"spectral"` normalises the weights of every layer instead. `"none"` disables normalisation.
        norm_eps (`float`, *optional*, defaults to 1e-5):
            Epsilon of batch and group normalisation (Keras: 1e-3, StudioGAN: 1e-4).
        num_groups (`int`, *optional*, defaults to 32):
            Number of groups in group normalisation. Must divide every normalised width.
        hidden_act (`str`, *optional*):
            Activation function: `"relu"` (default of the generator) or `"leaky_relu"` (default of the discriminator).
        leaky_relu_slope (`float`, *optional*, defaults to 0.2):
            Slope of `"leaky_relu"` for negative inputs.
        num_classes (`int`, *optional*, defaults to 0):
            Number of classes of a class-conditional network, or 0 for an unconditional one. Set the class names in
            `id2label`. (`num_labels` is not used: transformers sets it to 2 even where it has no meaning.)
        attributes (`dict[str, list[str]]`, *optional*):
            Names of several attributes and of the values of each, such as `{"hair": ["red", "grey"], "smile": ["no",
            "yes"]}`. The network is conditioned on all of them: its label embeddings are added. `num_classes` is then
            the total number of values, and `id2label` names them like "hair: red". By default, an image has one class.
        initializer (`str`, *optional*, defaults to `"normal"`):
            `"normal"` draws weights from N(0, `initializer_range`), as in the paper. `"xavier_uniform"` is the
            initialisation of Keras.
        initializer_range (`float`, *optional*, defaults to 0.02):
            Standard deviation of the `"normal"` initialisation, and of the batch normalisation scales around 1.

    Raises:
        huggingface_hub.errors.StrictDataclassError: if a field has an invalid type or value, or if fields contradict
            each other.
    """

    code_module = "modeling_dcgan"
    _maxima = {
        "image_size": 4096,
        "num_classes": MAX_LABELS,
        "hidden_size": 8192,
        "hidden_sizes": 65_536,
        "strides": 4096,
        "kernel_size": 64,
        "num_groups": 65_536,
    }

    image_size: int = 64
    num_channels: int = 3
    hidden_size: int = 64
    hidden_sizes: list[int] | tuple[int, ...] | None = None
    strides: list[int] | tuple[int, ...] | None = None
    kernel_size: int | list[int] | tuple[int, ...] = 4
    padding: Literal["same", "symmetric"] = "same"
    use_bias: bool = False
    norm_type: Literal["batch", "group", "spectral", "none"] = "batch"
    norm_eps: float | int = 1e-5
    num_groups: int = 32
    hidden_act: Literal["relu", "leaky_relu"] = "relu"
    leaky_relu_slope: float | int = 0.2
    num_classes: int = 0
    attributes: dict[str, list[str]] | None = None
    initializer: Literal["normal", "xavier_uniform"] = "normal"
    initializer_range: float | int = 0.02

    def __post_init__(self, **kwargs):
        self.check_maxima(**kwargs)  # before anything is made of the sizes
        if self.strides is None:
            num_halvings, remaining = 0, self.image_size
            while remaining % 2 == 0 and remaining >= 8:
                num_halvings, remaining = num_halvings + 1, remaining // 2
            # A single halving would leave a stem half as large as the image, which the validation rejects.
            self.strides = [2] * num_halvings if num_halvings >= 2 else []
        if self.hidden_sizes is None:
            self.hidden_sizes = [self.hidden_size * min(2**i, 8) for i in range(len(self.strides))]
        if self.attributes is not None:
            self.num_classes = self.num_classes or sum(map(len, self.attributes.values()))
            if self.id2label is None:
                self.id2label = labels_of(self.attributes)
        if self.id2label is None and "num_labels" not in kwargs:
            kwargs["num_labels"] = self.num_classes
        super().__post_init__(**kwargs)
        if self.attributes is not None:
            self.attributes = in_order_of(self.id2label, self.attributes)

    @property
    def label_sizes(self) -> list[int]:
        """Number of values of each attribute. A class counts as one attribute; an unconditional network has none."""
        if self.attributes is not None:
            return [len(values) for values in self.attributes.values()]
        return [self.num_classes] if self.num_classes else []

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of an image's `class_labels`: `()` for a class, `(num_attributes,)` for several attributes."""
        return () if self.attributes is None else (len(self.attributes),)

    @property
    def kernel_sizes(self) -> list[int]:
        """Kernel size of each convolution."""
        return [self.kernel_size] * len(self.strides) if isinstance(self.kernel_size, int) else list(self.kernel_size)

    def validate_architecture(self):
        if self.num_channels not in (1, 3, 4):
            raise ValueError(f"`num_channels` must be 1 (grey), 3 (RGB) or 4 (RGBA), got {self.num_channels}.")
        for name in ("image_size", "hidden_size", "num_groups"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        for name in ("norm_eps", "leaky_relu_slope", "num_classes", "initializer_range"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be 0 or a positive number, got {getattr(self, name)}.")
        if not self.strides:
            raise ValueError(
                f"`image_size={self.image_size}` has no default `strides`, which exist for multiples of 4 from 16"
                " on. Use such a size or pass `strides`, e.g. `image_size=30, strides=[3, 2]`."
            )
        for name, values in (
            ("strides", self.strides),
            ("hidden_sizes", self.hidden_sizes),
            ("kernel_size", self.kernel_sizes),
        ):
            if any(value < 1 for value in values):
                raise ValueError(f"All values of `{name}` must be at least 1, got {list(values)}.")
            if len(values) != len(self.strides):
                raise ValueError(
                    f"`{name}` must have one value per convolution, as many as `strides={list(self.strides)}`, got"
                    f" {list(values)}."
                )
        for kernel_size, stride in zip(self.kernel_sizes, self.strides):
            if kernel_size < stride:
                raise ValueError(f"`kernel_size` must be at least the stride, got {kernel_size} for stride {stride}.")
            if self.padding == "symmetric" and (kernel_size - stride) % 2:
                raise ValueError(
                    '`padding="symmetric"` requires `kernel_size` minus stride to be even, got kernel size'
                    f' {kernel_size} and stride {stride}. Use `padding="same"`.'
                )

    def _validate_num_weights(self, num_weights: int):
        if num_weights > MAX_WEIGHTS:
            raise ValueError(
                f"The network would have {num_weights:,} weights, but at most {MAX_WEIGHTS:,} are allowed. Reduce"
                f" `hidden_size={self.hidden_size}`, `hidden_sizes={list(self.hidden_sizes)}`,"
                f" `num_classes={self.num_classes}` or the kernels."
            )

    def _num_convolution_weights(self, channels: list[int]) -> int:
        return sum(math.prod(sizes) * kernel**2 for sizes, kernel in zip(pairwise(channels), self.kernel_sizes))

    def validate_attributes(self):
        if self.attributes is not None:
            check_attributes(self.attributes)

    def validate_class_names(self):
        if set(self.id2label) != set(range(self.num_classes)) or len(set(self.id2label.values())) != self.num_classes:
            raise ValueError(
                f"`id2label` must assign a unique name to each class from 0 to `num_classes` - 1, got {self.id2label}"
                f" for `num_classes={self.num_classes}`."
            )
        if self.attributes is not None and self.id2label != labels_of(self.attributes):
            raise ValueError(
                f"`id2label` must name the {self.num_classes} values of `attributes={self.attributes}`, like"
                f" {labels_of(self.attributes)[0]!r}, got {self.id2label}."
            )

    def _validate_groups(self, normalized_sizes: list[int]):
        for size in normalized_sizes:
            if self.norm_type == "group" and size % self.num_groups:
                raise ValueError(
                    f"`num_groups` must divide every normalised width, got {self.num_groups} for width {size}."
                )


@strict
class DCGANGeneratorConfig(DCGANConfig):
    r"""
    Configuration of a [`DCGANGenerator`]. The defaults yield the generator of the
    [PyTorch tutorial](https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html): 64x64 RGB images,
    3,576,704 parameters. See [`DCGANConfig`] for the fields shared with the discriminator.

    Args:
        latent_dim (`int`, *optional*, defaults to 100):
            Number of latent variables (`nz` in the PyTorch tutorial).
        stem_hidden_sizes (`list[int]`, *optional*, defaults to `[]`):
            Widths of hidden linear layers between the latents and the linear layer that produces the first feature
            map. Each is followed by the activation function.
        stem_norm (`bool`, *optional*, defaults to `True`):
            Whether to normalise the first feature map.
        stem_activation (`bool`, *optional*, defaults to `True`):
            Whether to apply the activation function to the first feature map.
        combination_counts (`dict[str, int]`, *optional*):
            Number of training images by combination of values of `attributes`: their ids, separated by spaces, -1 for
            a missing value, such as `{"0 1": 37, "1 -1": 5}`. At most 1,000 combinations. Attributes that a user leaves
            out are drawn accordingly; by default, all values are equally frequent.

    Example:

    ```python
    >>> from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig

    >>> config = DCGANGeneratorConfig(image_size=28, num_channels=1)
    >>> config.feature_sizes
    [7, 14, 28]
    >>> model = DCGANGenerator(config)
    ```
    """

    model_type = "dcgan_generator"
    _maxima = DCGANConfig._maxima | {"latent_dim": 65_536, "stem_hidden_sizes": 65_536}
    _auto_classes = {"AutoConfig": "DCGANGeneratorConfig", "AutoModel": "DCGANGenerator"}

    latent_dim: int = 100
    stem_hidden_sizes: list[int] | tuple[int, ...] = ()
    stem_norm: bool = True
    stem_activation: bool = True
    combination_counts: dict[str, int] | None = None

    def __post_init__(self, **kwargs):
        widths_given = self.hidden_sizes is not None
        super().__post_init__(**kwargs)
        if not widths_given:
            self.hidden_sizes = self.hidden_sizes[::-1]

    @property
    def feature_sizes(self) -> list[int]:
        """Sizes, in pixels, of the stem's feature map and of each transposed convolution's output."""
        stem_size = self.image_size // math.prod(self.strides)
        return [stem_size * math.prod(self.strides[:i]) for i in range(len(self.strides) + 1)]

    def validate_architecture(self):
        super().validate_architecture()
        if self.latent_dim < 1:
            raise ValueError(f"`latent_dim` must be at least 1, got {self.latent_dim}.")
        if any(size < 1 for size in self.stem_hidden_sizes):
            raise ValueError(
                f"All values of `stem_hidden_sizes` must be at least 1, got {list(self.stem_hidden_sizes)}."
            )
        if self.feature_sizes[-1] != self.image_size:
            raise ValueError(
                f"`image_size` must be a multiple of the product of `strides`, got {self.image_size} and"
                f" {list(self.strides)}."
            )
        widths = [self.latent_dim * (2 if self.num_classes else 1), *self.stem_hidden_sizes]
        widths.append(self.hidden_sizes[0] * self.feature_sizes[0] ** 2)
        self._validate_num_weights(
            self.num_classes * self.latent_dim
            + sum(map(math.prod, pairwise(widths)))
            + self._num_convolution_weights([*self.hidden_sizes, self.num_channels])
        )
        self._validate_groups(list(self.hidden_sizes) if self.stem_norm else list(self.hidden_sizes[1:]))

    def validate_combinations(self):
        if self.combination_counts is None:
            return
        if self.attributes is None:
            raise ValueError("`combination_counts` requires `attributes`.")
        read_combinations(self.combination_counts, self.label_sizes)

    def complete_labels(self, labels: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Draws the values that are left out of labels, from the training data's. See [`complete_values`]."""
        return complete_values(labels, numbers, self.label_sizes, self.combination_counts)


@strict
class DCGANDiscriminatorConfig(DCGANConfig):
    r"""
    Configuration of a [`DCGANDiscriminator`] or a [`DCGANForImageClassification`]. For the latter, `num_labels` or
    `id2label` define the predicted labels. The defaults yield the discriminator of the
    [PyTorch tutorial](https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html): 64x64 RGB images,
    2,765,568 parameters. See [`DCGANConfig`] for the fields shared with the generator.

    Args:
        resize_mode (`str`, *optional*, defaults to `"crop"`):
            Method by which [`DCGANImageProcessor`] makes images square: `"crop"` or `"pad"`.
        patchwise (`bool`, *optional*, defaults to `False`):
            Whether to score overlapping patches instead of the whole image (PatchGAN; Isola et al., 2017,
            https://huggingface.co/papers/1611.07004, section 3.2.2). Images may then have any size. Not supported
            with class-conditional networks.

    Example:

    ```python
    >>> from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig

    >>> config = DCGANDiscriminatorConfig(image_size=28, num_channels=1, norm_type="spectral")
    >>> config.feature_sizes
    [14, 7]
    >>> model = DCGANDiscriminator(config)
    ```
    """

    model_type = "dcgan_discriminator"
    _auto_classes = {
        "AutoConfig": "DCGANDiscriminatorConfig",
        "AutoImageProcessor": "DCGANImageProcessor",
        "AutoModel": "DCGANDiscriminator",
        "AutoModelForImageClassification": "DCGANForImageClassification",
    }

    hidden_act: Literal["relu", "leaky_relu"] = "leaky_relu"
    resize_mode: Literal["crop", "pad"] = "crop"
    patchwise: bool = False

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves the configuration and the matching [`DCGANImageProcessor`]. See [`DCGANConfig.save_pretrained`]."""
        processor = DCGANImageProcessor(
            size=self.image_size, num_channels=self.num_channels, resize_mode=self.resize_mode
        )
        with self.replacing_files(Path(save_directory)) as folder:
            processor.save_pretrained(folder)
            super().save_pretrained(folder, **kwargs)

    def to_diff_dict(self) -> dict[str, Any]:
        """Returns the non-default fields and all labels. See [`~transformers.PreTrainedConfig.to_diff_dict`]."""
        # transformers omits two unnamed labels, which are its default. They are not the default here.
        return super().to_diff_dict() | {"id2label": self.id2label, "label2id": self.label2id}

    def validate_class_names(self):
        if self.num_classes:  # otherwise `id2label` names a classifier's labels
            super().validate_class_names()

    @property
    def feature_sizes(self) -> list[int]:
        """Size, in pixels, of each convolution's output."""
        sizes, size = [], self.image_size
        for stride in self.strides:
            size = math.ceil(size / stride) if self.padding == "same" else size // stride
            sizes.append(size)
        return sizes

    def validate_architecture(self):
        super().validate_architecture()
        if self.feature_sizes[-1] < 1:
            raise ValueError(
                f"`strides={list(self.strides)}` are too large for `image_size={self.image_size}`: the feature maps"
                f" would have sizes {self.feature_sizes}. Use fewer or smaller strides, or larger images."
            )
        if self.patchwise and self.num_classes:
            raise ValueError(
                f"`patchwise=True` cannot be combined with `num_classes={self.num_classes}`: only a discriminator of"
                " whole images can be class-conditional."
            )
        num_features = self.hidden_sizes[-1] * (1 if self.patchwise else self.feature_sizes[-1] ** 2)
        self._validate_num_weights(
            self._num_convolution_weights([self.num_channels, *self.hidden_sizes])
            + num_features * (1 + max(self.num_classes, self.num_labels))
        )
        self._validate_groups(list(self.hidden_sizes[1:]))


__all__ = ["DCGANDiscriminatorConfig", "DCGANGeneratorConfig"]
