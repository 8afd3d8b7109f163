# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Export of generators as ONNX graphs, for programs without PyTorch."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import torch

from .modeling_dcgan import DCGANGenerator
from .modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator


if TYPE_CHECKING:
    from transformers.exporters import ExportedModel


def export_onnx(generator: DCGANGenerator | DCGANSuperResolutionGenerator) -> "ExportedModel":
    r"""
    Exports a generator as an ONNX graph for any batch size and, in super-resolution, any image size. The graph
    computes in the precision of the generator's weights. ONNX Runtime supports float32 and float16 on all devices.

    Args:
        generator ([`DCGANGenerator`] or [`DCGANSuperResolutionGenerator`]):
            Generator to export. The graph is that of evaluation mode, even if the generator is in training mode.

    Returns:
        [`~transformers.exporters.ExportedModel`]: a callable with the generator's interface. `save_pretrained(folder)`
        writes `model.onnx`, its weights and the files with which `ExportedModel.from_pretrained(folder)` runs it.

    Raises:
        ImportError: if the packages of `dcgan-hf[onnx]` are not installed.

    Example:

    ```python
    >>> from dcgan_hf import DCGANPipeline
    >>> from dcgan_hf.export import export_onnx

    >>> pipe = DCGANPipeline.from_pretrained("dcgan-digits")
    >>> exported = export_onnx(pipe.generator)
    >>> pixel_values = exported(latents=pipe(batch_size=4, output_type="latent").images).pixel_values
    ```
    """
    from transformers.exporters import OnnxConfig, OnnxExporter

    any_number = {name: torch.export.Dim(name, min=1, max=2**16) for name in ("batch", "height", "width")}
    device, dtype = generator.device, generator.dtype
    # Batches of two, because a dimension of size 1 would be exported as a constant.
    if isinstance(generator, DCGANSuperResolutionGenerator):
        inputs = {"pixel_values": torch.zeros(2, generator.config.num_channels, 8, 10, device=device, dtype=dtype)}
        shapes = {"pixel_values": {0: any_number["batch"], 2: any_number["height"], 3: any_number["width"]}}
    else:
        inputs = {"latents": torch.zeros(2, generator.config.latent_dim, device=device, dtype=dtype)}
        if generator.config.num_classes:
            inputs["class_labels"] = torch.zeros(2, *generator.config.label_shape, dtype=torch.long, device=device)
        shapes = {name: {0: any_number["batch"]} for name in inputs}
    with _quiet():
        exported = OnnxExporter().export(generator, inputs, OnnxConfig(dynamic_shapes=shapes))
    for component in exported.components.values():
        _remove_traces(component.program)
    return exported


def _remove_traces(program: Any) -> None:
    """Removes metadata and comments of an `onnx_ir.Model`, which contain stack traces with paths of this machine."""
    program.doc_string = None
    program.metadata_props.clear()
    for graph in (program.graph, *(function.graph for function in program.functions.values())):
        values = [*graph.inputs, *graph.outputs, *graph.initializers.values()]
        for node in graph.all_nodes():
            values += node.outputs
            node.doc_string = None
            node.metadata_props.clear()
        for described in (graph, *values):
            described.doc_string = None
            described.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses the exporters' messages about their steps, unrelated operators and versions."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
