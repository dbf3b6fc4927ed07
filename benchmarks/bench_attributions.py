"""Attributions of 100 digits and class images, beside tf-keras-vis where it has the same; the digit lab's answers.

Targets: not slower than tf-keras-vis and the same values where the method is the same (saliency, Grad-CAM before it is
enlarged); class images of a higher logit at equal range; digit lab 95 of 100 moves within 120 ms for another digit or
class, 300 ms for another radius.
"""

import time

import numpy as np

from helpers import models
from helpers.activations import class_logits
from helpers.ascent import ascend, only_the_result, soften
from helpers.explain.attributions import METHODS, gradient, grad_cam, smooth_grad
from helpers.data import load_digits
from helpers.fluctuations import fluctuations
from helpers.objectives import Channels, Gaps, Jittered
from helpers.images import ink_on_paper, standardize
from helpers.widgets import digit_lab
from helpers.widgets.parts.worker import wait_until_idle

import tensorflow as tf  # after helpers, which quiets its start
from tf_keras_vis.activation_maximization import ActivationMaximization
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

DIGITS, REPEATS, MOVES = 100, 5, 60
COOLING = np.geomspace(3, 0.02, 60)


def median_seconds(*functions):
    """The median time of each, taken in turns, after one call that warms it up; and what it returned."""
    results, times = [function() for function in functions], [[] for _ in functions]
    for _ in range(REPEATS):
        for function, taken in zip(functions, times):
            begin = time.perf_counter()
            function()
            taken.append(time.perf_counter() - begin)
    return [np.median(taken) for taken in times], results


def functional(cnn):
    """The same network as tf-keras-vis can take it: a Keras 3 Sequential has no output names."""
    return tf.keras.Model(cnn.inputs[0], cnn.outputs[0])


def attributions(cnn, digits, labels):
    score = CategoricalScore(labels.tolist())
    saliency, cam = (kind(functional(cnn), ReplaceToLinear(), clone=True) for kind in (Saliency, Gradcam))

    def theirs(**options):
        return np.asarray(saliency(score, digits, keepdims=True, normalize_map=False, **options))

    pairs = {
        "gradient": (lambda: np.abs(gradient(cnn, digits, labels)), theirs),
        "SmoothGrad, 20 samples": (lambda: np.abs(smooth_grad(cnn, digits, labels, samples=20)),
                                   lambda: theirs(smooth_samples=20, smooth_noise=0.1)),
        "Grad-CAM": (lambda: grad_cam(cnn, digits, labels),
                     lambda: np.asarray(cam(score, digits, expand_cam=False, normalize_cam=False))),
    }
    for name, (ours, other) in pairs.items():
        (mine, other_time), (values, others) = median_seconds(ours, other)
        told = f"ours {1000 * mine:7.1f} ms, theirs {1000 * other_time:7.1f} ms, {other_time / mine:.2f} times as long"
        if name == "Grad-CAM":  # theirs is enlarged as ours is: only the maps and their weights are compared
            others = tf.image.resize(others[..., np.newaxis], values.shape[1:3]).numpy()
        if name != "SmoothGrad, 20 samples":  # whose noise differs
            told += f"; largest difference {np.abs(values - others).max():.1e} of {values.max():.2f}"
        print(f"{name:26} {told}", flush=True)
    for name in [name for name in METHODS if name not in ("gradient", "SmoothGrad", "Grad-CAM")]:
        (taken,), _ = median_seconds(lambda name=name: METHODS[name](cnn, digits, labels))
        print(f"{name:26} ours {1000 * taken:7.1f} ms; tf-keras-vis has none", flush=True)


def class_images(cnn):
    logits, classes = class_logits(cnn), np.arange(10)
    theirs = ActivationMaximization(functional(cnn), ReplaceToLinear(), clone=True)
    starts = fluctuations(10, {3: 0.5, 7: 0.5}, 1)
    low, high = -0.45, 3.0
    made = {
        "ours, logit": lambda: ascend(Channels(logits, classes), starts, COOLING, reports=only_the_result).images,
        "ours, legible": lambda: ascend(Jittered(Gaps(logits, classes), tf.random.Generator.from_seed(1), 2), starts,
                                        COOLING, ink_on_paper, soften, only_the_result).images,
        "tf-keras-vis, defaults": lambda: np.asarray(theirs(CategoricalScore(classes.tolist()), seed_input=starts)),
        "tf-keras-vis, equal range": lambda: np.asarray(theirs(CategoricalScore(classes.tolist()), seed_input=starts,
                                                               input_range=(low, high))),
    }
    for name, make in made.items():
        begin = time.perf_counter()
        images = make()
        taken = time.perf_counter() - begin
        own = logits(standardize(images)).numpy()[classes, classes]
        reads = (logits(standardize(images)).numpy().argmax(axis=1) == classes).sum()
        print(f"{name:26} logit, standardized: mean {own.mean():6.2f}, lowest {own.min():6.2f}; {reads} of 10 read as "
              f"asked; {taken:.1f} s", flush=True)


def lab():
    explorer = digit_lab()
    assert wait_until_idle()
    moves = {"digit": (range(10, 10 + MOVES), 120), "explained": ([str(move % 10) for move in range(MOVES)], 120),
             "towards": ([str(move % 9) for move in range(MOVES)], 120),
             "radius": (0.02 * (1 + np.arange(MOVES) % 50), 300)}  # fmt: skip
    for name, (values, target) in moves.items():
        times = []
        for value in values:
            begin = time.perf_counter()
            explorer.set(**{name: value if isinstance(value, str) else type(explorer.defaults[name])(value)})
            assert wait_until_idle()
            times.append(1000 * (time.perf_counter() - begin))
        half, most = np.percentile(times, (50, 95))
        print(f"digit lab, {name:15} p50 {half:6.1f} ms   p95 {most:6.1f} ms   target {target}", flush=True)


if __name__ == "__main__":
    cnn = models.load_cnn()
    images, labels = load_digits("test")
    attributions(cnn, images[:DIGITS], labels[:DIGITS])
    class_images(cnn)
    lab()
