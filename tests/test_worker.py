"""worker: the newest wish counts, everyone has a turn, Stop keeps what was made, and nothing stops the worker."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from helpers.ascent import ascend, climb
from helpers.widgets.parts.worker import Line, wait_until_idle

ROOT = Path(__file__).resolve().parent.parent
SOON = 20.0  # seconds after which a test gives up


class Hill(NamedTuple):
    """The mean of an image times a fixed one."""

    target: tf.Tensor

    def __call__(self, images):
        return tf.reduce_mean(images * self.target, axis=(1, 2, 3))


NOISE = np.random.default_rng(0).standard_normal((2, 1, 12, 12, 1)).astype(np.float32)
HILL, START = Hill(tf.constant(NOISE[0])), NOISE[1]


class Gate:
    """A place where the worker waits: a test knows that it has come, and lets it go on."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def hold(self):
        self.reached.set()
        assert self.opened.wait(SOON)

    def await_worker(self):
        assert self.reached.wait(SOON)

    def open(self):
        self.opened.set()


class Updates:
    """A generator of results as one of updates."""

    def __init__(self, results, settings):
        self.results, self.settings = results, settings

    def __next__(self):
        return {"result": next(self.results)}

    def throw(self, error):
        return {"result": self.results.throw(error)}


class Desk:
    """A line with one `make`, from settings to results, and ways to paint them and to fail."""

    def __init__(self, make, paint, fail, busy):
        self.make, self.paint, self.fail, self.line = make, paint, fail, Line(self._show, busy)
        self.stop, self.forget = self.line.stop, self.line.forget

    def ask(self, settings):
        self.line.ask(Updates(self.make(settings), settings))

    def _show(self, update):
        if "error" in update:
            self.fail(update["error"])
        elif "result" in update:
            self.paint(update["result"])


class Recorded:
    """A desk that writes down what it paints, what fails, and what it is told of being busy."""

    def __init__(self, make, paint=lambda result: None):
        self.painted, self.failed, self.told = [], [], []
        self.also = paint
        self.desk = Desk(make, self._paint, self.failed.append, self.told.append)

    def _paint(self, result):
        self.painted.append(result)
        self.also(result)


def counting(settings):
    """Results (settings, 0), (settings, 1), (settings, 2)."""
    for number in range(3):
        yield settings, number


@pytest.fixture
def gate():
    """A gate that is open at the end of the test, come what may."""
    made = Gate()
    yield made
    made.open()
    assert wait_until_idle(SOON)


@pytest.fixture
def occupied(gate):
    """The worker is at another desk, until the gate is opened."""

    def make(settings):
        gate.hold()
        yield settings

    Recorded(make).desk.ask("")
    gate.await_worker()
    return gate


def idle():
    assert wait_until_idle(SOON)


def test_all_results_are_painted_in_their_order():
    one = Recorded(counting)
    one.desk.ask("a")
    idle()
    assert one.painted == [("a", 0), ("a", 1), ("a", 2)] and one.failed == []


def test_asking_returns_while_the_result_is_still_being_made(gate):
    def make(settings):
        gate.hold()
        yield settings

    one = Recorded(make)
    one.desk.ask("a")
    gate.await_worker()
    assert one.painted == [] and not wait_until_idle(0.01)
    gate.open()
    idle()
    assert one.painted == ["a"]


def test_the_newest_wish_is_made_and_those_before_it_are_never_begun(occupied):
    begun = []

    def make(settings):
        begun.append(settings)
        yield settings

    one = Recorded(make)
    for settings in range(9):
        one.desk.ask(settings)
    occupied.open()
    idle()
    assert begun == one.painted == [8]


def test_a_result_that_is_ready_after_a_newer_wish_is_not_painted(gate):
    def make(settings):
        if settings == "old":
            gate.hold()
        yield settings

    one = Recorded(make)
    one.desk.ask("old")
    gate.await_worker()
    one.desk.ask("new")
    gate.open()
    idle()
    assert one.painted == ["new"]


def test_an_error_of_an_old_wish_is_not_shown(gate):
    def make(settings):
        if settings == "old":
            gate.hold()
            raise ValueError(settings)
        yield settings

    one = Recorded(make)
    one.desk.ask("old")
    gate.await_worker()
    one.desk.ask("new")
    gate.open()
    idle()
    assert one.painted == ["new"] and one.failed == []


def test_a_climb_of_an_old_wish_ends_at_once(gate):
    made = {}

    def make(settings):
        if settings == "old":
            gate.hold()
        made[settings] = ascend(HILL, START, np.full(600, 0.01))
        yield settings

    one = Recorded(make)
    one.desk.ask("old")
    gate.await_worker()
    one.desk.ask("new")
    gate.open()
    idle()
    assert made["old"].stopped and made["old"].steps.tolist() == [0] and not made["new"].stopped


def test_no_further_result_of_an_old_wish_is_made():
    made = []

    def make(settings):
        for number in range(3):
            made.append((settings, number))
            yield settings, number

    one = Recorded(make, paint=lambda result: result == ("old", 1) and one.desk.ask("new"))
    one.desk.ask("old")
    idle()
    assert made == one.painted == [("old", 0), ("old", 1), ("new", 0), ("new", 1), ("new", 2)]


def test_a_stop_before_the_start_is_seen_by_the_first_climb(occupied):
    def make(settings):
        yield ascend(HILL, START, np.full(600, 0.01))

    one = Recorded(make)
    one.desk.ask("")
    one.desk.stop()
    occupied.open()
    idle()
    (record,) = one.painted
    assert record.stopped and record.steps.tolist() == [0]


def test_a_stop_during_a_climb_keeps_what_was_climbed(gate):
    def make(settings):
        reports = []
        try:
            for report in climb(HILL, START, np.full(600, 0.01), reports=range):
                reports.append(report)
                if len(reports) == 40:
                    gate.hold()
        except KeyboardInterrupt:
            yield "stopped", reports[-1][0]

    one = Recorded(make)
    one.desk.ask("")
    gate.await_worker()
    one.desk.stop()
    gate.open()
    idle()
    assert one.painted == [("stopped", 45)], "the block of steps 30 to 44 was made already"


def test_a_stop_between_two_results_interrupts_there_and_what_is_given_then_is_painted():
    def make(settings):
        try:
            yield from range(9)
        except KeyboardInterrupt:
            yield "kept"
            yield "never"

    one = Recorded(make, paint=lambda result: result == 3 and one.desk.stop())
    one.desk.ask("")
    idle()
    assert one.painted == [0, 1, 2, 3, "kept"]
    assert one.told == [True, False] and one.failed == []


def test_a_stop_that_nobody_catches_ends_the_results_without_an_error():
    one = Recorded(counting, paint=lambda result: one.desk.stop())
    one.desk.ask("a")
    idle()
    assert one.painted == [("a", 0)] and one.failed == [] and one.told == [True, False]


def test_a_stop_stops_what_is_made_and_not_what_is_asked_for_afterwards():
    one = Recorded(counting)
    one.desk.stop()
    one.desk.ask("a")
    idle()
    one.desk.stop()
    one.desk.ask("b")
    idle()
    assert len(one.painted) == 6


def test_a_stop_at_one_desk_leaves_the_others_alone(occupied):
    made = {}

    def make(settings):
        made[settings] = ascend(HILL, START, np.full(60, 0.01)).stopped
        yield settings

    one, other = Recorded(make), Recorded(make)
    one.desk.ask("one"), other.desk.ask("other")
    one.desk.stop()
    occupied.open()
    idle()
    assert made == {"one": True, "other": False}


def test_two_desks_take_turns_result_by_result(occupied):
    order = []
    one, other = (Recorded(counting, order.append) for _ in range(2))
    one.desk.ask("a")
    other.desk.ask("b")
    occupied.open()
    idle()
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_asking_again_keeps_the_place_in_the_row(occupied):
    order = []
    one, other = (Recorded(counting, order.append) for _ in range(2))
    one.desk.ask("a")
    other.desk.ask("b")
    one.desk.ask("c")
    occupied.open()
    idle()
    assert order[:2] == [("c", 0), ("b", 0)]


def test_a_desk_that_asks_all_the_time_does_not_starve_another(occupied):
    order = []

    def paint_and_ask(result):
        order.append(result)
        if len(order) < 10:
            restless.desk.ask(len(order))

    restless, patient = Recorded(counting, paint_and_ask), Recorded(counting, order.append)
    restless.desk.ask(0)
    patient.desk.ask("b")
    occupied.open()
    idle()
    assert [order.index(("b", number)) for number in range(3)] == [1, 3, 5]


def test_an_exception_in_making_is_shown_and_the_next_wish_is_made():
    def make(settings):
        yield 1 / settings

    one = Recorded(make)
    one.desk.ask(0)
    idle()
    (error,) = one.failed
    assert isinstance(error, ZeroDivisionError) and one.told == [True, False] and one.painted == []
    one.desk.ask(2)
    idle()
    assert one.painted == [0.5]


def test_an_exception_after_some_results_is_shown_and_they_stay():
    def make(settings):
        yield "first"
        raise OSError("disk full")

    one = Recorded(make)
    one.desk.ask("")
    idle()
    assert one.painted == ["first"] and str(one.failed[0]) == "disk full"


def test_an_exception_in_painting_is_shown_and_ends_the_results():
    def paint(result):
        raise RuntimeError(str(result))

    one = Recorded(counting, paint)
    one.desk.ask("a")
    idle()
    assert [str(error) for error in one.failed] == ["('a', 0)"] and one.told == [True, False]
    one.also = lambda result: None
    one.desk.ask("b")
    idle()
    assert one.painted[1:] == [("b", 0), ("b", 1), ("b", 2)]


def test_a_maker_that_gives_nothing_is_done_at_once():
    one = Recorded(lambda settings: iter(()))
    one.desk.ask("")
    idle()
    assert one.painted == one.failed == [] and one.told == [True, False]


def test_busy_is_told_at_the_wish_and_when_the_newest_is_done(gate):
    def make(settings):
        if settings == "old":
            gate.hold()
        yield settings

    one = Recorded(make, paint=lambda result: told.append(list(one.told)))
    told = []
    one.desk.ask("old")
    assert one.told == [True], "at once, and not when its turn comes"
    gate.await_worker()
    one.desk.ask("new")
    gate.open()
    idle()
    assert told == [[True, True]] and one.told == [True, True, False]


def test_what_is_forgotten_is_not_painted_any_more(gate):
    def make(settings):
        yield "first"
        gate.hold()
        yield ascend(HILL, START, np.full(600, 0.01))

    one = Recorded(make)
    one.desk.ask("")
    gate.await_worker()
    one.desk.forget()
    assert one.told == [True, False]
    gate.open()
    idle()
    assert one.painted == ["first"] and one.failed == [] and one.told == [True, False]


def test_what_is_forgotten_before_its_turn_is_never_begun(occupied):
    begun = []

    def make(settings):
        begun.append(settings)
        yield settings

    one = Recorded(make)
    one.desk.ask("")
    one.desk.forget()
    occupied.open()
    idle()
    assert begun == [] and one.told == [True, False]
    one.desk.forget()
    one = Recorded(counting)
    one.desk.ask("again")
    idle()
    assert len(one.painted) == 3


def test_asking_from_within_painting_replaces_what_is_painted():
    one = Recorded(counting, paint=lambda result: result == ("a", 0) and one.desk.ask("b"))
    one.desk.ask("a")
    idle()
    assert one.painted == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]
    assert one.told == [True, True, False]


def test_of_wishes_from_many_threads_only_the_newest_is_ever_painted():
    order, stale = [], []

    def paint(result):
        if result != order[-1]:
            stale.append(result)

    def busy(is_busy):
        if is_busy:
            order.append(desk.line.job.updates.settings)  # told under the lock, hence in the order of the wishes

    def make(settings):
        yield settings
        yield settings

    desk, all_here = Desk(make, paint, stale.append, busy), threading.Barrier(12)

    def wish(thread):
        all_here.wait(SOON)
        for number in range(50):
            desk.ask((thread, number))

    threads = [threading.Thread(target=wish, args=[thread]) for thread in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    idle()
    assert stale == [] and len(order) == 600


def test_one_thread_makes_everything_and_it_does_not_keep_python_running():
    seen = []

    def make(settings):
        seen.append(threading.current_thread())
        yield settings

    for desk in (Recorded(make).desk, Recorded(make).desk):
        desk.ask("")
        idle()
    assert seen[0] is seen[1] is not threading.current_thread()
    assert seen[0].daemon


def test_a_stop_does_not_reach_climbs_outside_of_the_worker(gate):
    def make(settings):
        gate.hold()
        yield ascend(HILL, START, np.full(60, 0.01))

    one = Recorded(make)
    one.desk.ask("")
    gate.await_worker()
    one.desk.stop()
    assert not ascend(HILL, START, np.full(60, 0.01)).stopped
    gate.open()
    idle()
    assert one.painted[0].stopped


def test_waiting_for_the_worker_ends_in_time_and_says_so(occupied):
    assert not wait_until_idle(0.01)
    occupied.open()
    assert wait_until_idle(SOON)


def test_what_is_being_made_when_python_ends_is_ended_first():
    """Otherwise TensorFlow, still computing in a dying process, aborts with a message on the error stream."""
    script = """
import threading
import numpy as np
from helpers.ascent import ascend
from helpers.objectives import WholeLayer
from helpers.activations import feature_extractor
from helpers.widgets.parts.worker import Line
from tests.conftest import tiny_cnn

begun = threading.Event()

def make(settings):
    features = feature_extractor(tiny_cnn(), "second")
    begun.set()
    record = ascend(WholeLayer(features), np.random.standard_normal((1, 12, 12, 1)), np.full(1_000_000, 0.01))
    print("stopped" if record.stopped else "finished")
    yield record

Line(print).ask(make(None))
begun.wait()
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout, run.stderr) == (0, "stopped\n", "")


def test_an_error_in_showing_an_error_is_printed_and_the_worker_goes_on(capfd):
    def refuse(what):
        raise OSError("the page is gone")

    painted = []
    Desk(lambda settings: iter(["result"]), refuse, refuse, lambda busy: None).ask(1)
    assert wait_until_idle(10)
    Desk(lambda settings: iter(["result"]), painted.append, refuse, lambda busy: None).ask(1)
    assert wait_until_idle(10) and painted == ["result"]
    assert "the page is gone" in capfd.readouterr().err
