"""Tests of `dcgan benchmark --gpu_check` on the CPU, with tiny networks."""

import copy
import json
import os

import pytest
import torch

from dcgan_hf.benchmarks.arguments import BenchmarkArguments
from dcgan_hf.benchmarks.claims import judge_claims
from dcgan_hf.benchmarks.gpu_check import check_report
from dcgan_hf.benchmarks.own_process import Failure, in_own_process
from dcgan_hf.benchmarks.precisions import NUM_BATCHES, NUM_COMPARED, draw_images, largest_difference, train
from dcgan_hf.benchmarks.whole_runs import train_on_processes

from ..train_utils import run_command


SIZES = {"resolution": 16, "train_batch_size": 8, "hidden_size": 4, "steps": 8, "use_cpu": True}
ARGS = BenchmarkArguments(gpu_check=True, **SIZES)


@pytest.fixture(scope="module")
def images():
    return draw_images(NUM_BATCHES * ARGS.train_batch_size, ARGS.resolution)


def test_the_part_that_a_cpu_can_run(tmp_path, capsys):
    flags = [f"--{name}={value}" for name, value in SIZES.items()]
    run_command("benchmark", "--gpu_check", *flags, "--output_dir", tmp_path)
    output = capsys.readouterr().out
    content = json.loads((tmp_path / "gpu_check.json").read_text())
    reference, fp32, bf16 = content["trainings"]
    assert (reference["execution"], fp32["execution"]) == ("on the CPU", "eager")
    assert fp32["difference"] == 0 and fp32["agrees"] and fp32["is_finite"] and fp32["has_moved"]
    assert bf16.get("agrees") if content["has_native_bf16"] else "no native bf16" in bf16["failure"]
    assert content["resuming"] == {"repeated": 0, "resumed": 0}
    verdicts = {claim["claim"]: claim["verdict"] for claim in content["claims"]}
    assert verdicts["A stopped run continues from its last checkpoint, on a CPU bit for bit"] == "confirmed"
    assert verdicts["GPUs are supported"] == verdicts["`fp16` is supported"] == "not checked"
    assert "| fp32, eager | " in output and "bit for bit" in output


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_networks_train_like_eager_ones(precision, images):
    """Real and generated images, with and without gradients, go through the same compiled discriminator."""
    eager, compiled = (train(ARGS, precision, options, 8, images) for options in (None, {"backend": "aot_eager"}))
    assert compiled["is_finite"] and compiled["has_moved"]
    assert largest_difference(compiled["first_losses"], eager["first_losses"]) < (1e-4 if precision == "fp32" else 0.1)
    torch.compiler.reset()


def test_precisions_differ_and_a_longer_run_begins_alike(images):
    short, long, bf16 = (
        train(ARGS, precision, None, steps, images) for precision, steps in (("fp32", 8), ("fp32", 10), ("bf16", 8))
    )
    assert len(short["first_losses"]) == NUM_COMPARED
    assert short["first_losses"] == long["first_losses"] != bf16["first_losses"]


def test_failures_of_a_process_are_told():
    assert in_own_process(abs, -3) == 3
    with pytest.raises(Failure, match="^ValueError: invalid literal for int.. with base 10: 'a / b'$"):
        in_own_process(int, "a | b")
    with pytest.raises(Failure, match="^the process ended with status 3$"):
        in_own_process(os._exit, 3)


def test_two_processes_end_with_equal_weights():
    found = train_on_processes(ARGS, 2)
    assert found["are_equal"] and found["images_per_second"] > 0


def test_a_run_that_fails_names_its_error(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(Failure, match="ValueError: `mixed_precision=fp16` needs a GPU"):
        train_on_processes(ARGS, 1)


def results(**changes):
    """Results of a machine with two GPUs on which everything works, with changes of a training in fp16."""
    training = {
        "images_per_second": 1000.0,
        "first_update_seconds": 1.0,
        "peak_memory_bytes": 10**9,
        "final_losses": [0.5, 2.0],
        "is_finite": True,
        "has_moved": True,
    }
    good = training | {"difference": 0.001, "agrees": True, "execution": "eager"}
    return {
        "command": "dcgan benchmark --gpu_check",
        "hardware": "1 process on a GPU (X)",
        "torch": "2.13.0",
        "dcgan_hf": "0.1.0",
        "device": "cuda",
        "gpus": "2 x X",
        "has_native_bf16": True,
        "trainings": [
            training | {"precision": "fp32", "execution": "on the CPU"},
            good | {"precision": "fp32"},
            good | {"precision": "TF32"},
            good | {"precision": "bf16", "images_per_second": 1500.0},
            good | {"precision": "fp16"} | changes,
            {"precision": "fp16", "execution": "CUDA graphs", "failure": "RuntimeError: overwritten"},
        ],
        "resuming": {"repeated": 1e-5, "resumed": 2e-5},
        "processes": [
            {"number": 1, "images_per_second": 1000.0, "are_equal": True},
            {"number": 2, "images_per_second": 1800.0, "are_equal": True},
        ],
    }


def verdicts_of(content):
    return [claim["verdict"] for claim in judge_claims(content)]


def test_claims_are_confirmed_or_contradicted():
    assert verdicts_of(results()) == ["confirmed"] * 5
    for fault in ({"agrees": False}, {"is_finite": False}, {"has_moved": False}, {"failure": "RuntimeError: no"}):
        assert verdicts_of(results(**fault)) == ["confirmed", "contradicted", "confirmed", "confirmed", "confirmed"]
    changed = copy.deepcopy(results())
    changed["trainings"][3]["images_per_second"] = 900.0
    changed["processes"][1]["are_equal"] = False
    changed["resuming"]["resumed"] = 1e-3
    assert verdicts_of(changed) == ["confirmed", "confirmed", "contradicted", "contradicted", "contradicted"]
    assert verdicts_of(results() | {"processes": [], "has_native_bf16": False})[2:4] == ["not checked", "not checked"]


def test_the_report_shows_what_failed_and_what_differs():
    content = results(agrees=False, difference=float("nan"), final_losses=["nan", 2.0], is_finite=False)
    report = check_report(content | {"claims": judge_claims(content)})
    assert "| fp16, eager | 1,000 | 1.0 s | 1,000 MB | nan, 2.0 | nan, differs (at most 0.05) | no | yes |" in report
    assert "| fp16, CUDA graphs | failed: RuntimeError: overwritten |" in report
    assert "Processes: 2: 1,800 images/s, equal weights on all." in report
    rows = [line for line in report.splitlines() if line.startswith("| fp16") or line.startswith("| training")]
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_without_a_gpu_it_says_what_is_needed():
    with pytest.raises(ValueError, match="`gpu_check` needs a GPU, .* pass `use_cpu`"):
        run_command("benchmark", "--gpu_check")


@pytest.mark.parametrize(
    "given, message",
    [
        ({"resolution": 48}, "`resolution` must be a power of 2, got 48"),
        ({"rounds": 1}, "`rounds` must be at least 2"),
        ({"steps": 20}, "`steps` has no effect without `gpu_check`"),
        ({"rounds": 3, "gpu_check": True}, "`rounds` has no effect with `gpu_check`"),
    ],
)
def test_wrong_use(given, message):
    with pytest.raises(ValueError, match=message):
        BenchmarkArguments(**given)
