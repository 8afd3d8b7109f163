"""Tests that the code in docs/ runs and does what the text says."""

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

from dcgan_hf import DCGANGeneratorConfig, DCGANPipeline, TrainerCallback
from dcgan_hf.training.callbacks import default_callbacks

from .train_utils import ROOT, checkpoints, read_log


DOCUMENT = ROOT / "docs" / "customize.md"
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), flags=re.DOTALL | re.MULTILINE))


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def flat_weights(network):
    return torch.cat([weights.detach().flatten() for weights in network.parameters()])


class Observer(TrainerCallback):
    """Records each run: the generator's weights before and after, the optimizers, the latents of all updates."""

    def __init__(self):
        self.runs = []

    def on_train_begin(self, args, state, control, trainer=None, **kwargs):
        optimizers = [type(optimizer) for optimizer in trainer.engine.optimizers]
        run = {
            "output_dir": args.output_dir,
            "before": flat_weights(trainer.engine.generator),
            "optimizers": optimizers,
            "latents": [],
        }
        self.runs.append(SimpleNamespace(**run))

    def on_step_end(self, args, state, control, trainer=None, **kwargs):
        self.runs[-1].latents.append(trainer.engine.batches[0].latents)

    def on_train_end(self, args, state, control, trainer=None, **kwargs):
        self.runs[-1].after = flat_weights(trainer.engine.generator)


def run_and_count(code, names):
    """Runs code and returns the number of calls of each function of the document."""
    calls = Counter()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename == str(DOCUMENT):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    try:
        exec(compile(code, DOCUMENT, "exec"), names)
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """Runs all code in order in one namespace. Returns runs, function calls and names by section."""
    observer, names, results = Observer(), {}, {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("docs"))
        monkeypatch.setattr("dcgan_hf.training.trainer.default_callbacks", lambda: [*default_callbacks(), observer])
        for code in blocks(DOCUMENT.read_text().split("\n## ")[0]):
            exec(code, names)
        for title, text in SECTIONS.items():
            first = len(observer.runs)
            calls = sum((run_and_count(code, names) for code in blocks(text)), Counter())
            runs = {run.output_dir: run for run in observer.runs[first:]}
            results[title] = SimpleNamespace(runs=runs, calls=calls, names=SimpleNamespace(**names))
        yield results


def test_no_example_is_long():
    assert len(blocks(DOCUMENT.read_text())) >= 12
    for code in blocks(DOCUMENT.read_text()):
        assert len(code.splitlines()) <= 15, code


def test_all_examples_train(sections):
    runs = {name: run for section in sections.values() for name, run in section.runs.items()}
    assert len(runs) == 11
    for name, run in runs.items():
        assert torch.isfinite(run.after).all() and not torch.equal(run.before, run.after), name
        assert len(run.latents) == (1 if name == "own-stop" else 3)
        assert os.path.isfile(f"{name}/model_index.json")


def test_networks(sections):
    section = sections["Networks"]
    trainer, names = section.names.trainer, section.names
    assert trainer.pipeline.generator.module is names.generator
    assert trainer.pipeline.discriminator.module is names.discriminator
    assert section.calls["MyGenerator.forward"] > 3 and section.calls["MyDiscriminator.forward"] == 3 * 3
    drawn = PIL.Image.open("digit.png")
    assert drawn.size == (16, 16) and drawn.mode == "L"

    # The saved weights are those that generate.
    layers = [torch.nn.Linear(8, 256), torch.nn.Tanh(), torch.nn.Unflatten(1, (1, 16, 16))]
    loaded = names.MyGenerator(*layers)
    loaded.load_state_dict(torch.load("generator.pth", weights_only=True))
    latents = torch.randn(2, 8)
    images = trainer.pipeline(latents=latents, output_type="pt").images
    torch.testing.assert_close(loaded(latents).pixel_values / 2 + 0.5, images)

    # Training a pipeline's networks continues in place.
    assert torch.equal(section.runs["second"].before, section.runs["first"].after)
    assert names.second.pipeline.generator is names.first.pipeline.generator


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


def test_networks_in_a_module_are_loaded(sections, tmp_path, monkeypatch):
    names = sections["Networks"].names
    (tmp_path / "networks_of_a_user.py").write_text(NETWORK_IN_A_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    network_class = importlib.import_module("networks_of_a_user").ImportableGenerator
    generator = network_class(DCGANGeneratorConfig(image_size=16, num_channels=1, latent_dim=8))
    trainer = names.DCGANTrainer(names.arguments(str(tmp_path / "run")), networks=(generator, None))
    trainer.train()
    loaded = DCGANPipeline.from_pretrained(tmp_path / "run")
    assert type(loaded.generator) is network_class
    latents = torch.randn(2, 8)
    images = [pipe(latents=latents, output_type="pt").images for pipe in (trainer.pipeline, loaded)]
    assert torch.equal(*images)


def test_losses(sections):
    calls = sections["Loss"].calls
    assert calls["discriminator_loss"] == calls["generator_loss"] == 3
    assert calls["average_loss"] == 6  # for both networks
    assert read_log("own-loss")[-1]["generator_loss"] < 0  # only the minimax loss is negative


def test_update(sections):
    calls = sections["Update"].calls
    assert calls["clipped_update"] == calls["update_discriminator"] == 3
    assert {"discriminator_loss", "generator_loss"} <= read_log("own-update")[-1].keys()
    assert "logits_std" not in read_log("own-update")[-1] and "logits_std" in read_log("first")[-1]


def test_optimizers(sections):
    section = sections["Optimizers"]
    assert section.calls["make_optimizer"] == 2
    assert section.runs["own-optimizers"].optimizers == [torch.optim.AdamW] * 2
    assert read_log("own-optimizers")[-1]["learning_rate"] == 3e-4


def test_two_optimizers(sections, tmp_path):
    names = sections["Networks"].names
    pipe = names.first.pipeline
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.01) for network in (pipe.generator, pipe.discriminator)]
    args = names.arguments(str(tmp_path), lr_scheduler="linear", logging_steps=1)
    before = flat_weights(pipe.discriminator)
    names.DCGANTrainer(args, networks=pipe, optimizers=tuple(optimizers)).train()
    assert not torch.equal(flat_weights(pipe.discriminator), before)
    rates = [entry["learning_rate"] for entry in read_log(tmp_path)]
    assert rates == pytest.approx([0.01, 0.01 * 2 / 3, 0.01 / 3])


def test_latents(sections):
    section = sections["Latents"]
    assert section.calls["UniformTrainer.sample_latents"] == 3 + 1 + 1  # updates, the sample grid, the last lines
    latents = torch.cat(section.runs["own-latents"].latents)
    assert latents.shape == (24, 8) and latents.abs().max() <= 1 and latents.std() < 0.7
    assert len(section.names.images) == 16


def test_callbacks(sections):
    section = sections["Callbacks"]
    assert section.calls["LogWeights.on_log"] == 3
    norms = {entry["step"]: entry["generator_norm"] for entry in read_log("own-log") if "generator_norm" in entry}
    assert norms.keys() == {1, 2, 3}
    assert norms[3] == pytest.approx(section.runs["own-log"].after.norm().item())

    assert section.calls["LogFeatureMaps.on_sample"] == 3
    events = EventAccumulator(os.path.join("own-maps", "logs", "dcgan_hf"))
    events.Reload()
    assert [event.step for event in events.Images("feature maps")] == [1, 2, 3]

    assert section.calls["StopWhenGood.on_evaluate"] == 1
    assert section.names.state.step == 1 < section.names.state.max_steps
    assert checkpoints("own-stop") == ["checkpoint-1"]
    measured = [entry for entry in read_log("own-stop") if "eval_frechet_distance" in entry]
    assert [entry["step"] for entry in measured] == [1] and measured[0]["eval_frechet_distance"] < 100
    assert "ResNetForImageClassification" in json.loads(open("digits-classifier/config.json").read())["architectures"]
