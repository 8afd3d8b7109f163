"""Tests of upscaling from the standard input to the standard output."""

import io
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from dcgan_hf.files import full_disk_error
from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.standard_streams import upscale_stream

from ..train_utils import run_command


def command(*words):
    return [sys.executable, "-m", "dcgan_hf", "upscale", *map(str, words), "--use_cpu"]


def test_from_stream_to_stream(model, pipe, photo, tmp_path):
    photo.save(tmp_path / "a.jpg", comment=b"mine", dpi=(300, 300))
    with (tmp_path / "a.jpg").open("rb") as source, (tmp_path / "b.jpg").open("wb") as target:
        words = command("-", "--model", model, "--outscale", 1.5)
        done = subprocess.run(words, stdin=source, stdout=target, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    with PIL.Image.open(tmp_path / "b.jpg") as result:  # nothing before the image
        assert (result.format, result.size) == ("JPEG", (60, 45))
        assert result.info["comment"] == b"mine" and result.info["dpi"] == (300, 300)
        expected = pipe(PIL.Image.open(tmp_path / "a.jpg")).images[0].resize((60, 45), PIL.Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(result, int) - np.asarray(expected, int)).mean() < 3
    assert result.fp is None and (tmp_path / "b.jpg").read_bytes().endswith(b"\xff\xd9")  # nor behind it


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_full_disk_behind_the_stream(pipe, photo):
    source = io.BytesIO()
    photo.save(source, "PNG")
    source.seek(0)
    with open("/dev/full", "wb", buffering=0) as target, pytest.raises(OSError) as error:
        upscale_stream(pipe, source, target, UpscalingArguments())
    assert str(full_disk_error(error.value)).startswith("The disk is full")


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_streams_that_are_no_image(pipe, content):
    target = io.BytesIO()
    with pytest.raises(ValueError, match=r"image on the standard input \(it is "):
        upscale_stream(pipe, io.BytesIO(content), target, UpscalingArguments())
    assert not target.getvalue()


@pytest.mark.parametrize(
    "words, message",
    [
        (["-", "--output_dir", "x"], "`output_dir` has no effect with `inputs=-`"),
        (["-", "--suffix=_x2"], "`suffix` has no effect with `inputs=-`"),
        (["-", "--overwrite"], "`overwrite` has no effect with `inputs=-`"),
        (["-", "-"], "`inputs=-` is the standard input, .* give no other input"),
    ],
)
def test_flags_that_need_files(words, message):
    with pytest.raises(ValueError, match=message):
        run_command("upscale", *words)
