"""Latent vectors: what statistics say of them, methods that draw new ones, walks, climbs through a decoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import feature_extractor
from helpers.latent.autoencoders import build_autoencoder, decode, encode, halves
from helpers.latent.space import (
    arc_walk,
    climb_decoded,
    components,
    full_covariance,
    gaussian_mixture,
    hit_test,
    main_axes,
    main_components,
    onto_shell,
    own_distributions,
    own_gaussians,
    prior,
    same_vectors,
    straight_walk,
    uniform_cube,
    uniform_lengths,
)
from helpers.objectives import Channels
from tests.conftest import tiny_cnn

RANDOM = np.random.default_rng(0)
MIXING = np.array([[2.0, 0, 0, 0], [1.5, 0.5, 0, 0], [0, 0, 1, 0], [0.3, 0, 0.5, 0.2]])
CENTER = np.array([3.0, 0, -1, 0])
GAUSSIAN = np.float32(RANDOM.standard_normal((20_000, 4)) @ MIXING.T + CENTER)
TWO_HEAPS = np.float32(RANDOM.choice([-4.0, 4.0], (6000, 1)) * [1, 1, 1, 1] + 0.5 * RANDOM.standard_normal((6000, 4)))
METHODS = [same_vectors, uniform_cube, own_gaussians, own_distributions, full_covariance, main_components,
           gaussian_mixture]

every_method = pytest.mark.parametrize("method", METHODS)


def test_the_half_width_of_a_gaussian_is_1_18_deviations():
    found = components(GAUSSIAN)
    np.testing.assert_allclose(found.means, CENTER, atol=0.06)
    np.testing.assert_allclose(found.deviations, np.linalg.norm(MIXING, axis=1), rtol=0.03)
    np.testing.assert_allclose(found.half_widths / found.deviations, np.sqrt(2 * np.log(2)), rtol=0.1)
    np.testing.assert_allclose(found.peaks, CENTER, atol=0.8)


def test_peak_and_half_width_are_those_of_the_higher_of_two_hills():
    heaps = np.r_[RANDOM.normal(-5, 1, 40_000), RANDOM.normal(5, 0.5, 5_000)][:, np.newaxis]
    found = components(heaps)
    assert found.peaks[0] == pytest.approx(-5, abs=0.4) and found.half_widths[0] == pytest.approx(1.18, abs=0.15)
    assert found.deviations[0] > 3


def test_a_component_that_never_changes_has_no_width():
    found = components(np.c_[np.full(100, 2.0), RANDOM.standard_normal(100)])
    assert (found.peaks[0], found.half_widths[0], found.deviations[0]) == (2.0, 0.0, 0.0)


@pytest.mark.parametrize("size, half_width", [(16, 1.0), (64, 2.0), (256, 1.5)])
def test_the_law_of_lengths_holds_in_a_simulation(size, half_width):
    lengths = np.linalg.norm(np.random.default_rng(size).uniform(-half_width, half_width, (40_000, size)), axis=1)
    mean, deviation = uniform_lengths(size, half_width)
    assert lengths.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(40_000) + 0.001 * half_width)
    assert lengths.std() == pytest.approx(deviation, rel=0.03)  # article AE-II: larger by sqrt(size)


def test_the_share_within_all_intervals_is_the_product_only_for_independent_components():
    independent = own_distributions(GAUSSIAN)(20_000, 1)
    tied = np.repeat(GAUSSIAN[:, :1], 4, axis=1)
    for vectors, same in ((independent, True), (tied, False)):
        each, together = hit_test(vectors, components(vectors), 1.0)
        assert each.shape == (4,) and (abs(together - each.prod()) < 0.02) == same
        assert same or together > each.prod() + 0.2


@every_method
def test_a_method_draws_as_many_vectors_as_asked_for_and_the_seed_decides(method):
    draw = method(GAUSSIAN[:500])
    first, same, other = (draw(50, seed) for seed in (1, 1, 2))
    assert first.shape == (50, 4) and first.dtype == np.float32
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("method", [same_vectors, own_gaussians, own_distributions, full_covariance, gaussian_mixture])
def test_methods_keep_mean_and_deviation_of_each_component(method):
    drawn = method(GAUSSIAN)(20_000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), CENTER, atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), GAUSSIAN.std(axis=0), rtol=0.12)


@pytest.mark.parametrize("method, kept", [
    (same_vectors, True), (full_covariance, True), (main_components, True), (gaussian_mixture, True),
    (own_gaussians, False), (own_distributions, False), (uniform_cube, False),
])  # fmt: skip
def test_only_some_methods_keep_what_components_have_to_do_with_each_other(method, kept):
    correlation = np.corrcoef(method(GAUSSIAN)(20_000, 3).T)[0, 1]
    assert np.corrcoef(GAUSSIAN.T)[0, 1] > 0.9
    assert correlation > 0.85 if kept else abs(correlation) < 0.05


def test_only_a_mixture_leaves_the_gap_between_two_heaps_empty():
    def in_the_gap(method):
        return (np.abs(method(TWO_HEAPS)(5000, 1)) < 1.5).all(axis=1).mean()

    assert in_the_gap(gaussian_mixture) < 0.005 and in_the_gap(full_covariance) > 0.1


def test_the_cube_without_a_width_has_vectors_as_long_as_the_real_ones():
    lengths = [np.linalg.norm(vectors, axis=1).mean() for vectors in (GAUSSIAN, uniform_cube(GAUSSIAN)(20_000, 1))]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.03)
    assert np.abs(uniform_cube(GAUSSIAN, 2.0)(5000, 1)).max() == pytest.approx(2, abs=0.01)


def test_the_prior_is_a_standard_gaussian():
    drawn = prior(5)(20_000, 1)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(5), atol=0.05)


def test_main_axes_are_the_eigenvectors_of_the_covariance():
    axes = main_axes(GAUSSIAN)
    values, vectors = np.linalg.eigh(np.cov(GAUSSIAN.T))
    np.testing.assert_allclose(axes.deviations**2, values[::-1], rtol=1e-3)
    np.testing.assert_allclose(np.abs(axes.directions @ vectors[:, ::-1]), np.eye(4), atol=0.01)
    np.testing.assert_allclose(np.cov(axes.coordinates(GAUSSIAN).T), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(axes.vectors(axes.coordinates(GAUSSIAN)), GAUSSIAN, atol=1e-3)


def test_as_many_main_axes_are_kept_as_hold_the_share_asked_for():
    shares = np.cumsum(main_axes(GAUSSIAN).deviations ** 2) / GAUSSIAN.var(axis=0).sum()
    for count in (1, 2, 3):
        assert len(main_axes(GAUSSIAN, shares[count - 1] - 0.001).deviations) == count
    flat = np.c_[GAUSSIAN[:, :2], np.full(len(GAUSSIAN), 7.0)]
    assert len(main_axes(flat).deviations) == 2  # nothing varies in the third


def test_coordinates_that_are_left_out_count_as_zero():
    axes = main_axes(GAUSSIAN)
    np.testing.assert_allclose(axes.vectors([[2.0]]), axes.vectors([[2.0, 0, 0, 0]]), atol=1e-6)


def test_walks_begin_and_end_where_they_are_asked_to_and_take_equal_steps():
    first, last = np.array([3.0, 0, 0]), np.array([0, 3.0, 0])
    for walk in (straight_walk, arc_walk):
        vectors = walk(first, last, 7)
        np.testing.assert_allclose(vectors[[0, -1]], [first, last], atol=1e-6)
        steps = np.linalg.norm(np.diff(vectors, axis=0), axis=1)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-4)


def test_an_arc_keeps_the_distance_that_a_straight_walk_loses():
    center, first, last = np.array([1.0, 1, 1]), np.array([4.0, 1, 1]), np.array([1.0, 4, 1])
    distances = [np.linalg.norm(vectors - center, axis=1) for vectors in
                 (arc_walk(first, last, 9, center), straight_walk(first, last, 9))]
    np.testing.assert_allclose(distances[0], 3, rtol=1e-5)
    assert distances[1].min() == pytest.approx(3 / np.sqrt(2), rel=1e-4)


def test_an_arc_between_vectors_of_one_direction_is_straight():
    np.testing.assert_allclose(arc_walk(np.ones(3), 2 * np.ones(3), 5), straight_walk(np.ones(3), 2 * np.ones(3), 5))


class Along:
    """An objective with a known summit: how far the image, here one pixel per component, goes along a direction."""

    def __init__(self, direction):
        self.direction = tf.constant(direction, tf.float32)

    def __call__(self, images):
        return tf.linalg.matvec(images[:, :, 0, 0], self.direction)


def test_a_climb_on_the_shell_of_a_linear_decoder_ends_where_paper_says():
    decoder = keras.Sequential([keras.Input((4,)), keras.layers.Reshape((4, 1, 1))])
    axes, direction = main_axes(GAUSSIAN), np.array([1.0, -2, 0.5, 0])
    climb = climb_decoded(Along(direction), decoder, axes, GAUSSIAN[:3], np.geomspace(1, 0.01, 60))
    slopes = axes.directions @ direction * axes.deviations  # the gradient in coordinates
    best = 2.0 * slopes / np.linalg.norm(slopes)  # length sqrt(4): root mean square 1
    np.testing.assert_allclose(axes.coordinates(climb.vectors), np.tile(best, (3, 1)), atol=0.02)
    np.testing.assert_allclose(climb.values, CENTER @ direction + 2 * np.linalg.norm(slopes), rtol=0.02)
    assert (climb.start_values < climb.values).all()


def test_a_map_is_climbed_through_a_decoder_and_the_vectors_stay_on_the_shell():
    cnn, model = tiny_cnn(), build_autoencoder(3, 0, (12, 12, 1), maps=(4, 6))
    latents = encode(model, RANDOM.standard_normal((60, 12, 12, 1)).astype(np.float32))
    objective = Channels(feature_extractor(cnn, "first"), [0, 1, 2, 3])
    axes = main_axes(latents)
    climb = climb_decoded(objective, halves(model).decoder, axes, latents[:4], np.geomspace(0.5, 0.02, 20))
    np.testing.assert_allclose(objective(decode(model, climb.vectors)), climb.values, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose((axes.coordinates(climb.vectors) ** 2).mean(axis=1), 1, rtol=1e-2)
    assert (climb.values >= climb.start_values - 1e-3).all() and (climb.values > climb.start_values + 0.01).any()


def test_the_shell_is_where_coordinates_have_root_mean_square_1():
    vectors = tf.constant(RANDOM.normal(0, 5, (6, 1, 1, 9)), tf.float32)
    on_it = onto_shell(vectors).numpy()
    np.testing.assert_allclose((on_it**2).mean(axis=(1, 2, 3)), 1, rtol=1e-5)
    assert (np.sum(on_it * vectors.numpy(), axis=3) > 0).all()
    np.testing.assert_array_equal(onto_shell(tf.zeros((1, 1, 1, 3))), np.zeros((1, 1, 1, 3)))


@pytest.mark.parametrize("use, sentence", [
    (lambda: components(np.zeros(5)), r"\(5,\)"), (lambda: components([[np.nan, 1.0]]), "NaN"),
    (lambda: components(np.zeros((0, 4))), "none"), (lambda: uniform_lengths(4, -1), "half_width"),
    (lambda: hit_test(GAUSSIAN[:, :3], components(GAUSSIAN)), "shape"), (lambda: prior(0), "size"),
    (lambda: main_axes(GAUSSIAN, 1.5), "share"), (lambda: main_axes(GAUSSIAN).coordinates(np.zeros((1, 3))), "shape"),
    (lambda: gaussian_mixture(GAUSSIAN[:50], parts=51), "parts"), (lambda: same_vectors(GAUSSIAN)(3, -1), "seed"),
    (lambda: straight_walk(np.zeros(3), np.zeros(3), 1), "steps"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(use, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        use()
    assert "\n" not in str(refusal.value)
