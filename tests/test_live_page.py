"""The live page in a real browser: served from a folder, and opened from disk as one file.

Without Playwright or a Chromium these tests are skipped, and say so; BROWSER_TESTS=required makes that a failure.
"""

import contextlib
import functools
import http.server
import importlib.util
import io
import os
import shutil
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from helpers.activations import feature_extractor
from helpers.images import contrast
from helpers.models import load_cnn
from tests import browser
from tests.conftest import tiny_cnn
from tests.live import SITE

assert str(SITE) in sys.path  # by tests.live
import build  # noqa: E402
import pack  # noqa: E402

MISSING = [name for name, there in (("Playwright", importlib.util.find_spec("playwright")),
                                    ("a Chromium (Debian: apt install chromium)", browser.chromium())) if not there]
if MISSING and os.environ.get("BROWSER_TESTS") == "required":
    pytest.fail(f"not on this machine: {', '.join(MISSING)}", pytrace=False)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not on this machine: {', '.join(MISSING)}")

WIDTHS = 360, 768, 1280, 1920
PIXELS = """canvas => { const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, n) => n % 4 === 0); }"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build.build_live(folder)
    return folder


@pytest.fixture(scope="module")
def address(built):
    with served(built / "live") as address:
        yield address


@pytest.fixture(scope="module")
def chrome():
    with browser.browser() as running:
        yield running


@contextlib.contextmanager
def served(folder):
    """Serve a folder on this machine and yield its address."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextlib.contextmanager
def opened(chrome, address, width=1280, height=1000, **options):
    """Open a page and wait until it is ready; an error in its console, or a file from elsewhere, is a failure."""
    context = chrome.new_context(viewport={"width": width, "height": height}, **options)
    page, errors = context.new_page(), []
    page.set_default_timeout(1000 * browser.SECONDS)
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    own = address.split("#")[0].rsplit("/", 1)[0]
    page.on("request", lambda request: request.url.startswith(("data:", "blob:", own)) or errors.append(request.url))
    page.goto(address)
    page.locator("body.ready").wait_for()
    yield page
    context.close()
    assert errors == []


def told(page, card):
    """The sentence of an explorer."""
    return page.locator(f"#{card} .sentence").first.inner_text()


def has_told(page, card, words):
    browser.wait_for(lambda: words in told(page, card))


def pixels(page, selector):
    return np.array(page.locator(selector).first.evaluate(PIXELS))


def stroke(page, points):
    """Draw a stroke on the pad with the mouse; points are shares of its width and height."""
    page.locator(".pad").scroll_into_view_if_needed()
    box = page.locator(".pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_four_explorers_show_something_and_nothing_overflows(chrome, address, width, theme):
    with opened(chrome, address + "#looked=Conv2D_3/5", width, color_scheme=theme) as page:
        assert page.locator("html").get_attribute("data-theme") == theme
        for card, words in {"oip": "mean activation", "digit": "The network reads", "change": "makes it",
                            "dream": "carved in"}.items():  # fmt: skip
            page.locator(f"#{card}").scroll_into_view_if_needed()
            page.locator(f"#{card} .lead").evaluate("part => part.scrollIntoView()")
            has_told(page, card, words)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert np.ptp(pixels(page, "#oip .stage > canvas")) > 200
        assert np.ptp(pixels(page, "#dream .wiper canvas")) > 200


def test_the_page_of_one_file_opens_from_disk_and_answers(chrome, built):
    with opened(chrome, (built / "live.html").as_uri() + "#layer=Conv2D_2&map=5") as page:
        has_told(page, "oip", "Map 5 of layer 2")
        page.locator("#dream .lead").evaluate("part => part.scrollIntoView()")
        has_told(page, "dream", "carved in")


def test_a_link_opens_exactly_its_picture(chrome, address):
    state = "layer=Conv2D_2&map=18&seed=7&softened=no&steps=30"
    with opened(chrome, f"{address}#{state}") as page:
        has_told(page, "oip", "Map 18 of layer 2")
        first = pixels(page, "#oip .stage > canvas")
        page.get_by_role("slider", name="map", exact=True).press("ArrowRight")
        has_told(page, "oip", "Map 19 of layer 2")
        browser.wait_for(lambda: "map=19" in page.url)
        assert (pixels(page, "#oip .stage > canvas") != first).any()
        page.evaluate(f"location.hash = '{state}'")  # as a click on a link does
        has_told(page, "oip", "Map 18 of layer 2")
        assert (pixels(page, "#oip .stage > canvas") == first).all()
        assert "30 steps" in told(page, "oip")


@pytest.mark.parametrize("layer, index, seed", [("Conv2D_1", 5, 3), ("Conv2D_2", 18, 7), ("Conv2D_3", 37, 0)])
def test_the_python_lines_that_are_shown_make_the_same_picture(chrome, address, layer, index, seed):
    with opened(chrome, f"{address}#layer={layer}&map={index}&seed={seed}&hide=presets") as page:
        has_told(page, "oip", f"Map {index} of")
        space = {}
        exec(page.locator("#oip pre code").text_content(), space)
        seen = page.evaluate("""async () => {
            const {enlarged} = await import(new URL('pictures.js', document.baseURI));
            return [...enlarged(new Float32Array(784).fill(1), 28, 12)].length; }""")
        assert seen == (12 * 28) ** 2
        shown = pixels(page, "#oip .stage > canvas").reshape(28, 12, 28, 12).mean(axis=(1, 3)) / 255
        made = contrast(space["images"])[0, ..., 0]
        assert np.corrcoef(shown.ravel(), made.ravel())[0, 1] > 0.99
        activation = float(np.mean(feature_extractor(load_cnn(), layer).answers(space["images"])[..., index]))
        assert f"mean activation of {activation:.3g}"[:22] in told(page, "oip")


def test_a_digit_is_read_while_it_is_drawn_and_written_into_the_link(chrome, address):
    with opened(chrome, address) as page:
        page.locator("#digit .pad").evaluate("part => part.scrollIntoView()")
        page.get_by_role("button", name="clear").click()
        has_told(page, "digit", "Draw one digit")
        stroke(page, [(0.27, 0.2), (0.5, 0.19), (0.73, 0.2), (0.62, 0.5), (0.5, 0.88)])
        has_told(page, "digit", "reads a 7")
        browser.wait_for(lambda: "ink=" in page.url)
        link = page.url
        page.get_by_role("button", name="undo").click()
        has_told(page, "digit", "Draw one digit")
    with opened(chrome, link) as page:
        has_told(page, "digit", "reads a 7")


def test_a_digit_can_be_drawn_with_the_keys(chrome, address):
    with opened(chrome, address, reduced_motion="reduce") as page:
        page.get_by_role("button", name="clear").click()
        page.locator(".pad").focus()
        for key, times in {"ArrowUp": 3, " ": 1, "ArrowDown": 28}.items():
            for _ in range(times):
                page.keyboard.press(key)
        page.keyboard.press(" ")
        has_told(page, "digit", "reads a 1")


def test_every_sample_digit_is_read_as_what_it_is(chrome, address):
    with opened(chrome, address, reduced_motion="reduce") as page:
        for digit in range(10):
            page.get_by_role("button", name=f"sample digit {digit}").click()
            has_told(page, "digit", f"{digit} (")


def test_a_photograph_of_a_digit_is_read(chrome, address):
    ink = np.full((160, 120), 230, np.uint8)
    ink[30:130, 55:65] = 20  # a 1
    with opened(chrome, address) as page:
        file = io.BytesIO()
        Image.fromarray(ink).save(file, "PNG")
        page.locator("#digit input[type=file]").set_input_files(
            {"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()})
        has_told(page, "digit", "reads a 1")
        page.locator("#digit input[type=file]").set_input_files(
            {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"no picture"})
        has_told(page, "digit", "letter.txt could not be opened")


def test_the_sum_behind_a_node_is_the_sum_of_what_is_shown(chrome, address):
    with opened(chrome, address + "#looked=Conv2D_1/3") as page:
        page.locator(".equation").first.wait_for()
        page.locator(".nodes").focus()
        page.keyboard.press("ArrowDown")
        patch, kernel, products = ([float(cell.replace("−", "-")) for cell in table.locator("td").all_inner_texts()]
                                   for table in page.locator(".equation table").all())  # fmt: skip
        assert np.allclose(np.multiply(patch, kernel), products, atol=0.03)
        share = float(page.locator(".equation b").inner_text().replace("−", "-"))
        assert abs(sum(products) - share) < 0.05


def test_a_smallest_change_makes_it_the_class_that_is_asked_for(chrome, address):
    with opened(chrome, address) as page:
        page.locator("#change .lead").evaluate("part => part.scrollIntoView()")
        has_told(page, "change", "makes it")
        page.locator("#change .segments label", has_text="9").click()
        has_told(page, "change", "makes it a 9")
        page.locator("#change select").select_option("occlusion")
        browser.wait_for(lambda: "covered with paper" in page.locator("#change .aside").inner_text())


def test_a_dream_of_the_readers_photo_can_be_stopped_and_wiped(chrome, address):
    rng = np.random.default_rng(0)
    picture = np.uint8(rng.integers(90, 160, (40, 30, 3)).repeat(8, 0).repeat(8, 1))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    with opened(chrome, address + "#fine=yes&octaves=6") as page:
        page.locator("#dream .lead").evaluate("part => part.scrollIntoView()")
        has_told(page, "dream", "carving")
        page.locator("#dream input[type=file]").set_input_files(
            {"name": "me.png", "mimeType": "image/png", "buffer": file.getvalue()})
        browser.wait_for(lambda: 'load_photo("me.png"' in page.locator("#dream pre code").text_content())
        page.locator("#dream [data-control=stop]").click()
        has_told(page, "dream", "Stopped")
        wipe = page.get_by_role("slider", name="wipe")
        wipe.press("End")
        assert page.locator(".wiper").get_attribute("style").count("100%") == 1


def test_three_maps_dream_a_color_each(chrome, address):
    with opened(chrome, address + "#also=88,11&octaves=2") as page:
        page.locator("#dream .lead").evaluate("part => part.scrollIntoView()")
        has_told(page, "dream", "Maps 37, 88, 11 of layer 3 in red, green and blue")


def test_all_maps_grow_and_one_can_be_chosen_with_the_keys(chrome, address):
    with opened(chrome, address + "#layer=Conv2D_1&map=0") as page:
        sheet = page.get_by_role("group", name="all maps of the layer")
        sheet.scroll_into_view_if_needed()
        browser.wait_for(lambda: sheet.locator("button:not(.empty)").count() == 32)
        sheet.locator("button").first.focus()
        for key in ("ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        has_told(page, "oip", "Map 2 of layer 1")
        assert sheet.locator("[aria-pressed=true]").inner_text().strip() == "2"


def test_the_strip_goes_back_to_the_random_start_with_the_keys(chrome, address):
    with opened(chrome, address) as page:
        has_told(page, "oip", "mean activation")
        last = pixels(page, "#oip .stage > canvas")
        strip = page.get_by_role("slider", name="step of the climb")
        strip.press("Home")
        assert strip.get_attribute("aria-valuetext").startswith("the random start")
        assert (pixels(page, "#oip .stage > canvas") != last).any()
        strip.press("End")
        assert (pixels(page, "#oip .stage > canvas") == last).all()


def test_a_drag_shows_pictures_all_the_way_and_ends_with_the_newest(chrome, address):
    with opened(chrome, address) as page:
        has_told(page, "oip", "mean activation")
        counts = page.evaluate("""async () => {
            const slider = document.querySelector('[data-control=map] input[type=range]');
            performance.clearMeasures('oip');
            for (let map = 0; map < 60; map++) {
                slider.value = map;
                slider.dispatchEvent(new Event('input', {bubbles: true}));
                await new Promise(requestAnimationFrame);
            }
            await new Promise((done) => setTimeout(done, 1500));
            return performance.getEntriesByName('oip').length;
        }""")
        assert counts >= 10
        has_told(page, "oip", "Map 59 of layer 3")


def test_a_link_hides_controls_and_shows_one_explorer_alone(chrome, address):
    with opened(chrome, address + "#only=oip&hide=seed,steps,dice") as page:
        assert page.locator("main > section:visible").count() == 1
        assert not page.locator("header").is_visible()
        for name in ("seed", "steps", "dice"):
            assert not page.locator(f"#oip [data-control={name}]").first.is_visible()
        assert page.locator("#oip [data-control=map]").is_visible()


def test_what_a_link_names_wrongly_is_left_at_its_default(chrome, address):
    wrong = "layer=None&map=99999&seed=-4&steps=many&theme=pink&ink=%25%3C&also=1,2,3,4&sample=77"
    with opened(chrome, f"{address}#{wrong}") as page:
        has_told(page, "oip", "Map 127 of layer 3")
        has_told(page, "digit", "The network reads")


def test_every_control_has_a_name_and_keeps_its_distance(chrome, address):
    """Names for those who do not see the page, and at least 24 pixels for fingers (WCAG 2.5.8)."""
    with opened(chrome, address, 360, 740, has_touch=True, is_mobile=True) as page:
        found = page.evaluate("""() => [...document.querySelectorAll('button, a, select, input, [tabindex="0"]')]
            .filter(part => part.checkVisibility({visibilityProperty: true}) && !part.closest('.heard, .skip'))
            .map(part => { const box = (part.closest('label') ?? part).getBoundingClientRect();
                return {name: part.getAttribute('aria-label') || part.labels?.[0]?.textContent || part.textContent,
                        html: part.outerHTML.slice(0, 90), low: Math.min(box.width, box.height)}; })""")
        assert len(found) > 60
        assert [part["html"] for part in found if not part["name"].strip()] == []
        assert [part for part in found if part["low"] < 24] == []


def test_text_stands_out_from_what_is_behind_it_in_both_themes(chrome, address):
    for theme in ("light", "dark"):
        with opened(chrome, address + "#looked=Conv2D_3/5", color_scheme=theme) as page:
            has_told(page, "oip", "mean activation")
            page.add_script_tag(content="document.body.classList.add('explorer')")
            contrasts = browser.text_contrasts(page)
            assert len(contrasts) > 40
            assert {text: value for text, value in contrasts.items() if value < 4.5} == {}


def test_a_network_of_ones_own_runs_on_the_same_page(chrome, tmp_path):
    """Of 12 x 12 pixels and 3 classes: it has patterns and dreams, and the explorers of digits are not there."""
    model = tiny_cnn()
    model.save(tmp_path / "mine.keras")
    page_path = pack.pack(tmp_path / "mine.keras", tmp_path / "mine.html")
    with opened(chrome, page_path.as_uri()) as page:
        browser.wait_for(lambda: "of layer 2" in told(page, "oip"))
        assert page.locator("#digit, #change").count() == 0
        assert f"{model.count_params()} weights" in page.locator("header").inner_text()
        assert "mine.keras" in page.locator("#oip pre code").text_content()
        page.locator("#dream .lead").evaluate("part => part.scrollIntoView()")
        has_told(page, "dream", "carved in")


def test_a_page_whose_network_is_missing_says_so(chrome, built, tmp_path):
    shutil.copytree(built / "live", tmp_path / "live")
    (tmp_path / "live" / "cnn.bin").unlink()
    context = chrome.new_context()
    page = context.new_page()
    with served(tmp_path / "live") as address:
        page.goto(address)
        page.locator("main > .failed").wait_for()
        assert "cnn.bin is missing" in page.locator("main > .failed").inner_text()
    context.close()


def test_a_module_that_cannot_be_packed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "LIVE", tmp_path)
    (tmp_path / "entry.js").write_text('import { a as b } from "./other.js";\nimport d from "./other.js";\n')
    (tmp_path / "other.js").write_text("export const a = 1;\n")
    with pytest.raises(ValueError, match="entry.js has a line that cannot be packed: import d"):
        pack.bundle(tmp_path / "entry.js")
