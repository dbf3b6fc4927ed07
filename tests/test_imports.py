"""The house keeps its order: a room imports `base` and the rooms of the spine before it, and no arrow runs back up."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPINE = ("images", "photos", "ink", "data", "fluctuations", "models", "geometry", "activations", "objectives", "ascent",
         "oips", "dreams", "training", "figures", "drawings", "command")  # fmt: skip
WINGS = {"explain", "latent", "style", "compare", "gallery"}  # each imports base, the spine and itself
MODULES = {".".join(path.relative_to(ROOT / "helpers").with_suffix("").parts).removesuffix(".__init__"): path
           for path in sorted((ROOT / "helpers").rglob("*.py"))}  # fmt: skip
MODULES.pop("__init__")
ONLY = {  # who may import a library
    "matplotlib": {"figures", "drawings"},
    "PIL": {"images", "ink", "photos"},
    "sklearn": {"data", "latent.space", "photos"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "threading": {"base.interrupts", "data", "widgets.parts.worker"},
    "concurrent": set(), "multiprocessing": set(), "distributed": set(),  # experiments only
}  # fmt: skip


def imported(path):
    """The full names of what a file imports, anywhere in its text."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(module):
    """The other modules of helpers that a module imports, without the package's name."""
    found = {name.removeprefix("helpers.") for name in imported(MODULES[module]) if name.startswith("helpers.")}
    return {max((known for known in MODULES if f"{name}.".startswith(f"{known}.")), key=len) for name in found}


def allowed(module):
    """Whether `module` may import another module of helpers: the rule, as a function of its name."""
    home = module.split(".")[0]
    if home == "base":
        return lambda name: name.startswith("base")
    if module in SPINE:
        return lambda name: name.startswith("base") or name in SPINE[: SPINE.index(module)]
    if home in WINGS:
        return lambda name: name.startswith(("base", f"{home}.")) or name in SPINE
    if module.startswith("widgets.parts"):
        return lambda name: name.startswith(("base", "widgets.parts")) or name in SPINE
    own = (lambda name: name.startswith("widgets.parts")) if module != "widgets" else (lambda name: "widgets" in name)
    return lambda name: own(name) or name.split(".")[0] in {"base", *WINGS, *SPINE}


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_stands_below_it(module):
    assert module.split(".")[0] in {"base", "widgets", *WINGS, *SPINE}
    assert [name for name in ours(module) if not allowed(module)(name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_appointed_rooms_import_a_library(module):
    roots = {name.split(".")[0] for name in imported(MODULES[module])}
    homes = {module, module.split(".")[0]}
    assert [library for library, rooms in ONLY.items() if library in roots and not homes & rooms] == []
    assert not any(name.startswith(("matplotlib.pyplot", "experiments")) for name in imported(MODULES[module]))


def test_the_rule_is_broken_by_an_arrow_that_runs_up():
    assert not allowed("ascent")("oips")
    assert not allowed("explain.attacks")("latent.space")
    assert not allowed("widgets.oip_lab")("widgets.zoo_browser")
    assert not allowed("base.checks")("images")
    assert "images" in ours("ascent")


def test_every_room_of_the_spine_is_there():
    assert set(SPINE) <= set(MODULES)


def test_only_the_engine_takes_gradients_and_only_once():
    found = {module: path.read_text(encoding="utf-8").count("GradientTape(") for module, path in MODULES.items()}
    assert {module: count for module, count in found.items() if count} == {"ascent": 1}


def test_the_worker_knows_nothing_of_widgets():
    names = {name for name in imported(MODULES["widgets.parts.worker"]) if name.startswith("helpers")}
    assert all(name.startswith(("helpers.ascent", "helpers.base")) for name in names)
