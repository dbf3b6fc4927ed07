"""study: its recipes are all different, and what is measured on a network is a flat record of finite numbers."""

import collections
import pickle

import numpy as np
import pytest

from experiments import study
from experiments.study import KINDS, Pair, compare, european, in_turns, kind_of, measure, network, pairs, parts, stored
from experiments.sweeps import key_of
from helpers.compare import measures


@pytest.fixture
def small(monkeypatch):
    """The same study, a hundredth of the work."""
    for name, value in {"LOOKED_AT": 120, "ATTACKED": 12, "COMPARED": 60, "EVERY": 32,
                        "COOLING": study.COOLING[::10], "BRUSH": study.BRUSH[:3]}.items():  # fmt: skip
        monkeypatch.setattr(study, name, value)
    for name in ("STEPS", "AGAIN"):
        monkeypatch.setattr(measures, name, getattr(measures, name)[::5])


def test_all_recipes_differ_and_each_belongs_to_one_kind():
    recipes = in_turns(KINDS)
    assert len(recipes) == len(set(recipes)) == sum(map(len, KINDS.values())) > 60
    assert collections.Counter(map(kind_of, recipes)) == {kind: len(given) for kind, given in KINDS.items()}
    assert all(recipe.digits * recipe.epochs in (60_000, 60_500, 0) for recipe in recipes)  # equal budgets


def test_the_first_half_of_the_list_is_half_of_every_kind():
    half = collections.Counter(map(kind_of, in_turns(KINDS)[: sum(map(len, KINDS.values())) // 2]))
    assert all(abs(half[kind] - len(recipes) / 2) <= 1 for kind, recipes in KINDS.items())


def test_rows_of_networks_and_pairs_have_keys_of_their_own_and_can_travel():
    for recipes, function in parts("weights").values():
        assert len({key_of(stored(recipe)) for recipe in recipes}) == len(recipes)
        assert pickle.loads(pickle.dumps(list(recipes))) == list(recipes) and pickle.dumps(function)
    assert all(pair.first != pair.second for pair in pairs(KINDS))


def test_the_record_of_a_network_is_flat_and_finite(small):
    record = measure(KINDS["untrained"][0])
    numbers = {name: value for name, value in record.items() if np.ndim(value) == 0 and name != "kind"}
    assert record["kind"] == "untrained" and all(np.isfinite(value) for value in numbers.values()), numbers
    shares = [value for name, value in numbers.items() if name.startswith(("accuracy", "attacked", "silent", "fine"))]
    assert len(shares) > 10 and all(0 <= share <= 1 for share in shares)
    assert record["patterns"].dtype == np.uint8 and record["summit_counts"].max() <= 8


def test_a_network_and_itself_are_alike_in_every_layer_and_two_random_ones_less(small, tmp_path):
    first, second = KINDS["untrained"][:2]
    same, other = (compare(Pair(first, one), tmp_path) for one in (first, second))
    assert len(list(tmp_path.iterdir())) == 2  # kept, so that none is made twice
    for own, kept in zip(network(first).get_weights(), network(first, tmp_path).get_weights(), strict=True):
        np.testing.assert_array_equal(own, kept)
    for layer in ("Conv2D_1", "Conv2D_2", "Conv2D_3"):
        assert same[f"cka_{layer}"] == pytest.approx(1, abs=1e-4) and other[f"cka_{layer}"] < 0.999
        assert same[f"matched_{layer}"] > other[f"matched_{layer}"] > other[f"identity_{layer}"]


def test_what_a_network_reads_in_other_hands_is_counted_for_all_test_digits(monkeypatch):
    images, labels = study.load_digits("test")
    few = np.flatnonzero(np.isin(labels, (1, 7)))[:12]
    monkeypatch.setattr(study, "load_digits", lambda split, dataset: (images[few], labels[few]))
    record = european(KINDS["untrained"][0])
    assert record.pop("kind") == "untrained" and {"7 bar 8", "7 stray 8", "1 upstroke 8", "1 stray 8"} <= set(record)
    assert all(counts.sum() == (labels[few] == int(what[0])).sum() for what, counts in record.items())
