"""Original input patterns (OIPs): the image a feature map answers to most, for one map or many.

Puts extractors, fluctuations and the engine together; knows nothing of figures and files.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from helpers.activations import conv_layers, feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import Ascent, ascend, checked_step_sizes, identity, report_steps
from helpers.fluctuations import fluctuations, numbered_fluctuations
from helpers.images import standardize
from helpers.objectives import Channels

AMPLITUDES = {3: 0.5, 7: 0.5}  # the articles' coarse start: long waves make legible patterns
COOLING = np.geomspace(3, 0.02, 45)  # big steps that cool down go further than 600 small ones
LEAKS = (0.2, 0.05, 0.01)  # what a silent node counts in the first, second and last third of the climb
MAPS_AT_ONCE, IMAGES_AT_ONCE = 32, 128  # bound the memory, however many maps and starts there are


def quietly(groups):
    """Return the groups of maps as they are: no progress is shown."""
    return groups


def text_bar(groups):
    """Yield the groups of maps and say after each how many maps are done: a `progress` for `layer_zoo`."""
    done, total = 0, sum(len(group) for group in groups)
    for group in groups:
        yield group
        done += len(group)
        print(f"{done:4} of {total} maps {'#' * (20 * done // total)}", flush=True)


class Oips(NamedTuple):
    """OIPs of some maps of one layer.

    `indices (n,)` the maps, `images (n, height, width, channels)` in model space, `values (n,)` the final mean
    activations, `how (n,)` words, `ascent` the record of the climb, its values being mean activations too.

    How a map was reached: "start": it answers to its random start. "precursor": not to that one, but to one
    chosen among many. "pre-activation": to none of them, but climbing what comes before the ReLU woke it.
    "unreachable": it stayed silent.

    `excited (n,)` says whether any of the digits given to `layer_zoo` excites the map: where it is False the OIP
    is a picture of something no digit holds. It is empty if no digits were given.
    """

    indices: np.ndarray
    images: np.ndarray
    values: np.ndarray
    how: np.ndarray
    ascent: Ascent
    excited: np.ndarray = np.empty(0, bool)


def create_oips(model, layer, indices, seed=0, amplitudes=AMPLITUDES, step_sizes=COOLING, precondition=identity,
                starts=3, candidates=256, progress=quietly):
    """Return the `Oips` of the maps `indices` of a layer: every map is reached that can be.

    Each map gets `starts` random starts of its own, which depend on `seed` and its index only, so a map's OIP
    is the same alone, among others and in any order. Where all of them leave it silent, the best of
    `candidates` further fluctuations, its precursor, takes the place of the first. All climb the leaky
    pre-activation, so that no map is stuck where its gradient is zero; the leak falls in three stages, and in
    the end the activation itself rules. The best start goes on alone after the first stage.
    `precondition=soften` gives calmer, more legible patterns of a lower value.

    The maps climb in groups, so the memory needed does not grow with their number or that of the starts.
    `progress` wraps the loop over the groups, as `text_bar` does; it may also show what it likes, or stop.
    Raises ValueError for an unknown layer or map. An interrupt keeps what was made so far. Source: article
    VIII; precursors are announced in IX, the leaky climb is ours. Introduced in notebook 04.
    """
    features, before = feature_extractor(model, layer), pre_activation_extractor(model, layer)
    objectives = [partial(Channels, before, leak=leak) for leak in LEAKS]
    indices = _map_indices(features, indices)  # refuses what does not exist before all else
    step_sizes = checked_step_sizes(step_sizes)
    if len(step_sizes) < len(LEAKS):
        raise ValueError(f"step_sizes has {len(step_sizes)} steps; the climb has {len(LEAKS)} stages and needs more")
    made, size = [], _group_size(starts)
    try:
        for group in progress([indices[first : first + size] for first in range(0, len(indices), size)]):
            images, how = _starts(features, group, starts, candidates, amplitudes, seed)
            record = _joined(_cooling_climbs(objectives, group, images, step_sizes, precondition))
            values = _own_values(features, record.frames, group)
            how = np.where(values[-1] > 0, how, "unreachable")
            made.append(Oips(group, record.images, values[-1], how, record._replace(values=values)))
            if record.stopped:
                break
    except KeyboardInterrupt:  # between two climbs
        if not made:
            raise
        made[-1] = made[-1]._replace(ascent=made[-1].ascent._replace(stopped=True))
    return _together(made)


def layer_zoo(model, layer, digits=(), **options):
    """Return the `Oips` of all maps of a convolutional layer of any Keras model, one of each, in their order.

    `digits (n, height, width, channels)`, best the training digits, tell which maps are `excited` by any of them.
    For the options see `create_oips`; `progress=text_bar` shows how far it is. Raises ValueError for a layer
    that is unknown or has no maps, such as a dense one. Introduced in notebook 05.
    """
    features = feature_extractor(model, layer)
    if len(features.output_shape) != 4:
        raise ValueError(f"layer {layer!r} has no feature maps but {features.output_shape[-1]} single units; "
                         f"the convolutional layers of this model are {', '.join(conv_layers(model)) or 'none'}")
    zoo = create_oips(model, layer, range(features.output_shape[-1]), **options)
    if len(digits) == 0:
        return zoo
    return zoo._replace(excited=mean_activations(features, digits).max(axis=0)[zoo.indices] > 0)


def find_precursors(features, indices, candidates):
    """Return for each map the candidate image it answers to most, `(n, height, width, channels)`.

    One forward pass over the candidates serves all maps. Source: announced in article IX (Q8).
    """
    answers = mean_activations(features, candidates)  # (candidates, maps)
    return candidates[answers[:, _map_indices(features, indices)].argmax(axis=0)]


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


def _map_indices(features, indices):
    """`indices` as an array, refused where one is no map of the layer; a single one or a generator will do."""
    return Channels(features, np.array([*indices] if np.iterable(indices) else [indices])).indices.numpy()


def _group_size(starts):
    """How many maps climb together."""
    if not (isinstance(starts, (int, np.integer)) and starts > 0):
        raise ValueError(f"starts = {starts!r} per map cannot be made; it must be a whole number of at least 1")
    return max(1, min(MAPS_AT_ONCE, IMAGES_AT_ONCE // starts))


def _starts(features, indices, starts, candidates, amplitudes, seed):
    """Start images (maps * starts, height, width, channels) and the words that say how each map was woken."""
    shape = features.input_shape[1:]
    numbers = (indices[:, None] * starts + np.arange(starts)).ravel()  # a map's own, whoever else is asked for
    images = _random_images(numbers, shape, amplitudes, seed)
    answers = _own(mean_activations(features, images), np.repeat(indices, starts)).reshape(-1, starts)
    silent = (answers == 0).all(axis=1)
    how = np.where(silent, "pre-activation", "start")
    if silent.any():
        tried = _random_images(np.arange(candidates), shape, amplitudes, seed + 1)
        chosen = find_precursors(features, indices[silent], tried)
        images[np.flatnonzero(silent) * starts] = chosen
        answered = _own(mean_activations(features, chosen), indices[silent]) > 0
        how[silent] = np.where(answered, "precursor", "pre-activation")
    return images, how


def _random_images(numbers, shape, amplitudes, seed):
    """The fluctuations of these numbers, to fit the network's input, every color channel one of its own."""
    height, width, channels = (28 if size is None else size for size in shape)
    planes = (numbers[:, None] * channels + np.arange(channels)).ravel()
    grays = numbered_fluctuations(planes, amplitudes, seed, max(height, width))
    stacked = grays.reshape(len(numbers), channels, *grays.shape[1:3]).transpose(0, 2, 3, 1)
    return standardize(stacked[:, :height, :width])


def _cooling_climbs(objectives, indices, images, step_sizes, precondition):
    """The climbs of the three stages, one after the other; the first with all starts, the others with the best."""
    step_sizes = np.asarray(step_sizes)
    reporting, starts = report_steps(len(step_sizes) + 1), len(images) // len(indices)
    for stage, steps in enumerate(np.array_split(np.arange(len(step_sizes)), len(objectives))):
        climbers = np.repeat(indices, starts) if stage == 0 else indices
        wanted = np.intersect1d(steps, reporting) - steps[:1]
        climb = ascend(objectives[stage](climbers), images, step_sizes[steps], precondition=precondition,
                       reports=lambda _, wanted=wanted: wanted)
        if stage == 0:
            best = climb.values[-1].reshape(-1, starts).argmax(axis=1) + np.arange(len(indices)) * starts
            climb = climb._replace(frames=climb.frames[:, best], values=climb.values[:, best])
        yield climb
        images = climb.images
        if climb.stopped:
            return


def _joined(climbs):
    """Climbs that follow one another as one record, steps counted through; a repeated frame is kept once."""
    steps, frames, values, made, stopped = [], [], [], 0, False
    for climb in climbs:
        fresh = slice(1 if frames and np.array_equal(climb.frames[0], frames[-1][-1]) else 0, None)
        steps.append(climb.steps[fresh] + made), frames.append(climb.frames[fresh])
        values.append(climb.values[fresh])
        made, stopped = made + climb.steps[-1], climb.stopped
    return Ascent(np.concatenate(steps), np.concatenate(frames), np.concatenate(values), stopped)


def _together(made):
    """The Oips of several groups of maps as one; a group that was interrupted keeps its last frame to the end."""
    steps = max((oips.ascent.steps for oips in made), key=len)
    frames, values = [], []
    for oips in made:
        there = np.minimum(np.arange(len(steps)), len(oips.ascent.steps) - 1)
        frames.append(oips.ascent.frames[there]), values.append(oips.ascent.values[there])
    record = Ascent(steps, np.concatenate(frames, axis=1), np.concatenate(values, axis=1), made[-1].ascent.stopped)
    indices, images, finals, how = (np.concatenate(parts) for parts in list(zip(*made))[:4])
    return Oips(indices, images, finals, how, record)


def _own_values(features, frames, indices):
    """The mean activation of each image's own map in each frame, (k, n)."""
    answers = mean_activations(features, frames.reshape(-1, *frames.shape[2:]))
    return _own(answers, np.tile(indices, len(frames))).reshape(len(frames), -1)


def _own(answers, indices):
    """Of each image's answers (n, maps) the one of the map it belongs to, (n,)."""
    return answers[np.arange(len(indices)), indices]
