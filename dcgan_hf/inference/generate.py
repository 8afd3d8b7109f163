# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Generation of many images, as files in a folder or as one tensor, on one process or several."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from ..configuration_dcgan import DCGANGeneratorConfig
from ..files import write_text
from ..model_folder import GENERATION_FILE
from ..pictures import is_image, to_bytes
from ..pipeline_dcgan import DCGANPipeline
from ..processes import bar_options, gather, is_main_process, num_processes, process_index, wait_for_everyone
from .arguments import GenerationArguments
from .folder import claimed_folder, save_image
from .pipelines import ready_to_draw, weights_fingerprint


_CLASSES_FILE = "metadata.jsonl"


def generate(pipe: DCGANPipeline, args: GenerationArguments) -> Path:
    r"""
    Generates images and saves them to a folder. Image i equals that of
    `pipe(generator=torch.Generator().manual_seed(seed + i))`, regardless of the number of processes. Existing images
    are skipped, so an interrupted call can be repeated, also with a larger number of images.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        args ([`GenerationArguments`]):
            Number of images, seed, folder, ...

    Returns:
        `Path`: the folder. For class-conditional models, `metadata.jsonl` lists the classes or the values of each
        attribute, as `datasets` reads them.

    Raises:
        ValueError: if the model does not support an argument, or the folder contains images made with other settings.

    Example:

    ```python
    >>> from dcgan_hf import DCGANPipeline
    >>> from dcgan_hf.inference.arguments import GenerationArguments
    >>> from dcgan_hf.inference.generate import generate

    >>> pipe = DCGANPipeline.from_pretrained("dcgan-digits")
    >>> generate(pipe, GenerationArguments(num_images=10_000, output_dir="digits"))
    ```
    """
    classes: Any = _classes(pipe, args.class_labels)
    pipe.check_inputs(1, classes, None, None, args.truncation, "pil")
    folder = Path(args.output_dir)
    settings = {
        "weights": weights_fingerprint(pipe.generator),
        "seed": args.seed,
        "class_labels": classes,
        "truncation": args.truncation,
        "dtype": str(pipe.generator.dtype).removeprefix("torch."),
    }
    if not (folder / GENERATION_FILE).is_file() and any((*folder.glob("*.png"), *folder.glob(_CLASSES_FILE))):
        raise ValueError(
            f"`output_dir={folder}` contains images that this command did not generate. Use another folder."
        )
    # Each batch contains the same images for any number of processes: rounding depends on the size of matrix products.
    starts = range(0, args.num_images, args.batch_size)[process_index() :: num_processes()]
    progress_bar = tqdm(total=args.num_images, unit="img", **bar_options())
    claimed = claimed_folder(folder, GENERATION_FILE, settings)
    with claimed, ready_to_draw(pipe, args.num_images, args.batch_size) as drawing, ThreadPoolExecutor(4) as pool:
        for start in starts:
            numbers = range(start, min(start + args.batch_size, args.num_images))
            paths = [folder / f"{number:08d}.png" for number in numbers]
            missing = [index for index, path in enumerate(paths) if not is_image(path)]
            if missing:
                labels, generators = _labels(classes, numbers), _generators(args.seed, numbers)
                (images,) = drawing(len(numbers), labels, generators, truncation=args.truncation, return_dict=False)
                list(pool.map(save_image, [images[index] for index in missing], [paths[index] for index in missing]))
            progress_bar.update(min(len(numbers) * num_processes(), args.num_images - progress_bar.n))
        progress_bar.close()
        wait_for_everyone()
        if is_main_process() and classes is not None:
            write_text(_table_of_classes(pipe, classes, args), folder / _CLASSES_FILE)
    return folder


def _table_of_classes(pipe: DCGANPipeline, classes: list[Any], args: GenerationArguments) -> str:
    """Returns the lines that name each image's class, or its value of each attribute."""
    config = pipe.generator.config
    entries = []
    for start in range(0, args.num_images, args.batch_size):
        numbers = range(start, min(start + args.batch_size, args.num_images))
        labels = labels_of_images(pipe, numbers, args.seed, classes)
        if config.attributes is None:
            described = [{"label": label, "class_name": config.id2label[label]} for label in labels]
        else:
            described = [
                {name: values[value] for (name, values), value in zip(config.attributes.items(), row)}
                for row in labels
            ]
        entries += [entry | {"file_name": f"{number:08d}.png"} for number, entry in zip(numbers, described)]
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def labels_of_images(pipe: DCGANPipeline, numbers: range, seed: int, class_ids: list[Any] | None) -> list[Any]:
    r"""
    Returns the labels of images that [`generate_images`] makes.

    Args:
        pipe ([`DCGANPipeline`]):
            A class-conditional model.
        numbers (`range`):
            Numbers of the images.
        seed (`int`):
            Base seed: image i uses `seed + i`.
        class_ids (`list`, *optional*):
            Classes that the images have in turn, or values of attributes. Those left out are drawn, as by the pipeline.
    """
    labels = _labels(class_ids, numbers)
    if pipe.generator.config.attributes is None:
        return labels
    generators = _generators(seed, numbers)
    pipe.prepare_latents(len(numbers), generators)  # drawn before the attributes
    return pipe.draw_class_ids(len(numbers), generators, labels)


def parse_classes(pipe: DCGANPipeline, labels: list[str]) -> list[Any]:
    """Returns the ids of classes from the command line, given as names, or as ids unless a class has that name. Values
    of attributes are given as `name=value`; an attribute named several times takes its values in turn."""
    names, attributes = pipe.generator.config.id2label.values(), pipe.generator.config.attributes
    if not names:
        raise ValueError(
            f"`class_labels={' '.join(labels)}` requires a class-conditional model, which this one is not."
        )
    if attributes is not None:
        values: dict[str, list[int | str]] = {}
        for label in labels:
            # A name may contain "=", too.
            known = [name for name in attributes if label.startswith(f"{name}=")]
            name = max(known, key=len, default=label.partition("=")[0])
            value = label[len(name) + 1 :]
            if "=" not in label:
                example = next(f"{name}={values[0]}" for name, values in attributes.items())
                raise ValueError(f"`class_labels={label}` must name an attribute and its value, such as {example}.")
            is_id = value.isdecimal() and value not in attributes.get(name, [])
            values.setdefault(name, []).append(int(value) if is_id else value)
        return pipe.get_class_ids(values)
    return pipe.get_class_ids([int(label) if label.isdecimal() and label not in names else label for label in labels])


def classes_in_turn(config: DCGANGeneratorConfig) -> list[int] | None:
    """Returns the classes that a set of images shows in turn, or `None` if it has none, or several attributes."""
    return list(range(config.num_classes)) if config.num_classes and config.attributes is None else None


def labels_in_turn(pipe: DCGANPipeline, num_images: int) -> list[Any] | None:
    """Returns labels for images of given latents, always the same: the classes in turn, or values of all attributes,
    drawn as often as training images have them. `None` for an unconditional model."""
    if pipe.generator.config.attributes is not None:
        return pipe.draw_class_ids(num_images, torch.Generator().manual_seed(0))
    return _labels(classes_in_turn(pipe.generator.config), range(num_images))


def _classes(pipe: DCGANPipeline, labels: list[str] | None) -> list[Any] | None:
    if labels:
        return parse_classes(pipe, labels)
    # Attributes are drawn if all of them are left out.
    return (
        classes_in_turn(pipe.generator.config) if pipe.generator.config.attributes is None else pipe.get_class_ids({})
    )


def _generators(seed: int, numbers: range) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + number) for number in numbers]


def _labels(class_ids: list[Any] | None, numbers: range) -> Any:
    return None if class_ids is None else [class_ids[number % len(class_ids)] for number in numbers]


# Results with other batch sizes round differently.
IMAGES_AT_ONCE = GenerationArguments.batch_size


def generate_images(
    pipe: DCGANPipeline,
    num_images: int,
    seed: int = 0,
    class_ids: list[int] | None = None,
    truncation: float | None = None,
    sample_latents: Callable[[int, torch.Generator], torch.Tensor] | None = None,
    show_progress: bool = False,
) -> torch.Tensor:
    r"""
    Generates images with the pixel values of saved files. Image i equals file i of [`generate`] with the same seed,
    regardless of the number of processes. The processes share the work.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        num_images (`int`):
            Number of images.
        seed (`int`, *optional*, defaults to 0):
            Base seed: image i uses `seed + i`.
        class_ids (`list[int]`, *optional*):
            Classes of a class-conditional model, used in turn.
        truncation (`float`, *optional*):
            Maximum absolute value of the latents.
        sample_latents (`Callable`, *optional*):
            Source of latents instead of N(0, 1): a function of the number of images and a `torch.Generator`.
        show_progress (`bool`, *optional*, defaults to `False`):
            Whether to show a progress bar.

    Returns:
        `torch.ByteTensor` of shape `(num_images, num_channels, height, width)`, on the CPU.
    """

    def draw(start: int, stop: int) -> torch.Tensor:
        numbers = range(start, stop)
        labels, generators = _labels(class_ids, numbers), _generators(seed, numbers)
        if sample_latents is None:
            source: dict[str, Any] = {"generator": generators, "truncation": truncation}
        else:
            source = {"latents": torch.cat([sample_latents(1, generator) for generator in generators])}
            # However many random numbers the source draws, so that the labels of the images are known.
            labels = labels_of_images(pipe, numbers, seed, class_ids)
        return to_bytes(pipe(len(numbers), labels, output_type="pt", return_dict=False, **source)[0])

    return torch.cat(divide_work(draw, num_images, IMAGES_AT_ONCE, "Images", show_progress))


def divide_work(
    work: Callable[[int, int], Any], number: int, portion: int, title: str, show_progress: bool
) -> list[Any]:
    """Returns the results for all portions of `number` images, in order. Each process computes its share."""
    own = range(0, number, portion)[process_index() :: num_processes()]
    progress_bar = tqdm(own, desc=title, **(bar_options() if show_progress else {"disable": True}))
    results = [(start, work(start, min(start + portion, number))) for start in progress_bar]
    return [result for _, result in sorted(gather(results), key=lambda item: item[0])]
