# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Random numbers that depend on the seed and the step alone.

A run that draws from one long stream cannot be resumed exactly unless every consumer of that stream is restored too
(creating a `DataLoader` iterator consumes some, for instance). Here each step has its own short stream, so nothing
needs to be restored.
"""

import numpy as np
import torch


# What the numbers are for. The values are part of what a seed means: never change one.
PURPOSES = {
    "latents": 0,
    "flips": 1,
    "order": 2,
    "samples": 3,
    "augmentation": 4,
    "interpolation": 5,
    "subset": 6,
    "crops": 7,
    "degradation": 8,
    "faces": 9,
}


def derived_seed(seed: int, purpose: str, index: int) -> int:
    """The seed for one purpose at one step (or epoch), see [`seeded_generator`]."""
    state = np.random.SeedSequence([seed, PURPOSES[purpose], index]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seeded_generator(seed: int, purpose: str, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    r"""
    A random number generator for one purpose at one step (or epoch).

    Args:
        seed (`int`):
            Seed of the run.
        purpose (`str`):
            A key of `PURPOSES`. Different purposes have independent random numbers.
        index (`int`):
            Step or epoch.
        device (`torch.device`, *optional*, defaults to `"cpu"`):
            Device that the numbers are drawn on.
    """
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose, index))
