"""oips: every map that can be reached is reached, the same way alone and among others, and how is said truly."""

import itertools

import keras
import numpy as np
import pytest

from helpers import oips
from helpers.activations import feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import report_steps, soften
from helpers.base.interrupts import stoppable
from helpers.fluctuations import fluctuations
from helpers.models import build_padded_cnn
from helpers.objectives import Channels
from helpers.oips import create_oips, evolve_scales, find_precursors, grow_oips, join_oips, layer_zoo
from tests.conftest import tiny_cnn


@pytest.fixture(scope="module")
def shy():
    """A CNN whose map 0 answers to anything, 1 to few starts, 2 to none but can be woken, and 3 never."""
    model = tiny_cnn(seed=3, maps=4)
    kernel, bias = model.get_layer("second").get_weights()
    answers = feature_extractor(tiny_cnn(seed=3, maps=4), "second")(fluctuations(256, {3: 1, 7: 1}, 4, size=12))
    loudest = np.asarray(answers).max(axis=(1, 2))  # (256, 4)
    bias[0], bias[1] = 5, -np.quantile(loudest[:, 1], 0.95)
    bias[2] = -1.1 * loudest[:, 2].max()
    kernel[..., 3], bias[3] = 0, -1
    model.get_layer("second").set_weights([kernel, bias])
    return model


def test_each_map_gets_the_verdict_it_deserves(shy):
    result = create_oips(shy, "second", [0, 1, 2, 3], seed=4)
    assert result.how.tolist() == ["start", "precursor", "pre-activation", "unreachable"]
    assert (result.values[:3] > 0).all() and result.values[3] == 0


def test_the_values_are_the_mean_activations_of_the_images(cnn):
    result = create_oips(cnn, "second", [1, 4])
    answers = mean_activations(feature_extractor(cnn, "second"), result.images)
    np.testing.assert_allclose(result.values, answers[[0, 1], [1, 4]], rtol=1e-5)
    np.testing.assert_allclose(result.ascent.values[-1], result.values)
    np.testing.assert_array_equal(result.ascent.images, result.images)


def test_an_oip_answers_more_than_any_of_500_random_images(cnn):
    result = layer_zoo(cnn, "second")
    answers = mean_activations(feature_extractor(cnn, "second"), fluctuations(500, {3: 1, 12: 1}, 0, size=12))
    reached = result.how != "unreachable"
    assert reached.any() and (result.values >= answers.max(axis=0))[reached].all()


def test_a_map_has_the_same_oip_alone_among_others_and_in_any_order(shy):
    together = layer_zoo(shy, "second", seed=4)
    other_way = create_oips(shy, "second", [2, 0], seed=4)
    np.testing.assert_allclose(other_way.images, together.images[[2, 0]], atol=1e-3)
    assert create_oips(shy, "second", [1], seed=4).how == together.how[1]


def test_maps_start_from_those_shared_candidates_that_they_answer_to_most(cnn):
    made = create_oips(cnn, "second", [3, 1], seed=6, starts=1, reports=report_steps)
    before, candidates = pre_activation_extractor(cnn, "second"), fluctuations(256, oips.AMPLITUDES, 6, size=12)
    values = np.asarray(before(candidates))
    answers = np.maximum(values, 0.2 * values).mean(axis=(1, 2))
    np.testing.assert_allclose(made.ascent.frames[0], candidates[answers.argmax(axis=0)[[3, 1]]], atol=1e-5)


def test_another_seed_starts_elsewhere_and_none_begins_where_its_neighbor_goes_on(cnn):
    first, second = (fluctuations(256, oips.AMPLITUDES, seed).reshape(256, -1) for seed in (0, 1))
    cosines = first @ second.T / 784
    assert cosines.max() < 0.99
    starts = [create_oips(cnn, "second", [1], seed=seed, reports=report_steps).ascent.frames[0] for seed in (0, 1)]
    assert np.abs(starts[0] - starts[1]).mean() > 0.3


def test_only_the_last_frame_is_kept_unless_more_are_asked_for(cnn):
    plain, watched = create_oips(cnn, "second", [0, 1]), create_oips(cnn, "second", [0, 1], reports=report_steps)
    assert plain.ascent.steps.tolist() == [40] and plain.ascent.frames.shape == (1, 2, 12, 12, 1)
    assert watched.ascent.steps.tolist() == [0, 1, 2, 4, 8, 16, 32, 40] and watched.ascent.values.shape == (8, 2)
    np.testing.assert_allclose(watched.images, plain.images, atol=1e-3)
    assert create_oips(cnn, "second", [0], reports=range).ascent.steps.tolist() == list(range(41))


def test_the_zoo_shows_every_map_once(cnn):
    result = layer_zoo(cnn, "first")
    assert result.indices.tolist() == [0, 1, 2, 3] and result.images.shape == (4, 12, 12, 1)


def test_the_zoo_of_the_articles_other_model_and_of_color_images_is_complete():
    padded = layer_zoo(build_padded_cnn(0), "Conv2D_1", starts=1, step_sizes=[1, 0.3, 0.1])
    color = layer_zoo(tiny_cnn(channels=3), "first", starts=1, step_sizes=[1, 0.3, 0.1])
    assert padded.images.shape == (24, 28, 28, 1) and color.images.shape == (4, 12, 12, 3)


def test_softened_oips_are_calmer(cnn):
    raw, calm = layer_zoo(cnn, "second"), layer_zoo(cnn, "second", precondition=soften)
    assert np.square(np.diff(calm.images, axis=1)).mean() < np.square(np.diff(raw.images, axis=1)).mean()


def test_color_input_gets_a_fluctuation_for_every_channel():
    start = create_oips(tiny_cnn(channels=3), "second", [0, 1], reports=report_steps).ascent.frames[0]
    assert start.shape == (2, 12, 12, 3)
    assert abs(np.corrcoef(start[0, ..., 0].ravel(), start[0, ..., 1].ravel())[0, 1]) < 0.9


def test_a_precursor_is_the_candidate_with_the_strongest_answer(cnn):
    features, candidates = feature_extractor(cnn, "second"), fluctuations(40, {3: 1, 7: 1}, 2, size=12)
    chosen = find_precursors(features, [3, 0], candidates)
    answers = mean_activations(features, candidates)
    np.testing.assert_array_equal(chosen, candidates[[answers[:, 3].argmax(), answers[:, 0].argmax()]])


def test_scales_are_added_one_after_the_other(cnn):
    stages = [(3, 1, np.full(8, 0.05)), (7, 0.5, np.full(8, 0.05)), (12, 0.2, np.full(16, 0.05))]
    record = evolve_scales(Channels(feature_extractor(cnn, "second"), [0, 1]), 2, stages, seed=0, size=12)
    np.testing.assert_allclose(record.frames[0], fluctuations(2, {3: 1}, 0, size=12), atol=1e-4)
    assert record.steps[-1] == 32 and record.frames.shape[1:] == (2, 12, 12, 1)
    assert (record.values[-1] > record.values[0]).all()


def test_an_interrupt_keeps_the_oips_as_they_are(cnn, stop_at_the_third_block):
    result = create_oips(cnn, "second", [0, 1])
    assert result.ascent.stopped and result.images.shape == (2, 12, 12, 1)
    assert 0 < result.ascent.steps[-1] < len(oips.COOLING)


def test_a_zoo_grows_group_by_group_and_whoever_leaves_keeps_what_is_made(cnn):
    groups, whole = [], layer_zoo(cnn, "second", seed=2)
    for group in grow_oips(cnn, "second", range(5), seed=2, at_once=2):
        groups.append(group)
        if len(groups) == 2:
            break
    joined = join_oips(groups)
    assert [len(group.indices) for group in groups] == [2, 2] and joined.indices.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(joined.images, whole.images[:4], atol=1e-3)
    np.testing.assert_allclose(joined.ascent.values[-1], whole.values[:4], rtol=1e-3)
    np.testing.assert_array_equal(joined.how, whole.how[:4])


def climbs_of(monkeypatch, stop_at=None):
    """The numbers of images of all climbs to come; somebody presses Ctrl-C before the one with number `stop_at`."""
    sizes, plain = [], oips.ascend

    def counting(objective, images, *others, **options):
        if len(sizes) == stop_at:
            raise KeyboardInterrupt
        sizes.append(len(images))
        return plain(objective, images, *others, **options)

    monkeypatch.setattr(oips, "ascend", counting)
    return sizes


def test_an_interrupt_between_two_groups_keeps_the_groups_that_are_done(cnn, monkeypatch):
    whole = create_oips(cnn, "second", range(4))
    climbs_of(monkeypatch, stop_at=6)  # three climbs for each group
    result = layer_zoo(cnn, "second", at_once=2)
    assert result.indices.tolist() == [0, 1, 2, 3] and result.ascent.stopped
    np.testing.assert_allclose(result.images, whole.images, atol=1e-3)


def test_an_interrupt_before_the_first_group_is_passed_on(cnn, monkeypatch):
    climbs_of(monkeypatch, stop_at=0)
    with pytest.raises(KeyboardInterrupt):
        layer_zoo(cnn, "second")
    with stoppable(lambda: True), pytest.raises(KeyboardInterrupt):
        next(grow_oips(cnn, "second", [0]))


@pytest.mark.parametrize("starts, at_once, most", [(1, 3, 3), (4, 5, 12), (7, 5, 7), (20, 5, 12)])
def test_a_group_has_no_more_images_than_the_memory_allows(cnn, monkeypatch, starts, at_once, most):
    features = feature_extractor(cnn, "second")
    monkeypatch.setattr(oips, "MEMORY", 12.5 * oips.activation_bytes(features))
    sizes = climbs_of(monkeypatch)
    result = layer_zoo(cnn, "second", starts=starts, step_sizes=[1, 0.5, 0.1], at_once=at_once)
    assert max(sizes) == most and result.indices.tolist() == [0, 1, 2, 3, 4]


def test_activation_bytes_are_four_for_every_node_up_to_the_layer(cnn):
    nodes = 12 * 12 + 10 * 10 * 4 + 5 * 5 * 4 + 3 * 3 * 5  # image, first, pool, second
    assert oips.activation_bytes(feature_extractor(cnn, "second")) == 4 * nodes


def test_the_readers_model_stays_as_it_was(cnn):
    before, config = cnn.get_weights(), cnn.get_config()
    layer_zoo(cnn, "second")
    assert cnn.get_config() == config
    for old, new in zip(before, cnn.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("layer, indices, message", [
    ("Second", [0], "layer 'Second' not found; this model has first, pool, second"),
    ("second", [5], "map index 5 does not exist"),
    ("second", [-1], "map index -1 does not exist"),
    ("second", [], "whole number"),
])  # fmt: skip
def test_what_does_not_exist_is_refused(cnn, layer, indices, message):
    with pytest.raises(ValueError, match=message):
        create_oips(cnn, layer, indices)


@pytest.mark.parametrize("layer", ["output", "flat"])
def test_a_layer_without_maps_is_refused_and_the_others_are_named(cnn, layer):
    with pytest.raises(ValueError, match=f"layer '{layer}' has no feature maps.*are first, second"):
        layer_zoo(cnn, layer)


@pytest.mark.parametrize("options", [
    {"starts": 0}, {"starts": 2.5}, {"starts": 3, "candidates": 2}, {"at_once": 0}, {"seed": -1}, {"seed": None},
    {"amplitudes": {3: 0}}, {"digits": np.zeros((2, 12, 12))},
], ids=str)  # fmt: skip
def test_options_that_make_no_sense_are_refused_before_anything_is_made(cnn, options, monkeypatch):
    sizes = climbs_of(monkeypatch)
    with pytest.raises(ValueError, match=f"{[*options][-1]}|candidates"):
        layer_zoo(cnn, "second", **options)
    assert not sizes


def test_a_model_with_two_inputs_is_refused():
    pictures = [keras.Input((12, 12, 1)), keras.Input((12, 12, 1))]
    both = keras.layers.Conv2D(2, 3, name="joined")(keras.layers.Add()(pictures))
    with pytest.raises(ValueError, match="2 inputs"):
        oips.layer_zoo(keras.Model(pictures, both), "joined")


@pytest.mark.parametrize("indices", [2, (index for index in (4, 0)), np.array([3], np.int64), [1, 1]])
def test_maps_may_be_given_in_any_way(cnn, indices):
    result = create_oips(cnn, "second", indices)
    assert len(result.values) == len(result.indices) == len(result.how) >= 1


def test_a_precursor_for_no_map_is_refused(cnn):
    with pytest.raises(ValueError, match="map index -1"):
        find_precursors(feature_extractor(cnn, "second"), [-1], fluctuations(3, {3: 1}, 0, size=12))


@pytest.mark.parametrize("step_sizes", [[1.0], [], 0.1, [1, 1, 1, -1]])
def test_steps_that_do_not_make_three_stages_are_refused_at_once(cnn, step_sizes):
    with pytest.raises(ValueError, match="step_sizes"):
        create_oips(cnn, "second", [0], step_sizes=step_sizes)


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_models_of_another_precision_are_climbed_too(dtype):
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(3, 3, activation="relu", name="fused", dtype=dtype),
            keras.layers.Conv2D(3, 3, name="bare", dtype=dtype),
            keras.layers.ReLU(dtype=dtype),
        ]
    )
    for layer in ("fused", "bare"):
        assert create_oips(model, layer, [0, 2]).values.shape == (2,)


def test_the_zoo_says_which_maps_a_digit_excites(shy):
    digits = fluctuations(40, {3: 1, 7: 1}, 8, size=12)
    zoo = layer_zoo(shy, "second", digits=digits)
    activations = np.asarray(feature_extractor(shy, "second")(digits))
    np.testing.assert_array_equal(zoo.excited, (activations > 0).any(axis=(0, 1, 2)))
    assert zoo.excited[0] and not zoo.excited[3] and len(layer_zoo(shy, "second").excited) == 0


SHORT = np.full(3, 1e-4)  # a climb that leads nowhere: the starts decide


def stubborn(exciting):
    """A network with one map that only so many of 256 candidates excite, and these by a single node among low ones."""
    pattern = np.random.default_rng(2).standard_normal((3, 3))
    kernel = np.zeros((7, 7, 1, 2), np.float32)
    kernel[:3, :3, 0, 0] = kernel[4:, 4:, 0, 1] = pattern - pattern.mean()
    first = keras.layers.Conv2D(2, 7, activation="relu", name="first")
    second = keras.layers.Conv2D(1, 1, activation="relu", name="second")
    model = keras.Sequential([keras.Input((12, 12, 1)), first, second])
    first.set_weights([kernel, np.zeros(2)])
    second.set_weights([np.array([1.0, -5.0]).reshape(1, 1, 2, 1), np.zeros(1)])
    peaks = feature_extractor(model, "second").answers(fluctuations(256, oips.AMPLITUDES, 0, 12)).max(axis=(1, 2, 3))
    second.set_weights([second.get_weights()[0], -np.sort(peaks)[[-exciting - 1, -exciting]].mean()[np.newaxis]])
    return model


def test_a_map_that_some_candidate_excites_is_never_called_unreachable():
    model = stubborn(exciting=6)
    answers = mean_activations(feature_extractor(model, "second"), fluctuations(256, oips.AMPLITUDES, 0, 12))
    assert (answers > 0).sum() == 6 and answers[0] == 0
    found = create_oips(model, "second", [0], step_sizes=SHORT, reports=range)
    assert found.how == "precursor" and found.values[0] >= answers.max() > 0
    np.testing.assert_allclose(mean_activations(feature_extractor(model, "second"), found.images)[0], found.values)
    assert found.ascent.steps.tolist() == [0, 1, 2, 3] and (found.ascent.values > 0).all()


def test_the_worst_that_is_returned_is_the_best_start(cnn):
    """Turns by a right angle lead away from any start: there nothing is climbed."""
    wild = {"step_sizes": np.full(3, np.pi / 2), "starts": 8, "candidates": 8}
    found = layer_zoo(cnn, "second", **wild)
    starts = mean_activations(feature_extractor(cnn, "second"), fluctuations(8, oips.AMPLITUDES, 0, 12))
    assert (found.values >= starts.max(axis=0) - 1e-6).all() and np.isclose(found.values, starts.max(axis=0)).any()
    np.testing.assert_allclose(found.values, found.ascent.values[-1])


def test_a_second_try_that_is_stopped_keeps_the_start_that_excites_the_map():
    model, asked = stubborn(exciting=6), []
    with stoppable(lambda: bool(asked.append(1))):
        whole = create_oips(model, "second", [0], step_sizes=SHORT)
    stages = 3  # of one climb, and the last three questions are those of the second try
    for left in range(1, stages + 1):
        count = itertools.count()
        with stoppable(lambda left=left, count=count: next(count) >= len(asked) - left):
            found = create_oips(model, "second", [0], step_sizes=SHORT, reports=range)
        assert found.ascent.stopped and found.how == "precursor" and 0 < found.values[0] <= whole.values[0] + 1e-6
