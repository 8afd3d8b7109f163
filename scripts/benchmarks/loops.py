# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Loops that the tables of the docs compare, by name; and the article's loop in Keras."""

import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dcgan_hf.benchmarks.loops import Loop, Step, our_loop, strongest_plain_loop, tutorial_loop


def article_in_keras_loop(
    resolution: int, num_channels: int, device: torch.device, python: str
) -> tuple[nn.Module, Step]:
    """Returns the article's original loop, which runs in another Python with TensorFlow."""
    script = str(Path(__file__).with_name("article_in_keras.py"))
    process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def step(real: torch.Tensor) -> None:
        print(len(real), file=requests, flush=True)
        if not answers.readline():
            raise RuntimeError(f"{python} {script} failed. Pass a Python with keras and tensorflow as `keras_python`.")

    return nn.Identity(), step


LOOPS = {
    "tutorial fp32": Loop(tutorial_loop),
    "strongest plain fp32": Loop(strongest_plain_loop, {"precision": "no"}),
    "strongest plain bf16": Loop(strongest_plain_loop, {"precision": "bf16"}),
}
# The article's networks, whose discriminator has no normalisation, for 36x36 images.
ARTICLE_LOOPS: dict[str, Loop] = {}

for _strategy, _norm_type in (
    ("alternating", "batch"),
    ("simultaneous", "batch"),
    ("alternating", "spectral"),
    ("one_stage", "spectral"),
):
    for _name, _precision in (("fp32", "no"), ("bf16", "bf16")):
        _options: dict[str, Any] = {"mixed_precision": _precision, "update_strategy": _strategy}
        LOOPS[f"ours {_strategy} {_norm_type} {_name}"] = Loop(
            our_loop, _options | {"discriminator_config": {"norm_type": _norm_type}}
        )
        if _strategy != "alternating":
            ARTICLE_LOOPS[f"ours {_strategy} {_name}"] = Loop(our_loop, _options | {"recipe": "article"})
