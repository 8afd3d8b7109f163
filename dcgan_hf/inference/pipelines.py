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
from ..kernels.autotune import DTYPES, choose_ways, recorded_convolutions
from ..kernels.convolutions import FastConvolutions
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
    Loads a saved pipeline of a class, or of one derived from it, see [`load_any_pipeline`].

    Raises:
        OSError: if the model does not exist.
        OtherPipelineError: if the pipeline is of another class.
    """
    folder = _folder_of(model, revision)
    saved_class = saved_pipeline_class(folder)
    if not issubclass(saved_class, pipeline_class):
        raise OtherPipelineError(
            f"`model={model}` is a {saved_class.__name__} ({saved_class.task}), not a {pipeline_class.__name__}"
            f" ({pipeline_class.task})."
        )
    return saved_class.from_pretrained(folder, dtype=getattr(torch, dtype))


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
    return load_pipeline(DiffusionPipeline, model, revision, dtype)


def _folder_of(model: str, revision: str | None) -> Path:
    if Path(model).is_dir():
        finish_replacing(Path(model))
        return Path(model)
    try:
        with first_on_its_machine():
            return Path(DCGANPipeline.download(model, revision=revision))
    except HFValidationError as error:
        raise OSError(f"`model={model}`: no such folder, and no name of a repository: {error}") from error
    except OSError as error:
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


# Fewer images take less time than choosing convolutions.
_MANY_IMAGES = 1000


@contextmanager
def ready_to_draw(pipe: Pipeline, num_images: int = 1, batch_size: int = 1) -> Iterator[Pipeline]:
    r"""
    Speeds up a pipeline's generator temporarily. All processes must call it.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        num_images, batch_size (`int`, *optional*, defaults to 1):
            Number of images to draw, and batch size. Before many images on a CPU, the ways to compute the generator's
            convolutions are timed.

    Yields:
        The pipeline with the same networks and no progress bar.
    """
    is_ours = isinstance(pipe.generator, DCGANGenerator)
    with pipe.generator.fused() if is_ours else nullcontext():
        pipe.generator.to(memory_format=torch.channels_last)
        chooses = is_ours and pipe.device.type == "cpu" and num_images >= _MANY_IMAGES
        ways = _fastest_ways(pipe.generator, batch_size) if chooses else {}
        with FastConvolutions(ways, weights_are_constant=True) if ways else nullcontext():
            yield quiet(pipe)


def _fastest_ways(generator: DCGANGenerator, batch_size: int) -> dict[str, str]:
    """Returns the fastest ways of a generator's convolutions."""
    precision = next((name for name, dtype in DTYPES.items() if dtype == generator.dtype), None)
    if precision is None:
        return {}
    config = generator.config
    labels = torch.zeros(2, *config.label_shape, dtype=torch.long) if config.num_classes else None
    with recorded_convolutions() as shapes:
        generator(torch.zeros(2, generator.config.latent_dim, dtype=generator.dtype), labels)
    return choose_ways(shapes, batch_size, [precision], trains=False)[1][precision]


def weights_fingerprint(network: nn.Module) -> str:
    """Returns a hash of a network's weights."""
    digest = hashlib.sha256()
    for values in network.state_dict().values():
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
