"""The benchmark runs and reports; what it measures is not for tests to judge."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig


SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


def run(*flags):
    return subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True)


def test_it_times_loops_that_take_turns(tmp_path):
    flags = ["--use_cpu", "--resolutions", "16", "--batch_sizes", "4", "--rounds", "2", "--loops", "one_stage"]
    result = run(*flags, "--output_file", str(tmp_path / "benchmark.json"))
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "benchmark.json").read_text())["results"]
    assert [row["loop"] for row in rows][:2] == ["tutorial fp32", "ours one_stage spectral fp32"]
    assert rows[0]["speedup"] == 1.0
    for row in rows:
        assert row["images_per_second"] > 0 and f"| {row['loop']} | {row['images_per_second']:.1f} (" in result.stdout
    # The arithmetic: 3 passes of the generator and 9 of the discriminator, without a gradient that nothing needs; one
    # stage makes 3 and 6. The networks are the same.
    assert rows[0]["gflop_per_image"] > 1.25 * rows[1]["gflop_per_image"]


def test_the_networks_of_the_plain_loops_are_the_tutorials():
    sys.path.insert(0, str(SCRIPT.parent))
    import benchmark

    for resolution in (16, 32, 64):
        configs = DCGANGeneratorConfig(image_size=resolution), DCGANDiscriminatorConfig(image_size=resolution)
        ours = DCGANGenerator(configs[0]), DCGANDiscriminator(configs[1])
        for network, plain in zip(ours, benchmark.plain_networks(resolution, torch.device("cpu"))):
            assert network.num_parameters() == sum(parameter.numel() for parameter in plain.parameters())


def test_wrong_use():
    for flags, message in ((["--resolutions", "48"], "must be powers of 2"), (["--rounds", "1"], "at least 2, got 1")):
        result = run(*flags)
        assert result.returncode and message in result.stderr
