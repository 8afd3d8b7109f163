# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The training loops that are timed: the PyTorch tutorial's, the strongest that is plain, and ours."""

import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

import dcgan_hf
from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.hardware import keep_freed_memory
from dcgan_hf.training.arguments import DCGANTrainingArguments
from dcgan_hf.training.cpu_convolutions import FastConvolutions
from dcgan_hf.training.losses import LOSSES
from dcgan_hf.training.setup import prepare_gan
from dcgan_hf.training.update_strategies import UPDATE_STRATEGIES, Batch


# Makes one update with a batch of real images in [-1, 1].
Step = Callable[[torch.Tensor], Any]
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}


def plain_networks(resolution: int, num_channels: int, device: torch.device) -> tuple[nn.Sequential, nn.Sequential]:
    """The tutorial's networks with its initial weights, for any power of two, with logits."""
    widths = [64 * min(2**i, 8) for i in range((resolution // 4).bit_length() - 1)]
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


def tutorial_loop(resolution: int, num_channels: int, device: torch.device) -> tuple[nn.Module, Step]:
    """As the tutorial does it: three backward passes with full gradients, and five numbers read after each update."""
    generator, discriminator = plain_networks(resolution, num_channels, device)
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
    resolution: int, num_channels: int, device: torch.device, precision: str
) -> tuple[nn.Module, Step]:
    """The same update with what every user of PyTorch can switch on."""
    generator, discriminator = plain_networks(resolution, num_channels, device)
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


def our_loop(
    resolution: int,
    num_channels: int,
    device: torch.device,
    precision: str,
    update_strategy: str,
    generator_config: dict[str, Any],
    discriminator_config: dict[str, Any],
) -> tuple[nn.Module, Step]:
    """What scripts/train.py does with a batch."""
    keep_freed_memory()
    size = {"image_size": resolution, "num_channels": num_channels}
    accelerator = Accelerator(mixed_precision=precision, cpu=device.type == "cpu")
    generator = DCGANGenerator(DCGANGeneratorConfig(**size, **generator_config))
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**size, **discriminator_config))
    networks = [network.to(device, memory_format=torch.channels_last) for network in (generator, discriminator)]
    # With the paper's loss and rates, which are the arguments' defaults.
    gan, _ = prepare_gan(DCGANTrainingArguments(), accelerator, *networks)
    update = UPDATE_STRATEGIES[update_strategy]

    def step(real: torch.Tensor) -> None:
        real = real.contiguous(memory_format=torch.channels_last)
        with FastConvolutions() if device.type == "cpu" else nullcontext():
            update(gan, [Batch(real, torch.randn(len(real), 100, device=device))])

    return generator, step


def article_in_keras_loop(
    resolution: int, num_channels: int, device: torch.device, python: str
) -> tuple[nn.Module, Step]:
    """The article's own loop, in a process of another Python that has TensorFlow."""
    script = str(Path(__file__).with_name("article_in_keras.py"))
    process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def step(real: torch.Tensor) -> None:
        print(len(real), file=requests, flush=True)
        if not answers.readline():
            raise RuntimeError(f"{python} {script} failed: does that Python have keras and tensorflow?")

    return nn.Identity(), step


# What makes a loop, and its options.
Loop = tuple[Callable[..., tuple[nn.Module, Step]], dict[str, Any]]

LOOPS: dict[str, Loop] = {
    "tutorial fp32": (tutorial_loop, {}),
    "strongest plain fp32": (strongest_plain_loop, {"precision": "no"}),
    "strongest plain bf16": (strongest_plain_loop, {"precision": "bf16"}),
}
# The article's networks, whose discriminator has no normalisation, for 36x36 images.
ARTICLE_LOOPS: dict[str, Loop] = {}

_PRECISIONS = {"fp32": "no", "bf16": "bf16"}
for _strategy, _norm_type in (
    ("alternating", "batch"),
    ("simultaneous", "batch"),
    ("alternating", "spectral"),
    ("one_stage", "spectral"),
):
    for _name, _precision in _PRECISIONS.items():
        _options: dict[str, Any] = {"precision": _precision, "update_strategy": _strategy}
        _options |= {"generator_config": {}, "discriminator_config": {"norm_type": _norm_type}}
        LOOPS[f"ours {_strategy} {_norm_type} {_name}"] = (our_loop, _options)
_recipe = yaml.safe_load((Path(dcgan_hf.__file__).parent / "recipes" / "article.yaml").read_text())
for _strategy in ("simultaneous", "one_stage"):
    for _name, _precision in _PRECISIONS.items():
        _options = {"precision": _precision, "update_strategy": _strategy}
        _options |= {name: _recipe[name] for name in ("generator_config", "discriminator_config")}
        ARTICLE_LOOPS[f"ours {_strategy} {_name}"] = (our_loop, _options)
