"""Carving a map's pattern into a photograph: whole, in tiles, in octaves. Knows nothing of models or files.

The network sees 28x28 pixels, a photograph has many more. So the photo (or each tile of it) is shrunk to what
the network can see and standardized, climbs a few steps, and only the *change* is enlarged and added. Details,
brightness and contrast of the photo survive by construction, and with no steps it comes back as it was.

A photo is `(height, width, 3)` or `(height, width, 1)` in pixel space, 0..1. The carving functions are
generators that yield the photo after each pass: iterate to watch, `break` to stop, the last is the result.
"""

from functools import partial

import numpy as np

from helpers.ascent import ascend, identity
from helpers.images import cut_tiles, gray, join_tiles, local_moments, resize, standardize
from helpers.objectives import Channels

SIGHT = 28  # pixels along an edge of what the network sees
CARVING = np.full(30, 0.01)  # the articles' epsilon and epochs for one pass
STROKES = np.full(10, 0.05)  # steps of one octave
TILES_AT_ONCE = 256  # bounds the memory, however large the photo
NOTHING = 1e-6  # deviation (of 0..1) below which an image is constant
MOST_GAIN = 2  # a place that lost contrast is never multiplied by more
LARGEST, SHARED = 1024, 128  # edge of the windows of a large octave, and what neighbors share: bounds the memory too
NEIGHBORHOOD = 28  # pixels around each pixel whose contrast an octave keeps
FAINT = 0.05  # local deviation (of 0..1) below which a neighborhood counts as flat and stays quiet


def luma(photo):
    """Return the brightness of the photo as one plane `(1, height, width, 1)`: what changes keeps its colors."""
    return photo[None] if photo.shape[-1] == 1 else gray(photo[None])


def channels(photo):
    """Return each color channel as a plane of its own `(channels, height, width, 1)`: colors are dreamt too."""
    return photo.transpose(2, 0, 1)[..., None]


def carve(objective, photo, passes=4, step_sizes=CARVING, strength=1.0, planes=luma, precondition=identity):
    """Yield `photo` after each pass of carving what `objective` wants into the whole of it.

    objective   climbs one image, e.g. `Channels(features, [56])`; for `planes=channels` one per channel
    step_sizes  the steps of one pass
    strength    multiplies the change before it is added
    planes      which gray images of the photo are dreamt: `luma` or `channels`

    A constant photo stays as it is, and the array given is never changed. An interrupt leaves the last photo yielded
    as the result. Raises ValueError for a photo that is none, holds NaN or is smaller than 28 pixels, and for passes
    or a strength out of range. Source: article DD-I; its constant correction tensor is not needed where only the
    change is enlarged. Introduced in notebook 06.
    """
    photo = _checked(photo, passes, strength)
    for _ in range(passes):
        change = _changes(lambda starts, numbers: objective, planes(photo), step_sizes, precondition)
        photo = photo + strength * change.transpose(3, 1, 2, 0)[0]  # planes become channels; one serves them all
        yield np.clip(photo, 0, 1)


def carve_tiles(aim, photo, tiles=2, passes=4, step_sizes=CARVING, strength=1.0, overlap=0.5, offsets=None,
                precondition=identity):
    """Yield `photo` after each pass of carving into each of `tiles` x `tiles` parts of it, colors kept.

    aim      a function from the tiles as the network sees them, `(n, 28, 28, 1)` in model space, and their
             numbers `(n,)`, row by row, to the objective they climb: `same_map`, `listed_maps`, `random_maps`
             or `strongest_maps`, or your own
    tiles    how many lie along each edge: a whole number, or (rows, columns) for a photo that is not square
    overlap  share of a tile that its neighbor covers too, 0 to 0.75: further tiles lie between the others and
             all are blended, so that no seam is left. 0 is the articles' way, with its seams
    offsets  a `numpy.random.Generator` that shifts the whole grid anew in every pass; None leaves it in place

    Each tile is standardized for the network, and its change is brought to the tile's own contrast; that keeps the
    mean and deviation of a tile. Blending would let a strong tile leak into a faint neighbor, so afterwards every
    place gets back the mean and deviation that `photo` has around it. For a cascade call it with 1, 2, 4, ... tiles,
    one after the other. Raises ValueError for what `carve` refuses, tiles of fewer than 28 pixels and an overlap out
    of range. Source: article DD-III and its addendum. Introduced in notebook 07.
    """
    if hasattr(aim, "_fields"):
        raise ValueError("carve_tiles takes an aim, such as same_map(features, 56), not an objective")
    photo = _checked(photo, passes, strength)
    size, step = _grid(photo.shape[:2], tiles, overlap)
    around = [max(3, length // 2) for length in size]
    moments = local_moments(luma(photo), around)
    climbs = partial(_changes_in_batches, aim, step_sizes=step_sizes, precondition=precondition)
    for _ in range(passes):
        before = (0, 0) if offsets is None or np.prod(tiles) == 1 else offsets.integers(0, step)
        plane = luma(photo)
        change = strength * _blended(climbs, plane[0], size, step, before)
        if size != step:
            change = _with_moments(plane + change, moments, around)[0] - plane[0]
        photo = photo + change
        yield np.clip(photo, 0, 1)


def same_map(features, index):
    """Return an aim for tiles (see `carve_tiles`): all climb map `index`."""
    return lambda starts, numbers: Channels(features, [index] * len(starts))


def listed_maps(features, indices):
    """Return an aim for tiles: tile 0 climbs `indices[0]`, tile 1 `indices[1]`, ..., after the last the first again.

    Tiles are counted row by row, those that an overlap puts between the others included.
    """
    return lambda starts, numbers: Channels(features, [indices[number % len(indices)] for number in numbers])


def random_maps(features, seed):
    """Return an aim for tiles: each climbs a map drawn at random, the same one in every pass."""
    maps = features.output_shape[-1]
    return lambda starts, numbers: Channels(
        features, [int(np.random.default_rng((seed, number)).integers(maps)) for number in numbers]
    )


def strongest_maps(features):
    """Return an aim for tiles: each climbs the map that already answers most to it, as a DeepDream does."""

    def aim(starts, numbers):
        answers = np.asarray(features(starts, training=False)).mean(axis=(1, 2))  # (n, maps)
        return Channels(features, answers.argmax(axis=1))

    return aim


def carve_region(objective, photo, region, passes=4, step_sizes=CARVING, strength=1.0, feather=0.25,
                 precondition=identity):
    """Yield `photo` after each pass of carving into one `region` of it, (row, column, height, width); colors kept.

    The change fades towards the edge of the region over a share `feather` of its height and width, 0 to 0.5. With
    0 it ends in a step, the seam of article DD-III. Raises ValueError for what `carve` refuses and for a region
    outside the photo or of fewer than 28 pixels. Introduced in notebook 07.
    """
    photo = _checked(photo, passes, strength)
    row, column, height, width = region
    if min(row, column) < 0 or row + height > photo.shape[0] or column + width > photo.shape[1]:
        raise ValueError(f"region {tuple(region)} reaches beyond the photo of {photo.shape[0]} x {photo.shape[1]}; "
                         "give (row, column, height, width)")
    if min(height, width) < SIGHT:
        raise ValueError(f"region {tuple(region)} is too small; it needs {SIGHT} pixels along each edge")
    if not 0 <= feather <= 0.5:
        raise ValueError(f"feather {feather!r} is out of range; it is a share from 0 to 0.5")
    inside = (slice(row, row + height), slice(column, column + width))
    share = np.outer(_fading(height, feather), _fading(width, feather))[..., None]
    for _ in range(passes):
        photo = photo.copy()
        change = _changes(lambda starts, numbers: objective, luma(photo[inside]), step_sizes, precondition)
        photo[inside] += strength * share * change[0]
        yield np.clip(photo, 0, 1)


def carve_octaves(objective, photo, octaves=4, scale=1.4, step_sizes=STROKES, strength=1.0,
                  precondition=identity):
    """Yield `photo` after each octave of a DeepDream, the coarsest first, colors kept.

    objective  climbs one image of any size, e.g. `Channels(feature_extractor(any_size(cnn), "Conv2D_3"), [56])`
    octaves    sizes at which the photo is dreamt, each `scale` times smaller than the next

    What one octave changed is enlarged and carried on to the next, so details are never lost. The photo is
    standardized around every pixel, not as a whole, and the change is brought to the contrast found there: regions
    without contrast stay quiet. Above 1024 pixels an octave climbs window by window, which bounds the memory.
    Raises ValueError for what `carve` refuses, a scale that is not above 1, and an octave below 28 pixels. Source:
    Mordvintsev, Olah and Tyka 2015; articles DD-I and DD-III thought it impossible here. Introduced in notebook 07.
    """
    photo = _checked(photo, octaves, strength)
    climb = partial(_climbed_change, objective, step_sizes=step_sizes, precondition=precondition)
    change = np.zeros((1, 1, 1, 1), np.float32)
    for size in _octave_sizes(photo.shape[:2], octaves, scale):
        change = resize(change, size)
        plane = resize(luma(photo), size) + change
        means, deviations = local_moments(plane, NEIGHBORHOOD)
        seen = (plane - means) / np.maximum(deviations, FAINT)
        windows = [_window(length) for length in size]
        change = change + strength * deviations * _blended(climb, seen[0], *zip(*windows))
        yield np.clip(photo + resize(change, photo.shape[:2])[0], 0, 1)


def carve_with_correction(objective, photo, passes=4, step_sizes=CARVING):
    """Yield the gray `photo` after each pass of the articles' own scheme: a constant correction tensor.

    The whole image is enlarged from 28x28 each time, so its details must be added again: a tensor, computed
    once from the original, is meant to do so. With steps it goes stale; `carve` needs none. Source: article DD-I.
    """
    picture = luma(_checked(photo, passes, 1.0))
    shape, mean, deviation = picture.shape[1:3], picture.mean(), picture.std()
    picture = standardize(picture)
    low = resize(picture, (SIGHT, SIGHT))
    correction = picture - resize(low, shape)
    for _ in range(passes):
        climbed = _climbed(objective, low, step_sizes, identity)
        picture = resize(climbed, shape) + correction
        low = resize(picture, (SIGHT, SIGHT))
        yield np.clip(mean + deviation * picture[0], 0, 1)


def _changes(aim, images, step_sizes, precondition, first=0):
    """What the climb changes in each image `(n, height, width, 1)`, in the image's own contrast and size."""
    lows = resize(images, (SIGHT, SIGHT))
    deviations = lows.std(axis=(1, 2, 3), keepdims=True)
    starts = standardize((lows - lows.mean(axis=(1, 2, 3), keepdims=True)) / np.maximum(deviations, NOTHING))
    objective = aim(starts, first + np.arange(len(starts)))
    climbed = _climbed(objective, starts, step_sizes, precondition)
    return resize((climbed - starts) * deviations, images.shape[1:3])


def _changes_in_batches(aim, tiles, step_sizes, precondition):
    """The changes of any number of tiles, `TILES_AT_ONCE` in one batch."""
    return np.concatenate([
        _changes(aim, tiles[first : first + TILES_AT_ONCE], step_sizes, precondition, first)
        for first in range(0, len(tiles), TILES_AT_ONCE)
    ])


def _climbed_change(objective, windows, step_sizes, precondition):
    """What the climb changes in each window `(n, height, width, 1)` at its own size, one after the other."""
    starts = standardize(windows)
    return np.concatenate([_climbed(objective, start[None], step_sizes, precondition) for start in starts]) - starts


def _blended(changes, plane, size, step, before=(0, 0)):
    """The `changes` of all tiles of one plane `(height, width, 1)`, blended; the grid begins `before` its corner."""
    after = [-(start + length - part) % move for start, length, part, move in zip(before, plane.shape, size, step)]
    framed = np.pad(plane, [*zip(before, after), (0, 0)], mode="symmetric")
    joined = join_tiles(changes(cut_tiles(framed, size, step)), framed.shape[:2], step)
    return joined[before[0] : before[0] + plane.shape[0], before[1] : before[1] + plane.shape[1]]


def _with_moments(images, moments, around):
    """The images with the means and deviations `moments` around every pixel, in a window of `around` pixels."""
    means, deviations = local_moments(images, around)
    gains = np.minimum(moments[1] / np.maximum(deviations, NOTHING), MOST_GAIN)
    return moments[0] + (images - means) * gains


def _grid(shape, tiles, overlap):
    """(size, step) of the tiles in pixels, each (height, width)."""
    counts = np.broadcast_to(tiles, 2)
    most = [length // SIGHT for length in shape]
    if counts.dtype.kind not in "iu" or any(not 1 <= count <= limit for count, limit in zip(counts, most)):
        raise ValueError(f"{tiles!r} tiles along an edge do not fit: a tile needs {SIGHT} pixels, so use 1 to "
                         f"{most[0]} rows and 1 to {most[1]} columns for this photo")
    if not 0 <= overlap <= 0.75:
        raise ValueError(f"overlap {overlap!r} is out of range; it is a share from 0 to 0.75")
    size = tuple(-(-length // int(count)) for length, count in zip(shape, counts))
    return size, tuple(part if count == 1 else max(1, round(part * (1 - overlap))) for part, count in zip(size, counts))


def _window(length):
    """(size, step) of the windows in which an octave of this length climbs: as few as possible, all equal."""
    count = max(1, -(-(length - SHARED) // (LARGEST - SHARED)))
    size = -(-(length + (count - 1) * SHARED) // count)
    return size, size if count == 1 else size - SHARED


def _octave_sizes(shape, octaves, scale):
    """The sizes (height, width) of the octaves, smallest first."""
    if not scale > 1:
        raise ValueError(f"scale {scale!r} is out of range; each octave must be smaller than the next, by more than 1")
    sizes = [tuple(round(length / scale**octave) for length in shape) for octave in reversed(range(octaves))]
    if sizes and min(sizes[0]) < SIGHT:
        raise ValueError(f"{octaves} octaves of scale {scale} shrink the photo to {sizes[0]}; use fewer or a smaller "
                         f"scale, so that every size has {SIGHT} pixels or more")
    return sizes


def _fading(length, feather):
    """Weights 0..1 along an edge that rise smoothly over a share `feather` at either end."""
    inwards = (np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5) / max(feather * length, 0.5)
    return np.sin(np.pi / 2 * np.minimum(inwards, 1)).astype(np.float32) ** 2


def _climbed(objective, starts, step_sizes, precondition):
    """Where the climb ends; an interrupt leaves the pass, so that no half of one is ever yielded."""
    climb = ascend(objective, starts, step_sizes, precondition=precondition, reports=_only_the_result)
    if climb.stopped:
        raise KeyboardInterrupt
    return climb.images


def _only_the_result(steps):
    return []


def _checked(photo, passes, strength):
    photo = np.asarray(photo, np.float32)
    if photo.ndim != 3 or photo.shape[2] not in (1, 3):
        raise ValueError(f"the photo has shape {photo.shape}; it must be (height, width, 3) or (height, width, 1)")
    if min(photo.shape[:2]) < SIGHT:
        raise ValueError(f"the photo has {photo.shape[0]} x {photo.shape[1]} pixels; it needs {SIGHT} along each edge")
    if not np.isfinite(photo).all():
        raise ValueError("the photo holds NaN or infinite values; give numbers from 0 to 1")
    if photo.min() < -0.01 or photo.max() > 1.01:
        raise ValueError(f"the photo has values from {photo.min():g} to {photo.max():g}; pixel space is 0..1, so "
                         "divide 8-bit values by 255")
    if not (isinstance(passes, (int, np.integer)) and passes >= 0):
        raise ValueError(f"passes {passes!r} is out of range; use a whole number of 0 or more")
    if not (np.isfinite(strength) and 0 <= strength <= 100):
        raise ValueError(f"strength {strength!r} is out of range; use a number from 0 to 100")
    return photo
