"""Dreams of a 560 x 560 photo: the articles' way against ours, tiles, a cascade, octaves, a plain DeepDream loop.

Targets after warm-up: a full-image dream of 4 passes x 30 steps under 0.3 s, full image plus quadrants under 0.8 s,
cost linear in the number of pixels up to 2240.
"""

import time

import numpy as np

from helpers import geometry, models
from helpers.activations import feature_extractor
from helpers.ascent import soften
from helpers.dreams import carve, carve_octaves, carve_tiles, same_map
from helpers.images import gray, resize, standardize
from helpers.objectives import Channels, WholeLayer
from helpers.photos import load_photo

import tensorflow as tf  # after helpers, which quiets its start

PASSES, STEPS, EPSILON, MAP, ROUNDS = 4, 30, 0.01, 56, 5
COOLING = np.geomspace(0.1, 0.02, 10)


def last(photos):
    for photo in photos:
        result = photo
    return result


def articles_way(features, photo):
    """DD-I written plainly: eager steps on 28x28, everything enlarged, a constant correction tensor added."""
    picture = standardize(gray(photo[None]))
    low = resize(picture, (28, 28))
    correction = picture - resize(low, photo.shape[:2])
    for _ in range(PASSES):
        image = tf.constant(standardize(low))
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                tape.watch(image)
                value = tf.reduce_mean(features(image, training=False)[..., MAP])
            gradient = tape.gradient(value, image)
            gradient /= tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-7
            image = tf.image.per_image_standardization(image + EPSILON * gradient)
        picture = standardize(resize(image.numpy(), photo.shape[:2]) + correction)
        low = resize(picture, (28, 28))
    return picture


def plain_deepdream(features, photo, octaves=4, scale=1.4, steps=10, step_size=0.05):
    """The method of the Keras example, with the same trunk and octaves: eager steps, lost detail re-injected."""
    original = tf.constant(gray(photo[None]))
    sizes = [tuple(round(length / scale**octave) for length in photo.shape[:2]) for octave in range(octaves)][::-1]
    shrunk = tf.image.resize(original, sizes[0])
    image = shrunk
    for size in sizes:
        image = tf.image.resize(image, size)
        for _ in range(steps):
            with tf.GradientTape() as tape:
                tape.watch(image)
                value = tf.reduce_mean(tf.square(features(image, training=False)))
            gradient = tape.gradient(value, image)
            image += step_size * gradient / tf.maximum(tf.reduce_mean(tf.abs(gradient)), 1e-6)
        image += tf.image.resize(original, size) - tf.image.resize(shrunk, size)
        shrunk = tf.image.resize(original, size)
    return image


def median_seconds(function, rounds=ROUNDS):
    function()  # warm-up
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return np.median(times)


def main():
    cnn, photo = models.load_cnn(), load_photo()
    features = feature_extractor(cnn, "Conv2D_3")
    wide = feature_extractor(geometry.any_size(cnn), "Conv2D_3")
    objective, aim = Channels(features, [MAP]), same_map(features, MAP)
    steps = np.full(STEPS, EPSILON)

    def full_and_quadrants(picture):
        for _ in range(PASSES):
            picture = last(carve(objective, picture, passes=1, step_sizes=steps))
            picture = last(carve_tiles(aim, picture, tiles=2, passes=1, step_sizes=steps, overlap=0))
        return picture

    def cascade(picture):
        for tiles in (1, 2, 4, 8):
            picture = last(carve_tiles(aim, picture, tiles, 1, COOLING, precondition=soften))
        return picture

    ours = median_seconds(lambda: last(carve(objective, photo, PASSES, steps)))
    octaves = median_seconds(lambda: last(carve_octaves(WholeLayer(wide), photo)), rounds=3)
    rows = {
        f"full image, {PASSES} passes x {STEPS} steps": (ours, ours),
        "the same in the articles' way, eager": (median_seconds(lambda: articles_way(features, photo), 3), ours),
        "full image and all four quadrants": (median_seconds(lambda: full_and_quadrants(photo)), ours),
        "cascade 1 + 4 + 16 + 64, blended": (median_seconds(lambda: cascade(photo), 3), ours),
        "octaves, whole layer": (octaves, octaves),
        "plain DeepDream loop, the same octaves": (median_seconds(lambda: plain_deepdream(wide, photo), 3), octaves),
    }
    for name, (duration, own) in rows.items():
        print(f"{name:46s} {duration:7.3f} s   {duration / own:6.1f} x")
    for size in (560, 1120, 2240):
        picture = load_photo(size=size)
        whole = median_seconds(lambda: last(carve(objective, picture, PASSES, steps)), 3)  # noqa: B023
        tiles = median_seconds(lambda: last(carve_tiles(aim, picture, size // 140, 1, COOLING)), 3)  # noqa: B023
        print(f"{size:5d} pixels: full image {whole:.3f} s, tiles of 140 pixels {tiles:.3f} s, "
              f"{tiles / size**2 * 1e6:.2f} s per megapixel")


if __name__ == "__main__":
    main()
