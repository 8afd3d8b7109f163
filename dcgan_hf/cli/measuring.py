# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that evaluate a model, and the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..benchmarks.arguments import BenchmarkArguments
from ..evaluation.arguments import EvaluationArguments, SuperResolutionEvaluationArguments
from ..flags import DeviceArguments, ModelArguments, flag
from ..imports import quick_imports
from .command import command, pick


@dataclass(kw_only=True)
class _PublishingArguments:
    push_to_hub: bool = flag(False, "Publish the metrics in the model's repository.", group="Hub")


def _place_report(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """Adds the folder for the metrics: that of a local model, so that they are published with it."""
    if not Path(model).is_dir():
        return {"output_dir": f"{model.split('/')[-1]}-evaluation"} | given
    for name in ("output_dir", "push_to_hub"):
        if given.get(name):
            raise ValueError(
                f"`{name}={given[name]}` is for models on the Hub. Metrics of a local model are written to its folder;"
                " publish them with `dcgan push`."
            )
    return given | {"output_dir": model}


def _finish(pipe: Any, model: str, given: dict[str, Any]) -> None:
    """Adds the metrics to the card of a local model, or publishes them on the Hub."""
    from ..publishing.upload import publish_metrics, update_card
    from ..training.results import complete_results

    if Path(model).is_dir():
        complete_results(Path(model))
        update_card(pipe, Path(model))
    elif given.get("push_to_hub"):
        print(f"Published: {publish_metrics(pipe, Path(given['output_dir']), model)}")


@command("evaluate", ModelArguments, EvaluationArguments, _PublishingArguments, DeviceArguments)
def evaluate(given: dict[str, Any]) -> None:
    """Evaluate a model against real images: quality, diversity and memorisation."""
    model = pick(ModelArguments, given)
    given = _place_report(model.model, given)
    args = pick(EvaluationArguments, given)
    with quick_imports():
        from ..evaluation.evaluate import evaluate
        from ..inference.pipelines import model_name
        from ..model_folder import REPORT_FOLDER
        from ..pipeline_dcgan import DCGANPipeline
        from ..processes import is_main_process
        from .models import loaded

    with loaded(DCGANPipeline, given, instead="evaluate-super-resolution") as pipe:
        findings = evaluate(pipe, args, model_name(model.model))
        if is_main_process():
            print(*findings.metrics, *findings.probes, sep="\n")
            _finish(pipe, model.model, given)
            print(f"Report: {Path(given['output_dir']) / REPORT_FOLDER}")


@command(
    "evaluate-super-resolution",
    ModelArguments,
    SuperResolutionEvaluationArguments,
    _PublishingArguments,
    DeviceArguments,
)
def evaluate_super_resolution(given: dict[str, Any]) -> None:
    """Evaluate a super-resolution model against interpolation: PSNR, SSIM and Fréchet distance."""
    model = pick(ModelArguments, given)
    given = _place_report(model.model, given)
    args = pick(SuperResolutionEvaluationArguments, given)
    with quick_imports():
        from ..evaluation.evaluate_super_resolution import evaluate_super_resolution
        from ..inference.pipelines import model_name
        from ..model_folder import REPORT_FOLDER
        from ..pipeline_dcgan_super_resolution import DCGANSuperResolutionPipeline
        from ..processes import is_main_process
        from .models import loaded

    with loaded(DCGANSuperResolutionPipeline, given, instead="evaluate") as pipe:
        comparison = evaluate_super_resolution(pipe, args, model_name(model.model))
        if is_main_process():
            print(comparison.table)
            _finish(pipe, model.model, given)
            print(f"Report: {Path(given['output_dir']) / REPORT_FOLDER}")


@command("benchmark", BenchmarkArguments)
def benchmark(given: dict[str, Any]) -> None:
    """Time training on this machine, next to plain PyTorch loops; with `--gpu_check`, check its GPUs."""
    args = pick(BenchmarkArguments, given)
    words = [
        "dcgan",
        "benchmark",
        *(f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()),
    ]
    from ..benchmarks.gpu_check import check_gpus, check_report
    from ..benchmarks.records import write_record
    from ..benchmarks.speed import measure_speed, speed_report

    if args.output_dir is not None:
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)  # an error comes before the work
    measure, report, name = (
        (check_gpus, check_report, "gpu_check.json")
        if args.gpu_check
        else (measure_speed, speed_report, "benchmark.json")
    )
    content = measure(args, words)
    print(report(content))
    if args.output_dir is not None:
        write_record(content, Path(args.output_dir) / name)
