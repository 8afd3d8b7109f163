# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments of measurements."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ..flags import DatasetArguments, LabelledDatasetArguments, check_values, flag


_FEATURES = "'inception', 'efficientnet-lite0', or folder or repository of an image classifier"


@dataclass(kw_only=True)
class _MeasuringArguments(DatasetArguments):
    dataset_name: str = flag(
        dataclasses.MISSING,
        "Images to compare with: repository on the Hub, local folder, 'digits', 'photos' or 'procedural_faces'.",
        group="Common",
    )
    output_dir: str | None = flag(
        None, "Folder for the report. By default that of a local model, else the model's name and `-evaluation`."
    )
    feature_cache_dir: str | None = flag(None, "Folder where the features of real images are kept.")

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(kw_only=True)
class EvaluationArguments(_MeasuringArguments, LabelledDatasetArguments):
    r"""
    Arguments of [`evaluate`]. `dcgan evaluate --help` describes all.

    Raises:
        ValueError: if one is out of range, or does not go with another one.
    """

    train_split: str = flag("train", "Split that the model was trained on.", group="Data")
    resize_mode: Literal["crop", "pad"] | None = flag(
        None, "Way to make images square. By default the discriminator's, else 'crop'.", group="Data"
    )
    features: str = flag("inception", f"Network whose features are compared: {_FEATURES}.")
    num_images: int = flag(10_000, "Images to generate. Papers have 10,000 or 50,000.", range="[1, inf)")
    seed: int = flag(0, "Image number i has the seed `seed + i`.", range="[0, inf)")
    truncation: float | None = flag(None, "Bound of the latents' absolute values.", range="(0, inf)")
    linear_probe: bool = flag(
        False,
        "Also measure how well a linear SVM tells the classes of `--dataset_split` apart by the discriminator's features.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.linear_probe and self.dataset_split == self.train_split:
            raise ValueError(
                f"`linear_probe` trains with the labels of `train_split={self.train_split}` and must be tested on other"
                " images: `dataset_split=test`."
            )


@dataclass(kw_only=True)
class SuperResolutionEvaluationArguments(_MeasuringArguments):
    r"""
    Arguments of [`evaluate_super_resolution`]. `dcgan evaluate-super-resolution --help` describes all.

    Raises:
        ValueError: if one is out of range, or does not go with another one.
    """

    dataset_split: str = flag("test", "Split that the model was not trained on.", group="Data")
    low_resolution_column: str | None = flag(
        None, "Column of the small images. By default they are made of the originals.", group="Data"
    )
    label_column: str | None = flag(
        None,
        "Column of the labels, to measure how many images the classifier (`--features`) takes for what they are.",
        group="Data",
    )
    resize_mode: Literal["none", "crop", "pad"] = flag(
        "none",
        "'none' leaves images as large as they are, but for what the scale factor does not divide; 'crop' and 'pad' make"
        " them square as in training.",
        group="Data",
    )
    resolution: int | None = flag(
        None, "Size of square images. By default the discriminator's.", group="Data", range="[1, inf)"
    )
    downsampling: Literal["bicubic", "area"] = flag("bicubic", "Method that makes originals small.", group="Data")
    features: str | None = flag(None, f"Network whose features are compared, too: {_FEATURES}.")
    num_images: int | None = flag(None, "Images to measure, chosen at random. By default all.", range="[1, inf)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low_resolution_column and self.resize_mode != "none":
            raise ValueError(
                f"`low_resolution_column` needs `resize_mode=none`, got `{self.resize_mode}`: pairs are not resized, so"
                " that they fit."
            )
        if self.resolution is not None and self.resize_mode == "none":
            raise ValueError(f"`resolution={self.resolution}` is for `resize_mode=crop` or `pad`, got `none`.")
        if self.label_column and not self.features:
            raise ValueError(f"`label_column={self.label_column}` needs a classifier as `features`.")
