"""Carving a map's pattern into a photograph: whole, in tiles, in octaves. Knows nothing of models or files.

A network sees few pixels, a photograph has many. So the photo (or each tile of it) is shrunk to what the network
can see and standardized, climbs a few steps, and only the *change* is enlarged and added. Details, brightness and
contrast of the photo survive by construction, and with no steps it comes back as it was.

A photo is `(height, width, 3)` or `(height, width, 1)` in pixel space, 0..1. A network that sees gray dreams its
brightness and keeps its colors, one that sees color dreams the colors too. The carving functions are generators
that yield the photo after each pass: iterate to watch, `break` to stop, the last is the result.
"""

from functools import partial
from itertools import chain

import numpy as np

from helpers.ascent import identity, last_images
from helpers.base import checks
from helpers.images import gray, join_tiles, local_moments, moments_in_bands, resize, standardize, tile_batches
from helpers.objectives import Channels

SIGHT = 28  # pixels along an edge of what our networks see
UNTOLD = (SIGHT, SIGHT, 1)  # (height, width, channels) shown to an objective that tells nothing of its network
CARVING = np.full(30, 0.01)  # the articles' epsilon and epochs for one pass
STROKES = np.full(10, 0.05)  # steps of one octave
TILES_AT_ONCE = 256  # of 28 x 28 pixels, or fewer larger ones: bounds the memory, however large the photo
PIXELS_AT_ONCE = 2**22  # of the photo, in tiles that are changed together
NOTHING = 1e-6  # deviation (of 0..1) below which an image is constant
MOST_GAIN = 2  # a place that lost contrast is never multiplied by more
LARGEST, SHARED = 800, 128  # edge of the windows of a large octave, and what neighbors share: bounds the memory too
MANY_PIXELS, SMALLER = 2**22, 512  # a photo of more pixels fills the memory itself: smaller windows then
NEIGHBORHOOD = 28  # pixels around each pixel whose contrast an octave keeps
FAINT = 0.05  # local deviation (of 0..1) below which a neighborhood counts as flat and stays quiet


def luma(photo):
    """Return the brightness of the photo as one plane `(1, height, width, 1)`: what changes keeps its colors."""
    return photo[None] if photo.shape[-1] == 1 else gray(photo[None])


def channels(photo):
    """Return each color channel as a plane of its own `(channels, height, width, 1)`: colors are dreamt too."""
    return photo.transpose(2, 0, 1)[..., None]


def sight_of(objective, untold=UNTOLD):
    """Return (height, width, channels) of the images that the network behind an objective or an aim sees.

    `untold` fills in where a network takes any size, and where an objective of your own has no `features`.
    """
    shape = _input_shape(objective) or (None, None, None, None)
    return tuple(told or other for told, other in zip(shape[1:], untold))


def carve(objective, photo, passes=4, step_sizes=CARVING, strength=1.0, planes=luma, precondition=identity,
          sight=UNTOLD):
    """Yield `photo` after each pass of carving what `objective` wants into the whole of it.

    objective   climbs one image, e.g. `Channels(features, [56])`; for `planes=channels` one per channel
    step_sizes  the steps of one pass
    strength    multiplies the change before it is added
    planes      which gray images of the photo are dreamt: `luma` or `channels`. A network that sees color dreams
                the photo as it is, whatever is said here
    sight       (height, width, channels) shown to a network of any size; others tell it themselves

    A constant photo stays as it is, and the array given is never changed. An interrupt leaves the last photo yielded
    as the result. Raises ValueError for a photo that is none, holds NaN or is smaller than 28 pixels, and for passes
    or a strength out of range. Source: article DD-I; its constant correction tensor is not needed where only the
    change is enlarged. Introduced in notebook 06.
    """
    sight = sight_of(objective, sight)
    photo, passes, strength = _checked(photo, passes, strength, sight)
    seen = _as_seen(photo, sight, planes)
    change = np.zeros_like(seen)
    for _ in range(passes):
        change += strength * _changes(lambda starts, numbers: objective, sight, step_sizes, precondition, seen + change)
        yield _with_change(photo, change)


def carve_tiles(aim, photo, tiles=2, passes=4, step_sizes=CARVING, strength=1.0, overlap=0.5, offsets=None,
                precondition=identity, sight=UNTOLD):
    """Yield `photo` after each pass of carving into each of `tiles` x `tiles` parts of it.

    aim      a function from the tiles as the network sees them, `(n, 28, 28, 1)` in model space, and their
             numbers `(n,)`, row by row, to the objective they climb: `same_map`, `listed_maps`, `random_maps`
             or `strongest_maps`, or your own (an aim of your own for another network needs `sight`)
    tiles    how many lie along each edge: a whole number, or (rows, columns) for a photo that is not square
    overlap  share of a tile that its neighbor covers too, 0 to 0.75: further tiles lie between the others and
             all are blended, so that no seam is left. 0 is the articles' way, with its seams
    offsets  a `numpy.random.Generator` that shifts the whole grid anew in every pass; None leaves it in place

    Each tile is standardized for the network, and its change is brought to the tile's own contrast; that keeps the
    mean and deviation of a tile. Blending would let a strong tile leak into a faint neighbor, so afterwards every
    place gets back the mean and deviation that `photo` has around it. Raises ValueError for what `carve` refuses,
    tiles of fewer than 28 pixels and an overlap out of range. Source: article DD-III and its addendum. Introduced in
    notebook 07.
    """
    checks.function(aim, "aim", "same_map(features, 56)")
    if offsets is not None and not isinstance(offsets, np.random.Generator):
        raise ValueError(f"offsets {checks.shown(offsets)} does not fit; give None or np.random.default_rng(4)")
    if hasattr(aim, "_fields"):
        raise ValueError("carve_tiles takes an aim, such as same_map(features, 56), not an objective")
    sight = sight_of(aim, sight)
    photo, passes, strength = _checked(photo, passes, strength, sight)
    size, step = _grid(photo.shape[:2], tiles, overlap, _smallest(sight))
    around = [max(3, length // 2) for length in size]
    seen = _as_seen(photo, sight)
    at_once = max(1, min(TILES_AT_ONCE * SIGHT**2 // np.prod(sight), PIXELS_AT_ONCE // np.prod(size)))
    climbs = partial(_changes, aim, sight, step_sizes, precondition)
    change = np.zeros_like(seen)
    for _ in range(passes):
        before = (0, 0) if offsets is None or np.prod(tiles) == 1 else offsets.integers(0, step)
        change += strength * _blended(climbs, (seen + change)[0], size, step, at_once, before)
        if size != step:
            change += seen  # in place: a photo may be large
            change = _with_moments_of(seen, change, around)
            change -= seen
        yield _with_change(photo, change)


def carve_cascade(aim, photo, tiles=(1, 2, 4, 8), passes=1, **options):
    """Yield `photo` after each pass of `carve_tiles` with 1 tile, then with 2 x 2, 4 x 4, ... : from large to small.

    `tiles` lists the grids, and `options` are the further arguments of `carve_tiles`, which also says what is
    refused; a grid that does not fit is refused before work begins. Source: article DD-III. Introduced in notebook 07.
    """
    levels = list(tiles)
    for count in levels:
        next(carve_tiles(aim, photo, count, 0, **options), None)
    for count in levels:
        for dream in carve_tiles(aim, photo, count, passes, **options):
            photo = dream
            yield photo


def same_map(features, index):
    """Return an aim for tiles (see `carve_tiles`): all climb map `index`."""
    index = checks.index(index, _maps(features))
    return _aim(features, lambda starts, numbers: [index] * len(starts))


def listed_maps(features, indices):
    """Return an aim for tiles: tile 0 climbs `indices[0]`, tile 1 `indices[1]`, ..., after the last the first again.

    Tiles are counted row by row, those that an overlap puts between the others included.
    """
    indices = [checks.index(index, _maps(features)) for index in indices] if np.iterable(indices) else []
    if not indices:
        raise ValueError("there are no indices of maps to climb; give at least one, such as [56]")
    return _aim(features, lambda starts, numbers: [indices[number % len(indices)] for number in numbers])


def random_maps(features, seed):
    """Return an aim for tiles: each climbs a map drawn at random, the same one in every pass."""
    maps, seed = _maps(features), checks.whole(seed, "seed")
    return _aim(features, lambda starts, numbers: [int(np.random.default_rng((seed, number)).integers(maps))
                                                   for number in numbers])  # fmt: skip


def strongest_maps(features):
    """Return an aim for tiles: each climbs the map that already answers most to it, as a DeepDream does."""
    answers = getattr(features, "compiled_forward", features)

    def strongest(starts, numbers):
        activations = np.asarray(answers(starts), np.float32)
        return activations.mean(axis=tuple(range(1, activations.ndim - 1))).argmax(axis=1)  # (n,) of (n, maps)

    return _aim(features, strongest)


def carve_region(objective, photo, region, passes=4, step_sizes=CARVING, strength=1.0, feather=0.25,
                 precondition=identity, sight=UNTOLD):
    """Yield `photo` after each pass of carving into one `region` of it, (row, column, height, width).

    The change fades towards the edge of the region over a share `feather` of its height and width, 0 to 0.5. With
    0 it ends in a step, the seam of article DD-III. Raises ValueError for what `carve` refuses and for a region
    outside the photo or of fewer than 28 pixels. Introduced in notebook 07.
    """
    sight = sight_of(objective, sight)
    photo, passes, strength = _checked(photo, passes, strength, sight)
    row, column, height, width = region = checks.wholes(region, "region", 4, 0, "(row, column, height, width)")
    if row + height > photo.shape[0] or column + width > photo.shape[1]:
        raise ValueError(f"region {region} reaches beyond the photo of {photo.shape[0]} x {photo.shape[1]}; "
                         "give (row, column, height, width)")
    if min(height, width) < _smallest(sight):
        raise ValueError(f"region {region} is too small; it needs {_smallest(sight)} pixels along each edge")
    feather = checks.number(feather, "feather", least=0, most=0.5)
    inside = (slice(None), slice(row, row + height), slice(column, column + width))
    share = strength * np.outer(_fading(height, feather), _fading(width, feather))[..., None]
    seen = _as_seen(photo, sight)
    change = np.zeros_like(seen)
    for _ in range(passes):
        part = (seen + change)[inside]
        change[inside] += share * _changes(lambda starts, numbers: objective, sight, step_sizes, precondition, part)
        yield _with_change(photo, change)


def carve_octaves(objective, photo, octaves=4, scale=1.4, step_sizes=STROKES, strength=1.0,
                  precondition=identity, sight=UNTOLD, largest=LARGEST):
    """Yield `photo` after each octave of a DeepDream, the coarsest first.

    objective  climbs one image of any size, e.g. `Channels(feature_extractor(any_size(cnn), "Conv2D_3"), [56])`
    octaves    sizes at which the photo is dreamt, each `scale` times smaller than the next
    largest    edge of the windows in which larger octaves climb, one after the other: a deep network needs smaller
               ones (of 300 pixels, say), so that its activations fit into memory. A photo of more than 4
               megapixels has windows of at most 512 pixels

    What one octave changed is enlarged and carried on to the next, so details are never lost. The photo is
    standardized around every pixel, not as a whole, and the change is brought to the contrast found there: regions
    without contrast stay quiet. Raises ValueError for what `carve` refuses, a network that sees one size only, a
    scale that is not above 1, and an octave below 28 pixels. Source: Mordvintsev, Olah and Tyka 2015; articles DD-I
    and DD-III thought it impossible here. Introduced in notebook 07.
    """
    fixed = sight_of(objective, (None, None, None))[:2]
    if fixed != (None, None):
        raise ValueError(f"octaves need a network that takes images of any size, this one sees {fixed}; give "
                         "geometry.any_size(model) to feature_extractor")
    sight, largest = sight_of(objective, sight), checks.whole(largest, "largest", 1)
    photo, octaves, strength = _checked(photo, octaves, strength, sight)
    largest = min(largest, SMALLER) if photo[..., 0].size > MANY_PIXELS else largest
    climb = partial(_climbed_change, objective, step_sizes, precondition)
    change = np.zeros((1, 1, 1, sight[2]), np.float32)
    for size in _octave_sizes(photo.shape[:2], octaves, scale, _smallest(sight)):
        change = resize(change, size)
        plane = resize(_as_seen(photo, sight), size)
        plane += change  # all of this in place: a photo may be large
        means, deviations = local_moments(plane, NEIGHBORHOOD)
        plane -= means
        del means
        plane /= np.maximum(deviations, FAINT)
        windows = [_window(length, largest) for length in size]
        deviations *= _blended(climb, plane[0], *zip(*windows))
        change += strength * deviations
        del plane, deviations
        yield _with_change(photo, change if size == photo.shape[:2] else resize(change, photo.shape[:2]))


def carve_with_correction(objective, photo, passes=4, step_sizes=CARVING):
    """Yield the gray `photo` after each pass of the articles' own scheme: a constant correction tensor.

    The whole image is enlarged from 28x28 each time, so its details must be added again: a tensor, computed
    once from the original, is meant to do so. With steps it goes stale; `carve` needs none. Source: article DD-I.
    """
    sight = sight_of(objective)
    picture = luma(_checked(photo, passes, 1.0, sight)[0])
    shape, mean, deviation = picture.shape[1:3], picture.mean(), picture.std()
    picture = standardize(picture)
    low = resize(picture, sight[:2])
    correction = picture - resize(low, shape)
    for _ in range(passes):
        climbed = last_images(objective, low, step_sizes)
        picture = resize(climbed, shape) + correction
        low = resize(picture, sight[:2])
        yield np.clip(mean + deviation * picture[0], 0, 1)


def _maps(features):
    return checks.network(features, "features").output_shape[-1]


def _aim(features, choose):
    """An aim for tiles: `choose` gives the map of each, and `sight_of` finds what the network sees."""

    def aim(starts, numbers):
        return Channels(features, choose(starts, numbers))

    aim.features = features
    return aim


def _input_shape(part):
    """The shape of the images that an objective, or what it consists of, is computed from; None if untold."""
    shape = getattr(part, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        return shape
    parts = part if isinstance(part, tuple) else [part.features] if hasattr(part, "features") else []
    return next(filter(None, map(_input_shape, parts)), None)


def _as_seen(photo, sight, planes=luma):
    """The photo as one image or several `(n, height, width, channels)` of as many channels as the network sees."""
    if sight[2] not in (1, 3):
        raise ValueError(f"the network sees {sight[2]} channels; a photo is for one that sees 1 (gray) or 3 (color)")
    checks.function(planes, "planes", "luma")
    return planes(photo) if sight[2] == 1 else np.broadcast_to(photo, (1, *photo.shape[:2], 3))


def _with_change(photo, change):
    """The photo with the change of its planes, or of the planes' own colors, within 0..1."""
    if change.shape[-1] == 1:
        change = change.transpose(3, 1, 2, 0)  # planes become channels; one serves them all
    elif photo.shape[-1] == 1:
        change = change.mean(axis=-1, keepdims=True)
    result = photo + change[0]
    return np.clip(result, 0, 1, out=result)


def _changes(aim, sight, step_sizes, precondition, images, first=0):
    """What the climb changes in each image `(n, height, width, channels)`, in the image's own contrast and size."""
    lows = resize(images, sight[:2])
    deviations = lows.std(axis=(1, 2, 3), keepdims=True)
    starts = (lows - lows.mean(axis=(1, 2, 3), keepdims=True)) / np.maximum(deviations, NOTHING)
    climbed = last_images(aim(starts, first + np.arange(len(starts))), starts, step_sizes, precondition=precondition)
    return resize((climbed - starts) * deviations, images.shape[1:3])


def _climbed_change(objective, step_sizes, precondition, windows, first=0):
    """What the climb changes in each window `(n, height, width, channels)` at its own size, one after the other."""
    starts = standardize(windows)
    ends = [last_images(objective, start[None], step_sizes, precondition=precondition) for start in starts]
    return np.concatenate(ends) - starts


def _blended(changes, plane, size, step, at_once=1, before=(0, 0)):
    """The `changes` of all tiles of one plane, blended `(1, *plane.shape)`; the grid begins `before` its corner."""
    after = [-(start + length - part) % move for start, length, part, move in zip(before, plane.shape, size, step)]
    framed = np.pad(plane, [*zip(before, after), (0, 0)], mode="symmetric") if any((*before, *after)) else plane
    changed = (changes(tiles, first=place * at_once)
               for place, tiles in enumerate(tile_batches(framed, size, step, at_once)))
    joined = join_tiles(chain.from_iterable(changed), framed.shape[:2], step)
    return joined[None, before[0] : before[0] + plane.shape[0], before[1] : before[1] + plane.shape[1]]


def _with_moments_of(model, images, around):
    """The images with the means and deviations of the `model` around every pixel, in a window of `around` pixels."""
    result = np.empty_like(images)
    bands = zip(moments_in_bands(model, around), moments_in_bands(images, around))
    for (rows, *wanted), (_, means, deviations) in bands:
        gains = np.minimum(wanted[1] / np.maximum(deviations, NOTHING), MOST_GAIN)
        result[:, rows] = wanted[0] + (images[:, rows] - means) * gains
    return result


def _grid(shape, tiles, overlap, smallest):
    """(size, step) of the tiles in pixels, each (height, width)."""
    counts = checks.wholes(tiles, "tiles", least=1, words="(rows, columns)")
    most = [length // smallest for length in shape]
    if any(not 1 <= count <= limit for count, limit in zip(counts, most)):
        raise ValueError(f"{tiles!r} tiles along an edge do not fit: a tile needs {smallest} pixels, so use 1 to "
                         f"{most[0]} rows and 1 to {most[1]} columns for this photo")
    overlap = checks.number(overlap, "overlap", least=0, most=0.75)
    size = tuple(-(-length // count) for length, count in zip(shape, counts))
    return size, tuple(part if count == 1 else max(1, round(part * (1 - overlap))) for part, count in zip(size, counts))


def _window(length, largest):
    """(size, step) of the windows in which an octave of this length climbs: as few as possible, all equal."""
    shared = min(SHARED, largest // 4)
    count = max(1, -(-(length - shared) // (largest - shared)))
    size = -(-(length + (count - 1) * shared) // count)
    return size, size if count == 1 else size - shared


def _octave_sizes(shape, octaves, scale, smallest):
    """The sizes (height, width) of the octaves, smallest first."""
    scale = checks.number(scale, "scale", above=1)
    sizes = [tuple(round(length / scale**octave) for length in shape) for octave in reversed(range(octaves))]
    if sizes and min(sizes[0]) < smallest:
        raise ValueError(f"{octaves} octaves of scale {scale} shrink the photo to {sizes[0]}; use fewer or a smaller "
                         f"scale, so that every size has {smallest} pixels or more")
    return sizes


def _fading(length, feather):
    """Weights 0..1 along an edge that rise smoothly over a share `feather` at either end."""
    inwards = (np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5) / max(feather * length, 0.5)
    return np.sin(np.pi / 2 * np.minimum(inwards, 1)).astype(np.float32) ** 2


def _smallest(sight):
    """How many pixels of a photo, or of a part of it, there must be along each edge."""
    return min(SIGHT, *sight[:2])


def _checked(photo, passes, strength, sight):
    return (checks.photo(photo, smallest=_smallest(sight)), checks.whole(passes, "passes"),
            checks.number(strength, "strength", least=0, most=100))
