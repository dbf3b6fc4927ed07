"""The zoo browser: the OIPs of all maps of a layer on one sheet, to open, sort, filter and mark (notebook 05)."""

import re
from typing import NamedTuple

import numpy as np

from helpers.activations import class_means, conv_layers, feature_extractor, mean_activations
from helpers.figures import as_calculated, enhanced, zoo_sheet
from helpers.widgets import parts
from helpers.widgets.parts.explorer import Explorer, Refusal
from helpers.widgets.parts.lines import Runner
from helpers.widgets.parts.worker import lock

RENDERINGS = {"contrast enhanced, gray": enhanced, "as calculated, in colors": as_calculated}
BY_INDEX, BY_VALUE, BY_CLASS = "map index", "mean activation of the OIP", "answer to the class below"
ALL, OF_CLASS = "all maps", "maps whose top class is the one below"
STARRED, DEAD = "favorites ★ only", "maps that no digit excites"
AT_ONCE, KEPT = 16, 4  # maps made together; zoos kept, so that one can go back
TEST_DIGITS, DIGITS_AT_ONCE = 2_000, 1_000  # digits asked where none are given; between so many others have their turn
CELL = 40  # edge of the pictures on the sheet
DARK = 0.2  # gray value of a map that is not made yet, seen on white and on black
REACHED = {
    "start": "it answers to an ordinary random start, and climbed from there",
    "precursor": "it climbed from a precursor: the best of many random images",
    "pre-activation": "no random start excites it; climbing its values before they are cut off at zero woke it",
    "unreachable": "not at all: it stayed silent whatever was tried, and the picture is where the climb ended",
}
PRESETS = {
    "all maps": {}, "strongest first": {"order": BY_VALUE}, "which of them like a 7": {"order": BY_CLASS, "label": 7},
    "raw, in colors": {"softened": False, "rendering": "as calculated, in colors"}, "simple shapes": {
        "layer": "Conv2D_1", "map": 5},
}  # fmt: skip


class Digits(NamedTuple):
    """Digits and what a layer says of them: `answers (n, maps)`, for each of the `classes` its `means (c, maps)`."""

    images: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    classes: np.ndarray
    means: np.ndarray


class Zoo(NamedTuple):
    """What is made so far of `total` maps: the first ones, `images (made, height, width, channels)` and the rest."""

    total: int
    images: np.ndarray
    values: np.ndarray
    how: np.ndarray

    @property
    def made(self):
        return len(self.images)


def zoo_browser(model=None, layer="", digits=(), labels=(), **settings):
    """Return an explorer of all OIPs of a layer: a sheet that fills while you look, to open, sort and filter.

    Any Keras model with convolutional layers will do, without one it is the shipped CNN. `digits (n, height, width,
    channels)` and their `labels (n,)` tell which class excites a map; without them it is the first 2,000 test digits,
    if the model sees such images. The settings are those of the controls: `zoo_browser(cnn, "Conv2D_3", map=18,
    order="mean activation of the OIP")`. Raises ValueError for a layer that is unknown or has no maps, and for digits
    or labels that do not fit. The OIPs are those of `oips.grow_oips`. Introduced in notebook 05.
    """
    model = parts.checked_model(model)
    if layer:
        feature_with_maps(model, layer)
        settings["layer"] = layer
    return _ZooBrowser(model, digits, labels, settings).explorer


class _ZooBrowser:
    def __init__(self, model, digits, labels, opened):
        self.model, self.run = model, Runner(model)
        self.given, self.trouble = checked_digits(model, digits, labels)
        self.zoos, self.answers, self.growing, self.stopped = {}, {}, None, False
        controls = self._controls(opened.get("layer", ""))
        shown = {
            "sheet": parts.Sheet(name="map", edge=42), "strong": parts.Picture("contrast enhanced", "47%"),
            "plain": parts.Picture("as calculated", "47%"), "told": parts.HTML(), "bars": parts.HTML(),
            "top": parts.Sheet(name="digit", edge=42), "top_told": parts.HTML(), "note": parts.HTML(),
        }  # fmt: skip
        shown["sheet"].link_to(controls["map"])
        star = parts.button("favorite", "star", "Mark the open map with a star, or take the star away.")
        lab = parts.button("open in the OIP lab", "flask", "This map's OIP, live.")
        card = parts.VBox([parts.row(shown["strong"], shown["plain"]), shown["told"], parts.row(star, lab),
                           shown["bars"], shown["top"], shown["top_told"]])  # fmt: skip
        save = parts.button("save PNG", "download", "The sheet with its numbers, as a file beside the notebook.")
        dice, go_on = parts.dice(), parts.button("go on", "forward", "Make the maps that are missing after a Stop.")
        call = f"zoo_browser(model{', digits=digits, labels=labels' * (len(digits) > 0)})"
        with lock:  # the first answer wants the explorer to be there
            self.explorer = parts.marked(Explorer(
                controls, shown, self.answer, call, model, opened, PRESETS,
                more=["rendering", "softened", "seed", "favorites"],
                pictures=[parts.beside(parts.VBox([shown["sheet"], shown["note"]]), card)],
                buttons=[parts.row(dice, save, go_on)],
            ), "explorer-wide")  # fmt: skip
            self.grow = self.explorer.also(self._grow)
        self.explorer.roll(dice, "seed")
        self.explorer.on_click(go_on, self.grow)
        self.explorer.on_click(star, self._mark)
        self.explorer.opens(lab, "oip_lab", lambda: {name: controls[name].value for name in ("layer", "map")})
        self.explorer.saves(save, self._save)

    def _controls(self, layer):
        orders, filters = [BY_INDEX, BY_VALUE, BY_CLASS], [ALL, OF_CLASS, STARRED, DEAD]
        if self.trouble:
            orders, filters = [BY_INDEX, BY_VALUE], [ALL, STARRED]
        classes = [] if self.trouble else np.unique(self.given[1]).tolist()
        others = (layer,) if layer and layer not in conv_layers(self.model) else ()
        return {
            **parts.layer_and_map(self.model, index=18, others=others),
            "order": parts.choice("sorted by", "In which order the maps stand on the sheet.", options=orders),
            "kept": parts.choice("shown", "Which maps are on the sheet.", options=filters),
            "label": parts.choice("class of digits", "The class by which maps are sorted or filtered.",
                                  options=[(str(name), name) for name in classes]),
            "rendering": parts.choice("rendering", "How the OIPs on the sheet are drawn.", options=list(RENDERINGS)),
            "softened": parts.switch("softened: strokes instead of speckle", "Climb along smooth paths first.", True),
            "seed": parts.seed(),
            "favorites": parts.text("favorites ★", "The maps you marked; type numbers, or press favorite.", value=""),
        }  # fmt: skip

    def _mark(self):
        index, chosen = self.explorer.controls["map"].value, set(starred(self.explorer.read().favorites))
        self.explorer.set(favorites=", ".join(map(str, sorted(chosen ^ {index}))))

    def answer(self, settings):
        """Yield the sheet and the open map as the settings want them; what is missing grows beside, undisturbed."""
        if self._key(settings) != self.growing:
            self.grow()
        if settings.layer not in self.answers and not self.trouble:
            yield from self._ask_digits(settings)
        yield self._look(settings)

    def _key(self, settings):
        return settings.layer, settings.seed, settings.softened

    def _grow(self):
        """Make the OIPs of all maps that are missing, group by group; a Stop keeps those that are whole."""
        settings = self.explorer.read()
        self.growing, self.stopped = self._key(settings), False
        zoo = self._zoo(settings)
        groups, lines = self.zoos[self.growing], growing_lines(settings, range(zoo.made, zoo.total))
        try:
            for group in self.run(lines)["groups"] if zoo.made < zoo.total else ():
                if group.ascent.stopped:
                    break  # half a climb is no OIP
                groups.append(group._replace(ascent=None))
                yield self._look(self.explorer.read())
        except KeyboardInterrupt:  # between two groups
            pass
        self.stopped = self._zoo(settings).made < zoo.total
        yield self._look(self.explorer.read())

    def _zoo(self, settings):
        """What is made of the zoo that the settings want; the zoos of before are kept, a few of them."""
        groups = self.zoos[self._key(settings)] = self.zoos.pop(self._key(settings), [])
        while len(self.zoos) > KEPT:
            del self.zoos[next(iter(self.zoos))]
        total = feature_extractor(self.model, settings.layer).output_shape[-1]
        nothing = np.zeros((0, *parts.image_shape(self.model)), np.float32), np.zeros(0), np.zeros(0, str)
        made = [[getattr(group, name) for group in groups] for name in ("images", "values", "how")]
        return Zoo(total, *(np.concatenate([none, *some]) for none, some in zip(nothing, made)))

    def _ask_digits(self, settings):
        images, labels = self.given
        features, answers = feature_extractor(self.model, settings.layer), []
        for first in range(0, len(images), DIGITS_AT_ONCE):
            answers.append(mean_activations(features, images[first : first + DIGITS_AT_ONCE]))
            yield {"note": parts.small(f"{sum(map(len, answers)):,} digits asked so far")}
        self.answers[settings.layer] = with_classes(images, labels, np.concatenate(answers))

    def _look(self, settings):
        """The update that shows what is made as the settings want it."""
        zoo, digits = self._zoo(settings), self.answers.get(settings.layer)
        numbers = shown_maps(zoo, settings, digits)
        index = settings.map if settings.map in numbers or not len(numbers) else int(numbers[0])
        if index != settings.map:  # a filter has excluded the open map
            with lock:
                if vars(self.explorer.read()) == vars(settings):
                    self.explorer.controls["map"].value = index
        there = numbers[numbers < zoo.made]
        return {
            **self._card(zoo, index, digits), "sheet": sheet_of(zoo, numbers, settings),
            "note": parts.small(parts.html.escape(self._note(digits))), "progress": zoo.made / zoo.total,
            "status": self._sentence(zoo, settings, numbers), "made": (zoo, settings, there),
            "python": self._lines(zoo, settings, there),
        }  # fmt: skip

    def _lines(self, zoo, settings, there):
        if not len(there):
            return []
        drawn, listed = RENDERINGS[settings.rendering].__name__, there.tolist()
        indices = range(len(listed)) if listed == list(range(len(listed))) else listed
        return [*growing_lines(settings, indices), "zoo = join_oips(groups)",
                f"zoo_sheet(zoo.images, zoo.indices, {title_of(settings)!r}, renderings=({drawn},))"]  # fmt: skip

    def _card(self, zoo, index, digits):
        large = [parts.large(cells(zoo, np.array([index]), rendering)[0]) for rendering in (enhanced, as_calculated)]
        card = {"strong": large[0], "plain": large[1], "told": told_of(zoo, index, digits), "bars": "",
                "top": parts.NOTHING, "top_told": ""}  # fmt: skip
        if digits is None:
            return card
        answers = digits.answers[:, index]
        top = parts.strongest(digits.images, digits.labels, answers)
        told = "the digits that excite it most: class, mean activation"
        if top is parts.NOTHING:
            told = f"none of {len(digits.images):,} digits excites this map"
        means = digits.means[:, index]
        bars = parts.bars(digits.classes, np.clip(means, 0, None) / max(means.max(), 1e-9), [f"{m:.2g}" for m in means])
        return {**card, "top": top, "bars": parts.small("mean activation by each class of digits") + bars,
                "top_told": parts.small(told)}  # fmt: skip

    def _note(self, digits):
        if self.trouble:
            return f"no class of digits can be asked for: {self.trouble}"
        if digits is None:
            return ""
        return (f"below each map its mean activation by its OIP; {len(digits.images):,} digits were asked for the "
                "top class of each map, the one whose digits excite it most in their mean")

    def _sentence(self, zoo, settings, numbers):
        """What is made and what is shown, in words."""
        told = f"{zoo.made} of {zoo.total} maps of {settings.layer} made"
        if zoo.made == zoo.total:
            told = f"all {zoo.total} maps of {settings.layer} made"
        elif self.stopped and self.growing == self._key(settings):
            told = f"stopped: {zoo.made} of {zoo.total} maps; “go on” makes the others"
        if silent := (zoo.how == "unreachable").sum():
            told += f", {silent} of them silent"
        if settings.kept == STARRED and not len(numbers):
            return f"{told}; no favorites yet: choose a map and press “favorite”"
        if settings.kept == ALL:
            return told
        kind = {OF_CLASS: f"with top class {settings.label}", STARRED: "among your favorites",
                DEAD: "that no digit excites"}[settings.kept]  # fmt: skip
        return f"{told}; shown: {parts.counted(len(numbers), 'map') if len(numbers) else 'no map'} {kind}"

    def _save(self, made):
        """Write the sheet as a PNG file, and return the sentence that says so."""
        zoo, settings, there = made
        if not len(there):
            remedy = "show other maps" if zoo.made == zoo.total else "wait for the first ones"
            raise Refusal(f"there is no OIP on the sheet that could be saved; {remedy}")
        stars = starred(settings.favorites)
        labels = [f"{number}{'★' * (number in stars)}" for number in there]
        figure = zoo_sheet(zoo.images[there], labels, title_of(settings), 10, (RENDERINGS[settings.rendering],))
        return parts.saved_figure(f"zoo_{settings.layer}", figure, 200)


def feature_with_maps(model, layer):
    """Return the extractor of a layer; ValueError if the layer has no feature maps."""
    features = feature_extractor(model, layer)
    if len(features.output_shape) != 4:
        raise ValueError(f"layer {layer!r} has no feature maps but {features.output_shape[-1]} single units; "
                         f"the convolutional layers of this model are {', '.join(conv_layers(model)) or 'none'}")
    return features


def checked_digits(model, digits, labels):
    """Return (digits, labels) and no trouble, or none and the sentence that says why there are none.

    ValueError where those that are given do not fit.
    """
    given = len(digits) > 0
    if given and not len(labels):
        raise ValueError(f"{len(digits)} digits came without labels; give one label for each digit")
    try:
        digits, labels = parts.checked_digits(model, digits, labels, "digits")
    except (OSError, ValueError) as error:
        if given or len(labels):
            raise
        return None, str(error)
    return (digits, labels) if given else (digits[:TEST_DIGITS], labels[:TEST_DIGITS]), ""


def with_classes(images, labels, answers):
    """Return the `Digits` with the mean answers of each class that occurs among the labels."""
    classes, places = np.unique(labels, return_inverse=True)
    return Digits(images, np.asarray(labels), answers, classes, class_means(answers, places, len(classes)))


def starred(text):
    """Return the favorites that a text names, as a tuple."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if wrong := [word for word in words if not re.fullmatch(r"[0-9]{1,9}", word)]:
        raise Refusal(f"favorite {wrong[0][:40]!r} is no map index; give numbers such as 18, 37")
    return tuple(map(int, words))


def shown_maps(zoo, settings, digits):
    """Return the maps on the sheet in their order; those that are not made yet come last where values count."""
    numbers = np.arange(zoo.total)
    if settings.kept == STARRED:
        numbers = np.array(sorted({number for number in starred(settings.favorites) if number < zoo.total}), int)
    if digits is not None and settings.kept in (OF_CLASS, DEAD):
        excited = digits.answers.max(axis=0) > 0
        of_class = digits.classes[digits.means.argmax(axis=0)] == settings.label
        numbers = np.flatnonzero(excited & of_class if settings.kept == OF_CLASS else ~excited)
    if settings.order == BY_VALUE:
        values = np.r_[zoo.values, np.full(zoo.total - zoo.made, -np.inf)]
        return numbers[np.argsort(-values[numbers], kind="stable")]
    if settings.order == BY_CLASS and digits is not None and settings.label in digits.classes:
        answers = digits.means[digits.classes == settings.label][0]
        return numbers[np.argsort(-answers[numbers], kind="stable")]
    return numbers


def cells(zoo, numbers, rendering):
    """Return pictures `(n, height, width, 3)` of these maps, dark where one is not made yet."""
    pictures = np.full((len(numbers), *zoo.images.shape[1:3], 3), DARK, np.float32)
    there = numbers < zoo.made
    if there.any():
        pictures[there] = rendering(zoo.images[numbers[there]])
    return pictures


def sheet_of(zoo, numbers, settings):
    """Return the sheet of these maps, each with its value and a star if it is a favorite."""
    if not len(numbers):
        return parts.NOTHING
    stars = starred(settings.favorites)
    labels = [f"{number}{'★' * (number in stars)}" for number in numbers]
    notes = [f"{zoo.values[number]:.2g}" if number < zoo.made else "…" for number in numbers]
    return parts.pictures_of(cells(zoo, numbers, RENDERINGS[settings.rendering]), numbers, labels, notes, edge=CELL)


def told_of(zoo, index, digits):
    """Return HTML that says what the open map is and how its OIP was reached."""
    if index >= zoo.made:
        return f"<div style='min-height: 5.4em'><b>map {index}</b> is not made yet</div>"
    told = f"<b>map {index}</b>: mean activation {zoo.values[index]:.3g} by its OIP"
    if digits is not None:
        told += f", {max(0, digits.answers[:, index].max()):.3g} by the strongest digit"
    return f"<div style='min-height: 5.4em'>{told}.<br>How it was reached: {REACHED[str(zoo.how[index])]}.</div>"


def title_of(settings):
    """Return the title of a sheet."""
    return f"{settings.layer}, seed {settings.seed}{', softened' * settings.softened}"


def growing_lines(settings, indices):
    """Return the Python that gives `groups`, a generator of the OIPs of these maps."""
    soft = ", precondition=soften" * settings.softened
    return [f"groups = grow_oips(model, {settings.layer!r}, {indices}, seed={settings.seed}{soft}, at_once={AT_ONCE})"]
