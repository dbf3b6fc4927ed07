"""images: what standardize, to_display, contrast, resize and gray promise."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from helpers.images import (
    contrast,
    cut_tiles,
    gray,
    ink_on_paper,
    join_tiles,
    local_moments,
    resize,
    standardize,
    to_display,
    with_spectrum,
)
from tests.conftest import picture

GRIDS = [((4, 4), (2, 2), (2, 2)), ((9, 13), (3, 5), (2, 4)), ((8, 8), (8, 8), (8, 8)), ((7, 10), (3, 4), (1, 3)),
         ((12, 6), (4, 6), (1, 6)), ((5, 5), (1, 1), (1, 1)), ((56, 84), (28, 28), (14, 7))]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(-3, 40, (5, 12, 9, 2)).astype(np.float32)


def test_standardized_images_have_mean_zero_and_deviation_one(images):
    result = standardize(images)
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_standardize_is_tensorflows_rule_also_for_faint_images(images):
    faint = np.concatenate([images, 1e-4 * images, np.full((1, 12, 9, 2), 7.0, np.float32)])
    np.testing.assert_allclose(standardize(faint), tf.image.per_image_standardization(faint), atol=1e-4)


def test_a_constant_image_becomes_zero():
    assert not standardize(np.full((1, 4, 4, 1), 5.0)).any()


def test_numpy_gives_numpy_and_a_tensor_gives_a_tensor(images):
    assert isinstance(standardize(images), np.ndarray) and tf.is_tensor(standardize(tf.constant(images)))


def test_arguments_are_left_as_they_were(images):
    before = images.copy()
    standardize(images), to_display(images), contrast(images), resize(images, (4, 4))
    np.testing.assert_array_equal(images, before)


def test_display_fills_zero_to_one_for_each_image(images):
    shown = to_display(images)
    np.testing.assert_allclose(shown.min(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(shown.max(axis=(1, 2, 3)), 1, atol=1e-6)
    assert (to_display(np.ones((1, 3, 3, 1))) == 0.5).all()


def test_contrast_puts_the_mean_at_the_center_and_three_deviations_on_the_range():
    ramp = np.linspace(0, 1, 25, dtype=np.float32).reshape(1, 5, 5, 1)
    shown = contrast(ramp, center=0.4, gain=0.5)
    np.testing.assert_allclose(shown, 0.4 + 0.5 * standardize(ramp) / 3, atol=1e-6)
    assert contrast(ramp, center=0.0, gain=9.0).min() == 0 and contrast(ramp, center=0.0, gain=9.0).max() == 1


def test_contrast_does_not_depend_on_brightness_or_scale(images):
    np.testing.assert_allclose(contrast(images), contrast(5 * images - 3), atol=1e-5)


def test_resizing_to_the_same_size_changes_nothing(images):
    np.testing.assert_allclose(resize(images, (12, 9)), images, atol=1e-5)


def test_shrinking_averages_instead_of_picking_pixels():
    checkers = (np.indices((40, 40)).sum(axis=0) % 2).astype(np.float32)[None, ..., None]
    assert np.abs(resize(checkers, (7, 7)) - 0.5).max() < 0.1


def test_gray_weighs_red_green_and_blue_as_the_eye_does():
    pure = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    np.testing.assert_allclose(gray(pure).ravel(), [0.299, 0.587, 0.114], atol=1e-6)
    np.testing.assert_allclose(gray(np.full((1, 2, 2, 3), 0.7)), 0.7, atol=1e-6)


@pytest.mark.parametrize("bad", [np.zeros((28, 28)), np.zeros((28, 28, 1)), 3.0])
def test_what_is_no_batch_is_refused_by_its_shape(bad):
    with pytest.raises(ValueError, match="a batch is"):
        standardize(bad)


def test_gray_refuses_an_image_that_is_gray_already():
    with pytest.raises(ValueError, match=r"shape \(1, 4, 4, 1\); gray needs 3 channels"):
        gray(np.zeros((1, 4, 4, 1)))


def test_a_size_without_pixels_is_refused(images):
    with pytest.raises(ValueError, match=r"size \(0, 5\) does not fit; give \(height, width\)"):
        resize(images, (0, 5))


def test_a_prescribed_spectrum_keeps_the_phases_and_takes_the_magnitudes():
    images, other = np.random.default_rng(3).standard_normal((2, 4, 12, 10, 1)).astype(np.float32)
    magnitudes = np.abs(np.fft.rfft2(other[0, ..., 0]))
    shaped = with_spectrum(magnitudes)(images)
    expected = np.fft.irfft2(magnitudes * np.exp(1j * np.angle(np.fft.rfft2(images[..., 0]))), s=(12, 10))
    np.testing.assert_allclose(shaped, standardize(expected[..., None]), atol=1e-3)
    np.testing.assert_allclose(shaped.mean(axis=(1, 2, 3)), 0, atol=1e-4)


def test_a_prescribed_spectrum_is_a_projection_also_of_a_constant_image():
    project = with_spectrum(np.abs(np.fft.rfft2(np.random.default_rng(4).standard_normal((12, 10)))))
    once = project(np.random.default_rng(5).standard_normal((3, 12, 10, 2)).astype(np.float32))
    np.testing.assert_allclose(project(once), once, atol=1e-3)
    assert np.isfinite(project(np.zeros((1, 12, 10, 1), np.float32))).all()


def test_a_prescribed_spectrum_works_inside_a_compiled_step_and_gives_a_tensor():
    images = np.random.default_rng(6).standard_normal((2, 8, 8, 1)).astype(np.float32)
    project = with_spectrum(np.ones((8, 5)))
    np.testing.assert_allclose(tf.function(project)(tf.constant(images)), project(images), atol=1e-4)


def test_a_spectrum_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"need \(8, 5\)"):
        with_spectrum(np.ones((8, 8)))(np.ones((1, 8, 8, 1)))


def test_what_comes_back_may_be_written_to(images):
    for result in (standardize(images), to_display(images), contrast(images), resize(images, (4, 4))):
        result[0] = 0


def test_ink_on_paper_is_standardized_and_keeps_within_two_tones_but_for_a_little():
    digit = np.zeros((3, 28, 28, 1), np.float32)
    digit[:, 4:24, 11:17] = 1  # 15 % ink, as in digits
    holes = digit - 3 * np.roll(digit, 8, axis=2) + 5 * np.roll(digit, 9, axis=1) * digit  # blacker, brighter
    ink = ink_on_paper(holes)
    np.testing.assert_allclose(ink.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(ink.std(axis=(1, 2, 3)), 1, atol=1e-4)
    assert standardize(holes).min() < -1 and ink.min() > -0.55 and ink.max() < 3.6
    np.testing.assert_allclose(ink_on_paper(standardize(digit)), standardize(digit), atol=0.02)


@pytest.mark.parametrize("shape, size, step", GRIDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_joining_is_the_inverse_of_cutting(shape, size, step, channels):
    photo = picture(*shape, channels)
    tiles = cut_tiles(photo, size, step)
    counts = [(length - part) // move + 1 for length, part, move in zip(shape, size, step)]
    assert tiles.shape == (counts[0] * counts[1], *size, channels)
    np.testing.assert_allclose(join_tiles(tiles, shape, step), photo, atol=1e-6)


def test_tiles_are_listed_row_by_row():
    photo = np.arange(24.0).reshape(4, 6, 1)
    tiles = cut_tiles(photo, (2, 3), (2, 3))
    np.testing.assert_array_equal(tiles[1, ..., 0], [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(tiles[2, ..., 0], [[12, 13, 14], [18, 19, 20]])


@pytest.mark.parametrize("shape, size, step", GRIDS)
def test_equal_changes_of_all_tiles_join_to_the_same_change(shape, size, step):
    tiles = np.full_like(cut_tiles(picture(*shape), size, step), 0.25)
    np.testing.assert_allclose(join_tiles(tiles, shape, step), 0.25, atol=1e-6)


def test_blended_tiles_make_a_ramp_and_no_step():
    tiles = np.stack([np.zeros((20, 20, 1)), np.ones((20, 20, 1))])
    row = join_tiles(tiles, (20, 30), (20, 10))[7, :, 0]
    assert np.diff(row).min() > -1e-6 and np.diff(row).max() < 0.2
    np.testing.assert_allclose(row[[0, -1]], [0, 1], atol=1e-6)
    hard = join_tiles(tiles, (20, 40), (20, 20))[7, :, 0]
    np.testing.assert_allclose(np.diff(hard).max(), 1, atol=1e-6)


@pytest.mark.parametrize("shape, size, step", [((10, 10), (4, 4), (4, 4)), ((4, 4), (5, 4), (1, 1)),
                                               ((8, 8), (4, 4), (5, 5)), ((8, 8), (4, 4), (0, 4))])
def test_tiles_that_do_not_fit_are_refused(shape, size, step):
    with pytest.raises(ValueError, match="do(es)? not fit"):
        cut_tiles(np.zeros((*shape, 1)), size, step)


@pytest.mark.parametrize("size", [(17, 80), (60, 20), (47, 53), (90, 120), (3, 53), (1, 1)])
def test_a_large_photo_is_resized_in_bands_as_it_would_be_as_a_whole(monkeypatch, size):
    batch = np.random.default_rng(5).random((2, 47, 53, 3)).astype(np.float32)
    given, whole = batch.copy(), resize(batch, size)
    for band in (1, 1000):
        monkeypatch.setattr("helpers.images.MOST_AT_ONCE", 0)
        monkeypatch.setattr("helpers.images.BAND", band)
        found = resize(batch, size)
        np.testing.assert_allclose(found, whole, atol=1e-6)
        found += 1  # what comes back is the caller's own
        np.testing.assert_array_equal(batch, given)


@pytest.mark.parametrize("window", [3, (4, 5), (20, 31), (50, 7)])
def test_local_moments_are_the_same_however_many_rows_are_done_at_once(monkeypatch, window):
    batch = np.random.default_rng(2).random((2, 30, 17, 3)).astype(np.float32)
    means, deviations = (scipy.ndimage.uniform_filter(values, (1, *np.broadcast_to(window, 2), 1), mode="reflect")
                         for values in (batch.astype(float), batch.astype(float) ** 2))  # fmt: skip
    for rows in (1, 7, 1000):
        monkeypatch.setattr("helpers.images.BAND", rows * batch[:, 0].size)
        for found, expected in zip(local_moments(batch, window), (means, np.sqrt(deviations - means**2))):
            np.testing.assert_allclose(found, expected, atol=3e-7)


def test_moments_over_blocks_are_the_same_however_many_rows_are_done_at_once(monkeypatch):
    monkeypatch.setattr("helpers.images.FINE", 4)
    batch = np.random.default_rng(3).random((1, 61, 37, 1)).astype(np.float32)
    whole = local_moments(batch, (13, 15))  # blocks of 3 x 3
    for rows in (1, 6, 20):
        monkeypatch.setattr("helpers.images.BAND", rows * batch[:, 0].size)
        for found, expected in zip(local_moments(batch, (13, 15)), whole):
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_local_moments_are_those_of_the_window_around_a_pixel():
    image = picture(30, 40, 1)
    means, deviations = local_moments(image[None], (5, 9))
    around = image[10:15, 16:25]
    np.testing.assert_allclose(means[0, 12, 20, 0], around.mean(), rtol=1e-4)
    np.testing.assert_allclose(deviations[0, 12, 20, 0], around.std(), rtol=1e-4)
    square = local_moments(image[None], 7)
    np.testing.assert_allclose(square[1][0, 12, 20, 0], image[9:16, 17:24].std(), rtol=1e-4)


def test_around_large_windows_local_moments_are_nearly_those_of_the_window():
    photo = picture(700, 900, 3)[None]
    exact = [scipy.ndimage.uniform_filter(np.float64(photo) ** power, (1, 600, 600, 1), mode="reflect")
             for power in (1, 2)]
    means, deviations = local_moments(photo, 600)
    np.testing.assert_allclose(means, exact[0], atol=2e-3)
    np.testing.assert_allclose(deviations, np.sqrt(exact[1] - exact[0] ** 2), atol=2e-3)
