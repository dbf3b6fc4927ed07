"""Styles that come with the project: two paintings in the public domain, and a page of handwriting.

Knows nothing of networks; `style` paints with what it gets from here.
"""


import numpy as np

from helpers.base import checks
from helpers.base.files import DATA
from helpers.data import load_digits
from helpers.images import resize, to_display
from helpers.photos import load_photo

FOLDER = DATA / "paintings"
PAINTINGS = {  # name: (file, painter and year); both painters died more than 100 years ago
    "The Starry Night": ("starry_night.jpg", "V. van Gogh, 1889"),
    "The Shipwreck": ("shipwreck.jpg", "J. M. W. Turner, 1805"),
}
DIGIT = 22  # pixels along an edge of a digit on the page: 20 of ink and little around them


def load_painting(name, size=400):
    """Return one of `PAINTINGS`, cut square, as `(size, size, 3)` in pixel space (400 in the file). Notebook 10."""
    return load_photo(FOLDER / PAINTINGS[checks.choice(name, "painting", PAINTINGS)][0], size)


def handwriting(size=400, seed=0, scale=1.0):
    """Return a page of handwritten digits, white on black, `(size, size, 1)` in pixel space.

    The digits are training digits in random order, `scale` times as large as they are. Introduced in notebook 10.
    """
    written = round(checks.whole(size, "size", 28, 4096) / checks.number(scale, "scale", least=0.2, most=5))
    images, _ = load_digits("train")
    rows = -(-written // DIGIT)
    chosen = images[np.random.default_rng(checks.whole(seed, "seed")).choice(len(images), rows * rows)]
    tiles = to_display(chosen)[:, 3 : 3 + DIGIT, 3 : 3 + DIGIT].reshape(rows, rows, DIGIT, DIGIT)
    page = tiles.transpose(0, 2, 1, 3).reshape(1, rows * DIGIT, rows * DIGIT, 1)[:, :written, :written]
    return np.clip(resize(page, (size, size)), 0, 1)[0]
