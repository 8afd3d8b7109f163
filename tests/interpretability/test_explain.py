"""Tests of the page that explains a model: it shows the results of the functions and is self-contained."""

import json
import re
import signal
from functools import partial

import numpy as np
import PIL.Image
import pytest
import torch
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars
from scipy.stats import spearmanr
from tqdm.auto import tqdm
from transformers import ResNetForImageClassification

from dcgan_hf import DCGANPipeline
from dcgan_hf.cli.main import main
from dcgan_hf.data import procedural_faces
from dcgan_hf.evaluation.features import ClassifierFeatures
from dcgan_hf.interpretability.arguments import ExplanationArguments
from dcgan_hf.interpretability.latent_space import Directions
from dcgan_hf.interpretability.page.discriminator_sections import signed_maps
from dcgan_hf.interpretability.page.generator_sections import (
    arithmetic_section,
    directions_section,
    find_directions,
    units_section,
)
from dcgan_hf.interpretability.page.html import Page, Picture, Section
from dcgan_hf.interpretability.samples import Subject
from dcgan_hf.interpretability.units import remaining_difference, switched_off

from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..train_utils import run_command, run_script, save_classifier, train_here


def save_attribute_classifier(folder, pipe, labels=("shape: round", "shape: long", "color: light", "color: dark")):
    """Saves a classifier with random weights, each of whose labels applies to half of the samples."""
    network = ResNetForImageClassification.from_pretrained(
        save_classifier(folder),
        id2label=dict(enumerate(labels)),
        problem_type="multi_label_classification",
        num_labels=len(labels),
        ignore_mismatched_sizes=True,
    ).eval()
    network.save_pretrained(folder)
    images = Subject.of(pipe, 100, seed=1).images
    with torch.no_grad():
        _, logits = ClassifierFeatures(str(folder), torch.device("cpu"))(images)
        network.classifier[-1].bias -= logits.median(0).values
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipe():
    torch.manual_seed(0)
    return make_pipeline()


@pytest.fixture(scope="module")
def subject(pipe, tmp_path_factory):
    folder = save_attribute_classifier(tmp_path_factory.mktemp("classifier") / "attributes", pipe)
    return Subject.of(pipe, 200, seed=0, network=ClassifierFeatures(str(folder), torch.device("cpu")))


def test_the_subject_knows_its_samples(pipe, subject):
    (expected,) = pipe(latents=subject.latents[:5], output_type="np", return_dict=False)
    assert np.array_equal(subject.images[:5].permute(0, 2, 3, 1).numpy(), (expected * 255).round().astype(np.uint8))
    chosen = subject.labels
    assert len(chosen) == 2 and {name.partition(":")[0] for name in chosen} == {"shape", "color"}
    direction, name = subject.boundary(chosen[0]), chosen[0]
    held_out = subject.attributes.probabilities[100:, subject.attributes.names.index(name)]
    expected = spearmanr((subject.latents[100:] @ direction).numpy(), held_out).statistic
    assert subject.rank_correlation(direction, name) == pytest.approx(expected)
    conditional = Subject.of(make_pipeline(num_classes=3), 7, seed=0)
    assert conditional.labels_of(2, 5) == [2, 0, 1] and len(conditional.images) == 7
    with pytest.raises(
        ValueError, match="`labels=shape: rund` is not a label of .* Did you mean 'shape: round'.*Labels: "
    ):
        Subject.of(pipe, 20, seed=0, network=subject.network, labels=["shape: rund"])


def test_labels_are_explained_for_a_model_with_classes(subject, tmp_path):
    pipe = make_pipeline(num_classes=3)
    folder = save_attribute_classifier(tmp_path / "attributes", pipe, ("shape: round", "shape: long"))
    network = ClassifierFeatures(str(folder), torch.device("cpu"))
    assert Subject.of(pipe, 20, seed=0, network=network).labels == []  # classes may determine the labels
    of_classes = Subject.of(pipe, 200, seed=0, network=network, labels=["shape: round"])
    directions = find_directions(of_classes)
    assert directions.names[-1] == "shape: round"
    assert directions_section(of_classes, directions).rows[-1][:2] == ["shape: round", "shape: round"]
    # Samples that are moved or lose units keep their classes.
    chosen = torch.tensor([4, 0, 7])
    drawn = of_classes.draw(of_classes.latents[chosen], of_classes.classes_of(chosen))
    assert torch.equal(drawn, of_classes.images[chosen])
    assert (
        "shape: round" in arithmetic_section(of_classes).numbers
        and "shape: round" in units_section(of_classes, num_layers=1, num_latents=10).numbers
    )


def test_sections_say_what_was_measured(subject):
    directions = find_directions(subject)
    section = directions_section(subject, directions)
    assert directions.names[:2] == ["factor 0", "factor 1"] and "component 0" in directions.names
    for (name, label, shown), vector in zip(section.rows, directions.vectors):
        assert float(shown) == pytest.approx(subject.rank_correlation(vector, label), abs=0.005)
        assert section.numbers["rank correlations"][name][label] == pytest.approx(float(shown), abs=0.005)
    for name, of_layers in units_section(subject).numbers.items():
        before = subject.attributes.has(name)
        for layer, numbers in enumerate(of_layers.values()):
            assert numbers["before"] == before.mean() and len(numbers["units"]) == len(set(numbers["units"])) > 1
            with switched_off(subject.pipe.generator, layer, numbers["units"]):
                images = subject.draw(subject.latents)
            logits = subject.network(images)[1][:, subject.attributes.names.index(name)]
            assert numbers["after"] == pytest.approx((logits > 0).float().mean().item(), abs=0.011)
            assert numbers["difference left, in pixels"] == remaining_difference(subject.images, images, before)


def test_signed_maps():
    values = torch.tensor([[1.0, -1.0], [0.0, 0.5]]).expand(1, 2, 2, 2)
    (image,) = signed_maps(values)
    assert [image.getpixel(at) for at in ((0, 0), (1, 0), (0, 1))] == [(255, 0, 0), (0, 0, 255), (255, 255, 255)]
    red, green, blue = image.getpixel((1, 1))
    assert red == 255 and green == blue and 120 < green < 135


def test_the_page_escapes_and_needs_no_other_file(tmp_path):
    picture = Picture.of_image(PIL.Image.new("L", (32, 32)), 'a "square" <b>', "caption & more")
    section = Section("text", [picture], ["a"], [["<i>"]], {"x": [1.5, float("nan")]})
    written = Page(tmp_path, "org/model", is_quick=True)
    written.add("1 < 2", section, 3.2, to_come=["Units", "<u>"])
    page = written.path.read_text()
    assert "1 &lt; 2" in page and "<i>" not in page and "<b>" not in page and "caption &amp; more" in page
    assert picture.width == 608 and 'width="608"' in page and 'alt="a &#34;square&#34; &lt;b&gt;"' in page
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page
    assert "A quick look" in page and "To come: Units, &lt;u&gt;." in page and page.rstrip().endswith("</html>")
    numbers = {"1 < 2": {"x": [1.5, None]}}
    facts = {"model": "org/model", "quick": True}
    said = json.loads((tmp_path / "explanation.json").read_text(), parse_constant=pytest.fail)
    assert said == facts | {"to come": ["Units", "<u>"]} | numbers
    assert PIL.Image.open(tmp_path / "images" / "1-2-1.png").size == (32, 32)
    written.add("Units", Section("more"), 4.0)
    assert "To come" not in written.path.read_text() and "1 &lt; 2" in written.path.read_text()
    assert json.loads((tmp_path / "explanation.json").read_text()) == facts | numbers | {"Units": {}}


@pytest.fixture
def bars(monkeypatch):
    """Undoes `TQDM_DISABLE`, which tests set."""
    monkeypatch.setattr("dcgan_hf.interpretability.explain.tqdm", partial(tqdm, disable=False))


def test_the_command_explains_a_run(tmp_path, capsys, bars):
    train_here(tmp_path / "run", max_train_steps=4)
    classifier = save_attribute_classifier(tmp_path / "classifier", DCGANPipeline.from_pretrained(tmp_path / "run"))
    flags = ["--dataset_name", "digits", "--max_real_images", 100, "--num_images", 200, "--use_cpu"]
    run_command("explain", tmp_path / "run", *flags, "--classifier", classifier)
    folder = tmp_path / "run" / "explanation"
    page = (folder / "explanation.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and "http" not in re.sub(r'src="[^"]*"', "", page)
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == len(list((folder / "images").iterdir())) >= 10 and all(
        re.search(r'alt="[^"]+"', image) for image in images
    )
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "Samples",
        "Walks between samples",
        "Directions in latent space",
        "Arithmetic with latents",
        "Units of the generator",
        "Inversion",
        "What the discriminator looks at",
        "Filters of the discriminator",
        "Training",
    ]
    numbers = json.loads((folder / "explanation.json").read_text())
    assert set(numbers) == {"model", *titles} and len(numbers["Inversion"]["PSNR of generated images (dB)"]) == 64
    assert (folder / "walk.mp4").read_bytes()[4:8] == b"ftyp"
    assert len(Directions.from_pretrained(tmp_path / "run").names) >= 10
    assert "To come" not in page and "A quick look" not in page
    bar = capsys.readouterr().err
    assert all(f"{title}: " in bar for title in titles) and "9/9" in bar


def test_a_quick_look_at_a_model_with_classes_without_data(tmp_path, capsys, bars):
    make_pipeline(num_classes=3, with_discriminator=False).save_pretrained(tmp_path / "dcgan")
    disable_progress_bars()
    try:
        run_command("explain", tmp_path / "dcgan", "--quick", "--output_dir", tmp_path / "out", "--use_cpu")
    finally:
        enable_progress_bars()
    assert "section" not in capsys.readouterr().err
    page = (tmp_path / "out" / "explanation.html").read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == ["Samples", "Walks between samples", "Directions in latent space", "Inversion"]
    assert "A quick look" in page and "Of 16 generated images" in page
    assert ExplanationArguments().amounts.samples == 2000 and ExplanationArguments(quick=True).amounts.samples == 500
    assert ExplanationArguments(quick=True, num_images=300).amounts.samples == 300


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_explanation_leaves_a_page_of_what_is_done(tmp_path, monkeypatch, capsys, number):
    make_pipeline(with_discriminator=False).save_pretrained(tmp_path / "dcgan")
    write, handlers = Page.add, (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))

    def write_and_stop(self, title, *others):
        write(self, title, *others)
        if title == "Walks between samples":
            signal.raise_signal(number)

    monkeypatch.setattr(Page, "add", write_and_stop)
    flags = ["--num_images", "200", "--output_dir", str(tmp_path / "out"), "--use_cpu"]
    assert main(["explain", str(tmp_path / "dcgan"), *flags]) == 130
    path = tmp_path / "out" / "explanation.html"
    assert capsys.readouterr().err.splitlines()[-1] == f"Stopped. {path} has: Samples, Walks between samples."
    assert re.findall(r"<h2>(.*?)</h2>", path.read_text()) == ["Samples", "Walks between samples"]
    assert "To come: Directions in latent space, Inversion." in path.read_text()
    numbers = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert numbers["to come"] == ["Directions in latent space", "Inversion"] and "Samples" in numbers
    written = {file.name for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert {name.rsplit("-", 1)[0] for name in written if name.endswith((".png", ".gif"))} == {
        "samples",
        "walks-between-samples",
    }
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_claims_about_faces_are_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(procedural_faces.NUM_IMAGES, "test", 40)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    pipe = make_pipeline(image_size=64)
    pipe.save_pretrained(tmp_path / "faces")
    labels = [f"{group}: {value}" for group, values in procedural_faces.ATTRIBUTES.items() for value in values]
    classifier = save_attribute_classifier(tmp_path / "classifier", pipe, labels)
    run_script(
        *("check_understanding", tmp_path / "faces", "--classifier", classifier, "--seeds", 0, 3, "--num_images", 200),
        *("--output_dir", tmp_path),
    )
    said = capsys.readouterr().out
    assert re.findall(r"Seed (\d), 200 samples", said) == ["0", "3"]
    assert len(re.findall(r"arithmetic: adds glasses to \d+% .* kept: skin \d+%, hair_color", said)) == 2
    assert len(re.findall(r"units of map [12]: glasses on", said)) == 4
    assert len(re.findall(r"inversion: \d+% of 64", said)) == 2
    assert re.findall(r"Layer (\d): .* attend to them [\d.]+ times", said) == ["1", "2", "3", "4"]

    record = json.loads((tmp_path / "understanding.json").read_text())
    assert record["command"].startswith("python scripts/check_understanding.py ") and len(record["times_chance"]) == 4
    assert record["seeds"].keys() == {"0", "3"}
    from check_understanding import understanding_table

    table = understanding_table(record).splitlines()
    assert table[0] == "|  | seed 0 | seed 3 |" and all(row.count("|") == 4 for row in table)
    added = [f"{record['seeds'][seed]['arithmetic']['added']:.0%}" for seed in ("0", "3")]
    assert table[2] == f"| **Arithmetic**: faces given glasses | {added[0]} | {added[1]} |"


def test_wrong_use(tmp_path):
    with pytest.raises(ValueError, match="`output_dir` is required: org/dcgan is not a local folder"):
        run_command("explain", "org/dcgan")
    with pytest.raises(ValueError, match="`labels=hat` requires `classifier`"):
        run_command("explain", tmp_path, "--labels", "hat")
    with pytest.raises(ValueError, match="`num_images` must be at least 200, got 50"):
        run_command("explain", tmp_path, "--num_images", 50)
