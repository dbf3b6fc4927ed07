"""prints: inks take away light, and what is not printed is paper."""

import numpy as np
import pytest

from helpers.gallery.prints import INKS, SHEET, coverage, printed

WHITE = (1.0, 1.0, 1.0)
NONE, FULL = np.zeros((1, 4, 5, 1)), np.ones((1, 4, 5, 1))


def test_no_ink_is_paper_and_one_full_ink_on_white_is_its_own_color():
    np.testing.assert_allclose(printed(NONE), np.broadcast_to(SHEET, (4, 5, 3)), rtol=1e-6)
    np.testing.assert_allclose(printed(FULL, INKS[:1], WHITE), np.broadcast_to(INKS[0], (4, 5, 3)), rtol=1e-6)


def test_yellow_on_blue_is_green_in_any_order():
    yellow, blue = (0.9, 0.9, 0.1), (0.1, 0.5, 0.9)
    over = printed(np.concatenate([FULL, FULL]), (yellow, blue), WHITE)
    np.testing.assert_array_equal(over, printed(np.concatenate([FULL, FULL]), (blue, yellow), WHITE))
    assert over[0, 0].argmax() == 1


def test_more_ink_never_makes_a_print_lighter():
    shares = np.random.default_rng(0).uniform(0, 0.5, (3, 6, 6, 1))
    assert (printed(shares + 0.4, INKS) < printed(shares, INKS)).all()


def test_coverage_has_no_ink_below_the_mean_and_full_ink_from_three_deviations_on():
    planes = 7 + 0.1 * np.random.default_rng(0).standard_normal((2, 80, 80, 1))
    shares, deviations = coverage(planes), (planes - planes.mean(axis=(1, 2), keepdims=True)) / planes.std(
        axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(shares, np.clip(deviations / 3, 0, 1), atol=1e-3)
    assert shares[deviations > 3.01].min() == 1


@pytest.mark.parametrize(("shares", "inks", "paper", "said"), [
    (FULL, INKS, SHEET, "1 planes for 3 inks"),
    (2 * FULL, INKS[:1], SHEET, "shares from 2 to 2 are out of range"),
    (FULL, [(0, 128, 255)], SHEET, "inks from 0 to 255 are out of range"),
    (FULL, INKS[:1], (1, 1, -1), "paper from -1 to 1 are out of range"),
    (FULL, [(0.5, 0.5)], SHEET, "inks"),
])  # fmt: skip
def test_what_cannot_be_printed_is_refused_by_name(shares, inks, paper, said):
    with pytest.raises(ValueError, match=said):
        printed(shares, inks, paper)
