"""training: digits are moved as promised, training learns, and what goes wrong costs nothing."""

import dataclasses
import json
import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers.images import standardize
from helpers.training import (
    KeepBest,
    Recipe,
    _augmented,
    _Student,
    accuracy,
    augment,
    coarser,
    dead_maps,
    fit,
    leave,
    rate_schedule,
    train_cnn,
    worst_case,
)
from tests.conftest import bars, tiny_cnn

EPOCHS = 4
BATCHES = 6  # per epoch, of 32 images


def train(model, validation, **options):
    options = {"epochs": EPOCHS, "batch_size": 32, "verbose": 0} | options
    return train_cnn(model, *bars(32 * BATCHES, seed=1), validation, **options)


@pytest.fixture(scope="module")
def trained():
    """A tiny model trained on bars, and the history; a warning would soil a notebook, so it counts as a failure."""
    model = tiny_cnn()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return model, train(model, bars(60, seed=2), seed=3)


@pytest.fixture(scope="module")
def misled():
    """Validation images with wrong labels: the better a model is, the lower its val_accuracy."""
    images, labels = bars(60, seed=2)
    return images, (labels + 1) % 3


@pytest.fixture
def eagerly():
    """Three batches are sooner trained than compiled."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


# ---------------------------------------------------------------- the schedule and the moves


def test_the_rate_warms_up_for_15_percent_of_the_steps_and_cools_to_zero():
    rates = np.array([rate_schedule(200, 0.4)(step) for step in range(201)])
    assert rates[0] == pytest.approx(0.02) and rates.argmax() == 30 and rates[30] == pytest.approx(0.4)
    assert rates[115] == pytest.approx(0.2) and rates[200] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[:31]) > 0).all() and (np.diff(rates[30:]) < 0).all()


def test_a_training_of_very_few_steps_has_a_rate_too():
    assert all(0 < rate_schedule(steps, 0.05)(0) <= 0.05 for steps in (1, 2, 7))


def test_moved_images_are_in_model_space_and_decided_by_the_seed():
    images, _ = bars(6, seed=0)
    before = images.copy()
    moved = augment(images, seed=5)
    assert isinstance(moved, np.ndarray) and moved.shape == images.shape and moved.dtype == np.float32
    np.testing.assert_allclose(moved.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(moved.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    np.testing.assert_array_equal(moved, augment(tf.constant(images), seed=5))
    assert np.abs(moved - augment(images, seed=6)).mean() > 0.01
    np.testing.assert_array_equal(images, before)


def test_no_move_gives_the_images_back():
    images, _ = bars(6, seed=0)
    np.testing.assert_allclose(augment(images, 1, turn=0, zoom=0, shift=0), images, atol=1e-4)


def test_moves_stay_within_what_is_asked_for():
    dot = np.zeros((200, 21, 21, 1), np.float32)
    dot[:, 10, 10] = 1
    bar = np.zeros((200, 21, 21, 1), np.float32)
    bar[:, 10, 3:18] = 1
    assert np.abs(_center(augment(dot, 1, shift=0)) - 10).max() < 0.3  # turned and scaled about the middle
    shifts = _center(augment(dot, 1, turn=0, zoom=0, shift=0.2)) - 10
    assert np.abs(shifts).max() <= 0.2 * 21 + 0.01 and np.abs(shifts).max(axis=0).min() > 0.15 * 21
    angles = _angle(augment(bar, 1, turn=20, zoom=0, shift=0))
    assert np.abs(angles).max() <= 21 and angles.min() < -15 and angles.max() > 15


def _ink(images):
    """The images as weights that sum to 1, the background being 0."""
    ink = images[..., 0] - images.min(axis=(1, 2, 3))[:, None, None]
    return ink / ink.sum(axis=(1, 2), keepdims=True)


def _center(images):
    """Row and column of the center of mass, (n, 2)."""
    places = np.arange(images.shape[1])
    return np.stack([_ink(images).sum(axis=2) @ places, _ink(images).sum(axis=1) @ places], axis=1)


def _angle(images):
    """Of the long axis of the ink with the rows, in degrees."""
    place = np.arange(images.shape[1]) - (images.shape[1] - 1) / 2
    ink = _ink(images)
    yy, xx, xy = ((ink * moment).sum(axis=(1, 2)) for moment in
                  (place[:, None] ** 2, place[None, :] ** 2, place[:, None] * place[None, :]))
    return np.degrees(np.arctan2(2 * xy, xx - yy) / 2)


# ---------------------------------------------------------------- training


def test_training_learns(trained):
    model, history = trained
    assert history["val_accuracy"][-1] > 0.9 and history["loss"][-1] < 0.5 * history["loss"][0]
    assert accuracy(model, *bars(90, seed=9)) > 0.9
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ["loss", "accuracy", "val_loss", "val_accuracy"], EPOCHS
    )


def test_the_same_seed_trains_the_same_way_and_another_differently(trained):
    for seed, same in ((3, True), (4, False)):
        history = train(tiny_cnn(), bars(60, seed=2), seed=seed, epochs=EPOCHS)
        assert np.allclose(history["loss"], trained[1]["loss"], rtol=1e-3) is same


def test_the_seed_shuffles_and_moves_and_every_epoch_anew():
    def epochs(images, seed):
        batches = _augmented(images, np.arange(len(images)), 40, seed)
        return [next(iter(batches)) for _ in range(2)]

    images, _ = bars(40, seed=1)
    for what, given in ((1, images), (0, images[:1])):  # 1: the order of the labels, 0: how one digit is moved
        (first, second), (same, _), (other, _) = (epochs(given, seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first[what], same[what])
        assert not np.allclose(first[what], other[what]) and not np.allclose(first[what], second[what])


def test_the_order_of_digits_is_that_of_the_seed_whatever_global_seed_another_cell_has_set():
    images, labels = bars(60, seed=1)
    fresh = [labels.numpy() for _, labels in _augmented(images, labels, 20, seed=4)]
    tf.random.set_seed(5)
    np.testing.assert_array_equal([labels.numpy() for _, labels in _augmented(images, labels, 20, seed=4)], fresh)


def test_training_keeps_the_best_epoch_and_leaves_the_digits_as_they_are(misled):
    images, labels = bars(96, seed=1)
    copies = images.copy(), labels.copy(), misled[0].copy(), misled[1].copy()
    model = tiny_cnn()
    history = train_cnn(model, images, labels, misled, epochs=EPOCHS, batch_size=32, verbose=0)
    assert max(history["val_accuracy"]) > history["val_accuracy"][-1]  # or the test could not fail
    assert accuracy(model, *misled) == pytest.approx(max(history["val_accuracy"]), abs=1e-6)
    for now, before in zip((images, labels, *misled), copies):
        np.testing.assert_array_equal(now, before)


def test_a_killed_training_goes_on_from_its_last_full_epoch(misled, tmp_path):
    batches = []

    def pull_the_plug():
        batches.append(1)
        if len(batches) == 2 * BATCHES + 3:  # amid the third epoch
            raise RuntimeError("killed")

    def disturb(images, labels):
        with tf.control_dependencies([tf.py_function(pull_the_plug, [], [])]):
            return tf.identity(images)

    with pytest.raises(Exception, match="killed"):
        train(tiny_cnn(), misled, backup=tmp_path / "backup", disturb=disturb, peak_rate=0.01)
    again = tiny_cnn(seed=1)
    history = train(again, misled, backup=tmp_path / "backup", disturb=disturb, peak_rate=0.01)
    assert len(batches) == 2 * BATCHES + 3 + 2 * BATCHES  # epochs 3 and 4 only
    assert [len(values) for values in history.values()] == [EPOCHS] * 4
    assert history["loss"][2] < 0.8 * history["loss"][0]  # it went on from learned weights
    assert max(history["val_accuracy"][:2]) > max(history["val_accuracy"][2:])  # or the next line could not fail
    assert accuracy(again, *misled) == pytest.approx(max(history["val_accuracy"]), abs=1e-6)
    weights = again.get_weights()
    third = tiny_cnn(seed=2)
    assert train(third, misled, backup=tmp_path / "backup", disturb=disturb, peak_rate=0.01) == history
    assert len(batches) == 4 * BATCHES + 3  # nothing is trained again, in case it was killed before it was saved
    for own, kept in zip(third.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(own, kept)


def test_a_training_that_went_on_knows_its_momentum_and_its_place_in_the_schedule(tmp_path):
    images, labels = bars(96, seed=1)
    student = _Student(tiny_cnn(), leave, 0.0, 0.0)
    student.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    keep = KeepBest(student, {"epochs": 2}, tmp_path)
    student.optimizer.build(student.trainable_variables)
    student.optimizer.apply_gradients((tf.ones_like(v), v) for v in student.trainable_variables)
    keep.on_epoch_end(0, {"val_accuracy": 0.5})
    other = _Student(tiny_cnn(seed=1), leave, 0.0, 0.0)
    other.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    again = KeepBest(other, {"epochs": 2}, tmp_path)
    assert again.done == 1 and int(other.optimizer.iterations) == 1
    for own, kept in zip(other.optimizer.variables, student.optimizer.variables, strict=True):
        np.testing.assert_array_equal(own, kept)
    np.testing.assert_array_equal(other.cnn(images[:2]), student.cnn(images[:2]))


def test_a_kill_while_the_state_is_written_leaves_the_old_state_whole(tmp_path, monkeypatch):
    history = train(tiny_cnn(), bars(60, seed=2), epochs=2, backup=tmp_path)

    def half(path, **arrays):
        with open(path, "wb") as file:
            file.write(b"PK half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    student = _Student(tiny_cnn(), leave, 0.0, 0.0)
    student.compile(keras.optimizers.SGD(0.1))
    settings = json.loads(str(np.load(tmp_path / "state.npz")["about"]))[0]
    keep = KeepBest(student, settings, None)
    keep.path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        keep.on_epoch_end(0, {"val_accuracy": 0.5})
    monkeypatch.undo()
    assert train(tiny_cnn(), bars(60, seed=2), epochs=2, backup=tmp_path) == history


def test_the_backup_of_another_training_or_a_damaged_one_is_refused_in_one_sentence(tmp_path):
    train(tiny_cnn(), bars(60, seed=2), epochs=1, backup=tmp_path)
    before = (tmp_path / "state.npz").read_bytes()
    for other, named in ((tiny_cnn(maps=6), {}), (tiny_cnn(), {"seed": 9})):
        with pytest.raises(ValueError, match=f"another training .other {'seed' if named else 'weights'}.; remove it"):
            train(other, bars(60, seed=2), epochs=1, backup=tmp_path, **named)
    assert (tmp_path / "state.npz").read_bytes() == before
    (tmp_path / "state.npz").write_bytes(before[:1000])
    with pytest.raises(ValueError, match="state.npz' cannot be read; remove it"):
        train(tiny_cnn(), bars(60, seed=2), epochs=1, backup=tmp_path)


@pytest.mark.parametrize("decay, shrunk", [("weight_decay", {"output"}), ("conv_decay", {"first", "second"})])
def test_each_weight_decay_shrinks_its_own_kernels_and_no_others(decay, shrunk, eagerly):
    images, labels = bars(32, seed=0)
    models = tiny_cnn(), tiny_cnn()
    for model, strength in zip(models, (0.0, 5.0)):
        options = {"weight_decay": 0.0, "verbose": 0, decay: strength}
        train_cnn(model, images, labels, (images, labels), epochs=1, batch_size=32, **options)
    plain, decayed = ({layer.name: layer.get_weights() for layer in model.layers} for model in models)
    for name in ("first", "second", "output"):
        ratio = np.square(decayed[name][0]).sum() / np.square(plain[name][0]).sum()
        assert ratio < 0.99 if name in shrunk else ratio == pytest.approx(1, abs=1e-5)


def with_nan(images):
    images = images.copy()
    images[3, 2, 2] = np.nan
    return images


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": lambda labels: labels[:-1]}, "32 images need one label each"),
        ({"images": lambda images: images[:0], "labels": lambda labels: labels[:0]}, "no image in them"),
        ({"images": with_nan}, "images hold NaN"),
        ({"images": lambda images: images[:, 2:]}, r"the network sees \(n, 12, 12, 1\)"),
        ({"labels": lambda labels: labels + 0.5}, "labels hold 0.5"),
        ({"labels": lambda labels: labels + 1}, "labels hold 3"),
        ({"labels": lambda labels: np.eye(3)[labels]}, "argmax"),
        ({"epochs": 0}, "epochs 0 is out of range"),
        ({"batch_size": 0.5}, "batch_size 0.5 is out of range"),
        ({"peak_rate": -0.1}, "peak_rate -0.1 is out of range"),
        ({"peak_rate": np.nan}, "peak_rate nan is out of range"),
        ({"weight_decay": -1}, "weight_decay -1 is out of range"),
        ({"conv_decay": np.inf}, "conv_decay inf is out of range"),
        ({"validation": None}, "validation must be a pair"),
        ({"disturb": 3}, "disturb 3 is no function"),
    ],
)
def test_a_training_that_cannot_be_is_refused_in_one_sentence_before_it_begins(change, message):
    images, labels = bars(32, seed=0)
    arguments = {"images": images, "labels": labels, "validation": (images, labels), "epochs": 1}
    arguments |= {name: new(arguments[name]) if callable(new) else new for name, new in change.items()}
    model = tiny_cnn()
    with pytest.raises(ValueError, match=message) as refusal:
        train_cnn(model, **arguments, verbose=0)
    assert "\n" not in str(refusal.value)
    for now, start in zip(model.get_weights(), tiny_cnn().get_weights(), strict=True):
        np.testing.assert_array_equal(now, start)


def test_a_model_that_ends_in_logits_is_refused():
    logits = tiny_cnn()
    logits.get_layer("output").activation = keras.activations.linear
    with pytest.raises(ValueError, match="end it in a dense layer with activation='softmax'"):
        train(logits, bars(6, seed=0))


# ---------------------------------------------------------------- the recipe


def small(**changes):
    return Recipe(epochs=1, batch_size=32, digits=96, **changes)


def test_a_recipe_survives_its_way_to_another_process_and_cannot_change():
    recipe = small(noise=0.2, variant="hexagonal kernels")
    assert pickle.loads(pickle.dumps(recipe)) == recipe and {recipe: 1}[small(noise=0.2, variant="hexagonal kernels")]
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.seed = 2


def test_a_training_follows_from_its_recipe_and_each_entry_of_it_counts(eagerly):
    digits = bars(96, seed=1)

    def learned(**changes):
        model = tiny_cnn()
        fit(model, small(**changes), *digits, bars(60, seed=2), verbose=0)
        return model.get_weights()[0]

    same = learned()
    np.testing.assert_allclose(learned(), same, atol=1e-6)
    for change in ({"order": 1}, {"noise": 0.5}, {"radius": 0.2}, {"conv_decay": 0.1}):
        assert np.abs(learned(**change) - same).max() > 1e-4, change


def test_coarser_images_hold_nothing_finer_than_their_pixels():
    images = standardize(np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype(np.float32))
    blurred = coarser(images, 7)
    power = np.abs(np.fft.rfft2(blurred[..., 0])) ** 2
    fine = np.maximum(*np.meshgrid(np.fft.rfftfreq(28), np.abs(np.fft.fftfreq(28)))) > 0.2
    assert power[:, fine].sum() < 0.06 * power.sum()  # bicubic edges leave a little
    np.testing.assert_allclose(blurred.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    assert coarser(images, 28) is images


def test_the_worst_case_raises_the_loss_of_every_image_by_a_step_of_the_promised_size():
    model = tiny_cnn()
    images, labels = bars(30, seed=5)
    images, labels = tf.constant(images), tf.constant(labels)
    losses = keras.losses.sparse_categorical_crossentropy
    with tf.GradientTape() as tape:
        tape.watch(images)
        before = losses(labels, model(images))
    gradients = tape.gradient(before, images).numpy()
    gradients /= np.sqrt((gradients**2).mean(axis=(1, 2, 3), keepdims=True))
    disturbed = worst_case(model, 0.1)(images, labels)
    np.testing.assert_allclose(disturbed, standardize(images.numpy() + 0.1 * gradients), atol=1e-3)
    assert (losses(labels, model(disturbed)).numpy() > before.numpy()).all()
    angles = np.arccos((disturbed * images).numpy().mean(axis=(1, 2, 3)))
    assert angles.max() <= np.arcsin(0.1) + 1e-4 and angles.min() > 0.05


def test_noise_before_the_worst_case_is_random_and_decided_by_the_seed():
    model, (images, labels) = tiny_cnn(), map(tf.constant, bars(30, seed=5))
    plain, noisy, same, other = (
        worst_case(model, 0.1, noise, seed)(images, labels).numpy()
        for noise, seed in ((0.0, 1), (0.5, 1), (0.5, 1), (0.5, 2))
    )
    np.testing.assert_array_equal(noisy, same)
    assert np.abs(noisy - other).mean() > 0.1
    np.testing.assert_allclose(noisy.std(axis=(1, 2, 3)), 1, rtol=1e-4)
    angles = np.arccos((noisy * plain).mean(axis=(1, 2, 3)))
    assert np.arctan(0.5) - 0.2 < angles.mean() < np.arctan(0.5) + 0.2
    twice = worst_case(model, 0.1, 0.5, 1)
    assert np.abs(twice(images, labels) - twice(images, labels)).mean() > 0.1  # new noise for every batch


def test_accuracy_is_the_share_of_images_read_rightly(trained):
    images, labels = bars(30, seed=5)
    read = trained[0].predict(images, verbose=0).argmax(axis=1)
    half = np.where(np.arange(30) < 15, read, (read + 1) % 3)
    assert accuracy(trained[0], images, half) == 0.5


def test_dead_maps_are_those_that_no_image_excites():
    model = tiny_cnn()
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 2], bias[2] = 0, -1
    model.layers[0].set_weights([kernel, bias])
    dead = dead_maps(model, bars(6, seed=0)[0])
    assert list(dead) == ["first", "second"] and dead["first"] == [2]


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (lambda model, digits, labels: accuracy(model, digits[:, :11], labels), "images have .* the network sees"),
        (lambda model, digits, labels: accuracy(model, digits, labels / 2), "labels hold 0.5"),
        (lambda model, digits, labels: accuracy(model, digits, labels * np.nan), "labels hold nan"),
        (lambda model, digits, labels: accuracy(model, digits, labels[:3]), r"labels have shape \(3,\)"),
        (lambda model, digits, labels: augment(digits * np.nan, 0), "images hold NaN"),
        (lambda model, digits, labels: augment(digits[0], 0), r"a batch is \(n, height, width, channels\)"),
        (lambda model, digits, labels: augment(digits, 1.5), "seed 1.5 is out of range"),
        (lambda model, digits, labels: augment(digits, 0, turn=np.nan), "turn nan is out of range"),
        (lambda model, digits, labels: augment(digits, 0, zoom="x"), "zoom 'x' is out of range"),
        (lambda model, digits, labels: worst_case(model, np.nan), "radius nan is out of range"),
        (lambda model, digits, labels: worst_case(model, 0.1, noise=-1), "noise -1 is out of range"),
        (lambda model, digits, labels: rate_schedule(0, 0.1), "steps 0 is out of range"),
        (lambda model, digits, labels: rate_schedule(9, np.nan), "peak_rate nan is out of range"),
    ],
)
def test_what_would_give_a_wrong_number_without_a_word_is_refused(work, sentence):
    digits = np.random.default_rng(0).standard_normal((6, 12, 12, 1)).astype(np.float32)
    with pytest.raises(ValueError, match=sentence):
        work(tiny_cnn(), digits, np.arange(1, 7) % 3)


def test_a_training_that_runs_away_says_so():
    digits = np.random.default_rng(0).standard_normal((40, 12, 12, 1)).astype(np.float32)
    with pytest.raises(ValueError, match="the training ran away: .* use a peak_rate below 1e\\+30"):
        train_cnn(tiny_cnn(), digits, np.arange(40) % 3, (digits, np.arange(40) % 3), epochs=1, batch_size=10,
                  peak_rate=1e30, verbose=0)  # fmt: skip
