"""Ask the live page's engine in Node, as the page asks it in a browser: through its worker."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE, LIVE = ROOT / "site", ROOT / "site" / "live"
PROGRAM = LIVE / "engine" / "engine.wasm"
RUNNER = Path(__file__).with_name("live_engine.mjs")
sys.path.insert(0, str(SITE))

from weights import network_bytes  # noqa: E402


def needed(*programs):
    """Skip a test where a program is missing, or fail there if BROWSER_TESTS=required says so."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(f"{' and '.join(missing)} is missing and BROWSER_TESTS=required", pytrace=False)
    if missing:
        pytest.skip(f"{' and '.join(missing)} is missing")


def written(model, path):
    """Write a network for the page, and return the path."""
    path.write_bytes(network_bytes(model))
    return path


def asked(questions, weights, program=PROGRAM):
    """Return the messages that the worker posts, the first one about loading, for questions about a network's file."""
    needed("node")
    command = ["node", str(RUNNER), str(LIVE), str(program), str(weights)]
    done = subprocess.run(command, input=json.dumps(questions, default=_packed), capture_output=True, text=True,
                          timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=_unpacked)


def answers(questions, weights, program=PROGRAM):
    """Return for each question the list of the parts of its answer, without turns and times."""
    numbered = [{**question, "turn": turn} for turn, question in enumerate(questions)]
    parts = [[] for _ in questions]
    for message in asked(numbered, weights, program)[1:]:
        assert "error" not in message, message["error"]
        if not message["name"].endswith(" done"):
            parts[message["turn"]].append(message)
    return parts


def difference(values, wanted):
    """The root mean square of the difference, as a share of that of what is wanted."""
    values, wanted = np.ravel(values).astype(float), np.ravel(wanted).astype(float)
    assert values.shape == wanted.shape
    return np.sqrt(np.square(values - wanted).sum() / max(np.square(wanted).sum(), 1e-30))


def _packed(value):
    if isinstance(value, np.integer):
        return int(value)
    return {"float32": base64.b64encode(np.asarray(value, "<f4").tobytes()).decode()}


def _unpacked(value):
    return np.frombuffer(base64.b64decode(value["float32"]), "<f4") if set(value) == {"float32"} else value
