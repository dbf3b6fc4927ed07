"""Figures: what is drawn is what was given, labelled, centred where it has a sign, and left to no one to close."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers import figures
from helpers.ascent import Ascent
from helpers.geometry import receptive_fields
from helpers.models import build_cnn, build_padded_cnn


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
KERNELS = np.stack([GRID[:3, :3] - 8, -GRID[2:5, 2:5]], axis=-1)
FUNCTIONS = {
    "image_grid": lambda images: figures.image_grid(images, ["a"] * len(images)),
    "evolution_strip": lambda images: figures.evolution_strip(an_ascent(images)),
    "two_renderings": lambda images: figures.two_renderings(images, ["a"] * len(images)),
    "map_sheet": lambda images: figures.map_sheet(images[..., 0].transpose(1, 2, 0)),
    "curves": lambda images: figures.curves(np.arange(6), {"a": images[0, 0, :, 0], "b": images[0, 1, :, 0]}, "x", "y"),
    "heat_map": lambda images: figures.heat_map(images[0, ..., 0], "x", "y", "value", numbers=True),
    "signed heat_map": lambda images: figures.heat_map(images[0, ..., 0], "x", "y", "value", cmap=figures.SIGNED),
    "histogram": lambda images: figures.histogram({"a": images[0], "b": images[1]}, "x"),
    "signed_grid": lambda images: figures.signed_grid(images, ["a"] * len(images)),
    "boxed_images": lambda images: figures.boxed_images(images, [[(0, 1, 2), (-1, 2, 3)]] * len(images)),
    "zoo_sheet": lambda images: figures.zoo_sheet(images, range(len(images)), "all", columns=3),
    "stacked_bars": lambda images: figures.stacked_bars({"a": {"x": 3, "y": 1}, "b": {"y": 2}}, "maps"),
    "draw_convolution": lambda images: figures.draw_convolution(images[0].repeat(2, -1), KERNELS, 1, 2, 0),
    "draw_pooling": lambda images: figures.draw_pooling(images[0, ..., 0]),
    "draw_links": lambda images: figures.draw_links(images[0, :3, :3].repeat(2, -1), [(0, 0), (1, 2)], 5),
    "draw_column": lambda images: figures.draw_column(images[0].repeat(4, -1), images[1, 2:, 2:], 1, 0, 0),
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
    tested = {name.split()[-1] for name in FUNCTIONS} | {"draw_filter_positions", "draw_cut"}
    tested |= {"as_calculated", "enhanced", "in_colors"}  # colors, shown on the sheets of zoos and explorers
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


def test_filter_positions_are_counted_as_a_loop_counts_them():
    figure = figures.draw_filter_positions(size=9, kernel=3, stride=2)
    coverage = np.zeros((9, 9), int)
    for top in range(0, 7, 2):
        for left in range(0, 7, 2):
            coverage[top : top + 3, left : left + 3] += 1
    np.testing.assert_array_equal(drawn(figure)[0], coverage)
    assert texts(figure.axes[0]) == [str(count) for count in coverage.ravel()]
    assert drawn(figure)[1].shape == (4, 4) and "4 x 4" in figure.axes[1].get_xlabel()


@pytest.mark.parametrize("size, kernel, stride", [(3, 3, 1), (5, 1, 4), (6, 2, 2), (10, 4, 3)])
def test_filter_positions_of_any_size_can_be_drawn(size, kernel, stride):
    figure = figures.draw_filter_positions(size, kernel, stride)
    figure.canvas.draw()
    assert drawn(figure)[0].sum() == kernel**2 * drawn(figure)[1].size


def test_the_value_of_a_drawn_convolution_is_that_of_keras():
    maps, bias = np.stack([GRID, GRID[::-1]], axis=-1), 3
    layer = layers.Conv2D(1, 3)
    layer.build((None, 7, 7, 2))
    layer.set_weights([KERNELS[..., None], np.array([bias])])
    expected = float(layer(maps[None])[0, 2, 4, 0])
    figure = figures.draw_convolution(maps, KERNELS, bias, row=2, column=4)
    assert figure.get_suptitle().endswith(f"= {expected:g}")
    np.testing.assert_array_equal(drawn(figure)[2], maps[2:5, 4:7, 0] * KERNELS[..., 0])
    assert figure.axes[0].patches[0].get_bbox().extents.tolist() == [3.5, 1.5, 6.5, 4.5]


@pytest.mark.parametrize("size", [2, 3])
def test_drawn_pooling_is_that_of_keras(size):
    values = np.random.default_rng(1).integers(0, 9, (7, 8)).astype(np.float32)
    figure = figures.draw_pooling(values, size)
    for panel, pool in zip(drawn(figure)[1:], (layers.MaxPooling2D, layers.AveragePooling2D), strict=True):
        np.testing.assert_allclose(panel, pool(size)(values[None, ..., None])[0, ..., 0], rtol=1e-6)
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == values.size - drawn(figure)[1].size * size**2


def test_every_node_is_linked_to_its_mask_on_every_map_and_nodes_share_their_weights():
    kernels = random_images(1, size=3, channels=2)[0]
    axes = figures.draw_links(kernels, [(0, 0), (2, 1)], size=6).axes[0]
    links = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    assert len(links) == 2 * 9 * 2
    widths = np.array([line.get_linewidth() for line in links]).reshape(2, 2, 9)  # nodes, maps, weights
    np.testing.assert_allclose(widths[0], widths[1])
    order = np.argsort(np.abs(kernels).transpose(2, 0, 1).ravel())
    assert (np.diff(widths[0].ravel()[order]) > 0).all()


def test_a_column_has_one_mask_on_every_map_below_and_one_node_above():
    below, above = np.abs(random_images(1, 8, 5))[0], np.abs(random_images(1, 6, 9))[0]
    axes = figures.draw_column(below, above, row=2, column=3, index=4).axes[0]
    assert len(axes.patches) == 5 + 1 and len(axes.collections) == 5 + 9
    for mesh, values in zip(axes.collections, [*below.transpose(2, 0, 1), *above.transpose(2, 0, 1)], strict=True):
        np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(values.shape), values)
    assert "(2, 3) of map 4" in axes.get_title()


@pytest.mark.parametrize("build, blind", [(build_cnn, 2), (build_padded_cnn, 0)])
def test_a_cut_shows_every_node_and_leaves_those_hollow_that_reach_nothing(build, blind):
    table = receptive_fields(build(0))
    axes = figures.draw_cut(table, 28).axes[0]
    rows = axes.collections[::-1]  # from the image upward
    assert [len(row.get_offsets()) for row in rows] == [28, *(one.map_size[0] for one in table)]
    hollow = [int((row.get_facecolors()[:, :3] == 1).all(axis=1).sum()) for row in rows]
    assert hollow[0] == blind and hollow[-1] == 0
    assert sum("field" in text for text in texts(axes)) == len(rows)


def test_the_bars_of_a_cut_are_as_long_as_the_fields():
    table = receptive_fields(build_cnn(0))
    bars = [line for line in figures.draw_cut(table, 28).axes[0].get_lines() if line.get_linewidth() == 5]
    lengths = [np.ptp(bar.get_xdata()) for bar in bars]
    assert sorted(lengths) == [1, 3, 4, 8, 10, 18]


def test_the_lines_of_a_cut_lead_to_the_border_nodes_of_each_mask():
    model = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(1, 3, strides=2)])
    axes = figures.draw_cut(receptive_fields(model), 9).axes[0]
    lines = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_linewidth() == 1]
    assert lines == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]]


def test_a_pooling_drawing_frames_every_tile():
    patches = figures.draw_pooling(GRID[:6, :6]).axes[0].patches
    assert sum(isinstance(patch, Rectangle) for patch in patches) == 9


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
