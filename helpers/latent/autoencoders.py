"""Autoencoders: an encoder that squeezes an image into N numbers, a decoder that paints it again from them.

Builds, trains, loads and takes them apart. Knows nothing of what the numbers mean (`latent`) or of figures.
`python -m helpers.latent.autoencoders` (`make autoencoders`) trains the shipped ones again.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers.base import checks, files
from helpers.base.interrupts import held
from helpers.data import digits_in_use, load_digits
from helpers.training import BACKUP, KeepBest, rate_schedule

SHIPPED = {16: files.DATA / "autoencoder_16.keras", 256: files.DATA / "autoencoder_256.keras",
           "variational": files.DATA / "variational_16.keras"}  # 16 components, by `train_variational`
LARGEST = 4096  # latent components
VALIDATION, SEED = 5_000, 1  # of the shipped ones


class Halves(NamedTuple):
    """What `halves` returns: `encoder` from images to latent vectors `(n, N)`, `decoder` from these to images."""

    encoder: keras.Model
    decoder: keras.Model


def build_autoencoder(size, seed, shape=(28, 28, 1), maps=(16, 32, 24)):
    """Return an untrained autoencoder with `size` latent components: images to images, both in model space.

    The encoder halves the image once for each entry of `maps` (3x3 convolutions of stride 2, leaky ReLU) and ends in
    a dense layer without a non-linearity, the latent vector. The decoder goes the same way back and
    standardizes what it paints, so every decoded image lies where the CNN expects digits. Raises ValueError for a
    size of 0 or above 4,096. Source: articles AE-I and AE-II, whose networks for faces had four such layers.
    Introduced in notebook 09.
    """
    size, seed = checks.whole(size, "number of latent components", 1, LARGEST), checks.whole(seed, "seed")
    images = keras.Input(shape, name="Image")
    encoder = _encoder(size, seed, shape, maps)
    decoder = _decoder(size, seed, shape, maps)
    return keras.Model(images, decoder(encoder(images)), name="Autoencoder")


def train_autoencoder(model, images, validation, epochs=8, batch_size=128, peak_rate=6e-3, seed=0, backup=None,
                      verbose="auto"):
    """Train `model` in place to give images back, leave it with its best epoch, and return the history.

    The loss is the mean squared difference in model space: 0 for a perfect copy, 2 for an image that has nothing
    to do with it, 2 - 2 r where their correlation is r. The history is {"loss": ..., "val_loss": ...}, one value per
    epoch. `validation` are images that choose the best epoch and are never trained on; `backup` is a folder
    from which a training that was killed goes on when called again, see `training.train_cnn`. Raises ValueError for
    images that do not fit and numbers out of range. Introduced in notebook 09.
    """
    return _trained(_Plain(model), model, images, validation, epochs, batch_size, peak_rate, seed, backup, verbose)


def train_variational(model, images, validation, kl_weight=2.0, epochs=8, batch_size=128, peak_rate=6e-3, seed=0,
                      backup=None, verbose="auto"):
    """Train the same network as a variational autoencoder (VAE), for arguments and history see `train_autoencoder`.

    While it trains, the encoder gives each image a cloud instead of a point: a mean and, from a layer of its own
    that is left behind afterwards, a variance for each component. The loss adds, times `kl_weight` and per pixel, how
    far each cloud is from the prior, a Gaussian of mean 0 and deviation 1 (Kullback-Leibler divergence). So
    the whole neighborhood of a digit must decode, and vectors drawn from the prior should too. What stays is `model`,
    whose encoder gives the means. Source: Kingma and Welling 2014. Introduced in notebook 09.
    """
    weight = checks.number(kl_weight, "kl_weight", 0)
    student = _Variational(model, weight, seed)
    return _trained(student, model, images, validation, epochs, batch_size, peak_rate, seed, backup, verbose)


def load_autoencoder(source=16):
    """Return a trained autoencoder: a shipped one, 16, 256 (components) or "variational", or one from a file.

    The file is read in safe mode, so nothing in it can run code. Raises FileNotFoundError
    for a missing file, and ValueError for one that holds no autoencoder as `build_autoencoder` makes it. Introduced
    in notebook 09.
    """
    if not isinstance(source, (str, Path)) or source in SHIPPED:
        source = SHIPPED[checks.choice(source, "autoencoder", SHIPPED)]
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no autoencoder file {str(path)!r}; give 16, 256, 'variational' or a .keras file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; the reader needs one sentence, the cause stays chained
        raise ValueError(f"{path.name!r} cannot be loaded as an autoencoder; save it again with model.save, as a "
                         ".keras file without Lambda layers") from error
    halves(model)
    return model


def halves(model):
    """Return the `Halves` of an autoencoder; they share its weights.

    They are the two layers of `model` that are models themselves. Raises ValueError unless the first maps images to
    vectors `(n, N)` and the second these vectors to images of the same shape.
    """
    parts = [layer for layer in getattr(model, "layers", ()) if isinstance(layer, keras.Model)]
    shapes = [(part.input_shape[1:], part.output_shape[1:]) for part in parts]
    if len(parts) != 2 or len(shapes[0][1]) != 1 or shapes[0] != shapes[1][::-1] or len(shapes[0][0]) != 3:
        raise ValueError(f"model {getattr(model, 'name', model)!r} is no autoencoder: it needs an encoder from images "
                         f"to vectors and a decoder back, its inner models have shapes {shapes}; make one with "
                         "build_autoencoder")
    return Halves(*parts)


def encode(model, images, batch_size=500):
    """Return the latent vectors `(n, N)` of images in model space; `model` is an autoencoder."""
    encoder = halves(model).encoder
    return _in_batches(encoder, checks.images(images, encoder.input_shape[1:]), batch_size)


def decode(model, vectors, batch_size=500):
    """Return the images `(n, height, width, channels)`, in model space, that latent vectors `(n, N)` decode to.

    Raises ValueError for vectors of another length and for NaN.
    """
    decoder = halves(model).decoder
    return _in_batches(decoder, checks.numbers(vectors, "latent vectors", (None, *decoder.input_shape[1:])), batch_size)


def reconstruction_errors(model, images):
    """Return for each image `(n,)` the mean squared difference to what `model` makes of it, see `train_autoencoder`."""
    return ((decode(model, encode(model, images)) - images) ** 2).mean(axis=(1, 2, 3))


def _encoder(size, seed, shape, maps):
    steps = [_convolution(layers.Conv2D, count, seed, place) for place, count in enumerate(maps)]
    last = layers.Dense(size, kernel_initializer=_random(seed, 50), name="Latent")
    return keras.Sequential([keras.Input(shape), *steps, layers.Flatten(), last], name="Encoder")


def _decoder(size, seed, shape, maps):
    """The encoder's way back: where halving had rounded up, doubling makes a row too many, which is cropped."""
    sizes = [shape[:2]]
    for _ in maps:
        sizes.append(tuple(-(-length // 2) for length in sizes[-1]))
    coarsest = (*sizes[-1], maps[-1])
    steps = [keras.Input((size,)),
             layers.Dense(int(np.prod(coarsest)), activation="leaky_relu", kernel_initializer=_random(seed, 60)),
             layers.Reshape(coarsest)]  # fmt: skip
    for place, count in enumerate((*maps[-2::-1], shape[2])):
        activation = "sigmoid" if place == len(maps) - 1 else "leaky_relu"  # ink from 0 to 1
        steps.append(_convolution(layers.Conv2DTranspose, count, seed, 100 + place, activation))
        crop = [(0, 2 * small - large) for small, large in zip(sizes[-1 - place], sizes[-2 - place])]
        steps += [layers.Cropping2D(crop)] if np.any(crop) else []
    standardized = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-6)
    return keras.Sequential([*steps, standardized], name="Decoder")


def _convolution(kind, maps, seed, place, activation="leaky_relu"):
    return kind(maps, 3, strides=2, padding="same", activation=activation, kernel_initializer=_random(seed, place),
                name=f"{kind.__name__}_{place % 100 + 1}")


def _random(seed, layer):
    return keras.initializers.HeNormal(seed=1000 * seed + layer)


def _trained(student, model, images, validation, epochs, batch_size, peak_rate, seed, backup, verbose):
    """Train the student on images that are their own labels; it leaves `model` with its best epoch."""
    shape = halves(model).encoder.input_shape[1:]
    images, validation = checks.images(images, shape), checks.images(validation, shape, "validation images")
    settings = {
        "kind": student.name, "epochs": checks.whole(epochs, "epochs", 1), "seed": checks.whole(seed, "seed"),
        "batch_size": checks.whole(batch_size, "batch_size", 1), "images": len(images),
        "peak_rate": checks.number(peak_rate, "peak_rate", above=0), "weights": model.count_params(),
    }  # fmt: skip
    batch_size = min(batch_size, len(images))
    rate = rate_schedule(epochs * (len(images) // batch_size), peak_rate)
    student.compile(keras.optimizers.Adam(rate), "mse", jit_compile=False)
    keep = KeepBest(student, settings, backup)
    if keep.done < epochs:
        student.fit(_shuffled(images, batch_size, seed + 1_000_003 * keep.done), epochs=epochs, initial_epoch=keep.done,
                    validation_data=(validation, validation), validation_batch_size=500, callbacks=[keep],
                    verbose=verbose, shuffle=False)  # fmt: skip
    student.cnn.set_weights(keep.best)
    return keep.history


def _shuffled(images, batch_size, seed):
    """Batches of images, each its own label, in a new order in every epoch, the same for the same seed."""
    images = tf.constant(images)
    numbers = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed).batch(batch_size, drop_remainder=True)
    return numbers.map(lambda batch: (tf.gather(images, batch),) * 2).prefetch(2)


def _in_batches(network, values, batch_size):
    """What a network says of many values, in parts that fit the memory of any machine."""
    if not hasattr(network, "compiled_forward"):
        forward = tf.function(lambda batch: network(batch, training=False), reduce_retracing=True)
        network.compiled_forward = held()(forward)
    firsts = range(0, len(values), batch_size)
    parts = [network.compiled_forward(values[first : first + batch_size]) for first in firsts]
    return np.concatenate(parts) if parts else np.zeros((0, *network.output_shape[1:]), np.float32)


class _Plain(keras.Model):
    """An autoencoder in training; `cnn` is all that learns, as `training.KeepBest` calls it."""

    def __init__(self, model):
        super().__init__(name="plain")
        halves(model)
        self.cnn = model
        self.build((None, *model.input_shape[1:]))

    def call(self, images, training=False):
        return self.cnn(images, training=training)


class _Variational(keras.Model):
    """An autoencoder in training as a VAE; `cnn` is all that learns, the layer of variances included."""

    def __init__(self, model, kl_weight, seed):
        super().__init__(name=f"variational_{kl_weight}")
        encoder, self.decoder = halves(model)
        spread = layers.Dense(encoder.output_shape[-1], kernel_initializer=_random(seed, 70), name="Log_variance")
        self.clouds = keras.Model(encoder.inputs, [encoder.outputs[0], spread(encoder.layers[-1].input)])
        images = keras.Input(model.input_shape[1:])
        means, log_variances = self.clouds(images)
        self.cnn = keras.Model(images, [self.decoder(means), log_variances])
        self.kl_weight, self.pixels = kl_weight, int(np.prod(model.input_shape[1:]))
        self.random = keras.random.SeedGenerator(seed)
        self.build((None, *model.input_shape[1:]))

    def call(self, images, training=False):
        means, log_variances = self.clouds(images, training=training)
        divergence = 0.5 * tf.reduce_sum(means**2 + tf.exp(log_variances) - 1 - log_variances, axis=1)
        self.add_loss(self.kl_weight * tf.reduce_mean(divergence) / self.pixels)
        noise = keras.random.normal(tf.shape(means), seed=self.random)
        return self.decoder(means + tf.exp(log_variances / 2) * noise, training=training)


if __name__ == "__main__":
    print(digits_in_use())
    digits, _ = load_digits("train")
    if len(digits) < 60_000:
        raise SystemExit("The shipped weights are made from MNIST; without it they stay as they are.")
    training, validation, (test, _) = digits[:-VALIDATION], digits[-VALIDATION:], load_digits("test")
    for kind, path in SHIPPED.items():
        if kind == "variational":  # in haste: it is there for comparison
            size, train, count, epochs = 16, train_variational, 20_000, 6
        else:
            size, train, count, epochs = kind, train_autoencoder, 55_000, 12
        model, backup = build_autoencoder(size, SEED), BACKUP / path.stem
        history = train(model, training[:count], validation, epochs=epochs, seed=SEED, backup=backup)
        with files.written(path) as part:
            model.save(part)
        shutil.rmtree(backup)  # what it held is saved now
        print(f"data/{path.name}: validation loss {min(history['val_loss']):.4f}, error on {len(test):,} test digits "
              f"{reconstruction_errors(model, test).mean():.4f}")
