# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for training an image generator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..flags import LabelledDatasetArguments, flag
from .arguments import PENALTIES, TrainingArguments, check_images_are_separate
from .network_configs import json_of, make_config


if TYPE_CHECKING:
    from ..configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig


AUGMENTATIONS = ["color", "translation", "cutout"]
# Number of images below which the discriminator learns them by heart, unless they are augmented.
SMALL_DATASET = 1_000


def check_contrast_can_be_matched(norm_type: str) -> None:
    """Raises a `ValueError` for a generator whose normalisation undoes what `match_contrast` does."""
    if norm_type == "spectral":
        raise ValueError(
            "`match_contrast` does not work with a generator of `norm_type=spectral`, which would undo it. Leave it out,"
            " or use `batch`, `group` or `none`."
        )


@dataclass(kw_only=True)
class DCGANTrainingArguments(TrainingArguments, LabelledDatasetArguments):
    r"""
    Arguments of a [`DCGANTrainer`]. The defaults suit 100 to 100,000 images of any kind: they gave the best images of
    our comparison. The paper's are in the recipe `celeba`. `dcgan train --help` describes all arguments.

    Raises:
        ValueError: if an argument is out of range, has no effect, or cannot be combined with another one.

    Example:

    ```python
    >>> from dcgan_hf import DCGANTrainingArguments

    >>> args = DCGANTrainingArguments(output_dir="dcgan-cats", resolution=64, max_train_steps=10_000)
    ```
    """

    resize_mode: Literal["crop", "pad"] = flag(
        "crop",
        "'crop' scales the shorter side to the resolution and crops the centre; 'pad' scales down larger images and"
        " pads with black.",
        group="Data",
        on_card=True,
    )

    class_conditional: bool = flag(
        False, "Condition both networks on the labels.", group="Networks", on_resume="fixed", on_card=True
    )
    class_names: list[str] | None = flag(
        None,
        "Class names, in the order of their ids (default: those of the dataset).",
        group="Networks",
        on_card=True,
    )
    latent_dim: int = flag(100, "Dimension of the latents.", group="Networks", on_resume="fixed", on_card=True)

    diff_augment: list[Literal["none", "color", "translation", "cutout"]] | None = flag(
        None,
        "Differentiable augmentations of all images that the discriminator sees, in this order (default: all for fewer"
        f" than {SMALL_DATASET:,} images, else none).",
        group="Loss",
        on_card=True,
    )
    matching_aware: bool = flag(
        False,
        "Also teach the discriminator to reject real images with a wrong label, so that generated images follow their"
        " labels. Needs `class_conditional`.",
        group="Loss",
        on_card=True,
        part="update",
    )
    discriminator_steps: int = flag(
        1,
        "Number of discriminator updates per generator update, each on new images.",
        group="Optimization",
        range="[1, inf)",
        on_card=True,
    )
    update_strategy: Literal["alternating", "simultaneous", "one_stage"] = flag(
        "alternating",
        "'alternating' updates the discriminator, then the generator through it, as in the paper. 'simultaneous'"
        " updates both from one forward pass. 'one_stage' does the same with one backward pass less, for"
        " discriminators without batch normalisation.",
        group="Optimization",
        on_card=True,
        part="update",
    )

    match_contrast: bool = flag(
        False,
        "Give generated images the contrast of real ones, which a batch-normalised discriminator without biases cannot"
        " see. Does not affect training, so it also works on a finished run, with `--resume_from_checkpoint latest`.",
        group="Evaluation",
        on_resume="free",
        on_card=True,
    )
    eval_features: str = flag(
        "inception",
        "Network whose features of generated and real images are compared: 'inception', 'efficientnet-lite0',"
        " 'efficientnet-lite2', or a folder or Hub repository of an image classifier.",
        group="Evaluation",
        on_resume="free",
    )
    eval_num_images: int = flag(
        5_000, "Number of images to generate per evaluation.", group="Evaluation", range="[2, inf)", on_resume="free"
    )
    metric_for_best_model: Literal["frechet_distance", "kernel_distance"] = flag(
        "frechet_distance", "Metric that selects the best model.", group="Evaluation", on_resume="free"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        LabelledDatasetArguments.__post_init__(self)
        if self.class_names and isinstance(self.label_column, list):
            raise ValueError(f"`class_names` requires a single `label_column`, got {len(self.label_column)}.")
        selected = [name for name in AUGMENTATIONS if name in (self.diff_augment or [])]
        if self.diff_augment not in (None, ["none"], selected):
            raise ValueError(
                f"`diff_augment` must be 'none' or a selection of {AUGMENTATIONS}, in this order, got"
                f" {self.diff_augment}."
            )
        if self.update_strategy != "alternating" and self.discriminator_steps > 1:
            raise ValueError(
                f"`discriminator_steps={self.discriminator_steps}` requires `update_strategy=alternating`, got"
                f" `{self.update_strategy}`, which updates both networks from one forward pass."
            )
        if self.pretrained_model_name_or_path is None and self.resume_from_checkpoint is None:
            self.check_networks()

    def check_networks(self) -> None:
        for name in ("label_column", "class_names", "matching_aware"):
            value = getattr(self, name)
            if value not in (None, False) and not self.class_conditional:
                words = " ".join(value) if isinstance(value, list) else value
                raise ValueError(f"`{name}={words}` has no effect without `class_conditional`.")
        generator_config, discriminator_config = self.network_configs(self.num_channels or 3, None)
        self.check_discriminator(discriminator_config)
        if self.match_contrast:
            check_contrast_can_be_matched(generator_config.norm_type)

    def augmentations_for(self, num_images: int | None) -> list[str]:
        """Returns the names of the augmentations for a number of training images, `None` for a stream."""
        if self.diff_augment is None:
            return AUGMENTATIONS if num_images is not None and num_images < SMALL_DATASET else []
        return [] if self.diff_augment == ["none"] else list(self.diff_augment)

    def check_precision(self, mixed_precision: str | None) -> None:
        super().check_precision(mixed_precision)
        if mixed_precision == "fp16" and self.update_strategy != "alternating":
            raise ValueError(
                f"`update_strategy={self.update_strategy}` is not supported with `mixed_precision=fp16`: the step of"
                " the first optimizer may change the loss scale before that of the second. Use `bf16`."
            )

    def check_discriminator(self, config: "DCGANDiscriminatorConfig") -> None:
        super().check_discriminator(config)
        if self.update_strategy != "one_stage":
            return
        check_images_are_separate(config.norm_type != "batch", "`update_strategy=one_stage`")
        if config.patchwise:
            raise ValueError(
                "`update_strategy=one_stage` requires one logit per image. Use a discriminator without `patchwise`."
            )
        for name in (*PENALTIES, "matching_aware"):
            if getattr(self, name) not in (None, False):
                raise ValueError(
                    f"`{name}` requires `update_strategy=alternating` or `simultaneous`: `one_stage` takes the"
                    " generator's gradient from the discriminator's, which other terms of its loss change."
                )

    def network_configs(
        self,
        num_channels: int,
        class_names: list[str] | None,
        attributes: dict[str, list[str]] | None = None,
        combination_counts: dict[str, int] | None = None,
    ) -> tuple["DCGANGeneratorConfig", "DCGANDiscriminatorConfig"]:
        r"""
        Returns the configs of both networks.

        Args:
            num_channels (`int`):
                Number of image channels.
            class_names (`list[str]`, *optional*):
                Class names, for class-conditional networks.
            attributes, combination_counts (*optional*):
                Several attributes instead of classes, see [`DCGANGeneratorConfig`].
        """
        from ..configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig

        common: dict[str, Any] = {
            "image_size": self.resolution,
            "num_channels": num_channels,
            "hidden_size": self.hidden_size,
        }
        if class_names is not None:
            common |= {"num_classes": len(class_names), "id2label": dict(enumerate(class_names))}
        if attributes is not None:
            common["attributes"] = attributes
        return (
            make_config(
                "generator_config",
                self.generator_config,
                DCGANGeneratorConfig,
                common | {"latent_dim": self.latent_dim, "combination_counts": combination_counts},
            ),
            make_config(
                "discriminator_config",
                self.discriminator_config,
                DCGANDiscriminatorConfig,
                common | {"resize_mode": self.resize_mode},
            ),
        )

    def decided_by(
        self, generator: "DCGANGeneratorConfig", discriminator: "DCGANDiscriminatorConfig | None"
    ) -> dict[str, Any]:
        r"""
        Returns the arguments that describe trained networks: the inverse of
        [`~DCGANTrainingArguments.network_configs`].

        Args:
            generator ([`DCGANGeneratorConfig`]):
                Config of the generator.
            discriminator ([`DCGANDiscriminatorConfig`], *optional*):
                Config of the discriminator.
        """
        common = {
            "image_size": generator.image_size,
            "num_channels": generator.num_channels,
            "hidden_size": generator.hidden_size,
        }
        decided: dict[str, Any] = {
            "resolution": generator.image_size,
            "num_channels": generator.num_channels,
            "hidden_size": generator.hidden_size,
            "latent_dim": generator.latent_dim,
            "class_conditional": generator.num_classes > 0,
            "generator_config": json_of(generator, common | {"latent_dim": generator.latent_dim}),
        }
        if generator.attributes is not None:
            decided["label_column"] = list(generator.attributes)
        if discriminator is not None:
            decided |= {
                "resize_mode": discriminator.resize_mode,
                "discriminator_config": json_of(discriminator, common),
            }
        return decided
