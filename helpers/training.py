"""Train the CNN: a recipe record, digits moved and made harder, the best epoch kept, a backup against kills.

A training is a function of its `Recipe` alone, so it can run in another process or on another machine. Knows
nothing of figures. `python -m helpers.training` (`make model`) trains the shipped weights again.
"""

import dataclasses
import json
import shutil

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers.activations import conv_layers, feature_extractor, mean_activations
from helpers.ascent import step_uphill
from helpers.base import checks, files
from helpers.data import digits_in_use, load_digits
from helpers.images import resize, standardize
from helpers.models import SECOND, SHIPPED, build_cnn, save_cnn
from helpers.objectives import CrossEntropy

NOISE = 0.2  # deviation of the noise added to every digit of the shipped recipe, itself of deviation 1
RADIUS = 0.12  # root mean square of the step against the CNN that follows
VALIDATION = 5_000  # of the training digits, the last: they choose the best epoch (a twelfth, if there are fewer)
BACKUP = SHIPPED.parent / "backup"  # a training that was killed goes on from here


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a training depends on: with the same recipe it can be made again, anywhere.

    `seed` draws the start weights and, with `order`, everything else: which digit comes when, how it is moved,
    the noise. So `order` alone changes nothing but the training digits' order and moves.
    """

    seed: int = 1
    order: int = 0
    variant: str = "articles"  # of the network, see `models.build_cnn`
    start: str = "glorot"  # the size of the random start weights: "glorot" or "he"
    dataset: str = "mnist"  # or "fashion_mnist"
    pixels: int = 28  # digits are shrunk to so many pixels and enlarged again; 28 leaves them as they are
    labels: str = "true"  # "shuffled": each digit has the label of another, and there is nothing to learn but by heart
    digits: int = 55_000  # how many of the training digits are used
    epochs: int = 16  # 0 leaves the network as it begins
    batch_size: int = 128
    peak_rate: float = 0.05
    dense_decay: float = 1e-4  # L2 on the kernels of the dense layers
    conv_decay: float = 0.0  # L2 on those of the convolutions
    noise: float = 0.0  # see `worst_case`
    radius: float = 0.0


UNSET = 87654321  # the global seed that TensorFlow takes where none is set
SHIPPED_RECIPES = {path: Recipe(seed=seed, noise=NOISE, radius=RADIUS) for path, seed in ((SHIPPED, 1), (SECOND, 2))}


def train(recipe, backup=None, verbose="auto"):
    """Return the CNN that `recipe` makes, and the history of its training, from start weights to the end."""
    cnn = build_cnn(recipe.seed, recipe.variant, recipe.start)
    if recipe.epochs == 0:
        return cnn, {}
    images, labels, validation = training_digits(recipe)
    return cnn, fit(cnn, recipe, images, labels, validation, backup, verbose)


def fit(model, recipe, images, labels, validation, backup=None, verbose="auto"):
    """Train `model` in place as `recipe` says, on these digits, and return the history; see `train_cnn`."""
    seed = recipe.seed + 10_000 * recipe.order
    hard = worst_case(model, recipe.radius, recipe.noise, seed) if recipe.radius or recipe.noise else leave
    return train_cnn(
        model, images, labels, validation, recipe.epochs, recipe.batch_size, recipe.peak_rate, recipe.dense_decay,
        hard, seed, backup, verbose, recipe.conv_decay,
    )  # fmt: skip


def training_digits(recipe):
    """Return the images, labels and validation pair that a training by `recipe` learns from."""
    images, labels = load_digits("train", recipe.dataset)
    kept = min(VALIDATION, len(images) // 12)
    images, labels, validation = images[:-kept], labels[:-kept], (images[-kept:], labels[-kept:])
    images, labels = images[: recipe.digits], labels[: recipe.digits]
    if recipe.labels == "shuffled":
        labels = np.random.default_rng(recipe.seed).permutation(labels)
    return coarser(images, recipe.pixels), labels, (coarser(validation[0], recipe.pixels), validation[1])


def coarser(images, pixels):
    """Return the images as if they had been taken with `pixels` x `pixels`, enlarged to their size, model space."""
    size = images.shape[1:3]
    if pixels >= max(size):
        return images
    parts = np.array_split(images, -(-len(images) // 5000))  # in parts, which need less memory
    return np.concatenate([standardize(resize(resize(part, (pixels, pixels)), size)) for part in parts])


def leave(images, labels):
    """Return the images as they are: nothing is disturbed."""
    return images


def train_cnn(model, images, labels, validation, epochs=12, batch_size=128, peak_rate=0.05, weight_decay=1e-4,
              disturb=leave, seed=0, backup=None, verbose="auto", conv_decay=0.0):
    """Train `model` in place, leave it with the weights of its best epoch, and return the history.

    The history is {name: one value per epoch} of loss, accuracy, val_loss and val_accuracy.

    images, labels  the training digits, in model space `(n, 28, 28, 1)` and as numbers 0..9 `(n,)`
    validation      (images, labels) that choose the best epoch and are never trained on
    epochs          rounds through the images; each is moved anew every time, see `augment`
    peak_rate       the highest learning rate, see `rate_schedule`
    weight_decay    L2 on the kernels of the dense layers
    disturb         a function (images, labels) -> images applied to every batch, see `worst_case`
    backup          a folder: a training that was killed goes on from its last full epoch when called again. It
                    stays when the training has ended, so nothing is lost before you have saved: remove it then
    conv_decay      L2 on the kernels of the convolutions

    Raises ValueError for images and labels that do not pair up or do not fit the model, a model that does not end
    in probabilities, numbers out of range, and the backup of another training. Source: articles II and III by
    their titles; the recipe is ours. Introduced in notebook 02.
    """
    images, labels = _checked_digits(model, images, labels, "images", "labels")
    validation = _checked_digits(model, *_pair(validation), "validation images", "validation labels")
    settings = {
        "epochs": checks.whole(epochs, "epochs", 1), "batch_size": checks.whole(batch_size, "batch_size", 1),
        "peak_rate": checks.number(peak_rate, "peak_rate", above=0),
        "weight_decay": checks.number(weight_decay, "weight_decay", 0), "seed": checks.whole(seed, "seed"),
        "conv_decay": checks.number(conv_decay, "conv_decay", 0), "images": len(images),
        "weights": [list(weights.shape) for weights in model.get_weights()],
    }  # fmt: skip
    _check_probabilities(model, images[:8])
    steps = max(1, len(images) // batch_size)  # an epoch leaves out what fills no batch
    student = _Student(model, checks.function(disturb, "disturb", "training.worst_case"), weight_decay, conv_decay)
    student.compile(
        keras.optimizers.SGD(rate_schedule(epochs * steps, peak_rate), momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,
    )
    keep = KeepBest(student, settings, backup)
    digits = _augmented(images, labels, batch_size, seed + 1_000_003 * keep.done)  # after a kill other moves follow
    if keep.done < epochs:
        student.fit(digits, validation_data=validation, validation_batch_size=500, initial_epoch=keep.done,
                    epochs=epochs, callbacks=[keep], verbose=verbose, shuffle=False)  # they are shuffled already
    model.set_weights(keep.best)
    if not np.isfinite(keep.history["loss"]).any():
        raise ValueError(f"the training ran away: its loss is no number; use a peak_rate below {peak_rate:g}, or "
                         "less weight decay")
    return keep.history


def rate_schedule(steps, peak_rate):
    """Return the learning rate as a Keras schedule, a function of the step.

    It rises in a straight line from a twentieth of `peak_rate` to all of it during the first 15 % of the
    steps, while the random start weights sort themselves, and then cools to 0 along half a cosine wave.
    Source: Loshchilov and Hutter 2017; article III by its title. Introduced in notebook 02.
    """
    steps, peak_rate = checks.whole(steps, "steps", 1), checks.number(peak_rate, "peak_rate", above=0)
    warm_up = int(0.15 * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.05 * peak_rate, decay_steps=max(1, steps - warm_up), warmup_target=peak_rate, warmup_steps=warm_up
    )


def augment(images, seed, turn=10.0, zoom=0.1, shift=0.07):
    """Return each image moved a little at random, in model space; the same `seed` moves them the same way.

    Each is turned by up to `turn` degrees either way, scaled by up to a share `zoom` and shifted by up to a
    share `shift` of its size; what comes in at the border repeats the border. Introduced in notebook 02.
    """
    turn, shift = checks.number(turn, "turn", least=0), checks.number(shift, "shift", least=0)
    zoom = checks.number(zoom, "zoom", least=0, most=0.9)
    if not tf.is_tensor(images):
        images, seed = checks.images(images), checks.whole(seed, "seed")
    batch = tf.cast(images, tf.float32)
    n, height, width = tf.shape(batch)[0], batch.shape[1], batch.shape[2]
    transforms = _random_transforms(n, (height, width), seed, turn, zoom, shift)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=batch, transforms=transforms, output_shape=(height, width), fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )
    moved = tf.image.per_image_standardization(moved)
    return moved if tf.is_tensor(images) else moved.numpy()


def worst_case(model, radius, noise=0.0, seed=0):
    """Return a function (images, labels) -> images that disturbs digits where it hurts `model` most, in one step.

    One step of gradient ascent on the loss, a disturbance of root mean square `radius`: the same engine that
    makes OIPs. Before it comes random noise of deviation `noise`, so that the step starts from many places. A
    CNN trained on such digits cannot lean on faint speckle. Several steps hurt more, see notebook 02.
    Source: Goodfellow, Shlens and Szegedy 2015; Engstrom et al. 2019 on what it does to feature
    visualization. Introduced in notebook 02.
    """

    radius, noise = checks.number(radius, "radius", 0), checks.number(noise, "noise", 0)
    random = keras.random.SeedGenerator(checks.whole(seed, "seed"))

    def disturb(images, labels):
        if noise:
            images = standardize(images + noise * keras.random.normal(tf.shape(images), seed=random))
        if not radius:
            return images
        _, disturbed = step_uphill(CrossEntropy(model, labels), images, radius)
        return disturbed

    return disturb


def accuracy(model, images, labels):
    """Return the share of images that `model` reads as their label says."""
    images = checks.images(images, model.input_shape[1:])
    labels = checks.labels(labels, len(images))
    batches = np.array_split(images, -(-len(images) // 500))  # 500 fit the memory of any machine
    answers = np.concatenate([np.argmax(model(batch, training=False), axis=1) for batch in batches])
    return float((answers == labels).mean())


def dead_maps(model, images):
    """Return for each convolutional layer the maps that none of the images excites, {layer: indices}."""
    answers = {name: mean_activations(feature_extractor(model, name), images) for name in conv_layers(model)}
    return {name: (values.max(axis=0) == 0).nonzero()[0].tolist() for name, values in answers.items()}


def _augmented(images, labels, batch_size, seed):
    """Batches of digits, shuffled and moved anew in every epoch, the same for the same seed."""
    tf.random.set_seed(UNSET)  # tf.data mixes the global seed into its own: what another cell set must not count
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    digits = tf.data.Dataset.from_tensor_slices((np.asarray(images, np.float32), np.asarray(labels, np.int64)))
    batches = digits.shuffle(len(images), seed=seed).batch(batch_size, drop_remainder=len(images) >= batch_size)
    moved = tf.data.Dataset.zip(batches, seeds).map(lambda batch, seed: (augment(batch[0], seed), batch[1]))
    return moved.prefetch(2)


def _random_transforms(n, size, seed, turn, zoom, shift):
    """For each image the numbers `(n, 8)` that say where each pixel of the moved image comes from."""
    angle, scale, right, down = tf.unstack(tf.random.stateless_uniform((4, n), tf.stack([seed, 0]), -1.0, 1.0))
    angle, scale = angle * (turn * np.pi / 180), 1 + zoom * scale
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    y, x, none = (size[0] - 1) / 2, (size[1] - 1) / 2, tf.zeros_like(angle)  # the middle stays where it is
    return tf.stack(
        [cosine, -sine, x - x * cosine + y * sine + shift * size[1] * right,
         sine, cosine, y - x * sine - y * cosine + shift * size[0] * down, none, none], axis=1
    )


def _pair(validation):
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ValueError("validation must be a pair (images, labels) of digits that choose the best epoch")
    return validation


def _checked_digits(model, images, labels, images_name, labels_name):
    images = checks.images(images, model.input_shape[1:], images_name)
    return images, checks.labels(labels, len(images), model.output_shape[-1], labels_name)


def _check_probabilities(model, images):
    answers = np.asarray(model(images, training=False), np.float32)
    if answers.ndim != 2 or answers.min() < 0 or np.abs(answers.sum(axis=1) - 1).max() > 0.01:
        raise ValueError(f"model {model.name!r} does not give probabilities that sum to 1 (logits?); end it in a dense "
                         "layer with activation='softmax'")


class _Student(keras.Model):
    """A model in training: its batches are disturbed first, and its kernels are kept small."""

    def __init__(self, model, disturb, dense_decay, conv_decay):
        super().__init__(name="Student")
        self.cnn, self.disturb = model, disturb
        self.decays = ((layers.Dense, dense_decay), (layers.Conv2D, conv_decay))
        self.build((None, *model.input_shape[1:]))

    def call(self, images, training=False):
        return self.cnn(images, training=training)

    def train_step(self, batch):
        images, labels = batch
        disturbed = self.disturb(images, labels)
        if not tf.is_tensor(disturbed) or not disturbed.shape.is_compatible_with(images.shape):
            given = f"{'images ' * tf.is_tensor(disturbed)}{checks.shown(disturbed)}"
            raise ValueError(f"disturb gives {given} for images of shape {tuple(images.shape)}; it must return images "
                             "of that shape, as training.worst_case does")
        return super().train_step((disturbed, labels))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        for kind, decay in self.decays if training else ():
            kernels = [layer.kernel for layer in self.cnn.layers if decay and isinstance(layer, kind)]
            loss += decay * sum(tf.reduce_sum(tf.square(kernel)) for kernel in kernels)
        return loss


class KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch and the history; in a folder also all it takes to go on."""

    def __init__(self, student, settings, folder):
        super().__init__()
        self.student, self.settings = student, settings
        self.best, self.history, self.done, self.highest = student.cnn.get_weights(), {}, 0, -np.inf
        self.path = None if folder in (None, "") else checks.path(folder, "backup") / "state.npz"
        if self.path and self.path.exists():
            self._restore()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.done = epoch + 1
        score = float(logs["val_accuracy"] if "val_accuracy" in logs else -logs["val_loss"])  # as of an autoencoder
        if score > self.highest:
            self.highest, self.best = score, self.student.cnn.get_weights()
        if self.path:
            self._store()

    def _store(self):
        """All in one file: a kill leaves the old one or the new one, whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        about = json.dumps([self.settings, self.history, self.done, self.highest])
        arrays = {f"best_{place}": value for place, value in enumerate(self.best)}
        arrays |= {f"now_{place}": np.asarray(variable) for place, variable in enumerate(self._variables())}
        with files.written(self.path) as part:
            np.savez(part, about=np.array(about), **arrays)

    def _restore(self):
        try:
            with np.load(self.path) as file:
                stored = dict(file)
            settings, *progress = json.loads(str(stored["about"]))
        except Exception as error:  # numpy and json raise many kinds; the reader needs one sentence
            raise ValueError(f"the backup {str(self.path)!r} cannot be read; remove it and the training starts anew"
                             ) from error
        if settings != self.settings:
            other = sorted(name for name in self.settings if settings.get(name) != self.settings[name])
            raise ValueError(f"the backup {str(self.path)!r} is of another training (other {', '.join(other)}); remove "
                             "it, or give another folder")
        self.history, self.done, self.highest = progress
        self.best = [stored[f"best_{place}"] for place in range(len(self.best))]
        for place, variable in enumerate(self._variables()):
            variable.assign(stored[f"now_{place}"])

    def _variables(self):
        """The weights as they are now and what the optimizer remembers."""
        if not self.student.optimizer.built:
            self.student.optimizer.build(self.student.trainable_variables)
        return [*self.student.cnn.variables, *self.student.optimizer.variables]


if __name__ == "__main__":
    print(digits_in_use())
    digits, labels = load_digits("train")
    if len(digits) < 60_000:
        raise SystemExit("The shipped weights are made from MNIST; without it they stay as they are.")
    test_digits, test_labels = load_digits("test")
    for path, recipe in SHIPPED_RECIPES.items():
        cnn, history = train(recipe, BACKUP / str(recipe.seed))
        save_cnn(cnn, path)
        shutil.rmtree(BACKUP / str(recipe.seed))  # what it held is saved now
        best = max(history["val_accuracy"])
        print(f"data/{path.name}, seed {recipe.seed}: best accuracy on the validation digits {best:.2%}, "
              f"on {len(test_digits):,} test digits {accuracy(cnn, test_digits, test_labels):.2%}")
        for layer, dead in dead_maps(cnn, digits).items():
            print(f"  {layer}: {len(dead)} maps that no training digit excites {dead or ''}")
