#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains a DCGAN: `dcgan train` for launchers. All flags: `python scripts/train.py --help`.

    accelerate launch scripts/train.py                                # handwritten digits, a few minutes on a laptop
    accelerate launch scripts/train.py --config celeba                # a recipe, see `dcgan recipes`
    accelerate launch scripts/train.py --dataset_name ./my-photos --resolution 128 --output_dir my-dcgan
    accelerate launch scripts/train.py ... --resume_from_checkpoint latest
    accelerate launch scripts/train.py ... --push_to_hub --hub_model_id my-name/my-dcgan

Two processes on one machine, on CPUs (`accelerate launch --cpu --num_processes 2` would start only one) or GPUs:

    torchrun --nproc_per_node 2 scripts/train.py
    accelerate launch --multi_gpu --num_processes 2 scripts/train.py

The loop, in outline (`dcgan_hf/training/trainer.py`, and `engine.py` for an update):

    args = DCGANTrainingArguments(...)              # flags, described in training/arguments.py
    task = GenerationTask(args)                     # specific to image generation: training/generation.py
    loader = task.load(...)                         # uint8 images on the device: data/loaders.py
    engine = Engine(args, accelerator, task)        # networks, optimizers, loss, EMA: training/engine.py
    while step < max_steps:
        batches = task.prepare(next(loader), step)  # pixels in [-1, 1], latents: training/batches.py
        statistics = update(engine.gan, batches)    # both networks: training/updates.py, training/losses.py
        ema.update(generator)                       # training/ema.py
        callbacks.on_step_end(...)                  # then log, evaluate, sample, save when due: training/callbacks.py
    trainer.pipeline.save_pretrained(output_dir)    # with its model card: publishing/card.py
"""

import sys

from dcgan_hf.cli.main import main


if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
