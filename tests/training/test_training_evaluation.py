"""Tests of evaluation during training: measurements, choice of the best model, early stopping."""

import json
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from dcgan_hf import DCGANPipeline
from dcgan_hf.evaluation.records import read_metrics
from dcgan_hf.training.checkpoint_files import write_state

from ..train_utils import checkpoints, fingerprint, read_log, run_command, save_classifier, train_elsewhere, train_here


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture
def evaluating(classifier):
    return {"eval_steps": 4, "eval_features": classifier, "eval_num_images": 100}


# Its images are the best after 2 and 8 updates.
SPOILED = {"learning_rate": 0.1, "discriminator_config": '{"norm_type": "spectral"}'}


def measurements(output_dir):
    return {entry["step"]: entry["eval_frechet_distance"] for entry in read_log(output_dir) if "eval_modes" in entry}


def state_of(checkpoint):
    return json.loads((checkpoint / "trainer_state.json").read_text())["state"]


@pytest.mark.parametrize("options", [{}, {"class_conditional": True}, {"use_ema": False}])
def test_what_is_measured_is_what_evaluating_the_saved_model_gives(tmp_path, evaluating, classifier, options):
    train_here(tmp_path / "run", **evaluating, **options)
    assert list(measurements(tmp_path / "run")) == [4, 8, 12]
    metrics = {metric.type: metric for metric in read_metrics(tmp_path / "run")}
    distance = metrics["frechet_distance"]
    assert distance.value == measurements(tmp_path / "run")[12] > 0
    assert (distance.num_images, distance.num_real_images, distance.features) == (100, 1797, "classifier")
    assert ("class_accuracy" in metrics) == ("class_conditional" in options)
    card = ModelCard.load(tmp_path / "run" / "README.md")
    assert {result.metric_type for result in card.data.eval_results} == metrics.keys()

    flags = ("--dataset_name", "digits", "--features", classifier, "--num_images", 100, "--use_cpu")
    run_command("evaluate", tmp_path / "run", *flags, "--feature_cache_dir", tmp_path / "cache")
    again = {metric.type: metric for metric in read_metrics(tmp_path / "run")}
    for name, metric in metrics.items():
        if name != "kernel_distance":  # uses more subsets
            assert again[name].value == pytest.approx(metric.value, rel=0.02), name


def test_the_best_model_is_kept_and_saved(tmp_path, evaluating):
    train_here(tmp_path, **evaluating, **SPOILED, save_best=True, checkpointing_steps=12, checkpoints_total_limit=1)
    distances = measurements(tmp_path)
    best = min(distances, key=distances.get)
    assert best < 12, distances
    assert checkpoints(tmp_path) == sorted(["checkpoint-12", f"checkpoint-{best}"])
    saved = load_file(tmp_path / "generator" / "model.safetensors")
    ema = load_file(tmp_path / f"checkpoint-{best}" / "ema.safetensors")
    assert all(torch.equal(saved[name], ema[name]) for name in saved)
    assert read_metrics(tmp_path)[0].value == distances[best]
    assert json.loads((tmp_path / "training_results.json").read_text())["best_step"] == best
    assert f"the model of update {best} is kept" in (tmp_path / "README.md").read_text().replace("\n  ", " ")


def test_without_save_best_the_last_model_is_saved(tmp_path, evaluating):
    train_here(tmp_path, **evaluating, **SPOILED)
    saved = load_file(tmp_path / "generator" / "model.safetensors")
    ema = load_file(tmp_path / "checkpoint-12" / "ema.safetensors")
    assert all(torch.equal(saved[name], ema[name]) for name in saved)
    assert "is kept" not in (tmp_path / "README.md").read_text()


def test_training_ends_early(tmp_path, evaluating, caplog):
    options = evaluating | SPOILED | {"eval_steps": 2, "max_train_steps": 40, "early_stopping_patience": 2}
    train_here(tmp_path, **options, save_best=True)
    distances = list(measurements(tmp_path).values())
    assert len(distances) < 20
    assert distances[-3] == min(distances) and len(distances) == distances.index(min(distances)) + 3
    assert "Resume with" not in caplog.text
    before = fingerprint(tmp_path / "generator")
    train_here(tmp_path, **options, save_best=True, resume_from_checkpoint="latest")
    assert len(measurements(tmp_path)) == len(distances) and fingerprint(tmp_path / "generator") == before


def test_a_share_of_all_updates(tmp_path, evaluating):
    train_here(tmp_path, **evaluating | {"eval_steps": 0.5}, metric_for_best_model="kernel_distance", save_best=True)
    assert list(measurements(tmp_path)) == [6, 12]
    kernel_distances = [entry["eval_kernel_distance"] for entry in read_log(tmp_path) if "eval_modes" in entry]
    assert state_of(tmp_path / "checkpoint-12")["best_value"] == min(kernel_distances)


def test_a_resumed_run_ends_with_the_same_best_model(tmp_path, evaluating):
    options = evaluating | SPOILED | {"save_best": True}
    train_here(tmp_path / "whole", **options)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    train_here(tmp_path / "parts", **options, resume_from_checkpoint="checkpoint-8")
    assert state_of(tmp_path / "parts" / "checkpoint-12")["best_step"] is not None
    for folder in ("generator", "discriminator", "checkpoint-12"):
        assert fingerprint(tmp_path / "parts" / folder) == fingerprint(tmp_path / "whole" / folder)
    assert measurements(tmp_path / "parts") == measurements(tmp_path / "whole")


@pytest.mark.parametrize("change", [{"eval_num_images": 90}, {"match_contrast": "true"}])
def test_a_best_value_that_was_measured_in_another_way_is_not_compared(tmp_path, evaluating, change):
    options = evaluating | SPOILED | {"save_best": True}
    train_here(tmp_path, **options, max_train_steps=8)
    best = state_of(tmp_path / "checkpoint-8")["best_step"]
    train_here(tmp_path, **options | change, max_train_steps=8, resume_from_checkpoint="latest")
    assert json.loads((tmp_path / "training_results.json").read_text())["best_step"] == best, "nothing newer"
    train_here(tmp_path, **options | change, resume_from_checkpoint="latest")
    assert state_of(tmp_path / "checkpoint-12")["best_step"] == 12


def test_measuring_does_not_change_training(tmp_path, evaluating):
    train_here(tmp_path / "measured", **evaluating)
    train_here(tmp_path / "not")
    for folder in ("generator", "discriminator", "checkpoint-12"):
        assert fingerprint(tmp_path / "measured" / folder) == fingerprint(tmp_path / "not" / folder)


def test_a_lost_best_checkpoint_is_sought_anew(tmp_path, evaluating, caplog):
    options = evaluating | {"save_best": True}
    train_here(tmp_path, **options | {"max_train_steps": 8})
    best = state_of(tmp_path / "checkpoint-8")["best_step"]
    train_here(tmp_path, **options | {"max_train_steps": 8}, overwrite_output_dir=True, eval_batch_size=9)
    content = json.loads((tmp_path / "checkpoint-8" / "trainer_state.json").read_text())
    assert content["state"]["best_step"] == best
    content["state"]["best_step"] = 3
    names = ("state", "arguments", "num_processes", "positions")
    write_state(tmp_path / "checkpoint-8", {name: content[name] for name in names})
    train_here(tmp_path, **options, resume_from_checkpoint="latest")
    assert "The checkpoint of the best model (step 3) is missing" in caplog.text
    assert state_of(tmp_path / "checkpoint-12")["best_step"] == 12


def test_measurements_of_another_model_do_not_stay(tmp_path, evaluating):
    train_here(tmp_path, **evaluating)
    assert read_metrics(tmp_path)
    train_here(tmp_path, max_train_steps=14, resume_from_checkpoint="latest")
    assert not read_metrics(tmp_path)
    assert not ModelCard.load(tmp_path / "README.md").data.eval_results


def test_two_processes_measure_together(tmp_path, evaluating):
    options = {"train_batch_size": 32, "save_best": True, "early_stopping_patience": 3}
    output = train_elsewhere(tmp_path / "two", processes=2, **evaluating, **options)
    assert output.count("Frechet distance") >= 3 and "Evaluation took" in output
    assert list(measurements(tmp_path / "two")) == [4, 8, 12]
    assert len(DCGANPipeline.from_pretrained(tmp_path / "two")(batch_size=2).images) == 2


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"eval_num_images": 12},
            "12 generated and 1,797 real images are too few for the 12 features of 'classifier'",
        ),
        ({"eval_split": "test"}, "'digits' has no split 'test'"),
        ({"eval_features": "nobody/nothing"}, "nobody/nothing"),
        ({"eval_features": "inception"}, "needs torch-fidelity and torchvision.*efficientnet-lite0"),
    ],
)
def test_what_cannot_be_measured_is_told_before_training(tmp_path, evaluating, changes, message):
    with pytest.raises((ValueError, ImportError, OSError), match=message):
        train_here(tmp_path / "run", **evaluating | changes)
    assert not (tmp_path / "run").exists()


def test_images_that_become_bad_are_named(tmp_path, evaluating, caplog):
    train_here(tmp_path, **evaluating | {"eval_steps": 1, "logging_steps": 5} | SPOILED)
    assert "times as far from real ones as those of step" in caplog.text
