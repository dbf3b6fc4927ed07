"""Original input patterns (OIPs): the image a feature map answers to most, for one map or many.

Puts extractors, fluctuations and the engine together; knows nothing of figures and files.
"""

from typing import NamedTuple

import numpy as np

from helpers.activations import feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import Ascent, ascend, identity, report_steps
from helpers.fluctuations import fluctuations
from helpers.images import standardize
from helpers.objectives import Channels

AMPLITUDES = {3: 0.5, 7: 0.5}  # the articles' coarse start: long waves make legible patterns
COOLING = np.geomspace(5, 0.1, 30)  # big steps that cool down go further than 600 small ones
LEAKS = (0.5, 0.2, 0.05)  # what a silent node counts in the first, second and last third of the climb


class Oips(NamedTuple):
    """OIPs of some maps of one layer.

    `indices (n,)` the maps, `images (n, height, width, channels)` in model space, `values (n,)` the final mean
    activations, `how (n,)` words, `ascent` the record of the climb, its values being mean activations too.

    How a map was reached: "start": it answers to its random start. "precursor": not to that one, but to one
    chosen among many. "pre-activation": to none of them, but climbing what comes before the ReLU woke it.
    "unreachable": it stayed silent.
    """

    indices: np.ndarray
    images: np.ndarray
    values: np.ndarray
    how: np.ndarray
    ascent: Ascent


def create_oips(model, layer, indices, seed=0, amplitudes=AMPLITUDES, step_sizes=COOLING, precondition=identity,
                candidates=256):
    """Return the `Oips` of the maps `indices` of a layer: every map is reached that can be.

    Each map gets a random start of its own, which depends on `seed` and its index only, so a map's OIP is the
    same alone, among others and in any order. A map that is silent there starts from a precursor, the best of
    `candidates` fluctuations. All climb the leaky pre-activation, the leak falling in three stages, so that no
    map gets stuck where its gradient is zero and the end of the climb is ruled by the activation itself.
    `precondition=soften` gives calmer, more legible patterns of a lower value.

    Raises ValueError for an unknown layer or map. An interrupt keeps what was made so far. Source: article
    VIII; precursors are announced in IX, the leaky climb is ours. Introduced in notebook 04.
    """
    features = feature_extractor(model, layer)
    objectives = [Channels(pre_activation_extractor(model, layer), indices, leak) for leak in LEAKS]
    indices = np.asarray(indices)
    starts, how = _starts(features, indices, candidates, amplitudes, seed)
    record = _joined(_cooling_climbs(objectives, starts, step_sizes, precondition))
    values = np.stack([_own(mean_activations(features, frame), indices) for frame in record.frames])
    record = record._replace(values=values)
    how = np.where(values[-1] > 0, how, "unreachable")
    return Oips(indices, record.images, values[-1], how, record)


def layer_zoo(model, layer, **options):
    """Return the `Oips` of all maps of a layer, for the options see `create_oips`. Introduced in notebook 05."""
    return create_oips(model, layer, range(feature_extractor(model, layer).output_shape[-1]), **options)


def find_precursors(features, indices, candidates):
    """Return for each map the candidate image it answers to most, `(n, height, width, channels)`.

    One forward pass over the candidates serves all maps. Source: announced in article IX (Q8).
    """
    answers = mean_activations(features, candidates)  # (candidates, maps)
    return candidates[answers[:, indices].argmax(axis=0)]


def evolve_scales(objective, n, stages, seed, size=28):
    """Return the `Ascent` of `n` images of `size` x `size` that grow from coarse to fine.

    Each stage is (grid size, weight, step sizes): fluctuations of that grid, times the weight, are added to
    what the stages before have made, and the climb goes on. `[(3, 1, np.full(150, 0.01)), (7, 0.5, ...)]`.
    Source: "strategy 1" of article VIII, which was never shown there. Introduced in notebook 04.
    """
    images, climbs = 0, []
    for grid, weight, step_sizes in stages:
        images = standardize(images + weight * fluctuations(n, {grid: 1}, seed, size))
        climbs.append(ascend(objective, images, step_sizes))
        images = climbs[-1].images
        if climbs[-1].stopped:
            break
    return _joined(climbs)


def _starts(features, indices, candidates, amplitudes, seed):
    """Start images and the words that say how each map was woken."""
    shape = features.input_shape[1:]
    starts = _random_images(int(indices.max()) + 1, shape, amplitudes, seed)[indices]
    how = np.full(len(indices), "start", dtype="<U14")
    silent = _own(mean_activations(features, starts), indices) == 0
    if silent.any():
        tried = _random_images(candidates, shape, amplitudes, seed + 1)
        chosen = find_precursors(features, indices[silent], tried)
        starts[silent] = chosen
        answered = _own(mean_activations(features, chosen), indices[silent]) > 0
        how[silent] = np.where(answered, "precursor", "pre-activation")
    return starts, how


def _random_images(n, shape, amplitudes, seed):
    """Fluctuations that fit the network's input, every color channel a fluctuation of its own."""
    height, width, channels = (28 if size is None else size for size in shape)
    grays = fluctuations(n * channels, amplitudes, seed, size=max(height, width))
    stacked = grays.reshape(n, channels, *grays.shape[1:3]).transpose(0, 2, 3, 1)
    return standardize(stacked[:, :height, :width])


def _cooling_climbs(objectives, images, step_sizes, precondition):
    reporting = report_steps(len(step_sizes))
    for steps, objective in zip(np.array_split(np.arange(len(step_sizes)), len(objectives)), objectives):
        wanted = np.intersect1d(steps, reporting) - steps[:1]
        stage = ascend(objective, images, step_sizes[steps], precondition=precondition, reports=lambda _: wanted)
        yield stage
        images = stage.images
        if stage.stopped:
            return


def _joined(climbs):
    """Climbs that follow one another as one record, steps counted through; a repeated frame is kept once."""
    steps, frames, values, made, stopped = [], [], [], 0, False
    for climb in climbs:
        fresh = slice(1 if frames and np.array_equal(climb.frames[0], frames[-1][-1]) else 0, None)
        steps.append(climb.steps[fresh] + made), frames.append(climb.frames[fresh])
        values.append(climb.values[fresh])
        made, stopped = made + climb.steps[-1] + 1, climb.stopped
    return Ascent(np.concatenate(steps), np.concatenate(frames), np.concatenate(values), stopped)


def _own(answers, indices):
    """Of each image's answers (n, maps) the one of the map it belongs to, (n,)."""
    return answers[np.arange(len(indices)), indices]
