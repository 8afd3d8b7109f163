"""Tests of upscaling videos. ffmpeg itself makes and reads them."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from dcgan_hf import DCGANSuperResolutionPipeline
from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.output_size import plan_size
from dcgan_hf.inference.video import upscale_videos
from dcgan_hf.inference.video_files import frame_writer, look_at_video, read_frames

from ..processes import run_elsewhere
from ..train_utils import ROOT, run_command
from .conftest import save_model


BT709 = "scale=out_color_matrix=bt709:out_range=tv,setparams=color_primaries=bt709:color_trc=bt709"


def ffmpeg(*words):
    """Runs ffmpeg. Returns the standard output, and the messages."""
    command = [get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", "-threads", "1", *map(str, words)]
    done = subprocess.run(command, capture_output=True)
    return done.stdout, done.stderr.decode()


def make_video(path, *options, size="32x24", rate="30000/1001", frames=8, sound="aac", source="testsrc"):
    video = ["-f", "lavfi", "-i", f"{source}=size={size}:rate={rate}"]
    seconds = float(frames / Fraction(rate))
    with_sound = ["-f", "lavfi", "-i", f"sine=duration={seconds}", "-c:a", sound] if sound else []
    coded = ["-frames:v", frames, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "4"]
    messages = ffmpeg(*video, *with_sound, *coded, *options, path)[1]
    assert path.exists(), messages
    return path


def facts(path):
    return ffmpeg("-i", path, "-map", "0:v", "-vf", "showinfo", "-f", "null", "-")[1]


def frames_of(path, size, mode="rgb24"):
    """Returns the frames of a video, of shape `(num_frames, height, width, ...)`."""
    content = ffmpeg("-i", path, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", mode, "-")[0]
    shape = (-1, size[1], size[0], 3) if mode == "rgb24" else (-1, size[1], size[0])
    return np.frombuffer(content, np.uint8).reshape(shape)


def luminance_of(path, size):
    """Returns the luminance of frames, which has the full resolution, of shape `(num_frames, height, width)`."""
    content = ffmpeg("-i", path, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")[0]
    frames = np.frombuffer(content, np.uint8).reshape(-1, size[0] * size[1] * 3 // 2)
    return frames[:, : size[0] * size[1]].reshape(-1, size[1], size[0])


def hash_of(path, stream):
    return ffmpeg("-i", path, "-map", f"0:{stream}", "-c", "copy", "-f", "streamhash", "-")[0]


def psnr(one, two):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - two.astype(float)) ** 2))


def arguments(folder, **changes):
    return UpscalingArguments(output_dir=str(folder), video=True, **changes)


@pytest.fixture
def film(tmp_path):
    said = ["-metadata", "title=Film", "-metadata", "creation_time=2024-05-06T07:08:09Z"]
    # Without colours, whose resolution is halved.
    return make_video(tmp_path / "film.mp4", "-vf", f"hue=s=0,{BT709}", *said)


def test_a_film_from_the_command_line(model, pipe, film, tmp_path, capsys):
    words = [film, "--video", "--model", model, "--output_dir", tmp_path / "large", "--use_cpu"]
    run_command("upscale", *words)
    assert "Videos: " in (told := capsys.readouterr().out) and "(1, 1 of them new)" in told
    large = tmp_path / "large" / "film.mp4"
    small_frames, large_frames = frames_of(film, (32, 24)), luminance_of(large, (64, 48))
    assert len(large_frames) == len(small_frames) == 8
    for small, result in zip(small_frames, large_frames):
        expected = np.asarray(pipe(PIL.Image.fromarray(small)).images[0])
        assert psnr(result, 16 + expected @ np.array([0.2126, 0.7152, 0.0722]) * 219 / 255) > 35  # of BT.709
    assert hash_of(large, "a:0") == hash_of(film, "a:0")  # the sound is copied bit by bit
    said = facts(large)
    assert "frame_rate: 30000/1001" in said and "yuv420p(tv, bt709, progressive)" in said
    assert re.search(r"title +: Film", said) and "creation_time   : 2024-05-06T07:08:09" in said
    duration, start = (re.search(r"Duration: (\S+), start: (\S+),", facts(path)).groups() for path in (film, large))
    assert duration == start
    # A finished film is kept; a changed one is made again.
    made = large.stat().st_mtime_ns
    run_command("upscale", *words)
    assert "(1, 0 of them new)" in capsys.readouterr().out and large.stat().st_mtime_ns == made
    make_video(film, rate="25", frames=2)
    run_command("upscale", *words)
    assert "(1, 1 of them new)" in capsys.readouterr().out and "frame_rate: 25/1" in facts(large)
    assert sorted(path.name for path in large.parent.iterdir()) == [
        "film.mp4",
        "upscaled-0.jsonl",
        "upscaling_args.json",
    ]


def test_films_of_phones_are_upright_once(pipe, film, tmp_path):
    ffmpeg("-display_rotation", "90", "-i", film, "-c", "copy", tmp_path / "turned.MOV")
    upscale_videos(pipe, [tmp_path / "turned.MOV"], arguments(tmp_path / "out", outscale=1))
    result = tmp_path / "out" / "turned.MOV"
    assert "rotation of" not in facts(result) and re.search(r"title +: Film", facts(result))
    assert psnr(frames_of(result, (24, 32)), np.rot90(frames_of(film, (32, 24)), axes=(1, 2))) > 35


@pytest.mark.parametrize("color_range, matrix", [("tv", "bt709"), ("pc", "bt709"), ("tv", "bt2020nc"), ("tv", None)])
def test_colours_are_kept(tmp_path, color_range, matrix):
    """One frame of large areas, so that the colours' resolution has no influence."""
    tags = ["-colorspace", matrix] if matrix else []
    filters = f"scale=out_range={color_range}:out_color_matrix={matrix or 'smpte170m'}"
    untagged = [] if matrix else ["-bsf:v", "h264_metadata=matrix_coefficients=2"]
    options = ["-vf", filters, "-color_range", color_range, *tags, *untagged]
    source = make_video(tmp_path / "a.mkv", *options, size="64x64", frames=1, sound=None, source="rgbtestsrc")
    facts_of_source = look_at_video(source)
    assert facts_of_source.matrix == (matrix or "smpte170m")
    (frame,) = read_frames(source, facts_of_source)
    with frame_writer(tmp_path / "b.mkv", source, facts_of_source, (64, 64)) as write:
        write(frame)
    pixels = np.frombuffer(frame, np.uint8).reshape(64, 64, 3)
    for row, colour in ((8, (128, 0, 0)), (32, (0, 128, 0)), (56, (0, 0, 128))):
        assert np.abs(pixels[row, 32].astype(int) - colour).max() <= 4
    (again,) = read_frames(tmp_path / "b.mkv", look_at_video(tmp_path / "b.mkv"))
    assert psnr(np.frombuffer(again, np.uint8), np.frombuffer(frame, np.uint8)) > 35
    assert f"({color_range}, {matrix or 'smpte170m'}" in facts(tmp_path / "b.mkv")


def test_grey_films_and_grey_models(film, tmp_path, caplog):
    grey_pipe = DCGANSuperResolutionPipeline.from_pretrained(save_model(tmp_path / "model", num_channels=1))
    grey = make_video(tmp_path / "grey.mkv", "-pix_fmt", "gray", "-c:v", "ffv1", frames=2, sound=None)
    done = upscale_videos(grey_pipe, [film, grey], arguments(tmp_path / "out"))
    assert done.num_made == 1 and "film.mp4 (colour video, but the model upscales only grey ones" in caplog.text
    small, large = frames_of(grey, (32, 24), "gray"), frames_of(tmp_path / "out" / "grey.mkv", (64, 48), "gray")
    assert psnr(large[1], np.asarray(grey_pipe(PIL.Image.fromarray(small[1])).images[0])) > 35


def test_other_containers_become_matroska(pipe, tmp_path):
    old = make_video(tmp_path / "old.avi", "-vf", "setsar=4/3", sound="pcm_s16le", frames=2)
    upscale_videos(pipe, [old], arguments(tmp_path, suffix="_x2"))
    assert hash_of(tmp_path / "old_x2.mkv", "a:0") == hash_of(old, "a:0")
    assert "SAR 4:3" in facts(tmp_path / "old_x2.mkv")


def test_a_variable_frame_rate_becomes_constant(pipe, tmp_path):
    """Frames are shown when they were: the third one after a second."""
    late = "hue=s=0,setpts='(N+if(gte(N,2),28,0))/30/TB'"
    source = make_video(tmp_path / "a.mkv", "-vf", late, "-fps_mode", "vfr", "-enc_time_base", "1:1000", rate="30")
    assert look_at_video(source).frame_rate == 30 and look_at_video(source).num_frames == 36
    upscale_videos(pipe, [source], arguments(tmp_path / "out", outscale=1))
    frames = frames_of(tmp_path / "out" / "a.mkv", (32, 24))
    assert len(frames) == 36
    before = frames_of(source, (32, 24))
    assert psnr(frames[29], before[1]) > 35 and psnr(frames[30], before[-6]) > 35


@pytest.mark.parametrize("changes, size", [({}, (66, 50)), ({"outscale": 1.5}, (48, 36)), ({"width": 47}, (46, 34))])
def test_sizes_are_even(changes, size):
    source = (32, 24) if changes else (33, 25)
    assert plan_size(source, 2, arguments("x", **changes)).size == size


def test_what_cannot_be_upscaled(pipe, film, tmp_path):
    fast = tmp_path / "fast.mp4"
    ffmpeg("-i", film, "-c", "copy", "-movflags", "faststart", fast)
    files = {
        "empty.mp4": (b"", "it is empty"),
        "text.mp4": (b"some words", "damaged or no video: moov atom not found"),
        "cut.mp4": (film.read_bytes()[:1500], "it is damaged or no video: moov atom not found"),
        "short.mp4": (fast.read_bytes()[:-500], "it is incomplete: .*partial file"),
        "list.mp4": (b"#EXTM3U\n#EXTINF:1,\nhttp://localhost/a.ts\n", "no video|not a video of a known format"),
    }
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.1", tmp_path / "sound.mkv")
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    reasons = {name: reason for name, (_, reason) in files.items()}
    reasons |= {"photo.png": "not a video of a known format", "sound.mkv": "it has no video stream"}
    done = upscale_videos(pipe, [tmp_path / name for name in reasons], arguments(tmp_path / "out"))
    assert done.num_images == done.num_made == 0
    for (name, reason), told in zip(reasons.items(), done.unreadable, strict=True):
        assert name in told and re.search(reason, told), told
    assert not list((tmp_path / "out").glob("*.m*"))


def test_errors_before_any_work(pipe, model, film, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "film.mp4").write_bytes(b"mine")
    with pytest.raises(ValueError, match="which this command did not make and would overwrite"):
        upscale_videos(pipe, [film], arguments(tmp_path / "out"))
    assert upscale_videos(pipe, [film], arguments(tmp_path / "out", overwrite=True)).num_made == 1
    with pytest.raises(ValueError, match="contains the input .*film.mp4, which would be overwritten"):
        upscale_videos(pipe, [film], arguments(tmp_path, overwrite=True))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="the folder contains no videos"):
        upscale_videos(pipe, [tmp_path / "empty"], arguments(tmp_path / "large"))
    with pytest.raises(ValueError, match="`image_format=png` has no effect with `video`"):
        arguments("x", image_format="png")
    with pytest.raises(ValueError, match="`inputs=-` is an image. With `video`, name a file"):
        run_command("upscale", "-", "--video")
    with pytest.raises(ValueError, match=r"film.mp4 \(videos need `video`\)"):
        run_command("upscale", film, "--model", model, "--output_dir", tmp_path / "other", "--use_cpu")


def test_several_processes_are_refused(model, film, tmp_path):
    words = ["upscale", film, "--video", "--model", model, "--output_dir", tmp_path / "out", "--use_cpu"]
    with pytest.raises(AssertionError, match="--video works in one process, not in 2"):
        run_elsewhere(*words, processes=2)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_names_its_extra(film, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError) as error:
        run_command("upscale", film, "--video", "--model", "nowhere")
    assert error.value.name == "imageio_ffmpeg"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    naming = [name for name, packages in extras.items() if any(word.startswith("imageio-ffmpeg") for word in packages)]
    assert naming[0] == "video"  # the first one is named in the error


def test_folders_and_patterns(pipe, film, tmp_path):
    (tmp_path / "films" / "deep").mkdir(parents=True)
    small = make_video(tmp_path / "films" / "deep" / "a.mp4", frames=1, sound=None)
    (tmp_path / "films" / ".hidden.mp4").write_bytes(b"no film")
    for given in (tmp_path / "films", str(tmp_path / "films" / "**" / "*.mp4")):
        done = upscale_videos(pipe, [given], arguments(tmp_path / "out"))
        assert done.num_images == 1 and not done.unreadable
        assert (tmp_path / "out" / "deep" / "a.mp4").exists() and small.exists()


def children_of(pid):
    """Returns the processes of ffmpeg that a process has started."""
    found = [word for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return [int(word) for word in found if not is_dead(word) and "(ffmpeg" in Path(f"/proc/{word}/stat").read_text()]


def wait_for_both(pid, folder):
    """Waits until one ffmpeg reads and another one has begun to write."""
    while len(found := children_of(pid)) < 2 or not list(folder.glob(".part-*")):
        time.sleep(0.01)
    return found


def is_dead(pid):
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("long") / "long.mp4", "-preset", "ultrafast", frames=3000)


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")


@needs_proc
def test_a_killed_command_leaves_no_video_and_no_process(model, long_film, tmp_path):
    words = ["upscale", long_film, "--video", "--model", model, "--output_dir", tmp_path / "out", "--use_cpu"]
    process = subprocess.Popen([sys.executable, "-m", "dcgan_hf", *map(str, words)], stderr=subprocess.DEVNULL)
    started = wait_for_both(process.pid, tmp_path / "out")
    process.kill()
    process.wait()
    while not all(map(is_dead, started)):
        time.sleep(0.01)
    assert not (tmp_path / "out" / "long.mp4").exists()


@needs_proc
def test_ctrl_c_leaves_no_video_and_no_process(pipe, long_film, tmp_path):
    def press():
        wait_for_both(os.getpid(), tmp_path / "out")
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press, daemon=True)
    pressing.start()
    with pytest.raises(KeyboardInterrupt, match="the one under way begins anew"):
        upscale_videos(pipe, [long_film], arguments(tmp_path / "out"))
    assert not children_of(os.getpid())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["upscaled-0.jsonl", "upscaling_args.json"]


def test_a_video_that_cannot_be_written_is_absent(pipe, tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    film = make_video(tmp_path / "film.mp4", "-vf", "noise=alls=100", size="64x48")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        done = upscale_videos(pipe, [film], arguments(tmp_path / "out", outscale=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.num_made == 0 and "ffmpeg ended with status" in done.unreadable[0]
    assert not list((tmp_path / "out").glob("*.mp4")) and not list((tmp_path / "out").glob(".part-*"))
    assert upscale_videos(pipe, [film], arguments(tmp_path / "out", outscale=8)).num_made == 1
