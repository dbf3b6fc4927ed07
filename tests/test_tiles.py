"""dreams: what carving tiles, regions and octaves promises."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import ascent, dreams
from helpers.activations import feature_extractor
from helpers.dreams import (
    carve,
    carve_octaves,
    carve_region,
    carve_tiles,
    listed_maps,
    random_maps,
    same_map,
    strongest_maps,
)
from helpers.geometry import any_size
from helpers.images import cut_tiles, standardize
from helpers.objectives import Channels, WholeLayer
from tests.conftest import picture

STEPS = np.full(3, 0.1)
NO_STEPS = STEPS[:0]
MAPS = 5


def small_cnn():
    """A random CNN: images (28, 28, 1) -> conv -> pool -> conv `MAPS` -> dense 3."""
    start = [keras.initializers.HeNormal(seed=layer) for layer in range(3)]
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(3, 3, activation="relu", kernel_initializer=start[0], name="first"),
        keras.layers.MaxPooling2D(2, name="pool"),
        keras.layers.Conv2D(MAPS, 3, activation="relu", kernel_initializer=start[1], name="second"),
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(3, kernel_initializer=start[2], name="output"),
    ])


@pytest.fixture(scope="module")
def features():
    return feature_extractor(small_cnn(), "second")


@pytest.fixture(scope="module")
def wide():
    """The whole second layer for images of any size."""
    return WholeLayer(feature_extractor(any_size(small_cnn()), "second"))


def last(photos):
    *_, photo = photos
    return photo


def rms(difference):
    return float(np.sqrt(np.mean(np.square(difference))))


class Watched:
    """An aim that remembers the tiles and numbers it was asked about."""

    def __init__(self, aim):
        self.aim, self.starts, self.numbers, self.indices = aim, [], [], []

    def __call__(self, starts, numbers):
        objective = self.aim(starts, numbers)
        self.starts.append(starts)
        self.numbers.append(list(numbers))
        self.indices.append(np.asarray(objective.indices).tolist())
        return objective


# ---------------------------------------------------------------- tiles


@pytest.mark.parametrize("tiles", [1, 2, 4, (2, 3), (3, 1)])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.75])
@pytest.mark.parametrize("shape", [(120, 120, 3), (131, 157, 1)])
def test_without_steps_the_photo_comes_back_from_every_grid(features, tiles, overlap, shape):
    photo = picture(*shape)
    dream = last(carve_tiles(same_map(features, 2), photo, tiles, 2, NO_STEPS, overlap=overlap,
                             offsets=np.random.default_rng(1)))
    assert dream.shape == photo.shape and rms(dream - photo) < 1e-5


def test_with_steps_or_strength_the_photo_changes_and_without_strength_it_does_not(features):
    photo = picture()
    assert rms(last(carve_tiles(same_map(features, 2), photo, 2, 1, STEPS)) - photo) > 1e-3
    assert rms(last(carve_tiles(same_map(features, 2), photo, 2, 1, STEPS, strength=0)) - photo) < 1e-6
    assert list(carve_tiles(same_map(features, 2), photo, 2, passes=0)) == []


@pytest.mark.parametrize("overlap", [0, 0.5])
def test_a_constant_photo_stays_as_it_is(features, overlap):
    photo = np.full((60, 90, 3), 0.4, np.float32)
    np.testing.assert_allclose(last(carve_tiles(same_map(features, 1), photo, 2, 3, STEPS, overlap=overlap)), photo,
                               atol=1e-5)


def test_one_tile_is_the_whole_photo(features):
    photo = picture(100, 100)
    np.testing.assert_allclose(last(carve_tiles(same_map(features, 3), photo, 1, 2, STEPS)),
                               last(carve(Channels(features, [3]), photo, 2, STEPS)), atol=1e-5)


@pytest.mark.parametrize("contrast", [1, 0.02])
def test_tiles_with_hard_edges_keep_mean_and_deviation_even_faint_ones(features, contrast):
    photo = 0.5 + contrast * (picture(112, 112, 1) - 0.5)  # (112, 112, 1): tiles of 28 are not shrunk at all
    dream = last(carve_tiles(same_map(features, 3), photo, 4, 2, STEPS, overlap=0))
    before, after = (cut_tiles(image, (28, 28), (28, 28)) for image in (photo, dream))
    deviations = before.std(axis=(1, 2, 3))
    assert np.abs(after.mean(axis=(1, 2, 3)) - before.mean(axis=(1, 2, 3))).max() < 0.01 * deviations.min()
    np.testing.assert_allclose(after.std(axis=(1, 2, 3)), deviations, rtol=0.01)
    assert rms(dream - photo) > 0.01 * contrast


def test_blended_tiles_drift_much_less_than_blending_alone_makes_them(features, monkeypatch):
    photo = picture(160, 160, 1)

    def drifts():
        dream = last(carve_tiles(strongest_maps(features), photo, 4, 2, STEPS, offsets=np.random.default_rng(2)))
        before, after = (cut_tiles(image, (40, 40), (40, 40)) for image in (photo, dream))
        return [np.abs(after.mean(axis=(1, 2, 3)) - before.mean(axis=(1, 2, 3))).mean(),
                np.abs(after.std(axis=(1, 2, 3)) - before.std(axis=(1, 2, 3))).mean()]

    kept = drifts()
    monkeypatch.setattr(dreams, "_with_moments_of", lambda model, images, around: images)
    assert (np.array(kept) < 0.5 * np.array(drifts())).all()


def seam(change, borders):
    """How much the change jumps from column to column at the borders, over how much it does beside them."""
    jumps, at = np.abs(np.diff(change, axis=1)).mean(axis=(0, 2)), np.array(borders) - 1
    return jumps[at].mean() / np.mean([jumps[at - 1], jumps[at + 1]])


@pytest.mark.parametrize("offsets", [None, np.random.default_rng(5)])
def test_blending_leaves_no_seam_where_hard_edges_leave_one(features, monkeypatch, offsets):
    ramp = np.linspace(-1, 1, 28)[:, None, None] + np.linspace(-1, 1, 28)[:, None]  # a tile ends where none begins

    def climbed(objective, images, *rest, **options):
        return standardize(images + ramp)

    monkeypatch.setattr(dreams, "last_images", climbed)
    down, right = np.mgrid[:160, :160, :1][:2]
    photo = np.float32(0.5 + 0.2 * np.sin(down / 3) * np.sin(right / 3))
    aim, borders = same_map(features, 0), (40, 80, 120)
    hard = seam(last(carve_tiles(aim, photo, 4, 1, overlap=0)) - photo, borders)
    blended = seam(last(carve_tiles(aim, photo, 4, 1, overlap=0.5, offsets=offsets)) - photo, borders)
    assert blended < 1.5 < 10 < hard


def test_all_tiles_of_a_level_climb_as_one_batch(features, monkeypatch):
    batches = []
    last_images = dreams.last_images
    monkeypatch.setattr(dreams, "last_images", lambda objective, images, *rest, **options:
                        (batches.append(len(images)), last_images(objective, images, *rest, **options))[1])
    last(carve_tiles(same_map(features, 0), picture(), 4, 1, STEPS, overlap=0))
    last(carve_tiles(same_map(features, 0), picture(), 2, 2, STEPS, overlap=0.5))
    assert batches == [16, 9, 9]


def test_many_tiles_go_in_batches_of_bounded_size_that_change_nothing(features, monkeypatch):
    photo, aim = picture(), Watched(listed_maps(features, range(MAPS)))
    at_once = last(carve_tiles(listed_maps(features, range(MAPS)), photo, 3, 1, STEPS))
    monkeypatch.setattr(dreams, "TILES_AT_ONCE", 7)
    np.testing.assert_allclose(last(carve_tiles(aim, photo, 3, 1, STEPS)), at_once, atol=1e-5)
    assert [len(starts) for starts in aim.starts] == [7, 7, 7, 4]
    assert sum(aim.numbers, []) == list(range(25))
    assert sum(aim.indices, []) == [number % MAPS for number in range(25)]


def test_colors_are_kept(features):
    photo = picture()
    dream = last(carve_tiles(same_map(features, 2), photo, 2, 1, STEPS))
    change = dream - photo
    np.testing.assert_allclose(change - change[..., :1], 0, atol=1e-5)


def test_offsets_move_the_grid_and_the_same_seed_moves_it_the_same_way(features):
    photo, aim = picture(), same_map(features, 2)
    first, again, other = (last(carve_tiles(aim, photo, 3, 2, STEPS, offsets=np.random.default_rng(seed)))
                           for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert rms(first - other) > 1e-4


def test_each_pass_is_yielded_and_the_argument_is_left_as_it_was(features):
    photo = picture()
    before = photo.copy()
    passes = list(carve_tiles(same_map(features, 2), photo, 2, 3, STEPS))
    assert len(passes) == 3 and rms(passes[2] - passes[1]) > 1e-4
    assert len(list(carve_region(Channels(features, [0]), photo, (0, 0, 60, 60), 2, STEPS))) == 2
    np.testing.assert_array_equal(photo, before)


# ---------------------------------------------------------------- aims


def test_aims_choose_the_maps_they_promise(features):
    starts = standardize(np.random.default_rng(3).standard_normal((8, 28, 28, 1)).astype(np.float32))
    numbers = np.arange(4, 12)

    def chosen(aim):
        return np.asarray(aim(starts, numbers).indices).tolist()

    assert chosen(same_map(features, 3)) == [3] * 8
    assert chosen(listed_maps(features, [4, 0, 1])) == [0, 1, 4, 0, 1, 4, 0, 1]
    maps = features(starts).numpy()  # (8, height, width, MAPS)
    answers = np.array([[one[..., index].mean() for index in range(MAPS)] for one in maps])
    assert chosen(strongest_maps(features)) == answers.argmax(axis=1).tolist()
    drawn = chosen(random_maps(features, 7))
    assert drawn == chosen(random_maps(features, 7)) != chosen(random_maps(features, 8))
    assert set(drawn) <= set(range(MAPS)) and len(set(drawn)) > 1
    assert np.asarray(random_maps(features, 7)(starts[:2], numbers[3:5]).indices).tolist() == drawn[3:5]


# ---------------------------------------------------------------- one region


def test_a_region_is_carved_and_nothing_outside_changes(features):
    photo = picture(90, 140)
    dream = last(carve_region(Channels(features, [2]), photo, (20, 50, 60, 40), 2, STEPS))
    change = np.abs(dream - photo).max(axis=-1)
    inside = change[20:80, 50:90]
    assert inside[30, 20] > 1e-3 and inside[0].max() < 0.05 * inside.max()  # faded at its edge
    change[20:80, 50:90] = 0
    assert change.max() == 0
    untouched = last(carve_region(Channels(features, [2]), photo, (20, 50, 60, 40), 2, NO_STEPS, feather=0))
    assert rms(untouched - photo) < 1e-5


def test_a_region_as_large_as_the_photo_with_a_hard_edge_is_carve(features):
    photo = picture(80, 90)
    np.testing.assert_allclose(last(carve_region(Channels(features, [2]), photo, (0, 0, 80, 90), 2, STEPS, feather=0)),
                               last(carve(Channels(features, [2]), photo, 2, STEPS)), atol=1e-5)


# ---------------------------------------------------------------- octaves


@pytest.mark.parametrize("shape", [(60, 60, 3), (61, 97, 3), (84, 59, 1), (28, 28, 1)])
def test_octaves_take_any_size_and_give_the_photo_back_without_steps_or_strength(wide, shape):
    photo, octaves = picture(*shape), 1 if shape[0] == 28 else 2
    for options in ({"step_sizes": NO_STEPS}, {"step_sizes": STEPS, "strength": 0}):
        dream = last(carve_octaves(wide, photo, octaves, **options))
        assert dream.shape == photo.shape and rms(dream - photo) < 1e-5
    assert rms(last(carve_octaves(wide, photo, octaves, step_sizes=STEPS)) - photo) > 1e-3


def test_octaves_come_from_coarse_to_fine_in_the_promised_sizes(wide, monkeypatch):
    sizes = []
    last_images = dreams.last_images
    monkeypatch.setattr(dreams, "last_images", lambda objective, images, *rest, **options:
                        (sizes.append(images.shape), last_images(objective, images, *rest, **options))[1])
    assert len(list(carve_octaves(wide, picture(100, 121), 3, 1.5, STEPS))) == 3
    assert sizes == [(1, 44, 54, 1), (1, 67, 81, 1), (1, 100, 121, 1)]


def test_the_objective_grows_with_every_octave_climbed(wide):
    photo = picture(90, 90, 1)
    dream = last(carve_octaves(wide, photo, 2, step_sizes=np.full(5, 0.1)))
    assert wide(standardize(dream[None])).numpy() > wide(standardize(photo[None])).numpy()


def test_flat_regions_stay_quiet_and_a_constant_photo_stays_as_it_is(wide):
    photo = picture(120, 200, 3)
    photo[:, :100] = 0.5
    change = np.abs(last(carve_octaves(wide, photo, 2, step_sizes=STEPS)) - photo)
    assert change[:, :50].max() < 1e-3 < change[:, 140:].mean()
    assert change[:, :50].mean() < 0.01 * change[:, 140:].mean()
    even = np.full((50, 60, 3), 0.3, np.float32)
    np.testing.assert_allclose(last(carve_octaves(wide, even, 1, step_sizes=STEPS)), even, atol=1e-5)


def test_a_large_octave_climbs_in_windows_of_bounded_size_without_seams(wide, monkeypatch):
    photo = picture(150, 210, 1)
    whole = last(carve_octaves(wide, photo, 1, step_sizes=STEPS))
    sizes = []
    last_images = dreams.last_images
    monkeypatch.setattr(dreams, "last_images", lambda objective, images, *rest, **options:
                        (sizes.append(images.shape), last_images(objective, images, *rest, **options))[1])
    dream = last(carve_octaves(wide, photo, 1, step_sizes=STEPS, largest=100))
    assert len(sizes) == 6 and max(max(size) for size in sizes) <= 100
    assert np.corrcoef((dream - photo).ravel(), (whole - photo).ravel())[0, 1] > 0.7
    changes = (np.abs(np.diff(image - photo, axis=1)).mean(axis=(0, 2)) for image in (dream, whole))
    assert next(changes).max() < 1.3 * next(changes).max()  # no column stands out
    untouched = last(carve_octaves(wide, photo, 1, step_sizes=NO_STEPS, largest=100))
    assert rms(untouched - photo) < 1e-5


@pytest.mark.parametrize("pixels, edge", [(79 * 90, 40), (80 * 90, 90)])
def test_a_photo_of_many_pixels_is_dreamt_in_smaller_windows(wide, monkeypatch, pixels, edge):
    monkeypatch.setattr(dreams, "MANY_PIXELS", pixels)
    monkeypatch.setattr(dreams, "SMALLER", 40)
    edges, last_images = [], dreams.last_images
    monkeypatch.setattr(dreams, "last_images", lambda objective, images, *rest, **options:
                        (edges.append(max(images.shape)), last_images(objective, images, *rest, **options))[1])
    last(carve_octaves(wide, picture(80, 90, 1), 1, step_sizes=STEPS[:1]))
    assert edge - 5 <= max(edges) <= edge


# ---------------------------------------------------------------- what is refused


def test_bad_input_is_one_clear_error(features, wide):
    photo, aim, objective = picture(60, 90), same_map(features, 0), Channels(features, [0])
    broken = photo.copy()
    broken[3, 4, 1] = np.nan
    refused = {
        "do(es)? not fit": [carve_tiles(aim, photo, wrong) for wrong in (0, -1, 3, 2.0, (2, 4), (3, 1), True)],
        "overlap .* out of range": [carve_tiles(aim, photo, overlap=wrong) for wrong in (-0.1, 0.8, np.nan)],
        "NaN": [carve_tiles(aim, broken), carve_region(objective, broken, (0, 0, 30, 30)), carve_octaves(wide, broken)],
        "needs 28": [carve_tiles(aim, photo[:27]), carve_region(objective, photo, (0, 0, 27, 40)),
                     carve_octaves(wide, photo[:, :20])],
        "has shape": [carve_tiles(aim, photo[..., 0]), carve_octaves(wide, photo[..., :2])],
        "passes": [carve_tiles(aim, photo, passes=-1), carve_tiles(aim, photo, passes=1.5)],
        "strength": [carve_tiles(aim, photo, strength=-1), carve_octaves(wide, photo, strength=np.inf)],
        "beyond the photo": [carve_region(objective, photo, (40, 0, 30, 30))],
        "region .* does not fit": [carve_region(objective, photo, wrong) for wrong in ((-1, 0, 30, 30), None, "a")],
        "feather": [carve_region(objective, photo, (0, 0, 30, 30), feather=0.6)],
        "scale .* out of range": [carve_octaves(wide, photo, scale=wrong) for wrong in (1, 0.5, -1, np.nan)],
        "28 pixels or more": [carve_octaves(wide, photo, octaves=9)],
    }
    for sentence, calls in refused.items():
        for call in calls:
            with pytest.raises(ValueError, match=sentence):
                next(call)


def test_a_map_that_does_not_exist_is_refused(features):
    with pytest.raises(ValueError, match="does not exist"):
        next(carve_tiles(same_map(features, MAPS), picture(), 2, 1, STEPS))


def test_many_tiles_and_octaves_cost_no_new_compilation(features):
    traces = ascent._step.experimental_get_tracing_count
    last(carve_tiles(same_map(features, 1), picture(), 2, 1, STEPS))
    last(carve_tiles(same_map(features, 1), picture(), 3, 1, STEPS))
    before = traces()
    last(carve_tiles(same_map(features, 4), picture(seed=3), 4, 2, STEPS))
    assert traces() == before and tf.executing_eagerly()
