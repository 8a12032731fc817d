"""What a person sees of zero-shot transfer: a table of results and every setting below; through a
map, a table and a figure by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from xl_jax.analysis.record import Record
from xl_jax.errors import printable
from xl_jax.report import metrics, style
from xl_jax.report.figures import finish
from xl_jax.report.plots.lines import Line, plot
from xl_jax.report.tables import MAPPED, aligned, layers, percent


def show(records: Sequence[Record], metric: str) -> None:
    """Prints the results, and every setting by the metric that settings are chosen by."""
    print(f"\n{results(records)}\n\n{settings(records, metric)}")


def show_mapped(records: Sequence[Record], figure: Path) -> None:
    """Prints and draws the results by layer."""
    print(f"\n{by_layer(records)}")
    draw(records, figure)
    print(f"\nfigure: {figure}")


def results(records: Sequence[Record]) -> str:
    """A row a language and encoder: the mean of the best settings, see `spread`."""
    rows = [r for r in records if r.has(kind="result")]
    names = metrics.order(r.metric for r in rows)
    beside = [k for k in ("chance", "majority") if any(r.get(k) is not None for r in rows)]
    first = rows[0]
    best = len(first.get("best")) // first.get("seeds")
    title = (
        f"trained on {first.source}, mean of the best {best} of {first.get('settings')} settings"
    )
    table = [[f"{title}, %", *(metrics.shown(m).short for m in names), *beside, "items"]]
    for model, target in dict.fromkeys((r.model, r.target) for r in rows):
        mine = {r.metric: r for r in rows if r.has(model=model, target=target)}
        one = mine[names[0]]
        cells = [spread(mine[m]) for m in names]
        name = f"  {target}" + ("" if model == "trained" else f", {model} encoder")
        table.append([name, *cells, *(percent(one.get(k)) for k in beside), f"{one.n:,}"])
    return aligned(table)


def settings(records: Sequence[Record], metric: str) -> str:
    """A row a setting: its score on the development set and on every language."""
    rows = [r for r in records if r.has(kind="setting", metric=metric)]
    targets = list(dict.fromkeys(r.target for r in rows))
    keys = ("model", "seed", "batch", "lr", "head_lr")
    table = [["encoder", "seed", "batch", "lr", "head lr", "epoch", "dev", *targets]]
    found: dict[Any, dict[str, Record]] = {}
    for r in rows:
        found.setdefault(tuple(r.get(k) for k in keys), {})[r.target] = r
    for setting, of_target in found.items():
        one = next(iter(of_target.values()))
        cells = [f"{x:g}" if isinstance(x, float) else str(x) for x in setting]
        values = (percent(of_target[t].value if t in of_target else None) for t in targets)
        table.append([*cells, str(one.get("epoch")), percent(one.get("dev")), *values])
    return aligned(table)


def spread(result: Record) -> str:
    """Its value with (standard deviation over seeds), or [interval] of a single setting."""
    text = percent(result.value)
    if result.get("sd") is not None:
        return f"{text} ({100 * result.get('sd'):.1f})"
    if result.low is not None:
        return f"{text} [{percent(result.low)}-{percent(result.high)}]"
    return text


def lines(records: Sequence[Record], metric: str) -> dict[str, dict[int, Record]]:
    """name of a line -> layer -> result: the source language, and the target by kind of map."""
    found: dict[str, dict[int, Record]] = {}
    for r in records:
        if r.has(kind="result", metric=metric) and r.layer is not None:
            name = r.target
            if r.target != r.source:
                name += f", {MAPPED.get(r.get('map'), 'no map')}"
            if r.model != "trained":
                name += f", {r.model} encoder"
            found.setdefault(name, {})[r.layer] = r
    return found


def by_layer(records: Sequence[Record]) -> str:
    """A table a metric."""
    columns = layers(records)
    tables = []
    for metric in metrics.order(r.metric for r in records):
        rows = [[f"{metrics.shown(metric).short} %, through layer", *map(str, columns)]]
        for name, by in lines(records, metric).items():
            rows.append([f"  {name}", *(spread(by[n]) if n in by else "" for n in columns)])
        if len(rows) > 1:
            tables.append(aligned(rows))
    return "\n\n".join(tables)


@style.applied()
def draw(records: Sequence[Record], path: Path) -> None:
    """A panel a metric."""
    names = [m for m in metrics.order(r.metric for r in records) if lines(records, m)]
    figure = Figure(figsize=(4.2 * len(names), 4))
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, metric in zip(axes, names, strict=True):
        for number, (name, by) in enumerate(lines(records, metric).items()):
            line = Line(name, list(by), [100 * r.value for r in by.values()])
            if all(r.low is not None for r in by.values()):
                low, high = ([100 * r.get(end) for r in by.values()] for end in ("low", "high"))
                line = line._replace(low=low, high=high)
            colour, marker = (x[number % len(x)] for x in (style.CYCLE, style.MARKERS))
            plot(axis, [line._replace(colour=colour, marker=marker)])
        shown = [r for r in records if r.metric == metric]
        one = next((r for r in shown if r.target != r.source), shown[0])
        notes = printable(f"{one.source} to {one.target}, {one.n:,} items")
        axis.set_title(f"{metrics.shown(metric).title}\n{notes}")
        axis.set(xlabel="layer (0 = embeddings)")
        axis.set_xticks(layers(shown))
        finish(axis)
    style.lay_out(figure)
    style.save(figure, path)
