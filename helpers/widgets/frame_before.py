"""What explorers of the old kind are built of, until they are ported.

Pictures go to the page as PNG in `ipywidgets.Image`, with a caption beside each; bars and curves are HTML, in the
colors of the theme and with text that a screen reader finds. The page may call back in any thread while the worker
paints: both hold the worker's lock, so neither sees the other's work half done.
"""

import html
import itertools
import traceback
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from ipywidgets import HTML, Box, Button, GridBox, Image, Layout, ToggleButton, VBox

from helpers.activations import conv_layers, feature_extractor
from helpers.data import load_digits
from helpers.images import resize
from helpers.models import load_cnn
from helpers.photos import png_bytes
from helpers.widgets.worker import Line, lock

NAMES = {"description_width": "9.5em"}  # room for a control's name
WIDE = Layout(width="auto")
_known = WeakKeyDictionary()  # model: whether it is the shipped one
LABEL = 0.023  # share of a sheet's width that is left for the number above each picture; STYLE's letters fit in
STYLE = """<style>
.explorer {width: 100%; overflow: hidden; padding: 2px}
.explorer-pictures {max-width: 820px}
.explorer-body {display: flex; flex-flow: row wrap-reverse; gap: 8px 24px; align-items: flex-end; overflow: visible}
.explorer-controls {flex: 1 1 300px; max-width: 460px; overflow: visible}
.explorer-pictures {flex: 2 1 330px; min-width: 0; overflow: visible}
.explorer-row {display: flex; flex-flow: row wrap; gap: 6px 2%; align-items: flex-start; overflow: visible}
.explorer .widget-button {width: auto}
.explorer .widget-image {height: auto; min-width: 0; max-width: 100%; object-fit: contain}
.explorer .widget-html-content {line-height: 1.35}
.explorer-caption {font-size: 12px; color: var(--jp-ui-font-color1, currentColor)}
.explorer-status {min-height: 40px; color: var(--jp-ui-font-color1, currentColor)}
.explorer-failure {border-left: 4px solid #d55e00; padding-left: 8px}
.explorer-failure pre {white-space: pre-wrap; font-size: 11px}
.explorer-call pre {white-space: pre-wrap; overflow-wrap: anywhere; font-size: 11px; line-height: 1.3; padding: 6px;
  margin: 4px 0; background: var(--jp-layout-color2, transparent); color: var(--jp-ui-font-color1, currentColor)}
.explorer .explorer-working {visibility: hidden}
.explorer-busy .explorer-working {animation: explorer-appear 0s 0.4s forwards}
@keyframes explorer-appear {to {visibility: visible}}
.explorer-sheet {display: grid; container-type: inline-size; overflow: visible; width: 100%}
.explorer-sheet > .widget-image, .explorer-sheet > .widget-gridbox {grid-area: 1 / 1 / 2 / 2; width: 100%; margin: 0}
.explorer-sheet button {display: flex; justify-content: center; align-items: flex-start; width: auto; height: auto;
  min-width: 0; margin: 0; padding: 0; line-height: 1.15; overflow: hidden; background: transparent;
  font-size: clamp(9px, 1.8cqw, 14px); color: var(--jp-ui-font-color1, currentColor)}
.explorer .explorer-sheet .widget-button:hover, .explorer .explorer-sheet .widget-button:focus-visible {
  background: transparent; box-shadow: none; outline: 3px dashed #0072b2; outline-offset: -2px}
.explorer .explorer-sheet .widget-button.explorer-chosen {outline: 3px solid #d55e00; outline-offset: -2px;
  font-weight: bold}
.explorer-bars {display: grid; grid-template-columns: max-content 1fr max-content; gap: 1px 8px; max-width: 26em;
  font-size: 12px; color: var(--jp-ui-font-color1, currentColor)}
.explorer-bars div {align-self: center; height: 9px; background: #0072b2; border: 1px solid currentColor}
.explorer-scale {display: inline-block; width: 8em; height: 0.8em; vertical-align: middle; border: 1px solid}
.explorer-strip {display: grid; text-align: center; font-size: 11px; color: var(--jp-ui-font-color1, currentColor)}
.explorer-curve {width: 100%; max-width: 26em; color: var(--jp-ui-font-color1, currentColor)}
</style>"""


class _Results:
    """A generator of results as one of updates."""

    def __init__(self, results):
        self.results = results

    def __next__(self):
        return {"result": next(self.results)}

    def throw(self, error):
        return {"result": self.results.throw(error)}


class Desk:
    """Where an explorer of the old kind asks; to go when all are written as `explorer.Explorer` wants it."""

    def __init__(self, make, paint, fail, busy):
        self.make, self.paint, self.fail = make, paint, fail
        self.line = Line(self._show, busy)
        self.stop, self.forget = self.line.stop, self.line.forget

    def ask(self, settings):
        """Have the results of the settings made and painted."""
        self.line.ask(_Results(self.make(settings)))

    def _show(self, update):
        if "error" in update:
            self.fail(update["error"])
        elif "result" in update:
            self.paint(update["result"])


class Frame:
    """What every explorer has: controls, pictures beside or below them, a status in words, Stop, and its desk.

    read   a function without arguments that gives the settings the controls stand for; a ValueError is shown
    make   a generator function from settings to results, run by the worker
    paint  a function that shows one result and returns the status in words
    below  what needs the full width, below controls and pictures
    """

    def __init__(self, controls, pictures, read, make, paint, below=()):
        self.read, self.paint = read, paint
        self.status = HTML()
        self.stop = Button(description="Stop", icon="stop", tooltip="Stop, and keep what is made so far")
        self.working = HTML("<span class='explorer-working' role='status'>working …</span>")
        told = row(self.status, self.working, self.stop)  # beside the pictures, where a reader looks
        self.status.layout.flex = "1 1 220px"
        sides = (
            marked(VBox(list(controls)), "explorer-controls"),
            marked(VBox([told, *pictures]), "explorer-pictures"),
        )
        self.view = marked(VBox([HTML(STYLE), marked(Box(sides), "explorer-body"), *below]), "explorer")
        self.desk = Desk(make, self._show, self.fail, self._busy)
        self.stop.on_click(lambda _: self.desk.stop())

    def ask(self, change=None, alter=lambda settings: settings):
        """Have a picture made of what the controls say now, altered; usable as a callback of any of them."""
        with lock:  # else a wish that was read earlier could be asked for later
            try:
                settings = alter(self.read())
            except Exception as error:  # JupyterLab hides what a callback raises
                self.desk.forget()
                self.fail(error)
            else:
                self.desk.ask(settings)

    def watch(self, *controls):
        """Ask anew whenever one of the controls gets another value."""
        for control in controls:
            control.observe(self.ask, "value")

    def guarded(self, callback):
        """Return the callback, undisturbed by the worker, its error shown: JupyterLab hides what a callback raises."""

        def undisturbed(*arguments):
            with lock:
                try:
                    callback(*arguments)
                except Exception as error:
                    self.fail(error)

        return undisturbed

    def on_click(self, button, action):
        """Do `action`, a function without arguments, whenever the button is pressed."""
        button.on_click(self.guarded(lambda _: action()))

    def on_change(self, control, callback):
        """Call `callback` with each change of the control's value."""
        control.observe(self.guarded(callback), "value")

    def roll(self, control, dice, highest):
        """Give the control a random whole number below `highest` whenever the button `dice` is pressed."""
        self.on_click(dice, lambda: control.set_trait("value", int(np.random.default_rng().integers(highest))))

    def save_with(self, button, asked, save):
        """Have a file written by the worker whenever the button is pressed, and say so.

        `save` is a generator function from what `asked()` gives to the sentence; nothing that is asked for elsewhere
        takes its place.
        """
        desk = Desk(save, self.say, self.fail, lambda busy: None)
        self.on_click(button, lambda: desk.ask(asked()))

    def say(self, sentence):
        """Show a sentence as the status."""
        self.status.value = f"<div class='explorer-status' role='status'>{html.escape(sentence)}</div>"

    def fail(self, error):
        """Show an exception as one sentence; one that is no fault of the reader's with its traceback folded below."""
        told = isinstance(error, (ValueError, OSError))
        sentence = html.escape(str(error) if told else f"{type(error).__name__}: {error}")
        trace = html.escape("".join(traceback.format_exception(error)))
        folded = "" if told else f"<details><summary>where it happened</summary><pre>{trace}</pre></details>"
        self.status.value = f"<div class='explorer-status explorer-failure' role='alert'>{sentence}{folded}</div>"

    def _show(self, result):
        self.say(self.paint(result))

    def _busy(self, busy):
        (self.view.add_class if busy else self.view.remove_class)("explorer-busy")


class Sheet:
    """Many small pictures in one, each a button with its number: to be clicked, or reached with the Tab key.

    choose  a function of the number of the picture that was chosen
    name    what a picture shows, for the tooltip: "map" gives "map 7"
    """

    def __init__(self, choose, name="map"):
        self.choose, self.name, self.buttons = choose, name, {}
        self.image = Image(format="png")
        self.grid = GridBox()
        self.view = marked(Box([self.image, self.grid]), "explorer-sheet")

    def show(self, pictures, numbers, columns):
        """Show `pictures (n, height, width, 3 or 4)`, each under its number; those beyond the numbers get no button."""
        label = round(LABEL * min(columns, len(pictures)) * (pictures.shape[2] + 2))
        self.image.value = png_bytes(mosaic(pictures, columns, label))
        self.grid.layout.grid_template_columns = f"repeat({min(columns, len(pictures))}, minmax(0, 1fr))"
        self.grid.children = tuple(self._button(int(number)) for number in numbers)

    def mark(self, chosen, starred=()):
        """Outline the picture with the number `chosen`, and put a star beside the numbers `starred`."""
        for number, button in list(self.buttons.items()):
            (button.add_class if number == chosen else button.remove_class)("explorer-chosen")
            button.description = f"{number}{'★' if number in starred else ''}"

    def _button(self, number):
        if number not in self.buttons:
            button = Button(description=str(number), tooltip=f"{self.name} {number}")
            button.on_click(lambda _: self.choose(number))
            self.buttons[number] = button
        return self.buttons[number]


def row(*widgets):
    """Return the widgets beside one another, or below where there is no room."""
    return marked(Box(list(widgets)), "explorer-row")


def marked(widget, *classes):
    """Return the widget, with CSS classes."""
    for name in classes:
        widget.add_class(name)
    return widget


def captioned(image, caption, width):
    """Return an image widget above its caption, `width` wide or less; the caption may be text or an HTML widget."""
    image.layout.width = "100%"
    below = caption if isinstance(caption, HTML) else HTML(small(caption))
    return VBox([image, below], layout=Layout(width=width, max_width="100%", overflow="visible"))


def small(text):
    """Return HTML for a small text, such as one below a picture."""
    return f"<div class='explorer-caption'>{text}</div>"


def mosaic(pictures, columns, label=0, gap=1):
    """Return pictures `(n, height, width, 3 or 4)` as one `(h, w, 4)`, row by row, on a transparent ground.

    Above each are `label` rows of pixels, around it `gap`. All cells are of one size, so that an HTML grid of as
    many columns fits onto them.
    """
    count, height, width = pictures.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height + label + 2 * gap, width + 2 * gap, 4), np.float32)
    cells[:count, gap + label : gap + label + height, gap : gap + width, 3] = 1
    cells[:count, gap + label : gap + label + height, gap : gap + width, : pictures.shape[3]] = pictures
    tall, broad = cells.shape[1:3]
    cells = cells.reshape(rows, columns, tall, broad, 4).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * tall, columns * broad, 4)


def enlarged(picture, times):
    """Return one picture `(height, width, channels)` with each pixel a square of `times` pixels, edges sharp."""
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def thumbnails(pictures, edge):
    """Return pictures `(n, height, width, 3)` with `edge` pixels or a little less along their longer side."""
    longer = max(pictures.shape[1:3])
    if longer <= edge:
        return pictures.repeat(edge // longer, axis=1).repeat(edge // longer, axis=2)
    size = tuple(max(1, round(length * edge / longer)) for length in pictures.shape[1:3])
    return np.clip(resize(pictures, size), 0, 1)


def strip_labels(labels):
    """Return HTML that puts labels below the pictures of a `mosaic` of one row."""
    cells = "".join(f"<span>{label}</span>" for label in labels)
    columns = f"grid-template-columns: repeat({len(labels)}, 1fr)"
    return f"<div class='explorer-strip' style='{columns}'>{cells}</div>"


def bars(names, shares, texts):
    """Return HTML with one bar for each name, as long as its share 0..1, and a text at its end."""
    rows = (f"<span>{name}</span><div style='width: {100 * share:.1f}%'></div><span>{text}</span>"
            for name, share, text in zip(names, shares, texts))
    return f"<div class='explorer-bars'>{''.join(rows)}</div>"


def curve(values, name, steps):
    """Return HTML that draws `values`, equally spaced over `steps` steps, as a line with its ends in numbers."""
    values = np.asarray(values, float)
    low, high = values.min(), values.max()
    x = np.linspace(8, 392, len(values))
    y = 88 - 70 * (values - low) / max(high - low, 1e-9)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    name = html.escape(name)
    told = f"{name}, from {values[0]:.3g} to {values[-1]:.3g} in {steps} steps"
    return (f"<div class='explorer-curve'><svg viewBox='0 0 400 108' role='img' aria-label='{told}'>"
            f"<polyline points='{points}' fill='none' stroke='#0072b2' stroke-width='2.5'/>"
            "<path d='M8 92H392' stroke='currentColor' stroke-width='0.7'/>"
            "<g fill='currentColor' font-size='11'>"
            f"<text x='8' y='12'>{name}: {values[0]:.3g} → {values[-1]:.3g}</text>"
            f"<text x='8' y='104'>step 0</text><text x='392' y='104' text-anchor='end'>{steps}</text>"
            "</g></svg></div>")


def checked_model(model):
    """Return the model if it can be explored; ValueError for one without maps or without one known input."""
    if not conv_layers(model):
        raise ValueError(f"model {model.name!r} has no Conv2D layer of its own, so there are no maps to look at")
    feature_extractor(model, conv_layers(model)[-1])  # refuses what has no graph, or not one input
    return model


@lru_cache
def default_digits():
    """Return the images and labels of the test digits, the same arrays each time."""
    return load_digits("test")


def image_shape(model):
    """Return (height, width, channels) of the images that the model sees, 28 where it leaves a size open."""
    height, width, channels = model.inputs[0].shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"model {model.name!r} sees images of {channels} channels; only 1 (gray) or 3 (color) can be "
                         "shown")
    return height or 28, width or 28, channels


def python_call(model, imports, lines):
    """Return HTML that shows the Python lines that make a picture with `model`, and a button that copies them."""
    if is_shipped(model):
        imports, lines = [*imports, "from helpers.models import load_cnn"], ["model = load_cnn()", *lines]
    else:
        lines = ["# model is the one this explorer was opened with", *lines]
    numpy = ["import numpy as np"] if any("np." in line for line in lines) else []
    code = html.escape("\n".join([*numpy, *sorted(imports), "", *lines]), quote=False)
    text = "this.parentNode.querySelector('pre').textContent"
    copy = (f"(navigator.clipboard ? navigator.clipboard.writeText({text}) : Promise.reject())"
            ".then(() => this.textContent = 'copied', () => this.textContent = 'select it and press Ctrl+C')")
    return (f"<div class='explorer-call'><button class='jupyter-button widget-button' onclick=\"{copy}\">copy</button>"
            f"<pre>{code}</pre></div>")


def folded(shown, name):
    """Return an HTML widget behind a button with this name; it stays open, or closed, while its text changes."""
    toggle = ToggleButton(False, description=name, icon="code", layout=Layout(width="max-content"))

    def unfold(change=None):
        shown.layout.display = None if toggle.value else "none"

    toggle.observe(unfold, "value")
    unfold()
    return VBox([toggle, shown], layout=Layout(overflow="visible"))


def is_shipped(model):
    """Return whether the model is the shipped one: same layers, weights and answers; looked at once."""
    if model not in _known:
        _known[model] = _agrees_with_shipped(model)
    return _known[model]


def _agrees_with_shipped(model):
    try:
        shipped = load_cnn()
    except (OSError, ValueError):  # its file is gone or broken, which is no trouble for a model of the reader's own
        return False
    if len(model.outputs) != 1 or [layer.name for layer in model.layers] != [layer.name for layer in shipped.layers]:
        return False
    weights, wanted = model.get_weights(), shipped.get_weights()
    if len(weights) != len(wanted) or not all(map(np.array_equal, weights, wanted)):
        return False
    images = np.random.default_rng(0).standard_normal((4, 28, 28, 1)).astype(np.float32)  # tells other activations
    return np.allclose(model(images, training=False), shipped(images, training=False), atol=1e-5)


def free_path(stem, ending):
    """Return the first of stem.png, stem_2.png, ... in the current folder that does not exist yet."""
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(path for path in (Path(name + ending) for name in names) if not path.exists())
