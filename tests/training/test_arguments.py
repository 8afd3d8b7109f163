import dataclasses
import json

import pytest
import yaml

from dcgan_hf import DCGANDiscriminator, DCGANGenerator, DCGANSuperResolutionGenerator
from dcgan_hf.training.arguments import (
    HARMLESS_ARGUMENTS,
    DCGANTrainingArguments,
    TrainingArguments,
    parse_training_arguments,
)
from dcgan_hf.training.super_resolution_arguments import SuperResolutionTrainingArguments

from ..train_utils import RECIPES


DIGITS = RECIPES / "digits.yaml"


def parse(*argv):
    return parse_training_arguments(list(argv), default_config=DIGITS)


def test_defaults_are_the_papers():
    args = DCGANTrainingArguments()
    assert (args.learning_rate, args.adam_beta1, args.train_batch_size) == (2e-4, 0.5, 128)
    assert (args.update_strategy, args.loss, args.use_ema) == ("alternating", "bce", False)
    assert (args.resolution, args.latent_dim, args.hidden_size) == (64, 100, 64)


def test_without_a_dataset_the_digits_recipe_is_used():
    assert parse().output_dir == "dcgan-digits"
    assert parse("--num_epochs", "2").max_train_steps is None
    assert parse("--seed", "3").resolution == 32
    assert parse("--dataset_name", "org/name").resolution == 64
    assert parse("--dataset-name=org/name").output_dir == "dcgan-model"


def test_flags_override_the_file(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("dataset_name: org/name\nresolution: 28\nuse_ema: true\nlearning_rate: 1e-4\n")
    args = parse("--config", str(file), "--resolution", "32")
    assert (args.dataset_name, args.resolution, args.use_ema, args.learning_rate) == ("org/name", 32, True, 1e-4)
    assert parse("--config", str(file), "--use_ema", "false").use_ema is False


def test_nested_and_empty_values_of_a_file(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("max_train_steps:\ngenerator_config:\n  norm_type: group\n  num_groups: 8\n")
    args = parse("--config", str(file))
    assert args.max_train_steps is None
    generator, discriminator = args.network_configs(3, None)
    assert (generator.norm_type, generator.num_groups) == ("group", 8)
    assert discriminator.norm_type == "batch"


def test_flags_override_single_fields_of_a_network():
    args = parse("--config", str(RECIPES / "article.yaml"), "--generator_config", '{"use_bias": false}')
    generator, discriminator = args.network_configs(3, None)
    assert generator.use_bias is False and generator.stem_hidden_sizes == [128, 128, 100]
    assert discriminator.use_bias is True


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"resolution": 18}, "`image_size=18` has no default `strides`"),
        ({"generator_config": '{"image_size": 32}'}, "must not have .'image_size'., which other arguments decide"),
        ({"discriminator_config": '{"id2label": {}}'}, "must not have .'id2label'., which other arguments decide"),
        ({"label_column": "kind"}, "`label_column=kind` has no effect without `class_conditional`"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(Exception, match=message):
        DCGANTrainingArguments(**arguments)


def test_networks_are_described_in_one_form(tmp_path):
    (tmp_path / "recipe.yaml").write_text('generator_config: \'{"use_bias":true, "norm_type": "none"}\'\n')
    from_file = parse("--config", str(tmp_path / "recipe.yaml"))
    from_flag = parse("--dataset_name=digits", '--generator_config={"norm_type": "none", "use_bias": true}')
    assert from_file.generator_config == from_flag.generator_config


@pytest.mark.parametrize(
    "content, message",
    [
        ("resolutoin: 32", r"has \['resolutoin'\], which are not arguments"),
        ("generator_config: [1]", r"`generator_config` must be a JSON object, got '\[1\]'"),
        ("a: b: c", "is not YAML: mapping values are not allowed here"),
        ("- 1", "must hold `argument: value` lines"),
        ("", "must hold `argument: value` lines, got None"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        parse("--config", str(tmp_path / "recipe.yaml"))


def test_values_of_a_file_are_checked_like_flags(tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text("loss: mse\n")
    with pytest.raises(SystemExit):
        parse("--config", str(tmp_path / "recipe.yaml"))
    assert "invalid choice: 'mse'" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes(recipe):
    args: TrainingArguments
    if "scale_factor" in yaml.safe_load(recipe.read_text()):
        args = parse_training_arguments(["--config", str(recipe)], recipe, SuperResolutionTrainingArguments)
        configs = args.network_configs(args.num_channels or 3)
        networks = (DCGANSuperResolutionGenerator, DCGANDiscriminator)
    else:
        args = parse("--config", str(recipe))
        configs = args.network_configs(args.num_channels or 3, ["a", "b"] if args.class_conditional else None)
        networks = (DCGANGenerator, DCGANDiscriminator)
    assert args.output_dir == f"dcgan-{recipe.stem.replace('_', '-')}"
    for network, config in zip(networks, configs):
        assert network(config).num_parameters() > 0
    text = recipe.read_text()
    assert "# Hardware: " in text and "Expected time" in text


def test_class_names_reach_both_networks():
    for config in DCGANTrainingArguments(resolution=32).network_configs(1, ["cat", "dog"]):
        assert config.num_classes == 2 and config.id2label == {0: "cat", 1: "dog"}


@pytest.mark.parametrize("arguments_class", [DCGANTrainingArguments, SuperResolutionTrainingArguments])
def test_every_argument_has_a_help_text_and_is_json(arguments_class):
    args = arguments_class()
    assert all(field.metadata["help"] for field in dataclasses.fields(args))
    assert json.loads(json.dumps(dataclasses.asdict(args))) == dataclasses.asdict(args)
    if arguments_class is DCGANTrainingArguments:
        assert {field.name for field in dataclasses.fields(args)} >= HARMLESS_ARGUMENTS
