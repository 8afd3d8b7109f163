# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that look inside a model."""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from ..flags import DeviceArguments, ModelArguments, check_values, flag
from ..interpretability.arguments import ExplanationArguments, SearchArguments
from .command import command, pick


@dataclass(kw_only=True)
class _DemoArguments:
    title: str | None = flag(None, "Title of the page. By default the name of the model.")
    output_dir: str | None = flag(None, "Folder to write a Space to, instead of starting the page.")
    push_to_hub: bool = flag(False, "Publish the Space.", group="Hub")
    hub_model_id: str | None = flag(
        None, "Space to publish. By default one of yours, named as the model.", group="Hub"
    )
    hub_private_repo: bool = flag(False, "Make a new Space private.", group="Hub")


@dataclass(kw_only=True)
class _PhotoArguments:
    photos: list[str] = flag(MISSING, "Image files, of any size.", group="Common", positional=True)
    class_labels: list[str] | None = flag(None, "Classes, by name or id: one for all photos, or one for each.")
    output_dir: str = flag("inverted", "Folder for what was found.")
    seed: int = flag(0, "Seed of the random starts.", range="[0, inf)")

    def __post_init__(self) -> None:
        check_values(self)
        for path in self.photos:
            if not Path(path).is_file():
                raise ValueError(f"`photos={path}`: there is no such file.")


@command("explain", ModelArguments, ExplanationArguments, DeviceArguments)
def explain(given: dict[str, Any]) -> None:
    """Show what is inside a model: a page with its samples, directions, units, filters and training."""
    model = pick(ModelArguments, given)
    folder = Path(model.model)
    from ..model_folder import EXPLANATION_FOLDER

    if not folder.is_dir() and "output_dir" not in given:
        raise ValueError(f"`output_dir` must be given for a model of the Hub, such as {model.model}.")
    args = pick(ExplanationArguments, {"output_dir": str(folder / EXPLANATION_FOLDER)} | given)
    from ..inference.pipelines import model_name
    from ..interpretability.explain import explain
    from ..pipeline_dcgan import DCGANPipeline
    from .models import loaded

    with loaded(DCGANPipeline, given) as pipe:
        page, directions = explain(pipe, args, model_name(model.model), folder)
    directions.save_pretrained(folder if folder.is_dir() else page.parent)  # with which it is published
    print(f"Page: {page}")


@command("invert", ModelArguments, _PhotoArguments, SearchArguments, DeviceArguments)
def invert(given: dict[str, Any]) -> None:
    """Find the latents of photos: what a model would have to be given to draw them."""
    args, search = pick(_PhotoArguments, given), pick(SearchArguments, given)
    import PIL.Image
    import torch

    from ..inference.generate import parse_classes
    from ..interpretability.inversion import invert, save_inversion
    from ..pipeline_dcgan import DCGANPipeline
    from .models import loaded

    photos = [PIL.Image.open(path) for path in args.photos]
    with loaded(DCGANPipeline, given) as pipe:
        classes: Any = parse_classes(pipe, args.class_labels) if args.class_labels else None
        if classes is not None and len(classes) == 1:
            classes = classes * len(photos)
        found = invert(pipe, photos, classes, search, generator=torch.Generator().manual_seed(args.seed))
        save_inversion(Path(args.output_dir), pipe, photos, found, classes)
    for path, psnr in zip(args.photos, found.psnr.tolist()):
        print(f"{path}: {psnr:.1f} dB")
    print(f"Latents and picture: {args.output_dir}")


@command("demo", ModelArguments, _DemoArguments, DeviceArguments)
def demo(given: dict[str, Any]) -> None:
    """Start a page to play with a model, or write and publish it as a Space."""
    model, args = pick(ModelArguments, given), pick(_DemoArguments, given)
    from ..interpretability.demo.app import LAUNCH_OPTIONS, build_demo, load_directions
    from ..pipeline_dcgan import DCGANPipeline
    from .models import loaded

    name = Path(model.model).absolute().name
    title = args.title or name
    with loaded(DCGANPipeline, given) as pipe:
        if args.output_dir or args.push_to_hub:
            _make_space(pipe, model.model, title, args)
        else:
            build_demo(pipe, load_directions(model.model, pipe), title).launch(**LAUNCH_OPTIONS)


def _make_space(pipe: Any, model: str, title: str, args: _DemoArguments) -> None:
    import tempfile

    from ..publishing.space import publish_space, save_space

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.output_dir or temporary)
        save_space(pipe, model, folder, title)
        if args.output_dir:
            print(f"Space: {folder}")
        if args.push_to_hub:
            name = args.hub_model_id or Path(model).absolute().name
            print(f"Published: {publish_space(folder, name, args.hub_private_repo or None)}")
