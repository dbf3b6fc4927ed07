"""What the activation explorer promises, without a browser: its controls are set here, its pictures read back."""

import html
import io
import re
import sys
from datetime import datetime

import keras
import numpy as np
import pytest
from PIL import Image

from helpers.activations import Contributions, feature_extractor, mean_activations, pre_activation_extractor
from helpers.figures import in_colors
from helpers.images import standardize, to_display
from helpers.ink import digit_from_ink
from helpers.photos import save_picture
from helpers.widgets import activation_explorer, activations, drawing, parts
from helpers.widgets.activations import _ActivationExplorer, checked_digits
from helpers.widgets.drawing_before import ink_of_cells, ink_of_strokes
from helpers.widgets.worker import wait_until_idle
from tests.conftest import tiny_cnn

SEVEN = (tuple((80 + 12 * k, 50) for k in range(11)), tuple((200 - 7 * k, 50 + 19 * k) for k in range(11)))


def pictures(n=40, size=12, channels=1, seed=2):
    return standardize(np.random.default_rng(seed).standard_normal((n, size, size, channels)).astype(np.float32))


def digit_cnn():
    """A random network for digits of 28 x 28 pixels."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(6, 5, strides=3, activation="relu", name="first"),
            keras.layers.Conv2D(9, 3, activation="relu", name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def opened(model, images, labels=()):
    """An explorer that has painted its first digit."""
    explorer = _ActivationExplorer(model, *checked_digits(model, images, labels), given=True)
    assert wait_until_idle()
    return explorer


@pytest.fixture
def explorer(cnn):
    return opened(cnn, pictures(), np.arange(40) % 3)


@pytest.fixture
def pad():
    """An explorer on which digits can be drawn, with its pad open."""
    pytest.importorskip("ipycanvas")
    explorer = opened(digit_cnn(), pictures(5, 28), [3, 1, 4, 1, 5])
    explorer.pad.open.value = True
    assert wait_until_idle()
    return explorer


def settle(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value
    assert wait_until_idle()
    return text(explorer.frame.status)


def press(button):
    button.click()
    assert wait_until_idle()


def open_map(explorer, index):
    press(explorer.sheet.buttons[index])


def text(widget):
    return html.unescape(re.sub(r"<[^>]*>", "", widget.value))


def shown(image):
    return np.asarray(Image.open(io.BytesIO(image.value)))


def run_call(explorer, **known):
    """The figure that the shown Python call makes."""
    *lines, last = html.unescape(re.search("<pre>(.*)</pre>", explorer.call.value, re.S)[1]).splitlines()
    names = {"model": explorer.model, **known}
    exec("\n".join(lines), names)
    return eval(last, names)


def drawn_maps(figure, count):
    return np.stack([axes.images[0].get_array() for axes in figure.axes[:count]], axis=-1)


def test_the_sheet_shows_every_map_on_one_scale_from_zero_to_the_highest_value(explorer):
    for layer, count in (("first", 4), ("second", 5)):
        settle(explorer, layer=layer, number=7)
        maps = np.asarray(feature_extractor(explorer.model, layer)(explorer.images[7:8]))[0]
        assert len(explorer.sheet.grid.children) == count
        sheet, columns = shown(explorer.sheet.image), min(8, count)
        width = sheet.shape[1] // columns
        times = (width - 2) // maps.shape[1]
        for index in range(count):
            cell = sheet[-1 - times * maps.shape[0] : -1, index * width + 1 : (index + 1) * width - 1, :3]
            expected = in_colors(maps[..., index], 0, maps.max())
            np.testing.assert_allclose(cell[::times, ::times] / 255, expected, atol=0.003)


def test_a_silent_map_looks_silent(explorer):
    maps = np.zeros((3, 3, 5), np.float32)
    maps[1, 1, 0] = 8
    sheet = activations.sheet_pictures(maps, *activations.range_of(maps))
    assert np.ptp(sheet[1:], axis=(0, 1, 2)).max() == 0 and np.ptp(sheet[0]) > 0.5


def test_the_range_goes_below_zero_where_activations_do_and_is_never_empty():
    assert activations.range_of(np.array([-2.0, 3.0])) == (-2, 3)
    assert activations.range_of(np.array([1.0, 3.0])) == (0, 3)
    assert np.isfinite(activations.sheet_pictures(np.zeros((3, 3, 5)), *activations.range_of(np.zeros(3)))).all()


@pytest.mark.parametrize("count, columns", [(128, 16), (64, 16), (63, 8), (8, 8)])
def test_a_sheet_of_many_maps_has_more_columns(count, columns):
    assert activations.columns_of(np.zeros((2, 2, count))) == columns


def test_the_status_says_which_digit_it_is_and_how_it_is_read(explorer):
    told = settle(explorer, number=17)
    probabilities = np.asarray(explorer.model(explorer.images[17:18]))[0]
    best, verb = probabilities.argmax(), "read" if probabilities.argmax() == 17 % 3 else "misread"
    assert told == f"digit 17 of 40, a 2, {verb} as {best} with {100 * probabilities.max():.1f} %"


def test_misread_digits_are_called_so():
    answer = activations.Answer("x", 3, None, None, None, np.array([[0.1, 0.9]]))
    assert activations.sentence_of(answer, [0, 0, 0, 0], 4) == "digit 3 of 4, a 0, misread as 1 with 90.0 %"
    assert activations.sentence_of(answer, [0, 0, 0, 1], 4) == "digit 3 of 4, a 1, read as 1 with 90.0 %"
    assert activations.sentence_of(answer, [0, 0, 0, 8], 4).startswith("digit 3 of 4, an 8, misread")


def test_every_class_has_its_bar(explorer):
    probabilities = np.asarray(explorer.model(explorer.images[:1]))[0]
    assert [f"{100 * share:.1f} %" in text(explorer.bars) for share in probabilities] == [True] * 3


def test_of_many_classes_the_most_probable_have_bars():
    shares = np.random.default_rng(0).permutation(100) / 4950
    bars = activations.bars_of(shares)
    assert bars.count("<div style") == activations.MOST_BARS and f"<span>{shares.argmax()}</span>" in bars


def test_next_and_previous_step_through_the_digits_of_a_class_and_around_the_ends(explorer):
    settle(explorer, show=1)
    seen = [explorer.answer.number]
    for button in [explorer.next, explorer.next, explorer.previous, explorer.previous, explorer.previous]:
        press(button)
        seen.append(explorer.answer.number)
    assert seen == [1, 4, 7, 4, 1, 37] and explorer.controls["number"].value == 37


def test_the_slider_finds_the_first_digit_of_the_class_from_there_on_or_else_the_last(explorer):
    settle(explorer, show=1, number=5)
    assert explorer.answer.number == 7
    settle(explorer, number=39)
    assert explorer.answer.number == 37


def test_misread_digits_are_sought_when_asked_for_and_only_once(explorer):
    settle(explorer, number=3)
    assert explorer.readings == []
    wrong = np.flatnonzero(np.asarray(explorer.model(explorer.images)).argmax(axis=1) != explorer.labels)
    assert 2 < len(wrong) < 40
    settle(explorer, show=activations.MISREAD, number=0)
    seen, readings = [explorer.answer.number], list(explorer.readings)
    for _ in wrong[1:]:
        press(explorer.next)
        seen.append(explorer.answer.number)
    assert seen == wrong.tolist()
    assert len(readings) == len(explorer.readings) and "misread as" in text(explorer.frame.status)


def test_a_network_that_misreads_nothing_says_so(cnn):
    images = pictures()
    explorer = opened(cnn, images, np.asarray(cnn(images)).argmax(axis=1))
    assert "none of the 40 digits is misread" in settle(explorer, show=activations.MISREAD)


def test_many_digits_are_read_in_batches_and_stop_keeps_those_that_are_read(cnn, monkeypatch):
    monkeypatch.setattr(activations, "BATCH", 10 * 12 * 12)
    explorer, read, sizes = opened(cnn, pictures(), np.arange(40) % 3), _ActivationExplorer._read, []

    def stopping(self, images):
        sizes.append(len(images))
        if len(sizes) == 2:
            self.frame.stop.click()
        return read(self, images)

    monkeypatch.setattr(_ActivationExplorer, "_read", stopping)
    assert "stopped" in settle(explorer, show=activations.MISREAD)
    assert sizes == [10, 10]
    explorer.frame.ask()
    assert wait_until_idle() and sizes == [10] * 4


def test_test_digits_that_do_not_fit_are_refused_with_both_shapes_and_the_remedy(cnn, monkeypatch):
    monkeypatch.setattr(parts, "default_digits", lambda: (pictures(3, 28), np.arange(3)))
    with pytest.raises(ValueError, match=r"\(12, 12, 1\), the test digits have \(28, 28, 1\); give .* images="):
        activation_explorer(cnn)


def test_without_images_the_test_digits_are_shown(monkeypatch):
    monkeypatch.setattr(parts, "default_digits", lambda: (pictures(3, 28), np.arange(3)))
    images, labels = checked_digits(digit_cnn(), (), ())
    assert images.shape == (3, 28, 28, 1) and labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (pictures(4, 10), (), r"the images have \(10, 10, 1\); resize them"),
        (pictures(4, 12, 3), (), r"the images have \(12, 12, 3\)"),
        (pictures(4), [1, 2, 3], r"labels have shape \(3,\); 4 images need one label each"),
        (pictures(4), np.eye(4), r"labels have shape \(4, 4\)"),
        ((), [1, 2], "2 labels came without images"),
    ],
)
def test_what_does_not_go_together_is_refused(cnn, images, labels, message):
    with pytest.raises(ValueError, match=message):
        activation_explorer(cnn, images, labels)


def test_a_model_without_a_convolution_is_refused():
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no Conv2D layer"):
        activation_explorer(model)


def test_a_model_of_any_image_size_takes_images_of_any_size():
    model = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(3, 3, activation="relu", name="only")])
    explorer = opened(model, pictures(4, 17, 2))
    open_map(explorer, 1)
    assert explorer.answer.maps.shape == (15, 15, 3) and "mean" in text(explorer.map_caption)


def test_without_labels_and_probabilities_neither_is_told():
    model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(3, 3), keras.layers.Flatten(),
                              keras.layers.Dense(4)])  # fmt: skip
    explorer = opened(model, pictures(4))
    assert text(explorer.frame.status) == "digit 0 of 4" and explorer.bars.value == ""
    assert [value for _, value in explorer.controls["show"].options] == [activations.ALL]


def test_color_images_can_be_explored_too():
    explorer = opened(tiny_cnn(channels=3), pictures(6, 12, 3), np.arange(6) % 3)
    settle(explorer, layer="first")
    open_map(explorer, 2)
    assert "channel 1" in text(explorer.inputs_names) and "OIP" in text(explorer.oip_caption)
    assert shown(explorer.digit).shape[2] == 3


def test_a_click_opens_a_map_and_another_closes_it(explorer):
    assert explorer.details.layout.display == "none"
    open_map(explorer, 3)
    maps = explorer.answer.maps[..., 3]
    assert explorer.details.layout.display is None
    assert f"mean {maps.mean():.3g}, highest {maps.max():.3g}" in text(explorer.map_caption)
    assert "explorer-chosen" in explorer.sheet.buttons[3]._dom_classes
    open_map(explorer, 3)
    assert explorer.details.layout.display == "none"
    assert "explorer-chosen" not in explorer.sheet.buttons[3]._dom_classes


def test_another_layer_closes_the_map(explorer):
    open_map(explorer, 4)
    settle(explorer, layer="first")
    assert explorer.details.layout.display == "none" and explorer.index is None


def test_the_inputs_that_matter_most_come_first_and_add_up_to_the_map(explorer):
    settle(explorer, number=9)
    open_map(explorer, 2)
    below = np.asarray(feature_extractor(explorer.model, "pool")(explorer.images[9:10]))[0]
    kernels = explorer.model.get_layer("second").get_weights()[0][..., 2]
    windows = np.lib.stride_tricks.sliding_window_view(below, (3, 3), axis=(0, 1))  # (h, w, inputs, 3, 3)
    shares = np.einsum("hwcij,ijc->hwc", windows, kernels).mean(axis=(0, 1))
    order = np.argsort(-np.abs(shares))
    assert re.findall(r"map (\d)", text(explorer.inputs_names)) == [str(number) for number in order]
    assert re.findall(r"[+-]\d\.\d{3}", text(explorer.inputs_caption))[:4] == [f"{shares[n]:+.3f}" for n in order]
    before = np.asarray(pre_activation_extractor(explorer.model, "second")(explorer.images[9:10]))[0, ..., 2]
    assert f"give {before.mean():+.3f}" in text(explorer.inputs_caption)


def test_a_kernel_is_blue_below_zero_and_red_above():
    kernels = np.array([-1.0, 0.0, 0.5]).reshape(1, 3, 1)
    blue, white, red = activations.kernel_pictures(
        Contributions("x", None, kernels, None, 0.0), [0]
    )[0, 0, ::20]  # fmt: skip
    assert blue[2] > 0.3 > blue[0] and white.min() > 0.95 and red[0] > 0.8 > 0.7 > red[2]


def test_a_grouped_convolution_says_why_its_inputs_are_not_shown_and_shows_the_rest():
    model = keras.Sequential([keras.Input((12, 12, 2)), keras.layers.Conv2D(4, 3, groups=2, activation="relu")])
    explorer = opened(model, pictures(4, 12, 2), np.arange(4))
    open_map(explorer, 1)
    assert "2 groups" in text(explorer.inputs_caption) and "excite map 1 most" in text(explorer.top_caption)


def test_the_top_digits_are_those_with_the_largest_mean_activation(explorer):
    means = mean_activations(feature_extractor(explorer.model, "second"), explorer.images)
    index = int((means > 0).sum(axis=0).argmax())
    open_map(explorer, index)
    means = means[:, index]
    best = np.argsort(-means, kind="stable")[:8]
    best = best[means[best] > 0]
    assert len(best) > 1
    found = re.findall(r"<b>(\d)</b><br>([\d.e-]+)", explorer.top_caption.value)
    assert found == [(str(number % 3), f"{means[number]:.3g}") for number in best]


def test_only_the_first_digits_are_compared(cnn, monkeypatch):
    monkeypatch.setattr(activations, "COMPARED", 10)
    monkeypatch.setattr(activations, "BATCH", 4 * 12 * 12)
    explorer = opened(cnn, pictures(), np.arange(40) % 3)
    open_map(explorer, 0)
    assert "of the first 10" in text(explorer.top_caption) and sum(map(len, explorer.means["second"])) == 10


def test_what_does_not_depend_on_the_digit_is_made_once(explorer, monkeypatch):
    calls = []
    for name in ("create_oips", "mean_activations"):
        real = getattr(activations, name)
        counted = lambda *a, real=real, name=name, **o: calls.append(name) or real(*a, **o)  # noqa: E731
        monkeypatch.setattr(activations, name, counted)
    open_map(explorer, 1)
    first = explorer.oip.value
    for number in (4, 5, 6):
        settle(explorer, number=number)
    assert calls == ["mean_activations", "create_oips"]
    open_map(explorer, 2)
    assert calls[2:] == ["create_oips"] and explorer.oip.value != first
    open_map(explorer, 1)
    assert len(calls) == 3 and explorer.oip.value == first


def test_an_oip_that_was_stopped_is_made_again(explorer, stop_at_the_third_block):
    open_map(explorer, 1)
    assert len(stop_at_the_third_block) >= 3 and explorer.oips == {} and "stopped" in text(explorer.oip_caption)
    explorer.frame.ask()
    assert wait_until_idle() and ("second", 1) in explorer.oips


def test_the_sheet_is_painted_before_the_details(explorer):
    open_map(explorer, 1)
    order = []
    for name in ("map", "inputs", "digit"):
        getattr(explorer, name).observe(lambda _, name=name: order.append(name), "value")
    explorer.sheet.image.observe(lambda _: order.append("sheet"), "value")
    settle(explorer, number=11)
    assert order[:2] == ["sheet", "digit"] and "inputs" in order[2:]


def test_moving_the_slider_traces_nothing_anew(explorer):
    open_map(explorer, 0)
    settle(explorer, number=1)
    forwards = [feature_extractor(explorer.model, layer).compiled_forward for layer in ("second", "output")]
    before = [forward.experimental_get_tracing_count() for forward in forwards]
    for number in range(2, 12):
        settle(explorer, number=number)
    assert [forward.experimental_get_tracing_count() for forward in forwards] == before


def test_two_explorers_answer_side_by_side(explorer):
    other = opened(explorer.model, pictures(seed=5))
    settle(explorer, number=3), settle(other, number=8)
    assert explorer.answer.number == 3 and other.answer.number == 8


def test_the_call_makes_the_maps_of_the_sheet(explorer):
    settle(explorer, layer="second", number=12)
    figure = run_call(explorer, images=explorer.images)
    np.testing.assert_allclose(drawn_maps(figure, 5), explorer.answer.maps, atol=1e-6)


def test_the_call_for_test_digits_loads_them(monkeypatch):
    images = pictures(3, 28)
    monkeypatch.setattr(parts, "default_digits", lambda: (images, np.arange(3)))
    monkeypatch.setattr("helpers.data.load_digits", lambda split: {"test": (images, np.arange(3))}[split])
    model = digit_cnn()
    explorer = _ActivationExplorer(model, *checked_digits(model, (), ()), given=False)
    settle(explorer, number=2)
    np.testing.assert_allclose(drawn_maps(run_call(explorer), 9), explorer.answer.maps, atol=1e-6)


def test_save_writes_the_sheet_and_never_over_another(explorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(explorer.save)
    open_map(explorer, 1)
    press(explorer.save)
    assert text(explorer.frame.status) == "saved as maps_second_2.png in the folder of the notebook"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps_second.png", "maps_second_2.png"]
    assert Image.open(tmp_path / "maps_second.png").width > 800
    assert settle(explorer, number=1).startswith("digit 1 of 40")


def test_drawing_is_offered_only_where_the_network_sees_such_digits(explorer, pad):
    assert explorer.pad is None and pad.pad.panel.layout.display is None


def draw(explorer, strokes, begin="_begin", move="_move"):
    for stroke in strokes:
        getattr(explorer.pad.pen, begin)(*stroke[0])
        for point in stroke[1:]:
            getattr(explorer.pad.pen, move)(*point)
        explorer.pad.pen._end()
    assert wait_until_idle()


def test_a_drawing_is_read_as_its_ink_in_the_manner_of_mnist(pad):
    draw(pad, SEVEN)
    np.testing.assert_array_equal(pad.answer.image, digit_from_ink(ink_of_strokes(SEVEN)))
    assert text(pad.frame.status).startswith("your drawing, read as")
    assert pad.pad.pen.strokes == list(SEVEN)


def test_a_pointer_that_moves_without_being_down_draws_nothing(pad):
    pad.pad.pen._move(100, 100)
    draw(pad, SEVEN[:1])
    pad.pad.pen._move(10, 10)
    assert pad.pad.pen.strokes == [SEVEN[0]]


def test_mouse_and_finger_events_reach_the_pen(pad):
    canvas = pad.pad.pen.view
    canvas._mouse_down_callbacks(30, 40), canvas._mouse_move_callbacks(50, 60), canvas._mouse_out_callbacks(55, 66)
    canvas._touch_start_callbacks([(70, 80)]), canvas._touch_move_callbacks([(90, 95)])
    canvas._touch_end_callbacks([])
    assert pad.pad.pen.strokes == [((30, 40), (50, 60)), ((70, 80), (90, 95))] and not pad.pad.pen.down


@pytest.mark.parametrize("leave", [lambda pad: pad.pad.clear.click(), lambda pad: settle(pad, number=2),
                                   lambda pad: pad.next.click(), lambda pad: settle(pad, show=5),
                                   lambda pad: setattr(pad.pad.open, "value", False)])  # fmt: skip
def test_clear_and_every_choice_of_a_digit_leave_the_drawing(pad, leave):
    draw(pad, SEVEN)
    leave(pad)
    assert wait_until_idle()
    assert pad.answer.own is None and text(pad.frame.status).startswith("digit ")


def test_a_stroke_is_as_wide_as_the_pen_and_has_round_ends():
    ink = ink_of_strokes([((70, 140), (210, 140))], size=280)
    across, along = ink[:, 140], ink.sum(axis=0)
    np.testing.assert_allclose(across.sum(), drawing.PEN, atol=0.5)
    assert along[58] < along[62] < along[70] == along[140]
    area = 140 * drawing.PEN + np.pi * (drawing.PEN / 2) ** 2
    np.testing.assert_allclose(ink.sum(), area, rtol=0.01)
    assert ((ink > 0) & (ink < 1)).any() and ink.max() == 1


def test_a_dot_and_what_leaves_the_canvas_are_ink_too():
    assert ink_of_strokes([((140, 140),)]).sum() > 50
    assert ink_of_strokes([((-50, 140), (400, 140))])[70].min() == 1


def test_without_ipycanvas_cells_can_be_inked_and_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipycanvas", None)
    explorer = opened(digit_cnn(), pictures(5, 28))
    explorer.pad.open.value = True
    cells = explorer.pad.cells
    assert explorer.pad.pen is None and "pip install ipycanvas" in cells.view.children[1].value
    for row in range(3, 11):
        cells.buttons[14 * row + 7].value = True
    assert wait_until_idle()
    inked = np.zeros((14, 14), bool)
    inked[3:11, 7] = True
    np.testing.assert_array_equal(explorer.answer.image, digit_from_ink(ink_of_cells(inked.ravel())))
    press(explorer.pad.clear)
    assert explorer.answer.own is None and not any(button.value for button in cells.buttons)


def test_cells_take_the_place_of_the_canvas_for_the_keyboard(pad):
    pad.pad.keys.value = True
    assert pad.pad.field.children == (pad.pad.cells.view,)
    assert "pip install" not in pad.pad.cells.view.children[1].value
    pad.pad.keys.value = False
    assert pad.pad.field.children == (pad.pad.pen.view,)


def uploaded(pad, content):
    pad.pad.upload.value = ({"name": "d.png", "type": "image/png", "size": len(content),
                             "content": memoryview(content), "last_modified": datetime.now()},)  # fmt: skip
    assert wait_until_idle()


def test_an_uploaded_photo_is_read(pad, tmp_path):
    save_picture(tmp_path / "d.png", 1 - 0.8 * np.pad(ink_of_strokes(SEVEN), 40)[..., np.newaxis])
    uploaded(pad, (tmp_path / "d.png").read_bytes())
    assert text(pad.frame.status).startswith("your photo, read as")
    drawn = digit_from_ink(ink_of_strokes(SEVEN))
    assert (pad.answer.image * drawn).mean() > 0.95  # both have deviation 1: their correlation


def test_a_broken_upload_is_told_in_a_sentence(pad):
    uploaded(pad, b"no picture")
    assert "holds no picture" in text(pad.frame.status) and "Traceback" not in pad.frame.status.value
    assert settle(pad, number=2).startswith("digit 2 of 5")


def test_a_drawn_digit_is_saved_and_the_call_reads_it_back(pad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    press(pad.pad.save)
    assert "no digit of yours to save yet" in text(pad.frame.status) and not list(tmp_path.iterdir())
    draw(pad, SEVEN)
    assert "press" in text(pad.call)
    press(pad.pad.save)
    assert "saved as digit.png" in text(pad.frame.status) and "press \"save digit\"" not in text(pad.call)
    settle(pad, layer="first")
    np.testing.assert_allclose(drawn_maps(run_call(pad), 6), pad.answer.maps, atol=1e-5)
    assert np.asarray(Image.open("digit.png")).shape == (28, 28)
    np.testing.assert_allclose(np.asarray(Image.open("digit.png")) / 255, to_display(pad.answer.image)[0, ..., 0],
                               atol=1e-6)


def test_a_drawing_is_turned_into_a_digit_once(pad, monkeypatch):
    calls, real = [], activations.image_of
    monkeypatch.setattr(activations, "image_of", lambda own: calls.append(own) or real(own))
    uploaded(pad, b"")
    draw(pad, [((100, 100),)])
    settle(pad, layer="first")
    settle(pad, layer="second")
    assert [own.kind for own in calls] == ["drawing"] or [own.kind for own in calls] == ["photo", "drawing"]


def test_a_map_that_no_digit_excites_is_called_so():
    model = tiny_cnn()
    kernel, bias = model.get_layer("second").get_weights()
    bias[3] = -1000
    model.get_layer("second").set_weights([kernel, bias])
    explorer = opened(model, pictures(), np.arange(40) % 3)
    open_map(explorer, 3)
    assert "None of the first 40 digits excites map 3" in text(explorer.top_caption)
    assert "no pattern was found" in text(explorer.oip_caption)
    silent = (explorer.answer.maps == 0).all(axis=(0, 1)).sum()
    assert silent >= 1 and f"{silent} silent" in text(explorer.scale)
