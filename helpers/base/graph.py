"""Walks the graph of a Keras model: which layer is called on what, and what comes of it.

The one helper that knows the names Keras keeps for itself. Knows nothing of images, activations or files.
"""

from math import prod
from typing import NamedTuple

import keras


class Call(NamedTuple):
    """One call of a layer (or of an operation such as `keras.ops.relu`) in the graph of a model.

    `layer` what is called, `reads` and `gives` the symbolic tensors that go in and come out. Compare tensors with
    `is`: for Keras `==` is a calculation.
    """

    layer: keras.Operation
    reads: tuple
    gives: tuple


def calls(model):
    """Return the `Call`s that lead from the image of a model to its outputs, each after those it reads from.

    The image's own comes first: an `InputLayer` that reads nothing. A layer that is called twice is in it twice; one
    that another model shares is in it only as this model calls it. In a chain of layers each call reads what the one
    before it gives. Raises ValueError for a model without a graph or with more than one input.
    """
    image_of(model)  # refuses what has no graph
    found, done, waiting = [], set(), [(tensor, False) for tensor in model.outputs]
    while waiting:
        tensor, ready = waiting.pop()
        layer, number, _ = tensor._keras_history
        node = layer._inbound_nodes[number]
        if ready:
            found.append(Call(layer, tuple(node.input_tensors), tuple(node.output_tensors)))
        elif node not in done:
            done.add(node)
            waiting += [(tensor, True), *((read, False) for read in reversed(node.input_tensors))]
    return found


def call_of(model, name):
    """Return the one `Call` of the layer `name`, refused with the names there are, or where it is called twice."""
    found = [call for call in calls(model) if call.layer.name == name]
    if not found:
        names = dict.fromkeys(call.layer.name for call in calls(model) if call.reads)
        raise ValueError(f"layer {name!r} not found; this model has {', '.join(names)}")
    if len(found) > 1:
        raise ValueError(f"layer {name!r} is called {len(found)} times in this model, so it has as many activations; "
                         "give each place a layer of its own")
    if len(found[0].gives) > 1:
        raise ValueError(f"layer {name!r} gives {len(found[0].gives)} outputs; choose a layer with one")
    return found[0]


def maker_of(tensor):
    """Return the layer that gives a symbolic tensor."""
    return tensor._keras_history.operation


def readers_of(model, tensor):
    """Return the calls of a model that read a symbolic tensor."""
    return [call for call in calls(model) if any(read is tensor for read in call.reads)]


def image_of(model):
    """Return the symbolic image batch a model begins with; ValueError unless it has a graph with one input."""
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


def refuse_channels_first(model):
    """Raise ValueError if a layer of a model, or of a model within it, has its channels first."""
    for layer, _, _ in calls(model):
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(f"layer {layer.name!r} has its channels first, so its maps would be taken for rows; "
                             "build the model with data_format='channels_last'")
        if isinstance(layer, keras.Model) and len(getattr(layer, "inputs", None) or ()) == 1:
            refuse_channels_first(layer)


def bytes_per_image(model, shape):
    """Return the bytes of the largest tensor on the way of one image of `shape` to the outputs of a model.

    A batch needs a few times as much at its peak: this tells how many images fit a budget. Heights and widths that
    the graph leaves open are counted as the image's.
    """
    def sizes(tensor):
        return [shape[axis] if size is None else size for axis, size in enumerate(tensor.shape[1:])]

    largest = 0
    for call in calls(model):
        inner = call.layer if isinstance(call.layer, keras.Model) else None
        if inner and len(getattr(inner, "inputs", None) or ()) == 1:
            largest = max(largest, bytes_per_image(inner, sizes(call.reads[0])))
        largest = max(largest, *(4 * prod(sizes(tensor)) for tensor in call.gives))
    return largest
