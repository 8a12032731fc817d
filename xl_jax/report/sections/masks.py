"""Each measure by row, with its interval and the row's own untrained model."""

from collections.abc import Iterator, Sequence

from xl_jax.report import cells, style
from xl_jax.report.document import Cell, Column, Figure, Section, Table
from xl_jax.report.metrics import Shown
from xl_jax.report.plots import dots
from xl_jax.report.values import BEST, TOP, Measure, Values

ABREAST = 3  # panels of a figure
# label, where, model, colour, marker, open
KINDS = (
    ("trained, top layer", TOP, "trained", style.BLUE, "o", False),
    ("trained, best layer", BEST, "trained", style.ORANGE, "D", False),
    ("untrained, best layer", BEST, "untrained", style.GREY, "s", True),
)


def section(values: Values) -> Section | None:
    figures = list(_figures(values))
    if not figures:
        return None
    several = len(values.study.seeds) > 1
    spread = "Bars are 95 % intervals of the mean over seeds (Student's t), ticks single seeds"
    one = "Bars are 95 % intervals over test items"
    text = [
        f"{spread if several else one}{'; of a single seed, over test items' if several else ''}. "
        "The untrained model is each row's own: the same mask and vocabulary before any step. The "
        "best layer of each run is chosen on its test items (a linear probe's on development "
        "data), for the untrained model too. Chance is that of the top layer."
    ]
    return Section("masks", "Every measure by row", text, figures, values.study.command)


def _figures(values: Values) -> Iterator[Figure]:
    panels = [(m, p) for m in values.main_measures() for p in values.pairs_of(m)]
    by_figure: list[list[tuple[Measure, str]]] = []
    several = sum("-" in pair for pair in values.pairs) > 1
    for measure, pair in panels:  # pairs of one measure together, or measures of the one pair
        new = not by_figure or len(by_figure[-1]) == ABREAST
        if new or (several and by_figure[-1][-1][0] != measure):
            by_figure.append([])
        by_figure[-1].append((measure, pair))
    for number, chosen in enumerate(by_figure, 1):
        yield _figure(values, f"masks_{number}", chosen)


def _figure(values: Values, name: str, chosen: Sequence[tuple[Measure, str]]) -> Figure:
    study = values.study
    groups = [(t, [(r.name, r.shown) for r in rows]) for t, rows in study.groups().items()]
    measures = list(dict.fromkeys(m for m, _ in chosen))
    titles = "; ".join(values.title(m) for m in measures)
    return Figure(
        name,
        f"{titles}, by row.",
        f"Dot plot with a line for every row of the study: {titles}. The numbers are in the table "
        "below.",
        lambda: dots.draw(groups, [_panel(values, m, p, len(measures)) for m, p in chosen]),
        _table(values, name, chosen),
    )


def _panel(values: Values, measure: Measure, pair: str, measures: int) -> dots.Panel:
    shown = values.shown(measure)
    layered = bool(values.layers(measure))
    series = []
    for label, where, model, colour, marker, is_open in KINDS:
        if not layered and label == KINDS[1][0]:
            continue
        found = {
            row.name: dot
            for row in values.study.rows
            if (dot := _dot(values, (row.name, pair, measure, where, model), shown)) is not None
        }
        if found:
            series.append(dots.Series(label, found, colour, marker, is_open))
    chances = [values.chance(row.name, pair, measure) for row in values.study.rows]
    known = [c for c in chances if c is not None]
    lines = {"chance": shown.scale * sum(known) / len(known)} if known else {}
    rate = shown.scale == 100 and not shown.lower
    title = values.name(measure) if measures > 1 else pair
    limits = (-4.0, 104.0) if rate else None
    return dots.Panel(title, f"{shown.unit}, {pair}", series, lines, limits)


def _dot(values: Values, what: tuple[str, str, Measure, str, str], shown: Shown) -> dots.Dot | None:
    row, pair, measure, where, model = what
    found = values.spread(row, pair, measure, where, model)
    if found is None:
        return None
    ends = (found.low, found.high)
    if found.n == 1 and model == "trained":
        ends = values.item_interval(row, pair, measure, where) or ends
    each = values.each_seed(row, pair, measure, where, model).values()
    low, high = (None if x is None else shown.scale * x for x in ends)
    return dots.Dot(shown.scale * found.mean, low, high, [shown.scale * b.value for b in each])


def _table(values: Values, name: str, chosen: Sequence[tuple[Measure, str]]) -> Table:
    columns = [Column("row", text=True)]
    for measure, pair in chosen:
        group = f"{values.title(measure)}, {pair}"
        columns.append(Column("top layer" if values.layers(measure) else "trained", group))
        columns.append(Column("95 %", group))
        if values.layers(measure):
            columns += [Column("best layer", group), Column("95 %", group), Column("layer", group)]
        columns += [Column("untrained", group), Column("chance", group), Column("seeds", group)]
    groups = []
    for title, rows in values.study.groups().items():
        lines = []
        for row in rows:
            line = [cells.text(row.shown)]
            for measure, pair in chosen:
                line += _cells(values, row.name, pair, measure)
            lines.append(line)
        groups.append((title, lines))
    return Table(name, "The numbers of the figure.", columns, groups)


def _cells(values: Values, row: str, pair: str, measure: Measure) -> list[Cell]:
    shown = values.shown(measure)
    found = []
    for where in (TOP, BEST) if values.layers(measure) else (TOP,):
        spread = values.spread(row, pair, measure, where)
        items = values.item_interval(row, pair, measure, where)
        found.append(cells.spread(spread, shown))
        if items and spread:
            spread = spread._replace(low=items[0], high=items[1])
        found.append(cells.interval(spread, shown))
        if where == BEST:
            chosen = values.each_seed(row, pair, measure, BEST).values()
            layers = sorted({best.layer for best in chosen if best.layer is not None})
            found.append(cells.text(", ".join(map(str, layers))))
    found.append(cells.spread(values.spread(row, pair, measure, BEST, "untrained"), shown))
    found.append(cells.value(values.chance(row, pair, measure), shown))
    found.append(cells.count(len(values.seeds(row, pair, measure)) or None))
    return found
