"""Records to pictures: a PNG to look at, and a PDF of the same name beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from xl_jax.analysis.record import Record
from xl_jax.atomic_files import replacing
from xl_jax.errors import InputError, printable
from xl_jax.report.tables import (
    AS_IS,
    COMPARED,
    NAMES,
    Block,
    best_layer,
    blocks,
    kind,
    kinds,
    label,
    layers,
    mean,
    of_layers,
)

CKA = ("cka", "cka_debiased", "cka_retrieval_correlation", "best_layer")
MATRICES = ("cka_layers_debiased", "cka_layers")  # in order of preference
ALIKE = ("anc", "procrustes_similarity")
# Colours of Okabe and Ito (2008), which are told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, BLACK)
MARKERS = "osD^vPX"
COLOURS = {"trained": BLUE, "untrained": GREY, "untrained target": ORANGE}
# by way of bringing the languages together: line and marker
WAYS: dict[Any, tuple[Any, str]] = {
    None: ("-", "o"),
    "centred": ((0, (4, 2)), "s"),
    "procrustes": ((0, (6, 1.5, 1, 1.5)), "^"),
    "identity": ((0, (3, 1, 1, 1, 1, 1)), "v"),
    "random": ((0, (1, 2)), "D"),
}
LEGEND: dict[str, Any] = dict(frameon=False, fontsize=7, handlelength=4)


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
        save(figure, Path(path))
    return figure


def by_layer(records: Sequence[Record], title: str) -> Figure:
    """What there is of these: values by layer, matrices of CKA, curves over checkpoints."""
    shown = blocks(_debiased(records))
    grids = _matrices(records)
    curves = [r for r in records if r.metric == "multilinguality"]
    panels = len(shown) + len(grids) + bool(curves)
    figure = Figure(figsize=(4.6 * panels, 4))
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for axis, block in zip(axes, shown, strict=False):
        _panel(axis, block)
    for axis, (name, grid) in zip(axes[len(shown) :], grids, strict=False):
        image = axis.imshow(grid, vmin=0, vmax=1, origin="lower", cmap="viridis")
        axis.set(xlabel="layer of the target", ylabel="layer of the source")
        axis.set_title(name, fontsize=9)
        figure.colorbar(image, ax=axis, shrink=0.8)
    if curves:
        _curves(axes[-1], curves)
    figure.suptitle(printable(title), fontsize=10)
    lay_out(figure)
    return figure


def lay_out(figure: Figure) -> None:
    """Legends below the axes, which keep their height; names as they are written."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a dollar sign in a name is no formula
    legends = figure.findobj(Legend)
    for legend in legends:
        legend.set_in_layout(False)
    figure.tight_layout()
    for legend in legends:
        legend.set_in_layout(True)


def save(figure: Figure, path: Path) -> None:
    """Writes `path`, a .png, and the .pdf beside it; a link of that name is replaced, not
    followed."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=130, bbox_inches="tight")
    with replacing(path.with_suffix(".pdf")) as file:
        undated = {"CreationDate": None}
        figure.savefig(file, format="pdf", bbox_inches="tight", metadata=undated)


def _panel(axis: Any, block: Block) -> None:
    """Value by layer with its interval (of both directions: their mean), a line a kind, chance."""
    columns = layers(block.records)
    for first in kinds(block.records):
        here = [n for n in columns if mean(block.records, layer=n, **kind(first)) is not None]
        way = "centred" if first.get("centred") else first.get("map")
        line, marker = WAYS.get(way, WAYS[None])
        colour = COLOURS.get(first.model, BLACK)
        style: dict[str, Any] = dict(color=colour, linestyle=line, marker=marker, markersize=5)
        if first.get("criterion") == "csls":
            style |= {"markerfacecolor": "white"}

        def of(key: str, here: list[int] = here, first: Record = first) -> np.ndarray:
            values = [mean(block.records, key, layer=n, **kind(first)) for n in here]
            return 100 * np.asarray(values, float)

        axis.plot(here, of("value"), label=printable(label(first)), **style)
        if first.low is not None:
            axis.fill_between(here, of("low"), of("high"), color=colour, alpha=0.12, linewidth=0)
    chance = [mean(block.records, "chance", layer=n, model="trained") or 0 for n in columns]
    axis.plot(columns, 100 * np.asarray(chance), color=RED, linewidth=1, label="chance")
    axis.set_title(f"{block.title}\n{printable(block.notes)}", fontsize=9)
    axis.set(xlabel="layer (0 = embeddings)", ylim=(-3, 103))
    axis.set_xticks(columns)
    finish(axis)


def finish(axis: Any) -> None:
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    columns = 1 + (len(axis.get_lines()) > 6)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=columns, **LEGEND)


def _debiased(records: Sequence[Record]) -> list[Record]:
    """Without CKA as it is where it stands debiased beside it: few items make the former large."""
    there = any(r.metric == "cka_debiased" for r in records)
    return [r for r in records if not (there and r.metric == "cka")]


def _matrices(records: Sequence[Record]) -> list[tuple[str, np.ndarray]]:
    """CKA of all layers with all, where nothing else was measured."""
    here: list[Record] = []
    for metric in MATRICES:
        here = here or [r for r in records if r.metric == metric]
    if any(r.metric not in (*CKA, *MATRICES, *ALIKE) for r in records):
        return []
    found = []
    for source, target, model in dict.fromkeys((r.source, r.target, r.model) for r in here):
        block = [r for r in here if r.has(source=source, target=target, model=model)]
        values = {(r.layer or 0, r.get("target_layer")): r.value for r in block}
        grid = np.zeros(1 + np.max(list(values), axis=0))
        for at, value in values.items():
            grid[at] = value
        notes = printable(f"{source}-{target}, {block[0].n:,} {block[0].data}")
        what = "debiased CKA" if block[0].metric == MATRICES[0] else "CKA"
        found.append((f"{what}, {label(block[0])}\n{notes}", grid))
    return found


def _curves(axis: Any, records: Sequence[Record]) -> None:
    """The multilinguality score over training."""
    pairs = dict.fromkeys((r.source, r.target) for r in records)
    for number, (source, target) in enumerate(pairs):
        style: dict[str, Any] = dict(color=CYCLE[number % len(CYCLE)])
        for name, line, marker in (("theirs", "-", "o"), ("all", (0, (4, 2)), "s")):
            mine = [r for r in records if r.has(source=source, target=target, layers=name)]
            steps = [r.step for r in mine]
            values, low, high = ([r.get(k) for r in mine] for k in ("value", "low", "high"))
            text = printable(f"{source}-{target}, {of_layers(mine[0])}")
            axis.plot(steps, values, linestyle=line, marker=marker, label=text, **style)
            axis.fill_between(steps, low, high, alpha=0.12, linewidth=0, **style)
    axis.set(xlabel="step", ylim=(-0.03, 1.03))
    axis.set_title("multilinguality score", fontsize=9)
    finish(axis)


def compare(runs: Mapping[str, Sequence[Sequence[Record]]], title: str, path: Path) -> None:
    """One row a setting: best layer of word translation and sentence retrieval, a dot a seed, a bar
    at their mean; the untrained model and chance as lines. `runs`: setting -> records by seed."""
    names = list(runs)
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(names)))
    axes = figure.subplots(1, len(COMPARED), sharey=True, squeeze=False)
    for axis, metric in zip(axes[0], COMPARED, strict=True):
        everything = [r for seeds in runs.values() for records in seeds for r in records]
        for row, name in enumerate(names):
            values = [100 * best_layer(records, metric, **AS_IS)[1] for records in runs[name]]
            axis.barh(row, np.mean(values), height=0.62, color=BLUE, alpha=0.35)
            axis.plot(values, [row] * len(values), "o", color=BLUE, markersize=5)
            axis.text(np.mean(values) + 2.5, row - 0.33, f"{np.mean(values):.0f}", fontsize=8)
        untrained = best_layer(everything, metric, model="untrained", centred=False)[1]
        chance = mean(everything, "chance", metric=metric) or 0
        axis.axvline(100 * untrained, color=GREY, linestyle="--", label="untrained, best layer")
        axis.axvline(100 * chance, color=RED, linestyle=":", label="chance")
        axis.set(xlim=(0, 108))
        axis.set_title(f"{NAMES[metric]}\nbest layer on the test items", fontsize=9)
        axis.set_yticks(range(len(names)), [printable(name) for name in names])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].invert_yaxis()
    axes[0][1].legend(**{**LEGEND, "fontsize": 8, "loc": "lower right"})
    figure.suptitle(printable(title), fontsize=10)
    lay_out(figure)
    save(figure, path)
