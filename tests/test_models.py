"""models and recipe: the networks are those of the articles, training learns, and bad files are refused."""

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import feature_extractor
from helpers.images import standardize
from helpers.models import (
    _augmented,
    any_size,
    augment,
    build_cnn,
    build_padded_cnn,
    load_cnn,
    rate_schedule,
    train_cnn,
)
from helpers.recipe import accuracy, dead_maps, worst_case
from tests.conftest import tiny_cnn

EPOCHS = 4
BATCHES = 6  # per epoch, of 32 images


def bars(n, seed):
    """Noisy images (n, 12, 12, 1) of a horizontal bar (0), a vertical bar (1) or a square (2), and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = 0.3 * rng.standard_normal((n, 12, 12, 1)).astype(np.float32)
    images[labels == 0, 5:7, 1:11] += 2
    images[labels == 1, 1:11, 5:7] += 2
    images[labels == 2, 3:9, 3:9] += 2
    return standardize(images), labels


def train(model, validation, **options):
    options = {"epochs": EPOCHS, "batch_size": 32, "verbose": 0} | options
    return train_cnn(model, *bars(32 * BATCHES, seed=1), validation, **options)


@pytest.fixture(scope="module")
def trained():
    """A tiny model trained on bars, and the history; a warning would soil a notebook, so it counts as a failure."""
    model = tiny_cnn()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return model, train(model, bars(60, seed=2), seed=3)


@pytest.fixture(scope="module")
def misled():
    """Validation images with wrong labels: the better a model is, the lower its val_accuracy."""
    images, labels = bars(60, seed=2)
    return images, (labels + 1) % 3


# ---------------------------------------------------------------- building


@pytest.mark.parametrize(
    "build, weights, names",
    [
        (build_cnn, 208_982, "Conv2D_1 Pool_1 Conv2D_2 Pool_2 Conv2D_3 Flatten Dense_1 Output"),
        (build_padded_cnn, 113_514, "Conv2D_1 Pool_1 Conv2D_2 Pool_2 Conv2D_3 Pool_3 Flatten Dense_1 Dropout Output"),
    ],
)
def test_the_networks_have_the_layers_and_weights_of_the_articles(build, weights, names):
    model = build(0)
    assert [layer.name for layer in model.layers] == names.split() and model.count_params() == weights
    assert model.input_shape == (None, 28, 28, 1) and model.output_shape == (None, 10)


@pytest.mark.parametrize("build", [build_cnn, build_padded_cnn])
def test_a_seed_decides_the_start_weights(build):
    first, same, other = (build(seed).get_weights() for seed in (4, 4, 5))
    for a, b, c in zip(first, same, other):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or np.abs(a - c).max() > 0.01  # biases start at zero


def test_building_leaves_the_global_random_state_alone():
    def draws(build):
        keras.utils.set_random_seed(7)
        build(1)
        return random.random(), np.random.random(), float(tf.random.uniform(()))

    assert draws(build_cnn) == draws(lambda seed: None) == draws(build_padded_cnn)


# ---------------------------------------------------------------- the schedule and the moves


def test_the_rate_warms_up_for_15_percent_of_the_steps_and_cools_to_zero():
    rates = np.array([rate_schedule(200, 0.4)(step) for step in range(201)])
    assert rates[0] == pytest.approx(0.02) and rates.argmax() == 30 and rates[30] == pytest.approx(0.4)
    assert rates[115] == pytest.approx(0.2) and rates[200] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[:31]) > 0).all() and (np.diff(rates[30:]) < 0).all()


def test_a_training_of_very_few_steps_has_a_rate_too():
    assert all(0 < rate_schedule(steps, 0.05)(0) <= 0.05 for steps in (1, 2, 7))


def test_moved_images_are_in_model_space_and_decided_by_the_seed():
    images, _ = bars(6, seed=0)
    before = images.copy()
    moved = augment(images, seed=5)
    assert isinstance(moved, np.ndarray) and moved.shape == images.shape and moved.dtype == np.float32
    np.testing.assert_allclose(moved.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(moved.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    np.testing.assert_array_equal(moved, augment(tf.constant(images), seed=5))
    assert np.abs(moved - augment(images, seed=6)).mean() > 0.01
    np.testing.assert_array_equal(images, before)


def test_no_move_gives_the_images_back():
    images, _ = bars(6, seed=0)
    np.testing.assert_allclose(augment(images, 1, turn=0, zoom=0, shift=0), images, atol=1e-4)


def test_moves_stay_within_what_is_asked_for():
    dot = np.zeros((200, 21, 21, 1), np.float32)
    dot[:, 10, 10] = 1
    bar = np.zeros((200, 21, 21, 1), np.float32)
    bar[:, 10, 3:18] = 1
    assert np.abs(_center(augment(dot, 1, shift=0)) - 10).max() < 0.3  # turned and scaled about the middle
    shifts = _center(augment(dot, 1, turn=0, zoom=0, shift=0.2)) - 10
    assert np.abs(shifts).max() <= 0.2 * 21 + 0.01 and np.abs(shifts).max(axis=0).min() > 0.15 * 21
    angles = _angle(augment(bar, 1, turn=20, zoom=0, shift=0))
    assert np.abs(angles).max() <= 21 and angles.min() < -15 and angles.max() > 15


def _ink(images):
    """The images as weights that sum to 1, the background being 0."""
    ink = images[..., 0] - images.min(axis=(1, 2, 3))[:, None, None]
    return ink / ink.sum(axis=(1, 2), keepdims=True)


def _center(images):
    """Row and column of the center of mass, (n, 2)."""
    places = np.arange(images.shape[1])
    return np.stack([_ink(images).sum(axis=2) @ places, _ink(images).sum(axis=1) @ places], axis=1)


def _angle(images):
    """Of the long axis of the ink with the rows, in degrees."""
    place = np.arange(images.shape[1]) - (images.shape[1] - 1) / 2
    ink = _ink(images)
    yy, xx, xy = ((ink * moment).sum(axis=(1, 2)) for moment in
                  (place[:, None] ** 2, place[None, :] ** 2, place[:, None] * place[None, :]))
    return np.degrees(np.arctan2(2 * xy, xx - yy) / 2)


# ---------------------------------------------------------------- training


def test_training_learns(trained):
    model, history = trained
    assert history["val_accuracy"][-1] > 0.9 and history["loss"][-1] < 0.5 * history["loss"][0]
    assert accuracy(model, *bars(90, seed=9)) > 0.9
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ["loss", "accuracy", "val_loss", "val_accuracy"], EPOCHS
    )


def test_the_same_seed_trains_the_same_way_and_another_differently(trained):
    for seed, same in ((3, True), (4, False)):
        history = train(tiny_cnn(), bars(60, seed=2), seed=seed, epochs=EPOCHS)
        assert np.allclose(history["loss"], trained[1]["loss"], rtol=1e-3) is same


def test_the_seed_shuffles_and_moves_and_every_epoch_anew():
    def epochs(images, seed):
        batches = _augmented(images, np.arange(len(images)), 40, seed)
        return [next(iter(batches)) for _ in range(2)]

    images, _ = bars(40, seed=1)
    for what, given in ((1, images), (0, images[:1])):  # 1: the order of the labels, 0: how one digit is moved
        (first, second), (same, _), (other, _) = (epochs(given, seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first[what], same[what])
        assert not np.allclose(first[what], other[what]) and not np.allclose(first[what], second[what])


def test_training_keeps_the_best_epoch_and_leaves_the_digits_as_they_are(misled):
    images, labels = bars(96, seed=1)
    copies = images.copy(), labels.copy(), misled[0].copy(), misled[1].copy()
    model = tiny_cnn()
    history = train_cnn(model, images, labels, misled, epochs=EPOCHS, batch_size=32, verbose=0)
    assert max(history["val_accuracy"]) > history["val_accuracy"][-1]  # or the test could not fail
    assert accuracy(model, *misled) == pytest.approx(max(history["val_accuracy"]), abs=1e-6)
    for now, before in zip((images, labels, *misled), copies):
        np.testing.assert_array_equal(now, before)


def test_a_killed_training_goes_on_from_its_last_full_epoch(misled, tmp_path):
    batches = []

    def pull_the_plug():
        batches.append(1)
        if len(batches) == 2 * BATCHES + 3:  # amid the third epoch
            raise RuntimeError("killed")

    def disturb(images, labels):
        with tf.control_dependencies([tf.py_function(pull_the_plug, [], [])]):
            return tf.identity(images)

    with pytest.raises(Exception, match="killed"):
        train(tiny_cnn(), misled, backup=tmp_path / "backup", disturb=disturb, peak_rate=0.01)
    again = tiny_cnn(seed=1)
    history = train(again, misled, backup=tmp_path / "backup", disturb=disturb, peak_rate=0.01)
    assert len(batches) == 2 * BATCHES + 3 + 2 * BATCHES  # epochs 3 and 4 only
    assert [len(values) for values in history.values()] == [EPOCHS] * 4
    assert history["loss"][2] < 0.8 * history["loss"][0]  # it went on from learned weights
    assert max(history["val_accuracy"][:2]) > max(history["val_accuracy"][2:])  # or the next line could not fail
    assert accuracy(again, *misled) == pytest.approx(max(history["val_accuracy"]), abs=1e-6)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_weight_decay_shrinks_the_dense_kernels_and_no_others():
    images, labels = bars(32, seed=0)
    models = tiny_cnn(), tiny_cnn()
    for model, decay in zip(models, (0.0, 5.0)):
        train_cnn(model, images, labels, (images, labels), epochs=1, batch_size=32, weight_decay=decay, verbose=0)
    plain, decayed = ({layer.name: layer.get_weights() for layer in model.layers} for model in models)
    np.testing.assert_allclose(plain["first"][0], decayed["first"][0], atol=1e-6)
    assert np.square(decayed["output"][0]).sum() < 0.99 * np.square(plain["output"][0]).sum()


@pytest.mark.parametrize("images, labels, epochs", [(4, 3, 1), (0, 0, 1), (4, 4, 0)])
def test_a_training_that_cannot_be_is_refused(images, labels, epochs):
    with pytest.raises(ValueError, match=f"{images} images, {labels} labels and {epochs} epochs"):
        train_cnn(tiny_cnn(), bars(images, 0)[0], np.zeros(labels, int), bars(3, 0), epochs=epochs)


# ---------------------------------------------------------------- the recipe


def test_the_worst_case_raises_the_loss_of_every_image_by_a_step_of_the_promised_size():
    model = tiny_cnn()
    images, labels = bars(30, seed=5)
    images, labels = tf.constant(images), tf.constant(labels)
    losses = keras.losses.sparse_categorical_crossentropy
    with tf.GradientTape() as tape:
        tape.watch(images)
        before = losses(labels, model(images))
    gradients = tape.gradient(before, images).numpy()
    gradients /= np.sqrt((gradients**2).mean(axis=(1, 2, 3), keepdims=True))
    disturbed = worst_case(model, 0.1)(images, labels)
    np.testing.assert_allclose(disturbed, standardize(images.numpy() + 0.1 * gradients), atol=1e-3)
    assert (losses(labels, model(disturbed)).numpy() > before.numpy()).all()
    angles = np.arccos((disturbed * images).numpy().mean(axis=(1, 2, 3)))
    assert angles.max() <= np.arcsin(0.1) + 1e-4 and angles.min() > 0.05


def test_noise_before_the_worst_case_is_random_and_decided_by_the_seed():
    model, (images, labels) = tiny_cnn(), map(tf.constant, bars(30, seed=5))
    plain, noisy, same, other = (
        worst_case(model, 0.1, noise, seed)(images, labels).numpy()
        for noise, seed in ((0.0, 1), (0.5, 1), (0.5, 1), (0.5, 2))
    )
    np.testing.assert_array_equal(noisy, same)
    assert np.abs(noisy - other).mean() > 0.1
    np.testing.assert_allclose(noisy.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    angles = np.arccos((noisy * plain).mean(axis=(1, 2, 3)))
    assert np.arctan(0.5) - 0.2 < angles.mean() < np.arctan(0.5) + 0.2
    twice = worst_case(model, 0.1, 0.5, 1)
    assert np.abs(twice(images, labels) - twice(images, labels)).mean() > 0.1  # new noise for every batch


def test_accuracy_is_the_share_of_images_read_rightly(trained):
    images, labels = bars(30, seed=5)
    read = trained[0].predict(images, verbose=0).argmax(axis=1)
    half = np.where(np.arange(30) < 15, read, (read + 1) % 3)
    assert accuracy(trained[0], images, half) == 0.5


def test_dead_maps_are_those_that_no_image_excites():
    model = tiny_cnn()
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 2], bias[2] = 0, -1
    model.layers[0].set_weights([kernel, bias])
    dead = dead_maps(model, bars(6, seed=0)[0])
    assert list(dead) == ["first", "second"] and dead["first"] == [2]


# ---------------------------------------------------------------- loading


def test_the_shipped_network_is_the_cnn_of_the_articles():
    model = load_cnn()
    assert model.count_params() == 208_982 and not model.compiled
    assert [layer.name for layer in model.layers] == [layer.name for layer in build_cnn(0).layers]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_reader_can_load_a_network_saved_compiled(suffix, tmp_path):
    model = tiny_cnn()
    model.compile("sgd", "mse", metrics=["mae"])
    model.save(tmp_path / f"mine{suffix}")
    images, _ = bars(4, seed=0)
    loaded = load_cnn(str(tmp_path / f"mine{suffix}"))
    np.testing.assert_allclose(loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6)


def with_lambda():
    return keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Lambda(lambda x: 2 * x), keras.layers.Conv2D(2, 3)])


def with_a_layer_of_its_own():
    class Homemade(keras.layers.Layer):
        def call(self, images):
            return images

    return keras.Sequential([keras.Input((9, 9, 1)), Homemade(), keras.layers.Conv2D(2, 3)])


def without_convolution():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "build, message",
    [
        (with_lambda, "holds a Lambda layer"),
        (with_a_layer_of_its_own, "a layer that Keras does not know"),
        (without_convolution, "has no Conv2D layer"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_in_one_sentence(build, message, suffix, tmp_path):
    build().save(tmp_path / f"theirs{suffix}")
    refused(tmp_path / f"theirs{suffix}", ValueError, message)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_a_file_that_is_cut_off_is_refused_in_one_sentence(share, suffix, tmp_path):
    path = tmp_path / f"lambda{suffix}"  # the name must not mislead
    tiny_cnn().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, ValueError, "damaged or no Keras model")


def test_a_file_of_something_else_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "text.keras").write_text("not a model")
    refused(tmp_path / "text.keras", ValueError, "damaged or no Keras model")
    tiny_cnn().save_weights(tmp_path / "only.weights.h5")
    refused(tmp_path / "only.weights.h5", ValueError, "damaged or no Keras model")
    (tmp_path / "model.pkl").write_text("not a model")
    refused(tmp_path / "model.pkl", ValueError, "reads .keras and .h5 files")
    (tmp_path / "folder.keras").mkdir()
    refused(tmp_path / "folder.keras", ValueError, "reads .keras and .h5 files")
    refused(tmp_path / "missing.keras", FileNotFoundError, "no model file")


def refused(path, error, message):
    with pytest.raises(error, match=message) as refusal:
        load_cnn(path)
    assert path.name in str(refusal.value) and "\n" not in str(refusal.value)


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


def test_models_without_a_trunk_for_any_size_are_refused():
    maps = keras.Input((12, 12, 1))
    branches = keras.Model(maps, keras.layers.Add()([keras.layers.Conv2D(2, 3)(maps), keras.layers.Conv2D(2, 3)(maps)]))
    layers = keras.layers
    refused = {
        "chain": branches,
        "model itself": keras.Sequential([keras.Input((12, 12, 1)), keras.Sequential([layers.Conv2D(2, 3)])]),
        "no Conv2D": keras.Sequential([keras.Input((12, 12, 1)), layers.Flatten(), layers.Dense(3)]),
        "input of images": keras.Sequential([keras.Input((144,)), layers.Reshape((12, 12, 1)), layers.Conv2D(2, 3)]),
        "knows the size": keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(2, 3), layers.PReLU()]),
    }
    for sentence, model in refused.items():
        with pytest.raises(ValueError, match=sentence):
            any_size(model)
