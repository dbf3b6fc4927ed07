"""The page of explorers without code, `make page`: Voila shows the playground, and its explorers answer there.

Without Voila (the extra `page`) or a Chromium these tests are skipped, and say so; BROWSER_TESTS=required makes that a
failure.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import browser

ROOT = Path(__file__).resolve().parent.parent
EXPLORERS = 8
MISSING = [name for name, there in (("Voila (the extra `page`)", importlib.util.find_spec("voila")),
                                    ("a Chromium (Debian: apt install chromium)", browser.chromium())) if not there]
if MISSING and os.environ.get("BROWSER_TESTS") == "required":
    pytest.fail(f"not on this machine: {', '.join(MISSING)}", pytrace=False)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}")


def _options():
    """What `make page` says to Voila."""
    return re.search(r"-m voila (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of the page, served from a copy of the series."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "paintings", folder / "data" / "paintings")
    for weights in (ROOT / "data").glob("*.keras"):
        shutil.copy(weights, folder / "data")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "playground.ipynb", folder / "notebooks")
    port = browser.free_port()
    command = [sys.executable, "-m", "voila", *_options(), "--no-browser", f"--port={port}"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "JUPYTER_CONFIG_DIR": str(folder / ".settings")}
    with open(folder / "page.log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        browser.wait_for(lambda: _listens(port) or server.poll() is not None)
        assert server.poll() is None, (folder / "page.log").read_text(encoding="utf-8")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()


def test_the_page_shows_every_explorer_and_no_code_and_the_oip_lab_answers(address):
    with browser.browser() as running:
        page = running.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        page.set_default_timeout(1000 * browser.SECONDS)
        failed = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(address, timeout=3000 * browser.SECONDS)
        page.locator(".explorer").nth(EXPLORERS - 1).wait_for(state="attached", timeout=3000 * browser.SECONDS)
        assert page.locator(".explorer").count() == EXPLORERS
        assert "load_cnn" not in page.locator("body").inner_text()
        lab = browser.shown(page.locator(".explorer").first)
        browser.changed(lab, lambda: browser.slider(lab, "map index").press("ArrowRight"))
        assert failed == []
