"""The zoo browser fills its sheet, keeps what is made, sorts and filters truly, and tells each map's story."""

import html
import re
from collections import Counter

import keras
import numpy as np
import pytest

from helpers import ascent
from helpers.activations import class_means, feature_extractor, mean_activations
from helpers.ascent import soften
from helpers.figures import as_calculated, enhanced, zoo_sheet
from helpers.images import standardize
from helpers.oips import create_oips, layer_zoo
from helpers.widgets import parts, zoo_browser
from helpers.widgets import zoo as module
from helpers.widgets.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import control, everything, images, names_of_controls, pixels, press, put, status, text

STRONG, PLAIN, STRIP, SHEET = range(4)  # the pictures, in the order of the page


@pytest.fixture(scope="module")
def shared_cnn():
    return tiny_cnn(seed=3, maps=40)


@pytest.fixture(scope="module")
def digits():
    """Sixty random images with labels 2, 3, 5, and what the 40 maps say of them."""
    return standardize(np.random.default_rng(4).standard_normal((60, 12, 12, 1)).astype(np.float32))


LABELS = np.repeat([2, 3, 5], 20)


@pytest.fixture(scope="module")
def answers(shared_cnn, digits):
    return mean_activations(feature_extractor(shared_cnn, "second"), digits)


@pytest.fixture(scope="module")
def oips(shared_cnn):
    return create_oips(shared_cnn, "second", range(40))


@pytest.fixture
def browser(shared_cnn, digits):
    explorer = zoo_browser(shared_cnn, "second", digits, LABELS)
    assert wait_until_idle()
    return explorer


@pytest.fixture
def groups(monkeypatch):
    """A list of the groups of maps for which OIPs are made from here on; `groups.at(number)` is called before each."""

    class Groups(list):
        def at(self, number):
            """What happens while the group of this number, counted from 1, is made."""

    made = Groups()

    def counting(model, layer, indices, **options):
        made.append(list(indices))
        made.at(len(made))
        return create_oips(model, layer, indices, **options)

    monkeypatch.setattr(module, "create_oips", counting)
    return made


def stop_at_the_second(explorer):
    return lambda number: control(explorer, "Stop").click() if number == 2 else None


def sheet_buttons(explorer):
    (grid,) = [part for part in everything(explorer) if type(part).__name__ == "GridBox"]
    return grid.children


def sheet_numbers(explorer):
    return [int(button.description.rstrip("★")) for button in sheet_buttons(explorer)]


def cell(explorer, place, size=36, columns=10):
    """The picture at a place of the sheet, 0..255."""
    sheet = pixels(images(explorer)[SHEET])
    tall = sheet.shape[0] // -(-len(sheet_buttons(explorer)) // columns)
    row, column = place // columns, place % columns
    bottom = (row + 1) * tall - 1
    return sheet[bottom - size : bottom, column * (size + 2) + 1 :][:, :size, :3]


def picture(shown, times=3):
    return np.round(255 * shown.repeat(times, axis=0).repeat(times, axis=1))


def assert_cell_shows(explorer, place, shown):
    assert np.abs(cell(explorer, place).astype(float) - picture(shown)).max() <= 3


def open_map(explorer, number):
    next(button for button in sheet_buttons(explorer) if button.description.rstrip("★") == str(number)).click()
    assert wait_until_idle()


def calls(explorer):
    """The Python calls: that of the sheet, that of the open map."""
    shown = [str(getattr(part, "value", "")) for part in everything(explorer)]
    found = [re.match("<div class='explorer-call'.*<pre>(.*)</pre>", value, re.DOTALL) for value in shown]
    return [html.unescape(call[1]) for call in found if call]


def test_the_sheet_shows_the_oip_of_every_map_under_its_number(browser, oips):
    assert status(browser) == "all 40 maps of second made"
    assert sheet_numbers(browser) == list(range(40)) and control(browser, "maps made").value == 40
    for place in (0, 15, 16, 39):
        assert_cell_shows(browser, place, enhanced(oips.images)[place])


def test_the_sheet_fills_group_by_group_and_what_is_missing_is_dark(shared_cnn, groups):
    seen = []

    def watch(number):
        seen.append((control(explorer, "maps made").value, status(explorer), cell(explorer, 39).max()))

    explorer = zoo_browser(shared_cnn, "second")
    assert wait_until_idle()
    groups.at = watch
    put(explorer, "random seed", 1)
    assert [made for made, _, _ in seen] == [0, 16, 32] and groups[-1] == list(range(32, 40))
    assert [sentence for _, sentence, _ in seen] == [f"{made} of 40 maps of second made" for made in (0, 16, 32)]
    assert seen[-1][2] == round(255 * module.DARK) and cell(explorer, 39).max() > 200


@pytest.mark.parametrize("name, value", [("random seed", 5), ("softened: strokes instead of speckle", True)])
def test_seed_and_softening_make_other_oips(browser, shared_cnn, name, value):
    put(browser, name, value)
    options = {"seed": value} if name == "random seed" else {"precondition": soften}
    assert_cell_shows(browser, 7, enhanced(create_oips(shared_cnn, "second", [7], **options).images)[0])


def test_the_rendering_changes_the_sheet_alone(browser, oips):
    before = images(browser)
    put(browser, "rendering", "as calculated, in colors")
    assert_cell_shows(browser, 7, as_calculated(oips.images)[7])
    assert images(browser)[:SHEET] == before[:SHEET]


def test_stop_keeps_what_is_made_and_go_on_makes_nothing_twice(browser, groups, shared_cnn):
    groups.at = stop_at_the_second(browser)
    put(browser, "random seed", 1)
    assert "stopped: 16 of 40 maps" in status(browser) and control(browser, "maps made").value == 16
    assert not control(browser, "go on").disabled
    assert cell(browser, 15).max() > 200 and cell(browser, 16).max() == round(255 * module.DARK)
    press(browser, "go on")
    assert status(browser) == "all 40 maps of second made" and control(browser, "go on").disabled
    assert groups == [list(range(16)), list(range(16, 32)), list(range(16, 32)), list(range(32, 40))]
    assert_cell_shows(browser, 20, enhanced(create_oips(shared_cnn, "second", [20], seed=1).images)[0])


def test_looking_around_while_the_sheet_fills_does_not_begin_it_anew(browser, groups):
    def look(number):
        if number == 2:
            control(browser, "sorted by").value = module.BY_VALUE
            control(browser, "next map").click()

    groups.at = look
    put(browser, "random seed", 1)
    assert groups == [list(range(16)), list(range(16, 32)), list(range(32, 40))]
    assert sheet_numbers(browser) != list(range(40)) and "map 1 :" in text(browser)


def test_sheets_that_were_made_are_there_at_once_but_only_the_last_four(browser, groups):
    before = images(browser)
    for seed in (1, 2, 3):
        put(browser, "random seed", seed)
    del groups[:]
    put(browser, "random seed", 0)
    assert groups == [] and images(browser) == before
    put(browser, "random seed", 4)  # the fifth: that of seed 1 must go
    del groups[:]
    put(browser, "random seed", 2)
    assert groups == []
    put(browser, "random seed", 1)
    assert len(groups) == 3


def test_a_sheet_left_half_made_is_completed_later(browser, groups):
    groups.at = lambda number: control(browser, "random seed").set_trait("value", 2) if number == 2 else None
    put(browser, "random seed", 1)
    assert groups[2][0] == 0 and status(browser) == "all 40 maps of second made"
    del groups[:]
    put(browser, "random seed", 1)
    assert groups[0][0] == 16, "the first sixteen were made before"


def test_of_many_seeds_the_last_is_shown(browser, shared_cnn):
    for seed in (1, 2, 3, 4, 5):
        control(browser, "random seed").value = seed
    assert wait_until_idle()
    assert_cell_shows(browser, 3, enhanced(create_oips(shared_cnn, "second", [3], seed=5).images)[0])


def test_sorted_by_mean_activation_the_highest_oip_comes_first(browser, oips):
    put(browser, "sorted by", module.BY_VALUE)
    assert (np.diff(oips.values[sheet_numbers(browser)]) <= 1e-4).all()
    assert_cell_shows(browser, 0, enhanced(oips.images)[oips.values.argmax()])
    put(browser, "sorted by", module.BY_INDEX)
    assert sheet_numbers(browser) == list(range(40))


@pytest.mark.parametrize("label", [2, 3, 5])
def test_sorted_by_a_class_the_map_that_answers_most_to_its_digits_comes_first(browser, answers, label):
    put(browser, "sorted by", module.BY_CLASS)
    put(browser, "class of digits", label)
    means = answers[label == LABELS].mean(axis=0)
    assert (np.diff(means[sheet_numbers(browser)]) <= 1e-6).all() and len(sheet_numbers(browser)) == 40


def test_every_map_that_a_digit_excites_has_one_top_class(browser, answers):
    put(browser, "shown", module.OF_CLASS)
    found, means = Counter(), class_means(answers, np.repeat([0, 1, 2], 20), 3)
    for place, label in enumerate((2, 3, 5)):
        put(browser, "class of digits", label)
        there = np.flatnonzero((means.argmax(axis=0) == place) & (answers.max(axis=0) > 0))
        assert f"shown: {len(there) or 'no'} map" in status(browser)
        if len(there):
            assert sheet_numbers(browser) == there.tolist()
            found.update(sheet_numbers(browser))
    assert sorted(found) == np.flatnonzero(answers.max(axis=0) > 0).tolist() and set(found.values()) == {1}


def cnn_with_a_dead_map():
    """Of its three maps the second answers to nothing: a node there is always below zero."""
    model = tiny_cnn(seed=1, maps=3)
    kernel, bias = model.get_layer("second").get_weights()
    model.get_layer("second").set_weights([kernel, bias + [5, -1000, 5]])
    return model


def test_maps_that_no_digit_excites_are_found_and_said_to_be_silent(digits):
    explorer = zoo_browser(cnn_with_a_dead_map(), "second", digits, LABELS)
    assert wait_until_idle() and "all 3 maps of second made, 1 of them silent" in status(explorer)
    put(explorer, "shown", module.DEAD)
    assert sheet_numbers(explorer) == [1] and "shown: 1 map that no digit excites" in status(explorer)
    open_map(explorer, 1)
    assert "it stayed silent whatever was tried" in text(explorer)
    assert "none of 60 digits excites this map" in text(explorer)
    for label in (2, 3, 5):
        put(explorer, "class of digits", label)
        put(explorer, "shown", module.OF_CLASS)
        assert 1 not in sheet_numbers(explorer) or "shown: no maps" in status(explorer)


@pytest.mark.parametrize("how", module.REACHED)
def test_the_way_a_map_was_reached_is_told_in_plain_words(how):
    zoo = module.Zoo(module.ZooSettings(0, False), 1, np.zeros((1, 2, 2, 1)), np.ones(1), np.array([how]))
    told = module.told_of(zoo, 0, None)
    assert module.REACHED[how] in told and len(set(module.REACHED.values())) == 4


def test_a_click_opens_a_map_with_its_pictures_bars_and_strongest_digits(browser, oips, answers, digits):
    open_map(browser, 23)
    shown = text(browser)
    assert "map 23 : mean activation" in shown
    assert f"{oips.values[23]:.3g} by its OIP" in shown and f"{answers[:, 23].max():.3g} by the strongest" in shown
    assert module.REACHED[oips.how[23]] in shown
    for place, rendering in ((STRONG, enhanced), (PLAIN, as_calculated)):
        large = pixels(images(browser)[place])[..., :3].astype(float)
        assert np.abs(large - picture(rendering(oips.images)[23], 18)).max() <= 3
    for label in (2, 3, 5):
        assert f"{answers[label == LABELS, 23].mean():.2g}" in shown
    strongest = np.argsort(-answers[:, 23])[0]
    low, high = digits[strongest].min(), digits[strongest].max()
    first = pixels(images(browser)[STRIP])[1:37, 1:37, 0]
    assert np.abs(first - picture(((digits[strongest] - low) / (high - low))[..., 0])).max() <= 1
    assert re.search(rf"{LABELS[strongest]} {answers[strongest, 23]:.2g}", shown)


def test_the_chosen_map_alone_is_outlined(browser):
    open_map(browser, 5), open_map(browser, 9)
    marked = [button.description for button in sheet_buttons(browser) if "explorer-chosen" in button._dom_classes]
    assert marked == ["9"]


def test_next_and_previous_follow_the_order_of_the_sheet_and_go_round(browser):
    put(browser, "sorted by", module.BY_VALUE)
    order = sheet_numbers(browser)
    open_map(browser, order[-1])
    press(browser, "next map")
    assert f"map {order[0]} :" in text(browser)
    press(browser, "next map")
    assert f"map {order[1]} :" in text(browser)
    press(browser, "previous map"), press(browser, "previous map")
    assert f"map {order[-1]} :" in text(browser)


def test_next_leads_to_the_first_map_shown_where_the_open_one_is_not_among_them(browser):
    open_map(browser, 3), put(browser, "favorite", True), press(browser, "next map")
    put(browser, "shown", module.STARRED)
    press(browser, "next map")
    assert "map 3 :" in text(browser)


def test_favorites_get_a_star_a_list_and_a_sheet_of_their_own(browser, oips):
    for number in (30, 4):
        open_map(browser, number)
        put(browser, "favorite", True)
    open_map(browser, 9)
    assert control(browser, "favorite").value is False and "[4, 30]" in text(browser)
    assert [button.description for button in sheet_buttons(browser) if "★" in button.description] == ["4★", "30★"]
    put(browser, "shown", module.STARRED)
    assert sheet_numbers(browser) == [4, 30] and "shown: 2 maps among your favorites" in status(browser)
    assert_cell_shows(browser, 1, enhanced(oips.images)[30])
    open_map(browser, 4)
    assert control(browser, "favorite").value is True
    put(browser, "favorite", False)
    assert sheet_numbers(browser) == [30]


def test_without_favorites_a_sentence_says_how_to_choose_some(browser):
    put(browser, "shown", module.STARRED)
    assert "no favorites yet: choose a map and press “favorite”" in status(browser)
    assert sheet_buttons(browser)[0].description == "0", "the hidden sheet needs no new buttons"
    press(browser, "next map")
    assert "map 0 :" in text(browser)


def test_favorites_stay_when_the_seed_changes(browser):
    open_map(browser, 6), put(browser, "favorite", True), put(browser, "random seed", 3)
    assert "[6]" in text(browser) and sheet_buttons(browser)[6].description == "6★"


@pytest.mark.parametrize("changes", [
    {}, {"sorted by": module.BY_VALUE}, {"random seed": 3, "softened: strokes instead of speckle": True},
    {"rendering": "as calculated, in colors"}, {"sorted by": module.BY_CLASS, "class of digits": 5},
])  # fmt: skip
def test_the_calls_make_exactly_this_sheet_and_this_map(browser, shared_cnn, changes):
    for name, value in changes.items():
        put(browser, name, value)
    press(browser, "next map")
    of_sheet, of_map = ({"model": shared_cnn}, {"model": shared_cnn})
    exec(calls(browser)[0], of_sheet), exec(calls(browser)[1], of_map)
    assert of_sheet["zoo"].indices.tolist() == sheet_numbers(browser)
    rendering = as_calculated if "rendering" in changes else enhanced
    for place in (0, 21, 39):
        assert_cell_shows(browser, place, rendering(of_sheet["zoo"].images)[place])
    large = pixels(images(browser)[STRONG])[::18, ::18, :3].astype(float)
    assert np.abs(large - np.round(255 * of_map["pictures"][0])).max() <= 3


def test_the_call_of_a_stopped_sheet_makes_what_is_there(browser, groups, shared_cnn):
    groups.at = stop_at_the_second(browser)
    put(browser, "random seed", 1)
    assert "shown = range(16)" in calls(browser)[0]
    open_map(browser, 20)
    assert len(calls(browser)) == 1 and "map 20 is not made yet" in re.sub(" +", " ", text(browser))


def test_the_sheet_is_saved_with_its_numbers_under_names_that_are_free(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = []
    monkeypatch.setattr(module, "zoo_sheet", lambda *given: drawn.append(zoo_sheet(*given)) or drawn[-1])
    open_map(browser, 2), put(browser, "favorite", True)
    press(browser, "save PNG"), press(browser, "save PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["zoo_second.png", "zoo_second_2.png"]
    assert status(browser) == "saved as zoo_second_2.png in the folder of the notebook"
    assert [shown.get_text() for shown in drawn[0].axes[0].texts][:4] == ["0", "1", "2★", "3"]
    assert pixels((tmp_path / "zoo_second.png").read_bytes()).shape[1] == 4 * (10 * 14 + 2)


def test_a_sheet_without_pictures_is_not_saved_but_says_why(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(browser, "shown", module.STARRED)
    press(browser, "save PNG")
    assert "there is no OIP on the sheet that could be saved; show other maps" in status(browser)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("layer, digits, labels, sentence", [
    ("output", (), (), "layer 'output' has no feature maps but 3 single units; the convolutional layers of this model"),
    ("nowhere", (), (), "layer 'nowhere' not found"),
    ("second", np.zeros((3, 12, 12, 1)), (), "there are 3 digits and 0 labels"),
    ("second", (), [1, 2], "there are 0 digits and 2 labels"),
    ("second", np.zeros((3, 28, 28, 1)), [1, 2, 3], r"shape \(3, 28, 28, 1\); this model sees .* \(n, 12, 12, 1\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_shown(shared_cnn, layer, digits, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        zoo_browser(shared_cnn, layer, digits, labels)


def test_a_model_that_test_digits_do_not_fit_has_its_browser_without_classes(shared_cnn):
    explorer = zoo_browser(shared_cnn, "second")
    assert wait_until_idle() and status(explorer) == "all 40 maps of second made"
    assert control(explorer, "class of digits").disabled
    assert control(explorer, "sorted by").options == (module.BY_INDEX, module.BY_VALUE)
    assert control(explorer, "shown").options == (module.ALL, module.STARRED)
    assert "this model sees images of 12 x 12 x 1, test digits have 28 x 28 x 1" in text(explorer)


def cnn_for_digits():
    start = keras.initializers.HeNormal(seed=1)
    layer = keras.layers.Conv2D(3, 5, strides=4, activation="relu", kernel_initializer=start, name="only")
    return keras.Sequential([keras.Input((28, 28, 1)), layer])


def test_a_model_for_digits_is_shown_the_first_test_digits(monkeypatch):
    random = np.random.default_rng(3)
    many = standardize(random.standard_normal((2_500, 28, 28, 1)).astype(np.float32)), np.arange(2_500) % 10
    monkeypatch.setattr(parts, "default_digits", lambda: many)
    model = cnn_for_digits()
    explorer = zoo_browser(model, "only")
    assert wait_until_idle() and "2,000 digits were asked" in text(explorer)
    put(explorer, "sorted by", module.BY_CLASS), put(explorer, "class of digits", 4)
    means = mean_activations(feature_extractor(model, "only"), many[0][:2_000])[4::10].mean(axis=0)
    assert sheet_numbers(explorer) == np.argsort(-means).tolist()


def test_where_digits_cannot_be_read_the_reason_is_told_and_the_sheet_is_there(monkeypatch):
    def broken():
        raise FileNotFoundError("mnist.npz not found; correct or unset the variable MNIST_NPZ")

    monkeypatch.setattr(parts, "default_digits", broken)
    explorer = zoo_browser(cnn_for_digits(), "only")
    assert wait_until_idle() and "correct or unset the variable MNIST_NPZ" in text(explorer)
    assert status(explorer) == "all 3 maps of only made" and control(explorer, "class of digits").disabled


def test_an_error_in_making_stays_in_sight_until_going_on_mends_it(monkeypatch, shared_cnn, digits):
    create = module.create_oips
    monkeypatch.setattr(module, "create_oips", lambda *arguments, **options: 1 / 0)
    explorer = zoo_browser(shared_cnn, "second", digits, LABELS)
    assert wait_until_idle() and "ZeroDivisionError" in status(explorer)
    put(explorer, "sorted by", module.BY_VALUE)
    assert "ZeroDivisionError" in status(explorer) and not control(explorer, "go on").disabled
    monkeypatch.setattr(module, "create_oips", create)
    press(explorer, "go on")
    assert status(explorer).startswith("all 40 maps of second made")


def test_labels_may_be_any_names_and_do_no_harm_to_the_page(shared_cnn, digits):
    explorer = zoo_browser(shared_cnn, "second", digits, np.repeat(["<b>cat", "dog"], 30))
    assert wait_until_idle() and control(explorer, "class of digits").options == (("<b>cat", "<b>cat"), ("dog", "dog"))
    shown = [part.value for part in everything(explorer) if type(part).__name__ == "HTML"]
    assert not any("<b>cat" in value for value in shown) and any("&lt;b&gt;cat" in value for value in shown)


def test_color_images_of_another_size_have_their_zoo_too():
    random = np.random.default_rng(5)
    digits = standardize(random.standard_normal((10, 12, 12, 3)).astype(np.float32))
    explorer = zoo_browser(tiny_cnn(channels=3), "second", digits, np.arange(10) % 2)
    assert wait_until_idle() and status(explorer) == "all 5 maps of second made"
    assert sheet_numbers(explorer) == [0, 1, 2, 3, 4] and len(set(images(explorer))) == 4


def test_other_seeds_and_maps_compile_nothing_anew(browser):
    for seed in (1, 2):
        put(browser, "random seed", seed)
    counts = [function.experimental_get_tracing_count() for function in (ascent._step, ascent._steps)]
    for seed in range(3, 8):
        put(browser, "random seed", seed)
        press(browser, "next map")
    assert [function.experimental_get_tracing_count() for function in (ascent._step, ascent._steps)] == counts


def test_an_unexpected_error_is_shown_and_the_next_wish_answered(browser, monkeypatch):
    monkeypatch.setattr(module, "create_oips", lambda *given, **named: 1 / 0)
    put(browser, "random seed", 8)
    assert "ZeroDivisionError: division by zero" in status(browser) and "in make" in status(browser)
    monkeypatch.undo()
    put(browser, "random seed", 9)
    assert status(browser) == "all 40 maps of second made"


def test_two_browsers_do_not_mix(shared_cnn):
    first, second = zoo_browser(shared_cnn, "second"), zoo_browser(tiny_cnn(seed=6, maps=7), "first")
    assert wait_until_idle()
    assert status(first) == "all 40 maps of second made" and status(second) == "all 4 maps of first made"
    open_map(second, 2)
    assert "map 0 :" in text(first) and "map 2 :" in text(second)


def test_every_control_has_a_name(browser):
    names = [name for name in names_of_controls(browser) if not name.isdigit()]
    assert all(names) and len(names) == 16 and "map 7" in [part.tooltip for part in sheet_buttons(browser)]


def test_the_browser_makes_what_layer_zoo_makes(browser, shared_cnn):
    zoo = layer_zoo(shared_cnn, "second")
    for place in (0, 17, 39):
        assert_cell_shows(browser, place, enhanced(zoo.images)[place])
