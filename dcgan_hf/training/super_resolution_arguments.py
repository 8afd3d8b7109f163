# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of the training of a super-resolution generator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..flags import flag
from .arguments import PENALTIES, TrainingArguments
from .network_configs import make_config


if TYPE_CHECKING:
    from ..configuration_dcgan import DCGANDiscriminatorConfig
    from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig


@dataclass(kw_only=True)
class DCGANSuperResolutionTrainingArguments(TrainingArguments):
    r"""
    Arguments of a [`DCGANSuperResolutionTrainer`]. `dcgan train-super-resolution --help` describes all.

    Raises:
        ValueError: if an argument is out of range, has no effect, or does not go with another one.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionTrainingArguments

    >>> args = DCGANSuperResolutionTrainingArguments(output_dir="dcgan-x4", resolution=96, scale_factor=4)
    ```
    """

    scale_factor: Literal[2, 3, 4, 8] = flag(
        4,
        "Factor by which images become wider and higher.",
        group="Common",
        on_resume="fixed",
        on_card=True,
    )
    learning_rate: float = flag(
        4e-4, "Adam's learning rate.", group="Common", range="(0, inf)", on_card=True, part="optimizers"
    )

    resize_mode: Literal["crop", "pad", "random_crop"] = flag(
        "random_crop",
        "'random_crop' cuts squares out of images at random places, 'crop' scales the shorter side to the resolution and"
        " cuts out the centre, 'pad' scales down what is too large and pads with black.",
        group="Data",
        on_card=True,
    )
    crops_per_image: int = flag(
        16,
        "Squares that 'random_crop' cuts out of an image in an epoch.",
        group="Data",
        range="[1, inf)",
        on_card=True,
    )
    low_resolution_column: str | None = flag(
        None,
        "Column of the small images, for data sets that come in pairs. By default they are made of the large ones.",
        group="Data",
        on_card=True,
    )
    downsampling: Literal["bicubic", "area"] = flag(
        "bicubic", "Method that makes large images small.", group="Data", on_card=True
    )
    max_blur: float = flag(
        0.0,
        "Largest standard deviation of a blur before that, in pixels, drawn for each image.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    max_noise: float = flag(
        0.0,
        "Largest standard deviation of noise after that, of 255 steps of grey.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    min_jpeg_quality: int | None = flag(
        None,
        "Lowest quality of a JPEG file that small images go through.",
        group="Data",
        range="[1, 95]",
        on_card=True,
    )

    warmup_steps: int = flag(
        0,
        "Updates from the loss of pixels alone, before the discriminator takes part.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    pixel_loss_weight: float = flag(
        1.0, "Weight of the difference of the pixels.", group="Loss", range="[0, inf)", on_card=True
    )
    adversarial_loss_weight: float = flag(
        0.0,
        "Weight of the adversarial loss. 0 trains without a discriminator.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    feature_matching_loss_weight: float = flag(
        0.0,
        "Weight of the difference of the discriminator's feature maps.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    perceptual_loss_weight: float = flag(
        0.0, "Weight of the difference of another network's features.", group="Loss", range="[0, inf)", on_card=True
    )
    perceptual_features: str | None = flag(
        None,
        "That network: 'efficientnet-lite0', or folder or repository of an image classifier.",
        group="Loss",
        on_card="name",
    )
    adam_beta1: float = flag(
        0.9, "Adam's beta1.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )

    eval_features: str | None = flag(
        None,
        "Network whose features of enlarged images and of the originals are compared, too: 'inception',"
        " 'efficientnet-lite0', or folder or repository of an image classifier.",
        group="Evaluation",
        on_resume="free",
    )
    eval_num_images: int = flag(
        100, "Images to enlarge for a measurement, at most.", group="Evaluation", range="[1, inf)", on_resume="free"
    )
    metric_for_best_model: Literal["psnr", "ssim", "frechet_distance"] = flag(
        "psnr", "Measurement that tells the best model.", group="Evaluation", on_resume="free"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution % self.scale_factor:
            raise ValueError(
                f"`resolution` must be a multiple of `scale_factor={self.scale_factor}`, got {self.resolution}."
            )
        if self.metric_for_best_model == "frechet_distance" and self.eval_features is None:
            raise ValueError("`metric_for_best_model=frechet_distance` needs a network: `eval_features`.")
        self._check_images()
        _, discriminator_config = self.network_configs(self.num_channels or 3)
        self.check_discriminator(discriminator_config)
        self._check_weights()

    def _check_images(self) -> None:
        if self.resize_mode == "random_crop":
            for name in ("streaming", "skip_bad_images"):
                if getattr(self, name):
                    raise ValueError(f"`{name}` does not go with `resize_mode=random_crop`: use `crop` or `pad`.")
        if self.low_resolution_column is None:
            return
        if self.resize_mode != "random_crop":
            raise ValueError(
                f"`low_resolution_column` needs `resize_mode=random_crop`, got `{self.resize_mode}`, which would change"
                " the large images only."
            )
        for name in ("max_blur", "max_noise", "min_jpeg_quality"):
            if getattr(self, name):
                raise ValueError(f"`{name}` has no effect on small images that are given: `low_resolution_column`.")

    def _check_weights(self) -> None:
        if (self.perceptual_loss_weight > 0) != (self.perceptual_features is not None):
            raise ValueError("`perceptual_loss_weight` and `perceptual_features` have an effect together only.")
        if self.pixel_loss_weight == 0 and self.perceptual_loss_weight == 0:
            raise ValueError(
                "`pixel_loss_weight` and `perceptual_loss_weight` are 0: nothing tells the generator what to draw."
            )
        if self.is_adversarial:
            return
        if self.feature_matching_loss_weight or self.warmup_steps:
            raise ValueError(
                "`feature_matching_loss_weight` and `warmup_steps` need a discriminator: `adversarial_loss_weight` above"
                " 0."
            )
        for name in (*PENALTIES, "label_smoothing"):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` needs a discriminator: `adversarial_loss_weight` above 0.")

    @property
    def is_adversarial(self) -> bool:
        """True if there is a discriminator."""
        return self.adversarial_loss_weight > 0

    def network_configs(self, num_channels: int) -> tuple["DCGANSuperResolutionConfig", "DCGANDiscriminatorConfig"]:
        r"""
        Makes the configurations of both networks.

        Args:
            num_channels (`int`):
                Channels of the images.
        """
        from ..configuration_dcgan import DCGANDiscriminatorConfig
        from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig

        common: dict[str, Any] = {"num_channels": num_channels, "hidden_size": self.hidden_size}
        # Images are made square as in training, where that makes sense for a discriminator.
        shown = {"image_size": self.resolution, "resize_mode": "pad" if self.resize_mode == "pad" else "crop"}
        return (
            make_config(
                "generator_config",
                self.generator_config,
                DCGANSuperResolutionConfig,
                common | {"scale_factor": self.scale_factor},
            ),
            make_config("discriminator_config", self.discriminator_config, DCGANDiscriminatorConfig, common | shown),
        )
