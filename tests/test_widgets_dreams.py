"""The dream lab carves what its controls say, pass by pass, keeps a stopped dream, and reads photos of all kinds."""

import ast
import datetime
import io
import threading

import keras
import numpy as np
import pytest
from PIL import Image

from helpers import ascent
from helpers.activations import pre_activation_extractor
from helpers.dreams import carve
from helpers.objectives import Channels
from helpers.photos import load_photo
from helpers.widgets import dream_lab
from helpers.widgets import dreams as module
from helpers.widgets.worker import wait_until_idle
from tests.conftest import tiny_cnn
from tests.explorers import code, control, everything, images, names_of_controls, pixels, press, put, status, text

MAPS = 6
TOGETHER = [("dream in", "tiles"), ("map(s)", "1, 4"), ("epochs (steps)", 3)]


def seeing_cnn(channels=1, end="dense"):
    """A random CNN: images (28, 28, channels) -> conv -> pool -> conv `MAPS` -> dense 3."""
    start = [keras.initializers.HeNormal(seed=layer) for layer in range(3)]
    layers = [
        keras.Input((28, 28, channels)),
        keras.layers.Conv2D(3, 3, activation="relu", kernel_initializer=start[0], name="first"),
        keras.layers.MaxPooling2D(2, name="pool"),
        keras.layers.Conv2D(MAPS, 3, activation="relu", kernel_initializer=start[1], name="second"),
    ]
    if end == "dense":
        layers += [keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer=start[2])]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def model():
    return seeing_cnn()


@pytest.fixture
def lab(model):
    """A lab with a small photo and short passes, idle."""
    explorer = dream_lab(model)
    control(explorer, "photo size").value = 280
    put(explorer, "epochs (steps)", 4)
    return explorer


def after(explorer):
    return images(explorer)[1]


def shown_by_the_call(explorer, model):
    """The picture 0..255 that the lab's Python call shows."""
    space = {"model": model}
    exec(code(explorer), space)
    pictures = ast.parse(code(explorer)).body[-1].value.args[0]  # what it gives to image_grid
    return np.round(255 * eval(ast.unparse(pictures), space)[0])


def assert_the_call_makes_the_picture(explorer, model):
    shown = pixels(after(explorer)).astype(float)
    assert np.abs(shown - shown_by_the_call(explorer, model)).max() <= 1


def upload(explorer, name, content):
    """Give the lab a file, as the browser does."""
    (button,) = [part for part in everything(explorer) if type(part).__name__ == "FileUpload"]
    button.value = ({"name": name, "type": "", "size": len(content), "content": memoryview(content),
                     "last_modified": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)},)  # fmt: skip
    assert wait_until_idle()


def png_file(height=300, width=400, seed=0):
    """The content of a PNG file with colored blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def hidden(explorer):
    return {part.description for part in everything(explorer)
            if getattr(part, "description", "") and getattr(part.layout, "display", None) == "none"}


def stop_at_block(explorer, monkeypatch, number):
    """Let Stop be pressed as the engine begins a block of steps, counted from now on."""
    advance, begun = ascent._advance, []

    def watched(*arguments):
        begun.append(1)
        if len(begun) == number:
            control(explorer, "Stop").click()
        return advance(*arguments)

    monkeypatch.setattr(ascent, "_advance", watched)


# ---------------------------------------------------------------- what is shown


def test_it_opens_with_the_flower_and_four_passes_of_the_articles_steps(model):
    explorer = dream_lab(model)
    assert wait_until_idle()
    assert status(explorer).startswith("4 passes of 30 steps, map 5 of second: mean change ")
    before, dream, _ = (pixels(picture) for picture in images(explorer))
    photo = load_photo(size=560)
    np.testing.assert_array_equal(before, np.round(255 * photo))
    objective = Channels(pre_activation_extractor(model, "second"), [5], leak=0.1)
    *_, expected = carve(objective, photo, 4, np.full(30, 0.01), precondition=ascent.soften)
    assert np.abs(dream - np.round(255 * expected)).max() <= 1
    assert "before: a flower" in text(explorer) and "after: the dream" in text(explorer)
    assert "A file over 9 MB never arrives" in text(explorer)


def test_the_status_tells_the_mean_change_in_percent(lab):
    before, dream = (pixels(picture).astype(float) for picture in images(lab)[:2])
    told = float(status(lab).split("mean change ")[1].split("%")[0])
    assert told == pytest.approx(np.abs(dream - before).mean() / 2.55, abs=0.1) and told > 0.3


def test_the_picture_and_the_progress_grow_with_every_pass(lab):
    seen, told, done = [], [], []
    first, dream, strip = (part for part in everything(lab) if type(part).__name__ == "Image")
    (bar,) = [part for part in everything(lab) if type(part).__name__ == "IntProgress"]
    dream.observe(lambda change: (seen.append(bytes(change["new"])), told.append(status(lab))), "value")
    bar.observe(lambda change: done.append(change["new"]), "value")
    put(lab, "passes", 5)
    assert len(set(seen)) == 5 and done == [0, 1, 2, 3, 4, 5] and bar.max == 5
    assert [sentence.split(" of ")[0] for sentence in told] == ["pass 1", "pass 2", "pass 3", "pass 4", "pass 5"]
    photo = pixels(first.value)
    changes = [np.abs(pixels(one).astype(float) - photo).mean() for one in seen]
    assert (np.diff(changes) > 0).all(), "each pass goes further away from the photo"


def test_the_strip_goes_from_the_photo_to_the_last_pass(lab):
    every_second = ["photo", *(f"pass {number}" for number in range(2, 11, 2))]
    for passes, labels in ((1, ["photo", "pass 1"]), (10, every_second)):
        put(lab, "passes", passes)
        (shown,) = [part.value for part in everything(lab) if "explorer-strip" in str(getattr(part, "value", ""))
                    and not part.value.startswith("<style>")]
        assert [label.split("<")[0] for label in shown.split("<span>")[1:]] == labels
        strip = pixels(images(lab)[2]).astype(float)
        cell = strip.shape[1] // len(labels)
        ends = strip[1:-1, 1 : cell - 1, :3], strip[1:-1, -cell + 1 : -1, :3]
        for shown, picture in zip(ends, images(lab)[:2], strict=True):
            small = np.asarray(Image.fromarray(pixels(picture)).resize(shown.shape[1::-1], Image.Resampling.BOX))
            assert np.corrcoef(shown.ravel(), small.ravel())[0, 1] > 0.98


def test_the_grids_of_a_cascade_are_named_in_the_strip(lab):
    put(lab, "passes", 1)
    put(lab, "dream in", "cascade of tiles")
    for label in ("photo", "1 x 1, pass 1", "2 x 2, pass 1", "4 x 4, pass 1", "8 x 8, pass 1"):
        assert label in text(lab)


# ---------------------------------------------------------------- every control, and the Python call


@pytest.mark.parametrize("settings", [
    [("layer", "first")], [("map(s)", "2")], [("map(s)", "2, 4,0")], [("map(s)", " 1; 3 5 ")],
    [("passes", 2)], [("epochs (steps)", 9)], [("epsilon (step size)", 0.1)], [("strength", 0.3)],
    [("softened: strokes instead of speckle", False)], [("colors", "dream red, green, blue")],
    [("map(s)", "0, 1, 2"), ("colors", "dream red, green, blue")], [("contrast", 0.8)], [("photo size", 560)],
    [("dream in", "whole, then quadrants")], [("dream in", "tiles")], [("dream in", "tiles"), ("tiles per edge", 3)],
    [("dream in", "cascade of tiles"), ("passes in each", 1)], [("dream in", "octaves")],
    [*TOGETHER, ("each tile climbs", "a random map each")],
    [*TOGETHER, ("each tile climbs", "a random map each"), ("random seed", 5)],
    [*TOGETHER, ("each tile climbs", "the map it answers to most"), ("contrast", 1.2)],
    [("dream in", "octaves"), ("map(s)", "0, 3"), ("octaves", 2), ("strength", 2.5)],
], ids=str)  # fmt: skip
def test_every_control_changes_the_picture_and_the_call_makes_exactly_that_one(lab, model, settings):
    *earlier, last = settings
    for name, value in earlier:
        put(lab, name, value)
    before = after(lab)
    put(lab, *last)
    assert after(lab) != before
    assert_the_call_makes_the_picture(lab, model)


def test_only_the_controls_that_a_scheme_heeds_are_shown(lab):
    assert hidden(lab) == {"tiles per edge", "each tile climbs", "random seed"}
    put(lab, "passes", 1)
    for scheme, unheeded in {
        "tiles": {"colors", "random seed"},
        "whole, then quadrants": {"colors", "random seed", "tiles per edge"},
        "cascade of tiles": {"colors", "random seed", "tiles per edge"},
        "octaves": {"colors", "random seed", "tiles per edge", "each tile climbs"},
    }.items():
        put(lab, "dream in", scheme)
        assert hidden(lab) == unheeded
    put(lab, "dream in", "tiles")
    for aim, disabled, shown in (("the maps, in turn", False, False), ("a random map each", True, True),
                                 ("the map it answers to most", True, False)):  # fmt: skip
        put(lab, "each tile climbs", aim)
        assert control(lab, "map(s)").disabled is disabled
        assert ("random seed" not in hidden(lab)) is shown
    assert control(lab, "roll the dice").disabled
    put(lab, "dream in", "the whole photo")
    assert not control(lab, "map(s)").disabled and not control(lab, "roll the dice").disabled


def test_a_small_photo_allows_fewer_tiles_and_octaves(lab):
    put(lab, "passes", 10)
    put(lab, "dream in", "tiles")
    assert control(lab, "tiles per edge").max == 10
    put(lab, "dream in", "octaves")
    assert control(lab, "octaves").value == control(lab, "octaves").max == 7
    assert status(lab).startswith("7 octaves of 4 steps")


@pytest.mark.parametrize("size, octaves", [(280, 7), (560, 9), (1120, 10)])
def test_there_are_octaves_as_long_as_the_network_can_see_them_but_at_most_ten(size, octaves):
    assert module.most_octaves(size) == octaves
    assert round(size / 1.4 ** (octaves - 1)) >= 28 and (octaves == 10 or round(size / 1.4**octaves) < 28)


@pytest.mark.parametrize("words, sentence", [
    ("5, x7", "'x7' is no map index; give numbers from 0 to 5, such as 3, 1"),
    ("1.5", "'1.5' is no map index; give numbers from 0 to 5, such as 3, 1"),
    ("3, 6", "map 6 does not exist: second has 0 to 5"),
    ("-1", "map -1 does not exist: second has 0 to 5"),
    ("9" * 5000, f"map {'9' * 40} does not exist: second has 0 to 5"),
    (" , ", "no map is named; give a number from 0 to 5, or several with commas between them"),
    ("1 " * 13, "13 maps are too many at once; name up to 12"),
])  # fmt: skip
def test_what_is_no_list_of_maps_is_refused_in_one_sentence_and_the_picture_stays(lab, words, sentence):
    before = images(lab)
    put(lab, "map(s)", words)
    assert status(lab) == sentence and images(lab) == before
    put(lab, "map(s)", "0")
    assert "map 0 of second" in status(lab)


def test_each_color_needs_one_map_or_three(lab):
    put(lab, "map(s)", "1, 2")
    put(lab, "colors", "dream red, green, blue")
    assert status(lab) == "2 maps are named; to dream each color name 3, one for each, or 1 for all"
    put(lab, "dream in", "octaves")
    assert "maps 1, 2 of second" in status(lab), "colors count for the whole photo only"


def test_dreaming_each_color_changes_the_colors_and_keeping_them_does_not(lab):
    def changes():
        before, dream = (pixels(picture).astype(float) for picture in images(lab)[:2])
        inside = (dream > 0).all(axis=-1) & (dream < 255).all(axis=-1)  # nothing clipped
        return np.ptp((dream - before)[inside], axis=-1).mean()

    assert changes() < 1
    put(lab, "map(s)", "0, 1, 2")
    put(lab, "colors", "dream red, green, blue")
    assert changes() > 2


def test_another_layer_keeps_the_maps_within_what_it_has(lab):
    put(lab, "map(s)", "5, 1")
    put(lab, "layer", "first")
    assert control(lab, "map(s)").value == "2, 1"
    assert "maps 2, 1 of first" in status(lab)


def test_the_dice_roll_a_map_or_a_seed(lab):
    rolled = set()
    for _ in range(12):
        press(lab, "roll the dice")
        rolled.add(int(control(lab, "map(s)").value))
    assert len(rolled) > 1 and rolled <= set(range(MAPS))
    put(lab, "dream in", "tiles")
    put(lab, "each tile climbs", "a random map each")
    press(lab, "roll the dice")
    assert control(lab, "random seed").value > 0


def test_the_contrast_alone_dreams_nothing_anew_and_leaves_the_photo_beside_it(lab, monkeypatch):
    before = images(lab)
    monkeypatch.setattr(module, "dreams_of", None)
    put(lab, "contrast", 0.8)
    assert images(lab)[0] == before[0] and images(lab)[1] != before[1]
    put(lab, "contrast", 0.0)
    assert images(lab) == before


def test_without_strength_nothing_changes_and_the_lab_says_why(lab):
    put(lab, "strength", 0.0)
    assert "nothing changed, since the strength is 0" in status(lab)
    assert after(lab) == images(lab)[0]


# ---------------------------------------------------------------- Stop, and who comes last


@pytest.mark.parametrize("scheme, block, sentence", [
    ("the whole photo", 5, "stopped after 2 of 4 passes"),
    ("the whole photo", 1, "stopped after 0 of 4 passes"),
    ("cascade of tiles", 32, "stopped after 3 of 8 passes"),
    ("octaves", 8, "of 4 octaves"),
])  # fmt: skip
def test_stop_within_a_pass_keeps_the_passes_before_and_the_call_makes_them(lab, model, monkeypatch, scheme, block,
                                                                            sentence):
    if scheme == "cascade of tiles":
        put(lab, "passes", 2)
    put(lab, "dream in", scheme)
    with monkeypatch.context() as patch:
        stop_at_block(lab, patch, block)
        put(lab, "epochs (steps)", 20)
    assert status(lab).startswith("stopped after ") and sentence in status(lab)
    assert_the_call_makes_the_picture(lab, model)
    stopped = after(lab)
    put(lab, "contrast", 0.8)
    assert sentence in status(lab), "another contrast goes with what there is"
    put(lab, "contrast", 0.0)
    assert after(lab) == stopped
    put(lab, "epsilon (step size)", 0.1)
    assert "stopped" not in status(lab)


def test_stop_between_two_passes_keeps_what_was_made(lab, model):
    (bar,) = [part for part in everything(lab) if type(part).__name__ == "IntProgress"]
    bar.observe(lambda change: change["new"] == 2 and control(lab, "Stop").click(), "value")
    put(lab, "map(s)", "3")
    assert status(lab).startswith("stopped after 2 of 4 passes, map 3")
    assert_the_call_makes_the_picture(lab, model)


def test_of_many_wishes_the_last_is_painted_and_no_older_one_after_it(lab):
    seen = []
    for index in [0, 1, 2, 3] * 5:
        control(lab, "map(s)").value = str(index)
    (strip,) = [part for part in everything(lab) if type(part).__name__ == "Image"][2:]
    strip.observe(lambda change: seen.append(status(lab)), "value")
    assert wait_until_idle()
    assert "map 3 of second" in status(lab) and len(seen) <= 2, "at most one that was being painted, and the last"


def test_wishes_from_another_thread_are_answered_as_well(lab):
    thread = threading.Thread(target=lambda: setattr(control(lab, "map(s)"), "value", "4"))
    thread.start(), thread.join()
    assert wait_until_idle() and "map 4 of second" in status(lab)


def test_two_labs_of_one_network_do_not_disturb_each_other(lab, model):
    other = dream_lab(model)
    control(lab, "map(s)").value, control(other, "map(s)").value = "1", "2"
    assert wait_until_idle()
    assert "map 1 of second" in status(lab) and "map 2 of second" in status(other)
    assert_the_call_makes_the_picture(lab, model)


@pytest.mark.parametrize("scheme", ["the whole photo", "tiles", "octaves"])
def test_moves_compile_nothing_anew(lab, scheme):
    def traces():
        return [step.experimental_get_tracing_count() for step in (ascent._steps, ascent._step)]

    put(lab, "dream in", scheme)
    before = traces()
    put(lab, "octaves" if scheme == "octaves" else "passes", 2)
    for index in range(12):
        put(lab, "map(s)", str(index % MAPS))
        put(lab, "epsilon (step size)", 0.01 + 0.001 * index)
        put(lab, "strength", index / 10)
    assert traces() == before


# ---------------------------------------------------------------- photos and files


def test_a_photo_of_ones_own_is_dreamt_and_the_call_reads_it_by_its_name(lab, model, tmp_path, monkeypatch):
    flower = images(lab)
    name = "it's <mine>.png"
    upload(lab, name, png_file())
    np.testing.assert_array_equal(pixels(images(lab)[0]), np.round(255 * load_photo(png_file(), 280)))
    assert f"before: {name}" in text(lab) and after(lab) != flower[1]
    (tmp_path / name).write_bytes(png_file())
    monkeypatch.chdir(tmp_path)
    assert_the_call_makes_the_picture(lab, model)
    upload(lab, name, png_file(seed=1))
    np.testing.assert_array_equal(pixels(images(lab)[0]), np.round(255 * load_photo(png_file(seed=1), 280)))
    press(lab, "the flower again")
    assert images(lab) == flower and "before: a flower" in text(lab)


@pytest.mark.parametrize("content, reason", [
    (b"dear diary", "'notes.jpg' holds no picture; give a JPEG, PNG, WebP or GIF file"),
    (b"", "'notes.jpg' holds no picture"),
    (png_file()[:500], "'notes.jpg' is damaged or cut off"),
])  # fmt: skip
def test_a_file_that_is_no_photo_is_refused_in_one_sentence_and_the_next_one_is_read(lab, content, reason):
    before = images(lab)
    upload(lab, "notes.jpg", content)
    assert status(lab).startswith(reason) and "Error" not in status(lab)
    assert images(lab) == before
    upload(lab, "good.png", png_file())
    assert "mean change" in status(lab) and "before: good.png" in text(lab)


def test_a_photo_without_any_contrast_stays_as_it_is(lab):
    file = io.BytesIO()
    Image.new("L", (50, 60), 90).save(file, "PNG")
    upload(lab, "even.png", file.getvalue())
    assert "mean change 0.0%" in status(lab) and after(lab) == images(lab)[0]


def test_pictures_and_films_are_saved_under_names_that_are_free(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for button in ("save PNG", "save PNG", "save GIF"):
        press(lab, button)
    assert status(lab).startswith("saved as dream_map_5.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dream_map_5.gif", "dream_map_5.png",
                                                                "dream_map_5_2.png"]
    np.testing.assert_array_equal(pixels((tmp_path / "dream_map_5_2.png").read_bytes()), pixels(after(lab)))
    film = Image.open(tmp_path / "dream_map_5.gif")
    assert (film.n_frames, film.size) == (8, (280, 280)), "the photo, four passes, and the way back"
    assert np.abs(np.asarray(film.convert("RGB")).astype(float) - pixels(images(lab)[0])).mean() < 12
    film.seek(4)
    assert np.abs(np.asarray(film.convert("RGB")).astype(float) - pixels(after(lab))).mean() < 12


def test_saving_shows_the_contrast_and_names_maps_that_were_drawn_by_lot(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(lab, "contrast", 0.8)
    put(lab, "passes", 1)
    for name, value in (*TOGETHER, ("each tile climbs", "a random map each")):
        put(lab, name, value)
    press(lab, "save PNG")
    np.testing.assert_array_equal(pixels((tmp_path / "dream_random_maps.png").read_bytes()), pixels(after(lab)))
    put(lab, "each tile climbs", "the map it answers to most")
    press(lab, "save GIF")
    assert (tmp_path / "dream_strongest_maps.gif").exists()


def test_what_cannot_be_saved_is_said_in_one_sentence(lab, monkeypatch):
    def full(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(module, "save_picture", full)
    press(lab, "save PNG")
    assert status(lab) == "the disk is full"


# ---------------------------------------------------------------- networks


def test_a_network_for_another_size_dreams_octaves_only():
    tiny = tiny_cnn()
    explorer = dream_lab(tiny)
    control(explorer, "epochs (steps)").value = 2
    put(explorer, "photo size", 280)
    assert control(explorer, "dream in").options == ("octaves",)
    assert status(explorer).startswith("4 octaves of 2 steps, map 4 of second")
    assert_the_call_makes_the_picture(explorer, tiny)


def test_a_network_for_images_of_any_size_dreams_in_every_way():
    network = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(3, 3, name="only")])
    explorer = dream_lab(network)
    put(explorer, "photo size", 280)
    put(explorer, "epochs (steps)", 2)
    for scheme in module.SCHEMES:
        put(explorer, "dream in", scheme)
        assert "map 2 of only" in status(explorer)


@pytest.mark.parametrize("network, sentence", [
    (lambda: seeing_cnn(channels=3), "sees images of 3 channels; give it a model that sees 1"),
    (lambda: keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]), "has no Conv2D layer"),
    (lambda: keras.Sequential([keras.layers.Conv2D(3, 3)]), "does not know its input yet"),
    (lambda: keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(3, 3), keras.layers.PReLU()]),
     "knows the size of its images"),
])  # fmt: skip
def test_a_network_that_cannot_dream_is_refused(network, sentence):
    with pytest.raises(ValueError, match=sentence):
        dream_lab(network())


def test_a_network_with_branches_dreams_in_octaves_where_they_meet_and_is_told_so_where_they_do_not():
    images_in = keras.Input((28, 28, 1))
    branches = [keras.layers.Conv2D(2, 3, padding="same")(images_in) for _ in range(2)]
    together, apart = keras.layers.Concatenate()(branches), [keras.layers.Flatten()(branch) for branch in branches]
    for output, told in ((together, "mean change"), (keras.layers.Concatenate()(apart), "end in several places")):
        explorer = dream_lab(keras.Model(images_in, output))
        put(explorer, "photo size", 280)
        assert "mean change" in status(explorer)
        put(explorer, "dream in", "octaves")
        assert told in status(explorer)


def test_octaves_share_one_trunk_that_follows_the_training():
    network = seeing_cnn()
    trunk = module.trunk_of(network)
    network.get_layer("second").set_weights([2 * weight + 1 for weight in network.get_layer("second").get_weights()])
    assert module.trunk_of(network) is trunk
    for own, given in zip(trunk.get_layer("second").get_weights(), network.get_layer("second").get_weights()):
        np.testing.assert_array_equal(own, given)


def test_every_control_has_a_name(lab):
    assert [name for name in names_of_controls(lab) if not name] == [""], "the bar of the progress alone has none"
