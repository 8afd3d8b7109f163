"""Tests of what can be upscaled: patterns, odd names and files that are none."""

import copy
import logging
import os
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from dcgan_hf import DCGANSuperResolutionPipeline
from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.inputs import expand
from dcgan_hf.inference.upscale import upscale

from ..train_utils import run_command


@pytest.fixture
def photos(photo, tmp_path):
    """A tree of photographs."""
    names = ("a.jpg", "b.png", "-dash.jpg", "12.5 é.jpg", "[x].jpg", "in/c.jpg", "in/deep/d.JPG", "folder.jpg/e.jpg")
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / ".hidden.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def made(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.*")
        if path.is_file() and "json" not in path.suffix
    )


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("*.jpg", ["-dash.jpg", "12.5 é.jpg", "[x].jpg", "a.jpg", "folder.jpg/e.jpg"]),
        ("[ab].*", ["a.jpg", "b.png"]),
        ("**/*.jpg", ["-dash.jpg", "12.5 é.jpg", "[x].jpg", "a.jpg", "folder.jpg/e.jpg", "in/c.jpg"]),
        ("in/**", ["c.jpg", "deep/d.JPG"]),
        ("i*/*.jpg", ["in/c.jpg"]),
        (
            "*",
            ["-dash.jpg", "12.5 é.jpg", "[x].jpg", "a.jpg", "b.png", "folder.jpg/e.jpg", "in/c.jpg", "in/deep/d.JPG"],
        ),
        ("[x].jpg", ["[x].jpg"]),  # a file of that name
    ],
)
def test_patterns(pipe, photos, tmp_path, pattern, expected):
    done = upscale(pipe, [f"{photos}/{pattern}"], UpscalingArguments(output_dir=str(tmp_path / "out")))
    assert made(tmp_path / "out") == expected and done.num_images == len(expected) and not done.unreadable


def test_relative_patterns_and_names_like_flags(model, photos, monkeypatch, capsys):
    monkeypatch.chdir(photos)
    assert expand("*.png") == (Path("."), [Path("b.png")])
    run_command("upscale", "*.png", "in", "--model", model, "--use_cpu")
    assert made(photos / "upscaled") == ["b.png", "c.jpg", "deep/d.JPG"]
    run_command("upscale", "--model", model, "--use_cpu", "--output_dir=x", "--", "-dash.jpg")
    assert made(photos / "x") == ["-dash.jpg"]
    with pytest.raises(ValueError, match=r"`inputs=\*.gif`: no file matches this pattern"):
        run_command("upscale", "*.gif", "--model", model)
    with pytest.raises(ValueError, match=r"`inputs=\*.txt`: the pattern matches no images"):
        run_command("upscale", "*.txt", "--model", model, "--use_cpu")


def test_patterns_leave_out_results(pipe, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    for folder, number in (("x", 7), ("y", 7), ("x", 0)):
        done = upscale(pipe, ["**/*.[jJ][pP][gG]"], UpscalingArguments(output_dir=folder))
        assert (done.num_images, done.num_made) == (7, number)


def test_files_that_are_no_photographs(pipe, photo, tmp_path, caplog):
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "good.jpg")
    photo.save(folder / "locked.jpg")
    content = (folder / "good.jpg").read_bytes()
    (folder / "empty.jpg").touch()
    (folder / "half.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.jpg").write_text("no image")
    os.symlink("loop.jpg", folder / "loop.jpg")
    os.symlink("..", folder / "above")
    os.symlink("nowhere.jpg", folder / "broken.jpg")
    (folder / "locked.jpg").chmod(0)
    done = upscale(pipe, [folder], UpscalingArguments(output_dir=str(tmp_path / "out")))
    reasons = "\n".join(done.unreadable).lower()
    for name, reason in (
        ("empty.jpg", "it is empty"),
        ("half.jpg", "truncated file read"),
        ("text.jpg", "it is not an image of a known format"),
        ("loop.jpg", "broken links and devices"),
        ("broken.jpg", "broken links and devices"),
    ):
        assert f"{folder / name} ({reason})".lower() in reasons
    if os.geteuid() != 0:  # root may read everything
        assert f"{folder / 'locked.jpg'} (permission denied)".lower() in reasons
    assert "good.jpg" in made(tmp_path / "out")
    with pytest.raises(ValueError, match="loop.jpg`: no such file or folder"):
        upscale(pipe, [folder / "loop.jpg"], UpscalingArguments(output_dir=str(tmp_path / "other")))


def test_the_time_is_told_before_a_long_run(pipe, photo, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    photo.save(tmp_path / "a.png")
    photo.resize((200, 150)).save(tmp_path / "panorama.png")
    args = UpscalingArguments(output_dir=str(tmp_path / "out"), tile_size=16)
    assert upscale(pipe, [tmp_path / "a.png"], args).num_made == 1
    assert "megapixels" not in caplog.text  # short
    assert upscale(pipe, [tmp_path], args).num_made == 1
    assert re.search(r"About \d+ s for 1 image, 0.0 megapixels\.", caplog.text)


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_a_data_type_changes_hardly_a_pixel_and_not_the_model(pipe, photo, tmp_path, caplog, dtype):
    caplog.set_level(logging.INFO)
    photo.save(tmp_path / "a.png")
    args = UpscalingArguments(output_dir=str(tmp_path / "out"), tile_size=8, dtype=dtype)
    upscale(pipe, [tmp_path / "a.png"], args)
    assert pipe.generator.dtype == torch.float32
    made = np.asarray(PIL.Image.open(tmp_path / "out" / "a.png"), np.int16)
    expected = np.asarray(pipe(photo).images[0], np.int16)
    half = DCGANSuperResolutionPipeline(copy.deepcopy(pipe.generator).bfloat16())
    halved = np.asarray(half(photo, tile_size=8).images[0], np.int16)
    assert not np.array_equal(halved, expected) and np.abs(halved - expected).max() <= 4
    used = "bfloat16 is" in caplog.text or dtype == "bfloat16"  # this machine decides about "auto"
    assert np.array_equal(made, halved if used else expected)
    with pytest.raises(ValueError, match="made with other settings|dtype"):
        upscale(pipe, [tmp_path / "a.png"], UpscalingArguments(output_dir=str(tmp_path / "out"), dtype="float32"))
