"""The dream lab: carve maps into a photograph, yours too, and watch it change pass by pass (notebook 06)."""

import re
from typing import NamedTuple

import numpy as np

from helpers.activations import feature_extractor
from helpers.dreams import SIGHT, UNTOLD
from helpers.geometry import any_size
from helpers.images import contrast
from helpers.photos import png_bytes, save_film, save_picture
from helpers.widgets import parts
from helpers.widgets.parts.digits import Upload, source_of
from helpers.widgets.parts.explorer import Explorer, Refusal, refusals
from helpers.widgets.parts.lines import Runner

WHOLE, QUADRANTS, TILES, CASCADE, OCTAVES = (
    "the whole photo", "whole, then quadrants", "tiles", "cascade of tiles", "octaves",
)  # fmt: skip
GRIDS = {QUADRANTS: (1, 2), CASCADE: (1, 2, 4, 8)}
LISTED, RANDOM, STRONGEST = "the maps, in turn", "a random map each", "the map it answers to most"
ONE_PLANE, EACH_COLOR = "keep those of the photo", "dream red, green, blue"
SIZES = (280, 560, 1120)  # pixels along an edge; multiples of FILM
FILM, STRIP, STRIP_CELL = 280, 6, 72  # edge of the film's pictures; how many the strip has, and their edge
SECONDS_EACH = 0.4  # how long the film shows a pass
MOST_MAPS, MOST_TILES, MOST_PASSES = 12, 20, 10  # what still answers soon
SCALE = 1.4  # of the octaves, as in carve_octaves
LEAK = 0.1  # what a pre-activation below zero counts, so that no map is without a gradient
CENTER = 0.46  # of `contrast` for photographs
ARTICLES = {"scheme": WHOLE, "maps": "56", "passes": 4, "epochs": 30, "epsilon": 0.01}
PRESETS = {
    "flower in lines": {},
    "three colors": {"colors": EACH_COLOR, "maps": "37, 88, 11"},
    "one map as a pen": {"maps": "88"},
    "a patchwork": {"scheme": TILES, "maps": "56", "aim": STRONGEST, "tiles": 8, "epochs": 30, "passes": 3,
                    "epsilon": 0.0316},
    "from large to small": {"scheme": CASCADE, "maps": "56", "passes": 1, "epochs": 30, "epsilon": 0.0316},
    "the articles' way": ARTICLES,
}  # fmt: skip


class MadeDream(NamedTuple):
    """A dream, done or on its way: `frames` holds the photo and what each pass left, small, for strip and film."""

    settings: object
    lines: list
    photo: np.ndarray
    dream: np.ndarray
    frames: tuple

    @property
    def passes(self):
        return len(self.frames) - 1


def dream_lab(model=None, **settings):
    """Return an explorer of dreams: choose a photo, maps and a scheme, and see them carved into it pass by pass.

    Any Keras model with convolutional layers will do, without one it is the shipped CNN; only one whose layers fit
    any size dreams in octaves. The settings are those of the controls: `dream_lab(cnn, photo="me.jpg", maps="88",
    jitter=4)`; "all" maps are the whole layer. The lab shows the Python that makes the picture. Introduced in
    notebook 06.
    """
    model = parts.checked_model(model)
    return _DreamLab(model, settings).explorer


class _DreamLab:
    def __init__(self, model, opened):
        self.shape = parts.image_shape(model)
        self.model, self.run, self.made, self.loaded = model, Runner(model), None, (None, b"")
        self.run_oips = Runner(model)  # apart: a runner forgets what its last lines did not need
        self.controls = self._controls(schemes_of(model))
        self.shown = {
            "after": parts.Picture("after: the dream", "49%"), "before": parts.Picture("before", "49%"),
            "strip": parts.Sheet(name="pass", edge=STRIP_CELL), "oips": parts.Sheet(name="OIP of map"),
        }  # fmt: skip
        pictures = [parts.wiped(self.shown["after"], self.shown["before"]), self.shown["strip"], self.shown["oips"]]
        dice = parts.button("roll the dice", "random", "Another map, or another seed, at random.")
        flower = parts.button("the flower again", "leaf", "The photo that comes with the lab.")
        save = parts.button("save PNG", "download", "Write the dream into the folder of the notebook.")
        film = parts.button("save GIF", "film", "Write a film of the passes, there and back.")
        presets = {name: values for name, values in PRESETS.items()
                   if self._has(values.get("maps", "all"))}  # fmt: skip
        self._show_applicable()
        for name in ("scheme", "aim", "size"):
            self.controls[name].observe(self._show_applicable, "value")
        self.controls["layer"].observe(self._new_layer, "value")
        self.explorer = Explorer(
            self.controls, self.shown, self.answer, "dream_lab(model)", model, opened, presets,
            more=[name for name in self.controls
                  if name not in ("photo", "scheme", "layer", "maps", "softened", "passes", "strength")],
            pictures=pictures, buttons=[parts.row(dice, flower, save, film)],
        )  # fmt: skip
        self.explorer.on_click(dice, self._roll)
        self.explorer.on_click(flower, lambda: self.explorer.set(photo=""))
        self.explorer.saves(save, save_dream)
        self.explorer.saves(film, save_passes)
        self.explorer.on_change(self.shown["strip"], self._show_pass, "chosen")

    def _controls(self, schemes):
        gains = [("as it is", 0.0), *((f"{gain:.1f}", float(gain)) for gain in np.arange(8, 21) / 10)]
        return {
            "photo": Upload(label="your photo", tip="A picture from your disk, or dropped here; of a long one the "
                                                    "middle square is taken."),
            "scheme": parts.choice("dream in", "Which parts of the photo the network sees at once.", options=schemes,
                                   value=schemes[0]),
            "layer": parts.layer_choice(self.model),
            "maps": parts.text("map(s)", "One map index, several such as 3, 1, 4, or all for the whole layer.",
                               value="all"),
            "tiles": parts.whole("tiles per edge", "How many tiles lie along each edge.", value=4, min=1,
                                 max=MOST_TILES),
            "aim": parts.choice("each tile climbs", "Which map is carved into which tile.",
                                options=[LISTED, RANDOM, STRONGEST]),
            "passes": parts.whole("octaves", "How often it is done, each time on what the last one left.", value=5,
                                  min=1, max=MOST_PASSES),
            "strength": parts.number("strength", "What each change is multiplied by.", value=1.0, min=0, max=4,
                                     step=0.1),
            "softened": parts.switch("softened: strokes instead of speckle", "Climb along smooth paths first."),
            "size": parts.choice("photo size", "Larger ones take longer.", value=560,
                                 options=[(f"{size} x {size} pixels", size) for size in SIZES]),
            "epochs": parts.whole("epochs (steps)", "How many steps each pass climbs.", value=10, min=1, max=100),
            "epsilon": parts.log_number("epsilon (step size)", "How far each step goes.", value=0.05, min=-3, max=0,
                                        step=0.1),
            "jitter": parts.whole("jitter", "Up to how many pixels the photo is shifted before each step, so that "
                                            "no pattern clings to one grid.", value=0, min=0, max=8),
            "colors": parts.choice("colors", "Dream brightness alone, or each color for itself.",
                                   options=[ONE_PLANE, EACH_COLOR] if self.shape[2] == 1 else [ONE_PLANE]),
            "gain": parts.choice("contrast", "How strongly the shown dream is enhanced.", options=gains),
            "seed": parts.seed(),
        }  # fmt: skip

    def _count(self):
        return feature_extractor(self.model, self.controls["layer"].value).output_shape[-1]

    def _has(self, maps):
        return maps == "all" or max(map(int, re.findall(r"\d+", maps))) < self._count()

    def _new_layer(self, change):
        """Name maps that the new layer has; what is no list of numbers stays for the reader to mend."""
        count, text = self._count(), self.controls["maps"]
        text.value = re.sub(r"\d{1,9}", lambda number: str(int(number[0]) % count), text.value)

    def _show_applicable(self, change=None):
        """Show only the controls that the chosen scheme heeds, with the range they have there."""
        c = self.controls
        scheme, size = c["scheme"].value, c["size"].value
        in_tiles = scheme in (QUADRANTS, TILES, CASCADE)
        at_random, strongest = (in_tiles and c["aim"].value == aim for aim in (RANDOM, STRONGEST))
        applies = {"tiles": scheme == TILES, "aim": in_tiles, "colors": not in_tiles, "jitter": not in_tiles,
                   "seed": at_random or not in_tiles}  # fmt: skip
        for name, does in applies.items():
            c[name].layout.display = None if does else "none"
        c["maps"].disabled = at_random or strongest
        c["tiles"].max = min(MOST_TILES, size // max(self.shape[:2]))
        c["passes"].max = most_octaves(size, max(self.shape[:2])) if scheme == OCTAVES else MOST_PASSES
        c["passes"].description = {OCTAVES: "octaves", QUADRANTS: "passes in each", CASCADE: "passes in each"}.get(
            scheme, "passes")

    def _roll(self):
        rng = np.random.default_rng()
        if self.controls["maps"].disabled:
            self.explorer.set(seed=int(rng.integers(parts.MOST_SEED + 1)))
        else:
            self.explorer.set(maps=str(rng.integers(self._count())))

    def answer(self, settings):
        """Yield the dream so far after each pass, and in the end all that is told of it."""
        with refusals():
            indices = () if self.controls["maps"].disabled else named_maps(settings.maps, settings.layer, self._count())
            load = f"photo = load_photo({source_of(settings.photo) + ', ' if settings.photo else ''}"
            photo = self.run([load + f"size={settings.size})"])["photo"]
        lines = [load + f"size={settings.size})", *carving_lines(settings, indices, self.shape)]
        if not (self.made and self.made.lines == lines):
            self.made = None
            made = yield from self._carved(settings, lines, photo)
            self.made = made if made.passes == total(settings) else None  # what was stopped is no answer
        else:
            made = self.made
        yield finished(made._replace(settings=settings), indices)
        yield {"oips": parts.NOTHING if indices in ((), (None,)) else self._patterns(settings.layer, indices)}

    def _patterns(self, layer, indices):
        """What the named maps look for: their OIPs."""
        wanted = ", ".join(dict.fromkeys(map(str, indices)))
        oips = self.run_oips([f"oips = create_oips(model, {layer!r}, [{wanted}], seed=0)"])["oips"]
        if oips.ascent.stopped:  # half grown, they are no answer
            self.run_oips.made = {}
            raise KeyboardInterrupt
        return parts.pictures_of(contrast(oips.images), oips.indices, [f"map {index}" for index in oips.indices])

    def _carved(self, settings, lines, photo):
        made = MadeDream(settings, lines, photo, photo, (shrunk(photo),))
        if self.loaded[0] is not photo:
            self.loaded = photo, png_bytes(photo)
        said = f"before: {settings.photo or 'a flower'}"
        try:
            yield {"before": (self.loaded[1], parts.html.escape(said)), "progress": 0, "oips": parts.NOTHING,
                   "status": f"{unit(settings)} 1 of {total(settings)} …"}  # fmt: skip
            for dream in self.run(lines)["dreaming"]:
                made = made._replace(dream=dream, frames=(*made.frames, shrunk(dream)))
                if made.passes < total(settings):
                    yield {"after": png_bytes(presented(made.frames[-1], settings.gain)),
                           "progress": made.passes / total(settings),
                           "status": f"{unit(settings)} {made.passes + 1} of {total(settings)} …"}  # fmt: skip
        except KeyboardInterrupt:
            pass  # a Stop keeps the last pass
        return made

    def _show_pass(self, number):
        """Show the pass that is chosen in the strip."""
        made = self.explorer.made
        if made and 0 <= number < len(made.frames):
            picture = made.dream if number == made.passes else made.frames[number]
            caption = "after: the dream" if number == made.passes else label_of(made.settings, number)
            self.shown["after"].value = png_bytes(presented(picture, made.settings.gain)), caption


def schemes_of(model):
    """Return the schemes in which a model can dream, the best first."""
    try:
        any_size(model)
    except ValueError:  # its layers fit one size of images only
        return WHOLE, QUADRANTS, TILES, CASCADE
    return OCTAVES, WHOLE, QUADRANTS, TILES, CASCADE


def named_maps(text, layer, count):
    """Return the map indices that a text such as "56" or "56, 11, 39" names, as a tuple; "all" gives (None,)."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if not words:
        raise Refusal(f"no map is named; give a number from 0 to {count - 1}, several with commas between them, or all")
    if words == ["all"]:
        return (None,)
    for word in words:
        if not re.fullmatch(r"-?[0-9]+", word):
            raise Refusal(f"{word[:40]!r} is no map index; give numbers from 0 to {count - 1}, such as 3, 1, or all")
        if len(word) > 9 or not 0 <= int(word) < count:
            raise Refusal(f"map {word[:40]} does not exist: {layer} has 0 to {count - 1}")
    if len(words) > MOST_MAPS:
        raise Refusal(f"{len(words)} maps are too many at once; name up to {MOST_MAPS}")
    return tuple(int(word) for word in words)


def carving_lines(settings, indices, sight):
    """Return the Python between the photo and `dreaming`, a generator of the photo after each pass.

    `sight` is the (height, width, channels) of what the network sees.
    """
    octaves, in_tiles = settings.scheme == OCTAVES, settings.scheme in (*GRIDS, TILES)
    whole_layer = indices == (None,)
    extractor = "feature_extractor" if whole_layer else "pre_activation_extractor"
    lines = ["trunk = any_size(model)"] * octaves + [
        f"features = {extractor}({'trunk' if octaves else 'model'}, {settings.layer!r})",
        f"step_sizes = np.full({settings.epochs}, {settings.epsilon:g})",
    ]
    soft = ", precondition=soften" if settings.softened else ""
    rest = f"step_sizes=step_sizes, strength={settings.strength:g}{soft}"
    if in_tiles:
        aim = {LISTED: f"listed_maps(features, {list(indices)})", STRONGEST: "strongest_maps(features)",
               RANDOM: f"random_maps(features, seed={settings.seed})"}[settings.aim]  # fmt: skip
        if whole_layer:  # such an aim does not tell what its network sees
            aim, rest = "lambda tiles, numbers: WholeLayer(features)", rest + (f", sight={sight}" * (sight != UNTOLD))
        grids = GRIDS.get(settings.scheme)
        call = f"carve_cascade(aim, photo, {grids}" if grids else f"carve_tiles(aim, photo, {settings.tiles}"
        return [*lines, f"aim = {aim}", f"dreaming = {call}, {settings.passes}, {rest})"]
    objective = objective_of(indices)
    jitter = "Jittered({}, tf.random.Generator.from_seed(" + f"{settings.seed}), {settings.jitter})"
    shaken = jitter.format("objective") if settings.jitter else "objective"
    carving = f"carve_octaves({{}}, {{}}, {settings.passes}, {SCALE}, " if octaves else (
        f"carve({{}}, {{}}, {settings.passes}, ")
    if settings.colors == ONE_PLANE:
        return [*lines, f"objective = {objective}", f"dreaming = {carving.format(shaken, 'photo')}{rest})"]
    if len(indices) not in (1, 3):
        raise Refusal(f"{len(indices)} maps are named; to dream each color name 3, one for each, or 1 or all for all")
    each = [objective_of((index,)) for index in indices] * (3 // len(indices))
    plane = carving.format(shaken, "photo[..., [color]]")
    return [*lines, f"objectives = [{', '.join(each)}]",
            "dreaming = (np.concatenate(planes, axis=-1) for planes in zip(*[\n"
            f"    {plane}{rest})\n    for color, objective in enumerate(objectives)]))"]  # fmt: skip


def objective_of(indices):
    """Return the Python expression for what is climbed."""
    if indices == (None,):
        return "WholeLayer(features)"
    if len(indices) == 1:
        return f"Channels(features, {list(indices)}, leak={LEAK})"
    each = f"Channels(features, [index], leak={LEAK}) for index in {list(indices)}"
    return f"Mixed([{each}], {[1] * len(indices)})"


def total(settings):
    """Return how many passes (or octaves) there are to come."""
    return settings.passes * len(GRIDS.get(settings.scheme, (1,)))


def unit(settings):
    """Return what one of them is called."""
    return "octave" if settings.scheme == OCTAVES else "pass"


def most_octaves(size, sight):
    """Return how many octaves are to be had of a photo: the smallest is still as large as what the network sees."""
    return sum(round(size / SCALE**octave) >= max(sight, SIGHT) for octave in range(MOST_PASSES))


def shrunk(photo):
    """Return the photo as the film shows it: `(FILM, FILM, channels)`."""
    times = photo.shape[0] // FILM
    return photo.reshape(FILM, times, FILM, times, -1).mean(axis=(1, 3))


def presented(photo, gain):
    """Return the photo with the contrast that was chosen."""
    return contrast(photo[np.newaxis], CENTER, gain)[0] if gain else photo


def finished(made, indices):
    """Return the update that shows a dream which is done."""
    settings, shown = made.settings, np.unique(np.linspace(0, made.passes, STRIP).round().astype(int))
    frames = np.stack([presented(made.frames[number], settings.gain) for number in shown])
    take = "*_, dream = " + ("dreaming" if made.passes == total(settings) else f"islice(dreaming, {made.passes})")
    picture = "dream[np.newaxis]"
    picture = f"contrast({picture}, center={CENTER}, gain={settings.gain:g})" if settings.gain else picture
    return {
        "after": (png_bytes(presented(made.dream, settings.gain)), "after: the dream"), "progress": 1,
        "strip": parts.pictures_of(frames, shown, [label_of(settings, number) for number in shown], edge=STRIP_CELL),
        "status": sentence_of(made, indices), "made": made,
        "python": [*made.lines, take if made.passes else "dream = photo",
                   f"image_grid({picture}, limits=(0, 1), width=5)"],
    }  # fmt: skip


def label_of(settings, number):
    """Return what stands above a frame of the strip."""
    if number == 0:
        return "photo"
    level, earlier = divmod(int(number) - 1, settings.passes)
    grid = GRIDS[settings.scheme][level] if settings.scheme in GRIDS else 0
    return f"{grid} x {grid}: {earlier + 1}" if grid else f"{unit(settings)} {number}"


def sentence_of(made, indices):
    """Return what came of it in words."""
    settings, change = made.settings, np.abs(made.dream - made.photo).mean()
    count = total(settings)
    several = parts.counted(count, unit(settings), "passes" if unit(settings) == "pass" else "")
    course = f"{several} of {parts.counted(settings.epochs, 'step')}"
    if made.passes < count:
        course = f"stopped after {made.passes} of {several}"
    if not settings.strength:
        return f"{course}: nothing changed, since the strength is 0"
    named = f"map{'s' * (len(indices) > 1)} {', '.join(map(str, indices))} of " if None not in indices else "all of "
    own = {RANDOM: "random maps of ", STRONGEST: "strongest maps of "}
    climbed = named if indices else own[settings.aim]
    return f"{course}, {climbed}{settings.layer}: mean change {change:.1%} of the range"


def _stem(settings):
    return "dream_" + re.sub(r"\W+", "_", f"{settings.scheme} {settings.maps}")


def save_dream(made):
    """Write the dream as a PNG file, and return the sentence that says so."""
    shown = presented(made.dream, made.settings.gain)
    return parts.saved(_stem(made.settings), ".png", lambda path: save_picture(path, shown))


def save_passes(made):
    """Write a film of the passes, there and back, as a GIF file, and return the sentence that says so."""
    frames = [presented(frame, made.settings.gain) for frame in made.frames]
    return parts.saved(_stem(made.settings), ".gif",
                       lambda path: save_film(path, [*frames, *frames[-2:0:-1]], SECONDS_EACH),
                       f": {len(frames)} pictures of {FILM} x {FILM} pixels")  # fmt: skip
