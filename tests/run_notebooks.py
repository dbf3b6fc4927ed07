"""Execute notebooks in place, from top to bottom, and leave them small and clean: `make notebooks`.

The test of the notebooks runs them through `execute` as well, so what is tested is what is committed.
"""

import base64
import io
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

SECONDS_PER_CELL = 900
FIGURES = Path(__file__).resolve().parent.parent / "notebooks" / "figures"
WIDGET = "application/vnd.jupyter.widget-view+json"
IN_PLACE_OF_A_WIDGET = "An explorer: it appears here when this cell is run."
README_FIGURES = {  # (notebook, caption of the figure): file in notebooks/figures
    ("01_cnn_basics", "Figure 1.1."): "kernels.png",
    ("03_activation_maps", "Figure 3.5."): "activations.png",
    ("04_oip_creation", "Figure 4.4."): "oip_evolution.png",
}


def execute(path, environment=None):
    """Return the notebook at `path` with the outputs of one clean run; a cell that fails raises."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS_PER_CELL, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False, record_timing=False,
    )
    client.execute(env=environment or dict(os.environ))
    return notebook


def tidy(notebook):
    """The notebook without machine facts and widget state, its figures as small as they go, in place."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same from run to run
        if cell.cell_type == "code":
            cell.outputs = _joined_streams(cell.outputs)
            cell.outputs = [output for output in cell.outputs if not _is_a_bar(output)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _small(data["image/png"])
            if "image/png" in data or "image/jpeg" in data:
                data.pop("text/plain", None)  # an object's address changes with every run
            if WIDGET in data:  # without a kernel its place would show an error
                output["data"] = nbformat.from_dict(in_place_of_a_widget(cell.source))
    return notebook


def _is_a_bar(output):
    """Whether an output is a progress bar of tqdm, which says nothing any more once the work is done."""
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def in_place_of_a_widget(source):
    """What stands where no kernel runs: a line, and the picture of the explorer that `make pictures` has taken."""
    picture = FIGURES / f"{source.partition('(')[0]}.png"
    shown = {"image/png": base64.b64encode(picture.read_bytes()).decode()} if picture.is_file() else {}
    return {**shown, "text/plain": IN_PLACE_OF_A_WIDGET}


def _joined_streams(outputs):
    """The outputs with neighboring pieces of one stream put together: how a stream is cut is chance."""
    joined = []
    for output in outputs:
        before = joined[-1] if joined else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before["text"] += output.text
        else:
            joined.append(output)
    return joined


def export_figures(notebook, path):
    """Write the figures that the README and the heads of notebooks show, so that they show what the notebooks show."""
    for (stem, caption), file in README_FIGURES.items():
        if stem == path.stem:
            place = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith(f"**{caption}**"))
            outputs = (output.get("data", {}) for output in notebook.cells[place - 1].outputs)
            png = next(data["image/png"] for data in outputs if "image/png" in data)
            (path.parent / "figures").mkdir(exist_ok=True)
            (path.parent / "figures" / file).write_bytes(base64.b64decode(png))


def _small(png):
    """A base64 PNG with a palette of 256 colors, or as it was if that is not smaller."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    small = base64.b64encode(file.getvalue()).decode()
    return small if len(small) < len(png) else png


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, flush=True)
        path = Path(name)
        notebook = tidy(execute(path))
        export_figures(notebook, path)
        nbformat.write(notebook, path)
