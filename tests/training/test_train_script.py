import json
import math
import random
import shutil
import subprocess
import sys

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file

from dcgan_hf import DCGANPipeline

from ..train_utils import SCRIPT, checkpoints, fingerprint, read_log, run_command, tiny_flags, train_here


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Uninterrupted run of 12 steps."""
    output_dir = tmp_path_factory.mktemp("reference") / "run"
    train_here(output_dir)
    return output_dir


def test_launched_as_in_the_readme(tmp_path):
    output_dir = tmp_path / "out"
    launch = [sys.executable, "-m", "accelerate.commands.launch", str(SCRIPT)]
    result = subprocess.run([*launch, *tiny_flags(output_dir)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Hardware: 1 process on 1 CPU thread" in result.stderr
    assert "Training speed:" in result.stderr
    assert f"Samples:  {output_dir}/samples/step-0000012.png" in result.stderr
    assert f'DCGANPipeline.from_pretrained("{output_dir}")' in result.stderr
    assert len(DCGANPipeline.from_pretrained(output_dir)(batch_size=3).images) == 3


def test_what_a_run_leaves_behind(reference):
    assert sorted(path.name for path in reference.iterdir()) == [
        "README.md",
        "checkpoint-12",
        "checkpoint-4",
        "checkpoint-8",
        "config.json",
        "discriminator",
        "generator",
        "images",
        "logs",
        "model_index.json",
        "modeling_dcgan.py",
        "pipeline_dcgan.py",
        "pipeline_portable.py",
        "samples",
        "training.gif",
        "training_args.json",
        "training_results.json",
    ]
    grid = PIL.Image.open(reference / "samples" / "step-0000012.png")
    assert grid.mode == "L" and grid.size == (4 * 18 + 2, 3 * 18 + 2)
    animation = PIL.Image.open(reference / "training.gif")
    assert animation.n_frames == 2 and animation.size == grid.size
    assert [entry["step"] for entry in read_log(reference)] == [2, 4, 6, 8, 10, 12]
    assert {"discriminator_loss", "generator_loss", "images_per_second", "epoch"} <= read_log(reference)[0].keys()
    assert json.loads((reference / "training_args.json").read_text())["learning_rate"] == 2e-4


def test_the_saved_pipeline_is_the_average_of_the_last_step(reference):
    saved = load_file(reference / "generator" / "model.safetensors")
    ema = load_file(reference / "checkpoint-12" / "ema.safetensors")
    raw = load_file(reference / "checkpoint-12" / "model.safetensors")
    assert all(torch.equal(saved[name], ema[name]) for name in saved)
    assert any(not torch.equal(saved[name], raw[name]) for name in saved)
    discriminator = load_file(reference / "discriminator" / "model.safetensors")
    trained = load_file(reference / "checkpoint-12" / "model_1.safetensors")
    assert all(torch.equal(discriminator[name], trained[name]) for name in trained)


def test_a_run_repeats_itself(reference, tmp_path):
    train_here(tmp_path / "again")
    assert fingerprint(tmp_path / "again" / "checkpoint-12") == fingerprint(reference / "checkpoint-12")
    train_here(tmp_path / "other", seed=1)
    assert fingerprint(tmp_path / "other" / "checkpoint-12") != fingerprint(reference / "checkpoint-12")


@pytest.mark.parametrize("stopped_at", [4, 8])
def test_resumed_run_equals_one_that_never_stopped(reference, tmp_path, stopped_at):
    output_dir = tmp_path / "run"
    train_here(output_dir, max_train_steps=stopped_at)
    random.seed(99)  # the state of global random number generators must not matter
    np.random.seed(99)
    train_here(output_dir, resume_from_checkpoint="latest")
    assert fingerprint(output_dir / "checkpoint-12") == fingerprint(reference / "checkpoint-12")
    assert fingerprint(output_dir / "generator") == fingerprint(reference / "generator")
    assert [entry["step"] for entry in read_log(output_dir)] == [2, 4, 6, 8, 10, 12]


def test_resume_across_epochs_with_accumulation_and_several_options(tmp_path):
    """28 batches per epoch, 3 per step: step 10 begins in the middle of the second epoch."""
    options = {
        "max_train_steps": 12,
        "gradient_accumulation_steps": 3,
        "update_strategy": "simultaneous",
        "loss": "hinge",
        "class_conditional": True,
        "checkpointing_steps": 5,
        "discriminator_config": '{"norm_type": "spectral"}',
    }
    train_here(tmp_path / "whole", **options)
    train_here(tmp_path / "parts", **options | {"max_train_steps": 10})
    state = json.loads((tmp_path / "parts" / "checkpoint-10" / "trainer_state.json").read_text())["state"]
    assert (state["step"], state["epoch"], state["batch"]) == (10, 1, 2) and state["seconds"] > 0
    train_here(tmp_path / "parts", **options, resume_from_checkpoint="checkpoint-5")
    assert fingerprint(tmp_path / "parts" / "checkpoint-12") == fingerprint(tmp_path / "whole" / "checkpoint-12")
    images = DCGANPipeline.from_pretrained(tmp_path / "whole")(class_labels=["3", "7"]).images
    assert len(images) == 2


@pytest.mark.parametrize("in_memory_gb, streaming", [(0, False), (0, True)])
def test_resume_of_images_decoded_while_training(tmp_path, in_memory_gb, streaming):
    for i in range(40):
        PIL.Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 24, 3), np.uint8)).save(
            _folder(tmp_path / "data") / f"{i}.png"
        )
    options = {
        "dataset_name": tmp_path / "data",
        "train_batch_size": 8,
        "max_train_steps": 12,
        "in_memory_gb": in_memory_gb,
        "streaming": streaming,
    }
    train_here(tmp_path / "whole", **options)
    train_here(tmp_path / "parts", **options | {"max_train_steps": 8})
    train_here(tmp_path / "parts", **options, resume_from_checkpoint="latest", dataloader_num_workers=1)
    assert fingerprint(tmp_path / "parts" / "checkpoint-12") == fingerprint(tmp_path / "whole" / "checkpoint-12")
    assert DCGANPipeline.from_pretrained(tmp_path / "whole")().images[0].mode == "RGB"


def _folder(path):
    path.mkdir(exist_ok=True)
    return path


def test_checkpoints_total_limit(tmp_path):
    train_here(tmp_path, checkpointing_steps=2, checkpoints_total_limit=2)
    assert checkpoints(tmp_path) == ["checkpoint-10", "checkpoint-12"]
    train_here(
        tmp_path,
        checkpointing_steps=2,
        checkpoints_total_limit=2,
        max_train_steps=16,
        resume_from_checkpoint="latest",
    )
    assert checkpoints(tmp_path) == ["checkpoint-14", "checkpoint-16"]
    assert not list(tmp_path.glob(".tmp-*"))


def test_resuming_a_finished_run_changes_nothing(reference, tmp_path):
    train_here(tmp_path / "run", max_train_steps=4)
    before = fingerprint(tmp_path / "run")
    train_here(tmp_path / "run", max_train_steps=4, resume_from_checkpoint="latest")
    assert fingerprint(tmp_path / "run") == before


def test_latest_without_checkpoint_starts_anew_and_says_so(reference, tmp_path, caplog):
    train_here(tmp_path / "run", resume_from_checkpoint="latest")
    assert fingerprint(tmp_path / "run" / "checkpoint-12") == fingerprint(reference / "checkpoint-12")
    assert "No checkpoint to resume from in" in caplog.text


def test_another_run_is_not_mixed_up_or_lost(tmp_path):
    train_here(tmp_path, max_train_steps=4)
    with pytest.raises(ValueError, match="holds checkpoints of another run.*`overwrite_output_dir`"):
        train_here(tmp_path, max_train_steps=2)
    assert checkpoints(tmp_path) == ["checkpoint-4"]
    train_here(tmp_path, max_train_steps=2, overwrite_output_dir=True)
    assert checkpoints(tmp_path) == ["checkpoint-2"]
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["step-0000002.png"]
    assert [entry["step"] for entry in read_log(tmp_path)] == [2]


def test_bad_arguments_delete_nothing(tmp_path):
    train_here(tmp_path, max_train_steps=2)
    before = sorted(tmp_path.rglob("*"))
    for changes in ({"resolution": 50}, {"dataset_name": "./nowhere"}, {"train_batch_size": 5000}):
        with pytest.raises(Exception, match="Use 48 or 52|no such folder|do not fill a batch"):
            train_here(tmp_path, overwrite_output_dir=True, **changes)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_resumed_earlier_sets_later_checkpoints_aside(tmp_path):
    train_here(tmp_path, max_train_steps=12)
    before = fingerprint(tmp_path / "checkpoint-12")
    options = {"checkpointing_steps": 3, "checkpoints_total_limit": 1, "learning_rate": 1e-3}
    train_here(tmp_path, max_train_steps=8, **options, resume_from_checkpoint="checkpoint-4")
    assert checkpoints(tmp_path) == ["checkpoint-8"]
    assert fingerprint(tmp_path / "abandoned-checkpoint-12") == before
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["step-0000006.png", "step-0000008.png"]
    assert not list(tmp_path.glob(".tmp-*"))


def test_another_network_cannot_be_resumed_and_nothing_is_lost(tmp_path):
    train_here(tmp_path, max_train_steps=4)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, value in (("hidden_size", 16), ("use_ema", False), ("generator_config", '{"norm_type": "none"}')):
        with pytest.raises(ValueError, match=f"`{name}` must be unchanged to resume from"):
            train_here(tmp_path, resume_from_checkpoint="latest", **{name: value})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_epochs_too_short_for_an_update(tmp_path):
    changes = {"max_train_steps": None, "num_epochs": 1, "gradient_accumulation_steps": 29}
    with pytest.raises(ValueError, match="gives fewer batches than one update takes"):
        train_here(tmp_path, **changes)


def test_changed_arguments_are_named_on_resume(tmp_path, caplog):
    train_here(tmp_path, max_train_steps=4)
    train_here(tmp_path, max_train_steps=6, learning_rate=1e-3, resume_from_checkpoint="latest")
    assert "Resuming with `learning_rate=0.001` from a checkpoint with 0.0002" in caplog.text
    assert "Resuming with `max_train_steps" not in caplog.text


def test_paper_loop_without_average(tmp_path):
    train_here(tmp_path, use_ema=False)
    saved = load_file(tmp_path / "generator" / "model.safetensors")
    raw = load_file(tmp_path / "checkpoint-12" / "model.safetensors")
    assert all(torch.equal(saved[name], raw[name]) for name in saved)


def test_bf16(tmp_path, reference):
    train_here(tmp_path, mixed_precision="bf16")
    losses = [read_log(folder)[0]["discriminator_loss"] for folder in (tmp_path, reference)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05) and losses[0] != losses[1]
    weights = load_file(tmp_path / "generator" / "model.safetensors")
    assert all(tensor.dtype != torch.bfloat16 for tensor in weights.values())


def test_tensorboard(tmp_path):
    train_here(tmp_path, report_to="tensorboard")
    assert list((tmp_path / "logs").rglob("events.out.tfevents.*"))
    assert len(read_log(tmp_path)) == 6


def test_divergence_is_named_and_not_saved(tmp_path):
    with pytest.raises(FloatingPointError, match="Training diverged: non-finite values in .*. Stopped at step"):
        train_here(tmp_path, learning_rate=1e30)
    assert checkpoints(tmp_path) == []


def test_dead_discriminator_is_named(tmp_path, caplog):
    train_here(tmp_path, discriminator_config='{"norm_type": "none", "initializer_range": 0.0}', max_train_steps=2)
    assert "The discriminator is dead" in caplog.text


def test_skipped_images_are_counted(tmp_path, caplog):
    folder = _folder(tmp_path / "data")
    for i in range(20):
        PIL.Image.new("L", (16, 16), i).save(folder / f"{i:02}.png")
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:40])
    options = {"dataset_name": folder, "train_batch_size": 4, "max_train_steps": 4}
    with pytest.raises(ValueError, match=r"Image number 7 \(.*07\.png\) cannot be read: .*--skip_bad_images"):
        train_here(tmp_path / "out", **options)
    train_here(tmp_path / "out", **options, skip_bad_images=True)
    assert "Bad images skipped: 1, number 7 (" in caplog.text


def test_losses_and_learning_rates_are_those_of_the_flags(tmp_path):
    changes = {"loss": "bce", "label_smoothing": 0.2, "discriminator_learning_rate": 1e-3, "learning_rate": 1e-4}
    train_here(tmp_path / "smooth", **changes)
    train_here(tmp_path / "plain", **(changes | {"label_smoothing": None}))
    train_here(tmp_path / "relativistic", **(changes | {"label_smoothing": None, "loss": "relativistic"}))
    rates = [
        torch.load(tmp_path / "plain" / "checkpoint-12" / name, weights_only=False)["param_groups"][0]["lr"]
        for name in ("optimizer.bin", "optimizer_1.bin")
    ]
    assert rates == [1e-4, 1e-3]
    losses = {
        run: json.loads((tmp_path / run / "logs" / "metrics.jsonl").read_text().splitlines()[-1])["discriminator_loss"]
        for run in ("smooth", "plain", "relativistic")
    }
    assert losses["smooth"] > losses["plain"] + 0.05 and losses["relativistic"] < losses["plain"]
    # A resumed run keeps separate learning rates.
    train_here(tmp_path / "plain", **(changes | {"label_smoothing": None}), resume_from_checkpoint="checkpoint-4")


NO_NORM = {"discriminator_config": '{"norm_type": "none"}'}


@pytest.mark.parametrize(
    "options",
    [
        {"diff_augment": "color", "discriminator_steps": 2, "gradient_accumulation_steps": 2},
        {
            "loss": "wasserstein",
            "gradient_penalty": 10,
            "lr_scheduler": "linear",
        }
        | NO_NORM,
        {"loss": "relativistic", "r1_penalty": 0.1, "r2_penalty": 0.1, "lr_scheduler": "cosine"} | NO_NORM,
    ],
)
def test_a_run_with_options_resumes_exactly(tmp_path, options):
    train_here(tmp_path / "whole", **options)
    log = read_log(tmp_path / "whole")
    last = log[-1]["step"]
    assert ("penalty" in log[-1]) == ("r1_penalty" in options or "gradient_penalty" in options)
    rates = [entry["learning_rate"] for entry in log]
    expected = {
        None: lambda step: 1.0,
        "linear": lambda step: 1 - (step - 1) / last,
        "cosine": lambda step: (1 + math.cos(math.pi * (step - 1) / last)) / 2,
    }[options.get("lr_scheduler")]
    assert rates == pytest.approx([2e-4 * expected(entry["step"]) for entry in log])
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    train_here(tmp_path / "parts", **options, resume_from_checkpoint="checkpoint-8")
    assert fingerprint(tmp_path / "parts" / f"checkpoint-{last}") == fingerprint(
        tmp_path / "whole" / f"checkpoint-{last}"
    )
    assert [entry["learning_rate"] for entry in read_log(tmp_path / "parts")] == rates


def test_a_longer_run_with_decay_ends_otherwise_and_says_so(tmp_path, caplog):
    train_here(tmp_path, lr_scheduler="linear", max_train_steps=6)
    train_here(tmp_path, lr_scheduler="linear", resume_from_checkpoint="latest")
    assert "Resuming with `lr_decay_steps=12` from a checkpoint with 6" in caplog.text


def test_some_images_are_chosen(tmp_path):
    train_here(tmp_path, max_train_samples=100)
    results = json.loads((tmp_path / "training_results.json").read_text())
    assert results["dataset"]["num_images"] == 100 and results["epochs"] == 11


def test_classes_are_called_as_the_flags_say(tmp_path):
    names = [f"number {i}" for i in range(10)]
    flags = tiny_flags(tmp_path, class_conditional=True, max_train_steps=2) + ["--class_names", *names]
    run_command("train", *flags)
    pipe = DCGANPipeline.from_pretrained(tmp_path)
    assert list(pipe.generator.config.id2label.values()) == names
    assert len(pipe(class_labels=["number 3", 4]).images) == 2


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mixed_precision": "fp16"}, "`mixed_precision=fp16` needs a GPU"),
        (
            {"resolution": 50},
            "`resolution=50` has no default layers. Use 48 or 52, or set the layers of both networks",
        ),
        ({"train_batch_size": 1}, "`train_batch_size` must be at least 2, got 1"),
        ({"train_batch_size": 5000}, "The dataset has 1797 images, which do not fill a batch of 5000"),
        ({"max_train_steps": 0}, "`max_train_steps` must be at least 1, got 0"),
        ({"learning_rate": -1}, "`learning_rate` must be positive, got -1"),
        ({"learning_rate": "nan"}, "`learning_rate` must be positive, got nan"),
        ({"discriminator_learning_rate": 0}, "`discriminator_learning_rate` must be positive, got 0"),
        ({"label_smoothing": 0.5}, "`label_smoothing` must lie between 0 and 0.5, got 0.5"),
        ({"label_smoothing": 0.1, "loss": "hinge"}, "requires a loss with labels, one of .*, got `loss=hinge`"),
        ({"adam_beta1": 1}, r"`adam_beta1` must lie in \[0, 1\), got 1"),
        ({"num_channels": 2}, 'Invalid value "2" for --num_channels. Choose from: 1, 3, 4'),
        ({"generator_config": "{"}, "`generator_config` must be a JSON object, got '{'"),
        ({"generator_config": "[1]"}, r"`generator_config` must be a JSON object, got '\[1\]'"),
        ({"generator_config": '{"hiden_size": 1}'}, "sets 'hiden_size', which .* Did you mean 'hidden_size'"),
        ({"discriminator_config": '{"norm_type": "x"}'}, "'norm_type' expected one of"),
        ({"dataset_name": "./nowhere"}, "`dataset_name=./nowhere`: no such folder"),
        (
            {"dataset_name": "org/nowhere"},
            "`dataset_name=org/nowhere` is not a local folder, and the Hub reports: Dataset 'org/nowhere' doesn't exist",
        ),
        ({"dataset_config_name": "x"}, "`dataset_config_name=x`: 'digits' has no configurations"),
        ({"dataset_split": "test"}, "'digits' has no split 'test'"),
        ({"image_column": "foto"}, "`image_column=foto` is not a column of the dataset"),
        ({"config": "nowhere.yaml"}, "`config=nowhere.yaml` is neither a file nor a recipe"),
        ({"resume_from_checkpoint": "checkpoint-7"}, "`resume_from_checkpoint=checkpoint-7` is not a checkpoint"),
        ({"report_to": "wandb"}, "`report_to=wandb` needs a package that is not installed: `pip install wandb`"),
        ({"overwrite_output_dir": True, "resume_from_checkpoint": "latest"}, "`overwrite_output_dir` would delete"),
        (
            {"update_strategy": "simultaneous", "mixed_precision": "fp16"},
            "is not supported with `mixed_precision=fp16`",
        ),
        ({"update_strategy": "one_stage"}, "requires a discriminator that treats images independently"),
        ({"eval_steps": 2.5}, "`eval_steps` must be a positive integer or lie between 0 and 1, got 2.5"),
        ({"eval_steps": 0}, "`eval_steps` must be a positive integer or lie between 0 and 1, got 0"),
        ({"save_best": True}, "have no effect without `eval_steps`"),
        ({"early_stopping_patience": 1}, "have no effect without `eval_steps`"),
        ({"num_epochs": 3, "max_train_steps": None, "streaming": True}, "the length of an epoch is unknown"),
        ({"eval_steps": 2, "streaming": True}, "`eval_steps=2.0` is not supported with `streaming`"),
        ({"max_train_samples": 9, "streaming": True}, "`max_train_samples=9` is not supported with `streaming`"),
        ({"max_train_samples": 40}, "The dataset has 40 images, which do not fill a batch of 64"),
        ({"class_names": "a"}, "`class_names=a` has no effect without `class_conditional`"),
        ({"matching_aware": True}, "`matching_aware=True` has no effect without `class_conditional`"),
        (
            {"matching_aware": True, "class_conditional": True, "update_strategy": "one_stage"} | NO_NORM,
            "`matching_aware` requires `update_strategy=alternating` or `simultaneous`",
        ),
        ({"class_names": "a", "class_conditional": True}, "a different name for each of the 10 classes"),
        ({"diff_augment": "colour"}, 'Choose from: .* Did you mean "color"'),
        (
            {"r1_penalty": 1},
            "`r1_penalty` requires a discriminator that treats images independently, got `norm_type=batch`",
        ),
        ({"gradient_penalty": 0}, "`gradient_penalty` must be positive, got 0"),
        (
            {"r1_penalty": 1, "gradient_penalty": 10} | NO_NORM,
            "pulls the norms of the discriminator's gradients towards 1",
        ),
        ({"r1_penalty": 1, "update_strategy": "one_stage"} | NO_NORM, "which other terms of its loss change"),
        ({"loss": "wasserstein"}, "`loss=wasserstein` requires a discriminator with bounded gradients"),
        ({"discriminator_steps": 2, "update_strategy": "simultaneous"}, "requires `update_strategy=alternating`"),
        (
            {"r1_penalty": 1, "mixed_precision": "fp16"} | NO_NORM,
            "`r1_penalty` is not supported with `mixed_precision=fp16`",
        ),
        ({"checkpoints_total_limit": 0}, "`checkpoints_total_limit` must be at least 1, got 0"),
    ],
)
def test_bad_arguments(tmp_path, changes, message):
    with pytest.raises(Exception, match=message):
        train_here(tmp_path / "out", **changes)
    assert checkpoints(tmp_path / "out") == []


def test_dataset_saved_on_disk(tmp_path):
    images = [PIL.Image.new("RGB", (20, 20), (i, 0, 0)) for i in range(16)]
    features = datasets.Features({"img": datasets.Image(), "kind": datasets.Value("string")})
    data = datasets.Dataset.from_dict({"img": images, "kind": ["a", "b"] * 8}, features=features)
    data.save_to_disk(tmp_path / "data")
    train_here(
        tmp_path / "out",
        dataset_name=tmp_path / "data",
        class_conditional=True,
        label_column="kind",
        train_batch_size=8,
        max_train_steps=2,
        generator_config='{"norm_type": "group", "num_groups": 4}',
    )
    pipe = DCGANPipeline.from_pretrained(tmp_path / "out")
    assert pipe.generator.config.id2label == {0: "a", 1: "b"}
    assert pipe.generator.config.norm_type == "group"
