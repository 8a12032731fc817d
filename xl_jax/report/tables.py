"""Tidy records to tables of plain text."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]
NAMES = {
    "sentence_retrieval": "sentence retrieval, P@1 %",
    "word_translation": "word translation, P@1 %",
    "cka": "linear CKA of sentences, x100",
    "dictionary_induction": "dictionary induction, P@1 %",
    "word_alignment": "word alignment, F1 %",
    "twins_retrieval": "sentence retrieval, both ways, P@1 %",
    "twins_translation": "word translation, both ways, P@1 %",
}
KIND = (
    "vectors",
    "model",
    "centred",
    "map",
    "criterion",
    "spelling",
)  # what tells the rows of a table apart
MAPPED = {"procrustes": "mapped", "identity": "means aligned", "random": "random map"}

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


def kind(record: Record) -> dict[str, Any]:
    """What a row of a table has in common."""
    return {key: record.get(key) for key in KIND}


def label(record: Record) -> str:
    """A row's kind in words."""
    parts = [record.get("vectors"), record["model"]]
    parts += ["languages centred"] if record.get("centred") else []
    parts += [MAPPED.get(record.get("map", ""))]
    parts += ["CSLS"] if record.get("criterion") == "csls" else []
    parts += ["spelled differently"] if record.get("spelling") == "different" else []
    return ", ".join(filter(None, parts))


def blocks(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """(title, records) of each metric and language pair at the last step: a table each."""
    found = []
    for metric, title in NAMES.items():
        here = [r for r in records if r["metric"] == metric and r.get("at", 1) == 1]
        pairs = {(r["source"], r["target"]) for r in here}
        if metric in COMPARED:  # both directions are one pair
            pairs = {(a, b) for a, b in pairs if (b, a) not in pairs or a <= b}
        for source, target in sorted(pairs):
            block = [r for r in here if {r["source"], r["target"]} == {source, target}]
            last = max(r.get("step", 0) for r in block)
            block = [r for r in block if r.get("step", 0) in (0, last)]
            notes = [f"{source}-{target}"]
            notes += [f"{block[0]['n']:,} {block[0].get('data', 'sentences')}"]
            if block[0].get("kernel") == "rbf":
                title = title.replace("linear", "RBF")
            notes += ["debiased"] if block[0].get("debiased") else []
            notes += ["not centred"] if block[0].get("kernel_centred") is False else []
            found.append((f"{title} ({', '.join(notes)})", block))
    return found


def by_layer(records: Sequence[Record]) -> str:
    """One table a metric: a row a kind, a column a layer (0 embeddings), mean of both directions;
    then chance."""
    tables = []
    for title, block in blocks(records):
        columns = layers(block)
        rows = [[title, *(f"layer {n}" for n in columns)]]
        for first in {tuple(kind(r).values()): r for r in reversed(block)}.values():
            values = [mean(block, layer=n, **kind(first)) for n in columns]
            name = label(first)
            if "coverage" in first:
                name += f" ({first['n']:,} words, {percent(first['coverage'])} % covered)"
            rows.append([f"  {name}", *(percent(v) for v in values)])
        rows[1:] = rows[:0:-1]  # as they came
        chance = [mean(block, "chance", layer=n, model="trained") for n in columns]
        rows.append(["  chance", *(percent(v) for v in chance)])
        if block[0].get("kernel_centred") is False:
            rows.append(
                ["  beware: without centring unrelated spaces with an offset come near 100"]
            )
            rows[-1] += [""] * len(columns)
        tables.append(aligned(rows))
    return "\n\n".join(tables)


def intervals(records: Sequence[Record]) -> str:
    """Every kind at its best layer, with the 95 % interval, a row a direction."""
    rows = [["at its best layer", "layer", "value", "95 % interval", "chance"]]
    for title, block in blocks(records):
        rows.append([title, "", "", "", ""])
        for key in dict.fromkeys((*kind(r).values(), r["source"], r["target"]) for r in block):
            mine = [r for r in block if (*kind(r).values(), r["source"], r["target"]) == key]
            best = max(mine, key=lambda r: r["value"])
            name = f"  {best['source']} to {best['target']}, {label(best)}"
            span = f"{percent(best.get('low'))} to {percent(best.get('high'))}"
            cells = (percent(best["value"]), span, percent(best["chance"]))
            rows.append([name, str(best["layer"]), *cells])
    return aligned(rows) if len(rows) > 1 else ""


def matrices(records: Sequence[Record]) -> str:
    """CKA of every layer with every other one, and its correlation with retrieval."""
    tables = []
    here = [r for r in records if r["metric"] == "cka_layers"]
    for key in dict.fromkeys((r["source"], r["target"], r["model"]) for r in here):
        block = [r for r in here if (r["source"], r["target"], r["model"]) == key]
        columns = sorted({r["target_layer"] for r in block})
        title = f"CKA x100, rows {key[0]}, columns {key[1]}, {key[2]}"
        rows = [[title, *(f"layer {n}" for n in columns)]]
        for layer in layers(block):
            values = [mean(block, layer=layer, target_layer=n) for n in columns]
            rows.append([f"  layer {layer}", *(percent(v) for v in values)])
        tables.append(aligned(rows))
    for r in records:
        if r["metric"] == "cka_retrieval_correlation":
            tables.append(
                f"correlation of CKA with retrieval over {r['layers']} layers, "
                f"{r['source']}-{r['target']}, {r['model']}: {r['value']:.2f}"
            )
    return "\n\n".join(tables)


def checkpoints(records: Sequence[Record]) -> str:
    """The multilinguality score by step."""
    here = [r for r in records if r["metric"] == "multilinguality"]
    rows = [["multilinguality score", "their layers", "all layers"]]
    for pair in dict.fromkeys((r["source"], r["target"]) for r in here):
        for step in sorted({r["step"] for r in here}):
            values = [
                mean(here, source=pair[0], target=pair[1], step=step, layers=name)
                for name in ("theirs", "all")
            ]
            cells = ("-" if v is None else f"{v:.2f}" for v in values)
            rows.append([f"  {'-'.join(pair)}, step {step:,}", *cells])
    return aligned(rows) if len(rows) > 1 else ""


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
