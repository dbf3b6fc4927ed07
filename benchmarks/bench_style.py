"""Style transfer with the shipped trunk: cost by size, and the plain way of the Keras example to the same loss.

Targets: time linear in the number of pixels, memory bounded (windows above 640 pixels), the loss that 30 steps reach in
a third of the time of the plain way or less: every step all three pictures through the network, gradient descent
with a decaying rate (the best of three). Seconds are those of the processor, on all cores together, so that a busy
machine does not count. Each size runs in a process of its own, for its peak memory.
"""

import itertools
import json
import resource
import subprocess
import sys
import time

import numpy as np

from helpers.ascent import climb, clip
from helpers.images import gray
from helpers.models import load_cnn
from helpers.objectives import Mixed, Penalized, total_variation
from helpers.photos import load_photo
from helpers.style.transfer import FORMS, SMOOTHNESS, STROKES, content_of, gram, shrunk, style_extractor, style_of

import tensorflow as tf  # after helpers, which quiets its start

PAINTING = "data/paintings/starry_night.jpg"
RATES = (1.0, 3.0, 10.0)
LEVELS, MOST_STEPS, SIZE = 3, 240, 280


def pictures(size):
    photo, painting = gray(load_photo(size=size)[None]), gray(load_photo(PAINTING, size)[None])
    return photo, painting


def our_objective(features, photo, painting):
    wishes = [style_of(features, painting[0], photo.shape[1:3], LEVELS), content_of(features, photo[0])]
    return Penalized(Mixed(wishes, [1, FORMS]), total_variation, SMOOTHNESS)


def own_way(objective, photo):
    """Yield (seconds, loss) of the engine's climb after every step; compilation and first step are not counted."""
    list(climb(objective, photo, STROKES[:2], clip))
    began = time.process_time()
    for _, _, values in climb(objective, photo, STROKES, clip, reports=range):
        yield time.process_time() - began, -float(values[0])


def plain_way(features, photo, painting, rate):
    """Yield (seconds, loss) of the example's method: photo, painting and picture through the network in every step."""

    @tf.function
    def loss_and_gradient(picture):
        with tf.GradientTape() as tape:
            loss = SMOOTHNESS * total_variation(picture)
            three = tf.concat([photo, painting, picture], axis=0)
            for level in range(LEVELS):
                for layer, maps in enumerate(features(shrunk(three, level))):
                    _, wanted, found = tf.unstack(gram(maps, tf.ones((1, *maps.shape[1:3], 1))))
                    share = tf.reduce_sum((found - wanted) ** 2) / tf.reduce_sum(wanted**2)
                    loss += share / (LEVELS * len(features.outputs))
                    if level == 1 and layer == len(features.outputs) - 1:
                        loss += FORMS * tf.reduce_mean((maps[2] - maps[0]) ** 2) / tf.math.reduce_variance(maps[0])
        return loss, tape.gradient(loss, picture)

    picture = tf.Variable(photo)
    rates = tf.keras.optimizers.schedules.ExponentialDecay(rate, decay_steps=100, decay_rate=0.96)
    optimizer = tf.keras.optimizers.SGD(rates)
    loss_and_gradient(picture)
    began = time.process_time()
    for _ in range(MOST_STEPS):
        loss, gradient = loss_and_gradient(picture)
        yield time.process_time() - began, float(loss[0])
        optimizer.apply_gradients([(photo.size * gradient / SIZE, picture)])
        picture.assign(tf.clip_by_value(picture, 0, 1))


def cost_of_one_size(size):
    """Print seconds of one step (median) and what the process needed for it, as one line of JSON."""
    features = style_extractor(load_cnn())
    photo, painting = pictures(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = [seconds for seconds, _ in itertools.islice(own_way(our_objective(features, photo, painting), photo), 7)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": float(np.median(np.diff(times))), "megabytes": (peak - before) / 1000}))


def main():
    for size in (280, 560, 1120):
        run = subprocess.run([sys.executable, __file__, str(size)], capture_output=True, text=True, check=True)
        cost = json.loads(run.stdout.splitlines()[-1])
        print(f"{size:5d} pixels: {cost['seconds']:.3f} s a step, {1e6 * cost['seconds'] / size**2:.2f} s per million "
              f"pixels, {cost['megabytes']:.0f} MB beyond the network and the pictures", flush=True)
    features = style_extractor(load_cnn())
    photo, painting = pictures(SIZE)
    *_, (own_seconds, target) = own_way(our_objective(features, photo, painting), photo)
    print(f"the engine, {len(STROKES)} steps at {SIZE}: loss {target:.4f} in {own_seconds:.1f} s", flush=True)
    for rate in RATES:
        for steps, (seconds, loss) in enumerate(plain_way(features, photo, painting, rate)):  # noqa: B007
            if loss <= target or not np.isfinite(loss) or seconds > 5 * own_seconds:
                break
        there = f"{seconds / own_seconds:.1f} x" if loss <= target else f"not in {seconds / own_seconds:.1f} x"
        print(f"  the plain way, rate {rate:g}: loss {loss:.4f} after {steps} steps, {there} the time", flush=True)


if __name__ == "__main__":
    cost_of_one_size(int(sys.argv[1])) if len(sys.argv) > 1 else main()
