"""The recipe of the shipped weights. `python -m helpers.recipe` (`make model`) trains them again.

Puts data, models and the engine together: the CNN learns on digits that were made a little harder for it.
"""

from helpers.ascent import step_uphill
from helpers.objectives import CrossEntropy


def worst_case(model, radius):
    """Return a function (images, labels) -> images that disturbs digits where it hurts `model` most.

    One step of gradient ascent on the loss, a disturbance of root mean square `radius`: the same engine that
    makes OIPs. A CNN trained on such digits cannot lean on faint speckle, so its OIPs are strokes instead.
    Source: Goodfellow, Shlens and Szegedy 2015; Engstrom et al. 2019 on what it does to feature
    visualization. Introduced in notebook 02.
    """

    def disturb(images, labels):
        _, disturbed = step_uphill(CrossEntropy(model, labels), images, radius)
        return disturbed

    return disturb
