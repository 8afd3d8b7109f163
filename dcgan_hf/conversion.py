# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Networks from checkpoints of other DCGAN code: PyTorch's examples and tutorial, HugGAN, OSGAN and znxlwm's
pytorch-MNIST-CelebA-GAN-DCGAN, StudioGAN.

A checkpoint holds weights, not strides and paddings. Their shapes and names tell which of these networks it is, whose
code (read for this module) tells the rest: kernels of 4x4 pixels have stride 2 and padding 1, generators use ReLU,
discriminators LeakyReLU of slope 0.2. What does not fit is refused.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar

import safetensors.torch
import torch
from huggingface_hub.errors import StrictDataclassError

from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator


logger = logging.getLogger(__name__)

Source = str | PathLike | Mapping[str, Any]
Network = TypeVar("Network", DCGANGenerator, DCGANDiscriminator)

# First bytes of what people download or save in place of a checkpoint.
_OTHER_FILES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file it stands for. Run `git lfs pull`, or download it",
    b"<": "is a web page. Download the file itself",
    b"\x89HDF": "is an HDF5 file, as Keras writes. Only PyTorch checkpoints can be imported",
}

# Modules by which other networks are known, the most telling first.
_OTHER_NETWORKS = {
    r"(.*\.)?(mapping|style|g_mapping|g_synthesis|synthesis)\..*": "a StyleGAN",
    r"(init\.init|feat_\d+|se_\d+|to_big|down_from_big|from_big)\b.*": "a FastGAN (or a Projected GAN's generator)",
    r"(.*\.)?(initial_conv|non_residual_layers|to_shape_disc_out)\b.*": "a lightweight GAN",
    r"(feature_network|.*\.pretrained)\..*": "a Projected GAN",
    r"block\d+\.(c1|c2|c_sc|b1|b2)\b.*": "one of mimicry's networks, which are ResNets (its DCGAN, too)",
    r"blocks\.\d+\.\d+\.conv0": "StudioGAN's DCGAN discriminator, which normalises its first layer and sums over positions."
    " Only its generator can be imported",
    r"blocks\.\d+\.\d+\..*": "one of StudioGAN's networks, but not its unconditional DCGAN generator",
    r"(l1\.0|conv_blocks\.\d+|adv_layer\.0)": "PyTorch-GAN's DCGAN, which enlarges feature maps by"
    " interpolation, or halves them with 3x3 kernels",
    r"(formatLayer|main\.convTranspose\d+|main\.outlayer)": "a network of pytorch_GAN_zoo",
    r"(scaleLayers|toRGBLayers|fromRGBLayers)\..*": "a progressive GAN",
}

_KNOWN = (
    "networks of PyTorch's DCGAN example and tutorial (`main.0`, ...), of HugGAN (`model.0`, ...), of OSGAN and znxlwm"
    " (`deconv1`, `conv1`, ...), and StudioGAN's DCGAN generator (`linear0`, `blocks`, `conv4`)"
)


@dataclass
class _Layer:
    """A convolution or linear layer, and the normalisation that follows it."""

    name: str
    weight: torch.Tensor
    bias: torch.Tensor | None
    norm_name: str | None = None
    norm: dict[str, torch.Tensor] | None = None


def generator_from_original(source: Source) -> DCGANGenerator:
    r"""
    Makes a generator of a checkpoint that other DCGAN code wrote. Image size, width, channels and number of latent
    variables are read from the shapes of its weights. It computes what the original network computes.

    Args:
        source (`str`, `PathLike` or `Mapping`):
            A checkpoint file (read with `weights_only=True`; a `.safetensors` file, too) or what was loaded from one:
            a state dict, or dicts of them such as `{"epoch": 5, "netG_state_dict": {...}}`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no checkpoint, if it wants to run code when it is loaded, if it holds no generator or more
            than one, or if it holds another network.

    Example:

    ```py
    >>> from dcgan_hf import DCGANPipeline, generator_from_original

    >>> pipe = DCGANPipeline(generator_from_original("netG_epoch_24.pth"))
    ```
    """
    return _only_one(DCGANGenerator, source)


def discriminator_from_original(source: Source) -> DCGANDiscriminator:
    r"""
    Makes a discriminator of a checkpoint that other DCGAN code wrote. Its logits are what the original network computes
    before its sigmoid. See [`generator_from_original`] for the argument and the errors.
    """
    return _only_one(DCGANDiscriminator, source)


def networks_from_original(source: Source) -> dict[str, DCGANGenerator | DCGANDiscriminator]:
    r"""
    Makes all networks of a checkpoint. See [`generator_from_original`].

    Returns:
        `dict`: the networks by their names in the checkpoint, such as `"netG_state_dict"`. What cannot be imported is
        left out with a warning, if anything else can be.
    """
    content = source if isinstance(source, Mapping) else _read_checkpoint(Path(source))
    networks: dict[str, DCGANGenerator | DCGANDiscriminator] = {}
    problems = []
    for name, state_dict in _find_state_dicts(content):
        try:
            networks[name] = _convert(_read_layers(state_dict))
        except (ValueError, StrictDataclassError) as error:  # the latter is a configuration's, around a ValueError
            problems.append(f"{_describe(source, name)} cannot be imported: {error.__cause__ or error}")
    if not networks:
        raise ValueError("\n".join(problems) or f"{_describe(source)} holds no weights that have names.")
    for problem in problems:
        logger.warning(problem)
    return networks


def _only_one(network_class: type[Network], source: Source) -> Network:
    networks = networks_from_original(source)
    found = {name: network for name, network in networks.items() if isinstance(network, network_class)}
    if len(found) != 1:
        held = [f"a {type(network).__name__}" + (f" ({name})" if name else "") for name, network in networks.items()]
        advice = " Load it with `torch.load` and pass the part that you want." if found else ""
        raise ValueError(
            f"{_describe(source)} must hold one {network_class.__name__}, but holds {', '.join(held)}.{advice}"
        )
    return next(iter(found.values()))


def _describe(source: Source, name: str = "") -> str:
    checkpoint = "The checkpoint" if isinstance(source, Mapping) else f"{str(source)!r}"
    return f"{name!r} of {checkpoint[:1].lower() + checkpoint[1:]}" if name else checkpoint


def _read_checkpoint(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    with path.open("rb") as file:
        beginning = file.read(32).lstrip()
    if not beginning:
        raise ValueError(f"{str(path)!r} is empty.")
    for signature, explanation in _OTHER_FILES.items():
        if beginning.startswith(signature):
            raise ValueError(f"{str(path)!r} {explanation}.")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types
        # PyTorch's message is not passed on, because it advises to load the file in the unsafe way.
        if wanted := re.search(r"GLOBAL ([\w.]+)|global ([\w.]+)", str(error)):
            explanation = (
                f"holds more than weights: loading it would run `{wanted[1] or wanted[2]}`, which could do anything. Where it"
                " was written and is trusted, save the weights alone: `torch.save(network.state_dict(), path)`."
            )
        elif "TorchScript" in str(error):
            explanation = (
                "is a TorchScript program. Save its weights: `torch.save(torch.jit.load(path).state_dict(), ...)`."
            )
        else:
            explanation = "is damaged, or no PyTorch checkpoint."
        raise ValueError(f"{str(path)!r} {explanation}") from None


def _find_state_dicts(content: Any, name: str = "") -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Mappings from names to tensors, wherever they are in a checkpoint, except in the state of an optimizer."""
    if not isinstance(content, Mapping) or "param_groups" in content:
        return
    tensors = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if any("." in str(key) for key in tensors):
        yield name, tensors
    for key, value in content.items():
        yield from _find_state_dicts(value, f"{name}.{key}" if name else str(key))


def _position(module: str) -> tuple[int, int] | None:
    """The place of a module in its network, if it is one of those known here."""
    if match := re.fullmatch(r"(?:main|model)\.(\d+)", module):
        return int(match[1]), 0
    if match := re.fullmatch(r"(?:de)?conv(\d+)(_bn|_gn)?", module):
        return int(match[1]), 1 if match[2] else 0
    if match := re.fullmatch(r"blocks\.(\d+)\.0\.(deconv0|bn0)", module):
        return int(match[1]), 1 if match[2] == "bn0" else 0
    return (-1, 0) if module == "linear0" else None


def _read_layers(state_dict: dict[str, torch.Tensor]) -> list[_Layer]:
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in state_dict.items():
        module, _, parameter = key.removeprefix("module.").rpartition(".")  # `module.`: DataParallel's
        modules.setdefault(module, {})[parameter] = tensor
    if any(_position(module) is None for module in modules):
        for pattern, network in _OTHER_NETWORKS.items():
            if any(re.fullmatch(pattern, module) for module in modules):
                raise ValueError(f"this is {network}.")
    layers: list[_Layer] = []
    # By place, because .safetensors files are in the order of the alphabet.
    for module in sorted(modules, key=lambda module: _position(module) or (math.inf, 0)):
        tensors = modules[module]
        if _position(module) is None or "weight" not in tensors:
            raise ValueError(
                f"`{module or next(iter(tensors))}` belongs to no network known here. Known are {_KNOWN}."
            )
        if tensors["weight"].ndim == (2 if module == "linear0" else 4) and tensors.keys() <= {"weight", "bias"}:
            layers.append(_Layer(module, tensors["weight"], tensors.get("bias")))
        elif tensors["weight"].ndim == 1 and layers and layers[-1].norm is None:
            layers[-1].norm_name, layers[-1].norm = module, tensors
        else:
            shapes = ", ".join(f"{parameter} {tuple(tensor.shape)}" for parameter, tensor in tensors.items())
            raise ValueError(f"`{module}` has no place in a DCGAN: {shapes}.")
    _check_order(layers)
    return layers


def _check_order(layers: list[_Layer]) -> None:
    """Refuses what shapes alone cannot tell: activations before normalisations, layers without weights."""
    if not re.match("main|model", layers[0].name):  # the other names tell what is what
        return
    for layer, following in zip(layers, [*layers[1:], None]):
        index = int(layer.name.split(".")[1])
        if layer.norm_name and int(layer.norm_name.split(".")[1]) != index + 1:
            raise ValueError(
                f"`{layer.norm_name}` normalises what comes out of an activation, not of `{layer.name}` (as in"
                " pytorch-gan-collections' discriminator)."
            )
        if following and int(following.name.split(".")[1]) != index + (3 if layer.norm else 2):
            raise ValueError(f"there is more, or less, between `{layer.name}` and `{following.name}` than in a DCGAN.")


def _convert(layers: list[_Layer]) -> DCGANGenerator | DCGANDiscriminator:
    if len(layers) < 2:
        raise ValueError(f"one layer, `{layers[0].name}`, is no DCGAN.")
    # The paper normalises neither the generator's last layer nor the discriminator's first. StudioGAN's stem is linear.
    is_generator = layers[0].norm is not None or layers[0].weight.ndim == 2
    network: DCGANGenerator | DCGANDiscriminator
    if is_generator:
        config, state_dict = _generator_from_layers(layers)
        network = DCGANGenerator(config)
    else:
        config, state_dict = _discriminator_from_layers(layers)
        network = DCGANDiscriminator(config)
    try:
        network.load_state_dict(state_dict)
    except RuntimeError as error:
        raise ValueError(f"its layers do not fit together as those of a DCGAN: {error}") from None
    return network.eval()


def _generator_from_layers(layers: list[_Layer]) -> tuple[DCGANGeneratorConfig, dict[str, torch.Tensor]]:
    stem, *upsampling = layers
    use_bias = any(layer.bias is not None for layer in layers)
    is_studiogan = stem.weight.ndim == 2
    if is_studiogan:
        _check_kernels(upsampling[-1:], 3)
        # A convolution of stride 1 is a transposed convolution with the mirrored kernel.
        upsampling[-1].weight = upsampling[-1].weight.transpose(0, 1).flip(2, 3)
        stem_size = math.isqrt(stem.weight.shape[0] // upsampling[0].weight.shape[0])
        projection, projection_bias = stem.weight, _bias(stem, stem.weight.shape[0])
    else:
        stem_size = stem.weight.shape[2]
        projection = stem.weight.flatten(1).T  # of (in, out, height, width)
        projection_bias = _bias(stem, stem.weight.shape[1]).repeat_interleave(stem_size**2)
    num_doublings = len(upsampling) - is_studiogan
    _check_kernels(upsampling[:num_doublings], 4)
    config = DCGANGeneratorConfig(
        image_size=stem_size * 2**num_doublings,
        num_channels=upsampling[-1].weight.shape[1],
        latent_dim=projection.shape[1],
        hidden_size=upsampling[-1].weight.shape[0],
        hidden_sizes=[layer.weight.shape[0] for layer in upsampling],
        strides=[2] * num_doublings + [1] * is_studiogan,
        kernel_size=[4] * num_doublings + [3] if is_studiogan else 4,
        use_bias=use_bias,
        norm_eps=1e-4 if is_studiogan else 1e-5,
        stem_norm=not is_studiogan,
        stem_activation=not is_studiogan,
    )
    state_dict = {"stem.projection.weight": projection} | _norm("stem.normalization", stem)
    for i, layer in enumerate(upsampling):
        state_dict[f"layers.{3 * i}.convolution.weight"] = layer.weight
        state_dict |= _norm(f"layers.{3 * i + 1}", layer)
    if use_bias:
        state_dict["stem.projection.bias"] = projection_bias
        for i, layer in enumerate(upsampling):
            state_dict[f"layers.{3 * i}.convolution.bias"] = _bias(layer, layer.weight.shape[1])
    return config, state_dict


def _discriminator_from_layers(layers: list[_Layer]) -> tuple[DCGANDiscriminatorConfig, dict[str, torch.Tensor]]:
    *convolutions, head = layers
    _check_kernels(convolutions, 4)
    if head.weight.shape[0] != 1:
        raise ValueError(f"`{head.name}` gives {head.weight.shape[0]} scores, a DCGAN's discriminator gives one.")
    use_bias = any(layer.bias is not None for layer in layers)
    norm_names = [layer.norm_name for layer in convolutions if layer.norm_name]
    norm_type: Literal["batch", "group", "none"] = "batch" if norm_names else "none"
    if any(name.endswith("_gn") for name in norm_names):
        norm_type = "group"  # of 32 groups in OSGAN, as by default
    config = DCGANDiscriminatorConfig(
        image_size=head.weight.shape[2] * 2 ** len(convolutions),
        num_channels=convolutions[0].weight.shape[1],
        hidden_size=convolutions[0].weight.shape[0],
        hidden_sizes=[layer.weight.shape[0] for layer in convolutions],
        strides=[2] * len(convolutions),
        use_bias=use_bias,
        norm_type=norm_type,
    )
    state_dict = {"head.weight": head.weight.flatten(1)}
    for i, layer in enumerate(convolutions):
        state_dict[f"layers.{i}.0.convolution.weight"] = layer.weight
        state_dict |= _norm(f"layers.{i}.1", layer)
    if use_bias:
        state_dict["head.bias"] = _bias(head, 1)
        for i, layer in enumerate(convolutions):
            state_dict[f"layers.{i}.0.convolution.bias"] = _bias(layer, layer.weight.shape[0])
    return config, state_dict


def _check_kernels(layers: list[_Layer], size: int) -> None:
    for layer in layers:
        height, width = layer.weight.shape[2:]
        if (height, width) != (size, size):
            raise ValueError(
                f"`{layer.name}` has a kernel of {height}x{width} pixels. Only for {size}x{size} is it known which stride and"
                " padding it goes with: a checkpoint does not tell."
            )


def _bias(layer: _Layer, num_outputs: int) -> torch.Tensor:
    return torch.zeros(num_outputs) if layer.bias is None else layer.bias


def _norm(name: str, layer: _Layer) -> dict[str, torch.Tensor]:
    """The normalisation of a layer under another name. PyTorch before 0.4.1 did not count the batches."""
    if layer.norm is None:
        return {}
    counted = {"num_batches_tracked": torch.tensor(0)} if "running_mean" in layer.norm else {}
    return {f"{name}.{parameter}": tensor for parameter, tensor in (counted | layer.norm).items()}
