import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from dcgan_hf.training.losses import LOSSES


real, fake = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([-3.0, 0.0, 1.0])


def test_bce_is_binary_cross_entropy_of_the_sigmoid():
    loss = LOSSES["bce"]
    ones, zeros = torch.ones(3), torch.zeros(3)
    expected = binary_cross_entropy(real.sigmoid(), ones) + binary_cross_entropy(fake.sigmoid(), zeros)
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(loss.generator(fake), binary_cross_entropy(fake.sigmoid(), ones))


def test_bce_of_undecided_discriminator():
    loss = LOSSES["bce"]
    assert loss.discriminator(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(2 * math.log(2))
    assert loss.generator(torch.zeros(5)).item() == pytest.approx(math.log(2))


def test_bce_does_not_saturate_or_overflow():
    logits = torch.tensor([-200.0], requires_grad=True)
    loss = LOSSES["bce"].generator(logits)
    loss.backward()
    assert loss.item() == 200 and logits.grad.item() == -1
    assert LOSSES["bce"].discriminator(torch.tensor([-1e4]), torch.tensor([1e4])).item() == 2e4


def test_least_squares():
    loss = LOSSES["least_squares"]
    assert loss.discriminator(real, fake).item() == pytest.approx(
        (sum((x - 1) ** 2 for x in (2, -1, 0.5)) / 3 + (9 + 0 + 1) / 3) / 2
    )
    assert loss.generator(fake).item() == pytest.approx((16 + 1 + 0) / 3 / 2)


def test_hinge():
    loss = LOSSES["hinge"]
    assert loss.discriminator(real, fake).item() == pytest.approx((0 + 2 + 0.5) / 3 + (0 + 1 + 2) / 3)
    assert loss.generator(fake).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_pull_in_the_right_direction(name):
    real_logits, fake_logits = (torch.zeros(4, requires_grad=True) for _ in range(2))
    LOSSES[name].discriminator(real_logits, fake_logits).backward()
    assert (real_logits.grad < 0).all() and (fake_logits.grad >= 0).all()
    logits = torch.zeros(4, requires_grad=True)
    LOSSES[name].generator(logits).backward()
    assert (logits.grad < 0).all()
