"""Autoencoders: decoding 10,000 vectors, our training against a plain Keras loop, a move in the latent lab.

Targets on 2 idle cores: our training takes no longer than `model.fit(images, images)`; a move in the latent lab takes
60 ms in 95 of 100 cases.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.explorers
from helpers.latent.autoencoders import build_autoencoder, decode, load_autoencoder, train_autoencoder
from helpers.data import load_digits
from helpers.widgets import latent_lab
from helpers.widgets.parts.worker import wait_until_idle

import keras  # after helpers, which quiet TensorFlow

VECTORS, DIGITS, ROUNDS, MOVES = 10_000, 6_000, 3, 100


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def plain(images):
    model = build_autoencoder(16, 0)
    model.compile(keras.optimizers.Adam(6e-3), "mse")
    model.fit(images, images, batch_size=128, epochs=1, validation_data=(images[:500], images[:500]), verbose=0)


def ours(images):
    train_autoencoder(build_autoencoder(16, 0), images, images[:500], epochs=1, verbose=0)


def bench():
    images = load_digits("train")[0][:DIGITS]
    for size in (16, 256):
        model, vectors = load_autoencoder(size), np.random.default_rng(0).standard_normal((VECTORS, size))
        decode(model, vectors[:500])  # compiled now
        times = [seconds(lambda: decode(model, vectors)) for _ in range(ROUNDS)]  # noqa: B023
        print(f"decoding {VECTORS:,} vectors, N = {size}: median {np.median(times):.2f} s")
    ratios = [seconds(lambda: plain(images)) / seconds(lambda: ours(images)) for _ in range(ROUNDS)]
    print(f"an epoch of {len(images):,} digits: a plain Keras loop takes {np.median(ratios):.2f} times as long as ours "
          f"({min(ratios):.2f} to {max(ratios):.2f})")
    lab, times = latent_lab(), []
    wait_until_idle(600)
    for place in np.random.default_rng(0).uniform(-3, 3, (MOVES, 2)).round(2).tolist():
        begin = time.perf_counter()
        lab.shown["plane"].wanted = place
        wait_until_idle(60)
        times.append(1000 * (time.perf_counter() - begin))
    print(f"a move in the latent lab: median {np.median(times):.0f} ms, 95 % within {np.quantile(times, 0.95):.0f} ms")


if __name__ == "__main__":
    bench()
