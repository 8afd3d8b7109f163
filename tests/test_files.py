"""Tests that files and folders survive kills, errors, a full disk and other runs."""

import errno
import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.cli.main import main
from dcgan_hf.files import DiskFullError, finish_replacing, full_disk_error, replacing, replacing_files, write_text
from dcgan_hf.folder_lock import alone_in

from .train_utils import fingerprint


pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs processes that fork")


def dies_at(event, work):
    """Works in a process that kills itself before its n-th file-system event. Returns whether it came to the end."""
    process = os.fork()
    if not process:
        number = 0

        def count():
            nonlocal number
            number += 1
            if number == event:
                os.kill(os.getpid(), signal.SIGKILL)

        def note(name, arguments):
            writes = name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax")
            if writes or name in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
                count()

        def counted_fsync(descriptor, fsync=os.fsync):
            count()
            fsync(descriptor)

        os.fsync = counted_fsync
        sys.addaudithook(note)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_kill_leaves_the_old_or_the_new_file(tmp_path):
    path, found, event = tmp_path / "README.md", set(), 0
    ended = False
    while not ended:
        event += 1
        path.write_text("old")
        ended = dies_at(event, lambda: write_text("new" * 1000, path))
        found.add(path.read_text())
    assert event > 4 and found == {"old", "new" * 1000}


def test_a_kill_leaves_all_files_old_or_all_new(tmp_path):
    old = {
        "model_index.json": "old",
        "config.json": "old",
        "a/config.json": "old",
        "a/weights": "old",
        "notes": "mine",
    }
    new = old | dict.fromkeys(("model_index.json", "config.json", "a/config.json", "a/weights", "b/more"), "new")
    event, ended, seen = 0, False, []

    def save(folder):
        with replacing_files(folder) as staging:
            for name in new.keys() - {"notes"}:
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).write_text("new")

    while not ended:
        event += 1
        folder = tmp_path / str(event)
        for name, text in old.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        ended = dies_at(event, lambda folder=folder: save(folder))
        # Other libraries find no index, or a whole model.
        indexed = {name for name, text in contents(folder).items() if name in new and text != "mine"}
        if "model_index.json" in indexed:
            assert len({(folder / name).read_text() for name in old.keys() - {"notes"}}) == 1
        finish_replacing(folder)
        found = {name: text for name, text in contents(folder).items() if not name.startswith(".saving")}
        assert found in (old, new), event
        seen.append(found == new)
        if event % 8 == 0:
            save(folder)  # after a kill, too
            assert contents(folder) == new
    assert event > 20 and seen == sorted(seen) and len(set(seen)) == 2


def test_a_kill_leaves_the_old_or_the_new_model(tmp_path):
    torch.manual_seed(0)
    old, new = (
        DCGANPipeline(DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=size))) for size in (4, 6)
    )
    old.save_pretrained(tmp_path / "old")
    new.save_pretrained(tmp_path / "new")
    expected = [fingerprint(tmp_path / name / "generator") for name in ("old", "new")]
    found = []
    for event in range(1, 100, 4):
        folder = shutil.copytree(tmp_path / "old", tmp_path / str(event))
        ended = dies_at(event, lambda folder=folder: new.save_pretrained(folder))
        pipe = DCGANPipeline.from_pretrained(folder)
        found.append(expected.index(fingerprint(folder / "generator")))
        assert pipe.generator.config.hidden_size == (old, new)[found[-1]].generator.config.hidden_size
        if ended:
            break
    assert ended and found == sorted(found) and set(found) == {0, 1}


def test_an_error_leaves_the_old_files_and_nothing_else(tmp_path):
    (tmp_path / "config.json").write_text("old")
    with pytest.raises(RuntimeError, match="half-way"), replacing(tmp_path / "config.json") as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half-way")
    with pytest.raises(RuntimeError, match="half-way"), replacing_files(tmp_path) as staging:
        (staging / "config.json").write_text("new")
        raise RuntimeError("half-way")
    assert contents(tmp_path) == {"config.json": "old"}


@pytest.mark.parametrize("sizes", [("50GB", "4KB"), ("4KB", "50GB"), ("4KB", "8KB")])
def test_weights_in_several_files_replace_those_in_one_and_the_other_way_round(tmp_path, sizes):
    """transformers would load the old weights: it prefers the single file."""
    old, new = (DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=4, latent_dim=8)) for _ in sizes)
    old.save_pretrained(tmp_path, max_shard_size=sizes[0])
    old.save_pretrained(tmp_path, variant="fp16")
    new.save_pretrained(tmp_path, max_shard_size=sizes[1])
    for expected, options in ((new, {}), (old, {"variant": "fp16"})):
        loaded = DCGANGenerator.from_pretrained(tmp_path, **options).state_dict()
        assert all(torch.equal(loaded[name], values) for name, values in expected.state_dict().items())


def test_of_several_processes_that_save_one_writes(tmp_path):
    """As in Accelerate's documentation: all of them call `save_pretrained`."""
    generator = DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=4))
    generator.save_pretrained(tmp_path / "model", is_main_process=False)
    assert not (tmp_path / "model").exists()
    generator.save_pretrained(tmp_path / "model", is_main_process=True)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_links_do_not_lead_out_of_a_model_folder(tmp_path):
    """The folder of a stranger, prepared to move files of ours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("mine")
    model = tmp_path / "model"
    model.mkdir()
    (model / ".saved").symlink_to(tmp_path / "mine")
    finish_replacing(model)
    (model / ".saved").unlink()
    (model / ".saved" / "generator").mkdir(parents=True)
    (model / ".saved" / "generator" / "config.json").write_text("theirs")
    (model / "generator").symlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match="generator leads out of"):
        finish_replacing(model)
    shutil.rmtree(model / ".saved")
    (tmp_path / "mine" / "model.safetensors").write_text("mine")
    for name in ("../mine/model.safetensors", str(tmp_path / "mine" / "model.safetensors")):
        (model / ".saved").mkdir(exist_ok=True)
        (model / ".saved" / ".stale").write_text(name)
        with pytest.raises(ValueError, match="leads out of"):
            finish_replacing(model)
    assert contents(tmp_path / "mine") == {"config.json": "mine", "model.safetensors": "mine"}


def killed_after_staging(folder):
    """Saves in a process that dies when the new files count, but before they have been moved."""

    def save():
        with replacing_files(folder) as staging:
            (staging / "config.json").write_text("new")
            (staging / "a").mkdir(exist_ok=True)
            (staging / "a" / "weights").write_text("new")

    for event in range(1, 40):
        if (folder / ".saved").is_dir():
            break
        assert not dies_at(event, save)


def test_readers_that_complete_a_save_together_lose_nothing(tmp_path):
    killed_after_staging(tmp_path)
    ready, go_on = os.pipe(), os.pipe()

    def slow_reader(rename=os.replace):
        def replace(*names):  # half-way
            os.replace = rename
            os.write(ready[1], b"1")
            os.read(go_on[0], 1)
            rename(*names)

        os.replace = replace
        finish_replacing(tmp_path)

    def quick_reader():
        os.read(ready[0], 1)
        threading.Timer(0.2, lambda: os.write(go_on[1], b"1")).start()
        finish_replacing(tmp_path)  # waits for the slow one
        assert contents(tmp_path) == {"config.json": "new", "a/weights": "new"}

    processes = []
    for work in (slow_reader, quick_reader):
        process = os.fork()
        if not process:
            with suppress(BaseException):
                work()
                os._exit(0)
            os._exit(1)
        processes.append(process)
    assert [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes] == [0, 0]
    assert contents(tmp_path) == {"config.json": "new", "a/weights": "new"}


def test_saving_at_the_same_time_leaves_one_of_the_models(tmp_path):
    def save(text):
        for _ in range(20):
            with replacing_files(tmp_path) as staging:
                for name in ("config.json", "weights"):
                    (staging / name).write_text(text)

    processes = []
    for text in "ab":
        process = os.fork()
        if not process:
            with suppress(BaseException):
                save(text)
                os._exit(0)
            os._exit(1)
        processes.append(process)
    while any(path.name == ".saved" for path in tmp_path.iterdir()) or not (tmp_path / "weights").exists():
        finish_replacing(tmp_path)
    assert [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes] == [0, 0]
    assert contents(tmp_path) in ({"config.json": text, "weights": text} for text in "ab")


def test_a_reader_without_permission_is_told_of_the_interrupted_save(tmp_path):
    killed_after_staging(tmp_path)
    tmp_path.chmod(0o555)
    said, answer = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.chdir(tmp_path)  # its parents belong to this user
            if os.getuid() == 0:
                os.setuid(65534)
            finish_replacing(Path("."))
        except BaseException as error:
            os.write(answer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    os.close(answer)
    tmp_path.chmod(0o755)
    words = os.read(said, 10_000).decode()
    assert "ValueError: . was being saved when that was interrupted" in words and "Permission denied" in words
    finish_replacing(tmp_path)
    assert contents(tmp_path) == {"config.json": "new", "a/weights": "new"}


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    SafetensorError('IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 21184 vs 21076"),
    RuntimeError("basic_ios::clear: iostream error"),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_called_so(error, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 5000, 5000))
    wanted = "The disk is full: .*card.md could not be written .0.0 MB free.. Files written before are unchanged"
    (tmp_path / "card.md").write_text("old")
    with pytest.raises(DiskFullError, match=wanted), replacing(tmp_path / "card.md") as temporary:
        temporary.write_text("ne")
        raise error
    assert contents(tmp_path) == {"card.md": "old"}


def test_other_errors_keep_their_words(tmp_path):
    assert full_disk_error(OSError(errno.EACCES, "Permission denied"), tmp_path) is None
    assert full_disk_error(RuntimeError("inline_container"), tmp_path) is None  # there is room
    assert full_disk_error(OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300)) is None
    wrapped = ValueError("An error occurred while generating the dataset")
    wrapped.__cause__ = FULL[0]
    assert "a file could not be written" in str(full_disk_error(wrapped))


def test_one_run_at_a_time_writes_to_a_folder(tmp_path, capsys):
    folder = tmp_path / "runs" / "one"
    ready, go_on = os.pipe(), os.pipe()
    process = os.fork()
    if not process:
        with alone_in(folder):
            os.write(ready[1], b"1")
            os.read(go_on[0], 1)
    os.read(ready[0], 1)
    before = contents(folder)
    reason = f"another run is writing there \\(process {process} on .*, since 20.*\\)"
    with pytest.raises(ValueError, match=f"`output_dir=.*one`: {reason}"), alone_in(folder):
        pass
    flags = ["--dataset_name", "digits", "--resolution", "16", "--max_train_steps", "1", "--use_cpu"]
    assert main(["train", *flags, "--output_dir", str(folder), "--overwrite_output_dir"]) == 2
    assert "--output_dir" in capsys.readouterr().err and contents(folder) == before
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with alone_in(folder):
        assert (folder / ".running.json").is_file()
    assert not contents(folder)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written: File exists"), alone_in(tmp_path / "file"):
        pass
    with (
        pytest.raises(ValueError, match="output_dir=.* cannot be written: File name too long"),
        alone_in(tmp_path / ("a" * 300) / "run"),
    ):
        pass
    assert main(["train", *flags, "--output_dir", str(tmp_path / ("a" * 300))]) == 2
    assert "--output_dir" in capsys.readouterr().err
    with pytest.raises(RuntimeError), alone_in(tmp_path / "new"):
        raise RuntimeError
    assert not (tmp_path / "new").exists()
