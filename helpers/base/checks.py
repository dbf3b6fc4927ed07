"""Refuses an unsuitable argument in one sentence that names it, its value and the remedy: always a ValueError.

Each function returns the argument in the form to work with. Knows nothing of models, pictures or files, so
every other helper may ask here before work begins:

    photo = checks.photo(photo, smallest=28)
    strength = checks.number(strength, "strength", least=0, most=100)
"""

import operator
import os
from pathlib import Path

import numpy as np

REAL = "buif"  # kinds of numpy's numbers: truths, unsigned, whole, with a fraction
LARGEST = 1e12  # in images: the squares of much larger values, and their sums, are no numbers in 32 bits any more


def number(value, name, least=-np.inf, most=np.inf, above=-np.inf):
    """Return `value` as a float: a finite number from `least` to `most`, and larger than `above`."""
    found = np.asarray(value) if np.isscalar(value) or hasattr(value, "dtype") else None
    good = found is not None and found.ndim == 0 and found.dtype.kind in "uif" and np.isfinite(found)
    if not (good and least <= found <= most and found > above):
        raise ValueError(f"{name} {shown(value)} is out of range; use a number{_range(least, most, above)}")
    return float(found)


def whole(value, name, least=0, most=np.inf):
    """Return `value` as an int: a whole number from `least` to `most`. A seed is one, as is a count."""
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None or not least <= found <= most:
        raise ValueError(f"{name} {shown(value)} is out of range; use a whole number{_range(least, most)}")
    return found


def wholes(value, name, count=2, least=0, words="(height, width)"):
    """Return `value` as a tuple of `count` ints of `least` or more, what the `words` say; a single one serves all."""
    entries = list(value) if np.iterable(value) and not isinstance(value, (str, dict)) else [value] * count
    try:
        found = tuple(whole(entry, name, least) for entry in entries)
    except ValueError:
        found = ()
    if len(found) != count:
        raise ValueError(f"{name} {shown(value)} does not fit; give {words}, whole numbers of {least} or more")
    return found


def index(value, count, name="map index", of="this layer"):
    """Return `value` as an int: the number of one of `count` things, from 0."""
    try:
        return whole(value, name, 0, count - 1)
    except ValueError:
        raise ValueError(f"{name} {shown(value)} does not exist: {of} has 0 to {count - 1}") from None


def choice(value, name, options):
    """Return `value`, which must be one of the `options`: words, or whatever can be compared."""
    options = list(options)
    if not any(type(value) is type(option) and value == option for option in options):
        raise ValueError(f"{name} {shown(value)} is unknown; choose {' or '.join(map(repr, options))}")
    return value


def function(value, name, example):
    """Return `value`, which must be callable; `example` says in words what would do, such as "standardize"."""
    if not callable(value):
        raise ValueError(f"{name} {shown(value)} is no function; give one, such as {example}")
    return value


def path(value, name="path"):
    """Return `value`, a str or a path, as a Path in which ~ is the reader's own folder."""
    if not isinstance(value, (str, os.PathLike)) or isinstance(os.fspath(value), bytes):
        raise ValueError(f"{name} {shown(value)} is no path; give a str or a pathlib.Path")
    return Path(value).expanduser()


def network(value, name="model"):
    """Return `value`, which must be a Keras model, or something that can be asked like one."""
    if not (callable(value) and (hasattr(value, "layers") or hasattr(value, "output_shape"))):
        raise ValueError(f"{name} {shown(value)} is no network; give a Keras model, such as models.load_cnn()")
    return value


def numbers(values, name, shape=None, dtype=np.float32):
    """Return `values` as an array: finite numbers, of `shape` if given, whose entries None fit any length."""
    try:
        found = np.asarray(values)
    except (ValueError, TypeError):  # rows of different lengths
        found = np.asarray(None)
    if found.dtype.kind not in REAL and found.dtype.name != "bfloat16":  # which TensorFlow adds to numpy's
        raise ValueError(f"{name} {shown(values)} cannot be read as numbers; give an array of them")
    if shape is not None and not _fits(found.shape, shape):
        raise ValueError(f"{name} have shape {found.shape}; give {_shape(shape)}")
    found = found.astype(dtype, copy=False)
    if found.size and not (np.isfinite(found.min()) and np.isfinite(found.max())):  # without a copy of all
        raise ValueError(f"{name} hold NaN or infinite values; give finite numbers")
    return found


def images(values, shape=(None, None, None), name="images"):
    """Return `values` as a float32 batch `(n, *shape)` of at least one image; None in `shape` fits any length.

    `shape` is (height, width, channels), such as `features.input_shape[1:]`: TensorFlow's compiled functions
    would take images of another size without a word.
    """
    found = numbers(values, name)
    if found.ndim != 4:
        remedy = {2: f"; one gray image is {name}[np.newaxis, ..., np.newaxis]",
                  3: f"; a single image becomes a batch by {name}[np.newaxis], gray ones get their channel by "
                     f"{name}[..., np.newaxis]"}.get(found.ndim, "")  # fmt: skip
        raise ValueError(f"{name} have shape {found.shape}; a batch is (n, height, width, channels){remedy}")
    if 0 in found.shape:
        raise ValueError(f"{name} have shape {found.shape}, so there is no image in them; give at least one")
    if max(-found.min(), found.max()) > LARGEST:
        raise ValueError(f"{name} hold values as large as {max(-found.min(), found.max()):.0e}, of which no deviation "
                         f"can be calculated; divide them, {LARGEST:.0e} is the most")
    if not _fits(found.shape[1:], shape):
        raise ValueError(f"{name} have shape {found.shape}; the network sees {_shape((None, *shape))}, so "
                         f"{_remedy(found.shape[1:], shape)}")
    return found


def step_sizes(values):
    """Return the step sizes of a climb as an array `(steps,)`: numbers above 0, of which there may be none."""
    try:
        found = numbers(values, "step_sizes", (None,))
    except ValueError:
        found = None
    if found is None or not (found > 0).all():
        raise ValueError(f"step_sizes {shown(values)} must be a list of numbers above 0, such as np.full(600, 0.01)")
    return found


def labels(values, count, classes=np.inf, name="labels"):
    """Return `values` as an array `(count,)` of whole numbers from 0 to `classes` - 1, one for each image."""
    found = np.asarray(values)
    if found.ndim == 2 and len(found) == count and found.shape[1] > 1:
        raise ValueError(f"{name} have shape {found.shape}, one column per class; give {name}.argmax(axis=1)")
    if found.shape != (count,):
        raise ValueError(f"{name} have shape {found.shape}; {count} images need one label each")
    wrong = found if found.dtype.kind not in "ui" else found[(found < 0) | (found >= classes)]
    if len(wrong):
        raise ValueError(f"{name} hold {shown(wrong[0])}; each must be a whole number{_range(0, classes - 1)}")
    return found.astype(np.int64)


def photo(values, smallest=1, name="the photo"):
    """Return `values` as float32 `(height, width, 3 or 1)` in pixel space, with `smallest` pixels along each edge."""
    found = np.asarray(values)
    if found.dtype.kind not in REAL or found.ndim != 3 or found.shape[2] not in (1, 3):
        raise ValueError(f"{name} has shape {found.shape} of {found.dtype}; it must be (height, width, 3) or "
                         "(height, width, 1), numbers from 0 to 1")
    if min(found.shape[:2]) < smallest:
        raise ValueError(f"{name} has {found.shape[0]} x {found.shape[1]} pixels; it needs {smallest} along each edge")
    low, high = found.min(), found.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} holds NaN or infinite values; give numbers from 0 to 1")
    if low < -0.01 or high > 1.01:
        raise ValueError(f"{name} has values from {low:g} to {high:g}; pixel space is 0..1, so divide 8-bit values by "
                         "255, or bring them there with images.to_display")
    return found.astype(np.float32, copy=False)


def _fits(found, wanted):
    return len(found) == len(wanted) and all(want in (None, have) for have, want in zip(found, wanted))


def _shape(shape):
    """A shape in words: (n, 28, 28, 1), where None is any length."""
    letters = ["n" if place == 0 else "any" for place in range(len(shape))]
    sizes = [letter if size is None else str(size) for letter, size in zip(letters, shape)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _remedy(found, wanted):
    """How images of one shape come to another."""
    if _fits(found[:2], wanted[:2]):
        return "images.gray makes one channel of three" if found[2] == 3 else "give it images with as many channels"
    return "bring them there with images.resize, or ask a network that sees that size"


def _range(least, most, above=-np.inf):
    """The allowed numbers in words, such as " from 0 to 1"."""
    if np.isfinite(above):
        return f" above {above:g}" + (f", {most:g} at most" if np.isfinite(most) else "")
    if np.isfinite(least) and np.isfinite(most):
        return f" from {least:,} to {most:,}"
    bounds = [f" of {bound:,} or {word}" for bound, word in ((least, "more"), (most, "less")) if np.isfinite(bound)]
    return "".join(bounds)


def shown(value):
    """Return a value as Python writes it, on one line and short enough to be part of a sentence."""
    if isinstance(value, np.generic):
        value = value.item()
    if getattr(value, "shape", ()):
        return f"of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:50]} ..."
