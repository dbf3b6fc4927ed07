"""A Stop is never swallowed: what was stopped on its way is not taken for a result, whoever builds on the climb."""

import itertools
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from helpers.activations import class_logits, feature_extractor, pre_activation_extractor
from helpers.ascent import ascend, last_images
from helpers.base.interrupts import held, stoppable
from helpers.compare.measures import favorite_images
from helpers.dreams import carve, carve_octaves, carve_region, carve_tiles, same_map
from helpers.explain.attacks import attacked, climb_within, smallest_changes
from helpers.gallery.textures import seamless
from helpers.geometry import any_size, receptive_fields
from helpers.latent.autoencoders import build_autoencoder, halves
from helpers.latent.space import climb_decoded, main_axes
from helpers.objectives import Channels, Margins
from tests.conftest import picture, tiny_cnn

ROOT = Path(__file__).resolve().parent.parent
CNN = tiny_cnn()
FEATURES, LOGITS = feature_extractor(CNN, "second"), class_logits(CNN)
WIDE = feature_extractor(any_size(CNN), "second")
RANDOM = np.random.default_rng(3)
NOISE = RANDOM.standard_normal((10, 12, 12, 1)).astype(np.float32)  # too many for 15 steps in one go
TARGET = RANDOM.standard_normal((12, 12, 1)).astype(np.float32)
VECTORS = RANDOM.standard_normal((40, 3)).astype(np.float32)
AUTOENCODER = build_autoencoder(3, 0, (12, 12, 1), maps=(4, 6))
CLIMBS = {
    "last_images": lambda: last_images(Channels(FEATURES, [1]), NOISE, np.full(9, 0.1)),
    "attacked": lambda: attacked(CNN, NOISE, [0] * 10, 0.3, steps=9),
    "climb_within": lambda: climb_within(Margins(LOGITS, [1]), NOISE, 0.3, steps=9),
    "smallest_changes": lambda: smallest_changes(Margins(LOGITS, [1]), NOISE, steps=9),
    "climb_decoded": lambda: climb_decoded(Channels(FEATURES, [1]), halves(AUTOENCODER).decoder, main_axes(VECTORS),
                                           VECTORS[:10], np.full(9, 0.1)),
    "favorite_images": lambda: favorite_images(pre_activation_extractor(CNN, "second"), np.zeros(10, int), NOISE,
                                               np.full(9, 0.1)),
    "seamless": lambda: seamless(WIDE, [0], receptive_fields(CNN)[-1], size=32, octaves=2, step_sizes=np.full(40, 0.1)),
    "carve": lambda: list(carve(Channels(FEATURES, [1]), picture(), 9, [0.1])),
    "carve_tiles": lambda: list(carve_tiles(same_map(FEATURES, 1), picture(), 2, 9, [0.1])),
    "carve_region": lambda: list(carve_region(Channels(FEATURES, [1]), picture(), (0, 0, 60, 60), 9, [0.1])),
    "carve_octaves": lambda: list(carve_octaves(Channels(WIDE, [1]), picture(), 2, step_sizes=np.full(40, 0.1))),
}  # fmt: skip


def after_asking(times):
    """A function that says False so many times and True from then on."""
    asked = itertools.count()
    return lambda: next(asked) >= times


@pytest.mark.parametrize("times", [0, 2])
@pytest.mark.parametrize("make", CLIMBS.values(), ids=CLIMBS)
def test_what_is_stopped_on_its_way_gives_no_result(make, times):
    with stoppable(after_asking(times)), pytest.raises(KeyboardInterrupt):
        make()


@pytest.mark.parametrize("make", CLIMBS.values(), ids=CLIMBS)
def test_what_is_not_stopped_gives_one(make):
    with stoppable(lambda: False):
        assert len(make())


def test_whoever_asks_for_the_record_of_a_climb_looks_whether_it_was_stopped():
    files = [*ROOT.glob("helpers/**/*.py"), *ROOT.glob("experiments/*.py")]
    users = {path.stem for path in files if " ascend(" in (text := path.read_text("utf-8")) and ".stopped" not in text}
    assert users == set()


def interrupted():
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_is_held_back_comes_when_the_block_has_ended():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with held():
            interrupted(), interrupted()
            done.append("the block")
        done.append("what follows")
    assert done == ["the block"]
    with pytest.raises(KeyboardInterrupt):
        interrupted()  # as before


def test_a_block_without_an_interrupt_goes_its_way_and_its_errors_come_through():
    with held():
        done = True
    assert done
    with pytest.raises(ZeroDivisionError), held():
        1 / 0  # noqa: B018
    with pytest.raises(KeyboardInterrupt), held():
        interrupted()
        1 / 0  # noqa: B018


def test_one_block_within_another_holds_an_interrupt_back_to_the_end_of_the_outer_one():
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        with held():
            interrupted()
        done.append("the outer one")
    assert done == ["the outer one"]


def test_other_threads_and_other_ways_to_treat_an_interrupt_are_left_alone():
    made = []

    def work():
        with held():
            made.append(ascend(Channels(FEATURES, [1]), NOISE, [0.1]).stopped)

    thread = threading.Thread(target=work)
    thread.start(), thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held():
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert made == [False]


class Interrupting:
    """An objective during whose compilation an interrupt comes, the first time."""

    def __init__(self):
        self.begun = self.ended = 0

    def __call__(self, images):
        self.begun += 1
        if self.begun == 1:
            interrupted()
        self.ended += 1
        return tf.reduce_mean(images * TARGET, axis=(1, 2, 3))


@pytest.mark.parametrize("n", [1, 10])
def test_an_interrupt_while_an_objective_is_compiled_is_a_plain_one_and_the_next_climb_works(n):
    objective = Interrupting()
    record = ascend(objective, NOISE[:n], np.full(30, 0.1))
    assert record.stopped and record.steps.tolist() == [0] and objective.begun == objective.ended
    again = ascend(objective, NOISE[:n], np.full(30, 0.1))
    assert not again.stopped and (again.values[-1] > again.values[0]).all()
