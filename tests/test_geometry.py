"""geometry: receptive fields against a gradient, which knows nothing of kernels and strides; the trunk for any size."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.geometry import any_size, receptive_fields
from helpers.images import standardize
from helpers.models import build_cnn, build_padded_cnn
from tests.conftest import tiny_cnn


def chain(*inner, size=23):
    return keras.Sequential([keras.Input((size, size, 1)), *inner])


def random_layer(rng):
    """A convolution or pooling that is linear and lets every value through with a positive weight."""
    kernel, padding = int(rng.integers(1, 5)), str(rng.choice(["valid", "same"]))
    stride, dilation = [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)][rng.integers(5)]
    if rng.random() < 0.3:
        return layers.AveragePooling2D(kernel, strides=stride, padding=padding)
    if rng.random() < 0.2:
        return layers.DepthwiseConv2D(kernel, dilation_rate=dilation, padding=padding, depthwise_initializer="ones")
    return layers.Conv2D(1, kernel, stride, padding, dilation_rate=dilation, kernel_initializer="ones")


def random_chain(seed):
    rng = np.random.default_rng(seed)
    model, size = keras.Sequential([keras.Input((29, 29, 1))]), 29
    for _ in range(rng.integers(1, 5)):
        model.add(random_layer(rng))
        size = model.output_shape[1]
        if size < 6:
            break
    return model


def rows_seen(model, layer, node):
    """The rows of the image on which node (node, 0) of a layer depends."""
    features = keras.Model(model.inputs, model.get_layer(layer).output)
    image = tf.ones((1, *model.input_shape[1:]))
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_sum(features(image)[0, node, 0])
    return np.flatnonzero(np.abs(tape.gradient(value, image)).sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("seed", range(12))
def test_what_the_gradient_reaches_is_what_the_recursion_says(seed):
    model = random_chain(seed)
    for geometry in receptive_fields(model):
        seen = [rows_seen(model, geometry.layer, node) for node in range(geometry.map_size[0])]
        for node, rows in enumerate(seen):
            first = geometry.start + node * geometry.stride
            assert first <= rows.min() and rows.max() <= first + geometry.field - 1
            if all(getattr(layer, "padding", "valid") == "valid" for layer in model.layers):
                assert (rows.min(), rows.max()) == (first, first + geometry.field - 1)
        everything = np.concatenate(seen)
        assert (everything.min(), everything.max()) == geometry.seen


@pytest.mark.parametrize("kernel, stride, dilation", [(3, 1, 1), (2, 2, 1), (4, 3, 1), (3, 1, 2), (1, 1, 1)])
def test_every_node_of_a_valid_chain_sees_exactly_its_field(kernel, stride, dilation):
    window = {"dilation_rate": dilation, "kernel_initializer": "ones"}
    model = chain(layers.Conv2D(1, kernel, stride, **window), layers.Conv2D(1, 2, kernel_initializer="ones"))
    for geometry in receptive_fields(model):
        for node in range(geometry.map_size[0]):
            rows = rows_seen(model, geometry.layer, node)
            first = geometry.start + node * geometry.stride
            assert (rows.min(), rows.max()) == (first, first + geometry.field - 1)


def test_the_cnn_of_the_series_has_the_fields_of_the_catalogue_not_of_article_one():
    table = receptive_fields(build_cnn(0))
    assert [one.layer for one in table] == ["Conv2D_1", "Pool_1", "Conv2D_2", "Pool_2", "Conv2D_3"]
    assert [one.map_size for one in table] == [(n, n) for n in (26, 13, 11, 5, 3)]
    assert [one.field for one in table] == [3, 4, 8, 10, 18]
    assert [one.stride for one in table] == [1, 2, 2, 4, 4]
    assert [one.overlap for one in table] == [2, 2, 6, 6, 14]
    assert [one.seen for one in table] == [(0, 27), (0, 27), (0, 27), (0, 25), (0, 25)]
    assert [one.weights for one in table if one.weights] == [320, 18_496, 73_856]


def test_the_padded_cnn_has_the_fields_of_the_catalogue():
    table = receptive_fields(build_padded_cnn(0))
    assert [one.map_size[0] for one in table] == [28, 14, 14, 7, 7, 3]
    assert [one.field for one in table] == [3, 4, 8, 10, 18, 22]
    assert [one.stride for one in table] == [1, 2, 2, 4, 4, 8]
    assert [one.weights for one in table if one.weights] == [240, 10_416, 27_712]


def test_max_pooling_and_relu_reach_the_same_pixels_once_enough_images_have_been_tried():
    model = build_cnn(3)
    images = tf.random.stateless_normal((400, 28, 28, 1), (1, 2))
    for geometry in receptive_fields(model):
        features = keras.Model(model.inputs, model.get_layer(geometry.layer).output)
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = tf.reduce_sum(features(images)[:, 1, 2])
        reached = np.abs(tape.gradient(value, images)).sum(axis=(0, 3)) > 0
        expected = np.zeros((28, 28), bool)
        row, column = geometry.start + geometry.stride, geometry.start + 2 * geometry.stride
        expected[row : row + geometry.field, column : column + geometry.field] = True
        np.testing.assert_array_equal(reached, expected)


def test_a_padded_layer_above_a_layer_that_lost_pixels_does_not_see_them_again():
    model = chain(layers.MaxPooling2D(2), layers.Conv2D(1, 3, padding="same"), size=7)
    assert [one.seen for one in receptive_fields(model)] == [(0, 5), (0, 5)]


def test_layers_that_keep_every_node_in_its_place_change_nothing():
    plain = chain(layers.Conv2D(2, 3), layers.Conv2D(2, 3))
    dressed = chain(layers.Conv2D(2, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5),
                    layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(3))
    assert [one[1:] for one in receptive_fields(plain)] == [one[1:] for one in receptive_fields(dressed)]


def test_a_chain_built_with_the_functional_interface_is_a_chain_as_well():
    image = keras.Input((12, 12, 1))
    model = keras.Model(image, layers.MaxPooling2D(2)(layers.Conv2D(2, 3)(image)))
    assert [(one.field, one.stride) for one in receptive_fields(model)] == [(3, 1), (4, 2)]


def test_asking_for_an_extractor_first_changes_nothing():
    model = build_cnn(0)
    before = receptive_fields(model)
    pre_activation_extractor(model, "Conv2D_2")(np.zeros((1, 28, 28, 1), np.float32))
    assert receptive_fields(model) == before


def test_a_model_without_windows_gives_an_empty_table():
    assert receptive_fields(chain(layers.Flatten(), layers.Dense(2))) == []


def test_a_layer_that_reads_two_others_is_refused_by_name():
    image = keras.Input((12, 12, 1))
    short, long = image, layers.Conv2D(1, 3, padding="same")(image)
    with pytest.raises(ValueError, match="'joined'.*chain"):
        receptive_fields(keras.Model(image, layers.Add(name="joined")([short, long])))


def test_branches_that_never_meet_are_refused():
    image = keras.Input((12, 12, 1))
    outputs = [layers.Conv2D(2, 3)(image), layers.Conv2D(2, 5, name="second")(image)]
    with pytest.raises(ValueError, match="chain"):
        receptive_fields(keras.Model(image, outputs))


@pytest.mark.parametrize(
    "odd",
    [layers.UpSampling2D(2), layers.ZeroPadding2D(1), layers.Cropping2D(1), layers.Conv2DTranspose(1, 3),
     layers.Reshape((6, 24, 1))],
)
def test_a_layer_that_moves_nodes_in_a_way_unknown_here_is_refused_by_name(odd):
    with pytest.raises(ValueError, match=odd.name):
        receptive_fields(chain(odd, layers.Conv2D(1, 3), size=12))


def test_a_model_inside_a_model_is_refused_by_name():
    inner = keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(1, 3, padding="same")], name="inner")
    with pytest.raises(ValueError, match="inner"):
        receptive_fields(chain(inner, layers.Conv2D(1, 3), size=12))


def test_a_mask_that_is_not_square_is_refused_by_name():
    with pytest.raises(ValueError, match="flat.*square"):
        receptive_fields(chain(layers.Conv2D(1, (1, 5), name="flat")))


def test_a_model_for_images_of_any_size_is_refused_with_a_remedy():
    model = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(1, 3)])
    with pytest.raises(ValueError, match="size"):
        receptive_fields(model)


# ---------------------------------------------------------------- the trunk for any size


@pytest.mark.parametrize("build", [build_cnn, build_padded_cnn])
def test_the_trunk_answers_as_the_model_does_and_takes_any_size(build):
    model = build(3)
    trunk = any_size(model)
    last = trunk.layers[-1].name
    digits = standardize(np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype(np.float32))
    np.testing.assert_allclose(trunk(digits), feature_extractor(model, last)(digits), atol=1e-5)
    assert trunk.input_shape == (None, None, None, 1)
    names = [layer.name for layer in trunk.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert names == [layer.name for layer in model.layers][: len(names)] and model.layers[len(names)].name == "Flatten"
    for name in names:
        for own, copied in zip(model.get_layer(name).get_weights(), trunk.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(own, copied)
    assert feature_extractor(trunk, "Conv2D_2")(np.zeros((1, 60, 41, 1))).shape[0] == 1


def test_the_trunk_of_the_articles_cnn_has_as_many_nodes_as_the_catalogue_says():
    trunk = any_size(build_cnn(1))
    nodes = {size: trunk(np.zeros((1, size, size, 1))).shape[1] for size in (28, 40, 56, 100)}
    assert nodes == {28: 3, 40: 6, 56: 10, 100: 21}


def test_the_trunk_holds_a_copy_and_leaves_the_model_untouched():
    model = tiny_cnn()
    before = [weights.copy() for weights in model.get_weights()]
    trunk = any_size(model)
    trunk.set_weights([0 * weights for weights in trunk.get_weights()])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.input_shape == (None, 12, 12, 1) and any_size(trunk).output_shape == trunk.output_shape


def without_a_chain(kind):
    """Maps that part and join again: by addition, through an operation, or weighted by a pooled branch."""
    images = keras.Input((12, 12, 1), name="images")
    start = layers.Conv2D(4, 3, activation="relu", name="start")(images)
    side = layers.Conv2D(4, 3, padding="same", name="side")(start)
    if kind == "operations":
        side = keras.ops.multiply(keras.ops.relu(side), 0.5)
    if kind == "pooled":  # squeeze and excitation
        side = layers.Reshape((1, 1, 4))(layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(start)))
    joined = (layers.Multiply if kind == "pooled" else layers.Add)(name="joined")([start, side])
    end = layers.MaxPooling2D(2, name="end")(joined)
    head = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(end))  # a head may be made of maps as well
    return keras.Model(images, layers.Flatten()(head))


@pytest.mark.parametrize("kind", ["added", "operations", "pooled"])
def test_a_trunk_that_parts_and_joins_again_answers_as_the_model_does_and_takes_any_size(kind):
    model = without_a_chain(kind)
    trunk = any_size(model)
    digits = np.random.default_rng(0).standard_normal((2, 12, 12, 1)).astype(np.float32)
    for name in ("start", "joined", "end"):
        expected = feature_extractor(model, name)(digits)
        np.testing.assert_allclose(feature_extractor(trunk, name)(digits), expected, atol=1e-5)
    assert trunk.output_shape == (None, None, None, 4)
    assert trunk(np.zeros((1, 30, 22, 1))).shape == (1, 14, 10, 4)


def test_a_branch_that_leaves_the_maps_early_does_not_shorten_the_trunk():
    images = keras.Input((12, 12, 1))
    first = layers.Conv2D(2, 3, name="first")(images)
    aside = layers.Dense(3)(layers.Flatten()(first))
    last = layers.Conv2D(3, 3, name="last")(first)
    trunk = any_size(keras.Model(images, layers.Concatenate()([aside, layers.Flatten()(last)])))
    assert trunk.layers[-1].name == "last"


def test_models_without_a_trunk_for_any_size_are_refused():
    images = keras.Input((12, 12, 1))
    first = keras.Sequential([keras.Input((1, 12, 12)), layers.Conv2D(2, 3, data_format="channels_first")])
    apart = [layers.Flatten()(layers.Conv2D(2, size)(images)) for size in (3, 5)]
    refused = {
        "end in several places": keras.Model(images, layers.Concatenate()(apart)),
        "model itself": keras.Sequential([keras.Input((12, 12, 1)), keras.Sequential([layers.Conv2D(2, 3)])]),
        "no Conv2D": keras.Sequential([keras.Input((12, 12, 1)), layers.Flatten(), layers.Dense(3)]),
        "input of images": keras.Sequential([keras.Input((144,)), layers.Reshape((12, 12, 1)), layers.Conv2D(2, 3)]),
        "knows the size": keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(2, 3), layers.PReLU()]),
        "channels first": first,
    }
    for sentence, model in refused.items():
        with pytest.raises(ValueError, match=sentence):
            any_size(model)


def test_what_receptive_fields_would_count_wrongly_is_refused():
    first = keras.Sequential([keras.Input((1, 12, 12)), layers.Conv2D(2, 3, data_format="channels_first")])
    with pytest.raises(ValueError, match="channels first"):
        receptive_fields(first)
    uneven = keras.Sequential([keras.Input((12, 13, 1)), layers.Conv2D(2, 3, 2, padding="same", name="uneven")])
    with pytest.raises(ValueError, match="'uneven' pads 0 rows and 1 columns"):
        receptive_fields(uneven)


def test_operations_in_a_chain_keep_the_nodes_in_place():
    images = keras.Input((12, 12, 1))
    model = keras.Model(images, layers.Conv2D(2, 3)(keras.ops.relu(layers.Conv2D(2, 3)(images))))
    assert [one.field for one in receptive_fields(model)] == [3, 5]
