"""Arrays in, matplotlib `Figure` out. Knows nothing of models, ascents or files, and never calls `show()`.

No function touches pyplot, so figures can be made in any thread and none stays open. A notebook shows a
figure that is the last value of a cell (after `%matplotlib inline`). One gray map for images, viridis where
size matters, one diverging map (`SIGNED`) for values that have a sign.
"""

import numpy as np
from matplotlib.figure import Figure

from helpers.images import contrast, to_display

SIGNED = "RdBu_r"  # blue below zero, white at zero, red above
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
    lines = max((title.count("\n") + 1 for title in titles), default=0)
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
        top = np.abs(values).max()
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


def _drawable(image):
    """One image as imshow wants it: color as it is, one channel without its axis."""
    return image if image.shape[-1] == 3 else image[..., 0]
