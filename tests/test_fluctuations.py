"""fluctuations: weights mean what they say, and the same seed gives the same image."""

import numpy as np
import pytest

from helpers.fluctuations import fluctuations, numbered_fluctuations, spectral_fluctuations
from helpers.images import resize, standardize


def test_start_images_are_standardized():
    for images in (fluctuations(6, {3: 1, 28: 0.1}, seed=1), spectral_fluctuations(6, 1.5, seed=1)):
        assert images.shape == (6, 28, 28, 1) and images.dtype == np.float32
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, rtol=1e-4)


def test_only_the_ratio_of_the_weights_counts():
    np.testing.assert_allclose(
        fluctuations(4, {3: 0.2, 7: 0.2}, seed=5), fluctuations(4, {3: 1, 7: 1, 14: 0, 28: 0}, seed=5), atol=1e-5
    )


def test_equal_weights_are_equal_shares_of_the_power():
    both = fluctuations(400, {3: 1, 28: 1}, seed=0)
    for grid in (3, 28):
        alone = fluctuations(400, {grid: 1}, seed=0)
        share = (both * alone).mean(axis=(1, 2, 3)) ** 2  # power along the one part
        assert share.mean() == pytest.approx(0.5, abs=0.02)


def test_an_image_is_the_same_however_many_are_made():
    np.testing.assert_array_equal(fluctuations(3, {3: 1, 7: 1}, seed=2), fluctuations(50, {3: 1, 7: 1}, seed=2)[:3])
    np.testing.assert_allclose(spectral_fluctuations(3, 1, 2), spectral_fluctuations(50, 1, 2)[:3], atol=1e-5)


def test_another_seed_gives_another_image_and_images_differ():
    first, second = fluctuations(2, {7: 1}, seed=3)
    assert np.abs(first - second).mean() > 0.3
    assert np.abs(first - fluctuations(1, {7: 1}, seed=4)[0]).mean() > 0.3


def test_changing_the_weight_of_one_grid_leaves_the_pattern_of_the_other():
    coarse = fluctuations(1, {3: 1}, seed=9)
    mixed = fluctuations(1, {3: 1, 28: 0.05}, seed=9)
    assert (coarse * mixed).mean() > 0.99


def test_the_spectrum_falls_with_the_exponent_asked_for():
    images = spectral_fluctuations(300, 1.5, seed=0)[..., 0]
    power = (np.abs(np.fft.fft2(images)) ** 2).mean(axis=0)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(28), np.fft.fftfreq(28)))
    used = frequencies > 0
    slope = np.polyfit(np.log(frequencies[used]), np.log(power[used]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.15)  # power is amplitude squared


def test_other_sizes_are_made_as_well():
    assert fluctuations(2, {3: 1, 40: 1}, seed=0, size=40).shape == (2, 40, 40, 1)
    assert spectral_fluctuations(2, 0, seed=0, size=15).shape == (2, 15, 15, 1)


@pytest.mark.parametrize(
    "n, amplitudes, message",
    [
        (0, {3: 1}, "n 0 is out"),
        (2.5, {3: 1}, "n 2.5 is out"),
        (1, {29: 1}, "grid size 29"),
        (1, {1: 1}, "grid size 1"),
        (1, {3: -1}, "weight of grid 3 -1 is out of range"),
        (1, {3: float("nan")}, "weight of grid 3 nan"),
        (1, {3: 0}, "all zero"),
        (1, {}, "all zero"),
    ],
)
def test_bad_input_is_refused_with_its_value(n, amplitudes, message):
    with pytest.raises(ValueError, match=message):
        fluctuations(n, amplitudes, seed=0)


def test_images_can_be_asked_for_by_their_numbers():
    chosen = numbered_fluctuations(np.array([7, 2]), {3: 1, 7: 0.5}, seed=6)
    np.testing.assert_array_equal(chosen, fluctuations(8, {3: 1, 7: 0.5}, seed=6)[[7, 2]])


def test_number_100_000_draws_nothing_for_the_numbers_before_it(monkeypatch):
    drawn, plain = [], np.random.Generator

    class Counting:
        def __init__(self, stream):
            self.random = plain(stream)

        def uniform(self, low, high, size):
            drawn.append(size)
            return self.random.uniform(low, high, size)

    monkeypatch.setattr(np.random, "Generator", Counting)
    numbered_fluctuations(np.array([100_000]), {3: 1}, seed=6)
    assert drawn == [9]


def test_grids_are_enlarged_as_images_are_resized():
    noise = np.random.default_rng((3, 7)).uniform(-1, 1, (5, 7, 7, 1)).astype(np.float32)
    np.testing.assert_allclose(fluctuations(5, {7: 2}, seed=3), standardize(resize(noise, (28, 28))), atol=1e-5)


def test_an_image_may_be_oblong_and_have_channels_of_its_own():
    images = fluctuations(4, {3: 1, 7: 1}, seed=2, size=(10, 14), channels=3)
    assert images.shape == (4, 10, 14, 3)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    assert np.abs(np.corrcoef(images.transpose(0, 3, 1, 2).reshape(12, -1)) - np.eye(12)).max() < 0.95


@pytest.mark.parametrize("seed", [-1, None, 1.5])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        fluctuations(1, {3: 1}, seed)
