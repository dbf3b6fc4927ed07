"""dreams: the photo survives where nothing is dreamt, and what is dreamt is what the objective wants."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import dreams
from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import soften
from helpers.dreams import (
    carve,
    carve_cascade,
    carve_octaves,
    carve_region,
    carve_tiles,
    carve_with_correction,
    channels,
    listed_maps,
    luma,
    random_maps,
    same_map,
    sight_of,
    strongest_maps,
)
from helpers.images import gray, resize, standardize
from helpers.objectives import Channels, Mixed, Penalized, WholeLayer, lp_norm

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
    climbs, climb = [], dreams.last_images

    def interrupted(*arguments, **options):
        climbs.append(1)
        if len(climbs) == 3:
            raise KeyboardInterrupt
        return climb(*arguments, **options)

    monkeypatch.setattr(dreams, "last_images", interrupted)
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


# ---------------------------------------------------------------- networks of other sizes and colors


def other_network(height, width, colors):
    """A random network that sees images of this shape, None where it takes any."""
    start = [keras.initializers.HeNormal(seed=layer) for layer in range(2)]
    return keras.Sequential([
        keras.Input((height, width, colors)),
        keras.layers.Conv2D(4, 3, strides=2, activation="relu", kernel_initializer=start[0], name="first"),
        keras.layers.Conv2D(6, 3, activation="relu", kernel_initializer=start[1], name="second"),
    ])  # fmt: skip


EVERY_SCHEME = {
    "carve": lambda features, photo, steps, **more: carve(Channels(features, [3]), photo, 2, steps, **more),
    "tiles": lambda features, photo, steps, **more: carve_tiles(same_map(features, 3), photo, 2, 2, steps, **more),
    "cascade": lambda features, photo, steps, **more: carve_cascade(
        strongest_maps(features), photo, (1, 2), 1, step_sizes=steps, **more),
    "region": lambda features, photo, steps, **more: carve_region(
        Channels(features, [3]), photo, (5, 20, 60, 50), 2, steps, **more),
}  # fmt: skip


@pytest.mark.parametrize("scheme", EVERY_SCHEME)
@pytest.mark.parametrize("shape", [(12, 12, 1), (40, 24, 1), (48, 48, 3)])
@pytest.mark.parametrize("colors", [1, 3])
def test_every_scheme_dreams_with_a_network_of_another_size_and_of_colors(scheme, shape, colors):
    features, photo = pre_activation_extractor(other_network(*shape), "second"), photograph(colors=colors)
    assert rms(last(EVERY_SCHEME[scheme](features, photo, NO_STEPS)) - photo) < 1e-5
    change = last(EVERY_SCHEME[scheme](features, photo, STEPS)) - photo
    assert rms(change) > 1e-3
    own_colors = np.ptp(change, axis=-1).max() > 1e-3
    assert own_colors == (colors == shape[2] == 3)  # a network that sees gray leaves the colors alone


def test_octaves_with_a_network_of_colors_dream_its_own():
    wide, photo = pre_activation_extractor(other_network(None, None, 3), "second"), photograph()
    for objective in (Channels(wide, [3]), Mixed([WholeLayer(wide)], [1])):
        assert rms(last(carve_octaves(objective, photo, 2, 1.3, NO_STEPS)) - photo) < 1e-5
        assert np.ptp(last(carve_octaves(objective, photo, 2, 1.3, STEPS)) - photo, axis=-1).max() > 1e-3


def test_what_a_network_of_colors_sees_comes_closer_to_what_it_wants():
    objective = Channels(pre_activation_extractor(other_network(48, 48, 3), "second"), [2])
    photos = [photograph(), *carve(objective, photograph(), 3, STEPS)]
    values = [float(objective(standardize(resize(one[None], (48, 48))))[0]) for one in photos]
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("sight", [(20, 20, 1), (32, 50, 1)])
def test_a_network_of_any_size_is_shown_what_is_asked(sight):
    wide, seen = pre_activation_extractor(other_network(None, None, 1), "second"), []

    def aim(starts, numbers):
        seen.append(starts.shape[1:])
        return Channels(wide, [0] * len(starts))

    last(carve_tiles(aim, photograph(), 2, 1, STEPS, sight=sight))
    assert set(seen) == {sight} and sight_of(WholeLayer(wide), sight) == sight
    assert rms(last(carve(Channels(wide, [0]), photograph(), 1, STEPS, sight=sight)) - photograph()) > 1e-3


def test_the_sight_is_found_inside_any_objective_and_aim():
    features = pre_activation_extractor(other_network(40, 24, 3), "second")
    inner = Channels(features, [0])
    for objective in (inner, WholeLayer(features), Mixed([inner, inner], [1, 1]), Penalized(inner, lp_norm, 0.1),
                      same_map(features, 0), listed_maps(features, [0]), random_maps(features, 0),
                      strongest_maps(features)):  # fmt: skip
        assert sight_of(objective) == (40, 24, 3)
    assert sight_of(lambda images: images) == (28, 28, 1)


def test_a_cascade_is_its_grids_one_after_the_other(features):
    photo, aim = photograph(), same_map(features, 3)
    seen, expected = list(carve_cascade(aim, photo, (1, 2), 2, step_sizes=STEPS)), photo
    for tiles in (1, 2):
        expected = last(carve_tiles(aim, expected, tiles, 2, STEPS))
    assert len(seen) == 4
    np.testing.assert_allclose(seen[-1], expected, atol=1e-6)


def test_a_cascade_with_a_grid_that_does_not_fit_is_refused_before_it_climbs(features):
    def never(starts, numbers):
        raise AssertionError("it climbed")

    with pytest.raises(ValueError, match="9 tiles along an edge do not fit"):
        next(carve_cascade(never, photograph(), (1, 9)))


def test_networks_that_cannot_dream_a_photo_are_refused_in_one_sentence(features):
    four = Channels(pre_activation_extractor(other_network(40, 40, 4), "second"), [0])
    with pytest.raises(ValueError, match="the network sees 4 channels; a photo is for one that sees 1 .* or 3"):
        next(carve(four, photograph()))
    with pytest.raises(ValueError, match=r"octaves need a network .* of any size, this one sees \(40, 40"):
        next(carve_octaves(four, photograph()))


def test_large_images_climb_in_smaller_batches(monkeypatch):
    batches, climb = [], dreams.last_images
    monkeypatch.setattr(dreams, "last_images", lambda objective, images, *rest, **options:
                        (batches.append(len(images)), climb(objective, images, *rest, **options))[1])  # fmt: skip
    features = pre_activation_extractor(other_network(112, 112, 3), "second")
    last(carve_tiles(same_map(features, 0), photograph(448, 448), 4, 1, STEPS, overlap=0))
    assert batches == [5, 5, 5, 1]  # 256 images of 28 x 28 x 1 are as many numbers as 5 of these
