"""matching: maps find their partners whatever the order, and layers their like whatever the axes."""

from itertools import permutations

import numpy as np
import pytest

from helpers.compare.matching import debiased_cka, linear_cka, match_maps


@pytest.fixture
def activations():
    return np.random.default_rng(0).standard_normal((60, 2, 2, 6))


def noisy(activations, share, seed=1):
    return activations + share * np.random.default_rng(seed).standard_normal(activations.shape)


def test_shuffled_maps_find_back_to_each_other(activations):
    order = np.array([3, 0, 5, 1, 4, 2])
    pairs = match_maps(activations, noisy(activations, 0.2)[..., order])
    np.testing.assert_array_equal(order[pairs.partners], range(6))
    assert (pairs.correlations > 0.9).all() and pairs.identity.mean() < 0.5 and abs(pairs.chance) < 0.3


def test_the_table_holds_the_correlations_of_numpy_and_no_pairing_beats_the_match(activations):
    first, second = activations[..., :4], noisy(activations, 1.5)[..., [2, 5, 0, 1]]
    pairs = match_maps(first, second)
    table = np.corrcoef(first.reshape(-1, 4), second.reshape(-1, 4), rowvar=False)[:4, 4:]
    np.testing.assert_allclose(pairs.table, table, atol=1e-9)
    best = max(sum(table[row, column] for row, column in enumerate(way)) for way in permutations(range(4)))
    assert pairs.correlations.sum() == pytest.approx(best)


def test_scale_and_offset_of_a_map_do_not_count_but_its_sign_does(activations):
    changed = activations * [1, 2, 3, 4, 5, -6] + 7
    np.testing.assert_allclose(np.diag(match_maps(activations, changed).table), [1, 1, 1, 1, 1, -1], atol=1e-6)


def test_a_silent_map_correlates_with_nothing(activations):
    silent = activations.copy()
    silent[..., 2] = 0.3
    assert (match_maps(silent, activations).table[2] == 0).all()


def test_of_more_maps_than_partners_the_rest_stays_single(activations):
    pairs = match_maps(activations, activations[..., [4, 1]])
    assert pairs.partners.tolist() == [-1, 1, -1, -1, 0, -1]
    np.testing.assert_array_equal(np.isnan(pairs.correlations), pairs.partners < 0)


def test_a_layer_is_like_itself_rotated_and_scaled():
    rows = np.random.default_rng(2).standard_normal((80, 5))
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))
    assert linear_cka(rows, rows) == pytest.approx(1, abs=1e-5)
    assert linear_cka(rows, 3 * rows @ rotation + 1) == pytest.approx(1, abs=1e-5)
    assert linear_cka(rows, rows * [9, 1, 1, 1, 1]) < 0.95  # a stretch of single axes does count


def test_cka_is_the_formula_of_the_paper():
    first, second = np.random.default_rng(4).standard_normal((2, 30, 4))
    second = np.c_[second, first[:, :2] ** 2]
    x, y = first - first.mean(axis=0), second - second.mean(axis=0)
    expected = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert linear_cka(first, second) == pytest.approx(expected, rel=1e-4)
    assert linear_cka(second, first) == pytest.approx(expected, rel=1e-4)


def test_unrelated_layers_have_little_in_common_and_constant_ones_nothing():
    first, second = np.random.default_rng(5).standard_normal((2, 500, 3))
    assert linear_cka(first, second) < 0.05
    assert linear_cka(first, np.ones((500, 3))) == 0


@pytest.mark.parametrize(
    "first, second", [((4, 2, 2, 3), (5, 2, 2, 3)), ((4, 2, 2, 3), (4, 3, 2, 3)), ((0, 3), (0, 3))]
)
def test_activations_of_other_images_or_places_cannot_be_matched(first, second):
    with pytest.raises(ValueError, match="not of the same images"):
        match_maps(np.zeros(first), np.zeros(second))


def test_layers_of_other_sizes_can_be_compared_but_not_of_other_images():
    assert 0 <= linear_cka(np.random.default_rng(6).random((9, 2, 2, 3)), np.random.default_rng(7).random((9, 5))) <= 1
    with pytest.raises(ValueError, match="not of the same images"):
        linear_cka(np.zeros((9, 2)), np.zeros((8, 2)))


@pytest.mark.parametrize("compare", [linear_cka, match_maps])
def test_nan_is_refused_and_never_a_result(compare):
    activations = np.random.default_rng(8).random((9, 5)).astype(np.float32)
    broken = activations.copy()
    broken[3, 2] = np.nan
    for first, second in ((activations, broken), (broken, activations)):
        with pytest.raises(ValueError, match="activations hold NaN or infinite values"):
            compare(first, second)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_how_alike_does_not_depend_on_how_strong(scale):
    first, second = np.random.default_rng(9).random((2, 40, 5)).astype(np.float32)
    assert linear_cka(first, np.float32(scale) * second) == pytest.approx(linear_cka(first, second), abs=1e-4)
    np.testing.assert_allclose(match_maps(first, np.float32(scale) * second).table, match_maps(first, second).table,
                               atol=1e-4)  # fmt: skip


def test_debiased_cka_of_layers_with_nothing_in_common_is_0_on_average_where_plain_cka_is_not():
    rng = np.random.default_rng(0)
    pairs = [(rng.standard_normal((20, 60)), rng.standard_normal((20, 40))) for _ in range(100)]
    debiased = np.array([debiased_cka(*pair) for pair in pairs])
    assert abs(debiased.mean()) < 3 * debiased.std() / 10 + 0.01 and min(linear_cka(*pair) for pair in pairs) > 0.4


def test_debiased_cka_is_1_for_the_same_layer_turned_scaled_and_moved_and_needs_four_images():
    rng = np.random.default_rng(1)
    layer = rng.standard_normal((30, 8))
    turn, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    assert debiased_cka(layer, 3 * layer @ turn + 5) == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match="3 images are too few"):
        debiased_cka(layer[:3], layer[:3])
