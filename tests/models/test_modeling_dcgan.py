import pytest
import torch
from torch import nn
from transformers import AutoModel

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig


NORMS = ["batch", "group", "spectral", "none"]


def small(config_class, **arguments):
    return config_class(**({"image_size": 16, "hidden_size": 8, "num_groups": 4} | arguments))


def train_a_little(model, *inputs):
    """Makes running statistics and spectral norm vectors differ from their initial values."""
    model.train()
    for _ in range(3):
        model(*inputs)
    return model.eval()


@pytest.mark.parametrize("num_channels", [1, 3, 4])
@pytest.mark.parametrize("image_size", [16, 20, 28, 36, 48, 96])
def test_shapes(image_size, num_channels):
    arguments = {"image_size": image_size, "num_channels": num_channels}
    generator = DCGANGenerator(small(DCGANGeneratorConfig, **arguments))
    discriminator = DCGANDiscriminator(small(DCGANDiscriminatorConfig, **arguments))
    pixel_values = generator(torch.randn(2, 100)).pixel_values
    assert pixel_values.shape == (2, num_channels, image_size, image_size)
    assert pixel_values.abs().max() <= 1
    assert discriminator(pixel_values).logits.shape == (2,)


@pytest.mark.parametrize("kernel_size, stride", [(4, 1), (4, 2), (5, 2), (3, 3), (4, 3), (6, 2), (3, 1)])
def test_any_kernel_and_stride(kernel_size, stride):
    arguments = {"image_size": 6 * stride, "strides": [stride], "kernel_size": kernel_size, "num_channels": 1}
    generator = DCGANGenerator(small(DCGANGeneratorConfig, **arguments))
    discriminator = DCGANDiscriminator(small(DCGANDiscriminatorConfig, **arguments))
    output = discriminator(generator(torch.randn(2, 100)).pixel_values)
    assert output.last_hidden_state.shape == (2, 8, 6, 6)


@pytest.mark.parametrize("norm_type, sees_contrast", [("batch", False), ("group", False), ("spectral", True)])
def test_biases_let_a_discriminator_see_contrast(norm_type, sees_contrast):
    torch.manual_seed(0)
    pixel_values = torch.rand(8, 3, 16, 16) * 2 - 1

    def change_of_logits(use_bias):
        discriminator = DCGANDiscriminator(
            small(DCGANDiscriminatorConfig, norm_type=norm_type, norm_eps=1e-12, use_bias=use_bias)
        ).train()
        if use_bias:
            nn.init.normal_(discriminator.layers[0][0].convolution.bias)
        with torch.no_grad():
            logits = [discriminator(factor * pixel_values).logits for factor in (1, 0.5)]
        return float((logits[1] - logits[0]).abs().max() / logits[0].std())

    assert (change_of_logits(False) > 0.1) == sees_contrast
    assert change_of_logits(True) > 0.1


def test_initial_weights():
    model = DCGANGenerator(DCGANGeneratorConfig())
    for name, parameter in model.named_parameters():
        if "normalization" in name or isinstance(model.get_submodule(name.rpartition(".")[0]), nn.BatchNorm2d):
            mean = 1.0 if name.endswith("weight") else 0.0
        else:
            mean = 0.0
        assert abs(parameter.mean() - mean) < 0.01, name
        if not name.endswith("bias"):
            assert abs(parameter.std() - 0.02) < 0.005, name


def test_xavier_initialisation():
    model = DCGANGenerator(DCGANGeneratorConfig(initializer="xavier_uniform", use_bias=True))
    weight = model.stem.projection.weight
    bound = (6 / sum(weight.shape)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert model.stem.projection.bias.abs().max() == 0


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_save_and_load_is_bit_exact(norm_type, num_classes, tmp_path):
    labels = (torch.tensor([0, 2, 1, 1]),) if num_classes else ()
    arguments = {"norm_type": norm_type, "num_classes": num_classes}
    generator = DCGANGenerator(small(DCGANGeneratorConfig, **arguments))
    discriminator = DCGANDiscriminator(small(DCGANDiscriminatorConfig, **arguments))
    latents, pixel_values = torch.randn(4, 100), torch.rand(4, 3, 16, 16) * 2 - 1
    for name, model, value in (("g", generator, latents), ("d", discriminator, pixel_values)):
        train_a_little(model, value, *labels)
        model.save_pretrained(tmp_path / name)
        loaded, info = type(model).from_pretrained(tmp_path / name, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
        assert not loaded.training
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, loaded.state_dict()[key]), key
        assert torch.equal(model(value, *labels)[-1], loaded(value, *labels)[-1])
        assert type(AutoModel.from_pretrained(tmp_path / name)) is type(model)


def test_batch_norm_statistics_survive_training_and_loading(tmp_path):
    model = train_a_little(DCGANGenerator(small(DCGANGeneratorConfig)), torch.randn(8, 100))
    assert model.stem.normalization.num_batches_tracked == 3
    assert model.stem.normalization.running_var.sub(1).abs().min() > 0
    model.save_pretrained(tmp_path)
    loaded = DCGANGenerator.from_pretrained(tmp_path)
    assert torch.equal(loaded.stem.normalization.running_var, model.stem.normalization.running_var)
    assert loaded.stem.normalization.num_batches_tracked == 3


@pytest.mark.parametrize("norm_type", NORMS)
def test_normalisation_is_where_it_belongs(norm_type):
    generator = DCGANGenerator(small(DCGANGeneratorConfig, norm_type=norm_type))
    discriminator = DCGANDiscriminator(small(DCGANDiscriminatorConfig, norm_type=norm_type))
    kind = {"batch": nn.BatchNorm2d, "group": nn.GroupNorm}.get(norm_type)
    count = [sum(isinstance(module, kind or ()) for module in model.modules()) for model in (generator, discriminator)]
    # Two convolutions each: the generator normalises the stem and the first, the discriminator the second.
    assert count == ([2, 1] if kind else [0, 0])
    spectral = [name for name, _ in discriminator.named_parameters() if "parametrizations" in name]
    assert len(spectral) == (3 if norm_type == "spectral" else 0)


def test_spectral_norm_bounds_the_weights():
    model = DCGANDiscriminator(small(DCGANDiscriminatorConfig, norm_type="spectral"))
    model.train()
    for _ in range(50):
        model(torch.rand(2, 3, 16, 16))
    weight = model.layers[0][0].convolution.weight
    assert torch.linalg.matrix_norm(weight.detach().flatten(1), 2) == pytest.approx(1, abs=1e-3)


def test_discriminator_returns_feature_maps():
    model = DCGANDiscriminator(DCGANDiscriminatorConfig(hidden_size=4)).eval()
    output = model(torch.rand(2, 3, 64, 64), output_hidden_states=True)
    assert [tuple(states.shape) for states in output.hidden_states] == [
        (2, 4, 32, 32),
        (2, 8, 16, 16),
        (2, 16, 8, 8),
        (2, 32, 4, 4),
    ]
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert model(torch.rand(2, 3, 64, 64)).hidden_states is None


def test_return_dict():
    generator = DCGANGenerator(small(DCGANGeneratorConfig)).eval()
    latents = torch.randn(2, 100)
    (pixel_values,) = generator(latents, return_dict=False)
    assert torch.equal(pixel_values, generator(latents).pixel_values)


def test_labels_enter_both_networks():
    generator = DCGANGenerator(small(DCGANGeneratorConfig, num_classes=3)).eval()
    discriminator = DCGANDiscriminator(small(DCGANDiscriminatorConfig, num_classes=3)).eval()
    latents = torch.randn(1, 100).expand(3, -1)
    pixel_values = generator(latents, torch.arange(3)).pixel_values
    assert not torch.allclose(pixel_values[0], pixel_values[1])
    same = pixel_values[:1].expand(3, -1, -1, -1)
    assert discriminator(same, torch.arange(3)).logits.unique().numel() == 3


def test_projection_is_the_inner_product_with_the_label_embedding():
    model = DCGANDiscriminator(small(DCGANDiscriminatorConfig, num_classes=3)).eval()
    pixel_values, labels = torch.rand(4, 3, 16, 16), torch.tensor([2, 0, 1, 2])
    output = model(pixel_values, labels)
    features = output.last_hidden_state.flatten(1)
    weight = model.head.weight[0] + model.class_projection.weight[labels]
    torch.testing.assert_close(output.logits, (features * weight).sum(1))


def test_missing_or_superfluous_labels():
    labels = torch.tensor([0, 0])
    with pytest.raises(ValueError, match="must be given"):
        DCGANGenerator(small(DCGANGeneratorConfig, num_classes=3))(torch.randn(2, 100))
    with pytest.raises(ValueError, match="must not be given"):
        DCGANGenerator(small(DCGANGeneratorConfig))(torch.randn(2, 100), labels)
    with pytest.raises(ValueError, match="must not be given"):
        DCGANDiscriminator(small(DCGANDiscriminatorConfig))(torch.rand(2, 3, 16, 16), labels)


def test_features_of_a_conditional_discriminator_need_no_labels():
    model = DCGANDiscriminator(small(DCGANDiscriminatorConfig, num_classes=3)).eval()
    images = torch.rand(2, 3, 16, 16)
    output = model(images)
    assert output.logits is None
    with_labels = model(images, torch.tensor([0, 2]))
    assert torch.equal(output.last_hidden_state, with_labels.last_hidden_state)
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state.flatten(2).mean(2))


def test_discriminator_names_a_wrong_image_shape():
    with pytest.raises(ValueError, match=r"must have shape \(batch_size, 3, 16, 16\), got \(2, 3, 20, 20\)"):
        DCGANDiscriminator(small(DCGANDiscriminatorConfig))(torch.rand(2, 3, 20, 20))


def test_generator_names_a_wrong_latent_shape():
    with pytest.raises(ValueError, match=r"must have shape \(batch_size, 100\), got \(2, 99\)"):
        DCGANGenerator(small(DCGANGeneratorConfig))(torch.randn(2, 99))


def test_group_and_spectral_discriminators_treat_images_separately():
    pixel_values = torch.rand(4, 3, 16, 16)
    for norm_type, separate in (("group", True), ("none", True), ("batch", False)):
        model = DCGANDiscriminator(small(DCGANDiscriminatorConfig, norm_type=norm_type)).train()
        alone = model(pixel_values[:2]).logits
        assert torch.allclose(model(pixel_values).logits[:2], alone, atol=1e-6) is separate
