"""The recipe of the shipped weights. `python -m helpers.recipe` (`make model`) trains them again.

Puts data, models and the engine together: the CNN learns on digits that were made a little harder for it.
Knows nothing of figures.
"""

import keras
import numpy as np
import tensorflow as tf

from helpers.activations import conv_layers, feature_extractor, mean_activations
from helpers.ascent import step_uphill
from helpers.data import digits_in_use, load_digits
from helpers.images import standardize
from helpers.models import SECOND, SHIPPED, build_cnn, train_cnn
from helpers.objectives import CrossEntropy

EPOCHS = 16
SEEDS = {SHIPPED: 1, SECOND: 2}  # the second CNN is there to be compared with the first (notebook 05)
NOISE = 0.2  # deviation of the noise added to every training digit, itself of deviation 1
RADIUS = 0.12  # root mean square of the step against the CNN that follows
VALIDATION = 5_000  # of the training digits: they choose the best epoch
BACKUP = SHIPPED.parent / "backup"  # a training that was killed goes on from here


def worst_case(model, radius, noise=0.0, seed=0):
    """Return a function (images, labels) -> images that disturbs digits where it hurts `model` most.

    One step of gradient ascent on the loss, a disturbance of root mean square `radius`: the same engine that
    makes OIPs. Before it comes random noise of deviation `noise`, so that the step starts from many places. A
    CNN trained on such digits cannot lean on faint speckle, so its OIPs are strokes instead.
    Source: Goodfellow, Shlens and Szegedy 2015; Engstrom et al. 2019 on what it does to feature
    visualization. Introduced in notebook 02.
    """

    random = keras.random.SeedGenerator(seed)

    def disturb(images, labels):
        if noise:
            images = standardize(images + noise * keras.random.normal(tf.shape(images), seed=random))
        _, disturbed = step_uphill(CrossEntropy(model, labels), images, radius)
        return disturbed

    return disturb


def train_shipped(images, labels, seed):
    """Return the CNN trained by the recipe, and its history; the last `VALIDATION` digits choose the epoch."""
    cnn = build_cnn(seed)
    history = train_cnn(
        cnn, images[:-VALIDATION], labels[:-VALIDATION], (images[-VALIDATION:], labels[-VALIDATION:]),
        epochs=EPOCHS, disturb=worst_case(cnn, RADIUS, NOISE, seed), seed=seed, backup=BACKUP / str(seed),
    )
    return cnn, history


def accuracy(model, images, labels):
    """Return the share of images that `model` reads as their label says."""
    batches = np.array_split(images, -(-len(images) // 500))  # 500 fit the memory of any machine
    answers = np.concatenate([np.argmax(model(batch, training=False), axis=1) for batch in batches])
    return float((answers == labels).mean())


def dead_maps(model, images):
    """Return for each convolutional layer the maps that none of the images excites, {layer: indices}."""
    answers = {name: mean_activations(feature_extractor(model, name), images) for name in conv_layers(model)}
    return {name: (values.max(axis=0) == 0).nonzero()[0].tolist() for name, values in answers.items()}


if __name__ == "__main__":
    print(digits_in_use())
    digits, labels = load_digits("train")
    if len(digits) < 60_000:
        raise SystemExit("The shipped weights are made from MNIST; without it they stay as they are.")
    test_digits, test_labels = load_digits("test")
    for path, seed in SEEDS.items():
        cnn, history = train_shipped(digits, labels, seed)
        best = max(history["val_accuracy"])
        print(f"data/{path.name}, seed {seed}: best accuracy on the validation digits {best:.2%}, "
              f"on {len(test_digits):,} test digits {accuracy(cnn, test_digits, test_labels):.2%}")
        for layer, dead in dead_maps(cnn, digits).items():
            print(f"  {layer}: {len(dead)} maps that no training digit excites {dead or ''}")
        cnn.save(path)  # never compiled itself, so there is no training state in it
