"""The style lab: a photo is painted while one watches, Stop keeps it, and the Python shown makes the same picture."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from helpers.widgets import parts, style_lab
from helpers.widgets.parts import lines as python
from helpers.widgets.parts.worker import wait_until_idle
from helpers.widgets.style_lab import HANDWRITING, lines_of
from tests.conftest import tiny_cnn
from tests.explorers import code, control, images, pixels, press, put, status, text

QUICK = {"size": 140, "steps": 2, "octaves": 1}


@pytest.fixture(scope="module")
def model():
    return tiny_cnn()


@pytest.fixture
def lab(model):
    explorer = style_lab(model, **QUICK)
    assert wait_until_idle(120)
    yield explorer
    explorer.close()


def test_it_paints_the_flower_as_soon_as_it_opens_and_shows_photo_and_painting(lab):
    painted, photo, painting = map(pixels, images(lab))
    assert painted.shape == (140, 140, 3) and photo.shape[2] == painting.shape[2] == 3
    assert not np.array_equal(painted, photo) and status(lab) == "1 size of 2 steps, done"
    assert "in the style of The Starry Night (V. van Gogh, 1889)" in text(lab)


def test_the_python_shown_makes_the_picture_shown(lab, model):
    space = python.Runner(model)([line for line in lab_lines(lab) if not line.startswith("image_grid")])
    assert parts.large(space["picture"]) == lab.shown["picture"].value
    assert "from helpers.style.transfer import" in code(lab) and "load_painting('The Starry Night', 140)" in code(lab)


def lab_lines(lab):
    return lines_of(lab.made.settings, lab.made.count)


def test_the_controls_change_the_picture_and_the_style_comes_back_after_a_painting_of_ones_own(lab):
    before = lab.shown["picture"].value
    put(lab, "forms of the photo", 0.9)
    assert lab.shown["picture"].value != before
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(file, "PNG")
    lab.controls["painting"].value = python.uploads.keep("mine.png", file.getvalue())
    assert wait_until_idle() and "in the style of your painting" in text(lab) and "uploads['mine.png']" in code(lab)
    put(lab, "style", "The Shipwreck")
    assert "J. M. W. Turner" in text(lab) and lab.controls["painting"].value == ""


def test_a_page_of_handwriting_is_a_style_but_has_no_palette(lab):
    put(lab, "style", HANDWRITING)
    assert status(lab) == "handwriting has no palette; choose the photo's own colors, or none"
    put(lab, "colors", "none")
    assert status(lab) == "1 size of 2 steps, done" and "handwriting(140, scale=1)" in code(lab)


def test_a_broken_photo_is_one_sentence_and_the_next_one_is_painted(lab):
    lab.controls["photo"].value = python.uploads.keep("broken.png", b"no picture")
    assert wait_until_idle() and "holds no picture" in status(lab) and "Traceback" not in text(lab)
    lab.controls["photo"].value = ""
    assert wait_until_idle() and status(lab) == "1 size of 2 steps, done"


def test_stop_keeps_the_picture_and_its_film(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen, painting = [], threading.Event()

    def watch(change):
        seen.append(change["new"])
        if len(seen) == 4:
            painting.set()

    lab.shown["picture"].image.observe(watch, "value")
    lab.controls["steps"].value = 300
    assert painting.wait(60)
    control(lab, "Stop").click()
    assert wait_until_idle(60) and "stopped; the picture is kept" in status(lab)
    assert 0 < lab.made.count < 300 and len(lab.made.frames) > 1
    press(lab, "save PNG"), press(lab, "save film")
    saved = Image.open(tmp_path / "painted.png")
    np.testing.assert_array_equal(np.asarray(saved), pixels(lab.shown["picture"].value))
    assert Image.open(tmp_path / "painting.gif").n_frames > 1


def test_a_picture_appears_after_every_step(lab):
    seen = []
    lab.shown["picture"].image.observe(lambda change: seen.append(1), "value")
    put(lab, "steps", 6)
    assert len(seen) >= 5


def test_an_unknown_setting_and_a_model_that_cannot_paint_are_refused():
    with pytest.raises(ValueError, match="setting 'brush' is unknown"):
        style_lab(tiny_cnn(), brush=3)
