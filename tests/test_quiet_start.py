"""Importing the package says nothing while all goes well, and enough when it does not. Each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imported(tmp_path, stand_in=None):
    """`import helpers` in a new process, with a module of these lines in the place of TensorFlow if given."""
    if stand_in:
        (tmp_path / "tensorflow.py").write_text(stand_in)
    lines = f"import sys\nsys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nimport helpers"
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=tmp_path)


def test_nothing_is_said_while_all_goes_well(tmp_path):
    run = imported(tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("end, words", [
    ("raise ImportError('no such library')", ["a greeting", "no such library"]),
    ("os.abort()", ["Fatal Python error: Aborted", "tensorflow.py"]),
])  # fmt: skip
def test_a_start_that_fails_is_told(tmp_path, end, words):
    run = imported(tmp_path, f"import os\nos.write(2, b'a greeting')\n{end}")
    assert run.returncode and [word for word in words if word not in run.stderr] == []


def test_a_greeting_is_not_told(tmp_path):
    run = imported(tmp_path, "import os, logging\nos.write(2, b'a greeting')\nget_logger = logging.getLogger")
    assert (run.returncode, run.stderr) == (0, "")
