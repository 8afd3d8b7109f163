# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments shared by all trainers."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..flags import DatasetArguments, DeviceArguments, check_license, check_values, flag
from .network_configs import NETWORK_ARGUMENTS, parse_object
from .parent_arguments import ParentArguments


if TYPE_CHECKING:
    from ..configuration_dcgan import DCGANDiscriminatorConfig

PENALTIES = ("r1_penalty", "r2_penalty", "gradient_penalty")
# Losses with a target label for real images.
SMOOTHABLE_LOSSES = ("bce", "least_squares")


@dataclass(kw_only=True)
class TrainingArguments(DatasetArguments, DeviceArguments, ParentArguments):
    """Arguments shared by all trainers, see [`DCGANTrainingArguments`]."""

    output_dir: str = flag(
        "dcgan-model",
        "Output folder for the pipeline, checkpoints, samples and logs.",
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
    num_epochs: int | None = flag(
        None,
        "Number of training epochs (default: 4 or, if they are fewer than 10,000 steps, 10,000 steps).",
        group="Common",
        range="[1, inf)",
        on_resume="free",
        on_card=True,
    )
    max_train_steps: int | None = flag(
        None,
        "Number of training steps. Overrides `--num_epochs`.",
        group="Common",
        range="[1, inf)",
        on_resume="free",
        on_card=True,
    )
    # Batch normalisation needs at least two images.
    train_batch_size: int = flag(16, "Batch size per process.", group="Common", range="[2, inf)", on_card=True)
    learning_rate: float = flag(
        1.2e-3, "Initial learning rate of Adam.", group="Common", range="(0, inf)", on_card=True, part="optimizers"
    )
    use_ema: bool = flag(
        True,
        "Keep an exponential moving average of the generator, and use it for samples and the saved model.",
        group="Common",
        on_resume="fixed",
        on_card=True,
    )
    seed: int = flag(
        0,
        "Seed of the initial weights, the data order and the latents.",
        group="Common",
        range="[0, inf)",
        on_card=True,
    )
    resume_from_checkpoint: str | None = flag(
        None, "Checkpoint to resume from: 'latest', a name or a path.", group="Common", on_resume="free"
    )
    overwrite_output_dir: bool = flag(
        False,
        "Delete the checkpoints, samples and logs of an earlier run in `--output_dir`.",
        group="Common",
        on_resume="free",
    )

    max_train_samples: int | None = flag(
        None,
        "Maximum number of training images, chosen at random (default: all).",
        group="Data",
        range="[2, inf)",
        on_card=True,
    )
    streaming: bool = flag(
        False, "Stream the dataset during training instead of downloading it first.", group="Data", on_card=True
    )
    num_channels: Literal[1, 3, 4] | None = flag(
        None,
        "Number of image channels: 1 (grey), 3 (RGB) or 4 (RGBA) (default: 1 or 3, depending on the first image).",
        group="Data",
        on_resume="fixed",
        on_card=True,
    )
    random_flip: bool = flag(False, "Flip half of the images horizontally, at random.", group="Data", on_card=True)
    in_memory_gb: float = flag(
        4.0,
        "Decode the dataset once and keep it on the device, in each process, if it takes at most this many GB.",
        group="Data",
        range="[0, inf)",
        on_card=True,
    )
    dataloader_num_workers: int = flag(
        4, "Number of threads that decode images.", group="Data", range="[1, inf)", on_resume="free", on_card=True
    )

    hidden_size: int = flag(
        64,
        "Number of channels of the convolutions next to the image.",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )
    generator_config: str | dict[str, Any] = flag(
        "{}",
        "Additional fields of the generator's config, as JSON.",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )
    discriminator_config: str | dict[str, Any] = flag(
        "{}",
        """Additional fields of the discriminator's config, as JSON, such as '{"norm_type": "spectral"}'.""",
        group="Networks",
        on_resume="fixed",
        on_card=True,
        part="networks",
    )

    loss: Literal["bce", "least_squares", "hinge", "relativistic", "wasserstein"] = flag(
        "bce", "Adversarial loss. 'bce' is the paper's.", group="Loss", on_card=True, part="loss"
    )
    label_smoothing: float | None = flag(
        None,
        "One-sided label smoothing, such as 0.1, for 'bce' and 'least_squares' (default: none).",
        group="Loss",
        range="(0, 0.5)",
        on_card=True,
        part="loss",
    )
    r1_penalty: float | None = flag(
        None,
        "Weight of the R1 gradient penalty at real images, such as 0.1, for a discriminator without batch"
        " normalisation.",
        group="Loss",
        range="(0, inf)",
        on_card=True,
    )
    r2_penalty: float | None = flag(
        None,
        "Weight of the R2 gradient penalty, the same at generated images.",
        group="Loss",
        range="(0, inf)",
        on_card=True,
    )
    gradient_penalty: float | None = flag(
        None,
        "Weight of WGAN-GP's gradient penalty between real and generated images, such as 10.",
        group="Loss",
        range="(0, inf)",
        on_card=True,
    )

    gradient_accumulation_steps: int = flag(
        1,
        "Number of batches to accumulate per update, on each process.",
        group="Optimization",
        range="[1, inf)",
        on_card=True,
    )
    discriminator_learning_rate: float | None = flag(
        None,
        "Initial learning rate of the discriminator (default: a quarter of `--learning_rate`).",
        group="Optimization",
        range="(0, inf)",
        on_card=True,
        part="optimizers",
    )
    lr_scheduler: Literal["constant", "linear", "cosine"] = flag(
        "linear",
        "Learning rate schedule. 'linear' and 'cosine' decay to 0 at the end of training.",
        group="Optimization",
        on_card=True,
    )
    adam_beta1: float = flag(
        0.5, "Adam's beta1.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )
    adam_beta2: float = flag(
        0.99, "Adam's beta2.", group="Optimization", range="[0, 1)", on_card=True, part="optimizers"
    )
    adam_weight_decay: float = flag(
        0.0, "Adam's weight decay.", group="Optimization", range="[0, inf)", on_card=True, part="optimizers"
    )
    adam_epsilon: float = flag(
        1e-8, "Adam's epsilon.", group="Optimization", range="(0, inf)", on_card=True, part="optimizers"
    )
    ema_half_life: int = flag(
        20_000,
        "Half-life of the exponential moving average, in images.",
        group="Optimization",
        range="[1, inf)",
        on_card=True,
    )

    eval_steps: float | None = flag(
        None,
        "Steps between evaluations or, if below 1, their fraction of all steps (default: no evaluation).",
        group="Evaluation",
        on_resume="free",
    )
    eval_split: str | None = flag(
        None,
        "Split of the images to evaluate on (default: `--dataset_split`).",
        group="Evaluation",
        on_resume="free",
    )
    save_best: bool = flag(
        False,
        "Keep the checkpoint of the best model (`--metric_for_best_model`), and save and publish this model.",
        group="Evaluation",
        on_resume="free",
    )
    early_stopping_patience: int | None = flag(
        None,
        "Number of evaluations without improvement after which training stops (default: never).",
        group="Evaluation",
        range="[1, inf)",
        on_resume="free",
    )

    logging_steps: int = flag(10, "Steps between log entries.", group="Logging", range="[1, inf)", on_resume="free")
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = flag(
        "none",
        "Tracker to log to, in addition to `logs/metrics.jsonl` in `--output_dir`.",
        group="Logging",
        on_resume="free",
    )
    save_images_steps: int = flag(
        500, "Steps between sample grids.", group="Logging", range="[1, inf)", on_resume="free"
    )
    eval_batch_size: int = flag(
        64, "Number of images in a sample grid.", group="Logging", range="[1, 65536]", on_resume="free"
    )
    diagnostics_steps: int | None = flag(
        None,
        "Steps between diagnostics of gradients, logits, weights and activations, which do not affect training"
        " (default: none).",
        group="Logging",
        range="[1, inf)",
        on_resume="free",
    )
    checkpointing_steps: int = flag(
        500, "Steps between checkpoints.", group="Logging", range="[1, inf)", on_resume="free"
    )
    checkpoints_total_limit: int | None = flag(
        None,
        "Maximum number of checkpoints to keep, the newest ones (default: all).",
        group="Logging",
        range="[1, inf)",
        on_resume="free",
    )

    push_to_hub: bool = flag(False, "Publish the model on the Hub, with its card.", group="Hub", on_resume="free")
    hub_model_id: str | None = flag(
        None, "Repository to publish to (default: the name of `--output_dir`).", group="Hub", on_resume="free"
    )
    hub_private_repo: bool = flag(
        False, "Make the repository private if it does not exist yet.", group="Hub", on_resume="free"
    )
    hub_strategy: Literal["end", "every_save"] = flag(
        "end",
        "'end' publishes after training; 'every_save' also publishes with every checkpoint, in the background.",
        group="Hub",
        on_resume="free",
    )
    hub_license: str | None = flag(
        None, "License of the model, shown on its card: 'apache-2.0', 'cc-by-4.0', ...", group="Hub", on_resume="free"
    )

    mixed_precision: Literal["no", "fp16", "bf16"] | None = flag(
        None,
        "Precision of the forward passes (default: that of `accelerate launch` or, if that is 'no', bf16 on GPUs with"
        " native support, and the faster one on CPUs, see `--autotune`).",
        group="Machine",
        on_card=True,
    )
    autotune: Literal["on", "off"] = flag(
        "on",
        "Choose precision and convolutions on the CPU by measuring, and keep the measurements for later runs. With"
        " 'off': single precision and PyTorch's convolutions.",
        group="Machine",
        on_resume="free",
    )
    num_cpu_threads: int | None = flag(
        None,
        "Number of CPU threads per process (default: cores divided by processes; `accelerate launch` alone would set"
        " 1).",
        group="Machine",
        range="[1, inf)",
    )

    def __post_init__(self) -> None:
        check_values(self)
        check_license("hub_license", self.hub_license)
        # Normalised, so that a resumed run may write the same fields differently.
        for name in NETWORK_ARGUMENTS:
            setattr(self, name, json.dumps(parse_object(name, getattr(self, name)), sort_keys=True))
        if self.streaming and self.num_epochs is not None and self.max_train_steps is None:
            raise ValueError(
                f"`num_epochs={self.num_epochs}` with `streaming`: the length of an epoch is unknown. Use"
                " `max_train_steps`."
            )
        for name in ("max_train_samples", "eval_steps"):
            if self.streaming and getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}={getattr(self, name)}` is not supported with `streaming`. Pass only one of them."
                )
        if self.overwrite_output_dir and self.resume_from_checkpoint:
            raise ValueError(
                "`overwrite_output_dir` would delete the checkpoint of `resume_from_checkpoint`. Pass only one."
            )
        if not self.push_to_hub and (self.hub_private_repo or self.hub_strategy != "end"):
            raise ValueError("`hub_private_repo` and `hub_strategy` have no effect without `push_to_hub`.")
        if self.revision is not None and self.pretrained_model_name_or_path is None:
            raise ValueError(f"`revision={self.revision}` has no effect without `pretrained_model_name_or_path`.")
        self._check_evaluation()
        self._check_loss()

    def _check_evaluation(self) -> None:
        steps = self.eval_steps
        if steps is not None and not (0 < steps < 1 or steps >= 1 and steps % 1 == 0):
            raise ValueError(f"`eval_steps` must be a positive integer or lie between 0 and 1, got {steps}.")
        if steps is None and (
            self.save_best or self.early_stopping_patience is not None or self.eval_split is not None
        ):
            raise ValueError(
                "`save_best`, `early_stopping_patience` and `eval_split` have no effect without `eval_steps`."
            )

    def _check_loss(self) -> None:
        if self.label_smoothing is not None and self.loss not in SMOOTHABLE_LOSSES:
            raise ValueError(
                f"`label_smoothing` requires a loss with labels, one of {SMOOTHABLE_LOSSES}, got `loss={self.loss}`."
            )
        if self.gradient_penalty is not None and (self.r1_penalty is not None or self.r2_penalty is not None):
            raise ValueError(
                "`gradient_penalty` pulls the norms of the discriminator's gradients towards 1, `r1_penalty` and"
                " `r2_penalty` towards 0. Pass only one kind."
            )
        self.check_precision(self.mixed_precision)

    def check_precision(self, mixed_precision: str | None) -> None:
        """Raises a `ValueError` if an argument is not supported in the precision of the run."""
        for name in PENALTIES:
            if getattr(self, name) is not None and mixed_precision == "fp16":
                raise ValueError(
                    f"`{name}` is not supported with `mixed_precision=fp16`: its gradients are not scaled. Use `bf16`."
                )

    def check_discriminator(self, config: "DCGANDiscriminatorConfig") -> None:
        """Raises a `ValueError` if the loss or a penalty is not supported with the discriminator."""
        for name in PENALTIES:
            if getattr(self, name) is not None:
                check_images_are_separate(config.norm_type != "batch", f"`{name}`")
        if self.loss == "wasserstein" and self.gradient_penalty is None and config.norm_type != "spectral":
            raise ValueError(
                "`loss=wasserstein` requires a discriminator with bounded gradients. Use `gradient_penalty=10` without"
                """ batch normalisation, or `discriminator_config={"norm_type": "spectral"}`."""
            )

    def eval_interval(self, num_steps: int) -> int:
        """Returns the number of steps between evaluations in a run of `num_steps` steps, which ends with one."""
        if self.eval_steps is None:
            return num_steps
        return int(self.eval_steps) if self.eval_steps >= 1 else math.ceil(self.eval_steps * num_steps)


def check_images_are_separate(are_separate: bool, what: str) -> None:
    """Raises a `ValueError` for a discriminator that mixes the images of a batch, which `what` does not support."""
    if not are_separate:
        raise ValueError(
            f"{what} requires a discriminator that treats images independently, got `norm_type=batch`, which mixes"
            """ the batch. Use `group`, `spectral` or `none`: `discriminator_config={"norm_type": "spectral"}`."""
        )
