"""Take the pictures that stand for the explorers where no kernel runs: `make pictures`, in a real browser.

Each explorer is opened as its notebook opens it, and photographed when it has answered. The picture stands in place of
the widget in all notebooks, also when `run_notebooks` executes them again: a page without a kernel shows what a reader
would meet.
"""

import io
import sys
import tempfile
from pathlib import Path

import nbformat
from PIL import Image

from tests import browser
from tests.run_notebooks import FIGURES, IN_PLACE_OF_A_WIDGET, in_place_of_a_widget

EXPLORERS = ("activation_explorer", "digit_lab", "dream_lab", "kernel_lab", "latent_lab", "oip_lab", "style_lab",
             "zoo_browser")
LOADING = "from helpers.models import load_cnn\nfrom helpers.widgets import *\ncnn = load_cnn()"
WIDTH, HEIGHT = 1360, 1500  # of the window
LARGEST = 150_000  # bytes of a picture: it stands in several notebooks


def pictures(names, folder):
    """Yield (name, PNG file) for each of the explorers, once it has nothing more to do."""
    with browser.series(folder) as address, browser.browser() as running:
        for name in names:
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(LOADING), nbformat.v4.new_code_cell(f"{name}(cnn)")]
            )
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(notebook, folder / "notebooks" / "picture.ipynb")
            with browser.new_page(running, address, []) as page:
                page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
                explorer = browser.run_notebook(page, "picture")
                browser.wait_for(lambda: _done(page), 5 * browser.SECONDS)
                yield name, explorer.screenshot()


def _done(page):
    """Nothing is being made, and no bar says that something is under way."""
    page.wait_for_timeout(1500)
    return page.locator(".explorer-busy, .explorer progress").count() == 0


def small(png):
    """A PNG file of at most 150 KB: in 256 colors or fewer, and with fewer pixels if that is not enough."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for share, colors in ((1, 256), (1, 96), (0.8, 96), (0.6, 96), (0.45, 64)):
        file, size = io.BytesIO(), [round(share * length) for length in picture.size]
        shrunk = picture.resize(size, Image.Resampling.LANCZOS) if share < 1 else picture
        few = shrunk.quantize(colors, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
        if file.tell() <= LARGEST:
            return file.getvalue()
    raise ValueError(f"the picture of {picture.size[0]} x {picture.size[1]} pixels stays above {LARGEST:,} bytes")


def put_into(path):
    """Put the newest pictures into an executed notebook; whatever else it shows stays."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("data", {}).get("text/plain") == IN_PLACE_OF_A_WIDGET:
                output["data"] = nbformat.from_dict(in_place_of_a_widget(cell.source))
    nbformat.write(notebook, path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for explorer_name, screen in pictures(sys.argv[1:] or EXPLORERS, Path(place)):
            (FIGURES / f"{explorer_name}.png").write_bytes(small(screen))
            print(FIGURES.name, f"{explorer_name}.png", flush=True)
    for notebook_path in sorted(FIGURES.parent.glob("*.ipynb")):
        put_into(notebook_path)
