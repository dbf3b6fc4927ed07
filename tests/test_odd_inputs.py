"""Odd inputs to public functions: one sentence that names the value, never NaN and never a page of TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import dreams, images, objectives
from helpers.activations import feature_extractor, mean_activations, pre_activation_extractor, strongest_patches
from helpers.ascent import ascend, report_steps
from helpers.fluctuations import fluctuations
from helpers.ink import digit_from_ink
from helpers.models import build_cnn, build_padded_cnn, load_cnn, save_cnn
from helpers.oips import evolve_scales, find_precursors, layer_zoo
from helpers.photos import save_film, save_picture
from helpers.training import augment, train_cnn
from tests.conftest import bars, picture, tiny_cnn

BATCH, LABELS = bars(6, seed=0)
CNN = tiny_cnn()
FEATURES = feature_extractor(CNN, "second")
BEFORE = pre_activation_extractor(CNN, "second")
PHOTO = picture(40, 40)
TILES = images.cut_tiles(PHOTO, (20, 20), (20, 20))


@pytest.mark.parametrize("make", [
    images.standardize, images.to_display, images.contrast, lambda batch: images.resize(batch, (5, 5)),
    lambda batch: images.gray(np.repeat(batch, 3, axis=-1)), lambda batch: images.local_moments(batch, 3),
    images.ink_on_paper, images.with_spectrum(np.ones((12, 7))),
], ids=["standardize", "to_display", "contrast", "resize", "gray", "local_moments", "ink_on_paper", "spectrum"])
def test_images_that_are_no_numbers_or_too_large_for_32_bits_are_refused(make):
    make(BATCH)
    for wrong, sentence in ((BATCH * np.nan, "images hold NaN"), (BATCH * np.inf, "images hold NaN"),
                            (BATCH.astype(str), "cannot be read as numbers"), (BATCH * 1e30, "as large as .e.30"),
                            (BATCH * (1 + 1j), "cannot be read"), (BATCH[0], "a batch is")):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            make(wrong)


def test_where_an_answer_is_no_number_it_is_said_whether_images_or_network_are_to_blame():
    loud = tiny_cnn()
    for name in ("first", "second"):
        loud.get_layer(name).set_weights([np.float32(1e20) * weight for weight in loud.get_layer(name).get_weights()])
    features = feature_extractor(loud, "second")
    with pytest.raises(ValueError, match="infinite values; load the network or train it again"):
        mean_activations(features, BATCH)
    with pytest.raises(ValueError, match=r"to images with values as large as \de\+09; bring these to model space"):
        mean_activations(features, BATCH * 1e9)
    with pytest.raises(ValueError, match=r"images hold values as large as \de\+38"):
        mean_activations(FEATURES, BATCH * 1e38)


@pytest.mark.parametrize("work, sentence", [
    (lambda: images.contrast(BATCH, gain=np.nan), "gain nan is out of range"),
    (lambda: images.contrast(BATCH, center=None), "center None is out of range"),
    (lambda: images.resize(BATCH, "x"), "size 'x' does not fit"),
    (lambda: images.cut_tiles(None, (2, 2), (2, 2)), "the photo None cannot be read"),
    (lambda: images.cut_tiles(PHOTO * np.nan, (20, 20), (20, 20)), "the values of the photo hold NaN"),
    (lambda: images.cut_tiles(PHOTO, (20, 20.0), (20, 20)), r"size \(20, 20.0\) does not fit"),
    (lambda: images.join_tiles(None, (40, 40), (20, 20)), r"a tile has shape \(\)"),
    (lambda: images.join_tiles(TILES[:3], (40, 40), (20, 20)), "3 tiles do not make up a photo .* it takes 4"),
    (lambda: images.join_tiles([*TILES, TILES[0]], (40, 40), (20, 20)), "5 tiles do not make up a photo"),
    (lambda: images.join_tiles(TILES, (40, None), (20, 20)), r"shape \(40, None\) does not fit"),
    (lambda: images.local_moments(BATCH, np.inf), "window inf does not fit"),
    (lambda: images.pool(BATCH[..., 0], 0), "size 0 is out of range"),
    (lambda: feature_extractor(None, "second"), "model None is no network"),
    (lambda: feature_extractor(CNN, ["second"]), r"layer \['second'\] is no name"),
    (lambda: mean_activations(None, BATCH), "features None is no network"),
    (lambda: strongest_patches(FEATURES, BATCH, 0, None), "geometry None is none"),
    (lambda: objectives.Channels(None, [0]), "features None is no network"),
    (lambda: objectives.Channels(FEATURES, [0], leak={}), "leak {} is out of range"),
    (lambda: objectives.Mixed(None, [1]), "objectives None must be a list"),
    (lambda: objectives.Mixed(objectives.WholeLayer(FEATURES), [1]), "must be a list"),
    (lambda: objectives.Jittered(len, tf.random.Generator.from_seed(1), 1.5), "pixels 1.5 is out of range"),
    (lambda: ascend(None, BATCH, [0.1]), "objective None is no function; give one, such as Channels"),
    (lambda: ascend(objectives.WholeLayer(None), BATCH, [0.1]), "features None is no function"),
    (lambda: ascend(lambda batch: None, BATCH, [0.1]), "the objective gives None"),
    (lambda: ascend(lambda: 1, BATCH, [0.1]), "the objective fails for images of shape .* takes 0 positional"),
    (lambda: ascend(objectives.WholeLayer(FEATURES), BATCH, [0.1], reports=3), "reports 3 is no function"),
    (lambda: ascend(objectives.WholeLayer(FEATURES), BATCH, [0.1], reports=lambda states: [np.nan]), "reported states"),
    (lambda: report_steps(np.inf), "steps inf is out of range"),
    (lambda: report_steps(20, 1e30), "reports 1e.30 is out of range"),
    (lambda: fluctuations(1, None, 0), "amplitudes None must be a dict"),
    (lambda: fluctuations(1, {3: "1"}, 0), "the weight of grid 3 '1' is out of range"),
    (lambda: fluctuations(1, {3: 1}, 0, size=np.inf), "size inf does not fit"),
    (lambda: layer_zoo(CNN, "second", digits=3), r"digits have shape \(\)"),
    (lambda: find_precursors(FEATURES, [0], BATCH[0]), "candidates have shape"),
    (lambda: evolve_scales(len, 1, [], 0), r"stages \[\] must be a list of one or more"),
    (lambda: dreams.same_map(BEFORE, "0"), "map index '0' does not exist"),
    (lambda: dreams.listed_maps(BEFORE, []), "there are no indices of maps"),
    (lambda: dreams.random_maps(BEFORE, None), "seed None is out of range"),
    (lambda: next(dreams.carve(None, PHOTO)), "objective None is no function"),
    (lambda: next(dreams.carve(dreams.same_map(BEFORE, 0), PHOTO)), "the objective fails .*numbers"),
    (lambda: next(dreams.carve(objectives.Channels(BEFORE, [0]), PHOTO, planes=None)), "planes None is no function"),
    (lambda: next(dreams.carve_tiles(None, PHOTO)), "aim None is no function"),
    (lambda: next(dreams.carve_tiles(dreams.same_map(BEFORE, 0), PHOTO, offsets="x")), "offsets 'x' does not fit"),
    (lambda: digit_from_ink("x"), "the ink 'x' cannot be read as numbers"),
    (lambda: build_cnn(1.5), "seed 1.5 is out of range"),
    (lambda: build_padded_cnn(None), "seed None is out of range"),
    (lambda: load_cnn(3), "path 3 is no path"),
    (lambda: save_cnn(CNN, None), "path None is no path"),
    (lambda: save_cnn(None, "x.keras"), "model None is no network"),
    (lambda: save_picture(b"x.png", PHOTO), "path b'x.png' is no path"),
    (lambda: save_film("x.gif", None), "a film needs photos of one size, these have none"),
    (lambda: augment(BATCH, 0, zoom=1.5), "zoom 1.5 is out of range"),
], ids=lambda value: value if isinstance(value, str) else None)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(work, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=sentence) as refusal:
        work()
    assert len(str(refusal.value)) < 330 and "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("disturb", [lambda batch, labels: None, lambda batch, labels: batch[:, :5]])
def test_a_disturbance_that_gives_no_such_images_is_told_in_one_sentence(disturb):
    with pytest.raises(ValueError, match="disturb gives .* it must return images of that shape") as refusal:
        train_cnn(tiny_cnn(), BATCH, LABELS, (BATCH, LABELS), epochs=1, batch_size=3, disturb=disturb, verbose=0)
    assert "\n" not in str(refusal.value)


def test_a_layer_that_was_never_built_is_no_network():
    with pytest.raises(ValueError, match="is no network"):
        feature_extractor(keras.layers.Dense(3), "second")
