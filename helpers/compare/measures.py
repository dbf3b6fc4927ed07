"""Numbers for a claim: what maps, patterns and removals of a network are like, each as one number per map or network.

Works on extractors, images and activations, for any network; knows nothing of recipes, files or figures. What a
number means for networks in general only many trainings can tell (notebook 11).
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata, t

from helpers.activations import mean_activations
from helpers.ascent import great_circle, last_images
from helpers.fluctuations import fluctuations
from helpers.images import standardize
from helpers.objectives import Channels

FINE = 0.25  # cycles per pixel: what is finer counts as speckle
COARSE = {3: 0.2, 7: 0.2}  # the articles' usual start: long waves only
IMAGES_AT_ONCE = 512  # bounds the memory
STEPS = np.geomspace(0.7, 0.01, 40)  # angles of a climb that ends on a summit
AGAIN = np.geomspace(0.1, 0.01, 10)  # of a second one that asks whether it did
DIP = 0.05  # what a path between two summits may lose and still be no valley


def fine_share(images, pixels=26):
    """Return the share of each image's spectral power above 0.25 cycles per pixel, `(n,)`; white noise has 0.80.

    Small is legible. Only the upper left `pixels` x `pixels` count: those beyond are seen by no map of the shipped
    network. Introduced in notebook 11; data/README.md uses it.
    """
    seen = images[:, :pixels, :pixels].mean(axis=-1)
    power = np.abs(np.fft.fft2(seen - seen.mean(axis=(1, 2), keepdims=True))) ** 2
    rows, columns = np.fft.fftfreq(seen.shape[1])[:, None], np.fft.fftfreq(seen.shape[2])
    return power[:, np.hypot(rows, columns) > FINE].sum(axis=1) / np.maximum(power.sum(axis=(1, 2)), 1e-30)


def silent_share(features, amplitudes, n=128, seed=0):
    """Return for each map the share of `n` random start images to which it answers with exactly 0, `(maps,)`.

    There the gradient is 0 as well, so the articles' ascent cannot begin (article IX). Introduced in notebook 11.
    """
    starts = fluctuations(n, amplitudes, seed, features.input_shape[1])
    return (mean_activations(features, starts) == 0).mean(axis=0)


def favorite_images(before, indices, starts, step_sizes, **options):
    """Return where climbs of the maps `indices` end that begin at `starts`, one for each map, in groups."""
    ends = [
        last_images(Channels(before, indices[first : first + IMAGES_AT_ONCE], leak=0.05),
                    starts[first : first + IMAGES_AT_ONCE], step_sizes, **options)
        for first in range(0, len(indices), IMAGES_AT_ONCE)
    ]  # fmt: skip
    return np.concatenate(ends)


class Interval(NamedTuple):
    """A mean over `n` trainings, or pairs of them, and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self):
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g}, n = {self.n})"


def mean_interval(values):
    """Return the `Interval` of the mean of `values` `(n,)`, one for each training: Student's t, 95 %.

    It says where the mean of many more such trainings probably lies, not where single trainings do. Pass differences
    of trainings that share their random numbers and it tells whether the one kind is above the other. Raises
    ValueError for fewer than two values. Introduced in notebook 11.
    """
    values = np.asarray(values, float)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs at least two finite numbers, one for each training, not {values}")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half), len(values))


class Summits(NamedTuple):
    """What many climbs of each map have found, see `summits`.

    `values (maps, starts)` the mean activations at the ends, `converged` the share of climbs that a second cooled
    climb raises by less than 1 %, `counts (maps,)` how many groups of ends no valley separates, `best` the images
    of the highest end of each map.
    """

    values: np.ndarray
    converged: float
    counts: np.ndarray
    best: np.ndarray


def summits(features, before, indices, starts=8, seed=0):
    """Return the `Summits` of the maps `indices`: how many maxima has a map, if every climb goes to its end?

    `before` gives the layer's values before the non-linearity. Two ends belong together if along the great circle
    between them the value never falls more than 5 % below the lower one. That path need not be the best, so the
    counts may be too high; and with few starts they are too low, for what nobody has climbed is not counted. Source:
    articles VII to IX (question Q3). Introduced in notebook 11.
    """
    maps, size = len(indices), features.input_shape[1]
    owners = np.repeat(indices, starts)
    first = favorite_images(before, owners, fluctuations(maps * starts, {3: 0.5, 7: 0.5}, seed, size), STEPS,
                            move=great_circle)  # fmt: skip
    ends = favorite_images(before, owners, first, AGAIN, move=great_circle)
    values, earlier = (_own(features, images, owners).reshape(maps, starts) for images in (ends, first))
    awake = values > 0
    converged = float((values < 1.01 * earlier)[awake].mean()) if awake.any() else np.nan
    ends = ends.reshape(maps, starts, *ends.shape[1:])
    counts = _separate(features, ends, values, owners)
    return Summits(values, converged, counts, ends[np.arange(maps), values.argmax(axis=1)])


def _separate(features, ends, values, owners):
    """How many groups of ends of each map no valley separates, (maps,); a silent map has none."""
    maps, starts = values.shape
    one, other = np.triu_indices(starts, 1)
    flat = ends.reshape(maps, starts, -1)
    cosine = np.clip(np.einsum("mpx,mpx->mp", flat[:, one], flat[:, other]) / flat.shape[2], -1, 1)
    lowest = np.full(cosine.shape, np.inf)
    for share in (0.2, 0.35, 0.5, 0.65, 0.8):  # of the way
        angle = np.arccos(cosine)[..., None]
        near = np.where(angle > 1e-3, np.sin((1 - share) * angle) / np.maximum(np.sin(angle), 1e-9), 1 - share)
        far = np.where(angle > 1e-3, np.sin(share * angle) / np.maximum(np.sin(angle), 1e-9), share)
        between = standardize(np.float32(near * flat[:, one] + far * flat[:, other]).reshape(-1, *ends.shape[2:]))
        lowest = np.minimum(lowest, _own(features, between, np.repeat(owners[::starts], len(one))).reshape(maps, -1))
    joined = lowest >= (1 - DIP) * np.minimum(values[:, one], values[:, other])
    counts = []
    for joins, height in zip(joined, values):
        graph = np.zeros((starts, starts))
        graph[one[joins], other[joins]] = 1
        groups = connected_components(graph, directed=False)[1]
        counts.append(len(set(groups[height > 0])))
    return np.array(counts)


def _own(features, images, owners):
    """The mean activation of each image's own map, (n,)."""
    return mean_activations(features, images, IMAGES_AT_ONCE)[np.arange(len(images)), owners]


def one_patch_share(images, patch=9, copies=8, rounds=8):
    """Return the share of each image's variance that one small patch explains, laid down at free places, `(n,)`.

    The patch, its `copies` places and its strengths (above 0) are fitted to the image in turns: places one after the
    other where they help most, then the patch by least squares. 1 means that the image is a superposition of one
    elementary pattern (articles VII and VIII, question Q5). Any image gets some share, so compare with
    `same_spectrum`. Introduced in notebook 11.
    """
    wanted = images.mean(axis=-1) - images.mean(axis=(1, 2, 3))[:, None, None]
    each, best = np.arange(len(wanted)), np.zeros(len(wanted))
    windows = np.lib.stride_tricks.sliding_window_view(wanted, (patch, patch), axis=(1, 2))
    loudest = np.square(windows).sum(axis=(3, 4)).reshape(len(wanted), -1).argmax(axis=1)
    atom = windows.reshape(len(wanted), -1, patch, patch)[each, loudest]
    for _ in range(rounds):
        atom = atom / np.maximum(np.linalg.norm(atom, axis=(1, 2), keepdims=True), 1e-12)
        rest, places = wanted.copy(), []
        for _ in range(copies):
            windows = np.lib.stride_tricks.sliding_window_view(rest, (patch, patch), axis=(1, 2))
            fits = np.einsum("nrcyx,nyx->nrc", windows, atom, optimize=True)
            place = fits.reshape(len(rest), -1).argmax(axis=1)
            strength = np.maximum(fits.reshape(len(rest), -1)[each, place], 0)
            rows = (place // fits.shape[2])[:, None, None] + np.arange(patch)[:, None]
            columns = (place % fits.shape[2])[:, None, None] + np.arange(patch)
            rest[each[:, None, None], rows, columns] -= strength[:, None, None] * atom
            places.append((strength, rows, columns))
        best = np.maximum(best, 1 - np.square(rest).sum(axis=(1, 2)) / np.square(wanted).sum(axis=(1, 2)))
        total = sum(strength**2 for strength, _, _ in places)
        change = sum(strength[:, None, None] * rest[each[:, None, None], rows, columns]
                     for strength, rows, columns in places)  # fmt: skip
        atom = atom + 0.5 * change / np.maximum(total, 1e-12)[:, None, None]
    return best


def same_spectrum(images, seed=0):
    """Return images with the spectra of these but random phases: as coarse or fine, with no pattern. A control."""
    spectra = np.abs(np.fft.fft2(images, axes=(1, 2)))
    noise = np.random.default_rng(seed).standard_normal(images.shape)
    return standardize(np.float32(np.fft.ifft2(spectra * np.exp(1j * np.angle(np.fft.fft2(noise, axes=(1, 2)))),
                                               axes=(1, 2)).real))  # fmt: skip


class SoftMaximum(NamedTuple):
    """Image i climbs a soft maximum over the nodes of map `indices[i]`: log of the mean of exp(sharpness * node).

    Sharpness near 0 is the mean of the map, a large one its strongest node alone. `scale` is the size of an
    activation, such as its deviation. Introduced in notebook 11.
    """

    features: object
    indices: tf.Tensor
    sharpness: tf.Tensor
    scale: tf.Tensor

    def __call__(self, images):
        nodes = tf.gather(self.features(images, training=False), self.indices, axis=-1, batch_dims=1)
        nodes = tf.reshape(nodes, (tf.shape(nodes)[0], -1)) * self.sharpness / self.scale
        total = tf.reduce_logsumexp(nodes, axis=1) - tf.math.log(tf.cast(tf.shape(nodes)[1], tf.float32))
        return total / self.sharpness * self.scale


def nodes_at_work(features, images, indices):
    """Return by how many nodes of map `indices[i]` image i is answered, `(n,)`: (sum)^2 / sum of squares."""
    nodes = np.asarray(features(images, training=False))[np.arange(len(images)), ..., indices].reshape(len(images), -1)
    return nodes.sum(axis=1) ** 2 / np.maximum(np.square(nodes).sum(axis=1), 1e-30)


def rank_correlations(first, second):
    """Return Spearman's rank correlation of each column of two tables `(n, columns)`; NaN where one is constant."""
    ranks = [rankdata(table, axis=0) for table in (first, second)]
    one, other = (rank - rank.mean(axis=0) for rank in ranks)
    lengths = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    return np.where(lengths > 0, (one * other).sum(axis=0) / np.where(lengths > 0, lengths, 1), np.nan)


def best_patch_answers(activations, known, geometry, images):
    """Return how much each image `(n, ...)` looks like the patch that excites each map most, `(n, maps)`.

    `activations` are the layer's of the images `known`; each map's strongest node among them names its patch. The
    likeness is the mean of the inner products over all places where the map has a node, halves below zero cut off.
    """
    n, height, width, maps = activations.shape
    place = activations.reshape(-1, maps).argmax(axis=0)
    numbers, nodes = place // (height * width), place % (height * width)
    patches = _fields(known[numbers], geometry)[np.arange(maps), nodes]  # (maps, pixels)
    patches = patches - patches.mean(axis=1, keepdims=True)
    fields = _fields(images, geometry)  # (n, nodes, pixels)
    return np.maximum(fields @ patches.T, 0).mean(axis=1)


def _fields(images, geometry):
    """What each node of a layer sees, `(n, nodes, pixels)`; beyond the image it is 0."""
    count, field = geometry.map_size[0], geometry.field
    before, last = max(0, -geometry.start), geometry.start + (count - 1) * geometry.stride + field
    after = max(0, last - images.shape[1])
    padded = np.pad(images[..., 0], ((0, 0), (before, after), (before, after)))
    starts = before + geometry.start + geometry.stride * np.arange(count)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (field, field), axis=(1, 2))
    return windows[:, starts][:, :, starts].reshape(len(images), count * count, -1)


def selectivity(class_means):
    """Return for each map (best - rest) / (best + rest) of its class means `(classes, maps)`, 0..1; 0 where silent."""
    best = class_means.max(axis=0)
    rest = (class_means.sum(axis=0) - best) / (len(class_means) - 1)
    return (best - rest) / np.maximum(best + rest, 1e-12)


def purity(answers, labels, count=10):
    """Return for each map the share of its most frequent class among the `count` images it answers to most."""
    strongest = labels[np.argsort(-answers, axis=0)[:count]]  # (count, maps)
    return np.stack([(strongest == c).mean(axis=0) for c in np.unique(labels)]).max(axis=0)
