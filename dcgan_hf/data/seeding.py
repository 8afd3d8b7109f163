# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Random numbers that depend only on the seed and the step.

A run with one long random stream can be resumed exactly only if every consumer of the stream is restored, too (for
instance, creating a `DataLoader` iterator consumes numbers). Here each step has its own short stream, so nothing needs
to be restored.
"""

import numpy as np
import torch


# Uses of random numbers. The values are part of the meaning of a seed: never change one.
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
    "combinations": 10,
    "attributes": 11,
    "wrong labels": 12,
    "contrast": 13,
    "quarter turns": 14,
    "reductions": 15,
}


def derived_seed(seed: int, purpose: str, index: int) -> int:
    """Returns the seed for one purpose at one step (or epoch), see [`seeded_generator`]."""
    state = np.random.SeedSequence([seed, PURPOSES[purpose], index]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seeded_generator(seed: int, purpose: str, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    r"""
    Returns a random number generator for one purpose at one step (or epoch).

    Args:
        seed (`int`):
            Seed of the run.
        purpose (`str`):
            Key of `PURPOSES`. Different purposes have independent random numbers.
        index (`int`):
            Step or epoch.
        device (`torch.device`, *optional*, defaults to `"cpu"`):
            Device of the generator.
    """
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose, index))
