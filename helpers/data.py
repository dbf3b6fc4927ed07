"""Digits and photographs as arrays, and back into files. Knows nothing of models or figures.

MNIST is read from a file on this machine, or downloaded once by Keras into its cache. Where neither is
possible, scikit-learn's real handwritten digits stand in, and `digits_in_use` says so.
"""

import contextlib
import functools
import io
import numbers
import os
import socket
import threading
import urllib.request
import warnings
from pathlib import Path

import keras
import numpy as np
import scipy.ndimage
import sklearn.datasets
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.images import gray, standardize

LOCAL_MNIST = Path(__file__).resolve().parent.parent / "data" / "mnist.npz"
MNIST_ARRAYS = {  # name: (shape, largest value)
    "x_train": ((60_000, 28, 28), 255),
    "y_train": ((60_000,), 9),
    "x_test": ((10_000, 28, 28), 255),
    "y_test": ((10_000,), 9),
}
MNIST = "MNIST: 60,000 training and 10,000 test digits."
STAND_IN = (
    "{reason} (put mnist.npz into the folder data to have it): "
    "1,797 real handwritten digits of scikit-learn, brought to 28x28, stand in."
)
REMEDY = "replace it by the mnist.npz of Keras"
DOWNLOAD = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"  # Keras' address
ANSWER_SECONDS = 4.0  # how long we wait for a sign of life from there
STALL_SECONDS = 30.0  # how long a download may stand still
SMALLEST_SIZE, LARGEST_SIZE = 28, 4096  # pixels along an edge of what load_photo returns
LARGEST_PHOTO = 150_000_000  # pixels in a file; decoding takes up to 8 bytes for each
DIGIT_PHOTO = 400  # pixels along the longer edge to which the photo of a digit is shrunk before it is searched
THINNEST = 2.2  # pixels of 28: strokes of MNIST's digits are 1.7 to 3.8 wide (5 % and 95 %, measured as here)
FAINTEST = 0.1  # by how much ink must stand out from paper, where black to white is 1


def load_digits(split):
    """Return the images and labels of handwritten digits; `split` is "train" or "test".

    Images are float32 `(n, 28, 28, 1)` in model space, labels int64 `(n,)`. They are MNIST's 60,000 and
    10,000 digits (LeCun, Cortes and Burges 1998), from the first of: the file that the environment variable
    MNIST_NPZ names, data/mnist.npz, the Keras cache, a download into that cache. If one of the first two is
    cut off or not MNIST, that is a ValueError; if MNIST_NPZ names no file, a FileNotFoundError. Where there is
    nothing, nor a network, they are scikit-learn's 1,797 digits, every fifth of them for "test";
    `digits_in_use` tells which. Introduced in notebook 02.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split {split!r} is unknown; choose 'train' or 'test'")
    digits, _ = _digits()
    pixels = digits[f"x_{split}"][..., np.newaxis]  # (n, 28, 28, 1)
    images = np.empty(pixels.shape, np.float32)
    for start in range(0, len(pixels), 5000):  # in parts, which take a third of the memory
        images[start : start + 5000] = standardize(pixels[start : start + 5000])
    return images, digits[f"y_{split}"].astype(np.int64)


def digits_in_use():
    """Return the sentence that says which digits `load_digits` gives, for notebooks to print (notebook 02)."""
    _, sentence = _digits()
    return sentence


def load_small_digits():
    """Return the images and labels of scikit-learn's 1,797 handwritten digits, in the form of `load_digits`.

    They are enlarged from 8x8 pixels in MNIST's manner, but come from other hands and another scanner:
    whether a network reads them too tells what it has learned. Source: Alpaydin and Kaynak 1998. Introduced
    in notebook 02.
    """
    digits = _stand_in()
    pixels = np.concatenate([digits["x_train"], digits["x_test"]])[..., np.newaxis]  # (1797, 28, 28, 1)
    return standardize(pixels), np.concatenate([digits["y_train"], digits["y_test"]]).astype(np.int64)


def load_photo(source=None, size=560):
    """Return the middle square of a photograph as float32 `(size, size, 3)` in pixel space.

    `source` is a path, the content of a file (as an upload gives it), a file opened for reading bytes, or
    None for the flower that comes with scikit-learn. The photo is turned upright as its EXIF note says, what
    is transparent becomes white, and an animation gives its first frame. Anything but a whole picture of
    at most 150 million pixels is a ValueError, a missing file a FileNotFoundError. Introduced in notebook 06.
    """
    if not isinstance(size, numbers.Integral) or not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise ValueError(f"size must be a whole number from {SMALLEST_SIZE} to {LARGEST_SIZE}, not {size!r}")
    if source is None:
        return _middle_square(Image.fromarray(sklearn.datasets.load_sample_image("flower.jpg")), int(size))
    with _opened(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about large photos and odd EXIF notes that it reads well
        return _read_photo(file, functools.partial(_middle_square, size=int(size)), name=_name(source))


def load_digit(source):
    """Return one digit from a photo or scan in MNIST's manner, `(1, 28, 28, 1)` in model space.

    `source` is a path, the content of a file or an open file, as for `load_photo`; the whole picture counts, not
    its middle square. Ink may be dark on light or light on dark and the light uneven; specks, and shadows that reach
    the edge, are left out. A picture of 28 x 28 pixels that is mostly black, or black all along its edge, is taken
    as it is, so a digit saved by `save_picture(path, to_display(digit)[0])` comes back, to half a step of 8 bits.
    Errors are those of `load_photo`, and a ValueError where there is no ink. Used by the activation explorer
    (notebook 03).
    """
    with _opened(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = _read_photo(file, functools.partial(_whole, size=DIGIT_PHOTO), name=_name(source))
    luma = gray(photo[np.newaxis])[0, ..., 0]  # (height, width)
    edge = np.r_[luma[[0, -1]].ravel(), luma[:, [0, -1]].ravel()]
    if luma.shape == (28, 28) and min(np.median(luma), edge.max()) < 0.1 < luma.max():
        return standardize(luma[np.newaxis, ..., np.newaxis])
    ink = _ink_on_paper(luma)
    if not ink.any():
        raise ValueError(f"{_name(source)} shows no digit; give a picture of one digit, dark on light or light on dark")
    return digit_from_ink(ink)


def digit_from_ink(ink):
    """Return a digit drawn or written as ink `(height, width)` in 0..1, 1 where there is most, in MNIST's manner.

    That is `(1, 28, 28, 1)` in model space, light on dark: 20 pixels long, its center of mass in the middle. Strokes
    thinner than MNIST's are made as thick as its thin ones. Raises ValueError for ink outside 0..1 or none at all.
    Source: LeCun, Cortes and Burges 1998. Used by the activation explorer (notebook 03).
    """
    ink = np.asarray(ink, np.float32)
    if ink.ndim != 2 or not np.isfinite(ink).all() or ink.min(initial=0) < 0 or ink.max(initial=0) > 1:
        raise ValueError(f"ink of shape {ink.shape} cannot be read; it must be (height, width) with values in 0..1")
    if not ink.any():
        raise ValueError("there is no ink; draw a digit first")
    digit = _twenty_long(_thick_enough(ink / ink.max())).clip(0, 1)
    return standardize(_amid_28(digit / digit.max())[np.newaxis, ..., np.newaxis])


def save_picture(path, photo):
    """Write a photo `(height, width, 3)` or `(height, width, 1)` in pixel space as a new PNG file.

    Nothing is ever overwritten: an existing file is a FileExistsError, a missing folder a FileNotFoundError; an
    unsuitable name or photo is a ValueError, and then no file is made. Introduced in notebook 06.
    """
    picture, file = _picture(photo), io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    _write_new(path, ".png", file.getvalue())


def png_bytes(picture):
    """Return a picture `(height, width, 1, 3 or 4)` in pixel space as the content of a PNG file, made quickly.

    A fourth channel is opacity. Values outside 0..1 are clipped. This is what `ipywidgets.Image` shows.
    """
    levels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def save_film(path, photos, seconds_each=0.5):
    """Write photos of equal size as a new animated GIF: an endless film, each shown for `seconds_each` (0.02 to 60).

    All frames share one palette of 256 colors, which keeps the file small and its colors still; halve the photos
    where it is too large. Errors are those of `save_picture`. Introduced in notebook 06.
    """
    if not 0.02 <= seconds_each <= 60:
        raise ValueError(f"seconds_each {seconds_each!r} is out of range; use a number from 0.02 to 60")
    photos = list(photos)
    shapes = {np.shape(photo) for photo in photos}
    if len(shapes) != 1:
        raise ValueError(f"a film needs photos of one size, these have {sorted(shapes) or 'none'}")
    frames = _with_one_palette([_picture(photo) for photo in photos])
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 * seconds_each), loop=0)
    _write_new(path, ".gif", file.getvalue())


def _digits():
    """Return the digits as the four arrays of MNIST, and the sentence that says which digits they are."""
    named = os.environ.get("MNIST_NPZ")
    if named:
        return _read_mnist(Path(named).expanduser()), MNIST
    if LOCAL_MNIST.exists():
        return _read_mnist(LOCAL_MNIST), MNIST
    keras_home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return _keras_or_stand_in(keras_home / "datasets" / "mnist.npz")


@functools.lru_cache
def _keras_or_stand_in(cached):
    """Return what `_digits` returns where the reader has given no file: one attempt for each process."""
    reason = "The mnist.npz in the Keras cache is broken" if cached.exists() else "MNIST is not on this machine"
    with contextlib.suppress(FileNotFoundError, ValueError):
        return _read_mnist(cached), MNIST
    digits = _download(cached) if _answers(DOWNLOAD) else None
    if digits:
        return digits, MNIST
    return _stand_in(), STAND_IN.format(reason=f"{reason} and cannot be downloaded")


@functools.lru_cache
def _read_mnist(path):
    """Return the four arrays of an MNIST file, verified."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in MNIST_ARRAYS if name in archive}
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} not found; correct or unset the variable MNIST_NPZ") from None
    except Exception as error:  # numpy raises nearly anything at a damaged archive
        raise ValueError(f"{path} is cut off or no npz file; {REMEDY}") from error
    return _verified(arrays, path)


def _verified(arrays, path):
    """Return the arrays if they have the names, shapes, type and range of MNIST's."""
    for name, (shape, largest) in MNIST_ARRAYS.items():
        if name not in arrays:
            raise ValueError(f"{path} has no array {name}; {REMEDY}")
        found = arrays[name]
        if found.shape != shape or found.dtype != np.uint8:
            raise ValueError(f"{name} of {path} is {found.dtype} {found.shape}, not uint8 {shape}; {REMEDY}")
        if found.max() > largest:
            raise ValueError(f"{name} of {path} goes up to {found.max()}, MNIST's to {largest}; {REMEDY}")
    return arrays


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


def _download(cached):
    """Return MNIST as Keras downloads it into its cache, or None, and then nothing broken is left there."""
    arrays, patience = None, socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        with contextlib.suppress(Exception):  # Keras raises bare Exceptions when a network goes
            train, test = keras.datasets.mnist.load_data()
            arrays = _verified(dict(zip(MNIST_ARRAYS, (*train, *test), strict=True)), "the download")
    finally:
        socket.setdefaulttimeout(patience)
        if arrays is None:
            cached.unlink(missing_ok=True)
    return arrays


def _stand_in():
    """Return scikit-learn's digits as four arrays like MNIST's; every fifth of each class is for the test."""
    bunch = sklearn.datasets.load_digits()
    digits = np.stack([_like_mnist(ink / 16) for ink in bunch.images])  # (1797, 28, 28)
    test = np.zeros(len(digits), bool)
    test[np.argsort(bunch.target, kind="stable")[::5]] = True
    arrays = (digits[~test], bunch.target[~test], digits[test], bunch.target[test])
    return dict(zip(MNIST_ARRAYS, arrays, strict=True))


def _like_mnist(ink):
    """Return a small digit given as ink 0..1 in MNIST's manner, `(28, 28)` in 0..255.

    Enlarging blurs the strokes; stretching the tones 0.3..0.85 to 0..1 gives them the edges and the
    brightness of MNIST's (found by comparing mean, deviation and shares of black and white).
    """
    return _amid_28(np.clip((_twenty_long(ink) - 0.3) / 0.55, 0, 1))


def _twenty_long(ink):
    """Return what there is of ink, without the margins, resized to 20 pixels along its longer side."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    small = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32))
    sides = [max(1, round(20 * side / max(small.size))) for side in small.size]
    return np.asarray(small.resize(sides, Image.Resampling.LANCZOS))


def _amid_28(digit):
    """Return a digit in 0..1 with its center of mass amid 28x28, in 0..255."""
    top, left = _centered(digit.sum(axis=1)), _centered(digit.sum(axis=0))
    image = np.zeros((28, 28), np.uint8)
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return image


def _thick_enough(ink):
    """Return ink whose strokes, once it is 20 pixels long, are at least `THINNEST` wide."""
    drawn = ink > 0.5
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    pixel = max(np.ptp(rows), np.ptp(columns), 1) / 20
    depths = scipy.ndimage.distance_transform_edt(np.pad(drawn, 1))
    width = 4 * (depths[depths > 0].mean() - 0.5)  # the mean depth of a stroke is a quarter of its width
    missing = THINNEST * pixel - width
    reach = round(missing / 2)
    if reach < 1:
        return ink
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return scipy.ndimage.grey_dilation(np.pad(ink, reach), footprint=down**2 + right**2 <= reach**2)


def _ink_on_paper(luma):
    """Return the ink `(height, width)` in 0..1 on a photo of paper or of a blackboard, 0 everywhere if there is none.

    Ink is what is rarer. The paper's own brightness, which may change from edge to edge, is taken away first; the
    threshold between paper and ink is Otsu's, with a soft edge.
    """
    edge = max(luma.shape)
    luma = scipy.ndimage.gaussian_filter(luma - _smooth_light(luma), edge / 400)
    light = luma if (luma**3).mean() > 0 else -luma
    light = light - scipy.ndimage.gaussian_filter(scipy.ndimage.grey_opening(light, edge // 3), edge / 12)
    paper, written = _two_tones(light)
    if written - paper < FAINTEST:
        return np.zeros_like(luma)
    return _without_specks(np.clip(0.5 + 2 * (light - (paper + written) / 2) / (written - paper), 0, 1))


def _smooth_light(luma):
    """Return the quadratic function of row and column that comes closest to the brightness of a photo."""
    y, x = (np.linspace(-1, 1, length) for length in luma.shape)
    terms = np.stack([np.outer(y**down, x**right) for down, right in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0))])
    flat = terms.reshape(6, -1).T
    return (flat @ np.linalg.lstsq(flat, luma.ravel(), rcond=None)[0]).reshape(luma.shape)


def _two_tones(values):
    """Return the means of the darker and the lighter values, parted where the two differ most (Otsu 1979)."""
    ordered = np.sort(values, axis=None).astype(float)
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    lows, highs = sums[:-1] / below, (sums[-1] - sums[:-1]) / (ordered.size - below)
    best = np.argmax(below * (ordered.size - below) * (highs - lows) ** 2)
    return lows[best], highs[best]


def _without_specks(ink):
    """Return ink without what is much smaller than its largest piece, or reaches the edge where other pieces do not."""
    pieces, _ = scipy.ndimage.label(ink > 0, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), ink.ravel())
    inner = np.setdiff1d(np.flatnonzero(sizes), np.r_[pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()])
    kept = inner if sizes[inner].sum() > 0.2 * sizes.sum() else np.flatnonzero(sizes)
    kept = kept[sizes[kept] > 0.05 * sizes[kept].max()] if len(kept) else kept
    return np.where(np.isin(pieces, kept), ink, 0)


def _centered(masses):
    """Return where a row of masses must begin for its center to be at 14 of 28, as it is in MNIST."""
    center = np.average(np.arange(len(masses)), weights=masses)
    return int(np.clip(round(14 - center), 0, 28 - len(masses)))


def _opened(source):
    """Return `source` as a file of bytes, in a context that closes what was opened here and nothing else."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(bytes(source))
    if hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        return contextlib.nullcontext(source)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"{_name(source)} is no photo; give a path, bytes, a file opened for bytes, or None")
    path = Path(source).expanduser()
    if path.is_dir():
        raise ValueError(f"{_name(source)} is a folder; give the path of one photo in it")
    if not path.exists():
        raise FileNotFoundError(f"{_name(source)} not found; give the path of a photo, or None for a flower")
    return open(path, "rb")


def _name(source):
    is_path = isinstance(source, (str, os.PathLike))
    return repr(os.fspath(source)) if is_path else f"the given {type(source).__name__}"


def _read_photo(file, pixels, name):
    """Return the `pixels` of the picture in an open file; refuse what is no picture, or no sane one."""
    try:
        with Image.open(file) as photo:
            if photo.width * photo.height > LARGEST_PHOTO:
                raise Image.DecompressionBombError
            return pixels(photo)
    except UnidentifiedImageError:
        raise ValueError(f"{name} holds no picture; give a JPEG, PNG, WebP or GIF file") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has more than {LARGEST_PHOTO:,} pixels; make it smaller first") from None
    except Exception as error:  # Pillow raises nearly anything at a damaged file
        raise ValueError(f"{name} is damaged or cut off ({error}); save or fetch it again") from error


def _middle_square(photo, size):
    """Return the middle square of a Pillow image, upright and on white, as `(size, size, 3)` in 0..1."""
    return _upright(photo, size, lambda plain: ImageOps.fit(plain, (size, size), Image.Resampling.LANCZOS))


def _whole(photo, size):
    """Return a Pillow image, upright and on white, `(height, width, 3)` in 0..1 with edges of at most `size`."""

    def shrunk(plain):
        fits = max(plain.size) <= size
        return plain if fits else ImageOps.contain(plain, (size, size), Image.Resampling.LANCZOS)

    return _upright(photo, size, shrunk)


def _upright(photo, size, resized):
    """Return a Pillow image, as `resized` makes it, upright and on white, `(height, width, 3)` in 0..1."""
    photo.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8
    photo.load()  # only now an older Pillow knows the size of a TIFF that is turned
    deep = photo.mode.startswith("I")  # 16 bits of gray
    mode = "F" if deep else "RGBA" if photo.has_transparency_data else "RGB"
    picture = resized(photo if photo.mode == mode else photo.convert(mode))
    with contextlib.suppress(Exception):  # an unreadable EXIF note costs the rotation, not the photo
        picture = ImageOps.exif_transpose(picture)
    values = np.asarray(picture, np.float32) / (65535 if deep else 255)
    if deep:
        values = np.clip(values, 0, 1)[..., np.newaxis].repeat(3, axis=-1)
    opacity = values[..., 3:] if mode == "RGBA" else 1.0
    return values[..., :3] * opacity + (1 - opacity)


def _picture(photo):
    """A photo in pixel space as a Pillow image of 8 bits."""
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] not in (1, 3) or 0 in photo.shape:
        raise ValueError(f"the photo has shape {photo.shape}; it must be (height, width, 3) or (height, width, 1)")
    if not np.isfinite(photo).all() or photo.min() < 0 or photo.max() > 1:
        raise ValueError("the photo has values outside 0..1; images.to_display or np.clip bring it there")
    return Image.fromarray(np.round(255 * photo).astype(np.uint8).squeeze(2 if photo.shape[2] == 1 else ()))


def _with_one_palette(pictures):
    """The pictures in the 256 colors that serve all of them best."""
    every = Image.fromarray(np.concatenate([np.asarray(picture.convert("RGB"))[::2, ::2] for picture in pictures]))
    palette = every.quantize(256, method=Image.Quantize.MEDIANCUT)
    return [picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _write_new(path, ending, content):
    """Write a file that does not exist yet, into a folder that does."""
    path = Path(path).expanduser()
    if path.suffix.lower() != ending:
        raise ValueError(f"{path.name!r} must end in {ending}")
    try:
        with open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        raise FileExistsError(f"{path} exists already; delete it first, or give another name") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"the folder {path.parent} does not exist; make it first") from None
