"""Tests of features, measurements and the evaluation commands. Formulas: test_metrics.py."""

import dataclasses
import importlib
import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import PIL.Image
import pytest
import torch
from huggingface_hub import ModelCard
from sklearn.datasets import load_sample_image
from transformers import ResNetForImageClassification

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.data import procedural_faces
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.data.decoding import Decoder
from dcgan_hf.evaluation.features import (
    ClassifierFeatures,
    EfficientNetFeatures,
    Features,
    InceptionFeatures,
    load_feature_network,
)
from dcgan_hf.evaluation.images import decode_images, features_of, labels_asked_for
from dcgan_hf.evaluation.measure import AskedFor, measure
from dcgan_hf.evaluation.records import Metric, read_metrics, write_metrics
from dcgan_hf.evaluation.report import find_memorized
from dcgan_hf.inference.generate import generate_images, labels_of_images
from dcgan_hf.interpretability.attributes import describe_attributes

from ..inference.test_generate import save_model
from ..processes import run_elsewhere
from ..train_utils import run_command, save_classifier, train_here


CPU = torch.device("cpu")


def random_images(number, channels=1, size=16):
    return torch.randint(0, 256, (number, channels, size, size), dtype=torch.uint8)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("models") / "classifier")


# ---- features ----


@pytest.mark.parametrize("channels", [1, 3])
def test_features_of_a_classifier_are_what_its_last_layer_is_given(classifier, channels):
    network = load_feature_network(str(classifier), CPU)
    assert isinstance(network, ClassifierFeatures) and network.name == "classifier" and len(network.class_names) == 10
    images = random_images(3, channels)
    features, logits = network(images)
    model = ResNetForImageClassification.from_pretrained(classifier).eval()
    pixel_values = images.expand(-1, 3, -1, -1) / 127.5 - 1
    expected = model.resnet(pixel_values).pooler_output.flatten(1)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits, model(pixel_values).logits, atol=1e-5, rtol=1e-4)


def test_probabilities_of_several_labels_are_sigmoids(classifier, tmp_path):
    images = random_images(3)
    exclusive = load_feature_network(str(classifier), CPU)
    logits = exclusive(images)[1].detach()
    assert not exclusive.is_multi_label and exclusive.class_names == exclusive.label_names
    np.testing.assert_allclose(features_of(exclusive, images).probabilities, logits.softmax(1), rtol=1e-5)

    folder = save_classifier(tmp_path / "labels")
    config = json.loads((folder / "config.json").read_text()) | {"problem_type": "multi_label_classification"}
    (folder / "config.json").write_text(json.dumps(config))
    several = load_feature_network(str(folder), CPU)
    assert several.is_multi_label and several.class_names is None and several.label_names == exclusive.class_names
    np.testing.assert_allclose(features_of(several, images).probabilities, logits.sigmoid(), rtol=1e-5)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_efficientnet_sees_what_is_on_a_photo(name):
    network = load_feature_network(name, CPU)
    assert isinstance(network, EfficientNetFeatures) and network.name == name
    palace = torch.from_numpy(load_sample_image("china.jpg")[:, 100:527].copy()).permute(2, 0, 1)[None]
    features, logits = network(palace)
    assert features.shape == (1, 1280) and {698, 663} <= set(logits[0].topk(4).indices.tolist())  # palace, monastery
    grey = random_images(2)
    torch.testing.assert_close(network(grey)[0], network(grey.repeat(1, 3, 1, 1))[0])
    with pytest.raises(ValueError, match="need grey or RGB images, got 4 channels"):
        network(random_images(1, channels=4))


@pytest.fixture
def torch_fidelity(monkeypatch):
    """torch-fidelity with a stub of torchvision, which it imports for networks other than Inception."""
    monkeypatch.syspath_prepend(Path(sys.prefix) / "torch-fidelity")  # installed there by the Makefile
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name in ("CIFAR10", "CIFAR100", "STL10"):
        setattr(sys.modules["torchvision.datasets"], name, object)
    yield importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    for name in [name for name in sys.modules if name.startswith("torch_fidelity")]:
        del sys.modules[name]


def test_inception_gets_the_images_as_papers_give_them(torch_fidelity, monkeypatch):
    # Random weights, because the real ones would be downloaded.
    monkeypatch.setattr(torch_fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
    monkeypatch.setattr(torch_fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *args: None)
    network = load_feature_network("inception", CPU)
    assert isinstance(network, InceptionFeatures)
    images = random_images(2)
    with torch.inference_mode():
        features, logits = network(images)
        expected = network.network(images.repeat(1, 3, 1, 1))
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)
    torch.testing.assert_close((features, logits), expected)


def test_inception_without_its_weights_or_package(torch_fidelity, monkeypatch):
    def fail(*args, **kwargs):
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch_fidelity, "load_state_dict_from_url", fail)
    with pytest.raises(ValueError, match="cannot be downloaded: Temporary failure .* `features=efficientnet-lite0`"):
        load_feature_network("inception", CPU)
    with monkeypatch.context() as patch:  # undone before the fixture removes the package, or it would return
        patch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
        with pytest.raises(ImportError, match="needs torch-fidelity and torchvision"):
            load_feature_network("inception", CPU)


def test_what_is_no_classifier_is_named_with_its_argument(tmp_path):
    save_model(tmp_path / "dcgan")
    for name, message in (
        ("dcgan", "Unrecognized configuration class [^\n]*"),
        ("nothing", "no such folder, and no .*"),
    ):
        with pytest.raises(OSError, match=f"^`eval_features={tmp_path / name}`: {message}$"):
            load_feature_network(str(tmp_path / name), CPU, "eval_features")


class Means:
    """Features that are easy to check, with a counter of processed images."""

    name = "means"
    class_names = None
    is_multi_label = False
    fingerprint = "1"

    def __init__(self):
        self.asked = 0

    def __call__(self, images):
        self.asked += len(images)
        features = images.float().mean((2, 3))
        return features, torch.cat([features, -features], 1)


def test_features_are_kept_for_the_same_images_and_weights_only(tmp_path):
    images, network = random_images(300), Means()
    first = features_of(network, images, tmp_path)
    np.testing.assert_allclose(first.features[:, 0], images.float().mean((1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(first.probabilities.sum(1), 1, rtol=1e-6)
    again = features_of(network, images.clone(), tmp_path)
    assert network.asked == 300 and (again.features == first.features).all()
    features_of(network, images.flip(0), tmp_path)
    assert network.asked == 600
    network.fingerprint = "2"
    features_of(network, images, tmp_path)
    assert network.asked == 900 and len(list(tmp_path.iterdir())) == 3
    features_of(network, images)  # not cached
    assert network.asked == 1200 and len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("size", [0, 20, 200, -1])
def test_damaged_features_are_computed_again(tmp_path, size, caplog):
    images, network = random_images(30), Means()
    first = features_of(network, images, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    again = features_of(network, images, tmp_path)
    assert network.asked == 60 and (again.features == first.features).all()
    assert f"{path} is damaged" in caplog.text and len(path.read_bytes()) == len(whole)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_images_are_those_of_generated_files(tmp_path, num_classes):
    model = save_model(tmp_path / "model", **({"num_classes": num_classes} if num_classes else {}))
    run_command("generate", model, "--num_images", 20, "--seed", 5, "--output_dir", tmp_path / "files", "--use_cpu")
    pipe = DCGANPipeline.from_pretrained(model)
    pipe.generator.to(memory_format=torch.channels_last)
    pipe.generator.fuse()
    images = generate_images(pipe, 20, seed=5, class_ids=list(range(num_classes)) or None)
    for number, image in enumerate(images):
        file = np.asarray(PIL.Image.open(tmp_path / "files" / f"{number:08d}.png"))
        assert (image.permute(1, 2, 0).numpy() == file).all()


# ---- measurements ----


def sets(num_real=400, num_fake=500, num_features=6, num_classes=4):
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(number, num_features)) for number in (num_real, num_fake))
    return [
        Features(features, np.eye(num_classes)[np.arange(len(features)) % num_classes]) for features in (real, fake)
    ]


def measured(name="my-network", num_fake=500, class_names=None, asked_for=(), real_classes=4, is_multi_label=False):
    network = SimpleNamespace(name=name, class_names=class_names, is_multi_label=is_multi_label)
    real, fake = sets(num_fake=num_fake)
    real.probabilities[:, 0] += real.probabilities[:, real_classes:].sum(1)
    real.probabilities[:, real_classes:] = 0
    metrics = measure(network, real, fake, "test", asked_for)
    return {metric.type: metric for metric in metrics}


def test_only_what_is_fid_is_called_so():
    standard = measured("inception", num_fake=10_000)
    assert standard["fid"].name == "FID" and standard["kid"].name == "KID"
    assert standard["inception_score"].name == "Inception score" and standard["kid"].spread > 0
    few = measured("inception")
    assert "fid" not in few and few["frechet_distance"].num_images == 500
    other = measured(num_fake=10_000)
    assert not other.keys() & {"fid", "kid", "inception_score"}
    assert {
        "frechet_distance",
        "kernel_distance",
        "classifier_score",
        "precision",
        "recall",
        "coverage",
    } < other.keys()
    metric = other["density"]
    assert (metric.num_images, metric.num_real_images, metric.features) == (10_000, 400, "my-network")


def test_classes_are_measured_where_the_network_knows_them():
    assert not measured().keys() & {"modes", "class_kl", "class_accuracy"}
    asked_for = AskedFor("class", [0, 1, 2, 3], np.arange(500) % 2)
    metrics = measured(class_names=list("abcd"), asked_for=[asked_for])
    assert "class_kl" not in measured(class_names=list("abcde"), real_classes=3)  # infinite
    assert metrics["modes"].value == 4 and metrics["modes"].name == "Classes that occur, of 4"
    assert metrics["class_kl"].value == pytest.approx(0) and metrics["class_accuracy"].value == 0.5


def test_each_attribute_is_measured_by_a_classifier_that_knows_it():
    attributes = {"hair": ["red", "grey", "bald"], "hat": ["no", "yes"], "smile": ["no", "yes"]}
    counts = {"0 1 1": 2, "1 0 0": 3, "2 1 0": 5}
    config = DCGANGeneratorConfig(
        image_size=16, hidden_size=4, latent_dim=8, attributes=attributes, combination_counts=counts
    )
    pipe = DCGANPipeline(DCGANGenerator(config))
    pipe.set_progress_bar_config(disable=True)
    # The labels are those drawn for the images: with them, the same latents give the same images.
    labels = labels_of_images(pipe, range(30), 7, None)
    generators = [torch.Generator().manual_seed(7 + i) for i in range(30)]
    images = pipe(30, generator=generators, class_labels=labels, output_type="pt").images
    assert torch.equal(generate_images(pipe, 30, seed=7), images.mul(255).round().byte())
    assert {tuple(row) for row in labels} == {(0, 1, 1), (1, 0, 0), (2, 1, 0)}

    names = ["smile: yes", "smile: no", "hair: grey", "hair: bald", "hair: red", "hat: yes"]  # not "hat: no"
    network = SimpleNamespace(name="n", label_names=names, class_names=None, is_multi_label=True)
    hair, smile = labels_asked_for(network, pipe, 30, 7)
    assert (hair.name, hair.columns, smile.name, smile.columns) == ("hair", [4, 2, 3], "smile", [1, 0])
    real, fake = sets(num_fake=30, num_classes=6)
    shown = np.array([row if i else [2, 1, 1] for i, row in enumerate(labels)])  # the first is not as asked for
    fake.probabilities[:] = 0.4
    for column, values in zip(([4, 2, 3], [1, 0]), shown.T[[0, 2]]):
        fake.probabilities[np.arange(30), np.array(column)[values]] = 0.45  # the highest of its attribute
    labels[0] = [0, 1, 1]
    asked_for = [hair._replace(labels=np.array(labels)[:, 0]), smile._replace(labels=np.array(labels)[:, 2])]
    metrics = {metric.type: metric for metric in measure(network, real, fake, "test", asked_for)}
    assert metrics["hair_accuracy"].value == pytest.approx(29 / 30) and metrics["smile_accuracy"].value == 1
    assert metrics["hair_accuracy"].name == "Images with the hair asked for"
    assert labels_asked_for(SimpleNamespace(label_names=None), pipe, 30) == []


def test_labels_that_do_not_exclude_each_other_are_not_measured_as_classes():
    with_classes, with_labels = measured(), measured(is_multi_label=True)
    assert with_classes.keys() - with_labels.keys() == {"classifier_score"}
    assert with_labels["frechet_distance"] == with_classes["frechet_distance"]


def test_too_few_images_for_the_features():
    network = SimpleNamespace(name="big", class_names=None, is_multi_label=False)
    with pytest.raises(ValueError, match="6 generated and 400 real images are too few for the 6 features of 'big'"):
        measure(network, *sets(num_fake=6), "test")


def test_measurements_with_other_features_stay(tmp_path):
    metric = Metric("frechet_distance", "Frechet distance", 3.0, 500, 400, "a", "test", dataset_name="digits")
    other, newer = dataclasses.replace(metric, features="b"), dataclasses.replace(metric, value=2.0)
    for metrics in ([metric], [other], [newer]):
        write_metrics(metrics, tmp_path)
    assert read_metrics(tmp_path) == [other, newer]


def test_copies_are_found():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(2000, 8))
    new = Features(rng.normal(size=(1000, 8)), np.empty(0))
    assert find_memorized(Features(train, np.empty(0)), new).share_of_near_copies < 0.03
    copied = new.features.copy()
    copied[100:600] = train[500:1000] + 1e-3
    memorization = find_memorized(Features(train, np.empty(0)), Features(copied, np.empty(0)))
    assert memorization.share_of_near_copies == pytest.approx(0.5, abs=0.03)
    assert (memorization.neighbors[:, 0] == memorization.suspects + 400).all()


# ---- commands ----


def evaluate(*flags, cache_dir):
    run_command("evaluate", *flags, "--use_cpu", "--feature_cache_dir", cache_dir)


def test_a_folder_is_evaluated(classifier, tmp_path):
    train_here(tmp_path / "run", class_conditional=True, max_train_steps=4)
    flags = (tmp_path / "run", "--dataset_name", "digits", "--features", classifier, "--num_images", 200)
    evaluate(*flags, cache_dir=tmp_path / "cache")
    metrics = {metric.type: metric for metric in read_metrics(tmp_path / "run")}
    assert metrics["frechet_distance"].num_images == 200 and metrics["frechet_distance"].num_real_images == 1797
    assert metrics["frechet_distance"].dataset_name == "digits" and 0 <= metrics["class_accuracy"].value <= 1
    report = (tmp_path / "run" / "evaluation" / "report.md").read_text()
    assert "| Frechet distance |" in report and "of digits, split `train` | classifier |" in report
    assert "## Classes" in report and "| LABEL_9 |" in report and str(tmp_path) not in report
    size = PIL.Image.open(tmp_path / "run" / "evaluation" / "samples.png").size
    assert size == (8 * 18 + 2, 8 * 18 + 2)
    card = (tmp_path / "run" / "README.md").read_text()
    assert "## Evaluation" in card and "Kernel distance" in card
    results = {result.metric_type: result for result in ModelCard(card).data.eval_results}
    assert results["frechet_distance"].metric_value == pytest.approx(metrics["frechet_distance"].value)
    # The same on two processes.
    run_elsewhere("evaluate", *flags, "--use_cpu", "--feature_cache_dir", tmp_path / "other-cache", processes=2)
    for metric in read_metrics(tmp_path / "run"):
        assert metric.value == pytest.approx(metrics[metric.type].value, rel=1e-3, abs=1e-3)


def test_a_model_of_the_hub_is_evaluated(hub, token, classifier, tmp_path, monkeypatch):
    train_here(tmp_path / "run", max_train_steps=2, push_to_hub=True, hub_model_id="org/digits")
    monkeypatch.chdir(tmp_path)
    flags = ("org/digits", "--dataset_name", "digits", "--features", classifier, "--num_images", 150, "--push_to_hub")
    for _ in range(2):  # the second run replaces the figures of the first
        evaluate(*flags, cache_dir=tmp_path / "cache")
    assert json.loads(hub.files("org/digits")["metrics.json"]) == json.loads(
        (tmp_path / "digits-evaluation" / "metrics.json").read_text()
    )
    card = ModelCard.load("org/digits")
    types = [result.metric_type for result in card.data.eval_results]
    assert "frechet_distance" in types and len(types) == len(set(types))
    assert card.data.eval_results[0].dataset_name == "digits" and "## Training" in card.content


def test_bad_real_images_are_named_or_skipped(classifier, tmp_path, caplog):
    save_model(tmp_path / "model")
    (tmp_path / "real").mkdir()
    for i, pixels in enumerate(random_images(30)):
        PIL.Image.fromarray(pixels[0].numpy()).save(tmp_path / "real" / f"{i}.png")
    (tmp_path / "real" / "broken.png").write_bytes((tmp_path / "real" / "3.png").read_bytes()[:90])
    flags = [tmp_path / "model", "--dataset_name", tmp_path / "real", "--features", classifier, "--num_images", 30]
    with pytest.raises(ValueError, match=r"Image number 30 \(.*broken.png\) cannot be read: .*`--skip_bad_images`"):
        evaluate(*flags, cache_dir=tmp_path / "cache")
    evaluate(*flags, "--skip_bad_images", cache_dir=tmp_path / "cache")
    assert read_metrics(tmp_path / "model")[0].num_real_images == 30
    assert "Left out 1 of 31 images, which cannot be read: number 30 (" in caplog.text


def test_wrong_use_is_told_before_work(classifier, tmp_path):
    model = save_model(tmp_path / "model")
    options = {"dataset_name": "digits", "features": classifier}
    for changes, message in (
        ({"output_dir": "x"}, "`output_dir=x` is for models on the Hub"),
        ({"push_to_hub": True}, "`push_to_hub=True` is for models on the Hub"),
        ({"num_images": 0}, "`num_images` must be at least 1, got 0"),
        ({"num_images": 5}, "5 generated and 1,797 real images are too few for the 12"),
        ({"dataset_split": "test"}, "no split 'test'"),
    ):
        with pytest.raises(ValueError, match=message):
            flags = [f"--{name}={value}".removesuffix("=True") for name, value in (options | changes).items()]
            evaluate(model, *flags, cache_dir=tmp_path)
    assert not (model / "metrics.json").exists() and not (model / "evaluation").exists()


def test_a_classifier_learns_and_gives_features(tmp_path, capsys):
    folder = tmp_path / "digits-classifier"
    names = ["nought", *(str(i) for i in range(1, 10))]
    flags = ("--num_epochs", 3, "--resolution", 16, "--class_names", *names, "--use_cpu")
    run_command("train-classifier", *flags, "--output_dir", folder)
    accuracy = float(capsys.readouterr().out.split("Accuracy: ")[1].split("%")[0])
    assert accuracy > 60
    network = load_feature_network(str(folder), CPU)
    assert network.class_names == names
    assert network(random_images(2))[0].shape == (2, 128)


def test_a_classifier_skips_bad_images(tmp_path, caplog):
    """With their labels: otherwise, there would be more labels than images."""
    for name in ("dark", "light"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            PIL.Image.new("L", (16, 16), i).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "photos" / "dark" / "0.png").write_bytes(b"no image")
    options = {"dataset_name": tmp_path / "photos", "resolution": 16, "num_epochs": 1, "train_batch_size": 4}
    flags = [f"--{name}={value}" for name, value in (options | {"output_dir": tmp_path / "out"}).items()]
    with pytest.raises(ValueError, match=r"Image number 0 \(.*dark.0.png\) cannot be read: .*`--skip_bad_images`"):
        run_command("train-classifier", *flags, "--use_cpu")
    run_command("train-classifier", *flags, "--use_cpu", "--skip_bad_images")
    assert "Left out 1 of 12 images" in caplog.text


def test_a_classifier_learns_several_attributes_at_once(tmp_path, capsys, monkeypatch):
    for split, number in (("train", 256), ("test", 50)):
        monkeypatch.setitem(procedural_faces.NUM_IMAGES, split, number)
    data = ("--dataset_name", "procedural_faces", "--test_split", "test", "--resolution", 16)
    flags = ("--label_column", "background", "skin", "--num_epochs", 3, "--train_batch_size", 32, "--use_cpu")
    run_command("train-classifier", *data, *flags, "--output_dir", tmp_path / "faces")
    printed = capsys.readouterr().out
    network = load_feature_network(str(tmp_path / "faces"), CPU)
    assert network.class_names is None and network.label_names == [
        *("background: blue", "background: green", "background: yellow", "background: violet"),
        *("skin: pale", "skin: light", "skin: brown", "skin: dark"),
    ]
    # The printed accuracies are those of the saved classifier.
    accuracies = {}
    for column in ("background", "skin"):
        test = load_image_dataset("procedural_faces", split="test", label_column=column, with_labels=True)
        images, labels = decode_images(test, Decoder(3, 16, "crop", num_workers=1, skip_bad_images=False))
        accuracies[column] = (describe_attributes(network, images).value(column) == labels.numpy()).mean()
        assert f"{column} {accuracies[column]:.1%}" in printed
    assert f"Accuracy: {np.mean(list(accuracies.values())):.1%}. By label: background" in printed
    assert accuracies["background"] > 0.6 and accuracies["skin"] > 0.4  # chance: 0.25
    with pytest.raises(ValueError, match="`class_names` requires a single `label_column`, got 2"):
        run_command("train-classifier", "--label_column", "skin", "hat", "--class_names", "a", "b")
    with pytest.raises(ValueError, match=r"`label_column` must not repeat a column, got \['hat', 'hat'\]"):
        run_command("train-classifier", *data, "--label_column", "hat", "hat")
