"""Tests of publishing, over HTTP with the real client: results, and messages on failures."""

import json
import logging
import re
import shlex
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError

from dcgan_hf import DCGANPipeline, DCGANSuperResolutionPipeline
from dcgan_hf.publishing import upload
from dcgan_hf.publishing.card import GENERATED
from dcgan_hf.publishing.privacy import files_to_publish

from ..models.test_super_resolution import make_generator
from ..pipelines.test_pipeline_dcgan import SAVED_FILES, make_pipeline
from ..train_utils import ROOT, checkpoints, fingerprint, run_command, train_elsewhere, train_here


PIPELINE_FILES = {
    *SAVED_FILES,
    ".gitattributes",
    "README.md",
    "images/grid.png",
    *(f"images/seed-{seed}.png" for seed in range(4)),
}
RUN_FILES = PIPELINE_FILES | {"training.gif"}


def push(*flags):
    run_command("push", *flags)


def train_and_push(output_dir, **changes):
    train_here(output_dir, max_train_steps=4, push_to_hub=True, **({"hub_model_id": "org/run"} | changes))


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def naps(monkeypatch):
    """Records waiting times instead of waiting."""
    naps = []
    monkeypatch.setattr(time, "sleep", lambda seconds: naps.append(seconds) if seconds else None)
    return naps


def test_a_pipeline_is_published_in_one_commit(hub, token):
    address = make_pipeline().push_to_hub("org/dcgan", commit_message="Our first")
    assert hub.files("org/dcgan").keys() == PIPELINE_FILES
    assert [title for title, _ in hub.commits("org/dcgan")] == ["Our first", "initial commit"]
    assert address.endswith(hub.commits("org/dcgan")[0][1])
    make_pipeline().push_to_hub("org/dcgan")
    assert len(hub.commits("org/dcgan")) == 3 and not hub.is_private("org/dcgan")


def test_save_pretrained_publishes_the_pipeline_and_nothing_else_of_the_folder(hub, token, tmp_path):
    for name in ("optimizer.bin", ".env", "generator/checkpoint-1/model.safetensors", "logs/events", "notes.txt"):
        (tmp_path / "dcgan" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dcgan" / name).write_text("private")
    make_pipeline().save_pretrained(tmp_path / "dcgan", push_to_hub=True, private=True)
    assert hub.files("org/dcgan").keys() == PIPELINE_FILES and hub.is_private("org/dcgan")


def test_pull_requests(hub, token):
    make_pipeline().push_to_hub("org/dcgan")
    before = hub.commits("org/dcgan")
    torch.manual_seed(1)
    address = make_pipeline().push_to_hub("org/dcgan", create_pr=True)
    assert "/discussions/1" in address and hub.commits("org/dcgan") == before
    assert hub.files("org/dcgan", revision="refs/pr/1") != hub.files("org/dcgan")


def test_a_variant_is_added_to_what_is_there(hub, token):
    pipe = make_pipeline()
    pipe.push_to_hub("org/dcgan")
    before = hub.files("org/dcgan")
    pipe.to(torch.float16).push_to_hub("org/dcgan", variant="fp16")
    after = hub.files("org/dcgan")
    added = {"generator/model.fp16.safetensors", "discriminator/model.fp16.safetensors"}
    assert after.keys() - before.keys() == added
    changed = {name for name in before if before[name] != after[name]}
    assert all(name.startswith("images/") for name in changed)  # generated in half precision


def test_a_card_that_its_owner_changed_stays(hub, token, tmp_path):
    make_pipeline().save_pretrained(tmp_path)
    push(tmp_path, "--hub_model_id", "org/dcgan", "--license", "mit")
    assert b"license: mit" in hub.files("org/dcgan")["README.md"]
    push(tmp_path, "--hub_model_id", "org/dcgan", "--license", "apache-2.0")
    assert b"license: apache-2.0" in hub.files("org/dcgan")["README.md"]
    card = (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text(card.replace(GENERATED, "My own words."))
    push(tmp_path, "--hub_model_id", "org/dcgan", "--license", "mit")
    own = hub.files("org/dcgan")["README.md"]
    assert b"My own words." in own and b"license: apache-2.0" in own
    (tmp_path / "README.md").unlink()
    push(tmp_path, "--hub_model_id", "org/dcgan", "--license", "mit")
    assert hub.files("org/dcgan")["README.md"] == own


def test_a_kind_without_examples_shows_what_the_run_has_drawn(hub, token, tmp_path):
    comparison = tmp_path / "images" / "comparison.png"
    comparison.parent.mkdir()
    comparison.write_bytes(b"drawn by the run")
    publisher = upload.RunPublisher(tmp_path, "org/run", private=False, license=None)
    publisher.publish_in_background(DCGANSuperResolutionPipeline(make_generator()), [comparison], step=1)
    pipe = DCGANSuperResolutionPipeline(make_generator(trained=False))
    pipe.save_pretrained(tmp_path)
    publisher.finish(pipe, step=2)
    assert [title for title, _ in hub.commits("org/run")] == ["Training, step 2", "Training, step 1", "initial commit"]
    for _, commit in hub.commits("org/run")[:2]:
        files = hub.files("org/run", revision=commit)
        assert [name for name in files if name.startswith("images/")] == ["images/comparison.png"]
        assert b"pipeline_tag: image-to-image" in files["README.md"]


def test_the_command(hub, token, tmp_path, capsys):
    with pytest.raises(ValueError, match="contains no saved pipeline: model_index.json is missing"):
        push(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "OtherPipeline"}')
    with pytest.raises(ValueError, match="must be one of .*'DCGANPipeline'.*, got 'OtherPipeline'"):
        push(tmp_path)
    folder = tmp_path / "my-dcgan"
    make_pipeline().save_pretrained(folder)
    push(folder, "--card_only", "--base_model", "org/parent")
    assert hub.repos == [] and "base_model: org/parent" in (folder / "README.md").read_text()
    push(folder, "--hub_private_repo", "--commit_message", "By hand")
    assert hub.is_private("org/my-dcgan") and hub.commits("org/my-dcgan")[0][0] == "By hand"
    push(folder, "--create_pr", "--license", "mit")
    assert re.findall(r"Published: (.*)", capsys.readouterr().out)[-1].endswith("/discussions/1")


def test_a_folder_of_the_first_version_can_be_published(hub, token, tmp_path):
    first = DCGANPipeline.from_pretrained(ROOT / "tests" / "pipelines" / "saved_by_first_version")
    folder = ROOT / "tests" / "pipelines" / "saved_by_first_version"
    for path in folder.rglob("*.*"):
        (tmp_path / path.relative_to(folder)).parent.mkdir(exist_ok=True)
        (tmp_path / path.relative_to(folder)).write_bytes(path.read_bytes())
    push(tmp_path, "--hub_model_id", "org/first")
    assert hub.files("org/first").keys() == PIPELINE_FILES
    loaded = DCGANPipeline.from_pretrained("org/first")
    assert fingerprint_of(first) == fingerprint_of(loaded)


def fingerprint_of(pipe):
    return {name: tensor.tolist() for name, tensor in pipe.generator.state_dict().items()}


def test_a_run_is_published_without_checkpoints_and_logs(hub, token, tmp_path):
    train_and_push(tmp_path, hub_private_repo=True, hub_license="mit")
    assert checkpoints(tmp_path) == ["checkpoint-4"]
    assert hub.files("org/run").keys() == RUN_FILES and hub.is_private("org/run")
    assert [title for title, _ in hub.commits("org/run")] == ["Training, step 4", "initial commit"]
    for name, content in hub.files("org/run").items():
        assert name == ".gitattributes" or (tmp_path / name).read_bytes() == content
    assert "license: mit" in (tmp_path / "README.md").read_text()
    assert torch.equal(
        *(p.generator.stem.projection.weight for p in map(DCGANPipeline.from_pretrained, (tmp_path, "org/run")))
    )


def test_the_name_of_the_folder_is_the_default(hub, token, tmp_path):
    train_and_push(tmp_path / "my-digits", hub_model_id=None)
    assert hub.repos == ["org/my-digits"]
    assert 'DCGANPipeline.from_pretrained("org/my-digits")' in (tmp_path / "my-digits" / "README.md").read_text()


def test_publishing_with_every_checkpoint_does_not_stop_or_change_training(hub, token, tmp_path, log):
    changes = {"max_train_steps": 12, "checkpointing_steps": 4}
    train_here(tmp_path / "alone", **changes)
    hub.fail("POST .*/commit/", times=1, delay=1.0)
    started = time.perf_counter()
    train_here(tmp_path / "run", push_to_hub=True, hub_model_id="org/run", hub_strategy="every_save", **changes)
    assert fingerprint(tmp_path / "alone" / "checkpoint-12") == fingerprint(tmp_path / "run" / "checkpoint-12")
    titles = [title for title, _ in hub.commits("org/run")]
    assert titles[0] == "Training, step 12" and titles[-2:] == ["Training, step 4", "initial commit"]
    published = next(record for record in log.records if record.message.startswith("Published"))
    trained = next(record for record in log.records if record.message.startswith("Training speed"))
    assert trained.created < published.created and time.perf_counter() > started + 1
    early = hub.commits("org/run")[-2][1]
    assert "- **Length:** 4 updates" in hub.files("org/run", revision=early)["README.md"].decode()
    assert hub.files("org/run", revision=early).keys() == PIPELINE_FILES


def test_two_processes_publish_once(hub, token, tmp_path):
    train_elsewhere(
        tmp_path,
        processes=2,
        max_train_steps=4,
        push_to_hub=True,
        hub_model_id="org/run",
        hub_strategy="every_save",
        checkpointing_steps=2,
    )
    titles = [title for title, _ in hub.commits("org/run")]
    assert titles == ["Training, step 4", "Training, step 2", "initial commit"]
    assert hub.files("org/run").keys() == RUN_FILES


@pytest.mark.parametrize(
    "fault, message",
    [
        (
            {"match": "POST /api/repos/create", "status": 401},
            "`push_to_hub` to 'org/run' is refused: 401 Unauthorized",
        ),
        ({"match": "POST /api/repos/create", "status": 403}, "`push_to_hub` to 'org/run' is refused: 403 Forbidden"),
    ],
)
def test_a_refusal_at_the_start_comes_before_any_work(hub, token, tmp_path, fault, message):
    hub.fail(**fault)
    with pytest.raises(ValueError, match=message):
        train_and_push(tmp_path / "run")
    assert not (tmp_path / "run").exists() and hub.repos == []


def test_who_is_not_logged_in_or_not_welcome_is_told_at_the_start(hub, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`push_to_hub` needs a token: log in with `hf auth login`, or set HF_TOKEN"):
        train_and_push(tmp_path / "run")
    monkeypatch.setenv("HF_TOKEN", "hf_testtokenofastranger")
    with pytest.raises(ValueError, match="is refused: 403 Forbidden"):
        train_and_push(tmp_path / "run")
    with pytest.raises(ValueError, match="`push_to_hub` to 'a/b/c' is refused: .*Repo id must be"):
        train_and_push(tmp_path / "run", hub_model_id="a/b/c")
    with pytest.raises(ValueError, match="`hub_license=Do what you like` must be an identifier"):
        train_and_push(tmp_path / "run", hub_model_id="stranger/run", hub_license="Do what you like")
    with pytest.raises(ValueError, match="have no effect without `push_to_hub`"):
        train_here(tmp_path / "run", hub_strategy="every_save")
    assert not (tmp_path / "run").exists() and hub.repos == []


COMMIT, WEIGHTS = "POST .*/commit/", "PUT .*/lfs-objects/"


@pytest.mark.parametrize(
    "fault, waits, message",
    [
        ({"match": COMMIT, "status": 409}, {2}, "409 Conflict"),
        ({"match": COMMIT, "status": 412}, {2}, "412 Precondition Failed"),
        ({"match": COMMIT, "status": 429, "headers": {"Retry-After": "7"}}, {7}, "429 Too Many Requests"),
        ({"match": COMMIT, "status": 500, "times": 2}, {2, 8}, "500 Internal Server Error"),
        ({"match": COMMIT, "cut_after": 100}, {2}, "(ReadError|RemoteProtocolError): "),
        ({"match": WEIGHTS, "cut_after": 100}, {1}, ""),
        ({"match": WEIGHTS, "status": 503}, {1}, ""),
        ({"match": WEIGHTS, "status": 429, "headers": {"Retry-After": "7"}}, {8}, ""),
        ({"match": "POST .*/preupload/", "status": 500}, {1}, ""),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(hub, token, naps, log, fault, waits, message):
    hub.fail(**fault)
    make_pipeline().push_to_hub("org/dcgan")
    assert hub.files("org/dcgan").keys() == PIPELINE_FILES and len(hub.commits("org/dcgan")) == 2
    assert waits <= set(naps)
    if message:
        assert re.search(f"Publishing to org/dcgan failed; retrying in {min(waits)} s: {message}", log.text)


@pytest.mark.parametrize(
    "fault, message",
    [
        ({"match": COMMIT, "status": 401}, "401 Unauthorized"),
        ({"match": COMMIT, "status": 403}, "403 Forbidden"),
        ({"match": COMMIT, "status": 409}, "409 Conflict"),
        ({"match": COMMIT, "status": 429, "headers": {"Retry-After": "3600"}}, "429 Too Many Requests"),
        ({"match": COMMIT, "status": 500}, "500 Internal Server Error"),
        ({"match": WEIGHTS, "status": 500}, "Error while uploading '.*' to the Hub. 500 Internal Server Error"),
        ({"match": WEIGHTS, "cut_after": 100}, r"Error while uploading '.*' to the Hub. \w+: "),
    ],
    ids=str,
)
def test_a_run_survives_what_does_not_pass(hub, token, naps, log, tmp_path, fault, message):
    hub.fail(**fault, times=None)
    train_and_push(tmp_path / "run")
    assert re.search(f"Not published: {message}", log.text), log.text
    assert max(naps, default=0) <= 300
    later(hub, tmp_path / "run", log)


def later(hub, folder, log):
    """Checks that the run is complete, and that the advised command works."""
    assert checkpoints(folder)[-1] == "checkpoint-4"
    DCGANPipeline.from_pretrained(folder)
    assert "Nothing is lost: the model is complete in" in log.text
    command = re.search(r"dcgan push (.*)", log.text)[1]
    hub.heal()
    push(*shlex.split(command))
    assert hub.files("org/run").keys() == RUN_FILES


def test_a_run_survives_without_a_network(hub, token, naps, log, tmp_path):
    with hub.down():
        train_and_push(tmp_path / "a run", hub_strategy="every_save", checkpointing_steps=2, hub_private_repo=True)
    assert "The Hub cannot be reached; training starts anyway: ConnectError: " in log.text
    assert "Step 2 is not published: ConnectError: " in log.text and "Not published: ConnectError: " in log.text
    later(hub, tmp_path / "a run", log)
    assert hub.is_private("org/run")


def test_a_run_does_not_wait_for_ever(hub, token, log, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "_PATIENCE_AT_START", 0.2)
    monkeypatch.setattr(upload, "_PATIENCE_AT_END", 0.2)
    hub.fail("POST /api/repos/create", times=None, delay=3.0)
    train_and_push(tmp_path / "run")
    assert "training starts anyway: no response" in log.text and "Not published: no response" in log.text
    later(hub, tmp_path / "run", log)


def test_a_slow_hub_is_waited_for(hub, token, tmp_path):
    hub.fail(".*", times=None, delay=0.1)
    train_and_push(tmp_path / "run")
    assert hub.files("org/run").keys() == RUN_FILES


def test_refusals_reach_who_pushes_by_hand(hub, token, naps, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_testtokenofastranger")
    with pytest.raises(HfHubHTTPError, match="403 Forbidden"):
        make_pipeline().push_to_hub("org/dcgan")
    monkeypatch.setenv("HF_TOKEN", "hf_notatoken")
    with pytest.raises(HfHubHTTPError, match="401 Unauthorized"):
        make_pipeline().push_to_hub("org/dcgan")
    assert hub.repos == [] and naps == []


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, token, naps, log, tmp_path, capfd):
    hub.fail(COMMIT, status=500)
    hub.fail(WEIGHTS, cut_after=100)
    train_and_push(tmp_path / "run", hub_strategy="every_save", checkpointing_steps=2, report_to="tensorboard")
    hub.fail(COMMIT, status=403)
    with pytest.raises(HfHubHTTPError) as refusal:
        push(tmp_path / "run", "--hub_model_id", "org/run", "--license", "mit")
    assert token not in f"{refusal.value} {refusal.value!r}" + log.text + "".join(capfd.readouterr())
    assert any(token in request.headers.get("authorization", "") for request in hub.requests)
    for content in hub.files("org/run").values():
        assert token.encode() not in content
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert token.encode() not in path.read_bytes(), path
    assert "token" not in json.loads((tmp_path / "run" / "training_args.json").read_text())


@pytest.mark.parametrize("written", ["{}/x", '"{}"', "see {} there", "{}\n"])
@pytest.mark.parametrize("spell", [str, lambda place: json.dumps(place)[1:-1], quote])
def test_a_path_of_this_machine_is_found_however_it_is_written(tmp_path, monkeypatch, written, spell):
    home = Path("/home/jürgen")
    monkeypatch.setattr("pathlib.Path.home", lambda: home)
    (tmp_path / "metrics.json").write_text(written.format(spell(str(home))))
    with pytest.raises(ValueError, match="metrics.json is not published: it contains the path"):
        files_to_publish(tmp_path)
    (tmp_path / "metrics.json").write_text(f"{spell(str(home))}s")  # another folder
    assert files_to_publish(tmp_path) == ["metrics.json"]
