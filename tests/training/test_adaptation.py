"""Tests of networks that are copied for other classes and channels."""

import pytest
import torch

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANTrainingArguments,
)
from dcgan_hf.training.adaptation import adapt


TINY = {"image_size": 16, "hidden_size": 4, "num_channels": 1}
LUMA = torch.tensor([0.299, 0.587, 0.114])[:, None, None]


def names_of(classes):
    return {"num_classes": len(classes), "id2label": dict(enumerate(classes))}


def trained(network_class, config_class, **config):
    """A network whose running statistics and norms are those of some images."""
    network = network_class(config_class(**TINY | config)).train()
    size = (6, 8) if network_class is DCGANGenerator else (6, network.config.num_channels, 16, 16)
    labels = torch.arange(6) % network.config.num_classes if network.config.num_classes else None
    for _ in range(3):
        network(torch.randn(size), labels)
    if network_class is DCGANGenerator and config.get("norm_type") != "spectral":
        network.layers[-1].convolution.weight.data *= 20
    return network.eval()


def generator(**config):
    return trained(DCGANGenerator, DCGANGeneratorConfig, latent_dim=8, **config)


def discriminator(**config):
    return trained(DCGANDiscriminator, DCGANDiscriminatorConfig, **config)


def changed(network, **changes):
    config = type(network.config)(**network.config.to_dict() | changes)
    return adapt(network, config).eval()


def draw(network, labels=None):
    latents = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    return network(latents, None if labels is None else torch.tensor(labels)).pixel_values


@pytest.mark.parametrize("norm_type", ["batch", "spectral"])
@pytest.mark.parametrize("classes", [[], ["cat", "dog"]])
def test_the_same_config_gives_the_same_network(norm_type, classes):
    for make in (generator, discriminator):
        network = make(norm_type=norm_type, **names_of(classes))
        copied = adapt(network, network.config)
        assert copied is not network and copied.state_dict().keys() == network.state_dict().keys()
        for name, values in network.state_dict().items():
            assert torch.equal(copied.state_dict()[name], values), name
        assert all(weight.requires_grad for weight in copied.parameters())


def test_a_fused_generator_in_half_precision_stays_as_it_is():
    network = generator()
    images = draw(network)
    network.fuse()
    torch.testing.assert_close(draw(adapt(network, network.config).eval()), images)
    network.fuse()  # still is
    with pytest.raises(ValueError, match="A fused generator cannot be trained"):
        network.train()
    half = adapt(generator().to(torch.bfloat16), network.config)
    assert {weight.dtype for weight in half.parameters()} == {torch.float32}


def test_classes_are_matched_by_name():
    before, after = names_of(["cat", "dog"]), names_of(["dog", "cow", "cat"])
    network = generator(**before)
    adapted = changed(network, **after)
    assert torch.equal(draw(adapted, [0, 2, 0, 2]), draw(network, [1, 0, 1, 0]))
    rows = network.stem.class_embedding.weight
    torch.testing.assert_close(adapted.stem.class_embedding.weight[1], rows.mean(0))

    images, judge = torch.randn(4, 1, 16, 16), discriminator(**before)
    adapted = changed(judge, **after)
    assert torch.equal(
        adapted(images, torch.tensor([0, 2, 0, 2])).logits, judge(images, torch.tensor([1, 0, 1, 0])).logits
    )
    # The projection is linear, so the score of the mean is the mean of the scores.
    known = torch.stack([judge(images, torch.full((4,), class_id)).logits for class_id in (0, 1)])
    torch.testing.assert_close(adapted(images, torch.ones(4, dtype=torch.long)).logits, known.mean(0))


def test_values_of_attributes_are_matched_by_name():
    before = {"attributes": {"hair": ["red", "grey"], "smile": ["no", "yes"]}}
    config = {"attributes": {"hat": ["no", "yes"], "hair": ["grey", "blue"]}, "num_classes": 0, "id2label": None}
    network = DCGANGenerator(DCGANGeneratorConfig(**TINY, latent_dim=8, **before)).eval()
    adapted = changed(network, **config)
    assert torch.equal(
        draw(adapted, [[0, 0], [1, 0], [-1, 0], [1, -1]]), draw(network, [[1, -1], [1, -1], [1, -1], [-1, -1]])
    )
    rows = network.stem.class_embedding.weight
    torch.testing.assert_close(adapted.stem.class_embedding.weight[3], rows[:2].mean(0))

    images, judge = torch.randn(2, 1, 16, 16), DCGANDiscriminator(DCGANDiscriminatorConfig(**TINY, **before)).eval()
    adapted = changed(judge, **config)
    logits = judge(images, torch.tensor([[1, -1], [1, -1]])).logits
    assert torch.equal(adapted(images, torch.tensor([[0, 0], [1, 0]])).logits, logits)


@pytest.mark.parametrize("norm_type", ["batch", "spectral"])
@pytest.mark.parametrize("stem_hidden_sizes", [[], [6]])
def test_a_network_without_classes_learns_them_from_where_it_is(norm_type, stem_hidden_sizes):
    network = generator(norm_type=norm_type, stem_hidden_sizes=stem_hidden_sizes)
    adapted = changed(network, **names_of(["cat", "dog"]))
    torch.testing.assert_close(draw(adapted, [0, 1, 0, 1]), draw(network))
    draw(adapted.train(), [0, 1, 0, 1]).square().sum().backward()
    first = adapted.stem.hidden_layers[0] if stem_hidden_sizes else adapted.stem.projection
    (weight,) = (values for name, values in first.named_parameters() if name.endswith(("weight", "original")))
    assert weight.grad[:, 8:].abs().max() > 0

    images, judge = torch.randn(4, 1, 16, 16), discriminator(norm_type=norm_type)
    logits = changed(judge, **names_of(["cat", "dog"]))(images, torch.tensor([0, 1, 0, 1])).logits
    assert torch.isfinite(logits).all()
    if norm_type == "batch":
        assert torch.equal(logits, judge(images).logits)


@pytest.mark.parametrize("use_bias", [False, True])
def test_grey_becomes_rgb(use_bias):
    network = generator(use_bias=use_bias)
    images = draw(changed(network, num_channels=3))
    torch.testing.assert_close(images, draw(network).expand(-1, 3, -1, -1))
    judge = discriminator(use_bias=use_bias)
    colours = torch.randn(4, 3, 16, 16)
    logits = changed(judge, num_channels=3)(colours).logits
    torch.testing.assert_close(logits, judge((colours * LUMA).sum(1, keepdim=True)).logits, rtol=1e-4, atol=1e-5)


def test_rgb_becomes_grey():
    network = changed(generator(), num_channels=3)  # draws grey
    torch.testing.assert_close(draw(changed(network, num_channels=1)), draw(network)[:, :1])
    colourful = generator(num_channels=3, use_bias=True)
    mixed = torch.atanh(draw(colourful).double().clamp(-1 + 1e-7, 1 - 1e-7)).float()
    expected = (mixed * LUMA).sum(1, keepdim=True).tanh()
    torch.testing.assert_close(draw(changed(colourful, num_channels=1)), expected, rtol=1e-2, atol=1e-2)
    judge, grey = discriminator(num_channels=3), torch.randn(4, 1, 16, 16)
    logits = changed(judge, num_channels=1)(grey).logits
    torch.testing.assert_close(logits, judge(grey.expand(-1, 3, -1, -1)).logits, rtol=1e-4, atol=1e-5)


def test_spectral_norms_of_changed_weights_are_1():
    judge = discriminator(norm_type="spectral", **names_of(["cat", "dog"]))
    adapted = changed(judge, num_channels=3, **names_of(["dog", "cow", "cat"]))
    for layer in (adapted.layers[0][0].convolution, adapted.class_projection):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-4)


def test_arguments_describe_any_networks():
    """The arguments that a parent decides give its configs again."""
    common = {"image_size": 30, "num_channels": 3, "hidden_size": 12, "use_bias": True, **names_of(["a", "b"])}
    configs = (
        DCGANGeneratorConfig(**common, strides=[3, 2], latent_dim=7, norm_type="none", stem_hidden_sizes=[5]),
        DCGANDiscriminatorConfig(**common | {"hidden_size": 8}, strides=[2, 3], kernel_size=[4, 5], resize_mode="pad"),
    )
    args = DCGANTrainingArguments()
    args = args.follow(args.decided_by(*configs))
    assert args.network_configs(3, ["a", "b"])[0].to_dict() == configs[0].to_dict()
    assert args.network_configs(3, ["a", "b"])[1].to_dict() == configs[1].to_dict()
    assert args.resize_mode == "pad" and args.class_conditional
