"""One OIP of Conv2D_3: ours, the articles' loop written plainly, the same compiled, and tf-keras-vis.

Targets: the plain loop takes at least 100 times as long as ours, and for at least 95 % of the maps that it
reaches its final activation is not higher.
"""

import time

import numpy as np

from helpers import models
from helpers.activations import feature_extractor, mean_activations
from helpers.ascent import ascend
from helpers.fluctuations import fluctuations
from helpers.objectives import Channels
from helpers.oips import AMPLITUDES, create_oips, layer_zoo

import tensorflow as tf  # after helpers, which quiets its start

LAYER, STEPS, EPSILON = "Conv2D_3", 600, 0.01
TIMED_MAPS = 5
OURS = "ours, default schedule"


def plain_step(features, index, image, epsilon):
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = tf.reduce_mean(features(image, training=False)[..., index])
    gradient = tape.gradient(value, image)
    gradient /= tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-7
    return tf.image.per_image_standardization(image + epsilon * gradient)


def climbed(step, features, index, start, steps=STEPS):
    image = tf.constant(start[None])
    for _ in range(steps):
        image = step(features, index, image, EPSILON)
    return image.numpy()


def sampled(step, features, index, start):
    """What 600 steps take, from a tenth of them, and the image after these."""
    took, image = seconds(climbed, step, features, index, start, STEPS // 10)
    return 10 * took, image


def by_tf_keras_vis(cnn, index, start):
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(cnn, [ExtractIntermediateLayer(LAYER), ReplaceToLinear()], clone=True)
    optimizer = tf.keras.optimizers.RMSprop(0.05)
    return np.asarray(
        climb(CategoricalScore(index), seed_input=start[None], input_range=(-3.0, 5.0), steps=200,
              regularizers=[], optimizer=optimizer)
    )


def seconds(function, *arguments):
    begin = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begin, result


def main():
    cnn = models.load_cnn()
    features = feature_extractor(cnn, LAYER)
    zoo = layer_zoo(cnn, LAYER)
    starts = fluctuations(len(zoo.indices), AMPLITUDES, 1)  # none of ours
    create_oips(cnn, LAYER, [0])  # warm-up
    reached = np.flatnonzero(zoo.how == "start")
    maps = reached[np.linspace(0, len(reached) - 1, TIMED_MAPS).astype(int)]
    compiled = tf.function(plain_step, reduce_retracing=True)
    climbed(compiled, features, tf.constant(0), starts[0])
    times = {OURS: [], "plain loop, eager (a tenth)": [], "plain loop, compiled step": [], "tf-keras-vis": []}
    others = {name: [] for name in times}
    for index in maps:
        took = {
            OURS: seconds(lambda i: create_oips(cnn, LAYER, [i]).images, index),
            "plain loop, eager (a tenth)": sampled(plain_step, features, index, starts[index]),
            "plain loop, compiled step": seconds(climbed, compiled, features, tf.constant(index), starts[index]),
            "tf-keras-vis": seconds(by_tf_keras_vis, cnn, int(index), starts[index]),
        }
        for name, (duration, image) in took.items():
            times[name].append(duration)
            others[name].append(mean_activations(features, _standardized(image))[0, index])
    ours = np.median(times[OURS])
    print(f"median over {TIMED_MAPS} maps of {LAYER}, one OIP after warm-up:")
    for name, durations in times.items():
        ratio = np.median(np.divide(durations, times[OURS]))
        print(f"  {name:28s} {np.median(durations) * 1e3:9.1f} ms   {ratio:7.1f} x   "
              f"mean activation {np.mean(others[name]):.3f}")
    articles = ascend(Channels(features, zoo.indices), starts, np.full(STEPS, EPSILON))
    compare(articles.values[-1], zoo, f"the articles' loop ({STEPS} steps of {EPSILON}), all maps, the same starts")
    print(f"  ours in one batch of {len(zoo.indices)}: {seconds(layer_zoo, cnn, LAYER)[0]:.2f} s "
          f"({ours * len(zoo.indices):.1f} s one by one)")


def compare(values, zoo, name):
    reached = values > 0
    not_higher = (values[reached] <= zoo.values[reached] * (1 + 1e-6)).mean()
    print(f"{name}: reaches {reached.sum()} of {len(values)}, mean activation {values[reached].mean():.3f}; "
          f"ours reaches {(zoo.values > 0).sum()}, on the same maps {zoo.values[reached].mean():.3f}; "
          f"not higher than ours on {not_higher:.1%} of the maps it reaches")


def _standardized(image):
    return tf.image.per_image_standardization(image)


if __name__ == "__main__":
    main()
