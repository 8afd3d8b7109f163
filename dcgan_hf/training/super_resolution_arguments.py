# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of the training script for super-resolution."""

from dataclasses import dataclass
from typing import Any, Literal

from ..configuration_dcgan import DCGANDiscriminatorConfig
from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from ..data.degradation import Degradation
from .argument_checks import check_super_resolution_arguments
from .arguments import TrainingArguments, flag
from .super_resolution import SuperResolutionWeights


@dataclass
class SuperResolutionTrainingArguments(TrainingArguments):
    """Arguments of `scripts/train_super_resolution.py`."""

    # Data
    resize_mode: Literal["crop", "pad", "random_crop"] = flag(
        "random_crop",
        "'random_crop' cuts squares out of images at random places, 'crop' scales the shorter side to the resolution and cuts"
        " out the centre, 'pad' scales down what is too large and pads with black.",
    )
    crops_per_image: int = flag(16, "Squares that 'random_crop' cuts out of an image in an epoch.")
    low_resolution_column: str | None = flag(
        None,
        "Column of the small images, for data sets that come in pairs. By default they are made of the large ones.",
    )
    downsampling: Literal["bicubic", "area"] = flag("bicubic", "How large images are made small.")
    max_blur: float = flag(0.0, "Largest standard deviation of a blur before that, in pixels, drawn for each image.")
    max_noise: float = flag(0.0, "Largest standard deviation of noise after that, of 255 steps of grey.")
    min_jpeg_quality: int | None = flag(None, "Lowest quality of a JPEG file that small images go through, up to 95.")

    # Networks
    scale_factor: Literal[2, 3, 4, 8] = flag(4, "How many times as wide and high images become.")

    # Training
    learning_rate: float = flag(4e-4, "Adam's learning rate.")
    adam_beta1: float = flag(0.9, "Adam's beta1.")
    warmup_steps: int = flag(0, "Updates from the loss of pixels alone, before the discriminator takes part.")
    pixel_loss_weight: float = flag(1.0, "Weight of the difference of the pixels.")
    adversarial_loss_weight: float = flag(
        0.0, "Weight of what the discriminator says. 0 trains without a discriminator."
    )
    feature_matching_loss_weight: float = flag(0.0, "Weight of the difference of the discriminator's feature maps.")
    perceptual_loss_weight: float = flag(0.0, "Weight of the difference of another network's features.")
    perceptual_features: str | None = flag(
        None, "That network: 'efficientnet-lite0', or folder or repository of an image classifier."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_super_resolution_arguments(self)

    @property
    def is_adversarial(self) -> bool:
        """Whether there is a discriminator."""
        return self.adversarial_loss_weight > 0

    def degradation(self) -> Degradation:
        """How small images come about."""
        return Degradation(self.scale_factor, self.downsampling, self.max_blur, self.max_noise, self.min_jpeg_quality)

    def loss_weights(self) -> SuperResolutionWeights:
        """What the generator's losses weigh."""
        return SuperResolutionWeights(
            self.pixel_loss_weight,
            self.adversarial_loss_weight,
            self.feature_matching_loss_weight,
            self.perceptual_loss_weight,
        )

    def network_configs(self, num_channels: int) -> tuple[DCGANSuperResolutionConfig, DCGANDiscriminatorConfig]:
        r"""
        Configurations of both networks.

        Args:
            num_channels (`int`):
                Channels of the images.
        """
        common: dict[str, Any] = {"num_channels": num_channels, "hidden_size": self.hidden_size}
        generator_fields = self._fields("generator_config", DCGANSuperResolutionConfig)
        discriminator_fields = self._fields("discriminator_config", DCGANDiscriminatorConfig)
        # Images are made square as in training, where that makes sense for a discriminator.
        shown = {"image_size": self.resolution, "resize_mode": "pad" if self.resize_mode == "pad" else "crop"}
        return (
            DCGANSuperResolutionConfig(**(common | {"scale_factor": self.scale_factor} | generator_fields)),
            DCGANDiscriminatorConfig(**(common | shown | discriminator_fields)),
        )
