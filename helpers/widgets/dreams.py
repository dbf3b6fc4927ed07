"""The dream lab: carve maps into a photograph, yours too, and watch it change pass by pass (notebook 06)."""

import html
import re
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import ipywidgets as widgets
import numpy as np

from helpers.activations import conv_layers, pre_activation_extractor
from helpers.ascent import identity, soften
from helpers.dreams import (
    SIGHT,
    carve,
    carve_octaves,
    carve_tiles,
    channels,
    listed_maps,
    luma,
    random_maps,
    strongest_maps,
)
from helpers.geometry import any_size
from helpers.images import contrast
from helpers.objectives import Channels, Mixed
from helpers.photos import load_photo, png_bytes, save_film, save_picture
from helpers.widgets import frame_before as parts

WHOLE, QUADRANTS, TILES, CASCADE, OCTAVES = (
    "the whole photo", "whole, then quadrants", "tiles", "cascade of tiles", "octaves",
)  # fmt: skip
SCHEMES = (WHOLE, QUADRANTS, TILES, CASCADE, OCTAVES)
LISTED, RANDOM, STRONGEST = "the maps, in turn", "a random map each", "the map it answers to most"
ONE_PLANE, EACH_COLOR = "keep those of the photo", "dream red, green, blue"
APPLYING_AT_TIMES = ("tiles", "aim", "seed", "colors")  # controls that are hidden where a scheme does not heed them
SIZES = (280, 560, 1120)  # pixels along an edge; multiples of FILM
FILM, STRIP, STRIP_CELL = 280, 6, 84  # edge of the film's pictures; how many the strip has, and their edge
SECONDS_EACH = 0.4  # how long the film shows a pass
MOST_MAPS, MOST_TILES, MOST_PASSES = 12, 20, 10  # what still answers soon
SCALE = 1.4  # of the octaves, as in carve_octaves
HOMES = {
    "itertools": ("islice",),
    "helpers.activations": ("pre_activation_extractor",),
    "helpers.ascent": ("soften",),
    "helpers.dreams": ("carve", "carve_octaves", "carve_tiles", "channels", "listed_maps", "random_maps",
                       "strongest_maps"),
    "helpers.figures": ("image_grid",),
    "helpers.geometry": ("any_size",),
    "helpers.images": ("contrast",),
    "helpers.objectives": ("Channels", "Mixed"),
    "helpers.photos": ("load_photo",),
}  # what the Python call may name, and where it comes from
LEAK = 0.1  # what a pre-activation below zero counts, so that no map is without a gradient
CENTER, GAINS = 0.46, np.arange(8, 21) / 10  # of `contrast` for photographs
_trunks = WeakKeyDictionary()  # for octaves, built once: a new one would be compiled anew


class DreamSettings(NamedTuple):
    """What the controls say; `name` and `content` are those of an uploaded file, "" and b"" stand for the flower."""

    name: str
    content: bytes
    size: int
    layer: str
    maps: tuple
    scheme: str
    tiles: int
    aim: str
    seed: int
    passes: int
    epochs: int
    epsilon: float
    strength: float
    softened: bool
    colors: str
    gain: float

    @property
    def levels(self):
        """How many tiles lie along an edge, one entry for each grid of tiles; none if the scheme has no tiles."""
        return {QUADRANTS: (1, 2), TILES: (self.tiles,), CASCADE: (1, 2, 4, 8)}.get(self.scheme, ())

    @property
    def total(self):
        """How many passes (or octaves) there are to come."""
        return self.passes * max(1, len(self.levels))

    @property
    def unit(self):
        """What one of them is called."""
        return "octave" if self.scheme == OCTAVES else "pass"


class MadeDream(NamedTuple):
    """A dream, done or on its way: `frames` holds the photo and what each pass left, small, for strip and film."""

    settings: DreamSettings
    photo: np.ndarray
    dream: np.ndarray
    frames: tuple
    done: bool = False

    @property
    def passes(self):
        return len(self.frames) - 1


def dream_lab(model):
    """Return an explorer of dreams: choose a photo, maps and a scheme, and see them carved into it pass by pass.

    Any Keras model with convolutional layers that sees 28 x 28 gray pixels will do; one of another size can dream
    octaves only. Raises ValueError for a model that does neither. The pictures are those of `dreams.carve`,
    `carve_tiles` and `carve_octaves`, and the lab shows the Python call that makes them. Introduced in notebook 06.
    """
    return _DreamLab(model).frame.view


class _DreamLab:
    def __init__(self, model):
        self.model, self.schemes = model, schemes_of(model)
        self.made, self.loaded = None, (None, None, b"")
        self._build_controls()
        self._build_pictures()
        c = self.controls
        controls = [
            parts.row(self.upload, self.flower), self.limit, c["size"], c["layer"], parts.row(c["maps"], self.dice),
            c["scheme"], c["tiles"], c["aim"], c["seed"], c["passes"], c["epochs"], c["epsilon"], c["strength"],
            c["colors"], c["gain"], c["softened"], parts.row(self.save, self.film),
        ]  # fmt: skip
        self.frame = parts.Frame(controls, self.shown, self.read, self.make, self.paint)
        self._connect()
        self._show_applicable()
        self.frame.ask()

    def _build_controls(self):
        layers = conv_layers(self.model)
        wide = {"style": parts.NAMES, "layout": parts.WIDE}
        slider, choice = partial(widgets.IntSlider, **wide), partial(widgets.Dropdown, **wide)
        self.upload = widgets.FileUpload(accept="image/*", description="your photo")
        self.flower = widgets.Button(description="the flower again", tooltip="the photo that comes with the lab")
        self.limit = widgets.HTML(parts.small("A file over 9 MB never arrives here: make it smaller first. Of a long "
                                              "picture the middle square is taken."))
        first = min(56, maps_of(self.model, layers[-1]) - 1)
        gains = [("as it is", 0.0), *((f"{gain:.1f}", float(gain)) for gain in GAINS)]
        self.controls = {
            "size": choice(options=[(f"{size} x {size} pixels", size) for size in SIZES], value=560,
                           description="photo size"),
            "layer": choice(options=layers, value=layers[-1], description="layer"),
            "maps": widgets.Text(str(first), description="map(s)", tooltip="one, or several such as 3, 1, 4",
                                 style=parts.NAMES, layout=widgets.Layout(flex="1 1 200px", min_width="180px")),
            "scheme": choice(options=self.schemes, description="dream in"),
            "tiles": slider(4, 1, MOST_TILES, description="tiles per edge"),
            "aim": choice(options=[LISTED, RANDOM, STRONGEST], description="each tile climbs"),
            "seed": widgets.BoundedIntText(0, 0, 999_999, description="random seed", **wide),
            "passes": slider(4, 1, MOST_PASSES, description="passes"),
            "epochs": slider(30, 1, 100, description="epochs (steps)"),
            "epsilon": widgets.FloatLogSlider(0.01, min=-3, max=0, step=0.1, description="epsilon (step size)",
                                              **wide),
            "strength": widgets.FloatSlider(1.0, min=0, max=4, step=0.1, description="strength", **wide),
            "colors": choice(options=[ONE_PLANE, EACH_COLOR], description="colors"),
            "gain": widgets.SelectionSlider(options=gains, description="contrast", **wide),
            "softened": widgets.Checkbox(True, description="softened: strokes instead of speckle", indent=False),
        }  # fmt: skip
        for name in APPLYING_AT_TIMES:
            self.controls[name].layout = widgets.Layout(width="auto")  # of its own, to be hidden by
        self.dice = widgets.Button(description="roll the dice", icon="random", tooltip="another random map")
        self.save = widgets.Button(description="save PNG", icon="download")
        self.film = widgets.Button(description="save GIF", icon="film", tooltip="a film of the passes, there and back")

    def _build_pictures(self):
        self.pictures = {name: widgets.Image(format="png") for name in ("before", "after", "strip")}
        self.origin, self.labels, self.call = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.progress = widgets.IntProgress(0, 0, 1, layout=widgets.Layout(width="100%", height="14px"))
        self.shown = [
            self.progress,
            parts.row(
                parts.captioned(self.pictures["before"], self.origin, "49%"),
                parts.captioned(self.pictures["after"], "after: the dream", "49%"),
            ),
            parts.captioned(self.pictures["strip"], self.labels, "100%"),
            parts.folded(self.call, "Python for this picture"),
        ]

    def _connect(self):
        c, frame = self.controls, self.frame
        frame.on_change(c["layer"], self._new_layer)
        for name in ("scheme", "aim", "size"):
            frame.on_change(c[name], self._show_applicable)
        frame.watch(self.upload, *c.values())
        frame.on_click(self.flower, lambda: self.upload.set_trait("value", ()))
        frame.on_click(self.dice, self._roll)
        frame.save_with(self.save, self._finished, save_dream)
        frame.save_with(self.film, self._finished, save_passes)

    def _new_layer(self, change):
        """Name maps that the new layer has; what is no list of numbers stays for the reader to mend."""
        count, text = maps_of(self.model, change["new"]), self.controls["maps"]
        text.value = re.sub(r"\d{1,9}", lambda number: str(int(number[0]) % count), text.value)

    def _show_applicable(self, change=None):
        """Show only the controls that the chosen scheme heeds, with the range they have there."""
        c = self.controls
        scheme, size = c["scheme"].value, c["size"].value
        in_tiles = scheme in (QUADRANTS, TILES, CASCADE)
        at_random, own_choice = (in_tiles and c["aim"].value == aim for aim in (RANDOM, STRONGEST))
        shown = (scheme == TILES, in_tiles, at_random, scheme == WHOLE)
        for name, applies in zip(APPLYING_AT_TIMES, shown):
            c[name].layout.display = None if applies else "none"
        c["maps"].disabled, self.dice.disabled = at_random or own_choice, own_choice
        c["tiles"].max = min(MOST_TILES, size // SIGHT)
        c["passes"].max = most_octaves(size) if scheme == OCTAVES else MOST_PASSES
        c["passes"].description = {OCTAVES: "octaves", QUADRANTS: "passes in each", CASCADE: "passes in each"}.get(
            scheme, "passes")

    def _roll(self):
        c, rng = self.controls, np.random.default_rng()
        if c["maps"].disabled:
            c["seed"].value = int(rng.integers(1_000_000))
        else:
            c["maps"].value = str(rng.integers(maps_of(self.model, c["layer"].value)))

    def read(self):
        value = {name: control.value for name, control in self.controls.items()}
        file = self.upload.value[0] if self.upload.value else {"name": "", "content": memoryview(b"")}
        maps = ()
        if not self.controls["maps"].disabled:
            maps = named_maps(value["maps"], value["layer"], maps_of(self.model, value["layer"]))
        if value["scheme"] == WHOLE and value["colors"] == EACH_COLOR and len(maps) not in (1, 3):
            raise ValueError(f"{len(maps)} maps are named; to dream each color name 3, one for each, or 1 for all")
        value |= {"maps": maps, "epsilon": float(f"{value['epsilon']:.3g}"), "strength": round(value["strength"], 1)}
        return DreamSettings(name=file["name"], content=bytes(file["content"]), **value)

    def make(self, settings):
        """Yield (the dream so far, its PNG files by name) after each pass; they are made here, outside of the lock."""
        if self.made and self.made.settings == settings._replace(gain=self.made.settings.gain):
            yield finished(self.made._replace(settings=settings))  # only its contrast was changed
            return
        photo, before = self._photo(settings)
        made = MadeDream(settings, photo, photo, (shrunk(photo),))
        try:
            yield made, {"before": before}
            for dream in dreams_of(self.model, photo, settings):
                made = made._replace(dream=dream, frames=(*made.frames, shrunk(dream)))
                if made.passes < settings.total:
                    yield made, {"after": png_bytes(presented(made.frames[-1], settings))}
        except KeyboardInterrupt:
            pass  # a Stop keeps the last pass
        yield finished(made)

    def paint(self, result):
        """Show a dream; the passes on the way leave the strip and the call as they are."""
        made, files = result
        settings = made.settings
        for name, file in files.items():
            self.pictures[name].value = file
        self.progress.max, self.progress.value = settings.total, made.passes
        self.origin.value = parts.small(f"before: {html.escape(settings.name or 'a flower')}")
        if not made.done:
            return f"{settings.unit} {made.passes + 1} of {settings.total} …"
        self.made = made
        self.labels.value = parts.strip_labels([label_of(settings, number) for number in strip_of(made)])
        self.call.value = parts.python_call(self.model, *call_of(made))
        return sentence_of(made)

    def _photo(self, settings):
        """The photo and its PNG file; what was read last is not read again."""
        asked = settings.name, settings.content, settings.size
        if self.loaded[0] != asked:
            photo = loaded_photo(*asked)
            self.loaded = asked, photo, png_bytes(photo)
        return self.loaded[1:]

    def _finished(self):
        if self.made is None:
            raise ValueError("there is no dream to save yet; wait for the first one")
        return self.made


def save_dream(made):
    """Write the dream as a PNG file, and yield the sentence that says so."""
    path = parts.free_path(stem_of(made.settings), ".png")
    save_picture(path, presented(made.dream, made.settings))
    yield f"saved as {path} in the folder of the notebook"


def save_passes(made):
    """Write a film of the passes, there and back, as a GIF file, and yield the sentence that says so."""
    path = parts.free_path(stem_of(made.settings), ".gif")
    frames = [presented(frame, made.settings) for frame in made.frames]
    save_film(path, [*frames, *frames[-2:0:-1]], SECONDS_EACH)
    yield f"saved as {path} in the folder of the notebook: {len(frames)} pictures of {FILM} x {FILM} pixels"


def schemes_of(model):
    """Return the schemes in which a model can dream; ValueError if there are none."""
    shape = parts.checked_model(model).inputs[0].shape[1:]
    if shape[-1] != 1:
        raise ValueError(f"dream_lab carves into gray planes, but {model.name!r} sees images of {shape[-1]} channels; "
                         f"give it a model that sees 1, such as ({SIGHT}, {SIGHT}, 1)")
    if all(length in (SIGHT, None) for length in shape[:2]):
        return SCHEMES
    any_size(model)  # refuses a model that no other size fits
    return (OCTAVES,)


def maps_of(model, layer):
    """Return how many maps the layer has."""
    return pre_activation_extractor(model, layer).output_shape[-1]


def named_maps(text, layer, count):
    """Return the map indices that a text such as "56" or "56, 11, 39" names, as a tuple; ValueError for others."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if not words:
        raise ValueError(f"no map is named; give a number from 0 to {count - 1}, or several with commas between them")
    for word in words:
        if not re.fullmatch(r"-?[0-9]+", word):
            raise ValueError(f"{word[:40]!r} is no map index; give numbers from 0 to {count - 1}, such as 3, 1")
        if len(word) > 9 or not 0 <= int(word) < count:
            raise ValueError(f"map {word[:40]} does not exist: {layer} has 0 to {count - 1}")
    if len(words) > MOST_MAPS:
        raise ValueError(f"{len(words)} maps are too many at once; name up to {MOST_MAPS}")
    return tuple(int(word) for word in words)


def most_octaves(size):
    """Return how many octaves are to be had of a photo: the smallest is still as large as what the network sees."""
    return sum(round(size / SCALE**octave) >= SIGHT for octave in range(MOST_PASSES))


def loaded_photo(name, content, size):
    """Return the uploaded photo, or the flower; a ValueError names the file."""
    try:
        return load_photo(content if name else None, size)
    except ValueError as error:
        told = str(error).replace("the given bytes", repr(name))
        raise ValueError(f"{told}, or press 'the flower again'") from error


def dreams_of(model, photo, settings):
    """Generate the photo after each pass of what the settings say."""
    rest = {"step_sizes": np.full(settings.epochs, settings.epsilon), "strength": settings.strength,
            "precondition": soften if settings.softened else identity}  # fmt: skip
    features = pre_activation_extractor(model if settings.scheme != OCTAVES else trunk_of(model), settings.layer)
    for tiles in settings.levels:
        for dream in carve_tiles(aim_of(features, settings), photo, tiles, settings.passes, **rest):
            photo = dream  # the next grid goes on from here
            yield dream
    if settings.scheme == WHOLE:
        planes = channels if settings.colors == EACH_COLOR else luma
        yield from carve(objective_of(features, settings), photo, settings.passes, planes=planes, **rest)
    if settings.scheme == OCTAVES:
        yield from carve_octaves(objective_of(features, settings), photo, settings.passes, SCALE, **rest)


def objective_of(features, settings):
    """Return what the whole photo climbs, be it at one size or in octaves."""
    maps = settings.maps
    if settings.scheme == WHOLE and settings.colors == EACH_COLOR:
        return Channels(features, maps if len(maps) == 3 else maps * 3, leak=LEAK)
    if len(maps) == 1:
        return Channels(features, maps, leak=LEAK)
    return Mixed([Channels(features, [index], leak=LEAK) for index in maps], [1] * len(maps))


def aim_of(features, settings):
    """Return what each tile climbs."""
    if settings.aim == LISTED:
        return listed_maps(features, settings.maps)
    return random_maps(features, settings.seed) if settings.aim == RANDOM else strongest_maps(features)


def trunk_of(model):
    """Return `any_size(model)`: the same one each time, with the weights that the model has now."""
    if model not in _trunks:
        _trunks[model] = any_size(model)
    for layer in _trunks[model].layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return _trunks[model]


def shrunk(photo):
    """Return the photo as the film shows it: `(FILM, FILM, channels)`."""
    times = photo.shape[0] // FILM
    return photo.reshape(FILM, times, FILM, times, -1).mean(axis=(1, 3))


def presented(photo, settings):
    """Return the photo with the contrast that was chosen."""
    return contrast(photo[np.newaxis], CENTER, settings.gain)[0] if settings.gain else photo


def finished(made):
    """Return a dream that is done, and the PNG files that show it."""
    frames = np.stack([presented(made.frames[number], made.settings) for number in strip_of(made)])
    strip = parts.mosaic(parts.thumbnails(frames, STRIP_CELL), len(frames))
    files = {"after": png_bytes(presented(made.dream, made.settings)), "strip": png_bytes(strip)}
    return made._replace(done=True), files


def strip_of(made):
    """The numbers of the frames that the strip shows, the photo and the last pass included."""
    return np.unique(np.linspace(0, made.passes, STRIP).round().astype(int))


def label_of(settings, number):
    """What stands below a frame of the strip."""
    if number == 0:
        return "photo"
    level, earlier = divmod(number - 1, settings.passes)
    where = f"{settings.levels[level]} x {settings.levels[level]}, " if len(settings.levels) > 1 else ""
    return f"{where}{settings.unit} {earlier + 1}"


def sentence_of(made):
    """Return what came of it in words."""
    settings, change = made.settings, np.abs(made.dream - made.photo).mean()
    plural = {"pass": "passes", "octave": "octaves"}[settings.unit] if settings.total > 1 else settings.unit
    course = f"{settings.total} {plural} of {settings.epochs} steps"
    if made.passes < settings.total:
        course = f"stopped after {made.passes} of {settings.total} {plural}"
    if not settings.strength:
        return f"{course}: nothing changed, since the strength is 0"
    climbed = f"{_climbed(settings)} of {settings.layer}"
    return f"{course}, {climbed}: mean change {change:.1%} of the range"


def stem_of(settings):
    """Return how a file with this dream is called, without its ending."""
    if not settings.maps:
        return f"dream_{'random' if settings.aim == RANDOM else 'strongest'}_maps"
    return f"dream_map_{'_'.join(map(str, settings.maps))}"


def call_of(made):
    """Return (imports, lines): the Python that makes exactly this picture with the model named `model`."""
    settings = made.settings
    source = f"{settings.name!r}, " if settings.name else ""
    shown = "dream[np.newaxis]"
    if settings.gain:
        shown = f"contrast({shown}, center={CENTER}, gain={settings.gain:g})"
    lines = [
        f"photo = load_photo({source}size={settings.size})",
        *(_carving_lines(made) if made.passes else ["dream = photo"]),
        f"image_grid({shown}, limits=(0, 1), width=5)",
    ]
    used = {module: [name for name in names if re.search(rf"\b{name}\b", "\n".join(lines))]
            for module, names in HOMES.items()}  # fmt: skip
    return [f"from {module} import {', '.join(names)}" for module, names in used.items() if names], lines


def _carving_lines(made):
    """The lines of Python between the photo and its dream."""
    settings = made.settings
    network = "any_size(model)" if settings.scheme == OCTAVES else "model"
    rest = f"step_sizes, strength={settings.strength:g}"
    rest += ", planes=channels" if settings.scheme == WHOLE and settings.colors == EACH_COLOR else ""
    rest += ", precondition=soften" if settings.softened else ""
    lines = [
        f"features = pre_activation_extractor({network}, {settings.layer!r})",
        f"step_sizes = np.full({settings.epochs}, {settings.epsilon:g})",
    ]
    if settings.scheme == WHOLE:
        wish = f"objective = {_objective_call(settings)}"
        return [*lines, wish, f"*_, dream = carve(objective, photo, {made.passes}, {rest})"]
    if settings.scheme == OCTAVES:
        carving = f"carve_octaves(objective, photo, {settings.total}, {SCALE}, {rest})"
        carving = carving if made.passes == settings.total else f"islice({carving}, {made.passes})"
        return [*lines, f"objective = {_objective_call(settings)}", f"*_, dream = {carving}"]
    lines.append(f"aim = {_aim_call(settings)}")
    grids = [(tiles, min(settings.passes, made.passes - level * settings.passes))
             for level, tiles in enumerate(settings.levels) if made.passes > level * settings.passes]  # fmt: skip
    if len(grids) == 1:
        return [*lines, f"*_, dream = carve_tiles(aim, photo, {grids[0][0]}, {grids[0][1]}, {rest})"]
    return [
        *lines,
        "dream = photo",
        f"for tiles, passes in {grids}:",
        f"    *_, dream = carve_tiles(aim, dream, tiles, passes, {rest})",
    ]


def _objective_call(settings):
    maps = list(settings.maps)
    if settings.scheme == WHOLE and settings.colors == EACH_COLOR:
        return f"Channels(features, {maps if len(maps) == 3 else maps * 3}, leak={LEAK})"
    if len(maps) == 1:
        return f"Channels(features, {maps}, leak={LEAK})"
    return f"Mixed([Channels(features, [index], leak={LEAK}) for index in {maps}], {[1] * len(maps)})"


def _aim_call(settings):
    if settings.aim == LISTED:
        return f"listed_maps(features, {list(settings.maps)})"
    return f"random_maps(features, seed={settings.seed})" if settings.aim == RANDOM else "strongest_maps(features)"


def _climbed(settings):
    if settings.maps:
        return f"map{'s' * (len(settings.maps) > 1)} {', '.join(map(str, settings.maps))}"
    return "random maps" if settings.aim == RANDOM else "strongest maps"
