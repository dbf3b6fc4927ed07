"""The dream lab carves what its Python says, keeps what a Stop leaves, and answers a wrong wish in one sentence."""

import importlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from helpers.widgets import dream_lab
from helpers.widgets.parts.lines import uploads
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, images, press, put, status

module = importlib.import_module("helpers.widgets.dream_lab")  # of the same name as its function

QUICK = {"size": 280, "passes": 2, "epochs": 2}


@pytest.fixture(scope="module")
def cnn():
    return tiny_cnn()


@pytest.fixture
def lab(cnn):
    made = dream_lab(cnn, **QUICK)
    assert wait_until_idle()
    return made


def dream_of_the_python(lab):
    space = {"model": lab.model}
    exec(code(lab), space)
    return space["dream"]


@pytest.mark.parametrize("settings", [
    {}, {"jitter": 3}, {"colors": module.EACH_COLOR, "maps": "1, 2, 3"}, {"maps": "0, 4", "softened": True},
    {"scheme": module.WHOLE, "maps": "2"}, {"scheme": module.TILES, "aim": module.STRONGEST},
    {"scheme": module.TILES}, {"scheme": module.QUADRANTS, "maps": "1"},
    {"scheme": module.CASCADE, "aim": module.RANDOM, "passes": 1}, {"gain": 1.2},
], ids=str)  # fmt: skip
def test_the_python_makes_the_dream_that_is_shown(lab, settings):
    before = images(lab)[0]
    lab.set(**settings)
    assert wait_until_idle()
    assert "mean change" in status(lab) and (not settings or images(lab)[0] != before)
    np.testing.assert_allclose(dream_of_the_python(lab), lab.made.dream, atol=1e-3)


def test_a_jittered_dream_comes_out_the_same_each_time(lab):
    lab.set(jitter=4)
    assert wait_until_idle()
    first = images(lab)[0]
    lab.set(jitter=0)
    lab.set(jitter=4)
    assert wait_until_idle() and images(lab)[0] == first


def test_the_contrast_alone_carves_nothing_anew(lab, monkeypatch):
    monkeypatch.setattr(module._DreamLab, "_carved", None)
    before = images(lab)[0]
    put(lab, "contrast", 1.5)
    assert images(lab)[0] != before and "mean change" in status(lab)


def test_a_stop_keeps_the_last_pass_and_is_no_answer_to_the_same_wish(lab):
    told, status_seen = lab.say, []

    def stop_at_the_second(sentence):
        told(sentence)
        status_seen.append(sentence)
        if sentence.startswith("octave 2 of"):
            lab.line.stop()

    lab.say = stop_at_the_second
    lab.set(maps="1")
    assert wait_until_idle()
    assert "stopped after 1 of 2 octaves" in status(lab)
    np.testing.assert_allclose(dream_of_the_python(lab), lab.made.dream, atol=1e-3)
    lab.say = told
    lab.ask()
    assert wait_until_idle() and "stopped" not in status(lab)


@pytest.mark.parametrize("maps, sentence", [
    ("", "no map is named"), ("x", "'x' is no map index"), ("5", "map 5 does not exist: second has 0 to 4"),
    ("-1", "map -1 does not exist"), (", ".join("0" * 13), "13 maps are too many"),
    ("9" * 50, "does not exist"),
])  # fmt: skip
def test_maps_that_are_none_are_refused_in_one_sentence(lab, maps, sentence):
    before = images(lab)
    put(lab, "map(s)", maps)
    assert sentence in status(lab) and "where it happened" not in status(lab) and images(lab) == before


def test_two_maps_for_three_colors_are_refused(lab):
    lab.set(maps="1, 2", colors=module.EACH_COLOR)
    assert wait_until_idle() and "2 maps are named; to dream each color name 3" in status(lab)


def test_an_uploaded_photo_is_carved_and_a_broken_one_refused_and_its_python_runs(lab):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)).save(file, "PNG")
    lab.set(photo=uploads.keep("me.png", file.getvalue()))
    assert wait_until_idle() and "before: me.png" in lab.shown["before"].caption.value
    np.testing.assert_allclose(dream_of_the_python(lab), lab.made.dream, atol=1e-3)
    lab.set(photo=uploads.keep("broken.png", b"\x89PNG and nothing"))
    assert wait_until_idle() and "no picture" in status(lab) and "where it happened" not in status(lab)
    press(lab, "the flower again")
    assert "a flower" in lab.shown["before"].caption.value


def test_a_pass_chosen_in_the_strip_is_shown_large(lab):
    last = images(lab)[0]
    lab.shown["strip"].chosen = 1
    assert images(lab)[0] != last and "octave 1" in lab.shown["after"].caption.value
    lab.shown["strip"].chosen = 2
    assert images(lab)[0] == last


def test_dream_and_film_are_saved_under_names_that_are_free(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("save PNG", "save PNG", "save GIF"):
        press(lab, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dream_octaves_all.gif", "dream_octaves_all.png", "dream_octaves_all_2.png"]  # fmt: skip


def test_another_layer_gets_map_indices_that_it_has(lab):
    put(lab, "map(s)", "4")
    put(lab, "layer", "first")
    assert control(lab, "map(s)").value == "0" and "map 0 of first" in status(lab)


def test_a_network_for_color_dreams_too():
    lab = dream_lab(tiny_cnn(channels=3), **QUICK)
    assert wait_until_idle() and "2 octaves" in status(lab) and "mean change" in status(lab)


def test_the_named_maps_show_what_they_look_for(lab):
    assert not lab.shown["oips"].numbers, "the whole layer has no pattern of its own"
    put(lab, "map(s)", "4, 1, 4")
    assert list(lab.shown["oips"].numbers) == [4, 1]
    put(lab, "map(s)", "all")
    assert not lab.shown["oips"].numbers


def test_oips_that_were_stopped_amid_are_no_answer(lab):
    owner, stopped = lab.answer.__self__, SimpleNamespace(ascent=SimpleNamespace(stopped=True))
    runner, owner.run_oips = owner.run_oips, lambda lines: {"oips": stopped}
    put(lab, "map(s)", "2")
    assert not lab.shown["oips"].numbers and "1 of second" not in status(lab)
    owner.run_oips = runner
    put(lab, "strength", 2.0)
    assert list(lab.shown["oips"].numbers) == [2]
