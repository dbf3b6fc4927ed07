"""The zoo browser grows every map, loses nothing at a click or a Stop, and sorts and filters by what was measured."""

import importlib

import numpy as np
import pytest

from helpers import oips
from helpers.activations import feature_extractor, mean_activations
from helpers.ascent import soften
from helpers.widgets import zoo_browser
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import bars, tiny_cnn
from tests.explorers import code, control, press, put, status, text

module = importlib.import_module("helpers.widgets.zoo_browser")  # of the same name as its function

DIGITS, LABELS = bars(60, 0)


@pytest.fixture(scope="module")
def cnn():
    return tiny_cnn(maps=6)


@pytest.fixture
def zoo(cnn, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    browser = zoo_browser(cnn, digits=DIGITS, labels=LABELS, map=0)
    assert wait_until_idle()
    return browser


def numbers(browser):
    return browser.shown["sheet"].numbers


def test_it_shows_the_oips_of_all_maps_and_its_python_makes_them(zoo, cnn):
    expected = oips.create_oips(cnn, "second", range(6), precondition=soften)
    made, _, there = zoo.made
    np.testing.assert_allclose(made.values, expected.values, rtol=1e-3)
    assert there.tolist() == list(range(6)) and "all 6 maps of second made" in status(zoo)
    space = {"model": cnn}
    exec(code(zoo), space)
    np.testing.assert_allclose(space["zoo"].images, made.images, atol=1e-3)


def test_sorting_is_by_the_value_below_each_picture_or_by_the_answer_to_a_class(zoo, cnn):
    put(zoo, "sorted by", "mean activation of the OIP")
    assert numbers(zoo) == np.argsort(-zoo.made[0].values, kind="stable").tolist()
    put(zoo, "sorted by", "answer to the class below")
    put(zoo, "class of digits", 2)
    answers = mean_activations(feature_extractor(cnn, "second"), DIGITS)[LABELS == 2].mean(axis=0)
    assert numbers(zoo) == np.argsort(-answers, kind="stable").tolist()


def test_a_filter_never_leaves_a_map_open_that_is_not_on_the_sheet(zoo):
    for label in range(3):
        zoo.set(kept="maps whose top class is the one below", label=label)
        assert wait_until_idle()
        assert not numbers(zoo) or control(zoo, "map index").value in numbers(zoo) or "no map" in status(zoo)


def test_a_favorite_gets_a_star_and_can_be_asked_for(zoo):
    put(zoo, "map index", 3)
    press(zoo, "favorite")
    assert zoo.shown["sheet"].labels[3] == "3★" and zoo.settings["favorites"] == "3"
    put(zoo, "shown", "favorites ★ only")
    assert numbers(zoo) == [3]
    press(zoo, "favorite")
    assert "no favorites yet" in status(zoo)
    put(zoo, "favorites ★", "x")
    assert "'x' is no map index" in status(zoo)


def test_a_click_while_it_grows_loses_no_group_and_begins_none_anew(cnn, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    grown, grow = [], oips._climb_in_stages
    monkeypatch.setattr(oips, "_climb_in_stages",
                        lambda *arguments, **options: grown.append(1) or grow(*arguments, **options))
    browser = zoo_browser(cnn, digits=DIGITS, labels=LABELS)
    for index in range(6):
        browser.controls["map"].value = index
    assert wait_until_idle() and "all 6 maps" in status(browser)
    clicked = len(grown)
    grown.clear()
    list(oips.grow_oips(cnn, "second", range(6), at_once=1))
    assert clicked == len(grown)


def test_a_stop_keeps_the_groups_that_are_whole_and_go_on_makes_the_others(cnn, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    look, seen = module._ZooBrowser._look, []

    def stopping(self, settings):
        seen.append(self._zoo(settings).made)
        if seen[-1] == 3 and len(seen) < 8:
            self.explorer.stop.click()
        return look(self, settings)

    monkeypatch.setattr(module._ZooBrowser, "_look", stopping)
    browser = zoo_browser(cnn, digits=DIGITS, labels=LABELS)
    assert wait_until_idle()
    assert "stopped: 3 of 6 maps" in status(browser)
    monkeypatch.undo()
    press(browser, "go on")
    assert "all 6 maps of second made" in status(browser)


def test_another_layer_is_chosen_from_the_menu_and_the_first_zoo_is_kept(zoo, monkeypatch):
    put(zoo, "layer", "first")
    assert "all 4 maps of first made" in status(zoo) and numbers(zoo) == list(range(4))
    monkeypatch.setattr(oips, "_climb_in_stages", None)
    put(zoo, "layer", "second")
    assert "all 6 maps of second made" in status(zoo)


def test_the_sheet_is_saved_and_an_empty_one_is_refused(zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(zoo, "save PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["zoo_second.png"]
    put(zoo, "shown", "favorites ★ only")
    press(zoo, "save PNG")
    assert "no OIP on the sheet" in status(zoo)


def test_without_fitting_digits_it_says_why_no_class_can_be_asked_for(cnn):
    browser = zoo_browser(cnn)
    assert wait_until_idle()
    assert "no class of digits can be asked for: the model sees images of shape (12, 12, 1)" in text(browser)
    assert len(control(browser, "sorted by").options) == 2


@pytest.mark.parametrize("arguments, sentence", [
    ({"layer": "output"}, "has no feature maps but 3 single units"), ({"layer": "third"}, "third"),
    ({"digits": DIGITS}, "one label for each digit"),
    ({"digits": np.zeros((2, 9, 9, 1)), "labels": [0, 1]}, "the digits have \\(9, 9, 1\\)"),
])  # fmt: skip
def test_a_layer_without_maps_and_digits_that_do_not_fit_are_refused(cnn, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        zoo_browser(cnn, **arguments)
