"""Tests that nothing of this machine leaves it: no path, no name, no file behind a link or beside the model."""

import getpass
import gzip
import io
import json
import platform
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from dcgan_hf import DCGANPipeline
from dcgan_hf.cli.main import main
from dcgan_hf.export import export_onnx
from dcgan_hf.publishing.privacy import files_to_publish
from dcgan_hf.publishing.space import publish_space, save_space
from dcgan_hf.publishing.upload import Publication, publish_folder, publish_pipeline

from ..models.test_super_resolution import make_generator
from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..train_utils import run_command, save_classifier, train_here


SECRET = "secret-name-xyz"


def everything_in(name, content):
    """Yields the content of a file, and what is compressed in it."""
    yield content
    if name.endswith(".png"):
        picture = Image.open(io.BytesIO(content))
        yield json.dumps([str(value) for value in picture.info.items()]).encode()
        assert set(picture.info) <= {"dpi", "transparency"}, picture.info
    for match in re.finditer(b"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", content):
        try:
            start = match.start()
            yield (
                gzip.decompress(content[start:])
                if match[0][0] == 0x1F
                else zlib.decompressobj().decompress(content[start:])
            )
        except (OSError, EOFError, zlib.error):  # only looks like the start of compressed data
            pass


def assert_tells_nothing(files):
    for name, content in files.items():
        for part in everything_in(name, content):
            for word in (SECRET, "client-photos", "secret-host", "secret-user", "stack_trace", "site-packages"):
                assert word.encode() not in part, (name, word)


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / SECRET
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "secret-user")
    monkeypatch.setenv("LOGNAME", "secret-user")
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    assert getpass.getuser() == "secret-user"
    return home


def save_photos(folder, number=70):
    rng = np.random.default_rng(0)
    for i in range(number):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)


def test_every_byte_of_a_whole_model_is_free_of_names(hub, token, home):
    save_photos(home / "client-photos" / "photos")
    run, photos = home / "run", home / "client-photos" / "photos"
    train_here(
        run, dataset_name=photos, max_train_steps=2, class_conditional=True, train_batch_size=8, random_flip=False
    )
    classifier = save_classifier(home / "client-photos" / "classifier")
    run_command(
        *("evaluate", run, "--dataset_name", photos, "--features", classifier, "--num_images", 40, "--use_cpu"),
    )
    run_command("export", run)
    from dcgan_hf.interpretability.latent_space import factorized_directions

    pipe = DCGANPipeline.from_pretrained(run)
    factorized_directions(pipe.generator, 2).save_pretrained(run)
    run_command("push", run, "--hub_model_id", "org/model")
    files = hub.files("org/model")
    assert {"onnx/model.onnx", "directions.safetensors", "metrics.json", "training.gif", "README.md"} <= files.keys()
    assert b"photos" in files["README.md"] and b"classifier" in files["README.md"]
    assert_tells_nothing(files)
    save_space(pipe, str(run), home / "space", "A title")
    publish_space(home / "space", "org/space")
    assert "model/generator/model.safetensors" in hub.files("spaces/org/space")
    assert_tells_nothing({k: v for k, v in hub.files("spaces/org/space").items() if not k.startswith("dcgan_hf/")})


def test_graphs_hold_no_metadata(tmp_path):
    export_onnx(make_generator()).save_pretrained(tmp_path)
    graph = onnx.load(tmp_path / "model.onnx").graph
    described = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    assert not [item for item in described if item.metadata_props or item.doc_string]
    assert not re.search(rb"\.py\b|stack_trace|/tmp/|/home/", (tmp_path / "model.onnx").read_bytes())


@pytest.fixture
def folder(home):
    make_pipeline().save_pretrained(home / "model")
    return home / "model"


@pytest.mark.parametrize("place", ["README.md", "generator", "generator/model.safetensors", "images", "metrics.json"])
def test_links_are_neither_published_nor_written_to(hub, token, folder, home, capsys, place):
    target, link = home / "private" / "key", folder / place
    target.parent.mkdir()
    if link.exists():
        shutil.move(link, target)
    elif place == "images":
        target.mkdir()
    elif place == "metrics.json":
        target.write_text("[]")  # and for README.md, a link to nothing
    link.symlink_to(target)
    before = {path: path.read_bytes() for path in target.parent.rglob("*") if path.is_file()}
    for words in (
        ["push", folder, "--hub_model_id", "org/model"],
        ["push", folder, "--card_only"],
        ["export", folder],
    ):
        assert main([str(word) for word in words]) == 2
        assert f"error: {link} is a symbolic link" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is a symbolic link"):
        publish_pipeline(make_pipeline(), folder, "org/model")
    assert {path: path.read_bytes() for path in target.parent.rglob("*") if path.is_file()} == before
    assert not [repo for repo in hub.repos if len(hub.commits(repo)) > 1]
    DCGANPipeline.from_pretrained(folder)  # as the cache of the Hub, which consists of links


def test_names_are_exact(folder):
    published = files_to_publish(folder)
    for name in (
        *("model.backup-of-client.safetensors", "model.safetensors.backup", "model.fp16.safetensors.old"),
        *(
            "model-client-of-x.safetensors",
            "model.safetensors.index.client.json",
            "config.json.orig",
            "pytorch_model.bin",
        ),
    ):
        (folder / "generator" / name).write_bytes(b"private")
    (folder / "images").mkdir()
    (folder / "images" / "seed-7.png").write_bytes(b"private")
    assert files_to_publish(folder) == published
    more = [f"generator/{name}" for name in ("model.fp16.safetensors", "model-00001-of-00002.safetensors")]
    for name in more:
        (folder / name).write_bytes(b"weights")
    assert set(files_to_publish(folder)) == {*published, *more}


def test_paths_of_this_machine_are_refused(hub, token, folder, home):
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"\x00stack_trace" + str(home / "code.py").encode())
    with pytest.raises(ValueError, match=f"onnx/model.onnx is not published: it contains the path '{home}'"):
        publish_folder(folder, "org/model", Publication())


def test_an_unknown_variant_is_refused(hub, token):
    with pytest.raises(ValueError, match="no weights to publish: `model.safetensors`, or a variant among"):
        make_pipeline().push_to_hub("org/model", variant="client")


def test_a_perceptual_network_is_told_by_its_name(tmp_path):
    from dcgan_hf.training.results import recipe_of
    from dcgan_hf.training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments

    def told(value):
        arguments = {"perceptual_features": str(value)}
        return recipe_of(DCGANSuperResolutionTrainingArguments, arguments, None)["perceptual_features"]

    assert told("efficientnet-lite0") == "efficientnet-lite0" and told("org/classifier") == "org/classifier"
    for path in (tmp_path, Path("/gone/away/network"), Path("~/network"), Path("../network"), Path("a/b/network")):
        assert told(path) == path.name
