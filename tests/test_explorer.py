"""The protocol of the explorers: settings in, updates out; refusals, faults, Stop, presets, saving and closing."""

import gc
import threading

import ipywidgets
import numpy as np
import pytest

from helpers.widgets import parts
from helpers.widgets.parts import explorer as module
from helpers.widgets.parts.explorer import Explorer, Refusal, refusals
from helpers.widgets.parts.lines import Runner, Uploads, script
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import control, everything, press, put, status, text

PNG = parts.large(np.zeros((2, 2, 1)))


def small_lab(answer=None, **opened):
    """An explorer of two numbers that writes down what it was asked for."""
    controls = {"one": parts.whole("first number", "A number.", value=1, min=0, max=9),
                "two": parts.whole("second number", "Another one.", value=2, min=0, max=9)}  # fmt: skip
    asked = []

    def written_down(settings):
        asked.append((settings.one, settings.two))
        yield {"sum": f"sum {settings.one + settings.two}", "status": f"{settings.one} and {settings.two}",
               "picture": (PNG, "black"), "made": settings, "python": [f"total = {settings.one} + {settings.two}"]}

    shown = {"sum": ipywidgets.HTML(), "picture": parts.Picture()}
    presets = {"as it opens": {}, "large": {"one": 8, "two": 9}}
    lab = Explorer(controls, shown, answer or written_down, "small_lab(model)", tiny_cnn(), opened, presets, ["two"])
    lab.asked = asked
    assert wait_until_idle()
    return lab


def test_an_update_gives_each_part_it_names_its_value():
    lab = small_lab()
    assert lab.shown["sum"].value == "sum 3" and status(lab) == "1 and 2" and lab.made.one == 1
    assert lab.shown["picture"].value == PNG and "black" in text(lab)


def test_it_opens_with_the_settings_it_is_given_and_says_how_to_open_them_again():
    lab = small_lab(two=7)
    assert lab.asked == [(1, 7)] and lab.settings == {"two": 7}
    assert "small_lab(model, two=7)" in text(lab) and "total = 1 + 7" in text(lab)


@pytest.mark.parametrize("opened, sentence", [
    ({"three": 3}, "setting 'three' is unknown; small_lab\\(model\\) has one, two"),
    ({"one": 99}, "one 99 is out of range; use a value from 0 to 9"), ({"one": "x"}, "one 'x' cannot be set"),
])  # fmt: skip
def test_a_setting_that_does_not_exist_is_refused_when_the_explorer_is_opened(opened, sentence):
    with pytest.raises(ValueError, match=sentence):
        small_lab(**opened)


def test_a_preset_sets_all_controls_and_asks_once_and_reset_goes_back_to_the_beginning():
    lab = small_lab(two=5)
    press(lab, "large")
    assert lab.asked[1:] == [(8, 9)] and control(lab, "second number").value == 9
    press(lab, "as it opens")
    assert lab.asked[2:] == [(1, 2)], "what a preset does not name is as it opens without arguments"
    press(lab, "reset")
    assert lab.asked[3:] == [(1, 5)]


def test_a_refusal_is_one_sentence_and_a_fault_of_the_program_keeps_its_traceback():
    def answer(settings):
        if settings.one == 1:
            raise Refusal("one is <too> little")
        if settings.one == 2:
            with refusals():
                raise OSError("the file is broken")
        if settings.one == 3:
            raise ValueError("a fault of ours")
        yield {"status": "fine"}

    lab = small_lab(answer)
    assert status(lab) == "one is <too> little" and "where" not in lab.status.value
    put(lab, "first number", 2)
    assert status(lab) == "the file is broken"
    put(lab, "first number", 3)
    assert "ValueError: a fault of ours" in status(lab) and "in answer" in status(lab)
    put(lab, "first number", 4)
    assert status(lab) == "fine"


def test_a_part_that_cannot_be_shown_is_said_and_the_next_wish_is_answered():
    def answer(settings):
        yield {"picture": 5} if settings.one == 1 else {"status": "fine"}

    lab = small_lab(answer)
    assert "TraitError" in status(lab)
    put(lab, "first number", 2)
    assert status(lab) == "fine"


def test_stop_says_so_at_once_and_keeps_what_the_generator_gives():
    reached, go_on = threading.Event(), threading.Event()

    def answer(settings):
        try:
            yield {"status": "begun"}
            reached.set()
            assert go_on.wait(20)
            yield {"status": "more"}
        except KeyboardInterrupt:
            yield {"status": "stopped"}

    controls = {"one": parts.whole("first number", "A number.", value=1, min=0, max=9)}
    lab = Explorer(controls, {}, answer, "lab()", tiny_cnn(), {}, {})
    assert reached.wait(20)
    control(lab, "Stop").click()
    assert status(lab).startswith("stopping")
    go_on.set()
    assert wait_until_idle() and status(lab) == "stopped"


def test_saving_writes_what_is_shown_and_refuses_before_there_is_anything():
    lab, save = small_lab(), parts.button("save", "", "Save it.")
    lab.saves(save, lambda made: f"saved {made.one}")
    save.click()
    assert wait_until_idle() and status(lab) == "saved 1"
    lab.made = None
    save.click()
    assert wait_until_idle() and "nothing to save yet" in status(lab)


def test_a_kept_picture_stays_in_sight_and_its_settings_come_back():
    lab = small_lab()
    press(lab, "keep")
    put(lab, "first number", 6)
    assert "kept: 1 and 2" in " ".join(text(lab).split()) and status(lab) == "6 and 2"
    press(lab, "back to it")
    assert status(lab) == "1 and 2"
    for _ in range(5):
        press(lab, "keep")
    assert len(lab.kept.children) == module.KEPT


def test_every_control_has_a_name_and_one_sentence_of_help():
    lab = small_lab()
    helped = [part for part in everything(lab) if hasattr(part, "tooltip") and getattr(part, "description", "")]
    assert len(helped) > 6 and all(part.tooltip and part.tooltip.endswith(".") for part in helped)


def test_running_a_cell_again_closes_what_it_made_before(monkeypatch):
    run = {"metadata": {"cellId": "a"}, "header": {"msg_id": "0"}}

    class Shell:
        def get_parent(self):
            return run

    monkeypatch.setattr(module, "get_ipython", Shell)
    first = small_lab()
    before = _alive()
    for number in range(5):
        run["header"] = {"msg_id": str(1 + number)}
        newest = small_lab()
    assert _alive() == before and first.comm is None and newest.comm is not None
    two_in_a_cell = small_lab()
    assert newest.comm is not None and two_in_a_cell.comm is not None
    run["metadata"] = {}
    small_lab()
    assert two_in_a_cell.comm is not None, "where the front end does not tell the cell, nothing is closed"


def _alive():
    gc.collect()
    from ipywidgets.widgets.widget import _instances

    return len(_instances)


def test_a_line_is_run_again_only_if_it_or_what_it_reads_has_changed():
    run = Runner(tiny_cnn())
    first = run(["a = np.zeros(3)", "b = a + 1", "c = iter(b)"])
    second = run(["a = np.zeros(3)", "b = a + 2", "c = iter(b)"])
    assert second["a"] is first["a"] and second["b"][0] == 2 and list(second["c"]) == [2, 2, 2]
    third = run(["a = np.ones(3)", "b = a + 2", "c = iter(b)"])
    assert third["b"][0] == 3


def test_a_script_imports_what_its_lines_name_and_loads_the_shipped_model_only_where_it_is_the_one():
    text = script(tiny_cnn(), ["images = fluctuations(1, {7: 1.0}, seed=0)", "shown = contrast(images)"])
    assert "from helpers.images import contrast" in text and "import numpy" not in text
    assert "# model is the one" in text and "load_cnn" not in text
    space = {}
    exec(text, space)
    assert space["shown"].shape == (1, 28, 28, 1)


def test_uploads_of_one_name_are_kept_apart_and_a_missing_one_is_explained():
    uploads = Uploads()
    assert [uploads.keep("me.jpg", content) for content in (b"1", b"2", b"1")] == ["me.jpg", "me_2.jpg", "me.jpg"]
    with pytest.raises(KeyError, match="another session"):
        uploads["you.jpg"]
