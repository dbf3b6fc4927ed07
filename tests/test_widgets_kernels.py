"""The kernel lab calculates what Keras does, and lights what a node sees."""

import keras
import numpy as np
import pytest

from helpers.images import pool, same_padding, slide_kernel
from helpers.widgets import kernel_lab, parts
from helpers.widgets.kernel_lab import LIT, POOLINGS, PRESETS
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, images, pixels, press, put, status, text

DIGITS = np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype(np.float32)


@pytest.fixture
def lab(request):
    explorer = kernel_lab(tiny_cnn(), **getattr(request, "param", {}))
    assert wait_until_idle()
    yield explorer
    explorer.close()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_slid_kernel_is_a_convolution_of_keras(size, stride, padding):
    kernel = np.random.default_rng(1).standard_normal((size, size)).astype(np.float32)
    expected = keras.ops.conv(DIGITS[:, :, :20], kernel[..., None, None], stride, padding)
    np.testing.assert_allclose(slide_kernel(DIGITS[:, :, :20], kernel, stride, padding), expected, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("take", "layer"), [(np.max, "MaxPooling2D"), (np.mean, "AveragePooling2D")])
def test_pooling_is_that_of_keras(size, take, layer):
    np.testing.assert_allclose(pool(DIGITS, size, take), getattr(keras.layers, layer)(size)(DIGITS), atol=1e-5)


def test_what_cannot_be_slid_is_refused():
    with pytest.raises(ValueError, match=r"images have shape .* the network sees \(n, any, any, 1\)"):
        slide_kernel(np.zeros((1, 9, 9, 3)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="padding 'full' is unknown; choose 'valid' or 'same'"):
        same_padding(9, 3, 1, "full")


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_shows_its_pictures_and_the_python_that_makes_them(lab, preset):
    press(lab, preset)
    assert len(images(lab)) == 3 and "pixels →" in status(lab)
    space = {}
    exec(code(lab), space)
    shown = status(lab).split("a map of ")[1].split(";")[0]
    assert shown == " x ".join(map(str, space["maps"].shape[1:3]))


def test_a_click_changes_one_number_of_the_kernel_and_the_map(lab):
    before = images(lab)
    cell = lab.controls["kernel"].cells[4]
    assert cell.description == "0"
    seen = [cell.description]
    for _ in range(3):
        cell.click()
        seen.append(cell.description)
    assert wait_until_idle() and seen == ["0", "1", "-1", "0"]
    cell.click()
    assert wait_until_idle()
    assert lab.settings["kernel"] == ((-1, 0, 1), (-1, 1, 1), (-1, 0, 1))
    assert images(lab)[0] == before[0] and images(lab)[1] != before[1]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("lab", [{"row": 1, "column": 2, "stride": 2, "padding": "same"}], indirect=True)
def test_the_lit_pixels_are_those_that_move_the_node_and_no_others(lab, pooling):
    put(lab, "pooling", pooling)
    size, _ = POOLINGS[pooling]
    picture = pixels(images(lab)[0])
    lit = (np.abs(picture[..., :3] / 255 - LIT) < 0.01).all(-1)
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) // 12 for axis in (1, 0))
    maps = lambda digit: pool(np.maximum(slide_kernel(  # noqa: E731
        digit, np.ones((3, 3)), 2, "same"), 0), size, np.mean)[0, 1, 2, 0]  # fmt: skip
    moved = np.zeros((28, 28), bool)
    for place in np.ndindex(28, 28):
        digit = np.zeros((1, 28, 28, 1), np.float32)
        digit[0, place[0], place[1]] = 1
        moved[place] = maps(digit) > 0
    wide, high = np.flatnonzero(moved.any(0)), np.flatnonzero(moved.any(1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (high[0], high[-1], wide[0], wide[-1])


def test_the_sum_that_is_written_out_is_the_value_of_the_node(lab):
    put(lab, "ReLU", False)
    expected = slide_kernel(parts.default_digits()[0][:1], np.array(((-1, 0, 1),) * 3))[0, 10, 10, 0]
    assert f"added up: {expected:.2f}; with the bias {expected:.2f}; in the map {expected:.2f}" in text(lab)


def test_the_node_stays_within_the_map(lab):
    put(lab, "node, row", 25)
    put(lab, "stride", 4)
    assert control(lab, "node, row").value == control(lab, "node, row").max == 6 and "7 x 7" in status(lab)


def test_a_trained_kernel_is_borrowed_from_the_first_layer(lab):
    press(lab, "a trained kernel")
    kernels = tiny_cnn().get_layer("first").get_weights()[0][:, :, 0].transpose(2, 0, 1)
    scaled = kernels / np.abs(kernels).max(axis=(1, 2), keepdims=True)
    assert np.abs(scaled - np.array(lab.settings["kernel"])).max(axis=(1, 2)).min() < 0.006


@pytest.mark.parametrize("kernel", [((1, 2), (3, 4)), "x", ((np.nan,) * 3,) * 3])
def test_a_kernel_that_is_none_is_refused(kernel):
    with pytest.raises(ValueError, match="kernel .* cannot be set"):
        kernel_lab(tiny_cnn(), kernel=kernel)
