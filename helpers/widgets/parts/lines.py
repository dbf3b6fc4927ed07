"""The lines of Python behind a picture: run once by the explorer, and shown to the reader as what was run.

A line whose text and whose ingredients are those of the last run is not run again, so a moved slider costs what
depends on it. Knows no widget.
"""

import ast
import importlib
import itertools
import pkgutil
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePath
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

import helpers
from helpers.data import load_digits
from helpers.models import load_cnn

APART = ("base.checks", "base.files", "command", "training", "widgets")  # helpers that no line of an explorer names
ABROAD = {"islice": ("from itertools import islice", itertools.islice), "np": ("import numpy as np", np),
          "tf": ("import tensorflow as tf", tf)}  # fmt: skip
_known = WeakKeyDictionary()  # model: whether it is the shipped one


class Uploads(dict):
    """Files that readers gave in this session, {name: bytes}."""

    def __missing__(self, name):
        raise KeyError(f"{name} was given to an explorer in another session; give it the path of your file instead")

    def keep(self, name, content):
        """Keep a file; return its name, which is another one if it was taken by another file."""
        path = PurePath(name)
        names = itertools.chain([name], (f"{path.stem}_{number}{path.suffix}" for number in itertools.count(2)))
        free = next(name for name in names if self.get(name, content) == content)
        self[free] = content
        return free


uploads = Uploads()


@lru_cache
def load_digits_once(split):
    """`data.load_digits`, which makes new arrays at each call, the same arrays each time."""
    return load_digits(split)


class Runner:
    """Runs lines of Python with one model, and keeps what they made for the next run; `given` are other names."""

    def __init__(self, model, **given):
        self.given, self.made = {"model": model, "load_digits": load_digits_once, **given}, {}

    def __call__(self, lines):
        """Return the namespace {name: value} that the lines leave. An iterator is made anew each time."""
        space, recipes, made = {**_public(), **self.given}, {}, {}
        for line in lines:
            used, assigned = names(line)
            recipe = (line, *(recipes[name] for name in sorted(used) if name in recipes))
            if recipe not in self.made:
                exec(line, space)  # a line of the explorer's own, with settings written by repr
                self.made[recipe] = {name: space[name] for name in assigned if name in space}
            space |= self.made[recipe]
            recipes |= dict.fromkeys(assigned, recipe)
            made[recipe] = self.made[recipe]
            if any(isinstance(value, Iterator) for value in made[recipe].values()):
                del made[recipe], self.made[recipe]
        self.made = made  # what this run did not need is forgotten
        return space


def names(line):
    """Return the names that a line of Python reads, and those it gives a value."""
    found = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Name)]
    return tuple({node.id for node in found if isinstance(node.ctx, kind)} for kind in (ast.Load, ast.Store))


def script(model, lines):
    """Return a whole program: imports, the model, the lines."""
    lines = ["model = load_cnn()" if is_shipped(model) else "# model is the one this explorer was opened with", *lines]
    (used, assigned), homes, public = names("\n".join(lines)), defaultdict(list), _public()
    for name in sorted(used & set(public) - assigned - set(ABROAD)):
        homes["helpers.widgets" if name == "uploads" else public[name].__module__].append(name)
    abroad = [line for name, (line, _) in ABROAD.items() if name in used]
    imports = [f"from {home} import {', '.join(found)}" for home, found in sorted(homes.items())]
    return "\n".join([*abroad, *imports, "", *lines])


def is_shipped(model):
    """Return whether the model is the shipped one: same layers, weights and answers; looked at once."""
    if model not in _known:
        _known[model] = _agrees_with_shipped(model)
    return _known[model]


def _agrees_with_shipped(model):
    try:
        shipped = load_cnn()
    except (OSError, ValueError):  # its file is gone or broken, which is no trouble for a model of the reader's own
        return False
    if len(model.outputs) != 1 or [layer.name for layer in model.layers] != [layer.name for layer in shipped.layers]:
        return False
    weights, wanted = model.get_weights(), shipped.get_weights()
    if len(weights) != len(wanted) or not all(map(np.array_equal, weights, wanted)):
        return False
    images = np.random.default_rng(0).standard_normal((4, 28, 28, 1)).astype(np.float32)  # tells other activations
    return np.allclose(model(images, training=False), shipped(images, training=False), atol=1e-5)


@lru_cache
def _public():
    """All public functions and classes of the helpers, {name: itself}, with `uploads` and those of other libraries."""
    found = {"uploads": uploads, **{name: thing for name, (_, thing) in ABROAD.items()}}
    rooms = [module.name for module in pkgutil.walk_packages(helpers.__path__, "helpers.")
             if not module.name.removeprefix("helpers.").startswith(APART)]
    for name in [*rooms, "helpers.widgets.parts.digits"]:
        module = importlib.import_module(name)
        found |= {name: thing for name, thing in vars(module).items()
                  if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__}  # fmt: skip
    return found
