#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains a DCGAN.

Handwritten digits, no download, a few minutes on a laptop:

    accelerate launch scripts/train.py

A data set of the Hub or a folder of images:

    accelerate launch scripts/train.py --config dcgan_hf/recipes/celeba.yaml
    accelerate launch scripts/train.py --dataset_name ./my-photos --resolution 128 --use_ema --output_dir my-dcgan

Two processes on one machine, on CPUs (`accelerate launch --cpu --num_processes 2` would start only one) or GPUs:

    torchrun --nproc_per_node 2 scripts/train.py
    accelerate launch --multi_gpu --num_processes 2 scripts/train.py

Go on after an interruption, as if there had been none:

    accelerate launch scripts/train.py ... --resume_from_checkpoint latest

Publish the model on the Hub (`hf auth login` first):

    accelerate launch scripts/train.py ... --push_to_hub --hub_model_id my-name/my-dcgan
"""

import json
import logging
import math
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from tqdm.auto import tqdm

import dcgan_hf
from dcgan_hf import DCGANDiscriminator, DCGANGenerator, DCGANPipeline
from dcgan_hf.data.datasets import choose_images, load_image_dataset
from dcgan_hf.data.decoding import Decoder, first_image_channels
from dcgan_hf.data.loaders import (
    Shard,
    endless_batches,
    images_per_second,
    make_loader,
)
from dcgan_hf.evaluation.records import Metric, write_metrics
from dcgan_hf.hardware import describe_hardware
from dcgan_hf.model_folder import RESULTS_FILE, remove_stale_files
from dcgan_hf.pictures import save_animation
from dcgan_hf.publishing.upload import RunPublisher, write_model_page
from dcgan_hf.training.argument_checks import check_scaled_updates
from dcgan_hf.training.arguments import (
    ARCHITECTURE_ARGUMENTS,
    HARMLESS_ARGUMENTS,
    DCGANTrainingArguments,
    parse_training_arguments,
)
from dcgan_hf.training.batches import prepare_batches
from dcgan_hf.training.checkpointing import (
    TrainerState,
    checkpoint_folder,
    list_checkpoints,
    load_checkpoint,
    prepare_output_dir,
    save_checkpoint,
)
from dcgan_hf.training.cpu_convolutions import FastConvolutions
from dcgan_hf.training.diagnostics import collect_diagnostics
from dcgan_hf.training.ema import GeneratorEMA
from dcgan_hf.training.evaluation import TrainingEvaluation
from dcgan_hf.training.failures import check_finite, diagnose, diagnose_quality
from dcgan_hf.training.interruption import StopSignals
from dcgan_hf.training.results import describe_dataset, write_results
from dcgan_hf.training.running_statistics import RunningStatistics
from dcgan_hf.training.runs import end_run, start_run
from dcgan_hf.training.samples import SampleGrid, remove_later_samples
from dcgan_hf.training.setup import make_schedulers, prepare_gan
from dcgan_hf.training.update_strategies import UPDATE_STRATEGIES


logger = logging.getLogger("train")
RECIPES = Path(dcgan_hf.__file__).parent / "recipes"


def train(args: DCGANTrainingArguments, accelerator: Accelerator, output_dir: Path, resume: Path | None) -> None:
    # With what they depend on besides the flags.
    arguments = asdict(args) | {
        "mixed_precision": accelerator.mixed_precision,
        "device": accelerator.device.type,
        "num_cpu_threads": torch.get_num_threads(),
    }
    batches_of_an_update = args.gradient_accumulation_steps * args.discriminator_steps
    images_of_an_update = args.train_batch_size * batches_of_an_update * accelerator.num_processes

    # ---- the Hub ----
    repo_id = args.hub_model_id or output_dir.absolute().name
    publisher = None
    if args.push_to_hub and accelerator.is_main_process:
        publisher = RunPublisher(output_dir, repo_id, args.hub_private_repo, args.hub_license)
        repo_id = publisher.repo_id

    # ---- data ----
    with accelerator.local_main_process_first():  # which downloads, for all processes of a machine
        image_dataset = load_image_dataset(
            args.dataset_name,
            args.dataset_config_name,
            split=args.dataset_split,
            cache_dir=args.cache_dir,
            streaming=args.streaming,
            image_column=args.image_column,
            label_column=args.label_column,
            with_labels=args.class_conditional,
            class_names=args.class_names,
        )
    num_channels = arguments["num_channels"] = args.num_channels or first_image_channels(image_dataset)
    # The configs check the arguments of the networks, so they come before the work of decoding.
    generator_config, discriminator_config = args.network_configs(num_channels, image_dataset.class_names)
    decoder = Decoder(
        num_channels, args.resolution, args.resize_mode, args.dataloader_num_workers, args.skip_bad_images
    )
    evaluation = None
    if args.eval_steps is not None:
        evaluation = TrainingEvaluation(args, image_dataset, decoder, generator_config, accelerator.device)
    if args.max_train_samples is not None:
        image_dataset = choose_images(image_dataset, args.max_train_samples, args.seed)
    shard = Shard(args.train_batch_size, args.seed, accelerator.process_index, accelerator.num_processes)
    loader = make_loader(image_dataset, decoder, shard, accelerator.device, args.in_memory_gb)
    num_steps = args.max_train_steps or args.num_epochs * len(loader) // batches_of_an_update
    # A run that goes on must end where the rates were to be 0.
    arguments["lr_decay_steps"] = num_steps if args.lr_scheduler != "constant" else None
    num_images = None if args.streaming else len(image_dataset.dataset)
    dataset_facts = describe_dataset(image_dataset, args.dataset_name, num_images)
    if num_steps == 0:
        raise ValueError(f"{args.num_epochs} epoch(s) have fewer batches than an update takes: train for more.")

    # ---- networks ----
    torch.manual_seed(args.seed)
    device = accelerator.device
    generator = DCGANGenerator(generator_config).to(device, memory_format=torch.channels_last)
    discriminator = DCGANDiscriminator(discriminator_config).to(device, memory_format=torch.channels_last)
    ema = GeneratorEMA(generator, args.ema_half_life) if args.use_ema else None
    gan, optimizers = prepare_gan(args, accelerator, generator, discriminator)
    gan.augmentations, gan.discriminator_steps = args.diff_augment or [], args.discriminator_steps
    update = UPDATE_STRATEGIES[args.update_strategy]
    generator = accelerator.unwrap_model(gan.generator)
    discriminator = accelerator.unwrap_model(gan.discriminator)
    sampled_generator = generator
    if ema is not None:
        accelerator.register_for_checkpointing(ema)
        sampled_generator = ema.generator

    # ---- where to start ----
    state = TrainerState()
    if resume is not None:
        state = load_checkpoint(accelerator, resume, arguments, ARCHITECTURE_ARGUMENTS, HARMLESS_ARGUMENTS)
        if args.save_best:
            state.forget_best_unless_in(output_dir)
    schedulers = make_schedulers(args, optimizers, num_steps, state.step)

    # ---- logs ----
    # From here on nothing is wrong with the arguments, so what is left of an earlier run may be changed.
    if accelerator.is_main_process:
        prepare_output_dir(output_dir, state.step, args.overwrite_output_dir)
        remove_later_samples(output_dir / "samples", state.step)
    accelerator.wait_for_everyone()
    accelerator.init_trackers(
        "dcgan_hf", {name: value for name, value in arguments.items() if isinstance(value, bool | int | float | str)}
    )
    if accelerator.is_main_process:
        (output_dir / "training_args.json").write_text(json.dumps(arguments, indent=2) + "\n")
    grid = SampleGrid(args.eval_batch_size, args.seed, generator_config.latent_dim, generator_config.num_classes)

    logger.info("***** Running training *****")
    logger.info(f"  Runs as {describe_hardware(accelerator)}, mixed precision {accelerator.mixed_precision}")
    logger.info(f"  Images: {loader}")
    logger.info(
        f"  Parameters: generator {generator.num_parameters():,}, discriminator {discriminator.num_parameters():,}"
    )
    logger.info(f"  Images of an update: {images_of_an_update} ({args.train_batch_size} a batch)")
    logger.info(f"  Updates: {num_steps}" + (f", going on after {resume}" if resume is not None else ""))

    # ---- training ----
    statistics = RunningStatistics()
    started = time.perf_counter() - state.seconds
    progress_bar = tqdm(
        total=num_steps, initial=state.step, desc="Training", disable=not accelerator.is_main_process, smoothing=0
    )
    batches = endless_batches(loader, state.epoch, state.batch)
    diagnosis: str | None = None
    metrics: list[Metric] = []
    measured_step = None
    eval_interval = args.eval_interval(num_steps)
    patience = args.early_stopping_patience or math.inf
    ends = state.step >= num_steps or state.worse_measurements >= patience
    stops = False
    with StopSignals() as stop, FastConvolutions() if device.type == "cpu" else nullcontext():
        while not ends and not stops:
            raw_batches = []
            with statistics.waiting():
                for _ in range(batches_of_an_update):
                    state.epoch, state.batch, raw_batch = next(batches)
                    raw_batches.append(raw_batch)
            step_batches = prepare_batches(
                raw_batches,
                generator_config.latent_dim,
                args.seed,
                state.step,
                accelerator.process_index,
                accelerator.num_processes,
                args.random_flip,
                augments=args.diff_augment is not None,
                interpolates=args.gradient_penalty is not None,
            )
            statistics.add(update(gan, step_batches), num_images=images_of_an_update)
            state.step += 1
            if ema is not None:
                ema.update(generator, images_of_an_update, state.step * images_of_an_update)
            learning_rate = schedulers[0].get_last_lr()[0]
            for scheduler in schedulers:
                scheduler.step()
            progress_bar.update()

            # One process may stop at any step. Several agree on it where they exchange statistics anyway.
            stops = stop.received and accelerator.num_processes == 1
            ends = state.step == num_steps
            measures = evaluation is not None and (ends or state.step % eval_interval == 0)
            inspects = args.diagnostics_steps is not None and state.step % args.diagnostics_steps == 0
            saves = stops or ends or state.step % args.checkpointing_steps == 0
            if saves or measures or inspects or state.step % args.logging_steps == 0:
                means, stops = statistics.reduce(accelerator, stop.received)
                progress_bar.set_postfix(
                    loss_d=f"{means['discriminator_loss']:.3f}",
                    loss_g=f"{means['generator_loss']:.3f}",
                    img_s=f"{means['images_per_second']:.0f}",
                )
                networks = (generator, discriminator) if saves or stops or measures or inspects else ()
                check_finite(means, state.step, networks, partial(list_checkpoints, output_dir))
                accelerator.log(means | {"epoch": state.epoch, "learning_rate": learning_rate}, step=state.step)
                previous, diagnosis = diagnosis, diagnose(means, state.step, gan.loss.is_saturating)
                if diagnosis != previous:
                    progress_bar.clear()
                    logger.warning(f"Step {state.step}: {diagnosis or 'the networks have recovered.'}")
            with statistics.paused():
                if inspects:
                    accelerator.log(collect_diagnostics(gan, step_batches[-1]), step=state.step)
                if evaluation is not None and measures:
                    metrics, measured_step = evaluation.measure(sampled_generator), state.step
                    distance = evaluation.distance_in(metrics)
                    warning = diagnose_quality(distance.value, state.best_value, state.best_step)
                    state.note_measurement(distance.value)
                    accelerator.log({f"eval_{metric.type}": metric.value for metric in metrics}, step=state.step)
                    progress_bar.clear()
                    logger.info(f"Step {state.step}, {distance}, best {state.best_value:.4g} at {state.best_step}")
                    if warning is not None:
                        logger.warning(f"Step {state.step}: {warning}")
                    ends = ends or state.worse_measurements >= patience
                    saves = saves or ends or (args.save_best and state.best_step == state.step)
                if accelerator.is_main_process and state.step % args.save_images_steps == 0:
                    grid.save(sampled_generator, output_dir / "samples", state.step)
                if saves or stops:
                    state.seconds = time.perf_counter() - started
                    save_checkpoint(
                        accelerator, output_dir, state, arguments, args.checkpoints_total_limit, args.save_best
                    )
                    if accelerator.is_main_process:
                        seen = state.step * images_of_an_update
                        best_step = state.best_step if args.save_best else None
                        write_results(output_dir, accelerator, state, dataset_facts, seen, means, best_step)
                publishes = saves and not ends and args.hub_strategy == "every_save"
                publishes = publishes and (not args.save_best or state.best_step == state.step)
                if publisher is not None and publishes:
                    pipe = DCGANPipeline(generator=sampled_generator, discriminator=discriminator)
                    pipe.set_progress_bar_config(disable=True)
                    facts = [output_dir / "training_args.json", output_dir / RESULTS_FILE]
                    publisher.publish_in_background(pipe, facts, state.step)
        progress_bar.close()
        batches.close()

        # ---- result ----
        saved_step = state.step
        if args.save_best and state.best_step is not None:
            saved_step = state.best_step
            if saved_step != state.step:
                accelerator.load_state(str(checkpoint_folder(output_dir, saved_step)))
        if evaluation is not None and measured_step != saved_step:
            metrics = evaluation.measure(sampled_generator)
        if accelerator.is_main_process:
            last_grid = grid.save(sampled_generator, output_dir / "samples", saved_step)
            save_animation(output_dir / "samples", output_dir / "training.gif")
            # Without Accelerate's wrappers for mixed precision.
            generator = accelerator.unwrap_model(sampled_generator, keep_fp32_wrapper=False)
            discriminator = accelerator.unwrap_model(discriminator, keep_fp32_wrapper=False)
            pipe = DCGANPipeline(generator=generator, discriminator=discriminator)
            pipe.set_progress_bar_config(disable=True)
            pipe.save_pretrained(output_dir)
            remove_stale_files(output_dir)
            if metrics:
                write_metrics(metrics, output_dir)
            write_model_page(pipe, output_dir, repo_id)

    logger.info(
        f"Training alone: {statistics.training_images_per_second:,.0f} images/s;"
        f" waited for images {statistics.waiting_share:.1%} of the time"
    )
    if not args.streaming and state.step == num_steps:
        logger.info(f"Loader alone: {images_per_second(loader) * accelerator.num_processes:,.0f} images/s")
    if decoder.bad_images:
        logger.warning(f"Images that could not be read: {len(decoder.bad_images)}")
    if evaluation is not None:
        logger.info(
            f"Measuring took {evaluation.seconds / state.seconds:.1%} of the time; saved is the model of step {saved_step}"
        )
    if stops and not ends and accelerator.is_main_process:
        logger.warning(f"Stopped at step {state.step} of {num_steps}. Go on with: --resume_from_checkpoint latest")
    if accelerator.is_main_process:
        logger.info(f"Samples:  {last_grid} (their history: {output_dir / 'training.gif'})")
        logger.info(f'Pipeline: {output_dir}  ->  DCGANPipeline.from_pretrained("{output_dir}")')
        logger.info(f"Page:     {output_dir / 'README.md'}")
    if publisher is not None:
        publisher.finish(pipe, state.step)


def main(argv: list[str]) -> None:
    args: DCGANTrainingArguments = parse_training_arguments(argv, default_config=RECIPES / "digits.yaml")
    accelerator, resume = start_run(args)
    check_scaled_updates(args, accelerator.mixed_precision)
    train(args, accelerator, Path(args.output_dir), resume)
    end_run(accelerator)


if __name__ == "__main__":
    main(sys.argv[1:])
