"""A real JupyterLab in a real browser: what the tests of the explorers and their latency benchmark drive.

Needs Playwright for Python and a Chromium on the machine (Debian's package `chromium`); `chromium()` finds it.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip


def chromium():
    """Return the path of a Chromium, or None: that of the variable CHROMIUM, or the first one found."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def jupyter_lab(folder, environment=None, theme="JupyterLab Light"):
    """Run a JupyterLab whose root is `folder` and yield its address; without token, on this machine only."""
    port = _free_port()
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
    ]  # fmt: skip
    settings = folder / ".lab"  # nothing of the reader's own Lab is read or changed
    apputils = settings / "settings" / "@jupyterlab" / "apputils-extension"
    apputils.mkdir(parents=True)
    wishes = {"themes": {"theme": theme}, "notification": {"fetchNews": "false", "checkForUpdates": False}}
    for name, wish in wishes.items():
        (apputils / f"{name}.jupyterlab-settings").write_text(json.dumps(wish), encoding="utf-8")
    environment = {**(environment or os.environ), "JUPYTERLAB_SETTINGS_DIR": str(settings / "settings"),
                   "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"), "JUPYTER_CONFIG_DIR": str(settings)}
    with open(folder / "lab.log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api", server, folder / "lab.log")
        yield address
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address, server, log, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
