"""Heat maps: a grid of numbers as colours, with the numbers in it where there is room."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from xl_jax.analysis.record import Record
from xl_jax.errors import printable
from xl_jax.report import style

COLOURS = "cividis"  # reads the same with any kind of colour vision, and in grey
MATRICES = ("cka_layers_debiased", "cka_layers")  # layers with layers, in order of preference
MOST = 9  # columns that have room for numbers


class Heat(NamedTuple):
    """`grid` [rows, columns], with nan for what is missing."""

    title: str
    grid: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]


def draw(
    heats: Sequence[Heat],
    x: str,
    y: str,
    limits: tuple[float, float],
    label: str,
    columns: int = 4,
    digits: int = 0,
    aspect: bool = True,
) -> Figure:
    """Maps on one scale, with one bar of its colours.

    Args:
      aspect: cells are squares.
    """
    columns = min(columns, len(heats))
    lines = -(-len(heats) // columns)
    high = len(heats[0].rows)
    width = max(3.8, 1.95 * columns) if aspect else 7.6
    height = 0.9 + (1.95 * lines if aspect else (0.5 + 0.27 * high) * lines)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for axis in axes.flat[len(heats) :]:
        axis.set_visible(False)
    mesh: Any = None
    for number, (axis, heat) in enumerate(zip(axes.flat, heats, strict=False)):
        mesh = plot(axis, heat, limits, digits)
        axis.set_title(style.label(heat.title, style.WIDTH if heats[1:] else 80))
        if aspect:
            axis.set_aspect("equal")
        else:
            axis.invert_yaxis()
        if number % columns == 0:
            axis.set_ylabel(y)
        if number + columns >= len(heats):
            axis.set_xlabel(x)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.5, aspect=24, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)
    style.as_written(figure)
    return figure


def plot(axis: Any, heat: Heat, limits: tuple[float, float], digits: int = 0) -> Any:
    """Draws one map; returns what a bar of its colours is made of."""
    edges = [np.arange(n + 1) - 0.5 for n in reversed(heat.grid.shape)]
    shown = np.ma.masked_invalid(heat.grid)
    mesh = axis.pcolormesh(*edges, shown, cmap=COLOURS, vmin=limits[0], vmax=limits[1])
    axis.set_xticks(range(len(heat.columns)), [printable(c) for c in heat.columns])
    axis.set_yticks(range(len(heat.rows)), [style.label(r, 30) for r in heat.rows])
    axis.grid(False)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if heat.grid.shape[1] <= MOST:
        _numbers(axis, heat, mesh, digits)
    return mesh


def of_layers(records: Sequence[Record], title: str) -> Heat:
    """CKA x100 of layers with layers; of several records of one cell the mean."""
    cells: dict[tuple[int, int], list[float]] = {}
    for r in records:
        cells.setdefault((r.layer or 0, r.get("target_layer", 0)), []).append(r.value)
    grid = np.full(1 + np.max(list(cells), axis=0), np.nan)
    for at, found in cells.items():
        grid[at] = 100 * np.mean(found)
    return Heat(title, grid, *([str(n) for n in range(size)] for size in grid.shape))


def _numbers(axis: Any, heat: Heat, mesh: Any, digits: int) -> None:
    """In black or white, whichever the colour below them lets read."""
    size = 6.5 if heat.grid.shape[1] <= 6 else 5.5
    for (i, j), value in np.ndenumerate(heat.grid):
        if np.isnan(value):
            axis.text(j, i, "–", ha="center", va="center", fontsize=size, color=style.GREY)
            continue
        red, green, blue, _ = mesh.cmap(mesh.norm(value))
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        colour = "#000001" if light else "#fffffe"  # not those of the page, which swaps its own
        text = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
        axis.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
