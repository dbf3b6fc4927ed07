"""Write a network into the one file that the live page reads: python site/weights.py data/cnn.keras -o cnn.bin

The file begins with the length of a header (4 bytes, little-endian) and the header itself, JSON in UTF-8 padded with
spaces to a multiple of 4 bytes. Then come the kernel and the bias of each layer in their order, each array padded to a
multiple of 4 bytes. Knows nothing of the page.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers.models import SHIPPED, load_cnn  # noqa: E402, I001 - helpers come first: they quiet TensorFlow
import keras  # noqa: E402

TYPES = {"float32": np.float32, "float16": np.float16}
PASSING = keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Dropout  # nothing of theirs is needed
SERVED = "the page runs Conv2D, MaxPooling2D(2), Flatten, Dropout and Dense layers in one chain"


def network_bytes(model, python="load_cnn()", dense="float32"):
    """Return `model` as the content of the file that the page reads.

    `python` is the expression that loads the model, for the lines of Python that the page shows. The weights of dense
    layers may be stored as "float16": then the file is smaller by 28 %, and the shipped CNN's class probabilities
    change by up to 1e-3. The convolutions are always stored in full, because rounding them changes the way a climb
    takes. Raises ValueError, naming the layer, for a network that the page cannot run.
    """
    layers, arrays = [], []
    for layer in _chain(model):
        if isinstance(layer, keras.layers.MaxPooling2D):
            layers[-1]["pooled"] = layer.name
            continue
        if isinstance(layer, PASSING):
            continue
        convolution = isinstance(layer, keras.layers.Conv2D)
        kernel = np.asarray(layer.kernel, np.float32)
        bias = np.asarray(layer.bias, np.float32) if layer.use_bias else np.zeros(kernel.shape[-1], np.float32)
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"layer {layer.name!r} holds NaN or infinite weights; train or load the network again")
        entry = {"name": layer.name, "kernel": list(kernel.shape), "type": "float32" if convolution else dense}
        entry |= {"kind": "convolution", "padding": layer.padding, "pooled": None} if convolution else {"kind": "dense"}
        layers.append(entry)
        arrays += [array.astype(TYPES[entry["type"]]) for array in (kernel, bias)]
    header = json.dumps({"name": model.name, "python": python, "input": list(model.input_shape[1:3]),
                         "layers": layers}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    return len(header).to_bytes(4, "little") + header + b"".join(_padded(array.tobytes()) for array in arrays)


def _padded(content):
    return content + bytes(-len(content) % 4)


def _chain(model):
    """Yield the layers of a model in their order, each of a kind that the page runs; ValueError for another."""
    if not isinstance(model, keras.Sequential) and not _is_chain(model):
        raise ValueError(f"model {model.name!r} has branches or several inputs or outputs; {SERVED}")
    shape = model.input_shape
    if len(shape) != 4 or shape[-1] != 1 or None in shape[1:]:
        raise ValueError(f"model {model.name!r} reads images of shape {tuple(shape[1:])}; the page runs networks for "
                         "gray images of one size, (height, width, 1)")
    before, layers = None, [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    for number, layer in enumerate(layers):
        reason = _refused(layer, before, last=number == len(layers) - 1)
        if reason:
            raise ValueError(f"layer {layer.name!r} {reason}; {SERVED}")
        if not isinstance(layer, keras.layers.Dropout):
            before = layer
        yield layer
    if not isinstance(before, keras.layers.Dense):
        raise ValueError(f"model {model.name!r} ends in layer {before.name!r}; the page needs a Dense layer with "
                         "softmax at the end")


def _is_chain(model):
    """Whether each layer of a functional model reads just what the one before it gives."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    tensor = model.inputs[0]
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if len(layer._inbound_nodes) < 1 or layer.input is not tensor:
            return False
        tensor = layer.output
    return tensor is model.outputs[0]


def _refused(layer, before, last):
    """What keeps the page from running a layer that comes after `before`, as the end of a sentence; or nothing."""
    kinds = keras.layers
    if type(layer) is kinds.Conv2D:
        return _refused_convolution(layer, before)
    if type(layer) is kinds.MaxPooling2D:
        plain = layer.pool_size == (2, 2) and layer.strides == (2, 2) and layer.padding == "valid"
        if not plain or layer.data_format != "channels_last":
            return "is not the plain pooling of 2 x 2 nodes"
        return None if type(before) is kinds.Conv2D else "does not follow a Conv2D layer"
    if type(layer) is kinds.Flatten:
        return None if type(before) in (kinds.Conv2D, kinds.MaxPooling2D) else "does not follow maps"
    if type(layer) is kinds.Dropout:
        return None
    if type(layer) is not kinds.Dense:
        return f"is a {type(layer).__name__}"
    if type(before) not in (kinds.Flatten, kinds.Dense):
        return "is a Dense layer that reads maps without a Flatten before it"
    wanted = keras.activations.softmax if last else keras.activations.relu
    return None if layer.activation is wanted else f"has the activation {_name(layer)}, not {wanted.__name__}"


def _refused_convolution(layer, before):
    if before is not None and not isinstance(before, (keras.layers.Conv2D, keras.layers.MaxPooling2D)):
        return "is a Conv2D behind dense layers"
    if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or layer.groups != 1:
        return "has strides, dilation or groups other than 1"
    if layer.padding not in ("valid", "same") or layer.data_format != "channels_last":
        return f"has padding {layer.padding!r} or its channels first"
    return None if layer.activation is keras.activations.relu else f"has the activation {_name(layer)}, not relu"


def _name(layer):
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)


def main():
    parser = argparse.ArgumentParser(description="Write a network for the live page.")
    parser.add_argument("model", nargs="?", type=Path, default=SHIPPED, help="a .keras or .h5 file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--dense", choices=TYPES, default="float32", help="how the dense weights are stored")
    options = parser.parse_args()
    shipped = options.model.resolve() == SHIPPED.resolve()
    python = "load_cnn()" if shipped else f"load_cnn({options.model.name!r})"
    try:
        options.output.write_bytes(network_bytes(load_cnn(options.model), python, options.dense))
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
