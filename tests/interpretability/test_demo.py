"""Tests of the demo: its actions, its page in a browser, and its Space."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from dcgan_hf.interpretability.attribution import attribute
from dcgan_hf.interpretability.latent_space import Directions, factorized_directions, interpolate

from ..pipelines.test_pipeline_dcgan import make_pipeline, seeds
from ..train_utils import run_command


gr = pytest.importorskip("gradio")
demo = pytest.importorskip("dcgan_hf.interpretability.demo.app")
actions = pytest.importorskip("dcgan_hf.interpretability.demo.actions")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")

SIZE = 256  # display size of 16x16 pixel images
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
CHROMIUM_FLAGS += ["--disable-background-networking", "--disable-component-update"]


def pixels(image):
    return np.asarray(image.resize((16, 16), PIL.Image.Resampling.NEAREST))


def same(images, others):
    return all(np.array_equal(pixels(image), np.asarray(other)) for image, other in zip(images, others, strict=True))


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


@pytest.fixture(scope="module")
def conditional():
    return make_pipeline(num_channels=1, num_classes=3)


# ---- the functions behind the buttons ----


def test_sample(pipe, conditional):
    images, captions = zip(*actions.sample(pipe, 3, 5, 0.0))
    assert same(images, pipe(generator=seeds(5, 6, 7)).images) and captions == ("seed 5", "seed 6", "seed 7")
    assert images[0].size == (SIZE, SIZE)
    (image, _), *_ = actions.sample(pipe, 2, 5, 0.4)
    assert same([image], pipe(generator=seeds(5), truncation=0.4).images) and not same([image], [pixels(images[0])])
    images, _ = zip(*actions.sample(conditional, 2, 0, 0.0, "fish"))
    assert same(images, conditional(generator=seeds(0, 1), class_labels="fish").images) and images[0].mode == "L"


def test_enlarging_repeats_pixels():
    image = PIL.Image.effect_noise((28, 28), 50)
    assert np.array_equal(np.asarray(actions.enlarge(image)), np.asarray(image).repeat(9, 0).repeat(9, 1))
    assert actions.enlarge(PIL.Image.new("RGB", (300, 300))).size == (300, 300)


@pytest.mark.parametrize("method", ["spherical", "linear"])
def test_walk(pipe, conditional, method):
    file, images = actions.walk(pipe, 0, 3, 5, method, 0.0)
    start, end = pipe(generator=seeds(0, 3), output_type="latent").images
    assert same(images, pipe(latents=interpolate(start, end, 5, method)).images)
    with PIL.Image.open(file) as animation:
        assert (animation.format, animation.n_frames, animation.info["loop"]) == ("GIF", 8, 0)  # there and back
    _, (first, last) = actions.walk(conditional, 0, 1, 2, method, 0.8, "dog")
    assert same([first, last], conditional(generator=seeds(0, 1), class_labels="dog", truncation=0.8).images)


def test_move(conditional):
    directions = factorized_directions(conditional.generator, 2)
    moved, captions = zip(*actions.move(conditional, directions, "factor 1", -2.0, 2, 4, 0.0, "cat"))
    latents = conditional(generator=seeds(4, 5), class_labels="cat", output_type="latent").images
    assert captions == ("seed 4", "seed 5")
    assert same(moved, conditional(latents=latents - 2 * directions.vectors[1], class_labels="cat").images)
    still = actions.move(conditional, directions, "factor 1", 0.0, 2, 4, 0.0, "cat")
    assert [pixels(image).tolist() for image, _ in still] == [
        pixels(image).tolist() for image, _ in actions.sample(conditional, 2, 4, 0.0, "cat")
    ]


def test_explain(pipe, conditional):
    probabilities, seen, colored = actions.explain(pipe, None, 2, "occlusion")
    (image,) = pipe(generator=seeds(2)).images
    assert same([seen], [image]) and colored.size == (SIZE, SIZE) and colored.mode == "RGB"
    # The same image, uploaded.
    dropped, seen, colored_again = actions.explain(pipe, image, None, "occlusion")
    assert same([seen], [image]) and dropped["real"] == pytest.approx(probabilities["real"], abs=0.01)
    assert sum(dropped.values()) == pytest.approx(1)
    pixel_values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    assert dropped["real"] == pytest.approx(pipe.discriminator(pixel_values).logits.sigmoid().item(), abs=1e-5)
    # Orange where the image looks more real, blue where it looks less real.
    strengths = attribute(pipe.discriminator, pixel_values, "occlusion")[0].sum(0).numpy()
    red, _, blue = pixels(colored_again).astype(int).transpose(2, 0, 1)
    clear = np.abs(strengths) > 0.1 * np.abs(strengths).max()
    assert clear.any() and np.array_equal((red > blue)[clear], (strengths > 0)[clear])

    photo = PIL.Image.effect_noise((40, 20), 80).convert("RGBA")
    labelled = {name: actions.explain(conditional, photo, 0, "guided_backprop", name)[0] for name in ("cat", "dog")}
    assert labelled["cat"] != labelled["dog"]


def test_find(conditional):
    (image,) = conditional(generator=seeds(3), class_labels="fish").images
    seen, found, nearness = actions.find(conditional, image, 150, "fish")
    assert same([seen], [image]) and seen.size == found.size == (SIZE, SIZE)
    psnr = float(nearness.split(" dB")[0])
    error = np.square((pixels(found).astype(float) - np.asarray(image)) / 255).mean()
    rounding = 1 / 12 / 255**2  # of 8-bit values, which the PSNR does not include
    assert psnr > 30 and -10 * np.log10(error) == pytest.approx(-10 * np.log10(10 ** (-psnr / 10) + rounding), abs=1)


def test_mistakes_are_told_in_plain_words(pipe, conditional):
    directions = factorized_directions(pipe.generator, 2)
    float_image = PIL.Image.fromarray(np.full((16, 16), 300, np.float32))
    for call, message in (
        (lambda: actions.sample(pipe, 2, None, 0.0), "Enter a seed: a whole number, such as 0."),
        (lambda: actions.walk(pipe, 0, None, 2, "linear", 0.0), "Enter a seed"),
        (lambda: actions.move(pipe, directions, "factor 0", 1.0, 2, None, 0.0), "Enter a seed"),
        (lambda: actions.explain(pipe, None, None, "occlusion"), "Enter a seed"),
        (
            lambda: actions.sample(conditional, 2, 0, 0.0, "bird"),
            "Unknown class 'bird'. Choose one of: cat, dog, fish",
        ),
        (lambda: actions.sample(conditional, 2, 0, 0.0), "Unknown class None"),
        (
            lambda: actions.explain(pipe, float_image, 0, "occlusion"),
            "This picture cannot be used: a float image must lie",
        ),
    ):
        with pytest.raises(gr.Error) as error:
            call()
        assert error.value.message.startswith(message)


# ---- the page ----


def test_directions_are_those_beside_the_model(pipe, hub, token, tmp_path):
    pipe.save_pretrained(tmp_path)
    found = demo.load_directions(tmp_path, pipe)
    assert found.names == [f"factor {number}" for number in range(8)]  # one per latent variable
    torch.testing.assert_close(found.vectors, factorized_directions(pipe.generator, 8).vectors)
    pipe.push_to_hub("org/dcgan")
    assert demo.load_directions("org/dcgan", pipe).names == found.names
    Directions(torch.eye(8)[:1], ["smile"]).save_pretrained(tmp_path)
    assert demo.load_directions(tmp_path, pipe).names == ["smile"]


def tabs_of(page):
    return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]


def labels_of(page):
    return [getattr(block, "label", None) for block in page.blocks.values()]


def test_tabs(pipe, conditional):
    directions = factorized_directions(pipe.generator, 2)
    page = demo.build_demo(pipe, directions, "DCGAN")
    assert tabs_of(page) == [
        "Sample",
        "Walk",
        "Directions",
        "Your picture",
        "Discriminator",
    ] and "Class" not in labels_of(page)
    alone = demo.build_demo(make_pipeline(with_discriminator=False), directions, "DCGAN")
    assert tabs_of(alone) == ["Sample", "Walk", "Directions", "Your picture"]
    assert labels_of(demo.build_demo(conditional, directions, "DCGAN")).count("Class") == 5
    assert not page.analytics_enabled


def test_files_that_are_no_pictures(pipe, tmp_path):
    page = demo.build_demo(pipe, factorized_directions(pipe.generator, 2), "DCGAN")
    pictures = [block for block in page.blocks.values() if getattr(block, "label", None) == "Picture"]
    (tmp_path / "notes.png").write_text("no picture")
    PIL.Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    assert len(pictures) == 2
    for picture in pictures:
        assert picture.preprocess(gr.data_classes.ImageData(path=str(tmp_path / "red.png"))).size == (30, 20)
        with pytest.raises(gr.Error, match="This file cannot be read as an image."):
            picture.preprocess(gr.data_classes.ImageData(path=str(tmp_path / "notes.png")))
    PIL.Image.effect_noise((64, 64), 50).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:1000])
    cut = pictures[0].preprocess(gr.data_classes.ImageData(path=str(tmp_path / "cut.jpg")))
    with pytest.raises(gr.Error, match="This picture cannot be used"):
        actions.find(pipe, cut, 5)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_in_a_browser(conditional, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    page = demo.build_demo(conditional, factorized_directions(conditional.generator, 2), "Three animals")
    _, address, _ = page.launch(**demo.LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True)
    requested = []
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
            tab = browser.new_page(viewport={"width": 390, "height": 844})
            tab.on("request", lambda request: requested.append(request.url))
            tab.goto(address)
            tab.get_by_text("seed 15").wait_for()  # generated when the page opened
            tab.get_by_label("Seed", exact=True).first.fill("100")
            tab.get_by_role("button", name="Sample", exact=True).click()
            tab.get_by_text("seed 115").wait_for()
            shown = tab.locator(".pixels img:visible").first
            (image,) = conditional(generator=seeds(100), class_labels="cat").images
            (tmp_path / "shown.png").write_bytes(tab.request.get(shown.get_attribute("src")).body())
            assert same([PIL.Image.open(tmp_path / "shown.png")], [image])
            assert tab.evaluate("document.documentElement.scrollWidth") == 390
            tab.get_by_label("Seed", exact=True).first.fill("")
            tab.get_by_role("button", name="Sample", exact=True).click()
            tab.get_by_text("Enter a seed: a whole number, such as 0.").wait_for()
            browser.close()
    finally:
        page.close()
    local = (address, "data:", "blob:")
    assert len(requested) > 10 and not [url for url in requested if not url.startswith(local)]


# ---- the Space ----


def header_of(text):
    return yaml.safe_load(text.split("---")[1])


def test_space_of_a_local_model(tmp_path, conditional):
    model, space = tmp_path / "animals", tmp_path / "space"
    conditional.save_pretrained(model)
    Directions(torch.eye(8)[:1], ["fur"]).save_pretrained(model)
    (model / "optimizer.bin").write_text("private")
    run_command("demo", model, "--output_dir", space, "--title", 'The "three" animals')
    page = runpy.run_path(str(space / "app.py"))["demo"]
    assert page.title == 'The "three" animals' and tabs_of(page)[-1] == "Discriminator"
    assert page.config["components"] and "fur" in json.dumps(page.config["components"])
    assert Directions.from_pretrained(space / "model").names == ["fur"]
    assert not list(space.rglob("optimizer.bin")) and "Apache License" in (space / "LICENSE").read_text()
    header = header_of((space / "README.md").read_text())
    assert header["sdk"] == "gradio" and header["app_file"] == "app.py" and "models" not in header
    needed = (space / "requirements.txt").read_text().splitlines()
    assert {"torch>=2.13", f"gradio>={header['sdk_version']}"} <= {*needed}
    assert not [line for line in needed if "extra" in line or "+" in line]

    # Written again: obsolete files are deleted, the user's README stays.
    (space / "dcgan_hf" / "old.py").write_text("")
    (space / "README.md").write_text("My own")
    run_command("demo", model, "--output_dir", space)
    assert not (space / "dcgan_hf" / "old.py").exists() and (space / "README.md").read_text() == "My own"


def test_a_space_is_published(hub, token, tmp_path, pipe):
    pipe.push_to_hub("org/dcgan")
    space = tmp_path / "space"
    run_command("demo", "org/dcgan", "--output_dir", space)
    for private in (space / ".env", space / "dcgan_hf" / "notes.txt"):
        private.write_text("private")
    run_command("demo", "org/dcgan", "--output_dir", space, "--push_to_hub")
    files = hub.files("spaces/org/dcgan")
    assert header_of(files["README.md"].decode())["models"] == ["org/dcgan"]
    assert {"app.py", "requirements.txt", "LICENSE", "dcgan_hf/pipeline_dcgan.py"} <= files.keys()
    assert "dcgan_hf/templates/space.md" in files and not hub.is_private("spaces/org/dcgan")
    assert not [name for name in files if name.endswith((".env", "notes.txt", ".pyc")) or name.startswith("model/")]
    assert [title for title, _ in hub.commits("spaces/org/dcgan")] == ["Upload DCGAN demo", "initial commit"]

    # The published files are complete: they build the page in a process without another dcgan_hf.
    for name, content in files.items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_bytes(content)
    code = "import app, dcgan_hf; print(dcgan_hf.__file__, app.demo.title, len(app.demo.fns))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True
    )
    assert process.stdout.split() == [str(tmp_path / "clone/dcgan_hf/__init__.py"), "dcgan", "5"], process.stderr


def test_publishing_a_space_again(hub, token, tmp_path, pipe, monkeypatch):
    monkeypatch.setattr("dcgan_hf.publishing.upload._WAITS", (0, 0))
    from huggingface_hub import upload_file

    pipe.save_pretrained(tmp_path / "dcgan")
    flags = (tmp_path / "dcgan", "--push_to_hub", "--hub_model_id", "org/look", "--hub_private_repo")
    hub.fail("POST .*/commit/", status=500, headers={"Retry-After": "0"})
    run_command("demo", *flags)
    assert hub.is_private("spaces/org/look") and "model/generator/model.safetensors" in hub.files("spaces/org/look")
    for name, content in (("README.md", b"---\nsdk: gradio\n---\nMy own"), ("dcgan_hf/old.py", b"old = 1")):
        upload_file(path_or_fileobj=content, path_in_repo=name, repo_id="org/look", repo_type="space")
    run_command("demo", *flags)
    files = hub.files("spaces/org/look")
    assert files["README.md"].endswith(b"My own") and "dcgan_hf/old.py" not in files and "app.py" in files


def test_folders_with_other_things_are_left_alone(tmp_path, pipe):
    pipe.save_pretrained(tmp_path / "dcgan")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="must be a new folder or that of a Space, but it contains other files"):
        run_command("demo", tmp_path / "dcgan", "--output_dir", tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    run_command("demo", tmp_path / "dcgan", "--output_dir", tmp_path / "space")
    with pytest.raises(ValueError, match="must not contain the model, .*space/model"):
        run_command("demo", tmp_path / "space" / "model", "--output_dir", tmp_path / "space")
    with pytest.raises(OSError, match="neither a local folder nor"):
        run_command("demo", "org/none", "--output_dir", tmp_path / "new")
    assert not (tmp_path / "new").exists()
