"""What the nodes of a network see: receptive fields, and the trunk that runs on images of any size.

Reads the layers of a Keras model, which is left untouched; knows nothing of weights' values, images or files.
"""

from typing import NamedTuple

import keras
from keras import layers


class Geometry(NamedTuple):
    """What one node of a layer sees, along one axis of the image; see `receptive_fields`."""

    layer: str
    map_size: tuple  # (height, width) of a feature map
    maps: int
    weights: int
    field: int  # pixels of the image that one node sees, along each axis
    stride: int  # pixels from the field of one node to that of its neighbor
    start: int  # first pixel that the first node would see; below 0 in the padding
    seen: tuple  # (first, last) pixel that any node of the layer sees

    @property
    def overlap(self):
        """Pixels that the fields of two neighboring nodes share."""
        return max(0, self.field - self.stride)


def receptive_fields(model):
    """Return the `Geometry` of each convolution and pooling layer of a chain of layers, first to last.

    With kernel k, stride s and the jump j between neighboring nodes of the layer below, the field grows by
    (k - 1) * j and the jump becomes s * j. Fields are counted without the image's border: in the padding of a
    "same" convolution a node sees less. Raises ValueError for a model with branches, for images of no fixed size,
    for masks that are not square, and for layers that shift nodes in another way, such as ZeroPadding2D.
    Introduced in notebook 01, which corrects the sizes given in article I.
    """
    if len(model.inputs or ()) != 1 or None in model.input_shape[1:]:
        raise ValueError(f"model {model.name!r} needs one input of a fixed size, such as keras.Input((28, 28, 1))")
    table, field, stride, start, seen = [], 1, 1, 0, (0, model.input_shape[1] - 1)
    for layer in _checked_chain(model):
        window = _window(layer)
        if window is None:
            continue
        kernel, step, padding = window
        missing = (layer.output.shape[1] - 1) * step + kernel - layer.input.shape[1]
        start -= stride * (max(0, missing) // 2 if padding == "same" else 0)
        field, stride = field + (kernel - 1) * stride, step * stride
        _, height, width, maps = layer.output.shape
        end = start + (height - 1) * stride + field - 1
        seen = (max(seen[0], start), min(seen[1], end))  # what the layer below lost stays lost
        table.append(Geometry(layer.name, (height, width), maps, layer.count_params(), field, stride, start, seen))
    return table


def any_size(model):
    """Return the convolutional trunk of `model`, which runs on images of any size, `(n, height, width, channels)`.

    The trunk is everything before the first layer that no longer gives maps, such as Flatten, Dense or a global
    pooling. It has the same layer names and a copy of the weights; `model` is left untouched. Raises ValueError for
    a model with branches, without a convolution, or with a layer that knows the size of its images. Introduced in
    notebook 07, where it makes octaves possible.
    """
    if len(model.inputs or ()) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(f"model {model.name!r} needs one input of images, such as keras.Input((28, 28, 1))")
    trunk = list(_trunk(model))
    if not any(isinstance(layer, layers.Conv2D) for layer in trunk):
        raise ValueError(f"model {model.name!r} has no Conv2D layer before its maps end, so there is no trunk to keep")
    maps = images = keras.Input((None, None, model.inputs[0].shape[-1]), name=model.inputs[0].name)
    for layer in trunk:
        try:
            twin = type(layer).from_config(layer.get_config())
            maps = twin(maps)
            twin.set_weights(layer.get_weights())
        except (ValueError, TypeError) as error:
            raise ValueError(f"layer {layer.name!r} knows the size of its images; any_size needs layers that do not, "
                             "such as convolutions and poolings") from error
    return keras.Model(images, maps, name=f"{model.name}_any_size")


def _trunk(model):
    """The layers from the image up to the last that gives maps, refused where they are no chain."""
    below = None
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        read = layer.input
        branch = isinstance(read, (list, tuple)) or (below and read._keras_history.operation is not below)
        if branch or isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself or part of a branch; any_size needs a "
                             "chain of layers")
        if len(layer.output.shape) != 4:
            return
        yield layer
        below = layer


def _checked_chain(model):
    """The layers of the model, refused unless each reads the one before it and leaves nodes in known places."""
    below = None
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        if isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself; ask for its receptive fields alone")
        read = layer.input
        if isinstance(read, (list, tuple)) or (below and read._keras_history.operation is not below):
            raise ValueError(f"layer {layer.name!r} is part of a branch; receptive fields are for a chain of layers")
        if len(layer.output.shape) == 4 and layer.output.shape[1:3] != read.shape[1:-1] and _window(layer) is None:
            raise ValueError(f"layer {layer.name!r} moves nodes in a way that receptive_fields does not know")
        yield layer
        below = layer


def _window(layer):
    """(kernel, stride, padding) of a layer that slides a square window over the image; else None."""
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)):
        size, step, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    elif isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
        size, step, dilation = layer.pool_size, layer.strides, (1, 1)
    else:
        return None
    if any(along != across for along, across in (size, step, dilation)):
        raise ValueError(f"layer {layer.name!r} has a mask or stride that is not square; receptive_fields needs that")
    return dilation[0] * (size[0] - 1) + 1, step[0], layer.padding
