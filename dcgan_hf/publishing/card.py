# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Model card of a pipeline, rendered from the files in its folder. Unknown facts are omitted."""

from pathlib import Path
from typing import Any

import yaml
from diffusers import DiffusionPipeline
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..evaluation.records import LUMINANCE, Metric, read_metrics
from ..model_folder import (
    ANIMATION_FILE,
    ARGUMENTS_FILE,
    COMPARISON_FILE,
    IMAGES_FOLDER,
    METRICS_FILE,
    ONNX_FILE,
    RESULTS_FILE,
    read_json,
    read_results,
)
from ..templates import render_card
from ..templates.escaping import one_line


# A card with this line is overwritten when the model is published again.
GENERATED = "<!-- Written by dcgan_hf from the files of the model. Remove this line to keep what you change. -->"


def _describe_network(folder: Path, name: str, network: Any) -> dict[str, Any]:
    files = {path.name: path.stat().st_size for path in sorted((folder / name).glob("*.safetensors"))}
    return {"name": name, "config": network.config, "num_parameters": network.num_parameters(), "files": files}


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours and seconds < 600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def eval_results(
    metrics: list[Metric], task: str, training_dataset: str | None = None, dataset_config: str | None = None
) -> list[EvalResult]:
    r"""
    Converts measurements of a model to the evaluation results in the metadata of a card.

    Args:
        metrics (`list[Metric]`):
            The measurements.
        task (`str`):
            Task of the model.
        training_dataset, dataset_config (`str`, *optional*):
            Name and configuration of the training dataset. Other datasets have configurations of their own.
    """
    return [
        EvalResult(
            task_type=task,
            dataset_type=one_line(str(metric.dataset_name)),
            dataset_name=one_line(str(metric.dataset_name)),
            dataset_config=one_line(dataset_config)
            if dataset_config and metric.dataset_name == training_dataset
            else None,
            dataset_split=one_line(metric.dataset_split),
            metric_type=one_line(metric.type),
            metric_name=one_line(metric.name),
            metric_value=metric.value,
            metric_args={
                "num_images": metric.num_images,
                "num_real_images": metric.num_real_images,
                "features": one_line(metric.features),
            },
        )
        for metric in metrics
    ]


def _benchmark_sets(metrics: list[Metric]) -> list[dict[str, Metric]]:
    """Returns, for each benchmark set of super-resolution, the measurements by their type."""
    sets: dict[Any, dict[str, Metric]] = {}
    for metric in metrics:
        if metric.features == LUMINANCE:
            sets.setdefault((metric.dataset_name, metric.dataset_split), {})[metric.type] = metric
    return [*sets.values()]


def render_model_card(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, license: str | None = None, base_model: str | None = None
) -> ModelCard:
    r"""
    Renders the model card of a folder from its pipeline, the run that trained it (`training_args.json` and
    `training_results.json`, if available), and its measurements (`metrics.json`, a list of [`Metric`]s).

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            Pipeline with unfused networks.
        folder (`Path`):
            Folder that the pipeline was saved to.
        repo_id (`str`):
            Repository that the code on the card loads from.
        license (`str`, *optional*):
            License of the model. Defaults to the `--hub_license` of the run.
        base_model (`str`, *optional*):
            Repository of the model that this one is derived from. Defaults to the parent of the run.
    """
    arguments, results = read_json(folder / ARGUMENTS_FILE), read_results(folder)
    components = {name: getattr(pipe, name) for name in pipe.network_classes}
    networks = [
        _describe_network(folder, name, network) for name, network in components.items() if network is not None
    ]
    generator = networks[0]["config"]
    dataset, parent = results.get("dataset", {}), results.get("parent") or {}
    base_model = base_model or parent.get("hub_id")
    metrics = read_metrics(folder)
    for metric in metrics:
        metric.dataset_name = metric.dataset_name or dataset.get("name")
        if metric.dataset_name is None:
            raise ValueError(
                f"{folder / METRICS_FILE} names no dataset, and without {RESULTS_FILE} it is not known. Add"
                " `dataset_name` to each entry, or delete the file and measure again."
            )
    results_in_metadata = eval_results(metrics, pipe.task, dataset.get("name"), arguments.get("dataset_config_name"))
    examples = sorted(path.name for path in (folder / IMAGES_FOLDER).glob("seed-*.png"))
    attributes = generator.attributes if pipe.draws_from_seeds else None
    class_names = [] if attributes else list(generator.id2label.values())
    widget = [
        {
            "text": f"seed {seed}"
            + (f", class {one_line(class_names[seed % len(class_names)])}" if class_names else ""),
            "output": {"url": f"{IMAGES_FOLDER}/{name}"},
        }
        for seed, name in enumerate(examples)
    ]
    data = ModelCardData(
        library_name="dcgan-hf",
        pipeline_tag=pipe.task,
        license=license or arguments.get("hub_license"),
        tags=pipe.tags,
        datasets=[one_line(dataset["hub_id"])] if "hub_id" in dataset else None,
        metrics=sorted({one_line(metric.type) for metric in metrics}) or None,
        base_model=base_model,
        base_model_relation="finetune" if base_model and base_model == parent.get("hub_id") else None,
        widget=widget or None,
        model_name=one_line(repo_id.split("/")[-1]) if metrics else None,
        eval_results=results_in_metadata or None,
    )
    content = render_card(
        pipe.card_template,
        data.to_yaml(),
        GENERATED,
        repo_id=repo_id,
        networks=networks,
        generator=generator,
        class_names=class_names,
        attributes=attributes or {},
        # Of a few classes, or values of a few attributes.
        example_labels={name: attributes[name][0] for name in [*attributes][:3]} if attributes else class_names[:4],
        discriminator=networks[1]["config"] if len(networks) > 1 else None,
        has_examples=bool(examples),
        has_comparison=(folder / COMPARISON_FILE).is_file(),
        has_animation=(folder / ANIMATION_FILE).is_file(),
        has_onnx=(folder / ONNX_FILE).is_file(),
        dataset=dataset,
        parent=parent,
        results=results,
        duration=_duration(results["seconds"]) if results else None,
        arguments=arguments,
        recipe=yaml.safe_dump(results["recipe"], sort_keys=False).strip() if "recipe" in results else "",
        metrics=[metric for metric in metrics if metric.features != LUMINANCE],
        benchmark_sets=_benchmark_sets(metrics),
        base_model=base_model,
        license=data.license,
    )
    return ModelCard(content)


def card_is_generated(text: str) -> bool:
    """Returns whether a card was generated by this package and has not been customised since."""
    return GENERATED in text
