# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Registration of the networks with transformers' Auto classes. Their modules have to be imported for diffusers, too: it
looks for the networks of a saved pipeline among the imported modules. It does not look for pipelines there.
"""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from .configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .configuration_dcgan_super_resolution import DCGANSuperResolutionConfig
from .image_processing_dcgan import DCGANImageProcessor
from .modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from .modeling_dcgan_classification import DCGANForImageClassification
from .modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator


AutoConfig.register("dcgan_generator", DCGANGeneratorConfig)
AutoConfig.register("dcgan_discriminator", DCGANDiscriminatorConfig)
AutoConfig.register("dcgan_super_resolution", DCGANSuperResolutionConfig)
AutoModel.register(DCGANGeneratorConfig, DCGANGenerator)
AutoModel.register(DCGANDiscriminatorConfig, DCGANDiscriminator)
AutoModel.register(DCGANSuperResolutionConfig, DCGANSuperResolutionGenerator)
AutoModelForImageClassification.register(DCGANDiscriminatorConfig, DCGANForImageClassification)
# For both backends: the same class works with and without torchvision.
AutoImageProcessor.register(
    DCGANDiscriminatorConfig,
    image_processor_classes={"pil": DCGANImageProcessor, "torchvision": DCGANImageProcessor},
)
