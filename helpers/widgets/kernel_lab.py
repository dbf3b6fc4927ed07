"""The kernel lab: paint a kernel, slide it over a digit, and see every number of the sum (notebook 01)."""

import numpy as np
import traitlets
from ipywidgets import Button, GridBox, Layout

from helpers.activations import conv_layers
from helpers.base import checks
from helpers.figures import SIGNED, in_colors
from helpers.images import same_padding, to_display
from helpers.widgets import parts
from helpers.widgets.parts.digits import Digits
from helpers.widgets.parts.explorer import Explorer, Refusal
from helpers.widgets.parts.lines import Runner

PRESETS = {
    "vertical edges": {},
    "horizontal edges": {"kernel": ((-1.0,) * 3, (0.0,) * 3, (1.0,) * 3)},
    "outline": {"kernel": ((-1.0,) * 3, (-1.0, 8.0, -1.0), (-1.0,) * 3)},
    "blur": {"kernel": ((0.11,) * 3,) * 3, "relu": False},
    "the digit itself": {"kernel": ((0.0,) * 3, (0.0, 1.0, 0.0), (0.0,) * 3), "padding": "same", "relu": False},
    "small and coarse": {"stride": 2, "pooling": "maximum of 2 x 2", "row": 3, "column": 3},
}
POOLINGS = {"none": (1, np.max), "maximum of 2 x 2": (2, np.max), "mean of 2 x 2": (2, np.mean),
            "maximum of 3 x 3": (3, np.max)}  # fmt: skip
LIT = (1.0, 0.55, 0.0)  # orange: the node, and what it sees
TIMES = 12  # pixels on the page for each of an image


class Kernel(GridBox):
    """A control for a kernel of 3 x 3: its value are three tuples of three numbers; a click changes one of them."""

    value = traitlets.Any()

    def __init__(self, value):
        self.cells = [Button(tooltip=f"Row {row}, column {column} of the kernel: -1, 0 or 1 at a click.",
                             layout=Layout(width="3.2em", height="3.2em"))
                      for row in (1, 2, 3) for column in (1, 2, 3)]  # fmt: skip
        super().__init__(self.cells, layout=Layout(grid_template_columns="repeat(3, 3.5em)"))
        for place, cell in enumerate(self.cells):
            cell.on_click(lambda _, place=place: self._paint(place))
        self.observe(self._show, "value")
        self.value = value

    @traitlets.validate("value")
    def _checked(self, proposal):
        try:
            checks.numbers(proposal["value"], "kernel", (3, 3))
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return tuple(tuple(float(number) for number in row) for row in proposal["value"])

    def _paint(self, place):
        rows = [list(row) for row in self.value]
        old = rows[place // 3][place % 3]
        rows[place // 3][place % 3] = -1.0 if old >= 1 or old < -1 else float(np.floor(old) + 1)
        self.value = rows

    def _show(self, change=None):
        numbers = np.ravel(self.value)
        colors = in_colors(numbers, *_span(numbers), cmap=SIGNED)
        for cell, number, color in zip(self.cells, numbers, colors):
            cell.description, cell.style.button_color = f"{number:.2g}", "#" + bytes(np.uint8(255 * color)).hex()
            cell.style.text_color = "white" if abs(number) > 0.6 * _span(numbers)[1] else "black"


def kernel_lab(model=None, **settings):
    """Return an explorer of one convolution: paint a kernel, slide it over a digit, yours included.

    Stride, padding, ReLU and pooling are set, and a node's field and every product of its sum are shown. "a trained
    kernel" borrows one from the first layer of `model`, without one the shipped CNN's. The settings are those of the
    controls: `kernel_lab(stride=2, digit=7)`; ValueError for one that does not exist. Introduced in notebook 01.
    """
    return _KernelLab(parts.checked_model(model), settings).explorer


class _KernelLab:
    def __init__(self, model, opened):
        self.model, self.run = model, Runner(model)
        self.digits = Digits(*parts.default_digits())
        self.shown = {
            "digit": parts.Picture("the digit; lit: what the node sees", "32%"),
            "sums": parts.bright(parts.Picture("", "32%")), "maps": parts.Picture("", "32%"), "sum": parts.HTML(),
        }  # fmt: skip
        pictures = [parts.row(*list(self.shown.values())[:3]), self.shown["sum"]]
        borrow = parts.button("a trained kernel", "random", "The kernel of a map of the network's first layer.")
        controls = self._controls()
        for name in ("stride", "padding", "pooling"):
            controls[name].observe(lambda change: self._fit(controls), "value")
        self._fit(controls)
        self.explorer = Explorer(controls, self.shown, self.answer, "kernel_lab(model)", model, opened, PRESETS,
                                 more=["bias"], pictures=pictures, buttons=[borrow])  # fmt: skip
        self.explorer.on_click(borrow, self._borrow)

    def _controls(self):
        return {
            "digit": self.digits, "kernel": Kernel(((-1, 0, 1),) * 3),
            "stride": parts.whole("stride", "How far the kernel moves from sum to sum.", value=1, min=1, max=4),
            "padding": parts.choice("padding", "Whether zeros surround the digit, so that the map keeps its size.",
                                    options=["valid", "same"]),
            "relu": parts.switch("ReLU", "Whether sums below zero become zero.", True),
            "pooling": parts.choice("pooling", "What is kept of each square of nodes.", options=list(POOLINGS)),
            "row": parts.whole("node, row", "Which node of the last map is lit, from above.", value=10, min=0, max=27),
            "column": parts.whole("node, column", "And from the left.", value=10, min=0, max=27),
            "bias": parts.number("bias", "What is added to every sum.", value=0, min=-9, max=9, step=0.5),
        }  # fmt: skip

    def _fit(self, controls):
        """Have the sliders of the node end at the edge of the last map."""
        stride, around = controls["stride"].value, same_padding(28, 3, controls["stride"].value,
                                                                controls["padding"].value)  # fmt: skip
        last = ((28 + sum(around) - 3) // stride + 1) // POOLINGS[controls["pooling"].value][0] - 1
        for name in ("row", "column"):
            controls[name].max = last

    def _borrow(self):
        kernels = self.model.get_layer(conv_layers(self.model)[0]).get_weights()[0]
        if kernels.shape[:3] != (3, 3, 1):
            raise Refusal(f"kernels of the first layer are {kernels.shape[:3]}; the pad holds 3 x 3 of one channel")
        kernel = kernels[:, :, 0, np.random.default_rng().integers(kernels.shape[3])]
        self.explorer.set(kernel=tuple(tuple(row) for row in np.round(kernel / np.abs(kernel).max(), 2).tolist()))

    def answer(self, settings):
        """Yield the digit, the sums, the last map, and the sum of the lit node term by term."""
        size, take = POOLINGS[settings.pooling]
        lines = [
            *self.digits.lines(settings.digit),
            f"kernel = np.array({[list(row) for row in settings.kernel]})",
            f"sums = slide_kernel(digit, kernel, {settings.stride}, {settings.padding!r})"
            + (f" + {settings.bias:g}" if settings.bias else ""),
            "maps = np.maximum(sums, 0)" if settings.relu else "maps = sums",
            *([f"maps = pool(maps, {size}, np.{take.__name__})"] if size > 1 else []),
        ]  # fmt: skip
        made = self.run(lines)
        digit, sums, maps = (made[name][0, ..., 0] for name in ("digit", "sums", "maps"))
        node = np.array([settings.row, settings.column])
        corner = node * size * settings.stride - same_padding(28, 3, settings.stride, settings.padding)[0]
        field = 3 + (size - 1) * settings.stride
        yield {
            "digit": _lit(to_display(digit[None, ..., None])[0].repeat(3, -1), corner, field),
            "sums": (_lit(in_colors(sums, *_span(sums), SIGNED), node * size, size),
                     f"sums, {_size(sums)}; blue below zero, red above: {sums.min():.2g} to {sums.max():.2g}"),
            "maps": (_lit(in_colors(maps, *_range(maps)), node, 1),
                     f"the map, {_size(maps)}; yellow is most: {maps.min():.2g} to {maps.max():.2g}"),
            "sum": self._terms(digit, sums, maps, settings, size),
            "status": f"{_size(digit)} pixels → {_size(sums)} sums → a map of {_size(maps)}; the node sees {field} x "
                      f"{field} pixels",
            "python": [*lines, "image_grid(maps, width=3)"],
        }  # fmt: skip

    def _terms(self, digit, sums, maps, settings, size):
        """The products of the node's strongest sum."""
        block = sums[settings.row * size :, settings.column * size :][:size, :size]
        row, column = np.unravel_index(block.argmax(), block.shape) + np.array([settings.row, settings.column]) * size
        padded = np.pad(digit, same_padding(28, 3, settings.stride, settings.padding))
        patch = padded[row * settings.stride :, column * settings.stride :][:3, :3]
        kernel = np.array(settings.kernel)
        told = (f"The products added up: {np.sum(patch * kernel):.2f}; with the bias "
                f"{sums[row, column]:.2f}; in the map {maps[settings.row, settings.column]:.2f}")  # fmt: skip
        return parts.products("digit", patch, kernel) + parts.small(told)


def _span(values):
    """The same way to both sides of zero, so that white is zero."""
    most = max(float(np.abs(values).max()), 1e-6)
    return -most, most


def _range(values):
    low = float(values.min())
    return low, max(float(values.max()), low + 1e-6)


def _size(values):
    return f"{values.shape[0]} x {values.shape[1]}"


def _lit(colors, corner, edge):
    """The PNG file of an image in colors, enlarged, with a frame around the square of `edge` pixels at `corner`."""
    picture = colors.repeat(TIMES, axis=0).repeat(TIMES, axis=1)
    low = np.clip(TIMES * np.asarray(corner), 0, len(picture) - 3)
    high = np.clip(TIMES * (np.asarray(corner) + edge), 3, len(picture))
    frame = np.zeros(picture.shape[:2], bool)
    frame[low[0] : high[0], low[1] : high[1]] = True
    frame[low[0] + 3 : high[0] - 3, low[1] + 3 : high[1] - 3] = False
    picture[frame] = LIT
    return parts.png_bytes(picture)
