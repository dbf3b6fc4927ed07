"""Read what a layer of a Keras model says about images. Knows nothing of ascents, files or figures.

An *extractor* is a `keras.Model` from images to one layer's output. It shares the weights of the reader's
model, which is never changed: not its activations, not its graph.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

NON_LINEARITIES = tuple(
    getattr(keras.layers, name) for name in ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
)
_extractors = weakref.WeakKeyDictionary()  # the same model and layer give the same extractor: one compilation


def feature_extractor(model, layer):
    """Return a model from images to the activations of `layer`, `(n, height, width, maps)` or `(n, units)`.

    These are the values *after* the non-linearity, whether it is fused into the layer or is a layer of its own
    that follows, with or without batch normalization in between. Asking twice gives the same extractor. Raises
    ValueError for an unknown layer, naming those that exist. Introduced in notebook 03.
    """
    return _extractor(model, layer, _after)


def pre_activation_extractor(model, layer):
    """Return a model from images to the pre-activations of `layer`: its values before the non-linearity.

    Where a ReLU is silent its gradient is zero as well; the pre-activation still knows which way is up
    (notebook 04). For the Output layer these are the logits. A layer without a non-linearity gives the same
    as with `feature_extractor`.
    """
    return _extractor(model, layer, _before)


def mean_activations(features, images, batch_size=256):
    """Return how strongly each map answers to each image, `(n, maps)`: its mean over all positions.

    `features` is an extractor; for a dense layer the values are the units themselves. Works in batches, so
    60,000 images do not fill the memory.
    """
    forward = getattr(features, "compiled_forward", features)
    means = []
    for first in range(0, len(images), batch_size):
        batch = np.asarray(images[first : first + batch_size], np.float32)
        activations = np.asarray(forward(batch))
        means.append(activations.mean(axis=tuple(range(1, activations.ndim - 1))))
    return np.concatenate(means)


def class_means(values, labels, classes=10):
    """Return the mean of `values` `(n, units)` over the images of each class, `(classes, units)`.

    Row c is what the articles call the feature coding pattern of class c. Raises ValueError for a class
    without images. Introduced in notebook 03.
    """
    sizes = np.bincount(labels, minlength=classes)
    if len(sizes) != classes or not sizes.all():
        raise ValueError(f"images per class are {sizes.tolist()}; each of {classes} classes needs at least one")
    belongs = np.asarray(labels) == np.arange(classes)[:, np.newaxis]  # (classes, n)
    return belongs.astype(float) @ np.asarray(values) / sizes[:, np.newaxis]  # floats: a product of truths is a truth


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
    a grouped one, or an unknown map. Used by the activation explorer (notebook 03).
    """
    below, conv = _extractor(model, layer, _below), _find_layer(model, layer)
    if not 0 <= index < conv.filters:
        raise ValueError(f"map index {index} does not exist: layer {layer!r} has 0 to {conv.filters - 1}")
    inputs = below.compiled_forward(np.asarray(images, np.float32))
    kernels = tf.convert_to_tensor(conv.kernel)[..., index]  # (height, width, inputs)
    values = tf.nn.depthwise_conv2d(
        inputs, tf.cast(kernels, inputs.dtype)[..., tf.newaxis], strides=(1, *conv.strides, 1),
        padding=conv.padding.upper(), dilations=conv.dilation_rate,
    )  # fmt: skip
    bias = float(conv.bias[index]) if conv.use_bias else 0.0
    source = below.outputs[0]._keras_history.operation.name
    return Contributions(source, np.asarray(inputs), np.asarray(kernels), np.asarray(values), bias)


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
    """
    maps = features.output_shape[-1]
    if not 0 <= index < maps:
        raise ValueError(f"map index {index} does not exist: this layer has 0 to {maps - 1}")
    images = np.asarray(images, np.float32)
    batches = (images[first : first + batch_size] for first in range(0, len(images), batch_size))
    nodes = np.concatenate([np.asarray(features(batch, training=False)[..., index]) for batch in batches])  # (n, h, w)
    numbers = np.argsort(-nodes.max(axis=(1, 2)), kind="stable")[:count]
    places = nodes[numbers].reshape(len(numbers), -1).argmax(axis=1)
    corners = geometry.start + geometry.stride * np.stack(np.unravel_index(places, nodes.shape[1:]), axis=1)
    edge, field = geometry.field, geometry.field
    wide = np.pad(images[numbers], ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    cut = [image[r : r + field, c : c + field] for image, (r, c) in zip(wide, corners + edge)]
    return Patches(np.stack(cut), numbers, corners, nodes[numbers].max(axis=(1, 2)))


def conv_layers(model):
    """Return the names of the model's two-dimensional convolutional layers, first to last."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def _extractor(model, layer, find_output):
    known = _extractors.setdefault(model, {})
    if (find_output, layer) not in known:
        _input(model)  # refuses a model without a graph before anything else looks at it
        extractor = find_output(model, _find_layer(model, layer))
        forward = lambda images: extractor(images, training=False)  # noqa: E731
        extractor.compiled_forward = tf.function(forward, reduce_retracing=True)
        known[find_output, layer] = extractor
    return known[find_output, layer]


def _find_layer(model, name):
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(f"layer {name!r} not found; this model has {', '.join(names)}")
    return model.layers[names.index(name)]


def _after(model, layer):
    return keras.Model(_input(model), _call(model, _non_linearity(model, layer) or layer).output_tensors[0])


def _before(model, layer):
    non_linearity = _non_linearity(model, layer)
    if non_linearity is None:
        return keras.Model(_input(model), _call(model, layer).output_tensors[0])
    source = _call(model, non_linearity).input_tensors[0]
    if isinstance(non_linearity, NON_LINEARITIES):
        return keras.Model(_input(model), source)
    images = keras.Input(_input(model).shape[1:])  # a graph of its own: the reader's stays as it is
    below = images if source is _input(model) else keras.Model(_input(model), source)(images)
    return keras.Model(images, _BeforeActivation(non_linearity)(below))


def _below(model, layer):
    if not isinstance(layer, keras.layers.Conv2D):
        raise ValueError(f"layer {layer.name!r} is a {type(layer).__name__}; only the maps of a Conv2D are such sums "
                         f"({', '.join(conv_layers(model)) or 'this model has none'})")
    if layer.groups > 1:
        raise ValueError(f"layer {layer.name!r} is a convolution in {layer.groups} groups, whose maps do not read all "
                         "maps below; choose a layer with groups=1")
    if layer.data_format != "channels_last":
        raise ValueError(f"layer {layer.name!r} has its channels first; build it with data_format='channels_last'")
    return keras.Model(_input(model), _call(model, layer).input_tensors[0])


def _non_linearity(model, layer):
    """The layer that holds the non-linearity of `layer`: itself, one that follows, or None."""
    activation = getattr(layer, "activation", None)
    if isinstance(layer, NON_LINEARITIES) or activation not in (None, keras.activations.linear):
        return layer
    output = _call(model, layer).output_tensors[0]
    followers = [other for other in model.layers if _reads(other, output)]
    if len(followers) == 1 and isinstance(followers[0], (*NON_LINEARITIES, keras.layers.BatchNormalization)):
        return _non_linearity(model, followers[0])
    return None


def _call(model, layer):
    """The call of `layer` in the graph of `model`; other models that share the layer have called it as well."""
    own, tensors = set(), list(model.outputs)
    while tensors:
        operation, number, _ = tensors.pop()._keras_history
        node = operation._inbound_nodes[number]
        if node not in own:
            own.add(node)
            tensors.extend(node.input_tensors)
    return next(node for node in layer._inbound_nodes if node in own)


def _reads(layer, tensor):
    return any(read is tensor for node in layer._inbound_nodes for read in node.input_tensors)


def _input(model):
    try:
        inputs = model.inputs
    except (AttributeError, ValueError):
        inputs = []
    if not inputs and not isinstance(model, keras.Sequential):
        raise ValueError(f"{type(model).__name__} is a subclassed model whose layers form no graph; rebuild it with "
                         "keras.Model(inputs, outputs)")
    if not inputs:
        raise ValueError("the model does not know its input yet; call it once on an image batch, then try again")
    if len(inputs) > 1:
        raise ValueError(f"the model has {len(inputs)} inputs; extractors need a model with one image input")
    return inputs[0]


class _BeforeActivation(keras.layers.Layer):
    """What `layer` computes without its fused activation, from the very same weights."""

    def __init__(self, layer):
        super().__init__(name=f"{layer.name}_before_activation", dtype=layer.dtype_policy)
        twin = object.__new__(type(layer))  # shares the variables: stays true when the model learns on
        twin.__dict__.update(layer.__dict__, activation=keras.activations.linear)
        self.compute = twin.call

    def call(self, images):
        return self.compute(images)
