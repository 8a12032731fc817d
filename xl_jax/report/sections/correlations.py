"""Measure against measure: within a model over its layers, and across rows, apart."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from xl_jax.analysis.correlation import Correlation, pearson
from xl_jax.analysis.spread import Spread, over_seeds
from xl_jax.report import cells
from xl_jax.report.document import NONE, Cell, Column, Figure, Section, Table
from xl_jax.report.metrics import SPACE, TRANSFER
from xl_jax.report.plots import points
from xl_jax.report.sections.table1 import mean_level
from xl_jax.report.values import TOP, Key, Measure, Values

SCATTERS = 6  # panels of the figure across rows
FEWEST = 3  # points of a correlation


def section(values: Values) -> Section | None:
    blocks = [*_within(values), *_across(values)]
    if not blocks:
        return None
    text = [
        "Pearson's r, 95 % intervals in brackets. Within one model the points are its layers: r is "
        "of each run, then mean and interval over seeds. Across rows a point is a row, mean over "
        "its seeds, at the top layer: r has Fisher's interval, as if rows were drawn "
        "independently. The two answer different questions; the paper reports the first (section "
        "5.2: above 0.9 for CKA and sentence retrieval, all four pairs)."
    ]
    return Section("measures", "Measure against measure", text, blocks, values.study.command)


def _pairs(measures: Sequence[Measure]) -> list[tuple[Measure, Measure]]:
    """CKA and other similarities first, against what they should predict."""
    return list(
        itertools.combinations(sorted(measures, key=lambda m: not m.metric.startswith("cka")), 2)
    )


def _within(values: Values) -> Iterator[Table | Figure]:
    chosen = [m for m in values.main_measures(TRANSFER, SPACE) if len(values.layers(m)) >= FEWEST]
    if len(chosen) < 2:
        return
    pairs = [(a, b) for a, b in _pairs(chosen) if _common_pairs(values, a, b)]
    if not pairs:
        return
    columns = [Column("row", text=True), *(Column(_versus(values, a, b)) for a, b in pairs)]
    groups = []
    for title, rows in values.study.groups().items():
        lines = []
        for row in rows:
            found = [
                _over_layers(values, row.name, a, b, _common_pairs(values, a, b)) for a, b in pairs
            ]
            lines.append([cells.text(row.shown), *map(_mean_r, found)])
        groups.append((title, lines))
    if figure := _paths(values, *pairs[0]):
        yield figure
    yield Table("within_models", "Within a model, over layers: r.", columns, groups)


def _versus(values: Values, a: Measure, b: Measure) -> str:
    return f"{values.name(a)} / {values.name(b)}"


def _common_pairs(values: Values, a: Measure, b: Measure) -> list[str]:
    return [p for p in values.pairs_of(a) if p in values.pairs_of(b) and "-" in p]


def _over_layers(
    values: Values, row: str, a: Measure, b: Measure, pairs: Sequence[str]
) -> list[Correlation]:
    """One r for each run and pair of languages."""
    found = []
    for pair in pairs:
        for seed in values.seeds(row, pair, a):
            x, y = (values.by_layer(Key(row, pair, seed, m, "trained")) for m in (a, b))
            layers = [n for n in x if n is not None and n in y]
            r = pearson([x[n] for n in layers], [y[n] for n in layers])
            found += [r] if r else []
    return found


def _mean_r(found: Sequence[Correlation]) -> Cell:
    if not found:
        return NONE
    if len(found) == 1:
        return cells.correlation(found[0])
    s: Spread = over_seeds([c.r for c in found])
    low = None if s.low is None else max(s.low, -1.0)
    high = None if s.high is None else min(s.high, 1.0)
    return cells.correlation(Correlation(s.mean, low, high, s.n))


def _paths(values: Values, a: Measure, b: Measure) -> Figure | None:
    """Of the first pair of languages: a panel a row, the layers joined in their order; None where
    no layer has both measures."""
    panels, data = [], []
    pair = _common_pairs(values, a, b)[0]
    for row in values.study.rows:
        by = [
            {n: values.spread_at_layer(row.name, pair, m, n) for n in values.layers(m)}
            for m in (a, b)
        ]
        both = [n for n in by[0] if by[0][n] is not None and by[1].get(n) is not None]
        if not both:
            continue
        xs, ys = ([_scaled(values, m, s[n]) for n in both] for m, s in zip((a, b), by, strict=True))
        r = _mean_r(_over_layers(values, row.name, a, b, [pair])).text
        note = f"r = {r}" if r != NONE.text else ""
        marks = [points.Point(x, y, mark=str(n)) for x, y, n in zip(xs, ys, both, strict=True)]
        axes = [values.shown(m).short for m in (a, b)]
        panels.append(points.Panel(row.shown, axes[0], axes[1], marks, note, path=True))
        for x, y, n in zip(xs, ys, both, strict=True):
            numbers = [cells.count(n), cells.plain(x), cells.plain(y)]
            data.append([cells.text(row.shown), *numbers])
    if not panels:
        return None
    columns = [
        Column("row", text=True),
        Column("layer"),
        Column(values.title(a)),
        Column(values.title(b)),
    ]
    title = f"{values.title(a)} and {values.title(b)}, {pair}"
    return Figure(
        "within_models",
        f"{title}: the layers of each row's models, means over seeds.",
        f"Scatter plots, a panel a row and a point a layer: {title}. The numbers are in the table "
        "below.",
        lambda: points.draw(panels, shared=True),
        Table("within_models_points", "The points of the figure.", columns, [("", data)]),
    )


def _scaled(values: Values, measure: Measure, found: Spread | None) -> float:
    return values.shown(measure).scale * (found.mean if found else np.nan)


def _across(values: Values) -> Iterator[Table | Figure]:
    measures = values.main_measures(TRANSFER, SPACE)
    levels = {
        m: {
            row.name: level
            for row in values.study.rows
            if (level := mean_level(values, row.name, m, TOP)) is not None
        }
        for m in measures
    }
    pairs = [
        (a, b) for a, b in _pairs(measures) if len(levels[a].keys() & levels[b].keys()) >= FEWEST
    ]
    if not pairs:
        return
    yield _scatter(values, pairs[:SCATTERS], levels)
    rows = []
    for a, b in pairs:
        both = [row for row in levels[a] if row in levels[b]]
        r = pearson([levels[a][x] for x in both], [levels[b][x] for x in both])
        name = cells.text(_versus(values, a, b))
        rows.append([name, cells.count(len(both)), cells.correlation(r)])
    columns = [Column("measures", text=True), Column("rows"), Column("r")]
    yield Table("across_rows", "Across rows, at the top layer: r.", columns, [("", rows)])


def _scatter(
    values: Values,
    pairs: Sequence[tuple[Measure, Measure]],
    levels: dict[Measure, dict[str, float]],
) -> Figure:
    panels, data = [], []
    for a, b in pairs:
        both = [row for row in values.study.rows if row.name in levels[a] and row.name in levels[b]]
        scales = [values.shown(m).scale for m in (a, b)]
        xs, ys = (
            [scale * levels[m][row.name] for row in both]
            for scale, m in zip(scales, (a, b), strict=True)
        )
        r = cells.correlation(pearson(xs, ys)).text
        marks = [points.Point(x, y, row.shown) for x, y, row in zip(xs, ys, both, strict=True)]
        panels.append(points.Panel(f"r = {r}", values.title(a), values.title(b), marks))
        for x, y, row in zip(xs, ys, both, strict=True):
            names = cells.text(_versus(values, a, b))
            data.append([names, cells.text(row.shown), cells.plain(x), cells.plain(y)])
    columns = [
        Column("measures", text=True),
        Column("row", text=True),
        Column("first"),
        Column("second"),
    ]
    return Figure(
        "across_rows",
        "Each point is a row of the study: mean over seeds and pairs, at the top layer.",
        "Scatter plots of one measure against another, a point a row. The numbers are in the table "
        "below.",
        lambda: points.draw(panels),
        Table("across_rows_points", "The points of the figure.", columns, [("", data)]),
    )
