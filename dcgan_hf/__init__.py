# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""DCGAN for the Hugging Face ecosystem."""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

# Eager on purpose: diffusers finds the classes named in model_index.json among the modules already imported.
from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from .conversion import discriminator_from_original, generator_from_original
from .image_processing_dcgan import DCGANImageProcessor
from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .modeling_dcgan_classification import DCGANForImageClassification
from .modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator
from .pipeline_dcgan import DCGANPipeline
from .pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from .version import __version__


AutoConfig.register("dcgan_generator", DCGANGeneratorConfig)
AutoConfig.register("dcgan_discriminator", DCGANDiscriminatorConfig)
AutoConfig.register("dcgan_super_resolution", DCGANSuperResolutionConfig)
AutoModel.register(DCGANGeneratorConfig, DCGANGenerator)
AutoModel.register(DCGANDiscriminatorConfig, DCGANDiscriminator)
AutoModel.register(DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator)
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
    "DCGANSuperResolutionConfig",
    "DCGANSuperResolutionGenerator",
    "DCGANSuperResolutionPipeline",
    "__version__",
    "discriminator_from_original",
    "generator_from_original",
]
