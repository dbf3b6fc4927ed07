"""Build, train, save and load the CNN; count its weights and receptive fields. Knows nothing of ascents."""

import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "cnn.keras"
SECOND = SHIPPED.with_name("cnn_second.keras")  # the same recipe, other random numbers: what is chance? (notebook 05)


def build_cnn(seed):
    """Return the untrained CNN of the articles: 3x3 convolutions of 32, 64 and 128 maps, 208,982 weights.

    Input `(n, 28, 28, 1)` in model space, output `(n, 10)` class probabilities. Convolutions are "valid", so
    the maps shrink: 28 -> 26 -> pool 13 -> 11 -> pool 5 -> 3. Source: articles I and IX. Introduced in
    notebook 01.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="Image"),
            layers.Conv2D(32, 3, activation="relu", kernel_initializer=_random(seed, 1), name="Conv2D_1"),
            layers.MaxPooling2D(2, name="Pool_1"),
            layers.Conv2D(64, 3, activation="relu", kernel_initializer=_random(seed, 2), name="Conv2D_2"),
            layers.MaxPooling2D(2, name="Pool_2"),
            layers.Conv2D(128, 3, activation="relu", kernel_initializer=_random(seed, 3), name="Conv2D_3"),
            layers.Flatten(name="Flatten"),
            layers.Dense(100, activation="relu", kernel_initializer=_random(seed, 4), name="Dense_1"),
            layers.Dense(10, activation="softmax", kernel_initializer=_random(seed, 5), name="Output"),
        ],
        name="CNN",
    )


def build_padded_cnn(seed):
    """Return the other CNN of the articles: "same" padding, 24, 48 and 64 maps, dropout, 113,514 weights.

    Maps keep their size in a convolution: 28 -> pool 14 -> pool 7 -> pool 3. Source: article DC.
    """
    convolution = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="Image"),
            layers.Conv2D(24, 3, kernel_initializer=_random(seed, 1), name="Conv2D_1", **convolution),
            layers.MaxPooling2D(2, name="Pool_1"),
            layers.Conv2D(48, 3, kernel_initializer=_random(seed, 2), name="Conv2D_2", **convolution),
            layers.MaxPooling2D(2, name="Pool_2"),
            layers.Conv2D(64, 3, kernel_initializer=_random(seed, 3), name="Conv2D_3", **convolution),
            layers.MaxPooling2D(2, name="Pool_3"),
            layers.Flatten(name="Flatten"),
            layers.Dense(128, activation="relu", kernel_initializer=_random(seed, 4), name="Dense_1"),
            layers.Dropout(0.25, seed=seed, name="Dropout"),
            layers.Dense(10, activation="softmax", kernel_initializer=_random(seed, 5), name="Output"),
        ],
        name="Padded_CNN",
    )


def load_cnn(path=None):
    """Return a trained CNN: the shipped one, or the reader's own `.keras` or `.h5` file.

    The file is read in safe mode, so nothing in it can run code, and without its training state. Raises
    FileNotFoundError for a missing file and ValueError for one that is no Keras model, holds a Lambda layer
    or has no convolutional layer. Introduced in notebook 02.
    """
    path = SHIPPED if path is None else Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no model file {str(path)!r}; give the path of a .keras or .h5 file")
    if path.is_dir() or path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ValueError(f"{path.name!r} is no model file; load_cnn reads .keras and .h5 files")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; the reader needs one sentence, the cause stays chained
        raise ValueError(f"{path.name!r} cannot be loaded: {_why(error, path)}") from error
    if not any(isinstance(layer, layers.Conv2D) for layer in getattr(model, "layers", ())):
        inner = [layer.name for layer in getattr(model, "layers", ()) if isinstance(layer, keras.Model)]
        hint = f"; save its inner model, get_layer({inner[0]!r}), as a file of its own" if inner else ""
        raise ValueError(f"the model in {path.name!r} has no Conv2D layer of its own, so there are no feature maps to "
                         f"look at{hint}")
    return model


def train_cnn(model, images, labels, validation, epochs=12, batch_size=128, peak_rate=0.05, weight_decay=1e-4,
              disturb=lambda images, labels: images, seed=0, backup=None, verbose="auto"):
    """Train `model` in place, leave it with the weights of its best epoch, and return the history.

    The history is {name: one value per epoch} of loss, accuracy, val_loss and val_accuracy.

    images, labels  the training digits, in model space `(n, 28, 28, 1)` and as numbers 0..9 `(n,)`
    validation      (images, labels) that choose the best epoch and are never trained on
    epochs          rounds through the images; each is moved anew every time, see `augment`
    peak_rate       the highest learning rate, see `rate_schedule`
    weight_decay    L2 on the kernels of the dense layers; on the convolutions it would silence maps
    disturb         a function (images, labels) -> images applied to every batch, see `recipe.worst_case`
    backup          a folder: a training that was killed goes on from its last full epoch when called again

    Raises ValueError for images and labels that do not pair up, or no epoch. Source: articles II and III by
    their titles; the recipe is ours. Introduced in notebook 02.
    """
    if len(images) == 0 or len(images) != len(labels) or epochs < 1:
        raise ValueError(f"{len(images)} images, {len(labels)} labels and {epochs} epochs: give one label for "
                         "each image and at least one epoch")
    digits = _augmented(images, labels, batch_size, seed)
    rate = rate_schedule(epochs * len(digits), peak_rate)
    student = _Student(model, disturb, weight_decay)
    student.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,
    )
    callbacks = [keep := _KeepBest(model, backup)]
    if backup:
        callbacks.append(keras.callbacks.BackupAndRestore(Path(backup) / "state", double_checkpoint=True))
    student.fit(digits, validation_data=validation, validation_batch_size=500, epochs=epochs,
                callbacks=callbacks, verbose=verbose, shuffle=False)  # they are shuffled already
    return keep.history


def rate_schedule(steps, peak_rate):
    """Return the learning rate as a Keras schedule, a function of the step.

    It rises in a straight line from a twentieth of `peak_rate` to all of it during the first 15 % of the
    steps, while the random start weights sort themselves, and then cools to 0 along half a cosine wave.
    Source: Loshchilov and Hutter 2017; article III by its title. Introduced in notebook 02.
    """
    warm_up = int(0.15 * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.05 * peak_rate, decay_steps=max(1, steps - warm_up), warmup_target=peak_rate, warmup_steps=warm_up
    )


def augment(images, seed, turn=10.0, zoom=0.1, shift=0.07):
    """Return each image moved a little at random, in model space; the same `seed` moves them the same way.

    Each is turned by up to `turn` degrees either way, scaled by up to a share `zoom` and shifted by up to a
    share `shift` of its size; what comes in at the border repeats the border. Introduced in notebook 02.
    """
    batch = tf.cast(images, tf.float32)
    n, height, width = tf.shape(batch)[0], batch.shape[1], batch.shape[2]
    transforms = _random_transforms(n, (height, width), seed, turn, zoom, shift)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=batch, transforms=transforms, output_shape=(height, width), fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )
    moved = tf.image.per_image_standardization(moved)
    return moved if tf.is_tensor(images) else moved.numpy()


class Geometry(NamedTuple):
    """What one node of a layer sees, along one axis of the image; see `receptive_fields`."""

    layer: str
    map_size: tuple  # (height, width) of a feature map
    maps: int
    weights: int
    field: int  # pixels of the image that one node sees, along each axis
    stride: int  # pixels from the field of one node to that of its neighbor
    start: int  # first pixel that the first node would see; below 0 in the padding
    seen: tuple  # (first, last) pixel that any node of the layer sees

    @property
    def overlap(self):
        """Pixels that the fields of two neighboring nodes share."""
        return max(0, self.field - self.stride)


def receptive_fields(model):
    """Return the `Geometry` of each convolution and pooling layer of a chain of layers, first to last.

    With kernel k, stride s and the jump j between neighboring nodes of the layer below, the field grows by
    (k - 1) * j and the jump becomes s * j. Fields are counted without the image's border: in the padding of a
    "same" convolution a node sees less. Raises ValueError for a model with branches, for images of no fixed size,
    for masks that are not square, and for layers that shift nodes in another way, such as ZeroPadding2D.
    Introduced in notebook 01, which corrects the sizes given in article I.
    """
    if len(model.inputs or ()) != 1 or None in model.input_shape[1:]:
        raise ValueError(f"model {model.name!r} needs one input of a fixed size, such as keras.Input((28, 28, 1))")
    table, field, stride, start, seen = [], 1, 1, 0, (0, model.input_shape[1] - 1)
    for layer in _checked_chain(model):
        window = _window(layer)
        if window is None:
            continue
        kernel, step, padding = window
        missing = (layer.output.shape[1] - 1) * step + kernel - layer.input.shape[1]
        start -= stride * (max(0, missing) // 2 if padding == "same" else 0)
        field, stride = field + (kernel - 1) * stride, step * stride
        _, height, width, maps = layer.output.shape
        end = start + (height - 1) * stride + field - 1
        seen = (max(seen[0], start), min(seen[1], end))  # what the layer below lost stays lost
        table.append(Geometry(layer.name, (height, width), maps, layer.count_params(), field, stride, start, seen))
    return table


def any_size(model):
    """Return the convolutional trunk of `model`, which runs on images of any size, `(n, height, width, channels)`.

    The trunk is everything before the first layer that no longer gives maps, such as Flatten, Dense or a global
    pooling. It has the same layer names and a copy of the weights; `model` is left untouched. Raises ValueError for
    a model with branches, without a convolution, or with a layer that knows the size of its images. Introduced in
    notebook 07, where it makes octaves possible.
    """
    if len(model.inputs or ()) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(f"model {model.name!r} needs one input of images, such as keras.Input((28, 28, 1))")
    trunk = list(_trunk(model))
    if not any(isinstance(layer, layers.Conv2D) for layer in trunk):
        raise ValueError(f"model {model.name!r} has no Conv2D layer before its maps end, so there is no trunk to keep")
    maps = images = keras.Input((None, None, model.inputs[0].shape[-1]), name=model.inputs[0].name)
    for layer in trunk:
        try:
            twin = type(layer).from_config(layer.get_config())
            maps = twin(maps)
            twin.set_weights(layer.get_weights())
        except (ValueError, TypeError) as error:
            raise ValueError(f"layer {layer.name!r} knows the size of its images; any_size needs layers that do not, "
                             "such as convolutions and poolings") from error
    return keras.Model(images, maps, name=f"{model.name}_any_size")


def _trunk(model):
    """The layers from the image up to the last that gives maps, refused where they are no chain."""
    below = None
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        read = layer.input
        branch = isinstance(read, (list, tuple)) or (below and read._keras_history.operation is not below)
        if branch or isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself or part of a branch; any_size needs a "
                             "chain of layers")
        if len(layer.output.shape) != 4:
            return
        yield layer
        below = layer


def _checked_chain(model):
    """The layers of the model, refused unless each reads the one before it and leaves nodes in known places."""
    below = None
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        if isinstance(layer, keras.Model):
            raise ValueError(f"layer {layer.name!r} is a model itself; ask for its receptive fields alone")
        read = layer.input
        if isinstance(read, (list, tuple)) or (below and read._keras_history.operation is not below):
            raise ValueError(f"layer {layer.name!r} is part of a branch; receptive fields are for a chain of layers")
        if len(layer.output.shape) == 4 and layer.output.shape[1:3] != read.shape[1:-1] and _window(layer) is None:
            raise ValueError(f"layer {layer.name!r} moves nodes in a way that receptive_fields does not know")
        yield layer
        below = layer


def _window(layer):
    """(kernel, stride, padding) of a layer that slides a square window over the image; else None."""
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)):
        size, step, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    elif isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
        size, step, dilation = layer.pool_size, layer.strides, (1, 1)
    else:
        return None
    if any(along != across for along, across in (size, step, dilation)):
        raise ValueError(f"layer {layer.name!r} has a mask or stride that is not square; receptive_fields needs that")
    return dilation[0] * (size[0] - 1) + 1, step[0], layer.padding


def _why(error, path):
    """The reason why a model file cannot be loaded, and the remedy."""
    message = str(error).replace(str(path), "").lower()  # a file may be named lambda
    if "lambda" in message:
        return "it holds a Lambda layer, which could run any code; rebuild the model without it"
    if "could not locate class" in message or "unknown layer" in message:
        return "it holds a layer that Keras does not know; rebuild the model from layers of Keras"
    return "it is damaged or no Keras model; save it again with model.save"


def _random(seed, layer):
    """Random start weights: a stream of its own for every layer, nothing seeded globally."""
    return keras.initializers.GlorotUniform(seed=1000 * seed + layer)


def _augmented(images, labels, batch_size, seed):
    """Batches of digits, shuffled and moved anew in every epoch, the same for the same seed."""
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


class _Student(keras.Model):
    """A model in training: its batches are disturbed first, and its dense kernels are kept small."""

    def __init__(self, model, disturb, weight_decay):
        super().__init__(name="Student")
        self.cnn, self.disturb, self.weight_decay = model, disturb, weight_decay
        self.build((None, *model.input_shape[1:]))

    def call(self, images, training=False):
        return self.cnn(images, training=training)

    def train_step(self, batch):
        images, labels = batch
        return super().train_step((self.disturb(images, labels), labels))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        kernels = [layer.kernel for layer in self.cnn.layers if training and isinstance(layer, layers.Dense)]
        return loss + self.weight_decay * sum(tf.reduce_sum(tf.square(kernel)) for kernel in kernels)


class _KeepBest(keras.callbacks.Callback):
    """Remembers the weights of the best epoch, and the history; in a folder too, if one is given."""

    def __init__(self, cnn, folder):
        super().__init__()
        self.cnn, self.best, self.weights, self.history = cnn, -1.0, None, {}
        self.folder = Path(folder) if folder else None
        if folder:
            self.folder.mkdir(parents=True, exist_ok=True)
        if folder and (self.folder / "best.json").exists():  # a training that was killed
            self.best, self.history = json.loads((self.folder / "best.json").read_text())
            self.weights = list(np.load(self.folder / "best.npz").values())

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history[name] = self.history.get(name, [])[:epoch] + [float(value)]
        if logs["val_accuracy"] > self.best:
            self.best, self.weights = float(logs["val_accuracy"]), self.cnn.get_weights()
            if self.folder:
                np.savez(self.folder / "best.npz", *self.weights)
        if self.folder:
            (self.folder / "best.json").write_text(json.dumps([self.best, self.history]))

    def on_train_end(self, logs=None):
        self.cnn.set_weights(self.weights)
        if self.folder:
            for name in ("best.json", "best.npz"):
                (self.folder / name).unlink(missing_ok=True)
