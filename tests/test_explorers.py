"""What all explorers share: each opens, answers every control, shows Python that runs, stops, keeps and closes."""

import gc

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

from helpers.widgets.parts.worker import wait_until_idle
from tests.explorers import EXPLORERS, code, everything, images, status

every_explorer = pytest.mark.parametrize("name", EXPLORERS)


@pytest.fixture(scope="module")
def opened():
    """Each explorer, opened once: tests that share it leave it as they found it."""
    known = {}

    def get(name):
        if name not in known:
            known[name] = EXPLORERS[name]()
            assert wait_until_idle()
        known[name].set(**known[name].opening)
        assert wait_until_idle()
        return known[name]

    return get


def assert_answered(explorer):
    """Whatever is shown, it is no fault of the program."""
    assert status(explorer) and "where it happened" not in explorer.status.value, status(explorer)


def other_values(control):
    """Values that a control can have beside the one it has: the extremes, all options, the other state."""
    if hasattr(control, "options"):
        return [value for value in control._options_values if value != control.value]
    if isinstance(control, ipywidgets.Checkbox):
        return [not control.value]
    if isinstance(control, ipywidgets.FloatLogSlider):
        return [control.base**control.min, control.base**control.max]
    if isinstance(control, ipywidgets.IntSlider | ipywidgets.FloatSlider):
        return [control.min, min(control.max, 40)]
    return [7] if isinstance(control, ipywidgets.BoundedIntText) else []


@every_explorer
def test_it_opens_with_a_picture_and_a_sentence(opened, name):
    explorer = opened(name)
    assert_answered(explorer)
    assert images(explorer)[0].startswith(b"\x89PNG") and "explorer" in explorer._dom_classes


@every_explorer
def test_every_control_is_answered(opened, name):
    explorer = opened(name)
    for control in explorer.controls.values():
        for value in other_values(control):
            control.value = value
            assert wait_until_idle()
            assert_answered(explorer)
        explorer.set(**explorer.opening)
        assert wait_until_idle()


@every_explorer
def test_every_preset_and_button_is_answered_and_reset_brings_back_the_first_picture(opened, name, tmp_path,
                                                                                     monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer = opened(name)
    before = images(explorer)[0]
    for button in [part for part in everything(explorer) if isinstance(part, ipywidgets.Button)]:
        button.click()
        assert wait_until_idle()
        assert_answered(explorer)
    explorer.reset.click()
    assert wait_until_idle()
    assert images(explorer)[0] == before
    explorer.opened.children, explorer.kept.children = (), ()


@every_explorer
def test_the_python_shown_runs_as_it_stands(opened, name):
    explorer = opened(name)
    exec(code(explorer), {"model": explorer.model, **explorer.given})


@every_explorer
def test_opened_again_with_its_settings_it_shows_the_same(opened, name):
    explorer = opened(name)
    changed = {key: other_values(control)[0] for key, control in list(explorer.controls.items())[:4]
               if other_values(control)}  # fmt: skip
    explorer.set(**changed)
    assert wait_until_idle()
    again = EXPLORERS[name](**explorer.settings)
    assert wait_until_idle()
    assert images(again)[0] == images(explorer)[0] and status(again) == status(explorer)


@every_explorer
def test_each_control_has_a_name_and_a_sentence_of_help(opened, name):
    controls = [part for part in everything(opened(name))
                if isinstance(part, ipywidgets.widget_description.DescriptionWidget | ipywidgets.Button)
                and not isinstance(part, ipywidgets.HTML)]  # fmt: skip
    assert len(controls) > 12
    assert [part.description for part in controls if not (part.tooltip or "").endswith(".")] == []
    assert all(part.description for part in controls)


@every_explorer
def test_a_stop_at_any_moment_leaves_it_able_to_answer(opened, name):
    explorer = opened(name)
    for _ in range(3):
        explorer.ask()
        explorer.stop.click()
        assert wait_until_idle()
        assert_answered(explorer)


@every_explorer
def test_of_many_wishes_the_last_is_shown(opened, name):
    explorer = opened(name)
    sliders = ipywidgets.IntSlider | ipywidgets.FloatSlider
    control = next(part for part in explorer.controls.values() if isinstance(part, sliders))
    for value in [control.min, control.max] * 6:
        control.value = value
    assert wait_until_idle()
    last = images(explorer)
    for value in (control.min, control.max):
        control.value = value
        assert wait_until_idle()
    assert images(explorer) == last


@every_explorer
def test_a_setting_that_does_not_exist_is_refused(name):
    with pytest.raises(ValueError, match="setting 'mapp' is unknown"):
        EXPLORERS[name](mapp=3)


@every_explorer
def test_closed_it_leaves_no_widget_behind(name):
    explorer = EXPLORERS[name]()
    assert wait_until_idle()
    explorer.close()
    del explorer
    gc.collect()
    before = len(_instances)
    EXPLORERS[name]().close()
    assert wait_until_idle()
    gc.collect()
    assert len(_instances) <= before
