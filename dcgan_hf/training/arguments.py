# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of the training script: flags, or keys of a YAML file."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from transformers import HfArgumentParser

from ..configuration_dcgan import DCGANDiscriminatorConfig, DCGANGeneratorConfig
from .argument_checks import check_dcgan_arguments


def flag(default: Any, help: str) -> Any:
    """A field of arguments, with what `--help` says of it."""
    return field(default=default, metadata={"help": help})


@dataclass
class TrainingArguments:
    """Arguments that all training scripts have. Defaults are the paper's where the paper says something."""

    # Data
    dataset_name: str = flag(
        "digits",
        "Data set: a repository on the Hub, a local folder or files that `datasets` can read, or one of 'digits' and"
        " 'photos', which ship with scikit-learn, and 'procedural_faces', which are drawn.",
    )
    dataset_config_name: str | None = flag(None, "Configuration of the data set, if it has several.")
    dataset_split: str = flag("train", "Split of the data set.")
    max_train_samples: int | None = flag(None, "Number of images to use, chosen at random. By default all.")
    image_column: str | None = flag(None, "Column of the images. Found by its type if there is only one.")
    streaming: bool = flag(False, "Read the data set while training instead of downloading it first.")
    cache_dir: str | None = flag(None, "Where data sets are kept.")
    resolution: int = flag(64, "Width and height of the images in pixels.")
    num_channels: int | None = flag(None, "1 (grey), 3 (RGB) or 4 (RGBA). By default 1 or 3 as the first image has.")
    random_flip: bool = flag(False, "Mirror half of the images horizontally, chosen at random.")
    skip_bad_images: bool = flag(False, "Go on without images that cannot be read, and count them.")
    in_memory_gb: float = flag(
        4.0, "Decode the data set once and keep it on the device, in each process, if it takes at most this."
    )
    dataloader_num_workers: int = flag(4, "Threads that decode images.")

    # Networks
    hidden_size: int = flag(64, "Width of the convolutions next to the image.")
    generator_config: str = flag("{}", "More fields of `DCGANGeneratorConfig`, as JSON.")
    discriminator_config: str = flag("{}", "More fields of `DCGANDiscriminatorConfig`, as JSON.")

    # Training
    output_dir: str = flag("dcgan-model", "Folder for the trained pipeline, checkpoints, samples and logs.")
    overwrite_output_dir: bool = flag(False, "Delete an earlier run's checkpoints, samples and logs in `output_dir`.")
    seed: int = flag(0, "Seed of weights, order of the data and latents.")
    num_epochs: int = flag(25, "Number of passes through the data set.")
    max_train_steps: int | None = flag(None, "Number of updates. Overrides `num_epochs`.")
    train_batch_size: int = flag(128, "Images of a batch, on each process.")
    gradient_accumulation_steps: int = flag(1, "Batches of an update, on each process.")
    loss: Literal["bce", "least_squares", "hinge", "relativistic", "wasserstein"] = flag(
        "bce", "Loss. 'bce' is the paper's."
    )
    label_smoothing: float | None = flag(
        None, "What the label of real images is lowered by, such as 0.1, for the losses 'bce' and 'least_squares'."
    )
    r1_penalty: float | None = flag(
        None, "Weight of a penalty on the discriminator's gradients at real images, such as 0.1."
    )
    r2_penalty: float | None = flag(None, "The same at generated images.")
    gradient_penalty: float | None = flag(
        None, "Weight of WGAN-GP's penalty on the discriminator's gradients between real and generated images: 10."
    )
    learning_rate: float = flag(2e-4, "Adam's learning rate.")
    discriminator_learning_rate: float | None = flag(
        None, "Adam's learning rate of the discriminator, if it is not the generator's (`learning_rate`)."
    )
    lr_scheduler: Literal["constant", "linear", "cosine"] = flag(
        "constant", "How the learning rates go down to 0 until the end of training, if they do."
    )
    adam_beta1: float = flag(0.5, "Adam's beta1.")
    adam_beta2: float = flag(0.999, "Adam's beta2.")
    adam_weight_decay: float = flag(0.0, "Adam's weight decay.")
    adam_epsilon: float = flag(1e-8, "Adam's epsilon.")
    use_ema: bool = flag(False, "Sample from and save an exponential moving average of the generator.")
    ema_half_life: int = flag(10_000, "Images after which a past generator counts half in the average.")
    mixed_precision: Literal["no", "fp16", "bf16"] | None = flag(
        None,
        "Precision of the forward passes. By default what `accelerate launch` says or, if that is 'no', bf16 where the"
        " device computes with it natively.",
    )
    use_cpu: bool = flag(False, "Train on the CPU even if there is a GPU.")
    num_cpu_threads: int | None = flag(
        None,
        "Threads of each process on the CPU. By default the cores divided by the processes (`accelerate launch` would"
        " give each process one).",
    )

    # Logging and checkpoints
    logging_steps: int = flag(10, "Steps between two entries in the log.")
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = flag(
        "none", "Where to log to, besides `logs/metrics.jsonl` in `output_dir`."
    )
    save_images_steps: int = flag(500, "Steps between two sample grids.")
    eval_batch_size: int = flag(64, "Images in a sample grid.")
    checkpointing_steps: int = flag(500, "Steps between two checkpoints.")
    checkpoints_total_limit: int | None = flag(None, "Number of checkpoints to keep, the newest ones.")
    resume_from_checkpoint: str | None = flag(None, "Checkpoint to go on from: 'latest', its name or path.")

    # The Hub
    push_to_hub: bool = flag(False, "Publish the model on the Hub, with its page.")
    hub_model_id: str | None = flag(None, "Repository to publish to. By default the name of `output_dir`.")
    hub_private_repo: bool = flag(False, "Make the repository private if it does not exist yet.")
    hub_strategy: Literal["end", "every_save"] = flag(
        "end", "When to publish: at the end, or also with every checkpoint, in the background."
    )
    hub_license: str | None = flag(None, "License of the model, for its page: 'apache-2.0', 'cc-by-4.0', ...")

    def __post_init__(self) -> None:
        # In one form, so that a resumed run may write the same fields in another way.
        for name in ("generator_config", "discriminator_config"):
            setattr(self, name, json.dumps(_parse_object(name, getattr(self, name)), sort_keys=True))

    def _fields(self, name: str, config_class: type) -> dict[str, Any]:
        """Further fields of a network's configuration."""
        fields = json.loads(getattr(self, name))
        unknown = fields.keys() - {known.name for known in dataclasses.fields(config_class)}
        if unknown:
            raise ValueError(f"`{name}` has {sorted(unknown)}, which `{config_class.__name__}` does not have.")
        given_elsewhere = fields.keys() & _FIELDS_FROM_ARGUMENTS
        if given_elsewhere:
            raise ValueError(f"`{name}` must not have {sorted(given_elsewhere)}, which other arguments decide.")
        return fields


@dataclass
class DCGANTrainingArguments(TrainingArguments):
    """Arguments of `scripts/train.py`."""

    # Data
    resize_mode: Literal["crop", "pad"] = flag(
        "crop",
        "'crop' scales the shorter side to the resolution and cuts out the centre, 'pad' scales down what is too large"
        " and pads with black.",
    )
    label_column: str | None = flag(None, "Column of the labels. Found by its type if there is only one.")

    # Networks
    class_conditional: bool = flag(False, "Give the labels to both networks.")
    class_names: list[str] | None = flag(
        None, "Names of the classes, in the order of their numbers. By default those that the data set has."
    )
    latent_dim: int = flag(100, "Number of latent variables.")

    # Training
    diff_augment: list[str] | None = flag(
        None,
        "Differentiable augmentation of all that the discriminator sees, for small data sets: some of 'color',"
        " 'translation' and 'cutout', in this order.",
    )
    discriminator_steps: int = flag(1, "Updates of the discriminator, each with new images, for one of the generator.")
    update_strategy: Literal["alternating", "simultaneous", "one_stage"] = flag(
        "alternating",
        "'alternating' updates the discriminator, then the generator through it, as in the paper. 'simultaneous'"
        " updates both from one forward pass. 'one_stage' does the same with one backward pass less, for discriminators"
        " without batch normalisation.",
    )

    # Logging
    diagnostics_steps: int | None = flag(
        None,
        "Steps between two looks into the networks, which are logged: gradients, logits, weights, activations. They do"
        " not change training. By default none.",
    )

    # Evaluation while training
    eval_steps: float | None = flag(
        None,
        "Updates between two measurements of image quality or, if below 1, their share of all updates. By default none is"
        " made.",
    )
    eval_features: str = flag(
        "inception",
        "Network whose features of generated and of real images are compared: 'inception', 'efficientnet-lite0', or"
        " folder or repository of an image classifier.",
    )
    eval_split: str | None = flag(None, "Split of the images to compare with. By default `dataset_split`.")
    eval_num_images: int = flag(5_000, "Images to generate for a measurement.")
    metric_for_best_model: Literal["frechet_distance", "kernel_distance"] = flag(
        "frechet_distance", "What says which of the measured models is the best."
    )
    save_best: bool = flag(
        False, "Keep the checkpoint of the best model, and make the pipeline of it that is saved and published."
    )
    early_stopping_patience: int | None = flag(
        None, "End training after so many measurements in a row that were no better than the best before."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dcgan_arguments(self)

    def eval_interval(self, num_steps: int) -> int:
        """Number of updates between two measurements in a run of `num_steps` updates, which ends with one."""
        if self.eval_steps is None:
            return num_steps
        return int(self.eval_steps) if self.eval_steps >= 1 else math.ceil(self.eval_steps * num_steps)

    def network_configs(
        self, num_channels: int, class_names: list[str] | None
    ) -> tuple[DCGANGeneratorConfig, DCGANDiscriminatorConfig]:
        r"""
        Configurations of both networks.

        Args:
            num_channels (`int`):
                Channels of the images.
            class_names (`list[str]`, *optional*):
                Names of the classes of class-conditional networks.
        """
        common: dict[str, Any] = {
            "image_size": self.resolution,
            "num_channels": num_channels,
            "hidden_size": self.hidden_size,
        }
        if class_names is not None:
            common |= {"num_classes": len(class_names), "id2label": dict(enumerate(class_names))}
        generator_fields = self._fields("generator_config", DCGANGeneratorConfig)
        discriminator_fields = self._fields("discriminator_config", DCGANDiscriminatorConfig)
        return (
            DCGANGeneratorConfig(**(common | {"latent_dim": self.latent_dim} | generator_fields)),
            DCGANDiscriminatorConfig(**(common | {"resize_mode": self.resize_mode} | discriminator_fields)),
        )


def _parse_object(name: str, value: str) -> dict[str, Any]:
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}: {error}.") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"`{name}` must be a JSON object, got {value!r}.")
    return parsed


_FIELDS_FROM_ARGUMENTS = {
    "id2label",
    "image_size",
    "label2id",
    "num_channels",
    "num_classes",
    "resize_mode",
    "scale_factor",
}

# Arguments that say what a checkpoint holds: a resumed run must not change them.
ARCHITECTURE_ARGUMENTS = {
    "class_conditional",
    "discriminator_config",
    "generator_config",
    "hidden_size",
    "latent_dim",
    "num_channels",
    "resolution",
    "scale_factor",
    "use_ema",
}

# Arguments that a resumed run may change without ending differently.
HARMLESS_ARGUMENTS = {
    "cache_dir",
    "checkpointing_steps",
    "checkpoints_total_limit",
    "dataloader_num_workers",
    "diagnostics_steps",
    "early_stopping_patience",
    "eval_batch_size",
    "eval_features",
    "eval_num_images",
    "eval_split",
    "eval_steps",
    "hub_license",
    "hub_model_id",
    "hub_private_repo",
    "hub_strategy",
    "logging_steps",
    "max_train_steps",
    "metric_for_best_model",
    "num_epochs",
    "output_dir",
    "overwrite_output_dir",
    "push_to_hub",
    "report_to",
    "resume_from_checkpoint",
    "save_best",
    "save_images_steps",
}


Arguments = TypeVar("Arguments", bound=TrainingArguments)


def parse_training_arguments(
    argv: list[str],
    default_config: Path,
    arguments_class: type[Arguments] = DCGANTrainingArguments,  # type: ignore[assignment]
) -> Arguments:
    r"""
    Parses flags. `--config FILE` reads further ones from a YAML file, which other flags override (field by field, where
    both describe a network). Without `--config` and `--dataset_name`, `default_config` is read.

    Args:
        argv (`list[str]`):
            The flags.
        default_config (`Path`):
            YAML file.
        arguments_class (`type`, *optional*, defaults to [`DCGANTrainingArguments`]):
            The arguments of the script.

    Raises:
        ValueError: if an argument is out of range, or if the file has a key that is not an argument.
    """
    parser = HfArgumentParser(arguments_class, description="Trains a DCGAN.", allow_abbrev=False)
    parser.add_argument(
        "--config",
        type=Path,
        help=f"YAML file with arguments; flags override them. Without --dataset_name: {default_config.name}.",
    )
    flags = parser.parse_args(argv)
    config = flags.config
    if config is None and not any(word.split("=")[0] in ("--dataset_name", "--dataset-name") for word in argv):
        config = default_config
    if config is not None:
        content = _read_yaml(config, arguments_class)
        for name in ("generator_config", "discriminator_config"):
            fields = content.pop(name, None) or {}
            fields = _parse_object(name, fields if isinstance(fields, str) else json.dumps(fields))
            argv = [*argv, f"--{name}", json.dumps(fields | _parse_object(name, getattr(flags, name)))]
        for name, value in content.items():
            if value is not None:
                argv = [*to_flag(name, value), *argv]
    arguments = vars(parser.parse_args(argv))
    del arguments["config"]
    return arguments_class(**arguments)


def _read_yaml(path: Path, arguments_class: type[TrainingArguments]) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"`config={path}`: no such file.")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"`config={path}` is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"`config={path}` must hold `argument: value` lines, got {content!r}.")
    unknown = content.keys() - {known.name for known in dataclasses.fields(arguments_class)}
    if unknown:
        raise ValueError(f"`config={path}` has {sorted(unknown)}, which are not arguments.")
    return content


def to_flag(name: str, value: Any) -> list[str]:
    """An argument of a YAML file as words of a command line: lists as several, the fields of a network as JSON."""
    words = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
    return [f"--{name}", *map(str, words)]
