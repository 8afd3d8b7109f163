import pytest
import torch
from torch import nn

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANForImageClassification
from dcgan_hf.interpretability import attribution
from dcgan_hf.interpretability.attribution import METHODS, Units, attribute, blurred, most_fake_boxes, region_share


def make_network(network_class=DCGANDiscriminator, **config):
    torch.manual_seed(0)
    fields = {"image_size": 16, "hidden_size": 4, "initializer": "xavier_uniform", "num_groups": 4} | config
    return network_class(DCGANDiscriminatorConfig(**fields))


def images(number=3, channels=3, size=16):
    return torch.rand(number, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def guided_gradient_by_hand(network, pixel_values, gradient):
    """Guided backpropagation layer by layer, for networks without normalisation: gradients masked on both sides."""
    maps = [pixel_values]
    for downsampling, _, _ in network.layers:
        before = nn.functional.conv2d(maps[-1], downsampling.convolution.weight, stride=2, padding=1)
        maps.append(nn.functional.leaky_relu(before, 0.2))
    for (downsampling, _, _), map in zip(reversed(network.layers), reversed(maps[1:])):
        gradient = gradient.clamp_min(0) * (map > 0)
        gradient = nn.functional.conv_transpose2d(gradient, downsampling.convolution.weight, stride=2, padding=1)
    return gradient


# ---- the three methods ----


@torch.no_grad()
def test_guided_backpropagation_is_what_the_paper_says():
    network = make_network(norm_type="none")
    pixel_values = images()
    gradient = network.head.weight.unflatten(1, (8, 4, 4)).expand(3, -1, -1, -1)
    expected = guided_gradient_by_hand(network, pixel_values, gradient)
    torch.testing.assert_close(attribute(network, pixel_values, "guided_backprop"), expected)
    assert expected.abs().sum() > 0

    units = Units(layer=1, filters=torch.tensor([0, 5, 7]), positions=torch.tensor([[0, 3], [2, 2], [1, 0]]))
    gradient = torch.zeros(3, 8, 4, 4)
    gradient[torch.arange(3), units.filters, units.positions[:, 0], units.positions[:, 1]] = 1
    expected = guided_gradient_by_hand(network, pixel_values, gradient)
    torch.testing.assert_close(attribute(network, pixel_values, "guided_backprop", units=units), expected)


def test_guided_backpropagation_is_the_same_for_leaky_relus_without_slope_and_relus():
    leaky, plain = make_network(leaky_relu_slope=0.0), make_network(hidden_act="relu")
    torch.testing.assert_close(
        attribute(leaky, images(), "guided_backprop"), attribute(plain, images(), "guided_backprop")
    )


@pytest.mark.parametrize("norm_type", ["batch", "spectral", "group", "none"])
def test_integrated_gradients_add_up_to_the_difference_of_logits(norm_type, monkeypatch):
    """Completeness (Sundararajan et al., proposition 1) improves with the number of points on the path."""
    network = make_network(norm_type=norm_type, use_bias=True)
    with torch.no_grad():
        for _ in range(10):  # for the estimates of spectral norms and the running statistics
            network(images(8))
        network.eval()
        pixel_values, baseline = images(), torch.full((3, 1, 1), -0.9)
        difference = network(pixel_values).logits - network(baseline.expand_as(pixel_values)).logits
    for num_steps, tolerance in ((attribution._INTEGRATION_STEPS, 0.06), (400, 0.01)):
        monkeypatch.setattr(attribution, "_INTEGRATION_STEPS", num_steps)
        attributions = attribute(network, pixel_values, "integrated_gradients", baseline=baseline)
        torch.testing.assert_close(attributions.sum((1, 2, 3)), difference, atol=tolerance, rtol=0)


@torch.no_grad()
def test_occlusion_is_the_mean_fall_of_the_logit_over_all_squares_with_the_pixel(monkeypatch):
    monkeypatch.setattr(attribution, "_OCCLUDED_SHARE", 1 / 4)
    network = make_network(num_channels=1).eval()
    pixel_values = images(channels=1)
    expected, squares = torch.zeros(3, 1, 16, 16), torch.zeros(16, 16)
    logits = network(pixel_values).logits
    for top in range(0, 13, 2):
        for left in range(0, 13, 2):
            square = slice(top, top + 4), slice(left, left + 4)
            occluded = pixel_values.clone()
            occluded[..., *square] = 0.5
            expected[..., *square] += (logits - network(occluded).logits)[:, None, None, None]
            squares[square] += 1
    attributions = attribute(network, pixel_values, "occlusion", baseline=0.5)
    torch.testing.assert_close(attributions, expected / squares, atol=1e-5, rtol=1e-4)


# ---- ground truth: attribution is confined to the origin of the score ----


@pytest.mark.parametrize("method", METHODS)
def test_attribution_is_only_in_the_region_that_the_logit_depends_on(method):
    """The head reads a single position of the feature map, so the logit depends only on its receptive field."""
    network = make_network(norm_type="none")
    with torch.no_grad():
        weight = network.head.weight.view(8, 4, 4)
        weight[:, :, :2] = 0
        weight[:, :, 3] = 0
        weight[:, 0] = 0
        weight[:, 2:] = 0  # row 1, column 2 of 4: receptive field is rows 1 to 10, columns 5 to 14
    attributions = attribute(network, images(), method)
    margin = 1 if method == "occlusion" else 0  # squares that overlap
    torch.testing.assert_close(
        region_share(attributions, (5 - margin, 1 - margin, 15 + margin, 11 + margin)), torch.ones(3)
    )
    assert region_share(attributions, (0, 12, 16, 16)).max() == 0
    assert attributions.abs().sum((1, 2, 3)).min() > 0


@pytest.mark.parametrize("method", METHODS)
def test_classifiers_are_explained_class_by_class(method):
    """Each class reads one half of the image."""
    network = make_network(DCGANForImageClassification, norm_type="none", num_labels=2, image_size=32)
    with torch.no_grad():
        weight = network.classifier.weight.view(2, 16, 4, 4)
        weight[0, :, :, 1:] = 0  # the receptive field of the first column of 4 is columns 0 to 14
        weight[1, :, :, :3] = 0
    pixel_values = images(2, size=32)
    attributions = attribute(network, pixel_values, method, class_labels=torch.tensor([0, 1]))
    margin = 3 if method == "occlusion" else 0  # squares that overlap
    torch.testing.assert_close(region_share(attributions[:1], (0, 0, 15 + margin, 32)), torch.ones(1))
    torch.testing.assert_close(region_share(attributions[1:], (17 - margin, 0, 32, 32)), torch.ones(1))


# ---- all kinds of networks, which are left unchanged ----


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "config",
    [
        {"num_classes": 3},
        {"norm_type": "spectral", "num_channels": 1},
        {"image_size": 30, "strides": [3, 2], "kernel_size": 5},
        {"patchwise": True},
    ],
)
def test_networks_of_all_kinds_stay_as_they_were(method, config):
    network = make_network(**config).train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    size, labels = network.config.image_size, None
    if network.config.num_classes:
        labels = torch.tensor([0, 1, 2])
    if network.config.patchwise:
        size = 20
    pixel_values = images(channels=network.config.num_channels, size=size)
    before = pixel_values.clone()
    with torch.inference_mode():
        attributions = attribute(network, pixel_values, method, class_labels=labels)
    assert attributions.shape == pixel_values.shape and attributions.isfinite().all() and attributions.any()
    assert torch.equal(pixel_values, before) and not pixel_values.requires_grad and not attributions.requires_grad
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("method", METHODS)
def test_an_image_does_not_depend_on_the_others_of_its_chunk(method, monkeypatch):
    monkeypatch.setattr(attribution, "_OCCLUDED_SHARE", 1 / 4)
    network = make_network(num_classes=2).train()
    pixel_values, labels = images(), torch.tensor([0, 1, 1])
    baseline = images().flip(0)
    together = attribute(network, pixel_values, method, labels, baseline=baseline)
    monkeypatch.setattr(attribution, "MAX_PIXELS_PER_FORWARD", 2 * 16 * 16)  # two images
    torch.testing.assert_close(
        attribute(network, pixel_values, method, labels, baseline=baseline), together, atol=1e-5, rtol=1e-3
    )


def test_the_class_label_matters_to_a_conditional_discriminator():
    network = make_network(num_classes=2)
    pixel_values = images()
    first, second = (
        attribute(network, pixel_values, "integrated_gradients", torch.full((3,), label)) for label in (0, 1)
    )
    assert not torch.allclose(first, second)


def test_half_precision_networks_are_explained_in_float32():
    network = make_network(norm_type="none")
    network.to(torch.bfloat16)
    attributions = attribute(network, images(), "guided_backprop")
    assert attributions.dtype == torch.float32 and network.dtype == torch.bfloat16
    torch.testing.assert_close(attributions, attribute(network.float(), images(), "guided_backprop"))


def test_blurred_images_have_their_means_but_no_details():
    constant = torch.tensor([[-1.0, 0.25, 1.0]])[:, :, None, None].expand(1, 3, 20, 30)
    torch.testing.assert_close(blurred(constant), constant)
    point = torch.zeros(2, 3, 40, 50)
    point[1, 2, 20, 30] = 1.0
    image = blurred(point)
    assert not image[0].any() and not image[1, :2].any()
    rows, columns = torch.arange(40.0)[:, None] - 20, torch.arange(50.0) - 30
    assert image[1, 2].sum().item() == pytest.approx(1, abs=1e-5)
    for distances in (rows, columns):  # four pixels, except for the truncated tails
        assert (image[1, 2] * distances**2).sum().sqrt().item() == pytest.approx(4, rel=0.02)


# ---- regions ----


def test_region_share():
    attributions = torch.zeros(3, 2, 4, 6)
    attributions[0, 0, 1, 4], attributions[0, 1, 3, 0] = -3.0, 1.0
    attributions[1] = 1.0
    torch.testing.assert_close(region_share(attributions, (4, 1, 6, 2)), torch.tensor([0.75, 2 / 24, 0.0]))
    for box in ((4, 1, 4, 2), (0, 0, 7, 4), (-1, 0, 2, 2)):
        with pytest.raises(ValueError, match=r"`box` must be \(left, top, right, bottom\) within an image of 6x4 pix"):
            region_share(attributions, box)


def test_most_fake_boxes():
    attributions = torch.zeros(2, 3, 8, 10)
    attributions[0, 1, 2:5, 6:9], attributions[0, 0, 6, 0] = -1.0, -2.0
    attributions[1, :, 5:8, :3], attributions[1, 2, 0, 0] = -1.0, 5.0
    assert most_fake_boxes(attributions, 3).tolist() == [[6, 2, 9, 5], [0, 5, 3, 8]]
    with pytest.raises(ValueError, match="`size` must be from 1 to 8, the image's shorter side, got 9"):
        most_fake_boxes(attributions, 9)


def test_a_spoilt_region_is_found():
    """The logit decreases with every deviation from grey, so the spoilt square looks fake."""
    network = make_network(num_channels=1, norm_type="none", hidden_sizes=[2, 1])
    with torch.no_grad():
        first, second = (layer[0].convolution.weight for layer in network.layers)
        first[0], first[1], second[:], network.head.weight[:] = 1, -1, 1, -1
    pixel_values = torch.zeros(1, 1, 16, 16)
    pixel_values[..., 9:13, 4:8] = 0.9
    for method in ("occlusion", "integrated_gradients"):
        assert most_fake_boxes(attribute(network, pixel_values, method), 4).tolist() == [[4, 9, 8, 13]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "saliency"}, r"`method` must be one of \['guided_backprop', .*\], got 'saliency'"),
        ({"class_labels": torch.zeros(3).long()}, "has 0 classes, so `class_labels` must not be given"),
        ({"units": Units(2, torch.zeros(3).long(), torch.zeros(3, 2).long())}, "`layer` must be from 0 to 1, got 2"),
        ({"units": Units(0, torch.tensor([0, 4, 1]), torch.zeros(3, 2).long())}, r"0 to 3 for layer 0, got \[0, 4"),
        ({"units": Units(0, torch.zeros(2).long(), torch.zeros(3, 2).long())}, "each of the 3 images, got 2 filters and 3"),
        ({"units": Units(0, torch.zeros(3).long(), torch.full((3, 2), 8))}, r"rows and columns from 0 to 7 for layer 0"),
        (
            {"units": Units(0, torch.zeros(3).long(), torch.zeros(3, 2).long()), "class_labels": torch.zeros(3).long()},
            "`class_labels` cannot be combined with `units`",
        ),
    ],
)  # fmt: skip
def test_wrong_use(arguments, message):
    with pytest.raises(ValueError, match=message):
        attribute(make_network(), images(), **{"method": "guided_backprop"} | arguments)


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "has 2 classes, so `class_labels` must be given"),
        (torch.tensor([0, 1]), r"one class per image \(3\), got 2"),
        (torch.tensor([0, 1, 2]), r"`class_labels` must be from 0 to 1, got \[0, 1, 2\]"),
    ],
)
def test_wrong_labels(labels, message):
    for network in (make_network(num_classes=2), make_network(DCGANForImageClassification, num_labels=2)):
        with pytest.raises(ValueError, match=message):
            attribute(network, images(), "occlusion", class_labels=labels)
