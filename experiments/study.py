"""The study of notebook 11: which networks are trained, and what is measured on each and between two of them.

`measure`, `european` and `compare` are functions of a recipe, or a pair of them, alone: they train, look, and return
a flat record of numbers and small arrays, so they run in any process. Knows nothing of executors or figures.
"""

import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.activations import class_means, conv_layers, feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import last_images, soften
from helpers.base import files
from helpers.compare import measures
from helpers.compare.matching import debiased_cka, match_maps
from helpers.compare.strokes import tally
from helpers.data import load_digits, load_small_digits
from helpers.explain.attacks import attacked
from helpers.fluctuations import fluctuations
from helpers.geometry import receptive_fields
from helpers.images import gray, resize, standardize
from helpers.models import build_cnn
from helpers.objectives import total_variation
from helpers.photos import load_photo
from helpers.training import NOISE, RADIUS, Recipe, accuracy, coarser, train

DEEPEST = "Conv2D_3"
LOOKED_AT = 2_000  # digits of the test set, and of the training set, in whatever is more than an accuracy
COMPARED = 400  # held-out digits on which two networks are compared
ATTACKED = 200
RADII = 0.1, 0.2  # of the attacks; one step of 0.12 was trained against
COOLING = np.geomspace(10, 0.1, 30)  # the climb whose patterns are judged, as in data/README.md
BRUSH = np.full(30, 0.09)  # what carves into a photograph
DEEP = "plain, He start", "plain, Glorot start", "against the worst case", "labels shuffled", "untrained"
DEEP_SEEDS = 4  # the first ones of these kinds are asked for summits and single nodes as well, which takes longer
EVERY = 4  # where a measurement is long, every fourth map stands for all
EUROPEAN = "plain, Glorot start", "against the worst case"  # the kinds that are shown bars and upstrokes
GROUP = 16  # maps that are removed together
SHOWN = 12  # OIPs that are stored as pictures, of the first network of each kind


def _kind(seeds, **changes):
    return [Recipe(seed=seed, **{"digits": 20_000, "epochs": 3} | changes) for seed in seeds]


KINDS = {  # name: recipes that differ in their random numbers only; all see 60,000 digits, one after the other
    "plain, He start": _kind(range(1, 9), start="he"),
    "plain, Glorot start": _kind(range(1, 9)),
    "against the worst case": _kind(range(1, 9), noise=NOISE, radius=RADIUS),
    "L2 5e-4 on convolutions": _kind(range(1, 5), conv_decay=5e-4),
    "L2 1e-3 on convolutions": _kind(range(1, 5), conv_decay=1e-3),
    "other order of digits": [Recipe(seed=1, order=order, digits=20_000, epochs=3) for order in range(1, 6)],
    "labels shuffled": _kind(range(1, 4), labels="shuffled"),
    "same padding": _kind(range(1, 4), variant="same padding"),
    "overlapping pooling": _kind(range(1, 4), variant="overlapping pooling"),
    "hexagonal kernels": _kind(range(1, 4), variant="hexagonal kernels"),
    "digits of 8x8 pixels": _kind(range(1, 4), pixels=8),
    "Fashion-MNIST": _kind(range(1, 6), dataset="fashion_mnist", digits=2_750, epochs=22),
    "untrained": _kind(range(1, 9), epochs=0),
}


def kind_of(recipe):
    """Return the name of the kind in `KINDS` that `recipe` belongs to."""
    return next(name for name, recipes in KINDS.items() if recipe in recipes)


def in_turns(kinds):
    """Return all recipes, the kinds taking turns in proportion: any beginning of the list is a smaller study."""
    places = [((number + 0.5) / len(recipes), order, recipe)
              for order, recipes in enumerate(kinds.values()) for number, recipe in enumerate(recipes)]
    return [recipe for _, _, recipe in sorted(places, key=lambda place: place[:2])]


def network(recipe, weights=None):
    """Return the network of `recipe`; `weights` is a folder where trained ones are kept, so none is trained twice."""
    path = Path(weights) / f"{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}.npz" if weights else None
    if path and path.exists():
        cnn = build_cnn(recipe.seed, recipe.variant, recipe.start)
        with np.load(path) as kept:
            cnn.set_weights([kept[f"arr_{place}"] for place in range(len(kept.files))])
        return cnn
    cnn, _ = train(recipe, verbose=0)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.written(path) as part:
            np.savez(part, *cnn.get_weights())
    return cnn


def measure(recipe, weights=None):
    """Return the record of one network: {name: number, text or small array}."""
    cnn = network(recipe, weights)
    images, labels = load_digits("test", recipe.dataset)
    seen, _ = load_digits("train", recipe.dataset)
    images, seen = coarser(images, recipe.pixels), coarser(seen[:LOOKED_AT], recipe.pixels)
    record = {"kind": kind_of(recipe), "accuracy": accuracy(cnn, images, labels)}
    images, labels = images[:LOOKED_AT], labels[:LOOKED_AT]
    if recipe.dataset == "mnist":
        record |= _of_other_digits(cnn)
    record |= _of_attacks(cnn, images[:ATTACKED], labels[:ATTACKED])
    record |= _of_silence(cnn, seen)
    features, before = feature_extractor(cnn, DEEPEST), pre_activation_extractor(cnn, DEEPEST)
    answers = mean_activations(features, images)
    found, patterns = _of_patterns(features, before, recipe.seed)
    record |= found
    if record["kind"] in DEEP and recipe.seed <= DEEP_SEEDS:
        record |= _of_summits(features, before, recipe.seed)
    record |= _of_removals(cnn, features, images, labels, answers)
    record |= _of_predictions(cnn, features, images, answers, seen, patterns)
    record |= _of_dreams(features, before, patterns, recipe.seed)
    if recipe.seed == 1 and recipe.order in (0, 1):
        shown = 255 * (patterns[:SHOWN, ..., 0] - patterns.min()) / np.ptp(patterns)
        record["patterns"] = shown.astype(np.uint8)
    return record


def _of_other_digits(cnn):
    small, labels = load_small_digits()
    images, own = (part[:LOOKED_AT] for part in load_digits("test"))
    return {"accuracy_scikit_learn": accuracy(cnn, small, labels),
            "accuracy_shrunk": accuracy(cnn, coarser(images, 8), own)}


def _of_attacks(cnn, images, labels):
    """The share still read after a multi-step attack of each radius."""
    return {f"attacked_{radius}": accuracy(cnn, attacked(cnn, images, labels, radius, steps=10), labels)
            for radius in RADII}


def _of_silence(cnn, seen):
    """Dead maps, and maps that the articles' ascent could not begin with, by layer."""
    record, size = {}, cnn.input_shape[1]
    for layer in conv_layers(cnn):
        features = feature_extractor(cnn, layer)
        record[f"dead_{layer}"] = int((mean_activations(features, seen).max(axis=0) == 0).sum())
        for name, amplitudes in (("long", measures.COARSE), ("fine", {size: 1})):
            silent = measures.silent_share(features, amplitudes)
            record[f"silent_{name}_{layer}"] = float(silent.mean())  # of all maps, for one start
            record[f"never_{name}_{layer}"] = int((silent == 1).sum())
    return record


def _of_patterns(features, before, seed):
    """What OIPs look like, whether copies of one patch make one; and the softened OIPs themselves."""
    starts, each = _starts(features, seed)
    raw = measures.favorite_images(before, each, starts, COOLING)
    soft = measures.favorite_images(before, each, starts, COOLING, precondition=soften)
    power, some = np.square(raw).mean(axis=(0, 3)), soft[::2, :26, :26]
    return {
        "fine": measures.fine_share(raw).mean(), "fine_soft": measures.fine_share(soft).mean(),
        "variation": float(np.mean(total_variation(tf.constant(raw)))),
        "variation_soft": float(np.mean(total_variation(tf.constant(soft)))),
        "value": mean_activations(features, raw)[each, each].mean(),
        "one_patch": measures.one_patch_share(some).mean(),
        "one_patch_control": measures.one_patch_share(measures.same_spectrum(some)).mean(),
        "frame": np.sqrt(power[26:, 26:].mean() / power[:26, :26].mean()),  # what no node sees fades away
    }, soft  # fmt: skip


def _of_summits(features, before, seed):
    """How many maxima a map has, and what changes if its strongest node counts more than the others."""
    starts, each = _starts(features, seed)
    few = each[::EVERY]
    found = measures.summits(features, before, few, seed=seed)
    awake = found.counts > 0
    values = np.where(found.values > 0, found.values, np.nan)[awake]
    record = {
        "converged": found.converged, "summits": found.counts[awake].mean(),
        "one_summit": (found.counts[awake] == 1).mean(), "summit_counts": found.counts.astype(np.uint8),
        "spread": np.nanmedian(np.nanmax(values, axis=1) / np.nanmean(values, axis=1)),
    }  # fmt: skip
    scale = tf.constant(np.std(np.asarray(before(starts[few], training=False))), tf.float32)
    for name, sharpness in (("mean", 0.01), ("soft", 3.0), ("maximum", 30.0)):
        climbed = measures.SoftMaximum(before, tf.constant(few, tf.int32), tf.constant(sharpness), scale)
        images = last_images(climbed, starts[few], COOLING, precondition=soften)
        record[f"nodes_{name}"] = np.mean(measures.nodes_at_work(features, images, few))
        record[f"one_patch_{name}"] = measures.one_patch_share(images[:, :26, :26]).mean()
    return record


def _starts(features, seed):
    maps = features.output_shape[-1]
    return fluctuations(maps, {3: 0.5, 7: 0.5}, seed, features.input_shape[1]), np.arange(maps)


def _of_removals(cnn, features, images, labels, answers):
    """What the accuracy loses without groups of equal size, by 0 and by their mean; and how pure choosy maps are."""
    activations = features.predict(images, verbose=0, batch_size=500)
    maps, means = activations.shape[-1], class_means(answers, labels)
    index, pure = measures.selectivity(means), measures.purity(answers, labels)
    awake = answers.max(axis=0) > 0
    record = {"selectivity": np.median(index[awake]), "purity": pure[awake].mean(),
              "selectivity_purity": measures.rank_correlations(index[awake, None], pure[awake, None])[0]}

    def right(kept, filling):
        changed = activations * kept + filling * (1 - kept)
        for layer in cnn.layers[cnn.layers.index(cnn.get_layer(DEEPEST)) + 1 :]:
            changed = layer(changed)
        return (np.argmax(changed, axis=1) == labels).astype(float)

    lead = means - (means.sum(axis=0) - means) / (len(means) - 1)
    groups = np.argsort(-lead, axis=1)[:, :GROUP]  # for each class the maps that prefer it by most
    drawn = [np.random.default_rng(number).permutation(maps)[:GROUP] for number in range(len(means))]
    whole = right(np.ones(maps, np.float32), 0)
    for name, filling in (("zero", np.zeros(maps, np.float32)), ("mean", activations.mean(axis=0))):
        own, other, random = [], [], []
        for c, (group, chance) in enumerate(zip(groups, drawn)):
            lost = [100 * (whole - right(_without(maps, removed), filling)) for removed in (group, chance)]
            own.append(lost[0][labels == c].mean()), other.append(lost[0][labels != c].mean())
            random.append(lost[1].mean())
        record |= {f"lost_own_{name}": np.mean(own), f"lost_other_{name}": np.mean(other),
                   f"lost_random_{name}": np.mean(random)}
    return record


def _without(maps, removed):
    kept = np.ones(maps, np.float32)
    kept[removed] = 0
    return kept


def _of_predictions(cnn, features, images, answers, seen, patterns):
    """Rank correlations, over digits the network has not learned from, of a map's answer with four predictions."""
    known = mean_activations(features, seen)
    awake = (answers.max(axis=0) > 0) & (known.max(axis=0) > 0)
    geometry = next(row for row in receptive_fields(cnn) if row.layer == DEEPEST)
    excess = known - known.mean(axis=0)
    averages = excess.T @ seen.reshape(len(seen), -1)  # (maps, pixels): digits weighted by what the map says
    flat, few = images.reshape(len(images), -1), LOOKED_AT // 2
    near = _dense_forward(features, seen[:few])
    predictions = {
        "oip": flat @ patterns.reshape(len(patterns), -1).T,
        "other_oip": flat @ np.roll(patterns, 1, axis=0).reshape(len(patterns), -1).T,
        "mean_digit": flat @ averages.T,
        "patch": measures.best_patch_answers(near, seen[:few], geometry, images[:few]),
    }
    found = {name: measures.rank_correlations(guess[:, awake], answers[: len(guess), awake])
             for name, guess in predictions.items()}  # fmt: skip
    return {f"predicts_{name}": np.nanmean(values) for name, values in found.items()} | {"awake": int(awake.sum())}


def _dense_forward(features, images):
    return features.predict(images, verbose=0, batch_size=500)


def _of_dreams(features, before, patterns, seed):
    """Kinship (notebook 06): is what a map carves into a photograph likest to its own OIP, made from noise?"""
    maps, size = len(patterns), patterns.shape[1]
    photo = standardize(resize(gray(load_photo()[np.newaxis]), (size, size)))
    each = np.arange(maps)
    dreams = measures.favorite_images(before, each, np.repeat(photo, maps, axis=0), BRUSH, precondition=soften)
    table = _special(dreams - photo) @ _special(patterns).T
    ranks = (table > np.diag(table)[:, None]).sum(axis=1) + 1
    return {"kin": np.diag(table).mean(), "kin_rank": np.median(ranks), "kin_first": (ranks == 1).mean()}


def _special(images):
    """What each image has beyond the mean of all, as rows of length 1."""
    rows = (images - images.mean(axis=0)).reshape(len(images), -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def european(recipe, weights=None):
    """Return what a network reads where a bar or an upstroke was added to test digits, {what is shown: counts (10,)}.

    Notebook 03 shows it for the shipped network; see `handwriting.tally`.
    """
    cnn = network(recipe, weights)
    counts = tally(lambda images: _dense_forward(cnn, images).argmax(axis=1), *load_digits("test", recipe.dataset))
    return {"kind": kind_of(recipe), **counts}


class Pair(NamedTuple):
    """Two networks to compare."""

    first: Recipe
    second: Recipe


def pairs(kinds):
    """Return the pairs of networks that are compared: within kinds, between kinds, and what `order` alone changes."""
    he, glorot, hard = (kinds[name] for name in list(kinds)[:3])
    within = [Pair(*two) for recipes in (he, glorot, hard, kinds["labels shuffled"], kinds["untrained"])
              for two in zip(recipes[:-1], recipes[1:])]
    between = [Pair(*two) for other in (he, hard, kinds["untrained"]) for two in zip(glorot, other)]
    order = [Pair(glorot[0], other) for other in kinds["other order of digits"]]
    return within + between + order


def compare(pair, weights=None):
    """Return the record of two networks, layer by layer, on held-out digits: matching, identity, chance and CKA.

    Which map goes with which is decided on one half of the digits, and how alike they are is measured on the other.
    """
    images, _ = load_digits("test")
    images = images[LOOKED_AT : LOOKED_AT + COMPARED]
    record = {"kinds": " | ".join(kind_of(recipe) for recipe in pair), "seeds": f"{pair.first.seed} {pair.second.seed}"}
    networks = [network(recipe, weights) for recipe in pair]
    for layer in conv_layers(networks[0]):
        halves = [np.split(_dense_forward(feature_extractor(cnn, layer), images), 2) for cnn in networks]
        matched, unseen = (match_maps(*half) for half in zip(*halves))
        maps = np.arange(len(matched.partners))
        record[f"matched_{layer}"] = unseen.table[maps, matched.partners].mean()
        record[f"identity_{layer}"] = unseen.identity.mean()
        record[f"chance_{layer}"] = unseen.chance
        shuffled = np.random.default_rng(0).permutation(len(halves[1][1]))
        record[f"matched_shuffled_{layer}"] = match_maps(halves[0][1], halves[1][1][shuffled]).correlations.mean()
        record[f"cka_{layer}"] = debiased_cka(halves[0][1], halves[1][1])
    return record


def stored(recipe):
    """Return a recipe, or a pair of them, as a flat record for a row of a table."""
    if isinstance(recipe, Pair):
        return {f"{name}_{number}": value for number, one in enumerate(recipe, 1)
                for name, value in dataclasses.asdict(one).items()}
    return dataclasses.asdict(recipe)


def parts(weights):
    """Return what the study consists of: {name: (recipes, the function that measures one)}."""
    readers = in_turns({kind: KINDS[kind] for kind in EUROPEAN})
    return {
        "networks": (in_turns(KINDS), functools.partial(measure, weights=weights)),
        "pairs": (pairs(KINDS), functools.partial(compare, weights=weights)),
        "handwriting": (readers, functools.partial(european, weights=weights)),
    }
