"""measures: each number is what it says, on images and networks whose answer is known on paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr, ttest_1samp

from helpers.activations import feature_extractor, strongest_patches
from helpers.compare import measures
from helpers.geometry import receptive_fields
from helpers.images import standardize
from tests.conftest import bars, tiny_cnn


def noise(n, size=26, seed=0):
    return np.random.default_rng(seed).standard_normal((n, size, size, 1)).astype(np.float32)


def test_white_noise_has_its_share_of_fine_power_and_waves_have_all_or_nothing():
    assert measures.fine_share(noise(200)).mean() == pytest.approx(1 - np.pi / 16, abs=0.01)
    place = 2 * np.pi * np.arange(28) / 26
    waves = np.stack([np.sin(number * place) + np.zeros((28, 1)) for number in (2, 11)])[..., np.newaxis]
    np.testing.assert_allclose(measures.fine_share(waves), [0, 1], atol=1e-3)


def test_a_map_is_silent_for_the_share_of_starts_that_leave_it_at_zero():
    model = tiny_cnn()
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., :2], bias[:2] = 0, (-1, 1)
    model.get_layer("first").set_weights([kernel, bias])
    share = measures.silent_share(feature_extractor(model, "first"), {3: 1}, n=20)
    assert share[0] == 1 and share[1] == 0 and share.shape == (4,)


def test_a_map_of_two_opposite_wishes_has_two_summits_and_a_map_of_one_has_one():
    """Map 0 is |w x|, largest at w and -w with a valley of 0 between; map 1 is the positive part of w x."""
    wish = noise(1, 12)[0]
    images = keras.Input((12, 12, 1))
    both = keras.layers.Conv2D(2, 12, activation="relu", name="both")
    outputs = keras.layers.Conv2D(2, 1, name="sum")(both(images))
    model = keras.Model(images, outputs)
    both.set_weights([np.stack([wish, -wish], axis=-1), np.zeros(2)])
    model.get_layer("sum").set_weights([np.array([[1.0, 1], [1, 0]]).reshape(1, 1, 2, 2), np.zeros(2)])
    found = measures.summits(model, model, np.array([0, 1]), starts=6)
    assert found.counts.tolist() == [2, 1] and found.converged > 0.9
    cosines = (standardize(wish[np.newaxis]) * found.best).mean(axis=(1, 2, 3))
    assert abs(cosines[0]) > 0.99 and cosines[1] > 0.99


def test_copies_of_one_patch_are_found_wherever_they_lie_and_noise_of_the_same_spectrum_is_not_made_of_one():
    rng, patch = np.random.default_rng(3), noise(4, 9, seed=1)[..., 0]
    images = np.zeros((4, 26, 26, 1), np.float32)
    for image, stamp in zip(images, patch):
        for row, column in ((0, 0), (0, 14), (9, 5), (17, 16), (16, 3)):
            image[row : row + 9, column : column + 9, 0] += rng.uniform(0.5, 2) * stamp
    shares, control = (measures.one_patch_share(given) for given in (images, measures.same_spectrum(images)))
    assert shares.min() > 0.9 and control.max() < 0.7


def test_the_control_keeps_every_amplitude_of_the_spectrum():
    images = standardize(noise(3, seed=5))
    changed = measures.same_spectrum(images)
    spectra = [np.abs(np.fft.fft2(given[..., 0])) for given in (images, changed)]
    np.testing.assert_allclose(*spectra, atol=0.5)
    assert np.abs((images * changed).mean(axis=(1, 2, 3))).max() < 0.2


def test_a_soft_maximum_lies_between_the_mean_and_the_strongest_node():
    features = feature_extractor(tiny_cnn(), "first")
    images, index = standardize(noise(3, 12)), tf.constant([1, 1, 2])
    nodes = np.asarray(features(images))[np.arange(3), ..., index.numpy()].reshape(3, -1)
    for sharpness, wanted in ((1e-3, nodes.mean(axis=1)), (1e3, nodes.max(axis=1))):
        values = measures.SoftMaximum(features, index, tf.constant(sharpness), tf.constant(1.0))(images)
        np.testing.assert_allclose(values, wanted, rtol=0.01, atol=0.01)
    work = measures.nodes_at_work(features, images, index.numpy())
    np.testing.assert_allclose(work, nodes.sum(axis=1) ** 2 / (nodes**2).sum(axis=1), rtol=1e-4)
    assert (work >= 1).all() and (work <= nodes.shape[1]).all()


def test_rank_correlations_are_those_of_scipy_ties_included():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (40, 3)).astype(float), rng.standard_normal((40, 3))
    second[:, 2] = 1
    found = measures.rank_correlations(first, second)
    np.testing.assert_allclose(found[:2], [spearmanr(first[:, k], second[:, k])[0] for k in (0, 1)], rtol=1e-6)
    assert np.isnan(found[2])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_best_patch_is_what_the_strongest_node_sees_and_its_own_image_answers(padding):
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(3, 5, padding=padding, name="only")])
    images, geometry = bars(30, seed=1)[0], receptive_fields(model)[0]
    features = feature_extractor(model, "only")
    fields = measures._fields(images, geometry)  # (n, nodes, pixels)
    activations = np.asarray(features(images))
    kernel, bias = model.get_layer("only").get_weights()
    np.testing.assert_allclose(fields @ kernel.reshape(25, 3) + bias, activations.reshape(30, -1, 3), atol=1e-4)
    patch = strongest_patches(features, images, 1, geometry, count=1).images[0].ravel()
    wanted = np.maximum(fields @ (patch - patch.mean()), 0).mean(axis=1)
    found = measures.best_patch_answers(activations, images, geometry, images)
    np.testing.assert_allclose(found[:, 1], wanted, rtol=1e-3, atol=1e-3)


def test_selectivity_and_purity_of_a_map_that_knows_one_class_and_one_that_knows_none():
    labels = np.repeat([0, 1, 2], 10)
    answers = np.stack([np.where(labels == 2, 1 + np.arange(30), 0), np.ones(30), np.zeros(30)], axis=1)
    means = np.stack([answers[labels == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(measures.selectivity(means), [1, 0, 0], atol=1e-6)
    assert measures.purity(answers, labels)[0] == 1


def test_an_interval_is_that_of_scipy_and_covers_the_truth_as_often_as_it_says():
    values = np.random.default_rng(0).normal(3, 1, (400, 5))
    found = [measures.mean_interval(row) for row in values]
    np.testing.assert_allclose(found[0][1:3], ttest_1samp(values[0], 0).confidence_interval(0.95))
    assert 0.92 < np.mean([low < 3 < high for _, low, high, _ in found]) < 0.98
    for few in ([1.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="at least two finite numbers"):
            measures.mean_interval(few)
