"""One digit in MNIST's manner, from drawn strokes or from a photographed page. Knows nothing of data sets.

A photo is opened, turned upright and shrunk by `photos`; what is ink on it is found here.
"""

import numpy as np
import scipy.ndimage
from PIL import Image

from helpers.base import checks
from helpers.images import gray, standardize
from helpers.photos import load_whole_photo, name_of

DIGIT_PHOTO = 400  # pixels along the longer edge to which the photo of a digit is shrunk before it is searched
LONGEST_INK = 500  # pixels; a digit of 20 needs no more
THINNEST = 2.2  # pixels of 28: strokes of MNIST's digits are 1.7 to 3.8 wide (5 % and 95 %, measured as here)
FAINTEST = 0.1  # by how much ink must stand out from paper, where black to white is 1


def load_digit(source):
    """Return one digit from a photo or scan in MNIST's manner, `(1, 28, 28, 1)` in model space.

    `source` is a path, the content of a file or an open file, as for `load_photo`; the whole picture counts, not
    its middle square. Ink may be dark on light or light on dark and the light uneven; specks, and shadows that reach
    the edge, are left out. A picture of 28 x 28 pixels that is mostly black, or black all along its edge, is taken
    as it is, so a digit saved by `save_picture(path, to_display(digit)[0])` comes back, to half a step of 8 bits.
    Errors are those of `load_photo`, and a ValueError where there is no ink. Used by the activation explorer
    (notebook 03).
    """
    luma = gray(load_whole_photo(source, DIGIT_PHOTO)[np.newaxis])[0, ..., 0]  # (height, width)
    edge = np.r_[luma[[0, -1]].ravel(), luma[:, [0, -1]].ravel()]
    if luma.shape == (28, 28) and min(np.median(luma), edge.max()) < 0.1 < luma.max():
        return standardize(luma[np.newaxis, ..., np.newaxis])
    ink = _ink_on_paper(luma)
    if not ink.any():
        raise ValueError(f"{name_of(source)} shows no digit; give a picture of one digit, dark on light or light on "
                         "dark")
    return digit_from_ink(ink)


def digit_from_ink(ink):
    """Return a digit drawn or written as ink `(height, width)` in 0..1, 1 where there is most, in MNIST's manner.

    That is `(1, 28, 28, 1)` in model space, light on dark: 20 pixels long, its center of mass in the middle. Strokes
    thinner than MNIST's are made as thick as its thin ones. Raises ValueError for ink outside 0..1 or none at all.
    Source: LeCun, Cortes and Burges 1998. Used by the activation explorer (notebook 03).
    """
    ink = checks.numbers(ink, "the numbers of the ink")
    if ink.ndim != 2 or ink.min(initial=0) < 0 or ink.max(initial=0) > 1:
        raise ValueError(f"ink of shape {ink.shape} cannot be read; it must be (height, width) with values in 0..1")
    if not ink.any():
        raise ValueError("there is no ink; draw a digit first")
    digit = _twenty_long(_thick_enough(_fine_enough(ink / ink.max()))).clip(0, 1)
    return standardize(_amid_28(digit / digit.max())[np.newaxis, ..., np.newaxis])


def mnist_manner(ink):
    """Return a small digit given as ink 0..1 in MNIST's manner, `(28, 28)` in 0..255.

    Enlarging blurs the strokes; stretching the tones 0.3..0.85 to 0..1 gives them the edges and the
    brightness of MNIST's (found by comparing mean, deviation and shares of black and white).
    """
    return _amid_28(np.clip((_twenty_long(ink) - 0.3) / 0.55, 0, 1))


def _twenty_long(ink):
    """Return what there is of ink, without the margins, resized to 20 pixels along its longer side."""
    small = Image.fromarray(_without_margins(ink).astype(np.float32))
    sides = [max(1, round(20 * side / max(small.size))) for side in small.size]
    return np.asarray(small.resize(sides, Image.Resampling.LANCZOS))


def _amid_28(digit):
    """Return a digit in 0..1 with its center of mass amid 28x28, in 0..255."""
    top, left = _centered(digit.sum(axis=1)), _centered(digit.sum(axis=0))
    image = np.zeros((28, 28), np.uint8)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return image


def _without_margins(ink):
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fine_enough(ink):
    """Return ink of at most `LONGEST_INK` pixels along an edge; of several the darkest stays, so no line is lost."""
    ink = _without_margins(ink)
    block = -(-max(ink.shape) // LONGEST_INK)
    starts = [np.arange(0, length, block) for length in ink.shape]
    return np.maximum.reduceat(np.maximum.reduceat(ink, starts[0], axis=0), starts[1], axis=1)


def _thick_enough(ink):
    """Return ink whose strokes, once it is 20 pixels long, are at least `THINNEST` wide."""
    drawn = ink > 0.5
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    pixel = max(np.ptp(rows), np.ptp(columns), 1) / 20
    depths = scipy.ndimage.distance_transform_edt(np.pad(drawn, 1))
    width = 4 * (depths[depths > 0].mean() - 0.5)  # the mean depth of a stroke is a quarter of its width
    missing = THINNEST * pixel - width
    reach = round(missing / 2)
    if reach < 1:
        return ink
    wide = np.pad(ink, reach)
    paper = np.pad(~drawn, reach, constant_values=True)
    away, nearest = scipy.ndimage.distance_transform_edt(paper, return_indices=True)
    return np.where(away <= reach, np.maximum(wide, wide[tuple(nearest)]), wide)  # the pen's tip is a disk


def _ink_on_paper(luma):
    """Return the ink `(height, width)` in 0..1 on a photo of paper or of a blackboard, 0 everywhere if there is none.

    Ink is what is rarer. The paper's own brightness, which may change from edge to edge, is taken away first; the
    threshold between paper and ink is Otsu's, with a soft edge.
    """
    edge = max(luma.shape)
    luma = scipy.ndimage.gaussian_filter(luma - _smooth_light(luma), edge / 400)
    light = luma if (luma**3).mean() > 0 else -luma
    light = light - scipy.ndimage.gaussian_filter(scipy.ndimage.grey_opening(light, edge // 3), edge / 12)
    paper, written = _two_tones(light)
    if written - paper < FAINTEST:
        return np.zeros_like(luma)
    return _without_specks(np.clip(0.5 + 2 * (light - (paper + written) / 2) / (written - paper), 0, 1))


def _smooth_light(luma):
    """Return the quadratic function of row and column that comes closest to the brightness of a photo."""
    y, x = (np.linspace(-1, 1, length) for length in luma.shape)
    terms = np.stack([np.outer(y**down, x**right) for down, right in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0))])
    flat = terms.reshape(6, -1).T
    return (flat @ np.linalg.lstsq(flat, luma.ravel(), rcond=None)[0]).reshape(luma.shape)


def _two_tones(values):
    """Return the means of the darker and the lighter values, parted where the two differ most (Otsu 1979)."""
    ordered = np.sort(values, axis=None).astype(float)
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    lows, highs = sums[:-1] / below, (sums[-1] - sums[:-1]) / (ordered.size - below)
    best = np.argmax(below * (ordered.size - below) * (highs - lows) ** 2)
    return lows[best], highs[best]


def _without_specks(ink):
    """Return ink without what is much smaller than its largest piece, or reaches the edge where other pieces do not."""
    pieces, _ = scipy.ndimage.label(ink > 0, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), ink.ravel())
    inner = np.setdiff1d(np.flatnonzero(sizes), np.r_[pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()])
    kept = inner if sizes[inner].sum() > 0.2 * sizes.sum() else np.flatnonzero(sizes)
    kept = kept[sizes[kept] > 0.05 * sizes[kept].max()] if len(kept) else kept
    return np.where(np.isin(pieces, kept), ink, 0)


def _centered(masses):
    """Return where a row of masses must begin for its center to be at 14 of 28, as it is in MNIST."""
    center = np.average(np.arange(len(masses)), weights=masses)
    return int(np.clip(round(14 - center), 0, 28 - len(masses)))
