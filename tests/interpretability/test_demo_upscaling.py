"""Tests of the demo of a super-resolution model: what its page answers, and its Space."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from dcgan_hf import DCGANSuperResolutionPipeline

from ..models.test_super_resolution import PHOTO, make_generator, make_pipe
from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..train_utils import run_command
from .test_demo import opened_on_a_phone, page_with_lent_gpu, tabs_of


gr = pytest.importorskip("gradio")
from gradio_client import Client, handle_file  # noqa: E402
from gradio_client.exceptions import AppError  # noqa: E402


app = pytest.importorskip("dcgan_hf.interpretability.demo.app")
upscaling = pytest.importorskip("dcgan_hf.interpretability.demo.upscaling")
uploads = pytest.importorskip("dcgan_hf.interpretability.demo.uploads")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

SMALL = PHOTO.resize((30, 20))


@pytest.fixture(scope="module")
def pipe():
    return make_pipe()


@pytest.fixture(scope="module")
def address(pipe):
    page = upscaling.build_upscaling_demo(pipe, "Photos")
    _, local, _ = page.launch(**app.LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True)
    yield local
    page.close()


@pytest.fixture
def client(address, tmp_path):
    return Client(address, verbose=False, download_files=str(tmp_path / "answers"))


def same(path, image):
    with PIL.Image.open(path) as found:
        return found.format == "PNG" and found.mode == image.mode and np.array_equal(found, image)


def draw(kind, path):
    """Writes a picture of a kind that the pipeline treats in its own way."""
    alpha = PIL.Image.linear_gradient("L").resize(SMALL.size)
    options = {}
    if kind == "turned":
        options["exif"] = PIL.Image.Exif()
        options["exif"][0x0112] = 6
    elif kind == "profile":
        options["icc_profile"] = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
        options["dpi"] = (72, 36)
    images = {
        "turned": SMALL,
        "profile": SMALL,
        "alpha": PIL.Image.merge("RGBA", (*SMALL.split(), alpha)),
        "grey": SMALL.convert("L"),
        "grey with alpha": PIL.Image.merge("LA", (SMALL.convert("L"), alpha)),
        "16 bits": PIL.Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 109),
        "palette": SMALL.quantize(16),
        "one pixel": SMALL.crop((0, 0, 1, 1)),
    }
    images[kind].save(path, **options)


@pytest.mark.parametrize(
    "kind", ["turned", "profile", "alpha", "grey", "grey with alpha", "16 bits", "palette", "one pixel"]
)
def test_results_are_those_of_the_pipeline(pipe, client, kind, tmp_path):
    draw(kind, path := tmp_path / "my photo.png")
    (before, after), told, file = client.predict(handle_file(path), api_name="/upscale")
    with PIL.Image.open(path) as picture:
        (expected,) = pipe(picture).images
        (interpolated,) = DCGANSuperResolutionPipeline(make_generator(trained=False))(picture).images
    assert same(file, expected) and same(after, expected) and not same(before, expected)
    assert same(before, interpolated) and Path(file).name == "my photo-x2.png"
    width, height = expected.size
    assert told.startswith(f"From {width // 2} x {height // 2} to {width} x {height} pixels, in ")
    if kind == "profile":
        with PIL.Image.open(file) as found:
            assert found.info["icc_profile"] == expected.info["icc_profile"]
            assert found.info["dpi"] == pytest.approx((72, 36), abs=0.1)


def test_pictures_that_cannot_be_upscaled(client, tmp_path):
    PIL.Image.new("1", (2000, 1001)).save(tmp_path / "large.png")
    SMALL.save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:700])
    (tmp_path / "notes.png").write_text("no picture")
    PIL.Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "float.tiff")
    PIL.Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "int.tiff")
    for name, message in (
        ("large.png", r"has 2000 x 1001 pixels, more than 2 million. Upload a smaller one"),
        ("cut.jpg", "This file cannot be read as an image"),
        ("notes.png", "This file cannot be read as an image"),
        ("float.tiff", "float pixels, which no PNG file can hold"),
        ("int.tiff", r"cannot be upscaled: an integer image must lie in \[0, 65535\]"),
    ):
        with pytest.raises(AppError, match=message):
            client.predict(handle_file(tmp_path / name), api_name="/upscale")
    with pytest.raises(AppError, match="Upload a picture first"):
        client.predict(None, api_name="/upscale")


def test_too_large_pictures_are_not_decoded(tmp_path, monkeypatch):
    PIL.Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")  # some kilobytes
    monkeypatch.setattr(PIL.Image.Image, "load", lambda image: pytest.fail("decoded"))
    picture = uploads.picture_upload(500_000, "Make it smaller.")
    with pytest.raises(gr.Error) as error:
        picture.preprocess(gr.data_classes.ImageData(path=str(tmp_path / "bomb.png")))
    assert error.value.message == "This picture has 9000 x 9000 pixels, more than 0.5 million. Make it smaller."


@pytest.mark.parametrize("scale_factor, limit", [(2, 2_000_000), (3, 888_000), (4, 500_000), (8, 125_000)])
def test_limits_depend_on_the_size_of_the_result(scale_factor, limit):
    pipe = make_pipe(scale_factor=scale_factor)
    assert upscaling.max_pixels(pipe) == limit
    page = upscaling.build_upscaling_demo(pipe, "Photos")
    words = json.dumps(page.config["components"])
    assert f"up to {limit / 1e6:g} million pixels" in words and f"{scale_factor} times its width" in words
    assert tabs_of(page) == ["Upscale"] and not page.analytics_enabled


def test_the_example_can_be_upscaled(pipe, client, tmp_path):
    page = upscaling.build_upscaling_demo(pipe, "Photos")
    (examples,) = (block for block in page.blocks.values() if isinstance(block, gr.Dataset))
    ((path,),) = examples.raw_samples
    with PIL.Image.open(path) as image:
        assert image.size == (320, 214) and "CC BY 2.0" in examples.label
    (_, _), told, _ = client.predict(handle_file(path), api_name="/upscale")
    assert "From 320 x 214 to 640 x 428 pixels" in told


def test_a_grey_model_takes_the_brightness(tmp_path):
    pipe = make_pipe(num_channels=1)
    draw("alpha", tmp_path / "photo.png")
    with PIL.Image.open(tmp_path / "photo.png") as picture:
        picture.load()
        (_, after), told, _ = upscaling.upscale(pipe, upscaling.bicubic_pipeline(pipe), picture)
        assert same(after, pipe(picture.convert("LA")).images[0]) and "colours are left out" in told
    draw("grey", tmp_path / "grey.png")
    with PIL.Image.open(tmp_path / "grey.png") as picture:
        (_, after), told, _ = upscaling.upscale(pipe, upscaling.bicubic_pipeline(pipe), picture)
        assert same(after, pipe(picture).images[0]) and "colours" not in told


def test_the_api_is_that_of_the_page(client, address):
    assert client.view_api(return_format="dict")["named_endpoints"].keys() == {"/upscale"}
    with pytest.raises(AppError, match="Addresses are not fetched"):
        elsewhere = {"path": f"{address}favicon.ico", "meta": {"_type": "gradio.FileData"}}
        client.predict(elsewhere, api_name="/upscale")


def test_all_parts_have_labels(pipe):
    page = upscaling.build_upscaling_demo(pipe, "Photos")
    parts = [block for block in page.blocks.values() if isinstance(block, gr.components.Component)]
    unlabelled = [type(part) for part in parts if not isinstance(part, gr.Button) and not part.label]
    assert len(parts) == 8 and unlabelled == [gr.Markdown]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_by_keyboard_in_a_browser(pipe, address, tmp_path):
    with opened_on_a_phone(address) as tab:
        tab.locator(".gallery-item").focus()
        tab.keyboard.press("Enter")
        link = tab.get_by_role("link", name="KB")
        link.focus()
        with tab.expect_download() as download:
            tab.keyboard.press("Enter")
        assert download.value.suggested_filename == "china-x2.png"
        download.value.save_as(tmp_path / "china-x2.png")
        with PIL.Image.open(upscaling.example()) as picture:
            assert same(tmp_path / "china-x2.png", pipe(picture).images[0])
        compared = tab.locator(".slider-wrap").locator("..")
        before = compared.inner_html()
        tab.get_by_label("range slider for Line").focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_function("before => !document.body.innerHTML.includes(before)", arg=before)
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        tab.locator("input[type=file]").first.set_input_files(tmp_path / "china-x2.png")  # upscaled at once
        tab.wait_for_function(
            "[...document.querySelectorAll('textarea')].some(e => e.value.includes('to 1280 x 856'))"
        )


# ---- the command, and the Space ----


@pytest.mark.parametrize("kind", ["upscaling", "generation"])
def test_the_command_chooses_the_demo(pipe, kind, tmp_path, monkeypatch):
    model, first = {"upscaling": (pipe, "Upscale"), "generation": (make_pipeline(), "Sample")}[kind]
    model.save_pretrained(tmp_path / "model")
    launched = []
    monkeypatch.setattr(gr.Blocks, "launch", lambda page, **options: launched.append((page, options)))
    run_command("demo", tmp_path / "model", "--title", "Mine")
    ((page, options),) = launched
    assert tabs_of(page)[0] == first and page.title == "Mine" and options == app.LAUNCH_OPTIONS


def test_other_folders_have_no_demo(tmp_path):
    with pytest.raises(ValueError, match="contains no saved pipeline: model_index.json is missing"):
        run_command("demo", tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(ValueError, match="must be one of .*got 'StableDiffusionPipeline'"):
        run_command("demo", tmp_path)


CODE = """
import json, sys
import app, dcgan_hf
from gradio_client import Client, handle_file
_, address, _ = app.demo.launch(**app.LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True)
client = Client(address, verbose=False, download_files=sys.argv[2])
answer = client.predict(handle_file(sys.argv[1]), api_name="/upscale")
print(json.dumps([dcgan_hf.__file__, app.demo.title, answer[2], "captum" in sys.modules]))
"""


def test_a_space_starts_and_answers(pipe, tmp_path):
    model, space = tmp_path / "photos-x2", tmp_path / "space"
    pipe.save_pretrained(model)
    run_command("demo", model, "--output_dir", space)
    text = (space / "README.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["tags"] == ["dcgan", "gan", "super-resolution"] and header["title"] == "photos-x2"
    assert "2 times as wide and high" in text and "CC BY 2.0" in text and "seed" not in text
    needed = [line.split(">=")[0] for line in (space / "requirements.txt").read_text().splitlines()]
    assert {"gradio", "scikit-learn", "spaces"} <= {*needed} and "captum" not in needed

    SMALL.save(tmp_path / "photo.png")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "photo.png", tmp_path / "answers"],
        cwd=space,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    code, title, file, needs_captum = json.loads(process.stdout.splitlines()[-1])
    assert code == str(space / "dcgan_hf/__init__.py") and title == "photos-x2" and not needs_captum
    assert same(file, pipe(SMALL).images[0])


def test_upscaling_uses_a_gpu_that_is_lent(pipe, tmp_path, monkeypatch):
    page, duration, function = page_with_lent_gpu(pipe, tmp_path, monkeypatch)
    assert duration == upscaling.UPSCALING_SECONDS
    assert {event.api_name for event in page.fns.values() if event.fn is function} >= {"upscale"}
    SMALL.save(tmp_path / "photo.png")
    with PIL.Image.open(tmp_path / "photo.png") as picture:
        (_, after), _, _ = function(picture)
    with torch.no_grad():
        assert same(after, pipe(SMALL).images[0])
