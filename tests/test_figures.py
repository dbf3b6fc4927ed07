"""Figures: what is drawn is what was given, labelled, centred where it has a sign, and left to no one to close."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers import figures
from helpers.ascent import Ascent


def random_images(n=5, size=6, channels=1, seed=0):
    return np.random.default_rng(seed).normal(size=(n, size, size, channels)).astype(np.float32)


def drawn(figure):
    """The arrays of all images of a figure, panel by panel."""
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.get_images()]


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def an_ascent(images, steps=3):
    frames = np.stack([images * (1 + step) for step in range(steps)])
    return Ascent(np.arange(steps), frames, frames.mean(axis=(2, 3, 4)))


GRID = np.arange(49.0).reshape(7, 7)
FUNCTIONS = {
    "image_grid": lambda images: figures.image_grid(images, ["a"] * len(images)),
    "evolution_strip": lambda images: figures.evolution_strip(an_ascent(images)),
    "two_renderings": lambda images: figures.two_renderings(images, ["a"] * len(images)),
    "map_sheet": lambda images: figures.map_sheet(images[..., 0].transpose(1, 2, 0)),
    "curves": lambda images: figures.curves(np.arange(6), {"a": images[0, 0, :, 0], "b": images[0, 1, :, 0]}, "x", "y"),
    "heat_map": lambda images: figures.heat_map(images[0, ..., 0], "x", "y", "value", numbers=True),
    "signed heat_map": lambda images: figures.heat_map(images[0, ..., 0], "x", "y", "value", cmap=figures.SIGNED),
    "dots_and_intervals": lambda images: figures.dots_and_intervals({"a": images[0, 0, :, 0]}, {"a": (0, -1, 1)}, "x"),
    "histogram": lambda images: figures.histogram({"a": images[0], "b": images[1]}, "x"),
    "signed_grid": lambda images: figures.signed_grid(images, ["a"] * len(images)),
    "boxed_images": lambda images: figures.boxed_images(images, [[(0, 1, 2), (-1, 2, 3)]] * len(images)),
    "zoo_sheet": lambda images: figures.zoo_sheet(images, range(len(images)), "all", columns=3),
    "stacked_bars": lambda images: figures.stacked_bars({"a": {"x": 3, "y": 1}, "b": {"y": 2}}, "maps"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale, offset", [(1, 0), (0, 0), (0, -2), (0, 3)], ids=["random", "zero", "below", "above"])
@pytest.mark.filterwarnings("error")
def test_every_figure_can_be_drawn_and_leaves_its_input_and_pyplot_alone(name, scale, offset):
    images = scale * random_images() + np.float32(offset)
    before = images.copy()
    figure = FUNCTIONS[name](images)
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    np.testing.assert_array_equal(images, before)
    assert plt.get_fignums() == []


def test_every_public_function_is_tested_here():
    public = {name for name, value in vars(figures).items() if getattr(value, "__module__", "") == figures.__name__}
    tested = {name.split()[-1] for name in FUNCTIONS}
    tested |= {"as_calculated", "enhanced", "in_colors", "largest"}  # what figures and explorers share
    assert {name for name in public if not name.startswith("_")} == tested


def test_a_grid_shows_every_image_stretched_with_its_title_and_without_ticks():
    images = random_images(5)
    figure = figures.image_grid(images, list("abcde"), columns=3)
    assert len(figure.axes) == 6 and titles(figure) == list("abcde")
    assert not any(axes.axison for axes in figure.axes)
    for image, panel in zip(images, drawn(figure), strict=True):
        np.testing.assert_allclose(panel, (image[..., 0] - image.min()) / np.ptp(image), atol=1e-6)


def test_a_grid_with_limits_shows_the_values_themselves_on_one_scale():
    images = random_images(3)
    figure = figures.image_grid(images, limits=(-2, 3))
    np.testing.assert_array_equal(drawn(figure), images[..., 0])
    assert {image.get_clim() for axes in figure.axes for image in axes.get_images()} == {(-2, 3)}


def test_titles_may_be_numbers():
    assert titles(figures.image_grid(random_images(3), np.array([7, 2, 1]))) == ["7", "2", "1"]


def test_a_color_image_stays_colored():
    images = random_images(2, channels=3)
    assert [panel.shape for panel in drawn(figures.image_grid(images))] == [(6, 6, 3)] * 2


def test_a_strip_tells_step_and_value_of_every_frame():
    ascent = an_ascent(random_images(4), steps=3)
    figure = figures.evolution_strip(ascent, index=2)
    assert titles(figure) == [f"step {step}\n{ascent.values[step, 2]:.3g}" for step in range(3)]
    assert len(drawn(figure)) == 3


def test_two_renderings_show_the_same_images_plain_and_strong():
    figure = figures.two_renderings(random_images(3), list("abc"))
    panels = drawn(figure)
    assert len(panels) == 6 and titles(figure) == list("abc")
    for plain, strong in zip(panels[:3], panels[3:]):
        order = np.argsort(plain, axis=None)
        assert (np.diff(strong.ravel()[order]) >= 0).all()  # brighter stays brighter


def test_a_map_sheet_shows_all_maps_with_their_indices_on_one_scale_with_a_color_bar():
    maps = np.abs(random_images(1, channels=7))[0] * np.arange(1, 8)
    figure = figures.map_sheet(maps, columns=4)
    panels = [axes.get_images()[0] for axes in figure.axes[:7]]
    np.testing.assert_array_equal([panel.get_array() for panel in panels], maps.transpose(2, 0, 1))
    assert titles(figure) == [str(index) for index in range(7)]
    assert {panel.get_clim() for panel in panels} == {(0, maps.max())}
    assert figure.axes[-1].get_ylabel() == "activation"


def test_curves_draw_the_values_with_labels_and_different_lines():
    series = {"one": np.array([1.0, 3, 2]), "two": np.array([0.0, 1, 5])}
    axes = figures.curves(np.arange(3), series, "step", "value").axes[0]
    for line, values in zip(axes.get_lines(), series.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert len({line.get_linestyle() for line in axes.get_lines()}) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "value")


def test_curves_may_each_have_their_own_x():
    axes = figures.curves({"one": [0, 9], "two": [1, 2]}, {"one": [5, 6], "two": [7, 8]}, "step", "value").axes[0]
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[0, 9], [1, 2]]


def test_a_heat_map_draws_the_matrix_with_labels_and_its_numbers():
    figure = figures.heat_map(GRID[:2, :3], "digit", "map", "activation", numbers=True)
    np.testing.assert_array_equal(drawn(figure)[0], GRID[:2, :3])
    assert texts(figure.axes[0]) == ["0", "1", "2", "7", "8", "9"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("digit", "map")
    assert figure.axes[1].get_ylabel() == "activation"


@pytest.mark.parametrize("values", [GRID - 40, np.zeros((2, 3)), np.full((2, 2), -4.0)])
def test_signed_colors_are_white_at_zero(values):
    images = values[np.newaxis, ..., np.newaxis]
    for figure in (figures.heat_map(values, "", "", "", cmap=figures.SIGNED), figures.signed_grid(images)):
        image = figure.axes[0].get_images()[0]
        low, high = image.get_clim()
        assert low == -high and low < 0
        assert min(image.to_rgba(np.zeros((1, 1)))[0, 0]) > 0.95


def test_a_histogram_counts_every_value_of_every_group():
    axes = figures.histogram({"a": np.arange(10), "b": np.arange(4)}, "length", bins=5).axes[0]
    assert [sum(bar.get_height() for bar in group) for group in axes.containers] == [10, 4]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length", "count")


def test_dots_and_intervals_show_every_value_in_the_row_of_its_name():
    groups, intervals = {"one": [1.0, 2, 4], "other": [3.0]}, {"one": (2.3, -1.5, 6.1, 3)}
    axes = figures.dots_and_intervals(groups, intervals, "height").axes[0]
    dots, bar, mean, single = axes.get_lines()
    np.testing.assert_array_equal(dots.get_xdata(), [1, 2, 4]), np.testing.assert_array_equal(single.get_xdata(), [3])
    np.testing.assert_array_equal(bar.get_xdata(), [-1.5, 6.1]), np.testing.assert_array_equal(mean.get_xdata(), [2.3])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one (3)", "other (1)"]
    assert dots.get_ydata()[0] < bar.get_ydata()[0] < single.get_ydata()[0] and axes.get_xlabel() == "height"


def test_a_signed_grid_shows_the_values_themselves_on_one_scale_with_a_color_bar():
    images = random_images(3)
    figure = figures.signed_grid(images, list("abc"))
    panels = [axes.get_images()[0] for axes in figure.axes[:3]]
    np.testing.assert_array_equal([panel.get_array() for panel in panels], images[..., 0])
    assert {panel.get_clim() for panel in panels} == {(-np.abs(images).max(), np.abs(images).max())}
    assert titles(figure) == list("abc") and len(figure.axes) == 4


def test_a_square_encloses_exactly_its_pixels():
    figure = figures.boxed_images(random_images(2), [[(1, 2, 3)], [(0, 0, 6), (4, 4, 1)]], ["a", "b"])
    first, second = [axes.patches for axes in figure.axes]
    assert first[0].get_bbox().extents.tolist() == [1.5, 0.5, 4.5, 3.5]  # columns 2..4, rows 1..3
    assert [patch.get_linestyle() for patch in second] == ["-", "--"]


def test_a_zoo_sheet_shows_every_image_once_in_each_rendering_in_order_below_its_label():
    images = random_images(5, size=8)
    figure = figures.zoo_sheet(images, [3, 1, 4, 0, 2], "five", columns=3)
    (axes,), (sheet,) = figure.axes, drawn(figure)
    placed = {text.get_text(): text.get_position() for text in axes.texts}
    for place, label in enumerate("31402"):
        x, y = placed[label]
        row, column = int(y) + 2, int(x + 0.5) - 4
        for line, rendering in enumerate((figures.as_calculated, figures.enhanced)):
            found = sheet[row + 9 * line : row + 9 * line + 8, column : column + 8]
            np.testing.assert_allclose(found, rendering(images)[place], atol=1e-6)
    assert "five" in placed
    np.testing.assert_allclose(figure.get_size_inches() * 50, sheet.shape[1::-1])


def test_a_zoo_sheet_may_show_each_image_once_and_in_color():
    images = random_images(4, size=8, channels=3)
    once = drawn(figures.zoo_sheet(images, renderings=(figures.as_calculated,)))[0]
    twice = drawn(figures.zoo_sheet(images))[0]
    assert once.shape[2] == 3 and twice.shape[0] - once.shape[0] == 9
    np.testing.assert_allclose(figures.as_calculated(images), figures.to_display(images), atol=1e-6)


def test_stacked_bars_are_as_long_as_the_numbers_and_start_where_the_last_ends():
    figure = figures.stacked_bars({"a": {"x": 3, "y": 1}, "b": {"y": 2, "z": 5}}, "maps")
    patches = [bar for bar in figure.axes[0].patches if bar.get_width()]
    bars = {(round(bar.get_y() + 0.4), bar.get_x()): bar.get_width() for bar in patches}
    assert bars == {(0, 0): 3, (0, 3): 1, (1, 0): 2, (1, 2): 5}
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["x", "y", "z"]


def test_colors_span_the_given_range_and_what_lies_beyond_has_the_last_color():
    colored = figures.in_colors(np.array([[-5.0, 0.0], [2.0, 9.0]]), 0, 2)
    ends = figures.VIRIDIS([0.0, 1.0])[:, :3]
    np.testing.assert_allclose(colored, [[ends[0], ends[0]], [ends[1], ends[1]]], atol=1e-6)
    np.testing.assert_allclose(figures.in_colors(0.0, -1, 1, figures.SIGNED), 0.97, atol=0.02)
