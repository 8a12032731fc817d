"""Everything that was measured of a run, file by file, and languages against languages."""

from collections.abc import Mapping, Sequence
from typing import Any

from xl_jax.analysis.record import Record, RecordFile
from xl_jax.errors import printable
from xl_jax.report import metrics, tables, transfer

# As they are, not centred, not mapped; a record has those of the names that its metric knows.
PLAIN: dict[str, Any] = {
    "model": "trained",
    "centred": (None, False),
    "map": (None,),
    "spelling": (None,),
}
PLAIN |= {"criterion": (None, "cosine"), "at": (None, 1)}
AGAINST = ("sentence_retrieval", "word_translation", "cka")


def overview(files: Mapping[str, RecordFile]) -> str:
    """The tables of every file, by its name without the ending."""
    parts = []
    for name, file in files.items():
        records = file.records
        steps = sorted({r.step for r in records if r.step})
        at = f", step {steps[-1]:,}" if steps else ""
        title = printable(f"eval/{name}.json: {file.task}, {len(records):,} records{at}")
        found = [
            tables.by_layer(records),
            tables.checkpoints(records),
            tables.perplexities(records),
        ]
        results = [r for r in records if r.has(kind="result")]
        if any(r.layer is not None for r in results):
            found.append(transfer.by_layer(results))
        elif results:
            found.append(transfer.results(results))
        found.append(by_pair(records))
        parts.append("\n\n".join([title, *filter(None, found)]))
    return "\n\n".join(parts)


def by_pair(records: Sequence[Record]) -> str:
    """Of each metric a matrix of languages: the value at the best layer, chosen on the test items;
    empty where there is one pair."""
    found = []
    for metric in AGAINST:
        values: dict[tuple[str, str], float] = {}
        for r in records:
            if r.metric == metric and r.layer is not None and _plain(r):
                pair = r.source, r.target
                values[pair] = max(r.value, values.get(pair, r.value))
        if metric == "cka":  # has no direction
            values |= {(b, a): value for (a, b), value in values.items()}
        languages = sorted({x for pair in values for x in pair})
        if len(languages) < 3:
            continue
        rows = [[f"{metrics.shown(metric).title}, best layer; from \\ to", *languages]]
        for a in languages:
            rows.append([f"  {a}", *(tables.percent(values.get((a, b))) for b in languages)])
        found.append(tables.aligned(rows))
    return "\n\n".join(found)


def _plain(record: Record) -> bool:
    return all(
        record.get(name) == wanted if isinstance(wanted, str) else record.get(name) in wanted
        for name, wanted in PLAIN.items()
    )
