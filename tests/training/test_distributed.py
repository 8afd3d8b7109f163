import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file

from dcgan_hf import DCGANPipeline

from ..train_utils import checkpoints, fingerprint, start, train_elsewhere, train_here


def test_two_processes_stay_equal_and_equal_one_on_the_joined_batch():
    script = Path(__file__).with_name("distributed_update.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", str(script)]
    result = subprocess.run(launch, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    assert "rank 0 done" in result.stderr and "rank 1 done" in result.stderr


def test_a_run_on_two_processes_equals_one_with_twice_the_batch(tmp_path):
    """Exact up to rounding if networks treat images separately: the images, latents and flips are the same."""
    options = {"generator_config": '{"norm_type": "none"}', "discriminator_config": '{"norm_type": "none"}'}
    output = train_elsewhere(tmp_path / "two", processes=2, train_batch_size=32, max_train_steps=4, **options)
    assert "Hardware: 2 processes, each on 1 CPU thread" in output
    train_here(tmp_path / "one", train_batch_size=64, max_train_steps=4, **options)
    for name in ("model.safetensors", "model_1.safetensors"):
        two, one = (load_file(tmp_path / run / "checkpoint-4" / name) for run in ("two", "one"))
        for key in one:
            torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=2e-5)
    assert len(DCGANPipeline.from_pretrained(tmp_path / "two")(batch_size=2).images) == 2


def test_two_processes_resume_exactly_and_stop_on_sigterm(tmp_path):
    options = {"processes": 2, "train_batch_size": 16, "max_train_steps": 10, "gradient_accumulation_steps": 2}
    train_elsewhere(tmp_path / "whole", **options)
    process = start(tmp_path / "parts", **options | {"max_train_steps": 100_000}, checkpointing_steps=100_000)
    log = tmp_path / "parts" / "logs" / "metrics.jsonl"
    while not (log.exists() and log.read_text()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate()
    (checkpoint,) = checkpoints(tmp_path / "parts")
    assert "Resume with: --resume_from_checkpoint latest" in output
    step = json.loads((tmp_path / "parts" / checkpoint / "trainer_state.json").read_text())["state"]["step"]
    if step < 10:
        train_elsewhere(tmp_path / "parts", **options, resume_from_checkpoint="latest")
        assert fingerprint(tmp_path / "parts" / "checkpoint-10") == fingerprint(tmp_path / "whole" / "checkpoint-10")
    else:
        train_elsewhere(tmp_path / "whole", **options | {"max_train_steps": step}, resume_from_checkpoint="latest")
        assert fingerprint(tmp_path / "parts" / checkpoint) == fingerprint(tmp_path / "whole" / checkpoint)


def test_two_processes_resume_a_stream_of_which_each_reads_its_part(tmp_path):
    """Of 41 images, one process has 21 (three batches of 7), the other 20 (two batches): their epochs differ."""
    (tmp_path / "data").mkdir()
    for i in range(41):
        pixels = np.random.default_rng(i).integers(0, 255, (16, 16), np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "data" / f"{i}.png")
    options = {"processes": 2, "dataset_name": tmp_path / "data", "streaming": True, "train_batch_size": 7}
    options |= {"max_train_steps": 8, "checkpointing_steps": 5}
    train_elsewhere(tmp_path / "whole", **options)
    state = json.loads((tmp_path / "whole" / "checkpoint-5" / "trainer_state.json").read_text())
    assert state["positions"] == [[1, 2], [2, 1]]
    train_elsewhere(tmp_path / "parts", **options | {"max_train_steps": 5})
    train_elsewhere(tmp_path / "parts", **options, resume_from_checkpoint="latest")
    assert fingerprint(tmp_path / "parts" / "checkpoint-8") == fingerprint(tmp_path / "whole" / "checkpoint-8")
