"""Of each image the one map that it climbs, at the cost of that map alone. Knows nothing of objectives.

A convolution computes all its maps, although an image climbs only one of them. A map is a sum over the places of its
kernel (nine of them, if it is 3 x 3): at each place the maps below are weighted and added up to one plane, and the
planes, each moved to its place, are added. So the kernels of the other maps are not needed.
"""

import keras
import tensorflow as tf

from helpers.base.graph import calls

ONE_BY_ONE = tuple(getattr(keras.activations, name) for name in (
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh",
))  # fmt: skip


def own_maps_of(features, layer):
    """Return a function of images and indices that gives map `indices[i]` of an extractor for image i.

    There is one index for each image, or a single one for all. What comes is `(n, positions)` or `(n, height, width)`.
    `features` ends with `layer`: where that is a plain convolution only the wanted kernels are used, elsewhere all
    maps are computed and one is taken. Values and gradients are the same.
    """
    if not _is_plain_convolution(layer):
        return lambda images, indices: chosen(features(images), indices)
    image, maps_below = features.inputs[0], calls(features)[-1].reads[0]
    below = keras.Model(image, maps_below) if maps_below is not image else None  # the first layer reads the image

    def own_maps(images, indices):
        maps = below(images, training=False) if below else images
        indices = tf.broadcast_to(indices, tf.shape(maps)[:1])
        kernels = tf.gather(layer.kernel, indices, axis=-1)  # (rows, columns, maps below, n)
        planes = tf.einsum("nhwm,rcmn->nhwrc", maps, kernels)
        rows, columns, places = *layer.kernel_size, layer.kernel_size[0] * layer.kernel_size[1]
        planes = tf.reshape(planes, tf.concat([tf.shape(maps)[:3], [places]], 0))
        moved = tf.reshape(tf.eye(places), (rows, columns, places, 1))  # each plane to its place, and all added
        own = tf.nn.convolution(planes, moved, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)
        own = own[..., 0]  # (n, height, width)
        if layer.use_bias:
            own += tf.gather(layer.bias, indices)[:, tf.newaxis, tf.newaxis]
        return layer.activation(own)

    return own_maps


def chosen(activations, indices):
    """Return of activations `(n, ..., maps)` those of map `indices[i]` of image i, `(n, positions)`."""
    maps, count = activations.shape[-1], tf.shape(activations)[0]
    mask = tf.one_hot(tf.broadcast_to(indices, (count,)), maps)  # (n, maps)
    return tf.linalg.matvec(tf.reshape(activations, (count, -1, maps)), mask)


def _is_plain_convolution(layer):
    """Whether each map of the layer can be computed alone, and in single precision."""
    return (type(layer) is keras.layers.Conv2D and layer.groups == 1 and layer.data_format == "channels_last"
            and layer.compute_dtype == "float32" and layer.activation in ONE_BY_ONE)
