"""Four short trainings on one machine: one process after another, and two dask workers side by side.

Targets: both ways bring back the same networks, to the accuracy's last digit, and on two cores two workers take no
longer than one process after another. (Each process on its own starts TensorFlow anew, a worker keeps it.)
"""

import logging
import sys
import tempfile
import time
from statistics import median

from helpers.data import digits_in_use, load_digits
from experiments.sweeps import scheduler, sweep
from helpers.training import Recipe, accuracy, train

RECIPES = [Recipe(seed=seed, digits=4_000, epochs=1) for seed in (1, 2, 3, 4)]
WORKERS, ROUNDS = 2, 3


def trained(recipe):
    """What a sweep brings back of one training: its accuracy on the test digits."""
    cnn, _ = train(recipe, verbose=0)
    return {"accuracy": accuracy(cnn, *load_digits("test"))}


def timed(executor=None):
    """The seconds that the sweep takes, those of its trainings, and {seed: accuracy}."""
    begin = time.perf_counter()
    records = {recipe.seed: record for recipe, record in sweep(RECIPES, trained, executor)}
    failed = [record["failed"] for record in records.values() if "failed" in record]
    if failed:
        sys.exit(failed[0])
    return (time.perf_counter() - begin, [record["seconds"] for record in records.values()],
            {seed: record["accuracy"] for seed, record in sorted(records.items())})


def on_a_cluster():
    """The same on a cluster that is begun and ended here, and the seconds that this takes as well."""
    from distributed import LocalCluster

    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, LocalCluster(
        WORKERS, threads_per_worker=1, dashboard_address=None, local_directory=folder, silence_logs=logging.ERROR
    ) as cluster, scheduler(cluster.scheduler_address) as executor:
        result = timed(executor)
    return *result, time.perf_counter() - begin


def bench():
    print(digits_in_use())
    alone, together, whole, each, found = [], [], [], {"alone": [], "together": []}, []
    for _ in range(ROUNDS):  # in turns, so that a machine that is busy for a while is busy for both
        seconds, own, accuracies = timed()
        alone.append(seconds), each["alone"].extend(own), found.append(accuracies)
        seconds, own, accuracies, all_of_it = on_a_cluster()
        together.append(seconds), each["together"].extend(own), found.append(accuracies)
        whole.append(all_of_it)
    told(alone, together, whole, each)
    same = all(accuracies == found[0] for accuracies in found)
    print(f"  accuracies {', '.join(f'{value:.2%}' for value in found[0].values())}; the same in every round and both "
          f"ways: {'yes' if same else 'NO, MISSED'}")


def told(alone, together, whole, each):
    ratios = [one / two for one, two in zip(alone, together)]
    budget = f"{RECIPES[0].digits:,} digits in {RECIPES[0].epochs} epoch(s)"
    print(f"{len(RECIPES)} trainings of {budget}, medians of {ROUNDS} rounds")
    print(f"  one process after another   {median(alone):6.1f} s, of which a training {median(each['alone']):5.1f} s")
    print(f"  LocalCluster of {WORKERS} processes {median(together):6.1f} s, of which a training "
          f"{median(each['together']):5.1f} s; with its beginning and end {median(whole):.1f} s")
    print(f"  the cluster is {median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f}); "
          f"target at least 1{', MISSED' if median(ratios) < 1 else ''}")


if __name__ == "__main__":
    bench()
