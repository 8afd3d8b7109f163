"""Tests that the benchmark runs and reports. Its measurements are not tested."""

import json
import sys

import numpy as np
import PIL.Image
import pytest
import torch
from accelerate.state import AcceleratorState

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANTrainingArguments,
)
from dcgan_hf.benchmarks.loops import plain_networks
from dcgan_hf.training.recipes import arguments_from_recipe

from ..train_utils import SCRIPTS, save_classifier


sys.path.insert(0, str(SCRIPTS))
import benchmark  # noqa: E402
import time_to_quality  # noqa: E402
from benchmarks.loops import article_in_keras_loop  # noqa: E402
from benchmarks.super_resolution import super_resolution_benchmark, super_resolution_table  # noqa: E402


@pytest.fixture(autouse=True)
def same_threads():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_it_times_loops_that_take_turns(tmp_path, capsys):
    flags = ["--use_cpu", "--parts", "training", "--resolutions", "16", "--batch_sizes", "4", "--rounds", "2"]
    benchmark.main([*flags, "--loops", "one_stage spectral fp32", "--output_dir", str(tmp_path)])
    output = capsys.readouterr().out
    assert PIL.Image.open(tmp_path / "training.png").size[0] > 500
    rows = json.loads((tmp_path / "benchmark.json").read_text())["training"]
    assert [row["loop"] for row in rows][:2] == ["tutorial fp32", "ours one_stage spectral fp32"]
    assert rows[0]["speedup"] == 1.0
    for row in rows:
        assert row["images_per_second"] > 0 and f"| {row['loop']} | {row['images_per_second']:.1f} (" in output
    # Arithmetic: 3 passes of the generator and 9 of the discriminator, without unneeded gradients; `one_stage` needs 3
    # and 6. The networks are the same.
    assert rows[0]["gflop_per_image"] > 1.25 * rows[1]["gflop_per_image"]


def test_it_times_sampling_and_loading(tmp_path, capsys):
    flags = ["--use_cpu", "--parts", "sampling", "loading", "--resolutions", "16", "--rounds", "2"]
    benchmark.main(
        [*flags, "--sampling_batch_sizes", "1", "3", "--stream_files", "1", "2", "--output_dir", str(tmp_path)]
    )
    content = json.loads((tmp_path / "benchmark.json").read_text())
    ways = {(row["way"], row["batch_size"]) for row in content["sampling"]}
    assert {("network fp32", 1), ("pipeline pil", 3), ("fused fp32 pipeline pt", 3)} <= ways
    assert all(row["ratio"] > 0 for row in content["sampling"])
    short, long = (row for row in content["loading"] if "memory_bytes" in row)
    assert (short["loader"], long["loader"]) == ("stream of 1,024 images", "stream of 2,048 images")
    assert 0 < short["memory_bytes"] and 0 < long["memory_bytes"]
    assert "decoded once" in capsys.readouterr().out


def test_super_resolution_in_tiles_and_not():
    shapes = ((2, 3, 8, 8), (1, 3, 20, 24))
    rows = super_resolution_benchmark(shapes, rounds=2, device=torch.device("cpu"), has_bf16=False)
    assert [row["way"] for row in rows[:2]] == ["network", "pipeline"] and len(rows) == 3 * (2 + 7)
    assert all(row["ratio"] > 0 and row["images_per_second"] > 0 for row in rows)
    table = super_resolution_table(rows)
    for cells in (
        "default x4, float32 | network | 2 of 8x8",
        "recipe x2, float32 | pipeline, tiles of 64 | 1 of 24x20",
        "recipe x4, float32 | Pillow, bicubic | 1 of 24x20",
    ):
        assert f"| {cells} |" in table


def test_time_to_quality(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for split, number in (("train", 1024), ("test", 40)):
        for i in range(number):
            folder = tmp_path / "images" / split / str(i % 2)
            folder.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(rng.integers(0, 256, (32, 32), np.uint8)).save(folder / f"{i}.png")
    features = save_classifier(tmp_path / "classifier")

    def measure(*flags):
        common = ["--dataset_name", tmp_path / "images", "--seeds", "3", "--num_epochs", "1", "--num_samples", "40"]
        common += ["--eval_features", features, "--loops", "strong", "--output_dir", tmp_path / "out"]
        time_to_quality.main([*map(str, common), *flags])
        record = json.loads((tmp_path / "out" / "results.json").read_text())
        (result,) = record["results"]
        curve = result["curves"]["strong"]
        good = [point["seconds"] for point in curve if point["distance"] <= result["target"]]
        assert record["seconds"]["strong"] == [*good, curve[-1]["seconds"]][:1]
        return result, capsys.readouterr().out

    result, output = measure()
    curves = result["curves"]
    assert [point["images"] for point in curves["tutorial"]] == [512, 1024]
    assert [point["images"] for point in curves["strong"]][:2] == [128, 256]
    assert result["target"] == curves["tutorial"][-1]["distance"]
    assert "| 3 | tutorial | 1.00 |" in output and "| 3 | strong | " in output and "share" in output
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"strong-seed-3.png", "tutorial-seed-3.png"}

    with pytest.raises(ValueError, match="`--config cifar10` trains with classes"):
        measure("--config", "cifar10")
    # Without the tutorial's loop, the same training is measured at its end.
    result, output = measure("--target", "0")
    assert [point["images"] for point in result["curves"]["strong"]] == [1024] and "(not reached)" in output
    reached = result | {"target": result["curves"]["strong"][-1]["distance"]}
    assert "(not reached)" not in time_to_quality.quality_table([reached])
    assert list(result["curves"]) == ["strong"] and "share" not in output


@pytest.mark.parametrize("path", sorted((SCRIPTS / "speed_runs").glob("*.yaml")), ids=lambda path: path.stem)
def test_speed_runs_make_sense(path):
    args = arguments_from_recipe(DCGANTrainingArguments, path)
    assert args.max_train_steps and not args.class_conditional  # like the tutorial's loop


def test_the_networks_of_the_plain_loops_are_the_tutorials():
    for resolution in (16, 32, 64):
        configs = DCGANGeneratorConfig(image_size=resolution), DCGANDiscriminatorConfig(image_size=resolution)
        ours = DCGANGenerator(configs[0]), DCGANDiscriminator(configs[1])
        for network, plain in zip(ours, plain_networks(resolution, 3, torch.device("cpu"))):
            assert network.num_parameters() == sum(parameter.numel() for parameter in plain.parameters())


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--resolutions", "48"], "must be powers of 2"),
        (["--rounds", "1"], "at least 2, got 1"),
        (["--parts", "article"], "needs `keras_python`"),
    ],
)
def test_wrong_use(flags, message):
    with pytest.raises(ValueError, match=message):
        benchmark.main(flags)


def test_a_python_without_tensorflow():
    _, step = article_in_keras_loop(36, 3, torch.device("cpu"), python=sys.executable)
    with pytest.raises(RuntimeError, match="with keras and tensorflow"):
        step(torch.rand(2, 3, 36, 36))
