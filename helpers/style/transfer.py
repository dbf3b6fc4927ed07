"""Style transfer: a picture that keeps the forms of a photo and has the textures of a painting.

Content and style are objectives, climbed by the one engine in pixel space. Knows nothing of files, figures or digits.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from helpers.activations import conv_layers
from helpers.ascent import climb, clip
from helpers.base import checks
from helpers.geometry import any_size
from helpers.images import gray, resize
from helpers.objectives import Mixed, Penalized, total_variation

FORMS, SMOOTHNESS = 0.06, 0.4  # weights of content and of smooth lines, where style counts 1
STROKES = np.geomspace(0.05, 0.01, 30)  # steps at each size
LEVELS, OCTAVES = 3, 2  # shrunk copies on which style is judged, and sizes at which a picture is painted
EVERYWHERE = np.ones((1, 1, 1), np.float32)  # the mask that hides nothing
CONTRAST = 0.15  # deviation from its surroundings, in pixel space, that a digit network sees as 1
BLOCK = 8  # surroundings are means over 3 x 3 blocks of so many pixels: about what the network saw as an image
SMALLEST = 28  # pixels along the edge of the smallest copy
LARGEST, SHARED = 640, 128  # edge of the windows in which a larger picture is judged, and what neighbors share
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256


class Style(NamedTuple):
    """How near the textures of each image are to those of a painting: 0 at best, about -1 for a flat image.

    The texture of one layer is its Gram matrix (see `gram`); what counts is the squared difference of the image's
    from the painting's, divided by the painting's own square, on average over all layers and shrunk copies.
    `grams` are the painting's, copy by copy and layer by layer; `mask (1, height, width, 1)` says how much each
    place counts, `size` is (height, width) of the images. `style_of` makes one. A large image is judged in windows,
    one after the other and each again for its gradient, so memory stays bounded. Source: Gatys, Ecker and Bethge
    2015; article NST (its formula corrected: catalogue B44). Introduced in notebook 10.
    """

    features: keras.Model
    grams: tuple
    mask: tf.Tensor
    size: tuple

    def __call__(self, images):
        images, losses = tf.ensure_shape(images, (None, *self.size, None)), []
        for level, targets in enumerate(self.grams):
            found = grams(self.features, shrunk(images, level), self.mask)
            losses += [tf.reduce_sum(tf.square(one - target), axis=(1, 2)) / tf.reduce_sum(tf.square(target))
                       for one, target in zip(found, targets)]
        return -tf.add_n(losses) / len(losses)


class Content(NamedTuple):
    """How near the forms of each image are to those of a photo: 0 at best, about -1 for an unrelated image.

    Forms are the activations `maps` of the deepest layer of `features`, on a copy shrunk `level` times by two, which
    leaves fine strokes free. `content_of` makes one. Source: as `Style`. Introduced in notebook 10.
    """

    features: keras.Model
    maps: tf.Tensor
    level: int

    def __call__(self, images):
        found = tf.nest.flatten(self.features(shrunk(images, self.level)))[-1]
        return -tf.reduce_mean(tf.square(found - self.maps), axis=(1, 2, 3)) / tf.math.reduce_variance(self.maps)


def style_of(features, painting, size, levels=LEVELS, mask=EVERYWHERE):
    """Return the `Style` of a painting `(height, width, 3 or 1)`, pixel space, for images of `size` (height, width).

    It is judged on `levels` copies of the image, each of half the size of the one before.
    `features` is a `style_extractor` and says how many channels there must be. Where a `mask (height, width, 1)` is
    0 the *image* is not judged; the painting always counts as a whole.
    """
    smallest = 2 ** (checks.whole(levels, "levels", 1, 6) - 1) * SMALLEST
    if min(size) < smallest:
        raise ValueError(f"size {tuple(size)} is too small for {levels} levels; it needs {smallest} along each edge")
    painting = _seen(features, painting, "the painting", smallest)
    everywhere = tf.constant(EVERYWHERE[None])
    found = (grams(features, shrunk(painting, level), everywhere) for level in range(levels))
    return Style(features, tuple(tuple(copy) for copy in found), tf.constant(_checked_mask(mask)[None]),
                 tuple(map(int, size)))


def content_of(features, photo):
    """Return the `Content` of a photo `(height, width, 3 or 1)`, pixel space, judged at half its size or smaller."""
    photo, level = _seen(features, photo, "the photo", 2 * SMALLEST), 1
    while max(photo.shape[1:3]) > LARGEST * 2**level:
        level += 1
    return Content(features, tf.nest.flatten(features(shrunk(photo, level)))[-1], level)


def gram(maps, weights):
    """Return the Gram matrix of feature maps `(n, height, width, maps)`, as `(n, maps, maps)`.

    Entry (i, j) is the mean over all positions of map i times map j, each position counted by `weights`
    `(1 or n, height, width, 1)`. Where in the image two maps answered together is forgotten; that they did is kept.
    """
    weights = weights / tf.reduce_sum(weights, axis=(1, 2), keepdims=True)
    return tf.einsum("nhwi,nhwj->nij", maps, maps * weights)


def grams(features, images, mask):
    """Return the Gram matrices of the images, one `(n, maps, maps)` for each layer; large images window by window."""
    if max(images.shape[1:3]) > LARGEST:
        return _windowed(features, images, tf.image.resize(mask, images.shape[1:3]))
    return [gram(maps, _fitted(mask, maps)) for maps in tf.nest.flatten(features(images))]


def shrunk(images, times):
    """Return the images blurred and halved `times` times: a Gaussian pyramid, whose gradients are smooth."""
    channels = images.shape[-1]
    kernel = tf.constant(np.repeat(BINOMIAL[..., None, None], channels, axis=2))
    for _ in range(times):
        framed = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT")
        images = tf.nn.depthwise_conv2d(framed, kernel, (1, 2, 2, 1), "VALID")
    return images


def style_extractor(model, layers=()):
    """Return a model from pictures in pixel space, of any size, to the activations of several layers, as a list.

    A network of gray images, like ours, sees brightness relative to its surroundings, as its digits were standardized;
    one of three channels, like `load_vgg19()`, sees the pixels. No `layers` means all convolutions of a gray network,
    and the first of each block of VGG19's, as in article NST. Raises ValueError for an unknown layer.
    """
    trunk = any_size(model)
    first = [name for name in conv_layers(trunk) if name.endswith("_conv1")]
    chosen = list(layers) or first or conv_layers(trunk)
    for name in chosen:
        checks.choice(name, "layer", [layer.name for layer in trunk.layers[1:]])
    trunk = keras.Model(trunk.inputs, [trunk.get_layer(name).output for name in chosen])
    images = keras.Input((None, None, trunk.input_shape[-1]))
    seen = _Surroundings()(images) if images.shape[-1] == 1 else images
    extractor = keras.Model(images, trunk(seen), name=f"{model.name}_style")
    extractor.trainable = False
    return extractor


def paint(features, photo, painting, forms=FORMS, colors=None, mask=EVERYWHERE, step_sizes=STROKES,
          octaves=OCTAVES, smoothness=SMOOTHNESS):
    """Yield the photo `(height, width, 3 or 1)`, pixel space, step by step painted in the style of the painting.

    features    a `style_extractor`; a gray one paints the brightness and leaves the colors
    painting    `(any, any, 3 or 1)`: its strokes come out in the size, in pixels, that they have there
    forms       weight of the content; 0 leaves nothing of the photo but the start
    colors      what the photo is given before: `own_colors` (default), `painting_colors` or `in_gray`
    mask        `(height, width, 1)`, 1 where to paint and 0 where not
    octaves     painted first at a half, a quarter, ... of the size: large forms cost little there
    smoothness  weight against speckle (total variation)

    Iterate to watch, `break` to stop; the last picture is the result. An interrupt still yields what is there.
    Raises ValueError for pictures that are none or too small, and for weights out of range. Introduced in notebook 10.
    """
    photo = checks.photo(photo, SMALLEST * 2 ** checks.whole(octaves, "octaves", 1, 6))
    checks.number(forms, "forms", least=0), checks.number(smoothness, "smoothness", least=0)
    mask = _checked_mask(mask, photo.shape[:2])
    colored = (colors or own_colors)(photo, painting)
    plane, model = (_seen(features, one, name, SMALLEST * 2**octaves).numpy()
                    for one, name in ((colored, "the photo"), (painting, "the painting")))
    change = np.zeros((1, 1, 1, plane.shape[-1]), np.float32)
    for octave in reversed(range(octaves)):
        base = shrunk(plane, octave).numpy() if octave else plane
        strokes = np.clip(shrunk(model, octave)[0], 0, 1)
        style = style_of(features, strokes, base.shape[1:3], _levels(base.shape, strokes.shape), mask)
        wish = Mixed([style, content_of(features, base[0])], [1.0, forms])
        start = base + resize(change, base.shape[1:3])
        for _, images, _ in climb(Penalized(wish, total_variation, smoothness), start, step_sizes, clip, reports=range):
            change = images - base
            full = change if octave == 0 else resize(change, photo.shape[:2])
            yield np.clip(colored + mask * full[0], 0, 1)


def texture(features, painting, size, seed, **how):
    """Yield a square of `size` pixels that grows from noise into the painting's texture; `how` as for `paint`."""
    noise = np.random.default_rng(checks.whole(seed, "seed")).uniform(0.3, 0.7, (size, size, features.input_shape[-1]))
    return paint(features, noise.astype(np.float32), painting, forms=0, **how)


def own_colors(photo, painting):
    """Return the photo as it is: its brightness will be painted and its colors kept."""
    return photo


def in_gray(photo, painting):
    """Return the photo without its colors, `(height, width, 1)`."""
    return photo if photo.shape[-1] == 1 else gray(photo[None])[0]


def painting_colors(photo, painting):
    """Return the photo in the palette of the painting: its colors get the painting's mean and covariance.

    Of all linear maps that do so it is the one that moves colors least (Monge's; Pitie and Kokaram 2007).
    """
    if photo.shape[-1] != 3 or painting.shape[-1] != 3:
        raise ValueError(f"the photo has {photo.shape[-1]} channels and the painting {painting.shape[-1]}; a palette "
                         "needs 3 in both, or use in_gray")
    have, want = photo.reshape(-1, 3), painting.reshape(-1, 3)
    covariance = np.cov(have.T) + 1e-6 * np.eye(3)  # a photo without colors has no inverse
    root, back = _power(covariance, 0.5), _power(covariance, -0.5)
    matrix = back @ _power(root @ np.cov(want.T) @ root, 0.5) @ back
    moved = (have - have.mean(axis=0)) @ matrix + want.mean(axis=0)
    return np.clip(moved, 0, 1).reshape(photo.shape).astype(np.float32)


@keras.saving.register_keras_serializable("helpers")
class _Surroundings(keras.layers.Layer):
    """Brightness relative to that around it, in units of `CONTRAST`; mirrored at the edge, so no frame is seen."""

    def call(self, images):
        blocks = tf.nn.avg_pool2d(images, BLOCK, BLOCK, "SAME")
        around = tf.image.resize(tf.nn.avg_pool2d(blocks, 3, 1, "SAME"), tf.shape(images)[1:3])
        seen, frame = (images - around) / CONTRAST, [[0, 0], [BLOCK, BLOCK], [BLOCK, BLOCK], [0, 0]]
        inner = tf.pad(seen, frame)  # a mirrored pixel is looked at, but has no say of its own
        return inner + tf.stop_gradient(tf.pad(seen, frame, "SYMMETRIC") - inner)

    def compute_output_shape(self, shape):
        return (shape[0], None, None, shape[-1])


def _windowed(features, images, mask):
    """The Gram matrices of images, summed up window by window; blended where two of them meet."""

    @tf.recompute_grad
    def sums(window, weights, turn):
        """What one window adds; `turn` makes the windows wait for each other, also on the way back."""
        parts = [(maps, _fitted(weights, maps)) for maps in tf.nest.flatten(features(window + 1e-30 * turn))]
        totals = [number for maps, own in parts
                  for number in (tf.einsum("nhwi,nhwj->nij", maps, maps * own), tf.reduce_sum(own))]
        return *totals, turn + 1e-30 * tf.reduce_sum(totals[0])

    totals, turn = None, tf.constant(0.0)
    for rows, above in _windows(images.shape[1]):
        for columns, beside in _windows(images.shape[2]):
            own = mask[:, rows, columns] * np.outer(above, beside)[None, ..., None]
            *found, turn = sums(images[:, rows, columns], own, turn)
            totals = found if totals is None else [one + other for one, other in zip(totals, found)]
    return [product / weight for product, weight in zip(totals[::2], totals[1::2])]


def _windows(length):
    """The windows along an edge: each a slice, and the weights of its pixels, which add up to 1 over all windows."""
    size, count = min(length, LARGEST), max(1, -(-(length - SHARED) // (LARGEST - SHARED)))
    starts = (length - size) * np.arange(count) // max(1, count - 1) // BLOCK * BLOCK  # they begin on whole blocks
    stops = np.append(starts[:-1] + size, length)
    rising = [np.ones(length)]
    for start, stop in zip(starts[1:], stops):  # in the middle half of what two neighbors share
        rising.append(np.clip(2 * (np.arange(length) + 0.5 - start) / (stop - start) - 0.5, 0, 1))
    weights = [one - following for one, following in zip(rising, [*rising[1:], np.zeros(length)])]
    return [(slice(int(start), int(stop)), one[start:stop].astype(np.float32))
            for start, stop, one in zip(starts, stops, weights)]


def _fitted(mask, maps):
    """The mask in the size of the maps, and nowhere exactly 0, so that a mask of nothing is no division by zero."""
    return tf.image.resize(mask, tf.shape(maps)[1:3]) + 1e-9


def _power(covariance, exponent):
    """A covariance matrix to the power of a half or of minus a half."""
    lengths, axes = np.linalg.eigh(covariance)
    return (axes * np.maximum(lengths, 1e-9) ** exponent) @ axes.T


def _levels(image, painting):
    """On how many copies style is judged: as many as there are down to 28 pixels, but no more than `LEVELS`."""
    return int(np.clip(np.log2(min(*image[1:3], *painting[:2]) / SMALLEST) + 1, 1, LEVELS))


def _seen(features, picture, name, smallest):
    """A picture as a batch with the channels that the extractor sees, refused if it is none or too small."""
    picture = checks.photo(picture, smallest, name)
    channels = features.input_shape[-1]
    if picture.shape[-1] == channels:
        return tf.constant(picture[None])
    return tf.constant(gray(picture[None]) if channels == 1 else np.repeat(picture, 3, axis=2)[None])


def _checked_mask(mask, shape=None):
    mask = checks.photo(mask, name="the mask")
    if mask.shape[-1] != 1 or not mask.max() > 0:
        raise ValueError(f"the mask has shape {mask.shape} and goes up to {mask.max():g}; give (height, width, 1) "
                         "with 1 where to paint")
    if shape and mask.shape[:2] not in ((1, 1), shape):
        raise ValueError(f"the mask has {mask.shape[0]} x {mask.shape[1]} pixels, the photo {shape[0]} x {shape[1]}; "
                         "bring it there with images.resize")
    return mask
