# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Imports of large libraries, with fewer runs of the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


# Objects that are created before the collector runs; 700 to 2,000 by default, depending on Python.
OBJECTS_PER_COLLECTION = 50_000


@contextmanager
def quick_imports() -> Iterator[None]:
    """Lets the garbage collector run less often in the block. torch, transformers and diffusers create hundreds of
    thousands of objects that stay: looking through them over and over takes a seventh of the time of their import."""
    thresholds = gc.get_threshold()
    gc.set_threshold(OBJECTS_PER_COLLECTION, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
