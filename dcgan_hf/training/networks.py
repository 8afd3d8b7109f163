# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Networks that a trainer trains: its own, those of a parent, or new ones."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from diffusers import DiffusionPipeline
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..modeling_dcgan import DCGANGenerator
from .adaptation import adapt


# Generator and discriminator, which are trained as they are, or the pipeline of a parent, which is copied. Missing ones
# are created.
Networks: TypeAlias = DiffusionPipeline | tuple[nn.Module, nn.Module | None]

# Config fields in which networks must match the arguments and the data.
_AGREEING_FIELDS = ("image_size", "num_channels", "num_classes", "attributes", "latent_dim", "scale_factor")


class OwnNetwork(PreTrainedModel):
    r"""
    Wrapper that lets a pipeline hold a custom module.

    Args:
        config (`PreTrainedConfig`):
            Config of the network that the module replaces.
        module (`nn.Module`):
            The module, with the same forward signature.
    """

    config_class = PreTrainedConfig
    main_input_name = "inputs"

    def __init__(self, config: PreTrainedConfig, module: nn.Module):
        super().__init__(config)
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


def given_networks(networks: Networks | None) -> tuple[nn.Module | None, nn.Module | None]:
    """Returns the generator and the discriminator, `None` for each one that must be created."""
    if networks is None:
        return None, None
    return (networks.generator, networks.discriminator) if isinstance(networks, DiffusionPipeline) else networks


def make_networks(
    networks: Networks | None, configs: tuple[PreTrainedConfig, PreTrainedConfig], network_classes: tuple[Any, Any]
) -> tuple[nn.Module, nn.Module]:
    r"""
    Returns the generator and the discriminator to train.

    Args:
        networks (`tuple[nn.Module, nn.Module]` or `DiffusionPipeline`, *optional*):
            Networks to train instead of new ones, or a parent, which is adapted, see [`adapt`].
        configs (`tuple[PreTrainedConfig, PreTrainedConfig]`):
            Configs that the arguments and the data require.
        network_classes (`tuple[type, type]`):
            Classes of the networks.

    Raises:
        ValueError: if given networks do not match the images or latents.
    """
    given: Iterable[nn.Module | None] = given_networks(networks)
    if isinstance(networks, DiffusionPipeline):
        given = [None if network is None else adapt(network, config) for network, config in zip(given, configs)]
    generator, discriminator = (_fit(*parts) for parts in zip(given, configs, network_classes))
    return generator, discriminator


def copy_generator(generator: DCGANGenerator) -> DCGANGenerator:
    """
    Copies a generator in evaluation mode. `deepcopy` would share the wrappers of mixed precision. Leaves the random
    state alone, because custom networks may draw from it.
    """
    with torch.random.fork_rng(devices=[]):
        copy = DCGANGenerator(generator.config)
    copy.load_state_dict(generator.state_dict())
    return copy.to(generator.device, memory_format=torch.channels_last).eval()


def check_others_can_load(networks: Iterable[nn.Module | None]) -> None:
    """Raises a `ValueError` if a network is a plain module, which `from_pretrained` cannot build."""
    for network in networks:
        if isinstance(network, OwnNetwork) or (network is not None and not isinstance(network, PreTrainedModel)):
            raise ValueError(
                "`networks`: a plain `nn.Module` cannot be published, because `from_pretrained` cannot load it. Use a"
                " `PreTrainedModel` with a config."
            )


def freeze_layers(discriminator: Any, number: int) -> None:
    """
    Freezes the first convolutions of a discriminator with the scales and shifts of their normalisation (FreezeD, Mo et
    al., 2020, https://huggingface.co/papers/2002.10964). Statistics are still those of the images: they are measured,
    not learned, and the layers behind are used to inputs that are normalised by batch.
    """
    for layer in discriminator.layers[:number]:
        layer.requires_grad_(False)


def _fit(network: nn.Module | None, config: PreTrainedConfig, network_class: Any) -> PreTrainedModel:
    """Returns the given network, or makes one."""
    if network is None:
        return network_class(config)
    if not isinstance(network, PreTrainedModel):
        return OwnNetwork(config, network)
    has, needs = vars(network.config), vars(config)
    for name in _AGREEING_FIELDS:
        # As text, in which attributes in another order differ, too.
        if name in has and name in needs and str(has[name]) != str(needs[name]):
            raise ValueError(
                f"`networks`: the {type(network).__name__} has `{name}={has[name]}`, but arguments and images require"
                f" {needs[name]}."
            )
    return network
