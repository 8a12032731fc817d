"""What a person sees of zero-shot transfer: a table of results, every setting below."""

from collections.abc import Sequence
from typing import Any

from xl_jax.grid import Record
from xl_jax.report.tables import aligned, percent
from xl_jax.rundir import Run
from xl_jax.transfer import Transfer
from xl_jax.tuning import Tuning

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
