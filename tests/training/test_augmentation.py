import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_hf.data.loaders import Shard
from dcgan_hf.training.augmentation import AUGMENTATIONS, NUM_RANDOM_NUMBERS, diff_augment
from dcgan_hf.training.batches import normal_latents, prepare_batches
from dcgan_hf.training.updates import UPDATE_STRATEGIES

from .test_update_strategies import gan_for, make_batches, weights


def randoms_for(size, **numbers):
    """Returns random numbers with no effect, except for the given ones."""
    positions = {
        "brightness": 0,
        "saturation": 1,
        "contrast": 2,
        "down": 3,
        "right": 4,
        "hole_down": 5,
        "hole_right": 6,
    }
    randoms = torch.full((size, NUM_RANDOM_NUMBERS), 0.5)
    for name, value in numbers.items():
        randoms[:, positions[name]] = value
    return randoms


def test_color_in_the_middle_changes_nothing():
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(diff_augment(images, randoms_for(4), ["color"]), images)


def test_color():
    images = torch.rand(4, 3, 8, 8)
    brighter = diff_augment(images, randoms_for(4, brightness=1.0), ["color"])
    torch.testing.assert_close(brighter, images + 0.5)
    grey = diff_augment(images, randoms_for(4, saturation=0.0), ["color"])
    torch.testing.assert_close(grey, images.mean(1, keepdim=True).expand_as(images))
    flat = diff_augment(images, randoms_for(4, contrast=0.0), ["color"])
    torch.testing.assert_close(flat.mean((1, 2, 3)), images.mean((1, 2, 3)))
    torch.testing.assert_close(flat.std((1, 2, 3)), images.std((1, 2, 3)) / 2)


@settings(deadline=None, max_examples=30)
@given(st.integers(16, 40), st.floats(0, 0.999), st.floats(0, 0.999))
def test_translation_moves_by_at_most_an_eighth_and_brings_in_grey(size, down, right):
    images = torch.rand(1, 2, size, size) + 1  # never 0
    moved = diff_augment(images, randoms_for(1, down=down, right=right), ["translation"])
    farthest = round(size / 8)
    dy, dx = (int(number * (2 * farthest + 1)) - farthest for number in (down, right))
    assert max(abs(dy), abs(dx)) <= farthest
    expected = torch.zeros_like(images)
    for y in range(size):
        for x in range(size):
            if 0 <= y + dy < size and 0 <= x + dx < size:
                expected[:, :, y, x] = images[:, :, y + dy, x + dx]
    assert torch.equal(moved, expected)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([16, 28, 36]), st.floats(0, 0.999), st.floats(0, 0.999))
def test_the_hole_is_a_square_of_half_the_size_cut_by_the_edges(size, down, right):
    images = torch.ones(1, 1, size, size)
    holes = diff_augment(images, randoms_for(1, hole_down=down, hole_right=right), ["cutout"])[0, 0] == 0
    rows, columns = holes.any(1).sum(), holes.any(0).sum()
    assert holes.sum() == rows * columns
    assert size // 4 <= rows <= size // 2 and size // 4 <= columns <= size // 2


def test_each_image_has_numbers_of_its_own():
    images = torch.rand(1, 3, 16, 16).repeat(5, 1, 1, 1)
    augmented = diff_augment(images, torch.rand(5, NUM_RANDOM_NUMBERS), list(AUGMENTATIONS))
    assert len({image.numpy().tobytes() for image in augmented}) == 5
    alone = diff_augment(images[:1], torch.rand(5, NUM_RANDOM_NUMBERS)[:1], list(AUGMENTATIONS))
    assert alone.shape == (1, 3, 16, 16)


def test_gradients():
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    randoms = torch.rand(2, NUM_RANDOM_NUMBERS, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, randoms, list(AUGMENTATIONS)), images)


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
@pytest.mark.parametrize("loss", ["bce", "relativistic"])
def test_all_that_the_discriminator_sees_is_augmented(name, loss):
    """The discriminator receives augmented images only, real and generated."""
    gan = gan_for(name, loss=loss)
    gan.augmentations = ["color"]
    (batch,) = make_batches(size=8)
    batch.augmentation = torch.rand(2, 8, NUM_RANDOM_NUMBERS)
    seen = []
    discriminator = gan.accelerator.unwrap_model(gan.discriminator)
    discriminator.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0].split(8)))
    before = weights(gan.generator)
    UPDATE_STRATEGIES[name](gan, [batch])
    assert not torch.equal(before, weights(gan.generator))
    expected_real = diff_augment(batch.pixel_values, batch.augmentation[0], ["color"])
    real = [images for images in seen if torch.allclose(images, expected_real)]
    assert not any(torch.equal(images, batch.pixel_values) for images in seen)
    assert len(real) == (2 if name == "alternating" and loss == "relativistic" else 1)


def test_numbers_depend_on_seed_and_step_not_on_the_number_of_processes():
    def numbers(step, process, processes, size):
        raw = [{"pixel_values": torch.zeros(size, 1, 16, 16, dtype=torch.uint8)}]
        shard = Shard(size, 7, process, processes)
        (batch,) = prepare_batches(raw, step, shard, normal_latents(5), augments=True, interpolates=True)
        return torch.cat([batch.augmentation.flatten(0, 1).T.flatten(), batch.interpolation]), batch

    _, whole = numbers(3, 0, 1, 8)
    halves = [numbers(3, process, 2, 4)[1] for process in (0, 1)]
    assert torch.equal(whole.augmentation, torch.cat([half.augmentation for half in halves], 1))
    assert torch.equal(whole.interpolation, torch.cat([half.interpolation for half in halves]))
    assert not torch.equal(numbers(3, 0, 1, 8)[0], numbers(4, 0, 1, 8)[0])
