# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Imports of large libraries, while the garbage collector waits."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Lets the garbage collector wait during the block. torch, transformers and diffusers create hundreds of thousands of
    objects that stay: looking through them over and over takes a sixth of the time of their import."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            # Together, these move all objects to the oldest generation without looking at them. Otherwise, the next
            # three collections would look through all.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
