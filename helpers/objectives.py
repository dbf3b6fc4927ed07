"""What an ascent should make large: one number per image. Knows nothing of layers, digits or steps.

An objective is a record that can be called with images `(n, height, width, channels)` and gives values
`(n,)`. It always goes up, and image i never influences value j. Because it is a named tuple, its numbers
(indices, positions, weights) reach the compiled step of `ascent` as data: climbing another map costs no
new compilation. To make your own, write a `NamedTuple` with `__call__`; notebook 04 does.

Most records below turn what they are given into tensors first, and refuse what does not exist. That is what
`__new__` is for, the function that Python calls to make a tuple.
"""

from collections import namedtuple
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.base import checks
from helpers.base.own_maps import chosen

NO_DATA = int | float | str | list | tuple | dict | range | np.generic | np.ndarray | type(None)


class Channels(namedtuple("Channels", "features indices leak")):
    """Image i climbs the mean activation of feature map `indices[i]`.

    `features` gives `(n, height, width, maps)` or, for a dense layer, `(n, units)`: with the pre-activations of
    the output layer image i climbs the logit of class `indices[i]`. There is one index per image, or a single one
    for all. On pre-activations `leak` says what a negative value counts, as in a leaky ReLU: 1 counts it in full,
    0 is the activation itself, and anything above 0 leaves a gradient where the map is silent. Raises ValueError
    for an index that is no map; a negative one never means "the last". Source: articles VII and VIII. Introduced
    in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, features, indices, leak=1.0):
        indices = _whole_numbers(indices, "map index", lambda: _shape(features)[-1:])
        return super().__new__(cls, features, indices, _weight(leak, "leak", least=0, most=1))

    def __call__(self, images):
        images = _checked_images(self.features, images)
        _check_count(self.indices, images, "map indices")
        if hasattr(self.features, "own_maps"):
            own = self.features.own_maps(images, self.indices)  # (n, positions) or (n, height, width)
        else:  # a model of the reader's own
            own = chosen(tf.cast(self.features(images, training=False), tf.float32), self.indices)
        leaky = tf.maximum(own, self.leak * own)
        return tf.reduce_mean(leaky, axis=list(range(1, leaky.shape.rank)))


class Neurons(namedtuple("Neurons", "features positions")):
    """Image i climbs one single node, `positions[i]` = (row, column, map), instead of a map's mean.

    A node sees its own receptive field only, so the pattern appears once and nowhere else; comparing it
    with the map's OIP shows whether that is a superposition of shifted copies (articles VII, question Q5).
    Raises ValueError for a node outside the layer. Introduced in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, features, positions):
        return super().__new__(cls, features, _whole_numbers(positions, "position", lambda: _shape(features)[1:]))

    def __call__(self, images):
        activations = _answers(self.features, images)
        _check_count(self.positions, activations, "positions")
        return tf.gather_nd(activations, self.positions, batch_dims=1)


class WholeLayer(NamedTuple):
    """Every image climbs the mean over all nodes and all maps of the layer, as a DeepDream does."""

    features: Callable

    def __call__(self, images):
        activations = _answers(self.features, images)
        return tf.reduce_mean(activations, axis=list(range(1, activations.shape.rank)))


class CrossEntropy(namedtuple("CrossEntropy", "model labels")):
    """How wrong `model` is about each image: minus the log of the probability it gives to `labels[i]`.

    Climbing it makes adversarial examples, which is how the shipped CNN was hardened (notebook 02).
    """

    __slots__ = ()

    def __new__(cls, model, labels):
        return super().__new__(cls, model, _whole_numbers(labels, "label", lambda: _shape(model, "model")[-1:]))

    def __call__(self, images):
        probabilities = _answers(self.model, images)
        _check_count(self.labels, probabilities, "labels")
        chosen = tf.one_hot(self.labels, probabilities.shape[-1])
        return -tf.math.log(tf.maximum(tf.reduce_sum(probabilities * chosen, axis=-1), 1e-7))


class _OfClasses(namedtuple("_OfClasses", "logits indices")):
    """What the objectives of classes share; `indices` has one class for each image, or a single one for all."""

    __slots__ = ()

    def __new__(cls, logits, indices):
        return super().__new__(cls, logits, _whole_numbers(indices, "class", lambda: _two_or_more(logits)))

    def gap(self, images):
        """The logit of each image's class less the log-sum-exp of all others, `(n,)`."""
        own, others = self.own_and_others(images)
        return own - tf.reduce_logsumexp(others, axis=-1)

    def own_and_others(self, images):
        """The logit of each image's class, `(n,)`, and those of the others, `(n, classes)` with its own out of play."""
        logits = _answers(self.logits, images)
        _check_count(self.indices, logits, "classes")
        mask = tf.broadcast_to(tf.one_hot(self.indices, logits.shape[-1]), tf.shape(logits))
        return tf.reduce_sum(logits * mask, axis=-1), tf.where(mask > 0, logits.dtype.min, logits)


class Gaps(_OfClasses):
    """Image i climbs the logit of class `indices[i]` less the log-sum-exp of all others.

    0 is a probability of one half; the softmax is the sigmoid of it. A plain logit is `Channels(logits, indices)`,
    but it may rise while others rise as well. `logits` is `activations.class_logits(model)`. Raises ValueError for a
    class that does not exist and for a model with a single output. Introduced in notebook 08.
    """

    __slots__ = ()

    def __call__(self, images):
        return self.gap(images)


class Probabilities(_OfClasses):
    """Image i climbs the softmax of class `indices[i]`; arguments and errors are those of `Gaps`.

    Its gradient is that of the gap times p (1 - p), and vanishes where the network is sure. Introduced in notebook 08.
    """

    __slots__ = ()

    def __call__(self, images):
        return tf.sigmoid(self.gap(images))


class LogProbabilities(_OfClasses):
    """Image i climbs the log of the softmax of class `indices[i]`; arguments and errors are those of `Gaps`.

    Its gradient is that of the gap times 1 - p, and vanishes where p is near 1. Introduced in notebook 08.
    """

    __slots__ = ()

    def __call__(self, images):
        return tf.math.log_sigmoid(self.gap(images))


class Margins(_OfClasses):
    """Image i climbs the logit of class `indices[i]` less the largest of the others: above 0 it is the answer.

    Arguments and errors are those of `Gaps`. Source: Carlini and Wagner 2017. Introduced in notebook 08.
    """

    __slots__ = ()

    def __call__(self, images):
        own, others = self.own_and_others(images)
        return own - tf.reduce_max(others, axis=-1)


class Penalized(namedtuple("Penalized", "objective penalty weight")):
    """`objective` minus `weight` times `penalty(images)`: a wish about the image itself beside the climb.

    `penalty` is a function such as `total_variation` or `lp_norm` that gives one number per image.
    Source: Mahendran and Vedaldi 2015; article DC uses both. Introduced in notebook 04.
    """

    __slots__ = ()

    def __new__(cls, objective, penalty, weight):
        return super().__new__(cls, objective, penalty, _weight(weight, "weight"))

    def __call__(self, images):
        return self.objective(images) - self.weight * self.penalty(images)


class Mixed(namedtuple("Mixed", "objectives weights")):
    """The sum of several objectives, each times its weight; a negative weight avoids what the others seek.

    `Mixed([Channels(features, [3]), Channels(features, [5])], [1, 0.5])` climbs two maps at once, and the objectives
    may look at different layers. Values of different layers differ in size, so compare their gradients before you
    choose weights. Raises ValueError unless there is one finite weight for each objective. Introduced in notebook 06.
    """

    __slots__ = ()

    def __new__(cls, objectives, weights):
        if not np.iterable(objectives) or hasattr(objectives, "_fields"):
            raise ValueError(f"objectives {checks.shown(objectives)} must be a list, such as [WholeLayer(features)]")
        objectives = tuple(objectives)
        return super().__new__(cls, objectives, _weights(weights, len(objectives)))

    def __call__(self, images):
        return sum(self.weights[place] * objective(images) for place, objective in enumerate(self.objectives))


class Jittered(namedtuple("Jittered", "objective state pixels")):
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
        if isinstance(generator, np.random.Generator | np.random.BitGenerator | int | type(None)):
            raise ValueError(f"generator {generator!r} does not fit; use tf.random.Generator.from_seed(4)")
        if not is_data(pixels):
            pixels = tf.constant(checks.whole(pixels, "pixels"), tf.int32)
        return super().__new__(cls, objective, state, pixels)

    def __call__(self, images):
        generator = tf.random.Generator(state=self.state, alg="philox")
        shift = generator.uniform((2,), -self.pixels, self.pixels + 1, tf.int32)
        return self.objective(tf.roll(images, shift, axis=(1, 2)))


def total_variation(images):
    """Return the mean squared difference of neighboring pixels of each image: large for speckle.

    In an image of one row, such as a latent vector, there is none below another: then only the columns count.
    """
    down, right = images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]
    return sum(tf.reduce_sum(tf.square(steps), axis=(1, 2, 3)) / tf.cast(tf.maximum(tf.size(steps[0]), 1), steps.dtype)
               for steps in (down, right))


def lp_norm(images, power=6):
    """Return the mean of |pixel| ** power of each image: large where few pixels stand out far."""
    return tf.reduce_mean(tf.abs(images) ** power, axis=(1, 2, 3))


def _answers(features, images):
    """What `features` says of the images, in single precision."""
    return tf.cast(features(_checked_images(features, images), training=False), tf.float32)


def _checked_images(features, images):
    """The images as a tensor, refused if the network sees another size."""
    checks.function(features, "features", "feature_extractor(model, layer)")
    images, seen = tf.convert_to_tensor(images), getattr(features, "input_shape", None)
    if isinstance(seen, tuple) and len(seen) == 4:
        if not images.shape.is_compatible_with(seen):
            raise ValueError(f"images have shape {tuple(images.shape)}; the network sees "
                             f"({', '.join('any' if size is None else str(size) for size in seen)})")
        images = tf.ensure_shape(images, seen)  # holds where a compiled step leaves the size open
    return images


def _check_count(chosen, activations, name):
    """Refuse a number of indices that is not that of the images; a single one serves all."""
    given, images = chosen.shape[0] if chosen.shape.rank else 1, activations.shape[0]
    if None not in (given, images) and given not in (1, images):
        raise ValueError(f"{given} {name} for {images} images; give one for each image, such as [7] * {images}")


def is_data(value):
    """Return whether a value is a tensor already, or what TensorFlow puts in the place of one."""
    return not isinstance(value, NO_DATA)


def _weight(value, name, **limits):
    """A number as a tensor, so that another one is no other compilation."""
    return value if is_data(value) else tf.constant(checks.number(value, name, **limits), tf.float32)


def _weights(values, count):
    if is_data(values):
        return values
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "uif" or numbers.shape != (count,) or not count or not np.isfinite(numbers).all():
        raise ValueError(f"weights {checks.shown(values)} must hold one finite number for each of {count} objectives")
    return tf.constant(numbers, tf.float32)


def _two_or_more(logits):
    """The shape `(classes,)` of the logits, refused where there is nothing to compare."""
    if _shape(logits, "logits")[-1] < 2:
        raise ValueError("the model has a single output, so there are no other classes to compare with; climb that "
                         "output alone with Channels(class_logits(model), [0])")
    return logits.output_shape[-1:]


def _shape(features, name="features"):
    """The shape of what an extractor, or any model, gives; refused where it is none."""
    return checks.network(features, name).output_shape


def _whole_numbers(values, name, limits):
    """Map indices, positions or labels as a tensor, refused unless each is a whole number below its limit.

    `limits()` has one entry for an index, three for a position (row, column, map); None is no limit.
    """
    if is_data(values):
        return values
    numbers, limits = np.asarray(values), limits()
    columns = numbers.reshape(-1, 1) if len(limits) == 1 else numbers
    if numbers.size == 0 or numbers.dtype.kind not in "iu" or columns.ndim != 2 or columns.shape[1] != len(limits):
        raise ValueError(f"{name} {checks.shown(values)} must hold {len(limits)} whole number(s) for each image")
    most = np.array([np.inf if limit is None else limit for limit in limits])
    for wrong in columns[((columns < 0) | (columns >= most)).any(axis=1)].tolist():
        last = [limit - 1 for limit in limits]
        wrong, first, last = (wrong, [0] * len(last), last) if len(last) > 1 else (wrong[0], 0, last[0])
        raise ValueError(f"{name} {wrong} does not exist: this layer has {first} to {last}")
    return tf.constant(numbers, tf.int32)
