"""The live page's engine does what helpers does: the same climbs, digits, attributions, changes and dreams.

It runs in Node; without Node these tests are skipped, and say so. Where two nodes of a pooling are equal but for
rounding (a near tie), the gradient may go to either: TensorFlow alone and in a batch differ there, too. Such ties are
counted.
"""

import io
import json
import subprocess

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from PIL import Image

from helpers.activations import (
    class_logits,
    conv_layers,
    feature_extractor,
    input_contributions,
    mean_activations,
    pre_activation_extractor,
)
from helpers.ascent import climb, identity, soften, step_uphill
from helpers.data import load_digits
from helpers.dreams import carve_octaves
from helpers.explain.attacks import climb_within, smallest_changes
from helpers.explain.attributions import METHODS, map_shares
from helpers.fluctuations import fluctuations
from helpers.geometry import any_size
from helpers.images import gray
from helpers.ink import digit_from_ink, load_digit
from helpers.models import load_cnn
from helpers.objectives import Channels, Margins, Mixed, WholeLayer
from helpers.widgets.parts.digits import ink_of_strokes
from tests.conftest import picture
from tests.live import LIVE, answers, difference, needed, written

CLOSE = 1e-4  # relative error where nothing ties
AMPLITUDES, STEPS = {3: 0.5, 7: 0.5}, np.geomspace(3.16228, 0.0199526, 45)  # of the OIP lab
SEVEN = [[[70, 60], [140, 58], [210, 55], [170, 140], [140, 240]], [[105, 150], [205, 140]]]


@pytest.fixture(scope="module")
def cnn():
    return load_cnn()


@pytest.fixture(scope="module")
def shipped(cnn, tmp_path_factory):
    return written(cnn, tmp_path_factory.mktemp("live") / "cnn.bin")


@pytest.fixture(scope="module")
def digits():
    return load_digits("test")[0][:20]


def climbs(model, layer, maps, softened, seed=7, size=28):
    """What the OIP lab makes of some maps, each in a batch with the others: frames (k, n, ...) and values (k, n)."""
    start = fluctuations(1, AMPLITUDES, seed, size=size).repeat(len(maps), axis=0)
    objective = Channels(pre_activation_extractor(model, layer), maps, leak=0.05)
    reports = list(climb(objective, start, STEPS, precondition=soften if softened else identity, reports=range))
    return np.array([images for _, images, _ in reports]), np.array([values for *_, values in reports])


def test_seventy_two_climbs_end_where_those_of_helpers_end(cnn, shipped):
    asks = [{"name": "oip", "layer": layer, "map": int(index), "seed": 7, "softened": softened}
            for softened in (True, False) for layer, maps in zip(conv_layers(cnn), (32, 64, 128))
            for index in np.linspace(0, maps - 1, 12).astype(int)]  # fmt: skip
    made, ends, steps, gaps = answers(asks, shipped), [], [], []
    for first in range(0, len(asks), 12):
        layer, softened = asks[first]["layer"], asks[first]["softened"]
        maps = [ask["map"] for ask in asks[first : first + 12]]
        frames, values = climbs(cnn, layer, maps, softened)
        features = feature_extractor(cnn, layer)
        for place, [part] in enumerate(made[first : first + 12]):
            ends.append(difference(part["image"], frames[-1, place]))
            assert difference(part["start"], frames[0, place]) < 1e-5
            one_by_one = steps_from(part["frames"], cnn, layer, maps[place], softened)
            steps += list(one_by_one)
            gaps += [tie_at(cnn, layer, frame) for frame in np.array(part["frames"][:-1])[one_by_one > CLOSE]]
            if ends[-1] < CLOSE:
                assert difference(part["values"], values[:, place]) < CLOSE
            image = part["image"].reshape(1, 28, 28, 1)
            assert abs(part["value"] - mean_activations(features, image)[0, maps[place]]) < 1e-5
    told = f"{np.mean(np.array(ends) > CLOSE):.1%} of {len(ends)} climbs, {np.mean(np.array(steps) > CLOSE):.2%} of " \
           f"{len(steps)} steps met a tie; median difference {np.median(ends):.1e}"
    print(told)
    assert np.median(ends) < 1e-5 and np.mean(np.array(ends) > CLOSE) < 0.15, told
    assert np.mean(np.array(steps) > CLOSE) < 0.01 and max(gaps, default=0) < 1e-5, (told, gaps)


def steps_from(frames, model, layer, index, softened):
    """How far each step of the engine is from the step that helpers takes from the very same image."""
    frames = np.array(frames).reshape(-1, 28, 28, 1)
    objective = Channels(pre_activation_extractor(model, layer), [index] * 45, leak=0.05)
    sizes = tf.constant(STEPS.reshape(-1, 1, 1, 1), tf.float32)
    _, after = _uphill(objective, tf.constant(frames[:-1]), sizes, precondition=soften if softened else identity)
    return np.array([difference(*pair) for pair in zip(frames[1:], after.numpy())])


_uphill = tf.function(step_uphill, reduce_retracing=True)


def tie_at(model, layer, frame):
    """How near the nearest tie of an image is: between two nodes of a pooling, or of a node and the ReLU's zero."""
    nearest = np.inf
    below = conv_layers(model)[: conv_layers(model).index(layer) + 1]
    for name in below:
        nodes = np.asarray(pre_activation_extractor(model, name)(frame.reshape(1, 28, 28, 1)))[0]
        nearest = min(nearest, np.abs(nodes).min())
        if name != layer:
            rows, columns, maps = nodes.shape
            squares = nodes[: rows // 2 * 2, : columns // 2 * 2].reshape(rows // 2, 2, columns // 2, 2, maps)
            ordered = np.sort(squares.transpose(0, 2, 4, 1, 3).reshape(-1, 4))
            nearest = min(nearest, np.diff(ordered)[:, -1][ordered[:, -1] > 0].min())
    return nearest


def test_a_row_of_seeds_and_a_zoo_are_the_single_climbs(cnn, shipped):
    settings = {"layer": "Conv2D_3", "softened": True, "steps": 20, "amplitudes": {"3": 0.3, "14": 0.2}, "epsilon": 1}
    seeds, zoo, wishes, *single = answers([
        {"name": "seeds", "map": 18, "seeds": [3, 5], **settings}, {"name": "zoo", "seed": 3, **settings},
        {"name": "wishes", "maps": [18, 4], "seed": 5, **settings},
        {"name": "oip", "map": 18, "seed": 3, **settings}, {"name": "oip", "map": 18, "seed": 5, **settings},
        {"name": "oip", "map": 4, "seed": 5, **settings},
    ], shipped)  # fmt: skip
    assert [part["seed"] for part in seeds] == [3, 5] and [part["map"] for part in zoo] == list(range(128))
    assert [(part["place"], part["map"]) for part in wishes] == [(0, 18), (1, 4)]
    for part, [wanted] in zip([seeds[0], seeds[1], wishes[1], zoo[18]], [*single, single[0]]):
        np.testing.assert_array_equal(part["image"], wanted["image"])
        assert part["value"] == wanted["value"]


def test_all_maps_and_the_classes_of_twenty_digits_are_the_same(cnn, shipped, digits):
    made = answers([{"name": "digit", "image": digit} for digit in digits], shipped)
    for layer in conv_layers(cnn):
        wanted = feature_extractor(cnn, layer).answers(digits)
        for [part], nodes in zip(made, wanted):
            told = part["layers"][layer]
            assert (told["height"], told["width"], told["maps"]) == nodes.shape
            assert difference(told["nodes"], nodes) < 1e-5
    for name, wanted in (("logits", class_logits(cnn).answers(digits)), ("classes", cnn.predict(digits, verbose=0))):
        assert np.abs(np.array([part[name] for [part] in made]) - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_the_sum_behind_a_node_is_told_as_helpers_tells_it(cnn, shipped, digits):
    nodes = [("Conv2D_1", 12, 9, 14), ("Conv2D_2", 11, 3, 7), ("Conv2D_3", 37, 2, 1)]
    made = answers([{"name": "node", "image": digits[2], "layer": layer, "map": index, "row": row, "column": column}
                    for layer, index, row, column in nodes], shipped)  # fmt: skip
    for (layer, index, row, column), [part] in zip(nodes, made):
        found = input_contributions(cnn, layer, index, digits[2:3])
        shares = found.values[0, row, column]
        assert part["value"] == pytest.approx(
            feature_extractor(cnn, layer).answers(digits[2:3])[0, row, column, index], abs=1e-5)
        assert part["bias"] == pytest.approx(found.bias) and part["sum"] == pytest.approx(shares.sum(), abs=1e-5)
        told = [one["map"] for one in part["inputs"]]
        assert len(told) == min(8, len(shares)) and part["others"]["count"] == len(shares) - len(told)
        assert part["others"]["share"] == pytest.approx(np.delete(shares, told).sum(), abs=1e-5)
        assert np.abs(shares[told]).min() >= np.abs(np.delete(shares, told)).max(initial=0) - 1e-6
        for one in part["inputs"]:
            patch = found.inputs[0, row : row + 3, column : column + 3, one["map"]]
            kernel = found.kernels[..., one["map"]]
            for name, wanted in (("patch", patch), ("kernel", kernel), ("products", patch * kernel)):
                np.testing.assert_allclose(one[name], wanted.ravel(), atol=1e-5)
            assert one["share"] == pytest.approx(shares[one["map"]], abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_attributions_are_the_same(cnn, shipped, digits, method):
    few, targets = digits[:10], [int(digit) for digit in class_logits(cnn).answers(digits[:10]).argmax(axis=1)]
    targets[1::2] = [(target + 3) % 10 for target in targets[1::2]]
    made = answers([{"name": "attribution", "image": digit, "target": target, "method": method}
                    for digit, target in zip(few, targets)], shipped)  # fmt: skip
    wanted = METHODS[method](cnn, few, targets)
    differences = np.array([difference(part["values"], heat) for [part], heat in zip(made, wanted)])
    print(f"{method}: {np.sum(differences > CLOSE)} of {len(few)} met a tie; median {np.median(differences):.1e}")
    assert np.mean(differences > CLOSE) <= 0.2, differences
    for [part], shares in zip(made, map_shares(cnn, few, targets)):
        np.testing.assert_allclose(part["shares"], shares, atol=1e-4 * np.abs(shares).max())


def test_the_smallest_changes_are_the_same(cnn, shipped, digits):
    few, logits = digits[:8], class_logits(cnn)
    read = logits.answers(few).argmax(axis=1)
    targets = [int(one + 5) % 10 for one in read]
    kinds = {
        "to a class": ([{"target": target} for target in targets],
                       smallest_changes(Margins(logits, targets), few)),
        "to any class": ([{"target": None}] * len(few), smallest_changes(Mixed([Margins(logits, read)], [-1]), few)),
        "within a radius": ([{"target": target, "radius": 0.3} for target in targets],
                            (climb_within(Margins(logits, targets), few, 0.3), np.full(len(few), 0.3))),
    }  # fmt: skip
    for kind, (asks, (images, radii)) in kinds.items():
        made = answers([{"name": "change", "image": digit, **ask} for digit, ask in zip(few, asks)], shipped)
        differences = np.array([difference(part["image"], image) for [part], image in zip(made, images)])
        print(f"{kind}: {np.sum(differences > CLOSE)} of {len(few)} met a tie; median {np.median(differences):.1e}")
        assert np.mean(differences > CLOSE) <= 0.25, (kind, differences)
        for [part], digit, image, radius, label in zip(made, few, images, radii, read):
            assert part["before"] == label
            assert part["radius"] == pytest.approx(radius, rel=0.01)
            assert part["found"] == (part["after"] != label if "any" in kind else part["after"] == (label + 5) % 10)
            assert part["found"] or kind == "within a radius"
            assert difference(part["image"], image) < 0.1  # also where they met a tie
            np.testing.assert_allclose(part["change"], part["image"] - digit.ravel(), atol=1e-5)


def strokes_of(seed):
    """One to three random strokes of a few points each."""
    rng = np.random.default_rng(seed)
    return [np.clip(rng.integers(20, 260) + np.cumsum(rng.integers(-60, 60, (rng.integers(1, 7), 2)), axis=0), 0,
                    280).tolist() for _ in range(rng.integers(1, 4))]  # fmt: skip


def test_strokes_become_the_same_digits(shipped):
    """They are whole numbers of 0..255 before they are standardized, and one in a thousand is rounded the other way."""
    drawn = [SEVEN, [[[20, 20], [260, 260]]], [[[140, 140]]], *map(strokes_of, range(20))]
    made = answers([{"name": "digit", "strokes": strokes} for strokes in drawn], shipped)
    for strokes, [part] in zip(drawn, made):
        wanted = digit_from_ink(ink_of_strokes(strokes))
        one_step = np.ptp(wanted) / 255
        np.testing.assert_allclose(part["digit"], wanted.ravel(), atol=1.5 * one_step)
        assert np.mean(np.abs(part["digit"] - wanted.ravel()) > 0.5 * one_step) < 0.01


def photo_of(ink, light, tone, noise=0.01, seed=0):
    """A photographed page: ink on paper under uneven light, as 8-bit gray levels."""
    rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]] / max(ink.shape)
    paper = light + 0.25 * rows - 0.15 * columns + noise * np.random.default_rng(seed).standard_normal(ink.shape)
    return np.uint8(np.round(255 * np.clip(paper + tone * scipy.ndimage.gaussian_filter(ink, 0.8), 0, 1)))


@pytest.mark.parametrize(("light", "tone", "height", "width"), [
    (0.7, -0.5, 280, 280), (0.2, 0.5, 280, 231), (0.6, -0.3, 400, 301), (0.6, -0.4, 700, 520)])  # fmt: skip
def test_photographed_digits_are_read_as_helpers_reads_them(shipped, light, tone, height, width):
    ink = np.asarray(Image.fromarray(ink_of_strokes(SEVEN)).resize((width, height)))
    levels, file = photo_of(ink, light, tone), io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    wanted = load_digit(file.getvalue()).ravel()
    [[part]] = answers([{"name": "digit", "gray": levels / 255, "height": height, "width": width}], shipped)
    steps = np.abs(part["digit"] - wanted) / (np.ptp(wanted) / 255)
    most, share = (1.5, 0.01) if max(height, width) <= 400 else (12, 0.06)  # Pillow shrinks it in whole numbers 0..255
    assert np.mean(steps > 0.5) < share and steps.max() < most


def test_a_picture_that_is_a_digit_already_is_taken_as_it_is(shipped, digits):
    levels = np.uint8(np.round(255 * (digits[0] - digits[0].min()) / np.ptp(digits[0])))[..., 0]
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    [[part]] = answers([{"name": "digit", "gray": levels / 255, "height": 28, "width": 28}], shipped)
    np.testing.assert_allclose(part["digit"], load_digit(file.getvalue()).ravel(), atol=1e-5)


def wished(trunk, maps, weights):
    """What the dream lab climbs in the last layer."""
    if maps == "all":
        return WholeLayer(feature_extractor(trunk, "Conv2D_3"))
    each = [Channels(pre_activation_extractor(trunk, "Conv2D_3"), [index], leak=0.1) for index in maps]
    return Mixed(each, weights or [1] * len(maps))


@pytest.mark.parametrize(("maps", "softened", "weights"), [
    ([56], False, None), ([56], True, None), ([37, 88, 11], False, [1, 0.5, 2]), ("all", False, None)])  # fmt: skip
def test_the_first_octave_of_a_dream_is_the_same(cnn, shipped, maps, softened, weights):
    """The next ones are chaotic: noise of 1e-6 in the photo changes the fourth by a fifth."""
    photos = [gray(picture(140, 168, seed=seed)[np.newaxis])[0] for seed in range(10)]
    ask = {"name": "dream", "layer": "Conv2D_3", "maps": maps, "weights": weights, "height": 140, "width": 168,
           "octaves": 4, "strength": 1.5, "softened": softened}  # fmt: skip
    objective, precondition = wished(any_size(cnn), maps, weights), soften if softened else identity
    for steps in (1, 10):
        made = answers([{**ask, "luma": photo, "steps": steps} for photo in photos], shipped)
        differences = []
        for photo, parts in zip(photos, made):
            dreaming = carve_octaves(objective, photo, 4, 1.4, np.full(steps, 0.05), 1.5, precondition=precondition)
            assert [part["octave"] for part in parts] == [1, 2, 3, 4]
            differences.append(difference(parts[0]["change"], next(dreaming) - photo))
        ties = np.mean(np.array(differences) > CLOSE)
        told = f"{steps} steps: {ties:.0%} of {len(photos)} met a tie; median {np.median(differences):.1e}"
        print(told)
        assert np.median(differences) < 10 * CLOSE and (steps > 1 or ties < 0.3), told


def test_each_color_is_dreamt_for_itself(cnn, shipped):
    photo = picture(84, 84, seed=4)
    ask = {"name": "dream", "layer": "Conv2D_2", "rgb": photo, "height": 84, "width": 84, "octaves": 2}
    each, one, *alone = answers([{**ask, "maps": [37, 8, 11]}, {**ask, "maps": [8]}, *(
        {**ask, "maps": [index], "rgb": None, "luma": photo[..., color]} for color, index in enumerate([37, 8, 11]))],
        shipped)  # fmt: skip
    for octave, part in enumerate(each):
        changes = part["change"].reshape(84, 84, 3)
        for color in range(3):
            np.testing.assert_array_equal(changes[..., color].ravel(), alone[color][octave]["change"])
        np.testing.assert_array_equal(one[octave]["change"].reshape(84, 84, 3)[..., 1], changes[..., 1])


def test_numpy_and_the_engine_draw_the_same_random_numbers():
    needed("node")
    script = f"""
        import {{ normalNumbers, randomNumbers }} from "{(LIVE / "engine" / "random.js").as_uri()}";
        const many = (random) => Array.from({{ length: 3000 }}, () => random());
        const drawn = [randomNumbers(7, 3), randomNumbers(4294967295, 28), normalNumbers(0)].map(many);
        console.log(JSON.stringify(drawn));
    """
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    seven, last, normal = map(np.array, json.loads(done.stdout))
    np.testing.assert_array_equal(seven, np.random.default_rng((7, 3)).random(3000))
    np.testing.assert_array_equal(last, np.random.default_rng((4294967295, 28)).random(3000))
    np.testing.assert_allclose(normal, np.random.default_rng(0).standard_normal(3000), rtol=1e-9)
