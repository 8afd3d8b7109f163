# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Conversion of checkpoints of other DCGAN code: PyTorch's examples and tutorial, HugGAN, OSGAN and znxlwm's
pytorch-MNIST-CelebA-GAN-DCGAN, StudioGAN. Also of this package's own networks in a pickle, given their `config.json`.

A checkpoint contains weights, but no strides or paddings. Shapes and names of the weights identify the network. The
rest follows from the source code of these projects: 4x4 kernels have stride 2 and padding 1, generators use ReLU,
discriminators LeakyReLU of slope 0.2. Other checkpoints are rejected.
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
from .modeling_dcgan_base import check_finite


logger = logging.getLogger(__name__)

Source = str | PathLike | Mapping[str, Any]
Network = TypeVar("Network", DCGANGenerator, DCGANDiscriminator)

# First bytes of files that are mistaken for checkpoints.
_OTHER_FILES = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself. Run `git lfs pull`, or download it",
    b"<": "is a web page. Download the file itself",
    b"\x89HDF": "is an HDF5 file, as written by Keras. Only PyTorch checkpoints can be imported",
}

# Module names that identify unsupported networks, the most specific first.
_OTHER_NETWORKS = {
    r"(.*\.)?(mapping|style|g_mapping|g_synthesis|synthesis)\..*": "a StyleGAN",
    r"(init\.init|feat_\d+|se_\d+|to_big|down_from_big|from_big)\b.*": "a FastGAN (or a Projected GAN's generator)",
    r"(.*\.)?(initial_conv|non_residual_layers|to_shape_disc_out)\b.*": "a lightweight GAN",
    r"(feature_network|.*\.pretrained)\..*": "a Projected GAN",
    r"block\d+\.(c1|c2|c_sc|b1|b2)\b.*": "a network of mimicry, where even the DCGAN is a ResNet",
    r"blocks\.\d+\.\d+\.conv0": "StudioGAN's DCGAN discriminator, which normalises its first layer and sums over"
    " positions. Only the generator can be imported",
    r"blocks\.\d+\.\d+\..*": "a network of StudioGAN other than its unconditional DCGAN generator",
    r"(l1\.0|conv_blocks\.\d+|adv_layer\.0)": "PyTorch-GAN's DCGAN, which upscales feature maps by"
    " interpolation or downscales them with 3x3 kernels",
    r"(formatLayer|main\.convTranspose\d+|main\.outlayer)": "a network of pytorch_GAN_zoo",
    r"(scaleLayers|toRGBLayers|fromRGBLayers)\..*": "a progressive GAN",
}

# Beginnings of names in this package's generator and discriminator.
_OWN_LAYERS = ("stem.projection.", "layers.0.0.convolution.")

_KNOWN = (
    "networks of PyTorch's DCGAN example and tutorial (`main.0`, ...), of HugGAN (`model.0`, ...), of OSGAN and znxlwm"
    " (`deconv1`, `conv1`, ...), and StudioGAN's DCGAN generator (`linear0`, `blocks`, `conv4`)"
)


@dataclass
class _Layer:
    """Convolution or linear layer, and the normalisation that follows it."""

    name: str
    weight: torch.Tensor
    bias: torch.Tensor | None
    norm_name: str | None = None
    norm: dict[str, torch.Tensor] | None = None


def generator_from_original(source: Source) -> DCGANGenerator:
    r"""
    Converts a checkpoint of other DCGAN code to a generator that computes the same as the original. Image size, layer
    widths, channels and number of latent variables are inferred from the shapes of the weights.

    Args:
        source (`str`, `PathLike` or `Mapping`):
            Checkpoint file (`.safetensors`, or a PyTorch file, read with `weights_only=True`) or its content: a state
            dict, or nested dicts of them such as `{"epoch": 5, "netG_state_dict": {...}}`.

    Returns:
        [`DCGANGenerator`]: the generator, in evaluation mode.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is not a checkpoint, if loading it would run code, if it does not contain exactly one
            generator, or if the network is not supported.

    Example:

    ```py
    >>> from dcgan_hf import DCGANPipeline, generator_from_original

    >>> pipe = DCGANPipeline(generator_from_original("netG_epoch_24.pth"))
    ```
    """
    return _only_one(DCGANGenerator, source)


def discriminator_from_original(source: Source) -> DCGANDiscriminator:
    r"""
    Converts a checkpoint of other DCGAN code to a discriminator. Its logits equal the original's before the sigmoid.
    See [`generator_from_original`] for arguments and errors.

    Returns:
        [`DCGANDiscriminator`]: the discriminator, in evaluation mode.
    """
    return _only_one(DCGANDiscriminator, source)


def networks_from_original(source: Source) -> dict[str, DCGANGenerator | DCGANDiscriminator]:
    r"""
    Converts all networks of a checkpoint. See [`generator_from_original`] for arguments and errors.

    Returns:
        `dict`: networks by their names in the checkpoint, such as `"netG_state_dict"`. Unsupported networks are
        skipped with a warning if at least one is supported.
    """
    content = source if isinstance(source, Mapping) else _read_checkpoint(Path(source))
    networks: dict[str, DCGANGenerator | DCGANDiscriminator] = {}
    problems = []
    for name, state_dict in _find_state_dicts(content):
        try:
            if any(key.startswith(_OWN_LAYERS) for key in state_dict):
                networks[name] = _own_network(source, state_dict)
            else:
                networks[name] = _convert(_read_layers(state_dict))
        except (ValueError, StrictDataclassError) as error:  # configurations wrap a ValueError in the latter
            problems.append(f"{_describe(source, name)} cannot be imported: {error.__cause__ or error}")
    if not networks:
        raise ValueError("\n".join(problems) or f"{_describe(source)} contains no named weights.")
    for problem in problems:
        logger.warning(problem)
    return networks


def _only_one(network_class: type[Network], source: Source) -> Network:
    networks = networks_from_original(source)
    found = {name: network for name, network in networks.items() if isinstance(network, network_class)}
    if len(found) != 1:
        held = [f"a {type(network).__name__}" + (f" ({name})" if name else "") for name, network in networks.items()]
        advice = " Load it with `torch.load` and pass one of them." if found else ""
        raise ValueError(
            f"{_describe(source)} must contain one {network_class.__name__}, but contains {', '.join(held)}.{advice}"
        )
    return next(iter(found.values()))


def _describe(source: Source, name: str = "") -> str:
    checkpoint = "The checkpoint" if isinstance(source, Mapping) else f"{str(source)!r}"
    return f"{name!r} of {checkpoint[:1].lower() + checkpoint[1:]}" if name else checkpoint


def _read_checkpoint(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"The file {str(path)!r} does not exist.")
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
        # PyTorch's message is replaced, because it recommends unsafe loading.
        if wanted := re.search(r"GLOBAL ([\w.]+)|global ([\w.]+)", str(error)):
            explanation = (
                f"contains more than weights: loading it would run `{wanted[1] or wanted[2]}`, which could"
                " execute anything. If you trust it, load it with the code that wrote it and save the weights alone:"
                " `torch.save(network.state_dict(), path)`."
            )
        elif "TorchScript" in str(error):
            explanation = (
                "is a TorchScript program. Save its weights: `torch.save(torch.jit.load(path).state_dict(), ...)`."
            )
        else:
            explanation = "is corrupt or not a PyTorch checkpoint."
        raise ValueError(f"{str(path)!r} {explanation}") from None


def _find_state_dicts(content: Any, name: str = "") -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Yields all mappings from names to tensors in a checkpoint, except those in optimizer states."""
    if not isinstance(content, Mapping) or "param_groups" in content:
        return
    tensors = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if any("." in str(key) for key in tensors):
        yield name, tensors
    for key, value in content.items():
        yield from _find_state_dicts(value, f"{name}.{key}" if name else str(key))


def _position(module: str) -> tuple[int, int] | None:
    """Returns the position of a module in its network, or `None` if its name is unknown."""
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
                raise ValueError(f"it is {network}.")
    layers: list[_Layer] = []
    # Sorted by position, because .safetensors files are in alphabetical order.
    for module in sorted(modules, key=lambda module: _position(module) or (math.inf, 0)):
        tensors = modules[module]
        if _position(module) is None or "weight" not in tensors:
            raise ValueError(
                f"`{module or next(iter(tensors))}` belongs to no supported network. Supported are {_KNOWN}."
            )
        if tensors["weight"].ndim == (2 if module == "linear0" else 4) and tensors.keys() <= {"weight", "bias"}:
            layers.append(_Layer(module, tensors["weight"], tensors.get("bias")))
        elif tensors["weight"].ndim == 1 and layers and layers[-1].norm is None:
            layers[-1].norm_name, layers[-1].norm = module, tensors
        else:
            shapes = ", ".join(f"{parameter} {tuple(tensor.shape)}" for parameter, tensor in tensors.items())
            raise ValueError(f"`{module}` does not belong in a DCGAN: {shapes}.")
    _check_order(layers)
    return layers


def _check_order(layers: list[_Layer]) -> None:
    """Rejects what shapes alone do not show: activations before normalisations, additional layers without weights."""
    if not re.match("main|model", layers[0].name):  # the other names identify their modules
        return
    for layer, following in zip(layers, [*layers[1:], None]):
        index = int(layer.name.split(".")[1])
        if layer.norm_name and int(layer.norm_name.split(".")[1]) != index + 1:
            raise ValueError(
                f"`{layer.norm_name}` normalises the output of an activation function, not of `{layer.name}` (as in"
                " pytorch-gan-collections' discriminator)."
            )
        if following and int(following.name.split(".")[1]) != index + (3 if layer.norm else 2):
            raise ValueError(f"the modules between `{layer.name}` and `{following.name}` are not those of a DCGAN.")


def _own_network(source: Source, state_dict: dict[str, torch.Tensor]) -> DCGANGenerator | DCGANDiscriminator:
    """Builds a network of this package from its pickled weights and the `config.json` beside them."""
    if isinstance(source, Mapping) or not Path(source).with_name("config.json").is_file():
        raise ValueError("it belongs to a network of dcgan_hf, whose `config.json` must lie beside it.")
    is_generator = any(key.startswith(_OWN_LAYERS[0]) for key in state_dict)
    network_class = DCGANGenerator if is_generator else DCGANDiscriminator
    network = network_class(network_class.config_class.from_pretrained(Path(source).parent))
    return _load(network, state_dict)


def _convert(layers: list[_Layer]) -> DCGANGenerator | DCGANDiscriminator:
    if len(layers) < 2:
        raise ValueError(f"a single layer, `{layers[0].name}`, is not a DCGAN.")
    # The paper normalises neither the generator's last nor the discriminator's first layer. StudioGAN: linear stem.
    is_generator = layers[0].norm is not None or layers[0].weight.ndim == 2
    network: DCGANGenerator | DCGANDiscriminator
    if is_generator:
        config, state_dict = _generator_from_layers(layers)
        network = DCGANGenerator(config)
    else:
        config, state_dict = _discriminator_from_layers(layers)
        network = DCGANDiscriminator(config)
    return _load(network, state_dict)


def _load(network: Network, state_dict: dict[str, torch.Tensor]) -> Network:
    try:
        network.load_state_dict(state_dict)
    except RuntimeError as error:
        raise ValueError(f"its layers do not fit together as in a DCGAN: {error}") from None
    check_finite(network, "it")
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
        raise ValueError(f"`{head.name}` returns {head.weight.shape[0]} scores, a DCGAN's discriminator returns one.")
    use_bias = any(layer.bias is not None for layer in layers)
    norm_names = [layer.norm_name for layer in convolutions if layer.norm_name]
    norm_type: Literal["batch", "group", "none"] = "batch" if norm_names else "none"
    if any(name.endswith("_gn") for name in norm_names):
        norm_type = "group"  # 32 groups in OSGAN, the default here
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
                f"`{layer.name}` has a kernel of {height}x{width} pixels. Stride and padding, which a checkpoint does"
                f" not contain, are only known for {size}x{size}."
            )


def _bias(layer: _Layer, num_outputs: int) -> torch.Tensor:
    return torch.zeros(num_outputs) if layer.bias is None else layer.bias


def _norm(name: str, layer: _Layer) -> dict[str, torch.Tensor]:
    """Returns a layer's normalisation under another name. PyTorch before 0.4.1 did not count the batches."""
    if layer.norm is None:
        return {}
    counted = {"num_batches_tracked": torch.tensor(0)} if "running_mean" in layer.norm else {}
    return {f"{name}.{parameter}": tensor for parameter, tensor in (counted | layer.norm).items()}
