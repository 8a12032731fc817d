"""Tidy records to tables of plain text."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]
NAMES = {
    "sentence_retrieval": "sentence retrieval, P@1 %",
    "word_translation": "word translation, P@1 %",
    "cka": "linear CKA of sentences, x100",
}

COMPARED = {"word_translation": "word translation", "sentence_retrieval": "sentence retrieval"}
AS_IS = {"model": "trained", "centred": False}


def mean(records: Iterable[Record], key: str = "value", **wanted: Any) -> float | None:
    """Mean of `key` over the records that have all `wanted` values, None where there is none."""
    values = [r[key] for r in records if all(r.get(k) == v for k, v in wanted.items())]
    return sum(values) / len(values) if values else None


def layers(records: Iterable[Record]) -> list[int]:
    return sorted({r["layer"] for r in records if "layer" in r})


def best_layer(records: Sequence[Record], metric: str, **wanted: Any) -> tuple[int, float]:
    """(layer, mean over directions) where the metric is highest."""
    found = [(mean(records, metric=metric, layer=n, **wanted), n) for n in layers(records)]
    value, layer = max((v, -n) for v, n in found if v is not None)
    return -layer, value


def by_layer(records: Sequence[Record]) -> str:
    """One block a metric: a row for each (model, centred), a column for each layer (0 embeddings),
    mean of both directions; then chance."""
    blocks = []
    for metric, title in NAMES.items():
        here = [r for r in records if r["metric"] == metric]
        if not here:
            continue
        pairs = {(r["source"], r["target"]) for r in here}
        if metric != "cka":  # both directions are one pair
            pairs = {(a, b) for a, b in pairs if (b, a) not in pairs or a < b}
        for source, target in sorted(pairs):
            block = [r for r in here if {r["source"], r["target"]} == {source, target}]
            columns = layers(block)
            note = f"{source}-{target}, {block[0]['n']:,} {block[0]['data']}"
            rows = [[f"{title} ({note})", *(f"layer {n}" for n in columns)]]
            kinds = [False, True] if metric != "cka" else [None]
            for model in ("trained", "untrained"):
                for centred in kinds:
                    values = [mean(block, model=model, layer=n, centred=centred) for n in columns]
                    if all(v is None for v in values):
                        continue
                    name = f"  {model}" + (", languages centred" if centred else "")
                    rows.append([name, *(percent(v) for v in values)])
            chance = [mean(block, "chance", layer=n, model="trained") for n in columns]
            rows.append(["  chance", *(percent(v) for v in chance)])
            blocks.append(aligned(rows))
    return "\n\n".join(blocks)


def compare(runs: Mapping[str, Sequence[Sequence[Record]]]) -> str:
    """A row a setting: mean (standard deviation over seeds) at the best layer of each metric, then
    the untrained model and chance. `runs`: setting -> records by seed."""
    rows = [["best layer, P@1 %", *(COMPARED.values()), "seeds"]]
    for name, seeds in runs.items():
        cells = [_spread([best_layer(r, m, **AS_IS)[1] for r in seeds]) for m in COMPARED]
        rows.append([f"  {name}", *cells, str(len(seeds))])
    everything = [records for seeds in runs.values() for records in seeds]
    untrained = {**AS_IS, "model": "untrained"}
    cells = [_spread([best_layer(r, m, **untrained)[1] for r in everything]) for m in COMPARED]
    rows.append(["  untrained", *cells, str(len(everything))])
    chance = [mean(sum(map(list, everything), []), "chance", metric=m) for m in COMPARED]
    rows.append(["  chance", *(percent(c) for c in chance), ""])
    return aligned(rows)


def _spread(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ({100 * deviation:.1f})"


def perplexities(records: Sequence[Record]) -> str:
    """Held-out perplexity beside the baselines, a row a language."""
    rows = [["held-out perplexity", "model", "bigram", "unigram"]]
    for r in records:
        if r["metric"] == "perplexity":
            numbers = (f"{r[k]:,.1f}" for k in ("value", "bigram", "unigram"))
            rows.append([f"  {r['source']}", *numbers])
    return aligned(rows) if len(rows) > 1 else ""


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns lined up: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *rest = (cell for cell in row)
        cells = [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
