"""attacks: changes stay within their radius and on the sphere, and on a linear network they are known on paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import class_logits
from helpers.ascent import gradients
from helpers.explain.attacks import Within, attacked, climb_within, smallest_changes
from helpers.images import standardize
from helpers.objectives import Gaps, LogProbabilities, Margins, Mixed, Probabilities


def rms(images):
    return np.sqrt(np.square(images).mean(axis=(1, 2, 3)))


def linear_model():
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.set_weights([np.random.default_rng(5).standard_normal((144, 2)), np.zeros(2)])
    return model


@pytest.mark.parametrize("radius", [0.0, 0.1, 1.4])
def test_within_brings_any_image_back_to_the_sphere_and_near_its_center(starts, radius):
    far = starts + np.random.default_rng(2).standard_normal(starts.shape).astype(np.float32)
    back = Within(starts, radius)(tf.constant(far)).numpy()
    assert (rms(back - starts) <= radius + 1e-4).all()
    np.testing.assert_allclose(back.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(rms(back), 1, atol=1e-4)


def test_within_leaves_alone_what_is_near_enough_and_takes_one_radius_for_each(starts):
    near = standardize(starts + 0.1 * starts[::-1])
    radii = np.where(np.arange(8) < 4, 0.02, 1.0)
    back = Within(starts, radii)(tf.constant(near)).numpy()
    np.testing.assert_allclose(back[4:], near[4:], atol=1e-5)
    np.testing.assert_allclose(rms(back[:4] - starts[:4]), 0.02, atol=1e-4)


def test_the_smallest_change_of_a_linear_network_is_the_way_to_the_great_circle_where_it_is_undecided(starts):
    """On paper: the sine of the angle to that circle is the cosine between image and difference of the weights."""
    model = linear_model()
    weights = model.get_weights()[0]
    difference = (weights[:, 1] - weights[:, 0]).reshape(1, 12, 12, 1)
    normal = (difference - difference.mean()) / difference.std()
    angles = np.arcsin(np.abs((starts * normal).mean(axis=(1, 2, 3))))
    labels = class_logits(model)(starts).numpy().argmax(axis=1)
    changes = smallest_changes(Mixed([Margins(class_logits(model), labels)], [-1]), starts)
    assert (model(changes.images).numpy().argmax(axis=1) != labels).all()
    np.testing.assert_allclose(rms(changes.images - starts), changes.radii, atol=1e-4)
    expected = 2 * np.sin(angles / 2)
    assert (changes.radii >= expected - 1e-4).all() and (changes.radii <= 1.05 * expected + 2e-3).all()


def test_what_is_read_so_already_needs_no_change_and_what_cannot_be_reached_none_that_is_finite(cnn, starts):
    logits = class_logits(cnn)
    answers = logits(starts).numpy().argmax(axis=1)
    assert (smallest_changes(Margins(logits, answers), starts, steps=3).radii == 0).all()
    never = Mixed([Margins(logits, answers)], [0])  # always 0, never above
    changes = smallest_changes(never, starts, steps=3)
    assert np.isinf(changes.radii).all()
    np.testing.assert_allclose(changes.images, starts, atol=1e-5)


def test_an_attack_stays_within_its_radius_and_lowers_the_margin_more_than_one_step(cnn, starts):
    logits = class_logits(cnn)
    labels = logits(starts).numpy().argmax(axis=1)
    margins = Margins(logits, labels)
    many, one = (attacked(cnn, starts, labels, 0.3, steps=steps) for steps in (20, 1))
    assert (rms(many - starts) <= 0.301).all()
    assert (margins(many) < margins(starts)).numpy().all() and np.mean(margins(many)) < np.mean(margins(one))
    np.testing.assert_allclose(attacked(cnn, starts, labels, 0), starts, atol=1e-5)


def test_an_attack_of_many_images_is_made_in_parts(cnn, starts, monkeypatch):
    whole = attacked(cnn, starts, [0] * 8, 0.2, steps=3)
    monkeypatch.setattr("helpers.explain.attacks.IMAGES_AT_ONCE", 3)
    np.testing.assert_allclose(attacked(cnn, starts, [0] * 8, 0.2, steps=3), whole, atol=1e-4)


def test_a_climb_within_a_radius_makes_a_class_more_likely(cnn, starts):
    wanted = Margins(class_logits(cnn), [1] * 8)
    more = climb_within(wanted, starts, 0.3)
    assert (wanted(more) > wanted(starts)).numpy().all() and (rms(more - starts) <= 0.301).all()


def test_the_class_objectives_are_what_their_names_say(cnn, starts):
    logits, classes = class_logits(cnn), [0, 2, 1, 1, 0, 2, 2, 0]
    values = logits(starts).numpy()
    each, rows = np.arange(8), np.delete(values[0], 0)
    exponentials = np.exp(values)
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Probabilities(logits, classes)(starts), softmax[each, classes], rtol=1e-4)
    np.testing.assert_allclose(Probabilities(logits, classes)(starts), cnn(starts).numpy()[each, classes], rtol=1e-4)
    np.testing.assert_allclose(LogProbabilities(logits, classes)(starts), np.log(softmax[each, classes]), atol=1e-4)
    np.testing.assert_allclose(Gaps(logits, classes)(starts)[0], values[0, 0] - np.log(np.exp(rows).sum()), atol=1e-4)
    np.testing.assert_allclose(Margins(logits, classes)(starts)[0], values[0, 0] - rows.max(), atol=1e-4)


def test_softmax_log_probability_and_gap_all_point_the_same_way(cnn, starts):
    logits = class_logits(cnn)
    slopes = [gradients(kind(logits, [1] * 8), starts)[1] for kind in (Gaps, Probabilities, LogProbabilities)]
    ways = [slope / rms(slope).reshape(-1, 1, 1, 1) for slope in slopes]
    np.testing.assert_allclose(ways[1], ways[0], atol=1e-3)
    np.testing.assert_allclose(ways[2], ways[0], atol=1e-3)


def test_a_radius_below_zero_and_a_class_that_does_not_exist_are_refused(cnn, starts):
    with pytest.raises(ValueError, match="radius -0.1 is out of range; use a number of 0 or more"):
        attacked(cnn, starts, [0] * 8, -0.1)
    with pytest.raises(ValueError, match="labels hold 3; each must be a whole number from 0 to 2"):
        attacked(cnn, starts, [3] * 8, 0.1)
    one = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="a single output, so there are no other classes"):
        Gaps(class_logits(one), [0] * 8)
