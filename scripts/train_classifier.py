#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains an image classifier on a labelled data set, in whose features scripts/evaluate.py compares images that are not like
ImageNet's:

    python scripts/train_classifier.py --dataset_name zalando-datasets/fashion_mnist --resolution 32 --resize_mode pad
    python scripts/evaluate.py dcgan-fashion-mnist --dataset_name zalando-datasets/fashion_mnist --features classifier

With several label columns it is one network that knows all of them, whose labels are called "glasses: yes", "glasses: no",
"smile: yes", ...:

    python scripts/train_classifier.py --dataset_name procedural_faces --resolution 64 --label_column glasses smile hat

It is a small ResNet of transformers with 128 features.
"""

import argparse
import sys
from pathlib import Path

import torch
from diffusers.image_processor import VaeImageProcessor
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments, ViTImageProcessor

from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder, first_image_channels
from dcgan_hf.data.loaders import ResidentLoader, Shard
from dcgan_hf.hardware import cores_of_a_process, default_mixed_precision, keep_freed_memory
from dcgan_hf.interpretability.attributes import Attributes, attribute_targets


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Trains an image classifier.", allow_abbrev=False)
    parser.add_argument("--dataset_name", default="digits", help="A labelled data set: as for scripts/train.py.")
    parser.add_argument("--dataset_config_name", help="Configuration of the data set, if it has several.")
    parser.add_argument("--dataset_split", default="train", help="Images to train with.")
    parser.add_argument("--test_split", help="Images that the accuracy is measured on. By default a tenth, left out.")
    parser.add_argument("--image_column", help="Column of the images, if there are several.")
    parser.add_argument(
        "--label_column", nargs="+", help="Column of the labels, if there are several; or several of them."
    )
    parser.add_argument(
        "--class_names", nargs="+", help="Names of the classes of one label column. By default those of the data set."
    )
    parser.add_argument("--resolution", type=int, default=32, help="Width and height of the images in pixels.")
    parser.add_argument("--resize_mode", choices=["crop", "pad"], default="crop", help="How images become square.")
    parser.add_argument("--num_epochs", type=int, default=12)
    parser.add_argument("--train_batch_size", type=int, default=128)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--random_flip", action="store_true", help="Mirror half of the images.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, default=Path("classifier"), help="Folder for the classifier.")
    parser.add_argument("--use_cpu", action="store_true", help="Use the CPU even if there is a GPU.")
    args = parser.parse_args(argv)
    label_columns = args.label_column or [None]
    if len(set(label_columns)) != len(label_columns):
        raise ValueError(f"`label_column` must be different columns, got {label_columns}.")
    if args.class_names and len(label_columns) > 1:
        raise ValueError(f"`class_names` are for one `label_column`, got {len(label_columns)} of them.")
    use_cpu = args.use_cpu or not torch.accelerator.is_available()
    if use_cpu:
        torch.set_num_threads(cores_of_a_process())
        keep_freed_memory()

    # ---- data ----
    def load(split: str) -> tuple[torch.Tensor, torch.Tensor, list[list[str]]]:
        """Images, their labels in each column, and the names of the classes in each column."""
        image_datasets = [
            load_image_dataset(
                args.dataset_name,
                args.dataset_config_name,
                split=split,
                image_column=args.image_column,
                label_column=label_column,
                with_labels=True,
                class_names=args.class_names,
            )
            for label_column in label_columns
        ]
        num_channels = first_image_channels(image_datasets[0])
        decoder = Decoder(num_channels, args.resolution, args.resize_mode, num_workers=4, skip_bad_images=False)
        decoded = ResidentLoader.decode(image_datasets[0], decoder, Shard(1, args.seed), torch.device("cpu"))
        labels = torch.tensor([image_dataset.dataset["label"][:] for image_dataset in image_datasets]).T
        return decoded.images, labels, [image_dataset.class_names or [] for image_dataset in image_datasets]

    images, labels, class_names = load(args.dataset_split)
    # Numbers of images: those to train with, those to test with.
    if args.test_split:
        test_images, test_labels, _ = load(args.test_split)
        order = list(range(len(images) + len(test_images)))
        train_numbers, test_numbers = order[: len(images)], order[len(images) :]
        images, labels = torch.cat([images, test_images]), torch.cat([labels, test_labels])
    else:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(args.seed)).tolist()
        train_numbers, test_numbers = order[len(order) // 10 :], order[: len(order) // 10]
    is_multi_label = len(label_columns) > 1
    if is_multi_label:
        label_names, targets = attribute_targets(labels, dict(zip(label_columns, class_names)))
    else:
        label_names, targets = class_names[0], labels[:, 0]

    def collate(batch: list[int]) -> dict[str, torch.Tensor]:
        pixel_values = VaeImageProcessor.normalize(images[batch].float() / 255).expand(-1, 3, -1, -1)
        if args.random_flip and network.training:
            flipped = torch.rand(len(batch), 1, 1, 1) < 0.5
            pixel_values = torch.where(flipped, pixel_values.flip(-1), pixel_values)
        return {"pixel_values": pixel_values, "labels": targets[batch]}

    # ---- training ----
    torch.manual_seed(args.seed)
    network = ResNetForImageClassification(
        ResNetConfig(
            embedding_size=64,
            hidden_sizes=[64, 128, 128],
            depths=[1, 1, 1],
            layer_type="basic",
            id2label=dict(enumerate(label_names)),
            label2id={name: i for i, name in enumerate(label_names)},
            problem_type="multi_label_classification" if is_multi_label else "single_label_classification",
        )
    ).to(memory_format=torch.channels_last)
    size = {"height": args.resolution, "width": args.resolution}
    processor = ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    trainer = Trainer(
        network,
        TrainingArguments(
            str(args.output_dir),
            num_train_epochs=args.num_epochs,
            per_device_train_batch_size=args.train_batch_size,
            per_device_eval_batch_size=500,
            learning_rate=args.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,
            weight_decay=0.05,
            bf16=default_mixed_precision(use_cpu) == "bf16",
            seed=args.seed,
            use_cpu=use_cpu,
            save_strategy="no",
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            report_to="none",
        ),
        data_collator=collate,
        train_dataset=train_numbers,
        processing_class=processor,
    )
    trainer.train()
    trainer.save_model()

    # ---- accuracy ----
    # Of logits, the largest of which has the largest probability.
    predicted = Attributes(label_names, trainer.predict(test_numbers).predictions, is_multi_label)
    accuracies = {
        group: float((predicted.value(group) == column).mean())
        for group, column in zip(predicted.groups, labels[test_numbers].T.numpy())
    }
    print(f"Accuracy: {sum(accuracies.values()) / len(accuracies):.1%} of {len(test_numbers):,} images.", end=" ")
    if is_multi_label:
        print("By label:", ", ".join(f"{group} {accuracy:.1%}" for group, accuracy in accuracies.items()), end=". ")
    print(f"Classifier: {args.output_dir}")


if __name__ == "__main__":
    main(sys.argv[1:])
