# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""DCGAN for the Hugging Face ecosystem."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .imports import quick_imports
from .version import __version__


if TYPE_CHECKING:
    from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
    from .configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
    from .conversion import discriminator_from_original, generator_from_original
    from .image_processing_dcgan import DCGANImageProcessor
    from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
    from .modeling_dcgan_classification import DCGANForImageClassification
    from .modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator
    from .pipeline_dcgan import DCGANPipeline
    from .pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
    from .training.callbacks import TrainerCallback
    from .training.generation import DCGANTrainer
    from .training.generation_arguments import DCGANTrainingArguments
    from .training.super_resolution import DCGANSuperResolutionTrainer
    from .training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments

# Imported on first use: sampling does not need the training code, and the networks do not need diffusers.
_MODULES = {
    "DCGANDiscriminator": "modeling_dcgan",
    "DCGANDiscriminatorConfig": "configuration_dcgan",
    "DCGANForImageClassification": "modeling_dcgan_classification",
    "DCGANGenerator": "modeling_dcgan",
    "DCGANGeneratorConfig": "configuration_dcgan",
    "DCGANImageProcessor": "image_processing_dcgan",
    "DCGANPipeline": "pipeline_dcgan",
    "DCGANSuperResolutionConfig": "configuration_dcgan_super_resolution",
    "DCGANSuperResolutionGenerator": "modeling_dcgan_super_resolution",
    "DCGANSuperResolutionPipeline": "pipeline_dcgan_super_resolution",
    "DCGANSuperResolutionTrainer": "training.super_resolution",
    "DCGANSuperResolutionTrainingArguments": "training.super_resolution_arguments",
    "DCGANTrainer": "training.generation",
    "DCGANTrainingArguments": "training.generation_arguments",
    "TrainerCallback": "training.callbacks",
    "discriminator_from_original": "conversion",
    "generator_from_original": "conversion",
}

__all__ = [  # noqa: F822  # see `__getattr__`
    "DCGANDiscriminator",
    "DCGANDiscriminatorConfig",
    "DCGANForImageClassification",
    "DCGANGenerator",
    "DCGANGeneratorConfig",
    "DCGANImageProcessor",
    "DCGANPipeline",
    "DCGANSuperResolutionConfig",
    "DCGANSuperResolutionGenerator",
    "DCGANSuperResolutionPipeline",
    "DCGANSuperResolutionTrainer",
    "DCGANSuperResolutionTrainingArguments",
    "DCGANTrainer",
    "DCGANTrainingArguments",
    "TrainerCallback",
    "__version__",
    "discriminator_from_original",
    "generator_from_original",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with quick_imports():
        module = importlib.import_module(f".{_MODULES[name]}", __name__)
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(globals() | _MODULES)


def _is_the_command() -> bool:
    """Returns whether Python was started for the `dcgan` command, whose help must not wait for torch."""
    program = Path(sys.argv[0])
    if program.name == "-m":  # while Python locates the module
        return sys.orig_argv[sys.orig_argv.index("-m") + 1] == __name__
    return program.stem == "dcgan" or program.absolute().parent == Path(__file__).parents[1] / "scripts"


if not _is_the_command():
    with quick_imports():
        from . import registration as registration
