# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The page of a model on the Hub, made from the files in its folder. What is not known is left out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..evaluation.records import Metric, read_metrics
from ..model_folder import (
    ANIMATION_FILE,
    ARGUMENTS_FILE,
    COMPARISON_FILE,
    IMAGES_FOLDER,
    ONNX_FILE,
    RESULTS_FILE,
    read_json,
)
from ..modeling_dcgan import DCGANDiscriminator, DCGANGenerator
from ..modeling_dcgan_super_resolution import DCGANSuperResolutionGenerator
from ..pipeline_dcgan import DCGANPipeline
from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
from ..templates import read_template
from ..training.arguments import HARMLESS_ARGUMENTS
from .examples import save_examples


# A card with this line is written anew when the model is published again.
GENERATED = "<!-- Written by dcgan_hf from the files of the model. Remove this line to keep what you change. -->"


@dataclass(frozen=True)
class PageKind:
    r"""
    What the pages of one class of pipelines have in common.

    Args:
        pipeline_class (`type`):
            The class.
        networks (`dict[str, type]`):
            Classes of its networks, by their names in the pipeline, the generator first.
        task (`str`):
            What it does, as the Hub calls it.
        tags (`list[str]`):
            What else the Hub's search finds it by.
        template (`str`):
            File of the page's text, in `templates/`.
        save_examples (`Callable[[pipeline, Path], None]`, *optional*):
            Draws example images into a folder. `None` if a pipeline alone cannot: the page shows those that lie there.
    """

    pipeline_class: Any
    networks: dict[str, Any]
    task: str
    tags: list[str]
    template: str
    save_examples: Callable[[Any, Path], None] | None


# By the name of the pipeline's class, which its folder tells.
PAGE_KINDS = {
    "DCGANPipeline": PageKind(
        pipeline_class=DCGANPipeline,
        networks={"generator": DCGANGenerator, "discriminator": DCGANDiscriminator},
        task="unconditional-image-generation",
        tags=["dcgan", "gan", "image-generation"],
        template="card.md",
        save_examples=save_examples,
    ),
    "DCGANSuperResolutionPipeline": PageKind(
        pipeline_class=DCGANSuperResolutionPipeline,
        networks={"generator": DCGANSuperResolutionGenerator, "discriminator": DCGANDiscriminator},
        task="image-to-image",
        tags=["dcgan", "gan", "super-resolution"],
        template="super_resolution_card.md",
        save_examples=None,
    ),
}

# Arguments of a run that do not change its result (but its length does), or that say where things lie on the machine.
_NOT_ON_THE_CARD = (HARMLESS_ARGUMENTS - {"dataloader_num_workers", "max_train_steps", "num_epochs"}) | {
    "dataset_name",
    "device",
    "lr_decay_steps",
    "num_cpu_threads",
    "use_cpu",
}


def page_kind(folder: Path) -> PageKind:
    r"""
    The kind of a saved pipeline.

    Args:
        folder (`Path`):
            Folder of the pipeline.

    Raises:
        ValueError: if there is none, or if its class is not known.
    """
    index = folder / DCGANPipeline.config_name
    if not index.is_file():
        raise ValueError(f"`folder={folder}` holds no saved pipeline: there is no {index.name}.")
    class_name = read_json(index)["_class_name"]
    # The first version wrote the class alone, not the module before it.
    class_name = class_name if isinstance(class_name, str) else class_name[1]
    if class_name not in PAGE_KINDS:
        raise ValueError(f"`_class_name` in {index} must be one of {list(PAGE_KINDS)}, got {class_name!r}.")
    return PAGE_KINDS[class_name]


def _describe_network(folder: Path, name: str, model_class: Any) -> dict[str, Any]:
    config = model_class.config_class.from_pretrained(folder / name)
    with torch.device("meta"):
        num_parameters = model_class(config).num_parameters()
    files = {path.name: path.stat().st_size for path in sorted((folder / name).glob("*.safetensors"))}
    return {"name": name, "config": config, "num_parameters": num_parameters, "files": files}


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours and seconds < 600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def eval_results(metrics: list[Metric], task: str, dataset_config: str | None = None) -> list[EvalResult]:
    """Measurements of a model for a task, as the metadata of a card tells them to the Hub."""
    return [
        EvalResult(
            task_type=task,
            dataset_type=metric.dataset_name,
            dataset_name=metric.dataset_name,
            dataset_config=dataset_config,
            dataset_split=metric.dataset_split,
            metric_type=metric.type,
            metric_name=metric.name,
            metric_value=metric.value,
            metric_args={
                "num_images": metric.num_images,
                "num_real_images": metric.num_real_images,
                "features": metric.features,
            },
        )
        for metric in metrics
    ]


def render_model_card(
    folder: Path, repo_id: str, license: str | None = None, base_model: str | None = None
) -> ModelCard:
    r"""
    Makes the model card of a folder: of the pipeline and the networks in it, of the run that trained them if one did
    (`training_args.json`, `training_results.json`), and of measurements (`metrics.json`, a list of [`Metric`]s).

    Args:
        folder (`Path`):
            Folder of a saved pipeline.
        repo_id (`str`):
            Repository that the code on the card loads.
        license (`str`, *optional*):
            License of the model. By default the one that the run was told (`--hub_license`).
        base_model (`str`, *optional*):
            Repository of the model that this one was made from.
    """
    arguments, results = read_json(folder / ARGUMENTS_FILE), read_json(folder / RESULTS_FILE)
    kind = page_kind(folder)
    networks = [
        _describe_network(folder, name, model_class)
        for name, model_class in kind.networks.items()
        if (folder / name).is_dir()
    ]
    generator = networks[0]["config"]
    dataset = results.get("dataset", {})
    metrics = read_metrics(folder)
    for metric in metrics:
        metric.dataset_name = metric.dataset_name or dataset["name"]
    examples = sorted(path.name for path in (folder / IMAGES_FOLDER).glob("seed-*.png"))
    class_names = list(generator.id2label.values())
    widget = [
        {
            "text": f"seed {seed}" + (f", class {class_names[seed % len(class_names)]}" if class_names else ""),
            "output": {"url": f"{IMAGES_FOLDER}/{name}"},
        }
        for seed, name in enumerate(examples)
    ]
    data = ModelCardData(
        library_name="dcgan-hf",
        pipeline_tag=kind.task,
        license=license or arguments.get("hub_license"),
        tags=kind.tags,
        datasets=[dataset["hub_id"]] if "hub_id" in dataset else None,
        metrics=sorted({metric.type for metric in metrics}) or None,
        base_model=base_model,
        widget=widget or None,
        model_name=repo_id.split("/")[-1] if metrics else None,
        eval_results=eval_results(metrics, kind.task, arguments.get("dataset_config_name")) if metrics else None,
    )
    return ModelCard.from_template(
        data,
        template_str=read_template(kind.template),
        generated=GENERATED,
        repo_id=repo_id,
        networks=networks,
        generator=generator,
        class_names=class_names,
        discriminator=networks[1]["config"] if len(networks) > 1 else None,
        has_examples=bool(examples),
        has_comparison=(folder / COMPARISON_FILE).is_file(),
        has_animation=(folder / ANIMATION_FILE).is_file(),
        has_onnx=(folder / ONNX_FILE).is_file(),
        dataset=dataset,
        results=results,
        duration=_duration(results["seconds"]) if results else None,
        arguments=arguments,
        recipe=_recipe(arguments, dataset),
        metrics=metrics,
        base_model=base_model,
        license=data.license,
    )


def _recipe(arguments: dict[str, Any], dataset: dict[str, Any]) -> str:
    """The run's arguments as a file for `--config`."""
    # The number of updates overrides that of epochs.
    left_out = _NOT_ON_THE_CARD | ({"num_epochs"} if arguments.get("max_train_steps") else set())
    told = {
        name: json.loads(value) if name in ("generator_config", "discriminator_config") else value
        for name, value in arguments.items()
        if name not in left_out and value not in (None, "{}")
    }
    return yaml.safe_dump({"dataset_name": dataset["name"]} | told, sort_keys=False).strip() if told else ""


def card_is_generated(text: str) -> bool:
    """Whether a card was written here and not changed since by its owner."""
    return GENERATED in text
