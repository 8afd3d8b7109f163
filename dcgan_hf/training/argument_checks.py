# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Which arguments of the training script, alone or together, make no sense."""

from typing import TYPE_CHECKING

import torch

from ..configuration_dcgan import DCGANDiscriminatorConfig
from .augmentation import AUGMENTATIONS
from .losses import SMOOTHABLE_LOSSES
from .update_strategies import check_treats_images_separately


if TYPE_CHECKING:
    from .arguments import DCGANTrainingArguments, TrainingArguments
    from .super_resolution_arguments import SuperResolutionTrainingArguments

PENALTIES = ("r1_penalty", "r2_penalty", "gradient_penalty")

_MINIMUM = {
    "resolution": 1,
    "max_train_samples": 2,
    "in_memory_gb": 0,
    "dataloader_num_workers": 1,
    "seed": 0,
    "num_epochs": 1,
    "max_train_steps": 1,
    "train_batch_size": 2,  # batch normalisation needs two images
    "gradient_accumulation_steps": 1,
    "adam_weight_decay": 0,
    "ema_half_life": 1,
    "num_cpu_threads": 1,
    "logging_steps": 1,
    "save_images_steps": 1,
    "eval_batch_size": 1,
    "checkpointing_steps": 1,
    "checkpoints_total_limit": 1,
}
_DCGAN_MINIMUM = {
    "discriminator_steps": 1,
    "diagnostics_steps": 1,
    "eval_num_images": 2,
    "early_stopping_patience": 1,
}
_POSITIVE = ("learning_rate", "discriminator_learning_rate", "adam_epsilon", *PENALTIES)


def check_arguments(args: "TrainingArguments", discriminator_config: DCGANDiscriminatorConfig) -> None:
    r"""
    Checks the arguments that all training scripts have.

    Args:
        args ([`TrainingArguments`]):
            The arguments.
        discriminator_config ([`DCGANDiscriminatorConfig`]):
            What they say of the discriminator.

    Raises:
        ValueError: if one is out of range, has no effect, or does not go with another one.
    """
    check_minimum(args, _MINIMUM)
    for name in _POSITIVE:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(args, name) < 1:
            raise ValueError(f"`{name}` must lie in [0, 1), got {getattr(args, name)}.")
    if args.label_smoothing is not None and not 0 < args.label_smoothing < 0.5:
        raise ValueError(f"`label_smoothing` must lie between 0 and 0.5, got {args.label_smoothing}.")
    if args.streaming and args.max_train_steps is None:
        raise ValueError("`streaming` needs `max_train_steps`: the length of an epoch is not known.")
    check_at_hand(args, "max_train_samples")
    _check_loss(args, discriminator_config)
    if args.overwrite_output_dir and args.resume_from_checkpoint:
        raise ValueError("`overwrite_output_dir` would delete what `resume_from_checkpoint` needs.")
    if not args.push_to_hub and (args.hub_private_repo or args.hub_strategy != "end"):
        raise ValueError("`hub_private_repo` and `hub_strategy` have no effect without `push_to_hub`.")


def check_minimum(args: "TrainingArguments", minimum: dict[str, int]) -> None:
    """Raises a `ValueError` if an argument is smaller than it may be."""
    for name, smallest in minimum.items():
        value = getattr(args, name)
        if value is not None and not value >= smallest:
            raise ValueError(f"`{name}` must be at least {smallest}, got {value}.")


def check_at_hand(args: "TrainingArguments", name: str) -> None:
    """Raises a `ValueError` if an argument is given that a stream cannot serve."""
    if args.streaming and getattr(args, name) is not None:
        raise ValueError(f"`{name}={getattr(args, name)}` needs a data set that is at hand: leave out `streaming`.")


def check_dcgan_arguments(args: "DCGANTrainingArguments") -> None:
    r"""
    Checks all arguments of `scripts/train.py`, those of the networks too.

    Args:
        args ([`DCGANTrainingArguments`]):
            The arguments.

    Raises:
        ValueError: if one is out of range, has no effect, or does not go with another one.
    """
    _, discriminator_config = args.network_configs(args.num_channels or 3, None)  # raises if they make no sense
    check_arguments(args, discriminator_config)
    check_minimum(args, _DCGAN_MINIMUM)
    check_at_hand(args, "eval_steps")
    if args.eval_steps is not None and not (
        0 < args.eval_steps < 1 or args.eval_steps >= 1 and args.eval_steps % 1 == 0
    ):
        raise ValueError(f"`eval_steps` must be a whole number or lie between 0 and 1, got {args.eval_steps}.")
    if args.eval_steps is None and (
        args.save_best or args.early_stopping_patience is not None or args.eval_split is not None
    ):
        raise ValueError(
            "`save_best`, `early_stopping_patience` and `eval_split` have no effect without `eval_steps`."
        )
    for name in ("label_column", "class_names"):
        if getattr(args, name) is not None and not args.class_conditional:
            raise ValueError(f"`{name}={getattr(args, name)}` has no effect without `class_conditional`.")
    if args.diff_augment is not None and args.diff_augment != [
        name for name in AUGMENTATIONS if name in args.diff_augment
    ]:
        raise ValueError(
            f"`diff_augment` must be some of {list(AUGMENTATIONS)}, in this order, got {args.diff_augment}."
        )
    _check_update_strategy(args, discriminator_config)
    check_scaled_updates(args, args.mixed_precision)


_SUPER_RESOLUTION_MINIMUM = {
    "crops_per_image": 1,
    "max_blur": 0,
    "max_noise": 0,
    "min_jpeg_quality": 1,
    "warmup_steps": 0,
    "pixel_loss_weight": 0,
    "adversarial_loss_weight": 0,
    "feature_matching_loss_weight": 0,
    "perceptual_loss_weight": 0,
}


def check_super_resolution_arguments(args: "SuperResolutionTrainingArguments") -> None:
    r"""
    Checks all arguments of `scripts/train_super_resolution.py`, those of the networks too.

    Args:
        args ([`SuperResolutionTrainingArguments`]):
            The arguments.

    Raises:
        ValueError: if one is out of range, has no effect, or does not go with another one.
    """
    if args.resolution % args.scale_factor:
        raise ValueError(
            f"`resolution` must be a multiple of `scale_factor={args.scale_factor}`, got {args.resolution}."
        )
    _, discriminator_config = args.network_configs(args.num_channels or 3)  # raises if they make no sense
    check_arguments(args, discriminator_config)
    check_minimum(args, _SUPER_RESOLUTION_MINIMUM)
    if args.min_jpeg_quality is not None and args.min_jpeg_quality > 95:
        raise ValueError(f"`min_jpeg_quality` must be at most 95, got {args.min_jpeg_quality}.")
    if args.resize_mode == "random_crop":
        for name in ("streaming", "skip_bad_images"):
            if getattr(args, name):
                raise ValueError(f"`{name}` does not go with `resize_mode=random_crop`: use `crop` or `pad`.")
    if args.low_resolution_column is not None:
        if args.resize_mode != "random_crop":
            raise ValueError(
                f"`low_resolution_column` needs `resize_mode=random_crop`, got `{args.resize_mode}`, which would change the"
                " large images only."
            )
        for name in ("max_blur", "max_noise", "min_jpeg_quality"):
            if getattr(args, name):
                raise ValueError(f"`{name}` has no effect on small images that are given: `low_resolution_column`.")
    if (args.perceptual_loss_weight > 0) != (args.perceptual_features is not None):
        raise ValueError("`perceptual_loss_weight` and `perceptual_features` have an effect together only.")
    if args.pixel_loss_weight == 0 and args.perceptual_loss_weight == 0:
        raise ValueError("`pixel_loss_weight` and `perceptual_loss_weight` are 0: nothing tells what an image shows.")
    if args.is_adversarial:
        return
    if args.feature_matching_loss_weight or args.warmup_steps:
        raise ValueError(
            "`feature_matching_loss_weight` and `warmup_steps` need a discriminator: `adversarial_loss_weight` above 0."
        )
    for name in (*PENALTIES, "label_smoothing"):
        if getattr(args, name) is not None:
            raise ValueError(f"`{name}` needs a discriminator: `adversarial_loss_weight` above 0.")


def check_precision(args: "TrainingArguments", mixed_precision: str, device: torch.device) -> None:
    """Raises a `ValueError` for arguments that do not go with half precision, or with that on this device."""
    if mixed_precision != "fp16":
        return
    for name in PENALTIES:
        if getattr(args, name) is not None:
            raise ValueError(
                f"`{name}` does not work with `mixed_precision=fp16`: the gradients in it are not scaled. Use `bf16`."
            )
    if device.type == "cpu":
        raise ValueError("`mixed_precision=fp16` needs a GPU: on CPUs it is some 20 times slower. Use `bf16` or `no`.")


def check_scaled_updates(args: "DCGANTrainingArguments", mixed_precision: str | None) -> None:
    """Raises a `ValueError` for update strategies that do not go with half precision."""
    if mixed_precision == "fp16" and args.update_strategy != "alternating":
        raise ValueError(
            f"`update_strategy={args.update_strategy}` does not work with `mixed_precision=fp16`: the first optimizer's"
            " step may change the loss scale before the second one's. Use `bf16`."
        )


def _check_loss(args: "TrainingArguments", discriminator_config: DCGANDiscriminatorConfig) -> None:
    if args.label_smoothing is not None and args.loss not in SMOOTHABLE_LOSSES:
        raise ValueError(
            f"`label_smoothing` needs a loss with labels, one of {SMOOTHABLE_LOSSES}, got `loss={args.loss}`."
        )
    for name in PENALTIES:
        if getattr(args, name) is not None:
            check_treats_images_separately(discriminator_config, f"`{name}`")
    if args.gradient_penalty is not None and (args.r1_penalty is not None or args.r2_penalty is not None):
        raise ValueError(
            "`gradient_penalty` draws the discriminator's gradients to 1, `r1_penalty` and `r2_penalty` draw them to 0:"
            " choose one."
        )
    if args.loss == "wasserstein" and args.gradient_penalty is None and discriminator_config.norm_type != "spectral":
        raise ValueError(
            "`loss=wasserstein` needs a discriminator with bounded gradients: `--gradient_penalty 10`, with a"
            """ discriminator without batch normalisation, or `--discriminator_config '{"norm_type": "spectral"}'`."""
        )


def _check_update_strategy(args: "DCGANTrainingArguments", discriminator_config: DCGANDiscriminatorConfig) -> None:
    if args.update_strategy != "alternating" and args.discriminator_steps > 1:
        raise ValueError(
            f"`discriminator_steps={args.discriminator_steps}` needs `update_strategy=alternating`, got"
            f" `{args.update_strategy}`, which updates both networks from one forward pass."
        )
    if args.update_strategy != "one_stage":
        return
    check_treats_images_separately(discriminator_config, "`update_strategy=one_stage`")
    if discriminator_config.patchwise:
        raise ValueError(
            "`update_strategy=one_stage` needs one logit for each image, so no `patchwise` discriminator."
        )
    for name in PENALTIES:
        if getattr(args, name) is not None:
            raise ValueError(
                f"`{name}` needs `update_strategy=alternating` or `simultaneous`: `one_stage` takes the generator's"
                " gradient from the discriminator's, which the penalty changes."
            )
