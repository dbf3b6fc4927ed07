"""Random start images with structure on several length scales. Knows nothing of networks or ascents.

All functions give standardized images (model space) as numpy arrays. The same seed gives the same images
on every machine, and image i is the same whether 1 or 1,000 are asked for.
"""

import numpy as np

from helpers.images import resize, standardize


def fluctuations(n, amplitudes, seed, size=28):
    """Return `n` random images `(n, size, size, 1)`: a weighted sum of noise grids of different coarseness.

    `amplitudes` maps a grid size to its weight: `{3: 0.2, 7: 0.2}` adds a 3x3 and a 7x7 grid of uniform
    random numbers, each enlarged to `size` x `size` by bicubic interpolation. Every enlarged grid is brought
    to deviation 1 before it is weighted, so equal weights are equal shares; as the sum is standardized, only
    the ratios count. Raises ValueError for a grid below 2 or above `size`, a negative weight, or no weight
    above zero. Source: article VIII, where grids of 3, 7, 14 and 28 are used. Introduced in notebook 04.
    """
    _check_count(n)
    return numbered_fluctuations(np.arange(n), amplitudes, seed, size)


def numbered_fluctuations(numbers, amplitudes, seed, size=28):
    """Return those of the images that `fluctuations` makes of a seed which have these `numbers`, from 0."""
    _check_amplitudes(amplitudes, size)
    _check_seed(seed)
    total = np.zeros((len(numbers), size, size, 1), np.float32)
    for grid, weight in sorted(amplitudes.items()):
        if weight == 0:
            continue
        random = np.random.default_rng((seed, grid))  # its own stream: changing one weight changes no other grid
        noise = random.uniform(-1, 1, (int(np.max(numbers)) + 1, grid, grid, 1))[numbers].astype(np.float32)
        total += weight * standardize(resize(noise, (size, size)))
    return standardize(total)


def spectral_fluctuations(n, exponent, seed, size=28):
    """Return `n` random images `(n, size, size, 1)` whose amplitude falls as frequency ** -exponent.

    All phases are random. Exponent 0 is white noise, 1 has as much power in every octave (as photographs
    have), 2 and more is cloudy. One number takes the place of a list of grids and weights; article VIII
    wondered about such a Fourier start (question Q7). Introduced in notebook 04.
    """
    _check_count(n)
    _check_seed(seed)
    random = np.random.default_rng((seed, 0))
    spectra = np.fft.rfft2(random.standard_normal((n, size, size)), axes=(1, 2))
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequencies[0, 0] = np.inf  # the mean is taken away by standardization anyway
    noise = np.fft.irfft2(spectra * frequencies ** -float(exponent), s=(size, size), axes=(1, 2))
    return standardize(noise[..., None] / noise.std())  # scaled first: standardize leaves tiny values tiny


def _check_count(n):
    if not (isinstance(n, (int, np.integer)) and n > 0):
        raise ValueError(f"n = {n!r} images cannot be made; n must be a whole number of at least 1")


def _check_seed(seed):
    if not (isinstance(seed, (int, np.integer)) and seed >= 0):
        raise ValueError(f"seed {seed!r} is none; use a whole number of 0 or more")


def _check_amplitudes(amplitudes, size):
    for grid, weight in amplitudes.items():
        if not (isinstance(grid, (int, np.integer)) and 2 <= grid <= size):
            raise ValueError(f"grid size {grid!r} does not fit; use whole numbers from 2 to {size}")
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight {weight!r} of grid {grid} must be a number of 0 or more")
    if not any(weight > 0 for weight in amplitudes.values()):
        raise ValueError(f"amplitudes {amplitudes} are all zero; give at least one grid a weight above 0")
