import datasets
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig
from dcgan_hf.data.datasets import load_image_dataset
from dcgan_hf.evaluation.linear_probe import discriminator_features, linear_probe, probe_discriminator

from ..train_utils import run_command, save_classifier, train_here


def clusters(number, distance, num_classes=3, num_features=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, number)
    centers = np.eye(num_classes, num_features) * distance
    return (centers[labels] + rng.normal(size=(number, num_features))).astype(np.float32), labels


def test_features_are_maxima_of_all_layers():
    config = DCGANDiscriminatorConfig(image_size=48, num_channels=1, hidden_size=4, strides=[2, 2, 2, 2])
    assert config.feature_sizes == [24, 12, 6, 3]
    discriminator = DCGANDiscriminator(config).eval()
    images = torch.randint(0, 256, (7, 1, 48, 48), dtype=torch.uint8)
    features = discriminator_features(discriminator, images)
    assert features.shape == (7, (4 + 8 + 16) * 16 + 32 * 9) and features.dtype == np.float32
    maps = discriminator(images.float() / 127.5 - 1, output_hidden_states=True).hidden_states
    first = maps[0].unflatten(3, (4, 6)).unflatten(2, (4, 6)).amax((3, 5)).flatten(1)
    np.testing.assert_allclose(features[:, :64], first.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features[:, -32 * 9 :], maps[3].flatten(1).detach(), rtol=1e-4, atol=1e-5)


def test_clusters_are_told_apart_as_far_as_they_differ():
    train, test = clusters(2000, 10), clusters(1000, 10, seed=1)
    probe = linear_probe(*train, *test)
    assert probe.accuracy > 0.99 and (probe.num_train_images, probe.num_test_images) == (2000, 1000)
    assert probe.num_features == 5
    nothing = linear_probe(*clusters(2000, 0), *clusters(1000, 0, seed=1))
    assert nothing.accuracy == pytest.approx(1 / 3, abs=0.06)


def test_it_is_the_svm_of_scikit_learn_on_features_of_one_scale():
    (train, labels), (test, test_labels) = clusters(600, 2), clusters(500, 2, seed=1)
    probe = linear_probe(train, labels, test, test_labels)
    svm = LinearSVC(C=probe.strength / 600, loss="squared_hinge", penalty="l2", tol=1e-4)
    svm.fit((train - train.mean(0)) / train.std(0), labels)
    expected = svm.score((test - train.mean(0)) / train.std(0), test_labels)
    assert probe.accuracy == pytest.approx(expected, abs=0.005)
    scaled = linear_probe(train * [1, 10, 100, 0.1, 1], labels, test * [1, 10, 100, 0.1, 1], test_labels)
    assert scaled.accuracy == pytest.approx(probe.accuracy, abs=0.005)


def test_features_that_never_change_and_too_few_images():
    train, labels = clusters(100, 5)
    constant = np.concatenate([train, np.ones((100, 1), np.float32)], 1)
    assert linear_probe(constant, labels, constant, labels).accuracy > 0.9
    with pytest.raises(ValueError, match="at least 10 images of at least 2 classes, got 9 of 3"):
        linear_probe(train[:9], np.arange(9) % 3, train, labels)
    with pytest.raises(ValueError, match="got 100 of 1"):
        linear_probe(train, np.zeros(100), train, labels)


def test_pixels_and_few_labels_stand_beside_it():
    digits = load_digits()
    images = (
        torch.from_numpy(digits.images * 15).to(torch.uint8)[:, None].repeat_interleave(2, 2).repeat_interleave(2, 3)
    )
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(image_size=16, num_channels=1, hidden_size=4)).eval()
    train, test = slice(0, 1300), slice(1300, None)
    probes = probe_discriminator(discriminator, images[train], digits.target[train], images[test], digits.target[test])
    assert [(probe.features, probe.num_train_images) for probe in probes] == [
        ("discriminator", 1300),
        ("discriminator", 1000),
        ("pixels", 1300),
        ("pixels", 1000),
    ]
    assert all(probe.accuracy > 0.75 for probe in probes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    digits = load_image_dataset("digits", with_labels=True).dataset.cast_column("image", datasets.Image())
    digits.train_test_split(0.3, seed=0).save_to_disk(folder / "data")
    train_here(folder / "run", dataset_name=folder / "data", max_train_steps=3)
    save_classifier(folder / "classifier")
    return folder


def test_the_command_reports_it(run, capsys):
    flags = ["--dataset_name", run / "data", "--features", run / "classifier", "--num_images", 100, "--use_cpu"]
    flags += ["--feature_cache_dir", run / "cache", "--linear_probe"]
    with pytest.raises(ValueError, match="must be tested on another split: set `dataset_split=test`"):
        run_command("evaluate", run / "run", *flags)
    run_command("evaluate", run / "run", *flags, "--dataset_split", "test")
    report = (run / "run" / "evaluation" / "report.md").read_text()
    assert "## Linear probe of the discriminator" in report and "| discriminator | 384 | 1,257 | " in report
    assert "| pixels | 256 | 1,000 |" in report and "Linear SVM on discriminator: " in capsys.readouterr().out
