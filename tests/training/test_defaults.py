"""Tests of what a run chooses for its images: length, augmentation, and the verdict at its end."""

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_hf import DCGANTrainingArguments
from dcgan_hf.data.datasets import ImageDataset
from dcgan_hf.data.procedural_faces import ATTRIBUTES, draw_face
from dcgan_hf.pictures import to_pixel_values
from dcgan_hf.training.failures import band_energies, diagnose_noise
from dcgan_hf.training.generation import GenerationTask
from dcgan_hf.training.length import describe_duration, number_of_steps

from ..train_utils import run_command


def steps_for(number, num_processes=1, **arguments):
    args = DCGANTrainingArguments(**arguments)
    task = GenerationTask(args)
    task.image_dataset = ImageDataset(datasets.Dataset.from_dict({"image": [None] * number}), None)
    return number_of_steps(args, task, range(number // args.train_batch_size), num_processes)


@pytest.mark.parametrize(
    "number, arguments, steps",
    [
        (60, {}, 10_000),
        (40_000, {}, 10_000),
        (100_000, {}, 25_000),
        (100_000, {"num_processes": 2}, 12_500),
        (100_000, {"train_batch_size": 32, "gradient_accumulation_steps": 2}, 10_000),
        (60, {"max_train_steps": 7}, 7),
        (64, {"num_epochs": 3}, 12),
        (64, {"num_epochs": 3, "max_train_steps": 7}, 7),
    ],
)
def test_number_of_updates(number, arguments, steps):
    assert steps_for(number, **arguments) == steps


def test_streams_have_a_default_length_but_no_epochs():
    args = DCGANTrainingArguments(streaming=True)
    task = GenerationTask(args)
    task.image_dataset = ImageDataset(datasets.Dataset.from_dict({"image": [None]}).to_iterable_dataset(), None)
    assert number_of_steps(args, task, [], 1) == 10_000
    args.num_epochs = 2
    with pytest.raises(ValueError, match="`num_epochs=2`: an epoch of a stream is unknown"):
        number_of_steps(args, task, [], 1)


@pytest.mark.parametrize(
    "chosen, number, names",
    [
        (None, 999, ["color", "translation", "cutout"]),
        (None, 1_000, []),
        (None, None, []),
        (["none"], 10, []),
        (["translation"], 10**6, ["translation"]),
    ],
)
def test_few_images_are_augmented(chosen, number, names):
    assert DCGANTrainingArguments(diff_augment=chosen).augmentations_for(number) == names


@pytest.mark.parametrize("chosen", [["none", "color"], ["cutout", "color"], []])
def test_augmentations_that_contradict_each_other(chosen):
    if chosen:
        with pytest.raises(ValueError, match="`diff_augment` must be 'none' or a selection of"):
            DCGANTrainingArguments(diff_augment=chosen)
    else:
        assert DCGANTrainingArguments(diff_augment=chosen).augmentations_for(10) == []


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    images = [draw_face({name: rng.choice(words) for name, words in ATTRIBUTES.items()}, rng) for _ in range(128)]
    return to_pixel_values(torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2))


def test_other_real_images_are_no_noise(faces):
    assert diagnose_noise(faces[:64], faces[64:], steps=1) is None


@pytest.mark.parametrize(
    "spoil",
    [
        torch.rand_like,  # noise
        lambda images: 0.05 * torch.randn_like(images),  # grey, as of an untrained generator
        lambda images: images[:1].expand_as(images),  # always the same
        lambda images: 0.2 * images,  # faint
        lambda images: images + 0.4 * torch.randn_like(images),  # covered with noise
    ],
)
def test_noise_is_called_so(faces, spoil):
    torch.manual_seed(0)
    assert "After 75 updates, the generated images are probably no good" in diagnose_noise(faces, spoil(faces), 75)


@pytest.mark.parametrize("contrast, is_pale", [(0.05, False), (0.2, True), (0.6, True), (0.9, None), (2.0, False)])
def test_pale_images_need_contrast_rather_than_updates(faces, contrast, is_pale):
    diagnosis = diagnose_noise(faces, contrast * faces.flip(0), 75)
    assert (diagnosis is None) == (is_pale is None)
    assert diagnosis is None or ("--match_contrast" in diagnosis) == is_pale


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(4, 70), st.integers(4, 70))
def test_energies_are_finite_at_any_size(number, channels, height, width):
    images = torch.rand(number, channels, height, width) * 2 - 1
    energies = band_energies(images)
    assert energies.isfinite().all() and (energies >= 0).all()
    assert torch.allclose(band_energies(images / 2), energies / 4, atol=1e-6)


def test_a_run_that_is_too_short_says_so(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        pixels = np.kron(rng.integers(0, 256, (2, 2), dtype=np.uint8), np.ones((16, 16), np.uint8))
        PIL.Image.fromarray(pixels).save(folder / f"{i}.png")
    tiny = ("--hidden_size=4", "--latent_dim=4", "--resolution=16", "--use_cpu", "--max_train_steps=250")
    run_command("train", "--dataset_name", folder, *tiny, "--output_dir", tmp_path / "run")
    assert "Augmentations: color, translation, cutout" in caplog.text
    assert caplog.text.count("Training will take another") == 1
    assert "After 250 updates, the generated images are probably no good" in caplog.text


@pytest.mark.parametrize(
    "seconds, words", [(20, "20 seconds"), (240, "4 minutes"), (5000, "83 minutes"), (2 * 3600, "2.0 hours")]
)
def test_durations_in_words(seconds, words):
    assert describe_duration(seconds) == words
