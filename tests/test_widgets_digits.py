"""The digit lab shows what the network reads, why, and what a change makes of it; its Python makes the same."""

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.activations import class_logits
from helpers.explain.attributions import METHODS
from helpers.images import standardize
from helpers.widgets import digit_lab
from helpers.widgets.parts import Picture, Sheet
from helpers.widgets.parts.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, everything, press, status, text


@pytest.fixture(scope="module")
def cnn():
    return tiny_cnn(seed=4)


@pytest.fixture(scope="module")
def digits():
    return standardize(np.random.default_rng(3).standard_normal((6, 12, 12, 1)).astype(np.float32))


@pytest.fixture
def lab(cnn, digits):
    explorer = digit_lab(cnn, digits, [0, 1, 2, 0, 1, 2])
    assert wait_until_idle()
    return explorer


def ask(lab, **settings):
    lab.set(**settings)
    assert wait_until_idle()


def pictures(lab):
    return [part.value for part in everything(lab) if isinstance(part, Picture)]


def answer_of(cnn, image):
    return int(class_logits(cnn)(image).numpy().argmax())


def test_it_says_what_the_network_reads_with_all_probabilities(lab, cnn, digits):
    ask(lab, digit=2)
    read = answer_of(cnn, digits[2:3])
    assert f"read as {read} ({100 * cnn(digits[2:3]).numpy().max():.1f} %)" in status(lab)
    shares = [f"{100 * share:.1f} %" for share in cnn(digits[2:3]).numpy()[0]]
    assert all(share in lab.shown["before"].value for share in shares)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_shown_with_a_sentence_and_the_python_makes_the_same(lab, cnn, digits, method):
    ask(lab, method=method, explained="1", digit=3)
    space = {"model": cnn, "images": digits}
    exec(code(lab), space)
    np.testing.assert_allclose(space["heat"], METHODS[method](cnn, digits[3:4], 1), atol=1e-5)
    np.testing.assert_allclose(lab.made.heat, space["heat"], atol=1e-5)
    assert method in text(lab) and f"{method}, class 1" in " ".join(text(lab).split()).replace(" ,", ",")


def test_a_larger_radius_changes_more_and_none_nothing(lab, digits):
    sizes = []
    for radius in (0.0, 0.2, 0.8):
        ask(lab, radius=radius)
        sizes.append(np.sqrt(np.square(lab.made.changed - lab.made.digit).mean()))
    np.testing.assert_allclose(sizes[:2], [0, 0.2], atol=0.02)
    assert sizes[2] > 2 * sizes[1]


def test_a_large_change_makes_it_read_as_the_class_that_was_wished_for(lab, cnn, digits):
    towards = str((answer_of(cnn, digits[:1]) + 1) % 3)
    ask(lab, digit=0, towards=towards, radius=1.2)
    assert "it has changed its mind" in status(lab) and answer_of(cnn, lab.made.changed) == int(towards)
    ask(lab, radius=0.0)
    assert "nothing may be changed" in status(lab)


def test_a_moved_radius_leaves_the_upper_pictures_and_changes_the_lower_ones(lab):
    before = pictures(lab)
    ask(lab, radius=0.7)
    assert pictures(lab)[:2] == before[:2] and pictures(lab)[2] != before[2] and pictures(lab)[3] != before[3]


def test_a_change_that_was_stopped_is_never_shown_as_the_answer(lab, monkeypatch):
    ask(lab, radius=0.2)
    before, advance = lab.made.changed, ascent._advance

    def stopping(*arguments):
        control(lab, "Stop").click()
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", stopping)
    ask(lab, radius=0.7)
    assert "with a change of 0.7" not in status(lab) and np.array_equal(lab.made.changed, before)
    monkeypatch.undo()
    ask(lab, method="gradient")
    assert "with a change of 0.7" in status(lab) and not np.array_equal(lab.made.changed, before)


def test_the_maps_that_speak_for_and_against_are_shown_with_their_shares(lab):
    (sheet,) = [part for part in everything(lab) if isinstance(part, Sheet)]
    assert len(sheet.numbers) == 4  # of five maps two speak most for it, two against
    shares = [float(note) for note in sheet.notes]
    assert shares == sorted(shares, reverse=True)


def test_it_saves_four_pictures_in_one_file(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(lab, "save PNG")
    assert "saved as digit_lab.png" in status(lab) and (tmp_path / "digit_lab.png").exists()


def test_many_classes_and_a_sigmoid_simply_work(digits):
    images = keras.Input((12, 12, 1))
    maps = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(images))
    model = keras.Model(images, keras.layers.Dense(30, activation="sigmoid")(maps))
    lab = digit_lab(model, digits, towards="29")
    assert wait_until_idle() and "► 29" in lab.shown["after"].value
    assert control(lab, "change towards").value == "29"


def test_what_does_not_fit_is_refused_in_one_sentence(cnn, digits):
    with pytest.raises(ValueError, match=r"the test digits have \(28, 28, 1\); give fitting ones with images="):
        digit_lab(cnn)
    single = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(),
                               keras.layers.Dense(1, activation="sigmoid")])
    with pytest.raises(ValueError, match="has a single output"):
        digit_lab(single, digits)
    with pytest.raises(ValueError, match="one number per class, as a Dense layer at the end gives"):
        digit_lab(keras.Model(cnn.inputs[0], cnn.get_layer("second").output), digits)
    with pytest.raises(ValueError, match="setting 'colour' is unknown"):
        digit_lab(cnn, digits, colour=1)
    with pytest.raises(ValueError, match="towards '7' cannot be set"):
        digit_lab(cnn, digits, towards="7")


def test_a_drawing_that_does_not_fit_the_network_is_refused_in_the_lab(lab):
    ask(lab, digit=(((60, 60), (200, 220)),))
    assert "28 x 28 gray pixels, which this network does not read" in status(lab)
