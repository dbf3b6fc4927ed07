"""The OIP lab: one map's original input pattern, made anew at every move of a slider (notebook 04)."""

import collections
import time
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from helpers.activations import feature_extractor, mean_activations
from helpers.ascent import Ascent, report_steps
from helpers.figures import as_calculated
from helpers.images import contrast
from helpers.photos import save_picture
from helpers.widgets import parts
from helpers.widgets.parts.explorer import Explorer, Refusal
from helpers.widgets.parts.lines import Runner

GRIDS = (3, 7, 14, 28)  # the articles' fluctuation scales
CANDIDATES = 256  # fluctuations among which a precursor is chosen
CLIMBS = {"activation": 0.0, "leaky pre-activation": 0.05, "pre-activation": 1.0}  # what a value below zero counts
NOISE, SPECTRUM = "grids of noise", "spectrum"
STRIP, STRIP_EDGE = 8, 53  # pictures of the evolution strip at most, and their width
SEEDS = 6  # random starts shown at once
ANIMATION, LONGEST = 2.5, 0.06  # seconds from the first frame to the last, and at most from one to the next
RAW = {"epsilon": 10**0.5, "cooled_to": 10**-1.7, "epochs": 45, "climbs": "leaky pre-activation", "softened": False}
PRESETS = {
    "strokes": {},
    "speckle": RAW,
    "the articles' way": {"epsilon": 0.01, "cooled_to": 0.01, "epochs": 600, "climbs": "activation", "softened": False},
    "waves": {"layer": "Conv2D_1", "map": 5},
    "from a spectrum": {"start": SPECTRUM, "exponent": 1.5},
    "without patience": {"epochs": 3},
}


class MadeOip(NamedTuple):
    """A climb that is done: its lines of Python, some frames, all `values`, `activations` before and after."""

    lines: list
    settings: object
    ascent: Ascent
    steps: int
    values: list
    activations: tuple


def oip_lab(model=None, **settings):
    """Return an explorer of single OIPs: set the layer, map index, step sizes and random start, and see the pattern.

    Any Keras model with convolutional layers will do, without one it is the shipped CNN. The settings are those of
    the controls, by their names in Python: `oip_lab(cnn, map=18, seed=7, softened=True)` opens exactly that picture;
    ValueError for one that does not exist. The lab shows the Python that makes the picture. Introduced in notebook 04.
    """
    return _OipLab(parts.checked_model(model), settings).explorer


class _OipLab:
    def __init__(self, model, opened):
        self.model, self.shape, self.run = model, parts.image_shape(model), Runner(model)
        self.made, self.frames, self.several = None, None, ((), ())
        controls = self._controls()
        self.noise = [name for name in controls if name.startswith("scale_")]
        self.shown = {
            "strong": parts.Picture("OIP, contrast enhanced", "38%"), "plain": parts.Picture("as calculated", "38%"),
            "start": parts.Picture("start", "18%"), "strip": parts.Sheet(edge=STRIP_EDGE, name="step"),
            "curve": parts.HTML(), "seeds": parts.Sheet(edge=STRIP_EDGE, name="seed"),
        }  # fmt: skip
        pictures = [parts.row(*(self.shown[name] for name in ("strong", "plain", "start"))), self.shown["strip"],
                    self.shown["seeds"], self.shown["curve"]]  # fmt: skip
        dice, again = parts.dice(), parts.dice("map")
        again.description = "any map"
        watch = parts.button("animate", "play", "Watch the climb, step by step.")
        save = parts.button("save PNG", "download", "Write the picture into the folder of the notebook.")
        controls["start"].observe(lambda change: self._show_kind(controls), "value")
        self._show_kind(controls)
        self.explorer = Explorer(
            controls, self.shown, self.answer, "oip_lab(model)", model, opened, PRESETS,
            more=[name for name in controls if name not in ("layer", "map", "seed", "several", "softened", "epochs")],
            pictures=pictures, buttons=[parts.row(again, parts.player("map index", "maps"), dice, watch, save)],
        )  # fmt: skip
        self.explorer.roll(dice, "seed")
        self.explorer.roll(again, "map")
        self.explorer.on_click(watch, lambda: self.explorer.ask(animated=True))
        self.explorer.on_change(self.shown["strip"], self._show_step, "chosen")
        self.shown["seeds"].link_to(controls["seed"])
        self.explorer.saves(save, save_oip)

    def _controls(self):
        scales = {
            f"scale_{grid}": parts.number(f"scale {grid} x {grid}", f"Weight of noise in grids of {grid} x {grid} in "
                                          "the start.", value=0.5 if grid < 14 else 0, min=0, max=1, step=0.05)
            for grid in GRIDS if grid <= max(self.shape[:2])
        }  # fmt: skip
        return {
            **parts.layer_and_map(self.model, index=37),
            "softened": parts.switch("softened: strokes instead of speckle", "Climb along smooth paths first.", True),
            "seed": parts.seed(),
            "several": parts.switch(f"{SEEDS} seeds at once", "What other random starts lead to; a click takes one."),
            "epochs": parts.whole("epochs (steps)", "How many steps the climb takes.", value=45, min=1, max=600),
            "climbs": parts.choice("climb the", "What is made large: the activation is zero where a map is silent.",
                                   options=list(CLIMBS), value=RAW["climbs"]),
            "epsilon": parts.log_number("epsilon (step size)", "How far the first step goes.", value=RAW["epsilon"],
                                        min=-3, max=1, step=0.1),
            "cooled_to": parts.log_number("cooled down to", "How far the last step goes.", value=RAW["cooled_to"],
                                          min=-3, max=1, step=0.1),
            "start": parts.choice("fluctuations", "What kind of random image the climb starts from.",
                                  options=[NOISE, SPECTRUM]),
            **scales,
            "exponent": parts.number("spectral exponent", "How fast fine structure fades in the start.", value=1.5,
                                     min=0, max=4, step=0.1),
            "precursor": parts.switch("precursor", f"Start from the best of {CANDIDATES} fluctuations."),
            "gain": parts.number("contrast", "How strongly the shown picture is enhanced.", value=1.0, min=0.2, max=4,
                                 step=0.1),
        }  # fmt: skip

    def _show_kind(self, controls):
        """Show the sliders of the chosen kind of fluctuations only."""
        for name in (*self.noise, "exponent"):
            applies = (name == "exponent") == (controls["start"].value == SPECTRUM)
            controls[name].layout.display = None if applies else "none"

    def answer(self, settings):
        """Yield what is to be shown: the finished climb, and before it all frames if they are to be watched."""
        lines, family = self.lines_of(settings), self._family(settings)
        if self.several[0] != family:
            self.several = (), ()
            yield {"seeds": parts.NOTHING}
        if not (self.made and self.made.lines == lines) or hasattr(settings, "animated"):
            self.made = None
            made = yield from self._climbed(settings, lines)
            self.made = made if not made.ascent.stopped else None  # a climb that was stopped is no answer
        else:
            made = self.made
        yield self._pictures(made._replace(settings=settings))
        if family:
            yield {"seeds": self._row_of_seeds(settings, family)}

    def _family(self, settings):
        """The lines for each of a row of seeds, among them the one of the settings; none if one is enough."""
        first = min(settings.seed // SEEDS * SEEDS, parts.MOST_SEED + 1 - SEEDS)
        others = [SimpleNamespace(**{**vars(settings), "seed": first + number}) for number in range(SEEDS)]
        return [(other.seed, self.lines_of(other)) for other in others] if settings.several else ()

    def _row_of_seeds(self, settings, family):
        """What they lead to; made once, and shown with the contrast that is wanted."""
        if self.several[0] != family:
            ends = [collections.deque(self.run(lines)["climbing"], maxlen=1)[0] for _, lines in family]
            self.several = family, ends
        ends, seeds = self.several[1], [seed for seed, _ in family]
        shown = np.concatenate([contrast(images, gain=settings.gain) for _, images, _ in ends])
        return parts.pictures_of(shown, seeds, [f"seed {seed}" for seed in seeds], [f"{end[2][0]:.3g}" for end in ends])

    def _climbed(self, settings, lines):
        climbing, wanted = self.run(lines)["climbing"], set(report_steps(settings.epochs + 1, STRIP - 2))
        kept, values, stopped = [], [], False
        try:
            for step, images, value in climbing:
                if kept and kept[-1][0] not in wanted:
                    kept.pop()  # what the strip does not show is not kept: images may be large and steps many
                kept.append((step, images, value)), values.append(value[0])
                if hasattr(settings, "animated"):
                    yield {**self._large(images, settings), "progress": step / settings.epochs,
                           "status": f"step {step} of {settings.epochs}"}  # fmt: skip
                    time.sleep(min(ANIMATION / settings.epochs, LONGEST))
        except KeyboardInterrupt:
            stopped = True
        record = Ascent(*map(np.array, zip(*kept)), stopped)
        features = feature_extractor(self.model, settings.layer)
        activations = mean_activations(features, record.frames[[0, -1], 0])[:, settings.map]
        return MadeOip(lines, settings, record, int(kept[-1][0]), values, activations)

    def _large(self, images, settings):
        return {"strong": parts.large(contrast(images, gain=settings.gain)[0]),
                "plain": parts.large(as_calculated(images)[0])}  # fmt: skip

    def _pictures(self, made):
        record, settings = made.ascent, made.settings
        self.frames = {int(step): frame for step, frame in zip(record.steps, record.frames)}, settings
        labels, notes = [f"step {step}" for step in record.steps], [f"{value:.3g}" for value in record.values[:, 0]]
        strip = parts.pictures_of(as_calculated(record.frames[:, 0]), record.steps, labels, notes)
        caption = "OIP, contrast enhanced" if made.activations[1] else "still random: the map is silent"
        large = self._large(record.images, settings)
        return {
            **large, "strong": (large["strong"], caption),
            "start": parts.large(as_calculated(record.frames[0])[0], 112), "strip": strip,
            "curve": parts.curve(made.values, f"climbed: {settings.climbs}", made.steps),
            "status": self._sentence(made), "made": made, "progress": 1,
            "python": [*self.lines_of(settings, made.steps), "*_, (step, images, values) = climbing",
                       f"image_grid(contrast(images, gain={settings.gain:g}), limits=(0, 1), width=3)"],
        }  # fmt: skip

    def _show_step(self, step):
        """Show the step that is chosen in the strip."""
        if self.frames and step in self.frames[0]:
            frames, settings = self.frames
            png = self._large(frames[step], settings)["strong"]
            self.shown["strong"].value = png, f"step {step}, contrast enhanced"

    def lines_of(self, settings, steps=None):
        """Return the Python that climbs `steps` steps of what the settings say, all without a number."""
        extractor = "feature_extractor" if settings.climbs == "activation" else "pre_activation_extractor"
        leak = f", leak={CLIMBS[settings.climbs]}" if settings.climbs == "leaky pre-activation" else ""
        cut = f"[:{steps}]" if steps not in (None, settings.epochs) else ""
        return [
            f"features = {extractor}(model, {settings.layer!r})",
            *self._start_lines(settings),
            f"step_sizes = np.geomspace({settings.epsilon:g}, {settings.cooled_to:g}, {settings.epochs}){cut}",
            f"objective = Channels(features, [{settings.map}]{leak})",
            f"climbing = climb(objective, start, step_sizes, {'precondition=soften, ' * settings.softened}"
            "reports=range)",
        ]

    def _start_lines(self, settings):
        height, width, channels = self.shape
        weights = {int(name[6:]): getattr(settings, name) for name in self.noise}
        scales = {grid: weight for grid, weight in weights.items() if weight}
        if settings.start == NOISE and not scales:
            raise Refusal("all fluctuation scales are 0, so there is nothing to start from; raise one of them")
        maker, made = ("fluctuations", scales) if settings.start == NOISE else (
            "spectral_fluctuations", settings.exponent)
        size = "" if max(height, width) == 28 else f", size={max(height, width)}"
        fit = "" if height == width else f"[:, :{height}, :{width}]"
        fit += "" if channels == 1 else f".repeat({channels}, axis=-1)"
        count, name = (CANDIDATES, "candidates") if settings.precursor else (1, "start")
        lines = [f"{name} = {maker}({count}, {made}, seed={settings.seed}{size}){fit}"]
        if not settings.precursor:
            return lines
        return [*lines,
                f"start = find_precursors(feature_extractor(model, {settings.layer!r}), [{settings.map}], candidates)"]

    def _sentence(self, made):
        """What came of the climb, in words."""
        settings, (before, after) = made.settings, made.activations
        if not after:
            return f"silent: {self._hint(settings, before)}"
        end = parts.counted(made.steps, "step") + ", converged" * (made.ascent.status()[0] == "converged")
        if made.ascent.stopped:
            end = f"stopped after {made.steps} of {settings.epochs} steps"
        return f"map {settings.map} of {settings.layer}: mean activation {before:.3g} → {after:.3g}; {end}"

    def _hint(self, settings, before):
        """What to try where a climb ends silent, having begun with the mean activation `before`."""
        index = settings.map
        if before > 0:
            return f"the start excites map {index}, but the climb lost it; try smaller steps"
        if settings.climbs != "activation":
            return f"nothing was found that excites map {index}; try other steps or another seed"
        if not settings.precursor:
            features = feature_extractor(self.model, settings.layer)
            settings = type(settings)(**{**vars(settings), "precursor": True})
            best = self.run(self._start_lines(settings))["start"]
            if mean_activations(features, best)[0, index] > 0:
                return f"this start does not excite map {index}; a precursor does"
        return f"none of {CANDIDATES} starts excites map {index}; climb the leaky pre-activation"


def save_oip(made):
    """Write the picture as a PNG file, and return the sentence that says so."""
    shown = contrast(made.ascent.images, gain=made.settings.gain)[0]
    times = max(1, 560 // max(shown.shape))
    shown = shown.repeat(times, axis=0).repeat(times, axis=1)
    stem = f"oip_{made.settings.layer}_map_{made.settings.map}"
    return parts.saved(stem, ".png", lambda path: save_picture(path, shown))
