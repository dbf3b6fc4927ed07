"""The protocol of all explorers: named controls, named parts, and one generator of updates. Knows no network.

An explorer is its controls and `answer(settings)`, which yields updates {part: value}: showing one is giving the part
of that name its value. Results, refusals, faults of the program and Stop all take this one way.
"""

import html
import importlib
import traceback
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import anywidget
import numpy as np
import traitlets
from IPython import get_ipython
from ipywidgets import HTML, Box, Layout, VBox

from helpers.widgets import parts
from helpers.widgets.parts.lines import is_shipped
from helpers.widgets.parts.worker import Line, lock

HERE = Path(__file__).parent
KEPT = 3  # pictures that can be kept beside the present one
_in_cells = {}  # {cell: (the run of it, its explorers)}, to close those of an earlier run


class Refusal(ValueError):
    """What a reader can mend: shown as one sentence, without the traceback that faults of the program keep."""


@contextmanager
def refusals():
    """Make a ValueError or OSError within this block a `Refusal`: put it around what depends on a reader's input."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise Refusal(str(error)) from error


class _Frame(anywidget.AnyWidget):
    """What needs no kernel: keys that stay inside, larger text, enlarged pictures, copied Python."""

    _esm, _css = HERE / "frame.js", HERE / "explorer.css"


class Explorer(VBox):
    """The widget that an explorer's function returns.

    controls  {name: widget with a `value`}: the settings, in the order of the page. The names are the arguments that
              a reader can open the explorer with
    shown     {name: widget with a `value`}: the parts that updates may name
    answer    a generator function from settings (`settings.map`, ...) to updates, run by the worker. Beside the parts
              an update may name "status" (a sentence), "progress" (0..1), "python" (lines of Python that make what is
              shown) and "made" (what saving is given). At a Stop it sees a KeyboardInterrupt, within a climb or at a
              yield, and may catch it to give what is there so far
    call      the explorer as a reader writes it, such as "oip_lab(model)", and `model`, for the Python that is shown
    opened    settings to open with, the reader's; ValueError for one that does not exist
    presets   {name: {setting: value}}: each is a button, if the controls can have the values. What it does not name
              is as the explorer opens without arguments, so the first one may be {}
    more      names of controls that are folded away until they are wanted
    pictures  widgets beside the controls, if that is not all that is `shown`; `below`: those below both
    buttons   widgets below the controls
    given     other things the reader has opened it with, {name: thing}: the Python that is shown may name them
    """

    def __init__(self, controls, shown, answer, call, model, opened, presets, more=(), pictures=(), below=(),
                 buttons=(), given=None):  # fmt: skip
        self.controls, self.shown, self.answer, self.model, self.given = controls, shown, answer, model, given or {}
        self.made, self.quiet, self.name, self.sentence = None, False, call, ""
        self.line, self.others = Line(self._show, self._busy), []
        self.status, self.code = HTML(), HTML()
        self.bar = HTML(layout=Layout(height="6px", overflow="hidden"))
        self.stop = parts.button("Stop", "stop", "Stop, and keep what is made so far.")
        self.reset = parts.button("reset", "undo", "Everything as it was when the explorer opened.")
        self.keep = parts.button("keep", "thumb-tack", "Keep this picture in sight, beside the next ones.")
        self.kept, self.opened = parts.row(), VBox()
        self.defaults = self._values()
        presets = [self._preset(name, values) for name, values in presets.items() if self._possible(values)]
        self._apply(opened)
        self.opening = self._values()
        sides = self._sides(more, list(pictures) or list(shown.values()), list(buttons))
        children = [parts.marked(_Frame(), "explorer-frame"),
                    parts.marked(parts.row(*presets, self.reset), "explorer-presets"),
                    parts.marked(Box(sides), "explorer-body"), *below, self.kept, self.opened]  # fmt: skip
        super().__init__(children)
        parts.marked(self, "explorer")
        self._connect()
        _close_replaced(self)
        self.ask()

    def _sides(self, more, pictures, buttons):
        """Controls on one side, pictures with the status above them on the other."""
        often = [control for name, control in self.controls.items() if name not in more]
        rare = [self.controls[name] for name in more]
        folded = [parts.folded(VBox(rare), "more settings", "sliders")] if more else []
        told = parts.row(self.status, HTML("<span class='explorer-working' role='status'>working …</span>"),
                         self.keep, self.stop)
        self.status.layout.flex = "1 1 200px"
        code = parts.folded(self.code, "Python for this picture", "code")
        return (parts.marked(VBox([*often, *buttons, *folded]), "explorer-controls"),
                parts.marked(VBox([told, self.bar, *pictures, code]), "explorer-pictures"))

    def _connect(self):
        for control in self.controls.values():
            control.observe(self.ask, "value")
        self.stop.on_click(lambda _: self._stop())
        self.on_click(self.reset, lambda: self.set(**self.opening))
        self.on_click(self.keep, self._keep)

    def _possible(self, values):
        """Whether the controls can have the values of a preset: not every model has what the shipped one has."""
        self._checked_names(values)
        try:
            self._apply(values)
        except ValueError:
            return False
        finally:
            self._apply(self.defaults)
        return True

    def _preset(self, name, values):
        told = ", ".join(f"{key}: {value}" for key, value in values.items()) or "as it opens"
        button = parts.button(name, "", f"Settings of this name; {told}.")
        self.on_click(button, lambda: self.set(**{**self.defaults, **values}))
        return button

    # asking

    def ask(self, change=None, **changed):
        """Have an answer made to what the controls say, and to what is `changed` of it; newer wishes take its place."""
        if not self.quiet:
            self.line.ask(self._updates(changed))

    def also(self, answer):
        """Return a function that asks for updates of the generator `answer()`, beside what `ask` has made."""
        line = Line(self._show)
        self.others.append(line)
        return lambda: line.ask(answer())

    def read(self, **changed):
        """Return the settings as they are now, `changed` where that is wanted."""
        with lock:
            return SimpleNamespace(**{**self._values(), **changed})

    def _updates(self, changed):
        yield from self.answer(self.read(**changed))

    def set(self, **settings):
        """Give several controls their values, and ask once."""
        with lock:
            self._apply(settings)
            self.ask()

    @property
    def settings(self):
        """What the controls say, {name: value}: give it as arguments to open the same picture again."""
        return {name: value for name, value in self._values().items() if value != self.defaults[name]}

    def _values(self):
        return {name: _plain(control.value) for name, control in self.controls.items()}

    def _apply(self, settings):
        self._checked_names(settings)
        self.quiet = True
        try:
            for name in (name for name in self.controls if name in settings):  # layer first, then its maps
                _assign(self.controls[name], name, settings[name])
        finally:
            self.quiet = False

    def _checked_names(self, settings):
        if unknown := [name for name in settings if name not in self.controls]:
            raise ValueError(f"setting {unknown[0]!r} is unknown; {self.name} has {', '.join(self.controls)}")

    # callbacks

    def on_click(self, button, action):
        """Do `action`, a function without arguments, whenever the button is pressed."""
        button.on_click(self.guarded(lambda _: action()))

    def on_change(self, widget, callback, trait="value"):
        """Call `callback` with each new value of a widget, before an answer to it is asked for."""
        widget.observe(self.guarded(lambda change: callback(change["new"])), trait)

    def roll(self, button, name):
        """Give the control of this name a random whole number, from 0 to its highest, when the button is pressed."""
        rng, control = np.random.default_rng(), self.controls[name]
        self.on_click(button, lambda: self.set(**{name: int(rng.integers(control.max + 1))}))

    def saves(self, button, save):
        """Have `save(made)` write a file whenever the button is pressed, and show the sentence that it returns."""

        def updates():
            if self.made is None:
                raise Refusal("there is nothing to save yet; wait for the first picture")
            with refusals():
                yield {"status": save(self.made)}

        self.on_click(button, self.also(updates))

    def opens(self, button, name, settings):
        """Have the button open another explorer of this model below, by its name, with what `settings()` gives."""

        def show():
            other = getattr(importlib.import_module("helpers.widgets"), name)(self.model, **settings())
            for old in self.opened.children:
                old.close()
            self.opened.children = [other]

        self.on_click(button, show)

    def guarded(self, callback):
        """Return the callback, undisturbed by the worker, its error shown: JupyterLab hides what a callback raises."""

        def undisturbed(*arguments):
            with lock:
                try:
                    callback(*arguments)
                except Exception as error:
                    self.fail(error)

        return undisturbed

    def _stop(self):
        if any([line.stop() for line in (self.line, *self.others)]):
            self.say("stopping; what is being computed ends first …")

    def _keep(self):
        picture = next(part for part in self.shown.values() if isinstance(part, parts.Picture))
        caption = html.escape(self.sentence)
        back = parts.button("back to it", "reply", "Set all controls as they were for this picture.")
        values = self._values()
        self.on_click(back, lambda: self.set(**values))
        kept = VBox([parts.Picture(f"<b>kept:</b> {caption}", "100%", picture.value), back],
                    layout=Layout(width="31%"))  # fmt: skip
        for old in self.kept.children[: -(KEPT - 1)]:
            _close(old)
        self.kept.children = (*self.kept.children[-(KEPT - 1) :], kept)

    # showing

    def _show(self, update):
        if any(name in self.shown for name in update):
            self.remove_class("explorer-stale")
        for name, value in update.items():
            own = {"status": self.say, "error": self.fail, "python": self._show_code, "progress": self._show_progress}
            if name in own:
                own[name](value)
            elif name == "made":
                self.made = value
            else:
                self.shown[name].value = value

    def _busy(self, busy):
        for name in ("explorer-busy", "explorer-stale"):
            (self.add_class if busy else self.remove_class)(name)

    def say(self, sentence):
        """Show a sentence as the status."""
        self.sentence = sentence
        self.status.value = f"<div class='explorer-status' role='status'>{html.escape(sentence)}</div>"

    def fail(self, error):
        """Show an exception as one sentence; one that is no fault of the reader's with its traceback folded below."""
        told = isinstance(error, Refusal)
        sentence = html.escape(str(error) if told else f"{type(error).__name__}: {error}")
        trace = html.escape("".join(traceback.format_exception(error)))
        folded = "" if told else f"<details><summary>where it happened</summary><pre>{trace}</pre></details>"
        self.sentence = ""
        self.status.value = f"<div class='explorer-status explorer-failure' role='alert'>{sentence}{folded}</div>"

    def _show_progress(self, share):
        self.bar.value = f"<progress value='{share:.3f}' aria-label='progress'></progress>" if share < 1 else ""

    def _show_code(self, lines):
        name, _, given = self.name[:-1].partition("(")
        given = [part for part in given.split(", ") if part != "model" or not is_shipped(self.model)]
        settings = [f"{name}={value!r}" for name, value in self.settings.items()]
        self.code.value = parts.code_shown(self.model, lines, f"{name}({', '.join([*given, *settings])})")

    def close(self):
        """End what is being made, and close the explorer with all that belongs to it."""
        for line in (self.line, *self.others):
            line.forget()
        _close(self, VBox.close)


def _assign(control, name, value):
    """Give a control its value; ValueError where it cannot have it."""
    options = getattr(control, "_options_values", None)
    try:
        control.value = value
    except (traitlets.TraitError, TypeError, ValueError) as error:
        raise ValueError(f"{name} {value!r} cannot be set: {error}") from error
    if _plain(control.value) != _plain(value):
        span = f"from {control.min:g} to {control.max:g}" if hasattr(control, "max") else f"out of {options}"
        raise ValueError(f"{name} {value!r} is out of range; use a value {span}")


def _plain(value):
    """A value as one writes it: what a slider gives as 0.30000000000000004 is 0.3."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _close_replaced(explorer):
    """Close the explorers that an earlier run of the same cell has left: ipywidgets would keep them for ever."""
    shell = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell, run = (parent or {}).get("metadata", {}).get("cellId"), (parent or {}).get("header", {}).get("msg_id")
    if cell is None:
        return
    before, explorers = _in_cells.get(cell, (None, []))
    if before != run:
        for old in explorers:
            old.close()
        explorers = []
    _in_cells[cell] = run, [*explorers, explorer]


def _close(widget, close=None):
    """Close a widget, all within it, and their layouts and styles."""
    for child in getattr(widget, "children", ()):
        _close(child)
    for name in ("layout", "style"):
        if hasattr(widget, name):
            getattr(widget, name).close()
    (close or type(widget).close)(widget)
