# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for evaluation."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ..flags import DatasetArguments, LabelledDatasetArguments, check_values, flag


_FEATURES = (
    "'inception', 'efficientnet-lite0', 'efficientnet-lite2', or a folder or Hub repository of an image classifier"
)


@dataclass(kw_only=True)
class _MeasuringArguments(DatasetArguments):
    dataset_name: str = flag(
        dataclasses.MISSING,
        "Real images to compare with: Hub repository, local folder or files, 'digits', 'photos' or"
        " 'procedural_faces'.",
        group="Common",
    )
    output_dir: str | None = flag(
        None,
        "Folder for the report (default: the folder of a local model, else the model's name followed by"
        " `-evaluation`).",
    )
    feature_cache_dir: str | None = flag(
        None, "Cache folder for the features of real images (default: `dcgan_hf/features` in `HF_HOME`)."
    )

    def __post_init__(self) -> None:
        check_values(self)


@dataclass(kw_only=True)
class EvaluationArguments(_MeasuringArguments, LabelledDatasetArguments):
    r"""
    Arguments of [`evaluate`]. `dcgan evaluate --help` describes them.

    Raises:
        ValueError: if an argument is out of range, or cannot be combined with another one.
    """

    train_split: str = flag("train", "Split that the model was trained on.", group="Data")
    resize_mode: Literal["crop", "pad"] | None = flag(
        None, "Method that makes images square (default: the discriminator's, else 'crop').", group="Data"
    )
    features: str = flag("inception", f"Network whose features are compared: {_FEATURES}.")
    num_images: int = flag(10_000, "Number of images to generate. Papers use 10,000 or 50,000.", range="[1, inf)")
    seed: int = flag(0, "Base seed: image i uses `seed + i`.", range="[0, inf)")
    truncation: float | None = flag(
        None, "Maximum absolute value of the latents (default: unbounded).", range="(0, inf)"
    )
    linear_probe: bool = flag(
        False,
        "Also train a linear SVM on the discriminator's features and measure its accuracy on the labels of"
        " `--dataset_split`.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        LabelledDatasetArguments.__post_init__(self)
        if isinstance(self.label_column, list):
            raise ValueError(f"`label_column` must be a single column here, got {' '.join(self.label_column)}.")
        if self.linear_probe and self.dataset_split == self.train_split:
            raise ValueError(
                f"`linear_probe` trains on `train_split={self.train_split}` and must be tested on another split: set"
                " `dataset_split=test`."
            )


@dataclass(kw_only=True)
class SuperResolutionEvaluationArguments(_MeasuringArguments):
    r"""
    Arguments of [`evaluate_super_resolution`]. `dcgan evaluate-super-resolution --help` describes them.

    Raises:
        ValueError: if an argument is out of range, or cannot be combined with another one.
    """

    protocol: Literal["all_channels", "paper"] = flag(
        "all_channels",
        "'all_channels' measures whole images in RGB; 'paper' the luminance without a border of as many pixels as the scale,"
        " of one or several benchmark sets: a folder with Set5/HR and Set5/LR, or other usual layouts.",
    )
    dataset_split: str = flag("test", "Split to evaluate on, which the model was not trained on.", group="Data")
    low_resolution_column: str | None = flag(
        None, "Column that contains the low-resolution images (default: downsample the originals).", group="Data"
    )
    label_column: str | None = flag(
        None,
        "Column that contains the labels, to measure how many upscaled images the classifier (`--features`)"
        " recognises.",
        group="Data",
    )
    resize_mode: Literal["none", "crop", "pad"] = flag(
        "none",
        "'none' keeps the original sizes, cropped to multiples of the scale factor; 'crop' and 'pad' make images"
        " square, as in training.",
        group="Data",
    )
    resolution: int | None = flag(
        None, "Width and height of square images (default: the discriminator's).", group="Data", range="[1, inf)"
    )
    downsampling: Literal["bicubic", "area"] = flag("bicubic", "Method that downsamples the originals.", group="Data")
    features: str | None = flag(None, f"Network whose features are also compared (default: none): {_FEATURES}.")
    num_images: int | None = flag(
        None, "Maximum number of images to evaluate, of each set, chosen at random (default: all).", range="[1, inf)"
    )
    self_ensemble: bool = flag(
        False,
        "Average the results for each image flipped and turned in all 8 ways, in 8 times the time, for `--protocol paper`.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol == "paper":
            self._check_paper_protocol()
        elif self.self_ensemble:
            raise ValueError(f"`self_ensemble` requires `protocol=paper`, got `{self.protocol}`.")
        if self.low_resolution_column and self.resize_mode != "none":
            raise ValueError(
                f"`low_resolution_column` requires `resize_mode=none`, got `{self.resize_mode}`: resizing would"
                " misalign the pairs."
            )
        if self.resolution is not None and self.resize_mode == "none":
            raise ValueError(f"`resolution={self.resolution}` requires `resize_mode=crop` or `pad`, got `none`.")
        if self.label_column and not self.features:
            raise ValueError(f"`label_column={self.label_column}` requires a classifier: set `features`.")

    def _check_paper_protocol(self) -> None:
        sizes, only = "keeps the images' own sizes", "measures PSNR and SSIM only"
        rules = {"resize_mode": sizes, "resolution": sizes, "downsampling": "downscales bicubically"}
        rules |= dict.fromkeys(("features", "feature_cache_dir", "label_column"), only)
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, rule in rules.items():
            value = getattr(self, name)
            if value != defaults[name]:
                raise ValueError(f"`{name}={value}` cannot be combined with `protocol=paper`, which {rule}.")
