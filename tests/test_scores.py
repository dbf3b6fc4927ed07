"""Scores of generated images: each against cases whose answer is known."""

import numpy as np
import pytest
import scipy.linalg

from helpers.images import standardize
from helpers.latent.scores import frechet_distance, judge, nearest_distances, reference, spread
from tests.conftest import tiny_cnn

RANDOM = np.random.default_rng(0)
IMAGES = standardize(RANDOM.standard_normal((300, 12, 12, 1)).astype(np.float32))


def test_classes_are_spread_over_as_many_as_come_equally_often():
    assert spread([3] * 50) == pytest.approx(1) and spread([0, 1, 2, 3] * 5) == pytest.approx(4)
    assert spread(np.arange(10)) == pytest.approx(10) and 1 < spread([0] * 9 + [1]) < 2


def test_the_nearest_of_the_others_is_found_as_by_plain_search():
    distances, numbers = nearest_distances(IMAGES[:20], IMAGES[20:], batch_size=7)
    apart = np.sqrt(((IMAGES[:20, None] - IMAGES[None, 20:]) ** 2).mean(axis=(2, 3, 4)))
    np.testing.assert_array_equal(numbers, apart.argmin(axis=1))
    np.testing.assert_allclose(distances, apart.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(nearest_distances(IMAGES[5:9], IMAGES)[0], 0, atol=2e-3)


def test_the_frechet_distance_is_that_of_its_formula():
    first, second = (a @ a.T for a in RANDOM.standard_normal((2, 5, 5)))
    means = RANDOM.standard_normal((2, 5))
    root = scipy.linalg.sqrtm(first @ second).real
    formula = ((means[0] - means[1]) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(means[0], first, means[1], second) == pytest.approx(formula, rel=1e-4)
    assert frechet_distance(means[0], first, means[0], first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(means[0], first, means[0] + 2, first) == pytest.approx(20, rel=1e-6)


def test_the_real_images_themselves_are_copies_at_no_distance():
    cnn = tiny_cnn()
    real = reference(cnn, IMAGES, "second")
    own, fewer = judge(IMAGES, real), judge(0.0 * IMAGES[:50] + IMAGES[:1], real)
    probabilities = cnn(IMAGES).numpy()
    assert own.nearest < 2e-3 and own.frechet == pytest.approx(0, abs=1e-5)
    assert own.confidence == pytest.approx(probabilities.max(axis=1).mean(), rel=1e-4)
    assert own.classes == pytest.approx(spread(probabilities.argmax(axis=1), 3))
    assert fewer.classes == pytest.approx(1) and fewer.frechet > 10 * max(own.frechet, 1e-5)


def test_images_that_cannot_be_judged_are_refused():
    real = reference(tiny_cnn(), IMAGES, "second")
    for images, sentence in ((IMAGES[:1], "covariance"), (IMAGES[:, :9], "shape"), (np.nan * IMAGES, "NaN")):
        with pytest.raises(ValueError, match=sentence):
            judge(images, real)
