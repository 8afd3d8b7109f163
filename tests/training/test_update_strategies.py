import copy

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.training.losses import LOSSES, GANLoss, PenaltyWeights
from dcgan_hf.training.updates import GAN, UPDATE_STRATEGIES, Batch, has_batch_norm


def make_gan(
    norm_type="batch",
    num_classes=0,
    loss="bce",
    optimizer=torch.optim.SGD,
    mixed_precision="no",
    lr=0.1,
    use_bias=False,
    attributes=None,
):
    torch.manual_seed(0)
    common = {"image_size": 16, "hidden_size": 8, "num_channels": 1, "num_groups": 4, "norm_type": norm_type}
    # Xavier's initialisation gives gradients well above rounding.
    common |= {"num_classes": num_classes, "initializer": "xavier_uniform", "use_bias": use_bias}
    common["attributes"] = attributes
    generator = DCGANGenerator(DCGANGeneratorConfig(**common, latent_dim=6)).train()
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**common)).train()
    accelerator = Accelerator(cpu=True, mixed_precision=mixed_precision)
    optimizers = [optimizer(network.parameters(), lr=lr) for network in (generator, discriminator)]
    return GAN(accelerator, *accelerator.prepare(generator, discriminator, *optimizers), loss=LOSSES[loss])


def gan_for(name, norm_type="batch", **options):
    """Returns a GAN that the strategy can train."""
    return make_gan("none" if name == "one_stage" and norm_type == "batch" else norm_type, **options)


def make_batches(number=1, size=8, num_classes=0):
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(
            torch.rand(size, 1, 16, 16, generator=generator) * 2 - 1,
            torch.randn(size, 6, generator=generator),
            torch.arange(size) % num_classes if num_classes else None,
        )
        for _ in range(number)
    ]


def weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def tutorial_update(gan, batch):
    """Runs the PyTorch tutorial's step, with three backward passes and full gradients."""
    bce = torch.nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(len(batch.pixel_values)), torch.zeros(len(batch.pixel_values))
    gan.discriminator_optimizer.zero_grad()
    bce(gan.discriminator(batch.pixel_values).logits, ones).backward()
    fake = gan.generator(batch.latents).pixel_values
    bce(gan.discriminator(fake.detach()).logits, zeros).backward()
    gan.discriminator_optimizer.step()
    gan.generator_optimizer.zero_grad()
    bce(gan.discriminator(fake).logits, ones).backward()
    gan.generator_optimizer.step()


def naive_simultaneous_update(gan, batch):
    """Computes both gradients at the same weights, from separate forward passes."""
    bce = torch.nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(len(batch.pixel_values)), torch.zeros(len(batch.pixel_values))
    gan.generator_optimizer.zero_grad()
    bce(gan.discriminator(gan.generator(batch.latents).pixel_values).logits, ones).backward()
    gan.discriminator_optimizer.zero_grad()
    loss = bce(gan.discriminator(batch.pixel_values).logits, ones)
    loss = loss + bce(gan.discriminator(gan.generator(batch.latents).pixel_values.detach()).logits, zeros)
    loss.backward()
    gan.discriminator_optimizer.step()
    gan.generator_optimizer.step()


@pytest.mark.parametrize("norm_type", ["batch", "group", "none"])
@pytest.mark.parametrize(
    "name, reference", [("alternating", tutorial_update), ("simultaneous", naive_simultaneous_update)]
)
def test_updates_equal_a_plain_loop(name, reference, norm_type):
    ours, theirs = make_gan(norm_type), make_gan(norm_type)
    for batch in make_batches(3):
        UPDATE_STRATEGIES[name](ours, [batch])
        reference(theirs, batch)
    start = make_gan(norm_type)
    for network in ("generator", "discriminator"):
        before = weights(getattr(start, network))
        moved, expected = (weights(getattr(gan, network)) - before for gan in (ours, theirs))
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_the_relativistic_generator_meets_the_updated_discriminator_on_the_same_pairs():
    ours, theirs = (make_gan("batch", loss="relativistic") for _ in range(2))
    (batch,) = make_batches()
    UPDATE_STRATEGIES["alternating"](ours, [batch])
    fake = theirs.generator(batch.latents).pixel_values
    margins = theirs.discriminator(batch.pixel_values).logits - theirs.discriminator(fake.detach()).logits
    (-margins.sigmoid().log().mean()).backward()
    theirs.discriminator_optimizer.step()
    margins = theirs.discriminator(batch.pixel_values).logits - theirs.discriminator(fake).logits
    theirs.generator_optimizer.zero_grad()
    (-(-margins).sigmoid().log().mean()).backward()
    theirs.generator_optimizer.step()
    for network in ("generator", "discriminator"):
        moved, expected = (weights(getattr(gan, network)) for gan in (ours, theirs))
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def test_strategies_differ():
    alternating, simultaneous = make_gan(), make_gan()
    (batch,) = make_batches()
    UPDATE_STRATEGIES["alternating"](alternating, [batch])
    UPDATE_STRATEGIES["simultaneous"](simultaneous, [batch])
    torch.testing.assert_close(weights(alternating.discriminator), weights(simultaneous.discriminator))
    assert not torch.allclose(weights(alternating.generator), weights(simultaneous.generator), atol=1e-7)


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_accumulation_equals_one_large_batch(name):
    """Exact if networks treat images separately."""
    accumulated, large = make_gan("none"), make_gan("none")
    for _ in range(3):
        batches = make_batches(4, size=2)
        joined = Batch(*(torch.cat([getattr(b, field) for b in batches]) for field in ("pixel_values", "latents")))
        values = UPDATE_STRATEGIES[name](accumulated, batches)
        expected = UPDATE_STRATEGIES[name](large, [joined])
        for key in ("discriminator_loss", "generator_loss", "real_logits", "fake_logits"):
            torch.testing.assert_close(values[key], expected[key])
    for network in ("generator", "discriminator"):
        torch.testing.assert_close(weights(getattr(accumulated, network)), weights(getattr(large, network)))


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_the_generators_pass_leaves_no_gradient_in_the_discriminator(name):
    """The discriminator's gradient after a step is that of its own loss alone."""
    gan = make_gan("none", lr=0.0)
    (batch,) = make_batches()
    UPDATE_STRATEGIES[name](gan, [batch])
    twin = copy.deepcopy(gan.discriminator)
    twin.zero_grad()
    fake = gan.generator(batch.latents).pixel_values.detach()
    gan.loss.discriminator(twin(batch.pixel_values).logits, twin(fake).logits).backward()
    for ours, expected in zip(gan.discriminator.parameters(), twin.parameters()):
        torch.testing.assert_close(ours.grad, expected.grad)


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_accumulation_holds_the_activations_of_one_micro_batch(name):
    saved, largest = 0, []

    def pack(tensor):
        nonlocal saved
        saved += tensor.numel()
        largest.append(saved)
        return _Counted(tensor)

    class _Counted:
        def __init__(self, tensor):
            self.tensor = tensor

        def __del__(self):
            nonlocal saved
            saved -= self.tensor.numel()

    for number in (1, 4):
        gan, batches = make_gan("none"), make_batches(number)
        largest.append(0)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda counted: counted.tensor):
            UPDATE_STRATEGIES[name](gan, batches)
        peak, largest = max(largest), []
        if number == 1:
            alone = peak
    assert peak < 1.2 * alone


@pytest.mark.parametrize("mixed_precision", ["no", "bf16"])
@pytest.mark.parametrize("norm_type", ["group", "spectral", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_one_stage_gives_the_simultaneous_gradients(loss, norm_type, mixed_precision):
    AcceleratorState._reset_state(reset_partial_state=True)
    gans = [make_gan(norm_type, num_classes=4, loss=loss, mixed_precision=mixed_precision, lr=0.0) for _ in range(2)]
    for gan in gans:
        gan.discriminator.eval()  # each call in training mode improves the estimate of the spectral norm
    batches = make_batches(2, num_classes=4)
    values = [UPDATE_STRATEGIES[name](gan, batches) for name, gan in zip(("one_stage", "simultaneous"), gans)]
    for key in values[0]:
        torch.testing.assert_close(values[0][key], values[1][key])
    tolerance = 2e-2 if mixed_precision == "bf16" else 1e-4
    for ours, expected in zip(gradients(gans[0]), gradients(gans[1])):
        assert (ours - expected).norm() <= tolerance * expected.norm()
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [-200.0, -12.0, 12.0, 200.0])
def test_one_stage_when_the_discriminator_is_sure(loss, bias):
    """The discriminator's gradient vanishes, by underflow (bce) or exactly (hinge); the generator's does not."""
    gans = [make_gan("none", loss=loss, lr=0.0, use_bias=True) for _ in range(2)]
    for gan in gans:
        torch.nn.init.constant_(gan.discriminator.head.bias, bias)
    for name, gan in zip(("one_stage", "simultaneous"), gans):
        UPDATE_STRATEGIES[name](gan, make_batches())
    ours, expected = ([p.grad for p in gan.generator.parameters()] for gan in gans)
    for tensor, reference in zip(ours, expected):
        torch.testing.assert_close(tensor, reference, rtol=1e-3, atol=1e-3 * reference.abs().max().item())
    ours, expected = ([p.grad for p in gan.discriminator.parameters()] for gan in gans)
    for tensor, reference in zip(ours, expected):
        torch.testing.assert_close(tensor, reference, rtol=1e-4, atol=1e-5 * reference.abs().max().item() + 1e-12)


def gradients(gan):
    return [parameter.grad for network in (gan.generator, gan.discriminator) for parameter in network.parameters()]


def test_one_stage_refuses_batch_normalisation():
    assert has_batch_norm(torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    assert not has_batch_norm(torch.nn.GroupNorm(1, 3))
    with pytest.raises(ValueError, match="treats images independently, got `norm_type=batch`"):
        UPDATE_STRATEGIES["one_stage"](make_gan("batch"), make_batches())


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_statistics_are_detached(name):
    values = UPDATE_STRATEGIES[name](gan_for(name), make_batches(2))
    assert set(values) == {
        "discriminator_loss",
        "generator_loss",
        "real_logits",
        "fake_logits",
        "logits_std",
        "diversity",
    }
    assert all(value.ndim == 0 and not value.requires_grad for value in values.values())


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_discriminator_learns_to_tell_black_from_generated(name, loss):
    gan = gan_for(name, loss=loss, optimizer=torch.optim.Adam, lr=2e-3)
    gan.generator_optimizer.param_groups[0]["lr"] = 0.0
    batch = make_batches(size=16)[0]
    batch.pixel_values.fill_(-1.0)
    for _ in range(30):
        values = UPDATE_STRATEGIES[name](gan, [batch])
    assert values["real_logits"] > values["fake_logits"] + 0.5


class OwnDiscriminator(DCGANDiscriminator):
    """Discriminator that might compare the images of a batch."""


class MinibatchMean(torch.nn.Module):
    def forward(self, maps):
        return maps + maps.mean(0)


@pytest.mark.parametrize(
    "name, norm_type, number",
    [
        ("alternating", "spectral", 2),
        ("alternating", "batch", 3),
        ("one_stage", "group", 1),
        ("simultaneous", "group", 2),
    ],
)
def test_real_and_generated_images_share_a_call_where_it_makes_no_difference(name, norm_type, number):
    def number_of_calls(prepare=lambda gan: None):
        gan = make_gan(norm_type)
        prepare(gan)
        calls = []
        gan.discriminator.register_forward_hook(lambda *args: calls.append(args))
        UPDATE_STRATEGIES[name](gan, make_batches())
        return len(calls)

    most = 3 if name == "alternating" else 2
    assert number_of_calls() == number
    assert number_of_calls(lambda gan: setattr(gan.discriminator, "__class__", OwnDiscriminator)) == most
    assert number_of_calls(lambda gan: gan.discriminator.layers[-1].append(MinibatchMean())) == most
    if name != "one_stage" and norm_type != "batch":
        penalties = PenaltyWeights(r1=1.0)
        assert number_of_calls(lambda gan: setattr(gan, "penalties", penalties)) == most


def test_an_own_loss_may_change_logits_in_place():
    gans = [make_gan("group") for _ in range(2)]
    gans[0].loss = GANLoss(
        lambda real, fake: real.sub_(1).square().mean() + fake.square().mean(), LOSSES["bce"].generator
    )
    gans[1].loss = GANLoss(
        lambda real, fake: (real - 1).square().mean() + fake.square().mean(), LOSSES["bce"].generator
    )
    for gan in gans:
        UPDATE_STRATEGIES["alternating"](gan, make_batches())
    torch.testing.assert_close(weights(gans[0].discriminator), weights(gans[1].discriminator))


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_class_conditional(name):
    gan = gan_for(name, num_classes=4)
    before = gan.generator.stem.class_embedding.weight.detach().clone(), weights(gan.discriminator.class_projection)
    UPDATE_STRATEGIES[name](gan, make_batches(num_classes=4))
    assert not torch.equal(before[0], gan.generator.stem.class_embedding.weight)
    assert not torch.equal(before[1], weights(gan.discriminator.class_projection))


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
@pytest.mark.parametrize("norm_type", ["batch", "spectral"])
def test_bf16_is_close_to_fp32(name, norm_type):
    (batch,) = make_batches()
    losses = []
    for mixed_precision in ("no", "bf16"):
        # A new state, because Accelerate stores the precision in it.
        AcceleratorState._reset_state(reset_partial_state=True)
        gan = gan_for(name, norm_type, mixed_precision=mixed_precision, lr=0.02)  # higher ones amplify rounding
        values = [UPDATE_STRATEGIES[name](gan, [batch]) for _ in range(3)][-1]
        losses.append(torch.stack(list(values.values())))
        assert all(parameter.dtype == torch.float32 for parameter in gan.generator.parameters())
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.testing.assert_close(losses[1], losses[0], rtol=0.05, atol=0.05)
