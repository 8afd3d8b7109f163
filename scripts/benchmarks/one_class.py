#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Separates one class of a dataset from the others, to train on the latter and then go on with the former:

    python scripts/benchmarks/one_class.py "Ankle boot" fashion --dataset_name /usr/share/datasets/fashion-mnist

Writes the folders `one` (training and test images of the class) and `others` (training images of the other classes).
"""

import argparse
import sys
from pathlib import Path

import datasets

from dcgan_hf.data.datasets import load_image_dataset


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Separates one class of a dataset from the others.")
    parser.add_argument("class_name", help="Name of the class.")
    parser.add_argument("output_dir", type=Path, help="Folder for the two datasets.")
    parser.add_argument("--dataset_name", default="zalando-datasets/fashion_mnist", help="Dataset with classes.")
    args = parser.parse_args(argv)

    splits = {
        split: load_image_dataset(args.dataset_name, split=split, with_labels=True) for split in ("train", "test")
    }
    of_class = datasets.DatasetDict()
    for split, images in splits.items():
        names = images.class_names or []
        if args.class_name not in names:
            raise ValueError(f"`class_name={args.class_name}` must be one of {', '.join(names)}.")
        class_id = names.index(args.class_name)
        is_of_class = [label == class_id for label in images.dataset["label"]]
        of_class[split] = images.dataset.select([i for i, belongs in enumerate(is_of_class) if belongs])
        if split == "train":
            others = images.dataset.select([i for i, belongs in enumerate(is_of_class) if not belongs])
            others.save_to_disk(args.output_dir / "others")
    of_class.save_to_disk(args.output_dir / "one")


if __name__ == "__main__":
    main(sys.argv[1:])
