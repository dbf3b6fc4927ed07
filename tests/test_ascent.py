"""ascent: the engine climbs, on the sphere, image by image, and reports truly."""

import itertools
import threading
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from helpers import ascent
from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import ascend, climb, clip, great_circle, identity, report_steps, soften, straight
from helpers.base.interrupts import stoppable
from helpers.dreams import carve
from helpers.images import standardize
from helpers.objectives import Channels
from helpers.oips import COOLING, create_oips


class Linear(NamedTuple):
    """The inner product with a fixed image: its maximum on the sphere is known on paper."""

    target: tf.Tensor

    def __call__(self, images):
        return tf.reduce_mean(images * self.target, axis=(1, 2, 3))


class Flat(NamedTuple):
    """A hill without a slope."""

    level: tf.Tensor

    def __call__(self, images):
        return self.level + 0 * tf.reduce_sum(images, axis=(1, 2, 3))




@pytest.fixture
def target():
    return tf.constant(np.random.default_rng(7).standard_normal((1, 12, 12, 1)), tf.float32)


def plain_loop(features, index, image, step_size, steps):
    """The articles' loop, written independently: eager, one image, one map. Yields (value, image) before each step."""
    image = tf.image.per_image_standardization(tf.constant(image[None]))
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(image)
            value = tf.reduce_mean(features(image)[0, :, :, index])
        yield float(value), image[0].numpy()
        gradient = tape.gradient(value, image)
        gradient = gradient / (tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-7)
        image = tf.image.per_image_standardization(image + step_size * gradient)
    yield float(tf.reduce_mean(features(image)[0, :, :, index])), image[0].numpy()


def test_the_engine_agrees_step_for_step_with_a_plain_loop(cnn, starts):
    features = feature_extractor(cnn, "second")
    reports = climb(Channels(features, [2]), starts[:1], np.full(20, 0.01), reports=range)
    expected = list(plain_loop(features, 2, starts[0], 0.01, 20))
    for (_, images, values), (value, image) in zip(reports, expected, strict=True):
        assert values[0] == pytest.approx(value, abs=1e-4)
        np.testing.assert_allclose(images[0], image, atol=2e-3)


def test_a_linear_objective_ends_at_the_target_itself(target, starts):
    result = ascend(Linear(target), starts, np.geomspace(5, 0.001, 40)).images
    np.testing.assert_allclose(result, np.broadcast_to(standardize(target), result.shape), atol=0.01)


def test_one_step_turns_the_image_by_at_most_the_arctangent_of_its_size(cnn, starts):
    for step_size in (0.01, 0.3):
        moved = ascend(Channels(feature_extractor(cnn, "second"), range(5)), starts[:5], [step_size]).images
        cosines = (moved * starts[:5]).mean(axis=(1, 2, 3))
        angles = np.arccos(np.clip(cosines, -1, 1))
        assert (angles <= np.arctan(step_size) + 1e-3).all() and angles.max() > 0.5 * step_size


def test_a_step_has_root_mean_square_of_its_size_before_it_is_projected(target, starts):
    moved = ascend(Linear(target), starts, [0.25], project=identity).images
    np.testing.assert_allclose(np.sqrt(((moved - starts) ** 2).mean(axis=(1, 2, 3))), 0.25, rtol=1e-4)


def test_every_frame_stays_on_the_sphere_and_carries_its_own_value(cnn, starts):
    objective = Channels(feature_extractor(cnn, "second"), range(5))
    record = ascend(objective, starts[:5], np.full(30, 0.05))
    for frame, values in zip(record.frames, record.values):
        np.testing.assert_allclose(frame.std(axis=(1, 2, 3)), 1, rtol=1e-3)
        np.testing.assert_allclose(values, objective(tf.constant(frame)), atol=1e-4)


def test_the_first_frame_is_the_start_and_the_last_is_the_result(target, starts):
    record = ascend(Linear(target), 3 * starts + 1, np.full(50, 0.02))
    np.testing.assert_allclose(record.frames[0], starts, atol=1e-4)
    assert (record.values[-1] > record.values[0]).all()
    np.testing.assert_array_equal(record.images, record.frames[-1])


def test_an_image_climbs_alone_as_it_climbs_in_a_batch(cnn, starts):
    features = pre_activation_extractor(cnn, "second")
    together = ascend(Channels(features, [0, 1, 2, 3]), starts[:4], np.full(10, 0.1))
    for index in range(4):
        alone = ascend(Channels(features, [index]), starts[index : index + 1], np.full(10, 0.1))
        np.testing.assert_allclose(alone.images[0], together.images[index], atol=1e-3)


def test_images_in_another_order_give_the_same_results_in_that_order(cnn, starts):
    features, order = pre_activation_extractor(cnn, "second"), [3, 1, 0, 2]
    one = ascend(Channels(features, [0, 1, 2, 3]), starts[:4], np.full(10, 0.1)).images
    other = ascend(Channels(features, order), starts[order], np.full(10, 0.1)).images
    np.testing.assert_allclose(other, one[order], atol=1e-3)


def test_another_map_start_or_step_size_compiles_nothing_anew(cnn, starts):
    features = feature_extractor(cnn, "second")
    ascend(Channels(features, [0]), starts[:1], [0.1, 0.1])
    before = ascent._steps.experimental_get_tracing_count()
    for index in range(5):
        ascend(Channels(features, [index]), starts[index : index + 1], np.full(3 + index, 0.01 * (1 + index)))
    assert ascent._steps.experimental_get_tracing_count() == before


def angles(first, second):
    return np.arccos(np.clip((first * second).mean(axis=(1, 2, 3)), -1, 1))


def test_along_great_circles_the_step_size_is_the_angle(cnn, starts):
    objective = Channels(pre_activation_extractor(cnn, "second"), range(5))
    for step_size in (0.01, 0.3, 1.2):
        moved = ascend(objective, starts[:5], [step_size], move=great_circle).images
        np.testing.assert_allclose(angles(moved, starts[:5]), step_size, rtol=2e-3)


def test_a_great_circle_leads_straight_to_the_target_and_the_articles_way_moves_less(target, starts):
    """On paper: each step of a linear climb comes nearer by its own size, and turns by less if it is made straight."""
    way = angles(starts, standardize(np.broadcast_to(target, starts.shape)))
    record, plain = (ascend(Linear(target), starts, np.full(10, 0.1), move=move) for move in (great_circle, straight))
    np.testing.assert_allclose(angles(record.images, standardize(np.broadcast_to(target, starts.shape))), way - 1,
                               atol=5e-3)
    assert (angles(plain.images, starts) < 0.999).all()


def test_on_a_great_circle_images_stay_standardized_without_being_projected(cnn, starts):
    objective = Channels(feature_extractor(cnn, "second"), range(5))
    images = ascend(objective, starts[:5], np.full(20, 0.2), project=identity, move=great_circle).images
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-4)


def test_in_pixel_space_a_climb_never_leaves_it(target, starts):
    record = ascend(Linear(target), np.full_like(starts, 0.5), np.full(30, 0.1), project=clip)
    expected = np.clip(0.5 + 3 * target / np.sqrt(np.mean(np.square(target))), 0, 1)
    np.testing.assert_allclose(record.images, np.broadcast_to(expected, starts.shape), atol=1e-3)


def test_a_latent_vector_is_climbed_like_an_image():
    wanted = tf.constant([[[[3.0, 0, 4]]]])
    record = ascend(Linear(wanted), np.array([[[[1.0, 1, 0]]]]), np.full(200, 0.05), project=to_length_two)
    np.testing.assert_allclose(record.images, [[[[1.2, 0, 1.6]]]], atol=0.1)


def to_length_two(vectors):
    return 2 * tf.math.l2_normalize(vectors, axis=-1)


@pytest.mark.parametrize("move", [straight, great_circle])
def test_a_gradient_of_zero_moves_nothing_and_is_called_silent(starts, move):
    record = ascend(Flat(tf.zeros(())), starts, np.full(5, 0.5), move=move)
    np.testing.assert_allclose(record.images, starts, atol=1e-5)
    assert set(record.status()) == {"silent"}


def test_a_finished_climb_is_called_converged_and_an_unfinished_one_climbing(target, starts):
    assert set(ascend(Linear(target), starts, np.full(600, 0.01)).status()) == {"converged"}
    assert set(ascend(Linear(target), starts, np.full(20, 0.01)).status()) == {"climbing"}


def test_a_falling_value_does_not_count_as_converged():
    falling = ascent.Ascent(np.array([0, 9]), np.zeros((2, 1, 2, 2, 1)), np.array([[5.0], [3.0]]))
    assert falling.status() == ["climbing"]


def test_small_values_that_rise_are_not_called_converged():
    """Catalogue B1: with 1.-7 in the place of 1e-7 every rise below 6 counted as converged."""
    rising = ascent.Ascent(np.array([0, 1]), np.zeros((2, 1, 2, 2, 1)), np.array([[1.0], [1.2]]))
    assert rising.status() == ["climbing"]


def test_the_articles_steps_are_reported_and_a_climb_ends_with_the_state_that_all_its_steps_leave(target, starts):
    assert report_steps(600, 6).tolist() == [0, 9, 18, 36, 72, 144, 288, 599]
    record = ascend(Linear(target), starts, np.full(600, 0.01))
    assert record.steps.tolist() == [0, 9, 18, 36, 72, 144, 288, 600]
    np.testing.assert_allclose(ascend(Linear(target), starts, np.full(288, 0.01)).images, record.frames[6], atol=1e-5)


@pytest.mark.parametrize("steps, reports", [(30, 6), (20, 6), (1, 6), (2, 3), (400, 7), (600, 8), (7, 0)])
def test_reports_are_never_lost_doubled_or_out_of_range(steps, reports):
    made = report_steps(steps, reports)
    assert made[0] == 0 and made[-1] == steps - 1 and len(made) <= reports + 2
    assert (np.diff(made) > 0).all()


def test_no_steps_give_the_start_back(target, starts):
    record = ascend(Linear(target), starts, [])
    assert record.steps.tolist() == [0]
    np.testing.assert_allclose(record.images, starts, atol=1e-5)


def test_a_single_step_is_made(target, starts):
    record = ascend(Linear(target), starts, [0.1])
    assert record.steps.tolist() == [0, 1] and (record.values[1] > record.values[0]).all()


def test_leaving_the_loop_stops_the_climb(target, starts):
    seen = []
    for step, _, _ in climb(Linear(target), starts, np.full(100, 0.01), reports=range):
        seen.append(step)
        if step == 7:
            break
    assert seen == list(range(8))


def test_an_interrupt_keeps_what_was_made(target, starts, stop_at_the_third_block):
    record = ascend(Linear(target), starts, np.full(600, 0.01), reports=range)
    assert record.stopped and record.steps[-1] == 2 * ascent.STEPS_AT_ONCE
    assert (record.values[-1] > record.values[0]).all()
    assert set(record.status()) == {"stopped"}
    np.testing.assert_allclose(record.values[-1], Linear(target)(record.images), atol=1e-5)


def test_softening_keeps_waves_in_place_and_weakens_them_as_promised():
    x = np.arange(40)
    for cycles, cutoff in ((2, 0.12), (8, 0.12), (8, 0.3)):
        wave = np.broadcast_to(np.cos(2 * np.pi * cycles * x / 40), (1, 40, 40))[..., None].astype(np.float32)
        softened = soften(tf.constant(wave), cutoff=cutoff).numpy()
        np.testing.assert_allclose(softened, wave / (1 + (cycles / 40 / cutoff) ** 2), atol=1e-5)


def test_softened_climbs_give_images_of_longer_waves(cnn, starts):
    objective = Channels(pre_activation_extractor(cnn, "second"), range(5))
    raw, calm = (ascend(objective, starts[:5], np.geomspace(5, 0.1, 30), precondition=way).images
                 for way in (identity, partial(soften, cutoff=0.08)))
    roughness = [np.square(np.diff(images, axis=1)).mean() for images in (raw, calm)]
    assert roughness[1] < 0.6 * roughness[0]


@pytest.mark.parametrize(
    "images, step_sizes, message",
    [
        (np.zeros((12, 12, 1)), [0.1], "shape"),
        (np.zeros((0, 12, 12, 1)), [0.1], "shape"),
        (np.full((1, 12, 12, 1), np.nan), [0.1], "NaN"),
        (np.ones((1, 12, 12, 1)), [0.1, -0.1], "above 0"),
        (np.ones((1, 12, 12, 1)), [np.nan], "above 0"),
        (np.ones((1, 12, 12, 1)), 0.1, "list of numbers"),
    ],
)
def test_bad_input_is_refused_before_any_step(target, images, step_sizes, message):
    with pytest.raises(ValueError, match=message):
        ascend(Linear(target), images, step_sizes)


def test_the_starting_images_are_not_changed(target, starts):
    before = starts.copy()
    ascend(Linear(target), starts, np.full(5, 0.5))
    np.testing.assert_array_equal(starts, before)


@pytest.mark.parametrize("n", [ascent.FEW_IMAGES, ascent.FEW_IMAGES + 1])
def test_steps_made_in_one_go_are_the_same_as_one_by_one(target, n):
    images = standardize(np.random.default_rng(3).standard_normal((n, 12, 12, 1)).astype(np.float32))
    sizes = np.geomspace(1, 0.01, 27)
    record = ascend(Linear(target), images, sizes, reports=lambda steps: [0, 13])
    expected = tf.constant(images)
    for step, size in enumerate(sizes):
        if step == 13:
            np.testing.assert_allclose(record.frames[1], expected, atol=1e-4)
        values, expected = ascent.step_uphill(Linear(target), expected, tf.constant(size, tf.float32))
    assert record.steps.tolist() == [0, 13, 27]
    np.testing.assert_allclose(record.images, expected, atol=1e-4)


def test_images_of_any_size_can_be_softened_one_after_the_other():
    for size in (28, 31, 40, 57):
        noise = np.random.default_rng(size).standard_normal((2, size, size + 3, 1)).astype(np.float32)
        record = ascend(Linear(tf.constant(noise)), noise[::-1], np.full(3, 0.5), precondition=soften)
        assert record.images.shape == noise.shape and (record.values[-1] > record.values[0]).all()


@pytest.mark.parametrize("n", [1, 9])
def test_an_objective_for_another_number_of_images_is_refused(cnn, starts, n):
    images = np.repeat(starts[:1], n, axis=0)
    features = feature_extractor(cnn, "second")
    ascend(Channels(features, [0] * n), images, [0.1])
    with pytest.raises(ValueError, match=f"^{3 * n} map indices for {n} images; give one for each"):
        ascend(Channels(features, [0, 1, 2] * n), images, [0.1])


class Custom(NamedTuple):
    """An objective of one's own that may go wrong; `kind` is looked at when it is compiled."""

    kind: object

    def __call__(self, images):
        return self.kind(images)


@pytest.mark.parametrize("kind, sentence", [
    (lambda images: tf.reduce_mean(images, axis=(1, 2)), r"^the objective gives values of shape \(8, 1\) for 8 images"),
    (lambda images: tf.reduce_mean(images), r"^the objective gives values of shape \(\) for 8 images"),
    (lambda images: tf.math.log(-1 - tf.reduce_mean(images**2, axis=(1, 2, 3))), "gives nan for image 0 after 0 steps"),
    (lambda images: tf.zeros(8), "^the objective does not depend on the images"),
    (lambda images: tf.reduce_mean(images @ tf.zeros((5, 1)), axis=(1, 2, 3)), "^the objective fails .*(8, 12, 12, 1)"),
])  # fmt: skip
@pytest.mark.parametrize("copies", [1, 2])
def test_an_objective_that_does_not_give_one_number_per_image_is_refused_in_a_sentence(starts, kind, sentence, copies):
    starts = np.concatenate([starts] * copies)
    with pytest.raises(ValueError, match=sentence.replace("8", str(8 * copies))) as refusal:
        ascend(Custom(kind), starts, np.full(3, 0.1))
    assert "\n" not in str(refusal.value)


def test_an_objective_that_goes_wrong_on_the_way_says_when(starts):
    broken = Custom(lambda images: -tf.sqrt(0.5 - tf.reduce_mean(images * starts, axis=(1, 2, 3))))
    with pytest.raises(ValueError, match="gives nan for image . after [1-9][0-9]* steps"):
        ascend(broken, starts[::-1], np.full(50, 0.1))


@pytest.mark.parametrize("n", [2, 9])
def test_images_of_another_size_than_the_network_sees_are_refused_also_after_a_right_call(cnn, starts, n):
    objective = Channels(feature_extractor(cnn, "second"), [3])
    ascend(objective, np.resize(starts, (n, 12, 12, 1)), [0.1])
    for size in ((13, 12, 1), (24, 24, 1), (12, 12, 3)):
        with pytest.raises(ValueError, match=r"^images have shape .*; the network sees \(any, 12, 12, 1\)$"):
            ascend(objective, np.resize(starts, (n, *size)), [0.1])


def test_what_an_interrupt_cut_off_is_not_called_converged():
    frames = np.array([0.0, 1.0, 1.0]).reshape(3, 1, 1, 1, 1) * np.ones((3, 1, 2, 2, 1))
    cut = ascent.Ascent(np.array([0, 9, 18]), frames, np.array([[1.0], [2.0], [2.0]]), stopped=True)
    assert cut.status() == ["stopped"] and cut._replace(stopped=False).status() == ["converged"]


def after_asking(times):
    """A function that says False so many times and True from then on."""
    asked = itertools.count()
    return lambda: next(asked) >= times


def test_a_climb_that_is_stopped_from_elsewhere_reports_where_it_is_and_goes_on_its_way(target, starts):
    reports = []
    with stoppable(after_asking(2)), pytest.raises(KeyboardInterrupt):
        for report in climb(Linear(target), starts, np.full(600, 0.01)):
            reports.append(report)
    step, images, values = reports[-1]
    assert step == 2 * ascent.STEPS_AT_ONCE
    np.testing.assert_allclose(images, ascend(Linear(target), starts, np.full(step, 0.01)).images, atol=1e-5)
    np.testing.assert_allclose(values, Linear(target)(images), atol=1e-5)


@pytest.mark.parametrize("edge, block", [(12, ascent.STEPS_AT_ONCE), (100, ascent.PIXELS_AT_ONCE // 100**2),
                                         (220, ascent.PIXELS_AT_ONCE // 220**2), (300, 1)])  # fmt: skip
def test_the_larger_the_images_the_fewer_steps_a_stop_waits_for(edge, block):
    start = standardize(np.random.default_rng(0).standard_normal((1, edge, edge, 1)).astype(np.float32))
    with stoppable(after_asking(2)):
        record = ascend(Linear(tf.constant(start[:, ::-1])), start, np.full(40, 0.01))
    assert record.stopped and record.steps[-1] == 2 * block


def test_ascend_keeps_what_was_made_when_it_is_stopped_from_elsewhere(target, starts):
    with stoppable(after_asking(2)):
        record = ascend(Linear(target), starts, np.full(600, 0.01))
    assert record.stopped and record.steps[-1] == 2 * ascent.STEPS_AT_ONCE
    assert (record.values[-1] > record.values[0]).all()


def test_a_stop_before_the_first_step_keeps_the_start(target, starts):
    with stoppable(lambda: True):
        record = ascend(Linear(target), starts, np.full(600, 0.01))
    assert record.stopped and record.steps.tolist() == [0]
    np.testing.assert_allclose(record.images, starts, atol=1e-5)


def test_oips_keep_what_was_made_when_they_are_stopped_from_elsewhere(cnn):
    with stoppable(after_asking(2)):
        made = create_oips(cnn, "second", [0, 3], starts=16)
    assert made.ascent.stopped and made.indices.tolist() == [0, 3] and made.images.shape == (2, 12, 12, 1)
    assert 0 < made.ascent.steps[-1] < len(COOLING) - 1


def test_a_dream_keeps_the_passes_before_it_was_stopped_from_elsewhere():
    noise = np.random.default_rng(2).standard_normal((1, 28, 28, 1))
    photo, made = np.float32(0.5 + 0.1 * noise[0, ::-1]), []
    objective, steps = Linear(tf.constant(noise, tf.float32)), np.full(30, 0.01)
    with stoppable(after_asking(5)), pytest.raises(KeyboardInterrupt):
        for dream in carve(objective, photo, 9, steps):
            made.append(dream)
    assert len(made) == 2, "two blocks of steps in each pass, and a third pass that was not finished"
    np.testing.assert_allclose(made, list(carve(objective, photo, 2, steps)), atol=1e-6)


def test_a_stop_reaches_the_thread_of_its_block_and_no_other(target, starts):
    records = {}

    def run(name):
        records[name] = ascend(Linear(target), starts, np.full(40, 0.01))

    with stoppable(lambda: True):
        other = threading.Thread(target=run, args=["other"])
        other.start(), other.join()
        run("own")
    run("after")
    assert {name: record.stopped for name, record in records.items()} == {"other": False, "own": True, "after": False}


def test_the_innermost_block_counts_and_the_outer_one_again_when_it_has_ended(target, starts):
    with stoppable(lambda: True):
        with stoppable(lambda: False):
            assert not ascend(Linear(target), starts, [0.1]).stopped
        assert ascend(Linear(target), starts, [0.1]).stopped


def test_a_block_that_is_left_by_an_error_stops_nothing_any_more(target, starts):
    with pytest.raises(ZeroDivisionError), stoppable(lambda: True):
        1 / 0  # noqa: B018
    assert not ascend(Linear(target), starts, [0.1]).stopped


@pytest.mark.parametrize("n, size, asked", [(1, 28, 2), (8, 28, 2), (9, 28, 20), (1, 224, 20), (8, 100, 20)])
def test_many_or_large_images_can_be_stopped_at_every_step_and_few_small_ones_every_so_often(n, size, asked):
    images = np.random.default_rng(4).standard_normal((n, size, size, 1)).astype(np.float32)
    times = []
    with stoppable(lambda: bool(times.append(1))):
        record = ascend(Linear(tf.constant(images[::-1])), images, np.full(20, 0.1))
    assert len(times) == asked and not record.stopped


def test_images_that_become_nan_are_refused_though_a_relu_would_answer_0(cnn, starts):
    objective = Channels(feature_extractor(cnn, "second"), [1])
    broken = lambda images: standardize(images) * tf.where(tf.reduce_max(images) > 0, np.nan, 1.0)  # noqa: E731
    with pytest.raises(ValueError, match="the images hold NaN or infinite values after 0 steps"):
        ascend(objective, starts, [0.1], project=broken)
    with pytest.raises(ValueError, match="the images hold NaN or infinite values after"):
        ascend(objective, starts, [0.1, 0.1], precondition=lambda gradients: gradients * np.nan)


def test_reports_may_be_any_collection_of_states():
    noise = np.random.default_rng(0).standard_normal((1, 6, 6, 1)).astype(np.float32)
    reported = [ascend(Linear(tf.ones((6, 6, 1))), noise, np.full(4, 0.1), project=identity, reports=chosen)
                for chosen in (lambda states: [0, 2], lambda states: {0, 2}, lambda states: (s for s in (0, 2)))]
    assert [climb.steps.tolist() for climb in reported] == [[0, 2, 4]] * 3
