"""Arrays in, matplotlib `Figure` out. Knows nothing of models, ascents or files, and never calls `show()`.

No function touches pyplot, so figures can be made in any thread and none stays open. A notebook shows a
figure that is the last value of a cell (after `%matplotlib inline`). One gray map for images, viridis where
size matters, one diverging map (`SIGNED`) for values that have a sign.
"""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
        top = largest(values)
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


def dots_and_intervals(groups, intervals, x_label, width=7.0):
    """Return one row for each name: a dot for each value of `groups` {name: values}, a bar from low to high.

    `intervals` {name: (mean, low, high, ...)}, such as `measures.mean_interval` gives; a name without one has no bar.
    """
    figure = Figure(figsize=(width, 0.7 + 0.32 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for place, (name, values) in enumerate(groups.items()):
        axes.plot(values, np.full(len(values), place), "o", markersize=4, alpha=0.55, color="tab:blue", mew=0)
        if name in intervals:
            mean, low, high = intervals[name][:3]
            axes.plot([low, high], [place + 0.28] * 2, "-", color="black", linewidth=2, solid_capstyle="butt")
            axes.plot(mean, place + 0.28, "|", color="black", markersize=8, mew=2)
    axes.set_yticks(range(len(groups)), [f"{name} ({len(values)})" for name, values in groups.items()], fontsize=9)
    axes.set(xlabel=x_label, ylim=(len(groups) - 0.4, -0.6))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
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
    top = largest(images)
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


def largest(values):
    """The largest absolute value, never zero: a range around zero that can be drawn."""
    return max(float(np.abs(values).max()), 1e-6)


def _drawable(image):
    """One image as imshow wants it: color as it is, one channel without its axis."""
    return image if image.shape[-1] == 3 else image[..., 0]
