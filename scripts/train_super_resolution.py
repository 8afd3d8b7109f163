#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains a DCGAN that makes images larger.

Two photographs that ship with scikit-learn, twice as large, no download, a minute or two on a laptop:

    accelerate launch scripts/train_super_resolution.py

A data set of the Hub, or a folder of photographs, of which small ones are made:

    accelerate launch scripts/train_super_resolution.py --config dcgan_hf/recipes/celeba_x4.yaml
    accelerate launch scripts/train_super_resolution.py --dataset_name ./my-photos --resolution 96 --scale_factor 4
        --warmup_steps 10000 --adversarial_loss_weight 0.01 --feature_matching_loss_weight 0.1 --output_dir my-x4

Several processes, going on after an interruption and publishing are as in scripts/train.py.
"""

import json
import logging
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
from dcgan_hf import DCGANDiscriminator, DCGANSuperResolutionGenerator, DCGANSuperResolutionPipeline
from dcgan_hf.data.datasets import choose_images, load_image_dataset
from dcgan_hf.data.decoding import first_image_channels
from dcgan_hf.data.loaders import Shard, endless_batches
from dcgan_hf.evaluation.features import perceptual_features
from dcgan_hf.hardware import describe_hardware
from dcgan_hf.model_folder import RESULTS_FILE, remove_stale_files
from dcgan_hf.publishing.upload import RunPublisher, write_model_page
from dcgan_hf.training.arguments import ARCHITECTURE_ARGUMENTS, HARMLESS_ARGUMENTS, parse_training_arguments
from dcgan_hf.training.checkpointing import (
    TrainerState,
    list_checkpoints,
    load_checkpoint,
    prepare_output_dir,
    save_checkpoint,
)
from dcgan_hf.training.cpu_convolutions import FastConvolutions
from dcgan_hf.training.ema import GeneratorEMA
from dcgan_hf.training.failures import check_finite, diagnose
from dcgan_hf.training.interruption import StopSignals
from dcgan_hf.training.results import describe_dataset, write_results
from dcgan_hf.training.running_statistics import RunningStatistics
from dcgan_hf.training.runs import end_run, start_run
from dcgan_hf.training.samples import UpscaledGrid, remove_later_samples
from dcgan_hf.training.setup import make_schedulers, prepare_gan
from dcgan_hf.training.super_resolution import (
    adversarial_update,
    make_super_resolution_loader,
    pixel_update,
    prepare_super_resolution_batches,
)
from dcgan_hf.training.super_resolution_arguments import SuperResolutionTrainingArguments


logger = logging.getLogger("train_super_resolution")
RECIPES = Path(dcgan_hf.__file__).parent / "recipes"
EXAMPLE = Path("images", "comparison.png")  # which the model's page shows


def train(
    args: SuperResolutionTrainingArguments, accelerator: Accelerator, output_dir: Path, resume: Path | None
) -> None:
    # With what they depend on besides the flags.
    arguments = asdict(args) | {
        "mixed_precision": accelerator.mixed_precision,
        "device": accelerator.device.type,
        "num_cpu_threads": torch.get_num_threads(),
    }
    images_of_an_update = args.train_batch_size * args.gradient_accumulation_steps * accelerator.num_processes

    # ---- the Hub ----
    repo_id = args.hub_model_id or output_dir.absolute().name
    publisher = None
    if args.push_to_hub and accelerator.is_main_process:
        publisher = RunPublisher(output_dir, repo_id, args.hub_private_repo, args.hub_license)
        repo_id = publisher.repo_id

    # ---- data ----
    load = partial(
        load_image_dataset,
        args.dataset_name,
        args.dataset_config_name,
        split=args.dataset_split,
        cache_dir=args.cache_dir,
        streaming=args.streaming,
    )
    with accelerator.local_main_process_first():  # which downloads, for all processes of a machine
        image_dataset = load(image_column=args.image_column)
        small_dataset = load(image_column=args.low_resolution_column) if args.low_resolution_column else None
        weights = args.loss_weights()
        if args.perceptual_features is not None:
            weights.perceptual_features = perceptual_features(args.perceptual_features, accelerator.device)
    if args.max_train_samples is not None:
        image_dataset = choose_images(image_dataset, args.max_train_samples, args.seed)
        if small_dataset is not None:
            small_dataset = choose_images(small_dataset, args.max_train_samples, args.seed)
    num_channels = arguments["num_channels"] = args.num_channels or first_image_channels(image_dataset)
    # The configs check the arguments of the networks, so they come before the work of decoding.
    generator_config, discriminator_config = args.network_configs(num_channels)
    shard = Shard(args.train_batch_size, args.seed, accelerator.process_index, accelerator.num_processes)
    loader = make_super_resolution_loader(args, image_dataset, small_dataset, num_channels, shard, accelerator.device)
    degradation = args.degradation()
    num_steps = args.max_train_steps or args.num_epochs * len(loader) // args.gradient_accumulation_steps
    # A run that goes on must end where the rates were to be 0.
    arguments["lr_decay_steps"] = num_steps if args.lr_scheduler != "constant" else None
    num_images = None if args.streaming else len(image_dataset.dataset)
    dataset_facts = describe_dataset(image_dataset, args.dataset_name, num_images)
    if num_steps == 0:
        raise ValueError(f"{args.num_epochs} epoch(s) have fewer batches than an update takes: train for more.")

    # ---- networks ----
    torch.manual_seed(args.seed)
    device = accelerator.device
    generator = DCGANSuperResolutionGenerator(generator_config).to(device, memory_format=torch.channels_last)
    discriminator = DCGANDiscriminator(discriminator_config).to(device, memory_format=torch.channels_last)
    ema = GeneratorEMA(generator, args.ema_half_life) if args.use_ema else None
    gan, optimizers = prepare_gan(args, accelerator, generator, discriminator)
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
    schedulers = make_schedulers(args, optimizers, num_steps, state.step, args.warmup_steps)

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
    # The first images of the first epoch, again and again.
    first = prepare_super_resolution_batches([next(loader.batches(0))], degradation, args.seed, 0)[0]
    grid = UpscaledGrid(first.pixel_values, first.small_pixel_values, args.eval_batch_size)

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
    ends = state.step >= num_steps
    stops = False
    with StopSignals() as stop, FastConvolutions() if device.type == "cpu" else nullcontext():
        while not ends and not stops:
            raw_batches = []
            with statistics.waiting():
                for _ in range(args.gradient_accumulation_steps):
                    state.epoch, state.batch, raw_batch = next(batches)
                    raw_batches.append(raw_batch)
            step_batches = prepare_super_resolution_batches(
                raw_batches,
                degradation,
                args.seed,
                state.step,
                accelerator.process_index,
                accelerator.num_processes,
                args.random_flip,
            )
            trains_discriminator = args.is_adversarial and state.step >= args.warmup_steps
            update = adversarial_update if trains_discriminator else pixel_update
            statistics.add(update(gan, step_batches, weights), num_images=images_of_an_update)
            state.step += 1
            if ema is not None:
                ema.update(generator, images_of_an_update, state.step * images_of_an_update)
            learning_rate = schedulers[0].get_last_lr()[0]
            for scheduler in schedulers if trains_discriminator else schedulers[:1]:
                scheduler.step()
            progress_bar.update()

            # One process may stop at any step. Several agree on it where they exchange statistics anyway.
            stops = stop.received and accelerator.num_processes == 1
            ends = state.step == num_steps
            saves = stops or ends or state.step % args.checkpointing_steps == 0
            if saves or state.step % args.logging_steps == 0:
                means, stops = statistics.reduce(accelerator, stop.received)
                progress_bar.set_postfix(
                    psnr=f"{means['psnr']:.2f}",
                    bicubic=f"{means['bicubic_psnr']:.2f}",
                    img_s=f"{means['images_per_second']:.0f}",
                )
                networks = (generator, discriminator) if saves or stops else ()
                check_finite(means, state.step, networks, partial(list_checkpoints, output_dir))
                accelerator.log(means | {"epoch": state.epoch, "learning_rate": learning_rate}, step=state.step)
                if "discriminator_loss" in means:
                    previous, diagnosis = diagnosis, diagnose(means, state.step, gan.loss.is_saturating)
                    if diagnosis != previous:
                        progress_bar.clear()
                        logger.warning(f"Step {state.step}: {diagnosis or 'the networks have recovered.'}")
            with statistics.paused():
                if accelerator.is_main_process and state.step % args.save_images_steps == 0:
                    grid.save(sampled_generator, output_dir / "samples" / f"step-{state.step:07d}.png")
                if saves or stops:
                    state.seconds = time.perf_counter() - started
                    save_checkpoint(accelerator, output_dir, state, arguments, args.checkpoints_total_limit)
                    if accelerator.is_main_process:
                        seen = state.step * images_of_an_update
                        write_results(output_dir, accelerator, state, dataset_facts, seen, means)
                if publisher is not None and saves and not ends and args.hub_strategy == "every_save":
                    pipe = DCGANSuperResolutionPipeline(
                        sampled_generator, discriminator if args.is_adversarial else None
                    )
                    picture = grid.save(sampled_generator, output_dir / EXAMPLE)
                    facts = [output_dir / "training_args.json", output_dir / RESULTS_FILE, picture]
                    publisher.publish_in_background(pipe, facts, state.step)
        progress_bar.close()
        batches.close()

        # ---- result ----
        if accelerator.is_main_process:
            last_grid = grid.save(sampled_generator, output_dir / "samples" / f"step-{state.step:07d}.png")
            # Without Accelerate's wrappers for mixed precision.
            generator = accelerator.unwrap_model(sampled_generator, keep_fp32_wrapper=False)
            discriminator = accelerator.unwrap_model(discriminator, keep_fp32_wrapper=False)
            pipe = DCGANSuperResolutionPipeline(generator, discriminator if args.is_adversarial else None)
            pipe.save_pretrained(output_dir)
            remove_stale_files(output_dir)
            grid.save(sampled_generator, output_dir / EXAMPLE)
            write_model_page(pipe, output_dir, repo_id)

    logger.info(
        f"Training alone: {statistics.training_images_per_second:,.0f} images/s;"
        f" waited for images {statistics.waiting_share:.1%} of the time"
    )
    if stops and not ends and accelerator.is_main_process:
        logger.warning(f"Stopped at step {state.step} of {num_steps}. Go on with: --resume_from_checkpoint latest")
    if accelerator.is_main_process:
        logger.info(f"Samples:  {last_grid}")
        logger.info(f'Pipeline: {output_dir}  ->  DCGANSuperResolutionPipeline.from_pretrained("{output_dir}")')
        logger.info(f"Page:     {output_dir / 'README.md'}")
    if publisher is not None:
        publisher.finish(pipe, state.step)


def main(argv: list[str]) -> None:
    args = parse_training_arguments(argv, RECIPES / "photos_x2.yaml", SuperResolutionTrainingArguments)
    accelerator, resume = start_run(args)
    train(args, accelerator, Path(args.output_dir), resume)
    end_run(accelerator)


if __name__ == "__main__":
    main(sys.argv[1:])
