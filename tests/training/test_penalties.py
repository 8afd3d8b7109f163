import copy

import pytest
import torch

from dcgan_hf.kernels.convolutions import FastConvolutions
from dcgan_hf.training.losses import PenaltyWeights, interpolated_penalty, squared_gradients, zero_centered_penalty
from dcgan_hf.training.updates import UPDATE_STRATEGIES

from ..kernels.ways import Always
from .test_update_strategies import make_batches, make_gan, weights


def images(size=5):
    return torch.randn(size, 2, 3, 3).requires_grad_()


def test_gradients_of_a_function_whose_gradients_are_known():
    pixel_values, factors = images(), torch.randn(2, 3, 3)
    logits = (factors * pixel_values).sum((1, 2, 3)) + pixel_values[:, 0, 0, 0] ** 2
    expected = factors.expand_as(pixel_values).clone()
    expected[:, 0, 0, 0] += 2 * pixel_values.detach()[:, 0, 0, 0]
    expected = expected.square().sum((1, 2, 3))
    torch.testing.assert_close(squared_gradients(logits, pixel_values), expected)
    torch.testing.assert_close(zero_centered_penalty(logits, pixel_values), expected.mean() / 2)


def test_a_linear_function_of_slope_1_is_not_penalised_between_images():
    direction = torch.nn.functional.normalize(torch.randn(18), dim=0).view(2, 3, 3)
    real, fake, shares = images(), images(), torch.rand(5)
    for slope in (1.0, 3.0, 0.0):
        factors = slope * direction
        penalty = interpolated_penalty(lambda x, factors=factors: (factors * x).sum((1, 2, 3)), real, fake, shares)
        assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_the_points_lie_between_the_images():
    seen = []

    def score(pixel_values):
        seen.append(pixel_values.detach())
        return pixel_values.square().sum((1, 2, 3))

    real, fake = images(3), images(3)
    interpolated_penalty(score, real, fake, torch.tensor([0.0, 1.0, 0.25]))
    torch.testing.assert_close(seen[0], torch.stack([real[0], fake[1], 0.75 * real[2] + 0.25 * fake[2]]).detach())


def naive_update(gan, batch, penalties):
    """Computes the alternating update with penalties from the images' Jacobian, one image at a time."""
    gan.discriminator_optimizer.zero_grad()
    fake = gan.generator(batch.latents).pixel_values

    def slopes(pixel_values):
        squares = []
        for image in pixel_values.detach():
            image = image[None].requires_grad_()
            (gradient,) = torch.autograd.grad(gan.discriminator(image).logits[0], image, create_graph=True)
            squares.append(gradient.pow(2).sum())
        return torch.stack(squares)

    loss = gan.loss.discriminator(
        gan.discriminator(batch.pixel_values).logits, gan.discriminator(fake.detach()).logits
    )
    loss = loss + penalties.r1 / 2 * slopes(batch.pixel_values).mean() + penalties.r2 / 2 * slopes(fake).mean()
    if penalties.interpolated:
        shares = batch.interpolation[:, None, None, None]
        between = (1 - shares) * batch.pixel_values + shares * fake
        loss = loss + penalties.interpolated * (slopes(between).sqrt() - 1).pow(2).mean()
    loss.backward()
    gan.discriminator_optimizer.step()
    gan.generator_optimizer.zero_grad()
    gan.loss.generator(gan.discriminator(fake).logits).backward()
    gan.generator_optimizer.step()


@pytest.mark.parametrize(
    "penalties", [PenaltyWeights(r1=2.0), PenaltyWeights(r1=0.5, r2=3.0), PenaltyWeights(interpolated=10.0)]
)
@pytest.mark.parametrize("norm_type", ["group", "none"])
@pytest.mark.parametrize("fast", [False, True])
def test_updates_equal_a_plain_loop(penalties, norm_type, fast):
    ours, theirs = (make_gan(norm_type, loss="wasserstein", lr=0.02) for _ in range(2))
    before = weights(copy.deepcopy(ours.discriminator)), weights(copy.deepcopy(ours.generator))
    ours.penalties = penalties
    for batch in make_batches(2):
        batch.interpolation = torch.rand(8)
        if fast:
            with FastConvolutions(Always("winograd_5")):
                values = UPDATE_STRATEGIES["alternating"](ours, [batch])
        else:
            values = UPDATE_STRATEGIES["alternating"](ours, [batch])
        naive_update(theirs, batch, penalties)
    assert values["penalty"] > 0
    for name, start in zip(("discriminator", "generator"), before):
        moved, expected = (weights(getattr(gan, name)) - start for gan in (ours, theirs))
        largest = expected.abs().max().item()
        assert largest > 1e-4
        torch.testing.assert_close(moved, expected, rtol=2e-3, atol=1e-3 * largest)


def test_simultaneous_updates_learn_the_penalty_in_the_discriminator_only():
    (batch,) = make_batches()
    moves = []
    for penalties in (PenaltyWeights(), PenaltyWeights(r1=5.0, r2=5.0)):
        gan = make_gan("none")
        before = weights(gan.discriminator), weights(gan.generator)
        gan.penalties = penalties
        UPDATE_STRATEGIES["simultaneous"](gan, [batch])
        moves.append((weights(gan.discriminator) - before[0], weights(gan.generator) - before[1]))
    assert not torch.allclose(moves[0][0], moves[1][0])
    torch.testing.assert_close(moves[0][1], moves[1][1])


def test_accumulated_batches_have_the_penalty_of_one_large_one():
    one, several = make_gan("none"), make_gan("none")
    for gan in (one, several):
        gan.penalties = PenaltyWeights(r1=2.0, r2=1.0)
    (batch,) = make_batches(size=8)
    parts = [copy.copy(batch) for _ in range(4)]
    for i, part in enumerate(parts):
        part.pixel_values, part.latents = (x[2 * i : 2 * i + 2] for x in (batch.pixel_values, batch.latents))
    start = weights(one.discriminator)
    UPDATE_STRATEGIES["alternating"](one, [batch])
    UPDATE_STRATEGIES["alternating"](several, parts)
    moved, expected = (weights(gan.discriminator) - start for gan in (several, one))
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_bf16_is_close_to_fp32():
    from accelerate.state import AcceleratorState

    (batch,) = make_batches()
    batch.interpolation = torch.rand(8)
    for penalties in (PenaltyWeights(r1=1.0, r2=1.0), PenaltyWeights(interpolated=1.0)):
        values = []
        for mixed_precision in ("no", "bf16"):
            AcceleratorState._reset_state(reset_partial_state=True)
            gan = make_gan("none", mixed_precision=mixed_precision, lr=0.02)
            gan.penalties = penalties
            with FastConvolutions(Always("winograd_3")):
                values.append([UPDATE_STRATEGIES["alternating"](gan, [batch])["penalty"] for _ in range(3)][-1])
        AcceleratorState._reset_state(reset_partial_state=True)
        torch.testing.assert_close(values[1], values[0], rtol=0.05, atol=0.01)
