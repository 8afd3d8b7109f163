import math

import pytest
import torch
from huggingface_hub import create_repo
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.interpretability.latent_space import (
    DIRECTIONS_FILE,
    Directions,
    add_difference,
    boundary_direction,
    factorized_directions,
    interpolate,
    mean_difference,
    principal_directions,
    set_coordinate,
)
from dcgan_hf.publishing.upload import Publication, publish_folder


def make_generator(**config):
    torch.manual_seed(0)
    fields = {"image_size": 16, "hidden_size": 8, "latent_dim": 6, "initializer": "xavier_uniform"} | config
    return DCGANGenerator(DCGANGeneratorConfig(**fields)).eval()


# ---- between latents ----


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 12))
def test_spherical_interpolation_turns_evenly_and_keeps_the_length_between(seed, num_steps, latent_dim):
    start, end = torch.randn(2, latent_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    path = interpolate(start, end, num_steps)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    lengths = path.norm(dim=1)
    steps = lengths.diff()
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-9, rtol=1e-6)
    unit = path / lengths[:, None]
    angles = (unit[:-1] * unit[1:]).sum(1).clamp(-1, 1).arccos()
    torch.testing.assert_close(angles, angles[:1].expand_as(angles), atol=1e-6, rtol=1e-5)


def test_other_interpolations():
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(interpolate(start, end, 3, "linear")[1], torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(interpolate(start, end, 3)[1], torch.tensor([math.sqrt(2), math.sqrt(2)]))
    torch.testing.assert_close(interpolate(start, 3 * start, 3)[1], 2 * start)  # zero angle: linear
    for wrong, message in (
        ({"num_steps": 1}, "`num_steps` must be at least 2, got 1"),
        ({"method": "cubic"}, '`method` must be "spherical" or "linear", got \'cubic\''),
        ({"end": torch.zeros(3)}, r"the same shape \(latent_dim,\), got \(2,\) and \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            interpolate(**{"start": start, "end": end, "num_steps": 3} | wrong)


def test_arithmetic():
    with_it, without = torch.tensor([[3.0, 1.0], [5.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    torch.testing.assert_close(
        add_difference(torch.tensor([[0.0, 7.0]]), with_it, without), torch.tensor([[3.0, 7.0]])
    )


def test_differences_with_other_labels_held_equal():
    generator = torch.Generator().manual_seed(0)
    glasses = torch.rand(4000, generator=generator) < 0.4
    # Dark hair is correlated with glasses, and has a separate direction.
    dark = torch.rand(4000, generator=generator) < torch.where(glasses, 0.8, 0.2)
    of_glasses, of_dark = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    latents = torch.randn(4000, 3, generator=generator) + glasses[:, None] * of_glasses + dark[:, None] * of_dark
    hair = torch.stack([dark, ~dark], 1)
    torch.testing.assert_close(mean_difference(latents, glasses, hair), of_glasses, atol=0.1, rtol=0)
    plain = latents[glasses].mean(0) - latents[~glasses].mean(0)
    torch.testing.assert_close(mean_difference(latents, glasses, hair[:, :0]), plain, atol=1e-5, rtol=0)
    assert plain[1] > 1
    with pytest.raises(ValueError, match="must be true for some and false for others, got 0 of 4000"):
        mean_difference(latents, glasses & ~glasses, hair)


def test_all_get_the_same_coordinate_and_keep_the_others():
    latents = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    direction = torch.tensor([3.0, 0.0, 0.0, 4.0, 0.0])
    moved = set_coordinate(latents, direction, 1.5)
    torch.testing.assert_close(moved @ direction, torch.full((9,), 7.5))  # 1.5 times the length of the direction
    rest = torch.eye(5) - torch.outer(direction, direction) / 25
    torch.testing.assert_close(moved @ rest, latents @ rest)


# ---- directions ----


def test_factors_are_eigenvectors_and_change_most():
    generator = make_generator()
    directions = factorized_directions(generator, 6)
    weight = generator.stem.projection.weight.detach()
    stretches = (weight @ directions.vectors.T).norm(dim=0)
    assert (stretches.diff() <= 1e-5).all() and directions.names[:2] == ["factor 0", "factor 1"]
    torch.testing.assert_close(directions.vectors @ directions.vectors.T, torch.eye(6), atol=1e-5, rtol=0)
    values, vectors = torch.linalg.eigh(weight.T @ weight)
    assert abs(vectors[:, -1] @ directions.vectors[0]).item() == pytest.approx(1, abs=1e-4)
    assert stretches[0].item() == pytest.approx(values[-1].sqrt().item(), rel=1e-4)


@pytest.mark.parametrize("config", [{"num_classes": 3}, {"stem_hidden_sizes": [5]}, {"norm_type": "spectral"}])
def test_factors_of_other_stems(config):
    assert factorized_directions(make_generator(**config), 4).vectors.shape == (4, 6)


def test_principal_directions_of_a_linear_stem_are_its_factors():
    """Without normalisation and activation function, the map is linear: its components are those of the weight."""
    generator = make_generator(stem_norm=False, stem_activation=False)
    found = principal_directions(generator, 2, num_latents=3000).vectors
    expected = factorized_directions(generator, 2).vectors
    weight = generator.stem.projection.weight.detach()
    stretch = [(weight @ vectors.T).norm(dim=0) for vectors in (found, expected)]
    torch.testing.assert_close(*stretch, rtol=0.02, atol=0)
    labelled = principal_directions(make_generator(num_classes=2), 3, num_latents=50, class_label=1)
    assert labelled.vectors.shape == (3, 6) and labelled.names == ["component 0", "component 1", "component 2"]


def test_boundary():
    latents = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.normalize(torch.tensor([1.0, -2, 0, 0, 0.5, 0]), dim=0)
    found = boundary_direction(latents, latents @ truth > 0.3)
    assert found.norm().item() == pytest.approx(1) and found @ truth > 0.98
    with pytest.raises(ValueError, match="must be true for some and false for others, got 500 of 500"):
        boundary_direction(latents, torch.ones(500, dtype=torch.bool))


def test_directions_move_save_and_load(hub, token, tmp_path):
    directions = factorized_directions(make_generator(latent_dim=12), 12)
    latents = torch.randn(3, 12)
    moved = directions.move(latents, "factor 10", [-1.0, 0.0, 2.5])
    assert moved.shape == (3, 3, 12)
    torch.testing.assert_close(moved[:, 1], latents)
    torch.testing.assert_close(moved[:, 2] - latents, (2.5 * directions.vectors[10]).expand(3, 12))
    directions.save_pretrained(tmp_path)
    loaded = Directions.from_pretrained(tmp_path)
    assert loaded.names == directions.names and torch.equal(loaded.vectors, directions.vectors)
    make_generator(latent_dim=12).save_pretrained(tmp_path / "generator")
    create_repo("org/dcgan")
    publish_folder(tmp_path, "org/dcgan", Publication())
    assert DIRECTIONS_FILE in hub.files("org/dcgan")
    assert torch.equal(Directions.from_pretrained("org/dcgan").vectors, directions.vectors)


def test_wrong_use():
    with pytest.raises(ValueError, match="`num_directions` must be from 1 to `latent_dim=6`, got 7"):
        factorized_directions(make_generator(), 7)
    with pytest.raises(ValueError, match="`num_latents` must be more than `num_directions=3`, got 3"):
        principal_directions(make_generator(), 3, num_latents=3)
    with pytest.raises(ValueError, match=r"`name` must be one of \['up'\], got 'down'"):
        Directions(torch.eye(6)[:1], ["up"]).move(torch.zeros(1, 6), "down", [1.0])
    with pytest.raises(ValueError, match=r"a unique name for each of the 2 directions, got \['up', 'up'\]"):
        Directions(torch.eye(6)[:2], ["up", "up"])
