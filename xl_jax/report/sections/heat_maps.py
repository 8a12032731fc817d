"""Grids of numbers: layers against layers, languages against languages, rows against layers."""

from collections.abc import Iterator, Sequence

import numpy as np

from xl_jax.analysis.record import Record
from xl_jax.report import metrics
from xl_jax.report.document import MISSING, NONE, Cell, Column, Figure, Section, Table, number
from xl_jax.report.plots import heat
from xl_jax.report.study_records import StudyRecords
from xl_jax.report.values import TOP, Measure, Values, pair_of


def section(values: Values) -> Section | None:
    figures = [*_layers(values.study), *_rows(values), *_languages(values)]
    if not figures:
        return None
    text = ["Means over seeds, and over both directions where there are two."]
    return Section("heat_maps", "Heat maps", text, figures, values.study.command)


def _layers(study: StudyRecords) -> Iterator[Figure]:
    """CKA of every layer with every other one at the last step, a figure a pair and way it was
    measured, a panel a row."""
    there = {r.metric for run in study.runs for r in run.records}
    metric = next((m for m in heat.MATRICES if m in there), "")
    of_row: dict[str, list[Record]] = {row.name: [] for row in study.rows}
    for run in study.runs:
        trained = [r for r in run.records if r.metric == metric and r.model == "trained"]
        last = max((r.step or 0 for r in trained), default=0)
        of_row[run.row] += [r for r in trained if (r.step or 0) == last]
    there_are = sorted({_what(r) for found in of_row.values() for r in found})
    ways = [{way[n] for way in there_are} for n in range(3)]
    for number_, way in enumerate(there_are, 1):
        heats = [
            heat.of_layers(here, row.shown)
            for row in study.rows
            if (here := [r for r in of_row[row.name] if _what(r) == way])
        ]
        name = f"cka_layers_{number_}"
        what = "Debiased CKA" if metric == heat.MATRICES[0] else "CKA"
        told = [text for text, known in zip(way[1:], ways[1:], strict=True) if len(known) > 1]
        of = ", ".join([way[0], *filter(None, told)])
        yield _grids_figure(name, f"{what} of every layer with every other, {of}", heats)


def _what(record: Record) -> tuple[str, str, str]:
    """Pair, data, kernel."""
    return pair_of(record), record.data, str(record.get("kernel", ""))


def _grids_figure(name: str, title: str, heats: Sequence[heat.Heat]) -> Figure:
    x, y = "layer of the target", "layer of the source"
    return Figure(
        name,
        f"{title} (x100).",
        f"{title}: a grid for every row of the study. The numbers are in the table below.",
        lambda: heat.draw(heats, x, y, (0, 100), "CKA x100"),
        _grids_table(name, heats, y, x),
    )


def _grids_table(name: str, heats: Sequence[heat.Heat], y: str, x: str) -> Table:
    widest = max(heats, key=lambda h: len(h.columns))
    columns = [Column("row", text=True), Column(y), *(Column(c, x) for c in widest.columns)]
    rows = []
    for one in heats:
        for label, values in zip(one.rows, one.grid, strict=True):
            numbers = [_cell(v) for v in values]
            numbers += [NONE] * (len(widest.columns) - len(numbers))
            rows.append([Cell(one.title), Cell(label), *numbers])
    return Table(name, "The numbers of the figure.", columns, [("", rows)])


def _cell(value: float) -> Cell:
    return NONE if np.isnan(value) else Cell(number(float(value), 1), float(value))


def _rows(values: Values) -> Iterator[Figure]:
    """A measure by row and layer."""
    number_ = 0
    for measure in values.main_measures(metrics.TRANSFER, metrics.SPACE):
        layers = values.layers(measure)
        if len(layers) < 2:
            continue
        for pair in values.pairs_of(measure):
            number_ += 1
            yield _rows_figure(values, f"rows_layers_{number_}", measure, pair)


def _rows_figure(values: Values, name: str, measure: Measure, pair: str) -> Figure:
    layers, shown = values.layers(measure), values.shown(measure)
    rows = [row for row in values.study.rows if values.seeds(row.name, pair, measure)]
    grid = np.full((len(rows), len(layers)), np.nan)
    for i, row in enumerate(rows):
        for j, layer in enumerate(layers):
            found = values.spread_at_layer(row.name, pair, measure, layer)
            grid[i, j] = np.nan if found is None else shown.scale * found.mean
    title = f"{values.title(measure)}, {pair}"
    labels = [str(n) for n in layers]
    one = heat.Heat(title, grid, [row.shown for row in rows], labels)
    top = max(shown.scale, float(np.nanmax(grid)))
    low = min(0.0, float(np.nanmin(grid)))
    columns = [Column("row", text=True), *(Column(n, "layer") for n in labels)]
    data = [[Cell(row.shown), *map(_cell, line)] for row, line in zip(rows, grid, strict=True)]
    return Figure(
        name,
        f"{title}: every row at every layer.",
        f"Grid of {title}: rows of the study by layers. The numbers are in the table below.",
        lambda: heat.draw(
            [one], "layer", "", (low, top), shown.title, digits=shown.digits, aspect=False
        ),
        Table(name, "The numbers of the figure.", columns, [("", data)]),
    )


def _languages(values: Values) -> Iterator[Figure]:
    """Where a study has three languages or more: a measure of every pair, a panel a row."""
    between = [p.split("-", 1) for p in values.pairs if "-" in p]
    languages = sorted({x for pair in between for x in pair})
    if len(languages) < 3:
        return
    chosen = values.main_measures(metrics.TRANSFER, metrics.SPACE)
    for number_, measure in enumerate(chosen, 1):
        if len(values.pairs_of(measure)) < 2:
            continue
        shown = values.shown(measure)
        heats = []
        for row in values.study.rows:
            grid = np.full((len(languages), len(languages)), np.nan)
            for pair in values.pairs_of(measure):
                found = values.spread(row.name, pair, measure, TOP)
                if found and "-" in pair:
                    i, j = (languages.index(x) for x in pair.split("-", 1))
                    grid[i, j] = grid[j, i] = shown.scale * found.mean
            if not np.isnan(grid).all():
                heats.append(heat.Heat(row.shown, grid, languages, languages))
        if heats:
            yield _languages_figure(f"languages_{number_}", values.title(measure), shown, heats)


def _languages_figure(
    name: str, title: str, shown: metrics.Shown, heats: Sequence[heat.Heat]
) -> Figure:
    highest = max(float(np.nanmax(h.grid)) for h in heats)
    limits = (0.0, max(shown.scale, highest))
    return Figure(
        name,
        f"{title} at the top layer, every pair of languages.",
        f"Grids of languages by languages: {title}. The numbers are in the table below; "
        f"{MISSING} was not measured.",
        lambda: heat.draw(heats, "language", "language", limits, shown.title, digits=shown.digits),
        _grids_table(name, heats, "language", "with"),
    )
