"""Read what a layer of a Keras model says about images. Knows nothing of ascents, files or figures.

An *extractor* is a `keras.Model` from images to one layer's output. It shares the weights of the reader's
model, which is never changed: not its activations, not its graph.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from helpers.base import checks
from helpers.base.graph import bytes_per_image, call_of, image_of, maker_of, readers_of, refuse_channels_first
from helpers.base.interrupts import held
from helpers.base.own_maps import own_maps_of

BATCH_BYTES = 64e6  # of the largest maps on the way: so many images are looked at together, whatever the network
FAR_OUT = 1e3  # deviations: what an image in model space never holds
NORMALIZATIONS = tuple(
    getattr(keras.layers, f"{kind}Normalization") for kind in ("Batch", "Group", "Layer", "Unit", "RMS")
)
NON_LINEARITIES = tuple(
    getattr(keras.layers, name) for name in ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
)
OPERATIONS = {name.replace("_", "") for name in dir(keras.activations)} - {"linear"}  # keras.ops.leaky_relu: LeakyRelu
_extractors = weakref.WeakKeyDictionary()  # the same model and layer give the same extractor: one compilation


class Extractor(keras.Model):
    """A model from images to the activations of one layer, float32, which always runs as in use.

    So dropout and layers that move images at random do nothing, unless it is called with `training=True`.
    """

    def __call__(self, images, training=False):
        return super().__call__(images, training=training)

    def answers(self, images):
        """Return the activations of a batch of images as a numpy array, compiled.

        Raises ValueError for images of another size than the network's and for NaN in what goes in or comes out.
        """
        _check_weights(self)
        images = checks.images(images, self.input_shape[1:])
        return _finite(self.compiled_forward(images), images)


def feature_extractor(model, layer):
    """Return a model from images to the activations of `layer`, `(n, height, width, maps)` or `(n, units)`.

    These are the values *after* the non-linearity, whether it is fused into the layer or is a layer of its own
    that follows, with or without a normalization in between. Asking twice gives the same extractor. Raises
    ValueError for an unknown layer, naming those that exist, for one that is called twice, and for maps that have
    their channels first. Introduced in notebook 03.
    """
    return _extractor(model, layer, _after)


def pre_activation_extractor(model, layer):
    """Return a model from images to the pre-activations of `layer`: its values before the non-linearity.

    Where a ReLU is silent its gradient is zero as well; the pre-activation still knows which way is up
    (notebook 04). For the Output layer these are the logits. A layer without a non-linearity gives the same
    as with `feature_extractor`.
    """
    return _extractor(model, layer, _before)


def class_logits(model):
    """Return a model from images to the logits of `model`, `(n, classes)`: its output before softmax or sigmoid.

    Any number of classes will do. Raises ValueError for a model with several outputs, with maps instead of one
    number per class, or whose output is made by a model within it. Introduced in notebook 08.
    """
    image_of(model)  # refuses what has no graph
    shapes = [output.shape[1:] for output in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise ValueError(f"model {model.name!r} puts out {' and '.join(map(str, shapes))} for an image; a class output "
                         "is one number per class, as a Dense layer at the end gives")
    last = maker_of(model.outputs[0])
    if isinstance(last, keras.Model):
        raise ValueError(f"the output of model {model.name!r} is made by a model within it, {last.name!r}; ask "
                         f"get_layer({last.name!r}) instead")
    return pre_activation_extractor(model, last.name)


def mean_activations(features, images, batch_size=256):
    """Return how strongly each map answers to each image, `(n, maps)`: its mean over all positions.

    `features` is an extractor; for a dense layer the values are the units themselves. Works in batches that fit
    the memory, however many and large the images are. Raises ValueError for images of another size than the
    network's, and for NaN in images or answers.
    """
    means = [np.mean(answers, axis=tuple(range(1, answers.ndim - 1)), dtype=np.float64)  # whose sum never overflows
             for answers in _answers_in_batches(features, images, batch_size)]  # fmt: skip
    return np.concatenate(means).astype(np.float32)


def class_means(values, labels, classes=10):
    """Return the mean of `values` `(n, units)` over the images of each class, `(classes, units)`.

    Row c is what the articles call the feature coding pattern of class c. Raises ValueError for a class
    without images, and for labels that are not one whole number for each row of `values`.
    Introduced in notebook 03.
    """
    values = checks.numbers(values, "values", (None, None)).astype(float)
    labels = checks.labels(labels, len(values), checks.whole(classes, "classes", 1))
    sizes = np.bincount(labels, minlength=classes)
    if not sizes.all():
        raise ValueError(f"images per class are {sizes.tolist()}; each of {classes} classes needs at least one")
    belongs = labels == np.arange(classes)[:, np.newaxis]  # (classes, n)
    return belongs.astype(float) @ values / sizes[:, np.newaxis]


class Contributions(NamedTuple):
    """What one map of a convolutional layer is the sum of, see `input_contributions`.

    `source` the name of the layer below, `inputs (n, h, w, inputs)` its maps, `kernels (height, width, inputs)` one
    for each of them, `values (n, h, w, inputs)` what each gives to every node, `bias` a number.
    """

    source: str
    inputs: np.ndarray
    kernels: np.ndarray
    values: np.ndarray
    bias: float


def input_contributions(model, layer, index, images):
    """Return the `Contributions` of the maps below to map `index` of a convolutional layer.

    A convolution adds up, over the maps below, each one's correlation with its own kernel. Here the sum is left
    undone: summed over its last axis and with the bias, `values` is the layer's output before its non-linearity.
    For the first layer the "maps below" are the image's channels. Raises ValueError for a layer that is no Conv2D,
    a grouped one, an unknown map, and images of another size. Used by the activation explorer (notebook 03).
    """
    below, conv = _extractor(model, layer, _below), call_of(model, layer).layer
    index = checks.index(index, conv.filters, of=f"layer {layer!r}")
    _check_weights(conv)
    inputs = below.answers(images)
    kernels = tf.cast(tf.convert_to_tensor(conv.kernel)[..., index], tf.float32)  # (height, width, inputs)
    values = tf.nn.conv2d(  # one kernel for each of the maps below, and so a group each
        inputs, kernels[:, :, tf.newaxis], conv.strides, conv.padding.upper(), dilations=conv.dilation_rate,
    )  # fmt: skip
    bias = float(conv.bias[index]) if conv.use_bias else 0.0
    source = maker_of(call_of(model, layer).reads[0]).name
    return Contributions(source, inputs, np.asarray(kernels), np.asarray(values), bias)


def input_patches(model, layer, inputs):
    """Return what the kernels of a convolutional layer meet at each node, `(n, h, w, height, width)`.

    `inputs (n, h, w)` is one of the maps below, such as `Contributions.inputs[..., 0]`; beyond its rim there are
    zeros if the layer pads. A patch times the kernel, added up, is what that map gives to the node. Used by the
    activation explorer (notebook 03).
    """
    conv = call_of(model, layer).layer
    (height, width), strides, rates = conv.kernel_size, conv.strides, conv.dilation_rate
    patches = tf.image.extract_patches(inputs[..., np.newaxis], (1, height, width, 1), (1, *strides, 1), (1, *rates, 1),
                                       conv.padding.upper())  # (n, h, w, height * width)
    return np.asarray(patches).reshape(*patches.shape[:3], height, width)


class Patches(NamedTuple):
    """What excites a feature map most, see `strongest_patches`; strongest first.

    `images (count, field, field, channels)` the parts that the strongest nodes see, `numbers (count,)` the
    images they are cut from, `corners (count, 2)` their first (row, column) there, `values (count,)` the
    activations of these nodes.
    """

    images: np.ndarray
    numbers: np.ndarray
    corners: np.ndarray
    values: np.ndarray


def strongest_patches(features, images, index, geometry, count=10, batch_size=256):
    """Return the `Patches` to which single nodes of map `index` answer most, at most one from each image.

    `geometry` is the layer's row of `geometry.receptive_fields`: it says which pixels a node sees. Where a field
    reaches beyond the image the patch is 0. The real digits to hold beside an OIP; introduced in notebook 03.
    Raises ValueError for an unknown map, the geometry of another layer, and images of another size.
    """
    index, count = checks.index(index, features.output_shape[-1]), checks.whole(count, "count", 1)
    _check_geometry(geometry, features.output_shape)
    images = checks.images(images, features.input_shape[1:])
    values, places = [], []
    for answers in _answers_in_batches(features, images, batch_size):
        nodes = answers[..., index].reshape(len(answers), -1)
        values.append(nodes.max(axis=1)), places.append(nodes.argmax(axis=1))
    numbers = np.argsort(-np.concatenate(values), kind="stable")[:count]
    places = np.unravel_index(np.concatenate(places)[numbers], answers.shape[1:3])
    corners = geometry.start + geometry.stride * np.stack(places, axis=1)
    edge, field = geometry.field, geometry.field
    wide = np.pad(images[numbers], ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    cut = [image[r : r + field, c : c + field] for image, (r, c) in zip(wide, corners + edge)]
    return Patches(np.stack(cut), numbers, corners, np.concatenate(values)[numbers])


def conv_layers(model):
    """Return the names of the model's two-dimensional convolutional layers, first to last."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def _answers_in_batches(features, images, batch_size):
    """Yield the answers of an extractor, or of any model with one output, to as many images as fit the memory."""
    images = checks.images(images, checks.network(features, "features").input_shape[1:])
    most = max(1, int(BATCH_BYTES / bytes_per_image(features, images.shape[1:])))
    size = min(checks.whole(batch_size, "batch_size", 1), most)
    forward = getattr(features, "compiled_forward", features)
    _check_weights(features)
    for first in range(0, len(images), size):
        yield _finite(forward(images[first : first + size]), images[first : first + size])


def _finite(answers, images):
    answers = np.asarray(answers)
    if not (np.isfinite(answers.min()) and np.isfinite(answers.max())):
        if (largest := max(images.max(), -images.min())) > FAR_OUT:
            raise ValueError(f"the network answers NaN or infinite values to images with values as large as "
                             f"{largest:.0e}; bring these to model space by images.standardize")
        raise ValueError("the network answers NaN or infinite values; load the network or train it again")
    return answers


def _check_weights(layer):
    """TensorFlow's convolutions may turn NaN into 0 in their ReLU: a broken network would pass for a silent one."""
    for weight in layer.weights:
        if not np.isfinite(np.sum(weight, dtype=np.float32)):
            raise ValueError(f"weight {weight.path!r} holds NaN or infinite values; load the network or train it again")


def _check_geometry(geometry, shape):
    if not hasattr(geometry, "map_size"):
        raise ValueError(f"geometry {checks.shown(geometry)} is none; pass the layer's row of receptive_fields(model)")
    if len(shape) != 4:
        raise ValueError(f"the layer gives {shape[-1]} single units; patches need a layer with maps")
    given, found = (*geometry.map_size, geometry.maps), shape[1:]
    if any(size not in (None, known) for size, known in zip(found, given)):
        raise ValueError(f"geometry is that of {geometry.layer!r} with maps of {given}, the extractor gives {found}; "
                         "pass the row of receptive_fields(model) that belongs to the layer")


def _extractor(model, layer, find_output):
    if not isinstance(layer, str):
        raise ValueError(f"layer {checks.shown(layer)} is no name of a layer; give one, such as 'Conv2D_3'")
    known = _extractors.setdefault(checks.network(model), {})
    if (find_output, layer) not in known:
        refuse_channels_first(model)
        images, output = find_output(model, call_of(model, layer))
        if output.dtype != "float32":  # mixed precision: all that follows calculates in float32
            images, output = _in_a_graph_of_its_own(images, output, lambda half: keras.ops.cast(half, "float32"))
        extractor = Extractor(images, output)
        forward = lambda images: extractor(images)  # noqa: E731
        extractor.compiled_forward = held()(tf.function(forward, reduce_retracing=True, autograph=False))
        extractor.own_maps = own_maps_of(extractor, _last_layer(output))
        known[find_output, layer] = extractor
    return known[find_output, layer]


def _last_layer(output):
    """The layer that gives an output, without its activation where that was left out."""
    layer = maker_of(output)
    return layer.twin() if isinstance(layer, _BeforeActivation) else layer


def _after(model, call):
    return image_of(model), (_non_linearity(model, call) or call).gives[0]


def _before(model, call):
    call = _non_linearity(model, call) or call
    if _is_non_linearity(call.layer):
        return image_of(model), call.reads[0]
    if not _has_fused(call.layer):
        return image_of(model), call.gives[0]
    return _in_a_graph_of_its_own(image_of(model), call.reads[0], _BeforeActivation(call.layer))


def _below(model, call):
    layer = call.layer
    if not isinstance(layer, keras.layers.Conv2D):
        raise ValueError(f"layer {layer.name!r} is a {type(layer).__name__}; only the maps of a Conv2D are such sums "
                         f"({', '.join(conv_layers(model)) or 'this model has none'})")
    if layer.groups > 1:
        raise ValueError(f"layer {layer.name!r} is a convolution in {layer.groups} groups, whose maps do not read all "
                         "maps below; choose a layer with groups=1")
    return image_of(model), call.reads[0]


def _in_a_graph_of_its_own(images, tensor, layer):
    """The (images, output) of `layer` called on `tensor`, in a new graph: the reader's stays as it is."""
    own = keras.Input(images.shape[1:], dtype=images.dtype)
    return own, layer(own if tensor is images else keras.Model(images, tensor)(own))


def _non_linearity(model, call):
    """The call that holds the non-linearity of a call: itself, one that follows, or None."""
    if _is_non_linearity(call.layer) or _has_fused(call.layer):
        return call
    followers = readers_of(model, call.gives[0])
    if len(followers) == 1 and (_is_non_linearity(followers[0].layer) or _passes_on(followers[0].layer)):
        return _non_linearity(model, followers[0])
    return None


def _is_non_linearity(layer):
    if isinstance(layer, keras.layers.Layer):
        return isinstance(layer, NON_LINEARITIES) and not _passes_on(layer)
    return type(layer).__name__.lower() in OPERATIONS


def _passes_on(layer):
    """Whether the non-linearity of the layer before may come behind this one."""
    linear = isinstance(layer, keras.layers.Activation) and not _has_fused(layer)
    return linear or isinstance(layer, NORMALIZATIONS)


def _has_fused(layer):
    return getattr(layer, "activation", None) not in (None, keras.activations.linear)


class _BeforeActivation(keras.layers.Layer):
    """What `layer` computes without its fused activation, from the very same weights."""

    def __init__(self, layer):
        super().__init__(name=f"{layer.name}_before_activation", dtype=layer.dtype_policy)
        twin = object.__new__(type(layer))  # shares the variables: stays true when the model learns on
        twin.__dict__.update(layer.__dict__, activation=keras.activations.linear)
        self.compute = twin.call
        self.twin = lambda: twin  # a function, so that Keras does not count its weights

    def call(self, images):
        return self.compute(images)
