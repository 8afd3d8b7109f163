# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Image classifier on the convolutions of a DCGAN discriminator (Radford et al., 2016, section 5)."""

import copy

import torch
from torch import nn
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_dcgan import DCGANDiscriminatorConfig
from .modeling_dcgan import DCGANEncoder


class DCGANForImageClassification(DCGANEncoder):
    r"""
    Image classifier: the convolutions of a discriminator and a linear layer on their last feature map. Load it from a
    discriminator to fine-tune it on another task (paper, section 5). Inherits from [`PreTrainedModel`], which
    documents loading, saving and moving to a device.

    Args:
        config ([`DCGANDiscriminatorConfig`]):
            Configuration of the network. `num_labels` is the number of labels to predict.

    Raises:
        ValueError: if the configuration has no labels.

    Example:

    ```python
    >>> from dcgan_hf import DCGANForImageClassification

    >>> names = {0: "cat", 1: "dog"}
    >>> model = DCGANForImageClassification.from_pretrained("my-dcgan", subfolder="discriminator", id2label=names)
    ```
    """

    _keys_to_ignore_on_load_unexpected = [r"^(head|class_projection)\."]
    _own_head = r"^classifier\."

    def __init__(self, config: DCGANDiscriminatorConfig):
        config = copy.deepcopy(config)
        config.num_classes, config.attributes = 0, None  # a classifier is conditioned on nothing, and names its labels
        super().__init__(config)
        if not config.num_labels:
            raise ValueError("A classifier needs at least one label, got none. Pass `num_labels` or `id2label`.")
        self.num_labels = config.num_labels
        self.classifier = nn.Linear(self.num_features, self.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> ImageClassifierOutput | tuple:
        r"""
        Classifies images.

        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_channels, image_size, image_size)`):
                Images, values in [-1, 1].
            labels (`torch.Tensor`, *optional*):
                Targets of the loss: label ids in [0, `num_labels`) of shape `(batch_size,)`, or the format that
                `config.problem_type` requires.
            output_hidden_states (`bool`, *optional*, defaults to `False`):
                Whether to return the feature maps of all convolutions.
            return_dict (`bool`, *optional*):
                Whether to return an [`~transformers.modeling_outputs.ImageClassifierOutput`] instead of a plain tuple.

        Returns:
            [`~transformers.modeling_outputs.ImageClassifierOutput`] or `tuple`: the loss if `labels` are given, logits
            of shape `(batch_size, num_labels)`, and all feature maps if requested.

        Raises:
            ValueError: if the shape of `pixel_values` does not match the configuration.
        """
        hidden_states = self.encode(pixel_values)
        logits = self.classifier(hidden_states[-1].flatten(1))
        return ImageClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            hidden_states=hidden_states if output_hidden_states else None,
        )


__all__ = ["DCGANForImageClassification"]
