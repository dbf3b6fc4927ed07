"""objectives: each gives one number per image, the number its name promises, and refuses what does not exist."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import ascend
from helpers.objectives import (
    Channels,
    CrossEntropy,
    Jittered,
    Mixed,
    Neurons,
    Penalized,
    WholeLayer,
    lp_norm,
    total_variation,
)


@pytest.fixture
def features(cnn):
    return feature_extractor(cnn, "second")


def test_channels_is_the_mean_activation_of_the_map_of_each_image(features, starts):
    activations = features(starts[:3]).numpy()
    expected = [activations[image, :, :, index].mean() for image, index in enumerate([4, 0, 2])]
    np.testing.assert_allclose(Channels(features, [4, 0, 2])(starts[:3]), expected, rtol=1e-5)


def test_channels_reads_the_units_of_a_dense_layer_too(cnn, starts):
    logits = pre_activation_extractor(cnn, "output")
    np.testing.assert_allclose(Channels(logits, [2, 1])(starts[:2]), logits(starts[:2]).numpy()[[0, 1], [2, 1]])


@pytest.mark.parametrize("leak", [0.0, 0.3, 1.0])
def test_the_leak_is_what_a_negative_value_counts(cnn, starts, leak):
    before = pre_activation_extractor(cnn, "second")
    values = before(starts[:5]).numpy()
    leaky = np.where(values > 0, values, leak * values).mean(axis=(1, 2))
    np.testing.assert_allclose(Channels(before, range(5), leak)(starts[:5]), np.diag(leaky), rtol=1e-4, atol=1e-6)


def test_neurons_is_the_value_of_one_node(features, starts):
    activations = features(starts[:2]).numpy()
    expected = [activations[0, 1, 2, 3], activations[1, 0, 0, 4]]
    np.testing.assert_allclose(Neurons(features, [[1, 2, 3], [0, 0, 4]])(starts[:2]), expected, rtol=1e-5)


def test_whole_layer_is_the_mean_of_everything(features, starts):
    np.testing.assert_allclose(WholeLayer(features)(starts), features(starts).numpy().mean(axis=(1, 2, 3)), rtol=1e-5)


def test_the_whole_layer_is_not_its_last_map(features, starts):
    """Catalogue B5: index -1 meant the last map where the whole layer was wanted."""
    last = Channels(features, [4] * 8)(starts)
    assert np.abs(WholeLayer(features)(starts) - last).max() > 1e-3


def test_cross_entropy_is_minus_the_log_of_the_true_class(cnn, starts):
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    expected = -np.log(cnn(starts).numpy()[np.arange(8), labels])
    np.testing.assert_allclose(CrossEntropy(cnn, labels)(starts), expected, rtol=1e-4)


def test_a_penalty_is_taken_off_by_its_weight(features, starts):
    objective = Channels(features, [1] * 8)
    expected = objective(starts) - 0.5 * total_variation(tf.constant(starts))
    np.testing.assert_allclose(Penalized(objective, total_variation, 0.5)(tf.constant(starts)), expected, rtol=1e-5)


def test_a_mixture_is_the_weighted_sum_of_its_objectives(cnn, features, starts):
    parts = [Channels(features, [1] * 8), WholeLayer(feature_extractor(cnn, "first"))]
    expected = 0.5 * parts[0](starts) - 2 * parts[1](starts)
    np.testing.assert_allclose(Mixed(parts, [0.5, -2])(starts), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, np.nan], [[1, 2]], []])
def test_a_mixture_needs_one_weight_for_each_objective(features, weights):
    with pytest.raises(ValueError, match="one finite number for each of 2 objectives"):
        Mixed([WholeLayer(features), WholeLayer(features)], weights)


def test_penalties_are_zero_for_nothing_and_large_for_speckle_and_spikes():
    calm, checkers = np.ones((1, 6, 6, 1), np.float32), np.float32(np.indices((6, 6)).sum(0)[None, ..., None] % 2)
    np.testing.assert_allclose(total_variation(np.concatenate([calm, checkers])), [0, 2])
    spike = np.zeros((1, 6, 6, 1), np.float32)
    spike[0, 2, 2] = 6  # the same mean square as `calm`
    np.testing.assert_allclose(lp_norm(spike, power=2), lp_norm(calm, power=2))
    assert float(lp_norm(spike)[0]) > 100 * float(lp_norm(calm)[0])


def test_climbing_with_total_variation_gives_smoother_images(cnn, starts):
    plain = Channels(pre_activation_extractor(cnn, "second"), [3] * 8)
    raw = ascend(plain, starts, np.geomspace(3, 0.1, 30)).images
    calm = ascend(Penalized(plain, total_variation, 2.0), starts, np.geomspace(3, 0.1, 30)).images
    assert total_variation(calm).numpy().mean() < 0.7 * total_variation(raw).numpy().mean()


@pytest.mark.parametrize("make", [
    lambda cnn: Channels(feature_extractor(cnn, "second"), range(5)),
    lambda cnn: Channels(pre_activation_extractor(cnn, "second"), range(5), 0.2),
    lambda cnn: Neurons(pre_activation_extractor(cnn, "second"), [[1, 1, index] for index in range(5)]),
    lambda cnn: WholeLayer(feature_extractor(cnn, "second")),
    lambda cnn: CrossEntropy(cnn, np.array([0, 1, 2, 0, 1])),
    lambda cnn: Mixed([WholeLayer(feature_extractor(cnn, name)) for name in ("first", "second")], [1, 0.5]),
])  # fmt: skip
def test_every_objective_goes_up_when_it_is_climbed(cnn, starts, make):
    record = ascend(make(cnn), starts[:5], np.full(10, 0.05))
    assert (record.values[-1] >= record.values[0]).all() and record.values[-1].mean() > record.values[0].mean() + 0.01


@pytest.mark.parametrize("indices, message", [
    ([-1], "map index -1 does not exist: this layer has 0 to 4"),
    ([0, 5], "map index 5 does not exist"),
    ([1.5], "whole number"),
    ([], "whole number"),
    ([True], "whole number"),
])  # fmt: skip
def test_a_map_that_does_not_exist_is_refused(features, indices, message):
    with pytest.raises(ValueError, match=message):
        Channels(features, indices)


@pytest.mark.parametrize("positions", [[[0, 0, 5]], [[3, 0, 0]], [[0, -1, 0]], [[0, 0]], [3]])
def test_a_node_outside_the_layer_is_refused(features, positions):
    with pytest.raises(ValueError, match="position"):
        Neurons(features, positions)


def jittered(cnn, starts, seed, pixels=2):
    """The last frame of a jittered climb."""
    generator = tf.random.Generator.from_seed(seed)
    objective = Jittered(Channels(pre_activation_extractor(cnn, "second"), range(5)), generator, pixels)
    return ascend(objective, starts[:5], np.geomspace(1, 0.1, 20)).images


def test_jitter_of_the_same_seed_gives_the_same_climb_and_of_another_seed_another(cnn, starts):
    np.testing.assert_allclose(jittered(cnn, starts, 3), jittered(cnn, starts, 3), atol=1e-5)
    assert np.abs(jittered(cnn, starts, 3) - jittered(cnn, starts, 4)).mean() > 0.05


def test_jitter_by_no_pixel_is_the_plain_climb(cnn, starts):
    plain = ascend(Channels(pre_activation_extractor(cnn, "second"), range(5)), starts[:5], np.geomspace(1, 0.1, 20))
    np.testing.assert_allclose(jittered(cnn, starts, 3, pixels=0), plain.images, atol=1e-4)


def test_jitter_is_undone_so_the_image_does_not_wander():
    """Catalogue B40: with a shift that is never undone a linear climb would smear its target."""
    spot = np.zeros((1, 9, 9, 1), np.float32)
    spot[0, 4, 4] = 1

    class Middle(NamedTuple):
        target: tf.Tensor

        def __call__(self, images):
            return tf.reduce_sum(images * self.target, axis=(1, 2, 3))

    objective = Jittered(Middle(tf.constant(spot)), tf.random.Generator.from_seed(0), 1)
    start = np.random.default_rng(0).standard_normal((1, 9, 9, 1)).astype(np.float32)
    result = ascend(objective, start, np.full(300, 0.05)).images[0, :, :, 0]
    assert result[3:6, 3:6].mean() > 1 and np.abs(np.r_[result[0], result[-1]]).max() < 0.8
