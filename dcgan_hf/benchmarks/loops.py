# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Training loops to time: the PyTorch tutorial's, the strongest plain PyTorch loop, and this package's."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator, PartialState
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from ..training.batches import LatentSampler
from ..training.engine import Engine, own_shard
from ..training.generation import GenerationTask
from ..training.generation_arguments import DCGANTrainingArguments
from ..training.losses import LOSSES
from ..training.recipes import arguments_from_recipe
from ..training.tuning import tune


# Runs one update with a batch of real images: in [-1, 1], or uint8 for this package's loop.
Step = Callable[[torch.Tensor], Any]
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}


def plain_networks(
    resolution: int, num_channels: int, device: torch.device, hidden_size: int = 64
) -> tuple[nn.Sequential, nn.Sequential]:
    """Returns the tutorial's networks with its weight initialisation, for any power of two. They output logits."""
    widths = [hidden_size * min(2**i, 8) for i in range((resolution // 4).bit_length() - 1)]
    generator: list[nn.Module] = [nn.ConvTranspose2d(100, widths[-1], 4, 1, 0, bias=False)]
    for inputs, outputs in zip(widths[::-1], [*widths[-2::-1], num_channels]):
        generator += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    discriminator: list[nn.Module] = [nn.Conv2d(num_channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in zip(widths, widths[1:]):
        discriminator += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
        discriminator += [nn.LeakyReLU(0.2, True)]
    discriminator += [nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0)]
    for layer in (*generator, *discriminator):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return nn.Sequential(*generator, nn.Tanh()).to(device), nn.Sequential(*discriminator).to(device)


def tutorial_loop(
    resolution: int, num_channels: int, device: torch.device, hidden_size: int = 64
) -> tuple[nn.Module, Step]:
    """Returns the tutorial's loop: three backward passes with full gradients, and five values read in each update."""
    generator, discriminator = plain_networks(resolution, num_channels, device, hidden_size)
    optimizer_g = torch.optim.Adam(generator.parameters(), **ADAM)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **ADAM)
    criterion = nn.BCELoss()

    def step(real: torch.Tensor) -> None:
        discriminator.zero_grad()
        label = torch.full((len(real),), 1.0, device=device)
        output = discriminator(real).sigmoid()
        error_real = criterion(output, label)
        error_real.backward()
        output.mean().item()
        fake = generator(torch.randn(len(real), 100, 1, 1, device=device))
        label.fill_(0.0)
        output = discriminator(fake.detach()).sigmoid()
        error_fake = criterion(output, label)
        error_fake.backward()
        output.mean().item()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake).sigmoid()
        error_generator = criterion(output, label)
        error_generator.backward()
        output.mean().item()
        optimizer_g.step()
        (error_real + error_fake).item()
        error_generator.item()

    return generator, step


def strongest_plain_loop(
    resolution: int, num_channels: int, device: torch.device, precision: str, hidden_size: int = 64
) -> tuple[nn.Module, Step]:
    """Returns the same update with the optimisations that every PyTorch user can enable."""
    generator, discriminator = plain_networks(resolution, num_channels, device, hidden_size)
    for network in (generator, discriminator):
        convert_conv2d_weight_memory_format(network, torch.channels_last)
    optimizer_g = torch.optim.Adam(generator.parameters(), **ADAM, fused=True)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **ADAM, fused=True)

    def step(real: torch.Tensor) -> None:
        real = real.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            fake = generator(torch.randn(len(real), 100, 1, 1, device=device))
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
        optimizer_d.zero_grad()
        LOSSES["bce"].discriminator(real_logits.float(), fake_logits.float()).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            fake_logits = discriminator(fake)
        optimizer_g.zero_grad()
        LOSSES["bce"].generator(fake_logits.float()).backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)

    return generator, step


def make_engine(
    args: DCGANTrainingArguments, num_channels: int, sample_latents: LatentSampler | None = None
) -> Engine:
    """Returns a trainer's engine, without its data, logs and files."""
    task = GenerationTask(args, sample_latents=sample_latents)
    task.describe_images(num_channels)
    processes = PartialState(cpu=args.use_cpu)
    tuning = tune(args, task, own_shard(args, processes), processes.device)
    accelerator = Accelerator(mixed_precision=tuning.mixed_precision, cpu=args.use_cpu)
    return Engine(args, accelerator, task, convolutions=tuning.convolutions)


def our_loop(
    resolution: int, num_channels: int, device: torch.device, recipe: str | None = "celeba", **changes: Any
) -> tuple[nn.Module, Step]:
    """
    Returns a trainer's update on a loader's uint8 images. The recipe `celeba` has the paper's values; without a recipe,
    it is the update of `dcgan train`.
    """
    changes |= {"resolution": resolution, "use_cpu": device.type == "cpu"}
    if recipe is None:
        args = DCGANTrainingArguments(**changes)
    else:
        args = arguments_from_recipe(DCGANTrainingArguments, recipe, changes)
    engine, steps = make_engine(args, num_channels), count()
    engine.start(num_steps=1_000_000)  # more than any benchmark runs
    return engine.generator, lambda images: engine.update([{"pixel_values": images}], next(steps))


class Loop(NamedTuple):
    """Factory of a generator and its update, given resolution, number of channels and device, with its options."""

    make: Callable[..., tuple[nn.Module, Step]]
    options: dict[str, Any] = {}

    @property
    def is_ours(self) -> bool:
        """Returns `True` for this package's loop, which takes uint8 images and changes process-wide state."""
        return self.make is our_loop
