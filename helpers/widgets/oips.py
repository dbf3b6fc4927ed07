"""The OIP lab: one map's original input pattern, made anew at every move of a slider (notebook 04)."""

import time
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from helpers.activations import conv_layers, feature_extractor, mean_activations, pre_activation_extractor
from helpers.ascent import Ascent, climb, identity, report_steps, soften
from helpers.figures import as_calculated
from helpers.fluctuations import fluctuations, spectral_fluctuations
from helpers.images import contrast
from helpers.objectives import Channels
from helpers.photos import png_bytes, save_picture
from helpers.widgets import parts

GRIDS = (3, 7, 14, 28)  # the articles' fluctuation scales
CANDIDATES = 256  # fluctuations among which a precursor is chosen
CLIMBS = {"activation": 0.0, "leaky pre-activation": 0.05, "pre-activation": 1.0}  # what a value below zero counts
NOISE, SPECTRUM = "grids of noise", "spectrum"
STRIP, STRIP_CELL, SHOWN = 6, 84, 224  # reports of the evolution strip; edges of its pictures and of the large ones
LARGE, SMALL = 10**0.5, 10**-1.7  # epsilon at the first and at the last step, 3.16 and 0.02: marks of the sliders
ANIMATION, LONGEST = 2.5, 0.06  # seconds from the first frame to the last, and at most from one to the next


class OipSettings(NamedTuple):
    """What the controls say; `scales` is {grid size: weight} or, for a spectrum, its exponent."""

    layer: str
    index: int
    climbs: str
    scales: dict | float
    seed: int
    precursor: bool
    epsilon: float
    last_epsilon: float
    epochs: int
    softened: bool
    gain: float = 1.0
    animated: bool = False

    @property
    def step_sizes(self):
        """One for each epoch, from the first epsilon to the last by a constant factor."""
        return np.geomspace(self.epsilon, self.last_epsilon, self.epochs)


class MadeOip(NamedTuple):
    """A climb, done or on its way: some frames, all `values`, `activations` (before, after), a hint if it is silent."""

    settings: OipSettings
    ascent: Ascent
    steps: int
    values: list
    activations: tuple = ()
    hint: str = ""


def oip_lab(model):
    """Return an explorer of single OIPs: set the layer, map index, step sizes and random start, and see the pattern.

    Any Keras model with convolutional layers will do. The pictures are those of `ascent.ascend`, and the lab
    shows the Python call that makes them. Introduced in notebook 04.
    """
    return _OipLab(model).frame.view


class _OipLab:
    def __init__(self, model):
        self.model, self.shape = parts.checked_model(model), parts.image_shape(model)
        self.made, self.tried = None, (None, None)
        self._build_controls()
        self._build_pictures()
        c = self.controls
        self.noise = widgets.VBox(list(self.grids.values()))
        self.spectrum = widgets.VBox([c["exponent"]])
        controls = [
            c["layer"], c["index"], c["climbs"], c["start"], self.noise, self.spectrum, parts.row(c["seed"], self.dice),
            c["epsilon"], c["last_epsilon"], c["epochs"], c["gain"], c["softened"],
            parts.row(c["precursor"], self.animate, self.save), parts.row(self.ours, self.articles),
        ]  # fmt: skip
        self.frame = parts.Frame(controls, self.pictures, self.read, self.make, self.paint)
        self._connect()
        self._show_kind()
        self.frame.ask()

    def _build_controls(self):
        layers = conv_layers(self.model)
        wide = {"style": parts.NAMES, "layout": parts.WIDE}
        self.controls = {
            "layer": widgets.Dropdown(options=layers, value=layers[-1], description="layer", **wide),
            "index": widgets.IntSlider(0, 0, self._last_map(layers[-1]), description="map index", **wide),
            "climbs": widgets.Dropdown(options=list(CLIMBS), value="leaky pre-activation", description="climb the",
                                       **wide),
            "start": widgets.Dropdown(options=[NOISE, SPECTRUM], description="fluctuations", **wide),
            "precursor": widgets.ToggleButton(False, description="precursor",
                                              tooltip=f"start from the best of {CANDIDATES} fluctuations"),
            "exponent": widgets.FloatSlider(1.5, min=0, max=4, step=0.1, description="spectral exponent", **wide),
            "seed": widgets.BoundedIntText(0, 0, 999_999, description="random seed", **wide),
            "epsilon": widgets.FloatLogSlider(LARGE, min=-3, max=1, step=0.1, description="epsilon (step size)",
                                              **wide),
            "last_epsilon": widgets.FloatLogSlider(SMALL, min=-3, max=1, step=0.1, description="cooled down to",
                                                   **wide),
            "epochs": widgets.IntSlider(45, 1, 600, description="epochs (steps)", **wide),
            "softened": widgets.Checkbox(False, description="softened: strokes instead of speckle", indent=False),
            "gain": widgets.FloatSlider(1.0, min=0.2, max=4, step=0.1, description="contrast", **wide),
        }
        self.grids = {
            grid: widgets.FloatSlider(0.5 if grid < 14 else 0, min=0, max=1, step=0.05,
                                      description=f"scale {grid} x {grid}", **wide)
            for grid in GRIDS if grid <= max(self.shape[:2])
        }  # fmt: skip
        self.dice = widgets.Button(description="roll the dice", icon="random", tooltip="another random seed")
        self.animate = widgets.Button(description="animate", icon="play", tooltip="watch the climb, step by step")
        self.save = widgets.Button(description="save PNG", icon="download")
        self.ours = widgets.Button(description="our settings", tooltip="45 steps that cool down")
        self.articles = widgets.Button(description="the articles' settings", tooltip="600 steps of 0.01")

    def _build_pictures(self):
        self.start, self.plain, self.strong, self.strip = (widgets.Image(format="png") for _ in range(4))
        self.labels, self.curve, self.call = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.pictures = [
            parts.row(
                parts.captioned(self.strong, "OIP, contrast enhanced", "37%"),
                parts.captioned(self.plain, "OIP as calculated", "37%"),
                parts.captioned(self.start, "start", "18%"),
            ),
            parts.captioned(self.strip, self.labels, "100%"),
            self.curve,
            parts.folded(self.call, "Python for this picture"),
        ]

    def _connect(self):
        c, frame = self.controls, self.frame
        frame.on_change(c["layer"], self._new_layer)
        frame.on_change(c["start"], self._show_kind)
        frame.watch(*c.values(), *self.grids.values())
        frame.roll(c["seed"], self.dice, 1_000_000)
        frame.on_click(self.animate, lambda: frame.ask(alter=lambda settings: settings._replace(animated=True)))
        frame.save_with(self.save, lambda: self.made, save_oip)
        frame.on_click(self.ours, lambda: self._set(LARGE, SMALL, 45, "leaky pre-activation"))
        frame.on_click(self.articles, lambda: self._set(0.01, 0.01, 600, "activation"))

    def _new_layer(self, change):
        self.controls["index"].max = self._last_map(change["new"])

    def _show_kind(self, change=None):
        """Show the sliders of the chosen kind of fluctuations only."""
        noise = self.controls["start"].value == NOISE
        self.spectrum.layout.display, self.noise.layout.display = ("none", None) if noise else (None, "none")

    def _set(self, epsilon, last_epsilon, epochs, climbs):
        c = self.controls
        c["epsilon"].value, c["last_epsilon"].value = epsilon, last_epsilon
        c["epochs"].value, c["climbs"].value, c["precursor"].value = epochs, climbs, False

    def _last_map(self, layer):
        return feature_extractor(self.model, layer).output_shape[-1] - 1

    def read(self):
        value = {name: control.value for name, control in self.controls.items()}
        weights = {grid: round(slider.value, 2) for grid, slider in self.grids.items()}
        if value["start"] == NOISE and not any(weights.values()):
            raise ValueError("all fluctuation scales are 0, so there is nothing to start from; raise one of them")
        scales = {grid: weight for grid, weight in weights.items() if weight}
        return OipSettings(
            value["layer"], value["index"], value["climbs"], scales if value["start"] == NOISE else value["exponent"],
            value["seed"], value["precursor"], float(f"{value['epsilon']:.3g}"), float(f"{value['last_epsilon']:.3g}"),
            value["epochs"], value["softened"], round(value["gain"], 1),
        )

    def make(self, settings):
        """Yield what is to be painted: the finished `MadeOip`, and before it all frames if they are to be watched."""
        if self.made and self.made.settings == settings._replace(gain=self.made.settings.gain):
            yield self.made._replace(settings=settings)  # only its contrast was changed
            return
        features, objective = feature_extractor(self.model, settings.layer), objective_of(self.model, settings)
        start = self._precursor(features, settings) if settings.precursor else start_images(self.shape, settings, 1)
        precondition = soften if settings.softened else identity
        kept, values, wanted = [], [], set(report_steps(settings.epochs + 1, STRIP))
        try:
            for step, images, value in climb(objective, start, settings.step_sizes, precondition=precondition,
                                             reports=range):  # fmt: skip
                if kept and kept[-1][0] not in wanted:
                    kept.pop()  # what the strip does not show is not kept: images may be large and steps many
                kept.append((step, images, value)), values.append(value[0])
                if settings.animated:
                    yield MadeOip(settings, _record(kept), len(values) - 1, values)
                    time.sleep(min(ANIMATION / settings.epochs, LONGEST))
            record, steps = _record(kept), settings.epochs
        except KeyboardInterrupt:
            record, steps = _record(kept)._replace(stopped=True), int(kept[-1][0])
        before, after = mean_activations(features, record.frames[[0, -1], 0])[:, settings.index]
        hint = "" if after else self._hint(features, settings, before)
        yield MadeOip(settings._replace(animated=False), record, steps, values, (before, after), hint)

    def paint(self, made):
        """Show a climb; the frames of one that is watched leave the start, the strip and the call as they are."""
        settings, record = made.settings, made.ascent
        times = max(1, SHOWN // max(record.images.shape[1:3]))
        self.strong.value = png_bytes(parts.enlarged(contrast(record.images, gain=settings.gain)[0], times))
        self.plain.value = png_bytes(parts.enlarged(as_calculated(record.images)[0], times))
        self.curve.value = parts.curve(made.values, f"climbed: {settings.climbs}", made.steps)
        if not made.activations:
            return f"step {made.steps} of {settings.epochs}"
        self.made = made
        self.start.value = png_bytes(parts.enlarged(as_calculated(record.frames[0])[0], max(1, times // 2)))
        frames = parts.thumbnails(as_calculated(record.frames[:, 0]), STRIP_CELL)
        self.strip.value = png_bytes(parts.mosaic(frames, len(frames)))
        self.labels.value = parts.strip_labels([f"step {step}" for step in [*record.steps[:-1], made.steps]])
        self.call.value = parts.python_call(self.model, *call_of(self.shape, made))
        return sentence_of(made)

    def _precursor(self, features, settings):
        candidates, answers = self._candidates(features, settings)
        best = answers[:, settings.index].argmax()
        return candidates[best : best + 1]

    def _hint(self, features, settings, before):
        """What to try where a climb ends silent, having begun with the mean activation `before`."""
        if before > 0:
            return f"the start excites map {settings.index}, but the climb lost it; try smaller steps"
        if settings.climbs != "activation":
            return f"nothing was found that excites map {settings.index}; try other steps or another seed"
        if not settings.precursor and self._candidates(features, settings)[1][:, settings.index].max() > 0:
            return f"this start does not excite map {settings.index}; a precursor does"
        return f"none of {CANDIDATES} starts excites map {settings.index}; climb the leaky pre-activation"

    def _candidates(self, features, settings):
        """Fluctuations from which a precursor is chosen, and how strongly each map answers to them."""
        asked = settings.layer, settings.scales, settings.seed
        if self.tried[0] != asked:
            candidates = start_images(self.shape, settings, CANDIDATES)
            self.tried = asked, (candidates, mean_activations(features, candidates))
        return self.tried[1]


def save_oip(made):
    """Write the picture as a PNG file, and yield the sentence that says so."""
    if made is None:
        raise ValueError("there is no picture to save yet; wait for the first one")
    path = parts.free_path(f"oip_{made.settings.layer}_map_{made.settings.index}", ".png")
    shown = contrast(made.ascent.images, gain=made.settings.gain)[0]
    save_picture(path, parts.enlarged(shown, max(1, 560 // max(shown.shape))))
    yield f"saved as {path} in the folder of the notebook"


def objective_of(model, settings):
    """Return the objective that the settings stand for."""
    if settings.climbs == "activation":
        return Channels(feature_extractor(model, settings.layer), [settings.index])
    before = pre_activation_extractor(model, settings.layer)
    return Channels(before, [settings.index], leak=CLIMBS[settings.climbs])


def start_images(shape, settings, count):
    """Return `count` random start images for a network that sees images of `shape` (height, width, channels)."""
    height, width, channels = shape
    images = _maker(settings)(count, settings.scales, settings.seed, max(height, width))
    return images[:, :height, :width].repeat(channels, axis=-1)


def sentence_of(made):
    """Return what came of the climb in words."""
    settings, (before, after) = made.settings, made.activations
    if made.hint:
        return f"silent: {made.hint}"
    end = f"{made.steps} steps" + (", converged" if made.ascent.status()[0] == "converged" else "")
    if made.ascent.stopped:
        end = f"stopped after {made.steps} of {settings.epochs} steps"
    return f"map {settings.index} of {settings.layer}: mean activation {before:.3g} → {after:.3g}; {end}"


def call_of(shape, made):
    """Return (imports, lines): the Python that makes exactly this picture with the model named `model`."""
    settings = made.settings
    extractor = "feature_extractor" if settings.climbs == "activation" else "pre_activation_extractor"
    leak = f", leak={CLIMBS[settings.climbs]}" if settings.climbs == "leaky pre-activation" else ""
    cut = f"[:{made.steps}]" if made.ascent.stopped else ""
    imports = {
        f"from helpers.activations import {extractor}",
        f"from helpers.ascent import ascend{', soften' if settings.softened else ''}",
        "from helpers.figures import image_grid",
        f"from helpers.fluctuations import {_maker(settings).__name__}",
        "from helpers.images import contrast",
        "from helpers.objectives import Channels",
    }
    if settings.precursor:
        imports |= {"from helpers.activations import feature_extractor", "from helpers.oips import find_precursors"}
    return imports, [
        f"features = {extractor}(model, {settings.layer!r})",
        *_start_lines(shape, settings),
        f"step_sizes = np.geomspace({settings.epsilon:g}, {settings.last_epsilon:g}, {settings.epochs}){cut}",
        f"ascent = ascend(Channels(features, [{settings.index}]{leak}), start, step_sizes"
        f"{', precondition=soften' if settings.softened else ''})",
        f"image_grid(contrast(ascent.images, gain={settings.gain:g}), limits=(0, 1), width=3)",
    ]


def _start_lines(shape, settings):
    """The lines of Python that make the start."""
    height, width, channels = shape
    size = "" if max(height, width) == 28 else f", size={max(height, width)}"
    fit = "" if height == width else f"[:, :{height}, :{width}]"
    fit += "" if channels == 1 else f".repeat({channels}, axis=-1)"
    count, name = CANDIDATES if settings.precursor else 1, "candidates" if settings.precursor else "start"
    made = f"{name} = {_maker(settings).__name__}({count}, {settings.scales}, seed={settings.seed}{size}){fit}"
    if not settings.precursor:
        return [made]
    return [
        made,
        f"start = find_precursors(feature_extractor(model, {settings.layer!r}), [{settings.index}], candidates)",
    ]


def _maker(settings):
    """The function that makes the fluctuations."""
    return fluctuations if isinstance(settings.scales, dict) else spectral_fluctuations


def _record(reports):
    steps, frames, values = zip(*reports)
    return Ascent(np.array(steps), np.array(frames), np.array(values))
