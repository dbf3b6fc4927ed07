"""The OIP lab answers every control with the right picture, keeps a stopped climb, and says what it did."""

import importlib

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.activations import feature_extractor, mean_activations
from helpers.images import contrast
from helpers.widgets import oip_lab
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, images, pixels, press, put, status

module = importlib.import_module("helpers.widgets.oip_lab")  # of the same name as its function


@pytest.fixture(scope="module")
def shared_cnn():
    return tiny_cnn(seed=3)


@pytest.fixture
def lab(shared_cnn):
    explorer = oip_lab(shared_cnn, map=0, softened=False)
    assert wait_until_idle()
    return explorer


def shown_again(explorer, model):
    """What the Python of the lab makes: (namespace, the enhanced picture as 0..255)."""
    space = {"model": model}
    exec(code(explorer), space)
    gain = control(explorer, "contrast").value
    return space, np.round(255 * contrast(space["images"], gain=gain)[0])


def assert_the_call_makes_the_picture(explorer, model):
    _, expected = shown_again(explorer, model)
    shown = pixels(images(explorer)[0])
    times = shown.shape[0] // expected.shape[0]
    assert np.abs(shown[::times, ::times].astype(float) - expected).max() <= 2


def test_another_map_gives_another_picture_and_says_so(lab):
    before = images(lab)
    put(lab, "map index", 3)
    assert "map 3 of second" in status(lab)
    assert images(lab)[0] != before[0] and images(lab)[2] == before[2], "the start is that of the seed, not of the map"


@pytest.mark.parametrize("name, value", [
    ("layer", "first"), ("map index", 2), ("climb the", "activation"), ("climb the", "pre-activation"),
    ("fluctuations", "spectrum"), ("precursor", True), ("scale 3 x 3", 0.0), ("random seed", 7),
    ("epsilon (step size)", 0.1), ("cooled down to", 1.0), ("epochs (steps)", 3), ("contrast", 3.0),
    ("softened: strokes instead of speckle", True),
])  # fmt: skip
def test_every_control_changes_the_picture_and_the_python_makes_exactly_that_one(lab, shared_cnn, name, value):
    before = images(lab)[0]
    put(lab, name, value)
    assert images(lab)[0] != before
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_only_the_sliders_of_the_chosen_fluctuations_are_shown(lab, shared_cnn):
    def hidden():
        return [name for name, part in lab.controls.items() if part.layout.display == "none"]

    assert hidden() == ["exponent"]
    put(lab, "fluctuations", "spectrum")
    assert hidden() == ["scale_3", "scale_7"], "grids of 14 and 28 do not fit into 12 pixels"
    before = images(lab)
    put(lab, "spectral exponent", 3.0)
    assert images(lab)[2] != before[2]
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_a_precursor_and_its_python_start_from_the_strongest_candidate(lab, shared_cnn):
    put(lab, "climb the", "pre-activation")
    put(lab, "precursor", True)
    space, _ = shown_again(lab, shared_cnn)
    answers = mean_activations(feature_extractor(shared_cnn, "second"), space["candidates"])[:, 0]
    np.testing.assert_allclose(space["start"][0], space["candidates"][answers.argmax()])


def test_the_contrast_alone_climbs_nothing_anew(lab, monkeypatch):
    monkeypatch.setattr(ascent, "_advance", None)
    before = images(lab)
    put(lab, "contrast", 3.0)
    assert images(lab)[0] != before[0] and images(lab)[1] == before[1]
    assert "mean activation" in status(lab)


def test_a_silent_start_is_called_silent_and_a_precursor_wakes_it(lab):
    put(lab, "climb the", "activation")
    for seed in range(200):
        put(lab, "random seed", seed)
        if status(lab).startswith("silent"):
            break
        put(lab, "map index", seed % 5)
    else:
        pytest.fail("no silent start found")
    assert "still random" in lab.shown["strong"].caption.value, "noise is not called an OIP"
    if "a precursor does" in status(lab):
        put(lab, "precursor", True)
        assert "→" in status(lab)
    else:
        assert "climb the leaky pre-activation" in status(lab)


def test_a_map_that_nothing_excites_is_said_to_be_one():
    bias = keras.initializers.Constant(-100.0)
    layer = keras.layers.Conv2D(1, 3, activation="relu", bias_initializer=bias)
    lab = oip_lab(keras.Sequential([keras.Input((12, 12, 1)), layer]), climbs="activation")
    assert wait_until_idle()
    assert "silent: none of 256 starts excites map 0; climb the leaky pre-activation" in status(lab)


def test_an_impossible_wish_is_answered_by_one_sentence_and_the_next_wish_by_a_picture(lab):
    put(lab, "scale 3 x 3", 0.0)
    before = images(lab)
    put(lab, "scale 7 x 7", 0.0)
    assert "all fluctuation scales are 0" in status(lab) and images(lab) == before
    assert "where it happened" not in lab.status.value
    put(lab, "scale 7 x 7", 0.3)
    assert "mean activation" in status(lab)


def test_a_climb_that_was_stopped_keeps_its_picture_and_is_no_answer_to_the_same_wish(lab, shared_cnn, monkeypatch):
    advance, begun = ascent._advance, []

    def slow(*arguments):
        begun.append(1)
        if len(begun) == 3:
            control(lab, "Stop").click()
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", slow)
    put(lab, "epochs (steps)", 600)
    assert f"stopped after {3 * ascent.STEPS_AT_ONCE} of 600 steps" in status(lab)
    assert_the_call_makes_the_picture(lab, shared_cnn)
    monkeypatch.undo()
    put(lab, "contrast", 1.1)
    assert "600 steps" in status(lab) and "stopped" not in status(lab)


def test_watching_a_climb_shows_its_frames_and_ends_with_the_picture_of_before(lab, monkeypatch):
    monkeypatch.setattr(module, "ANIMATION", 0)
    finished, seen = images(lab), set()
    lab.shown["plain"].image.observe(lambda change: seen.add(bytes(change["new"])), "value")
    press(lab, "animate")
    assert len(seen) > 20 and images(lab) == finished


def test_a_step_chosen_in_the_strip_is_shown_large(lab):
    last = images(lab)[0]
    lab.shown["strip"].chosen = 4
    assert images(lab)[0] != last and "step 4" in lab.shown["strong"].caption.value
    lab.shown["strip"].chosen = 45
    assert images(lab)[0] == last


def test_sixty_moves_compile_nothing_anew(lab):
    counts = ascent._steps.experimental_get_tracing_count()
    for index in range(30):
        put(lab, "map index", index % 5)
        put(lab, "random seed", index)
    assert ascent._steps.experimental_get_tracing_count() == counts


def test_the_picture_is_saved_under_names_that_are_free(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(lab, "save PNG")
    press(lab, "save PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["oip_second_map_0.png", "oip_second_map_0_2.png"]
    assert "oip_second_map_0_2.png" in status(lab)
    saved, shown = pixels((tmp_path / "oip_second_map_0.png").read_bytes()), pixels(images(lab)[0])
    step = saved.shape[0] // 12
    np.testing.assert_array_equal(saved[::step, ::step], shown[:: shown.shape[0] // 12, :: shown.shape[0] // 12])


def test_a_network_for_color_images_of_another_size_has_its_lab_too():
    lab = oip_lab(tiny_cnn(channels=3))
    assert wait_until_idle() and "mean activation" in status(lab)
    assert pixels(images(lab)[1]).shape[2] == 3


def test_six_seeds_stand_side_by_side_and_a_click_takes_one(lab):
    sheet = lab.shown["seeds"]
    assert not sheet.numbers
    put(lab, "random seed", 8)
    put(lab, f"{module.SEEDS} seeds at once", True)
    assert list(sheet.numbers) == [6, 7, 8, 9, 10, 11]
    ends = {note for note in sheet.notes}
    assert len(ends) > 3, "different starts end at different heights"
    kept, before = sheet.picture, images(lab)[0]
    sheet.chosen = 10
    assert wait_until_idle()
    assert control(lab, "random seed").value == 10 and images(lab)[0] != before and sheet.picture == kept
    put(lab, "random seed", 999_999)
    assert list(sheet.numbers) == list(range(999_994, 1_000_000))
    put(lab, f"{module.SEEDS} seeds at once", False)
    assert not sheet.numbers
