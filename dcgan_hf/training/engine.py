# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
One update of a run, from a loader's images to new weights: batches, networks, exponential moving average, learning
rates. The engine is independent of datasets, logs and files, so benchmarks time exactly the code that trains.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypedDict

import torch
from accelerate import Accelerator, PartialState
from diffusers.optimization import get_scheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..data.loaders import Shard
from ..flags import did_you_mean
from ..kernels.convolutions import FastConvolutions
from .arguments import PENALTIES, TrainingArguments, check_images_are_separate
from .ema import GeneratorEMA
from .losses import GANLoss, PenaltyWeights, make_loss
from .muon import Muon
from .networks import Networks, freeze_layers
from .task import Task
from .updates import GAN, UpdateStrategy, has_batch_norm, trainable_weights


# Optimizers of the generator and the discriminator, or a function that makes one for a network.
Optimizers = tuple[Optimizer, Optimizer] | Callable[[nn.Module], Optimizer]
# A loss, or its two functions of logits: the discriminator's and the generator's.
Loss = GANLoss | tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]]


def own_shard(args: TrainingArguments, processes: Accelerator | PartialState) -> Shard:
    """Returns the part of the data that belongs to this process."""
    return Shard(args.train_batch_size, args.seed, processes.process_index, processes.num_processes)


class Parts(TypedDict, total=False):
    """Parts of a trainer that replace those described by its arguments, see [`DCGANTrainer`]."""

    networks: Networks | None
    loss: Loss | None
    update: UpdateStrategy | None
    optimizers: Optimizers | None


def check_parts(parts: Parts) -> None:
    """Raises an error for an unknown part, or a loss or optimizers that an [`Engine`] does not accept."""
    known = Parts.__annotations__
    for name in parts.keys() - known.keys():
        raise TypeError(f"A trainer takes no argument {name!r}.{did_you_mean(name, known)}")
    loss, optimizers = parts.get("loss"), parts.get("optimizers")
    if isinstance(optimizers, tuple) and parts.get("networks") is None:
        raise ValueError("A pair of `optimizers` needs the `networks` it updates. Pass both, or pass a function.")
    is_pair = isinstance(loss, tuple) and len(loss) == 2 and all(map(callable, loss))
    if not (loss is None or isinstance(loss, GANLoss) or is_pair):
        raise ValueError(
            f"`loss` must be a `GANLoss` or a pair of functions, for discriminator and generator, got {loss!r}."
        )
    is_pair = isinstance(optimizers, tuple) and len(optimizers) == 2
    is_function = callable(optimizers) and not isinstance(optimizers, type)
    if not (optimizers is None or is_pair or is_function):
        raise ValueError(f"`optimizers` must be a pair, or a function that makes one per network, got {optimizers!r}.")


class Engine:
    r"""
    Networks, and everything that updates them.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        accelerator (`Accelerator`):
            Connection of the processes.
        task ([`Task`]):
            Kind of training.
        loss ([`GANLoss`] or a pair of functions, *optional*):
            Loss instead of the one named by the arguments.
        optimizers (`tuple[Optimizer, Optimizer]` or `Callable`, *optional*):
            Optimizers instead of those named by task and arguments.
        convolutions (`Mapping[str, str]`, *optional*):
            Ways to compute convolutions on the CPU, see [`FastConvolutions`].
    """

    def __init__(
        self,
        args: TrainingArguments,
        accelerator: Accelerator,
        task: Task,
        loss: Loss | None = None,
        optimizers: Optimizers | None = None,
        convolutions: Mapping[str, str] | None = None,
    ):
        self.args = args
        self.task = task
        self.convolutions = FastConvolutions(convolutions) if accelerator.device.type == "cpu" else nullcontext()
        self.shard = own_shard(args, accelerator)
        self.images_per_update = args.train_batch_size * task.batches_per_update * accelerator.num_processes
        torch.manual_seed(args.seed)
        device = accelerator.device
        generator, discriminator = (
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in task.make_networks()
        )
        if any(getattr(args, name) is not None for name in PENALTIES):
            check_images_are_separate(not has_batch_norm(discriminator), "A penalty on gradients")
        if args.freeze_discriminator_layers is not None:
            freeze_layers(discriminator, args.freeze_discriminator_layers)
        self.ema = GeneratorEMA(generator, args.ema_half_life) if args.use_ema else None
        if accelerator.num_processes > 1 and device.type == "cuda":
            generator = nn.SyncBatchNorm.convert_sync_batchnorm(generator)
            discriminator = nn.SyncBatchNorm.convert_sync_batchnorm(discriminator)

        self.has_own_optimizers = optimizers is not None
        if isinstance(optimizers, tuple):
            self.optimizers = list(optimizers)
        elif optimizers is not None:
            self.optimizers = [optimizers(network) for network in (generator, discriminator)]
        else:
            make = self._muon if task.optimizer == "muon" else self._adam
            self.optimizers = [make(generator), self._adam(discriminator)]
            self.optimizers[1].param_groups[0]["lr"] = args.discriminator_learning_rate or args.learning_rate / 4
        self.learning_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        # The order is a contract: checkpoints number networks and optimizers by it.
        generator, discriminator, *prepared = accelerator.prepare(generator, discriminator, *self.optimizers)
        loss = loss or make_loss(args.loss, args.label_smoothing or 0.0)
        self.gan = GAN(
            accelerator,
            generator.train(),
            discriminator.train(),
            prepared[0],
            prepared[1],
            loss=GANLoss(*loss) if isinstance(loss, tuple) else loss,
            penalties=PenaltyWeights(args.r1_penalty or 0.0, args.r2_penalty or 0.0, args.gradient_penalty or 0.0),
            augmentations=task.augmentations,
            discriminator_steps=task.discriminator_steps,
        )
        # Without the wrappers of distributed training.
        self.generator = accelerator.unwrap_model(generator)
        self.discriminator = accelerator.unwrap_model(discriminator)
        if self.ema is not None:
            self.ema.register_for_checkpointing(accelerator)
        self.schedulers: list[LambdaLR] = []
        self.learning_rate: float | torch.Tensor = args.learning_rate
        self.batches: list[Any] = []  # of the last update

    def _adam(self, network: nn.Module) -> Optimizer:
        weights = trainable_weights(network)
        return torch.optim.Adam(weights, lr=self.args.learning_rate, **self._adam_options(), fused=True)

    def _muon(self, network: nn.Module) -> Optimizer:
        return Muon(network, lr=self.args.learning_rate, **self._adam_options())

    def _adam_options(self) -> dict[str, Any]:
        args = self.args
        return {
            "betas": (args.adam_beta1, args.adam_beta2),
            "eps": args.adam_epsilon,
            "weight_decay": args.adam_weight_decay,
        }

    @property
    def sampled_generator(self) -> nn.Module:
        """
        Generator to sample from, save and publish: the exponential moving average, if enabled, after [`Task.finish`],
        which may generate a few hundred images.
        """
        return self.task.finish(self.generator if self.ema is None else self.ema.generator)

    def start(self, num_steps: int, step: int = 0) -> None:
        r"""
        Makes the learning rate schedules of a run, at its update `step`. Optimizers from a checkpoint take over the
        hyperparameters of the current arguments.

        Args:
            num_steps (`int`):
                Number of updates of the run.
            step (`int`, *optional*, defaults to 0):
                Number of updates so far.
        """
        starts = (0, self.task.discriminator_start)
        for optimizer, learning_rates, start in zip(self.optimizers, self.learning_rates, starts):
            for group, learning_rate in zip(optimizer.param_groups, learning_rates):
                group.update({} if self.has_own_optimizers else self._adam_options())
                group.update(lr=learning_rate, initial_lr=learning_rate)
            self.schedulers.append(
                get_scheduler(
                    self.args.lr_scheduler,
                    optimizer,
                    num_warmup_steps=0,
                    num_training_steps=num_steps - start,
                    last_epoch=max(step - start, 0) - 1,
                )
            )

    def update(self, raw_batches: list[dict[str, torch.Tensor]], step: int) -> dict[str, torch.Tensor]:
        r"""
        Performs one update: batches, networks, exponential moving average, learning rates.

        Args:
            raw_batches (`list[dict[str, torch.Tensor]]`):
                `batches_per_update` batches from a loader, on the device.
            step (`int`):
                Number of updates so far.

        Returns:
            `dict[str, torch.Tensor]`: detached statistics of the update, on the device.
        """
        self.batches = self.task.prepare(raw_batches, step, self.shard)
        with self.convolutions:
            statistics = self.task.update(self.gan, self.batches, step)
        if self.ema is not None:
            self.ema.update(self.generator, self.images_per_update, (step + 1) * self.images_per_update)
        self.learning_rate = self.schedulers[0].get_last_lr()[0]
        for scheduler in self.schedulers if self.task.trains_discriminator(step) else self.schedulers[:1]:
            scheduler.step()
        return statistics
