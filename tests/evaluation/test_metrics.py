import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from scipy.linalg import sqrtm
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from dcgan_hf.evaluation.metrics import class_coverage, frechet_distance, inception_score, kernel_distance
from dcgan_hf.evaluation.neighbors import nearest_neighbors, neighbor_metrics


class AsGiven(torch.nn.Module):
    """Identity network for torchmetrics, whose inputs are features already."""

    num_features = 12

    def forward(self, features):
        return features


def two_sets(num_real=300, num_fake=250, num_features=AsGiven.num_features):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(num_features, num_features))
    return rng.normal(size=(num_real, num_features)) @ mixing, rng.normal(0.3, 0.9, (num_fake, num_features)) @ mixing


def torchmetrics_of(metric, real, fake):
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    return metric.compute()


@pytest.mark.parametrize("num_features, num_images", [(1, 50), (5, 200), (64, 40)])  # the last covariance is singular
def test_frechet_distance_equals_its_formula(num_features, num_images):
    rng = np.random.default_rng(0)
    real = rng.normal(size=(num_images, num_features)) @ rng.normal(size=(num_features, num_features))
    fake = rng.normal(size=(num_images, num_features)) @ rng.normal(size=(num_features, num_features)) + 1
    covariances = [np.cov(features, rowvar=False).reshape(num_features, num_features) for features in (real, fake)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_of_known_distributions():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(100_000, 3))
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    # Means 3 apart, standard deviations 1 and 2 in one direction: 9 + (2 - 1)^2.
    assert frechet_distance(real, rng.normal((3, 0, 0), (1, 2, 1), (100_000, 3))) == pytest.approx(10, rel=0.01)


def test_frechet_and_kernel_distance_equal_those_of_torchmetrics():
    real, fake = two_sets()
    reference = torchmetrics_of(FrechetInceptionDistance(AsGiven()).set_dtype(torch.double), real, fake)
    assert frechet_distance(real, fake) == pytest.approx(reference.item(), rel=1e-6)
    same_size = real[:250]  # one subset with all images
    reference, _ = torchmetrics_of(KernelInceptionDistance(AsGiven(), subsets=1, subset_size=250), same_size, fake)
    assert kernel_distance(same_size, fake, num_subsets=1, subset_size=250)[0] == pytest.approx(
        reference.item(), rel=1e-6
    )


def test_distances_of_what_cannot_be_compared():
    for metric in (frechet_distance, kernel_distance):
        for real, fake in (((1, 4), (9, 4)), ((9, 4), (9, 5))):
            with pytest.raises(ValueError, match="at least 2 images and the same features"):
                metric(np.zeros(real), np.zeros(fake))


def test_kernel_distance_has_no_bias_and_tells_its_spread():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 2000, 16))
    mean, spread = kernel_distance(real, fake, subset_size=50)
    assert abs(mean) < 3 * spread / 10 and spread > 0  # 100 subsets
    assert kernel_distance(real, fake + 0.5, subset_size=50)[0] > 10 * abs(mean)
    assert len({kernel_distance(real, fake, subset_size=50, seed=1) for _ in range(2)}) == 1
    assert kernel_distance(real[:30], fake, subset_size=50)[1] > 0  # smaller subsets for fewer images


def test_inception_score_equals_that_of_torchmetrics():
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 12), scale=3))
    metric = InceptionScore(AsGiven(), splits=1)
    metric.update(logits)
    score, spread = inception_score(logits.softmax(1).numpy(), num_splits=1)
    assert score == pytest.approx(metric.compute()[0].item(), rel=1e-6) and spread == 0
    assert inception_score(logits.softmax(1).numpy())[1] > 0


def test_inception_score_of_known_predictions():
    sure = np.eye(5)[np.arange(100) % 5]
    assert inception_score(sure) == pytest.approx((5, 0))
    assert inception_score(np.full((100, 5), 0.2)) == pytest.approx((1, 0))
    assert inception_score(np.eye(5)[np.zeros(100, int)]) == pytest.approx((1, 0))  # a single class
    with pytest.raises(ValueError, match="`num_splits=10` needs at least as many images, got 9"):
        inception_score(sure[:9])


def test_class_coverage_of_known_histograms():
    real = np.repeat(np.arange(4), 25)
    assert class_coverage(real, real, 4) == (4, 0)
    modes, divergence = class_coverage(real, np.array([0, 0, 1, 1]), 4)
    assert modes == 2 and divergence == pytest.approx(np.log(2))
    modes, divergence = class_coverage(real, np.array([0, 4]), 5)  # real images have no class 4
    assert modes == 1 and divergence == np.inf


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), num_neighbors=st.integers(1, 8), num_fake=st.integers(10, 60))
def test_neighbor_metrics_equal_the_authors(seed, num_neighbors, num_fake):
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(40, 3)), rng.normal(0.5, 0.7, size=(num_fake, 3))
    metrics = neighbor_metrics(real, fake, num_neighbors)
    assert vars(metrics) == pytest.approx(compute_prdc(real, fake, num_neighbors))


def test_neighbor_metrics_of_clusters():
    """Real images form two clusters. Generated ones form the first of these, and one that is not real."""
    rng = np.random.default_rng(0)
    kinds = [rng.normal(center, 0.1, size=(1500, 8)) for center in (0, 5, 10)]  # more than one chunk of comparisons
    real = np.concatenate([kinds[0][:700], kinds[1][:700]])
    fake = np.concatenate([kinds[0][700:1400], kinds[2][:700]])
    metrics = neighbor_metrics(real, fake)
    assert metrics.precision == pytest.approx(0.5, abs=0.06) and metrics.recall == pytest.approx(0.5, abs=0.06)
    assert metrics.density == pytest.approx(0.5, abs=0.05)
    assert metrics.coverage == pytest.approx((1 - 0.5**5) / 2, abs=0.03)
    with pytest.raises(
        ValueError, match="`num_neighbors=5` must be less than the number of images in each set, got 5 and 1400"
    ):
        neighbor_metrics(real[:5], fake)


def test_nearest_neighbors_find_copies():
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(2500, 6)).astype(np.float32) + 100  # large terms that cancel
    chosen = rng.permutation(2500)[:1200]
    indices, distances = nearest_neighbors(candidates[chosen], candidates, num_neighbors=2)
    assert (indices[:, 0] == chosen).all() and distances[:, 0] == pytest.approx(0, abs=1e-4)
    direct = np.linalg.norm(candidates[indices[:, 1]].astype(float) - candidates[chosen], axis=1)
    assert distances[:, 1] == pytest.approx(direct)
    with pytest.raises(ValueError, match="`num_neighbors=3` needs at least as many candidates, got 2"):
        nearest_neighbors(candidates, candidates[:2], num_neighbors=3)
