"""The notebooks run from top to bottom with the network cut, and keep the rules of the series.

What is committed is a run with MNIST (`make notebooks`); EVERY_NOTEBOOK=twice has the tests make that one as well,
which takes another quarter of an hour.
"""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from helpers import widgets
from tests.run_notebooks import WIDGET, execute

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
START = ROOT / "notebooks" / "00_start_here.ipynb"
CUT_OFF = Path(__file__).parent / "offline"
MODES = ["cut off", "connected"] if os.environ.get("EVERY_NOTEBOOK") == "twice" else ["cut off"]

SERIES = [path for path in NOTEBOOKS if path.stem[:2].isdigit()]  # the playground has no figures
PLAYGROUND = ROOT / "notebooks" / "playground.ipynb"
EXPLORER = r"(\w+_lab|activation_explorer|zoo_browser)\(.*\)$"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_lesson = pytest.mark.parametrize("path", SERIES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The executed notebooks {(mode, path): future}; two run at a time, each from a folder of its own."""
    connected, cut_off = (tmp_path_factory.mktemp(mode) for mode in ("connected", "cut_off"))
    environments = {connected: {**os.environ}, cut_off: _without_network(cut_off)}
    for copy, environment in environments.items():
        shutil.copytree(ROOT / "helpers", copy / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "notebooks", copy / "notebooks", ignore=shutil.ignore_patterns(".*"))
        (copy / "data").mkdir()
        for weights in (ROOT / "data").glob("*.keras"):
            shutil.copy(weights, copy / "data")
        shutil.copytree(ROOT / "data" / "paintings", copy / "data" / "paintings")
        shutil.copytree(ROOT / "data" / "trainings", copy / "data" / "trainings",
                        ignore=shutil.ignore_patterns("weights", ".*"))
        environment["PYTHONPATH"] = os.pathsep.join([str(copy), environment.get("PYTHONPATH", "")])
    local_mnist = ROOT / "data" / "mnist.npz"
    if local_mnist.exists() and "MNIST_NPZ" not in os.environ:
        environments[connected]["MNIST_NPZ"] = str(local_mnist)
    with ThreadPoolExecutor(2) as pool:
        yield {
            (mode, path): pool.submit(execute, copy / "notebooks" / path.name, environments[copy])
            for path in NOTEBOOKS
            for mode, copy in (("cut off", cut_off), ("connected", connected))
            if mode in MODES
        }


def _without_network(folder):
    """An environment in which nothing is found but what was installed."""
    (folder / "keras").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "MNIST_NPZ"}
    return {**environment, "PYTHONPATH": str(CUT_OFF), "KERAS_HOME": str(folder / "keras")}


def _printed(notebook, stream):
    return [output["text"] for cell in notebook.cells for output in cell.get("outputs", [])
            if output.output_type == "stream" and output.name == stream]


@pytest.mark.parametrize("mode", MODES)
@every_notebook
def test_a_notebook_runs_and_says_nothing_on_the_error_stream(runs, path, mode):
    assert _printed(runs[mode, path].result(), "stderr") == []


@every_notebook
def test_a_notebook_that_has_no_mnist_says_which_digits_stand_in(runs, path):
    notebook = runs["cut off", path].result()
    if "load_digits" in _text(notebook, "code"):
        assert any("1,797 real handwritten digits" in text for text in _printed(notebook, "stdout"))


def test_the_cut_off_environment_reaches_nothing(tmp_path):
    attempt = "import urllib.request\nurllib.request.urlopen('http://example.org', timeout=5)"
    environment = _without_network(tmp_path)
    run = subprocess.run([sys.executable, "-c", attempt], env=environment, capture_output=True, text=True)
    assert "the network is cut off" in run.stderr


def _without_pictures(output):
    """An output as text: chance puts any word into the letters of an encoded picture."""
    data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
    return {**output, "data": data}


def _text(notebook, kind):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == kind)


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@every_lesson
def test_a_notebook_opens_and_closes_as_the_series_does(notebook, path):
    number = int(path.stem[:2])
    assert notebook.cells[0].source.startswith(f"# {number}. ")
    assert "**You will learn**" in notebook.cells[0].source and "minute" in notebook.cells[0].source
    text = _text(notebook, "markdown")
    assert "## Try it" in text and "## Summary" in text and "Next:" in text
    assert notebook.cells[1].cell_type == "code" and "SEED" in notebook.cells[1].source


@every_lesson
def test_cells_are_short_and_prose_stands_between_them(notebook, path):
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in notebook.cells)
    assert "ccc" not in kinds
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= 25
    assert len(_text(notebook, "markdown").split()) > (400 if path == START else 600)


@every_notebook
def test_what_is_committed_is_one_clean_run(notebook, path):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" for output in outputs)
    assert _printed(notebook, "stderr") == [] and "widgets" not in notebook.metadata
    assert not any(WIDGET in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 3_000_000
    assert not any("WARNING" in text for text in _printed(notebook, "stdout"))
    shown = [cell.source for cell in notebook.cells] + [json.dumps(_without_pictures(output)) for output in outputs]
    assert not re.search(r"/(home|root|tmp|work)/|C:\\|0x[0-9a-f]{8}", "\n".join(shown))


@every_lesson
def test_every_figure_has_its_caption_and_they_are_counted_through(notebook, path):
    for cell, following in zip(notebook.cells, notebook.cells[1:]):
        kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
        if kinds & {"image/png", "image/jpeg"} and not re.match(EXPLORER, cell.source):
            assert re.match(r"\*\*Figure \d+\.\d+\.\*\* ", following.source), cell.source
    numbers = re.findall(r"^\*\*Figure (\d+)\.(\d+)\.\*\* ", _text(notebook, "markdown"), re.MULTILINE)
    assert numbers == [(str(int(path.stem[:2])), str(place)) for place in range(1, len(numbers) + 1)] and numbers


@every_notebook
def test_no_picture_is_visibly_compressed(notebook, path):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/jpeg" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/jpeg"])))
                assert picture.quantization[0][0] <= 7  # quality 80 or better


@every_notebook
def test_links_lead_to_files_that_exist(notebook, path):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", _text(notebook, "markdown"))
    assert links and [link for link in links if not (path.parent / link).exists()] == []


def test_each_explorer_is_one_line_in_its_notebook_below_the_figure_of_the_same():
    found = {}
    for path in SERIES:
        notebook, seen = nbformat.read(path, as_version=4), 0
        for cell in notebook.cells:
            seen += cell.source.startswith("**Figure ")
            name = re.match(EXPLORER, cell.source)
            if name and seen:
                found.setdefault(name[1], set()).add(path.stem[:2])
    assert found.items() >= {"activation_explorer": {"03"}, "oip_lab": {"00", "04"}, "zoo_browser": {"05"},
                             "dream_lab": {"06", "07"}, "digit_lab": {"08"}, "latent_lab": {"09"}}.items()


def test_notebook_01_opens_with_the_kernel_lab_below_a_picture_of_what_kernels_make():
    title, imports, *cells = nbformat.read(ROOT / "notebooks" / "01_cnn_basics.ipynb", as_version=4).cells
    assert re.search(r"!\[[^]]+\]\(figures/kernels\.png\)", title.source) and imports.cell_type == "code"
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    assert re.match(EXPLORER, first)[1] == "kernel_lab"


def test_the_playground_has_goals_and_exercises_one_loading_cell_and_every_explorer_alone_below_it():
    cells = nbformat.read(PLAYGROUND, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "**You will learn**" in cells[0].source and "## Try it" in text and "## Summary" in text and "Next:" in text
    loading, *explorers = [cell.source for cell in cells if cell.cell_type == "code"]
    assert "cnn = load_cnn()" in loading
    assert sorted(re.match(EXPLORER, source)[1] for source in explorers) == sorted(
        name for name in widgets.__all__ if re.match(EXPLORER, f"{name}()"))


def test_make_lab_opens_the_start_page():
    opened = re.search(r"default_url=/lab/tree/(\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))[1]
    assert ROOT / opened == START and START in NOTEBOOKS


def test_the_readme_lists_every_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in NOTEBOOKS if f"notebooks/{path.name}" not in readme] == []
