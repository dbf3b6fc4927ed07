"""VGG19's weights come from a file or from nowhere; nothing is downloaded here."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from helpers.style import vgg
from helpers.style.transfer import grams, style_extractor


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of the right shapes, random, as Keras' own: (path, the network that wrote it)."""
    keras.utils.set_random_seed(3)
    network = keras.applications.VGG19(include_top=False, weights=None)
    path = tmp_path_factory.mktemp("vgg") / "vgg19_weights_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path, network


def test_a_named_file_is_read_and_the_network_takes_colors_in_pixel_space(weights, monkeypatch):
    path, network = weights
    monkeypatch.setenv("VGG19_WEIGHTS", str(path))
    images = np.random.default_rng(0).uniform(0, 1, (1, 48, 48, 3)).astype(np.float32)
    wanted = network(keras.applications.vgg19.preprocess_input(255 * images))
    ours = vgg.load_vgg19()
    np.testing.assert_allclose(ours(images), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
    features = style_extractor(ours)
    assert len(features.outputs) == 5  # the first of each block
    assert [g.shape[-1] for g in grams(features, images, np.ones((1, 1, 1, 1)))] == [64, 128, 256, 512, 512]


def test_a_truncated_file_is_one_sentence_and_a_mended_one_is_read_afterwards(weights, monkeypatch, tmp_path):
    path, whole = tmp_path / "cut.h5", weights[0].read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("VGG19_WEIGHTS", str(path))
    with pytest.raises(ValueError, match="^'cut.h5' is cut off or holds no weights of VGG19.*notop[^\n]*$"):
        vgg.load_vgg19()
    path.write_bytes(whole)
    assert vgg.load_vgg19().count_params() == 20_024_384


def test_weights_of_another_network_are_refused(monkeypatch, tmp_path):
    keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)]).save_weights(tmp_path / "other.weights.h5")
    monkeypatch.setenv("VGG19_WEIGHTS", str(tmp_path / "other.weights.h5"))
    with pytest.raises(ValueError, match="other.weights.h5.*holds no weights of VGG19"):
        vgg.load_vgg19()


def test_a_missing_file_and_no_network_are_one_sentence_each(monkeypatch, tmp_path):
    monkeypatch.setenv("VGG19_WEIGHTS", str(tmp_path / "nowhere.h5"))
    with pytest.raises(FileNotFoundError, match="nowhere.h5 not found; correct or unset the variable VGG19_WEIGHTS"):
        vgg.load_vgg19()
    monkeypatch.delenv("VGG19_WEIGHTS")

    def no_network(*_, weights, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", no_network)
    with pytest.raises(FileNotFoundError, match="^the weights of VGG19 are not on this machine[^\n]*VGG19_WEIGHTS$"):
        vgg.load_vgg19()
