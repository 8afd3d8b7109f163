# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loading of models for commands. Imported only inside functions, because it imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from diffusers import DiffusionPipeline

from ..flags import DeviceArguments, ModelArguments
from ..inference.pipelines import OtherPipelineError, load_pipeline
from ..processes import connected_processes
from .command import pick


Pipeline = TypeVar("Pipeline", bound=DiffusionPipeline)


@contextmanager
def loaded(pipeline_class: type[Pipeline], given: dict[str, Any], instead: str | None = None) -> Iterator[Pipeline]:
    r"""
    Connects the processes of a command and loads its model on the device of each.

    Args:
        pipeline_class (`type`):
            Expected pipeline class: `DiffusionPipeline` for a model of any kind.
        given (`dict[str, Any]`):
            Given arguments: those of [`ModelArguments`] and [`DeviceArguments`], and `dtype`.
        instead (`str`, *optional*):
            Command to suggest for models of the other kind.
    """
    model = pick(ModelArguments, given)
    with connected_processes(pick(DeviceArguments, given).use_cpu) as device:
        try:
            pipe = load_pipeline(pipeline_class, model.model, model.revision, given.get("dtype", "float32"))
        except OtherPipelineError as error:
            raise ValueError(f"{error} Use `dcgan {instead}`." if instead else str(error)) from error
        yield pipe.to(device)
