import numpy as np
import pytest
from scipy.linalg import sqrtm

from dcgan_hf.evaluation.metrics import frechet_distance


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


def test_frechet_distance_of_what_cannot_be_compared():
    for real, fake in (((1, 4), (9, 4)), ((9, 4), (9, 5))):
        with pytest.raises(ValueError, match="at least 2 images with the same features"):
            frechet_distance(np.zeros(real), np.zeros(fake))
