"""VGG19, a network that has seen a million color photographs: a second pair of eyes for style transfer.

Its weights are not part of the project: Keras downloads them once, or a file is named. Knows nothing of style.
"""

import contextlib
import io
import os
import socket
import warnings
from pathlib import Path

import keras
import numpy as np

MEAN_COLOR = (123.68, 116.779, 103.939)  # of ImageNet, red, green, blue, in 0..255
STALL_SECONDS = 30.0  # how long a download may stand still
WHERE = ("put the notop file of Keras, vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5, somewhere and name it in "
         "VGG19_WEIGHTS")


def load_vgg19():
    """Return the convolutional trunk of VGG19 with ImageNet weights, for pictures `(n, any, any, 3)` in pixel space.

    The weights (80 MB) are those of the file that the environment variable VGG19_WEIGHTS names, else of the Keras
    cache, into which they are downloaded once. Raises FileNotFoundError where the named file is missing or nothing
    can be downloaded, ValueError for a file that is cut off or holds other weights. Source: Simonyan and Zisserman
    2014. Introduced in notebook 10.
    """
    named = os.environ.get("VGG19_WEIGHTS")
    return _for_pictures(_from_file(Path(named).expanduser()) if named else _from_keras())


def build_vgg19(seed):
    """Return the same network with random weights (He 2015): it has the architecture and has learned nothing."""
    network = keras.applications.VGG19(include_top=False, weights=None)
    for number, layer in enumerate(network.layers):
        if isinstance(layer, keras.layers.Conv2D):
            start = keras.initializers.HeNormal(seed=1000 * seed + number)
            layer.set_weights([np.asarray(start(layer.kernel.shape)), np.zeros(layer.filters, np.float32)])
    return _for_pictures(network)


def _from_file(path):
    """VGG19 with the weights of a file. Nothing is remembered: a file that was mended is read anew."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} not found; correct or unset the variable VGG19_WEIGHTS")
    network = keras.applications.VGG19(include_top=False, weights=None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns where weights are missing, and keeps random ones
            network.load_weights(path)
    except Exception as error:  # Keras and h5py raise nearly anything at a damaged file
        raise ValueError(f"{path.name!r} is cut off or holds no weights of VGG19 without its top; {WHERE}") from error
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        raise ValueError(f"{path.name!r} holds NaN or infinite weights; {WHERE}")
    return network


def _from_keras():
    """VGG19 with the weights that Keras keeps in its cache, or downloads once and checks."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras counts bytes there
            return keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises bare Exceptions when a network goes
        raise FileNotFoundError("the weights of VGG19 are not on this machine and cannot be downloaded; "
                                f"{WHERE}") from error
    finally:
        socket.setdefaulttimeout(patience)


def _for_pictures(network):
    """The network as a chain that takes pixel space, red first; VGG19 itself wants 0..255 minus a mean, blue first."""
    images = keras.Input((None, None, 3))
    maps = keras.layers.Rescaling(255.0, offset=[-mean for mean in MEAN_COLOR], name="colors")(images)
    for layer in network.layers[1:]:
        twin = type(layer).from_config(layer.get_config())
        maps = twin(maps)
        kernel, *bias = layer.get_weights() or [None]
        if layer.name == "block1_conv1":
            kernel = kernel[:, :, ::-1]
        twin.set_weights([] if kernel is None else [kernel, *bias])
    return keras.Model(images, maps, name="VGG19")
