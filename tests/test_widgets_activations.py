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
from helpers.widgets.parts.worker import wait_until_idle
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


def strided_cnn():
    """A random network with strides, padding, pooling and dilation on the way, and ten maps below its second layer."""
    options = [{"strides": 2, "padding": "same"}, {"padding": "same", "activation": "tanh"}, {"dilation_rate": 2}]
    convs = [keras.layers.Conv2D(filters, size, **{"activation": "relu", "bias_initializer": "normal", **option},
                                 name=name, kernel_initializer=keras.initializers.HeNormal(seed=filters))
             for filters, size, option, name in zip((10, 6, 3), (5, (3, 2), 3), options, ("first", "second", "third"))]
    pool = keras.layers.MaxPooling2D(2)
    return keras.Sequential([keras.Input((24, 24, 1)), convs[0], pool, *convs[1:]])


@pytest.mark.parametrize("layer, shape", [("first", (12, 12)), ("second", (6, 6)), ("third", (2, 2))])
def test_the_sum_told_of_any_node_adds_up_to_what_the_network_computes_there(layer, shape):
    model, images = strided_cnn(), np.random.default_rng(0).standard_normal((3, 24, 24, 1)).astype(np.float32)
    explorer = activation_explorer(model, images, layer=layer, map=1, digit=2)
    assert wait_until_idle()
    before, after = (np.asarray(extractor(model, layer)(images[2:]))[0, ..., 1]
                     for extractor in (pre_activation_extractor, feature_extractor))  # fmt: skip
    assert explorer.shown["nodes"].value == (list(shape), list(np.unravel_index(after.argmax(), shape)))
    for node in [(0, 0), (shape[0] - 1, shape[1] - 1), (1, 0), (shape[0] // 2, 1)]:
        explorer.shown["nodes"].node = list(node)
        assert wait_until_idle()
        told = explorer.shown["node"].value
        patch, kernel, products = (np.float64(re.findall(r"<td>(.+?)</td>", table))
                                   for table in re.findall("<table>.*?</table>", told))  # fmt: skip
        shares = np.float64(re.findall(r" ([+-]\d+\.\d+)", told.split("Together")[0]))
        total, bias, sum_told, value = np.float64(re.findall(r" ([+-]?\d+\.\d+)", told.split("Together")[1]))
        np.testing.assert_allclose(patch * kernel, products, atol=0.05)
        assert products.sum() == pytest.approx(shares[0], abs=0.05 + 0.01 * len(products))
        assert shares.sum() == pytest.approx(total, abs=5e-3) and abs(shares[0]) >= abs(shares[1:-1]).max(initial=0)
        assert total + bias == pytest.approx(sum_told, abs=2e-3)
        assert (sum_told, value) == pytest.approx((before[node], after[node]), abs=1e-3), node
        assert f"row {node[0]}, column {node[1]}<" in told


def test_a_map_that_is_opened_shows_its_highest_node_however_small_it_is():
    explorer = activation_explorer(strided_cnn(), np.ones((1, 24, 24, 1)), layer="first", map=0)
    assert wait_until_idle()
    explorer.shown["nodes"].node = [11, 11]
    explorer.set(layer="third", map=2)
    assert wait_until_idle()
    explorer.shown["nodes"].node = [11, 11]  # of the map before: it was on its way when the other one came
    assert wait_until_idle()
    assert "row 1, column 1<" in explorer.shown["node"].value and "where it happened" not in explorer.status.value


def test_where_no_sum_can_be_told_of_a_node_a_sentence_says_so():
    grouped = keras.layers.Conv2D(4, 3, groups=2, name="grouped")
    explorer = activation_explorer(keras.Sequential([keras.Input((9, 9, 2)), grouped]), np.ones((1, 9, 9, 2)))
    assert wait_until_idle()
    assert "cannot be shown: layer 'grouped' is a convolution in 2 groups" in text(explorer)
    assert explorer.shown["inputs"].numbers == []


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
