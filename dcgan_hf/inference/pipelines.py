# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loading of pipelines from folders, the Hub and other code, and their preparation for many images."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import DiffusionPipeline
from huggingface_hub.errors import HFValidationError
from torch import nn

from .. import pipeline_dcgan_super_resolution  # noqa: F401  # for `saved_pipeline_class`
from ..conversion import networks_from_original
from ..files import finish_replacing
from ..modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_portable import saved_pipeline_class
from ..processes import first_on_its_machine


Pipeline = TypeVar("Pipeline", bound=DiffusionPipeline)


class OtherPipelineError(ValueError):
    """Error for a saved pipeline of an unexpected class."""


def load_pipeline(
    pipeline_class: type[Pipeline], model: str, revision: str | None = None, dtype: str = "float32"
) -> Pipeline:
    r"""
    Loads a saved pipeline of one class, see [`load_any_pipeline`].

    Raises:
        OSError: if the model does not exist.
        OtherPipelineError: if the pipeline is of another class.
    """
    folder = _folder_of(model, revision)
    saved_class = saved_pipeline_class(folder)
    if saved_class is not pipeline_class:
        raise OtherPipelineError(
            f"`model={model}` is a {saved_class.__name__} ({saved_class.task}), not a {pipeline_class.__name__}"
            f" ({pipeline_class.task})."
        )
    return pipeline_class.from_pretrained(folder, dtype=getattr(torch, dtype))


def load_any_pipeline(model: str, revision: str | None = None, dtype: str = "float32") -> DiffusionPipeline:
    r"""
    Loads a saved pipeline in each process. The first process of each machine downloads it.

    Args:
        model (`str`):
            Folder or Hub repository of the pipeline.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.
        dtype (`str`, *optional*, defaults to `"float32"`):
            Data type of the weights.

    Raises:
        OSError: if the model does not exist.
        ValueError: if it is not a pipeline of this package.
    """
    folder = _folder_of(model, revision)
    return saved_pipeline_class(folder).from_pretrained(folder, dtype=getattr(torch, dtype))


def _folder_of(model: str, revision: str | None) -> Path:
    if Path(model).is_dir():
        finish_replacing(Path(model))
        return Path(model)
    try:
        with first_on_its_machine():
            return Path(DCGANPipeline.download(model, revision=revision))
    except (OSError, HFValidationError) as error:
        raise OSError(f"`model={model}`: {error}") from error


def pipeline_from_original(
    checkpoints: Sequence[str | Path],
) -> tuple[DCGANPipeline, list[tuple[str, DCGANGenerator | DCGANDiscriminator]]]:
    r"""
    Builds a pipeline from checkpoints of other DCGAN code, in one file or several.

    Args:
        checkpoints (`Sequence[str | Path]`):
            Files with weights. The discriminator is optional: sampling only needs the generator.

    Returns:
        `tuple[DCGANPipeline, list]`: the pipeline, and the location and network of each match in the checkpoints.

    Raises:
        ValueError: if the checkpoints contain no generator, or several networks of one kind.
    """
    found = [
        (f"{path}{': ' + name if name else ''}", network)
        for path in checkpoints
        for name, network in networks_from_original(path).items()
    ]
    chosen: list[Any] = []
    for network_class in DCGANPipeline.network_classes.values():
        of_class = [(place, network) for place, network in found if isinstance(network, network_class)]
        if len(of_class) > 1:
            places = " and ".join(place for place, _ in of_class)
            raise ValueError(f"Pass the checkpoint of one {network_class.__name__}, got {places}.")
        chosen.append(of_class[0][1] if of_class else None)
    if chosen[0] is None:
        raise ValueError(
            f"{', '.join(map(str, checkpoints))}: only a discriminator found. Add the checkpoint of the generator."
        )
    return DCGANPipeline(*chosen), found


def model_name(model: str) -> str:
    """Returns the name of a model for reports: the last component of its folder, or its Hub repository."""
    return Path(model).absolute().name if Path(model).is_dir() else model


def quiet(pipe: Pipeline) -> Pipeline:
    """Returns a pipeline with the same networks and no progress bar."""
    copy = type(pipe)(**pipe.components)
    copy.set_progress_bar_config(disable=True)
    return copy


@contextmanager
def ready_to_draw(pipe: Pipeline) -> Iterator[Pipeline]:
    """Speeds up a pipeline's generator temporarily. Yields a pipeline with the same networks and no progress bar."""
    is_ours = isinstance(pipe.generator, DCGANGenerator)
    with pipe.generator.fused() if is_ours else nullcontext():
        pipe.generator.to(memory_format=torch.channels_last)
        yield quiet(pipe)


def weights_fingerprint(network: nn.Module) -> str:
    """Returns a hash of a network's weights."""
    digest = hashlib.sha256()
    for values in network.state_dict().values():
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
