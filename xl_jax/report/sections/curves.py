"""Over training: the loss and held-out perplexity, and measures at the checkpoints kept."""

import dataclasses
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from xl_jax.analysis.curves import OVER_TRAINING, WAY
from xl_jax.analysis.record import Record
from xl_jax.analysis.spread import Spread, over_seeds
from xl_jax.report import cells
from xl_jax.report.document import Cell, Column, Figure, Section, Table
from xl_jax.report.metrics import Shown
from xl_jax.report.plots import lines
from xl_jax.report.values import TOP, Measure, Values, pair_of, way_of

# A line of training: its name in metrics.jsonl, title, whether the scale is that of ratios.
TRAINING = (
    ("loss", "training loss, nats per predicted token", False),
    ("heldout_ppl", "held-out perplexity, mean of the languages", True),
)
Curve = dict[int, Spread]  # step -> value over seeds
FEW = 12  # points that are marked
MOST = 60  # points of a line; further ones are left out evenly


def sections(values: Values) -> Iterator[Section]:
    training = list(_training(values))
    if training:
        text = [
            "Each panel is a row; the other rows stand behind it in grey. Means over seeds, bands "
            "are 95 % intervals."
        ]
        yield Section("training", "Training curves", text, training, values.study.command)
    learning: list[Table | Figure] = [*_learning(values), *_rises(values)]
    if learning:
        text = [
            "Measures at the checkpoints that were kept, at the top layer; step 0 is the untrained "
            "model. Steps are on a logarithmic scale from the first checkpoint on."
        ]
        yield Section("learning", "Learning curves", text, learning, values.study.command)


def _training(values: Values) -> Iterator[Figure]:
    for name, title, log_y in TRAINING:
        curves = {
            row.name: curve
            for row in values.study.rows
            if (curve := _of_row(values, row.name, name))
        }
        if curves:
            common = lines.Axis("step", title.partition(",")[0], log_y=log_y)
            shown = Shown(title, scale=1.0, digits=2)
            yield _figure(values, f"training_{name}", title, curves, common, shown)


def _of_row(values: Values, row: str, name: str) -> Curve:
    found: dict[int, list[float]] = defaultdict(list)
    for run in values.study.of_row(row):
        for step, value in sorted(_lines(run.training, name).items()):
            found[step].append(value)
    return _thinned({step: over_seeds(v) for step, v in sorted(found.items())})


def _lines(training: Any, name: str) -> dict[int, float]:
    """step -> the value of that name, or the mean of NAME/LANGUAGE. A step that was made twice
    (after an interruption) counts once."""
    found = {}
    for line in training:
        each = {k: v for k, v in line.items() if re.fullmatch(rf"{name}/[^/]+", k)}
        chosen = [line[name]] if name in line else list(each.values())
        if chosen and all(isinstance(v, int | float) for v in chosen):
            found[line["step"]] = sum(chosen) / len(chosen)
    return found


def _learning(values: Values) -> Iterator[Figure]:
    number = 0
    for measure in values.main_measures():
        if not values.has_curves(measure):
            continue
        for pair in values.pairs_of(measure):
            number += 1
            yield _learning_figure(values, f"learning_{number}", measure, pair)


def _rises(values: Values) -> Iterator[Table]:
    """When each measure rises: of the records of curves, at the top layer."""
    rows = []
    for measure in values.main_measures():
        shown = values.shown(measure)
        for row in values.study.rows:
            of_pair: dict[str, list[Record]] = defaultdict(list)
            for run in values.study.of_row(row.name):
                for r in run.records:
                    if r.metric == OVER_TRAINING and _is_of(r, measure, values):
                        of_pair[pair_of(dataclasses.replace(r, metric=measure.metric))].append(r)
            for pair, found in sorted(of_pair.items()):
                names = [cells.text(f"{values.title(measure)}, {pair}"), cells.text(row.shown)]
                rows.append([*names, *_rise(found, shown)])
    if rows:
        titles = ("start", "half at step", "end", "peak", "peak at step")
        columns = [Column("measure", text=True), Column("row", text=True), *map(Column, titles)]
        caption = (
            "When each measure rises: means over seeds (and directions), at the top layer. Half of "
            "the way from start to end is passed between two measured steps."
        )
        yield Table("rises", caption, columns, [("", rows)])


def _is_of(record: Record, measure: Measure, values: Values) -> bool:
    """A summary has some of the fields that tell ways of scoring apart: all of those are alike."""
    told = [name for name in values.tells[measure.metric] if name in (*WAY, "data")]
    alike = way_of(record, told) == tuple(pair for pair in measure.way if pair[0] in told)
    top = max(values.layers(measure), default=None)
    return alike and record.has(of=measure.metric, layer=top)


def _rise(found: Sequence[Record], shown: Shown) -> list[Cell]:
    def over(name: str) -> float | None:
        known = [float(v) for r in found if (v := r.get(name)) is not None]
        return statistics.fmean(known) if known else None

    steps = [None if (v := over(name)) is None else round(v) for name in ("half_step", "peak_step")]
    start, end, peak = (cells.value(over(name), shown) for name in ("start", "value", "peak"))
    return [start, cells.count(steps[0]), end, peak, cells.count(steps[1])]


def _learning_figure(values: Values, name: str, measure: Measure, pair: str) -> Figure:
    shown = values.shown(measure)
    curves = {
        row.name: curve
        for row in values.study.rows
        if (curve := values.curve(row.name, pair, measure, TOP))
    }
    limits = (-4, 104) if shown.scale == 100 else None
    common = lines.Axis("step", shown.unit, limits, log=True)
    return _figure(values, name, f"{values.title(measure)}, {pair}", curves, common, shown)


def _figure(
    values: Values,
    name: str,
    title: str,
    curves: Mapping[str, Curve],
    common: lines.Axis,
    shown: Shown,
) -> Figure:
    rows = [row for row in values.study.rows if row.name in curves]
    every = {row.name: _line(curves[row.name], shown) for row in rows}

    def panel(row: str, label: str) -> lines.Panel:
        return lines.Panel(label, [every[row]], [x for r, x in every.items() if r != row])

    draw: Callable[[], Any] = lambda: lines.multiples(  # noqa: E731
        [panel(row.name, row.shown) for row in rows], common
    )
    columns = [Column("row", text=True), Column("step"), Column("mean (sd)"), Column("seeds")]
    data = [
        [
            cells.text(row.shown),
            cells.count(step),
            cells.spread(spread, shown),
            cells.count(spread.n),
        ]
        for row in rows
        for step, spread in curves[row.name].items()
    ]
    return Figure(
        name,
        f"{title[0].upper()}{title[1:]}, over training.",
        f"A panel for every row of the study: {title} by step. The numbers are in the table below.",
        draw,
        Table(name, "The points of the figure.", columns, [("", data)]),
    )


def _line(curve: Curve, shown: Shown) -> lines.Line:
    return lines.of_spreads("", curve, shown.scale, marker="o" if len(curve) <= FEW else "")


def _thinned(curve: Curve) -> Curve:
    every = max(1, -(-len(curve) // MOST))
    kept = list(curve)[::-1][::every][::-1]  # the last one always
    return {step: curve[step] for step in kept}
