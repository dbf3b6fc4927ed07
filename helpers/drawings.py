"""The drawings of notebook 01: how a convolution, a pooling and a whole column of layers work. Knows nothing of models.

Each returns a matplotlib `Figure` of real numbers that were given to it, and never touches pyplot.
"""

from itertools import compress, product

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, ConnectionPatch, Rectangle

from helpers.figures import COLORS, LINES, SIGNED, WIDTH, largest


def draw_filter_positions(size, kernel, stride):
    """Return how a mask moves over a square grid, and the map it makes (figure I-1, notebook 01).

    The number in a cell says how many positions of the mask cover it; two neighboring positions are outlined,
    and so are the two nodes they make.
    """
    nodes = (size - kernel) // stride + 1
    coverage = np.zeros((size, size), int)
    for row, column in product(stride * np.arange(nodes), repeat=2):
        coverage[row : row + kernel, column : column + kernel] += 1
    figure = Figure(figsize=(WIDTH, 5.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, rect=(0, 0, 1, 0.9))
    left, right = figure.subplots(1, 2, width_ratios=(size, 0.8 * size))
    _cells(left, coverage, "Greys", (0, 2 * coverage.max()))
    _cells(right, np.zeros((nodes, nodes)), "Greys", (0, 1), numbers="")
    left.set_xlabel(f"{size} x {size} nodes, mask {kernel} x {kernel}, stride {stride}", fontsize=10)
    right.set_xlabel(f"feature map, {nodes} x {nodes} nodes", fontsize=10)
    for node, color, line in zip(range(min(2, nodes)), COLORS, LINES):
        edge = {"edgecolor": color, "linestyle": line, "linewidth": 3, "fill": False}
        inset = 0.06 + 0.1 * node
        corner = stride * node - 0.5 + inset, inset - 0.5
        left.add_patch(Rectangle(corner, kernel - 2 * inset, kernel - 2 * inset, **edge))
        right.add_patch(Rectangle((node - 0.44, -0.44), 0.88, 0.88, **edge))
        start, end = (stride * node + kernel / 2 - 0.5, -0.4), (node, -0.44)
        arrow = ConnectionPatch(start, end, left.transData, right.transData, arrowstyle="-|>", color=color,
                                connectionstyle="arc3,rad=-0.2", linestyle=line, linewidth=1.6)
        figure.add_artist(arrow)
    return figure


def draw_convolution(maps, kernels, bias, row, column):
    """Return, number by number, how one node comes about from several maps below it (figure I-4, notebook 01).

    `maps` and `kernels` are `(height, width, maps)`; the mask lies at (row, column). The last title holds the
    node's value.
    """
    size, count = len(kernels), maps.shape[-1]
    patches = maps[row : row + size, column : column + size]
    sums = (patches * kernels).sum(axis=(0, 1))
    total = " ".join(f"{value:+g}" for value in sums)
    figure = Figure(figsize=(WIDTH, 2.75 * count + 0.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, wspace=0.06)
    for index, panels in enumerate(figure.subplots(count, 3, squeeze=False, width_ratios=(len(maps), size, size))):
        top = largest(kernels), largest(patches * kernels)
        _cells(panels[0], maps[..., index], "Greys", (0, 2 * max(maps.max(), 1)))
        _cells(panels[1], kernels[..., index], SIGNED, (-1.6 * top[0], 1.6 * top[0]), sign="+")
        _cells(panels[2], patches[..., index] * kernels[..., index], SIGNED, (-1.6 * top[1], 1.6 * top[1]), sign="+")
        edge = {"edgecolor": COLORS[0], "linewidth": 3, "fill": False}
        panels[0].add_patch(Rectangle((column - 0.5, row - 0.5), size, size, **edge))
        panels[0].set_title(f"map {index} below", fontsize=10)
        panels[1].set_title(f"times its kernel {index}", fontsize=10)
        panels[2].set_title(f"products, sum {sums[index]:+g}", fontsize=10)
    figure.suptitle(f"node ({row}, {column}) = {total} {bias:+g} (bias) = {sums.sum() + bias:g}", fontsize=12)
    return figure


def draw_pooling(values, size=2):
    """Return a map in tiles, beside it the largest and the mean value of each tile (figure I-6, notebook 01).

    Rows and columns that fill no tile are hatched: pooling drops them.
    """
    rows, columns = (length // size for length in values.shape)
    tiles = values[: rows * size, : columns * size].reshape(rows, size, columns, size).swapaxes(1, 2)
    limits = (min(0, values.min()), 1.6 * largest(values))
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    left, *others = figure.subplots(1, 3, width_ratios=(1.6, 1, 1))
    _cells(left, values, "Greys", limits)
    for row, column in product(range(rows), range(columns)):
        odd = (row + column) % 2
        edge = {"edgecolor": COLORS[odd], "linestyle": LINES[odd], "linewidth": 2, "fill": False}
        left.add_patch(Rectangle((column * size - 0.44, row * size - 0.44), *2 * [size - 0.12], **edge))
        high, across = np.unravel_index(tiles[row, column].argmax(), (size, size))
        left.add_patch(Circle((column * size + across, row * size + high), 0.36, fill=False, edgecolor="k"))
        for axes in others:
            axes.add_patch(Rectangle((column - 0.44, row - 0.44), 0.88, 0.88, **edge))
    for row, column in product(*map(range, values.shape)):
        if row >= rows * size or column >= columns * size:
            left.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="//", edgecolor="k", alpha=0.5))
    left.set_title(f"map in tiles of {size} x {size}, largest value circled", fontsize=10)
    for axes, (name, pooled) in zip(others, {"max": tiles.max((2, 3)), "mean": tiles.mean((2, 3))}.items()):
        _cells(axes, pooled, "Greys", limits)
        axes.set_title(f"{name} pooling", fontsize=10)
    return figure


def draw_links(kernels, nodes, size):
    """Return nodes of one map and the masks they read on all maps of the layer below, with all weights (notebook 01).

    `kernels (height, width, maps)`; every link has the color and the width of its weight, so one sees that all
    `nodes`, (row, column) of the map above, use the same kernels.
    """
    kernel, _, count = kernels.shape
    top, above = largest(kernels), size - kernel + 1
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    axes = figure.subplots()
    offsets = [(1.45 * size * index, 0) for index in range(count)]
    summit = (1.45 * (size * count - above) / 2 - 0.35 * size, 1.0 * size)
    for index, offset in enumerate(offsets):
        _sheet_of_nodes(axes, size, offset, f"map {index}, {size} x {size} nodes")
    _sheet_of_nodes(axes, above, summit, "")
    axes.text(summit[0] + above, summit[1], f"one map above,\n{above} x {above} nodes", va="top", fontsize=10)
    for place, (row, column) in enumerate(nodes):
        end = _slanted(row, column, summit)
        for index, offset in enumerate(offsets):
            for down, right in product(range(kernel), range(kernel)):
                weight, start = kernels[down, right, index], _slanted(row + down, column + right, offset)
                color, line = {1: ("firebrick", "-"), -1: ("royalblue", "--"), 0: ("0.5", ":")}[int(np.sign(weight))]
                axes.plot(*zip(start, end), line, color=color, linewidth=0.5 + 2.3 * abs(weight) / top, zorder=2)
                axes.plot(*start, "so"[place % 2], color="k", markersize=5, zorder=3)
                axes.text(start[0] + 0.14, start[1] - 0.1, f"{weight:g}", color=color, fontsize=9, va="top", zorder=4)
        axes.plot(*end, "so"[place % 2], color="k", markersize=9, zorder=4)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


def draw_column(below, above, row, column, index, size=3):
    """Return the column of masks through all maps below that feeds one node above (figures I-3 and I-5).

    `below` and `above` are the maps of two layers, `(height, width, maps)`, drawn as sheets on end; the node is
    (row, column) of map `index`. Introduced in notebook 01.
    """
    figure = Figure(figsize=(WIDTH, 4.1), layout="constrained")
    axes = figure.subplots()
    counts, starts = (below.shape[-1], above.shape[-1]), (0.0, 1.75)
    for maps, start, count in zip((below, above), starts, counts):
        for place in range(count):
            x, y = _upright(*maps.shape[:2], start + place / count)
            axes.pcolormesh(x, y, maps[..., place], cmap="Greys", vmin=0, vmax=largest(maps), zorder=place / count)
            axes.plot(*_edge(x, y), color="0.5", linewidth=0.5, zorder=place / count)
        axes.text(start + 0.7, -0.09, f"{count} maps, {maps.shape[0]} x {maps.shape[1]} nodes", ha="center", va="top")
    mask = slice(row, row + size + 1), slice(column, column + size + 1)
    centers = []
    for place in range(counts[0]):
        x, y = (corners[mask] for corners in _upright(*below.shape[:2], place / counts[0]))
        axes.fill(*_edge(x, y), facecolor=COLORS[0], edgecolor=COLORS[0], alpha=0.45, zorder=2)
        centers.append((x.mean(), y.mean()))
    x, y = _upright(*above.shape[:2], starts[1] + index / counts[1])
    axes.plot(*_edge(x, y), color=COLORS[0], linewidth=1.2, zorder=3)
    x, y = x[row : row + 2, column : column + 2], y[row : row + 2, column : column + 2]
    axes.fill(*_edge(x, y), facecolor=COLORS[0], edgecolor="k", zorder=4)
    axes.plot(*zip(*centers, (x.mean(), y.mean())), color="k", linewidth=1.2, zorder=5)
    title = f"{counts[0]} masks of {size} x {size} and one bias make one node: ({row}, {column}) of map {index}"
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    return figure


def draw_cut(geometries, image_size):
    """Return a cut through the layers along one axis of the image (figure I-7, notebook 01).

    `geometries` come from `geometry.receptive_fields`. Each row of dots is one layer, a dot lies above the middle
    of the pixels its node sees, lines go to the border nodes of each mask only. Hollow dots reach no node of the
    last layer. The bar at the right is as long as the field of one node.
    """
    levels = [("Image", image_size, 1, 1, 0)]
    levels += [(one.layer, one.map_size[0], one.field, one.stride, one.start) for one in geometries]
    figure = Figure(figsize=(WIDTH, 0.95 * len(levels)), layout="constrained")
    axes = figure.subplots()
    used = np.ones(levels[-1][1], bool)
    for level in reversed(range(len(levels))):
        name, count, field, stride, start = levels[level]
        middles = _middles(count, field, stride, start)
        axes.scatter(middles, np.full(count, level), 34, np.where(used, "k", "w"), edgecolors="k", zorder=3)
        axes.text(-1.6, level, f"{name}\n{count} nodes", ha="right", va="center", fontsize=9)
        axes.plot([image_size + 1, image_size + 1 + field], [level, level], color=COLORS[1], linewidth=5,
                  solid_capstyle="butt")
        axes.text(image_size + 0.7, level + 0.16, f"field {field}, stride {stride}", fontsize=9)
        if level:
            below, reads = _middles(*levels[level - 1][1:]), _nodes_read(levels[level], levels[level - 1])
            for node, read in enumerate(reads):
                x = [below[read[0]], middles[node], below[read[-1]]]
                line = {"color": COLORS[node % 2], "linestyle": LINES[node % 2], "linewidth": 1, "zorder": 2}
                axes.plot(x, [level - 1, level, level - 1], **line)
            used = np.isin(np.arange(levels[level - 1][1]), np.concatenate(list(compress(reads, used))))
    axes.set_xlim(-6, image_size + 2 + levels[-1][2])
    axes.set_axis_off()
    return figure


def _middles(count, field, stride, start):
    """Above which pixel the nodes of a layer lie."""
    return start + (field - 1) / 2 + stride * np.arange(count)


def _nodes_read(layer, below):
    """For each node of a layer the indices of the nodes it reads in the layer below, as arrays."""
    _, count, field, stride, start = layer
    _, limit, field_below, stride_below, start_below = below
    reach = np.arange((field - field_below) // stride_below + 1) + (start - start_below) // stride_below
    reads = [reach + node * (stride // stride_below) for node in range(count)]
    return [read[(read >= 0) & (read < limit)] for read in reads]


def _cells(axes, values, cmap, limits, numbers="g", sign=""):
    """A small map drawn as cells with their numbers, white lines between them and no ticks."""
    drawn = axes.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1])
    for (row, column), value in np.ndenumerate(values):
        if numbers:
            axes.text(column, row, f"{value:{sign}{numbers}}" if value else "0", ha="center", va="center", fontsize=10)
    axes.set_xticks(np.arange(-0.5, values.shape[1]), [])
    axes.set_yticks(np.arange(-0.5, values.shape[0]), [])
    axes.tick_params(length=0)
    axes.grid(color="0.75", linewidth=0.7)
    return drawn


def _sheet_of_nodes(axes, size, offset, label):
    """A map seen from the side, as dots in a slanted frame."""
    corners = [_slanted(row, column, offset) for row, column in
               [(-0.7, -0.7), (-0.7, size - 0.3), (size - 0.3, size - 0.3), (size - 0.3, -0.7)]]
    axes.fill(*zip(*corners), facecolor="0.95", edgecolor="0.6", zorder=0)
    dots = [_slanted(row, column, offset) for row, column in product(range(size), range(size))]
    axes.plot(*zip(*dots), "o", color="0.65", markersize=3, zorder=1)
    axes.text(*_slanted(size + 0.2, (size - 1) / 2, offset), label, ha="center", va="top", fontsize=10)


def _slanted(row, column, offset):
    """Where (row, column) of a sheet lying flat is drawn."""
    return offset[0] + column - 0.06 * row, offset[1] - 0.55 * row


def _upright(height, width, start):
    """Where the corners of the cells of a sheet standing on end are drawn, two arrays (height + 1, width + 1)."""
    down, back = np.mgrid[0 : 1 : (height + 1) * 1j, 0 : 1 : (width + 1) * 1j]
    return start + 0.42 * back, 1 - down + 0.3 * back


def _edge(x, y):
    """The outline of a sheet of corners, closed."""
    return tuple(np.concatenate([a[0], a[:, -1], a[-1, ::-1], a[::-1, 0]]) for a in (x, y))
