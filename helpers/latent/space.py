"""Where latent vectors lie, how to draw new ones, how to walk between them, how to climb among them.

Latent vectors are arrays `(n, N)`, from wherever. Knows nothing of digits, files, training or figures; only the climb
needs a decoder.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from helpers.ascent import ascend
from helpers.base import checks

FITTED = 20_000  # vectors to which a mixture is fitted at most; more only take longer
NEGLIGIBLE = 1e-6  # share of the largest variance below which a direction counts as flat


class Components(NamedTuple):
    """What `components` says of the distribution of each latent component; all `(N,)`.

    `peaks` the most frequent value, `half_widths` half of the width of the distribution at half of its height
    (HWHM, which is what article AE-II lists as half-width), `means`, `deviations`. For a Gaussian the half-width is
    1.177 deviations.
    """

    peaks: np.ndarray
    half_widths: np.ndarray
    means: np.ndarray
    deviations: np.ndarray


def components(latents, bins=96):
    """Return the `Components` of latent vectors `(n, N)`, from one histogram of `bins` bins for each.

    The histogram, a little smoothed, spans all values of its component. Source: article AE-II. Introduced in
    notebook 09.
    """
    latents = _checked(latents)
    found = [_peak_and_half_width(column, checks.whole(bins, "bins", 8)) for column in latents.T]
    peaks, half_widths = np.transpose(found)
    return Components(peaks, half_widths, latents.mean(axis=0), latents.std(axis=0))


def uniform_lengths(size, half_width):
    """Return (mean, deviation) of the lengths of vectors whose `size` components are uniform in +-`half_width`.

    Mean b sqrt(N / 3) (1 - 1 / (10 N)), deviation b / sqrt(15), whatever N: good to a percent from N = 16 on. Article
    AE-II has the deviation too large by sqrt(N) (catalogue B43). Derived in notebook 09.
    """
    half_width = checks.number(half_width, "half_width", above=0)
    return half_width * np.sqrt(size / 3) * (1 - 1 / (10 * size)), half_width / np.sqrt(15)


def hit_test(vectors, statistics, half_widths=3.0):
    """Return the share of vectors within so many half-widths of the peak: for each component `(N,)`, and for all.

    If components were independent, the second would be the product of the first. Source: article AE-II, which reads
    the first off a drawing and counts the second (catalogue B43). Introduced in notebook 09.
    """
    vectors = _checked(vectors, len(statistics.peaks))
    inside = np.abs(vectors - statistics.peaks) <= half_widths * statistics.half_widths
    return inside.mean(axis=0), float(inside.all(axis=1).mean())


# Methods: each learns from latent vectors and gives a function (n, seed) -> n new ones.


def same_vectors(latents):
    """Return a method that draws real latent vectors: what a perfect method could do at best."""
    latents = _checked(latents)
    return lambda n, seed: latents[_random(seed).choice(len(latents), n, replace=n > len(latents))]


def uniform_cube(latents, half_width=None):
    """Return a method that draws each component evenly from +-`half_width`: method 2 of article AE-II.

    Without `half_width` the cube is the one whose vectors are on average as long as the real ones.
    """
    latents = _checked(latents)
    size = latents.shape[1]
    typical = np.linalg.norm(latents, axis=1).mean() / uniform_lengths(size, 1.0)[0]
    edge = typical if half_width is None else checks.number(half_width, "half_width", above=0)
    return lambda n, seed: _random(seed).uniform(-edge, edge, (n, size)).astype(np.float32)


def own_gaussians(latents):
    """Return a method that draws each component from a Gaussian of its own mean and deviation: AE-II's method 3."""
    latents = _checked(latents)
    means, deviations = latents.mean(axis=0), latents.std(axis=0)
    return lambda n, seed: np.float32(_random(seed).normal(means, deviations, (n, len(means))))


def own_distributions(latents):
    """Return a method that draws each component from its own values, whatever the others do."""
    latents = _checked(latents)
    size = latents.shape[1]
    return lambda n, seed: latents[_random(seed).integers(len(latents), size=(n, size)), np.arange(size)]


def full_covariance(latents):
    """Return a method that draws from one Gaussian with the mean and all the covariances of the latent vectors."""
    axes = main_axes(latents)
    return lambda n, seed: axes.vectors(_random(seed).standard_normal((n, len(axes.deviations))))


def main_components(latents, share=0.95):
    """Return a method that draws along each main component from its own values, whatever the others do.

    Of the main components the first are used, as many as hold `share` of the variance.
    """
    axes = main_axes(latents, share)
    places = axes.coordinates(latents)
    count = places.shape[1]
    return lambda n, seed: axes.vectors(places[_random(seed).integers(len(places), size=(n, count)), np.arange(count)])


def gaussian_mixture(latents, parts=10, share=0.95, seed=0):
    """Return a method that draws from a density of `parts` Gaussians, each with its own covariances (scikit-learn).

    It is fitted in the main components that hold `share` of the variance, to 20,000 of the vectors at most.
    """
    axes = main_axes(latents, share)
    places = axes.coordinates(same_vectors(latents)(min(FITTED, len(latents)), seed))
    mixture = GaussianMixture(checks.whole(parts, "parts", 1, len(latents)), reg_covar=1e-4, max_iter=50, tol=1e-2,
                              init_params="k-means++", random_state=seed).fit(places)
    roots = np.linalg.cholesky(mixture.covariances_)  # (parts, k, k)

    def draw(n, seed):
        random = _random(seed)
        part = random.choice(len(roots), n, p=mixture.weights_ / mixture.weights_.sum())
        normal = random.standard_normal((n, roots.shape[1]))
        return axes.vectors(mixture.means_[part] + np.einsum("nij,nj->ni", roots[part], normal))

    return draw


def prior(size):
    """Return a method that draws each of `size` components from a Gaussian of mean 0 and deviation 1: a VAE's own."""
    size = checks.whole(size, "size", 1)
    return lambda n, seed: np.float32(_random(seed).standard_normal((n, size)))


class Axes(NamedTuple):
    """The main axes of latent vectors, see `main_axes`.

    `center (N,)`, `directions (k, N)` of length 1, `deviations (k,)`. In *coordinates* along them, each divided by its
    deviation, real vectors have mean 0 and deviation 1.
    """

    center: np.ndarray
    directions: np.ndarray
    deviations: np.ndarray

    def coordinates(self, vectors):
        """Return the coordinates `(n, k)` of latent vectors `(n, N)`, in deviations."""
        return (_checked(vectors, len(self.center)) - self.center) @ self.directions.T / self.deviations

    def vectors(self, coordinates):
        """Return the latent vectors `(n, N)` at coordinates `(n, k)`, or at their first few: the others are 0."""
        places = np.asarray(coordinates, np.float32)
        used = places.shape[1]
        return (self.center + (places * self.deviations[:used]) @ self.directions[:used]).astype(np.float32)


def main_axes(latents, share=1.0):
    """Return the `Axes` along which latent vectors spread most, as many as hold `share` of their variance.

    These are the main components of the principal component analysis (PCA). Directions in which nothing varies are left
    out. Introduced in notebook 09.
    """
    share = checks.number(share, "share", above=0, most=1)
    pca = PCA(svd_solver="covariance_eigh").fit(_checked(latents))
    below = np.r_[0, np.cumsum(pca.explained_variance_ratio_)[:-1]]
    kept = (below < share) & (pca.explained_variance_ > NEGLIGIBLE * pca.explained_variance_[0])
    kept[0] = True
    deviations = np.sqrt(np.maximum(pca.explained_variance_, 1e-12))
    return Axes(*(np.float32(each) for each in (pca.mean_, pca.components_[kept], deviations[kept])))


def straight_walk(first, last, steps):
    """Return `steps` vectors `(steps, N)` from `first (N,)` to `last`, evenly along the straight line."""
    first, last = _checked(np.stack([first, last]))
    shares = np.linspace(0, 1, checks.whole(steps, "steps", 2), dtype=np.float32)[:, np.newaxis]
    return (1 - shares) * first + shares * last


def arc_walk(first, last, steps, center=0.0):
    """Return `steps` vectors `(steps, N)` from `first (N,)` to `last`, on the arc around `center`.

    The direction turns evenly, and the distance from the center goes evenly from that of `first` to that of `last`, so
    an arc stays where real vectors are long (spherical interpolation). Source: White 2016. Introduced in notebook 09.
    """
    shares = np.linspace(0, 1, checks.whole(steps, "steps", 2), dtype=np.float32)[:, np.newaxis]
    ends = _checked(np.stack([first, last])) - center
    lengths = np.linalg.norm(ends, axis=1, keepdims=True)
    one, other = ends / np.maximum(lengths, 1e-12)
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if np.sin(angle) < 1e-4:  # the same direction: there is no arc, or no telling which
        return straight_walk(first, last, steps)
    turned = (np.sin((1 - shares) * angle) * one + np.sin(shares * angle) * other) / np.sin(angle)
    return (center + ((1 - shares) * lengths[0] + shares * lengths[1]) * turned).astype(np.float32)


class Decoded(NamedTuple):
    """`objective` for what a decoder makes of coordinates `(n, 1, 1, k)`: the ascent moves these, not the pixels."""

    objective: Callable
    decoder: Callable
    center: tf.Tensor
    rows: tf.Tensor  # (k, N): one deviation along each main axis

    def __call__(self, coordinates):
        vectors = self.center + tf.matmul(coordinates[:, 0, 0], self.rows)  # (n, N)
        return self.objective(self.decoder(vectors, training=False))


def onto_shell(coordinates):
    """Return coordinates `(n, 1, 1, k)` scaled to root mean square 1: onto the shell on which real vectors lie.

    The `project` of a climb in latent space, as `standardize` is in the space of images.
    """
    mean_square = tf.reduce_mean(tf.square(coordinates), axis=(1, 2, 3), keepdims=True)
    return coordinates * tf.math.rsqrt(tf.maximum(mean_square, 1e-12))


class LatentClimb(NamedTuple):
    """What `climb_decoded` returns: `vectors (n, N)` the latent vectors reached, `values (n,)` of what they decode to,
    `start_values (n,)` where the climb began.
    """

    vectors: np.ndarray
    values: np.ndarray
    start_values: np.ndarray


def climb_decoded(objective, decoder, axes, starts, step_sizes, project=onto_shell):
    """Return the `LatentClimb` of an objective for images, climbed through a decoder.

    Image i is what the decoder makes of vector i, and it begins at `starts[i]`, latent vectors `(n, N)`. The engine
    moves coordinates along the main axes in units of their deviation, so like a standardized image they have root mean
    square 1, and a step size is about an angle; after every step `project` brings them back to the shell of real
    vectors. Source: Nguyen et al. 2016 ("Synthesizing the preferred inputs for neurons via deep generator networks").
    Introduced in notebook 09.
    """
    rows = axes.directions * axes.deviations[:, np.newaxis]
    through = Decoded(objective, decoder, tf.constant(axes.center), tf.constant(rows))
    start = axes.coordinates(starts)[:, np.newaxis, np.newaxis]  # (n, 1, 1, k)
    climb = ascend(through, start, step_sizes, project=project)
    if climb.stopped:
        raise KeyboardInterrupt  # vectors of half a climb are no answer
    return LatentClimb(axes.vectors(climb.images[:, 0, 0]), climb.values[-1], climb.values[0])


def _peak_and_half_width(values, bins):
    if np.ptp(values) == 0:
        return values[0], 0.0
    counts, edges = np.histogram(values, bins)
    heights = scipy.ndimage.gaussian_filter1d(counts.astype(float), 1.0)
    middles, top = (edges[1:] + edges[:-1]) / 2, int(heights.argmax())
    sides = [_crossing(middles[top:], heights[top:]), _crossing(middles[top::-1], heights[top::-1])]
    return middles[top], (sides[0] - sides[1]) / 2


def _crossing(places, heights):
    """Where heights that begin at their peak fall to half of it, interpolated; the last place if they never do."""
    below = np.flatnonzero(heights < heights[0] / 2)
    if not len(below):
        return places[-1]
    after = below[0]
    share = (heights[after - 1] - heights[0] / 2) / (heights[after - 1] - heights[after])
    return places[after - 1] + share * (places[after] - places[after - 1])


def _random(seed):
    return np.random.default_rng(checks.whole(seed, "seed"))


def _checked(vectors, size=None):
    vectors = checks.numbers(vectors, "latent vectors", (None, size))
    if 0 in vectors.shape:
        raise ValueError(f"latent vectors have shape {vectors.shape}, so there is none; give at least one")
    return vectors
