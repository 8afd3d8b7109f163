#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Trains the same GAN repeatedly with single flags changed, over several seeds, and reports the effect on image quality:

    python scripts/ladder.py scripts/ladders/fashion_mnist.yaml --eval_features fashion-classifier --eval_split test
    python scripts/ladder.py scripts/ladders/small_data.yaml --eval_features fashion-classifier --eval_split test

The file lists the flags of `dcgan train` that all runs share, and those of each rung. Further flags on the command
line apply to all runs. Finished runs are not repeated, so an interrupted ladder resumes where it stopped. Writes
ladder.json and prints a table. Its seconds are those of training alone: compare them if nothing else ran.
"""

import argparse
import json
import logging
import math
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dcgan_hf.benchmarks.records import markdown_table, measurement_facts, write_record
from dcgan_hf.hardware import num_usable_cores
from dcgan_hf.model_folder import LOG_FILE, RESULTS_FILE, write_json
from dcgan_hf.training.checkpointing import list_checkpoints


logger = logging.getLogger("ladder")


def to_flag(name: str, value: Any) -> list[str]:
    """Converts an argument of a YAML file to command-line words: lists to several, mappings and booleans to JSON."""
    words = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict | bool) else value]
    return [f"--{name}", *map(str, words)]


class Run(NamedTuple):
    """Fréchet distances in the order of training, and the seconds of training alone."""

    distances: list[float]
    seconds: float


def train(name: str, seed: int, flags: dict[str, Any], more_flags: list[str], folder: Path) -> Run:
    """Trains, unless the run is finished, and returns its measurements."""
    output_dir = folder / f"{name.replace(' ', '_')}-{seed}"
    words = [word for flag in (flags | {"seed": seed, "output_dir": output_dir}).items() for word in to_flag(*flag)]
    words += more_flags
    results = output_dir / "results.json"  # exists only if the run is finished, not if it was stopped
    if not results.is_file():
        output_dir.mkdir(parents=True, exist_ok=True)
        with (output_dir / "output.txt").open("w") as file:
            command = [sys.executable, "-m", "dcgan_hf", "train", *words, "--overwrite_output_dir"]
            process = subprocess.run(command, stdout=file, stderr=file)
        if process.returncode:
            raise RuntimeError(f"The run {name!r} with seed {seed} failed. See {output_dir / 'output.txt'}.")
        for checkpoint in list_checkpoints(output_dir):
            shutil.rmtree(checkpoint)
        write_json({"flags": words} | measurements(output_dir)._asdict(), results)
    measured = json.loads(results.read_text())
    if measured.pop("flags", None) != words:
        raise ValueError(f"The run in {str(output_dir)!r} had other flags. Delete it, or pass another `--output_dir`.")
    run = Run(**measured)
    distances = ", ".join(f"{distance:.2f}" for distance in run.distances)
    logger.info(f"{name}, seed {seed}: {distances} after {run.seconds:.0f} s of training")
    return run


def measurements(output_dir: Path) -> Run:
    """Reads the measurements of a finished run from its log."""
    entries = [json.loads(line) for line in (output_dir / LOG_FILE).read_text().splitlines()]
    names = ("eval_fid", "eval_frechet_distance")  # the former with Inception features and enough images
    distances = [entry[name] for entry in entries for name in names if name in entry]
    results = json.loads((output_dir / RESULTS_FILE).read_text())
    images_per_step = results["num_images_seen"] / results["steps"]
    # Speeds leave out the time that evaluations and samples take.
    speeds = {0: math.inf} | {entry["step"]: entry["images_per_second"] for entry in entries if "epoch" in entry}
    seconds = sum(images_per_step * (end - start) / speeds[end] for start, end in pairwise(speeds))
    return Run(distances, round(seconds, 3))


def rounded(value: float, digits: int) -> str:
    """Returns a number with as many significant digits, of which a whole number has all."""
    return f"{value:,.0f}" if value >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def ladder_table(record: dict[str, Any]) -> str:
    """Mean and standard deviation of a record's distances over the seeds, one row per rung, as a table in Markdown."""
    number = max(len(run) for runs in record["distances"].values() for run in runs)
    rows = []
    for name, runs in record["distances"].items():
        cells = [
            rounded(statistics.mean(values), 3) + (f" ± {rounded(statistics.stdev(values), 2)}" if values[1:] else "")
            for values in zip(*runs)
        ]
        rows.append([name, *cells, f"{statistics.mean(record['seconds'][name]):.0f}", str(len(runs))])
    return markdown_table(["", *(f"{i + 1}/{number}" for i in range(number)), "seconds", "seeds"], rows)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Trains a GAN for each rung and seed and compares the results.",
        epilog="All other flags are passed to `dcgan train`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "ladder", type=Path, help="YAML file with the flags in `common` and those of each of the `rungs`."
    )
    parser.add_argument("--rungs", nargs="+", metavar="NAME", help="Rungs to train, in this order (default: all).")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="Seeds of the runs of each rung.")
    parser.add_argument("--jobs", type=int, default=1, help="Number of parallel runs, which share the CPU cores.")
    parser.add_argument(
        "--output_dir", type=Path, help="Folder of the runs (default: dcgan-ladder-<name of the file>)."
    )
    args, more_flags = parser.parse_known_args(argv)
    if args.jobs < 1:
        raise ValueError(f"`jobs` must be at least 1, got {args.jobs}.")
    logging.basicConfig(format="%(asctime)s - %(message)s", level=logging.INFO)
    output_dir = args.output_dir or Path(f"dcgan-ladder-{args.ladder.stem}")
    ladder = yaml.safe_load(args.ladder.read_text())
    unknown = set(args.rungs or []) - ladder["rungs"].keys()
    if unknown:
        raise ValueError(f"`rungs` must be among {list(ladder['rungs'])}, got {sorted(unknown)}.")
    rungs = {name: ladder["rungs"][name] for name in args.rungs or ladder["rungs"]}
    common = ladder["common"] | {"num_cpu_threads": max(1, num_usable_cores() // args.jobs)}

    facts = measurement_facts(["python", "scripts/ladder.py", *argv], use_cpu=True)
    # All rungs of the first seed come first, for early results.
    runs = list(product(args.seeds, rungs))
    finished: dict[str, list[Run]] = {name: [] for name in rungs}
    with ThreadPoolExecutor(args.jobs) as pool:
        trainings = [
            pool.submit(train, name, seed, common | rungs[name], more_flags, output_dir) for seed, name in runs
        ]
        for (_, name), training in zip(runs, trainings):
            finished[name].append(training.result())
            measured = {
                what: {rung: [getattr(run, what) for run in of_rung] for rung, of_rung in finished.items() if of_rung}
                for what in Run._fields
            }
            write_record(facts | measured, output_dir / "ladder.json")
    print(ladder_table(measured))


if __name__ == "__main__":
    main(sys.argv[1:])
