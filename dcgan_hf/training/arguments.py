# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments that all trainings have in common."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..flags import DatasetArguments, DeviceArguments, check_values, flag
from .network_configs import parse_object


if TYPE_CHECKING:
    from ..configuration_dcgan import DCGANDiscriminatorConfig

PENALTIES = ("r1_penalty", "r2_penalty", "gradient_penalty")
# Losses whose discriminator is given labels.
SMOOTHABLE_LOSSES = ("bce", "least_squares")
NETWORK_ARGUMENTS = ("generator_config", "discriminator_config")


@dataclass(kw_only=True)
class TrainingArguments(DatasetArguments, DeviceArguments):
    """Arguments of a training of any kind, see [`DCGANTrainingArguments`]."""

    output_dir: str = flag(
        "dcgan-model",
        "Folder of the trained pipeline, checkpoints, samples and logs.",
        group="Common",
        on_resume="free",
    )
    resolution: int = flag(
        64,
        "Width and height of the images in pixels.",
        group="Common",
        range="[1, inf)",
        on_resume="fixed",
        on_card=True,
    )
    num_epochs: int = flag(
        25, "Passes through the data set.", group="Common", range="[1, inf)", on_resume="free", on_card=True
    )
    max_train_steps: int | None = flag(
        None,
        "Number of updates. Overrides `--num_epochs`.",
        group="Common",
        range="[1, inf)",
        on_resume="free",
        on_card=True,
    )
    # Batch normalisation needs two images.
    train_batch_size: int = flag(
        128, "Images of a batch, on each process.", group="Common", range="[2, inf)", on_card=True
    )
    learning_rate: float = flag(
        2e-4, "Adam's learning rate.", group="Common", range="(0, inf)", on_card=True, part="optimizers"
    )
    use_ema: bool = flag(
        False,
        "Sample from and save an exponential moving average of the generator.",
        group="Common",
        on_resume="fixed",
        on_card=True,
    )
    seed: int = flag(
        0, "Seed of weights, order of the data and latents.", group="Common", range="[0, inf)", on_card=True
    )
    resume_from_checkpoint: str | None = flag(
        None, "Checkpoint to go on from: 'latest', its name or its path.", group="Common", on_resume="free"
    )
    overwrite_output_dir: bool = flag(
        False,
        "Delete an earlier run's checkpoints, samples and logs in `--output_dir`.",
        group="Common",
        on_resume="free",
    )

    max_train_samples: int | None = flag(
        None,
        "Number of images to use, chosen at random. By default all.",
        group="Data",
        range="[2, inf)",
        on_card=True,
    )
    streaming: bool = flag(
        False, "Read the data set while training instead of downloading it first.", group="Data", on_card=True
    )
    num_channels: Literal[1, 3, 4] | None = flag(
        None,
        "1 (grey), 3 (RGB) or 4 (RGBA). By default 1 or 3, as the first image has.",
        group="Data",
        on_resume="fixed",
        on_card=True,
    )
    random_flip: bool = flag(False, "Mirror half of the images, chosen at random.", group="Data", on_card=True)
    skip_bad_images: bool = flag(
        False, "Go on without images that cannot be read, and count them.", group="Data", on_card=True
    )
    in_memory_gb: float = flag(
        4.0,
        "Decode the data set once and keep it on the device, in each process, if it takes at most this.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    dataloader_num_workers: int = flag(
        4, "Threads that decode images.", group="Data", range="[1, inf)", on_resume="free", on_card=True
    )

    hidden_size: int = flag(
        64,
        "Width of the convolutions next to the image.",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )
    generator_config: str | dict[str, Any] = flag(
        "{}",
        "More fields of the generator's configuration, as JSON.",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )
    discriminator_config: str | dict[str, Any] = flag(
        "{}",
        """More fields of the discriminator's configuration, as JSON: '{"norm_type": "spectral"}'.""",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )

    loss: Literal["bce", "least_squares", "hinge", "relativistic", "wasserstein"] = flag(
        "bce", "Loss. 'bce' is the paper's.", group="Loss", on_card=True, part="loss"
    )
    label_smoothing: float | None = flag(
        None,
        "Lowers the label of real images by this much, such as 0.1, for the losses 'bce' and 'least_squares'.",
        group="Loss",
        range="(0, 0.5)",
        on_card=True,
        part="loss",
    )
    r1_penalty: float | None = flag(
        None,
        "Weight of a penalty on the gradients at real images, such as 0.1, of a discriminator without batch normalisation.",
        group="Loss",
        range="(0, inf)",
        on_card=True,
    )
    r2_penalty: float | None = flag(
        None, "The same at generated images.", group="Loss", range="(0, inf)", on_card=True
    )
    gradient_penalty: float | None = flag(
        None,
        "Weight of WGAN-GP's penalty on the discriminator's gradients between real and generated images: 10.",
        group="Loss",
        range="(0, inf)",
        on_card=True,
    )

    gradient_accumulation_steps: int = flag(
        1, "Batches of an update, on each process.", group="Optimization", range="[1, inf)", on_card=True
    )
    discriminator_learning_rate: float | None = flag(
        None,
        "Adam's learning rate of the discriminator. By default the generator's (`--learning_rate`).",
        group="Optimization",
        range="(0, inf)",
        on_card=True,
        part="optimizers",
    )
    lr_scheduler: Literal["constant", "linear", "cosine"] = flag(
        "constant", "Decay of the learning rates, to 0 at the end of training.", group="Optimization", on_card=True
    )
    adam_beta1: float = flag(
        0.5, "Adam's beta1.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )
    adam_beta2: float = flag(
        0.999, "Adam's beta2.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )
    adam_weight_decay: float = flag(
        0.0, "Adam's weight decay.", group="Optimization", range="[0, inf)", on_card=True, part="optimizers"
    )
    adam_epsilon: float = flag(
        1e-8, "Adam's epsilon.", group="Optimization", range="(0, inf)", on_card=True, part="optimizers"
    )
    ema_half_life: int = flag(
        10_000,
        "Images after which a past generator counts half in the average.",
        group="Optimization",
        range="[1, inf)",
        on_card=True,
    )

    eval_steps: float | None = flag(
        None,
        "Updates between two measurements of image quality or, if below 1, their share of all updates. By default none is"
        " made.",
        group="Evaluation",
        on_resume="free",
    )
    eval_split: str | None = flag(
        None,
        "Split of the images to compare with. By default `--dataset_split`.",
        group="Evaluation",
        on_resume="free",
    )
    save_best: bool = flag(
        False,
        "Keep the checkpoint of the best measured model, and save and publish that one.",
        group="Evaluation",
        on_resume="free",
    )
    early_stopping_patience: int | None = flag(
        None,
        "End training after so many measurements in a row that were no better than the best before.",
        group="Evaluation",
        range="[1, inf)",
        on_resume="free",
    )

    logging_steps: int = flag(
        10, "Steps between two entries in the log.", group="Logging", range="[1, inf)", on_resume="free"
    )
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = flag(
        "none",
        "Tracker to log to, besides `logs/metrics.jsonl` in `--output_dir`.",
        group="Logging",
        on_resume="free",
    )
    save_images_steps: int = flag(
        500, "Steps between two sample grids.", group="Logging", range="[1, inf)", on_resume="free"
    )
    eval_batch_size: int = flag(64, "Images in a sample grid.", group="Logging", range="[1, inf)", on_resume="free")
    diagnostics_steps: int | None = flag(
        None,
        "Steps between two looks at gradients, logits, weights and activations, which are logged and do not change"
        " training. By default none.",
        group="Logging",
        range="[1, inf)",
        on_resume="free",
    )
    checkpointing_steps: int = flag(
        500, "Steps between two checkpoints.", group="Logging", range="[1, inf)", on_resume="free"
    )
    checkpoints_total_limit: int | None = flag(
        None,
        "Number of checkpoints to keep, the newest ones.",
        group="Logging",
        range="[1, inf)",
        on_resume="free",
    )

    push_to_hub: bool = flag(False, "Publish the model on the Hub, with its card.", group="Hub", on_resume="free")
    hub_model_id: str | None = flag(
        None, "Repository to publish to. By default the name of `--output_dir`.", group="Hub", on_resume="free"
    )
    hub_private_repo: bool = flag(
        False, "Make the repository private if it does not exist yet.", group="Hub", on_resume="free"
    )
    hub_strategy: Literal["end", "every_save"] = flag(
        "end",
        "When to publish: at the end, or also with every checkpoint, in the background.",
        group="Hub",
        on_resume="free",
    )
    hub_license: str | None = flag(
        None, "License of the model, for its card: 'apache-2.0', 'cc-by-4.0', ...", group="Hub", on_resume="free"
    )

    mixed_precision: Literal["no", "fp16", "bf16"] | None = flag(
        None,
        "Precision of the forward passes. By default that of `accelerate launch` or, if that is 'no', bf16 where the"
        " device computes with it natively.",
        group="Machine",
        on_card=True,
    )
    num_cpu_threads: int | None = flag(
        None,
        "Threads of each process on the CPU. By default the cores divided by the processes (`accelerate launch` would"
        " give each process one).",
        group="Machine",
        range="[1, inf)",
    )

    def __post_init__(self) -> None:
        check_values(self)
        # In one form, so that a resumed run may write the same fields in another way.
        for name in NETWORK_ARGUMENTS:
            setattr(self, name, json.dumps(parse_object(name, getattr(self, name)), sort_keys=True))
        if self.streaming and self.max_train_steps is None:
            raise ValueError("`streaming` needs `max_train_steps`: the length of an epoch is not known.")
        for name in ("max_train_samples", "eval_steps"):
            if self.streaming and getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}={getattr(self, name)}` needs a data set that is at hand: leave out `streaming`."
                )
        if self.overwrite_output_dir and self.resume_from_checkpoint:
            raise ValueError("`overwrite_output_dir` would delete what `resume_from_checkpoint` needs.")
        if not self.push_to_hub and (self.hub_private_repo or self.hub_strategy != "end"):
            raise ValueError("`hub_private_repo` and `hub_strategy` have no effect without `push_to_hub`.")
        self._check_evaluation()
        self._check_loss()

    def _check_evaluation(self) -> None:
        steps = self.eval_steps
        if steps is not None and not (0 < steps < 1 or steps >= 1 and steps % 1 == 0):
            raise ValueError(f"`eval_steps` must be a whole number or lie between 0 and 1, got {steps}.")
        if steps is None and (
            self.save_best or self.early_stopping_patience is not None or self.eval_split is not None
        ):
            raise ValueError(
                "`save_best`, `early_stopping_patience` and `eval_split` have no effect without `eval_steps`."
            )

    def _check_loss(self) -> None:
        if self.label_smoothing is not None and self.loss not in SMOOTHABLE_LOSSES:
            raise ValueError(
                f"`label_smoothing` needs a loss with labels, one of {SMOOTHABLE_LOSSES}, got `loss={self.loss}`."
            )
        if self.gradient_penalty is not None and (self.r1_penalty is not None or self.r2_penalty is not None):
            raise ValueError(
                "`gradient_penalty` draws the discriminator's gradients to 1, `r1_penalty` and `r2_penalty` draw them to"
                " 0: choose one."
            )
        self.check_precision(self.mixed_precision)

    def check_precision(self, mixed_precision: str | None) -> None:
        """Raises a `ValueError` if an argument does not go with the precision that the run has."""
        for name in PENALTIES:
            if getattr(self, name) is not None and mixed_precision == "fp16":
                raise ValueError(
                    f"`{name}` does not work with `mixed_precision=fp16`: the gradients in it are not scaled. Use `bf16`."
                )

    def check_discriminator(self, config: "DCGANDiscriminatorConfig") -> None:
        """Raises a `ValueError` if the loss does not go with the discriminator."""
        for name in PENALTIES:
            if getattr(self, name) is not None:
                check_images_are_separate(config.norm_type != "batch", f"`{name}`")
        if self.loss == "wasserstein" and self.gradient_penalty is None and config.norm_type != "spectral":
            raise ValueError(
                "`loss=wasserstein` needs a discriminator with bounded gradients: `gradient_penalty=10`, with a"
                """ discriminator without batch normalisation, or `discriminator_config={"norm_type": "spectral"}`."""
            )

    def eval_interval(self, num_steps: int) -> int:
        """Returns the number of updates between two measurements in a run of `num_steps` updates, which ends with one."""
        if self.eval_steps is None:
            return num_steps
        return int(self.eval_steps) if self.eval_steps >= 1 else math.ceil(self.eval_steps * num_steps)


def check_images_are_separate(are_separate: bool, what: str) -> None:
    """Raises a `ValueError` for a discriminator that mixes the images of a batch, which `what` is wrong for."""
    if not are_separate:
        raise ValueError(
            f"{what} needs a discriminator that treats each image separately, got `norm_type=batch`, which mixes those of"
            """ a batch. Use `group`, `spectral` or `none`: `discriminator_config={"norm_type": "spectral"}`."""
        )
