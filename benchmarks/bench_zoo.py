"""The whole zoo of 224 maps: ours, the articles' loop map by map (eager, and with a compiled step), tf-keras-vis.

Targets: at least 700, 80 and 25 times as fast; the articles' 600 steps ahead of us on at most 4 % of the maps (mean of
five seeds); cost per map flat from 32 to 2,048 maps. The eager and the compiled loop are timed over a sample of their
steps, in the same run, and multiplied. Memory has a benchmark of its own.
"""

import time

import keras
import numpy as np
from bench_one_oip import EPSILON, STEPS, plain_step

from helpers import models
from helpers.activations import conv_layers, feature_extractor, mean_activations
from helpers.ascent import ascend, only_the_result
from helpers.fluctuations import fluctuations
from helpers.images import standardize
from helpers.objectives import Channels
from helpers.oips import AMPLITUDES, create_oips, layer_zoo

import tensorflow as tf  # after helpers, which quiets its start

SAMPLE = {"eager": 60, "compiled": 300}  # steps that are timed of 600
ROUNDS, SEEDS = 3, 5


def seconds(function):
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def articles_seconds(features, step, sample):
    """What all maps of a layer would take, one by one, 600 steps each."""
    image, index = tf.constant(fluctuations(1, AMPLITUDES, 0)), tf.constant(0)
    step(features, index, image, EPSILON)  # warm-up

    def loop(image=image):
        for _ in range(sample):
            image = step(features, index, image, EPSILON)
        return image.numpy()

    return seconds(loop)[0] / sample * STEPS * features.output_shape[-1]


def by_tf_keras_vis(cnn, layer, starts):
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(cnn, [ExtractIntermediateLayer(layer), ReplaceToLinear()], clone=True)
    images = climb(CategoricalScore(list(range(len(starts)))), seed_input=starts, input_range=(-3.0, 5.0), steps=200,
                   regularizers=[], optimizer=tf.keras.optimizers.RMSprop(0.05))
    return standardize(np.asarray(images))


def speed(cnn, layers):
    def zoo():
        return {layer: layer_zoo(cnn, layer) for layer in layers}

    zoo()  # warm-up
    times = {"ours": [], "articles' loop, eager": [], "articles' loop, compiled step": [], "tf-keras-vis, batched": []}
    for _ in range(ROUNDS):
        took, zoos = seconds(zoo)
        times["ours"].append(took)
        eager = compiled = other = 0
        for layer in layers:
            features, step = feature_extractor(cnn, layer), tf.function(plain_step, reduce_retracing=True)
            eager += articles_seconds(features, plain_step, SAMPLE["eager"])
            compiled += articles_seconds(features, step, SAMPLE["compiled"])
            starts = fluctuations(features.output_shape[-1], AMPLITUDES, 0)
            took, images = seconds(lambda: by_tf_keras_vis(cnn, layer, starts))  # noqa: B023 (called at once)
            other += took
            values = np.diag(mean_activations(features, images))
            zoos[layer] = (values > zoos[layer].values * (1 + 1e-6)).sum()
        for name, took in zip([*times][1:], (eager, compiled, other)):
            times[name].append(took)
    print(f"224 maps, median of {ROUNDS} rounds; the loops from a sample of {SAMPLE} steps:")
    for name, all_times in times.items():
        print(f"  {name:30s} {np.median(all_times):8.2f} s   {np.median(np.divide(all_times, times['ours'])):7.1f} x")
    print(f"  tf-keras-vis is ahead of ours on {sum(zoos.values())} of 224 maps")


def quality(cnn, layers):
    ahead = []
    for seed in range(SEEDS):
        ahead.append(0)
        for layer in layers:
            features, zoo = feature_extractor(cnn, layer), layer_zoo(cnn, layer, seed=seed + SEEDS)
            starts = fluctuations(len(zoo.indices), AMPLITUDES, seed)  # none of ours
            articles = ascend(Channels(features, zoo.indices), starts, np.full(STEPS, EPSILON), reports=only_the_result)
            ahead[-1] += int((articles.values[-1] > zoo.values * (1 + 1e-6)).sum())
            print(f"  seed {seed}, {layer}: mean final activation ours {zoo.values.mean():.3f}, articles' "
                  f"{articles.values[-1].mean():.3f}; reached {(zoo.values > 0).sum()} and "
                  f"{(articles.values[-1] > 0).sum()} of {len(zoo.indices)}", flush=True)
    print(f"the articles' {STEPS} steps end higher on {ahead} of 224 maps, mean {np.mean(ahead) / 224:.1%}")


def cost_per_map():
    wide = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
                             keras.layers.Conv2D(2048, 3, strides=4, activation="relu", name="wide")])
    for maps in (32, 128, 512, 2048):
        create_oips(wide, "wide", range(maps))  # warm-up
        took = np.median([seconds(lambda: create_oips(wide, "wide", range(maps)))[0] for _ in range(3)])  # noqa: B023
        print(f"  {maps:5} of 2,048 maps: {took:6.2f} s, {1000 * took / maps:6.2f} ms per map", flush=True)


if __name__ == "__main__":
    network = models.load_cnn()
    speed(network, conv_layers(network))
    quality(network, conv_layers(network))
    cost_per_map()
