"""Tests of the demo of a generator: its actions, its page in a browser, and its Space."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace

import httpx
import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from dcgan_hf.cli.main import main
from dcgan_hf.interpretability.attribution import attribute
from dcgan_hf.interpretability.inversion import prepare_images
from dcgan_hf.interpretability.latent_space import Directions, factorized_directions, interpolate
from dcgan_hf.interpretability.visible_changes import describe_directions

from ..pipelines.test_pipeline_dcgan import make_pipeline, seeds
from ..train_utils import run_command


gr = pytest.importorskip("gradio")
from gradio_client import Client, handle_file  # noqa: E402
from gradio_client.exceptions import AppError  # noqa: E402


demo = pytest.importorskip("dcgan_hf.interpretability.demo.app")
actions = pytest.importorskip("dcgan_hf.interpretability.demo.actions")
generation = pytest.importorskip("dcgan_hf.interpretability.demo.generation")
frame = pytest.importorskip("dcgan_hf.interpretability.demo.page")
uploads = pytest.importorskip("dcgan_hf.interpretability.demo.uploads")

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
    torch.manual_seed(0)
    return make_pipeline()


@pytest.fixture(scope="module")
def conditional():
    torch.manual_seed(1)
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


def score_of(told):
    return float(told.split(",")[0]), int(re.search(r"scores of (\d+)% of 256 images", told)[1])


def test_explain(pipe, conditional):
    compared = partial(actions.scores_of_samples, pipe)
    told, seen, colored = actions.explain(pipe, compared, None, 2, "occlusion")
    (image,) = pipe(generator=seeds(2)).images
    assert same([seen], [image]) and colored.size == (SIZE, SIZE) and colored.mode == "RGB"
    # The same image, uploaded.
    told_again, seen, colored_again = actions.explain(pipe, compared, image, None, "occlusion")
    assert same([seen], [image]) and score_of(told_again)[0] == pytest.approx(score_of(told)[0], abs=0.011)
    # Generated images lie among the generated ones, and nothing claims that one is real.
    pixel_values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        logit = pipe.discriminator(pixel_values).logits.item()
        others = pipe(256, generator=torch.Generator().manual_seed(0), output_type="np").images
        logits = pipe.discriminator(torch.from_numpy(others).permute(0, 3, 1, 2) * 2 - 1).logits
    assert score_of(told_again) == (
        pytest.approx(logit, abs=0.006),
        round(100 * (logits < logit).float().mean().item()),
    )
    assert "real" not in told
    # Orange where the image looks more real, blue where it looks less real.
    strengths = attribute(pipe.discriminator, pixel_values, "occlusion")[0].sum(0).numpy()
    red, _, blue = pixels(colored_again).astype(int).transpose(2, 0, 1)
    clear = np.abs(strengths) > 0.1 * np.abs(strengths).max()
    assert clear.any() and np.array_equal((red > blue)[clear], (strengths > 0)[clear])

    photo, compared = (
        PIL.Image.effect_noise((40, 20), 80).convert("RGBA"),
        partial(actions.scores_of_samples, conditional),
    )
    labelled = {
        name: actions.explain(conditional, compared, photo, 0, "guided_backprop", name)[0] for name in ("cat", "dog")
    }
    assert labelled["cat"] != labelled["dog"] and labelled["dog"].endswith("of class 'dog'")


def test_find(conditional, monkeypatch):
    (image,) = conditional(generator=seeds(3), class_labels="fish").images
    *_, (seen, found, nearness) = actions.find(conditional, image, 150, "fish")
    assert same([seen], [image]) and seen.size == found.size == (SIZE, SIZE) and "Stopped" not in nearness
    psnr = float(nearness.split(" dB")[0])
    error = np.square((pixels(found).astype(float) - np.asarray(image)) / 255).mean()
    rounding = 1 / 12 / 255**2  # of 8-bit values, which the PSNR does not include
    assert psnr > 30 and -10 * np.log10(error) == pytest.approx(-10 * np.log10(10 ** (-psnr / 10) + rounding), abs=1)
    # Results on the way are shown.
    noise = PIL.Image.effect_noise((16, 16), 80)
    psnrs = [float(told.split(" dB")[0]) for *_, told in actions.find(conditional, noise, 150, "fish")]
    assert len(psnrs) == 9 and psnrs == sorted(psnrs)
    # A search ends when its time is over, or when it is closed. The networks are as before.
    monkeypatch.setattr(actions, "SEARCH_SECONDS", 0)
    (only,) = actions.find(conditional, noise, 150, "fish")
    assert only[2].endswith("Stopped after 0 seconds.")
    search = actions.find(conditional, noise, 150, "fish")
    next(search)
    search.close()
    assert same([image], conditional(generator=seeds(3), class_labels="fish").images)
    conditional.generator.train().eval()  # a fused generator cannot be trained


def test_new_seeds_are_random_and_allowed():
    drawn = [actions.new_seeds(2) for _ in range(50)]
    assert len({seed for pair in drawn for seed in pair}) > 90
    assert all(0 <= seed <= actions.MAX_SEED for pair in drawn for seed in pair)
    assert isinstance(actions.new_seeds(1), int)


def test_mistakes_are_told_in_plain_words(pipe, conditional):
    directions, compared = factorized_directions(pipe.generator, 2), partial(actions.scores_of_samples, pipe)
    float_image = PIL.Image.fromarray(np.full((16, 16), 300, np.float32))
    for call, message in (
        (lambda: actions.sample(pipe, 2, None, 0.0), "Enter a seed: a whole number, such as 0."),
        (lambda: actions.walk(pipe, 0, None, 2, "linear", 0.0), "Enter a seed"),
        (lambda: actions.move(pipe, directions, "factor 0", 1.0, 2, None, 0.0), "Enter a seed"),
        (lambda: actions.explain(pipe, compared, None, None, "occlusion"), "Enter a seed"),
        (
            lambda: actions.sample(conditional, 2, 0, 0.0, "bird"),
            "Unknown class 'bird'. Choose one of: cat, dog, fish",
        ),
        (lambda: actions.sample(conditional, 2, 0, 0.0), "Unknown class None"),
        (lambda: actions.sample(pipe, 2, 1.5, 0.0), "Enter a seed"),
        (lambda: actions.sample(pipe, 2, 2**70, 0.0), "Enter a seed"),
        (lambda: actions.sample(pipe, 2, 0, -1.0), "Truncation must be"),
        (lambda: actions.sample(pipe, 2, 0, float("nan")), "Truncation must be"),
        (
            lambda: actions.explain(pipe, compared, float_image, 0, "occlusion"),
            "This picture cannot be used: a float image must lie",
        ),
    ):
        with pytest.raises(gr.Error) as error:
            call()
        assert error.value.message.startswith(message)


# ---- the page ----


def test_directions_are_those_beside_the_model(pipe, hub, token, tmp_path):
    pipe.save_pretrained(tmp_path)
    found = generation.load_directions(tmp_path, pipe)
    assert found.names == [f"factor {number}" for number in range(8)]  # one per latent variable
    torch.testing.assert_close(found.vectors, factorized_directions(pipe.generator, 8).vectors)
    pipe.push_to_hub("org/dcgan")
    assert generation.load_directions("org/dcgan", pipe).names == found.names
    Directions(torch.eye(8)[:1], ["smile"]).save_pretrained(tmp_path)
    assert generation.load_directions(tmp_path, pipe).names == ["smile"]
    Directions(torch.ones(60, 8), [f"number {i}" for i in range(60)]).save_pretrained(tmp_path)
    assert len(generation.load_directions(tmp_path, pipe).names) == 50
    for vectors in (torch.eye(9)[:1], torch.empty(0, 8)):
        Directions(vectors, ["smile"][: len(vectors)]).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=r"directions.safetensors holds directions of shape \(\d, \d\)"):
            generation.load_directions(tmp_path, pipe)


def tabs_of(page):
    return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]


def labels_of(page):
    return [getattr(block, "label", None) for block in page.blocks.values()]


def test_tabs(pipe, conditional):
    directions = factorized_directions(pipe.generator, 2)
    page = generation.build_generation_demo(pipe, directions, "DCGAN")
    assert tabs_of(page) == [
        "Sample",
        "Walk",
        "Directions",
        "Your picture",
        "Discriminator",
    ] and "Class" not in labels_of(page)
    alone = generation.build_generation_demo(make_pipeline(with_discriminator=False), directions, "DCGAN")
    assert tabs_of(alone) == ["Sample", "Walk", "Directions", "Your picture"]
    assert labels_of(generation.build_generation_demo(conditional, directions, "DCGAN")).count("Class") == 5
    assert not page.analytics_enabled


class Blend(torch.nn.Module):
    """Generator of grey squares whose top is as bright as the first latent, and whose red is the second one."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, latents):
        images = torch.zeros(len(latents), 3, 12, 12)
        images[:, :, :4] += latents[:, :1, None, None] / 10
        images[:, 0] += latents[:, 1, None, None] / 20
        return images


def test_directions_are_named_by_what_changes(pipe):
    def draw(latents, **options):
        return (blend(latents) + 0.5,)

    blend = Blend()
    fake = SimpleNamespace(generator=pipe.generator, prepare_latents=pipe.prepare_latents)
    drawing = type("Drawing", (SimpleNamespace,), {"__call__": lambda self, **options: draw(**options)})(**vars(fake))
    directions = Directions(torch.eye(8)[:3], ["factor 0", "component 3", "smile: yes"])
    assert describe_directions(drawing, directions) == [
        "Direction 1: brighter at the top (80 %)",
        "Direction 2: redder all over (20 %)",
        "Towards smile: yes (0 %)",
    ]
    described = describe_directions(pipe, factorized_directions(pipe.generator, 5))
    assert len(set(described)) == 5 and all(re.fullmatch(r"Direction \d: .+ \(\d+ %\)", name) for name in described)


def test_files_that_are_no_pictures(pipe, tmp_path, monkeypatch):
    page = generation.build_generation_demo(pipe, factorized_directions(pipe.generator, 2), "DCGAN")
    pictures = [block for block in page.blocks.values() if getattr(block, "label", None) == "Picture"]
    assert len(pictures) == 2
    notes, large, bomb, cut = (tmp_path / name for name in ("notes.png", "large.bmp", "bomb.png", "cut.jpg"))
    PIL.Image.new("1", (9000, 9000)).save(tmp_path / "wide.png")
    notes.write_text("no picture")
    PIL.Image.new("RGB", (2000, 2000)).save(large)
    PIL.Image.new("1", (20_000, 10_000)).save(bomb)  # some kilobytes
    PIL.Image.effect_noise((64, 64), 50).save(cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "drawing.eps")
    decoded = []
    monkeypatch.setattr(PIL.Image.Image, "load", lambda image: decoded.append(image))
    for picture in pictures:
        for path, message in (
            (notes, "This file cannot be read as an image. Upload one of: JPEG"),
            (tmp_path / "drawing.eps", "This file cannot be read as an image"),
            (large, "This file is larger than 10 MB"),
            (bomb, "This picture has .*50 million"),
            (tmp_path / "wide.png", "This picture has 9000 x 9000 pixels, more than 50 million"),
        ):
            with pytest.raises(gr.Error, match=message):
                picture.preprocess(gr.data_classes.ImageData(path=str(path), orig_name="photo.jpg"))
        with pytest.raises(gr.Error, match="Pictures within a request are not read"):
            picture.preprocess(gr.data_classes.ImageData(url="data:image/png;base64,AAAA"))
    assert not decoded
    monkeypatch.undo()
    with pytest.raises(gr.Error, match="This file cannot be read as an image"):
        pictures[0].preprocess(gr.data_classes.ImageData(path=str(cut)))
    assert pictures[0].preprocess(None) is None


def test_pictures_are_upright_and_keep_their_transparency(pipe, tmp_path):
    picture = uploads.picture_upload()
    photo = PIL.Image.new("RGB", (30, 20), "red")
    photo.paste("blue", (0, 0, 15, 20))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees
    photo.save(tmp_path / "photo.png", exif=exif)
    seen = prepare_images(pipe, picture.preprocess(gr.data_classes.ImageData(path=str(tmp_path / "photo.png"))))
    assert seen[0, :, 0, 8].tolist() == [-1, -1, 1] and seen[0, :, 15, 8].tolist() == [1, -1, -1]  # blue above red
    PIL.Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    clear = picture.preprocess(gr.data_classes.ImageData(path=str(tmp_path / "clear.png")))
    assert torch.equal(prepare_images(pipe, clear), torch.ones(1, 3, 16, 16))  # on white, as in training


@pytest.fixture(scope="module")
def address(conditional):
    page = generation.build_generation_demo(
        conditional, factorized_directions(conditional.generator, 2), "Three animals"
    )
    _, local, _ = page.launch(**demo.LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True)
    yield local
    page.close()


def test_the_api_has_the_same_bounds_as_the_page(address, conditional, tmp_path):
    client = Client(address, verbose=False, download_files=str(tmp_path))
    names = client.view_api(return_format="dict")["named_endpoints"]
    assert names.keys() == {"/sample", "/walk", "/move", "/find", "/explain"}
    (first, _) = client.predict(2, 7, 0.0, "dog", api_name="/sample")
    assert same([PIL.Image.open(first["image"])], conditional(generator=seeds(7), class_labels="dog").images)
    for inputs, message in (
        ((65, 0, 0.0, "cat"), "greater than maximum value 64"),
        ((10**9, 0, 0.0, "cat"), "greater than maximum value 64"),
        ((0, 0, 0.0, "cat"), "less than minimum value 1"),
        ((2, -1, 0.0, "cat"), "less than minimum value 0"),
        ((2, 2**31, 0.0, "cat"), "greater than maximum value 2147483647"),
        ((2, None, 0.0, "cat"), "Enter a seed"),
        ((2, 0, 0.001, "cat"), "not in the list of choices"),
        ((2, 0, 0.0, "bird"), "not in the list of choices"),
    ):
        with pytest.raises(AppError, match=message):
            client.predict(*inputs, api_name="/sample")
    assert len(client.predict(2.4, 0.4, 0.0, "cat", api_name="/sample")) == 2  # rounded
    with pytest.raises(AppError, match="greater than maximum"):
        client.predict("factor 0", 1e9, 2, 0, 0.0, "cat", api_name="/move")
    with pytest.raises(AppError, match="greater than maximum"):
        client.predict(None, 10**9, "cat", api_name="/find")
    with pytest.raises(AppError, match="Upload a picture first"):
        client.predict(None, 50, "cat", api_name="/find")
    with pytest.raises(AppError, match="Addresses are not fetched"):
        elsewhere = {"path": f"{address}favicon.ico", "meta": {"_type": "gradio.FileData"}}
        client.predict(elsewhere, 50, "cat", api_name="/find")
    # No way around the queue.
    answer = httpx.post(f"{address}gradio_api/run/sample", json={"data": [2, 0, 0.0, "cat"]})
    assert answer.status_code in (404, 422)


def test_a_search_keeps_nobody_waiting_and_can_be_stopped(address, tmp_path):
    PIL.Image.effect_noise((16, 16), 80).save(tmp_path / "noise.png")
    client, other = (Client(address, verbose=False, download_files=str(tmp_path)) for _ in range(2))
    search = client.submit(handle_file(tmp_path / "noise.png"), 1000, "cat", api_name="/find")
    next(iter(search))  # it has begun
    assert len(other.predict(2, 7, 0.0, "dog", api_name="/sample")) == 2
    assert not search.done()
    search.cancel()
    *_, (_, _, nearness) = other.submit(handle_file(tmp_path / "noise.png"), 50, "cat", api_name="/find")
    assert " dB" in nearness  # the next search has its turn


@contextmanager
def opened_on_a_phone(address):
    """A tab of a browser that shows a page and asks nobody else for anything."""
    sync_api = pytest.importorskip("playwright.sync_api")
    requested = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.on("request", lambda request: requested.append(request.url))
        tab.goto(address)
        yield tab
        browser.close()
    local = (address, "data:", "blob:")
    assert len(requested) > 10 and not [url for url in requested if not url.startswith(local)]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_in_a_browser(conditional, address, tmp_path):
    with opened_on_a_phone(address) as tab:
        tab.get_by_text("seed 15").wait_for()  # generated when the page opened
        seed = tab.get_by_label("Seed", exact=True).first
        seed.fill("100")
        tab.get_by_role("button", name="Sample", exact=True).click()
        tab.get_by_text("seed 115").wait_for()
        shown = tab.locator(".pixels img:visible").first
        (image,) = conditional(generator=seeds(100), class_labels="cat").images
        (tmp_path / "shown.png").write_bytes(tab.request.get(shown.get_attribute("src")).body())
        assert same([PIL.Image.open(tmp_path / "shown.png")], [image])
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        # On a laptop, all images are seen at once.
        tab.set_viewport_size({"width": 1366, "height": 768})
        last, gallery = (found.bounding_box() for found in (tab.get_by_text("seed 115"), tab.locator(".pixels").first))
        assert last["y"] + last["height"] <= gallery["y"] + gallery["height"] <= 768
        # Other images, from a seed that is shown.
        tab.get_by_role("button", name="Surprise me").first.click()
        tab.wait_for_function("!document.body.innerText.includes('seed 115')")
        tab.get_by_text(f"seed {seed.input_value()}", exact=True).wait_for()
        assert seed.input_value() != "100"
        seed.fill("")
        tab.get_by_role("button", name="Sample", exact=True).click()
        tab.get_by_text("Enter a seed: a whole number, such as 0.").wait_for()


def test_the_queue_is_bounded(pipe, tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "_MAX_WAITING", 1)
    page = generation.build_generation_demo(pipe, factorized_directions(pipe.generator, 2), "DCGAN")
    _, local, _ = page.launch(**demo.LAUNCH_OPTIONS, prevent_thread_lock=True, quiet=True)
    PIL.Image.effect_noise((16, 16), 80).save(tmp_path / "noise.png")
    try:
        client = Client(local, verbose=False, download_files=str(tmp_path))
        noise = handle_file(tmp_path / "noise.png")
        running = client.submit(noise, 1000, api_name="/find")
        next(iter(running))
        more = [client.submit(noise, 50, api_name="/find") for _ in range(3)]  # one may wait
        wait([job.future for job in more], return_when=FIRST_EXCEPTION)
        running.cancel()
        refused = [str(job.exception()) for job in more if job.exception() is not None]
        assert 1 <= len(refused) <= 2 and all("Queue is full" in message for message in refused)
    finally:
        page.close()


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
    (space / "dcgan_hf" / "mine.py").write_text("mine = 1")
    (space / "README.md").write_text("My own")
    run_command("demo", model, "--output_dir", space)
    assert (space / "dcgan_hf" / "mine.py").read_text() == "mine = 1"
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
    code = "import app, dcgan_hf; names = [f.api_name for f in app.demo.fns.values() if f.api_visibility == 'public']; print(dcgan_hf.__file__, app.demo.title, *names)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "clone", env=environment, capture_output=True, text=True
    )
    assert process.stdout.split() == [
        str(tmp_path / "clone/dcgan_hf/__init__.py"),
        "dcgan",
        "sample",
        "walk",
        "move",
        "find",
        "explain",
    ], process.stderr


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


def test_hardware_of_a_space(hub, token, tmp_path, pipe, capsys):
    pipe.save_pretrained(tmp_path / "dcgan")
    flags = ["demo", str(tmp_path / "dcgan"), "--push_to_hub", "--hub_model_id"]
    assert main([*flags, "org/free"]) == 0 and hub.hardware["spaces/org/free"] == "zero-a10g"
    assert main([*flags, "org/paid", "--space_hardware", "t4-small"]) == 0
    assert hub.hardware["spaces/org/paid"] == "t4-small"
    assert main([*flags, "org/none", "--space_hardware", "zero-gpu"]) == 2
    assert re.search("--space_hardware zero-gpu must be one of cpu-basic, .*", capsys.readouterr().err)

    said = "hosting Gradio and Docker Spaces on free cpu-basic requires a PRO subscription"
    hub.fail("POST /api/repos/create", 402, {"X-Error-Message": said}, times=1)
    assert main([*flags, "org/none", "--space_hardware", "cpu-basic"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "--space_hardware cpu-basic: the Hub does not create the Space org/none" in message
    assert f"(402 Payment Required: {said}" in message
    assert "'zero-a10g' (ZeroGPU)" in message and "Traceback" not in message
    assert main([*flags, "somebody/none"]) == 2  # no right to write there
    assert "(403 Forbidden: You don't have the rights" in capsys.readouterr().err
    assert not {"spaces/org/none", "spaces/somebody/none"} & {*hub.repos}
    # An existing Space is updated even if a new one would be refused.
    hub.fail("POST /api/repos/create", 402, times=1)
    assert main([*flags, "org/free", "--space_hardware", "cpu-basic"]) == 0


def page_with_lent_gpu(pipe, folder, monkeypatch):
    """Returns the page of a Space on ZeroGPU, and the function that wants a GPU with its duration."""
    # The package of ZeroGPU, reduced to what it records: functions, and for how long they want a GPU.
    lent = {}
    zero_gpu = ModuleType("spaces")
    zero_gpu.GPU = lambda duration: lambda function: lent.setdefault(duration, function)
    monkeypatch.setitem(sys.modules, "spaces", zero_gpu)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    pipe.save_pretrained(folder / "model")
    run_command("demo", folder / "model", "--output_dir", folder / "space")
    page = runpy.run_path(str(folder / "space" / "app.py"))["demo"]
    ((duration, function),) = lent.items()
    return page, duration, function


def test_searches_use_a_gpu_that_is_lent(tmp_path, conditional, monkeypatch):
    page, duration, search = page_with_lent_gpu(conditional, tmp_path, monkeypatch)
    assert duration > actions.SEARCH_SECONDS
    assert [function.api_name for function in page.fns.values() if function.fn is search] == ["find"]
    *_, (_, _, nearness) = search(PIL.Image.effect_noise((16, 16), 80), 50, "cat")
    assert " dB" in nearness


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
