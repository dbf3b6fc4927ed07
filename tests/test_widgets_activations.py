"""The activation explorer shows what the network makes of a digit, and of a map all that is told is true."""

import re

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.activations import feature_extractor, mean_activations, pre_activation_extractor
from helpers.ink import load_digit
from helpers.models import load_cnn
from helpers.widgets import activation_explorer
from helpers.widgets.worker import wait_until_idle
from tests.conftest import bars, tiny_cnn
from tests.explorers import code, control, press, put, status, text

IMAGES, LABELS = bars(60, 0)


@pytest.fixture(scope="module")
def cnn():
    return tiny_cnn()


@pytest.fixture
def explorer(cnn):
    made = activation_explorer(cnn, IMAGES, LABELS, layer="second", map=2)
    assert wait_until_idle()
    return made


def test_the_sheet_has_every_map_with_its_mean_and_the_python_gives_these_maps(explorer, cnn):
    maps = np.asarray(feature_extractor(cnn, "second")(IMAGES[:1]))[0]
    sheet = explorer.shown["sheet"]
    assert sheet.numbers == list(range(5)) and sheet.chosen == 2
    assert sheet.notes == [f"{mean:.2g}" for mean in maps.mean(axis=(0, 1))]
    space = {"model": cnn, "images": IMAGES}
    exec(code(explorer), space)
    np.testing.assert_allclose(space["maps"], maps, atol=1e-6)


def test_a_map_chosen_on_the_sheet_is_opened_beside_it(explorer):
    explorer.shown["sheet"].chosen = 4
    assert wait_until_idle()
    assert control(explorer, "map index").value == 4 and "map 4" in explorer.shown["map"].caption.value


def test_contributions_and_bias_add_up_to_the_mean_before_the_non_linearity(explorer, cnn):
    before = np.asarray(pre_activation_extractor(cnn, "second")(IMAGES[:1]))[0, ..., 2].mean()
    total = re.search(r"makes it ([+-]\d+\.\d+)", " ".join(text(explorer).split()))[1]
    assert float(total) == pytest.approx(before, abs=2e-3)


def test_the_digits_told_to_excite_a_map_are_those_with_the_highest_means(explorer, cnn):
    means = mean_activations(feature_extractor(cnn, "second"), IMAGES)[:, 2]
    best = [number for number in np.argsort(-means, kind="stable")[:8] if means[number] > 0]
    top = explorer.shown["top"]
    assert top.numbers == best and top.labels == [str(LABELS[number]) for number in best]
    top.chosen = best[1]
    assert wait_until_idle() and status(explorer).startswith(f"digit {best[1]} of 60")


def test_a_map_below_is_opened_by_a_click_so_one_walks_through_the_network():
    layers = [keras.layers.Conv2D(3, 3, activation="relu", name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((12, 12, 1)), *layers])
    explorer = activation_explorer(model, IMAGES, layer="second")
    assert wait_until_idle()
    number = explorer.shown["inputs"].numbers[0]
    explorer.shown["inputs"].chosen = number
    assert wait_until_idle()
    assert explorer.settings.get("layer", "first") == "first" and control(explorer, "map index").value == number


def test_misread_digits_are_found_by_asking_the_network_for_all(explorer, cnn):
    wrong = np.flatnonzero(np.asarray(cnn(IMAGES)).argmax(axis=1) != LABELS)
    put(explorer, "show", "misread ones")
    assert explorer.controls["digit"].value == wrong[0] and "misread as" in status(explorer)
    assert control(explorer, "digit").max == len(wrong) - 1


def test_an_oip_that_was_stopped_is_made_anew_the_next_time(explorer, monkeypatch):
    advance = ascent._advance

    def stopping(*arguments):
        control(explorer, "Stop").click()
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", stopping)
    put(explorer, "map index", 0)
    monkeypatch.undo()
    put(explorer, "digit", 1)
    caption = explorer.shown["oip"].caption.value
    assert "OIP" in caption and "stopped" not in caption and "being made" not in caption


def test_a_drawn_digit_is_read_saved_and_read_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = activation_explorer(load_cnn(), np.zeros((1, 28, 28, 1)))
    assert wait_until_idle()
    press(explorer, "save digit")
    assert "no digit of yours" in status(explorer)
    explorer.controls["digit"].pad.strokes = [[[140, 30], [138, 250]]]
    assert wait_until_idle() and "your drawing, read as 1" in status(explorer)
    press(explorer, "save digit")
    press(explorer, "save PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digit.png", "maps_Conv2D_1.png"]
    np.testing.assert_allclose(load_digit(tmp_path / "digit.png"), explorer.made.image, atol=0.3)


def test_names_and_labels_are_shown_as_text_not_as_html():
    explorer = activation_explorer(tiny_cnn(), IMAGES, np.array(["<b>bar</b>"] * 60))
    assert wait_until_idle()
    assert "<b>bar" not in explorer.status.value and "class <b>bar</b>" in status(explorer)


@pytest.mark.parametrize("images, labels, sentence", [
    (IMAGES, LABELS[:3], "60 images need one label each"), ((), LABELS, "came without images"),
    (np.zeros((2, 9, 9, 1)), (), "the model sees images of shape \\(12, 12, 1\\)"), ((), (), "the test digits have"),
])  # fmt: skip
def test_images_labels_and_model_that_do_not_go_together_are_refused(cnn, images, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        activation_explorer(cnn, images, labels)
