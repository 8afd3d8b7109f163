# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Networks that are passed to a trainer instead of new ones."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from diffusers import DiffusionPipeline
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel


# Generator and discriminator, or a pipeline with both. A missing discriminator is created.
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


def check_others_can_load(networks: Iterable[nn.Module | None]) -> None:
    """Raises a `ValueError` if a network is a plain module, which `from_pretrained` cannot build."""
    for network in networks:
        if isinstance(network, OwnNetwork) or (network is not None and not isinstance(network, PreTrainedModel)):
            raise ValueError(
                "`networks`: a plain `nn.Module` cannot be published, because `from_pretrained` cannot load it. Use a"
                " `PreTrainedModel` with a config."
            )


def fit_network(network: nn.Module | None, config: PreTrainedConfig, network_class: Any) -> PreTrainedModel:
    r"""
    Returns the given network, or makes one.

    Args:
        network (`nn.Module`, *optional*):
            The given network.
        config (`PreTrainedConfig`):
            Config that the arguments and the data require.
        network_class (`type`):
            Class of the network to make.

    Raises:
        ValueError: if the given network does not match the images or latents.
    """
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
