"""own_maps: one map computed alone is the same as that map among all, whatever the convolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import ascend, gradients
from helpers.base import own_maps
from helpers.geometry import any_size
from helpers.objectives import Channels

RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.standard_normal((4, 13, 17, 2)).astype(np.float32)
INDICES = [4, 0, 2, 4]
PLAIN = {
    "same": {"padding": "same"}, "valid": {}, "strides": {"strides": 2, "padding": "same"},
    "unequal strides": {"strides": (1, 3)}, "dilation": {"dilation_rate": (2, 1), "padding": "same"},
    "kernel 2 x 5": {"kernel_size": (2, 5), "padding": "same"}, "kernel 1 x 1": {"kernel_size": 1},
    "no bias": {"use_bias": False}, "tanh": {"activation": "tanh"}, "linear": {"activation": None},
}  # fmt: skip
OTHER = {
    "softmax over maps": {"activation": "softmax"}, "groups": {"groups": 2, "filters": 6},
    "half precision": {"dtype": "mixed_float16"}, "an activation of one's own": {"activation": lambda x: tf.abs(x)},
}  # fmt: skip


def network(below=True, **options):
    conv = keras.layers.Conv2D(**{"filters": 5, "kernel_size": 3, "activation": "relu", "name": "last", **options})
    start = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.MaxPooling2D(2)] if below else []
    model = keras.Sequential([keras.Input((13, 17, 2)), *start, conv, keras.layers.Flatten(), keras.layers.Dense(3)])
    for weight in conv.weights[1:]:
        weight.assign(RANDOM.standard_normal(weight.shape))
    return model


def whole(features, indices):
    """The mean of each image's own map, taken from all maps: what `Channels` promises."""
    activations = features.answers(IMAGES).astype(np.float32)
    return activations.mean(axis=(1, 2))[np.arange(4), np.broadcast_to(indices, 4)]


class Plainly:
    """The same objective without the short way."""

    def __init__(self, features, indices):
        self.features, self.indices = features, indices

    def __call__(self, images):
        means = tf.reduce_mean(self.features(images), axis=(1, 2))
        return tf.gather(means, self.indices, batch_dims=1)


@pytest.mark.parametrize("options", {**PLAIN, **OTHER}.values(), ids={**PLAIN, **OTHER})
@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("extractor", [feature_extractor, pre_activation_extractor])
def test_one_map_alone_has_the_values_and_gradients_that_it_has_among_all(options, below, extractor):
    features = extractor(network(below, **options), "last")
    values, slopes = gradients(Channels(features, INDICES), IMAGES)
    expected_values, expected_slopes = gradients(Plainly(features, tf.constant(INDICES)), IMAGES)
    close = {"rtol": 1e-5, "atol": 1e-6} if "dtype" not in options else {"rtol": 1e-2, "atol": 1e-3}
    np.testing.assert_allclose(values, expected_values, **close)
    np.testing.assert_allclose(slopes, expected_slopes, **close)
    assert np.abs(slopes).max() > 1e-4


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_the_short_way_is_taken_for_every_plain_convolution(options, monkeypatch):
    monkeypatch.setattr(own_maps, "chosen", None)
    for extractor in (feature_extractor, pre_activation_extractor):
        features = extractor(network(**options), "last")
        np.testing.assert_allclose(Channels(features, INDICES)(IMAGES), whole(features, INDICES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("index", [3, [3]])
def test_a_single_index_serves_all_images(index):
    features = feature_extractor(network(), "last")
    np.testing.assert_allclose(Channels(features, index)(IMAGES), whole(features, 3), rtol=1e-5, atol=1e-6)


def test_a_convolution_with_a_relu_or_a_normalization_behind_it_counts_these_too():
    for behind in ([keras.layers.ReLU()], [keras.layers.BatchNormalization(), keras.layers.ReLU()]):
        model = keras.Sequential([keras.Input((13, 17, 2)), keras.layers.Conv2D(5, 3, name="last"), *behind])
        for weight in model.layers[1].weights:
            weight.assign(RANDOM.uniform(0.5, 2, weight.shape))
        for extractor in (feature_extractor, pre_activation_extractor):
            features = extractor(model, "last")
            np.testing.assert_allclose(Channels(features, INDICES)(IMAGES), whole(features, INDICES), rtol=1e-4)


def test_a_network_that_learns_on_is_climbed_as_it_is_now():
    model = network()
    objective = Channels(pre_activation_extractor(model, "last"), INDICES)
    ascend(objective, IMAGES, [0.1])  # compiles
    model.get_layer("last").kernel.assign(model.get_layer("last").kernel * 2)
    values = ascend(objective, IMAGES, [], project=lambda images: images).values[-1]
    np.testing.assert_allclose(values, whole(objective.features, INDICES), rtol=1e-4, atol=1e-6)


def test_images_of_any_size_are_climbed_alike():
    features = feature_extractor(any_size(network()), "last")
    for size in ((13, 17), (20, 31)):
        images = RANDOM.standard_normal((4, *size, 2)).astype(np.float32)
        values, slopes = gradients(Channels(features, INDICES), images)
        expected = gradients(Plainly(features, tf.constant(INDICES)), images)
        np.testing.assert_allclose(values, expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slopes, expected[1], rtol=1e-4, atol=1e-6)
