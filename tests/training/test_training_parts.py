"""Tests of small parts of training: batches, seeds, statistics, health, log, sample grids, checkpoints, signals."""

import json
import math
import os
import re
import signal
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from accelerate import Accelerator

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.data.datasets import find_images
from dcgan_hf.data.loaders import Shard
from dcgan_hf.data.seeding import PURPOSES, seeded_generator
from dcgan_hf.pictures import MAX_GIF_FRAMES, save_animation
from dcgan_hf.training.batches import normal_latents, prepare_batches
from dcgan_hf.training.checkpoint_files import write_state
from dcgan_hf.training.checkpointing import find_checkpoint, list_checkpoints
from dcgan_hf.training.failures import check_finite, diagnose, diagnose_classes, diagnose_quality, diversity
from dcgan_hf.training.losses import LOSSES
from dcgan_hf.training.results import describe_dataset
from dcgan_hf.training.running_statistics import RunningStatistics
from dcgan_hf.training.samples import SampleGrid, remove_later_samples, sample_path
from dcgan_hf.training.session import StopSignals
from dcgan_hf.training.trackers import JSONLTracker


def draw(*arguments):
    return torch.rand(4, generator=seeded_generator(*arguments)).tolist()


def test_seeds_depend_on_seed_purpose_and_index_alone():
    drawn = [draw(seed, purpose, index) for seed in (0, 1) for purpose in PURPOSES for index in (0, 1)]
    assert len({tuple(values) for values in drawn}) == len(drawn)
    torch.rand(3)
    assert draw(1, "flips", 1) == draw(1, "flips", 1)


def test_seeds_mean_the_same_for_ever():
    """Otherwise later versions could not resume a run."""
    assert seeded_generator(0, "latents", 0).initial_seed() == 7896617691693857887
    assert seeded_generator(3, "order", 5).initial_seed() == 8457714677105321250


@pytest.mark.parametrize("path, name", [(".", "cats"), ("..", "data"), ("./", "cats"), ("~", "a-local-folder")])
def test_every_folder_has_a_name_on_the_card(tmp_path, monkeypatch, path, name):
    folder = tmp_path / "data" / "cats"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    pixels = datasets.Dataset.from_dict({"image": [b""]})
    assert describe_dataset(find_images(pixels, "image"), path)["name"] == name


def raw_batch(size=4, channels=1, label=None):
    images = torch.arange(size * channels * 6 * 6, dtype=torch.uint8).reshape(size, channels, 6, 6)
    return {"pixel_values": images} | ({"class_labels": torch.full((size,), label)} if label is not None else {})


def prepare(raw_batches, latent_dim=1, seed=0, step=0, process_index=0, num_processes=1, random_flip=False):
    shard = Shard(len(raw_batches[0]["pixel_values"]), seed, process_index, num_processes)
    return prepare_batches(raw_batches, step, shard, normal_latents(latent_dim), random_flip)


def test_pixels_are_normalised():
    raw = {"pixel_values": torch.tensor([0, 255, 51]).to(torch.uint8).reshape(3, 1, 1, 1)}
    (batch,) = prepare([raw], latent_dim=5)
    torch.testing.assert_close(batch.pixel_values.flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    assert batch.latents.shape == (3, 5) and batch.class_labels is None


def test_flips_mirror_about_half_of_the_images():
    raw = raw_batch(size=400)
    (batch,) = prepare([raw], random_flip=True)
    (plain,) = prepare([raw])
    mirrored = (batch.pixel_values == plain.pixel_values.flip(-1)).flatten(1).all(1)
    same = (batch.pixel_values == plain.pixel_values).flatten(1).all(1)
    assert (mirrored ^ same).all() and 150 < mirrored.sum() < 250


def test_random_numbers_do_not_depend_on_the_division_into_processes_and_micro_batches():
    raw = raw_batch(size=4)
    whole = prepare([raw_batch(size=8)], latent_dim=3, seed=1, step=2)[0].latents
    parts = [prepare([raw], 3, seed=1, step=2, process_index=i, num_processes=2)[0].latents for i in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)
    accumulated = prepare([raw, raw], latent_dim=3, seed=1, step=2)
    assert torch.equal(torch.cat([batch.latents for batch in accumulated]), whole)
    assert not torch.equal(prepare([raw_batch(size=8)], latent_dim=3, seed=1, step=3)[0].latents, whole)


def test_latents_are_normal():
    (batch,) = prepare([raw_batch(size=2000)], latent_dim=50)
    assert abs(batch.latents.mean()) < 0.02 and abs(batch.latents.std() - 1) < 0.02


def test_statistics_are_means_over_the_interval():
    statistics, accelerator = RunningStatistics(), Accelerator(cpu=True)
    for value in (1.0, 2.0, 6.0):
        with statistics.waiting():
            pass
        statistics.add({"loss": torch.tensor(value)}, num_images=10)
    means, stops = statistics.reduce(accelerator, stop=True)
    assert means["loss"] == 3 and means["images_per_second"] > 0 and stops
    statistics.add({"loss": torch.tensor(5.0)}, num_images=10)
    means, stops = statistics.reduce(accelerator, stop=False)
    assert means["loss"] == 5 and not stops
    assert 0 <= statistics.waiting_share < 1 and statistics.training_images_per_second > 0


HEALTHY = {
    "discriminator_loss": 1.0,
    "generator_loss": 1.0,
    "real_logits": 1.0,
    "fake_logits": -1.0,
    "logits_std": 1.0,
    "diversity": 0.9,
}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({}, None),
        ({"real_logits": 5.0, "fake_logits": -5.0}, None),
        ({"logits_std": 0.0}, "The discriminator is dead: it gives every image, .* the same logit"),
        ({"discriminator_loss": 0.001}, "The discriminator has won"),
        ({"discriminator_loss": 0.0}, "The discriminator has won"),
        ({"diversity": 0.1}, "The generator has collapsed"),
    ],
)
def test_diagnosis(changes, message):
    diagnosis = diagnose(HEALTHY | changes, step=1000)
    assert (diagnosis is None) if message is None else re.search(message, diagnosis)


def test_untrained_generators_have_not_collapsed():
    assert diagnose(HEALTHY | {"diversity": 0.1}, step=100) is None


def test_a_critic_s_loss_says_nothing_about_victory():
    assert diagnose(HEALTHY | {"discriminator_loss": -5.0}, step=1000, is_saturating=False) is None


@pytest.mark.parametrize(
    "contrasts, message",
    [
        ([1, 1, 1], None),
        ([1, 0.3, 1], None),  # less varied, as averages of a generator often are
        ([1, 0.2, 1], "has collapsed in 1 of 3 classes, .* as real ones: dog. Try"),
        ([0.1, 1, 0.1], "in 2 of 3 classes, .*: cat; frog"),
        ([0, 0, 0], None),  # the statistics say so
    ],
)
def test_classes_that_are_always_alike_are_named(contrasts, message):
    real, labels = torch.randn(60, 3, 8, 8), torch.arange(60) % 3
    fake = real * torch.tensor(contrasts)[labels][:, None, None, None] + labels[:, None, None, None]
    names = {0: "cat", 1: "dog", 2: "frog"}
    diagnosis = diagnose_classes(real, labels, fake, labels, names, 500)
    assert (diagnosis is None) if message is None else re.search(message, diagnosis)
    assert diagnose_classes(real, labels, fake, labels, names, 499) is None, "untrained generators are excused"
    assert diagnose_classes(real, labels, fake[:3], labels[:3], names, 500) is None, "one image each"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_end_the_run(value):
    check_finite(HEALTHY, step=3)
    with pytest.raises(
        FloatingPointError, match="diverged: non-finite values in generator_loss.* at step 3 .*checkpoint-2"
    ):
        check_finite(HEALTHY | {"generator_loss": value}, step=3, find_checkpoints=lambda: [Path("run/checkpoint-2")])


@pytest.mark.parametrize(
    "value, best, message",
    [(3.0, None, None), (5.9, 3.0, None), (9.0, 3.0, "3.0 times as far .* as those of step 7"), (0.1, -0.01, None)],
)
def test_images_that_have_become_bad_are_named(value, best, message):
    diagnosis = diagnose_quality(value, best, 7)
    assert (diagnosis is None) if message is None else re.search(message, diagnosis)


def test_diversity_is_the_ratio_of_differences():
    real = torch.randn(40, 3, 8, 8)
    assert diversity(real, real * 0.5 + 1).item() == pytest.approx(0.5, rel=1e-4)
    one_image = torch.randn(1, 3, 8, 8).expand(40, -1, -1, -1)
    assert diversity(real, one_image).item() < 1e-2
    assert diversity(one_image, real).isfinite()


def test_diversity_within_classes_sees_one_image_a_class():
    labels = torch.arange(40) % 10
    real, templates = torch.randn(40, 1, 8, 8), torch.randn(10, 1, 8, 8)
    assert diversity(real, templates[labels]).item() > 0.5
    assert diversity(real, templates[labels], labels).item() < 1e-2
    assert diversity(real[:10], real[:10], labels[:10]) == 1  # no class has two images


def test_log_drops_what_a_killed_run_wrote_after_its_checkpoint(tmp_path):
    path = tmp_path / "logs" / "metrics.jsonl"
    tracker = JSONLTracker(path, resume_step=0)
    tracker.start()
    for step in (10, 20, 30):
        tracker.log({"loss": step / 10}, step=step)
    with path.open("a") as file:
        file.write('{"step": 4')
    tracker = JSONLTracker(path, resume_step=20)
    tracker.start()
    tracker.log({"loss": 9.0}, step=30)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert entries == [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": 9.0}]


@pytest.mark.parametrize(
    "num_images, num_classes, columns, rows", [(9, 0, 3, 3), (10, 0, 4, 3), (1, 0, 1, 1), (7, 3, 3, 3)]
)
def test_grid(num_images, num_classes, columns, rows):
    config = DCGANGeneratorConfig(image_size=16, hidden_size=4, num_channels=1, latent_dim=5, num_classes=num_classes)
    generator = DCGANGenerator(config).train()
    grid = SampleGrid(torch.randn(num_images, 5), config)
    image = grid.draw(generator)
    assert image.mode == "L" and image.size == (columns * 18 + 2, rows * 18 + 2)
    assert grid.draw(generator).tobytes() == image.tobytes()
    assert generator.training
    # The first image is at the top left.
    generator.eval()
    labels = grid.class_labels[:1] if num_classes else None
    first = generator(grid.latents[:1], labels).pixel_values[0, 0] / 2 + 0.5
    np.testing.assert_allclose(np.asarray(image)[2:18, 2:18], (first.detach() * 255).round(), atol=1)


def test_grids_of_later_steps_are_removed_and_no_others(tmp_path):
    assert sample_path(tmp_path, 7) == tmp_path / "step-0000007.png"
    for step in (7, 9, 12_345_678):
        sample_path(tmp_path, step).touch()
    (tmp_path / "mine.png").touch()
    remove_later_samples(tmp_path, 8)
    assert {path.name for path in tmp_path.iterdir()} == {"step-0000007.png", "mine.png"}


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.is_saturating])
def test_a_perfect_discriminator_is_recognised_whatever_the_loss(name):
    real, fake = (
        (torch.tensor([1.0]), torch.tensor([0.0]))
        if name == "least_squares"
        else (
            torch.tensor([9.0]),
            torch.tensor([-9.0]),
        )
    )
    loss = LOSSES[name].discriminator(real, fake).item()
    assert "has won" in diagnose(HEALTHY | {"discriminator_loss": loss}, step=1000)


def test_weights_that_are_no_numbers_are_seen():
    network = torch.nn.Linear(2, 2)
    check_finite(HEALTHY, 1, [network, network])
    network.bias.data[1] = math.inf
    with pytest.raises(FloatingPointError, match="Training diverged: non-finite values in the weights"):
        check_finite(HEALTHY, 1, [torch.nn.Linear(2, 2), network])


@pytest.mark.parametrize("num_files, num_frames", [(1, 1), (5, 5), (MAX_GIF_FRAMES + 30, MAX_GIF_FRAMES)])
def test_animation(tmp_path, num_files, num_frames):
    (tmp_path / "samples").mkdir()
    for i in range(num_files):
        PIL.Image.new("L", (8, 8), 2 * i).save(tmp_path / "samples" / f"step-{i:07d}.png")
    for name, text in {"step-notes.png": "notes", "step-0000999.png": "", "step-0000002-b.png": "mine"}.items():
        (tmp_path / "samples" / name).write_text(text)
    save_animation(tmp_path / "samples", tmp_path / "training.gif")
    animation = PIL.Image.open(tmp_path / "training.gif")
    assert getattr(animation, "n_frames", 1) == num_frames
    assert animation.convert("L").getpixel((0, 0)) == 0
    animation.seek(num_frames - 1)
    assert animation.convert("L").getpixel((0, 0)) == 2 * (num_files - 1)


def test_finding_checkpoints(tmp_path):
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-best", ".tmp-checkpoint-11"):
        (tmp_path / name).mkdir()
        write_state(tmp_path / name, {"state": {}, "arguments": {}, "num_processes": 1, "positions": [[0, 0]]})
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10"]
    assert find_checkpoint(tmp_path, "latest").name == "checkpoint-10"
    assert find_checkpoint(tmp_path, "checkpoint-9") == tmp_path / "checkpoint-9"
    assert find_checkpoint(tmp_path, str(tmp_path / "checkpoint-9")) == tmp_path / "checkpoint-9"
    assert find_checkpoint(tmp_path / "empty", "latest") is None
    with pytest.raises(ValueError, match="`resume_from_checkpoint=checkpoint-1` is not a checkpoint. Available in"):
        find_checkpoint(tmp_path, "checkpoint-1")


def test_a_second_signal_is_not_held_back():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
