"""The engine: batched gradient ascent on the sphere of standardized images.

It knows nothing of models, layers, digits or figures: an objective gives one value per image, and the
engine makes it larger. Nothing but this module takes gradients of images.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.base import checks
from helpers.images import standardize

FEW_IMAGES, FEW_PIXELS = 8, 50_000  # up to so many a step is so short that
STEPS_AT_ONCE = 15  # steps are better made in one go; more would make Stop wait,
PIXELS_AT_ONCE = 100_000  # and so would these of larger images, counted in pixels of all steps together
OBJECTIVE = "Channels(features, [7])"  # an example of one
_asked_to_stop = ContextVar("asked_to_stop", default=lambda: False)


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
    images = tf.constant(checks.images(images))
    values, slopes = _compiled_slopes(objective, images)
    return _checked_values(values, images, 0), slopes.numpy()


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
    checks.function(objective, "objective", OBJECTIVE), checks.function(reports, "reports", "range")
    images = tf.constant(checks.images(images, name="the start images"))
    step_sizes = checked_step_sizes(step_sizes)
    rules = (checks.function(project, "project", "standardize"),
             checks.function(precondition, "precondition", "soften"), checks.function(move, "move", "great_circle"))
    images, steps, made = project(images), len(step_sizes), 0
    wanted = checks.numbers([*reports(steps + 1)], "the reported states", dtype=float)
    reporting = set(wanted.ravel().astype(int).tolist())
    longest = int(np.clip(PIXELS_AT_ONCE // np.prod(images.shape[:3]), 1, STEPS_AT_ONCE)) if _few(images) else 1
    try:
        for begin in range(0, steps, longest):
            leave_if_asked()
            sizes = step_sizes[begin : begin + longest]
            frames, values, after = _advance(objective, images, sizes, rules, begin)
            images, made = after, begin + len(sizes)
            for state in sorted(reporting & set(range(begin, made))):
                yield state, frames[state - begin].numpy(), values[state - begin]
    except KeyboardInterrupt:
        yield made, images.numpy(), _values_of(objective, images, made)
        raise
    yield made, images.numpy(), _values_of(objective, images, made)


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


@contextmanager
def stoppable(asked):
    """Let climbs within this block be interrupted from elsewhere: as soon as `asked()` is true.

    A climb then does what it does at an interrupt (Stop, Ctrl-C), and so does all that is built on it: zoos and
    dreams keep what was made so far. Those interrupts reach the main thread only; this reaches the thread that
    runs the block, and no other. `asked` is a function without arguments such as `threading.Event().is_set`.
    """
    before = _asked_to_stop.set(asked)
    try:
        yield
    finally:
        _asked_to_stop.reset(before)


def leave_if_asked():
    """Raise KeyboardInterrupt if this thread runs within `stoppable` and was asked to stop: for long work of others."""
    if _asked_to_stop.get()():
        raise KeyboardInterrupt


def _advance(objective, images, step_sizes, rules, made):
    """The images before each of the steps, what the objective says of them, and the images after the last step."""
    _check_images(images, made)
    try:
        if _few(images):
            padded = np.zeros(STEPS_AT_ONCE, np.float32)
            padded[: len(step_sizes)] = step_sizes
            frames, values, after = _steps(objective, images, tf.constant(padded), tf.constant(len(step_sizes)), *rules)
        else:
            values, after = _step(objective, images, tf.constant(step_sizes[0]), *rules)
            frames, values = images[tf.newaxis], values[tf.newaxis]
    except (ValueError, TypeError, tf.errors.OpError):
        _explain(lambda: step_uphill(objective, images, tf.constant(step_sizes[0]), *rules), images)
        raise
    values = np.asarray(values)  # at once: to take a tensor apart costs as much as a step or two
    return frames, np.stack([_checked_values(each, images, made + step) for step, each in enumerate(values)]), after


def _values_of(objective, images, made):
    """What the objective says of the images, without a step; `made` steps led to them."""
    _check_images(images, made)
    try:
        values = _values(objective, images)
    except (ValueError, TypeError, tf.errors.OpError):
        _explain(lambda: (objective(images), images), images)
        raise
    return _checked_values(values, images, made)


def _explain(attempt, images):
    """Try without compilation what failed with it: an error then is the objective's own word, not a page of another's.

    TensorFlow's errors are told by their first line.
    """
    try:
        values, _ = attempt()
    except tf.errors.OpError as error:
        raise ValueError(f"the objective fails for images of shape {tuple(images.shape)}: "
                         f"{error.message.splitlines()[0]}") from None
    except ValueError as error:
        raise error from None
    except TypeError as error:
        raise ValueError(f"the objective fails for images of shape {tuple(images.shape)}: {error}") from error
    _checked_values(values, images, 0)


def _check_images(images, made):
    """A ReLU may turn NaN into 0, so the values alone would not tell."""
    if not np.isfinite(images).all():
        raise ValueError(f"the images hold NaN or infinite values after {made} steps; project, precondition and the "
                         "gradient of the objective must give numbers")


def _checked_values(values, images, made):
    values = np.asarray(values)
    if values.shape != images.shape[:1]:
        raise ValueError(f"the objective gives values of shape {values.shape} for {len(images)} images; it must give "
                         f"one number for each, shape ({len(images)},)")
    if not np.isfinite(values).all():
        wrong = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"the objective gives {values[wrong]} for image {wrong} after {made} steps; it must give a "
                         "finite number wherever the climb goes")
    return values


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


def _few(images):
    count, height, width = images.shape[:3]
    return count <= FEW_IMAGES and count * height * width <= FEW_PIXELS


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


def checked_step_sizes(step_sizes):
    """Return the step sizes as an array `(steps,)`; ValueError unless all are numbers above 0."""
    try:
        sizes = checks.numbers(step_sizes, "step_sizes", (None,))
    except ValueError:
        sizes = None
    if sizes is None or not (sizes > 0).all():
        raise ValueError(f"step_sizes {step_sizes!r} must be a list of numbers above 0, such as np.full(600, 0.01)")
    return sizes
