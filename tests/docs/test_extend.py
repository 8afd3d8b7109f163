"""The examples of docs/guides/extend.md do what the page says."""

import importlib
import json
import os
import re
import sys
from collections import Counter
from types import SimpleNamespace

import PIL.Image
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dcgan_hf import DCGANGeneratorConfig, DCGANPipeline, DCGANTrainer, DCGANTrainingArguments, TrainerCallback
from dcgan_hf.training.callbacks import default_callbacks

from ..train_utils import checkpoints, read_log
from .pages import DOCS, blocks_of, shrink


PAGE = DOCS / "guides" / "extend.md"
EXAMPLES = {re.search(r'output_dir=f?"([\w-]+)', block.code)[1]: block for block in blocks_of(PAGE, "python")}


def flat_weights(network):
    return torch.cat([weights.detach().flatten() for weights in network.parameters()])


class Observer(TrainerCallback):
    """Notes of a run the generator's weights before and after, the optimizers, and the latents of all updates."""

    def on_train_begin(self, args, state, control, trainer=None, **kwargs):
        self.optimizers = [type(optimizer) for optimizer in trainer.engine.optimizers]
        self.before = flat_weights(trainer.engine.generator)
        self.latents = []

    def on_step_end(self, args, state, control, trainer=None, **kwargs):
        self.latents.append(trainer.engine.batches[0].latents)

    def on_train_end(self, args, state, control, trainer=None, **kwargs):
        self.after = flat_weights(trainer.engine.generator)


@pytest.fixture
def run_example(folder_for, monkeypatch):
    """A function that runs an example alone: its names, how often its functions were called, and what an observer saw."""
    observer = Observer()
    monkeypatch.setattr("dcgan_hf.training.trainer.default_callbacks", lambda: [*default_callbacks(), observer])

    def run(name):
        folder_for(EXAMPLES[name])
        calls, names = Counter(), {"__name__": "__main__"}

        def note(frame, event, _):
            if event == "call" and frame.f_code.co_filename == str(PAGE):
                calls[frame.f_code.co_qualname] += 1

        sys.setprofile(note)
        try:
            exec(compile(shrink(EXAMPLES[name].code), PAGE, "exec"), names)
        finally:
            sys.setprofile(None)
        assert torch.isfinite(observer.after).all() and not torch.equal(observer.before, observer.after)
        assert len(observer.latents) == (1 if name == "own-stop" else 3)
        assert os.path.isfile(f"{name}/model_index.json")
        return SimpleNamespace(names=SimpleNamespace(**names), calls=calls, seen=observer)

    return run


def test_all_examples_are_tested():
    parts = ("gan-loss", "latents", "log", "loss", "maps", "networks", "optimizers", "stop", "update")
    assert EXAMPLES.keys() == {f"own-{part}" for part in parts} | {"measured-"}


def test_networks(run_example):
    run = run_example("own-networks")
    trainer = run.names.trainer
    assert isinstance(trainer.pipeline.generator.module, run.names.MyGenerator)  # the average
    assert trainer.pipeline.discriminator.module is run.names.discriminator
    assert run.calls["MyGenerator.forward"] > 3
    assert run.calls["MyDiscriminator.forward"] == 1 + 3 * 3  # autotune, updates
    drawn = PIL.Image.open("digit.png")
    assert drawn.size == (32, 32) and drawn.mode == "L"

    # The weights that are kept are those that draw.
    layers = [torch.nn.Linear(100, 1024), torch.nn.Tanh(), torch.nn.Unflatten(1, (1, 32, 32))]
    loaded = run.names.MyGenerator(*layers)
    loaded.load_state_dict(torch.load("generator.pth", weights_only=True))
    latents = torch.randn(2, 100)
    images = trainer.pipeline(latents=latents, output_type="pt").images
    torch.testing.assert_close(loaded(latents).pixel_values / 2 + 0.5, images)


NETWORK_IN_A_MODULE = """
from torch import nn
from transformers import PreTrainedModel
from dcgan_hf import DCGANGeneratorConfig
from dcgan_hf.modeling_dcgan import DCGANGeneratorOutput

class ImportableGenerator(PreTrainedModel):
    config_class = DCGANGeneratorConfig

    def __init__(self, config):
        super().__init__(config)
        self.layers = nn.Sequential(nn.Linear(8, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16)))
        self.post_init()

    def forward(self, latents, class_labels=None):
        return DCGANGeneratorOutput(pixel_values=self.layers(latents))
"""


def tiny_arguments(output_dir, **changes):
    tiny = {"dataset_name": "digits", "resolution": 16, "latent_dim": 8, "hidden_size": 4, "train_batch_size": 8}
    machine = {"use_cpu": True, "mixed_precision": "no", "num_cpu_threads": 1}
    return DCGANTrainingArguments(output_dir=str(output_dir), max_train_steps=3, **tiny | machine | changes)


def test_networks_in_a_module_are_loaded(tmp_path, monkeypatch):
    (tmp_path / "networks_of_a_user.py").write_text(NETWORK_IN_A_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    network_class = importlib.import_module("networks_of_a_user").ImportableGenerator
    generator = network_class(DCGANGeneratorConfig(image_size=16, num_channels=1, latent_dim=8))
    trainer = DCGANTrainer(tiny_arguments(tmp_path / "run"), networks=(generator, None))
    trainer.train()
    loaded = DCGANPipeline.from_pretrained(tmp_path / "run")
    assert type(loaded.generator) is network_class
    latents = torch.randn(2, 8)
    images = [pipe(latents=latents, output_type="pt").images for pipe in (trainer.pipeline, loaded)]
    assert torch.equal(*images)


def test_loss(run_example):
    calls = run_example("own-loss").calls
    assert calls["discriminator_loss"] == calls["generator_loss"] == 3
    assert read_log("own-loss")[-1]["generator_loss"] < 0  # as the minimax loss alone is


def test_gan_loss(run_example):
    assert run_example("own-gan-loss").calls["average_loss"] == 6  # for both networks


def test_a_loss_is_measured_over_seeds(folder_for, capsys):
    block = EXAMPLES["measured-"]
    folder_for(block)
    exec(compile(shrink(block.code), PAGE, "exec"), {"__name__": "__main__"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(("bce", "minimax"))]
    assert [line[:2] for line in lines] == [[name, str(seed)] for name in ("bce", "minimax") for seed in range(3)]
    assert len({line[2] for line in lines}) == 6


def test_update(run_example):
    assert run_example("own-update").calls["clipped_update"] == 3
    assert {"discriminator_loss", "generator_loss", "logits_std", "diversity"} <= read_log("own-update")[-1].keys()


def test_optimizers(run_example):
    run = run_example("own-optimizers")
    assert run.calls["make_optimizer"] == 2
    assert run.seen.optimizers == [torch.optim.AdamW] * 2
    assert read_log("own-optimizers")[-1]["learning_rate"] == pytest.approx(3e-4 / 3)  # the last of three updates


def test_two_optimizers(tmp_path):
    first = DCGANTrainer(tiny_arguments(tmp_path / "first"))
    first.train()
    pipe = first.pipeline
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.01) for network in (pipe.generator, pipe.discriminator)]
    args = tiny_arguments(tmp_path / "second", lr_scheduler="linear", logging_steps=1)
    before = flat_weights(pipe.discriminator)
    DCGANTrainer(args, networks=(pipe.generator, pipe.discriminator), optimizers=tuple(optimizers)).train()
    assert not torch.equal(flat_weights(pipe.discriminator), before)
    rates = [entry["learning_rate"] for entry in read_log(tmp_path / "second")]
    assert rates == pytest.approx([0.01, 0.01 * 2 / 3, 0.01 / 3])


def test_latents(run_example):
    run = run_example("own-latents")
    # Autotune, updates, the sample grid, the last lines.
    assert run.calls["UniformTrainer.sample_latents"] == 1 + 3 + 1 + 1
    latents = torch.cat(run.seen.latents)
    assert latents.shape == (24, 100) and latents.abs().max() <= 1 and latents.std() < 0.7
    assert len(run.names.images) == 16


def test_a_callback_that_logs(run_example):
    run = run_example("own-log")
    assert run.calls["LogWeights.on_log"] == 3
    norms = {entry["step"]: entry["generator_norm"] for entry in read_log("own-log") if "generator_norm" in entry}
    assert norms.keys() == {1, 2, 3}
    assert norms[3] == pytest.approx(run.seen.after.norm().item())


def test_a_callback_that_draws(run_example):
    assert run_example("own-maps").calls["LogFeatureMaps.on_sample"] == 3
    events = EventAccumulator(os.path.join("own-maps", "logs", "dcgan_hf"))
    events.Reload()
    assert [event.step for event in events.Images("feature maps")] == [1, 2, 3]


def test_a_callback_that_stops(run_example, monkeypatch):
    monkeypatch.setitem(EXAMPLES, "own-stop", _easy_to_please(EXAMPLES["own-stop"]))
    run = run_example("own-stop")
    assert run.calls["StopWhenGood.on_evaluate"] == 1
    assert checkpoints("own-stop") == ["checkpoint-1"]
    measured = [entry for entry in read_log("own-stop") if "eval_frechet_distance" in entry]
    assert [entry["step"] for entry in measured] == [1]
    assert "ResNetForImageClassification" in json.loads(open("digits-classifier/config.json").read())["architectures"]


def _easy_to_please(block):
    """The same example, which is content with any images: three updates draw nothing good."""
    code = block.code.replace("< 20", "< 1e9").replace('"eval_num_images": 1000', '"eval_num_images": 0 + 300')
    assert code.count("1e9") == 1 and code.count("0 + 300") == 1
    return type(block)(block.page, block.line, block.language, code)
