"""Carving a map's pattern into a photograph: whole, in tiles, in octaves. Knows nothing of models or files.

The network sees 28x28 pixels, a photograph has many more. So the photo (or each tile of it) is shrunk to what
the network can see and standardized, climbs a few steps, and only the *change* is enlarged and added. Details,
brightness and contrast of the photo survive by construction, and with no steps it comes back as it was.

A photo is `(height, width, 3)` or `(height, width, 1)` in pixel space, 0..1. The carving functions are
generators that yield the photo after each pass: iterate to watch, `break` to stop, the last is the result.
"""

import numpy as np

from helpers.ascent import ascend, identity
from helpers.images import cut_tiles, gray, join_tiles, local_moments, resize, standardize

SIGHT = 28  # pixels along an edge of what the network sees
CARVING = np.full(30, 0.01)  # the articles' epsilon and epochs for one pass
TILES_AT_ONCE = 256  # bounds the memory, however large the photo
WINDOW = 28  # pixels of the neighborhood whose contrast an octave keeps
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

    Raises ValueError for a photo that is none, holds NaN or is smaller than 28 pixels, and for passes or a
    strength out of range. Source: article DD-I; its constant correction tensor is not needed where only the
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
             or `strongest_maps` of `objectives`, or your own
    overlap  share of a tile that its neighbor covers too, 0 to 0.75: further tiles lie between the others and
             all are blended, so that no seam is left. 0 is the articles' way, with its seams
    offsets  a `numpy.random.Generator` that shifts the whole grid anew in every pass; None leaves it in place

    Each tile is standardized for the network and given its own brightness and contrast back. For a cascade
    call it with 1, 2, 4, ... tiles, one after the other. Source: article DD-III and its addendum. Introduced
    in notebook 07.
    """
    photo = _checked(photo, passes, strength)
    if not (isinstance(tiles, (int, np.integer)) and 1 <= tiles <= min(photo.shape[:2]) // SIGHT):
        raise ValueError(f"{tiles!r} tiles along an edge do not fit: a tile needs {SIGHT} pixels, so use 1 to "
                         f"{min(photo.shape[:2]) // SIGHT} for this photo")
    if not 0 <= overlap <= 0.75:
        raise ValueError(f"overlap {overlap!r} is out of range; it is a share from 0 to 0.75")
    size = tuple(-(-length // tiles) for length in photo.shape[:2])
    step = tuple(max(1, round(length * (1 - overlap))) for length in size) if tiles > 1 else size
    for _ in range(passes):
        before = offsets.integers(0, step) if offsets is not None and tiles > 1 else (0, 0)
        change = _tiled_change(aim, luma(photo)[0], size, step, before, step_sizes, precondition)
        photo = photo + strength * change
        yield np.clip(photo, 0, 1)


def carve_octaves(objective, photo, octaves=4, scale=1.4, step_sizes=np.full(10, 0.05), strength=1.0,
                  precondition=identity):
    """Yield `photo` after each octave of a DeepDream, the coarsest first, colors kept.

    objective  climbs one image of any size, e.g. `Channels(feature_extractor(any_size(cnn), "Conv2D_3"), [56])`
    octaves    sizes at which the photo is dreamt, each `scale` times smaller than the next

    What one octave changed is enlarged and carried on to the next, so details are never lost. The photo is
    standardized around every pixel, not as a whole: regions without contrast stay quiet. Source: Mordvintsev,
    Olah and Tyka 2015; articles DD-I and DD-III thought it impossible here. Introduced in notebook 07.
    """
    photo = _checked(photo, octaves, strength)
    sizes = [tuple(round(length / scale**octave) for length in photo.shape[:2]) for octave in range(octaves)][::-1]
    if scale <= 1 or min(sizes[0]) < SIGHT:
        raise ValueError(f"{octaves} octaves of scale {scale} shrink the photo to {sizes[0]}; keep the scale above 1 "
                         f"and every size at {SIGHT} pixels or more")
    change = np.zeros((1, *sizes[0], 1), np.float32)
    for size in sizes:
        change = resize(change, size)
        plane = resize(luma(photo), size) + change
        means, deviations = local_moments(plane, WINDOW)
        seen = standardize((plane - means) / np.maximum(deviations, FAINT))
        climbed = ascend(objective, seen, step_sizes, precondition=precondition, reports=_only_the_result).images
        change = change + strength * (climbed - seen) * deviations
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
        climbed = ascend(objective, low, step_sizes, reports=_only_the_result).images
        picture = resize(climbed, shape) + correction
        low = resize(picture, (SIGHT, SIGHT))
        yield np.clip(mean + deviation * picture[0], 0, 1)


def _changes(aim, images, step_sizes, precondition, first=0):
    """What the climb changes in each image `(n, height, width, 1)`, in the image's own contrast and size."""
    lows = resize(images, (SIGHT, SIGHT))
    starts = standardize(lows)
    objective = aim(starts, first + np.arange(len(starts)))
    climbed = ascend(objective, starts, step_sizes, precondition=precondition, reports=_only_the_result).images
    deviations = lows.std(axis=(1, 2, 3), keepdims=True)
    return resize((climbed - starts) * deviations, images.shape[1:3])


def _tiled_change(aim, plane, size, step, before, step_sizes, precondition):
    """The change of all tiles, blended, of one plane `(height, width, 1)`; the grid begins `before` its corner."""
    after = [-(start + length - part) % move for start, length, part, move in zip(before, plane.shape, size, step)]
    framed = np.pad(plane, [*zip(before, after), (0, 0)], mode="symmetric")
    tiles = cut_tiles(framed, size, step)
    parts = [_changes(aim, tiles[first : first + TILES_AT_ONCE], step_sizes, precondition, first)
             for first in range(0, len(tiles), TILES_AT_ONCE)]
    joined = join_tiles(np.concatenate(parts), framed.shape[:2], step)
    return joined[before[0] : before[0] + plane.shape[0], before[1] : before[1] + plane.shape[1]]


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
    if not (isinstance(passes, (int, np.integer)) and passes >= 0):
        raise ValueError(f"passes {passes!r} is out of range; use a whole number of 0 or more")
    if not (np.isfinite(strength) and 0 <= strength <= 100):
        raise ValueError(f"strength {strength!r} is out of range; use a number from 0 to 100")
    return photo
