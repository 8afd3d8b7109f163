# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Claims of the documentation on GPUs, precisions and resuming, with the verdict of a check."""

from typing import Any


# A resumed run may differ from another by so many times as much as two runs without interruption do.
_RESUMED_TOLERANCE = 10


def judge_claims(content: dict[str, Any]) -> list[dict[str, str]]:
    r"""
    Judges claims by the results of [`check_gpus`].

    Args:
        content (`dict[str, Any]`):
            Results: device, trainings, the resumed run, and the runs on several GPUs.

    Returns:
        `list[dict[str, str]]`: claims, with where they stand, the verdict ("confirmed", "contradicted" or "not
        checked") and why.
    """
    eager = {row["precision"]: row for row in content["trainings"] if row["execution"] == "eager"}
    on_gpu = content["device"] != "cpu"
    judged = [
        ("GPUs are supported", "README, Limits", *(_judge(eager["fp32"]) if on_gpu else _NO_GPU)),
        ("`fp16` is supported", "README, Limits", *(_judge(eager["fp16"]) if on_gpu else _NO_GPU)),
        ("bf16 is the default where it is native, and pays", "`--mixed_precision`", *_judge_bf16(content, eager)),
        ("Several GPUs are supported", "README, Limits", *_judge_processes(content["processes"])),
        (
            "A stopped run continues from its last checkpoint, on a CPU bit for bit",
            "README, `docs/guides/resume.md`",
            *_judge_resuming(content["resuming"], on_gpu),
        ),
    ]
    return [dict(zip(("claim", "where", "verdict", "why"), row)) for row in judged]


Judgement = tuple[str, str]
_NO_GPU: Judgement = ("not checked", "ran on the CPU")


def _judge(row: dict[str, Any]) -> Judgement:
    """Judges a training: it must run, agree with the CPU, stay finite and move all weights."""
    if "failure" in row:
        return "contradicted", row["failure"]
    if "agrees" not in row:
        return "not checked", "the training on the CPU failed"
    faults = {
        "losses differ from the CPU's": not row["agrees"],
        "losses are not finite": not row["is_finite"],
        "some weights have not moved": not row["has_moved"],
    }
    found = "; ".join(fault for fault, is_true in faults.items() if is_true)
    return ("contradicted", found) if found else ("confirmed", "losses agree with the CPU's; all weights have moved")


def _judge_bf16(content: dict[str, Any], eager: dict[str, Any]) -> Judgement:
    if not content["has_native_bf16"]:
        return "not checked", "not native here"
    verdict, why = _judge(eager["bf16"])
    single = [eager[name] for name in ("fp32", "TF32") if "images_per_second" in eager.get(name, {})]
    if verdict != "confirmed" or not single:
        return verdict, why
    ratio = eager["bf16"]["images_per_second"] / max(row["images_per_second"] for row in single)
    return "confirmed" if ratio >= 1 else "contradicted", f"{ratio:.2f} times the images/s of single precision"


def _judge_processes(rows: list[dict[str, Any]]) -> Judgement:
    if not rows:
        return "not checked", "needs two GPUs"
    failures = [row["failure"] for row in rows if "failure" in row]
    if failures:
        return "contradicted", failures[0]
    if not all(row["are_equal"] for row in rows):
        return "contradicted", "weights differ between processes"
    ratio = rows[-1]["images_per_second"] / rows[0]["images_per_second"]
    return "confirmed", f"{rows[-1]['number']} GPUs make {ratio:.2f} times the images/s of one, with equal weights"


def _judge_resuming(found: dict[str, Any], on_gpu: bool) -> Judgement:
    if "failure" in found:
        return "contradicted", found["failure"]
    if found["resumed"] == 0:
        return "confirmed", "bit for bit"
    if on_gpu and found["resumed"] <= _RESUMED_TOLERANCE * found["repeated"]:
        return "confirmed", "differs like a repeated run: this GPU's operations are not deterministic"
    return "contradicted", "the resumed run differs more than a repeated one"
