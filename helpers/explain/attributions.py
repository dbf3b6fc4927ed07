"""Which pixels an answer rests on: eight ways to ask, and two ways to doubt what they say.

Each way takes a model, images `(n, height, width, channels)` and one class for each, and returns a number for each
pixel, shaped as the images are. It explains the *logit* of the class; with the name of a `layer`, the mean activation
of map `indices[i]` there, or a single node where `indices[i]` is (row, column, map). Raises ValueError for a class
that does not exist, images of the wrong shape and a model without class outputs. The model is left untouched. Knows
nothing of figures or files. Introduced in notebook 08.
"""

import keras
import numpy as np
import tensorflow as tf

from helpers.activations import conv_layers, feature_extractor, mean_activations
from helpers.ascent import gradients
from helpers.base import checks
from helpers.base.graph import maker_of
from helpers.base.interrupts import held
from helpers.explain.twins import answers_of, rectify_both, rectify_signal, twin, upper_part
from helpers.objectives import Channels, Neurons

AT_ONCE = 256  # images that pass through the model together: bounds the memory


def blank(images):
    """Return the images without ink: every pixel has the lowest value of its image, the paper."""
    images = np.asarray(images, np.float32)
    return np.broadcast_to(images.min(axis=(1, 2, 3), keepdims=True), images.shape).copy()


def gradient(model, images, indices, layer=None):
    """Return by how much the answer rises for each unit of each pixel: what could change it, not what made it.

    Source: Simonyan, Vedaldi and Zisserman 2014.
    """
    return _batch_by_batch(_slopes, answers_of(model, layer), images, indices)


def gradient_times_input(model, images, indices, layer=None):
    """Return the gradient times the pixel: what each pixel would give, were the network linear with this slope."""
    return gradient(model, images, indices, layer) * np.asarray(images, np.float32)


def integrated_gradients(model, images, indices, layer=None, baseline=blank, steps=32):
    """Return each pixel's share in the difference of the answers to the image and to its `baseline`.

    The gradient is averaged along the straight way from one to the other and multiplied by the difference of the
    pixels, so the shares add up to the difference of the answers, but for the error of `steps` steps. `baseline` is
    a function from images to images that hold nothing, `blank` or `np.zeros_like`. Source: Sundararajan, Taly and
    Yan 2017.
    """

    steps = checks.whole(steps, "steps", 1)
    way = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    features = answers_of(model, layer)

    def shares(_, batch, own):
        start = baseline(batch)
        return (batch - start) * _mean_slopes(features, own, [start + part * (batch - start) for part in way])

    return _batch_by_batch(shares, features, images, indices)


def smooth_grad(model, images, indices, layer=None, noise=0.3, samples=25, seed=0):
    """Return the mean gradient at `samples` copies of each image to which noise of deviation `noise` was added.

    All images get the same noise, so it does not matter which others are asked about. Source: Smilkov and others 2017.
    """
    shape = (checks.whole(samples, "samples", 1), 1, *checks.images(images).shape[1:])
    shifts = np.random.default_rng(seed).normal(0, checks.number(noise, "noise", least=0), shape).astype(np.float32)

    features = answers_of(model, layer)

    def means(_, batch, own):
        return _mean_slopes(features, own, [batch + shift for shift in shifts])

    return _batch_by_batch(means, features, images, indices)


def occlusion(model, images, indices, layer=None, window=5, stride=2, fill=blank):
    """Return by how much the answer falls when a square of `window` pixels is filled, the mean over those on a pixel.

    The square moves by `stride` pixels and shows what `fill` makes of the image. Raises ValueError for a window that
    is larger than the image, or a stride that skips pixels. Source: Zeiler and Fergus 2014.
    """
    height, width = checks.images(images).shape[1:3]
    if not 1 <= stride <= window <= min(height, width):
        raise ValueError(f"window {window} and stride {stride} do not fit images of {height} x {width} pixels; use a "
                         f"window of at most {min(height, width)} and a stride from 1 to the window")
    squares = _squares(height, width, window, stride)  # (squares, height, width, 1)
    features = answers_of(model, layer)

    def falls(objective, batch, own):
        empty, answers = fill(batch), []
        for some in np.array_split(squares, -(-len(squares) * len(batch) // AT_ONCE)):
            filled = np.where(some[:, np.newaxis], empty, batch).reshape(-1, *batch.shape[1:])
            repeated = _objective(features, np.concatenate([own] * len(some)))
            answers.append(_answers(repeated, filled).numpy().reshape(len(some), -1))
        losses = _answers(objective, batch).numpy() - np.concatenate(answers)  # (squares, n)
        covered = np.tensordot(losses, squares, axes=(0, 0)) / squares.sum(axis=0)
        return np.broadcast_to(covered, batch.shape)

    return _batch_by_batch(falls, features, images, indices)


def grad_cam(model, images, indices, layer=None, conv=None):
    """Return where the maps of the layer `conv` speak for the answer, each with its mean gradient as weight.

    The sum of the weighted maps, its negative part cut off and enlarged to the size of the image; all color channels
    get the same. `conv` is the last convolution below the answer if not named. Source: Selvaraju and others 2017.
    """
    conv = _chosen_conv(model, layer, conv)
    below, above = feature_extractor(model, conv), upper_part(model, conv, layer)

    def sums(_, batch, own):
        maps = below.answers(batch)
        weights = gradients(_objective(above, own), maps)[1].mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((weights * maps).sum(axis=-1, keepdims=True), 0)  # (n, h, w, 1)
        return np.broadcast_to(tf.image.resize(heat, batch.shape[1:3]), batch.shape)

    return _batch_by_batch(sums, answers_of(model, layer), images, indices)


def map_shares(model, images, indices, conv=None):
    """Return what each map of `conv`, by default the last convolution, gives to the logit, `(n, maps)`.

    The sum over its nodes of activation times gradient: above 0 the map speaks for the class, below 0 against it.
    Grad-CAM shows where, this says which. Used by the digit lab.
    """
    conv = _chosen_conv(model, None, conv)
    below, above = feature_extractor(model, conv), upper_part(model, conv, None)

    def sums(_, batch, own):
        maps = below.answers(batch)
        return (gradients(_objective(above, own), maps)[1] * maps).sum(axis=(1, 2))

    return _batch_by_batch(sums, answers_of(model, None), images, indices)


def deconvnet(model, images, indices, layer=None):
    """Return the answer sent back down to the pixels through the network turned upside down.

    Every max pooling puts a value back where the maximum was (its "switch"), every convolution is transposed,
    and at every ReLU the *signal on its way down* is rectified, whatever went up. That is a gradient with another
    rule at the ReLU; other non-linearities keep their gradient. Source: Zeiler and Fergus 2014.
    """
    return _batch_by_batch(_slopes, twin(model, layer, rectify_signal), images, indices)


def guided_backpropagation(model, images, indices, layer=None):
    """Return what `deconvnet` does, but let the signal pass only where the ReLU was awake on the way up, too.

    Source: Springenberg and others 2015.
    """
    return _batch_by_batch(_slopes, twin(model, layer, rectify_both), images, indices)


METHODS = {
    "gradient": gradient, "gradient x input": gradient_times_input, "integrated gradients": integrated_gradients,
    "SmoothGrad": smooth_grad, "occlusion": occlusion, "Grad-CAM": grad_cam, "deconvnet": deconvnet,
    "guided backpropagation": guided_backpropagation,
}  # fmt: skip


def shuffled_weights(model, layers, seed=0):
    """Return a copy of the model in which the weights of the named layers are dealt anew, each array for itself.

    The numbers stay the same, what was learned is lost: an attribution that explains the model must change.
    Source: Adebayo and others 2018. Raises ValueError for an unknown layer, or one without weights.
    """
    missing = [name for name in layers if not any(one.name == name and one.weights for one in model.layers)]
    if missing:
        having = [layer.name for layer in model.layers if layer.weights]
        raise ValueError(f"no weights in a layer named {', '.join(missing)}; this model has {', '.join(having)}")
    copy, random = keras.models.clone_model(model), np.random.default_rng(seed)
    for old, new in zip(model.layers, copy.layers):
        weights = old.get_weights()
        dealt = [random.permutation(array.ravel()).reshape(array.shape) for array in weights]
        new.set_weights(dealt if old.name in layers else weights)
    return copy


def deletion_curves(model, images, classes, attributions, shares, fill=blank):
    """Return the probability of each image's class, `(shares, n)`, when a share of its pixels is gone.

    The most important pixels go first, so a good attribution makes it fall soon. `attributions` are shaped as the
    images, the largest value counting most; ties are broken by chance. `fill` says what is left where a pixel went.
    Source: Petsiuk, Das and Saenko 2018.
    """
    return _exchange_curves(model, images, fill(images), classes, attributions, shares)


def insertion_curves(model, images, classes, attributions, shares, fill=blank):
    """Return the probability of each image's class, `(shares, n)`, when only a share of its pixels is there.

    The counterpart of `deletion_curves`: the most important pixels come first, and it should rise soon.
    """
    return _exchange_curves(model, fill(images), images, classes, attributions, shares)


def _exchange_curves(model, images, others, classes, attributions, shares):
    """The probability of its class when more and more pixels of an image are those of the other."""
    output = feature_extractor(model, maker_of(model.outputs[0]).name)
    weights = np.asarray(attributions).sum(axis=-1).reshape(len(images), -1)  # (n, pixels)
    chance = np.random.default_rng(0).random(weights.shape)
    ranks = np.lexsort((chance, -weights), axis=-1).argsort(axis=-1) / weights.shape[1]  # 0 .. 1, first to last
    ranks = ranks.reshape(*np.shape(images)[:3], 1)
    curves = [mean_activations(output, np.where(ranks < share, others, images)) for share in shares]
    return np.stack([values[np.arange(len(images)), classes] for values in curves])


def _batch_by_batch(attribute, features, images, indices):
    """The attributions of all images; `attribute` gets an objective, some images and what is asked of each."""
    images = checks.images(images, features.inputs[0].shape[1:])
    indices = _checked_indices(features, images, indices)
    made = []
    for first in range(0, len(images), AT_ONCE):
        own = indices[first : first + AT_ONCE]
        made.append(attribute(_objective(features, own), images[first : first + AT_ONCE], own))
    return np.concatenate(made).astype(np.float32)


def _slopes(objective, batch, _):
    return gradients(objective, batch)[1]


def _mean_slopes(features, own, versions):
    """The mean gradient over several versions of a batch; as many as fit go through the model together."""
    total, rows = 0, max(1, AT_ONCE // len(own))
    for some in (versions[first : first + rows] for first in range(0, len(versions), rows)):
        objective = _objective(features, np.concatenate([own] * len(some)))
        total = total + sum(np.split(gradients(objective, np.concatenate(some))[1], len(some)))
    return total / len(versions)


def _objective(features, indices):
    return (Channels if indices.ndim == 1 else Neurons)(features, indices)


_answers = held()(tf.function(lambda objective, images: objective(images), reduce_retracing=True))


def _checked_indices(features, images, indices):
    """One class or map for each image, or one (row, column, map); a single number serves all."""
    indices, units = np.asarray(indices), features.outputs[0].shape[-1]
    indices = np.full(len(images), indices) if indices.ndim == 0 else indices
    if len(indices) != len(images):
        raise ValueError(f"{len(indices)} classes for {len(images)} images; give one for each, or one for all")
    if indices.ndim == 1 and indices.dtype.kind in "iu" and not ((indices >= 0) & (indices < units)).all():
        wrong = indices[(indices < 0) | (indices >= units)][0]
        raise ValueError(f"class or map {wrong} does not exist: there are 0 to {units - 1}")
    return indices  # what else may be wrong, the objective refuses


def _squares(height, width, window, stride):
    """Masks `(squares, height, width, 1)` of all places of the square, the last ones ending at the edge."""
    rows, columns = (np.unique([*range(0, length - window, stride), length - window]) for length in (height, width))
    masks = np.zeros((len(rows), len(columns), height, width, 1), np.float32)
    for place in np.ndindex(masks.shape[:2]):
        row, column = rows[place[0]], columns[place[1]]
        masks[place][row : row + window, column : column + window] = 1
    return masks.reshape(-1, height, width, 1)


def _chosen_conv(model, layer, conv):
    """The convolution `conv`, by default the last one up to `layer` or of the whole model."""
    names = [one.name for one in model.layers]
    up_to = len(names) if layer is None else names.index(layer) + 1
    below = [name for name in conv_layers(model) if names.index(name) < up_to]
    if not below:
        raise ValueError(f"model {model.name!r} has no Conv2D layer below the answer, so there are no maps to weight")
    return below[-1] if conv is None else checks.choice(conv, "conv", below)
