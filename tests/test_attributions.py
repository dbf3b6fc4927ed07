"""attributions: each agrees with an independent calculation, image by image, and refuses what cannot be asked."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import class_logits
from helpers.explain import attributions
from helpers.explain.attributions import (
    METHODS,
    blank,
    deconvnet,
    deletion_curves,
    grad_cam,
    gradient,
    guided_backpropagation,
    insertion_curves,
    integrated_gradients,
    map_shares,
    occlusion,
    shuffled_weights,
    smooth_grad,
)
from tests.conftest import tiny_cnn

CLASSES = [0, 2, 1, 1, 0, 2, 2, 0]
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def own(values):
    return np.asarray(values)[np.arange(len(CLASSES)), CLASSES]


@pytest.fixture
def residual():
    """Two colors, a branch, batch normalization, ReLUs of their own and within, another model inside, five sigmoids."""
    inner = keras.Sequential([keras.Input((10, 10, 4)), keras.layers.Conv2D(4, 3, padding="same", activation="relu")])
    images = keras.Input((10, 10, 2))
    below = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(images)))
    added = keras.layers.Activation("relu")(keras.layers.Add()([below, inner(below)]))
    top = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 3, activation="gelu", name="last")(added))
    return keras.Model(images, keras.layers.Dense(5, activation="sigmoid")(keras.layers.Dropout(0.5)(top)))


@every_method
def test_a_method_gives_one_number_per_pixel_and_leaves_the_model_as_it_was(method, cnn, starts):
    before, layers = cnn(starts).numpy(), [len(layer._inbound_nodes) for layer in cnn.layers]
    assert method(cnn, starts, CLASSES).shape == starts.shape
    np.testing.assert_array_equal(cnn(starts), before)
    assert [len(layer._inbound_nodes) for layer in cnn.layers] == layers


@every_method
def test_an_image_gets_the_same_alone_and_in_any_batch(method, cnn, starts, monkeypatch):
    together = method(cnn, starts, CLASSES)
    monkeypatch.setattr(attributions, "AT_ONCE", 3)
    np.testing.assert_allclose(method(cnn, starts, CLASSES), together, atol=1e-5)
    np.testing.assert_allclose(method(cnn, starts[5:6], 2), together[5:6], atol=1e-5)
    assert np.abs(method(cnn, starts[5:6], 1) - together[5:6]).max() > 1e-4  # another class, another answer


@every_method
def test_a_method_takes_branches_colors_inner_models_and_sigmoids(method, residual):
    images = np.random.default_rng(0).standard_normal((3, 10, 10, 2)).astype(np.float32)
    made = method(residual, images, [4, 0, 1])
    assert made.shape == images.shape and np.isfinite(made).all()


@every_method
def test_a_method_explains_a_map_or_a_single_node_as_well(method, cnn, starts):
    whole, node = method(cnn, starts, 3, layer="second"), method(cnn, starts[:1], [[1, 2, 3]], layer="second")
    assert whole.shape == starts.shape and node.shape == starts[:1].shape
    seen = np.zeros((12, 12, 1), bool)
    seen[2:10, 4:12] = True  # what node (1, 2) of the second layer can see
    if method not in (grad_cam, occlusion):
        assert np.abs(node[0][~seen]).max() == 0


@pytest.mark.parametrize("baseline", [blank, np.zeros_like])
def test_integrated_gradients_add_up_to_the_difference_of_the_answers(cnn, starts, baseline):
    logits = class_logits(cnn)
    difference = own(logits(starts)) - own(logits(baseline(starts)))
    shares = integrated_gradients(cnn, starts, CLASSES, baseline=baseline, steps=256)
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), difference, atol=0.02 * np.abs(difference).max())


def test_smooth_grad_without_noise_is_the_gradient_and_with_noise_its_mean(cnn, starts):
    np.testing.assert_allclose(smooth_grad(cnn, starts, CLASSES, noise=0, samples=2), gradient(cnn, starts, CLASSES),
                               atol=1e-6)
    shifts = np.random.default_rng(4).normal(0, 0.5, (3, 1, 12, 12, 1))
    mean = np.mean([gradient(cnn, starts + shift, CLASSES) for shift in shifts], axis=0)
    np.testing.assert_allclose(smooth_grad(cnn, starts, CLASSES, noise=0.5, samples=3, seed=4), mean, atol=1e-5)


def test_occlusion_is_the_mean_loss_over_the_squares_that_cover_a_pixel(cnn, starts):
    made = occlusion(cnn, starts[:1], CLASSES[:1], window=5, stride=3)
    logits, losses = class_logits(cnn), []
    for row in (0, 3, 6, 7):
        for column in (0, 3, 6, 7):
            filled = starts[:1].copy()
            filled[0, row : row + 5, column : column + 5] = starts[0].min()
            if row <= 4 < row + 5 and column <= 8 < column + 5:
                losses.append(float(logits(starts[:1])[0, 0] - logits(filled)[0, 0]))
    np.testing.assert_allclose(made[0, 4, 8, 0], np.mean(losses), atol=1e-4)


def test_a_window_as_large_as_the_image_is_the_whole_difference(cnn, starts):
    logits = class_logits(cnn)
    difference = own(logits(starts)) - own(logits(blank(starts)))
    made = occlusion(cnn, starts, CLASSES, window=12)
    np.testing.assert_allclose(made, np.broadcast_to(difference.reshape(-1, 1, 1, 1), made.shape), atol=1e-4)


def test_grad_cam_weights_the_last_maps_by_their_mean_gradient(cnn, starts):
    """The head is linear here: a map's mean gradient is the mean of its weights to the class."""
    maps = keras.Model(cnn.inputs[0], cnn.get_layer("second").output)(starts[:1]).numpy()
    weights = cnn.get_layer("output").get_weights()[0].reshape(*maps.shape[1:], 3)[..., 0].mean(axis=(0, 1))
    heat = np.maximum((maps * weights).sum(axis=-1, keepdims=True), 0)
    np.testing.assert_allclose(grad_cam(cnn, starts[:1], 0), tf.image.resize(heat, (12, 12)), atol=1e-5)


def test_map_shares_add_up_to_the_logit_but_for_the_bias_where_the_head_is_linear(cnn, starts):
    cnn.get_layer("output").bias.assign([0.5, -1.0, 2.0])
    shares = map_shares(cnn, starts, CLASSES)
    assert shares.shape == (8, 5)
    np.testing.assert_allclose(shares.sum(axis=1), own(class_logits(cnn)(starts)) - np.array([0.5, -1, 2])[CLASSES],
                               atol=1e-4)


def upside_down(cnn, image, index, rectified, masked):
    """The signal of a class on its way down, layer by layer: transposed kernels, switches, the rule at the ReLUs."""
    first, second, output = (cnn.get_layer(name).get_weights() for name in ("first", "second", "output"))
    up = tf.nn.relu(tf.nn.conv2d(image, first[0], 1, "VALID") + first[1]).numpy()
    pooled, switches = tf.nn.max_pool_with_argmax(up, 2, 2, "VALID")
    top = tf.nn.relu(tf.nn.conv2d(pooled, second[0], 1, "VALID") + second[1]).numpy()

    def through(signal, awake):
        signal = np.maximum(signal, 0) if rectified else signal
        return signal * np.sign(awake) if masked else signal

    signal = through(output[0][:, index].reshape(top.shape), top)
    signal = tf.nn.conv2d_transpose(signal, second[0], pooled.shape, 1, "VALID").numpy()
    unpooled = np.zeros(up.shape, np.float32)
    unpooled.ravel()[switches.numpy().ravel()] = signal.ravel()
    return tf.nn.conv2d_transpose(through(unpooled, up), first[0], image.shape, 1, "VALID").numpy()


@pytest.mark.parametrize("method, rectified, masked",
                         [(gradient, False, True), (deconvnet, True, False), (guided_backpropagation, True, True)])
def test_what_comes_back_down_agrees_layer_by_layer_with_transposed_convolutions(
        method, rectified, masked, cnn, starts):
    expected = [upside_down(cnn, starts[[place]], CLASSES[place], rectified, masked) for place in range(3)]
    np.testing.assert_allclose(method(cnn, starts[:3], CLASSES[:3]), np.concatenate(expected), atol=1e-5)


def test_a_twin_follows_the_model_when_it_learns_on(cnn, starts):
    before = deconvnet(cnn, starts, CLASSES)
    cnn.set_weights([2 * weights for weights in cnn.get_weights()])
    np.testing.assert_allclose(deconvnet(cnn, starts, CLASSES), 8 * before, rtol=1e-3, atol=1e-4)


def test_shuffled_weights_deals_the_named_layers_anew_and_no_others(cnn):
    copy = shuffled_weights(cnn, ["second"], seed=3)
    for old, new in zip(cnn.layers, copy.layers):
        for mine, theirs in zip(old.get_weights(), new.get_weights()):
            np.testing.assert_array_equal(np.sort(mine, axis=None), np.sort(theirs, axis=None))
            assert np.array_equal(mine, theirs) == (old.name != "second" or mine.ndim == 1)
    with pytest.raises(ValueError, match="no weights in a layer named pool; this model has first, second, output"):
        shuffled_weights(cnn, ["pool"])


def test_deletion_begins_with_the_image_and_ends_with_the_paper_and_insertion_the_other_way(cnn, starts):
    order, shares = np.random.default_rng(0).random(starts.shape), [0, 0.5, 1]
    gone, there = (curves(cnn, starts, CLASSES, order, shares) for curves in (deletion_curves, insertion_curves))
    image, paper = own(cnn(starts)), own(cnn(blank(starts)))
    np.testing.assert_allclose(gone[[0, 2]], [image, paper], atol=1e-5)
    np.testing.assert_allclose(there[[0, 2]], [paper, image], atol=1e-5)
    np.testing.assert_allclose(gone[1], insertion_curves(cnn, starts, CLASSES, -order, [0.5])[0], atol=1e-5)


def test_the_most_important_pixels_go_first(cnn, starts):
    order = np.zeros_like(starts)
    order[:, 3, 4] = 1
    without = starts.copy()
    without[:, 3, 4] = starts.min(axis=(1, 2, 3))[:, np.newaxis]
    made = deletion_curves(cnn, starts, CLASSES, order, [1 / 144])[0]
    np.testing.assert_allclose(made, own(cnn(without)), atol=1e-5)


def test_one_sigmoid_and_a_thousand_classes_simply_work(starts):
    for units, activation in ((1, "sigmoid"), (1000, "softmax")):
        images = keras.Input((12, 12, 1))
        maps = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(images))
        model = keras.Model(images, keras.layers.Dense(units, activation=activation)(maps))
        assert np.abs(gradient(model, starts, units - 1)).max() > 0


def test_bad_input_is_refused_in_one_sentence(cnn, starts):
    with pytest.raises(ValueError, match="class or map 3 does not exist: there are 0 to 2"):
        gradient(cnn, starts, 3)
    with pytest.raises(ValueError, match="2 classes for 8 images"):
        gradient(cnn, starts, [0, 1])
    with pytest.raises(ValueError, match=r"shape \(8, 11, 12, 1\); the network sees \(n, 12, 12, 1\)"):
        gradient(cnn, starts[:, 1:], 0)
    with pytest.raises(ValueError, match="window 13 and stride 2 do not fit images of 12 x 12"):
        occlusion(cnn, starts, 0, window=13)
    with pytest.raises(ValueError, match="layer 'third' not found"):
        deconvnet(cnn, starts, 0, layer="third")
    with pytest.raises(ValueError, match="conv 'second' is unknown; choose 'first'"):
        grad_cam(cnn, starts, 0, layer="first", conv="second")
    maps = keras.Model(cnn.inputs[0], cnn.get_layer("second").output)
    with pytest.raises(ValueError, match="one number per class, as a Dense layer at the end gives"):
        gradient(maps, starts, 0)
    whole = keras.Sequential([keras.Input((12, 12, 1)), tiny_cnn()])
    with pytest.raises(ValueError, match="made by a model within it"):
        gradient(whole, starts, 0)
    dense = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="no Conv2D layer below the answer"):
        grad_cam(dense, starts, 0)
