"""The OIP lab answers every control with the right picture, keeps a stopped climb, and says what it did."""

import threading
import time

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.activations import feature_extractor, mean_activations
from helpers.images import contrast
from helpers.widgets import oip_lab
from helpers.widgets import oips as module
from helpers.widgets.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, everything, images, names_of_controls, pixels, press, put, status, text


@pytest.fixture(scope="module")
def shared_cnn():
    return tiny_cnn(seed=3)


@pytest.fixture
def lab(shared_cnn):
    explorer = oip_lab(shared_cnn)
    assert wait_until_idle()
    return explorer


def shown_again(explorer, model):
    """What the Python call of the lab makes: (namespace, the enhanced picture as 0..255)."""
    space = {"model": model}
    exec(code(explorer), space)
    gain = control(explorer, "contrast").value
    return space, np.round(255 * contrast(space["ascent"].images, gain=gain)[0])


def assert_the_call_makes_the_picture(explorer, model):
    _, expected = shown_again(explorer, model)
    shown = pixels(images(explorer)[0])
    times = shown.shape[0] // expected.shape[0]
    assert np.abs(shown[::times, ::times].astype(float) - expected).max() <= 2


def test_it_opens_with_a_picture(lab):
    assert all(picture.startswith(b"\x89PNG") for picture in images(lab)) and len(images(lab)) == 4
    assert "map 0 of second: mean activation" in status(lab)


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
def test_every_control_changes_the_picture_and_the_call_makes_exactly_that_one(lab, shared_cnn, name, value):
    before = images(lab)[0]
    put(lab, name, value)
    assert images(lab)[0] != before
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_the_spectral_exponent_counts_once_a_spectrum_is_chosen(lab, shared_cnn):
    put(lab, "fluctuations", "spectrum")
    before = images(lab)
    put(lab, "spectral exponent", 3.0)
    assert images(lab)[2] != before[2]
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_only_the_sliders_of_the_chosen_fluctuations_are_shown(lab):
    def hidden():
        boxes = [box for box in everything(lab) if box.layout.display == "none" and hasattr(box, "children")]
        return [child.description for box in boxes for child in box.children]

    assert hidden() == ["spectral exponent"]
    put(lab, "fluctuations", "spectrum")
    assert hidden() == ["scale 3 x 3", "scale 7 x 7"], "grids of 14 and 28 do not fit into 12 pixels"


def test_a_precursor_and_its_call_start_from_the_strongest_candidate(lab, shared_cnn):
    put(lab, "climb the", "pre-activation")
    put(lab, "precursor", True)
    space, _ = shown_again(lab, shared_cnn)
    answers = mean_activations(feature_extractor(shared_cnn, "second"), space["candidates"])[:, 0]
    np.testing.assert_allclose(space["start"][0], space["candidates"][answers.argmax()])
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_the_contrast_alone_climbs_nothing_anew(lab, monkeypatch):
    monkeypatch.setattr(module, "climb", None)
    before = images(lab)
    put(lab, "contrast", 3.0)
    assert images(lab)[0] != before[0] and images(lab)[1] == before[1]
    assert "mean activation" in status(lab)


def test_the_layer_decides_how_many_maps_there_are(lab):
    put(lab, "map index", 4)
    put(lab, "layer", "first")
    assert control(lab, "map index").max == 3 and control(lab, "map index").value == 3
    assert "map 3 of first" in status(lab)


def test_the_dice_roll_another_seed(lab):
    press(lab, "roll the dice")
    assert control(lab, "random seed").value != 0


def test_buttons_bring_back_the_settings_of_the_articles_and_ours(lab, shared_cnn):
    press(lab, "the articles' settings")
    assert (control(lab, "epochs (steps)").value, control(lab, "climb the").value) == (600, "activation")
    assert shown_again(lab, shared_cnn)[0]["step_sizes"] == pytest.approx(np.full(600, 0.01))
    press(lab, "our settings")
    assert (control(lab, "epochs (steps)").value, control(lab, "climb the").value) == (45, "leaky pre-activation")


def test_a_silent_start_is_called_silent_and_a_precursor_wakes_it(lab):
    put(lab, "climb the", "activation")
    for seed in range(200):
        put(lab, "random seed", seed)
        if status(lab).startswith("silent"):
            break
        put(lab, "map index", seed % 5)
    else:
        pytest.fail("no silent start found")
    if "a precursor does" in status(lab):
        put(lab, "precursor", True)
        assert "→" in status(lab)
    else:
        assert "climb the leaky pre-activation" in status(lab)


def silent_cnn():
    """A CNN whose only map never answers to anything."""
    bias = keras.initializers.Constant(-100.0)
    layer = keras.layers.Conv2D(1, 3, activation="relu", bias_initializer=bias)
    return keras.Sequential([keras.Input((12, 12, 1)), layer])


def test_a_map_that_nothing_excites_is_said_to_be_one():
    lab = oip_lab(silent_cnn())
    put(lab, "climb the", "activation")
    assert "silent: none of 256 starts excites map 0; climb the leaky pre-activation" in status(lab)


def test_an_impossible_wish_is_answered_by_one_sentence_and_the_next_wish_by_a_picture(lab):
    put(lab, "scale 3 x 3", 0.0)
    before = images(lab)
    put(lab, "scale 7 x 7", 0.0)
    assert "all fluctuation scales are 0" in status(lab) and images(lab) == before
    put(lab, "scale 7 x 7", 0.3)
    assert "mean activation" in status(lab)


def test_an_unexpected_error_is_shown_with_where_it_happened(lab, monkeypatch):
    monkeypatch.setattr(module, "contrast", lambda *arguments, **options: 1 / 0)
    put(lab, "map index", 1)
    assert "ZeroDivisionError: division by zero" in status(lab) and "in paint" in status(lab)
    monkeypatch.undo()
    put(lab, "map index", 2)
    assert "map 2 of second" in status(lab)


def test_of_many_wishes_the_last_is_painted_and_no_older_one_after_it(lab):
    slider, seen = control(lab, "map index"), []
    strong = next(part for part in everything(lab) if type(part).__name__ == "Image")
    for index in [1, 2, 3, 4] * 5:
        slider.value = index
    strong.observe(lambda change: seen.append(change["new"]), "value")
    assert wait_until_idle()
    assert "map 4 of second" in status(lab) and len(seen) <= 2, "at most one that was being painted, and the last"


def test_wishes_from_another_thread_are_answered_as_well(lab):
    """JupyterLab may call a callback in a subshell's thread."""
    thread = threading.Thread(target=lambda: setattr(control(lab, "map index"), "value", 4))
    thread.start(), thread.join()
    assert wait_until_idle() and "map 4 of second" in status(lab)


def test_stop_ends_a_long_climb_at_once_and_its_call_makes_the_picture_it_left(lab, shared_cnn):
    put(lab, "epochs (steps)", 600)
    control(lab, "animate").click()
    while "step" not in status(lab) or "steps" in status(lab):
        time.sleep(0.01)
    begin = time.monotonic()
    press(lab, "Stop")
    assert time.monotonic() - begin < 2, "in two and a half seconds it would have ended by itself"
    assert "stopped after" in status(lab)
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_stop_within_a_climb_that_is_not_watched_keeps_what_was_made(lab, shared_cnn, monkeypatch):
    advance, begun = ascent._advance, []

    def slow(*arguments):
        begun.append(1)
        if len(begun) == 3:
            control(lab, "Stop").click()
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", slow)
    put(lab, "epochs (steps)", 600)
    assert f"stopped after {3 * ascent.STEPS_AT_ONCE} of 600 steps" in status(lab)
    monkeypatch.undo()
    assert_the_call_makes_the_picture(lab, shared_cnn)


def test_watching_a_climb_shows_its_frames_and_ends_with_the_picture_of_before(lab):
    finished, seen = images(lab), set()
    plain = [part for part in everything(lab) if type(part).__name__ == "Image"][1]
    plain.observe(lambda change: seen.add(bytes(change["new"])), "value")
    press(lab, "animate")
    assert len(seen) > 20 and images(lab) == finished


def test_a_hundred_moves_compile_nothing_anew(lab):
    counts = ascent._steps.experimental_get_tracing_count()
    for index in range(100):
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
    model = tiny_cnn(channels=3)
    lab = oip_lab(model)
    assert wait_until_idle() and "mean activation" in status(lab)
    assert pixels(images(lab)[1]).shape[2] == 3


def test_the_call_names_the_shipped_model_only_where_it_is_the_one(lab):
    assert "load_cnn" not in code(lab) and "# model is the one" in code(lab)


def test_every_control_has_a_name(lab):
    assert len(names_of_controls(lab)) == 21 and all(names_of_controls(lab))
    assert "step" in text(lab)


def test_two_labs_of_two_models_do_not_mix():
    first, second = oip_lab(tiny_cnn(seed=5)), oip_lab(tiny_cnn(seed=6, maps=7))
    control(first, "map index").value, control(second, "map index").value = 1, 6
    assert wait_until_idle()
    assert "map 1 of" in status(first) and "map 6 of" in status(second)
