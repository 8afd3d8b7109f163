"""Tests of decisions that depend on the hardware."""

import subprocess
import sys

import pytest
import torch

from dcgan_hf.hardware import machine_name, precision_of_device, precision_of_the_launcher, relative_speed_of_bf16


def test_what_accelerate_was_told_counts(monkeypatch):
    for told, expected in (("fp16", "fp16"), ("bf16", "bf16"), ("no", None)):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
        assert precision_of_the_launcher() == expected


def test_precision_of_a_cpu_is_not_taken_from_its_flags(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": True})
    assert precision_of_device(torch.device("cpu")) == "no"
    assert relative_speed_of_bf16() > 0


def test_machines_have_names_for_files():
    assert machine_name() == machine_name() and machine_name().replace("-", "").replace("_", "").isalnum()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_memory_is_used_again():
    """Only within the block."""
    code = (
        "import resource, torch\n"
        "from dcgan_hf.hardware import kept_memory\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def measure(size, warm_up):\n"
        "    for _ in range(warm_up): torch.ones(size)\n"
        "    before = faults()\n"
        "    for _ in range(5): torch.ones(size)\n"
        "    print(faults() - before)\n"
        "measure(2**24, 30)\n"  # 64 MB
        "with kept_memory(): measure(2**24, 30)\n"
        "measure(2**27, 1)\n"  # larger than any freed gap
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    before, kept, after = map(int, output.split())
    assert kept < 100 < 10_000 < min(before, after)
