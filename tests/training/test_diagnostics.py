import copy
import json
import math

import pytest
import torch

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANTrainingArguments,
)
from dcgan_hf.interpretability.history import draw_history, load_history
from dcgan_hf.training.augmentation import NUM_RANDOM_NUMBERS
from dcgan_hf.training.diagnostics import collect_diagnostics
from dcgan_hf.training.failures import diagnose
from dcgan_hf.training.updates import UPDATE_STRATEGIES

from ..train_utils import fingerprint, read_log, train_elsewhere, train_here
from .test_update_strategies import gan_for, make_batches, make_gan


def networks_of(gan):
    return {"generator": gan.generator, "discriminator": gan.discriminator}


def all_hooks(network):
    return [hook for module in network.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]


# ---- no side effects ----


@pytest.mark.parametrize(
    "name, norm_type", [("alternating", "batch"), ("simultaneous", "spectral"), ("one_stage", "group")]
)
def test_updates_are_the_same_bit_for_bit(name, norm_type):
    adam = {"optimizer": torch.optim.Adam, "lr": 0.01, "num_classes": 2}
    watched, alone = gan_for(name, norm_type, **adam), gan_for(name, norm_type, **adam)
    for batch in make_batches(2, num_classes=2):
        for gan in (watched, alone):
            UPDATE_STRATEGIES[name](gan, [batch])
        random_state = torch.get_rng_state()
        collect_diagnostics(watched, batch)
        assert torch.equal(torch.get_rng_state(), random_state)
    for ours, expected in zip(networks_of(watched).values(), networks_of(alone).values()):
        state, expected_state = ours.state_dict(), expected.state_dict()  # running statistics, singular vectors
        assert state.keys() == expected_state.keys()
        assert all(torch.equal(state[key], expected_state[key]) for key in state)
        for parameter, other in zip(ours.parameters(), expected.parameters()):
            assert torch.equal(parameter.grad, other.grad) and parameter.requires_grad
        assert all(module.training for module in ours.modules()) and not all_hooks(ours)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with and without diagnostics, and with diagnostics in two parts."""
    folder = tmp_path_factory.mktemp("diagnostics")
    train_here(folder / "without")
    train_here(folder / "with", diagnostics_steps=3)
    train_here(folder / "parts", diagnostics_steps=3, max_train_steps=8)
    train_here(folder / "parts", diagnostics_steps=3, resume_from_checkpoint="checkpoint-4")
    return folder


def diagnostics_of(run):
    entries = [entry for entry in read_log(run) if "diagnostics/generator/gradient_norm" in entry]
    return {entry.pop("step"): entry for entry in entries}


def test_a_run_is_the_same_and_resumes(runs):
    assert fingerprint(runs / "with" / "checkpoint-12") == fingerprint(runs / "without" / "checkpoint-12")
    assert diagnostics_of(runs / "without") == {}
    found = diagnostics_of(runs / "with")
    assert list(found) == [3, 6, 9, 12]
    assert all(math.isfinite(value) for entry in found.values() for value in entry.values())
    assert diagnostics_of(runs / "parts") == found


def test_two_processes_log_the_gradient_of_both(tmp_path):
    options = {"generator_config": '{"norm_type": "none"}', "discriminator_config": '{"norm_type": "none"}'}
    options |= {"max_train_steps": 2, "diagnostics_steps": 2}
    train_elsewhere(tmp_path / "two", processes=2, train_batch_size=32, **options)
    train_here(tmp_path / "one", train_batch_size=64, **options)
    two, one = (diagnostics_of(tmp_path / run)[2] for run in ("two", "one"))
    for name, value in one.items():
        if "gradient_norm" in name or "spectral_norm" in name:
            assert two[name] == pytest.approx(value, rel=1e-3), name


def test_wrong_argument():
    with pytest.raises(ValueError, match="`diagnostics_steps` must be at least 1, got 0"):
        DCGANTrainingArguments(diagnostics_steps=0)


# ---- logged values ----


@pytest.mark.parametrize("name", UPDATE_STRATEGIES)
def test_gradient_norms_are_lengths_of_the_updates(name):
    gan = gan_for(name, optimizer=torch.optim.SGD, lr=0.5)
    before = {network: copy.deepcopy(module) for network, module in networks_of(gan).items()}
    (batch,) = make_batches()
    UPDATE_STRATEGIES[name](gan, [batch])
    values = collect_diagnostics(gan, batch)
    for network, module in networks_of(gan).items():
        old = before[network].state_dict()
        moves = {key: (parameter - old[key]) / 0.5 for key, parameter in module.named_parameters()}
        whole = torch.cat([move.flatten() for move in moves.values()]).norm().item()
        assert values[f"diagnostics/{network}/gradient_norm"] == pytest.approx(whole, rel=1e-3)
        layer = "layers.0.convolution" if network == "generator" else "head"
        expected = moves[f"{layer}.weight"].norm().item()
        assert values[f"diagnostics/{network}/gradient_norm/{layer}"] == pytest.approx(expected, rel=1e-3)


def test_spectra_are_of_the_matrices_that_spectral_normalisation_divides():
    gan = make_gan("spectral")
    values = collect_diagnostics(gan, make_batches()[0])
    for network, module in networks_of(gan).items():
        for _ in range(200):  # power iterations
            for part in module.modules():
                if torch.nn.utils.parametrize.is_parametrized(part):
                    _ = part.weight
        layers = [key.split("/")[-1] for key in values if f"{network}/spectral_norm/" in key]
        assert len(layers) == 3
        for layer in layers:
            part = module.get_submodule(layer)
            weight = part.parametrizations.weight.original.detach()
            norm = (weight.norm() / part.weight.detach().norm()).item()
            assert values[f"diagnostics/{network}/spectral_norm/{layer}"] == pytest.approx(norm, rel=1e-3)
            rank = weight.square().sum().item() / norm**2
            assert values[f"diagnostics/{network}/stable_rank/{layer}"] == pytest.approx(rank, rel=1e-3)


@pytest.mark.parametrize("augmentations", [[], ["color", "cutout"]])
def test_logits_and_activations_are_those_of_training(augmentations):
    gan = make_gan(num_classes=2)
    gan.augmentations = augmentations
    (batch,) = make_batches(num_classes=2)
    # Fixed numbers, so that the reference needs none: unchanged colours, a quarter of each hole inside the image.
    batch.augmentation = torch.tensor([0.5, 0.5, 0.5, 0, 0, 0, 0]).expand(2, 8, NUM_RANDOM_NUMBERS)
    values = collect_diagnostics(gan, batch)
    generator, discriminator = copy.deepcopy(gan.generator), copy.deepcopy(gan.discriminator)
    with torch.no_grad():
        shown = [batch.pixel_values, generator(batch.latents, batch.class_labels).pixel_values]
        if augmentations:
            shown = [images.clone() for images in shown]
            for images in shown:
                images[:, :, :4, :4] = 0
        outputs = [discriminator(images, batch.class_labels, output_hidden_states=True) for images in shown]
    for name, output in zip(("real", "fake"), outputs):
        for percent in (5, 50, 95):
            expected = output.logits.quantile(percent / 100).item()
            assert values[f"diagnostics/{name}_logits/q{percent:02d}"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for i, maps in enumerate(zip(*(output.hidden_states for output in outputs))):
        units, layer = torch.cat(maps), f"layers.{i}.0.convolution"
        for statistic, expected in (("mean", units.mean()), ("std", units.std(correction=0))):
            value = values[f"diagnostics/discriminator/activation_{statistic}/{layer}"]
            assert value == pytest.approx(expected.item(), rel=1e-4)
        assert values[f"diagnostics/discriminator/dead_units/{layer}"] == 0


def test_dead_units_are_counted():
    gan = make_gan()
    with torch.no_grad():
        gan.generator.stem.normalization.bias[:3] = -100.0
        gan.discriminator.layers[1][1].bias[0] = -100.0
    values = collect_diagnostics(gan, make_batches()[0])
    for network, layer, expected in (
        ("generator", "stem.projection", 3 / gan.generator.config.hidden_sizes[0]),
        ("generator", "layers.0.convolution", 0),
        ("discriminator", "layers.1.0.convolution", 1 / gan.discriminator.config.hidden_sizes[1]),
    ):
        assert values[f"diagnostics/{network}/dead_units/{layer}"] == pytest.approx(expected)


def test_shared_activations_and_patches():
    """Hidden layers of a stem share an activation function; the head of a patchwise discriminator is a convolution."""
    gan = make_gan()
    common = {"image_size": 16, "hidden_size": 8, "num_channels": 1}
    gan.generator = DCGANGenerator(DCGANGeneratorConfig(**common, latent_dim=6, stem_hidden_sizes=[5, 7]))
    gan.discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**common, patchwise=True))
    values = collect_diagnostics(gan, make_batches()[0])
    for layer in ("stem.hidden_layers.0", "stem.hidden_layers.1", "stem.projection", "layers.0.convolution"):
        assert 0 < values[f"diagnostics/generator/activation_std/{layer}"]
    assert values["diagnostics/discriminator/spectral_norm/head"] > 0
    assert values["diagnostics/fake_logits/q05"] < values["diagnostics/fake_logits/q95"]


# ---- the history ----


def titles(figure):
    return [axis.get_title(loc="left") for axis in figure.axes if axis.axison]


def test_history_of_runs(runs, tmp_path):
    history = load_history(runs / "with")
    assert history.series["diagnostics/generator/gradient_norm"].steps.tolist() == [3, 6, 9, 12]
    logged = [entry["generator_loss"] for entry in read_log(runs / "with") if "generator_loss" in entry]
    assert history.series["generator_loss"].values.tolist() == logged
    layers = history.layers("diagnostics/discriminator/dead_units")
    assert list(layers) == ["layers.0.0.convolution", "layers.1.0.convolution"]
    figure = draw_history(history)
    assert titles(figure)[:4] == [
        "Losses",
        "Logits: median, middle 50 % and 90 % of the images",
        "Diversity, relative to real images",
        "Generator: gradient norm",
    ]
    assert len(titles(figure)) == 3 + 2 * 5
    figure.savefig(tmp_path / "history.png", dpi=30)
    without = draw_history(load_history(runs / "without"))
    assert titles(without) == ["Losses", "Logits: mean", "Diversity, relative to real images"]


def test_troubles_are_what_the_run_warned_of(tmp_path):
    """A run that collapses, recovers and then fails, with an incomplete last line."""
    healthy = {"discriminator_loss": 1.0, "generator_loss": 1.0, "real_logits": 1.0, "fake_logits": -1.0}
    healthy |= {"logits_std": 1.0, "diversity": 1.0}
    collapsed, dead = healthy | {"diversity": 0.1}, healthy | {"logits_std": 0.0}
    entries = [(500, healthy), (600, collapsed), (700, collapsed), (800, healthy), (900, dead)]
    lines = [json.dumps({"step": step} | entry) for step, entry in entries]
    lines.insert(2, json.dumps({"step": 600, "eval_frechet_distance": 30.0, "diagnostics/x": math.nan}))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 1000, "gener']))
    (tmp_path / "training_args.json").write_text('{"loss": "bce"}')
    history = load_history(tmp_path)
    assert [(start, end) for start, end, _ in history.troubles] == [(600, 800), (900, 900)]
    assert [said for _, _, said in history.troubles] == [diagnose(collapsed, 600), diagnose(dead, 900)]
    figure = draw_history(history)
    assert titles(figure)[-1] == "Distance to real images"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "from update 600: The generator has collapsed",
        "from update 900: The discriminator is dead",
    ]


def test_a_custom_loss_is_not_judged_by_the_one_in_the_arguments(tmp_path):
    """The log of a run whose loss has no minimum at 0: "the discriminator has won" would be wrong."""
    (tmp_path / "logs").mkdir()
    entry = {"step": 1000, "discriminator_loss": -3.0, "generator_loss": 1.0, "logits_std": 2.0, "diversity": 1.0}
    (tmp_path / "logs" / "metrics.jsonl").write_text(json.dumps(entry) + "\n")
    (tmp_path / "training_args.json").write_text(json.dumps({"loss": "bce"}))
    assert [trouble.diagnosis.partition(":")[0] for trouble in load_history(tmp_path).troubles] == [
        "The discriminator has won"
    ]
    (tmp_path / "training_results.json").write_text(json.dumps({"own_parts": ["loss"]}))
    assert load_history(tmp_path).troubles == []


@pytest.mark.parametrize("text", ["{}", '{"loss": "mine"}', '{"loss": 1}'])
def test_a_log_without_the_arguments_of_its_run_is_refused_by_name(text, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "metrics.jsonl").write_text('{"step": 1, "discriminator_loss": 1.0}')
    (tmp_path / "training_args.json").write_text(text)
    with pytest.raises(ValueError, match="training_args.json must name the `loss` of the run"):
        load_history(tmp_path)


def test_no_log(tmp_path):
    with pytest.raises(ValueError, match="must be the `output_dir` of a run, with a non-empty `logs/metrics.jsonl`"):
        load_history(tmp_path)
