"""Build, save and load the CNN. Knows nothing of digits, training or ascents.

What stood here once has rooms of its own now and can still be had from here: `train_cnn`, `augment` and
`rate_schedule` of `training`, `receptive_fields` and `any_size` of `geometry`.
"""

import importlib

import keras
import numpy as np
from keras import layers

from helpers.base import checks, files

SHIPPED = files.DATA / "cnn.keras"
SECOND = SHIPPED.with_name("cnn_second.keras")  # the same recipe, other random numbers: what is chance? (notebook 05)
VARIANTS = {  # of the articles' network, for comparison: keyword arguments of the convolutions, of the poolings
    "articles": ({"padding": "valid"}, {"pool_size": 2}),
    "same padding": ({"padding": "same"}, {"pool_size": 2}),
    "overlapping pooling": ({"padding": "valid"}, {"pool_size": 3, "strides": 2}),
    "hexagonal kernels": ({"padding": "valid"}, {"pool_size": 2}),
}
STARTS = {"glorot": keras.initializers.GlorotUniform, "he": keras.initializers.HeUniform}
MOVED = {"training": ("train_cnn", "augment", "rate_schedule"),
         "geometry": ("Geometry", "receptive_fields", "any_size")}  # fmt: skip


def build_cnn(seed, variant="articles", start="glorot"):
    """Return the untrained CNN of the articles: 3x3 convolutions of 32, 64 and 128 maps, 208,982 weights.

    Input `(n, 28, 28, 1)` in model space, output `(n, 10)` class probabilities. Convolutions are "valid", so
    the maps shrink: 28 -> 26 -> pool 13 -> 11 -> pool 5 -> 3. `start` is the size of the random weights, "glorot" or
    "he". The other variants ask what one thing changes (notebook 11): "same padding" keeps the size of maps in a
    convolution, "overlapping pooling" takes the maximum of 3x3 nodes in steps of 2, "hexagonal kernels" keep 7 of 9
    weights, a node and its six neighbors if every row is shifted by half a pixel. Raises ValueError for another
    word. Source: articles I and IX. Introduced in notebook 01.
    """
    seed = checks.whole(seed, "seed")
    convolution, pooling = VARIANTS[checks.choice(variant, "variant", VARIANTS)]
    random = STARTS[checks.choice(start, "start", STARTS)]
    if variant == "hexagonal kernels":
        convolution = convolution | {"kernel_constraint": hexagonal}

    def conv(maps, number):
        return layers.Conv2D(maps, 3, activation="relu", kernel_initializer=random(1000 * seed + number),
                             name=f"Conv2D_{number}", **convolution)

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="Image"),
            conv(32, 1),
            layers.MaxPooling2D(**pooling, name="Pool_1"),
            conv(64, 2),
            layers.MaxPooling2D(**pooling, name="Pool_2"),
            conv(128, 3),
            layers.Flatten(name="Flatten"),
            layers.Dense(100, activation="relu", kernel_initializer=random(1000 * seed + 4), name="Dense_1"),
            layers.Dense(10, activation="softmax", kernel_initializer=_random(seed, 5), name="Output"),
        ],
        name="CNN",
    )
    for layer in model.layers:
        if getattr(layer, "kernel_constraint", None):
            layer.kernel.assign(layer.kernel_constraint(layer.kernel))
    return model


@keras.saving.register_keras_serializable("helpers")
def hexagonal(kernel):
    """Return 3x3 kernels with two opposite corners set to 0: a constraint for a convolution (article I, Q27)."""
    mask = np.ones((3, 3, 1, 1), np.float32)
    mask[0, 0] = mask[2, 2] = 0
    return kernel * mask


def build_padded_cnn(seed):
    """Return the other CNN of the articles: "same" padding, 24, 48 and 64 maps, dropout, 113,514 weights.

    Maps keep their size in a convolution: 28 -> pool 14 -> pool 7 -> pool 3. Source: article DC.
    """
    seed, convolution = checks.whole(seed, "seed"), {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="Image"),
            layers.Conv2D(24, 3, kernel_initializer=_random(seed, 1), name="Conv2D_1", **convolution),
            layers.MaxPooling2D(2, name="Pool_1"),
            layers.Conv2D(48, 3, kernel_initializer=_random(seed, 2), name="Conv2D_2", **convolution),
            layers.MaxPooling2D(2, name="Pool_2"),
            layers.Conv2D(64, 3, kernel_initializer=_random(seed, 3), name="Conv2D_3", **convolution),
            layers.MaxPooling2D(2, name="Pool_3"),
            layers.Flatten(name="Flatten"),
            layers.Dense(128, activation="relu", kernel_initializer=_random(seed, 4), name="Dense_1"),
            layers.Dropout(0.25, seed=seed, name="Dropout"),
            layers.Dense(10, activation="softmax", kernel_initializer=_random(seed, 5), name="Output"),
        ],
        name="Padded_CNN",
    )


def load_cnn(path=None):
    """Return a trained CNN: the shipped one, or the reader's own `.keras` or `.h5` file.

    The file is read in safe mode, so nothing in it can run code, and without its training state. Raises
    FileNotFoundError for a missing file and ValueError for one that is no Keras model, holds a Lambda layer
    or has no convolutional layer. Introduced in notebook 02.
    """
    path = SHIPPED if path is None else checks.path(path)
    if not path.exists():
        raise FileNotFoundError(f"no model file {str(path)!r}; give the path of a .keras or .h5 file")
    if path.is_dir() or path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ValueError(f"{path.name!r} is no model file; load_cnn reads .keras and .h5 files")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; the reader needs one sentence, the cause stays chained
        raise ValueError(f"{path.name!r} cannot be loaded: {_why(error, path)}") from error
    if not any(isinstance(layer, layers.Conv2D) for layer in getattr(model, "layers", ())):
        inner = [layer.name for layer in getattr(model, "layers", ()) if isinstance(layer, keras.Model)]
        hint = f"; save its inner model, get_layer({inner[0]!r}), as a file of its own" if inner else ""
        raise ValueError(f"the model in {path.name!r} has no Conv2D layer of its own, so there are no feature maps to "
                         f"look at{hint}")
    return model


def save_cnn(model, path):
    """Write `model` as a `.keras` file; an old one is replaced only when the new one is whole."""
    path, model = files.place(path, (".keras",)), checks.network(model)
    if path.suffix != ".keras":  # which Keras insists on
        raise ValueError(f"{path.name!r} must end in .keras, in small letters")
    with files.written(path) as part:
        model.save(part)


def __getattr__(name):
    """The names that have moved to other rooms; these import this one, so they are fetched only when asked for."""
    for room, names in MOVED.items():
        if name in names:
            return getattr(importlib.import_module(f"helpers.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _why(error, path):
    """The reason why a model file cannot be loaded, and the remedy."""
    message = str(error).replace(str(path), "").lower()  # a file may be named lambda
    if "lambda" in message:
        return "it holds a Lambda layer, which could run any code; rebuild the model without it"
    if "could not locate class" in message or "unknown layer" in message:
        return "it holds a layer that Keras does not know; rebuild the model from layers of Keras"
    return "it is damaged or no Keras model; save it again with model.save"


def _random(seed, layer):
    """Random start weights: a stream of its own for every layer, nothing seeded globally."""
    return keras.initializers.GlorotUniform(seed=1000 * seed + layer)
