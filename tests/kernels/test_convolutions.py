# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.kernels.convolutions import ConvolutionShape, FastConvolutions
from dcgan_hf.kernels.winograd import usable_points

from .ways import Always


def outputs_and_gradients(layer: nn.Module, maps: torch.Tensor) -> list[torch.Tensor]:
    maps = maps.detach().requires_grad_()
    out = layer(maps).mul_(2)  # in-place, like activation functions
    return [out.detach(), *torch.autograd.grad(out.square().sum(), [maps, *layer.parameters()])]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_few_channels_give_the_same_results_for_all_geometries(data):
    kernel_size, stride = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    padding, size = data.draw(st.integers(0, kernel_size - 1)), data.draw(st.integers(6, 9))
    sizes = (size, size + data.draw(st.integers(0, 1)))
    is_transposed, bias = data.draw(st.booleans()), data.draw(st.booleans())
    few = data.draw(st.integers(1, 5))  # the largest exceed the limit
    make, channels = (nn.ConvTranspose2d, (3, few)) if is_transposed else (nn.Conv2d, (few, 3))
    layer = make(*channels, kernel_size, stride, padding=padding, bias=bias).double()
    if is_transposed and min((n - 1) * stride - 2 * padding + kernel_size for n in sizes) < 1:
        return
    maps = torch.randn(2, channels[0], *sizes, dtype=torch.double)
    expected = outputs_and_gradients(layer, maps)
    with FastConvolutions(Always("pixel_shuffle")):
        results = outputs_and_gradients(layer, maps)
    for result, want in zip(results, expected, strict=True):
        torch.testing.assert_close(result, want)


def test_a_compiled_layer_has_the_same_gradients():
    layer, maps = nn.Conv2d(3, 8, 4, 2, 1), torch.randn(2, 3, 8, 8)
    (expected,) = torch.autograd.grad(layer(maps).square().sum(), layer.weight)
    with FastConvolutions():
        (gradient,) = torch.autograd.grad(torch.compile(layer, backend="aot_eager")(maps).square().sum(), layer.weight)
    torch.testing.assert_close(gradient, expected)
    torch.compiler.reset()


@pytest.mark.parametrize(
    "kernel_size, stride, padding, size", [(4, 2, 1, 8), (4, 2, 1, 5), (5, 2, 2, 6), (4, 1, 0, 6), (4, 2, 1, 16)]
)
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("way, factor", [("gradient_product", 1.2), ("product", 1.2), ("winograd_3", 3)])
def test_bf16_is_nearly_as_near_to_the_truth_as_usual(make, way, factor, kernel_size, stride, padding, size):
    torch.manual_seed(0)
    layer = make(48, 48, kernel_size, stride, padding=padding).to(memory_format=torch.channels_last)
    maps = torch.randn(2, 48, size, size)
    truth = outputs_and_gradients(layer, maps)
    with torch.autocast("cpu", torch.bfloat16):
        usual = outputs_and_gradients(layer, maps)
        with FastConvolutions(Always(way)):
            results = outputs_and_gradients(layer, maps)
    for result, other, want in zip(results, usual, truth, strict=True):
        assert result.dtype == other.dtype
        error, usual_error = ((values.float() - want).norm() / want.norm() for values in (result, other))
        assert error < max(factor * usual_error, 0.01)


class CountProducts(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.products += func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm)
        return func(*args, **(kwargs or {}))


def test_gradients_that_nobody_wants_are_not_computed():
    layer = nn.Conv2d(256, 256, 4, 2, padding=1, bias=False)
    pixels = torch.randn(2, 256, 8, 8, requires_grad=True)
    with FastConvolutions(Always("gradient_product")), torch.autocast("cpu", torch.bfloat16):
        loss = layer(pixels).float().sum()
    with CountProducts() as counter:
        torch.autograd.grad(loss, pixels, retain_graph=True)
        assert counter.products == 0
        loss.backward()
    assert counter.products == 1 and layer.weight.grad is not None and pixels.grad is not None


@pytest.mark.parametrize("make, channels", [(nn.Conv2d, (3, 2)), (nn.ConvTranspose2d, (2, 3))])
def test_gradients_of_gradients(make, channels):
    layer = make(*channels, 4, 2, padding=1).double()
    maps = torch.randn(1, channels[0], 4, 4, dtype=torch.double, requires_grad=True)
    with FastConvolutions(Always("pixel_shuffle")):
        assert torch.autograd.gradgradcheck(lambda maps, *_: layer(maps), (maps, *layer.parameters()))


def test_what_is_grouped_or_dilated_is_left_alone():
    maps = torch.randn(1, 4, 8, 8)
    for layer in (
        nn.Conv2d(4, 6, (4, 2), padding=1),
        nn.Conv2d(4, 6, 4, stride=(2, 1), padding=1),
        nn.Conv2d(4, 6, 4, 2, padding=(1, 0)),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.ConvTranspose2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
    ):
        expected = layer(maps)
        with FastConvolutions(Always("winograd_5")):
            torch.testing.assert_close(layer(maps), expected)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_feature_maps_and_their_gradients_keep_their_channels_last(num_channels):
    size = {"image_size": 32, "hidden_size": 8, "num_channels": num_channels}
    generator = DCGANGenerator(DCGANGeneratorConfig(**size, latent_dim=6)).to(memory_format=torch.channels_last)
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**size)).to(memory_format=torch.channels_last)
    seen = []

    def check(maps):
        seen.append(maps.is_contiguous(memory_format=torch.channels_last))

    def watch(module, inputs, output):
        check(output)
        output.register_hook(check)

    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.LeakyReLU):
            module.register_forward_hook(watch)
    with FastConvolutions(), torch.autocast("cpu", torch.bfloat16):
        discriminator.train()(generator.train()(torch.randn(4, 6)).pixel_values).logits.sum().backward()
    assert len(seen) > 20 and all(seen)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_fewer_multiplications_give_the_same_results_for_all_geometries(data):
    points, stride = data.draw(st.sampled_from([3, 5])), data.draw(st.integers(1, 3))
    kernel_size = stride * data.draw(st.integers(2, points - 1))
    padding = data.draw(st.integers(0, kernel_size - 1))
    sizes = data.draw(st.integers(6, 14)), data.draw(st.integers(6, 14))
    make = data.draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d]))
    inputs, outputs, bias = data.draw(st.integers(5, 20)), data.draw(st.integers(5, 20)), data.draw(st.booleans())
    layer = make(inputs, outputs, kernel_size, stride, padding=padding, bias=bias)
    if make is nn.Conv2d and min(sizes) + 2 * padding < kernel_size:
        return
    if make is nn.ConvTranspose2d and min((size - 1) * stride - 2 * padding + kernel_size for size in sizes) < 1:
        return
    maps = torch.randn(2, inputs, *sizes)
    with CountProducts() as counter, FastConvolutions(Always(f"winograd_{points}")):
        results = outputs_and_gradients(layer, maps)
    # One each for the output, the gradient of the input and that of the weights: it was no other way.
    assert counter.products == (3 if points in usable_points((kernel_size,) * 2, (stride,) * 2, torch.float32) else 0)
    expected = outputs_and_gradients(layer.double(), maps.double())
    for result, want in zip(results, expected, strict=True):
        assert (result - want).norm() <= 1e-5 * want.norm()


@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("points", [3, 5])
def test_fewer_multiplications_in_gradients_of_gradients(make, points):
    layer, maps = make(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8)

    def penalty(layer, maps):
        maps = maps.requires_grad_()
        (gradient,) = torch.autograd.grad(layer(maps).sigmoid().sum(), maps, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), [maps, layer.weight])

    with FastConvolutions(Always(f"winograd_{points}")):
        results = penalty(layer, maps)
    for result, want in zip(results, penalty(layer.double(), maps.detach().double()), strict=True):
        assert (result - want).norm() <= 1e-5 * want.norm()


def test_fewer_multiplications_compute_no_gradients_that_nobody_wants():
    layer, pixels = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8, requires_grad=True)
    with FastConvolutions(Always("winograd_5")):
        loss = layer(pixels).sum()
    with CountProducts() as counter:
        torch.autograd.grad(loss, pixels, retain_graph=True)
    assert counter.products == 1


@pytest.mark.parametrize("way", ["winograd_3", "winograd_5"])
def test_a_changed_weight_counts_at_once(way):
    """Fused optimizers and `.data` change weights without telling autograd, and so within an update."""
    layer, maps = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)

    def clamp():
        layer.weight.data.clamp_(-0.05, 0.05)

    with FastConvolutions(Always(way)):
        for change in (optimizer.step, clamp):
            layer(maps).square().sum().backward()
            change()
            output = layer(maps)
            with torch.no_grad():
                expected = layer.double()(maps.double())
            layer.float()
            torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-4)


def test_constant_weights_are_evaluated_once():
    layer, maps = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8)
    with FastConvolutions(Always("winograd_5"), weights_are_constant=True), torch.no_grad():
        first = layer(maps)
        layer.weight.zero_()  # breaks the promise, to see that it is relied on
        assert torch.equal(layer(maps), first)


def test_a_number_that_is_none_stays_one():
    layer, maps = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(1, 8, 16, 16)
    maps[0, 3, 5, 5] = float("nan")
    for dtype in (torch.float32, torch.bfloat16):
        with FastConvolutions(Always("winograd_3")), torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            output = layer(maps)
        assert output[..., 2:4, 2:4].isnan().any() and not output[..., 5:, 5:].isnan().any()


def test_shapes_are_told_apart_in_words():
    maps, weight = torch.randn(2, 3, 16, 12), torch.randn(8, 3, 4, 4)
    shape = ConvolutionShape.of_call(torch.conv2d, (maps, weight, None, (2, 2), (1, 1), (1, 1), 1))
    assert str(shape) == "convolution, 3 to 8 channels, kernel 4x4, stride 2x2, padding 1x1, 16x12 pixels"
    assert shape.ways(torch.float32) == ["pytorch", "pixel_shuffle"]
    assert ConvolutionShape.of_call(torch.add, (maps, weight)) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_types_under_autocast_are_computed_as_pytorch_does(dtype):
    layer, maps = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8)
    expected = layer(maps)
    with FastConvolutions(Always("winograd_3")), torch.autocast("cpu", torch.bfloat16):
        output = layer.to(dtype)(maps.to(dtype))
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.05)


def test_checkpoints_of_activations_can_be_computed_again():
    layer, maps = nn.Conv2d(8, 8, 4, 2, padding=1), torch.randn(2, 8, 8, 8, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(maps).square().sum(), maps)
    with FastConvolutions(Always("winograd_5")):
        output = checkpoint(layer, maps, use_reentrant=False)
        (gradient,) = torch.autograd.grad(output.square().sum(), maps)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("way", ["winograd_5", "pixel_shuffle"])
def test_transformations_of_functions_are_left_to_pytorch(way):
    layer, maps = nn.Conv2d(8 if way == "winograd_5" else 3, 8, 4, 2, padding=1), torch.randn(2, 3, 8, 8)
    maps = maps.repeat(1, 8 // 3 + 1, 1, 1)[:, :8] if way == "winograd_5" else maps

    def loss(weight, image):
        return torch.func.functional_call(layer, {"weight": weight}, image[None]).square().sum()

    expected = [torch.autograd.grad(loss(layer.weight, image), layer.weight)[0] for image in maps]
    with FastConvolutions(Always(way)):
        gradients = torch.func.vmap(torch.func.grad(loss), (None, 0))(layer.weight.detach(), maps)
    torch.testing.assert_close(gradients, torch.stack(expected))


def test_pooled_maps_can_be_changed_in_place():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LeakyReLU(0.2, inplace=True))
    maps = torch.randn(2, 8, 4, 4, requires_grad=True)
    with FastConvolutions():
        network(maps).sum().backward()
    assert maps.grad is not None


def test_calls_with_other_types_of_options_are_left_alone():
    maps, weight = torch.randn(2, 8, 8, 8), torch.randn(8, 8, 4, 4)
    with FastConvolutions(Always("winograd_5")):
        for stride, padding in ((2, 1), ([2, 2], [1, 1])):
            assert torch.conv2d(maps, weight, None, stride, padding, (1, 1), 1).shape == (2, 8, 4, 4)


@pytest.mark.parametrize("way", ["winograd_3", "pixel_shuffle", "product"])
@pytest.mark.parametrize("make, channels", [(nn.Conv2d, (8, 6)), (nn.ConvTranspose2d, (8, 6)), (nn.Conv2d, (3, 6))])
def test_frozen_weights_pass_gradients_on(make, channels, way):
    layers = nn.Sequential(make(*channels, 4, 2, padding=1), nn.LeakyReLU(), nn.Conv2d(6, 2, 3))
    layers[0].requires_grad_(False)
    maps = torch.randn(2, channels[0], 8, 8, requires_grad=True)
    dtype = torch.bfloat16 if way == "product" else torch.float32

    def gradients(ways, of_maps):
        with torch.autocast("cpu", dtype, enabled=way == "product"), FastConvolutions(ways):
            loss = layers(maps if of_maps else maps.detach()).square().mean()
        return torch.autograd.grad(loss, [layers[2].weight, *([maps] if of_maps else [])])

    for of_maps in (False, True):
        for result, expected in zip(gradients(Always(way), of_maps), gradients(None, of_maps), strict=True):
            torch.testing.assert_close(result, expected, rtol=0.05, atol=0.01 if way == "product" else 1e-5)
