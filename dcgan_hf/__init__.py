# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""DCGAN for the Hugging Face ecosystem."""

from transformers import AutoConfig, AutoModel

# Eager on purpose: diffusers finds the classes named in model_index.json among the modules already imported.
from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .pipeline_dcgan import DCGANPipeline
from .version import __version__


AutoConfig.register("dcgan_generator", DCGANGeneratorConfig)
AutoConfig.register("dcgan_discriminator", DCGANDiscriminatorConfig)
AutoModel.register(DCGANGeneratorConfig, DCGANGenerator)
AutoModel.register(DCGANDiscriminatorConfig, DCGANDiscriminator)

__all__ = [
    "DCGANDiscriminator",
    "DCGANDiscriminatorConfig",
    "DCGANGenerator",
    "DCGANGeneratorConfig",
    "DCGANPipeline",
    "__version__",
]
