"""Table 1: what each row reaches and what it loses against the reference, beside the paper's."""

import itertools
import statistics
from collections.abc import Sequence

from xl_jax.analysis.correlation import Correlation, spearman
from xl_jax.report import cells, metrics, style
from xl_jax.report.document import NONE, Cell, Column, Figure, Section, Table, number
from xl_jax.report.plots import dots
from xl_jax.report.study_records import Row, StudyRecords
from xl_jax.report.values import BEST, TOP, Measure, Values

GRADED = (metrics.TRANSFER, metrics.SPACE)
CHOSEN = (
    "the best layer of each run, chosen on its test items (a linear probe's on development data)"
)
LAYER = {TOP: "at the top layer", BEST: f"at {CHOSEN}"}


def section(values: Values) -> Section | None:
    study = values.study
    measures = values.main_measures(*GRADED)
    if not measures:
        return None
    blocks: list[Table | Figure] = [table(values, measures, TOP)]
    layered = [m for m in measures if values.layers(m)]
    if layered:
        blocks.append(table(values, layered, BEST))
    if study.reference and (figure := _figure(values, measures)):
        blocks.append(figure)
    agreement = _agreement(values, measures)
    if agreement:
        blocks.append(agreement)
    text = [
        "Mean (standard deviation over seeds). An empty cell, –, has not been measured.",
    ]
    if study.reference:
        reference = study.row(study.reference).shown
        text[0] += f" Δ is the difference from {reference}, mean over the pairs that both have."
    if study.expected_tasks or _has_any_printed(values, measures):
        sources = "; ".join(dict.fromkeys(one.source for one in study.expected))
        text.append(
            f"Published figures ({sources}) are of other models, sizes and data: the order of the "
            "rows is what can be compared. Their Δ are taken from the printed figures."
        )
    return Section("table1", "Table 1", text, blocks, study.command)


def table(values: Values, measures: Sequence[Measure], where: str) -> Table:
    study = values.study
    columns = [Column("row", text=True), Column("seeds")]
    columns += [Column(_task(x), "published, Δ") for x in study.expected_tasks]
    for measure in measures:
        group = values.title(measure)
        for pair in values.pairs_of(measure):
            columns.append(Column(pair, group))
            if _has_printed(values, measure, pair):
                columns.append(Column(f"{pair}, published", group))
        if study.reference:
            columns.append(Column("Δ", group))
    groups = [
        (title, [_row(values, row, measures, where) for row in rows])
        for title, rows in study.groups().items()
    ]
    name = "table1" if where == TOP else "table1_best_layer"
    return Table(name, f"Every row, {LAYER[where]}.", columns, groups)


def _row(values: Values, row: Row, measures: Sequence[Measure], where: str) -> list[Cell]:
    study = values.study
    seeds = {run.seed for run in study.of_row(row.name) if run.records}
    found = [cells.text(row.shown), cells.count(len(seeds) or None)]
    found += [_delta_cell(_published(study, row, x), "paper") for x in study.expected_tasks]
    for measure in measures:
        shown = values.shown(measure)
        for pair in values.pairs_of(measure):
            spread = values.spread(row.name, pair, measure, where)
            found.append(cells.spread(spread, shown, len(seeds)))
            if _has_printed(values, measure, pair):
                found.append(cells.plain(_printed(values, measure, pair, row), kind="paper"))
        if study.reference:
            delta = cells.delta(values.delta(row.name, measure, where), shown)
            found.append(Cell("") if row.name == study.reference else delta)
    return found


def _delta_cell(delta: float | None, kind: str = "") -> Cell:
    return NONE if delta is None else Cell(number(delta, 1, sign=True), delta, kind=kind)


def _has_printed(values: Values, measure: Measure, pair: str) -> bool:
    return any(_printed(values, measure, pair, row) is not None for row in values.study.rows)


def _has_any_printed(values: Values, measures: Sequence[Measure]) -> bool:
    return any(_has_printed(values, m, pair) for m in measures for pair in values.pairs_of(m))


def _printed(values: Values, measure: Measure, pair: str, row: Row) -> float | None:
    """The published figure of the same task, metric and pair, in %."""
    if measure.way_text:
        return None
    alone = [p for p in values.pairs_of(measure) if "-" in p] == [pair]
    for name in (pair, "") if alone else (pair,):  # a study of one pair need not name it
        found = values.study.expected_of(row.name, name, measure.task, measure.metric)
        if found is not None:
            return 100 * found
    return None


def _published(study: StudyRecords, row: Row, task: tuple[str, str]) -> float | None:
    """Difference of a row's published figures from those of the reference, in points."""
    delta = study.expected_delta(row.name, *task)
    return None if delta is None else 100 * delta


def _task(task: tuple[str, str]) -> str:
    return metrics.TASKS.get(task[0], task[0])


LOOKS = list(zip(style.CYCLE, style.MARKERS, strict=True))


def _figure(values: Values, measures: Sequence[Measure]) -> Figure | None:
    """None where no row but the reference has a value, or it has none."""
    study = values.study
    panels = []
    data: dict[str, dict[str, float]] = {}
    series = []
    for task, (colour, marker) in zip(study.expected_tasks, reversed(LOOKS), strict=False):
        printed = {row.name: _published(study, row, task) for row in study.rows}
        found = {row: delta for row, delta in printed.items() if delta is not None}
        data[f"published, {_task(task)}"] = found
        points = {row: dots.Dot(delta) for row, delta in found.items()}
        name = f"published: {_task(task)}"
        series.append(dots.Series(name, points, colour, marker, open=True))
    if series:
        panels.append(dots.Panel("published", "Δ, points", series, {"no difference": 0.0}))
    looks = itertools.cycle(LOOKS)  # one legend tells the series of both panels apart
    for tells, title in ((metrics.TRANSFER, "transfer, ours"), (metrics.SPACE, "space, ours")):
        rates = [m for m in measures if values.shown(m).scale == 100]
        chosen = [m for m in rates if values.shown(m).tells == tells][: len(LOOKS)]
        series = []
        for measure in chosen:
            deltas = {
                row.name: delta
                for row in study.rows
                if (delta := values.delta(row.name, measure, TOP)) is not None
            }
            if not deltas:  # the reference, or all but it, has no value
                continue
            colour, marker = next(looks)
            points = {
                row: dots.Dot(
                    100 * d.mean,
                    None if d.low is None else 100 * d.low,
                    None if d.high is None else 100 * d.high,
                )
                for row, d in deltas.items()
            }
            data[values.title(measure)] = {row: dot.value for row, dot in points.items()}
            series.append(dots.Series(values.shown(measure).short, points, colour, marker))
        if series:
            panels.append(dots.Panel(title, "Δ at the top layer", series, {"no difference": 0.0}))
    if not panels:
        return None
    groups = [(t, [(r.name, r.shown) for r in rows]) for t, rows in study.groups().items()]
    columns = [Column("row", text=True), *(Column(name) for name in data)]
    rows = [
        (
            title,
            [
                [
                    cells.text(row.shown),
                    *(_delta_cell(found.get(row.name)) for found in data.values()),
                ]
                for row in rows
            ],
        )
        for title, rows in study.groups().items()
    ]
    caption = "What each row loses against the reference, with 95 % intervals over seeds"
    return Figure(
        "deltas",
        f"{caption}{'; published differences beside ours' if study.expected_tasks else ''}.",
        "Dot plot of the differences of every row from the reference row, a panel for the "
        "published ones and one for each kind of measure. The numbers are in the table below.",
        lambda: dots.draw(groups, panels),
        Table("deltas", "Differences as drawn.", columns, rows),
    )


def _agreement(values: Values, measures: Sequence[Measure]) -> Table | None:
    """Rank correlation of a measure with the paper's mean difference, over rows that both have."""
    rows = []
    for measure in measures:
        found = [_against_paper(values, measure, where) for where in (TOP, BEST)]
        if any(found):
            n = next(c.n for c in found if c)
            rows.append(
                [
                    cells.text(values.title(measure)),
                    cells.count(n),
                    *map(cells.correlation, found),
                ]
            )
    if not rows:
        return None
    columns = [
        Column("measure", text=True),
        Column("rows"),
        Column("top layer"),
        Column("best layer"),
    ]
    caption = (
        "Does a measure order the rows as the published figures do? Spearman's rank correlation "
        "[95 % interval] with their mean Δ over tasks."
    )
    return Table("agreement", caption, columns, [("", rows)])


def _against_paper(values: Values, measure: Measure, where: str) -> Correlation | None:
    ours, theirs = [], []
    for row in values.study.rows:
        found = [_published(values.study, row, task) for task in values.study.expected_tasks]
        published = [delta for delta in found if delta is not None]
        level = mean_level(values, row.name, measure, where)
        if published and len(published) == len(found) and level is not None:
            ours.append(level)
            theirs.append(statistics.fmean(published))
    return spearman(ours, theirs)


def mean_level(values: Values, row: str, measure: Measure, where: str) -> float | None:
    """Mean over the pairs of two languages, and over seeds."""
    pairs = values.pairs_of(measure)
    pairs = [p for p in pairs if "-" in p] or pairs
    spreads = [values.spread(row, pair, measure, where) for pair in pairs]
    if not spreads or None in spreads:
        return None  # a mean over other pairs would not be the same thing
    return statistics.fmean(s.mean for s in spreads if s is not None)
