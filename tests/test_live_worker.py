"""The live page's worker answers the newest question; networks that it can run, and how its parts are built.

It runs in Node; without Node these tests are skipped, and say so.
"""

import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from helpers.activations import class_logits, conv_layers, feature_extractor, pre_activation_extractor
from helpers.ascent import climb, soften
from helpers.data import load_digits
from helpers.dreams import carve_octaves
from helpers.explain.attributions import METHODS
from helpers.fluctuations import fluctuations
from helpers.geometry import any_size
from helpers.images import gray, standardize
from helpers.models import build_padded_cnn, load_cnn, save_cnn
from helpers.objectives import Channels
from helpers.photos import sample_photo, save_picture
from tests.conftest import picture, tiny_cnn
from tests.live import LIVE, PROGRAM, ROOT, answers, asked, difference, needed, network_bytes, written

SEVEN = [[[70, 60], [140, 58], [210, 55], [170, 140], [140, 240]], [[105, 150], [205, 140]]]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return written(load_cnn(), tmp_path_factory.mktemp("live") / "cnn.bin")


# the worker


def test_the_worker_tells_what_network_it_has_loaded(shipped):
    [loaded] = asked([], shipped)
    network = loaded["network"]
    assert (network["input"], network["classes"], network["python"]) == ([28, 28], 10, "load_cnn()")
    shapes = [tuple(layer[name] for name in ("name", "height", "width", "maps")) for layer in network["layers"]]
    assert shapes == [("Conv2D_1", 26, 26, 32), ("Conv2D_2", 11, 11, 64), ("Conv2D_3", 3, 3, 128)]


def test_a_newer_question_replaces_one_that_waits_and_ends_one_that_is_being_answered(shipped):
    settings = {"layer": "Conv2D_3", "steps": 2}
    sent = [{"name": "zoo", "turn": 1, **settings}, {"name": "oip", "turn": 1, "map": 1, **settings},
            {"name": "oip", "turn": 2, "map": 2, **settings},
            {"name": "zoo", "turn": 2, "maps": [5], **settings}]  # fmt: skip
    told = [(message["name"], message["turn"]) for message in asked([sent], shipped)[1:]]
    assert [turn for name, turn in told if name == "oip"] == [2]
    assert told.count(("zoo", 1)) <= 1 and told.count(("zoo", 2)) == 1
    assert told[-1] in (("zoo done", 2), ("oip done", 2))


def test_a_question_can_be_stopped(shipped):
    zoo, digit = {"name": "zoo", "layer": "Conv2D_3"}, {"name": "digit", "strokes": SEVEN}
    [_, *told] = asked([[zoo, {"name": "pause"}, {"name": "stop", "of": "zoo"}, digit]], shipped)
    names = [message["name"] for message in told]
    assert 0 < names.count("zoo") < 128 and names[-3:] == ["zoo done", "digit", "digit done"]


def test_what_cannot_be_answered_is_told_in_a_sentence_and_the_next_question_is_answered(shipped):
    wrong = {
        "layer Conv": {"name": "oip", "layer": "Conv", "map": 0},
        "map 128": {"name": "oip", "layer": "Conv2D_3", "map": 128},
        "answer to tea": {"name": "tea"}, "no ink": {"name": "digit", "strokes": []},
        "scales are 0": {"name": "oip", "layer": "Conv2D_3", "map": 0, "amplitudes": {"3": 0}},
        "class 10": {"name": "change", "strokes": SEVEN, "target": 10},
        "no method": {"name": "attribution", "strokes": SEVEN, "method": "guess"},
        "octaves": {"name": "dream", "layer": "Conv2D_3", "maps": [1], "luma": np.ones(900), "height": 30, "width": 30},
        "node (30, 2)": {"name": "node", "image": np.ones(784), "layer": "Conv2D_1", "row": 30, "column": 2, "map": 0},
        "no digit": {"name": "digit", "gray": np.ones(90000), "height": 300, "width": 300},
    }  # fmt: skip
    told = asked([*wrong.values(), {"name": "digit", "strokes": SEVEN}], shipped)[1:]
    errors = [message["error"] for message in told if "error" in message]
    assert len(errors) == len(wrong)
    for words, error in zip(wrong, errors):
        assert words in error, (words, error)
    assert np.argmax(told[-2]["classes"]) == 7


def test_a_file_that_is_no_network_is_told_when_it_is_loaded(tmp_path):
    (tmp_path / "cnn.bin").write_bytes(b"\x05\x00\x00\x00{    ")
    [loaded] = asked([], tmp_path / "cnn.bin")
    assert loaded["name"] == "loaded" and loaded["error"]


# the lines of Python


def run(lines, **given):
    space = dict(given)
    exec("\n".join(lines), space)
    return space


def python_of(questions, weights):
    return [message["lines"] for message in asked([{"python": question} for question in questions], weights)[1:]]


def test_the_lines_of_python_make_the_same_picture(shipped, tmp_path, monkeypatch):
    oip = {"name": "oip", "layer": "Conv2D_2", "map": 11, "seed": 3, "steps": 30, "epsilon": 2.5, "softened": False,
           "amplitudes": {"3": 0.25, "14": 0.75}}  # fmt: skip
    seeds = {"name": "seeds", "layer": "Conv2D_1", "map": 5, "seeds": [4, 9]}
    wishes = {"name": "wishes", "layer": "Conv2D_1", "maps": [5, 7], "seed": 2}
    digit, number = {"name": "digit", "strokes": SEVEN}, {"name": "attribution", "method": "occlusion", "target": 3}
    heats = [{"name": "attribution", "strokes": SEVEN, "method": method} for method in METHODS]
    changes = [{"name": "change", "strokes": SEVEN, **more} for more in (
        {"target": None, "steps": 20}, {"target": 1, "steps": 20}, {"target": 1, "radius": 0.2})]  # fmt: skip
    save_picture(tmp_path / "digit.png", np.zeros((28, 28, 1)) + np.eye(28)[..., np.newaxis])
    monkeypatch.chdir(tmp_path)
    digits = load_digits("test")[0]
    asks = [oip, seeds, wishes, digit, {**number, "image": digits[4]}, *heats, *changes]
    made, lines = answers(asks, shipped), python_of(
        [*asks[:4], {**number, "number": 4}, *asks[5:], {"name": "digit", "file": "digit.png"}], shipped)  # fmt: skip
    spaces = list(map(run, lines))
    assert difference(made[0][0]["image"], spaces[0]["images"]) < 1e-3
    for parts, space in zip(made[1:3], spaces[1:3]):
        assert difference([part["image"] for part in parts], space["images"]) < 1e-3
    assert difference(made[3][0]["digit"], spaces[3]["digit"]) < 0.01
    assert difference(made[3][0]["classes"], spaces[3]["classes"]) < 0.01
    assert difference(made[3][0]["layers"]["Conv2D_2"]["nodes"], spaces[3]["conv2d_2"]) < 0.01
    for [part], space in zip(made[4 : 5 + len(heats)], spaces[4:]):
        assert difference(part["values"], space["heat"]) < 0.02
    for [part], space in zip(made[5 + len(heats) :], spaces[5 + len(heats) :]):
        assert difference(part["image"], space["changed"]) < 0.02
    assert spaces[-1]["digit"].shape == (1, 28, 28, 1)


@pytest.mark.parametrize("more", [
    {"maps": [5], "weights": [1]}, {"maps": [5, 7], "weights": [1, 0.5], "softened": True}, {"maps": "all"},
    {"maps": [5, 6, 7], "rgb": True}, {"maps": [5], "rgb": True}])  # fmt: skip
def test_the_lines_of_python_dream_the_same_dream(shipped, more):
    photo, more = sample_photo("temple", 56), {**more}
    seen = {"rgb": photo} if more.pop("rgb", False) else {"luma": gray(photo[np.newaxis])}
    ask = {"name": "dream", "layer": "Conv2D_1", "height": 56, "width": 56, "photo": "temple", "octaves": 2, "steps": 3,
           **more}  # fmt: skip
    [parts], [lines] = answers([{**ask, **seen}], shipped), python_of([{**ask, **{name: 1 for name in seen}}], shipped)
    wanted = run(lines)["dream"]
    change = parts[-1]["change"].reshape(56, 56, -1)
    np.testing.assert_allclose(np.clip(photo + change, 0, 1), wanted, atol=0.004)  # less than a gray level of 255
    assert np.abs(wanted - photo).max() > 0.05


# other networks


def conv(maps, size=3, **options):
    return layers.Conv2D(maps, size, activation="relu", **options)


def other_networks():
    """Networks that the page runs: of other sizes, kernels, numbers of maps, paddings and orders."""
    dense = lambda classes: layers.Dense(classes, activation="softmax")  # noqa: E731
    head = [layers.Flatten(), dense(4)]
    return {
        "tiny": tiny_cnn(),
        "padded": build_padded_cnn(3),
        "without pooling": keras.Sequential([
            keras.Input((11, 9, 1)), conv(3, 5), conv(12, (2, 3), use_bias=False), *head]),
        "padded, odd and even": keras.Sequential([
            keras.Input((15, 12, 1)), conv(6, 4, padding="same"), layers.MaxPooling2D(),
            conv(9, (5, 2), padding="same"), conv(5, padding="valid"), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(7, activation="relu"), layers.Dropout(0.5), layers.Dense(6, activation="relu"), dense(3)]),
    }  # fmt: skip


@pytest.mark.parametrize("name", other_networks())
def test_other_networks_are_run_alike(tmp_path, name):
    keras.utils.set_random_seed(5)
    model = other_networks()[name]
    rng, weights = np.random.default_rng(1), written(model, tmp_path / "other.bin")
    height, width = size = model.input_shape[1:3]
    model.set_weights([values + 0.05 * rng.standard_normal(values.shape) for values in model.get_weights()])
    written(model, weights)
    images = standardize(rng.standard_normal((4, *size, 1)).astype(np.float32))
    last, labels = conv_layers(model)[-1], [0, 1, 2, 0]
    photo = gray(picture(60, 76, seed=2)[np.newaxis])[0]
    asks = [*({"name": "digit", "image": image} for image in images),
            *({"name": "oip", "layer": layer, "map": 2, "seed": 5, "steps": 12} for layer in conv_layers(model)),
            {"name": "dream", "layer": last, "maps": [1], "luma": photo, "height": 60, "width": 76, "octaves": 1,
             "steps": 2},
            *({"name": "attribution", "image": image, "target": label, "method": method}
              for method in METHODS for image, label in zip(images, labels))]  # fmt: skip
    made = iter(answers(asks, weights))
    for image in images:
        [part] = next(made)
        for layer in conv_layers(model):
            wanted = feature_extractor(model, layer).answers(image[None])
            assert difference(part["layers"][layer]["nodes"], wanted) < 1e-5
        np.testing.assert_allclose(part["logits"], class_logits(model).answers(image[None])[0], atol=1e-4)
        np.testing.assert_allclose(part["classes"], model.predict(image[None], verbose=0)[0], atol=1e-5)
    for layer in conv_layers(model):
        [part] = next(made)
        start = fluctuations(1, {3: 0.5, 7: 0.5}, 5, size=max(size))[:, :height, :width]
        objective = Channels(pre_activation_extractor(model, layer), [2], leak=0.05)
        *_, (_, wanted, _) = climb(objective, start, np.geomspace(10**0.5, 10**-1.7, 12), precondition=soften)
        assert difference(part["image"], wanted) < 1e-3, layer
    [part] = next(made)
    dreaming = carve_octaves(Channels(pre_activation_extractor(any_size(model), last), [1], leak=0.1), photo, 1,
                             step_sizes=[0.05] * 2)  # fmt: skip
    assert difference(part["change"], next(dreaming) - photo) < 1e-3
    for method, attribute in METHODS.items():
        for wanted in attribute(model, images, labels):
            [part] = next(made)
            assert difference(part["values"], wanted) < 1e-3, method


def chain(*middle, shape=(12, 12, 1), last="softmax"):
    end = layers.Dense(3, activation=last, name="end")
    return keras.Sequential([keras.Input(shape), *middle, layers.Flatten(), end])


REFUSED = {
    "strided": lambda: chain(conv(4, strides=2, name="strided")),
    "linear": lambda: chain(layers.Conv2D(4, 3, name="linear")),
    "wide": lambda: chain(conv(4), layers.MaxPooling2D(3, name="wide")),
    "mean": lambda: chain(conv(4), layers.AveragePooling2D(2, name="mean")),
    "twice": lambda: chain(conv(4), layers.MaxPooling2D(2), layers.MaxPooling2D(2, name="twice")),
    "normal": lambda: chain(conv(4), layers.BatchNormalization(name="normal")),
    "grouped": lambda: chain(conv(4), conv(4, groups=2, name="grouped")),
    "end": lambda: chain(conv(4), last="sigmoid"),
    r"\(12, 12, 3\)": lambda: chain(conv(4), shape=(12, 12, 3)),
    "broken": lambda: _broken(),
    "branches": lambda: _branched(),
}


def _broken():
    model = chain(conv(4, name="broken"))
    model.get_layer("broken").bias.assign([0, 0, np.nan, 0])
    return model


def _branched():
    image = keras.Input((12, 12, 1))
    both = layers.Add()([conv(4)(image), conv(4)(image)])
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(both)))


@pytest.mark.parametrize("words", REFUSED)
def test_a_network_that_the_page_cannot_run_is_refused_in_a_sentence(tmp_path, words):
    with pytest.raises(ValueError, match=words):
        written(REFUSED[words](), tmp_path / "cnn.bin")
    assert not (tmp_path / "cnn.bin").exists()


def test_dense_weights_of_half_precision_hardly_change_the_classes(tmp_path):
    model, path = load_cnn(), tmp_path / "half.bin"
    path.write_bytes(network_bytes(model, dense="float16"))
    assert path.stat().st_size < 0.75 * written(model, tmp_path / "full.bin").stat().st_size
    digits = load_digits("test")[0][:50]
    made = answers([{"name": "digit", "image": digit} for digit in digits], path)
    wanted = model.predict(digits, verbose=0)
    assert 0 < np.abs(np.array([part["classes"] for [part] in made]) - wanted).max() < 2e-3


def test_the_command_writes_a_network_of_the_reader_and_refuses_others_in_a_sentence(tmp_path):
    save_cnn(tiny_cnn(), tmp_path / "mine.keras")
    save_cnn(REFUSED["strided"](), tmp_path / "other.keras")
    command = [sys.executable, str(ROOT / "site" / "weights.py")]
    write = lambda *words: subprocess.run([*command, *words], capture_output=True, text=True, cwd=tmp_path)  # noqa: E731
    done = write("mine.keras", "-o", "mine.bin")
    assert done.returncode == 0, done.stderr
    [loaded] = asked([], tmp_path / "mine.bin")
    assert loaded["network"]["python"] == "load_cnn('mine.keras')" and loaded["network"]["classes"] == 3
    done = write("other.keras", "-o", "other.bin")
    assert done.returncode == 1 and "layer 'strided'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not (tmp_path / "other.bin").exists()


# the engine's files


def test_the_engine_built_again_gives_the_same_results(shipped, tmp_path):
    needed("clang", "wasm-ld", "make")
    for name in ("engine.c", "Makefile"):
        shutil.copy(LIVE / "engine" / name, tmp_path)
    done = subprocess.run(["make", "engine.wasm"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    asks = [{"name": "digit", "strokes": SEVEN}, {"name": "oip", "layer": "Conv2D_3", "map": 18, "steps": 5},
            {"name": "change", "strokes": SEVEN, "target": None, "steps": 10}]  # fmt: skip
    for [made], [wanted] in zip(answers(asks, shipped, tmp_path / "engine.wasm"), answers(asks, shipped, PROGRAM)):
        for name in {"image", "classes"} & set(wanted):
            assert difference(made[name], wanted[name]) < 1e-5


def test_the_built_engine_is_small_and_asks_nothing_of_the_page():
    needed("node")
    script = f"""
        const module = new WebAssembly.Module(require("fs").readFileSync("{PROGRAM}"));
        console.log(JSON.stringify([WebAssembly.Module.imports(module), WebAssembly.Module.exports(module)]));
    """
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    imports, exports = json.loads(done.stdout)
    functions = re.findall(r"^EXPORT \w+ (\w+)\(", (LIVE / "engine" / "engine.c").read_text(), re.MULTILINE)
    assert imports == [] and len(functions) >= 5
    assert {one["name"] for one in exports} == {*functions, "memory", "__heap_base"}
    assert PROGRAM.stat().st_size < 16_000


IMPORT = re.compile(r'import \{ ([\w, ]+) \} from "\./([\w/]+\.js)";')


def test_modules_are_short_and_can_be_joined_into_one_script():
    """A page of one file has no modules: imports must be plain, and no circle."""
    paths = [LIVE / "worker.js", *sorted((LIVE / "engine").glob("*.js"))]
    below = {}
    for path in paths:
        text = path.read_text()
        assert len(text.splitlines()) <= 300 and max(map(len, text.splitlines())) <= 160, path.name
        assert text.startswith("//"), f"{path.name} does not say what it is for"
        lines = [line for line in text.splitlines() if re.match(r"\s*import\b", line)]
        found = [IMPORT.fullmatch(line) for line in lines]
        assert all(found), f"{path.name} imports in another form"
        assert not re.search(r"\bimport\(|^export (default|\{|\*)", text, re.MULTILINE), path.name
        below[path.resolve()] = [(path.parent / one[2]).resolve() for one in found]
        for one in found:
            target = (path.parent / one[2]).read_text()
            for name in one[1].split(", "):
                declared = rf"^export (async )?(function\*?|const) {name}\b"
                assert re.search(declared, target, re.MULTILINE), (path.name, name)
                assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{path.name} imports {name} in vain"
    while below:
        free = [path for path, others in below.items() if not set(others) & set(below)]
        assert free, f"these modules import one another in a circle: {[path.name for path in below]}"
        for path in free:
            del below[path]
