"""The zoo browser: the OIPs of all maps of a layer on one sheet, to open, sort, filter and mark (notebook 05)."""

import html
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from helpers.activations import class_means, conv_layers, feature_extractor, mean_activations
from helpers.ascent import identity, soften
from helpers.figures import as_calculated, enhanced, zoo_sheet
from helpers.images import to_display
from helpers.oips import create_oips
from helpers.photos import png_bytes
from helpers.widgets import frame_before as parts
from helpers.widgets.frame_before import Desk

RENDERINGS = {"contrast enhanced, gray": enhanced, "as calculated, in colors": as_calculated}
BY_INDEX, BY_VALUE, BY_CLASS = "map index", "mean activation of the OIP", "answer to the class below"
ALL, OF_CLASS = "all maps", "maps whose top class is the one below"
STARRED, DEAD = "favorites ★ only", "maps that no digit excites"
AT_ONCE, KEPT = 16, 4  # maps made together; sheets kept, so that one can go back
TEST_DIGITS, DIGITS_AT_ONCE = 2_000, 1_000  # digits asked where none are given; between so many others have their turn
MANY = 200  # maps up to which a row holds ten, so that map 56 is in row 5
CELL, SHOWN, STRONGEST = 40, 224, 8  # edges of the pictures on the sheet and of the large ones; digits shown for a map
DARK = 0.2  # gray value of a map that is not made yet, seen on white and on black
REACHED = {
    "start": "it answers to an ordinary random start; it climbed from those of many that it answers to most",
    "precursor": "an ordinary random start leaves it silent, so it climbed from a precursor: the best of many others",
    "pre-activation": "no random start excites it; climbing its values before they are cut off at zero woke it",
    "unreachable": "not at all: it stayed silent whatever was tried, and the picture is where the climb ended",
}


class ZooSettings(NamedTuple):
    """What OIPs depend on."""

    seed: int
    softened: bool


class Look(NamedTuple):
    """How the sheet is looked at, and which map is open."""

    rendering: str
    order: str
    kept: str
    label: object  # a class of digits
    chosen: int
    favorites: frozenset


class Zoo(NamedTuple):
    """What is made so far of `total` maps: the first ones, `images (made, height, width, channels)` and the rest."""

    settings: ZooSettings
    total: int
    images: np.ndarray
    values: np.ndarray
    how: np.ndarray
    stopped: bool = False

    @property
    def made(self):
        return len(self.images)


class Digits(NamedTuple):
    """Digits and what the layer says of them: `answers (n, maps)`, for each of the `classes` its `means (c, maps)`."""

    images: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    classes: np.ndarray
    means: np.ndarray


def zoo_browser(model, layer, digits=(), labels=()):
    """Return an explorer of all OIPs of a layer: a sheet that fills while you look, to open, sort and filter.

    Any Keras model with convolutional layers will do. `digits (n, height, width, channels)` and their `labels (n,)`
    tell which class excites a map; without them it is the first 2,000 test digits, if the model sees such images.
    Raises ValueError for a layer that is unknown or has no maps, and for digits or labels that do not fit. The OIPs
    are those of `oips.create_oips`, and the browser shows the Python call that makes them. Introduced in notebook 05.
    """
    return _ZooBrowser(model, layer, digits, labels).frame.view


class _ZooBrowser:
    def __init__(self, model, layer, digits, labels):
        self.features = feature_with_maps(parts.checked_model(model), layer)
        self.model, self.layer, self.total = model, layer, self.features.output_shape[-1]
        self.given, self.trouble = checked_digits(model, digits, labels), ""
        if self.given is None:
            self.given, self.trouble = test_digits_for(model)
        self.digits, self.answers = None, []
        self.zoos, self.numbers, self.on_sheet = {}, np.arange(self.total), None
        self.columns = max(5, min(10, self.total)) if self.total <= MANY else 20
        self._build_controls()
        self._build_pictures()
        c = self.controls
        controls = [
            c["order"], c["kept"], c["label"], self.note,
            self.told, parts.row(parts.captioned(self.strong, "contrast enhanced", "46%"),
                                 parts.captioned(self.plain, "as calculated", "46%")),
            parts.row(self.previous, self.next, self.star), self.bars, parts.captioned(self.strip, self.labels, "100%"),
            c["rendering"], parts.row(c["seed"], self.dice), c["softened"], parts.row(self.save, self.go_on),
        ]  # fmt: skip
        self.frame = parts.Frame(controls, self.pictures, self.read, self.make, self.paint)
        self.frame.desk.fail = self.fail
        self.looks = Desk(self.look_at, self.show_look, self.frame.fail, lambda busy: None)
        self._connect()
        self.chosen, self.favorites, self.zoo, self.failed = 0, frozenset(), self._zoo(self.read(), []), False
        self._look()
        self.frame.ask()

    def _build_controls(self):
        wide = {"style": parts.NAMES, "layout": parts.WIDE}
        orders, filters = [BY_INDEX, BY_VALUE, BY_CLASS], [ALL, OF_CLASS, STARRED, DEAD]
        if self.trouble:
            orders, filters = [BY_INDEX, BY_VALUE], [ALL, STARRED]
        classes = [] if self.trouble else np.unique(self.given[1]).tolist()
        self.controls = {
            "seed": widgets.BoundedIntText(0, 0, 999_999, description="random seed", **wide),
            "softened": widgets.Checkbox(False, description="softened: strokes instead of speckle", indent=False),
            "rendering": widgets.Dropdown(options=list(RENDERINGS), description="rendering", **wide),
            "order": widgets.Dropdown(options=orders, description="sorted by", **wide),
            "kept": widgets.Dropdown(options=filters, description="shown", **wide),
            "label": widgets.Dropdown(options=[(str(name), name) for name in classes], description="class of digits",
                                      disabled=True, **wide),
        }
        self.dice = widgets.Button(description="roll the dice", icon="random", tooltip="another random seed")
        self.go_on = widgets.Button(description="go on", icon="forward", tooltip="make the missing maps", disabled=True)
        self.save = widgets.Button(description="save PNG", icon="download", tooltip="the sheet, with its numbers")
        self.previous = widgets.Button(description="previous map", icon="arrow-left", tooltip="its left neighbor")
        self.next = widgets.Button(description="next map", icon="arrow-right", tooltip="its right neighbor")
        self.star = widgets.ToggleButton(False, description="favorite", icon="star", tooltip="mark it with a star",
                                         layout=parts.WIDE)

    def _build_pictures(self):
        self.strong, self.plain, self.strip = (widgets.Image(format="png") for _ in range(3))
        self.told, self.bars, self.labels, self.note, self.listed, self.sheet_call, self.map_call = (
            widgets.HTML() for _ in range(7))
        self.progress = widgets.IntProgress(0, 0, self.total, description="maps made",
                                            style={"description_width": "initial"}, layout=parts.WIDE)
        self.sheet = parts.Sheet(lambda number: self.frame.guarded(self._choose)(number))
        calls = parts.row(parts.folded(self.sheet_call, "Python for this sheet"),
                          parts.folded(self.map_call, "Python for this map"))
        self.pictures = [self.progress, self.sheet.view, self.listed, calls]

    def _connect(self):
        c = self.controls
        self.frame.watch(c["seed"], c["softened"])
        frame = self.frame
        for name in ("rendering", "order", "kept", "label"):
            frame.on_change(c[name], self._look)
        frame.on_change(self.star, self._mark)
        frame.roll(c["seed"], self.dice, 1_000_000)
        frame.on_click(self.go_on, frame.ask)
        frame.save_with(self.save, lambda: (self.zoo, self.look, self.numbers), self.save_sheet)
        frame.on_click(self.previous, lambda: self._step(-1))
        frame.on_click(self.next, lambda: self._step(1))

    def _look(self, change=None):
        """Have the sheet shown as the controls say now; what is made stays, and what is being made goes on."""
        value = {name: control.value for name, control in self.controls.items()}
        self.look = Look(value["rendering"], value["order"], value["kept"], value["label"], self.chosen, self.favorites)
        self.looks.ask(self.look)

    def _choose(self, number):
        self.chosen = number
        self.star.value = number in self.favorites
        self._look()

    def _mark(self, change):
        self.favorites = self.favorites | {self.chosen} if change["new"] else self.favorites - {self.chosen}
        self._look()

    def _step(self, by):
        """Open the map that is `by` places further on the sheet, past its end the first one."""
        places = np.flatnonzero(self.numbers == self.chosen)
        if len(self.numbers):
            self._choose(int(self.numbers[(places[0] + by) % len(self.numbers) if len(places) else 0]))

    def read(self):
        return ZooSettings(self.controls["seed"].value, self.controls["softened"].value)

    def make(self, settings):
        """Yield the `Zoo` as it grows; maps that were made before are there at once."""
        groups = self._kept_groups(settings)
        made = sum(len(group.indices) for group in groups)
        try:
            yield self._zoo(settings, groups)
            while made < self.total:
                indices = range(made, min(made + AT_ONCE, self.total))
                group = create_oips(self.model, self.layer, indices, seed=settings.seed,
                                    precondition=soften if settings.softened else identity)
                if group.ascent.stopped:
                    break  # half a climb is no OIP
                groups.append(group._replace(ascent=None))
                made += len(indices)
                yield self._zoo(settings, groups)
        except KeyboardInterrupt:  # between two groups
            pass
        if made < self.total:
            yield self._zoo(settings, groups)._replace(stopped=True)

    def _kept_groups(self, settings):
        """The groups of maps that were made with these settings, a list to be gone on with."""
        groups = self.zoos[settings] = self.zoos.pop(settings, [])
        while len(self.zoos) > KEPT:
            del self.zoos[next(iter(self.zoos))]
        return groups

    def _zoo(self, settings, groups):
        if not groups:
            nothing = np.zeros((0, *parts.image_shape(self.model)), np.float32)
            return Zoo(settings, self.total, nothing, np.zeros(0), np.zeros(0, str))
        return Zoo(settings, self.total, *(np.concatenate([getattr(group, name) for group in groups])
                                           for name in ("images", "values", "how")))

    def look_at(self, look):
        """Yield the look once it can be shown; before the first one the digits are asked."""
        if self.digits is None and not self.trouble:
            yield from self._ask_digits(look)
        yield look

    def _ask_digits(self, look):
        images, labels = self.given
        while (asked := sum(map(len, self.answers))) < len(images):
            self.answers.append(mean_activations(self.features, images[asked : asked + DIGITS_AT_ONCE]))
            yield look
        self.digits = with_classes(images, labels, np.concatenate(self.answers))

    def paint(self, zoo):
        self.zoo, self.failed = zoo, False
        self.progress.value = zoo.made
        self.go_on.disabled = not zoo.stopped
        return self.show()

    def fail(self, error):
        """Show why no more maps are made; looking around does not take that sentence away."""
        self.failed, self.go_on.disabled = True, False
        self.frame.fail(error)

    def show_look(self, look):
        sentence = self.show()
        if not self.failed:
            self.frame.say(sentence)

    def show(self):
        """Show what is made as the newest look wants it, and return the status in words."""
        zoo, look = self.zoo, self.look
        self.numbers = shown_maps(zoo, look, self.digits)
        self.note.value = parts.small(html.escape(self._note()))
        self.controls["label"].disabled = self.digits is None or (look.order, look.kept) == (BY_INDEX, ALL)
        self._show_sheet(zoo, look)
        self._show_map(zoo, look.chosen)
        self._show_calls(zoo, look)
        return sentence_of(self.layer, zoo, look, self.numbers)

    def _show_sheet(self, zoo, look):
        wanted = zoo.settings, zoo.made, look.rendering, self.numbers.tolist()
        self.sheet.view.layout.display = None if len(self.numbers) else "none"
        if wanted != self.on_sheet and len(self.numbers):
            pictures = sheet_pictures(zoo, self.numbers, look.rendering)
            self.sheet.show(filled_up(pictures, self.columns), self.numbers, self.columns)
            self.on_sheet = wanted
        self.sheet.mark(look.chosen, look.favorites)
        self.listed.value = parts.small(f"favorites: <code>{sorted(look.favorites)}</code>")

    def _show_map(self, zoo, index):
        times = max(1, SHOWN // max(zoo.images.shape[1:3]))
        for picture, rendering in ((self.strong, enhanced), (self.plain, as_calculated)):
            picture.value = png_bytes(parts.enlarged(cells(zoo, np.array([index]), rendering)[0], times))
        self.told.value = told_of(zoo, index, self.digits)
        self.bars.value = "" if self.digits is None else class_bars(self.digits, index)
        strongest = [] if self.digits is None else strongest_digits(self.digits, index)
        self.strip.layout.display = None if len(strongest) else "none"
        if len(strongest):
            self.strip.value = png_bytes(parts.mosaic(strip_pictures(self.digits.images[strongest]), STRONGEST))
        self.labels.value = strip_caption(self.digits, strongest, index)

    def _show_calls(self, zoo, look):
        there = self.numbers[self.numbers < zoo.made]
        self.sheet_call.value = self._call(call_of_sheet(self.layer, zoo, look, there, self.columns))
        self.map_call.value = self._call(call_of_map(self.layer, zoo, look))

    def _call(self, imports_and_lines):
        return parts.python_call(self.model, *imports_and_lines) if imports_and_lines else ""

    def _note(self):
        if self.trouble:
            return f"no class of digits can be asked for: {self.trouble}"
        if self.digits is None:
            return f"{sum(map(len, self.answers)):,} digits asked so far"
        return (f"{len(self.digits.images):,} digits were asked; the top class of a map is the one whose digits excite "
                "it most, in their mean")

    def save_sheet(self, asked):
        """Write the sheet as a PNG file, and yield the sentence that says so."""
        zoo, look, numbers = asked
        there = numbers[numbers < zoo.made]
        if not len(there):
            remedy = "show other maps" if zoo.made == zoo.total else "wait for the first ones"
            raise ValueError(f"there is no OIP on the sheet that could be saved; {remedy}")
        labels = [f"{number}{'★' if number in look.favorites else ''}" for number in there]
        figure = zoo_sheet(zoo.images[there], labels, title_of(self.layer, zoo.settings), self.columns,
                           (RENDERINGS[look.rendering],))
        path = parts.free_path(f"zoo_{self.layer}", ".png")
        figure.savefig(path, dpi=200)
        yield f"saved as {path} in the folder of the notebook"


def feature_with_maps(model, layer):
    """Return the extractor of a layer; ValueError if the layer has no feature maps."""
    features = feature_extractor(model, layer)
    if len(features.output_shape) != 4:
        raise ValueError(f"layer {layer!r} has no feature maps but {features.output_shape[-1]} single units; "
                         f"the convolutional layers of this model are {', '.join(conv_layers(model)) or 'none'}")
    return features


def checked_digits(model, digits, labels):
    """Return (digits, labels) as arrays, or None where there are none; ValueError if they do not fit."""
    if len(labels) != len(digits):
        raise ValueError(f"there are {len(digits)} digits and {len(labels)} labels; give one label for each digit")
    if len(digits) == 0:
        return None
    digits, wanted = np.asarray(digits, np.float32), model.inputs[0].shape
    if digits.ndim != 4 or any(size not in (None, given) for size, given in zip(wanted, digits.shape)):
        sizes = ", ".join("any" if size is None else str(size) for size in wanted[1:])
        raise ValueError(f"digits have shape {digits.shape}; this model sees images of shape (n, {sizes})")
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels have shape {labels.shape}; give one number or name for each digit, not one-hot")
    return digits, labels


def test_digits_for(model):
    """Return (digits, labels) and no trouble, or none and the sentence that says why the model has none."""
    shape = parts.image_shape(model)
    if shape == (28, 28, 1):
        try:
            return [part[:TEST_DIGITS] for part in parts.default_digits()], ""
        except (OSError, ValueError) as error:
            return None, str(error)
    seen = " x ".join(map(str, shape))
    return None, f"this model sees images of {seen}, test digits have 28 x 28 x 1; give digits and labels that fit"


def with_classes(images, labels, answers):
    """Return the `Digits` with the mean answers of each class that occurs among the labels."""
    classes, places = np.unique(labels, return_inverse=True)
    return Digits(images, np.asarray(labels), answers, classes, class_means(answers, places, len(classes)))


def shown_maps(zoo, look, digits):
    """Return the maps on the sheet in their order; those that are not made yet come last where values count."""
    numbers = np.arange(zoo.total)
    if look.kept == STARRED:
        numbers = np.array(sorted(look.favorites), int)
    if digits is not None and look.kept in (OF_CLASS, DEAD):
        excited = digits.answers.max(axis=0) > 0
        of_class = digits.classes[digits.means.argmax(axis=0)] == look.label
        numbers = np.flatnonzero(excited & of_class if look.kept == OF_CLASS else ~excited)
    if look.order == BY_VALUE:
        values = np.r_[zoo.values, np.full(zoo.total - zoo.made, -np.inf)]
        return numbers[np.argsort(-values[numbers], kind="stable")]
    if look.order == BY_CLASS and digits is not None and look.label in digits.classes:
        answers = digits.means[digits.classes == look.label][0]
        return numbers[np.argsort(-answers[numbers], kind="stable")]
    return numbers


def cells(zoo, numbers, rendering):
    """Return pictures `(n, height, width, 3)` of these maps, dark where one is not made yet."""
    pictures = np.full((len(numbers), *zoo.images.shape[1:3], 3), DARK, np.float32)
    there = numbers < zoo.made
    if there.any():
        pictures[there] = rendering(zoo.images[numbers[there]])
    return pictures


def sheet_pictures(zoo, numbers, rendering):
    """Return the small pictures of a sheet."""
    return parts.thumbnails(cells(zoo, numbers, RENDERINGS[rendering]), CELL)


def strip_pictures(images):
    """Return images as small gray or color pictures, filled up to a whole strip."""
    shown = to_display(images)
    return filled_up(parts.thumbnails(np.broadcast_to(shown, (*shown.shape[:3], 3)), CELL), STRONGEST)


def filled_up(pictures, count):
    """Return pictures `(n, height, width, 4)`, transparent ones added to make at least `count`."""
    opaque = np.ones((*pictures.shape[:3], 1), np.float32)
    nothing = np.zeros((max(0, count - len(pictures)), *pictures.shape[1:3], 4), np.float32)
    return np.concatenate([np.concatenate([pictures, opaque], axis=-1), nothing])


def strongest_digits(digits, index):
    """Return the numbers of the digits that excite a map most, strongest first; none that do not excite it."""
    answers = digits.answers[:, index]
    first = np.argsort(-answers, kind="stable")[:STRONGEST]
    return first[answers[first] > 0]


def strip_caption(digits, strongest, index):
    """Return HTML below the strongest digits: class and mean activation of each."""
    if digits is None:
        return ""
    if not len(strongest):
        return parts.small(f"none of {len(digits.images):,} digits excites this map")
    names = [html.escape(str(name)) for name in digits.labels[strongest]]
    labels = [f"{name}<br>{answer:.2g}" for name, answer in zip(names, digits.answers[strongest, index])]
    labels += [""] * (STRONGEST - len(labels))
    told = "the digits that excite it most: class, mean activation"
    return parts.strip_labels(labels) + parts.small(told)


def class_bars(digits, index):
    """Return HTML with one bar for each class of digits: the mean activation of a map over its digits."""
    means = digits.means[:, index]
    names = [html.escape(str(name)) for name in digits.classes]
    shares = np.clip(means, 0, None) / max(means.max(), 1e-9)
    bars = parts.bars(names, shares, [f"{mean:.2g}" for mean in means])
    return parts.small("mean activation by each class of digits") + bars


def told_of(zoo, index, digits):
    """Return HTML that says what the open map is and how its OIP was reached."""
    if index >= zoo.made:
        return f"<div style='min-height: 5.4em'><b>map {index}</b> is not made yet</div>"
    told = f"<b>map {index}</b>: mean activation {zoo.values[index]:.3g} by its OIP"
    if digits is not None:
        told += f", {max(0, digits.answers[:, index].max()):.3g} by the strongest digit"
    reached = REACHED[str(zoo.how[index])]
    return f"<div style='min-height: 5.4em'>{told}.<br>How it was reached: {reached}.</div>"


def sentence_of(layer, zoo, look, numbers):
    """Return what is made and what is shown in words."""
    told = f"{zoo.made} of {zoo.total} maps of {layer} made"
    if zoo.stopped:
        told = f"stopped: {zoo.made} of {zoo.total} maps; “go on” makes the others"
    elif zoo.made == zoo.total:
        told = f"all {zoo.total} maps of {layer} made"
    if silent := (zoo.how == "unreachable").sum():
        told += f", {silent} of them silent"
    if look.kept == STARRED and not look.favorites:
        return f"{told}; no favorites yet: choose a map and press “favorite”"
    if look.kept == ALL:
        return told
    kind = {OF_CLASS: f"with top class {look.label}", STARRED: "among your favorites", DEAD: "that no digit excites"}
    return f"{told}; shown: {len(numbers) or 'no'} map{'s'[:len(numbers) != 1]} {kind[look.kept]}"


def title_of(layer, settings):
    """Return the title of a sheet."""
    return f"{layer}, seed {settings.seed}{', softened' if settings.softened else ''}"


def call_of_sheet(layer, zoo, look, numbers, columns):
    """Return (imports, lines): the Python that makes the sheet of these maps, or None where there are none."""
    if not len(numbers):
        return None
    imports, create = _create(layer, zoo.settings)
    drawn = RENDERINGS[look.rendering].__name__
    listed = numbers.tolist()
    in_order = listed == list(range(len(listed)))
    return {*imports, f"from helpers.figures import {drawn}, zoo_sheet"}, [
        f"shown = {f'range({len(listed)})' if in_order else listed}",
        f"zoo = {create.format('shown')}",
        f"zoo_sheet(zoo.images, zoo.indices, {title_of(layer, zoo.settings)!r}, {columns}, renderings=({drawn},))",
    ]


def call_of_map(layer, zoo, look):
    """Return (imports, lines): the Python that makes the OIP of the open map, or None before it is made."""
    if look.chosen >= zoo.made:
        return None
    imports, create = _create(layer, zoo.settings)
    return {*imports, "from helpers.figures import as_calculated, enhanced, image_grid"}, [
        f"oip = {create.format([look.chosen])}",
        "pictures = np.concatenate([enhanced(oip.images), as_calculated(oip.images)])",
        f"titles = ['map {look.chosen}', f'mean activation {{oip.values[0]:.3g}}']",
        "image_grid(pictures, titles, limits=(0, 1), width=5)",
    ]


def _create(layer, settings):
    """The imports and the Python expression for OIPs of the maps that are put in place of {}."""
    imports = {"from helpers.oips import create_oips"}
    if settings.softened:
        imports |= {"from helpers.ascent import soften"}
    options = f"seed={settings.seed}{', precondition=soften' if settings.softened else ''}"
    return imports, f"create_oips(model, {layer!r}, {{}}, {options})"
