"""The live page opens from disk and from a server, answers in all four explorers, and asks nobody for anything.

Without a Chromium these tests are skipped, and say so; BROWSER_TESTS=required makes that a failure.
"""

import contextlib
import functools
import http.server
import os
import re
import sys
import threading
from urllib.parse import urlsplit

import keras
import numpy as np
import pytest

from helpers.activations import feature_extractor, mean_activations
from tests import browser
from tests.live import ROOT, SITE

sys.path.insert(0, str(SITE))

from build import build_live  # noqa: E402
from pack import pack  # noqa: E402

if not browser.chromium() and os.environ.get("BROWSER_TESTS") == "required":
    pytest.fail("not on this machine: a Chromium (Debian: apt install chromium)", pytrace=False)
pytestmark = pytest.mark.skipif(not browser.chromium(),
                                reason="not on this machine: a Chromium (Debian: apt install chromium)")
CARDS = "oip", "digit", "change", "dream"
TOLD = {"oip": "mean activation of", "digit": "The network reads", "change": "It reads", "dream": "carved in 4 octaves"}
PATIENCE = 1000 * browser.SECONDS


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build_live(folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)
        yield opened
        opened.close()


@contextlib.contextmanager
def opened(chromium, address, width=1280, height=900, theme="light", ready=True):
    """A page at an address; at its end, nothing failed on it and it asked no other host for anything."""
    page, faults, asked = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=theme), [], []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(PATIENCE)
    try:
        page.goto(address)
        if ready:
            page.wait_for_selector("body.ready")
        yield page
        own = urlsplit(address)
        assert [url for url in asked if not url.startswith(("data:", "blob:")) and urlsplit(url)[:2] != own[:2]] == []
        assert faults == []
    finally:
        page.close()


@contextlib.contextmanager
def served(folder):
    """The address of a static server of a folder, on this machine only."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def told(page, card, words):
    """Wait until the sentence of a card has these words, and return it."""
    page.evaluate("card => document.getElementById(card).scrollIntoView()", card)
    sentence = page.locator(f"#{card} .sentence").filter(has_text=words).first
    sentence.wait_for()
    return sentence.inner_text()


def picture(page, card):
    """The pixels of the first picture of a card, as the address of an image."""
    return page.locator(f"#{card} canvas").first.evaluate("canvas => canvas.toDataURL()")


@pytest.mark.parametrize("way", ["from disk", "from a server"])
def test_all_four_explorers_answer(chromium, site, way):
    server = served(site) if way == "from a server" else contextlib.nullcontext(f"{site.as_uri()}/")
    with server as address, opened(chromium, f"{address}{'live/' if way == 'from a server' else 'live.html'}") as page:
        for card in CARDS:
            told(page, card, TOLD[card])


def test_the_python_of_the_oip_lab_makes_the_picture_that_is_told(chromium, site):
    with opened(chromium, f"{(site / 'live.html').as_uri()}#layer=Conv2D_2&map=5&seed=3&steps=20") as page:
        value = float(re.search(r"mean activation of ([\d.]+)", told(page, "oip", "20 softened steps"))[1])
        lines = page.locator("#oip .python code").text_content()
    space = {}
    exec(lines, space)
    answer = mean_activations(feature_extractor(space["model"], "Conv2D_2"), np.asarray(space["images"]))[0, 5]
    assert answer == pytest.approx(value, rel=0.01)  # the page tells three digits
    assert answer > 0.1


def test_a_key_on_a_slider_changes_picture_sentence_and_link_and_the_link_brings_them_back(chromium, site):
    with opened(chromium, f"{(site / 'live.html').as_uri()}#layer=Conv2D_3&map=18") as page:
        told(page, "oip", "Map 18 of layer 3")
        before = picture(page, "oip")
        page.get_by_label("map", exact=True).press("ArrowRight")
        told(page, "oip", "Map 19 of layer 3")
        after = picture(page, "oip")
        assert after != before
        page.wait_for_function("location.hash.includes('map=19')")
        link = page.url
    with opened(chromium, link) as page:
        told(page, "oip", "Map 19 of layer 3")
        page.wait_for_function("wanted => document.querySelector('#oip canvas').toDataURL() === wanted", arg=after)


def test_what_is_drawn_is_read_by_the_network(chromium, site):
    """A vertical line is a 1, whatever stood on the pad before."""
    with opened(chromium, f"{(site / 'live.html').as_uri()}#sample=0") as page:
        told(page, "digit", "The network reads a 0")
        page.locator("#digit").get_by_role("button", name="clear").click()
        box = page.locator("#digit canvas").first.bounding_box()
        for step in range(12):
            right, down = 0.52 - 0.003 * step, 0.15 + 0.06 * step
            page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"])
            if not step:
                page.mouse.down()
        page.mouse.up()
        told(page, "digit", "The network reads a 1")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_nothing_overflows_sideways(chromium, site, width, theme):
    with opened(chromium, (site / "live.html").as_uri(), width, theme=theme) as page:
        for card in CARDS:
            told(page, card, TOLD[card])
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_leaves_explorers_and_controls_out(chromium, site):
    with opened(chromium, f"{(site / 'live.html').as_uri()}#only=oip&hide=steps") as page:
        told(page, "oip", TOLD["oip"])
        assert page.locator("#oip").is_visible() and not page.locator("#digit").is_visible()
        assert page.get_by_label("map", exact=True).is_visible()
        assert not page.locator("#oip [data-control=steps]").is_visible()


def _network(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def test_the_network_of_a_reader_is_packed_into_the_page(chromium, tmp_path):
    network = _network(keras.layers.Conv2D(5, 5, activation="relu", name="mine"), keras.layers.MaxPooling2D(2),
                       keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax"))
    network.save(tmp_path / "mine.keras")
    with opened(chromium, pack(tmp_path / "mine.keras", tmp_path / "mine.html").as_uri()) as page:
        told(page, "oip", "Map 4 of")  # the last of five: the shipped network's 37 is beyond them
        assert 'load_cnn("mine.keras")' in page.locator("#oip .python code").text_content().replace("'", '"')
        assert page.locator("#digit .bars").first.locator("> *").count() >= 7


def test_a_network_that_the_page_cannot_run_is_refused_by_the_name_of_the_layer(tmp_path):
    network = _network(keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization(name="strange"),
                       keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax"))
    network.save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match="strange"):
        pack(tmp_path / "mine.keras", tmp_path / "mine.html")
    assert not (tmp_path / "mine.html").exists()


def test_the_page_is_made_by_make_site_and_not_committed():
    assert "python site/build.py" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "site/build/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
