"""Planes of gray printed as inks on paper, one color each. Knows nothing of networks, climbs or files."""

import numpy as np

from helpers.base import checks
from helpers.images import standardize

SHEET = (0.965, 0.945, 0.902)  # red, green, blue of an uncoated sheet
INK = (0.10, 0.12, 0.22)
INKS = ((0.86, 0.16, 0.20), (0.98, 0.75, 0.10), (0.04, 0.30, 0.52))  # red, yellow, blue
DARKEST = 3.0  # deviations above the mean at which a plane is full ink


def coverage(planes, least=0.0, most=DARKEST):
    """Return planes `(n, height, width, 1)` of any range as shares of ink 0..1.

    A plane has no ink where it is `least` deviations above its mean or lower, and full ink from `most` on.
    """
    least, most = checks.number(least, "least"), checks.number(most, "most", above=least)
    return np.clip((standardize(checks.images(planes, name="the planes")) - least) / (most - least), 0, 1)


def printed(shares, inks=(INK,), paper=SHEET):
    """Return what inks on paper look like, `(height, width, 3)` in pixel space.

    shares  `(n, height, width, 1)`, 0 (none) to 1 (full): one plane for each ink, see `coverage`
    inks    the color of each, as (red, green, blue) from 0 to 1; `paper` is one such color

    Each ink takes away light: where two lie above each other what is left of the light is multiplied, so yellow on
    blue is green. No ink is paper, and one full ink on white paper is its own color. Introduced in notebook 12.
    """
    shares, inks = checks.images(shares, (None, None, 1), "the shares"), checks.numbers(inks, "inks", (None, 3))
    paper = checks.numbers(paper, "paper", (3,))
    if len(inks) != len(shares):
        raise ValueError(f"{len(shares)} planes for {len(inks)} inks; give one ink, (red, green, blue), for each")
    for name, values in (("shares", shares), ("inks", inks), ("paper", paper)):
        if values.min() < 0 or values.max() > 1:
            raise ValueError(f"{name} from {values.min():.3g} to {values.max():.3g} are out of range; use 0 to 1")
    left = 1 - shares * (1 - inks[:, None, None])  # (n, height, width, 3), of the light
    return paper * left.prod(axis=0)
