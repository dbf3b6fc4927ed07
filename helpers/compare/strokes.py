"""Strokes that other hands add to a digit: the bar of a seven, the upstroke of a one. Knows nothing of networks.

MNIST was written in the United States. With these strokes notebook 03 asks how its readers take a European digit.
"""

import numpy as np

from helpers.base import checks
from helpers.images import to_display
from helpers.ink import digit_from_ink

PEN = 2.5  # pixels; strokes of MNIST's digits are 1.7 to 3.8 wide
CROSSED = 0.55  # how far below its top a seven is crossed, as a share of its height
LENGTHS = 0, 4, 8, 12  # pixels, of a digit 20 tall
LEAN = 0.8  # pixels that an upstroke leads to the left for each that it leads down


def barred(images, length):
    """Return each seven with a level bar of `length` pixels through its stem, `(n, 28, 28, 1)` in model space.

    A digit is 20 pixels long. The bar lies a little below half height, where the only ink is the stem's. Whatever the
    length, 0 included, the digit is brought to MNIST's size and place once more, as one on paper would be: hold a bar
    against 0 and not against the images. Introduced in notebook 03.
    """

    def bar(top, height, stem):
        row = top + CROSSED * height
        return (row, stem(row) - length / 2), (row, stem(row) + length / 2)

    return _with_strokes(images, length, bar)


def flagged(images, reach):
    """Return each one with an upstroke before its stem that begins `reach` pixels below its top, in model space.

    It leads to the top from the lower left; on a stem that slants it slants as well. As in `barred` a `reach` of 0
    adds nothing. Introduced in notebook 03.
    """

    def upstroke(top, height, stem):
        return (top + reach, stem(top + reach) - LEAN * reach), (top, stem(top))

    return _with_strokes(images, reach, upstroke)


def scribbled(images, length, seed):
    """Return each digit with a stroke of `length` pixels anywhere on its ink, in any direction: the control.

    It tells what a bar does as a bar from what any stroke would do. Introduced in notebook 03.
    """
    random = np.random.default_rng(checks.whole(seed, "seed"))

    def anywhere(top, height, stem):
        row, angle = top + height * random.uniform(), random.uniform(0, np.pi)
        half = length / 2 * np.array([np.sin(angle), np.cos(angle)])
        return (row, stem(row)) - half, (row, stem(row)) + half

    return _with_strokes(images, length, anywhere)


def stick_out(images, begin, end):
    """Return how far ink sticks out of each digit's stem, to the left and to the right, in pixels, `(n, 2)`.

    The stem is the straight line through the middles of the narrower half of the rows; rows from `begin` to `end`
    (shares of the height, from the top) are asked, and the row where the smaller side is largest counts. A seven of
    which ink sticks out on both sides has a bar. Introduced in notebook 03.
    """
    return np.array([_beyond_the_stem(ink > 0.4, begin, end) for ink in _inks(images)]).reshape(-1, 2)


def tally(answers, images, labels, lengths=LENGTHS):
    """Return how often each class is answered, {what is shown: counts (10,)}, for digits with strokes of each length.

    `answers` is a function from images to classes. What is shown is named "7 bar 8", "7 stray 8" (a stroke of the
    same length anywhere), "1 upstroke 8" (it begins 8 pixels below the top), "1 stray 8". Introduced in notebook 03.
    """
    ones, sevens = images[labels == 1], images[labels == 7]
    shown = {}
    for length in lengths:
        shown |= {f"7 bar {length}": barred(sevens, length), f"7 stray {length}": scribbled(sevens, length, seed=0),
                  f"1 upstroke {length}": flagged(ones, length),
                  f"1 stray {length}": scribbled(ones, length * np.hypot(1, LEAN), seed=0)}  # fmt: skip
    return {what: np.bincount(answers(digits), minlength=10) for what, digits in shown.items()}


def _with_strokes(images, length, ends):
    """The digits with one more stroke each; `ends` says from where to where, in pixels (row, column)."""
    length = checks.number(length, "the length of a stroke in pixels", least=0, most=28)
    drawn = [np.maximum(ink, _stroke(*ends(*_shape(ink)))) if length else ink for ink in _inks(images)]
    return np.concatenate([digit_from_ink(ink) for ink in drawn])


def _inks(images):
    """The images as ink (n, 28, 28), 0 where there is paper and 1 where there is most."""
    inks = to_display(checks.images(images, (28, 28, 1)))[..., 0]
    blank = np.flatnonzero(inks.max(axis=(1, 2)) == inks.min(axis=(1, 2)))
    if len(blank):
        raise ValueError(f"image {blank[0]} is blank; give images of digits")
    return inks


def _shape(ink):
    """Where a digit's top is, how tall it is, and a function from a row to the middle of its ink there."""
    rows = np.flatnonzero((ink > 0.5).any(axis=1))
    middles = ink[rows] @ np.arange(ink.shape[1]) / ink[rows].sum(axis=1)
    return rows[0], np.ptp(rows), lambda row: np.interp(row, rows, middles)


def _beyond_the_stem(drawn, begin, end):
    """How far the ink of one digit sticks out of its stem, left and right, where the smaller of the two is largest."""
    rows = np.flatnonzero(drawn.any(axis=1))
    rows = rows[(rows >= rows[0] + begin * np.ptp(rows)) & (rows <= rows[0] + end * np.ptp(rows))]
    left, right = (np.array([np.flatnonzero(drawn[row])[side] for row in rows]) for side in (0, -1))
    narrow = right - left <= np.median(right - left)
    stem = np.polyval(np.polyfit(rows[narrow], (left + right)[narrow] / 2, int(narrow.sum() > 1)), rows)
    half = (np.median(right - left) + 1) / 2
    beyond = np.stack([stem - half - left, right - stem - half], axis=1)
    return beyond[beyond.min(axis=1).argmax()]


def _stroke(start, end):
    """The ink, 28 x 28 in 0..1, of a straight stroke with round ends."""
    start, along = np.array(start), np.subtract(end, start)
    pixels = np.stack(np.mgrid[:28, :28], axis=-1) - start  # (28, 28, 2)
    share = np.clip(pixels @ along / (along @ along), 0, 1)
    away = np.linalg.norm(pixels - share[..., np.newaxis] * along, axis=-1)
    return np.clip(PEN / 2 + 0.5 - away, 0, 1)
