"""Tests of decisions that depend on the hardware."""

import subprocess
import sys

import pytest
import torch

from dcgan_hf.hardware import default_mixed_precision


@pytest.mark.parametrize("name, expected", [("avx512_bf16", "bf16"), ("amx_bf16", "bf16"), ("avx512_f", "no")])
def test_bf16_where_a_cpu_has_it(monkeypatch, name, expected):
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", name: True})
    assert default_mixed_precision(use_cpu=True) == expected


def test_what_accelerate_was_told_counts(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {})
    for told, expected in (("fp16", "fp16"), ("bf16", "bf16"), ("no", "no")):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", told)
        assert default_mixed_precision(use_cpu=True) == expected


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
