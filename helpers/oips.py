"""Original input patterns (OIPs): the image a feature map answers to most, for one map or many.

Puts extractors, fluctuations and the engine together; knows nothing of figures and files.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from helpers.activations import conv_layers, feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import Ascent, ascend, great_circle, identity, only_the_result
from helpers.base import checks
from helpers.base.interrupts import leave_if_asked
from helpers.fluctuations import fluctuations, numbered_fluctuations
from helpers.images import standardize
from helpers.objectives import Channels

AMPLITUDES = {3: 0.5, 7: 0.5}  # the articles' coarse start: long waves make legible patterns
COOLING = np.geomspace(1.2, 0.02, 40)  # angles along great circles: big turns that cool down
LEAKS = (0.2, 0.05, 0.01)  # what a silent node counts in the three stages of the climb
TRIAL = 1 / 4  # share of the steps in the first stage, which all starts of a map climb; then the best goes on
MAPS_AT_ONCE = 64  # in one group, if the memory allows: larger ones are hardly faster and come more seldom
IMAGES_AT_ONCE, MEMORY = 256, 128e6  # most images of a group, most bytes that their activations may fill
OPEN_EDGE = 28  # pixels along an edge of the starts where a model takes images of any size


class Oips(NamedTuple):
    """OIPs of some maps of one layer.

    `indices (n,)` the maps, `images (n, height, width, channels)` in model space, `values (n,)` the final mean
    activations, `how (n,)` words, `ascent` the record of the climb, its values being mean activations too.

    How a map was reached: "start": it is activated by an ordinary random start, the first candidate. "precursor": not
    by that one, but by one chosen for it. "pre-activation": not even by these, but the climb of what comes before the
    ReLU activated it. "unreachable": no candidate and no climb activated it.

    `excited (n,)` says whether any of the digits given to `layer_zoo` excites the map: where it is False the OIP
    is a picture of something no digit holds. It is empty if no digits were given.
    """

    indices: np.ndarray
    images: np.ndarray
    values: np.ndarray
    how: np.ndarray
    ascent: Ascent
    excited: np.ndarray = np.empty(0, bool)


def grow_oips(model, layer, indices, seed=0, amplitudes=AMPLITUDES, step_sizes=COOLING, precondition=identity,
              starts=3, candidates=256, reports=only_the_result, at_once=MAPS_AT_ONCE):
    """Yield the `Oips` of the maps `indices` of a layer, one group after the other, as they grow.

    All maps share the same random `candidates`, which are `fluctuations(candidates, amplitudes, seed)`: one pass
    through the network tells which of them each map answers to most, counting negative values by a share. The best
    `starts` of a map climb along great circles for the first part of the `step_sizes`; the best of these goes on.
    So a map's OIP is the same alone, among others and in any order. All climb the leaky pre-activation, so that no
    map is stuck where its gradient is zero; the leak falls in three stages, and in the end the activation itself
    rules. An OIP is never worse than the best of its starts, and a map that stays at 0 is grown once more from the
    candidate that excites it most, if any does. `precondition=soften` gives calmer, more legible patterns of a lower
    value.

    A group has up to `at_once` maps, or as many as the memory allows. Only the last frame is kept, unless
    `reports` asks for more, see `ascent.climb`. To watch, iterate, best under `tqdm`; to stop, `break`: what was
    yielded is whole, and `join_oips` puts it together. An interrupt (Stop, Ctrl-C) still yields the group at work,
    its `ascent.stopped` set, then goes on its way. Raises ValueError for an unknown layer or map, before anything is
    made. Source: article VIII; precursors are announced in IX, the leaky climb is ours. Introduced in notebook 05.
    """
    features, before = feature_extractor(model, layer), pre_activation_extractor(model, layer)
    indices = _map_indices(features, indices)
    starts = checks.whole(starts, "starts", least=1)
    candidates = checks.whole(candidates, "candidates", least=starts)
    at_once, step_sizes = checks.whole(at_once, "at_once", least=1), checks.step_sizes(step_sizes)
    if len(step_sizes) < len(LEAKS):
        raise ValueError(f"step_sizes has {len(step_sizes)} steps; the climb has {len(LEAKS)} stages and needs more")
    images_at_once = max(1, min(IMAGES_AT_ONCE, int(MEMORY / activation_bytes(features))))
    random = partial(_random_images, features.input_shape[1:], amplitudes, seed)
    random(np.arange(1))  # refuses amplitudes and seeds that are none
    climb = partial(_climb_in_stages, before, images_at_once, step_sizes=step_sizes, precondition=precondition,
                    reports=reports)
    size = max(1, min(at_once, images_at_once // starts))
    ask_candidates = partial(_answers_to_candidates, random, candidates, images_at_once)
    return _groups(features, before, indices, random, ask_candidates, starts, climb, size, images_at_once)


def create_oips(model, layer, indices, **options):
    """Return the `Oips` of the maps `indices` of a layer: every map is reached that can be.

    For the options see `grow_oips`, whose groups are put together here. An interrupt keeps what was made so far.
    Introduced in notebook 04.
    """
    indices = _map_indices(feature_extractor(model, layer), indices)
    return _collected(grow_oips(model, layer, indices, **options), len(indices))


def layer_zoo(model, layer, digits=(), **options):
    """Return the `Oips` of all maps of a convolutional layer of any Keras model, one of each, in their order.

    `digits (n, height, width, channels)`, best the training digits, tell which maps are `excited` by any of them.
    For the options see `grow_oips`. Raises ValueError for a layer that is unknown or has no maps, such as a dense
    one, and for digits that do not fit. Introduced in notebook 05.
    """
    features = feature_extractor(model, layer)
    if len(features.output_shape) != 4:
        raise ValueError(f"layer {layer!r} has no feature maps but {features.output_shape[-1]} single units; "
                         f"the convolutional layers of this model are {', '.join(conv_layers(model)) or 'none'}")
    asked = not np.iterable(digits) or len(digits) > 0
    if asked:
        digits = checks.images(digits, features.input_shape[1:], "digits")
    zoo = create_oips(model, layer, range(features.output_shape[-1]), **options)
    if not asked:
        return zoo
    return zoo._replace(excited=mean_activations(features, digits).max(axis=0)[zoo.indices] > 0)


def join_oips(groups):
    """Return several `Oips`, such as the groups that `grow_oips` yields, as one, in their order."""
    groups = list(groups)
    if not groups:
        raise ValueError("there are no OIPs to join; give at least one group")
    return _collected(groups, sum(len(group.indices) for group in groups))


def stages(step_sizes):
    """Return the step sizes of the three stages of a climb, the first for the trial of all starts, see `LEAKS`."""
    trial = min(max(1, round(TRIAL * len(step_sizes))), len(step_sizes) - len(LEAKS) + 1)
    return [step_sizes[:trial], *np.array_split(step_sizes[trial:], len(LEAKS) - 1)]


def find_precursors(features, indices, candidates):
    """Return for each map the candidate image it answers to most, `(n, height, width, channels)`.

    One forward pass over the candidates serves all maps. Source: announced in article IX (Q8).
    """
    candidates = checks.images(candidates, checks.network(features, "features").input_shape[1:], "candidates")
    answers = mean_activations(features, candidates)  # (candidates, maps)
    return candidates[answers[:, _map_indices(features, indices)].argmax(axis=0)]


def evolve_scales(objective, n, stages, seed, size=28):
    """Return the `Ascent` of `n` images of `size` x `size` that grow from coarse to fine.

    Each stage is (grid size, weight, step sizes): fluctuations of that grid, times the weight, are added to
    what the stages before have made, and the climb goes on. `[(3, 1, np.full(150, 0.01)), (7, 0.5, ...)]`.
    Where a stage begins, one number of steps is reported twice: before and after its fluctuations were added.
    Source: "strategy 1" of article VIII, which was never shown there. Introduced in notebook 04.
    """
    images, climbs, made = 0, [], 0
    if not isinstance(stages, list | tuple) or {len(stage) for stage in stages} != {3}:
        raise ValueError(f"stages {checks.shown(stages)} must be a list of one or more (grid size, weight, step sizes)")
    for grid, weight, step_sizes in stages:
        images = standardize(images + weight * fluctuations(n, {grid: 1}, seed, size))
        climb = ascend(objective, images, step_sizes)
        climbs.append(climb._replace(steps=climb.steps + made))
        images, made = climb.images, made + climb.steps[-1]
        if climb.stopped:
            break
    return Ascent(*(np.concatenate(parts) for parts in list(zip(*climbs))[:3]), climbs[-1].stopped)


def activation_bytes(features):
    """Return how many bytes the activations of one image fill, of all layers up to that of the extractor.

    A climb needs two to three times as much for each image: it keeps them for the way back, and makes gradients.
    """
    values = 0
    for layer in features.layers:
        shape = getattr(layer, "output", None)
        sizes = [size or OPEN_EDGE for size in shape.shape[1:]] if hasattr(shape, "shape") else [0]
        values += int(np.prod(sizes))
    return max(1, 4 * values)


def _groups(features, before, indices, random, ask_candidates, starts, climb, size, images_at_once):
    """The generator behind `grow_oips`, which has checked everything: groups of `size` maps, one after the other."""
    answers = ask_candidates(partial(_leaky_means, before))[:, indices]  # (candidates, maps)
    numbers = np.argsort(-answers, axis=0, kind="stable")[:starts].T  # (maps, starts), the best first
    answers_to_the_first = mean_activations(features, random(np.zeros(1, int)))[0]
    grow = partial(_grown, features, climb, images_at_once)
    for first in range(0, len(indices), size):
        group = indices[first : first + size]
        record, best_start = grow(group, random(numbers[first : first + size].ravel()))
        how = np.select([answers_to_the_first[group] > 0, best_start > 0], ["start", "precursor"], "pre-activation")
        if not record.values[-1].all():
            answers = ask_candidates(partial(mean_activations, features))[:, group]
            record, how = _second_chance(grow, group, record, how, random, answers)
        yield Oips(group, record.images, record.values[-1], how, record)
        if record.stopped:
            raise KeyboardInterrupt


def _answers_to_candidates(random, candidates, images_at_once, answer):
    """What `answer`, a function of images, gives for all candidates, `(candidates, maps)`; in parts for the memory."""
    answers = []
    for numbers in np.array_split(np.arange(candidates), -(-candidates // images_at_once)):
        leave_if_asked()
        answers.append(answer(random(numbers)))
    return np.concatenate(answers)


def _leaky_means(before, images):
    """The mean pre-activation of each map for each image, `(n, maps)`, where negative values count a share."""
    leaky = tf.nn.leaky_relu(tf.cast(before.compiled_forward(images), tf.float32), LEAKS[0])
    return tf.reduce_mean(leaky, axis=list(range(1, leaky.shape.rank - 1))).numpy()


def _grown(features, climb, images_at_once, group, images):
    """The climb of a group of maps, its values being mean activations, and the best value of each map's starts.

    `images` are the starts, as many for each map, one map after the other. Where a climb ends below the best of its
    starts, that start is its last frame: the least that is returned is the best image seen.
    """
    starts = len(images) // len(group)
    answers = _own(mean_activations(features, images, images_at_once), np.repeat(group, starts)).reshape(-1, starts)
    best = answers.argmax(axis=1)  # (maps,)
    record = climb(group, images)
    values, below = _own_values(features, record.frames, group, images_at_once), answers.max(axis=1)
    lost = values[-1] < below
    record.frames[-1, lost] = images.reshape(len(group), starts, *images.shape[1:])[lost, best[lost]]
    values[-1, lost] = below[lost]
    return record._replace(values=values), below


def _second_chance(grow, group, record, how, random, answers):
    """The record and the words of a group in which some maps stayed at 0, after a second try for these.

    `answers (candidates, maps)` are mean activations: maps are grown from the candidate that excites them most, which
    the first try, looking at pre-activations, need not have chosen. A map that none excites is unreachable.
    """
    silent = record.values[-1] == 0
    exciting = silent & (answers.max(axis=0) > 0)
    how = np.where(silent, np.where(exciting, "precursor", "unreachable"), how)
    if exciting.any():
        again, _ = grow(group[exciting], random(answers.argmax(axis=0)[exciting]))
        there = slice(-1, None) if again.stopped else slice(None)  # a stopped climb has fewer frames
        record.frames[there, exciting], record.values[there, exciting] = again.frames[there], again.values[there]
        record = record._replace(stopped=record.stopped or again.stopped)
    return record, how


def _climb_in_stages(before, images_at_once, indices, images, step_sizes, precondition, reports):
    """The climb of the three stages as one `Ascent`; the first stage with all starts, the others with the best."""
    wanted = {int(state) for state in reports(len(step_sizes) + 1)}
    made, frames = 0, {}  # how many steps, and the frames after some numbers of steps
    for leak, sizes in zip(LEAKS, stages(step_sizes)):
        rules = {"step_sizes": sizes, "precondition": precondition, "move": great_circle,
                 "reports": partial(_of_stage, wanted, made)}
        if made == 0:
            climb = _trial(before, indices, images, images_at_once, rules)
        else:
            climb = ascend(Channels(before, indices, leak), images, **rules)
        for step, frame in zip(climb.steps.tolist(), climb.frames):
            if made + step in wanted:
                frames[made + step] = frame
        images, made = climb.images, made + int(climb.steps[-1])
        if climb.stopped:
            break
    frames[made] = images
    steps = sorted(frames)
    values = np.zeros((len(steps), len(indices)))  # nobody asked yet
    return Ascent(np.array(steps), np.array([frames[step] for step in steps]), values, climb.stopped)


def _trial(before, indices, images, images_at_once, rules):
    """The climb of all starts of each map, of which the best is kept; in parts where the memory is short."""
    starts = len(images) // len(indices)
    climbers, climbs = np.repeat(indices, starts), []
    for first in range(0, len(images), images_at_once):
        part = slice(first, first + images_at_once)
        climbs.append(ascend(Channels(before, climbers[part], LEAKS[0]), images[part], **rules))
        if climbs[-1].stopped and len(images) > images_at_once:
            raise KeyboardInterrupt  # the other starts were not tried
    frames = np.concatenate([climb.frames for climb in climbs], axis=1)
    values = np.concatenate([climb.values for climb in climbs], axis=1)
    best = values[-1].reshape(-1, starts).argmax(axis=1) + np.arange(len(indices)) * starts
    return climbs[-1]._replace(frames=frames[:, best], values=values[:, best])


def _of_stage(wanted, made, states):
    """Which of the states of a stage are wanted, `made` steps having led to it."""
    return [state for state in range(states) if made + state in wanted]


def _collected(groups, count):
    """The Oips of groups of `count` maps in all as one; an interrupt keeps those that are there.

    A group that was interrupted repeats its last frame to the end. Each group is put into its place and let go, so
    the memory needed is that of the result.
    """
    made, steps, frames, values, indices, how, stopped = 0, None, None, None, [], [], False
    try:
        for group in groups:
            if steps is None:
                steps = group.ascent.steps
                frames = np.empty((len(steps), count, *group.images.shape[1:]), np.float32)
                values = np.empty((len(steps), count), np.float32)
            end = made + len(group.indices)
            there = np.minimum(np.arange(len(steps)), len(group.ascent.steps) - 1)
            frames[:, made:end] = group.ascent.frames[there]
            values[:, made:end] = group.ascent.values[there]
            indices.append(group.indices)
            how.append(group.how)
            made, stopped = end, group.ascent.stopped
    except KeyboardInterrupt:
        stopped = True
        if not made:
            raise
    record = Ascent(steps, frames[:, :made], values[:, :made], stopped)
    return Oips(np.concatenate(indices), record.images, record.values[-1], np.concatenate(how), record)


def _map_indices(features, indices):
    """`indices` as an array, refused where one is no map of the layer; a single one or a generator will do."""
    return Channels(features, np.array([*indices] if np.iterable(indices) else [indices])).indices.numpy()


def _random_images(shape, amplitudes, seed, numbers):
    """The fluctuations of these numbers, to fit the network's input, every color channel one of its own."""
    height, width, channels = shape
    return numbered_fluctuations(numbers, amplitudes, seed, (height or OPEN_EDGE, width or OPEN_EDGE), channels)


def _own_values(features, frames, indices, images_at_once):
    """The mean activation of each image's own map in each frame, (k, n)."""
    answers = mean_activations(features, frames.reshape(-1, *frames.shape[2:]), images_at_once)
    return _own(answers, np.tile(indices, len(frames))).reshape(len(frames), -1)


def _own(answers, indices):
    """Of each image's answers (n, maps) the one of the map it belongs to, (n,)."""
    return answers[np.arange(len(indices)), indices]
