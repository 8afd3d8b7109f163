# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Fine-tuning of a trained model, the parent: its pipeline, what it decides, and what contradicts it."""

import json
import logging
import os
from pathlib import Path
from typing import Any, TypeVar

from diffusers import DiffusionPipeline

from ..flags import names_where
from ..inference.pipelines import load_pipeline
from .arguments import TrainingArguments
from .checkpoint_files import read_state
from .generation_arguments import DCGANTrainingArguments
from .network_configs import NETWORK_ARGUMENTS, parse_object
from .results import IN_MEMORY


logger = logging.getLogger(__name__)

Arguments = TypeVar("Arguments", bound=TrainingArguments)

# Fields of the networks' configs, by the argument that sets them.
_FIELDS = {
    "resolution": "image_size",
    "num_channels": "num_channels",
    "hidden_size": "hidden_size",
    "latent_dim": "latent_dim",
    "scale_factor": "scale_factor",
}


def check_one_start(args: TrainingArguments, pipeline: Any, networks: Any, pipeline_class: type) -> None:
    """Raises a `ValueError` if a trainer gets more than one of pipeline, networks and parent, or a wrong pipeline."""
    if isinstance(networks, DiffusionPipeline):
        raise ValueError("`networks` must be a pair of modules. To fine-tune a pipeline, pass it as `pipeline`.")
    if pipeline is None and networks is None:
        return
    if pipeline is not None and not isinstance(pipeline, pipeline_class):
        name = pipeline_class.__name__
        raise ValueError(
            f"`pipeline` must be a `{name}`, got a `{type(pipeline).__name__}`. Load it with `{name}.from_pretrained`."
        )
    starts = {
        "pipeline": pipeline,
        "networks": networks,
        "pretrained_model_name_or_path": args.pretrained_model_name_or_path,
    }
    given = [f"`{name}`" for name, start in starts.items() if start is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} both say which networks to train. Pass only one.")


def follow_parent(
    args: Arguments, pipeline: DiffusionPipeline | None, pipeline_class: Any, resume: Path | None
) -> tuple[Arguments, DiffusionPipeline | None]:
    r"""
    Loads the parent of a run. A resumed run needs it no longer: the checkpoint has its networks and arguments.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        pipeline (`DiffusionPipeline`, *optional*):
            Parent that was passed to the trainer.
        pipeline_class (`type`):
            Class of the parent.
        resume (`Path`, *optional*):
            Checkpoint to resume from.

    Returns:
        `tuple[TrainingArguments, DiffusionPipeline]`: the arguments, completed, and the pipeline of the parent, if it is
        needed. It has no discriminator if none is trained.

    Raises:
        ValueError: if the parent cannot be loaded, is of another kind, or contradicts an argument.
    """
    name = args.pretrained_model_name_or_path if pipeline is None else _name_of(pipeline)
    if resume is not None:
        return _follow_checkpoint(args, name, resume), None
    if name is None:
        if args.freeze_discriminator_layers is not None:
            raise ValueError(
                f"`freeze_discriminator_layers={args.freeze_discriminator_layers}` needs a trained discriminator: pass"
                " `pretrained_model_name_or_path` (in Python, `pipeline`)."
            )
        args.check_networks()
        return args, None
    if Path(name).is_dir() and Path(name).resolve() == Path(args.output_dir).resolve():
        raise ValueError(
            f"`output_dir={args.output_dir}` is the folder of the parent, which would be lost. Use another."
        )
    if pipeline is None:
        pipeline = _load(pipeline_class, name, args.revision)
    for role, network_class in pipeline_class.network_classes.items():
        network = getattr(pipeline, role)
        if type(network) is not network_class and network is not None:
            raise ValueError(
                f"The {role} of {name} is a `{type(network).__name__}`, not a `{network_class.__name__}`. Pass custom"
                " networks as `networks`."
            )
    if not args.is_adversarial:
        pipeline = pipeline_class(pipeline.generator)
    configs = [network and network.config for network in (pipeline.generator, pipeline.discriminator)]
    _check_agreement(args, *configs)
    if isinstance(args, DCGANTrainingArguments):
        _check_images_and_classes(args, *configs)
    _check_frozen_layers(args, configs[1])
    decided = args.decided_by(*configs)
    followed = args.follow(decided)
    followed.pretrained_model_name_or_path = _place_of(name)
    missing = " It has no discriminator: a new one is made." if args.is_adversarial and configs[1] is None else ""
    labels = ""
    if decided.get("class_conditional"):
        columns = ", ".join(decided.get("label_column", []))
        labels = f" Its images had labels, so yours need them, too{columns and f': {columns}'}."
    logger.info(f"Fine-tuning {name}.{missing}{labels}")
    return followed, pipeline


def _name_of(pipeline: DiffusionPipeline) -> str:
    return str(pipeline.name_or_path or IN_MEMORY)


def _place_of(name: str) -> str:
    """Returns the name of a parent as it is recorded. A path becomes absolute, unlike any repository."""
    return os.path.abspath(name) if Path(name).is_dir() else name


def _load(pipeline_class: type, name: str, revision: str | None) -> DiffusionPipeline:
    given = f"`pretrained_model_name_or_path={name}`"
    try:
        return load_pipeline(pipeline_class, name, revision)
    except (OSError, ValueError) as error:
        reason = str(error).replace(f"`model={name}`", given)
        raise ValueError(reason if reason.startswith(given) else f"{given}: {reason}") from error


def _follow_checkpoint(args: Arguments, name: str | None, checkpoint: Path) -> Arguments:
    before = read_state(checkpoint)["arguments"]
    parent = before.get("pretrained_model_name_or_path")
    if name is not None and parent not in (name, os.path.abspath(name)):
        raise ValueError(
            f"`pretrained_model_name_or_path={name}`: the run of {checkpoint} began with {parent or 'new networks'}."
            " Omit it to resume."
        )
    if parent is None:
        args.check_networks()
        return args
    # The parent may have named the columns of its attributes, too.
    decided = {"pretrained_model_name_or_path", "resize_mode", "label_column"}
    kept = names_where(type(args), on_resume="fixed") | decided
    followed = args.follow({name: before[name] for name in kept if name in before})
    followed.pretrained_model_name_or_path = parent
    return followed


def _check_agreement(args: TrainingArguments, generator: Any, discriminator: Any) -> None:
    """Raises a `ValueError` if a given argument contradicts a parent's networks, in a way that cannot be adapted."""
    draws = isinstance(args, DCGANTrainingArguments)
    for role, argument, config in zip(("generator", "discriminator"), NETWORK_ARGUMENTS, (generator, discriminator)):
        if config is None:
            continue
        has = json.loads(config.to_json_string(use_diff=False))
        fields = parse_object(argument, getattr(args, argument))
        for field, value in fields.items():
            if field in has and has[field] != value:
                raise ValueError(
                    f"`{argument}={json.dumps({field: value})}`: the parent's {role} has"
                    f" {json.dumps({field: has[field]})}. Omit it."
                )
        for name in sorted(args.given & _FIELDS.keys() - ({"num_channels"} if draws else set())):
            field, value = _FIELDS[name], getattr(args, name)
            is_free = field in fields or (name == "resolution" and not draws and has.get("patchwise"))
            if field in has and has[field] != value and not is_free:
                reason = "; another size needs other layers" if name == "resolution" else ""
                raise ValueError(
                    f"`{name}={value}`: the parent's {role} has {has[field]}{reason}. Omit it, or a recipe that sets it."
                )


def _check_images_and_classes(args: DCGANTrainingArguments, generator: Any, discriminator: Any) -> None:
    """Raises a `ValueError` if a generator of images cannot be adapted to the channels or classes that were given."""
    if discriminator is not None and (generator.image_size, generator.num_channels) != (
        discriminator.image_size,
        discriminator.num_channels,
    ):
        raise ValueError("The parent's discriminator is for images of another size or number of channels.")
    if generator.num_classes and "class_conditional" in args.given and not args.class_conditional:
        raise ValueError(
            f"`class_conditional=False`: the parent draws images of {generator.num_classes} classes, none without a class."
            " Omit it, and give the images labels: the same one, if they are all of one kind."
        )
    wanted, has = args.num_channels, generator.num_channels
    if "num_channels" not in args.given or wanted == has:
        return
    if {wanted, has} != {1, 3}:
        raise ValueError(
            f"`num_channels={wanted}`: the parent has {has}. Only grey and RGB can be converted into each other. Omit it."
        )
    if generator.norm_type == "spectral":
        raise ValueError(
            f"`num_channels={wanted}`: the parent has {has}, and the spectral norm of its generator's last layer"
            " depends on it. Omit it."
        )


def _check_frozen_layers(args: TrainingArguments, discriminator: Any) -> None:
    number = args.freeze_discriminator_layers
    if number is None:
        return
    if discriminator is None:
        raise ValueError(f"`freeze_discriminator_layers={number}`: the parent has no discriminator.")
    if number > len(discriminator.strides):
        raise ValueError(
            f"`freeze_discriminator_layers={number}`: the parent's discriminator has {len(discriminator.strides)}"
            " convolutions."
        )
