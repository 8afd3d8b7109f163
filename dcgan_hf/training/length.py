# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Length of a run in updates, and in time."""

import datasets

from ..data.loaders import Loader
from .arguments import TrainingArguments
from .task import Task


# The images of a DCGAN depend on the number of updates: 4 epochs of 500 images would be 125 updates, and grey noise.
_DEFAULT_STEPS = 10_000
_DEFAULT_EPOCHS = 4


def number_of_steps(args: TrainingArguments, task: Task, loader: Loader, num_processes: int) -> int:
    r"""
    Returns the number of updates of a run.

    Args:
        args ([`TrainingArguments`]):
            Training arguments.
        task ([`Task`]):
            Kind of training, after `load`.
        loader ([`Loader`]):
            Source of the batches.
        num_processes (`int`):
            Number of processes.

    Raises:
        ValueError: if the epochs are too short for an update, or unknown.
    """
    dataset = task.image_dataset.dataset
    is_stream = isinstance(dataset, datasets.IterableDataset)
    if args.max_train_steps is not None:
        return args.max_train_steps
    if args.num_epochs is None:
        images_per_update = args.train_batch_size * task.batches_per_update * num_processes
        steps_of_epochs = 0 if is_stream else _DEFAULT_EPOCHS * len(dataset) // images_per_update
        return max(_DEFAULT_STEPS, steps_of_epochs)
    if is_stream:
        raise ValueError(f"`num_epochs={args.num_epochs}`: an epoch of a stream is unknown. Use `max_train_steps`.")
    num_steps = args.num_epochs * len(loader) // task.batches_per_update
    if num_steps == 0:
        raise ValueError(f"`num_epochs={args.num_epochs}` gives fewer batches than one update takes. Increase it.")
    return num_steps


def describe_duration(seconds: float) -> str:
    """Returns a duration in words, such as "4 minutes" or "1.5 hours"."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"
