# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for training a super-resolution generator."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..flags import flag
from .arguments import PENALTIES, TrainingArguments
from .network_configs import json_of, make_config


if TYPE_CHECKING:
    from ..configuration_dcgan import DCGANDiscriminatorConfig
    from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig


@dataclass(kw_only=True)
class DCGANSuperResolutionTrainingArguments(TrainingArguments):
    r"""
    Arguments of a [`DCGANSuperResolutionTrainer`]. `dcgan train-super-resolution --help` describes them.

    Raises:
        ValueError: if an argument is out of range, has no effect, or cannot be combined with another one.

    Example:

    ```python
    >>> from dcgan_hf import DCGANSuperResolutionTrainingArguments

    >>> args = DCGANSuperResolutionTrainingArguments(output_dir="dcgan-x4", resolution=96, scale_factor=4)
    ```
    """

    scale_factor: Literal[2, 3, 4, 8] = flag(
        4,
        "Upscaling factor of width and height.",
        group="Common",
        on_resume="fixed",
        on_card=True,
    )
    learning_rate: float = flag(
        4e-4, "Initial learning rate of Adam.", group="Common", range="(0, inf)", on_card=True, part="optimizers"
    )

    resize_mode: Literal["crop", "pad", "random_crop"] = flag(
        "random_crop",
        "'random_crop' takes random square crops; 'crop' scales the shorter side to the resolution and crops the"
        " centre; 'pad' scales down larger images and pads with black.",
        group="Data",
        on_card=True,
    )
    crops_per_image: int = flag(
        16,
        "Number of random crops per image and epoch, for 'random_crop'.",
        group="Data",
        range="[1, inf)",
        on_card=True,
    )
    random_scale: float = flag(
        1.0,
        "Smallest factor of a random reduction of photographs before they are cropped, which shows more of each and"
        " hides traces of JPEG. 1 keeps their size.",
        group="Data",
        range="(0, 1]",
        on_card=True,
    )
    random_rotation: bool = flag(False, "Turn images by random multiples of 90 degrees.", group="Data", on_card=True)
    low_resolution_column: str | None = flag(
        None,
        "Column that contains the low-resolution images of a paired dataset (default: downsample the high-resolution"
        " images).",
        group="Data",
        on_card=True,
    )
    downsampling: Literal["bicubic", "area"] = flag(
        "bicubic", "Method that downsamples the high-resolution images.", group="Data", on_card=True
    )
    max_blur: float = flag(
        0.0,
        "Maximum standard deviation, in pixels, of a blur before downsampling. Each image gets a random one.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    max_noise: float = flag(
        0.0,
        "Maximum standard deviation, in grey levels from 0 to 255, of noise added after downsampling.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    min_jpeg_quality: int | None = flag(
        None,
        "Minimum quality of a JPEG compression of the low-resolution images (default: no compression).",
        group="Data",
        range="[1, 95]",
        on_card=True,
    )

    sample_dataset_name: str | None = flag(
        None,
        "Images that the sample grids, and the card, show instead of training images: see `--dataset_name`.",
        group="Logging",
        on_resume="free",
        on_card="name",
    )
    sample_split: str = flag("train", "Split of `--sample_dataset_name`.", group="Logging", on_resume="free")

    warmup_steps: int = flag(
        0,
        "Number of initial steps without the discriminator, on the pixel and perceptual losses alone.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    pixel_loss: Literal["l1", "charbonnier", "l2"] = flag(
        "l1",
        "Loss between pixels: the mean absolute difference, Charbonnier's smooth version of it, or the mean square.",
        group="Loss",
        on_card=True,
    )
    pixel_loss_weight: float = flag(
        1.0, "Weight of the loss between pixels.", group="Loss", range="[0, inf)", on_card=True
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
        "Weight of the L1 loss between feature maps of the discriminator.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    perceptual_loss_weight: float = flag(
        0.0,
        "Weight of the L1 loss between features of the network in `--perceptual_features`.",
        group="Loss",
        range="[0, inf)",
        on_card=True,
    )
    perceptual_features: str | None = flag(
        None,
        "Network of the perceptual loss: 'efficientnet-lite0', 'efficientnet-lite2', or a folder or Hub repository of an"
        " image classifier.",
        group="Loss",
        on_card="name",
    )
    optimizer: Literal["adam", "muon"] = flag(
        "adam",
        "Optimizer of the generator. 'muon' needs fewer steps; biases and the outer convolutions keep Adam.",
        group="Optimization",
        on_resume="fixed",
        on_card=True,
        part="optimizers",
    )
    adam_beta1: float = flag(
        0.9, "Adam's beta1.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )
    adam_beta2: float = flag(
        0.999, "Adam's beta2.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )

    eval_features: str | None = flag(
        None,
        "Network whose features of upscaled images and originals are also compared (default: none): 'inception',"
        " 'efficientnet-lite0', 'efficientnet-lite2', or a folder or Hub repository of an image classifier.",
        group="Evaluation",
        on_resume="free",
    )
    eval_num_images: int = flag(
        100,
        "Maximum number of images to upscale per evaluation.",
        group="Evaluation",
        range="[1, inf)",
        on_resume="free",
    )
    metric_for_best_model: Literal["psnr", "ssim", "frechet_distance"] = flag(
        "psnr", "Metric that selects the best model.", group="Evaluation", on_resume="free"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric_for_best_model == "frechet_distance" and self.eval_features is None:
            raise ValueError("`metric_for_best_model=frechet_distance` requires a network: set `eval_features`.")
        self._check_images()
        if self.pretrained_model_name_or_path is None and self.resume_from_checkpoint is None:
            self.check_networks()
        self._check_weights()

    def check_networks(self) -> None:
        if self.resolution % self.scale_factor:
            raise ValueError(
                f"`resolution` must be a multiple of `scale_factor={self.scale_factor}`, got {self.resolution}."
            )
        _, discriminator_config = self.network_configs(self.num_channels or 3)
        self.check_discriminator(discriminator_config)

    def _check_images(self) -> None:
        if self.resize_mode == "random_crop" and self.streaming:
            raise ValueError("`streaming` cannot be combined with `resize_mode=random_crop`. Use `crop` or `pad`.")
        if self.resize_mode != "random_crop" and self.random_scale < 1:
            raise ValueError(
                f"`random_scale={self.random_scale}` requires `resize_mode=random_crop`, got `{self.resize_mode}`."
            )
        if self.low_resolution_column is None:
            return
        if self.resize_mode != "random_crop":
            raise ValueError(
                f"`low_resolution_column` requires `resize_mode=random_crop`, got `{self.resize_mode}`, which would"
                " resize only the high-resolution images."
            )
        if self.random_scale < 1:
            raise ValueError(
                f"`random_scale={self.random_scale}` cannot be combined with `low_resolution_column`: its images are used"
                " as they are."
            )
        for name in ("max_blur", "max_noise", "min_jpeg_quality"):
            if getattr(self, name):
                raise ValueError(
                    f"`{name}` has no effect with `low_resolution_column`: its images are used as they are."
                )

    def _check_weights(self) -> None:
        if (self.perceptual_loss_weight > 0) != (self.perceptual_features is not None):
            raise ValueError("`perceptual_loss_weight` and `perceptual_features` must be set together.")
        if self.pixel_loss_weight == 0 and self.perceptual_loss_weight == 0:
            raise ValueError(
                "`pixel_loss_weight` and `perceptual_loss_weight` are both 0, so the output need not match the input."
                " Set one of them above 0."
            )
        if self.is_adversarial:
            return
        if self.feature_matching_loss_weight or self.warmup_steps:
            raise ValueError(
                "`feature_matching_loss_weight` and `warmup_steps` require a discriminator: set"
                " `adversarial_loss_weight` above 0."
            )
        for name in (*PENALTIES, "label_smoothing", "freeze_discriminator_layers"):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` requires a discriminator: set `adversarial_loss_weight` above 0.")

    @property
    def is_adversarial(self) -> bool:
        """True if the generator is trained against a discriminator."""
        return self.adversarial_loss_weight > 0

    def network_configs(self, num_channels: int) -> tuple["DCGANSuperResolutionConfig", "DCGANDiscriminatorConfig"]:
        r"""
        Returns the configs of both networks.

        Args:
            num_channels (`int`):
                Number of image channels.
        """
        from ..configuration_dcgan import DCGANDiscriminatorConfig
        from ..configuration_dcgan_super_resolution import DCGANSuperResolutionConfig

        common: dict[str, Any] = {"num_channels": num_channels, "hidden_size": self.hidden_size}
        # Makes images square as in training, except for random crops.
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

    def decided_by(
        self, generator: "DCGANSuperResolutionConfig", discriminator: "DCGANDiscriminatorConfig | None"
    ) -> dict[str, Any]:
        r"""
        Returns the arguments that describe trained networks: the inverse of
        [`~DCGANSuperResolutionTrainingArguments.network_configs`].

        Args:
            generator ([`DCGANSuperResolutionConfig`]):
                Config of the generator, which upscales images of any size.
            discriminator ([`DCGANDiscriminatorConfig`], *optional*):
                Config of the discriminator, if it is trained.
        """
        common = {"num_channels": generator.num_channels, "hidden_size": generator.hidden_size}
        decided = {
            **common,
            "scale_factor": generator.scale_factor,
            "generator_config": json_of(generator, common | {"scale_factor": generator.scale_factor}),
        }
        if discriminator is not None:
            size = {"image_size": discriminator.image_size}
            decided["discriminator_config"] = json_of(discriminator, common | size)
            decided |= {} if discriminator.patchwise else {"resolution": discriminator.image_size}
        return decided
