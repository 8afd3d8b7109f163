"""Tests of the trainers in Python: in-memory data, several runs per process, threads, callbacks."""

import json
import os
import random
import signal
import threading

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
import transformers
from accelerate import PartialState, debug_launcher, notebook_launcher
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

from dcgan_hf import (
    DCGANPipeline,
    DCGANSuperResolutionTrainer,
    DCGANSuperResolutionTrainingArguments,
    DCGANTrainer,
    DCGANTrainingArguments,
    TrainerCallback,
)
from dcgan_hf.modeling_dcgan import DCGANGeneratorOutput

from ..train_utils import checkpoints, fingerprint, read_log, save_classifier


TINY = {
    "resolution": 16,
    "latent_dim": 8,
    "hidden_size": 8,
    "train_batch_size": 8,
    "lr_scheduler": "constant",  # a shorter run is the beginning of a longer one
    "max_train_steps": 4,
    "eval_batch_size": 4,
    "use_cpu": True,
    "mixed_precision": "no",
    "num_cpu_threads": 1,
}


def pictures(number=40, mode="L", size=20):
    generator = np.random.default_rng(0)
    shape = (size, size) if mode == "L" else (size, size, 3)
    images = [PIL.Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)) for _ in range(number)]
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b"])})
    return datasets.Dataset.from_dict({"picture": images, "kind": [i % 2 for i in range(number)]}, features=features)


def make_trainer(output_dir, *args, dataset=None, **changes):
    arguments = DCGANTrainingArguments(output_dir=output_dir, **TINY | changes)
    return DCGANTrainer(arguments, pictures() if dataset is None else dataset, *args)


def test_a_dataset_in_memory_from_training_to_the_hub(tmp_path, hub, token):
    trainer = make_trainer(
        tmp_path / "dcgan-pictures",
        class_conditional=True,
        eval_features=str(save_classifier(tmp_path / "classifier")),
        eval_num_images=30,
        hub_model_id="org/dcgan-pictures",
    )
    with pytest.raises(RuntimeError, match="No pipeline is available yet: call `train` first"):
        _ = trainer.pipeline
    state = trainer.train()
    assert state.step == state.global_step == state.max_steps == 4
    images = trainer.pipeline(class_labels=["a", "b"], batch_size=2).images
    assert len(images) == 2 and images[0].size == (16, 16)
    metrics = trainer.evaluate()
    assert metrics["eval_frechet_distance"] > 0
    written = json.loads((tmp_path / "dcgan-pictures" / "metrics.json").read_text())
    assert metrics["eval_frechet_distance"] in [metric["value"] for metric in written]
    card = (tmp_path / "dcgan-pictures" / "README.md").read_text()
    assert "Frechet distance" in card and "an in-memory dataset" in card and "dataset_name: digits" not in card
    trainer.save_model(tmp_path / "elsewhere")
    assert len(DCGANPipeline.from_pretrained(tmp_path / "elsewhere")(class_labels=[0, 1, 1]).images) == 3
    assert trainer.push_to_hub(commit_message="My pictures")
    files = hub.files("org/dcgan-pictures")
    assert {"README.md", "metrics.json", "generator/model.safetensors"} <= set(files)
    assert not any("checkpoint" in name or "training_args" in name for name in files)


def test_a_dataset_in_memory_is_the_one_on_disk(tmp_path):
    pictures().save_to_disk(tmp_path / "pictures")
    make_trainer(tmp_path / "memory").train()
    arguments = DCGANTrainingArguments(
        output_dir=str(tmp_path / "disk"), dataset_name=str(tmp_path / "pictures"), **TINY
    )
    DCGANTrainer(arguments).train()
    assert fingerprint(tmp_path / "memory" / "checkpoint-4") == fingerprint(tmp_path / "disk" / "checkpoint-4")


def test_a_stream_in_memory(tmp_path):
    stream = pictures().to_iterable_dataset()
    make_trainer(tmp_path, dataset=stream, streaming=True).train()
    assert checkpoints(tmp_path) == ["checkpoint-4"]


def test_resuming_from_python(tmp_path):
    make_trainer(tmp_path / "whole", checkpointing_steps=2).train()
    make_trainer(tmp_path / "parts", checkpointing_steps=2, max_train_steps=2).train()
    trainer = make_trainer(tmp_path / "parts", checkpointing_steps=2)
    assert trainer.train(resume_from_checkpoint=True).step == 4
    assert fingerprint(tmp_path / "parts" / "checkpoint-4") == fingerprint(tmp_path / "whole" / "checkpoint-4")
    with pytest.raises(ValueError, match="`resume_from_checkpoint=checkpoint-9` is not a checkpoint"):
        trainer.train(resume_from_checkpoint="checkpoint-9")


def globals_of_the_process():
    return {
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "singletons": [
            {name: id(value) for name, value in singleton._shared_state.items()}
            for singleton in (PartialState, AcceleratorState, GradientState)
        ],
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "environment": dict(os.environ),
        "random": (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),
        "grad": torch.is_grad_enabled(),
        "conv2d": torch.nn.functional.conv2d,
        "threads running": {thread.name for thread in threading.enumerate() if "Thread" in thread.name},
    }


def test_nothing_global_is_left_behind(tmp_path):
    before = globals_of_the_process()
    make_trainer(tmp_path / "one", num_cpu_threads=2).train()
    assert globals_of_the_process() == before
    with pytest.raises(ValueError, match="do not fill a batch of 5000"):
        make_trainer(tmp_path / "two", train_batch_size=5000).train()
    assert globals_of_the_process() == before
    with pytest.raises(FloatingPointError, match="Training diverged"):
        make_trainer(tmp_path / "three", learning_rate=1e30, logging_steps=1).train()
    assert globals_of_the_process() == before


def test_twice_in_a_process_with_another_precision(tmp_path):
    alone = make_trainer(tmp_path / "alone", mixed_precision="bf16")
    alone.train()
    make_trainer(tmp_path / "before").train()
    after = make_trainer(tmp_path / "after", mixed_precision="bf16")
    after.train()
    assert fingerprint(tmp_path / "after" / "checkpoint-4") == fingerprint(tmp_path / "alone" / "checkpoint-4")
    assert json.loads((tmp_path / "after" / "training_args.json").read_text())["mixed_precision"] == "bf16"
    before = (tmp_path / "before" / "generator" / "model.safetensors").read_bytes()
    assert before != (tmp_path / "after" / "generator" / "model.safetensors").read_bytes()


def test_beside_a_users_own_accelerator(tmp_path):
    """The user's process state is unchanged afterwards."""
    own = PartialState(cpu=True)
    try:
        make_trainer(tmp_path).train()
        assert PartialState().__dict__ is own.__dict__ and PartialState().device.type == "cpu"
    finally:
        PartialState._reset_state()


def test_in_a_thread(tmp_path):
    make_trainer(tmp_path / "here").train()
    problems = []

    def run():
        try:
            make_trainer(tmp_path / "there").train()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not problems
    assert fingerprint(tmp_path / "here" / "checkpoint-4") == fingerprint(tmp_path / "there" / "checkpoint-4")


def train_in_a_process(output_dir):
    make_trainer(output_dir, discriminator_config={"norm_type": "none"}).train()


def test_launchers(tmp_path):
    debug_launcher(train_in_a_process, (str(tmp_path / "debug"),), num_processes=2)
    results = json.loads((tmp_path / "debug" / "training_results.json").read_text())
    assert results["hardware"].startswith("2 processes, each on 1 CPU thread")
    notebook_launcher(train_in_a_process, (str(tmp_path / "notebook"),), num_processes=1, use_port="0")
    assert checkpoints(tmp_path / "notebook") == ["checkpoint-4"]


def train_and_evaluate_again(output_dir, classifier):
    measured = {"eval_features": classifier, "eval_num_images": 30, "discriminator_config": {"norm_type": "none"}}
    for name in ("first", "second"):
        trainer = make_trainer(f"{output_dir}/{name}", **measured)
        trainer.train()
        assert trainer.evaluate() == trainer.evaluate()


def test_several_processes_stay_connected(tmp_path):
    debug_launcher(train_and_evaluate_again, (str(tmp_path), str(save_classifier(tmp_path / "classifier"))))
    assert checkpoints(tmp_path / "second") == ["checkpoint-4"]


def test_a_sample_callback_stops_nothing(tmp_path):
    """Sample callbacks run in the main process only."""

    class Stop(TrainerCallback):
        def on_sample(self, args, state, control, **kwargs):
            control.should_training_stop = control.should_save = True

    arguments = DCGANTrainingArguments(output_dir=str(tmp_path), save_images_steps=1, **TINY)
    assert DCGANTrainer(arguments, pictures(), callbacks=[Stop(), transformers.PrinterCallback()]).train().step == 4
    with pytest.raises(
        ValueError, match="`overwrite_output_dir` would delete the checkpoint of `resume_from_checkpoint`"
    ):
        make_trainer(tmp_path, overwrite_output_dir=True).train(resume_from_checkpoint=True)
    assert checkpoints(tmp_path) == ["checkpoint-4"]


class Recorder(TrainerCallback):
    def __init__(self):
        self.events = []

    def on_train_begin(self, args, state, control, **kwargs):
        self.events.append(("begin", state.step))

    def on_step_end(self, args, state, control, **kwargs):
        self.events.append(("step", state.step))

    def on_log(self, args, state, control, logs=None, **kwargs):
        assert logs["discriminator_loss"] > 0
        self.events.append(("log", state.step))

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        assert metrics["eval_frechet_distance"] > 0
        self.events.append(("evaluate", state.step))

    def on_sample(self, args, state, control, image=None, **kwargs):
        assert image.width > 16
        self.events.append(("sample", state.step))

    def on_save(self, args, state, control, checkpoint=None, **kwargs):
        assert checkpoint.is_dir()
        self.events.append(("save", state.step))

    def on_train_end(self, args, state, control, trainer=None, **kwargs):
        assert trainer.pipeline is not None
        self.events.append(("end", state.step))


def test_callbacks_are_called_in_the_order_of_the_loop(tmp_path):
    recorder = Recorder()
    arguments = DCGANTrainingArguments(
        output_dir=str(tmp_path / "run"),
        **TINY,
        logging_steps=2,
        save_images_steps=3,
        eval_steps=2,
        eval_features=str(save_classifier(tmp_path / "classifier")),
        eval_num_images=30,
    )
    DCGANTrainer(arguments, pictures(), callbacks=[recorder]).train()
    assert recorder.events == [
        ("begin", 0),
        ("step", 1),
        *[("step", 2), ("log", 2), ("evaluate", 2)],
        *[("step", 3), ("sample", 3)],
        *[("step", 4), ("log", 4), ("evaluate", 4), ("save", 4)],
        *[("sample", 4), ("end", 4)],
    ]


class Director(TrainerCallback):
    """Requests all actions after the second update, and stops training after the third."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            control.should_log = control.should_save = control.should_sample = control.should_evaluate = True
        control.should_training_stop = state.global_step == 3


def test_callbacks_can_stop_save_sample_and_evaluate(tmp_path):
    arguments = DCGANTrainingArguments(
        output_dir=str(tmp_path / "run"),
        **TINY | {"max_train_steps": 100},
        eval_steps=50,
        eval_features=str(save_classifier(tmp_path / "classifier")),
        eval_num_images=30,
    )
    state = DCGANTrainer(arguments, pictures(), callbacks=[Director()]).train()
    assert state.step == 3 and checkpoints(tmp_path / "run") == ["checkpoint-2", "checkpoint-3"]
    log = read_log(tmp_path / "run")
    assert [entry["step"] for entry in log if "eval_frechet_distance" in entry] == [2]
    samples = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert samples == ["step-0000002.png", "step-0000003.png"]


def test_trackers_get_numbers_and_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_trainer(tmp_path, report_to="tensorboard", save_images_steps=2, logging_steps=2).train()
    events = EventAccumulator(str(tmp_path / "logs" / "dcgan_hf"))
    events.Reload()
    assert "discriminator_loss" in events.Tags()["scalars"]
    assert {event.step for event in events.Images("samples")} == {2, 4}


def test_given_networks_are_trained_further(tmp_path):
    first = make_trainer(tmp_path / "first")
    first.train()
    before = {name: values.clone() for name, values in first.pipeline.generator.state_dict().items()}
    arguments = DCGANTrainingArguments(output_dir=str(tmp_path / "second"), **TINY | {"learning_rate": 1e-30})
    networks = (first.pipeline.generator, first.pipeline.discriminator)
    DCGANTrainer(arguments, pictures(), networks=networks).train()
    after = load_file(tmp_path / "second" / "generator" / "model.safetensors")
    weight = "layers.0.convolution.weight"
    torch.testing.assert_close(after[weight], before[weight])
    wrong = DCGANTrainingArguments(output_dir=str(tmp_path / "third"), **TINY | {"resolution": 32})
    with pytest.raises(ValueError, match="`networks`: the DCGANGenerator has `image_size=16`, .* require 32"):
        DCGANTrainer(wrong, pictures(), networks=networks).train()


def mean_loss(*logits):
    return sum(values.square().mean() for values in logits)


def test_the_card_tells_of_own_parts_and_not_of_what_they_replace(tmp_path):
    def sgd(network):
        return torch.optim.SGD(network.parameters(), lr=0.01)

    arguments = DCGANTrainingArguments(output_dir=str(tmp_path), **TINY)
    DCGANTrainer(arguments, pictures(), loss=(mean_loss, mean_loss), optimizers=sgd).train()
    card = (tmp_path / "README.md").read_text()
    assert "Custom parts of the trainer: loss, optimizers. All other settings, as a config file" in card
    recipe = card.split("```yaml\n")[1].split("```")[0]
    assert "resolution: 16" in recipe and "update_strategy: alternating" in recipe
    for name in ("loss:", "learning_rate", "adam_beta1", "dataset_name"):
        assert name not in recipe, name


def test_an_update_may_return_nothing(tmp_path):
    def update(gan, batches):
        gan.generator_optimizer.step()
        return {}

    DCGANTrainer(DCGANTrainingArguments(output_dir=str(tmp_path), **TINY), pictures(), update=update).train()
    assert "Final losses" not in (tmp_path / "README.md").read_text()


def test_a_class_that_is_always_alike_is_told_once(tmp_path, caplog):
    class Generator(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(8, 256)

        def forward(self, latents, class_labels=None):
            pixels = (10 * self.layer(latents)).tanh() * (class_labels == 0)[:, None]
            return DCGANGeneratorOutput(pixel_values=pixels.unflatten(1, (1, 16, 16)))

    changes = {"class_conditional": True, "max_train_steps": 600, "save_images_steps": 250, "logging_steps": 300}
    arguments = DCGANTrainingArguments(output_dir=str(tmp_path), **TINY | changes)
    DCGANTrainer(arguments, pictures(), networks=(Generator(), None), update=lambda gan, batches: {}).train()
    told = [record.getMessage() for record in caplog.records if "has collapsed" in record.getMessage()]
    assert len(told) == 1 and told[0].startswith("Step 500: The generator has collapsed in 1 of 2 classes, "), told
    assert ": b. Try" in told[0]


def test_plain_modules_have_no_card_and_are_not_published(tmp_path, hub, token):
    class Generator(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(8, 256)

        def forward(self, latents, class_labels=None):
            pixels = self.layer(latents).tanh().unflatten(1, (1, 16, 16))
            return DCGANGeneratorOutput(pixel_values=pixels)

    arguments = DCGANTrainingArguments(output_dir=str(tmp_path / "run"), **TINY)
    trainer = DCGANTrainer(arguments, pictures(), networks=(Generator(), None))
    trainer.train()
    assert len(trainer.pipeline(batch_size=3).images) == 3 and not (tmp_path / "run" / "README.md").exists()
    with pytest.raises(ValueError, match="a plain `nn.Module` cannot be published"):
        trainer.push_to_hub()
    arguments = DCGANTrainingArguments(output_dir=str(tmp_path / "other"), push_to_hub=True, **TINY)
    with pytest.raises(ValueError, match="a plain `nn.Module` cannot be published"):
        DCGANTrainer(arguments, pictures(), networks=(Generator(), None)).train()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "parts, message",
    [
        ({"loss": "hinge"}, "`loss` must be a `GANLoss` or a pair of functions, for discriminator and generator"),
        ({"loss": mean_loss}, "`loss` must be a `GANLoss`"),
        ({"optimizers": torch.optim.AdamW}, "`optimizers` must be a pair, or a function that makes one"),
        (
            {"train_dataset": {"train": pictures(2)}},
            "must be a `datasets.Dataset`, got a `dict`. Pass one of its splits",
        ),
    ],
)
def test_wrong_parts(tmp_path, parts, message):
    with pytest.raises(ValueError, match=message):
        DCGANTrainer(DCGANTrainingArguments(output_dir=str(tmp_path / "out"), **TINY), **parts).train()
    assert not (tmp_path / "out").exists()


def test_what_needs_a_trained_model_says_so(tmp_path, caplog):
    trainer = make_trainer(tmp_path)
    for use in (trainer.evaluate, trainer.save_model, trainer.push_to_hub):
        with pytest.raises(RuntimeError, match="No pipeline is available yet: call `train` first"):
            use()
    trainer.train()
    make_trainer(tmp_path, max_train_steps=2).train(resume_from_checkpoint=True)
    assert "Nothing left to train" in caplog.text
    with pytest.raises(ValueError, match="`eval_split=test` has no effect with `train_dataset`. Pass it as"):
        make_trainer(tmp_path, eval_steps=1, eval_split="test")


def test_super_resolution_of_a_dataset_in_memory(tmp_path):
    small = {name: value for name, value in TINY.items() if name != "latent_dim"}
    arguments = DCGANSuperResolutionTrainingArguments(
        output_dir=str(tmp_path), scale_factor=2, generator_config={"num_blocks": 1}, **small
    )
    trainer = DCGANSuperResolutionTrainer(arguments, pictures(mode="RGB", size=24))
    trainer.train()
    assert trainer.pipeline(PIL.Image.new("RGB", (10, 6))).images[0].size == (20, 12)
    metrics = trainer.evaluate()
    assert metrics["eval_psnr"] > 0 and 0 < metrics["eval_ssim"] < 1
    assert "PSNR" in (tmp_path / "README.md").read_text()
