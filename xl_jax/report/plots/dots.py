"""Rows of dots with intervals, a panel a measure: one look tells how the rows differ."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from xl_jax.report import style

HEIGHT = 0.27  # of a row, inches
WIDTH = 7.6  # of a figure
LABEL = 30  # of a row, characters


class Dot(NamedTuple):
    """A value with its interval, if any, and the single values that it is the mean of."""

    value: float
    low: float | None = None
    high: float | None = None
    each: Sequence[float] = ()


class Series(NamedTuple):
    """Dots of one kind.

    Attributes:
      dots: row -> dot; a row without one is left empty.
      open: the marker is not filled.
    """

    label: str
    dots: Mapping[str, Dot]
    colour: str
    marker: str
    open: bool = False


class Panel(NamedTuple):
    title: str
    label: str  # of the axis
    series: Sequence[Series]
    lines: Mapping[str, float]  # upright lines: chance, zero
    limits: tuple[float, float] | None = None


def draw(
    groups: Sequence[tuple[str, Sequence[tuple[str, str]]]], panels: Sequence[Panel]
) -> Figure:
    """A panel beside the other, all with the same rows.

    Args:
      groups: (title or "", [(row, its label)]).
    """
    places, heads, at = {}, {}, 0.0
    for title, rows in groups:
        if title:
            heads[at] = title
            at += 0.8
        for row, label in rows:
            places[row] = (at, label)
            at += 1
        at += 0.35
    long = any("\n" in style.label(label, LABEL) for _, label in places.values())
    figure = Figure(figsize=(WIDTH, 1.15 + HEIGHT * (1.3 if long else 1) * at))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        _panel(axis, panel, places)
    first = axes[0]
    first.set_yticks(
        [y for y, _ in places.values()], [style.label(x, LABEL) for _, x in places.values()]
    )
    first.set_ylim(at - 0.5, -0.75)
    for y, title in heads.items():
        where = dict(transform=first.get_yaxis_transform(), ha="right", va="center", weight="bold")
        first.text(
            -0.03, y - 0.05, style.label(title, 2 * LABEL), fontsize=8, color=style.GREY, **where
        )
    style.as_written(figure)
    figure.tight_layout(w_pad=1.2)
    style.legend_below(figure, handlelength=1.6)
    return figure


def _panel(axis: Any, panel: Panel, places: Mapping[str, tuple[float, str]]) -> None:
    for name, x in panel.lines.items():
        look = dict(color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.axvline(x, label=name, zorder=1, **look)
    for number, one in enumerate(panel.series):
        shift = 0.44 * (number / max(1, len(panel.series) - 1) - 0.5) if panel.series[1:] else 0
        colour, face = one.colour, style.PAPER if one.open else one.colour
        shape = dict(marker=one.marker, markersize=5.2, markerfacecolor=face, color=colour)
        label: str | None = one.label
        for row, dot in one.dots.items():
            y = places[row][0] + shift
            if len(dot.each) > 1:
                every = [y] * len(dot.each)
                axis.plot(dot.each, every, "|", color=colour, markersize=4, alpha=0.45, zorder=2)
            if dot.low is not None and dot.high is not None:
                axis.plot([dot.low, dot.high], [y, y], "-", color=colour, linewidth=1.3, zorder=3)
            axis.plot([dot.value], [y], linestyle="", label=label, zorder=4, **shape)
            label = None
    axis.set_title(style.label(panel.title))
    axis.set_xlabel(panel.label)
    if panel.limits:
        axis.set_xlim(*panel.limits)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
