"""models: the networks are those of the articles, and bad files are refused."""

import errno
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.models import VARIANTS, build_cnn, build_padded_cnn, load_cnn, save_cnn
from tests.conftest import bars, tiny_cnn

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


def test_the_variants_differ_from_the_articles_network_as_they_say():
    sizes = {variant: [layer.output.shape[1] for layer in build_cnn(0, variant).layers[:5]] for variant in VARIANTS}
    assert sizes["articles"] == sizes["hexagonal kernels"] == [26, 13, 11, 5, 3]
    assert sizes["same padding"] == [28, 14, 14, 7, 7] and sizes["overlapping pooling"] == [26, 12, 10, 4, 2]
    kernels = np.stack([layer.kernel.numpy().any(axis=(2, 3)) for layer in build_cnn(0, "hexagonal kernels").layers
                        if isinstance(layer, keras.layers.Conv2D)])
    np.testing.assert_array_equal(kernels, [[[0, 1, 1], [1, 1, 1], [1, 1, 0]]] * 3)
    glorot, he = (build_cnn(0, start=start).get_weights() for start in ("glorot", "he"))
    np.testing.assert_allclose(he[2].std() / glorot[2].std(), np.sqrt((32 + 64) / 32), rtol=1e-4)  # fan-in alone
    with pytest.raises(ValueError, match="variant 'round' is unknown; choose 'articles' or"):
        build_cnn(0, "round")


def test_hexagonal_kernels_stay_hexagonal_while_they_learn():
    model = build_cnn(0, "hexagonal kernels")
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_layer("Conv2D_2").kernel.numpy()
    model.train_on_batch(np.random.default_rng(0).standard_normal((4, 28, 28, 1)), np.arange(4))
    after = model.get_layer("Conv2D_2").kernel.numpy()
    assert not after[0, 0].any() and not after[2, 2].any() and np.abs(after - before).max() > 0


def test_building_leaves_the_global_random_state_alone():
    def draws(build):
        keras.utils.set_random_seed(7)
        build(1)
        return random.random(), np.random.random(), float(tf.random.uniform(()))

    assert draws(build_cnn) == draws(lambda seed: None) == draws(build_padded_cnn)


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


# ---------------------------------------------------------------- saving


def test_a_model_comes_back_and_a_failed_save_leaves_the_old_file_whole(tmp_path, monkeypatch):
    model, path = tiny_cnn(), tmp_path / "mine.keras"
    save_cnn(model, path)
    before, images = path.read_bytes(), bars(2, seed=0)[0]
    np.testing.assert_allclose(load_cnn(path)(images), model(images), atol=1e-6)

    def full(file):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model, "save", full)
    with pytest.raises(OSError, match="mine.keras was not written: No space left on device; make room"):
        save_cnn(model, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="must end in .keras"):
        save_cnn(model, tmp_path / "mine.h5")


def test_an_ending_in_capitals_is_refused_at_once_for_keras_would_not_read_it(tmp_path):
    with pytest.raises(ValueError, match="in small letters"):
        save_cnn(tiny_cnn(), tmp_path / "mine.KERAS")
    assert list(tmp_path.iterdir()) == []
