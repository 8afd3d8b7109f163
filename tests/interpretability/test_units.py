import numpy as np
import pytest
import torch

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.configuration_dcgan import DCGANDiscriminatorConfig
from dcgan_hf.evaluation.features import ClassifierFeatures
from dcgan_hf.evaluation.images import features_of
from dcgan_hf.image_processing_dcgan import DCGANImageProcessor
from dcgan_hf.interpretability.units import (
    ablation_effect,
    label_log_odds,
    most_effective_units,
    rank_units,
    remaining_difference,
    switched_off,
    unit_activations,
)
from dcgan_hf.modeling_dcgan_classification import DCGANForImageClassification


def make_pipe(**config):
    torch.manual_seed(0)
    fields = {"image_size": 16, "hidden_size": 4, "latent_dim": 6, "num_channels": 1, "initializer": "xavier_uniform"}
    pipe = DCGANPipeline(DCGANGenerator(DCGANGeneratorConfig(**fields | config)).eval())
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def images_by_hand(generator, latents, class_labels=None, switched_off=()):
    """Returns images and all feature maps of a generator with the given (layer, unit) switched off."""
    maps = [generator.stem(latents, class_labels)]
    for i in range(0, len(generator.layers), 3):
        for layer, unit in switched_off:
            if layer == i // 3:
                maps[-1][:, unit] = 0
        hidden_states = maps[-1].clone()  # activation functions are in-place
        for module in generator.layers[i : i + 3]:
            hidden_states = module(hidden_states)
        maps.append(hidden_states)
    return maps[-1].tanh(), maps[:-1]


def state_of(network):
    hooks = [len(module._forward_hooks) for module in network.modules()]
    flags = [(parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    return network.training, hooks, flags, {name: value.clone() for name, value in network.state_dict().items()}


def assert_as_it_was(network, state):
    for now, before in zip(state_of(network)[:3], state[:3]):
        assert now == before
    assert all(torch.equal(value, state[3][name]) for name, value in network.state_dict().items())


# ---- activations and ranking ----


@pytest.mark.parametrize("config", [{}, {"norm_type": "spectral", "num_channels": 3}, {"stem_activation": False}])
def test_activations_are_means_of_feature_maps(config, monkeypatch):
    monkeypatch.setattr("dcgan_hf.pipeline_dcgan.MAX_PIXELS_PER_FORWARD", 3 * 16**2)  # three chunks
    pipe = make_pipe(**config)
    pipe.generator.train()
    state = state_of(pipe.generator)
    latents = torch.randn(7, 6)
    found = [unit_activations(pipe, latents, layer) for layer in range(2)]
    assert_as_it_was(pipe.generator, state)
    _, maps = images_by_hand(pipe.generator.eval(), latents)
    for activations, feature_map in zip(found, maps, strict=True):
        torch.testing.assert_close(activations, feature_map.mean((2, 3)))


def test_activations_of_classes():
    pipe = make_pipe(num_classes=3)
    latents = torch.randn(2, 6)
    _, maps = images_by_hand(pipe.generator, latents, torch.tensor([2, 0]))
    torch.testing.assert_close(unit_activations(pipe, latents, 1, [2, "LABEL_0"]), maps[1].mean((2, 3)))


@pytest.mark.parametrize("box", [(0, 4, 8, 12), (3, 1, 10, 6), (5, 5, 6, 6)])
def test_activations_in_a_region(box):
    """The reference upscales feature maps to the size of the image."""
    pipe = make_pipe()
    latents = torch.randn(2, 6)
    _, maps = images_by_hand(pipe.generator, latents)
    left, top, right, bottom = box
    for layer, feature_map in enumerate(maps):
        large = torch.nn.functional.interpolate(feature_map, (16, 16), mode="nearest")
        expected = large[..., top:bottom, left:right].mean((2, 3))
        torch.testing.assert_close(unit_activations(pipe, latents, layer, region=box), expected)


def test_ranking_is_by_area_under_the_curve():
    from sklearn.metrics import roc_auc_score

    labels = np.random.default_rng(0).random(200) < 0.3
    activations = (torch.randn(200, 5) + torch.tensor([0.0, 2, -1, 0.5, 0]) * torch.from_numpy(labels)[:, None]).relu()
    activations[:, 4] = 0  # a dead unit carries no information
    units, areas = rank_units(activations, labels)
    assert units[0] == 1 and units[-1] == 2 and (areas.diff() <= 0).all() and areas[units == 4] == 0.5
    for unit, area in zip(units, areas):
        assert area.item() == pytest.approx(roc_auc_score(labels, activations[:, unit]), abs=1e-6)


# ---- without units ----


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"norm_type": "spectral", "stem_hidden_sizes": [5]},
        {"norm_type": "group", "num_groups": 2, "num_channels": 3},
        {"stem_norm": False, "stem_activation": False, "hidden_act": "leaky_relu"},
        {"num_classes": 3},
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_switched_off_units_are_zero(config, fused):
    pipe = make_pipe(**config)
    latents = torch.randn(3, 6)
    labels = torch.tensor([1, 2, 0]) if config.get("num_classes") else None
    off = [(0, 1), (0, 5), (1, 3)]
    expected, _ = images_by_hand(pipe.generator, latents, labels, off)
    unchanged, _ = images_by_hand(pipe.generator, latents, labels)
    if fused:
        pipe.generator.fuse()
    state = state_of(pipe.generator)
    with switched_off(pipe.generator, 0, [1, 5]), switched_off(pipe.generator, 1, torch.tensor([3])):
        found = pipe.generator(latents, labels).pixel_values
    assert_as_it_was(pipe.generator, state)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(pipe.generator(latents, labels).pixel_values, unchanged)
    assert (expected - unchanged).abs().max() > 1e-2


def test_switched_off_is_as_without_the_weights_that_read_the_units():
    pipe = make_pipe()
    latents = torch.randn(3, 6)
    with switched_off(pipe.generator, 1, [0, 2]):
        found = pipe(latents=latents, output_type="pt").images
    pipe.generator.layers[3].convolution.weight.data[[0, 2]] = 0
    torch.testing.assert_close(found, pipe(latents=latents, output_type="pt").images)


def test_switches_nest_let_gradients_through_and_go_away_after_errors():
    pipe = make_pipe()
    state = state_of(pipe.generator)
    latents = torch.randn(2, 6, requires_grad=True)
    with switched_off(pipe.generator, 0, [0, 1, 2]):
        together = pipe.generator(latents).pixel_values
    with switched_off(pipe.generator, 0, [1]), switched_off(pipe.generator, 0, [0, 2]):
        nested = pipe.generator(latents).pixel_values
    assert torch.equal(together, nested)
    gradient = torch.autograd.grad(nested.square().sum(), latents)[0]
    assert gradient.abs().sum() > 0
    with pytest.raises(KeyboardInterrupt), switched_off(pipe.generator, 0, [0]):
        raise KeyboardInterrupt
    assert_as_it_was(pipe.generator, state)


# ---- most effective units ----


@pytest.mark.parametrize("config", [{}, {"num_classes": 2}, {"norm_type": "spectral", "num_channels": 3}])
def test_most_effective_units_against_each_tried_alone(config, monkeypatch):
    """The image is linear in the last feature map up to `tanh`, so the effects of units add up and give the order."""
    monkeypatch.setattr("dcgan_hf.interpretability.units._CHUNK", 4)
    pipe = make_pipe(hidden_sizes=[8, 6], strides=[2, 2], **config)
    pipe.generator.train()
    state = state_of(pipe.generator)
    latents, classes = torch.randn(9, 6), [1] * 9 if config.get("num_classes") else None

    def score(pixel_values):
        return pixel_values.clamp(-0.999999, 0.999999).atanh()[:, 0, 3:9, 2:].sum((1, 2))

    def score_without(units):
        with torch.no_grad(), switched_off(pipe.generator, 1, units):
            return score(pipe(latents=latents, class_labels=classes, output_type="pt").images * 2 - 1).mean()

    found = most_effective_units(pipe, latents, 1, score, 6, classes)
    assert_as_it_was(pipe.generator, state)
    alone = torch.stack([score_without([unit]) for unit in range(6)])
    assert sorted(found.tolist()) == list(range(6))
    torch.testing.assert_close(alone[found], alone.sort().values, atol=1e-3, rtol=1e-3)
    few = most_effective_units(pipe, latents, 1, score, 2, classes, candidates=found[3:])
    assert few.tolist() == found[3:5].tolist()


@pytest.mark.parametrize("layer", [0, 1])
def test_units_are_chosen_given_those_that_are_off(layer, monkeypatch):
    """The reference zeroes the weights that read a unit; their gradients yield the gradient of its factor."""
    monkeypatch.setattr("dcgan_hf.interpretability.units._CHOSEN_AT_ONCE", 2)
    pipe = make_pipe()
    latents, target = torch.randn(5, 6), torch.randn(16, 16)

    def score(pixel_values):
        return -(pixel_values - target).square().mean((1, 2, 3))

    found = most_effective_units(pipe, latents, layer, score, 4)
    weight = pipe.generator.layers[3 * layer].convolution.weight
    expected = []
    for _ in range(2):
        (gradient,) = torch.autograd.grad(score(pipe.generator(latents).pixel_values).mean(), weight)
        effects = (gradient * weight).sum((1, 2, 3)).detach()
        effects[expected] = -torch.inf
        expected += effects.topk(2).indices.tolist()
        weight.data[expected] = 0
    assert found.tolist() == expected


def test_errors_of_a_score_leave_no_hooks():
    pipe = make_pipe()
    pipe.generator.train()
    state = state_of(pipe.generator)
    with pytest.raises(ZeroDivisionError):
        most_effective_units(pipe, torch.randn(2, 6), 0, lambda pixel_values: 1 / 0, 2)
    assert_as_it_was(pipe.generator, state)


@pytest.mark.parametrize("problem_type", ["single_label_classification", "multi_label_classification"])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_log_odds_are_those_of_the_probabilities(problem_type, num_channels, tmp_path):
    config = DCGANDiscriminatorConfig(
        image_size=16,
        hidden_size=4,
        num_channels=num_channels,
        id2label={0: "bag", 1: "boot", 2: "dress"},
        problem_type=problem_type,
        initializer="xavier_uniform",
    )
    DCGANForImageClassification(config).save_pretrained(tmp_path)
    DCGANImageProcessor(size={"height": 16, "width": 16}, num_channels=num_channels).save_pretrained(tmp_path)
    network = ClassifierFeatures(str(tmp_path), torch.device("cpu"))
    images = torch.randint(0, 256, (5, num_channels, 16, 16), dtype=torch.uint8)
    probabilities = torch.from_numpy(features_of(network, images).probabilities[:, 1])
    pixel_values = (images / 127.5 - 1).requires_grad_()
    found = label_log_odds(network, "boot")(pixel_values)
    torch.testing.assert_close(found, probabilities.logit(), atol=1e-4, rtol=1e-4)
    assert torch.autograd.grad(found.sum(), pixel_values)[0].abs().sum() > 0
    with pytest.raises(ValueError, match=r"`name` must be one of \['bag', 'boot', 'dress'\], got 'coat'"):
        label_log_odds(network, "coat")


def test_effect():
    before = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)
    after = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)
    effect = ablation_effect(before, after)
    np.testing.assert_allclose(effect.before, [0.5, 0.5, 0])
    np.testing.assert_allclose(effect.after, [0.25, 0.75, 0])
    np.testing.assert_allclose(effect.relative_change, [-0.5, 0.5, np.nan])
    np.testing.assert_allclose(effect.kept, [0.5, 1, np.nan])


def test_wrong_use():
    pipe, latents = make_pipe(), torch.randn(2, 6)
    for layer in (-1, 2):
        with pytest.raises(ValueError, match=f"`layer` must be from 0 to 1, got {layer}"):
            unit_activations(pipe, latents, layer)
    with (
        pytest.raises(ValueError, match=r"Units of layer 1 must be from 0 to 3, got \[4, -1\]"),
        switched_off(pipe.generator, 1, [0, 4, -1]),
    ):
        pass
    for box in ((0, 0, 17, 4), (4, 0, 4, 4), (0, -1, 4, 4)):
        with pytest.raises(
            ValueError, match=r"`region` must be \(left, top, right, bottom\) within an image of 16x16"
        ):
            unit_activations(pipe, latents, 0, region=box)
    for number, candidates in ((0, None), (5, None), (3, torch.tensor([0, 2]))):
        with pytest.raises(
            ValueError, match=f"`num_units` must be from 1 to ., the number of candidates, got {number}"
        ):
            most_effective_units(pipe, latents, 1, torch.sum, number, candidates=candidates)
    with pytest.raises(ValueError, match="has 0 classes, so `class_labels` must not be given"):
        most_effective_units(pipe, latents, 1, torch.sum, 2, class_labels=[0, 0])
    with pytest.raises(ValueError, match=r"`latents` must have shape \(2, 6\), got \(2, 5\)"):
        unit_activations(pipe, latents[:, :5], 0)
    with pytest.raises(ValueError, match="`labels` must be true for some and false for others, got 2 of 2"):
        rank_units(torch.randn(2, 3), np.ones(2, bool))
    with pytest.raises(ValueError, match=r"a bool array of shape \(2,\), got int64 of shape \(3,\)"):
        rank_units(torch.randn(2, 3), np.arange(3))
    with pytest.raises(ValueError, match=r"the same shape \(num_images, num_labels\), got \(2, 3\) and \(2, 2\)"):
        ablation_effect(np.ones((2, 3), bool), np.ones((2, 2), bool))


def test_what_is_left_of_a_difference():
    labels = np.array([True, True, False, False])
    before = torch.zeros(4, 1, 2, 2)
    before[:2, :, 0] = 1.0  # present only with the label
    after = before.clone()
    after[:2, :, 0, 0] = 0.0
    after[:, :, 1] = 5.0  # present in all images, so not discriminative
    assert remaining_difference(before, before, labels) == 1.0
    assert remaining_difference(before, after, labels) == 0.5
    with pytest.raises(ValueError, match="must be true for some and false for others, got 0 of 4"):
        remaining_difference(before, after, labels & False)
