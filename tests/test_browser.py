"""The explorers in their notebooks, in a real JupyterLab and a real Chromium, driven by keyboard and mouse.

Without a Chromium these tests are skipped, and say so; BROWSER_TESTS=required makes that a failure.
"""

import os
import re

import nbformat
import pytest

from tests import browser
from tests.browser import changed, slider, status, wait_for

MISSING = "no Chromium on this machine (Debian: apt install chromium); the explorers were not tried in a browser"
HARMLESS = re.compile("ResizeObserver loop")  # what Lab itself says at times
HOMES = {"kernel_lab": "01_cnn_basics",
         "activation_explorer": "03_activation_maps", "oip_lab": "04_oip_creation", "zoo_browser": "05_layer_zoo",
         "dream_lab": "06_dream_carving", "digit_lab": "08_class_outputs", "latent_lab": "09_latent_space",
         "style_lab": "10_style_transfer"}  # fmt: skip
if browser.chromium() is None and os.environ.get("BROWSER_TESTS") == "required":
    pytest.fail(MISSING, pytrace=False)
pytestmark = pytest.mark.skipif(browser.chromium() is None, reason=MISSING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("series")


@pytest.fixture(scope="module")
def address(folder):
    with browser.series(folder) as address:
        yield address


@pytest.fixture(scope="module")
def running():
    with browser.browser() as running:
        yield running


@pytest.fixture
def page(running, address):
    """A page that must not have reported an error by the end."""
    errors = []
    with browser.new_page(running, address, errors) as page:
        yield page
    assert [error for error in errors if not HARMLESS.search(error)] == []


def press(page, control, key, times=1):
    control.focus()
    for _ in range(times):
        page.keyboard.press(key)


def draw_a_one(page, explorer):
    browser.button(explorer, "draw your own").click()
    explorer.locator("canvas").wait_for()
    box = explorer.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.9 * box["height"], steps=12)
    page.mouse.up()


def test_the_start_page_runs_as_a_reader_meets_it(page):
    lab = browser.run_notebook(page, "00_start_here")
    changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))
    wait_for(lambda: "map 38 of Conv2D_3: mean activation" in status(lab))


def test_the_kernel_lab_is_painted_with_the_mouse_and_lights_the_field_of_a_node(page):
    lab = browser.run_notebook(page, HOMES["kernel_lab"])
    sums = 1  # the second picture; the first is the digit, on which only the lit field moves
    changed(lab, lab.get_by_title("Row 1, column 1 of the kernel").click, sums)
    changed(lab, lambda: press(page, slider(lab, "node, row"), "ArrowRight"))
    changed(lab, lambda: press(page, slider(lab, "stride"), "ArrowRight"), sums)
    wait_for(lambda: "28 x 28 pixels → 13 x 13 sums" in status(lab))
    changed(lab, browser.button(lab, "a trained kernel").click, sums)


def test_the_oip_lab_answers_keys_and_mouse_and_stops(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    for index in (38, 39, 40):
        changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))
        wait_for(lambda index=index: f"map {index} of Conv2D_3" in status(lab))
    changed(lab, browser.button(lab, "roll the dice").click)
    changed(lab, browser.button(lab, "the articles' way").click)
    wait_for(lambda: "600 steps" in status(lab) or "silent" in status(lab))
    browser.button(lab, "strokes").click()
    wait_for(lambda: "45 steps" in status(lab))
    press(page, slider(lab, "epochs (steps)"), "End")
    wait_for(lambda: "600 steps" in status(lab))
    changed(lab, browser.button(lab, "animate").click)
    browser.button(lab, "Stop").click()
    wait_for(lambda: "stopped after" in status(lab))


def test_the_activation_explorer_steps_opens_a_map_and_reads_a_drawn_digit(page):
    explorer = browser.run_notebook(page, HOMES["activation_explorer"])
    changed(explorer, lambda: press(page, slider(explorer, "digit"), "ArrowRight"))
    wait_for(lambda: status(explorer).startswith("digit 1 of"))
    explorer.get_by_title("map 7", exact=True).click()
    wait_for(lambda: "map 7" in explorer.inner_text() and "mean contribution" in explorer.inner_text())
    draw_a_one(page, explorer)
    wait_for(lambda: "your drawing, read as 1" in status(explorer))


def test_the_zoo_browser_fills_opens_a_map_and_marks_a_favorite(page):
    zoo = browser.run_notebook(page, HOMES["zoo_browser"])
    wait_for(lambda: "all 128 maps of Conv2D_3 made" in status(zoo))
    changed(zoo, zoo.get_by_title("map 20", exact=True).click)
    changed(zoo, zoo.get_by_title("map 18", exact=True).click)
    wait_for(lambda: "map 18: mean activation" in zoo.inner_text())
    browser.button(zoo, "favorite").click()
    wait_for(lambda: "18★" in zoo.inner_text())
    changed(zoo, lambda: press(page, zoo.locator(".explorer-sheet").first, "ArrowRight"))
    wait_for(lambda: "map 19: mean activation" in zoo.inner_text())


def test_the_digit_lab_changes_the_mind_of_the_network_and_explains_a_drawn_digit(page):
    lab = browser.run_notebook(page, HOMES["digit_lab"])
    wait_for(lambda: "read as 4" in status(lab) and "it has changed its mind" in status(lab))
    press(page, slider(lab, "allowed change"), "Home")
    wait_for(lambda: "nothing may be changed" in status(lab))
    changed(lab, lambda: press(page, slider(lab, "allowed change"), "ArrowRight", 3), 2)
    wait_for(lambda: "not enough to change its mind" in status(lab))
    browser.button(lab, "why not a 9?").click()
    wait_for(lambda: "occlusion, class 9" in lab.inner_text())
    draw_a_one(page, lab)
    wait_for(lambda: "read as 1" in status(lab) and "your drawing" in lab.inner_text())


def test_the_dream_lab_refuses_a_broken_file_in_one_sentence_and_stops(page, folder):
    lab = browser.run_notebook(page, HOMES["dream_lab"])
    wait_for(lambda: "5 octaves of 10 steps" in status(lab))
    before = browser.source(lab, 1)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing of the kind")
    with page.expect_file_chooser() as chooser:
        browser.button(lab, "your photo").click()
    chooser.value.set_files(folder / "broken.png")
    wait_for(lambda: "no picture" in status(lab))
    assert len(status(lab).splitlines()) == 1 and browser.source(lab, 1) == before
    browser.button(lab, "the flower again").click()
    wait_for(lambda: "5 octaves of 10 steps" in status(lab))
    changed(lab, lambda: press(page, slider(lab, "strength"), "ArrowRight"))
    browser.button(lab, "Stop").click()
    wait_for(lambda: "stopped after" in status(lab))


def test_a_slider_is_played_until_the_button_is_pressed_again(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    browser.button(lab, "play maps").click()
    wait_for(lambda: int(re.search(r"map (\d+) of|$", status(lab))[1] or 0) >= 40)
    browser.button(lab, "play maps").click()
    page.wait_for_timeout(1000)
    wait_for(lambda: page.locator(".explorer-busy").count() == 0)
    reached = status(lab)
    page.wait_for_timeout(2000)
    assert status(lab) == reached


def test_a_wiper_is_drawn_over_the_dream_and_the_photo(page):
    lab = browser.run_notebook(page, HOMES["dream_lab"])
    wait_for(lambda: "5 octaves of 10 steps" in status(lab))
    browser.button(lab, "wiper").click()
    before, after = (lab.locator(f".explorer-{name} img") for name in ("before", "after"))
    wait_for(lambda: before.is_visible() and before.bounding_box() == after.bounding_box())  # both in one place
    lab.locator(".explorer-wiper").focus()
    upper = """image => { const box = image.getBoundingClientRect();
        return document.elementFromPoint(box.x + 0.8 * box.width, box.y + 0.5 * box.height).closest('.explorer-before')
            !== null }"""  # which of the two is met at a place in the right half
    assert not after.evaluate(upper)
    page.keyboard.press("End")
    wait_for(lambda: after.evaluate(upper))
    browser.button(lab, "wiper").click()
    wait_for(lambda: before.bounding_box()["x"] > after.bounding_box()["x"] + after.bounding_box()["width"] - 1)


def test_the_latent_lab_follows_the_pointer_and_rolls_a_sheet(page, folder):
    lines = ["from helpers.widgets import latent_lab", "latent_lab()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in lines])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "notebooks" / "latent.ipynb")
    lab = browser.run_notebook(page, "latent")
    wait_for(lambda: "the CNN reads a" in status(lab))
    box = lab.locator("canvas.explorer-plane").bounding_box()
    changed(lab, lambda: page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.3 * box["height"]))
    moved = [lab.page.get_by_text(f"main component {axis}", exact=True).first.evaluate(
        "label => Number(label.parentElement.querySelector('.widget-readout').textContent)") for axis in (1, 2)]
    assert abs(moved[0] - 3 * 0.6) < 0.1 and abs(moved[1] - 3 * 0.4) < 0.1
    lab.locator("canvas.explorer-plane").focus()
    changed(lab, lambda: page.keyboard.press("ArrowLeft"))
    sheet = lab.locator(".explorer-sheet")
    before = sheet.get_attribute("data-picture")
    browser.button(lab, "full covariance").click()
    wait_for(lambda: sheet.get_attribute("data-picture") != before)
    browser.button(lab, "more settings").click()
    first, last = slider(lab, "digit").all()  # the ends of a walk; each button plays its own
    numbers = [end.get_attribute("aria-valuenow") for end in (first, last)]
    browser.button(lab, "play digits").nth(1).click()
    wait_for(lambda: last.get_attribute("aria-valuenow") != numbers[1])
    browser.button(lab, "play digits").nth(1).click()
    assert first.get_attribute("aria-valuenow") == numbers[0]


def test_the_style_lab_paints_while_one_watches_and_stop_keeps_the_picture(page):
    lab = browser.run_notebook(page, HOMES["style_lab"])
    changed(lab, lambda: press(page, slider(lab, "steps"), "End"))
    wait_for(lambda: "of 601" in status(lab))
    painted = browser.source(lab)
    wait_for(lambda: browser.source(lab) != painted)
    browser.button(lab, "Stop").click()
    wait_for(lambda: "stopped; the picture is kept" in status(lab))


def test_the_call_of_the_oip_lab_is_copied_as_python(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    browser.button(lab, "Python for this picture").click()
    for block, line in (("opens this again", "oip_lab("), ("makes the picture", "climb(")):
        lab.locator(".explorer-call", has_text=block).get_by_role("button", name="copy").click()
        wait_for(lambda line=line: line in page.evaluate("navigator.clipboard.readText()"))
        compile(page.evaluate("navigator.clipboard.readText()"), "copied", "exec")


def test_an_explorer_works_after_its_cell_is_run_again_and_after_a_restart(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))
    browser.menu(page, "Run", "Run All Cells")
    wait_for(lambda: lab.count() == 1 and "map 37 of" in status(browser.shown(lab)))
    changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))
    browser.menu(page, "Kernel", "Restart Kernel and Run All Cells")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='busy']").wait_for(timeout=60_000)
    wait_for(lambda: lab.locator("img").count() and "map 37 of" in status(browser.shown(lab)))
    changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))


def test_two_explorers_at_once_do_not_wait_for_one_another(page, folder):
    lines = ["from helpers.models import load_cnn\nfrom helpers.widgets import oip_lab, zoo_browser\ncnn = load_cnn()",
             "oip_lab(cnn)", "zoo_browser(cnn, 'Conv2D_3')"]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in lines])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "notebooks" / "two.ipynb")
    lab, zoo = browser.run_notebook(page, "two"), page.locator(".explorer").nth(1)
    browser.shown(zoo)
    for index in range(38, 43):
        changed(lab, lambda: press(page, slider(lab, "map index"), "ArrowRight"))
        wait_for(lambda index=index: f"map {index} of Conv2D_3" in status(lab))
    wait_for(lambda: "128" in status(zoo))


@pytest.fixture
def two_cells(page, folder):
    """An explorer in a second cell, and a function that says how many cells there are and which is active."""
    lines = ["from helpers.widgets import activation_explorer", "activation_explorer()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line) for line in lines])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "notebooks" / "keys.ipynb")
    explorer = browser.run_notebook(page, "keys")

    def cells():
        active = "[...document.querySelectorAll('.jp-Notebook-cell')].findIndex(cell => cell.matches('.jp-mod-active'))"
        return page.locator(".jp-Notebook-cell").count(), page.evaluate(active)

    return explorer, cells


def test_keys_pressed_in_an_explorer_are_no_commands_of_the_notebook(page, two_cells):
    explorer, cells = two_cells
    for control in (browser.button(explorer, "next"), slider(explorer, "map index"), explorer.locator("select").first,
                    explorer.locator(".explorer-sheet").first):  # fmt: skip
        control.click()
        before = cells()
        for key in ("d", "d", "x", "a", "b", "m", "ArrowRight", "ArrowDown", "j"):
            page.keyboard.press(key)
        page.wait_for_timeout(200)
        assert cells() == before and explorer.is_visible()


def test_a_sheet_is_one_tab_stop_and_arrow_keys_walk_over_its_pictures(page, two_cells):
    explorer, _ = two_cells
    explorer.get_by_title("map 3", exact=True).click()
    wait_for(lambda: "map 3, 26" in explorer.inner_text())
    page.keyboard.press("ArrowRight")
    wait_for(lambda: "map 4, 26" in explorer.inner_text())
    page.keyboard.press("End")
    wait_for(lambda: "map 31, 26" in explorer.inner_text())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.explorer-sheet')?.getAttribute('aria-label') || ''").count(
        "map") == 0, "the next stop is no other map of the same sheet"


def test_a_node_is_pointed_at_by_mouse_keys_and_finger_and_its_sum_is_told(page, two_cells):
    explorer, cells = two_cells
    explorer.get_by_title("map 3", exact=True).click()
    wait_for(lambda: "map 3, 26" in explorer.inner_text() and "in row" in explorer.inner_text())
    nodes = explorer.locator(".explorer-nodes")
    box, frame = nodes.bounding_box(), nodes.locator(".explorer-node")
    places = {(row, column): {"x": box["width"] * (column + 0.5) / 26, "y": box["height"] * (row + 0.5) / 26}
              for row, column in ((4, 20), (7, 10), (25, 0))}  # fmt: skip

    def told(row, column):
        found = re.search(rf"Node in row {row}, column {column} (.*? in the map)", explorer.inner_text(), re.DOTALL)
        return found and found[1]

    nodes.hover(position=places[4, 20])
    wait_for(lambda: told(4, 20))
    first = told(4, 20)
    nodes.hover(position=places[7, 10])
    wait_for(lambda: told(7, 10) and told(7, 10) != first)
    lit = frame.bounding_box()
    assert abs(lit["x"] + lit["width"] / 2 - box["x"] - places[7, 10]["x"]) < 2
    before = cells()
    nodes.focus()
    for key in ("ArrowRight", "ArrowDown", "d", "d"):
        page.keyboard.press(key)
    wait_for(lambda: told(8, 11))
    assert cells() == before
    x, y = (box[side] + places[25, 0][side] for side in "xy")
    nodes.dispatch_event("pointerdown", {"pointerType": "touch", "clientX": x, "clientY": y})
    wait_for(lambda: told(25, 0))
    nodes.click(position=places[4, 20])  # with the mouse, which enlarges a picture wherever it is clicked
    page.locator("dialog.explorer-enlarged").wait_for()


def test_a_digit_is_drawn_with_keys_and_undone(page, two_cells):
    explorer, cells = two_cells
    browser.button(explorer, "draw your own").click()
    before = cells()
    explorer.locator("canvas").wait_for()  # what is hidden takes no focus, and the kernel unfolds it
    explorer.locator("canvas").focus()
    page.keyboard.press("Space")
    for _ in range(24):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    wait_for(lambda: "your drawing, read as" in status(explorer))
    assert cells() == before
    page.keyboard.press("Backspace")
    wait_for(lambda: status(explorer).startswith("digit 0"))


def test_a_number_is_read_with_a_comma_too_and_a_word_is_refused(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    browser.button(lab, "more settings").click()
    contrast = lab.locator(".widget-inline-hbox", has=page.get_by_text("contrast", exact=True))
    readout = contrast.locator(".widget-readout")
    readout.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("2,5")
    changed(lab, lambda: page.keyboard.press("Enter"))
    assert readout.inner_text().startswith("2.5")
    readout.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("much")
    page.keyboard.press("Enter")
    wait_for(lambda: "“much” is no number" in lab.inner_text())
    assert readout.inner_text().startswith("2.5")


def test_a_restarted_kernel_is_told_of(page):
    lab = browser.run_notebook(page, HOMES["oip_lab"])
    browser.menu(page, "Kernel", "Restart Kernel")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    wait_for(lambda: "lost its kernel" in lab.inner_text())


@pytest.fixture(scope="module", params=HOMES)
def settled(request, running, address):
    """Each explorer once, in its notebook, when nothing is being made any more; by the end without an error."""
    errors = []
    with browser.new_page(running, address, errors) as page:
        explorer = browser.run_notebook(page, HOMES[request.param])
        wait_for(lambda: page.locator(".explorer-busy, .explorer progress").count() == 0)
        yield explorer
    assert [error for error in errors if not HARMLESS.search(error)] == []


def test_every_control_is_reached_with_the_tab_key_in_the_order_of_the_page(settled):
    controls = browser.control_names(settled)
    settled.locator("select, button, input, .noUi-handle").first.focus()
    reached = [browser.focused_name(settled.page)]
    for _ in controls[1:]:
        settled.page.keyboard.press("Tab")
        reached.append(browser.focused_name(settled.page))
    assert all(controls) and reached == controls


def test_an_explorer_fits_windows_of_1280_and_of_900_pixels(settled):
    for width in (900, 1280):
        settled.page.set_viewport_size({"width": width, "height": 1000})
        settled.page.wait_for_timeout(500)  # the page is laid out anew
        assert browser.scrolled_sideways(settled.page) == []


def test_the_text_of_an_explorer_is_readable_in_the_light_and_in_the_dark_theme(settled):
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        browser.choose_theme(settled.page, theme)
        contrasts = browser.text_contrasts(settled.page)
        assert len(contrasts) > 10 and min(contrasts.values()) >= 4.5, contrasts  # the WCAG's bound for text
