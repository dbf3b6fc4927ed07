"""Tiny random networks, made on the spot."""

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.images import standardize


def pytest_collection_modifyitems(items):
    """Two processes share the files of tests: the longest first, and last what watches the clock in a browser."""
    order = {"test_notebooks": -1, "test_browser": 1}
    items.sort(key=lambda item: order.get(item.path.stem, 0))


def tiny_cnn(seed=0, channels=1, maps=5):
    """A random CNN: images (12, 12, channels) -> conv -> pool -> conv `maps` -> dense 3."""
    start = [keras.initializers.HeNormal(seed=10 * seed + layer) for layer in range(3)]
    return keras.Sequential(
        [
            keras.Input((12, 12, channels)),
            keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=start[0], name="first"),
            keras.layers.MaxPooling2D(2, name="pool"),
            keras.layers.Conv2D(maps, 3, activation="relu", kernel_initializer=start[1], name="second"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(3, activation="softmax", kernel_initializer=start[2], name="output"),
        ]
    )


def bars(n, seed):
    """Noisy images (n, 12, 12, 1) of a horizontal bar (0), a vertical bar (1) or a square (2), and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = 0.3 * rng.standard_normal((n, 12, 12, 1)).astype(np.float32)
    images[labels == 0, 5:7, 1:11] += 2
    images[labels == 1, 1:11, 5:7] += 2
    images[labels == 2, 3:9, 3:9] += 2
    return standardize(images), labels


@pytest.fixture
def cnn():
    return tiny_cnn()


@pytest.fixture
def starts():
    """Eight random standardized images that fit `cnn`."""
    return standardize(np.random.default_rng(1).standard_normal((8, 12, 12, 1)).astype(np.float32))


@pytest.fixture
def stop_at_the_third_block(monkeypatch):
    """Somebody presses Stop when the engine begins its third block of steps; the list counts the blocks."""
    advance, calls = ascent._advance, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", stopping)
    return calls


def picture(height=120, width=120, channels=3, seed=0, low=0.3, high=0.7):
    """Smooth random shapes with a little grain, values low..high: no dream of a few steps reaches 0 or 1."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 17.0
    turns = rng.uniform((0.3, 0.3, 0), (2, 2, 6), (channels, 3))
    waves = [np.sin(rows * down + columns * right + shift) for down, right, shift in turns]
    values = np.stack(waves, axis=-1) + 0.2 * rng.standard_normal((height, width, channels))
    return np.float32(low + (high - low) * (values - values.min()) / np.ptp(values))
