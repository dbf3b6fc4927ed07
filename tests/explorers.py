"""Finding the parts of an explorer as a reader does: a control by its name, a picture by its place."""

import html
import io
import re

import ipywidgets
import numpy as np
from PIL import Image

from helpers.widgets.parts import Sheet
from helpers.widgets.worker import wait_until_idle


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
    shown = [part.value for part in everything(explorer) if "explorer-status" in str(getattr(part, "value", ""))]
    (sentence,) = [value for value in shown if not value.startswith("<style>")]
    return html.unescape(re.sub("<[^>]+>", " ", sentence)).strip()


def code(explorer):
    """The Python call shown."""
    (shown,) = [part.value for part in everything(explorer) if "explorer-call" in str(getattr(part, "value", ""))
                and not part.value.startswith("<style>")]
    return html.unescape(re.findall("<pre>(.*?)</pre>", shown, re.DOTALL)[-1])


def names_of_controls(explorer):
    """The descriptions of all that can be set or pressed."""
    kinds = (ipywidgets.widget_description.DescriptionWidget, ipywidgets.Button)
    return [part.description for part in everything(explorer) if isinstance(part, kinds)
            and not isinstance(part, ipywidgets.HTML)]


def pixels(png):
    """A PNG file as an array (height, width, channels) of 0..255."""
    picture = np.asarray(Image.open(io.BytesIO(png)))
    return picture[..., None] if picture.ndim == 2 else picture
