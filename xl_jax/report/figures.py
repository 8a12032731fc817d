"""Tidy records to pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from xl_jax.report.tables import (
    AS_IS,
    COMPARED,
    NAMES,
    Record,
    best_layer,
    blocks,
    kind,
    label,
    layers,
    mean,
)

CKA = ("cka", "cka_layers", "cka_retrieval_correlation")
STYLES = {
    "trained": dict(color="#0b6e99", marker="o"),
    "untrained": dict(color="#999999", marker="s"),
    "untrained target": dict(color="#c9a227", marker="^"),
}
LINES = {None: "-", "procrustes": "-.", "identity": (0, (4, 1, 1, 1, 1, 1)), "random": (0, (1, 3))}


def draw(records: Sequence[Record], title: str, path: Path) -> None:
    """What there is of these: values by layer, matrices of CKA, curves over checkpoints."""
    shown = blocks(records)
    grids = _matrices(records)
    curves = [r for r in records if r["metric"] == "multilinguality"]
    panels = len(shown) + len(grids) + bool(curves)
    figure = Figure(figsize=(4.2 * panels, 3.4 + 0.1 * _most_rows(shown)))
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for axis, (name, block) in zip(axes, shown, strict=False):
        _by_layer(axis, name, block)
    for axis, (name, grid) in zip(axes[len(shown) :], grids, strict=False):
        image = axis.imshow(grid, vmin=0, vmax=1, origin="lower", cmap="viridis")
        axis.set(title=name, xlabel="layer of the target", ylabel="layer of the source")
        figure.colorbar(image, ax=axis, shrink=0.8)
    if curves:
        _curves(axes[-1], curves)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def _most_rows(shown: list[tuple[str, list[Record]]]) -> int:
    return max((len({tuple(kind(r).values()) for r in block}) for _, block in shown), default=0)


def _by_layer(axis: Any, title: str, block: list[Record]) -> None:
    """Value by layer with its interval (of both directions: their mean), a line a kind, chance."""
    columns = layers(block)
    for key in dict.fromkeys(tuple(kind(r).values()) for r in block):
        first = next(r for r in block if tuple(kind(r).values()) == key)
        here = [n for n in columns if mean(block, layer=n, **kind(first)) is not None]
        values = [mean(block, layer=n, **kind(first)) for n in here]
        line: Any = "--" if first.get("centred") else LINES.get(first.get("map"), "-")
        style: Any = dict(STYLES[first["model"]])
        if first.get("criterion") == "csls":
            style |= {"markerfacecolor": "white"}
        points = np.asarray(values, float) * 100
        axis.plot(here, points, linestyle=line, label=label(first), markersize=5, **style)
        if first.get("low") is not None:
            edges = [
                [mean(block, k, layer=n, **kind(first)) for n in here] for k in ("low", "high")
            ]
            low, high = 100 * np.asarray(edges, float)
            axis.fill_between(here, low, high, color=style["color"], alpha=0.12, linewidth=0)
    chance = [100 * (mean(block, "chance", layer=n, model="trained") or 0) for n in columns]
    axis.plot(columns, chance, ":", color="#c44", label="chance")
    name = title.partition(" (")[0]
    axis.set(title=name, xlabel="layer (0 = embeddings)", ylim=(-3, 103))
    axis.set_xticks(columns)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=7)


def _matrices(records: Sequence[Record]) -> list[tuple[str, np.ndarray]]:
    """CKA of all layers with all, where it was asked for alone."""
    here = [r for r in records if r["metric"] == "cka_layers"]
    if any(r["metric"] not in CKA for r in records):
        return []
    found = []
    for key in dict.fromkeys((r["source"], r["target"], r["model"]) for r in here):
        block = [r for r in here if (r["source"], r["target"], r["model"]) == key]
        size = 1 + np.max([(r["layer"], r["target_layer"]) for r in block], axis=0)
        grid = np.zeros(size)
        for r in block:
            grid[r["layer"], r["target_layer"]] = r["value"]
        found.append((f"CKA {key[0]}-{key[1]}, {key[2]}", grid))
    return found


def _curves(axis: Any, records: Sequence[Record]) -> None:
    """The multilinguality score over training."""
    for pair in dict.fromkeys((r["source"], r["target"]) for r in records):
        for name, line in (("theirs", "-"), ("all", "--")):
            mine = [r for r in records if (r["source"], r["target"], r["layers"]) == (*pair, name)]
            steps = [r["step"] for r in mine]
            text = "their layers" if name == "theirs" else "all layers"
            label = f"{'-'.join(pair)}, {text}"
            axis.plot(steps, [r["value"] for r in mine], line, marker="o", label=label)
            axis.fill_between(steps, *([r[k] for r in mine] for k in ("low", "high")), alpha=0.12)
    axis.set(title="multilinguality score", xlabel="step", ylim=(-0.03, 1.03))
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=7)


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
