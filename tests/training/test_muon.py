"""Tests of Muon, the optimizer of hidden convolutions."""

import copy

import pytest
import torch
from torch import nn

from dcgan_hf.training.muon import Muon, orthogonalize

from ..models.test_super_resolution import make_generator


def gradients_of(network, seed=0):
    torch.manual_seed(seed)
    for weight in network.parameters():
        weight.grad = torch.randn_like(weight)


@pytest.mark.parametrize("shape", [(3, 8, 72), (1, 40, 8), (2, 16, 16)])
def test_all_singular_values_end_near_one(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    results = orthogonalize(matrices)
    assert results.shape == matrices.shape
    for matrix, result in zip(matrices.double(), results.double()):
        u, values, v = torch.linalg.svd(matrix, full_matrices=False)
        aligned = (u.mT @ result @ v.mT).diagonal()  # the same directions
        large = values > 0.1 * values[0]
        assert 0.6 < aligned[large].min() and aligned.max() < 1.3
        torch.testing.assert_close(result, u @ torch.diag(aligned) @ v, atol=1e-4, rtol=0)


def test_outer_convolutions_and_biases_are_adams():
    network, twin = make_generator(trained=False), make_generator(trained=False)
    muon, adam = Muon(network, lr=1e-2), torch.optim.Adam(twin.parameters(), lr=1e-2)
    for step in range(3):
        gradients_of(network, step)
        gradients_of(twin, step)
        muon.step()
        adam.step()
    hidden = {name for name, weight in network.named_parameters() if weight.ndim == 4}
    hidden -= {"first_convolution.weight", "image_convolution.weight"}
    for (name, weight), other in zip(network.named_parameters(), twin.parameters()):
        assert torch.allclose(weight, other) == (name not in hidden), name


def test_updates_ignore_the_scale_of_gradients():
    network, twin = make_generator(trained=False), make_generator(trained=False)
    weight, other = (one.blocks[0].convolution1.weight for one in (network, twin))
    before = weight.detach().clone()
    for one, factor in ((network, 1), (twin, 1000)):
        gradients_of(one)
        for parameter in one.parameters():
            parameter.grad *= factor
        Muon(one, lr=1e-3).step()
    values = torch.linalg.svdvals((weight - (1 - 5e-3 / 4) * before).flatten(1)) / 5e-3
    assert 0.6 < values.min() and values.max() < 1.3
    torch.testing.assert_close(weight, other, atol=1e-6, rtol=1e-3)
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_weights_stay_bounded():
    """Even if all updates go in the same direction."""
    network = make_generator(trained=False)
    muon = Muon(network, lr=0.02)
    gradients_of(network)
    for _ in range(200):
        muon.step()
    values = torch.linalg.svdvals(network.blocks[0].convolution1.weight.flatten(1))
    assert 2.5 < values.min() and values.max() < 5


def test_state_is_restored():
    """After saving and loading, the next update is the same."""
    network, twin = make_generator(trained=False), make_generator(trained=False)
    first, second = Muon(network, lr=1e-2), Muon(twin, lr=1e-2)
    gradients_of(network)
    first.step()
    twin.load_state_dict(network.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for one, optimizer in ((network, first), (twin, second)):
        gradients_of(one, seed=1)
        optimizer.step()
    for weight, other in zip(network.parameters(), twin.parameters()):
        assert torch.equal(weight, other)


def test_a_layer_without_gradient_stays():
    network = nn.Sequential(*(nn.Conv2d(4, 4, 3) for _ in range(3)))
    gradients_of(network)
    network[1].weight.grad = None
    before = network[1].weight.clone()
    Muon(network, lr=1e-2).step()
    assert torch.equal(network[1].weight, before)
