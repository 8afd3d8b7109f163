"""Tests against the networks of the PyTorch tutorial, StudioGAN and the article (Keras), with equal weights."""

import sys

import pytest
import torch
import yaml
from torch import nn

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig

from ..train_utils import RECIPES, SCRIPTS
from .test_conversion import sequential_discriminator, sequential_generator


sys.path.insert(0, str(SCRIPTS))
from benchmarks.article_in_keras import article_networks  # noqa: E402


RECIPE = yaml.safe_load((RECIPES / "article.yaml").read_text())


def fill_with_random_values(tensors):
    for tensor in tensors:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 1.0) if tensor.ndim == 1 else tensor.data.normal_(std=0.05)


def copy_all(ours, theirs):
    assert len(ours) == len(theirs)
    with torch.no_grad():
        for target, source in zip(ours, theirs):
            assert target.numel() == source.numel()
            target.copy_(source.reshape(target.shape))


@pytest.mark.parametrize("training", [False, True])
def test_tutorial(training):
    pairs = [
        (
            DCGANGenerator(DCGANGeneratorConfig()),
            sequential_generator(100, (512, 256, 128, 64)),
            3_576_704,
            torch.randn(4, 100),
        ),
        (
            DCGANDiscriminator(DCGANDiscriminatorConfig()),
            sequential_discriminator((64, 128, 256, 512)),
            2_765_568,
            torch.rand(4, 3, 64, 64),
        ),
    ]
    for ours, theirs, num_parameters, inputs in pairs:
        assert ours.num_parameters() == sum(parameter.numel() for parameter in theirs.parameters()) == num_parameters
        fill_with_random_values(theirs.state_dict().values())
        reference = list(theirs.state_dict().values())
        if inputs.ndim == 2:  # a transposed convolution's weight is (in, out, ...), a linear layer's (out, in)
            reference[0] = reference[0].flatten(1).T
        copy_all(list(ours.state_dict().values()), reference)
        ours.train(training), theirs.train(training)
        expected = theirs(inputs[:, :, None, None] if inputs.ndim == 2 else inputs)
        output = ours(inputs)
        result = output.pixel_values if inputs.ndim == 2 else output.logits
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_studiogan():
    """CIFAR-10 DCGAN generator: linear stem without normalisation, 3 transposed convolutions, 3x3 convolution."""
    modules = nn.ModuleList([nn.Linear(128, 512 * 4 * 4)])
    for width in (512, 256, 128):
        modules += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1), nn.BatchNorm2d(width // 2, eps=1e-4)]
    modules.append(nn.Conv2d(64, 3, 3, 1, 1))
    fill_with_random_values(modules.state_dict().values())
    modules.eval()

    def theirs(latents):
        hidden_states = modules[0](latents).view(-1, 512, 4, 4)
        for convolution, normalization in zip(modules[1:7:2], modules[2:7:2]):
            hidden_states = normalization(convolution(hidden_states)).relu()
        return modules[7](hidden_states).tanh()

    config = DCGANGeneratorConfig(
        image_size=32,
        latent_dim=128,
        hidden_sizes=[512, 256, 128, 64],
        strides=[2, 2, 2, 1],
        kernel_size=[4, 4, 4, 3],
        stem_norm=False,
        stem_activation=False,
        use_bias=True,
        norm_eps=1e-4,
    )
    ours = DCGANGenerator(config).eval()
    reference = list(modules.state_dict().values())
    # A convolution of stride 1 is a transposed convolution with the mirrored kernel.
    reference[-2] = reference[-2].transpose(0, 1).flip(-1, -2)
    copy_all(list(ours.state_dict().values()), reference)
    assert ours.num_parameters() == sum(parameter.numel() for parameter in modules.parameters())
    latents = torch.randn(4, 128)
    torch.testing.assert_close(ours(latents).pixel_values, theirs(latents), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_article_generator(training):
    from keras import layers

    theirs, _ = article_networks()
    fill_with_random_values(variable.value for variable in theirs.variables)
    ours = DCGANGenerator(DCGANGeneratorConfig(image_size=RECIPE["resolution"], **RECIPE["generator_config"]))
    assert ours.num_parameters() == theirs.count_params() - 2 * (128 + 64)  # Keras counts running statistics
    reference = []
    for layer in theirs.layers:
        values = [variable.value.detach() for variable in layer.weights]
        if isinstance(layer, layers.Dense):
            kernel, bias = values[0].T, values[1]
            if len(bias) == 9 * 9 * 256:  # Keras' feature maps are channels-last
                kernel = kernel.unflatten(0, (9, 9, 256)).permute(2, 0, 1, 3).flatten(0, 2)
                bias = bias.unflatten(0, (9, 9, 256)).permute(2, 0, 1).flatten()
            reference += [kernel, bias]
        elif isinstance(layer, layers.Conv2DTranspose):
            reference += [values[0].permute(3, 2, 0, 1), values[1]]
        elif isinstance(layer, layers.BatchNormalization):
            reference += [*values, torch.tensor(0)]
    copy_all(list(ours.state_dict().values()), reference)
    ours.train(training)
    latents = torch.randn(4, 100)
    expected = theirs(latents, training=training).detach().permute(0, 3, 1, 2)
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(ours(latents).pixel_values, expected, rtol=1e-4, atol=1e-5)


def test_article_discriminator():
    from keras import layers

    _, theirs = article_networks()
    fill_with_random_values(variable.value for variable in theirs.variables)
    ours = DCGANDiscriminator(
        DCGANDiscriminatorConfig(image_size=RECIPE["resolution"], **RECIPE["discriminator_config"])
    )
    assert ours.num_parameters() == theirs.count_params()
    reference = []
    for layer in theirs.layers:
        values = [variable.value.detach() for variable in layer.weights]
        if isinstance(layer, layers.Conv2D):
            reference += [values[0].permute(3, 2, 0, 1), values[1]]
        elif isinstance(layer, layers.Dense):
            reference += [values[0].unflatten(0, (5, 5, 256)).permute(2, 0, 1, 3).flatten(), values[1]]
    copy_all(list(ours.state_dict().values()), reference)
    pixel_values = torch.rand(4, 3, 36, 36) * 2 - 1
    expected = theirs(pixel_values.permute(0, 2, 3, 1)).detach().squeeze(1)
    torch.testing.assert_close(ours(pixel_values).logits, expected, rtol=1e-4, atol=1e-4)
