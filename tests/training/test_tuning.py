"""Tests of the precision and the convolutions that a run chooses."""

import json
import re

import pytest
import torch
from torch import nn

from dcgan_hf import DCGANTrainer, DCGANTrainingArguments, TrainerCallback
from dcgan_hf.benchmarks.loops import make_engine
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.loaders import DecodingLoader
from dcgan_hf.kernels import tiles
from dcgan_hf.kernels.tiles import library
from dcgan_hf.modeling_dcgan import DCGANDiscriminatorOutput

from ..kernels.ways import Always
from ..train_utils import TINY, fingerprint, read_log, run_command, train_elsewhere, train_here


CHOOSING = {"autotune": "on", "mixed_precision": None, "resolution": 32}


def arguments_of(folder):
    return json.loads((folder / "training_args.json").read_text())


def test_a_run_says_what_it_chose_and_why(tmp_path, caplog):
    with caplog.at_level("INFO"):
        train_here(tmp_path / "run", **CHOOSING)
    (message,) = [record.message for record in caplog.records if record.message.startswith("Autotune")]
    assert re.match(
        r"Autotune \(\d+\.\d s\): (bf16 \d+\.\dx as fast as fp32 here: )?(single precision|bf16), ", message
    )
    arguments = arguments_of(tmp_path / "run")
    assert arguments["mixed_precision"] in ("no", "bf16")
    counts = {way: int(n) for n, way in re.findall(r"(\d+) (\w+)", message.split("convolutions: ")[1])}
    assert sum(counts.values()) == 6  # of two networks
    assert sum(n for way, n in counts.items() if way != "pytorch") == len(arguments["convolutions"])


def test_off_leaves_everything_to_pytorch(tmp_path, caplog):
    with caplog.at_level("INFO"):
        train_here(tmp_path / "run", **CHOOSING | {"autotune": "off"})
    assert "Autotune" not in caplog.text
    arguments = arguments_of(tmp_path / "run")
    assert arguments["convolutions"] == {} and arguments["mixed_precision"] == "no"


@pytest.mark.skipif(library() is None, reason="needs a C++ compiler")
def test_a_resumed_run_repeats_the_choice_bit_for_bit(tmp_path, monkeypatch):
    """Whatever the machine would choose by then."""

    def choose(shapes, batch_size, precisions):
        ways = {str(shape): shape.ways(torch.float32)[-1] for shape in shapes}
        return {"no": 1.0}, {"no": {shape: way for shape, way in ways.items() if way != "pytorch"}}

    monkeypatch.setattr("dcgan_hf.training.tuning.choose_ways", choose)
    train_here(tmp_path / "whole", **CHOOSING)
    chosen = arguments_of(tmp_path / "whole")["convolutions"]
    assert set(chosen.values()) == {"winograd_5", "pixel_shuffle"}
    train_here(tmp_path / "parts", **CHOOSING | {"max_train_steps": 8})
    monkeypatch.setattr("dcgan_hf.training.tuning.choose_ways", None)
    train_here(tmp_path / "parts", **CHOOSING, resume_from_checkpoint="latest")
    assert arguments_of(tmp_path / "parts")["convolutions"] == chosen
    assert fingerprint(tmp_path / "parts") == fingerprint(tmp_path / "whole")
    assert [row["step"] for row in read_log(tmp_path / "parts")][-1] == 12


def test_the_precision_of_a_checkpoint_is_repeated_too(tmp_path):
    train_here(tmp_path / "run", **CHOOSING | {"mixed_precision": "bf16", "max_train_steps": 4})
    train_here(tmp_path / "run", **CHOOSING, resume_from_checkpoint="latest")
    assert arguments_of(tmp_path / "run")["mixed_precision"] == "bf16"


def test_without_a_compiler_there_is_still_a_choice(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    library.cache_clear()
    try:
        train_here(tmp_path / "run", **CHOOSING)
    finally:
        library.cache_clear()
    assert not any(way.startswith("winograd") for way in arguments_of(tmp_path / "run")["convolutions"].values())


def test_a_compiler_that_fails_is_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "CACHE_FOLDER", tmp_path)
    monkeypatch.setenv("CXX", "false")
    library.cache_clear()
    try:
        assert library() is None and not list(tmp_path.rglob("*.*"))
    finally:
        library.cache_clear()


@pytest.mark.skipif(library() is None, reason="needs a C++ compiler")
def test_a_library_that_cannot_be_loaded_is_compiled_again(tmp_path, monkeypatch):
    """With a compiler that has options of its own."""
    monkeypatch.setenv("CXX", "c++ -O1")
    try:
        for folder in ("first", "second"):
            library.cache_clear()
            monkeypatch.setattr(tiles, "CACHE_FOLDER", tmp_path / folder)
            if folder == "second":
                (path,) = (tmp_path / "first").rglob("*.so")
                damaged = tmp_path / "second" / "kernels" / path.name
                damaged.parent.mkdir(parents=True)
                damaged.touch()
            assert library() is not None
        assert damaged.stat().st_size > 0
    finally:
        library.cache_clear()


def test_what_a_cpu_cannot_do_is_refused_wherever_it_comes_from(tmp_path, monkeypatch):
    train_here(tmp_path / "run", **CHOOSING | {"mixed_precision": "bf16", "max_train_steps": 4})
    for precision in ("fp8", "FP16"):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", precision)
        with pytest.raises(ValueError, match=f"`mixed_precision={precision.lower()}` needs a GPU"):
            train_here(tmp_path / "other", **CHOOSING)
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    monkeypatch.setattr(
        "dcgan_hf.training.tuning.read_state", lambda folder: {"arguments": {"mixed_precision": "fp16"}}
    )
    with pytest.raises(ValueError, match="`mixed_precision=fp16` needs .*checkpoint"):
        train_here(tmp_path / "run", **CHOOSING, resume_from_checkpoint="latest")


def test_choosing_neither_reads_a_stream_nor_draws_random_numbers(tmp_path, monkeypatch):
    opened, latents = [], {}

    class NoisyTrainer(DCGANTrainer):
        def sample_latents(self, num_images, generator):
            return torch.randn(num_images, self.args.latent_dim)  # from the global generator

    class Note(TrainerCallback):
        def on_step_end(self, args, state, control, trainer=None, **kwargs):
            latents.setdefault(args.autotune, []).append(trainer.engine.batches[0].latents)

    stream = DecodingLoader._stream
    monkeypatch.setattr(DecodingLoader, "_stream", lambda *args: opened.append(args) or stream(*args))
    images = load_image_dataset("digits").dataset.select(range(16)).to_iterable_dataset()
    for autotune in ("off", "on"):
        folder = tmp_path / autotune
        args = TINY | {"output_dir": str(folder), "max_train_steps": 2, "train_batch_size": 8, "autotune": autotune}
        args |= {"streaming": True}
        torch.manual_seed(1)
        NoisyTrainer(DCGANTrainingArguments(**args), images, callbacks=[Note()]).train()
        assert len(opened) == 2  # for the updates, and for the images that the result is compared with
        opened.clear()
    assert len(latents["on"]) == 2 and all(map(torch.equal, latents["on"], latents["off"]))


def test_choosing_leaves_given_networks_as_they_are(tmp_path):
    class Initialised(nn.Module):
        """Layer that takes its scale from the first images, as an ActNorm does."""

        scale = None

        def forward(self, images):
            self.scale = images.std().item() if self.scale is None else self.scale
            return images / self.scale

    convolution = nn.utils.weight_norm(nn.Conv2d(1, 4, 4, 4))  # with a computed tensor
    network = nn.Sequential(Initialised(), convolution, nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, pixel_values, class_labels=None):
            return DCGANDiscriminatorOutput(logits=self.network(pixel_values))

    args = TINY | {"output_dir": str(tmp_path), "max_train_steps": 2, "autotune": "on"}
    DCGANTrainer(DCGANTrainingArguments(**args), networks=(None, Discriminator())).train()
    assert network[0].scale > 0.1  # not that of black images


def test_two_processes_choose_the_same(tmp_path):
    output = train_elsewhere(tmp_path / "run", processes=2, **CHOOSING | {"train_batch_size": 32})
    assert output.count("Autotune") == 1


def test_super_resolution_chooses_as_well(tmp_path, caplog):
    """The discriminator's convolutions, too, if it has a part in the loss."""
    sizes = ["--max_train_steps=2", "--train_batch_size=2", "--resolution=16"]
    numbers = []
    for weight in (0, 0.01):
        caplog.clear()
        with caplog.at_level("INFO"):
            flags = f"--output_dir={tmp_path / 'run'}", "--overwrite_output_dir", f"--adversarial_loss_weight={weight}"
            run_command("train-super-resolution", "--use_cpu", *sizes, *flags)
        (message,) = [record.message for record in caplog.records if record.message.startswith("Autotune")]
        numbers.append(sum(map(int, re.findall(r"(\d+) \w", message.split("convolutions: ")[1]))))
        assert (tmp_path / "run" / "model_index.json").exists()
    assert 0 < numbers[0] < numbers[1]


@pytest.mark.skipif(library() is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("update_strategy, norm_type", [("alternating", "batch"), ("one_stage", "spectral")])
def test_updates_are_the_same_however_their_convolutions_are_computed(update_strategy, norm_type):
    """Also the generator's, through weights that the discriminator's optimizer has just changed."""
    arguments = DCGANTrainingArguments(
        resolution=32,
        hidden_size=8,
        train_batch_size=8,
        learning_rate=0.02,
        discriminator_learning_rate=0.02,
        adam_epsilon=0.1,  # large, lest Adam make the rounding error of a vanishing gradient a whole step
        update_strategy=update_strategy,
        discriminator_config={"norm_type": norm_type},
        use_cpu=True,
        mixed_precision="no",
        autotune="off",
    )
    images = torch.randint(0, 256, (3, 8, 3, 32, 32), dtype=torch.uint8)
    losses = []
    for ways in ({}, Always("winograd_3"), Always("winograd_5")):
        engine = make_engine(arguments, num_channels=3)
        engine.convolutions.ways = ways
        engine.start(num_steps=10)
        statistics = [engine.update([{"pixel_values": batch}], step) for step, batch in enumerate(images)]
        losses.append([[values["discriminator_loss"], values["generator_loss"]] for values in statistics])
    usual = torch.tensor(losses[0])
    assert usual.std(0).min() > 1e-2  # the updates change something
    for found in losses[1:]:
        torch.testing.assert_close(torch.tensor(found), usual, rtol=1e-3, atol=1e-3)
