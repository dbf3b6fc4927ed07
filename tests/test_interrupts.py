"""Real processes, killed or interrupted at many moments: nothing is half-written, and the work goes on.

All are forked from one that has imported everything and done nothing, so each begins in a moment.
"""

import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from typing import NamedTuple

import numpy as np
import pytest

from experiments import sweeps
from helpers.activations import feature_extractor
from helpers.ascent import ascend
from helpers.base import files
from helpers.models import load_cnn, save_cnn
from helpers.objectives import Channels
from helpers.oips import layer_zoo
from helpers.photos import load_whole_photo, save_film, save_picture
from helpers.training import accuracy, train_cnn
from tests.conftest import bars, picture, tiny_cnn
from tests.test_sweeps import AtOnce

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
PATIENCE = 120  # seconds; a machine may be busy
MOMENTS = 40  # more than a save has steps
EPOCHS = 80


BEGUN = []


def begun(work, *arguments):
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    BEGUN.append(process)
    return process


@pytest.fixture
def moments():
    """The same ones in each run, whichever tests ran before."""
    return np.random.default_rng(14)


@pytest.fixture(autouse=True)
def none_is_left():
    yield
    while BEGUN:
        BEGUN.pop().kill()


def ended(process):
    """How a process ended: 0 is well, -9 is killed."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def wait_until(there):
    end = time.monotonic() + PATIENCE
    while not (found := there()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found


# ---------------------------------------------------------------- saving


class Row(NamedTuple):
    """A recipe that needs no training."""

    number: int


def table(folder, seed):
    rows = [{"key": str(number), "failed": "", "seed": seed} for number in range(50)]
    arrays = {(row["key"], "noise"): np.random.default_rng(seed).random(50) for row in rows}
    sweeps.write(rows, arrays, "table", folder)


def table_there(folder):
    """The seed of the rows; an array may be newer than its row, for one that has no row yet does no harm."""
    rows, arrays = sweeps.read("table", folder)
    assert len(rows) == 50 and {key for key, _ in arrays} == {row["key"] for row in rows}
    assert len({row["seed"] for row in rows}) == 1 and all(array.shape == (50,) for array in arrays.values())
    return rows[0]["seed"]


def weights(folder, seed):
    save_cnn(tiny_cnn(seed), folder / "cnn.keras")


def weights_there(folder):
    found = load_cnn(folder / "cnn.keras").get_weights()
    return next(seed for seed in (1, 2) if all(map(np.array_equal, found, tiny_cnn(seed).get_weights())))


def grainy(seed):
    return np.random.default_rng(seed).random((90, 90, 3), np.float32)


def a_picture(folder, seed):
    save_picture(folder / "picture.png", grainy(seed))


def picture_there(folder):
    return picture_of(folder / "picture.png")


def film(folder, seed):
    save_film(folder / "film.gif", [grainy(seed), picture(90, 90)])


def film_there(folder):
    return picture_of(folder / "film.gif", 0.2)


def picture_of(path, tolerance=0.01):
    """The seed of the picture in a file, or None where there is no file."""
    if not path.exists():
        return None
    found = load_whole_photo(path, 100)
    return next(seed for seed in (1, 2) if np.abs(found - grainy(seed)).mean() < tolerance)


def files_in(folder):
    """The content of each file that has its final name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(files.MARK)}


def signal_at(moment, number, save, folder):
    """Save the second version and get a signal when Python touches a file of the folder for the n-th time."""
    touched = itertools.count()

    def watch(event, arguments):
        if event.startswith(("open", "os.")) and str(folder) in str(arguments[0]) and next(touched) == moment:
            os.kill(os.getpid(), number)

    sys.addaudithook(watch)
    try:
        save(folder, 2)
    except KeyboardInterrupt:
        sys.exit(1)


REPLACING = [(weights, weights_there), (table, table_there)]
NEW = [(a_picture, picture_there), (film, film_there)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("save, there", REPLACING + NEW, ids=lambda function: function.__name__)
def test_a_save_that_is_killed_at_any_step_leaves_the_old_file_or_the_new_one_and_can_be_repeated(
        tmp_path, save, there, number):
    """Each moment has a process of its own; the loop ends when one is through before its moment comes."""
    (tmp_path / "reference").mkdir()
    if (save, there) in REPLACING:
        save(tmp_path / "reference", 1)
    old, found = files_in(tmp_path / "reference"), []
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        for name, content in old.items():
            (folder / name).write_bytes(content)
        how = ended(begun(signal_at, moment, number, save, folder))
        found.append(there(folder))
        if how == 0:
            break
        assert how == (-9 if number == signal.SIGKILL else 1)
        assert found[-1] in ((1, 2) if old else (None, 2))
        if found[-1] != 2:
            save(folder, 2)
        assert there(folder) == 2
    assert how == 0 and found[0] != 2 and found[-1] == 2 and len(found) > 4
    assert found == sorted(found, key=lambda seed: seed or 0)  # one moment divides the old from the new


def test_a_save_that_is_killed_while_it_writes_leaves_nothing_under_the_final_name(tmp_path, moments):
    """At moments of the clock, most of which fall amid the bytes: the process saves as fast as it can."""
    process, kills = None, 6
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = begun(many_films, folder)
        wait_until(lambda folder=folder: len(files_in(folder)) > 1)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        assert ended(process) == -9
        whole = files_in(folder)
        assert len(set(whole.values())) == 1 and len(next(iter(whole.values()))) == 400_000
        assert len(list(folder.iterdir())) <= len(whole) + 1


def many_films(folder):
    for number in itertools.count():
        with files.written(folder / f"{number}.gif", new=True) as part, part.open("wb", buffering=0) as file:
            for _ in range(400):
                file.write(bytes(1000))


def test_what_a_killed_process_left_is_removed_an_hour_later_and_nothing_else_is(tmp_path):
    left, fresh, mine = (tmp_path / f"{name}.png" for name in (f"{files.MARK}1", f"{files.MARK}2", ".mine"))
    for path in (left, fresh, mine):
        path.write_bytes(b"half")
    for path in (left, mine):
        os.utime(path, (time.time() - 4000,) * 2)
    a_picture(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([fresh.name, mine.name, "picture.png"])


# ---------------------------------------------------------------- a full disk


def without_room(save, folder, answers):
    """Files of this process may have 1,000 bytes: writing the next one fails as it does on a full disk."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        save(folder, 2)
    except Exception as error:
        answers.send((type(error).__name__, str(error), files_in(folder), len(list(folder.iterdir()))))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    save(folder, 2)


@pytest.mark.parametrize("save, there", REPLACING + NEW, ids=lambda function: function.__name__)
def test_a_full_disk_is_told_in_one_sentence_and_the_old_file_stays_whole(tmp_path, save, there):
    if (save, there) in REPLACING:
        save(tmp_path, 1)
    before, (answers, theirs) = files_in(tmp_path), FORKS.Pipe(duplex=False)
    process = begun(without_room, save, tmp_path, theirs)
    assert answers.poll(PATIENCE)
    kind, sentence, after, names = answers.recv()
    assert kind == "OSError" and "\n" not in sentence
    assert "was not written: File too large; make room, or choose another place" in sentence
    assert after == before and names == len(before)
    assert ended(process) == 0 and there(tmp_path) == 2  # with room again


# ---------------------------------------------------------------- a training


def training(folder, answers):
    """A training with a backup, which begins again whenever it is interrupted."""
    model, interrupts = tiny_cnn(), 0
    while True:
        try:
            history = train_cnn(model, *bars(96, seed=1), bars(60, seed=2), epochs=EPOCHS, batch_size=16,
                                peak_rate=0.005, seed=3, backup=folder, verbose=0)
            break
        except KeyboardInterrupt:
            interrupts += 1
            answers.send(interrupts)
            model = tiny_cnn(interrupts)  # whatever it is, the backup knows better
    answers.send((history, accuracy(model, *bars(60, seed=2))))


def backed_up(folder):
    """The history in the backup; reading all of it fails where it is damaged."""
    with np.load(folder / "state.npz") as file:
        stored = dict(file)
    _, history, done, _ = json.loads(str(stored["about"]))
    assert {len(values) for values in history.values()} == {done}
    return history["loss"]


def test_a_training_that_is_killed_and_interrupted_goes_on_and_loses_no_epoch(tmp_path, moments):
    kept, (answers, theirs) = [], FORKS.Pipe(duplex=False)
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        process = begun(training, tmp_path, theirs)
        before = len(kept[-1]) if kept else 0
        wait_until(lambda before=before: (tmp_path / "state.npz").exists() and len(backed_up(tmp_path)) > before)
        time.sleep(moments.uniform(0, 0.2))
        os.kill(process.pid, number)
        if number == signal.SIGKILL:
            assert ended(process) == -9
        else:
            assert answers.poll(PATIENCE) and answers.recv() == 1
        kept.append(backed_up(tmp_path))
        assert before < len(kept[-1]) < EPOCHS, "the moment came too late"
    assert answers.poll(PATIENCE)
    history, reached = answers.recv()
    assert ended(process) == 0 and reached == max(history["val_accuracy"])
    assert {len(values) for values in history.values()} == {EPOCHS}
    assert all(history["loss"][: len(losses)] == losses for losses in kept)
    assert set(files_in(tmp_path)) == {"state.npz"}


# ---------------------------------------------------------------- a zoo


def zoo():
    return layer_zoo(tiny_cnn(), "second", step_sizes=np.geomspace(1, 0.02, 60), candidates=32, at_once=2)


def zoos(answers, times):
    """A zoo as it must be, then one for each interrupt that comes, then one without."""
    zoo()  # compiles
    begin = time.monotonic()
    answers.send(zoo())
    seconds = time.monotonic() - begin
    for _ in range(times):
        made = None
        try:
            answers.send(seconds)
            made = zoo()
            if not made.ascent.stopped:
                time.sleep(20)  # the interrupt comes after the end
        except KeyboardInterrupt:
            pass
        answers.send(made)
    answers.send(zoo())


def test_a_zoo_that_is_interrupted_keeps_its_whole_groups_and_the_next_one_is_as_if_nothing_had_been(moments):
    answers, theirs = FORKS.Pipe(duplex=False)
    process, times, kept = begun(zoos, theirs, 4), 4, []

    def answer():
        assert answers.poll(PATIENCE)
        return answers.recv()

    whole = answer()
    for share in (np.arange(times) + moments.random(times)) / times:
        time.sleep(share * answer())
        os.kill(process.pid, signal.SIGINT)
        kept.append(answer())
    again = answer()
    assert ended(process) == 0
    for made in (again, *filter(None, kept)):
        groups = len(made.indices) if not made.ascent.stopped else len(made.indices) - 1 - (len(made.indices) - 1) % 2
        np.testing.assert_array_equal(made.indices, whole.indices[: len(made.indices)])
        np.testing.assert_array_equal(made.images[:groups], whole.images[:groups])
        assert np.isfinite(made.images).all() and np.isfinite(made.values).all()
    assert not again.ascent.stopped and len(again.indices) == len(whole.indices) == 5
    assert any(made is not None and made.ascent.stopped for made in kept)


# ---------------------------------------------------------------- climbs, again and again

INTERRUPTS = 400


def climbs(answers):
    """One climb after the other, each begun by an answer and ended by an interrupt."""
    objective = Channels(feature_extractor(tiny_cnn(), "second"), [0, 1])
    starts = np.random.default_rng(0).standard_normal((2, 12, 12, 1))
    ascend(objective, starts, [0.1])  # compiles
    made = 0
    while made < INTERRUPTS:
        with contextlib.suppress(KeyboardInterrupt):
            answers.send(made)
            record = ascend(objective, starts, np.full(30_000, 0.01))
            assert record.stopped and np.isfinite(record.images).all()
        made += 1
    answers.send((INTERRUPTS, ascend(objective, starts, np.full(30, 0.01)).stopped))


def test_hundreds_of_interrupts_during_climbs_end_each_of_them_and_never_the_process(moments):
    answers, theirs = FORKS.Pipe(duplex=False)
    process = begun(climbs, theirs)
    for made in range(INTERRUPTS):
        assert answers.poll(PATIENCE) and answers.recv() == made
        time.sleep(moments.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGINT)
    assert answers.poll(PATIENCE) and answers.recv() == (INTERRUPTS, False)
    assert ended(process) == 0


# ---------------------------------------------------------------- a sweep


def measured(recipe, folder):
    (folder / f"{recipe.number} {os.getpid()} {time.time_ns()}").touch()
    time.sleep(1)
    return {"square": recipe.number**2, "row": np.arange(recipe.number)}


ROWS = [Row(number) for number in range(4)]


def sweeping(folder, notes):
    """A sweep in processes of its own, one for each recipe."""
    try:
        sweeps.collect(ROWS, functools.partial(measured, folder=notes), "table", folder, describe=Row._asdict)
    except KeyboardInterrupt:
        sys.exit(1)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_sweep_that_is_killed_or_interrupted_leaves_no_process_and_measures_only_what_is_missing(tmp_path, moments):
    folder, notes = tmp_path / "tables", tmp_path / "notes"
    notes.mkdir()

    def begins():
        return {int(note.name.split()[1]): int(note.name.split()[0]) for note in notes.iterdir()}

    for number, wanted in ((signal.SIGKILL, 1), (signal.SIGINT, 3)):
        process = begun(sweeping, folder, notes)
        wait_until(lambda wanted=wanted: len(begins()) == wanted)
        time.sleep(moments.uniform(0, 0.5))
        os.kill(process.pid, number)
        assert ended(process) == (-9 if number == signal.SIGKILL else 1)
        wait_until(lambda: not any(map(alive, begins())))
    rows, _ = sweeps.read("table", folder)
    there = [row["number"] for row in rows]
    assert there == sorted(there) and not any(row["failed"] for row in rows)
    before = len(begins())
    options = {"executor": AtOnce(), "describe": Row._asdict}
    rows, arrays = sweeps.collect(ROWS, functools.partial(measured, folder=notes), "table", folder, **options)
    assert len(list(notes.iterdir())) == before + len(ROWS) - len(there)  # none twice
    straight, same = sweeps.collect(ROWS, functools.partial(measured, folder=notes), "straight", folder, **options)
    assert [row | {"seconds": 0} for row in rows] == [row | {"seconds": 0} for row in straight]
    assert arrays.keys() == same.keys() and all(np.array_equal(arrays[place], same[place]) for place in same)
