"""What explorers are built of: frame, sheet, mosaic, bars, curve, and the Python call, each on its own."""

import html
import re
import threading
import time
import xml.etree.ElementTree as ElementTree

import keras
import numpy as np
import pytest
from ipywidgets import HTML, Button, Image, IntSlider

from helpers import models
from helpers.models import load_cnn
from helpers.widgets import frame_before as parts
from helpers.widgets.worker import lock, wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import control, images, pixels, press, put, status


def pictures_of(count, height=3, width=4):
    """Pictures (count, height, width, 3), number i all of the gray value (i + 1) / 100."""
    return np.tile((np.arange(count, dtype=np.float32)[:, None, None, None] + 1) / 100, (1, height, width, 3))


def parsed(shown):
    """HTML as an element tree; raises where a quote or a bracket has broken it."""
    return ElementTree.fromstring(shown)


def test_a_mosaic_holds_every_picture_in_the_middle_of_its_cell_below_its_label():
    made = parts.mosaic(pictures_of(5), columns=2, label=6, gap=1)
    tall, broad = 3 + 6 + 2, 4 + 2
    assert made.shape == (3 * tall, 2 * broad, 4)
    for number in range(5):
        row, column = number // 2 * tall, number % 2 * broad
        part = made[row : row + tall, column : column + broad]
        np.testing.assert_allclose(part[7:10, 1:5, :3], (number + 1) / 100)
        assert (part[7:10, 1:5, 3] == 1).all() and part[..., 3].sum() == 3 * 4, "all around it is transparent"
    assert (made[2 * tall :, broad:] == 0).all(), "the sixth cell is empty"


def test_a_mosaic_has_no_more_columns_than_pictures():
    assert parts.mosaic(pictures_of(2), columns=8).shape == (5, 12, 4)


def test_a_mosaic_keeps_the_opacity_of_pictures_that_have_one():
    pictures = np.full((1, 2, 2, 4), 0.5, np.float32)
    assert (parts.mosaic(pictures, 1)[1:3, 1:3] == 0.5).all()


def test_an_enlarged_picture_has_sharp_edges():
    picture = np.arange(6).reshape(2, 3, 1)
    large = parts.enlarged(picture, 3)
    assert large.shape == (6, 9, 1)
    np.testing.assert_array_equal(large[::3, ::3], picture)
    np.testing.assert_array_equal(large[2::3, 2::3], picture)


@pytest.mark.parametrize("shape, size", [((12, 12), (36, 36)), ((28, 28), (28, 28)), ((40, 20), (40, 20)),
                                         ((80, 40), (40, 20)), ((400, 4), (40, 1))])  # fmt: skip
def test_thumbnails_fit_their_edge_and_stay_in_range(shape, size):
    pictures = np.random.default_rng(0).integers(0, 2, (2, *shape, 3)).astype(np.float32)
    small = parts.thumbnails(pictures, 40)
    assert small.shape == (2, *size, 3) and small.min() >= 0 and small.max() <= 1


def test_bars_are_as_long_as_their_shares():
    shown = parsed(parts.bars(["a", "b", "c"], [1, 0.25, 0], ["4", "1", "0"]))
    assert [part.get("style") for part in shown.iter("div") if part.get("style")] == [
        "width: 100.0%", "width: 25.0%", "width: 0.0%"]  # fmt: skip
    assert [part.text for part in shown.iter("span")] == ["a", "4", "b", "1", "c", "0"]


def test_strip_labels_have_one_column_for_each_picture():
    shown = parsed(parts.strip_labels(["step 0", "step 9"]))
    assert "repeat(2, 1fr)" in shown.get("style") and [part.text for part in shown] == ["step 0", "step 9"]


def curve_points(shown):
    (line,) = parsed(shown).iter("polyline")
    return np.array([[float(number) for number in point.split(",")] for point in line.get("points").split()])


def test_a_curve_rises_where_its_values_rise_and_fills_its_box():
    points = curve_points(parts.curve([1, 3, 2], "value", 2))
    np.testing.assert_allclose(points[:, 0], [8, 200, 392])
    np.testing.assert_allclose(points[:, 1], [88, 18, 53])


def test_a_curve_tells_its_ends_to_those_who_cannot_see_it():
    (drawn,) = parsed(parts.curve([0.5, 1, 4.25], "activation", 45)).iter("svg")
    assert drawn.get("role") == "img" and drawn.get("aria-label") == "activation, from 0.5 to 4.25 in 45 steps"


@pytest.mark.parametrize("name", ["a < b", "the map's value", 'so-called "value"', "a & b"])
def test_the_name_of_a_curve_cannot_break_the_page(name):
    (drawn,) = parsed(parts.curve([1, 2], name, 1)).iter("svg")
    assert drawn.get("aria-label").startswith(f"{name}, from")
    assert next(drawn.iter("text")).text.startswith(f"{name}: ")


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_a_curve_of_one_value_is_a_level_line(values):
    assert (curve_points(parts.curve(values, "value", 1))[:, 1] == 88).all()


@pytest.mark.parametrize("shape, expected", [((12, 10, 3), (12, 10, 3)), ((None, None, 1), (28, 28, 1))])
def test_the_image_shape_is_the_models_or_28_where_it_is_open(shape, expected):
    layer = keras.layers.Conv2D(1, 3)
    assert parts.image_shape(keras.Sequential([keras.Input(shape), layer])) == expected


def lines_of(shown):
    return html.unescape(re.search("<pre>(.*)</pre>", shown, re.DOTALL)[1]).split("\n")


def test_the_python_call_of_the_shipped_model_runs_by_itself():
    call = parts.python_call(load_cnn(), {"from helpers.activations import conv_layers"},
                             ["layers = conv_layers(model)", "top = np.max([len(layer) for layer in layers])"])
    space = {}
    exec("\n".join(lines_of(call)), space)
    assert space["layers"] == ["Conv2D_1", "Conv2D_2", "Conv2D_3"] and space["top"] == 8


def test_the_python_call_of_another_model_asks_for_it():
    lines = lines_of(parts.python_call(tiny_cnn(), set(), ["names = [layer.name for layer in model.layers]"]))
    assert "# model is the one this explorer was opened with" in lines and "load_cnn" not in " ".join(lines)


def test_the_python_call_imports_numpy_only_where_it_is_used():
    assert "import numpy as np" in lines_of(parts.python_call(tiny_cnn(), set(), ["a = np.zeros(3)"]))
    assert "import numpy as np" not in lines_of(parts.python_call(tiny_cnn(), set(), ["a = 3"]))


def test_signs_that_mean_something_in_html_come_out_of_the_python_call_as_they_went_in():
    line = "shown = [name for name in 'a<b>&c' if name < '\"']"
    assert line in lines_of(parts.python_call(tiny_cnn(), set(), [line]))


def test_what_is_folded_is_shown_at_the_press_of_a_button_and_stays_so_while_its_text_changes():
    shown = HTML("old")
    box = parts.folded(shown, "Python for this picture")
    toggle = control(box, "Python for this picture")
    assert shown.layout.display == "none"
    toggle.value = True
    shown.value = "new"
    assert shown.layout.display is None
    toggle.value = False
    assert shown.layout.display == "none"


def test_only_the_shipped_weights_in_their_own_layers_are_called_shipped():
    assert parts.is_shipped(load_cnn()) and not parts.is_shipped(tiny_cnn())
    model = load_cnn()
    model.get_layer("Conv2D_2").activation = keras.activations.linear
    assert not parts.is_shipped(model), "other activations make other pictures"
    both = load_cnn()
    assert not parts.is_shipped(keras.Model(both.inputs, [both.outputs[0], both.get_layer("Dense_1").output]))
    model = load_cnn()
    kernel, bias = model.get_layer("Conv2D_1").get_weights()
    model.get_layer("Conv2D_1").set_weights([kernel, bias + 1e-3])
    assert not parts.is_shipped(model)


class NoConfig(keras.layers.Layer):
    """A layer of the reader's own that cannot be written down."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, images):
        return self.function(images)


def test_a_model_of_the_readers_own_needs_neither_the_shipped_file_nor_a_config(monkeypatch, tmp_path):
    layer = NoConfig(lambda images: 2 * images)
    own = keras.Sequential([keras.Input((12, 12, 1)), layer, keras.layers.Conv2D(2, 3, activation="relu")])
    assert not parts.is_shipped(own)
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "gone.keras")
    assert not parts.is_shipped(tiny_cnn(seed=9))


def test_a_free_path_is_the_first_one_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        made.append(parts.free_path("oip", ".png").name)
        (tmp_path / made[-1]).touch()
    assert made == ["oip.png", "oip_2.png", "oip_3.png"]


def test_a_caption_stands_below_its_image_and_may_change():
    image, caption = Image(format="png"), HTML("now")
    assert parts.captioned(image, caption, "40%").children == (image, caption)
    box = parts.captioned(Image(format="png"), "an OIP", "40%")
    assert "an OIP" in box.children[1].value and box.layout.width == "40%"


class Bench:
    """A frame around one slider, whose "picture" is the number it stands for; what it does can be exchanged."""

    def __init__(self):
        self.slider, self.painted = IntSlider(0, 0, 100, description="number"), []
        self.read = lambda: self.slider.value
        self.paint = lambda number: self.painted.append(number) or f"the number is <{number}>"
        self.frame = parts.Frame([self.slider], [], lambda: self.read(), self.make, lambda number: self.paint(number))
        self.frame.watch(self.slider)

    def make(self, number):
        yield number


@pytest.fixture
def bench():
    return Bench()


def test_a_frame_paints_what_its_controls_say_and_tells_it_as_text(bench):
    put(bench.frame.view, "number", 7)
    assert bench.painted == [7] and status(bench.frame.view) == "the number is <7>"


def test_a_frame_that_is_asked_for_something_altered_makes_that(bench):
    bench.frame.ask(alter=lambda number: number + 40)
    assert wait_until_idle() and bench.painted == [40]


def test_a_frame_is_busy_until_it_has_painted(bench):
    bench.paint = lambda number: "busy" if "explorer-busy" in bench.frame.view._dom_classes else "idle"
    put(bench.frame.view, "number", 1)
    assert status(bench.frame.view) == "busy" and "explorer-busy" not in bench.frame.view._dom_classes


def raising(error):
    def function(*_):
        raise error

    return function


@pytest.mark.parametrize("part", ["read", "paint"])
def test_a_fault_of_the_readers_is_one_sentence_without_a_traceback(bench, part):
    setattr(bench, part, raising(ValueError("seed <-1> does not exist; choose one from 0 on")))
    put(bench.frame.view, "number", 1)
    assert status(bench.frame.view) == "seed <-1> does not exist; choose one from 0 on"
    assert "<details>" not in bench.frame.status.value and "role='alert'" in bench.frame.status.value


@pytest.mark.parametrize("part", ["read", "paint"])
def test_a_fault_of_ours_is_one_sentence_with_its_traceback_folded_below(bench, part):
    setattr(bench, part, raising(KeyError("<nowhere>")))
    put(bench.frame.view, "number", 1)
    sentence, folded = bench.frame.status.value.split("<details>")
    assert html.unescape(re.sub("<[^>]+>", "", sentence)) == "KeyError: '<nowhere>'"
    assert "<summary>where it happened</summary>" in folded and "in function" in folded and "<nowhere>" not in folded


def test_what_was_being_made_is_not_painted_after_a_wish_that_cannot_be_read(bench):
    def make(number):
        bench.read = raising(ValueError("too many"))
        bench.slider.value = 2
        yield number

    bench.frame.desk.make = make
    put(bench.frame.view, "number", 1)
    assert bench.painted == [] and status(bench.frame.view) == "too many"


def test_after_an_error_the_next_wish_is_painted(bench):
    paint, bench.paint = bench.paint, raising(KeyError("nowhere"))
    put(bench.frame.view, "number", 1)
    bench.paint = paint
    put(bench.frame.view, "number", 2)
    assert bench.painted == [2] and status(bench.frame.view) == "the number is <2>"


def test_a_file_is_saved_and_said_to_be_or_else_the_error_is_shown(bench):
    button = Button(description="save")
    outcomes = [lambda: "oip.png", raising(PermissionError(13, "Permission denied", "oip.png")), lambda: 1 / 0]

    def save(outcome):
        yield f"saved as {outcome()}"

    bench.frame.save_with(button, lambda: outcomes.pop(0), save)
    for sentence in ("saved as oip.png", "Permission denied: 'oip.png'", "ZeroDivisionError"):
        button.click()
        assert wait_until_idle() and sentence in status(bench.frame.view)


def test_a_callback_that_fails_shows_its_error_and_those_after_it_are_called(bench):
    control = IntSlider(0)
    seen = []
    bench.frame.on_change(control, lambda change: 1 / 0)
    bench.frame.on_change(control, lambda change: seen.append(change["new"]))
    control.value = 3
    assert seen == [3] and "ZeroDivisionError" in status(bench.frame.view)


def test_what_was_read_first_is_never_asked_for_last(bench):
    """Two threads read the controls, then wait for the worker, which paints: the later reading must win."""
    slider, asked = IntSlider(0, 0, 10_000), []
    bench.frame.read, bench.frame.desk.ask = lambda: slider.value, asked.append

    def move(value):
        slider.value = value
        bench.frame.ask()

    for round in range(40):
        with lock:  # as while painting
            threads = [threading.Thread(target=move, args=[2 * round + one]) for one in (0, 1)]
            for thread in threads:
                thread.start()
            time.sleep(0.005)
        for thread in threads:
            thread.join()
        assert asked[-1] == slider.value


def test_stop_gives_what_a_maker_has_so_far(bench):
    def make(_):
        try:
            for number in range(1_000_000):
                if number == 3:
                    control(bench.frame.view, "Stop").click()
                yield number
        except KeyboardInterrupt:
            yield -number

    bench.frame.desk.make = make
    put(bench.frame.view, "number", 1)
    assert bench.painted == [0, 1, 2, 3, -3]


@pytest.fixture
def sheet():
    chosen = []
    made = parts.Sheet(chosen.append, "tile")
    made.show(pictures_of(5, 20, 20), [8, 3, 5, 1, 0], 3)
    return made, chosen


def test_a_sheet_has_a_button_for_each_picture_in_the_same_grid(sheet):
    made, _ = sheet
    assert [button.description for button in made.grid.children] == ["8", "3", "5", "1", "0"]
    assert "repeat(3," in made.grid.layout.grid_template_columns
    shown = pixels(images(made.view)[0])
    tall, broad = shown.shape[0] // 2, shown.shape[1] // 3
    assert shown.shape[:2] == (2 * tall, 3 * broad)
    for place in range(5):
        row, column = place // 3 * tall, place % 3 * broad
        part = shown[row : row + tall, column : column + broad]
        assert part[-2, broad // 2, 0] == round(255 * (place + 1) / 100) and part[0, broad // 2, 3] == 0


def test_the_number_above_a_picture_has_the_same_share_of_every_sheet():
    for columns, edge in ((4, 60), (10, 28), (16, 40)):
        made = parts.Sheet(print)
        made.show(pictures_of(2 * columns, edge, edge), range(2 * columns), columns)
        shown = pixels(images(made.view)[0])
        label = shown.shape[0] / 2 - edge - 2
        assert label == pytest.approx(parts.LABEL * shown.shape[1], abs=0.5)


def test_a_click_on_a_sheet_tells_the_number_and_not_the_place(sheet):
    made, chosen = sheet
    made.grid.children[0].click(), made.grid.children[3].click()
    assert chosen == [8, 1] and made.grid.children[3].tooltip == "tile 1"


def test_a_sheet_marks_one_picture_and_stars_many(sheet):
    made, _ = sheet
    made.mark(5, {1, 8}), made.mark(3, {1, 3})
    assert [button.description for button in made.grid.children] == ["8", "3★", "5", "1★", "0"]
    assert [button.description for button in made.grid.children if "explorer-chosen" in button._dom_classes] == ["3★"]


def test_a_sheet_shown_again_in_another_order_keeps_its_buttons_and_their_marks(sheet):
    made, chosen = sheet
    before = made.grid.children
    made.mark(5, {5})
    made.show(pictures_of(2, 20, 20), [5, 8], 3)
    assert made.grid.children == (before[2], before[0]) and made.grid.children[0].description == "5★"
    made.grid.children[0].click()
    assert chosen == [5] and "repeat(2," in made.grid.layout.grid_template_columns


def test_a_sheet_that_only_gets_other_pictures_leaves_its_buttons_alone(sheet):
    made, _ = sheet
    seen = []
    made.grid.observe(seen.append, "children")
    made.show(1 - pictures_of(5, 20, 20), [8, 3, 5, 1, 0], 3)
    assert seen == []


def test_the_same_pictures_in_other_columns_get_a_grid_of_as_many(sheet):
    made, _ = sheet
    made.show(pictures_of(5, 20, 20), [8, 3, 5, 1, 0], 5)
    assert "repeat(5," in made.grid.layout.grid_template_columns


def test_pictures_beyond_the_numbers_keep_the_columns_but_get_no_button(sheet):
    made, _ = sheet
    made.show(pictures_of(3, 20, 20), [7], 3)
    assert [button.description for button in made.grid.children] == ["7"]
    assert "repeat(3," in made.grid.layout.grid_template_columns


def test_a_row_holds_its_widgets_in_order():
    first, second = Button(description="a"), Button(description="b")
    box = parts.row(first, second)
    assert box.children == (first, second) and "explorer-row" in box._dom_classes


def test_pressing_a_button_of_a_frame_counts_as_a_wish(bench):
    again = Button(description="again")
    again.on_click(bench.frame.ask)
    bench.frame.view.children += (again,)
    press(bench.frame.view, "again")
    assert bench.painted == [0]
