"""What the nodes of a network see: receptive fields, and the trunk that runs on images of any size.

Reads the layers of a Keras model, which is left untouched; knows nothing of weights' values, images or files.
"""

from typing import NamedTuple

import keras
from keras import layers

from helpers.base.graph import calls, image_of, refuse_channels_first

POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)  # behind them there is no place any more


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
    for layer, (read,), (given,) in _checked_chain(model):
        window = _window(layer)
        if window is None:
            continue
        kernel, step, padding = window
        start -= stride * _padding(layer, read, given, kernel, step) if padding == "same" else 0
        field, stride = field + (kernel - 1) * stride, step * stride
        _, height, width, maps = given.shape
        end = start + (height - 1) * stride + field - 1
        seen = (max(seen[0], start), min(seen[1], end))  # what the layer below lost stays lost
        table.append(Geometry(layer.name, (height, width), maps, layer.count_params(), field, stride, start, seen))
    return table


def any_size(model):
    """Return the convolutional trunk of `model`, which runs on images of any size, `(n, height, width, channels)`.

    The trunk is everything before the first layer that no longer gives maps, such as Flatten, Dense or a global
    pooling. It may branch and join again, as in ResNet50. It has the same layer names and a copy of the weights;
    `model` is left untouched. Raises ValueError for a model whose maps end in several places, without a convolution,
    with a model for a layer, or with a layer that knows the size of its images. Introduced in notebook 07, where it
    makes octaves possible.
    """
    if len(model.inputs or ()) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(f"model {model.name!r} needs one input of images, such as keras.Input((28, 28, 1))")
    refuse_channels_first(model)
    trunk = keras.Model(image_of(model), _last_maps(model))
    if not any(isinstance(layer, layers.Conv2D) for layer in trunk.layers):
        raise ValueError(f"model {model.name!r} has no Conv2D layer before its maps end, so there is no trunk to keep")
    images = keras.Input((None, None, model.inputs[0].shape[-1]), name=model.inputs[0].name)
    twin = keras.models.clone_model(trunk, input_tensors=images, call_function=_call_for_any_size)
    twin = keras.Model(images, twin.outputs[0], name=f"{model.name}_any_size")
    twin.set_weights(trunk.get_weights())
    return twin


def _last_maps(model):
    """The symbolic tensor in which the maps of a model end, refused unless all that are made lead to it."""
    ways = {}  # for each tensor that still holds maps the numbers of the calls that lead to it
    for number, (layer, reads, gives) in enumerate(calls(model)):
        below = [ways[id(read)] for read in reads if id(read) in ways]
        still = len(gives[0].shape) == 4 and not isinstance(layer, POOLINGS) and (below or not reads)
        if still and isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself; any_size needs one model of layers")
        if still:
            last, ways[id(gives[0])] = gives[0], {number}.union(*below)
    if len(ways[id(last)]) < len(ways):
        raise ValueError(f"the maps of model {model.name!r} end in several places, in branches that never meet; "
                         "any_size needs one last layer that gives maps")
    return last


def _call_for_any_size(layer, *arguments, **options):
    try:
        return layer(*arguments, **options)
    except (ValueError, TypeError) as error:
        raise ValueError(f"layer {layer.name!r} knows the size of its images; any_size needs layers that do not, "
                         "such as convolutions and poolings") from error


def _checked_chain(model):
    """The calls behind the image, refused unless each reads what the one before gives and keeps nodes in place."""
    refuse_channels_first(model)
    image, *chain = calls(model)
    below = image.gives[0]
    for call in chain:
        layer, (read, *others), (given, *_) = call
        if isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself; ask for its receptive fields alone")
        if others or read is not below:
            raise ValueError(f"layer {layer.name!r} is part of a branch; receptive fields are for a chain of layers")
        if len(given.shape) == 4 and given.shape[1:3] != read.shape[1:-1] and _window(layer) is None:
            raise ValueError(f"layer {layer.name!r} moves nodes in a way that receptive_fields does not know")
        yield call
        below = given


def _padding(layer, read, given, kernel, step):
    """The rows that "same" adds above the maps that a layer reads, which must be the columns on their left too."""
    missing = [max(0, (after - 1) * step + kernel - before) // 2
               for before, after in zip(read.shape[1:3], given.shape[1:3])]  # fmt: skip
    if missing[0] != missing[1]:
        raise ValueError(f"layer {layer.name!r} pads {missing[0]} rows and {missing[1]} columns, so its fields begin "
                         "at other rows than columns; use images as high as wide")
    return missing[0]


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
