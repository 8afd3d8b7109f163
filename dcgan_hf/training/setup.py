# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""From networks and arguments to what an update takes: optimizers, their rates, the loss."""

from typing import Any

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .arguments import TrainingArguments
from .losses import make_loss
from .penalties import PenaltyWeights
from .update_strategies import GAN


def prepare_gan(
    args: TrainingArguments, accelerator: Accelerator, generator: nn.Module, discriminator: nn.Module
) -> tuple[GAN, list[Optimizer]]:
    r"""
    Prepares two networks to be trained against each other.

    Args:
        args ([`TrainingArguments`]):
            How to train.
        accelerator (`Accelerator`):
            Prepares networks and optimizers.
        generator (`nn.Module`):
            On its device.
        discriminator ([`DCGANDiscriminator`]):
            On its device.

    Returns:
        `tuple[GAN, list[Optimizer]]`: networks and optimizers as the accelerator wraps them, and the optimizers of both.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        generator = nn.SyncBatchNorm.convert_sync_batchnorm(generator)
        discriminator = nn.SyncBatchNorm.convert_sync_batchnorm(discriminator)
    optimizers: list[Optimizer] = [
        torch.optim.Adam(network.parameters(), lr=learning_rate, **_adam_options(args), fused=True)
        for network, learning_rate in zip((generator, discriminator), _learning_rates(args))
    ]
    # The order is a contract: checkpoints number networks and optimizers in it.
    generator, discriminator, *prepared = accelerator.prepare(generator, discriminator, *optimizers)
    generator.train()
    discriminator.train()
    loss = make_loss(args.loss, args.label_smoothing or 0.0)
    penalties = PenaltyWeights(args.r1_penalty or 0.0, args.r2_penalty or 0.0, args.gradient_penalty or 0.0)
    return GAN(accelerator, generator, discriminator, prepared[0], prepared[1], loss, penalties), optimizers


def make_schedulers(
    args: TrainingArguments, optimizers: list[Optimizer], num_steps: int, step: int, discriminator_start: int = 0
) -> list[LambdaLR]:
    r"""
    Makes what changes the learning rates of a run of `num_steps` updates, after `step` of them. Optimizers that come from a
    checkpoint go on with what the arguments say now.

    Args:
        args ([`TrainingArguments`]):
            How to train.
        optimizers (`list[Optimizer]`):
            Those of the generator and the discriminator.
        num_steps (`int`):
            Length of the run.
        step (`int`):
            Number of updates so far.
        discriminator_start (`int`, *optional*, defaults to 0):
            Number of updates before the discriminator's first one, from which on its rate changes.
    """
    schedulers = []
    for optimizer, learning_rate, start in zip(optimizers, _learning_rates(args), (0, discriminator_start)):
        for group in optimizer.param_groups:
            group.update(_adam_options(args), lr=learning_rate, initial_lr=learning_rate)
        schedulers.append(
            get_scheduler(
                args.lr_scheduler,
                optimizer,
                num_warmup_steps=0,
                num_training_steps=num_steps - start,
                last_epoch=max(step - start, 0) - 1,
            )
        )
    return schedulers


def _learning_rates(args: TrainingArguments) -> tuple[float, float]:
    return args.learning_rate, args.discriminator_learning_rate or args.learning_rate


def _adam_options(args: TrainingArguments) -> dict[str, Any]:
    return {
        "betas": (args.adam_beta1, args.adam_beta2),
        "eps": args.adam_epsilon,
        "weight_decay": args.adam_weight_decay,
    }
