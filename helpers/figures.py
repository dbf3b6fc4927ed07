"""Arrays in, matplotlib `Figure` out. Knows nothing of models, ascents or files, and never calls `show()`.

No function touches pyplot, so figures can be made in any thread and none stays open. A notebook shows a
figure that is the last value of a cell (after `%matplotlib inline`). One gray map for images, viridis where
size matters, one diverging map (`SIGNED`) for values that have a sign.
"""

from itertools import compress, product

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Circle, ConnectionPatch, Rectangle

from helpers.images import contrast, to_display

SIGNED = "RdBu_r"  # blue below zero, white at zero, red above
COLORS, LINES = ("#d55e00", "#0072b2"), ("-", "--")  # for two kinds of marks: never color alone
VIRIDIS = colormaps["viridis"]
WIDTH = 9.0  # inches: fills a notebook's column without scrolling


def image_grid(images, titles=(), columns=8, cmap="gray", limits=None, width=WIDTH):
    """Return images `(n, height, width, channels)` as a grid, each with its title and without ticks.

    Each image is stretched to the full range on its own, unless `limits` = (low, high) gives all the same.
    """
    images = np.asarray(images)
    shown = images if limits else to_display(images)
    low, high = limits or (0, 1)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max((str(title).count("\n") + 1 for title in titles), default=0)
    cell = width / columns
    height = rows * (cell * images.shape[1] / images.shape[2] + 0.17 * lines + 0.06)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if place < len(images):
            axes.imshow(_drawable(shown[place]), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        if place < len(titles):
            axes.set_title(titles[place], fontsize=9, pad=3)
    return figure


def evolution_strip(ascent, index=0, cmap="viridis"):
    """Return the frames of one image of an `Ascent`, each with its step and value (figure VIII-1)."""
    rows = -(-len(ascent.steps) // 10)
    titles = [f"step {step}\n{value:.3g}" for step, value in zip(ascent.steps, ascent.values[:, index])]
    return image_grid(ascent.frames[:, index], titles, columns=-(-len(titles) // rows), cmap=cmap)


def two_renderings(images, titles=(), columns=8):
    """Return each image twice: as calculated, in color, and below it contrast-enhanced in gray (article VII).

    Both rows show the same arrays; the lower one lets the few strong pixels of an OIP stand out.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell = WIDTH / columns
    figure = Figure(figsize=(WIDTH, rows * (2 * cell + 0.3)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (plain, strong) in enumerate(zip(to_display(images), contrast(images))):
        row, column = 2 * (place // columns), place % columns
        grid[row, column].imshow(_drawable(plain), cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        grid[row + 1, column].imshow(_drawable(strong), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if place < len(titles):
            grid[row, column].set_title(titles[place], fontsize=9, pad=3)
    return figure


def map_sheet(maps, columns=16, cmap="viridis", width=WIDTH):
    """Return all feature maps `(height, width, maps)` of one image as a sheet with their indices.

    All maps share one range from 0 (or the lowest value) to the highest, so silent maps look silent and the
    color bar says how strong the others are.
    """
    maps = np.asarray(maps)
    count = maps.shape[-1]
    columns = min(columns, count)
    rows = -(-count // columns)
    cell = (width - 0.7) / columns
    figure = Figure(figsize=(width, rows * (cell + 0.16) + 0.05), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    low, high = min(0, maps.min()), max(maps.max(), 1e-6)
    grid = figure.subplots(rows, columns, squeeze=False)
    for index, axes in enumerate(grid.flat):
        axes.set_axis_off()
        if index < count:
            drawn = axes.imshow(maps[..., index], cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            axes.set_title(index, fontsize=7, pad=2)
    bar = figure.colorbar(drawn, ax=grid, fraction=0.015, pad=0.01)
    bar.set_label("activation", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def curves(x, series, x_label, y_label, log_x=False, width=6.0):
    """Return lines `series` {label: values} over `x`; `x` may be one array or {label: array}."""
    figure = Figure(figsize=(width, 0.55 * width), layout="constrained")
    axes = figure.subplots()
    styles = ["-", "--", "-.", ":"]  # never color alone
    for place, (label, values) in enumerate(series.items()):
        axes.plot(x[label] if isinstance(x, dict) else x, values, styles[place % 4], label=label, linewidth=1.6)
    if log_x:
        axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def heat_map(values, x_label, y_label, value_label, cmap="viridis", numbers=False, width=6.0, limits=None):
    """Return a matrix as colors with labelled axes and a color bar; `numbers` writes each value into its cell.

    For values with a sign pass `cmap=SIGNED`: zero is then white.
    """
    values = np.asarray(values)
    if limits is None:
        top = _largest(values)
        limits = (-top, top) if cmap == SIGNED else (values.min(), values.max())
    rows, columns = values.shape
    figure = Figure(figsize=(width, min(width, max(1.6, width * rows / columns))), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest")
    axes.set(xlabel=x_label, ylabel=y_label)
    if numbers:
        for (row, column), value in np.ndenumerate(values):
            dark = drawn.norm(value) < 0.5 if cmap != SIGNED else abs(drawn.norm(value) - 0.5) > 0.3
            axes.text(column, row, f"{value:g}", ha="center", va="center", fontsize=8, color="w" if dark else "k")
    figure.colorbar(drawn, ax=axes, label=value_label)
    return figure


def histogram(values, x_label, bins=30, width=6.0):
    """Return how often values fall into each bin; `values` is an array or {label: array}."""
    groups = values if isinstance(values, dict) else {"": values}
    figure = Figure(figsize=(width, 0.5 * width), layout="constrained")
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate([np.ravel(group) for group in groups.values()]), bins)
    hatches = ["", "//", "..", "xx"]
    for place, (label, group) in enumerate(groups.items()):
        axes.hist(np.ravel(group), edges, label=label, alpha=0.65, hatch=hatches[place % 4], edgecolor="white")
    axes.set(xlabel=x_label, ylabel="count")
    axes.spines[["top", "right"]].set_visible(False)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=9)
    return figure


def signed_grid(images, titles=(), columns=8, width=WIDTH):
    """Return images that have a sign as a grid on one common scale: blue below zero, white at zero, red above.

    Unlike `image_grid` it stretches nothing, so the images can be compared; the color bar tells the values.
    """
    images = np.asarray(images)
    top = _largest(images)
    figure = image_grid(images, titles, columns, SIGNED, (-top, top), width)
    grid = list(figure.axes)
    figure.colorbar(grid[0].images[0], ax=grid, fraction=0.02, pad=0.01).ax.tick_params(labelsize=8)
    return figure


def boxed_images(images, boxes, titles=(), columns=5, cmap="gray", width=WIDTH):
    """Return images as `image_grid` does, and on image i the squares `boxes[i]`, each (row, column, size).

    Row and column are those of the first pixel inside and may be negative; the first square of an image is
    solid, the second dashed. Receptive fields are drawn this way (notebook 01).
    """
    figure = image_grid(images, titles, columns, cmap, width=width)
    for axes, squares in zip(figure.axes, boxes):
        for (row, column, size), color, line in zip(squares, COLORS, LINES):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=color, linestyle=line, linewidth=2))
    return figure


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
        top = _largest(kernels), _largest(patches * kernels)
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
    limits = (min(0, values.min()), 1.6 * _largest(values))
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
    """Return nodes of one map and the masks they read on all maps of the layer below (figure I-2, notebook 01).

    `kernels (height, width, maps)`; every link has the color and the width of its weight, so one sees that all
    `nodes`, (row, column) of the map above, use the same kernels.
    """
    kernel, _, count = kernels.shape
    top, above = _largest(kernels), size - kernel + 1
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    axes = figure.subplots()
    offsets = [(1.7 * size * index, 0) for index in range(count)]
    summit = (1.7 * (size * count - above) / 2 - 0.35 * size, 1.0 * size)
    for index, offset in enumerate(offsets):
        _sheet_of_nodes(axes, size, offset, f"map {index}, {size} x {size} nodes")
    _sheet_of_nodes(axes, above, summit, "")
    axes.text(summit[0] + above, summit[1], f"one map above,\n{above} x {above} nodes", va="top", fontsize=10)
    for place, (row, column) in enumerate(nodes):
        end = _slanted(row, column, summit)
        for index, offset in enumerate(offsets):
            for down, right in product(range(kernel), range(kernel)):
                weight, start = kernels[down, right, index], _slanted(row + down, column + right, offset)
                color, line = {1: ("firebrick", "-"), -1: ("royalblue", "--"), 0: ("0.6", ":")}[int(np.sign(weight))]
                axes.plot(*zip(start, end), line, color=color, linewidth=0.5 + 2.3 * abs(weight) / top, zorder=2)
                axes.plot(*start, "so"[place % 2], color="k", markersize=5, zorder=3)
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
            axes.pcolormesh(x, y, maps[..., place], cmap="Greys", vmin=0, vmax=_largest(maps), zorder=place / count)
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


def in_colors(values, low, high, cmap="viridis"):
    """Return values of any shape as colors, with one more axis (red, green, blue): `low` to `high` span the map."""
    return np.asarray(colormaps[cmap]((np.asarray(values) - low) / (high - low)), np.float32)[..., :3]


def as_calculated(images):
    """Return images as colors `(n, height, width, 3)`: viridis from the lowest to the highest value of each."""
    shown = to_display(images)
    return shown if shown.shape[-1] == 3 else VIRIDIS(_few_levels(shown[..., 0]))[..., :3]


def enhanced(images):
    """Return images as grays `(n, height, width, 3)`, contrast-enhanced so that an OIP's strong strokes stand out."""
    return np.broadcast_to(_few_levels(contrast(images)), (*images.shape[:3], 3))


def zoo_sheet(images, labels=(), title="", columns=16, renderings=(as_calculated, enhanced)):
    """Return all OIPs of a layer on one dark sheet, each below its label in every one of the `renderings`.

    Two renderings are those of figure IX-6; `renderings=(enhanced,)` shows each once. One image pixel is 2 x 2
    pixels at 100 dpi; `savefig(path, dpi=400)` makes a poster of it. Introduced in notebook 05.
    """
    count, height, width = images.shape[:3]
    columns = min(columns, count)
    top, label, gap = (18 if title else 3), 8, 2  # all in pixels of the images
    tall = label + len(renderings) * (height + 1) + gap
    sheet = np.full((top + -(-count // columns) * tall + gap, columns * (width + gap) + gap, 3), 0.07, np.float32)
    figure = Figure(figsize=(sheet.shape[1] / 50, sheet.shape[0] / 50), facecolor=sheet[0, 0])
    axes = figure.add_axes((0, 0, 1, 1))
    pictures = [rendering(images) for rendering in renderings]
    for place in range(count):
        row, column = top + place // columns * tall, gap + place % columns * (width + gap)
        for line, shown in enumerate(pictures):
            start = row + label + line * (height + 1)
            sheet[start : start + height, column : column + width] = shown[place]
        if place < len(labels):
            axes.text(column + width / 2 - 0.5, row + label - 1.6, labels[place], color="0.85", fontsize=7, ha="center")
    axes.imshow(sheet, interpolation="nearest")
    axes.text(gap + 1, top - 5.5, title, color="w", fontsize=11)
    axes.set_axis_off()
    return figure


def stacked_bars(table, x_label, width=WIDTH):
    """Return one bar for each row of `table` {row: {part: number}}, made of its parts with their numbers."""
    figure = Figure(figsize=(width, 0.62 * len(table) + 1.5), layout="constrained")
    axes = figure.subplots()
    parts = list(dict.fromkeys(part for row in table.values() for part in row))
    starts = np.zeros(len(table))
    for place, part in enumerate(parts):
        sizes = np.array([row.get(part, 0) for row in table.values()], float)
        color, hatch = VIRIDIS(1 - place / max(1, len(parts) - 1)), ["", "//", "..", "xx", "\\\\"][place % 5]
        axes.barh(list(table), sizes, left=starts, label=part, color=color, hatch=hatch, edgecolor="w", linewidth=0.5)
        for row, (size, start) in enumerate(zip(sizes, starts)):
            if size >= 0.03 * max(sum(parts.values()) for parts in table.values()):
                axes.text(start + size / 2, row, f"{size:g}", ha="center", va="center", fontsize=9,
                          bbox={"facecolor": "w", "edgecolor": "none", "pad": 1.2, "alpha": 0.85})
        starts += sizes
    axes.invert_yaxis()
    axes.set_xlabel(x_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, ncols=4, loc="lower center", bbox_to_anchor=(0.45, 1))
    return figure


def _few_levels(shown):
    """Values 0..1 in 16 steps: on a small picture nobody sees the difference, but the file is half as large."""
    return np.round(15 * shown) / 15


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
    return offset[0] + column - 0.35 * row, offset[1] - 0.4 * row


def _upright(height, width, start):
    """Where the corners of the cells of a sheet standing on end are drawn, two arrays (height + 1, width + 1)."""
    down, back = np.mgrid[0 : 1 : (height + 1) * 1j, 0 : 1 : (width + 1) * 1j]
    return start + 0.42 * back, 1 - down + 0.3 * back


def _edge(x, y):
    """The outline of a sheet of corners, closed."""
    return tuple(np.concatenate([a[0], a[:, -1], a[-1, ::-1], a[::-1, 0]]) for a in (x, y))


def _largest(values):
    """The largest absolute value, never zero: a range around zero that can be drawn."""
    return max(float(np.abs(values).max()), 1e-6)


def _drawable(image):
    """One image as imshow wants it: color as it is, one channel without its axis."""
    return image if image.shape[-1] == 3 else image[..., 0]
