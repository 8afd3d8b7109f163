"""Tests that upscaling never replaces what it should not, and that results are complete or absent."""

import json
import os
import resource
import shutil
import subprocess
import sys

import PIL.Image
import pytest

from dcgan_hf.inference.arguments import UpscalingArguments
from dcgan_hf.inference.upscale import upscale


@pytest.fixture
def enlarge(pipe, tmp_path):
    def run(*inputs, **options):
        return upscale(pipe, inputs, UpscalingArguments(**{"output_dir": str(tmp_path / "out")} | options))

    return run


@pytest.fixture
def source(photo, tmp_path):
    path = tmp_path / "photos" / "photo.png"
    path.parent.mkdir()
    photo.save(path)
    return path


def test_other_files_are_replaced_only_if_told(enlarge, source, tmp_path):
    result = tmp_path / "out" / "photo.png"
    result.parent.mkdir()
    result.write_bytes(b"something else")
    with pytest.raises(ValueError, match="contains .*photo.png, which this command did not make and would overwrite"):
        enlarge(source)
    assert result.read_bytes() == b"something else" and len([*result.parent.iterdir()]) == 1
    assert enlarge(source, overwrite=True).num_made == 1
    assert PIL.Image.open(result).size == (80, 60)
    # From now on, it is one of ours.
    os.utime(source, (0, 0))
    assert enlarge(source).num_made == 1
    # Unless somebody has changed it.
    PIL.Image.new("RGB", (80, 60)).save(result)
    assert enlarge(source).num_made == 0
    os.utime(source, (1, 1))
    with pytest.raises(ValueError, match="which this command did not make"):
        enlarge(source)
    assert enlarge(source, overwrite=True).num_made == 1


def test_an_interruption_before_a_file_is_replaced(enlarge, source, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.png").write_bytes(b"something else")

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PIL.Image.Image, "save", interrupt)
        with pytest.raises(KeyboardInterrupt, match="repeat the command to continue"):
            enlarge(source, overwrite=True)
    assert [path.read_bytes() for path in (tmp_path / "out").glob("*.png")] == [b"something else"]
    with pytest.raises(ValueError, match="which this command did not make"):
        enlarge(source)


def test_a_folder_of_that_name_is_never_replaced(enlarge, source, tmp_path):
    (tmp_path / "out" / "photo.png").mkdir(parents=True)
    with pytest.raises(ValueError, match="contains .*photo.png"):
        enlarge(source, overwrite=True)


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_sources_are_never_replaced(enlarge, source, tmp_path, link):
    before = source.read_bytes()
    with pytest.raises(ValueError, match="contains the input .*photo.png, which would be overwritten"):
        enlarge(source, output_dir=str(source.parent), overwrite=True)
    (tmp_path / "out").mkdir()
    link(source, tmp_path / "out" / "photo.png")
    with pytest.raises(ValueError, match="contains the input .*photo.png, which would be overwritten"):
        enlarge(source, overwrite=True)
    # The folder of results may be a link to that of the sources.
    os.symlink(source.parent, tmp_path / "linked")
    with pytest.raises(ValueError, match="which would be overwritten"):
        enlarge(source.parent, output_dir=str(tmp_path / "linked"), overwrite=True)
    assert source.read_bytes() == before


def test_a_suffix_puts_results_beside_their_sources(enlarge, source, photo):
    folder = source.parent
    photo.save(folder / "b.jpg")
    for suffix, outscale in (("_x2", None), ("_x3", 3)):
        for number in (2, 0):
            done = enlarge(folder, output_dir=str(folder), suffix=suffix, outscale=outscale)
            assert (done.num_images, done.num_made) == (2, number)
    images = sorted(path.name for path in folder.iterdir() if "json" not in path.suffix)
    assert images == ["b.jpg", "b_x2.jpg", "b_x3.jpg", "photo.png", "photo_x2.png", "photo_x3.png"]
    assert PIL.Image.open(folder / "b_x3.jpg").size == (120, 90)
    with pytest.raises(ValueError, match="`suffix=../x` must consist of letters"):
        UpscalingArguments(suffix="../x")


def test_records_of_a_kill(enlarge, source, tmp_path):
    """What a kill leaves between the claim of a name and its image, or between the image and the note that it is complete."""
    enlarge(source)
    result, record = tmp_path / "out" / "photo.png", tmp_path / "out" / "upscaled-0.jsonl"
    complete = result.read_bytes()
    line = json.loads(record.read_text().splitlines()[-1])
    record.write_text(json.dumps([*line[:2], None]) + "\n")
    assert enlarge(source).num_made == 1
    record.write_text(json.dumps([*line[:2], None]) + "\n" + '["pho')
    result.unlink()
    (tmp_path / "out" / ".part-1-2").write_bytes(b"half")
    assert enlarge(source).num_made == 1 and result.read_bytes() == complete
    assert not (tmp_path / "out" / ".part-1-2").exists()
    assert enlarge(source).num_made == 0


def test_what_is_left_in_subfolders_is_removed(enlarge, photo, tmp_path):
    for name in ("a.png", "in/b.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / "photos" / name)
    (tmp_path / "out" / "in").mkdir(parents=True)
    (tmp_path / "out" / "in" / ".part-1-2").write_bytes(b"half")
    enlarge(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "out" / "in").iterdir()] == ["b.png"]


def test_a_limit_of_the_file_size(enlarge, photo, tmp_path):
    """The last bytes before the limit are written in part, which Pillow by itself would not notice."""
    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "a.bmp")
    photo.resize((300, 200)).save(tmp_path / "photos" / "large.bmp")
    out = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (720_000, before[1]))  # the result has 54 bytes more
    try:
        with pytest.raises(OSError, match="large.bmp could not be written: File too large"):
            enlarge(tmp_path / "photos")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (out / "large.bmp").exists() and not [*out.glob(".part*")]
    enlarge(tmp_path / "photos")
    assert PIL.Image.open(out / "large.bmp").size == (600, 400) and PIL.Image.open(out / "a.bmp").size == (80, 60)


TINY_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def test_a_full_disk(model, photo, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    script = f'mount -t tmpfs -o size=700k tmpfs {out} && "$@"; status=$?; ls -A {out}; exit $status'
    if shutil.which("unshare") is None or subprocess.run([*TINY_DISK, f"mount -t tmpfs tmpfs {out}"]).returncode:
        pytest.skip("no tiny disk without privileges")
    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "a.bmp")
    photo.resize((300, 200)).save(tmp_path / "photos" / "large.bmp")
    words = ["upscale", tmp_path / "photos", "--model", model, "--output_dir", out, "--use_cpu"]
    command = [*TINY_DISK, script, "sh", sys.executable, "-m", "dcgan_hf", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: The disk is full: {out / 'large.bmp'} could not be written")
    assert "Make room, then repeat the command." in last
    assert "large.bmp" not in done.stdout and ".part" not in done.stdout and "upscaled-0.jsonl" in done.stdout
