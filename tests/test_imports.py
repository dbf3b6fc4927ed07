"""The house keeps its rooms apart: which helper may import what."""

import ast
import importlib
from pathlib import Path

import pytest

from helpers import models

HELPERS = Path(__file__).resolve().parent.parent / "helpers"
MAY_IMPORT = {  # of the other helpers; all may ask `checks`, which imports none, and `WRITERS` may ask `files`
    "checks": set(),
    "files": set(),
    "images": set(),
    "models": set(),
    "graph": set(),
    "activations": {"graph"},
    "objectives": set(),
    "matching": set(),
    "twins": {"activations", "graph"},
    "attributions": {"activations", "graph", "objectives", "ascent", "twins"},
    "attacks": {"activations", "objectives", "ascent", "images"},
    "photos": set(),
    "ink": {"images", "photos"},
    "handwriting": {"images", "ink"},
    "data": {"images", "ink", "photos"},
    "fluctuations": {"images"},
    "ascent": {"images"},
    "dreams": {"images", "ascent", "objectives"},
    "textures": {"ascent", "fluctuations", "objectives"},
    "prints": {"images"},
    "dream": {"activations", "ascent", "dreams", "geometry", "models", "objectives", "photos"},
    "figures": {"images"},
    "drawings": {"figures"},
    "oips": {"activations", "objectives", "fluctuations", "ascent", "images"},
    "geometry": {"graph"},
    "autoencoders": {"data", "training"},
    "latent": {"ascent"},
    "scores": {"activations"},
    "style": {"activations", "ascent", "geometry", "images", "objectives"},
    "vgg": set(),
    "paintings": {"data", "images", "photos"},
    "training": {"activations", "ascent", "data", "images", "models", "objectives"},
    "measures": {"activations", "ascent", "fluctuations", "images", "objectives"},
    "study": {"activations", "ascent", "attacks", "data", "fluctuations", "geometry", "handwriting", "images",
              "matching", "measures", "models", "objectives", "photos", "training"},
    "sweeps": {"data", "study"},
}
WRITERS = {"autoencoders", "data", "dream", "models", "photos", "study", "sweeps", "training"}
EXPLORERS = {f"widgets.{path.stem}" for path in (HELPERS / "widgets").glob("*.py")}
ONLY = {"matplotlib": {"figures", "drawings"}, "PIL": {"ink", "photos"}, "sklearn": {"data", "latent", "photos"},
        "ipywidgets": EXPLORERS - {"widgets.worker", "widgets.python"},
        "anywidget": {"widgets.explorer", "widgets.parts", "widgets.drawing", "widgets.latents"},
        "threading": {"widgets.worker", "data", "sweeps"}, "concurrent": {"sweeps"}, "multiprocessing": {"sweeps"},
        "distributed": {"sweeps"}}  # fmt: skip


def imported(module):
    """The full names of what a helper imports, anywhere in its text; `widgets.worker` is one as well."""
    module = module.replace(".", "/")
    names = set()
    for node in ast.walk(ast.parse((HELPERS / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_helper_has_a_rule():
    assert {path.stem for path in HELPERS.glob("*.py")} - {"__init__"} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_a_helper_imports_no_other_helper_than_it_may(module):
    others = {name.split(".")[1] for name in imported(module) if name.startswith("helpers.")}
    common = {"checks", "files"} if module in WRITERS else {"checks"}
    assert others <= MAY_IMPORT[module] | common - {module}


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_only_the_appointed_helpers_import_a_library(module):
    roots = {name.split(".")[0] for name in imported(module)}
    assert not [library for library, allowed in ONLY.items() if library in roots and module not in allowed]
    assert not any(name.startswith("helpers.widgets") for name in imported(module))


def test_only_the_engine_takes_gradients_and_only_once():
    found = {path.stem: path.read_text(encoding="utf-8").count("GradientTape(") for path in HELPERS.glob("*.py")}
    assert {name: count for name, count in found.items() if count} == {"ascent": 1}


def test_what_moved_to_another_room_can_be_had_from_where_it_was():
    for room, names in models.MOVED.items():
        for name in names:
            assert getattr(models, name) is getattr(importlib.import_module(f"helpers.{room}"), name)
    with pytest.raises(AttributeError, match="no attribute 'train_dnn'"):
        models.train_dnn  # noqa: B018


def test_nothing_in_the_helpers_touches_pyplot():
    assert not any("matplotlib.pyplot" in imported(module) for module in [*MAY_IMPORT, *EXPLORERS])


@pytest.mark.parametrize("module", sorted(EXPLORERS))
def test_an_explorer_imports_no_library_that_only_others_may(module):
    roots = {name.split(".")[0] for name in imported(module)}
    assert not [library for library, allowed in ONLY.items() if library in roots and module not in allowed]


def test_an_explorer_imports_no_other_explorer():
    common = {"checks", "widgets", *(f"widgets.{name}" for name in (
        "drawing", "explorer", "parts", "python", "worker"))}
    for module in EXPLORERS - {"widgets.__init__"}:
        assert {name.removeprefix("helpers.") for name in imported(module)} & EXPLORERS <= common - {module}


def test_the_worker_knows_nothing_of_widgets():
    assert {name for name in imported("widgets.worker") if name.startswith("helpers")} == {
        "helpers.ascent", "helpers.ascent.stoppable"
    }
