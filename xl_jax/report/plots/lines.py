"""Lines with bands: one axis of them, or small multiples with one legend."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from xl_jax.analysis.spread import Spread
from xl_jax.errors import printable
from xl_jax.report import style


class Line(NamedTuple):
    """y over x, both of the same length; a band where there are intervals."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    colour: str = style.BLUE
    dashes: Any = "-"
    marker: str = "o"
    open: bool = False


def of_spreads(label: str, by: Mapping[int, Spread], scale: float, **look: Any) -> Line:
    """Means over seeds, times `scale`, with the band of their intervals where every point has
    one."""
    ends = ([getattr(s, end) for s in by.values()] for end in ("low", "high"))
    low, high = (None if None in found else [scale * x for x in found] for found in ends)
    return Line(label, list(by), [scale * s.mean for s in by.values()], low, high, **look)


class Panel(NamedTuple):
    """`behind`: lines of the other panels, to compare with."""

    title: str
    lines: Sequence[Line]
    behind: Sequence[Line] = ()


class Axis(NamedTuple):
    """What all panels have in common. `log`: steps, from 0."""

    x: str
    y: str
    limits: tuple[float, float] | None = None
    ticks: Sequence[int] | None = None
    log: bool = False
    log_y: bool = False


def plot(axis: Any, lines: Sequence[Line]) -> None:
    for line in lines:
        face = style.PAPER if line.open else line.colour
        shape = dict(marker=line.marker, markerfacecolor=face, linestyle=line.dashes)
        axis.plot(line.x, line.y, label=printable(line.label), color=line.colour, **shape)
        if line.low is not None and line.high is not None:
            band = dict(color=line.colour, alpha=0.14, linewidth=0)
            axis.fill_between(line.x, line.low, line.high, **band)


def multiples(panels: Sequence[Panel], common: Axis) -> Figure:
    """A panel each, all on the same axes."""
    columns = min(len(panels), 3 if len(panels) <= 6 else 4)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(3.6, 7.6 / max(3, columns) * columns), 0.7 + 1.62 * rows))
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for number, (axis, panel) in enumerate(zip(axes.flat, panels, strict=False)):
        for line in panel.behind:
            axis.plot(line.x, line.y, color=style.FAINT, linewidth=0.9, zorder=1)
        plot(axis, panel.lines)
        axis.set_title(style.label(panel.title))
        if number % columns == 0:
            axis.set_ylabel(common.y)
        if number + columns >= len(panels):
            axis.set_xlabel(common.x)
            axis.tick_params(labelbottom=True)
    first = axes.flat[0]
    if common.log:
        first.set_xscale("symlog", linthresh=_threshold(panels))
    if common.log_y:
        first.set_yscale("log")
    if common.ticks is not None:
        first.set_xticks(common.ticks)
    if common.limits:
        first.set_ylim(*common.limits)
    style.as_written(figure)
    figure.tight_layout()
    style.legend_below(figure, handlelength=3)
    return figure


def _threshold(panels: Sequence[Panel]) -> float:
    """The first step after 0: below it the scale is linear."""
    steps = np.concatenate([np.asarray(line.x, float) for p in panels for line in p.lines])
    later = steps[steps > 0]
    return float(later.min()) if len(later) else 1.0
