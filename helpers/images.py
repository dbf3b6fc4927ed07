"""Arithmetic on batches of images. Knows nothing of models, files or figures.

Every function takes a batch `(n, height, width, channels)` and gives an array back: a tensor for a
tensor, so that it can be part of a compiled step, and a numpy array for everything else.
"""

from itertools import chain, product

import numpy as np
import scipy.ndimage
import tensorflow as tf

from helpers.base import checks

PAPER, INK = -0.45, 3.0  # values in model space between which MNIST's digits lie, about
FINE = 256  # pixels of a window that local moments look at, along an edge, before they look at blocks of pixels
BAND = 2**20  # values of which local moments are found at once
MOST_AT_ONCE = 2**22  # values that are resized as a whole: TensorFlow keeps the memory it once took
LUMA = (0.299, 0.587, 0.114)  # weights of red, green, blue in the brightness we see (ITU-R BT.601)


def standardize(images):
    """Return the images with mean 0 and deviation 1 each: the model space of this project.

    The rule is that of `tf.image.per_image_standardization`: the deviation is never taken smaller than
    1 / sqrt(number of values), so a constant image becomes zero instead of noise. All images of a size
    thereby lie on one sphere, which is what gives a gradient ascent a maximum (notebook 04).
    """
    return _like(images, _standardize(_batch(images)))


def ink_on_paper(images):
    """Return the images standardized, with nothing darker than a digit's paper or brighter than its ink.

    A `project` for a climb that shall end at writing: a digit has two tones, so what is blacker than the paper helps
    nobody who reads. Cutting changes mean and deviation, so it is done three times;
    what is left over is small. Introduced in notebook 08.
    """
    batch = _standardize(_batch(images))
    for _ in range(3):
        batch = _standardize(tf.clip_by_value(batch, PAPER, INK))
    return _like(images, batch)


def to_display(images):
    """Return the images stretched so that each fills 0..1; a constant image becomes 0.5 everywhere."""
    batch = _batch(images)
    low = tf.reduce_min(batch, axis=(1, 2, 3), keepdims=True)
    high = tf.reduce_max(batch, axis=(1, 2, 3), keepdims=True)
    return _like(images, tf.where(high > low, (batch - low) / tf.maximum(high - low, 1e-12), 0.5))


def contrast(images, center=0.33, gain=1.0):
    """Return the images as gray values 0..1 that show the strong pixels of an OIP well.

    Three deviations span the range at `gain` 1, and the mean lands on `center`: (0.33, 1.0) shows
    -1..2 deviations and suits OIPs, which are dark with a few bright strokes; (0.46, 0.8) suits
    photographs (articles VII, DD-I and DD-III; the definition is ours).
    """
    center, gain = checks.number(center, "center"), checks.number(gain, "gain")
    shown = tf.clip_by_value(center + gain * _standardize(_batch(images)) / 3.0, 0.0, 1.0)
    return _like(images, shown)


def resize(images, size):
    """Return the images as `(n, *size, channels)`, bicubic, and anti-aliased where they shrink.

    `size` is `(height, width)`. Bicubic interpolation overshoots at edges: values may leave their range. A large
    photo is resized in bands, first along its rows and then along its columns.
    """
    size = checks.wholes(size, "size", least=1)
    if tf.is_tensor(images) or np.size(images) <= MOST_AT_ONCE and _size_after(images, size) <= MOST_AT_ONCE:
        return _like(images, tf.image.resize(_batch(images), size, method="bicubic", antialias=True))
    images = checks.images(images)
    if size == images.shape[1:3]:
        return images.copy()
    wide = np.empty((*images.shape[:2], size[1], images.shape[3]), np.float32)
    for rows in _parts(wide.shape[1], max(images.size, wide.size)):
        wide[:, rows] = resize(tf.constant(images[:, rows]), (rows.stop - rows.start, size[1]))
    result = np.empty((len(images), *size, images.shape[3]), np.float32)
    for columns in _parts(size[1], max(wide.size, result.size)):
        result[:, :, columns] = resize(tf.constant(wide[:, :, columns]), (size[0], columns.stop - columns.start))
    return result


def _size_after(images, size):
    """How many values resized images have; those that are no batch are refused later."""
    shape = np.shape(images)
    return np.prod([*shape[:1], *size, *shape[3:]])


def gray(images):
    """Return color images `(n, height, width, 3)` as their luma `(n, height, width, 1)`."""
    batch = images if tf.is_tensor(images) else checks.images(images)
    if batch.shape[-1] != 3:
        raise ValueError(f"images have shape {tuple(batch.shape)}; gray needs 3 channels (red, green, "
                         "blue), (n, height, width, 3)")
    return batch @ np.float32(LUMA)[:, np.newaxis]


def cut_tiles(photo, size, step):
    """Return the tiles of one photo `(height, width, channels)`, row by row, as `(n, *size, channels)`.

    `size` and `step` are (height, width) in pixels; where the step is smaller than the size, tiles overlap.
    Raises ValueError if the tiles do not end exactly at the photo's edge. Introduced in notebook 07.
    """
    checks.numbers(photo, "the values of the photo", (None, None, None))
    return np.concatenate(list(tile_batches(np.asarray(photo), size, step)))


def tile_batches(photo, size, step, at_once=256):
    """Yield what `cut_tiles` returns, `at_once` tiles at a time: those of a large photo need not fit into memory."""
    _, size, step = _tiling(photo.shape[:2], size, step)
    windows = np.lib.stride_tricks.sliding_window_view(photo, size, axis=(0, 1))[:: step[0], :: step[1]]
    for first in range(0, windows.shape[0] * windows.shape[1], at_once):
        last = min(first + at_once, windows.shape[0] * windows.shape[1])
        rows, columns = np.unravel_index(np.arange(first, last), windows.shape[:2])
        yield np.ascontiguousarray(windows[rows, columns].transpose(0, 2, 3, 1))  # (n, *size, channels)


def join_tiles(tiles, shape, step):
    """Return the photo `(*shape, channels)` that tiles make up; where they overlap they are blended smoothly.

    The inverse of `cut_tiles` with the same `step`: tiles that were not changed give the photo back. Each tile
    counts most in its middle and next to nothing at its edge, so an overlap leaves no seam. `tiles` may be made
    one by one while they are joined.
    """
    tiles = iter(tiles if np.iterable(tiles) else ())
    first = np.asarray(next(tiles, None))
    if first.ndim != 3:
        raise ValueError(f"a tile has shape {first.shape}; give tiles (n, height, width, channels), at least one")
    shape, size, step = _tiling(shape, first.shape[:2], step)
    starts = [range(0, length - part + 1, move) for length, part, move in zip(shape, size, step)]
    fades = [np.sin(np.pi * (np.arange(part) + 0.5) / part) ** 2 for part in size]
    window = np.float32(np.outer(*fades)[..., None])
    total = np.zeros((*shape, first.shape[2]), np.float32)
    corners = list(product(*starts))
    for place, tile in enumerate(chain([first], tiles)):
        row, column = corners[place] if place < len(corners) else (0, 0)
        total[row : row + size[0], column : column + size[1]] += window * tile
    if place + 1 != len(corners):
        raise ValueError(f"{place + 1} tiles do not make up a photo of {shape}; with steps of {step} it takes "
                         f"{len(corners)}")
    for axis, (length, fade, begins) in enumerate(zip(shape, fades, starts)):
        weights = np.zeros(length)
        for begin in begins:
            weights[begin : begin + len(fade)] += fade
        total /= np.float32(weights.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1)))
    return total


def slide_kernel(images, kernel, stride=1, padding="valid"):
    """Return the sums of a square kernel slid over gray images, `(n, height, width, 1)`: a convolution without bias.

    At each place the pixels below the kernel are multiplied by its numbers and added up. With `padding` "same" zeros
    surround the images, as TensorFlow does it. Notebook 01 writes the loop out; used by its kernel lab.
    """
    images, kernel = checks.images(images, (None, None, 1)), checks.numbers(kernel, "kernel", (None, None))
    around = [same_padding(size, len(kernel), stride, padding) for size in images.shape[1:3]]
    padded = np.pad(images[..., 0], ((0, 0), *around))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwij,ij->nhw", windows, kernel)[..., np.newaxis]


def same_padding(size, kernel, stride, padding="same"):
    """Return how many zeros (before, after) an edge of `size` pixels gets; none with `padding` "valid"."""
    checks.choice(padding, "padding", ("valid", "same"))
    missing = max(0, (-(-size // stride) - 1) * stride + kernel - size) if padding == "same" else 0
    return missing // 2, missing - missing // 2


def pool(maps, size, take=np.max):
    """Return what `take`, such as `np.max` or `np.mean`, makes of each `size` x `size` square of maps, side by side."""
    size = checks.whole(size, "size", least=1)
    windows = np.lib.stride_tricks.sliding_window_view(maps, (size, size), axis=(1, 2))[:, ::size, ::size]
    return take(windows, axis=(-2, -1))


def local_moments(images, window):
    """Return (means, deviations) of the images around every pixel, in a square of `window` pixels.

    `window` may also be (height, width). At the edge the image is mirrored. Around windows of more than 512 pixels
    both change so slowly that they are calculated from means over blocks, which a large photo needs for memory's
    sake. Introduced in notebook 07.
    """
    images = checks.images(images)
    means, deviations = np.empty_like(images), np.empty_like(images)
    for rows, *found in moments_in_bands(images, window):
        means[:, rows], deviations[:, rows] = found
    return means, deviations


def moments_in_bands(images, window):
    """Yield (rows, means, deviations), what `local_moments` returns, for some rows at a time: `rows` is a slice.

    In double precision a whole photo would be large.
    """
    images, area = checks.images(images), checks.wholes(window, "window", least=1)
    block = max(1, min(area) // FINE)
    at_once = max(1, BAND // (block * images[:, 0].size), area[0] // 2 if block == 1 else 1)  # else most is margin
    yield from _block_bands(images, area, block, at_once) if block > 1 else _bands(images, area, at_once)


def with_spectrum(magnitudes):
    """Return a function that gives images the Fourier magnitudes `magnitudes` and leaves them their phases.

    `magnitudes (height, width // 2 + 1)` are those of `np.fft.rfft2`, such as the mean over many digits. Passed
    to a climb as `project` it holds the power of every single wavelength, where `standardize` holds only the
    sum of all: what climbs is the phase alone. The images come back standardized. Source: Fel et al. 2023
    ("MACO"). Introduced in notebook 05.
    """
    magnitudes = np.array(magnitudes, np.float32)
    magnitudes[0, 0] = 0  # the mean of an image, which standardization takes away

    def project(images):
        batch = _batch(images)
        height, width = batch.shape[1:3]
        if magnitudes.shape != (height, width // 2 + 1):
            raise ValueError(f"magnitudes have shape {magnitudes.shape}; images of {height} x {width} pixels need "
                             f"{(height, width // 2 + 1)}, as np.fft.rfft2 gives them")
        spectra = tf.signal.rfft2d(tf.transpose(batch, (0, 3, 1, 2)))
        lengths = tf.abs(spectra)
        phases = tf.where(lengths > 0, spectra / tf.cast(tf.maximum(lengths, 1e-20), tf.complex64), 1)
        shaped = tf.signal.irfft2d(phases * magnitudes, fft_length=(height, width))
        return _like(images, _standardize(tf.transpose(shaped, (0, 2, 3, 1))))

    return project


def _moments(means, squares, area):
    """The moments of windows, in place of values (or means of blocks) and their squares in double precision."""
    for values in (means, squares):
        scipy.ndimage.uniform_filter(values, (1, *area, 1), output=values, mode="reflect")
    squares -= means**2
    return means, np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def _bands(images, area, at_once):
    """The generator behind `moments_in_bands` for windows of not too many pixels."""
    height, above, below = images.shape[1], area[0] // 2, area[0] - area[0] // 2 - 1
    rows = np.pad(np.arange(height), (above, below), mode="symmetric")  # as a window goes beyond the edge
    for first in range(0, height, at_once):
        last = min(first + at_once, height)
        band = images[:, rows[first : last + above + below]].astype(np.float64)
        means, deviations = (values[:, above : above + last - first] for values in _moments(band, band**2, area))
        yield slice(first, last), means.astype(np.float32), deviations.astype(np.float32)


def _block_bands(images, area, block, at_once):
    """The generator behind `moments_in_bands` for large windows: moments of blocks of pixels, enlarged."""
    found = _moments(*_block_means(images, block), [max(1, round(length / block)) for length in area])
    height, width, (count, across) = *images.shape[1:3], found[0].shape[1:3]
    for first in range(0, count, at_once):
        begin, end = max(0, first - 3), min(count, first + at_once + 3)  # as far as a cubic looks
        rows = slice(first * block, min((first + at_once) * block, height))
        part = slice(rows.start - begin * block, rows.stop - begin * block)
        means, deviations = (resize(values[:, begin:end], ((end - begin) * block, across * block))[:, part, :width]
                             for values in found)
        yield rows, means, np.maximum(deviations, 0)


def _block_means(images, block):
    """Means of the values and of their squares in blocks of `block` x `block` pixels, in double precision."""
    count, height, width, channels = images.shape
    framed = np.pad(images, ((0, 0), (0, -height % block), (0, -width % block), (0, 0)), mode="symmetric")
    blocks = framed.reshape(count, -(-height // block), block, -(-width // block), block, channels)
    squares = np.einsum("nhiwjc,nhiwjc->nhwc", blocks, blocks) / block**2
    return blocks.mean(axis=(2, 4), dtype=np.float64), squares.astype(np.float64)


def _parts(length, values):
    """Slices of an edge of this length, so that of so many values each holds at most `BAND`, or is of one pixel."""
    return [slice(part[0], part[-1] + 1) for part in np.array_split(np.arange(length), min(length, -(-values // BAND)))]


def _tiling(shape, size, step):
    """The (height, width) of a photo, of its tiles and between these, refused unless they end at its edges."""
    shape, size, step = (checks.wholes(value, name, least=1)
                         for value, name in ((shape, "shape"), (size, "size"), (step, "step")))
    for length, part, move in zip(shape, size, step):
        if not move <= part <= length or (length - part) % move:
            raise ValueError(f"tiles of {size} every {step} pixels do not fit a photo of {shape}")
    return shape, size, step


def _standardize(batch):
    centered = batch - tf.reduce_mean(batch, axis=(1, 2, 3), keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centered), axis=(1, 2, 3), keepdims=True))
    values_per_image = tf.cast(tf.reduce_prod(tf.shape(batch)[1:]), tf.float32)
    return centered / tf.maximum(deviation, tf.math.rsqrt(values_per_image))


def _batch(images):
    batch = tf.cast(images if tf.is_tensor(images) else checks.images(images), tf.float32)
    if batch.shape.rank != 4:
        raise ValueError(f"images have shape {tuple(batch.shape)}; a batch is (n, height, width, channels)")
    return batch


def _like(images, result):
    return result if tf.is_tensor(images) else np.array(result)  # a copy, which the reader may write to
