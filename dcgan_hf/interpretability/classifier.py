# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Training of an image classifier. `evaluate` uses its features to compare images unlike those of ImageNet, and `explain`
its labels to name its findings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from ..data.datasets import ImageDataset, load_from_arguments, rename_classes
from ..data.decoding import Decoder, choose_channels
from ..evaluation.images import decode_images
from ..files import replacing_files
from ..hardware import precision_of_device, relative_speed_of_bf16
from ..pictures import to_pixel_values
from ..processes import from_main_process, is_main_process
from .arguments import ClassifierArguments
from .attributes import Attributes, attribute_targets


@dataclass
class LabelledImages:
    """
    Images and their labels.

    Args:
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            Images.
        labels (`torch.LongTensor` of shape `(num_images, num_label_columns)`):
            Class of each image in each label column.
        class_names (`list[list[str]]`):
            Names of the classes in each label column.
    """

    images: torch.Tensor
    labels: torch.Tensor
    class_names: list[list[str]]


def train_classifier(args: ClassifierArguments, device: torch.device) -> dict[str, float]:
    r"""
    Trains a small ResNet from transformers with 128 features and saves it to `args.output_dir`. With several label
    columns, a single network predicts all of them, with labels named "glasses: yes", "glasses: no", "smile: yes", ...

    Args:
        args ([`ClassifierArguments`]):
            Data and training arguments.
        device (`torch.device`):
            Device to train on.

    Returns:
        `dict[str, float]`: accuracy on the test images, by label column.

    Raises:
        ValueError: if the dataset or a column does not exist.
    """
    data, train_numbers, test_numbers = _load(args)
    is_multi_label = len(data.class_names) > 1
    if is_multi_label:
        columns = dict(zip(args.label_column or [], data.class_names))
        label_names, targets = attribute_targets(data.labels, columns)
    else:
        label_names, targets = data.class_names[0], data.labels[:, 0]

    def collate(batch: list[int]) -> dict[str, torch.Tensor]:
        pixel_values = to_pixel_values(data.images[batch]).expand(-1, 3, -1, -1)
        if args.random_flip and network.training:
            flipped = torch.rand(len(batch), 1, 1, 1) < 0.5
            pixel_values = torch.where(flipped, pixel_values.flip(-1), pixel_values)
        return {"pixel_values": pixel_values, "labels": targets[batch]}

    torch.manual_seed(args.seed)
    network = _make_network(label_names, is_multi_label)
    size = {"height": args.resolution, "width": args.resolution}
    trainer = transformers.Trainer(
        network,
        _training_arguments(args, device),
        data_collator=collate,
        train_dataset=train_numbers,
        processing_class=ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3),
    )
    trainer.train()
    if is_main_process():
        with replacing_files(Path(args.output_dir)) as folder:
            trainer.save_model(str(folder))
    # Logits suffice: the largest one has the highest probability.
    predicted = Attributes(label_names, trainer.predict(test_numbers).predictions, is_multi_label)
    return {
        group: float((predicted.value(group) == column).mean())
        for group, column in zip(predicted.groups, data.labels[test_numbers].T.numpy())
    }


def _load(args: ClassifierArguments) -> tuple[LabelledImages, list[int], list[int]]:
    """Returns all images and the indices of the training and test images."""
    train = _load_split(args, args.dataset_split)
    if args.test_split is None:
        order = torch.randperm(len(train.images), generator=torch.Generator().manual_seed(args.seed)).tolist()
        return train, order[len(order) // 10 :], order[: len(order) // 10]
    test = _load_split(args, args.test_split)
    joined = LabelledImages(
        torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels]), train.class_names
    )
    order = list(range(len(joined.images)))
    return joined, order[: len(train.images)], order[len(train.images) :]


def _load_split(args: ClassifierArguments, split: str) -> LabelledImages:
    columns: Sequence[str | None] = args.label_column or [None]
    datasets = [load_from_arguments(args, split, label_column=column, with_labels=True) for column in columns]
    if args.class_names:
        datasets = [rename_classes(dataset, args.class_names) for dataset in datasets]
    decoder = Decoder(choose_channels(datasets[0]), args.resolution, args.resize_mode, 4, args.skip_bad_images)
    images, used = decode_images(_numbered(datasets[0]), decoder)
    labels = torch.tensor([dataset.dataset["label"][:] for dataset in datasets]).T
    return LabelledImages(images, labels[used], [dataset.class_names or [] for dataset in datasets])


def _numbered(image_dataset: ImageDataset) -> ImageDataset:
    """Returns the same images with their numbers as labels, which tell those that are skipped."""
    images = image_dataset.dataset.remove_columns("label")
    return replace(image_dataset, dataset=images.add_column("label", list(range(len(images)))))


def _make_network(label_names: list[str], is_multi_label: bool) -> ResNetForImageClassification:
    config = ResNetConfig(
        embedding_size=64,
        hidden_sizes=[64, 128, 128],
        depths=[1, 1, 1],
        layer_type="basic",
        id2label=dict(enumerate(label_names)),
        label2id={name: i for i, name in enumerate(label_names)},
        problem_type="multi_label_classification" if is_multi_label else "single_label_classification",
    )
    return ResNetForImageClassification(config).to(memory_format=torch.channels_last)


def _training_arguments(args: ClassifierArguments, device: torch.device) -> transformers.TrainingArguments:
    use_cpu = device.type == "cpu"
    is_faster = precision_of_device(device) == "bf16" or (use_cpu and from_main_process(relative_speed_of_bf16) > 1.2)
    return transformers.TrainingArguments(
        args.output_dir,
        num_train_epochs=args.num_epochs,
        per_device_train_batch_size=args.train_batch_size,
        per_device_eval_batch_size=500,
        learning_rate=args.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.05,
        bf16=is_faster,
        seed=args.seed,
        use_cpu=use_cpu,
        save_strategy="no",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
    )
