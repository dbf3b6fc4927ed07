"""Arithmetic on batches of images. Knows nothing of models, files or figures.

Every function takes a batch `(n, height, width, channels)` and gives an array back: a tensor for a
tensor, so that it can be part of a compiled step, and a numpy array for everything else.
"""

import numpy as np
import scipy.ndimage
import tensorflow as tf

PAPER, INK = -0.45, 3.0  # values in model space between which MNIST's digits lie, about
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
    shown = tf.clip_by_value(center + gain * _standardize(_batch(images)) / 3.0, 0.0, 1.0)
    return _like(images, shown)


def resize(images, size):
    """Return the images as `(n, *size, channels)`, bicubic, and anti-aliased where they shrink.

    `size` is `(height, width)`. Bicubic interpolation overshoots at edges: values may leave their range.
    """
    height, width = size
    if min(height, width) < 1:
        raise ValueError(f"size {size} has no pixels; give (height, width) of at least 1")
    return _like(images, tf.image.resize(_batch(images), (height, width), method="bicubic", antialias=True))


def gray(images):
    """Return color images `(n, height, width, 3)` as their luma `(n, height, width, 1)`."""
    batch = _batch(images)
    if batch.shape[-1] != 3:
        raise ValueError(f"gray needs 3 channels (red, green, blue), got {batch.shape[-1]}")
    return _like(images, tf.reduce_sum(batch * LUMA, axis=-1, keepdims=True))


def cut_tiles(photo, size, step):
    """Return the tiles of one photo `(height, width, channels)`, row by row, as `(n, *size, channels)`.

    `size` and `step` are (height, width) in pixels; where the step is smaller than the size, tiles overlap.
    Raises ValueError if the tiles do not end exactly at the photo's edge. Introduced in notebook 07.
    """
    _check_tiling(photo.shape[:2], size, step)
    windows = np.lib.stride_tricks.sliding_window_view(photo, size, axis=(0, 1))[:: step[0], :: step[1]]
    return windows.transpose(0, 1, 3, 4, 2).reshape(-1, *size, photo.shape[2])


def join_tiles(tiles, shape, step):
    """Return the photo `(*shape, channels)` that tiles make up; where they overlap they are blended smoothly.

    The inverse of `cut_tiles` with the same `step`: tiles that were not changed give the photo back. Each tile
    counts most in its middle and next to nothing at its edge, so an overlap leaves no seam.
    """
    size = tiles.shape[1:3]
    _check_tiling(shape, size, step)
    window = np.outer(*(np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2 for length in size))[..., None]
    total, weight = np.zeros((*shape, tiles.shape[3])), np.zeros((*shape, 1))
    corners = [(row, column) for row in range(0, shape[0] - size[0] + 1, step[0])
               for column in range(0, shape[1] - size[1] + 1, step[1])]
    for tile, (row, column) in zip(tiles, corners, strict=True):
        place = (slice(row, row + size[0]), slice(column, column + size[1]))
        total[place] += window * tile
        weight[place] += window
    return (total / weight).astype(np.float32)


def local_moments(images, window):
    """Return (means, deviations) of the images around every pixel, in a square of `window` pixels.

    `window` may also be (height, width). At the edge the image is mirrored. Introduced in notebook 07.
    """
    images = np.asarray(images, np.float64)
    area = (1, *np.broadcast_to(window, 2), 1)
    means = scipy.ndimage.uniform_filter(images, area, mode="reflect")
    squares = scipy.ndimage.uniform_filter(images**2, area, mode="reflect")
    return np.float32(means), np.float32(np.sqrt(np.maximum(squares - means**2, 0)))


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


def _check_tiling(shape, size, step):
    for length, part, move in zip(shape, size, step):
        if not 1 <= move <= part <= length or (length - part) % move:
            raise ValueError(f"tiles of {tuple(size)} every {tuple(step)} pixels do not fit a photo of {tuple(shape)}")


def _standardize(batch):
    centered = batch - tf.reduce_mean(batch, axis=(1, 2, 3), keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centered), axis=(1, 2, 3), keepdims=True))
    values_per_image = tf.cast(tf.reduce_prod(tf.shape(batch)[1:]), tf.float32)
    return centered / tf.maximum(deviation, tf.math.rsqrt(values_per_image))


def _batch(images):
    batch = tf.cast(images, tf.float32)
    if batch.shape.rank != 4:
        raise ValueError(f"images have shape {tuple(batch.shape)}; a batch is (n, height, width, channels)")
    return batch


def _like(images, result):
    return result if tf.is_tensor(images) else np.array(result)  # a copy, which the reader may write to
