"""Where readers give a digit of their own: drawn with mouse, finger or keys, or photographed. Knows no network."""

from importlib.util import find_spec
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import scipy.ndimage

from helpers.ink import digit_from_ink, load_digit
from helpers.widgets import frame_before as parts

CANVAS, PEN, INK = 280, 20, 140  # edge of the canvas and width of its pen, edge of the ink made from its strokes
CELLS = 14  # along each edge of the grid that can be drawn on without a mouse
EUROPEAN = ("Draw one digit, large, with the mouse or a finger. Does the network read <em>your</em> hand? In much of "
            "Europe a 1 begins with a long upstroke and may stand on a foot, and a 7 has a bar: try both.")  # fmt: skip
STYLE = f"""<style>
.explorer-canvas canvas {{border: 1px solid #888; touch-action: none; cursor: crosshair; max-width: 100%}}
.explorer-cells {{display: grid; grid-template-columns: repeat({CELLS}, 1fr); width: {CANVAS}px; gap: 1px;
  padding: 1px; background: #888}}
.explorer .explorer-cells .widget-toggle-button {{width: auto; height: 19px; min-width: 0; margin: 0; padding: 0;
  background: #111; border-radius: 0; box-shadow: none}}
.explorer .explorer-cells .widget-toggle-button.mod-active {{background: #fff; border: 2px solid #888}}
.explorer-cells button:focus-visible {{outline: 2px solid #d55e00}}
</style>"""


class OwnDigit(NamedTuple):
    """A reader's digit: `kind` is "drawing", its content strokes or cells, or "photo", its content a file's bytes."""

    kind: str
    content: tuple | bytes


class Pad:
    """Where readers give a digit of their own: a canvas for pen or finger, cells for the keyboard, or a file."""

    def __init__(self, show):
        self.show = show
        self.open = widgets.ToggleButton(False, description="draw your own", icon="pencil")
        self.keys = widgets.ToggleButton(False, description="draw with keys", tooltip="cells to ink with Tab and Space")
        self.clear = widgets.Button(description="clear", icon="eraser")
        self.save = widgets.Button(description="save digit", icon="download", tooltip="28 x 28 pixels, as a PNG file")
        self.upload = widgets.FileUpload(description="photo of a digit", accept="image/*", layout=parts.WIDE,
                                         tooltip="one digit on plain paper; a file of less than 10 MB")
        self.pen, self.cells = _pen(self._drawn), None
        self.field = parts.marked(widgets.Box(), "explorer-canvas")
        self.panel = widgets.VBox([
            widgets.HTML(parts.small(EUROPEAN)), self.field,
            parts.row(*([self.clear, self.keys] if self.pen else [self.clear]), self.upload, self.save),
        ])  # fmt: skip
        self.panel.layout.display = "none"
        style = widgets.HTML(STYLE, layout=widgets.Layout(display="none"))
        self.view = widgets.VBox([style, self.open, self.panel])
        self.open.observe(self._toggle, "value")
        self.keys.observe(self._new_field, "value")
        self.upload.observe(self._uploaded, "value")
        self.clear.on_click(lambda _: self._cleared())

    def _toggle(self, change):
        self.panel.layout.display = None if change["new"] else "none"
        self._new_field(change)

    def _new_field(self, change):
        """Show canvas or cells, empty; the cells are made when they are first wanted."""
        if self.pen and not self.keys.value:
            self.field.children = (self.pen.view,)
        else:
            self.cells = self.cells or _Cells(self._drawn)
            self.field.children = (self.cells.view,)
        self._cleared()

    def _drawn(self, content):
        self.show(OwnDigit("drawing", content) if content else None)

    def _uploaded(self, change):
        if change["new"]:
            self.show(OwnDigit("photo", change["new"][0]["content"].tobytes()))

    def _cleared(self):
        self.upload.set_trait("value", ())  # so that the same file can be given again
        for field in (self.pen, self.cells):
            if field:
                field.clear()
        self.show(None)


class _Pen:
    """Strokes drawn on an ipycanvas; they are kept here, so no picture has to come back from the page."""

    def __init__(self, canvas, changed):
        self.view, self.changed, self.strokes, self.down = canvas, changed, [], False
        self.clear()
        canvas.on_mouse_down(self._begin)
        canvas.on_mouse_move(self._move)
        canvas.on_mouse_up(self._end)
        canvas.on_mouse_out(self._end)
        canvas.on_touch_start(lambda points: self._begin(*points[0]))
        canvas.on_touch_move(lambda points: self._move(*points[0]))
        canvas.on_touch_end(self._end)
        canvas.on_touch_cancel(self._end)

    def clear(self):
        """Wipe the canvas."""
        self.strokes, self.down = [], False
        self.view.fill_style = "#000"
        self.view.fill_rect(0, 0, CANVAS, CANVAS)
        self.view.fill_style = self.view.stroke_style = "#fff"
        self.view.line_width, self.view.line_cap = PEN, "round"

    def _begin(self, x, y):
        self.down = True
        self.strokes.append(((x, y),))
        self.view.fill_circle(x, y, PEN / 2)
        self._tell()

    def _move(self, x, y):
        if self.down:
            self.view.stroke_line(*self.strokes[-1][-1], x, y)
            self.strokes[-1] += ((x, y),)
            self._tell()

    def _end(self, *where):
        self.down = False

    def _tell(self):
        self.changed(tuple(self.strokes))


class _Cells:
    """A grid of small buttons, inked one by one: for the keyboard, and where there is no ipycanvas."""

    def __init__(self, changed):
        self.changed = changed
        first = widgets.ToggleButton()  # all share its layout and style, which makes the grid appear sooner
        shared = {"layout": first.layout, "style": first.style}
        self.buttons = [
            widgets.ToggleButton(False, tooltip=f"row {row + 1}, column {column + 1}", **shared)
            for row in range(CELLS) for column in range(CELLS)
        ]  # fmt: skip
        for button in self.buttons:
            button.observe(self._tell, "value")
        remark = "<code>pip install ipycanvas</code> gives a smooth canvas to draw on."
        remark = "" if find_spec("ipycanvas") else remark
        grid = parts.marked(widgets.Box(self.buttons), "explorer-cells")
        self.view = widgets.VBox([grid, widgets.HTML(parts.small(remark))])

    def clear(self):
        """Take the ink away."""
        inked = [button for button in self.buttons if button.value]
        for button in inked:
            button.unobserve(self._tell, "value")
            button.value = False
            button.observe(self._tell, "value")

    def _tell(self, change):
        content = tuple(button.value for button in self.buttons)
        self.changed(content if any(content) else ())


def _pen(changed):
    canvas = _canvas()
    return canvas and _Pen(canvas, changed)


def _canvas():
    """A canvas of ipycanvas, or None where that is not installed."""
    try:
        from ipycanvas import Canvas
    except ImportError:
        return None
    return Canvas(width=CANVAS, height=CANVAS)


def image_of(own):
    """Return the reader's own digit as the network sees it, `(1, 28, 28, 1)` in model space."""
    if own.kind == "photo":
        try:
            return load_digit(own.content)
        except ValueError as error:
            raise ValueError(str(error).replace("the given bytes", "the file")) from error
    if isinstance(own.content[0], bool):
        return digit_from_ink(ink_of_cells(own.content))
    return digit_from_ink(ink_of_strokes(own.content))


def ink_of_strokes(strokes, size=INK):
    """Return strokes on the canvas as ink `(size, size)` in 0..1; each is a tuple of (x, y) in its pixels."""
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
    along = np.clip(along, 0, 1)
    distance = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
    part = ink[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.clip(radius + 0.5 - distance, 0, 1), out=part)


def ink_of_cells(cells):
    """Return inked cells, row by row, as ink in 0..1 with rounded corners."""
    grid = np.reshape(np.array(cells, np.float32), (CELLS, CELLS)).repeat(8, axis=0).repeat(8, axis=1)
    return np.clip(2 * scipy.ndimage.gaussian_filter(np.pad(grid, 8), 3), 0, 1)
