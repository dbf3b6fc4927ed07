"""Digits as arrays: MNIST, Fashion-MNIST in its place, scikit-learn's. Knows nothing of models or figures.

A data set is read from a file on this machine, or downloaded once into the cache of Keras. Where MNIST cannot be
had, scikit-learn's real handwritten digits stand in; `digits_in_use` says what is there.
"""

import contextlib
import functools
import gzip
import os
import shutil
import socket
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import sklearn.datasets

from helpers.base import checks
from helpers.base.files import DATA, written
from helpers.images import standardize
from helpers.ink import digit_from_ink, load_digit, mnist_manner  # noqa: F401 - two of them found here as well
from helpers.photos import load_photo, png_bytes, save_film, save_picture  # noqa: F401 - found here as well

FOLDER = DATA  # where the reader may put a data set
ARRAYS = "x_train", "y_train", "x_test", "y_test"
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # where Keras has them from
ANSWER_SECONDS = 4.0  # how long we wait for a sign of life from there
STALL_SECONDS = 30.0  # how long a download may stand still


class DataSet(NamedTuple):
    """What `load_digits` must know of a data set, each with 10 classes of gray images of 28 x 28 pixels."""

    name: str
    images: str  # what they show
    file: str  # in the folder data
    variable: str  # of the environment, naming another file
    cached: tuple  # files in the Keras cache: one npz, or one gzip for each of `ARRAYS`
    counts: tuple  # images for training and test
    may_be_part: bool  # whether fewer images will do


DATA_SETS = {
    "mnist": DataSet("MNIST", "digits", "mnist.npz", "MNIST_NPZ", ("mnist.npz",), (60_000, 10_000), False),
    "fashion_mnist": DataSet(
        "Fashion-MNIST", "pieces of clothing", "fashion_mnist.npz", "FASHION_NPZ",
        tuple(f"fashion-mnist/{part}-ubyte.gz" for part in
              ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")),
        (60_000, 10_000), True,
    ),
}  # fmt: skip
SMALL = "scikit-learn"
SMALL_DIGITS = "1,797 real handwritten digits of scikit-learn, brought to 28x28"


def load_digits(split, dataset="mnist"):
    """Return the images and labels of handwritten digits; `split` is "train" or "test".

    Images are float32 `(n, 28, 28, 1)` in model space, labels int64 `(n,)`. "mnist" are MNIST's 60,000 and 10,000
    digits (LeCun, Cortes and Burges 1998), from the first of: the file that the environment variable MNIST_NPZ
    names, data/mnist.npz, the Keras cache, a download into that cache. Where there is nothing, nor a network, they
    are scikit-learn's 1,797 digits, every fifth of them for "test"; `digits_in_use` tells which. "scikit-learn" asks
    for these. "fashion_mnist" are as many pictures of clothing (Xiao, Rasul and Vollgraf 2017) from FASHION_NPZ,
    data/fashion_mnist.npz or Keras, where a file may also hold a part of them; nothing stands in for them.

    A file that is cut off or holds something else is a ValueError; a variable that names no file, or Fashion-MNIST
    that cannot be had, a FileNotFoundError. Introduced in notebook 02.
    """
    checks.choice(split, "split", ("train", "test"))
    arrays, _ = _found(dataset)
    pixels = arrays[f"x_{split}"][..., np.newaxis]  # (n, 28, 28, 1)
    images = np.empty(pixels.shape, np.float32)
    for start in range(0, len(pixels), 5000):  # in parts, which take a third of the memory
        images[start : start + 5000] = standardize(pixels[start : start + 5000])
    return images, arrays[f"y_{split}"].astype(np.int64)


def digits_in_use(dataset="mnist"):
    """Return the sentence that says which images `load_digits` gives, for notebooks to print (notebook 02)."""
    _, sentence = _found(dataset)
    return sentence


def load_small_digits():
    """Return the images and labels of scikit-learn's 1,797 handwritten digits, in the form of `load_digits`.

    They are enlarged from 8x8 pixels in MNIST's manner, but come from other hands and another scanner:
    whether a network reads them too tells what it has learned. Source: Alpaydin and Kaynak 1998. Introduced
    in notebook 02.
    """
    splits = [load_digits(split, SMALL) for split in ("train", "test")]
    return tuple(np.concatenate(parts) for parts in zip(*splits))


def _found(dataset):
    """Return the four arrays of a data set, and the sentence that says what they are."""
    checks.choice(dataset, "dataset", (*DATA_SETS, SMALL))
    if dataset == SMALL:
        return _small_digits(), f"{SMALL_DIGITS}."
    wanted = DATA_SETS[dataset]
    named, local = os.environ.get(wanted.variable), FOLDER / wanted.file
    if named or local.exists():
        arrays = _read(wanted, (Path(named).expanduser() if named else local,))
    else:
        arrays = _from_keras(wanted, _cached(wanted))
    if arrays:
        return arrays, _sentence(wanted, arrays)
    broken = all(path.exists() for path in _cached(wanted))
    reason = f"The {wanted.file} in the Keras cache is broken" if broken else f"{wanted.name} is not on this machine"
    if dataset != "mnist":
        raise FileNotFoundError(f"{reason} and cannot be downloaded; put {wanted.file} into the folder data, or name "
                                f"it in the variable {wanted.variable}")
    return _small_digits(), (f"{reason} and cannot be downloaded (put {wanted.file} into the folder data to have it): "
                             f"{SMALL_DIGITS}, stand in.")


def _sentence(wanted, arrays):
    counts = len(arrays["x_train"]), len(arrays["x_test"])
    part = "" if counts == wanted.counts else ", a part of it"
    return f"{wanted.name}{part}: {counts[0]:,} training and {counts[1]:,} test {wanted.images}."


def _cached(wanted):
    folder = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    return tuple(folder / name for name in wanted.cached)


@functools.lru_cache
def _from_keras(wanted, cached):
    """Return the arrays in the Keras cache, or downloaded into it, or None: one attempt for each process."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return _read(wanted, cached)
    return _downloaded(wanted, cached) if _answers(ADDRESS + cached[0].name) else None


@functools.lru_cache
def _read(wanted, paths):
    """Return the four arrays of a data set, verified, from one npz file or from a gzip file for each."""
    try:
        if len(paths) > 1:
            arrays = {name: _unzipped(path) for name, path in zip(ARRAYS, paths, strict=True)}
        else:
            with open(paths[0], "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in ARRAYS if name in archive}
    except FileNotFoundError:
        raise FileNotFoundError(f"{paths[0]} not found; correct or unset the variable {wanted.variable}") from None
    except PermissionError:
        raise PermissionError(f"{paths[0]} may not be read; allow it, or give another file") from None
    except MemoryError:
        raise  # the file may be whole
    except Exception as error:  # numpy raises nearly anything at a damaged archive
        raise ValueError(f"{paths[0]} is cut off or no npz file; {_remedy(wanted)}") from error
    return _verified(wanted, arrays, paths[0])


def _unzipped(path):
    """Return the array in a file of MNIST's own format: a header that ends with its shape, then bytes."""
    with gzip.open(path) as file:
        content = file.read()
    axes = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(np.frombuffer(content, ">u4", axes, 4))


def _verified(wanted, arrays, path):
    """Return the arrays if they have the names, shapes, type and range of the data set's."""
    for name in ARRAYS:
        if name not in arrays:
            raise ValueError(f"{path} has no array {name}; {_remedy(wanted)}")
        count = wanted.counts[name.endswith("test")]
        if wanted.may_be_part:
            count = min(max(1, len(arrays[name.replace("x", "y", 1)])), count)
        found, shape = arrays[name], (count, 28, 28) if name[0] == "x" else (count,)
        if found.shape != shape or found.dtype != np.uint8:
            raise ValueError(f"{name} of {path} is {found.dtype} {found.shape}, not uint8 {shape}; {_remedy(wanted)}")
        if name[0] == "y" and found.max() > 9:
            raise ValueError(f"{name} of {path} goes up to {found.max()}, {wanted.name}'s to 9; {_remedy(wanted)}")
    return arrays


def _remedy(wanted):
    return f"replace it by the {wanted.file} of Keras, with the arrays {', '.join(ARRAYS)}"


def _answers(address):
    """Return whether there is a network that leads to `address`; without one that takes seconds at most."""
    answered = threading.Event()

    def ask():
        with contextlib.suppress(Exception):
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
            answered.set()

    thread = threading.Thread(target=ask, daemon=True)  # since looking up a name heeds no timeout
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answered.is_set()


def _downloaded(wanted, cached):
    """Return a data set as Keras fetches it, or None; only what is whole and right goes into the cache."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            files = [keras.utils.get_file(path.name, ADDRESS + path.name, cache_dir=folder, cache_subdir="")
                     for path in cached]
            arrays = _read.__wrapped__(wanted, tuple(map(Path, files)))
            with contextlib.suppress(OSError):  # a cache that cannot be written costs the next process a download
                _keep(files, cached)
            return arrays
    except Exception:  # Keras raises bare ones when a network goes
        return None
    finally:
        socket.setdefaulttimeout(patience)


def _keep(files, places):
    """Copy whole files to their places, each in one move, so that no half of one is ever found there."""
    places[0].parent.mkdir(parents=True, exist_ok=True)
    for file, place in zip(files, places):
        with written(place) as part:
            shutil.copyfile(file, part)


@functools.lru_cache
def _small_digits():
    """Return scikit-learn's digits as four arrays like MNIST's; every fifth of each class is for the test."""
    bunch = sklearn.datasets.load_digits()
    digits = np.stack([mnist_manner(ink / 16) for ink in bunch.images])  # (1797, 28, 28)
    test = np.zeros(len(digits), bool)
    test[np.argsort(bunch.target, kind="stable")[::5]] = True
    return dict(zip(ARRAYS, (digits[~test], bunch.target[~test], digits[test], bunch.target[test]), strict=True))
