"""What would change a network's mind: the worst digit near a digit, and the nearest digit that reads otherwise.

Knows nothing of figures or files. A change has the size `radius`: the root mean square of its pixels, where the
image itself has deviation 1. All stay on the sphere of standardized images; what lies near one there is a cap.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.activations import class_logits
from helpers.ascent import identity, last_images, step_uphill
from helpers.base import checks
from helpers.base.interrupts import held, leave_if_asked
from helpers.images import standardize
from helpers.objectives import Gaps, Mixed

IMAGES_AT_ONCE = 500  # bounds the memory
FIRST, FARTHEST = 0.2, 1.4  # radii that `smallest_changes` begins with and gives up at
SHARES = 0.3, 0.02  # of the radius that its first and last step move an image, and the radius itself


class _Within(NamedTuple):
    centers: tf.Tensor
    radius: tf.Tensor


class Within(_Within):
    """Brings image i back to standardized images within `radius` of `centers[i]`: a `project` for a climb.

    `radius` is one number of 0 or more, or one for each image, `(n,)`. An image outside is moved along the great
    circle to its center until it is on the edge. Centers and radius are data, so another radius is no new
    compilation. Raises ValueError for a radius below 0. Introduced in notebook 08.
    """

    __slots__ = ()

    def __new__(cls, centers, radius):
        if isinstance(radius, (int, float, np.ndarray, np.floating)):
            checks.number(np.min(radius), "radius", least=0)
            radius = tf.constant(np.reshape(radius, (-1, 1, 1, 1)), tf.float32)
            centers = tf.constant(standardize(checks.images(centers)))
        return super().__new__(cls, centers, radius)

    def __call__(self, images):
        images = standardize(images)
        along = tf.reduce_mean(images * self.centers, axis=(1, 2, 3), keepdims=True)  # the cosine of the angle between
        across = images - along * self.centers
        rms = tf.sqrt(tf.reduce_mean(tf.square(across), axis=(1, 2, 3), keepdims=True))
        cosine = tf.maximum(1 - self.radius**2 / 2, -1.0)  # of the angle whose chord is the radius
        edge = cosine * self.centers + tf.sqrt(1 - cosine**2) * tf.math.divide_no_nan(across, rms)
        return tf.where(along < cosine, edge, images)


class Changes(NamedTuple):
    """What `smallest_changes` found: `images (n, height, width, channels)` and the `radii (n,)` of their changes.

    Where nothing within reach sufficed the radius is infinite, and the image is the original.
    """

    images: np.ndarray
    radii: np.ndarray


def attacked(model, images, labels, radius, steps=20, seed=0):
    """Return the images, each changed by at most `radius` so that `model` no longer reads it as its label.

    A multi-step attack (Madry and others 2018, "PGD"): from a random place within the radius it climbs the log-sum-exp
    of all other logits less that of the label, and is brought back within the radius after every step. One step, as
    in `training.worst_case`, finds a bad direction; many find a worse one, so robustness is measured with
    many. Count what the model still reads: `accuracy(model, attacked(model, images, labels, 0.3), labels)`. Raises
    ValueError for a label or a radius that is none, and for a model without class outputs. Introduced in notebook 08.
    """
    logits = class_logits(model)
    images = checks.images(images, logits.input_shape[1:])
    labels = checks.labels(labels, len(images), logits.output_shape[-1])
    shift = 0.5 * radius * np.random.default_rng(seed).standard_normal((1, *images.shape[1:]))
    found = []
    for first in range(0, len(images), IMAGES_AT_ONCE):
        part = slice(first, first + IMAGES_AT_ONCE)
        away, near = Mixed([Gaps(logits, labels[part])], [-1]), Within(images[part], radius)
        found.append(_climbed(away, images[part] + shift, near, radius, steps))
    return np.concatenate(found)


def climb_within(objective, images, radius, steps=20):
    """Return the images after a climb of `objective` that leaves none by more than `radius`, shaped as they are.

    `climb_within(Margins(class_logits(model), [9]), digit, 0.3)` makes the digit more of a 9 with as little as that.
    Introduced in notebook 08.
    """
    return _climbed(objective, images, Within(images, radius), radius, steps)


def smallest_changes(objective, images, steps=60):
    """Return the `Changes`: the nearest images found for which `objective` is above 0.

    With `Margins(logits, classes)` those are read as the classes, with `Mixed([Margins(logits, labels)], [-1])` no
    longer as their labels. All climb at once, each within a radius of its own, which shrinks wherever the
    objective is above 0 and grows wherever it is not; the smallest that sufficed counts. What is found is an upper
    bound: a nearer image may exist. Source: Rony and others 2019 ("DDN"), here on the sphere of standardized
    images. Introduced in notebook 08.
    """
    originals = standardize(checks.images(images))
    nearest, best = originals.copy(), np.full(len(originals), np.inf)
    at, radii = originals, np.full(len(originals), FIRST)
    for share in np.geomspace(*SHARES, checks.whole(steps, "steps", 1)):
        leave_if_asked()
        with held():
            values, moved = _step(objective, tf.constant(at), tf.constant(_column(share * radii)), project=identity)
            changed, moved = values.numpy() > 0, moved.numpy()
        sizes = np.sqrt(np.square(at - originals).mean(axis=(1, 2, 3)))
        better = changed & (sizes < best)
        nearest[better], best[better] = at[better], sizes[better]
        radii = np.clip(np.where(changed, (1 - share) * np.minimum(radii, best), (1 + share) * radii), None, FARTHEST)
        with held():
            at = Within(originals, radii)(tf.constant(moved)).numpy()
    return Changes(nearest, best)


def _climbed(objective, starts, near, radius, steps):
    if radius == 0:
        return near(tf.constant(starts, tf.float32)).numpy()  # there is nothing to climb
    sizes = np.geomspace(radius, radius / 5, checks.whole(steps, "steps", 1))  # the best of six schedules tried
    return last_images(objective, starts, sizes, project=near)


def _column(numbers):
    return np.float32(numbers).reshape(-1, 1, 1, 1)


_step = tf.function(step_uphill, reduce_retracing=True)
