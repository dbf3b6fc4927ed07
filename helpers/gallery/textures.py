"""Textures without an edge: a map's pattern grown on a torus, whose right side joins its left and its bottom its top.

Knows nothing of models, files or figures. What has no edge can be laid side by side like tiles, or wound around a
point, where moving along it is a fall that never ends (`falling`).
"""

from collections import namedtuple

import numpy as np
import scipy.ndimage
import scipy.signal
import tensorflow as tf

from helpers.ascent import last_images, soften
from helpers.base import checks
from helpers.fluctuations import spectral_fluctuations
from helpers.objectives import Channels, Jittered, is_data

STEPS = np.geomspace(0.3, 0.03, 12)  # steps at each size
GRAIN = 1.0  # exponent of the start's spectrum: as much in every octave
LEAK = 0.05  # what a negative pre-activation counts: places without the pattern may stay empty
SAMPLES = 3  # a pixel of a fall is the mean of so many by so many
AT_ONCE = 600_000  # pixels that climb together: bounds the memory


class Wrapped(namedtuple("Wrapped", "objective pixels")):
    """`objective` as it sees the images continued beyond their right and lower edge by their own first `pixels`.

    With as many pixels as the network's receptive field is wider than its step (18 - 4 = 14 for `Conv2D_3` of the
    shipped CNN, see `geometry.receptive_fields`), and edges that are multiples of the step, every place of the image
    is seen as often as every other, across the edges too. Introduced in notebook 12.
    """

    __slots__ = ()

    def __new__(cls, objective, pixels):
        if not is_data(pixels):
            pixels = tf.constant(checks.whole(pixels, "pixels"), tf.int32)
        return super().__new__(cls, objective, pixels)

    def __call__(self, images):
        for axis in (1, 2):
            length = tf.shape(images)[axis]
            images = tf.gather(images, tf.range(length + self.pixels) % length, axis=axis)
        return self.objective(images)


def seamless(features, indices, field, size=112, octaves=2, seed=0, step_sizes=STEPS, precondition=soften):
    """Return one texture for each map of `indices`, standardized, `(n, size, size, 1)`, that continues at its edges.

    features  pre-activations of images of any size: `pre_activation_extractor(any_size(cnn), "Conv2D_3")`
    field     that layer's row of `geometry.receptive_fields(cnn)`: what one node sees
    octaves   grown first at a half, a quarter, ... of the size: more octaves, larger forms
    size      pixels along an edge; at every octave a multiple of the field's step (4 pixels for `Conv2D_3`)

    Start, softening, enlargement and the random shifts of the climb are periodic too, so nothing knows where the edges
    are. Raises ValueError for a size that does not fit, for a network of one size and for what `Channels` refuses.
    Introduced in notebook 12.
    """
    smallest = _smallest(field, checks.whole(size, "size", least=1), checks.whole(octaves, "octaves", 1, 6))
    maps, together = features.output_shape[-1], max(1, AT_ONCE // size**2)
    indices = [checks.index(index, maps) for index in np.ravel(indices).tolist()]
    if not indices:
        raise ValueError("no map is named; give the indices of one or more")
    start = spectral_fluctuations(max(indices) + 1, GRAIN, seed, smallest)[indices]
    grown = []
    for first in range(0, len(indices), together):
        part = slice(first, first + together)
        images = start[part]
        for octave in range(octaves):
            images = enlarged(images) if octave else images
            images = _climbed(features, indices[part], field, images, seed, step_sizes, precondition)
        grown.append(images)
    return np.concatenate(grown)


def enlarged(images):
    """Return periodic images at twice their size, still periodic: their waves are kept, finer ones are zero."""
    height, width = images.shape[1:3]
    return scipy.signal.resample(scipy.signal.resample(images, 2 * height, axis=1), 2 * width, axis=2)


def seam(textures):
    """Return for each texture `(n, height, width, 1)` how much more it changes across its edges than inside, `(n,)`.

    The root mean square step from the last column to the first and from the last row to the first, divided by that
    between all other neighbors: about 1 where no seam is, 2 to 10 where a picture is laid beside itself.
    """
    textures = checks.images(textures, name="the textures")
    steps = [np.square(textures - np.roll(textures, 1, axis=axis)).mean(axis=(3 - axis, 3)) for axis in (1, 2)]
    across = np.mean([step[:, 0] for step in steps], axis=0)  # (n,), between the last line and the first
    inside = np.mean([step[:, 1:].mean(axis=1) for step in steps], axis=0)
    return np.sqrt(across / np.maximum(inside, 1e-12))


def falling(texture, size=360, frames=24, around=4):
    """Yield pictures `(size, size, channels)` of an endless fall into a seamless texture; after the last the first.

    `around` copies of the texture `(height, width, channels)` are wound around the middle, and each row lies by the
    same factor further in than the one below: angle and logarithm of the distance are its coordinates, which keeps the
    shape of small strokes. All grows and leaves; once all rows have passed the picture is the one it was.
    Introduced in notebook 12.
    """
    size, frames = checks.whole(size, "size", least=28), checks.whole(frames, "frames", least=2)
    height, width = texture.shape[:2]
    places = (np.arange(size * SAMPLES) + 0.5) / SAMPLES - size / 2
    x, y = np.meshgrid(places, places)
    # columns for one radian, and therefore rows for one step of the logarithm:
    scale = checks.whole(around, "around", 1, 32) * width / (2 * np.pi)
    distance = np.maximum(np.hypot(x, y), 0.5 / SAMPLES)  # in the very middle there is no row
    rows, columns = -scale * np.log(distance / size), scale * np.arctan2(y, x)
    for frame in range(frames):
        moved = rows + height * frame / frames
        layers = [scipy.ndimage.map_coordinates(plane, (moved, columns), order=1, mode="grid-wrap")
                  for plane in texture.transpose(2, 0, 1)]
        fine = np.stack(layers, axis=-1).reshape(size, SAMPLES, size, SAMPLES, -1)
        yield fine.mean(axis=(1, 3), dtype=np.float32)


def _climbed(features, indices, field, images, seed, step_sizes, precondition):
    """Where the textures end after one octave."""
    wrapped = Wrapped(Channels(features, indices, LEAK), field.overlap)
    jittered = Jittered(wrapped, tf.random.Generator.from_seed(seed), field.stride)
    return last_images(jittered, images, step_sizes, precondition=precondition)


def _smallest(field, size, octaves):
    """The size of the first octave, refused where the network's steps do not fit into it."""
    smallest, fitting = size / 2 ** (octaves - 1), field.stride * 2 ** (octaves - 1)
    if size % fitting or smallest < field.field:
        raise ValueError(f"size {size} does not fit {octaves} octaves of layer {field.layer}; use a multiple of "
                         f"{fitting}, from {-(-field.field // field.stride) * fitting} on")
    return int(smallest)
