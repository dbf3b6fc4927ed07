"""Arithmetic on batches of images. Knows nothing of models, files or figures.

Every function takes a batch `(n, height, width, channels)` and gives an array back: a tensor for a
tensor, so that it can be part of a compiled step, and a numpy array for everything else.
"""

import numpy as np
import tensorflow as tf

LUMA = (0.299, 0.587, 0.114)  # weights of red, green, blue in the brightness we see (ITU-R BT.601)


def standardize(images):
    """Return the images with mean 0 and deviation 1 each: the model space of this project.

    The rule is that of `tf.image.per_image_standardization`: the deviation is never taken smaller than
    1 / sqrt(number of values), so a constant image becomes zero instead of noise. All images of a size
    thereby lie on one sphere, which is what gives a gradient ascent a maximum (notebook 04).
    """
    return _like(images, _standardize(_batch(images)))


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
    return result if tf.is_tensor(images) else np.asarray(result)
