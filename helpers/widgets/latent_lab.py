"""The latent lab: what an autoencoder paints at any place of its latent space, live (notebook 09)."""


import anywidget
import numpy as np
import traitlets

from helpers.images import to_display
from helpers.latent.autoencoders import SHIPPED, halves
from helpers.photos import save_picture
from helpers.widgets import parts
from helpers.widgets.parts.digits import Digits
from helpers.widgets.parts.explorer import Explorer, refusals
from helpers.widgets.parts.lines import Runner

STUDIED, DOTTED = 5_000, 900  # training digits that are encoded, and that the map shows
AXES, REACH = 8, 3.0  # main components with a slider, and how far each goes, in deviations
STEPS = 101  # of a walk
DRAWN = 16  # vectors on a sheet
METHODS = {
    "real vectors": "same_vectors(latents)", "uniform cube": "uniform_cube(latents)",
    "own distributions": "own_distributions(latents)", "full covariance": "full_covariance(latents)",
    "main components": "main_components(latents)", "mixture": "gaussian_mixture(latents, parts=20)",
}  # fmt: skip
SLIDERS, WALK, SHEET = "the sliders", "the walk", "the sheet"
WALKS = {"straight": "straight_walk(first, last, {})", "arc": "arc_walk(first, last, {}, axes.center)"}
OWN = "yours"
PRESETS = {
    "the middle of all": {},
    "a walk": {"shown": WALK, "walk": 50},
    "drawn by the mixture": {"shown": SHEET, "method": "mixture"},
    "a cube misses": {"shown": SHEET, "method": "uniform cube"},
}


def latent_lab(model=None, autoencoder=None, **settings):
    """Return an explorer of an autoencoder's latent space, with the verdict of `model`, a CNN, on what it paints.

    Without arguments both are shipped ones. An autoencoder of your own is one of `build_autoencoder`, with at least 2
    components; it and the CNN must see 28x28 gray images. `settings` open it at a place, such as `axis_1=2.0`. Raises
    ValueError for networks that do not fit. Introduced in notebook 09.
    """
    model = parts.checked_model(model)
    if autoencoder is not None:
        shape, size = halves(autoencoder).encoder.input_shape[1:], halves(autoencoder).encoder.output_shape[-1]
        if shape != (28, 28, 1) or size < 2:
            raise ValueError(f"the autoencoder has images of shape {shape} and {size} latent component(s); latent_lab "
                             "needs images of (28, 28, 1) and at least 2")
    if parts.image_shape(model) != (28, 28, 1) or len(model.output_shape) != 2:
        raise ValueError(f"model {model.name!r} sees images of shape {parts.image_shape(model)}; latent_lab needs a "
                         "CNN that sees (28, 28, 1) and gives one number for each class")
    return _Lab(model, autoencoder, settings).explorer


class Plane(anywidget.AnyWidget):
    """A map of two main components: digits as numerals in the colors of their classes, and a place to move.

    `here` is the place of what is shown, `way` that of a walk, `wanted` where the reader points to: pairs, in
    deviations.
    """

    _esm = parts.HERE / "plane.js"
    points = traitlets.Bytes().tag(sync=True)  # float32: across, up, class, and so on
    here, wanted = (traitlets.List([0.0, 0.0]).tag(sync=True) for _ in range(2))
    way = traitlets.List().tag(sync=True)
    across, up = (traitlets.Unicode().tag(sync=True) for _ in range(2))
    reach = traitlets.Float(REACH).tag(sync=True)

    @property
    def value(self):
        return {name: getattr(self, name) for name in ("points", "here", "way", "across", "up")}

    @value.setter
    def value(self, shown):
        with self.hold_sync():
            for name, value in shown.items():
                setattr(self, name, value)


class _Lab:
    def __init__(self, model, autoencoder, opened):
        given = {} if autoencoder is None else {"autoencoder": autoencoder}
        self.kinds = [OWN] if given else list(SHIPPED)
        self.count = min(AXES, halves(autoencoder).encoder.output_shape[-1]) if given else AXES
        self.model, self.run, self.roll = model, Runner(model, **given), Runner(model, **given)
        controls = self.controls = self._controls()
        self.shown = {"plane": Plane(), "picture": parts.Picture("what it decodes to"), "verdict": parts.HTML(),
                      "sheet": parts.Sheet(edge=53, name="drawn digit")}  # fmt: skip
        beside = parts.VBox([self.shown["picture"], self.shown["verdict"]],
                            layout={"width": "40%", "overflow": "visible"})
        self.shown["plane"].layout.width = "56%"
        save = parts.button("save PNG", "download", "Write the picture into the folder of the notebook.")
        rolls = [parts.button(name, "random", f"Roll a sheet of {DRAWN} by this method.") for name in METHODS]
        folded = ["path", "first", "last", "method", "seed", "number", "across", "up"]
        self.explorer = Explorer(
            controls, self.shown, self.answer, "latent_lab(model)" if not given else "latent_lab(model, autoencoder)",
            model, opened, PRESETS, more=folded, pictures=[parts.row(self.shown["plane"], beside), self.shown["sheet"]],
            buttons=[parts.row(*rolls), parts.row(save)],
        )  # fmt: skip
        for button in rolls:
            self.explorer.on_click(button, lambda name=button.description: self._roll(name))
        for kind, names in {SLIDERS: self._axis_names(), WALK: ["walk", "path", "first", "last"],
                            SHEET: ["method", "seed", "number"]}.items():  # fmt: skip
            for name in names:
                self.explorer.on_change(controls[name], lambda _, kind=kind: controls["shown"].set_trait("value", kind))
        self.shown["sheet"].link_to(controls["number"])
        self.explorer.on_change(self.shown["plane"], self._point, "wanted")
        self.explorer.saves(save, save_drawn)

    def _axis_names(self):
        return [f"axis_{number + 1}" for number in range(self.count)]

    def _controls(self):
        images, labels = parts.default_digits()
        tip = "How far along it, in deviations of real digits."
        axis = {name: parts.number(f"main component {name[5:]}", tip, value=0.0, min=-REACH, max=REACH, step=0.05)
                for name in self._axis_names()}
        numbers = list(range(1, self.count + 1))
        return {
            "autoencoder": parts.choice("autoencoder", "How many numbers a digit becomes.", options=self.kinds),
            **axis,
            "walk": parts.whole("walk", "How far from the first digit to the last, in percent.", value=0, min=0,
                                max=100),
            "path": parts.choice("path", "Straight, or on an arc around the center.", options=list(WALKS)),
            "first": Digits(images, labels, 0), "last": Digits(images, labels, 1),
            "method": parts.choice("method", "How new latent vectors are drawn.", options=list(METHODS),
                                   value="mixture"),
            "seed": parts.seed(),
            "number": parts.whole("number on the sheet", "Which of the drawn vectors.", value=0, min=0,
                                  max=DRAWN - 1),
            "across": parts.choice("map, across", "Main component along the map's width.", options=numbers, value=1),
            "up": parts.choice("map, up", "Main component along the map's height.", options=numbers, value=2),
            "shown": parts.choice("picture of", "Where the latent vector comes from.", options=[SLIDERS, WALK, SHEET]),
        }  # fmt: skip

    def _roll(self, method):
        self.explorer.set(method=method, seed=int(np.random.default_rng().integers(parts.MOST_SEED + 1)), shown=SHEET)

    def _point(self, place):
        names = [f"axis_{self.controls[name].value}" for name in ("across", "up")]
        self.explorer.set(**dict(zip(names, place)), shown=SLIDERS)

    def answer(self, settings):
        """Yield what the autoencoder paints at the place that the settings say, then the sheet of drawn vectors."""
        lines = self.lines_of(settings)
        with refusals():
            space = self.run(lines)
        image, coordinates = space["image"], space["axes"].coordinates(space["vectors"])
        probabilities = np.asarray(self.model(image, training=False))[0]
        yield {
            "picture": parts.large(to_display(image)[0]), "plane": self._plane(settings, space, coordinates[0]),
            "verdict": parts.class_bars(probabilities), "made": (settings, image),
            "status": self._sentence(probabilities, space, coordinates),
            "python": [*lines, "image_grid(to_display(image), limits=(0, 1), width=3)"],
        }  # fmt: skip
        drawn = self.roll([*self._space_lines(settings), *self._draw_lines(settings),
                           "images = decode(autoencoder, vectors)"])  # fmt: skip
        read = np.asarray(self.model(drawn["images"], training=False)).argmax(axis=1)
        yield {"sheet": parts.pictures_of(to_display(drawn["images"]), range(DRAWN), [""] * DRAWN, read, columns=8)}

    def _space_lines(self, settings):
        kind = settings.autoencoder
        return [*([] if kind == OWN else [f"autoencoder = load_autoencoder({kind!r})"]),
                'digits, classes = load_digits("train")', f"latents = encode(autoencoder, digits[:{STUDIED}])",
                "axes = main_axes(latents)"]

    def _draw_lines(self, settings):
        return [f"draw = {METHODS[settings.method]}", f"vectors = draw({DRAWN}, seed={settings.seed})"]

    def lines_of(self, settings):
        """Return the Python that paints what the settings say."""
        if settings.shown == WALK:
            ends = [[*self.controls[end].lines(getattr(settings, end)), f"{end} = encode(autoencoder, digit)[0]"]
                    for end in ("first", "last")]
            way = [*ends[0], *ends[1], f"way = {WALKS[settings.path].format(STEPS)}",
                   f"vectors = way[{settings.walk}:{settings.walk + 1}]"]
        elif settings.shown == SHEET:
            way = [*self._draw_lines(settings), f"vectors = vectors[{settings.number}:{settings.number + 1}]"]
        else:
            places = [getattr(settings, name) for name in self._axis_names()]
            way = [f"vectors = axes.vectors([{places}])"]
        return [*self._space_lines(settings), *way, "image = decode(autoencoder, vectors)"]

    def _plane(self, settings, space, coordinates):
        pair = [settings.across - 1, settings.up - 1]
        real = space["axes"].coordinates(space["latents"][:DOTTED])[:, pair]
        way = space["axes"].coordinates(space["way"][::5])[:, pair].tolist() if settings.shown == WALK else []
        points = np.c_[real, space["classes"][:DOTTED]].astype(np.float32).tobytes()
        return {"points": points, "here": coordinates[pair].tolist(), "way": way,
                "across": f"main component {settings.across}", "up": f"main component {settings.up}"}

    def _sentence(self, probabilities, space, coordinates):
        real = np.sqrt((space["axes"].coordinates(space["latents"]) ** 2).mean(axis=1))
        here = float(np.sqrt((coordinates**2).mean()))
        return (f"the CNN reads a {probabilities.argmax()}, {probabilities.max():.0%}; {here:.2f} deviations from the "
                f"center, real digits lie at {real.mean():.2f} ± {real.std():.2f}")


def save_drawn(made):
    """Write the picture as a PNG file, and return the sentence that says so."""
    settings, image = made
    shown = to_display(image)[0].repeat(20, axis=0).repeat(20, axis=1)
    return parts.saved(f"latent_{settings.autoencoder}", ".png", lambda path: save_picture(path, shown))
