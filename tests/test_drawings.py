"""Drawings: the numbers drawn are those of Keras, and every node and link is where it belongs."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers import drawings
from helpers.geometry import receptive_fields
from helpers.models import build_cnn, build_padded_cnn
from tests.test_figures import GRID, drawn, random_images, texts

KERNELS = np.stack([GRID[:3, :3] - 8, -GRID[2:5, 2:5]], axis=-1)
FUNCTIONS = {
    "draw_convolution": lambda images: drawings.draw_convolution(images[0].repeat(2, -1), KERNELS, 1, 2, 0),
    "draw_pooling": lambda images: drawings.draw_pooling(images[0, ..., 0]),
    "draw_links": lambda images: drawings.draw_links(images[0, :3, :3].repeat(2, -1), [(0, 0), (1, 2)], 5),
    "draw_column": lambda images: drawings.draw_column(images[0].repeat(4, -1), images[1, 2:, 2:], 1, 0, 0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale, offset", [(1, 0), (0, 0), (0, -2), (0, 3)], ids=["random", "zero", "below", "above"])
@pytest.mark.filterwarnings("error")
def test_every_drawing_can_be_drawn_and_leaves_its_input_and_pyplot_alone(name, scale, offset):
    images = scale * random_images() + np.float32(offset)
    before = images.copy()
    figure = FUNCTIONS[name](images)
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    np.testing.assert_array_equal(images, before)
    assert plt.get_fignums() == []


def test_filter_positions_are_counted_as_a_loop_counts_them():
    figure = drawings.draw_filter_positions(size=9, kernel=3, stride=2)
    coverage = np.zeros((9, 9), int)
    for top in range(0, 7, 2):
        for left in range(0, 7, 2):
            coverage[top : top + 3, left : left + 3] += 1
    np.testing.assert_array_equal(drawn(figure)[0], coverage)
    assert texts(figure.axes[0]) == [str(count) for count in coverage.ravel()]
    assert drawn(figure)[1].shape == (4, 4) and "4 x 4" in figure.axes[1].get_xlabel()


@pytest.mark.parametrize("size, kernel, stride", [(3, 3, 1), (5, 1, 4), (6, 2, 2), (10, 4, 3)])
def test_filter_positions_of_any_size_can_be_drawn(size, kernel, stride):
    figure = drawings.draw_filter_positions(size, kernel, stride)
    figure.canvas.draw()
    assert drawn(figure)[0].sum() == kernel**2 * drawn(figure)[1].size


def test_the_value_of_a_drawn_convolution_is_that_of_keras():
    maps, bias = np.stack([GRID, GRID[::-1]], axis=-1), 3
    layer = layers.Conv2D(1, 3)
    layer.build((None, 7, 7, 2))
    layer.set_weights([KERNELS[..., None], np.array([bias])])
    expected = float(layer(maps[None])[0, 2, 4, 0])
    figure = drawings.draw_convolution(maps, KERNELS, bias, row=2, column=4)
    assert figure.get_suptitle().endswith(f"= {expected:g}")
    np.testing.assert_array_equal(drawn(figure)[2], maps[2:5, 4:7, 0] * KERNELS[..., 0])
    assert figure.axes[0].patches[0].get_bbox().extents.tolist() == [3.5, 1.5, 6.5, 4.5]


@pytest.mark.parametrize("size", [2, 3])
def test_drawn_pooling_is_that_of_keras(size):
    values = np.random.default_rng(1).integers(0, 9, (7, 8)).astype(np.float32)
    figure = drawings.draw_pooling(values, size)
    for panel, pool in zip(drawn(figure)[1:], (layers.MaxPooling2D, layers.AveragePooling2D), strict=True):
        np.testing.assert_allclose(panel, pool(size)(values[None, ..., None])[0, ..., 0], rtol=1e-6)
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == values.size - drawn(figure)[1].size * size**2


def test_every_node_is_linked_to_its_mask_on_every_map_and_nodes_share_their_weights():
    kernels = random_images(1, size=3, channels=2)[0]
    axes = drawings.draw_links(kernels, [(0, 0), (2, 1)], size=6).axes[0]
    links = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    assert len(links) == 2 * 9 * 2
    widths = np.array([line.get_linewidth() for line in links]).reshape(2, 2, 9)  # nodes, maps, weights
    np.testing.assert_allclose(widths[0], widths[1])
    order = np.argsort(np.abs(kernels).transpose(2, 0, 1).ravel())
    assert (np.diff(widths[0].ravel()[order]) > 0).all()


def test_a_column_has_one_mask_on_every_map_below_and_one_node_above():
    below, above = np.abs(random_images(1, 8, 5))[0], np.abs(random_images(1, 6, 9))[0]
    axes = drawings.draw_column(below, above, row=2, column=3, index=4).axes[0]
    assert len(axes.patches) == 5 + 1 and len(axes.collections) == 5 + 9
    for mesh, values in zip(axes.collections, [*below.transpose(2, 0, 1), *above.transpose(2, 0, 1)], strict=True):
        np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(values.shape), values)
    assert "(2, 3) of map 4" in axes.get_title()


@pytest.mark.parametrize("build, blind", [(build_cnn, 2), (build_padded_cnn, 0)])
def test_a_cut_shows_every_node_and_leaves_those_hollow_that_reach_nothing(build, blind):
    table = receptive_fields(build(0))
    axes = drawings.draw_cut(table, 28).axes[0]
    rows = axes.collections[::-1]  # from the image upward
    assert [len(row.get_offsets()) for row in rows] == [28, *(one.map_size[0] for one in table)]
    hollow = [int((row.get_facecolors()[:, :3] == 1).all(axis=1).sum()) for row in rows]
    assert hollow[0] == blind and hollow[-1] == 0
    assert sum("field" in text for text in texts(axes)) == len(rows)


def test_the_bars_of_a_cut_are_as_long_as_the_fields():
    table = receptive_fields(build_cnn(0))
    bars = [line for line in drawings.draw_cut(table, 28).axes[0].get_lines() if line.get_linewidth() == 5]
    lengths = [np.ptp(bar.get_xdata()) for bar in bars]
    assert sorted(lengths) == [1, 3, 4, 8, 10, 18]


def test_the_lines_of_a_cut_lead_to_the_border_nodes_of_each_mask():
    model = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(1, 3, strides=2)])
    axes = drawings.draw_cut(receptive_fields(model), 9).axes[0]
    lines = [line.get_xdata().tolist() for line in axes.get_lines() if line.get_linewidth() == 1]
    assert lines == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]]


def test_a_pooling_drawing_frames_every_tile():
    patches = drawings.draw_pooling(GRID[:6, :6]).axes[0].patches
    assert sum(isinstance(patch, Rectangle) for patch in patches) == 9
