"""What helpers.activations promises of extractors and averages. Tiny random models, made here."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers

from helpers import activations
from helpers.activations import (
    class_means,
    conv_layers,
    feature_extractor,
    input_contributions,
    input_patches,
    mean_activations,
    pre_activation_extractor,
    strongest_patches,
)
from helpers.geometry import receptive_fields
from helpers.oips import find_precursors

SHAPE = (9, 9, 1)


def digits(n=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def random_weights(model, seed=0):
    """The model with random weights everywhere: biases and batch statistics too, so nothing is 0 by chance."""
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.1, 0.6, w.shape) * random.choice([-1, 1], w.shape[-1:]) for w in model.weights])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    return model


def sequential(*between, activation=None):
    head = [layers.Flatten(name="Flat"), layers.Dense(6, activation="relu", name="Dense_1")]
    return random_weights(
        keras.Sequential(
            [
                keras.Input(SHAPE),
                layers.Conv2D(3, 3, activation="relu", name="First"),
                layers.Conv2D(4, 3, activation=activation, name="Second"),
                *between,
                *head,
                layers.Dense(5, activation="softmax", name="Output"),
            ]
        )
    )


def functional(*between, activation=None):
    chain = sequential(*between, activation=activation).layers
    images = keras.Input(SHAPE, name="Image")
    tensor = images
    for layer in chain:
        tensor = type(layer).from_config(layer.get_config())(tensor)
    return random_weights(keras.Model(images, tensor))


def convolved(model, images):
    """The sums of the layer Second, by an independent calculation with numpy."""
    tensor = images.astype(float)
    for name in ("First", "Second"):
        kernel, bias = (weight.astype(float) for weight in model.get_layer(name).get_weights())
        windows = np.lib.stride_tricks.sliding_window_view(tensor, (3, 3), axis=(1, 2))  # (n, h, w, c, 3, 3)
        sums = np.einsum("nhwcij,ijcm->nhwm", windows, kernel) + bias
        tensor = np.maximum(sums, 0)
    return sums


def normalized(model, sums):
    layer = model.get_layer("Norm")
    gamma, beta, mean, variance = layer.get_weights()
    return (sums - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta


def relu(sums):
    return np.maximum(sums, 0)


def leaky(sums):
    return np.where(sums > 0, sums, 0.3 * sums)


def agree(extractor, images, expected):
    np.testing.assert_allclose(np.asarray(extractor(images)), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize(
    "between, activation, after",
    [
        (lambda: [], "relu", relu),
        (lambda: [layers.Activation("relu")], None, relu),
        (lambda: [layers.ReLU()], None, relu),
        (lambda: [layers.LeakyReLU(negative_slope=0.3)], None, leaky),
        (lambda: [], layers.LeakyReLU(negative_slope=0.3), leaky),
        (lambda: [layers.Activation("linear"), layers.ReLU()], None, relu),
        (lambda: [layers.Dropout(0.5), layers.ReLU()], None, lambda sums: sums),  # does not follow: no non-linearity
        (lambda: [], None, lambda sums: sums),
    ],
    ids=["fused", "Activation", "ReLU", "LeakyReLU", "fused LeakyReLU", "linear between", "dropout between", "none"],
)
def test_before_is_the_sum_and_after_is_its_non_linearity(make, between, activation, after):
    model, images = make(*between(), activation=activation), digits()
    sums = convolved(model, images)
    assert (sums < 0).any() and (sums > 0).any()
    agree(pre_activation_extractor(model, "Second"), images, sums)
    agree(feature_extractor(model, "Second"), images, after(sums))


@pytest.mark.parametrize("make", [sequential, functional])
def test_prelu_multiplies_negative_sums_by_its_own_weights(make):
    model, images = make(layers.PReLU(name="P")), digits()
    sums = convolved(model, images)
    agree(pre_activation_extractor(model, "Second"), images, sums)
    slopes = model.get_layer("P").get_weights()[0]
    agree(feature_extractor(model, "Second"), images, np.where(sums > 0, sums, slopes * sums))


@pytest.mark.parametrize("make", [sequential, functional])
def test_batch_normalization_before_the_non_linearity_belongs_to_the_pre_activation(make):
    model, images = make(layers.BatchNormalization(name="Norm"), layers.ReLU()), digits()
    sums = normalized(model, convolved(model, images))
    agree(pre_activation_extractor(model, "Second"), images, sums)
    agree(feature_extractor(model, "Second"), images, relu(sums))


def test_batch_normalization_after_a_fused_non_linearity_is_left_out():
    model, images = sequential(layers.BatchNormalization(name="Norm"), activation="relu"), digits()
    sums = convolved(model, images)
    agree(pre_activation_extractor(model, "Second"), images, sums)
    agree(feature_extractor(model, "Second"), images, relu(sums))


def test_a_layer_that_two_layers_read_has_no_non_linearity_of_its_own():
    images = keras.Input(SHAPE)
    sums = layers.Conv2D(3, 3, name="Conv")(images)
    model = random_weights(keras.Model(images, layers.Add()([layers.ReLU()(sums), sums])))
    kernel, bias = model.get_layer("Conv").get_weights()
    expected = keras.ops.conv(digits(), kernel, padding="valid") + bias
    agree(feature_extractor(model, "Conv"), digits(), expected)
    agree(pre_activation_extractor(model, "Conv"), digits(), expected)


@pytest.mark.parametrize("make", [sequential, functional])
def test_first_dense_and_output_layers_have_pre_activations_too(make):
    model, images = make(activation="relu"), digits()
    first = pre_activation_extractor(model, "First")(images)
    agree(feature_extractor(model, "First"), images, relu(np.asarray(first)))
    below = np.asarray(feature_extractor(model, "Flat")(images))
    kernel, bias = model.get_layer("Dense_1").get_weights()
    agree(pre_activation_extractor(model, "Dense_1"), images, below @ kernel + bias)
    hidden = relu(below @ kernel + bias)
    agree(feature_extractor(model, "Dense_1"), images, hidden)
    logits = np.asarray(pre_activation_extractor(model, "Output")(images))
    kernel, bias = model.get_layer("Output").get_weights()
    np.testing.assert_allclose(logits, hidden @ kernel + bias, rtol=1e-3, atol=1e-3)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    agree(feature_extractor(model, "Output"), images, powers / powers.sum(axis=1, keepdims=True))


def test_a_non_linear_layer_can_be_asked_for_itself():
    model, images = sequential(layers.ReLU(name="Relu")), digits()
    sums = convolved(model, images)
    agree(pre_activation_extractor(model, "Relu"), images, sums)
    agree(feature_extractor(model, "Relu"), images, relu(sums))


def test_a_sequential_without_input_is_refused_until_it_was_called():
    model = keras.Sequential([layers.Conv2D(3, 3, activation="relu", name="First"), layers.Flatten(), layers.Dense(2)])
    for extractor in (feature_extractor, pre_activation_extractor):
        with pytest.raises(ValueError, match="does not know its input yet; call it once"):
            extractor(model, "First")
    model(digits())
    sums = np.asarray(pre_activation_extractor(model, "First")(digits()))
    assert (sums < 0).any()
    agree(feature_extractor(model, "First"), digits(), relu(sums))


def test_a_nested_model_counts_as_one_layer():
    inner = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(3, 3, activation="relu", name="Hidden")], name="Inner")
    outer = keras.Sequential([keras.Input(SHAPE), inner, layers.Conv2D(4, 3, activation="relu", name="Last")])
    random_weights(outer)
    agree(feature_extractor(outer, "Inner"), digits(), inner(digits()))
    agree(feature_extractor(outer, "Last"), digits(), outer(digits()))
    assert np.asarray(pre_activation_extractor(outer, "Last")(digits())).min() < 0
    assert conv_layers(outer) == ["Last"]
    with pytest.raises(ValueError, match="layer 'Hidden' not found; this model has Inner, Last"):
        feature_extractor(outer, "Hidden")


@pytest.mark.parametrize("name", ["First", "Second", "Dense_1", "Output"])
def test_layers_shared_with_another_model_are_read_in_the_graph_that_was_asked_for(name):
    model = sequential(layers.ReLU())
    small = keras.Input(SHAPE)
    tensor = small
    for layer in model.layers:
        tensor = layer(tensor)
    other = keras.Model(small, tensor)
    for extractor in (feature_extractor, pre_activation_extractor):
        agree(extractor(other, name), digits(), np.asarray(extractor(model, name)(digits())))


def test_a_trunk_for_any_image_size_can_be_read():
    model = sequential(activation="relu")
    images = keras.Input((None, None, 1))
    trunk = keras.Model(images, model.get_layer("Second")(model.get_layer("First")(images)))
    large = np.random.default_rng(1).normal(size=(2, 20, 15, 1)).astype(np.float32)
    sums = convolved(model, large)
    agree(pre_activation_extractor(trunk, "Second"), large, sums)
    agree(feature_extractor(trunk, "Second"), large, relu(sums))


def test_the_same_request_gives_the_same_extractor():
    model, other = sequential(activation="relu"), sequential(activation="relu")
    assert feature_extractor(model, "Second") is feature_extractor(model, "Second")
    assert pre_activation_extractor(model, "Second") is pre_activation_extractor(model, "Second")
    different = {id(feature_extractor(m, n)) for m in (model, other) for n in ("First", "Second")}
    assert len(different | {id(pre_activation_extractor(model, "Second"))}) == 5


@pytest.mark.parametrize("activation", ["relu", None])
def test_extractors_follow_when_the_model_learns_on(activation):
    model, images = sequential(layers.ReLU(), activation=activation), digits()
    before, after = pre_activation_extractor(model, "Second"), feature_extractor(model, "Second")
    fused = pre_activation_extractor(model, "First")
    for extractor in (before, after, fused):
        mean_activations(extractor, images)  # compiled with the old weights
    random_weights(model, seed=5)
    sums = convolved(model, images)
    if activation is None:
        agree(before, images, sums)
    agree(after, images, relu(sums))
    kernel, bias = model.get_layer("First").get_weights()
    agree(fused, images, keras.ops.conv(images, kernel, padding="valid") + bias)
    np.testing.assert_allclose(mean_activations(after, images), relu(sums).mean(axis=(1, 2)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", [sequential, functional])
def test_the_readers_model_is_left_as_it_was(make):
    model = make(layers.BatchNormalization(name="Norm"), layers.ReLU())

    def portrait():
        nodes = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers]
        functions = [getattr(layer, "activation", None) for layer in model.layers]
        return model.get_config(), nodes, functions, [layer.name for layer in model.layers], len(model.weights)

    before, weights, answers = portrait(), model.get_weights(), model(digits()).numpy()
    for name in ("First", "Second", "Norm", "Flat", "Dense_1", "Output"):
        for extractor in (feature_extractor(model, name), pre_activation_extractor(model, name)):
            extractor(digits())
            mean_activations(extractor, digits())
    assert portrait() == before
    np.testing.assert_array_equal(model(digits()), answers)
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("extractor", [feature_extractor, pre_activation_extractor])
def test_an_unknown_layer_is_refused_with_the_names_of_those_that_exist(extractor):
    with pytest.raises(ValueError, match="layer 'Conv2D3' not found; this model has First, Second, Flat, Dense_1"):
        extractor(sequential(), "Conv2D3")


@pytest.mark.parametrize("extractor", [feature_extractor, pre_activation_extractor])
def test_a_model_with_several_inputs_is_refused(extractor):
    one, two = keras.Input(SHAPE), keras.Input(SHAPE)
    model = keras.Model([one, two], layers.Conv2D(2, 3, name="Conv")(layers.Add()([one, two])))
    with pytest.raises(ValueError, match="the model has 2 inputs; extractors need a model with one image input"):
        extractor(model, "Conv")


def test_the_cache_does_not_keep_a_model_alive():
    model = sequential(activation="relu")
    for name in ("First", "Second", "Output"):
        mean_activations(feature_extractor(model, name), digits())
        mean_activations(pre_activation_extractor(model, name), digits())
    known, watched = len(activations._extractors), weakref.ref(model)
    del model
    gc.collect()
    assert watched() is None
    assert len(activations._extractors) < known


def test_conv_layers_are_named_from_first_to_last():
    assert conv_layers(sequential(layers.MaxPooling2D(2))) == ["First", "Second"]
    assert conv_layers(functional(layers.Conv2D(2, 3, name="A_third"))) == ["First", "Second", "A_third"]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 256])
@pytest.mark.parametrize("name", ["Second", "Dense_1"])
def test_mean_activations_equal_a_direct_computation_for_any_batch_size(name, batch_size):
    model, images = sequential(activation="relu"), digits()
    direct = np.asarray(feature_extractor(model, name)(images))
    direct = direct.mean(axis=(1, 2)) if direct.ndim == 4 else direct
    means = mean_activations(feature_extractor(model, name), images, batch_size=batch_size)
    assert means.shape == (7, 4 if name == "Second" else 6)
    np.testing.assert_allclose(means, direct, rtol=1e-4, atol=1e-5)


def test_mean_activations_run_the_model_as_in_use_and_not_as_in_training():
    model = sequential(layers.Dropout(0.9, name="Drop"), activation="relu")
    dropped = mean_activations(feature_extractor(model, "Drop"), digits())
    np.testing.assert_allclose(dropped, mean_activations(feature_extractor(model, "Second"), digits()), rtol=1e-5)


@pytest.mark.parametrize("kind", [float, np.float32, bool])
def test_class_means_are_the_means_of_each_class(kind):
    values = (np.random.default_rng(0).normal(size=(30, 4)) > 0).astype(kind)
    labels = np.random.default_rng(1).permutation([0] * 4 + [1] * 10 + [2] * 16)
    expected = [np.mean([value for value, label in zip(values.astype(float), labels) if label == c], axis=0)
                for c in range(3)]
    np.testing.assert_allclose(class_means(values, labels, classes=3), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "labels", "sentence"),
    [
        (np.zeros((3, 2)), [0, 0, 2], "each of 3 classes needs at least one"),
        (np.zeros((3, 2)), [0, 1, 3], "labels hold 3; each must be a whole number from 0 to 2"),
        (np.zeros((3, 2)), [0, 1, -1], "labels hold -1"),
        (np.zeros((3, 2)), np.eye(3), r"labels.argmax\(axis=1\)"),
        (np.zeros((3, 2)), [0, 1], "3 images need one label each"),
        (np.full((3, 2), np.nan), [0, 1, 2], "values hold NaN"),
        (np.zeros((3, 2, 2)), [0, 1, 2], r"values have shape \(3, 2, 2\); give \(n, any\)"),
    ],
)
def test_class_means_refuse_classes_without_images_and_labels_that_do_not_fit(values, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        class_means(values, np.array(labels), classes=3)


def patch_model(padding):
    return random_weights(
        keras.Sequential(
            [
                keras.Input(SHAPE),
                layers.Conv2D(3, 3, padding=padding, activation="relu", name="First"),
                layers.MaxPooling2D(2, name="Pool"),
                layers.Conv2D(4, 2, padding=padding, name="Second"),
            ]
        )
    )


def test_strongest_patches_alone_make_the_strongest_values():
    model, images = patch_model("valid"), digits(20)
    features, geometry = feature_extractor(model, "Second"), receptive_fields(model)[-1]
    found = strongest_patches(features, images, 2, geometry, count=6, batch_size=7)
    nodes = np.asarray(features(images))[..., 2]
    np.testing.assert_allclose(found.values, np.sort(nodes.max(axis=(1, 2)))[::-1][:6], rtol=1e-4)
    np.testing.assert_allclose(nodes[found.numbers].max(axis=(1, 2)), found.values, rtol=1e-4)
    for patch, number, (row, column), value in zip(*found):
        field = slice(row, row + geometry.field), slice(column, column + geometry.field)
        np.testing.assert_array_equal(patch, images[number][field])
        alone = digits(1, seed=9)
        alone[0][field] = patch
        place = row // geometry.stride, column // geometry.stride
        np.testing.assert_allclose(np.asarray(features(alone))[0, *place, 2], value, rtol=1e-3)


def test_a_patch_is_0_where_its_field_reaches_beyond_the_image():
    model = patch_model("same")
    features, geometry = feature_extractor(model, "First"), receptive_fields(model)[0]
    images = np.zeros((1, *SHAPE), np.float32)
    images[0, 0, 0] = 1  # seen by the nodes of the corner only
    kernel = np.zeros((3, 3, 1, 3), np.float32)
    kernel[1, 1] = 1  # each node answers to its middle pixel
    model.get_layer("First").set_weights([kernel, np.zeros(3)])
    found = strongest_patches(features, images, 0, geometry, count=1)
    assert found.corners.tolist() == [[-1, -1]]
    expected = np.zeros((3, 3, 1))
    expected[1, 1] = 1
    np.testing.assert_array_equal(found.images[0], expected)


def test_fewer_images_than_wanted_give_fewer_patches():
    model = patch_model("valid")
    found = strongest_patches(feature_extractor(model, "Second"), digits(3), 0, receptive_fields(model)[-1])
    assert len(found.images) == len(found.values) == 3


@pytest.mark.parametrize("index", [-1, 4, 1.0, None, "1"])
def test_patches_of_a_map_that_does_not_exist_are_refused(index):
    model = patch_model("valid")
    with pytest.raises(ValueError, match=f"map index {index!r} does not exist: this layer has 0 to 3"):
        strongest_patches(feature_extractor(model, "Second"), digits(), index, receptive_fields(model)[-1])


@pytest.mark.parametrize("kernel", [3, (2, 3)])
@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"strides": 2}, {"strides": 2, "padding": "same"}, {"strides": (1, 3)},
     {"dilation_rate": 2}, {"dilation_rate": (2, 1), "padding": "same"}, {"use_bias": False}],
    ids=str,
)  # fmt: skip
def test_contributions_of_the_maps_below_add_up_to_the_pre_activation(options, kernel):
    model = random_weights(
        keras.Sequential(
            [
                keras.Input((9, 11, 2)),
                layers.Conv2D(3, 3, activation="relu", name="First"),
                layers.Conv2D(4, kernel, activation="relu", name="Second", **options),
            ]
        )
    )
    images = np.random.default_rng(0).normal(size=(5, 9, 11, 2))
    for layer, index, inputs, source in [("First", 1, 2, model.inputs[0]._keras_history.operation.name),
                                         ("Second", 3, 3, "First")]:  # fmt: skip
        made, before = input_contributions(model, layer, index, images), pre_activation_extractor(model, layer)
        expected = np.asarray(before(images))[..., index]
        assert expected.std() > 0.1 and made.source == source
        assert made.values.shape == (*expected.shape, inputs) and made.inputs.shape[-1] == inputs
        np.testing.assert_allclose(made.values.sum(axis=-1) + made.bias, expected, rtol=1e-4, atol=1e-4)
        for number in range(inputs):
            products = input_patches(model, layer, made.inputs[..., number]) * made.kernels[..., number]
            np.testing.assert_allclose(products.sum(axis=(3, 4)), made.values[..., number], rtol=1e-4, atol=1e-4)


def test_each_contribution_is_the_correlation_of_one_map_below_with_its_own_kernel():
    model, images = sequential(activation="relu"), digits()
    made = input_contributions(model, "Second", 2, images)
    windows = np.lib.stride_tricks.sliding_window_view(made.inputs, (3, 3), axis=(1, 2))  # (n, h, w, inputs, 3, 3)
    np.testing.assert_allclose(made.values, np.einsum("nhwcij,ijc->nhwc", windows, made.kernels), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(made.inputs, feature_extractor(model, "First")(images))


def test_contributions_follow_the_weights_when_the_model_learns_on():
    model, images = sequential(), digits()
    before = input_contributions(model, "Second", 0, images)
    model.set_weights([2 * weight for weight in model.get_weights()])
    after = input_contributions(model, "Second", 0, images)
    np.testing.assert_allclose(after.kernels, 2 * before.kernels)
    assert after.bias == 2 * before.bias


def test_another_map_or_digit_does_not_compile_contributions_anew():
    model = sequential()
    input_contributions(model, "Second", 0, digits(1))
    forward = activations._extractor(model, "Second", activations._below).compiled_forward
    for index in range(4):
        input_contributions(model, "Second", index, digits(1, seed=index))
    assert forward.__wrapped__.experimental_get_tracing_count() == 1


def test_contributions_are_refused_where_there_is_no_such_sum():
    grouped = keras.Sequential([keras.Input((9, 9, 4)), layers.Conv2D(4, 3, groups=2, name="Grouped")])
    with pytest.raises(ValueError, match="'Grouped' is a convolution in 2 groups"):
        input_contributions(grouped, "Grouped", 0, np.zeros((1, 9, 9, 4)))
    with pytest.raises(ValueError, match="'Dense_1' is a Dense; .* Conv2D .*First, Second"):
        input_contributions(sequential(), "Dense_1", 0, digits())
    with pytest.raises(ValueError, match="map index 4 does not exist: layer 'Second' has 0 to 3"):
        input_contributions(sequential(), "Second", 4, digits())
    with pytest.raises(ValueError, match="'Third' not found"):
        input_contributions(sequential(), "Third", 0, digits())


def branching(*, shared=True):
    """Two convolutions beside each other, each followed by a ReLU: the same layer, or one of its own."""
    images, one = keras.Input(SHAPE), layers.ReLU(name="Relu")
    two = one if shared else layers.ReLU(name="Other_relu")
    left = one(layers.Conv2D(3, 3, name="Left")(images))
    right = two(layers.Conv2D(3, 3, name="Right")(images))
    return random_weights(keras.Model(images, layers.Add(name="Sum")([left, right])))


@pytest.mark.parametrize("name", ["Left", "Right"])
def test_convolutions_that_share_a_non_linear_layer_are_read_apart(name):
    shared, own = branching(), branching(shared=False)
    own.set_weights(shared.get_weights())
    for extractor in (feature_extractor, pre_activation_extractor):
        agree(extractor(shared, name), digits(), np.asarray(extractor(own, name)(digits())))


@pytest.mark.parametrize("extractor", [feature_extractor, pre_activation_extractor])
def test_a_layer_that_is_called_twice_is_refused(extractor):
    with pytest.raises(ValueError, match="layer 'Relu' is called 2 times .* give each place a layer of its own"):
        extractor(branching(), "Relu")


@pytest.mark.parametrize("normalized_too", [False, True])
@pytest.mark.parametrize(
    ("operation", "after"),
    [(keras.ops.relu, relu), (lambda x: keras.ops.leaky_relu(x, 0.3), leaky), (keras.ops.tanh, np.tanh)],
    ids=["relu", "leaky_relu", "tanh"],
)
def test_an_operation_behind_a_convolution_is_its_non_linearity(operation, after, normalized_too):
    images = keras.Input(SHAPE)
    sums = layers.Conv2D(4, 3, name="Second")(layers.Conv2D(3, 3, activation="relu", name="First")(images))
    sums = layers.BatchNormalization(name="Norm")(sums) if normalized_too else sums
    model = random_weights(keras.Model(images, layers.Flatten()(operation(sums))))
    expected = convolved(model, digits())
    expected = normalized(model, expected) if normalized_too else expected
    agree(pre_activation_extractor(model, "Second"), digits(), expected)
    agree(feature_extractor(model, "Second"), digits(), after(expected))


def test_an_operation_that_is_no_non_linearity_is_left_out():
    images = keras.Input(SHAPE)
    sums = layers.Conv2D(4, 3, name="Conv")(images)
    model = random_weights(keras.Model(images, keras.ops.relu(keras.ops.multiply(sums, 2.0))))
    agree(feature_extractor(model, "Conv"), digits(), np.asarray(pre_activation_extractor(model, "Conv")(digits())))
    assert np.asarray(feature_extractor(model, "Conv")(digits())).min() < 0


@pytest.mark.parametrize("norm", [layers.GroupNormalization(2), layers.LayerNormalization()], ids=["group", "layer"])
def test_another_normalization_stands_between_as_well(norm):
    model = sequential(norm, layers.ReLU())
    before = np.asarray(pre_activation_extractor(model, "Second")(digits()))
    np.testing.assert_allclose(before, np.asarray(norm(convolved(model, digits()).astype(np.float32))), atol=1e-3)
    agree(feature_extractor(model, "Second"), digits(), relu(before))


@pytest.mark.parametrize("nested", [False, True])
def test_maps_with_their_channels_first_are_refused(nested):
    first = keras.Sequential([keras.Input((1, 9, 9)), layers.Conv2D(3, 3, data_format="channels_first", name="Conv")])
    model = keras.Sequential([keras.Input((1, 9, 9)), first, layers.Activation("relu")]) if nested else first
    with pytest.raises(ValueError, match="'Conv' has its channels first.* data_format='channels_last'"):
        feature_extractor(model, model.layers[0].name)


READERS = [
    lambda model, images: mean_activations(feature_extractor(model, "Second"), images),
    lambda model, images: input_contributions(model, "Second", 1, images),
    lambda model, images: strongest_patches(feature_extractor(model, "Second"), images, 1, receptive_fields(model)[-1]),
    lambda model, images: find_precursors(feature_extractor(model, "Second"), [1], images),
]


@pytest.mark.parametrize("read", READERS, ids=["means", "contributions", "patches", "precursors"])
def test_images_that_do_not_fit_are_refused_and_never_answered(read):
    model, good = sequential(activation="relu"), digits()
    read(model, good)  # compiled, which makes TensorFlow forget the size it was asked for
    for wrong in (good[:, :8], good[:, :, :8], np.pad(good, ((0, 0), (5, 5), (5, 5), (0, 0))), good.repeat(3, axis=3)):
        with pytest.raises(ValueError, match=r"(images|candidates) have shape .*; the network sees \(n, 9, 9, 1\)"):
            read(model, wrong)
    for wrong in (good[0], good[..., 0], good[:0], good * np.nan, good.astype(str)):
        with pytest.raises(ValueError, match="^(images|candidates) "):
            read(model, wrong)


@pytest.mark.parametrize("broken", ["First", "Second"])
@pytest.mark.parametrize("read", READERS[:3], ids=["means", "contributions", "patches"])
def test_a_network_whose_weights_are_broken_is_refused_and_not_taken_for_a_silent_one(read, broken):
    model = sequential(activation="relu")
    kernel, bias = model.get_layer(broken).get_weights()
    model.get_layer(broken).set_weights([kernel, np.full_like(bias, np.nan)])  # whose ReLU may well be 0
    with pytest.raises(ValueError, match="NaN or infinite .*; load the network or train it again"):
        read(model, digits())


@pytest.mark.parametrize("size", [1, 500, 10_000])
def test_large_maps_are_looked_at_in_small_batches(size, monkeypatch):
    model, images = sequential(activation="relu"), digits(20)
    features, geometry = feature_extractor(model, "Second"), receptive_fields(model)[-1]
    means, patches = mean_activations(features, images), strongest_patches(features, images, 1, geometry)
    monkeypatch.setattr(activations, "BATCH_BYTES", size)
    seen, forward = [], features.compiled_forward
    monkeypatch.setattr(features, "compiled_forward", lambda batch: seen.append(len(batch)) or forward(batch))
    largest = 4 * 7 * 7 * 3  # bytes of the maps of First
    np.testing.assert_allclose(mean_activations(features, images), means, rtol=1e-5)
    np.testing.assert_array_equal(strongest_patches(features, images, 1, geometry).numbers, patches.numbers)
    assert sum(seen) == 40 and max(seen) == max(1, size // largest)


def test_a_network_of_mixed_precision_is_read_in_full_precision():
    plain = sequential(layers.ReLU())
    halves = [type(layer).from_config(layer.get_config() | {"dtype": "mixed_float16"}) for layer in plain.layers]
    half = keras.Sequential([keras.Input(SHAPE), *halves])
    half.set_weights(plain.get_weights())
    for name in ("First", "Second", "Output"):
        for extractor in (feature_extractor, pre_activation_extractor):
            assert extractor(half, name).outputs[0].dtype == "float32"
            found, expected = (mean_activations(extractor(model, name), digits()) for model in (half, plain))
            np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)
    made = input_contributions(half, "Second", 1, digits())
    expected = np.asarray(pre_activation_extractor(plain, "Second")(digits()))[..., 1]
    np.testing.assert_allclose(made.values.sum(axis=-1) + made.bias, expected, rtol=0.02, atol=0.02)


def test_an_extractor_never_draws_at_random():
    images = keras.Input(SHAPE)
    flipped = layers.RandomFlip("horizontal", seed=1)(images)
    model = random_weights(keras.Model(images, layers.Conv2D(3, 3, activation="relu", name="Conv")(flipped)))
    features, direct = feature_extractor(model, "Conv"), model.get_layer("Conv")(digits())
    for _ in range(4):
        agree(features, digits(), direct)
    np.testing.assert_allclose(features.answers(digits()), direct, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [0, -1, 2.5, None])
def test_a_count_of_patches_below_one_is_refused(count):
    model = patch_model("valid")
    with pytest.raises(ValueError, match=f"count {count!r} is out of range; use a whole number of 1 or more"):
        strongest_patches(feature_extractor(model, "Second"), digits(), 0, receptive_fields(model)[-1], count=count)


def test_patches_need_the_geometry_of_their_own_layer():
    model = patch_model("valid")
    with pytest.raises(ValueError, match="geometry is that of 'First' with maps of .* pass the row"):
        strongest_patches(feature_extractor(model, "Second"), digits(), 0, receptive_fields(model)[0])
    with pytest.raises(ValueError, match="gives 6 single units; patches need a layer with maps"):
        strongest_patches(feature_extractor(sequential(), "Dense_1"), digits(), 0, receptive_fields(model)[0])
