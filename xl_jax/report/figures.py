"""Tidy records to pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xl_jax.report.tables import AS_IS, COMPARED, NAMES, Record, best_layer, layers, mean

STYLES = {
    "trained": dict(color="#0b6e99", marker="o"),
    "untrained": dict(color="#999999", marker="s"),
}


def by_layer(records: Sequence[Record], title: str, path: Path) -> None:
    """A panel a metric: value by layer, trained and untrained, and chance."""
    metrics = [m for m in NAMES if any(r["metric"] == m for r in records)]
    figure = Figure(figsize=(4.2 * len(metrics), 3.4))
    axes = figure.subplots(1, len(metrics), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        here = [r for r in records if r["metric"] == metric]
        columns = layers(here)
        for model, style in STYLES.items():
            for centred in (False, True) if metric != "cka" else (None,):
                values = [mean(here, model=model, layer=n, centred=centred) for n in columns]
                if None in values:
                    continue
                label = model + (", languages centred" if centred else "")
                line = "--" if centred else "-"
                shown = [100 * v for v in values if v is not None]
                axis.plot(columns, shown, line, label=label, markersize=5, **style)
        chance = [100 * (mean(here, "chance", layer=n, model="trained") or 0) for n in columns]
        axis.plot(columns, chance, ":", color="#c44", label="chance")
        axis.set(title=NAMES[metric], xlabel="layer (0 = embeddings)", ylim=(-3, 103))
        axis.set_xticks(columns)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def compare(runs: Mapping[str, Sequence[Sequence[Record]]], title: str, path: Path) -> None:
    """One row a setting: best layer of word translation and sentence retrieval, a dot a seed, a bar
    at their mean; the untrained model and chance as lines. `runs`: setting -> records by seed."""
    names = list(runs)
    figure = Figure(figsize=(9, 1.2 + 0.42 * len(names)))
    axes = figure.subplots(1, len(COMPARED), sharey=True, squeeze=False)
    for axis, metric in zip(axes[0], COMPARED, strict=True):
        everything = [r for seeds in runs.values() for records in seeds for r in records]
        for row, name in enumerate(names):
            values = [100 * best_layer(records, metric, **AS_IS)[1] for records in runs[name]]
            axis.barh(row, np.mean(values), height=0.62, color="#0b6e99", alpha=0.35)
            axis.plot(values, [row] * len(values), "o", color="#0b6e99", markersize=5)
            axis.text(np.mean(values) + 2.5, row - 0.33, f"{np.mean(values):.0f}", fontsize=8)
        untrained = best_layer(everything, metric, model="untrained", centred=False)[1]
        chance = mean(everything, "chance", metric=metric) or 0
        axis.axvline(100 * untrained, color="#999999", label="untrained, best layer")
        axis.axvline(100 * chance, color="#c44", linestyle=":", label="chance")
        axis.set(xlim=(0, 108), title=NAMES[metric] + ", best layer")
        axis.set_yticks(range(len(names)), names)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()
    axes[0][1].legend(frameon=False, fontsize=8, loc="lower right")
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
