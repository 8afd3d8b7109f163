# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loading benchmark: throughput of the loaders alone, on JPEG images of CelebA's size, and memory use of streams."""

import io
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import psutil
import torch
from datasets import Dataset, Features, Image, load_dataset

from dcgan_hf.benchmarks.records import markdown_table
from dcgan_hf.data.datasets import ImageDataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.data.loaders import DecodingLoader, ResidentLoader, Shard, images_per_second


def encoded_images(number: int) -> Dataset:
    """Returns blurred JPEG images of 178x218 pixels, which are as easy to decode as photographs."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(number):
        file = io.BytesIO()
        pixels = PIL.Image.fromarray(rng.integers(0, 256, (14, 11, 3), np.uint8))
        pixels.resize((178, 218), PIL.Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        rows.append({"bytes": file.getvalue(), "path": None})
    return Dataset.from_dict({"image": rows}, features=Features({"image": Image(decode=False)}))


def stream_memory(folder: Path, num_files: int, resolution: int) -> tuple[int, int]:
    """Reads a stream of files. Returns its number of images and the increase of this process' memory in bytes."""
    process = psutil.Process()
    before = process.memory_info().rss
    files = sorted(str(path) for path in folder.glob("*.parquet"))[:num_files]
    stream = load_dataset("parquet", data_files=files, split="train", streaming=True, cache_dir=str(folder))
    decoder = Decoder(3, resolution, "crop", 4, skip_bad_images=False)
    loader = DecodingLoader(ImageDataset(stream, None), decoder, Shard(128, seed=0), torch.device("cpu"))
    num_images, peak = 0, before
    for batch in loader.batches(0):
        num_images += len(batch["pixel_values"])
        peak = max(peak, process.memory_info().rss)
    return num_images, peak - before


def loading_benchmark(resolution: int, stream_files: list[int], device: torch.device) -> list[dict[str, Any]]:
    """
    Measures the images per second of a dataset decoded once and of one decoded during training, and the memory use of
    streams of several lengths (files of 1,024 images), each in a separate process.
    """
    dataset, results = encoded_images(1024), []
    for num_workers in (1, 2, 4):
        decoder = Decoder(3, resolution, "crop", num_workers, skip_bad_images=False)
        loader = DecodingLoader(ImageDataset(dataset, None), decoder, Shard(128, seed=0), device)
        name = f"decoded while training, {num_workers} thread{'s' * (num_workers > 1)}"
        results.append({"loader": name, "images_per_second": images_per_second(loader)})
    resident = ResidentLoader.decode(ImageDataset(dataset, None), decoder, Shard(128, seed=0), device)
    results.append({"loader": "decoded once", "images_per_second": images_per_second(resident)})
    with tempfile.TemporaryDirectory() as folder:
        for number in range(max(stream_files)):
            dataset.to_parquet(f"{folder}/{number:02d}.parquet")
        for num_files in stream_files:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                num_images, num_bytes = pool.submit(stream_memory, Path(folder), num_files, resolution).result()
            results.append({"loader": f"stream of {num_images:,} images", "memory_bytes": num_bytes})
    return results


def loading_table(results: list[dict[str, Any]]) -> str:
    """Returns a table of the results."""
    rows = []
    for row in results:
        speed = f"{row['images_per_second']:,.0f}" if "images_per_second" in row else ""
        memory = f"{row['memory_bytes'] / 1e6:,.0f} MB" if "memory_bytes" in row else ""
        rows.append([row["loader"], speed, memory])
    return markdown_table(["loader", "images/s", "memory"], rows)
