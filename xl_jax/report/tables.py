"""Records to tables of plain text."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from xl_jax.analysis.record import Record
from xl_jax.errors import printable
from xl_jax.report import metrics
from xl_jax.report.metrics import Shown

KIND = ("vectors", "model", "centred", "map", "criterion", "spelling")  # tell rows apart
MAPPED = {"procrustes": "mapped", "identity": "means aligned", "random": "random map"}

BOTH_WAYS = ("word_translation", "sentence_retrieval")  # whose directions are one pair


class Block(NamedTuple):
    """The records of one metric and language pair at the last step: one table, one panel."""

    title: str
    notes: str  # the pair, the number of items, what else is special
    records: list[Record]


def mean(records: Iterable[Record], key: str = "value", **wanted: Any) -> float | None:
    """Mean of `key` over the records that have all `wanted` values, None where there is none."""
    values = [v for r in records if r.has(**wanted) and (v := r.get(key)) is not None]
    return statistics.fmean(values) if values else None


def layers(records: Iterable[Record]) -> list[int]:
    return sorted({r.layer for r in records if r.layer is not None})


def kind(record: Record) -> dict[str, Any]:
    """What a row of a table has in common."""
    return {key: record.get(key) for key in KIND}


def kinds(records: Iterable[Record]) -> list[Record]:
    """The first record of each kind, in their order."""
    return list({tuple(kind(r).values()): r for r in reversed(list(records))}.values())[::-1]


def label(record: Record) -> str:
    """A row's kind in words."""
    parts = [record.get("vectors"), record.model]
    if record.model == "untrained target":
        n = record.get("encoders")  # records of earlier versions have none
        parts += [f"{n} seeds" if n else "the run's own start"]
    parts += ["languages centred"] if record.get("centred") else []
    parts += [MAPPED.get(record.get("map", ""))]
    parts += ["CSLS"] if record.get("criterion") == "csls" else []
    parts += ["spelled differently"] if record.get("spelling") == "different" else []
    return ", ".join(filter(None, parts))


def blocks(records: Sequence[Record]) -> list[Block]:
    """A block for each metric and language pair."""
    found = []
    layered = [r for r in records if r.layer is not None and not r.get("kind")]
    for metric in metrics.order(r.metric for r in layered):
        here = [r for r in layered if r.metric == metric and r.get("at", 1) == 1]
        if not any(r.get("common", 1) for r in here):  # nothing was left out: it is there already
            continue
        pairs = {(r.source, r.target) for r in here}
        if metric.removesuffix("_different") in BOTH_WAYS:
            pairs = {(a, b) for a, b in pairs if (b, a) not in pairs or a <= b}
        for source, target in sorted(pairs):
            block = [r for r in here if {r.source, r.target} == {source, target}]
            last = max(r.step or 0 for r in block)
            block = [r for r in block if (r.step or 0) in (0, last)]
            first = block[0]
            notes = [f"{source}-{target}"]
            notes += [f"{first.n:,} {first.data or 'sentences'}"] if first.n is not None else []
            notes += ["special tokens counted"] if first.get("special_tokens") else []
            notes += ["debiased"] if first.get("debiased") else []
            notes += ["not centred"] if first.get("kernel_centred") is False else []
            found.append(Block(metrics.title(block), ", ".join(notes), block))
    return found


def by_layer(records: Sequence[Record], intervals: bool = False) -> str:
    """One table a metric: a row a kind, a column a layer (0 embeddings), mean of both directions
    (and over several random encoders, with their standard deviation); then chance.

    Args:
      intervals: a second row a kind: the ends of the intervals, means of both directions.
    """
    tables = []
    for title, notes, block in blocks(records):
        columns = layers(block)
        shown = metrics.shown(block[0].metric, [r.value for r in block])
        rows = [[f"{title} ({notes})", *(f"layer {n}" for n in columns)]]
        for first in kinds(block):
            name = label(first)
            if first.get("coverage") is not None:
                name += f" ({first.n:,} words, {percent(first.get('coverage'))} % covered)"
            cells = [_cell(shown, block, layer=n, **kind(first)) for n in columns]
            rows.append([f"  {name}", *cells])
            if intervals:
                spans = (_span(shown, block, layer=n, **kind(first)) for n in columns)
                rows.append(["    95 %", *spans])
        chance = [mean(block, "chance", layer=n, model="trained") for n in columns]
        rows.append(["  chance", *map(shown.text, chance)])
        if block[0].get("kernel_centred") is False:
            rows.append(
                ["  beware: without centring unrelated spaces with an offset come near 100"]
            )
            rows[-1] += [""] * len(columns)
        tables.append(aligned(rows))
    return "\n\n".join(tables)


def _cell(shown: Shown, block: Sequence[Record], **wanted: Any) -> str:
    sd = mean(block, "sd", **wanted)
    return shown.text(mean(block, **wanted)) + (f" ({shown.text(sd)})" if sd is not None else "")


def _span(shown: Shown, block: Sequence[Record], **wanted: Any) -> str:
    low, high = (mean(block, end, **wanted) for end in ("low", "high"))
    return "" if low is None else f"{shown.text(low)}-{shown.text(high)}"


def at_best_layer(records: Sequence[Record]) -> str:
    """Every kind at its best layer, a row a direction. If the test items chose the layer, the
    interval takes that into account."""
    best = [r for r in records if r.metric == "best_layer" and r.get("at", 1) == 1]
    rows = [["best layer, chosen on the test items", "layer", "value", "95 % interval", "chance"]]
    for metric in metrics.order(r.get("of", "") for r in best):
        here = [r for r in best if r.get("of") == metric and r.get("common", 1)]
        for pair in dict.fromkeys(frozenset((r.source, r.target)) for r in here):
            block = [r for r in here if frozenset((r.source, r.target)) == pair]
            shown = metrics.shown(metric, [r.value for r in block])
            rows.append([f"{shown.title} ({block[0].n:,} {block[0].data})", "", "", "", ""])
            for r in block:
                name = f"  {r.source} to {r.target}, {label(r)}"
                if r.get("chosen_on", "test items") != "test items":
                    name += f", chosen on {r.get('chosen_on')}"
                span = f"{shown.text(r.low)} to {shown.text(r.high)}"
                chance = shown.text(r.chance)
                rows.append([name, str(r.layer), shown.text(r.value), span, chance])
    return aligned(rows) if len(rows) > 1 else ""


def matrices(records: Sequence[Record]) -> str:
    """CKA of every layer with every other one, and its correlation with retrieval."""
    tables = []
    here = [r for r in records if r.metric == "cka_layers"]
    for source, target, model in dict.fromkeys((r.source, r.target, r.model) for r in here):
        block = [r for r in here if r.has(source=source, target=target, model=model)]
        columns = sorted({r.get("target_layer") for r in block})
        title = f"CKA x100, rows {source}, columns {target}, {label(block[0])}"
        rows = [[title, *(f"layer {n}" for n in columns)]]
        for layer in layers(block):
            values = [mean(block, layer=layer, target_layer=n) for n in columns]
            rows.append([f"  layer {layer}", *(percent(v) for v in values)])
        tables.append(aligned(rows))
    for r in records:
        if r.metric == "cka_retrieval_correlation":
            sd = r.get("sd")
            tables.append(
                printable(
                    f"correlation of CKA with retrieval over {r.get('layers')} layers, "
                    f"{r.source}-{r.target}, {label(r)}: {r.value:.2f}"
                    + (f" ({sd:.2f})" if sd is not None else "")
                )
            )
    return "\n\n".join(tables)


def checkpoints(records: Sequence[Record]) -> str:
    """The multilinguality score by step."""
    here = [r for r in records if r.metric == "multilinguality"]
    names = {r.get("layers"): of_layers(r) for r in reversed(here)}
    rows = [["multilinguality score", *(names.get(n, "-") for n in ("theirs", "all"))]]
    for source, target in dict.fromkeys((r.source, r.target) for r in here):
        for step in sorted({r.step or 0 for r in here}):
            values = [
                mean(here, source=source, target=target, step=step, layers=name)
                for name in ("theirs", "all")
            ]
            cells = ("-" if v is None else f"{v:.2f}" for v in values)
            rows.append([f"  {source}-{target}, step {step:,}", *cells])
    return aligned(rows) if len(rows) > 1 else ""


def over_training(records: Sequence[Record]) -> str:
    """Every curve of `curves.summaries`: end, when half of the way there was passed, peak. CKA of
    unequal layers is left out."""
    here = [r for r in records if r.metric == "over_training" and r.get("target_layer") is None]
    rows = [["over training", "layer", "start", "half at step", "end", "peak", "at step"]]
    for r in here:
        name = label(r).removeprefix(", ")
        half = r.get("half_step")
        rows.append(
            [
                f"  {r.get('of')}, {r.source} to {r.target}{name and f', {name}'}",
                str(r.layer),
                percent(r.get("start")),
                "-" if half is None else f"{half:,.0f}",
                percent(r.value),
                percent(r.get("peak")),
                f"{r.get('peak_step', 0):,}",
            ]
        )
    return aligned(rows)


def of_layers(record: Record) -> str:
    """The layers that a multilinguality score is the mean of."""
    if record.has(layers="all"):
        return "all layers"
    return f"layers {' and '.join(map(str, record.get('of_layers', ['0', 'two thirds up'])))}"


def perplexities(records: Sequence[Record]) -> str:
    """Held-out perplexity beside the baselines, a row a language."""
    rows = [["held-out perplexity", "model", "bigram", "unigram"]]
    for r in records:
        if r.metric == "perplexity":
            numbers = (f"{r.get(k):,.1f}" for k in ("value", "bigram", "unigram"))
            rows.append([f"  {r.source}", *numbers])
    return aligned(rows) if len(rows) > 1 else ""


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns lined up: the first to the left, the others to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
