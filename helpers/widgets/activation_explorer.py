"""The activation explorer: what every map of a layer makes of a digit, drawn or photographed ones too (notebook 03)."""

from typing import NamedTuple

import keras
import numpy as np

from helpers.activations import conv_layers, feature_extractor, input_contributions, input_patches, mean_activations
from helpers.ascent import soften
from helpers.base.graph import maker_of
from helpers.figures import SIGNED, in_colors, zoo_sheet
from helpers.images import contrast, to_display
from helpers.oips import create_oips
from helpers.photos import png_bytes, save_picture
from helpers.widgets import parts
from helpers.widgets.parts.digits import Digits
from helpers.widgets.parts.explorer import Explorer, Refusal, refusals
from helpers.widgets.parts.lines import Runner
from helpers.widgets.parts.worker import lock

MISREAD = "misread ones"
CELL, STRIP = 60, 8  # edge of the pictures in a strip, and how many there are
COMPARED = 2000  # digits among which those that excite a map most are sought
BATCH = 256 * 28 * 28  # pixels that are read at once, so that what is asked for next need not wait
MOST_PRODUCTS = 25  # of a patch and a kernel that are printed
BARRED_SEVEN = (((70, 60), (140, 58), (210, 55), (170, 140), (140, 240)), ((105, 150), (205, 140)))
PRESETS = {
    "edges and strokes": {},
    "pieces": {"layer": "Conv2D_2", "map": 11},
    "whole shapes": {"layer": "Conv2D_3", "map": 37, "digit": 4},
    "a seven with a bar": {"digit": BARRED_SEVEN, "layer": "Conv2D_2", "map": 11},
}  # fmt: skip


class Answer(NamedTuple):
    """What the network makes of one digit: `maps (height, width, maps)` of a layer, and class probabilities or none.

    `lines` is the Python that makes the maps.
    """

    settings: object
    lines: list
    image: np.ndarray
    maps: np.ndarray
    probabilities: np.ndarray


def activation_explorer(model=None, images=(), labels=(), **settings):
    """Return an explorer of feature maps: choose, draw or upload a digit, see every map of a layer, open one.

    Any Keras model with convolutional layers will do, without one it is the shipped CNN. `images (n, height, width,
    channels)` in model space and `labels (n,)` take the place of the test digits, which fit 28 x 28 gray pixels only;
    labels may be left out. The settings are those of the controls: `activation_explorer(cnn, layer="Conv2D_2", map=7,
    digit=12)`. Raises ValueError where images, labels and model do not go together. Introduced in notebook 03.
    """
    model = parts.checked_model(model)
    given = len(images) > 0
    images, labels = parts.checked_digits(model, images, labels)
    return _ActivationExplorer(model, images, labels, given, settings).explorer


class _ActivationExplorer:
    def __init__(self, model, images, labels, given, opened):
        self.model, self.images, self.labels, self.given = model, images, labels, given
        self.output, self.run = probability_layer(model), Runner(model, images=images)
        self.answered, self.found, self.means, self.oips, self.readings = None, (None, None), {}, {}, []
        knows = self.output and len(labels) and np.issubdtype(labels.dtype, np.integer)
        self.digits = Digits(images, labels, subsets={MISREAD: None} if knows else {},
                             own=images.shape[1:] == (28, 28, 1))  # fmt: skip
        controls = {"digit": self.digits, **parts.layer_and_map(model, conv_layers(model)[0], 12)}
        shown = {
            "map": parts.Picture("", "47%"), "digit": parts.Picture("what the network sees", "40%"),
            "bars": parts.HTML(), "scale": parts.HTML(), "sheet": parts.Sheet(name="map", edge=44),
            "oip": parts.Picture("", "47%"), "nodes": parts.Nodes(), "node": parts.HTML(),
            "inputs": parts.Sheet(name="input", edge=42), "inputs_told": parts.HTML(),
            "top": parts.Sheet(name="digit", edge=42), "top_told": parts.HTML(),
        }  # fmt: skip
        self.shown, lab, dream = shown, parts.button("open in the OIP lab", "flask", "This map's OIP, live."), None
        shown["bars"].layout.flex = "1 1 120px"
        shown["sheet"].link_to(controls["map"])
        card = parts.VBox([
            parts.row(shown["digit"], shown["bars"]), parts.row(shown["nodes"].over(shown["map"]), shown["oip"]),
            *(shown[name] for name in ("node", "inputs", "inputs_told", "top", "top_told")), links := parts.row(lab),
        ])  # fmt: skip
        save = parts.button("save PNG", "download", "The sheet with its numbers, as a file beside the notebook.")
        save_own = parts.button("save digit", "download", "Your own digit as a PNG file of 28 x 28 pixels.")
        self.explorer = parts.marked(Explorer(
            controls, shown, self.answer, f"activation_explorer(model{', images, labels' * given})", model, opened,
            PRESETS, pictures=[parts.beside(parts.VBox([shown["scale"], shown["sheet"]]), card)],
            buttons=[parts.row(save, save_own)], given={"images": images} if given else {},
        ), "explorer-wide")  # fmt: skip
        if model.inputs[0].shape[-1] == 1:
            dream = parts.button("dream with it", "magic", "Carve this map into a photograph.")
            links.children = (lab, dream)
            self.explorer.opens(dream, "dream_lab", lambda: {"layer": controls["layer"].value,
                                                             "maps": str(controls["map"].value)})  # fmt: skip
        self.explorer.opens(lab, "oip_lab", lambda: {name: controls[name].value for name in ("layer", "map")})
        self.explorer.saves(save, save_sheet)
        self.explorer.saves(save_own, save_digit)
        pointed = self.explorer.also(self._pointed)
        self.explorer.on_change(shown["nodes"], lambda node: pointed(), "node")
        self.explorer.on_change(shown["inputs"], self._open_input, "chosen")
        self.explorer.on_change(shown["top"], lambda number: number >= 0 and self.explorer.set(digit=number), "chosen")
        self.read_all = self.explorer.also(self._find_misread)
        self.explorer.on_change(self.digits.show, lambda name: self.digits.subsets[name] is None and self.read_all())

    def answer(self, settings):
        """Yield first the sheet, then what is to be told of the map that is opened, the quick things first."""
        try:
            answer = self._answered(settings)
            yield self._sheet(answer)
            yield from self._details(answer)
        except KeyboardInterrupt:
            yield {"status": "stopped; move a control to go on"}

    def _answered(self, settings):
        lines = [*self.digits.lines(settings.digit, self.given),
                 f"maps = np.asarray(feature_extractor(model, {settings.layer!r})(digit))[0]"]  # fmt: skip
        with refusals():
            image = self.run(lines[:-1])["digit"]
        self.answered = Answer(settings, lines, image, self.run(lines)["maps"], self._probabilities(image))
        return self.answered

    def _sheet(self, answer):
        settings, maps = answer.settings, answer.maps
        low, high = range_of(maps)
        shown = in_colors(maps.transpose(2, 0, 1), low, high)
        sheet = parts.pictures_of(shown, range(len(shown)), notes=[f"{mean:.2g}" for mean in maps.mean(axis=(0, 1))],
                                  edge=48 if len(shown) >= 64 else 96)
        return {
            "sheet": sheet, "scale": scale_text(settings.layer, maps), "made": answer,
            "digit": parts.large(parts.rgb(to_display(answer.image))[0]),
            "bars": parts.class_bars(answer.probabilities[0]),
            "map": (parts.large(shown[settings.map]), f"<b>map {settings.map}</b>, {maps.shape[0]} × {maps.shape[1]}: "
                    f"mean {maps[..., settings.map].mean():.3g}, highest {maps[..., settings.map].max():.3g}"),
            "nodes": (list(maps.shape[:2]), highest_node(maps[..., settings.map])), "status": self._sentence(answer),
            "python": [*answer.lines, "map_sheet(maps)"],
        }  # fmt: skip

    def _details(self, answer):
        settings = answer.settings
        opened = settings.layer, settings.map
        yield self._inputs(answer)
        features, known = feature_extractor(self.model, settings.layer), self.means.setdefault(settings.layer, [])
        for _ in self._in_batches(known, lambda images: mean_activations(features, images), self.images[:COMPARED]):
            yield {}
        yield self._top(settings, np.concatenate(known)[:, settings.map])
        if opened not in self.oips:
            yield {"oip": (png_bytes(np.zeros((1, 1, 4))), "OIP: being made …")}
        made = self.oips.get(opened) or create_oips(self.model, settings.layer, [settings.map], precondition=soften)
        stopped = made.ascent is not None and made.ascent.stopped
        if not stopped:
            self.oips[opened] = made._replace(ascent=None)
        told = f"mean activation {made.values[0]:.3g}" if made.values[0] else "no pattern was found that excites it"
        yield {"oip": (parts.large(contrast(made.images)[0]),
                       f"<b>OIP</b>, softened: {told}{'; stopped before it was finished' * stopped}")}  # fmt: skip

    def _found(self, answer):
        """The contributions to the opened map, calculated once."""
        if self.found[0] is not answer:
            settings = answer.settings
            self.found = answer, input_contributions(self.model, settings.layer, settings.map, answer.image)
        return self.found[1]

    def _pointed(self):
        """Yield the sum behind the node that is pointed at, once there is a map."""
        if self.answered:
            yield {"node": self._node(self.answered)}

    def _node(self, answer):
        settings, values = answer.settings, answer.maps[..., answer.settings.map]
        node = tuple(np.minimum(self.shown["nodes"].node, np.array(values.shape) - 1))
        told = f"<b>Node in row {node[0]}, column {node[1]}</b> (point at another, tap it, or press the arrow keys)"
        try:
            found = self._found(answer)
        except ValueError as error:
            error = parts.html.escape(str(error))
            return parts.small(f"{told}: {values[node]:.3f}. What it is computed from cannot be shown: {error}")
        most = np.argsort(-np.abs(found.values[0][node]), kind="stable")[:STRIP]
        patch = input_patches(self.model, settings.layer, found.inputs[..., most[0]])[0][node]
        return parts.small(told) + node_sum(found, node, patch, self._names(settings.layer, most), values[node])

    def _names(self, layer, numbers):
        """What a layer's inputs of these numbers are called: maps, or what the first layer reads of the image."""
        if layer == conv_layers(self.model)[0] and self.images.shape[-1] == 1:
            return ["image"]
        return [f"{'channel' if layer == conv_layers(self.model)[0] else 'map'} {number}" for number in numbers]

    def _inputs(self, answer):
        settings, node = answer.settings, self._node(answer)
        try:
            found = self._found(answer)
        except ValueError:  # which the node tells
            return {"node": node, "inputs": parts.NOTHING, "inputs_told": ""}
        shares = found.values[0].mean(axis=(0, 1))  # (inputs,)
        most = np.argsort(-np.abs(shares), kind="stable")[:STRIP]
        labels = [name.removeprefix("map ") for name in self._names(settings.layer, most)]
        pictures = parts.pictures_of(input_pictures(found, most), most, labels,
                                     [f"{share:+.2f}" for share in shares[most]], edge=2 * CELL)
        return {"node": node, "inputs": pictures, "inputs_told": parts.small(inputs_text(found, shares))}

    def _top(self, settings, means):
        top = parts.strongest(self.images[: len(means)], self.labels, means)
        told = (f"The digits that excite map {settings.map} most, of the first {len(means):,}, with its mean "
                "activation. Choose one to see its maps.")  # fmt: skip
        if top is parts.NOTHING:
            told = f"None of the first {len(means):,} digits excites map {settings.map}."
        return {"top": top, "top_told": parts.small(told)}

    def _open_input(self, number):
        """Open a map of the layer below, if that is a convolutional one: so one walks through the network."""
        settings, layers = self.answered.settings, conv_layers(self.model)
        before = layers.index(settings.layer) - 1
        if number >= 0 and before >= 0 and self._found(self.answered).source != maker_of(self.model.inputs[0]).name:
            self.explorer.set(layer=layers[before], map=number)

    def _find_misread(self):
        """Have the network read all digits, then let the misread ones be chosen from."""
        for done in self._in_batches(self.readings, lambda images: self._probabilities(images).argmax(1), self.images):
            yield {"status": f"reading all {len(self.images):,} digits, {done:,} so far"}
        misread = np.flatnonzero(np.concatenate(self.readings) != self.labels)
        if not len(misread):
            raise Refusal(f"none of the {len(self.images):,} digits is misread; show others")
        with lock:
            self.digits.know(MISREAD, misread)
            self.explorer.ask()  # also where the digit that is shown is the first of them

    def _probabilities(self, images):
        """The class probabilities of each image, `(n, classes)`, or `(n, 0)` where the model gives none."""
        if not self.output:
            return np.zeros((len(images), 0))
        return np.asarray(feature_extractor(self.model, self.output)(images))

    def _in_batches(self, known, answer, images):
        """Add the answers to all images to the list `known`, batch by batch, and yield how many there are."""
        size = max(1, BATCH // images[0].size)
        while (done := sum(map(len, known))) < len(images):
            known.append(answer(images[done : done + size]))
            yield done

    def _sentence(self, answer):
        """Which digit it is and how it is read, in words."""
        value, shares = answer.settings.digit, answer.probabilities[0]
        name, label = self.digits.words(value), self.digits.label(value)
        known = f", class {label}" if label is not None else ""
        if len(shares) == 0:
            return name + known
        best = int(shares.argmax())
        verb = "read as" if label is None or label == best else "misread as"
        return f"{name}{known}, {verb} {best} with {parts.percent(shares[best])}"


def save_sheet(answer):
    """Write the sheet of maps with their numbers as a PNG file, and return the sentence that says so."""
    low, high = range_of(answer.maps)
    pictures = in_colors(answer.maps.transpose(2, 0, 1), low, high)
    title = f"{answer.settings.layer}, all maps on one scale up to {high:.3g}"
    figure = zoo_sheet(pictures, range(len(pictures)), title, 16 if len(pictures) >= 64 else 8, (lambda shown: shown,))
    return parts.saved_figure(f"maps_{answer.settings.layer}", figure, 100)


def save_digit(answer):
    """Write the reader's own digit as a PNG file of 28 x 28 pixels, and return the sentence that says so."""
    if isinstance(answer.settings.digit, int):
        raise Refusal("there is no digit of yours to save yet; draw one, or upload a photo of one")
    return parts.saved("digit", ".png", lambda path: save_picture(path, to_display(answer.image)[0]),
                       ", 28 x 28 pixels; load_digit reads it back")  # fmt: skip


def probability_layer(model):
    """Return the name of the layer that gives class probabilities, a softmax at the model's end, or None."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        return None
    last = maker_of(model.outputs[0])
    fused = getattr(last, "activation", None) is keras.activations.softmax
    return last.name if fused or isinstance(last, keras.layers.Softmax) else None


def range_of(maps):
    """Return (low, high), common to all maps of a sheet: from 0, or the lowest value below it, to the highest."""
    return min(0.0, float(maps.min())), max(float(maps.max()), 1e-6)


def input_pictures(found, numbers):
    """Return those of the maps below with these numbers, each above its kernel: blue below zero, red above."""
    inputs = found.inputs[0][..., numbers].transpose(2, 0, 1)  # (n, height, width)
    low, high = range_of(found.inputs)
    above = in_colors(inputs, low, high, "gray" if low < 0 else "viridis")
    top = max(float(np.abs(found.kernels).max()), 1e-6)
    kernels = in_colors(found.kernels[..., numbers].transpose(2, 0, 1), -top, top, SIGNED)
    return np.concatenate([parts.fitted(above, CELL), parts.fitted(kernels, CELL)], axis=1)


def inputs_text(found, shares):
    """Return what the strip of inputs and kernels shows, in words."""
    height, width, count = found.kernels.shape
    total = shares.sum() + found.bias
    which = f"the {STRIP} that matter most of {count} maps below" if count > STRIP else "what lies below"
    return (f"What the map is computed from: {which}, each above its {height} × {width} kernel (blue: negative, red: "
            f"positive), with its mean contribution. Together {shares.sum():+.3f}; the bias {found.bias:+.3f} makes it "
            f"{total:+.3f}, the map's mean before the non-linearity. Choose a map to open it.")


def highest_node(values):
    """Return [row, column] of the largest of the values `(height, width)`."""
    return [int(place) for place in np.unravel_index(values.argmax(), values.shape)]


def node_sum(found, node, patch, names, value):
    """Return HTML with the sum behind one node: product by product for the input that matters most, then all inputs.

    `patch` is what that input's kernel meets, `names` are those of the inputs that matter most, `value` is the node's.
    """
    shares = found.values[0][node]  # (inputs,)
    most = np.argsort(-np.abs(shares), kind="stable")[: len(names)]
    table = parts.products(names[0], patch, found.kernels[..., most[0]]) if patch.size <= MOST_PRODUCTS else ""
    each = [f"{name} {share:+z.3f}" for name, share in zip(names, shares[most])]
    if len(shares) > len(most):
        each.append(f"the other {len(shares) - len(most)} {np.delete(shares, most).sum():+z.3f}")
    total = shares.sum()
    return table + parts.small(f"{'; '.join(each)}. Together {total:+.3f}; the bias {found.bias:+.3f} brings it to "
                               f"{total + found.bias:+.3f} before the non-linearity, and {value:z.3f} in the map.")


def scale_text(layer, maps):
    """Return HTML that says which maps the sheet shows and what its colors mean."""
    low, high = range_of(maps)
    height, width, count = maps.shape
    stops = in_colors(np.linspace(0, 1, 9), 0, 1)
    colors = ", ".join("#" + "".join(f"{round(255 * part):02x}" for part in stop) for stop in stops)
    silent = int((maps <= 0).all(axis=(0, 1)).sum())
    return parts.small(
        f"<b>{parts.html.escape(layer)}</b>: {count} maps of {height} × {width} nodes, from {low:.3g} "
        f"<span class='explorer-scale' style='background: linear-gradient(to right, {colors})'></span> to {high:.3g}; "
        f"{silent} silent. Below each its mean. Click one, or walk with the arrow keys."
    )
