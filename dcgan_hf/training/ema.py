# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Exponential moving average of a generator."""

import copy
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_model, save_model
from torch import nn

from ..processes import is_main_process


EMA_FILE = "ema.safetensors"  # in a checkpoint
_RAMP_UP = 0.05


class GeneratorEMA:
    r"""
    Exponential moving average of a generator's weights, in evaluation mode. diffusers' `EMAModel` averages parameters
    only. A DCGAN's batch normalisation also has running statistics, which must match the averaged weights. They are
    averaged like the parameters; other buffers are copied. (After 4 epochs of Fashion-MNIST, images with averaged
    statistics differed by 0.019 RMS from those with statistics recomputed on the averaged generator, images with
    copied statistics by 0.048.)

    Args:
        generator ([`DCGANGenerator`]):
            Generator to average, not wrapped for distributed training.
        half_life (`int`):
            Number of images after which the weight of a past generator has halved. Counting images makes it
            independent of batch size and number of processes (Karras et al., StyleGAN2, `ema_kimg`). Early on, it is
            limited to a twentieth of the images so far, so that the first generator is soon forgotten: an untrained
            one (StyleGAN2-ADA, `ema_rampup`), or a parent, most of which would be left after a short run.
    """

    def __init__(self, generator: nn.Module, half_life: int):
        self.generator = copy.deepcopy(generator).eval()
        self.half_life = half_life

    @torch.no_grad()
    def update(self, generator: nn.Module, num_images: int, num_images_seen: int) -> None:
        r"""
        Moves the average towards a generator.

        Args:
            generator ([`DCGANGenerator`]):
                The trained generator, not wrapped for distributed training.
            num_images (`int`):
                Number of real images of this update, over all processes.
            num_images_seen (`int`):
                Number of real images of all updates so far, including this one.
        """
        source, target = generator.state_dict(), self.generator.state_dict()
        parameters = {name for name, _ in generator.named_parameters()}
        averaged = [name for name in target if name in parameters or name.endswith(("running_mean", "running_var"))]
        weight = 1 - 0.5 ** (num_images / min(self.half_life, _RAMP_UP * num_images_seen))
        torch._foreach_lerp_([target[name] for name in averaged], [source[name] for name in averaged], weight)
        for name in target.keys() - set(averaged):
            target[name].copy_(source[name])

    def register_for_checkpointing(self, accelerator: Accelerator) -> None:
        """Makes the average part of an accelerator's checkpoints, as safetensors. (Accelerate pickles the objects that
        are registered with it, and loading them could run code.)"""

        def save(models: list, weights: list, folder: str) -> None:
            if is_main_process():
                save_model(self.generator, str(Path(folder, EMA_FILE)))

        def load(models: list, folder: str) -> None:
            load_model(self.generator, str(Path(folder, EMA_FILE)))

        accelerator.register_save_state_pre_hook(save)
        accelerator.register_load_state_pre_hook(load)
