import copy
import dataclasses
import json
import pickle

import pytest

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANGenerator,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionTrainingArguments,
    DCGANTrainingArguments,
)
from dcgan_hf.flags import names_where
from dcgan_hf.training.arguments import TrainingArguments
from dcgan_hf.training.recipes import arguments_from_recipe, read_recipe

from ..train_utils import RECIPES, run_command


def from_file(path, **changes):
    return arguments_from_recipe(DCGANTrainingArguments, path, changes)


def test_defaults_are_those_of_the_strongest_recipe():
    args, strong = DCGANTrainingArguments(), read_recipe("strong")
    same = ("train_batch_size", "learning_rate", "lr_scheduler", "adam_beta2", "use_ema", "ema_half_life")
    assert {name: getattr(args, name) for name in same} == {name: strong[name] for name in same}
    assert args.learning_rate / 4 == strong["discriminator_learning_rate"]


def test_the_papers_values_are_a_recipe():
    args = from_file("celeba")
    assert (args.learning_rate, args.discriminator_learning_rate, args.train_batch_size) == (2e-4, 2e-4, 128)
    assert (args.adam_beta1, args.adam_beta2, args.lr_scheduler, args.use_ema) == (0.5, 0.999, "constant", False)
    assert (args.update_strategy, args.loss) == ("alternating", "bce")
    assert (args.resolution, args.latent_dim, args.hidden_size) == (64, 100, 64)


@pytest.mark.parametrize("flags", [[], ["--dataset-name=digits"], ["--config=digits"]])
def test_digits_are_trained_with_their_recipe(flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = ("--hidden_size=4", "--latent_dim=4", "--max_train_steps=1", "--use_cpu")
    run_command("train", *flags, *tiny, "--seed", 3, "--use_ema", "false")
    args = json.loads((tmp_path / "dcgan-digits" / "training_args.json").read_text())
    assert (args["dataset_name"], args["resolution"], args["seed"]) == ("digits", 32, 3)
    assert (args["max_train_steps"], args["hidden_size"], args["use_ema"]) == (1, 4, False)
    assert from_file("digits", num_epochs=2).max_train_steps is None
    assert DCGANTrainingArguments(dataset_name="org/name").resolution == 64


def test_changes_override_the_file(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("dataset_name: org/name\nresolution: 28\nuse_ema: true\nlearning_rate: 1e-4\n")
    args = from_file(file, resolution=32)
    assert (args.dataset_name, args.resolution, args.use_ema, args.learning_rate) == ("org/name", 32, True, 1e-4)
    assert from_file(file, use_ema=False).use_ema is False


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_channels": 7}, "`num_channels=7` must be one of 1, 3, 4"),
        ({"mixed_precision": "bf61"}, "`mixed_precision=bf61` must be one of .* Did you mean 'bf16'"),
    ],
)
def test_optional_choices_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        DCGANTrainingArguments(**wrong)


def test_epochs_override_the_steps_of_a_recipe():
    assert read_recipe("digits")["max_train_steps"] == 6000
    assert from_file("digits", num_epochs=3).max_train_steps is None
    assert from_file("digits", num_epochs=3, max_train_steps=7).max_train_steps == 7


def test_nested_and_empty_values_of_a_file(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("max_train_steps:\ngenerator_config:\n  norm_type: group\n  num_groups: 8\n")
    args = from_file(file)
    assert args.max_train_steps is None
    generator, discriminator = args.network_configs(3, None)
    assert (generator.norm_type, generator.num_groups) == ("group", 8)
    assert discriminator.norm_type == "batch"


@pytest.mark.parametrize("fields", ['{"use_bias": false}', {"use_bias": False}])
def test_changes_override_single_fields_of_a_network(fields):
    args = from_file("article", generator_config=fields)
    generator, discriminator = args.network_configs(3, None)
    assert generator.use_bias is False and generator.stem_hidden_sizes == [128, 128, 100]
    assert discriminator.use_bias is True


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"resolution": 18},
            "`resolution=18` has no default layers. Use 16 or 20, or set the layers of both networks, such as .*strides",
        ),
        (
            {"resolution": 50},
            "`resolution=50` has no default layers. Use 48 or 52, or set the layers of both networks",
        ),
        ({"generator_config": '{"image_size": 32}'}, "must not contain .'image_size'., which other arguments set"),
        ({"discriminator_config": '{"id2label": {}}'}, "must not contain .'id2label'., which other arguments set"),
        ({"label_column": "kind"}, "`label_column=kind` has no effect without `class_conditional`"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(Exception, match=message):
        DCGANTrainingArguments(**arguments)


def test_networks_are_described_in_one_form(tmp_path):
    (tmp_path / "recipe.yaml").write_text('generator_config: \'{"use_bias":true, "norm_type": "none"}\'\n')
    described = [
        from_file(tmp_path / "recipe.yaml"),
        DCGANTrainingArguments(generator_config='{"norm_type": "none", "use_bias": true}'),
        DCGANTrainingArguments(generator_config={"norm_type": "none", "use_bias": True}),
    ]
    assert len({args.generator_config for args in described}) == 1


@pytest.mark.parametrize(
    "content, message",
    [
        ("resolutoin: 32", "sets 'resolutoin', which is not a training argument. Did you mean 'resolution'?"),
        ("generator_config: [1]", r"`generator_config` must be a JSON object, got \[1\]"),
        ("generator_config: '[1]'", r"`generator_config` must be a JSON object, got '\[1\]'"),
        ("a: b: c", "is not valid YAML: mapping values are not allowed here"),
        ("- 1", "must contain `argument: value` lines"),
        ("", "must contain `argument: value` lines, got None"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        from_file(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    "content, message",
    [
        ("loss: hing", "`loss=hing` must be one of 'bce', 'least_squares', 'hinge', .*. Did you mean 'hinge'?"),
        ("resolution: wide", "`resolution=wide` must be an integer"),
        ("label_smoothing: 0.7", "`label_smoothing` must lie between 0 and 0.5, got 0.7"),
    ],
)
def test_values_of_a_file_are_checked_like_others(tmp_path, content, message):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        from_file(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes(recipe):
    content = read_recipe(recipe.stem)
    args: TrainingArguments
    if "scale_factor" in content:
        args = arguments_from_recipe(DCGANSuperResolutionTrainingArguments, recipe)
        configs = args.network_configs(args.num_channels or 3)
        networks = (DCGANSuperResolutionGenerator, DCGANDiscriminator)
    else:
        args = from_file(recipe)
        configs = args.network_configs(args.num_channels or 3, ["a", "b"] if args.class_conditional else None)
        networks = (DCGANGenerator, DCGANDiscriminator)
    assert args.output_dir == f"dcgan-{recipe.stem.replace('_', '-')}"
    for network, config in zip(networks, configs):
        assert network(config).num_parameters() > 0
    assert all(content[name] for name in ("description", "hardware", "time"))


def test_class_names_reach_both_networks():
    for config in DCGANTrainingArguments(resolution=32).network_configs(1, ["cat", "dog"]):
        assert config.num_classes == 2 and config.id2label == {0: "cat", 1: "dog"}


def test_empty_class_names_are_refused_without_classes():
    with pytest.raises(ValueError, match="`class_names=` has no effect without `class_conditional`"):
        DCGANTrainingArguments(class_names=[])


@pytest.mark.parametrize("arguments_class", [DCGANTrainingArguments, DCGANSuperResolutionTrainingArguments])
def test_every_argument_has_a_help_text_and_is_json(arguments_class):
    args = arguments_class()
    assert all(field.metadata["help"] for field in dataclasses.fields(args))
    assert json.loads(json.dumps(dataclasses.asdict(args))) == dataclasses.asdict(args)
    fixed, free = (names_where(arguments_class, on_resume=kind) for kind in ("fixed", "free"))
    assert {"resolution", "hidden_size", "generator_config", "discriminator_config", "use_ema"} <= fixed
    assert {"output_dir", "max_train_steps", "checkpointing_steps", "eval_steps", "cache_dir"} <= free


def test_arguments_know_which_were_given():
    """Also in copies, but among the arguments themselves it is nowhere."""
    args = DCGANTrainingArguments(resolution=64, num_channels=None)
    for copied in (args, copy.copy(args), pickle.loads(pickle.dumps(args))):
        assert copied.given == {"resolution"} and copied == args
    assert DCGANTrainingArguments(**vars(args)) == args
