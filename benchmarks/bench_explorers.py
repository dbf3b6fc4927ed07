"""Explorers: from a moved control to new PNG bytes; a thousand moves; from a key press to another picture on screen.

Targets on 2 idle cores, 95 of 100 moves: OIP lab 120 ms, activation explorer 60 ms, dream of the whole photo 400 ms;
in 1,000 moves no new trace of the compiled steps, less than 30 MB more memory, no figure left open; Stop within 0.3 s.
"""

import gc
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.browser and tests.explorers
from helpers import ascent
from helpers.models import load_cnn
from helpers.widgets import activation_explorer, dream_lab, oip_lab, zoo_browser
from helpers.widgets.parts.worker import wait_until_idle
from tests import browser
from tests.explorers import control, images

MOVES, MANY, KEYS, STOPS = 200, 1000, 60, 12
CLOCK = """() => {
    const picture = document.querySelector('.explorer img');
    window.changed = new Promise(done => {
        let begin;
        const pressed = () => { begin = performance.now() };
        document.addEventListener('keydown', pressed, {once: true, capture: true});
        const seen = (_, observer) => { observer.disconnect(); done(performance.now() - begin) };
        new MutationObserver(seen).observe(picture, {attributes: true, attributeFilter: ['src']});
    });
}"""


def milliseconds(explorer, name, values):
    """How long each move of a control takes until all pictures are new; every move must have changed one."""
    moved, shown, times = control(explorer, name), images(explorer), []
    for value in values:
        begin = time.perf_counter()
        moved.value = value
        assert wait_until_idle()
        times.append(1000 * (time.perf_counter() - begin))
        assert images(explorer) != shown, f"{name} = {value} changed nothing"
        shown = images(explorer)
    return times


def report(name, times, target=""):
    half, most = np.percentile(times, (50, 95))
    print(f"{name:44} p50 {half:6.1f} ms   p95 {most:6.1f} ms   {target}", flush=True)


def by_value(cnn):
    maps = [1 + move % 127 for move in range(MOVES)]
    explorers = {
        "OIP lab, map index": (oip_lab(cnn), "map index", maps, "target 120"),
        "activation explorer, digit": (activation_explorer(cnn), "digit", range(1, 1 + MOVES), "target 60"),
        "dream lab, whole photo, 4 x 30 steps": (
            dream_lab(cnn, scheme="the whole photo", passes=4, epochs=30, epsilon=0.01), "map(s)",
            [str(one) for one in maps], "target 400"),
    }
    for name, (explorer, moved, values, target) in explorers.items():
        wait_until_idle()
        milliseconds(explorer, moved, values[:5])  # compiles, fills caches
        report(name, milliseconds(explorer, moved, values[5:]), target)


def stops(cnn):
    """From the press of Stop to the picture that is kept, amid long work of each explorer."""
    long_work = {
        "OIP lab, 600 steps watched": (oip_lab(cnn), {"epochs (steps)": 600}, "animate"),
        "zoo browser, filling": (zoo_browser(cnn, "Conv2D_3"), {}, "roll the dice"),
        "dream lab, 8 x 8 tiles": (dream_lab(cnn), {"dream in": "tiles", "tiles per edge": 8}, "roll the dice"),
        "dream lab, octaves": (dream_lab(cnn), {"dream in": "octaves", "epochs (steps)": 100}, "roll the dice"),
    }
    for name, (explorer, settings, start) in long_work.items():
        for moved, value in settings.items():
            control(explorer, moved).value = value
        wait_until_idle()
        times = []
        for wait in np.linspace(0.05, 0.35, STOPS):
            control(explorer, start).click()
            time.sleep(wait)
            begin = time.perf_counter()
            control(explorer, "Stop").click()
            wait_until_idle()
            times.append(1000 * (time.perf_counter() - begin))
        report(f"Stop: {name}", times, "target 300")


def a_thousand_moves(cnn):
    lab, process = oip_lab(cnn), psutil.Process()
    wait_until_idle()
    settings = np.random.default_rng(0)
    milliseconds(lab, "map index", range(1, 50))
    traces, memory = _traces(), _memory(process)
    for _ in range(MANY // 4):
        control(lab, "map index").value = int(settings.integers(128))
        wait_until_idle()
        control(lab, "random seed").value = int(settings.integers(10_000))
        wait_until_idle()
        control(lab, "epsilon (step size)").value = float(10 ** settings.uniform(-2, 1))
        wait_until_idle()
        control(lab, "scale 3 x 3").value = float(settings.uniform(0, 1))
        wait_until_idle()
    figures = sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []
    print(f"{MANY} moves: {_traces() - traces} new traces (target 0), {_memory(process) - memory:+.1f} MB "
          f"(target < 30), {len(figures)} figures open (target 0)", flush=True)


def _traces():
    return ascent._step.experimental_get_tracing_count() + ascent._steps.experimental_get_tracing_count()


def _memory(process):
    gc.collect()
    return process.memory_info().rss / 1e6


def by_key():
    """From the press of an arrow key to the changed picture, clocked within the page."""
    if browser.chromium() is None:
        print("no Chromium on this machine: nothing measured in a browser")
        return
    with (tempfile.TemporaryDirectory() as folder, browser.series(Path(folder)) as address,
          browser.browser() as running, browser.new_page(running, address, []) as page):  # fmt: skip
        lab = browser.run_notebook(page, "00_start_here")
        browser.slider(lab, "map index").focus()
        times = []
        for _ in range(KEYS):
            page.evaluate(CLOCK)
            page.keyboard.press("ArrowRight")
            times.append(page.evaluate("() => window.changed"))
            page.wait_for_timeout(100)
        report("OIP lab, key press to picture in the browser", times[5:], "(no target)")


if __name__ == "__main__":
    model = load_cnn()
    by_value(model)
    stops(model)
    a_thousand_moves(model)
    by_key()
