"""Tests of upscaling files and folders."""

import os
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import PIL.Image
import pytest

from dcgan_hf import DCGANSuperResolutionPipeline
from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.upscale import upscale

from ..models.test_super_resolution import profile_of
from ..processes import run_elsewhere
from ..train_utils import run_command
from .conftest import save_model


@pytest.fixture
def photos(tmp_path):
    """A file, and a folder with images of several formats, modes and sizes, subfolders and other files."""
    rng = np.random.default_rng(0)

    def save(path, mode="RGB", size=(12, 9), **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
        pixels = rng.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8).squeeze()
        PIL.Image.fromarray(pixels).save(path, **options)

    save(tmp_path / "photo.jpg", exif=b"Exif\0\0damaged")
    save(tmp_path / "folder" / "a.png", "RGBA")
    save(tmp_path / "folder" / "b.webp", size=(20, 31))
    save(tmp_path / "folder" / "deep" / "a.png", "L")
    (tmp_path / "folder" / "notes.txt").write_text("no image")
    (tmp_path / "folder" / ".hidden.png").write_bytes(b"no image")
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def flags(model, photos, out="out"):
    words = [photos / "photo.jpg", photos / "folder", "--model", model, "--output_dir", photos / out, "--use_cpu"]
    return [*words, "--image_format", "png"]


def test_files_and_folders(model, photos, capsys):
    run_command("upscale", *flags(model, photos))
    assert "(4, 4 of them new)" in capsys.readouterr().out
    out = photos / "out"
    assert sorted(contents(out)) == ["a.png", "b.png", "deep/a.png", "photo.png"]
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)
    for large, small in (("photo.png", "photo.jpg"), ("a.png", "folder/a.png"), ("deep/a.png", "folder/deep/a.png")):
        small, large = PIL.Image.open(photos / small), PIL.Image.open(out / large)
        assert large.size == (2 * small.width, 2 * small.height) and large.mode == small.mode
        assert np.array_equal(pipe(small).images[0], large)


def test_it_goes_on_where_it_was_stopped(model, photos, capsys):
    run_command("upscale", *flags(model, photos))
    before = contents(photos / "out")
    kept = photos / "out" / "photo.png"
    made = kept.stat().st_mtime_ns
    (photos / "out" / "b.png").unlink()
    (photos / "out" / "b.part").write_bytes(b"half")
    run_command("upscale", *flags(model, photos))
    assert contents(photos / "out") == before and kept.stat().st_mtime_ns == made
    assert not list((photos / "out").glob(".*"))
    assert "(4, 1 of them new)" in capsys.readouterr().out
    # A changed photograph is upscaled again.
    PIL.Image.new("RGB", (5, 5)).save(photos / "photo.jpg")
    os.utime(photos / "photo.jpg", ns=(made + 10**9, made + 10**9))
    run_command("upscale", *flags(model, photos))
    assert PIL.Image.open(kept).size == (10, 10)
    assert {name: before[name] for name in ("a.png", "b.png", "deep/a.png")}.items() <= contents(
        photos / "out"
    ).items()


def test_a_killed_command_leaves_complete_files_only(model, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(200):
        PIL.Image.new("RGB", (64, 64), (i, 0, 0)).save(folder / f"{i:03d}.png")
    words = ["upscale", folder, "--model", model, "--output_dir", tmp_path / "out", "--use_cpu", "--batch_size", "2"]
    command = [sys.executable, "-m", "dcgan_hf", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list((tmp_path / "out").glob("*.png"))) < 5:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = contents(tmp_path / "out")
    assert len(there) >= 5
    for name in there:
        PIL.Image.open(tmp_path / "out" / name).load()
    run_command(*words)
    assert len(contents(tmp_path / "out")) == 200 and there.items() <= contents(tmp_path / "out").items()


def test_two_processes_make_the_same(model, photos):
    run_command("upscale", *flags(model, photos))
    run_elsewhere("upscale", *flags(model, photos, "two"), processes=2)
    assert contents(photos / "two") == contents(photos / "out")


def test_files_that_cannot_be_read_are_left_out(model, photos, capsys, caplog):
    (photos / "folder" / "broken.png").write_bytes((photos / "folder" / "a.png").read_bytes()[:60])
    (photos / "folder" / "odd").write_bytes((photos / "folder" / "b.webp").read_bytes())  # found by its content
    (photos / "folder" / "phone.heic").write_bytes(b"no image")
    PIL.Image.fromarray(np.full((4, 4), 100_000, np.int32)).save(photos / "folder" / "dark.tiff")
    PIL.Image.new("L", (9000, 1)).save(photos / "folder" / "long.png")
    for i in range(3):
        (photos / "folder" / f"none{i}.png").write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"left out 7 of 12 images: .*phone.heic \(HEIC needs.*long.png \(18000 .*; .* and 2 more\.$"
    ) as error:
        run_command("upscale", *flags(model, photos), "--image_format=webp")
    assert "none0.png (it is not an image of a known format)" in str(error.value)
    skipped = " ".join(record.getMessage() for record in caplog.records)
    assert "dark.tiff (an integer image must lie in [0, 65535], got [100000, 100000])" in skipped
    assert "broken.png (image file is truncated)" in skipped
    made = sorted(str(path.relative_to(photos / "out")) for path in (photos / "out").rglob("*.webp"))
    assert made == ["a.webp", "b.webp", "deep/a.webp", "odd.webp", "photo.webp"]
    assert "(5, 5 of them new)" in capsys.readouterr().out


def test_profile_and_resolution_reach_the_file(model, tmp_path):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)
    colour, grey = (profile_of(space) for space in (b"RGB ", b"GRAY"))
    PIL.Image.new("RGB", (6, 4), "red").save(tmp_path / "red.jpg", icc_profile=colour, dpi=(300, 200))
    PIL.Image.new("L", (6, 4), 99).save(tmp_path / "grey.png", icc_profile=grey, dpi=(300, 200))
    PIL.Image.new("RGBA", (6, 4)).save(tmp_path / "clear.png", icc_profile=colour)
    PIL.Image.new("LA", (6, 4)).save(tmp_path / "both.png", icc_profile=grey)
    for image_format in ("png", "jpeg", "webp"):
        out = tmp_path / image_format
        args = UpscalingArguments(output_dir=str(out), image_format=image_format)
        done = upscale(pipe, sorted(path for path in tmp_path.iterdir() if path.is_file()), args)
        assert not done.unreadable
        files = [path for path in out.iterdir() if path.suffix in (".png", ".jpg", ".webp")]
        assert len(files) == 4
        for path in files:
            with PIL.Image.open(path) as image:
                is_grey = image.mode in ("L", "LA")
                profile = grey if is_grey else colour if path.stem in ("red", "clear") else None
                assert image.info.get("icc_profile") == profile
                # WebP has no grey, and this profile, whose content does not fit, cannot convert it.
                assert profile is not None or image_format == "webp"
                if path.stem in ("red", "grey") and image_format != "webp":
                    assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)


def test_what_is_lost_is_told(model, tmp_path, caplog):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)
    frames = [PIL.Image.new("L", (5, 5), i) for i in (0, 128, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    PIL.Image.fromarray(np.full((5, 5), 40_000, np.uint16)).save(tmp_path / "hole.png", transparency=0)
    PIL.Image.new("CMYK", (5, 5)).save(tmp_path / "ink.jpg")
    PIL.Image.new("RGB", (5, 5)).save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[frames[0]])
    # A PNG of 16 bits per channel, which Pillow does not write.
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(range(12)) for _ in range(2)))
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    )
    args = UpscalingArguments(output_dir=str(tmp_path / "out"), image_format="png")
    done = upscale(pipe, [tmp_path], args)
    assert done.num_made == 5 and not done.unreadable
    for told in (
        "moving.gif: only the first of 3 frames is upscaled",
        "hole.png: 8 of its 16 bits are kept, because of its transparency",
        "ink.jpg: its CMYK colours become RGB without a profile",
        "deep.png: Pillow reads 8 of its 16 bits per channel",
    ):
        assert told in caplog.text
    assert len(caplog.records) == 4
    assert PIL.Image.open(tmp_path / "out" / "hole.png").mode == "LA"


def test_a_folder_is_upscaled_into_itself_again_and_again(model, photos, caplog):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)
    folder = photos / "own"
    folder.mkdir()
    for name in ("x.jpg", "y.jpg"):
        PIL.Image.new("RGB", (6, 4)).save(folder / name)
    args = UpscalingArguments(output_dir=str(folder), image_format="png")
    assert upscale(pipe, [folder], args).num_made == 2
    PIL.Image.new("RGB", (6, 4)).save(folder / "z.jpg")
    for inputs in (
        [folder],
        sorted(path for path in folder.iterdir() if path.name[0] != "."),
    ):  # as the shell's `own/*`
        done = upscale(pipe, inputs, args)
        assert done.num_images == 3 and not done.unreadable
    assert done.num_made == 0 and len(list(folder.glob("*.png"))) == 3
    with pytest.raises(ValueError, match="`inputs`: all files are results of earlier calls in `output_dir="):
        upscale(pipe, [folder / "x.png"], args)
    PIL.Image.new("RGB", (6, 4)).save(folder / "mine.png")
    with pytest.raises(ValueError, match="contains the input .*mine.png, which would be overwritten"):
        upscale(pipe, [folder], args)


def test_modes_that_other_formats_do_not_hold(model, tmp_path):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)
    PIL.Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(tmp_path / "deep.png")
    PIL.Image.new("RGBA", (6, 6), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    PIL.Image.fromarray(np.ones((6, 6), np.float32)).save(tmp_path / "float.tiff")
    done = upscale(pipe, [tmp_path], UpscalingArguments(output_dir=str(tmp_path / "out"), image_format="jpeg"))
    deep, clear = (np.asarray(PIL.Image.open(tmp_path / "out" / f"{name}.jpg")) for name in ("deep", "clear"))
    assert abs(int(deep.mean()) - 40_000 // 256) < 8 and clear.min() > 240
    assert len(done.unreadable) == 1 and "float.tiff (float pixels" in done.unreadable[0]


def test_a_grey_model_leaves_colours_out(photos, tmp_path):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(save_model(tmp_path / "grey", num_channels=1))
    done = upscale(
        pipe, [photos / "folder"], UpscalingArguments(output_dir=str(tmp_path / "out"), image_format="webp")
    )
    assert (done.num_images, done.num_made) == (1, 1) and len(done.unreadable) == 2
    assert all("colour image" in reason for reason in done.unreadable)
    assert PIL.Image.open(tmp_path / "out" / "deep" / "a.webp").size == (24, 18)


def test_wrong_use(model, photos, tmp_path):
    pipe = DCGANSuperResolutionPipeline.from_pretrained(model)

    def run(*inputs, **options):
        given = {"output_dir": tmp_path / "out", "image_format": "png"} | options
        return upscale(pipe, inputs, UpscalingArguments(**given))

    with pytest.raises(ValueError, match="`inputs=.*nothing.jpg`: no such file"):
        run(photos / "nothing.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="the folder contains no images"):
        run(tmp_path / "empty")
    PIL.Image.new("RGB", (4, 4)).save(photos / "photo.png")
    with pytest.raises(ValueError, match="photo.jpg and .*photo.png would both be written to"):
        run(photos / "photo.jpg", photos / "photo.png")
    with pytest.raises(ValueError, match="contains the input .*photo.png, which would be overwritten"):
        run(photos / "photo.png", output_dir=photos)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        run(photos / "photo.jpg", batch_size=0)
    assert not (tmp_path / "out").exists()
    run(photos / "photo.jpg")
    with pytest.raises(
        ValueError, match="images made with {'image_format': 'png'}, but the settings are now .*'webp'"
    ):
        run(photos / "photo.jpg", image_format="webp")
    # Another photograph of the same name, although it is older, and a file that is not a result.
    other = tmp_path / "other" / "photo.png"
    other.parent.mkdir()
    PIL.Image.new("RGB", (4, 4), "red").save(other)
    os.utime(other, (0, 0))
    assert run(other).num_made == 1 and PIL.Image.open(tmp_path / "out" / "photo.png").size == (8, 8)
    with pytest.raises(ValueError, match="contains .*photo.png, which this command did not make"):
        run(photos / "photo.jpg", output_dir=tmp_path / "other")
    # Results of an earlier call in the folder are not upscaled again.
    inside = photos / "folder" / "large"
    for _ in range(2):
        assert run(photos / "folder", output_dir=inside).num_images == 3
