"""Tests that runs killed or stopped at random moments end like uninterrupted runs."""

import os
import random
import re
import signal
import time

import pytest

from dcgan_hf import DCGANPipeline

from ..train_utils import checkpoints, fingerprint, start, train_here


# A checkpoint at every step, so that most kills happen while one is written.
OPTIONS = {"max_train_steps": 60, "checkpointing_steps": 1, "checkpoints_total_limit": 2, "save_images_steps": 60}
NUM_KILLS = int(os.environ.get("DCGAN_HF_TEST_KILLS", 3))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("reference") / "run"
    train_here(output_dir, **OPTIONS)
    return fingerprint(output_dir / "checkpoint-60")


def latest_step(output_dir):
    return max([int(re.sub(r"\D", "", name)) for name in checkpoints(output_dir)], default=0)


def wait_for_step(process, output_dir, step):
    while latest_step(output_dir) < step:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def test_kill_at_random_moments(reference, tmp_path):
    generator = random.Random(0)
    steps = []
    for _ in range(NUM_KILLS):
        process = start(tmp_path, **OPTIONS, resume_from_checkpoint="latest")
        wait_for_step(process, tmp_path, latest_step(tmp_path) + 1)
        time.sleep(generator.random() * 0.15)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        steps.append(latest_step(tmp_path))
        print(f"killed after checkpoint {steps[-1]}; left behind: {[path.name for path in tmp_path.glob('.tmp-*')]}")
        if steps[-1] >= 50:
            break
    train_here(tmp_path, **OPTIONS, resume_from_checkpoint="latest")
    assert fingerprint(tmp_path / "checkpoint-60") == reference
    assert checkpoints(tmp_path) == ["checkpoint-59", "checkpoint-60"]
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_writes_a_checkpoint_and_ends_cleanly(reference, tmp_path, number):
    options = OPTIONS | {"checkpointing_steps": 60}
    process = start(tmp_path, **options, logging_steps=1)
    log = tmp_path / "logs" / "metrics.jsonl"
    while not (log.exists() and log.read_text()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "Resume with: --resume_from_checkpoint latest" in output
    assert 0 < latest_step(tmp_path) < 60
    assert DCGANPipeline.from_pretrained(tmp_path)().images
    train_here(tmp_path, **options, resume_from_checkpoint="latest")
    assert fingerprint(tmp_path / "checkpoint-60") == reference
