# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of looking into a model."""

from dataclasses import dataclass
from typing import Literal

from ..flags import DatasetArguments, check_values, flag


@dataclass(kw_only=True)
class ExplanationArguments(DatasetArguments):
    r"""
    Arguments of [`explain`]. `dcgan explain --help` describes all.

    Raises:
        ValueError: if one is out of range.
    """

    dataset_name: str | None = flag(  # type: ignore[assignment]  # real images are not needed
        None,
        "Images that the model was trained on: repository on the Hub, local folder, 'digits', 'photos' or"
        " 'procedural_faces'.",
        group="Common",
    )
    max_real_images: int = flag(10_000, "Number of images of the data set to use.", group="Data", range="[1, inf)")
    classifier: str | None = flag(None, "Classifier of such images, of classes or of several attributes.")
    labels: list[str] | None = flag(None, "What the classifier knows and is explained. By default up to four.")
    # Fewer do not find directions and units.
    num_images: int = flag(2000, "Number of samples to look at.", range="[200, inf)")
    seed: int = flag(0, "Seed of the samples.", range="[0, inf)")
    output_dir: str | None = flag(None, "Folder of the page. By default `explanation` in the folder of the model.")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(kw_only=True)
class SearchArguments:
    r"""
    Arguments of [`invert`]'s search for latents. `dcgan invert --help` describes all.

    Raises:
        ValueError: if one is out of range.
    """

    num_steps: int = flag(1000, "Steps of Adam in each search, at most.", range="[1, inf)")
    # Of 100 of its own images a generator of clothes found 89 again with two searches each, 93 with four.
    num_restarts: int = flag(4, "Searches for each image, of which the best counts.", range="[1, inf)")
    learning_rate: float = flag(
        0.1, "Adam's learning rate in the beginning, which falls as a cosine.", range="(0, inf)"
    )
    feature_weight: float = flag(
        0.0,
        "Weight of the discriminator's features, beside a weight of 1 for the pixels. A step takes twice as long then.",
        range="[0, inf)",
    )
    target_psnr: float | None = flag(None, "Nearness in dB at which an image is done.")
    num_candidates: int = flag(2048, "Random latents of which the nearest are the starts.", range="[1, inf)")

    def __post_init__(self) -> None:
        check_values(self)
        if self.num_candidates < self.num_restarts:
            raise ValueError(
                f"`num_candidates` must be at least `num_restarts={self.num_restarts}`, got {self.num_candidates}."
            )


@dataclass(kw_only=True)
class ClassifierArguments(DatasetArguments):
    r"""
    Arguments of [`train_classifier`]. `dcgan train-classifier --help` describes all.

    Raises:
        ValueError: if one is out of range, or does not go with another one.
    """

    test_split: str | None = flag(
        None, "Split that the accuracy is measured on. By default a tenth, left out.", group="Data"
    )
    label_column: list[str] | None = flag(
        None, "Column of the labels, if there are several; or several of them.", group="Data"
    )
    class_names: list[str] | None = flag(
        None, "Names of the classes of one label column. By default those of the data set.", group="Data"
    )
    resolution: int = flag(32, "Width and height of the images in pixels.", range="[1, inf)")
    resize_mode: Literal["crop", "pad"] = flag("crop", "Way to make images square.")
    num_epochs: int = flag(12, "Passes through the data set.", range="[1, inf)")
    train_batch_size: int = flag(128, "Images of a batch.", range="[1, inf)")
    learning_rate: float = flag(3e-3, "AdamW's learning rate.", range="(0, inf)")
    random_flip: bool = flag(False, "Mirror half of the images.")
    seed: int = flag(0, "Seed of weights and order of the data.", range="[0, inf)")
    output_dir: str = flag("classifier", "Folder for the classifier.")

    def __post_init__(self) -> None:
        check_values(self)
        columns = self.label_column or []
        if len(set(columns)) != len(columns):
            raise ValueError(f"`label_column` must be different columns, got {columns}.")
        if self.class_names and len(columns) > 1:
            raise ValueError(f"`class_names` are for one `label_column`, got {len(columns)} of them.")
