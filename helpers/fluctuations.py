"""Random start images with structure on several length scales. Knows nothing of networks or ascents.

All functions give standardized images (model space) as numpy arrays. The same seed gives the same images
on every machine, and image i is the same whether 1 or 1,000 are asked for.
"""

from functools import cache

import numpy as np

from helpers.base import checks
from helpers.images import resize, standardize

ALL_STREAMS = 2**128  # numbers after which a stream of PCG64 begins anew


def fluctuations(n, amplitudes, seed, size=28, channels=1):
    """Return `n` random images `(n, size, size, 1)`: a weighted sum of noise grids of different coarseness.

    `amplitudes` maps a grid size to its weight: `{3: 0.2, 7: 0.2}` adds a 3x3 and a 7x7 grid of uniform
    random numbers, each enlarged to `size` x `size` by bicubic interpolation. Every enlarged grid is brought
    to deviation 1 before it is weighted, so equal weights are equal shares; as the sum is standardized, only
    the ratios count. `size` may also be (height, width); each of several `channels` is a fluctuation of its own.
    Raises ValueError for a grid below 2 or above `size`, a negative weight, or no weight above zero. Source:
    article VIII, where grids of 3, 7, 14 and 28 are used. Introduced in notebook 04.
    """
    return numbered_fluctuations(np.arange(checks.whole(n, "n", least=1)), amplitudes, seed, size, channels)


def numbered_fluctuations(numbers, amplitudes, seed, size=28, channels=1):
    """Return those of the images that `fluctuations` makes of a seed which have these `numbers`, from 0.

    Nothing is drawn for the images in between, so number 100,000 costs no more than number 0.
    """
    height, width = checks.wholes(size, "size", least=1)
    edge = max(height, width)
    _check_amplitudes(amplitudes, edge)
    checks.whole(seed, "seed")
    planes = (np.asarray(numbers)[:, None] * channels + np.arange(channels)).ravel()
    total = np.zeros((len(planes), edge, edge, 1), np.float32)
    for grid, weight in sorted(amplitudes.items()):
        if weight:
            total += weight * standardize(_enlarged(_grids(seed, grid, planes), edge))
    images = total.reshape(len(numbers), channels, edge, edge).transpose(0, 2, 3, 1)
    return standardize(images[:, :height, :width])


def spectral_fluctuations(n, exponent, seed, size=28):
    """Return `n` random images `(n, size, size, 1)` whose amplitude falls as frequency ** -exponent.

    All phases are random. Exponent 0 is white noise, 1 has as much power in every octave (as photographs
    have), 2 and more is cloudy. One number takes the place of a list of grids and weights; article VIII
    wondered about such a Fourier start (question Q7). Introduced in notebook 04.
    """
    n, exponent = checks.whole(n, "n", least=1), checks.number(exponent, "exponent", -9, 9)
    size = checks.whole(size, "size", least=2)
    random = np.random.default_rng((checks.whole(seed, "seed"), 0))
    spectra = np.fft.rfft2(random.standard_normal((n, size, size)), axes=(1, 2))
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequencies[0, 0], spectra[:, 0, 0] = 1, 0  # the mean is taken away by standardization anyway
    noise = np.fft.irfft2(spectra * frequencies**-exponent, s=(size, size), axes=(1, 2))
    return standardize(noise[..., None] / noise.std())  # scaled first: standardize leaves tiny values tiny


def _grids(seed, grid, numbers):
    """Noise `(n, grid, grid, 1)`: of all the grids that a seed gives for this size the ones with these numbers."""
    stream, place = np.random.PCG64(np.random.SeedSequence((seed, grid))), 0  # changing one size changes no other
    random, size = np.random.Generator(stream), grid * grid
    noise = np.empty((len(numbers), size), np.float32)
    for row, number in zip(noise, numbers.tolist()):
        stream.advance((number - place) * size % ALL_STREAMS)  # one draw of the stream for each pixel
        row[:], place = random.uniform(-1, 1, size), number + 1
    return noise.reshape(-1, grid, grid, 1)


def _enlarged(noise, edge):
    """The grids `(n, grid, grid, 1)` as `images.resize` enlarges them, by two matrix products: many times as fast."""
    weights = _enlarging(noise.shape[1], edge)
    return (weights @ noise[..., 0] @ weights.T)[..., np.newaxis]


@cache
def _enlarging(grid, edge):
    """The matrix `(edge, grid)` that enlarges a column of `grid` numbers to `edge` of them."""
    return resize(np.eye(grid, dtype=np.float32)[..., np.newaxis, np.newaxis], (edge, 1))[..., 0, 0].T


def _check_amplitudes(amplitudes, size):
    if not isinstance(amplitudes, dict):
        raise ValueError(f"amplitudes {checks.shown(amplitudes)} must be a dict {{grid size: weight}}, as {{3: 0.5}}")
    for grid, weight in amplitudes.items():
        if not (isinstance(grid, (int, np.integer)) and 2 <= grid <= size):
            raise ValueError(f"grid size {grid!r} does not fit; use whole numbers from 2 to {size}")
        checks.number(weight, f"the weight of grid {grid}", least=0)
    if not any(weight > 0 for weight in amplitudes.values()):
        raise ValueError(f"amplitudes {amplitudes} are all zero; give at least one grid a weight above 0")
