"""sweeps: every recipe is measured once, whatever dies meanwhile; what is stored comes back."""

import concurrent.futures
import functools
import os
import signal
import sys
from typing import NamedTuple

import numpy as np
import pytest

from experiments import sweeps
from experiments.sweeps import collect, read, scheduler, sweep, write
from helpers.training import Recipe, fit
from tests.conftest import bars, tiny_cnn


class Sum(NamedTuple):
    """A recipe that needs no training."""

    first: int
    second: int


SUMS = [Sum(1, 2), Sum(3, 4), Sum(5, 6), Sum(7, 8)]


def add(recipe):
    if recipe.first == 3:
        raise ValueError("three is\nrefused")
    if recipe.first == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"total": recipe.first + recipe.second, "word": "fine", "both": np.array(recipe), "process": os.getpid()}


def noted(recipe, folder):
    (folder / f"{recipe.first}_{len(list(folder.iterdir()))}").touch()
    return {"total": recipe.first + recipe.second, "both": np.array(recipe)}


def trained(recipe, folder):
    """A small training; the first process that comes to seed 2 is killed amid it."""
    (folder / f"{recipe.seed}_{os.getpid()}").touch()
    model = tiny_cnn(recipe.seed)
    history = fit(model, recipe, *bars(96, seed=1), bars(30, seed=2), verbose=0)
    if recipe.seed == 2 and len(list(folder.glob("2_*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"accuracy": history["val_accuracy"][-1], "kernel": model.get_weights()[0]}


class AtOnce(concurrent.futures.Executor):
    """Does what it is given, in this process."""

    def submit(self, function, /, *arguments):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def test_without_an_executor_each_recipe_has_a_process_of_its_own_and_one_that_fails_ends_no_other():
    refused, killed, fine = dict(sweep(SUMS[1:], add)).values()
    assert refused == {"failed": "ValueError: three is refused"}
    assert killed == {"failed": "its process died, exit code -9"}
    assert fine["total"] == 15 and fine["word"] == "fine" and fine["seconds"] < 5 and fine["process"] != os.getpid()


def test_leaving_the_loop_cancels_what_has_not_begun():
    class Never(concurrent.futures.Executor):
        futures = []

        def submit(self, function, /, *arguments):
            self.futures.append(concurrent.futures.Future())
            if len(self.futures) == 1:
                self.futures[0].set_result({})
            return self.futures[-1]

    for _ in sweep(SUMS, add, executor := Never()):
        break
    assert [future.cancelled() for future in executor.futures] == [False, True, True, True]


def test_a_killed_sweep_goes_on_where_it_was_and_a_failed_recipe_is_tried_again(tmp_path):
    notes, folder = tmp_path / "notes", tmp_path / "table"
    notes.mkdir()
    options = {"name": "sums", "folder": folder, "executor": AtOnce(), "describe": Sum._asdict}
    collect(SUMS[:2], functools.partial(noted, folder=notes), **options)
    rows, arrays = collect(SUMS[:2], add, **options)  # nothing is left to do: not even three is refused
    assert [row["total"] for row in rows] == [3, 7] and len(list(notes.iterdir())) == 2
    rows, _ = collect([*SUMS[:2], Sum(3, 9)], add, **options)
    assert rows[2]["failed"] == "ValueError: three is refused" and rows[2]["first"] == 3 and rows[2]["total"] == ""
    rows, arrays = collect([*SUMS[:2], Sum(3, 9)], functools.partial(noted, folder=notes), **options)
    assert [row["total"] for row in rows] == [3, 7, 12] and [row["failed"] for row in rows] == [""] * 3
    assert sorted(path.name[0] for path in notes.iterdir()) == ["1", "3", "3"]
    np.testing.assert_array_equal(arrays["3 9", "both"], [3, 9])
    assert len(arrays) == 3 and {row["keras"] for row in rows} == {sweeps.importlib.metadata.version("keras")}


def test_numbers_words_and_arrays_come_back(tmp_path):
    rows = [{"key": "1", "failed": "", "value": 0.25, "word": "a, b"}, {"key": "2", "failed": "no", "value": ""}]
    arrays = {("1", "counts"): np.arange(5, dtype=np.uint8), ("9", "nobody's"): np.ones(2)}
    write(rows, arrays, "table", tmp_path)
    found, kept = read("table", tmp_path)
    assert found == [rows[0], rows[1] | {"word": ""}] and list(kept) == [("1", "counts")]
    assert kept["1", "counts"].dtype == np.uint8
    assert read("other", tmp_path) == ([], {})


def test_a_full_disk_leaves_the_old_table_whole(tmp_path, monkeypatch):
    write([{"key": "1", "failed": ""}], {}, "table", tmp_path)

    def full(old, new):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write([{"key": "2", "failed": ""}], {}, "table", tmp_path)
    assert [row["key"] for row in read("table", tmp_path)[0]] == ["1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.npz"]


def test_without_dask_a_scheduler_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'cnn-dreams"), scheduler("tcp://127.0.0.1:1"):
        pass
    with scheduler("") as executor:
        assert executor is None


def test_a_cluster_that_loses_a_worker_amid_a_training_finishes_and_counts_each_training_once(tmp_path):
    distributed = pytest.importorskip("distributed")
    notes = tmp_path / "notes"
    notes.mkdir()
    recipes = [Recipe(seed=seed, epochs=1, batch_size=32, digits=96) for seed in (1, 2, 3)]
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path) as cluster,
        scheduler(cluster.scheduler_address) as executor,
    ):
        measure = functools.partial(trained, folder=notes)
        rows, arrays = collect(recipes, measure, "cluster", tmp_path, executor)
    assert sorted(row["seed"] for row in rows) == [1, 2, 3] and not any(row["failed"] for row in rows)
    assert len(arrays) == 3 and len(list(notes.glob("2_*"))) == 2  # the killed one was trained again, elsewhere
    alone = tiny_cnn(3)
    fit(alone, recipes[2], *bars(96, seed=1), bars(30, seed=2), verbose=0)
    kernel = next(array for (key, _), array in arrays.items() if key.startswith("3 "))
    np.testing.assert_allclose(kernel, alone.get_weights()[0], atol=1e-4)  # a function of its recipe, wherever
