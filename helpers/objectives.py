"""What an ascent should make large: one number per image. Knows nothing of layers, digits or steps.

An objective is a record that can be called with images `(n, height, width, channels)` and gives values
`(n,)`. It always goes up, and image i never influences value j. Because it is a `NamedTuple`, its numbers
(indices, positions, weights) reach the compiled step of `ascent` as data: climbing another map costs no
new compilation. To make your own, write a `NamedTuple` with `__call__`; notebook 04 does.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class _Channels(NamedTuple):
    features: Callable
    indices: tf.Tensor
    leak: tf.Tensor


class Channels(_Channels):
    """Image i climbs the mean activation of feature map `indices[i]`.

    `features` gives `(n, height, width, maps)` or, for a dense layer, `(n, units)`; `indices` has one entry
    per image. On pre-activations `leak` says what a negative value counts, as in a leaky ReLU: 1 counts it in
    full, 0 is the activation itself, and anything above 0 leaves a gradient where the map is silent. Raises
    ValueError for an index that is no map; a negative one never means "the last". Source: articles VII and
    VIII. Introduced in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, features, indices, leak=1.0):
        indices = _checked(indices, lambda: features.output_shape[-1:], "map index")
        leak = tf.constant(leak, tf.float32) if isinstance(leak, (int, float)) else leak
        return super().__new__(cls, features, indices, leak)

    def __call__(self, images):
        activations = tf.cast(self.features(images, training=False), tf.float32)
        leaky = tf.maximum(activations, self.leak * activations)
        means = tf.reduce_mean(leaky, axis=list(range(1, leaky.shape.rank - 1)))  # (n, maps)
        return tf.reduce_sum(means * tf.one_hot(self.indices, means.shape[-1]), axis=-1)


class _Neurons(NamedTuple):
    features: Callable
    positions: tf.Tensor


class Neurons(_Neurons):
    """Image i climbs one single node, `positions[i]` = (row, column, map), instead of a map's mean.

    A node sees its own receptive field only, so the pattern appears once and nowhere else; comparing it
    with the map's OIP shows whether that is a superposition of shifted copies (articles VII, question Q5).
    Raises ValueError for a node outside the layer. Introduced in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, features, positions):
        return super().__new__(cls, features, _checked(positions, lambda: features.output_shape[1:], "position"))

    def __call__(self, images):
        return tf.cast(tf.gather_nd(self.features(images, training=False), self.positions, batch_dims=1), tf.float32)


class WholeLayer(NamedTuple):
    """Every image climbs the mean over all nodes and all maps of the layer, as a DeepDream does."""

    features: Callable

    def __call__(self, images):
        activations = self.features(images, training=False)
        return tf.reduce_mean(activations, axis=list(range(1, activations.shape.rank)))


class CrossEntropy(NamedTuple):
    """How wrong `model` is about each image: minus the log of the probability it gives to `labels[i]`.

    Climbing it makes adversarial examples, which is how the shipped CNN was hardened (notebook 02).
    """

    model: Callable
    labels: tf.Tensor

    def __call__(self, images):
        probabilities = self.model(images, training=False)
        true = tf.gather(probabilities, self.labels, axis=1, batch_dims=1)
        return -tf.math.log(tf.maximum(true, 1e-7))


class Penalized(NamedTuple):
    """`objective` minus `weight` times `penalty(images)`: a wish about the image itself beside the climb.

    `penalty` is a function such as `total_variation` or `lp_norm` that gives one number per image.
    Source: Mahendran and Vedaldi 2015; article DC uses both. Introduced in notebook 04.
    """

    objective: Callable
    penalty: Callable
    weight: tf.Tensor | float

    def __call__(self, images):
        return self.objective(images) - self.weight * self.penalty(images)


class _Mixed(NamedTuple):
    objectives: tuple
    weights: tf.Tensor


class Mixed(_Mixed):
    """The sum of several objectives, each times its weight; a negative weight avoids what the others seek.

    `Mixed([Channels(features, [3]), Channels(features, [5])], [1, 0.5])` climbs two maps at once, and the objectives
    may look at different layers. Values of different layers differ in size, so compare their gradients before you
    choose weights. Raises ValueError unless there is one finite weight for each objective. Introduced in notebook 06.
    """

    __slots__ = ()

    def __new__(cls, objectives, weights):
        if isinstance(weights, (list, tuple, np.ndarray)):
            weights = np.asarray(weights, np.float32)
            if weights.shape != (len(objectives),) or not len(objectives) or not np.isfinite(weights).all():
                raise ValueError(f"weights {weights.tolist()} must hold one finite number for each of "
                                 f"{len(objectives)} objectives")
            weights = tf.constant(weights)
        return super().__new__(cls, tuple(objectives), weights)

    def __call__(self, images):
        return sum(self.weights[place] * objective(images) for place, objective in enumerate(self.objectives))


class _Jittered(NamedTuple):
    objective: Callable
    state: tf.Variable
    pixels: tf.Tensor


class Jittered(_Jittered):
    """`objective` as it sees the images after a random shift, the same for all images of the batch.

    Every call rolls rows and columns by up to `pixels` (what leaves on one side comes back on the other) and
    the gradient comes back unrolled, so the image itself never wanders. A pattern that only works on one exact
    grid of pixels is climbed no more. The shifts are drawn from `generator`, a Philox one such as
    `tf.random.Generator.from_seed(4)`: a new generator of the same seed gives the same climb. The values are
    those of the shifted images; ask `objective` itself for the plain ones. Source: Mordvintsev, Olah and Tyka
    2015; article DC, where the shift was never undone (catalogue B40). Introduced in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, objective, generator, pixels):
        state = getattr(generator, "state", generator)  # a variable is data to tf.function, a generator is not
        pixels = tf.constant(pixels, tf.int32) if isinstance(pixels, (int, np.integer)) else pixels
        return super().__new__(cls, objective, state, pixels)

    def __call__(self, images):
        generator = tf.random.Generator(state=self.state, alg="philox")
        shift = generator.uniform((2,), -self.pixels, self.pixels + 1, tf.int32)
        return self.objective(tf.roll(images, shift, axis=(1, 2)))


def total_variation(images):
    """Return the mean squared difference of neighboring pixels of each image: large for speckle."""
    down = tf.reduce_mean(tf.square(images[:, 1:] - images[:, :-1]), axis=(1, 2, 3))
    right = tf.reduce_mean(tf.square(images[:, :, 1:] - images[:, :, :-1]), axis=(1, 2, 3))
    return down + right


def lp_norm(images, power=6):
    """Return the mean of |pixel| ** power of each image: large where few pixels stand out far."""
    return tf.reduce_mean(tf.abs(images) ** power, axis=(1, 2, 3))


def same_map(features, index):
    """Return an aim for tiles (see `dreams.carve_tiles`): all climb map `index`."""
    return lambda starts, numbers: Channels(features, [index] * len(starts))


def listed_maps(features, indices):
    """Return an aim for tiles: tile 0 climbs `indices[0]`, tile 1 `indices[1]`, ..., after the last the first again.

    Tiles are counted row by row, those that an overlap puts between the others included.
    """
    return lambda starts, numbers: Channels(features, [indices[number % len(indices)] for number in numbers])


def random_maps(features, seed):
    """Return an aim for tiles: each climbs a map drawn at random, the same one in every pass."""
    maps = features.output_shape[-1]
    return lambda starts, numbers: Channels(
        features, [int(np.random.default_rng((seed, number)).integers(maps)) for number in numbers]
    )


def strongest_maps(features):
    """Return an aim for tiles: each climbs the map that already answers most to it, as a DeepDream does."""

    def aim(starts, numbers):
        answers = np.asarray(features(starts, training=False)).mean(axis=(1, 2))  # (n, maps)
        return Channels(features, answers.argmax(axis=1))

    return aim


def _checked(values, limits, name):
    """`values` as an int32 tensor, refused unless each number lies below its limit."""
    if not isinstance(values, (int, list, tuple, range, np.integer, np.ndarray)):
        return values  # a tensor already, or what tf.function puts in the place of one
    numbers = np.asarray(values)
    limits = [2**31 - 1 if limit is None else limit for limit in limits()]
    columns = numbers.reshape(-1, 1) if len(limits) == 1 else numbers
    if numbers.size == 0 or numbers.dtype.kind not in "iu" or columns.ndim != 2 or columns.shape[1] != len(limits):
        raise ValueError(f"{name} {values!r} must hold {len(limits)} whole number(s) for each image")
    for wrong in columns[((columns < 0) | (columns >= limits)).any(axis=1)].tolist():
        last = [limit - 1 for limit in limits]
        wrong, first, last = (wrong, [0] * len(last), last) if len(last) > 1 else (wrong[0], 0, last[0])
        raise ValueError(f"{name} {wrong} does not exist: this layer has {first} to {last}")
    return tf.constant(numbers, tf.int32)
