"""What helpers.ink promises of digits that were drawn or photographed."""

import io

import numpy as np
import pytest
from PIL import Image

from helpers.data import load_small_digits
from helpers.ink import digit_from_ink, load_digit
from helpers.photos import save_picture


def stroke(height=200, width=160, pen=16):
    """Ink in the form of a 7, light on dark, in 0..1."""
    rows, columns = np.mgrid[:height, :width]
    bar = (abs(rows - 40) <= pen / 2) & (columns >= 40) & (columns <= 120)
    leg = (abs(columns - 120 + (rows - 40) * 0.5) <= pen / 2) & (rows >= 40) & (rows <= 160)
    return (bar | leg).astype(np.float32)


def of_a_file(values, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)).save(file, form)
    return file.getvalue()


def alike(digit, other):
    """The correlation of two digits in model space, a pixel off or not."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float((np.roll(digit, move, axis=(1, 2)) * other).mean()) for move in moves)


def test_ink_becomes_a_digit_20_pixels_long_with_its_mass_in_the_middle():
    digit = digit_from_ink(stroke())
    shown = (digit - digit.min()) / np.ptp(digit)
    assert digit.shape == (1, 28, 28, 1) and digit.dtype == np.float32
    np.testing.assert_allclose([digit.mean(), digit.std()], [0, 1], atol=1e-5)
    rows = np.flatnonzero(shown[0, ..., 0].any(axis=1))
    assert np.ptp(rows) + 1 == 20
    masses = shown[0, ..., 0]
    centers = [np.average(np.arange(28), weights=masses.sum(axis=axis)) for axis in (0, 1)]
    np.testing.assert_allclose(centers, 14, atol=0.51)


@pytest.mark.parametrize("changed", [lambda ink: np.pad(ink, ((9, 70), (55, 2))), lambda ink: 0.3 * ink])
def test_where_on_the_page_a_digit_is_and_how_dark_its_ink_does_not_matter(changed):
    np.testing.assert_allclose(digit_from_ink(changed(stroke())), digit_from_ink(stroke()), atol=1e-5)


@pytest.mark.parametrize("pen", [2, 4, 8])
def test_thin_strokes_become_as_thick_as_thin_ones_of_mnist_and_thick_ones_stay(pen):
    thin, plain, thick = (digit_from_ink(stroke(pen=width)) for width in (pen, 14, 24))
    ink = [((digit - digit.min()) / np.ptp(digit)).sum() for digit in (thin, plain, thick)]
    assert 0.75 * ink[1] < ink[0] < 1.3 * ink[1] < 1.2 * ink[2]
    assert alike(thin, plain) > 0.85


def test_a_digit_of_mnist_in_the_manner_of_mnist_already_stays_as_it_is():
    digit = digit_from_ink(stroke())
    shown = (digit - digit.min()) / np.ptp(digit)
    np.testing.assert_allclose(digit_from_ink(shown[0, ..., 0]), digit, atol=0.02)


@pytest.mark.parametrize(
    "ink, message",
    [
        (np.zeros((9, 9)), "there is no ink"),
        (np.zeros((0, 9)), "there is no ink"),
        (np.full((9, 9), 1.5), r"ink of shape \(9, 9\)"),
        (np.full((9, 9), np.nan), "the numbers of the ink hold NaN"),
        (np.ones((9, 9, 1)), r"\(9, 9, 1\)"),
    ],
)
def test_what_is_no_ink_is_refused(ink, message):
    with pytest.raises(ValueError, match=message):
        digit_from_ink(ink)


def test_a_dot_is_a_digit_too():
    ink = np.zeros((50, 50))
    ink[20, 30] = 1
    assert digit_from_ink(ink).std() > 0.9


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("light", [False, True])
def test_a_photo_of_a_digit_is_found_on_uneven_paper_and_on_a_blackboard(form, light):
    page = np.pad(stroke(), ((60, 140), (200, 140)))
    rows, columns = np.mgrid[: page.shape[0], : page.shape[1]]
    noise = np.random.default_rng(0).normal(0, 0.02, page.shape)
    photo = (0.5 + 0.45 * columns / page.shape[1]) * (1 - 0.6 * page) + noise
    digit = load_digit(of_a_file(1 - photo if light else photo, form))
    assert alike(digit, digit_from_ink(stroke())) > 0.95


def test_specks_and_a_shadow_at_the_edge_are_left_out():
    page = np.pad(stroke(), ((60, 140), (200, 140)))
    page[10:14, 300:304], page[:, :30] = 1, 1
    assert alike(load_digit(of_a_file(1 - 0.8 * page)), digit_from_ink(stroke())) > 0.95


def test_a_digit_that_touches_the_edge_is_kept_where_there_is_no_other():
    page = np.pad(stroke(), 40)[: 40 + 150]
    assert alike(load_digit(of_a_file(1 - page)), digit_from_ink(stroke()[:150])) > 0.95


@pytest.mark.parametrize("page", ["white", "black", "slope", "noise"])
def test_a_picture_without_ink_is_refused(page):
    rows, columns = np.mgrid[:300, :400]
    noise = np.random.default_rng(0).normal(0.7, 0.03, rows.shape)
    pages = {"white": np.ones_like(noise), "black": np.zeros_like(noise), "slope": columns / 400, "noise": noise}
    with pytest.raises(ValueError, match="the given bytes shows no digit; give a picture of one digit"):
        load_digit(of_a_file(pages[page]))


def test_a_saved_digit_comes_back(tmp_path):
    for name, digit in [("drawn", digit_from_ink(stroke())), ("real", load_small_digits()[0][:1])]:
        shown = (digit - digit.min()) / np.ptp(digit)
        save_picture(tmp_path / f"{name}.png", shown[0])
        np.testing.assert_allclose(load_digit(tmp_path / f"{name}.png"), digit, atol=0.02)


def test_a_small_scan_is_not_taken_for_a_saved_digit():
    small = np.asarray(Image.fromarray(stroke()[20:180, 30:130]).resize((28, 28))).clip(0, 1)
    digit = load_digit(of_a_file(1 - small))
    assert digit[0, 0, 0, 0] == digit.min() and alike(digit, digit_from_ink(small)) > 0.9


def test_a_broken_photo_of_a_digit_is_refused_as_any_photo_is(tmp_path):
    with pytest.raises(ValueError, match="holds no picture"):
        load_digit(b"nothing")
    with pytest.raises(FileNotFoundError, match="'none.png' not found"):
        load_digit("none.png")


def test_the_photo_of_a_digit_is_turned_upright_and_not_cut():
    page = np.pad(stroke(), ((0, 300), (10, 10)))  # the digit is not in the middle square
    picture = Image.fromarray(np.round(255 * (1 - page)).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    picture.save(file, "JPEG", exif=exif)
    assert alike(load_digit(file.getvalue()), digit_from_ink(stroke())) > 0.95
