"""Tests that checkpoints survive power cuts and damage, run no code, and delete nobody's files."""

import hashlib
import json
import os
import pickle
import shutil
import signal
from pathlib import Path

import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from dcgan_hf.evaluation.records import Metric, check_place_for_metrics, read_metrics, write_metrics
from dcgan_hf.model_folder import (
    check_place_for_explanation,
    check_place_for_model,
    check_place_for_run,
    remove_stale_files,
)
from dcgan_hf.training.checkpoint_files import DamagedCheckpointError, read_state, safe_to_load, write_state
from dcgan_hf.training.checkpointing import (
    TrainerState,
    checkpoint_folder,
    find_checkpoint,
    list_checkpoints,
    prepare_output_dir,
)
from dcgan_hf.training.session import StopSignals

from ..train_utils import checkpoints, fingerprint, run_command, tiny_flags, train_here


OPTIONS = {"max_train_steps": 8, "checkpointing_steps": 4}
FILES = ["ema.safetensors", "model.safetensors", "model_1.safetensors", "optimizer.bin", "optimizer_1.bin"]
FILES += ["random_states_0.pkl", "trainer_state.json"]
CONTENT = ("state", "arguments", "num_processes", "positions")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("checkpoints") / "run"
    train_here(output_dir, **OPTIONS)
    return output_dir


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- power cuts ----


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the names of open files")
def test_a_checkpoint_is_on_the_disk_before_it_counts_and_before_an_older_one_goes(tmp_path, monkeypatch):
    events = []

    def recorded(name, function, place):
        def call(*arguments, **options):
            events.append((name, place(*arguments)))
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", recorded("flush", os.fsync, lambda fd: os.readlink(f"/proc/self/fd/{fd}")))
    monkeypatch.setattr(os, "replace", recorded("rename", os.replace, lambda old, new: (str(old), str(new))))
    monkeypatch.setattr(shutil, "rmtree", recorded("delete", shutil.rmtree, lambda path, **options: str(path)))
    train_here(tmp_path, **OPTIONS, checkpoints_total_limit=1)
    for step in (4, 8):
        folder, temporary = str(tmp_path / f"checkpoint-{step}"), str(tmp_path / f".tmp-checkpoint-{step}")
        named = events.index(("rename", (temporary, folder)))
        flushed = {place for name, place in events[:named] if name == "flush"}
        assert {temporary, *(f"{temporary}/{file}" for file in FILES)} <= flushed
    named = events.index(("rename", (temporary, folder)))
    is_durable = events.index(("flush", str(tmp_path)), named)
    older = str(tmp_path / "checkpoint-4")
    goes = [i for i, (name, place) in enumerate(events) if older in str(place) and name in ("rename", "delete")]
    assert is_durable < goes[-1] and checkpoints(tmp_path) == ["checkpoint-8"]
    for name in ("README.md", "training_results.json", "samples/step-0000008.png", "training.gif"):
        (renamed,) = [place for kind, place in events if kind == "rename" and place[1] == str(tmp_path / name)][-1:]
        assert ("flush", renamed[0]) in events, name


# ---- damage ----


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def be_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "bit": flip_a_bit,
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "folder": be_a_folder,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_refused_by_name_and_the_latest_whole_one_found(copy, name, kind, caplog):
    DAMAGE[kind](copy / "checkpoint-8" / name)
    wanted = (
        f"`resume_from_checkpoint=checkpoint-8`: .*{name} is (missing|damaged).*whole checkpoint is .*checkpoint-4"
    )
    with pytest.raises(ValueError, match=wanted):
        find_checkpoint(copy, "checkpoint-8")
    assert find_checkpoint(copy, "latest") == copy / "checkpoint-4"
    assert name in caplog.text and "Resuming from an earlier checkpoint." in caplog.text


def test_a_run_resumes_from_the_latest_whole_checkpoint(run, copy):
    flip_a_bit(copy / "checkpoint-8" / "optimizer.bin")
    train_here(copy, **OPTIONS, resume_from_checkpoint="latest")
    assert fingerprint(copy / "checkpoint-8") == fingerprint(run / "checkpoint-8")
    assert (copy / "abandoned-checkpoint-8").is_dir()
    for step in (4, 8):
        cut(copy / f"checkpoint-{step}" / "model.safetensors")
    before = contents(copy)
    with pytest.raises(ValueError, match="`resume_from_checkpoint=latest`: no checkpoint in .* is whole"):
        train_here(copy, **OPTIONS, resume_from_checkpoint="latest")
    assert contents(copy) == before


def lose_the_state(folder):
    (folder / "trainer_state.json").unlink()


def empty_the_state(folder):
    (folder / "trainer_state.json").write_text("{}")


@pytest.mark.parametrize("damage", [lose_the_state, empty_the_state, shutil.rmtree])
def test_no_run_starts_over_one_without_being_asked(copy, damage):
    """Without a whole checkpoint, or with the model alone."""
    shutil.rmtree(copy / "checkpoint-4")
    damage(copy / "checkpoint-8")
    before = contents(copy)
    for resume in ("latest", None):
        with pytest.raises(ValueError, match="no checkpoint in .* is whole|holds (checkpoints|the model) of another"):
            train_here(copy, **OPTIONS, resume_from_checkpoint=resume, seed=5)
        assert contents(copy) == before


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_bit_of_the_state_file_flips_unnoticed(run, data):
    path = run / "checkpoint-8" / "trainer_state.json"
    whole, content = path.read_bytes(), read_state(path.parent)
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    try:
        assert read_state(path.parent) == content
    except DamagedCheckpointError as error:
        assert str(path) in str(error)
    finally:
        path.write_bytes(whole)


def test_states_of_other_versions_are_refused_by_name(copy):
    path = copy / "checkpoint-8" / "trainer_state.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(
        ValueError, match="trainer_state.json has format 2, but this version of dcgan_hf reads format 1"
    ):
        find_checkpoint(copy, "checkpoint-8")
    content["state"]["pace"] = 3
    write_state(path.parent, {name: content[name] for name in CONTENT})
    with pytest.raises(ValueError, match="has unknown fields: .'pace'"):
        TrainerState.read(path.parent)


# ---- code ----


class Intruder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", [*FILES, "custom_checkpoint_0.pkl", "pytorch_model.bin", "scaler.pt"])
def test_no_file_of_a_checkpoint_runs_code(copy, tmp_path, name):
    folder = copy / "checkpoint-8"
    content = read_state(folder)
    for save in (lambda intruder, path: path.write_bytes(pickle.dumps(intruder, protocol=2)), torch.save):
        save(Intruder(tmp_path / "was-here"), folder / name)
        if name != "trainer_state.json":  # a stranger computes the checksums, too
            write_state(folder, {name: content[name] for name in CONTENT})
        with pytest.raises(DamagedCheckpointError, match=f"{name} is damaged"), safe_to_load(folder):
            pass
    if name == "custom_checkpoint_0.pkl":
        with pytest.raises(ValueError, match=f"{name} is damaged, or holds more than tensors"):
            train_here(copy, **OPTIONS, resume_from_checkpoint="checkpoint-8")
    assert not (tmp_path / "was-here").exists()


def test_checkpoints_of_the_first_version_resume_bit_for_bit(run, copy):
    """Without format and checksums, and with a pickled average."""
    shutil.rmtree(copy / "checkpoint-8")
    folder = copy / "checkpoint-4"
    content = read_state(folder)
    (folder / "trainer_state.json").write_text(json.dumps({name: content[name] for name in CONTENT}))
    torch.save(load_file(folder / "ema.safetensors"), folder / "custom_checkpoint_0.pkl")
    (folder / "ema.safetensors").unlink()
    train_here(copy, **OPTIONS, resume_from_checkpoint="latest")
    assert fingerprint(copy / "checkpoint-8") == fingerprint(run / "checkpoint-8")
    cut(folder / "optimizer.bin")
    with pytest.raises(ValueError, match="optimizer.bin is damaged"):
        train_here(copy, **OPTIONS, resume_from_checkpoint="checkpoint-4")


def change_state(part=None, **changes):
    def change(folder):
        path = folder / "trainer_state.json"
        content = json.loads(path.read_text())
        changed = content | changes if part is None else content | {part: content[part] | changes}
        path.write_text(json.dumps(changed))

    return change


def save_average(average):
    return lambda folder: torch.save(average, folder / "custom_checkpoint_0.pkl")


@pytest.mark.parametrize(
    "damage, reason",
    [
        (change_state("state", step="eight"), "trainer_state.json is damaged: its `step` is 'eight'"),
        (change_state("state", seconds=None), "its `seconds` is None"),
        (change_state(state=None), "trainer_state.json is not the state of a run: its `state` is None"),
        (change_state(arguments=[]), "its `arguments` is .."),
        (change_state(num_processes="1"), "its `num_processes` is '1'"),
        (change_state(positions=[]), "its `positions` is"),
        (change_state(positions=[[1]]), "its `positions` is"),
        (save_average([1]), "custom_checkpoint_0.pkl is damaged: it does not hold the weights"),
        (save_average({"a": torch.tensor(torch.nan)}), "custom_checkpoint_0.pkl is damaged: .* not finite"),
        (
            lambda folder: (folder / "custom_checkpoint_0.pkl").unlink(),
            "checkpoint-8/custom_checkpoint_0.pkl is missing",
        ),
        (lambda folder: cut(folder / "model.safetensors"), "model.safetensors is damaged"),
    ],
)
def test_damage_of_the_first_version_is_named_and_the_latest_whole_one_found(copy, damage, reason, caplog):
    for step in (4, 8):
        folder = copy / f"checkpoint-{step}"
        content = read_state(folder)
        (folder / "trainer_state.json").write_text(json.dumps({name: content[name] for name in CONTENT}))
        torch.save(load_file(folder / "ema.safetensors"), folder / "custom_checkpoint_0.pkl")
        (folder / "ema.safetensors").unlink()
    damage(copy / "checkpoint-8")
    with pytest.raises(ValueError, match=reason):
        find_checkpoint(copy, "checkpoint-8")
    with pytest.raises(DamagedCheckpointError, match=reason), safe_to_load(copy / "checkpoint-8"):
        TrainerState.read(copy / "checkpoint-8")
    assert find_checkpoint(copy, "latest") == copy / "checkpoint-4"


def test_checksums_of_another_form_are_refused(copy):
    path = copy / "checkpoint-8" / "trainer_state.json"
    content = json.loads(path.read_text()) | {"files": []}
    del content["checksum"]
    content["checksum"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedCheckpointError, match="trainer_state.json is not the state of a run: its `files` is"):
        read_state(path.parent)


# ---- files of others ----


def test_a_run_resumes_with_its_classes_in_their_order(tmp_path, caplog):
    """Renaming a class folder changes the ids of the others. More images change the result, but not the classes."""

    def train(output_dir, **more):
        run_command("train", *tiny_flags(output_dir, **changes, **more), "--class_names", "x", "y")

    data = tmp_path / "data"
    for name in ("a", "b"):
        (data / name).mkdir(parents=True)
        for i in range(4):
            PIL.Image.new("L", (16, 16), 60 * i).save(data / name / f"{i}.png")
    changes = {"dataset_name": data, "class_conditional": True, "train_batch_size": 4, "checkpointing_steps": 1}
    train(tmp_path / "run", max_train_steps=1)
    shutil.copy(data / "a" / "0.png", data / "a" / "4.png")
    shutil.copytree(tmp_path / "run", tmp_path / "more")
    resumed = {"max_train_steps": 2, "resume_from_checkpoint": "latest"}
    train(tmp_path / "more", **resumed)
    assert "Resuming with `num_images=9` from a checkpoint with 8" in caplog.text

    (data / "a").rename(data / "z")
    message = r"`classes` must be unchanged to resume from .*: expected \['a', 'b'\], got \['b', 'z'\]"
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "run", **resumed)
    state = read_state(tmp_path / "run" / "checkpoint-1")
    earlier = {key: state["arguments"][key] for key in state["arguments"].keys() - {"classes", "num_images"}}
    write_state(tmp_path / "run" / "checkpoint-1", {key: state[key] for key in CONTENT} | {"arguments": earlier})
    train(tmp_path / "run", **resumed)


def test_only_files_of_this_program_are_deleted(copy):
    foreign = ["evaluation/notes.txt", "onnx/model.onnx", "explanation/images/mine-1.png", "directions.safetensors"]
    foreign += ["samples/mine.png", "samples/step-by-step.png", "logs/notes.txt", "logs/dcgan_hf/mine.txt"]
    foreign += ["checkpoint-5/trainer_state.json", "checkpoint-6/model.safetensors", "metrics.json"]
    for name in foreign:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text('{"global_step": 5}')
    prepare_output_dir(copy, 0, overwrite=True)
    remove_stale_files(copy)
    assert {(copy / name).read_text() for name in foreign} == {'{"global_step": 5}'}
    assert list_checkpoints(copy) == [] and find_checkpoint(copy, "latest") is None
    assert [path.name for path in (copy / "samples").glob("step-0*")] == []
    assert not (copy / "logs" / "metrics.jsonl").exists()
    assert read_metrics(copy) == []
    with pytest.raises(ValueError, match="metrics.json was not written by this program"):
        check_place_for_metrics(copy)


@pytest.mark.parametrize("name", ["config.json", "model_index.json"])
def test_a_model_of_another_program_is_not_overwritten(run, tmp_path, name):
    check_place_for_model(run)
    (tmp_path / name).write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=f"{name} was not written by this program"):
        train_here(tmp_path, **OPTIONS)
    assert contents(tmp_path) == {name: b'{"model_type": "bert"}'}


FOREIGN = ["generator/config.json", "discriminator/model.safetensors", "images/grid.png", "images/seed-0.png"]
FOREIGN += [
    "training.gif",
    "logs/metrics.jsonl",
    "modeling_dcgan.py",
    "samples/step-0000001.png",
    "training_args.json",
]
FOREIGN += [".lock", ".running.json"]


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_another_program_are_not_overwritten(run, tmp_path, name):
    check_place_for_run(run)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('{"model_type": "unet"}')
    with pytest.raises(ValueError, match=f"`output_dir=.*{name} was not written by this program and would be"):
        train_here(tmp_path, **OPTIONS)
    assert contents(tmp_path) == {name: b'{"model_type": "unet"}'}


def test_exports_and_explanations_of_another_program_are_not_overwritten(run, tmp_path):
    for command, output_dir, name in [
        ("export", tmp_path / "onnx", "model.onnx"),
        ("export", tmp_path / "onnx2", "config.json"),
        ("explain", tmp_path / "page", "explanation.html"),
    ]:
        output_dir.mkdir()
        (output_dir / name).write_text("mine")
        with pytest.raises(ValueError, match=f"{name} was not written by this program"):
            run_command(command, run, "--output_dir", output_dir)
        assert contents(output_dir) == {name: b"mine"}
    (tmp_path / "directions.safetensors").write_text("mine")
    with pytest.raises(ValueError, match="directions.safetensors was not written by this program"):
        check_place_for_explanation(tmp_path / "new", tmp_path)


def test_stale_files_of_this_program_are_deleted(tmp_path):
    write_metrics([Metric("fid", "FID", 3.0, 10, 10, "inception", "test")], tmp_path)
    for name, text in {
        "evaluation/report.md": "# M\n\n| metric | value | spread | generated images | real images | features |",
        "evaluation/neighbors.png": "",
        "explanation/explanation.html": "<footer><p>Generated by dcgan_hf 0.1 in 3 seconds.</p></footer>",
        "explanation/images/walks-1.gif": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    remove_stale_files(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_going_back_twice_keeps_what_was_set_aside(copy):
    for names in (["abandoned-checkpoint-8"], ["abandoned-checkpoint-8", "abandoned-checkpoint-8-2"]):
        before = fingerprint(copy / "checkpoint-8")
        prepare_output_dir(copy, 4, overwrite=False)
        assert sorted(path.name for path in copy.glob("abandoned-*")) == names
        assert fingerprint(copy / names[-1]) == before
        shutil.copytree(copy / "checkpoint-4", checkpoint_folder(copy, 8))


# ---- signals ----


@pytest.mark.skipif(os.name == "nt", reason="has no SIGHUP")
def test_a_closed_terminal_stops_a_run_unless_it_is_ignored():
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.received
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.received
    finally:
        signal.signal(signal.SIGHUP, before)
