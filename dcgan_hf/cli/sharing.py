# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that convert, export and publish models."""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, Literal

from ..flags import ModelArguments, flag
from ..imports import quick_imports
from .command import command, pick


@dataclass(kw_only=True)
class _ConversionArguments:
    files: list[str] = flag(
        MISSING,
        "Checkpoints of a DCGAN, followed by the output folder for the pipeline.",
        group="Common",
        positional=True,
    )


@dataclass(kw_only=True)
class _ExportArguments:
    dtype: Literal["float32", "float16"] = flag("float32", "Data type of the weights. 'float16' halves the file size.")
    output_dir: str | None = flag(None, "Folder for the graph (default: `onnx` in the folder of the model).")


@dataclass(kw_only=True)
class _PushArguments:
    folder: str = flag(MISSING, "Folder of a saved pipeline.", group="Common", positional=True)
    hub_model_id: str | None = flag(None, "Repository to publish to (default: the name of the folder).", group="Hub")
    hub_private_repo: bool = flag(False, "Make the repository private if it does not exist yet.", group="Hub")
    license: str | None = flag(
        None, "License of the model, shown on its card: 'apache-2.0', 'cc-by-4.0', ...", group="Hub"
    )
    base_model: str | None = flag(
        None, "Repository of the model that this one is derived from, shown on its card.", group="Hub"
    )
    commit_message: str | None = flag(None, "Commit message.", group="Hub")
    create_pr: bool = flag(False, "Open a pull request instead of committing to main.", group="Hub")
    card_only: bool = flag(False, "Write the model card and its images without publishing anything.", group="Hub")


@command("convert", _ConversionArguments)
def convert(given: dict[str, Any]) -> None:
    """Convert checkpoints of other DCGAN code to a pipeline: `dcgan convert netG.pth netD.pth my-dcgan`."""
    *checkpoints, folder = pick(_ConversionArguments, given).files
    if not checkpoints:
        raise ValueError(f"`files={folder}`: pass at least one checkpoint, then the folder for the pipeline.")
    with quick_imports():
        from ..inference.pipelines import pipeline_from_original
        from ..model_folder import check_place_for_model

    check_place_for_model(Path(folder))
    pipe, found = pipeline_from_original(checkpoints)
    pipe.save_pretrained(folder)
    for name, network in found:
        size = network.config.image_size
        print(f"{name}: {type(network).__name__}, {size}x{size} pixels, {network.num_parameters():,} parameters")
    print(f'Pipeline: {folder}  ->  DCGANPipeline.from_pretrained("{folder}")')


@command("export", ModelArguments, _ExportArguments)
def export(given: dict[str, Any]) -> None:
    """Export the generator of a model to ONNX, for ONNX Runtime in any language or in a browser."""
    model, args = pick(ModelArguments, given), pick(_ExportArguments, given)
    folder = Path(model.model)
    if not folder.is_dir() and args.output_dir is None:
        raise ValueError(f"`output_dir` is required: {model.model} is not a local folder.")
    with quick_imports():
        from ..export import export_onnx
        from ..files import replacing_files
        from ..inference.pipelines import load_any_pipeline
        from ..model_folder import ONNX_FOLDER, check_no_links, check_place_for_onnx
        from ..publishing.upload import update_card
        from ..training.results import complete_results

    output_dir = Path(args.output_dir or folder / ONNX_FOLDER)
    if args.output_dir is None:
        check_no_links(folder)
    check_place_for_onnx(output_dir)
    pipe = load_any_pipeline(model.model, model.revision, args.dtype)
    exported = export_onnx(pipe.generator)
    with replacing_files(output_dir) as staging:
        exported.save_pretrained(staging)
    if output_dir == folder / ONNX_FOLDER:
        complete_results(folder)
        update_card(pipe, folder)
    size = sum(path.stat().st_size for path in output_dir.glob("model.onnx*")) / 1e6
    print(f"ONNX: {output_dir / 'model.onnx'} ({size:.1f} MB, {args.dtype})")


@command("push", _PushArguments)
def push(given: dict[str, Any]) -> None:
    """Publish a model on the Hub: networks, modeling code, images, model card, metrics and ONNX graph."""
    args = pick(_PushArguments, given)
    folder = Path(args.folder)
    if not folder.is_dir():
        raise ValueError(f"`folder={folder}`: no such folder.")
    with quick_imports():
        from ..inference.pipelines import load_any_pipeline, quiet
        from ..model_folder import check_no_links
        from ..publishing.upload import Publication, publish_pipeline, write_model_page
        from ..training.results import complete_results

    publication = Publication(
        args.commit_message,
        args.hub_private_repo or None,
        create_pr=args.create_pr,
        license=args.license,
        base_model=args.base_model,
    )
    check_no_links(folder)  # before anything is written
    pipe = quiet(load_any_pipeline(args.folder))
    pipe.save_pretrained(folder)  # adds the modeling code to folders saved by an earlier version
    complete_results(folder)
    repo_id = args.hub_model_id or folder.absolute().name
    if args.card_only:
        write_model_page(pipe, folder, repo_id, args.license, args.base_model)
        print(f"Card: {folder / 'README.md'}")
        return
    print(f"Published: {publish_pipeline(pipe, folder, repo_id, publication)}")
