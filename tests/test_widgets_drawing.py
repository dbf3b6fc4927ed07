"""A digit of the reader's own: chosen, drawn or photographed, one at a time, and the Python that makes it."""

import numpy as np
import pytest

from helpers.images import to_display
from helpers.photos import png_bytes
from helpers.widgets.parts.digits import Digits, Upload, ink_of_strokes
from helpers.widgets.parts.lines import Runner, uploads
from tests.conftest import tiny_cnn

IMAGES = np.random.default_rng(0).standard_normal((10, 28, 28, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
STROKES = [[[140, 30], [140, 250]]]


@pytest.fixture
def digits():
    return Digits(IMAGES, LABELS)


def give_photo(digits, content):
    digits.photo.file_name, digits.photo.content = "one.png", content
    digits.photo.given += 1


def photo_of_a_one():
    paper = np.ones((60, 60, 1), np.float32)
    paper[10:50, 27:33] = 0
    return png_bytes(paper)


def test_of_a_class_the_slider_counts_its_digits_and_the_value_is_the_number_among_all(digits):
    digits.show.value = "class 1"
    assert digits.value == 1 and digits.place.max == 2
    digits.next.click()
    assert digits.value == 4 and digits.label(4) == 1
    digits.previous.click(), digits.previous.click()
    assert digits.value == 7, "past the first comes the last"
    digits.value = 3
    assert digits.show.value == "all digits" and digits.place.value == 3


def test_a_subset_that_is_known_later_is_shown_then():
    digits = Digits(IMAGES, LABELS, subsets={"misread": None})
    digits.show.value = "misread"
    assert digits.value == 0
    digits.know("misread", np.array([5, 8]))
    assert digits.value == 5 and digits.place.max == 1


def test_drawing_takes_the_place_of_the_photo_and_the_photo_that_of_the_drawing(digits):
    digits.pad.strokes = STROKES
    assert digits.value == (((140, 30), (140, 250)),)
    give_photo(digits, photo_of_a_one())
    assert digits.value in uploads and digits.pad.strokes == []
    digits.pad.strokes = STROKES
    assert isinstance(digits.value, tuple) and digits.photo.value == ""
    digits.undo.click()
    assert digits.value == 0, "without ink it is the chosen digit again"


def test_the_same_photo_can_be_given_twice(digits):
    give_photo(digits, photo_of_a_one())
    digits.clear.click()
    assert digits.value == 0
    give_photo(digits, photo_of_a_one())
    assert digits.value in uploads


@pytest.mark.parametrize("kind", ["number", "drawing", "photo"])
def test_the_python_makes_the_digit_that_is_shown(digits, kind):
    if kind == "drawing":
        digits.pad.strokes = STROKES
    elif kind == "photo":
        give_photo(digits, photo_of_a_one())
    run = Runner(tiny_cnn())
    lines = ["images = np.zeros((10, 28, 28, 1))"] * (kind == "number") + digits.lines(digits.value, given=True)
    made = run(lines)["digit"]
    if kind == "number":
        assert made.shape == (1, 28, 28, 1) and "load_digits" in " ".join(digits.lines(3))
    else:
        np.testing.assert_allclose(made, digits.image(digits.value))
        columns = to_display(made)[0, :, :, 0].sum(axis=0)
        assert columns.argmax() in (13, 14) and columns[:9].sum() < 0.05 * columns.sum(), "an upright stroke"


def test_ink_is_where_the_pen_was_whichever_way_it_went():
    ink, back = (ink_of_strokes([stroke]) for stroke in ([(60, 140), (220, 140)], [(220, 140), (60, 140)]))
    np.testing.assert_allclose(ink, back, atol=1e-6)
    assert ink[70, 70] == 1 and ink[40, 70] == 0 and abs(ink.sum() * 4 - (160 * 20 + np.pi * 100)) < 100


def test_an_upload_is_a_control_like_any_other():
    upload = Upload(label="your photo", tip="A picture.")
    assert upload.value == "" and upload.description == "your photo"


def test_a_file_arrives_as_a_browser_sends_it():
    upload = Upload(label="your photo", tip="A picture.")
    upload.set_state({"file_name": "arrived.png", "content": memoryview(b"a picture"), "given": 1})
    assert upload.value == "arrived.png" and uploads[upload.value] == b"a picture"
