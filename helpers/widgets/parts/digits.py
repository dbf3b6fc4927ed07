"""Digits and files of the reader's own as controls: chosen, drawn with mouse, pen, finger or keys, photographed.

Each control says which Python makes what it stands for. Knows no network.
"""

from pathlib import Path

import anywidget
import numpy as np
import traitlets
from ipywidgets import HTML, ToggleButton, VBox

from helpers.ink import digit_from_ink, load_digit
from helpers.widgets import parts
from helpers.widgets.parts.lines import uploads

HERE = Path(__file__).parent
CANVAS, PEN, INK = 280, 20, 140  # edge of the pad and width of its pen, as in pad.js; edge of the ink made of strokes
ALL = "all digits"
EUROPEAN = ("Draw one digit, large: with mouse, pen or finger, or with the arrow keys (Space lowers and lifts it). "
            "In much of Europe a 1 begins with a long upstroke and a 7 has a bar: try both.")  # fmt: skip


class Upload(anywidget.AnyWidget):
    """A button for one file. Its value is the name under which `uploads` keeps it, a path, or "" for none."""

    _esm = HERE / "upload.js"
    label, tip, file_name = (traitlets.Unicode().tag(sync=True) for _ in range(3))
    content = traitlets.CBytes().tag(sync=True)  # C for cast: what arrives from a browser is a memoryview
    given = traitlets.Int(0).tag(sync=True)
    value = traitlets.Unicode()

    @property
    def description(self):
        return self.label

    @traitlets.observe("given")
    def _given(self, change):
        self.value = uploads.keep(self.file_name, self.content)


def source_of(name):
    """Return the Python expression for a file that an `Upload` stands for."""
    return f"uploads[{name!r}]" if name in uploads else repr(name)


class Pad(anywidget.AnyWidget):
    """A pad to draw on; `strokes` is a list of strokes, each a list of points [x, y] from 0 to 280."""

    _esm = HERE / "pad.js"
    strokes = traitlets.List().tag(sync=True)


class Digits(VBox):
    """A control for one digit: one of `images`, or the reader's own, drawn or photographed.

    Its value is the number of an image, the name of a photograph (see `Upload`), or strokes: tuples of points (x, y).
    `labels` may be empty. `subsets` are choices beside the classes, {name: numbers, or None if they come later}.
    """

    value = traitlets.Any(0)

    def __init__(self, images, labels=(), number=0, subsets=None, own=True):
        self.images, self.labels, self.own = images, np.asarray(labels), own
        classes = {f"class {label}": np.flatnonzero(self.labels == label) for label in np.unique(self.labels).tolist()}
        self.subsets = {ALL: np.arange(len(images)), **classes, **(subsets or {})}
        self.show = parts.choice("show", "Which digits to choose from.", options=list(self.subsets))
        self.place = parts.whole("digit", "Which of them, in their order.", value=number, min=0,
                                 max=len(images) - 1)  # fmt: skip
        self.previous = parts.button("previous", "arrow-left", "The digit before this one.")
        self.next = parts.button("next", "arrow-right", "The digit after this one.")
        self.photo = Upload(label="photo of a digit", tip="A file with one digit on plain paper; or drop it here.")
        self.pad = Pad()
        self.unfold = ToggleButton(False, description="draw your own", icon="pencil", tooltip="A pad to draw on.")
        self.undo = parts.button("undo", "undo", "Take the last stroke away.")
        self.clear = parts.button("clear", "eraser", "Take all ink and the photo away.")
        self.panel = VBox([HTML(parts.small(EUROPEAN)), self.pad, parts.row(self.undo, self.clear)])
        self.panel.layout.display = "none"
        for mine in () if own else (self.unfold, self.photo):
            mine.layout.display = "none"
        row = parts.row(self.previous, self.next, parts.player("digit", "digits"), self.unfold, self.photo)
        super().__init__([self.show, self.place, row, self.panel])
        parts.marked(self, "explorer-digits")
        self.value = number
        self._connect()

    def _connect(self):
        self.show.observe(lambda change: self._first(), "value")
        self.place.observe(lambda change: self._chosen(), "value")
        self.previous.on_click(lambda _: self._step(-1))
        self.next.on_click(lambda _: self._step(1))
        self.unfold.observe(lambda change: self.panel.layout.set_trait("display", None if change["new"] else "none"),
                          "value")
        self.undo.on_click(lambda _: self.pad.set_trait("strokes", self.pad.strokes[:-1]))
        self.clear.on_click(lambda _: self._chosen())
        self.pad.observe(self._drawn, "strokes")
        self.photo.observe(lambda change: change["new"] and self.set_trait("value", change["new"]), "value")
        self.observe(self._follow, "value")

    @traitlets.validate("value")
    def _possible(self, proposal):
        value, count = proposal["value"], len(self.images)
        if isinstance(value, int | np.integer) and not 0 <= value < count:
            raise traitlets.TraitError(f"there are digits 0 to {count - 1}")
        if not isinstance(value, int | np.integer) and not self.own:
            raise traitlets.TraitError("a digit of your own has 28 x 28 gray pixels, and this model sees others")
        return int(value) if isinstance(value, int | np.integer) else value

    def numbers(self):
        """The numbers of the digits to choose from, none while they are not known."""
        known = self.subsets[self.show.value]
        return np.arange(0) if known is None else known

    def know(self, name, numbers):
        """Say which digits a subset has that was not known before."""
        self.subsets[name] = numbers
        if self.show.value == name:
            self._first()

    def image(self, value):
        """Return the digit that a value stands for as the network sees it, `(1, 28, 28, 1)` in model space."""
        if isinstance(value, int):
            return self.images[value : value + 1]
        if isinstance(value, str):
            return load_digit(uploads.get(value, value))
        return digit_from_ink(ink_of_strokes(value))

    def label(self, value):
        """Return the label of a digit, None for one of the reader's own or where there are no labels."""
        return self.labels[value] if isinstance(value, int) and len(self.labels) else None

    def words(self, value):
        """Return what a value is called."""
        if isinstance(value, int):
            return f"digit {value:,} of {len(self.images):,}"
        return f"your photo {value}" if isinstance(value, str) else "your drawing"

    def lines(self, value, given=False):
        """Return the Python that makes the digit; `given` says that the images are not the test digits."""
        if isinstance(value, int):
            load = ["# images are those this explorer was opened with"] if given else [
                'images, labels = load_digits("test")']
            return [*load, f"digit = images[{value}:{value + 1}]"]
        if isinstance(value, str):
            return [f"digit = load_digit({source_of(value)})"]
        return [f"strokes = {[list(stroke) for stroke in value]}", "digit = digit_from_ink(ink_of_strokes(strokes))"]

    def _first(self):
        numbers = self.numbers()
        self.place.max = max(0, len(numbers) - 1)
        self._chosen()

    def _chosen(self):
        numbers = self.numbers()
        if len(numbers):
            self.value = int(numbers[self.place.value])

    def _step(self, by):
        count = max(1, len(self.numbers()))
        self.place.value = (self.place.value + by) % count
        self._chosen()

    def _drawn(self, change):
        if change["new"]:
            self.value = tuple(tuple((int(x), int(y)) for x, y in stroke) for stroke in change["new"])
        elif isinstance(self.value, tuple):
            self._chosen()

    def _follow(self, change):
        """Have the other controls say what the value is: one digit at a time, chosen, drawn or photographed."""
        value = change["new"]
        if isinstance(value, int):
            numbers = self.numbers()
            if value not in numbers:
                self.show.value = ALL
                numbers = self.numbers()
            self.place.value = int(np.searchsorted(numbers, value))
        if not isinstance(value, str):
            self.photo.value = ""
        strokes = [[list(point) for point in stroke] for stroke in value] if isinstance(value, tuple) else []
        if self.pad.strokes != strokes:
            self.pad.strokes = strokes


def ink_of_strokes(strokes, size=INK):
    """Return strokes on the pad as ink `(size, size)` in 0..1; each is a list of (x, y) from 0 to 280."""
    scale, ink = size / CANVAS, np.zeros((size, size), np.float32)
    for stroke in strokes:
        points = scale * np.array(stroke, float) - 0.5
        for start, end in zip(points, [*points[1:], points[-1]]):
            _draw_line(ink, start, end, scale * PEN / 2)
    return ink


def _draw_line(ink, start, end, radius):
    """Draw a line with round ends into `ink`, soft over one pixel at its edge."""
    low = np.clip(np.floor(np.minimum(start, end) - radius - 1), 0, len(ink)).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + radius + 2), 0, len(ink)).astype(int)
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
    way = end - start
    along = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / max(way @ way, 1e-9)
    distance = np.hypot(*(part - first - np.clip(along, 0, 1) * step for part, first, step in zip((x, y), start, way)))
    part = ink[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.clip(radius + 0.5 - distance, 0, 1), out=part)
