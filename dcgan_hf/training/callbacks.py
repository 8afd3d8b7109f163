# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Callbacks, as transformers has them: what a trainer tells others while it runs, and what they can ask of it."""

import logging
from dataclasses import dataclass
from typing import Any

import PIL.Image
import transformers
from tqdm.auto import tqdm
from transformers.utils import is_in_notebook

from ..data.loaders import images_per_second
from ..hardware import describe_hardware
from ..model_folder import ANIMATION_FILE, CARD_FILE, SAMPLES_FOLDER
from ..processes import bar_options
from .arguments import TrainingArguments
from .checkpointing import TrainerState
from .failures import diagnose, diagnose_quality
from .samples import sample_path
from .trackers import log_image


logger = logging.getLogger(__name__)


@dataclass
class TrainerControl:
    """
    Switches of the training loop. Callbacks set them, in all processes alike.

    Args:
        should_training_stop (`bool`, *optional*, defaults to `False`):
            Whether to end training, with a checkpoint. Several processes stop at the next entry in the log.
        should_log (`bool`, *optional*, defaults to `False`):
            Whether to write an entry into the log after this update.
        should_evaluate (`bool`, *optional*, defaults to `False`):
            Whether to measure after this update. Needs `eval_steps`.
        should_sample (`bool`, *optional*, defaults to `False`):
            Whether to draw a sample grid after this update.
        should_save (`bool`, *optional*, defaults to `False`):
            Whether to write a checkpoint after this update.
    """

    should_training_stop: bool = False
    should_log: bool = False
    should_evaluate: bool = False
    should_sample: bool = False
    should_save: bool = False


class TrainerCallback(transformers.TrainerCallback):
    r"""
    Base of callbacks. It has the methods of [`~transformers.TrainerCallback`], of which a trainer calls `on_train_begin`,
    `on_step_end`, `on_log` (with `logs`), `on_evaluate` (with `metrics`), `on_save` (with `checkpoint`) and `on_train_end`,
    and one more, `on_sample`. All get `args`, `state`, `control` and, by name, the `trainer`. They are called in each
    process.

    Example:

    ```python
    >>> from dcgan_hf import TrainerCallback

    >>> class StopWhenGood(TrainerCallback):
    ...     def on_evaluate(self, args, state, control, metrics=None, **kwargs):
    ...         control.should_training_stop = metrics["eval_frechet_distance"] < 20
    ```
    """

    def on_sample(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        image: PIL.Image.Image | None = None,
        **kwargs: Any,
    ) -> None:
        """Called in the main process after a sample grid was drawn."""


class ProgressCallback(TrainerCallback):
    """Progress bar of the updates, with the latest statistics."""

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        self.progress_bar = tqdm(
            total=state.max_steps, initial=state.step, desc="Training", smoothing=0, **bar_options()
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.progress_bar.update()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, trainer: Any = None, **kwargs: Any
    ) -> None:
        self.progress_bar.set_postfix(trainer.task.progress(logs) | {"img_s": f"{logs['images_per_second']:.0f}"})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.progress_bar.close()


class FailureCallback(TrainerCallback):
    """Warnings when the log shows how a GAN fails, see [`diagnose`] and [`diagnose_quality`]."""

    diagnosis: str | None = None
    best: tuple[float | None, int | None] = (None, None)

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        self.diagnosis, self.best = None, (state.best_value, state.best_step)

    def on_log(self, args: Any, state: TrainerState, control: Any, logs: Any = None, **kwargs: Any) -> None:
        is_saturating = kwargs["trainer"].engine.gan.loss.is_saturating
        previous, self.diagnosis = self.diagnosis, diagnose(logs, state.step, is_saturating)
        if self.diagnosis != previous:
            logger.warning(f"Step {state.step}: {self.diagnosis or 'the networks have recovered.'}")

    def on_evaluate(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        evaluation = kwargs["trainer"].task.evaluation
        warning = None
        if not evaluation.greater_is_better:
            warning = diagnose_quality(kwargs["score"].value, *self.best)
        if warning is not None:
            logger.warning(f"Step {state.step}: {warning}")
        self.best = state.best_value, state.best_step


class TrackerImageCallback(TrainerCallback):
    """Sample grids for the trackers that show pictures."""

    def on_sample(self, args: Any, state: TrainerState, control: Any, image: Any = None, **kwargs: Any) -> None:
        log_image(kwargs["trainer"].accelerator.trackers, "samples", image, state.step)


class NotebookCallback(TrainerCallback):
    """The latest sample grid in the output of a notebook's cell, in place of the one before."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.display: Any = None

    def on_sample(self, args: Any, state: TrainerState, control: Any, image: Any = None, **kwargs: Any) -> None:
        from IPython.display import display

        if self.display is None:
            self.display = display(image, display_id=True)
        else:
            self.display.update(image)


class MessageCallback(TrainerCallback):
    """Messages about what a run works on, what it cost, and what it leaves behind."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: Any, **kwargs: Any) -> None:
        trainer = kwargs["trainer"]
        engine, accelerator, resumed_from = trainer.engine, trainer.accelerator, trainer.resumed_from
        parameters = [
            sum(values.numel() for values in network.parameters())
            for network in (engine.generator, engine.discriminator)
        ]
        logger.info("***** Running training *****")
        logger.info(f"  Runs as {describe_hardware(accelerator)}, mixed precision {accelerator.mixed_precision}")
        logger.info(f"  Images: {trainer.loader}")
        logger.info(f"  Parameters: generator {parameters[0]:,}, discriminator {parameters[1]:,}")
        logger.info(f"  Images of an update: {engine.images_per_update} ({args.train_batch_size} a batch)")
        going_on = f", going on after {resumed_from}" if resumed_from is not None else ""
        logger.info(f"  Updates: {state.max_steps}{going_on}")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: Any, **kwargs: Any) -> None:
        trainer = kwargs["trainer"]
        statistics, task = trainer.statistics, trainer.task
        logger.info(
            f"Training alone: {statistics.training_images_per_second:,.0f} images/s;"
            f" waited for images {statistics.waiting_share:.1%} of the time"
        )
        if not args.streaming and state.step == state.max_steps:
            seconds = min(2.0, 0.1 * state.seconds)
            speed = images_per_second(trainer.loader, seconds) * trainer.accelerator.num_processes
            logger.info(f"Loader alone: {speed:,.0f} images/s")
        if task.bad_images:
            logger.warning(f"Images that could not be read: {len(task.bad_images)}")
        if task.evaluation is not None:
            share = task.evaluation.seconds / state.seconds
            logger.info(f"Measuring took {share:.1%} of the time; saved is the model of step {trainer.saved_step}")
        if not state.is_world_process_zero:
            return
        if trainer.was_stopped:
            logger.warning(
                f"Stopped at step {state.step} of {state.max_steps}. Go on with: --resume_from_checkpoint latest"
            )
        folder, name = trainer.output_dir, type(trainer.pipeline).__name__
        last_sample = sample_path(folder / SAMPLES_FOLDER, trainer.saved_step)
        logger.info(f"Samples:  {last_sample} (their history: {folder / ANIMATION_FILE})")
        logger.info(f'Pipeline: {folder}  ->  {name}.from_pretrained("{folder}")')
        logger.info(f"Card:     {folder / CARD_FILE}")


def default_callbacks() -> list[TrainerCallback]:
    """Returns the callbacks that each trainer has."""
    callbacks = [ProgressCallback(), FailureCallback(), TrackerImageCallback(), MessageCallback()]
    return [*callbacks, NotebookCallback()] if is_in_notebook() else callbacks
