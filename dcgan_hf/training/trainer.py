# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
The training loop. A [`Task`] defines the kind of training; an [`Engine`] performs the updates.

    read images -> engine.update: batches -> networks -> EMA -> learning rates -> log -> evaluate -> sample -> save
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Unpack

import transformers
from diffusers import DiffusionPipeline
from tqdm.contrib.logging import logging_redirect_tqdm

from ..data.loaders import endless_batches
from ..evaluation.records import Metric, by_name, check_place_for_metrics, write_metrics
from ..model_folder import (
    ANIMATION_FILE,
    ARGUMENTS_FILE,
    RESULTS_FILE,
    SAMPLES_FOLDER,
    remove_stale_files,
    write_json,
)
from ..pictures import save_animation, save_picture
from ..processes import connected_processes, is_main_process
from ..publishing.upload import Publication, RunPublisher, publish_pipeline, update_card, write_model_page
from .arguments import TrainingArguments
from .callbacks import TrainerCallback, TrainerControl, default_callbacks
from .checkpointing import (
    TrainerState,
    checkpoint_folder,
    find_checkpoint,
    list_checkpoints,
    load_best,
    load_checkpoint,
    prepare_output_dir,
    save_checkpoint,
)
from .diagnostics import collect_diagnostics
from .engine import Engine, Parts, check_parts, own_shard
from .failures import check_finite, keeping_progress
from .length import number_of_steps
from .networks import Networks, OwnNetwork, check_others_can_load, given_networks
from .parents import check_one_start, follow_parent
from .results import effective_arguments, facts_of_start, kinds_on_resume, replace_recipe, write_results
from .running_statistics import RunningStatistics
from .samples import draw_for_card, sample_path
from .session import Session, StopSignals, session
from .task import Dataset, Task
from .trackers import start_trackers
from .tuning import tune
from .updates import UpdateStrategy


logger = logging.getLogger(__name__)


class Trainer:
    """Base class of the trainers, which differ only in their task. See [`DCGANTrainer`] for the arguments."""

    arguments_class: ClassVar[type[TrainingArguments]]
    pipeline_class: ClassVar[type[DiffusionPipeline]]

    def __init__(
        self,
        args: TrainingArguments | None = None,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        pipeline: DiffusionPipeline | None = None,
        callbacks: Sequence[transformers.TrainerCallback] = (),
        **parts: Unpack[Parts],
    ):
        check_parts(parts)
        self.args = args or self.arguments_class()
        self.networks, self.loss = parts.get("networks"), parts.get("loss")
        self.update, self.optimizers = parts.get("update"), parts.get("optimizers")
        check_one_start(self.args, pipeline, self.networks, self.pipeline_class)
        if train_dataset is not None and eval_dataset is None and self.args.eval_split is not None:
            raise ValueError(
                f"`eval_split={self.args.eval_split}` has no effect with `train_dataset`. Pass it as `eval_dataset`."
            )
        self.train_dataset = train_dataset
        self.eval_dataset = eval_dataset
        self.parent = pipeline
        self.own_parts = [name for name in Parts.__annotations__ if parts.get(name) is not None]
        self.callbacks = [*default_callbacks(), *callbacks]
        self.output_dir = Path(self.args.output_dir)
        self.state = TrainerState()
        self._pipeline: DiffusionPipeline | None = None

    def make_task(self, networks: Networks | None, update: UpdateStrategy | None) -> Task:
        """Makes the task that defines this kind of training."""
        raise NotImplementedError

    def train(self, resume_from_checkpoint: bool | str | Path | None = None) -> TrainerState:
        r"""
        Trains, saves the pipeline with its model card in `output_dir` and, with `push_to_hub`, publishes it. Restores
        the global state of the process at the end, so that another run can follow.

        Args:
            resume_from_checkpoint (`bool`, `str` or `Path`, *optional*):
                Checkpoint to resume from: `True` or `"latest"` for the newest in `output_dir`, a name, or a path. By
                default `args.resume_from_checkpoint`.

        Returns:
            [`TrainerState`]: progress at the end of the run.

        Raises:
            ValueError: if arguments, data or networks are incompatible. Files of an earlier run are left untouched.
            FloatingPointError: if training diverges. Existing checkpoints are kept.
        """
        wanted = resume_from_checkpoint if resume_from_checkpoint is not None else self.args.resume_from_checkpoint
        if wanted and self.args.overwrite_output_dir:
            raise ValueError(
                "`overwrite_output_dir` would delete the checkpoint of `resume_from_checkpoint`. Pass only one."
            )
        resume = find_checkpoint(self.output_dir, "latest" if wanted is True else str(wanted)) if wanted else None
        if wanted and resume is None:
            logger.warning(f"No checkpoint to resume from in {str(self.output_dir)!r}; training starts from scratch.")
        with session(self.args, resume) as run:
            self._prepare(run, resume)
            with StopSignals() as self.stop, logging_redirect_tqdm():
                self._loop()
                self._finish()
            del self.engine, self.accelerator
        return self.state

    @property
    def pipeline(self) -> DiffusionPipeline:
        """The trained pipeline. With `use_ema`, its generator is the exponential moving average."""
        if self._pipeline is None:
            raise RuntimeError("No pipeline is available yet: call `train` first.")
        return self._pipeline

    def save_model(self, output_dir: str | Path | None = None) -> None:
        """Saves the pipeline (default: in `args.output_dir`), with a model card unless a network is a plain module."""
        folder = Path(output_dir or self.output_dir)
        self.pipeline.save_pretrained(folder)
        if self._has_card:
            write_model_page(self.pipeline, folder, self._repo_id)

    def push_to_hub(self, commit_message: str | None = None, token: str | None = None) -> str:
        r"""
        Publishes pipeline, model card and metrics of the run, but no checkpoints, logs or private arguments.

        Args:
            commit_message, token (`str`, *optional*):
                Commit message, and access token, by default the one of `hf auth login`.

        Returns:
            `str`: URL of the commit.
        """
        check_others_can_load(self.pipeline.components.values())
        publication = Publication(commit_message, self.args.hub_private_repo or None, token)
        return publish_pipeline(self.pipeline, self.output_dir, self._repo_id, publication)

    @property
    def was_stopped(self) -> bool:
        """True if a signal or a callback ended the run before its last update."""
        return self.control.should_training_stop and not self.ends

    @property
    def _has_card(self) -> bool:
        return not any(isinstance(network, OwnNetwork) for network in self.pipeline.components.values())

    @property
    def _repo_id(self) -> str:
        return self.args.hub_model_id or self.output_dir.absolute().name

    def evaluate(self) -> dict[str, float]:
        r"""
        Evaluates the trained pipeline as `eval_steps` does during training, and adds the metrics to `metrics.json` and
        the model card in `output_dir`.

        Returns:
            `dict[str, float]`: metrics by name, such as `"eval_frechet_distance"`.
        """
        with connected_processes(self.args.use_cpu, self.args.num_cpu_threads) as device:
            generator = self.pipeline.to(device).generator
            evaluation = self.task.evaluation or self.task.make_evaluation(device)
            metrics = evaluation.measure(generator)
            if is_main_process():
                write_metrics(metrics, self.output_dir)
                if self._has_card:
                    update_card(self.pipeline, self.output_dir)
        return by_name(metrics)

    def _prepare(self, run: Session, resume: Path | None) -> None:
        """Opens the data, makes or loads the networks and, once all checks have passed, prepares folder and logs."""
        self.args, parent = follow_parent(self.args, self.parent, self.pipeline_class, resume)
        args, processes = self.args, run.processes
        self.publisher = None
        if args.push_to_hub:
            check_others_can_load(given_networks(self.networks))
        if args.push_to_hub and processes.is_main_process:
            self.publisher = RunPublisher(self.output_dir, self._repo_id, args.hub_private_repo, args.hub_license)
        self.task = self.make_task(self.networks if parent is None else parent, self.update)
        shard = own_shard(args, processes)
        self.loader = self.task.load(shard, processes.device, self.train_dataset, self.eval_dataset)
        num_steps = number_of_steps(args, self.task, self.loader, processes.num_processes)
        tuning = tune(args, self.task, shard, processes.device, resume)
        accelerator = self.accelerator = run.start(tuning.mixed_precision)
        self.engine = Engine(args, accelerator, self.task, self.loss, self.optimizers, tuning.convolutions)

        self.arguments = effective_arguments(args, accelerator, self.task, num_steps)
        self.arguments |= {"convolutions": tuning.convolutions}
        if self.train_dataset is not None:
            self.arguments["dataset_name"] = None
        self.state = TrainerState()
        if resume is not None:
            fixed, free = kinds_on_resume(self.arguments_class, resume)
            self.state = load_checkpoint(accelerator, resume, self.arguments, fixed, free)
            if args.save_best:
                self.state.forget_best_unless_in(self.output_dir)
            if self.state.step >= num_steps:
                logger.warning(f"Nothing left to train: {resume} is at step {self.state.step} of {num_steps}.")
        self.state.max_steps = num_steps
        self.engine.start(num_steps, self.state.step)
        named = self.train_dataset is None
        self.facts = facts_of_start(
            self.task.image_dataset, self.arguments_class, self.arguments, self.own_parts, named
        )

        if self.task.evaluation is not None:
            check_place_for_metrics(self.output_dir)
        # All checks have passed. Only now may files of an earlier run be changed.
        if accelerator.is_main_process:
            prepare_output_dir(self.output_dir, self.state.step, args.overwrite_output_dir)
            write_json(self.arguments, self.output_dir / ARGUMENTS_FILE)
        accelerator.wait_for_everyone()
        start_trackers(accelerator, self.arguments)
        self.task.start_samples(self.loader, shard)
        self.resumed_from, self.first_step = resume, self.state.step

    def _loop(self) -> None:
        """Runs the updates. After each one, logs, evaluates, samples and saves as due."""
        args, state, engine = self.args, self.state, self.engine
        self.statistics = RunningStatistics()
        self.metrics: list[Metric] = []
        self.means: dict[str, float] = {}
        self.measured_step: int | None = None
        self.control, self.wants_stop = TrainerControl(), False
        self.started = time.perf_counter() - state.seconds
        self.patience = args.early_stopping_patience or math.inf
        self.ends = state.step >= state.max_steps or state.worse_measurements >= self.patience
        self._call("on_train_begin")
        batches = endless_batches(self.loader, state.epoch, state.batch)
        while not self.ends and not self.control.should_training_stop:
            with self.statistics.waiting(), keeping_progress(self._save_progress):
                taken = list(islice(batches, self.task.batches_per_update))
            state.epoch, state.batch, _ = taken[-1]
            statistics = engine.update([raw_batch for *_, raw_batch in taken], state.step)
            self.statistics.add(statistics, num_images=engine.images_per_update)
            state.step += 1
            self._decide()
            if self.control.should_log:
                self._log()
            with self.statistics.paused():
                if self._is_due(args.diagnostics_steps):
                    self.accelerator.log(collect_diagnostics(engine.gan, engine.batches[-1]), step=state.step)
                if self.control.should_evaluate and self.task.evaluation is not None:
                    self._evaluate()
                if self.control.should_sample and self.accelerator.is_main_process:
                    self._sample(state.step)
                if self.control.should_save or self.control.should_training_stop:
                    self._save()
        batches.close()

    def _save_progress(self) -> list[Path]:
        """Saves updates since the last checkpoint, unless several processes had to agree on it. Returns all."""
        is_saved = self.state.step == 0 or checkpoint_folder(self.output_dir, self.state.step).exists()
        if not is_saved and self.accelerator.num_processes == 1:
            if not self.control.should_log:
                self._log()
            self._save()
        return list_checkpoints(self.output_dir)

    def _is_due(self, steps: int | None) -> bool:
        return steps is not None and self.state.step % steps == 0

    def _decide(self) -> None:
        """Sets the switches for the actions after this update."""
        args, state = self.args, self.state
        self.ends = state.step == state.max_steps
        control = self.control = TrainerControl(
            should_log=self._is_due(args.logging_steps) or self._is_due(args.diagnostics_steps),
            should_evaluate=self.ends or self._is_due(args.eval_interval(state.max_steps)),
            should_sample=self._is_due(args.save_images_steps),
            should_save=self.ends or self._is_due(args.checkpointing_steps),
        )
        self._call("on_step_end")
        self.wants_stop |= self.stop.received or control.should_training_stop
        # A single process may stop at any step. Several agree on it when they reduce the statistics anyway.
        control.should_training_stop = self.wants_stop and self.accelerator.num_processes == 1
        control.should_evaluate &= self.task.evaluation is not None
        control.should_save |= control.should_training_stop
        control.should_log |= control.should_save or control.should_evaluate

    def _log(self) -> None:
        """Logs the means since the last entry, and ends a run that has diverged."""
        state, control, engine = self.state, self.control, self.engine
        means, stops = self.statistics.reduce(self.accelerator, self.wants_stop)
        control.should_training_stop |= stops
        matters = control.should_save or control.should_training_stop or control.should_evaluate
        matters = matters or self._is_due(self.args.diagnostics_steps)
        networks = (engine.generator, engine.discriminator) if matters else ()
        check_finite(means, state.step, networks, partial(list_checkpoints, self.output_dir))
        self.means = means
        logs = means | {"epoch": state.epoch, "learning_rate": engine.learning_rate}
        self.accelerator.log(logs, step=state.step)
        self._call("on_log", logs=logs)

    def _evaluate(self) -> None:
        """Evaluates the generator and compares it with the best one so far."""
        state, control, evaluation = self.state, self.control, self.task.evaluation
        assert evaluation is not None
        self.metrics, self.measured_step = evaluation.measure(self.engine.sampled_generator), state.step
        score = evaluation.score(self.metrics)
        state.note_measurement(score.value, evaluation.greater_is_better)
        values = by_name(self.metrics)
        self.accelerator.log(values, step=state.step)
        logger.info(f"Step {state.step}: {score}; best so far {state.best_value:.4g} at step {state.best_step}")
        self._call("on_evaluate", metrics=values, score=score)
        self.ends = self.ends or state.worse_measurements >= self.patience
        control.should_save |= self.ends or (self.args.save_best and state.best_step == state.step)

    def _sample(self, step: int) -> None:
        image = self.task.draw(self.engine.sampled_generator)
        save_picture(image, sample_path(self.output_dir / SAMPLES_FOLDER, step))
        control = replace(self.control)
        self._call("on_sample", image=image)
        self.control = control  # ignores switches set here: the other processes do not see them

    def _save(self) -> None:
        """Writes a checkpoint and the results so far and, if requested, publishes the current model."""
        args, state, accelerator = self.args, self.state, self.accelerator
        state.seconds = time.perf_counter() - self.started
        limit = args.checkpoints_total_limit
        save_checkpoint(accelerator, self.output_dir, state, self.arguments, limit, args.save_best)
        if accelerator.is_main_process:
            self.facts |= {
                "num_images_seen": state.step * self.engine.images_per_update,
                "statistics": self.means,
                "best_step": state.best_step if args.save_best else None,
            }
            write_results(self.output_dir, accelerator, state, self.facts)
        self._call("on_save", checkpoint=checkpoint_folder(self.output_dir, state.step))
        is_wanted = not args.save_best or state.best_step == state.step
        if self.publisher is not None and args.hub_strategy == "every_save" and is_wanted and not self.ends:
            pipe = self.task.make_pipeline(self.engine.sampled_generator, self.engine.discriminator)
            files = [self.output_dir / name for name in (ARGUMENTS_FILE, RESULTS_FILE)]
            files += draw_for_card(pipe, partial(self.task.draw, pipe.generator), self.output_dir)
            self.publisher.publish_in_background(pipe, files, state.step)

    def _finish(self) -> None:
        """Saves the pipeline of the last or best step, reports, and publishes."""
        args, state, accelerator, engine = self.args, self.state, self.accelerator, self.engine
        saved_step = self.saved_step = state.step
        if args.save_best and state.best_step not in (None, state.step):
            saved_step = self.saved_step = load_best(accelerator, self.output_dir, state)
        # Without Accelerate's mixed-precision wrappers.
        networks = (
            accelerator.unwrap_model(network, keep_fp32_wrapper=False).eval()
            for network in (engine.sampled_generator, engine.discriminator)
        )
        self._pipeline = self.task.make_pipeline(*networks)
        if self.task.evaluation is not None and self.measured_step != saved_step:
            self.metrics = self.task.evaluation.measure(self._pipeline.generator)
        if accelerator.is_main_process:
            sample = sample_path(self.output_dir / SAMPLES_FOLDER, saved_step)
            if self.first_step == state.step:  # a finished run, whose arguments may have changed, see `Task.finish`
                sample.unlink(missing_ok=True)
                replace_recipe(self.output_dir, self.facts["recipe"])
            if not sample.is_file():
                self._sample(saved_step)
            save_animation(self.output_dir / SAMPLES_FOLDER, self.output_dir / ANIMATION_FILE)
            self._pipeline.set_progress_bar_config(disable=True)
            remove_stale_files(self.output_dir)
            if self.metrics:
                write_metrics(self.metrics, self.output_dir)
            draw_for_card(self._pipeline, partial(self.task.draw, self._pipeline.generator), self.output_dir)
            self.save_model()
        self._call("on_train_end")
        if self.publisher is not None:
            self.publisher.finish(self._pipeline, state.step)

    def _call(self, event: str, **facts: Any) -> None:
        """Calls an event of all callbacks. Those of transformers have no `on_sample`."""
        for callback in self.callbacks:
            if event != "on_sample" or isinstance(callback, TrainerCallback):
                getattr(callback, event)(self.args, self.state, self.control, trainer=self, **facts)
