"""The whole zoo of 224 maps: ours, the articles' loop map by map (eager, and with a compiled step), tf-keras-vis.

Targets: at least 600, 80 and 25 times as fast, every map with a verdict, and beaten by none of them on more than
5 % of the maps; memory of 20 starts per map within 1.3 of that of one.
"""

import subprocess
import sys
import time

import numpy as np
from bench_one_oip import EPSILON, STEPS, climbed, plain_step

from helpers import models
from helpers.activations import conv_layers, feature_extractor, mean_activations
from helpers.ascent import ascend
from helpers.images import standardize
from helpers.objectives import Channels
from helpers.oips import create_oips, layer_zoo

import tensorflow as tf  # after helpers, which quiets its start

PROBES = {"eager": 1, "compiled": 3}  # maps of each layer whose time is taken and multiplied
MEMORY = """
import resource, sys
from helpers import models, oips
oips.layer_zoo(models.load_cnn(), "Conv2D_3", starts=int(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def seconds(function):
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def first_starts(cnn, layer, maps):
    return create_oips(cnn, layer, range(maps), starts=1, step_sizes=np.full(3, 1e-9)).ascent.frames[0]


def articles_seconds(features, starts, step, count):
    climbed(step, features, tf.constant(0), starts[0])  # warm-up
    probes = [seconds(lambda index=index: climbed(step, features, tf.constant(index), starts[index]))[0]
              for index in range(count)]
    return np.median(probes) * len(starts)


def by_tf_keras_vis(cnn, layer, starts):
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(cnn, [ExtractIntermediateLayer(layer), ReplaceToLinear()], clone=True)
    images = climb(CategoricalScore(list(range(len(starts)))), seed_input=starts, input_range=(-3.0, 5.0), steps=200,
                   regularizers=[], optimizer=tf.keras.optimizers.RMSprop(0.05))
    return standardize(np.asarray(images))


def main():
    cnn = models.load_cnn()
    layers = conv_layers(cnn)
    for layer in layers:
        layer_zoo(cnn, layer)  # warm-up
    took, zoos = seconds(lambda: {layer: layer_zoo(cnn, layer) for layer in layers})
    times = {"articles' loop, eager": 0, "articles' loop, compiled step": 0, "tf-keras-vis, batched": 0}
    ahead = {"articles' loop": 0, "tf-keras-vis": 0}
    for layer, zoo in zoos.items():
        features = feature_extractor(cnn, layer)
        maps = len(zoo.indices)
        starts = first_starts(cnn, layer, maps)
        compiled = tf.function(plain_step, reduce_retracing=True)
        times["articles' loop, eager"] += articles_seconds(features, starts, plain_step, PROBES["eager"])
        times["articles' loop, compiled step"] += articles_seconds(features, starts, compiled, PROBES["compiled"])
        duration, images = seconds(lambda: by_tf_keras_vis(cnn, layer, starts))  # noqa: B023 (called at once)
        times["tf-keras-vis, batched"] += duration
        finals = {
            "articles' loop": ascend(Channels(features, range(maps)), starts, np.full(STEPS, EPSILON)).values[-1],
            "tf-keras-vis": np.diag(mean_activations(features, images)),
        }
        for name, values in finals.items():
            ahead[name] += int((values > zoo.values * (1 + 1e-6)).sum())
        means = ", ".join(f"{name} {values.mean():.3f}" for name, values in finals.items())
        print(f"{layer}: mean final activation ours {zoo.values.mean():.3f}, {means}; "
              f"{(zoo.values > 0).sum()} of {maps} reached")
    total = sum(len(zoo.indices) for zoo in zoos.values())
    print(f"ours: {total} maps in {took:.2f} s, {sum(len(zoo.how) for zoo in zoos.values())} verdicts")
    for name, duration in times.items():
        print(f"{name:30s} {duration:8.1f} s   {duration / took:7.1f} x")
    for name, count in ahead.items():
        print(f"{name} is ahead of ours on {count} of {total} maps ({count / total:.1%})")
    peaks = [int(subprocess.run([sys.executable, "-c", MEMORY, starts], capture_output=True, text=True).stdout)
             for starts in ("1", "20")]
    print(f"peak memory of 128 maps: {peaks[0] / 1024:.0f} MB with 1 start each, {peaks[1] / 1024:.0f} MB with 20, "
          f"{peaks[1] / peaks[0]:.2f} x")


if __name__ == "__main__":
    main()
