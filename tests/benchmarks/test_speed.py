"""Tests of `dcgan benchmark`: that it runs and reports. Its measurements are not tested."""

import json
import os

import pytest
import torch

from dcgan_hf.benchmarks.loops import Loop, plain_networks
from dcgan_hf.benchmarks.training import training_benchmark

from ..train_utils import run_command


def test_it_times_our_loop_beside_plain_ones(tmp_path, capsys):
    flags = ["--use_cpu", "--resolution", "16", "--train_batch_size", "4", "--hidden_size", "4", "--rounds", "2"]
    run_command("benchmark", *flags, "--output_dir", tmp_path / "out")
    output = capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    rows = content["training"]
    names = [row["loop"] for row in rows]
    assert names[:2] == ["PyTorch tutorial", "strongest plain loop, fp32"] and names[-1].startswith("dcgan train")
    assert content["command"].startswith("dcgan benchmark --use_cpu ") and content["torch"] == torch.__version__
    for row in rows:
        assert row["images_per_second"] > 0 and f"| {row['loop']} | {row['images_per_second']:,.1f} (" in output
    # The same arithmetic, up to what the tutorial's loop computes without need: networks and batches are the same.
    arithmetic = [row["gflop_per_image"] for row in rows]
    assert arithmetic[1] == pytest.approx(arithmetic[-1], rel=0.2) and arithmetic[1] < arithmetic[0]
    assert "On this machine, `dcgan train` makes" in output and content["hardware"] in output


def test_plain_networks_of_another_width():
    generator, discriminator = plain_networks(32, 3, torch.device("cpu"), hidden_size=6)
    assert generator(torch.randn(2, 100, 1, 1)).shape == (2, 3, 32, 32)
    assert discriminator[0].out_channels == 6 and discriminator(torch.randn(2, 3, 32, 32)).shape == (2,)


def _loop_that_crashes(*arguments):
    os._exit(3)


def test_a_loop_that_crashes_is_named():
    loops = {"crashing loop": Loop(_loop_that_crashes)}
    with pytest.raises(ChildProcessError, match="The process of the loop 'crashing loop' has ended"):
        training_benchmark(loops, 16, 4, rounds=2, device=torch.device("cpu"))
