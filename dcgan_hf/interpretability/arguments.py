# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for interpretability."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..flags import DatasetArguments, check_columns, check_values, flag


@dataclass(kw_only=True)
class ExplanationArguments(DatasetArguments):
    r"""
    Arguments of [`explain`]. `dcgan explain --help` describes them.

    Raises:
        ValueError: if an argument is out of range.
    """

    dataset_name: str | None = flag(  # type: ignore[assignment]  # real images are optional
        None,
        "Training images of the model: Hub repository, local folder or files, 'digits', 'photos' or"
        " 'procedural_faces' (default: none).",
        group="Common",
    )
    max_real_images: int | None = flag(
        None,
        "Maximum number of training images, chosen at random (default: 10000, or 1000 with --quick).",
        group="Data",
        range="[1, inf)",
    )
    classifier: str | None = flag(
        None, "Folder or Hub repository of a classifier of such images, with one or several labels per image."
    )
    labels: list[str] | None = flag(None, "Labels of the classifier to explain (default: up to four).")
    quick: bool = flag(
        False, "Take a quick look: fewer samples and training images, and shorter searches. The page says so."
    )
    # Fewer are too few to find directions and units.
    num_images: int | None = flag(
        None, "Number of samples to analyse (default: 2000, or 500 with --quick).", range="[200, inf)"
    )
    seed: int = flag(0, "Seed of the samples.", range="[0, inf)")
    output_dir: str | None = flag(None, "Folder for the page (default: `explanation` in the folder of the model).")

    def __post_init__(self) -> None:
        check_values(self)
        if self.labels and self.classifier is None:
            raise ValueError(f"`labels={self.labels[0]}` requires `classifier`, which knows the labels.")

    @property
    def amounts(self) -> "Amounts":
        """Amounts of work, of which `num_images` and `max_real_images` change two."""
        usual = Amounts(500, 1000, 16, 300, 1, 25) if self.quick else Amounts(2000, 10_000, 64, 1000, 2, 100)
        return usual._replace(
            samples=self.num_images or usual.samples, real_images=self.max_real_images or usual.real_images
        )


class Amounts(NamedTuple):
    """Amounts of work for a report."""

    samples: int
    real_images: int
    searched_images: int
    search_steps: int
    layers_of_units: int
    latents_of_units: int


@dataclass(kw_only=True)
class SearchArguments:
    r"""
    Arguments of the search of [`invert`]. `dcgan invert --help` describes them.

    Raises:
        ValueError: if an argument is out of range.
    """

    num_steps: int = flag(1000, "Maximum number of Adam steps per search.", range="[1, inf)")
    # A generator of clothes recovered 89 of 100 of its own images with two searches each, 93 with four.
    num_restarts: int = flag(4, "Number of searches per image, the best of which is kept.", range="[1, inf)")
    learning_rate: float = flag(0.1, "Initial learning rate of Adam, with cosine decay.", range="(0, inf)")
    feature_weight: float = flag(
        0.0,
        "Weight of the discriminator's features, relative to a weight of 1 for the pixels. Above 0, a step takes"
        " twice as long.",
        range="[0, inf)",
    )
    target_psnr: float | None = flag(None, "PSNR in dB at which the search for an image stops (default: none).")
    num_candidates: int = flag(
        2048, "Number of random latents, the closest of which start the searches.", range="[1, inf)"
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.num_candidates < self.num_restarts:
            raise ValueError(
                f"`num_candidates` must be at least `num_restarts={self.num_restarts}`, got {self.num_candidates}."
            )


@dataclass(kw_only=True)
class ClassifierArguments(DatasetArguments):
    r"""
    Arguments of [`train_classifier`]. `dcgan train-classifier --help` describes them.

    Raises:
        ValueError: if an argument is out of range, or cannot be combined with another one.
    """

    test_split: str | None = flag(
        None, "Split to measure the accuracy on (default: a held-out tenth of the training split).", group="Data"
    )
    label_column: list[str] | None = flag(
        None, "One or several columns that contain labels (default: the only one of type `ClassLabel`).", group="Data"
    )
    class_names: list[str] | None = flag(
        None, "Class names, for a single label column (default: those of the dataset).", group="Data"
    )
    resolution: int = flag(32, "Width and height of the images in pixels.", range="[1, inf)")
    resize_mode: Literal["crop", "pad"] = flag("crop", "Method that makes images square.")
    num_epochs: int = flag(12, "Number of training epochs.", range="[1, inf)")
    train_batch_size: int = flag(128, "Batch size per process.", range="[1, inf)")
    learning_rate: float = flag(3e-3, "Initial learning rate of AdamW, with cosine decay.", range="(0, inf)")
    random_flip: bool = flag(False, "Flip half of the images horizontally, at random.")
    seed: int = flag(0, "Seed of the initial weights and the data order.", range="[0, inf)")
    output_dir: str = flag("classifier", "Folder for the classifier.")

    def __post_init__(self) -> None:
        check_values(self)
        if self.label_column is not None:
            check_columns(self.label_column)
        if self.class_names and len(self.label_column or []) > 1:
            raise ValueError(f"`class_names` requires a single `label_column`, got {len(self.label_column or [])}.")
