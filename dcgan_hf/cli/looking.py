# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Commands that interpret a model."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from ..flags import DeviceArguments, ModelArguments, check_values, flag
from ..imports import quick_imports
from ..interpretability.arguments import ExplanationArguments, SearchArguments
from .command import command, pick


@dataclass(kw_only=True)
class _DemoArguments:
    title: str | None = flag(None, "Title of the page (default: the name of the model).")
    output_dir: str | None = flag(None, "Folder to save the demo to as a Space, instead of launching it.")
    push_to_hub: bool = flag(False, "Publish the demo on the Hub as a Space.", group="Hub")
    hub_model_id: str | None = flag(
        None, "Repository of the Space (default: one in your namespace, named after the model).", group="Hub"
    )
    hub_private_repo: bool = flag(False, "Make the Space private if it does not exist yet.", group="Hub")
    space_hardware: str = flag(
        "zero-a10g",
        "Hardware of a new Space, by its name in huggingface_hub: 'zero-a10g' (ZeroGPU), 'cpu-basic', 't4-small', ..."
        " The Hub decides which of them an account may use.",
        group="Hub",
    )


@dataclass(kw_only=True)
class _PhotoArguments:
    photos: list[str] = flag(MISSING, "Image files of any size.", group="Common", positional=True)
    class_labels: list[str] | None = flag(
        None,
        "Classes, by name or id: one for all photos, or one per photo. With several attributes: `hair_color=red"
        " glasses=yes`, all of them.",
    )
    output_dir: str = flag("inverted", "Folder for the latents and a comparison of photos and reconstructions.")
    seed: int = flag(0, "Seed of the random candidates.", range="[0, inf)")

    def __post_init__(self) -> None:
        check_values(self)
        for path in self.photos:
            if not Path(path).is_file():
                raise ValueError(f"`photos={path}`: no such file.")


@command("explain", ModelArguments, ExplanationArguments, DeviceArguments)
def explain(given: dict[str, Any]) -> None:
    """Interpret a model: write a page with its samples, latent directions, units, filters and training history."""
    model = pick(ModelArguments, given)
    folder = Path(model.model)
    from ..model_folder import EXPLANATION_FOLDER, check_place_for_explanation

    if not folder.is_dir() and "output_dir" not in given:
        raise ValueError(f"`output_dir` is required: {model.model} is not a local folder.")
    args = pick(ExplanationArguments, {"output_dir": str(folder / EXPLANATION_FOLDER)} | given)
    page_folder = Path(args.output_dir or EXPLANATION_FOLDER)
    check_place_for_explanation(page_folder, folder if folder.is_dir() else page_folder)
    with quick_imports():
        from ..inference.pipelines import model_name
        from ..interpretability.explain import explain
        from ..pipeline_dcgan import DCGANPipeline
        from .models import loaded

    with loaded(DCGANPipeline, given) as pipe, _interrupted_by_signals():
        page, directions = explain(pipe, args, model_name(model.model), folder)
    directions.save_pretrained(folder if folder.is_dir() else page.parent)  # published with the model
    print(f"Page: {page}")


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Lets every signal that asks the program to stop interrupt it as SIGINT (Ctrl-C) does."""
    from ..processes import stop_signals

    previous = {number: signal.signal(number, signal.default_int_handler) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@command("invert", ModelArguments, _PhotoArguments, SearchArguments, DeviceArguments)
def invert(given: dict[str, Any]) -> None:
    """Invert a generator: find the latents whose images are closest to photos."""
    args, search = pick(_PhotoArguments, given), pick(SearchArguments, given)
    with quick_imports():
        import torch

        from ..data.bad_images import reason_of
        from ..data.decoding import decode_image
        from ..inference.generate import parse_classes
        from ..interpretability.inversion import invert, save_inversion
        from ..pipeline_dcgan import DCGANPipeline
        from .models import loaded

    photos = []
    for path in args.photos:
        try:
            photos.append(decode_image({"bytes": None, "path": path}))
        except Exception as error:  # Pillow raises many types
            raise ValueError(f"`photos={path}` cannot be read: {reason_of(error)}.") from error
    with loaded(DCGANPipeline, given) as pipe:
        classes: Any = parse_classes(pipe, args.class_labels) if args.class_labels else None
        if classes is not None and len(classes) == 1:
            classes = classes * len(photos)
        found = invert(pipe, photos, classes, search, generator=torch.Generator().manual_seed(args.seed))
        save_inversion(Path(args.output_dir), pipe, photos, found, classes)
    for path, psnr in zip(args.photos, found.psnr.tolist()):
        print(f"{path}: {psnr:.1f} dB")
    print(f"Latents and comparison: {args.output_dir}")


@command("demo", ModelArguments, _DemoArguments, DeviceArguments)
def demo(given: dict[str, Any]) -> None:
    """Launch an interactive demo of a model, or save and publish it as a Space."""
    model, args = pick(ModelArguments, given), pick(_DemoArguments, given)
    from ..publishing.space import check_space_hardware

    check_space_hardware(args.space_hardware)
    with quick_imports():
        from diffusers import DiffusionPipeline

        from ..interpretability.demo.app import LAUNCH_OPTIONS, build_demo
        from .models import loaded

    name = Path(model.model).absolute().name
    title = args.title or name
    with loaded(DiffusionPipeline, given) as pipe:
        if args.output_dir or args.push_to_hub:
            _make_space(pipe, model.model, title, args)
        else:
            build_demo(pipe, model.model, title).launch(**LAUNCH_OPTIONS)


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
            published = publish_space(folder, name, args.hub_private_repo or None, space_hardware=args.space_hardware)
            print(f"Published: {published}")
