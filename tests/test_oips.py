"""oips: every map that can be reached is reached, the same way alone and among others, and how is said truly."""

import keras
import numpy as np
import pytest

from helpers import oips
from helpers.activations import feature_extractor, mean_activations
from helpers.ascent import soften
from helpers.fluctuations import fluctuations
from helpers.models import build_padded_cnn
from helpers.objectives import Channels
from helpers.oips import create_oips, evolve_scales, find_precursors, layer_zoo, text_bar
from tests.conftest import tiny_cnn


@pytest.fixture(scope="module")
def shy():
    """A CNN whose map 0 answers to anything, 1 to few starts, 2 to none but can be woken, and 3 never."""
    model = tiny_cnn(seed=3, maps=4)
    kernel, bias = model.get_layer("second").get_weights()
    answers = feature_extractor(tiny_cnn(seed=3, maps=4), "second")(fluctuations(256, {3: 1, 7: 1}, 3, size=12))
    loudest = np.asarray(answers).max(axis=(1, 2))  # (256, 4)
    bias[0], bias[1] = 5, -0.98 * loudest[:, 1].max()
    bias[2] = -1.1 * loudest[:, 2].max()
    kernel[..., 3], bias[3] = 0, -1
    model.get_layer("second").set_weights([kernel, bias])
    return model


def test_each_map_gets_the_verdict_it_deserves(shy):
    result = create_oips(shy, "second", [0, 1, 2, 3], seed=2)
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


def test_another_seed_starts_elsewhere(cnn):
    first, second = (create_oips(cnn, "second", [1], seed=seed).ascent.frames[0] for seed in (0, 1))
    assert np.abs(first - second).mean() > 0.3


def test_steps_are_counted_through_the_stages(cnn):
    steps = create_oips(cnn, "second", [0, 1]).ascent.steps
    assert steps[0] == 0 and steps[-1] == len(oips.COOLING) and (np.diff(steps) > 0).all()


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
    result = create_oips(tiny_cnn(channels=3), "second", [0, 1])
    start = result.ascent.frames[0]
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
    assert result.ascent.steps[-1] < len(oips.COOLING) and len(stop_at_the_third_block) < 25


def test_an_interrupt_between_two_groups_keeps_the_groups_that_are_done(cnn, monkeypatch):
    monkeypatch.setattr(oips, "MAPS_AT_ONCE", 2)

    def stop_at_the_third(groups):
        yield from groups[:2]
        raise KeyboardInterrupt

    result = layer_zoo(cnn, "second", progress=stop_at_the_third)
    assert result.indices.tolist() == [0, 1, 2, 3] and result.ascent.stopped
    np.testing.assert_allclose(result.images, create_oips(cnn, "second", range(4)).images, atol=1e-3)


def test_an_interrupt_before_the_first_group_is_passed_on(cnn):
    def stop(groups):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        layer_zoo(cnn, "second", progress=stop)


@pytest.mark.parametrize("starts, most", [(1, 3), (4, 12), (7, 7)])
def test_no_more_images_climb_at_once_than_allowed_whatever_the_number_of_maps(cnn, monkeypatch, starts, most):
    monkeypatch.setattr(oips, "MAPS_AT_ONCE", 3)
    monkeypatch.setattr(oips, "IMAGES_AT_ONCE", 12)
    sizes, plain = [], oips.ascend

    def counting(objective, images, *others, **options):
        sizes.append(len(images))
        return plain(objective, images, *others, **options)

    monkeypatch.setattr(oips, "ascend", counting)
    result = layer_zoo(cnn, "second", starts=starts, step_sizes=[1, 0.5, 0.1])
    assert max(sizes) == most <= 3 * starts and result.indices.tolist() == [0, 1, 2, 3, 4]


def test_the_groups_do_not_show_in_the_result(cnn, monkeypatch):
    together = layer_zoo(cnn, "second", seed=2)
    monkeypatch.setattr(oips, "MAPS_AT_ONCE", 2)
    in_groups = layer_zoo(cnn, "second", seed=2)
    np.testing.assert_allclose(in_groups.images, together.images, atol=1e-3)
    np.testing.assert_array_equal(in_groups.how, together.how)


def test_progress_sees_every_group_and_is_silent_unless_asked(cnn, monkeypatch, capsys):
    monkeypatch.setattr(oips, "MAPS_AT_ONCE", 2)
    layer_zoo(cnn, "second", step_sizes=[1, 0.5, 0.1])
    assert capsys.readouterr().out == ""
    layer_zoo(cnn, "second", step_sizes=[1, 0.5, 0.1], progress=text_bar)
    counts = [line.split("#")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert counts == ["2 of 5 maps", "4 of 5 maps", "5 of 5 maps"]


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


@pytest.mark.parametrize("starts", [0, -1, 2.5])
def test_a_number_of_starts_that_makes_no_sense_is_refused(cnn, starts):
    with pytest.raises(ValueError, match="starts"):
        layer_zoo(cnn, "second", starts=starts)


def test_a_model_with_two_inputs_is_refused():
    pictures = [keras.Input((12, 12, 1)), keras.Input((12, 12, 1))]
    both = keras.layers.Conv2D(2, 3, name="joined")(keras.layers.Add()(pictures))
    with pytest.raises(ValueError, match="2 inputs"):
        oips.layer_zoo(keras.Model(pictures, both), "joined")


def test_maps_far_apart_cost_no_more_than_neighbors(cnn, monkeypatch):
    asked, plain = [], oips.numbered_fluctuations

    def counting(numbers, *arguments):
        asked.append(len(numbers))
        return plain(numbers, *arguments)

    monkeypatch.setattr(oips, "numbered_fluctuations", counting)
    create_oips(cnn, "second", [0, 1], candidates=1)
    create_oips(cnn, "second", [0, 4], candidates=1)
    assert asked[0] == max(asked)


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
