"""How good are generated images: are they digits, of all kinds, new, and spread like real ones?

Takes images from wherever, a CNN that reads them and real images to hold them against. Knows nothing of how images were
generated, of files or of figures.
"""

from typing import NamedTuple

import numpy as np

from helpers.activations import feature_extractor, mean_activations
from helpers.base import checks


class Scores(NamedTuple):
    """What `judge` says of a set of images.

    `confidence`  the CNN's mean probability for the class it names: 1 if it is always sure
    `classes`     over how many classes the images are spread: the exponential of the entropy of the classes named,
                  10 if each comes up as often, 1 if it is always the same
    `nearest`     the mean distance to the nearest real image: root mean square difference in model space, 0 for a
                  copy, about 1.4 for nothing in common
    `frechet`     the Fréchet distance of their features to those of the real images: 0 if mean and covariance agree
    """

    confidence: float
    classes: float
    nearest: float
    frechet: float


class Reference(NamedTuple):
    """What images are held against, see `reference`."""

    cnn: object
    features: object
    images: np.ndarray  # (n, pixels)
    mean: np.ndarray
    covariance: np.ndarray


def reference(cnn, images, layer="Conv2D_3"):
    """Return the `Reference` for `judge`: a CNN, real images, and the mean and covariance of a layer's answers to them.

    `images` are in model space, the training digits for instance; a layer's answer is its maps' mean activations.
    """
    features = feature_extractor(cnn, layer)
    images = checks.images(images, cnn.input_shape[1:])
    answers = mean_activations(features, images)
    return Reference(cnn, features, images.reshape(len(images), -1), answers.mean(axis=0), np.cov(answers.T))


def judge(images, real):
    """Return the `Scores` of generated images in model space, held against `real`, a `Reference`.

    A Fréchet distance of few images is too large, so compare only sets of equal size. No score is enough alone:
    confidence is high for one clear digit over and over, `classes` for noise, a small `nearest` may mean copies.
    Introduced in notebook 09.
    """
    images = checks.images(images, real.cnn.input_shape[1:])
    if len(images) < 2:
        raise ValueError("1 image has no covariance; give at least 2, better some hundred")
    probabilities = mean_activations(feature_extractor(real.cnn, real.cnn.layers[-1].name), images)
    answers = mean_activations(real.features, images)
    return Scores(
        float(probabilities.max(axis=1).mean()), spread(probabilities.argmax(axis=1), probabilities.shape[1]),
        float(nearest_distances(images, real.images)[0].mean()),
        frechet_distance(answers.mean(axis=0), np.cov(answers.T), real.mean, real.covariance),
    )  # fmt: skip


def spread(classes, count=10):
    """Return over how many of `count` classes the numbers `classes` are spread: the exponential of their entropy."""
    shares = np.bincount(classes, minlength=count) / len(classes)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def nearest_distances(images, others, batch_size=250):
    """Return for each image the distance `(n,)` to the nearest of the others, and the number `(n,)` of that one.

    The distance is the root mean square difference; the others may be given flat, as `(m, pixels)`.
    """
    images, others = (np.reshape(each, (len(each), -1)) for each in (images, others))
    squares, distances, numbers = (others**2).mean(axis=1), [], []
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size]
        apart = (batch**2).mean(axis=1, keepdims=True) + squares - 2 * batch @ others.T / others.shape[1]
        numbers.append(apart.argmin(axis=1))
        distances.append(np.sqrt(np.maximum(apart.min(axis=1), 0)))
    return np.concatenate(distances), np.concatenate(numbers)


def frechet_distance(mean, covariance, other_mean, other_covariance):
    """Return the squared Fréchet distance of two Gaussians: |m - n|^2 + trace(C + D - 2 (C D)^(1/2)).

    With the answers of a network as data it tells how unlike two sets of images are as a whole. Source: Heusel et al.
    2017 (there with another network's features). Introduced in notebook 09.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ other_covariance @ root)
    apart = ((mean - other_mean) ** 2).sum() + np.trace(covariance) + np.trace(other_covariance)
    return float(max(0.0, apart - 2 * np.sqrt(np.maximum(mixed, 0)).sum()))
