"""Which map of one network does the work of which map of another, and how alike two layers are.

Works on arrays of activations, whatever they come from. Knows nothing of models, images or files.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from helpers.base import checks


class Matching(NamedTuple):
    """Pairs of maps: map i of the first network goes with map `partners[i]` of the second.

    `correlations (maps,)` of each pair, `table (maps, maps of the second)` of all possible pairs. Of a network
    with more maps than the other some stay single: their partner is -1 and their correlation NaN.
    """

    partners: np.ndarray
    correlations: np.ndarray
    table: np.ndarray

    @property
    def identity(self):
        """The correlations of the maps with equal numbers, for a comparison."""
        return np.diag(self.table)

    @property
    def chance(self):
        """What a random pairing has on average: the mean of the table."""
        return float(self.table.mean())


def match_maps(first, second):
    """Return the `Matching` of the maps of two networks with the highest sum of correlations.

    `first` and `second` are activations of the same images, `(n, height, width, maps)` or `(n, units)`; every
    position counts as one observation. A map that never changes correlates 0 with all. Source: Li, Yosinski,
    Clune, Lipson and Hopcroft 2016; the assignment is the Hungarian one. Introduced in notebook 05.
    """
    first, second = _of_same_images(first, second, -1, np.float64)
    table = _unit_columns(first).T @ _unit_columns(second)  # (maps, maps)
    rows, columns = linear_sum_assignment(table, maximize=True)
    partners, correlations = np.full(len(table), -1), np.full(len(table), np.nan)
    partners[rows], correlations[rows] = columns, table[rows, columns]
    return Matching(partners, correlations, table)


def linear_cka(first, second):
    """Return how alike two layers see the same images, 0..1: their linear centered kernel alignment.

    `first` and `second` are activations with one row per image, of any shapes; everything behind the first
    axis is flattened. 1 means that one is the other but for a rotation and a scale: which map does what does
    not count, so it answers another question than `match_maps`. With fewer images than units chance alone
    gives clearly more than 0, so compare with shuffled images. Source: Kornblith, Norouzi, Lee and Hinton
    2019. Introduced in notebook 05.
    """
    first, second = _of_same_images(first, second, 1, np.float32)
    kernels = [_kernel(activations) for activations in (first, second)]  # (n, n)
    lengths = [np.linalg.norm(kernel) for kernel in kernels]
    return float((kernels[0] * kernels[1]).sum() / max(lengths[0] * lengths[1], 1e-30))


def debiased_cka(first, second):
    """Return `linear_cka` without its bias: 0 on average where two layers have nothing in common, also for few images.

    It may fall below 0. The diagonal of each kernel, where an image meets itself, is left out, and the centering
    allows for that (an unbiased estimate of the Hilbert-Schmidt independence criterion). Source: Song and others 2012;
    Nguyen, Raghu and Kornblith 2021. Introduced in notebook 11.
    """
    first, second = _of_same_images(first, second, 1, np.float32)
    if len(first) < 4:
        raise ValueError(f"{len(first)} images are too few for a debiased alignment; give at least 4")
    kernels = [_kernel(activations) for activations in (first, second)]
    for kernel in kernels:
        np.fill_diagonal(kernel, 0)
    own = [_unbiased(kernel, kernel) for kernel in kernels]
    return float(_unbiased(*kernels) / np.sqrt(max(own[0], 1e-30) * max(own[1], 1e-30)))


def _unbiased(first, second):
    """The inner product of two kernels without diagonals, corrected for the centering."""
    n = len(first)
    sums = first.sum() * second.sum() / ((n - 1) * (n - 2))
    return (first * second).sum() + sums - 2 / (n - 2) * (first.sum(axis=0) @ second.sum(axis=0))


def _unit_columns(activations):
    """Maps as columns of mean 0 and length 1, (observations, maps); a constant one is 0."""
    columns = _scaled(activations).reshape(-1, activations.shape[-1])
    centered = columns - columns.mean(axis=0)
    lengths, sizes = np.linalg.norm(centered, axis=0), np.abs(columns).max(axis=0)
    return centered / np.where(lengths > 1e-9 * np.sqrt(len(columns)) * sizes, lengths, np.inf)


def _kernel(activations):
    """The inner products of all pairs of images, centered."""
    rows = _scaled(activations).reshape(len(activations), -1)
    rows = rows - rows.mean(axis=0)
    return (rows @ rows.T).astype(np.float64)


def _scaled(activations):
    """The activations brought to 1 at most: however faint or strong they are, their squares stay numbers."""
    return activations / max(np.abs(activations).max(), 1e-37)


def _of_same_images(first, second, axes, dtype):
    """Both as arrays, refused unless their first `axes` axes, or all but the last, are equally long."""
    first, second = (checks.numbers(activations, "activations", dtype=dtype) for activations in (first, second))
    if 0 in first.shape + second.shape or first.shape[:axes] != second.shape[:axes]:
        raise ValueError(f"activations of shapes {first.shape} and {second.shape} are not of the same images and "
                         "positions")
    return first, second
