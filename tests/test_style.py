"""Style and content as objectives: textures without places, forms, windows, masks and colors."""

import numpy as np
import pytest
import tensorflow as tf

from helpers.ascent import ascend, clip
from helpers.base.interrupts import stoppable
from helpers.style import transfer as style
from helpers.style.transfer import (
    Content,
    Style,
    content_of,
    gram,
    paint,
    painting_colors,
    style_extractor,
    style_of,
    texture,
)
from tests.conftest import tiny_cnn

SEED = 4
RUN = {"step_sizes": np.full(3, 0.05), "octaves": 1}


@pytest.fixture(scope="module")
def features():
    return style_extractor(tiny_cnn())


@pytest.fixture(scope="module")
def colored_features():
    return style_extractor(tiny_cnn(channels=3), ["first"])


def picture(height=56, width=64, channels=3, seed=SEED):
    """A smooth random picture in pixel space."""
    noise = np.random.default_rng(seed).uniform(0, 1, (height // 4, width // 4, channels))
    return np.kron(noise, np.ones((4, 4, 1))).astype(np.float32)


def test_a_gram_matrix_by_hand():
    maps = np.random.default_rng(0).uniform(0, 1, (2, 3, 4, 5)).astype(np.float32)
    by_hand = np.zeros((2, 5, 5))
    for row in range(3):
        for column in range(4):
            by_hand += maps[:, row, column, :, None] * maps[:, row, column, None, :] / 12
    np.testing.assert_allclose(gram(maps, np.ones((1, 3, 4, 1), np.float32)), by_hand, rtol=1e-5)


def test_a_gram_matrix_forgets_the_places_and_heeds_the_mask():
    maps = np.random.default_rng(0).uniform(0, 1, (1, 4, 4, 3)).astype(np.float32)
    everywhere, left = np.ones((1, 4, 4, 1), np.float32), np.zeros((1, 4, 4, 1), np.float32)
    left[:, :, :2] = 1
    np.testing.assert_allclose(gram(maps[:, ::-1], everywhere), gram(maps, everywhere), rtol=1e-5)
    np.testing.assert_allclose(gram(maps, left), gram(maps[:, :, :2], everywhere[:, :, :2]), rtol=1e-5)
    assert not np.allclose(gram(maps, left), gram(maps, everywhere), rtol=1e-2)


def test_the_painting_itself_has_no_style_loss_and_the_photo_no_content_loss(features):
    painting, other = picture(), picture(seed=5)
    texture_of = style_of(features, painting, (56, 64), levels=2)
    forms = content_of(features, painting)
    both = tf.constant(style.gray(np.stack([painting, other])))
    np.testing.assert_allclose(texture_of(both)[0], 0, atol=1e-6)
    np.testing.assert_allclose(forms(both)[0], 0, atol=1e-6)
    assert texture_of(both)[1] < -1e-3 and forms(both)[1] < -0.1


def test_light_that_changes_slowly_is_no_style(features):
    flat, slope = picture(112, 112, 1) / 2, np.linspace(0, 0.4, 112, dtype=np.float32)[:, None, None]
    texture_of = style_of(features, flat, (112, 112), levels=1)
    assert abs(texture_of(tf.constant((flat + slope)[None]))[0]) < 0.05 * abs(texture_of(tf.zeros((1, 112, 112, 1)))[0])


@pytest.mark.parametrize("wish", ["style", "content"])
def test_climbing_an_objective_raises_it(features, wish):
    objective = style_of(features, picture(), (56, 64), 2) if wish == "style" else content_of(features, picture())
    climbed = ascend(objective, style.gray(picture(seed=5)[None]), np.geomspace(0.1, 0.01, 8), clip)
    assert climbed.values[-1] > 0.7 * climbed.values[0]  # both are below 0
    assert climbed.images.min() >= 0 and climbed.images.max() <= 1


def test_windows_say_what_the_whole_picture_says_and_give_its_gradient(features, monkeypatch):
    images = tf.constant(picture(240, 300, 1)[None])
    objective = style_of(features, picture(112, 112), (240, 300), 1)

    def value_and_gradient():
        with tf.GradientTape() as tape:
            tape.watch(images)
            value = objective(images)
        return value.numpy(), tape.gradient(value, images).numpy()

    whole, slope = value_and_gradient()
    monkeypatch.setattr(style, "LARGEST", 160)
    monkeypatch.setattr(style, "SHARED", 64)
    assert len(style._windows(240)) == 2 and len(style._windows(300)) == 3
    windowed, other = value_and_gradient()
    np.testing.assert_allclose(windowed, whole, rtol=0.02)
    assert np.corrcoef(slope.ravel(), other.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("length", [641, 1120, 1153, 2240])
def test_windows_cover_every_pixel_once(length):
    owners = np.zeros(length)
    for place, own in style._windows(length):
        assert place.stop - place.start == len(own) < style.LARGEST + style.BLOCK
        owners[place] += own
    np.testing.assert_allclose(owners, 1, atol=1e-6)


def test_a_painted_photo_nears_the_style_and_stays_in_range(features):
    photo, painting = picture(), np.float32(np.indices((56, 64))[1] % 6 < 3)[..., None]
    steps = {"step_sizes": np.full(8, 0.05), "octaves": 1, "smoothness": 0}
    pictures = list(paint(features, photo, painting, forms=0, **steps))
    assert len(pictures) == 9 and all(one.shape == photo.shape and one.dtype == np.float32 for one in pictures)
    assert min(one.min() for one in pictures) >= 0 and max(one.max() for one in pictures) <= 1
    np.testing.assert_allclose(pictures[0], photo, atol=1e-6)
    wanted = style_of(features, painting, (56, 64), 2)
    before, after = wanted(style.gray(np.stack([photo, pictures[-1]])))
    assert after > 0.8 * before


def test_the_photo_keeps_its_colors_and_what_the_mask_hides(features):
    photo = 0.4 + 0.2 * picture()
    mask = np.zeros((56, 64, 1), np.float32)
    mask[:28] = 1
    *_, painted = paint(features, photo, picture(seed=5), mask=mask, **RUN)
    np.testing.assert_array_equal(painted[28:], photo[28:])
    assert np.abs(painted[:28] - photo[:28]).max() > 0.01
    change = painted - photo
    inside = (painted > 0).all(axis=2) & (painted < 1).all(axis=2)
    np.testing.assert_allclose(change[inside][:, 0], change[inside][:, 1], atol=1e-5)


def test_larger_octaves_carry_on_what_smaller_ones_painted(features):
    pictures = list(paint(features, picture(112, 112), picture(112, 112), **{**RUN, "octaves": 2}))
    assert len(pictures) == 8
    np.testing.assert_allclose(pictures[4], pictures[3], atol=0.03)


def test_a_network_of_colors_paints_in_colors(colored_features):
    *_, painted = paint(colored_features, 0.3 + 0.4 * picture(), picture(seed=5), **RUN)
    change = painted - (0.3 + 0.4 * picture())
    assert np.abs(change[..., 0] - change[..., 1]).max() > 0.01


def test_a_texture_needs_no_photo_and_follows_from_its_seed(features):
    first, again, other = (list(texture(features, picture(), 56, seed, **RUN))[-1] for seed in (1, 1, 2))
    assert first.shape == (56, 56, 1)
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert np.abs(first - other).max() > 0.01


def test_stop_keeps_the_picture_that_is_there(features):
    pressed, pictures = [], []
    with stoppable(lambda: bool(pressed)), pytest.raises(KeyboardInterrupt):
        for one in paint(features, picture(), picture(seed=5), **{**RUN, "step_sizes": np.full(40, 0.05)}):
            pictures.append(one)
            pressed.append(1)
    assert len(pictures) < 41 and np.isfinite(pictures[-1]).all() and np.abs(pictures[-1] - picture()).max() > 0.01


def test_the_palette_of_the_painting_is_its_mean_and_covariance():
    photo, painting = 0.4 + 0.1 * picture(), 0.4 + 0.2 * picture(seed=5) ** 2
    moved = painting_colors(photo, painting).reshape(-1, 3)
    np.testing.assert_allclose(moved.mean(axis=0), painting.reshape(-1, 3).mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(painting.reshape(-1, 3).T), atol=1e-4)
    np.testing.assert_allclose(painting_colors(photo, photo), photo, atol=1e-2)
    assert np.isfinite(painting_colors(np.full((30, 30, 3), 0.5, np.float32), painting)).all()


def test_an_objective_of_another_painting_is_no_other_compilation(features):
    kinds = [type(one(features, picture(seed=seed), *size)) for seed in (1, 2)
             for one, size in ((style_of, [(56, 64), 2]), (content_of, []))]
    assert set(kinds) == {Style, Content}
    first, second = (style_of(features, picture(seed=seed), (56, 64), 2) for seed in (1, 2))
    assert tf.nest.map_structure(lambda one: getattr(one, "shape", one), first) == tf.nest.map_structure(
        lambda one: getattr(one, "shape", one), second)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"photo": picture() * 255}, "pixel space is 0..1"),
    ({"photo": picture(24, 24)}, "the photo has 24 x 24 pixels; it needs 56 along each edge"),
    ({"painting": picture(24, 24)}, "the painting has 24 x 24 pixels"),
    ({"forms": -1}, "forms -1 is out of range"),
    ({"smoothness": np.nan}, "smoothness nan is out of range"),
    ({"octaves": 0}, "octaves 0 is out of range"),
    ({"mask": np.zeros((56, 64, 1))}, "goes up to 0; give"),
    ({"mask": np.ones((20, 20, 1))}, "the mask has 20 x 20 pixels, the photo 56 x 64"),
    ({"colors": painting_colors, "painting": picture(channels=1)}, "a palette needs 3 in both"),
])  # fmt: skip
def test_what_cannot_be_painted_is_refused_in_one_sentence(features, change, sentence):
    arguments = {"photo": picture(), "painting": picture(seed=5), **RUN, **change}
    with pytest.raises(ValueError, match=sentence) as refused:
        next(paint(features, **arguments))
    assert "\n" not in str(refused.value)


def test_an_unknown_layer_and_too_many_levels_are_refused(features):
    with pytest.raises(ValueError, match="'Conv2D3' is unknown; choose 'first' or"):
        style_extractor(tiny_cnn(), ["Conv2D3"])
    with pytest.raises(ValueError, match=r"size \(56, 64\) is too small for 3 levels; it needs 112"):
        style_of(features, picture(224, 224), (56, 64), 3)
