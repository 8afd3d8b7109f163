import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from dcgan_hf.training.arguments import SMOOTHABLE_LOSSES
from dcgan_hf.training.losses import LOSSES, make_loss


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
    generator_loss(name, logits).backward()
    assert (logits.grad < 0).all()


def generator_loss(name, fake_logits):
    """Returns the generator's loss, with zero logits of real images if it is relativistic."""
    loss = LOSSES[name]
    return loss.generator(fake_logits, *([torch.zeros_like(fake_logits)] if loss.is_relativistic else []))


def test_relativistic_compares_pairs():
    loss = LOSSES["relativistic"]
    margins = torch.tensor([5.0, -1.0, -0.5])  # real minus fake
    torch.testing.assert_close(loss.discriminator(real, fake), -margins.sigmoid().log().mean())
    torch.testing.assert_close(loss.generator(fake, real), -(-margins).sigmoid().log().mean())
    shifted = loss.discriminator(real + 7, fake + 7)
    torch.testing.assert_close(shifted, loss.discriminator(real, fake))


@pytest.mark.parametrize("name", SMOOTHABLE_LOSSES)
def test_label_smoothing_is_one_sided(name):
    smooth = make_loss(name, label_smoothing=0.1)
    if name == "bce":
        labels = torch.full((3,), 0.9), torch.zeros(3)
        expected = sum(binary_cross_entropy(x.sigmoid(), y) for x, y in zip((real, fake), labels))
        best = math.log(9)  # where sigmoid is 0.9
    else:
        expected, best = ((real - 0.9).square().mean() + fake.square().mean()) / 2, 0.9
    torch.testing.assert_close(smooth.discriminator(real, fake), expected)
    logits = torch.tensor([best], requires_grad=True)
    smooth.discriminator(logits, fake).backward()
    assert logits.grad.item() == pytest.approx(0, abs=1e-6)
    assert smooth.generator is LOSSES[name].generator and make_loss(name) == LOSSES[name]
