"""A real JupyterLab in a real browser: what the tests of the explorers and their latency benchmark drive.

Needs Playwright for Python and a Chromium on the machine (Debian's package `chromium`); `chromium()` finds it.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
CONTROLS = ("select, button, input:not([hidden]), textarea, summary, .noUi-handle, .widget-readout[contenteditable], "
            ".explorer-sheet, .explorer-nodes, canvas")
NAME = """part => {
    const label = part.closest('.widget-inline-hbox')?.querySelector('.widget-label')?.textContent;
    const text = name => (name || '').replace('\\u200b', '').trim();
    return text(label) || text(part.getAttribute('aria-label')) || text(part.textContent)
        || text(part.closest('label')?.textContent);
}"""
SECONDS = float(os.environ.get("BROWSER_SECONDS", 60))  # patience; a busy machine wants more
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
EXPLORER = r"(\w+_lab|activation_explorer|zoo_browser)\("


def chromium():
    """Return the path of a Chromium, or None: that of the variable CHROMIUM, or the first one found."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def jupyter_lab(folder, environment=None, theme="JupyterLab Light"):
    """Run a JupyterLab whose root is `folder` and yield its address; without token, on this machine only."""
    port = free_port()
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}",
        "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--expose-app-in-browser",
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


@contextlib.contextmanager
def series(folder, theme="JupyterLab Light"):
    """Run a JupyterLab on a copy of the series in `folder`; of notebooks 01 to 07 only the cells an explorer needs."""
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks" / "figures", folder / "notebooks" / "figures")
    (folder / "data").mkdir()
    for weights in ("cnn", "autoencoder_16"):
        shutil.copy(ROOT / "data" / f"{weights}.keras", folder / "data")
    shutil.copytree(ROOT / "data" / "paintings", folder / "data" / "paintings")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if not path.stem.startswith(("00", "playground")):
            notebook.cells = _needed(notebook.cells)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "notebooks" / path.name)
    with jupyter_lab(folder, {**os.environ, "PYTHONPATH": str(folder)}, theme) as address:
        yield address


def _needed(cells):
    """The title, the imports, the line that loads the CNN, and the explorers."""
    load = re.search(r"^\w+ = load_cnn\(\)", "\n".join(cell.source for cell in cells[2:]), re.MULTILINE)
    loading = [nbformat.v4.new_code_cell(load[0])] if load else []
    return cells[:2] + loading + [cell for cell in cells if re.match(EXPLORER, cell.source)]


@contextlib.contextmanager
def browser():
    """Run a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


@contextlib.contextmanager
def new_page(running, address, errors):
    """Open a page 1280 pixels wide; what its console calls an error is added to the list `errors`."""
    context = running.new_context(viewport={"width": 1280, "height": 1000}, base_url=address)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)

    def note(message):
        if message.type == "error":
            errors.append(f"{message.text} ({message.location['url']})")

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    for session in page.request.get("/api/sessions").json():
        page.request.delete(f"/api/sessions/{session['id']}")
    context.close()


def run_notebook(page, name):
    """Open a notebook and run all its cells; return its first explorer once it shows a picture."""
    page.goto(f"/lab/workspaces/{time.monotonic_ns()}/tree/notebooks/{name}.ipynb")
    page.locator(".jp-Notebook-cell").first.wait_for(timeout=1000 * SECONDS)
    page.evaluate("""async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        await Promise.all([panel.context.ready, panel.sessionContext.ready]);
        await panel.sessionContext.session.kernel.info;
    }""")
    menu(page, "Run", "Run All Cells")
    return shown(page.locator(".explorer").first)


def menu(page, name, entry):
    """Choose an entry of a menu of JupyterLab."""
    page.get_by_role("menuitem", name=name, exact=True).click()
    page.get_by_role("menuitem", name=entry).first.click()


def shown(explorer):
    """The explorer, once its first picture has arrived and it says something."""
    explorer.locator("img").first.wait_for(timeout=1000 * SECONDS)
    wait_for(lambda: source(explorer).startswith("blob:") and status(explorer))
    return explorer


def source(explorer, place=0):
    """Where the browser has the bytes of a picture from: another address, another picture."""
    return explorer.locator("img").nth(place).get_attribute("src") or ""


def status(explorer):
    """The sentence that says what came of it."""
    return explorer.locator(".explorer-status").inner_text()


def slider(explorer, name):
    """The handle of the slider with this name."""
    named = explorer.page.get_by_text(name, exact=True)
    return explorer.locator(".widget-inline-hbox", has=named).locator(".noUi-handle")


def button(explorer, name):
    """The button with this name, after its icon."""
    return explorer.get_by_role("button", name=re.compile(rf"{re.escape(name)}$"))


def wait_for(condition, seconds=SECONDS):
    """Wait until `condition()` holds; AssertionError if it takes longer."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def changed(explorer, action, place=0):
    """Do something and wait until a picture is another one."""
    before = source(explorer, place)
    action()
    wait_for(lambda: source(explorer, place) != before)


def scrolled_sideways(page):
    """The parts of the page that are wider than their place, and so would need a scroll bar or are cut off."""
    return page.evaluate("""[...document.querySelectorAll('.jp-OutputArea-output, .explorer, .explorer *')]
        .filter(part => part.scrollWidth > part.clientWidth + 1
                && ['auto', 'scroll', 'hidden'].includes(getComputedStyle(part).overflowX)
                && !['INPUT', 'SELECT'].includes(part.tagName))
        .map(part => `${part.className} ${part.scrollWidth} > ${part.clientWidth}`)""")


def control_names(explorer):
    """The names of all visible controls in the order of the page."""
    visible = "parts => parts.filter(part => part.checkVisibility({visibilityProperty: true}) && !part.disabled)"
    return explorer.locator(CONTROLS).evaluate_all(f"parts => ({visible})(parts).map({NAME})")


def focused_name(page):
    """The name of the control that has the focus."""
    return page.evaluate(f"({NAME})(document.activeElement)")


def text_contrasts(page):
    """The contrast of each piece of text in an explorer with what lies behind it, 1 (none) to 21 (black on white)."""
    return page.evaluate("""() => {
        const numbers = color => (color.match(/[0-9.]+/g) || []).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92
            : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = part => {
            for (; part; part = part.parentElement) {
                const color = numbers(getComputedStyle(part).backgroundColor);
                if (color.length === 3 || color[3] > 0.5) return color;
            }
            return [255, 255, 255];
        };
        const found = {};
        for (const part of document.querySelectorAll('.explorer *')) {
            const own = [...part.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
            if (!own || part.tagName === 'STYLE' || part.disabled || !part.checkVisibility({visibilityProperty: true}))
                continue;
            const style = getComputedStyle(part);
            const color = numbers(part instanceof SVGElement ? style.fill : style.color);
            const [a, b] = [light(color), light(behind(part))].sort((x, y) => y - x);
            found[part.textContent.trim().slice(0, 40)] = (a + 0.05) / (b + 0.05);
        }
        return found;
    }""")


def choose_theme(page, name):
    """Change the theme of JupyterLab."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    wait_for(lambda: page.evaluate("document.body.dataset.jpThemeName") == name)
    page.wait_for_timeout(500)  # its style sheet is loaded


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address, server, log, seconds=1.5 * SECONDS):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
