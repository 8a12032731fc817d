"""What a person sees of zero-shot transfer: a table of results and every setting below; through a
map, a table and a figure by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from xl_jax.config import EvalOptions
from xl_jax.config.finetune import Tuning
from xl_jax.evaluate.context import Probe
from xl_jax.evaluate.mapped_transfer import through_map
from xl_jax.finetune.aggregate import Record
from xl_jax.finetune.transfer import Transfer
from xl_jax.report.tables import MAPPED, aligned, percent
from xl_jax.runs.run_directory import Run

SHOWN = {
    "accuracy": "accuracy",
    "f1": "span F1",
    "uas": "UAS",
    "las": "LAS",
    "uas_official": "UAS official",
    "las_official": "LAS official",
}


def show(run: Run, tuning: Tuning) -> None:
    """Fine-tunes and scores what is not there yet, prints the results.

    Raises:
      InputError, Interrupted, FloatingPointError: see `Transfer`.
    """
    transfer = Transfer(run, tuning)
    transfer.run_all()
    records = transfer.records()
    print(f"\n{results(records)}\n\n{settings(records, transfer.task.metric)}")
    print(f"\nrecords: {transfer.folder.with_suffix('.json')}")


def results(records: Sequence[Record]) -> str:
    """A row a language and encoder: the mean of the best settings, see `spread`."""
    rows = [r for r in records if r["kind"] == "result"]
    metrics = [m for m in SHOWN if any(r["metric"] == m for r in rows)]
    beside = [k for k in ("chance", "majority") if any(k in r for r in rows)]
    first = rows[0]
    best = len(first["best"]) // first["seeds"]
    title = f"trained on {first['source']}, mean of the best {best} of {first['settings']} settings"
    table = [[f"{title}, %", *(SHOWN[m] for m in metrics), *beside, "items"]]
    for model, target in dict.fromkeys((r["model"], r["target"]) for r in rows):
        mine = {r["metric"]: r for r in rows if (r["model"], r["target"]) == (model, target)}
        one = mine[metrics[0]]
        cells = [spread(mine[m]) for m in metrics]
        name = f"  {target}" + ("" if model == "trained" else f", {model} encoder")
        table.append([name, *cells, *(percent(one.get(k)) for k in beside), f"{one['n']:,}"])
    return aligned(table)


def settings(records: Sequence[Record], metric: str) -> str:
    """A row a setting: its score on the development set and on every language."""
    rows = [r for r in records if r["kind"] == "setting" and r["metric"] == metric]
    targets = list(dict.fromkeys(r["target"] for r in rows))
    keys = ("model", "seed", "batch", "lr", "head_lr")
    table = [["encoder", "seed", "batch", "lr", "head lr", "epoch", "dev", *targets]]
    found: dict[Any, dict[str, Record]] = {}
    for r in rows:
        found.setdefault(tuple(r[k] for k in keys), {})[r["target"]] = r
    for setting, of_target in found.items():
        one = next(iter(of_target.values()))
        cells = [f"{x:g}" if isinstance(x, float) else str(x) for x in setting]
        values = (percent(of_target[t]["value"] if t in of_target else None) for t in targets)
        table.append([*cells, str(one["epoch"]), percent(one["dev"]), *values])
    return aligned(table)


def spread(result: Record) -> str:
    """Its value with (standard deviation over seeds), or [interval] of a single setting."""
    text = percent(result["value"])
    if result["sd"] is not None:
        return f"{text} ({100 * result['sd']:.1f})"
    if "low" in result:
        return f"{text} [{percent(result['low'])}-{percent(result['high'])}]"
    return text


def show_mapped(run: Run, other: Run | None, asked: EvalOptions, tuning: Tuning) -> None:
    """Fine-tunes and scores what is not there yet, prints and draws the results by layer.

    Raises:
      InputError, Interrupted, FloatingPointError: see `mapped_transfer.through_map`.
    """
    records, path = through_map(Probe(run, other, asked), tuning)
    print(f"\n{by_layer(records)}")
    figure = path.with_suffix(".png")
    draw(records, figure)
    print(f"\nrecords: {path}\nfigure: {figure}")


def lines(records: Sequence[Record], metric: str) -> dict[str, dict[int, Record]]:
    """name of a line -> layer -> result: the source language, and the target by kind of map."""
    found: dict[str, dict[int, Record]] = {}
    for r in records:
        if r["kind"] == "result" and r["metric"] == metric:
            how = MAPPED.get(r["map"], "no map")
            name = r["target"] if r["target"] == r["source"] else f"{r['target']}, {how}"
            if r["model"] != "trained":
                name += f", {r['model']} encoder"
            found.setdefault(name, {})[r["layer"]] = r
    return found


def by_layer(records: Sequence[Record]) -> str:
    """A table a metric."""
    layers = sorted({r["layer"] for r in records})
    tables = []
    for metric, title in SHOWN.items():
        rows = [[f"{title} %, through layer", *map(str, layers)]]
        for name, by in lines(records, metric).items():
            rows.append([f"  {name}", *(spread(by[n]) if n in by else "" for n in layers)])
        if len(rows) > 1:
            tables.append(aligned(rows))
    return "\n\n".join(tables)


def draw(records: Sequence[Record], path: Path) -> None:
    """A panel a metric."""
    metrics = [m for m in SHOWN if lines(records, m)]
    figure = Figure(figsize=(4.2 * len(metrics), 3.4))
    for axis, metric in zip(
        figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
    ):
        for name, by in lines(records, metric).items():
            (line,) = axis.plot(list(by), [100 * r["value"] for r in by.values()], "o-", label=name)
            if all("low" in r for r in by.values()):
                low, high = ([100 * r[edge] for r in by.values()] for edge in ("low", "high"))
                axis.fill_between(list(by), low, high, color=line.get_color(), alpha=0.12)
        axis.set(title=f"{SHOWN[metric]} %", xlabel="layer (0 = embeddings)")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
