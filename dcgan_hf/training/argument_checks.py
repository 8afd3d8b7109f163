# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Which arguments of the training script, alone or together, make no sense."""

from typing import TYPE_CHECKING

import torch

from .augmentation import AUGMENTATIONS
from .losses import SMOOTHABLE_LOSSES
from .update_strategies import check_treats_images_separately


if TYPE_CHECKING:
    from .arguments import DCGANTrainingArguments

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
    "discriminator_steps": 1,
    "adam_weight_decay": 0,
    "ema_half_life": 1,
    "num_cpu_threads": 1,
    "logging_steps": 1,
    "save_images_steps": 1,
    "eval_batch_size": 1,
    "checkpointing_steps": 1,
    "checkpoints_total_limit": 1,
    "eval_num_images": 2,
    "early_stopping_patience": 1,
}
_POSITIVE = ("learning_rate", "discriminator_learning_rate", "adam_epsilon", *PENALTIES)


def check_arguments(args: "DCGANTrainingArguments") -> None:
    r"""
    Checks all arguments, those of the networks too.

    Args:
        args ([`DCGANTrainingArguments`]):
            The arguments.

    Raises:
        ValueError: if one is out of range, has no effect, or does not go with another one.
    """
    for name, minimum in _MINIMUM.items():
        value = getattr(args, name)
        if value is not None and not value >= minimum:
            raise ValueError(f"`{name}` must be at least {minimum}, got {value}.")
    for name in _POSITIVE:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` must be positive, got {value}.")
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(args, name) < 1:
            raise ValueError(f"`{name}` must lie in [0, 1), got {getattr(args, name)}.")
    if args.eval_steps is not None and not (
        0 < args.eval_steps < 1 or args.eval_steps >= 1 and args.eval_steps % 1 == 0
    ):
        raise ValueError(f"`eval_steps` must be a whole number or lie between 0 and 1, got {args.eval_steps}.")
    if args.label_smoothing is not None and not 0 < args.label_smoothing < 0.5:
        raise ValueError(f"`label_smoothing` must lie between 0 and 0.5, got {args.label_smoothing}.")
    if args.diff_augment is not None and args.diff_augment != [
        name for name in AUGMENTATIONS if name in args.diff_augment
    ]:
        raise ValueError(
            f"`diff_augment` must be some of {list(AUGMENTATIONS)}, in this order, got {args.diff_augment}."
        )
    _check_data(args)
    _check_update(args)
    _check_run(args)


def check_precision(args: "DCGANTrainingArguments", mixed_precision: str, device: torch.device) -> None:
    """Raises a `ValueError` for arguments that do not go with half precision, or with that on this device."""
    if mixed_precision != "fp16":
        return
    if args.update_strategy != "alternating":
        raise ValueError(
            f"`update_strategy={args.update_strategy}` does not work with `mixed_precision=fp16`: the first optimizer's step may"
            " change the loss scale before the second one's. Use `bf16`."
        )
    for name in PENALTIES:
        if getattr(args, name) is not None:
            raise ValueError(
                f"`{name}` does not work with `mixed_precision=fp16`: the gradients in it are not scaled. Use `bf16`."
            )
    if device.type == "cpu":
        raise ValueError("`mixed_precision=fp16` needs a GPU: on CPUs it is some 20 times slower. Use `bf16` or `no`.")


def _check_data(args: "DCGANTrainingArguments") -> None:
    if args.streaming and args.max_train_steps is None:
        raise ValueError("`streaming` needs `max_train_steps`: the length of an epoch is not known.")
    for name in ("max_train_samples", "eval_steps"):
        if args.streaming and getattr(args, name) is not None:
            raise ValueError(
                f"`{name}={getattr(args, name)}` needs a data set that is at hand: leave out `streaming`."
            )
    for name in ("label_column", "class_names"):
        if getattr(args, name) is not None and not args.class_conditional:
            raise ValueError(f"`{name}={getattr(args, name)}` has no effect without `class_conditional`.")


def _check_update(args: "DCGANTrainingArguments") -> None:
    _, discriminator_config = args.network_configs(args.num_channels or 3, None)  # raises if they make no sense
    if args.label_smoothing is not None and args.loss not in SMOOTHABLE_LOSSES:
        raise ValueError(
            f"`label_smoothing` needs a loss with labels, one of {SMOOTHABLE_LOSSES}, got `loss={args.loss}`."
        )
    if args.update_strategy == "one_stage":
        check_treats_images_separately(discriminator_config, "`update_strategy=one_stage`")
    if args.update_strategy != "alternating" and args.discriminator_steps > 1:
        raise ValueError(
            f"`discriminator_steps={args.discriminator_steps}` needs `update_strategy=alternating`, got"
            f" `{args.update_strategy}`, which updates both networks from one forward pass."
        )
    for name in PENALTIES:
        if getattr(args, name) is not None:
            check_treats_images_separately(discriminator_config, f"`{name}`")
            if args.update_strategy == "one_stage":
                raise ValueError(
                    f"`{name}` needs `update_strategy=alternating` or `simultaneous`: `one_stage` takes the generator's"
                    " gradient from the discriminator's, which the penalty changes."
                )
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


def _check_run(args: "DCGANTrainingArguments") -> None:
    if args.overwrite_output_dir and args.resume_from_checkpoint:
        raise ValueError("`overwrite_output_dir` would delete what `resume_from_checkpoint` needs.")
    if args.eval_steps is None and (
        args.save_best or args.early_stopping_patience is not None or args.eval_split is not None
    ):
        raise ValueError(
            "`save_best`, `early_stopping_patience` and `eval_split` have no effect without `eval_steps`."
        )
    if not args.push_to_hub and (args.hub_private_repo or args.hub_strategy != "end"):
        raise ValueError("`hub_private_repo` and `hub_strategy` have no effect without `push_to_hub`.")
