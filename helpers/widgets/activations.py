"""The activation explorer: what every map of a layer makes of a digit, drawn or photographed ones too (notebook 03)."""

from typing import NamedTuple

import ipywidgets as widgets
import keras
import numpy as np

from helpers.activations import conv_layers, feature_extractor, input_contributions, mean_activations
from helpers.ascent import soften
from helpers.figures import SIGNED, in_colors, zoo_sheet
from helpers.images import contrast, to_display
from helpers.oips import create_oips
from helpers.photos import png_bytes, save_picture
from helpers.widgets import frame_before as parts
from helpers.widgets.drawing_before import OwnDigit, Pad, image_of
from helpers.widgets.frame_before import Desk

ALL, MISREAD = "all digits", "misread ones"
MANY = 64  # maps from which on a sheet has 16 columns instead of 8
SHOWN, CELL, STRIP = 196, 60, 8  # edge of the large pictures; edge and number of the pictures in a strip
AWAITED = "being made …"
COMPARED = 2000  # digits among which those that excite a map most are sought
BATCH = 256 * 28 * 28  # pixels that are read at once, so that what is asked for next need not wait
MOST_BARS = 20  # classes; of more only the most probable are shown


class ActivationSettings(NamedTuple):
    """What the controls say: the first digit from `number` on that is among those to `show`, or the reader's own."""

    layer: str
    show: str | int
    number: int
    own: OwnDigit | None = None
    index: int | None = None  # the map that is opened


class Answer(NamedTuple):
    """What the network makes of one image: `maps (height, width, maps)` of a layer, and class probabilities or none."""

    layer: str
    number: int
    own: OwnDigit | None
    image: np.ndarray
    maps: np.ndarray
    probabilities: np.ndarray


def activation_explorer(model, images=(), labels=()):
    """Return an explorer of feature maps: choose, draw or upload a digit, see every map of a layer, open one.

    Any Keras model with convolutional layers will do. `images (n, height, width, channels)` in model space and
    `labels (n,)` take the place of the test digits, which fit 28 x 28 gray pixels only; labels may be left out.
    Raises ValueError where images, labels and model do not go together. Introduced in notebook 03.
    """
    return _ActivationExplorer(parts.checked_model(model), *checked_digits(model, images, labels),
                               given=len(images) > 0).frame.view  # fmt: skip


class _ActivationExplorer:
    def __init__(self, model, images, labels, given):
        self.model, self.images, self.labels, self.given = model, images, labels, given
        self.input, self.output = model.inputs[0]._keras_history.operation.name, probability_layer(model)
        self.index, self.own, self.answer = None, None, None
        self.sentence, self.saved, self.painted = "", {}, {}
        self.readings, self.means, self.oips = [], {}, {}
        self._build_controls()
        self._build_pictures()
        c = self.controls
        controls = [c["layer"], c["show"], c["number"], parts.row(self.previous, self.next, self.save)]
        self.pad = None
        if images.shape[1:] == (28, 28, 1):
            self.pad = Pad(self._show_own)
            controls.append(self.pad.view)
        self.frame = parts.Frame(controls, self.pictures, self.read, self.make, self.paint, self.below)
        self._connect()
        self.frame.ask()

    def _build_controls(self):
        layers, wide = conv_layers(self.model), {"style": parts.NAMES, "layout": parts.WIDE}
        shown = [(ALL, ALL), *((f"class {label}", label) for label in np.unique(self.labels).tolist())]
        if self.output and np.issubdtype(self.labels.dtype, np.integer) and len(self.labels):
            shown.append((MISREAD, MISREAD))
        self.controls = {
            "layer": widgets.Dropdown(options=layers, value=layers[-1], description="layer", **wide),
            "show": widgets.Dropdown(options=shown, description="show", **wide),
            "number": widgets.IntSlider(0, 0, len(self.images) - 1, description="digit number", **wide),
        }
        self.previous = widgets.Button(description="previous", icon="arrow-left")
        self.next = widgets.Button(description="next", icon="arrow-right")
        self.save = widgets.Button(description="save PNG", icon="download", tooltip="the sheet, with its numbers")

    def _build_pictures(self):
        self.digit, self.map, self.oip, self.inputs, self.top = (widgets.Image(format="png") for _ in range(5))
        self.bars, self.scale, self.call = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.map_caption, self.oip_caption = widgets.HTML(), widgets.HTML()
        self.inputs_names, self.inputs_caption, self.top_caption = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.sheet = parts.Sheet(lambda number: self.frame.guarded(self._open)(number))
        self.pictures = [
            parts.row(parts.captioned(self.digit, "what the network sees", "42%"), self.bars),
            parts.folded(self.call, "Python for this picture"),
        ]
        large = parts.row(
            parts.captioned(self.map, self.map_caption, "48%"), parts.captioned(self.oip, self.oip_caption, "48%")
        )
        strips = widgets.VBox([
            self.inputs_names,
            parts.captioned(self.inputs, self.inputs_caption, "100%"),
            parts.captioned(self.top, self.top_caption, "100%"),
        ])  # fmt: skip
        large.layout.flex, strips.layout.flex, self.bars.layout.flex = "1 1 280px", "1 1 420px", "1 1 150px"
        self.details = parts.row(large, strips)
        strips.layout.overflow, self.details.layout.margin = "visible", "8px 0 0"
        self.details.layout.display = "none"
        self.below = [self.scale, self.sheet.view, self.details]

    def _connect(self):
        c = self.controls
        frame = self.frame
        frame.on_change(c["layer"], self._new_layer)
        frame.on_change(c["show"], self._new_show)
        frame.on_change(c["number"], self._forget_own)
        frame.watch(*c.values())
        frame.on_click(self.previous, lambda: self._step(-1))
        frame.on_click(self.next, lambda: self._step(1))
        frame.save_with(self.save, lambda: self.answer, save_sheet)
        if self.pad:
            desk = Desk(save_own, self._saved_own, frame.fail, lambda busy: None)
            frame.on_click(self.pad.save, lambda: desk.ask(self.answer))

    def _new_layer(self, change):
        self._choose(None)

    def _new_show(self, change):
        self.own = None
        self._step(0)

    def _forget_own(self, change):
        self.own = None

    def _step(self, step):
        """Go to the digit `step` further among those to show; one that is not known yet the worker will find."""
        slider, numbers = self.controls["number"], self._numbers(self.controls["show"].value)
        self.own = None
        if numbers is not None and len(numbers):
            place = np.searchsorted(numbers, slider.value) + step
            slider.value = int(numbers[place % len(numbers)])
        self.frame.ask()

    def _open(self, index):
        """Open a map of the sheet, or close the one that is open."""
        self._choose(None if index == self.index else index)
        self.frame.ask()

    def _choose(self, index):
        self.index = index
        self.sheet.mark(index)
        self.details.layout.display = "none" if index is None else None

    def _show_own(self, own):
        """Show the reader's own digit; None goes back to the others."""
        self.own = own
        self.frame.ask()

    def _saved_own(self, saved):
        """Say where the reader's own digit is kept, and name the file in the call if that digit is still shown."""
        own, path = saved
        self.saved[own] = path
        if self.answer.own == own:
            self._show_call(self.answer)
        self.frame.say(f"saved as {path} in the folder of the notebook, 28 x 28 pixels; load_digit reads it back")

    def _numbers(self, show):
        """The numbers of the digits to show, or None where the network has not read all of them yet."""
        if show == ALL:
            return np.arange(len(self.images))
        if show != MISREAD:
            return np.flatnonzero(self.labels == show)
        if sum(map(len, self.readings)) < len(self.images):
            return None
        return np.flatnonzero(np.concatenate(self.readings) != self.labels)

    def read(self):
        value = {name: control.value for name, control in self.controls.items()}
        return ActivationSettings(value["layer"], value["show"], value["number"], self.own, self.index)

    def make(self, settings):
        """Yield (how to paint, what): first the sheet, then what is to be told of the map that is open."""
        try:
            answer = yield from self._answer(settings)
            yield self._paint_answer, answer
            if settings.index is not None:
                yield from self._details(answer, settings.index)
        except KeyboardInterrupt:
            yield self._paint_stopped, "stopped; move a control to go on"

    def paint(self, result):
        """Show a result; each says how."""
        show, what = result
        show(what)
        return self.sentence

    def _tell(self, sentence):
        self.sentence = sentence

    def _paint_stopped(self, sentence):
        for below in (self.top_caption, self.oip_caption):
            below.value = below.value.replace(AWAITED, "stopped")
        self.sentence = sentence

    def _answer(self, settings):
        """The `Answer` to the digit that the settings stand for; yields progress where all must be read first."""
        number, image = settings.number, None
        if settings.own is None:
            if settings.show == MISREAD:
                for done in self._in_batches(self.readings, self._read, self.images):
                    yield self._tell, f"reading all {len(self.images):,} digits, {done:,} so far"
            numbers = self._numbers(settings.show)
            if len(numbers) == 0:
                raise ValueError(f"none of the {len(self.images):,} digits is misread; show {ALL!r} again")
            number = int(numbers[min(np.searchsorted(numbers, number), len(numbers) - 1)])
            image = self.images[number : number + 1]
        known = self.answer
        if known and (known.layer, known.number, known.own) == (settings.layer, number, settings.own):
            return known
        if image is None:
            image = known.image if known and known.own == settings.own else image_of(settings.own)
        maps = np.asarray(feature_extractor(self.model, settings.layer).compiled_forward(image))[0]
        return Answer(settings.layer, number, settings.own, image, maps, self._probabilities(image))

    def _probabilities(self, images):
        """The class probabilities of each image, `(n, classes)`, or `(n, 0)` where the model gives none."""
        if not self.output:
            return np.zeros((len(images), 0))
        return np.asarray(feature_extractor(self.model, self.output).compiled_forward(images))

    def _read(self, images):
        return self._probabilities(images).argmax(axis=1)

    def _in_batches(self, known, answer, images):
        """Add the answers to all images to the list `known`, batch by batch, and yield how many there are."""
        size = max(1, BATCH // images[0].size)
        done = sum(map(len, known))
        while done < len(images):
            known.append(answer(images[done : done + size]))
            done += len(known[-1])
            yield done

    def _details(self, answer, index):
        """What is to be told of a map, the quick things first; what does not depend on the digit only once."""
        opened = answer.layer, index
        yield self._paint_map, (answer, index)
        try:
            contributions = input_contributions(self.model, answer.layer, index, answer.image)
            yield self._paint_inputs, (contributions, contributions.source == self.input)
        except ValueError as error:
            yield self._paint_no_inputs, error
        if self.painted.get("top") != opened:
            features, known = feature_extractor(self.model, answer.layer), self.means.setdefault(answer.layer, [])
            compared = self.images[:COMPARED]
            for done in self._in_batches(known, lambda images: mean_activations(features, images), compared):
                yield self._paint_top_progress, done
            yield self._paint_top, (opened, np.concatenate(known)[:, index])
        if self.painted.get("oip") != opened:
            yield self._paint_oip, (opened, self._oip(*opened))

    def _oip(self, layer, index):
        if (layer, index) not in self.oips:
            made = create_oips(self.model, layer, [index], precondition=soften)
            if made.ascent.stopped:
                return made
            self.oips[layer, index] = made._replace(ascent=None)
        return self.oips[layer, index]

    def _paint_answer(self, answer):
        if answer is not self.answer:
            self.answer = answer
            numbers, columns = range(answer.maps.shape[-1]), columns_of(answer.maps)
            low, high = range_of(answer.maps)
            self.sheet.show(sheet_pictures(answer.maps, low, high), numbers, columns)
            self.sheet.view.layout.max_width = f"{max(500, 100 * min(columns, len(numbers)))}px"
            self.scale.value = scale_text(answer)
            self.digit.value = png_bytes(large(to_display(answer.image)))
            self.bars.value = bars_of(answer.probabilities[0])
            self._show_call(answer)
        opened = "" if self.index is None else f"; map {self.index} is opened below the sheet"
        self.sentence = sentence_of(answer, self.labels, len(self.images)) + opened

    def _show_call(self, answer):
        path = self.saved.get(answer.own) if answer.own else None
        self.call.value = parts.python_call(self.model, *call_of(answer, self.given, path))

    def _paint_map(self, what):
        answer, index = what
        shown, (low, high) = answer.maps[..., index], range_of(answer.maps)
        self.map.value = png_bytes(large(in_colors(shown, low, high)[np.newaxis]))
        size = " × ".join(map(str, shown.shape))
        self.map_caption.value = parts.small(
            f"<b>map {index}</b>, {size}, in the colors of the sheet: mean {shown.mean():.3g}, "
            f"highest {shown.max():.3g}"
        )
        if self.painted.get("opened") != (answer.layer, index):
            self.painted = {"opened": (answer.layer, index)}
            self.top.value, self.oip.value = png_bytes(strip([])), png_bytes(np.zeros((1, 1, 4)))
            self.top_caption.value = self.oip_caption.value = parts.small(AWAITED)

    def _paint_inputs(self, what):
        contributions, first = what
        shares = contributions.values[0].mean(axis=(0, 1))  # (inputs,)
        most = np.argsort(-np.abs(shares), kind="stable")[:STRIP]
        self.inputs.value = png_bytes(np.concatenate([
            strip(input_pictures(contributions, most)), strip(kernel_pictures(contributions, most)),
        ]))  # fmt: skip
        self.inputs_names.value = labels_below([input_name(contributions, number, first) for number in most])
        self.inputs_caption.value = labels_below([f"{shares[number]:+.3f}" for number in most]) + parts.small(
            inputs_text(contributions, shares, first)
        )

    def _paint_no_inputs(self, error):
        self.inputs.value, self.inputs_names.value = png_bytes(strip([])), ""
        self.inputs_caption.value = parts.small(f"What it is computed from cannot be shown: {error}")

    def _paint_top_progress(self, done):
        self.top_caption.value = parts.small(f"{AWAITED} {done:,} digits compared")

    def _paint_top(self, what):
        (layer, index), means = what
        best = np.argsort(-means, kind="stable")[:STRIP]
        best = best[means[best] != 0]
        self.top.value = png_bytes(strip(parts.thumbnails(rgb(to_display(self.images[best])), CELL)))
        names = [f"<b>{self.labels[number]}</b>" if len(self.labels) else f"no. {number}" for number in best]
        below = labels_below([f"{name}<br>{means[number]:.3g}" for name, number in zip(names, best)])
        named = "class and mean activation" if len(self.labels) else "number and mean activation"
        text = f"The digits that excite map {index} most, of the first {len(means):,}: {named}."
        if len(best) == 0:
            text = f"None of the first {len(means):,} digits excites map {index}."
        self.top_caption.value = below + parts.small(text)
        self.painted["top"] = layer, index

    def _paint_oip(self, what):
        (layer, index), made = what
        self.oip.value = png_bytes(large(contrast(made.images)))
        told = f"mean activation {made.values[0]:.3g}" if made.values[0] else "no pattern was found that excites it"
        stopped = made.ascent is not None
        end = "; stopped before it was finished" if stopped else ""
        text = f"<b>OIP</b>, softened: the pattern made to excite map {index}; {told}{end}"
        self.oip_caption.value = parts.small(text)
        if not stopped:
            self.painted["oip"] = layer, index


def save_sheet(answer):
    """Write the sheet of maps with their numbers as a PNG file, and yield the sentence that says so."""
    if answer is None:
        raise ValueError("there is no sheet to save yet; wait for the first one")
    count = answer.maps.shape[-1]
    pictures = sheet_pictures(answer.maps, *range_of(answer.maps))
    title = f"{answer.layer}, all maps on one scale up to {range_of(answer.maps)[1]:.3g}"
    figure = zoo_sheet(pictures, range(count), title, columns_of(answer.maps), (lambda shown: shown,))
    path = parts.free_path(f"maps_{answer.layer}", ".png")
    figure.savefig(path, dpi=100)
    yield f"saved as {path} in the folder of the notebook"


def save_own(answer):
    """Write the reader's own digit as a PNG file of 28 x 28 pixels, and yield it with its path."""
    if answer is None or answer.own is None:
        raise ValueError("there is no digit of yours to save yet; draw one, or upload a photo of one")
    path = parts.free_path("digit", ".png")
    save_picture(path, to_display(answer.image)[0])
    yield answer.own, path


def checked_digits(model, images, labels):
    """Return images and labels to explore, the test digits where none are given; refuse what does not fit."""
    given = len(images) > 0
    if not given and len(labels):
        raise ValueError(f"{len(labels)} labels came without images; give both")
    images, labels = (np.asarray(images, np.float32), np.asarray(labels)) if given else parts.default_digits()
    shape, seen = images.shape[1:], tuple(model.inputs[0].shape[1:])
    if len(shape) != len(seen) or any(size not in (None, length) for size, length in zip(seen, shape)):
        what, remedy = ("images", "resize them") if given else ("test digits", "give fitting ones with images=")
        raise ValueError(f"the model sees images of shape {seen}, the {what} have {shape}; {remedy}")
    if len(labels) and labels.shape != images.shape[:1]:
        raise ValueError(f"labels have shape {labels.shape}; {len(images)} images need one label each, or none")
    return images, labels


def probability_layer(model):
    """Return the name of the layer that gives class probabilities, a softmax at the model's end, or None."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        return None
    last = model.outputs[0]._keras_history.operation
    fused = getattr(last, "activation", None) is keras.activations.softmax
    return last.name if fused or isinstance(last, keras.layers.Softmax) else None


def columns_of(maps):
    """Return the columns of a sheet of maps `(height, width, maps)`."""
    return 16 if maps.shape[-1] >= MANY else 8


def range_of(maps):
    """Return (low, high), common to all maps of a sheet: from 0, or the lowest value below it, to the highest."""
    return min(0.0, float(maps.min())), max(float(maps.max()), 1e-6)


def sheet_pictures(maps, low, high):
    """Return maps `(height, width, maps)` as colored pictures `(maps, height, width, 3)` on one common scale."""
    colored = in_colors(maps.transpose(2, 0, 1), low, high)
    return parts.thumbnails(colored, 48 if columns_of(maps) == 16 else 96)


def rgb(pictures):
    """Return pictures `(n, height, width, channels)` in pixel space with three channels, gray unless they had three."""
    if pictures.shape[-1] == 3:
        return pictures
    return pictures.mean(axis=-1, keepdims=True).repeat(3, axis=-1)


def large(pictures):
    """Return the first of pictures `(n, height, width, channels)` so that it can be seen well."""
    return parts.thumbnails(rgb(pictures[:1]), SHOWN)[0]


def strip(pictures):
    """Return up to `STRIP` pictures `(height, width, 3)` in a row of equal cells, as `(CELL, columns, 4)`."""
    row, cell = np.zeros((CELL + 4, STRIP * (CELL + 4), 4), np.float32), CELL + 4
    for place, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        top, left = (cell - height) // 2, place * cell + (cell - width) // 2
        row[top : top + height, left : left + width] = np.dstack([picture, np.ones((height, width))])
    return row


def labels_below(labels):
    """Return HTML that puts labels below the pictures of a `strip`."""
    return parts.strip_labels([*labels, *[""] * (STRIP - len(labels))])


def input_pictures(contributions, numbers):
    """Return those of the maps below that have these numbers as pictures on one scale; an image's channels in gray."""
    inputs = contributions.inputs[0][..., numbers].transpose(2, 0, 1)  # (n, height, width)
    low, high = range_of(contributions.inputs)
    return parts.thumbnails(in_colors(inputs, low, high, "gray" if low < 0 else "viridis"), CELL)


def kernel_pictures(contributions, numbers):
    """Return the kernels of these maps below as pictures: blue below zero, white at zero, red above."""
    kernels = contributions.kernels[..., numbers].transpose(2, 0, 1)
    top = max(float(np.abs(kernels).max()), 1e-6)
    return parts.thumbnails(in_colors(kernels, -top, top, SIGNED), CELL)


def input_name(contributions, number, first):
    """Return what a map below is called; `first` says that it is a channel of the image."""
    if first:
        return "the image" if contributions.inputs.shape[-1] == 1 else f"channel {number}"
    return f"map {number}"


def inputs_text(contributions, shares, first):
    """Return what the strip of inputs and kernels shows, in words; `first` says that the inputs are the image."""
    height, width, count = contributions.kernels.shape
    total = shares.sum() + contributions.bias
    below = "channels of the image" if first else f"maps of {contributions.source}"
    which = f"the {STRIP} that matter most of {count} {below}" if count > STRIP else f"{count} {below}"
    each, sums = "it has for each", f"all {count} contributions"
    if count == 1:
        which, each, sums = input_name(contributions, 0, first), "it has for that", "its contribution"
    return (f"What the map is computed from: {which}, and the {height} × {width} kernel {each} (blue: negative, white: "
            f"zero, red: positive). Numbers: mean contribution. Together {sums} {shares.sum():+.3f} and the bias "
            f"{contributions.bias:+.3f} give {total:+.3f}, the map's mean before its non-linearity, which cuts "
            "negative values off if it is a ReLU.")


def scale_text(answer):
    """Return HTML that says which maps the sheet shows and what its colors mean."""
    low, high = range_of(answer.maps)
    height, width, count = answer.maps.shape
    stops = in_colors(np.linspace(0, 1, 9), 0, 1)
    colors = ", ".join("#" + "".join(f"{round(255 * part):02x}" for part in stop) for stop in stops)
    silent = int((answer.maps <= 0).all(axis=(0, 1)).sum())
    return parts.small(
        f"<b>{answer.layer}</b>: {count} maps of {height} × {width} nodes, all on one scale from {low:.3g} "
        f"<span class='explorer-scale' style='background: linear-gradient(to right, {colors})'></span> to {high:.3g}; "
        f"{silent} silent. Click a map to open it, or reach it with the Tab key."
    )


def bars_of(probabilities):
    """Return HTML with a bar for every class, for the most probable ones if there are many; "" if there are none."""
    classes = np.arange(len(probabilities))
    if len(classes) > MOST_BARS:
        classes = np.argsort(-probabilities, kind="stable")[:MOST_BARS]
    if len(classes) == 0:
        return ""
    return parts.bars(classes, probabilities[classes], [percent(probabilities[k]) for k in classes])


def percent(share):
    """Return a share in percent, as exactly as it matters."""
    return f"{100 * share:.1f} %" if share < 0.9995 else "over 99.9 %"


def sentence_of(answer, labels, count):
    """Return which digit it is and how it is read, in words."""
    label = labels[answer.number] if answer.own is None and len(labels) else None
    name = f"your {answer.own.kind}" if answer.own else f"digit {answer.number:,} of {count:,}"
    known = f", {article(label)} {label}" if label is not None else ""
    if len(answer.probabilities[0]) == 0:
        return name + known
    best = int(answer.probabilities[0].argmax())
    verb = "read as" if label is None or label == best else "misread as"
    return f"{name}{known}, {verb} {best} with {percent(answer.probabilities[0][best])}"


def article(label):
    """Return "a" or "an", as the number is spoken."""
    return "an" if str(label).startswith("8") or str(label) in ("11", "18") else "a"


def call_of(answer, given, path):
    """Return (imports, lines): the Python that shows the same maps; `path` is where the reader's own digit is saved."""
    imports = {"from helpers.activations import feature_extractor", "from helpers.figures import map_sheet"}
    image, number = "digit", answer.number
    if answer.own:
        imports.add("from helpers.ink import load_digit")
        remark = "" if path else "  # press \"save digit\" first, which writes such a file"
        lines = [f"digit = load_digit({str(path or 'digit.png')!r}){remark}"]
    elif given:
        image, lines = f"images[{number}:{number + 1}]", ["# images are those this explorer was opened with"]
    else:
        imports.add("from helpers.data import load_digits")
        image, lines = f"images[{number}:{number + 1}]", ['images, labels = load_digits("test")']
    return imports, [
        *lines,
        f"maps = feature_extractor(model, {answer.layer!r})({image})[0]",
        f"map_sheet(maps, columns={columns_of(answer.maps)})",
    ]
