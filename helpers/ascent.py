"""The engine: batched gradient ascent on the sphere of standardized images.

It knows nothing of models, layers, digits or figures: an objective gives one value per image, and the
engine makes it larger. Nothing but this module takes gradients of images.

Read `step_uphill` first: it is the whole method. `climb` repeats it and reports on the way, `ascend` collects the
reports, and `last_images` keeps nothing but the end.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.base import checks, faults
from helpers.base.interrupts import held, leave_if_asked
from helpers.images import standardize

FEW_IMAGES, FEW_PIXELS = 8, 50_000  # up to so many a step is so short that
STEPS_AT_ONCE = 15  # steps are better made in one go; more would make Stop wait,
PIXELS_AT_ONCE = 100_000  # and so would these of larger images, counted in pixels of all steps together
OBJECTIVE = "Channels(features, [7])"  # an example of one


class Ascent(NamedTuple):
    """The record of a climb: what `climb` reported, collected.

    `steps (k,)` how many steps were made at each report, `frames (k, n, height, width, channels)` the images
    there, `values (k, n)` what the objective says of exactly these frames, `stopped` whether the climb was
    interrupted before its last step.
    """

    steps: np.ndarray
    frames: np.ndarray
    values: np.ndarray
    stopped: bool = False

    @property
    def images(self):
        """The last frame `(n, height, width, channels)`: the result of the climb."""
        return self.frames[-1]

    def status(self, criterion=2e-4):
        """Return one word per image, `(n,)`: "silent", "converged", "stopped" or "climbing".

        Silent: the value is 0 and the image never moved, so the gradient is 0 too and no step size helps.
        Converged: between the last two reports the value changed by less than `criterion` of itself per
        step, up or down. Source: article IX, whose test is mended here (catalogue B1, B2, B7, B8).
        """
        if len(self.steps) < 2:
            return np.full(self.values.shape[1], "climbing")
        moved = np.abs(self.frames[-1] - self.frames[0]).max(axis=(1, 2, 3)) > 1e-5
        change = np.abs(self.values[-1] - self.values[-2]) / (self.steps[-1] - self.steps[-2])
        still = (self.frames[-1] == self.frames[-2]).all(axis=(1, 2, 3))
        cut_off = self.stopped & still  # the rest was never climbed
        converged = (change < criterion * (np.abs(self.values[-1]) + 1e-7)) & ~cut_off
        unfinished = "stopped" if self.stopped else "climbing"
        words = np.where(converged, "converged", unfinished)
        return np.where((self.values[-1] == 0) & ~moved, "silent", words)


def identity(gradients):
    """Return the gradients as they are: the plain ascent."""
    return gradients


def soften(gradients, cutoff=0.12):
    """Return the gradients with their spectrum multiplied by 1 / (1 + (f / cutoff)^2), f in cycles per pixel.

    Passed to a climb as `precondition` it turns speckle into strokes: the same hills are climbed, but along
    smooth paths first. It changes the way, not the objective. For another cutoff make
    `functools.partial(soften, cutoff=0.2)` once and keep it: each new one is compiled anew. Source: the
    preconditioning of Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017. Introduced in
    notebook 04.
    """
    height, width = tf.unstack(tf.shape(gradients)[1:3])
    rows = tf.range(height)
    rows = tf.minimum(rows, height - rows) / height  # cycles per pixel: 0 .. 1/2 and back
    columns = tf.range(width // 2 + 1) / width
    square = tf.cast(rows[:, tf.newaxis] ** 2 + columns[tf.newaxis] ** 2, tf.float32)
    response = tf.cast(1 / (1 + square / cutoff**2), tf.complex64)
    spectra = tf.signal.rfft2d(tf.transpose(gradients, (0, 3, 1, 2)))
    softened = tf.signal.irfft2d(spectra * response, fft_length=(height, width))
    return tf.ensure_shape(tf.transpose(softened, (0, 2, 3, 1)), gradients.shape)


def straight(images, directions, step_size):
    """Return the images moved straight ahead: the articles' way. It leaves the sphere; `project` brings them back."""
    return images + step_size * directions


def great_circle(images, directions, step_size):
    """Return standardized images turned by an angle of exactly `step_size` (in radians), along a great circle.

    All images of mean 0 and deviation 1 lie on a sphere. Out of each direction its mean is taken and the part
    along the image itself, which would change brightness and contrast only; what is left points along the
    sphere. Where nothing is left the image stays. Pass it to a climb as `move`. Introduced in notebook 04.
    """
    directions -= tf.reduce_mean(directions, axis=(1, 2, 3), keepdims=True)
    directions -= images * tf.reduce_mean(directions * images, axis=(1, 2, 3), keepdims=True)
    length = _root_mean_square(directions)
    angle = tf.where(length > 0, step_size, 0.0)
    return tf.cos(angle) * images + tf.sin(angle) * tf.math.divide_no_nan(directions, length)


def clip(images):
    """Return the images with their values cut to 0..1: the `project` of a climb in pixel space."""
    return tf.clip_by_value(images, 0.0, 1.0)


def report_steps(steps, reports=6):
    """Return which of `steps` numbers from 0 to report, ever further apart, first and last included.

    `report_steps(600, 6)` is 0, 9, 18, 36, 72, 144, 288, 599, the steps the articles report: most happens early. Fewer
    come back when there are not enough to tell apart. Source: article VIII (where a short run lost its reports,
    catalogue B4).
    """
    steps, reports = checks.whole(steps, "steps"), checks.whole(reports, "reports", 0, 1000)
    first = max(1, steps // 2**reports)
    middle = first * 2 ** np.arange(min(reports, 60))
    return np.unique(np.r_[0, middle[middle < steps], max(0, steps - 1)])


def only_the_result(states):
    """Return no state: the `reports` of a climb whose last frame alone is wanted, which is always reported."""
    return []


def step_uphill(objective, images, step_size, project=standardize, precondition=identity, move=straight):
    """Return (values, images): what the objective says of the images, and the images one step further up.

    The gradient is divided by its root mean square, image by image; a gradient of zero stays zero. This is
    the whole method; `climb` repeats it.
    """
    values, slopes = _slopes(objective, images)
    slopes = precondition(slopes)
    directions = tf.math.divide_no_nan(slopes, _root_mean_square(slopes))
    return values, project(move(images, directions, step_size))


def gradients(objective, images):
    """Return (values, slopes): what the objective says of the images, `(n,)`, and its gradients, shaped as they are.

    Which way is up, and how steep, for those who do not climb: see `attributions`. The images may be activations
    `(n, height, width, maps)` too, where the objective reads those. Raises ValueError for images that are no batch or
    hold NaN, and for an objective that does not depend on them. Introduced in notebook 08.
    """
    checks.function(objective, "objective", OBJECTIVE)
    images = checks.images(images)
    with held():
        values, slopes = (tensor.numpy() for tensor in _compiled_slopes(objective, tf.constant(images)))
    faults.check_values(values, images, 0)
    return values, slopes


def climb(objective, images, step_sizes, project=standardize, precondition=identity, reports=report_steps,
          move=straight):
    """Yield (step, images, values) at the reporting steps of a gradient ascent, as numpy arrays.

    A climb of 600 steps passes through 601 states, numbered by the steps made: state 0 is the start, state 600 what
    the last step leaves, and it is always reported. `values (n,)` belong to the images they come with.

    objective     gives one value per image, see `objectives`
    images        the start `(n, height, width, channels)`; it is projected first
    step_sizes    one per step: `np.full(600, 0.01)` is the articles' epsilon and epochs, `np.geomspace(10, 0.1,
                  30)` cools down. A gradient is brought to root mean square 1 before it is scaled; so is a
                  standardized image, hence a step turns the image by at most arctan(step size)
    project       brings images back to those that are allowed: `standardize`, `clip` in pixel space, or your own
    precondition  changes the gradients before they are normalized, see `soften`
    reports       from the number of states to those that are reported; `range` reports every one
    move          how a step is made: `straight`, or along a `great_circle`, where the step size is the angle

    Images never influence one another. Nothing is printed: to watch, to save or to stop early, iterate and
    `break`. An interrupt (Stop, Ctrl-C) still reports the images as they are, then goes on its way. Raises
    ValueError for images that are no batch or hold NaN, for step sizes that are no list of numbers above 0, and for
    an objective that does not give one finite number per image. Source: articles VIII and IX. Introduced in
    notebook 04.
    """
    checks.function(objective, "objective", OBJECTIVE)
    checks.function(reports, "reports", "range")
    rules = (checks.function(project, "project", "standardize"),
             checks.function(precondition, "precondition", "soften"), checks.function(move, "move", "great_circle"))
    images, step_sizes = checks.images(images, name="the start images"), checks.step_sizes(step_sizes)
    reporting, at_once = _reporting(reports, len(step_sizes) + 1), _steps_at_once(images)
    with held():
        images = project(tf.constant(images))
    made = 0
    try:
        for begin in range(0, len(step_sizes), at_once):
            leave_if_asked()
            sizes = step_sizes[begin : begin + at_once]
            frames, values, images = _advance(objective, images, sizes, rules, begin)
            made = begin + len(sizes)
            for state in range(begin, made):
                if state in reporting:
                    yield state, frames[state - begin], values[state - begin]
    except KeyboardInterrupt:
        yield made, *_end(objective, images, made)
        raise
    yield made, *_end(objective, images, made)


def ascend(objective, images, step_sizes, project=standardize, precondition=identity, reports=report_steps,
           move=straight):
    """Return the `Ascent` of a climb, for the arguments see `climb`.

    Interrupting it (Stop, Ctrl-C) keeps what was made so far, with `stopped` set.
    """
    record, stopped = [], False
    try:
        for report in climb(objective, images, step_sizes, project, precondition, reports, move):
            record.append(report)
    except KeyboardInterrupt:
        stopped = True
        if not record:
            raise
    steps, frames, values = zip(*record)
    return Ascent(np.array(steps), np.array(frames), np.array(values), stopped)


def last_images(objective, images, step_sizes, project=standardize, precondition=identity, move=straight):
    """Return the images `(n, height, width, channels)` that a climb ends with, for the arguments see `climb`.

    An interrupt (Stop, Ctrl-C) is let through: images of half a climb are never taken for its result. For whatever
    builds on a climb.
    """
    reports = climb(objective, images, step_sizes, project, precondition, only_the_result, move)
    [(_, images, _)] = reports  # there is one only; an interrupt is raised behind it
    return images


def _advance(objective, images, step_sizes, rules, made):
    """Make some steps, `made` of them having led here. Return three things:

    frames `(steps, n, height, width, channels)`, the images before each of the steps; values `(steps, n)`, what the
    objective says of these; and the images after the last step, as a tensor.
    """
    with held():
        try:
            if _few(images):
                padded = np.zeros(STEPS_AT_ONCE, np.float32)
                padded[: len(step_sizes)] = step_sizes
                count = tf.constant(len(step_sizes))
                frames, values, after = _steps(objective, images, tf.constant(padded), count, *rules)
            else:
                values, after = _step(objective, images, tf.constant(step_sizes[0]), *rules)
                frames, values = images[tf.newaxis], values[tf.newaxis]
        except (ValueError, TypeError, tf.errors.OpError):
            faults.explain(lambda: step_uphill(objective, images, tf.constant(step_sizes[0]), *rules), images)
            raise
        frames, values = frames.numpy(), values.numpy()
    for step in range(len(step_sizes)):
        faults.check_images(frames[step], made + step)
        faults.check_values(values[step], images, made + step)
    return frames, values, after


def _end(objective, images, made):
    """The images after the last step, and what the objective says of them; `made` steps led to them."""
    with held():
        end = images.numpy()
        faults.check_images(end, made)
        try:
            values = _values(objective, images).numpy()
        except (ValueError, TypeError, tf.errors.OpError):
            faults.explain(lambda: (objective(images), images), images)
            raise
    faults.check_values(values, images, made)
    return end, values


def _root_mean_square(images):
    return tf.sqrt(tf.reduce_mean(tf.square(images), axis=(1, 2, 3), keepdims=True))


def _slopes(objective, images):
    """What the objective says of the images `(n,)`, and its gradients: the only place where any are taken."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = objective(images)  # (n,)
        if values is None:
            raise ValueError("the objective gives None; let it return one number for each image")
        values = tf.cast(values, tf.float32)
    slopes = tape.gradient(values, images)
    if slopes is None:
        raise ValueError("the objective does not depend on the images, so there is nothing to climb")
    return values, slopes


def _reporting(reports, states):
    """The set of states to report."""
    wanted = checks.numbers([*reports(states)], "the reported states", dtype=float)
    return set(wanted.ravel().astype(int).tolist())


def _few(images):
    count, height, width = images.shape[:3]
    return count <= FEW_IMAGES and count * height * width <= FEW_PIXELS


def _steps_at_once(images):
    return int(np.clip(PIXELS_AT_ONCE // np.prod(images.shape[:3]), 1, STEPS_AT_ONCE)) if _few(images) else 1


_step = tf.function(step_uphill, reduce_retracing=True)  # one compilation per kind of objective
_compiled_slopes = tf.function(_slopes, reduce_retracing=True)
_values = tf.function(lambda objective, images: tf.cast(objective(images), tf.float32), reduce_retracing=True)


@tf.function(reduce_retracing=True)
def _steps(objective, images, step_sizes, count, project, precondition, move):
    """Several steps in one go: with few images most of the time would be spent on the way from Python and back."""
    frames, values = (tf.TensorArray(tf.float32, STEPS_AT_ONCE, element_shape=shape)
                      for shape in (images.shape, images.shape[:1]))
    for step in tf.range(count):
        frames = frames.write(step, images)
        value, images = step_uphill(objective, images, step_sizes[step], project, precondition, move)
        values = values.write(step, value)
    return frames.stack(), values.stack(), images
