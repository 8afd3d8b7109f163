# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Base class of all networks: initial weights, and strict loading. transformers replaces missing tensors by random ones."""

import functools
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_dcgan import DCGANConfig


# Suffixes of pickled weights, which can run code when they are opened.
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def _describe_place(name: str | os.PathLike, subfolder: str = "") -> str:
    """Returns the folder of a network within a model folder or repository, for messages."""
    return f"{name}/{subfolder}" if subfolder else str(name)


def _explain_missing_file(place: str, variant: str | None) -> str:
    r"""
    Returns a message for a folder or repository without safetensors. Never recommends unsafe loading.

    Args:
        place (`str`):
            Folder of the network, or its repository.
        variant (`str`, *optional*):
            Requested variant of the weights.
    """
    needed = f"model.{variant}.safetensors" if variant else "model.safetensors"
    folder = Path(place)
    found = sorted(path for path in folder.glob("*") if path.suffix in _PICKLED) if folder.is_dir() else []
    if not found:
        return (
            f"{place} contains no `{needed}`. Other formats are not loaded. If it contains pickled weights, such"
            " as `pytorch_model.bin`, download them and convert them with `dcgan convert pytorch_model.bin FOLDER`."
        )
    files = " ".join(str(path) for path in found)
    return (
        f"{found[0]} is a pickle, which could run code, and is not opened; {place} contains no `{needed}`."
        f" `dcgan convert {files} FOLDER` reads the weights alone and writes them to a new folder as safetensors."
    )


def check_finite(model: nn.Module, place: str) -> None:
    """Raises a `ValueError` if a weight or a buffer is NaN or infinite, or a variance negative."""
    for name, tensor in model.state_dict().items():
        if tensor.is_meta or not tensor.is_floating_point():
            continue
        smallest, largest = torch.aminmax(tensor)  # NaN if there is one; several times faster than `isfinite`
        if not (smallest.isfinite() and largest.isfinite()):
            raise ValueError(f"{place} contains NaN or infinite values in `{name}`: the network computes nothing.")
        if name.endswith("running_var") and smallest < 0:
            raise ValueError(f"{place} contains a negative variance in `{name}`: the network computes nothing.")


def _check_are_floats(path: str) -> None:
    """Raises a `ValueError` if a file holds weights of another type, which transformers would convert."""
    with safe_open(path, "pt") as file:
        for name in file.keys():
            kind = file.get_slice(name).get_dtype()
            if not kind.startswith(("F", "BF")) and not name.endswith("num_batches_tracked"):
                raise ValueError(f"{path} contains `{name}` as {kind}, not as floats.")


def _list(names: list[str], number: int = 3) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:number])
    return shown + (f" and {len(names) - number} more" if len(names) > number else "")


class DCGANPreTrainedModel(PreTrainedModel):
    """Base class of all networks: weight initialisation and loading."""

    config: DCGANConfig
    _no_split_modules: list[str] = []

    # Pattern of layers that start anew, hence random, if the file has a head among `_keys_to_ignore_on_load_unexpected`.
    _own_head = ""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, *args: Any, **kwargs: Any) -> Any:
        """Loads a model whose outputs equal the saved one's bit for bit, from safetensors only. Raises a `ValueError`
        if the weights are incomplete, not finite or those of another network. See
        [`~transformers.PreTrainedModel.from_pretrained`]."""
        place = _describe_place(pretrained_model_name_or_path, kwargs.get("subfolder", ""))
        try:
            loaded = super().from_pretrained(
                pretrained_model_name_or_path, *args, **(kwargs | {"use_safetensors": True})
            )
        except SafetensorError as error:
            raise ValueError(f"The weights in {place} are damaged: {error}.") from error
        except OSError as error:
            if "safetensors" not in str(error):
                raise
            raise OSError(
                _explain_missing_file(place, kwargs.get("variant"))
            ) from None  # transformers' message recommends unsafe loading
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Loaded tensors are views into the file that are not aligned to the vector size. Matrix products then round
        # differently (seen in the power iteration of spectral normalisation).
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
        check_finite(model, place)
        return loaded

    @functools.wraps(PreTrainedModel.save_pretrained)  # diffusers inspects the argument names
    def save_pretrained(self, save_directory: Any, is_main_process: bool = True, *args: Any, **kwargs: Any) -> None:
        if not is_main_process:  # of several processes that save together, one writes
            return
        if kwargs.get("push_to_hub"):
            kwargs.setdefault("repo_id", Path(save_directory).absolute().name)
        with self.config.replacing_files(Path(save_directory)) as folder:
            super().save_pretrained(folder, True, *args, **kwargs)

    @staticmethod
    def _load_pretrained_model(
        model: Any, state_dict: Any, checkpoint_files: Any, load_config: Any, *args: Any, **kwargs: Any
    ) -> Any:
        for path in checkpoint_files or []:
            _check_are_floats(path)
        # Here, transformers has not yet allocated what is missing.
        loaded = PreTrainedModel._load_pretrained_model(
            model, state_dict, checkpoint_files, load_config, *args, **kwargs
        )
        place = ", ".join(map(str, checkpoint_files or ["`state_dict`"]))
        model._check_complete(loaded[0], place, load_config.ignore_mismatched_sizes)
        return loaded

    def _check_complete(self, found: Any, place: str, may_differ: bool) -> None:
        """Raises a `ValueError` if a file (`place`) lacks tensors, or holds further ones or ones of another shape.
        `found` is transformers' `LoadStateDictInfo`; `may_differ` its `ignore_mismatched_sizes`."""
        missing = [key for key in sorted(found.missing_keys) if not key.endswith("num_batches_tracked")]
        heads = self._keys_to_ignore_on_load_unexpected or ()
        unexpected = [key for key in sorted(found.unexpected_keys) if not any(re.search(head, key) for head in heads)]
        if len(unexpected) < len(found.unexpected_keys):  # the file has the head of a related network
            missing = [key for key in missing if not re.search(self._own_head, key)]
        problems = []
        if missing:
            problems.append(f"lacks {_list(missing)}")
        if unexpected:
            problems.append(f"contains {_list(unexpected)}, which this network does not have")
        if found.mismatched_keys and not may_differ:
            shapes = [
                f"{key} of shape {tuple(saved)} instead of {tuple(own)}"
                for key, saved, own in sorted(found.mismatched_keys)
            ]
            problems.append(f"contains {_list(shapes)}")
        if problems:
            raise ValueError(
                f"{place} does not hold the weights of a {type(self).__name__}: it {', and '.join(problems)}."
            )

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # `transformers.initialization` skips loaded tensors, running statistics included.
        std = self.config.initializer_range
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            weight = module.parametrizations.weight.original if is_parametrized(module) else module.weight
            if self.config.initializer == "xavier_uniform":
                init.xavier_uniform_(weight)
            else:
                init.normal_(weight, mean=0.0, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            init.normal_(module.weight, mean=1.0, std=std)
            init.zeros_(module.bias)
            init.zeros_(module.running_mean)
            init.ones_(module.running_var)
            init.zeros_(module.num_batches_tracked)
        elif isinstance(module, nn.GroupNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            # Label embeddings start small compared with the N(0, 1) latents. At the same scale, the generator learned
            # to ignore the latents: on the digits it generated one image per class (standard deviation of a pixel
            # within a class after 1,000 steps: 0.010; with small embeddings: 0.110; real images: 0.147).
            init.normal_(module.weight, mean=0.0, std=std)


__all__ = ["DCGANPreTrainedModel", "check_finite"]
