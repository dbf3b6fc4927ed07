"""Finding the parts of an explorer as a reader does: a control by its name, a picture by its place."""

import html
import io
import re

import ipywidgets
import numpy as np
from PIL import Image

from helpers.widgets import activation_explorer, digit_lab, dream_lab, kernel_lab, oip_lab, zoo_browser
from helpers.widgets.parts import Sheet
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import bars, tiny_cnn

EXPLORERS = {  # each on a tiny network, with settings that are quick
    "oip_lab": lambda **settings: oip_lab(tiny_cnn(seed=3), **settings),
    "activation_explorer": lambda **settings: activation_explorer(tiny_cnn(), *bars(60, 0), **settings),
    "zoo_browser": lambda **settings: zoo_browser(
        tiny_cnn(), **dict(zip(("digits", "labels"), bars(60, 0))), **settings),
    "kernel_lab": lambda **settings: kernel_lab(tiny_cnn(), **settings),
    "digit_lab": lambda **settings: digit_lab(tiny_cnn(), *bars(60, 0), **settings),
    "dream_lab": lambda **settings: dream_lab(tiny_cnn(), **{"size": 280, "passes": 2, "epochs": 2, **settings}),
}  # fmt: skip


def everything(widget):
    """The widget and all within it, in the order of the keyboard."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def control(explorer, name):
    """The one control with this description."""
    (found,) = [part for part in everything(explorer) if getattr(part, "description", None) == name]
    return found


def press(explorer, name):
    """Click a button and wait until all is done."""
    control(explorer, name).click()
    assert wait_until_idle()


def put(explorer, name, value):
    """Give a control a value and wait until all is done."""
    control(explorer, name).value = value
    assert wait_until_idle()


def images(explorer):
    """The PNG files shown, in the order of the page."""
    return [bytes(part.value if isinstance(part, ipywidgets.Image) else part.picture) for part in everything(explorer)
            if isinstance(part, ipywidgets.Image | Sheet)]


def text(explorer):
    """All text shown."""
    shown = " ".join(part.value for part in everything(explorer) if isinstance(part, ipywidgets.HTML))
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", shown, flags=re.DOTALL))


def status(explorer):
    """The sentence that says what came of it."""
    return html.unescape(re.sub("<[^>]+>", " ", explorer.status.value)).strip()


def code(explorer):
    """The Python that makes what is shown."""
    return html.unescape(re.findall("<pre>(.*?)</pre>", explorer.code.value, re.DOTALL)[-1])


def pixels(png):
    """A PNG file as an array (height, width, channels) of 0..255."""
    picture = np.asarray(Image.open(io.BytesIO(png)))
    return picture[..., None] if picture.ndim == 2 else picture
