"""textures: nothing in them knows where the edges are, and a fall comes back to where it began."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.activations import pre_activation_extractor
from helpers.gallery.textures import Wrapped, enlarged, falling, seam, seamless
from helpers.geometry import Geometry
from helpers.images import standardize
from helpers.objectives import Channels

GALLERY = Path(__file__).resolve().parent.parent / "docs" / "gallery"
FIELD = Geometry("second", (5, 5), 6, 0, 8, 2, 0, (0, 11))  # 3 + 1 + 2 * 2 pixels every 2, as of the network below
STEPS = np.full(6, 0.2)


@pytest.fixture(scope="module")
def features():
    """A random CNN of images of any size whose nodes see 8 pixels, every 2."""
    start = [keras.initializers.HeNormal(seed=layer) for layer in range(2)]
    return pre_activation_extractor(keras.Sequential([
        keras.Input((None, None, 1)),
        keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=start[0]),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(6, 3, activation="relu", kernel_initializer=start[1], name="second"),
    ]), "second")  # fmt: skip


def noise(n=1, height=16, width=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, height, width, 1)).astype(np.float32)


def test_a_wrapped_objective_gives_the_same_wherever_the_image_begins(features):
    images, plain = noise(2, 16, 20), Channels(features, [1, 4])
    wrapped = Wrapped(plain, FIELD.overlap)
    rolled = np.roll(images, (6, 4), axis=(1, 2))  # by whole steps of the network
    np.testing.assert_allclose(wrapped(tf.constant(rolled)), wrapped(tf.constant(images)), atol=1e-5)
    assert np.abs(plain(tf.constant(rolled)) - plain(tf.constant(images))).max() > 1e-3


def test_a_wrapped_objective_sees_every_node_of_the_torus_once(features):
    images = noise(1, 16, 16)
    around = np.tile(images, (1, 3, 3, 1))
    every = np.asarray(features(around))[:, :8, :8]  # 16 pixels in steps of 2
    np.testing.assert_allclose(Wrapped(Channels(features, [3]), FIELD.overlap)(tf.constant(images)),
                               every.mean(axis=(1, 2))[:, 3], rtol=1e-4)


@pytest.mark.parametrize("size", [(12, 16), (8, 8)])
def test_an_enlarged_image_keeps_its_pixels_and_continues_at_its_edges(size):
    images = noise(2, *size)
    smooth = images + np.roll(images, 1, axis=1)  # no wave of two pixels: that one has two readings
    smooth = smooth + np.roll(smooth, 1, axis=2)
    np.testing.assert_allclose(enlarged(smooth)[:, ::2, ::2], smooth, atol=1e-5)
    rolled = enlarged(np.roll(smooth, (3, 5), axis=(1, 2)))
    np.testing.assert_allclose(rolled, np.roll(enlarged(smooth), (6, 10), axis=(1, 2)), atol=1e-5)


def test_a_texture_excites_its_map_more_than_the_mean_of_all_does_and_is_standardized(features):
    made = seamless(features, range(6), FIELD, 32, 2, step_sizes=STEPS)
    np.testing.assert_allclose(made, standardize(made), atol=1e-4)
    answers = np.stack([Wrapped(Channels(features, [index] * 6), FIELD.overlap)(tf.constant(made))
                        for index in range(6)])
    assert (np.diag(answers) > answers.mean(axis=1)).all()


def test_a_texture_depends_on_its_map_and_the_seed_and_not_on_its_neighbors(features):
    together = seamless(features, [5, 2], FIELD, 16, 1, seed=4, step_sizes=STEPS)
    alone = seamless(features, [2], FIELD, 16, 1, seed=4, step_sizes=STEPS)
    np.testing.assert_allclose(together[1:], alone, atol=1e-4)
    assert np.abs(seamless(features, [2], FIELD, 16, 1, seed=5, step_sizes=STEPS) - alone).max() > 0.1


def test_textures_have_no_seam_and_parts_of_them_do(features):
    made = seamless(features, range(6), FIELD, 64, 1, step_sizes=np.full(12, 0.2))
    assert np.median(seam(made)) < 1.15 < np.median(seam(made[:, 5:, 5:]))


def test_the_textures_of_the_gallery_have_no_seam_and_its_pictures_stay_small():
    poster = np.asarray(Image.open(GALLERY / "textures.png").convert("L"), np.float32)
    tiles = poster.reshape(8, 112, 16, 112).transpose(0, 2, 1, 3).reshape(128, 112, 112, 1)
    assert np.median(seam(tiles)) < 1.1 and np.median(seam(tiles[:, 6:, 6:])) > 2
    sizes = {path.name: path.stat().st_size for path in GALLERY.iterdir()}
    assert sum(sizes.values()) < 6_000_000 and sizes["fall.gif"] < 1_500_000


def test_the_seam_of_a_ramp_is_as_high_as_all_its_steps_together():
    ramp = np.broadcast_to(np.arange(10.0)[:, None], (10, 10))[None, ..., None]
    np.testing.assert_allclose(seam(ramp), 9, rtol=1e-5)
    waves = np.sin(2 * np.pi * np.arange(10) / 10)
    np.testing.assert_allclose(seam((waves[:, None] + waves)[None, ..., None]), np.sqrt(
        (waves[0] - waves[-1]) ** 2 / np.mean(np.diff(waves) ** 2)), rtol=1e-4)


@pytest.mark.parametrize(("size", "octaves"), [(30, 2), (12, 2), (6, 1)])
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(features, size, octaves):
    with pytest.raises(ValueError, match=rf"size {size} does not fit {octaves} octaves .* use a multiple of"):
        seamless(features, [0], FIELD, size, octaves)


def test_a_fall_begins_anew_after_its_last_picture_and_every_picture_is_another():
    texture = noise(1, 8, 24, seed=3)[0]
    pictures = list(falling(texture, 64, 4, around=1))
    assert [picture.shape for picture in pictures] == [(64, 64, 1)] * 4
    np.testing.assert_allclose(list(falling(np.roll(texture, -2, axis=0), 64, 4, around=1))[0], pictures[1], atol=1e-4)
    assert min(np.abs(one - other).mean() for one, other in zip(pictures, pictures[1:] + pictures[:1])) > 0.05


def test_a_fall_enlarges_what_is_further_in():
    texture = noise(1, 24, 96, seed=3)[0]
    fine = np.repeat(np.repeat(texture, 2, axis=0), 2, axis=1)
    first, quarter = list(falling(fine, 280, 12, around=1))[:2]
    factor = np.exp(2 * np.pi * len(fine) / fine.shape[1] / 12)  # one twelfth of a round
    rows, columns = np.mgrid[60:220:20, 60:100:10] - 139.5
    inner = quarter[tuple(np.rint([rows + 139.5, columns + 139.5]).astype(int))]
    outer = first[tuple(np.rint([rows / factor + 139.5, columns / factor + 139.5]).astype(int))]
    other = first[tuple(np.rint([rows * factor + 139.5, columns * factor + 139.5]).astype(int))]
    assert np.abs(inner - outer).mean() < 0.5 * np.abs(inner - other).mean()


def test_a_fall_of_an_odd_number_of_pixels_has_a_middle_too():
    texture = np.random.default_rng(0).random((16, 16, 1)).astype(np.float32)
    assert np.isfinite(list(falling(texture, 29, 2))).all()


@pytest.mark.parametrize("indices", [[6], [-1], [1.5], []])
def test_maps_that_do_not_exist_are_refused_before_anything_is_drawn(features, indices):
    with pytest.raises(ValueError, match="does not exist: this layer has 0 to 5|no map is named"):
        seamless(features, indices, FIELD, 16, 1)


@pytest.mark.parametrize("pixels", [1.5, "2", -1, None])
def test_a_rim_that_is_no_number_of_pixels_is_refused(features, pixels):
    with pytest.raises(ValueError, match="pixels .* is out of range"):
        Wrapped(Channels(features, [0]), pixels)
