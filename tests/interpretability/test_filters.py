import numpy as np
import pytest
import torch

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANForImageClassification
from dcgan_hf.interpretability import filters
from dcgan_hf.interpretability.attribution import Units, attribute
from dcgan_hf.interpretability.filters import patch_grid, receptive_field, top_patches, untrained


def make_discriminator(**config):
    torch.manual_seed(0)
    fields = {"image_size": 16, "hidden_size": 4, "num_channels": 1, "initializer": "xavier_uniform"} | config
    return DCGANDiscriminator(DCGANDiscriminatorConfig(**fields)).eval()


def images(number=12, channels=1, size=16):
    return torch.rand(number, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ---- receptive fields ----


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"image_size": 32, "kernel_size": 5},
        {"image_size": 30, "strides": [3, 2], "kernel_size": [5, 3], "hidden_sizes": [3, 4]},
        {"image_size": 15, "strides": [2, 2], "kernel_size": 3, "hidden_sizes": [3, 4]},
        {"image_size": 20, "strides": [2, 1, 2], "kernel_size": [4, 3, 4], "hidden_sizes": [3, 4, 5], "padding": "symmetric"},
    ],
)  # fmt: skip
def test_a_unit_depends_on_its_receptive_field_and_nothing_else(config):
    discriminator = make_discriminator(norm_type="none", **config)
    size = discriminator.config.image_size
    for layer, (downsampling, _, _) in enumerate(discriminator.layers):
        # Positive weights do not cancel.
        torch.nn.init.constant_(downsampling.convolution.weight, 1.0)
        field = receptive_field(discriminator, layer)
        last = discriminator.config.feature_sizes[layer] - 1
        for y, x in ((0, last), (last // 2, 1), (last, 0)):
            pixel_values = torch.ones(1, 1, size, size, requires_grad=True)
            discriminator.encode(pixel_values)[layer][0, 0, y, x].backward()
            top, left = field.offset + y * field.stride, field.offset + x * field.stride
            expected = torch.zeros(size, size, dtype=torch.bool)
            expected[max(0, top) : top + field.size, max(0, left) : left + field.size] = True
            assert torch.equal(pixel_values.grad[0, 0] > 0, expected)


def test_receptive_field_of_the_paper():
    """Receptive fields of four 4x4 kernels of stride 2."""
    discriminator = make_discriminator(image_size=64)
    assert [receptive_field(discriminator, layer).size for layer in range(4)] == [4, 10, 22, 46]


# ---- patches ----


@pytest.mark.parametrize("config", [{}, {"num_channels": 3, "norm_type": "spectral"}, {"num_classes": 3}])
def test_patches_are_those_that_activate_most(config):
    discriminator = make_discriminator(**config)
    pixel_values = images(channels=discriminator.config.num_channels)
    found = top_patches(discriminator, pixel_values, layer=1, num_filters=3, num_patches=4)
    with torch.no_grad():
        maps = discriminator.encode(pixel_values)[1]
    peaks = maps.amax((2, 3))
    variances = peaks.var(0)[(peaks > 0).sum(0) >= 4]
    for i, filter in enumerate(found.filters):
        assert peaks[:, filter].var().item() == pytest.approx(variances.sort(descending=True).values[i].item())
        expected = peaks[:, filter].topk(4)
        assert found.image_indices[i].tolist() == expected.indices.tolist()
        torch.testing.assert_close(found.activations[i], expected.values)
        for index, (y, x), activation in zip(found.image_indices[i], found.positions[i], found.activations[i]):
            torch.testing.assert_close(maps[index, filter, y, x], activation)
        assert len(set(found.image_indices[i].tolist())) == 4  # one per image


def test_patches_and_gradients_are_what_the_unit_sees_and_0_outside_of_the_image():
    discriminator, pixel_values = make_discriminator(), images()
    found = top_patches(discriminator, pixel_values, layer=1, num_filters=4, num_patches=5)
    field = receptive_field(discriminator, 1)
    assert found.patches.shape == found.gradients.shape == (4, 5, 1, 10, 10)
    borders = 0
    for i, filter in enumerate(found.filters):
        units = Units(1, torch.full((5,), filter), found.positions[i])
        chosen = pixel_values[found.image_indices[i]]
        gradients = attribute(discriminator, chosen, "guided_backprop", units=units)
        for j, (y, x) in enumerate(found.positions[i].tolist()):
            for row in range(field.size):
                for column in range(field.size):
                    place = field.offset + y * field.stride + row, field.offset + x * field.stride + column
                    inside = all(0 <= value < 16 for value in place)
                    borders += not inside
                    patch, gradient = found.patches[i, j, 0, row, column], found.gradients[i, j, 0, row, column]
                    assert patch == (chosen[j, 0][place] if inside else 0)
                    torch.testing.assert_close(gradient, gradients[j, 0][place] if inside else torch.tensor(0.0))
        # The gradient is zero outside of the patch.
        torch.testing.assert_close(found.gradients[i].abs().sum((1, 2, 3)), gradients.abs().sum((1, 2, 3)))
    assert borders


def test_a_filter_finds_its_pattern():
    """A filter of the first layer finds image and position of its pattern, and its gradient is the pattern."""
    discriminator = make_discriminator()
    pattern = torch.where(torch.rand(4, 4, generator=torch.Generator().manual_seed(2)) > 0.5, 1.0, -1.0)
    with torch.no_grad():
        for parameter in discriminator.layers[0].parameters():
            parameter.zero_()
        discriminator.layers[0][0].convolution.weight[2, 0] = pattern
    pixel_values = images() * 0.1
    pixel_values[7, 0, 5:9, 3:7] = pattern
    found = top_patches(discriminator, pixel_values, layer=0, num_filters=4, num_patches=2)
    assert found.filters == [2]  # the others are dead and omitted
    assert found.image_indices[0, 0] == 7 and found.positions[0, 0].tolist() == [3, 2]
    torch.testing.assert_close(found.patches[0, 0, 0], pattern)
    torch.testing.assert_close(found.gradients[0, 0, 0], pattern)


def test_chunks_make_no_difference_and_the_network_stays_as_it_was(monkeypatch):
    discriminator, pixel_values = make_discriminator(norm_type="batch"), images(7)
    expected = top_patches(discriminator, pixel_values, 1, 2, 3)
    discriminator.train()
    state = {name: tensor.clone() for name, tensor in discriminator.state_dict().items()}
    monkeypatch.setattr(filters, "MAX_PIXELS_PER_FORWARD", 2 * 16 * 16)
    with torch.inference_mode():
        found = top_patches(discriminator, pixel_values, 1, 2, 3)
    assert found.filters == expected.filters
    for name in ("image_indices", "positions", "activations", "patches", "gradients"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    assert discriminator.training and all(parameter.requires_grad for parameter in discriminator.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in discriminator.state_dict().items())


def test_filters_of_classifiers_and_of_patchwise_discriminators():
    classifier = DCGANForImageClassification(DCGANDiscriminatorConfig(image_size=16, hidden_size=4, num_labels=2))
    assert top_patches(classifier, images(4, 3), 0, 2, 2).patches.shape == (2, 2, 3, 4, 4)
    patchwise = make_discriminator(patchwise=True)
    assert top_patches(patchwise, images(4, size=20), 1, 2, 2).patches.shape == (2, 2, 1, 10, 10)


def test_untrained_networks_to_compare_with():
    discriminator = make_discriminator(norm_type="spectral")
    random_state = torch.get_rng_state()
    first, same, other = untrained(discriminator), untrained(discriminator), untrained(discriminator, seed=1)
    assert torch.equal(torch.get_rng_state(), random_state)
    pixel_values = images()
    logits = [network(pixel_values).logits for network in (first, same, other)]
    assert torch.equal(logits[0], logits[1]) and first.config is not discriminator.config
    assert not torch.allclose(logits[0], logits[2])


# ---- figures ----


@pytest.mark.parametrize("channels, layer, drawn", [(1, 0, 32), (3, 1, 40)])
def test_patch_grid(channels, layer, drawn):
    found = top_patches(make_discriminator(num_channels=channels), images(channels=channels), layer, 2, 3)
    grid = patch_grid(found)
    assert grid.mode == {1: "L", 3: "RGB"}[channels]
    assert grid.size == (2 * (3 * (drawn + 2) + 6), 2 * (drawn + 2))
    pixels = np.asarray(grid).reshape(grid.height, grid.width, channels)
    scale = drawn // found.patches.shape[-1]
    for row in range(2):
        for column in range(3):
            top, left = row * (drawn + 2) + 1, 3 + column * (drawn + 2) + 1
            for start, values in ((left, found.patches), (left + 3 * (drawn + 2) + 6, found.gradients)):
                cell = pixels[top : top + drawn : scale, start : start + drawn : scale].transpose(2, 0, 1)
                value = values[row, column]
                if values is found.gradients:
                    value = value / found.gradients[row].abs().max()
                np.testing.assert_allclose(cell, (value.numpy() + 1) * 127.5, atol=0.51)


# ---- wrong use ----


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"layer": 2}, "`layer` must be from 0 to 1, got 2"),
        ({"num_filters": 5}, "`num_filters` must be from 1 to 4 for layer 0, got 5"),
        ({"num_filters": 2, "num_patches": 13}, "`num_patches` must be from 1 to 12, the number of images, got 13"),
    ],
)
def test_wrong_use(arguments, message):
    with pytest.raises(ValueError, match=message):
        top_patches(make_discriminator(), images(), **{"layer": 0} | arguments)


def test_a_layer_without_an_active_filter():
    discriminator = make_discriminator()
    torch.nn.init.zeros_(discriminator.layers[0][0].convolution.weight)
    with pytest.raises(ValueError, match="`layer=0` has no filter that is active in `num_patches=9` images"):
        top_patches(discriminator, images(), 0, 2)
