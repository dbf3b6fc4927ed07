"""The style lab: a photograph, yours too, painted in the style of a painting while you watch (notebook 10)."""

from typing import NamedTuple

import numpy as np

from helpers.photos import save_film, save_picture
from helpers.style.paintings import PAINTINGS
from helpers.style.transfer import FORMS, SMOOTHNESS, style_extractor
from helpers.widgets import parts
from helpers.widgets.parts.digits import Upload, source_of
from helpers.widgets.parts.explorer import Explorer, Refusal, refusals
from helpers.widgets.parts.lines import Runner

HANDWRITING = "a page of handwriting"
COLORS = {"the photo's own": "own_colors", "the painting's palette": "painting_colors", "none": "in_gray"}
SIZES = (140, 280, 420, 560, 1120)  # pixels along an edge
FRAMES, FILM_EDGE = 60, 280  # pictures of a film at most, and their edge
SECONDS_EACH = 0.12  # how long the film shows each
PRESETS = {
    "van Gogh": {},
    "Turner": {"style": "The Shipwreck"},
    "pen strokes": {"style": HANDWRITING, "colors": "the photo's own"},
    "texture only": {"forms": 0.0, "steps": 60},
    "in haste": {"size": 140, "steps": 15},
}


class MadePicture(NamedTuple):
    """A painted picture, done or stopped: the pictures on the way, for the film, and how many there were."""

    settings: object
    picture: np.ndarray
    frames: list
    count: int


def style_lab(model=None, **settings):
    """Return an explorer of style transfer: choose a photo and a style, and watch the network paint.

    Any Keras CNN that is a chain of layers up to its convolutions will do, such as `load_vgg19()`; without one it is
    the shipped CNN. The settings are those of the controls, by their names in Python: `style_lab(cnn, forms=0.2,
    colors="none")` opens exactly that picture; ValueError for one that does not exist. Introduced in notebook 10.
    """
    return _StyleLab(parts.checked_model(model), settings).explorer


class _StyleLab:
    def __init__(self, model, opened):
        style_extractor(model)  # refuses what cannot paint before anything is shown
        self.run = Runner(model)
        self.shown = {"picture": parts.Picture("", "74%"), "photo": parts.Picture("the photo", "24%"),
                      "painting": parts.Picture("the style", "24%")}  # fmt: skip
        save = parts.button("save PNG", "download", "Write the picture into the folder of the notebook.")
        film = parts.button("save film", "film", "Write the pictures on the way as an animated GIF.")
        self.explorer = Explorer(
            self._controls(), self.shown, self.answer, "style_lab(model)", model, opened, PRESETS,
            more=("octaves", "smoothness"), buttons=[parts.row(save, film)],
            pictures=[parts.row(self.shown["picture"]), parts.row(self.shown["photo"], self.shown["painting"])],
        )  # fmt: skip
        self.explorer.on_change(self.explorer.controls["style"], self._own_painting_away)
        self.explorer.saves(save, save_painted)
        self.explorer.saves(film, save_painting_film)

    def _controls(self):
        return {
            "photo": Upload(label="your photo", tip="A picture file; of a long one the middle square is taken."),
            "painting": Upload(label="your painting", tip="A picture file whose style is to be taken."),
            "style": parts.choice("style", "A painting that comes with the lab.", options=[*PAINTINGS, HANDWRITING]),
            "forms": parts.number("forms of the photo", "How much its forms count; 0 leaves a texture.",
                                  value=FORMS, min=0, max=1, step=0.01),
            "strokes": parts.number("scale of strokes", "How large the painting is, measured by the photo.", value=1.0,
                                    min=0.5, max=2, step=0.1),
            "colors": parts.choice("colors", "Which colors the picture has.", options=list(COLORS),
                                   value="the painting's palette"),
            "steps": parts.whole("steps", "How many steps are painted at each size.", value=30, min=1, max=300),
            "size": parts.choice("size", "Pixels along an edge; twice as many take four times as long.",
                                 options=[(f"{size} x {size} pixels", size) for size in SIZES], value=280),
            "octaves": parts.whole("sizes", "Painted first at a half, a quarter, ... of the size.", value=2, min=1,
                                   max=3),
            "smoothness": parts.number("smoothness", "How much speckle is punished.", value=SMOOTHNESS, min=0, max=3,
                                       step=0.1),
        }  # fmt: skip

    def _own_painting_away(self, name):
        """A style that is chosen takes the place of the reader's own painting."""
        self.explorer.controls["painting"].value = ""

    def answer(self, settings):
        """Yield the picture as it is painted; at a Stop what is there."""
        if settings.painting == "" and settings.style == HANDWRITING and settings.colors == "the painting's palette":
            raise Refusal("handwriting has no palette; choose the photo's own colors, or none")
        lines = lines_of(settings)
        with refusals():
            space = self.run(lines)
            pictures = iter(space["pictures"])
            first = next(pictures)
        total, count, frames, picture = settings.octaves * (settings.steps + 1), 0, [], first
        said = f"{parts.counted(settings.octaves, 'size')} of {parts.counted(settings.steps, 'step')}, done"
        apart = max(1, -(-total // FRAMES))
        small = max(1, settings.size // FILM_EDGE)
        yield {"photo": parts.large(space["photo"]), "painting": parts.large(space["painting"]),
               "picture": (parts.large(first), "the photo, before the first stroke")}  # fmt: skip
        try:
            frames.append(first[::small, ::small])
            for count, picture in enumerate(pictures, 1):  # noqa: B007
                if count % apart == 0 or count == total - 1:
                    frames.append(picture[::small, ::small])
                yield {"picture": parts.large(picture), "progress": min(0.99, count / total),
                       "status": f"step {count} of {total - 1}"}  # fmt: skip
        except KeyboardInterrupt:
            said = f"step {count} of {total - 1}, stopped; the picture is kept"
            frames.append(picture[::small, ::small])
        made = MadePicture(settings, picture, frames, count)
        yield {"picture": (parts.large(picture), caption_of(settings)), "made": made, "progress": 1,
               "status": said, "python": lines_of(settings, count)}  # fmt: skip


def lines_of(settings, count=None):
    """Return the Python that paints what the settings say; with a `count`, also the last of so many pictures."""
    size = settings.size
    load = {"": "None"}.get(settings.photo) or source_of(settings.photo)
    edge = round(size * settings.strokes)
    if settings.painting:
        painting = f"load_photo({source_of(settings.painting)}, {edge})"
    elif settings.style == HANDWRITING:
        painting = f"handwriting({size}, scale={settings.strokes:g})"
    else:
        painting = f"load_painting({settings.style!r}, {edge})"
    lines = [
        "features = style_extractor(model)",
        f"photo = load_photo({load}, {size})",
        f"painting = {painting}",
        f"step_sizes = np.geomspace(0.05, 0.01, {settings.steps})",
        f"pictures = paint(features, photo, painting, forms={settings.forms:g}, colors={COLORS[settings.colors]}, "
        f"step_sizes=step_sizes, octaves={settings.octaves}, smoothness={settings.smoothness:g})",
    ]
    if count is None:
        return lines
    return [*lines, f"*_, (_, picture) = zip(range({count + 1}), pictures)",
            "image_grid(picture[np.newaxis], limits=(0, 1), width=5)"]  # fmt: skip


def caption_of(settings):
    """Return who painted what, in words."""
    if settings.painting:
        return "in the style of your painting"
    painter = PAINTINGS[settings.style][1] if settings.style in PAINTINGS else "training digits"
    return f"in the style of {settings.style} ({painter})"


def save_painted(made):
    """Write the picture as a PNG file, and return the sentence that says so."""
    return parts.saved("painted", ".png", lambda path: save_picture(path, made.picture))


def save_painting_film(made):
    """Write the pictures on the way as an animated GIF, and return the sentence that says so."""
    if len(made.frames) < 2:
        raise ValueError("there is only one picture, which is no film; paint a few strokes first")
    return parts.saved("painting", ".gif", lambda path: save_film(path, made.frames, SECONDS_EACH),
                       f": {len(made.frames)} pictures")  # fmt: skip
