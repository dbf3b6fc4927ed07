"""Any number of trainings on one machine or many: run, collect as they come, go on after a kill.

`python -m experiments.sweeps` (`make sweep`) runs the study of notebook 11. Only this module knows executors; it
knows nothing of networks or measures, which are functions of a recipe that it is given.
"""

import argparse
import concurrent.futures
import contextlib
import csv
import importlib.metadata
import io
import multiprocessing
import os
import threading
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from helpers.base import files

TRAININGS = files.DATA / "trainings"
KEY, FAILED, SECONDS = "key", "failed", "seconds"  # columns of every table, with `versions`
PACKAGES = "tensorflow", "keras", "numpy"


def sweep(recipes, measure, executor=None):
    """Yield (recipe, result) for all recipes, as they are done; the result is what `measure(recipe)` returns.

    `measure` is an importable function, or a `functools.partial` of one, from a recipe to a flat record {name: number,
    text or small array}. Without an executor each recipe has a process of its own, one after another, so nothing
    piles up. With one, any `concurrent.futures.Executor`, all are handed over at once: a process pool, or
    `distributed.Client(address).get_executor()` for machines in a network (see `scheduler`). A measure that raises,
    or whose process dies, gives the record {"failed": reason} and the others go on. Leaving the loop cancels what has
    not begun. Introduced in notebook 11.
    """
    if executor is None:
        yield from ((recipe, _alone(measure, recipe)) for recipe in recipes)
        return
    futures = {executor.submit(_timed, measure, recipe): recipe for recipe in recipes}
    try:
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], _result(future)
    finally:
        for future in futures:
            future.cancel()


def collect(recipes, measure, name, folder=TRAININGS, executor=None, describe=vars):
    """Return the (rows, arrays) of all recipes, after measuring those that are not in the table yet.

    The table is `folder`/`name`.csv, one row for each recipe: `describe(recipe)`, the versions in use, the seconds it
    took and the numbers of its record; arrays go to `name`.npz beside it. Both are written whole after every recipe,
    so a sweep that was killed goes on where it was when called again, and none is lost or counted twice. A row that
    says why it failed is tried again. Shows the progress and the time left. Introduced in notebook 11.
    """
    rows, arrays = _stored(name, folder)
    keys = {key_of(describe(recipe)): recipe for recipe in recipes}
    done = {row[KEY] for row in rows if not row[FAILED]}
    left = {key: recipe for key, recipe in keys.items() if key not in done}
    names = {recipe: key for key, recipe in left.items()}
    with tqdm(total=len(keys), initial=len(keys) - len(left), desc=name) as progress:
        for recipe, record in sweep(names, measure, executor):
            rows, arrays = _with(rows, arrays, names[recipe], describe(recipe), record)
            rows.sort(key=lambda row: [*keys, row[KEY]].index(row[KEY]))  # in the order of the recipes
            write(rows, arrays, name, folder)
            progress.update()
    return read(name, folder)


def read(name, folder=TRAININGS):
    """Return (rows, arrays) of a table that `collect` has written: a list of dicts, and {(key, array's name): array}.

    Numbers are floats; what a row has not is "". Where there is no table yet, there are no rows.
    """
    rows, arrays = _stored(name, folder)
    return [{column: text if column in (KEY, FAILED) else _number(text) for column, text in row.items()}
            for row in rows], arrays  # fmt: skip


def write(rows, arrays, name, folder=TRAININGS):
    """Write a table and its arrays; what stood there is whole until it is replaced."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text, packed = io.StringIO(newline=""), io.BytesIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    np.savez_compressed(packed, **{"/".join(place): array for place, array in arrays.items()})
    contents = {".npz": packed.getvalue(), ".csv": text.getvalue().encode()}  # an array without a row does no harm
    for ending, content in contents.items():
        with files.written(folder / f"{name}{ending}") as part:
            part.write_bytes(content)


def key_of(described):
    """Return the word by which a table knows a recipe: its entries, one after the other."""
    return " ".join(str(value).replace(" ", "_") for value in described.values())


@contextlib.contextmanager
def scheduler(address=None):
    """Give the executor of the dask scheduler at `address`, such as "tcp://192.168.1.5:8786"; none gives None.

    Needs the optional package `distributed`: pip install 'cnn-dreams[cluster]'. README tells how to start one.
    """
    if not address:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ModuleNotFoundError("a scheduler needs dask: pip install 'cnn-dreams[cluster]'") from error
    with Client(address) as client:
        yield client.get_executor(pure=False)


def _alone(measure, recipe):
    """The record of one measurement in a fresh process, or why there is none; it never outlives this call."""
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    answer, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, measure, recipe))
    try:
        process.start()
        theirs.close()
        return answer.recv()
    except (EOFError, OSError):  # before it sent its record, or amid it
        process.join()
        return {FAILED: f"its process died, exit code {process.exitcode}"}
    finally:
        if process.is_alive():
            process.kill()


def _send(pipe, measure, recipe):
    """Measure in this process and send the record, or why there is none."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        pipe.send(_timed(measure, recipe))
    except Exception as error:
        pipe.send(_failed(error))


def _end_with_parent():
    """End this process as soon as the one that began it is gone: killed, it could not say so."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _timed(measure, recipe):
    """The record with the seconds it took, where it was made."""
    begin = time.monotonic()
    record = measure(recipe)
    return {SECONDS: time.monotonic() - begin} | record


def _result(future):
    """The record of a finished measurement, or why there is none, in one line."""
    try:
        return future.result()
    except (KeyboardInterrupt, concurrent.futures.CancelledError):
        raise
    except Exception as error:
        return _failed(error)


def _failed(error):
    return {FAILED: f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}


def _with(rows, arrays, key, described, record):
    """The rows and arrays with those of one more recipe, which replace older ones of the same key."""
    numbers = {name: value for name, value in record.items() if np.ndim(value) == 0}
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    row = {KEY: key, FAILED: "", **described, **versions, **numbers}
    row = {name: f"{value:.6g}" if isinstance(value, (float, np.floating)) else value for name, value in row.items()}
    kept = {place: array for place, array in arrays.items() if place[0] != key}
    own = {(key, name): np.asarray(value) for name, value in record.items() if name not in numbers}
    return [*(other for other in rows if other[KEY] != key), row], kept | own


def _stored(name, folder):
    """The rows of a table as they are written, and the arrays that belong to them."""
    path = Path(folder) / f"{name}.csv"
    if not path.exists():
        return [], {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = {row[KEY] for row in rows}
    with np.load(path.with_suffix(".npz")) as stored:
        places = [tuple(entry.split("/", 1)) for entry in stored.files]
        return rows, {place: stored["/".join(place)] for place in places if place[0] in known}


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    from experiments import study
    from helpers.data import load_digits

    parser = argparse.ArgumentParser(description="Train and measure the networks of notebook 11.")
    parser.add_argument("--scheduler", default="", help="address of a dask scheduler; without it, this machine")
    parser.add_argument("--weights", default=str(TRAININGS / "weights"), help="where trained weights are kept")
    arguments = parser.parse_args()
    if len(load_digits("train")[0]) < 60_000:
        raise SystemExit("The study is made of MNIST; without it the stored results stay as they are.")
    with scheduler(arguments.scheduler) as executor:
        for name, (recipes, measure) in study.parts(arguments.weights).items():
            collect(recipes, measure, name, executor=executor, describe=study.stored)
