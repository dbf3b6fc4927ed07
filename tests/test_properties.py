"""What must hold for any input: Hypothesis looks for the one where it does not, the same ones in every run."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from helpers.activations import class_means, feature_extractor, mean_activations
from helpers.ascent import ascend, soften
from helpers.compare.matching import linear_cka, match_maps
from helpers.dreams import carve, carve_octaves, carve_tiles, same_map
from helpers.fluctuations import fluctuations, spectral_fluctuations
from helpers.geometry import any_size
from helpers.images import (
    contrast,
    cut_tiles,
    gray,
    join_tiles,
    local_moments,
    resize,
    standardize,
    to_display,
)
from helpers.ink import digit_from_ink, load_digit
from helpers.objectives import Channels, lp_norm, total_variation
from helpers.oips import create_oips
from helpers.photos import load_whole_photo, save_picture
from tests.conftest import tiny_cnn

QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("same", derandomize=True, deadline=None, max_examples=40, database=None,
                          suppress_health_check=QUIET)  # fmt: skip
settings.load_profile("same")
slow = settings(max_examples=6)

LARGE = float(np.float32(1e12))  # of what is much larger the square is no number in 32 bits any more
HUGE = float(np.float32(1e30))
SEEDS = st.integers(0, 2**32)
ANY = st.floats(-LARGE, LARGE, width=32)
UNIT = st.floats(0, 1, width=32)


def batches(values=ANY, channels=(1, 3)):
    shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from(channels))
    return shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=values))


@st.composite
def tilings(draw):
    """A photo with a size and a step of tiles that end at its edges."""
    parts = [draw(st.integers(1, 7)) for _ in "hw"]
    moves = [draw(st.integers(1, part)) for part in parts]
    shape = [part + move * draw(st.integers(0, 4)) for part, move in zip(parts, moves)]
    return draw(arrays(np.float32, (*shape, draw(st.sampled_from([1, 3]))), elements=UNIT)), tuple(parts), tuple(moves)


def finite(result):
    return all(np.isfinite(np.asarray(part)).all() for part in (result if isinstance(result, tuple) else (result,)))


@given(tilings())
def test_tiles_join_to_the_photo_they_were_cut_from(tiling):
    photo, size, step = tiling
    joined = join_tiles(cut_tiles(photo, size, step), photo.shape[:2], step)
    np.testing.assert_allclose(joined, photo, atol=1e-6)


@given(batches(st.integers(-512, 512)), st.sampled_from([2.0**-30, 2.0**-9, 1.0, 2.0**20]))
def test_a_standardized_image_has_mean_0_and_at_most_deviation_1_and_its_scale_does_not_matter(images, scale):
    once = standardize(images * scale)
    np.testing.assert_allclose(once.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    assert (once.std(axis=(1, 2, 3)) < 1.001).all()
    if scale >= 1:
        np.testing.assert_allclose(once[images.std(axis=(1, 2, 3)) > 1], standardize(images)[
            images.std(axis=(1, 2, 3)) > 1], atol=2e-3)  # fmt: skip


@given(batches(), st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 100))
def test_any_finite_images_give_finite_images(images, height, width, gain):
    for result in (standardize(images), contrast(images, gain=gain), to_display(images), soften(images),
                   resize(images, (height, width)), local_moments(images, min(height, width))):  # fmt: skip
        assert finite(result)
    assert to_display(images).min() >= 0 and to_display(images).max() <= 1
    if images.shape[-1] == 3:
        assert finite(gray(images))


@given(batches(st.floats(-10_000, 10_000, width=32)))
def test_any_finite_images_give_finite_penalties(images):
    assert finite(np.asarray(total_variation(images))) and finite(np.asarray(lp_norm(images)))


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=60), elements=UNIT))
def test_any_ink_gives_one_digit_or_one_sentence(ink):
    try:
        digit = digit_from_ink(ink)
    except ValueError as refusal:
        assert not ink.any() and "no ink" in str(refusal)
        return
    assert digit.shape == (1, 28, 28, 1) and finite(digit)
    np.testing.assert_allclose([digit.mean(), digit.std()], [0, 1], atol=1e-3)


@given(batches(st.floats(-HUGE, HUGE, width=32), channels=(2, 4)), st.data())
def test_how_alike_two_layers_are_is_a_number_from_0_to_1(first, data):
    second = data.draw(arrays(np.float32, first.shape, elements=st.floats(-HUGE, HUGE, width=32)))
    assert -1e-4 <= linear_cka(first, second) <= 1 + 1e-4
    table = match_maps(first, second).table
    assert finite(table) and np.abs(table).max() <= 1 + 1e-6


@given(st.integers(1, 5), SEEDS, st.integers(3, 20), st.floats(-9, 9), st.integers(1, 4))
def test_an_image_of_a_seed_is_the_same_however_many_are_made(few, seed, size, exponent, more):
    for make in (lambda n: fluctuations(n, {2: 0.3, 3: 0.7}, seed, size),
                 lambda n: spectral_fluctuations(n, exponent, seed, size)):  # fmt: skip
        made = make(few + more)
        assert finite(made) and made.std() > 0.9
        np.testing.assert_allclose(make(few), made[:few], atol=2e-4)


@given(SEEDS, st.integers(1, 1000))
def test_another_seed_gives_other_images(seed, step):
    one, other = (fluctuations(4, {7: 0.5, 28: 0.5}, s).ravel() for s in (seed, seed + step))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.3


@given(SEEDS, st.floats(0.1, 10))
def test_the_grids_of_a_fluctuation_are_drawn_independently(seed, weight):
    """The sum of two grids alone, weighted, is what both give together: neither changes what the other draws."""
    parts = fluctuations(3, {3: 1}, seed, 12) + weight * fluctuations(3, {6: 1}, seed, 12)
    np.testing.assert_allclose(fluctuations(3, {3: 1, 6: weight}, seed, 12), standardize(parts), atol=1e-3)


@given(photo=tilings().map(lambda tiling: tiling[0]))
def test_a_saved_picture_comes_back(tmp_path, photo):
    path = tmp_path / "picture.png"
    path.unlink(missing_ok=True)
    save_picture(path, photo)
    np.testing.assert_allclose(load_whole_photo(path, 100), photo.repeat(3 // photo.shape[2], axis=2), atol=0.5 / 255)


@given(arrays(np.float32, (6, 5), elements=UNIT))
def test_a_saved_digit_comes_back(tmp_path, ink):
    if not ink.any():
        return
    digit, path = digit_from_ink(ink), tmp_path / "digit.png"
    path.unlink(missing_ok=True)
    save_picture(path, to_display(digit)[0])
    np.testing.assert_allclose(to_display(load_digit(path)), to_display(digit), atol=0.51 / 255)


@given(arrays(np.float32, (7, 3), elements=ANY), st.lists(st.integers(-1, 3), min_size=5, max_size=8))
def test_class_means_are_finite_or_refused_in_one_sentence(values, labels):
    try:
        means = class_means(values, labels, classes=3)
    except ValueError as refusal:
        assert "\n" not in str(refusal) and (len(labels) != 7 or set(labels) != {0, 1, 2})
        return
    assert means.shape == (3, 3) and finite(means)


CNN = tiny_cnn()
FEATURES = feature_extractor(CNN, "second")
WIDE = feature_extractor(any_size(tiny_cnn()), "second")  # sees 28 pixels as well


@settings(max_examples=25)
@example(np.full((2, 12, 12, 1), 1e38, np.float32))  # finite activations whose sum is not
@given(arrays(np.float32, (2, 12, 12, 1), elements=st.floats(width=32)))
def test_any_images_give_finite_activations_and_climbs_or_one_sentence(images):
    for work in (lambda: mean_activations(FEATURES, images),
                 lambda: ascend(Channels(FEATURES, [0, 1]), images, [0.1, 0.1]).images):  # fmt: skip
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                result = work()
        except ValueError as refusal:
            assert "\n" not in str(refusal)
            assert not np.isfinite(images).all() or np.abs(images).max() > LARGE
        else:
            assert finite(result)


@pytest.mark.parametrize("dream", [
    lambda photo, steps: carve(Channels(WIDE, [1]), photo, passes=2, step_sizes=steps),
    lambda photo, steps: carve_tiles(same_map(WIDE, 1), photo, tiles=1, passes=2, step_sizes=steps),
    lambda photo, steps: carve_octaves(Channels(WIDE, [1]), photo, octaves=1, step_sizes=steps),
], ids=["carve", "tiles", "octaves"])  # fmt: skip
@slow
@given(st.tuples(st.integers(28, 40), st.integers(28, 40), st.sampled_from([1, 3])), SEEDS)
def test_without_steps_a_dream_is_the_photo(dream, shape, seed):
    photo = np.random.default_rng(seed).random(shape).astype(np.float32)
    for made in dream(photo, []):
        np.testing.assert_allclose(made, photo, atol=1e-5)


@slow
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 100))
def test_an_oip_is_the_same_alone_and_in_any_company(indices, seed):
    options = {"seed": seed, "step_sizes": np.geomspace(1, 0.1, 6), "candidates": 16}
    together = create_oips(CNN, "second", indices, **options)
    alone = create_oips(CNN, "second", indices[-1:], **options)
    np.testing.assert_allclose(together.images[-1], alone.images[0], atol=1e-3)
    np.testing.assert_array_equal(together.indices, indices)
