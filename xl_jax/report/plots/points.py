"""Points in a plane: one measure against another."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from xl_jax.errors import printable
from xl_jax.report import style


class Point(NamedTuple):
    """`mark` stands beside it; `label` stands in the legend, "" for none."""

    x: float
    y: float
    label: str = ""
    mark: str = ""


class Panel(NamedTuple):
    """`note` stands below the title. `path`: the points are joined in their order."""

    title: str
    x: str
    y: str
    points: Sequence[Point]
    note: str = ""
    path: bool = False


def draw(panels: Sequence[Panel], columns: int = 3, shared: bool = False) -> Figure:
    """A panel each; points of one label look alike in all of them.

    Args:
      shared: all panels have the same axes.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(3.8, 2.55 * columns), 0.5 + 2.35 * rows)
    figure = Figure(figsize=size)
    axes = figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    labels = list(dict.fromkeys(p.label for panel in panels for p in panel.points if p.label))
    for axis, panel in zip(axes.flat, panels, strict=False):
        if panel.path:
            xs, ys = [p.x for p in panel.points], [p.y for p in panel.points]
            axis.plot(xs, ys, color=style.GREY, linewidth=0.8, zorder=1)
        for point in panel.points:
            look = _look(labels.index(point.label) if point.label else 0)
            label = point.label or None
            axis.plot([point.x], [point.y], linestyle="", markersize=5.5, label=label, **look)
            if point.mark:
                near = dict(xytext=(4, 3), textcoords="offset points", fontsize=6.5)
                axis.annotate(printable(point.mark), (point.x, point.y), color=style.GREY, **near)
        axis.set_title("\n".join(filter(None, (style.label(panel.title), panel.note))))
        axis.set_xlabel(panel.x)
        axis.set_ylabel(panel.y)
        axis.margins(0.1)
        if shared:
            axis.label_outer()
    style.as_written(figure)
    figure.tight_layout()
    style.legend_below(figure, handlelength=1.2)
    return figure


def _look(number: int) -> dict[str, Any]:
    """Colour and marker of a label; the next round of colours has other markers, not filled."""
    turn = number // len(style.CYCLE)
    colour = style.CYCLE[number % len(style.CYCLE)]
    marker = style.MARKERS[(number + turn) % len(style.MARKERS)]
    face = colour if turn % 2 == 0 else style.PAPER
    return dict(color=colour, marker=marker, markerfacecolor=face)
