# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Copies of trained networks for other classes and channels. Before its first update, the generator draws the images of
the network that it comes from.
"""

import copy
import logging
from typing import Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from ..configuration_attributes import SEPARATOR
from ..configuration_dcgan import DCGANGeneratorConfig
from ..modeling_dcgan import DCGANDiscriminator, DCGANGenerator


logger = logging.getLogger(__name__)

# Weights of red, green and blue in a grey image (ITU-R BT.601), as in Pillow's conversion.
_LUMA = torch.tensor([0.299, 0.587, 0.114])


@torch.no_grad()
def adapt(network: Any, config: Any) -> Any:
    r"""
    Returns a copy of a network in single precision, adapted to a config.

    - Classes are matched by name. A new one begins with the mean of the known ones. If there are none, the generator's
      layer of the embeddings begins at 0, and so does the discriminator's projection. The same holds for the values of
      each of several attributes; new attributes begin at 0.
    - Grey and RGB: the generator repeats its grey image in all channels, or draws the grey version of its RGB image. The
      discriminator scores the grey version of an RGB image, or a grey image as it did the same one in RGB.

    With spectral normalisation, weights cannot keep their scale. There, the scores of an adapted discriminator change.

    Args:
        network ([`DCGANGenerator`], [`DCGANDiscriminator`] or [`DCGANSuperResolutionGenerator`]):
            Trained network, which is left as it is.
        config (`PreTrainedConfig`):
            Config with the same layers, of the same image size.
    """
    trained = copy.deepcopy(network)
    adapted = type(network)(config)
    if isinstance(trained, DCGANGenerator):
        trained.unfuse()
        weights = _adapt_generator(trained, adapted)
    elif isinstance(trained, DCGANDiscriminator):
        weights = _adapt_discriminator(trained, adapted)
    else:
        weights = trained.state_dict()
    adapted.load_state_dict(weights)
    return adapted


def check_labels(before: DCGANGeneratorConfig, after: DCGANGeneratorConfig) -> None:
    """
    Logs which classes or attributes are new to a trained network. Raises a `ValueError` if it has classes and the images
    have several attributes, or the reverse.
    """
    known, classes = list(before.id2label.values()), list(after.id2label.values())
    new = [name for name in classes if name not in known]
    if before.num_classes and after.num_classes and (before.attributes is None) != (after.attributes is None):
        kinds = [
            f"the classes {_first([*config.id2label.values()])}"
            if config.attributes is None
            else f"the attributes {_first([*config.attributes])}"
            for config in (before, after)
        ]
        raise ValueError(
            f"`label_column`: the parent has {kinds[0]}, the images have {kinds[1]}. Classes cannot"
            " become several attributes, or the reverse. Give labels of the parent's kind, or use a parent without labels."
        )
    if new and known and after.attributes is not None:
        logger.info(
            f"New to the parent: {_first(new)}. Values begin with the mean of their attribute's, new attributes at 0."
        )
    elif new and known:
        advice = f" If they are classes of the parent ({_first(known)}), rename them: `class_names`."
        logger.info(
            f"New to the parent, so they begin with the mean of its classes: {_first(new)}."
            + (advice if new == classes else "")
        )


def _first(names: list[str], number: int = 10) -> str:
    """Returns the first names as text, with the number of the others."""
    return ", ".join(names[:number]) + (f" and {len(names) - number} more" if len(names) > number else "")


def _adapt_generator(trained: DCGANGenerator, adapted: DCGANGenerator) -> dict[str, torch.Tensor]:
    weights, config = trained.state_dict(), trained.config
    embedding = "stem.class_embedding.weight"
    if config.num_classes:
        weights[embedding] = _rows_by_name(weights[embedding], config, adapted.config)
    elif adapted.config.num_classes:
        weights[embedding] = adapted.state_dict()[embedding]
        first = "stem.hidden_layers.0" if config.stem_hidden_sizes else "stem.projection"
        # Inputs of the embedding come last. Zeros change neither the output nor the spectral norm.
        for name in [name for name in weights if name.startswith(f"{first}.") and not name.endswith(("bias", "_u"))]:
            more = torch.zeros(*weights[name].shape[:-1], config.latent_dim).to(weights[name])
            weights[name] = torch.cat([weights[name], more], dim=-1)
    last = f"layers.{len(trained.layers) - 1}.convolution"
    for name in (f"{last}.weight", f"{last}.bias"):
        if name in weights:
            dim = 1 if name.endswith("weight") else 0
            weights[name] = _channels(weights[name], dim, adapted.config.num_channels, torch.ones(3), _LUMA)
    return weights


def _adapt_discriminator(trained: DCGANDiscriminator, adapted: DCGANDiscriminator) -> dict[str, torch.Tensor]:
    weights, config = trained.state_dict(), trained.config
    if config.num_classes:
        name = _weight_of(trained.class_projection, "class_projection")
        _set(weights, name, _rows_by_name(weights[name], config, adapted.config))
    elif adapted.config.num_classes:
        name = _weight_of(adapted.class_projection, "class_projection")
        if name.endswith("original"):  # the norm of zeros cannot be 1
            weights |= {
                key: value for key, value in adapted.state_dict().items() if key.startswith("class_projection")
            }
        else:
            weights[name] = torch.zeros_like(adapted.state_dict()[name])
    first = "layers.0.0.convolution"
    name = _weight_of(trained.get_submodule(first), first)
    _set(weights, name, _channels(weights[name], 1, adapted.config.num_channels, _LUMA, torch.ones(3)))
    return weights


def _weight_of(layer: Any, name: str) -> str:
    """Returns the name of a layer's weight in the state of its network."""
    return f"{name}.parametrizations.weight.original" if is_parametrized(layer) else f"{name}.weight"


def _set(weights: dict[str, torch.Tensor], name: str, weight: torch.Tensor) -> None:
    """Replaces a weight and, if it has changed, the singular vectors that its spectral normalisation goes on from."""
    changes = weight is not weights[name]
    weights[name] = weight
    if changes and name.endswith("original"):
        left, _, right = torch.linalg.svd(weight.flatten(1).float(), full_matrices=False)
        before = name.removesuffix("original")
        weights[f"{before}0._u"], weights[f"{before}0._v"] = left[:, 0].contiguous(), right[0].contiguous()


def _rows_by_name(rows: torch.Tensor, before: Any, after: Any) -> torch.Tensor:
    if before.id2label == after.id2label:
        return rows
    known = {name: rows[class_id] for class_id, name in before.id2label.items()}
    of_attribute: dict[str, list[torch.Tensor]] = {}
    for name, row in known.items():
        of_attribute.setdefault(_attribute_of(name, before), []).append(row)
    new = {attribute: torch.stack(its_rows).mean(0) for attribute, its_rows in of_attribute.items()}
    names = [after.id2label[class_id] for class_id in range(after.num_classes)]
    unknown = torch.zeros_like(rows[0])
    return torch.stack([known.get(name, new.get(_attribute_of(name, after), unknown)) for name in names])


def _attribute_of(label: str, config: Any) -> str:
    """Returns the attribute of a label like "hair: red". All classes belong to one."""
    return "" if config.attributes is None else label.partition(SEPARATOR)[0]


def _channels(
    weight: torch.Tensor, dim: int, num_channels: int, to_rgb: torch.Tensor, to_grey: torch.Tensor
) -> torch.Tensor:
    """Returns a weight for another number of channels, of which each contributes its share."""
    if weight.shape[dim] == num_channels:
        return weight
    shares = (to_rgb if num_channels == 3 else to_grey).to(weight)
    shares = shares.view(*(-1 if i == dim else 1 for i in range(weight.ndim)))
    return weight * shares if num_channels == 3 else (weight * shares).sum(dim, keepdim=True)
