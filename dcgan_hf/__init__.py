# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""DCGAN for the Hugging Face ecosystem."""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

# Eager on purpose: diffusers finds the classes named in model_index.json among the modules already imported.
from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .conversion import discriminator_from_original, generator_from_original
from .image_processing_dcgan import DCGANImageProcessor
from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .modeling_dcgan_classification import DCGANForImageClassification
from .pipeline_dcgan import DCGANPipeline
from .version import __version__


AutoConfig.register("dcgan_generator", DCGANGeneratorConfig)
AutoConfig.register("dcgan_discriminator", DCGANDiscriminatorConfig)
AutoModel.register(DCGANGeneratorConfig, DCGANGenerator)
AutoModel.register(DCGANDiscriminatorConfig, DCGANDiscriminator)
AutoModelForImageClassification.register(DCGANDiscriminatorConfig, DCGANForImageClassification)
# For both backends, because the one class is all there is, with torchvision and without.
AutoImageProcessor.register(
    DCGANDiscriminatorConfig,
    image_processor_classes={"pil": DCGANImageProcessor, "torchvision": DCGANImageProcessor},
)

__all__ = [
    "DCGANDiscriminator",
    "DCGANDiscriminatorConfig",
    "DCGANForImageClassification",
    "DCGANGenerator",
    "DCGANGeneratorConfig",
    "DCGANImageProcessor",
    "DCGANPipeline",
    "__version__",
    "discriminator_from_original",
    "generator_from_original",
]
