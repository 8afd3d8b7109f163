# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Callbacks with the interface of transformers: they observe a run and can control it."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import PIL.Image
import transformers
from tqdm.auto import tqdm
from transformers.utils import is_in_notebook

from ..data.bad_images import first_reasons
from ..hardware import describe_hardware
from ..model_folder import ANIMATION_FILE, CARD_FILE, SAMPLES_FOLDER
from ..processes import bar_options
from .arguments import TrainingArguments
from .checkpointing import TrainerState
from .failures import diagnose, diagnose_quality
from .length import describe_duration
from .samples import sample_path
from .trackers import log_image


logger = logging.getLogger(__name__)

# The duration of a run is estimated from the speed after some steps to warm up, over seconds or, if sooner, steps.
_WARM_UP_STEPS, _TIMED_SECONDS, _TIMED_STEPS = 20, 10, 200


@dataclass
class TrainerControl:
    """
    Switches of the training loop. Callbacks must set them identically in all processes.

    Args:
        should_training_stop (`bool`, *optional*, defaults to `False`):
            Whether to end training, with a checkpoint. Several processes stop at the next log entry.
        should_log (`bool`, *optional*, defaults to `False`):
            Whether to write a log entry after this update.
        should_evaluate (`bool`, *optional*, defaults to `False`):
            Whether to evaluate after this update. Requires `eval_steps`.
        should_sample (`bool`, *optional*, defaults to `False`):
            Whether to save a sample grid after this update.
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
    Base class of callbacks. Of the methods of [`~transformers.TrainerCallback`], a trainer calls `on_train_begin`,
    `on_step_end`, `on_log` (with `logs`), `on_evaluate` (with `metrics`), `on_save` (with `checkpoint`) and
    `on_train_end`, in every process. It also calls `on_sample`, in the main process only. All methods receive `args`,
    `state`, `control` and, by keyword, the `trainer`.

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
        """Event after a sample grid was saved, in the main process only. Switches set here have no effect."""


class ProgressCallback(TrainerCallback):
    """Progress bar over the updates, with the latest statistics."""

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
    """Warnings about a failing run, see [`diagnose`], [`diagnose_classes`] and [`diagnose_quality`]."""

    diagnosis: str | None = None
    of_samples: str | None = None
    best: tuple[float | None, int | None] = (None, None)

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        self.diagnosis = self.of_samples = None
        self.best = state.best_value, state.best_step

    def on_log(self, args: Any, state: TrainerState, control: Any, logs: Any = None, **kwargs: Any) -> None:
        is_saturating = kwargs["trainer"].engine.gan.loss.is_saturating
        previous, self.diagnosis = self.diagnosis, diagnose(logs, state.step, is_saturating)
        if self.diagnosis != previous:
            logger.warning(f"Step {state.step}: {self.diagnosis or 'the networks have recovered.'}")

    def on_sample(self, args: Any, state: TrainerState, control: Any, image: Any = None, **kwargs: Any) -> None:
        trainer = kwargs["trainer"]
        warning = trainer.task.diagnose_samples(trainer.engine.sampled_generator, state.step)
        if warning not in (None, self.of_samples):
            logger.warning(f"Step {state.step}: {warning}")
        self.of_samples = warning

    def on_evaluate(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        evaluation = kwargs["trainer"].task.evaluation
        warning = None
        if not evaluation.greater_is_better:
            warning = diagnose_quality(kwargs["score"].value, *self.best)
        if warning is not None:
            logger.warning(f"Step {state.step}: {warning}")
        self.best = state.best_value, state.best_step


class TrackerImageCallback(TrainerCallback):
    """Sample grids for the trackers that display images."""

    def on_sample(self, args: Any, state: TrainerState, control: Any, image: Any = None, **kwargs: Any) -> None:
        log_image(kwargs["trainer"].accelerator.trackers, "samples", image, state.step)


class NotebookCallback(TrainerCallback):
    """The latest sample grid in the output of a notebook cell, in place of the previous one."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.display: Any = None

    def on_sample(self, args: Any, state: TrainerState, control: Any, image: Any = None, **kwargs: Any) -> None:
        from IPython.display import display

        if self.display is None:
            self.display = display(image, display_id=True)
        else:
            self.display.update(image)


class MessageCallback(TrainerCallback):
    """Messages about the setup, the speed and the output files of a run."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: Any, **kwargs: Any) -> None:
        trainer = kwargs["trainer"]
        engine, accelerator, resumed_from = trainer.engine, trainer.accelerator, trainer.resumed_from
        parameters = [
            sum(values.numel() for values in network.parameters())
            for network in (engine.generator, engine.discriminator)
        ]
        logger.info("***** Running training *****")
        logger.info(f"  Hardware: {describe_hardware(accelerator)}, mixed precision {accelerator.mixed_precision}")
        logger.info(f"  Images: {trainer.loader}")
        logger.info(f"  Parameters: generator {parameters[0]:,}, discriminator {parameters[1]:,}")
        logger.info(f"  Images per update: {engine.images_per_update} (batch size {args.train_batch_size})")
        going_on = f", resuming from {resumed_from}" if resumed_from is not None else ""
        logger.info(f"  Updates: {state.max_steps:,}{going_on}")
        if trainer.task.augmentations:
            logger.info(f"  Augmentations: {', '.join(trainer.task.augmentations)}")
        self.first_step, self.started = state.step + _WARM_UP_STEPS, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        steps, now = state.step - self.first_step, time.perf_counter()
        if steps == 0:
            self.started = now
        if self.started and steps > 0 and (steps == _TIMED_STEPS or now - self.started >= _TIMED_SECONDS):
            rest = describe_duration((now - self.started) / steps * (state.max_steps - state.step))
            logger.info(f"Training will take another {rest}, plus sampling and saving. It can be stopped and resumed.")
            self.started = 0.0  # told

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: Any, **kwargs: Any) -> None:
        trainer = kwargs["trainer"]
        statistics, task = trainer.statistics, trainer.task
        if statistics.training_images_per_second:  # 0 if a finished run was resumed
            logger.info(
                f"Training speed: {statistics.training_images_per_second:,.0f} images/s, excluding time spent waiting"
                f" for images ({statistics.waiting_share:.1%})"
            )
        if task.bad_images:
            logger.warning(f"Bad images skipped: {len(task.bad_images)}, {first_reasons(sorted(task.bad_images))}")
        if task.evaluation is not None:
            share = task.evaluation.seconds / state.seconds
            logger.info(f"Evaluation took {share:.1%} of the time; saved the model of step {trainer.saved_step}")
        if not state.is_world_process_zero:
            return
        weakness = task.diagnose_result(trainer.pipeline.generator, trainer.means, state.step)
        if weakness is not None:
            logger.warning(weakness)
        if trainer.was_stopped:
            logger.warning(
                f"Stopped at step {state.step} of {state.max_steps}. Resume with: --resume_from_checkpoint latest"
            )
        folder, name = trainer.output_dir, type(trainer.pipeline).__name__
        last_sample = sample_path(folder / SAMPLES_FOLDER, trainer.saved_step)
        logger.info(f"Samples:  {last_sample} (history: {folder / ANIMATION_FILE})")
        logger.info(f'Pipeline: {folder}  ->  {name}.from_pretrained("{folder}")')
        logger.info(f"Card:     {folder / CARD_FILE}")


def default_callbacks() -> list[TrainerCallback]:
    """Returns the callbacks of every trainer."""
    callbacks = [ProgressCallback(), FailureCallback(), TrackerImageCallback(), MessageCallback()]
    return [*callbacks, NotebookCallback()] if is_in_notebook() else callbacks
