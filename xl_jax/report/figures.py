"""The figure of a run's records, or of some of them: values by layer, matrices, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from xl_jax.analysis.record import Record
from xl_jax.errors import InputError, printable
from xl_jax.report import metrics, style
from xl_jax.report.plots import heat, lines
from xl_jax.report.tables import Block, blocks, kind, kinds, label, layers, mean, of_layers

CKA = ("cka", "cka_debiased", "cka_retrieval_correlation", "best_layer")
ALIKE = ("anc", "procrustes_similarity")
COLOURS = {"trained": style.BLUE, "untrained": style.GREY, "untrained target": style.ORANGE}
# by way of bringing the languages together: line and marker
WAYS: dict[Any, tuple[Any, str]] = {
    None: ("-", "o"),
    "centred": ((0, (4, 2)), "s"),
    "procrustes": ((0, (6, 1.5, 1, 1.5)), "^"),
    "identity": ((0, (3, 1, 1, 1, 1, 1)), "v"),
    "random": ((0, (1, 2)), "D"),
}
LEGEND: dict[str, Any] = dict(fontsize=7, handlelength=4)


def plot_layers(
    rows: Sequence[Mapping[str, Any]], path: str | Path | None = None, title: str = ""
) -> Figure:
    """The figure of records as `xl_jax.load(...).records()` gives them, or of some of them.

    Args:
      path: a .png to write; a .pdf of the same name is written beside it.

    Raises:
      InputError: none of the records has a layer.
    """
    records = [Record.from_json(row) for row in rows]
    if not blocks(records):
        raise InputError(f"none of the {len(records)} records is a value by layer")
    figure = by_layer(records, title)
    if path is not None:
        style.save(figure, Path(path))
    return figure


@style.applied()
def by_layer(records: Sequence[Record], title: str) -> Figure:
    """What there is of these: values by layer, matrices of CKA, curves over checkpoints."""
    shown = blocks(_debiased(records))
    grids = _matrices(records)
    curves = [r for r in records if r.metric == "multilinguality"]
    panels = len(shown) + len(grids) + bool(curves)
    figure = Figure(figsize=(4.2 * panels, 4))
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for axis, block in zip(axes, shown, strict=False):
        _panel(axis, block)
    for axis, grid in zip(axes[len(shown) :], grids, strict=False):
        mesh = heat.plot(axis, grid, (0, 100))
        axis.set_title(grid.title)
        axis.set(xlabel="layer of the target", ylabel="layer of the source")
        figure.colorbar(mesh, ax=axis, shrink=0.8)
    if curves:
        _curves(axes[-1], curves)
    figure.suptitle(printable(title))
    style.lay_out(figure)
    return figure


@style.applied()
def over_training(records: Sequence[Record]) -> Figure:
    """A panel a measure: its value by step, a line a layer, means over directions; by cosine and
    without a map, languages centred where there is a choice, and of a probe what arrives in other
    languages."""
    plain = [r for r in _debiased(records) if r.has(map=None) and r.get("at", 1) == 1]
    kept = [r for r in plain if r.get("criterion", "cosine") == "cosine"]
    kept = [r for r in kept if r.get("centred") is not False]
    kept = [r for r in kept if r.metric != "linear_probe" or r.source != r.target]
    kept = [r for r in kept if r.layer is not None and r.get("common", 1)]
    panels = []
    for metric in metrics.order(r.metric for r in kept):
        here = [r for r in kept if r.metric == metric]
        how, steps = metrics.shown(metric), sorted({r.step or 0 for r in here})
        of_layers = []
        for i, layer in enumerate(layers(here)):
            values = [how.scale * (mean(here, layer=layer, step=n) or 0) for n in steps]
            look: dict[str, Any] = {"colour": style.CYCLE[i % len(style.CYCLE)]}
            look["marker"] = style.MARKERS[i % len(style.MARKERS)]
            of_layers.append(lines.Line(f"layer {layer}", steps, values, **look))
        panels.append(lines.Panel(how.short, of_layers))
    return lines.multiples(panels, lines.Axis("step", "% or x100", log=True))


def _panel(axis: Any, block: Block) -> None:
    """Value by layer with its interval (of both directions: their mean), a line a kind, chance."""
    columns = layers(block.records)
    scale = metrics.shown(block.records[0].metric, [r.value for r in block.records]).scale
    found = []
    for first in kinds(block.records):
        here = [n for n in columns if mean(block.records, layer=n, **kind(first)) is not None]
        way = "centred" if first.get("centred") else first.get("map")
        dashes, marker = WAYS.get(way, WAYS[None])

        def of(key: str, here: list[int] = here, first: Record = first) -> list[float]:
            values = [mean(block.records, key, layer=n, **kind(first)) for n in here]
            return [scale * (np.nan if v is None else v) for v in values]

        line = lines.Line(label(first), here, of("value"), dashes=dashes, marker=marker)
        line = line._replace(colour=COLOURS.get(first.model, style.INK))
        if first.low is not None:
            line = line._replace(low=of("low"), high=of("high"))
        found.append(line._replace(open=first.get("criterion") == "csls"))
    chance = [
        scale * (mean(block.records, "chance", layer=n, model="trained") or 0) for n in columns
    ]
    found.append(lines.Line("chance", columns, chance, colour=style.RED, marker=""))
    lines.plot(axis, found)
    axis.set_title(f"{block.title}\n{printable(block.notes)}")
    axis.set(xlabel="layer (0 = embeddings)", ylim=(-3, 103) if scale == 100 else None)
    axis.set_xticks(columns)
    finish(axis)


def finish(axis: Any) -> None:
    """A legend below the axis."""
    columns = 1 + (len(axis.get_lines()) > 6)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=columns, **LEGEND)


def _debiased(records: Sequence[Record]) -> list[Record]:
    """Without CKA as it is where it stands debiased beside it: few items make the former large."""
    there = any(r.metric == "cka_debiased" for r in records)
    return [r for r in records if not (there and r.metric == "cka")]


def _matrices(records: Sequence[Record]) -> list[heat.Heat]:
    """CKA of all layers with all, where nothing else was measured."""
    here: list[Record] = []
    for metric in heat.MATRICES:
        here = here or [r for r in records if r.metric == metric]
    if any(r.metric not in (*CKA, *heat.MATRICES, *ALIKE) for r in records):
        return []
    found = []
    for source, target, model in dict.fromkeys((r.source, r.target, r.model) for r in here):
        block = [r for r in here if r.has(source=source, target=target, model=model)]
        notes = f"{source}-{target}, {block[0].n:,} {block[0].data}"
        what = "debiased CKA" if block[0].metric == heat.MATRICES[0] else "CKA"
        title = f"{what} x100, {label(block[0])}\n{printable(notes)}"
        found.append(heat.of_layers(block, title))
    return found


def _curves(axis: Any, records: Sequence[Record]) -> None:
    """The multilinguality score over training."""
    pairs = dict.fromkeys((r.source, r.target) for r in records)
    for number, (source, target) in enumerate(pairs):
        for name, dashes, marker in (("theirs", "-", "o"), ("all", (0, (4, 2)), "s")):
            mine = [r for r in records if r.has(source=source, target=target, layers=name)]
            values, low, high = ([r.get(k) for r in mine] for k in ("value", "low", "high"))
            text = f"{source}-{target}, {of_layers(mine[0])}"
            steps = [r.step or 0 for r in mine]
            line = lines.Line(text, steps, values, low, high, dashes=dashes, marker=marker)
            lines.plot(axis, [line._replace(colour=style.CYCLE[number % len(style.CYCLE)])])
    axis.set(xlabel="step", ylim=(-0.03, 1.03))
    axis.set_title("multilinguality score")
    finish(axis)
