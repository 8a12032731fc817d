"""What a person sees of tasks through a map: a table and a figure by layer."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from xl_jax.config import Probe as Asked
from xl_jax.grid import Record
from xl_jax.mapped import through_map
from xl_jax.probe import Probe
from xl_jax.report.tables import MAPPED, aligned
from xl_jax.report.transfer import SHOWN, spread
from xl_jax.rundir import Run
from xl_jax.tuning import Tuning


def show_mapped(run: Run, other: Run | None, asked: Asked, tuning: Tuning) -> None:
    """Fine-tunes and scores what is not there yet, prints and draws the results by layer.

    Raises:
      InputError, Interrupted, FloatingPointError: see `mapped.through_map`.
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
