"""The latent lab paints what its controls say, its Python makes the same picture, and pointing moves the sliders."""

import importlib

import numpy as np
import pytest

from helpers.images import to_display
from helpers.latent.autoencoders import build_autoencoder, decode
from helpers.models import build_cnn
from helpers.widgets import latent_lab
from helpers.widgets.parts import lines as python
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, images, pixels, press, put, status

module = importlib.import_module("helpers.widgets.latent_lab")  # of the same name as its function

DIGITS = np.random.default_rng(0).standard_normal((60, 28, 28, 1)).astype(np.float32), np.arange(60) % 10


@pytest.fixture(scope="module")
def networks():
    return build_cnn(0), build_autoencoder(5, 0)


@pytest.fixture
def lab(networks, monkeypatch):
    monkeypatch.setattr(module, "METHODS", {**module.METHODS, "mixture": "gaussian_mixture(latents, parts=2)"})
    monkeypatch.setattr(module.parts, "default_digits", lambda: DIGITS)
    monkeypatch.setattr(python, "load_digits_once", lambda split: DIGITS)
    explorer = latent_lab(*networks)
    assert wait_until_idle()
    return explorer


def shown_again(networks):
    """A function that runs the Python of a lab and gives the picture it makes as 0..255."""
    def again(explorer):
        space = {"model": networks[0], "autoencoder": networks[1]}
        lines = [line for line in code(explorer).splitlines() if "import load_digits" not in line]
        exec("\n".join(lines).replace("load_digits", "given"), {**space, "given": lambda split: DIGITS}, space)
        return np.round(255 * to_display(space["image"])[0])

    return again


@pytest.mark.parametrize("name, value, kind", [
    ("main component 1", 1.5, "the sliders"), ("main component 5", -2.0, "the sliders"), ("walk", 40, "the walk"),
    ("method", "uniform cube", "the sheet"), ("random seed", 4, "the sheet"), ("number on the sheet", 3, "the sheet"),
])  # fmt: skip
def test_a_control_changes_the_picture_and_the_python_makes_exactly_that_one(lab, networks, name, value, kind):
    before = images(lab)[0]
    put(lab, name, value)
    assert images(lab)[0] != before and control(lab, "picture of").value == kind
    shown = pixels(images(lab)[0])[::8, ::8]
    assert np.abs(shown.astype(float) - shown_again(networks)(lab)).max() <= 1


def test_pointing_at_the_map_moves_the_two_sliders_it_shows(lab):
    put(lab, "map, up", 3)
    lab.shown["plane"].wanted = [1.2, -0.7]
    assert wait_until_idle()
    assert [control(lab, f"main component {number}").value for number in (1, 2, 3)] == [1.2, 0.0, -0.7]
    np.testing.assert_allclose(lab.shown["plane"].here, [1.2, -0.7], atol=1e-3)


def test_a_walk_begins_and_ends_at_what_its_digits_decode_to(lab, networks):
    ends = to_display(networks[1](DIGITS[0][:2]).numpy())
    for path in ("straight", "arc"):
        for share, expected in ((0, ends[0]), (100, ends[1])):
            lab.set(shown="the walk", walk=share, path=path)
            assert wait_until_idle()
            shown = pixels(images(lab)[0])[::8, ::8] / 255
            np.testing.assert_allclose(shown, expected, atol=0.01)
    assert len(lab.shown["plane"].way) == 21


def test_a_method_rolls_a_sheet_of_sixteen_and_one_of_them_can_be_chosen(lab):
    before = lab.shown["sheet"].picture
    press(lab, "full covariance")
    assert lab.shown["sheet"].picture != before and len(lab.shown["sheet"].numbers) == 16
    first = images(lab)[0]
    lab.shown["sheet"].chosen = 7
    assert wait_until_idle()
    assert images(lab)[0] != first and control(lab, "number on the sheet").value == 7


def test_the_status_says_what_the_cnn_reads_and_how_far_out_the_place_is(lab, networks):
    put(lab, "main component 2", 2.0)
    space = lab.made[1]
    read = networks[0](space).numpy()[0]
    assert f"reads a {read.argmax()}, {read.max():.0%}" in status(lab)
    assert f"{2 / np.sqrt(5):.2f} deviations" in status(lab)


def test_it_saves_the_picture(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(lab, "save PNG")
    (path,) = tmp_path.glob("*.png")
    assert path.name in status(lab) and pixels(path.read_bytes()).shape == (560, 560, 1)


def test_networks_that_do_not_fit_are_refused_in_one_sentence():
    for networks, sentence in (
        ((tiny_cnn(),), "sees images of shape"), ((None, tiny_cnn()), "is no autoencoder"),
        ((None, build_autoencoder(1, 0)), "at least 2"), ((None, build_autoencoder(4, 0, (12, 12, 1))), "28, 28, 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            latent_lab(*networks)
    assert decode(build_autoencoder(2, 0), np.zeros((1, 2))).shape == (1, 28, 28, 1)
