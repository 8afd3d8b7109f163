#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains a DCGAN for super-resolution: `dcgan train-super-resolution` for launchers. `--help` lists all flags.

    accelerate launch scripts/train_super_resolution.py                   # photographs, x2, a minute on a laptop
    accelerate launch scripts/train_super_resolution.py --config div2k_x4
    accelerate launch scripts/train_super_resolution.py --dataset_name ./my-photos --scale_factor 2 --output_dir my-x2
    torchrun --nproc_per_node 2 scripts/train_super_resolution.py
    accelerate launch scripts/train_super_resolution.py ... --resume_from_checkpoint latest

The loop is that of scripts/train.py. Only the task differs (`dcgan_hf/training/super_resolution.py`):

    args = DCGANSuperResolutionTrainingArguments(...)
    task = SuperResolutionTask(args)                # crops: data/crops.py; low-resolution images: data/degradation.py
    engine = Engine(args, accelerator, task)
    while step < max_steps:
        batches = task.prepare(next(loader), step)  # pairs of high- and low-resolution images
        if task.trains_discriminator(step):         # after `--warmup_steps`
            adversarial_update(engine.gan, batches, weights)
        else:
            pixel_update(engine.gan, batches, weights)      # both: training/super_resolution_updates.py
"""

import sys

from dcgan_hf.cli.main import main


if __name__ == "__main__":
    sys.exit(main(["train-super-resolution", *sys.argv[1:]]))
