"""What explorers are built of: controls with a word of help, pictures with captions, sheets, bars, curves.

Pictures go to the page as PNG in `ipywidgets.Image`, with a caption beside each; bars and curves are HTML, in the
colors of the theme and with text that a screen reader finds. Knows no layer and no objective.
"""

import html
import itertools
from pathlib import Path
from typing import NamedTuple

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from ipywidgets import HTML, Box, Image, Layout, ToggleButton, VBox

from helpers.activations import conv_layers, feature_extractor
from helpers.base import files
from helpers.images import resize, to_display
from helpers.models import load_cnn
from helpers.photos import png_bytes
from helpers.widgets.parts.lines import load_digits_once, script

HERE = Path(__file__).parent
SHEET_CELL = 96  # pixels along the longer edge of a sheet's pictures, at most
MOST_SEED = 999_999
MOST_BARS = 12  # classes; of more only the most probable are shown


def _named(kind):
    """A maker of controls of this kind: name and word of help first, then what the kind itself wants."""

    def make(name, tip, **options):
        return kind(description=name, tooltip=tip, style={"description_width": "9.5em"}, layout=Layout(width="auto"),
                    **options)  # fmt: skip

    return make


whole, number, log_number = (_named(kind) for kind in (widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider))
choice, text, typed = (_named(kind) for kind in (widgets.Dropdown, widgets.Text, widgets.BoundedIntText))


def switch(name, tip, value=False):
    """Return a check box."""
    return widgets.Checkbox(value, description=name, tooltip=tip, indent=False, layout=Layout(width="auto"))


def button(name, icon, tip):
    """Return a button; `icon` is a name of Font Awesome's, "" for none."""
    return widgets.Button(description=name, icon=icon, tooltip=tip)


def seed(value=0):
    """Return a control for a random seed."""
    return typed("random seed", "Another number, another random start; the same number gives the same one again.",
                 value=value, min=0, max=MOST_SEED)  # fmt: skip


def dice(of="random seed"):
    """Return a button that is to roll another value, see `Explorer.roll`."""
    return button("roll the dice", "random", f"Another {of}, at random.")


def layer_choice(model, layer="", others=()):
    """Return a choice of the convolutional layers of a model, and of `others`; it says the last one, or `layer`."""
    layers = [*conv_layers(model), *others]
    return choice("layer", "Which convolutional layer: early ones see little of the image, late ones much.",
                  options=layers, value=layer if layer in layers else conv_layers(model)[-1])  # fmt: skip


def layer_and_map(model, layer="", index=0, others=()):
    """Return {"layer": a choice, "map": a slider} of a model; a layer remembers which of its maps was looked at."""
    layer = layer_choice(model, layer, others)
    counts = {name: feature_extractor(model, name).output_shape[-1] for name in layer.options}
    seen = {layer.value: min(index, counts[layer.value] - 1)}
    index = whole("map index", "Which feature map (channel) of the layer, counted from 0.", value=seen[layer.value],
                  min=0, max=counts[layer.value] - 1)  # fmt: skip

    def change_layer(change):
        seen[change["old"]] = index.value
        wanted = seen.get(change["new"], min(index.value, counts[change["new"]] - 1))
        with index.hold_trait_notifications():
            index.max, index.value = counts[change["new"]] - 1, wanted

    layer.observe(change_layer, "value")
    return {"layer": layer, "map": index}


class Picture(VBox):
    """A picture above its caption, `width` wide; its value is a PNG file, or (PNG file, caption as HTML)."""

    def __init__(self, caption="", width="100%", png=b""):
        self.image = Image(format="png", value=png, layout=Layout(width="calc(100% - 4px)"))  # and its margins
        self.caption = HTML(small(caption))
        super().__init__([self.image, self.caption], layout=Layout(width=width, max_width="100%", overflow="visible"))

    @property
    def value(self):
        return self.image.value

    @value.setter
    def value(self, value):
        png, caption = value if isinstance(value, tuple) else (value, None)
        self.image.value = png
        if caption is not None:
            self.caption.value = small(caption)


class Nodes(anywidget.AnyWidget):
    """Lies over the image of a `Picture` of a map: pointer, taps and arrow keys choose a node, `[row, column]`.

    Its value is (size of the map, node).
    """

    _esm = HERE / "nodes.js"
    size, node = traitlets.List([1, 1]).tag(sync=True), traitlets.List([0, 0]).tag(sync=True)

    @property
    def value(self):
        return self.size, self.node

    @value.setter
    def value(self, shown):
        with self.hold_sync():
            self.size, self.node = shown

    def over(self, picture):
        """Return the picture, with these nodes laid over its image."""
        picture.children = (marked(VBox([picture.image, marked(self, "explorer-nodes")]), "explorer-below-nodes"),
                            picture.caption)  # fmt: skip
        return picture


class Pictures(NamedTuple):
    """What a `Sheet` shows, see `pictures_of`."""

    picture: bytes
    columns: int
    aspect: float
    numbers: list
    labels: list
    notes: list


NOTHING = Pictures(b"", 1, 1.0, [], [], [])  # an empty sheet, of which nothing is seen


def pictures_of(pictures, numbers=(), labels=(), notes=(), columns=16, edge=SHEET_CELL):
    """Return pictures `(n, height, width, 1, 3 or 4)` as a `Sheet` shows them, made here and not while it is shown.

    Each has its number, above it a label (the number where there is none) and below it a note, both short texts.
    """
    small_ones = thumbnails(pictures, edge)
    columns = max(1, min(columns, len(pictures)))
    numbers = [int(number) for number in numbers] or list(range(len(pictures)))
    height, width = small_ones.shape[1:3]
    return Pictures(png_bytes(mosaic(small_ones, columns)), columns, (width + 2) / (height + 2), numbers,
                    [str(label) for label in labels], [str(note) for note in notes])  # fmt: skip


def strongest(images, labels, answers, count=8, edge=60):
    """Return the images that a map answers to most, with its `answers (n,)`, as a `Sheet` shows them; labels if any."""
    best = np.argsort(-answers, kind="stable")[:count]
    best = best[answers[best] > 0]
    if not len(best):
        return NOTHING
    return pictures_of(fitted(rgb(to_display(images[best])), edge), best, labels[best] if len(labels) else best,
                       [f"{answer:.2g}" for answer in answers[best]])  # fmt: skip


class Sheet(anywidget.AnyWidget):
    """Many small pictures, sent as one: one Tab stop, arrow keys walk over them, rows wrap with the window.

    Its `chosen` is the number of a picture, -1 for none; `link_to` ties it to a control. `edge` is the width in
    pixels of a picture on the page, `name` what it is called: "map" gives "map 7".
    """

    _esm = HERE / "sheet.js"
    picture = traitlets.Bytes().tag(sync=True)
    columns, edge, chosen = (traitlets.Int(default).tag(sync=True) for default in (1, 56, -1))
    aspect, name = traitlets.Float(1.0).tag(sync=True), traitlets.Unicode("picture").tag(sync=True)
    numbers, labels, notes = (traitlets.List().tag(sync=True) for _ in range(3))

    @property
    def value(self):
        return Pictures(*(getattr(self, name) for name in Pictures._fields))

    @value.setter
    def value(self, shown):
        with self.hold_sync():
            for name, value in shown._asdict().items():
                setattr(self, name, value)

    def link_to(self, control):
        """Have the sheet choose what a control with a number says, and the control say what is chosen."""
        traitlets.dlink((control, "value"), (self, "chosen"))
        self.observe(lambda change: change["new"] >= 0 and control.set_trait("value", change["new"]), "chosen")


def player(of, plural):
    """Return a button that plays the slider `of` from its value on, in the page: the next when this one was shown."""
    tip = f"Move the slider {of}, one after the other, until it is pressed again."  # frame.js reads the name here
    return marked(button(f"play {plural}", "forward", tip), "explorer-play")


def wiped(after, before):
    """Return two pictures of one size beside one another, or in one place with a wiper, and the button for it."""
    toggle = ToggleButton(False, description="wiper", icon="columns", tooltip="Both in one place, and a wiper.")
    toggle.layout.width = "max-content"
    wiper = HTML("<input type='range' min='0' max='100' value='50' class='explorer-wiper' aria-label='wiper'>")
    pair = marked(row(marked(after, "explorer-after"), marked(before, "explorer-before"),
                      marked(wiper, "explorer-wipe")), "explorer-wiped")
    toggle.observe(lambda change: (pair.add_class if change["new"] else pair.remove_class)("explorer-wiping"), "value")
    return VBox([pair, toggle], layout=Layout(overflow="visible"))


def bright(picture):
    """Return a picture whose ground is white, which is to be darker in a dark theme."""
    return marked(picture, "explorer-bright")


def row(*shown):
    """Return the widgets beside one another, or below where there is no room."""
    return marked(Box(list(shown)), "explorer-row")


def beside(left, right):
    """Return two widgets beside one another at every width; what is to the right stays in sight."""
    return marked(Box([left, right]), "explorer-beside")


def marked(widget, *classes):
    """Return the widget, with CSS classes."""
    for name in classes:
        widget.add_class(name)
    return widget


def small(text):
    """Return HTML for a small text, such as one below a picture."""
    return f"<div class='explorer-caption'>{text}</div>"


def folded(shown, name, icon):
    """Return a widget behind a button with this name; it stays open, or closed, while it changes."""
    toggle = ToggleButton(False, description=name, icon=icon, tooltip=f"Show or hide: {name}.")
    toggle.layout.width = "max-content"

    def unfold(change=None):
        shown.layout.display = None if toggle.value else "none"

    toggle.observe(unfold, "value")
    unfold()
    return VBox([toggle, shown], layout=Layout(overflow="visible"))


def mosaic(pictures, columns, gap=1):
    """Return pictures `(n, height, width, 1, 3 or 4)` as one `(h, w, 4)`, row by row, on a transparent ground.

    Around each are `gap` rows and columns of pixels, so that one never shines into the next.
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height + 2 * gap, width + 2 * gap, 4), np.float32)
    within = cells[:count, gap : gap + height, gap : gap + width]
    within[..., 3] = 1
    within[..., : max(3, channels)] = pictures
    tall, broad = cells.shape[1:3]
    cells = cells.reshape(rows, columns, tall, broad, 4).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * tall, columns * broad, 4)


def large(picture, edge=224):
    """Return the PNG file of one picture `(height, width, channels)`, small ones with pixels as sharp squares."""
    times = max(1, edge // max(picture.shape[:2]))
    return png_bytes(picture.repeat(times, axis=0).repeat(times, axis=1))


def thumbnails(pictures, edge):
    """Return pictures `(n, height, width, channels)` with `edge` pixels or a little less along their longer side."""
    longer = max(pictures.shape[1:3])
    if longer <= edge:
        return pictures.repeat(edge // longer, axis=1).repeat(edge // longer, axis=2)
    size = tuple(max(1, round(length * edge / longer)) for length in pictures.shape[1:3])
    return np.clip(resize(pictures, size), 0, 1)


def fitted(pictures, edge):
    """Return pictures `(n, height, width, channels)` at `edge` x `edge` pixels, each a sharp rectangle."""
    rows, columns = (np.arange(edge) * length // edge for length in pictures.shape[1:3])
    return pictures[:, rows][:, :, columns]


def rgb(pictures):
    """Return pictures in pixel space with three channels, gray unless they had three."""
    return pictures if pictures.shape[-1] == 3 else pictures.mean(axis=-1, keepdims=True).repeat(3, axis=-1)


def bars(names, shares, texts):
    """Return HTML with one bar for each name, as long as its share 0..1, and a text at its end."""
    rows = (f"<span>{html.escape(str(name))}</span><div style='width: {100 * share:.1f}%'></div>"
            f"<span>{html.escape(str(text))}</span>" for name, share, text in zip(names, shares, texts))
    return f"<div class='explorer-bars'>{''.join(rows)}</div>"


def products(name, patch, kernel):
    """Return HTML that multiplies a patch `(height, width)` of what is called `name` by a kernel, number by number."""
    grids = [_grid(numbers) for numbers in (patch, kernel, patch * kernel)]
    shown = "".join(f"<span>{sign}{grid}</span>" for sign, grid in zip(("", "×", "="), grids))
    return f"<div class='explorer-products'><b>{name}: patch × kernel = products</b>{shown}</div>"


def _grid(numbers):
    digits = ".2f" if 0.1 <= np.abs(numbers).max() < 100 else ".2g"
    rows = ("".join(f"<td>{number:z{digits}}</td>" for number in row) for row in numbers)  # z: no negative zero
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def class_bars(probabilities, marked=None):
    """Return HTML with a bar for every class, of many for the most probable ones and the marked one; "" for none."""
    classes = np.arange(len(probabilities))
    if len(classes) > MOST_BARS:
        classes = np.union1d(np.argsort(-probabilities, kind="stable")[:MOST_BARS], [] if marked is None else marked)
        classes = classes.astype(int)
    names = [f"► {number}" if number == marked else number for number in classes]
    return bars(names, probabilities[classes], map(percent, probabilities[classes])) if len(classes) else ""


def percent(share):
    """Return a share in percent, as exactly as it matters."""
    return f"{100 * share:.1f} %" if share < 0.9995 else "over 99.9 %"


def curve(values, name, steps):
    """Return HTML that draws `values`, equally spaced over `steps` steps, as a line with its ends in numbers."""
    values = np.asarray(values, float)
    low, high = values.min(), values.max()
    x = np.linspace(8, 392, len(values))
    y = 88 - 70 * (values - low) / max(high - low, 1e-9)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    name = html.escape(name)
    told = f"{name}, from {values[0]:.3g} to {values[-1]:.3g} in {counted(steps, 'step')}"
    return (f"<div class='explorer-curve'><svg viewBox='0 0 400 108' role='img' aria-label='{told}'>"
            f"<polyline points='{points}' fill='none' stroke='#0072b2' stroke-width='2.5'/>"
            "<path d='M8 92H392' stroke='currentColor' stroke-width='0.7'/>"
            "<g fill='currentColor' font-size='11'>"
            f"<text x='8' y='12'>{name}: {values[0]:.3g} → {values[-1]:.3g}</text>"
            f"<text x='8' y='104'>step 0</text><text x='392' y='104' text-anchor='end'>{steps}</text>"
            "</g></svg></div>")


def counted(count, noun, plural=""):
    """Return "1 step" or "45 steps"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def code_shown(model, lines, again):
    """Return HTML that shows the Python that makes a picture with `model`, above it how to open the explorer so."""
    import_line = f"from helpers.widgets import {again.split('(')[0]}"
    blocks = [("opens this again", f"{import_line}\n{again}")]
    if lines:
        blocks.append(("makes the picture", script(model, lines)))
    return "".join(
        f"<div class='explorer-call'><button class='jupyter-button widget-button explorer-copy' "
        f"title='Copy these lines.'>copy</button> {name}<pre>{html.escape(code, quote=False)}</pre></div>"
        for name, code in blocks
    )  # fmt: skip


def checked_model(model=None):
    """Return the model if it can be explored, the shipped CNN for None; ValueError for one without maps or input."""
    if model is None:
        return load_cnn()
    if not conv_layers(model):
        raise ValueError(f"model {model.name!r} has no Conv2D layer of its own, so there are no maps to look at")
    feature_extractor(model, conv_layers(model)[-1])  # refuses what has no graph, or not one input
    return model


def default_digits():
    """Return the images and labels of the test digits, the same arrays each time."""
    return load_digits_once("test")


def checked_digits(model, images=(), labels=(), name="images"):
    """Return images and labels to explore, the test digits where none are given; ValueError for what does not fit.

    `name` is that of the argument by which a reader gives images.
    """
    given = len(images) > 0
    if not given and len(labels):
        raise ValueError(f"{len(labels)} labels came without {name}; give both")
    images, labels = (np.asarray(images, np.float32), np.asarray(labels)) if given else default_digits()
    shape, seen = images.shape[1:], tuple(model.inputs[0].shape[1:])
    if len(shape) != len(seen) or any(size not in (None, length) for size, length in zip(seen, shape)):
        what, remedy = (name, "resize them") if given else ("test digits", f"give fitting ones with {name}=")
        raise ValueError(f"the model sees images of shape {seen}, the {what} have {shape}; {remedy}")
    if len(labels) and labels.shape != images.shape[:1]:
        raise ValueError(f"labels have shape {labels.shape}; {len(images)} {name} need one label each, or none")
    return images, labels


def image_shape(model):
    """Return (height, width, channels) of the images that the model sees, 28 where it leaves a size open."""
    height, width, channels = model.inputs[0].shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"model {model.name!r} sees images of {channels} channels; only 1 (gray) or 3 (color) can be "
                         "shown")
    return height or 28, width or 28, channels


def saved(stem, ending, write, told=""):
    """Have `write(path)` make stem.png, or stem_2.png if that is there; return the sentence that says so."""
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    path = next(path for path in (Path(name + ending) for name in names) if not path.exists())
    write(path)
    return f"saved as {path} in the folder of the notebook{told}"


def saved_figure(stem, figure, dpi):
    """Write a Figure as stem.png, or stem_2.png if that is there, whole or not at all; return what `saved` says."""
    def write(path):
        with files.written(path, new=True) as part:
            figure.savefig(part, dpi=dpi)

    return saved(stem, ".png", write)
