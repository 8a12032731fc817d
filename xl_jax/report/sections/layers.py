"""Each measure by layer, a panel a row."""

from collections.abc import Iterator

from xl_jax.analysis.spread import Spread
from xl_jax.report import cells, style
from xl_jax.report.document import Column, Figure, Section, Table
from xl_jax.report.metrics import Shown
from xl_jax.report.plots import lines
from xl_jax.report.values import Measure, Values

LOOKS = (
    (style.BLUE, "-", "o"),
    (style.GREEN, (0, (4, 2)), "^"),
    (style.ORANGE, (0, (6, 1.5, 1, 1.5)), "D"),
    (style.PURPLE, (0, (3, 1, 1, 1, 1, 1)), "v"),
)
UNTRAINED = (style.GREY, (0, (4, 3)), "s")
SHOWN = len(LOOKS)  # ways of scoring in one figure


def section(values: Values) -> Section | None:
    figures = list(_figures(values))
    if not figures:
        return None
    text = [
        "Layer 0 is the embeddings. Lines are means over seeds, bands their 95 % intervals; the "
        "grey line is the row's own untrained model, the dotted one chance."
    ]
    return Section("layers", "By layer", text, figures, values.study.command)


def _figures(values: Values) -> Iterator[Figure]:
    number = 0
    for main in values.main_measures():
        ways = [m for m in values.ways_of(main) if len(values.layers(m)) > 1][:SHOWN]
        if not ways:
            continue
        for pair in values.pairs_of(ways[0]):
            number += 1
            yield _figure(values, f"layers_{number}", ways, pair)


def _figure(values: Values, name: str, ways: list[Measure], pair: str) -> Figure:
    first, shown = ways[0], values.shown(ways[0])
    title = f"{shown.title}, {pair}"
    models = [(way, "trained") for way in ways] + [(first, "untrained")]
    limits = (-4, 104) if shown.scale == 100 else None
    axis = lines.Axis("layer", shown.unit, limits, values.layers(first))
    rows = [row for row in values.study.rows if values.seeds(row.name, pair, first)]
    return Figure(
        name,
        f"{title}, by layer.",
        f"A panel for every row of the study: {title}. The numbers are in the table below.",
        lambda: lines.multiples(
            [lines.Panel(row.shown, _lines(values, row.name, pair, models, shown)) for row in rows],
            axis,
        ),
        _table(values, name, pair, models, shown),
    )


def _label(measure: Measure, model: str) -> str:
    if model == "untrained":
        return "untrained"
    return measure.way_text or "trained"


def _lines(
    values: Values, row: str, pair: str, models: list[tuple[Measure, str]], shown: Shown
) -> list[lines.Line]:
    found = []
    for number, (measure, model) in enumerate(models):
        by = _by_layer(values, row, pair, measure, model)
        if not by:
            continue
        colour, dashes, marker = UNTRAINED if model == "untrained" else LOOKS[number]
        line = lines.of_spreads(_label(measure, model), by, shown.scale, colour=colour)
        is_open = model == "untrained"
        found.append(line._replace(dashes=dashes, marker=marker, open=is_open))
    chances = values.chances(row, pair, models[0][0])
    layers = sorted(n for n in chances if n is not None)
    if layers:
        level = [shown.scale * chances[n] for n in layers]
        line = lines.Line("chance", layers, level, colour=style.RED, marker="")
        found.append(line._replace(dashes=(0, (1, 2))))
    return found


def _by_layer(
    values: Values, row: str, pair: str, measure: Measure, model: str
) -> dict[int, Spread]:
    every = {
        n: values.spread_at_layer(row, pair, measure, n, model) for n in values.layers(measure)
    }
    return {n: s for n, s in every.items() if s is not None}


def _table(
    values: Values, name: str, pair: str, models: list[tuple[Measure, str]], shown: Shown
) -> Table:
    layers = values.layers(models[0][0])
    columns = [
        Column("row", text=True),
        Column("model", text=True),
        *(Column(str(n), "layer") for n in layers),
    ]
    groups = []
    for title, rows in values.study.groups().items():
        found = []
        for row in rows:
            for measure, model in models:
                by = _by_layer(values, row.name, pair, measure, model)
                if by or (measure, model) == models[0]:
                    numbers = [cells.spread(by.get(n), shown) for n in layers]
                    label = cells.text(_label(measure, model))
                    found.append([cells.text(row.shown), label, *numbers])
        groups.append((title, found))
    return Table(name, "Mean (standard deviation over seeds) by layer.", columns, groups)
