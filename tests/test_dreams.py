"""dreams: the photo survives where nothing is dreamt, and what is dreamt is what the objective wants."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import dreams
from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import soften
from helpers.dreams import carve, carve_octaves, carve_tiles, carve_with_correction, channels, luma, same_map
from helpers.images import gray, resize, standardize
from helpers.objectives import Channels, Mixed, WholeLayer

NO_STEPS = np.zeros(0)
STEPS = np.full(5, 0.05)


@pytest.fixture(scope="module")
def network():
    """A random CNN that takes 28x28 pixels."""
    start = [keras.initializers.HeNormal(seed=layer) for layer in range(2)]
    return keras.Sequential([
        keras.Input((None, None, 1)),
        keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=start[0], name="first"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(6, 3, activation="relu", kernel_initializer=start[1], name="second"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def features(network):
    return pre_activation_extractor(network, "second")


@pytest.fixture(scope="module")
def one_map(features):
    return Channels(features, [3])


def photograph(height=70, width=90, colors=3, seed=0):
    """Smooth random colors, neither black nor white anywhere, so that nothing is clipped."""
    noise = np.random.default_rng(seed).standard_normal((1, height // 5, width // 5, colors)).astype(np.float32)
    return 0.5 + 0.07 * standardize(resize(noise, (height, width)))[0]


def last(passes):
    *_, result = passes
    return result


def rms(difference):
    return float(np.sqrt(np.mean(np.square(difference))))


SCHEMES = {
    "carve": lambda features, photo: carve(Channels(features, [3]), photo, 3, NO_STEPS),
    "channels": lambda features, photo: carve(
        Channels(features, [3] * photo.shape[-1]), photo, 3, NO_STEPS, planes=channels),
    "softened": lambda features, photo: carve(Channels(features, [3]), photo, 3, NO_STEPS, precondition=soften),
    "tiles": lambda features, photo: carve_tiles(same_map(features, 3), photo, 2, 3, NO_STEPS),
    "octaves": lambda features, photo: carve_octaves(Channels(features, [3]), photo, 3, 1.2, NO_STEPS),
}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", [(70, 90, 3), (90, 70, 1), (61, 57, 3)])
def test_with_no_steps_every_scheme_gives_the_photo_back(features, scheme, shape):
    photo = photograph(*shape)
    result = last(SCHEMES[scheme](features, photo))
    assert result.shape == photo.shape and rms(result - photo) < 1e-5


def test_the_scheme_of_the_articles_changes_the_photo_even_with_no_steps(one_map):
    photo = photograph(colors=1)
    assert rms(last(carve_with_correction(one_map, photo, 4, NO_STEPS)) - photo) > 1e-4


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
def test_one_pass_adds_the_enlarged_change_times_the_strength(one_map, strength):
    """The rule of the docstring, written out once more."""
    photo = photograph()
    low = resize(gray(photo[None]), (28, 28))
    image = start = standardize(low)
    for step_size in STEPS:
        with tf.GradientTape() as tape:
            tape.watch(image := tf.constant(image))
            value = one_map(image)
        gradient = tape.gradient(value, image).numpy()
        image = standardize(image.numpy() + step_size * gradient / rms(gradient))
    expected = photo + strength * resize((image - start) * low.std(), photo.shape[:2])[0]
    np.testing.assert_allclose(last(carve(one_map, photo, 1, STEPS, strength)), expected, atol=1e-4)


def test_one_pass_is_linear_in_the_strength_and_strength_0_is_the_photo(one_map):
    photo = photograph()
    once, twice = (last(carve(one_map, photo, 1, STEPS, strength)) - photo for strength in (0.5, 1.0))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-6)
    np.testing.assert_array_equal(last(carve(one_map, photo, 3, STEPS, 0)), photo)


def test_brightness_and_contrast_of_what_the_network_sees_survive(one_map):
    photo = photograph()
    before, after = (resize(luma(one), (28, 28)) for one in (photo, last(carve(one_map, photo, 1, STEPS))))
    assert rms(after - before) > 0.005
    np.testing.assert_allclose([after.mean(), after.std()], [before.mean(), before.std()], rtol=0.02)


def test_luma_keeps_the_differences_of_the_colors(one_map):
    photo = photograph()
    change = last(carve(one_map, photo, 2, STEPS)) - photo
    assert np.abs(change).max() > 0.01 and np.ptp(change, axis=-1).max() < 1e-5


def test_channels_are_dreamt_one_by_one(features):
    photo = photograph()
    together = last(carve(Channels(features, [1, 3, 5]), photo, 2, STEPS, planes=channels))
    for color, index in enumerate([1, 3, 5]):
        alone = last(carve(Channels(features, [index]), photo[..., [color]], 2, STEPS))
        np.testing.assert_allclose(together[..., [color]], alone, atol=1e-4)


def test_what_the_objective_says_of_the_shrunk_photo_rises_from_pass_to_pass(one_map):
    photos = [photograph(seed=2), *carve(one_map, photograph(seed=2), 5, STEPS)]
    values = [float(one_map(standardize(resize(luma(photo), (28, 28))))[0]) for photo in photos]
    assert (np.diff(values) > 0.01).all()


def test_a_mixture_and_a_whole_layer_can_be_carved_too(network, features):
    layers = [WholeLayer(feature_extractor(network, name)) for name in ("first", "second")]
    for objective in (layers[1], Mixed(layers, [1, 2]), Mixed([Channels(features, [1]), layers[0]], [1, 1])):
        result = last(carve(objective, photograph(), 2, STEPS))
        before, after = (objective(standardize(resize(luma(one), (28, 28)))) for one in (photograph(), result))
        assert float(after[0] - before[0]) > 0.01


def test_the_photo_given_is_not_changed_and_passes_do_not_share_memory(one_map):
    photo = photograph()
    kept = photo.copy()
    first, second = carve(one_map, photo, 2, STEPS)
    np.testing.assert_array_equal(photo, kept)
    assert not np.shares_memory(first, second) and rms(second - first) > 1e-3


def test_a_constant_photo_stays_as_it_is(one_map):
    photo = np.full((40, 50, 3), 0.3, np.float32)
    np.testing.assert_allclose(last(carve(one_map, photo, 3)), photo, atol=1e-6)


def test_results_stay_within_pixel_space(one_map):
    photo = np.clip(0.5 + 8 * (photograph() - 0.5), 0, 1)
    result = last(carve(one_map, photo, 3, STEPS, strength=5))
    assert result.min() >= 0 and result.max() <= 1


def test_an_interrupt_leaves_the_pass_and_keeps_the_last_yield(one_map, monkeypatch):
    climbs, climb = [], dreams.ascend

    def interrupted(*arguments, **options):
        climbs.append(1)
        return climb(*arguments, **options)._replace(stopped=len(climbs) == 3)

    monkeypatch.setattr(dreams, "ascend", interrupted)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        for photo in carve(one_map, photograph(), 9, STEPS):
            seen.append(photo)
    assert len(seen) == 2 and len(climbs) == 3


@pytest.mark.parametrize("photo, message", [
    (photograph()[..., 0], "it must be"),
    (np.zeros((1, 70, 70, 3)), "it must be"),
    (np.zeros((70, 70, 4)), "it must be"),
    (photograph(25, 90), "needs 28 along each edge"),
    (photograph() * np.nan, "the photo holds NaN"),
])  # fmt: skip
@pytest.mark.parametrize("scheme", [carve, carve_with_correction])
def test_what_is_no_photo_is_refused(one_map, scheme, photo, message):
    with pytest.raises(ValueError, match=message):
        last(scheme(one_map, photo))


@pytest.mark.parametrize("options, message", [
    ({"passes": -1}, "passes -1 is out of range"),
    ({"passes": 1.5}, "passes 1.5 is out of range"),
    ({"strength": -0.1}, "strength -0.1 is out of range"),
    ({"strength": np.nan}, "strength nan is out of range"),
    ({"strength": np.inf}, "strength inf is out of range"),
    ({"step_sizes": [-0.1]}, "step_sizes"),
])  # fmt: skip
def test_options_out_of_range_are_refused(one_map, options, message):
    with pytest.raises(ValueError, match=message):
        last(carve(one_map, photograph(), **options))


def test_no_passes_yield_nothing(one_map):
    assert list(carve(one_map, photograph(), 0)) == []


def test_the_default_pass_turns_what_the_network_sees_by_no_more_than_its_steps(one_map):
    """30 steps of 0.01: at most 17.2 degrees (catalogue 2.4)."""
    photo = photograph(28, 28, colors=1)
    start, end = (standardize(one[None]) for one in (photo, last(carve(one_map, photo, 1))))
    angle = np.degrees(np.arccos(np.mean(start * end)))
    assert 1 < angle < np.degrees(30 * np.arctan(0.01)) + 0.1
    spelled_out = last(carve(one_map, photo, 1, np.full(30, 0.01)))
    np.testing.assert_allclose(spelled_out, last(carve(one_map, photo, 1)), atol=1e-5)


def test_an_8_bit_photo_is_refused_instead_of_turning_white(one_map):
    with pytest.raises(ValueError, match="divide 8-bit values by 255"):
        last(carve(one_map, np.full((40, 40, 3), 200, np.uint8)))
