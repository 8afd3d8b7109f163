# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Batches of uint8 images, in an order that depends only on the seed and the position.

Both loaders have the method `batches(epoch, start)`, which yields the batches of this process from the `start`-th on.
A resumed run needs nothing else. The global batches do not depend on the number of processes, except for streams: each
process reads its own part of the files, and its epochs are those of that part.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Protocol

import datasets
import numpy as np
import torch
from datasets.distributed import split_dataset_by_node
from tqdm.auto import tqdm

from ..processes import bar_options
from .datasets import ImageDataset
from .decoding import Decoder
from .seeding import derived_seed, seeded_generator


SHUFFLE_BUFFER_SIZE = 4096  # encoded images of a stream held in memory
_PREFETCHED_BATCHES = 4


@dataclass
class Shard:
    """
    Part of the data that belongs to this process.

    Args:
        batch_size (`int`):
            Batch size of one process.
        seed (`int`):
            Seed of the order.
        process_index (`int`):
            Index of this process.
        num_processes (`int`):
            Total number of processes.
    """

    batch_size: int
    seed: int
    process_index: int = 0
    num_processes: int = 1

    def batch_indices(self, num_images: int, epoch: int, start: int) -> Iterator[torch.Tensor]:
        """Yields the image indices of this process' batches. An incomplete global batch is dropped."""
        order = torch.randperm(num_images, generator=seeded_generator(self.seed, "order", epoch))
        total_batch_size = self.batch_size * self.num_processes
        for batch in range(start, num_images // total_batch_size):
            first = batch * total_batch_size + self.process_index * self.batch_size
            yield order[first : first + self.batch_size]

    def batches_per_epoch(self, num_images: int) -> int:
        """Returns the number of batches per epoch. Raises a `ValueError` if there are none."""
        total_batch_size = self.batch_size * self.num_processes
        if num_images < total_batch_size:
            raise ValueError(
                f"The dataset has {num_images} images, which do not fill a batch of {total_batch_size}"
                f" (`train_batch_size={self.batch_size}` times {self.num_processes} process(es)). Use smaller batches."
            )
        return num_images // total_batch_size


class ResidentLoader:
    r"""
    Loader that keeps a decoded dataset as one uint8 tensor on the training device. A batch costs one indexing
    operation.

    Args:
        images (`torch.ByteTensor` of shape `(num_images, num_channels, height, width)`):
            The images.
        labels (`torch.LongTensor` of shape `(num_images,)` or `(num_images, num_attributes)`, *optional*):
            Their labels, -1 for a missing value of an attribute.
        shard ([`Shard`]):
            Part of the data that belongs to this process.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor | None, shard: Shard):
        self.images = images
        self.labels = labels
        self.shard = shard
        shard.batches_per_epoch(len(images))

    def __len__(self) -> int:
        """Returns the number of batches per epoch."""
        return self.shard.batches_per_epoch(len(self.images))

    def __str__(self) -> str:
        return f"{len(self.images):,} of shape {tuple(self.images.shape[1:])}, decoded and on {self.images.device}"

    @classmethod
    def decode(
        cls, image_dataset: ImageDataset, decoder: Decoder, shard: Shard, device: torch.device
    ) -> "ResidentLoader":
        """Decodes a dataset once, with a progress bar."""
        dataset = image_dataset.dataset
        shape = (len(dataset), decoder.num_channels, decoder.resolution, decoder.resolution)
        images, labels, kept = np.empty(shape, np.uint8), [], 0
        progress_bar = tqdm(total=len(dataset), desc="Decoding images", unit="img", **bar_options())
        for start in range(0, len(dataset), 1024):
            examples = _examples(dataset, range(start, min(start + 1024, len(dataset))))
            arrays = [array for future in decoder.submit(examples) for array in future.result()]
            for example, array in zip(examples, arrays):
                if array is not None:
                    images[kept] = array
                    labels.append(example.get("label"))
                    kept += 1
            progress_bar.update(len(examples))
        progress_bar.close()
        class_labels = torch.tensor(labels, device=device) if image_dataset.has_labels else None
        return cls(torch.from_numpy(images[:kept]).to(device), class_labels, shard)

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yields `pixel_values` (uint8) and, with labels, `class_labels`."""
        for indices in self.shard.batch_indices(len(self.images), epoch, start):
            indices = indices.to(self.images.device, non_blocking=True)
            batch = {"pixel_values": self.images[indices]}
            if self.labels is not None:
                batch["class_labels"] = self.labels[indices]
            yield batch


class DecodingLoader:
    r"""
    Loader that decodes images during training, for streams and datasets that do not fit in memory. An unreadable image
    is replaced by another one of its batch.

    Args:
        image_dataset ([`ImageDataset`]):
            The dataset.
        decoder ([`Decoder`]):
            Converts examples to arrays.
        shard ([`Shard`]):
            Part of the data that belongs to this process.
        device (`torch.device`):
            Training device.
    """

    def __init__(self, image_dataset: ImageDataset, decoder: Decoder, shard: Shard, device: torch.device):
        self.dataset = image_dataset.dataset
        self.has_attributes = image_dataset.attributes is not None
        self.decoder = decoder
        self.shard = shard
        self.device = device
        self.is_streaming = isinstance(self.dataset, datasets.IterableDataset)
        if not self.is_streaming:
            shard.batches_per_epoch(len(self.dataset))

    def __len__(self) -> int:
        """Returns the number of batches per epoch. Raises a `TypeError` for a stream."""
        return self.shard.batches_per_epoch(len(self.dataset))

    def __str__(self) -> str:
        number = "streamed" if self.is_streaming else f"{len(self.dataset):,}"
        shape = (self.decoder.num_channels, self.decoder.resolution, self.decoder.resolution)
        return f"{number}, decoded to shape {shape} by {self.decoder.num_workers} threads during training"

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yields `pixel_values` (uint8) and, with labels, `class_labels`."""
        raw_batches = self._stream(epoch, start) if self.is_streaming else self._read(epoch, start)
        for examples, futures in in_background(raw_batches, lambda batch: (batch, self.decoder.submit(batch))):
            arrays = [array for future in futures for array in future.result()]
            good = [i for i, array in enumerate(arrays) if array is not None]
            if not good:
                raise ValueError(f"None of the {len(arrays)} images of a batch can be read.")
            chosen = [i if arrays[i] is not None else good[i % len(good)] for i in range(len(arrays))]
            images = torch.from_numpy(np.stack([arrays[i] for i in chosen]))
            batch = {"pixel_values": images.to(self.device)}
            if "label" in examples[0]:
                labels = [examples[i]["label"] for i in chosen]
                if not self.has_attributes and any(label is None or label < 0 for label in labels):
                    raise ValueError(f"Some images of a batch have no class: their labels are {labels}.")
                batch["class_labels"] = torch.tensor(labels, device=self.device)
            yield batch

    def _read(self, epoch: int, start: int) -> Iterator[list[dict]]:
        for indices in self.shard.batch_indices(len(self.dataset), epoch, start):
            yield _examples(self.dataset, indices.tolist())

    def _stream(self, epoch: int, start: int) -> Iterator[list[dict]]:
        # One input shard at a time: datasets waits 5 s for its reading threads whenever an iterator is closed.
        seed = derived_seed(self.shard.seed, "order", epoch)
        shuffled = self.dataset.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER_SIZE, max_buffer_input_shards=1)
        # Each process reads its share of the files, or of the images if the files cannot be split equally.
        own = split_dataset_by_node(shuffled, self.shard.process_index, self.shard.num_processes)
        stream = enumerate(own)
        for number in count():
            batch = list(islice(stream, self.shard.batch_size))
            if len(batch) < self.shard.batch_size:
                if number == 0:
                    share = f" for process {self.shard.process_index}" if self.shard.num_processes > 1 else ""
                    raise ValueError(
                        f"The stream has {len(batch)} images{share}, which do not fill a batch of"
                        f" {self.shard.batch_size}. Use smaller batches."
                    )
                return
            if number >= start:
                yield [example | {"index": index} for index, example in batch]


def make_loader(
    image_dataset: ImageDataset,
    decoder: Decoder,
    shard: Shard,
    device: torch.device,
    in_memory_gb: float,
) -> ResidentLoader | DecodingLoader:
    """Returns a [`ResidentLoader`] if the decoded dataset fits in `in_memory_gb`, else a [`DecodingLoader`]."""
    if isinstance(image_dataset.dataset, datasets.Dataset):
        shard.batches_per_epoch(len(image_dataset.dataset))  # fails before decoding
        num_bytes = len(image_dataset.dataset) * decoder.num_channels * decoder.resolution**2
        if num_bytes <= in_memory_gb * 1e9:
            return ResidentLoader.decode(image_dataset, decoder, shard, device)
    return DecodingLoader(image_dataset, decoder, shard, device)


def _examples(dataset: datasets.Dataset, indices: range | list[int]) -> list[dict[str, Any]]:
    columns = dataset[indices]
    rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return [row | {"index": index} for row, index in zip(rows, indices)]


def in_background(items: Iterator, work: Callable[[Any], Any]) -> Iterator:
    """Iterates over `items` in a thread, a few ahead of the consumer, and yields `work(item)` for each."""
    results: queue.Queue = queue.Queue(_PREFETCHED_BATCHES)
    stopped = threading.Event()
    end = object()

    def put(result: Any) -> None:
        while not stopped.is_set():
            try:
                return results.put(result, timeout=0.1)
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                put(work(item))
            put(end)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=produce, name="read", daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not end:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stopped.set()
        thread.join()


class Loader(Protocol):
    """Source of the batches of an epoch, from a given batch on."""

    def __len__(self) -> int:
        """Returns the number of batches per epoch. Raises a `TypeError` for a stream."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]: ...


def endless_batches(
    loader: Loader, epoch: int = 0, batch: int = 0
) -> Generator[tuple[int, int, dict[str, torch.Tensor]]]:
    """Yields the epoch, the number of its batches used so far, and the next batch, from the given position on."""
    while True:
        for raw_batch in loader.batches(epoch, batch):
            batch += 1
            yield epoch, batch, raw_batch
        epoch, batch = epoch + 1, 0


def images_per_second(loader: Loader, seconds: float = 2.0) -> float:
    """Measures the throughput of a loader over some seconds, without training."""
    num_images, batches = 0, endless_batches(loader)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        num_images += len(next(batches)[2]["pixel_values"])
    batches.close()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return num_images / (time.perf_counter() - started)
