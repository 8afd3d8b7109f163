# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
One process of a training on several, started by torchrun: a real trainer, whose weights are compared at the end. Its
words are the file of training arguments, the number of batches to draw, and the file for the result.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import disable_progress_bars

from ..processes import is_main_process
from ..training.callbacks import TrainerCallback
from ..training.generation import DCGANTrainer
from ..training.generation_arguments import DCGANTrainingArguments
from .precisions import draw_images
from .whole_runs import as_dataset


class CompareWeights(TrainerCallback):
    """Callback that compares the weights of all processes when training ends."""

    are_equal = False

    def on_train_end(self, args: Any, state: Any, control: Any, trainer: DCGANTrainer, **kwargs: Any) -> None:
        networks = (trainer.engine.generator, trainer.engine.discriminator)
        parameters = [parameter.detach().flatten() for network in networks for parameter in network.parameters()]
        everyone = trainer.accelerator.gather(torch.cat(parameters)[None])
        self.are_equal = bool((everyone == everyone[0]).all())


def main(plan: str, num_batches: str, result: str) -> None:
    """Trains, and writes the result in the main process."""
    disable_progress_bars()
    args = DCGANTrainingArguments(**json.loads(Path(plan).read_text()))
    images = draw_images(int(num_batches) * args.train_batch_size, args.resolution)
    comparison = CompareWeights()
    trainer = DCGANTrainer(args, train_dataset=as_dataset(images), callbacks=[comparison])
    trainer.train()
    if is_main_process():
        found = {"images_per_second": trainer.means["images_per_second"], "are_equal": comparison.are_equal}
        Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
