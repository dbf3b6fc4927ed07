"""handwriting: a bar crosses the stem, an upstroke leads to the top from the left, and nothing else is changed."""

import numpy as np
import pytest

from helpers.compare.strokes import LEAN, barred, flagged, scribbled, stick_out, tally
from helpers.images import standardize, to_display


def digits(*lines):
    """Images in model space with strokes three pixels wide, each from (row, column) to (row, column)."""
    images = np.zeros((1, 28, 28, 1), np.float32)
    for (top, left), (bottom, right) in lines:
        for share in np.linspace(0, 1, 60):
            row, column = round(top + share * (bottom - top)), round(left + share * (right - left))
            images[0, row, column - 1 : column + 2] = 1
    return standardize(images)


SEVEN = digits(((4, 7), (4, 19)), ((5, 18), (23, 12)))
SLANTED = digits(((4, 18), (23, 11)))
UPRIGHT = digits(((4, 14), (23, 14)))


@pytest.mark.parametrize("length", [4, 8, 12])
def test_a_bar_is_level_as_long_as_asked_and_sticks_out_of_the_stem_on_both_sides(length):
    grown, before = (np.sum(to_display(barred(SEVEN, pixels))[0, ..., 0] > 0.5, axis=1) for pixels in (length, 0))
    rows = 9 + np.flatnonzero((grown - before)[9:] > (grown - before).max() / 2)  # below the roof, which may move
    assert np.ptp(rows) <= 2 and 13 <= rows.mean() <= 17
    left, right = stick_out(barred(SEVEN, length), 0.35, 0.95)[0]
    assert abs(left - right) <= 2 and abs(left + right + 3.5 - length) <= 3  # the stem is some 3.5 wide
    assert stick_out(SEVEN, 0.35, 0.95).max() < 1.5


@pytest.mark.parametrize("one", [UPRIGHT, SLANTED], ids=["upright", "slanted"])
@pytest.mark.parametrize("reach", [4, 8, 12])
def test_an_upstroke_lies_left_of_the_stem_between_the_top_and_the_row_where_it_begins(one, reach):
    plain, with_stroke = (np.argwhere(to_display(flagged(one, length))[0, ..., 0] > 0.5) for length in (0, reach))
    top = with_stroke[:, 0].min()
    rows, widest = zip(*[(row - top, np.ptp(with_stroke[with_stroke[:, 0] == row][:, 1]) + 1) for row in range(28)
                         if (with_stroke[:, 0] == row).any()])  # fmt: skip
    assert abs(rows[int(np.argmax(widest))] - reach) <= 2  # where it is farthest from the stem
    stem = np.median([np.ptp(plain[plain[:, 0] == row][:, 1]) + 1 for row in set(plain[:, 0])])
    assert abs(max(widest) - (LEAN * reach + stem)) <= 2.5
    assert all(width <= stem + 1 for row, width in zip(rows, widest) if row > reach + 3)  # below it all is as it was


def test_without_length_all_three_leave_a_digit_as_it_is_brought_to_size_and_place():
    for one, other in ((barred(SEVEN, 0), flagged(SEVEN, 0)), (barred(SEVEN, 0), scribbled(SEVEN, 0, 1))):
        np.testing.assert_array_equal(one, other)
    before = SEVEN.copy()
    images = barred(SEVEN, 8)
    np.testing.assert_array_equal(SEVEN, before)
    np.testing.assert_allclose([images.mean(), images.std()], [0, 1], atol=1e-3)


def test_a_stray_stroke_is_the_same_for_the_same_seed_and_lies_elsewhere_for_another():
    np.testing.assert_array_equal(scribbled(SEVEN, 8, 3), scribbled(SEVEN, 8, 3))
    assert np.abs(scribbled(SEVEN, 8, 3) - scribbled(SEVEN, 8, 4)).max() > 1


def test_a_stroke_that_is_longer_than_the_image_is_refused():
    with pytest.raises(ValueError, match="length of a stroke"):
        barred(SEVEN, 29)


def test_an_image_without_a_digit_is_refused_by_its_number():
    with pytest.raises(ValueError, match="image 1 is blank"):
        flagged(np.concatenate([UPRIGHT, np.zeros((1, 28, 28, 1), np.float32)]), 4)


def test_a_reader_of_bars_alone_is_counted_so():
    """It calls a seven what sticks out on both sides, and everything else a one."""
    images, labels = np.concatenate([SEVEN, SLANTED, UPRIGHT]), np.array([7, 1, 1])
    counts = tally(lambda shown: np.where(stick_out(shown, 0.35, 0.95).min(axis=1) > 2, 7, 1), images, labels, (0, 12))
    assert list(counts["7 bar 12"]) == [0] * 7 + [1, 0, 0] and counts["7 bar 0"][1] == 1
    assert counts["1 upstroke 0"][1] == counts["1 upstroke 12"][1] == 2
